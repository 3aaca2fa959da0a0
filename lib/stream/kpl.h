/* The KPL's aggregated record: magic, protobuf, MD5; walked as slices, nothing is copied. Pure. Rules: kcl.md §6. */
#ifndef LEAT_STREAM_KPL_H
#define LEAT_STREAM_KPL_H

#include <leat/slice.h>
#include <stdint.h>

struct leat_kpl_record {
    uint64_t partition_key_index, explicit_hash_key_index;
    bool has_explicit_hash_key;
    struct leat_slice data;
};

struct leat_kpl {
    struct leat_slice message; /* the protobuf */
    size_t position;           /* of the next field to look at */
    struct leat_slice *partition_keys, *explicit_hash_keys;
    size_t partition_key_count, partition_key_capacity;
    size_t explicit_hash_key_count, explicit_hash_key_capacity;
};

enum leat_kpl_outcome {
    LEAT_KPL_AGGREGATE = 0,
    LEAT_KPL_PLAIN = 1, /* no magic, or too short */
    LEAT_KPL_BAD_MD5 =
        2, /* magic, but the MD5 is another's, or the protobuf does not parse: delivered as it is */
    LEAT_KPL_TOO_LARGE = 3 /* its tables would take more than the limit */
};

/* Checks the whole aggregate; afterwards the tables are filled. The arrays are reused from call to call. */
enum leat_kpl_outcome leat_kpl_open(struct leat_kpl *kpl, struct leat_slice data,
                                    size_t limit_bytes);
/* The next user record; false: that was all. */
bool leat_kpl_next(struct leat_kpl *kpl, struct leat_kpl_record *ret_record);
void leat_kpl_release(struct leat_kpl *kpl);

#endif
