/* The oracle's count: what is right passes however it was cut, and each single harm to it is seen, and named as what it is. */
#include "chaos/tally.h"

#include "tests/unit/base/suite.h"

#define KEYS 5
#define MOST 40

struct run {
    int64_t key, first, last;
};

struct history {
    int64_t put[KEYS];
    struct run runs[KEYS * MOST + 8];
    size_t count;
};

/* Numbers 1 … put of each key, cut at random, keys mixed at random, each key's runs in order. */
static void
make(struct history *history, struct leat_random *random)
{
    int64_t next[KEYS], left = 0;

    history->count = 0;
    for (int k = 0; k < KEYS; k++) {
        history->put[k] = (int64_t)leat_random_below(random, MOST);
        left += history->put[k];
        next[k] = 1;
    }
    while (left > 0) {
        int key = (int)leat_random_below(random, KEYS);
        int64_t rest = history->put[key] - next[key] + 1;
        int64_t size = rest > 0 ? 1 + (int64_t)leat_random_below(random, (uint64_t)rest) : 0;

        if (rest <= 0)
            continue;
        history->runs[history->count++] = (struct run){key, next[key], next[key] + size - 1};
        next[key] += size;
        left -= size;
    }
}

static void
count(const struct history *history, struct chaos_tally *ret_tally)
{
    chaos_tally_init(ret_tally, history->put, KEYS);
    for (size_t i = 0; i < history->count; i++)
        chaos_tally_run(ret_tally, history->runs[i].key, history->runs[i].first,
                        history->runs[i].last);
    chaos_tally_end(ret_tally);
    chaos_tally_release(ret_tally);
}

START_TEST(what_is_right_passes)
{
    struct leat_random random = suite_random();
    struct chaos_tally tally;
    struct history history;

    for (int i = 0; i < CASES; i++) {
        int64_t put = 0;

        make(&history, &random);
        for (int k = 0; k < KEYS; k++)
            put += history.put[k];
        count(&history, &tally);
        ck_assert_int_eq(tally.committed, put);
        ck_assert_int_eq(tally.lost + tally.doubled + tally.out_of_order + tally.unknown, 0);
        ck_assert_str_eq(tally.example, "");
    }
}
END_TEST

START_TEST(a_run_that_is_missing_is_lost)
{
    struct leat_random random = suite_random();
    struct chaos_tally tally;
    struct history history;

    for (int i = 0; i < CASES; i++) {
        struct run *victim;
        int64_t size;

        do
            make(&history, &random);
        while (history.count == 0);
        victim = &history.runs[leat_random_below(&random, history.count)];
        size = victim->last - victim->first + 1;
        *victim = history.runs[0];
        history.runs[0] = history.runs[--history.count];
        /* The first one has taken the victim's place: that may be out of order, but nothing else is lost. */
        count(&history, &tally);
        ck_assert_int_eq(tally.lost, size);
        ck_assert_int_eq(tally.doubled + tally.unknown, 0);
        ck_assert_str_ne(tally.example, "");
    }
}
END_TEST

START_TEST(a_run_that_comes_again_is_doubled)
{
    struct leat_random random = suite_random();
    struct chaos_tally tally;
    struct history history;

    for (int i = 0; i < CASES; i++) {
        struct run again;

        do
            make(&history, &random);
        while (history.count == 0);
        again = history.runs[leat_random_below(&random, history.count)];
        history.runs[history.count++] = again;
        count(&history, &tally);
        ck_assert_int_eq(tally.doubled, again.last - again.first + 1);
        ck_assert_int_eq(tally.lost + tally.out_of_order + tally.unknown, 0);
    }
}
END_TEST

START_TEST(two_runs_of_a_key_the_wrong_way_round)
{
    struct history history = {.put = {10, 5}};
    struct chaos_tally tally;

    history.runs[0] = (struct run){0, 1, 3};
    history.runs[1] = (struct run){0, 7, 10};
    history.runs[2] = (struct run){1, 1, 5};
    history.runs[3] = (struct run){0, 4, 6};
    history.count = 4;
    count(&history, &tally);
    ck_assert_int_eq(tally.out_of_order, 3);
    ck_assert_int_eq(tally.lost + tally.doubled + tally.unknown, 0);
    ck_assert_str_eq(tally.example, "key 0, number 4: out of order");
}
END_TEST

START_TEST(what_was_never_put)
{
    struct history history = {.put = {2}};
    struct chaos_tally tally;

    history.runs[0] = (struct run){0, 1, 4};
    history.runs[1] = (struct run){KEYS, 1, 1};
    history.runs[2] = (struct run){-1, 1, 1};
    history.runs[3] = (struct run){0, 0, 0};
    history.count = 4;
    count(&history, &tally);
    ck_assert_int_eq(tally.unknown, 5);
    ck_assert_int_eq(tally.lost + tally.doubled, 0);
}
END_TEST

SUITE_MAIN("tally", what_is_right_passes, a_run_that_is_missing_is_lost,
           a_run_that_comes_again_is_doubled, two_runs_of_a_key_the_wrong_way_round,
           what_was_never_put)
