/*
 * Exact decimals. 128 bits and a scale where they fit; beyond that, schoolbook sums over the digits of the texts.
 */
#include "base/decimal.h"

#include <stdlib.h>

#include "base/memory.h"

#define MAXIMUM_TEXT 1000
#define MAXIMUM_SCALE 38
#define MAXIMUM_DIGITS ((__int128)(((unsigned __int128)1 << 127) - 1))

/*
 * No target's numeric holds 10^150000 (Postgres ends at 131,072 digits before the point), and a sum writes
 * such a number's digits out: what a remote side can size has a limit.
 */
#define MAXIMUM_EXPONENT 150000

/* A text taken apart. The digits stay where they are: before the point, and behind it. */
struct parts {
    bool is_negative;
    struct leat_slice whole, fraction;
    int64_t exponent;
};

/* The digits at the front of the text, taken off it. */
static struct leat_slice
take_digits(struct leat_slice *text)
{
    size_t size = 0;
    struct leat_slice digits;

    while (size < text->size && text->data[size] >= '0' && text->data[size] <= '9')
        size++;
    digits = leat_slice_make(text->data, size);
    *text = leat_slice_make(text->data + size, text->size - size);
    return digits;
}

static bool
take_byte(struct leat_slice *text, unsigned char byte)
{
    if (text->size == 0 || text->data[0] != byte)
        return false;
    *text = leat_slice_make(text->data + 1, text->size - 1);
    return true;
}

static bool
take_exponent(struct leat_slice *text, int64_t *ret_exponent)
{
    bool is_negative = take_byte(text, '-');
    struct leat_slice digits;
    int64_t exponent = 0;

    if (!is_negative)
        take_byte(text, '+');
    digits = take_digits(text);
    if (digits.size == 0)
        return false;
    for (size_t i = 0; i < digits.size && exponent <= MAXIMUM_EXPONENT; i++)
        exponent = exponent * 10 + (digits.data[i] - '0');
    *ret_exponent = is_negative ? -exponent : exponent;
    return exponent <= MAXIMUM_EXPONENT;
}

static bool
parse_parts(struct leat_slice text, struct parts *parts)
{
    *parts = (struct parts){0};
    parts->is_negative = take_byte(&text, '-');
    if (!parts->is_negative)
        take_byte(&text, '+');
    parts->whole = take_digits(&text);
    if (take_byte(&text, '.'))
        parts->fraction = take_digits(&text);
    if (parts->whole.size + parts->fraction.size == 0)
        return false;
    if ((take_byte(&text, 'e') || take_byte(&text, 'E')) && !take_exponent(&text, &parts->exponent))
        return false;
    return text.size == 0;
}

/* digits := digits, then those of the text. false: too many. */
static bool
add_digits(__int128 *digits, struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        int digit = text.data[i] - '0';

        if (*digits > (MAXIMUM_DIGITS - digit) / 10)
            return false;
        *digits = *digits * 10 + digit;
    }
    return true;
}

/* Nearly all numbers: few digits, no exponent. Division-free; false: the general way, please. */
static bool
parse_short(const struct parts *parts, struct leat_decimal *ret_decimal)
{
    uint64_t digits = 0;

    if (parts->whole.size + parts->fraction.size > 18 || parts->exponent != 0)
        return false;
    for (size_t i = 0; i < parts->whole.size; i++)
        digits = digits * 10 + (uint64_t)(parts->whole.data[i] - '0');
    for (size_t i = 0; i < parts->fraction.size; i++)
        digits = digits * 10 + (uint64_t)(parts->fraction.data[i] - '0');
    ret_decimal->digits = parts->is_negative ? -(__int128)digits : (__int128)digits;
    ret_decimal->scale = (int32_t)parts->fraction.size;
    return true;
}

enum leat_decimal_status
leat_decimal_parse(struct leat_slice text, struct leat_decimal *ret_decimal)
{
    __int128 digits = 0;
    struct parts parts;
    int64_t scale;

    if (text.size > MAXIMUM_TEXT || !parse_parts(text, &parts))
        return LEAT_DECIMAL_MALFORMED;
    if (parse_short(&parts, ret_decimal))
        return LEAT_DECIMAL_OK;
    scale = (int64_t)parts.fraction.size - parts.exponent;
    if (!add_digits(&digits, parts.whole) || !add_digits(&digits, parts.fraction))
        return LEAT_DECIMAL_TOO_LARGE;
    if (digits == 0 && scale < 0)
        scale = 0;
    if (scale > MAXIMUM_SCALE || scale < -MAXIMUM_SCALE)
        return LEAT_DECIMAL_TOO_LARGE;
    for (; scale < 0; scale++) {
        if (!add_digits(&digits, leat_slice_make("0", 1)))
            return LEAT_DECIMAL_TOO_LARGE;
    }
    ret_decimal->digits = parts.is_negative ? -digits : digits;
    ret_decimal->scale = (int32_t)scale;
    return LEAT_DECIMAL_OK;
}

/* Raises the scale of `decimal`; false: overflow. */
static bool
rescale(struct leat_decimal *decimal, int32_t scale)
{
    __int128 digits = decimal->digits;

    for (int32_t i = decimal->scale; i < scale; i++) {
        if (__builtin_mul_overflow(digits, (__int128)10, &digits))
            return false;
    }
    decimal->digits = digits;
    decimal->scale = scale;
    return true;
}

static bool
align(struct leat_decimal *a, struct leat_decimal *b)
{
    int32_t scale = a->scale > b->scale ? a->scale : b->scale;

    return rescale(a, scale) && rescale(b, scale);
}

bool
leat_decimal_add(struct leat_decimal a, struct leat_decimal b, struct leat_decimal *ret_sum)
{
    struct leat_decimal sum;

    if (!align(&a, &b) || __builtin_add_overflow(a.digits, b.digits, &sum.digits) ||
        sum.digits < -MAXIMUM_DIGITS)
        return false;
    sum.scale = a.scale;
    *ret_sum = sum;
    return true;
}

static int
sign_of(__int128 digits)
{
    return digits < 0 ? -1 : digits > 0;
}

int
leat_decimal_compare(struct leat_decimal a, struct leat_decimal b)
{
    struct leat_decimal left = a, right = b;
    LEAT_AUTO_BUF left_text = LEAT_BUF_INIT;
    LEAT_AUTO_BUF right_text = LEAT_BUF_INIT;

    if (sign_of(a.digits) != sign_of(b.digits))
        return sign_of(a.digits) < sign_of(b.digits) ? -1 : 1;
    if (align(&left, &right))
        return left.digits < right.digits ? -1 : left.digits > right.digits;
    leat_decimal_format(&left_text, a);
    leat_decimal_format(&right_text, b);
    return leat_decimal_text_compare(leat_buf_slice(&left_text), leat_buf_slice(&right_text));
}

void
leat_decimal_format(struct leat_buf *out, struct leat_decimal decimal)
{
    unsigned __int128 rest = decimal.digits < 0 ? -(unsigned __int128)decimal.digits
                                                : (unsigned __int128)decimal.digits;
    char text[48];
    size_t next = sizeof text;

    for (int32_t i = 0; rest > 0 || i <= decimal.scale; i++) {
        if (i == decimal.scale && decimal.scale > 0)
            text[--next] = '.';
        text[--next] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    }
    if (decimal.digits < 0)
        text[--next] = '-';
    leat_buf_add(out, text + next, sizeof text - next);
}

/* Digits before and after the point, without a sign, aligned for two numbers. */
struct plain {
    bool is_negative;
    char *digits; /* whole + fraction, '0' … '9', and a zero */
    size_t whole, fraction;
};

/* The places before the point that this number needs, leading zeros and all. */
static int64_t
whole_places(const struct parts *parts)
{
    int64_t places = (int64_t)parts->whole.size + parts->exponent;

    return places > 0 ? places : 0;
}

static int64_t
fraction_places(const struct parts *parts)
{
    int64_t places = (int64_t)parts->fraction.size - parts->exponent;

    return places > 0 ? places : 0;
}

static struct plain
plain_from(const struct parts *parts, int64_t whole, int64_t fraction)
{
    struct plain plain = {.whole = (size_t)whole, .fraction = (size_t)fraction};
    size_t size = plain.whole + plain.fraction;
    char *first;

    plain.digits = leat_alloc(size + 1);
    memset(plain.digits, '0', size);
    plain.digits[size] = '\0';
    first = plain.digits + whole - ((int64_t)parts->whole.size + parts->exponent);
    /* A part without digits has no address. */
    if (parts->whole.size > 0)
        memcpy(first, parts->whole.data, parts->whole.size);
    if (parts->fraction.size > 0)
        memcpy(first + parts->whole.size, parts->fraction.data, parts->fraction.size);
    plain.is_negative = parts->is_negative && strspn(plain.digits, "0") < size;
    return plain;
}

/* Two texts as digits of the same length, with a place in front for a carry. Not for hot paths. */
static void
align_texts(struct leat_slice a, struct leat_slice b, struct plain *left, struct plain *right)
{
    struct parts first, second;
    int64_t whole, fraction;

    LEAT_ASSERT(parse_parts(a, &first) && parse_parts(b, &second));
    whole = whole_places(&first);
    if (whole_places(&second) > whole)
        whole = whole_places(&second);
    fraction = fraction_places(&first);
    if (fraction_places(&second) > fraction)
        fraction = fraction_places(&second);
    *left = plain_from(&first, whole + 1, fraction);
    *right = plain_from(&second, whole + 1, fraction);
}

/* The digits from the first to the last that is no zero, wherever the point is. */
struct significant {
    const struct parts *parts;
    size_t first, count; /* of the parts' digits */
    int64_t place;       /* of the first: 0 is the one before the point */
};

static char
digit_at(const struct parts *parts, size_t i)
{
    return (char)(i < parts->whole.size ? parts->whole.data[i]
                                        : parts->fraction.data[i - parts->whole.size]);
}

static struct significant
significant_of(const struct parts *parts)
{
    size_t count = parts->whole.size + parts->fraction.size, first = 0;

    while (count > 0 && digit_at(parts, count - 1) == '0')
        count--;
    while (first < count && digit_at(parts, first) == '0')
        first++;
    return (struct significant){parts, first, count - first,
                                (int64_t)parts->whole.size + parts->exponent - 1 - (int64_t)first};
}

/* Without their signs. No number is written out: 1e150000 and 2 differ in the place of their first digit. */
static int
compare_significant(const struct significant *a, const struct significant *b)
{
    size_t count = a->count > b->count ? a->count : b->count;

    if (a->count == 0 || b->count == 0)
        return (a->count > 0) - (b->count > 0);
    if (a->place != b->place)
        return a->place < b->place ? -1 : 1;
    for (size_t i = 0; i < count; i++) {
        char left = i < a->count ? digit_at(a->parts, a->first + i) : '0';
        char right = i < b->count ? digit_at(b->parts, b->first + i) : '0';

        if (left != right)
            return left < right ? -1 : 1;
    }
    return 0;
}

int
leat_decimal_text_compare(struct leat_slice a, struct leat_slice b)
{
    struct parts left_parts, right_parts;
    struct significant left, right;
    bool is_left_negative, is_right_negative;

    LEAT_ASSERT(parse_parts(a, &left_parts) && parse_parts(b, &right_parts));
    left = significant_of(&left_parts);
    right = significant_of(&right_parts);
    is_left_negative = left_parts.is_negative && left.count > 0;
    is_right_negative = right_parts.is_negative && right.count > 0;
    if (is_left_negative != is_right_negative)
        return is_left_negative ? -1 : 1;
    return is_left_negative ? compare_significant(&right, &left)
                            : compare_significant(&left, &right);
}

void
leat_decimal_text_canonical(struct leat_buf *out, struct leat_slice text)
{
    struct significant number;
    struct parts parts;

    LEAT_ASSERT(parse_parts(text, &parts));
    number = significant_of(&parts);
    if (number.count == 0) {
        leat_buf_add_byte(out, '0');
        return;
    }
    if (parts.is_negative)
        leat_buf_add_byte(out, '-');
    for (size_t i = 0; i < number.count; i++)
        leat_buf_add_byte(out, (unsigned char)digit_at(&parts, number.first + i));
    leat_buf_printf(out, "e%lld", (long long)(number.place - (int64_t)number.count + 1));
}

size_t
leat_decimal_text_sum_bytes(struct leat_slice a, struct leat_slice b)
{
    struct parts first, second;
    int64_t whole, fraction;

    LEAT_ASSERT(parse_parts(a, &first) && parse_parts(b, &second));
    whole = whole_places(&first) > whole_places(&second) ? whole_places(&first)
                                                         : whole_places(&second);
    fraction = fraction_places(&first) > fraction_places(&second) ? fraction_places(&first)
                                                                  : fraction_places(&second);
    return (size_t)(whole + fraction) + 3; /* a sign, a carry, the point */
}

/* into := into ± from, of one length, into >= from when subtracting. */
static void
combine(struct plain *into, const struct plain *from, bool is_difference)
{
    int carry = 0;

    for (size_t i = into->whole + into->fraction; i-- > 0;) {
        int digit = from->digits[i] - '0';
        int sum = into->digits[i] - '0' + (is_difference ? -digit : digit) + carry;

        carry = sum < 0 ? -1 : sum / 10;
        into->digits[i] = (char)('0' + (sum + 10) % 10);
    }
}

static void
write_plain(struct leat_buf *out, const struct plain *plain)
{
    size_t first = 0;

    while (first + 1 < plain->whole && plain->digits[first] == '0')
        first++;
    if (plain->is_negative && strspn(plain->digits, "0") < plain->whole + plain->fraction)
        leat_buf_add_byte(out, '-');
    leat_buf_add(out, plain->digits + first, plain->whole - first);
    if (plain->fraction > 0) {
        leat_buf_add_byte(out, '.');
        leat_buf_add(out, plain->digits + plain->whole, plain->fraction);
    }
}

void
leat_decimal_text_add(struct leat_buf *out, struct leat_slice a, struct leat_slice b)
{
    struct plain left, right, *greater, *smaller;

    align_texts(a, b, &left, &right);
    greater = strcmp(left.digits, right.digits) >= 0 ? &left : &right;
    smaller = greater == &left ? &right : &left;
    combine(greater, smaller, left.is_negative != right.is_negative);
    write_plain(out, greater);
    free(left.digits);
    free(right.digits);
}
