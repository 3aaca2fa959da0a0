/* Identities from the kernel; jitter and tests from xoroshiro128+ seeded by splitmix64. */
#include "base/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/memory.h"

void
leat_random_bytes(void *bytes, size_t size)
{
    unsigned char *next = bytes;

    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);

        LEAT_ASSERT(got > 0 || errno == EINTR);
        if (got > 0) {
            next += got;
            size -= (size_t)got;
        }
    }
}

int64_t
leat_random_identity(void)
{
    uint64_t bits = 0;

    while (bits == 0) {
        leat_random_bytes(&bits, sizeof bits);
        bits >>= 1;
    }
    return (int64_t)bits;
}

static uint64_t
splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void
leat_random_seed(struct leat_random *random, uint64_t seed)
{
    random->state[0] = splitmix(&seed);
    random->state[1] = splitmix(&seed);
}

static uint64_t
rotate(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

uint64_t
leat_random_next(struct leat_random *random)
{
    uint64_t a = random->state[0], b = random->state[1];
    uint64_t result = a + b;

    b ^= a;
    random->state[0] = rotate(a, 24) ^ b ^ (b << 16);
    random->state[1] = rotate(b, 37);
    return result;
}

uint64_t
leat_random_below(struct leat_random *random, uint64_t bound)
{
    return bound == 0 ? 0 : (uint64_t)(((unsigned __int128)leat_random_next(random) * bound) >> 64);
}

int64_t
leat_backoff_us(struct leat_random *random, int64_t base_us, int64_t cap_us, unsigned attempt)
{
    int64_t limit = base_us;

    while (attempt-- > 0 && limit < cap_us)
        limit = limit > INT64_MAX / 2 ? cap_us : limit * 2;
    if (limit > cap_us)
        limit = cap_us;
    return limit <= 0 ? 0 : (int64_t)leat_random_below(random, (uint64_t)limit + 1);
}
