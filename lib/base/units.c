/* Numbers and units as people write them, and the nearest word for a "did you mean". Pure. */
#include "base/units.h"

#include "base/memory.h"

static bool
is_digit(unsigned char letter)
{
    return letter >= '0' && letter <= '9';
}

int
leat_parse_integer(struct leat_slice text, int64_t *ret_number, struct leat_error *err)
{
    size_t i = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+');
    bool is_negative = i == 1 && text.data[0] == '-';
    int64_t number = 0;

    if (i == text.size)
        return leat_error_set(err, LEAT_E_INVALID, "\"%.*s\" is not a whole number", (int)text.size,
                              (const char *)text.data);
    for (; i < text.size; i++) {
        int digit = is_digit(text.data[i]) ? text.data[i] - '0' : -1;

        if (digit < 0)
            return leat_error_set(err, LEAT_E_INVALID, "\"%.*s\" is not a whole number",
                                  (int)(text.size < 100 ? text.size : 100),
                                  (const char *)text.data);
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, is_negative ? -digit : digit, &number))
            return leat_error_set(err, LEAT_E_INVALID, "\"%.*s\" is out of range",
                                  (int)(text.size < 100 ? text.size : 100),
                                  (const char *)text.data);
    }
    *ret_number = number;
    return 0;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* A number with an optional fraction, and where it ends; SIZE_MAX: none there. */
static size_t
scan_number(struct leat_slice text, size_t start, long double *ret_number)
{
    long double number = 0, place = 1;
    size_t i = start;

    while (i < text.size && is_digit(text.data[i]))
        number = number * 10 + (text.data[i++] - '0');
    if (i == start || i - start > 18)
        return SIZE_MAX;
    if (i < text.size && text.data[i] == '.') {
        size_t point = i++;

        for (; i < text.size && is_digit(text.data[i]); i++) {
            place /= 10;
            number += place * (text.data[i] - '0');
        }
        if (i == point + 1)
            return SIZE_MAX;
    }
    *ret_number = number;
    return i;
}

static const struct unit *
scan_unit(struct leat_slice text, size_t *position, const struct unit *units)
{
    size_t start = *position;

    while (*position < text.size && !is_digit(text.data[*position]))
        (*position)++;
    for (; units->name != NULL; units++) {
        if (leat_slice_is(leat_slice_make(text.data + start, *position - start), units->name))
            return units;
    }
    return NULL;
}

/* Sums of number + unit ("1h30m"); the bare number 0 needs no unit. */
static int
parse_with_units(struct leat_slice text, const struct unit *units, const char *what,
                 int64_t *ret_amount, struct leat_error *err)
{
    long double amount = 0;
    size_t i = 0;

    if (leat_slice_is(text, "0")) {
        *ret_amount = 0;
        return 0;
    }
    while (i < text.size) {
        long double number;
        const struct unit *unit;

        i = scan_number(text, i, &number);
        if (i == SIZE_MAX)
            break;
        unit = scan_unit(text, &i, units);
        if (unit == NULL) {
            i = SIZE_MAX;
            break;
        }
        amount += number * (long double)unit->factor;
    }
    if (i == SIZE_MAX || text.size == 0 || amount > 9.0e18L)
        return leat_error_set(err, LEAT_E_INVALID, "\"%.*s\" is not a %s",
                              (int)(text.size < 100 ? text.size : 100), (const char *)text.data,
                              what);
    *ret_amount = (int64_t)(amount + 0.5L);
    return 0;
}

int
leat_parse_duration(struct leat_slice text, int64_t *ret_us, struct leat_error *err)
{
    static const struct unit units[] = {
        {"us", 1},         {"ms", 1000},       {"s", 1000000}, {"m", 60000000},
        {"h", 3600000000}, {"d", 86400000000}, {NULL, 0},
    };

    return parse_with_units(text, units, "duration like 200ms, 30s or 5m", ret_us, err);
}

int
leat_parse_size(struct leat_slice text, int64_t *ret_bytes, struct leat_error *err)
{
    static const struct unit units[] = {
        {"B", 1},
        {"KiB", INT64_C(1) << 10},
        {"MiB", INT64_C(1) << 20},
        {"GiB", INT64_C(1) << 30},
        {"KB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {NULL, 0},
    };

    return parse_with_units(text, units, "size like 512KiB or 64MiB", ret_bytes, err);
}

int
leat_parse_boolean(struct leat_slice text, bool *ret_is_true, struct leat_error *err)
{
    if (!leat_slice_is(text, "true") && !leat_slice_is(text, "false"))
        return leat_error_set(err, LEAT_E_INVALID, "\"%.*s\" is neither true nor false",
                              (int)(text.size < 100 ? text.size : 100), (const char *)text.data);
    *ret_is_true = text.size == 4;
    return 0;
}

/* The largest unit that divides evenly; with one digit behind the point where that is exact. */
static void
format_with_units(struct leat_buf *out, int64_t amount, const struct unit *units)
{
    for (; units->name != NULL; units++) {
        int64_t tenth = units->factor / 10;

        if (amount < units->factor)
            continue;
        if (amount % units->factor == 0) {
            leat_buf_printf(out, "%lld%s", (long long)(amount / units->factor), units->name);
            return;
        }
        if (tenth > 0 && units->factor % 10 == 0 && amount % tenth == 0 &&
            units->factor <= 1000000) {
            leat_buf_printf(out, "%lld.%lld%s", (long long)(amount / units->factor),
                            (long long)(amount % units->factor / tenth), units->name);
            return;
        }
    }
    leat_buf_add_text(out, "0");
}

void
leat_format_duration(struct leat_buf *out, int64_t us)
{
    static const struct unit units[] = {
        {"d", 86400000000}, {"h", 3600000000}, {"m", 60000000}, {"s", 1000000},
        {"ms", 1000},       {"us", 1},         {NULL, 0},
    };

    if (us < 0)
        leat_buf_add_byte(out, '-');
    format_with_units(out, us < 0 ? -us : us, units);
}

void
leat_format_size(struct leat_buf *out, int64_t bytes)
{
    static const struct unit units[] = {
        {"GiB", INT64_C(1) << 30},
        {"MiB", INT64_C(1) << 20},
        {"KiB", INT64_C(1) << 10},
        {"B", 1},
        {NULL, 0},
    };

    format_with_units(out, bytes, units);
}

/* Levenshtein's distance, for words of up to 63 letters. */
static size_t
distance(const char *a, const char *b)
{
    size_t width = strlen(b), row[64];

    if (width > 63)
        return SIZE_MAX;
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[width];
}

const char *
leat_did_you_mean(const char *word, const char *const *words)
{
    size_t best = strlen(word) / 3 + 1;
    const char *nearest = NULL;

    for (; *words != NULL; words++) {
        size_t far = distance(word, *words);

        if (far <= best && (nearest == NULL || far < best)) {
            best = far;
            nearest = *words;
        }
    }
    return nearest;
}
