/*
 * What a service's refusal means: HTTP status, error type and message → a class and a leat_error. Pure.
 * The table of types is one place for all services.
 */
#ifndef LEAT_AWS_FAULT_H
#define LEAT_AWS_FAULT_H

#include <leat/error.h>
#include <leat/slice.h>

enum leat_fault_kind {
    LEAT_FAULT_NONE = 0,
    LEAT_FAULT_TRANSPORT, /* no answer: connect, TLS, reset, time-out */
    LEAT_FAULT_SERVER,    /* 5xx without a better name */
    LEAT_FAULT_THROTTLED,
    LEAT_FAULT_EXPIRED_TOKEN, /* refresh the credentials once */
    LEAT_FAULT_SKEWED,        /* correct the clock once, if the server's Date differs */
    LEAT_FAULT_DENIED,
    LEAT_FAULT_NOT_FOUND,
    LEAT_FAULT_EXPIRED_ITERATOR,
    LEAT_FAULT_EXPIRED_PAGE, /* ExpiredNextToken: begin the listing again */
    LEAT_FAULT_CONFLICT,
    LEAT_FAULT_INVALID,
    LEAT_FAULT_UNSUPPORTED, /* the server does not know this encoding or action */
    LEAT_FAULT_LIMIT,       /* LimitExceeded of resources (shards, streams): not a throttle */
    LEAT_FAULT_FORMAT       /* an answer that does not parse */
};

#define LEAT_FAULT_TYPE_BYTES 96

struct leat_fault {
    enum leat_fault_kind kind;
    int status;                       /* HTTP; 0: none */
    char type[LEAT_FAULT_TYPE_BYTES]; /* "ResourceNotFoundException"; "": not told */
};

/* What the call was about, for the message: kinesis GetRecords of stream "x". */
struct leat_fault_subject {
    const char *service, *action; /* "kinesis", "GetRecords" */
    const char *kind;             /* "stream", "bucket"; NULL: none */
    struct leat_slice name;
    const char *endpoint; /* for messages; NULL: none */
};

/* type may be "namespace#Name", "Name:url" or empty. Only printable text of the message's first line is shown. */
void leat_fault_classify(int status, struct leat_slice type, struct leat_fault *ret_fault);
/* A refusal that a wrong clock may be behind, besides those that say so. */
bool leat_fault_may_be_clock(const struct leat_fault *fault);
/* LEAT_E_… of a kind; fills err with service, action, subject, reason and a hint. */
int leat_fault_error(const struct leat_fault *fault, const struct leat_fault_subject *subject,
                     struct leat_slice message, struct leat_error *err);

#endif
