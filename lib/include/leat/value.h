/*
 * One value of a column. 24 bytes, type included, for ever. A text, a decimal, a json or bytes is
 * borrowed: the host copies it in leat_emit.
 */
#ifndef LEAT_VALUE_H
#define LEAT_VALUE_H

#include <stdint.h>

#include "slice.h"

#ifdef __cplusplus
extern "C" {
#endif

enum leat_type {
    LEAT_NULL = 0,
    LEAT_BOOL = 1,
    LEAT_INT64 = 2,
    LEAT_FLOAT64 = 3,
    LEAT_DECIMAL = 4, /* text in ("-12.5", "1e3"), exact */
    LEAT_TEXT = 5,    /* UTF-8 without zero bytes */
    LEAT_BYTES = 6,
    LEAT_TIMESTAMP = 7, /* µs since 1970-01-01 UTC */
    LEAT_JSON = 8,      /* text of one JSON value */
    LEAT_ABSENT = 9     /* not given: keeps what is there; in a replace the column's default */
};

struct leat_value {
    uint32_t type; /* enum leat_type */
    uint32_t reserved;
    union {
        int64_t integer; /* LEAT_INT64; LEAT_TIMESTAMP in µs; LEAT_BOOL as 0 or 1 */
        double real;     /* LEAT_FLOAT64 */
        struct {
            const unsigned char *data;
            size_t size;
        } bytes; /* LEAT_DECIMAL, LEAT_TEXT, LEAT_BYTES, LEAT_JSON */
    } as;
};

#if defined(__cplusplus)
static_assert(sizeof(struct leat_value) == 24, "frozen");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(struct leat_value) == 24, "frozen");
#endif

static inline struct leat_value
leat_value_of_bytes(enum leat_type type, struct leat_slice slice)
{
    struct leat_value value;

    value.type = (uint32_t)type;
    value.reserved = 0;
    value.as.bytes.data = slice.data;
    value.as.bytes.size = slice.size;
    return value;
}

static inline struct leat_value
leat_value_of_integer(enum leat_type type, int64_t integer)
{
    struct leat_value value;

    value.type = (uint32_t)type;
    value.reserved = 0;
    value.as.bytes.size = 0;
    value.as.integer = integer;
    return value;
}

static inline struct leat_slice
leat_value_slice(const struct leat_value *value)
{
    return leat_slice_make(value->as.bytes.data, value->as.bytes.size);
}

static inline struct leat_value
leat_null(void)
{
    return leat_value_of_integer(LEAT_NULL, 0);
}

static inline struct leat_value
leat_absent(void)
{
    return leat_value_of_integer(LEAT_ABSENT, 0);
}

static inline struct leat_value
leat_bool(bool is_true)
{
    return leat_value_of_integer(LEAT_BOOL, is_true ? 1 : 0);
}

static inline struct leat_value
leat_int64(int64_t integer)
{
    return leat_value_of_integer(LEAT_INT64, integer);
}

static inline struct leat_value
leat_timestamp_us(int64_t microseconds)
{
    return leat_value_of_integer(LEAT_TIMESTAMP, microseconds);
}

static inline struct leat_value
leat_float64(double real)
{
    struct leat_value value = leat_value_of_integer(LEAT_FLOAT64, 0);

    value.as.real = real;
    return value;
}

static inline struct leat_value
leat_decimal(struct leat_slice text)
{
    return leat_value_of_bytes(LEAT_DECIMAL, text);
}

static inline struct leat_value
leat_text(struct leat_slice text)
{
    return leat_value_of_bytes(LEAT_TEXT, text);
}

static inline struct leat_value
leat_bytes(struct leat_slice bytes)
{
    return leat_value_of_bytes(LEAT_BYTES, bytes);
}

static inline struct leat_value
leat_json(struct leat_slice text)
{
    return leat_value_of_bytes(LEAT_JSON, text);
}

#ifdef __cplusplus
}
#endif
#endif
