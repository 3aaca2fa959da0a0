/*
 * An S3 of our own on loopback, in memory, with faults on demand: for `leat dev`, the demo, tests and benchmarks. Buckets are
 * addressed by path. It has PutObject (with If-None-Match: *), GetObject, HeadObject, DeleteObject, ListObjectsV2,
 * CreateBucket, HeadBucket, DeleteBucket and ListBuckets; anything else is NotImplemented, never half done. Signatures,
 * the body's hash, Content-MD5 and the clock are checked as the service checks them.
 *
 * Threads: its own (http.h). All functions here may be called from any thread.
 */
#ifndef LEAT_LOCAL_S3_H
#define LEAT_LOCAL_S3_H

#include "base/buf.h"
#include "local/issuer.h"

/* Zeros and NULLs: the defaults. Strings are copied. */
struct leat_local_s3_options {
    uint16_t port;      /* 0: a free one */
    unsigned threads;   /* that serve requests; 0: 1 */
    const char *region; /* us-east-1 */
    const char *access_key_id, *secret_access_key,
        *session_token;              /* id NULL, and no issuer: signatures are not looked at */
    struct leat_local_issuer issuer; /* of keys that are good, too; outlives the server */
    size_t
        maximum_bytes; /* of all objects with their keys: 1 GiB; then PutObject is refused with 507 */
    size_t object_bytes; /* the largest object: 64 MiB */
    uint32_t page_keys;  /* the largest page of a list: 1,000 */
};

struct leat_local_s3;
struct leat_local_s3 *leat_local_s3_new(const struct leat_local_s3_options *options,
                                        struct leat_error *err); /* NULL: err */
void leat_local_s3_free(struct leat_local_s3 *server);           /* NULL is fine */
uint16_t leat_local_s3_port(const struct leat_local_s3 *server);
const char *leat_local_s3_endpoint(const struct leat_local_s3 *server); /* http://127.0.0.1:port */

/* ---- past the wire: no signature, no fault -------------------------------------------------------- */

int leat_local_s3_create_bucket(struct leat_local_s3 *server, const char *bucket,
                                struct leat_error *err);
int leat_local_s3_put(struct leat_local_s3 *server, const char *bucket, struct leat_slice key,
                      struct leat_slice body, struct leat_error *err);
/* Appends to ret_body. LEAT_E_NOT_FOUND. */
int leat_local_s3_get(struct leat_local_s3 *server, const char *bucket, struct leat_slice key,
                      struct leat_buf *ret_body, struct leat_error *err);

/* ---- the world around it -------------------------------------------------------------------------- */

/* The server's clock: leat_clock_wall_us() plus all shifts so far. */
void leat_local_s3_shift_clock(struct leat_local_s3 *server, int64_t by_us);
int64_t leat_local_s3_now_us(struct leat_local_s3 *server);
/* From now on only these; a session token that was good until now is refused as expired. */
void leat_local_s3_set_credentials(struct leat_local_s3 *server, const char *access_key_id,
                                   const char *secret_access_key, const char *session_token);

/* ---- faults ---------------------------------------------------------------------------------------- */

enum leat_local_s3_fault_kind {
    LEAT_LOCAL_S3_SLOW_DOWN = 0, /* 503 SlowDown */
    LEAT_LOCAL_S3_REFUSE = 1,    /* `code` (InternalError) with `status` (500) */
    LEAT_LOCAL_S3_ERROR = 2,     /* an empty answer of `status` (500) */
    LEAT_LOCAL_S3_DELAY = 3,     /* `delay_us` before the answer; nothing else is wrong */
    LEAT_LOCAL_S3_SLOW = 4,      /* `bytes` (1) at a time, `delay_us` (1 ms) between them */
    LEAT_LOCAL_S3_CUT = 5,       /* done; the answer ends after `bytes` (0: half) of its body */
    LEAT_LOCAL_S3_RESET = 6,     /* nothing is done, the connection is reset */
    LEAT_LOCAL_S3_LOST = 7,      /* done, and the connection is reset instead of an answer */
    LEAT_LOCAL_S3_STALE = 8      /* answered; the next request on this connection is reset unread */
};

/* Which calls: those that `action` ("PutObject") and `bucket` (NULL: any) name; of these, after the first `skip`, each
   `every`th (0: 1), `times` times in all (0: until cleared). Strings are copied. */
struct leat_local_s3_fault {
    enum leat_local_s3_fault_kind kind;
    const char *action, *bucket;
    unsigned skip, every, times;
    int status;
    const char *code;
    int64_t delay_us;
    size_t bytes;
};
/* Several may hit one call: the first refusal, the first damage, the longest delay. */
void leat_local_s3_fault(struct leat_local_s3 *server, const struct leat_local_s3_fault *fault);
void leat_local_s3_clear_faults(struct leat_local_s3 *server);

/* ---- what happened ---------------------------------------------------------------------------------- */

struct leat_local_s3_counts {
    uint64_t calls, refused;      /* answers of 4xx and 5xx, without damage done on the way */
    uint64_t unsigned_calls;      /* refused for their signature */
    uint64_t faults;              /* how often one fired */
    uint64_t bytes_in, bytes_out; /* of objects */
    uint64_t objects, stored_bytes;
    uint64_t connections;
};
void leat_local_s3_counts(struct leat_local_s3 *server, struct leat_local_s3_counts *ret_counts);
/* Calls of one action ("PutObject"), whatever became of them. */
uint64_t leat_local_s3_calls(struct leat_local_s3 *server, const char *action);

#endif
