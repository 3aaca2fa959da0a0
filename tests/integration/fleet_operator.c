/* What operators see and do with running workers: their records must be exact whatever is done to their leases. */
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"
#include "support/program.h"
#include "support/steady.h"

#include <check.h>

#define SHARDS 6

static struct test_fleet fleet;
static struct test_worker workers[3];
static struct test_steady steady;
static struct program_run run;

/* ---- support ------------------------------------------------------------------------------------- */

#define LEAT(...) leat((const char *const[]){__VA_ARGS__, NULL})

static void
leat(const char *const *arguments)
{
    program_run_release(&run);
    program_run(&run, NULL, arguments);
}

static void
ck_done(void)
{
    ck_assert_msg(run.code == 0, "%d: %s", run.code, leat_buf_text(&run.err));
}

static void
ck_says(const char *says)
{
    ck_assert_msg(strstr(leat_buf_text(&run.err), says) != NULL, "no \"%s\" in: %s", says,
                  leat_buf_text(&run.err));
}

/* Of a line of JSON: the value as it is written. */
static char *
value(size_t line, const char *key)
{
    static char kept[4][512];
    static size_t next;
    struct json_object *row = program_run_json(&run, line);
    struct json_object *found = leat_json_get(row, key);
    char *text = kept[next++ % 4];

    snprintf(text, sizeof kept[0], "%s", found != NULL ? json_object_get_string(found) : "null");
    json_object_put(row);
    return text;
}

static void
ck_value(size_t line, const char *key, const char *wanted)
{
    const char *found = value(line, key);

    ck_assert_msg(strcmp(found, wanted) == 0, "line %zu, %s: %s, not %s", line, key, found, wanted);
}

/* ---- running workers ------------------------------------------------------------------------------ */

static void
ck_reaches(const char *text, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, text, wanted, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    test_fleet_dump(&fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, text),
                 (long long)wanted, text);
}

static void
start_worker(int index)
{
    static const char *const arguments[] = {"--set", "leases.heartbeat=300ms", "--set",
                                            "leases.expiry=1500ms", NULL};
    static const char *const ids[] = {"w1", "w2", "w3"};

    workers[index] = test_fleet_spawn(&fleet, ids[index], arguments);
}

#define HELD(id)                                                                                   \
    "(SELECT count(*) FROM leat.leases l JOIN leat.workers w ON w.incarnation = l.lease_owner "    \
    "WHERE w.worker_id = '" id "' AND w.state <> 'dead')"
#define SETTLED                                                                                    \
    "(SELECT count(*) = 0 FROM leat.leases WHERE next_owner IS NOT NULL OR lease_owner IS NULL)"

static void
begin_fleet(int count)
{
    struct test_fleet_options options = {.shards = SHARDS};
    char name[40];

    snprintf(name, sizeof name, "commands_leases_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, TEST_STEADY_PROCESSORS);
    setenv("LEAT_CONFIG", fleet.config, 1);
    steady.fleet = &fleet;
    test_steady_prepare(&steady);
    test_steady_start(&steady);
    for (int i = 0; i < count; i++)
        start_worker(i);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL", SHARDS);
    if (count == 2)
        ck_reaches("SELECT (" HELD("w1") " = 3 AND " HELD("w2") " = 3 AND " SETTLED ")::int", 1);
    ck_steady_flows(&steady);
}

static void
teardown_fleet(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    unsetenv("LEAT_CONFIG");
    program_run_release(&run);
    test_fleet_end(&fleet);
}

/* Workers are waited for but briefly: what they said too late is shown to who looks again. */
static void
look_until_told(const char *what)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    bool is_told;

    do {
        LEAT(what, "-o", "json");
        ck_done();
        is_told = true;
        for (size_t i = 0; i < program_run_lines(&run); i++)
            is_told = is_told && strcmp(value(i, "lag_seconds"), "null") != 0;
    } while (!is_told && leat_clock_monotonic_us() < deadline_us);
}

START_TEST(workers_answer_who_looks)
{
    begin_fleet(2);
    look_until_told("leases");
    ck_assert_uint_eq(program_run_lines(&run), SHARDS);
    for (size_t i = 0; i < SHARDS; i++) {
        ck_value(i, "state", "active");
        ck_assert_str_ne(value(i, "lag_seconds"), "null");
        ck_assert_str_ne(value(i, "lost_in_seconds"), "null");
    }
    look_until_told("shards");
    ck_assert_uint_eq(program_run_lines(&run), 2 * SHARDS);
    for (size_t i = 0; i < 2 * SHARDS; i++) {
        ck_value(i, "state", "running");
        ck_value(i, "takes", "0");
        ck_assert_uint_gt(strspn(value(i, "checkpoint"), "0123456789"), 10);
    }
    LEAT("processors", "-o", "json");
    ck_value(0, "workers", "2");
    ck_value(1, "shards", "6");
    /* A target that is away: the rest is shown. */
    test_fleet_reconfigure(
        &fleet,
        "processors:\n"
        "  - { name: rollup, plugin: rollup, target: { plugin: postgres } }\n"
        "  - { name: print, plugin: print, target: { plugin: postgres, url: \"host=/nowhere "
        "dbname=x connect_timeout=1\" } }\n");
    LEAT("shards", "-o", "json");
    ck_done();
    ck_says("no progress of processor \"print\"");
    ck_assert_uint_eq(program_run_lines(&run), 2 * SHARDS);
    ck_value(0, "processor", "print");
    ck_value(0, "checkpoint", "null");
    ck_value(0, "state", "running");
    ck_assert_str_ne(value(SHARDS, "checkpoint"), "null");
    ck_steady_all_right(&steady);
}
END_TEST

/* By wish and by force; nothing is lost or doubled. */
START_TEST(leases_are_released)
{
    begin_fleet(2);
    LEAT("leases", "release", "--worker", "w1");
    ck_done();
    ck_says("3 leases are on the way");
    ck_reaches("SELECT count(*) FROM leat.lease_moves WHERE why = 'handed over' AND from_worker = "
               "'w1' AND to_worker = 'w2'",
               3);
    ck_reaches("SELECT (" HELD("w1") " = 3 AND " HELD("w2") " = 3 AND " SETTLED ")::int", 1);
    ck_steady_flows(&steady);
    LEAT("leases", "release", "--worker", "w2", "--fence");
    ck_done();
    ck_says("3 leases are taken away");
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.lease_moves WHERE why = "
                                               "'operator' AND from_worker = 'w2' AND to_worker IS "
                                               "NULL"),
                     3);
    ck_reaches("SELECT (" HELD("w1") " = 3 AND " HELD("w2") " = 3 AND " SETTLED ")::int", 1);
    ck_steady_flows(&steady);
    LEAT("leases", "release", "--stream", TEST_FLEET_STREAM, "--shard", "0", "--fence");
    ck_done();
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

/* It empties, stays empty also as another incarnation, and comes back when it is told to. */
START_TEST(a_worker_is_drained)
{
    begin_fleet(2);
    LEAT("workers", "drain", "w1");
    ck_done();
    ck_says("3 leases to hand over");
    ck_reaches("SELECT (" HELD("w1") " = 0 AND " HELD("w2") " = 6 AND " SETTLED ")::int", 1);
    ck_assert(test_worker_says(&workers[0], "an operator drains worker",
                               leat_clock_monotonic_us() + PATIENCE_US));
    ck_steady_flows(&steady);
    test_worker_kill(&workers[0], SIGSTOP);
    ck_reaches("SELECT count(*) FROM leat.workers WHERE worker_id = 'w1' AND state = 'dead'", 1);
    test_worker_kill(&workers[0], SIGCONT);
    ck_reaches("SELECT count(*) FROM leat.workers WHERE worker_id = 'w1' AND state = 'leaving' AND "
               "heartbeat_at > clock_timestamp() - interval '1 s'",
               1);
    ck_steady_flows(&steady);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT " HELD("w1")), 0);
    /* The last one keeps what nobody else can take. */
    LEAT("workers", "drain", "w2");
    ck_done();
    ck_says("6 stay with it");
    ck_steady_flows(&steady);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT " HELD("w2")), SHARDS);
    LEAT("workers", "drain", "w1", "--undo");
    ck_done();
    ck_reaches("SELECT (" HELD("w1") " = 6 AND " HELD("w2") " = 0 AND " SETTLED ")::int", 1);
    /* A new process of that id is not drained. */
    test_worker_kill(&workers[1], SIGTERM);
    test_worker_wait(&workers[1], NULL);
    start_worker(1);
    ck_reaches("SELECT (" HELD("w1") " = 3 AND " HELD("w2") " = 3 AND " SETTLED ")::int", 1);
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

/* Told where it happens, and kept short. */
START_TEST(history_is_told_and_bounded)
{
    begin_fleet(1);
    ck_assert_int_eq(test_fleet_number(
                         &fleet, "SELECT count(*) FROM leat.lease_moves WHERE why = 'assigned' AND "
                                 "from_worker IS NULL AND to_worker = 'w1'"),
                     SHARDS);
    test_worker_kill(&workers[0], SIGKILL);
    test_worker_wait(&workers[0], NULL);
    test_fleet_sql(&fleet,
                   "INSERT INTO leat.lease_moves (application, stream_id, shard, "
                   "lease_counter, why, moved_at) SELECT 'fleet', 's', 'old', 1, 'assigned',"
                   " clock_timestamp() - interval '8 days' FROM generate_series(1, 3000)");
    start_worker(1);
    ck_reaches("SELECT count(*) FROM leat.lease_moves WHERE why = 'dead owner' AND from_worker = "
               "'w1' AND to_worker = 'w2'",
               SHARDS);
    ck_reaches("SELECT (count(*) = 0)::int FROM leat.lease_moves WHERE shard = 'old'", 1);
    test_worker_kill(&workers[1], SIGTERM);
    test_worker_wait(&workers[1], NULL);
    LEAT("leases", "history", "-o", "json");
    ck_done();
    ck_assert_uint_eq(program_run_lines(&run), 3 * SHARDS);
    ck_value(3 * SHARDS - 1, "why", "released");
    ck_value(3 * SHARDS - 1, "to", "null");
    LEAT("leases", "history", "--shard", "0", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 3);
    LEAT("leases", "history", "--worker", "w1", "-o", "json", "--limit", "4");
    ck_assert_uint_eq(program_run_lines(&run), 4);
    test_steady_stop(&steady);
}
END_TEST

/* The other processor of the shards goes on; nothing is lost by it. */
START_TEST(a_processor_is_paused_and_goes_on)
{
    int64_t counted;

    begin_fleet(2);
    LEAT("processors", "pause", "rollup");
    ck_done();
    LEAT("shards", "--processor", "rollup", "--state", "paused", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), SHARDS);
    for (int i = 0; i < 2; i++)
        ck_assert(test_worker_says(&workers[i], "the processor is paused",
                                   leat_clock_monotonic_us() + PATIENCE_US));
    usleep((useconds_t)test_patience_us(LEAT_SECOND_US)); /* what was on its way is committed */
    counted = test_fleet_number(&fleet, "SELECT sum(count)::int8 FROM rollup");
    usleep(500000);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT sum(count)::int8 FROM rollup"), counted);
    ck_reaches("SELECT count(*) FROM records", counted + 1);
    LEAT("processors", "resume", "rollup");
    ck_done();
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_operator");
    TCase *tests = tcase_create("workers");
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, NULL, teardown_fleet);
    tcase_add_test(tests, workers_answer_who_looks);
    tcase_add_test(tests, leases_are_released);
    tcase_add_test(tests, a_worker_is_drained);
    tcase_add_test(tests, history_is_told_and_bounded);
    tcase_add_test(tests, a_processor_is_paused_and_goes_on);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
