/*
 * A request to the local roles server, from its parsed head on. The first byte picks the method, whether the body is called a form, and
 * whether the tokens that are asked for are brought; then come the target's line, lines of headers up to an empty one, and the
 * body. What STS answers has to be XML, what the container answers JSON, and no call may stay under way.
 */
#include <json-c/json.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "aws/xml.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/roles_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADERS 20
#define METADATA_TOKEN "TOKEN"

static const char *const methods[] = {"POST", "GET", "PUT", "DELETE"};

struct input {
    struct leat_sign_header headers[HEADERS + 3];
    struct leat_local_request request;
};

static struct leat_local_roles *
make_server(void)
{
    static const struct leat_local_role roles[] = {
        {.arn = "arn:aws:iam::123456789012:role/a"},
        {.arn = "arn:aws:iam::123456789012:role/b", .external_id = "id"},
    };
    struct leat_local_roles_options options = {.access_key_id = "AKID",
                                               .secret_access_key = "secret",
                                               .roles = roles,
                                               .role_count = LEAT_COUNT_OF(roles),
                                               .web_identity_token = "aaaa",
                                               .container_token = "raw"};
    struct leat_error err;
    struct leat_local_roles *server = leat_local_roles_new(&options, &err);

    if (server == NULL)
        abort();
    return server;
}

/* As it was before the input, so that each input frees what it allocates: the fuzzer looks for leaks by that. */
static void
reset(struct leat_local_roles *server)
{
    leat_mutex_lock(&server->lock);
    leat_local_issued_release(server->issued);
    leat_local_roles_forget_faults(server);
    server->session_count = 0;
    memset(server->sessions, 0, sizeof server->sessions);
    memcpy(server->metadata_tokens[0].text, METADATA_TOKEN, sizeof METADATA_TOKEN);
    server->metadata_tokens[0].expires_us = INT64_MAX;
    server->next_metadata_token = 1;
    leat_mutex_unlock(&server->lock);
    atomic_store(&server->shift_us, 0);
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
add_header(struct input *input, struct leat_slice name, struct leat_slice value)
{
    input->headers[input->request.header_count++] = (struct leat_sign_header){name, value};
}

static void
read_input(struct input *input, unsigned char first, struct leat_slice rest)
{
    struct leat_slice line = take_line(&rest);

    input->request = (struct leat_local_request){
        .method = leat_slice_from(methods[first % LEAT_COUNT_OF(methods)]),
        .path = line,
        .query = leat_slice_from(""),
        .headers = input->headers};
    if ((first & 0x40) != 0)
        add_header(input, leat_slice_from("Content-Type"),
                   leat_slice_from("application/x-www-form-urlencoded"));
    if ((first & 0x80) != 0) {
        add_header(input, leat_slice_from("X-aws-ec2-metadata-token"),
                   leat_slice_from(METADATA_TOKEN));
        add_header(input, leat_slice_from("Authorization"), leat_slice_from("raw"));
    }
    while (input->request.header_count < HEADERS && (line = take_line(&rest)).size > 0) {
        const unsigned char *colon = memchr(line.data, ':', line.size);
        size_t head = colon != NULL ? (size_t)(colon - line.data) : line.size;

        add_header(input, leat_slice_make(line.data, head),
                   colon != NULL ? leat_slice_make(colon + 1, line.size - head - 1)
                                 : leat_slice_from(""));
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
check_answer(const struct leat_local_roles *server, const struct input *input,
             struct leat_local_answer *answer)
{
    static const struct leat_xml_events events = {ignore_begin, ignore_end};
    struct json_object *root = NULL;
    struct leat_error err;

    if (leat_slice_is(input->request.path, "/") && leat_slice_is(input->request.method, "POST"))
        LEAT_ASSERT(leat_xml_parse(answer->shared, &events, NULL, &err) == 0);
    if (leat_slice_is(input->request.path, server->container_path)) {
        LEAT_ASSERT(leat_json_parse(answer->shared, &root, &err) == 0);
        json_object_put(root);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct leat_local_roles *server;
    struct leat_local_answer answer = {.headers = LEAT_BUF_INIT, .body = LEAT_BUF_INIT};
    struct leat_local_roles_counts counts;
    struct input input;

    if (size == 0)
        return 0;
    if (server == NULL)
        server = make_server();
    reset(server);
    read_input(&input, data[0], leat_slice_make(data + 1, size - 1));
    leat_local_roles_handle(server, &input.request, &answer);
    if (answer.release != NULL) {
        check_answer(server, &input, &answer);
        answer.release(answer.release_context);
    }
    leat_local_roles_counts(server, &counts);
    LEAT_ASSERT(counts.under_way == 0);
    free(input.request.body);
    leat_buf_release(&answer.headers);
    leat_buf_release(&answer.body);
    return 0;
}
