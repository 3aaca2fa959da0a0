/*
 * HTTP/1.1 over libcurl multi: an event loop owned by one thread, with timers and posted calls, so that a thread can be
 * built upon it (the fetch thread) and a blocking client too (run until done).
 *
 * Every function is for the owner's thread, except leat_event_loop_post and leat_event_loop_wake. Callbacks run inside
 * leat_event_loop_run_once, never inside start; they may start and cancel calls and timers, but not free the loop.
 * head and sink are called from inside libcurl: those two may only look and return, not start or cancel calls.
 * After leat_http_cancel returned, no callback of that call comes any more.
 *
 * A reused connection that died before the first byte of the answer is tried again once, silently. Nothing else is.
 */
#ifndef LEAT_AWS_HTTP_H
#define LEAT_AWS_HTTP_H

#include <leat/error.h>
#include <leat/slice.h>

#include "base/buf.h"

struct sockaddr;
struct leat_event_loop;
struct leat_http_call;
struct leat_loop_timer;

struct leat_event_loop_options {
    const char *ca_bundle;         /* PEM file; NULL: AWS_CA_BUNDLE, else the system's */
    unsigned connections_per_host; /* 0: no limit; further calls wait (their time-out runs) */
    unsigned idle_connections;     /* kept for reuse; 0: 256 */
    size_t receive_buffer_bytes;   /* of each call under way; 0: 128 KiB */
};

/* options NULL: defaults. NULL: err. */
struct leat_event_loop *leat_event_loop_new(const struct leat_event_loop_options *options,
                                            struct leat_error *err);
/* Cancels all calls and timers (no callback), runs what is posted. NULL is fine. */
void leat_event_loop_free(struct leat_event_loop *loop);

/* Waits for I/O, timers, posted calls or a wake until deadline_us (leat_clock_monotonic_us; in the past: does not wait),
   handles what is there, returns. */
void leat_event_loop_run_once(struct leat_event_loop *loop, int64_t deadline_us);
void leat_event_loop_wake(struct leat_event_loop *loop); /* any thread */

typedef void (*leat_loop_fn)(void *context);
/* Any thread: fn is called by the loop's thread, in the order posted. */
void leat_event_loop_post(struct leat_event_loop *loop, leat_loop_fn fn, void *context);
/* Called once at (or after) at_us, monotonic; the handle is gone then. */
struct leat_loop_timer *leat_event_loop_timer(struct leat_event_loop *loop, int64_t at_us,
                                              leat_loop_fn fn, void *context);
void leat_loop_timer_cancel(struct leat_event_loop *loop,
                            struct leat_loop_timer *timer); /* NULL is fine */

/* ---- requests ------------------------------------------------------------------------------ */

/* Head of the answer, before its first byte of body. content_length -1: not told. Non-zero: abort. */
typedef int (*leat_http_head_fn)(void *context, int status, int64_t content_length);
/* Bytes of the body. Non-zero: abort (the answer then has is_aborted). */
typedef int (*leat_http_sink_fn)(void *context, const void *bytes, size_t size);

struct leat_http_answer {
    int result; /* 0: an answer of any status came whole; else LEAT_E_… of the transport, and err is set */
    int status;             /* 0: none came */
    bool is_aborted;        /* head or sink said so: result is LEAT_E_LIMIT */
    int64_t content_length; /* -1: not told */
    uint64_t body_bytes;    /* given to the sink */
    /* Headers of interest; live until done returns. */
    struct leat_slice content_type, request_id, error_type, etag, bucket_region;
    int64_t date_us;        /* the server's Date header; 0: none */
    int64_t retry_after_us; /* 0: none */
    int64_t duration_us;
    struct leat_error err; /* names host:port and the reason */
};
/* The call is gone when this returns. */
typedef void (*leat_http_done_fn)(void *context, const struct leat_http_answer *answer);

struct leat_http_request {
    const char *method;         /* "POST"; copied, like url and headers */
    const char *url;            /* sent as it is: no normalising of its path */
    const char *const *headers; /* "Name: value" lines */
    size_t header_count;
    struct leat_slice body;     /* borrowed until done was called or cancel returned */
    int64_t timeout_us;         /* whole; 0: 30 s */
    int64_t connect_timeout_us; /* 0: 5 s */
    bool is_direct;             /* no proxy of the environment stands between */
    /* Asked for each address that is about to be connected to: false refuses it. NULL: any. From inside libcurl. */
    bool (*may_connect)(const struct sockaddr *address);
    leat_http_head_fn head; /* may be NULL */
    leat_http_sink_fn sink; /* NULL: the body is thrown away */
    leat_http_done_fn done;
    void *context;
};

/* Never fails here: what is wrong is told through done. */
struct leat_http_call *leat_http_start(struct leat_event_loop *loop,
                                       const struct leat_http_request *request);
void leat_http_cancel(struct leat_http_call *call); /* NULL is fine */

/* Sun, 06 Nov 1994 08:49:37 GMT → µs; 0: malformed, or not of the years 1970 … 9999. Pure. */
int64_t leat_http_date_parse(struct leat_slice text);

/* ---- what the environment says (http_environment.c) ------------------------------------------ */

/* Is the URL's host this machine, or an address of its own link (instance, container and pod metadata)? Pure. */
bool leat_http_is_direct(const char *url);
/* The proxy for this URL: https_proxy, HTTPS_PROXY (http_proxy for http://), all_proxy, ALL_PROXY, the first that is not
   blank; "" for none. no_proxy and NO_PROXY are libcurl's to judge. May hold a password. */
const char *leat_http_proxy(const char *url);
/* "leat/VERSION", then " app/APPLICATION" of AWS_SDK_UA_APP_ID: 50 bytes of it, what may not stand there as '-'. Pure. */
void leat_http_user_agent(const char *application, struct leat_buf *ret_agent);

#endif
