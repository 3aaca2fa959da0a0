/* The clock, what is looked at in every tick, and what is written down. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

#define FAILURES_SHOWN 10
#define SYNC_US INT64_C(60000000)

struct sim_world *
sim_world_new(const char *name, uint64_t seed)
{
    struct sim_world *world = LEAT_NEW(struct sim_world);

    world->name = name;
    leat_random_seed(&world->random, seed);
    world->now_us = INT64_C(1000000000);
    world->workers = LEAT_NEW_ARRAY(struct sim_worker, SIM_WORKERS_MOST);
    return world;
}

void
sim_world_free(struct sim_world *world)
{
    for (size_t w = 0; w < world->worker_count; w++) {
        struct sim_worker *worker = &world->workers[w];

        leat_buf_release(&worker->loads);
        leat_watch_release(&worker->watch);
        leat_measure_release(&worker->measure);
        free(worker->held);
    }
    for (size_t s = 0; s < world->stream_count; s++) {
        leat_shard_list_release(&world->streams[s].shards);
        free(world->streams[s].lease_of);
    }
    free(world->plan.output.moves);
    free(world->plan.lease_of);
    free(world->plan.leases);
    free(world->plan.workers);
    free(world->plan.worker_of);
    free(world->table.first);
    free(world->table.items);
    free(world->streams);
    free(world->workers);
    free(world->rows);
    free(world->leases);
    free(world->pass_cpu_us.values);
    free(world->orphans_us.values);
    free(world);
}

void
sim_failed(struct sim_world *world, const char *format, ...)
{
    va_list arguments;

    if (world->failures++ >= FAILURES_SHOWN)
        return;
    printf("{\"simulation\": \"%s\", \"failed_at_s\": %.2f, \"what\": \"", world->name,
           (double)(world->now_us - 1000000000) / 1e6);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\"}\n");
}

void
sim_series_add(struct sim_series *series, double value)
{
    LEAT_GROW(series->values, series->count, series->capacity);
    series->values[series->count++] = value;
}

static int
ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

double
sim_series_at(struct sim_series *series, double share)
{
    if (series->count == 0)
        return 0;
    qsort(series->values, series->count, sizeof *series->values, ascending);
    return series->values[(size_t)(share * (double)(series->count - 1) + 0.5)];
}

/* How long each lease was run by nobody; those that wait for their parents count as run. */
static void
look_for_orphans(struct sim_world *world)
{
    bool has_workers = sim_running(world) > 0;

    for (size_t i = 0; i < world->lease_count; i++) {
        struct sim_lease *lease = &world->leases[i];
        int64_t gap_us = world->now_us - lease->ran_at_us;

        if (world->rows[i].state != LEAT_LEASE_ACTIVE)
            continue;
        if (!has_workers || !sim_may_run(world, i)) {
            lease->ran_at_us = lease->seen_at_us = world->now_us;
            continue;
        }
        if (gap_us == 0 && lease->seen_at_us < world->now_us - SIM_TICK_US)
            sim_series_add(&world->orphans_us, (double)(world->now_us - lease->seen_at_us));
        if (gap_us > world->orphan_bar_us && gap_us <= world->orphan_bar_us + SIM_TICK_US)
            sim_failed(world, "lease %zu was run by nobody for more than %.1f s", i,
                       (double)world->orphan_bar_us / 1e6);
        if (gap_us == 0)
            lease->seen_at_us = world->now_us;
    }
}

void
sim_tick(struct sim_world *world)
{
    world->now_us += SIM_TICK_US;
    sim_carry_out(world);
    sim_run_workers(world);
    if (world->now_us % SYNC_US == 0)
        sim_sync(world);
    look_for_orphans(world);
}
