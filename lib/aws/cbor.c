/*
 * The CBOR walker and writer. An own one: our subset is small, and libcbor's stream decoder hands every chunk of a string
 * over by callback, which would have to be joined somewhere else (docs/decisions.md).
 *
 * Invariants: next ≤ end; a definite count never exceeds the bytes left (each item takes at least one); is_bad is final.
 */
#include "aws/cbor.h"

#include <math.h>

enum major {
    UNSIGNED = 0,
    NEGATIVE = 1,
    BYTES = 2,
    TEXT = 3,
    ARRAY = 4,
    MAP = 5,
    TAG = 6,
    SIMPLE = 7
};
#define BREAK 0xff
#define MAXIMUM_TAGS 4

void
leat_cbor_begin(struct leat_cbor *cbor, void *bytes, size_t size)
{
    static unsigned char nothing[1];

    cbor->next = bytes != NULL ? bytes : nothing;
    cbor->end = cbor->next + (bytes != NULL ? size : 0);
    cbor->is_bad = false;
}

static bool
bad(struct leat_cbor *cbor)
{
    cbor->is_bad = true;
    cbor->next = cbor->end;
    return false;
}

static inline size_t
left(const struct leat_cbor *cbor)
{
    return (size_t)(cbor->end - cbor->next);
}

static uint64_t
load(const unsigned char *bytes, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* The head's argument; ret_minor 31: indefinite (or break). */
static inline bool
read_head(struct leat_cbor *cbor, unsigned *ret_major, unsigned *ret_minor, uint64_t *ret_value)
{
    unsigned minor;

    if (cbor->next >= cbor->end)
        return bad(cbor);
    *ret_major = *cbor->next >> 5;
    *ret_minor = minor = *cbor->next & 31;
    cbor->next++;
    if (minor < 24) {
        *ret_value = minor;
        return true;
    }
    if (minor < 28) {
        size_t size = (size_t)1 << (minor - 24);

        if (left(cbor) < size)
            return bad(cbor);
        *ret_value = load(cbor->next, size);
        cbor->next += size;
        return true;
    }
    *ret_value = 0;
    return minor == 31 ? true : bad(cbor);
}

/* Pieces until a break, each of the same kind and of known length: moved together, in place. */
static bool
join_pieces(struct leat_cbor *cbor, unsigned kind, struct leat_slice *ret_string)
{
    unsigned char *begin = cbor->next, *to = cbor->next;

    for (;;) {
        unsigned major, minor;
        uint64_t size;

        if (left(cbor) > 0 && *cbor->next == BREAK) {
            cbor->next++;
            *ret_string = leat_slice_make(begin, (size_t)(to - begin));
            return true;
        }
        if (!read_head(cbor, &major, &minor, &size))
            return false;
        if (major != kind || minor == 31 || size > left(cbor))
            return bad(cbor);
        memmove(to, cbor->next, (size_t)size);
        to += size;
        cbor->next += size;
    }
}

static double
half_to_double(unsigned half)
{
    int exponent = (int)(half >> 10 & 31);
    double mantissa = half & 1023;
    double value;

    if (exponent == 0)
        value = ldexp(mantissa, -24);
    else if (exponent != 31)
        value = ldexp(mantissa + 1024, exponent - 25);
    else
        value = mantissa == 0 ? INFINITY : NAN;
    return half & 0x8000 ? -value : value;
}

static bool
read_simple(struct leat_cbor *cbor, unsigned minor, uint64_t value, struct leat_cbor_item *item)
{
    switch (minor) {
    case 20:
    case 21:
        item->type = LEAT_CBOR_BOOL;
        item->integer = minor == 21;
        return true;
    case 22:
    case 23:
        item->type = LEAT_CBOR_NULL;
        return true;
    case 25:
        item->type = LEAT_CBOR_REAL;
        item->real = half_to_double((unsigned)value);
        return true;
    case 26: {
        uint32_t bits = (uint32_t)value;
        float number;

        memcpy(&number, &bits, sizeof number);
        item->type = LEAT_CBOR_REAL;
        item->real = (double)number;
        return true;
    }
    case 27:
        item->type = LEAT_CBOR_REAL;
        memcpy(&item->real, &value, sizeof item->real);
        return true;
    default:
        return bad(cbor);
    }
}

static void
set_integer(struct leat_cbor_item *item, bool is_negative, uint64_t value)
{
    if (value > INT64_MAX) {
        item->type = LEAT_CBOR_REAL;
        item->real = is_negative ? -1.0 - (double)value : (double)value;
        return;
    }
    item->type = LEAT_CBOR_INTEGER;
    item->integer = is_negative ? -1 - (int64_t)value : (int64_t)value;
    item->real = (double)item->integer;
}

static bool
read_string(struct leat_cbor *cbor, unsigned major, unsigned minor, uint64_t size,
            struct leat_cbor_item *item)
{
    item->type = major == BYTES ? LEAT_CBOR_BYTES : LEAT_CBOR_TEXT;
    if (minor == 31)
        return join_pieces(cbor, major, &item->string);
    if (size > left(cbor))
        return bad(cbor);
    item->string.data = cbor->next;
    item->string.size = (size_t)size;
    cbor->next += size;
    return true;
}

static bool
read_container(struct leat_cbor *cbor, unsigned major, unsigned minor, uint64_t count,
               struct leat_cbor_item *item)
{
    item->type = major == ARRAY ? LEAT_CBOR_ARRAY : LEAT_CBOR_MAP;
    item->count = minor == 31 ? LEAT_CBOR_INDEFINITE : count;
    if (minor != 31 && count > left(cbor) / (major == MAP ? 2 : 1))
        return bad(cbor);
    return true;
}

bool
leat_cbor_next(struct leat_cbor *cbor, struct leat_cbor_item *ret_item)
{
    unsigned major, minor, tags = 0;
    uint64_t value;

    ret_item->type = LEAT_CBOR_NONE;
    ret_item->tag = LEAT_CBOR_NO_TAG;
    if (cbor->is_bad || cbor->next >= cbor->end)
        return false;
    for (;;) {
        if (!read_head(cbor, &major, &minor, &value))
            return false;
        if (major != TAG)
            break;
        if (minor == 31 || ++tags > MAXIMUM_TAGS)
            return bad(cbor);
        ret_item->tag = value;
    }
    switch (major) {
    case UNSIGNED:
    case NEGATIVE:
        if (minor == 31)
            return bad(cbor);
        set_integer(ret_item, major == NEGATIVE, value);
        return true;
    case BYTES:
    case TEXT:
        return read_string(cbor, major, minor, value, ret_item);
    case ARRAY:
    case MAP:
        return read_container(cbor, major, minor, value, ret_item);
    default:
        return read_simple(cbor, minor, value, ret_item);
    }
}

bool
leat_cbor_more(struct leat_cbor *cbor, uint64_t *remaining)
{
    if (cbor->is_bad)
        return false;
    if (*remaining == LEAT_CBOR_INDEFINITE) {
        if (cbor->next >= cbor->end)
            return bad(cbor);
        if (*cbor->next != BREAK)
            return true;
        cbor->next++;
        *remaining = 0;
        return false;
    }
    if (*remaining == 0)
        return false;
    --*remaining;
    return true;
}

static bool
skip_rest(struct leat_cbor *cbor, const struct leat_cbor_item *item, unsigned depth)
{
    uint64_t remaining = item->count;

    if (item->type != LEAT_CBOR_ARRAY && item->type != LEAT_CBOR_MAP)
        return !cbor->is_bad;
    if (depth >= LEAT_CBOR_DEPTH)
        return bad(cbor);
    while (leat_cbor_more(cbor, &remaining)) {
        for (unsigned i = 0; i < (item->type == LEAT_CBOR_MAP ? 2 : 1); i++) {
            struct leat_cbor_item inner;

            if (!leat_cbor_next(cbor, &inner))
                return bad(cbor);
            if (!skip_rest(cbor, &inner, depth + 1))
                return false;
        }
    }
    return !cbor->is_bad;
}

bool
leat_cbor_skip_rest(struct leat_cbor *cbor, const struct leat_cbor_item *item)
{
    return skip_rest(cbor, item, 0);
}

bool
leat_cbor_skip(struct leat_cbor *cbor)
{
    struct leat_cbor_item item;

    return leat_cbor_next(cbor, &item) ? skip_rest(cbor, &item, 0) : bad(cbor);
}

bool
leat_cbor_key(struct leat_cbor *cbor, struct leat_slice *ret_key)
{
    struct leat_cbor_item item;

    if (!leat_cbor_next(cbor, &item) || item.type != LEAT_CBOR_TEXT)
        return bad(cbor);
    *ret_key = item.string;
    return true;
}

bool
leat_cbor_time(const struct leat_cbor_item *item, int64_t *ret_us)
{
    double limit = 9.0e12; /* seconds or ms that still fit as µs */

    if (item->type != LEAT_CBOR_INTEGER && item->type != LEAT_CBOR_REAL)
        return false;
    if (!(item->real >= -limit && item->real <= limit))
        return false;
    if (item->type == LEAT_CBOR_INTEGER) {
        bool is_ms = item->tag == 1 || item->integer > INT64_C(100000000000);

        *ret_us = item->integer * (is_ms ? 1000 : 1000000);
        return is_ms || item->integer > -INT64_C(100000000000);
    }
    *ret_us = item->real > 1e11 ? (int64_t)(item->real * 1e3) : (int64_t)llround(item->real * 1e6);
    return true;
}

/* ---- writer -------------------------------------------------------------------------------- */

static void
put_head(struct leat_buf *out, unsigned major, uint64_t value)
{
    unsigned char first = (unsigned char)(major << 5);

    if (value < 24) {
        leat_buf_add_byte(out, (unsigned char)(first | value));
    } else if (value <= UINT8_MAX) {
        leat_buf_add_byte(out, first | 24);
        leat_buf_add_byte(out, (unsigned char)value);
    } else if (value <= UINT16_MAX) {
        leat_buf_add_byte(out, first | 25);
        leat_buf_add_be16(out, (uint16_t)value);
    } else if (value <= UINT32_MAX) {
        leat_buf_add_byte(out, first | 26);
        leat_buf_add_be32(out, (uint32_t)value);
    } else {
        leat_buf_add_byte(out, first | 27);
        leat_buf_add_be64(out, value);
    }
}

void
leat_cbor_put_map(struct leat_buf *out, uint64_t pairs)
{
    put_head(out, MAP, pairs);
}

void
leat_cbor_put_array(struct leat_buf *out, uint64_t items)
{
    put_head(out, ARRAY, items);
}

void
leat_cbor_put_map_open(struct leat_buf *out)
{
    leat_buf_add_byte(out, MAP << 5 | 31);
}

void
leat_cbor_put_array_open(struct leat_buf *out)
{
    leat_buf_add_byte(out, ARRAY << 5 | 31);
}

void
leat_cbor_put_break(struct leat_buf *out)
{
    leat_buf_add_byte(out, BREAK);
}

void
leat_cbor_put_text(struct leat_buf *out, struct leat_slice text)
{
    put_head(out, TEXT, text.size);
    leat_buf_add_slice(out, text);
}

void
leat_cbor_put_key(struct leat_buf *out, const char *text)
{
    leat_cbor_put_text(out, leat_slice_from(text));
}

void
leat_cbor_put_bytes(struct leat_buf *out, struct leat_slice bytes)
{
    put_head(out, BYTES, bytes.size);
    leat_buf_add_slice(out, bytes);
}

void
leat_cbor_put_integer(struct leat_buf *out, int64_t integer)
{
    if (integer >= 0)
        put_head(out, UNSIGNED, (uint64_t)integer);
    else
        put_head(out, NEGATIVE, (uint64_t)(-1 - integer));
}

void
leat_cbor_put_real(struct leat_buf *out, double real)
{
    uint64_t bits;

    memcpy(&bits, &real, sizeof bits);
    leat_buf_add_byte(out, SIMPLE << 5 | 27);
    leat_buf_add_be64(out, bits);
}

void
leat_cbor_put_bool(struct leat_buf *out, bool is_true)
{
    leat_buf_add_byte(out, SIMPLE << 5 | (is_true ? 21 : 20));
}

void
leat_cbor_put_null(struct leat_buf *out)
{
    leat_buf_add_byte(out, SIMPLE << 5 | 22);
}

void
leat_cbor_put_time(struct leat_buf *out, int64_t us)
{
    put_head(out, TAG, 1);
    leat_cbor_put_integer(out, us / 1000);
}
