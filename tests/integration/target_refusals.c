/*
 * What a target refuses, and whose fault it is. Lines of rows go from files (a shard each) through the whole worker's inside into a
 * real Postgres whose tables have triggers, policies, constraints: once as large as commits get, once one record a commit. Rows and
 * letters must be the same; a table that is broken diverts nothing; and a bad record holds up no other shard.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "failure/archive.h"
#include "pipeline/pipeline.h"
#include "postgres/migrate.h"
#include "stream/file_source.h"
#include "support/patience.h"
#include "support/postgres.h"
#include "support/processor.h"
#include "support/slow.h"

#include <check.h> /* last: it defines a macro `fail` */

#define SHARDS 4

static char url[200], directory[64];
static struct leat_error err;
static struct leat_pg_connection *connection;

/* ---- the processor: a record is rows, "TABLE|VALUE|VALUE" joined by " ++ " ------------------------ */

static const struct leat_column pair_columns[] = {
    {"k", LEAT_TEXT, LEAT_KEY}, {"n", LEAT_INT64, LEAT_SUM}, {"note", LEAT_TEXT}, LEAT_END};
static const struct leat_column link_columns[] = {
    {"k", LEAT_TEXT, LEAT_KEY}, {"n", LEAT_INT64, LEAT_SUM}, {"note", LEAT_TEXT}, LEAT_END};
static const struct leat_table tables[] = {{"a", pair_columns}, {"b", link_columns}, LEAT_END};

static void
emit_row(const struct leat_record *record, struct leat_slice text, struct leat_out *out)
{
    struct leat_value values[3] = {leat_absent(), leat_absent(), leat_absent()};
    size_t table = text.data[0] == 'b', at = 2;

    for (size_t c = 0; c < 3 && at <= text.size; c++) {
        const unsigned char *end = memchr(text.data + at, '|', text.size - at);
        size_t size = end != NULL ? (size_t)(end - text.data) - at : text.size - at;
        struct leat_slice value = leat_slice_make(text.data + at, size);

        if (c == 1)
            values[c] = leat_int64(strtoll((const char *)value.data, NULL, 10));
        else
            values[c] = leat_text(value);
        at += size + 1;
    }
    leat_emit(out, record, table, values[0], values[1], values[2]);
}

/* How the processor itself misbehaves. */
static size_t state_bytes;
static bool
    slow_backoff; /* what is tried again waits long enough for the test to do something meanwhile */

static enum leat_verdict
process(void *state, const struct leat_batch *batch, struct leat_out *out, struct leat_error *why)
{
    static unsigned char bytes[2 << 20];

    for (size_t i = 0; i < batch->count; i++) {
        struct leat_slice left = batch->records[i]->data;

        while (left.size > 0) {
            const unsigned char *plus = memmem(left.data, left.size, " ++ ", 4);
            size_t size = plus != NULL ? (size_t)(plus - left.data) : left.size;

            emit_row(batch->records[i], leat_slice_make(left.data, size), out);
            size += plus != NULL ? 4 : 0;
            left = leat_slice_make(left.data + size, left.size - size);
        }
    }
    if (state_bytes > 0)
        leat_save_state(out, leat_slice_make(bytes, state_bytes));
    return LEAT_DONE;
}

static const struct leat_processor processor = {.size = sizeof processor,
                                                .abi_major = LEAT_ABI_MAJOR,
                                                .name = "lines",
                                                .version = "1",
                                                .tables = tables,
                                                .process = process};

/* ---- a worker in this process --------------------------------------------------------------------- */

struct world {
    struct leat_memory *memory;
    struct leat_fetcher *fetcher;
    struct leat_streams *streams;
    struct leat_archive *archive;
    struct leat_letters *letters;
    struct leat_arena arena;
    struct leat_options options;
    struct leat_pipeline_processor configured;
    struct leat_pipeline *pipeline;
    struct leat_lease_manager *leases;
};

static struct world world;
static struct leat_mutex said_lock;
static char said[4096];

static void
notice(void *context, enum leat_log_level level, const char *what,
       const struct leat_consumer_view *view, const struct leat_error *why)
{
    size_t size;

    leat_mutex_lock(&said_lock);
    size = strlen(said);
    snprintf(said + size, sizeof said - size, "%s: %s\n", what, why != NULL ? why->text : "");
    leat_mutex_unlock(&said_lock);
    if (getenv("LEAT_TEST_VERBOSE") != NULL)
        fprintf(stderr, "%.*s %s: %s: %s\n", (int)view->stream.size,
                (const char *)view->stream.data, view->state, what, why != NULL ? why->text : "");
}

static bool
has_said(const char *text)
{
    bool has;

    leat_mutex_lock(&said_lock);
    has = strstr(said, text) != NULL;
    leat_mutex_unlock(&said_lock);
    return has;
}

struct way {
    size_t batch_records;
    int64_t flush_rows;
    bool follows; /* the files grow */
};
static const struct way whole = {500, -1, false}, single = {1, 1, false};

static void
write_lines(int shard, const char *lines)
{
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    FILE *out;

    leat_buf_printf(&path, "%s/s%d", directory, shard);
    out = fopen(leat_buf_text(&path), "a");
    ck_assert_ptr_nonnull(out);
    fputs(lines, out);
    fclose(out);
}

static void
open_shards(const struct way *way)
{
    static const struct leat_position start = {.kind = LEAT_POSITION_TRIM_HORIZON,
                                               .sub_sequence = -1};

    world.streams = leat_streams_new(NULL);
    for (int i = 0; i < SHARDS; i++) {
        LEAT_AUTO_BUF path = LEAT_BUF_INIT;
        struct leat_source *source;
        char name[8];

        write_lines(i, "");
        snprintf(name, sizeof name, "s%d", i);
        leat_buf_printf(&path, "%s/s%d", directory, i);
        ck_assert_msg(
            leat_file_source_open(name, leat_buf_text(&path), way->follows, &source, &err) == 0,
            "%s", err.text);
        leat_streams_add(world.streams, source, &start);
    }
}

static void
start_pipeline(const struct way *way)
{
    const char *none[] = {NULL};
    struct leat_pipeline_options pipeline = {
        .application = "test",
        .memory = world.memory,
        .rows_budget = 16 << 20,
        .fetcher = world.fetcher,
        .letters = world.letters,
        .lease_database_url = url,
        .worker_threads = 2,
        .processors = &world.configured,
        .processor_count = 1,
        .notice = notice,
    };

    world.configured = (struct leat_pipeline_processor){
        .name = "lines",
        .plugin = &processor,
        .target = test_load_target("postgres"),
        .target_options = &world.options,
        .target_url = url,
        .batch_records = way->batch_records,
        .batch_bytes = 1 << 20,
        .batch_deadline_us = 10 * LEAT_SECOND_US,
        .failure = {.retries = 10,
                    .backoff_base_us = slow_backoff ? LEAT_SECOND_US : 2000,
                    .backoff_cap_us = slow_backoff ? LEAT_SECOND_US : 50000,
                    .bisect = true},
        .linger_us = 0,
        .flush_rows = way->flush_rows,
        .flush_bytes = 32 << 20,
        .committers = 1,
    };
    ck_assert_int_eq(
        test_options(world.configured.target->options, &world.arena, none, &world.options, &err),
        0);
    world.pipeline = leat_pipeline_new(&pipeline, &err);
    ck_assert_msg(world.pipeline != NULL, "%s", err.text);
}

static void
world_start(const struct way *way)
{
    static struct leat_lease_processor registered = {.name = "lines", .target_id = "here"};
    struct leat_fetcher_options fetch = {.idle_us = 20 * LEAT_MS_US};
    struct leat_letters_options letters = {.worker_id = "w"};
    LEAT_AUTO_BUF archive = LEAT_BUF_INIT;

    world = (struct world){.memory = leat_memory_new(64 << 20, 1)};
    fetch.memory = world.memory;
    world.fetcher = leat_fetcher_new(&fetch, &err);
    leat_buf_printf(&archive, "file://%s/archive", directory);
    ck_assert_msg(leat_archive_open(leat_buf_text(&archive), NULL, &world.archive, &err) == 0, "%s",
                  err.text);
    letters.archive = world.archive;
    world.letters = leat_letters_new(&letters, &err);
    leat_arena_init(&world.arena);
    open_shards(way);
    start_pipeline(way);
    struct leat_lease_options leases = {
        .database_url = url,
        .application = "test",
        .worker_id = "w",
        .heartbeat_us = 200 * LEAT_MS_US,
        .expiry_us = 2 * LEAT_SECOND_US,
        .drain_us = 200 * LEAT_MS_US,
        .force_after_us = 5 * LEAT_SECOND_US,
        .weight = 1,
        .use_notify = true,
        .use_session_lock = true,
        .streams = world.streams,
        .processors = &registered,
        .processor_count = 1,
        .events = leat_pipeline_lease_events(world.pipeline),
    };
    world.leases = leat_lease_manager_new(&leases, &err);
    ck_assert_int_eq(leat_pipeline_start(world.pipeline, world.leases, &err), 0);
    ck_assert_msg(leat_lease_manager_start(world.leases, &err) == 0, "%s", err.text);
}

static void
world_stop(void)
{
    leat_lease_manager_stop(world.leases, leat_clock_monotonic_us() + 5 * LEAT_SECOND_US);
    leat_pipeline_free(world.pipeline);
    leat_lease_manager_free(world.leases);
    leat_letters_free(world.letters);
    leat_archive_close(world.archive);
    leat_fetcher_free(world.fetcher);
    leat_streams_free(world.streams);
    leat_memory_free(world.memory);
    leat_arena_release(&world.arena);
}

/* ---- what came of it -------------------------------------------------------------------------------- */

/* All rows of the query, columns joined by |, rows by a blank. */
static void
ask(const char *sql, struct leat_buf *out)
{
    PGresult *result = PQexec(connection->conn, sql);

    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s",
                  PQerrorMessage(connection->conn));
    leat_buf_clear(out);
    for (int row = 0; row < PQntuples(result); row++) {
        for (int c = 0; c < PQnfields(result); c++)
            leat_buf_printf(out, "%s%s",
                            c > 0     ? "|"
                            : row > 0 ? " "
                                      : "",
                            PQgetvalue(result, row, c));
    }
    PQclear(result);
    leat_buf_text(out);
}

#define LETTERS                                                                                    \
    "SELECT reason, coalesce(sqlstate, ''), count(*) FROM leat.failures GROUP BY 1, 2 ORDER BY "   \
    "1, 2"

static void
wait_a_moment(void)
{
    usleep(20000);
}

static void
ck_becomes(const char *sql, const char *wanted)
{
    int64_t until_us = leat_clock_monotonic_us() + PATIENCE_US;
    LEAT_AUTO_BUF got = LEAT_BUF_INIT;

    do {
        wait_a_moment();
        ask(sql, &got);
    } while (strcmp(leat_buf_text(&got), wanted) != 0 && leat_clock_monotonic_us() < until_us);
    ck_assert_msg(strcmp(leat_buf_text(&got), wanted) == 0, "%s: \"%s\", not \"%s\"; said: %s", sql,
                  leat_buf_text(&got), wanted, said);
}

static void
ck_is(const char *sql, const char *wanted)
{
    LEAT_AUTO_BUF got = LEAT_BUF_INIT;

    ask(sql, &got);
    ck_assert_msg(strcmp(leat_buf_text(&got), wanted) == 0, "%s: \"%s\", not \"%s\"", sql,
                  leat_buf_text(&got), wanted);
}

static void
ck_said(const char *text)
{
    int64_t until_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (!has_said(text) && leat_clock_monotonic_us() < until_us)
        wait_a_moment();
    ck_assert_msg(has_said(text), "not said: %s, but: %s", text, said);
}

static void
ck_ends(void)
{
    int64_t until_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (!leat_lease_manager_all_ended(world.leases) && leat_clock_monotonic_us() < until_us)
        wait_a_moment();
    if (!leat_lease_manager_all_ended(world.leases)) {
        LEAT_AUTO_BUF got = LEAT_BUF_INIT;

        ask("SELECT shard, checkpoint FROM leat.progress", &got);
        ck_abort_msg("not all has ended: %s; said: %s", leat_buf_text(&got), said);
    }
}

static void
script(const char *sql)
{
    ck_assert_msg(leat_pg_script(connection, sql, &err) == 0, "%s", err.text);
}

#define TABLES                                                                                     \
    "CREATE TABLE a (k text PRIMARY KEY, n bigint, note text);"                                    \
    "CREATE TABLE b (k text PRIMARY KEY, n bigint, note text);"

static int databases;

static void
setup(void)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = url, .application_name = "test"};
    char name[40];
    int applied;

    snprintf(name, sizeof name, "refusals_%d_%d", (int)getpid(), ++databases);
    test_postgres_database(name, url, sizeof url);
    snprintf(directory, sizeof directory, "/tmp/leat-refusals-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    leat_mutex_init(&said_lock);
    said[0] = '\0';
    state_bytes = 0;
    slow_backoff = false;
    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    ck_assert_int_eq(leat_schema_migrate(connection, "lease", &applied, &err), 0);
    ck_assert_int_eq(leat_schema_migrate(connection, "target", &applied, &err), 0);
}

static void
teardown(void)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_pg_close(connection);
    leat_buf_printf(&command, "rm -rf %s", directory);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
}

/* ---- rows that are refused for what they hold -------------------------------------------------------- */

#define RAISES_ITS_KEY                                                                             \
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.k !~ '^good' THEN "   \
    "RAISE EXCEPTION 'no' USING errcode = left(new.k, 5); END IF; RETURN new; END $$;"
#define BEFORE_A "CREATE TRIGGER g BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();"

static const struct refusal {
    const char *what, *sql, *lines[SHARDS], *rows, *letters;
} refusals[] = {
    {"a trigger's own codes",
     TABLES RAISES_ITS_KEY BEFORE_A,
     {"a|good|1\na|P0001|1\na|AB001|1\na|good2|1\n"},
     "a:good a:good2",
     "rejected|AB001|1 rejected|P0001|1"},
    {"codes that stand for much else",
     TABLES RAISES_ITS_KEY BEFORE_A,
     {"a|42P01|1\na|good1|1\na|42501|1\na|LT001|1\na|XX000|1\n",
      "a|0A000|1\na|good2|1\na|P0002|1\n", "a|good3|1\na|54001|1\n"},
     "a:good1 a:good2 a:good3",
     "rejected|0A000|1 rejected|42501|1 rejected|42P01|1 rejected|54001|1 rejected|LT001|1 "
     "rejected|P0002|1 rejected|XX000|1"},
    {"the first of all is bad, and nothing was ever written",
     TABLES RAISES_ITS_KEY BEFORE_A,
     {"a|AB001|1\na|AB002|1\na|AB003|1\na|good|1\n"},
     "a:good",
     "rejected|AB001|1 rejected|AB002|1 rejected|AB003|1"},
    {"the last of all is bad",
     TABLES RAISES_ITS_KEY BEFORE_A,
     {"a|good|1\na|AB001|1\n"},
     "a:good",
     "rejected|AB001|1"},
    {"another table's rows are no evidence, other rows of the record are written with it or not at "
     "all",
     TABLES RAISES_ITS_KEY BEFORE_A,
     {"b|x|1\nb|y|1 ++ a|AB001|1\na|good|1\n"},
     "a:good b:x",
     "rejected|AB001|1"},
    {"a row policy",
     TABLES "ALTER TABLE a ENABLE ROW LEVEL SECURITY; ALTER TABLE a FORCE ROW LEVEL SECURITY;"
            "CREATE POLICY p ON a USING (true) WITH CHECK (k LIKE 'good%');",
     {"a|good|1\na|bad|1\na|good2|1\n"},
     "a:good a:good2",
     "rejected|42501|1"},
    {"an own code when the transaction ends",
     TABLES RAISES_ITS_KEY
     "CREATE CONSTRAINT TRIGGER g AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED "
     "FOR EACH ROW EXECUTE FUNCTION f();",
     {"a|good|1\na|AB001|1\na|good2|1\n"},
     "a:good a:good2",
     "rejected|AB001|1"},
    {"a child before its parent",
     TABLES "ALTER TABLE a ADD FOREIGN KEY (note) REFERENCES b DEFERRABLE INITIALLY DEFERRED;",
     {"a|c1|1|p1 ++ b|p1|1\na|c2|1|none\na|c3|1|p1\n"},
     "a:c1 a:c3 b:p1",
     "rejected|23503|1"},
    {"values that change places",
     TABLES "ALTER TABLE a ADD UNIQUE (note) DEFERRABLE INITIALLY DEFERRED;",
     {"a|x|1|1\na|y|1|2\na|x|0|2 ++ a|y|0|1\na|z|1|1\n"},
     "a:x a:y",
     "rejected|23505|1"},
};

static void
run_refusal(const struct refusal *refusal, const struct way *way)
{
    /* The tests' role is a superuser, whom no policy binds: rows are written as their owner. */
    script(refusal->sql);
    if (strstr(refusal->sql, "POLICY") != NULL) {
        LEAT_AUTO_BUF role = LEAT_BUF_INIT;

        script("DO $$ BEGIN CREATE ROLE refused LOGIN; EXCEPTION WHEN duplicate_object THEN END $$;"
               "GRANT USAGE ON SCHEMA leat TO refused;"
               "GRANT ALL ON ALL TABLES IN SCHEMA leat, public TO refused;"
               "GRANT ALL ON ALL SEQUENCES IN SCHEMA leat TO refused");
        leat_buf_printf(&role, "%s user=refused", url);
        ck_assert_uint_lt(role.size, sizeof url);
        snprintf(url, sizeof url, "%s", leat_buf_text(&role));
    }
    for (int i = 0; i < SHARDS; i++)
        write_lines(i, refusal->lines[i] != NULL ? refusal->lines[i] : "");
    world_start(way);
    ck_ends();
    ck_is("SELECT 'a:' || k FROM a UNION ALL SELECT 'b:' || k FROM b ORDER BY 1", refusal->rows);
    ck_is(LETTERS, refusal->letters);
    world_stop();
}

START_TEST(refused_in_one_commit)
{
    run_refusal(&refusals[_i], &whole);
}
END_TEST

START_TEST(refused_one_by_one)
{
    run_refusal(&refusals[_i], &single);
}
END_TEST

/* ---- what is the table's fault ------------------------------------------------------------------------ */

static const struct way growing = {500, -1, true}, growing_single = {1, 1, true};
static const struct way *const growing_ways[] = {&growing, &growing_single};

static const struct broken {
    const char *what, *harm, *mend, *says;
} brokens[] = {
    {"a table is missing", "ALTER TABLE b RENAME TO gone", "ALTER TABLE gone RENAME TO b",
     "does not exist"},
    {"a column is missing", "ALTER TABLE b RENAME COLUMN n TO gone",
     "ALTER TABLE b RENAME COLUMN gone TO n", "column \"n\""},
    {"a column has another type", "ALTER TABLE b ALTER n TYPE boolean USING false",
     "ALTER TABLE b ALTER n TYPE bigint USING NULL",
     "column \"n\" is boolean, the processor writes bigint"},
    {"a column orders in its own way", "ALTER TABLE b ALTER n TYPE money USING n",
     "ALTER TABLE b ALTER n TYPE bigint USING NULL",
     "column \"n\" is money, the processor writes bigint"},
    {"the key has no index", "ALTER TABLE b DROP CONSTRAINT b_pkey",
     "ALTER TABLE b ADD PRIMARY KEY (k)", "no unique or exclusion constraint"},
    {"a trigger does not find what it names for some rows",
     "CREATE FUNCTION public.helper() RETURNS int LANGUAGE sql AS 'SELECT 1';"
     "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.k LIKE '%5' THEN "
     "PERFORM helper(); END IF; RETURN new; END $$; CREATE TRIGGER g BEFORE INSERT ON b FOR EACH "
     "ROW EXECUTE FUNCTION f()",
     "ALTER FUNCTION f() SET search_path = public", "ALTER FUNCTION … SET search_path"},
    {"a trigger is broken",
     "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO nowhere VALUES "
     "(1); RETURN new; END $$; CREATE TRIGGER g BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION "
     "f()",
     "DROP TRIGGER g ON b", "nowhere"},
};

#define STORED "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)"
#define BLOCKED "the target refuses to be written"

/* Rows of both tables in one shard, of the sound one alone in two, of the broken one alone in the last. */
static void
write_some(int first)
{
    for (int i = first; i < first + 10; i++) {
        char line[100];

        snprintf(line, sizeof line, "a|s0-%d|1 ++ b|s0-%d|1\n", i, i);
        write_lines(0, line);
        for (int s = 1; s < 3; s++) {
            snprintf(line, sizeof line, "a|s%d-%d|1\n", s, i);
            write_lines(s, line);
        }
        snprintf(line, sizeof line, "b|s3-%d|1\n", i);
        write_lines(3, line);
    }
}

/* Nothing is diverted, however long it lasts; who does not write to it goes on; and all is written once it is mended. */
START_TEST(a_broken_table_diverts_nothing)
{
    const struct broken *broken = &brokens[_i % (int)LEAT_COUNT_OF(brokens)];

    script(TABLES);
    write_some(0);
    world_start(growing_ways[_i / (int)LEAT_COUNT_OF(brokens)]);
    ck_becomes(STORED, "30|20");
    script(broken->harm);
    write_some(10);
    ck_said(BLOCKED);
    ck_said(broken->says);
    ck_becomes("SELECT count(*) FROM a WHERE k NOT LIKE 's0%'", "40");
    write_some(20);
    ck_becomes("SELECT count(*) FROM a WHERE k NOT LIKE 's0%'", "60");
    usleep(LEAT_SECOND_US);
    ck_is("SELECT count(*) FROM leat.failures", "0");
    script(broken->mend);
    ck_becomes(STORED, "90|60");
    ck_said("the target can be written again");
    ck_is("SELECT count(*) FROM leat.failures", "0");
    ck_is("SELECT count(*) FROM a WHERE n <> 1", "0");
    world_stop();
}
END_TEST

/* From the first record on: nothing was ever written. */
START_TEST(a_table_that_never_was_diverts_nothing)
{
    script(TABLES "DROP TABLE b");
    write_some(0);
    world_start(growing_ways[_i]);
    ck_said(BLOCKED);
    ck_becomes("SELECT count(*) FROM a WHERE k NOT LIKE 's0%'", "20");
    usleep(LEAT_SECOND_US);
    ck_is("SELECT count(*) FROM leat.failures", "0");
    script("CREATE TABLE b (k text PRIMARY KEY, n bigint, note text)");
    ck_becomes(STORED, "30|20");
    ck_is("SELECT count(*) FROM leat.failures", "0");
    world_stop();
}
END_TEST

/* One bad record without any neighbour blocks its own shard, until somebody writes such a row: here or elsewhere. */
START_TEST(a_bad_record_waits_for_a_neighbour)
{
    int neighbour = _i / 2;

    script(TABLES RAISES_ITS_KEY BEFORE_A);
    write_lines(0, "a|AB001|1\n");
    write_lines(1, "b|one|1\n");
    world_start(growing_ways[_i % 2]);
    ck_said(BLOCKED);
    write_lines(1, "b|two|1\n");
    write_lines(2, "b|three|1\n");
    ck_becomes("SELECT count(*) FROM b", "3");
    ck_is("SELECT count(*) FROM leat.failures", "0");
    write_lines(neighbour, "a|good|1\n");
    ck_becomes(LETTERS, "rejected|AB001|1");
    write_lines(0, "a|good2|1\n");
    ck_becomes("SELECT k FROM a ORDER BY k", "good good2");
    world_stop();
}
END_TEST

/* ---- what is only a race ---------------------------------------------------------------------------- */

static void
ck_is_retried(void)
{
    int64_t until_us = leat_clock_monotonic_us() + PATIENCE_US;
    struct leat_pipeline_counts counts = {0};

    while (counts.retries == 0 && leat_clock_monotonic_us() < until_us) {
        wait_a_moment();
        leat_pipeline_counts(world.pipeline, &counts);
    }
    ck_assert_uint_gt(counts.retries, 0);
}

/* A foreign key across shards: the parent comes while the child is tried again. */
START_TEST(a_refusal_that_passes_is_no_letter)
{
    script(TABLES "ALTER TABLE a ADD FOREIGN KEY (note) REFERENCES b;");
    write_lines(0, "a|child|1|parent\na|other|1\n");
    slow_backoff = true;
    world_start(growing_ways[_i]);
    ck_is_retried();
    write_lines(1, "b|parent|1\n");
    ck_becomes(STORED, "2|1");
    ck_is("SELECT count(*) FROM leat.failures", "0");
    world_stop();
}
END_TEST

START_TEST(a_refusal_that_stays_is_counted)
{
    script(TABLES "ALTER TABLE a ADD CHECK (n > 0);");
    write_lines(0, "a|bad|0\na|good|1\n");
    world_start(growing_ways[_i]);
    ck_becomes(LETTERS, "rejected|23514|1");
    ck_is("SELECT attempts > 1 FROM leat.failures", "t");
    ck_becomes(STORED, "1|0");
    world_stop();
}
END_TEST

/*
 * A commit is refused again and again and its rows are taken while they are tried: whatever that is, it is not what they hold. It
 * waits, visibly, and is written when it passes. %s: a state that leaves doubt, or one that leaves none.
 */
#define REFUSES_COMMITS_ALONE                                                                      \
    "CREATE SEQUENCE q; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "         \
    "IF new.k = 'race' AND EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND "         \
    "relation = 'leat.progress'::regclass) AND nextval('public.q') < 9 THEN RAISE EXCEPTION "      \
    "'no' USING errcode = '%s'; END IF; RETURN new; END $$;" BEFORE_A

START_TEST(a_record_that_would_be_taken_is_no_letter)
{
    static const char *const states[] = {"AB001", "23505", "P0001"};
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(&sql, TABLES REFUSES_COMMITS_ALONE, states[_i / 2]);
    script(leat_buf_text(&sql));
    write_lines(0, "a|good|1\na|race|1\na|good2|1\n");
    world_start(growing_ways[_i % 2]);
    ck_becomes(STORED, "3|0");
    ck_said(BLOCKED);
    ck_is("SELECT count(*) FROM leat.failures", "0");
    ck_is("SELECT last_value FROM q", "9");
    world_stop();
}
END_TEST

/* What a trigger makes of keys is not known before it is there: rows that meet in it are made anew, in their order. */
START_TEST(a_trigger_that_comes_later_diverts_nothing)
{
    script(TABLES);
    write_lines(0, "a|first|1\n");
    world_start(growing_ways[_i]);
    ck_becomes(STORED, "1|0");
    script("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.k := lower(new.k);"
           "RETURN new; END $$;" BEFORE_A);
    write_lines(0, "a|c|1|x ++ a|C|2|y\na|D|1 ++ a|d|1\n");
    ck_becomes("SELECT k, n, note FROM a WHERE k <> 'first' ORDER BY k", "c|3|y d|2|");
    ck_is("SELECT count(*) FROM leat.failures", "0");
    world_stop();
}
END_TEST

#define A_IS(k, n) "CREATE TABLE a (k " k " PRIMARY KEY, n " n ", note text);"
#define TABLE_B "CREATE TABLE b (k text PRIMARY KEY, n bigint, note text);"
#define BLANKS "a|y|1 ++ a|y |1\n"
#define DEFAULTS "a|y ++ a|y|1\n"

/* One record of two rows that are one row, or a sum, by what the table is now and not by what it was: and the other way round. */
static const struct change {
    const char *before, *change, *line, *rows;
} changes[] = {
    {A_IS("char(8)", "bigint") TABLE_B, "ALTER TABLE a ALTER k TYPE text", BLANKS, "y.1 y .1"},
    {A_IS("char(8)", "bigint") TABLE_B, "DROP TABLE a;" A_IS("text", "bigint"), BLANKS, "y.1 y .1"},
    {A_IS("char(8)", "bigint") TABLE_B, "ALTER TABLE a RENAME TO was;" A_IS("text", "bigint"),
     BLANKS, "y.1 y .1"},
    {A_IS("text", "bigint") TABLE_B, "ALTER TABLE a ALTER n SET DEFAULT 5", DEFAULTS, "y.6"},
    {"CREATE DOMAIN d AS bigint; CREATE DOMAIN e AS d;" A_IS("text", "e") TABLE_B,
     "ALTER DOMAIN e SET DEFAULT 5", DEFAULTS, "y.6"},
    {"CREATE TABLE a (k text PRIMARY KEY, n bigint, note text) PARTITION BY LIST (k);"
     "CREATE TABLE a1 PARTITION OF a DEFAULT;" TABLE_B,
     "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.k := lower(new.k);"
     "RETURN new; END $$; CREATE TRIGGER g BEFORE INSERT ON a1 FOR EACH ROW EXECUTE FUNCTION f()",
     "a|y|1 ++ a|Y|1\n", "y.2"},
    {TABLE_B, A_IS("char(8)", "bigint"), BLANKS, "y.2"},
};

START_TEST(a_table_that_changes_is_written_as_it_is)
{
    const struct change *change = &changes[_i / 2];

    script(change->before);
    write_lines(0, "b|first|1\n");
    world_start(growing_ways[_i % 2]);
    ck_becomes("SELECT count(*) FROM b", "1");
    script(change->change);
    write_lines(0, change->line);
    ck_becomes("SELECT count(*) > 0 FROM a", "t");
    ck_is("SELECT k || '.' || n FROM a ORDER BY k COLLATE \"C\"", change->rows);
    ck_is("SELECT count(*) FROM leat.failures", "0");
    world_stop();
}
END_TEST

/* ---- what is the processor's fault -------------------------------------------------------------------- */

START_TEST(a_state_that_is_too_large_diverts_nothing)
{
    script(TABLES);
    state_bytes = (1 << 20) + 1;
    write_lines(0, "a|x|1\na|y|1\n");
    world_start(growing_ways[_i]);
    ck_said("a shard is blocked: the processor would save a state of 1048577 bytes");
    usleep(LEAT_SECOND_US);
    ck_is(STORED, "0|0");
    ck_is("SELECT count(*) FROM leat.failures", "0");
    world_stop();
    state_bytes = 1 << 20;
    world_start(growing_ways[_i]);
    ck_becomes(STORED, "2|0");
    ck_is("SELECT length(saved_state) FROM leat.progress WHERE saved_state IS NOT NULL", "1048576");
    world_stop();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("target_refusals");
    TCase *tests = tcase_create("refusals");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 180);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, refused_in_one_commit, 0, (int)LEAT_COUNT_OF(refusals));
    tcase_add_loop_test(tests, refused_one_by_one, 0, (int)LEAT_COUNT_OF(refusals));
    tcase_add_loop_test(tests, a_broken_table_diverts_nothing, 0,
                        test_cases((int)LEAT_COUNT_OF(brokens) + 2, 2));
    tcase_add_loop_test(tests, a_table_that_never_was_diverts_nothing, 0, 2);
    tcase_add_loop_test(tests, a_bad_record_waits_for_a_neighbour, 0, 4);
    tcase_add_loop_test(tests, a_refusal_that_passes_is_no_letter, 0, 2);
    tcase_add_loop_test(tests, a_refusal_that_stays_is_counted, 0, 2);
    tcase_add_loop_test(tests, a_record_that_would_be_taken_is_no_letter, 0, 6);
    tcase_add_loop_test(tests, a_trigger_that_comes_later_diverts_nothing, 0, 2);
    tcase_add_loop_test(tests, a_table_that_changes_is_written_as_it_is, 0,
                        2 * (int)LEAT_COUNT_OF(changes));
    tcase_add_loop_test(tests, a_state_that_is_too_large_diverts_nothing, 0, 2);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
