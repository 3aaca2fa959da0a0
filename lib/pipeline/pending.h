/*
 * A shard's complete epochs that wait for their flush: merged rows, ledger rows, saved state and the position behind them.
 * Owned by the consumer while it fills, by the committer while it flies.
 */
#ifndef LEAT_PIPELINE_PENDING_H
#define LEAT_PIPELINE_PENDING_H

#include "pipeline/emission.h"
#include "stream/position.h"

struct leat_pending {
    struct leat_merge *merge;
    struct leat_arena arena; /* of failures and state */
    struct leat_failure *failures;
    size_t failure_count, failure_capacity;
    struct leat_position end;
    struct leat_position last; /* where end is SHARD_END: the position before it */
    bool has_end;              /* something is there to commit */
    bool has_state;
    bool has_loose_rows; /* rows of an epoch without records: a tick's, a shard's end's */
    bool is_gathering;   /* more is to come before it may fly, unless it is urgent */
    bool is_peek;        /* larger than commits are, to see whether any row of it is taken */
    struct leat_slice state;
    uint64_t records, epochs, rows_emitted;
    size_t charged_bytes; /* of the budget, by whoever fills it; given back when it is cleared */
    int64_t since_us;     /* when the first epoch came; 0: empty */
    int64_t as_of_us;     /* see consumer_lag.c */
    int64_t arrival_us;   /* of its first record, wall clock; 0: none has one */
    /* What the commit is conditioned on: as it was when it left the consumer. */
    int64_t lease_counter, incarnation, commit_seq;
    uint64_t generation;
    struct leat_buf checkpoint, last_checkpoint; /* texts of end and last, made when it flies */
};

struct leat_pending *leat_pending_new(const struct leat_merge_schema *schema);
void leat_pending_free(struct leat_pending *pending);
void leat_pending_clear(struct leat_pending *pending);
/* An epoch is complete: its rows and state, and the position behind it. */
void leat_pending_add(struct leat_pending *pending, const struct leat_emission *emission,
                      const struct leat_position *end, uint64_t records, int64_t now_us);
void leat_pending_add_failure(struct leat_pending *pending, const struct leat_failure *failure);
/* Nothing but a position: no hurry. */
bool leat_pending_is_light(const struct leat_pending *pending);
size_t leat_pending_bytes(const struct leat_pending *pending);

/* A copy whose slices live in the arena. */
struct leat_failure leat_failure_copy(const struct leat_failure *failure, struct leat_arena *arena);

#endif
