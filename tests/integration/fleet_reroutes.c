/*
 * How workers find the primary again: URLs that name several hosts, files with URLs that are written anew, servers that became
 * read-only.
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

/* Multi-host URLs, and both at once. The old primaries come back as what nobody may write to. */
START_TEST(both_fail_over_and_the_urls_name_all_hosts)
{
    begin(&(struct test_two_options){
        .shards = 2, .workers = 2, .has_standbys = true, .reach = TEST_TWO_HOSTS});
    test_two_fail_over(&two, false, LEAT_SECOND_US);
    test_two_fail_over(&two, true, LEAT_SECOND_US);
    ck_two_flows(&two, 500);
    test_cluster_read_only(&two.lease_other);
    test_cluster_read_only(&two.target_other);
    test_cluster_start(&two.lease_other);
    test_cluster_start(&two.target_other);
    test_cluster_stop(&two.target, SIGQUIT);
    test_cluster_stop(&two.lease, SIGQUIT);
    usleep(LEAT_SECOND_US);
    test_cluster_start(&two.target);
    test_cluster_start(&two.lease);
    test_two_look(&two);
    ck_two_flows(&two, 500);
    ck_two_all_right(&two);
}
END_TEST

/* A proxy, an address, a name: it still leads to the old primary, which became a standby under open connections or before new
   ones. They are refused, and found again where the new one is. */
START_TEST(a_server_becomes_read_only_under_open_connections)
{
    begin(&(struct test_two_options){.shards = 2, .workers = 2});
    test_cluster_sql(&two.lease, "postgres", "ALTER SYSTEM SET default_transaction_read_only = on");
    test_cluster_sql(&two.target, "postgres",
                     "ALTER SYSTEM SET default_transaction_read_only = on");
    test_cluster_sql(&two.lease, "postgres", "SELECT pg_reload_conf()");
    test_cluster_sql(&two.target, "postgres", "SELECT pg_reload_conf()");
    ck_two_all_say(&two, "it is read-only, as a standby is");
    ck_two_says(&two, "the target is not available: waiting");
    test_cluster_sql(&two.lease, "postgres",

                     "ALTER SYSTEM RESET default_transaction_read_only");
    test_cluster_sql(&two.target, "postgres",

                     "ALTER SYSTEM RESET default_transaction_read_only");
    test_cluster_sql(&two.lease, "postgres", "SELECT pg_reload_conf()");
    test_cluster_sql(&two.target, "postgres", "SELECT pg_reload_conf()");
    ck_two_flows(&two, 500);
    ck_two_all_right(&two);
}
END_TEST

START_TEST(files_with_urls_are_read_at_each_connect)
{
    begin(&(struct test_two_options){
        .shards = 2, .workers = 2, .has_standbys = true, .reach = TEST_TWO_FILES});
    test_two_fail_over(&two, false, LEAT_SECOND_US);
    test_two_fail_over(&two, true, LEAT_SECOND_US);
    ck_two_all_say(&two, "leases cannot be worked on");
    test_two_write_files(&two);
    ck_two_all_say(&two, "leases can be worked on again");
    ck_two_flows(&two, 500);
    ck_two_all_right(&two);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_reroutes");
    TCase *tests = tcase_create("reroutes");
    int failed;

    tcase_set_timeout(tests, 200);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, both_fail_over_and_the_urls_name_all_hosts);
    tcase_add_test(tests, a_server_becomes_read_only_under_open_connections);
    tcase_add_test(tests, files_with_urls_are_read_at_each_connect);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
