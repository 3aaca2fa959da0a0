/*
 * S3: the few blocking calls that the archive needs. One client per thread. Custom endpoints are addressed by path, AWS's own by
 * virtual host (by path where the bucket's name cannot be a part of one), unless `addressing_style` of the profile's s3 says
 * otherwise. Every body is signed by its SHA-256.
 * Errors: NOT_FOUND (NoSuchBucket, NoSuchKey: err tells which), DENIED, THROTTLED (SlowDown), UNAVAILABLE, CONFLICT, LIMIT.
 */
#ifndef LEAT_AWS_S3_H
#define LEAT_AWS_S3_H

#include "aws/client.h"

struct leat_s3;
struct leat_s3 *leat_s3_new(const struct leat_aws *aws, struct leat_error *err);
void leat_s3_free(struct leat_s3 *s3);
void leat_s3_interrupt(struct leat_s3 *s3); /* any thread */
const char *leat_s3_endpoint(const struct leat_s3 *s3);

/* content_type NULL: application/octet-stream. Keys: any bytes but zero, ≤ 1,024. Idempotent, so retried. Stored is what a 200
   with an ETag says; any other success is UNAVAILABLE: a proxy, or a server that will store it later, or never. */
int leat_s3_put_object(struct leat_s3 *s3, const char *bucket, struct leat_slice key,
                       struct leat_slice body, const char *content_type, struct leat_error *err);
/* Started on a loop: one attempt (and the one refresh and clock correction of client.h); retries are the caller's. The callback
   comes from run_once of that loop; the call is gone after it. bucket, key and content_type are copied; body is borrowed until
   then, or until cancel returned. */
struct leat_s3_put {
    const char *bucket;
    struct leat_slice key, body;
    const char *content_type;
    void (*done)(void *context, int status, const struct leat_error *err);
    void *context;
};
struct leat_s3_call;
struct leat_s3_call *leat_s3_put_start(struct leat_s3 *s3, struct leat_event_loop *loop,
                                       const struct leat_s3_put *put);
void leat_s3_cancel(struct leat_s3_call *call); /* NULL is fine; done is not called */
/* Appends to body; its maximum is the limit (LEAT_E_LIMIT beyond). */
int leat_s3_get_object(struct leat_s3 *s3, const char *bucket, struct leat_slice key,
                       struct leat_buf *body, struct leat_error *err);

struct leat_s3_object {
    struct leat_slice key; /* lives until the callback returns */
    uint64_t size;
    int64_t modified_us; /* 0: not told */
};
/* Non-zero ends the listing, and is returned. */
typedef int (*leat_s3_object_fn)(void *context, const struct leat_s3_object *object);
int leat_s3_list_objects(struct leat_s3 *s3, const char *bucket, struct leat_slice prefix,
                         leat_s3_object_fn each, void *context, struct leat_error *err);
/* Exists and may be reached? */
int leat_s3_head_bucket(struct leat_s3 *s3, const char *bucket, struct leat_error *err);
int leat_s3_create_bucket(struct leat_s3 *s3, const char *bucket, struct leat_error *err);

#endif
