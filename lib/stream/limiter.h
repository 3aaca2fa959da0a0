/* The service's limits of one shard, kept on our side: calls and bytes a second. Pure: time is an argument. */
#ifndef LEAT_STREAM_LIMITER_H
#define LEAT_STREAM_LIMITER_H

#include <stddef.h>
#include <stdint.h>

struct leat_limiter {
    double calls_per_second, bytes_per_second; /* 0: no limit */
    double call_at_us;                         /* when the bucket of calls is empty of debt */
    double bytes_at_us;
};

/* When the next call may be made; now or earlier: at once. After a rest a second's calls less one are allowed at once. */
int64_t leat_limiter_next_us(const struct leat_limiter *limiter, int64_t now_us);
void leat_limiter_called(struct leat_limiter *limiter, int64_t now_us);
/* An answer of so many bytes came: the next call waits until they are paid. */
void leat_limiter_answered(struct leat_limiter *limiter, int64_t now_us, size_t bytes);

#endif
