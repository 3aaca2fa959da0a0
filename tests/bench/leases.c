/*
 * What leases cost and how fast they move. Real workers, default settings but for what is named. JSON lines.
 *
 *   leases [join|many|flat|snapshot ...]      default: all
 *
 * join      10 shards on one worker; a second one comes: from its start to 5/5 with a commit by the new owner on each shard
 * many      900 leases over 10 workers; an eleventh comes: from its start to a balance, all of it taken in the target
 * flat      rows written and WAL bytes a second in the lease database while a worker idles: 10, 1,000 and 10,000 shards
 * snapshot  a snapshot of 10 minutes ago is open, so no row version of those 10 minutes can be pruned: how long renewals and
 *           readings take then. The 10 minutes are lived through as fast as the database goes, with the product's own statements
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "lease/rows.h"
#include "support/fleet.h"

#define PATIENCE_US (120 * LEAT_SECOND_US)
#define JOINS 5
#define MANY_SHARDS 900
#define MANY_WORKERS 10

static struct test_fleet fleet;
static _Atomic bool is_stopping;
static struct leat_thread producer;

static void
begin(unsigned shards, const char *rest)
{
    struct test_fleet_options options = {.shards = shards};

    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, rest);
    test_fleet_note_commits(&fleet);
}

static void
must(const char *what, const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    fprintf(stderr, "%s: %lld, not %lld\n", what, (long long)test_fleet_number(&fleet, sql),
            (long long)wanted);
    exit(1);
}

static void
end_worker(struct test_worker *worker)
{
    test_worker_kill(worker, SIGTERM);
    test_worker_wait(worker, NULL);
}

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* ---- join --------------------------------------------------------------------------------------- */

static void
produce(void *context)
{
    char key[32], data[120];

    for (int64_t i = 0; !is_stopping; i++) {
        for (int device = 0; device < 60; device++) {
            snprintf(key, sizeof key, "device-%d", device);
            snprintf(data, sizeof data,
                     "{\"device_id\": %d, \"time\": \"2022-01-01 00:01:00\", \"measurement\": "
                     "\"t\", \"value\": %lld}",
                     device, (long long)(i % 100));
            test_fleet_put(&fleet, leat_slice_from(key), leat_slice_from(data));
        }
        usleep(10000);
    }
}

/* Each has his five, and every shard was committed by who owns it. */
#define FIVE_FIVE                                                                                  \
    "SELECT (count(*) FILTER (WHERE n = 5 AND flowing = 5))::int8 FROM (SELECT l.lease_owner, "    \
    "count(*) AS n, count(*) FILTER (WHERE p.lease_owner = l.lease_owner "                         \
    "AND " TEST_FLEET_IS_COMMITTED("p") ") AS flowing FROM leat.leases l LEFT JOIN leat.progress " \
                                        "p USING (stream_id, shard) WHERE "                        \
                                        "l.next_owner IS NULL GROUP BY 1) h"

static bool
join(void)
{
    int64_t took[JOINS];
    struct test_worker first, second;
    struct leat_error err;
    bool is_good;

    begin(10, "processors: [{ name: rollup, plugin: rollup, target: { plugin: postgres } }]\n");
    leat_thread_start(&producer, "producer", produce, NULL, &err);
    first = test_fleet_spawn(&fleet, "first", NULL);
    must("the first worker",
         "SELECT count(*) FROM leat.progress p WHERE " TEST_FLEET_IS_COMMITTED("p"), 10);
    for (int i = 0; i < JOINS; i++) {
        usleep(1500000);
        second = test_fleet_spawn(&fleet, "second", NULL);
        must("five and five", FIVE_FIVE, 2);
        took[i] = leat_clock_monotonic_us() - second.spawned_at_us;
        end_worker(&second);
        must("ten again",
             "SELECT count(*) FROM leat.leases l JOIN leat.progress p USING (stream_id, shard) "
             "WHERE p.lease_owner = l.lease_owner AND l.lease_owner = (SELECT incarnation FROM "
             "leat.workers WHERE worker_id = 'first') AND " TEST_FLEET_IS_COMMITTED("p"),
             10);
    }
    end_worker(&first);
    is_stopping = true;
    leat_thread_join(&producer);
    test_fleet_end(&fleet);
    qsort(took, JOINS, sizeof *took, compare);
    is_good = took[JOINS - 1] <= 500000;
    printf("{\"bench\": \"join\", \"shards\": 10, \"rounds\": %d, \"median_ms\": %.0f, "
           "\"worst_ms\": %.0f, \"bar_ms\": 500, \"ok\": %s}\n",
           JOINS, (double)took[JOINS / 2] / 1e3, (double)took[JOINS - 1] / 1e3,
           is_good ? "true" : "false");
    fflush(stdout);
    return is_good;
}

/* ---- many --------------------------------------------------------------------------------------- */

/* So many workers share all leases, nobody more than one more than another, and each is taken in the target by its owner. */
static void
balanced_sql(char *sql, size_t size, int workers)
{
    snprintf(sql, size,
             "SELECT (count(*) = %d AND max(n) - min(n) <= 1 AND sum(n) = %d AND sum(taken) = "
             "%d)::int FROM (SELECT count(*) AS n, count(*) FILTER (WHERE p.lease_owner = "
             "l.lease_owner) AS taken FROM leat.leases l LEFT JOIN leat.progress p USING "
             "(stream_id, shard) WHERE l.next_owner IS NULL AND l.lease_owner IS NOT NULL GROUP BY "
             "l.lease_owner) h",
             workers, MANY_SHARDS, MANY_SHARDS);
}

/* Idle shards are read five times a second each: not what is measured here, so seldom. */
#define NULL_PROCESSOR                                                                             \
    "reading: { max_calls_per_shard: 0.2/s }\n"                                                    \
    "processors: [{ name: nothing, plugin: \"null\", target: { plugin: postgres } }]\n"

static bool
many(void)
{
    struct test_worker workers[MANY_WORKERS + 1];
    char sql[600];
    int64_t took_us;

    begin(MANY_SHARDS, NULL_PROCESSOR);
    for (int i = 0; i < MANY_WORKERS; i++) {
        char id[16];

        snprintf(id, sizeof id, "w%d", i);
        workers[i] = test_fleet_spawn(&fleet, id, NULL);
    }
    balanced_sql(sql, sizeof sql, MANY_WORKERS);
    must("ten workers", sql, 1);
    usleep(3000000);
    workers[MANY_WORKERS] = test_fleet_spawn(&fleet, "late", NULL);
    balanced_sql(sql, sizeof sql, MANY_WORKERS + 1);
    must("eleven workers", sql, 1);
    took_us = leat_clock_monotonic_us() - workers[MANY_WORKERS].spawned_at_us;
    for (int i = 0; i <= MANY_WORKERS; i++)
        test_worker_kill(&workers[i], SIGKILL);
    for (int i = 0; i <= MANY_WORKERS; i++)
        test_worker_wait(&workers[i], NULL);
    test_fleet_end(&fleet);
    printf("{\"bench\": \"many\", \"shards\": %d, \"workers\": %d, \"balanced_ms\": %.0f, "
           "\"bar_ms\": 3000, \"ok\": %s}\n",
           MANY_SHARDS, MANY_WORKERS, (double)took_us / 1e3, took_us <= 3000000 ? "true" : "false");
    fflush(stdout);
    return took_us <= 3000000;
}

/* ---- flat --------------------------------------------------------------------------------------- */

#define WINDOWS 5
#define WINDOW_US (4 * LEAT_SECOND_US)
#define WRITTEN                                                                                    \
    "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::int8 FROM pg_stat_user_tables WHERE "          \
    "schemaname = 'leat'"
#define WAL "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8"

struct cost {
    double rows, bytes; /* a second */
};

static struct cost
idle_cost(unsigned shards)
{
    struct test_worker worker;
    int64_t rows, bytes[WINDOWS], from_us;
    struct cost cost;
    double seconds;

    begin(shards, NULL_PROCESSOR);
    worker = test_fleet_spawn(&fleet, "idle", NULL);
    must("all taken", "SELECT count(*) FROM leat.progress", shards);
    /* Sessions that idle tell their statistics ten seconds late. */
    test_fleet_sql(&fleet, "VACUUM");
    test_fleet_sql(&fleet, "CHECKPOINT");
    usleep(14000000);
    rows = test_fleet_number(&fleet, WRITTEN);
    from_us = leat_clock_monotonic_us();
    for (int i = 0; i < WINDOWS; i++) {
        bytes[i] = -test_fleet_number(&fleet, WAL);
        usleep((useconds_t)WINDOW_US);
        bytes[i] += test_fleet_number(&fleet, WAL);
    }
    /* The middle one: the server's own (a page written whole, a statistics run) falls into one or two of them. */
    qsort(bytes, WINDOWS, sizeof *bytes, compare);
    usleep(1500000);
    seconds = (double)(leat_clock_monotonic_us() - from_us) / 1e6;
    cost.rows = (double)(test_fleet_number(&fleet, WRITTEN) - rows) / seconds;
    cost.bytes = (double)bytes[WINDOWS / 2] / ((double)WINDOW_US / 1e6);
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    test_fleet_end(&fleet);
    return cost;
}

/* A tenth of noise is let pass: a statistics run, a page that fills. */
static bool
flat(void)
{
    static const unsigned shards[] = {10, 1000, 10000};
    struct cost costs[LEAT_COUNT_OF(shards)];
    size_t last = LEAT_COUNT_OF(shards) - 1;
    bool is_good;

    for (size_t i = 0; i <= last; i++)
        costs[i] = idle_cost(shards[i]);
    is_good = costs[last].rows <= costs[0].rows * 1.1 + 0.2 &&
              costs[last].bytes <= costs[0].bytes * 1.25 + 100;
    printf("{\"bench\": \"flat\", \"rows_per_second\": {\"10\": %.2f, \"1000\": %.2f, \"10000\": "
           "%.2f}, \"wal_bytes_per_second\": {\"10\": %.0f, \"1000\": %.0f, \"10000\": %.0f}, "
           "\"ok\": %s}\n",
           costs[0].rows, costs[1].rows, costs[2].rows, costs[0].bytes, costs[1].bytes,
           costs[2].bytes, is_good ? "true" : "false");
    fflush(stdout);
    return is_good;
}

/* ---- snapshot ------------------------------------------------------------------------------------ */

#define BEATING 10
#define TEN_MINUTES 600
#define SAMPLES 400

static void
sure(int status, const struct leat_error *err)
{
    if (status == 0)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static struct leat_pg_connection *
connect_again(void)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = fleet.url, .application_name = "bench"};
    struct leat_pg_connection *connection;
    struct leat_error err;

    sure(leat_pg_connect(&options, &connection, &err), &err);
    return connection;
}

/* A worker as the lease manager has it, but for its process. */
struct beating {
    char id[16];
    struct leat_rows_context rows;
    struct leat_registration registration;
};

static void
make_beating(struct beating *beating, int i, struct leat_pg_connection *connection)
{
    struct leat_error err;

    snprintf(beating->id, sizeof beating->id, "beating-%d", i);
    beating->rows = (struct leat_rows_context){
        .application = "bench", .worker_id = beating->id, .expiry_us = 3600 * LEAT_SECOND_US};
    beating->registration = (struct leat_registration){
        .incarnation = i + 1, .host = "here", .build = LEAT_VERSION, .weight = 1, .runs = "[]"};
    sure(leat_rows_application(connection, &beating->rows, &err), &err);
    sure(leat_rows_register(connection, &beating->rows, &beating->registration, &err), &err);
}

static void
beat(const struct beating *beating, struct leat_pg_connection *connection)
{
    struct leat_heartbeat_answer answer = {0};
    struct leat_error err;

    sure(leat_rows_heartbeat(connection, &beating->rows, beating->registration.incarnation,
                             LEAT_ROWS_SAME_SESSION, NULL, &answer, &err),
         &err);
}

static void
claim(const struct beating *beating, struct leat_pg_connection *connection)
{
    struct leat_error err;
    bool is_ours;
    int64_t version;

    sure(leat_rows_claim_pass(connection, &beating->rows, beating->registration.incarnation,
                              &is_ours, &version, &err),
         &err);
}

static void
look(const struct beating *beating, struct leat_pg_connection *connection)
{
    const struct leat_slice ids[] = {leat_slice_from("beating-1"), leat_slice_from("beating-2"),
                                     leat_slice_from("beating-3")};
    struct leat_worker_rows rows;
    struct leat_error err;

    leat_worker_rows_init(&rows);
    sure(leat_rows_neighbours(connection, &beating->rows, ids, 3, &rows, &err), &err);
    leat_worker_rows_release(&rows);
}

static void
read_all(const struct beating *beating, struct leat_pg_connection *connection)
{
    struct leat_worker_rows rows;
    struct leat_error err;

    leat_worker_rows_init(&rows);
    sure(leat_rows_workers(connection, &beating->rows, &rows, &err), &err);
    leat_worker_rows_release(&rows);
}

/* The 99th of a hundred, and the worst. */
static bool
time_them(const char *what, void (*run)(const struct beating *, struct leat_pg_connection *),
          const struct beating *beatings, struct leat_pg_connection *connection)
{
    int64_t took[SAMPLES];
    bool is_good;

    for (int i = 0; i < SAMPLES; i++) {
        int64_t from_us = leat_clock_monotonic_us();

        run(&beatings[i % BEATING], connection);
        took[i] = leat_clock_monotonic_us() - from_us;
    }
    qsort(took, SAMPLES, sizeof *took, compare);
    is_good = took[SAMPLES * 99 / 100] <= 25000;
    printf("{\"bench\": \"snapshot\", \"what\": \"%s\", \"median_ms\": %.2f, \"p99_ms\": %.2f, "
           "\"worst_ms\": %.2f, \"bar_ms\": 25, \"ok\": %s}\n",
           what, (double)took[SAMPLES / 2] / 1e3, (double)took[SAMPLES * 99 / 100] / 1e3,
           (double)took[SAMPLES - 1] / 1e3, is_good ? "true" : "false");
    fflush(stdout);
    return is_good;
}

static bool
snapshot(void)
{
    struct beating beatings[BEATING];
    struct leat_pg_connection *connection, *old;
    struct leat_error err;
    bool is_good;

    begin(1, "processors: [{ name: nothing, plugin: \"null\", target: { plugin: postgres } }]\n");
    connection = connect_again();
    old = connect_again();
    for (int i = 0; i < BEATING; i++)
        make_beating(&beatings[i], i, connection);
    sure(leat_pg_script(old, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM leat.workers",
                        &err),
         &err);
    for (int second = 0; second < TEN_MINUTES; second++) {
        for (int i = 0; i < BEATING; i++)
            beat(&beatings[i], connection);
        claim(&beatings[0], connection);
    }
    is_good = time_them("heartbeat", beat, beatings, connection);
    is_good = time_them("claim of the pass", claim, beatings, connection) && is_good;
    is_good = time_them("three neighbours", look, beatings, connection) && is_good;
    is_good = time_them("all workers", read_all, beatings, connection) && is_good;
    leat_pg_close(old);
    leat_pg_close(connection);
    test_fleet_end(&fleet);
    return is_good;
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        bool (*run)(void);
    } parts[] = {{"join", join}, {"many", many}, {"flat", flat}, {"snapshot", snapshot}};
    bool is_good = true;

    for (size_t i = 0; i < LEAT_COUNT_OF(parts); i++) {
        bool is_wanted = argc == 1;

        for (int a = 1; a < argc; a++)
            is_wanted = is_wanted || strcmp(argv[a], parts[i].name) == 0;
        if (is_wanted)
            is_good = parts[i].run() && is_good;
    }
    return is_good ? 0 : 1;
}
