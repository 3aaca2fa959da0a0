/*
 * One stream record becomes its user records. What the KCL drops without a word is told here by name: records outside the
 * shard's hash range, one by one; a record with a bad index and those behind it; the rest of an array that does not parse;
 * a record that would expand beyond its limit, whole.
 */
#include "stream/deaggregate.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/memory.h"
#include "stream/json_array.h"
#include "stream/kpl.h"

#define DEFAULT_LIMIT ((size_t)64 << 20)
#define DEFAULT_RATIO 200
#define SMALLEST_LIMIT ((size_t)64 << 10) /* a tiny record may always expand to this */
#define INFLATE_STEP ((size_t)64 << 10)

enum mode { IDLE, PLAIN, KPL, ARRAY };

struct expanded {
    struct expanded *next;
    struct leat_buf text;
};

struct leat_deaggregator {
    struct leat_expand_limits limits;
    bool has_range;
    struct leat_hash_key start, end;
    enum mode mode;
    enum leat_user_record_status plain_status;
    const struct leat_raw_record *raw;
    uint64_t sub_sequence;
    bool is_index_bad;
    struct leat_kpl kpl;
    struct leat_json_array array;
    struct expanded *expanded; /* until reset */
    size_t held_bytes;
    struct leat_deaggregator_counts counts;
};

struct leat_deaggregator *
leat_deaggregator_new(const struct leat_expand_limits *limits,
                      const struct leat_hash_key *range_start,
                      const struct leat_hash_key *range_end)
{
    struct leat_deaggregator *deaggregator = LEAT_NEW(struct leat_deaggregator);

    if (limits != NULL)
        deaggregator->limits = *limits;
    if (deaggregator->limits.limit_bytes == 0)
        deaggregator->limits.limit_bytes = DEFAULT_LIMIT;
    if (deaggregator->limits.ratio == 0)
        deaggregator->limits.ratio = DEFAULT_RATIO;
    deaggregator->has_range = range_start != NULL && range_end != NULL;
    if (deaggregator->has_range) {
        deaggregator->start = *range_start;
        deaggregator->end = *range_end;
    }
    return deaggregator;
}

/* The text that is still being taken apart stays: a batch may end in the middle of an array. */
void
leat_deaggregator_reset(struct leat_deaggregator *deaggregator)
{
    struct expanded *open = deaggregator->mode == ARRAY ? deaggregator->expanded : NULL;
    struct expanded *next = open != NULL ? open->next : deaggregator->expanded;

    while (next != NULL) {
        struct expanded *expanded = next;

        next = expanded->next;
        leat_buf_release(&expanded->text);
        free(expanded);
    }
    deaggregator->expanded = open;
    deaggregator->held_bytes = 0;
    if (open != NULL) {
        open->next = NULL;
        deaggregator->held_bytes = open->text.capacity;
    }
}

void
leat_deaggregator_free(struct leat_deaggregator *deaggregator)
{
    if (deaggregator == NULL)
        return;
    deaggregator->mode = IDLE;
    leat_deaggregator_reset(deaggregator);
    leat_kpl_release(&deaggregator->kpl);
    free(deaggregator);
}

static size_t
limit_for(const struct leat_deaggregator *deaggregator, size_t compressed_bytes)
{
    size_t limit;

    if (__builtin_mul_overflow(compressed_bytes, (size_t)deaggregator->limits.ratio, &limit) ||
        limit > deaggregator->limits.limit_bytes)
        limit = deaggregator->limits.limit_bytes;
    return limit < SMALLEST_LIMIT && SMALLEST_LIMIT < deaggregator->limits.limit_bytes
               ? SMALLEST_LIMIT
               : limit;
}

enum inflated { INFLATED, NOT_GZIP, BOMB };

/* Step by step: never more memory than the limit. Several members, one after the other, are one text (RFC 1952). */
static enum inflated
inflate_steps(z_stream *stream, size_t limit, struct leat_buf *text)
{
    for (;;) {
        int status;

        if (text->size >= limit)
            return BOMB;
        leat_buf_reserve(text,
                         INFLATE_STEP < limit - text->size ? INFLATE_STEP : limit - text->size);
        stream->next_out = text->data + text->size;
        stream->avail_out =
            (unsigned)(INFLATE_STEP < limit - text->size ? INFLATE_STEP : limit - text->size);
        status = inflate(stream, Z_NO_FLUSH);
        text->size = (size_t)(stream->next_out - text->data);
        if (status == Z_STREAM_END && stream->avail_in == 0)
            return INFLATED;
        if (status == Z_STREAM_END && inflateReset(stream) != Z_OK)
            return NOT_GZIP;
        if (status != Z_OK && status != Z_STREAM_END)
            return NOT_GZIP;
    }
}

static enum inflated
inflate_all(struct leat_slice data, size_t limit, struct leat_buf *text)
{
    z_stream stream = {.next_in = (unsigned char *)data.data, .avail_in = (unsigned)data.size};
    enum inflated outcome;

    if (data.size > UINT32_MAX || inflateInit2(&stream, 15 + 16) != Z_OK)
        return NOT_GZIP;
    outcome = inflate_steps(&stream, limit, text);
    inflateEnd(&stream);
    return outcome;
}

static void
begin_gzip(struct leat_deaggregator *deaggregator)
{
    struct leat_slice data = deaggregator->raw->data;
    struct expanded *expanded = LEAT_NEW(struct expanded);
    enum inflated outcome;

    leat_buf_init(&expanded->text, SIZE_MAX);
    outcome = inflate_all(data, limit_for(deaggregator, data.size), &expanded->text);
    if (outcome == INFLATED &&
        leat_json_array_open(&deaggregator->array, leat_buf_slice(&expanded->text))) {
        deaggregator->mode = ARRAY;
        deaggregator->counts.aggregates++;
        deaggregator->held_bytes += expanded->text.capacity;
        expanded->next = deaggregator->expanded;
        deaggregator->expanded = expanded;
        return;
    }
    if (outcome == BOMB) {
        deaggregator->plain_status = LEAT_USER_RECORD_TOO_LARGE;
        deaggregator->counts.too_large++;
    }
    leat_buf_release(&expanded->text);
    free(expanded);
}

static void
begin_kpl(struct leat_deaggregator *deaggregator)
{
    switch (leat_kpl_open(&deaggregator->kpl, deaggregator->raw->data,
                          deaggregator->limits.limit_bytes)) {
    case LEAT_KPL_AGGREGATE:
        deaggregator->mode = KPL;
        deaggregator->counts.aggregates++;
        break;
    case LEAT_KPL_BAD_MD5:
        deaggregator->counts.bad_md5++;
        break;
    case LEAT_KPL_TOO_LARGE:
        deaggregator->plain_status = LEAT_USER_RECORD_TOO_LARGE;
        deaggregator->counts.too_large++;
        break;
    case LEAT_KPL_PLAIN:
        break;
    }
}

void
leat_deaggregator_begin(struct leat_deaggregator *deaggregator, const struct leat_raw_record *raw)
{
    deaggregator->raw = raw;
    deaggregator->mode = PLAIN;
    deaggregator->plain_status = LEAT_USER_RECORD_GOOD;
    deaggregator->sub_sequence = 0;
    deaggregator->is_index_bad = false;
    if (raw->data.size > 2 && raw->data.data[0] == 0x1F && raw->data.data[1] == 0x8B)
        begin_gzip(deaggregator);
    else if (raw->data.size > 4 && raw->data.data[0] == 0xF3)
        begin_kpl(deaggregator);
}

static void
fill(struct leat_deaggregator *deaggregator, struct leat_slice data,
     struct leat_user_record *record)
{
    const struct leat_raw_record *raw = deaggregator->raw;

    *record = (struct leat_user_record){
        .raw = raw,
        .record =
            {
                .size = sizeof record->record,
                .data = data,
                .partition_key = raw->partition_key,
                .explicit_hash_key = leat_slice_make(NULL, 0),
                .sequence_number = raw->sequence,
                .sub_sequence_number = deaggregator->sub_sequence++,
                .arrival_us = raw->arrival_us,
                .flags = deaggregator->mode == PLAIN ? 0 : LEAT_RECORD_AGGREGATED,
            },
    };
}

/* Keys from the tables; false: an index or a hash key that is none. */
static bool
resolve_keys(struct leat_deaggregator *deaggregator, const struct leat_kpl_record *user,
             struct leat_record *record, struct leat_hash_key *ret_hash)
{
    const struct leat_kpl *kpl = &deaggregator->kpl;

    if (user->partition_key_index >= kpl->partition_key_count)
        return false;
    record->partition_key = kpl->partition_keys[user->partition_key_index];
    if (!user->has_explicit_hash_key) {
        if (deaggregator->has_range)
            leat_hash_key_of(record->partition_key, ret_hash);
        return true;
    }
    if (user->explicit_hash_key_index >= kpl->explicit_hash_key_count)
        return false;
    record->explicit_hash_key = kpl->explicit_hash_keys[user->explicit_hash_key_index];
    return leat_hash_key_parse(record->explicit_hash_key, ret_hash);
}

static bool
next_kpl(struct leat_deaggregator *deaggregator, struct leat_user_record *record)
{
    struct leat_hash_key hash = {0};
    struct leat_kpl_record user;

    if (!leat_kpl_next(&deaggregator->kpl, &user))
        return false;
    fill(deaggregator, user.data, record);
    if (!resolve_keys(deaggregator, &user, &record->record, &hash))
        deaggregator->is_index_bad = true;
    if (deaggregator->is_index_bad) {
        record->status = LEAT_USER_RECORD_BAD_INDEX;
        deaggregator->counts.bad_index++;
    } else if (deaggregator->has_range && (leat_hash_key_compare(hash, deaggregator->start) < 0 ||
                                           leat_hash_key_compare(hash, deaggregator->end) > 0)) {
        record->status = LEAT_USER_RECORD_OUTSIDE_HASH_RANGE;
        deaggregator->counts.outside_hash_range++;
    }
    return true;
}

static bool
next_element(struct leat_deaggregator *deaggregator, struct leat_user_record *record)
{
    struct leat_json_array *array = &deaggregator->array;
    struct leat_slice element;

    switch (leat_json_array_next(array, &element)) {
    case LEAT_JSON_ARRAY_ELEMENT:
        fill(deaggregator, element, record);
        return true;
    case LEAT_JSON_ARRAY_BAD:
        fill(
            deaggregator,
            leat_slice_make(array->text.data + array->position, array->text.size - array->position),
            record);
        record->status = LEAT_USER_RECORD_BAD_ARRAY;
        deaggregator->counts.bad_array++;
        deaggregator->mode = IDLE;
        return true;
    case LEAT_JSON_ARRAY_END:
        deaggregator->mode = IDLE;
        break;
    }
    return false;
}

bool
leat_deaggregator_next(struct leat_deaggregator *deaggregator, struct leat_user_record *ret_record)
{
    switch (deaggregator->mode) {
    case KPL:
        return next_kpl(deaggregator, ret_record);
    case ARRAY:
        return next_element(deaggregator, ret_record);
    case PLAIN:
        fill(deaggregator, deaggregator->raw->data, ret_record);
        ret_record->status = deaggregator->plain_status;
        deaggregator->mode = IDLE;
        return true;
    case IDLE:
        break;
    }
    return false;
}

size_t
leat_deaggregator_held_bytes(const struct leat_deaggregator *deaggregator)
{
    return deaggregator->held_bytes;
}

struct leat_deaggregator_counts
leat_deaggregator_counts(const struct leat_deaggregator *deaggregator)
{
    return deaggregator->counts;
}
