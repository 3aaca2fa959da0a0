/*
 * How long a shard rests when its worker goes: killed, ended, or with the whole fleet. Default settings, real workers, a record
 * on each shard every 10 ms. Measured is from the signal to the commit of each of its shards elsewhere. JSON lines.
 *
 *   take_over [rounds]
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "support/fleet.h"

#define SHARDS 4
#define MAXIMUM_ROUNDS 50
#define RUN_US (5 * LEAT_SECOND_US)
#define PATIENCE_US (30 * LEAT_SECOND_US)

static struct test_fleet fleet;
static _Atomic bool is_stopping;
static int workers_made;

/* ---- a steady stream --------------------------------------------------------------------------- */

static void
produce(void *context)
{
    char key[32], data[120];

    for (int64_t i = 0; !is_stopping; i++) {
        for (int device = 0; device < 4 * SHARDS; device++) {
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

/* ---- the fleet as it should be ------------------------------------------------------------------ */

static struct test_worker
spawn(const char *const *arguments)
{
    char id[32];

    snprintf(id, sizeof id, "w%d", ++workers_made);
    return test_fleet_spawn(&fleet, id, arguments);
}

static int64_t
incarnation_of(const struct test_worker *worker)
{
    char sql[200];

    snprintf(sql, sizeof sql,
             "SELECT coalesce(max(incarnation), 0) FROM leat.workers WHERE worker_id = '%s' AND "
             "state = 'alive'",
             worker->id);
    return test_fleet_number(&fleet, sql);
}

/* Both have half of the shards, and have committed to each. */
static void
wait_until_balanced(const struct test_worker *workers, int count)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    for (int i = 0; i < count; i++) {
        char sql[300];

        while (incarnation_of(&workers[i]) == 0 && leat_clock_monotonic_us() < deadline_us)
            usleep(5000);
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM leat.progress p JOIN leat.leases l USING (application, "
                 "stream_id, shard) WHERE l.lease_owner = %lld AND p.lease_owner = l.lease_owner "
                 "AND p.takes = 0 AND l.next_owner IS NULL",
                 (long long)incarnation_of(&workers[i]));
        if (!test_fleet_wait_for(&fleet, sql, SHARDS / count, deadline_us)) {
            fprintf(stderr, "worker %s does not get its shards\n", workers[i].id);
            exit(1);
        }
    }
}

/* ---- the measured thing ------------------------------------------------------------------------- */

struct measured {
    int64_t first_us, all_us;
};

/* Shards that the incarnation had, committed by others since. */
static struct measured
measure(int64_t dead, int64_t shards, int64_t from_us)
{
    struct measured measured = {0};
    char sql[300];

    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM leat.progress p JOIN had USING (shard) WHERE p.lease_owner <> "
             "%lld AND p.takes = 0",
             (long long)dead);
    if (!test_fleet_wait_for(&fleet, sql, 1, from_us + PATIENCE_US)) {
        fprintf(stderr, "no shard was committed elsewhere\n");
        exit(1);
    }
    measured.first_us = leat_clock_monotonic_us() - from_us;
    if (!test_fleet_wait_for(&fleet, sql, shards, from_us + PATIENCE_US)) {
        fprintf(stderr, "not all shards were committed elsewhere\n");
        exit(1);
    }
    measured.all_us = leat_clock_monotonic_us() - from_us;
    return measured;
}

/* Which shards are about to be left, so that the question is short. */
static int64_t
remember_shards(int64_t owner)
{
    char sql[300];

    snprintf(sql, sizeof sql,
             "WITH made AS (INSERT INTO had SELECT shard FROM leat.progress WHERE lease_owner = "
             "%lld RETURNING 1) SELECT count(*) FROM made",
             (long long)owner);
    test_fleet_number(&fleet, "WITH gone AS (DELETE FROM had RETURNING 1) SELECT count(*) FROM "
                              "gone");
    return test_fleet_number(&fleet, sql);
}

static struct measured
lose_one(struct test_worker workers[2], int victim, int signal_number, const char *const *arguments)
{
    struct measured measured;
    int64_t owner, shards, from_us;

    wait_until_balanced(workers, 2);
    while (leat_clock_monotonic_us() < workers[1 - victim].spawned_at_us + RUN_US)
        usleep(20000);
    owner = incarnation_of(&workers[victim]);
    shards = remember_shards(owner);
    from_us = leat_clock_monotonic_us();
    test_worker_kill(&workers[victim], signal_number);
    measured = measure(owner, shards, from_us);
    test_worker_wait(&workers[victim], NULL);
    workers[victim] = spawn(arguments);
    return measured;
}

/* ---- the report --------------------------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static bool
report(const char *how, const struct measured *measured, int rounds, int64_t bar_ms)
{
    int64_t first[MAXIMUM_ROUNDS], all[MAXIMUM_ROUNDS];
    bool is_good;

    for (int i = 0; i < rounds; i++) {
        first[i] = measured[i].first_us;
        all[i] = measured[i].all_us;
    }
    qsort(first, (size_t)rounds, sizeof *first, compare);
    qsort(all, (size_t)rounds, sizeof *all, compare);
    is_good = first[rounds - 1] <= bar_ms * 1000;
    printf("{\"bench\": \"take_over\", \"how\": \"%s\", \"rounds\": %d, \"first_median_ms\": %.0f, "
           "\"first_worst_ms\": %.0f, \"all_median_ms\": %.0f, \"all_worst_ms\": %.0f, \"bar_ms\": "
           "%lld, \"ok\": %s}\n",
           how, rounds, (double)first[rounds / 2] / 1e3, (double)first[rounds - 1] / 1e3,
           (double)all[rounds / 2] / 1e3, (double)all[rounds - 1] / 1e3, (long long)bar_ms,
           is_good ? "true" : "false");
    fflush(stdout);
    return is_good;
}

static bool
many(const char *how, int signal_number, int rounds, int64_t bar_ms, const char *const *arguments)
{
    struct measured measured[MAXIMUM_ROUNDS];
    struct test_worker workers[2];

    workers[0] = spawn(arguments);
    workers[1] = spawn(arguments);
    for (int i = 0; i < rounds; i++)
        measured[i] = lose_one(workers, i % 2, signal_number, arguments);
    for (int i = 0; i < 2; i++) {
        test_worker_kill(&workers[i], SIGTERM);
        test_worker_wait(&workers[i], NULL);
    }
    return report(how, measured, rounds, bar_ms);
}

/* All die at once; a new one comes at once. */
static bool
cold(int rounds)
{
    struct measured measured[MAXIMUM_ROUNDS];
    struct test_worker workers[2] = {spawn(NULL), spawn(NULL)};

    for (int i = 0; i < rounds; i++) {
        int64_t from_us, shards;

        wait_until_balanced(workers, 2);
        shards = remember_shards(incarnation_of(&workers[0]));
        int64_t dead = incarnation_of(&workers[0]);
        from_us = leat_clock_monotonic_us();
        for (int k = 0; k < 2; k++)
            test_worker_kill(&workers[k], SIGKILL);
        for (int k = 0; k < 2; k++)
            test_worker_wait(&workers[k], NULL);
        workers[0] = spawn(NULL);
        measured[i] = measure(dead, shards, from_us);
        workers[1] = spawn(NULL);
    }
    for (int i = 0; i < 2; i++) {
        test_worker_kill(&workers[i], SIGTERM);
        test_worker_wait(&workers[i], NULL);
    }
    return report("whole fleet SIGKILL, cold start", measured, rounds, 5500);
}

int
main(int argc, char **argv)
{
    static const char *const no_notify[] = {"--set", "leases.notify=false", NULL};
    struct test_fleet_options options = {.shards = SHARDS};
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5;
    struct leat_thread producer = {0};
    struct leat_error err;
    bool is_good;

    if (rounds < 1 || rounds > MAXIMUM_ROUNDS)
        return 2;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, "processors: [{ name: rollup, plugin: rollup, target: { plugin: "
                                 "postgres } }]\n");
    leat_pg_script(fleet.connection, "CREATE TABLE had (shard text)", &err);
    leat_thread_start(&producer, "producer", produce, NULL, &err);
    is_good = many("SIGKILL", SIGKILL, rounds, 2000, NULL);
    is_good = many("SIGTERM", SIGTERM, rounds, 500, NULL) && is_good;
    is_good = many("SIGTERM, notify off", SIGTERM, rounds, 1500, no_notify) && is_good;
    is_good = many("SIGKILL, notify off", SIGKILL, rounds, 2000, no_notify) && is_good;
    is_good = cold(rounds < 3 ? rounds : 3) && is_good;
    is_stopping = true;
    leat_thread_join(&producer);
    test_fleet_end(&fleet);
    return is_good ? 0 : 1;
}
