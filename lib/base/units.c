/*
 * Numbers as people write them. Exact: "0.1KiB" is refused, for it is no whole number of bytes, and what
 * the formatters write reads back as the same number. Pure.
 */
#include "base/units.h"

#include <inttypes.h>
#include <strings.h>

#include "base/memory.h"

#define SHOWN_BYTES 64 /* of a bad text, in the error */
#define MAXIMUM_WORD 64

struct unit {
    const char *name;
    int64_t factor;
};

/* Longest name first where one is the beginning of another. Durations: from small to large. */
static const struct unit duration_units[] = {
    {"us", 1},
    {"ms", 1000},
    {"s", INT64_C(1000000)},
    {"m", INT64_C(60000000)},
    {"h", INT64_C(3600000000)},
    {"d", INT64_C(86400000000)},
    {NULL, 0},
};

static const struct unit size_units[] = {
    {"B", 1},     {"KiB", INT64_C(1) << 10}, {"MiB", INT64_C(1) << 20}, {"GiB", INT64_C(1) << 30},
    {"KB", 1000}, {"MB", 1000000},           {"GB", 1000000000},        {NULL, 0},
};

static bool
is_digit(unsigned char letter)
{
    return letter >= '0' && letter <= '9';
}

static int
refuse(struct leat_error *err, struct leat_slice text, const char *reason)
{
    int shown = text.size > SHOWN_BYTES ? SHOWN_BYTES : (int)text.size;

    return leat_error_set(err, LEAT_E_INVALID, "\"%.*s\"%s %s", shown, (const char *)text.data,
                          text.size > SHOWN_BYTES ? "…" : "", reason);
}

int
leat_parse_integer(struct leat_slice text, int64_t *ret_number, struct leat_error *err)
{
    bool is_negative = text.size > 0 && text.data[0] == '-';
    size_t i = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+');
    int64_t number = 0;

    if (i == text.size)
        return refuse(err, text, "is no whole number");
    for (; i < text.size; i++) {
        int digit = text.data[i] - '0';

        if (!is_digit(text.data[i]))
            return refuse(err, text, "is no whole number");
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, is_negative ? -digit : digit, &number))
            return refuse(err, text, "is out of range: at most 64 bits");
    }
    *ret_number = number;
    return 0;
}

/* A part of a text like "1.5h": digits and a unit. `number` is times 10^decimals. */
struct quantity {
    int64_t number;
    int64_t divisor;         /* 10^decimals */
    const struct unit *unit; /* NULL: none */
};

/* Takes "12" or "1.5" from the front; false: no number, or too many digits. */
static bool
take_number(struct leat_slice *text, struct quantity *quantity)
{
    bool has_point = false, has_digit = false;

    quantity->number = 0;
    quantity->divisor = 1;
    while (text->size > 0) {
        unsigned char letter = text->data[0];

        if (letter == '.' && !has_point && has_digit) {
            has_point = true;
            has_digit = false;
        } else if (is_digit(letter)) {
            has_digit = true;
            if (__builtin_mul_overflow(quantity->number, 10, &quantity->number) ||
                __builtin_add_overflow(quantity->number, letter - '0', &quantity->number) ||
                (has_point && __builtin_mul_overflow(quantity->divisor, 10, &quantity->divisor)))
                return false;
        } else {
            break;
        }
        text->data++;
        text->size--;
    }
    return has_digit;
}

static const struct unit *
take_unit(struct leat_slice *text, const struct unit *units)
{
    size_t letters = 0;

    while (letters < text->size && !is_digit(text->data[letters]) && text->data[letters] != '.')
        letters++;
    for (; units->name != NULL; units++) {
        if (leat_slice_is(leat_slice_make(text->data, letters), units->name)) {
            text->data += letters;
            text->size -= letters;
            return units;
        }
    }
    return NULL;
}

/* Adds a quantity to the total; false: not whole, or out of range. */
static bool
add_quantity(int64_t *total, const struct quantity *quantity)
{
    __int128 product = (__int128)quantity->number * quantity->unit->factor;

    if (product % quantity->divisor != 0)
        return false;
    product = product / quantity->divisor + *total;
    if (product > INT64_MAX)
        return false;
    *total = (int64_t)product;
    return true;
}

/* "0", "00": the one number that needs no unit. */
static bool
is_zero(struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '0')
            return false;
    }
    return text.size > 0;
}

int
leat_parse_duration(struct leat_slice text, int64_t *ret_us, struct leat_error *err)
{
    struct leat_slice rest = text;
    const struct unit *before = NULL;
    int64_t total = 0;

    if (is_zero(text)) {
        *ret_us = 0;
        return 0;
    }
    do {
        struct quantity quantity;

        if (!take_number(&rest, &quantity))
            return refuse(err, text, "is no duration: write it like 200ms, 30s or 1h30m");
        quantity.unit = take_unit(&rest, duration_units);
        if (quantity.unit == NULL || (before != NULL && quantity.unit >= before))
            return refuse(err, text,
                          "is no duration: the units are us, ms, s, m, h and d, "
                          "the larger one first");
        if (!add_quantity(&total, &quantity))
            return refuse(err, text, "is no duration: out of range, or finer than a microsecond");
        before = quantity.unit;
    } while (rest.size > 0);
    *ret_us = total;
    return 0;
}

int
leat_parse_size(struct leat_slice text, int64_t *ret_bytes, struct leat_error *err)
{
    struct leat_slice rest = text;
    struct quantity quantity;
    int64_t total = 0;

    if (is_zero(text)) {
        *ret_bytes = 0;
        return 0;
    }
    if (!take_number(&rest, &quantity))
        return refuse(err, text, "is no size: write it like 64MiB");
    quantity.unit = take_unit(&rest, size_units);
    if (quantity.unit == NULL || rest.size > 0)
        return refuse(err, text, "is no size: the units are B, KiB, MiB, GiB, KB, MB and GB");
    if (!add_quantity(&total, &quantity))
        return refuse(err, text, "is no size: out of range, or no whole number of bytes");
    *ret_bytes = total;
    return 0;
}

int
leat_parse_boolean(struct leat_slice text, bool *ret_is_true, struct leat_error *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

    for (size_t i = 0; i < LEAT_COUNT_OF(words); i++) {
        if (text.size == strlen(words[i]) &&
            strncasecmp((const char *)text.data, words[i], text.size) == 0) {
            *ret_is_true = i % 2 == 1;
            return 0;
        }
    }
    return refuse(err, text, "is neither true nor false");
}

/* number / factor with the decimals it needs (at most 6), and the unit. */
static void
write_quantity(struct leat_buf *out, uint64_t number, const struct unit *unit)
{
    uint64_t factor = (uint64_t)unit->factor, rest = number % factor;

    leat_buf_printf(out, "%" PRIu64, number / factor);
    if (rest > 0)
        leat_buf_add_byte(out, '.');
    for (int i = 0; i < 6 && rest > 0; i++) {
        rest *= 10;
        leat_buf_add_byte(out, (unsigned char)('0' + rest / factor));
        rest %= factor;
    }
    leat_buf_add_text(out, unit->name);
}

void
leat_format_duration(struct leat_buf *out, int64_t us)
{
    uint64_t number = us < 0 ? -(uint64_t)us : (uint64_t)us;
    int i = 5;

    if (us < 0)
        leat_buf_add_byte(out, '-');
    if (us == 0) {
        leat_buf_add_text(out, "0s");
        return;
    }
    /* Minutes and above in whole or half ones; below, whatever it takes. */
    while (i > 2 && number % ((uint64_t)duration_units[i].factor / 2) != 0)
        i--;
    while (i > 0 && number < (uint64_t)duration_units[i].factor)
        i--;
    write_quantity(out, number, &duration_units[i]);
}

void
leat_format_size(struct leat_buf *out, int64_t bytes)
{
    uint64_t number = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;
    int i = 3;

    if (bytes < 0)
        leat_buf_add_byte(out, '-');
    while (i > 0 && (number < (uint64_t)size_units[i].factor ||
                     number % ((uint64_t)size_units[i].factor / 4) != 0))
        i--;
    write_quantity(out, number, &size_units[i]);
}

static size_t
smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Edits (insert, delete, replace, swap of neighbours) that make one word the other; both short. */
static size_t
distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][MAXIMUM_WORD + 1];
    size_t *two_before = rows[0], *before = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_size; j++)
        before[j] = two_before[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *oldest = two_before;

        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            row[j] =
                smallest(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                two_before[j - 2] + 1 < row[j])
                row[j] = two_before[j - 2] + 1;
        }
        two_before = before;
        before = row;
        row = oldest;
    }
    return before[b_size];
}

const char *
leat_did_you_mean(const char *word, const char *const *words)
{
    size_t size = strlen(word), nearest = SIZE_MAX;
    const char *found = NULL;

    if (size > MAXIMUM_WORD)
        return NULL;
    for (; *words != NULL; words++) {
        size_t other = strlen(*words), edits;

        if (other > MAXIMUM_WORD)
            continue;
        edits = distance(word, size, *words, other);
        if (edits < nearest && edits <= 1 + (size > other ? size : other) / 4 && edits < other) {
            nearest = edits;
            found = *words;
        }
    }
    return found;
}
