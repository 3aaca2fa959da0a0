/*
 * What a processor is given. Structs begin with their size and are reached by pointer, never
 * indexed, so that fields can be appended. All memory is borrowed for the call.
 */
#ifndef LEAT_RECORD_H
#define LEAT_RECORD_H

#include <stdint.h>

#include "slice.h"

#ifdef __cplusplus
extern "C" {
#endif

enum leat_record_flag {
    LEAT_RECORD_AGGREGATED = 1 /* came out of an aggregate (KPL or a gzip'd JSON array) */
};

struct leat_record {
    size_t size;
    struct leat_slice data;
    struct leat_slice partition_key;
    struct leat_slice explicit_hash_key; /* only inside KPL aggregates; empty otherwise */
    struct leat_slice sequence_number;   /* opaque: compare with leat_sequence_compare */
    uint64_t sub_sequence_number;        /* 0 outside aggregates */
    int64_t arrival_us;                  /* µs since 1970 UTC; 0: not known */
    uint32_t attempt;                    /* 0 first */
    uint32_t flags;                      /* enum leat_record_flag */
};

/* The shard, or the lane of it, that a state belongs to. */
struct leat_shard {
    size_t size;
    struct leat_slice stream;    /* its name as configured */
    struct leat_slice stream_id; /* ARN@creation in whole seconds, or file:… */
    struct leat_slice shard;     /* shardId-000000000000 */
    uint32_t lane;               /* this lane, 0 … lanes - 1 */
    uint32_t lanes;
};

struct leat_batch {
    size_t size;
    size_t count;
    const struct leat_record *const *records; /* in the shard's order */
    const struct leat_shard *shard;
    int64_t behind_ms; /* how far the answer was behind the tip; -1: not known */
};

#ifdef __cplusplus
}
#endif
#endif
