/* Rounds in 128 bits where it can; else digit by digit over the plain text. */
#include "base/decimal_round.h"

#include <stdlib.h>

#include "base/memory.h"

/* 10^power; false: more than 38. */
static bool
power_of_ten(int64_t power, __int128 *ret_power)
{
    __int128 value = 1;

    if (power > 38)
        return false;
    for (int64_t i = 0; i < power; i++)
        value *= 10;
    *ret_power = value;
    return true;
}

bool
leat_decimal_round(struct leat_decimal *decimal, int32_t scale)
{
    int64_t dropped = (int64_t)decimal->scale - scale;
    __int128 unit, quotient, rest, back = 1;

    if (dropped <= 0)
        return true;
    if (!power_of_ten(dropped, &unit)) {
        *decimal = (struct leat_decimal){0}; /* less than half of a unit */
        return true;
    }
    quotient = decimal->digits / unit;
    rest = decimal->digits % unit;
    if (rest >= unit - rest)
        quotient++;
    else if (-rest >= unit + rest && rest < 0)
        quotient--;
    if (scale < 0 && (!power_of_ten(-(int64_t)scale, &back) ||
                      __builtin_mul_overflow(quotient, back, &quotient)))
        return false;
    *decimal = (struct leat_decimal){.digits = quotient, .scale = scale > 0 ? scale : 0};
    return true;
}

/* The digits of a plain text, without sign and point. */
struct digits {
    bool is_negative;
    char *text; /* one zero in front, for a carry */
    int64_t whole, size;
};

static struct digits
digits_of(struct leat_slice number)
{
    LEAT_AUTO_BUF plain = LEAT_BUF_INIT;
    struct digits digits = {0};
    struct leat_slice text;

    /* The sum with zero is the plain form of any spelling. */
    leat_decimal_text_add(&plain, number, leat_slice_from("0"));
    text = leat_buf_slice(&plain);
    digits.text = leat_alloc(text.size + 2);
    digits.text[digits.size++] = '0';
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '-')
            digits.is_negative = true;
        else if (text.data[i] == '.')
            digits.whole = digits.size;
        else
            digits.text[digits.size++] = (char)text.data[i];
    }
    if (digits.whole == 0)
        digits.whole = digits.size;
    digits.text[digits.size] = '\0';
    return digits;
}

static void
write_digits(struct leat_buf *out, const struct digits *digits)
{
    int64_t first = 0;

    while (first + 1 < digits->whole && digits->text[first] == '0')
        first++;
    if (digits->is_negative && (int64_t)strspn(digits->text, "0") < digits->size)
        leat_buf_add_byte(out, '-');
    leat_buf_add(out, digits->text + first, (size_t)(digits->whole - first));
    if (digits->size > digits->whole) {
        leat_buf_add_byte(out, '.');
        leat_buf_add(out, digits->text + digits->whole, (size_t)(digits->size - digits->whole));
    }
}

void
leat_decimal_text_round(struct leat_buf *out, struct leat_slice text, int32_t scale)
{
    struct digits digits = digits_of(text);
    int64_t keep = digits.whole + scale; /* so many digits stay */

    if (keep < 0)
        keep = 0;
    if (keep < digits.size) {
        bool is_up = digits.text[keep] >= '5' && digits.whole + scale >= 0;

        for (int64_t i = keep; i < digits.size; i++)
            digits.text[i] = '0';
        for (int64_t i = keep - 1; i >= 0 && is_up; i--) {
            is_up = digits.text[i] == '9';
            digits.text[i] = (char)(is_up ? '0' : digits.text[i] + 1);
        }
        digits.size = keep > digits.whole ? keep : digits.whole;
        digits.text[digits.size] = '\0';
    }
    write_digits(out, &digits);
    free(digits.text);
}

int64_t
leat_decimal_whole_digits(struct leat_decimal decimal)
{
    unsigned __int128 rest = decimal.digits < 0 ? -(unsigned __int128)decimal.digits
                                                : (unsigned __int128)decimal.digits;
    int64_t count = 0;

    if (rest == 0)
        return INT64_MIN / 2;
    for (; rest > 0; rest /= 10)
        count++;
    return count - decimal.scale;
}

/* Counted, not written out: 1e130000 is a short text. */
void
leat_decimal_text_digits(struct leat_slice text, int64_t *ret_whole, int64_t *ret_fraction)
{
    int64_t whole = 0, fraction = 0, zeros = 0, exponent = 0;
    bool is_behind = false, is_zero = true, is_negative = false;
    size_t i = 0;

    for (; i < text.size && text.data[i] != 'e' && text.data[i] != 'E'; i++) {
        unsigned char byte = text.data[i];

        is_behind |= byte == '.';
        if (byte < '0' || byte > '9')
            continue;
        is_zero = is_zero && byte == '0';
        zeros += is_zero;
        whole += !is_behind;
        fraction += is_behind;
    }
    for (; i < text.size; i++) {
        is_negative |= text.data[i] == '-';
        if (text.data[i] >= '0' && text.data[i] <= '9')
            exponent = exponent * 10 + (text.data[i] - '0');
    }
    if (is_negative)
        exponent = -exponent;
    *ret_whole = is_zero ? INT64_MIN / 2 : whole - zeros + exponent;
    *ret_fraction = fraction > exponent ? fraction - exponent : 0;
}
