/*
 * PutRecord and PutRecords. CBOR is walked without a tree (this is where a benchmark's records come in); JSON goes through
 * one, its base64 decoded into the call's arena. Hash keys are made before the lock is taken.
 */
#include <json-c/json.h>
#include <stdlib.h>

#include "aws/cbor.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/kinesis_inside.h"

#define MAXIMUM_RECORDS 500
#define MAXIMUM_TOTAL_BYTES ((size_t)10 << 20)
#define MAXIMUM_KEY_CHARACTERS 256

static int
unreadable(struct leat_local_call *call)
{
    return leat_local_refuse(&call->refusal, "SerializationException",
                             "The request could not be read.");
}

static const struct leat_local_put_record nothing = {
    .partition_key = {(const unsigned char *)"", 0},
    .data = {(const unsigned char *)"", 0},
    .explicit_hash_key = {(const unsigned char *)"", 0},
};

static struct leat_local_put_record *
add_record(struct leat_local_put *put)
{
    LEAT_GROW(put->records, put->count, put->capacity);
    put->records[put->count] = nothing;
    return &put->records[put->count++];
}

/* ---- CBOR ------------------------------------------------------------------------------------ */

/* One member of a record (or of PutRecord's request, which is both). */
static bool
take_member(struct leat_local_put *put, struct leat_local_put_record *record, struct leat_slice key,
            const struct leat_cbor_item *item)
{
    bool is_text = item->type == LEAT_CBOR_TEXT;

    if (item->type == LEAT_CBOR_NULL)
        return true;
    if (leat_slice_is(key, "Data")) {
        record->data = item->string;
        record->has_data = true;
        return item->type == LEAT_CBOR_BYTES;
    }
    if (leat_slice_is(key, "PartitionKey")) {
        record->partition_key = item->string;
        record->has_key = true;
        return is_text;
    }
    if (leat_slice_is(key, "ExplicitHashKey"))
        record->explicit_hash_key = item->string;
    else if (leat_slice_is(key, "StreamName"))
        put->stream = item->string;
    else if (leat_slice_is(key, "StreamARN"))
        put->arn = item->string;
    else
        return true;
    return is_text;
}

static bool
walk_record(struct leat_cbor *cbor, struct leat_local_put *put)
{
    struct leat_local_put_record *record = add_record(put);
    struct leat_cbor_item map, item;
    struct leat_slice key;

    if (!leat_cbor_next(cbor, &map) || map.type != LEAT_CBOR_MAP)
        return false;
    while (leat_cbor_more(cbor, &map.count)) {
        if (!leat_cbor_key(cbor, &key) || !leat_cbor_next(cbor, &item) ||
            !take_member(put, record, key, &item) || !leat_cbor_skip_rest(cbor, &item))
            return false;
    }
    return !cbor->is_bad;
}

static bool
walk_request(struct leat_cbor *cbor, struct leat_local_put *put)
{
    struct leat_local_put_record single = nothing;
    struct leat_cbor_item map, item;
    struct leat_slice key;

    if (!leat_cbor_next(cbor, &map) || map.type != LEAT_CBOR_MAP)
        return false;
    while (leat_cbor_more(cbor, &map.count)) {
        if (!leat_cbor_key(cbor, &key) || !leat_cbor_next(cbor, &item))
            return false;
        if (item.type == LEAT_CBOR_ARRAY && leat_slice_is(key, "Records")) {
            /* One more than are allowed is enough to say so. */
            while (leat_cbor_more(cbor, &item.count)) {
                if (put->count > MAXIMUM_RECORDS ? !leat_cbor_skip(cbor) : !walk_record(cbor, put))
                    return false;
            }
        } else if (!take_member(put, &single, key, &item) || !leat_cbor_skip_rest(cbor, &item)) {
            return false;
        }
    }
    if (single.has_data || single.has_key)
        *add_record(put) = single;
    return !cbor->is_bad;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static struct leat_slice
get_text(struct leat_local_call *call, struct json_object *object, const char *key)
{
    struct leat_slice text;

    return leat_json_get_text(object, key, &text) ? leat_arena_copy(&call->arena, text)
                                                  : leat_slice_from("");
}

static bool
read_json_record(struct leat_local_call *call, struct json_object *object)
{
    struct leat_local_put_record *record = add_record(&call->put);
    struct leat_slice text;
    unsigned char *bytes;
    size_t size;

    if (!json_object_is_type(object, json_type_object))
        return false;
    record->has_key = leat_json_get(object, "PartitionKey") != NULL;
    record->partition_key = get_text(call, object, "PartitionKey");
    record->explicit_hash_key = get_text(call, object, "ExplicitHashKey");
    record->has_data = leat_json_get_text(object, "Data", &text);
    if (!record->has_data)
        return true;
    bytes = leat_arena_alloc(&call->arena, text.size + 1);
    size = leat_base64_decode_to(bytes, text);
    record->data = leat_slice_make(bytes, size);
    return size != SIZE_MAX;
}

static bool
read_json(struct leat_local_call *call, struct json_object *root, bool is_single)
{
    struct json_object *records = leat_json_get(root, "Records");
    size_t count;

    if (!json_object_is_type(root, json_type_object))
        return false;
    call->put.stream = get_text(call, root, "StreamName");
    call->put.arn = get_text(call, root, "StreamARN");
    if (is_single)
        return read_json_record(call, root);
    if (records == NULL)
        return true;
    if (!json_object_is_type(records, json_type_array))
        return false;
    count = json_object_array_length(records);
    for (size_t i = 0; i < count && i <= MAXIMUM_RECORDS; i++) {
        if (!read_json_record(call, json_object_array_get_idx(records, i)))
            return false;
    }
    return true;
}

/* ---- judging --------------------------------------------------------------------------------- */

static size_t
count_characters(struct leat_slice text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++)
        count += (text.data[i] & 0xc0) != 0x80;
    return count;
}

static int
judge_record(struct leat_local_call *call, struct leat_local_put_record *record, size_t place,
             size_t record_bytes)
{
    size_t characters = count_characters(record->partition_key);

    if (!record->has_data || !record->has_key || characters == 0 ||
        characters > MAXIMUM_KEY_CHARACTERS || !leat_utf8_is_valid(record->partition_key))
        return leat_local_refuse(&call->refusal, "ValidationException",
                                 "1 validation error detected: Value at 'records.%zu.member' "
                                 "failed to satisfy constraint: Data and a PartitionKey of 1 to "
                                 "256 characters must be given",
                                 place + 1);
    if (record->data.size > record_bytes)
        return leat_local_refuse(&call->refusal, "ValidationException",
                                 "1 validation error detected: Value at 'records.%zu.member.data' "
                                 "failed to satisfy constraint: Member must have length less than "
                                 "or equal to %zu",
                                 place + 1, record_bytes);
    if (record->explicit_hash_key.size == 0)
        leat_hash_key_of(record->partition_key, &record->hash_key);
    else if (!leat_hash_key_parse(record->explicit_hash_key, &record->hash_key))
        return leat_local_refuse(&call->refusal, "InvalidArgumentException",
                                 "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: "
                                 "[0, 2^128-1].");
    return 0;
}

static int
judge(struct leat_local_call *call, size_t record_bytes)
{
    struct leat_local_put *put = &call->put;
    size_t bytes = 0;

    if (put->count == 0 || put->count > MAXIMUM_RECORDS)
        return leat_local_refuse(&call->refusal, "ValidationException",
                                 "1 validation error detected: Value at 'records' failed to "
                                 "satisfy constraint: Member must have length between 1 and %d",
                                 MAXIMUM_RECORDS);
    for (size_t i = 0; i < put->count; i++) {
        if (judge_record(call, &put->records[i], i, record_bytes) < 0)
            return LEAT_E_INVALID;
        bytes += put->records[i].data.size + put->records[i].partition_key.size;
    }
    if (bytes > MAXIMUM_TOTAL_BYTES)
        return leat_local_refuse(&call->refusal, "InvalidArgumentException",
                                 "Records size exceeds 10 MB limit");
    return 0;
}

int
leat_local_put_parse(struct leat_local_call *call, unsigned char *body, size_t size)
{
    bool is_single = call->action->run == leat_local_put_record, is_readable;
    struct json_object *root;
    struct leat_cbor cbor;
    size_t record_bytes;

    if (call->encoding == LEAT_WIRE_CBOR) {
        leat_cbor_begin(&cbor, body, size);
        is_readable = walk_request(&cbor, &call->put) && (!is_single || call->put.count <= 1);
    } else {
        is_readable = leat_json_parse(leat_slice_make(body, size), &root, NULL) == 0;
        if (is_readable) {
            is_readable = read_json(call, root, is_single);
            json_object_put(root);
        }
    }
    if (!is_readable)
        return unreadable(call);
    leat_mutex_lock(&call->server->lock);
    record_bytes = call->server->store.record_bytes;
    leat_mutex_unlock(&call->server->lock);
    return judge(call, record_bytes);
}

/* ---- putting --------------------------------------------------------------------------------- */

struct placed {
    char sequence[LEAT_LOCAL_SEQUENCE_BYTES];
    char shard_name[LEAT_LOCAL_SHARD_NAME_BYTES];
    const char *error_type; /* NULL: stored */
    char message[200];
};

static struct leat_local_stream *
writable_stream(struct leat_local_call *call) LEAT_REQUIRES(call->server->lock)
{
    struct leat_local_stream *stream = leat_local_call_stream(call);

    if (stream != NULL && stream->state == LEAT_LOCAL_CREATING) {
        leat_local_refuse(&call->refusal, "ResourceNotFoundException",
                          "Stream %s under account " LEAT_LOCAL_ACCOUNT " not found.",
                          stream->name);
        return NULL;
    }
    return stream;
}

/* Stores one; 0, or it was throttled, with call->refusal. */
static int
put_one(struct leat_local_call *call, struct leat_local_stream *stream,
        const struct leat_local_put_record *wanted, struct placed *ret_placed)
    LEAT_REQUIRES(call->server->lock)
{
    struct leat_local_kinesis *server = call->server;
    struct leat_local_record record = {wanted->partition_key, wanted->data, wanted->hash_key};
    struct leat_local_shard *shard = leat_local_stream_route(stream, record.hash_key);
    uint64_t number;

    if (leat_local_shard_admit(&server->store, shard, &record, call->now_us, &call->refusal) < 0)
        return LEAT_E_INVALID;
    number = leat_local_shard_append(&server->store, shard, &record, call->now_us);
    server->counts.records_in++;
    server->counts.bytes_in += record.data.size + record.partition_key.size;
    ret_placed->error_type = NULL;
    leat_local_sequence_format(shard, number, ret_placed->sequence);
    memcpy(ret_placed->shard_name, shard->name, sizeof ret_placed->shard_name);
    return 0;
}

static int
put_locked(struct leat_local_call *call, struct placed *placed, bool is_single)
    LEAT_REQUIRES(call->server->lock)
{
    struct leat_local_stream *stream = writable_stream(call);

    if (stream == NULL)
        return LEAT_E_INVALID;
    for (size_t i = 0; i < call->put.count; i++) {
        if (call->plan.share > 0 && i % call->plan.share == 0) {
            placed[i].error_type = call->plan.share_type;
            snprintf(placed[i].message, sizeof placed[i].message, "On demand.");
        } else if (put_one(call, stream, &call->put.records[i], &placed[i]) < 0) {
            if (is_single)
                return LEAT_E_INVALID;
            placed[i].error_type = call->refusal.type;
            snprintf(placed[i].message, sizeof placed[i].message, "%.199s", call->refusal.message);
        } else {
            continue;
        }
        call->server->counts.throttled++;
    }
    return 0;
}

int
leat_local_put_record(struct leat_local_call *call)
{
    struct placed placed;
    int result;

    call->plan.share = 0; /* PutRecords' alone */
    leat_mutex_lock(&call->server->lock);
    result = put_locked(call, &placed, true);
    leat_mutex_unlock(&call->server->lock);
    if (result < 0)
        return result;
    leat_wire_object(&call->wire, NULL, 2);
    leat_wire_text(&call->wire, "ShardId", leat_slice_from(placed.shard_name));
    leat_wire_text(&call->wire, "SequenceNumber", leat_slice_from(placed.sequence));
    leat_wire_object_end(&call->wire);
    return 0;
}

int
leat_local_put_records(struct leat_local_call *call)
{
    struct placed *placed =
        leat_arena_alloc_zero(&call->arena, call->put.count, sizeof(struct placed));
    struct leat_wire *wire = &call->wire;
    int64_t failed = 0;
    int result;

    leat_mutex_lock(&call->server->lock);
    result = put_locked(call, placed, false);
    leat_mutex_unlock(&call->server->lock);
    if (result < 0)
        return result;
    for (size_t i = 0; i < call->put.count; i++)
        failed += placed[i].error_type != NULL;
    leat_wire_object(wire, NULL, 2);
    leat_wire_integer(wire, "FailedRecordCount", failed);
    leat_wire_array(wire, "Records", call->put.count);
    for (size_t i = 0; i < call->put.count; i++) {
        bool has_failed = placed[i].error_type != NULL;

        leat_wire_object(wire, NULL, 2);
        leat_wire_text(wire, has_failed ? "ErrorCode" : "ShardId",
                       leat_slice_from(has_failed ? placed[i].error_type : placed[i].shard_name));
        leat_wire_text(wire, has_failed ? "ErrorMessage" : "SequenceNumber",
                       leat_slice_from(has_failed ? placed[i].message : placed[i].sequence));
        leat_wire_object_end(wire);
    }
    leat_wire_array_end(wire);
    leat_wire_object_end(wire);
    return 0;
}
