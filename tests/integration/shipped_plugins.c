/*
 * The shipped plugins on one stream, the weather of examples/weather: rollup into Postgres, rollup and print into jsonl files,
 * null into Postgres. The hourly sums equal what Postgres computes from the table of hours itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/thread.h"
#include "failure/archive.h"
#include "pipeline/pipeline.h"
#include "postgres/migrate.h"
#include "stream/file_source.h"
#include "support/patience.h"
#include "support/postgres.h"
#include "support/processor.h"

#include <json-c/json.h>

#include <check.h> /* last: it defines a macro `fail` */

#define EVENTS 26277
#define CSV "examples/weather/seattle-weather-hourly-normals.csv"

enum { ROLLUP, PRINT, ROLLUP_LINES, NULL_, PROCESSORS };
static const char *const names[PROCESSORS] = {"rollup", "print", "rollup-lines", "null"};

static char url[200], directory[64];
static struct leat_error err;
static struct leat_arena arena;
static struct leat_pipeline_processor processors[PROCESSORS];
static struct leat_options options[PROCESSORS], target_options[PROCESSORS];

static void
notice(void *context, enum leat_log_level level, const char *what,
       const struct leat_consumer_view *view, const struct leat_error *why)
{
    if (level <= LEAT_LOG_WARNING)
        fprintf(stderr, "%s: %s\n", what, why != NULL ? why->text : "");
}

static struct leat_pg_connection *
connect_plain(void)
{
    struct leat_pg_options connection_options = {
        .search_path = "public", .url = url, .application_name = "oracle"};
    struct leat_pg_connection *connection;

    ck_assert_msg(leat_pg_connect(&connection_options, &connection, &err) == 0, "%s", err.text);
    return connection;
}

static void
setup(void)
{
    struct leat_pg_connection *connection;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    int applied;

    leat_arena_init(&arena);
    test_postgres_database("shipped", url, sizeof url);
    snprintf(directory, sizeof directory, "/tmp/leat-shipped-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    leat_buf_printf(&text, "examples/weather/to-events <" CSV " >%s/events", directory);
    ck_assert_int_eq(system(leat_buf_text(&text)), 0);
    connection = connect_plain();
    ck_assert_msg(leat_schema_migrate(connection, "lease", &applied, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_schema_migrate(connection, "target", &applied, &err) == 0, "%s", err.text);
    leat_buf_clear(&text);
    leat_buf_add_text(&text,
                      "CREATE TABLE rollup (device_id bigint, measurement text, window_start "
                      "timestamptz, count bigint, sum numeric, min numeric, max numeric, last_time "
                      "timestamptz, last numeric, PRIMARY KEY (device_id, measurement, "
                      "window_start)); CREATE TABLE hours (at timestamp, pressure numeric, "
                      "temperature numeric, wind numeric)");
    ck_assert_msg(leat_pg_script(connection, leat_buf_text(&text), &err) == 0, "%s", err.text);
    leat_pg_close(connection);
}

static void
teardown(void)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_arena_release(&arena);
    leat_buf_printf(&command, "rm -rf %s", directory);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
}

static void
configure(int i, const char *plugin, const char *window, const char *target)
{
    const char *path = leat_arena_printf(&arena, "%s/{processor}.jsonl", directory);
    const char *pairs[] = {"window", window, NULL}, *target_pairs[] = {"path", path, NULL};
    bool is_jsonl = strcmp(target, "jsonl") == 0;
    struct leat_pipeline_processor *processor = &processors[i];

    *processor = (struct leat_pipeline_processor){
        .name = names[i],
        .plugin = test_load_processor(plugin),
        .options = &options[i],
        .target = test_load_target(target),
        .target_options = &target_options[i],
        .target_url = url,
        .batch_records = 1000,
        .batch_bytes = 1 << 20,
        .batch_deadline_us = 10 * LEAT_SECOND_US,
        .failure = {.retries = 3, .backoff_base_us = 1000, .backoff_cap_us = 10000, .bisect = true},
        .flush_rows = -1,
        .flush_bytes = 32 << 20,
        .committers = 1};
    ck_assert_msg(test_options(processor->plugin->options, &arena, window != NULL ? pairs : NULL,
                               &options[i], &err) == 0,
                  "%s", err.text);
    ck_assert_msg(test_options(processor->target->options, &arena, is_jsonl ? target_pairs : NULL,
                               &target_options[i], &err) == 0,
                  "%s", err.text);
}

/* True when everything has ended in time. */
static bool
wait_for_end(struct leat_lease_manager *leases)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    struct leat_condition never;
    struct leat_mutex lock;

    leat_mutex_init(&lock);
    leat_condition_init(&never);
    leat_mutex_lock(&lock);
    while (!leat_lease_manager_all_ended(leases) && leat_clock_monotonic_us() < deadline_us)
        leat_condition_wait_until(&never, &lock, leat_clock_monotonic_us() + 10 * LEAT_MS_US);
    leat_mutex_unlock(&lock);
    return leat_lease_manager_all_ended(leases);
}

static void
run_worker(void)
{
    struct leat_memory *memory = leat_memory_new(64 << 20, PROCESSORS);
    struct leat_fetcher_options fetch = {.idle_us = 20 * LEAT_MS_US, .memory = memory};
    struct leat_fetcher *fetcher = leat_fetcher_new(&fetch, &err);
    struct leat_letters_options letter_options = {.worker_id = "one"};
    struct leat_lease_processor registered[PROCESSORS];
    struct leat_streams *streams = leat_streams_new(NULL);
    struct leat_position start = {.kind = LEAT_POSITION_TRIM_HORIZON, .sub_sequence = -1};
    struct leat_source *source;
    struct leat_lease_manager *leases;
    struct leat_pipeline *pipeline;
    struct leat_letters *letters;

    for (int i = 0; i < PROCESSORS; i++)
        registered[i] = (struct leat_lease_processor){.name = names[i], .target_id = "here"};
    ck_assert_msg(leat_file_source_open("weather",
                                        leat_arena_printf(&arena, "%s/events", directory), false,
                                        &source, &err) == 0,
                  "%s", err.text);
    leat_streams_add(streams, source, &start);
    ck_assert_msg(leat_archive_open(leat_arena_printf(&arena, "file://%s/archive", directory), NULL,
                                    &letter_options.archive, &err) == 0,
                  "%s", err.text);
    letters = leat_letters_new(&letter_options, &err);
    struct leat_pipeline_options pipeline_options = {.application = "test",
                                                     .memory = memory,
                                                     .rows_budget = 16 << 20,
                                                     .fetcher = fetcher,
                                                     .letters = letters,
                                                     .lease_database_url = url,
                                                     .worker_threads = 2,
                                                     .processors = processors,
                                                     .processor_count = PROCESSORS,
                                                     .notice = notice};
    pipeline = leat_pipeline_new(&pipeline_options, &err);
    ck_assert_msg(pipeline != NULL, "%s", err.text);
    struct leat_lease_options lease_options = {.database_url = url,
                                               .application = "test",
                                               .worker_id = "one",
                                               .heartbeat_us = 200 * LEAT_MS_US,
                                               .expiry_us = 5 * LEAT_SECOND_US,
                                               .drain_us = 200 * LEAT_MS_US,
                                               .force_after_us = 5 * LEAT_SECOND_US,
                                               .weight = 1,
                                               .use_notify = true,
                                               .use_session_lock = true,
                                               .streams = streams,
                                               .processors = registered,
                                               .processor_count = PROCESSORS,
                                               .events = leat_pipeline_lease_events(pipeline)};
    leases = leat_lease_manager_new(&lease_options, &err);
    ck_assert_int_eq(leat_pipeline_start(pipeline, leases, &err), 0);
    ck_assert_msg(leat_lease_manager_start(leases, &err) == 0, "%s", err.text);
    ck_assert(wait_for_end(leases));
    leat_lease_manager_stop(leases, leat_clock_monotonic_us() + 5 * LEAT_SECOND_US);
    leat_pipeline_free(pipeline);
    leat_lease_manager_free(leases);
    leat_letters_free(letters);
    leat_archive_close(letter_options.archive);
    leat_fetcher_free(fetcher);
    leat_streams_free(streams);
    leat_memory_free(memory);
}

static void
check_query(struct leat_pg_connection *connection, const char *query, const char *wanted)
{
    PGresult *result = PQexec(connection->conn, query);

    ck_assert_msg(PQntuples(result) == 1, "%s: %s", query, PQerrorMessage(connection->conn));
    ck_assert_msg(strcmp(PQgetvalue(result, 0, 0), wanted) == 0, "%s: %s, not %s", query,
                  PQgetvalue(result, 0, 0), wanted);
    PQclear(result);
}

static void
copy_hours(struct leat_pg_connection *connection)
{
    FILE *in = fopen(CSV, "r");
    char piece[8192];
    size_t size;

    PQclear(PQexec(connection->conn, "SET timezone = 'UTC'"));
    PQclear(PQexec(connection->conn, "COPY hours FROM STDIN (FORMAT csv, HEADER)"));
    while ((size = fread(piece, 1, sizeof piece, in)) > 0)
        ck_assert_int_eq(PQputCopyData(connection->conn, piece, (int)size), 1);
    fclose(in);
    ck_assert_int_eq(PQputCopyEnd(connection->conn, NULL), 1);
    PQclear(PQgetResult(connection->conn));
    ck_assert_ptr_null(PQgetResult(connection->conn));
}

/* The rollup's days, once more, by SQL. */
static void
check_rollup(void)
{
    struct leat_pg_connection *connection = connect_plain();

    copy_hours(connection);
    check_query(connection, "SELECT count(*) FROM hours", "8759");
    check_query(connection, "SELECT sum(count) FROM rollup", "26277");
    check_query(
        connection,
        "WITH events AS (SELECT at, m, v FROM hours, LATERAL (VALUES ('pressure', pressure), "
        "('temperature', temperature), ('wind', wind)) AS x (m, v)), days AS (SELECT "
        "date_trunc('day', at) AT TIME ZONE 'UTC' AS day, m, count(*) AS n, sum(v) AS s, "
        "min(v) AS low, max(v) AS high, max(at) AT TIME ZONE 'UTC' AS t, (array_agg(v ORDER "
        "BY at DESC))[1] AS l FROM events GROUP BY 1, 2) SELECT count(*) FROM days FULL JOIN "
        "rollup ON window_start = day AND measurement = m WHERE (device_id, n, s, low, high, "
        "t, l) IS DISTINCT FROM (1, count, sum, min, max, last_time, last)",
        "0");
    check_query(connection, "SELECT count(*) FROM rollup", "1095");
    check_query(connection, "SELECT count(*) FROM leat.failures", "0");
    check_query(connection,
                "SELECT string_agg(processor, ' ' ORDER BY processor) FROM leat.progress WHERE "
                "checkpoint = 'SHARD_END'",
                "null print rollup rollup-lines");
    leat_pg_close(connection);
}

/* Adds up a member of all lines of a table; returns the lines. */
static int
read_lines(const char *processor, const char *table, const char *member, int64_t *ret_sum)
{
    FILE *in = fopen(leat_arena_printf(&arena, "%s/%s.jsonl", directory, processor), "r");
    char line[4096];
    int lines = 0;

    ck_assert_ptr_nonnull(in);
    *ret_sum = 0;
    for (; fgets(line, sizeof line, in) != NULL; lines++) {
        struct json_object *root;
        struct leat_slice name;
        int64_t number = 0;

        ck_assert_msg(leat_json_parse(leat_slice_from(line), &root, &err) == 0, "%s", line);
        ck_assert(leat_json_get_text(root, "table", &name) && leat_slice_is(name, table));
        ck_assert(leat_json_get_integer(leat_json_get(root, "row"), member, &number));
        *ret_sum += number;
        json_object_put(root);
    }
    fclose(in);
    return lines;
}

START_TEST(test_the_weather)
{
    int64_t sum;

    configure(ROLLUP, "rollup", "1d", "postgres");
    configure(PRINT, "print", NULL, "jsonl");
    configure(ROLLUP_LINES, "rollup", "1h", "jsonl");
    configure(NULL_, "null", NULL, "postgres");
    run_worker();
    check_rollup();
    ck_assert_int_eq(read_lines("print", "records", "sub_sequence", &sum), EVENTS);
    ck_assert_int_eq(read_lines("rollup-lines", "rollup", "count", &sum), EVENTS);
    ck_assert_int_eq(sum, EVENTS);
    /* Nothing was diverted: the archive is empty. */
    ck_assert_int_eq(rmdir(leat_arena_printf(&arena, "%s/archive", directory)), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("shipped_plugins");
    TCase *tests = tcase_create("shipped_plugins");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_the_weather);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
