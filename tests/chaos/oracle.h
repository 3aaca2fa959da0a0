/*
 * The verdict: what is in the target against what was put. All from the target's own tables, past the proxy, when everything has
 * drained.
 */
#ifndef LEAT_TESTS_CHAOS_ORACLE_H
#define LEAT_TESTS_CHAOS_ORACLE_H

#include "chaos/producer.h"
#include "chaos/tally.h"

struct chaos_verdict {
    struct chaos_tally tally; /* of chaos_runs; released */
    int64_t runs;             /* rows of it */
    int64_t wrong_keys;       /* of chaos_keys and of rollup: count, sum, smallest, greatest */
    int64_t breaks;           /* numbers that did not follow what the saved state knew */
    int64_t letters,
        wrong_letters; /* leat.failures: wanted once per poison and processor; its archived file is there */
    int64_t unended; /* leases of closed shards that are still active, after a while */
    bool is_good;
    char example[200];
};

/* Everything that was put is committed, by both processors: how much of it is. -1: the target does not answer. */
int64_t chaos_committed(struct leat_pg_connection *target);
/* Waits until `wanted` are, as long as it goes on: false when nothing moved for a minute. tick is called meanwhile. */
bool chaos_drain(struct chaos_world *world, int64_t wanted, void (*tick)(void *context),
                 void *context);
void chaos_judge(struct chaos_world *world, const struct chaos_producer *producer,
                 struct chaos_verdict *ret_verdict);
/* Of shards that still have an active lease but none to read; 0 within a while. */
int64_t chaos_unended(struct chaos_world *world, void (*tick)(void *context), void *context);

#endif
