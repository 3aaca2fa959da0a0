/* Fills epoch by epoch; everything that it keeps is its own copy. */
#include "pipeline/pending.h"

#include <stdlib.h>

#include "base/memory.h"

struct leat_pending *
leat_pending_new(const struct leat_merge_schema *schema)
{
    struct leat_pending *pending = LEAT_NEW(struct leat_pending);

    pending->merge = leat_merge_new(schema);
    leat_arena_init(&pending->arena);
    leat_buf_init(&pending->checkpoint, SIZE_MAX);
    leat_buf_init(&pending->last_checkpoint, SIZE_MAX);
    return pending;
}

void
leat_pending_free(struct leat_pending *pending)
{
    if (pending == NULL)
        return;
    leat_merge_free(pending->merge);
    leat_arena_release(&pending->arena);
    leat_buf_release(&pending->checkpoint);
    leat_buf_release(&pending->last_checkpoint);
    free(pending->failures);
    free(pending);
}

void
leat_pending_clear(struct leat_pending *pending)
{
    leat_merge_clear(pending->merge);
    leat_arena_reset(&pending->arena);
    pending->failure_count = 0;
    pending->has_end = pending->has_state = pending->has_loose_rows = false;
    pending->is_gathering = pending->is_peek = false;
    pending->records = pending->epochs = pending->rows_emitted = 0;
    pending->since_us = pending->as_of_us = pending->arrival_us = 0;
}

void
leat_pending_add(struct leat_pending *pending, const struct leat_emission *emission,
                 const struct leat_position *end, uint64_t records, int64_t now_us)
{
    pending->rows_emitted += leat_emission_apply(emission, pending->merge);
    pending->has_loose_rows |= records == 0 && emission->row_count > 0;
    if (emission->has_state) {
        pending->has_state = true;
        pending->state = leat_arena_copy(&pending->arena, emission->state);
    }
    pending->end = *end;
    pending->has_end = true;
    pending->records += records;
    pending->epochs++;
    if (pending->since_us == 0)
        pending->since_us = now_us;
}

struct leat_failure
leat_failure_copy(const struct leat_failure *failure, struct leat_arena *arena)
{
    struct leat_failure copy = *failure;
    struct leat_slice *const slices[] = {
        &copy.dead_letter_id, &copy.sequence, &copy.partition_key, &copy.reason,
        &copy.text,           &copy.sqlstate, &copy.archive_url,   &copy.dead_letter_position,
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(slices); i++)
        *slices[i] = leat_arena_copy(arena, *slices[i]);
    return copy;
}

void
leat_pending_add_failure(struct leat_pending *pending, const struct leat_failure *failure)
{
    LEAT_GROW(pending->failures, pending->failure_count, pending->failure_capacity);
    pending->failures[pending->failure_count++] = leat_failure_copy(failure, &pending->arena);
}

bool
leat_pending_is_light(const struct leat_pending *pending)
{
    return leat_merge_rows(pending->merge) == 0 && pending->failure_count == 0 &&
           !pending->has_state && pending->end.kind != LEAT_POSITION_SHARD_END;
}

size_t
leat_pending_bytes(const struct leat_pending *pending)
{
    return leat_merge_bytes(pending->merge) + pending->arena.held_bytes;
}
