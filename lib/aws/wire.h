/*
 * The two encodings of the Kinesis wire behind one writer and one small reader, so that an action is written once.
 * Writer: objects and arrays of open length (CBOR's indefinite ones are not used: counts are told at the beginning).
 * Reader: a small answer or request becomes a json-c tree, whatever its encoding (byte strings as base64 text, times as
 * seconds). Not for records: those have paths of their own (kinesis_records.c).
 */
#ifndef LEAT_AWS_WIRE_H
#define LEAT_AWS_WIRE_H

#include "base/json.h"

enum leat_wire_encoding { LEAT_WIRE_CBOR = 0, LEAT_WIRE_JSON = 1 };
#define LEAT_WIRE_CBOR_TYPE "application/x-amz-cbor-1.1"
#define LEAT_WIRE_JSON_TYPE "application/x-amz-json-1.1"
/* What the tree of a small answer may take: a page of a thousand shards takes 4 MB. */
#define LEAT_WIRE_TREE_BYTES ((size_t)12 << 20)

struct leat_wire {
    enum leat_wire_encoding encoding;
    struct leat_buf *buf;
    struct leat_json json;
};

void leat_wire_begin(struct leat_wire *wire, enum leat_wire_encoding encoding,
                     struct leat_buf *buf);
/* key NULL: at the top or in an array. members/items: how many follow (CBOR needs it). */
void leat_wire_object(struct leat_wire *wire, const char *key, size_t members);
void leat_wire_object_end(struct leat_wire *wire);
void leat_wire_array(struct leat_wire *wire, const char *key, size_t items);
void leat_wire_array_end(struct leat_wire *wire);
void leat_wire_text(struct leat_wire *wire, const char *key, struct leat_slice text);
void leat_wire_bytes(struct leat_wire *wire, const char *key, struct leat_slice bytes);
void leat_wire_integer(struct leat_wire *wire, const char *key, int64_t number);
void leat_wire_bool(struct leat_wire *wire, const char *key, bool is_true);
void leat_wire_time(struct leat_wire *wire, const char *key, int64_t us);

/* The Content-Type's encoding; false: neither. Parameters behind ';' are ignored. */
bool leat_wire_encoding_of(struct leat_slice content_type, enum leat_wire_encoding *ret_encoding);
/* LEAT_E_FORMAT, or LEAT_E_LIMIT beyond LEAT_WIRE_TREE_BYTES, before the memory is taken. bytes are changed (CBOR strings in pieces). The caller's: json_object_put. ret_has_time_tag: a tag-1 time was seen; NULL is fine. */
int leat_wire_parse(unsigned char *bytes, size_t size, enum leat_wire_encoding encoding,
                    struct json_object **ret_root, bool *ret_has_time_tag, struct leat_error *err);
/* Seconds with fraction (exponent form too), or milliseconds where above 10^11. false: absent. */
bool leat_wire_get_time(struct json_object *object, const char *key, int64_t *ret_us);

#endif
