/*
 * Where a processor begins in a stream, and which shards get a lease now. Pure.
 *
 * Each processor meets a stream for itself, as if nobody had been there before: its start shards are what the rules of the KCL's
 * HierarchicalShardSyncer give without any lease. Leases are the application's: a shard has one as soon as some processor needs it
 * and nobody else would make it. Children of a shard that has a lease get theirs at its end.
 */
#ifndef LEAT_LEASE_SHARD_SYNC_H
#define LEAT_LEASE_SHARD_SYNC_H

#include "stream/shard.h"

enum leat_sync_position {
    LEAT_SYNC_TRIM_HORIZON = 0,
    LEAT_SYNC_LATEST = 1,
    LEAT_SYNC_AT_TIMESTAMP = 2
};

struct leat_new_lease {
    size_t shard;         /* index in the list */
    bool is_trim_horizon; /* else the stream's own start */
};

/* has_lease: by shard of the list. Returns how many; `ret_new` has room for one per shard. */
size_t leat_shard_sync(const struct leat_shard_list *shards, const bool *has_lease,
                       enum leat_sync_position position, struct leat_new_lease *ret_new);

/* What a shard is to a processor. */
enum leat_shard_role {
    LEAT_SHARD_LATER = 0, /* a descendant of a start shard: from TRIM_HORIZON, behind its parents */
    LEAT_SHARD_START = 1, /* from the processor's start */
    LEAT_SHARD_PASSED = 2 /* before its start: neither read nor waited for */
};

/*
 * The roles of the shards that a processor meets now, one per shard. LATEST must be resolved to a time *after* the list was
 * made: then a shard that is closed in the list holds nothing that comes after the start. With a time nobody knows which
 * shards lie before it: all are start shards, and those that lie before it end at once.
 */
void leat_shard_roles(const struct leat_shard_list *shards, enum leat_sync_position position,
                      enum leat_shard_role *ret_roles);

/*
 * The roles when it meets the stream again: its progress is known, what this database stored of the first meeting is not. Nobody
 * knows its start any more, so what has no progress begins at TRIM_HORIZON. Passed is only a shard that must have been passed: it
 * has no progress and a descendant has some. Without it being passed the descendant would have waited for its end.
 */
void leat_shard_roles_again(const struct leat_shard_list *shards, const bool *has_progress,
                            enum leat_shard_role *ret_roles);

struct leat_shard_mark {
    bool has_lease, has_ended; /* ended: by all who need it, so its children must have leases */
    bool is_needed;            /* by some processor */
};

/*
 * Shards that are needed, have no lease and get none from a parent's end: those without a needed parent, those whose parents
 * have leases and one has ended, and those above a shard that has a lease. So whatever has a lease, its needed parents have
 * one, too, and are waited for. Returns how many; indices, in the list's order.
 */
size_t leat_shard_missing(const struct leat_shard_list *shards, const struct leat_shard_mark *marks,
                          size_t *ret_missing);

#endif
