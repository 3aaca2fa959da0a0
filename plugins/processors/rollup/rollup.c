/*
 * Rollup: JSON events to one row per key, measurement and window: count, sum, min, max, last. It keeps nothing in memory
 * between calls: each event becomes a row of its own, leat merges them by the rules of the columns.
 */
#include "rollup.h"

/* Toward minus infinity, so that windows before 1970 are as long as the others. */
static int64_t
window_start(int64_t us, int64_t window_us)
{
    int64_t into = us % window_us;

    return us - (into < 0 ? into + window_us : into);
}

static bool
set_keys(struct leat_rollup_event *event, struct leat_value *values)
{
    const struct leat_rollup *rollup = event->rollup;
    size_t bytes = 0;

    for (size_t i = 0; i < rollup->key_count; i++) {
        if (!leat_rollup_key(event, rollup->keys[i].field, rollup->keys[i].type, &values[i]))
            return false;
        bytes += values[i].type == LEAT_TEXT || values[i].type == LEAT_DECIMAL
                     ? values[i].as.bytes.size
                     : sizeof(int64_t);
    }
    if (bytes <= LEAT_ROLLUP_KEY_BYTES)
        return true;
    leat_fail(event->out, event->record, "a key of %zu bytes: at most %d are possible", bytes,
              LEAT_ROLLUP_KEY_BYTES);
    return false;
}

static void
roll(struct leat_rollup_event *event)
{
    const struct leat_rollup *rollup = event->rollup;
    struct leat_value values[LEAT_ROLLUP_COLUMNS];
    size_t width = rollup->key_count;
    struct leat_slice number;
    const char *problem;
    size_t offset;
    int64_t us, start_us;

    event->scratch_used = 0;
    problem = leat_rollup_scan(event->record->data, rollup->fields, rollup->field_count,
                               event->fields, &offset);
    if (problem != NULL) {
        leat_fail(event->out, event->record, "not a JSON object: %s, at byte %zu", problem, offset);
        return;
    }
    if (!set_keys(event, values) || !leat_rollup_moment(event, rollup->time_field, &us) ||
        !leat_rollup_number(event, rollup->value_field, &number))
        return;
    start_us = window_start(us, rollup->window_us);
    if (start_us < LEAT_ROLLUP_MINIMUM_US) {
        leat_fail(event->out, event->record, "its window begins before the year 1");
        return;
    }
    values[width++] = leat_timestamp_us(start_us);
    values[width++] = leat_int64(1);
    values[width++] = leat_decimal(number); /* sum */
    values[width++] = leat_decimal(number); /* min */
    values[width++] = leat_decimal(number); /* max */
    values[width++] = leat_timestamp_us(us);
    values[width++] = leat_decimal(number); /* last */
    leat_emit_values(event->out, event->record, 0, LEAT_OP_MERGE, values, width);
}

static enum leat_verdict
process(void *state, const struct leat_batch *batch, struct leat_out *out, struct leat_error *err)
{
    struct leat_rollup_event event;

    event.rollup = state;
    event.out = out;
    for (size_t i = 0; i < batch->count; i++) {
        event.record = batch->records[i];
        roll(&event);
    }
    return LEAT_DONE;
}

static int
rollup_open(const struct leat_host *host, const struct leat_options *options, void **ret_instance,
            struct leat_error *err)
{
    struct leat_rollup *rollup;
    int status = leat_rollup_new(options, &rollup, err);

    if (status == 0)
        *ret_instance = rollup;
    return status;
}

static void
rollup_close(void *instance)
{
    leat_rollup_free(instance);
}

static const struct leat_table *
describe(void *instance)
{
    return ((struct leat_rollup *)instance)->tables;
}

LEAT_PROCESSOR(.name = "rollup", .version = LEAT_VERSION,
               .summary = "JSON events to count, sum, min, max and last per key and window",
               .options = leat_rollup_options, .open = rollup_open, .close = rollup_close,
               .describe = describe, .process = process);
