/* What loop.c and http.c share; nobody else includes this. Everything belongs to the loop's thread unless guarded. */
#ifndef LEAT_AWS_HTTP_INTERNAL_H
#define LEAT_AWS_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "aws/http.h"
#include "base/thread.h"

#define LEAT_EVENT_LOOP_MAGIC 0x6c6f6f70u
#define LEAT_HTTP_HEADER_BYTES 256

struct leat_loop_timer {
    int64_t at_us;
    uint64_t order; /* of equal times: as they were made */
    size_t place;   /* in the heap */
    leat_loop_fn fn;
    void *context;
};

struct leat_loop_post {
    leat_loop_fn fn;
    void *context;
};

struct leat_event_loop {
    unsigned magic;
    CURLM *multi;
    CURLSH *share; /* TLS sessions */
    char *ca_bundle, *user_agent;
    long receive_buffer_bytes;
    struct leat_http_call *calls; /* under way, doubly linked */
    CURL *spare[32];              /* easy handles kept: their buffers are warm */
    size_t spare_count;
    struct leat_loop_timer **timers; /* a heap */
    size_t timer_count, timer_capacity;
    uint64_t timer_order;
    struct leat_mutex mutex; /* guards the three below (clang 14 cannot name a member in C) */
    struct leat_loop_post *posts;
    size_t post_count, post_capacity;
};

struct leat_http_call {
    struct leat_event_loop *loop;
    struct leat_http_call *next, *previous;
    CURL *easy;
    struct curl_slist *headers;
    struct leat_http_request request; /* its texts are gone after start, but for the url's */
    char *url;
    char curl_error[CURL_ERROR_SIZE];
    int64_t began_us;
    bool has_retried, is_aborted, has_told_head;
    bool is_forbidden; /* an address was refused by may_connect */
    int status;
    int64_t content_length, date_us, retry_after_us;
    uint64_t body_bytes;
    size_t header_bytes; /* of all heads and trailers together */
    char content_type[LEAT_HTTP_HEADER_BYTES], request_id[LEAT_HTTP_HEADER_BYTES],
        error_type[LEAT_HTTP_HEADER_BYTES], etag[LEAT_HTTP_HEADER_BYTES],
        bucket_region[LEAT_HTTP_HEADER_BYTES];
};

/* The transfer is over: retried once where that is silent and right, else told. The call may be gone afterwards. */
void leat_http_finish(struct leat_http_call *call, CURLcode code);

#endif
