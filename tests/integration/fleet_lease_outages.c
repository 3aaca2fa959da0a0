/*
 * The lease database away, the target away, both; refused, cut, stalled, with answers swallowed. Whoever
 * has a transactional target goes on without the lease database; nothing is lost or doubled, no retry of a record is used up
 * (`retries: 0`, and the ledger stays empty), and each trouble is told once when it begins and once when it is over.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/patience.h"
#include "support/slow.h"
#include "support/two_databases.h"

#include <check.h>

#define AWAY_US (8 * LEAT_SECOND_US) /* more than five lease times */
#define WORKERS 2
#define LEASES_AWAY "leases cannot be worked on"
#define LEASES_BACK "leases can be worked on again"
#define TARGET_AWAY "the target is not available: waiting"
#define TARGET_BACK "the target can be written again"

static struct test_two two;

static void
begin(void)
{
    test_two_start(&two, &(struct test_two_options){.shards = 4, .workers = WORKERS});
    /* Settled: who is about to take a shard would tell of that. */
    ck_two_lease_reaches(&two,
                         "SELECT (count(DISTINCT lease_owner) = 2 AND count(next_owner) = 0)::int "
                         "FROM leat.leases",
                         1);
    ck_two_flows(&two, 300);
}

static void
teardown(void)
{
    test_two_end(&two);
}

static void
go_away(struct test_proxy *proxy)
{
    test_proxy_set_mode(proxy, TEST_PROXY_REFUSE);
    test_proxy_cut(proxy);
}

static void
come_back(struct test_proxy *proxy)
{
    test_proxy_set_mode(proxy, TEST_PROXY_PASS);
}

/* So often, and no more. */
static void
ck_said(const char *text, unsigned times)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (test_two_count_said(&two, text) < times && leat_clock_monotonic_us() < deadline_us)
        usleep(10000);
    ck_assert_msg(test_two_count_said(&two, text) == times, "%u times, not %u: %s",
                  test_two_count_said(&two, text), times, text);
}

static void
ck_nobody_died(void)
{
    ck_assert_int_eq(test_two_count_said(&two, "was declared dead"), 0);
}

/* ---- away --------------------------------------------------------------------------------------- */

START_TEST(without_the_lease_database_records_flow)
{
    int64_t until_us;

    begin();
    go_away(two.lease_proxy);
    until_us = leat_clock_monotonic_us() + AWAY_US;
    ck_two_all_say(&two, LEASES_AWAY);
    while (leat_clock_monotonic_us() < until_us)
        ck_two_flows(&two, 50);
    come_back(two.lease_proxy);
    ck_two_all_say(&two, LEASES_BACK);
    ck_two_flows(&two, 200);
    ck_nobody_died();
    ck_said(LEASES_AWAY, WORKERS);
    ck_said(LEASES_BACK, WORKERS);
    ck_said(TARGET_AWAY, 0);
    ck_two_all_right(&two);
}
END_TEST

START_TEST(the_target_is_waited_for)
{
    begin();
    go_away(two.target_proxy);
    ck_said(TARGET_AWAY, 2 * WORKERS); /* two processors */
    usleep(AWAY_US);
    come_back(two.target_proxy);
    ck_two_all_say(&two, TARGET_BACK);
    ck_two_flows(&two, 500);
    ck_nobody_died();
    ck_said(LEASES_AWAY, 0);
    ck_said(TARGET_AWAY, 2 * WORKERS);
    ck_said(TARGET_BACK, 2 * WORKERS);
    ck_two_all_right(&two);
}
END_TEST

START_TEST(both_are_away)
{
    begin();
    go_away(two.lease_proxy);
    go_away(two.target_proxy);
    ck_two_all_say(&two, LEASES_AWAY);
    ck_two_all_say(&two, TARGET_AWAY);
    usleep(AWAY_US);
    come_back(two.target_proxy);
    ck_two_flows(&two, 500);
    come_back(two.lease_proxy);
    ck_two_all_say(&two, LEASES_BACK);
    ck_nobody_died();
    ck_said(LEASES_AWAY, WORKERS);
    ck_two_all_right(&two);
}
END_TEST

/* Who is told to end needs no lease database for it. */
START_TEST(a_worker_ends_while_the_lease_database_is_away)
{
    int64_t begun_us;

    begin();
    go_away(two.lease_proxy);
    ck_two_all_say(&two, LEASES_AWAY);
    begun_us = leat_clock_monotonic_us();
    test_worker_kill(&two.workers[0], SIGTERM);
    ck_assert_int_eq(test_worker_wait(&two.workers[0], NULL), 0);
    ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, PATIENCE_US);
    come_back(two.lease_proxy);
    ck_two_lease_reaches(&two,
                         "SELECT (count(*) = 4 AND count(DISTINCT lease_owner) = 1)::int FROM "
                         "leat.leases l JOIN leat.workers w ON w.incarnation = l.lease_owner WHERE "
                         "w.worker_id = 'w2'",
                         1);
    ck_two_flows(&two, 500);
    ck_two_all_right(&two);
}
END_TEST

/* ---- cables and answers -------------------------------------------------------------------------- */

START_TEST(stalls_are_lived_through)
{
    int64_t until_us;

    begin();
    test_proxy_set_mode(two.lease_proxy, TEST_PROXY_STALL);
    until_us = leat_clock_monotonic_us() + AWAY_US;
    while (leat_clock_monotonic_us() < until_us)
        ck_two_flows(&two, 50);
    come_back(two.lease_proxy);
    ck_two_flows(&two, 200);
    test_proxy_set_mode(two.target_proxy, TEST_PROXY_STALL);
    usleep(AWAY_US);
    come_back(two.target_proxy);
    ck_two_flows(&two, 500);
    ck_nobody_died();
    ck_two_all_right(&two);
}
END_TEST

/* Heartbeats, moves, takes and commits that the server applied, and nobody heard of it. */
START_TEST(answers_are_swallowed)
{
    begin();
    for (int i = 0; i < test_cases(12, 4); i++) {
        struct test_proxy *proxy = i % 3 == 0 ? two.lease_proxy : two.target_proxy;

        test_proxy_set_mode(proxy, TEST_PROXY_SWALLOW);
        usleep(300 * 1000);
        come_back(proxy);
        ck_two_flows(&two, 100);
    }
    test_two_spawn(&two);
    test_proxy_set_mode(two.lease_proxy, TEST_PROXY_SWALLOW);
    usleep(300 * 1000);
    come_back(two.lease_proxy);
    ck_two_lease_reaches(&two, "SELECT count(DISTINCT lease_owner) FROM leat.leases", 3);
    test_worker_kill(&two.workers[0], SIGTERM);
    test_proxy_set_mode(two.lease_proxy, TEST_PROXY_SWALLOW);
    usleep(300 * 1000);
    come_back(two.lease_proxy);
    ck_assert_int_eq(test_worker_wait(&two.workers[0], NULL), 0);
    ck_two_flows(&two, 200);
    ck_two_all_right(&two);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_lease_outages");
    TCase *tests = tcase_create("outages");
    int failed;

    tcase_set_timeout(tests, 200);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, without_the_lease_database_records_flow);
    tcase_add_test(tests, the_target_is_waited_for);
    tcase_add_test(tests, both_are_away);
    tcase_add_test(tests, a_worker_ends_while_the_lease_database_is_away);
    tcase_add_test(tests, stalls_are_lived_through);
    tcase_add_test(tests, answers_are_swallowed);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
