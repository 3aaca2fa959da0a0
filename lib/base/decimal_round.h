/* Rounding and sizes of exact decimals, as Postgres' numeric(digits, scale) has them. Pure. */
#ifndef LEAT_BASE_DECIMAL_ROUND_H
#define LEAT_BASE_DECIMAL_ROUND_H

#include "base/decimal.h"

/* To so many places behind the point (negative: before it), half away from zero. false: 128 bits do not hold it; untouched. */
bool leat_decimal_round(struct leat_decimal *decimal, int32_t scale);
/* The same with a text, well-formed as for leat_decimal_text_add. */
void leat_decimal_text_round(struct leat_buf *out, struct leat_slice text, int32_t scale);

/* The digits before the point: 123.4 has 3, 0.5 none, 0.05 has -1, and 0 the fewest there are. */
int64_t leat_decimal_whole_digits(struct leat_decimal decimal);
/* The same of a text, and the digits behind its point, written out. */
void leat_decimal_text_digits(struct leat_slice text, int64_t *ret_whole, int64_t *ret_fraction);

#endif
