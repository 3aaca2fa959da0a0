/*
 * Reading: started calls on an event loop (the fetch thread), and the blocking ones made of the same parts.
 *
 * A GetRecords answer goes from libcurl's buffer straight into the caller's region, once. Its length is checked against the
 * region as soon as the head is there, so an answer that is too large costs no transfer. Refusals never touch the region.
 * Threads: a client's calls belong to the thread of the client and of the loop, which is one.
 */
#include <json-c/json.h>
#include <stdlib.h>

#include "aws/kinesis_internal.h"
#include "base/memory.h"

#define ITERATOR_ANSWER_MAXIMUM_BYTES ((size_t)16 << 10)

struct leat_kinesis_call {
    struct leat_kinesis *kinesis;
    struct leat_kinesis_call *next, *previous;
    struct leat_event_loop *loop;
    struct leat_aws_call *aws;
    leat_kinesis_done_fn done;
    void *context;
    const char *action;
    char *stream;
    enum leat_wire_encoding encoding; /* spoken */
    struct leat_buf body, lines;      /* of the request */
    const char *headers[2];
    /* get_records */
    struct leat_kinesis_region *region;
    char *iterator;
    unsigned limit;
    /* get_shard_iterator */
    struct leat_buf answer;
    struct leat_kinesis_iterator_request wanted;
    struct leat_slice shard, sequence; /* copies */
};

/* ---- requests ------------------------------------------------------------------------------ */

static void
write_get_records(struct leat_wire *wire, const char *iterator, unsigned limit)
{
    leat_wire_object(wire, NULL, 2);
    leat_wire_integer(wire, "Limit",
                      limit > 0 && limit < LEAT_KINESIS_GET_RECORDS ? limit
                                                                    : LEAT_KINESIS_GET_RECORDS);
    leat_wire_text(wire, "ShardIterator", leat_slice_from(iterator));
    leat_wire_object_end(wire);
}

static void
write_get_iterator(struct leat_wire *wire, const void *context)
{
    static const char *const types[] = {
        [LEAT_ITERATOR_TRIM_HORIZON] = "TRIM_HORIZON",
        [LEAT_ITERATOR_LATEST] = "LATEST",
        [LEAT_ITERATOR_AT_TIMESTAMP] = "AT_TIMESTAMP",
        [LEAT_ITERATOR_AT_SEQUENCE] = "AT_SEQUENCE_NUMBER",
        [LEAT_ITERATOR_AFTER_SEQUENCE] = "AFTER_SEQUENCE_NUMBER",
    };
    const struct leat_kinesis_iterator_request *request = context;
    bool has_sequence = request->type == LEAT_ITERATOR_AT_SEQUENCE ||
                        request->type == LEAT_ITERATOR_AFTER_SEQUENCE;
    bool has_time = request->type == LEAT_ITERATOR_AT_TIMESTAMP;

    leat_wire_object(wire, NULL, has_sequence || has_time ? 4 : 3);
    leat_wire_text(wire, "StreamName", leat_slice_from(request->stream));
    leat_wire_text(wire, "ShardId", request->shard);
    leat_wire_text(wire, "ShardIteratorType", leat_slice_from(types[request->type]));
    if (has_sequence)
        leat_wire_text(wire, "StartingSequenceNumber", request->sequence);
    if (has_time)
        leat_wire_time(wire, "Timestamp", request->timestamp_us);
    leat_wire_object_end(wire);
}

/* ---- where answers go ---------------------------------------------------------------------- */

static bool
region_reserve(struct leat_kinesis_region *region, size_t wanted_bytes)
{
    if (wanted_bytes <= region->capacity)
        return true;
    return region->grow != NULL && region->grow(region, wanted_bytes) &&
           region->capacity >= wanted_bytes;
}

static int
region_head(void *context, int status, int64_t content_length)
{
    struct leat_kinesis_call *call = context;

    if (call->region == NULL || content_length < 0)
        return 0;
    return region_reserve(call->region, (size_t)content_length) ? 0 : -1;
}

static int
on_bytes(void *context, const void *bytes, size_t size)
{
    struct leat_kinesis_call *call = context;
    struct leat_kinesis_region *region = call->region;

    if (region == NULL)
        return leat_buf_add(&call->answer, bytes, size) ? 0 : -1;
    if (size > SIZE_MAX - region->size || !region_reserve(region, region->size + size))
        return -1;
    memcpy(region->data + region->size, bytes, size);
    region->size += size;
    return 0;
}

static void
on_restart(void *context)
{
    struct leat_kinesis_call *call = context;

    if (call->region != NULL)
        call->region->size = 0;
    leat_buf_clear(&call->answer);
}

/* ---- a call -------------------------------------------------------------------------------- */

static void on_outcome(void *context, const struct leat_aws_outcome *outcome);

static void
call_send(struct leat_kinesis_call *call)
{
    struct leat_wire wire;
    struct leat_aws_request request = {
        .method = "POST",
        .path = leat_slice_from("/"),
        .query = leat_slice_from(""),
        .headers = call->headers,
        .header_count = 2,
        .subject = {"kinesis", call->action, "stream", leat_slice_from(call->stream)},
        .head = region_head,
        .sink = on_bytes,
        .restart = on_restart,
        .done = on_outcome,
        .context = call,
    };

    on_restart(call);
    leat_buf_clear(&call->body);
    leat_buf_clear(&call->lines);
    call->encoding = leat_kinesis_wire(call->kinesis);
    leat_wire_begin(&wire, call->encoding, &call->body);
    if (call->region != NULL)
        write_get_records(&wire, call->iterator, call->limit);
    else
        write_get_iterator(&wire, &call->wanted);
    leat_kinesis_headers(call->action, call->encoding, &call->lines, call->headers);
    request.body = leat_buf_slice(&call->body);
    call->aws = leat_aws_start(call->kinesis->client, call->loop, &request);
}

static struct leat_kinesis_call *
call_new(struct leat_kinesis *kinesis, struct leat_event_loop *loop, leat_kinesis_done_fn done,
         void *context)
{
    struct leat_kinesis_call *call = LEAT_NEW(struct leat_kinesis_call);

    call->kinesis = kinesis;
    call->loop = loop;
    call->done = done;
    call->context = context;
    leat_buf_init(&call->body, SIZE_MAX);
    leat_buf_init(&call->lines, SIZE_MAX);
    leat_buf_init(&call->answer, ITERATOR_ANSWER_MAXIMUM_BYTES);
    call->next = kinesis->calls;
    if (call->next != NULL)
        call->next->previous = call;
    kinesis->calls = call;
    return call;
}

static void
call_unlink(struct leat_kinesis_call *call)
{
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        call->kinesis->calls = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
}

static void
call_free(struct leat_kinesis_call *call)
{
    leat_buf_release(&call->body);
    leat_buf_release(&call->lines);
    leat_buf_release(&call->answer);
    free(call->stream);
    free(call->iterator);
    free((void *)call->shard.data);
    free((void *)call->sequence.data);
    free(call);
}

void
leat_kinesis_cancel(struct leat_kinesis_call *call)
{
    if (call == NULL)
        return;
    leat_aws_cancel(call->aws);
    call_unlink(call);
    call_free(call);
}

#define NO_ITERATOR                                                                                \
    "kinesis GetShardIterator: the answer has no ShardIterator of 1 to %d bytes: is the endpoint " \
    "Kinesis?"

static bool
is_iterator(struct leat_slice text)
{
    return text.size > 0 && text.size < LEAT_KINESIS_ITERATOR_BYTES &&
           memchr(text.data, 0, text.size) == NULL;
}

/* The iterator out of a small answer; ret_root keeps its text. */
static int
read_iterator(struct leat_buf *body, enum leat_wire_encoding encoding,
              struct json_object **ret_root, const char **ret_iterator, struct leat_error *err)
{
    struct json_object *root;
    struct leat_slice iterator;
    int result = leat_wire_parse(body->data, body->size, encoding, &root, NULL, err);

    if (result < 0)
        return result;
    if (!leat_json_get_text(root, "ShardIterator", &iterator) || !is_iterator(iterator)) {
        json_object_put(root);
        return leat_error_set(err, LEAT_E_FORMAT, NO_ITERATOR, LEAT_KINESIS_ITERATOR_BYTES - 1);
    }
    *ret_root = root;
    *ret_iterator = json_object_get_string(leat_json_get(root, "ShardIterator"));
    return 0;
}

static void
on_outcome(void *context, const struct leat_aws_outcome *outcome)
{
    struct leat_kinesis_call *call = context;
    struct json_object *root = NULL;
    struct leat_kinesis_answer answer = {
        .result = outcome->result,
        .fault = outcome->fault,
        .err = outcome->err,
        .encoding = call->encoding,
        .is_overrun = outcome->is_aborted && call->region != NULL,
        .date_us = outcome->date_us,
        .retry_after_us = outcome->retry_after_us,
    };

    call->aws = NULL;
    if (outcome->is_aborted && outcome->content_length > 0)
        answer.needed_bytes = (size_t)outcome->content_length;
    if (outcome->result < 0 &&
        leat_kinesis_lacks_cbor(call->kinesis, call->encoding, &outcome->fault)) {
        call_send(call);
        return;
    }
    (void)leat_wire_encoding_of(leat_slice_from(outcome->content_type), &answer.encoding);
    if (outcome->result == 0 && call->region == NULL) {
        answer.result =
            read_iterator(&call->answer, answer.encoding, &root, &answer.iterator, &answer.err);
        if (answer.result < 0 && answer.encoding == LEAT_WIRE_CBOR &&
            leat_kinesis_distrust_cbor(call->kinesis)) {
            call_send(call);
            return;
        }
        if (answer.result < 0)
            answer.fault.kind = LEAT_FAULT_FORMAT;
    }
    call_unlink(call);
    call->done(call->context, &answer);
    json_object_put(root);
    call_free(call);
}

struct leat_kinesis_call *
leat_kinesis_get_shard_iterator_start(struct leat_kinesis *kinesis, struct leat_event_loop *loop,
                                      const struct leat_kinesis_iterator_request *request,
                                      leat_kinesis_done_fn done, void *context)
{
    struct leat_kinesis_call *call = call_new(kinesis, loop, done, context);

    call->action = "GetShardIterator";
    call->stream = leat_strdup(request->stream);
    call->shard = leat_slice_copy(request->shard);
    call->sequence = leat_slice_copy(request->sequence);
    call->wanted = *request;
    call->wanted.stream = call->stream;
    call->wanted.shard = call->shard;
    call->wanted.sequence = call->sequence;
    call_send(call);
    return call;
}

struct leat_kinesis_call *
leat_kinesis_get_records_start(struct leat_kinesis *kinesis, struct leat_event_loop *loop,
                               const struct leat_kinesis_read *read, leat_kinesis_done_fn done,
                               void *context)
{
    struct leat_kinesis_call *call = call_new(kinesis, loop, done, context);

    call->action = "GetRecords";
    call->stream = leat_strdup(read->stream);
    call->iterator = leat_strdup(read->iterator);
    call->limit = read->limit;
    call->region = read->region;
    call_send(call);
    return call;
}

/* ---- blocking ------------------------------------------------------------------------------ */

int
leat_kinesis_get_shard_iterator(struct leat_kinesis *kinesis,
                                const struct leat_kinesis_iterator_request *request,
                                char ret_iterator[LEAT_KINESIS_ITERATOR_BYTES],
                                struct leat_error *err)
{
    struct leat_kinesis_action action = {.name = "GetShardIterator",
                                         .kind = "stream",
                                         .subject = leat_slice_from(request->stream),
                                         .write = write_get_iterator,
                                         .context = request};
    struct json_object *root;
    struct leat_slice iterator;
    int result = leat_kinesis_run(kinesis, &action, &root, err);

    if (result < 0)
        return result;
    if (leat_json_get_text(root, "ShardIterator", &iterator) && is_iterator(iterator))
        snprintf(ret_iterator, LEAT_KINESIS_ITERATOR_BYTES, "%.*s", (int)iterator.size,
                 (const char *)iterator.data);
    else
        result = leat_error_set(err, LEAT_E_FORMAT, NO_ITERATOR, LEAT_KINESIS_ITERATOR_BYTES - 1);
    json_object_put(root);
    return result;
}

int
leat_kinesis_get_records(struct leat_kinesis *kinesis, const char *stream, const char *iterator,
                         unsigned limit, struct leat_kinesis_region *region,
                         struct leat_kinesis_records *records, struct leat_error *err)
{
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;
    LEAT_AUTO_BUF lines = LEAT_BUF_INIT;
    enum leat_wire_encoding encoding = leat_kinesis_wire(kinesis), answered = encoding;
    struct leat_kinesis_call call = {.region = region}; /* for the callbacks alone */
    struct leat_aws_outcome outcome;
    const char *headers[2];
    struct leat_wire wire;
    struct leat_aws_request request = {
        .method = "POST",
        .path = leat_slice_from("/"),
        .query = leat_slice_from(""),
        .headers = headers,
        .header_count = 2,
        .subject = {"kinesis", "GetRecords", "stream", leat_slice_from(stream)},
        .head = region_head,
        .sink = on_bytes,
        .restart = on_restart,
        .context = &call,
    };
    int result;

    region->size = 0;
    leat_wire_begin(&wire, encoding, &body);
    write_get_records(&wire, iterator, limit);
    leat_kinesis_headers("GetRecords", encoding, &lines, headers);
    request.body = leat_buf_slice(&body);
    result = leat_aws_run(kinesis->client, &request, &outcome, err);
    if (result == 0) {
        (void)leat_wire_encoding_of(leat_slice_from(outcome.content_type), &answered);
        result = leat_kinesis_records_parse(region->data, region->size, answered, records, err);
        if (result == 0) {
            kinesis->is_proved =
                kinesis->is_proved ||
                (answered == LEAT_WIRE_CBOR && records->count > 0 && !records->has_text_data);
            return 0;
        }
        leat_error_prefix(err, "kinesis GetRecords of stream \"%s\"", stream);
        if (answered == LEAT_WIRE_JSON || !leat_kinesis_distrust_cbor(kinesis))
            return result;
    } else if (!leat_kinesis_lacks_cbor(kinesis, encoding, &outcome.fault)) {
        return result;
    }
    return leat_kinesis_get_records(kinesis, stream, iterator, limit, region, records, err);
}
