/*
 * Resharding at full load, with real workers: shards are split and merged over several generations while workers come, go and die
 * at each step of a shard's end. Whatever happens, each record is counted once (rollup), the records of a key are committed in
 * the order in which they were put, also where the key moves from a shard to its child (print), and each processor began a child
 * behind its parents.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"
#include "support/steady.h"

#include <check.h>

#define MOST_SHARDS 64

static const char *const arguments[] = {"--set", "leases.heartbeat=300ms", "--set",
                                        "leases.expiry=1500ms", NULL};

static struct test_fleet fleet;
static struct test_worker workers[4];
static struct test_steady steady;

/* The open shards, by hash range: what can be split, and which lie side by side. */
static struct {
    int numbers[MOST_SHARDS];
    int count, next;
} ring;

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

/* ---- the stream --------------------------------------------------------------------------------- */

static const char *
shard_name(int number, char text[32])
{
    snprintf(text, 32, "shardId-%012d", number);
    return text;
}

static void
split(int place)
{
    struct leat_error err;
    char name[32];

    ck_assert_msg(leat_local_kinesis_split(fleet.kinesis, TEST_FLEET_STREAM,
                                           shard_name(ring.numbers[place], name), &err) == 0,
                  "%s", err.text);
    for (int i = ring.count; i > place + 1; i--)
        ring.numbers[i] = ring.numbers[i - 1];
    ring.numbers[place] = ring.next++;
    ring.numbers[place + 1] = ring.next++;
    ring.count++;
}

/* With its right neighbour. */
static void
merge(int place)
{
    struct leat_error err;
    char name[32], adjacent[32];

    ck_assert_msg(leat_local_kinesis_merge(
                      fleet.kinesis, TEST_FLEET_STREAM, shard_name(ring.numbers[place], name),
                      shard_name(ring.numbers[place + 1], adjacent), &err) == 0,
                  "%s", err.text);
    ring.numbers[place] = ring.next++;
    for (int i = place + 1; i + 1 < ring.count; i++)
        ring.numbers[i] = ring.numbers[i + 1];
    ring.count--;
}

static int
closed_shards(void)
{
    return ring.next - ring.count;
}

/* All closed shards are ended, by both processors, and nobody began a child before that. */
static void
ck_ended(void)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    ck_reaches("SELECT count(*) FROM leat.leases WHERE state = 'ended' AND cardinality(ended_by) = "
               "2",
               closed_shards());
    leat_buf_printf(&sql,
                    "SELECT (count(*) = %d)::int FROM leat.progress WHERE checkpoint = 'SHARD_END'",
                    2 * closed_shards());
    ck_assert_int_eq(test_fleet_number(&fleet, leat_buf_text(&sql)), 1);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM public.early"), 0);
}

/* ---- workers --------------------------------------------------------------------------------------- */

static void
start_worker(int index)
{
    static const char *const ids[] = {"w1", "w2", "w3", "w4"};

    workers[index] = test_fleet_spawn(&fleet, ids[index], arguments);
}

/* Both processors are in all shards, and go on. */
static void
ck_all_flow(void)
{
    ck_reaches("SELECT count(*) FROM leat.progress WHERE checkpoint <> 'SHARD_END'",
               2 * ring.count);
    ck_steady_flows(&steady);
}

static void
kill_worker(int index)
{
    test_worker_kill(&workers[index], SIGKILL);
    test_worker_wait(&workers[index], NULL);
}

/* A child's progress that is there while a parent's of the same processor is not at its end: written down by the target itself. */
static void
watch_parents(void)
{
    test_fleet_sql(
        &fleet,
        "CREATE TABLE public.early (processor text, shard text, parent text);"
        "CREATE FUNCTION public.watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO public.early SELECT NEW.processor, NEW.shard, q.parent FROM leat.leases l, "
        "unnest(l.parents) AS q (parent) WHERE l.stream_id = NEW.stream_id AND l.shard = NEW.shard "
        "AND NOT EXISTS (SELECT FROM leat.progress p WHERE p.processor = NEW.processor AND "
        "p.stream_id = NEW.stream_id AND p.shard = q.parent AND p.checkpoint = 'SHARD_END'); "
        "RETURN NEW; END $$;"
        "CREATE TRIGGER watch AFTER INSERT ON leat.progress FOR EACH ROW EXECUTE FUNCTION "
        "public.watch()");
}

static void
begin(int shards)
{
    struct test_fleet_options options = {.shards = (unsigned)shards};
    char name[40];

    snprintf(name, sizeof name, "resharding_%d", (int)getpid());
    options.database = name;
    ring.count = ring.next = shards;
    for (int i = 0; i < shards; i++)
        ring.numbers[i] = i;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, TEST_STEADY_PROCESSORS);
    watch_parents();
    steady.fleet = &fleet;
    test_steady_prepare(&steady);
    test_steady_start(&steady);
}

static void
teardown(void)
{
    unsetenv("LEAT_POINTS");
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++)
        kill_worker((int)i);
    test_fleet_end(&fleet);
}

/* ---- generations ------------------------------------------------------------------------------------- */

/* With one, two and three workers: 4 -> 8 -> 4 -> 8, without a pause between them. */
START_TEST(generations_at_full_load)
{
    begin(4);
    for (int w = 0; w <= _i; w++)
        start_worker(w);
    ck_all_flow();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 4; i++)
            split(2 * i);
        usleep(100000);
        if (round == 1)
            break;
        for (int i = 0; i < 4; i++)
            merge(i);
        usleep(100000);
    }
    ck_ended();
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.leases"), ring.next);
}
END_TEST

/* Each step of a shard's end, and what lies between them. */
static const char *const steps[] = {
    "lease.children.before", "lease.children.after", "shard.end.committed",
    "lease.ended.before",    "lease.ended.after",
};
#define STEPS ((int)LEAT_COUNT_OF(steps))

/* Is it dead, or will be within that time? Still to be waited for. */
static bool
is_dying(const struct test_worker *worker, int64_t within_us)
{
    int64_t by_us = leat_clock_monotonic_us() + within_us;
    siginfo_t info = {0};

    do {
        ck_assert_int_eq(waitid(P_PID, (id_t)worker->pid, &info, WEXITED | WNOWAIT | WNOHANG), 0);
        if (info.si_pid != 0)
            return true;
        usleep(10000);
    } while (leat_clock_monotonic_us() < by_us);
    return false;
}

static void
split_all(void)
{
    int count = ring.count;

    for (int i = 0; i < count; i++)
        split(2 * i);
}

/*
 * The first worker dies there; with none, one or two others beside it. A shard of its own may be moved before it ends: then the next
 * generation is split.
 */
START_TEST(a_crash_at_each_step)
{
    const char *step = steps[_i % STEPS];
    int others = _i / STEPS, status;
    char point[64];

    begin(3);
    snprintf(point, sizeof point, "%s=crash@1", step);
    setenv("LEAT_POINTS", point, 1);
    start_worker(0);
    unsetenv("LEAT_POINTS");
    for (int w = 1; w <= others; w++)
        start_worker(w);
    ck_reaches("SELECT count(DISTINCT lease_owner) FROM leat.leases", 1 + others);
    ck_all_flow();
    split_all();
    for (int round = 0; round < 3 && !is_dying(&workers[0], test_patience_us(2 * LEAT_SECOND_US));
         round++)
        split_all();
    ck_assert_msg(is_dying(&workers[0], PATIENCE_US), "%s was not passed", step);
    status = test_worker_wait(&workers[0], NULL);
    ck_assert_msg(WIFSIGNALED(status), "%s was not passed: status %d", step, status);
    merge(1);
    start_worker(3);
    ck_ended();
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

/* ---- merges -------------------------------------------------------------------------------------------- */

/* One parent's end comes much later: the child waits for it, and nothing of its keys comes before. */
START_TEST(one_parent_ends_much_later)
{
    struct leat_local_fault slow = {.kind = LEAT_LOCAL_FAULT_DELAY,
                                    .action = "GetRecords",
                                    .shard = "shardId-000000000000",
                                    .delay_us = 2500 * LEAT_MS_US};

    begin(2);
    start_worker(0);
    start_worker(1);
    ck_all_flow();
    leat_local_kinesis_fault(fleet.kinesis, &slow);
    merge(0);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE state = 'ended'", 1);
    split(0); /* of what nobody has begun yet */
    ck_ended();
    leat_local_kinesis_clear_faults(fleet.kinesis);
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

/* ---- while workers die ------------------------------------------------------------------------------------ */

/* A split of a split of a split, and merges between them; every other time a worker is killed, sometimes two. */
START_TEST(everything_while_workers_die)
{
    struct leat_random random;

    leat_random_seed(&random, (uint64_t)(_i + 1));
    begin(2);
    for (int w = 0; w < 3; w++)
        start_worker(w);
    ck_all_flow();
    for (int round = 0; round < 16; round++) {
        int victim = round % 3;

        if (ring.count > 2 && leat_random_below(&random, 3) == 0)
            merge((int)leat_random_below(&random, (uint64_t)ring.count - 1));
        else
            split(round % 2 == 0 ? 0 : (int)leat_random_below(&random, (uint64_t)ring.count));
        usleep((useconds_t)leat_random_below(&random, 400000));
        if (round % 2 == 0)
            continue;
        kill_worker(victim);
        if (round % 4 == 3)
            kill_worker((victim + 1) % 3);
        start_worker(victim);
        if (round % 4 == 3)
            start_worker((victim + 1) % 3);
    }
    ck_ended();
    ck_steady_all_right(&steady);
}
END_TEST

/* ---- rows that are missing ------------------------------------------------------------------------------- */

/* A lease's row is deleted under its owner: the auditor misses it, a sync makes it again with counter 0, and its next owner raises
   that past the progress that is there. */
START_TEST(a_deleted_lease_is_made_again)
{
    /* A sync that comes by its time would be before the auditor, who looks twice. */
    static const char *const rarely[] = {
        "--set", "leases.heartbeat=300ms",  "--set", "leases.expiry=1500ms",
        "--set", "leases.sync_interval=1h", NULL};
    static const char hole[] = "no lease covers a part of a stream";

    begin(3);
    workers[0] = test_fleet_spawn(&fleet, "w1", rarely);
    workers[1] = test_fleet_spawn(&fleet, "w2", rarely);
    ck_all_flow();
    test_fleet_sql(&fleet, "DELETE FROM leat.leases WHERE shard = 'shardId-000000000001'");
    ck_reaches("SELECT count(*) FROM leat.leases WHERE shard = 'shardId-000000000001'", 1);
    ck_steady_flows(&steady);
    for (int64_t until_us = soon();
         !test_worker_says(&workers[0], hole, 0) && !test_worker_says(&workers[1], hole, 0);)
        ck_assert_msg(leat_clock_monotonic_us() < until_us, "not said: %s", hole);
    ck_steady_all_right(&steady);
}
END_TEST

/* A parent's row is deleted while its merged child waits for it: both parents are read to their ends first. */
START_TEST(a_deleted_parent_is_waited_for)
{
    struct leat_local_fault slow = {.kind = LEAT_LOCAL_FAULT_DELAY,
                                    .action = "GetRecords",
                                    .shard = "shardId-000000000000",
                                    .delay_us = 2500 * LEAT_MS_US};

    begin(2);
    start_worker(0);
    start_worker(1);
    ck_all_flow();
    leat_local_kinesis_fault(fleet.kinesis, &slow);
    merge(0);
    test_fleet_sql(&fleet, "DELETE FROM leat.leases WHERE shard = 'shardId-000000000000'");
    ck_reaches("SELECT count(*) FROM leat.leases WHERE state = 'ended'", 1);
    leat_local_kinesis_clear_faults(fleet.kinesis);
    ck_ended();
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

static TCase *
test_case(Suite *suite, const char *name)
{
    TCase *test_case = tcase_create(name);

    tcase_set_timeout(test_case, 240);
    tcase_add_checked_fixture(test_case, NULL, teardown);
    suite_add_tcase(suite, test_case);
    return test_case;
}

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_resharding");
    TCase *merges = test_case(suite, "merges");
    TCase *rows = test_case(suite, "rows");
    int failed;

    test_postgres_url();
    tcase_add_test(merges, one_parent_ends_much_later);
    tcase_add_loop_test(test_case(suite, "generations"), generations_at_full_load, 0, 3);
    tcase_add_loop_test(test_case(suite, "steps"), a_crash_at_each_step, 0, 3 * STEPS);
    tcase_add_loop_test(test_case(suite, "deaths"), everything_while_workers_die, 0, 2);
    tcase_add_test(rows, a_deleted_lease_is_made_again);
    tcase_add_test(rows, a_deleted_parent_is_waited_for);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
