/*
 * The pace of one shard: when it may be asked again, so that the service's limits are used and not run against. Pure: time is
 * an argument.
 *
 * A shard of AWS's gives 5 calls and 2 MB a second to all its readers together; an answer may take 10 MB at once, which are
 * then paid for with 5 s. Other servers give more, or all there is. Which it is, and how much others leave, is found by asking:
 *
 * - Without a refusal there is no limit (where the service is not known to be AWS).
 * - The first refusal says that there is one: from then on the documented pace is kept.
 * - A refusal at that pace means that somebody else reads: our share shrinks to what was really got, and grows again slowly.
 *   All who do so come to equal shares.
 * - While nobody refuses, more is tried: seldom, and more seldom with each refusal; what is never refused is a limit no more.
 *
 * What is counted is what the service counts: data and partition keys. The configuration may set ceilings besides.
 */
#ifndef LEAT_STREAM_LIMITER_H
#define LEAT_STREAM_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"

/* What is owed, as times. All 0 at first. */
struct leat_limiter_debt {
    double calls_at_us; /* when the bucket of calls is empty of debt */
    double bytes_at_us;
    double shut_until_us; /* after an answer of more than a second's worth */
};

/* What a call was charged with beforehand: several may read one shard at once. Handed back with the outcome. */
struct leat_limiter_charge {
    double calls_us, bytes_us, ceiling_us;
};

struct leat_limiter {
    double calls_ceiling, bytes_ceiling; /* a second, as configured; 0: none */
    double share;       /* of what AWS documents for a shard; 0: no limit is known */
    double sound_share; /* the greatest that was not refused */
    struct leat_limiter_debt service, ceiling;
    double used_part;                        /* of our share */
    double probe_factor;                     /* of the next try for more */
    double last_bytes;                       /* of the last answer that had any */
    int64_t retry_at_us;                     /* after a refusal */
    int64_t served_at_us;                    /* when the last answer was asked for; 0: none yet */
    int64_t refused_at_us;                   /* when the first refusal since was due; 0: none */
    int64_t clean_since_us, contended_at_us; /* contended 0: never */
    int64_t probe_wait_us;
    int64_t greedy_since_us; /* the pace has held us since */
    unsigned kept_out;       /* answers in a row */
    unsigned refusals;       /* since the last answer */
    bool is_probing, has_failed_probe, is_held;
    struct leat_random random;
};

/* is_documented: the service is AWS's, its limits are known. */
void leat_limiter_init(struct leat_limiter *limiter, bool is_documented, uint64_t seed);
/* When the next call may be made; now or earlier: at once. */
int64_t leat_limiter_next_us(const struct leat_limiter *limiter, int64_t now_us);
/* A read waits for nothing but the pace. */
void leat_limiter_held(struct leat_limiter *limiter);
struct leat_limiter_charge leat_limiter_called(struct leat_limiter *limiter, int64_t now_us);
/* asked_at_us: of its call. bytes: of data and partition keys. */
void leat_limiter_answered(struct leat_limiter *limiter, int64_t asked_at_us,
                           const struct leat_limiter_charge *charge, size_t bytes);
/* The service said that the shard gives no more now. */
void leat_limiter_refused(struct leat_limiter *limiter, int64_t asked_at_us,
                          const struct leat_limiter_charge *charge, int64_t now_us);
/* A read that ended otherwise: the call was counted, bytes were not. */
void leat_limiter_failed(struct leat_limiter *limiter, const struct leat_limiter_charge *charge);
/* There is a limit, and nobody else seems to read: as much as possible may be asked for at once. */
bool leat_limiter_wants_all(const struct leat_limiter *limiter, int64_t now_us);

#endif
