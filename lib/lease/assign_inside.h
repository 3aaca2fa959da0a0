/* Shared by assign.c (who, what it costs, unowned leases) and assign_even.c (evening out). */
#ifndef LEAT_LEASE_ASSIGN_INSIDE_H
#define LEAT_LEASE_ASSIGN_INSIDE_H

#include "lease/assign.h"
#include "lease/seats.h"

/* A seat that holds the newest build takes what is released until it holds this many fair shares. */
#define LEAT_NEWEST_SHARES 1.5

struct leat_incarnation {
    int64_t incarnation;
    size_t seat;
};

struct leat_assigning {
    const struct leat_assign_input *input;
    struct leat_assign_output *output;
    struct leat_seats seats;
    struct leat_incarnation *incarnations; /* of those that are not dead, sorted */
    size_t incarnation_count;
    size_t *holder; /* of each lease, after the moves so far; LEAT_NO_SEAT: nobody */
    bool *is_fixed; /* on its way already, or hotter than a fair share: not moved for balance */
    double *cost;   /* of each lease */
    size_t *order;  /* active leases, costliest first */
    size_t active_count;
    /* What may be moved away: by seat and group, costliest first. */
    size_t *items, *first;  /* first: of seat × group, where its items begin; one more behind */
    size_t *after, *before; /* of each item the next and the one before it that is left */
    bool is_counted;        /* the costs hardly differ: each lease counts 1 */
    bool is_deploying;      /* a newer build is taking over */
    bool has_under_way;     /* a handoff of an earlier plan has yet to arrive */
    double fair;            /* cost per weight, without hot leases and who holds them */
    double least_weight;    /* of those who may be given leases */
    size_t crossings;       /* who may still be given one more than his share */
};

/* assign.c */
void leat_assign_move(struct leat_assigning *a, enum leat_move_kind kind, size_t lease, size_t to);
/* Who gets a lease; he lacks no more than this. LEAT_NO_SEAT: all are full, or lack too much. */
size_t leat_assign_target(const struct leat_assigning *a, size_t lease, unsigned most_lacks);
size_t leat_assign_group(const struct leat_assigning *a, size_t lease);
unsigned leat_assign_lacks(const struct leat_assigning *a, size_t lease, size_t seat);

/* assign_even.c */
/* Lists what each seat may give. */
void leat_even_begin(struct leat_assigning *a);
void leat_even_end(struct leat_assigning *a);
/* Those who leave, who are above their limit, or lack what others have, give to whoever has room. */
void leat_even_empty(struct leat_assigning *a);
/* Everybody else, when it is time; decides what balance is to be stored. */
void leat_even_out(struct leat_assigning *a);

#endif
