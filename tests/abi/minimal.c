/*
 * The plugin whose binaries are kept in this folder, one for each released version: it uses a little of everything that
 * a processor may. It must go on compiling, and its old binaries must go on loading and doing the same.
 *
 *   gcc -Os -s -Wall -fPIC -shared -Wl,-z,defs -Ilib/include -o tests/abi/x86_64/VERSION/minimal.so tests/abi/minimal.c
 */
#include <leat/processor.h>
#include <stdlib.h>

static const struct leat_column columns[] = {
    {"word", LEAT_TEXT, LEAT_KEY},
    {"count", LEAT_INT64, LEAT_SUM},
    {"last_at", LEAT_TIMESTAMP, LEAT_MAX},
    {"last", LEAT_DECIMAL, LEAT_LAST, .order_by = "last_at"},
    LEAT_END};
static const struct leat_table tables[] = {{"words", columns}, LEAT_END};
static const struct leat_option options[] = {
    {"step", LEAT_OPTION_INTEGER, 0, "1", NULL, 1, 100, "what a word counts"}, LEAT_END};

struct instance {
    const struct leat_host *host;
    int64_t step;
};

struct state {
    struct instance *instance;
    unsigned char records; /* seen by this shard, kept as saved state */
};

static int
instance_open(const struct leat_host *host, const struct leat_options *given, void **ret_instance,
              struct leat_error *err)
{
    struct instance *instance = calloc(1, sizeof *instance);

    if (instance == NULL)
        return leat_error_set(err, LEAT_E_SYSTEM, "no memory");
    instance->host = host;
    instance->step = leat_option_get(given, "step")->integer;
    leat_log(host, LEAT_LOG_INFO, "step %lld", (long long)instance->step);
    *ret_instance = instance;
    return 0;
}

static void
instance_close(void *instance)
{
    free(instance);
}

static int
shard_reset(void *opaque, struct leat_slice saved_state, struct leat_error *err)
{
    struct state *state = opaque;

    if (saved_state.size > 1)
        return leat_error_set(err, LEAT_E_FORMAT, "a saved state of %zu bytes", saved_state.size);
    state->records = saved_state.size == 1 ? saved_state.data[0] : 0;
    return 0;
}

static int
shard_begin(void *instance, const struct leat_shard *shard, struct leat_slice saved_state,
            void **ret_state, struct leat_error *err)
{
    struct state *state = calloc(1, sizeof *state);

    if (state == NULL || shard->lanes != 1)
        return leat_error_set(err, LEAT_E_SYSTEM, "no memory, or lanes");
    state->instance = instance;
    *ret_state = state;
    return shard_reset(state, saved_state, err);
}

static enum leat_verdict
process(void *opaque, const struct leat_batch *batch, struct leat_out *out, struct leat_error *err)
{
    struct state *state = opaque;

    for (size_t i = 0; i < batch->count; i++) {
        const struct leat_record *record = batch->records[i];

        state->records++;
        if (leat_slice_is(record->data, "poison"))
            leat_fail(out, record, "poison in %.*s, attempt %u", (int)batch->shard->shard.size,
                      (const char *)batch->shard->shard.data, record->attempt);
        else if (leat_slice_is(record->data, "forget"))
            leat_emit_delete(out, record, 0, leat_text(record->partition_key));
        else
            leat_emit(out, record, 0, leat_text(record->data), leat_int64(state->instance->step),
                      leat_timestamp_us(record->arrival_us),
                      leat_decimal(leat_slice_from("12.50")));
    }
    if (leat_save_state(out, leat_slice_make(&state->records, 1)) != 0 || leat_is_cancelled(out))
        return LEAT_RETRY;
    return LEAT_DONE;
}

static enum leat_verdict
tick(void *opaque, int64_t now_us, int64_t watermark_us, struct leat_out *out,
     struct leat_error *err)
{
    struct state *state = opaque;

    leat_emit_replace(out, NULL, 0, leat_text(leat_slice_from("tick")), leat_int64(state->records),
                      leat_timestamp_us(now_us > watermark_us ? now_us : watermark_us),
                      leat_null());
    return LEAT_DONE;
}

static enum leat_verdict
shard_end(void *opaque, enum leat_shard_end why, struct leat_out *out, struct leat_error *err)
{
    if (out != NULL && why == LEAT_SHARD_ENDED)
        leat_save_state(out, leat_slice_make(NULL, 0));
    free(opaque);
    return LEAT_DONE;
}

LEAT_PROCESSOR(.name = "minimal", .version = "1.0", .summary = "a little of everything",
               .options = options, .tables = tables, .tick_interval_us = 1000000,
               .open = instance_open, .close = instance_close, .shard_begin = shard_begin,
               .process = process, .shard_reset = shard_reset, .tick = tick,
               .shard_end = shard_end);
