/*
 * Judging and the pass. A judge needs the same heartbeat over 1.2 heartbeats, and to have been healthy himself for a whole
 * lease time: a restart of the database kills nobody. The pass is claimed, not locked: it saves work, conditions guard
 * correctness. Who declares a death claims the pass at once, since the dead one may have held it.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/inside.h"

#define JUDGE_US (250 * LEAT_MS_US)
#define PASS_US (1 * LEAT_SECOND_US)
#define READ_US (10 * LEAT_SECOND_US)
#define NEIGHBOURS 3

/* 0: not healthy now. */
static int64_t
healthy_since_us(struct leat_lease_manager *manager)
{
    int64_t since_us;

    leat_mutex_lock(&manager->lock);
    since_us = manager->healthy_since_us;
    leat_mutex_unlock(&manager->lock);
    return since_us;
}

/* When this heartbeat was first seen. */
static int64_t
first_seen_us(struct leat_lease_manager *manager, const struct leat_worker_row *row, int64_t now_us)
{
    for (size_t i = 0; i < manager->seen_count; i++) {
        if (manager->seen[i].worker.incarnation != row->worker.incarnation)
            continue;
        if (manager->seen[i].heartbeat_us != row->heartbeat_us) {
            manager->seen[i].heartbeat_us = row->heartbeat_us;
            manager->seen_at_us[i] = now_us;
        }
        return manager->seen_at_us[i];
    }
    if (manager->seen_count >= manager->seen_capacity) {
        manager->seen_capacity = manager->seen_capacity < 8 ? 8 : manager->seen_capacity * 2;
        manager->seen = leat_realloc(manager->seen, manager->seen_capacity, sizeof *manager->seen);
        manager->seen_at_us =
            leat_realloc(manager->seen_at_us, manager->seen_capacity, sizeof *manager->seen_at_us);
    }
    manager->seen[manager->seen_count] = *row;
    manager->seen_at_us[manager->seen_count++] = now_us;
    return now_us;
}

/* Those that are gone from the rows are forgotten. */
static void
forget_gone(struct leat_lease_manager *manager)
{
    for (size_t i = 0; i < manager->seen_count; i++) {
        bool is_there = false;

        for (size_t w = 0; w < manager->workers.count; w++)
            is_there = is_there || manager->workers.rows[w].worker.incarnation ==
                                       manager->seen[i].worker.incarnation;
        if (is_there)
            continue;
        manager->seen_count--;
        manager->seen[i] = manager->seen[manager->seen_count];
        manager->seen_at_us[i] = manager->seen_at_us[manager->seen_count];
        i--;
    }
}

/* What was seen while we were not healthy is no witness; what was seen since is, also before we may judge by it: so a
   fleet that died is buried one lease time after the first worker of the next one came. */
static int
judge_one(struct leat_lease_manager *manager, const struct leat_worker_row *row, int64_t now_us,
          struct leat_error *err)
{
    int64_t seen_us = first_seen_us(manager, row, now_us);
    int64_t since_us = healthy_since_us(manager);
    bool died = false;
    int status;

    if (since_us == 0 || now_us - since_us < manager->options.expiry_us)
        return 0;
    if (now_us - (seen_us > since_us ? seen_us : since_us) <
        manager->options.heartbeat_us * 12 / 10)
        return 0;
    if (!row->is_expired && row->session_key == 0)
        return 0;
    status = leat_rows_judge(manager->connection, &manager->rows, row, &died, err);
    if (status != 0 || !died)
        return status;
    leat_mutex_lock(&manager->lock);
    manager->counts.deaths_judged++;
    leat_mutex_unlock(&manager->lock);
    manager->pass_at_us = 0;
    manager->pass_version = -1;
    return 0;
}

int
leat_manager_judge(struct leat_lease_manager *manager, int64_t now_us, struct leat_error *err)
{
    size_t own = 0;
    int status;

    if (now_us < manager->judged_at_us + JUDGE_US)
        return 0;
    manager->judged_at_us = now_us;
    status = leat_rows_workers(manager->connection, &manager->rows, &manager->workers, err);
    if (status != 0)
        return status;
    leat_mutex_lock(&manager->lock);
    manager->counts.workers_alive = manager->workers.count;
    leat_mutex_unlock(&manager->lock);
    forget_gone(manager);
    while (own < manager->workers.count &&
           manager->workers.rows[own].worker.incarnation != manager->incarnation)
        own++;
    if (own == manager->workers.count || healthy_since_us(manager) == 0) {
        manager->seen_count = 0;
        return 0;
    }
    /* The next three in the ring of living incarnations. */
    for (size_t i = 1; i <= NEIGHBOURS && i < manager->workers.count && status == 0; i++)
        status = judge_one(manager, &manager->workers.rows[(own + i) % manager->workers.count],
                           now_us, err);
    return status;
}

static int
plan(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_worker *workers;
    struct leat_move *moves;
    size_t count, moved = 0;
    int status = leat_rows_workers(manager->connection, &manager->rows, &manager->workers, err);

    if (status == 0)
        status = leat_rows_leases(manager->connection, &manager->rows, 0, &manager->leases, err);
    if (status == 0)
        status = leat_rows_lacking(manager->connection, &manager->rows, &manager->leases,
                                   &manager->workers, err);
    if (status != 0)
        return status;
    workers = LEAT_NEW_ARRAY(struct leat_worker, manager->workers.count);
    moves = LEAT_NEW_ARRAY(struct leat_move, 2 * manager->leases.count);
    for (size_t w = 0; w < manager->workers.count; w++)
        workers[w] = manager->workers.rows[w].worker;
    count = leat_assign(manager->leases.leases, manager->leases.count, workers,
                        manager->workers.count, moves);
    if (count > 0)
        status = leat_rows_move(manager->connection, &manager->rows, &manager->leases,
                                &manager->workers, moves, count, &moved, err);
    free(workers);
    free(moves);
    if (status == 0 && moved > 0)
        manager->read_version = -1; /* some may be ours */
    return status;
}

static int
run_pass(struct leat_lease_manager *manager, int64_t now_us, int64_t version,
         struct leat_error *err)
{
    size_t forced = 0;
    int status = leat_rows_force(manager->connection, &manager->rows,
                                 manager->options.force_after_us, &forced, err);

    if (status == 0)
        status = leat_manager_trim(manager, now_us, err);
    if (status != 0 || (version == manager->pass_version &&
                        now_us < manager->pass_read_at_us + READ_US && forced == 0))
        return status;
    leat_mutex_lock(&manager->lock);
    manager->counts.passes++;
    leat_mutex_unlock(&manager->lock);
    status = leat_manager_settle_processors(manager, err);
    if (status == 0)
        status = plan(manager, err);
    if (status == 0) {
        manager->pass_version = version;
        manager->pass_read_at_us = now_us;
    }
    return status;
}

int
leat_manager_pass(struct leat_lease_manager *manager, int64_t now_us, struct leat_error *err)
{
    int64_t version = 0;
    bool is_ours = false;
    int status;

    if (manager->is_leaving || now_us < manager->pass_at_us)
        return 0;
    manager->pass_at_us = now_us + PASS_US;
    status = leat_rows_claim_pass(manager->connection, &manager->rows, manager->incarnation,
                                  &is_ours, &version, err);
    if (status != 0 || !is_ours)
        return status;
    return run_pass(manager, now_us, version, err);
}
