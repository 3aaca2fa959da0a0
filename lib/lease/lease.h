/*
 * Leases and workers as plain structs: what the deciders (assign.h, shard_sync.h) take and return. Pure.
 * A lease is one row of leat.leases: (application, stream_id, shard). Words: docs/architecture.md §2, states:
 * docs/protocol.md §2.
 */
#ifndef LEAT_LEASE_LEASE_H
#define LEAT_LEASE_LEASE_H

#include "stream/shard.h"

enum leat_lease_state { LEAT_LEASE_ACTIVE = 0, LEAT_LEASE_ENDED = 1 };

struct leat_lease_key {
    struct leat_slice stream_id, shard;
};

struct leat_lease {
    struct leat_lease_key key;
    enum leat_lease_state state;
    int64_t lease_owner; /* an incarnation; 0: none. Always the actual owner */
    int64_t next_owner;  /* 0: none. Only a wish: a handoff under way */
    int64_t lease_counter;
    struct leat_slice last_worker_id;
    int64_t handoff_at_us; /* age of the handoff by the database clock; 0: none */
    struct leat_slice parents[LEAT_SHARD_PARENTS];
    size_t parent_count;
    struct leat_slice starting_hash_key, ending_hash_key;
    bool has_children;       /* that the list of its stream names */
    bool has_ended_for_some; /* a processor has ended it; all have where state is ENDED */
    size_t stream; /* its stream's place in every worker's `lacks`; set for the plan alone */
    int64_t
        busy_us; /* measured: µs in processor calls in a second; 0: idle; -1: nothing is known */
};

enum leat_worker_state { LEAT_WORKER_ALIVE = 0, LEAT_WORKER_LEAVING = 1, LEAT_WORKER_DEAD = 2 };

struct leat_worker {
    struct leat_slice worker_id;
    int64_t incarnation;
    enum leat_worker_state state;
    double weight;       /* 1 */
    uint32_t max_leases; /* 0: no limit */
    struct leat_slice build;
    /* By leat_lease.stream: how many of the stream's active processors this worker does not run. NULL: he runs all. */
    const unsigned char *lacks;
    int64_t age_us; /* since it registered, by the database's clock */
};

/*
 * Workers of several configurations run side by side. A lease belongs to a worker who lacks least: while one is there who
 * lacks nothing, nobody else should hold it, since what its owner lacks makes no progress; without him those go on who are
 * known. Who lacks all of them can do nothing with it.
 */
#define LEAT_LACKS_ALL 255

static inline unsigned
leat_lacks(const struct leat_worker *worker, const struct leat_lease *lease)
{
    return worker->lacks != NULL ? worker->lacks[lease->stream] : 0;
}

#endif
