/* What is emitted is copied into an arena and checked against its table at once: the author hears of a mistake in the call. */
#include "pipeline/emission.h"

#include <stdlib.h>

#include "base/crash.h"
#include "base/memory.h"

static bool
is_callable(struct leat_emission *emission)
{
    if (emission->is_open && pthread_equal(emission->thread, pthread_self()))
        return true;
    leat_error_set(&emission->refusal, LEAT_E_INVALID,
                   "emitted outside the call, or from another thread");
    emission->is_refused = emission->is_at_fault = true;
    return false;
}

static int32_t
index_of(const struct leat_emission *emission, const struct leat_record *record)
{
    if (record == NULL || emission->records == NULL || record < emission->records ||
        record >= emission->records + emission->record_count)
        return -1;
    return (int32_t)(record - emission->records);
}

static const struct leat_value *
copy_values(struct leat_emission *emission, const struct leat_value *values, size_t count)
{
    struct leat_value *copy = leat_arena_alloc(&emission->arena, count * sizeof *copy);

    for (size_t i = 0; i < count; i++) {
        copy[i] = values[i];
        if (values[i].type == LEAT_TEXT || values[i].type == LEAT_BYTES ||
            values[i].type == LEAT_JSON || values[i].type == LEAT_DECIMAL)
            copy[i].as.bytes.data =
                leat_arena_copy(&emission->arena, leat_value_slice(&values[i])).data;
    }
    return copy;
}

static int
emit(struct leat_out *out, const struct leat_record *record, size_t table,
     enum leat_operation operation, const struct leat_value *values, size_t count)
{
    struct leat_emission *emission = (struct leat_emission *)out;
    int status;

    if (!is_callable(emission))
        return LEAT_E_INVALID;
    status =
        leat_merge_check(emission->schema, table, operation, values, count, &emission->refusal);
    if (status != 0) {
        emission->is_refused = true;
        return status;
    }
    LEAT_GROW(emission->rows, emission->row_count, emission->row_capacity);
    emission->rows[emission->row_count++] =
        (struct leat_emitted_row){table, operation, copy_values(emission, values, count),
                                  (uint32_t)count, index_of(emission, record)};
    if (record != NULL)
        leat_crash_call_reached(record->sequence_number);
    return 0;
}

static void
fail(struct leat_out *out, const struct leat_record *record, const char *reason)
{
    struct leat_emission *emission = (struct leat_emission *)out;
    int32_t index = index_of(emission, record);

    if (!is_callable(emission))
        return;
    if (index < 0) {
        leat_error_set(&emission->refusal, LEAT_E_INVALID,
                       "a record was failed that is not of this batch");
        emission->is_refused = emission->is_at_fault = true;
        return;
    }
    if (emission->is_failed[index])
        return;
    emission->is_failed[index] = 1;
    leat_crash_call_reached(record->sequence_number);
    LEAT_GROW(emission->failures, emission->failure_count, emission->failure_capacity);
    emission->failures[emission->failure_count++] =
        (struct leat_emitted_failure){(uint32_t)index, leat_arena_strdup(&emission->arena, reason)};
}

static int
save_state(struct leat_out *out, struct leat_slice bytes)
{
    struct leat_emission *emission = (struct leat_emission *)out;

    if (!is_callable(emission))
        return LEAT_E_INVALID;
    emission->is_state_too_large = bytes.size > LEAT_SAVED_STATE_BYTES;
    if (emission->is_state_too_large) {
        leat_error_set(&emission->state_refusal, LEAT_E_LIMIT,
                       "the processor would save a state of %zu bytes; a shard's may have 1 MiB: "
                       "it has to keep less for each shard, or write what it keeps as rows",
                       bytes.size);
        return LEAT_E_LIMIT;
    }
    emission->has_state = true;
    emission->state = leat_arena_copy(&emission->arena, bytes);
    return 0;
}

static bool
is_cancelled(struct leat_out *out)
{
    struct leat_emission *emission = (struct leat_emission *)out;

    return emission->is_cancelled != NULL && emission->is_cancelled(emission->context);
}

static const struct leat_out_services services = {sizeof services, emit, fail, save_state,
                                                  is_cancelled};

void
leat_emission_init(struct leat_emission *emission, const struct leat_merge_schema *schema)
{
    *emission = (struct leat_emission){.out = {&services}, .schema = schema};
    leat_arena_init(&emission->arena);
}

void
leat_emission_release(struct leat_emission *emission)
{
    leat_arena_release(&emission->arena);
    free(emission->rows);
    free(emission->failures);
    free(emission->is_failed);
}

void
leat_emission_begin(struct leat_emission *emission, const struct leat_record *records, size_t count)
{
    leat_arena_reset(&emission->arena);
    emission->records = records;
    emission->record_count = count;
    emission->row_count = emission->failure_count = 0;
    if (count > emission->is_failed_capacity) {
        emission->is_failed = leat_realloc(emission->is_failed, count, 1);
        emission->is_failed_capacity = count;
    }
    if (count > 0)
        memset(emission->is_failed, 0, count);
    emission->has_state = emission->is_refused = false;
    emission->is_at_fault = emission->is_state_too_large = false;
    emission->thread = pthread_self();
    emission->is_open = true;
}

void
leat_emission_end(struct leat_emission *emission)
{
    emission->is_open = false;
}

const struct leat_error *
leat_emission_fault(const struct leat_emission *emission)
{
    if (emission->is_at_fault)
        return &emission->refusal;
    return emission->is_state_too_large ? &emission->state_refusal : NULL;
}

size_t
leat_emission_apply(const struct leat_emission *emission, struct leat_merge *merge)
{
    size_t applied = 0;

    for (size_t i = 0; i < emission->row_count; i++) {
        const struct leat_emitted_row *row = &emission->rows[i];

        if (row->record >= 0 && emission->is_failed[row->record])
            continue;
        leat_merge_apply(merge, row->table, row->operation, row->values);
        applied++;
    }
    return applied;
}
