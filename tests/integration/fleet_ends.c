/*
 * Ends that are told badly: an open shard that is said to have ended, a closed one that tells no children, a closed one without an
 * end; and a lease that has ended though its shard is open: it is read on from where it was.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

static struct test_fleet fleet;
static struct test_worker worker, other;
static int put_count;

static void
show(void)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;

    test_worker_log(&worker, &log);
    fprintf(stderr, "%s", leat_buf_text(&log));
    test_fleet_dump(&fleet);
}

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (!test_fleet_wait_for(&fleet, sql, wanted, leat_clock_monotonic_us() + PATIENCE_US))
        show();
    ck_assert_int_eq(test_fleet_number(&fleet, sql), wanted);
}

static void
ck_says(const char *text)
{
    if (test_worker_says(&worker, text, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    show();
    ck_abort_msg("nobody says \"%s\"", text);
}

static void
put(int count)
{
    for (int i = 0; i < count; i++) {
        char key[16];

        snprintf(key, sizeof key, "key-%d", put_count++);
        test_fleet_put(&fleet, leat_slice_from(key), leat_slice_from(key));
    }
}

static void
split(const char *shard)
{
    struct leat_error err;

    ck_assert_msg(leat_local_kinesis_split(fleet.kinesis, TEST_FLEET_STREAM, shard, &err) == 0,
                  "%s", err.text);
}

static void
fault(enum leat_local_fault_kind kind, const char *shard, unsigned times)
{
    struct leat_local_fault fault = {
        .kind = kind, .action = "GetRecords", .shard = shard, .times = times};

    leat_local_kinesis_fault(fleet.kinesis, &fault);
}

static void
begin(unsigned shards)
{
    struct test_fleet_options options = {.shards = shards};
    char name[40];

    snprintf(name, sizeof name, "ends_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, "leases: { heartbeat: 300ms, expiry: 1500ms, sync_interval: 2s }\n"
                                 "processors:\n  - { name: print, plugin: print, target: { plugin: "
                                 "postgres } }\n");
    worker = test_fleet_spawn(&fleet, "w1", NULL);
}

static void
stop(struct test_worker *of)
{
    test_worker_kill(of, SIGKILL);
    test_worker_wait(of, NULL);
    of->pid = 0;
}

static void
teardown(void)
{
    if (other.pid != 0)
        stop(&other);
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    test_fleet_end(&fleet);
}

#define RECORDS "SELECT count(*) FROM records"
#define KEYS "SELECT count(DISTINCT partition_key) FROM records"
#define ENDED "SELECT count(*) FROM leat.leases WHERE state = 'ended'"
#define AT_END "SELECT count(*) FROM leat.progress WHERE checkpoint = 'SHARD_END'"

START_TEST(an_open_shard_is_read_on)
{
    begin(2);
    put(40);
    ck_reaches(RECORDS, 40);
    fault(LEAT_LOCAL_FAULT_BARE_END, "shardId-000000000000", 3);
    ck_says("an open shard was said to have ended");
    put(40);
    ck_reaches(RECORDS, 80);
    /* With records in the answer, too. */
    fault(LEAT_LOCAL_FAULT_BARE_END, NULL, 20);
    put(40);
    ck_reaches(RECORDS, 120);
    ck_assert_int_eq(test_fleet_number(&fleet, KEYS), 120);
    ck_assert_int_eq(test_fleet_number(&fleet, ENDED), 0);
    ck_assert_int_eq(test_fleet_number(&fleet, AT_END), 0);
}
END_TEST

/* As servers do that know no ChildShards. */
START_TEST(an_end_without_children_is_one_if_the_list_says_so)
{
    begin(1);
    put(40);
    ck_reaches(RECORDS, 40);
    fault(LEAT_LOCAL_FAULT_BARE_END, "shardId-000000000000", 0);
    put(20);
    split("shardId-000000000000");
    put(40);
    ck_reaches(RECORDS, 100);
    ck_reaches(ENDED, 1);
    ck_assert_int_eq(test_fleet_number(&fleet, KEYS), 100);
}
END_TEST

/* With records to its very end (0), or none (1): the ending sequence number is no record's. */
START_TEST(a_closed_shard_without_an_end_ends)
{
    begin(1);
    if (_i == 0) {
        put(40);
        ck_reaches(RECORDS, 40);
    } else {
        ck_reaches(
            "SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL AND state = 'active'",
            1);
    }
    fault(LEAT_LOCAL_FAULT_ENDLESS, "shardId-000000000000", 0);
    split("shardId-000000000000");
    put(40);
    ck_says("a closed shard is not ended by its stream");
    ck_reaches(ENDED, 1);
    ck_reaches(RECORDS, put_count);
    ck_says("a closed shard is read to its end, which its stream does not tell");
}
END_TEST

START_TEST(an_ended_lease_of_an_open_shard_is_opened_again)
{
    begin(2);
    put(40);
    ck_reaches(RECORDS, 40);
    test_fleet_sql(&fleet,
                   "UPDATE leat.leases SET state = 'ended', ended_by = '{print}', lease_owner = "
                   "NULL, lease_counter = lease_counter + 1 WHERE shard = 'shardId-000000000000'; "
                   "UPDATE leat.applications SET assignment_version = assignment_version + 1");
    put(40);
    ck_says("a lease has ended, but its shard is open");
    ck_reaches(RECORDS, 80);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE state = 'active'", 2);
    /* At its end in the target, too: from where, only a person can say. */
    test_fleet_sql(&fleet,
                   "UPDATE leat.progress SET checkpoint = 'SHARD_END', commit_seq = commit_seq + 1 "
                   "WHERE shard = 'shardId-000000000001'; "
                   "UPDATE leat.leases SET state = 'ended', ended_by = '{print}', lease_owner = "
                   "NULL, lease_counter = lease_counter + 1 WHERE shard = 'shardId-000000000001'; "
                   "UPDATE leat.applications SET assignment_version = assignment_version + 1");
    ck_says("an open shard is at its end in the target");
    put(40);
    free(test_fleet_shell(&fleet, "$LEAT checkpoint set -c $DIR/leat.yaml --processor print "
                                  "--shard 1 --to trim-horizon --yes"));
    ck_reaches(KEYS, 120);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE state = 'active'", 2);
}
END_TEST

static void
list_fault(enum leat_local_fault_kind kind, unsigned times)
{
    struct leat_local_fault fault = {.kind = kind, .action = "ListShards", .times = times};

    leat_local_kinesis_fault(fleet.kinesis, &fault);
}

/* An answer without an end, and a list that says so, too: it is committed. */
static void
end_by_mistake(const char *shard)
{
    list_fault(LEAT_LOCAL_FAULT_CLOSED, 0);
    fault(LEAT_LOCAL_FAULT_BARE_END, shard, 3);
    ck_reaches(AT_END, 1);
    ck_reaches(ENDED, 1);
}

static bool
either_says(const char *text)
{
    int64_t until_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (leat_clock_monotonic_us() < until_us) {
        if (test_worker_says(&worker, text, leat_clock_monotonic_us() + LEAT_SECOND_US / 4) ||
            (other.pid != 0 &&
             test_worker_says(&other, text, leat_clock_monotonic_us() + LEAT_SECOND_US / 4)))
            return true;
    }
    return false;
}

static size_t
count_in_log(const struct test_worker *of, const char *text)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    size_t count = 0;

    test_worker_log(of, &log);
    for (const char *at = leat_buf_text(&log); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

#define PUT_BACK "an open shard was at its end in the target: it is put back"

/* One worker (0), two (1), one that dies when progress is back and the lease is not (2), or before either (3). */
START_TEST(an_end_by_mistake_is_put_back_to_where_it_was)
{
    static const char *const points[] = {NULL, NULL, "audit.reopened=crash@1",
                                         "audit.reopen=crash@1"};

    begin(2);
    if (points[_i] != NULL) {
        stop(&worker);
        setenv("LEAT_POINTS", points[_i], 1);
        worker = test_fleet_spawn(&fleet, "w1", NULL);
        unsetenv("LEAT_POINTS");
    } else if (_i == 1) {
        other = test_fleet_spawn(&fleet, "w2", NULL);
        ck_reaches("SELECT count(DISTINCT lease_owner) FROM leat.leases", 2);
    }
    put(40);
    ck_reaches(RECORDS, 40);
    end_by_mistake("shardId-000000000000");
    put(40);
    leat_local_kinesis_clear_faults(fleet.kinesis);
    if (points[_i] != NULL) {
        test_worker_wait(&worker, NULL);
        ck_assert_int_eq(test_fleet_number(&fleet, AT_END), _i == 2 ? 0 : 1);
        worker = test_fleet_spawn(&fleet, "w3", NULL);
    }
    ck_reaches(RECORDS, 80);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE state = 'active'", 2);
    if (_i != 2) {
        ck_assert(either_says(PUT_BACK));
        ck_assert_uint_eq(count_in_log(&worker, PUT_BACK) +
                              (other.pid != 0 ? count_in_log(&other, PUT_BACK) : 0),
                          1);
    }
    /* Its true end. */
    split("shardId-000000000000");
    put(40);
    ck_reaches(ENDED, 1);
    ck_reaches(RECORDS, 120);
    ck_assert_int_eq(test_fleet_number(&fleet, RECORDS), 120);
    ck_assert_int_eq(test_fleet_number(&fleet, KEYS), 120);
    ck_assert_int_eq(test_fleet_number(&fleet,
                                       "SELECT count(*) FROM leat.progress WHERE checkpoint = "
                                       "'SHARD_END' AND end_checkpoint IS NOT NULL"),
                     1);
}
END_TEST

START_TEST(one_list_alone_puts_nothing_back)
{
    uint64_t calls;

    begin(2);
    put(40);
    ck_reaches(RECORDS, 40);
    end_by_mistake("shardId-000000000000");
    list_fault(LEAT_LOCAL_FAULT_OPEN, 1);
    calls = leat_local_kinesis_calls(fleet.kinesis, "ListShards");
    for (int i = 0; i < 4; i++) {
        int64_t until_us = leat_clock_monotonic_us() + PATIENCE_US;

        test_fleet_sql(&fleet, "UPDATE leat.streams SET synced_at = NULL");
        while (leat_local_kinesis_calls(fleet.kinesis, "ListShards") <= calls + (unsigned)i &&
               leat_clock_monotonic_us() < until_us)
            ck_assert(!test_worker_says(&worker, PUT_BACK, leat_clock_monotonic_us() + 50000));
    }
    ck_assert_uint_ge(leat_local_kinesis_calls(fleet.kinesis, "ListShards"), calls + 4);
    ck_assert_int_eq(test_fleet_number(&fleet, AT_END), 1);
    ck_assert_int_eq(test_fleet_number(&fleet, ENDED), 1);
}
END_TEST

/* One of two processors: the lease has not ended, and its owner stays. */
START_TEST(an_end_for_one_processor_is_put_back)
{
    begin(1);
    stop(&worker);
    test_fleet_sql(&fleet, "DROP TABLE records");
    test_fleet_configure(
        &fleet, "leases: { heartbeat: 300ms, expiry: 1500ms, sync_interval: 2s }\n"
                "processors:\n  - { name: print, plugin: print, target: { plugin: postgres } }\n"
                "  - { name: more, plugin: print, target: { plugin: postgres, options: { "
                "tables: { records: more } } } }\n");
    worker = test_fleet_spawn(&fleet, "w2", NULL);
    put(40);
    ck_reaches(RECORDS, 40);
    ck_reaches("SELECT count(*) FROM more", 40);
    test_fleet_sql(&fleet,
                   "UPDATE leat.progress SET end_checkpoint = checkpoint, end_sub_sequence = "
                   "sub_sequence, checkpoint = 'SHARD_END', commit_seq = commit_seq + 1 "
                   "WHERE processor = 'more'");
    put(20);
    ck_reaches(RECORDS, 60);
    ck_says(PUT_BACK);
    put(20);
    ck_reaches("SELECT count(*) FROM more", 80);
    ck_reaches(RECORDS, 80);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM more"), 80);
    ck_assert_int_eq(test_fleet_number(&fleet, RECORDS), 80);
}
END_TEST

/* Shards with ids that no database takes, and shards that are their own ancestors: they are named, and the others go on. */
START_TEST(a_list_that_cannot_be_holds_up_nobody)
{
    struct leat_local_fault odd = {.kind = LEAT_LOCAL_FAULT_ODD_SHARDS, .action = "ListShards"};
    struct leat_error err;

    begin(6);
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    test_fleet_sql(&fleet, "DELETE FROM leat.leases; DELETE FROM leat.starts; DELETE FROM "
                           "leat.start_shards; DELETE FROM leat.progress");
    leat_local_kinesis_fault(fleet.kinesis, &odd);
    for (int i = 0; i < 6; i++) {
        /* In the middle of each shard's hash keys. */
        static const char *const keys[] = {
            "28356863910078205288614550619314017621",  "85070591730234615865843651857942052863",
            "141784319550391026443072753096570088105", "198498047370547437020301854335198123347",
            "255211775190703847597530955573826158589", "311925503010860258174760056812454193831"};

        ck_assert_int_eq(leat_local_kinesis_put(fleet.kinesis, TEST_FLEET_STREAM,
                                                leat_slice_from("key"), leat_slice_from(keys[i]),
                                                leat_slice_from("data"), NULL, &err),
                         0);
    }
    worker = test_fleet_spawn(&fleet, "w2", NULL);
    ck_says("2 shards have no id that can be stored and are left out, the first: ");
    ck_says("3 shards are their own ancestors and wait for nobody, the first: ");
    ck_reaches(RECORDS, 4);
    leat_local_kinesis_clear_faults(fleet.kinesis);
    ck_says("the list of a stream's shards is in order again");
    ck_reaches(RECORDS, 6);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fleet_ends");
    TCase *tests = tcase_create("ends");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, an_open_shard_is_read_on);
    tcase_add_test(tests, an_end_without_children_is_one_if_the_list_says_so);
    tcase_add_loop_test(tests, a_closed_shard_without_an_end_ends, 0, 2);
    tcase_add_test(tests, an_ended_lease_of_an_open_shard_is_opened_again);
    tcase_add_loop_test(tests, an_end_by_mistake_is_put_back_to_where_it_was, 0, 4);
    tcase_add_test(tests, one_list_alone_puts_nothing_back);
    tcase_add_test(tests, an_end_for_one_processor_is_put_back);
    tcase_add_test(tests, a_list_that_cannot_be_holds_up_nobody);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
