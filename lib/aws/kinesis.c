/*
 * The Kinesis client and its blocking actions on streams and shards. Small answers become a json-c tree (wire.h); records
 * have their own path (kinesis_calls.c, kinesis_records.c), puts theirs (kinesis_put.c).
 *
 * Encoding `auto` falls back to JSON once and for good: when the server refuses CBOR, or its CBOR does not parse.
 */
#include <json-c/json.h>
#include <stdlib.h>

#include "aws/kinesis_internal.h"
#include "aws/page.h"
#include "base/clock.h"
#include "base/memory.h"

/* A page of a thousand shards has 500 kB, and a NextToken of 1 MiB is allowed. */
#define ANSWER_MAXIMUM_BYTES ((size_t)4 << 20)
#define PAGE_SHARDS 1000
#define MAXIMUM_SHARDS 100000
#define NAME_MAXIMUM_BYTES 128

static const struct leat_page_limits page_limits = {
    .token_bytes = LEAT_PAGE_TOKEN_BYTES, .pages = 2000, .duration_us = 300 * LEAT_SECOND_US};

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

bool
leat_kinesis_is_aws(const struct leat_kinesis *kinesis)
{
    return !leat_aws_client_endpoint(kinesis->client)->is_custom;
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

/* In front of what is wrong with an answer. */
static int
of_action(const struct leat_kinesis_action *action, int result, struct leat_error *err)
{
    if (action->kind == NULL)
        leat_error_prefix(err, "kinesis %s", action->name);
    else
        leat_error_prefix(err, "kinesis %s of %s \"%.*s\"", action->name, action->kind,
                          (int)action->subject.size, (const char *)action->subject.data);
    return result;
}

static int
parse_answer(struct leat_kinesis *kinesis, const struct leat_kinesis_action *action,
             struct leat_buf *body, enum leat_wire_encoding encoding, struct json_object **ret_root,
             struct leat_error *err)
{
    bool has_time_tag = false;
    struct json_object *root = NULL;
    int result = leat_wire_parse(body->data, body->size, encoding, &root, &has_time_tag, err);

    if (result < 0) {
        leat_error_prefix(err, "an answer that does not parse");
        return of_action(action, result, err);
    }
    if (!json_object_is_type(root, json_type_object)) {
        json_object_put(root);
        result = leat_error_set(err, LEAT_E_FORMAT,
                                "an answer that is no object: is the endpoint Kinesis?");
        return of_action(action, result, err);
    }
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
        return !action->is_put && result == LEAT_E_FORMAT && answered == LEAT_WIRE_CBOR &&
                       leat_kinesis_distrust_cbor(kinesis)
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

/* What does not fit where it is kept is no answer to go on with, and it is not cut. */
static int
too_long(const char *what, struct leat_slice text, size_t maximum, struct leat_error *err)
{
    return leat_error_set(err, LEAT_E_FORMAT,
                          "the answer tells %s of %zu bytes (\"%.*s…\"): at most %zu are allowed",
                          what, text.size, 40, (const char *)text.data, maximum);
}

/* 1 to 128 letters, digits, '_', '.', '-'. */
static bool
is_name(struct leat_slice text)
{
    if (text.size == 0 || text.size > NAME_MAXIMUM_BYTES)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = text.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.' || c == '-'))
            return false;
    }
    return true;
}

static bool
is_arn(struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 127)
            return false;
    }
    return text.size > 0;
}

static int32_t
clamp(int64_t number)
{
    return number < 0 ? 0 : number > INT32_MAX ? INT32_MAX : (int32_t)number;
}

static int
read_description(struct json_object *description, struct leat_kinesis_summary *summary,
                 struct leat_error *err)
{
    struct leat_slice arn = get_text(description, "StreamARN");
    int64_t number;

    if (!is_arn(arn) ||
        !leat_wire_get_time(description, "StreamCreationTimestamp", &summary->created_us))
        return leat_error_set(err, LEAT_E_FORMAT,
                              "the answer lacks StreamARN or StreamCreationTimestamp: is the "
                              "endpoint Kinesis?");
    if (arn.size > LEAT_KINESIS_ARN_BYTES)
        return too_long("a StreamARN", arn, LEAT_KINESIS_ARN_BYTES, err);
    if (is_name(get_text(description, "StreamName")))
        keep_text(summary->name, sizeof summary->name, get_text(description, "StreamName"));
    keep_text(summary->arn, sizeof summary->arn, arn);
    keep_text(summary->status, sizeof summary->status, get_text(description, "StreamStatus"));
    if (leat_json_get_integer(description, "RetentionPeriodHours", &number))
        summary->retention_hours = clamp(number);
    if (leat_json_get_integer(description, "OpenShardCount", &number))
        summary->open_shards = clamp(number);
    return 0;
}

int
leat_kinesis_describe_stream_summary(struct leat_kinesis *kinesis, const char *stream,
                                     struct leat_kinesis_summary *ret_summary,
                                     struct leat_error *err)
{
    struct leat_kinesis_action action = stream_action("DescribeStreamSummary", stream);
    struct leat_kinesis_summary summary = {0};
    struct json_object *root;
    int result = leat_kinesis_run(kinesis, &action, &root, err);

    if (result < 0)
        return result;
    result = read_description(leat_json_get(root, "StreamDescriptionSummary"), &summary, err);
    json_object_put(root);
    if (result == 0)
        *ret_summary = summary;
    return result == 0 ? 0 : of_action(&action, result, err);
}

/* ---- lists --------------------------------------------------------------------------------- */

struct page {
    const char *stream;      /* NULL: a list of streams */
    struct leat_pages pages; /* its token: NextToken, or the last stream's name */
    size_t shards;           /* told so far */
};

/* With NextToken no StreamName may be given. */
static void
write_shards_page(struct leat_wire *wire, const void *context)
{
    const struct page *page = context;

    leat_wire_object(wire, NULL, 2);
    leat_wire_integer(wire, "MaxResults", PAGE_SHARDS);
    if (page->pages.token.size > 0)
        leat_wire_text(wire, "NextToken", leat_buf_slice(&page->pages.token));
    else
        leat_wire_text(wire, "StreamName", leat_slice_from(page->stream));
    leat_wire_object_end(wire);
}

static void
write_streams_page(struct leat_wire *wire, const void *context)
{
    const struct page *page = context;
    bool is_first = page->pages.token.size == 0;

    leat_wire_object(wire, NULL, is_first ? 1 : 2);
    leat_wire_integer(wire, "Limit", 100);
    if (!is_first)
        leat_wire_text(wire, "ExclusiveStartStreamName", leat_buf_slice(&page->pages.token));
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

struct shards {
    leat_kinesis_shard_fn each;
    void *context;
    int stopped; /* what `each` said, when it ended the listing */
    bool is_checked;
};

static int
check_shard(const struct leat_kinesis_shard *shard, struct leat_error *err)
{
    const struct {
        const char *what;
        struct leat_slice text;
        size_t maximum;
    } parts[] = {
        {"a ShardId", shard->shard, NAME_MAXIMUM_BYTES},
        {"a ParentShardId", shard->parent, NAME_MAXIMUM_BYTES},
        {"an AdjacentParentShardId", shard->adjacent_parent, NAME_MAXIMUM_BYTES},
        {"a StartingHashKey", shard->starting_hash_key, LEAT_KINESIS_HASH_KEY_BYTES},
        {"an EndingHashKey", shard->ending_hash_key, LEAT_KINESIS_HASH_KEY_BYTES},
        {"a StartingSequenceNumber", shard->starting_sequence, LEAT_KINESIS_SEQUENCE_BYTES},
        {"an EndingSequenceNumber", shard->ending_sequence, LEAT_KINESIS_SEQUENCE_BYTES},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(parts); i++) {
        if (parts[i].text.size > parts[i].maximum)
            return too_long(parts[i].what, parts[i].text, parts[i].maximum, err);
    }
    return 0;
}

static int
tell_shards(struct json_object *shards, struct page *page, struct shards *listing,
            struct leat_error *err)
{
    size_t count = json_object_array_length(shards);
    int result = 0;

    for (size_t i = 0; i < count && result == 0 && listing->stopped == 0; i++) {
        struct json_object *object = json_object_array_get_idx(shards, i);
        struct leat_kinesis_shard shard;

        if (!json_object_is_type(object, json_type_object))
            continue;
        read_shard(object, &shard);
        if (shard.shard.size == 0)
            continue;
        if (++page->shards > MAXIMUM_SHARDS)
            return leat_error_set(err, LEAT_E_LIMIT,
                                  "the list does not end: it tells more than %d shards",
                                  MAXIMUM_SHARDS);
        result = listing->is_checked ? check_shard(&shard, err) : 0;
        if (result == 0)
            listing->stopped = listing->each(listing->context, &shard);
    }
    return result;
}

/* One answer: its shards, and the next page's token. ret_is_last: that was all. */
static int
read_shards_page(struct json_object *root, struct page *page, struct shards *listing,
                 bool *ret_is_last, struct leat_error *err)
{
    struct json_object *shards = leat_json_get(root, "Shards");
    struct leat_slice token = get_text(root, "NextToken");
    int result;

    if (!json_object_is_type(shards, json_type_array))
        return leat_error_set(err, LEAT_E_FORMAT,
                              "the answer lacks Shards: is the endpoint Kinesis?");
    result = tell_shards(shards, page, listing, err);
    *ret_is_last = token.size == 0 || listing->stopped != 0;
    return result == 0 && !*ret_is_last
               ? leat_pages_next(&page->pages, token, leat_clock_monotonic_us(), err)
               : result;
}

static int
list_shards(struct leat_kinesis *kinesis, const char *stream, struct shards listing,
            struct leat_error *err)
{
    struct leat_kinesis_action action = stream_action("ListShards", stream);
    struct page page = {.stream = stream};
    unsigned restarts = 0;
    bool is_last = false;
    int result = 0;

    action.write = write_shards_page;
    action.context = &page;
    leat_pages_begin(&page.pages, &page_limits, leat_clock_monotonic_us());
    while (result == 0 && !is_last) {
        struct json_object *root;

        result = leat_kinesis_run(kinesis, &action, &root, err);
        if (result == LEAT_E_EXPIRED && page.pages.token.size > 0 && restarts++ < 3) {
            leat_pages_again(&page.pages);
            result = 0;
            continue;
        }
        if (result < 0)
            break;
        result = read_shards_page(root, &page, &listing, &is_last, err);
        json_object_put(root);
        if (result < 0)
            of_action(&action, result, err);
    }
    leat_pages_release(&page.pages);
    return result < 0 ? result : listing.stopped;
}

int
leat_kinesis_list_shards(struct leat_kinesis *kinesis, const char *stream,
                         leat_kinesis_shard_fn each, void *context, struct leat_error *err)
{
    return list_shards(kinesis, stream, (struct shards){each, context, 0, true}, err);
}

int
leat_kinesis_list_told_shards(struct leat_kinesis *kinesis, const char *stream,
                              leat_kinesis_shard_fn each, void *context, struct leat_error *err)
{
    return list_shards(kinesis, stream, (struct shards){each, context, 0, false}, err);
}

static int
read_summary(struct json_object *item, struct leat_kinesis_summary *ret_summary,
             struct leat_error *err)
{
    bool is_name_alone = json_object_is_type(item, json_type_string);
    struct leat_slice arn = get_text(item, "StreamARN");
    struct leat_slice name = get_text(item, "StreamName");

    *ret_summary = (struct leat_kinesis_summary){0};
    if (is_name_alone)
        name =
            leat_slice_make(json_object_get_string(item), (size_t)json_object_get_string_len(item));
    if (name.size > NAME_MAXIMUM_BYTES)
        return too_long("a stream's name", name, NAME_MAXIMUM_BYTES, err);
    if (!is_name(name))
        return leat_error_set(err, LEAT_E_FORMAT,
                              "the answer tells a stream's name that is none, of %zu bytes",
                              name.size);
    keep_text(ret_summary->name, sizeof ret_summary->name, name);
    /* Where anything is missing, the stream is described. */
    if (is_name_alone || !is_arn(arn) || arn.size > LEAT_KINESIS_ARN_BYTES ||
        !leat_wire_get_time(item, "StreamCreationTimestamp", &ret_summary->created_us))
        return 0;
    keep_text(ret_summary->arn, sizeof ret_summary->arn, arn);
    keep_text(ret_summary->status, sizeof ret_summary->status, get_text(item, "StreamStatus"));
    return 0;
}

struct streams {
    leat_kinesis_summary_fn each;
    void *context;
    int stopped; /* what `each` said, when it ended the listing */
};

/* Summaries, or (of old servers) names alone. last: the name of the last one. */
static int
tell_streams(struct json_object *root, struct streams *streams, char last[NAME_MAXIMUM_BYTES + 1],
             struct leat_error *err)
{
    struct json_object *list = leat_json_get(root, "StreamSummaries");
    struct leat_kinesis_summary summary;
    int result = 0;

    last[0] = '\0';
    if (!json_object_is_type(list, json_type_array))
        list = leat_json_get(root, "StreamNames");
    if (!json_object_is_type(list, json_type_array))
        return leat_error_set(err, LEAT_E_FORMAT,
                              "the answer lacks StreamNames: is the endpoint Kinesis?");
    for (size_t i = 0; i < json_object_array_length(list) && result == 0 && streams->stopped == 0;
         i++) {
        result = read_summary(json_object_array_get_idx(list, i), &summary, err);
        if (result == 0) {
            snprintf(last, NAME_MAXIMUM_BYTES + 1, "%s", summary.name);
            streams->stopped = streams->each(streams->context, &summary);
        }
    }
    return result;
}

static int
read_streams_page(struct json_object *root, struct page *page, struct streams *streams,
                  bool *ret_is_last, struct leat_error *err)
{
    char last[NAME_MAXIMUM_BYTES + 1];
    bool has_more = false;
    int result = tell_streams(root, streams, last, err);

    leat_json_get_bool(root, "HasMoreStreams", &has_more);
    *ret_is_last = !has_more || streams->stopped != 0;
    if (result < 0 || *ret_is_last)
        return result;
    if (last[0] == '\0')
        return leat_error_set(err, LEAT_E_FORMAT,
                              "the answer says that there are more streams, and names none");
    return leat_pages_next(&page->pages, leat_slice_from(last), leat_clock_monotonic_us(), err);
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
    struct streams streams = {each, context, 0};
    bool is_last = false;
    int result = 0;

    leat_pages_begin(&page.pages, &page_limits, leat_clock_monotonic_us());
    while (result == 0 && !is_last) {
        struct json_object *root;

        result = leat_kinesis_run(kinesis, &action, &root, err);
        if (result < 0)
            break;
        result = read_streams_page(root, &page, &streams, &is_last, err);
        json_object_put(root);
        if (result < 0)
            of_action(&action, result, err);
    }
    leat_pages_release(&page.pages);
    return result < 0 ? result : streams.stopped;
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
