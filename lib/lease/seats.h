/*
 * Workers as seats at the table where leases are shared out, with heaps over them: of each kind the emptiest, and the emptiest
 * of the newest build; of all the fullest that has something to give. Every change costs O(log workers).
 *
 * A *kind* are workers of the same configuration, a *group* are leases that all kinds treat alike (leat_lacks). Mostly there is
 * one of each; in a deploy that changes processors two or three. Used by assign.c and assign_even.c alone.
 */
#ifndef LEAT_LEASE_SEATS_H
#define LEAT_LEASE_SEATS_H

#include "lease/lease.h"

#define LEAT_NO_SEAT SIZE_MAX

enum leat_seat_heap { LEAT_HEAP_EMPTIEST, LEAT_HEAP_NEWEST, LEAT_HEAP_FULLEST };
#define LEAT_SEAT_HEAPS 3

struct leat_seat {
    double weight, cost; /* of all that it holds, with what is on its way to it */
    size_t held, limit, kind;
    bool is_open;   /* alive: may be given leases */
    bool is_newest; /* runs the newest build of the fleet */
    int64_t age_us;
    size_t left;                    /* what may be moved away */
    size_t places[LEAT_SEAT_HEAPS]; /* in its heap of each sort, + 1; 0: not in it */
};

struct leat_heap {
    size_t *seats, size;
};

struct leat_seats {
    struct leat_seat *seats;
    size_t count, kinds, groups, streams;
    size_t *group_of;                         /* by stream */
    unsigned char *lacks;                     /* by group and kind */
    double unit;                              /* what one more lease will cost, by and large */
    struct leat_heap *heaps[LEAT_SEAT_HEAPS]; /* of each kind; of the fullest there is one */
};

/* streams: how many there are in the workers' `lacks`. */
void leat_seats_init(struct leat_seats *seats, const struct leat_worker *workers, size_t count,
                     size_t streams);
void leat_seats_release(struct leat_seats *seats);

static inline unsigned
leat_seats_lacks(const struct leat_seats *seats, size_t group, size_t kind)
{
    return seats->lacks[group * seats->kinds + kind];
}

/* How full it is, by its weight, with so much more. */
static inline double
leat_seat_fullness(const struct leat_seat *seat, double more)
{
    return (seat->cost + more) / seat->weight;
}

/* LEAT_NO_SEAT: the heap is empty. kind: 0 of the fullest. */
size_t leat_seats_top(const struct leat_seats *seats, enum leat_seat_heap heap, size_t kind);
void leat_seats_push(struct leat_seats *seats, enum leat_seat_heap heap, size_t seat);
void leat_seats_drop(struct leat_seats *seats, enum leat_seat_heap heap, size_t seat);
/* It holds more or less than before; full ones leave the heaps of who is given leases. */
void leat_seats_add(struct leat_seats *seats, size_t seat, double cost, int count);

#endif
