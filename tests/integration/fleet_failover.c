/*
 * Failovers that lose the last commits, of the lease database and of the target: two private clusters with asynchronous
 * streaming replication each. Whatever went back, what the tables show at the end is exact, each record once and in order.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/slow.h"
#include "support/two_databases.h"

#include <check.h>

static struct test_two two;

static void
begin(const struct test_two_options *options)
{
    test_two_start(&two, options);
}

static void
teardown(void)
{
    test_two_end(&two);
}

#define LOST_US (2 * LEAT_SECOND_US)

START_TEST(the_target_loses_its_last_commits)
{
    int64_t before, after;

    begin(&(struct test_two_options){.shards = 4, .workers = 2, .has_standbys = true});
    test_two_fail_over(&two, false, LOST_US);
    before = test_two_target_number(&two, "SELECT count(*) FROM records");
    ck_two_flows(&two, 500);
    after = test_two_target_number(&two, "SELECT count(*) FROM records");
    ck_assert_int_gt(after, before);
    ck_two_all_right(&two);
}
END_TEST

START_TEST(the_lease_database_loses_its_last_commits)
{
    begin(&(struct test_two_options){.shards = 4, .workers = 2, .has_standbys = true});
    /* What is lost: a worker that came, its handoffs, a worker that died. */
    test_cluster_stop(&two.lease_other, SIGINT);
    test_two_spawn(&two);
    ck_two_lease_reaches(
        &two, "SELECT count(DISTINCT lease_owner) FROM leat.leases WHERE state = 'active'", 3);
    ck_two_flows(&two, 200);
    test_two_fail_over(&two, true, 0);
    ck_two_flows(&two, 500);
    ck_two_lease_reaches(&two,
                         "SELECT count(*) FROM leat.workers WHERE state = 'alive' AND "
                         "expires_at > clock_timestamp()",
                         3);
    ck_two_lease_reaches(&two,
                         "SELECT (count(DISTINCT l.lease_owner) = 3 AND bool_and(w.state = "
                         "'alive'))::int FROM leat.leases l LEFT JOIN leat.workers w ON "
                         "w.incarnation = l.lease_owner WHERE l.state = 'active'",
                         1);
    ck_two_flows(&two, 500);
    ck_two_all_right(&two);
}
END_TEST

/* Nobody heard of the commits that were sent last, and then they are lost, or not: the promoted standby is asked, and says either. */
START_TEST(commits_without_an_answer_are_resolved_on_the_new_primary)
{
    begin(&(struct test_two_options){.shards = 4, .workers = 2, .has_standbys = true});
    test_proxy_set_mode(two.target_proxy, TEST_PROXY_SWALLOW);
    usleep(300 * 1000);
    test_proxy_set_mode(two.target_proxy, TEST_PROXY_REFUSE);
    test_two_fail_over(&two, false, 0); /* what was applied had time to be replicated */
    test_proxy_set_mode(two.target_proxy, TEST_PROXY_PASS);
    ck_two_flows(&two, 500);
    ck_two_all_right(&two);
}
END_TEST

START_TEST(commits_without_an_answer_that_are_lost)
{
    begin(&(struct test_two_options){.shards = 4, .workers = 2, .has_standbys = true});
    test_cluster_stop(&two.target_other, SIGINT);
    ck_two_flows(&two, 100);
    test_proxy_set_mode(two.target_proxy, TEST_PROXY_SWALLOW);
    usleep(300 * 1000);
    test_proxy_set_mode(two.target_proxy, TEST_PROXY_REFUSE);
    test_two_fail_over(&two, false, 0);
    test_proxy_set_mode(two.target_proxy, TEST_PROXY_PASS);
    ck_two_flows(&two, 500);
    ck_two_says(&two, "progress in the target went back");
    ck_two_all_right(&two);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_failover");
    TCase *tests = tcase_create("failover");
    int failed;

    tcase_set_timeout(tests, 200);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, the_target_loses_its_last_commits);
    tcase_add_test(tests, the_lease_database_loses_its_last_commits);
    tcase_add_test(tests, commits_without_an_answer_are_resolved_on_the_new_primary);
    tcase_add_test(tests, commits_without_an_answer_that_are_lost);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
