/*
 * Chaos' witness: says in the target what it was shown, so that what is lost, doubled or out of order can be seen there, and
 * nowhere else: it trusts only what was committed.
 *
 * A record is `… "value":N…` under the partition key `kK`: numbers of a key follow each other, from 1. All others fail by name.
 * - chaos_runs only appends: a row for each run of numbers n, n + 1, … m of a key in one call. The target numbers its rows as
 *   they are inserted, so a key's rows in that order tell the order in which its records were committed.
 * - chaos_keys merges: count, sum, smallest, greatest; and `breaks`, counted against the saved state: a number that
 *   does not follow the last one which the state knows of. A rewind that brings a wrong state back shows here.
 * - chaos_ticks: how often it ticked, so that commits without records are part of the storm.
 */
#include <leat/processor.h>
#include <stdlib.h>

#define KEYS 1024

static const struct leat_column run_columns[] = {
    {"key", LEAT_INT64, .text = "of the partition key"},
    {"first", LEAT_INT64},
    {"last", LEAT_INT64},
    LEAT_END,
};
static const struct leat_column key_columns[] = {
    {"key", LEAT_INT64, LEAT_KEY},
    {"count", LEAT_INT64, LEAT_SUM},
    {"total", LEAT_INT64, LEAT_SUM},
    {"lowest", LEAT_INT64, LEAT_MIN},
    {"highest", LEAT_INT64, LEAT_MAX},
    {"breaks", LEAT_INT64, LEAT_SUM},
    LEAT_END,
};
static const struct leat_column tick_columns[] = {
    {"shard", LEAT_TEXT, LEAT_KEY},
    {"ticks", LEAT_INT64, LEAT_SUM},
    LEAT_END,
};
enum { RUNS, BY_KEY, TICKS };
static const struct leat_table tables[] = {
    {"chaos_runs", run_columns, "runs of consecutive numbers, as they were committed"},
    {"chaos_keys", key_columns, "by key"},
    {"chaos_ticks", tick_columns, "by shard"},
    LEAT_END,
};

struct run {
    int64_t first, last; /* first 0: none is open */
    const struct leat_record *record;
};

struct state {
    char shard[64];
    int64_t last[KEYS];    /* 0: this shard had none yet */
    struct run open[KEYS]; /* of the call under way */
    int touched[KEYS], touched_count;
};

/* ---- the saved state: (key, last number) of each key that the shard has had ----------------------- */

static void
restore(struct state *state, struct leat_slice saved)
{
    memset(state->last, 0, sizeof state->last);
    for (size_t at = 0; at + 16 <= saved.size; at += 16) {
        int64_t pair[2];

        memcpy(pair, saved.data + at, sizeof pair);
        if (pair[0] >= 0 && pair[0] < KEYS)
            state->last[pair[0]] = pair[1];
    }
}

static int
save(const struct state *state, struct leat_out *out)
{
    int64_t pairs[2 * KEYS];
    size_t count = 0;

    for (int64_t key = 0; key < KEYS; key++) {
        if (state->last[key] == 0)
            continue;
        pairs[count++] = key;
        pairs[count++] = state->last[key];
    }
    return leat_save_state(out, leat_slice_make(pairs, count * sizeof pairs[0]));
}

static int
begin(void *instance, const struct leat_shard *shard, struct leat_slice saved, void **ret_state,
      struct leat_error *err)
{
    struct state *state = calloc(1, sizeof *state);

    (void)instance;
    if (state == NULL)
        return leat_error_set(err, LEAT_E_SYSTEM, "out of memory");
    snprintf(state->shard, sizeof state->shard, "%.*s", (int)shard->shard.size, shard->shard.data);
    restore(state, saved);
    *ret_state = state;
    return 0;
}

static int
reset(void *context, struct leat_slice saved, struct leat_error *err)
{
    (void)err;
    restore(context, saved);
    return 0;
}

static enum leat_verdict
end(void *context, enum leat_shard_end why, struct leat_out *out, struct leat_error *err)
{
    (void)why, (void)out, (void)err;
    free(context);
    return LEAT_DONE;
}

/* ---- records --------------------------------------------------------------------------------------- */

/* The digits right behind `word`; 0: there are none. */
static int64_t
number_behind(struct leat_slice text, const char *word)
{
    const unsigned char *at = memmem(text.data, text.size, word, strlen(word));
    int64_t number = 0;

    if (at == NULL)
        return 0;
    for (at += strlen(word); at < text.data + text.size && *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (*at - '0');
    return number;
}

static void
emit_run(struct leat_out *out, int key, const struct run *run, int64_t breaks)
{
    int64_t count = run->last - run->first + 1;

    leat_emit(out, run->record, RUNS, leat_int64(key), leat_int64(run->first),
              leat_int64(run->last));
    leat_emit(out, run->record, BY_KEY, leat_int64(key), leat_int64(count),
              leat_int64((run->first + run->last) * count / 2), leat_int64(run->first),
              leat_int64(run->last), leat_int64(breaks));
}

static void
see(struct state *state, struct leat_out *out, const struct leat_record *record)
{
    int64_t number = number_behind(record->data, "\"value\":");
    int64_t key = number_behind(record->partition_key, "k");
    struct run *run;

    if (number == 0 || key >= KEYS) {
        leat_fail(out, record, "not a numbered record");
        return;
    }
    run = &state->open[key];
    if (run->first == 0)
        state->touched[state->touched_count++] = (int)key;
    if (run->first != 0 && number != run->last + 1)
        emit_run(out, (int)key, run, 0);
    if (run->first == 0 || number != run->last + 1) {
        run->first = number;
        if (state->last[key] != 0 && number != state->last[key] + 1) {
            /* A row of no numbers that only counts the break. */
            leat_emit(out, record, BY_KEY, leat_int64(key), leat_int64(0), leat_int64(0),
                      leat_null(), leat_null(), leat_int64(1));
        }
    }
    run->last = state->last[key] = number;
    run->record = record;
}

static enum leat_verdict
process(void *context, const struct leat_batch *batch, struct leat_out *out, struct leat_error *err)
{
    struct state *state = context;

    (void)err;
    for (size_t i = 0; i < batch->count; i++)
        see(state, out, batch->records[i]);
    for (int i = 0; i < state->touched_count; i++) {
        int key = state->touched[i];

        emit_run(out, key, &state->open[key], 0);
        state->open[key].first = 0;
    }
    state->touched_count = 0;
    return save(state, out) == 0 ? LEAT_DONE : LEAT_STOP;
}

static enum leat_verdict
tick(void *context, int64_t now_us, int64_t watermark_us, struct leat_out *out,
     struct leat_error *err)
{
    struct state *state = context;

    (void)now_us, (void)watermark_us, (void)err;
    leat_emit(out, NULL, TICKS, leat_text(leat_slice_from(state->shard)), leat_int64(1));
    return LEAT_DONE;
}

LEAT_PROCESSOR(.name = "order", .version = "1", .summary = "says what it was shown",
               .tables = tables, .tick_interval_us = 500000, .shard_begin = begin,
               .process = process, .shard_reset = reset, .tick = tick, .shard_end = end);
