/* What signing and verifying share; nobody else includes this. */
#ifndef LEAT_AWS_SIGN_INTERNAL_H
#define LEAT_AWS_SIGN_INTERNAL_H

#include "aws/sign.h"

struct leat_sign_material {
    const char *date; /* YYYYMMDDTHHMMSSZ; not necessarily zero-terminated */
    struct leat_slice region, service;
    const char *secret;
};

/* The canonical request into `out`, the signed headers' names, joined by ';', into `names`. */
void leat_sign_canonical_parts(const struct leat_sign_request *request, bool is_s3,
                               struct leat_buf *out, struct leat_buf *names);
void leat_sign_signature(const struct leat_sign_material *material, struct leat_slice canonical,
                         char ret_signature[LEAT_SHA256_HEX_BYTES]);

#endif
