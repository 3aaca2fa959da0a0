/* Retries, decided: see retry.h. A throttle and a fault are told apart: only faults use up attempts. */
#include "aws/retry.h"

#define MAXIMUM_ATTEMPTS 1000

static int64_t
or_default(int64_t value, int64_t fallback)
{
    return value > 0 ? value : fallback;
}

void
leat_retry_begin(struct leat_retry_state *state, int64_t now_us)
{
    *state = (struct leat_retry_state){.began_us = now_us};
}

static struct leat_retry_verdict
wait_or_give_up(const struct leat_retry_policy *policy, const struct leat_retry_state *state,
                int64_t now_us, int64_t wait_us)
{
    int64_t budget_us = or_default(policy->budget_us, 30 * INT64_C(1000000));

    if (now_us - state->began_us + wait_us > budget_us)
        return (struct leat_retry_verdict){LEAT_RETRY_GIVE_UP, 0};
    return (struct leat_retry_verdict){LEAT_RETRY_WAIT, wait_us};
}

struct leat_retry_verdict
leat_retry_decide(const struct leat_retry_policy *policy, struct leat_retry_state *state,
                  const struct leat_fault *fault, int64_t now_us, int64_t retry_after_us,
                  struct leat_random *random)
{
    static const struct leat_retry_verdict give_up = {LEAT_RETRY_GIVE_UP, 0};
    unsigned maximum = policy->maximum_attempts > 0 ? policy->maximum_attempts : 5;
    int64_t wait_us;

    switch (fault->kind) {
    case LEAT_FAULT_THROTTLED:
        wait_us = leat_backoff_us(random, or_default(policy->throttle_base_us, 200000),
                                  or_default(policy->throttle_cap_us, 10000000), state->throttles);
        state->throttles++;
        break;
    case LEAT_FAULT_TRANSPORT:
    case LEAT_FAULT_SERVER:
    case LEAT_FAULT_FORMAT:
        if (++state->faults >= maximum)
            return give_up;
        wait_us = leat_backoff_us(random, or_default(policy->base_us, 50000),
                                  or_default(policy->cap_us, 5000000), state->faults - 1);
        break;
    case LEAT_FAULT_EXPIRED_TOKEN:
        if (state->has_refreshed)
            return give_up;
        state->has_refreshed = true;
        return (struct leat_retry_verdict){LEAT_RETRY_REFRESH, 0};
    case LEAT_FAULT_SKEWED:
        if (state->has_corrected)
            return give_up;
        state->has_corrected = true;
        return (struct leat_retry_verdict){LEAT_RETRY_CORRECT_CLOCK, 0};
    default:
        return give_up;
    }
    if (retry_after_us > wait_us)
        wait_us = retry_after_us;
    return wait_or_give_up(policy, state, now_us, wait_us);
}

int
leat_retry_attempts(const struct leat_setting *max_attempts, const struct leat_setting *mode,
                    unsigned *ret_attempts, struct leat_error *err)
{
    static const char *const names[] = {"legacy", "standard", "adaptive", NULL};
    static const unsigned of_mode[] = {5, 3, 3};
    unsigned place = 0, attempts = 0;
    int result = leat_setting_choice(mode, names, &place, err);

    if (result == 0)
        result = leat_setting_count(max_attempts, MAXIMUM_ATTEMPTS, &attempts, err);
    if (result < 0)
        return result;
    *ret_attempts = attempts > 0 ? attempts : mode->text != NULL ? of_mode[place] : 0;
    return 0;
}
