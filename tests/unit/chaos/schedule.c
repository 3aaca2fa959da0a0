/* A storm's schedule: a seed repeats it, other seeds differ, everything that can happen does, and nothing lasts for ever. */
#include "chaos/schedule.h"

#include "base/clock.h"
#include "chaos/workers.h"
#include "tests/unit/base/suite.h"

#define GAP_US (1500 * LEAT_MS_US)
#define EXPIRY_US (5 * LEAT_SECOND_US)

static bool
are_equal(const struct chaos_fault *a, const struct chaos_fault *b)
{
    return a->number == b->number && a->gap_us == b->gap_us && a->kind == b->kind &&
           a->pick == b->pick && a->other == b->other && a->database == b->database &&
           a->lasts_us == b->lasts_us;
}

START_TEST(a_seed_repeats)
{
    struct chaos_schedule one, again, other;
    unsigned same = 0;

    chaos_schedule_init(&one, 7, GAP_US, EXPIRY_US);
    chaos_schedule_init(&again, 7, GAP_US, EXPIRY_US);
    chaos_schedule_init(&other, 8, GAP_US, EXPIRY_US);
    for (int i = 0; i < 1000; i++) {
        struct chaos_fault a, b, c;

        chaos_schedule_next(&one, &a);
        chaos_schedule_next(&again, &b);
        chaos_schedule_next(&other, &c);
        ck_assert(are_equal(&a, &b));
        same += are_equal(&a, &c);
    }
    ck_assert_uint_eq(same, 0);
}
END_TEST

START_TEST(everything_happens_and_ends)
{
    unsigned kinds[CHAOS_KINDS] = {0}, databases[CHAOS_DATABASES] = {0};
    struct chaos_schedule schedule;
    int64_t sum_us = 0;

    chaos_schedule_init(&schedule, 1, GAP_US, EXPIRY_US);
    for (int i = 0; i < CASES; i++) {
        struct chaos_fault fault;

        chaos_schedule_next(&schedule, &fault);
        ck_assert_uint_eq(fault.number, (unsigned)i + 1);
        ck_assert(fault.gap_us > 0 && fault.gap_us < 2 * GAP_US);
        ck_assert(fault.lasts_us >= 0 && fault.lasts_us <= 16 * LEAT_SECOND_US);
        if (fault.kind == CHAOS_FREEZE)
            ck_assert_int_lt(fault.lasts_us, EXPIRY_US);
        if (fault.kind == CHAOS_ICE)
            ck_assert_int_gt(fault.lasts_us, EXPIRY_US);
        kinds[fault.kind]++;
        databases[fault.database]++;
        sum_us += fault.gap_us;
    }
    for (int k = 0; k < CHAOS_KINDS; k++)
        ck_assert_msg(kinds[k] > 0, "never: %s", chaos_kind_names[k]);
    ck_assert(databases[CHAOS_LEASES] > CASES / 3 && databases[CHAOS_TARGET] > CASES / 3);
    ck_assert(sum_us / CASES > GAP_US * 9 / 10 && sum_us / CASES < GAP_US * 11 / 10);
}
END_TEST

START_TEST(starts_are_of_the_seed_too)
{
    unsigned deeds[4] = {0}, points[10] = {0}, old_ids = 0, firsts = 0;

    for (unsigned i = 0; i < CASES; i++) {
        struct chaos_start start, again;

        chaos_start_plan(3, i % 7, i / 7, 10, EXPIRY_US, &start);
        chaos_start_plan(3, i % 7, i / 7, 10, EXPIRY_US, &again);
        ck_assert(start.after_us == again.after_us && start.point == again.point &&
                  start.nth == again.nth && start.deed == again.deed &&
                  start.frozen_us == again.frozen_us && start.has_old_id == again.has_old_id);
        ck_assert(start.point < 10 && start.nth >= 1);
        ck_assert(start.frozen_us > 0 && start.frozen_us < 2 * EXPIRY_US);
        deeds[start.deed]++;
        points[start.point]++;
        old_ids += start.has_old_id;
        firsts += start.nth == 1;
    }
    for (int d = 0; d < 4; d++)
        ck_assert_uint_gt(deeds[d], 0);
    for (int p = 0; p < 10; p++)
        ck_assert_uint_gt(points[p], CASES / 20);
    ck_assert(old_ids > CASES / 3 && old_ids < CASES * 2 / 3);
    ck_assert(firsts > CASES / 10 && firsts < CASES / 2);
}
END_TEST

/* The list is made from the sources: more than a dozen, each fits where workers are told of it. */
START_TEST(points_are_named)
{
    ck_assert_uint_ge(chaos_point_count, 12);
    ck_assert_uint_le(chaos_point_count, CHAOS_POINTS);
    for (size_t i = 0; i < chaos_point_count; i++) {
        ck_assert_uint_lt(strlen(chaos_points[i]), 48);
        ck_assert_ptr_nonnull(strchr(chaos_points[i], '.'));
    }
}
END_TEST

SUITE_MAIN("schedule", a_seed_repeats, everything_happens_and_ends, starts_are_of_the_seed_too,
           points_are_named)
