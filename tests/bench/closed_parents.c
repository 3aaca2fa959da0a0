/*
 * A start with 1,000 closed shards behind it: their children must not wait for them one by one, and waiting holds no thread.
 *   cold       an application that was never here: the closed shards are read to their ends, then the 500 they were merged into begin
 *   restart    all closed shards are ended: how soon the 500 open ones are read again
 *   trimmed    the same once the closed shards have left the stream
 * JSON lines. `closed_parents N`: so many closed shards.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/fleet.h"

#define BAR_MS 2000
#define PATIENCE_US (120 * LEAT_SECOND_US)
#define MOST_THREADS 16

static struct test_fleet fleet;
static int closed = 1000;

static const char *
shard_name(int number, char text[32])
{
    snprintf(text, 32, "shardId-%012d", number);
    return text;
}

static void
put_into_all(const char *what)
{
    for (int i = 0; i < 4 * closed; i++) {
        char key[24];

        snprintf(key, sizeof key, "key-%d", i);
        test_fleet_put(&fleet, leat_slice_from(key), leat_slice_from(what));
    }
}

static void
merge_all(void)
{
    struct leat_error err;
    char name[32], adjacent[32];

    for (int i = 0; i + 1 < closed; i += 2) {
        if (leat_local_kinesis_merge(fleet.kinesis, TEST_FLEET_STREAM, shard_name(i, name),
                                     shard_name(i + 1, adjacent), &err) != 0)
            exit(1);
    }
}

static int
threads_of(const struct test_worker *worker)
{
    char path[64], line[256];
    int threads = 0;
    FILE *in;

    snprintf(path, sizeof path, "/proc/%d/status", (int)worker->pid);
    in = fopen(path, "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        sscanf(line, "Threads: %d", &threads);
    if (in != NULL)
        fclose(in);
    return threads;
}

/* From exec until this number is reached. */
static bool
measure(const char *what, const char *sql, int64_t wanted)
{
    struct test_worker worker = test_fleet_spawn(&fleet, what, NULL);
    int64_t deadline_us = worker.spawned_at_us + PATIENCE_US, took_us;
    int threads = 0;
    bool is_good;

    while (test_fleet_number(&fleet, sql) < wanted && leat_clock_monotonic_us() < deadline_us) {
        int now = threads_of(&worker);

        threads = now > threads ? now : threads;
        usleep(5000);
    }
    took_us = leat_clock_monotonic_us() - worker.spawned_at_us;
    is_good = took_us <= BAR_MS * LEAT_MS_US && threads <= MOST_THREADS;
    printf("{\"bench\": \"closed_parents\", \"what\": \"%s\", \"closed\": %d, \"ms\": %.0f, "
           "\"bar_ms\": %d, \"threads\": %d, \"rss_mb\": %.1f, \"ok\": %s}\n",
           what, closed, (double)took_us / 1e3, BAR_MS, threads,
           (double)test_worker_rss_bytes(&worker) / 1e6, is_good ? "true" : "false");
    fflush(stdout);
    if (took_us >= PATIENCE_US)
        test_fleet_dump(&fleet);
    test_worker_kill(&worker, SIGTERM);
    test_worker_wait(&worker, NULL);
    return is_good;
}

/* Progress of the open shards that moved behind what is remembered. */
#define MOVED                                                                                      \
    "SELECT count(*) FROM leat.progress p JOIN before b USING (shard) WHERE p.commit_seq > "       \
    "b.commit_seq + 1"

static void
remember(void)
{
    test_fleet_sql(&fleet, "DROP TABLE IF EXISTS before; CREATE TABLE before AS SELECT shard, "
                           "commit_seq FROM leat.progress WHERE checkpoint <> 'SHARD_END'");
}

int
main(int count, char **arguments)
{
    struct test_fleet_options options;
    struct leat_error err;
    bool is_good;

    if (count > 1)
        closed = (int)strtol(arguments[1], NULL, 10);
    options = (struct test_fleet_options){.shards = (unsigned)closed};
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, "processors: [{ name: rollup, plugin: rollup, target: { plugin: "
                                 "postgres } }]\n");
    put_into_all("{\"device_id\": 1, \"time\": \"2022-01-01 00:00:00\", \"measurement\": \"m\", "
                 "\"value\": 1}");
    merge_all();
    is_good = measure("cold",
                      "SELECT count(*) FROM leat.progress p JOIN leat.leases l USING (shard) WHERE "
                      "cardinality(l.parents) = 2",
                      closed / 2);
    put_into_all("{\"device_id\": 1, \"time\": \"2022-01-01 00:00:00\", \"measurement\": \"m\", "
                 "\"value\": 1}");
    remember();
    is_good = measure("restart", MOVED, closed / 2 - closed / 100) && is_good;
    put_into_all("{\"device_id\": 1, \"time\": \"2022-01-01 00:00:00\", \"measurement\": \"m\", "
                 "\"value\": 1}");
    for (int i = 0; i < closed; i++) {
        char name[32];

        leat_local_kinesis_trim(fleet.kinesis, TEST_FLEET_STREAM, shard_name(i, name), INT64_MAX,
                                &err);
    }
    remember();
    is_good = measure("trimmed", MOVED, closed / 2 - closed / 100) && is_good;
    test_fleet_end(&fleet);
    return is_good ? 0 : 1;
}
