/* Clocks, real and fake. */
#include "tests/unit/base/suite.h"

#include "base/clock.h"

START_TEST(real_clocks_move_forward)
{
    int64_t monotonic_us = leat_clock_monotonic_us(), boot_us = leat_clock_boot_us();
    int64_t cpu_us = leat_clock_thread_cpu_us();

    ck_assert_int_ge(leat_clock_monotonic_us(), monotonic_us);
    ck_assert_int_ge(leat_clock_boot_us(), boot_us);
    ck_assert_int_ge(leat_clock_thread_cpu_us(), cpu_us);
    ck_assert_int_gt(leat_clock_wall_us(), INT64_C(1640995200) * LEAT_SECOND_US);
    ck_assert(!leat_clock_is_fake());
}
END_TEST

START_TEST(fake_clocks_stand_still)
{
    leat_clock_fake(1000, 2000);
    ck_assert_int_eq(leat_clock_monotonic_us(), 1000);
    ck_assert_int_eq(leat_clock_boot_us(), 1000);
    ck_assert_int_eq(leat_clock_wall_us(), 2000);
    leat_clock_advance(5);
    ck_assert_int_eq(leat_clock_monotonic_us(), 1005);
    ck_assert_int_eq(leat_clock_wall_us(), 2005);
    ck_assert_int_ne(leat_clock_real_monotonic_us(), 1005);
    leat_clock_real();
    ck_assert_int_ne(leat_clock_monotonic_us(), 1005);
}
END_TEST

SUITE_MAIN("clock", real_clocks_move_forward, fake_clocks_stand_still)
