/*
 * The auditor: do the open leases of a stream cover all hash keys, 0 to 2^128 - 1? What nobody covers, nobody reads. Pure.
 *
 * Children get their leases before their parent's ends, so there is no moment without cover: a hole is a row that was deleted, a
 * list that was not complete, or a defect. All the same it counts only when the same one is seen several times in a row.
 */
#ifndef LEAT_LEASE_COVER_H
#define LEAT_LEASE_COVER_H

#include "stream/shard.h"

struct leat_hash_range {
    struct leat_hash_key first, last; /* inclusive */
};

/* Ranges in any order, overlapping or not; sorted here. true: *ret_hole is the first gap. None at all: everything is one. */
bool leat_cover_has_hole(struct leat_hash_range *ranges, size_t count,
                         struct leat_hash_range *ret_hole);

/* What was seen before, of one stream. */
struct leat_cover_memory {
    struct leat_hash_range hole;
    unsigned times; /* in a row */
};
/* Another hole, or none, begins anew. true: seen so often by now. */
bool leat_cover_confirm(struct leat_cover_memory *memory, const struct leat_hash_range *hole,
                        unsigned wanted);

#endif
