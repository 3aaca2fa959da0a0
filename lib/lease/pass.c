/*
 * The pass: claimed, not locked: it saves work, conditions guard correctness. Who declares a death (judge.c) claims it at
 * once, since the dead one may have held it.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/inside.h"

#define PASS_US (1 * LEAT_SECOND_US)
#define READ_US (10 * LEAT_SECOND_US)

/* What is read is as it was; every move carries its own condition. */
static int
read_for_plan(struct leat_lease_manager *manager, struct leat_balance *ret_balance,
              struct leat_error *err)
{
    struct leat_pg_connection *connection = manager->connection;
    int status = leat_rows_workers(connection, &manager->rows, &manager->workers, err);

    if (status == 0)
        status = leat_rows_leases_to_plan(connection, &manager->rows, &manager->leases, err);
    if (status == 0)
        status =
            leat_rows_lacking(connection, &manager->rows, &manager->leases, &manager->workers, err);
    if (status == 0)
        status =
            leat_rows_loads(connection, &manager->rows, &manager->workers, &manager->leases, err);
    if (status == 0)
        status = leat_rows_balance(connection, &manager->rows, ret_balance, err);
    return status;
}

/* Others are there, or other leases, and nothing has to be moved for it: known from now on, so that what is moved later for the
   sake of load is not taken for this. */
static bool
is_settled(const struct leat_balance *before, const struct leat_assign_output *output)
{
    return !output->is_waiting && output->spilled == 0 &&
           (output->balance.members != before->members || output->balance.leases != before->leases);
}

/* *ret_is_left: some of it did not hold, or its row is another transaction's: to be planned again. */
static int
plan(struct leat_lease_manager *manager, int64_t now_us, bool *ret_is_left, struct leat_error *err)
{
    struct leat_assign_input input = {0};
    struct leat_assign_output output = {0};
    struct leat_worker *workers;
    size_t moved = 0;
    int status = read_for_plan(manager, &input.balance, err);

    if (status != 0)
        return status;
    workers = LEAT_NEW_ARRAY(struct leat_worker, manager->workers.count);
    for (size_t w = 0; w < manager->workers.count; w++)
        workers[w] = manager->workers.rows[w].worker;
    input.leases = manager->leases.leases;
    input.lease_count = manager->leases.count;
    input.workers = workers;
    input.worker_count = manager->workers.count;
    output.moves = LEAT_NEW_ARRAY(struct leat_move, 2 * input.lease_count + 1);
    input.waited_us = manager->waiting_since_us != 0 ? now_us - manager->waiting_since_us : 0;
    leat_assign(&input, &output);
    if (!output.is_waiting)
        manager->waiting_since_us = 0;
    else if (manager->waiting_since_us == 0)
        manager->waiting_since_us = now_us;
    if (output.move_count > 0)
        status = leat_rows_move(manager->connection, &manager->rows, &manager->leases,
                                &manager->workers, &output, &moved, err);
    else if (is_settled(&input.balance, &output))
        status = leat_rows_keep_balance(manager->connection, &manager->rows, &output, err);
    free(workers);
    free(output.moves);
    *ret_is_left = moved < output.move_count;
    if (status == 0 && moved > 0)
        manager->read_version = -1; /* some may be ours */
    return status;
}

static int
run_pass(struct leat_lease_manager *manager, int64_t now_us, int64_t version,
         struct leat_error *err)
{
    size_t forced = 0;
    bool is_left = false;
    int status = leat_rows_force(manager->connection, &manager->rows,
                                 manager->options.force_after_us, &forced, err);

    if (status == 0)
        status = leat_manager_trim(manager, now_us, err);
    if (status == 0)
        status = leat_manager_watch_cover(manager, now_us, err);
    if (status != 0 || (version == manager->pass_version &&
                        now_us < manager->pass_read_at_us + READ_US && forced == 0))
        return status;
    leat_mutex_lock(&manager->lock);
    manager->counts.passes++;
    leat_mutex_unlock(&manager->lock);
    status = leat_manager_settle_processors(manager, err);
    if (status == 0)
        status = plan(manager, now_us, &is_left, err);
    if (status == 0) {
        manager->pass_version = is_left ? -1 : version;
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
