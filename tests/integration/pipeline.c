/*
 * A file through the whole worker's inside, into Postgres: leases, takes, a processor in this program, merge, commit. Then
 * the same while workers are killed at named points: the table equals a sequential recomputation.
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
#include "plugin/loader.h"
#include "plugin/options.h"
#include "postgres/migrate.h"
#include "stream/file_source.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h> /* last: it defines a macro `fail` */

#define KEYS 97
#define LINES 30000
#define POISON_EACH 1000

static char url[200], directory[64], file[128];
static struct leat_error err;

/* ---- the processor: "key value" lines; a line with '!' is poison ------------------------------- */

static const struct leat_column columns[] = {{"key", LEAT_INT64, LEAT_KEY},
                                             {"count", LEAT_INT64, LEAT_COUNT},
                                             {"total", LEAT_DECIMAL, LEAT_SUM},
                                             {"greatest", LEAT_INT64, LEAT_MAX},
                                             LEAT_END};
static const struct leat_table tables[] = {{"sums", columns}, LEAT_END};

static enum leat_verdict
process(void *state, const struct leat_batch *batch, struct leat_out *out, struct leat_error *why)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct leat_record *record = batch->records[i];
        const char *text = (const char *)record->data.data;
        const char *space = memchr(text, ' ', record->data.size);
        int64_t value;

        if (space == NULL) {
            leat_fail(out, record, "not a line of two numbers");
            continue;
        }
        value = strtol(space + 1, NULL, 10);
        struct leat_slice number =
            leat_slice_make(space + 1, record->data.size - (size_t)(space + 1 - text));
        leat_emit(out, record, 0, leat_int64(strtol(text, NULL, 10)), leat_int64(value),
                  leat_decimal(number), leat_int64(value));
    }
    return LEAT_DONE;
}

static const struct leat_processor processor = {.size = sizeof processor,
                                                .abi_major = LEAT_ABI_MAJOR,
                                                .name = "sums",
                                                .version = "1",
                                                .tables = tables,
                                                .process = process};

/* ---- a worker in this process ------------------------------------------------------------------ */

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

static void
tell_option(void *context, int line, int column, const char *text)
{
    ck_abort_msg("%s", text);
}

static void
notice(void *context, enum leat_log_level level, const char *what,
       const struct leat_consumer_view *view, const struct leat_error *why)
{
    if (getenv("LEAT_TEST_VERBOSE") != NULL)
        fprintf(stderr, "%s: %s\n", what, why != NULL ? why->text : "");
}

static bool is_target_old;

/* is_target_old: one that was built when takes were not counted apart. */
static const struct leat_target *
load_target(void)
{
    static struct leat_target old;
    const struct leat_target *target;
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    const char *build = getenv("LEAT_BUILD");

    leat_buf_printf(&path, "%s/plugins/postgres.so", build != NULL ? build : "build/test");
    ck_assert_msg(leat_plugin_load_target(NULL, leat_buf_text(&path), NULL, &target, &err) == 0,
                  "%s", err.text);
    if (is_target_old) {
        memcpy(&old, target, offsetof(struct leat_target, count_takes));
        old.size = offsetof(struct leat_target, count_takes);
        return &old;
    }
    return target;
}

static void
world_start(struct world *world, const char *worker_id)
{
    struct leat_fetcher_options fetch = {.idle_us = 20 * LEAT_MS_US};
    struct leat_letters_options letters = {.worker_id = worker_id};
    LEAT_AUTO_BUF archive = LEAT_BUF_INIT;

    world->memory = leat_memory_new(64 << 20, 1);
    fetch.memory = world->memory;
    world->fetcher = leat_fetcher_new(&fetch, &err);
    ck_assert_msg(leat_file_source_open("lines", file, false, &world->source, &err) == 0, "%s",
                  err.text);
    leat_buf_printf(&archive, "file://%s/archive", directory);
    ck_assert_msg(leat_archive_open(leat_buf_text(&archive), NULL, &world->archive, &err) == 0,
                  "%s", err.text);
    letters.archive = world->archive;
    world->letters = leat_letters_new(&letters, &err);
    leat_arena_init(&world->arena);
    world->configured = (struct leat_pipeline_processor){
        .name = "sums",
        .plugin = &processor,
        .target = load_target(),
        .target_options = &world->options,
        .target_url = url,
        .batch_records = 500,
        .batch_bytes = 1 << 20,
        .batch_deadline_us = 10 * LEAT_SECOND_US,
        .failure = {.retries = 3, .backoff_base_us = 1000, .backoff_cap_us = 10000, .bisect = true},
        .linger_us = 0,
        /* A victim commits each epoch alone: its point is passed however busy the machine is. */
        .flush_rows = getenv("LEAT_POINTS") != NULL ? 50 : -1,
        .flush_bytes = 32 << 20,
        .committers = 1,
    };
    ck_assert_int_eq(leat_options_resolve(world->configured.target->options, NULL, 0, &world->arena,
                                          tell_option, NULL, &world->options),
                     0);
    struct leat_pipeline_options pipeline = {
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
    world->pipeline = leat_pipeline_new(&pipeline, &err);
    ck_assert_msg(world->pipeline != NULL, "%s", err.text);
    static struct leat_lease_processor registered = {.name = "sums", .target_id = "here"};
    static const struct leat_position start = {.kind = LEAT_POSITION_TRIM_HORIZON,
                                               .sub_sequence = -1};
    world->streams = leat_streams_new(NULL);
    leat_streams_add(world->streams, world->source, &start);
    struct leat_lease_options leases = {
        .database_url = url,
        .application = "test",
        .worker_id = worker_id,
        .heartbeat_us = 200 * LEAT_MS_US,
        .expiry_us = 1 * LEAT_SECOND_US,
        .drain_us = 200 * LEAT_MS_US,
        .force_after_us = 5 * LEAT_SECOND_US,
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
    leat_lease_manager_stop(world->leases, leat_clock_monotonic_us() + 5 * LEAT_SECOND_US);
    leat_pipeline_free(world->pipeline);
    leat_lease_manager_free(world->leases);
    leat_letters_free(world->letters);
    leat_archive_close(world->archive);
    leat_fetcher_free(world->fetcher);
    leat_streams_free(world->streams);
    leat_memory_free(world->memory);
    leat_arena_release(&world->arena);
}

/* True when everything is ended before the deadline. */
static bool
world_wait(struct world *world, int64_t deadline_us)
{
    struct leat_mutex lock;
    struct leat_condition never;

    leat_mutex_init(&lock);
    leat_condition_init(&never);
    leat_mutex_lock(&lock);
    while (!leat_lease_manager_all_ended(world->leases) && leat_clock_monotonic_us() < deadline_us)
        leat_condition_wait_until(&never, &lock, leat_clock_monotonic_us() + 10 * LEAT_MS_US);
    leat_mutex_unlock(&lock);
    return leat_lease_manager_all_ended(world->leases);
}

/* ---- the oracle -------------------------------------------------------------------------------- */

static int64_t counts[KEYS], totals[KEYS], greatest[KEYS], poison;

static void
write_lines(void)
{
    FILE *out = fopen(file, "w");
    uint64_t state = 42;

    memset(counts, 0, sizeof counts);
    memset(totals, 0, sizeof totals);
    memset(greatest, 0, sizeof greatest);
    poison = 0;
    for (int i = 0; i < LINES; i++) {
        int64_t key, value;

        state = state * 6364136223846793005u + 1442695040888963407u;
        key = (int64_t)(state >> 33) % KEYS;
        value = (int64_t)(state >> 40) % 1000;
        if (i % POISON_EACH == 17) {
            fprintf(out, "poison!%d\n", i);
            poison++;
            continue;
        }
        fprintf(out, "%lld %lld\n", (long long)key, (long long)value);
        counts[key]++;
        totals[key] += value;
        greatest[key] = value > greatest[key] ? value : greatest[key];
    }
    fclose(out);
}

static struct leat_pg_connection *
connect_plain(void)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = url, .application_name = "oracle"};
    struct leat_pg_connection *connection;

    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    return connection;
}

static void
check_table(void)
{
    struct leat_pg_connection *connection = connect_plain();
    PGresult *result =
        PQexec(connection->conn, "SELECT key, count, total, greatest FROM sums ORDER BY key");

    ck_assert_int_eq(PQntuples(result), KEYS);
    for (int i = 0; i < PQntuples(result); i++) {
        ck_assert_int_eq(strtol(PQgetvalue(result, i, 0), NULL, 10), i);
        ck_assert_int_eq(strtol(PQgetvalue(result, i, 1), NULL, 10), counts[i]);
        ck_assert_int_eq(strtol(PQgetvalue(result, i, 2), NULL, 10), totals[i]);
        ck_assert_int_eq(strtol(PQgetvalue(result, i, 3), NULL, 10), greatest[i]);
    }
    PQclear(result);
    result =
        PQexec(connection->conn,
               "SELECT count(*), count(*) FILTER (WHERE reason = 'failed') FROM leat.failures");
    ck_assert_int_eq(strtol(PQgetvalue(result, 0, 0), NULL, 10), poison);
    ck_assert_int_eq(strtol(PQgetvalue(result, 0, 1), NULL, 10), poison);
    PQclear(result);
    leat_pg_close(connection);
}

static int databases;

static void
setup(void)
{
    struct leat_pg_connection *connection;
    LEAT_AUTO_BUF ddl = LEAT_BUF_INIT;
    char name[40];
    int applied;

    snprintf(name, sizeof name, "pipeline_%d_%d", (int)getpid(), ++databases);
    test_postgres_database(name, url, sizeof url);
    snprintf(directory, sizeof directory, "/tmp/leat-pipeline-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/lines", directory);
    write_lines();
    connection = connect_plain();
    ck_assert_msg(leat_schema_migrate(connection, "lease", &applied, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_schema_migrate(connection, "target", &applied, &err) == 0, "%s", err.text);
    leat_buf_add_text(
        &ddl,
        "CREATE TABLE sums (key bigint PRIMARY KEY, count bigint, total numeric, greatest bigint)");
    ck_assert_msg(leat_pg_script(connection, leat_buf_text(&ddl), &err) == 0, "%s", err.text);
    leat_pg_close(connection);
}

static void
teardown(void)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_buf_printf(&command, "rm -rf %s", directory);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
}

START_TEST(test_a_file_goes_through)
{
    struct world world = {0};

    world_start(&world, "one");
    ck_assert(world_wait(&world, leat_clock_monotonic_us() + PATIENCE_US));
    world_stop(&world);
    check_table();
}
END_TEST

/* It works as ever; no call waits, and no take is counted. */
START_TEST(test_an_older_target)
{
    struct world world = {0};

    is_target_old = true;
    world_start(&world, "one");
    ck_assert(world_wait(&world, leat_clock_monotonic_us() + PATIENCE_US));
    world_stop(&world);
    check_table();
}
END_TEST

static const char *const points[] = {
    "count.before=crash@1",         "count.after=crash@1",    "take.before=crash@1",
    "take.after=crash@1",           "process.before=crash@7", "process.after=crash@9",
    "epoch.complete=crash@12",      "commit.before=crash@3",  "commit.sent=crash@3",
    "commit.after=crash@3",         "flight.before=crash@4",  "flight.after=crash@3",
    "letter.archived=crash@4",      "letter.sent=crash@2",    "archive.written=crash@3",
    "lease.registered=crash@1",     "lease.acquired=crash@1", "lease.heartbeat=crash@1",
    "lease.children.after=crash@1",
};

/* A worker that dies at the point; then one that ends the work. */
START_TEST(test_killed_at_a_named_point)
{
    struct world world = {0};
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        setenv("LEAT_POINTS", points[_i], 1);
        world_start(&world, "victim");
        world_wait(&world, leat_clock_monotonic_us() + PATIENCE_US);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s was not passed",
                  points[_i]);
    world_start(&world, "survivor");
    ck_assert(world_wait(&world, leat_clock_monotonic_us() + PATIENCE_US));
    world_stop(&world);
    check_table();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pipeline");
    TCase *tests = tcase_create("pipeline");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_file_goes_through);
    tcase_add_test(tests, test_an_older_target);
    tcase_add_loop_test(tests, test_killed_at_a_named_point, 0, (int)LEAT_COUNT_OF(points));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
