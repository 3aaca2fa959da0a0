/* Whose fault a refusal is, against a target of this file that takes what the test says. */
#include <check.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "pipeline/evidence.h"

#define WIDTH 2

static const struct leat_column columns[] = {
    {"k", LEAT_INT64, LEAT_KEY}, {"n", LEAT_INT64, LEAT_SUM}, LEAT_END};
static const struct leat_table tables[] = {{"a", columns}, {"b", columns}, LEAT_END};

/* Takes keys below this limit, in tables that are not broken. */
static int64_t limit;
static bool is_broken[2], is_away;
static unsigned trials;

static bool
is_taken(const struct leat_flush_rows *groups, size_t count)
{
    for (size_t g = 0; g < count; g++) {
        for (size_t i = 0; i < groups[g].count; i++) {
            if (is_broken[groups[g].table_index] || groups[g].values[i * WIDTH].as.integer >= limit)
                return false;
        }
    }
    return true;
}

static int
try_rows(void *committer, const struct leat_trial *trial, enum leat_trial_outcome *ret_outcome,
         struct leat_error *err)
{
    trials++;
    if (is_away)
        return leat_error_set(err, LEAT_E_UNAVAILABLE, "away");
    *ret_outcome = !is_taken(trial->known, trial->known_count)    ? LEAT_TRIAL_KNOWN_REFUSED
                   : !is_taken(trial->groups, trial->group_count) ? LEAT_TRIAL_REFUSED
                                                                  : LEAT_TRIAL_TAKEN;
    return 0;
}

static const struct leat_target target = {.size = sizeof target, .try_rows = try_rows};
static const struct leat_target old = {.size = offsetof(struct leat_target, try_rows)};

static struct leat_evidence *evidence;
static struct leat_value values[2][100 * WIDTH];

static void
setup(void)
{
    evidence = leat_evidence_new();
    limit = 100;
    is_broken[0] = is_broken[1] = is_away = false;
    trials = 0;
}

static void
teardown(void)
{
    leat_evidence_free(evidence);
}

/* `count` rows with keys from `first` on; is_whole: both columns are present. */
static struct leat_flush_rows
rows(size_t table, int64_t first, size_t count, bool is_whole)
{
    for (size_t i = 0; i < count; i++) {
        values[table][i * WIDTH] = leat_int64(first + (int64_t)i);
        values[table][i * WIDTH + 1] = is_whole ? leat_int64(1) : leat_absent();
    }
    return (struct leat_flush_rows){&tables[table], table, LEAT_OP_MERGE,
                                    count,          WIDTH, values[table]};
}

static struct leat_flush
flush_of(const struct leat_flush_rows *groups, size_t count)
{
    return (struct leat_flush){
        .size = sizeof(struct leat_flush), .groups = groups, .group_count = count};
}

static enum leat_guilt
judge(const struct leat_flush_rows *groups, size_t count)
{
    struct leat_flush flush = flush_of(groups, count);
    struct leat_evidence_question question = {.ops = &target, .flush = &flush, .is_thorough = true};
    enum leat_guilt guilt = LEAT_GUILT_GONE;
    struct leat_error err;

    ck_assert_int_eq(leat_evidence_judge(evidence, &question, &guilt, &err), 0);
    return guilt;
}

static void
see(const struct leat_flush_rows *groups, size_t count)
{
    struct leat_flush flush = flush_of(groups, count);

    leat_evidence_see(evidence, &flush);
}

START_TEST(without_a_row_that_is_taken_nobody_is_guilty)
{
    struct leat_flush_rows bad = rows(0, 100, 1, true);

    ck_assert_int_eq(judge(&bad, 1), LEAT_GUILT_UNPROVEN);
}
END_TEST

START_TEST(a_row_that_was_written_is_evidence)
{
    struct leat_flush_rows good = rows(0, 1, 1, true), bad;

    see(&good, 1);
    bad = rows(0, 100, 1, true); /* the remembered one is a copy */
    ck_assert_int_eq(judge(&bad, 1), LEAT_GUILT_ROWS);
    /* Not any more when the table is broken now. */
    is_broken[0] = true;
    ck_assert_int_eq(judge(&bad, 1), LEAT_GUILT_UNPROVEN);
}
END_TEST

START_TEST(another_kind_of_row_is_none)
{
    struct leat_flush_rows good = rows(0, 1, 1, true), bad;

    see(&good, 1);
    bad = rows(0, 100, 1, false);
    ck_assert_int_eq(judge(&bad, 1), LEAT_GUILT_UNPROVEN);
    bad = rows(0, 100, 1, true);
    bad.operation = LEAT_OP_DELETE;
    ck_assert_int_eq(judge(&bad, 1), LEAT_GUILT_UNPROVEN);
    bad = rows(1, 100, 1, true);
    ck_assert_int_eq(judge(&bad, 1), LEAT_GUILT_UNPROVEN);
}
END_TEST

START_TEST(a_row_of_the_same_flush_is_evidence)
{
    struct leat_flush_rows mixed = rows(0, 95, 10, true), next;

    ck_assert_int_eq(judge(&mixed, 1), LEAT_GUILT_ROWS);
    next = rows(0, 100, 1, true);
    ck_assert_int_eq(judge(&next, 1), LEAT_GUILT_ROWS);
}
END_TEST

START_TEST(each_kind_needs_its_own)
{
    struct leat_flush_rows both[2] = {rows(0, 100, 1, true), rows(1, 1, 1, true)};
    struct leat_flush_rows good = rows(0, 1, 1, true);

    see(&good, 1);
    both[0] = rows(0, 100, 1, true);
    ck_assert_int_eq(judge(both, 2), LEAT_GUILT_ROWS);
    is_broken[1] = true;
    ck_assert_int_eq(judge(both, 2), LEAT_GUILT_UNPROVEN);
}
END_TEST

START_TEST(what_would_be_taken_now_is_not_guilty)
{
    struct leat_flush_rows good = rows(0, 1, 3, true);

    ck_assert_int_eq(judge(&good, 1), LEAT_GUILT_GONE);
}
END_TEST

START_TEST(what_cannot_be_asked_is_not_judged)
{
    struct leat_flush_rows bad = rows(0, 100, 1, true);
    struct leat_flush flush = flush_of(&bad, 1);
    struct leat_evidence_question question = {.ops = &target, .flush = &flush};
    enum leat_guilt guilt;
    struct leat_error err;

    is_away = true;
    ck_assert_int_ne(leat_evidence_judge(evidence, &question, &guilt, &err), 0);
    question.ops = &old;
    ck_assert_int_eq(leat_evidence_judge(evidence, &question, &guilt, &err), 0);
    ck_assert_int_eq(guilt, LEAT_GUILT_UNPROVEN);
}
END_TEST

/* A thousand shards may wait for the same table: it is looked at once in a while, and few rows of many each time. */
START_TEST(what_is_looked_for_in_vain_costs_little)
{
    struct leat_flush_rows bad = rows(0, 100, 100, true);
    struct leat_flush flush = flush_of(&bad, 1);
    struct leat_evidence_question question = {.ops = &target, .flush = &flush};
    enum leat_guilt guilt;
    struct leat_error err;

    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(leat_evidence_judge(evidence, &question, &guilt, &err), 0);
    ck_assert_int_eq(guilt, LEAT_GUILT_UNPROVEN);
    ck_assert_uint_ge(trials, 1);
    ck_assert_uint_lt(trials, 1000);
}
END_TEST

/* More kinds than are remembered: the last ones are. */
START_TEST(kinds_are_bounded)
{
    struct leat_flush_rows bad;

    for (size_t t = 0; t < 1000; t++) {
        struct leat_flush_rows good = rows(0, 1, 1, true);

        good.table_index = t;
        see(&good, 1);
    }
    limit = 0;
    bad = rows(0, 1, 1, true);
    bad.table_index = 0;
    ck_assert_int_eq(judge(&bad, 1), LEAT_GUILT_UNPROVEN);
    ck_assert_uint_eq(trials, 1); /* its own row alone */
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        without_a_row_that_is_taken_nobody_is_guilty,
        a_row_that_was_written_is_evidence,
        another_kind_of_row_is_none,
        a_row_of_the_same_flush_is_evidence,
        each_kind_needs_its_own,
        what_would_be_taken_now_is_not_guilty,
        what_cannot_be_asked_is_not_judged,
        what_is_looked_for_in_vain_costs_little,
        kinds_are_bounded,
    };
    Suite *suite = suite_create("evidence");
    TCase *all = tcase_create("evidence");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(all, setup, teardown);
    for (size_t i = 0; i < LEAT_COUNT_OF(tests); i++)
        tcase_add_test(all, tests[i]);
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
