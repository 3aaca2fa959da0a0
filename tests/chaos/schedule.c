/* Every draw is made for every fault, used or not: a kind that is added does not shift what comes behind it. */
#include "chaos/schedule.h"

#include "base/clock.h"

const char *const chaos_kind_names[CHAOS_KINDS] = {
    [CHAOS_KILL] = "kill",           [CHAOS_KILL_TWO] = "kill_two", [CHAOS_KILL_ALL] = "kill_all",
    [CHAOS_FREEZE] = "freeze",       [CHAOS_ICE] = "freeze_long",   [CHAOS_TERMINATE] = "term",
    [CHAOS_START] = "start",         [CHAOS_CUT] = "cut",           [CHAOS_STALL] = "stall",
    [CHAOS_REFUSE] = "refuse",       [CHAOS_SWALLOW] = "swallow",   [CHAOS_RESTART] = "restart",
    [CHAOS_IMMEDIATE] = "immediate", [CHAOS_BACKEND] = "backend",   [CHAOS_STREAM] = "stream",
    [CHAOS_SPLIT] = "split",         [CHAOS_MERGE] = "merge",
};

static const unsigned weights[CHAOS_KINDS] = {
    [CHAOS_KILL] = 14,     [CHAOS_KILL_TWO] = 5,  [CHAOS_KILL_ALL] = 2, [CHAOS_FREEZE] = 6,
    [CHAOS_ICE] = 6,       [CHAOS_TERMINATE] = 9, [CHAOS_START] = 5,    [CHAOS_CUT] = 7,
    [CHAOS_STALL] = 6,     [CHAOS_REFUSE] = 5,    [CHAOS_SWALLOW] = 6,  [CHAOS_RESTART] = 3,
    [CHAOS_IMMEDIATE] = 3, [CHAOS_BACKEND] = 4,   [CHAOS_STREAM] = 12,  [CHAOS_SPLIT] = 7,
    [CHAOS_MERGE] = 7,
};

void
chaos_schedule_init(struct chaos_schedule *schedule, uint64_t seed, int64_t gap_us,
                    int64_t expiry_us)
{
    *schedule = (struct chaos_schedule){.gap_us = gap_us, .expiry_us = expiry_us};
    leat_random_seed(&schedule->random, seed);
}

static enum chaos_kind
draw_kind(struct leat_random *random)
{
    unsigned sum = 0, drawn, kind = 0;

    for (unsigned k = 0; k < CHAOS_KINDS; k++)
        sum += weights[k];
    drawn = (unsigned)leat_random_below(random, sum);
    while (drawn >= weights[kind])
        drawn -= weights[kind++];
    return (enum chaos_kind)kind;
}

static int64_t
between(struct leat_random *random, int64_t least, int64_t most)
{
    return least + (int64_t)leat_random_below(random, (uint64_t)(most - least));
}

/* part: of a thousand, how long. */
static int64_t
lasts(const struct chaos_schedule *schedule, enum chaos_kind kind, int64_t part)
{
    int64_t expiry_us = schedule->expiry_us;

    switch (kind) {
    case CHAOS_FREEZE:
        return 50 * LEAT_MS_US + expiry_us * 8 / 10 * part / 1000;
    case CHAOS_ICE:
        return expiry_us * 11 / 10 + expiry_us * part / 1000;
    case CHAOS_START:
        return LEAT_SECOND_US + 15 * LEAT_SECOND_US * part / 1000;
    case CHAOS_RESTART:
    case CHAOS_IMMEDIATE:
        return 2 * LEAT_SECOND_US * part / 1000;
    case CHAOS_STREAM:
        return 300 * LEAT_MS_US + 4 * LEAT_SECOND_US * part / 1000;
    default: /* connections: now and then longer than a lease lives */
        return 50 * LEAT_MS_US + (part > 800 ? 7 : 2) * LEAT_SECOND_US * part / 1000;
    }
}

void
chaos_schedule_next(struct chaos_schedule *schedule, struct chaos_fault *ret_fault)
{
    struct leat_random *random = &schedule->random;
    int64_t part;

    ret_fault->number = ++schedule->number;
    ret_fault->gap_us = between(random, schedule->gap_us / 10, schedule->gap_us * 19 / 10);
    ret_fault->kind = draw_kind(random);
    ret_fault->pick = (unsigned)leat_random_below(random, 1 << 20);
    ret_fault->other = (unsigned)leat_random_below(random, 1 << 20);
    ret_fault->database = (enum chaos_database_role)leat_random_below(random, CHAOS_DATABASES);
    part = between(random, 0, 1000);
    ret_fault->lasts_us = lasts(schedule, ret_fault->kind, part);
}

void
chaos_start_plan(uint64_t seed, unsigned slot, unsigned generation, size_t points,
                 int64_t expiry_us, struct chaos_start *ret_start)
{
    struct leat_random random;
    unsigned deed, width;

    leat_random_seed(&random, seed * 1000003 + slot * 10007 + generation);
    ret_start->after_us = between(&random, 0, 2 * LEAT_SECOND_US);
    ret_start->has_old_id = leat_random_below(&random, 2) == 0;
    deed = (unsigned)leat_random_below(&random, 10); /* 3 none, 4 crash, 2 stop, 1 pause */
    ret_start->deed = deed < 3   ? CHAOS_DEED_NONE
                      : deed < 7 ? CHAOS_DEED_CRASH
                      : deed < 9 ? CHAOS_DEED_STOP
                                 : CHAOS_DEED_PAUSE;
    ret_start->point = (size_t)leat_random_below(&random, points > 0 ? points : 1);
    /* Rare points are passed once or twice in a life, others hundreds of times a second. */
    width = leat_random_below(&random, 2) == 0 ? 2 : 1u << leat_random_below(&random, 9);
    ret_start->nth = 1 + (unsigned)leat_random_below(&random, width);
    ret_start->frozen_us = between(&random, 50 * LEAT_MS_US, expiry_us * 2);
}
