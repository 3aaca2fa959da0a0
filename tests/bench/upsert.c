/*
 * Rows into Postgres: a file of events with a key each through `leat worker` (one committer), against a bare C loop that sends
 * the same upserts in the same way: binary arrays, unnest, ON CONFLICT, 1,000 rows a statement, pipelined, one transaction for
 * 10,000. By turns, into a fresh table each; rows per second of wall time, medians. JSON line.
 *
 *   upsert [rows] [rounds]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "postgres/array.h"
#include "support/fleet.h"

#define STATEMENT_ROWS 1000
#define TRANSACTION_ROWS 10000
#define MAXIMUM_ROUNDS 9
#define BAR 0.7
#define TIME_TEXT "2022-01-01 00:01:00"
#define TIME_US INT64_C(1640995260000000)

static struct test_fleet fleet;

static void
write_events(const char *path, int64_t rows)
{
    FILE *out = fopen(path, "w");

    for (int64_t i = 0; i < rows; i++)
        fprintf(out,
                "{\"device_id\": %lld, \"time\": \"" TIME_TEXT
                "\", \"measurement\": \"temperature\", \"value\": %lld.5}\n",
                (long long)i, (long long)(i % 1000));
    fclose(out);
}

static void
run_sql(const char *sql)
{
    struct leat_error err;

    if (leat_pg_script(fleet.connection, sql, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
}

/* ---- the bare loop ------------------------------------------------------------------------------ */

static const char upsert_sql[] =
    "INSERT INTO rollup AS t (device_id, measurement, window_start, count, sum, min, max, "
    "last_time, "
    "last) SELECT a, b, c, d, e::numeric, f::numeric, g::numeric, h, i::numeric FROM "
    "unnest($1::int8[], "
    "$2::text[], $3::timestamptz[], $4::int8[], $5::text[], $6::text[], $7::text[], "
    "$8::timestamptz[], $9::text[]) AS x (a, b, c, d, e, f, g, h, i) ON CONFLICT (device_id, "
    "measurement, window_start) DO UPDATE SET count = t.count + excluded.count, sum = t.sum + "
    "excluded.sum, min = least(t.min, excluded.min), max = greatest(t.max, excluded.max), last = "
    "CASE WHEN excluded.last_time >= t.last_time THEN excluded.last ELSE t.last END, last_time = "
    "greatest(t.last_time, excluded.last_time)";

static void
bind_rows(struct leat_pg_parameters *parameters, struct leat_buf arrays[9], int64_t first,
          int64_t count)
{
    static const enum leat_pg_oid types[9] = {
        LEAT_PG_INT8, LEAT_PG_TEXT, LEAT_PG_TIMESTAMPTZ, LEAT_PG_INT8, LEAT_PG_TEXT,
        LEAT_PG_TEXT, LEAT_PG_TEXT, LEAT_PG_TIMESTAMPTZ, LEAT_PG_TEXT};
    struct leat_slice name = leat_slice_from("temperature");

    leat_pg_parameters_init(parameters);
    for (int c = 0; c < 9; c++)
        leat_pg_array_begin(&arrays[c], types[c], (size_t)count);
    for (int64_t i = first; i < first + count; i++) {
        char number[32];
        int size = snprintf(number, sizeof number, "%lld.5", (long long)(i % 1000));
        struct leat_slice value = leat_slice_make(number, (size_t)size);

        leat_pg_array_int8(&arrays[0], i);
        leat_pg_array_bytes(&arrays[1], name);
        leat_pg_array_timestamp(&arrays[2], TIME_US);
        leat_pg_array_int8(&arrays[3], 1);
        leat_pg_array_bytes(&arrays[4], value);
        leat_pg_array_bytes(&arrays[5], value);
        leat_pg_array_bytes(&arrays[6], value);
        leat_pg_array_timestamp(&arrays[7], TIME_US);
        leat_pg_array_bytes(&arrays[8], value);
    }
    for (int c = 0; c < 9; c++)
        leat_pg_add_array(parameters, leat_pg_array_of(types[c]), &arrays[c]);
}

static void
send_one(PGconn *conn, const char *sql, const struct leat_pg_parameters *parameters)
{
    if (PQsendQueryParams(conn, sql, parameters->count, parameters->types, parameters->values,
                          parameters->lengths, parameters->formats, 1) != 1) {
        fprintf(stderr, "%s\n", PQerrorMessage(conn));
        exit(1);
    }
}

/* Results up to the sync. */
static void
collect(PGconn *conn)
{
    PGresult *result;
    ExecStatusType status = PGRES_COMMAND_OK;

    while (status != PGRES_PIPELINE_SYNC) {
        result = PQgetResult(conn);
        if (result == NULL)
            continue;
        status = PQresultStatus(result);
        if (status != PGRES_COMMAND_OK && status != PGRES_PIPELINE_SYNC) {
            fprintf(stderr, "%s\n", PQresultErrorMessage(result));
            exit(1);
        }
        PQclear(result);
    }
}

static double
run_bare(int64_t rows)
{
    PGconn *conn = PQconnectdb(fleet.url);
    struct leat_buf arrays[9];
    struct leat_pg_parameters parameters, none;
    int64_t begun_us = leat_clock_monotonic_us();

    leat_pg_parameters_init(&none);
    for (int c = 0; c < 9; c++)
        leat_buf_init(&arrays[c], SIZE_MAX);
    PQenterPipelineMode(conn);
    for (int64_t first = 0; first < rows; first += TRANSACTION_ROWS) {
        send_one(conn, "BEGIN", &none);
        for (int64_t at = first; at < first + TRANSACTION_ROWS && at < rows; at += STATEMENT_ROWS) {
            bind_rows(&parameters, arrays, at,
                      rows - at < STATEMENT_ROWS ? rows - at : STATEMENT_ROWS);
            send_one(conn, upsert_sql, &parameters);
        }
        send_one(conn, "COMMIT", &none);
        PQpipelineSync(conn);
        collect(conn);
    }
    double seconds = (double)(leat_clock_monotonic_us() - begun_us) / 1e6;
    for (int c = 0; c < 9; c++)
        leat_buf_release(&arrays[c]);
    PQfinish(conn);
    return seconds;
}

/* ---- leat --------------------------------------------------------------------------------------- */

/* From its start to the commit of the last row, as progress tells it. */
static double
run_leat(int round)
{
    char application[64], sql[200];
    const char *arguments[] = {"--until-ended", "--set", application, NULL};
    struct test_worker worker;
    int64_t deadline_us, ended_us;
    int status;

    snprintf(application, sizeof application, "application=upsert%d", round);
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM leat.progress WHERE application = 'upsert%d' AND checkpoint = "
             "'SHARD_END'",
             round);
    worker = test_fleet_spawn(&fleet, application + strlen("application="), arguments);
    deadline_us = worker.spawned_at_us + 300 * LEAT_SECOND_US;
    while (test_fleet_number(&fleet, sql) == 0 && leat_clock_monotonic_us() < deadline_us)
        usleep(20000);
    ended_us = leat_clock_monotonic_us();
    status = test_worker_wait(&worker, NULL);
    if (status != 0) {
        fprintf(stderr, "the worker ended with %d, see %s\n", status, worker.log);
        exit(1);
    }
    return (double)(ended_us - worker.spawned_at_us) / 1e6;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

int
main(int argc, char **argv)
{
    int64_t rows = argc > 1 ? strtoll(argv[1], NULL, 10) : 1000000;
    int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;
    struct test_fleet_options options = {.shards = 1};
    double bare[MAXIMUM_ROUNDS], leat[MAXIMUM_ROUNDS], ratio;
    LEAT_AUTO_BUF stream = LEAT_BUF_INIT;
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;

    if (rounds < 1 || rounds > MAXIMUM_ROUNDS)
        return 2;
    test_fleet_start(&fleet, &options);
    leat_buf_printf(&path, "%s/events.jsonl", fleet.directory);
    write_events(leat_buf_text(&path), rows);
    leat_buf_printf(&stream, "{ name: events, file: \"%s\" }", leat_buf_text(&path));
    fleet.streams = leat_buf_text(&stream);
    test_fleet_configure(&fleet, "processors: [{ name: rollup, plugin: rollup, target: { plugin: "
                                 "postgres } }]\n");
    for (int i = 0; i < rounds; i++) {
        run_sql("TRUNCATE rollup");
        bare[i] = run_bare(rows);
        run_sql("TRUNCATE rollup");
        leat[i] = run_leat(i);
        if (test_fleet_number(&fleet, "SELECT count(*) FROM rollup") != rows) {
            fprintf(stderr, "not all rows are there\n");
            return 1;
        }
    }
    qsort(bare, (size_t)rounds, sizeof *bare, compare);
    qsort(leat, (size_t)rounds, sizeof *leat, compare);
    ratio = bare[rounds / 2] / leat[rounds / 2];
    printf(
        "{\"bench\": \"upsert\", \"rows\": %lld, \"rounds\": %d, \"leat_rows_per_second\": %.0f, "
        "\"bare_rows_per_second\": %.0f, \"ratio\": %.2f, \"bar\": %.2f, \"ok\": %s}\n",
        (long long)rows, rounds, (double)rows / leat[rounds / 2], (double)rows / bare[rounds / 2],
        ratio, BAR, ratio >= BAR ? "true" : "false");
    test_fleet_end(&fleet);
    return ratio >= BAR ? 0 : 1;
}
