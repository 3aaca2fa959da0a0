/*
 * What each worker's process does in a tick: renew, judge, read what is its own, drain, commit, measure. A frozen one does
 * nothing and goes on where it stood; one that crashed has left its row behind.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "world.h"

#define READ_US INT64_C(10000000)
#define MEASURE_US INT64_C(5000000)
#define PUBLISH_US INT64_C(10000000)
#define RING_MOST 4096

static size_t
add_row(struct sim_world *world)
{
    /* Never moved: rows of leases point at ids. */
    LEAT_ASSERT(world->worker_count < SIM_WORKERS_MOST);
    return world->worker_count++;
}

static void
begin_process(struct sim_world *world, struct sim_worker *worker, size_t index)
{
    /* Incarnations are random in their order, so that the ring is, and name their row. */
    worker->row = (struct leat_worker){
        .worker_id = leat_slice_from(worker->id),
        .build = leat_slice_from(worker->build),
        .incarnation =
            (int64_t)((leat_random_next(&world->random) >> 21 & ((UINT64_C(1) << 42) - 1)) << 20 |
                      index),
        .weight = 1,
    };
    worker->is_running = true;
    worker->began_at_us = worker->heartbeat_at_us = world->now_us;
    worker->expires_at_us = world->now_us + SIM_EXPIRY_US;
    worker->next_beat_us = world->now_us + (int64_t)leat_random_below(&world->random, 1000000);
    worker->measured_at_us = world->now_us - (int64_t)leat_random_below(&world->random, 5000000);
    worker->read_version = worker->pass_version = -1;
    worker->version = world->version;
    leat_buf_init(&worker->loads, SIZE_MAX);
    leat_watch_init(&worker->watch);
    leat_measure_init(&worker->measure);
    sim_changed(world);
}

size_t
sim_join(struct sim_world *world, const char *build)
{
    size_t index = add_row(world);
    struct sim_worker *worker = &world->workers[index];

    *worker = (struct sim_worker){.speed = 1, .let_go_us = 300000};
    snprintf(worker->id, sizeof worker->id, "w%zu", world->next_id++);
    snprintf(worker->build, sizeof worker->build, "%s", build);
    begin_process(world, worker, index);
    return index;
}

void
sim_crash(struct sim_world *world, size_t worker)
{
    world->workers[worker].is_running = false;
    world->workers[worker].is_session_free = true;
    world->workers[worker].held_count = 0;
}

/* Drains for as long as it takes, then lets everything go at once. */
void
sim_terminate(struct sim_world *world, size_t worker)
{
    sim_crash(world, worker);
    sim_release_all(world, worker);
}

/* Declared dead: everything is dropped, and it is back as another incarnation, under its old id. */
static void
come_back(struct sim_world *world, size_t index)
{
    size_t again = add_row(world);
    struct sim_worker *old = &world->workers[index], *worker = &world->workers[again];

    *worker = (struct sim_worker){.speed = old->speed, .let_go_us = old->let_go_us};
    memcpy(worker->id, old->id, sizeof worker->id);
    memcpy(worker->build, old->build, sizeof worker->build);
    old->is_running = false;
    old->held_count = 0;
    world->counts.fenced++;
    begin_process(world, worker, again);
}

/* ---- renewals and judges ------------------------------------------------------------------------- */

static void
publish(struct sim_world *world, struct sim_worker *worker)
{
    if (!worker->has_news || world->now_us < worker->published_at_us + PUBLISH_US)
        return;
    leat_buf_clear(&worker->loads);
    leat_buf_add_slice(&worker->loads, leat_buf_slice(&worker->measure.loads));
    worker->published_at_us = world->now_us;
    worker->has_news = false;
}

/* false: it is another incarnation now. */
static bool
renew(struct sim_world *world, size_t index)
{
    struct sim_worker *worker = &world->workers[index];

    if (world->now_us < worker->next_beat_us)
        return true;
    worker->next_beat_us = world->now_us + SIM_HEARTBEAT_US;
    if (worker->row.state == LEAT_WORKER_DEAD) {
        come_back(world, index);
        return false;
    }
    worker->heartbeat_at_us = world->now_us;
    worker->expires_at_us = world->now_us + SIM_EXPIRY_US;
    worker->version = world->version;
    publish(world, worker);
    leat_health_answered(&worker->health, SIM_EXPIRY_US, world->now_us);
    return true;
}

static struct leat_sighting
sight(const struct sim_world *world, const struct sim_worker *worker)
{
    return (struct leat_sighting){worker->row.worker_id, worker->row.incarnation,
                                  worker->heartbeat_at_us,
                                  worker->expires_at_us < world->now_us || worker->is_session_free};
}

static int
by_incarnation(const void *a, const void *b)
{
    const struct leat_sighting *left = a, *right = b;

    return left->incarnation < right->incarnation ? -1 : left->incarnation > right->incarnation;
}

static void
read_ring(struct sim_world *world, struct sim_worker *worker)
{
    static struct leat_sighting living[RING_MOST];
    static int64_t read_at_us = -1, read_version;
    static size_t count;

    /* All who read in this tick read the same. */
    if (read_at_us != world->now_us || read_version != world->version) {
        count = 0;
        for (size_t w = 0; w < world->worker_count && count < RING_MOST; w++) {
            if (world->workers[w].row.state != LEAT_WORKER_DEAD)
                living[count++] = sight(world, &world->workers[w]);
        }
        qsort(living, count, sizeof *living, by_incarnation);
        read_at_us = world->now_us;
        read_version = world->version;
    }
    leat_watch_ring(&worker->watch, living, count, worker->version, world->now_us);
}

static void
judge(struct sim_world *world, struct sim_worker *worker)
{
    struct leat_judge judge = {worker->row.incarnation, SIM_HEARTBEAT_US, SIM_EXPIRY_US,
                               worker->health};
    struct leat_slice ids[LEAT_WATCH_NEIGHBOURS];
    struct leat_sighting seen[LEAT_WATCH_NEIGHBOURS], silent[LEAT_WATCH_NEIGHBOURS];
    size_t count, seen_count = 0;

    if (leat_watch_is_due(&worker->watch, worker->version, world->now_us))
        read_ring(world, worker);
    count = leat_watch_next(&worker->watch, worker->row.incarnation, ids);
    for (size_t i = 0; i < count; i++) {
        for (size_t r = 0; r < worker->watch.count; r++) {
            size_t index = sim_worker_of(world, worker->watch.ring[r].last.incarnation);

            if (leat_slice_equals(worker->watch.ring[r].last.worker_id, ids[i]) &&
                index != SIZE_MAX && world->workers[index].row.state != LEAT_WORKER_DEAD)
                seen[seen_count++] = sight(world, &world->workers[index]);
        }
    }
    leat_watch_see(&worker->watch, worker->row.incarnation, seen, seen_count, world->now_us);
    count = leat_watch_silent(&worker->watch, &judge, world->now_us, silent);
    for (size_t i = 0; i < count; i++) {
        int64_t incarnation = silent[i].incarnation;

        if (!sim_judge(world, &silent[i]))
            continue;
        leat_watch_died(&worker->watch, incarnation);
        worker->next_pass_us = 0; /* who declares a death claims the pass at once */
        worker->pass_version = -1;
    }
}

/* ---- what is its own ----------------------------------------------------------------------------- */

static struct sim_held *
find_held(struct sim_worker *worker, size_t lease)
{
    for (size_t h = 0; h < worker->held_count; h++) {
        if (worker->held[h].lease == lease)
            return &worker->held[h];
    }
    return NULL;
}

/* A take: the fence is raised, and whoever had it can commit no more. */
static void
take(struct sim_world *world, struct sim_worker *worker, size_t lease)
{
    struct sim_lease *at = &world->leases[lease];

    if (at->progress_counter > world->rows[lease].lease_counter) {
        sim_failed(world, "lease %zu: progress is ahead of its lease", lease);
        return;
    }
    at->progress_counter = world->rows[lease].lease_counter;
    at->progress_owner = worker->row.incarnation;
}

static void
meet(struct sim_world *world, struct sim_worker *worker, size_t lease, struct sim_held *held)
{
    const struct leat_lease *row = &world->rows[lease];

    if (held == NULL) {
        LEAT_GROW(worker->held, worker->held_count, worker->held_capacity);
        held = &worker->held[worker->held_count++];
        *held = (struct sim_held){.lease = lease, .let_go_at_us = SIM_NEVER};
    }
    if (held->lease_counter != row->lease_counter) {
        held->lease_counter = row->lease_counter;
        held->let_go_at_us = SIM_NEVER;
        take(world, worker, lease);
    }
    held->is_seen = true;
    if (row->next_owner != 0 && held->let_go_at_us == SIM_NEVER)
        held->let_go_at_us = world->now_us + worker->let_go_us;
    else if (row->next_owner == 0)
        held->let_go_at_us = SIM_NEVER;
}

/* Leases by owner, read once in a tick for all who read in it: the database's snapshot. */
static void
read_table(struct sim_world *world)
{
    struct sim_table *table = &world->table;

    if (table->read_at_us == world->now_us && table->first != NULL)
        return;
    table->read_at_us = world->now_us;
    table->version = world->version;
    table->first = leat_realloc(table->first, SIM_WORKERS_MOST + 2, sizeof *table->first);
    table->items = leat_realloc(table->items, world->lease_count + 1, sizeof *table->items);
    memset(table->first, 0, (SIM_WORKERS_MOST + 2) * sizeof *table->first);
    for (size_t i = 0; i < world->lease_count; i++) {
        size_t owner = sim_worker_of(world, world->rows[i].lease_owner);

        if (owner != SIZE_MAX)
            table->first[owner + 2]++;
    }
    for (size_t w = 2; w < SIM_WORKERS_MOST + 2; w++)
        table->first[w] += table->first[w - 1];
    for (size_t i = 0; i < world->lease_count; i++) {
        size_t owner = sim_worker_of(world, world->rows[i].lease_owner);

        if (owner != SIZE_MAX)
            table->items[table->first[owner + 1]++] = i;
    }
}

static void
read_leases(struct sim_world *world, size_t index)
{
    struct sim_worker *worker = &world->workers[index];
    size_t kept = 0, known = worker->held_count;

    read_table(world);
    for (size_t h = 0; h < worker->held_count; h++)
        worker->held[h].is_seen = false;
    for (size_t t = world->table.first[index]; t < world->table.first[index + 1]; t++) {
        size_t lease = world->table.items[t];

        if (world->rows[lease].lease_owner == worker->row.incarnation &&
            world->rows[lease].state == LEAT_LEASE_ACTIVE)
            meet(world, worker, lease, known > 0 ? find_held(worker, lease) : NULL);
    }
    for (size_t h = 0; h < worker->held_count; h++) {
        if (worker->held[h].is_seen)
            worker->held[kept++] = worker->held[h];
    }
    worker->held_count = kept;
    worker->read_version = world->table.version;
}

static void
let_go_of_drained(struct sim_world *world, struct sim_worker *worker)
{
    size_t kept = 0;

    for (size_t h = 0; h < worker->held_count; h++) {
        if (worker->held[h].let_go_at_us > world->now_us)
            worker->held[kept++] = worker->held[h];
        else
            sim_let_go(world, worker->held[h].lease, worker->row.incarnation);
    }
    worker->held_count = kept;
}

/*
 * A commit of each shard. It holds only with exactly our counter and incarnation; what holds must never be older than what held
 * before, and nobody else's in the same tick: that is what the fence is for.
 */
static void
commit(struct sim_world *world, size_t index, struct sim_held *held)
{
    struct sim_worker *worker = &world->workers[index];
    struct sim_lease *lease = &world->leases[held->lease];

    if (lease->progress_counter != held->lease_counter ||
        lease->progress_owner != worker->row.incarnation)
        return; /* fenced */
    if (lease->committed_counter > held->lease_counter)
        sim_failed(world, "lease %zu: a commit of an older owner got in", held->lease);
    if (lease->committed_counter == held->lease_counter && lease->committed_by != index + 1)
        sim_failed(world, "lease %zu: two owners with one counter", held->lease);
    lease->committed_counter = held->lease_counter;
    lease->committed_by = index + 1;
    if (held->let_go_at_us != SIM_NEVER)
        return; /* draining: it reads nothing more */
    lease->ran_at_us = world->now_us;
    if (!sim_may_run(world, held->lease))
        return;
    held->busy_us += (int64_t)((double)lease->demand_us / worker->speed) * SIM_TICK_US / 1000000;
    if (lease->ends_at_us <= world->now_us && world->rows[held->lease].state == LEAT_LEASE_ACTIVE)
        sim_end_shard(world, held->lease);
}

static void
measure(struct sim_world *world, struct sim_worker *worker)
{
    if (world->now_us < worker->measured_at_us + MEASURE_US)
        return;
    worker->measured_at_us = world->now_us;
    for (size_t h = 0; h < worker->held_count; h++)
        leat_measure_shard(&worker->measure, world->rows[worker->held[h].lease].key,
                           worker->held[h].busy_us, world->now_us);
    worker->has_news = leat_measure_end(&worker->measure, world->now_us) || worker->has_news;
}

/* ---- a tick -------------------------------------------------------------------------------------- */

static void
run_worker(struct sim_world *world, size_t index)
{
    struct sim_worker *worker = &world->workers[index];

    if (!worker->is_running || worker->frozen_until_us > world->now_us || !renew(world, index))
        return;
    worker = &world->workers[index];
    judge(world, worker);
    /* A notification, which mostly comes; else the next renewal tells. */
    if (leat_random_below(&world->random, 10) > 0)
        worker->version = world->version;
    if (worker->read_version != worker->version) {
        read_leases(world, index);
        worker->next_pass_us = 0;
    }
    let_go_of_drained(world, worker);
    for (size_t h = 0; h < worker->held_count; h++)
        commit(world, index, &worker->held[h]);
    measure(world, worker);
    if (world->now_us >= worker->next_pass_us) {
        worker->next_pass_us = world->now_us + 1000000;
        if (sim_claim_pass(world, worker->row.incarnation))
            sim_pass(world, index);
    }
}

void
sim_run_workers(struct sim_world *world)
{
    size_t count = world->worker_count,
           first = count > 0 ? leat_random_below(&world->random, count) : 0;

    for (size_t i = 0; i < count; i++)
        run_worker(world, (first + i) % count);
}

size_t
sim_running(const struct sim_world *world)
{
    size_t count = 0;

    for (size_t w = 0; w < world->worker_count; w++)
        count += world->workers[w].is_running;
    return count;
}

size_t
sim_any_running(struct sim_world *world)
{
    for (;;) {
        size_t worker = leat_random_below(&world->random, world->worker_count);

        if (world->workers[worker].is_running)
            return worker;
    }
}
