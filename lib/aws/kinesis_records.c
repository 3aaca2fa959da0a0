/*
 * GetRecords answers in CBOR: one pass, no copy. The hot path: benchmarked. Byte strings and texts of definite length are
 * slices into the answer; pieces are joined in place by the reader; Data that came as base64 text (an emulator) is
 * decoded in place.
 */
#include <stdlib.h>

#include "aws/cbor.h"
#include "aws/kinesis_internal.h"
#include "base/encoding.h"
#include "base/memory.h"

struct leat_kinesis_record *
leat_kinesis_records_add(struct leat_kinesis_records *records)
{
    struct leat_kinesis_record *record;

    if (records->count >= LEAT_KINESIS_GET_RECORDS)
        return NULL;
    LEAT_GROW(records->records, records->count, records->capacity);
    record = &records->records[records->count++];
    *record = (struct leat_kinesis_record){
        .data = leat_slice_from(""),
        .partition_key = leat_slice_from(""),
        .sequence = leat_slice_from(""),
    };
    return record;
}

void
leat_kinesis_records_release(struct leat_kinesis_records *records)
{
    free(records->records);
    memset(records, 0, sizeof *records);
}

/* They are kept as texts that end with a zero, and ordered as numbers. */
static bool
is_sequence(struct leat_slice text)
{
    if (text.size == 0 || text.size > LEAT_KINESIS_SEQUENCE_BYTES)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return true;
}

/* As numbers without leading zeros: a checkpoint stands for all that is at or before it. */
static bool
is_before(struct leat_slice a, struct leat_slice b)
{
    return a.size != b.size ? a.size < b.size : memcmp(a.data, b.data, a.size) < 0;
}

static bool
is_text(struct leat_slice text, size_t maximum)
{
    return text.size <= maximum && memchr(text.data, 0, text.size) == NULL;
}

static bool
is_child(const struct leat_kinesis_child *child)
{
    for (size_t i = 0; i < child->parent_count; i++) {
        if (!is_text(child->parents[i], LEAT_KINESIS_SHARD_BYTES))
            return false;
    }
    return is_text(child->shard, LEAT_KINESIS_SHARD_BYTES) &&
           is_text(child->starting_hash_key, LEAT_KINESIS_HASH_KEY_BYTES) &&
           is_text(child->ending_hash_key, LEAT_KINESIS_HASH_KEY_BYTES);
}

/* What is kept longer than the answer has a size that the API knows; nothing of it is cut. */
static int
check(const struct leat_kinesis_records *records, struct leat_error *err)
{
    for (size_t i = 0; i < records->count; i++) {
        if (i > 0 && !is_before(records->records[i - 1].sequence, records->records[i].sequence))
            return leat_error_set(err, LEAT_E_FORMAT,
                                  "a GetRecords answer is out of order: record %zu of %zu has a "
                                  "SequenceNumber that is not greater than that of the one before",
                                  i + 1, records->count);
        if (!is_sequence(records->records[i].sequence))
            return leat_error_set(err, LEAT_E_FORMAT,
                                  "record %zu of a GetRecords answer has a SequenceNumber of %zu "
                                  "bytes that is no number of up to %d digits",
                                  i + 1, records->records[i].sequence.size,
                                  LEAT_KINESIS_SEQUENCE_BYTES);
    }
    if (!is_text(records->next_iterator, LEAT_KINESIS_ITERATOR_BYTES - 1))
        return leat_error_set(err, LEAT_E_FORMAT,
                              "a GetRecords answer has a NextShardIterator of %zu bytes that is no "
                              "text of up to %d",
                              records->next_iterator.size, LEAT_KINESIS_ITERATOR_BYTES - 1);
    for (size_t i = 0; i < records->child_count; i++) {
        if (!is_child(&records->children[i]))
            return leat_error_set(err, LEAT_E_FORMAT,
                                  "a GetRecords answer has a child shard whose id (%zu bytes), "
                                  "parents or hash keys are none that there can be",
                                  records->children[i].shard.size);
    }
    return 0;
}

int
leat_kinesis_records_parse(unsigned char *bytes, size_t size, enum leat_wire_encoding encoding,
                           struct leat_kinesis_records *records, struct leat_error *err)
{
    int result;

    records->count = records->child_count = 0;
    records->next_iterator = leat_slice_from("");
    records->is_end = records->has_text_data = false;
    records->behind_ms = -1;
    result = encoding == LEAT_WIRE_CBOR
                 ? leat_kinesis_records_parse_cbor(bytes, size, records, err)
                 : leat_kinesis_records_parse_json(bytes, size, records, err);
    if (result == 0)
        result = check(records, err);
    if (result != 0)
        records->count = records->child_count = 0;
    return result;
}

/*
 * The hot path: a string of definite length below 64 KiB, without a tag. false: something else is next, and nothing was
 * read: the general reader decides.
 */
static inline bool
take_short(struct leat_cbor *cbor, unsigned major, struct leat_slice *ret_string)
{
    const unsigned char *next = cbor->next;
    size_t left = (size_t)(cbor->end - next), size, head;

    if (left < 3 || *next >> 5 != major)
        return false;
    size = *next & 31;
    if (size < 24) {
        head = 1;
    } else if (size == 24) {
        size = next[1];
        head = 2;
    } else if (size == 25) {
        size = (size_t)next[1] << 8 | next[2];
        head = 3;
    } else {
        return false;
    }
    if (size > left - head)
        return false;
    ret_string->data = next + head;
    ret_string->size = size;
    cbor->next += head + size;
    return true;
}

#define MAJOR_BYTES 2
#define MAJOR_TEXT 3

static inline bool
read_key(struct leat_cbor *cbor, struct leat_slice *ret_key)
{
    return take_short(cbor, MAJOR_TEXT, ret_key) || leat_cbor_key(cbor, ret_key);
}

/* A text or null (false: anything else). */
static inline bool
read_text(struct leat_cbor *cbor, struct leat_slice *ret_text)
{
    struct leat_cbor_item item;

    if (take_short(cbor, MAJOR_TEXT, ret_text))
        return true;
    if (!leat_cbor_next(cbor, &item))
        return false;
    if (item.type == LEAT_CBOR_NULL)
        return true;
    if (item.type != LEAT_CBOR_TEXT)
        return false;
    *ret_text = item.string;
    return true;
}

static bool
read_data(struct leat_cbor *cbor, struct leat_slice *ret_data, bool *has_text_data)
{
    struct leat_cbor_item item;
    size_t size;

    if (take_short(cbor, MAJOR_BYTES, ret_data))
        return true;
    if (!leat_cbor_next(cbor, &item))
        return false;
    if (item.type == LEAT_CBOR_BYTES) {
        *ret_data = item.string;
        return true;
    }
    if (item.type != LEAT_CBOR_TEXT)
        return false;
    size = leat_base64_decode_to((unsigned char *)item.string.data, item.string);
    if (size == SIZE_MAX)
        return false;
    *ret_data = leat_slice_make(item.string.data, size);
    *has_text_data = true;
    return true;
}

static bool
read_record(struct leat_cbor *cbor, struct leat_kinesis_record *record, bool *has_text_data)
{
    struct leat_cbor_item map, item;
    uint64_t remaining;
    bool has_data = false;

    if (!leat_cbor_next(cbor, &map) || map.type != LEAT_CBOR_MAP)
        return false;
    remaining = map.count;
    while (leat_cbor_more(cbor, &remaining)) {
        struct leat_slice key;

        if (!read_key(cbor, &key))
            return false;
        /* The lengths tell most keys apart; the bytes decide. */
        if (key.size == 4 && memcmp(key.data, "Data", 4) == 0) {
            has_data = true;
            if (!read_data(cbor, &record->data, has_text_data))
                return false;
        } else if (key.size == 12 && memcmp(key.data, "PartitionKey", 12) == 0) {
            if (!read_text(cbor, &record->partition_key))
                return false;
        } else if (key.size == 14 && memcmp(key.data, "SequenceNumber", 14) == 0) {
            if (!read_text(cbor, &record->sequence))
                return false;
        } else if (key.size == 27 && memcmp(key.data, "ApproximateArrivalTimestamp", 27) == 0) {
            if (!leat_cbor_next(cbor, &item) ||
                (!leat_cbor_time(&item, &record->arrival_us) && item.type != LEAT_CBOR_NULL))
                return false;
        } else if (!leat_cbor_skip(cbor)) {
            return false;
        }
    }
    return !cbor->is_bad && has_data;
}

static bool
read_records(struct leat_cbor *cbor, struct leat_kinesis_records *records)
{
    struct leat_cbor_item array;
    uint64_t remaining;

    if (!leat_cbor_next(cbor, &array) || array.type != LEAT_CBOR_ARRAY)
        return array.type == LEAT_CBOR_NULL;
    remaining = array.count;
    while (leat_cbor_more(cbor, &remaining)) {
        struct leat_kinesis_record *record = leat_kinesis_records_add(records);

        if (record == NULL || !read_record(cbor, record, &records->has_text_data))
            return false;
    }
    return !cbor->is_bad;
}

static bool
read_parents(struct leat_cbor *cbor, struct leat_kinesis_child *child)
{
    struct leat_cbor_item array;
    uint64_t remaining;

    if (!leat_cbor_next(cbor, &array) || array.type != LEAT_CBOR_ARRAY)
        return array.type == LEAT_CBOR_NULL;
    remaining = array.count;
    while (leat_cbor_more(cbor, &remaining)) {
        struct leat_slice parent = leat_slice_from("");

        if (!read_text(cbor, &parent))
            return false;
        if (child->parent_count < LEAT_COUNT_OF(child->parents))
            child->parents[child->parent_count++] = parent;
    }
    return !cbor->is_bad;
}

static bool
read_hash_range(struct leat_cbor *cbor, struct leat_kinesis_child *child)
{
    struct leat_cbor_item map;
    uint64_t remaining;

    if (!leat_cbor_next(cbor, &map) || map.type != LEAT_CBOR_MAP)
        return map.type == LEAT_CBOR_NULL;
    remaining = map.count;
    while (leat_cbor_more(cbor, &remaining)) {
        struct leat_slice key;

        if (!leat_cbor_key(cbor, &key))
            return false;
        if (leat_slice_is(key, "StartingHashKey") ? !read_text(cbor, &child->starting_hash_key)
            : leat_slice_is(key, "EndingHashKey") ? !read_text(cbor, &child->ending_hash_key)
                                                  : !leat_cbor_skip(cbor))
            return false;
    }
    return !cbor->is_bad;
}

static bool
read_child(struct leat_cbor *cbor, struct leat_kinesis_child *child)
{
    struct leat_cbor_item map;
    uint64_t remaining;

    *child = (struct leat_kinesis_child){.shard = leat_slice_from(""),
                                         .starting_hash_key = leat_slice_from(""),
                                         .ending_hash_key = leat_slice_from("")};
    if (!leat_cbor_next(cbor, &map) || map.type != LEAT_CBOR_MAP)
        return false;
    remaining = map.count;
    while (leat_cbor_more(cbor, &remaining)) {
        struct leat_slice key;

        if (!leat_cbor_key(cbor, &key))
            return false;
        if (leat_slice_is(key, "ShardId")        ? !read_text(cbor, &child->shard)
            : leat_slice_is(key, "ParentShards") ? !read_parents(cbor, child)
            : leat_slice_is(key, "HashKeyRange") ? !read_hash_range(cbor, child)
                                                 : !leat_cbor_skip(cbor))
            return false;
    }
    return !cbor->is_bad && child->shard.size > 0;
}

static bool
read_children(struct leat_cbor *cbor, struct leat_kinesis_records *records)
{
    struct leat_cbor_item array;
    uint64_t remaining;

    if (!leat_cbor_next(cbor, &array) || array.type != LEAT_CBOR_ARRAY)
        return array.type == LEAT_CBOR_NULL;
    remaining = array.count;
    while (leat_cbor_more(cbor, &remaining)) {
        if (records->child_count == LEAT_KINESIS_CHILDREN ||
            !read_child(cbor, &records->children[records->child_count]))
            return false;
        records->child_count++;
    }
    return !cbor->is_bad;
}

static bool
read_answer(struct leat_cbor *cbor, struct leat_kinesis_records *records)
{
    struct leat_cbor_item map, item;
    uint64_t remaining;
    bool has_records = false;

    if (!leat_cbor_next(cbor, &map) || map.type != LEAT_CBOR_MAP)
        return false;
    remaining = map.count;
    while (leat_cbor_more(cbor, &remaining)) {
        struct leat_slice key;
        bool is_good;

        if (!leat_cbor_key(cbor, &key))
            return false;
        if (leat_slice_is(key, "Records")) {
            is_good = !has_records && read_records(cbor, records);
            has_records = true;
        } else if (leat_slice_is(key, "NextShardIterator")) {
            is_good = read_text(cbor, &records->next_iterator);
        } else if (leat_slice_is(key, "MillisBehindLatest")) {
            is_good = leat_cbor_next(cbor, &item);
            if (is_good && item.type == LEAT_CBOR_INTEGER && item.integer >= 0)
                records->behind_ms = item.integer;
            else
                is_good = is_good && leat_cbor_skip_rest(cbor, &item);
        } else if (leat_slice_is(key, "ChildShards")) {
            is_good = read_children(cbor, records);
        } else {
            is_good = leat_cbor_skip(cbor);
        }
        if (!is_good)
            return false;
    }
    return !cbor->is_bad && has_records && cbor->next == cbor->end;
}

int
leat_kinesis_records_parse_cbor(unsigned char *bytes, size_t size,
                                struct leat_kinesis_records *records, struct leat_error *err)
{
    struct leat_cbor cbor;

    leat_cbor_begin(&cbor, bytes, size);
    if (!read_answer(&cbor, records)) {
        records->count = records->child_count = 0;
        return leat_error_set(err, LEAT_E_FORMAT,
                              "a GetRecords answer of %zu bytes is no well-formed CBOR", size);
    }
    records->is_end = records->next_iterator.size == 0;
    return 0;
}
