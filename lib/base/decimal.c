/*
 * Exact decimals. 128 bits and a scale where they fit; beyond that, schoolbook sums over the digits of the texts.
 */
#include "base/decimal.h"

#include <stdlib.h>

#include "base/memory.h"

#define MAXIMUM_TEXT 1000
#define MAXIMUM_SCALE 38
#define MAXIMUM_DIGITS ((__int128)(((unsigned __int128)1 << 127) - 1))

/* A text taken apart: digits without sign or point, and where the point stands from the right. */
struct parts {
    bool is_negative;
    char digits[MAXIMUM_TEXT];
    int count;
    long scale; /* may be negative before it is normalised */
};

static bool
parse_exponent(const unsigned char *text, size_t size, long *ret_exponent)
{
    long exponent = 0;
    size_t i = size > 0 && (text[0] == '+' || text[0] == '-');

    if (i == size)
        return false;
    for (; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        if (exponent < 100000)
            exponent = exponent * 10 + (text[i] - '0');
    }
    *ret_exponent = text[0] == '-' ? -exponent : exponent;
    return true;
}

static bool
parse_parts(struct leat_slice text, struct parts *parts)
{
    bool has_point = false, has_digit = false;
    long exponent = 0;
    size_t i = 0;

    *parts = (struct parts){0};
    if (text.size == 0 || text.size > MAXIMUM_TEXT)
        return false;
    if (text.data[0] == '-' || text.data[0] == '+') {
        parts->is_negative = text.data[0] == '-';
        i = 1;
    }
    for (; i < text.size && text.data[i] != 'e' && text.data[i] != 'E'; i++) {
        unsigned char letter = text.data[i];

        if (letter == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (letter < '0' || letter > '9')
            return false;
        has_digit = true;
        parts->scale += has_point;
        if (parts->count > 0 || letter != '0')
            parts->digits[parts->count++] = (char)letter;
    }
    if (!has_digit)
        return false;
    if (i < text.size && !parse_exponent(text.data + i + 1, text.size - i - 1, &exponent))
        return false;
    parts->scale -= exponent;
    return true;
}

enum leat_decimal_status
leat_decimal_parse(struct leat_slice text, struct leat_decimal *ret_decimal)
{
    struct leat_decimal decimal = {0};
    struct parts parts;

    if (!parse_parts(text, &parts))
        return LEAT_DECIMAL_MALFORMED;
    if (parts.count == 0 && parts.scale < 0)
        parts.scale = 0;
    if (parts.scale > MAXIMUM_SCALE || parts.scale < -MAXIMUM_SCALE)
        return LEAT_DECIMAL_TOO_LARGE;
    for (long i = 0; i < parts.count - (parts.scale < 0 ? parts.scale : 0); i++) {
        int digit = i < parts.count ? parts.digits[i] - '0' : 0;

        if (decimal.digits > (MAXIMUM_DIGITS - digit) / 10)
            return LEAT_DECIMAL_TOO_LARGE;
        decimal.digits = decimal.digits * 10 + digit;
    }
    if (parts.is_negative)
        decimal.digits = -decimal.digits;
    decimal.scale = parts.scale > 0 ? (int32_t)parts.scale : 0;
    *ret_decimal = decimal;
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
        return sign_of(a.digits) - sign_of(b.digits);
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
    char *digits; /* whole + fraction, '0' … '9' */
    size_t whole, fraction;
};

static size_t
whole_digits(const struct parts *parts)
{
    return parts->count > parts->scale ? (size_t)(parts->count - parts->scale) : 0;
}

static struct plain
plain_from(const struct parts *parts, size_t whole, size_t fraction)
{
    struct plain plain = {parts->is_negative && parts->count > 0, leat_alloc(whole + fraction + 1),
                          whole, fraction};

    memset(plain.digits, '0', whole + fraction);
    for (int i = 0; i < parts->count; i++) {
        long place = (long)whole + i - (parts->count - parts->scale);

        plain.digits[place] = parts->digits[i];
    }
    return plain;
}

/* Two texts as digits of the same length. Not for hot paths. */
static void
align_texts(struct leat_slice a, struct leat_slice b, struct plain *left, struct plain *right)
{
    struct parts first, second;
    size_t whole, fraction = 0;

    LEAT_ASSERT(parse_parts(a, &first) && parse_parts(b, &second));
    whole = whole_digits(&first) > whole_digits(&second) ? whole_digits(&first)
                                                         : whole_digits(&second);
    if (first.scale > 0)
        fraction = (size_t)first.scale;
    if (second.scale > 0 && (size_t)second.scale > fraction)
        fraction = (size_t)second.scale;
    *left = plain_from(&first, whole + 1, fraction);
    *right = plain_from(&second, whole + 1, fraction);
}

int
leat_decimal_text_compare(struct leat_slice a, struct leat_slice b)
{
    struct plain left, right;
    int order;

    align_texts(a, b, &left, &right);
    order = memcmp(left.digits, right.digits, left.whole + left.fraction);
    if (left.is_negative != right.is_negative)
        order = left.is_negative ? -1 : 1;
    else if (left.is_negative)
        order = -order;
    free(left.digits);
    free(right.digits);
    return order < 0 ? -1 : order > 0;
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
    left.digits[left.whole + left.fraction] = '\0';
    right.digits[right.whole + right.fraction] = '\0';
    greater = strcmp(left.digits, right.digits) >= 0 ? &left : &right;
    smaller = greater == &left ? &right : &left;
    combine(greater, smaller, left.is_negative != right.is_negative);
    write_plain(out, greater);
    free(left.digits);
    free(right.digits);
}
