/*
 * Ticks: a processor that counts per window, in memory and in its saved state, and writes a window on a tick alone, when the
 * watermark has passed it. The columns are sums: whatever is committed twice or not at all is seen in the table. Records come
 * from a source of our own at known times; behind the last one the shard is silent.
 */
#include <glob.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/thread.h"
#include "failure/archive.h"
#include "pipeline/pipeline.h"
#include "plugin/options.h"
#include "postgres/migrate.h"
#include "support/patience.h"
#include "support/postgres.h"
#include "support/processor.h"
#include "support/slow.h"
#include "support/timed_source.h"

#include <check.h> /* last: it defines a macro `fail` */

#define RECORDS 12000
#define STEP_US 1000
#define PER_WINDOW 250
#define WINDOW_US (PER_WINDOW * STEP_US)
#define WINDOWS (RECORDS / PER_WINDOW)
#define SECOND LEAT_SECOND_US

static char url[200], directory[64];
static struct leat_error err;
static int64_t first_us; /* the first record's time: a multiple of WINDOW_US */

/* ---- the processor -------------------------------------------------------------------------------- */

static const struct leat_column window_columns[] = {
    {"id", LEAT_INT64, LEAT_KEY}, {"count", LEAT_INT64, LEAT_SUM}, LEAT_END};
static const struct leat_column mark_columns[] = {{"id", LEAT_INT64, LEAT_KEY}, LEAT_END};
static const struct leat_table tables[] = {
    {"windows", window_columns}, {"marks", mark_columns}, LEAT_END};

/* How a tick misbehaves. */
static enum { TICK_WELL, TICK_RETRIES, TICK_FAILS_A_RECORD, TICK_STOPS, TICK_BREAKS_A_ROW } mode;
/* What the last record, behind which the shard is silent, makes of its call. */
static enum { LAST_WELL, LAST_RETRIES, LAST_BREAKS_A_ROW, LAST_FAILS, LAST_IS_REFUSED } last;
static bool writes_at_end; /* shard_end writes what no tick has */
static _Atomic int64_t ticks, none_ticks;
static _Atomic bool is_inside; /* never two calls at once for one shard */

struct state {
    int64_t counts[WINDOWS];
};

static void
enter(void)
{
    ck_assert(!atomic_exchange(&is_inside, true));
}

static enum leat_verdict
leave(enum leat_verdict verdict)
{
    is_inside = false;
    return verdict;
}

static int
shard_reset(void *opaque, struct leat_slice saved_state, struct leat_error *why)
{
    struct state *state = opaque;

    memset(state, 0, sizeof *state);
    if (saved_state.size == sizeof *state)
        memcpy(state, saved_state.data, sizeof *state);
    return 0;
}

static int
shard_begin(void *instance, const struct leat_shard *shard, struct leat_slice saved_state,
            void **ret_state, struct leat_error *why)
{
    *ret_state = LEAT_NEW(struct state);
    return shard_reset(*ret_state, saved_state, why);
}

static enum leat_verdict
process(void *opaque, const struct leat_batch *batch, struct leat_out *out, struct leat_error *why)
{
    struct state *state = opaque;

    enter();
    for (size_t i = 0; i < batch->count; i++) {
        const struct leat_record *record = batch->records[i];
        int64_t id = strtoll((const char *)record->data.data, NULL, 10);

        if (id == RECORDS - 1 && last == LAST_RETRIES)
            return leave(LEAT_RETRY);
        if (id == RECORDS - 1 && last == LAST_BREAKS_A_ROW)
            leat_emit(out, record, 1, leat_text(leat_slice_from("no number")));
        if (id == RECORDS - 1 && last == LAST_FAILS)
            leat_fail(out, record, "the last one");
        if (id == RECORDS - 1 && last == LAST_IS_REFUSED)
            leat_emit(out, record, 1, leat_int64(id));
        state->counts[(record->arrival_us - first_us) / WINDOW_US]++;
        if (id % 1000 == 777)
            leat_emit(out, record, 1, leat_int64(id));
    }
    leat_save_state(out, leat_slice_make(state, sizeof *state));
    return leave(LEAT_DONE);
}

/* All windows that end at or before this time. */
static void
emit_windows(struct state *state, struct leat_out *out, int64_t until_us)
{
    bool has_changed = false;

    for (int64_t w = 0; w < WINDOWS && first_us + (w + 1) * WINDOW_US <= until_us; w++) {
        if (state->counts[w] == 0)
            continue;
        leat_emit(out, NULL, 0, leat_int64(w), leat_int64(state->counts[w]));
        state->counts[w] = 0;
        has_changed = true;
    }
    if (has_changed)
        leat_save_state(out, leat_slice_make(state, sizeof *state));
}

static enum leat_verdict
misbehave(struct leat_out *out, struct leat_error *why)
{
    static struct leat_record stray;

    switch (mode) {
    case TICK_FAILS_A_RECORD:
        leat_fail(out, &stray, "of no batch");
        leat_fail(out, NULL, "of no batch");
        return LEAT_DONE;
    case TICK_STOPS:
        leat_error_set(why, LEAT_E_INVALID, "enough");
        return LEAT_STOP;
    case TICK_BREAKS_A_ROW:
        leat_emit(out, NULL, 0, leat_text(leat_slice_from("no number")), leat_int64(1));
        return LEAT_DONE;
    case TICK_RETRIES:
        if (ticks % 3 != 0)
            return ticks % 3 == 1 ? LEAT_RETRY : LEAT_UNAVAILABLE;
        return LEAT_DONE;
    case TICK_WELL:
        break;
    }
    return LEAT_DONE;
}

static enum leat_verdict
tick(void *opaque, int64_t now_us, int64_t watermark_us, struct leat_out *out,
     struct leat_error *why)
{
    enter();
    ticks++;
    none_ticks += watermark_us == LEAT_WATERMARK_NONE;
    ck_assert_int_gt(now_us, watermark_us);
    emit_windows(opaque, out, watermark_us);
    return leave(misbehave(out, why));
}

static enum leat_verdict
shard_end(void *opaque, enum leat_shard_end why, struct leat_out *out, struct leat_error *error)
{
    enter();
    if (writes_at_end && why == LEAT_SHARD_ENDED)
        emit_windows(opaque, out, INT64_MAX);
    free(opaque);
    return leave(LEAT_DONE);
}

static struct leat_processor processor = {
    .size = sizeof processor,
    .abi_major = LEAT_ABI_MAJOR,
    .name = "windows",
    .version = "1",
    .tables = tables,
    .tick_interval_us = 10 * LEAT_MS_US,
    .shard_begin = shard_begin,
    .process = process,
    .shard_reset = shard_reset,
    .tick = tick,
    .shard_end = shard_end,
};

/* ---- a worker in this process ---------------------------------------------------------------------- */

struct world {
    struct leat_memory *memory;
    struct leat_fetcher *fetcher;
    struct leat_source *source;
    struct leat_streams *streams;
    struct leat_archive *archive;
    struct leat_letters *letters;
    struct leat_arena arena;
    struct leat_options options;
    struct leat_pipeline_processor configured;
    struct leat_pipeline *pipeline;
    struct leat_lease_manager *leases;
};

static bool source_ends;
static struct leat_mutex said_lock;
static char said[600];

static void
notice(void *context, enum leat_log_level level, const char *what,
       const struct leat_consumer_view *view, const struct leat_error *why)
{
    leat_mutex_lock(&said_lock);
    if (level == LEAT_LOG_ERROR)
        snprintf(said, sizeof said, "%s: %s", what, why->text);
    leat_mutex_unlock(&said_lock);
    if (getenv("LEAT_TEST_VERBOSE") != NULL)
        fprintf(stderr, "%s: %s\n", what, why != NULL ? why->text : "");
}

static void
start_parts(struct world *world, const char *worker_id)
{
    struct leat_fetcher_options fetch = {.idle_us = 20 * LEAT_MS_US};
    struct leat_letters_options letters = {.worker_id = worker_id};
    struct test_timed_options timed = {
        .count = RECORDS,
        .first_us = first_us,
        .step_us = STEP_US,
        .chunk_records = 100,
        /* A victim has time for many commits, however long one takes. */
        .pause_us = (getenv("LEAT_POINTS") != NULL ? 20 : 2) * LEAT_MS_US,
        .ends = source_ends};
    LEAT_AUTO_BUF archive = LEAT_BUF_INIT;

    world->memory = leat_memory_new(64 << 20, 1);
    fetch.memory = world->memory;
    world->fetcher = leat_fetcher_new(&fetch, &err);
    world->source = test_timed_source(&timed);
    leat_buf_printf(&archive, "file://%s/archive", directory);
    ck_assert_msg(leat_archive_open(leat_buf_text(&archive), NULL, &world->archive, &err) == 0,
                  "%s", err.text);
    letters.archive = world->archive;
    world->letters = leat_letters_new(&letters, &err);
    leat_arena_init(&world->arena);
}

static void
start_pipeline(struct world *world)
{
    const char *none[] = {NULL};
    struct leat_pipeline_options options = {
        .application = "test",
        .memory = world->memory,
        .rows_budget = 16 << 20,
        .fetcher = world->fetcher,
        .letters = world->letters,
        .lease_database_url = url,
        .worker_threads = 2,
        .processors = &world->configured,
        .processor_count = 1,
        .notice = notice,
    };

    world->configured = (struct leat_pipeline_processor){
        .name = "windows",
        .plugin = &processor,
        .target = test_load_target("postgres"),
        .target_options = &world->options,
        .target_url = url,
        .batch_records = 64,
        .batch_bytes = 1 << 20,
        .batch_deadline_us = 10 * SECOND,
        .failure = {.retries = 3, .backoff_base_us = 1000, .backoff_cap_us = 10000, .bisect = true},
        .linger_us = 5 * LEAT_MS_US,
        .flush_rows = -1,
        .flush_bytes = 32 << 20,
        .committers = 1,
    };
    ck_assert_int_eq(
        test_options(world->configured.target->options, &world->arena, none, &world->options, &err),
        0);
    world->pipeline = leat_pipeline_new(&options, &err);
    ck_assert_msg(world->pipeline != NULL, "%s", err.text);
}

static void
world_start(struct world *world, const char *worker_id)
{
    static struct leat_lease_processor registered = {.name = "windows", .target_id = "here"};

    start_parts(world, worker_id);
    start_pipeline(world);
    static const struct leat_position start = {.kind = LEAT_POSITION_TRIM_HORIZON,
                                               .sub_sequence = -1};
    world->streams = leat_streams_new(NULL);
    leat_streams_add(world->streams, world->source, &start);
    struct leat_lease_options leases = {
        .database_url = url,
        .application = "test",
        .worker_id = worker_id,
        .heartbeat_us = 200 * LEAT_MS_US,
        .expiry_us = 1 * SECOND,
        .drain_us = 200 * LEAT_MS_US,
        .force_after_us = 5 * SECOND,
        .weight = 1,
        .use_notify = true,
        .use_session_lock = true,
        .streams = world->streams,
        .processors = &registered,
        .processor_count = 1,
        .events = leat_pipeline_lease_events(world->pipeline),
    };
    world->leases = leat_lease_manager_new(&leases, &err);
    ck_assert_int_eq(leat_pipeline_start(world->pipeline, world->leases, &err), 0);
    ck_assert_msg(leat_lease_manager_start(world->leases, &err) == 0, "%s", err.text);
}

static void
world_stop(struct world *world)
{
    leat_lease_manager_stop(world->leases, leat_clock_monotonic_us() + 5 * SECOND);
    leat_pipeline_free(world->pipeline);
    leat_lease_manager_free(world->leases);
    leat_letters_free(world->letters);
    leat_archive_close(world->archive);
    leat_fetcher_free(world->fetcher);
    leat_streams_free(world->streams);
    leat_memory_free(world->memory);
    leat_arena_release(&world->arena);
}

/* Looks again each 10 ms; false: the time is over. */
static bool
wait_for(bool (*is_so)(struct world *world), struct world *world, int64_t for_us)
{
    int64_t deadline_us = leat_clock_monotonic_us() + for_us;
    struct leat_mutex lock;
    struct leat_condition never;
    bool is_true;

    leat_mutex_init(&lock);
    leat_condition_init(&never);
    leat_mutex_lock(&lock);
    while (!(is_true = is_so(world)) && leat_clock_monotonic_us() < deadline_us)
        leat_condition_wait_until(&never, &lock, leat_clock_monotonic_us() + 10 * LEAT_MS_US);
    leat_mutex_unlock(&lock);
    return is_true;
}

static bool
never(struct world *world)
{
    return false;
}

/* ---- what is in the database, and in the archive ----------------------------------------------------- */

static struct leat_pg_connection *connection;

static int64_t
number(const char *sql)
{
    PGresult *result = PQexec(connection->conn, sql);
    int64_t value;

    ck_assert_msg(PQntuples(result) == 1, "%s: %s", sql, PQerrorMessage(connection->conn));
    value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return value;
}

static void
execute(const char *sql)
{
    ck_assert_msg(leat_pg_script(connection, sql, &err) == 0, "%s", err.text);
}

/* The sum of `count` over the row letters of the archive, and how many there are. */
static int64_t
sum_letters(size_t *ret_count)
{
    LEAT_AUTO_BUF pattern = LEAT_BUF_INIT;
    glob_t found;
    int64_t sum = 0;

    *ret_count = 0;
    leat_buf_printf(&pattern, "%s/archive/*/*/*/*.json", directory);
    if (glob(leat_buf_text(&pattern), 0, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct json_object *letter = json_object_from_file(found.gl_pathv[i]), *row;
        int64_t count;

        ck_assert_ptr_nonnull(letter);
        if (leat_json_get(letter, "is_row") != NULL) {
            row = json_tokener_parse(json_object_get_string(leat_json_get(letter, "data")));
            ck_assert(leat_json_get_integer(leat_json_get(row, "row"), "count", &count));
            ck_assert_str_eq(json_object_get_string(leat_json_get(row, "table")), "windows");
            ck_assert_str_eq(json_object_get_string(leat_json_get(letter, "sqlstate")), "23514");
            json_object_put(row);
            sum += count;
            ++*ret_count;
        }
        json_object_put(letter);
    }
    globfree(&found);
    return sum;
}

static bool
is_all_written(struct world *world)
{
    size_t letters;
    int64_t sum = number("SELECT coalesce(sum(count), 0) FROM windows");

    sum += sum_letters(&letters) +
           number("SELECT count(*) FROM leat.failures WHERE reason = 'rejected'");
    /* Letters are archived before the ledger has them. */
    return sum >= RECORDS && number("SELECT count(*) FROM leat.failures WHERE reason = "
                                    "'rejected_row'") >= (int64_t)letters;
}

static bool
is_half_written(struct world *world)
{
    return number("SELECT count(*) FROM windows") >= WINDOWS / 2;
}

static bool
is_ended(struct world *world)
{
    return leat_lease_manager_all_ended(world->leases);
}

static bool
is_blocked(struct world *world)
{
    struct leat_pipeline_counts counts;

    leat_pipeline_counts(world->pipeline, &counts);
    return counts.blocked == 1;
}

static void
check_exact(void)
{
    ck_assert_int_eq(number("SELECT count(*) FROM windows"), WINDOWS);
    ck_assert_int_eq(number("SELECT min(count) FROM windows"), PER_WINDOW);
    ck_assert_int_eq(number("SELECT max(count) FROM windows"), PER_WINDOW);
    ck_assert_int_eq(number("SELECT count(*) FROM leat.failures"), 0);
}

static void
setup(void)
{
    static int databases;
    struct leat_pg_options options = {
        .search_path = "public", .url = url, .application_name = "oracle"};
    char name[40];
    int applied;

    leat_mutex_init(&said_lock);
    snprintf(name, sizeof name, "ticks_%d_%d", (int)getpid(), ++databases);
    test_postgres_database(name, url, sizeof url);
    snprintf(directory, sizeof directory, "/tmp/leat-ticks-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    first_us = (leat_clock_wall_us() / WINDOW_US) * WINDOW_US - 3600 * SECOND;
    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_schema_migrate(connection, "lease", &applied, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_schema_migrate(connection, "target", &applied, &err) == 0, "%s", err.text);
    execute("CREATE TABLE windows (id bigint PRIMARY KEY, count bigint)");
    execute("CREATE TABLE marks (id bigint PRIMARY KEY)");
}

static void
teardown(void)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_pg_close(connection);
    leat_buf_printf(&command, "rm -rf %s", directory);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
}

/* ---- tests ------------------------------------------------------------------------------------------ */

START_TEST(test_a_silent_shard_closes_its_last_window)
{
    struct world world = {0};
    struct leat_pipeline_counts before, after;
    int64_t begun_us, took_us;
    uint64_t called;

    world_start(&world, "one");
    ck_assert(wait_for(is_all_written, &world, PATIENCE_US));
    wait_for(never, &world, test_patience_us(SECOND / 5));
    begun_us = leat_clock_monotonic_us();
    leat_pipeline_counts(world.pipeline, &before);
    wait_for(never, &world, SECOND / 2);
    /* Between two ticks both have counted the same. */
    do {
        called = (uint64_t)ticks;
        leat_pipeline_counts(world.pipeline, &after);
    } while (after.ticks != called && leat_clock_monotonic_us() < begun_us + PATIENCE_US);
    took_us = leat_clock_monotonic_us() - begun_us;
    /* It goes on ticking, at its interval and no faster, and costs no transaction. */
    ck_assert_uint_gt(after.ticks, before.ticks + 5);
    ck_assert_uint_lt(after.ticks, before.ticks + 5 + (uint64_t)(took_us / (10 * LEAT_MS_US)));
    ck_assert_uint_eq(after.flushes, before.flushes);
    ck_assert_uint_eq(after.epochs, before.epochs);
    ck_assert_uint_eq(after.ticks, called);
    ck_assert_uint_eq(after.rewinds, 0);
    world_stop(&world);
    check_exact();
}
END_TEST

/* Early ones of each: a machine that is busy makes fewer and larger commits. */
static const char *const points[] = {
    "tick.before=crash@1",   "tick.before=crash@9",    "tick.after=crash@5",
    "tick.after=crash@23",   "process.after=crash@20", "epoch.complete=crash@25",
    "commit.before=crash@6", "commit.sent=crash@7",    "commit.after=crash@8",
    "flight.before=crash@5", "flight.after=crash@9",   "take.after=crash@1",
};

START_TEST(test_killed_at_a_named_point)
{
    struct world world = {0};
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        setenv("LEAT_POINTS", points[_i], 1);
        world_start(&world, "victim");
        wait_for(never, &world, PATIENCE_US);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s was not passed",
                  points[_i]);
    world_start(&world, "survivor");
    ck_assert(wait_for(is_all_written, &world, PATIENCE_US));
    world_stop(&world);
    check_exact();
}
END_TEST

/* Killed at any moment, again and again. */
START_TEST(test_killed_at_random)
{
    struct world world = {0};

    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            world_start(&world, "victim");
            wait_for(never, &world, PATIENCE_US);
            _exit(0);
        }
        wait_for(never, &world, (100 + 37 * i) * LEAT_MS_US);
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
    }
    world_start(&world, "survivor");
    ck_assert(wait_for(is_all_written, &world, PATIENCE_US));
    world_stop(&world);
    check_exact();
}
END_TEST

START_TEST(test_handed_over_in_the_middle)
{
    for (int i = 0; i < 4; i++) {
        struct world world = {0};

        world_start(&world, i % 2 == 0 ? "even" : "odd");
        wait_for(i < 2 ? is_half_written : never, &world, (120 + 40 * i) * LEAT_MS_US);
        world_stop(&world);
    }
    struct world world = {0};

    world_start(&world, "last");
    ck_assert(wait_for(is_all_written, &world, PATIENCE_US));
    world_stop(&world);
    check_exact();
}
END_TEST

START_TEST(test_a_tick_that_is_tried_again)
{
    struct world world = {0};
    struct leat_pipeline_counts counts;

    mode = TICK_RETRIES;
    world_start(&world, "one");
    ck_assert(wait_for(is_all_written, &world, PATIENCE_US));
    leat_pipeline_counts(world.pipeline, &counts);
    ck_assert_uint_eq(counts.retries, 0); /* of batches: a tick's are not counted */
    world_stop(&world);
    check_exact();
}
END_TEST

static const struct {
    int mode;
    const char *says;
} refusals[] = {
    {TICK_FAILS_A_RECORD, "tick: a record was failed that is not of this batch"},
    {TICK_BREAKS_A_ROW, "tick: "},
};

START_TEST(test_a_tick_that_cannot_count_blocks_the_shard)
{
    struct world world = {0};

    mode = refusals[_i].mode;
    world_start(&world, "one");
    ck_assert(wait_for(is_blocked, &world, PATIENCE_US));
    world_stop(&world);
    ck_assert_msg(strstr(said, refusals[_i].says) != NULL, "%s", said);
    ck_assert_int_eq(ticks, 1);
    ck_assert_int_eq(number("SELECT count(*) FROM windows"), 0);
}
END_TEST

START_TEST(test_a_tick_may_stop_the_processor)
{
    struct world world = {0};
    struct leat_error why = {0};

    mode = TICK_STOPS;
    world_start(&world, "one");
    ck_assert(wait_for(is_blocked, &world, PATIENCE_US));
    ck_assert(leat_pipeline_stopped(world.pipeline, &why));
    ck_assert_msg(strstr(why.text, "enough") != NULL, "%s", why.text);
    world_stop(&world);
}
END_TEST

/* What is not in the table is in a letter that the ledger has, but for the record that is refused itself. */
static void
check_diverted(int64_t rejected)
{
    size_t letters;
    int64_t sum = number("SELECT sum(count) FROM windows"), lost = sum_letters(&letters);

    ck_assert_int_eq(sum + lost, RECORDS - rejected);
    ck_assert_uint_gt(letters, 0);
    ck_assert_uint_lt(letters, WINDOWS); /* the others were written */
    ck_assert_int_eq(number("SELECT count(*) FROM leat.failures WHERE reason = 'rejected_row' AND "
                            "sqlstate = '23514' AND partition_key = ''"),
                     (int64_t)letters);
    ck_assert_int_eq(number("SELECT count(*) FROM leat.failures WHERE reason = 'rejected'"),
                     rejected);
    ck_assert_int_eq(number("SELECT count(*) FROM leat.failures"), (int64_t)letters + rejected);
    ck_assert_int_eq(number("SELECT count(*) FROM windows WHERE id IN (5, 31)"), 0);
}

/* Rows of two ticks, and a record in between: the record alone is diverted, and only ticks become row letters. */
START_TEST(test_refused_rows_of_a_tick_become_letters)
{
    struct world world = {0};

    execute("ALTER TABLE windows ADD CHECK (id NOT IN (5, 31))");
    execute("ALTER TABLE marks ADD CHECK (id <> 4777)");
    world_start(&world, "one");
    ck_assert(wait_for(is_all_written, &world, PATIENCE_US));
    ck_assert(!is_blocked(&world));
    world_stop(&world);
    check_diverted(1);
    ck_assert_int_eq(number("SELECT count(*) FROM marks"), RECORDS / 1000 - 1);
    ck_assert_int_eq(number("SELECT (sequence = '1004777')::int FROM leat.failures WHERE reason = "
                            "'rejected'"),
                     1);
}
END_TEST

static bool
has_ticked_on(struct world *world)
{
    return number("SELECT count(*) FROM windows") >= WINDOWS &&
           number("SELECT count(*) FROM leat.failures") == 1;
}

/* Whatever the last record's end is, ticks go on behind it, and close the window that it is in. */
START_TEST(test_ticks_go_on_behind_a_diverted_record)
{
    static const struct {
        int last;
        const char *reason;
    } lasts[] = {{LAST_RETRIES, "exhausted"},
                 {LAST_BREAKS_A_ROW, "bad_row"},
                 {LAST_FAILS, "failed"},
                 {LAST_IS_REFUSED, "rejected"}};
    struct world world = {0};
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    last = lasts[_i].last;
    execute("ALTER TABLE marks ADD CHECK (id <> 11999)");
    world_start(&world, "one");
    ck_assert(wait_for(has_ticked_on, &world, PATIENCE_US));
    world_stop(&world);
    leat_buf_printf(&sql, "SELECT count(*) FROM leat.failures WHERE reason = '%s'",
                    lasts[_i].reason);
    ck_assert_int_eq(number(leat_buf_text(&sql)), 1);
    /* A record that fails by name is in the processor's own count all the same. */
    ck_assert_int_eq(number("SELECT sum(count) FROM windows"),
                     last == LAST_FAILS ? RECORDS : RECORDS - 1);
}
END_TEST

/* The rows of shard_end belong to no record either; the shard ends all the same. */
START_TEST(test_refused_rows_of_a_shards_end_become_letters)
{
    struct world world = {0};
    size_t letters;

    processor.tick_interval_us = 0;
    writes_at_end = source_ends = true;
    execute("ALTER TABLE windows ADD CHECK (id <> 5)");
    world_start(&world, "one");
    ck_assert(wait_for(is_ended, &world, PATIENCE_US));
    world_stop(&world);
    ck_assert_int_eq(ticks, 0);
    ck_assert_int_eq(sum_letters(&letters), RECORDS);
    ck_assert_uint_eq(letters, WINDOWS);
    ck_assert_int_eq(number("SELECT count(*) FROM leat.failures WHERE reason = 'rejected_row'"),
                     WINDOWS);
    ck_assert_int_eq(number("SELECT count(*) FROM leat.progress WHERE checkpoint = 'SHARD_END'"),
                     1);
}
END_TEST

/* With an end: ticks write the closed windows, shard_end what is left, and nothing twice. */
START_TEST(test_ticks_and_a_shards_end)
{
    struct world world = {0};

    writes_at_end = source_ends = true;
    world_start(&world, "one");
    ck_assert(wait_for(is_ended, &world, PATIENCE_US));
    world_stop(&world);
    ck_assert_int_gt(ticks, 0);
    check_exact();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ticks");
    TCase *tests = tcase_create("ticks");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_silent_shard_closes_its_last_window);
    tcase_add_loop_test(tests, test_killed_at_a_named_point, 0,
                        test_cases((int)LEAT_COUNT_OF(points), 3));
    tcase_add_test(tests, test_killed_at_random);
    tcase_add_test(tests, test_handed_over_in_the_middle);
    tcase_add_test(tests, test_a_tick_that_is_tried_again);
    tcase_add_loop_test(tests, test_a_tick_that_cannot_count_blocks_the_shard, 0,
                        (int)LEAT_COUNT_OF(refusals));
    tcase_add_test(tests, test_a_tick_may_stop_the_processor);
    tcase_add_test(tests, test_refused_rows_of_a_tick_become_letters);
    tcase_add_loop_test(tests, test_ticks_go_on_behind_a_diverted_record, 0, 4);
    /* Several times: the answer that ends the shard comes from elsewhere, sooner or later. */
    tcase_add_loop_test(tests, test_refused_rows_of_a_shards_end_become_letters, 0,
                        test_cases(8, 2));
    tcase_add_test(tests, test_ticks_and_a_shards_end);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
