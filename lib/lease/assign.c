/*
 * By count and weight: worker w should hold about active × weight / sum of weights. Two passes leave max − min at most 1 for
 * equal weights. A lease under way to somebody counts as his already.
 */
#include "lease/assign.h"

#include <stdlib.h>

#include "base/memory.h"

#define NOBODY SIZE_MAX

struct seat {
    double weight;
    size_t held, limit;
    bool is_open; /* alive: may be given leases */
};

struct assigning {
    const struct leat_lease *leases;
    const struct leat_worker *workers;
    struct seat *seats;
    size_t *holder; /* of each lease, after the moves so far */
    size_t lease_count, worker_count, move_count;
    struct leat_move *moves;
};

static size_t
find_worker(const struct assigning *a, int64_t incarnation)
{
    for (size_t w = 0; incarnation != 0 && w < a->worker_count; w++) {
        if (a->workers[w].incarnation == incarnation && a->workers[w].state != LEAT_WORKER_DEAD)
            return w;
    }
    return NOBODY;
}

static bool
has_room(const struct seat *seat)
{
    return seat->is_open && seat->held < seat->limit;
}

/* How full he would be with one more, by his weight. */
static double
fullness(const struct seat *seat, size_t more)
{
    return (double)(seat->held + more) / seat->weight;
}

static size_t
emptiest(const struct assigning *a)
{
    size_t best = NOBODY;

    for (size_t w = 0; w < a->worker_count; w++) {
        if (has_room(&a->seats[w]) &&
            (best == NOBODY || fullness(&a->seats[w], 1) < fullness(&a->seats[best], 1)))
            best = w;
    }
    return best;
}

/* Of those with room who lack least of its processors. NOBODY, too, when all of them lack all. */
static size_t
fittest(const struct assigning *a, const struct leat_lease *lease)
{
    unsigned least = LEAT_LACKS_ALL;
    size_t best = NOBODY;

    for (size_t w = 0; w < a->worker_count; w++) {
        unsigned lacks = leat_lacks(&a->workers[w], lease);

        if (!has_room(&a->seats[w]) || lacks == LEAT_LACKS_ALL || lacks > least)
            continue;
        if (best == NOBODY || lacks < least ||
            fullness(&a->seats[w], 1) < fullness(&a->seats[best], 1))
            best = w;
        least = lacks;
    }
    return best;
}

static size_t
fullest(const struct assigning *a)
{
    size_t best = NOBODY;

    for (size_t w = 0; w < a->worker_count; w++) {
        if (a->seats[w].held > 0 &&
            (best == NOBODY || !a->seats[w].is_open ||
             (a->seats[best].is_open && fullness(&a->seats[w], 0) > fullness(&a->seats[best], 0))))
            best = w;
    }
    return best;
}

static void
move(struct assigning *a, enum leat_move_kind kind, size_t lease, size_t to)
{
    if (a->holder[lease] != NOBODY)
        a->seats[a->holder[lease]].held--;
    a->holder[lease] = to;
    if (to != NOBODY)
        a->seats[to].held++;
    a->moves[a->move_count++] = (struct leat_move){kind, lease, to};
}

static void
count_holders(struct assigning *a)
{
    for (size_t i = 0; i < a->lease_count; i++) {
        const struct leat_lease *lease = &a->leases[i];
        size_t owner = find_worker(a, lease->lease_owner);
        size_t next = find_worker(a, lease->next_owner);

        a->holder[i] = NOBODY;
        if (lease->state != LEAT_LEASE_ACTIVE || owner == NOBODY)
            continue;
        a->holder[i] = next != NOBODY && a->seats[next].is_open ? next : owner;
        a->seats[a->holder[i]].held++;
    }
}

/* What somebody was promised, or had last, unless he is fuller than the emptiest by more than one. */
static size_t
preferred(const struct assigning *a, const struct leat_lease *lease)
{
    size_t best = fittest(a, lease), wish = find_worker(a, lease->next_owner);

    for (size_t w = 0; wish == NOBODY && lease->last_worker_id.size > 0 && w < a->worker_count;
         w++) {
        if (leat_slice_equals(a->workers[w].worker_id, lease->last_worker_id))
            wish = w;
    }
    if (wish == NOBODY || best == NOBODY || !has_room(&a->seats[wish]) ||
        leat_lacks(&a->workers[wish], lease) > leat_lacks(&a->workers[best], lease))
        return best;
    return fullness(&a->seats[wish], 1) <= fullness(&a->seats[best], 1) + 1 / a->seats[wish].weight
               ? wish
               : best;
}

static void
assign_unowned(struct assigning *a)
{
    for (size_t i = 0; i < a->lease_count; i++) {
        size_t to;

        if (a->leases[i].state != LEAT_LEASE_ACTIVE || a->holder[i] != NOBODY)
            continue;
        to = preferred(a, &a->leases[i]);
        if (to == NOBODY)
            continue;
        move(a, LEAT_MOVE_ASSIGN, i, to);
    }
}

/* Not moved in this pass and not on its way already. */
static bool
is_movable(const struct assigning *a, size_t lease)
{
    return a->holder[lease] != NOBODY && a->leases[lease].next_owner == 0 &&
           a->leases[lease].lease_owner == a->workers[a->holder[lease]].incarnation;
}

/* What its owner lacks makes no progress while somebody is there who lacks less. */
static void
give_to_fitter(struct assigning *a)
{
    for (size_t i = 0; i < a->lease_count; i++) {
        size_t to;

        if (!is_movable(a, i) || leat_lacks(&a->workers[a->holder[i]], &a->leases[i]) == 0)
            continue;
        to = fittest(a, &a->leases[i]);
        if (to != NOBODY && leat_lacks(&a->workers[to], &a->leases[i]) <
                                leat_lacks(&a->workers[a->holder[i]], &a->leases[i]))
            move(a, LEAT_MOVE_HANDOFF, i, to);
    }
}

/* A lease of this worker that the other one may have. */
static size_t
movable(const struct assigning *a, size_t from, size_t to)
{
    for (size_t i = 0; i < a->lease_count; i++) {
        if (a->holder[i] == from && is_movable(a, i) &&
            leat_lacks(&a->workers[to], &a->leases[i]) != LEAT_LACKS_ALL &&
            leat_lacks(&a->workers[to], &a->leases[i]) <=
                leat_lacks(&a->workers[from], &a->leases[i]))
            return i;
    }
    return NOBODY;
}

static void
balance(struct assigning *a)
{
    for (size_t round = 0; round < a->lease_count; round++) {
        size_t from = fullest(a), to = emptiest(a), lease;

        if (from == NOBODY || to == NOBODY || from == to)
            return;
        /* A move must make the two more alike; a leaving worker is emptied in any case. */
        if (a->seats[from].is_open && fullness(&a->seats[to], 1) >= fullness(&a->seats[from], 0))
            return;
        lease = movable(a, from, to);
        if (lease == NOBODY)
            return;
        move(a, LEAT_MOVE_HANDOFF, lease, to);
    }
}

/* A handoff to somebody who is gone. */
static void
cancel_orphans(struct assigning *a)
{
    for (size_t i = 0; i < a->lease_count; i++) {
        size_t next = find_worker(a, a->leases[i].next_owner);

        if (a->leases[i].next_owner != 0 && find_worker(a, a->leases[i].lease_owner) != NOBODY &&
            (next == NOBODY || !a->seats[next].is_open))
            a->moves[a->move_count++] = (struct leat_move){LEAT_MOVE_CANCEL, i, NOBODY};
    }
}

size_t
leat_assign(const struct leat_lease *leases, size_t lease_count, const struct leat_worker *workers,
            size_t worker_count, struct leat_move *moves)
{
    struct assigning a = {.leases = leases,
                          .workers = workers,
                          .lease_count = lease_count,
                          .worker_count = worker_count,
                          .moves = moves};

    a.seats = LEAT_NEW_ARRAY(struct seat, worker_count);
    a.holder = LEAT_NEW_ARRAY(size_t, lease_count);
    for (size_t w = 0; w < worker_count; w++) {
        a.seats[w].is_open = workers[w].state == LEAT_WORKER_ALIVE;
        a.seats[w].weight = workers[w].weight > 0 ? workers[w].weight : 1;
        a.seats[w].limit = workers[w].max_leases > 0 ? workers[w].max_leases : SIZE_MAX;
    }
    count_holders(&a);
    cancel_orphans(&a);
    assign_unowned(&a);
    give_to_fitter(&a);
    balance(&a);
    free(a.seats);
    free(a.holder);
    return a.move_count;
}
