/*
 * Who gets which lease: a pure function over plain structs (docs/architecture.md §4.3). Unowned leases first, each to the
 * worker with most headroom, with a preference for who was promised it, who had it last, and who runs the newest build; then
 * moves that even the workers out, as few as possible, many in one pass. Workers that are dead or leaving get nothing and are
 * emptied.
 *
 * Evened out is what leases cost: measured busy time, and a little for being there at all. Where the costs hardly differ, or
 * are hardly any (an idle fleet, nothing measured yet, shards alike), it is the count, exactly: most − least ≤ 1. Weights and max_leases hold in
 * either; when all are full the rest stays unowned.
 *
 * What acts when: a join, a leave or a death at once; a changed set of leases at once where counts are evened; drifting load
 * as soon as it was seen for long enough to be sure that everybody has measured it, the next times after 30 s, 1 min, 2 min …
 * 10 min (a quarter of that when things are far apart), until it has been quiet for four times as long.
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

/* What must survive a change of the pass's holder (leat.applications); written together with moves, or when there are none. */
struct leat_balance {
    int64_t members,
        leases; /* who, running what of it, shared out what the last time, as hashes; 0: never */
    uint32_t repeats; /* changes for load's sake in a row */
    int64_t age_us;   /* since the last of them, by the database's clock */
};

struct leat_assign_input {
    const struct leat_lease *leases;
    size_t lease_count;
    const struct leat_worker *workers;
    size_t worker_count;
    struct leat_balance balance;
    int64_t waited_us; /* since passes without a break said is_waiting; 0: the last one did not */
};

struct leat_assign_output {
    struct leat_move *moves; /* the caller's: room for two per lease */
    size_t move_count;       /* cancels first, then assigns, then handoffs; each by lease */
    size_t spilled;          /* leases that stay unowned, since nobody has room */
    bool is_for_load;        /* balance.age_us begins anew */
    bool is_waiting;         /* something would be moved, were it not too soon */
    struct leat_balance
        balance; /* to be stored when all moves held; where there are none, unless is_waiting */
};

void leat_assign(const struct leat_assign_input *input, struct leat_assign_output *output);

/* Workers publish what they measured every ten seconds, each at his own time: with less than this, load that begins everywhere
   at once would look as if it had begun with those who told first. */
#define LEAT_BALANCE_SURE_US INT64_C(15000000)
/* How long after a change for load's sake the next one has to wait. */
int64_t leat_balance_wait_us(uint32_t repeats);

#endif
