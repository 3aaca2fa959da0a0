/* A loop for each request: such requests come every few minutes at most, and what one connection saw is nothing to the next. */
#include "aws/credentials_fetch.h"

#include <poll.h>

#include <openssl/crypto.h>

#include "aws/http.h"
#include "base/clock.h"

#define LOOK_FOR_STOP_US (100 * LEAT_MS_US)
#define RECEIVE_BYTES ((size_t)16 << 10)
#define PAUSE_PIECE_MS 20
/* A clock that is off by less says the truth for this purpose. */
#define SKEW_WORTH_MINDING_US (60 * LEAT_SECOND_US)

struct fetch {
    const struct leat_credentials_request *request;
    struct leat_credentials_answer *answer;
    bool is_done, is_too_long;
    int result;
    struct leat_error err;
};

static int
on_body(void *context, const void *bytes, size_t size)
{
    struct fetch *fetch = context;

    if (fetch->answer->body.size + size > fetch->request->maximum_bytes) {
        fetch->is_too_long = true;
        return -1;
    }
    leat_buf_add(&fetch->answer->body, bytes, size);
    return 0;
}

static void
on_done(void *context, const struct leat_http_answer *answer)
{
    struct fetch *fetch = context;

    fetch->is_done = true;
    fetch->result = answer->result;
    fetch->err = answer->err;
    fetch->answer->status = answer->status;
    fetch->answer->date_us = answer->date_us;
    snprintf(fetch->answer->content_type, sizeof fetch->answer->content_type, "%.*s",
             (int)answer->content_type.size, (const char *)answer->content_type.data);
}

static int
run(const struct leat_credentials_context *context, struct leat_event_loop *loop,
    struct fetch *fetch, struct leat_error *err)
{
    const struct leat_credentials_request *request = fetch->request;
    const struct leat_http_request http = {.method = request->method,
                                           .url = request->url,
                                           .headers = request->headers,
                                           .header_count = request->header_count,
                                           .timeout_us = request->timeout_us,
                                           .connect_timeout_us = request->connect_timeout_us,
                                           .is_direct = request->is_direct,
                                           .may_connect = request->may_connect,
                                           .sink = on_body,
                                           .done = on_done,
                                           .context = fetch};
    struct leat_http_call *call = leat_http_start(loop, &http);

    while (!fetch->is_done) {
        if (leat_credentials_is_stopped(context)) {
            leat_http_cancel(call);
            return leat_error_set(err, LEAT_E_CANCELLED, "cancelled");
        }
        leat_event_loop_run_once(loop, leat_clock_monotonic_us() + LOOK_FOR_STOP_US);
    }
    if (fetch->is_too_long)
        return leat_error_set(err, LEAT_E_LIMIT, "the answer is longer than %zu bytes",
                              request->maximum_bytes);
    if (fetch->result < 0 && err != NULL)
        *err = fetch->err;
    return fetch->result;
}

int
leat_credentials_fetch(const struct leat_credentials_context *context,
                       const struct leat_credentials_request *request,
                       struct leat_credentials_answer *answer, struct leat_error *err)
{
    struct fetch fetch = {.request = request, .answer = answer};
    struct leat_event_loop_options options = {
        .ca_bundle = context->ca_bundle != NULL && *context->ca_bundle != '\0' ? context->ca_bundle
                                                                               : NULL,
        .receive_buffer_bytes = RECEIVE_BYTES};
    struct leat_event_loop *loop = leat_event_loop_new(&options, err);
    int result;

    if (loop == NULL)
        return LEAT_E_SYSTEM;
    /* All of it at once: growing would leave pieces of secrets behind. */
    leat_buf_init(&answer->body, request->maximum_bytes);
    leat_buf_reserve(&answer->body, request->maximum_bytes);
    result = run(context, loop, &fetch, err);
    leat_event_loop_free(loop);
    return result;
}

void
leat_credentials_answer_release(struct leat_credentials_answer *answer)
{
    if (answer->body.data != NULL)
        OPENSSL_cleanse(answer->body.data, answer->body.size);
    leat_buf_release(&answer->body);
    *answer = (struct leat_credentials_answer){0};
}

void
leat_credentials_pause(const struct leat_credentials_context *context, unsigned attempt)
{
    for (unsigned i = 0; i < 5 * attempt * attempt && !leat_credentials_is_stopped(context); i++)
        poll(NULL, 0, PAUSE_PIECE_MS);
}

int64_t
leat_credentials_expiry_us(int64_t expires_us, int64_t date_us)
{
    int64_t ahead_us = leat_clock_wall_us() - date_us;

    if (expires_us == 0 || date_us == 0 ||
        (ahead_us < SKEW_WORTH_MINDING_US && ahead_us > -SKEW_WORTH_MINDING_US))
        return expires_us;
    return expires_us + ahead_us;
}
