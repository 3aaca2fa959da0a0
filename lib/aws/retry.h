/*
 * What to do after a failed attempt: pure, time and randomness are arguments. Full jitter; throttles back off
 * longer and do not use up the attempts (only the time budget does); faults that are no use to repeat give up at once.
 */
#ifndef LEAT_AWS_RETRY_H
#define LEAT_AWS_RETRY_H

#include "base/random.h"

#include "aws/fault.h"
#include "aws/setting.h"

struct leat_retry_policy {
    unsigned
        maximum_attempts; /* of faults, the first one included; 0: AWS_MAX_ATTEMPTS, else by AWS_RETRY_MODE, else 5 */
    int64_t budget_us;       /* from the first attempt; 0: 30 s; throttles end by it alone */
    int64_t base_us, cap_us; /* 0: 50 ms, 5 s */
    int64_t throttle_base_us, throttle_cap_us; /* 0: 200 ms, 10 s */
};

struct leat_retry_state {
    unsigned faults, throttles;
    int64_t began_us;   /* monotonic */
    bool has_refreshed; /* credentials were read again */
    bool has_corrected; /* the clock was corrected */
};

enum leat_retry_action {
    LEAT_RETRY_GIVE_UP = 0,
    LEAT_RETRY_WAIT = 1,         /* try again after wait_us */
    LEAT_RETRY_REFRESH = 2,      /* read the credentials again, then at once; at most once */
    LEAT_RETRY_CORRECT_CLOCK = 3 /* take the server's time, then at once; at most once */
};
struct leat_retry_verdict {
    enum leat_retry_action action;
    int64_t wait_us;
};

void leat_retry_begin(struct leat_retry_state *state, int64_t now_us);
/* Counts the failure in state. retry_after_us: what the server asked for; 0: nothing. more than five: pure: time and chance are arguments. */
struct leat_retry_verdict leat_retry_decide(const struct leat_retry_policy *policy,
                                            struct leat_retry_state *state,
                                            const struct leat_fault *fault, int64_t now_us,
                                            int64_t retry_after_us, struct leat_random *random);

/* Pure. How many attempts the two settings ask for: max_attempts, else what the mode means (legacy 5, standard and adaptive 3);
   0: neither says. The waits are the same in every mode. */
int leat_retry_attempts(const struct leat_setting *max_attempts, const struct leat_setting *mode,
                        unsigned *ret_attempts, struct leat_error *err);

#endif
