/*
 * Members of an event as values. What does not fit fails the record with the member's name and what is wanted, never with
 * what stands there: reasons are logged, payloads are not.
 */
#include "base/decimal.h"
#include "base/encoding.h"
#include "base/units.h"
#include "rollup.h"

#define END_US INT64_C(253402300800000000) /* 10000-01-01 */

/*
 * Digits on either side of the point. What targets hold is more (Postgres: 131,072 and 16,383), but a number of that size is
 * no measurement, and its sums would cost as much as a thousand others.
 */
#define MAXIMUM_PLACES 1000

static bool
refuse(const struct leat_rollup_event *event, size_t field, const char *what)
{
    struct leat_slice name = event->rollup->fields[field];

    leat_fail(event->out, event->record, "field \"%.*s\" %s", (int)name.size, name.data, what);
    return false;
}

/* A scalar as text: as written, escapes resolved. */
static bool
scalar(struct leat_rollup_event *event, size_t field, struct leat_slice *ret_text)
{
    const struct leat_rollup_value *value = &event->fields[field];
    struct leat_slice name = event->rollup->fields[field];
    const char *problem;
    size_t size;

    switch (value->kind) {
    case LEAT_ROLLUP_MISSING:
        leat_fail(event->out, event->record, "no field \"%.*s\"", (int)name.size, name.data);
        return false;
    case LEAT_ROLLUP_NULL:
        return refuse(event, field, "is null");
    case LEAT_ROLLUP_NESTED:
        return refuse(event, field, "is an object or an array");
    default:
        break;
    }
    *ret_text = value->raw;
    if (value->kind != LEAT_ROLLUP_TEXT || !value->has_escapes)
        return true;
    if (value->raw.size > sizeof event->scratch - event->scratch_used)
        return refuse(event, field, "is too long");
    problem = leat_rollup_unescape(value->raw, event->scratch + event->scratch_used, &size);
    if (problem != NULL) {
        leat_fail(event->out, event->record, "field \"%.*s\" holds %s", (int)name.size, name.data,
                  problem);
        return false;
    }
    *ret_text = leat_slice_make(event->scratch + event->scratch_used, size);
    event->scratch_used += size;
    return true;
}

static bool
is_number(const struct leat_rollup_value *value)
{
    return value->kind == LEAT_ROLLUP_NUMBER || value->kind == LEAT_ROLLUP_TEXT;
}

/* Of a number in form: where its digits end, and what its exponent says; false: far too much. */
static bool
is_within_places(struct leat_slice text)
{
    size_t whole = 0, fraction = 0, i = 0;
    bool is_behind_point = false, is_negative;
    int64_t exponent = 0;

    for (; i < text.size && text.data[i] != 'e' && text.data[i] != 'E'; i++) {
        if (text.data[i] == '.')
            is_behind_point = true;
        else if (text.data[i] >= '0' && text.data[i] <= '9')
            is_behind_point ? fraction++ : whole++;
    }
    i++;
    is_negative = i < text.size && text.data[i] == '-';
    for (; i < text.size && exponent <= MAXIMUM_PLACES; i++) {
        if (text.data[i] >= '0' && text.data[i] <= '9')
            exponent = exponent * 10 + (text.data[i] - '0');
    }
    exponent = is_negative ? -exponent : exponent;
    return (int64_t)whole + exponent <= MAXIMUM_PLACES &&
           (int64_t)fraction - exponent <= MAXIMUM_PLACES;
}

/* ret_decimal NULL: any number that is within bounds will do, else it has to fit. */
static bool
decimal(struct leat_rollup_event *event, size_t field, struct leat_slice *ret_text,
        struct leat_decimal *ret_decimal)
{
    const struct leat_rollup_value *value = &event->fields[field];
    struct leat_decimal parsed;

    if (!scalar(event, field, ret_text))
        return false;
    if (!is_number(value))
        return refuse(event, field, "is not a number");
    switch (leat_decimal_parse(*ret_text, ret_decimal != NULL ? ret_decimal : &parsed)) {
    case LEAT_DECIMAL_OK:
        return true;
    case LEAT_DECIMAL_TOO_LARGE:
        if (ret_decimal == NULL && is_within_places(*ret_text))
            return true;
        return refuse(event, field, "is a number out of range");
    default:
        return refuse(event, field,
                      value->kind == LEAT_ROLLUP_NUMBER ? "is a number out of range"
                                                        : "is not a number");
    }
}

bool
leat_rollup_number(struct leat_rollup_event *event, size_t field, struct leat_slice *ret_number)
{
    return decimal(event, field, ret_number, NULL);
}

/* Nearly all: a few plain digits. */
static bool
short_integer(struct leat_slice text, int64_t *ret_number)
{
    bool is_negative = text.size > 0 && text.data[0] == '-';
    int64_t number = 0;

    if (text.size <= is_negative || text.size > 18)
        return false;
    for (size_t i = is_negative; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_number = is_negative ? -number : number;
    return true;
}

/* 7, 7.0, 70e-1 and "7" are one integer; 7.5 is none. */
static bool
integer(struct leat_rollup_event *event, size_t field, int64_t *ret_number)
{
    struct leat_decimal number;
    struct leat_slice text;

    if (event->fields[field].kind == LEAT_ROLLUP_NUMBER &&
        short_integer(event->fields[field].raw, ret_number))
        return true;
    if (!decimal(event, field, &text, &number))
        return false;
    for (; number.scale > 0; number.scale--) {
        if (number.digits % 10 != 0)
            return refuse(event, field, "is not a whole number");
        number.digits /= 10;
    }
    if (number.digits < INT64_MIN || number.digits > INT64_MAX)
        return refuse(event, field, "is a number out of range");
    *ret_number = (int64_t)number.digits;
    return true;
}

/* Seconds or milliseconds since 1970, with fractions; what is below a microsecond is cut off, downwards. */
static bool
epoch_moment(struct leat_rollup_event *event, size_t field, int64_t unit_us, int64_t *ret_us)
{
    struct leat_decimal number;
    struct leat_slice text;
    __int128 us, divisor = 1;

    if (!decimal(event, field, &text, &number))
        return false;
    for (int32_t i = 0; i < number.scale; i++)
        divisor *= 10;
    if (__builtin_mul_overflow(number.digits, (__int128)unit_us, &us))
        return refuse(event, field, "is not a time: out of range");
    us = us / divisor - (us % divisor < 0);
    if (us < LEAT_ROLLUP_MINIMUM_US || us >= END_US)
        return refuse(event, field, "is not a time: out of range");
    *ret_us = (int64_t)us;
    return true;
}

bool
leat_rollup_moment(struct leat_rollup_event *event, size_t field, int64_t *ret_us)
{
    const struct leat_rollup *rollup = event->rollup;
    struct leat_slice text;

    if (rollup->time == LEAT_ROLLUP_EPOCH_S)
        return epoch_moment(event, field, 1000000, ret_us);
    if (rollup->time == LEAT_ROLLUP_EPOCH_MS)
        return epoch_moment(event, field, 1000, ret_us);
    if (!scalar(event, field, &text))
        return false;
    if (rollup->time == LEAT_ROLLUP_FORMAT) {
        struct leat_slice name = rollup->fields[field];

        if (leat_parse_time_as(text, rollup->time_format, ret_us))
            return true;
        leat_fail(event->out, event->record, "field \"%.*s\" is not a time: \"%.80s\" is wanted",
                  (int)name.size, name.data, rollup->time_format);
        return false;
    }
    /* 20220101 could be a day or seconds: who sends numbers says which. */
    if (event->fields[field].kind == LEAT_ROLLUP_NUMBER)
        return refuse(event, field,
                      "is not a time: a number needs time_format epoch_s or epoch_ms");
    return leat_parse_time(text, ret_us) ||
           refuse(event, field, "is not a time: ISO 8601 is wanted");
}

static bool
boolean(struct leat_rollup_event *event, size_t field, bool *ret_is_true)
{
    struct leat_slice text;

    if (!scalar(event, field, &text))
        return false;
    *ret_is_true = leat_slice_is(text, "true");
    return *ret_is_true || leat_slice_is(text, "false") ||
           refuse(event, field, "is neither true nor false");
}

bool
leat_rollup_key(struct leat_rollup_event *event, size_t field, enum leat_type type,
                struct leat_value *ret_value)
{
    struct leat_slice text;
    int64_t number;
    bool is_true;

    switch (type) {
    case LEAT_INT64:
        if (!integer(event, field, &number))
            return false;
        *ret_value = leat_int64(number);
        return true;
    case LEAT_TIMESTAMP:
        if (!leat_rollup_moment(event, field, &number))
            return false;
        *ret_value = leat_timestamp_us(number);
        return true;
    case LEAT_BOOL:
        if (!boolean(event, field, &is_true))
            return false;
        *ret_value = leat_bool(is_true);
        return true;
    case LEAT_DECIMAL:
        if (!decimal(event, field, &text, NULL))
            return false;
        *ret_value = leat_decimal(text);
        return true;
    default:
        if (!scalar(event, field, &text))
            return false;
        if (!leat_utf8_is_valid(text))
            return refuse(event, field, "is not UTF-8");
        *ret_value = leat_text(text);
        return true;
    }
}
