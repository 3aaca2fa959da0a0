/*
 * Takes a JSON array apart into the raw texts of its elements, without a tree. Bounded depth. It checks what it needs to
 * find where an element ends (strings, nesting), not the elements themselves: the processor parses those. Pure.
 */
#ifndef LEAT_STREAM_JSON_ARRAY_H
#define LEAT_STREAM_JSON_ARRAY_H

#include <leat/slice.h>

struct leat_json_array {
    struct leat_slice text;
    size_t position;
    bool is_first;
};

enum leat_json_array_outcome {
    LEAT_JSON_ARRAY_ELEMENT = 0,
    LEAT_JSON_ARRAY_END = 1,
    LEAT_JSON_ARRAY_BAD = 2 /* the rest, from position, does not parse */
};

/* The beginning of a text: false: whatever follows, it is no array. */
bool leat_json_array_may_begin(struct leat_slice beginning);
/* false: the text is no array. */
bool leat_json_array_open(struct leat_json_array *array, struct leat_slice text);
enum leat_json_array_outcome leat_json_array_next(struct leat_json_array *array,
                                                  struct leat_slice *ret_element);

#endif
