/* What the files of the local Kinesis share; nobody else includes this. */
#ifndef LEAT_LOCAL_KINESIS_INSIDE_H
#define LEAT_LOCAL_KINESIS_INSIDE_H

#include "aws/wire.h"
#include "base/arena.h"
#include "base/thread.h"
#include "local/http.h"
#include "local/kinesis_faults.h"
#include "local/kinesis_store.h"
#include "local/kinesis_token.h"

struct json_object;

#define LEAT_LOCAL_ACTIONS 12

struct leat_local_credentials {
    struct leat_credentials known; /* access_key_id NULL: not looked at */
    char *expired_token;           /* was good once; NULL: none */
};

struct leat_local_kinesis {
    struct leat_local_http *http;
    char endpoint[40];
    char region[64];
    uint64_t identity; /* in tokens */
    int64_t iterator_us;
    uint32_t page_shards;
    struct leat_local_issuer issuer;
    _Atomic int64_t shift_us;
    struct leat_mutex lock;
    struct leat_local_store store LEAT_FIELD_GUARDED_BY(lock);
    struct leat_local_faults faults LEAT_FIELD_GUARDED_BY(lock);
    struct leat_local_kinesis_counts counts LEAT_FIELD_GUARDED_BY(lock);
    uint64_t calls[LEAT_LOCAL_ACTIONS] LEAT_FIELD_GUARDED_BY(lock);
    struct leat_local_bucket lists[LEAT_LOCAL_ACTIONS] LEAT_FIELD_GUARDED_BY(lock);
    struct leat_local_credentials credentials LEAT_FIELD_GUARDED_BY(lock);
};

/* The records of a put, out of either encoding. Slices into the request, or into the call's arena. */
struct leat_local_put_record {
    struct leat_slice partition_key, data, explicit_hash_key;
    struct leat_hash_key hash_key;
    bool has_key, has_data;
};
struct leat_local_put {
    struct leat_slice stream, arn;
    struct leat_local_put_record *records;
    size_t count, capacity;
};

/* One signed call. */
struct leat_local_call {
    struct leat_local_kinesis *server;
    const struct leat_local_action *action;
    enum leat_wire_encoding encoding;
    struct json_object *root; /* the request; NULL for puts */
    struct leat_local_put put;
    struct leat_arena arena;
    int64_t now_us;
    struct leat_local_plan plan;
    struct leat_local_refusal refusal;
    struct leat_buf *body; /* of the answer */
    struct leat_wire wire; /* onto it */
};

struct leat_local_action {
    const char *name;
    /* Writes the answer, or refuses (< 0). Takes the lock itself. */
    int (*run)(struct leat_local_call *call);
    bool is_put;
    bool is_list; /* has a limit per server */
};
extern const struct leat_local_action leat_local_actions[LEAT_LOCAL_ACTIONS];

/* StreamName, or the end of StreamARN; empty: neither. */
struct leat_slice leat_local_call_stream_name(const struct leat_local_call *call);
/* The stream the request names, settled; NULL: refused. */
struct leat_local_stream *leat_local_call_stream(struct leat_local_call *call)
    LEAT_REQUIRES(call->server->lock);
void leat_local_write_hash_range(struct leat_wire *wire, struct leat_hash_key start,
                                 struct leat_hash_key end);
void leat_local_write_null(struct leat_wire *wire, const char *key);

/* kinesis_records.c */
int leat_local_get_shard_iterator(struct leat_local_call *call);
int leat_local_get_records(struct leat_local_call *call);
/* kinesis_put.c */
int leat_local_put_parse(struct leat_local_call *call, unsigned char *body, size_t size);
int leat_local_put_record(struct leat_local_call *call);
int leat_local_put_records(struct leat_local_call *call);
/* kinesis_call.c */
void leat_local_handle(void *context, const struct leat_local_request *request,
                       struct leat_local_answer *answer);
/* kinesis_control.c */
void leat_local_control(struct leat_local_kinesis *server, const struct leat_local_request *request,
                        struct leat_local_answer *answer);

#endif
