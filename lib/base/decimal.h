/*
 * Exact decimals of 128 bits and a scale: value = digits / 10^scale. Sums of columns use it; what does not
 * fit says so, and the caller falls back to the target's numeric.
 */
#ifndef LEAT_BASE_DECIMAL_H
#define LEAT_BASE_DECIMAL_H

#include "base/buf.h"

struct leat_decimal {
    __int128 digits;
    int32_t scale; /* 0 … 38 */
};

/*
 * [+-]digits[.digits][e[+-]digits], digits on one side of the point are enough; at most 1,000 bytes; no
 * NaN, no infinity; exponents past ±150,000 are malformed (no target holds them, and sums write them out).
 * *ret_decimal is untouched unless OK.
 */
enum leat_decimal_status {
    LEAT_DECIMAL_OK = 0,
    LEAT_DECIMAL_MALFORMED = 1,
    LEAT_DECIMAL_TOO_LARGE = 2 /* a number, but not in 128 bits and scale 38 */
};
enum leat_decimal_status leat_decimal_parse(struct leat_slice text,
                                            struct leat_decimal *ret_decimal);
/* false: overflow; *ret untouched. */
bool leat_decimal_add(struct leat_decimal a, struct leat_decimal b, struct leat_decimal *ret_sum);
int leat_decimal_compare(struct leat_decimal a, struct leat_decimal b);
void leat_decimal_format(struct leat_buf *out,
                         struct leat_decimal decimal); /* keeps the scale: 1.50 */

/*
 * Order of two decimal texts of any length, exactly. Well-formed, as for parse, is the caller's duty (a
 * text that parse did not call malformed, or a sum from below): otherwise it asserts.
 */
int leat_decimal_text_compare(struct leat_slice a, struct leat_slice b);
/* One text for one value, never longer than its digits: 1.50, 15e-1 and +01.5 are 15e-1; zero is 0. */
void leat_decimal_text_canonical(struct leat_buf *out, struct leat_slice text);
/* What the sum of the two takes at most, written out: known before. 1e130000 and 1 take 130,004 bytes. */
size_t leat_decimal_text_sum_bytes(struct leat_slice a, struct leat_slice b);
/* Sum of two well-formed decimal texts of any length, exactly, into out. */
void leat_decimal_text_add(struct leat_buf *out, struct leat_slice a, struct leat_slice b);

#endif
