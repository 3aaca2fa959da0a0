/* Random numbers: from getrandom(2) for identities; a small seeded generator for jitter and tests. */
#ifndef LEAT_BASE_RANDOM_H
#define LEAT_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void leat_random_bytes(void *bytes, size_t size); /* getrandom; aborts when it fails */
int64_t leat_random_identity(void);               /* 63 random bits, never 0 */

struct leat_random {
    uint64_t state[2];
};
void leat_random_seed(struct leat_random *random, uint64_t seed);
uint64_t leat_random_next(struct leat_random *random);
uint64_t leat_random_below(struct leat_random *random, uint64_t bound); /* 0 … bound - 1 */

/* Full jitter: a time in [0, min(cap, base * 2^attempt)], attempt from 0. */
int64_t leat_backoff_us(struct leat_random *random, int64_t base_us, int64_t cap_us,
                        unsigned attempt);

#endif
