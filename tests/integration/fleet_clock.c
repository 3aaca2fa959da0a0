/*
 * The lease database's clock, with real workers. It is put back an hour: all that was stored before lies in the future, which is
 * what these tests make of it, without touching a clock: every stored time is moved an hour ahead. Whoever died is taken over
 * within a lease time all the same, new streams and shards are found, and an id is free again. And a role whose sessions are
 * ended when they are idle for less than a heartbeat.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

#define WORKERS 2
/* Without sessions' locks a death is seen by time alone. */
#define LEASES                                                                                     \
    "leases: { heartbeat: 300ms, expiry: 1500ms, sync_interval: 1s, session_lock: false }\n"
/* A heartbeat may be a fifth late: on a machine that is busy that has to be more than a moment. */
#define SLOW_LEASES                                                                                \
    "leases: { heartbeat: 3s, expiry: 9s, sync_interval: 1s, session_lock: false }\n"
#define ROLLUP "processors:\n  - { name: rollup, plugin: rollup, target: { plugin: postgres } }\n"
#define HELD_BY(id)                                                                                \
    "SELECT count(*) FROM leat.leases l JOIN leat.workers w ON w.incarnation = l.lease_owner "     \
    "WHERE l.state = 'active' AND l.next_owner IS NULL AND w.worker_id = '" id "' AND w.state = "  \
    "'alive'"

static struct test_fleet fleet;
static struct test_worker workers[WORKERS];

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    for (int i = 0; i < WORKERS; i++) {
        LEAT_AUTO_BUF log = LEAT_BUF_INIT;

        test_worker_log(&workers[i], &log);
        fprintf(stderr, "---- %s\n%s\n", workers[i].id, leat_buf_text(&log));
    }
    test_fleet_dump(&fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

static void
start_worker(int index)
{
    workers[index] = test_fleet_spawn(&fleet, index == 0 ? "w1" : "w2", NULL);
}

static void
kill_worker(int index)
{
    test_worker_kill(&workers[index], SIGKILL);
    test_worker_wait(&workers[index], NULL);
}

static void
put_clock_back(void)
{
    test_fleet_sql(
        &fleet,
        "UPDATE leat.workers SET heartbeat_at = heartbeat_at + interval '1 h', expires_at = "
        "expires_at + interval '1 h', started_at = started_at + interval '1 h', died_at = died_at "
        "+ interval '1 h';"
        "UPDATE leat.applications SET pass_at = pass_at + interval '1 h', rebalanced_at = "
        "rebalanced_at + interval '1 h';"
        "UPDATE leat.streams SET synced_at = synced_at + interval '1 h', sync_at = sync_at + "
        "interval '1 h', gone_at = gone_at + interval '1 h';"
        "UPDATE leat.stream_specs SET look_at = look_at + interval '1 h', looked_at = looked_at + "
        "interval '1 h';"
        "UPDATE leat.leases SET handoff_at = handoff_at + interval '1 h', gone_at = gone_at + "
        "interval '1 h', given_up_at = given_up_at + interval '1 h'");
}

static void
setup(void)
{
    struct test_fleet_options options = {.shards = 4};

    fleet.streams = NULL;
    test_fleet_start(&fleet, &options);
    memset(workers, 0, sizeof workers);
}

static void
teardown(void)
{
    for (int i = 0; i < WORKERS; i++)
        kill_worker(i);
    test_fleet_end(&fleet);
}

static void
begin_both(const char *rest)
{
    fleet.streams = "events, more";
    test_fleet_configure(&fleet, rest);
    start_worker(0);
    start_worker(1);
    ck_reaches(HELD_BY("w1"), 2);
    ck_reaches(HELD_BY("w2"), 2);
}

START_TEST(the_dead_are_taken_over_when_the_clock_goes_back)
{
    begin_both(LEASES ROLLUP);
    kill_worker(1);
    put_clock_back();
    ck_reaches(HELD_BY("w1"), 4);
}
END_TEST

START_TEST(streams_and_shards_are_found_when_the_clock_goes_back)
{
    struct leat_error err;

    begin_both(LEASES ROLLUP);
    put_clock_back();
    ck_assert_int_eq(leat_local_kinesis_create_stream(fleet.kinesis, "more", 4, &err), 0);
    ck_assert_int_eq(
        leat_local_kinesis_split(fleet.kinesis, TEST_FLEET_STREAM, "shardId-000000000000", &err),
        0);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL", 9);
}
END_TEST

/* Nobody else is there to judge, and the row says that it lives for an hour. */
START_TEST(an_id_is_free_when_the_clock_goes_back)
{
    test_fleet_configure(&fleet, LEASES ROLLUP);
    start_worker(0);
    ck_reaches(HELD_BY("w1"), 4);
    kill_worker(0);
    put_clock_back();
    start_worker(0);
    ck_reaches("SELECT count(*) FROM leat.workers WHERE worker_id = 'w1' AND started_at < "
               "clock_timestamp()",
               1);
    ck_reaches(HELD_BY("w1"), 4);
}
END_TEST

/* Forwards: all have expired, and nobody is silent. */
START_TEST(nobody_dies_when_the_clock_goes_forwards)
{
    int64_t members;

    begin_both(SLOW_LEASES ROLLUP);
    /* Well for a lease time, or nobody could judge. */
    ck_reaches("SELECT bool_and(started_at < clock_timestamp() - interval '10 s')::int FROM "
               "leat.workers",
               1);
    members = test_fleet_number(&fleet, "SELECT bit_xor(incarnation) FROM leat.workers");
    for (int i = 0; i < 20; i++) {
        test_fleet_sql(&fleet, "UPDATE leat.workers SET expires_at = expires_at - interval '1 h'");
        usleep(50000);
    }
    ck_reaches(HELD_BY("w1"), 2);
    ck_reaches(HELD_BY("w2"), 2);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT bit_xor(incarnation) FROM leat.workers"),
                     members);
}
END_TEST

START_TEST(idle_sessions_live)
{
    test_fleet_configure(&fleet,
                         "leases: { heartbeat: 1s, expiry: 4s, sync_interval: 1s }\n" ROLLUP);
    test_fleet_sql(&fleet, "ALTER ROLE CURRENT_USER SET idle_session_timeout = '250ms'");
    start_worker(0);
    start_worker(1);
    ck_reaches(HELD_BY("w1"), 2);
    ck_reaches(HELD_BY("w2"), 2);
    /* Well for a lease time, or nobody could judge. */
    ck_reaches("SELECT bool_and(started_at < clock_timestamp() - interval '5 s')::int FROM "
               "leat.workers",
               1);
    kill_worker(1);
    ck_reaches(HELD_BY("w1"), 4);
    ck_assert(!test_worker_says(&workers[0], "could not renew", leat_clock_monotonic_us()));
    ck_assert(!test_worker_says(&workers[0], "idle-session timeout", leat_clock_monotonic_us()));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fleet_clock");
    TCase *tests = tcase_create("fleet_clock");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_dead_are_taken_over_when_the_clock_goes_back);
    tcase_add_test(tests, streams_and_shards_are_found_when_the_clock_goes_back);
    tcase_add_test(tests, an_id_is_free_when_the_clock_goes_back);
    tcase_add_test(tests, nobody_dies_when_the_clock_goes_forwards);
    tcase_add_test(tests, idle_sessions_live);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
