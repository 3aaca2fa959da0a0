/*
 * Four stories: all shards alike, while workers and shards come and go; a rolling deploy; loads of every size, that drift, with a
 * hot shard and slow workers; and whatever the seed says, all at once.
 */
#include <math.h>
#include <stdio.h>

#include "scenario.h"

#define STREAMS 10

/* Of the options' workers so many in a hundred; one at least. */
static size_t
part(const struct sim_options *options, size_t percent)
{
    size_t count = options->workers * percent / 100;

    return count > 0 ? count : 1;
}

static void
join_many(struct sim_scenario *scenario, size_t count, const char *build)
{
    for (size_t i = 0; i < count; i++)
        sim_join(scenario->world, build);
}

static void
crash_many(struct sim_scenario *scenario, size_t count)
{
    for (size_t i = 0; i < count && sim_running(scenario->world) > 1; i++)
        sim_crash(scenario->world, sim_any_running(scenario->world));
}

/* ---- all alike ----------------------------------------------------------------------------------- */

static void
reshard(struct sim_scenario *scenario, double seconds, size_t per_second)
{
    for (double at = 0; at < seconds; at += 1) {
        for (size_t i = 0; i < per_second; i++) {
            if (leat_random_below(&scenario->world->random, 2) == 0)
                sim_split(scenario->world);
            else
                sim_merge(scenario->world);
        }
        sim_run(scenario, 1);
    }
}

int
sim_scenario_counts(const struct sim_options *options)
{
    struct sim_scenario scenario;

    sim_begin(&scenario, options, "counts", STREAMS);
    scenario.world->is_counted = true;
    scenario.world->orphan_bar_us = 8000000;
    sim_run(&scenario, 15);
    sim_mark(&scenario, "1 joins");
    join_many(&scenario, 1, "1.0");
    sim_run(&scenario, 25);
    sim_mark(&scenario, "%zu join", part(options, 25));
    join_many(&scenario, part(options, 25), "1.0");
    sim_run(&scenario, 25);
    sim_mark(&scenario, "1 crashes");
    crash_many(&scenario, 1);
    sim_run(&scenario, 25);
    sim_mark(&scenario, "%zu crash at once", part(options, 30));
    crash_many(&scenario, part(options, 30));
    sim_run(&scenario, 30);
    sim_mark(&scenario, "%zu end one by one", part(options, 10));
    for (size_t i = 0; i < part(options, 10); i++) {
        sim_terminate(scenario.world, sim_any_running(scenario.world));
        sim_run(&scenario, 1);
    }
    sim_run(&scenario, 20);
    sim_mark(&scenario, "%zu join", part(options, 15));
    join_many(&scenario, part(options, 15), "1.0");
    sim_run(&scenario, 25);
    sim_mark(&scenario, "shards are split and merged");
    reshard(&scenario, 60, 1 + options->shards / 500);
    sim_mark(&scenario, "no more");
    sim_run(&scenario, 95);
    return sim_end(&scenario, "All shards alike");
}

/* ---- a deploy ------------------------------------------------------------------------------------ */

int
sim_scenario_deploy(const struct sim_options *options)
{
    size_t step = part(options, 5);
    struct sim_scenario scenario;
    uint64_t moves = 0;

    sim_begin(&scenario, options, "deploy", STREAMS);
    scenario.world->orphan_bar_us = 8000000;
    sim_run(&scenario, 15);
    sim_mark(&scenario, "1.1 comes, %zu workers at a time", step);
    for (size_t old = 0; old < options->workers; old += step) {
        join_many(&scenario, step, "1.1");
        sim_run(&scenario, 8);
        for (size_t w = old; w < old + step && w < options->workers; w++)
            sim_terminate(scenario.world, w);
        sim_run(&scenario, 4);
    }
    sim_mark(&scenario, "1.0 is gone");
    sim_run(&scenario, 30);
    for (int m = 0; m < SIM_MOVES; m++)
        moves += scenario.world->counts.moves[m] - scenario.begun.moves[m];
    printf("{\"simulation\": \"deploy\", \"moves_per_shard\": %.2f, \"bar\": 1.6}\n",
           (double)moves / (double)options->shards);
    if ((double)moves > 1.6 * (double)options->shards)
        sim_failed(scenario.world, "each shard moved %.2f times",
                   (double)moves / (double)options->shards);
    return sim_end(&scenario, "A rolling deploy");
}

/* ---- loads --------------------------------------------------------------------------------------- */

/* Most are small, few are large: e to the power of something normal. */
static int64_t
any_demand(struct sim_world *world, double mean_us)
{
    double normal = 0;

    for (int i = 0; i < 12; i++)
        normal += (double)leat_random_below(&world->random, 1000) / 1000;
    return (int64_t)(mean_us * exp(0.8 * (normal - 6) - 0.32));
}

static void
drift(struct sim_world *world)
{
    for (size_t i = 0; i < world->lease_count; i++) {
        struct sim_lease *lease = &world->leases[i];

        if (!lease->is_hot)
            lease->demand_us = lease->demand_us *
                               (950 + (int64_t)leat_random_below(&world->random, 103)) / 1000;
    }
}

static void
run_drifting(struct sim_scenario *scenario, double seconds)
{
    for (double at = 0; at < seconds; at += 5) {
        drift(scenario->world);
        sim_run(scenario, 5);
    }
}

/* The fullest nine tenths of workers, without the hot one, against an equal share. */
static void
check_busy(struct sim_scenario *scenario, const char *when)
{
    const struct sim_band *busy = &scenario->busy[scenario->sample_count - 1];

    printf("{\"simulation\": \"loads\", \"when\": \"%s\", \"busy_s_per_s\": {\"least\": %.3f, "
           "\"tenth\": %.3f, \"half\": %.3f, \"nine_tenths\": %.3f, \"most\": %.3f}}\n",
           when, busy->least, busy->tenth, busy->half, busy->nine_tenths, busy->most);
    if (busy->nine_tenths > 1.3 * busy->half || busy->tenth < 0.7 * busy->half)
        sim_failed(scenario->world, "%s: a tenth of the workers is far from the others", when);
}

static void
set_loads(struct sim_world *world, const struct sim_options *options)
{
    /* A worker is busy for three quarters of a second in a second. */
    double mean_us = 750000.0 * (double)options->workers / (double)options->shards;

    for (size_t i = 0; i < world->lease_count; i++)
        world->leases[i].demand_us = any_demand(world, mean_us);
}

int
sim_scenario_loads(const struct sim_options *options)
{
    struct sim_scenario scenario;
    struct sim_world *world;
    size_t hot;
    uint32_t hot_handoffs;

    sim_begin(&scenario, options, "loads", STREAMS);
    world = scenario.world;
    world->orphan_bar_us = 8000000;
    set_loads(world, options);
    sim_mark(&scenario, "loads begin");
    run_drifting(&scenario, 120);
    check_busy(&scenario, "two minutes after the loads began");
    sim_mark(&scenario, "one shard gets hot");
    hot = leat_random_below(&world->random, world->lease_count);
    world->leases[hot].demand_us = 2500000;
    world->leases[hot].is_hot = true;
    run_drifting(&scenario, 60);
    hot_handoffs = world->leases[hot].handoffs;
    run_drifting(&scenario, 120);
    sim_mark(&scenario, "%zu get half as fast", part(options, 10));
    for (size_t i = 0; i < part(options, 10); i++)
        world->workers[sim_any_running(world)].speed = 0.5;
    run_drifting(&scenario, 300);
    check_busy(&scenario, "five minutes after some workers got slow");
    sim_mark(&scenario, "%zu join, %zu crash", part(options, 10), part(options, 5));
    join_many(&scenario, part(options, 10), "1.0");
    crash_many(&scenario, part(options, 5));
    run_drifting(&scenario, 120);
    sim_mark(&scenario, "a tenth of the shards: three times the load");
    for (size_t i = 0; i < world->lease_count; i += 10)
        world->leases[i].demand_us *= world->leases[i].is_hot ? 1 : 3;
    run_drifting(&scenario, 480);
    check_busy(&scenario, "eight minutes after a tenth of the shards got busy");
    /* It may have to move when its worker dies, never for balance. */
    if (world->leases[hot].handoffs > hot_handoffs)
        sim_failed(world, "the hot shard was handed over %u times",
                   world->leases[hot].handoffs - hot_handoffs);
    if (world->counts.acts_for_load > 16)
        sim_failed(world, "%llu changes for load's sake in 20 minutes",
                   (unsigned long long)world->counts.acts_for_load);
    return sim_end(&scenario, "Loads of every size");
}

/* ---- chance -------------------------------------------------------------------------------------- */

static void
freeze(struct sim_world *world)
{
    world->workers[sim_any_running(world)].frozen_until_us =
        world->now_us + 1000000 + (int64_t)leat_random_below(&world->random, 20000000);
}

/* Lets go late: three quarters of them past the limit. */
static void
slow_down(struct sim_world *world)
{
    world->workers[sim_any_running(world)].let_go_us =
        (int64_t)leat_random_below(&world->random, 20000000);
}

static void
roll_dice(struct sim_scenario *scenario)
{
    struct sim_world *world = scenario->world;
    size_t running = sim_running(world), wanted = scenario->options->workers;
    uint64_t dice = leat_random_below(&world->random, 1000);
    const char *build = sim_seconds(scenario) < 150 ? "1.0" : "1.1";

    if (leat_random_below(&world->random, 1000) < (running < wanted ? 60 : 12))
        sim_join(world, build);
    if (running > wanted / 2 && running > 3) {
        if (dice < 12)
            sim_crash(world, sim_any_running(world));
        else if (dice < 15)
            crash_many(scenario, 1 + running / 50);
        else if (dice < 30)
            sim_terminate(world, sim_any_running(world));
        else if (dice < 45)
            freeze(world);
        else if (dice < 60)
            slow_down(world);
    }
    for (size_t i = 0; i < 1 + scenario->options->shards / 4000; i++) {
        dice = leat_random_below(&world->random, 100);
        if (dice < 25)
            sim_split(world);
        else if (dice < 50)
            sim_merge(world);
    }
}

int
sim_scenario_chance(const struct sim_options *options)
{
    struct sim_scenario scenario;

    sim_begin(&scenario, options, "chance", STREAMS);
    /* Two faults on one shard: its owner lets go too late (5 s), to one who is frozen (5 s), and those who see it. */
    scenario.world->orphan_bar_us = 14000000;
    set_loads(scenario.world, options);
    sim_mark(&scenario, "joins, crashes, freezes, slow ones, splits, merges: all the time");
    for (int64_t step = 0; step < options->steps; step++) {
        if (step * 10 < options->steps * 9)
            roll_dice(&scenario);
        if (step % 20 == 0)
            drift(scenario.world);
        if (step * 10 / options->steps == 9 && (step - 1) * 10 / options->steps < 9)
            sim_mark(&scenario, "peace");
        sim_run(&scenario, (double)SIM_TICK_US / 1e6);
    }
    return sim_end(&scenario, "Everything at once");
}
