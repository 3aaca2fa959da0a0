/*
 * Walks JSON without making anything of it: is it one value, how deep, and what would its tree take? So that a text
 * from a remote side is refused before json-c makes a tree of it (15 MB of "[]," would become 768 MB). Strict
 * (RFC 8259). Pure; no memory.
 */
#ifndef LEAT_BASE_JSON_MEASURE_H
#define LEAT_BASE_JSON_MEASURE_H

#include <leat/error.h>
#include <leat/slice.h>

#define LEAT_JSON_DEPTH 64

struct leat_json_measure {
    size_t tree_bytes; /* of a json-c tree of this text, as an estimate from above */
    size_t values;     /* of all kinds, nested ones too */
    size_t bad_at;     /* where it stops being JSON, when it does */
};

/* 0, LEAT_E_FORMAT (it is not one whole value) or LEAT_E_LIMIT (deeper than LEAT_JSON_DEPTH). *ret_measure is filled in
   any case, as far as was walked. err names neither text nor place: the caller does. */
int leat_json_measure(struct leat_slice text, struct leat_json_measure *ret_measure);

#endif
