/* Which faults hit which call. Not for threads: the server's lock is held. */
#ifndef LEAT_LOCAL_KINESIS_FAULTS_H
#define LEAT_LOCAL_KINESIS_FAULTS_H

#include "base/random.h"
#include "local/http.h"
#include "local/kinesis.h"

struct json_object;
struct leat_json;

struct leat_local_armed {
    struct leat_local_fault fault; /* its strings are owned */
    uint64_t seen, fired;
};
struct leat_local_faults {
    struct leat_local_armed *armed;
    size_t count, capacity;
    uint64_t fired;
    struct leat_random random;
};

/* What happens to one call. */
struct leat_local_plan {
    int status; /* 0: it is done; else it is refused, with `type`, or with an empty body where type is "" */
    char type[96];
    struct leat_local_http_fault http;
    bool is_reset; /* before anything is done */
    bool is_empty, is_repeat, is_null, is_indefinite, is_bare_end, is_endless;
    bool has_odd_shards, are_shards_closed, are_shards_open;
    bool has_no_cbor;
    unsigned share; /* PutRecords: each share'th record is refused; 0: none */
    char share_type[96];
};

void leat_local_faults_release(struct leat_local_faults *faults);
void leat_local_faults_add(struct leat_local_faults *faults, const struct leat_local_fault *fault);
void leat_local_faults_clear(struct leat_local_faults *faults);
void leat_local_faults_plan(struct leat_local_faults *faults, const char *action,
                            struct leat_slice stream, struct leat_slice shard,
                            struct leat_local_plan *ret_plan);
/* One object of a control request; strings are borrowed from it. */
int leat_local_fault_parse(struct json_object *object, struct leat_local_fault *ret_fault,
                           struct leat_error *err);
void leat_local_faults_write(const struct leat_local_faults *faults, struct leat_json *json);

#endif
