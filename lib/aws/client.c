/*
 * A signed call: credentials → signature → HTTP → class of a refusal; at most one question for other credentials and one
 * correction of the clock per call. While credentials are being asked for, the call waits by a timer: its loop goes on. Retries with a wait
 * exist for blocking calls only: a started call's owner knows better.
 *
 * The clock: a call that is refused for it takes the answer's Date, and is sent again. What it took becomes the client's when the
 * service is content with it, never before: a Date that is nonsense spoils that call alone. Calls under way at the same time
 * were signed by the old clock, too: each compares with the time that it was signed with, not with what others have learnt.
 *
 * Secrets: request headers (they hold the session token) are wiped as soon as libcurl has its copy.
 */
#include "aws/client.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "aws/refusal.h"
#include "aws/sign.h"
#include "base/clock.h"
#include "base/memory.h"

#define REFUSAL_MAXIMUM_BYTES ((size_t)16 << 10)
#define UNWANTED_MAXIMUM_BYTES ((size_t)1 << 20)
#define SKEW_WORTH_CORRECTING_US (60 * LEAT_SECOND_US)
#define MAXIMUM_HEADERS 12
#define LINES_BYTES ((size_t)16 << 10)
#define LOOK_FOR_STOP_US (100 * LEAT_MS_US)
#define LOOK_FOR_CREDENTIALS_US (2 * LEAT_MS_US)
#define LONGEST_LOOK_US (200 * LEAT_MS_US)
/* As long as the slowest source may take: a program that asks a person's device has a minute. */
#define CREDENTIALS_WAIT_US (70 * LEAT_SECOND_US)

struct leat_aws_client {
    const struct leat_aws *aws;
    enum leat_service service;
    struct leat_endpoint endpoint;
    unsigned attempts; /* of blocking calls, as AWS's own settings say; 0: they do not */
    struct leat_credentials_held held; /* what calls are signed with */
    int64_t skew_us; /* added to our clock for signing; of the last correction that was accepted */
    int64_t date_us, date_at_us;  /* the last Date header, and when (monotonic) */
    struct leat_event_loop *loop; /* of blocking calls */
    struct leat_random random;
    atomic_bool is_interrupted;
};

struct leat_aws_call {
    struct leat_aws_client *client;
    struct leat_event_loop *loop;
    struct leat_aws_request request;
    char subject_name[256], action[64];
    struct leat_http_call *http;
    /* A failure before anything was sent, told later; or the next look for credentials. */
    struct leat_loop_timer *timer;
    int64_t credentials_by_us;  /* until when it waits for them */
    uint64_t signed_generation; /* of the credentials that this attempt was signed with */
    int64_t look_us;            /* until the next look for credentials: grows */
    /* The question for other credentials, and the generation that was refused; 0: none. */
    uint64_t ticket, refused;
    struct leat_aws_outcome outcome;
    struct leat_buf refusal;
    size_t unwanted_bytes; /* of this attempt: refusals, and bodies without a sink */
    int64_t skew_us;       /* that this attempt was signed with */
    int64_t signed_us;     /* the service's time as we thought it to be then */
    bool has_refreshed, has_corrected, is_success;
};

static int
look_up_attempts(struct leat_aws_client *client, struct leat_error *err)
{
    struct leat_setting attempts = {0}, mode = {0};
    const char *profile = client->aws->profile;
    int result = leat_setting_get("AWS_MAX_ATTEMPTS", profile, "max_attempts", &attempts, err);

    if (result == 0)
        result = leat_setting_get("AWS_RETRY_MODE", profile, "retry_mode", &mode, err);
    if (result == 0)
        result = leat_retry_attempts(&attempts, &mode, &client->attempts, err);
    leat_setting_release(&attempts);
    leat_setting_release(&mode);
    return result;
}

struct leat_aws_client *
leat_aws_client_new(const struct leat_aws *aws, enum leat_service service, struct leat_error *err)
{
    struct leat_aws_client *client = LEAT_NEW(struct leat_aws_client);
    struct leat_event_loop_options options = {.ca_bundle = aws->ca_bundle, .idle_connections = 4};

    client->aws = aws;
    client->service = service;
    if (leat_endpoint_resolve(service, aws->region, aws->endpoints[service], aws->profile,
                              &client->endpoint, err) < 0 ||
        look_up_attempts(client, err) < 0 ||
        (client->loop = leat_event_loop_new(&options, err)) == NULL) {
        free(client);
        return NULL;
    }
    leat_endpoint_address(&client->endpoint, aws->s3_addressing);
    leat_random_seed(&client->random, (uint64_t)leat_random_identity());
    return client;
}

void
leat_aws_client_free(struct leat_aws_client *client)
{
    if (client == NULL)
        return;
    leat_event_loop_free(client->loop);
    leat_credentials_release(&client->held.credentials);
    free(client);
}

const struct leat_endpoint *
leat_aws_client_endpoint(const struct leat_aws_client *client)
{
    return &client->endpoint;
}

int64_t
leat_aws_client_now_us(const struct leat_aws_client *client)
{
    if (client->date_us == 0)
        return leat_clock_wall_us() + client->skew_us;
    return client->date_us + (leat_clock_monotonic_us() - client->date_at_us);
}

/* ---- one attempt --------------------------------------------------------------------------- */

/* LEAT_E_TIMEOUT: they are being asked for. */
static int
ensure_credentials(struct leat_aws_client *client, struct leat_error *err)
{
    int result;

    if (client->aws->credentials == NULL)
        return leat_error_set(err, LEAT_E_DENIED, "no AWS credentials are configured");
    result = leat_credentials_hold(client->aws->credentials, &client->held, err);
    switch (result) {
    case 0:
    case LEAT_E_TIMEOUT:
    case LEAT_E_UNAVAILABLE:
    case LEAT_E_THROTTLED:
    case LEAT_E_CANCELLED:
        return result;
    default:
        /* NOT_FOUND would read as "the stream is gone", INVALID as "the position is not of this stream". */
        if (err != NULL)
            err->code = LEAT_E_DENIED;
        return LEAT_E_DENIED;
    }
}

struct lines {
    struct leat_buf text; /* the lines, zero-terminated, one after the other */
    size_t offsets[MAXIMUM_HEADERS + 6];
    size_t count;
};

static void
add_line(struct lines *lines, const char *name, struct leat_slice value)
{
    lines->offsets[lines->count++] = lines->text.size;
    leat_buf_printf(&lines->text, "%s: ", name);
    leat_buf_add_slice(&lines->text, value);
    leat_buf_add_byte(&lines->text, 0);
}

/* The caller's "name: value" lines as headers to sign. */
static size_t
split_lines(const struct leat_aws_request *request, struct leat_sign_header *headers)
{
    LEAT_ASSERT(request->header_count <= MAXIMUM_HEADERS);
    for (size_t i = 0; i < request->header_count; i++) {
        const char *line = request->headers[i], *colon = strchr(line, ':');

        LEAT_ASSERT(colon != NULL);
        headers[i].name = leat_slice_make(line, (size_t)(colon - line));
        headers[i].value = leat_slice_from(colon + 1);
        while (headers[i].value.size > 0 && headers[i].value.data[0] == ' ') {
            headers[i].value.data++;
            headers[i].value.size--;
        }
    }
    return request->header_count;
}

static void
sign(struct leat_aws_call *call, struct lines *lines)
{
    struct leat_aws_client *client = call->client;
    const struct leat_aws_request *request = &call->request;
    const char *service = leat_service_name(client->service);
    struct leat_sign_header headers[MAXIMUM_HEADERS + 2];
    size_t count = split_lines(request, headers);
    char hash[LEAT_SHA256_HEX_BYTES], date[17];
    const char *host = request->host != NULL ? request->host : client->endpoint.host;
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    LEAT_AUTO_BUF authorization = LEAT_BUF_INIT;
    struct leat_sign_scope scope = {
        .region = leat_slice_from(client->endpoint.region),
        .service = leat_slice_from(service),
        .time_us = leat_clock_wall_us() + call->skew_us,
    };
    struct leat_sign_request to_sign = {
        .method = leat_slice_from(request->method), .query = request->query, .headers = headers};

    call->signed_us = scope.time_us;
    call->signed_generation = client->held.generation;
    leat_sha256_hex(request->body, hash);
    leat_buf_add_text(&path, client->endpoint.path);
    leat_buf_add_slice(&path, request->path);
    headers[count].name = leat_slice_from("host");
    headers[count++].value = leat_slice_from(host);
    if (client->service == LEAT_SERVICE_S3) {
        headers[count].name = leat_slice_from("x-amz-content-sha256");
        headers[count++].value = leat_slice_from(hash);
        add_line(lines, "x-amz-content-sha256", leat_slice_from(hash));
    }
    to_sign.header_count = count;
    to_sign.path = leat_buf_slice(&path);
    to_sign.payload_hash = leat_slice_from(hash);
    leat_sign_request(&to_sign, &client->held.credentials, &scope, date, &authorization);
    add_line(lines, "host", leat_slice_from(host));
    add_line(lines, "x-amz-date", leat_slice_from(date));
    if (client->held.credentials.session_token != NULL)
        add_line(lines, "x-amz-security-token",
                 leat_slice_from(client->held.credentials.session_token));
    add_line(lines, "authorization", leat_buf_slice(&authorization));
}

static int
on_head(void *context, int status, int64_t content_length)
{
    struct leat_aws_call *call = context;

    call->is_success = status >= 200 && status < 300;
    if (!call->is_success || call->request.head == NULL)
        return 0;
    return call->request.head(call->request.context, status, content_length);
}

static int
on_body(void *context, const void *bytes, size_t size)
{
    struct leat_aws_call *call = context;

    if (call->is_success && call->request.sink != NULL)
        return call->request.sink(call->request.context, bytes, size);
    if (!call->is_success)
        leat_buf_add(&call->refusal, bytes, size);
    /* What nobody wants ends, too. */
    call->unwanted_bytes += size;
    return call->unwanted_bytes > UNWANTED_MAXIMUM_BYTES ? -1 : 0;
}

static void on_done(void *context, const struct leat_http_answer *answer);

/* scheme://host + endpoint's path + path + query; a virtual host takes the endpoint's place. */
static void
make_url(const struct leat_aws_client *client, const struct leat_aws_request *request,
         struct leat_buf *url)
{
    if (request->host == NULL) {
        leat_buf_add_text(url, client->endpoint.url);
    } else {
        leat_buf_add(url, client->endpoint.url, strcspn(client->endpoint.url, ":"));
        leat_buf_printf(url, "://%s%s", request->host, client->endpoint.path);
    }
    leat_buf_add_slice(url, request->path);
    if (request->query.size > 0) {
        leat_buf_add_byte(url, '?');
        leat_buf_add_slice(url, request->query);
    }
}

static void
send_attempt(struct leat_aws_call *call)
{
    struct leat_aws_client *client = call->client;
    const struct leat_aws_request *request = &call->request;
    const char *headers[MAXIMUM_HEADERS + 6];
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    struct lines lines = {.text = LEAT_BUF_INIT};
    struct leat_http_request http = {
        .method = request->method,
        .headers = headers,
        .header_count = request->header_count,
        .body = request->body,
        .timeout_us = request->timeout_us > 0 ? request->timeout_us : client->aws->timeout_us,
        .connect_timeout_us = client->aws->connect_timeout_us,
        .head = on_head,
        .sink = on_body,
        .done = on_done,
        .context = call,
    };

    call->is_success = false;
    call->unwanted_bytes = 0;
    leat_buf_clear(&call->refusal);
    /* All of it at once: growing would leave pieces of a token behind. */
    leat_buf_reserve(&lines.text, LINES_BYTES);
    if (request->is_unsigned)
        add_line(&lines, "host", leat_slice_from(client->endpoint.host));
    else
        sign(call, &lines);
    make_url(client, request, &url);
    for (size_t i = 0; i < request->header_count; i++)
        headers[i] = request->headers[i];
    for (size_t i = 0; i < lines.count; i++)
        headers[http.header_count++] = (const char *)lines.text.data + lines.offsets[i];
    http.url = leat_buf_text(&url);
    call->http = leat_http_start(call->loop, &http);
    if (lines.text.size > 0)
        OPENSSL_cleanse(lines.text.data, lines.text.size);
    leat_buf_release(&lines.text);
}

/* ---- the answer ---------------------------------------------------------------------------- */

static void
call_free(struct leat_aws_call *call)
{
    leat_buf_release(&call->refusal);
    free(call);
}

static void
tell(struct leat_aws_call *call)
{
    call->request.done(call->request.context, &call->outcome);
    call_free(call);
}

static void on_look_for_others(void *context);

/*
 * Is it the clock? S3 says RequestTimeTooSkewed, Kinesis says "InvalidSignature … Signature expired" or "not yet current", others
 * RequestExpired: all but the first have other reasons, too, so the answer's Date decides.
 */
static bool
is_clock_refused(const struct leat_aws_call *call, const struct leat_http_answer *answer)
{
    const struct leat_fault *fault = &call->outcome.fault;
    int64_t off_us = answer->date_us - call->signed_us - answer->duration_us;
    bool is_off = off_us > SKEW_WORTH_CORRECTING_US || off_us < -SKEW_WORTH_CORRECTING_US;

    return answer->date_us != 0 &&
           (fault->kind == LEAT_FAULT_SKEWED || (is_off && leat_fault_may_be_clock(fault)));
}

static void
restart(struct leat_aws_call *call)
{
    if (call->request.restart != NULL)
        call->request.restart(call->request.context);
    send_attempt(call);
}

static void
look_again(struct leat_aws_call *call, leat_loop_fn fn)
{
    /* Late by a ninth of the wait at most: a start with a role costs the service's time and little more. */
    call->look_us = call->look_us == 0 ? LOOK_FOR_CREDENTIALS_US
                                       : call->look_us + call->look_us / 8;
    if (call->look_us > LONGEST_LOOK_US)
        call->look_us = LONGEST_LOOK_US;
    call->timer =
        leat_event_loop_timer(call->loop, leat_clock_monotonic_us() + call->look_us, fn, call);
}

/* After a refusal. false: there are no others, and the refusal stands. */
static bool
look_for_others(struct leat_aws_call *call)
{
    struct leat_aws_client *client = call->client;
    struct leat_credentials_provider *provider = client->aws->credentials;
    bool is_answered = leat_credentials_is_answered(provider, call->ticket);

    if (is_answered && leat_credentials_hold(provider, &client->held, NULL) == 0 &&
        client->held.generation != call->refused) {
        restart(call);
        return true;
    }
    if (is_answered || leat_clock_monotonic_us() >= call->credentials_by_us)
        return false;
    look_again(call, on_look_for_others);
    return true;
}

static void
on_look_for_others(void *context)
{
    struct leat_aws_call *call = context;

    call->timer = NULL;
    if (!look_for_others(call))
        tell(call);
}

/* true: the call is on its way again, or waits for it. */
static bool
send_again(struct leat_aws_call *call, const struct leat_http_answer *answer)
{
    struct leat_aws_client *client = call->client;
    struct leat_fault *fault = &call->outcome.fault;

    if (is_clock_refused(call, answer))
        fault->kind = LEAT_FAULT_SKEWED;
    if (fault->kind == LEAT_FAULT_SKEWED) {
        if (call->has_corrected || answer->date_us == 0)
            return false;
        call->has_corrected = true;
        call->skew_us = answer->date_us - leat_clock_wall_us();
        restart(call);
        return true;
    }
    if (fault->kind == LEAT_FAULT_EXPIRED_TOKEN && !call->has_refreshed &&
        !call->request.is_unsigned) {
        call->has_refreshed = true;
        call->refused = call->signed_generation;
        /* Others were told so before, and there are new ones. */
        if (client->held.generation != call->refused) {
            restart(call);
            return true;
        }
        call->ticket = leat_credentials_refuse(client->aws->credentials, &client->held);
        call->credentials_by_us = leat_clock_monotonic_us() + CREDENTIALS_WAIT_US;
        return look_for_others(call);
    }
    return false;
}

/*
 * Kinesis names the type of each refusal. A 404 or 302 without one is somebody's between (a proxy, a page to sign in): it must not
 * mean that the stream is gone or that the position is another stream's.
 */
static bool
is_nobodys(const struct leat_aws_client *client, const struct leat_fault *fault)
{
    return client->service == LEAT_SERVICE_KINESIS && fault->type[0] == '\0' &&
           (fault->kind == LEAT_FAULT_NOT_FOUND || fault->kind == LEAT_FAULT_INVALID ||
            fault->kind == LEAT_FAULT_CONFLICT);
}

/* S3 says where a bucket is when it is asked elsewhere, and next to nothing besides. */
static void
add_region(struct leat_aws_call *call, struct leat_slice region)
{
    const char *asked = call->client->endpoint.region;
    struct leat_error *err = &call->outcome.err;
    size_t size = strlen(err->text);

    if (region.size == 0 || leat_slice_is(region, asked))
        return;
    snprintf(err->text + size, sizeof err->text - size,
             ": the bucket is in region \"%.*s\", it was asked for in \"%s\": set aws.region",
             (int)region.size, (const char *)region.data, asked);
}

static void
read_refusal(struct leat_aws_call *call, const struct leat_http_answer *answer)
{
    struct leat_refusal refusal;

    leat_refusal_parse(&call->refusal, answer->content_type, &refusal);
    if (refusal.type[0] == '\0')
        snprintf(refusal.type, sizeof refusal.type, "%.*s", (int)answer->error_type.size,
                 (const char *)answer->error_type.data);
    leat_fault_classify(answer->status, leat_slice_from(refusal.type), &call->outcome.fault);
    if (is_nobodys(call->client, &call->outcome.fault))
        call->outcome.fault.kind = LEAT_FAULT_FORMAT;
    call->outcome.result = leat_fault_error(&call->outcome.fault, &call->request.subject,
                                            leat_slice_from(refusal.message), &call->outcome.err);
    add_region(call, answer->bucket_region);
}

static void
read_transport_failure(struct leat_aws_call *call, const struct leat_http_answer *answer)
{
    const struct leat_fault_subject *subject = &call->request.subject;

    call->outcome.result = answer->result;
    call->outcome.err = answer->err;
    call->outcome.fault.kind = answer->is_aborted                 ? LEAT_FAULT_LIMIT
                               : answer->result == LEAT_E_DENIED  ? LEAT_FAULT_DENIED
                               : answer->result == LEAT_E_INVALID ? LEAT_FAULT_INVALID
                                                                  : LEAT_FAULT_TRANSPORT;
    if (subject->kind != NULL)
        leat_error_prefix(&call->outcome.err, "%s %s of %s \"%s\"", subject->service,
                          subject->action, subject->kind, call->subject_name);
    else
        leat_error_prefix(&call->outcome.err, "%s %s", subject->service, subject->action);
}

static void
on_done(void *context, const struct leat_http_answer *answer)
{
    struct leat_aws_call *call = context;
    struct leat_aws_outcome *outcome = &call->outcome;

    call->http = NULL;
    memset(outcome, 0, sizeof *outcome);
    outcome->is_aborted = answer->is_aborted;
    outcome->has_etag = answer->etag.size > 0;
    outcome->status = answer->status;
    outcome->content_length = answer->content_length;
    outcome->date_us = answer->date_us;
    outcome->retry_after_us = answer->retry_after_us;
    snprintf(outcome->content_type, sizeof outcome->content_type, "%.*s",
             (int)answer->content_type.size, (const char *)answer->content_type.data);
    if (answer->date_us != 0) {
        call->client->date_us = answer->date_us;
        call->client->date_at_us = leat_clock_monotonic_us();
    }
    if (answer->result < 0) {
        read_transport_failure(call, answer);
    } else if (answer->status < 200 || answer->status >= 300) {
        read_refusal(call, answer);
        if (send_again(call, answer))
            return;
    } else if (call->has_corrected) {
        call->client->skew_us = call->skew_us;
    }
    tell(call);
}

static void
on_failure_timer(void *context)
{
    struct leat_aws_call *call = context;

    call->timer = NULL;
    tell(call);
}

static void
fail_later(struct leat_aws_call *call)
{
    const struct leat_aws_request *request = &call->request;

    call->outcome.fault.kind = call->outcome.result == LEAT_E_DENIED ? LEAT_FAULT_DENIED
                                                                     : LEAT_FAULT_TRANSPORT;
    leat_error_prefix(&call->outcome.err, "%s %s", request->subject.service,
                      request->subject.action);
    call->timer = leat_event_loop_timer(call->loop, 0, on_failure_timer, call);
}

/* Sends, fails, or waits for credentials that are being asked for. */
static void
begin(void *context)
{
    struct leat_aws_call *call = context;
    int result = 0;

    call->timer = NULL;
    if (!call->request.is_unsigned)
        result = ensure_credentials(call->client, &call->outcome.err);
    call->outcome.result = result;
    if (result == 0)
        send_attempt(call);
    else if (result == LEAT_E_TIMEOUT && leat_clock_monotonic_us() < call->credentials_by_us)
        look_again(call, begin);
    else
        fail_later(call);
}

struct leat_aws_call *
leat_aws_start(struct leat_aws_client *client, struct leat_event_loop *loop,
               const struct leat_aws_request *request)
{
    struct leat_aws_call *call = LEAT_NEW(struct leat_aws_call);

    call->client = client;
    call->loop = loop;
    call->request = *request;
    call->skew_us = client->skew_us;
    snprintf(call->subject_name, sizeof call->subject_name, "%.*s",
             (int)(request->subject.name.size < 250 ? request->subject.name.size : 250),
             (const char *)request->subject.name.data);
    snprintf(call->action, sizeof call->action, "%s", request->subject.action);
    call->request.subject.name = leat_slice_from(call->subject_name);
    call->request.subject.action = call->action;
    leat_buf_init(&call->refusal, REFUSAL_MAXIMUM_BYTES);
    call->credentials_by_us = leat_clock_monotonic_us() + CREDENTIALS_WAIT_US;
    begin(call);
    return call;
}

void
leat_aws_cancel(struct leat_aws_call *call)
{
    if (call == NULL)
        return;
    leat_loop_timer_cancel(call->loop, call->timer);
    leat_http_cancel(call->http);
    call_free(call);
}

/* ---- blocking ------------------------------------------------------------------------------ */

struct run {
    bool is_done;
    const struct leat_aws_request *request;
    struct leat_aws_outcome *outcome;
};

static int
run_head(void *context, int status, int64_t content_length)
{
    const struct leat_aws_request *request = ((struct run *)context)->request;

    return request->head != NULL ? request->head(request->context, status, content_length) : 0;
}

static int
run_sink(void *context, const void *bytes, size_t size)
{
    const struct leat_aws_request *request = ((struct run *)context)->request;

    return request->sink != NULL ? request->sink(request->context, bytes, size) : 0;
}

static void
run_restart(void *context)
{
    const struct leat_aws_request *request = ((struct run *)context)->request;

    if (request->restart != NULL)
        request->restart(request->context);
}

static void
run_done(void *context, const struct leat_aws_outcome *outcome)
{
    struct run *run = context;

    *run->outcome = *outcome;
    run->is_done = true;
}

static int
cancelled(const struct leat_aws_request *request, struct leat_error *err)
{
    return leat_error_set(err, LEAT_E_CANCELLED, "%s %s: cancelled", request->subject.service,
                          request->subject.action);
}

static bool
is_interrupted(struct leat_aws_client *client)
{
    return atomic_load(&client->is_interrupted) ||
           (client->aws->is_stopped != NULL && client->aws->is_stopped()) ||
           (client->aws->is_interrupted != NULL && atomic_load(client->aws->is_interrupted));
}

/* false: interrupted. */
static bool
wait_until(struct leat_aws_client *client, int64_t deadline_us, const bool *is_done)
{
    int64_t now_us;

    while (!*is_done && (now_us = leat_clock_monotonic_us()) < deadline_us) {
        if (is_interrupted(client))
            return false;
        leat_event_loop_run_once(client->loop, deadline_us - now_us < LOOK_FOR_STOP_US
                                                   ? deadline_us
                                                   : now_us + LOOK_FOR_STOP_US);
    }
    return *is_done || !is_interrupted(client);
}

int
leat_aws_run(struct leat_aws_client *client, const struct leat_aws_request *request,
             struct leat_aws_outcome *ret_outcome, struct leat_error *err)
{
    struct leat_aws_outcome outcome = {0};
    struct run run = {.request = request, .outcome = &outcome};
    struct leat_aws_request inner = *request;
    struct leat_retry_state state;
    static const bool never = false;

    inner.head = run_head;
    inner.sink = run_sink;
    inner.restart = run_restart;
    inner.done = run_done;
    inner.context = &run;
    memset(ret_outcome, 0, sizeof *ret_outcome);
    leat_retry_begin(&state, leat_clock_monotonic_us());
    state.has_refreshed = state.has_corrected = true; /* the call itself does those */
    for (;;) {
        struct leat_aws_call *call = leat_aws_start(client, client->loop, &inner);
        struct leat_retry_policy policy = client->aws->retry;
        struct leat_retry_verdict verdict;

        if (!wait_until(client, INT64_MAX, &run.is_done)) {
            leat_aws_cancel(call);
            return cancelled(request, err);
        }
        run.is_done = false;
        *ret_outcome = outcome;
        if (outcome.result == 0)
            return 0;
        if (policy.maximum_attempts == 0)
            policy.maximum_attempts = client->attempts;
        verdict = leat_retry_decide(&policy, &state, &outcome.fault, leat_clock_monotonic_us(),
                                    outcome.retry_after_us, &client->random);
        if (verdict.action != LEAT_RETRY_WAIT)
            break;
        if (!wait_until(client, leat_clock_monotonic_us() + verdict.wait_us, &never))
            return cancelled(request, err);
        run_restart(&run);
    }
    if (err != NULL)
        *err = outcome.err;
    return outcome.result;
}

bool
leat_aws_client_wait(struct leat_aws_client *client, int64_t deadline_us)
{
    static const bool never = false;

    return wait_until(client, deadline_us, &never);
}

struct leat_random *
leat_aws_client_random(struct leat_aws_client *client)
{
    return &client->random;
}

void
leat_aws_client_interrupt(struct leat_aws_client *client)
{
    atomic_store(&client->is_interrupted, true);
    leat_event_loop_wake(client->loop);
}
