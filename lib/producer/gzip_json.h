/*
 * JSON records joined into one gzip'd JSON array; stream/deaggregate.h takes it apart. The array has no place for keys: its
 * elements have the partition key of the stream record, so an array holds records of one key. Pure; not for threads.
 */
#ifndef LEAT_PRODUCER_GZIP_JSON_H
#define LEAT_PRODUCER_GZIP_JSON_H

#include "base/buf.h"

struct leat_gzip_json {
    size_t maximum_bytes; /* of the sealed array, compressed, in the worst case */
    size_t count;         /* records */
    struct leat_buf text; /* "[a,b" */
};

/* Is it one JSON value that an array hands back as it is (spaces around it apart)? ret_value: without them. */
bool leat_gzip_json_is_element(struct leat_slice data, struct leat_slice *ret_value);

void leat_gzip_json_init(struct leat_gzip_json *array, size_t maximum_bytes);
void leat_gzip_json_release(struct leat_gzip_json *array);
/* element: as leat_gzip_json_is_element gave it. Copies. false: full; nothing was added. */
bool leat_gzip_json_add(struct leat_gzip_json *array, struct leat_slice element);
/* Adds the gzip'd array to out and starts anew. At most maximum_bytes, and never so dense that readers take it for a bomb. */
void leat_gzip_json_seal(struct leat_gzip_json *array, struct leat_buf *out);

#endif
