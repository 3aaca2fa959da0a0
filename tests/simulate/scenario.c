#include "scenario.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

#define SETTLE_US INT64_C(20000000)
#define SAMPLE_US INT64_C(1000000)
#define COLUMN_US INT64_C(5000000)
#define CPU_BAR_US 20000

void
sim_begin(struct sim_scenario *scenario, const struct sim_options *options, const char *name,
          size_t stream_count)
{
    struct sim_world *world = sim_world_new(name, options->seed);

    *scenario = (struct sim_scenario){.options = options, .world = world};
    world->orphan_bar_us = SIM_NEVER;
    sim_streams_begin(world, stream_count, options->shards);
    for (size_t w = 0; w < options->workers; w++)
        sim_join(world, "1.0");
    for (int64_t at_us = 0; at_us < SETTLE_US; at_us += SIM_TICK_US)
        sim_tick(world);
    /* How long it took until the first worker was there is nobody's fault. */
    world->orphans_us.count = 0;
    scenario->began_us = world->now_us;
    scenario->before = scenario->begun = world->counts;
}

double
sim_seconds(const struct sim_scenario *scenario)
{
    return (double)(scenario->world->now_us - scenario->began_us) / 1e6;
}

void
sim_mark(struct sim_scenario *scenario, const char *format, ...)
{
    va_list arguments;

    if (scenario->mark_count >= SIM_MARKS_MOST)
        return;
    va_start(arguments, format);
    vsnprintf(scenario->texts[scenario->mark_count], sizeof scenario->texts[0], format, arguments);
    va_end(arguments);
    scenario->marks[scenario->mark_count] =
        (struct sim_mark){sim_seconds(scenario), scenario->texts[scenario->mark_count]};
    scenario->mark_count++;
}

/* ---- samples ------------------------------------------------------------------------------------- */

static int
ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static struct sim_band
band_of(double at_s, double *values, size_t count)
{
    struct sim_band band = {.at_s = at_s};

    if (count == 0)
        return band;
    qsort(values, count, sizeof *values, ascending);
    for (size_t i = 0; i < count; i++)
        band.fair += values[i] / (double)count;
    band.least = values[0];
    band.tenth = values[(count - 1) / 10];
    band.half = values[(count - 1) / 2];
    band.nine_tenths = values[count - 1 - (count - 1) / 10];
    band.most = values[count - 1];
    return band;
}

static void
sample(struct sim_scenario *scenario)
{
    struct sim_world *world = scenario->world;
    double *leases = LEAT_NEW_ARRAY(double, world->worker_count + 1);
    double *busy = LEAT_NEW_ARRAY(double, world->worker_count + 1);
    size_t count = 0;

    for (size_t i = 0; i < world->lease_count; i++) {
        size_t owner = sim_worker_of(world, world->rows[i].lease_owner);

        if (owner == SIZE_MAX || world->rows[i].state != LEAT_LEASE_ACTIVE)
            continue;
        leases[owner] += 1;
        busy[owner] += (double)world->leases[i].demand_us / 1e6 / world->workers[owner].speed;
    }
    /* Of those that work, as far as the table knows. */
    for (size_t w = 0; w < world->worker_count; w++) {
        if (!world->workers[w].is_running || world->workers[w].row.state == LEAT_WORKER_DEAD)
            continue;
        leases[count] = leases[w];
        busy[count++] = busy[w];
    }
    LEAT_GROW(scenario->leases, scenario->sample_count, scenario->sample_capacity);
    LEAT_GROW(scenario->busy, scenario->sample_count, scenario->busy_capacity);
    scenario->leases[scenario->sample_count] = band_of(sim_seconds(scenario), leases, count);
    scenario->busy[scenario->sample_count++] = band_of(sim_seconds(scenario), busy, count);
    free(leases);
    free(busy);
}

static void
count_moves(struct sim_scenario *scenario)
{
    const struct sim_counts *counts = &scenario->world->counts;
    struct sim_column *column;

    LEAT_GROW(scenario->moves, scenario->move_count, scenario->move_capacity);
    column = &scenario->moves[scenario->move_count++];
    *column = (struct sim_column){.at_s = sim_seconds(scenario) - (double)COLUMN_US / 1e6};
    for (int m = 0; m < SIM_MOVES; m++)
        column->values[m] = (double)(counts->moves[m] - scenario->before.moves[m]);
    scenario->before = *counts;
}

void
sim_run(struct sim_scenario *scenario, double seconds)
{
    int64_t until_us = scenario->world->now_us + (int64_t)(seconds * 1e6);

    while (scenario->world->now_us < until_us) {
        sim_tick(scenario->world);
        if ((scenario->world->now_us - scenario->began_us) % SAMPLE_US == 0)
            sample(scenario);
        if ((scenario->world->now_us - scenario->began_us) % COLUMN_US == 0)
            count_moves(scenario);
    }
}

/* ---- the end ------------------------------------------------------------------------------------- */

static int
draw(struct sim_scenario *scenario, const char *title)
{
    static const char *const names[] = {"of nobody or the dead, assigned", "handed over",
                                        "forced, since its owner was too slow"};
    const struct sim_world *world = scenario->world;
    char file[256], heading[128], subtitle[192];
    struct sim_chart chart = {.file = file,
                              .title = heading,
                              .subtitle = subtitle,
                              .seconds = sim_seconds(scenario),
                              .marks = scenario->marks,
                              .mark_count = scenario->mark_count};
    int status;

    snprintf(subtitle, sizeof subtitle, "%zu shards at the start, %zu workers; seed %llu",
             scenario->options->shards, scenario->options->workers,
             (unsigned long long)scenario->options->seed);
    snprintf(file, sizeof file, "%s/%s-leases.svg", scenario->options->plots, world->name);
    snprintf(heading, sizeof heading, "%s: leases per worker", title);
    chart.y_label = "leases";
    status = sim_chart_bands(&chart, scenario->leases, scenario->sample_count);
    snprintf(file, sizeof file, "%s/%s-moves.svg", scenario->options->plots, world->name);
    snprintf(heading, sizeof heading, "%s: moves of leases", title);
    chart.y_label = "leases moved in 5 seconds";
    status |= sim_chart_columns(&chart, names, SIM_MOVES, scenario->moves, scenario->move_count);
    if (world->is_counted || scenario->busy[0].most <= 0)
        return status;
    snprintf(file, sizeof file, "%s/%s-busy.svg", scenario->options->plots, world->name);
    snprintf(heading, sizeof heading, "%s: busy time per worker", title);
    chart.y_label = "busy seconds in a second";
    return status | sim_chart_bands(&chart, scenario->busy, scenario->sample_count);
}

static void
print(struct sim_scenario *scenario, double cpu_us)
{
    struct sim_world *world = scenario->world;
    const struct sim_counts *counts = &world->counts, *begun = &scenario->begun;

    printf("{\"simulation\": \"%s\", \"seed\": %llu, \"shards\": %zu, \"workers\": %zu, "
           "\"simulated_s\": %.0f, \"passes\": %llu, \"pass_cpu_ms\": {\"median\": %.2f, "
           "\"worst\": %.2f, \"bar\": %d}, ",
           world->name, (unsigned long long)scenario->options->seed, scenario->options->shards,
           scenario->options->workers, sim_seconds(scenario), (unsigned long long)counts->passes,
           cpu_us / 1000, sim_series_at(&world->pass_cpu_us, 1) / 1000, CPU_BAR_US / 1000);
    printf("\"moves\": {\"assigned\": %llu, \"handed_over\": %llu, \"forced\": %llu}, ",
           (unsigned long long)(counts->moves[SIM_ASSIGNED] - begun->moves[SIM_ASSIGNED]),
           (unsigned long long)(counts->moves[SIM_HANDED_OVER] - begun->moves[SIM_HANDED_OVER]),
           (unsigned long long)(counts->moves[SIM_FORCED] - begun->moves[SIM_FORCED]));
    if (world->is_counted)
        printf("\"handoffs\": %llu, \"needed\": %llu, \"most_minus_least\": %llu, ",
               (unsigned long long)(counts->handoffs - begun->handoffs),
               (unsigned long long)(counts->needed - begun->needed),
               (unsigned long long)counts->most_spread);
    printf("\"for_load\": %llu, \"refused\": %llu, \"deaths\": %llu, \"came_back\": %llu, "
           "\"reshards\": %llu, \"made_by_sync\": %llu, ",
           (unsigned long long)counts->acts_for_load, (unsigned long long)counts->refused,
           (unsigned long long)counts->deaths, (unsigned long long)counts->fenced,
           (unsigned long long)counts->reshards, (unsigned long long)counts->made_by_sync);
    printf("\"run_by_nobody_s\": {\"median\": %.2f, \"p99\": %.2f, \"worst\": %.2f, \"bar\": "
           "%.1f}, \"failures\": %u}\n",
           sim_series_at(&world->orphans_us, 0.5) / 1e6,
           sim_series_at(&world->orphans_us, 0.99) / 1e6,
           sim_series_at(&world->orphans_us, 1) / 1e6, (double)world->orphan_bar_us / 1e6,
           world->failures);
    fflush(stdout);
}

int
sim_end(struct sim_scenario *scenario, const char *title)
{
    struct sim_world *world = scenario->world;
    double cpu_us = sim_series_at(&world->pass_cpu_us, 0.5);
    bool is_good;

    if (scenario->options->has_cpu_bar && cpu_us > CPU_BAR_US)
        sim_failed(world, "half of the passes took more than %d ms of CPU", CPU_BAR_US / 1000);
    if (world->is_counted && world->counts.spread_checks == 0)
        sim_failed(world, "nobody ever looked whether the leases are even");
    print(scenario, cpu_us);
    is_good = world->failures == 0;
    if (scenario->options->plots != NULL && draw(scenario, title) != 0)
        is_good = false;
    sim_world_free(world);
    free(scenario->leases);
    free(scenario->busy);
    free(scenario->moves);
    return is_good ? 0 : 1;
}
