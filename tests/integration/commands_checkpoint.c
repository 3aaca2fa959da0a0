/*
 * `leat checkpoint` under running workers. The oracle: `print` has each record once, by its place, whatever happens; `rollup` counts
 * them, so what is read again is counted again. How much that must be follows from the checkpoints that the command says it found.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"
#include "support/program.h"
#include "support/steady.h"

#include <check.h>

#define SHARDS 4

static struct test_fleet fleet;
static struct test_worker workers[2];
static struct test_steady steady;
static struct program_run run;

/* ---- support ------------------------------------------------------------------------------------- */

#define LEAT(...) leat((const char *const[]){__VA_ARGS__, "-c", fleet.config, NULL})
#define SET(...) LEAT("checkpoint", "set", "--processor", "rollup", __VA_ARGS__)

static void
leat(const char *const *arguments)
{
    program_run_release(&run);
    program_run(&run, NULL, arguments);
}

static void
ck_refused(int code, const char *says)
{
    ck_assert_msg(run.code == code && strstr(leat_buf_text(&run.err), says) != NULL,
                  "%d, not %d with \"%s\": %s", run.code, code, says, leat_buf_text(&run.err));
}

static void
ck_done(void)
{
    ck_assert_msg(run.code == 0, "%d: %s", run.code, leat_buf_text(&run.err));
}

static int64_t
number(const char *sql)
{
    return test_fleet_number(&fleet, sql);
}

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    test_fleet_dump(&fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)number(sql), (long long)wanted, sql);
}

#define COUNTED "SELECT coalesce(sum(count), 0)::int8 FROM rollup"
#define PRINTED "SELECT count(*) FROM records"

static void
put(int from, int count)
{
    for (int n = from; n < from + count; n++) {
        char key[32], data[160];

        snprintf(key, sizeof key, "device-%d", n % 40);
        snprintf(data, sizeof data,
                 "{\"device_id\": %d, \"time\": \"2022-01-01 00:00:00\", \"measurement\": "
                 "\"temperature\", \"value\": 1, \"n\": %d}",
                 n % 40, n);
        test_fleet_put(&fleet, leat_slice_from(key), leat_slice_from(data));
    }
}

/* Everything that was put is printed, and rollup has committed the last record of each shard: nothing is on its way. */
static void
ck_settles(int64_t records)
{
    ck_reaches(PRINTED, records);
    ck_reaches("SELECT (count(*) = 0)::int FROM (SELECT shard, max(sequence) AS last FROM records "
               "GROUP BY 1) r LEFT JOIN leat.progress p ON p.processor = 'rollup' AND p.shard = "
               "r.shard WHERE p.checkpoint IS NULL OR (p.checkpoint <> 'SHARD_END' AND "
               "(p.checkpoint !~ '^[0-9]' OR p.checkpoint < r.last))",
               1);
    ck_assert_int_eq(number(PRINTED), records);
    ck_assert_int_eq(number("SELECT count(*) FROM leat.failures"), 0);
}

/*
 * "leat checkpoint: events SHARD: FROM -> TO": what is counted once more (back, positive) or not at all (forward, negative), when all
 * records are printed.
 */
static int64_t
difference(const char *said)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    int64_t sum = 0;

    for (const char *line = said; (line = strstr(line, "leat checkpoint: events ")) != NULL;
         line++) {
        char shard[64], from[140], to[140];

        ck_assert_int_eq(
            sscanf(line, "leat checkpoint: events %63[^:]: %139s -> %139s", shard, from, to), 3);
        for (int i = 0; i < 2; i++) {
            char *place = i == 0 ? from : to;

            /* Words as numbers before and behind all. */
            if (strcmp(place, "TRIM_HORIZON") == 0 || strcmp(place, "(nothing)") == 0)
                snprintf(place, sizeof from, "0");
            if (strcmp(place, "SHARD_END") == 0)
                snprintf(place, sizeof from, "9");
        }
        leat_buf_clear(&sql);
        leat_buf_printf(&sql,
                        "SELECT count(*) FILTER (WHERE sequence <= '%s' AND sequence > '%s') - "
                        "count(*) FILTER (WHERE sequence <= '%s' AND sequence > '%s') FROM records "
                        "WHERE shard = '%s'",
                        from, to, to, from, shard);
        sum += number(leat_buf_text(&sql));
    }
    return sum;
}

static void
ck_counts(struct leat_pg_connection *target, int64_t wanted)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US, found;

    do {
        PGresult *result = PQexec(target->conn, COUNTED);

        ck_assert_int_eq(PQntuples(result), 1);
        found = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
        PQclear(result);
        usleep(5000);
    } while (found < wanted && leat_clock_monotonic_us() < deadline_us);
    ck_assert_int_eq(found, wanted);
}

static void
ck_says_moved(int count)
{
    char text[40];

    snprintf(text, sizeof text, "%d checkpoints moved", count);
    ck_assert_msg(strstr(leat_buf_text(&run.err), text) != NULL, "%s", leat_buf_text(&run.err));
}

static void
begin(void)
{
    struct test_fleet_options options = {.shards = SHARDS};
    char name[40];

    snprintf(name, sizeof name, "checkpoint_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, TEST_STEADY_PROCESSORS);
    steady.fleet = &fleet;
    test_steady_prepare(&steady);
}

static void
start_workers(void)
{
    workers[0] = test_fleet_spawn(&fleet, "w1", NULL);
    workers[1] = test_fleet_spawn(&fleet, "w2", NULL);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL", SHARDS);
}

static void
teardown(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    program_run_release(&run);
    test_fleet_end(&fleet);
}

/* ---- back ---------------------------------------------------------------------------------------- */

/* Nothing is put and nothing committed: a shard that sends nothing must notice all the same. */
START_TEST(idle_shards_go_back)
{
    begin();
    start_workers();
    put(0, 120);
    ck_settles(120);
    ck_assert_int_eq(number(COUNTED), 120);
    SET("--all", "--to", "trim-horizon", "--yes");
    ck_done();
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "double"));
    ck_reaches(COUNTED, 240);
    ck_settles(120);
    /* The same processors of the same shards took again, too; what they have did not move. */
    put(120, 60);
    ck_settles(180);
    ck_assert_int_eq(number(COUNTED), 300);
    SET("--all", "--to", "latest", "--yes");
    ck_done();
    put(180, 40);
    ck_reaches(PRINTED, 220);
    ck_reaches(COUNTED, 340);
    ck_assert_int_eq(number(COUNTED), 340);
}
END_TEST

/*
 * With commits under way on every shard, several times. The second time around each take lasts: first the fence makes a shard take,
 * and while that lasts the lease's counter grows, and it takes again.
 */
START_TEST(busy_shards_go_back_and_are_exact)
{
    int64_t again = 0;
    LEAT_AUTO_BUF said = LEAT_BUF_INIT;

    begin();
    test_steady_start(&steady);
    if (_i == 1)
        setenv("LEAT_POINTS", "take.after=pause:1500ms,take.answered=pause:300ms", 1);
    start_workers();
    if (_i == 1)
        setenv("LEAT_POINTS", "checkpoint.moved=pause:700ms", 1);
    ck_steady_flows(&steady);
    for (int i = 0; i < 3; i++) {
        SET("--all", "--to", "trim-horizon", "--yes");
        ck_done();
        leat_buf_add_text(&said, leat_buf_text(&run.err));
        ck_steady_flows(&steady);
    }
    unsetenv("LEAT_POINTS");
    test_steady_stop(&steady);
    ck_settles(steady.records);
    again = difference(leat_buf_text(&said));
    ck_assert_int_gt(again, 0);
    ck_assert_int_eq(number(COUNTED), steady.records + again);
}
END_TEST

/* To a record of one shard, by its sequence number: that one counts as done. */
START_TEST(one_shard_goes_back_to_a_record)
{
    LEAT_AUTO_BUF to = LEAT_BUF_INIT;
    PGresult *result;

    begin();
    start_workers();
    put(0, 200);
    ck_settles(200);
    result = PQexec(fleet.connection->conn,
                    "SELECT sequence FROM records WHERE shard = 'shardId-000000000002' ORDER BY "
                    "sequence OFFSET 4 LIMIT 1");
    leat_buf_printf(&to, "seq=%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    SET("--shard", "2", "--to", leat_buf_text(&to), "--yes");
    ck_done();
    ck_reaches(COUNTED, 200 + number("SELECT count(*) - 5 FROM records WHERE shard = "
                                     "'shardId-000000000002'"));
    ck_settles(200);
    ck_assert_int_eq(number(COUNTED), 200 + difference(leat_buf_text(&run.err)));
    SET("--shard", "1", "--to", leat_buf_text(&to), "--yes");
    ck_refused(1, "is not of shard \"shardId-000000000001\"");
}
END_TEST

/* ---- forward ------------------------------------------------------------------------------------- */

START_TEST(forward_skips_and_says_so)
{
    LEAT_AUTO_BUF to = LEAT_BUF_INIT;
    int64_t less;
    PGresult *result;

    begin();
    start_workers();
    put(0, 100);
    ck_settles(100);
    LEAT("processors", "pause", "rollup");
    ck_done();
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++)
        ck_assert(test_worker_says(&workers[i], "the processor is paused",
                                   leat_clock_monotonic_us() + PATIENCE_US));
    put(100, 200);
    ck_reaches(PRINTED, 300);
    result = PQexec(fleet.connection->conn,
                    "SELECT sequence FROM records WHERE shard = 'shardId-000000000000' ORDER BY "
                    "sequence DESC OFFSET 3 LIMIT 1");
    leat_buf_printf(&to, "seq=%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    SET("--shard", "0", "--to", leat_buf_text(&to), "--yes");
    ck_done();
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "skipped"));
    less = difference(leat_buf_text(&run.err));
    ck_assert_int_lt(less, 0);
    LEAT("processors", "resume", "rollup");
    ck_done();
    ck_settles(300);
    ck_assert_int_eq(number(COUNTED), 300 + less);
}
END_TEST

/* ---- shards that ended --------------------------------------------------------------------------- */

#define ENDED "SELECT count(*) FROM leat.leases WHERE state = 'ended'"

/* Its lease opens again, and ends again; its children wait meanwhile, where they are. */
START_TEST(an_ended_shard_is_opened_again)
{
    struct leat_error err;
    int64_t in_parent;

    begin();
    start_workers();
    put(0, 200);
    ck_settles(200);
    ck_assert_int_eq(
        leat_local_kinesis_split(fleet.kinesis, TEST_FLEET_STREAM, "shardId-000000000001", &err),
        0);
    ck_reaches(ENDED, 1);
    put(200, 100);
    ck_settles(300);
    ck_assert_int_eq(number(COUNTED), 300);
    in_parent = number("SELECT count(*) FROM records WHERE shard = 'shardId-000000000001'");
    SET("--shard", "1", "--to", "trim-horizon", "--yes");
    ck_done();
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "SHARD_END -> TRIM_HORIZON"));
    ck_reaches(COUNTED, 300 + in_parent);
    ck_reaches(ENDED, 1);
    put(300, 100);
    ck_settles(400);
    ck_assert_int_eq(number(COUNTED), 400 + in_parent);
    ck_assert_int_ge(number("SELECT count(*) FROM leat.lease_moves WHERE why = 're-opened'"), 1);
}
END_TEST

/* Its end is committed and not yet told when it is put back: the end that is told then is none. */
START_TEST(an_end_that_is_told_late_is_none)
{
    struct leat_error err;
    int64_t in_parent;

    begin();
    setenv("LEAT_POINTS", "lease.ended.before=pause:1s", 1);
    start_workers();
    unsetenv("LEAT_POINTS");
    put(0, 200);
    ck_settles(200);
    ck_assert_int_eq(
        leat_local_kinesis_split(fleet.kinesis, TEST_FLEET_STREAM, "shardId-000000000001", &err),
        0);
    ck_reaches("SELECT count(*) FROM leat.progress WHERE processor = 'rollup' AND checkpoint = "
               "'SHARD_END'",
               1);
    SET("--shard", "1", "--to", "trim-horizon", "--yes");
    ck_done();
    in_parent = number("SELECT count(*) FROM records WHERE shard = 'shardId-000000000001'");
    ck_reaches(COUNTED, 200 + in_parent);
    ck_reaches(ENDED, 1);
    put(200, 100);
    ck_settles(300);
    ck_assert_int_eq(number(COUNTED), 300 + in_parent);
}
END_TEST

/* Nobody runs: the next worker begins there. */
START_TEST(nobody_runs)
{
    begin();
    start_workers();
    put(0, 100);
    ck_settles(100);
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGTERM);
        test_worker_wait(&workers[i], NULL);
    }
    SET("--all", "--to", "time=2000-01-01", "--yes");
    ck_done();
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.out), "before what the stream keeps"));
    start_workers();
    ck_reaches(COUNTED, 200);
    ck_settles(100);
    ck_assert_int_eq(number(COUNTED), 200);
}
END_TEST

/* The command dies between the two databases: what is idle notices with its next record; nothing is lost, nothing twice but that. */
START_TEST(the_command_dies_half_way)
{
    begin();
    start_workers();
    put(0, 120);
    ck_settles(120);
    setenv("LEAT_POINTS", "checkpoint.moved=crash@1", 1);
    SET("--all", "--to", "trim-horizon", "--yes");
    unsetenv("LEAT_POINTS");
    ck_assert_int_eq(run.code, -1);
    ck_assert_int_eq(number("SELECT count(*) FROM leat.progress WHERE processor = 'rollup' AND "
                            "checkpoint = 'TRIM_HORIZON'"),
                     SHARDS);
    put(120, 120);
    ck_settles(240);
    ck_assert_int_eq(number(COUNTED), 240 + 120);
}
END_TEST

/* Each processor's progress is where its target is: another database, or the lease database where the target has no transactions. */
START_TEST(targets_are_elsewhere)
{
    struct test_fleet_options options = {.shards = SHARDS};
    struct leat_pg_options other_options = {.search_path = "public", .application_name = "test"};
    struct leat_pg_connection *other;
    LEAT_AUTO_BUF processors = LEAT_BUF_INIT;
    struct leat_error err;
    char name[40], url[200];
    char *ddl;

    snprintf(name, sizeof name, "elsewhere_%d", (int)getpid());
    test_postgres_database(name, url, sizeof url);
    snprintf(name, sizeof name, "checkpoint_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    leat_buf_printf(&processors,
                    "processors:\n"
                    "  - { name: rollup, plugin: rollup, target: { plugin: postgres, url: \"%s\" } "
                    "}\n"
                    "  - { name: print, plugin: print, target: { plugin: jsonl, options: { path: "
                    "\"%s/rows.jsonl\" } } }\n",
                    url, fleet.directory);
    test_fleet_configure(&fleet, leat_buf_text(&processors));
    other_options.url = url;
    ck_assert_int_eq(leat_pg_connect(&other_options, &other, &err), 0);
    ddl = test_fleet_shell(&fleet, "$LEAT db ddl -c $DIR/leat.yaml");
    ck_assert_msg(leat_pg_script(other, ddl, &err) == 0, "%s", err.text);
    free(ddl);
    start_workers();
    put(0, 100);
    ck_counts(other, 100);
    SET("--all", "--to", "trim-horizon", "--yes");
    ck_done();
    ck_counts(other, 200);
    ck_assert_int_eq(number("SELECT count(*) FROM leat.progress WHERE processor = 'rollup'"), 0);
    /* The other one has a target and a pace of its own. */
    ck_reaches("SELECT count(*) FROM leat.progress WHERE processor = 'print' AND checkpoint ~ "
               "'^[0-9]'",
               SHARDS);
    LEAT("shards", "-o", "json");
    ck_done();
    ck_assert_uint_eq(program_run_lines(&run), 2 * SHARDS);
    ck_assert_ptr_null(strstr(leat_buf_text(&run.out), "\"checkpoint\":null"));
    LEAT("checkpoint", "set", "--processor", "print", "--all", "--to", "trim-horizon", "--yes");
    ck_done();
    ck_says_moved(SHARDS);
    leat_pg_close(other);
}
END_TEST

/* ---- wrong inputs -------------------------------------------------------------------------------- */

static void
ck_bad_words(void)
{
    SET("--all");
    ck_refused(2, "say --to");
    SET("--all", "--to", "lastest");
    ck_refused(2, "did you mean \"latest\"");
    SET("--to", "latest");
    ck_refused(2, "--shard SHARD or --all");
    SET("--all", "--shard", "1", "--to", "latest");
    ck_refused(2, "--shard SHARD or --all");
    SET("--all", "--to", "seq=49");
    ck_refused(2, "of one shard");
    SET("--all", "--to", "time=yesterday");
    ck_refused(2, "is no time");
    LEAT("checkpoint", "set", "--all", "--to", "latest");
    ck_refused(2, "say --processor");
    LEAT("checkpoint", "set", "--processor", "rolup", "--all", "--to", "latest");
    ck_refused(2, "did you mean \"rollup\"");
    LEAT("checkpoint", "show", "--processor", "rollup", "--to", "latest");
    ck_refused(2, "takes no --to");
    LEAT("checkpoint");
    ck_refused(2, "show or set");
    LEAT("checkpoint", "shw");
    ck_refused(2, "Did you mean \"show\"");
    SET("--all", "--to", "latest");
    ck_refused(2, "--yes");
    leat((const char *const[]){"checkpoint", "show", "--processor", "rollup", "--database",
                               fleet.url, NULL});
    ck_refused(2, "say -c FILE");
}

static void
ck_bad_places(void)
{
    SET("--shard", "9", "--to", "latest", "--yes");
    ck_refused(1, "no lease of shard \"shardId-000000000009\"");
    SET("--stream", "evnts", "--all", "--to", "latest", "--yes");
    ck_refused(1, "its streams: events");
    SET("--all", "--to", "time=2100-01-01", "--yes");
    ck_refused(1, "in the future");
    SET("--shard", "0", "--to", "seq=49", "--yes");
    ck_refused(1, "that begins with");
    LEAT("checkpoint", "set", "--processor", "rollup", "--all", "--to", "latest", "--yes",
         "--application", "flet");
    ck_refused(1, "did you mean \"fleet\"");
}

static int64_t
fingerprint(void)
{
    return number("SELECT ('x' || left(md5((SELECT string_agg(p::text, ',' ORDER BY p.processor, "
                  "p.shard) FROM leat.progress p) || (SELECT string_agg(l::text, ',' ORDER BY "
                  "l.shard) FROM leat.leases l)), 15))::bit(60)::int8");
}

START_TEST(what_is_wrong_changes_nothing)
{
    int64_t before;

    begin();
    start_workers();
    put(0, 100);
    ck_settles(100);
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGTERM);
        test_worker_wait(&workers[i], NULL);
    }
    before = fingerprint();
    ck_bad_words();
    ck_bad_places();
    SET("--all", "--to", "trim-horizon", "--dry-run");
    ck_done();
    ck_assert_uint_eq(program_run_lines(&run), SHARDS + 1);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "nothing was changed"));
    LEAT("checkpoint", "show", "--processor", "rollup", "-o", "json");
    ck_done();
    ck_assert_uint_eq(program_run_lines(&run), SHARDS);
    ck_assert_int_eq(fingerprint(), before);
    /* What has left the stream stays as it is: here, all of it. */
    test_fleet_sql(&fleet, "UPDATE leat.streams SET name = 'deleted'");
    SET("--all", "--to", "trim-horizon", "--yes");
    ck_refused(1, "nothing to move");
    test_fleet_sql(&fleet, "UPDATE leat.streams SET name = 'events'");
    test_fleet_sql(&fleet,
                   "UPDATE leat.streams SET stream_id = stream_id || '0'; UPDATE leat.leases "
                   "SET stream_id = stream_id || '0'");
    SET("--all", "--to", "trim-horizon", "--yes");
    ck_refused(1, "has left the stream");
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("commands_checkpoint");
    TCase *tests = tcase_create("all");
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, idle_shards_go_back);
    tcase_add_loop_test(tests, busy_shards_go_back_and_are_exact, 0, 2);
    tcase_add_test(tests, one_shard_goes_back_to_a_record);
    tcase_add_test(tests, forward_skips_and_says_so);
    tcase_add_test(tests, an_ended_shard_is_opened_again);
    tcase_add_test(tests, an_end_that_is_told_late_is_none);
    tcase_add_test(tests, nobody_runs);
    tcase_add_test(tests, the_command_dies_half_way);
    tcase_add_test(tests, targets_are_elsewhere);
    tcase_add_test(tests, what_is_wrong_changes_nothing);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
