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
#define FIRST_STEP ((size_t)4 << 10)

enum mode { IDLE, PLAIN, KPL, ARRAY };

struct expanded {
    struct expanded *next;
    struct leat_buf text;
    size_t charged_bytes;
    bool is_open; /* not all of it has been handed out */
    size_t elements;
    /* Of the record it came from: two records of one sequence number are one record. */
    char sequence[LEAT_SEQUENCE_BYTES + 1];
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
    size_t kpl_charged_bytes;
    struct leat_json_array array;
    struct expanded *expanded;  /* until reset; the first is the one that is being taken apart */
    struct leat_memory *memory; /* NULL: nothing is charged */
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
    if (deaggregator->limits.elements == 0)
        deaggregator->limits.elements = LEAT_EXPAND_ELEMENTS;
    deaggregator->has_range = range_start != NULL && range_end != NULL;
    if (deaggregator->has_range) {
        deaggregator->start = *range_start;
        deaggregator->end = *range_end;
    }
    return deaggregator;
}

void
leat_deaggregator_charge_to(struct leat_deaggregator *deaggregator, struct leat_memory *memory)
{
    size_t limit = leat_memory_expansion_limit(memory);

    deaggregator->memory = memory;
    if (deaggregator->limits.limit_bytes > limit)
        deaggregator->limits.limit_bytes = limit;
}

/* ---- room ------------------------------------------------------------------------------------ */

static bool
take_room(struct leat_deaggregator *deaggregator, size_t bytes, size_t *charged_bytes)
{
    if (deaggregator->memory != NULL && !leat_memory_expand(deaggregator->memory, bytes))
        return false;
    *charged_bytes = bytes;
    return true;
}

/* All that is charged, but for so much. */
static void
give_room_back(struct leat_deaggregator *deaggregator, size_t kept_bytes, size_t *charged_bytes)
{
    if (kept_bytes >= *charged_bytes)
        return;
    if (deaggregator->memory != NULL)
        leat_memory_expanded_gone(deaggregator->memory, *charged_bytes - kept_bytes);
    *charged_bytes = kept_bytes;
}

static void
expanded_free(struct leat_deaggregator *deaggregator, struct expanded *expanded)
{
    leat_buf_release(&expanded->text);
    give_room_back(deaggregator, 0, &expanded->charged_bytes);
    free(expanded);
}

static void
forget(struct leat_deaggregator *deaggregator, struct expanded *kept)
{
    struct expanded *next = deaggregator->expanded;

    while (next != NULL) {
        struct expanded *expanded = next;

        next = expanded->next;
        if (expanded != kept)
            expanded_free(deaggregator, expanded);
    }
    deaggregator->expanded = kept;
    if (kept != NULL)
        kept->next = NULL;
    leat_kpl_release(&deaggregator->kpl);
    give_room_back(deaggregator, 0, &deaggregator->kpl_charged_bytes);
    deaggregator->mode = IDLE;
}

void
leat_deaggregator_reset(struct leat_deaggregator *deaggregator)
{
    forget(deaggregator, NULL);
}

void
leat_deaggregator_reset_but_open(struct leat_deaggregator *deaggregator)
{
    struct expanded *first = deaggregator->expanded;

    forget(deaggregator, first != NULL && first->is_open ? first : NULL);
}

bool
leat_deaggregator_is_open(const struct leat_deaggregator *deaggregator)
{
    return deaggregator->expanded != NULL && deaggregator->expanded->is_open;
}

void
leat_deaggregator_free(struct leat_deaggregator *deaggregator)
{
    if (deaggregator == NULL)
        return;
    leat_deaggregator_reset(deaggregator);
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

enum inflated { INFLATED, NOT_GZIP, NOT_ARRAY, BOMB };

/* Behind a member: zero bytes are padding (of tapes and block devices; gzip and Python take them so), then another member
   may follow. */
static void
skip_padding(z_stream *stream)
{
    while (stream->avail_in > 0 && *stream->next_in == 0) {
        stream->next_in++;
        stream->avail_in--;
    }
}

/*
 * Step by step: never more memory than the limit. Several members, one after the other, are one text (RFC 1952). What is no
 * array is no bomb either: it would not have been expanded, so the first letter of the text decides before the rest is there.
 */
static enum inflated
inflate_steps(z_stream *stream, size_t limit, struct leat_buf *text)
{
    size_t step = FIRST_STEP;

    for (;;) {
        size_t room = step < limit - text->size ? step : limit - text->size;
        int status;

        if (room == 0)
            return BOMB;
        leat_buf_reserve(text, room);
        stream->next_out = text->data + text->size;
        stream->avail_out = (unsigned)room;
        status = inflate(stream, Z_NO_FLUSH);
        text->size = (size_t)(stream->next_out - text->data);
        if (status != Z_OK && status != Z_STREAM_END)
            return NOT_GZIP;
        if (!leat_json_array_may_begin(leat_buf_slice(text)))
            return NOT_ARRAY;
        if (status == Z_STREAM_END) {
            skip_padding(stream);
            if (stream->avail_in == 0)
                return INFLATED;
            if (inflateReset(stream) != Z_OK)
                return NOT_GZIP;
        }
        step = INFLATE_STEP;
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

/* The text of this very record, when it was kept. */
static struct expanded *
find_kept(struct leat_deaggregator *deaggregator)
{
    struct expanded *first = deaggregator->expanded;

    return first != NULL && first->is_open &&
                   leat_slice_is(deaggregator->raw->sequence, first->sequence)
               ? first
               : NULL;
}

static void
keep_sequence(struct expanded *expanded, struct leat_slice sequence)
{
    if (sequence.size > LEAT_SEQUENCE_BYTES)
        return;
    memcpy(expanded->sequence, sequence.data, sequence.size);
    expanded->sequence[sequence.size] = '\0';
}

/* Up to one more than there may be. What does not parse counts as one, and ends it. */
static size_t
count_elements(const struct leat_deaggregator *deaggregator, struct leat_slice text)
{
    enum leat_json_array_outcome outcome = LEAT_JSON_ARRAY_ELEMENT;
    struct leat_json_array array;
    struct leat_slice element;
    size_t count = 0;

    leat_json_array_open(&array, text);
    while (outcome == LEAT_JSON_ARRAY_ELEMENT && count <= deaggregator->limits.elements) {
        outcome = leat_json_array_next(&array, &element);
        count += outcome != LEAT_JSON_ARRAY_END;
    }
    return count;
}

static void
divert_whole(struct leat_deaggregator *deaggregator, enum leat_user_record_status status)
{
    deaggregator->plain_status = status;
    deaggregator->counts.too_large++;
}

static bool
open_array(struct leat_deaggregator *deaggregator, struct expanded *expanded)
{
    struct leat_slice text = leat_buf_slice(&expanded->text);

    if (!leat_json_array_open(&deaggregator->array, text))
        return false;
    if (!expanded->is_open)
        expanded->elements = count_elements(deaggregator, text);
    if (expanded->elements > deaggregator->limits.elements) {
        divert_whole(deaggregator, LEAT_USER_RECORD_TOO_MANY);
        return false;
    }
    expanded->is_open = true;
    deaggregator->mode = ARRAY;
    deaggregator->counts.aggregates++;
    return true;
}

static bool
begin_gzip(struct leat_deaggregator *deaggregator)
{
    struct leat_slice data = deaggregator->raw->data;
    size_t limit = limit_for(deaggregator, data.size), charged_bytes = 0;
    struct expanded *expanded = find_kept(deaggregator);
    enum inflated outcome;

    if (expanded != NULL)
        return open_array(deaggregator, expanded);
    if (!take_room(deaggregator, limit, &charged_bytes))
        return false;
    expanded = LEAT_NEW(struct expanded);
    leat_buf_init(&expanded->text, limit);
    expanded->charged_bytes = charged_bytes;
    outcome = inflate_all(data, limit, &expanded->text);
    if (outcome == INFLATED && open_array(deaggregator, expanded)) {
        give_room_back(deaggregator, expanded->text.size, &expanded->charged_bytes);
        keep_sequence(expanded, deaggregator->raw->sequence);
        expanded->next = deaggregator->expanded;
        deaggregator->expanded = expanded;
        return true;
    }
    if (outcome == BOMB)
        divert_whole(deaggregator, LEAT_USER_RECORD_TOO_LARGE);
    expanded_free(deaggregator, expanded);
    return true;
}

/* Keys from the tables; false: an index or a hash key that is none. */
static bool
resolve_keys(struct leat_deaggregator *deaggregator, const struct leat_kpl_record *user,
             struct leat_record *record, struct leat_hash_key *ret_hash)
{
    const struct leat_kpl *kpl = &deaggregator->kpl;

    if (!leat_kpl_key(kpl, &kpl->partition_keys, user->partition_key_index, &record->partition_key))
        return false;
    if (!user->has_explicit_hash_key) {
        if (deaggregator->has_range)
            leat_hash_key_of(record->partition_key, ret_hash);
        return true;
    }
    if (!leat_kpl_key(kpl, &kpl->explicit_hash_keys, user->explicit_hash_key_index,
                      &record->explicit_hash_key))
        return false;
    return leat_hash_key_parse(record->explicit_hash_key, ret_hash);
}

static bool
is_outside(const struct leat_deaggregator *deaggregator, struct leat_hash_key hash)
{
    return deaggregator->has_range && (leat_hash_key_compare(hash, deaggregator->start) < 0 ||
                                       leat_hash_key_compare(hash, deaggregator->end) > 0);
}

/* One user record outside, and all of the aggregate is another's: whoever put it puts it again. Up to the first bad index, as
   they are handed out. */
static bool
drops(struct leat_deaggregator *deaggregator)
{
    struct leat_kpl kpl = deaggregator->kpl; /* its place; the tables are shared */
    struct leat_kpl_record user;
    uint64_t outside = 0;

    while (leat_kpl_next(&kpl, &user)) {
        struct leat_hash_key hash = {0};
        struct leat_record record;

        if (!resolve_keys(deaggregator, &user, &record, &hash))
            break;
        outside += is_outside(deaggregator, hash);
    }
    deaggregator->counts.outside_hash_range += outside;
    deaggregator->counts.dropped_aggregates += outside > 0;
    return outside > 0;
}

static bool
begin_kpl(struct leat_deaggregator *deaggregator)
{
    struct leat_kpl *kpl = &deaggregator->kpl;
    enum leat_kpl_outcome outcome = leat_kpl_open(kpl, deaggregator->raw->data);
    size_t bytes, more_bytes = 0;

    if (outcome == LEAT_KPL_BAD_MD5)
        deaggregator->counts.bad_md5++;
    if (outcome != LEAT_KPL_AGGREGATE)
        return true;
    bytes = leat_kpl_table_bytes(kpl);
    if (bytes > deaggregator->limits.limit_bytes ||
        kpl->record_count > deaggregator->limits.elements) {
        divert_whole(deaggregator, bytes > deaggregator->limits.limit_bytes
                                       ? LEAT_USER_RECORD_TOO_LARGE
                                       : LEAT_USER_RECORD_TOO_MANY);
        return true;
    }
    if (bytes > deaggregator->kpl_charged_bytes &&
        !take_room(deaggregator, bytes - deaggregator->kpl_charged_bytes, &more_bytes))
        return false;
    deaggregator->kpl_charged_bytes += more_bytes;
    leat_kpl_fill_tables(kpl);
    deaggregator->mode = KPL;
    deaggregator->counts.aggregates++;
    if (deaggregator->limits.outside == LEAT_OUTSIDE_DROP_AGGREGATE && drops(deaggregator))
        deaggregator->mode = IDLE;
    return true;
}

bool
leat_deaggregator_begin(struct leat_deaggregator *deaggregator, const struct leat_raw_record *raw)
{
    bool has_room = true;

    deaggregator->raw = raw;
    deaggregator->mode = PLAIN;
    deaggregator->plain_status = LEAT_USER_RECORD_GOOD;
    deaggregator->sub_sequence = 0;
    deaggregator->is_index_bad = false;
    if (raw->data.size > 2 && raw->data.data[0] == 0x1F && raw->data.data[1] == 0x8B)
        has_room = begin_gzip(deaggregator);
    else if (raw->data.size > 4 && raw->data.data[0] == 0xF3)
        has_room = begin_kpl(deaggregator);
    if (!has_room)
        deaggregator->mode = IDLE;
    return has_room;
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
    } else if (is_outside(deaggregator, hash)) {
        if (deaggregator->limits.outside == LEAT_OUTSIDE_KEEP_IN_RANGE)
            record->status = LEAT_USER_RECORD_OUTSIDE_HASH_RANGE;
        record->is_outside = true;
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
        deaggregator->expanded->is_open = false;
        deaggregator->mode = IDLE;
        return true;
    case LEAT_JSON_ARRAY_END:
        deaggregator->expanded->is_open = false;
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
leat_deaggregator_elements(const struct leat_deaggregator *deaggregator)
{
    if (deaggregator->mode == KPL)
        return deaggregator->kpl.record_count;
    if (deaggregator->mode == ARRAY)
        return deaggregator->expanded->elements;
    return deaggregator->mode == PLAIN;
}

void
leat_deaggregator_skip(struct leat_deaggregator *deaggregator)
{
    if (deaggregator->mode == ARRAY)
        deaggregator->expanded->is_open = false;
    deaggregator->mode = IDLE;
}

size_t
leat_deaggregator_held_bytes(const struct leat_deaggregator *deaggregator)
{
    size_t bytes = leat_kpl_table_bytes(&deaggregator->kpl);

    for (const struct expanded *expanded = deaggregator->expanded; expanded != NULL;
         expanded = expanded->next)
        bytes += expanded->text.size;
    return bytes;
}

struct leat_deaggregator_counts
leat_deaggregator_counts(const struct leat_deaggregator *deaggregator)
{
    return deaggregator->counts;
}
