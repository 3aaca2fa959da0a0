/*
 * A request to the local S3, from its parsed head on. The first byte picks the method and whether signatures are looked at; then
 * come the target's line, lines of headers up to an empty one, and the body. A bucket with objects is there, so that what parses
 * finds something. Every answer in XML has to be XML, and the store's sums have to be right.
 */
#include <stdint.h>
#include <stdlib.h>

#include "aws/xml.h"
#include "base/memory.h"
#include "local/s3_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADERS 20

static const char *const methods[] = {"GET", "PUT", "HEAD", "DELETE", "POST"};

struct input {
    struct leat_sign_header headers[HEADERS];
    struct leat_local_request request;
};

static struct leat_local_s3 *
make_server(void)
{
    struct leat_local_s3_options options = {
        .maximum_bytes = 1 << 16, .object_bytes = 1 << 12, .page_keys = 4};
    struct leat_error err;
    struct leat_local_s3 *server = leat_local_s3_new(&options, &err);

    if (server == NULL)
        abort();
    return server;
}

/* As it was before the input, so that each input frees what it allocates: the fuzzer looks for leaks by that. */
static void
reset(struct leat_local_s3 *server)
{
    static const char *const keys[] = {"a", "a/b", "a/b/c", "a/d", "b&<", "\xc3\xa9", "z"};
    struct leat_error err;

    leat_mutex_lock(&server->lock);
    leat_local_objects_release(&server->store);
    leat_mutex_unlock(&server->lock);
    leat_local_s3_create_bucket(server, "bucket", &err);
    leat_local_s3_create_bucket(server, "empty", &err);
    for (size_t i = 0; i < LEAT_COUNT_OF(keys); i++)
        leat_local_s3_put(server, "bucket", leat_slice_from(keys[i]), leat_slice_from("data"),
                          &err);
}

static void
handle(struct leat_local_s3 *server, const struct leat_local_request *request,
       struct leat_local_answer *answer, bool checks_signatures)
{
    if (checks_signatures)
        leat_local_s3_set_credentials(server, "AKID", "secret", "token");
    leat_local_s3_handle(server, request, answer);
    if (checks_signatures) {
        leat_local_s3_set_credentials(server, NULL, NULL, NULL);
        leat_local_s3_set_credentials(server, NULL, NULL, NULL); /* forgets the token, too */
    }
}

/* The next line without its end; control characters do not come through the HTTP server. */
static struct leat_slice
take_line(struct leat_slice *rest)
{
    const unsigned char *end = rest->size > 0 ? memchr(rest->data, '\n', rest->size) : NULL;
    size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
    struct leat_slice line = leat_slice_make(rest->data, size);

    rest->data += size + (end != NULL);
    rest->size -= size + (end != NULL);
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] < 0x20)
            line.size = i;
    }
    return line;
}

static void
split(struct leat_slice line, unsigned char mark, struct leat_slice *ret_head,
      struct leat_slice *ret_tail)
{
    const unsigned char *found = line.size > 0 ? memchr(line.data, mark, line.size) : NULL;
    size_t head = found != NULL ? (size_t)(found - line.data) : line.size;

    *ret_head = leat_slice_make(line.data, head);
    *ret_tail = found != NULL ? leat_slice_make(line.data + head + 1, line.size - head - 1)
                              : leat_slice_from("");
}

static void
read_input(struct input *input, struct leat_slice rest)
{
    struct leat_slice line = take_line(&rest);

    input->request.headers = input->headers;
    split(line, '?', &input->request.path, &input->request.query);
    while (input->request.header_count < HEADERS && (line = take_line(&rest)).size > 0) {
        struct leat_sign_header *header = &input->headers[input->request.header_count++];

        split(line, ':', &header->name, &header->value);
    }
    input->request.body = leat_alloc(rest.size + 1);
    input->request.body_size = rest.size;
    memcpy(input->request.body, rest.data, rest.size);
}

static void
ignore_begin(void *context, struct leat_slice name, unsigned depth)
{
}

static void
ignore_end(void *context, struct leat_slice name, unsigned depth, struct leat_slice text)
{
}

static void
check_answer(struct leat_local_answer *answer)
{
    static const struct leat_xml_events events = {ignore_begin, ignore_end};
    struct leat_error err;

    if (answer->body.size > 0)
        LEAT_ASSERT(leat_xml_parse(leat_buf_slice(&answer->body), &events, NULL, &err) == 0);
    if (answer->release != NULL)
        answer->release(answer->release_context);
    leat_buf_release(&answer->headers);
    leat_buf_release(&answer->body);
}

static void
check_store(struct leat_local_s3 *server)
{
    uint64_t objects = 0, bytes = 0;

    leat_mutex_lock(&server->lock);
    for (size_t b = 0; b < server->store.count; b++) {
        const struct leat_local_bucket *bucket = server->store.buckets[b];

        objects += bucket->count;
        for (size_t i = 0; i < bucket->count; i++) {
            bytes += bucket->objects[i].key.size + bucket->objects[i].blob->bytes.size;
            LEAT_ASSERT(i == 0 ||
                        leat_slice_compare(bucket->objects[i - 1].key, bucket->objects[i].key) < 0);
        }
    }
    LEAT_ASSERT(objects == server->store.objects && bytes == server->store.bytes);
    LEAT_ASSERT(bytes <= server->maximum_bytes);
    leat_mutex_unlock(&server->lock);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct leat_local_s3 *server;
    struct leat_local_answer answer = {.headers = LEAT_BUF_INIT, .body = LEAT_BUF_INIT};
    struct input input = {0};

    if (size == 0)
        return 0;
    if (server == NULL) {
        server = make_server();
        reset(server);
    }
    input.request.method = leat_slice_from(methods[(data[0] & 0x7f) % LEAT_COUNT_OF(methods)]);
    read_input(&input, leat_slice_make(data + 1, size - 1));
    handle(server, &input.request, &answer, data[0] & 0x80);
    check_answer(&answer);
    check_store(server);
    reset(server);
    free(input.request.body);
    return 0;
}
