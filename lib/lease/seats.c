/*
 * Binary heaps of indices that know where each seat stands, so that a seat whose cost changed is put right where it is. Ties
 * go to the newer build and the younger worker (he will stay longer), then to the lower index: the result depends on nothing
 * but the input.
 */
#include "lease/seats.h"

#include <stdlib.h>

#include "base/memory.h"
#include "lease/build.h"

#define MOST_WEIGHT 1e6

/* ---- kinds and groups --------------------------------------------------------------------------- */

static unsigned char
lacks_of(const struct leat_worker *worker, size_t stream)
{
    return worker->lacks != NULL ? worker->lacks[stream] : 0;
}

static bool
is_same_kind(const struct leat_worker *a, const struct leat_worker *b, size_t streams)
{
    if (a->lacks == b->lacks)
        return true;
    for (size_t s = 0; s < streams; s++) {
        if (lacks_of(a, s) != lacks_of(b, s))
            return false;
    }
    return true;
}

/* Returns one worker of each kind, by kind. */
static size_t *
find_kinds(struct leat_seats *seats, const struct leat_worker *workers)
{
    size_t *samples = LEAT_NEW_ARRAY(size_t, seats->count + 1);

    for (size_t w = 0; w < seats->count; w++) {
        size_t kind = 0;

        while (kind < seats->kinds &&
               !is_same_kind(&workers[w], &workers[samples[kind]], seats->streams))
            kind++;
        if (kind == seats->kinds)
            samples[seats->kinds++] = w;
        seats->seats[w].kind = kind;
    }
    return samples;
}

static void
find_groups(struct leat_seats *seats, const struct leat_worker *workers, const size_t *samples)
{
    size_t kinds = seats->kinds;

    seats->group_of = LEAT_NEW_ARRAY(size_t, seats->streams + 1);
    seats->lacks = LEAT_NEW_ARRAY(unsigned char, (seats->streams + 1) * (kinds + 1));
    for (size_t s = 0; s < seats->streams; s++) {
        unsigned char *mine = seats->lacks + seats->groups * kinds;
        size_t group = 0;

        for (size_t k = 0; k < kinds; k++)
            mine[k] = lacks_of(&workers[samples[k]], s);
        while (group < seats->groups && memcmp(seats->lacks + group * kinds, mine, kinds) != 0)
            group++;
        seats->groups += group == seats->groups;
        seats->group_of[s] = group;
    }
}

void
leat_seats_init(struct leat_seats *seats, const struct leat_worker *workers, size_t count,
                size_t streams)
{
    struct leat_slice newest = leat_slice_from("");
    size_t *samples;

    *seats = (struct leat_seats){.count = count, .streams = streams, .unit = 1};
    seats->seats = LEAT_NEW_ARRAY(struct leat_seat, count + 1);
    for (size_t w = 0; w < count; w++) {
        if (workers[w].state == LEAT_WORKER_ALIVE && leat_build_order(workers[w].build, newest) > 0)
            newest = workers[w].build;
    }
    for (size_t w = 0; w < count; w++)
        seats->seats[w] = (struct leat_seat){
            .weight = workers[w].weight > 0 && workers[w].weight < MOST_WEIGHT ? workers[w].weight
                                                                               : 1,
            .limit = workers[w].max_leases > 0 ? workers[w].max_leases : SIZE_MAX,
            .is_open = workers[w].state == LEAT_WORKER_ALIVE,
            .is_newest = leat_build_order(workers[w].build, newest) >= 0,
            .age_us = workers[w].age_us,
        };
    samples = find_kinds(seats, workers);
    find_groups(seats, workers, samples);
    free(samples);
    for (size_t h = 0; h < LEAT_SEAT_HEAPS; h++) {
        size_t heaps = h == LEAT_HEAP_FULLEST ? 1 : seats->kinds;

        seats->heaps[h] = LEAT_NEW_ARRAY(struct leat_heap, heaps + 1);
        for (size_t k = 0; k < heaps; k++)
            seats->heaps[h][k].seats = LEAT_NEW_ARRAY(size_t, count + 1);
    }
}

void
leat_seats_release(struct leat_seats *seats)
{
    for (size_t h = 0; h < LEAT_SEAT_HEAPS; h++) {
        for (size_t k = 0; k < (h == LEAT_HEAP_FULLEST ? 1 : seats->kinds); k++)
            free(seats->heaps[h][k].seats);
        free(seats->heaps[h]);
    }
    free(seats->group_of);
    free(seats->lacks);
    free(seats->seats);
}

/* ---- heaps --------------------------------------------------------------------------------------- */

/* Does seat a stand above seat b? */
static bool
is_above(const struct leat_seats *seats, enum leat_seat_heap sort, size_t a, size_t b)
{
    const struct leat_seat *left = &seats->seats[a], *right = &seats->seats[b];
    bool is_full_first = sort == LEAT_HEAP_FULLEST;
    double more = is_full_first ? 0 : seats->unit;
    double left_full = leat_seat_fullness(left, more), right_full = leat_seat_fullness(right, more);

    if (left_full < right_full || left_full > right_full)
        return (left_full > right_full) == is_full_first;
    if (left->is_newest != right->is_newest)
        return left->is_newest != is_full_first;
    if (left->age_us != right->age_us)
        return (left->age_us < right->age_us) != is_full_first;
    return a < b;
}

static struct leat_heap *
heap_of(const struct leat_seats *seats, enum leat_seat_heap sort, size_t seat)
{
    return &seats->heaps[sort][sort == LEAT_HEAP_FULLEST ? 0 : seats->seats[seat].kind];
}

static void
put(struct leat_seats *seats, enum leat_seat_heap sort, size_t place, size_t seat)
{
    heap_of(seats, sort, seat)->seats[place] = seat;
    seats->seats[seat].places[sort] = place + 1;
}

static void
settle(struct leat_seats *seats, enum leat_seat_heap sort, size_t seat)
{
    const struct leat_heap *heap = heap_of(seats, sort, seat);
    size_t place = seats->seats[seat].places[sort] - 1;

    while (place > 0 && is_above(seats, sort, seat, heap->seats[(place - 1) / 2])) {
        put(seats, sort, place, heap->seats[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * place + 1;

        if (child + 1 < heap->size &&
            is_above(seats, sort, heap->seats[child + 1], heap->seats[child]))
            child++;
        if (child >= heap->size || !is_above(seats, sort, heap->seats[child], seat))
            break;
        put(seats, sort, place, heap->seats[child]);
        place = child;
    }
    put(seats, sort, place, seat);
}

size_t
leat_seats_top(const struct leat_seats *seats, enum leat_seat_heap sort, size_t kind)
{
    const struct leat_heap *heap = &seats->heaps[sort][kind];

    return heap->size > 0 ? heap->seats[0] : LEAT_NO_SEAT;
}

void
leat_seats_push(struct leat_seats *seats, enum leat_seat_heap sort, size_t seat)
{
    if (seats->seats[seat].places[sort] != 0)
        return;
    put(seats, sort, heap_of(seats, sort, seat)->size++, seat);
    settle(seats, sort, seat);
}

void
leat_seats_drop(struct leat_seats *seats, enum leat_seat_heap sort, size_t seat)
{
    struct leat_heap *heap = heap_of(seats, sort, seat);
    size_t place = seats->seats[seat].places[sort], last;

    if (place == 0)
        return;
    seats->seats[seat].places[sort] = 0;
    last = heap->seats[--heap->size];
    if (last == seat)
        return;
    put(seats, sort, place - 1, last);
    settle(seats, sort, last);
}

void
leat_seats_add(struct leat_seats *seats, size_t seat, double cost, int count)
{
    struct leat_seat *at = &seats->seats[seat];

    at->cost += cost;
    at->held = (size_t)((int64_t)at->held + count);
    for (size_t h = 0; h < LEAT_SEAT_HEAPS; h++) {
        if (at->places[h] != 0)
            settle(seats, (enum leat_seat_heap)h, seat);
    }
    if (at->held >= at->limit) {
        leat_seats_drop(seats, LEAT_HEAP_EMPTIEST, seat);
        leat_seats_drop(seats, LEAT_HEAP_NEWEST, seat);
    } else if (at->is_open) {
        leat_seats_push(seats, LEAT_HEAP_EMPTIEST, seat);
        if (at->is_newest)
            leat_seats_push(seats, LEAT_HEAP_NEWEST, seat);
    }
}
