/*
 * The local S3: a request is taken apart, faults and the signature decide whether it is done, then it is done under the one
 * lock. Hashes are computed before the lock is taken; objects are sent from where they are, without a copy.
 */
#include "local/s3.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "local/s3_inside.h"

#define S3_MAGIC 0x6c337333u
#define PAGE_KEYS 1000
#define OBJECT_BYTES ((size_t)64 << 20)
#define MAXIMUM_BYTES ((size_t)1 << 30)

/* The faults first: what is refused or reset is not done. */
static void
run_with_faults(struct leat_local_s3 *server, struct leat_local_s3_call *call,
                struct leat_local_blob *blob) LEAT_REQUIRES(server->lock)
{
    struct leat_local_s3_plan plan;

    leat_local_s3_plan(server, call, &plan);
    call->answer->fault = plan.http;
    if (plan.is_reset)
        return;
    if (plan.status != 0 && plan.code[0] != '\0')
        leat_local_s3_refuse(call, plan.status, plan.code, "a fault that was asked for");
    else if (plan.status != 0)
        call->answer->status = plan.status;
    else
        leat_local_s3_run(server, call, blob);
}

static void
answer_call(struct leat_local_s3 *server, struct leat_local_s3_call *call)
{
    struct leat_sign_request request = leat_local_s3_signed(call);
    struct leat_local_blob *blob = NULL;

    (void)leat_local_issuer_find(&server->issuer, &request, leat_local_s3_now_us(server),
                                 &call->issued, &call->is_issued_expired);
    leat_sha256_hex(leat_slice_make(call->request->body, call->request->body_size),
                    call->body_hash);
    if (call->action == LEAT_LOCAL_S3_PUT_OBJECT) {
        blob = leat_local_s3_receive(server, call);
        call->is_refused = blob == NULL;
    }
    leat_mutex_lock(&server->lock);
    server->counts.calls++;
    server->calls[call->action]++;
    if (!call->is_refused)
        run_with_faults(server, call, blob);
    server->counts.refused += call->answer->status >= 400;
    leat_mutex_unlock(&server->lock);
    leat_local_blob_unref(blob);
}

void
leat_local_s3_handle(void *context, const struct leat_local_request *request,
                     struct leat_local_answer *answer)
{
    struct leat_local_s3 *server = context;
    struct leat_local_s3_call call = {.request = request, .answer = answer};

    LEAT_ASSERT(server->magic == S3_MAGIC);
    leat_buf_init(&call.text, SIZE_MAX);
    leat_local_http_header(answer, "x-amz-request-id", "local");
    if (!leat_local_s3_parse(&call)) {
        leat_local_s3_refuse(&call, 400, "InvalidURI", "Couldn't parse the specified URI.");
        call.is_refused = true;
    }
    answer_call(server, &call);
    leat_credentials_release(&call.issued);
    leat_buf_release(&call.text);
}

/* ---- past the wire --------------------------------------------------------------------------------- */

int
leat_local_s3_create_bucket(struct leat_local_s3 *server, const char *bucket,
                            struct leat_error *err)
{
    int status = 0;

    if (!leat_local_s3_is_bucket_name(leat_slice_from(bucket)))
        return leat_error_set(err, LEAT_E_INVALID, "\"%.80s\" is no bucket's name", bucket);
    leat_mutex_lock(&server->lock);
    if (leat_local_objects_find(&server->store, leat_slice_from(bucket)) != NULL)
        status = leat_error_set(err, LEAT_E_CONFLICT, "bucket \"%s\" is there already", bucket);
    else
        leat_local_objects_add(&server->store, leat_slice_from(bucket), leat_local_s3_time(server));
    leat_mutex_unlock(&server->lock);
    return status;
}

int
leat_local_s3_put(struct leat_local_s3 *server, const char *bucket, struct leat_slice key,
                  struct leat_slice body, struct leat_error *err)
{
    struct leat_local_bucket *found;
    struct leat_local_blob *blob;

    if (key.size == 0 || key.size > LEAT_LOCAL_S3_KEY_BYTES)
        return leat_error_set(err, LEAT_E_INVALID, "a key has 1 to %d bytes",
                              LEAT_LOCAL_S3_KEY_BYTES);
    blob = leat_local_s3_blob(body);
    leat_mutex_lock(&server->lock);
    found = leat_local_objects_find(&server->store, leat_slice_from(bucket));
    if (found != NULL) {
        blob->modified_us = leat_local_s3_time(server);
        leat_local_bucket_put(&server->store, found, key, blob);
    }
    leat_mutex_unlock(&server->lock);
    if (found != NULL)
        return 0;
    leat_local_blob_unref(blob);
    return leat_error_set(err, LEAT_E_NOT_FOUND, "there is no bucket \"%s\"", bucket);
}

int
leat_local_s3_get(struct leat_local_s3 *server, const char *bucket, struct leat_slice key,
                  struct leat_buf *ret_body, struct leat_error *err)
{
    struct leat_local_bucket *found;
    struct leat_local_blob *blob;

    leat_mutex_lock(&server->lock);
    found = leat_local_objects_find(&server->store, leat_slice_from(bucket));
    blob = found != NULL ? leat_local_bucket_get(found, key) : NULL;
    if (blob != NULL)
        leat_buf_add_slice(ret_body, blob->bytes);
    leat_mutex_unlock(&server->lock);
    if (blob == NULL)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "there is no such object in bucket \"%s\"",
                              bucket);
    return 0;
}

/* ---- the world around it --------------------------------------------------------------------------- */

int64_t
leat_local_s3_now_us(struct leat_local_s3 *server)
{
    int64_t now_us;

    leat_mutex_lock(&server->lock);
    now_us = leat_local_s3_time(server);
    leat_mutex_unlock(&server->lock);
    return now_us;
}

void
leat_local_s3_shift_clock(struct leat_local_s3 *server, int64_t by_us)
{
    leat_mutex_lock(&server->lock);
    server->shift_us += by_us;
    leat_mutex_unlock(&server->lock);
}

static void
set_credentials(struct leat_local_s3 *server, const char *access_key_id,
                const char *secret_access_key, const char *session_token)
    LEAT_REQUIRES(server->lock)
{
    leat_credentials_release(&server->credentials);
    server->checks_signatures = access_key_id != NULL;
    if (access_key_id != NULL)
        leat_credentials_set(&server->credentials, leat_slice_from(access_key_id),
                             leat_slice_from(secret_access_key), leat_slice_from(session_token));
}

void
leat_local_s3_set_credentials(struct leat_local_s3 *server, const char *access_key_id,
                              const char *secret_access_key, const char *session_token)
{
    leat_mutex_lock(&server->lock);
    free(server->old_token);
    server->old_token = server->credentials.session_token != NULL
                            ? leat_strdup(server->credentials.session_token)
                            : NULL;
    set_credentials(server, access_key_id, secret_access_key, session_token);
    leat_mutex_unlock(&server->lock);
}

void
leat_local_s3_counts(struct leat_local_s3 *server, struct leat_local_s3_counts *ret_counts)
{
    leat_mutex_lock(&server->lock);
    *ret_counts = server->counts;
    ret_counts->objects = server->store.objects;
    ret_counts->stored_bytes = server->store.bytes;
    leat_mutex_unlock(&server->lock);
    ret_counts->connections = leat_local_http_connections(server->http);
}

uint64_t
leat_local_s3_calls(struct leat_local_s3 *server, const char *action)
{
    uint64_t calls = 0;

    leat_mutex_lock(&server->lock);
    for (size_t i = 0; i < LEAT_LOCAL_S3_ACTIONS; i++) {
        if (strcmp(leat_local_s3_action_names[i], action) == 0)
            calls = server->calls[i];
    }
    leat_mutex_unlock(&server->lock);
    return calls;
}

/* ---- begin and end --------------------------------------------------------------------------------- */

static int64_t
http_now(void *context)
{
    return leat_local_s3_now_us(context);
}

struct leat_local_s3 *
leat_local_s3_new(const struct leat_local_s3_options *options, struct leat_error *err)
{
    struct leat_local_s3 *server = LEAT_NEW(struct leat_local_s3);
    struct leat_local_http_options http = {.port = options->port,
                                           .threads = options->threads,
                                           .now_us = http_now,
                                           .handle = leat_local_s3_handle,
                                           .context = server};

    server->magic = S3_MAGIC;
    server->region = leat_strdup(options->region != NULL ? options->region : "us-east-1");
    server->issuer = options->issuer;
    server->maximum_bytes = options->maximum_bytes > 0 ? options->maximum_bytes : MAXIMUM_BYTES;
    server->object_bytes = options->object_bytes > 0 ? options->object_bytes : OBJECT_BYTES;
    server->page_keys = options->page_keys > 0 ? options->page_keys : PAGE_KEYS;
    leat_mutex_init(&server->lock);
    leat_mutex_lock(&server->lock);
    set_credentials(server, options->access_key_id, options->secret_access_key,
                    options->session_token);
    leat_mutex_unlock(&server->lock);
    /* A little more than an object, so that it is refused in S3's words. */
    http.maximum_body_bytes = server->object_bytes + ((size_t)1 << 20);
    server->http = leat_local_http_start(&http, err);
    if (server->http == NULL) {
        leat_local_s3_free(server);
        return NULL;
    }
    snprintf(server->endpoint, sizeof server->endpoint, "http://127.0.0.1:%u",
             (unsigned)leat_local_http_port(server->http));
    return server;
}

void
leat_local_s3_free(struct leat_local_s3 *server)
{
    if (server == NULL)
        return;
    leat_local_http_stop(server->http);
    leat_mutex_lock(&server->lock);
    leat_local_objects_release(&server->store);
    leat_local_s3_forget_faults(server);
    free(server->armed);
    leat_credentials_release(&server->credentials);
    free(server->old_token);
    leat_mutex_unlock(&server->lock);
    leat_mutex_release(&server->lock);
    free(server->region);
    server->magic = 0;
    free(server);
}

uint16_t
leat_local_s3_port(const struct leat_local_s3 *server)
{
    return leat_local_http_port(server->http);
}

const char *
leat_local_s3_endpoint(const struct leat_local_s3 *server)
{
    return server->endpoint;
}
