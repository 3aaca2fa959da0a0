/*
 * GetShardIterator and GetRecords. The lock is held while a read finds its runs of records; they are copied, or written as
 * JSON, after it was let go: into one buffer whose size is known beforehand.
 */
#include <json-c/json.h>

#include "aws/cbor.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/kinesis_inside.h"

static int
invalid(struct leat_local_call *call, const char *text)
{
    return leat_local_refuse(&call->refusal, "InvalidArgumentException", "%s", text);
}

static struct leat_slice
get_text(struct json_object *object, const char *key)
{
    struct leat_slice text;

    return leat_json_get_text(object, key, &text) ? text : leat_slice_from("");
}

/* ---- iterators ------------------------------------------------------------------------------- */

static int
number_of_sequence(struct leat_local_call *call, const struct leat_local_shard *shard,
                   bool is_after, uint64_t *ret_number)
{
    struct leat_slice sequence = get_text(call->root, "StartingSequenceNumber");
    uint64_t number;

    if (sequence.size == 0)
        return invalid(call, "Must specify StartingSequenceNumber for this ShardIteratorType.");
    if (!leat_local_sequence_parse(shard, sequence, &number) || number > shard->last + 1)
        return leat_local_refuse(
            &call->refusal, "InvalidArgumentException",
            "StartingSequenceNumber %.*s used in GetShardIterator on shard %s in stream %s under "
            "account " LEAT_LOCAL_ACCOUNT " is invalid because it did not come from this stream.",
            (int)(sequence.size < 130 ? sequence.size : 130), (const char *)sequence.data,
            shard->name, shard->stream->name);
    *ret_number = is_after ? number + 1 : number;
    return 0;
}

static int
number_of_time(struct leat_local_call *call, const struct leat_local_shard *shard,
               uint64_t *ret_number)
{
    int64_t at_us;

    if (!leat_wire_get_time(call->root, "Timestamp", &at_us))
        return invalid(call, "Must specify Timestamp for ShardIteratorType AT_TIMESTAMP.");
    /* The wire knows ms: what is this very ms is not ahead. */
    if (at_us > call->now_us + LEAT_MS_US)
        return invalid(call, "The timestampInMillis parameter cannot be greater than the "
                             "currentTimestampInMillis.");
    *ret_number = leat_local_shard_number_at(shard, at_us);
    return 0;
}

static int
find_number(struct leat_local_call *call, const struct leat_local_shard *shard,
            uint64_t *ret_number)
{
    struct leat_slice type = get_text(call->root, "ShardIteratorType");

    *ret_number = shard->first;
    if (leat_slice_is(type, "TRIM_HORIZON"))
        return 0;
    if (leat_slice_is(type, "LATEST")) {
        *ret_number = shard->last + 1;
        return 0;
    }
    if (leat_slice_is(type, "AT_TIMESTAMP"))
        return number_of_time(call, shard, ret_number);
    if (leat_slice_is(type, "AT_SEQUENCE_NUMBER"))
        return number_of_sequence(call, shard, false, ret_number);
    if (leat_slice_is(type, "AFTER_SEQUENCE_NUMBER"))
        return number_of_sequence(call, shard, true, ret_number);
    return leat_local_refuse(&call->refusal, "ValidationException",
                             "1 validation error detected: Value at 'shardIteratorType' failed to "
                             "satisfy constraint: Member must satisfy enum value set: "
                             "[AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, "
                             "TRIM_HORIZON]");
}

static void
format_iterator(const struct leat_local_call *call, uint64_t stream, uint32_t shard,
                uint64_t number, struct leat_buf *out)
{
    struct leat_local_token token = {
        .kind = LEAT_LOCAL_TOKEN_ITERATOR,
        .server = call->server->identity,
        .stream = stream,
        .shard = shard,
        .number = number,
        .issued_us = call->now_us,
    };

    leat_local_token_format(&token, out);
}

static int
iterator_locked(struct leat_local_call *call, struct leat_buf *out)
    LEAT_REQUIRES(call->server->lock)
{
    struct leat_local_stream *stream = leat_local_call_stream(call);
    struct leat_local_shard *shard;
    uint64_t number;

    if (stream == NULL)
        return LEAT_E_INVALID;
    shard = leat_local_stream_shard(stream, get_text(call->root, "ShardId"), &call->refusal);
    if (shard == NULL)
        return LEAT_E_INVALID;
    leat_local_shard_expire(&call->server->store, shard, call->now_us);
    if (find_number(call, shard, &number) < 0)
        return LEAT_E_INVALID;
    format_iterator(call, stream->id, shard->index, number, out);
    return 0;
}

int
leat_local_get_shard_iterator(struct leat_local_call *call)
{
    LEAT_AUTO_BUF iterator = LEAT_BUF_INIT;
    int result;

    leat_mutex_lock(&call->server->lock);
    result = iterator_locked(call, &iterator);
    leat_mutex_unlock(&call->server->lock);
    if (result < 0)
        return result;
    leat_wire_object(&call->wire, NULL, 1);
    leat_wire_text(&call->wire, "ShardIterator", leat_buf_slice(&iterator));
    leat_wire_object_end(&call->wire);
    return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* NULL: refused. */
static struct leat_local_shard *
find_shard(struct leat_local_call *call, const struct leat_local_token *token)
    LEAT_REQUIRES(call->server->lock)
{
    struct leat_local_kinesis *server = call->server;
    struct leat_local_stream *stream;

    if (call->now_us - token->issued_us > server->iterator_us) {
        leat_local_refuse(&call->refusal, "ExpiredIteratorException",
                          "Iterator expired. It is %lld milliseconds old; the tolerated delay is "
                          "%lld milliseconds.",
                          (long long)((call->now_us - token->issued_us) / 1000),
                          (long long)(server->iterator_us / 1000));
        return NULL;
    }
    stream = leat_local_store_by_id(&server->store, token->stream);
    if (stream == NULL || token->shard >= stream->shard_count ||
        stream->shards[token->shard]->is_gone) {
        leat_local_refuse(&call->refusal, "ResourceNotFoundException",
                          "Shard shardId-%012u under account " LEAT_LOCAL_ACCOUNT
                          " does not exist.",
                          token->shard);
        return NULL;
    }
    return stream->shards[token->shard];
}

static int
read_locked(struct leat_local_call *call, const struct leat_local_token *token, uint32_t limit,
            struct leat_local_read *ret_read) LEAT_REQUIRES(call->server->lock)
{
    struct leat_local_kinesis *server = call->server;
    struct leat_local_shard *shard = find_shard(call, token);

    if (shard == NULL)
        return LEAT_E_INVALID;
    leat_local_shard_expire(&server->store, shard, call->now_us);
    if (leat_local_shard_read(&server->store, shard, token->number, call->plan.is_empty ? 0 : limit,
                              call->now_us, ret_read, &call->refusal) < 0)
        return LEAT_E_INVALID;
    if (call->plan.is_empty) {
        ret_read->is_end = false;
        ret_read->child_count = 0;
        ret_read->behind_ms = ret_read->behind_ms > 0 ? ret_read->behind_ms : 1000;
    }
    if (call->plan.is_bare_end) {
        ret_read->is_end = true;
        ret_read->child_count = 0;
    } else if (call->plan.is_endless) {
        ret_read->is_end = false;
        ret_read->child_count = 0;
    }
    if (call->plan.is_repeat) {
        ret_read->next = token->number;
        ret_read->is_end = false;
        ret_read->child_count = 0;
    }
    server->counts.records_out += ret_read->count;
    server->counts.bytes_out += ret_read->payload_bytes;
    return 0;
}

static void
write_json_records(struct leat_local_call *call, const struct leat_local_read *read)
{
    struct leat_wire *wire = &call->wire;

    leat_buf_reserve(call->body, read->payload_bytes / 3 * 4 + read->count * (size_t)192 + 1024);
    leat_wire_array(wire, "Records", read->count);
    for (size_t i = 0; i < read->run_count; i++) {
        const struct leat_local_run *run = &read->runs[i];

        for (uint32_t j = 0; j < run->count; j++) {
            const struct leat_local_entry *entry =
                leat_local_chunk_entry(run->chunk, run->first + j);
            const unsigned char *map = run->chunk->bytes + entry->offset;

            leat_wire_object(wire, NULL, 4);
            /* map head, key "SequenceNumber" (15 bytes), text head (2) */
            leat_wire_text(wire, "SequenceNumber",
                           leat_slice_make(map + 18, LEAT_LOCAL_SEQUENCE_BYTES - 1));
            leat_wire_time(wire, "ApproximateArrivalTimestamp", entry->arrival_us);
            leat_wire_bytes(wire, "Data",
                            leat_slice_make(map + entry->data_offset, entry->data_size));
            leat_wire_text(wire, "PartitionKey",
                           leat_slice_make(map + entry->key_offset, entry->key_size));
            leat_wire_object_end(wire);
        }
    }
    leat_wire_array_end(wire);
}

static void
write_cbor_records(struct leat_local_call *call, const struct leat_local_read *read)
{
    struct leat_buf *body = call->body;

    leat_buf_reserve(body, read->cbor_bytes + 4096);
    leat_cbor_put_key(body, "Records");
    if (call->plan.is_indefinite)
        leat_cbor_put_array_open(body);
    else
        leat_cbor_put_array(body, read->count);
    for (size_t i = 0; i < read->run_count; i++) {
        const struct leat_local_run *run = &read->runs[i];
        const struct leat_local_entry *first = leat_local_chunk_entry(run->chunk, run->first);
        const struct leat_local_entry *last =
            leat_local_chunk_entry(run->chunk, run->first + run->count - 1);

        leat_buf_add(body, run->chunk->bytes + first->offset,
                     last->offset + last->data_offset + last->data_size - first->offset);
    }
    if (call->plan.is_indefinite)
        leat_cbor_put_break(body);
}

static void
write_children(struct leat_wire *wire, const struct leat_local_read *read)
{
    leat_wire_array(wire, "ChildShards", read->child_count);
    for (uint32_t i = 0; i < read->child_count; i++) {
        const struct leat_local_child *child = &read->children[i];

        leat_wire_object(wire, NULL, 3);
        leat_wire_text(wire, "ShardId", leat_slice_from(child->name));
        leat_wire_array(wire, "ParentShards", child->parent_count);
        for (uint32_t j = 0; j < child->parent_count; j++)
            leat_wire_text(wire, NULL, leat_slice_from(child->parents[j]));
        leat_wire_array_end(wire);
        leat_local_write_hash_range(wire, child->start, child->end);
        leat_wire_object_end(wire);
    }
    leat_wire_array_end(wire);
}

static void
write_answer(struct leat_local_call *call, const struct leat_local_token *token,
             const struct leat_local_read *read)
{
    LEAT_AUTO_BUF iterator = LEAT_BUF_INIT;
    struct leat_wire *wire = &call->wire;
    bool is_cbor = wire->encoding == LEAT_WIRE_CBOR, has_children = read->child_count > 0;
    bool is_null = call->plan.is_null;

    if (is_cbor && call->plan.is_indefinite)
        leat_cbor_put_map_open(call->body);
    else
        leat_wire_object(wire, NULL,
                         2 + (size_t)(!read->is_end || is_null) + (has_children || is_null));
    if (is_cbor)
        write_cbor_records(call, read);
    else
        write_json_records(call, read);
    format_iterator(call, token->stream, token->shard, read->next, &iterator);
    if (!read->is_end)
        leat_wire_text(wire, "NextShardIterator", leat_buf_slice(&iterator));
    else if (is_null)
        leat_local_write_null(wire, "NextShardIterator");
    leat_wire_integer(wire, "MillisBehindLatest", read->behind_ms);
    if (has_children)
        write_children(wire, read);
    else if (is_null)
        leat_local_write_null(wire, "ChildShards");
    if (is_cbor && call->plan.is_indefinite)
        leat_cbor_put_break(call->body);
    else
        leat_wire_object_end(wire);
}

int
leat_local_get_records(struct leat_local_call *call)
{
    struct leat_local_kinesis *server = call->server;
    struct leat_local_token token;
    struct leat_local_read read = {0};
    int64_t limit = LEAT_LOCAL_READ_RECORDS;
    int result;

    if (!leat_local_token_parse(get_text(call->root, "ShardIterator"), LEAT_LOCAL_TOKEN_ITERATOR,
                                server->identity, &token))
        return invalid(call, "Invalid ShardIterator.");
    leat_json_get_integer(call->root, "Limit", &limit);
    if (limit < 1 || limit > LEAT_LOCAL_READ_RECORDS)
        return leat_local_refuse(&call->refusal, "ValidationException",
                                 "Limit must be between 1 and %u.", LEAT_LOCAL_READ_RECORDS);
    leat_mutex_lock(&call->server->lock);
    result = read_locked(call, &token, (uint32_t)limit, &read);
    leat_mutex_unlock(&call->server->lock);
    if (result == 0)
        write_answer(call, &token, &read);
    leat_local_read_release(&read);
    return result;
}
