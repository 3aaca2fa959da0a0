/*
 * The pass: what its holder reads, what the library decides, and, a tick later, what of it still holds. Here it is judged, too:
 * how long it took, how many moves any plan would have needed, whether two passes leave everybody even.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/leases.h"
#include "world.h"

#define PASS_READ_US INT64_C(10000000)
#define STILL_KNOWN_US INT64_C(60000000) /* what dead workers published */
#define SETTLED_PASSES 2

static void
free_plan(struct sim_plan *plan)
{
    free(plan->output.moves);
    free(plan->lease_of);
    free(plan->leases);
    free(plan->workers);
    free(plan->worker_of);
    *plan = (struct sim_plan){0};
}

static void
read_workers(struct sim_world *world, struct sim_plan *plan, struct leat_worker_loads *loads,
             size_t *load_count)
{
    plan->workers = LEAT_NEW_ARRAY(struct leat_worker, world->worker_count + 1);
    plan->worker_of = LEAT_NEW_ARRAY(size_t, world->worker_count + 1);
    *load_count = 0;
    for (size_t w = 0; w < world->worker_count; w++) {
        const struct sim_worker *worker = &world->workers[w];

        if (worker->row.state == LEAT_WORKER_DEAD &&
            worker->heartbeat_at_us < world->now_us - STILL_KNOWN_US)
            continue;
        loads[(*load_count)++] =
            (struct leat_worker_loads){worker->row.incarnation, leat_buf_slice(&worker->loads)};
        if (worker->row.state == LEAT_WORKER_DEAD)
            continue;
        plan->worker_of[plan->worker_count] = w;
        plan->workers[plan->worker_count] = worker->row;
        plan->workers[plan->worker_count++].age_us = world->now_us - worker->began_at_us;
    }
}

static void
read_leases(struct sim_world *world, struct sim_plan *plan)
{
    plan->leases = LEAT_NEW_ARRAY(struct leat_lease, world->lease_count + 1);
    plan->lease_of = LEAT_NEW_ARRAY(size_t, world->lease_count + 1);
    for (size_t i = 0; i < world->lease_count; i++) {
        if (world->rows[i].state != LEAT_LEASE_ACTIVE)
            continue;
        plan->lease_of[plan->lease_count] = i;
        plan->leases[plan->lease_count++] = world->rows[i];
    }
    plan->output.moves = LEAT_NEW_ARRAY(struct leat_move, 2 * plan->lease_count + 1);
}

/* Where leases are counted, no plan may move more than any plan must, and 5 %; and two passes after the last change nobody
   holds two more than another. */
static void
judge_plan(struct sim_world *world, const struct sim_plan *plan)
{
    struct fleet fleet = {.leases = plan->leases,
                          .workers = plan->workers,
                          .lease_count = plan->lease_count,
                          .worker_count = plan->worker_count};
    size_t needed, handoffs = 0, spread;

    for (size_t i = 0; i < plan->output.move_count; i++)
        handoffs += plan->output.moves[i].kind == LEAT_MOVE_HANDOFF;
    world->counts.handoffs += handoffs;
    if (!world->is_counted)
        return;
    needed = fleet_needed(&fleet);
    world->counts.needed += needed;
    if (handoffs > needed + needed / 20)
        sim_failed(world, "%zu leases are handed over where %zu would do", handoffs, needed);
    if (world->passes_since_change < SETTLED_PASSES)
        return;
    spread = fleet_spread(&fleet);
    world->counts.spread_checks++;
    if (spread > world->counts.most_spread)
        world->counts.most_spread = spread;
    if (spread > 1)
        sim_failed(world, "somebody holds %zu leases more than another, %u passes after the change",
                   spread, world->passes_since_change);
}

static void
make_plan(struct sim_world *world, size_t by)
{
    struct leat_worker_loads *loads =
        LEAT_NEW_ARRAY(struct leat_worker_loads, world->worker_count + 1);
    struct sim_plan *plan = &world->plan;
    struct leat_assign_input input = {.balance = world->balance};
    size_t load_count;
    int64_t begun_us;

    read_workers(world, plan, loads, &load_count);
    read_leases(world, plan);
    plan->is_there = true;
    plan->by = by;
    input.balance.age_us = world->now_us - world->rebalanced_at_us;
    input.leases = plan->leases;
    input.lease_count = plan->lease_count;
    input.workers = plan->workers;
    input.worker_count = plan->worker_count;
    if (world->workers[by].waiting_since_us != 0)
        input.waited_us = world->now_us - world->workers[by].waiting_since_us;
    begun_us = leat_clock_thread_cpu_us();
    leat_loads_apply(loads, load_count, plan->leases, plan->lease_count);
    leat_assign(&input, &plan->output);
    sim_series_add(&world->pass_cpu_us, (double)(leat_clock_thread_cpu_us() - begun_us));
    if (!plan->output.is_waiting)
        world->workers[by].waiting_since_us = 0;
    else if (world->workers[by].waiting_since_us == 0)
        world->workers[by].waiting_since_us = world->now_us;
    world->counts.passes++;
    judge_plan(world, plan);
    free(loads);
}

void
sim_pass(struct sim_world *world, size_t index)
{
    struct sim_worker *worker = &world->workers[index];
    size_t forced = sim_force(world);

    if ((worker->pass_version == world->version &&
         world->now_us < worker->pass_read_at_us + PASS_READ_US && forced == 0) ||
        world->plan.is_there)
        return;
    worker->pass_version = world->version;
    worker->pass_read_at_us = world->now_us;
    make_plan(world, index);
}

static bool
carry_out_one(struct sim_world *world, const struct sim_plan *plan, const struct leat_move *move)
{
    size_t lease = plan->lease_of[move->lease];
    struct leat_lease read = plan->leases[move->lease];

    if (move->kind == LEAT_MOVE_CANCEL)
        return sim_cancel(world, lease, &read);
    return move->kind == LEAT_MOVE_ASSIGN
               ? sim_assign(world, lease, &read, plan->worker_of[move->to])
               : sim_handoff(world, lease, &read, plan->worker_of[move->to]);
}

void
sim_carry_out(struct sim_world *world)
{
    struct sim_plan *plan = &world->plan;
    const struct sim_worker *by = &world->workers[plan->by];
    size_t held = 0;

    if (!plan->is_there)
        return;
    /* He died, or stands still, in between: as if it was never made. */
    if (!by->is_running || by->frozen_until_us > world->now_us) {
        free_plan(plan);
        return;
    }
    for (size_t i = 0; i < plan->output.move_count; i++)
        held += carry_out_one(world, plan, &plan->output.moves[i]);
    world->counts.planned += plan->output.move_count;
    world->counts.refused += plan->output.move_count - held;
    world->passes_since_change++;
    if (held < plan->output.move_count)
        world->passes_since_change = 0;
    if (held > 0)
        sim_moved(world);
    if (held == plan->output.move_count &&
        (held > 0 || (!plan->output.is_waiting && plan->output.spilled == 0))) {
        world->balance = plan->output.balance;
        if (plan->output.is_for_load)
            world->rebalanced_at_us = world->now_us;
    }
    if (held > 0 && plan->output.is_for_load)
        world->counts.acts_for_load++;
    free_plan(plan);
}
