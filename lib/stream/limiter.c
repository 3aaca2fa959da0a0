/*
 * Leaky buckets as times: each call and each byte moves the time at which the debt is paid.
 *
 * What others take cannot be seen, only felt: as the time between two of our answers, when all the while the next one is asked
 * for. So after a refusal the shard is asked again soon, then less and less often, and the measured share becomes ours.
 * A twentieth less is asked for each time and the share grows by the same amount for everybody, as TCP does: so equal
 * shares are where it comes to rest, whoever began.
 */
#include "stream/limiter.h"

#include <math.h>

#define SECOND_US 1e6
#define SECOND_WHOLE_US INT64_C(1000000)
/* What AWS documents; it says MB, and 2 MiB are found by probing. */
#define SERVICE_CALLS 5.0
#define SERVICE_BYTES 2e6
/* Who reads as much as there is for long leaves a little open, so that others find a way in. */
#define USED_PART 0.99
#define USED_PART_FOR_LONG 0.97
#define LONG_US (10 * SECOND_WHOLE_US)
#define LEAST_SHARE (1.0 / 16)
#define GROWTH_A_SECOND 0.02
#define STEP_BACK 0.88
#define LARGEST_STEP_BACK 0.6
#define FIRST_PROBE 2.0
#define LEAST_PROBE 1.04
#define FREE_SHARE 32.0 /* what gives so much has no limit */
#define FIRST_PROBE_WAIT_US (2 * SECOND_WHOLE_US)
#define LAST_PROBE_WAIT_US (300 * SECOND_WHOLE_US)
#define QUIET_US (30 * SECOND_WHOLE_US)
/* An answer that comes so much later than it was asked for at first was only asked for a moment too early. */
#define EARLY_PART 0.03
#define EARLY_US 5e3
#define SOONEST_RETRY_US INT64_C(20000)
#define LATEST_RETRY_US INT64_C(400000)
#define PATIENT_RETRY_US SECOND_WHOLE_US
#define RARE_RETRY_US (5 * SECOND_WHOLE_US)
#define QUICK_RETRIES 200
#define PATIENT_RETRIES 300
#define PATIENCE 3 /* answers */

static double
larger(double a, double b)
{
    return a > b ? a : b;
}

static double
smaller(double a, double b)
{
    return a < b ? a : b;
}

/* ---- debts --------------------------------------------------------------------------------- */

/* The bucket holds one second of calls less one: the way to the service is not always equally long, and what it counts
   are arrivals. */
static double
calls_ahead_us(double calls_a_second)
{
    return larger(0, SECOND_US - 2 * SECOND_US / calls_a_second);
}

static double
calls_next_us(const struct leat_limiter_debt *debt, double calls_a_second)
{
    return calls_a_second > 0 ? debt->calls_at_us - calls_ahead_us(calls_a_second) : 0;
}

static double
cost_us(double amount, double a_second)
{
    return a_second > 0 ? amount * SECOND_US / a_second : 0;
}

static double
charge(double *debt_us, double at_us, double cost)
{
    *debt_us = larger(*debt_us, at_us) + cost;
    return cost;
}

/* ---- the service's side -------------------------------------------------------------------- */

/* Without a known limit the documented one is counted all the same: the first refusal must find the debt. */
static double
counted_share(const struct leat_limiter *limiter)
{
    return limiter->share > 0 ? limiter->share : 1;
}

static double
service_bytes(const struct leat_limiter *limiter)
{
    return counted_share(limiter) * SERVICE_BYTES * limiter->used_part;
}

static double
service_calls(const struct leat_limiter *limiter)
{
    return counted_share(limiter) * SERVICE_CALLS * limiter->used_part;
}

/* By the documented rule alone, at our share: a second's worth may be owed. */
static double
schedule_us(const struct leat_limiter *limiter)
{
    const struct leat_limiter_debt *debt = &limiter->service;

    return larger(calls_next_us(debt, service_calls(limiter)),
                  larger(debt->bytes_at_us - SECOND_US, debt->shut_until_us));
}

/* How long the last answer would occupy a shard that nobody else reads. */
static double
occupied_us(const struct leat_limiter *limiter)
{
    return larger(limiter->last_bytes * SECOND_US / SERVICE_BYTES, SECOND_US / SERVICE_CALLS);
}

void
leat_limiter_init(struct leat_limiter *limiter, bool is_documented, uint64_t seed)
{
    *limiter = (struct leat_limiter){
        .share = is_documented,
        .sound_share = 1,
        .used_part = USED_PART,
        .probe_factor = FIRST_PROBE,
        .probe_wait_us = FIRST_PROBE_WAIT_US,
    };
    leat_random_seed(&limiter->random, seed);
}

int64_t
leat_limiter_next_us(const struct leat_limiter *limiter, int64_t now_us)
{
    double next_us = larger((double)limiter->retry_at_us,
                            calls_next_us(&limiter->ceiling, limiter->calls_ceiling));

    if (limiter->bytes_ceiling > 0)
        next_us = larger(next_us, limiter->ceiling.bytes_at_us);
    if (limiter->share > 0)
        next_us = larger(next_us, schedule_us(limiter));
    return next_us > (double)now_us ? (int64_t)next_us + 1 : now_us;
}

void
leat_limiter_held(struct leat_limiter *limiter)
{
    /* After a refusal that is what a retry waits for. */
    if (limiter->refusals == 0)
        limiter->is_held = true;
}

struct leat_limiter_charge
leat_limiter_called(struct leat_limiter *limiter, int64_t now_us)
{
    double at_us = (double)now_us;
    struct leat_limiter_debt *service = &limiter->service, *ceiling = &limiter->ceiling;

    charge(&ceiling->calls_at_us, at_us, cost_us(1, limiter->calls_ceiling));
    return (struct leat_limiter_charge){
        .calls_us = charge(&service->calls_at_us, at_us, cost_us(1, service_calls(limiter))),
        .bytes_us = charge(&service->bytes_at_us, at_us,
                           cost_us(limiter->last_bytes, service_bytes(limiter))),
        .ceiling_us = charge(&ceiling->bytes_at_us, at_us,
                             cost_us(limiter->last_bytes, limiter->bytes_ceiling)),
    };
}

/* What was charged beforehand becomes what it was. */
static void
correct(struct leat_limiter *limiter, const struct leat_limiter_charge *charge, double bytes)
{
    limiter->service.bytes_at_us += cost_us(bytes, service_bytes(limiter)) - charge->bytes_us;
    limiter->ceiling.bytes_at_us += cost_us(bytes, limiter->bytes_ceiling) - charge->ceiling_us;
}

void
leat_limiter_failed(struct leat_limiter *limiter, const struct leat_limiter_charge *charge)
{
    correct(limiter, charge, 0);
}

/* ---- our share ----------------------------------------------------------------------------- */

/* An answer came after refusals: was it others who had taken what we were refused? */
static void
judge_refusals(struct leat_limiter *limiter, int64_t asked_at_us)
{
    double late_us = (double)(asked_at_us - limiter->refused_at_us);
    double period_us = (double)(asked_at_us - limiter->served_at_us);

    double got = occupied_us(limiter) / period_us, least = limiter->share * LARGEST_STEP_BACK;

    if (limiter->has_failed_probe || late_us <= EARLY_PART * period_us + EARLY_US)
        return;
    limiter->contended_at_us = asked_at_us;
    /* Who was kept out for so long has less than others: it is for them to step back. If they do not, there is not more. */
    if (limiter->served_at_us == 0)
        return;
    limiter->kept_out = late_us > occupied_us(limiter) / limiter->share ? limiter->kept_out + 1 : 0;
    if (limiter->kept_out % (PATIENCE + 1) != 0)
        return;
    limiter->share *= STEP_BACK;
    if (limiter->is_held && limiter->share < 1 && got < limiter->share)
        limiter->share = larger(got, least);
    limiter->share = larger(LEAST_SHARE, limiter->share);
}

/* More than the documented pace: only where the pace is all that holds us. */
static void
probe(struct leat_limiter *limiter, int64_t asked_at_us)
{
    int64_t wait_us = limiter->probe_wait_us;

    /* So long that what the shard had saved, a second's worth, is used up if it gives no more than before. */
    if (limiter->is_probing)
        wait_us = (int64_t)(1.2 * SECOND_US / (limiter->share / limiter->sound_share - 1) +
                            occupied_us(limiter) / limiter->sound_share);
    if (!limiter->is_held || asked_at_us - limiter->clean_since_us < wait_us)
        return;
    if (limiter->is_probing)
        limiter->probe_wait_us = FIRST_PROBE_WAIT_US;
    limiter->is_probing = true;
    limiter->clean_since_us = asked_at_us;
    limiter->sound_share = limiter->share;
    limiter->share *= limiter->probe_factor;
    if (limiter->share > FREE_SHARE) {
        limiter->share = 0;
        limiter->sound_share = 1;
        limiter->is_probing = false;
    }
}

static void
grow(struct leat_limiter *limiter, int64_t asked_at_us)
{
    double since_us = (double)(asked_at_us - limiter->served_at_us);

    if (limiter->share <= 0 || limiter->served_at_us == 0)
        return;
    if (limiter->share >= 1)
        probe(limiter, asked_at_us);
    else
        limiter->share = smaller(1, limiter->share + GROWTH_A_SECOND * since_us / SECOND_US);
}

void
leat_limiter_answered(struct leat_limiter *limiter, int64_t asked_at_us,
                      const struct leat_limiter_charge *charge, size_t bytes)
{
    correct(limiter, charge, (double)bytes);
    if (limiter->refusals > 0) {
        /* It gives again since a moment ago, and has saved nothing. */
        limiter->service.bytes_at_us = larger(limiter->service.bytes_at_us,
                                              (double)asked_at_us + SECOND_US +
                                                  cost_us((double)bytes, service_bytes(limiter)));
        judge_refusals(limiter, asked_at_us);
    } else {
        grow(limiter, asked_at_us);
    }
    if (!limiter->is_held)
        limiter->greedy_since_us = asked_at_us;
    limiter->used_part = asked_at_us - limiter->greedy_since_us > LONG_US ? USED_PART_FOR_LONG
                                                                          : USED_PART;
    if ((double)bytes > SERVICE_BYTES)
        limiter->service.shut_until_us = (double)asked_at_us +
                                         (double)bytes * SECOND_US / service_bytes(limiter);
    if (bytes > 0)
        limiter->last_bytes = (double)bytes;
    limiter->served_at_us = asked_at_us;
    limiter->refused_at_us = 0;
    limiter->refusals = 0;
    limiter->is_held = limiter->has_failed_probe = false;
}

/* Soon, then less and less often; never at the same moment as somebody who does the same. */
static int64_t
retry_after_us(struct leat_limiter *limiter)
{
    int64_t occupied = (int64_t)occupied_us(limiter);
    int64_t wait_us = occupied / 16, most_us = LATEST_RETRY_US;
    unsigned doublings = limiter->refusals < 10 ? limiter->refusals : 10;

    if (wait_us < SOONEST_RETRY_US)
        wait_us = SOONEST_RETRY_US;
    if (limiter->refusals > QUICK_RETRIES)
        most_us = PATIENT_RETRY_US;
    if (limiter->refusals > PATIENT_RETRIES)
        most_us = RARE_RETRY_US;
    wait_us <<= doublings;
    if (wait_us > most_us)
        wait_us = most_us;
    return wait_us / 2 + (int64_t)leat_random_below(&limiter->random, (uint64_t)wait_us);
}

/* What was read without a pace was given, so no more than the last answer can be owed. */
static void
find_limit(struct leat_limiter *limiter, int64_t asked_at_us)
{
    struct leat_limiter_debt *debt = &limiter->service;
    double second_us = (double)asked_at_us + SECOND_US, last_us;

    limiter->share = limiter->sound_share = 1;
    limiter->probe_wait_us = FIRST_PROBE_WAIT_US;
    last_us = limiter->last_bytes * SECOND_US / service_bytes(limiter);
    debt->bytes_at_us = smaller(debt->bytes_at_us, second_us + last_us);
    debt->calls_at_us = smaller(debt->calls_at_us, second_us);
}

static void
end_probe(struct leat_limiter *limiter)
{
    limiter->is_probing = false;
    limiter->has_failed_probe = true;
    limiter->share = limiter->sound_share;
    limiter->probe_factor = larger(LEAST_PROBE, sqrt(limiter->probe_factor));
    limiter->probe_wait_us =
        (int64_t)smaller((double)LAST_PROBE_WAIT_US, 2 * (double)limiter->probe_wait_us);
    limiter->service.shut_until_us = (double)limiter->served_at_us +
                                     limiter->last_bytes * SECOND_US / service_bytes(limiter);
}

void
leat_limiter_refused(struct leat_limiter *limiter, int64_t asked_at_us,
                     const struct leat_limiter_charge *charge, int64_t now_us)
{
    struct leat_limiter_debt *debt = &limiter->service;
    double due_us;

    correct(limiter, charge, 0);
    debt->calls_at_us -= charge->calls_us;
    if (limiter->share <= 0)
        find_limit(limiter, asked_at_us);
    else if (limiter->is_probing)
        end_probe(limiter);
    limiter->clean_since_us = now_us;
    due_us = larger((double)asked_at_us, schedule_us(limiter));
    if (limiter->refusals == 0)
        limiter->refused_at_us = (int64_t)due_us;
    /* Whatever the shard had saved is used up. */
    debt->bytes_at_us = larger(debt->bytes_at_us, (double)asked_at_us + SECOND_US);
    debt->calls_at_us =
        larger(debt->calls_at_us, (double)asked_at_us + calls_ahead_us(service_calls(limiter)));
    limiter->retry_at_us = now_us + retry_after_us(limiter);
    limiter->refusals++;
}

bool
leat_limiter_wants_all(const struct leat_limiter *limiter, int64_t now_us)
{
    return limiter->share >= 0.9 &&
           (limiter->contended_at_us == 0 || now_us - limiter->contended_at_us > QUIET_US);
}
