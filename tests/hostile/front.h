/*
 * The other side that means harm: it stands before a Kinesis of our own and hands on what is none of its business; the calls
 * of the kind that is being tried are answered by that kind, byte by byte. For S3 it has no server behind it and says 200.
 *
 * Threads: one that accepts, one for each connection. An answer runs on its connection's thread.
 */
#ifndef LEAT_TESTS_HOSTILE_FRONT_H
#define LEAT_TESTS_HOSTILE_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define EVIL "evil"

struct hostile_front;

struct hostile_call {
    struct hostile_front *front;
    int fd;
    const char *action;     /* "GetRecords"; of S3 "PutObject" */
    struct leat_slice body; /* of the request */
    unsigned number;        /* of the kind's calls, from 0 */
};

/* Writes what it likes. true: the connection stays open. */
typedef bool (*hostile_answer_fn)(struct hostile_call *call);

struct hostile_front_options {
    uint16_t upstream; /* 0: none, and 200 for everything */
    /* The calls that are answered here: of this action, and (but for S3 and ListStreams) about the stream EVIL. */
    const char *action; /* NULL: none */
    hostile_answer_fn answer;
    bool is_late; /* only once it is armed */
};

struct hostile_front *hostile_front_new(const struct hostile_front_options *options);
void hostile_front_free(struct hostile_front *front);
const char *hostile_front_url(const struct hostile_front *front);
void hostile_front_arm(struct hostile_front *front);
/* How many calls the kind answered. */
unsigned hostile_front_calls(struct hostile_front *front);

/* false: the connection is gone, or the front is being closed. */
bool hostile_send(struct hostile_call *call, const void *bytes, size_t size);
bool hostile_text(struct hostile_call *call, const char *text);
bool hostile_wait(struct hostile_call *call, int64_t us);
/* headers: whole lines with their ends, or "". */
bool hostile_reply(struct hostile_call *call, int status, const char *headers,
                   struct leat_slice body);
bool hostile_json(struct hostile_call *call, const char *json);

#endif
