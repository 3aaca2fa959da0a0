/*
 * A shard is ready when the parents that we know of are read to their end. Of the ready ones the one whose turn it is is
 * read; turns are the limiter's (5 calls a second, 2 MB a second).
 *
 * Children: the last answer of a closed shard may name them, some servers never do. So the stream is listed again when a shard
 * has ended, and again each second while an ended shard has no child: listings run behind.
 */
#include "worker/tail_reader.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"
#include "stream/limiter.h"
#include "worker/wait.h"

#define ANSWER_MAXIMUM_BYTES ((size_t)64 << 20)
#define LISTINGS_AT_THE_END 3 /* --until-end: how often a childless shard is listed for */

struct shard {
    char *name;
    char *parents[LEAT_SHARD_PARENTS];
    size_t parent_count;
    struct leat_hash_key range_start, range_end;
    bool has_range, is_closed;
    enum leat_position_kind start;
    int64_t start_us;
    struct leat_deaggregator *deaggregator;
    struct leat_limiter limiter;
    char *iterator;                         /* NULL: to be got */
    char sequence[LEAT_SEQUENCE_BYTES + 1]; /* the last one read; "": none */
    bool is_done;                           /* read to its end, or gone */
    bool is_at_tip;
    bool has_child;
};

struct tail {
    const struct leat_tail_options *options;
    leat_tail_fn each;
    leat_tail_pause_fn pause;
    void *context;
    struct shard **shards;
    size_t count, capacity;
    struct leat_map by_name;
    int64_t list_at_us; /* INT64_MAX: no need */
    unsigned listings;
    struct leat_kinesis_region region;
    struct leat_kinesis_records records;
    bool is_enough;
};

/* ---- the set of shards --------------------------------------------------------------------- */

static struct shard *
find(const struct tail *tail, const char *name)
{
    return leat_map_get(&tail->by_name, leat_slice_from(name));
}

static void
add_parent(struct shard *shard, struct leat_slice parent)
{
    if (parent.size > 0 && shard->parent_count < LEAT_SHARD_PARENTS)
        shard->parents[shard->parent_count++] = leat_slice_strdup(parent);
}

static bool
has_known_parent(const struct tail *tail, const struct leat_kinesis_shard *told)
{
    return leat_map_get(&tail->by_name, told->parent) != NULL ||
           leat_map_get(&tail->by_name, told->adjacent_parent) != NULL;
}

/* Which of the told shards are ours: at LATEST, those open now, and later their descendants. */
static bool
is_wanted(const struct tail *tail, const struct leat_kinesis_shard *told, bool is_first)
{
    const struct leat_tail_options *options = tail->options;

    if (options->shard != NULL)
        return is_first && leat_slice_is(told->shard, options->shard);
    if (options->start == LEAT_POSITION_LATEST)
        return is_first ? told->ending_sequence.size == 0 : has_known_parent(tail, told);
    return true;
}

static void
add_shard(struct tail *tail, const struct leat_kinesis_shard *told, bool is_first)
{
    struct shard *shard = LEAT_NEW(struct shard);

    shard->name = leat_slice_strdup(told->shard);
    add_parent(shard, told->parent);
    add_parent(shard, told->adjacent_parent);
    shard->has_range = leat_hash_key_parse(told->starting_hash_key, &shard->range_start) &&
                       leat_hash_key_parse(told->ending_hash_key, &shard->range_end);
    shard->is_closed = told->ending_sequence.size > 0;
    shard->start = tail->options->start == LEAT_POSITION_LATEST && !is_first
                       ? LEAT_POSITION_TRIM_HORIZON
                       : tail->options->start;
    shard->start_us = tail->options->start_us;
    shard->deaggregator = leat_deaggregator_new(NULL, shard->has_range ? &shard->range_start : NULL,
                                                shard->has_range ? &shard->range_end : NULL);
    /* Somebody who looks leaves the rest to those who work. */
    leat_limiter_init(&shard->limiter, false, 0);
    shard->limiter.calls_ceiling = 5;
    shard->limiter.bytes_ceiling = 2e6;
    LEAT_GROW(tail->shards, tail->count, tail->capacity);
    tail->shards[tail->count++] = shard;
    leat_map_put(&tail->by_name, told->shard, shard);
}

static void
shard_free(struct shard *shard)
{
    for (size_t i = 0; i < shard->parent_count; i++)
        free(shard->parents[i]);
    leat_deaggregator_free(shard->deaggregator);
    free(shard->iterator);
    free(shard->name);
    free(shard);
}

struct listing {
    struct tail *tail;
    bool is_first;
};

static int
on_told(void *context, const struct leat_kinesis_shard *told)
{
    struct listing *listing = context;
    struct tail *tail = listing->tail;

    if (leat_map_get(&tail->by_name, told->shard) == NULL &&
        is_wanted(tail, told, listing->is_first))
        add_shard(tail, told, listing->is_first);
    return 0;
}

static bool
is_ended(const struct tail *tail, const char *name)
{
    const struct shard *parent = find(tail, name);

    return parent == NULL || parent->is_done;
}

static bool
is_ready(const struct tail *tail, const struct shard *shard)
{
    for (size_t i = 0; i < shard->parent_count; i++) {
        if (!is_ended(tail, shard->parents[i]))
            return false;
    }
    return !shard->is_done;
}

/* Lists again while somebody who ended has no child; all of a stream's closed shards have one, sooner or later. */
static void
plan_listing(struct tail *tail)
{
    bool is_childless = false;

    for (size_t i = 0; i < tail->count; i++) {
        for (size_t j = 0; j < tail->shards[i]->parent_count; j++) {
            struct shard *parent = find(tail, tail->shards[i]->parents[j]);

            if (parent != NULL)
                parent->has_child = true;
        }
    }
    for (size_t i = 0; i < tail->count; i++)
        is_childless = is_childless || (tail->shards[i]->is_done && !tail->shards[i]->has_child);
    tail->list_at_us = INT64_MAX;
    if (is_childless && tail->options->shard == NULL &&
        !(tail->options->until_end && tail->listings >= LISTINGS_AT_THE_END))
        tail->list_at_us = leat_clock_monotonic_us() + LEAT_SECOND_US;
}

static int
list(struct tail *tail, bool is_first, struct leat_error *err)
{
    struct listing listing = {tail, is_first};
    int status = leat_kinesis_list_shards(tail->options->kinesis, tail->options->stream, on_told,
                                          &listing, err);

    if (status < 0)
        return status;
    tail->listings++;
    plan_listing(tail);
    if (is_first && tail->options->shard != NULL && tail->count == 0)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "stream \"%s\" has no shard \"%s\"",
                              tail->options->stream, tail->options->shard);
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------- */

static int
get_iterator(struct tail *tail, struct shard *shard, struct leat_error *err)
{
    char iterator[LEAT_KINESIS_ITERATOR_BYTES];
    struct leat_kinesis_iterator_request request = {
        .stream = tail->options->stream,
        .shard = leat_slice_from(shard->name),
        .type = LEAT_ITERATOR_TRIM_HORIZON,
    };
    int status;

    if (shard->sequence[0] != '\0') {
        request.type = LEAT_ITERATOR_AFTER_SEQUENCE;
        request.sequence = leat_slice_from(shard->sequence);
    } else if (shard->start == LEAT_POSITION_AT_TIMESTAMP) {
        request.type = LEAT_ITERATOR_AT_TIMESTAMP;
        request.timestamp_us = shard->start_us;
    } else if (shard->start == LEAT_POSITION_LATEST) {
        request.type = LEAT_ITERATOR_LATEST;
    }
    status = leat_kinesis_get_shard_iterator(tail->options->kinesis, &request, iterator, err);
    if (status < 0)
        return status;
    /* An iterator that expires before the first record must not move LATEST: from now on it is a time. */
    if (shard->start == LEAT_POSITION_LATEST) {
        shard->start = LEAT_POSITION_AT_TIMESTAMP;
        shard->start_us = leat_kinesis_now_us(tail->options->kinesis);
    }
    free(shard->iterator);
    shard->iterator = leat_strdup(iterator);
    return 0;
}

static bool
grow(struct leat_kinesis_region *region, size_t wanted_bytes)
{
    size_t capacity = region->capacity < 65536 ? 65536 : region->capacity;

    if (wanted_bytes > ANSWER_MAXIMUM_BYTES)
        return false;
    while (capacity < wanted_bytes)
        capacity *= 2;
    region->data = leat_realloc(region->data, capacity, 1);
    region->capacity = capacity;
    return true;
}

static void
tell_record(struct tail *tail, struct shard *shard, const struct leat_raw_record *raw)
{
    struct leat_user_record record;

    if (tail->options->is_raw) {
        record = (struct leat_user_record){
            .raw = raw,
            .record = {.size = sizeof record.record,
                       .data = raw->data,
                       .partition_key = raw->partition_key,
                       .explicit_hash_key = leat_slice_from(""),
                       .sequence_number = raw->sequence,
                       .arrival_us = raw->arrival_us},
        };
        tail->is_enough = !tail->each(tail->context, shard->name, &record);
        return;
    }
    leat_deaggregator_begin(shard->deaggregator, raw);
    while (!tail->is_enough && leat_deaggregator_next(shard->deaggregator, &record))
        tail->is_enough = !tail->each(tail->context, shard->name, &record);
    leat_deaggregator_reset(shard->deaggregator);
}

static void
tell_records(struct tail *tail, struct shard *shard)
{
    const struct leat_kinesis_records *records = &tail->records;

    for (size_t i = 0; i < records->count && !tail->is_enough; i++) {
        const struct leat_kinesis_record *record = &records->records[i];
        struct leat_raw_record raw = {record->data, record->partition_key, record->sequence,
                                      record->arrival_us};

        tell_record(tail, shard, &raw);
        snprintf(shard->sequence, sizeof shard->sequence, "%.*s", (int)record->sequence.size,
                 (const char *)record->sequence.data);
    }
    if (!tail->pause(tail->context))
        tail->is_enough = true;
}

static void
end_shard(struct tail *tail, struct shard *shard)
{
    shard->is_done = true;
    free(shard->iterator);
    shard->iterator = NULL;
    tail->list_at_us = leat_clock_monotonic_us();
    tail->listings = 0;
}

static size_t
payload_bytes(const struct leat_kinesis_records *records)
{
    size_t bytes = 0;

    for (size_t i = 0; i < records->count; i++)
        bytes += records->records[i].data.size + records->records[i].partition_key.size;
    return bytes;
}

static int
read_records(struct tail *tail, struct shard *shard, struct leat_error *err)
{
    const struct leat_tail_options *options = tail->options;
    int64_t asked_at_us = leat_clock_monotonic_us();
    struct leat_limiter_charge charge = leat_limiter_called(&shard->limiter, asked_at_us);
    int status = leat_kinesis_get_records(options->kinesis, options->stream, shard->iterator,
                                          options->limit, &tail->region, &tail->records, err);

    if (status < 0)
        return status;
    leat_limiter_answered(&shard->limiter, asked_at_us, &charge, payload_bytes(&tail->records));
    shard->is_at_tip = tail->records.count == 0 && tail->records.behind_ms <= 0;
    free(shard->iterator);
    shard->iterator = leat_slice_strdup(tail->records.next_iterator);
    tell_records(tail, shard);
    if (tail->records.is_end)
        end_shard(tail, shard);
    return 0;
}

/* An iterator that expired is got anew, behind the last record; a shard that is gone (retention) has ended. */
static int
read_shard(struct tail *tail, struct shard *shard, struct leat_error *err)
{
    int status = shard->iterator != NULL ? 0 : get_iterator(tail, shard, err);

    if (status == 0)
        status = read_records(tail, shard, err);
    if (status == LEAT_E_EXPIRED) {
        free(shard->iterator);
        shard->iterator = NULL;
        return 0;
    }
    if (status == LEAT_E_NOT_FOUND && shard->is_closed) {
        end_shard(tail, shard);
        return 0;
    }
    return status;
}

/* ---- whose turn it is ---------------------------------------------------------------------- */

static struct shard *
next_shard(const struct tail *tail, int64_t *ret_at_us)
{
    int64_t now_us = leat_clock_monotonic_us();
    struct shard *next = NULL;

    *ret_at_us = INT64_MAX;
    for (size_t i = 0; i < tail->count; i++) {
        struct shard *shard = tail->shards[i];
        int64_t at_us;

        if ((tail->options->until_end && shard->is_at_tip) || !is_ready(tail, shard))
            continue;
        at_us = leat_limiter_next_us(&shard->limiter, now_us);
        /* the one that was read least lately, where several could be */
        if (next == NULL || at_us < *ret_at_us ||
            (at_us == *ret_at_us &&
             shard->limiter.ceiling.calls_at_us < next->limiter.ceiling.calls_at_us)) {
            *ret_at_us = at_us;
            next = shard;
        }
    }
    return next;
}

/* *ret_goes_on: false when nothing is left to do. */
static int
step(struct tail *tail, bool *ret_goes_on, struct leat_error *err)
{
    int64_t at_us;
    struct shard *shard = next_shard(tail, &at_us);
    bool is_listing = tail->list_at_us <= at_us && tail->list_at_us != INT64_MAX;

    *ret_goes_on = shard != NULL || is_listing;
    if (!*ret_goes_on)
        return 0;
    if (leat_wait(-1, is_listing ? tail->list_at_us : at_us) == LEAT_WAITED_STOP)
        return leat_error_set(err, LEAT_E_CANCELLED, "stopped");
    return is_listing ? list(tail, false, err) : read_shard(tail, shard, err);
}

static int
run(struct tail *tail, struct leat_error *err)
{
    bool goes_on = true;
    int status = list(tail, true, err);

    /* LATEST is now, for all of them. */
    for (size_t i = 0; status == 0 && i < tail->count; i++) {
        if (tail->options->start == LEAT_POSITION_LATEST)
            status = get_iterator(tail, tail->shards[i], err);
    }
    while (status == 0 && goes_on && !tail->is_enough)
        status = step(tail, &goes_on, err);
    return status;
}

int
leat_tail(const struct leat_tail_options *options, leat_tail_fn each, leat_tail_pause_fn pause,
          void *context, struct leat_error *err)
{
    struct tail tail = {
        .options = options,
        .each = each,
        .pause = pause,
        .context = context,
        .list_at_us = INT64_MAX,
        .region = {.grow = grow},
    };
    int status;

    leat_map_init(&tail.by_name);
    status = run(&tail, err);
    for (size_t i = 0; i < tail.count; i++)
        shard_free(tail.shards[i]);
    free(tail.shards);
    free(tail.region.data);
    leat_kinesis_records_release(&tail.records);
    leat_map_release(&tail.by_name, NULL);
    return status;
}
