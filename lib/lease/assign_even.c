/*
 * Evening out: from the fullest to the emptiest, the lease that brings the two closest, until nothing gets better. Counts are
 * evened exactly; measured costs into a band, since what is measured is never quite the same twice.
 *
 * What it survives: (1) load that goes up and down: changes for its sake wait longer and longer. (2) Load that begins
 * everywhere at once and is told by one worker after the other: it is looked at for a while first. (3) The pass goes to another
 * worker: what was shared out among whom is in the database, not in his memory. (4) Moves that did not hold, since the world
 * moved: the balance is not stored then, and the next pass takes the same change for new. (5) Two start in the same moment, and
 * the first is given everything before the other has said what it runs: what each may run is part of who is there, so that
 * saying it is a change like a join. So it is when a processor is paused that some of them do not run. (6) A third comes while
 * leases are under way to the second, which nobody can move meanwhile: it stays a change until they have arrived.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/assign_inside.h"
#include "lease/loads.h"

#define BAND 0.08       /* around what two hold: further apart something is done */
#define BAND_GOAL 0.04  /* … until all are this near */
#define LEAST_GAIN 0.25 /* of its cost: a lease is not moved for less */
#define WAIT_US (30 * LEAT_SECOND_US)
#define WAIT_MOST_US (600 * LEAT_SECOND_US)
#define FAR 0.25 /* of its wait is the least that remains when things are far apart */
#define QUIET 4  /* times as long as it had to wait: it begins anew */
#define NONE SIZE_MAX
#define TINY 1e-9

int64_t
leat_balance_wait_us(uint32_t repeats)
{
    int64_t wait_us = repeats > 0 ? WAIT_US : 0;

    for (uint32_t i = 1; i < repeats && wait_us < WAIT_MOST_US; i++)
        wait_us *= 2;
    return wait_us < WAIT_MOST_US ? wait_us : WAIT_MOST_US;
}

/* ---- what each seat may give --------------------------------------------------------------------- */

static bool
may_give(const struct leat_assigning *a, size_t lease)
{
    return a->holder[lease] != LEAT_NO_SEAT && !a->is_fixed[lease];
}

static size_t
list_of(const struct leat_assigning *a, size_t lease)
{
    return a->holder[lease] * a->seats.groups + leat_assign_group(a, lease);
}

void
leat_even_begin(struct leat_assigning *a)
{
    size_t lists = a->seats.count * a->seats.groups, count = 0;
    size_t *end = LEAT_NEW_ARRAY(size_t, lists + 1);

    a->first = LEAT_NEW_ARRAY(size_t, lists + 2);
    for (size_t i = 0; i < a->active_count; i++) {
        if (may_give(a, a->order[i]))
            a->first[list_of(a, a->order[i]) + 1]++;
    }
    for (size_t l = 0; l < lists; l++) {
        a->first[l + 1] += a->first[l];
        end[l] = a->first[l];
    }
    count = a->first[lists];
    a->items = LEAT_NEW_ARRAY(size_t, count + 1);
    a->after = LEAT_NEW_ARRAY(size_t, count + 2);
    a->before = LEAT_NEW_ARRAY(size_t, count + 2);
    for (size_t i = 0; i < a->active_count; i++) {
        if (!may_give(a, a->order[i]))
            continue;
        a->items[end[list_of(a, a->order[i])]++] = a->order[i];
        a->seats.seats[a->holder[a->order[i]]].left++;
    }
    /* before: shifted by one, so that 0 is "none". */
    for (size_t i = 0; i < count + 2; i++)
        a->after[i] = a->before[i] = i;
    free(end);
}

void
leat_even_end(struct leat_assigning *a)
{
    free(a->items);
    free(a->first);
    free(a->after);
    free(a->before);
}

/* The first that is left from here on; halves the path, so that a row of taken ones is walked once. */
static size_t
follow(size_t *links, size_t at)
{
    while (links[at] != at) {
        links[at] = links[links[at]];
        at = links[at];
    }
    return at;
}

static void
hand_off(struct leat_assigning *a, size_t item, size_t to)
{
    size_t lease = a->items[item], from = a->holder[lease];

    a->after[item] = item + 1;
    a->before[item + 1] = item;
    if (--a->seats.seats[from].left == 0)
        leat_seats_drop(&a->seats, LEAT_HEAP_FULLEST, from);
    leat_assign_move(a, LEAT_MOVE_HANDOFF, lease, to);
}

/* The first item of a list that costs no more than this. */
static size_t
search(const struct leat_assigning *a, size_t list, double cost)
{
    size_t low = a->first[list], high = a->first[list + 1];

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (a->cost[a->items[middle]] <= cost + TINY)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* ---- those who must give ------------------------------------------------------------------------- */

/* Gives what is left of a list away, until it need not any more. */
static void
empty_list(struct leat_assigning *a, size_t seat, size_t list, unsigned most_lacks)
{
    const struct leat_seat *giver = &a->seats.seats[seat];
    size_t item;

    while ((item = follow(a->after, a->first[list])) < a->first[list + 1]) {
        size_t to;

        if (giver->is_open && giver->held <= giver->limit && most_lacks == LEAT_LACKS_ALL)
            return;
        to = leat_assign_target(a, a->items[item], most_lacks);
        if (to == LEAT_NO_SEAT)
            return;
        hand_off(a, item, to);
    }
}

void
leat_even_empty(struct leat_assigning *a)
{
    for (size_t w = 0; w < a->seats.count; w++) {
        for (size_t c = 0; c < a->seats.groups; c++) {
            unsigned lacks = leat_seats_lacks(&a->seats, c, a->seats.seats[w].kind);

            /* What it lacks makes no progress there, while somebody is there who lacks less. */
            if (lacks > 0)
                empty_list(a, w, w * a->seats.groups + c, lacks - 1);
            empty_list(a, w, w * a->seats.groups + c, LEAT_LACKS_ALL);
        }
    }
}

/* ---- everybody else ------------------------------------------------------------------------------ */

static void
list_givers(struct leat_assigning *a)
{
    for (size_t w = 0; w < a->seats.count; w++) {
        const struct leat_seat *seat = &a->seats.seats[w];

        if (!seat->is_open || seat->left == 0)
            continue;
        if (a->is_deploying && seat->is_newest &&
            leat_seat_fullness(seat, 0) <= LEAT_NEWEST_SHARES * a->fair)
            continue;
        leat_seats_push(&a->seats, LEAT_HEAP_FULLEST, w);
    }
}

/* May leases of this group go from the one to the other? */
static bool
suits(const struct leat_assigning *a, size_t group, size_t from, size_t to)
{
    unsigned lacks = leat_seats_lacks(&a->seats, group, a->seats.seats[to].kind);

    return lacks != LEAT_LACKS_ALL &&
           lacks <= leat_seats_lacks(&a->seats, group, a->seats.seats[from].kind);
}

/* The lease of `from` that brings the two closest: the costliest that leaves `to` the emptier, else the cheapest of the
   others, if it gains enough. */
static size_t
pick(struct leat_assigning *a, size_t from, size_t to)
{
    const struct leat_seat *giver = &a->seats.seats[from], *taker = &a->seats.seats[to];
    double even = (giver->cost * taker->weight - taker->cost * giver->weight) /
                  (giver->weight + taker->weight);
    double best_cost = 0, gain;
    size_t best = NONE, above = NONE;

    if (even <= TINY)
        return NONE;
    for (size_t c = 0; c < a->seats.groups; c++) {
        size_t list = from * a->seats.groups + c, middle, item;

        if (!suits(a, c, from, to))
            continue;
        middle = search(a, list, even);
        item = follow(a->after, middle);
        if (item < a->first[list + 1] && a->cost[a->items[item]] > best_cost) {
            best = item;
            best_cost = a->cost[a->items[item]];
        }
        item = follow(a->before, middle); /* + 1 */
        if (item > a->first[list] &&
            (above == NONE || a->cost[a->items[item - 1]] < a->cost[a->items[above]]))
            above = item - 1;
    }
    if (best != NONE || above == NONE)
        return best;
    best_cost = a->cost[a->items[above]];
    gain = leat_seat_fullness(giver, 0) - leat_seat_fullness(taker, best_cost);
    return gain > (a->is_counted ? TINY : LEAST_GAIN * best_cost / giver->weight) ? above : NONE;
}

/* Near enough to each other: each within the band around what both have. */
static bool
is_near(const struct leat_assigning *a, size_t from, size_t to, double band)
{
    double more = leat_seat_fullness(&a->seats.seats[from], 0);
    double less = leat_seat_fullness(&a->seats.seats[to], 0);

    return !a->is_counted && more - less <= band * (more + less);
}

/* What this one gives to whom, the emptiest first among those of the kinds that it suits. */
static size_t
find_taker(struct leat_assigning *a, size_t from, double band, size_t *ret_to)
{
    size_t best = NONE;

    for (size_t k = 0; k < a->seats.kinds; k++) {
        size_t to = leat_seats_top(&a->seats, LEAT_HEAP_EMPTIEST, k), item;

        if (to == LEAT_NO_SEAT || to == from || is_near(a, from, to, band))
            continue;
        if (best != NONE && leat_seat_fullness(&a->seats.seats[to], a->seats.unit) >=
                                leat_seat_fullness(&a->seats.seats[*ret_to], a->seats.unit))
            continue;
        item = pick(a, from, to);
        if (item == NONE)
            continue;
        best = item;
        *ret_to = to;
    }
    return best;
}

/* The next move; false: nothing gets better. Givers who have nothing fitting are done. */
static bool
find_move(struct leat_assigning *a, double band, size_t *ret_item, size_t *ret_to)
{
    size_t from;

    while ((from = leat_seats_top(&a->seats, LEAT_HEAP_FULLEST, 0)) != LEAT_NO_SEAT) {
        *ret_item = find_taker(a, from, band, ret_to);
        if (*ret_item != NONE)
            return true;
        leat_seats_drop(&a->seats, LEAT_HEAP_FULLEST, from);
    }
    return false;
}

static uint64_t
mix(uint64_t hash)
{
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
    return hash ^ (hash >> 31);
}

/* What workers of a kind lack, stream by stream of those that have leases: streams are named, since their places are no names. */
static uint64_t
hash_lacks(const struct leat_assigning *a, const uint64_t *stream_hashes, size_t kind)
{
    uint64_t sum = 0;

    for (size_t s = 0; s < a->seats.streams; s++) {
        unsigned lacks = leat_seats_lacks(&a->seats, a->seats.group_of[s], kind);

        if (lacks > 0 && stream_hashes[s] != 0)
            sum += mix(stream_hashes[s] + 0x9e3779b9 * (uint64_t)lacks);
    }
    return sum;
}

/* By place; 0: it has no lease. free(). */
static uint64_t *
hash_streams(const struct leat_assigning *a)
{
    uint64_t *hashes = LEAT_NEW_ARRAY(uint64_t, a->seats.streams + 1);

    for (size_t i = 0; i < a->active_count; i++) {
        const struct leat_lease *lease = &a->input->leases[a->order[i]];
        struct leat_lease_key stream = {lease->key.stream_id, leat_slice_from("")};

        if (hashes[lease->stream] == 0)
            hashes[lease->stream] = mix(leat_lease_hash(stream)) | 1;
    }
    return hashes;
}

/* Whoever is there, and what he may run of what there is, in no order; never 0. */
static int64_t
hash_members(const struct leat_assigning *a)
{
    uint64_t *streams = hash_streams(a), *kinds = LEAT_NEW_ARRAY(uint64_t, a->seats.kinds + 1);
    uint64_t sum = 0;

    for (size_t k = 0; k < a->seats.kinds; k++)
        kinds[k] = hash_lacks(a, streams, k);
    for (size_t w = 0; w < a->input->worker_count; w++) {
        const struct leat_worker *worker = &a->input->workers[w];

        if (worker->state != LEAT_WORKER_DEAD)
            sum += mix((uint64_t)worker->incarnation + 0x9e3779b9 * (uint64_t)worker->state +
                       kinds[a->seats.seats[w].kind]);
    }
    free(streams);
    free(kinds);
    return (int64_t)(mix(sum) | 1);
}

static int64_t
hash_leases(const struct leat_assign_input *input)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < input->lease_count; i++) {
        if (input->leases[i].state == LEAT_LEASE_ACTIVE)
            sum += mix(leat_lease_hash(input->leases[i].key));
    }
    return (int64_t)(mix(sum) | 1);
}

/* May a change for load's sake be made now? The further the two are apart, the sooner. */
static bool
is_time(const struct leat_assigning *a, size_t from, size_t to)
{
    const struct leat_balance *before = &a->input->balance;
    double more = leat_seat_fullness(&a->seats.seats[from], 0);
    double less = leat_seat_fullness(&a->seats.seats[to], 0);
    double share = more > less ? BAND * (more + less) / (more - less) : 1;
    int64_t wait_us = leat_balance_wait_us(before->repeats);

    share = share < FAR ? FAR : share > 1 ? 1 : share;
    return a->input->waited_us >= LEAT_BALANCE_SURE_US &&
           (double)before->age_us >= (double)wait_us * share;
}

void
leat_even_out(struct leat_assigning *a)
{
    const struct leat_balance *before = &a->input->balance;
    struct leat_balance *balance = &a->output->balance;
    int64_t wait_us = leat_balance_wait_us(before->repeats);
    bool is_new, is_for_load;
    size_t item, to;

    balance->members = hash_members(a);
    balance->leases = hash_leases(a->input);
    is_new = balance->members != before->members;
    if (is_new)
        balance->repeats = 0;
    is_for_load = !is_new && !(a->is_counted && balance->leases != before->leases);
    /* What is under way cannot be moved again: the same change is looked at once more when it has arrived. */
    if (!is_for_load && a->has_under_way) {
        balance->members = before->members;
        balance->leases = before->leases;
    }
    list_givers(a);
    if (!find_move(a, is_for_load ? BAND : BAND_GOAL, &item, &to))
        return;
    list_givers(
        a); /* those who were near enough to everybody are asked again, by the narrower band */
    if (is_for_load && !is_time(a, a->holder[a->items[item]], to)) {
        a->output->is_waiting = true;
        return;
    }
    if (is_for_load) {
        a->output->is_for_load = true;
        balance->repeats = before->age_us >= QUIET * wait_us ? 1 : before->repeats + 1;
        balance->age_us = 0;
    }
    do
        hand_off(a, item, to);
    while (find_move(a, BAND_GOAL, &item, &to));
}
