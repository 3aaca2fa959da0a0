/*
 * The actions on streams and shards: small requests, parsed into a tree, and answers that are written under the lock (memory
 * alone). Members are counted before they are written: CBOR wants it so.
 */
#include <json-c/json.h>
#include <stdlib.h>

#include "aws/cbor.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/kinesis_inside.h"

#define MAXIMUM_PAGE_SHARDS 10000u
#define DESCRIBED_SHARDS 100u

enum filter {
    FILTER_NONE = 0,
    FILTER_AFTER_SHARD_ID,
    FILTER_AT_TRIM_HORIZON,
    FILTER_FROM_TRIM_HORIZON,
    FILTER_AT_LATEST,
    FILTER_AT_TIMESTAMP,
    FILTER_FROM_TIMESTAMP,
    FILTERS
};

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

static struct leat_slice
name_of_arn(struct leat_slice arn)
{
    const unsigned char *found = memmem(arn.data, arn.size, ":stream/", 8);

    if (found == NULL)
        return leat_slice_from("");
    return leat_slice_make(found + 8, arn.size - (size_t)(found + 8 - arn.data));
}

struct leat_slice
leat_local_call_stream_name(const struct leat_local_call *call)
{
    struct leat_slice name = call->put.stream, arn = call->put.arn;

    if (call->root != NULL) {
        name = get_text(call->root, "StreamName");
        arn = get_text(call->root, "StreamARN");
    }
    return name.size > 0 ? name : name_of_arn(arn);
}

struct leat_local_stream *
leat_local_call_stream(struct leat_local_call *call)
{
    struct leat_slice name = leat_local_call_stream_name(call);

    if (name.size == 0) {
        leat_local_refuse(&call->refusal, "ValidationException",
                          "Either StreamName or StreamARN must be given.");
        return NULL;
    }
    return leat_local_store_find(&call->server->store, name, &call->refusal);
}

void
leat_local_write_null(struct leat_wire *wire, const char *key)
{
    if (wire->encoding == LEAT_WIRE_JSON) {
        leat_json_null(&wire->json, key);
        return;
    }
    leat_cbor_put_key(wire->buf, key);
    leat_cbor_put_null(wire->buf);
}

static void
write_absent(struct leat_local_call *call, const char *key)
{
    if (call->plan.is_null)
        leat_local_write_null(&call->wire, key);
}

/* A member that may be absent: how many it makes. */
static size_t
members(const struct leat_local_call *call, bool is_there)
{
    return is_there || call->plan.is_null ? 1 : 0;
}

static void
write_hash_key(struct leat_wire *wire, const char *key, struct leat_hash_key hash_key)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_hash_key_format(hash_key, &text);
    leat_wire_text(wire, key, leat_buf_slice(&text));
}

void
leat_local_write_hash_range(struct leat_wire *wire, struct leat_hash_key start,
                            struct leat_hash_key end)
{
    leat_wire_object(wire, "HashKeyRange", 2);
    write_hash_key(wire, "StartingHashKey", start);
    write_hash_key(wire, "EndingHashKey", end);
    leat_wire_object_end(wire);
}

/* ---- streams --------------------------------------------------------------------------------- */

static int
create_stream(struct leat_local_call *call)
{
    struct leat_local_kinesis *server = call->server;
    int64_t shards = 4; /* an on-demand stream's */
    int result;

    leat_json_get_integer(call->root, "ShardCount", &shards);
    if (shards < 0 || shards > UINT32_MAX)
        shards = 0;
    leat_mutex_lock(&call->server->lock);
    result = leat_local_store_create(&server->store, get_text(call->root, "StreamName"),
                                     (uint32_t)shards, call->now_us, server->store.change_us,
                                     &call->refusal);
    leat_mutex_unlock(&call->server->lock);
    return result;
}

static int
delete_stream(struct leat_local_call *call)
{
    struct leat_local_kinesis *server = call->server;
    int result;

    leat_mutex_lock(&call->server->lock);
    result = leat_local_store_delete(&server->store, leat_local_call_stream_name(call),
                                     call->now_us, &call->refusal);
    leat_mutex_unlock(&call->server->lock);
    return result;
}

/* Five members: what a listing tells, too. */
static void
write_stream_summary(struct leat_local_call *call, const struct leat_local_stream *stream)
    LEAT_REQUIRES(call->server->lock)
{
    LEAT_AUTO_BUF arn = LEAT_BUF_INIT;
    struct leat_wire *wire = &call->wire;

    leat_buf_printf(&arn, "arn:aws:kinesis:%s:" LEAT_LOCAL_ACCOUNT ":stream/%s",
                    call->server->region, stream->name);
    leat_wire_text(wire, "StreamName", leat_slice_from(stream->name));
    leat_wire_text(wire, "StreamARN", leat_buf_slice(&arn));
    leat_wire_text(wire, "StreamStatus", leat_slice_from(leat_local_state_text(stream->state)));
    leat_wire_time(wire, "StreamCreationTimestamp", stream->created_us);
    leat_wire_object(wire, "StreamModeDetails", 1);
    leat_wire_text(wire, "StreamMode", leat_slice_from("PROVISIONED"));
    leat_wire_object_end(wire);
}

static void
write_stream_facts(struct leat_local_call *call, const struct leat_local_stream *stream)
    LEAT_REQUIRES(call->server->lock)
{
    struct leat_wire *wire = &call->wire;

    write_stream_summary(call, stream);
    leat_wire_integer(wire, "RetentionPeriodHours",
                      call->server->store.retention_us / INT64_C(3600000000));
    leat_wire_text(wire, "EncryptionType", leat_slice_from("NONE"));
    leat_wire_array(wire, "EnhancedMonitoring", 1);
    leat_wire_object(wire, NULL, 1);
    leat_wire_array(wire, "ShardLevelMetrics", 0);
    leat_wire_array_end(wire);
    leat_wire_object_end(wire);
    leat_wire_array_end(wire);
}

static int
describe_stream_summary(struct leat_local_call *call)
{
    const struct leat_local_stream *stream;

    leat_mutex_lock(&call->server->lock);
    stream = leat_local_call_stream(call);
    if (stream != NULL) {
        leat_wire_object(&call->wire, NULL, 1);
        leat_wire_object(&call->wire, "StreamDescriptionSummary", 10);
        write_stream_facts(call, stream);
        leat_wire_integer(&call->wire, "OpenShardCount", (int64_t)stream->open_count);
        leat_wire_integer(&call->wire, "ConsumerCount", 0);
        leat_wire_object_end(&call->wire);
        leat_wire_object_end(&call->wire);
    }
    leat_mutex_unlock(&call->server->lock);
    return stream != NULL ? 0 : LEAT_E_INVALID;
}

static int
order_by_name(const void *a, const void *b)
{
    return strcmp((*(struct leat_local_stream *const *)a)->name,
                  (*(struct leat_local_stream *const *)b)->name);
}

static int
list_streams(struct leat_local_call *call)
{
    struct leat_local_kinesis *server = call->server;
    struct leat_slice after = get_text(call->root, "ExclusiveStartStreamName");
    struct leat_local_stream **streams;
    size_t begin = 0, count, end;
    int64_t limit = 100;

    if (after.size == 0)
        after = get_text(call->root, "NextToken"); /* a page's is its last name */
    leat_json_get_integer(call->root, "Limit", &limit);
    if (limit < 1 || limit > 10000)
        return leat_local_refuse(&call->refusal, "ValidationException",
                                 "Limit must be between 1 and 10000.");
    leat_mutex_lock(&call->server->lock);
    count = server->store.stream_count;
    streams = server->store.streams;
    leat_sort(streams, count, sizeof(struct leat_local_stream *), order_by_name);
    while (begin < count && after.size > 0 &&
           leat_slice_compare(leat_slice_from(streams[begin]->name), after) <= 0)
        begin++;
    end = count - begin > (size_t)limit ? begin + (size_t)limit : count;
    leat_wire_object(&call->wire, NULL, 3 + members(call, end < count));
    leat_wire_array(&call->wire, "StreamNames", end - begin);
    for (size_t i = begin; i < end; i++)
        leat_wire_text(&call->wire, NULL, leat_slice_from(streams[i]->name));
    leat_wire_array_end(&call->wire);
    leat_wire_array(&call->wire, "StreamSummaries", end - begin);
    for (size_t i = begin; i < end; i++) {
        leat_wire_object(&call->wire, NULL, 5);
        write_stream_summary(call, streams[i]);
        leat_wire_object_end(&call->wire);
    }
    leat_wire_array_end(&call->wire);
    leat_wire_bool(&call->wire, "HasMoreStreams", end < count);
    if (end < count)
        leat_wire_text(&call->wire, "NextToken", leat_slice_from(streams[end - 1]->name));
    else
        write_absent(call, "NextToken");
    leat_wire_object_end(&call->wire);
    leat_mutex_unlock(&call->server->lock);
    return 0;
}

/* ---- shards ---------------------------------------------------------------------------------- */

static void
write_sequence(struct leat_wire *wire, const char *key, const struct leat_local_shard *shard,
               uint64_t number)
{
    char sequence[LEAT_LOCAL_SEQUENCE_BYTES];

    leat_local_sequence_format(shard, number, sequence);
    leat_wire_text(wire, key, leat_slice_from(sequence));
}

/* As no service should tell it: see kinesis.h. */
static void
write_odd_shard(struct leat_local_call *call, const struct leat_local_shard *shard)
{
    static const unsigned parents[] = {1, 0, 2};
    struct leat_wire *wire = &call->wire;
    bool has_parent = shard->index < LEAT_COUNT_OF(parents);
    char name[300];
    size_t size = sizeof name;

    memset(name, 'x', sizeof name);
    if (shard->index != 4) {
        size = strlen(shard->name);
        memcpy(name, shard->name, size);
    }
    if (shard->index == 3)
        name[7] = '\0';
    leat_wire_object(wire, NULL, 3 + has_parent);
    leat_wire_text(wire, "ShardId", leat_slice_make(name, size));
    if (has_parent)
        leat_wire_text(wire, "ParentShardId",
                       leat_slice_from(shard->stream->shards[parents[shard->index]]->name));
    leat_local_write_hash_range(wire, shard->start, shard->end);
    leat_wire_object(wire, "SequenceNumberRange", 1);
    write_sequence(wire, "StartingSequenceNumber", shard, 0);
    leat_wire_object_end(wire);
    leat_wire_object_end(wire);
}

static void
write_shard(struct leat_local_call *call, const struct leat_local_shard *shard)
{
    static const char *const parent_keys[] = {"ParentShardId", "AdjacentParentShardId"};
    struct leat_wire *wire = &call->wire;
    bool is_closed = (shard->closed_us != 0 || call->plan.are_shards_closed) &&
                     !call->plan.are_shards_open;
    bool has_parent[2] = {false, false};

    if (call->plan.has_odd_shards && shard->index < 5 && shard->stream->shard_count >= 5) {
        write_odd_shard(call, shard);
        return;
    }
    for (uint32_t i = 0; i < shard->parent_count; i++)
        has_parent[i] = !shard->stream->shards[shard->parents[i]]->is_gone || i == 0;
    leat_wire_object(wire, NULL, 3 + members(call, has_parent[0]) + members(call, has_parent[1]));
    leat_wire_text(wire, "ShardId", leat_slice_from(shard->name));
    for (unsigned i = 0; i < 2; i++) {
        if (has_parent[i])
            leat_wire_text(wire, parent_keys[i],
                           leat_slice_from(shard->stream->shards[shard->parents[i]]->name));
        else
            write_absent(call, parent_keys[i]);
    }
    leat_local_write_hash_range(wire, shard->start, shard->end);
    leat_wire_object(wire, "SequenceNumberRange", 1 + members(call, is_closed));
    write_sequence(wire, "StartingSequenceNumber", shard, 0);
    if (is_closed)
        write_sequence(wire, "EndingSequenceNumber", shard, shard->last + 1);
    else
        write_absent(call, "EndingSequenceNumber");
    leat_wire_object_end(wire);
    leat_wire_object_end(wire);
}

/* What a page shows: from `token.shard` on, by `token.filter`. */
struct page {
    struct leat_local_token token;
    struct leat_local_stream *stream;
    bool has_more;
};

static bool
is_wanted(const struct leat_local_shard *shard, const struct leat_local_token *token)
{
    int64_t at_us = token->filter_us;

    if (shard->is_gone)
        return false;
    switch ((enum filter)token->filter) {
    case FILTER_AT_LATEST:
        return shard->closed_us == 0;
    case FILTER_AT_TRIM_HORIZON:
    case FILTER_AT_TIMESTAMP:
        return shard->created_us <= at_us && (shard->closed_us == 0 || shard->closed_us > at_us);
    case FILTER_FROM_TIMESTAMP:
        return shard->closed_us == 0 || shard->closed_us >= at_us;
    case FILTER_NONE:
    case FILTER_AFTER_SHARD_ID:
    case FILTER_FROM_TRIM_HORIZON:
    case FILTERS:
        break;
    }
    return true;
}

/* The index behind "shardId-000000000012", which need not exist (any more). */
static int
index_behind(struct leat_local_call *call, struct leat_slice name, uint32_t *ret_index)
{
    unsigned long index;
    char digits[13], *end;

    if (name.size != 20 || memcmp(name.data, "shardId-", 8) != 0)
        return invalid(call, "The shard id is not one.");
    memcpy(digits, name.data + 8, 12);
    digits[12] = '\0';
    index = strtoul(digits, &end, 10);
    if (*end != '\0' || digits[0] < '0' || digits[0] > '9' || index >= UINT32_MAX)
        return invalid(call, "The shard id is not one.");
    *ret_index = (uint32_t)index + 1;
    return 0;
}

static int
read_filter(struct leat_local_call *call, struct page *page) LEAT_REQUIRES(call->server->lock)
{
    static const char *const names[FILTERS] = {
        "",          "AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON",
        "AT_LATEST", "AT_TIMESTAMP",   "FROM_TIMESTAMP"};
    struct json_object *filter = leat_json_get(call->root, "ShardFilter");
    struct leat_slice type = get_text(filter, "Type");
    struct leat_slice after = get_text(call->root, "ExclusiveStartShardId");
    const struct leat_local_store *store = &call->server->store;

    if (after.size > 0 && index_behind(call, after, &page->token.shard) < 0)
        return LEAT_E_INVALID;
    if (filter == NULL)
        return 0;
    for (page->token.filter = FILTER_AFTER_SHARD_ID;
         page->token.filter < FILTERS && !leat_slice_is(type, names[page->token.filter]);
         page->token.filter++)
        ;
    if (page->token.filter == FILTERS)
        return invalid(call, "ShardFilter has no Type that is known.");
    if (page->token.filter == FILTER_AFTER_SHARD_ID)
        return index_behind(call, get_text(filter, "ShardId"), &page->token.shard);
    if (page->token.filter == FILTER_AT_TRIM_HORIZON) {
        page->token.filter_us = call->now_us - store->retention_us;
        if (page->token.filter_us < page->stream->created_us)
            page->token.filter_us = page->stream->created_us;
    }
    if ((page->token.filter == FILTER_AT_TIMESTAMP ||
         page->token.filter == FILTER_FROM_TIMESTAMP) &&
        !leat_wire_get_time(filter, "Timestamp", &page->token.filter_us))
        return invalid(call, "ShardFilter lacks its Timestamp.");
    return 0;
}

static int
continue_page(struct leat_local_call *call, struct leat_slice text, struct page *page)
    LEAT_REQUIRES(call->server->lock)
{
    struct leat_local_kinesis *server = call->server;

    if (leat_local_call_stream_name(call).size > 0)
        return invalid(call, "NextToken and StreamName cannot be provided together.");
    if (!leat_local_token_parse(text, LEAT_LOCAL_TOKEN_PAGE, server->identity, &page->token))
        return invalid(call, "NextToken is invalid.");
    if (call->now_us - page->token.issued_us > server->iterator_us)
        return leat_local_refuse(&call->refusal, "ExpiredNextTokenException",
                                 "NextToken has expired.");
    page->stream = leat_local_store_by_id(&server->store, page->token.stream);
    if (page->stream == NULL)
        return leat_local_refuse(&call->refusal, "ResourceNotFoundException",
                                 "The stream of NextToken is gone.");
    return 0;
}

/* Where the page begins and what belongs on it. */
static int
find_page(struct leat_local_call *call, struct page *page) LEAT_REQUIRES(call->server->lock)
{
    struct leat_slice token = get_text(call->root, "NextToken");
    int64_t most = 0;
    int result;

    page->token.page_shards = call->server->page_shards;
    if (token.size > 0) {
        result = continue_page(call, token, page);
    } else {
        page->stream = leat_local_call_stream(call);
        result = page->stream != NULL ? read_filter(call, page) : LEAT_E_INVALID;
    }
    if (result < 0)
        return result;
    if (leat_json_get_integer(call->root, "MaxResults", &most)) {
        if (most < 1 || most > MAXIMUM_PAGE_SHARDS)
            return leat_local_refuse(&call->refusal, "ValidationException",
                                     "MaxResults must be between 1 and 10000.");
        page->token.page_shards = (uint32_t)most;
    }
    return 0;
}

/* The page's shards, into the call's arena. */
static const struct leat_local_shard **
collect(struct leat_local_call *call, struct page *page, size_t *ret_count)
    LEAT_REQUIRES(call->server->lock)
{
    const struct leat_local_shard **shards =
        leat_arena_alloc_zero(&call->arena, page->token.page_shards, sizeof *shards);
    struct leat_local_stream *stream = page->stream;
    size_t count = 0;

    for (uint32_t i = page->token.shard; i < stream->shard_count; i++) {
        leat_local_shard_expire(&call->server->store, stream->shards[i], call->now_us);
        if (!is_wanted(stream->shards[i], &page->token))
            continue;
        if (count == page->token.page_shards) {
            page->token.shard = i;
            page->has_more = true;
            break;
        }
        shards[count++] = stream->shards[i];
    }
    *ret_count = count;
    return shards;
}

static int
list_shards(struct leat_local_call *call)
{
    struct leat_local_kinesis *server = call->server;
    struct page page = {.token = {.kind = LEAT_LOCAL_TOKEN_PAGE, .server = server->identity}};
    LEAT_AUTO_BUF token = LEAT_BUF_INIT;
    int result;

    leat_mutex_lock(&call->server->lock);
    result = find_page(call, &page);
    if (result == 0) {
        size_t count;
        const struct leat_local_shard **shards = collect(call, &page, &count);

        leat_wire_object(&call->wire, NULL, 1 + members(call, page.has_more));
        leat_wire_array(&call->wire, "Shards", count);
        for (size_t i = 0; i < count; i++)
            write_shard(call, shards[i]);
        leat_wire_array_end(&call->wire);
        page.token.stream = page.stream->id;
        page.token.issued_us = call->now_us;
        leat_local_token_format(&page.token, &token);
        if (page.has_more)
            leat_wire_text(&call->wire, "NextToken", leat_buf_slice(&token));
        else
            write_absent(call, "NextToken");
        leat_wire_object_end(&call->wire);
    }
    leat_mutex_unlock(&call->server->lock);
    return result;
}

static int
describe_stream(struct leat_local_call *call)
{
    struct page page = {.token = {.page_shards = DESCRIBED_SHARDS}};
    int64_t limit;
    int result;

    if (leat_json_get_integer(call->root, "Limit", &limit) && limit > 0 &&
        limit < MAXIMUM_PAGE_SHARDS)
        page.token.page_shards = (uint32_t)limit;
    leat_mutex_lock(&call->server->lock);
    page.stream = leat_local_call_stream(call);
    result = page.stream != NULL ? read_filter(call, &page) : LEAT_E_INVALID;
    if (result == 0) {
        size_t count;
        const struct leat_local_shard **shards = collect(call, &page, &count);

        leat_wire_object(&call->wire, NULL, 1);
        leat_wire_object(&call->wire, "StreamDescription", 10);
        write_stream_facts(call, page.stream);
        leat_wire_array(&call->wire, "Shards", count);
        for (size_t i = 0; i < count; i++)
            write_shard(call, shards[i]);
        leat_wire_array_end(&call->wire);
        leat_wire_bool(&call->wire, "HasMoreShards", page.has_more);
        leat_wire_object_end(&call->wire);
        leat_wire_object_end(&call->wire);
    }
    leat_mutex_unlock(&call->server->lock);
    return result;
}

/* ---- reshards -------------------------------------------------------------------------------- */

static int
split_locked(struct leat_local_call *call) LEAT_REQUIRES(call->server->lock)
{
    struct leat_local_stream *stream = leat_local_call_stream(call);
    struct leat_local_shard *shard;
    struct leat_hash_key at;

    if (stream == NULL)
        return LEAT_E_INVALID;
    shard = leat_local_stream_shard(stream, get_text(call->root, "ShardToSplit"), &call->refusal);
    if (shard == NULL)
        return LEAT_E_INVALID;
    if (!leat_hash_key_parse(get_text(call->root, "NewStartingHashKey"), &at))
        return invalid(call, "NewStartingHashKey is not a hash key.");
    return leat_local_store_split(&call->server->store, stream, shard, &at, call->now_us,
                                  &call->refusal);
}

static int
split_shard(struct leat_local_call *call)
{
    int result;

    leat_mutex_lock(&call->server->lock);
    result = split_locked(call);
    leat_mutex_unlock(&call->server->lock);
    return result;
}

static int
merge_locked(struct leat_local_call *call) LEAT_REQUIRES(call->server->lock)
{
    struct leat_local_stream *stream = leat_local_call_stream(call);
    struct leat_local_shard *shard, *adjacent;

    if (stream == NULL)
        return LEAT_E_INVALID;
    shard = leat_local_stream_shard(stream, get_text(call->root, "ShardToMerge"), &call->refusal);
    if (shard == NULL)
        return LEAT_E_INVALID;
    adjacent = leat_local_stream_shard(stream, get_text(call->root, "AdjacentShardToMerge"),
                                       &call->refusal);
    if (adjacent == NULL)
        return LEAT_E_INVALID;
    return leat_local_store_merge(&call->server->store, stream, shard, adjacent, call->now_us,
                                  &call->refusal);
}

static int
merge_shards(struct leat_local_call *call)
{
    int result;

    leat_mutex_lock(&call->server->lock);
    result = merge_locked(call);
    leat_mutex_unlock(&call->server->lock);
    return result;
}

const struct leat_local_action leat_local_actions[LEAT_LOCAL_ACTIONS] = {
    {"GetRecords", leat_local_get_records, false, false},
    {"GetShardIterator", leat_local_get_shard_iterator, false, false},
    {"PutRecords", leat_local_put_records, true, false},
    {"PutRecord", leat_local_put_record, true, false},
    {"ListShards", list_shards, false, true},
    {"DescribeStreamSummary", describe_stream_summary, false, true},
    {"DescribeStream", describe_stream, false, true},
    {"ListStreams", list_streams, false, true},
    {"CreateStream", create_stream, false, false},
    {"DeleteStream", delete_stream, false, false},
    {"SplitShard", split_shard, false, false},
    {"MergeShards", merge_shards, false, false},
};
