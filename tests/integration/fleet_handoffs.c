/*
 * Handing over with real workers: a call that hangs holds up its own shard's handoff for `drain` alone, SIGTERM the same; nobody
 * is called twice at once for a shard; what the hanging call says when it returns does not count. And half-done handoffs are
 * finished by whoever is there: target dead, source dead, both, forced.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "stream/shard.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

#define SHARDS 4
#define HANGING 666

static struct test_fleet fleet;
static struct test_worker workers[3];
static int64_t records_put;
static char hanging_shard[64];

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    test_fleet_dump(&fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

/* force_after and drain_timeout are far away: what these tests wait for must come without them. */
static void
begin(void)
{
    struct test_fleet_options options = {.shards = SHARDS};
    LEAT_AUTO_BUF yaml = LEAT_BUF_INIT;
    char name[40];

    snprintf(name, sizeof name, "handoffs_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    leat_buf_printf(&yaml,
                    "leases: { heartbeat: 300ms, expiry: 1500ms, force_after: 100s }\n"
                    "shutdown: { drain_timeout: 100s }\nthreads: { workers: 4 }\n"
                    "processors:\n"
                    "  - { name: flaky, plugin: %s/badplugins/flaky.so, options: { hang: [%d] }, "
                    "batch: { records: 10, deadline: 100s }, target: { plugin: postgres } }\n",
                    getenv("LEAT_BUILD"), HANGING);
    test_fleet_configure(&fleet, leat_buf_text(&yaml));
}

static void
teardown(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    test_fleet_end(&fleet);
}

static void
start_worker(int index, const char *hang_while)
{
    static const char *const ids[] = {"w1", "w2", "w3"};
    char hang[200];

    snprintf(hang, sizeof hang, "processors.flaky.options.hang_while=%s", hang_while);
    workers[index] = test_fleet_spawn(&fleet, ids[index], (const char *[]){"--set", hang, NULL});
}

static void
put(int64_t device)
{
    char data[64], key[32];
    int size =
        snprintf(data, sizeof data, "%lld %lld", (long long)device, (long long)records_put++);

    snprintf(key, sizeof key, "device-%lld", (long long)device);
    test_fleet_put(&fleet, leat_slice_from(key), leat_slice_make(data, (size_t)size));
}

static void
put_some(void)
{
    for (int64_t device = 0; device < 100; device++)
        put(device);
}

static void
owns(const char *id, const char *condition, int64_t wanted)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(&sql,
                    "SELECT count(*) FROM leat.leases l JOIN leat.workers w ON w.incarnation = "
                    "l.lease_owner WHERE w.worker_id = '%s' AND w.state = 'alive' AND %s",
                    id, condition);
    ck_reaches(leat_buf_text(&sql), wanted);
}

/* The file that makes w1 hang; which shard it is that hangs. */
static const char *
begin_to_hang(void)
{
    static char file[160];
    char *made;

    made = test_fleet_shell(&fleet, "touch $DIR/hang; echo -n $DIR/hang");
    snprintf(file, sizeof file, "%s", made);
    free(made);
    return file;
}

static void
find_hanging_shard(void)
{
    struct leat_hash_key hash;
    char key[32];

    /* The four share the hash keys evenly. */
    snprintf(key, sizeof key, "device-%d", HANGING);
    leat_hash_key_of(leat_slice_from(key), &hash);
    snprintf(hanging_shard, sizeof hanging_shard, "shardId-%012d", (int)(hash.high >> 62));
    ck_reaches("SELECT (count(*) >= 60)::int FROM flaky", 1);
    put_some();
    ck_reaches("SELECT (count(*) >= 120)::int FROM flaky", 1);
    usleep(500000); /* to be in its call: else it moves in peace, which is right, too */
}

static void
ck_all_right(void)
{
    ck_reaches("SELECT count(*) FROM flaky", records_put);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM flaky WHERE times <> 1"), 0);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.failures"), 0);
}

static void
stop_hanging(void)
{
    free(test_fleet_shell(&fleet, "rm $DIR/hang"));
}

START_TEST(a_call_that_hangs_does_not_hold_up_sigterm)
{
    const char *file;
    int status;

    begin();
    file = begin_to_hang();
    start_worker(0, file);
    owns("w1", "true", SHARDS);
    put_some();
    put(HANGING);
    find_hanging_shard();
    start_worker(1, "");
    owns("w2", "true", 1);
    test_worker_kill(&workers[0], SIGTERM);
    owns("w2", "true", SHARDS);
    put_some();
    ck_all_right();
    /* It ends when the call returns, and well. */
    stop_hanging();
    status = test_worker_wait(&workers[0], NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    ck_all_right();
}
END_TEST

START_TEST(a_shard_that_comes_back_waits_for_the_call_that_hangs)
{
    const char *file;
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    LEAT_AUTO_BUF shard = LEAT_BUF_INIT;

    begin();
    file = begin_to_hang();
    start_worker(0, file);
    owns("w1", "true", SHARDS);
    put_some();
    put(HANGING);
    find_hanging_shard();
    start_worker(1, "");
    owns("w2", "true", SHARDS / 2);
    owns("w1", "next_owner IS NULL", SHARDS / 2);
    leat_buf_printf(&shard, "shard = '%s'", hanging_shard);
    leat_buf_printf(
        &sql,
        "UPDATE leat.leases SET next_owner = (SELECT incarnation FROM leat.workers WHERE worker_id "
        "= 'w2'), handoff_at = clock_timestamp() WHERE shard = '%s' AND lease_owner = (SELECT "
        "incarnation FROM leat.workers WHERE worker_id = 'w1'); UPDATE leat.applications SET "
        "assignment_version = assignment_version + 1",
        hanging_shard);
    test_fleet_sql(&fleet, leat_buf_text(&sql));
    owns("w2", leat_buf_text(&shard), 1);
    put_some();
    ck_all_right();
    /* And back: the old call is still there. The other shards flow, this one when it has returned. */
    test_worker_kill(&workers[1], SIGTERM);
    test_worker_wait(&workers[1], NULL);
    owns("w1", "true", SHARDS);
    put_some();
    put(HANGING);
    ck_reaches("SELECT (count(*) > 360)::int FROM flaky", 1);
    usleep(500000);
    ck_assert(test_fleet_number(&fleet, "SELECT count(*) FROM flaky") < records_put);
    stop_hanging();
    ck_all_right();
    ck_assert(!test_worker_says(&workers[0], "two calls at once", 0));
}
END_TEST

/* ---- half-done ones ------------------------------------------------------------------------------ */

/* w1 is asked to hand all over to somebody, and cannot answer. */
static void
freeze_in_a_handoff(const char *to)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    test_worker_kill(&workers[0], SIGSTOP);
    leat_buf_printf(
        &sql,
        "UPDATE leat.leases SET next_owner = (SELECT incarnation FROM leat.workers WHERE worker_id "
        "= '%s'), handoff_at = clock_timestamp() WHERE lease_owner = (SELECT incarnation FROM "
        "leat.workers WHERE worker_id = 'w1'); UPDATE leat.applications SET assignment_version = "
        "assignment_version + 1",
        to);
    test_fleet_sql(&fleet, leat_buf_text(&sql));
}

START_TEST(a_half_done_handoff_is_finished_by_any_pass)
{
    bool dies_target = _i & 1, dies_source = _i & 2;

    begin();
    for (int i = 0; i < 3; i++)
        start_worker(i, "");
    ck_reaches("SELECT count(DISTINCT lease_owner) FROM leat.leases WHERE next_owner IS NULL", 3);
    put_some();
    ck_all_right();
    freeze_in_a_handoff("w2");
    if (dies_target)
        test_worker_kill(&workers[1], SIGKILL);
    if (dies_source)
        test_worker_kill(&workers[0], SIGKILL);
    else
        test_worker_kill(&workers[0], SIGCONT);
    put_some();
    ck_reaches("SELECT (count(*) FILTER (WHERE w.state = 'alive' AND l.next_owner IS NULL) = "
               "count(*))::int FROM leat.leases l LEFT JOIN leat.workers w ON w.incarnation = "
               "l.lease_owner",
               1);
    ck_all_right();
}
END_TEST

/* A source that never answers but lives (its heartbeat goes on): forced past its limit. */
START_TEST(a_handoff_is_forced)
{
    int64_t forced = 0;

    begin();
    for (int i = 0; i < 2; i++)
        workers[i] = test_fleet_spawn(&fleet, i == 0 ? "w1" : "w2",
                                      (const char *[]){"--set", "leases.force_after=1s", "--set",
                                                       "leases.notify=false", NULL});
    ck_reaches("SELECT count(DISTINCT lease_owner) FROM leat.leases WHERE next_owner IS NULL", 2);
    /* The version does not move, so owners hear of it when they read their leases, each 10 s. If that is now they let go by
       themselves: then once more. */
    for (int round = 0; round < 5 && forced == 0; round++) {
        test_fleet_sql(&fleet,
                       "UPDATE leat.leases l SET next_owner = (SELECT w.incarnation FROM "
                       "leat.workers w WHERE w.state = 'alive' AND w.incarnation <> l.lease_owner "
                       "LIMIT 1), handoff_at = clock_timestamp() - interval '2 s'");
        ck_reaches("SELECT count(*) FROM leat.leases WHERE next_owner IS NULL", SHARDS);
        forced =
            test_fleet_number(&fleet, "SELECT count(*) FROM leat.lease_moves WHERE why = 'forced'");
    }
    ck_assert_int_gt(forced, 0);
    put_some();
    ck_all_right();
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_handoffs");
    TCase *tests = tcase_create("handoffs");
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, a_call_that_hangs_does_not_hold_up_sigterm);
    tcase_add_test(tests, a_shard_that_comes_back_waits_for_the_call_that_hangs);
    tcase_add_loop_test(tests, a_half_done_handoff_is_finished_by_any_pass, 0, 4);
    tcase_add_test(tests, a_handoff_is_forced);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
