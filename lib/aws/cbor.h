/*
 * CBOR (RFC 8949) as far as services speak it: a reader that walks bytes without a tree or a copy, and a writer.
 *
 * The reader is bounded by its bytes, by LEAT_CBOR_DEPTH and by the check that a definite count cannot exceed the bytes
 * left. A string in pieces (indefinite length) is joined *in place*: the bytes are changed, so they are read once only.
 * After the first error is_bad stays set and every further call fails: check once at the end. Pure; fuzzed.
 */
#ifndef LEAT_AWS_CBOR_H
#define LEAT_AWS_CBOR_H

#include "base/buf.h"

#define LEAT_CBOR_DEPTH 16

enum leat_cbor_type {
    LEAT_CBOR_NONE = 0, /* the end of the bytes, or of an indefinite array or map */
    LEAT_CBOR_INTEGER,  /* integer; beyond int64 it is a real */
    LEAT_CBOR_REAL,     /* half, single, double */
    LEAT_CBOR_BYTES,
    LEAT_CBOR_TEXT,
    LEAT_CBOR_ARRAY,
    LEAT_CBOR_MAP,
    LEAT_CBOR_BOOL, /* integer: 0 or 1 */
    LEAT_CBOR_NULL  /* null and undefined */
};

#define LEAT_CBOR_INDEFINITE UINT64_MAX
#define LEAT_CBOR_NO_TAG UINT64_MAX

struct leat_cbor_item {
    enum leat_cbor_type type;
    uint64_t tag;   /* the innermost; LEAT_CBOR_NO_TAG: none */
    uint64_t count; /* array: items, map: pairs; LEAT_CBOR_INDEFINITE */
    int64_t integer;
    double real; /* of INTEGER too */
    struct leat_slice string;
};

struct leat_cbor {
    unsigned char *next, *end;
    bool is_bad;
};

void leat_cbor_begin(struct leat_cbor *cbor, void *bytes, size_t size);
/* The next item's head (a string with its bytes; of arrays and maps the items follow). false: bad, or the end. */
bool leat_cbor_next(struct leat_cbor *cbor, struct leat_cbor_item *ret_item);
/* Skips what follows of `item`, if it is an array or map. */
bool leat_cbor_skip_rest(struct leat_cbor *cbor, const struct leat_cbor_item *item);
bool leat_cbor_skip(struct leat_cbor *cbor); /* one whole item */

/* Walks a container: `remaining` starts as item.count. false: the end (is_bad tells whether well-formed).
     while (leat_cbor_more(&cbor, &remaining)) … one item (array) or a key and a value (map) */
bool leat_cbor_more(struct leat_cbor *cbor, uint64_t *remaining);
/* The key of the next pair, which must be text. */
bool leat_cbor_key(struct leat_cbor *cbor, struct leat_slice *ret_key);
/* An item of a time: tag 1 or none; integers above 10^11 and tagged integers are ms, reals are seconds. */
bool leat_cbor_time(const struct leat_cbor_item *item, int64_t *ret_us);

/* ---- writer: into a buf; the caller keeps counts true -------------------------------------------- */
void leat_cbor_put_map(struct leat_buf *out, uint64_t pairs);
void leat_cbor_put_array(struct leat_buf *out, uint64_t items);
void leat_cbor_put_map_open(struct leat_buf *out); /* indefinite, until put_break */
void leat_cbor_put_array_open(struct leat_buf *out);
void leat_cbor_put_break(struct leat_buf *out);
void leat_cbor_put_text(struct leat_buf *out, struct leat_slice text);
void leat_cbor_put_key(struct leat_buf *out, const char *text);
void leat_cbor_put_bytes(struct leat_buf *out, struct leat_slice bytes);
void leat_cbor_put_integer(struct leat_buf *out, int64_t integer);
void leat_cbor_put_real(struct leat_buf *out, double real);
void leat_cbor_put_bool(struct leat_buf *out, bool is_true);
void leat_cbor_put_null(struct leat_buf *out);
void leat_cbor_put_time(struct leat_buf *out, int64_t us); /* tag 1 + integer ms, as Kinesis does */

#endif
