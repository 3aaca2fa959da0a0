/* The inside of the local S3, shared by its files. */
#ifndef LEAT_LOCAL_S3_INSIDE_H
#define LEAT_LOCAL_S3_INSIDE_H

#include "aws/credentials.h"
#include "base/thread.h"
#include "local/http.h"
#include "local/s3.h"
#include "local/s3_store.h"

enum leat_local_s3_action {
    LEAT_LOCAL_S3_OTHER = 0, /* nothing that there is here */
    LEAT_LOCAL_S3_PUT_OBJECT,
    LEAT_LOCAL_S3_GET_OBJECT,
    LEAT_LOCAL_S3_HEAD_OBJECT,
    LEAT_LOCAL_S3_DELETE_OBJECT,
    LEAT_LOCAL_S3_LIST_OBJECTS,
    LEAT_LOCAL_S3_CREATE_BUCKET,
    LEAT_LOCAL_S3_HEAD_BUCKET,
    LEAT_LOCAL_S3_DELETE_BUCKET,
    LEAT_LOCAL_S3_LIST_BUCKETS,
    LEAT_LOCAL_S3_ACTIONS
};
extern const char *const leat_local_s3_action_names[LEAT_LOCAL_S3_ACTIONS];

struct leat_local_s3_armed {
    struct leat_local_s3_fault fault; /* its strings are owned */
    uint64_t seen, fired;
};

struct leat_local_s3 {
    uint32_t magic;
    struct leat_local_http *http;
    char endpoint[40];
    char *region;
    struct leat_local_issuer issuer;
    size_t maximum_bytes, object_bytes;
    uint32_t page_keys;
    struct leat_mutex lock;
    struct leat_local_store store LEAT_FIELD_GUARDED_BY(lock);
    struct leat_credentials credentials LEAT_FIELD_GUARDED_BY(lock);
    bool checks_signatures LEAT_FIELD_GUARDED_BY(lock);
    char *old_token LEAT_FIELD_GUARDED_BY(lock); /* good until set_credentials */
    int64_t shift_us LEAT_FIELD_GUARDED_BY(lock);
    struct leat_local_s3_armed *armed LEAT_FIELD_GUARDED_BY(lock);
    size_t armed_count LEAT_FIELD_GUARDED_BY(lock), armed_capacity LEAT_FIELD_GUARDED_BY(lock);
    uint64_t calls[LEAT_LOCAL_S3_ACTIONS] LEAT_FIELD_GUARDED_BY(lock);
    struct leat_local_s3_counts counts LEAT_FIELD_GUARDED_BY(lock);
};

/* One request, from its parsed head on: what the HTTP server calls. context: the server. */
void leat_local_s3_handle(void *context, const struct leat_local_request *request,
                          struct leat_local_answer *answer);

/* A parameter of the query, unescaped. */
struct leat_local_s3_parameter {
    struct leat_slice name, value;
};
#define LEAT_LOCAL_S3_PARAMETERS 16
#define LEAT_LOCAL_S3_KEY_BYTES 1024

/* One request, taken apart. */
struct leat_local_s3_call {
    const struct leat_local_request *request;
    struct leat_local_answer *answer;
    enum leat_local_s3_action action;
    bool is_refused;      /* before anybody looked at signature and faults */
    struct leat_buf text; /* what the slices below are cut from */
    struct leat_slice bucket, key;
    struct leat_local_s3_parameter parameters[LEAT_LOCAL_S3_PARAMETERS];
    size_t parameter_count;
    char body_hash[LEAT_SHA256_HEX_BYTES];
    struct leat_credentials issued; /* that it is signed with; access_key_id NULL: not with such */
    bool is_issued_expired;
};
/* false: path or query make no sense. */
bool leat_local_s3_parse(struct leat_local_s3_call *call);
/* Empty where the query has none; *ret_is_there may be NULL. */
struct leat_slice leat_local_s3_parameter(const struct leat_local_s3_call *call, const char *name,
                                          bool *ret_is_there);

/* What happens to one call. */
struct leat_local_s3_plan {
    int status; /* 0: it is done; else it is refused, with `code`, or with an empty body where code is "" */
    char code[64];
    struct leat_local_http_fault http;
    bool is_reset; /* before anything is done */
};

/* The request as the signature's check wants it. */
struct leat_sign_request leat_local_s3_signed(const struct leat_local_s3_call *call);
/* In S3's words: status, code, message in XML. The answer's body is cleared first. */
void leat_local_s3_refuse(struct leat_local_s3_call *call, int status, const char *code,
                          const char *format, ...) LEAT_PRINTF(4, 5);
/* Refuses, and says so. Counts nothing. */
bool leat_local_s3_is_allowed(struct leat_local_s3 *server, struct leat_local_s3_call *call)
    LEAT_REQUIRES(server->lock);
int64_t leat_local_s3_time(const struct leat_local_s3 *server) LEAT_REQUIRES(server->lock);

/* What is to be stored, made without the lock; of a request: NULL where it was refused. */
struct leat_local_blob *leat_local_s3_blob(struct leat_slice body);
struct leat_local_blob *leat_local_s3_receive(const struct leat_local_s3 *server,
                                              struct leat_local_s3_call *call);
bool leat_local_s3_is_bucket_name(struct leat_slice name);
/* Does the call, or refuses it. blob: of PutObject. */
void leat_local_s3_run(struct leat_local_s3 *server, struct leat_local_s3_call *call,
                       struct leat_local_blob *blob) LEAT_REQUIRES(server->lock);

void leat_local_s3_plan(struct leat_local_s3 *server, const struct leat_local_s3_call *call,
                        struct leat_local_s3_plan *ret_plan) LEAT_REQUIRES(server->lock);
void leat_local_s3_forget_faults(struct leat_local_s3 *server) LEAT_REQUIRES(server->lock);

/* ListObjectsV2 of a bucket that is there. */
void leat_local_s3_list(const struct leat_local_s3 *server, const struct leat_local_bucket *bucket,
                        struct leat_local_s3_call *call) LEAT_REQUIRES(server->lock);

#endif
