/*
 * What every AWS client is given, and the one path of a signed call: endpoint, credentials, signature, HTTP, the class of a
 * refusal, one refresh of expired credentials, one correction of the clock. kinesis.h and s3.h are built on it.
 *
 * Threads: a leat_aws is read-only and shared; a leat_aws_client belongs to one thread.
 */
#ifndef LEAT_AWS_CLIENT_H
#define LEAT_AWS_CLIENT_H

#include "aws/credentials_cache.h"
#include "aws/endpoint.h"
#include "aws/fault.h"
#include "aws/http.h"
#include "aws/retry.h"
#include "base/buf.h"

/* Strings may be NULL or "". Borrowed: must outlive the clients. */
struct leat_aws {
    const char *region;
    const char
        *profile; /* whose region and endpoints are looked up; its credentials are `credentials` */
    const char *endpoints[LEAT_SERVICES]; /* configured overrides, by enum leat_service */
    const char *s3_addressing;            /* "path", "virtual"; "auto": as the profile's s3 says */
    const char *ca_bundle;
    struct leat_credentials_provider *credentials;
    int64_t timeout_us, connect_timeout_us; /* 0: 30 s, 5 s */
    struct leat_retry_policy retry;         /* of the blocking calls; zeros: defaults */
    /* Blocking calls end with LEAT_E_CANCELLED within a tenth of a second once this says so: the process is ending. NULL: never.
       Any thread. */
    bool (*is_stopped)(void);
    const atomic_bool *is_interrupted; /* the same, for whoever shares it; NULL: nobody */
};

struct leat_aws_client;
struct leat_aws_client *leat_aws_client_new(const struct leat_aws *aws, enum leat_service service,
                                            struct leat_error *err); /* NULL: err */
void leat_aws_client_free(struct leat_aws_client *client);           /* no calls under way */
const struct leat_endpoint *leat_aws_client_endpoint(const struct leat_aws_client *client);
/* The service's time as of its last Date header, µs since 1970; our own clock before the first answer. */
int64_t leat_aws_client_now_us(const struct leat_aws_client *client);

struct leat_aws_outcome {
    int result; /* 0: 2xx, whole; else LEAT_E_…, with err */
    struct leat_fault fault;
    struct leat_error err;
    bool is_aborted; /* head or sink said so */
    bool has_etag;
    int status; /* HTTP; 0: no answer came */
    char content_type[256];
    int64_t content_length;          /* -1: not told */
    int64_t date_us, retry_after_us; /* 0: not told */
};

/* One request. Everything borrowed until done was called or cancel returned, but for subject (copied). */
struct leat_aws_request {
    const char *method;
    struct leat_slice path,
        query;                  /* escaped; path begins with '/'; before it comes the endpoint's */
    const char *host;           /* NULL: the endpoint's (S3 virtual hosts differ) */
    const char *const *headers; /* "name: value"; signed; host, date, token and hash are added */
    size_t header_count;
    struct leat_slice body;
    bool is_unsigned; /* needs no credentials */
    struct leat_fault_subject subject;
    int64_t timeout_us;     /* 0: the client's */
    leat_http_head_fn head; /* only called for 2xx; may be NULL */
    leat_http_sink_fn sink; /* only 2xx bodies; a refusal's goes to a small buffer inside */
    void (*restart)(
        void *context); /* forget what sink got: the request is sent again; may be NULL */
    void (*done)(void *context, const struct leat_aws_outcome *outcome);
    void *context;
};

struct leat_aws_call;
struct leat_aws_call *leat_aws_start(struct leat_aws_client *client, struct leat_event_loop *loop,
                                     const struct leat_aws_request *request);
void leat_aws_cancel(struct leat_aws_call *call); /* NULL is fine */

/* Blocking, on a loop of the client's own, with retries by the client's policy. done and context of the request are not
   used; sink is given `context`. */
int leat_aws_run(struct leat_aws_client *client, const struct leat_aws_request *request,
                 struct leat_aws_outcome *ret_outcome, struct leat_error *err);
/* For retries that a service has to do itself (PutRecords): waits; false: interrupted. */
bool leat_aws_client_wait(struct leat_aws_client *client, int64_t deadline_us);
struct leat_random *leat_aws_client_random(struct leat_aws_client *client);
/* Another thread may end blocking calls (now and later ones) with LEAT_E_CANCELLED. */
void leat_aws_client_interrupt(struct leat_aws_client *client);

#endif
