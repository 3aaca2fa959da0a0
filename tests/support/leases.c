#include "support/leases.h"

#include <check.h>
#include <stdlib.h>

#include "base/memory.h"

static struct leat_slice
name(struct fleet *fleet, const char *what, size_t number)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_printf(&text, "%s%zu", what, number);
    return leat_arena_copy(&fleet->arena, leat_buf_slice(&text));
}

void
fleet_init(struct fleet *fleet, size_t lease_count, size_t worker_count)
{
    *fleet = (struct fleet){.lease_count = lease_count, .worker_count = worker_count};
    leat_arena_init(&fleet->arena);
    fleet->leases = LEAT_NEW_ARRAY(struct leat_lease, lease_count + 1);
    fleet->workers = LEAT_NEW_ARRAY(struct leat_worker, worker_count + 1);
    fleet->moves = LEAT_NEW_ARRAY(struct leat_move, 2 * lease_count + 1);
    for (size_t w = 0; w < worker_count; w++)
        fleet->workers[w] = (struct leat_worker){.worker_id = name(fleet, "w", w),
                                                 .incarnation = (int64_t)w + 1,
                                                 .weight = 1,
                                                 .build = leat_slice_from("1.0"),
                                                 .age_us = INT64_C(3600) * 1000000};
    for (size_t i = 0; i < lease_count; i++)
        fleet->leases[i] =
            (struct leat_lease){.key = {leat_slice_from("arn:stream@1"), name(fleet, "shard-", i)},
                                .last_worker_id = leat_slice_from("")};
}

void
fleet_release(struct fleet *fleet)
{
    free(fleet->leases);
    free(fleet->workers);
    free(fleet->moves);
    leat_arena_release(&fleet->arena);
}

size_t
fleet_plan(struct fleet *fleet)
{
    struct leat_assign_input input = {fleet->leases, fleet->lease_count, fleet->workers,
                                      fleet->worker_count, fleet->balance};

    fleet->last = (struct leat_assign_output){.moves = fleet->moves};
    fleet->assigns = fleet->handoffs = 0;
    leat_assign(&input, &fleet->last);
    LEAT_ASSERT(fleet->last.move_count <= 2 * fleet->lease_count);
    for (size_t i = 0; i < fleet->last.move_count; i++) {
        fleet->assigns += fleet->moves[i].kind == LEAT_MOVE_ASSIGN;
        fleet->handoffs += fleet->moves[i].kind == LEAT_MOVE_HANDOFF;
    }
    return fleet->last.move_count;
}

static void
give(struct fleet *fleet, struct leat_lease *lease, size_t to)
{
    ck_assert_int_eq(fleet->workers[to].state, LEAT_WORKER_ALIVE);
    lease->lease_owner = fleet->workers[to].incarnation;
    lease->last_worker_id = fleet->workers[to].worker_id;
    lease->next_owner = 0;
    lease->lease_counter++;
    if (fleet->workers[to].max_leases > 0)
        ck_assert_uint_le(fleet_held(fleet, to), fleet->workers[to].max_leases);
}

size_t
fleet_pass(struct fleet *fleet)
{
    size_t count = fleet_plan(fleet);

    /* Handoffs that were under way end as they were meant to, unless they are cancelled. */
    for (size_t i = 0; i < count; i++) {
        if (fleet->moves[i].kind == LEAT_MOVE_CANCEL)
            fleet->leases[fleet->moves[i].lease].next_owner = 0;
    }
    /* What is given away makes room first, as it does in time. */
    for (size_t i = 0; i < count; i++) {
        if (fleet->moves[i].kind == LEAT_MOVE_HANDOFF)
            fleet->leases[fleet->moves[i].lease].lease_owner = -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (fleet->moves[i].kind != LEAT_MOVE_CANCEL)
            give(fleet, &fleet->leases[fleet->moves[i].lease], fleet->moves[i].to);
    }
    for (size_t i = 0; i < fleet->lease_count; i++) {
        struct leat_lease *lease = &fleet->leases[i];

        if (lease->next_owner != 0)
            lease->lease_owner = lease->next_owner;
        lease->next_owner = 0;
    }
    if (count > 0) {
        fleet->balance = fleet->last.balance;
        if (fleet->last.is_for_load)
            fleet->balance.age_us = 0;
    }
    return count;
}

size_t
fleet_held(const struct fleet *fleet, size_t worker)
{
    size_t count = 0;

    for (size_t i = 0; i < fleet->lease_count; i++)
        count += fleet->leases[i].state == LEAT_LEASE_ACTIVE &&
                 fleet->leases[i].lease_owner == fleet->workers[worker].incarnation;
    return count;
}

int64_t
fleet_busy_us(const struct fleet *fleet, size_t worker)
{
    int64_t sum = 0;

    for (size_t i = 0; i < fleet->lease_count; i++) {
        if (fleet->leases[i].lease_owner == fleet->workers[worker].incarnation)
            sum += fleet->leases[i].busy_us;
    }
    return sum;
}

void
fleet_deal(struct fleet *fleet, size_t worker_count)
{
    for (size_t i = 0; i < fleet->lease_count; i++) {
        fleet->leases[i].lease_owner = fleet->workers[i % worker_count].incarnation;
        fleet->leases[i].last_worker_id = fleet->workers[i % worker_count].worker_id;
    }
}
