/*
 * S3's few calls. Keys are escaped once, by S3's own rule ('/' stays); the same text is sent and signed. Bodies are answered
 * into the caller's buf, lists into one of ours.
 */
#include "aws/s3.h"

#include <stdlib.h>

#include "aws/page.h"
#include "aws/xml.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/memory.h"
#include "base/units.h"

#define LIST_MAXIMUM_BYTES ((size_t)8 << 20)
#define KEY_MAXIMUM_BYTES 1024
/* A thousand objects each; a token goes into the next page's address. */
static const struct leat_page_limits page_limits = {.token_bytes = 8192, .pages = 1000000};

struct leat_s3 {
    struct leat_aws_client *client;
};

struct leat_s3 *
leat_s3_new(const struct leat_aws *aws, struct leat_error *err)
{
    struct leat_aws_client *client = leat_aws_client_new(aws, LEAT_SERVICE_S3, err);
    struct leat_s3 *s3;

    if (client == NULL)
        return NULL;
    s3 = LEAT_NEW(struct leat_s3);
    s3->client = client;
    return s3;
}

void
leat_s3_free(struct leat_s3 *s3)
{
    if (s3 == NULL)
        return;
    leat_aws_client_free(s3->client);
    free(s3);
}

void
leat_s3_interrupt(struct leat_s3 *s3)
{
    leat_aws_client_interrupt(s3->client);
}

const char *
leat_s3_endpoint(const struct leat_s3 *s3)
{
    return leat_aws_client_endpoint(s3->client)->url;
}

/* ---- addressing ---------------------------------------------------------------------------- */

struct address {
    struct leat_buf path;
    char host[400]; /* "": the endpoint's */
};

static bool
is_bucket_name(const char *bucket)
{
    size_t size = strlen(bucket);

    if (size < 3 || size > 63)
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = bucket[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '.' || c == '_'))
            return false;
    }
    return true;
}

static int
address_make(const struct leat_s3 *s3, const char *bucket, struct leat_slice key,
             struct address *address, struct leat_error *err)
{
    const struct leat_endpoint *endpoint = leat_aws_client_endpoint(s3->client);

    LEAT_ASSERT(bucket != NULL);
    leat_buf_init(&address->path, SIZE_MAX);
    address->host[0] = '\0';
    if (!is_bucket_name(bucket))
        return leat_error_set(err, LEAT_E_INVALID, "\"%.80s\" is no bucket's name", bucket);
    if (key.size > KEY_MAXIMUM_BYTES || (key.size > 0 && memchr(key.data, '\0', key.size) != NULL))
        return leat_error_set(err, LEAT_E_INVALID,
                              "a key of %zu bytes cannot be stored in bucket \"%s\": at most %d, "
                              "without zero bytes",
                              key.size, bucket, KEY_MAXIMUM_BYTES);
    leat_buf_add_byte(&address->path, '/');
    if (!leat_endpoint_takes_bucket(endpoint, bucket))
        leat_buf_printf(&address->path, "%s%s", bucket, key.size > 0 ? "/" : "");
    else
        snprintf(address->host, sizeof address->host, "%s.%s", bucket, endpoint->host);
    leat_uri_escape(&address->path, key, true);
    return 0;
}

struct s3_call {
    const char *action, *method, *bucket;
    struct leat_slice key, query, body;
    const char *content_type; /* NULL: none */
    struct leat_buf *answer;  /* NULL: thrown away */
    bool needs_etag;          /* to count as done */
};

static int
on_bytes(void *context, const void *bytes, size_t size)
{
    return context == NULL || leat_buf_add(context, bytes, size) ? 0 : -1;
}

static void
on_restart(void *context)
{
    if (context != NULL)
        leat_buf_clear(context);
}

/* What is stored is answered by a 200 with an ETag, and by nothing else. */
static int
check_stored(const char *bucket, const struct leat_aws_outcome *outcome, struct leat_error *err)
{
    if (outcome->status == 200 && outcome->has_etag)
        return 0;
    return leat_error_set(
        err, LEAT_E_UNAVAILABLE,
        "s3 PutObject of bucket \"%s\": the answer is a %d %s an ETag, which does "
        "not say that it is stored: is the endpoint S3?",
        bucket, outcome->status, outcome->has_etag ? "with" : "without");
}

static int
run(struct leat_s3 *s3, const struct s3_call *call, struct leat_error *err)
{
    struct address address;
    char header[160];
    const char *headers[] = {header};
    struct leat_aws_outcome outcome;
    struct leat_aws_request request = {
        .method = call->method,
        .query = call->query,
        .headers = headers,
        .header_count = call->content_type != NULL ? 1 : 0,
        .body = call->body,
        .subject = {"s3", call->action, "bucket", leat_slice_from(call->bucket)},
        .sink = call->answer != NULL ? on_bytes : NULL,
        .restart = on_restart,
        .context = call->answer,
    };
    int result = address_make(s3, call->bucket, call->key, &address, err);

    if (result == 0) {
        snprintf(header, sizeof header, "content-type: %.120s",
                 call->content_type != NULL ? call->content_type : "");
        request.path = leat_buf_slice(&address.path);
        request.host = address.host[0] != '\0' ? address.host : NULL;
        result = leat_aws_run(s3->client, &request, &outcome, err);
        if (result == 0 && call->needs_etag)
            result = check_stored(call->bucket, &outcome, err);
        if (result < 0 && outcome.is_aborted)
            leat_error_set(
                err, result, "s3 %s of bucket \"%s\": the answer is larger than %zu bytes",
                call->action, call->bucket, call->answer != NULL ? call->answer->maximum : 0);
    }
    leat_buf_release(&address.path);
    return result;
}

/* ---- objects ------------------------------------------------------------------------------- */

int
leat_s3_put_object(struct leat_s3 *s3, const char *bucket, struct leat_slice key,
                   struct leat_slice body, const char *content_type, struct leat_error *err)
{
    struct s3_call call = {
        .action = "PutObject",
        .method = "PUT",
        .bucket = bucket,
        .key = key,
        .query = leat_slice_from(""),
        .body = body,
        .content_type = content_type != NULL ? content_type : "application/octet-stream",
        .needs_etag = true,
    };

    if (key.size == 0)
        return leat_error_set(err, LEAT_E_INVALID, "an object of bucket \"%s\" needs a key",
                              bucket);
    return run(s3, &call, err);
}

/* ---- a started put ------------------------------------------------------------------------- */

struct leat_s3_call {
    struct leat_event_loop *loop;
    struct leat_aws_call *call;
    struct leat_loop_timer *failure_timer; /* refused before anything was sent, told later */
    struct address address;
    char header[160];
    const char *headers[1]; /* that line; the call may be sent later */
    char bucket[64];
    struct leat_error err;
    void (*done)(void *context, int status, const struct leat_error *err);
    void *context;
};

static void
s3_call_free(struct leat_s3_call *call)
{
    leat_buf_release(&call->address.path);
    free(call);
}

static void
tell_put(struct leat_s3_call *call, int status)
{
    call->done(call->context, status, &call->err);
    s3_call_free(call);
}

static void
on_put_done(void *context, const struct leat_aws_outcome *outcome)
{
    struct leat_s3_call *call = context;
    int status = outcome->result;

    if (status == 0)
        status = check_stored(call->bucket, outcome, &call->err);
    else
        call->err = outcome->err;
    tell_put(call, status);
}

static void
on_put_refused(void *context)
{
    struct leat_s3_call *call = context;

    call->failure_timer = NULL;
    tell_put(call, call->err.code);
}

struct leat_s3_call *
leat_s3_put_start(struct leat_s3 *s3, struct leat_event_loop *loop, const struct leat_s3_put *put)
{
    struct leat_s3_call *call = LEAT_NEW(struct leat_s3_call);
    struct leat_aws_request request = {
        .method = "PUT",
        .query = leat_slice_from(""),
        .headers = call->headers,
        .header_count = 1,
        .body = put->body,
        .subject = {"s3", "PutObject", "bucket", leat_slice_make(NULL, 0), NULL},
        .done = on_put_done,
        .context = call,
    };

    call->headers[0] = call->header;
    call->loop = loop;
    call->done = put->done;
    call->context = put->context;
    snprintf(call->bucket, sizeof call->bucket, "%s", put->bucket);
    request.subject.name = leat_slice_from(call->bucket);
    snprintf(call->header, sizeof call->header, "content-type: %.120s",
             put->content_type != NULL ? put->content_type : "application/octet-stream");
    if (address_make(s3, put->bucket, put->key, &call->address, &call->err) != 0) {
        call->failure_timer = leat_event_loop_timer(loop, 0, on_put_refused, call);
        return call;
    }
    request.path = leat_buf_slice(&call->address.path);
    request.host = call->address.host[0] != '\0' ? call->address.host : NULL;
    call->call = leat_aws_start(s3->client, loop, &request);
    return call;
}

void
leat_s3_cancel(struct leat_s3_call *call)
{
    if (call == NULL)
        return;
    leat_loop_timer_cancel(call->loop, call->failure_timer);
    leat_aws_cancel(call->call);
    s3_call_free(call);
}

int
leat_s3_get_object(struct leat_s3 *s3, const char *bucket, struct leat_slice key,
                   struct leat_buf *body, struct leat_error *err)
{
    LEAT_AUTO_BUF answer = {.maximum = body->maximum - body->size};
    struct s3_call call = {
        .action = "GetObject",
        .method = "GET",
        .bucket = bucket,
        .key = key,
        .query = leat_slice_from(""),
        .body = leat_slice_from(""),
        .answer = &answer,
    };
    int result;

    if (key.size == 0)
        return leat_error_set(err, LEAT_E_INVALID, "an object of bucket \"%s\" needs a key",
                              bucket);
    result = run(s3, &call, err);
    if (result == 0)
        leat_buf_add_slice(body, leat_buf_slice(&answer));
    return result;
}

/* ---- lists --------------------------------------------------------------------------------- */

struct listing {
    leat_s3_object_fn each;
    void *context;
    struct leat_buf key; /* of the object being read */
    uint64_t size;
    int64_t modified_us;
    struct leat_buf token;
    bool has_more, is_list;
    int result;
};

static void
list_begin(void *context, struct leat_slice name, unsigned depth)
{
    struct listing *listing = context;

    if (depth == 0)
        listing->is_list = leat_slice_is(name, "ListBucketResult");
    if (depth == 1 && leat_slice_is(name, "Contents")) {
        leat_buf_clear(&listing->key);
        listing->size = 0;
        listing->modified_us = 0;
    }
}

static void
list_end(void *context, struct leat_slice name, unsigned depth, struct leat_slice text)
{
    struct listing *listing = context;
    int64_t number;

    if (depth == 2 && leat_slice_is(name, "Key")) {
        leat_buf_clear(&listing->key);
        leat_buf_add_slice(&listing->key, text);
    } else if (depth == 2 && leat_slice_is(name, "Size")) {
        if (leat_parse_integer(text, &number, NULL) == 0 && number >= 0)
            listing->size = (uint64_t)number;
    } else if (depth == 2 && leat_slice_is(name, "LastModified")) {
        (void)leat_parse_time(text, &listing->modified_us);
    } else if (depth == 1 && leat_slice_is(name, "Contents")) {
        struct leat_s3_object object = {leat_buf_slice(&listing->key), listing->size,
                                        listing->modified_us};

        if (listing->result == 0 && object.key.size > 0)
            listing->result = listing->each(listing->context, &object);
    } else if (depth == 1 && leat_slice_is(name, "IsTruncated")) {
        listing->has_more = leat_slice_is(text, "true");
    } else if (depth == 1 && leat_slice_is(name, "NextContinuationToken")) {
        leat_buf_clear(&listing->token);
        leat_buf_add_slice(&listing->token, text);
    }
}

static void
list_query(struct leat_buf *query, struct leat_slice prefix, struct leat_slice token)
{
    /* Sorted, as the signature wants it. */
    leat_buf_clear(query);
    if (token.size > 0) {
        leat_buf_add_text(query, "continuation-token=");
        leat_uri_escape(query, token, false);
        leat_buf_add_byte(query, '&');
    }
    leat_buf_add_text(query, "list-type=2&prefix=");
    leat_uri_escape(query, prefix, false);
}

static int
list_page(struct leat_s3 *s3, const char *bucket, const struct leat_buf *query,
          struct listing *listing, struct leat_error *err)
{
    static const struct leat_xml_events events = {list_begin, list_end};
    LEAT_AUTO_BUF answer = {.maximum = LIST_MAXIMUM_BYTES};
    struct s3_call call = {
        .action = "ListObjectsV2",
        .method = "GET",
        .bucket = bucket,
        .key = leat_slice_from(""),
        .query = leat_buf_slice(query),
        .body = leat_slice_from(""),
        .answer = &answer,
    };
    int result = run(s3, &call, err);

    if (result < 0)
        return result;
    leat_buf_clear(&listing->token);
    listing->has_more = listing->is_list = false;
    result = leat_xml_parse(leat_buf_slice(&answer), &events, listing, err);
    if (result == 0 && !listing->is_list)
        result = leat_error_set(err, LEAT_E_FORMAT, "the answer is no list: is the endpoint S3?");
    if (result < 0)
        return leat_error_prefix(err, "s3 ListObjectsV2 of bucket \"%s\"", bucket);
    return 0;
}

static int
list_next(const struct listing *listing, struct leat_pages *pages, const char *bucket,
          struct leat_error *err)
{
    struct leat_slice token = leat_buf_slice(&listing->token);
    int result = token.size > 0 ? leat_pages_next(pages, token, leat_clock_monotonic_us(), err)
                                : leat_error_set(err, LEAT_E_FORMAT,
                                                 "the answer says that there is more, without a "
                                                 "NextContinuationToken");

    return result < 0 ? leat_error_prefix(err, "s3 ListObjectsV2 of bucket \"%s\"", bucket) : 0;
}

int
leat_s3_list_objects(struct leat_s3 *s3, const char *bucket, struct leat_slice prefix,
                     leat_s3_object_fn each, void *context, struct leat_error *err)
{
    LEAT_AUTO_BUF query = LEAT_BUF_INIT;
    struct listing listing = {.each = each, .context = context};
    struct leat_pages pages;
    int result;

    leat_buf_init(&listing.key, SIZE_MAX);
    leat_buf_init(&listing.token, SIZE_MAX);
    leat_pages_begin(&pages, &page_limits, leat_clock_monotonic_us());
    do {
        list_query(&query, prefix, leat_buf_slice(&pages.token));
        result = list_page(s3, bucket, &query, &listing, err);
        if (result == 0)
            result = listing.result;
        if (result == 0 && listing.has_more)
            result = list_next(&listing, &pages, bucket, err);
    } while (result == 0 && listing.has_more);
    leat_pages_release(&pages);
    leat_buf_release(&listing.key);
    leat_buf_release(&listing.token);
    return result;
}

/* ---- buckets ------------------------------------------------------------------------------- */

int
leat_s3_head_bucket(struct leat_s3 *s3, const char *bucket, struct leat_error *err)
{
    struct s3_call call = {
        .action = "HeadBucket",
        .method = "HEAD",
        .bucket = bucket,
        .key = leat_slice_from(""),
        .query = leat_slice_from(""),
        .body = leat_slice_from(""),
    };

    return run(s3, &call, err);
}

int
leat_s3_create_bucket(struct leat_s3 *s3, const char *bucket, struct leat_error *err)
{
    const struct leat_endpoint *endpoint = leat_aws_client_endpoint(s3->client);
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;
    struct s3_call call = {
        .action = "CreateBucket",
        .method = "PUT",
        .bucket = bucket,
        .key = leat_slice_from(""),
        .query = leat_slice_from(""),
        .content_type = "application/xml",
    };

    if (strcmp(endpoint->region, "us-east-1") != 0 && !endpoint->is_custom)
        leat_buf_printf(&body,
                        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/"
                        "2006-03-01/\"><LocationConstraint>%s</LocationConstraint>"
                        "</CreateBucketConfiguration>",
                        endpoint->region);
    call.body = leat_buf_slice(&body);
    return run(s3, &call, err);
}
