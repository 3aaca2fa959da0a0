/*
 * Who gets which lease: a pure function over plain structs (architecture §4.3). Unowned leases first, each to the worker with
 * most headroom, with a preference for who was promised it or had it last; then moves that even out the counts, as few as
 * possible, many in one pass. Workers that are dead or leaving get nothing and are emptied.
 */
#ifndef LEAT_LEASE_ASSIGN_H
#define LEAT_LEASE_ASSIGN_H

#include "lease/lease.h"

enum leat_move_kind {
    LEAT_MOVE_ASSIGN = 0,  /* nobody owns it: owner becomes `to` */
    LEAT_MOVE_HANDOFF = 1, /* its owner is asked to hand it to `to` */
    LEAT_MOVE_CANCEL = 2   /* a handoff that makes no sense any more */
};

struct leat_move {
    enum leat_move_kind kind;
    size_t lease; /* index */
    size_t to;    /* index of the worker; not for CANCEL */
};

/* Returns the number of moves; `moves` has room for one per lease. */
size_t leat_assign(const struct leat_lease *leases, size_t lease_count,
                   const struct leat_worker *workers, size_t worker_count, struct leat_move *moves);

#endif
