/*
 * Where processors begin: rows of leat.starts and leat.start_shards in memory. Written once, when a processor first meets a
 * stream, and never changed, so a copy does not grow old. Not for threads: who needs one reads one.
 */
#ifndef LEAT_LEASE_BEGINNING_H
#define LEAT_LEASE_BEGINNING_H

#include "base/map.h"
#include "lease/shard_sync.h"
#include "stream/position.h"

struct leat_beginning {
    struct leat_slice processor, stream_id;
    struct leat_slice start; /* TRIM_HORIZON | AT_TIMESTAMP:<µs> */
    struct leat_map roles;   /* shard -> enum leat_shard_role, where it is not LATER */
};

struct leat_beginnings {
    struct leat_arena arena; /* of the slices */
    struct leat_beginning *items;
    size_t count, capacity;
};

void leat_beginnings_init(struct leat_beginnings *beginnings);
void leat_beginnings_release(struct leat_beginnings *beginnings);
/* Copies. The pointer is good until the next call. */
struct leat_beginning *leat_beginnings_add(struct leat_beginnings *beginnings,
                                           struct leat_slice processor, struct leat_slice stream_id,
                                           struct leat_slice start);
const struct leat_beginning *leat_beginnings_find(const struct leat_beginnings *beginnings,
                                                  struct leat_slice processor,
                                                  struct leat_slice stream_id);

void leat_beginning_set(struct leat_beginning *beginning, struct leat_slice shard,
                        enum leat_shard_role role);
enum leat_shard_role leat_beginning_role(const struct leat_beginning *beginning,
                                         struct leat_slice shard);
/* The checkpoint of a progress row that is not there yet. */
struct leat_slice leat_beginning_checkpoint(const struct leat_beginning *beginning,
                                            struct leat_slice shard);

#endif
