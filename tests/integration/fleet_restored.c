/*
 * A target that goes back under running workers: restored from an older backup, or crashed with commits that were not yet on its
 * disk. Parents are split and have ended since, everything has ended since, shards are silent since: what the tables show at the
 * end is exact, each record once and in order.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "local/kinesis.h"
#include "support/slow.h"
#include "support/two_databases.h"

#include <check.h>

static struct test_two two;

static void
teardown(void)
{
    test_two_end(&two);
}

/* The target is as it was when the backup was taken. Returns how many records it has then: workers are let in after that. */
static int64_t
restore(void)
{
    int64_t records;

    test_cluster_stop(&two.target, SIGINT);
    test_proxy_set_mode(two.target_proxy, TEST_PROXY_REFUSE);
    test_cluster_restore(&two.target, &two.target_other);
    test_cluster_start(&two.target);
    test_two_look(&two);
    records = test_two_target_number(&two, "SELECT count(*) FROM records");
    test_proxy_set_mode(two.target_proxy, TEST_PROXY_PASS);
    return records;
}

static void
back_up(void)
{
    test_cluster_copy(&two.target_other, two.parent, "backup", &two.target, false);
}

static void
split(const char *shard)
{
    struct leat_error err;

    ck_assert_msg(leat_local_kinesis_split(two.fleet.kinesis, TEST_FLEET_STREAM, shard, &err) == 0,
                  "%s", err.text);
}

#define ENDED "SELECT count(*) FROM leat.leases WHERE state = 'ended'"

/* Several generations end behind the backup, of a stream that goes on. */
START_TEST(parents_that_had_ended_are_opened_again)
{
    test_two_start(&two, &(struct test_two_options){.shards = 1, .workers = 2});
    back_up();
    ck_two_flows(&two, 100);
    split("shardId-000000000000");
    ck_two_lease_reaches(&two, ENDED, 1);
    ck_two_flows(&two, 100);
    split("shardId-000000000001");
    split("shardId-000000000002");
    ck_two_lease_reaches(&two, ENDED, 3);
    ck_two_flows(&two, 200);
    ck_assert_int_lt(restore(), two.steady.records - 300);
    ck_two_lease_reaches(&two, "SELECT count(*) FROM leat.lease_moves WHERE why = 're-opened'", 3);
    ck_two_flows(&two, 500);
    ck_two_lease_reaches(&two, ENDED, 3);
    ck_two_says(&two, "progress in the target went back");
    ck_two_all_right(&two);
}
END_TEST

/* Nobody puts any more: nothing is fenced, nobody commits. */
START_TEST(silent_shards_are_found)
{
    test_two_start(&two, &(struct test_two_options){.shards = 2, .workers = 2});
    back_up();
    ck_two_flows(&two, 200);
    test_steady_stop(&two.steady);
    ck_two_target_reaches(&two, "SELECT count(*) FROM records", two.steady.records);
    ck_two_target_reaches(&two, "SELECT sum(count)::int8 FROM rollup", two.steady.records);
    ck_assert_int_lt(restore(), two.steady.records);
    ck_two_all_right(&two);
}
END_TEST

/* Restored without a restart, from before everything: not even a row of progress is there. */
START_TEST(everything_is_lost_and_silent)
{
    test_two_start(&two, &(struct test_two_options){.shards = 1, .workers = 2});
    split("shardId-000000000000");
    ck_two_lease_reaches(&two, ENDED, 1);
    test_steady_stop(&two.steady);
    ck_two_target_reaches(&two, "SELECT count(*) FROM records", two.steady.records);
    ck_two_target_reaches(&two, "SELECT sum(count)::int8 FROM rollup", two.steady.records);
    test_cluster_sql(&two.target, "leat", "BEGIN; TRUNCATE leat.progress, records, rollup; COMMIT");
    ck_two_all_right(&two);
}
END_TEST

/* A file with an end: its one shard has ended, no child waits, no consumer is there that could differ. */
START_TEST(what_has_ended_for_good_is_found)
{
    test_two_start(&two, &(struct test_two_options){.workers = 2, .shards = 1, .file_lines = 400});
    ck_two_target_reaches(&two, "SELECT count(*) FROM records", 400);
    ck_two_target_reaches(&two, "SELECT sum(count)::int8 FROM rollup", 400);
    ck_two_lease_reaches(&two, ENDED, 1);
    test_cluster_sql(&two.target, "leat", "TRUNCATE leat.progress, records, rollup");
    test_cluster_stop(&two.target, SIGINT);
    test_cluster_start(&two.target);
    test_two_look(&two);
    ck_two_lease_reaches(&two, "SELECT count(*) FROM leat.lease_moves WHERE why = 're-opened'", 1);
    ck_two_target_reaches(&two, "SELECT count(*) FROM records", 400);
    ck_two_target_reaches(&two, "SELECT sum(count)::int8 FROM rollup", 400);
    ck_two_lease_reaches(&two, ENDED, 1);
    ck_assert_int_eq(test_two_target_number(&two, "SELECT count(*) FROM records"), 400);
    ck_assert_int_eq(test_two_target_number(&two, "SELECT sum(count)::int8 FROM rollup"), 400);
}
END_TEST

/* Commits are acknowledged before they are on the disk (synchronous_commit = off), and the server crashes. */
START_TEST(a_crash_loses_acknowledged_commits)
{
    test_two_start(&two, &(struct test_two_options){.shards = 2,
                                                    .workers = 2,
                                                    .target_settings =
                                                        "wal_writer_delay=10s\nwal_buffers=16MB\n"
                                                        "wal_writer_flush_after=1GB\n"
                                                        "bgwriter_lru_maxpages=0\n"});
    for (int i = 0; i < test_cases(3, 1); i++) {
        int64_t before;

        ck_two_flows(&two, 300);
        before = test_two_target_number(&two, "SELECT count(*) FROM records");
        test_cluster_stop(&two.target, i % 2 == 0 ? SIGKILL : SIGQUIT);
        test_cluster_start(&two.target);
        test_two_look(&two);
        fprintf(stderr, "crash %d: %lld records were there, %lld are\n", i, (long long)before,
                (long long)test_two_target_number(&two, "SELECT count(*) FROM records"));
    }
    ck_two_flows(&two, 300);
    ck_two_all_right(&two);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_restored");
    TCase *tests = tcase_create("restored");
    int failed;

    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, parents_that_had_ended_are_opened_again);
    tcase_add_test(tests, silent_shards_are_found);
    tcase_add_test(tests, everything_is_lost_and_silent);
    tcase_add_test(tests, what_has_ended_for_good_is_found);
    tcase_add_test(tests, a_crash_loses_acknowledged_commits);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
