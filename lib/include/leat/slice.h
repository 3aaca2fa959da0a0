/*
 * A borrowed run of bytes. Passed by value; never zero-terminated; `data` is never NULL in what
 * leat hands out (an empty slice points at something). Whoever hands it out says how long it lives.
 */
#ifndef LEAT_SLICE_H
#define LEAT_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct leat_slice {
    const unsigned char *data;
    size_t size; /* bytes */
};

static inline struct leat_slice
leat_slice_make(const void *data, size_t size)
{
    struct leat_slice slice;

    slice.data = data != NULL ? (const unsigned char *)data : (const unsigned char *)"";
    slice.size = data != NULL ? size : 0;
    return slice;
}

/* The bytes of a zero-terminated text, without the zero. NULL gives the empty slice. */
static inline struct leat_slice
leat_slice_from(const char *text)
{
    return leat_slice_make(text, text != NULL ? strlen(text) : 0);
}

static inline bool
leat_slice_equals(struct leat_slice a, struct leat_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool
leat_slice_is(struct leat_slice a, const char *text)
{
    return leat_slice_equals(a, leat_slice_from(text));
}

/* Order of bytes (as of COLLATE "C"): negative, 0 or positive. */
static inline int
leat_slice_compare(struct leat_slice a, struct leat_slice b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;

    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

#ifdef __cplusplus
}
#endif
#endif
