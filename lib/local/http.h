/*
 * An HTTP/1.1 server on 127.0.0.1 (libmicrohttpd) for the services of this folder: it collects a request, asks a handler,
 * and sends the answer, or does the damage that the answer asks for.
 *
 * Threads: its own. The handler is called from any of them, with the whole request, and must not wait (delays are asked
 * for in the answer; they hold no thread). Everything in a request lives until the handler returns.
 */
#ifndef LEAT_LOCAL_HTTP_H
#define LEAT_LOCAL_HTTP_H

#include "aws/sign.h"
#include "base/buf.h"

#define LEAT_LOCAL_HTTP_HEADERS 100

/* Names and values as sent; path and query raw (escaped), query without '?': what leat_sign_verify wants. */
struct leat_local_request {
    struct leat_slice method, path, query;
    const struct leat_sign_header *headers;
    size_t header_count;
    unsigned char *body; /* may be changed by the handler; never NULL */
    size_t body_size;
};
/* The first header of this name (any case); false: none. */
bool leat_local_http_find(const struct leat_local_request *request, const char *name,
                          struct leat_slice *ret_value);

/* What becomes of the answer on its way. */
enum leat_local_damage {
    LEAT_LOCAL_DAMAGE_NONE = 0,
    LEAT_LOCAL_DAMAGE_CUT = 1,   /* Content-Length is the whole; the connection ends before */
    LEAT_LOCAL_DAMAGE_RESET = 2, /* TCP reset instead of an answer */
    LEAT_LOCAL_DAMAGE_SLOW = 3,  /* a few bytes at a time */
    LEAT_LOCAL_DAMAGE_STALE =
        4 /* a whole answer; the connection looks alive, and the next request on it is reset unread */
};
struct leat_local_http_fault {
    enum leat_local_damage damage;
    int64_t delay_us;  /* before the answer, or the reset */
    size_t cut_bytes;  /* CUT: bytes of the body that are sent; SIZE_MAX or more than half: half */
    size_t step_bytes; /* SLOW; 0: 1 */
    int64_t step_us;   /* SLOW: between the steps; 0: 1 ms */
    int64_t date_ahead_us; /* the Date header */
};

/* Zeroed before the handler is called. */
struct leat_local_answer {
    int status;              /* 0: 200 */
    struct leat_buf headers; /* by leat_local_http_header; Date and Content-Length are added */
    struct leat_buf body;    /* handed over, not copied */
    /* Instead of `body`: memory of the handler's, given back by release (any thread; may be NULL) when it was sent. */
    struct leat_slice shared;
    void (*release)(void *release_context);
    void *release_context;
    struct leat_local_http_fault fault;
};
/* The value must not hold line ends. */
void leat_local_http_header(struct leat_local_answer *answer, const char *name, const char *format,
                            ...) LEAT_PRINTF(3, 4);

#define LEAT_LOCAL_HTTP_DATE_BYTES 64
/* Sun, 06 Nov 1994 08:49:37 GMT */
void leat_local_http_date(int64_t us, char ret_text[LEAT_LOCAL_HTTP_DATE_BYTES]);

typedef void (*leat_local_handler_fn)(void *context, const struct leat_local_request *request,
                                      struct leat_local_answer *answer);

struct leat_local_http_options {
    uint16_t port;                    /* 0: a free one */
    unsigned threads;                 /* 0: 1 */
    size_t maximum_body_bytes;        /* 0: 64 MiB; more: 413, the handler is not asked */
    int64_t (*now_us)(void *context); /* for the Date header; NULL: the wall clock */
    leat_local_handler_fn handle;
    void *context;
};

struct leat_local_http;
struct leat_local_http *leat_local_http_start(const struct leat_local_http_options *options,
                                              struct leat_error *err); /* NULL: err */
/* Answers under way are cut off; the handler is not running any more when this returns. NULL is fine. */
void leat_local_http_stop(struct leat_local_http *http);
uint16_t leat_local_http_port(const struct leat_local_http *http);
uint64_t leat_local_http_connections(const struct leat_local_http *http); /* accepted so far */

#endif
