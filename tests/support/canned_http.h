/*
 * An HTTP/1.1 server on loopback that answers what the test wrote down, in order, and keeps what it was asked. For faults
 * that lib/local's servers know nothing of (a connection that dies, an answer of the wrong kind).
 * Threads: its own; add and request_text from the test's thread.
 */
#ifndef LEAT_TESTS_CANNED_HTTP_H
#define LEAT_TESTS_CANNED_HTTP_H

#include "base/buf.h"

struct canned_http;

enum canned_then {
    CANNED_KEEP = 0,  /* the connection stays open */
    CANNED_CLOSE = 1, /* closed behind the bytes, however few they are */
    CANNED_SILENT = 2 /* nothing is sent, the connection stays open */
};

struct canned_http *canned_http_new(void);
void canned_http_free(struct canned_http *server);
const char *canned_http_url(const struct canned_http *server); /* http://127.0.0.1:port */
/* The next answer, as raw bytes. */
void canned_http_add(struct canned_http *server, struct leat_slice raw, enum canned_then then);
/* The next answer: status, header lines ("" or "Name: value\r\n"…), body. */
void canned_http_answer(struct canned_http *server, int status, const char *headers,
                        struct leat_slice body);
/* How many requests came, and the text of one (from 0; head and body, zero-terminated). */
size_t canned_http_count(struct canned_http *server);
const char *canned_http_request(struct canned_http *server, size_t place);
struct leat_slice canned_http_body(struct canned_http *server, size_t place);
size_t canned_http_connections(struct canned_http *server); /* accepted so far */

#endif
