/* The KPL's aggregated record: magic, protobuf, MD5; walked as slices, nothing is copied. Pure. Rules: the KCL's AggregatorUtil. */
#ifndef LEAT_STREAM_KPL_H
#define LEAT_STREAM_KPL_H

#include <leat/slice.h>
#include <stdint.h>

struct leat_kpl_record {
    uint64_t partition_key_index, explicit_hash_key_index;
    bool has_explicit_hash_key;
    struct leat_slice data;
};

/* Where keys are in the message, as far as any record names one: four bytes a key, and a key has at least two. */
struct leat_kpl_keys {
    uint32_t *places;
    size_t count, wanted, capacity; /* in the message; the highest index + 1 of a record */
};

struct leat_kpl {
    struct leat_slice message; /* the protobuf */
    size_t position;           /* of the next field to look at */
    struct leat_kpl_keys partition_keys, explicit_hash_keys;
    size_t record_count;
};

enum leat_kpl_outcome {
    LEAT_KPL_AGGREGATE = 0,
    LEAT_KPL_PLAIN = 1, /* no magic, or too short */
    LEAT_KPL_BAD_MD5 =
        2, /* magic, but the MD5 is another's, or the protobuf does not parse: delivered as it is */
};

/* Checks the whole aggregate, without any memory. */
enum leat_kpl_outcome leat_kpl_open(struct leat_kpl *kpl, struct leat_slice data);
/* What the tables of keys take: known before they are made. */
size_t leat_kpl_table_bytes(const struct leat_kpl *kpl);
/* Before a key is asked for. */
void leat_kpl_fill_tables(struct leat_kpl *kpl);
/* false: there is no such key. */
bool leat_kpl_key(const struct leat_kpl *kpl, const struct leat_kpl_keys *table, uint64_t index,
                  struct leat_slice *ret_key);
/* The next user record; false: that was all. */
bool leat_kpl_next(struct leat_kpl *kpl, struct leat_kpl_record *ret_record);
/* The tables go back; records and keys are slices into the data. */
void leat_kpl_release(struct leat_kpl *kpl);

#endif
