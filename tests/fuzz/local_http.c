/*
 * A request to the local Kinesis, from its parsed head on: the first byte picks encoding and action (or a control request), the
 * rest is the body. A stream with records and a reshard is there, so that what parses finds something.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "local/kinesis_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const targets[] = {
    "GetRecords",    "GetShardIterator", "PutRecords",   "PutRecord",
    "ListShards",    "DescribeStream",   "ListStreams",  "DescribeStreamSummary",
    "CreateStream",  "DeleteStream",     "SplitShard",   "MergeShards",
    "/_leat/faults", "/_leat/trim",      "/_leat/clock", "/_leat/split",
};

static struct leat_local_kinesis *
make_server(void)
{
    struct leat_local_kinesis_options options = {.maximum_bytes = 1 << 20};
    struct leat_local_kinesis *server;
    struct leat_error err;

    server = leat_local_kinesis_new(&options, &err);
    if (server == NULL)
        abort();
    return server;
}

/* Small again after each input: it may have created 20,000 shards, or a fault of 12 days. */
static void
reset(struct leat_local_kinesis *server)
{
    struct leat_error err;

    leat_mutex_lock(&server->lock);
    leat_local_store_release(&server->store);
    leat_local_store_init(&server->store);
    server->store.maximum_bytes = 1 << 20;
    leat_local_faults_clear(&server->faults);
    atomic_store(&server->shift_us, 0);
    leat_mutex_unlock(&server->lock);
    leat_local_kinesis_create_stream(server, "s", 2, &err);
    leat_local_kinesis_put(server, "s", leat_slice_from("k"), leat_slice_from(""),
                           leat_slice_from("data"), NULL, &err);
    leat_local_kinesis_split(server, "s", "shardId-000000000000", &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct leat_local_kinesis *server;
    struct leat_local_answer answer = {.headers = LEAT_BUF_INIT, .body = LEAT_BUF_INIT};
    struct leat_sign_header headers[2];
    struct leat_local_request request = {.method = leat_slice_from("POST"),
                                         .path = leat_slice_from("/"),
                                         .query = leat_slice_from(""),
                                         .headers = headers,
                                         .header_count = 2};
    const char *target;
    char text[64];

    if (size == 0)
        return 0;
    if (server == NULL)
        server = make_server();
    reset(server);
    target = targets[data[0] % LEAT_COUNT_OF(targets)];
    snprintf(text, sizeof text, "Kinesis_20131202.%s", target);
    headers[0] = (struct leat_sign_header){leat_slice_from("X-Amz-Target"), leat_slice_from(text)};
    headers[1] = (struct leat_sign_header){
        leat_slice_from("Content-Type"),
        leat_slice_from(data[0] & 0x80 ? LEAT_WIRE_CBOR_TYPE : LEAT_WIRE_JSON_TYPE)};
    if (target[0] == '/')
        request.path = leat_slice_from(target);
    request.body = leat_alloc(size);
    request.body_size = size - 1;
    memcpy(request.body, data + 1, size - 1);
    leat_local_handle(server, &request, &answer);
    free(request.body);
    leat_buf_release(&answer.headers);
    leat_buf_release(&answer.body);
    return 0;
}
