/*
 * Decimals: two texts, separated by the first space. What both ways can do must agree: 128 bits
 * and texts of any length; a + b - b is a again.
 */
#include <stdint.h>

#include "base/decimal.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
sign(int order)
{
    return (order > 0) - (order < 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    LEAT_AUTO_BUF sum_text = LEAT_BUF_INIT;
    const uint8_t *space = size > 0 ? memchr(data, ' ', size) : NULL;
    struct leat_slice first = leat_slice_make(data, space != NULL ? (size_t)(space - data) : size);
    struct leat_slice second = leat_slice_make("1", 1);
    struct leat_decimal a, b, sum, again;
    enum leat_decimal_status first_status, second_status;

    if (space != NULL)
        second = leat_slice_make(space + 1, size - first.size - 1);
    first_status = leat_decimal_parse(first, &a);
    second_status = leat_decimal_parse(second, &b);
    if (first_status == LEAT_DECIMAL_MALFORMED || second_status == LEAT_DECIMAL_MALFORMED)
        return 0;
    LEAT_ASSERT(leat_decimal_text_compare(first, first) == 0);
    LEAT_ASSERT(sign(leat_decimal_text_compare(first, second)) ==
                -sign(leat_decimal_text_compare(second, first)));
    leat_decimal_text_add(&sum_text, first, second);
    if (first_status != LEAT_DECIMAL_OK || second_status != LEAT_DECIMAL_OK)
        return 0;
    leat_decimal_format(&out, a);
    LEAT_ASSERT(leat_decimal_parse(leat_buf_slice(&out), &again) == LEAT_DECIMAL_OK);
    LEAT_ASSERT(again.digits == a.digits && again.scale == a.scale);
    LEAT_ASSERT(sign(leat_decimal_compare(a, b)) == sign(leat_decimal_text_compare(first, second)));
    if (leat_decimal_add(a, b, &sum)) {
        leat_buf_clear(&out);
        leat_decimal_format(&out, sum);
        LEAT_ASSERT(leat_decimal_text_compare(leat_buf_slice(&out), leat_buf_slice(&sum_text)) ==
                    0);
    }
    return 0;
}
