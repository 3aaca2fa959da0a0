/*
 * What the shards of this worker cost: totals of busy time, as counted by the pipeline, become smoothed shares of a second and
 * a compact array (loads.h). Pure: time and totals are arguments.
 *
 * The first share of a shard is what the first interval says, later ones move it half the way. A published step is kept
 * while the share is within one step of it, so that noise is not news. A shard that left stays in the array for half a minute:
 * until its new owner has measured it, nobody else knows what it costs.
 */
#ifndef LEAT_LEASE_MEASURE_H
#define LEAT_LEASE_MEASURE_H

#include "base/map.h"
#include "lease/loads.h"

struct leat_measure {
    struct leat_map shards;
    int64_t at_us; /* of the last round; 0: none */
    struct leat_buf loads;
    bool has_loads; /* there was a round that told */
    struct leat_load *scratch;
    size_t scratch_capacity;
};

void leat_measure_init(struct leat_measure *measure);
void leat_measure_release(struct leat_measure *measure);

/* A round: each shard that is held, then end. total_us: since it is held; one that is less than before has begun anew. */
void leat_measure_shard(struct leat_measure *measure, struct leat_lease_key key, int64_t total_us,
                        int64_t now_us);
/* true: measure->loads is another one than after the round before, or this was the first. */
bool leat_measure_end(struct leat_measure *measure, int64_t now_us);

#endif
