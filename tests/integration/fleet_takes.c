/* A shard that is taken again and again without a commit is told, with real workers, when there is something to read. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/fleet.h"
#include "support/postgres.h"

#include <check.h>

#define PATIENCE_US (60 * LEAT_SECOND_US)
#define TOLD "a shard is taken again and again without a commit"

static struct test_fleet fleet;
static struct test_worker worker;

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    test_fleet_dump(&fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

static void
teardown(void)
{
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    test_fleet_end(&fleet);
}

START_TEST(a_shard_that_is_taken_again_and_again_is_told)
{
    struct test_fleet_options options = {.shards = 1};
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    char name[40];

    snprintf(name, sizeof name, "takes_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(
        &fleet, "processors:\n  - { name: print, plugin: print, target: { plugin: postgres } }\n");
    /* Idle: taken by one worker after the other. */
    for (int round = 0; round < 5; round++) {
        worker = test_fleet_spawn(&fleet, "w1", NULL);
        ck_reaches("SELECT count(*) FROM leat.progress p JOIN leat.leases l USING (shard) WHERE "
                   "l.lease_owner = p.lease_owner AND l.lease_counter = p.lease_counter",
                   1);
        test_worker_kill(&worker, SIGTERM);
        test_worker_wait(&worker, NULL);
    }
    test_worker_log(&worker, &log);
    ck_assert(strstr(leat_buf_text(&log), TOLD) == NULL);
    /* And now there is something to read. */
    test_fleet_sql(&fleet, "UPDATE leat.progress SET takes = 6");
    test_fleet_put(&fleet, leat_slice_from("key"), leat_slice_from("data"));
    worker = test_fleet_spawn(&fleet, "w1", NULL);
    ck_assert(test_worker_says(&worker, TOLD, leat_clock_monotonic_us() + PATIENCE_US));
    ck_assert(test_worker_says(&worker, "taken 7 times since its last commit",
                               leat_clock_monotonic_us() + PATIENCE_US));
    ck_assert(test_worker_says(&worker, "\"shard\":\"shardId-000000000000\"",
                               leat_clock_monotonic_us() + PATIENCE_US));
    ck_reaches("SELECT count(*) FROM leat.progress WHERE takes = 0", 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fleet_takes");
    TCase *tests = tcase_create("fleet_takes");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, a_shard_that_is_taken_again_and_again_is_told);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
