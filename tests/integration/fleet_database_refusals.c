/*
 * Databases that refuse: full (53300), without a right (42501), on their way down (57P03); and roles with
 * settings of their own. And how many connections a worker has, settled and after cuts.
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

#define AWAY_US (8 * LEAT_SECOND_US)
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

/* ---- refusals ------------------------------------------------------------------------------------ */

/* 53300: somebody else has all connections of the server. */
START_TEST(a_server_that_is_full_is_waited_for)
{
    struct leat_pg_connection *others[64];
    struct leat_pg_options options = {.search_path = "public", .application_name = "others"};
    struct leat_error err;
    char url[160];
    int count = 0;

    test_two_start(&two, &(struct test_two_options){.shards = 4,
                                                    .workers = WORKERS,
                                                    .has_role = true,
                                                    .target_settings = "max_connections=24\n"});
    test_cluster_url(&two.target, "leat", url, sizeof url);
    options.url = url;
    go_away(two.target_proxy);
    ck_two_all_say(&two, TARGET_AWAY);
    while (count < 64 && leat_pg_connect(&options, &others[count], &err) == 0)
        count++;
    ck_assert_int_lt(count, 64);
    come_back(two.target_proxy);
    usleep(AWAY_US / 2);
    while (count > 0)
        leat_pg_close(others[--count]);
    ck_two_all_say(&two, TARGET_BACK);
    ck_two_flows(&two, 500);
    ck_two_all_right(&two);
}
END_TEST

/* 42501: a right is taken away, and given back. */
START_TEST(a_right_that_is_lost_is_waited_for)
{
    int64_t before;

    test_two_start(&two,
                   &(struct test_two_options){.shards = 4, .workers = WORKERS, .has_role = true});
    test_fleet_sql(&two.fleet, "REVOKE UPDATE ON leat.workers FROM worker");
    ck_two_all_say(&two, LEASES_AWAY);
    ck_two_says(&two, "permission denied for table workers");
    ck_two_flows(&two, 200);
    test_fleet_sql(&two.fleet, "GRANT UPDATE ON leat.workers TO worker");
    ck_two_all_say(&two, LEASES_BACK);
    test_cluster_sql(&two.target, "leat", "REVOKE INSERT ON records FROM worker");
    ck_two_all_say(&two, "the target refuses to be written");
    ck_two_says(&two, "permission denied for table records");
    before = test_two_target_number(&two, "SELECT count(*) FROM records");
    ck_two_target_reaches(&two, "SELECT sum(count)::int8 FROM rollup", before + 500);
    test_cluster_sql(&two.target, "leat", "GRANT INSERT ON records TO worker");
    ck_two_all_say(&two, TARGET_BACK);
    ck_two_flows(&two, 500);
    ck_two_all_right(&two);
}
END_TEST

/* 57P03: a server that is on its way down lets nobody in any more, while who is in may stay. */
START_TEST(a_server_that_shuts_down_is_waited_for)
{
    test_two_start(&two,
                   &(struct test_two_options){.shards = 4, .workers = WORKERS, .has_role = true});
    ck_assert_int_eq(kill(two.target.pid, SIGTERM), 0);
    ck_assert_int_eq(kill(two.lease.pid, SIGTERM), 0);
    test_proxy_cut(two.target_proxy);
    test_proxy_cut(two.lease_proxy);
    ck_two_all_say(&two, "the database system is shutting down");
    ck_two_all_say(&two, TARGET_AWAY);
    usleep(AWAY_US / 4);
    test_cluster_stop(&two.target, SIGINT);
    test_cluster_stop(&two.lease, SIGINT);
    test_cluster_start(&two.target);
    test_cluster_start(&two.lease);
    test_two_look(&two);
    ck_two_all_say(&two, TARGET_BACK);
    ck_two_flows(&two, 500);
    ck_two_all_right(&two);
}
END_TEST

/* ---- what a role brings with it ------------------------------------------------------------------ */

#define UNKIND_SETTINGS                                                                            \
    "ALTER ROLE worker SET default_transaction_isolation = 'serializable';"                        \
    "ALTER ROLE worker SET statement_timeout = '20ms';"                                            \
    "ALTER ROLE worker SET lock_timeout = '5ms';"                                                  \
    "ALTER ROLE worker SET DateStyle = 'SQL, DMY';"                                                \
    "ALTER ROLE worker SET IntervalStyle = 'sql_standard';"                                        \
    "ALTER ROLE worker SET TimeZone = 'Asia/Kathmandu';"                                           \
    "ALTER ROLE worker SET bytea_output = 'escape';"                                               \
    "ALTER ROLE worker SET extra_float_digits = -3;"                                               \
    "ALTER ROLE worker SET quote_all_identifiers = on;"                                            \
    "ALTER ROLE worker SET search_path = pg_catalog, public"

/* Administrators set what they like for a role. The protocol was thought for READ COMMITTED and limits of its own. */
START_TEST(settings_of_a_role_change_nothing)
{
    test_two_start(&two,
                   &(struct test_two_options){.shards = 4, .workers = WORKERS, .has_role = true});
    test_cluster_sql(&two.lease, "leat", UNKIND_SETTINGS);
    test_cluster_sql(&two.target, "leat", UNKIND_SETTINGS);
    test_proxy_cut(two.lease_proxy);
    test_proxy_cut(two.target_proxy);
    ck_two_flows(&two, 500);
    /* Its shards move, and move back. */
    test_worker_kill(&two.workers[0], SIGSTOP);
    ck_two_lease_reaches(
        &two, "SELECT count(*) FROM leat.workers WHERE worker_id = 'w1' AND state = 'dead'", 1);
    test_worker_kill(&two.workers[0], SIGCONT);
    ck_two_says(&two, "was declared dead");
    ck_two_flows(&two, 1000);
    ck_assert_uint_eq(test_two_count_said(&two, "could not serialize"), 0);
    ck_assert_uint_eq(test_two_count_said(&two, "statement timeout"), 0);
    ck_two_all_right(&two);
}
END_TEST

/* ---- how many connections ------------------------------------------------------------------------ */

/* As docs/operations.md says: a session and one more for each worker, a third one while it looks for streams and shards; one for
   each committer, a second one for moments. The server's ends of those that were cut may last longer than new ones take: what leaks
   stays, and is more with each cut. */
static void
ck_connections(void)
{
    LEAT_AUTO_BUF leases = LEAT_BUF_INIT;
    LEAT_AUTO_BUF target = LEAT_BUF_INIT;

    leat_buf_printf(&leases,
                    "SELECT (coalesce(max(n), 0) <= %d)::int FROM (SELECT count(*) AS n FROM "
                    "pg_stat_activity WHERE application_name IN ('leat session', 'leat manager', "
                    "'leat sync') GROUP BY application_name) a",
                    WORKERS);
    ck_two_lease_reaches(&two, leat_buf_text(&leases), 1);
    leat_buf_printf(&target,
                    "SELECT (count(*) FILTER (WHERE application_name = 'leat committer') <= %d AND "
                    "count(*) FILTER (WHERE application_name LIKE 'leat %%') <= %d)::int FROM "
                    "pg_stat_activity",
                    2 * WORKERS, 4 * WORKERS);
    ck_two_target_reaches(&two, leat_buf_text(&target), 1);
}

START_TEST(connections_are_few_and_fixed)
{
    begin();
    ck_two_lease_reaches(&two,
                         "SELECT (count(*) FILTER (WHERE application_name = 'leat session') = 2 "
                         "AND count(*) FILTER (WHERE application_name = 'leat manager') = 2 AND "
                         "count(*) FILTER (WHERE application_name LIKE 'leat %') = 4)::int FROM "
                         "pg_stat_activity",
                         1);
    ck_two_target_reaches(&two,
                          "SELECT (count(*) FILTER (WHERE application_name = 'leat committer') = 4 "
                          "AND count(*) FILTER (WHERE application_name LIKE 'leat %') = 4)::int "
                          "FROM pg_stat_activity",
                          1);
    for (int i = 0; i < test_cases(10, 3); i++) {
        test_proxy_cut(two.lease_proxy);
        test_proxy_cut(two.target_proxy);
        ck_two_flows(&two, 30);
        ck_connections();
    }
    ck_two_all_right(&two);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_database_refusals");
    TCase *tests = tcase_create("refusals");
    int failed;

    tcase_set_timeout(tests, 200);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, a_server_that_is_full_is_waited_for);
    tcase_add_test(tests, a_right_that_is_lost_is_waited_for);
    tcase_add_test(tests, a_server_that_shuts_down_is_waited_for);
    tcase_add_test(tests, settings_of_a_role_change_nothing);
    tcase_add_test(tests, connections_are_few_and_fixed);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
