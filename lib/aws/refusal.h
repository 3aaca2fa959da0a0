/* A refusal's body: type and message, from JSON, CBOR or XML, whatever its Content-Type says. Pure; foreign bytes. */
#ifndef LEAT_AWS_REFUSAL_H
#define LEAT_AWS_REFUSAL_H

#include "aws/fault.h"
#include "base/buf.h"

struct leat_refusal {
    char type[LEAT_FAULT_TYPE_BYTES]; /* "": not told */
    char message[512];
};

/* The body's bytes may be changed. Never fails: what does not parse tells nothing. */
void leat_refusal_parse(struct leat_buf *body, struct leat_slice content_type,
                        struct leat_refusal *ret_refusal);

#endif
