/*
 * The host's side of a call: what a processor emits, fails and saves, kept until its verdict. One per consumer, reused.
 * Threads: the worker thread of the call; emitting from another one is refused.
 */
#ifndef LEAT_PIPELINE_EMISSION_H
#define LEAT_PIPELINE_EMISSION_H

#include <leat/processor.h>
#include <pthread.h>

#include "base/arena.h"
#include "pipeline/merge.h"

#define LEAT_SAVED_STATE_BYTES ((size_t)1 << 20)

struct leat_emitted_row {
    size_t table;
    enum leat_operation operation;
    const struct leat_value *values;
    uint32_t value_count; /* of a deletion: the key columns alone */
    int32_t record;       /* index in the batch; -1: of no record */
};

struct leat_emitted_failure {
    uint32_t record;
    const char *reason;
};

struct leat_emission {
    struct leat_out out; /* first: the plugin's pointer is ours */
    const struct leat_merge_schema *schema;
    const struct leat_record *records; /* of the batch; NULL: none */
    size_t record_count;
    struct leat_arena arena;
    struct leat_emitted_row *rows;
    size_t row_count, row_capacity;
    struct leat_emitted_failure *failures;
    size_t failure_count, failure_capacity;
    unsigned char *is_failed; /* by record */
    size_t is_failed_capacity;
    bool has_state;
    struct leat_slice state;
    bool is_refused; /* a row was: the call will not count */
    /* The processor did what no record can be blamed for: the call will not count, and the next one would do the same. */
    bool is_at_fault, is_state_too_large;
    struct leat_error refusal, state_refusal;
    pthread_t thread;
    bool is_open;
    bool (*is_cancelled)(void *context);
    void *context;
};

void leat_emission_init(struct leat_emission *emission, const struct leat_merge_schema *schema);
void leat_emission_release(struct leat_emission *emission);
/* Empty, for the next call. */
void leat_emission_begin(struct leat_emission *emission, const struct leat_record *records,
                         size_t count);
void leat_emission_end(struct leat_emission *emission);
/* What the processor did that no record can be blamed for: the same would come of any records. NULL: nothing. A state that was too
   large is none if a smaller one was saved after it. */
const struct leat_error *leat_emission_fault(const struct leat_emission *emission);
/* Rows of records that did not fail go into the buffer; returns how many. */
size_t leat_emission_apply(const struct leat_emission *emission, struct leat_merge *merge);

#endif
