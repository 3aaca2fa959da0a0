/*
 * Writes the KPL's aggregated record (magic, protobuf, MD5); stream/kpl.h reads it. Keys that repeat are written
 * once. Whether the records belong into one aggregate (one shard) is the caller's business. Pure; not for threads.
 */
#ifndef LEAT_PRODUCER_KPL_ENCODE_H
#define LEAT_PRODUCER_KPL_ENCODE_H

#include "base/buf.h"
#include "base/map.h"

#define LEAT_KPL_FRAME_BYTES ((size_t)4 + 16) /* magic and MD5 */

struct leat_kpl_table {
    struct leat_map places; /* key -> its place + 1, as a pointer */
    struct leat_buf fields;
};

struct leat_kpl_encoder {
    size_t maximum_bytes; /* of the sealed aggregate */
    size_t count;         /* user records */
    struct leat_kpl_table partition_keys, explicit_hash_keys;
    struct leat_buf records;
};

void leat_kpl_encoder_init(struct leat_kpl_encoder *encoder, size_t maximum_bytes);
void leat_kpl_encoder_release(struct leat_kpl_encoder *encoder);
/* Copies. explicit_hash_key empty: none. false: it would grow beyond maximum_bytes, and nothing was added. */
bool leat_kpl_encoder_add(struct leat_kpl_encoder *encoder, struct leat_slice partition_key,
                          struct leat_slice explicit_hash_key, struct leat_slice data);
/* What seal would write now: exact. */
size_t leat_kpl_encoder_size(const struct leat_kpl_encoder *encoder);
/* Adds the aggregate to out (at least one record) and starts anew. */
void leat_kpl_encoder_seal(struct leat_kpl_encoder *encoder, struct leat_buf *out);

#endif
