/*
 * Leases with real workers: two or three of them share a stream while records are put all the time. Whatever happens to a worker
 * or to a shard, each record is counted once (rollup), and the records of a key are committed in the order in which they were
 * put (print, with a column that numbers the commits). Each test runs twice: with NOTIFY and session locks, and without.
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
#include "support/steady.h"

#include <check.h>

#define SHARDS 6
#define LEASE_US (1500 * LEAT_MS_US)

static const char *const bare_arguments[] = {
    "--set", "leases.heartbeat=300ms", "--set", "leases.expiry=1500ms",
    "--set", "leases.notify=false",    "--set", "leases.session_lock=false",
    NULL};
static const char *const arguments[] = {"--set", "leases.heartbeat=300ms", "--set",
                                        "leases.expiry=1500ms", NULL};

static struct test_fleet fleet;
static struct test_worker workers[4];
static struct test_steady steady;
static bool is_bare;

/* ---- questions ---------------------------------------------------------------------------------- */

static int64_t
soon(void)
{
    return leat_clock_monotonic_us() + PATIENCE_US;
}

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, soon()))
        return;
    test_fleet_dump(&fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

#define HOLDERS                                                                                    \
    "(SELECT w.worker_id, count(l.shard) AS held FROM leat.workers w LEFT JOIN leat.leases l "     \
    "ON l.lease_owner = w.incarnation AND l.state = 'active' WHERE w.state = 'alive' GROUP BY 1) " \
    "h"

/* So many workers share all active leases, nobody has more than one more than another, and no handoff is under way. */
static void
ck_balanced(int alive)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(
        &sql,
        "SELECT (count(*) = %d AND max(held) - min(held) <= 1 AND sum(held) = (SELECT "
        "count(*) FROM leat.leases WHERE state = 'active' AND next_owner IS NULL))::int "
        "FROM " HOLDERS,
        alive);
    ck_reaches(leat_buf_text(&sql), 1);
}

/* ---- a worker's life ----------------------------------------------------------------------------- */

static void
start_worker(int index)
{
    static const char *const ids[] = {"w1", "w2", "w3", "w4"};

    workers[index] = test_fleet_spawn(&fleet, ids[index], is_bare ? bare_arguments : arguments);
}

static void
end_worker(int index)
{
    int status;

    test_worker_kill(&workers[index], SIGTERM);
    status = test_worker_wait(&workers[index], NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

static int64_t
incarnation_of(const char *id)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(&sql, "SELECT incarnation FROM leat.workers WHERE worker_id = '%s'", id);
    return test_fleet_number(&fleet, leat_buf_text(&sql));
}

static void
begin(int mode)
{
    struct test_fleet_options options = {.shards = SHARDS};
    char name[40];

    snprintf(name, sizeof name, "leases_%d", (int)getpid());
    options.database = name;
    is_bare = mode == 1;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, TEST_STEADY_PROCESSORS);
    steady.fleet = &fleet;
    test_steady_prepare(&steady);
    test_steady_start(&steady);
}

static void
begin_with_two(int mode)
{
    begin(mode);
    start_worker(0);
    start_worker(1);
    ck_balanced(2);
    ck_steady_flows(&steady);
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

/* ---- joining and leaving -------------------------------------------------------------------------- */

START_TEST(workers_join_and_leave)
{
    begin(_i);
    start_worker(0);
    ck_balanced(1);
    ck_steady_flows(&steady);
    ck_assert(test_worker_says(&workers[0], "shards taken", soon()));
    start_worker(1);
    ck_balanced(2);
    ck_steady_flows(&steady);
    /* Who lost some and who has them now says so, by name. */
    ck_assert(test_worker_says(&workers[0], "shards let go", soon()));
    ck_assert(test_worker_says(&workers[1], "shards taken", soon()));
    ck_assert(test_worker_says(&workers[1], "shardId-00000000000", 0));
    start_worker(2);
    ck_balanced(3);
    ck_steady_flows(&steady);
    end_worker(0);
    ck_balanced(2);
    ck_steady_flows(&steady);
    end_worker(2);
    ck_balanced(1);
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

START_TEST(a_killed_worker_is_replaced)
{
    begin_with_two(_i);
    test_worker_kill(&workers[0], SIGKILL);
    test_worker_wait(&workers[0], NULL);
    ck_balanced(1);
    ck_steady_flows(&steady);
    /* The same name again: it was declared dead, or its lease time is waited for. */
    start_worker(0);
    ck_balanced(2);
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

/* Frozen past its lease, with batches and commits under way: its shards run elsewhere; when it wakes up nothing of what it had
   gets in, it says why, and works again under a new incarnation. */
START_TEST(a_frozen_worker_comes_back_as_another)
{
    int64_t incarnation;

    begin_with_two(_i);
    incarnation = incarnation_of("w1");
    test_worker_kill(&workers[0], SIGSTOP);
    usleep(3 * LEASE_US);
    ck_balanced(1);
    ck_steady_flows(&steady);
    test_worker_kill(&workers[0], SIGCONT);
    ck_assert(test_worker_says(&workers[0], "declared dead", soon()));
    ck_balanced(2);
    ck_steady_flows(&steady);
    ck_assert(incarnation_of("w1") != incarnation);
    ck_steady_all_right(&steady);
}
END_TEST

/* Frozen inside a transaction of the lease database, with its locks: the server ends its session, and the others go on. */
START_TEST(a_worker_frozen_in_a_transaction_holds_up_nobody)
{
    char points[40];

    begin(0);
    snprintf(points, sizeof points, "lease.finish=stop@%d", _i);
    setenv("LEAT_POINTS", points, 1);
    start_worker(0);
    unsetenv("LEAT_POINTS");
    ck_assert(test_worker_is_stopped(&workers[0], soon()));
    start_worker(1);
    ck_reaches("SELECT count(*) FROM leat.workers WHERE worker_id = 'w2' AND state = 'alive'", 1);
    ck_balanced(1);
    ck_steady_flows(&steady);
    test_worker_kill(&workers[0], SIGCONT);
    ck_balanced(2);
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

/* ---- shards ---------------------------------------------------------------------------------------- */

#define ENDED "SELECT count(*) FROM leat.leases WHERE state = 'ended'"
#define ACTIVE "SELECT count(*) FROM leat.leases WHERE state = 'active'"

static void
split(const char *shard)
{
    struct leat_error err;

    ck_assert_msg(leat_local_kinesis_split(fleet.kinesis, TEST_FLEET_STREAM, shard, &err) == 0,
                  "%s", err.text);
}

static void
merge(const char *shard, const char *adjacent)
{
    struct leat_error err;

    ck_assert_msg(
        leat_local_kinesis_merge(fleet.kinesis, TEST_FLEET_STREAM, shard, adjacent, &err) == 0,
        "%s", err.text);
}

START_TEST(shards_split_and_merge)
{
    begin_with_two(_i);
    split("shardId-000000000000"); /* -> 6, 7 */
    ck_reaches(ENDED, 1);
    ck_balanced(2);
    ck_steady_flows(&steady);
    merge("shardId-000000000002", "shardId-000000000003"); /* -> 8 */
    ck_reaches(ENDED, 3);
    ck_balanced(2);
    merge("shardId-000000000006", "shardId-000000000007"); /* -> 9: children of children */
    split("shardId-000000000008");                         /* -> 10, 11 */
    ck_reaches(ENDED, 6);
    ck_assert_int_eq(test_fleet_number(&fleet, ACTIVE), 6);
    ck_balanced(2);
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

/* Killed between the steps of a shard's end: the children's leases are there, SHARD_END is not. */
START_TEST(killed_at_a_shards_end)
{
    begin(_i);
    setenv("LEAT_POINTS", "lease.children.after=crash@1", 1);
    start_worker(0);
    ck_balanced(1);
    ck_steady_flows(&steady);
    split("shardId-000000000001");
    ck_assert(WIFSIGNALED(test_worker_wait(&workers[0], NULL)));
    ck_assert_int_eq(test_fleet_number(&fleet, ENDED), 0);
    /* The next one dies behind SHARD_END's commit: the fifth flush at the earliest, whenever that is. */
    setenv("LEAT_POINTS", "lease.children.after=pause:300ms", 1);
    start_worker(1);
    ck_reaches("SELECT count(*) FROM leat.progress WHERE checkpoint = 'SHARD_END'", 1);
    test_worker_kill(&workers[1], SIGKILL);
    test_worker_wait(&workers[1], NULL);
    unsetenv("LEAT_POINTS");
    start_worker(2);
    ck_reaches(ENDED, 1);
    ck_balanced(1);
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

/* ---- a name that is taken ------------------------------------------------------------------------- */

START_TEST(a_worker_id_in_use_is_refused)
{
    struct test_worker second;
    int status;

    begin(_i);
    start_worker(0);
    ck_balanced(1);
    second = workers[0];
    second = test_fleet_spawn(&fleet, "w1", is_bare ? bare_arguments : arguments);
    status = test_worker_wait(&second, NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %d", status);
    ck_assert(test_worker_says(&second, "worker id \"w1\" is in use: it runs on host ", 0));
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_leases");
    TCase *tests = tcase_create("leases");
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_loop_test(tests, workers_join_and_leave, 0, 2);
    tcase_add_loop_test(tests, a_killed_worker_is_replaced, 0, 2);
    tcase_add_loop_test(tests, a_frozen_worker_comes_back_as_another, 0, 2);
    tcase_add_loop_test(tests, a_worker_frozen_in_a_transaction_holds_up_nobody, 1, 4);
    tcase_add_loop_test(tests, shards_split_and_merge, 0, 2);
    tcase_add_loop_test(tests, killed_at_a_shards_end, 0, 2);
    tcase_add_loop_test(tests, a_worker_id_in_use_is_refused, 0, 2);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
