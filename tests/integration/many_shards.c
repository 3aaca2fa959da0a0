/*
 * A stream of more than 10,000 shards, in pages: from ListShards through the sync to rows, with a worker that then holds one of them.
 * Pages that expire in the middle, that are throttled, and whose answers are cut: the list is whole all the same.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

#define SHARDS 10500
/* A sanitizer's shadow and quarantine are its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MOST_RSS ((int64_t)2 << 30)
#else
#define MOST_RSS ((int64_t)160 << 20)
#endif

static struct test_fleet fleet;
static struct test_worker worker;

static void
begin(void)
{
    struct test_fleet_options options = {.shards = SHARDS};
    char name[40];

    snprintf(name, sizeof name, "many_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet,
                         "processors: [{ name: print, plugin: print, target: { plugin: postgres } "
                         "}]\nleases: { max_leases: 1 }\n");
}

static void
teardown(void)
{
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    test_fleet_end(&fleet);
}

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

/* What goes wrong with the listing; the first time, or with every third page for a while. */
static const struct leat_local_fault faults[] = {
    {.kind = LEAT_LOCAL_FAULT_DELAY, .action = "ListShards", .delay_us = 1, .times = 1},
    {.kind = LEAT_LOCAL_FAULT_EXPIRED_ITERATOR, .action = "ListShards", .skip = 6, .times = 1},
    {.kind = LEAT_LOCAL_FAULT_THROTTLE, .action = "ListShards", .every = 3, .times = 5},
    {.kind = LEAT_LOCAL_FAULT_CUT, .action = "ListShards", .skip = 3, .times = 2, .bytes = 5000},
};

START_TEST(ten_thousand_shards)
{
    int64_t took_us;

    begin();
    leat_local_kinesis_fault(fleet.kinesis, &faults[_i]);
    worker = test_fleet_spawn(&fleet, "w1", NULL);
    ck_reaches("SELECT count(*) FROM leat.leases", SHARDS);
    took_us = leat_clock_monotonic_us() - worker.spawned_at_us;
    /* All were made in one transaction, each with its range; the worker takes what it may, and lives. */
    ck_assert_int_eq(
        test_fleet_number(&fleet, "SELECT count(DISTINCT starting_hash_key) FROM leat.leases"),
        SHARDS);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.start_shards"), SHARDS);
    ck_reaches("SELECT count(*) FROM leat.progress", 1);
    ck_assert_int_eq(
        test_fleet_number(&fleet, "SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL"),
        1);
    printf("# %d shards in %.1f s, %.0f MB, %llu pages\n", SHARDS, (double)took_us / 1e6,
           (double)test_worker_rss_bytes(&worker) / 1e6,
           (unsigned long long)leat_local_kinesis_calls(fleet.kinesis, "ListShards"));
    fflush(stdout);
    ck_assert_int_le(test_worker_rss_bytes(&worker), MOST_RSS);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("many_shards");
    TCase *many = tcase_create("many_shards");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(many, 180);
    tcase_add_checked_fixture(many, NULL, teardown);
    tcase_add_loop_test(many, ten_thousand_shards, 0, (int)(sizeof faults / sizeof *faults));
    suite_add_tcase(suite, many);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
