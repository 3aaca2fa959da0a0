/*
 * Which shards of a stream get a lease now: the KCL's rules (kcl.md §4.2, 4.3), pure. Children of a shard that has a lease
 * get theirs at its end; so a shard gets one here only when none of its ancestors has, or will get, one.
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

#endif
