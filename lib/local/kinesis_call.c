/*
 * A request from its bytes to its answer: whose is it, which action, is it signed, what does it ask, which faults hit it.
 * Foreign bytes: nothing here asserts on them (tests/fuzz/local_http.c).
 */
#include <json-c/json.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "local/kinesis_inside.h"

#define TARGET_PREFIX "Kinesis_20131202."
#define MAXIMUM_SKEW_US (15 * 60 * LEAT_SECOND_US)

/* ---- signatures ------------------------------------------------------------------------------ */

static int
refuse_signature(enum leat_sign_verdict verdict, struct leat_local_refusal *refusal)
{
    static const char mismatch[] =
        "The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method. Consult the service documentation for "
        "details.";

    switch (verdict) {
    case LEAT_SIGN_OK:
        return 0;
    case LEAT_SIGN_MISSING:
        return leat_local_refuse(refusal, "MissingAuthenticationTokenException",
                                 "Missing Authentication Token");
    case LEAT_SIGN_MALFORMED:
        return leat_local_refuse(refusal, "IncompleteSignatureException",
                                 "Authorization header requires 'Credential' parameter, "
                                 "'SignedHeaders' parameter, 'Signature' parameter, and "
                                 "'X-Amz-Date' and 'Host' among the signed headers.");
    case LEAT_SIGN_UNKNOWN_KEY:
    case LEAT_SIGN_BAD_TOKEN:
        return leat_local_refuse(refusal, "UnrecognizedClientException",
                                 "The security token included in the request is invalid.");
    case LEAT_SIGN_WRONG_SCOPE:
        return leat_local_refuse(refusal, "InvalidSignatureException",
                                 "Credential should be scoped to a valid region and to service "
                                 "'kinesis', and to the day of the request.");
    case LEAT_SIGN_SKEWED:
        return leat_local_refuse(refusal, "InvalidSignatureException",
                                 "Signature expired, or not yet current: the request's time is "
                                 "more than 15 min. from the server's");
    case LEAT_SIGN_WRONG_BODY:
    case LEAT_SIGN_MISMATCH:
        break;
    }
    return leat_local_refuse(refusal, "InvalidSignatureException", "%s", mismatch);
}

static int
refuse_expired(struct leat_local_refusal *refusal)
{
    return leat_local_refuse(refusal, "ExpiredTokenException",
                             "The security token included in the request is expired");
}

/* The credentials by which a request is judged. */
struct judge {
    struct leat_credentials credentials; /* access_key_id NULL: nobody's */
    bool is_expired;                     /* good until a while ago */
    bool is_unchecked;                   /* signatures are not looked at */
};

static void
find_judge(struct leat_local_call *call, const struct leat_sign_request *request,
           struct judge *ret_judge)
{
    struct leat_local_kinesis *server = call->server;
    const struct leat_local_credentials *ours = &server->credentials;

    *ret_judge = (struct judge){0};
    if (leat_local_issuer_find(&server->issuer, request, call->now_us, &ret_judge->credentials,
                               &ret_judge->is_expired))
        return;
    leat_mutex_lock(&server->lock);
    if (ours->known.access_key_id != NULL)
        leat_credentials_copy(&ret_judge->credentials, &ours->known);
    else
        ret_judge->is_unchecked = server->issuer.find == NULL;
    leat_mutex_unlock(&server->lock);
}

/* The token was good until set_credentials. */
static bool
is_old_token(struct leat_local_kinesis *server, const struct leat_local_request *request)
{
    struct leat_slice token;
    bool is_old;

    if (!leat_local_http_find(request, "x-amz-security-token", &token))
        return false;
    leat_mutex_lock(&server->lock);
    is_old = server->credentials.expired_token != NULL &&
             leat_slice_is(token, server->credentials.expired_token);
    leat_mutex_unlock(&server->lock);
    return is_old;
}

static int
check_signature(struct leat_local_call *call, const struct leat_local_request *request)
{
    char hash[LEAT_SHA256_HEX_BYTES];
    struct leat_sign_request received = {.method = request->method,
                                         .path = request->path,
                                         .query = request->query,
                                         .headers = request->headers,
                                         .header_count = request->header_count};
    struct judge judge;
    struct leat_sign_check check = {.credentials = &judge.credentials,
                                    .region = leat_slice_from(call->server->region),
                                    .service = leat_slice_from("kinesis"),
                                    .now_us = call->now_us,
                                    .maximum_skew_us = MAXIMUM_SKEW_US};
    int result;

    find_judge(call, &received, &judge);
    if (judge.is_unchecked)
        return 0;
    if (is_old_token(call->server, request)) {
        result = refuse_expired(&call->refusal);
    } else {
        leat_sha256_hex(leat_slice_make(request->body, request->body_size), hash);
        check.body_hash = leat_slice_from(hash);
        result = refuse_signature(leat_sign_verify(&received, &check), &call->refusal);
        if (result == 0 && judge.is_expired)
            result = refuse_expired(&call->refusal);
    }
    leat_credentials_release(&judge.credentials);
    return result;
}

/* ---- what is asked --------------------------------------------------------------------------- */

static int
unsupported_encoding(struct leat_local_call *call)
{
    leat_local_refuse(&call->refusal, "UnsupportedMediaTypeException",
                      "The Content-Type is not supported.");
    call->refusal.status = 415;
    call->encoding = LEAT_WIRE_JSON;
    return LEAT_E_INVALID;
}

static int
find_action(struct leat_local_call *call, const struct leat_local_request *request)
{
    struct leat_slice target = leat_slice_from(""), type = leat_slice_from("");
    size_t prefix = strlen(TARGET_PREFIX);

    call->encoding = LEAT_WIRE_JSON;
    (void)leat_local_http_find(request, "content-type", &type);
    if (!leat_wire_encoding_of(type, &call->encoding))
        return unsupported_encoding(call);
    (void)leat_local_http_find(request, "x-amz-target", &target);
    if (leat_slice_is(request->method, "POST") && leat_slice_is(request->path, "/") &&
        target.size > prefix && memcmp(target.data, TARGET_PREFIX, prefix) == 0) {
        target = leat_slice_make(target.data + prefix, target.size - prefix);
        for (size_t i = 0; i < LEAT_LOCAL_ACTIONS; i++) {
            if (leat_slice_is(target, leat_local_actions[i].name)) {
                call->action = &leat_local_actions[i];
                return 0;
            }
        }
    }
    return leat_local_refuse(&call->refusal, "UnknownOperationException",
                             "The operation is not known.");
}

static int
parse_request(struct leat_local_call *call, const struct leat_local_request *request)
{
    if (call->action->is_put)
        return leat_local_put_parse(call, request->body, request->body_size);
    if (leat_wire_parse(request->body, request->body_size, call->encoding, &call->root, NULL,
                        NULL) < 0 ||
        !json_object_is_type(call->root, json_type_object))
        return leat_local_refuse(&call->refusal, "SerializationException",
                                 "The request could not be read.");
    return 0;
}

/* Stream and shard that the call is about, for the faults that name one. */
static void
find_subject(struct leat_local_call *call, struct leat_slice *ret_stream,
             struct leat_slice *ret_shard) LEAT_REQUIRES(call->server->lock)
{
    struct leat_local_token token;
    struct leat_slice text;

    *ret_stream = leat_local_call_stream_name(call);
    *ret_shard = leat_slice_from("");
    if (leat_json_get_text(call->root, "ShardId", &text) ||
        leat_json_get_text(call->root, "ShardToSplit", &text) ||
        leat_json_get_text(call->root, "ShardToMerge", &text))
        *ret_shard = text;
    if (leat_json_get_text(call->root, "ShardIterator", &text) &&
        leat_local_token_parse(text, LEAT_LOCAL_TOKEN_ITERATOR, call->server->identity, &token)) {
        struct leat_local_stream *stream =
            leat_local_store_by_id(&call->server->store, token.stream);

        if (stream != NULL && token.shard < stream->shard_count) {
            *ret_stream = leat_slice_from(stream->name);
            *ret_shard = leat_slice_from(stream->shards[token.shard]->name);
        }
    }
}

/* Counts the call and makes its plan; < 0: refused by a limit of lists. */
static int
begin_call(struct leat_local_call *call)
{
    struct leat_local_kinesis *server = call->server;
    size_t place = (size_t)(call->action - leat_local_actions);
    struct leat_slice stream, shard;
    uint32_t rate;
    bool is_allowed;

    leat_mutex_lock(&call->server->lock);
    server->calls[place]++;
    leat_local_store_settle(&server->store, call->now_us);
    find_subject(call, &stream, &shard);
    leat_local_faults_plan(&server->faults, call->action->name, stream, shard, &call->plan);
    rate = call->action->is_list ? server->store.limits.lists : 0;
    is_allowed = leat_local_bucket_has(&server->lists[place], rate, call->now_us, 1);
    if (is_allowed)
        leat_local_bucket_take(&server->lists[place], rate, 1);
    leat_mutex_unlock(&call->server->lock);
    return is_allowed ? 0
                      : leat_local_refuse(&call->refusal, "LimitExceededException",
                                          "Rate exceeded for %s.", call->action->name);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void
write_refusal(struct leat_local_call *call)
{
    const struct leat_local_refusal *refusal = &call->refusal;

    leat_buf_clear(call->body);
    if (refusal->type[0] == '\0')
        return;
    leat_wire_begin(&call->wire, call->encoding, call->body);
    leat_wire_object(&call->wire, NULL, 2);
    leat_wire_text(&call->wire, "__type", leat_slice_from(refusal->type));
    leat_wire_text(&call->wire, "message", leat_slice_from(refusal->message));
    leat_wire_object_end(&call->wire);
}

static int
run_planned(struct leat_local_call *call)
{
    if (call->plan.has_no_cbor && call->encoding == LEAT_WIRE_CBOR)
        return unsupported_encoding(call);
    if (call->plan.status != 0) {
        leat_local_refuse(&call->refusal, call->plan.type, "On demand.");
        call->refusal.status = call->plan.status;
        return LEAT_E_INVALID;
    }
    leat_wire_begin(&call->wire, call->encoding, call->body);
    return call->action->run(call);
}

static void
count_refusal(struct leat_local_call *call, bool is_unsigned)
{
    struct leat_local_kinesis *server = call->server;
    const char *type = call->refusal.type;

    leat_mutex_lock(&server->lock);
    server->counts.refused++;
    server->counts.unsigned_calls += is_unsigned;
    server->counts.throttled += strcmp(type, "ProvisionedThroughputExceededException") == 0 ||
                                strcmp(type, "LimitExceededException") == 0;
    leat_mutex_unlock(&server->lock);
}

static int
run_call(struct leat_local_call *call, const struct leat_local_request *request,
         struct leat_local_answer *answer, bool *ret_is_unsigned)
{
    int result = find_action(call, request);

    if (result == 0) {
        result = check_signature(call, request);
        *ret_is_unsigned = result < 0;
    }
    if (result == 0)
        result = parse_request(call, request);
    if (result == 0)
        result = begin_call(call);
    answer->fault = call->plan.http;
    if (result < 0 || call->plan.is_reset)
        return result;
    return run_planned(call);
}

static void
free_call(struct leat_local_call *call)
{
    json_object_put(call->root);
    free(call->put.records);
    leat_arena_release(&call->arena);
}

void
leat_local_handle(void *context, const struct leat_local_request *request,
                  struct leat_local_answer *answer)
{
    struct leat_local_kinesis *server = context;
    struct leat_local_call call = {
        .server = server,
        .body = &answer->body,
        .put = {.stream = leat_slice_from(""), .arn = leat_slice_from("")},
    };
    bool is_unsigned = false;

    if (request->path.size >= 7 && memcmp(request->path.data, "/_leat/", 7) == 0) {
        leat_local_control(server, request, answer);
        return;
    }
    call.now_us = leat_local_kinesis_now_us(server);
    leat_arena_init(&call.arena);
    leat_mutex_lock(&server->lock);
    server->counts.calls++;
    leat_mutex_unlock(&server->lock);
    if (run_call(&call, request, answer, &is_unsigned) < 0) {
        answer->status = call.refusal.status;
        count_refusal(&call, is_unsigned);
        write_refusal(&call);
    }
    leat_local_http_header(answer, "Content-Type", "%s",
                           call.encoding == LEAT_WIRE_CBOR ? LEAT_WIRE_CBOR_TYPE
                                                           : LEAT_WIRE_JSON_TYPE);
    leat_local_http_header(answer, "x-amzn-RequestId", "%016llx",
                           (unsigned long long)leat_random_identity());
    free_call(&call);
}
