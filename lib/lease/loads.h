/*
 * The loads of a worker's shards as one compact array: leat.workers.loads. Pure.
 *
 * A load is busy time: µs in processor calls in a second, over all processors of the shard. One byte of it is published, in
 * steps of 4.4 %; idle shards are left out, so an idle worker's array is empty, and an empty one is no array at all (NULL).
 * Shards are named by 32 bits of their hash: two of ten thousand that share them mistake each other's load, and nothing else.
 *
 * Bytes: 0x01, then 5 for each shard: its hash (big-endian, ascending), its load. Another first byte is another version of
 * this: nothing is known, which is no error.
 */
#ifndef LEAT_LEASE_LOADS_H
#define LEAT_LEASE_LOADS_H

#include "base/buf.h"
#include "lease/lease.h"

#define LEAT_LOADS_MOST 65536 /* shards of an array, the busiest */

struct leat_load {
    uint32_t hash;
    uint8_t step; /* 1 … 255 */
};

/* The same on every machine and in every version. */
uint64_t leat_lease_hash(struct leat_lease_key key);
uint32_t leat_load_hash(struct leat_lease_key key);

/* 0: idle. */
uint8_t leat_load_step(int64_t busy_us);
int64_t leat_load_busy_us(uint8_t step);

/* Sorts the loads, and leaves out those of step 0 and the second of a hash. out: replaced; empty: all are idle. */
void leat_loads_encode(struct leat_load *loads, size_t count, struct leat_buf *out);
/* How many loads these bytes hold; SIZE_MAX: they are no such array. */
size_t leat_loads_count(struct leat_slice bytes);
/* ret_loads has room for that many. */
void leat_loads_decode(struct leat_slice bytes, struct leat_load *ret_loads);

/* What one worker published. */
struct leat_worker_loads {
    int64_t incarnation;
    struct leat_slice bytes;
};
/*
 * Sets busy_us of each lease: what its owner says, else what anybody else says (it has moved a moment ago, or its owner has
 * died), else 0 where it has an owner and -1 where it has none.
 */
void leat_loads_apply(const struct leat_worker_loads *loads, size_t load_count,
                      struct leat_lease *leases, size_t lease_count);

#endif
