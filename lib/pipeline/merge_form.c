/* Postgres' own rounding and cutting, value by value; what it would refuse is left as it is, for it to refuse. */
#include "pipeline/merge_form.h"

#include <math.h>

#include "base/decimal_round.h"
#include "base/encoding.h"
#include "base/json_valid.h"

/* What a numeric without a precision holds, and a timestamptz (µs since 1970, the last one not). */
#define NUMERIC_WHOLE_DIGITS 131072
#define NUMERIC_FRACTION_DIGITS 16383
#define TIMESTAMP_FIRST_US (INT64_C(-211813488000000000) + EPOCH_US)
#define TIMESTAMP_END_US (INT64_C(9223371331200000000))
#define EPOCH_US INT64_C(946684800000000) /* 2000-01-01, from 1970 */

/* ---- numbers ----------------------------------------------------------------------------------- */

/* What it writes out is no longer than the column's precision, or than the digits that were given. */
static void
round_decimal(struct leat_cell *cell, int32_t scale, struct leat_arena *arena)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    int64_t whole, fraction;

    if (!cell->is_parsed) {
        leat_decimal_text_digits(cell->as.slice, &whole, &fraction);
        if (fraction <= scale)
            return;
    }
    if (cell->is_parsed && leat_decimal_round(&cell->as.decimal, scale))
        return;
    if (cell->is_parsed) {
        LEAT_AUTO_BUF plain = LEAT_BUF_INIT;

        leat_decimal_format(&plain, cell->as.decimal);
        leat_decimal_text_round(&text, leat_buf_slice(&plain), scale);
    } else {
        leat_decimal_text_round(&text, cell->as.slice, scale);
    }
    cell->is_parsed = false;
    cell->as.slice = leat_arena_copy(arena, leat_buf_slice(&text));
}

static void
round_integer(struct leat_cell *cell, int32_t scale)
{
    struct leat_decimal decimal = {.digits = cell->as.integer};

    if (scale < 0 && leat_decimal_round(&decimal, scale) && decimal.digits >= INT64_MIN &&
        decimal.digits <= INT64_MAX)
        cell->as.integer = (int64_t)decimal.digits;
}

static bool
numeric_takes(const struct leat_form *form, const struct leat_cell *cell)
{
    struct leat_decimal decimal = cell->as.decimal;
    int64_t whole, fraction = 0;

    if (cell->type == LEAT_INT64)
        decimal = (struct leat_decimal){.digits = cell->as.integer};
    if (cell->type == LEAT_INT64 || cell->is_parsed)
        whole = leat_decimal_whole_digits(decimal);
    else
        leat_decimal_text_digits(cell->as.slice, &whole, &fraction);
    if (whole > NUMERIC_WHOLE_DIGITS || fraction > NUMERIC_FRACTION_DIGITS)
        return false;
    return form->kind != LEAT_FORM_NUMERIC || form->digits == 0 ||
           whole <= form->digits - form->scale;
}

static bool
integer_takes(const struct leat_form *form, const struct leat_cell *cell)
{
    __int128 integer = cell->as.integer, most = ((__int128)1 << (8 * form->digits - 1)) - 1;

    if (cell->type == LEAT_DECIMAL) {
        /* It is rounded: one that 128 bits do not hold is none that eight bytes do. */
        if (!cell->is_parsed || cell->as.decimal.scale > 0)
            return false;
        integer = cell->as.decimal.digits;
    }
    return integer <= most && integer >= -most - 1;
}

static bool
float32_takes(double real)
{
    return (!isinf((float)real) || isinf(real)) && ((float)real != 0 || real == 0);
}

/* As timestamptz(p) rounds: away from 2000-01-01 where it is half. */
static void
round_timestamp(struct leat_cell *cell, int32_t scale)
{
    int64_t unit = 1, since;

    for (int32_t i = scale; i < 6; i++)
        unit *= 10;
    if (__builtin_sub_overflow(cell->as.integer, EPOCH_US, &since) || since > INT64_MAX - unit ||
        since < INT64_MIN + unit)
        return;
    since = since >= 0 ? (since + unit / 2) / unit * unit : -((-since + unit / 2) / unit * unit);
    if (__builtin_add_overflow(since, EPOCH_US, &since))
        return;
    cell->as.integer = since;
}

static bool
timestamp_takes(int64_t us)
{
    int64_t since;

    return !__builtin_sub_overflow(us, EPOCH_US, &since) && us >= TIMESTAMP_FIRST_US &&
           since < TIMESTAMP_END_US;
}

/* ---- texts ------------------------------------------------------------------------------------- */

static size_t
characters(struct leat_slice text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++)
        count += (text.data[i] & 0xC0) != 0x80;
    return count;
}

static void
cut_blanks(struct leat_slice *text, size_t down_to)
{
    size_t count = characters(*text);

    while (text->size > 0 && count > down_to && text->data[text->size - 1] == ' ') {
        text->size--;
        count--;
    }
}

static int
hex_digit(unsigned char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte;
    if (byte >= 'a' && byte <= 'f')
        return byte;
    return byte >= 'A' && byte <= 'F' ? byte + ('a' - 'A') : -1;
}

/* Postgres takes braces around all of it, and a hyphen after any four digits, or none. */
static bool
read_uuid(struct leat_slice text, char out[36])
{
    bool has_braces = text.size >= 2 && text.data[0] == '{' && text.data[text.size - 1] == '}';
    size_t at = has_braces, end = text.size - has_braces, next = 0;

    for (int digit = 0; digit < 32; digit++) {
        if (digit > 0 && digit % 4 == 0 && at < end && text.data[at] == '-')
            at++;
        if (at >= end || hex_digit(text.data[at]) < 0)
            return false;
        if (digit == 8 || digit == 12 || digit == 16 || digit == 20)
            out[next++] = '-';
        out[next++] = (char)hex_digit(text.data[at++]);
    }
    return at == end;
}

static void
spell_uuid(struct leat_cell *cell, struct leat_arena *arena)
{
    char text[36];

    if (read_uuid(cell->as.slice, text))
        cell->as.slice = leat_arena_copy(arena, leat_slice_make(text, sizeof text));
}

static bool
text_takes(const struct leat_form *form, struct leat_slice text)
{
    char uuid[36];

    if (form->kind == LEAT_FORM_UUID)
        return read_uuid(text, uuid);
    if ((form->kind == LEAT_FORM_VARCHAR || form->kind == LEAT_FORM_CHAR) && form->digits > 0 &&
        characters(text) > (size_t)form->digits)
        return false;
    return leat_utf8_is_valid(text) && (text.size == 0 || memchr(text.data, 0, text.size) == NULL);
}

/* ---- a cell ------------------------------------------------------------------------------------ */

static void
apply_to_text(const struct leat_form *form, struct leat_cell *cell, struct leat_arena *arena)
{
    if (form->kind == LEAT_FORM_VARCHAR)
        cut_blanks(&cell->as.slice, (size_t)form->digits);
    else if (form->kind == LEAT_FORM_CHAR)
        cut_blanks(&cell->as.slice, 0);
    else if (form->kind == LEAT_FORM_UUID)
        spell_uuid(cell, arena);
}

void
leat_form_apply(const struct leat_form *form, enum leat_rule rule, struct leat_cell *cell,
                struct leat_arena *arena)
{
    switch (cell->type) {
    case LEAT_FLOAT64:
        if (form->kind == LEAT_FORM_FLOAT32 && float32_takes(cell->as.real))
            cell->as.real = (float)cell->as.real;
        /* -0 and 0 are equal: which one is kept would depend on the cut. */
        if (rule != LEAT_SET && cell->as.real == 0)
            cell->as.real = 0;
        break;
    case LEAT_DECIMAL:
        if ((form->kind == LEAT_FORM_NUMERIC || form->kind == LEAT_FORM_INTEGER) &&
            numeric_takes(form, cell))
            round_decimal(cell, form->kind == LEAT_FORM_NUMERIC ? form->scale : 0, arena);
        break;
    case LEAT_INT64:
        if (form->kind == LEAT_FORM_NUMERIC)
            round_integer(cell, form->scale);
        break;
    case LEAT_TIMESTAMP:
        if (form->kind == LEAT_FORM_TIMESTAMP)
            round_timestamp(cell, form->scale);
        break;
    case LEAT_TEXT:
        apply_to_text(form, cell, arena);
        break;
    default:
        break;
    }
}

bool
leat_form_takes(const struct leat_form *form, const struct leat_cell *cell)
{
    switch (cell->type) {
    case LEAT_NULL:
        return !(form->flags & LEAT_FORM_NOT_NULL);
    case LEAT_FLOAT64:
        return form->kind != LEAT_FORM_FLOAT32 || float32_takes(cell->as.real);
    case LEAT_DECIMAL:
        return form->kind == LEAT_FORM_INTEGER ? integer_takes(form, cell)
                                               : numeric_takes(form, cell);
    case LEAT_INT64:
        if (form->kind == LEAT_FORM_INTEGER)
            return integer_takes(form, cell);
        return form->kind != LEAT_FORM_NUMERIC || numeric_takes(form, cell);
    case LEAT_TIMESTAMP:
        return timestamp_takes(cell->as.integer);
    case LEAT_TEXT:
        return text_takes(form, cell->as.slice);
    case LEAT_JSON:
        return leat_json_is_valid(cell->as.slice);
    default:
        return true;
    }
}
