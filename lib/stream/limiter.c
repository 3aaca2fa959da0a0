/* Two leaky buckets as times: each call and each byte moves the time at which the debt is paid. */
#include "stream/limiter.h"

#define SECOND_US 1e6

int64_t
leat_limiter_next_us(const struct leat_limiter *limiter, int64_t now_us)
{
    double next_us = 0, ahead_us;

    /* The bucket holds one second of calls less one: the way to the service is not always equally long, and what it counts
       are arrivals. */
    if (limiter->calls_per_second > 0) {
        ahead_us = SECOND_US - 2 * SECOND_US / limiter->calls_per_second;
        next_us = limiter->call_at_us - (ahead_us > 0 ? ahead_us : 0);
    }
    if (limiter->bytes_per_second > 0 && limiter->bytes_at_us > next_us)
        next_us = limiter->bytes_at_us;
    return next_us > (double)now_us ? (int64_t)next_us + 1 : now_us;
}

void
leat_limiter_called(struct leat_limiter *limiter, int64_t now_us)
{
    if (limiter->calls_per_second <= 0)
        return;
    if (limiter->call_at_us < (double)now_us)
        limiter->call_at_us = (double)now_us;
    limiter->call_at_us += SECOND_US / limiter->calls_per_second;
}

void
leat_limiter_answered(struct leat_limiter *limiter, int64_t now_us, size_t bytes)
{
    if (limiter->bytes_per_second <= 0)
        return;
    if (limiter->bytes_at_us < (double)now_us)
        limiter->bytes_at_us = (double)now_us;
    limiter->bytes_at_us += (double)bytes * SECOND_US / limiter->bytes_per_second;
}
