/* Cells: one value each, as the merge keeps, compares and adds it. A sum that leaves its type says so: never a silent wrap. */
#include "pipeline/merge_cell.h"

#include <math.h>

/*
 * Decimals may be short as texts and long as sums: 1e130000 and 1. A sum beyond this stays two rows, which the target adds:
 * ten thousand of them would write out a gigabyte of zeros.
 */
#define LONG_SUM_BYTES 400

struct leat_cell
leat_cell_from(const struct leat_value *value, enum leat_rule rule)
{
    struct leat_cell cell = {.type = (enum leat_type)value->type};

    if (rule == LEAT_COUNT) {
        cell.as.integer = cell.type != LEAT_NULL && cell.type != LEAT_ABSENT;
        cell.type = LEAT_INT64;
        return cell;
    }
    switch (cell.type) {
    case LEAT_BOOL:
    case LEAT_INT64:
    case LEAT_TIMESTAMP:
        cell.as.integer = value->as.integer;
        break;
    case LEAT_FLOAT64:
        cell.as.real = value->as.real;
        break;
    case LEAT_DECIMAL:
        cell.is_parsed = leat_decimal_parse(leat_value_slice(value), &cell.as.decimal) ==
                         LEAT_DECIMAL_OK;
        if (!cell.is_parsed)
            cell.as.slice = leat_value_slice(value);
        break;
    case LEAT_TEXT:
    case LEAT_BYTES:
    case LEAT_JSON:
        cell.as.slice = leat_value_slice(value);
        break;
    case LEAT_NULL:
    case LEAT_ABSENT:
        break;
    }
    return cell;
}

static bool
holds_bytes(const struct leat_cell *cell)
{
    return cell->type == LEAT_TEXT || cell->type == LEAT_BYTES || cell->type == LEAT_JSON ||
           (cell->type == LEAT_DECIMAL && !cell->is_parsed);
}

static struct leat_slice
decimal_text(const struct leat_cell *cell, struct leat_buf *scratch)
{
    if (!cell->is_parsed)
        return cell->as.slice;
    leat_decimal_format(scratch, cell->as.decimal);
    return leat_buf_slice(scratch);
}

struct leat_value
leat_cell_value(const struct leat_cell *cell, struct leat_arena *arena)
{
    struct leat_value value = {.type = (uint32_t)cell->type};

    if (cell->type == LEAT_FLOAT64) {
        value.as.real = cell->as.real;
    } else if (holds_bytes(cell)) {
        value.as.bytes.data = cell->as.slice.data;
        value.as.bytes.size = cell->as.slice.size;
    } else if (cell->type == LEAT_DECIMAL) {
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;
        struct leat_slice copy;

        leat_decimal_format(&text, cell->as.decimal);
        copy = leat_arena_copy(arena, leat_buf_slice(&text));
        value.as.bytes.data = copy.data;
        value.as.bytes.size = copy.size;
    } else {
        value.as.integer = cell->as.integer;
    }
    return value;
}

void
leat_cell_own(struct leat_cell *cell, struct leat_arena *arena)
{
    if (holds_bytes(cell))
        cell->as.slice = leat_arena_copy(arena, cell->as.slice);
}

bool
leat_cell_is_nothing(const struct leat_cell *cell)
{
    return cell->type == LEAT_NULL || cell->type == LEAT_ABSENT;
}

static int
decimal_compare(const struct leat_cell *a, const struct leat_cell *b)
{
    LEAT_AUTO_BUF left = LEAT_BUF_INIT;
    LEAT_AUTO_BUF right = LEAT_BUF_INIT;

    if (a->is_parsed && b->is_parsed)
        return leat_decimal_compare(a->as.decimal, b->as.decimal);
    return leat_decimal_text_compare(decimal_text(a, &left), decimal_text(b, &right));
}

/* As Postgres orders floats: NaN is greater than everything and equal to itself. */
static int
real_compare(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return a < b ? -1 : a > b;
}

int
leat_cell_compare(const struct leat_cell *a, const struct leat_cell *b)
{
    if (leat_cell_is_nothing(a) || leat_cell_is_nothing(b))
        return leat_cell_is_nothing(b) - leat_cell_is_nothing(a);
    switch (a->type) {
    case LEAT_FLOAT64:
        return real_compare(a->as.real, b->as.real);
    case LEAT_DECIMAL:
        return decimal_compare(a, b);
    case LEAT_TEXT:
    case LEAT_BYTES:
    case LEAT_JSON:
        return leat_slice_compare(a->as.slice, b->as.slice);
    default:
        return a->as.integer < b->as.integer ? -1 : a->as.integer > b->as.integer;
    }
}

/* Of nearly all sums 128 bits hold all; of the others it is known before what they take. */
bool
leat_cell_sum_is_long(const struct leat_cell *a, const struct leat_cell *b)
{
    LEAT_AUTO_BUF left = LEAT_BUF_INIT;
    LEAT_AUTO_BUF right = LEAT_BUF_INIT;

    if (a->type != LEAT_DECIMAL || b->type != LEAT_DECIMAL || (a->is_parsed && b->is_parsed))
        return false;
    return leat_decimal_text_sum_bytes(decimal_text(a, &left), decimal_text(b, &right)) >
           LONG_SUM_BYTES;
}

static void
decimal_add(struct leat_cell *into, const struct leat_cell *from, struct leat_arena *arena)
{
    LEAT_AUTO_BUF left = LEAT_BUF_INIT;
    LEAT_AUTO_BUF right = LEAT_BUF_INIT;
    LEAT_AUTO_BUF sum = LEAT_BUF_INIT;

    if (into->is_parsed && from->is_parsed &&
        leat_decimal_add(into->as.decimal, from->as.decimal, &into->as.decimal))
        return;
    leat_decimal_text_add(&sum, decimal_text(into, &left), decimal_text(from, &right));
    into->is_parsed = false;
    into->as.slice = leat_arena_copy(arena, leat_buf_slice(&sum));
}

bool
leat_cell_add(struct leat_cell *into, const struct leat_cell *from, struct leat_arena *arena)
{
    int64_t integer;
    double real;

    switch (into->type) {
    case LEAT_FLOAT64:
        real = into->as.real + from->as.real;
        if (isinf(real) && !isinf(into->as.real) && !isinf(from->as.real))
            return false;
        into->as.real = real;
        return true;
    case LEAT_INT64:
        if (__builtin_add_overflow(into->as.integer, from->as.integer, &integer))
            return false;
        into->as.integer = integer;
        return true;
    default:
        decimal_add(into, from, arena);
        return true;
    }
}

static void
key_of_integer(int64_t integer, struct leat_buf *out)
{
    leat_buf_add_be64(out, (uint64_t)integer ^ (UINT64_C(1) << 63));
}

static void
key_of_real(double real, struct leat_buf *out)
{
    uint64_t bits;

    if (real == 0)
        real = 0; /* -0 and 0 are one key in the target */
    memcpy(&bits, &real, sizeof bits);
    leat_buf_add_be64(out, bits & (UINT64_C(1) << 63) ? ~bits : bits | (UINT64_C(1) << 63));
}

/* 1.5 and 1.50 are one key in the target; one of 130,000 digits stays as short as it was given. */
static void
key_of_decimal(const struct leat_cell *cell, struct leat_buf *out)
{
    LEAT_AUTO_BUF scratch = LEAT_BUF_INIT;

    leat_decimal_text_canonical(out, decimal_text(cell, &scratch));
    leat_buf_add_byte(out, 0);
}

void
leat_cell_key(const struct leat_cell *cell, struct leat_buf *out)
{
    leat_buf_add_byte(out, (unsigned char)cell->type);
    switch (cell->type) {
    case LEAT_FLOAT64:
        key_of_real(cell->as.real, out);
        break;
    case LEAT_DECIMAL:
        key_of_decimal(cell, out);
        break;
    case LEAT_TEXT:
    case LEAT_BYTES:
    case LEAT_JSON:
        /* Escaped zero bytes keep the order and the end apart. */
        for (size_t i = 0; i < cell->as.slice.size; i++) {
            leat_buf_add_byte(out, cell->as.slice.data[i]);
            if (cell->as.slice.data[i] == 0)
                leat_buf_add_byte(out, 0xFF);
        }
        leat_buf_add_be16(out, 0);
        break;
    case LEAT_NULL:
    case LEAT_ABSENT:
        break;
    default:
        key_of_integer(cell->as.integer, out);
    }
}
