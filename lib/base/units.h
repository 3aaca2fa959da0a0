/* Numbers as people write them: 30s, 200ms, 64MiB, 5/s, 50%; and times. Pure. */
#ifndef LEAT_BASE_UNITS_H
#define LEAT_BASE_UNITS_H

#include "base/buf.h"

int leat_parse_integer(struct leat_slice text, int64_t *ret_number, struct leat_error *err);
/* us ms s m h d, no unit only for 0; µs out. "1h30m" is allowed. */
int leat_parse_duration(struct leat_slice text, int64_t *ret_us, struct leat_error *err);
/* B KiB MiB GiB KB MB GB, no unit only for 0. */
int leat_parse_size(struct leat_slice text, int64_t *ret_bytes, struct leat_error *err);
int leat_parse_boolean(struct leat_slice text, bool *ret_is_true, struct leat_error *err);
void leat_format_duration(struct leat_buf *out, int64_t us); /* 200ms, 1.5s, 2m, 3h */
void leat_format_size(struct leat_buf *out, int64_t bytes);  /* 64MiB, 512B */

/*
 * ISO 8601 and its relatives: "2022-01-01T00:01:00Z", "2022-01-01 00:01:00.25+02:00", date alone; UTC where
 * no zone is given. Proleptic Gregorian, years 1 … 9999, leap second 60 becomes the next second.
 */
bool leat_parse_time(struct leat_slice text, int64_t *ret_us);
/* The same, or a time before now_us: "-2h", "2h ago". */
bool leat_parse_moment(struct leat_slice text, int64_t now_us, int64_t *ret_us);
/* By a strptime-like format of %Y %m %d %H %M %S %f (fraction) %z %b %y %j %s %e %y %T %F %%; UTC default. */
bool leat_parse_time_as(struct leat_slice text, const char *format, int64_t *ret_us);
void leat_format_time(struct leat_buf *out,
                      int64_t us); /* 2022-01-01T00:01:00.250000Z; whole seconds without fraction */
int64_t leat_time_from_civil(int year, int month, int day); /* days since 1970-01-01 */

/* The nearest of `words` (NULL-ended) for a "did you mean", or NULL when none is near. */
const char *leat_did_you_mean(const char *word, const char *const *words);

#endif
