/*
 * Signature version 4 as a pure function of request, credentials, scope and time; and its reverse, which lib/local's
 * servers use. No I/O, no clock.
 *
 * path and query are as they go over the wire (escaped, query without the '?'). For S3 the canonical path is that path with
 * its escapes normalised; every other service escapes the path once more after removing "." and ".." and doubled slashes.
 */
#ifndef LEAT_AWS_SIGN_H
#define LEAT_AWS_SIGN_H

#include "aws/credentials.h"
#include "base/buf.h"

struct leat_sign_header {
    struct leat_slice name; /* any case */
    struct leat_slice value;
};

struct leat_sign_request {
    struct leat_slice method, path, query;
    const struct leat_sign_header *headers; /* signing: all are signed; host must be among them */
    size_t header_count;
    struct leat_slice
        payload_hash; /* 64 hex digits, UNSIGNED-PAYLOAD, or what x-amz-content-sha256 says */
};

struct leat_sign_scope {
    struct leat_slice region, service; /* service "s3" switches S3's rules on */
    int64_t time_us;                   /* wall clock, skew-corrected by the caller */
};

#define LEAT_SHA256_HEX_BYTES 65
/* Hex SHA-256, zero-terminated. */
void leat_sha256_hex(struct leat_slice bytes, char ret_hex[LEAT_SHA256_HEX_BYTES]);
void leat_sha256(struct leat_slice bytes, unsigned char ret_hash[32]);

/*
 * The headers to add, beside those given in the request: x-amz-date (into ret_date, "YYYYMMDDTHHMMSSZ"), Authorization
 * (value appended to `authorization`), and, where the credentials have a session token, x-amz-security-token with that
 * token: it is signed here without being listed in the request. Headers named authorization, x-amz-date and
 * x-amz-security-token must not be in the request.
 */
void leat_sign_request(const struct leat_sign_request *request,
                       const struct leat_credentials *credentials,
                       const struct leat_sign_scope *scope, char ret_date[17],
                       struct leat_buf *authorization);

enum leat_sign_verdict {
    LEAT_SIGN_OK = 0,
    LEAT_SIGN_MISSING = 1, /* no Authorization header: MissingAuthenticationToken / AccessDenied */
    LEAT_SIGN_MALFORMED =
        2, /* does not parse, or host/x-amz-date are not signed: IncompleteSignature */
    LEAT_SIGN_UNKNOWN_KEY = 3, /* UnrecognizedClient / InvalidAccessKeyId */
    LEAT_SIGN_BAD_TOKEN = 4,   /* session token missing, unexpected or another one */
    LEAT_SIGN_WRONG_SCOPE = 5, /* credential scope of another day, region or service */
    LEAT_SIGN_SKEWED =
        6, /* x-amz-date too far from now: RequestTimeTooSkewed / "Signature expired" */
    LEAT_SIGN_WRONG_BODY = 7, /* x-amz-content-sha256 is not the body's */
    LEAT_SIGN_MISMATCH =
        8 /* InvalidSignature / SignatureDoesNotMatch: wrong secret or changed request */
};
const char *leat_sign_verdict_text(enum leat_sign_verdict verdict);

struct leat_sign_check {
    const struct leat_credentials *credentials; /* the one that is known */
    struct leat_slice region, service;          /* region empty: any */
    int64_t now_us, maximum_skew_us;
    struct leat_slice
        body_hash; /* of the body as received, 64 hex digits; empty: the body is not checked */
};

/* A request as received: all its headers, with Authorization. payload_hash is ignored. */
enum leat_sign_verdict leat_sign_verify(const struct leat_sign_request *request,
                                        const struct leat_sign_check *check);
/* The access key id that the Authorization header names; false: none. A slice into the header. */
bool leat_sign_access_key(const struct leat_sign_request *request, struct leat_slice *ret_key);

/* For tests and for looking at a mismatch: the canonical request. */
void leat_sign_canonical(const struct leat_sign_request *request, bool is_s3, struct leat_buf *out);

#endif
