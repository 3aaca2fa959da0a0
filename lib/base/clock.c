/* The clocks, and the tests' own in their place. */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic bool is_fake;
static _Atomic int64_t fake_monotonic_us, fake_wall_us;

static int64_t
read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * LEAT_SECOND_US + now.tv_nsec / 1000;
}

int64_t
leat_clock_monotonic_us(void)
{
    return is_fake ? fake_monotonic_us : read_clock(CLOCK_MONOTONIC);
}

bool
leat_clock_is_fake(void)
{
    return is_fake;
}

int64_t
leat_clock_real_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t
leat_clock_boot_us(void)
{
    return is_fake ? fake_monotonic_us : read_clock(CLOCK_BOOTTIME);
}

int64_t
leat_clock_wall_us(void)
{
    return is_fake ? fake_wall_us : read_clock(CLOCK_REALTIME);
}

int64_t
leat_clock_thread_cpu_us(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void
leat_clock_fake(int64_t monotonic_us, int64_t wall_us)
{
    fake_monotonic_us = monotonic_us;
    fake_wall_us = wall_us;
    is_fake = true;
}

void
leat_clock_advance(int64_t microseconds)
{
    fake_monotonic_us += microseconds;
    fake_wall_us += microseconds;
}

void
leat_clock_real(void)
{
    is_fake = false;
}
