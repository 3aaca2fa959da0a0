/* Refusals in S3's words, and who is refused: signature, clock and the body's hash. */
#include "base/clock.h"
#include "base/encoding.h"
#include "base/memory.h"
#include "base/random.h"
#include "local/s3_inside.h"
#include "local/xml.h"

#define MAXIMUM_SKEW_US (15 * 60 * LEAT_SECOND_US)

void
leat_local_s3_refuse(struct leat_local_s3_call *call, int status, const char *code,
                     const char *format, ...)
{
    struct leat_buf *body = &call->answer->body;
    LEAT_AUTO_BUF message = LEAT_BUF_INIT;
    va_list arguments;

    va_start(arguments, format);
    leat_buf_vprintf(&message, format, arguments);
    va_end(arguments);
    call->answer->status = status;
    leat_buf_clear(body);
    leat_local_http_header(call->answer, "Content-Type", "application/xml");
    leat_buf_printf(
        body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>", code);
    leat_local_xml_text(body, leat_buf_slice(&message));
    leat_buf_add_text(body, "</Message><Resource>");
    leat_local_xml_text(body, call->request->path);
    leat_buf_add_text(body, "</Resource></Error>");
}

int64_t
leat_local_s3_time(const struct leat_local_s3 *server)
{
    return leat_clock_wall_us() + server->shift_us;
}

/* A token that was good a while ago: the client is to read its credentials again. */
static bool
is_expired_token(const struct leat_local_s3 *server, const struct leat_local_s3_call *call)
    LEAT_REQUIRES(server->lock)
{
    struct leat_slice token;

    return server->old_token != NULL &&
           leat_local_http_find(call->request, "x-amz-security-token", &token) &&
           leat_slice_is(token, server->old_token);
}

static void
refuse_verdict(const struct leat_local_s3 *server, struct leat_local_s3_call *call,
               enum leat_sign_verdict verdict) LEAT_REQUIRES(server->lock)
{
    const char *text = leat_sign_verdict_text(verdict);
    struct leat_slice hash;

    switch (verdict) {
    case LEAT_SIGN_OK:
        return;
    case LEAT_SIGN_MISSING:
        leat_local_s3_refuse(call, 403, "AccessDenied", "%s", text);
        return;
    case LEAT_SIGN_MALFORMED:
        if (!leat_local_http_find(call->request, "x-amz-content-sha256", &hash))
            leat_local_s3_refuse(call, 400, "InvalidRequest",
                                 "Missing required header for this request: x-amz-content-sha256");
        else
            leat_local_s3_refuse(call, 400, "AuthorizationHeaderMalformed", "%s", text);
        return;
    case LEAT_SIGN_UNKNOWN_KEY:
        if (is_expired_token(server, call))
            leat_local_s3_refuse(call, 400, "ExpiredToken", "the session token has expired");
        else
            leat_local_s3_refuse(call, 403, "InvalidAccessKeyId", "%s", text);
        return;
    case LEAT_SIGN_BAD_TOKEN:
        if (is_expired_token(server, call))
            leat_local_s3_refuse(call, 400, "ExpiredToken", "the session token has expired");
        else
            leat_local_s3_refuse(call, 400, "InvalidToken", "%s", text);
        return;
    case LEAT_SIGN_WRONG_SCOPE:
        leat_local_s3_refuse(call, 400, "AuthorizationHeaderMalformed", "%s; the region is %s",
                             text, server->region);
        return;
    case LEAT_SIGN_SKEWED:
        leat_local_s3_refuse(call, 403, "RequestTimeTooSkewed", "%s", text);
        return;
    case LEAT_SIGN_WRONG_BODY:
        leat_local_s3_refuse(call, 400, "XAmzContentSHA256Mismatch", "%s", text);
        return;
    case LEAT_SIGN_MISMATCH:
        leat_local_s3_refuse(call, 403, "SignatureDoesNotMatch", "%s", text);
        return;
    }
}

struct leat_sign_request
leat_local_s3_signed(const struct leat_local_s3_call *call)
{
    const struct leat_local_request *request = call->request;

    return (struct leat_sign_request){.method = request->method,
                                      .path = request->path,
                                      .query = request->query,
                                      .headers = request->headers,
                                      .header_count = request->header_count};
}

bool
leat_local_s3_is_allowed(struct leat_local_s3 *server, struct leat_local_s3_call *call)
{
    struct leat_sign_request signed_request = leat_local_s3_signed(call);
    bool is_issued = call->issued.access_key_id != NULL;
    struct leat_sign_check check = {.credentials = is_issued ? &call->issued : &server->credentials,
                                    .region = leat_slice_from(server->region),
                                    .service = leat_slice_from("s3"),
                                    .now_us = leat_local_s3_time(server),
                                    .maximum_skew_us = MAXIMUM_SKEW_US,
                                    .body_hash = leat_slice_from(call->body_hash)};
    enum leat_sign_verdict verdict;

    if (!server->checks_signatures && server->issuer.find == NULL)
        return true;
    verdict = leat_sign_verify(&signed_request, &check);
    refuse_verdict(server, call, verdict);
    if (verdict == LEAT_SIGN_OK && is_issued && call->is_issued_expired) {
        leat_local_s3_refuse(call, 400, "ExpiredToken", "The provided token has expired.");
        return false;
    }
    return verdict == LEAT_SIGN_OK;
}
