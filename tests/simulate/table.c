/* The lease database: every change carries the condition that docs/protocol.md §2 names, whoever sends it and whatever he read. */
#include "world.h"

#define INDEX_MASK ((INT64_C(1) << 20) - 1)

size_t
sim_worker_of(const struct sim_world *world, int64_t incarnation)
{
    size_t index = (size_t)(incarnation & INDEX_MASK);

    return incarnation != 0 && index < world->worker_count &&
                   world->workers[index].row.incarnation == incarnation
               ? index
               : SIZE_MAX;
}

static bool
is_in_state(const struct sim_world *world, int64_t incarnation, bool may_leave)
{
    size_t worker = sim_worker_of(world, incarnation);

    return worker != SIZE_MAX && world->workers[worker].row.state != LEAT_WORKER_DEAD &&
           (may_leave || world->workers[worker].row.state == LEAT_WORKER_ALIVE);
}

void
sim_moved(struct sim_world *world)
{
    world->version++;
}

void
sim_changed(struct sim_world *world)
{
    world->changed_at_us = world->now_us;
    world->passes_since_change = 0;
    sim_moved(world);
}

/* A lease's owner may only change in these ways; each raises the counter. */
static void
give(struct sim_world *world, size_t lease, int64_t owner)
{
    struct leat_lease *row = &world->rows[lease];
    size_t worker = sim_worker_of(world, owner);

    row->lease_owner = owner;
    row->next_owner = 0;
    world->leases[lease].handoff_at_us = 0;
    row->lease_counter++;
    if (worker != SIZE_MAX)
        row->last_worker_id = leat_slice_from(world->workers[worker].id);
}

static bool
is_as_read(const struct leat_lease *row, const struct leat_lease *read)
{
    return row->state == LEAT_LEASE_ACTIVE && row->lease_counter == read->lease_counter &&
           row->lease_owner == read->lease_owner;
}

bool
sim_assign(struct sim_world *world, size_t lease, const struct leat_lease *read, size_t to)
{
    struct leat_lease *row = &world->rows[lease];
    int64_t incarnation = world->workers[to].row.incarnation;

    if (!is_as_read(row, read) || is_in_state(world, row->lease_owner, true) ||
        !is_in_state(world, incarnation, false))
        return false;
    give(world, lease, incarnation);
    world->counts.moves[SIM_ASSIGNED]++;
    return true;
}

bool
sim_handoff(struct sim_world *world, size_t lease, const struct leat_lease *read, size_t to)
{
    struct leat_lease *row = &world->rows[lease];
    int64_t incarnation = world->workers[to].row.incarnation;

    if (!is_as_read(row, read) || row->next_owner != 0 || !is_in_state(world, incarnation, false))
        return false;
    row->next_owner = incarnation;
    world->leases[lease].handoff_at_us = world->now_us;
    world->leases[lease].handoffs++;
    return true;
}

bool
sim_cancel(struct sim_world *world, size_t lease, const struct leat_lease *read)
{
    struct leat_lease *row = &world->rows[lease];

    if (!is_as_read(row, read) || row->next_owner != read->next_owner)
        return false;
    row->next_owner = 0;
    world->leases[lease].handoff_at_us = 0;
    world->counts.cancels++;
    return true;
}

bool
sim_let_go(struct sim_world *world, size_t lease, int64_t incarnation)
{
    struct leat_lease *row = &world->rows[lease];

    if (row->lease_owner != incarnation)
        return false;
    give(world, lease, is_in_state(world, row->next_owner, false) ? row->next_owner : 0);
    world->counts.moves[SIM_HANDED_OVER] += row->lease_owner != 0;
    sim_moved(world);
    return true;
}

size_t
sim_force(struct sim_world *world)
{
    size_t forced = 0;

    for (size_t i = 0; i < world->lease_count; i++) {
        struct leat_lease *row = &world->rows[i];

        if (row->next_owner == 0 ||
            world->leases[i].handoff_at_us >= world->now_us - SIM_FORCE_US ||
            !is_in_state(world, row->next_owner, false))
            continue;
        give(world, i, row->next_owner);
        forced++;
    }
    world->counts.moves[SIM_FORCED] += forced;
    if (forced > 0)
        sim_moved(world);
    return forced;
}

void
sim_release_all(struct sim_world *world, size_t worker)
{
    int64_t incarnation = world->workers[worker].row.incarnation;

    world->workers[worker].row.state = LEAT_WORKER_DEAD;
    for (size_t i = 0; i < world->lease_count; i++) {
        if (world->rows[i].lease_owner == incarnation)
            give(world, i, 0);
    }
    if (world->pass_by == incarnation)
        world->pass_by = 0;
    sim_changed(world);
}

bool
sim_judge(struct sim_world *world, const struct leat_sighting *seen)
{
    size_t index = sim_worker_of(world, seen->incarnation);
    struct sim_worker *worker;

    if (index == SIZE_MAX)
        return false;
    worker = &world->workers[index];
    if (worker->row.state == LEAT_WORKER_DEAD || worker->heartbeat_at_us != seen->heartbeat_us ||
        (worker->expires_at_us >= world->now_us && !worker->is_session_free))
        return false;
    worker->row.state = LEAT_WORKER_DEAD;
    world->counts.deaths++;
    sim_changed(world);
    return true;
}

bool
sim_claim_pass(struct sim_world *world, int64_t incarnation)
{
    if (world->pass_by != 0 && world->pass_by != incarnation &&
        world->pass_at_us >= world->now_us - 1500000 && is_in_state(world, world->pass_by, false))
        return false;
    world->pass_by = incarnation;
    world->pass_at_us = world->now_us;
    return true;
}
