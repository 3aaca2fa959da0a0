/* What stands still, over generated lives of a shard, and the steps of what is done about it. */
#include "pipeline/stuck.h"

#include <check.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "support/slow.h"

static const struct leat_stuck_settings settings = {60 * LEAT_SECOND_US, 300 * LEAT_SECOND_US};

/* A shard that runs, has chunks, and whose rows are not committed. */
static struct leat_stuck_facts
hanging_target(void)
{
    return (struct leat_stuck_facts){.has_chunks = true, .has_rows = true, .answered_us = 1};
}

static enum leat_stuck_act
look_until(struct leat_stuck *stuck, const struct leat_stuck_facts *facts, int64_t *now_us,
           int64_t until_us)
{
    for (; *now_us < until_us; *now_us += LEAT_SECOND_US) {
        enum leat_stuck_act act = leat_stuck_look(stuck, facts, &settings, *now_us);

        if (act != LEAT_STUCK_NOTHING)
            return act;
    }
    return LEAT_STUCK_NOTHING;
}

static int
seconds(int64_t from_us, int64_t to_us)
{
    return (int)((to_us - from_us) / LEAT_SECOND_US);
}

START_TEST(test_named_rewound_given_away)
{
    struct leat_stuck_facts facts = hanging_target();
    int64_t begun_us = 1000 * LEAT_SECOND_US, now_us = begun_us, end_us = INT64_MAX / 2;
    struct leat_stuck stuck = {0};

    ck_assert_int_eq(look_until(&stuck, &facts, &now_us, end_us), LEAT_STUCK_NAME);
    ck_assert_int_eq(seconds(begun_us, now_us), 60);
    ck_assert_int_eq(stuck.waits_for, LEAT_WAITS_FOR_TARGET);
    ck_assert_int_eq(look_until(&stuck, &facts, &now_us, end_us), LEAT_STUCK_REWIND);
    ck_assert_int_eq(seconds(begun_us, now_us), 300);
    /* After it: taking, then the same again. That is no progress. */
    facts.is_taking = true;
    ck_assert_int_eq(leat_stuck_look(&stuck, &facts, &settings, now_us), LEAT_STUCK_NOTHING);
    ck_assert_int_eq(stuck.waits_for, LEAT_WAITS_FOR_TAKE);
    facts.is_taking = false;
    for (int after = 450; after < 10000; after *= 2) {
        ck_assert_int_eq(look_until(&stuck, &facts, &now_us, end_us), LEAT_STUCK_GIVE_AWAY);
        ck_assert_int_eq(seconds(begun_us, now_us), after);
    }
    facts.progress++;
    ck_assert_int_eq(leat_stuck_look(&stuck, &facts, &settings, now_us), LEAT_STUCK_OVER);
    begun_us = now_us;
    ck_assert_int_eq(look_until(&stuck, &facts, &now_us, end_us), LEAT_STUCK_NAME);
    ck_assert_int_eq(seconds(begun_us, now_us), 60);
}
END_TEST

/* Its deadline is its own; who is in a call hears no rewind. */
START_TEST(test_a_call_is_given_away)
{
    struct leat_stuck_facts facts = {.has_chunks = true};
    int64_t begun_us = 1000 * LEAT_SECOND_US, now_us = begun_us, end_us = INT64_MAX / 2;
    struct leat_stuck stuck = {0};

    facts.call_since_us = begun_us;
    facts.call_due_us = begun_us + 1000 * LEAT_SECOND_US;
    ck_assert_int_eq(look_until(&stuck, &facts, &now_us, end_us), LEAT_STUCK_NAME);
    ck_assert_int_eq(seconds(begun_us, now_us), 60);
    ck_assert_int_eq(stuck.waits_for, LEAT_WAITS_FOR_CALL);
    ck_assert_int_eq(look_until(&stuck, &facts, &now_us, end_us), LEAT_STUCK_GIVE_AWAY);
    ck_assert_int_eq(seconds(begun_us, now_us), 1300);
}
END_TEST

static const struct {
    const char *what;
    struct leat_stuck_facts facts;
    enum leat_waits_for waits_for;
} cases[] = {
    {"idle", {.behind_ms = 0}, LEAT_WAITS_FOR_NOTHING},
    {"idle, not known", {.behind_ms = -1}, LEAT_WAITS_FOR_NOTHING},
    {"behind", {.behind_ms = 5000}, LEAT_WAITS_FOR_STREAM},
    {"paused with all kinds of things",
     {.is_at_rest = true, .has_rows = true, .is_taking = true, .has_chunks = true},
     LEAT_WAITS_FOR_OPERATOR},
    {"blocked", {.is_blocked = true, .has_chunks = true}, LEAT_WAITS_FOR_OPERATOR},
    {"parents", {.is_waiting_parents = true}, LEAT_WAITS_FOR_PARENTS},
    {"target down", {.is_outage = true, .has_rows = true}, LEAT_WAITS_FOR_OUTAGE},
    {"target down, taking", {.is_outage = true, .is_taking = true}, LEAT_WAITS_FOR_OUTAGE},
    {"letters", {.has_letters = true, .has_rows = true}, LEAT_WAITS_FOR_LETTERS},
    {"children", {.is_ending = true}, LEAT_WAITS_FOR_LEASES},
    {"its end is on its way", {.is_ending = true, .has_rows = true}, LEAT_WAITS_FOR_TARGET},
    {"backs off", {.is_retrying = true, .has_chunks = true}, LEAT_WAITS_FOR_RETRY},
    {"memory", {.is_short_of_memory = true, .has_chunks = true}, LEAT_WAITS_FOR_MEMORY},
    {"no thread", {.has_chunks = true}, LEAT_WAITS_FOR_THREAD},
    {"behind an earlier call", {.is_taking = true, .is_behind_a_call = true}, LEAT_WAITS_FOR_CALL},
};

START_TEST(test_what_it_waits_for)
{
    struct leat_stuck_facts facts = cases[_i].facts;
    int64_t now_us = 1000 * LEAT_SECOND_US;
    struct leat_stuck stuck = {0};
    bool is_named = false;

    for (int i = 0; i < 3000; i++, now_us += LEAT_SECOND_US) {
        enum leat_stuck_act act;

        facts.answered_us = now_us - LEAT_SECOND_US;
        act = leat_stuck_look(&stuck, &facts, &settings, now_us);
        ck_assert_msg(stuck.waits_for == cases[_i].waits_for, "%s: %d", cases[_i].what,
                      (int)stuck.waits_for);
        is_named = is_named || act == LEAT_STUCK_NAME;
        ck_assert(act == LEAT_STUCK_NOTHING || leat_is_stuck(cases[_i].waits_for));
    }
    ck_assert_int_eq(is_named, leat_is_stuck(cases[_i].waits_for));
}
END_TEST

/* No answer at all: an idle shard gets them, too. */
START_TEST(test_silence_is_noticed)
{
    struct leat_stuck_facts facts = {.answered_us = 1000 * LEAT_SECOND_US};
    int64_t now_us = facts.answered_us;
    struct leat_stuck stuck = {0};

    ck_assert_int_eq(look_until(&stuck, &facts, &now_us, INT64_MAX / 2), LEAT_STUCK_NAME);
    ck_assert_int_eq(stuck.waits_for, LEAT_WAITS_FOR_STREAM);
    ck_assert_int_le(seconds(facts.answered_us, now_us), 76);
    facts.answered_us = now_us;
    ck_assert_int_eq(leat_stuck_look(&stuck, &facts, &settings, now_us), LEAT_STUCK_OVER);
}
END_TEST

static bool
toss(struct leat_random *random, unsigned one_in)
{
    return leat_random_below(random, one_in) == 0;
}

static void
live_on(struct leat_stuck_facts *facts, struct leat_random *random, int64_t now_us)
{
    if (toss(random, 40))
        facts->progress++;
    if (toss(random, 3))
        facts->answered_us = now_us;
    if (toss(random, 30)) {
        facts->call_since_us = toss(random, 2) ? now_us : 0;
        facts->call_due_us = now_us + (int64_t)leat_random_below(random, 100) * LEAT_SECOND_US;
    }
    facts->is_at_rest = toss(random, 200) ? !facts->is_at_rest : facts->is_at_rest;
    facts->is_outage = toss(random, 60) ? toss(random, 4) : facts->is_outage;
    facts->has_chunks = toss(random, 30) ? toss(random, 2) : facts->has_chunks;
    facts->has_rows = toss(random, 30) ? toss(random, 2) : facts->has_rows;
    facts->is_taking = toss(random, 30) ? toss(random, 3) : facts->is_taking;
    facts->behind_ms = toss(random, 10) ? (int64_t)leat_random_below(random, 3) - 1
                                        : facts->behind_ms;
}

/* Named only after stuck_after of standing still; over whenever it moved; acts only while named, and not at once again. */
START_TEST(test_any_life)
{
    struct leat_random random;

    leat_random_seed(&random, (uint64_t)_i + 1);
    for (size_t round = 0; round < test_rounds(100); round++) {
        struct leat_stuck_settings some = {
            (int64_t)(1 + leat_random_below(&random, 60)) * LEAT_SECOND_US,
            (int64_t)leat_random_below(&random, 4) * 50 * LEAT_SECOND_US};
        struct leat_stuck_facts facts = {.behind_ms = -1};
        struct leat_stuck stuck = {0};
        int64_t now_us = 1000 * LEAT_SECOND_US, moved_us = now_us, acted_us = 0;
        uint64_t progress = 0;
        bool is_named = false;

        for (int i = 0; i < 1000; i++) {
            enum leat_stuck_act act;

            now_us += (int64_t)leat_random_below(&random, 2000) * LEAT_MS_US;
            live_on(&facts, &random, now_us);
            act = leat_stuck_look(&stuck, &facts, &some, now_us);
            if (progress != facts.progress || !leat_is_stuck(stuck.waits_for))
                moved_us = now_us;
            progress = facts.progress;
            ck_assert_int_eq(act == LEAT_STUCK_OVER, is_named && moved_us == now_us);
            ck_assert(act != LEAT_STUCK_NAME ||
                      (!is_named && now_us - moved_us >= some.stuck_after_us));
            is_named = stuck.is_named;
            if (act != LEAT_STUCK_REWIND && act != LEAT_STUCK_GIVE_AWAY)
                continue;
            ck_assert(is_named && some.act_after_us > 0 && now_us - moved_us >= some.act_after_us);
            ck_assert(act != LEAT_STUCK_REWIND || stuck.waits_for != LEAT_WAITS_FOR_CALL);
            ck_assert(acted_us < moved_us || now_us - acted_us >= some.act_after_us / 4);
            acted_us = now_us;
        }
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stuck");
    TCase *tests = tcase_create("stuck");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_named_rewound_given_away);
    tcase_add_test(tests, test_a_call_is_given_away);
    tcase_add_test(tests, test_silence_is_noticed);
    tcase_add_loop_test(tests, test_what_it_waits_for, 0, (int)LEAT_COUNT_OF(cases));
    tcase_add_loop_test(tests, test_any_life, 0, 20);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
