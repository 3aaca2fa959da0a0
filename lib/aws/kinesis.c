/*
 * The Kinesis client and its blocking actions on streams and shards. Small answers become a json-c tree (wire.h); records
 * have their own path (kinesis_calls.c, kinesis_records.c), puts theirs (kinesis_put.c).
 *
 * Encoding `auto` falls back to JSON once and for good: when the server refuses CBOR, or its CBOR does not parse.
 */
#include <json-c/json.h>
#include <stdlib.h>

#include "aws/kinesis_internal.h"
#include "base/memory.h"

#define ANSWER_MAXIMUM_BYTES ((size_t)16 << 20)
#define MAXIMUM_PAGES 10000

struct leat_kinesis *
leat_kinesis_new(const struct leat_aws *aws, enum leat_kinesis_encoding encoding,
                 struct leat_error *err)
{
    struct leat_aws_client *client = leat_aws_client_new(aws, LEAT_SERVICE_KINESIS, err);
    struct leat_kinesis *kinesis;

    if (client == NULL)
        return NULL;
    kinesis = LEAT_NEW(struct leat_kinesis);
    kinesis->client = client;
    kinesis->encoding = encoding;
    kinesis->is_proved = !leat_aws_client_endpoint(client)->is_custom;
    return kinesis;
}

void
leat_kinesis_free(struct leat_kinesis *kinesis)
{
    if (kinesis == NULL)
        return;
    while (kinesis->calls != NULL)
        leat_kinesis_cancel(kinesis->calls);
    leat_aws_client_free(kinesis->client);
    free(kinesis);
}

void
leat_kinesis_interrupt(struct leat_kinesis *kinesis)
{
    leat_aws_client_interrupt(kinesis->client);
}

int64_t
leat_kinesis_now_us(const struct leat_kinesis *kinesis)
{
    return leat_aws_client_now_us(kinesis->client);
}

const char *
leat_kinesis_endpoint(const struct leat_kinesis *kinesis)
{
    return leat_aws_client_endpoint(kinesis->client)->url;
}

enum leat_wire_encoding
leat_kinesis_wire(const struct leat_kinesis *kinesis)
{
    return kinesis->encoding == LEAT_KINESIS_JSON || kinesis->is_distrusted ? LEAT_WIRE_JSON
                                                                            : LEAT_WIRE_CBOR;
}

bool
leat_kinesis_distrust_cbor(struct leat_kinesis *kinesis)
{
    if (kinesis->encoding != LEAT_KINESIS_AUTO || kinesis->is_distrusted)
        return false;
    kinesis->is_distrusted = true;
    return true;
}

bool
leat_kinesis_lacks_cbor(struct leat_kinesis *kinesis, enum leat_wire_encoding spoken,
                        const struct leat_fault *fault)
{
    bool is_refusal = fault->status == 415 || fault->kind == LEAT_FAULT_UNSUPPORTED ||
                      (fault->status >= 400 && fault->type[0] == '\0' && fault->status != 429 &&
                       fault->status != 503);

    return spoken == LEAT_WIRE_CBOR && !kinesis->is_proved && is_refusal &&
           leat_kinesis_distrust_cbor(kinesis);
}

void
leat_kinesis_headers(const char *action, enum leat_wire_encoding encoding, struct leat_buf *lines,
                     const char *ret_headers[2])
{
    size_t second;

    leat_buf_printf(lines, "content-type: %s",
                    encoding == LEAT_WIRE_CBOR ? LEAT_WIRE_CBOR_TYPE : LEAT_WIRE_JSON_TYPE);
    leat_buf_add_byte(lines, 0);
    second = lines->size;
    leat_buf_printf(lines, "x-amz-target: Kinesis_20131202.%s", action);
    leat_buf_add_byte(lines, 0);
    ret_headers[0] = (const char *)lines->data;
    ret_headers[1] = (const char *)lines->data + second;
}

/* ---- one blocking action ------------------------------------------------------------------- */

static int
buf_sink(void *context, const void *bytes, size_t size)
{
    return leat_buf_add(context, bytes, size) ? 0 : -1;
}

static void
buf_restart(void *context)
{
    leat_buf_clear(context);
}

static int
parse_answer(struct leat_kinesis *kinesis, const struct leat_kinesis_action *action,
             struct leat_buf *body, enum leat_wire_encoding encoding, struct json_object **ret_root,
             struct leat_error *err)
{
    bool has_time_tag = false;
    struct leat_error why;
    struct json_object *root;
    struct leat_fault fault = {.kind = LEAT_FAULT_FORMAT};
    struct leat_fault_subject subject = {"kinesis", action->name, action->kind, action->subject};

    if (leat_wire_parse(body->data, body->size, encoding, &root, &has_time_tag, &why) < 0 ||
        !json_object_is_type(root, json_type_object))
        return leat_fault_error(&fault, &subject, leat_slice_from("an answer that does not parse"),
                                err);
    kinesis->is_proved = kinesis->is_proved || has_time_tag;
    *ret_root = root;
    return 0;
}

int
leat_kinesis_run(struct leat_kinesis *kinesis, const struct leat_kinesis_action *action,
                 struct json_object **ret_root, struct leat_error *err)
{
    LEAT_AUTO_BUF request_body = LEAT_BUF_INIT;
    LEAT_AUTO_BUF lines = LEAT_BUF_INIT;
    LEAT_AUTO_BUF body = {.maximum = ANSWER_MAXIMUM_BYTES};
    enum leat_wire_encoding encoding = leat_kinesis_wire(kinesis), answered;
    struct leat_aws_outcome outcome;
    struct json_object *root = NULL;
    struct leat_wire wire;
    const char *headers[2];
    struct leat_aws_request request = {
        .method = "POST",
        .path = leat_slice_from("/"),
        .query = leat_slice_from(""),
        .headers = headers,
        .header_count = 2,
        .subject = {"kinesis", action->name, action->kind, action->subject},
        .sink = buf_sink,
        .restart = buf_restart,
        .context = &body,
    };
    int result;

    if (action->is_put && kinesis->encoding == LEAT_KINESIS_AUTO && !kinesis->is_proved)
        encoding = LEAT_WIRE_JSON;
    leat_wire_begin(&wire, encoding, &request_body);
    action->write(&wire, action->context);
    leat_kinesis_headers(action->name, encoding, &lines, headers);
    request.body = leat_buf_slice(&request_body);
    result = leat_aws_run(kinesis->client, &request, &outcome, err);
    if (result < 0)
        return leat_kinesis_lacks_cbor(kinesis, encoding, &outcome.fault)
                   ? leat_kinesis_run(kinesis, action, ret_root, err)
                   : result;
    if (!leat_wire_encoding_of(leat_slice_from(outcome.content_type), &answered))
        answered = encoding;
    result = parse_answer(kinesis, action, &body, answered, &root, err);
    if (result < 0)
        return !action->is_put && leat_kinesis_distrust_cbor(kinesis)
                   ? leat_kinesis_run(kinesis, action, ret_root, err)
                   : result;
    if (ret_root != NULL)
        *ret_root = root;
    else
        json_object_put(root);
    return 0;
}

/* ---- streams ------------------------------------------------------------------------------- */

static void
write_stream(struct leat_wire *wire, const void *context)
{
    leat_wire_object(wire, NULL, 1);
    leat_wire_text(wire, "StreamName", leat_slice_from(context));
    leat_wire_object_end(wire);
}

static struct leat_kinesis_action
stream_action(const char *name, const char *stream)
{
    return (struct leat_kinesis_action){.name = name,
                                        .kind = "stream",
                                        .subject = leat_slice_from(stream),
                                        .write = write_stream,
                                        .context = stream};
}

struct create {
    const char *stream;
    unsigned shards;
};

static void
write_create(struct leat_wire *wire, const void *context)
{
    const struct create *create = context;

    leat_wire_object(wire, NULL, 2);
    leat_wire_text(wire, "StreamName", leat_slice_from(create->stream));
    leat_wire_integer(wire, "ShardCount", create->shards);
    leat_wire_object_end(wire);
}

int
leat_kinesis_create_stream(struct leat_kinesis *kinesis, const char *stream, unsigned shards,
                           struct leat_error *err)
{
    struct create create = {stream, shards};
    struct leat_kinesis_action action = stream_action("CreateStream", stream);

    action.write = write_create;
    action.context = &create;
    return leat_kinesis_run(kinesis, &action, NULL, err);
}

int
leat_kinesis_delete_stream(struct leat_kinesis *kinesis, const char *stream, struct leat_error *err)
{
    struct leat_kinesis_action action = stream_action("DeleteStream", stream);

    return leat_kinesis_run(kinesis, &action, NULL, err);
}

static struct leat_slice
get_text(struct json_object *object, const char *key)
{
    struct leat_slice text;

    return leat_json_get_text(object, key, &text) ? text : leat_slice_from("");
}

static void
keep_text(char *kept, size_t size, struct leat_slice text)
{
    snprintf(kept, size, "%.*s", (int)(text.size < size ? text.size : size - 1),
             (const char *)text.data);
}

static int
lacks(const struct leat_kinesis_action *action, const char *what, struct leat_error *err)
{
    return leat_error_set(err, LEAT_E_FORMAT,
                          "kinesis %s of stream \"%.*s\": the answer lacks %s: is the endpoint "
                          "Kinesis?",
                          action->name, (int)action->subject.size,
                          (const char *)action->subject.data, what);
}

int
leat_kinesis_describe_stream_summary(struct leat_kinesis *kinesis, const char *stream,
                                     struct leat_kinesis_summary *ret_summary,
                                     struct leat_error *err)
{
    struct leat_kinesis_action action = stream_action("DescribeStreamSummary", stream);
    struct leat_kinesis_summary summary = {0};
    struct json_object *root, *description;
    int64_t number;
    bool is_whole;
    int result = leat_kinesis_run(kinesis, &action, &root, err);

    if (result < 0)
        return result;
    description = leat_json_get(root, "StreamDescriptionSummary");
    is_whole = description != NULL && get_text(description, "StreamARN").size > 0 &&
               get_text(description, "StreamARN").size < sizeof summary.arn &&
               leat_wire_get_time(description, "StreamCreationTimestamp", &summary.created_us);
    if (is_whole) {
        keep_text(summary.name, sizeof summary.name, get_text(description, "StreamName"));
        keep_text(summary.arn, sizeof summary.arn, get_text(description, "StreamARN"));
        keep_text(summary.status, sizeof summary.status, get_text(description, "StreamStatus"));
        if (leat_json_get_integer(description, "RetentionPeriodHours", &number))
            summary.retention_hours = (int32_t)number;
        if (leat_json_get_integer(description, "OpenShardCount", &number))
            summary.open_shards = (int32_t)number;
        *ret_summary = summary;
    }
    json_object_put(root);
    return is_whole ? 0 : lacks(&action, "StreamARN or StreamCreationTimestamp", err);
}

/* ---- lists --------------------------------------------------------------------------------- */

struct page {
    const char *stream; /* NULL: a list of streams */
    char token[4096];   /* NextToken, or the last stream's name; "": the first page */
};

/* With NextToken no StreamName may be given. */
static void
write_shards_page(struct leat_wire *wire, const void *context)
{
    const struct page *page = context;

    leat_wire_object(wire, NULL, 1);
    if (page->token[0] != '\0')
        leat_wire_text(wire, "NextToken", leat_slice_from(page->token));
    else
        leat_wire_text(wire, "StreamName", leat_slice_from(page->stream));
    leat_wire_object_end(wire);
}

static void
write_streams_page(struct leat_wire *wire, const void *context)
{
    const struct page *page = context;

    leat_wire_object(wire, NULL, page->token[0] != '\0' ? 2 : 1);
    leat_wire_integer(wire, "Limit", 100);
    if (page->token[0] != '\0')
        leat_wire_text(wire, "ExclusiveStartStreamName", leat_slice_from(page->token));
    leat_wire_object_end(wire);
}

static void
read_shard(struct json_object *object, struct leat_kinesis_shard *ret_shard)
{
    struct json_object *hash = leat_json_get(object, "HashKeyRange");
    struct json_object *sequence = leat_json_get(object, "SequenceNumberRange");

    *ret_shard = (struct leat_kinesis_shard){
        .shard = get_text(object, "ShardId"),
        .parent = get_text(object, "ParentShardId"),
        .adjacent_parent = get_text(object, "AdjacentParentShardId"),
        .starting_hash_key = get_text(hash, "StartingHashKey"),
        .ending_hash_key = get_text(hash, "EndingHashKey"),
        .starting_sequence = get_text(sequence, "StartingSequenceNumber"),
        .ending_sequence = get_text(sequence, "EndingSequenceNumber"),
    };
}

/* Keeps the token for the next page; false: there is none. */
static bool
next_page(struct page *page, struct leat_slice token)
{
    if (token.size == 0 || token.size >= sizeof page->token)
        return false;
    keep_text(page->token, sizeof page->token, token);
    return true;
}

static int
tell_shards(struct json_object *shards, leat_kinesis_shard_fn each, void *context)
{
    size_t count = json_object_array_length(shards);

    for (size_t i = 0; i < count; i++) {
        struct json_object *object = json_object_array_get_idx(shards, i);
        struct leat_kinesis_shard shard;
        int result;

        if (!json_object_is_type(object, json_type_object))
            continue;
        read_shard(object, &shard);
        if (shard.shard.size == 0)
            continue;
        result = each(context, &shard);
        if (result != 0)
            return result;
    }
    return 0;
}

int
leat_kinesis_list_shards(struct leat_kinesis *kinesis, const char *stream,
                         leat_kinesis_shard_fn each, void *context, struct leat_error *err)
{
    struct leat_kinesis_action action = stream_action("ListShards", stream);
    struct page page = {.stream = stream};
    unsigned restarts = 0;

    action.write = write_shards_page;
    action.context = &page;
    for (unsigned pages = 0; pages < MAXIMUM_PAGES; pages++) {
        struct json_object *root, *shards;
        bool has_more;
        int result = leat_kinesis_run(kinesis, &action, &root, err);

        if (result == LEAT_E_EXPIRED && page.token[0] != '\0' && restarts++ < 3) {
            page.token[0] = '\0';
            continue;
        }
        if (result < 0)
            return result;
        shards = leat_json_get(root, "Shards");
        if (!json_object_is_type(shards, json_type_array)) {
            json_object_put(root);
            return lacks(&action, "Shards", err);
        }
        result = tell_shards(shards, each, context);
        has_more = next_page(&page, get_text(root, "NextToken"));
        json_object_put(root);
        if (result != 0 || !has_more)
            return result;
    }
    return leat_error_set(err, LEAT_E_LIMIT, "kinesis ListShards of stream \"%s\" does not end",
                          stream);
}

/* false: not one that can be used. */
static bool
read_summary(struct json_object *name, struct json_object *object,
             struct leat_kinesis_summary *ret_summary)
{
    struct leat_slice text = name != NULL ? leat_slice_from(json_object_get_string(name))
                                          : get_text(object, "StreamName");

    *ret_summary = (struct leat_kinesis_summary){0};
    if (text.size == 0 || text.size >= sizeof ret_summary->name)
        return false;
    keep_text(ret_summary->name, sizeof ret_summary->name, text);
    if (name != NULL || get_text(object, "StreamARN").size >= sizeof ret_summary->arn ||
        !leat_wire_get_time(object, "StreamCreationTimestamp", &ret_summary->created_us))
        return true;
    keep_text(ret_summary->arn, sizeof ret_summary->arn, get_text(object, "StreamARN"));
    keep_text(ret_summary->status, sizeof ret_summary->status, get_text(object, "StreamStatus"));
    return true;
}

/* The page's streams; how many there were, or what `each` said. */
static int
tell_streams(struct json_object *root, struct page *page, leat_kinesis_summary_fn each,
             void *context)
{
    struct json_object *list = leat_json_get(root, "StreamSummaries");
    bool has_names = !json_object_is_type(list, json_type_array);
    size_t count = 0;

    if (has_names)
        list = leat_json_get(root, "StreamNames");
    if (json_object_is_type(list, json_type_array))
        count = json_object_array_length(list);
    page->token[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        struct leat_kinesis_summary summary;
        int result;

        if (!json_object_is_type(item, has_names ? json_type_string : json_type_object) ||
            !read_summary(has_names ? item : NULL, item, &summary))
            continue;
        next_page(page, leat_slice_from(summary.name));
        result = each(context, &summary);
        if (result != 0)
            return result;
    }
    return 0;
}

int
leat_kinesis_list_summaries(struct leat_kinesis *kinesis, leat_kinesis_summary_fn each,
                            void *context, struct leat_error *err)
{
    struct page page = {0};
    struct leat_kinesis_action action = {.name = "ListStreams",
                                         .write = write_streams_page,
                                         .subject = leat_slice_from(""),
                                         .context = &page};

    for (unsigned pages = 0; pages < MAXIMUM_PAGES; pages++) {
        struct json_object *root;
        bool has_more = false;
        int result = leat_kinesis_run(kinesis, &action, &root, err);

        if (result < 0)
            return result;
        leat_json_get_bool(root, "HasMoreStreams", &has_more);
        result = tell_streams(root, &page, each, context);
        json_object_put(root);
        if (result != 0 || !has_more || page.token[0] == '\0')
            return result;
    }
    return leat_error_set(err, LEAT_E_LIMIT, "kinesis ListStreams does not end");
}

struct naming {
    leat_kinesis_name_fn each;
    void *context;
};

static int
tell_name(void *context, const struct leat_kinesis_summary *summary)
{
    struct naming *naming = context;

    return naming->each(naming->context, leat_slice_from(summary->name));
}

int
leat_kinesis_list_streams(struct leat_kinesis *kinesis, leat_kinesis_name_fn each, void *context,
                          struct leat_error *err)
{
    struct naming naming = {each, context};

    return leat_kinesis_list_summaries(kinesis, tell_name, &naming, err);
}

/* ---- reshards ------------------------------------------------------------------------------ */

struct reshard {
    const char *stream;
    const char *members[4]; /* two keys, each with its value */
};

static void
write_reshard(struct leat_wire *wire, const void *context)
{
    const struct reshard *reshard = context;

    leat_wire_object(wire, NULL, 3);
    leat_wire_text(wire, "StreamName", leat_slice_from(reshard->stream));
    leat_wire_text(wire, reshard->members[0], leat_slice_from(reshard->members[1]));
    leat_wire_text(wire, reshard->members[2], leat_slice_from(reshard->members[3]));
    leat_wire_object_end(wire);
}

int
leat_kinesis_split_shard(struct leat_kinesis *kinesis, const char *stream, const char *shard,
                         const char *new_starting_hash_key, struct leat_error *err)
{
    struct reshard reshard = {stream,
                              {"ShardToSplit", shard, "NewStartingHashKey", new_starting_hash_key}};
    struct leat_kinesis_action action = stream_action("SplitShard", stream);

    action.write = write_reshard;
    action.context = &reshard;
    return leat_kinesis_run(kinesis, &action, NULL, err);
}

int
leat_kinesis_merge_shards(struct leat_kinesis *kinesis, const char *stream, const char *shard,
                          const char *adjacent_shard, struct leat_error *err)
{
    struct reshard reshard = {stream,
                              {"ShardToMerge", shard, "AdjacentShardToMerge", adjacent_shard}};
    struct leat_kinesis_action action = stream_action("MergeShards", stream);

    action.write = write_reshard;
    action.context = &reshard;
    return leat_kinesis_run(kinesis, &action, NULL, err);
}
