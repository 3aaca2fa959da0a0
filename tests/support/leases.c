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
    *fleet = (struct fleet){.lease_count = lease_count,
                            .worker_count = worker_count,
                            .waited_us = LEAT_BALANCE_SURE_US};
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
    struct leat_assign_input input = {.leases = fleet->leases,
                                      .lease_count = fleet->lease_count,
                                      .workers = fleet->workers,
                                      .worker_count = fleet->worker_count,
                                      .balance = fleet->balance,
                                      .waited_us = fleet->waited_us};

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
    if (count > 0 || (!fleet->last.is_waiting && fleet->last.spilled == 0)) {
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

/* ---- what any plan needs ------------------------------------------------------------------------- */

static int
by_incarnation(const void *a, const void *b)
{
    int64_t left = (*(const struct leat_worker *const *)a)->incarnation;
    int64_t right = (*(const struct leat_worker *const *)b)->incarnation;

    return left < right ? -1 : left > right;
}

static int
descending(const void *a, const void *b)
{
    size_t left = *(const size_t *)a, right = *(const size_t *)b;

    return left < right ? 1 : left > right ? -1 : 0;
}

/* What each of those alive holds, in no order; and how many leases must leave who is not. */
struct holdings {
    size_t *held, alive, active, homeless;
};

static const struct leat_worker *
find(const struct leat_worker *const *sorted, size_t count, int64_t incarnation)
{
    struct leat_worker wanted = {.incarnation = incarnation};
    const struct leat_worker *key = &wanted;
    const struct leat_worker *const *found =
        count > 0 && incarnation != 0 ? bsearch(&key, sorted, count, sizeof *sorted, by_incarnation)
                                      : NULL;

    return found != NULL && (*found)->state != LEAT_WORKER_DEAD ? *found : NULL;
}

static struct holdings
count_holdings(const struct fleet *fleet)
{
    struct holdings holdings = {.held = LEAT_NEW_ARRAY(size_t, fleet->worker_count + 1)};
    size_t *held = LEAT_NEW_ARRAY(size_t, fleet->worker_count + 1);
    const struct leat_worker **sorted =
        LEAT_NEW_ARRAY(const struct leat_worker *, fleet->worker_count + 1);

    for (size_t w = 0; w < fleet->worker_count; w++)
        sorted[w] = &fleet->workers[w];
    qsort(sorted, fleet->worker_count, sizeof *sorted, by_incarnation);
    for (size_t i = 0; i < fleet->lease_count; i++) {
        const struct leat_lease *lease = &fleet->leases[i];
        const struct leat_worker *owner = find(sorted, fleet->worker_count, lease->lease_owner);
        const struct leat_worker *next = find(sorted, fleet->worker_count, lease->next_owner);

        if (lease->state != LEAT_LEASE_ACTIVE)
            continue;
        holdings.active++;
        if (next != NULL && next->state == LEAT_WORKER_ALIVE)
            owner = next; /* under way, or promised by somebody who died */
        if (owner != NULL && owner->state == LEAT_WORKER_ALIVE)
            held[owner - fleet->workers]++;
        else
            holdings.homeless += owner != NULL;
    }
    for (size_t w = 0; w < fleet->worker_count; w++) {
        if (fleet->workers[w].state == LEAT_WORKER_ALIVE)
            holdings.held[holdings.alive++] = held[w];
    }
    qsort(holdings.held, holdings.alive, sizeof *holdings.held, descending);
    free(held);
    free(sorted);
    return holdings;
}

size_t
fleet_needed(const struct fleet *fleet)
{
    struct holdings holdings = count_holdings(fleet);
    size_t count = holdings.homeless;

    for (size_t w = 0; w < holdings.alive; w++) {
        size_t share = holdings.active / holdings.alive + (w < holdings.active % holdings.alive);

        count += holdings.held[w] > share ? holdings.held[w] - share : 0;
    }
    free(holdings.held);
    return count;
}

size_t
fleet_spread(const struct fleet *fleet)
{
    struct holdings holdings = count_holdings(fleet);
    size_t spread = holdings.alive > 0 ? holdings.held[0] - holdings.held[holdings.alive - 1] : 0;

    free(holdings.held);
    return spread;
}
