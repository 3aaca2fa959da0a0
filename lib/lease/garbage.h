/*
 * Which leases can go: those of shards that have left their stream, that all processors have ended, and that nobody waits for.
 * Pure. A lease that goes takes its shard's start rows with it; progress rows of such a shard have no reader any more.
 *
 * Who could still wait: a child that was never begun; a child that has no lease yet; an operator or a target restored from a
 * backup, for whom the grace is: the shard was in the list for its whole retention after it was closed, so only a backup that is
 * older than that could have it open, and then its records are gone in any case.
 */
#ifndef LEAT_LEASE_GARBAGE_H
#define LEAT_LEASE_GARBAGE_H

#include "stream/shard.h"

struct leat_aged_lease {
    struct leat_slice shard;
    struct leat_slice parents[LEAT_SHARD_PARENTS];
    size_t parent_count;
    bool is_ended;
    bool has_begun; /* somebody owned it once */
    int64_t
        gone_us; /* for so long it is known that its shard has left the stream; -1: it has not */
};

/* Indices into leases, at most `most`; returns how many. more than five: what is there, the bounds, and what comes out. */
size_t leat_garbage(const struct leat_aged_lease *leases, size_t count,
                    const struct leat_shard_list *listed, int64_t grace_us, size_t most,
                    size_t *ret_garbage);

#endif
