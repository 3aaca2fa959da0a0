/*
 * One HTTP call: a libcurl easy handle on the loop's multi. HTTP/1.1, keep-alive, no redirects, no cookies, and no
 * `Expect:`: it would cost a round trip for each body.
 *
 * libcurl itself sends again when a reused connection died before any byte of the answer was read; where the *write*
 * failed it does not, so that is done here, once, on a fresh connection.
 */
#include <stdlib.h>
#include <strings.h>

#include "aws/http_internal.h"
#include "base/clock.h"
#include "base/memory.h"

#define DEFAULT_TIMEOUT_US (30 * LEAT_SECOND_US)
/* curl_getdate takes any year that there may be. */
#define YEAR_10000_S INT64_C(253402300800)
#define MAXIMUM_HEADER_BYTES ((size_t)128 << 10)
#define MAXIMUM_RETRY_AFTER_S 60 /* nobody is put off for an hour by one answer */
/* Fewer bytes a second than this, for so long, are no answer on its way but a connection that hangs. */
#define SLOWEST_BYTES 1000L
#define SLOWEST_S 8L
#define DEFAULT_CONNECT_TIMEOUT_US (5 * LEAT_SECOND_US)

int64_t
leat_http_date_parse(struct leat_slice text)
{
    char copy[64];
    time_t seconds;

    if (text.size == 0 || text.size >= sizeof copy)
        return 0;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    seconds = curl_getdate(copy, NULL);
    return seconds > 0 && seconds < YEAR_10000_S ? (int64_t)seconds * LEAT_SECOND_US : 0;
}

/* ---- callbacks of libcurl ------------------------------------------------------------------ */

static bool
header_is(struct leat_slice name, const char *wanted)
{
    return name.size == strlen(wanted) &&
           strncasecmp((const char *)name.data, wanted, name.size) == 0;
}

/* A value that is longer than any that means something counts as not told: half of one would mean something else. */
static void
keep(char kept[LEAT_HTTP_HEADER_BYTES], struct leat_slice value)
{
    size_t size = value.size < LEAT_HTTP_HEADER_BYTES ? value.size : 0;

    memcpy(kept, value.data, size);
    kept[size] = '\0';
}

/* Digits alone; -1: no number, or absurd. */
static int64_t
parse_count(struct leat_slice value)
{
    int64_t number = 0;

    if (value.size == 0 || value.size > 15)
        return -1;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return -1;
        number = number * 10 + (value.data[i] - '0');
    }
    return number;
}

/* "com.amazonaws.kinesis#Name" */
static struct leat_slice
behind_namespace(struct leat_slice type)
{
    const unsigned char *found = type.size > 0 ? memrchr(type.data, '#', type.size) : NULL;

    return found == NULL ? type
                         : leat_slice_make(found + 1, type.size - (size_t)(found + 1 - type.data));
}

static void
read_header(struct leat_http_call *call, struct leat_slice name, struct leat_slice value)
{
    if (header_is(name, "content-type")) {
        keep(call->content_type, value);
    } else if (header_is(name, "content-length")) {
        call->content_length = parse_count(value);
    } else if (header_is(name, "date")) {
        call->date_us = leat_http_date_parse(value);
    } else if (header_is(name, "retry-after")) {
        int64_t seconds = parse_count(value);

        call->retry_after_us = seconds <= 0 ? 0
                               : seconds > MAXIMUM_RETRY_AFTER_S
                                   ? MAXIMUM_RETRY_AFTER_S * LEAT_SECOND_US
                                   : seconds * LEAT_SECOND_US;
    } else if (header_is(name, "x-amzn-requestid") || header_is(name, "x-amz-request-id")) {
        keep(call->request_id, value);
    } else if (header_is(name, "x-amzn-errortype")) {
        keep(call->error_type, behind_namespace(value));
    } else if (header_is(name, "etag")) {
        keep(call->etag, value);
    } else if (header_is(name, "x-amz-bucket-region")) {
        keep(call->bucket_region, value);
    }
}

static void
forget_answer(struct leat_http_call *call)
{
    call->status = 0;
    call->content_length = -1;
    call->date_us = call->retry_after_us = 0;
    call->content_type[0] = call->request_id[0] = call->error_type[0] = call->etag[0] = '\0';
    call->bucket_region[0] = '\0';
}

static size_t
on_header(char *bytes, size_t one, size_t size, void *context)
{
    struct leat_http_call *call = context;
    const char *colon = memchr(bytes, ':', size);
    struct leat_slice value;

    (void)one;
    /* libcurl keeps every line: of heads, of answers before the answer (1xx), and behind the body. */
    call->header_bytes += size;
    if (call->header_bytes > MAXIMUM_HEADER_BYTES)
        return 0;
    if (size >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        const char *space = memchr(bytes, ' ', size);

        forget_answer(call);
        call->status = space != NULL && size - (size_t)(space - bytes) > 3
                           ? (int)parse_count(leat_slice_make(space + 1, 3))
                           : 0;
        return size;
    }
    if (size <= 2 && (bytes[0] == '\r' || bytes[0] == '\n')) { /* the end of the head */
        if (call->status >= 200 && call->request.head != NULL && !call->has_told_head) {
            call->has_told_head = true;
            if (call->request.head(call->request.context, call->status, call->content_length) !=
                0) {
                call->is_aborted = true;
                return 0;
            }
        }
        return size;
    }
    if (colon == NULL)
        return size;
    value = leat_slice_make(colon + 1, size - (size_t)(colon + 1 - bytes));
    while (value.size > 0 && (value.data[0] == ' ' || value.data[0] == '\t')) {
        value.data++;
        value.size--;
    }
    while (value.size > 0 && value.data[value.size - 1] <= ' ')
        value.size--;
    read_header(call, leat_slice_make(bytes, (size_t)(colon - bytes)), value);
    return size;
}

static size_t
on_body(char *bytes, size_t one, size_t size, void *context)
{
    struct leat_http_call *call = context;

    (void)one;
    call->body_bytes += size;
    if (call->request.sink != NULL && call->request.sink(call->request.context, bytes, size) != 0) {
        call->is_aborted = true;
        return size + 1;
    }
    return size;
}

/* ---- start --------------------------------------------------------------------------------- */

static long
in_ms(int64_t us, int64_t fallback_us)
{
    return (long)(((us > 0 ? us : fallback_us) + 999) / 1000);
}

/* As libcurl opens one itself, but for the question before it. */
static curl_socket_t
open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct leat_http_call *call = context;

    if (!call->request.may_connect(&address->addr)) {
        call->is_forbidden = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void
set_method(struct leat_http_call *call, const struct leat_http_request *request)
{
    CURL *easy = call->easy;

    if (strcmp(request->method, "GET") == 0) {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    } else if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "DELETE") == 0) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "DELETE");
    } else {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                         request->body.size > 0 ? (const char *)request->body.data : "");
        if (strcmp(request->method, "POST") != 0)
            curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static void
set_options(struct leat_http_call *call, const struct leat_http_request *request)
{
    CURL *easy = call->easy;
    struct leat_event_loop *loop = call->loop;

    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, loop->receive_buffer_bytes);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, loop->user_agent);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, in_ms(request->timeout_us, DEFAULT_TIMEOUT_US));
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, SLOWEST_BYTES);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, SLOWEST_S);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     in_ms(request->connect_timeout_us, DEFAULT_CONNECT_TIMEOUT_US));
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_SHARE, loop->share);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    if (loop->ca_bundle != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, loop->ca_bundle);
    curl_easy_setopt(easy, CURLOPT_PROXY, request->is_direct ? "" : leat_http_proxy(call->url));
    if (request->may_connect != NULL) {
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    }
    set_method(call, request);
}

static void
add_header(struct leat_http_call *call, const char *line)
{
    struct curl_slist *longer = curl_slist_append(call->headers, line);

    if (longer == NULL)
        leat_out_of_memory(strlen(line));
    call->headers = longer;
}

struct leat_http_call *
leat_http_start(struct leat_event_loop *loop, const struct leat_http_request *request)
{
    struct leat_http_call *call = LEAT_NEW(struct leat_http_call);

    call->loop = loop;
    call->request = *request;
    call->url = leat_strdup(request->url);
    call->began_us = leat_clock_monotonic_us();
    forget_answer(call);
    add_header(call, "Expect:");
    for (size_t i = 0; i < request->header_count; i++)
        add_header(call, request->headers[i]);
    call->easy = loop->spare_count > 0 ? loop->spare[--loop->spare_count] : curl_easy_init();
    if (call->easy == NULL)
        leat_out_of_memory(sizeof(CURL *));
    set_options(call, request);
    call->next = loop->calls;
    if (call->next != NULL)
        call->next->previous = call;
    loop->calls = call;
    curl_multi_add_handle(loop->multi, call->easy);
    return call;
}

/* ---- end ----------------------------------------------------------------------------------- */

static void
call_free(struct leat_http_call *call)
{
    struct leat_event_loop *loop = call->loop;

    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        loop->calls = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    if (loop->spare_count < LEAT_COUNT_OF(loop->spare)) {
        curl_easy_reset(call->easy);
        loop->spare[loop->spare_count++] = call->easy;
    } else {
        curl_easy_cleanup(call->easy);
    }
    /* They hold signatures and tokens. */
    for (struct curl_slist *line = call->headers; line != NULL; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    curl_slist_free_all(call->headers);
    free(call->url);
    free(call);
}

void
leat_http_cancel(struct leat_http_call *call)
{
    if (call == NULL)
        return;
    curl_multi_remove_handle(call->loop->multi, call->easy);
    call_free(call);
}

/* host:port of the URL, for messages. */
static void
name_of_peer(const char *url, char ret_peer[128])
{
    const char *host = strstr(url, "://");
    size_t size;

    host = host != NULL ? host + 3 : url;
    size = strcspn(host, "/?");
    snprintf(ret_peer, 128, "%.*s%s", (int)(size < 100 ? size : 100), host,
             memchr(host, ':', size) != NULL        ? ""
             : strncasecmp(url, "https://", 8) == 0 ? ":443"
                                                    : ":80");
}

static int
transport_error(const struct leat_http_call *call, CURLcode code, struct leat_error *err)
{
    const char *reason = call->curl_error[0] != '\0' ? call->curl_error : curl_easy_strerror(code);
    char peer[128];

    /* libcurl shows a proxy that it cannot use whole, with its password. */
    if (strchr(reason, '@') != NULL || code == CURLE_COULDNT_RESOLVE_PROXY)
        reason = "the proxy of https_proxy, HTTPS_PROXY or another such variable cannot be used or "
                 "is not found";
    name_of_peer(call->url, peer);
    if (call->header_bytes > MAXIMUM_HEADER_BYTES)
        return leat_error_set(err, LEAT_E_UNAVAILABLE,
                              "lost the connection to %s: its headers do not end: more than %zu "
                              "bytes",
                              peer, MAXIMUM_HEADER_BYTES);
    if (call->is_forbidden && call->status == 0)
        return leat_error_set(err, LEAT_E_DENIED,
                              "may not connect to %s: its address is not allowed", peer);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return leat_error_set(err, LEAT_E_TIMEOUT, "no answer from %s in time: %s", peer, reason);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return leat_error_set(
            err, LEAT_E_UNAVAILABLE,
            "could not connect to %s: %s: check the region, the endpoint and the network", peer,
            reason);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return leat_error_set(err, LEAT_E_DENIED,
                              "cannot trust %s: %s: set AWS_CA_BUNDLE to its authority's PEM file",
                              peer, reason);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        /* Somebody between, maybe: nothing that the service says of the request. */
        return leat_error_set(err, LEAT_E_UNAVAILABLE,
                              "lost the connection to %s: it does not speak HTTP/1.1: %s", peer,
                              reason);
    case CURLE_URL_MALFORMAT:
        return leat_error_set(err, LEAT_E_INVALID, "cannot use endpoint %s: %s", peer, reason);
    default:
        return leat_error_set(err, LEAT_E_UNAVAILABLE, "lost the connection to %s: %s", peer,
                              reason);
    }
}

/* Died on a reused connection before the first byte of an answer: nobody has seen anything yet. */
static bool
may_retry(const struct leat_http_call *call, CURLcode code)
{
    long new_connections = 0;

    if (call->has_retried || call->status != 0 || call->body_bytes > 0)
        return false;
    if (code != CURLE_SEND_ERROR && code != CURLE_RECV_ERROR && code != CURLE_GOT_NOTHING)
        return false;
    curl_easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &new_connections);
    return new_connections == 0;
}

void
leat_http_finish(struct leat_http_call *call, CURLcode code)
{
    struct leat_http_answer answer = {
        .status = call->status,
        .is_aborted = call->is_aborted,
        .content_length = call->content_length,
        .body_bytes = call->body_bytes,
        .content_type = leat_slice_from(call->content_type),
        .request_id = leat_slice_from(call->request_id),
        .error_type = leat_slice_from(call->error_type),
        .etag = leat_slice_from(call->etag),
        .bucket_region = leat_slice_from(call->bucket_region),
        .date_us = call->date_us,
        .retry_after_us = call->retry_after_us,
        .duration_us = leat_clock_monotonic_us() - call->began_us,
    };

    curl_multi_remove_handle(call->loop->multi, call->easy);
    if (code != CURLE_OK && !call->is_aborted && may_retry(call, code)) {
        call->has_retried = true;
        curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, 1L);
        curl_multi_add_handle(call->loop->multi, call->easy);
        return;
    }
    if (call->is_aborted)
        answer.result =
            leat_error_set(&answer.err, LEAT_E_LIMIT, "the answer was larger than asked");
    else if (code != CURLE_OK)
        answer.result = transport_error(call, code, &answer.err);
    call->request.done(call->request.context, &answer);
    call_free(call);
}
