/*
 * Who is given what, at once: whatever changes who may run what (a worker that says a moment later what it runs, a stream that
 * appears, a processor that not all of them run) is shared out without the wait that load has to bear (15 s). Real workers.
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

/* Far above what it takes, and below what it took when it was load's turn. */
#define AT_ONCE_US (10 * LEAT_SECOND_US)
#define WORKERS 3
#define LEASES "leases: { sync_interval: 1s }\n"
#define ROLLUP "processors:\n  - { name: rollup, plugin: rollup, target: { plugin: postgres } }\n"
#define PRINT "  - { name: print, plugin: print, target: { plugin: postgres } }\n"
#define HOLDERS "SELECT count(DISTINCT lease_owner) FROM leat.leases WHERE lease_owner IS NOT NULL"
/* 1: none of so many living workers holds more than one lease more than another, and all leases are held. */
#define EVEN(workers)                                                                              \
    "SELECT (count(*) = " workers " AND max(n) - min(n) <= 1 AND NOT EXISTS (SELECT FROM "         \
    "leat.leases WHERE state = 'active' AND (lease_owner IS NULL OR next_owner IS NOT "            \
    "NULL)))::int "                                                                                \
    "FROM (SELECT w.worker_id, count(l.shard) AS n FROM leat.workers w LEFT JOIN leat.leases l "   \
    "ON "                                                                                          \
    "l.lease_owner = w.incarnation AND l.state = 'active' WHERE w.state = 'alive' GROUP BY 1) h"
#define ALL_AT(id)                                                                                 \
    "SELECT coalesce(bool_and(w.worker_id IS NOT DISTINCT FROM '" id "'), false)::int FROM "       \
    "leat.leases l LEFT JOIN leat.workers w ON w.incarnation = l.lease_owner WHERE l.state = "     \
    "'active'"

static struct test_fleet fleet;
static struct test_worker workers[WORKERS];

static void
ck_reaches(const char *sql, int64_t wanted, int64_t within_us)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, leat_clock_monotonic_us() + within_us))
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

/* points: NULL: none. */
static void
start_worker(int index, const char *points)
{
    static const char *const ids[WORKERS] = {"w1", "w2", "w3"};

    if (points != NULL)
        setenv("LEAT_POINTS", points, 1);
    workers[index] = test_fleet_spawn(&fleet, ids[index], NULL);
    unsetenv("LEAT_POINTS");
}

static void
setup(void)
{
    struct test_fleet_options options = {.shards = 9};
    char name[40];

    snprintf(name, sizeof name, "shares_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    memset(workers, 0, sizeof workers);
}

static void
teardown(void)
{
    for (int i = 0; i < WORKERS; i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    test_fleet_end(&fleet);
}

/* They are there before any stream is known, and say what they run when the first one has everything. */
START_TEST(who_says_it_late_is_given_his_share_at_once)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    test_fleet_configure(&fleet, LEASES ROLLUP);
    for (int i = 1; i <= 1 + _i; i++) {
        start_worker(i, "lease.registered=stop");
        ck_assert(test_worker_is_stopped(&workers[i], deadline_us));
    }
    start_worker(0, NULL);
    ck_reaches(ALL_AT("w1"), 1, PATIENCE_US);
    for (int i = 1; i <= 1 + _i; i++)
        test_worker_kill(&workers[i], SIGCONT);
    ck_reaches(_i == 0 ? EVEN("2") : EVEN("3"), 1, AT_ONCE_US);
}
END_TEST

/* Two of three are a moment late with everything that they say. */
START_TEST(a_stream_that_appears_is_shared_out_at_once)
{
    struct leat_error err;

    fleet.streams = "events, more";
    test_fleet_configure(&fleet, LEASES ROLLUP);
    start_worker(0, NULL);
    start_worker(1, "lease.publish=pause:700ms");
    start_worker(2, "lease.publish=pause:1400ms");
    ck_reaches(EVEN("3"), 1, PATIENCE_US);
    ck_assert_int_eq(leat_local_kinesis_create_stream(fleet.kinesis, "more", 9, &err), 0);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL", 18, PATIENCE_US);
    ck_reaches(EVEN("3"), 1, AT_ONCE_US);
}
END_TEST

static void
set_state(const char *state)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_buf_printf(&command, "$LEAT processors %s print -c $DIR/leat.yaml%s", state,
                    strcmp(state, "retire") == 0 ? " --force" : "");
    free(test_fleet_shell(&fleet, leat_buf_text(&command)));
}

/* The first runs two processors, the second one of them: while both are active all is the first one's. */
START_TEST(what_a_pause_allows_is_shared_out_at_once)
{
    test_fleet_configure(&fleet, LEASES ROLLUP PRINT);
    start_worker(0, NULL);
    ck_reaches(HOLDERS, 1, PATIENCE_US);
    test_fleet_reconfigure(&fleet, LEASES ROLLUP);
    start_worker(1, NULL);
    ck_reaches("SELECT count(*) FROM leat.workers WHERE state = 'alive'", 2, PATIENCE_US);
    for (int round = 0; round < 2; round++) {
        ck_reaches(ALL_AT("w1"), 1, AT_ONCE_US);
        set_state("pause");
        ck_reaches(EVEN("2"), 1, AT_ONCE_US);
        if (round == 0)
            set_state("resume");
    }
    set_state("retire");
    ck_reaches(EVEN("2"), 1, AT_ONCE_US);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fleet_shares");
    TCase *tests = tcase_create("fleet_shares");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, who_says_it_late_is_given_his_share_at_once, 0, 2);
    tcase_add_test(tests, a_stream_that_appears_is_shared_out_at_once);
    tcase_add_test(tests, what_a_pause_allows_is_shared_out_at_once);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
