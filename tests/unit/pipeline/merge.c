/* The merge against a sequential recomputation: whatever the cut, the result is the same (docs/protocol.md §5). */
#include "pipeline/merge.h"

#include <check.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/memory.h"
#include "base/random.h"
#include "support/slow.h"

static const struct leat_column columns[] = {
    {"device", LEAT_INT64, LEAT_KEY},
    {"count", LEAT_INT64, LEAT_COUNT},
    {"total", LEAT_DECIMAL, LEAT_SUM},
    {"least", LEAT_INT64, LEAT_MIN},
    {"first_time", LEAT_TIMESTAMP, LEAT_MIN},
    {"first_value", LEAT_INT64, LEAT_FIRST, .order_by = "first_time"},
    {"last_time", LEAT_TIMESTAMP, LEAT_MAX},
    {"last_value", LEAT_INT64, LEAT_LAST, .order_by = "last_time"},
    LEAT_END,
};
static const struct leat_column set_columns[] = {
    {"name", LEAT_TEXT, LEAT_KEY},
    {"a", LEAT_INT64, LEAT_SET},
    {"b", LEAT_INT64, LEAT_SET},
    LEAT_END,
};
static const struct leat_column log_columns[] = {{"line", LEAT_TEXT, LEAT_SET}, LEAT_END};
static const struct leat_table tables[] = {
    {"sums", columns}, {"settings", set_columns}, {"lines", log_columns}, LEAT_END};

enum { SUMS, SETTINGS, LINES };

static struct leat_merge_schema *schema;
static struct leat_arena arena;

static void
setup(void)
{
    schema = leat_merge_schema_new(tables);
    leat_arena_init(&arena);
}

static void
teardown(void)
{
    leat_merge_schema_free(schema);
    leat_arena_release(&arena);
}

struct event {
    int64_t device, value, time_us;
    bool has_time;
};

static void
emit(struct leat_merge *merge, const struct event *event)
{
    char text[40];
    struct leat_value time = event->has_time ? leat_timestamp_us(event->time_us) : leat_null();
    struct leat_value value = leat_int64(event->value);

    snprintf(text, sizeof text, "%lld.%02d", (long long)event->value, 25);
    struct leat_value row[] = {leat_int64(event->device),
                               value,
                               leat_decimal(leat_slice_from(text)),
                               value,
                               time,
                               value,
                               time,
                               value};
    ck_assert_int_eq(leat_merge_check(schema, SUMS, LEAT_OP_MERGE, row, 8, NULL), 0);
    leat_merge_apply(merge, SUMS, LEAT_OP_MERGE, row);
}

#define DEVICES 7
#define EVENTS 400

struct sum {
    int64_t count, hundredths, least;
    bool has_time;
    int64_t first_time, first_value, last_time, last_value;
};

static void
recompute(const struct event *events, struct sum *sums)
{
    for (size_t i = 0; i < EVENTS; i++) {
        const struct event *e = &events[i];
        struct sum *s = &sums[e->device];

        s->least = s->count == 0 || e->value < s->least ? e->value : s->least;
        s->count++;
        s->hundredths += e->value * 100 + (e->value < 0 ? -25 : 25);
        if (!e->has_time)
            continue;
        if (!s->has_time || e->time_us < s->first_time ||
            (e->time_us == s->first_time && e->value > s->first_value)) {
            s->first_time = e->time_us;
            s->first_value = e->value;
        }
        if (!s->has_time || e->time_us > s->last_time ||
            (e->time_us == s->last_time && e->value > s->last_value)) {
            s->last_time = e->time_us;
            s->last_value = e->value;
        }
        s->has_time = true;
    }
}

static void
compare(const struct leat_value *row, const struct sum *sum)
{
    struct leat_decimal total;

    ck_assert_int_eq(row[1].as.integer, sum->count);
    ck_assert_int_eq(leat_decimal_parse(leat_value_slice(&row[2]), &total), LEAT_DECIMAL_OK);
    ck_assert_int_eq(total.scale, 2);
    ck_assert_int_eq((int64_t)total.digits, sum->hundredths);
    ck_assert_int_eq(row[3].as.integer, sum->least);
    if (!sum->has_time) {
        ck_assert_uint_eq(row[5].type, LEAT_ABSENT);
        ck_assert_uint_eq(row[7].type, LEAT_ABSENT);
        return;
    }
    ck_assert_int_eq(row[4].as.integer, sum->first_time);
    ck_assert_int_eq(row[5].as.integer, sum->first_value);
    ck_assert_int_eq(row[6].as.integer, sum->last_time);
    ck_assert_int_eq(row[7].as.integer, sum->last_value);
}

/* Events dealt to several shards' buffers and merged across them equal one pass over all. */
START_TEST(test_any_cut_equals_one_pass)
{
    struct leat_random random;

    leat_random_seed(&random, (uint64_t)_i + 1);
    for (size_t round = 0; round < test_rounds(50); round++) {
        struct event events[EVENTS];
        struct sum sums[DEVICES] = {0};
        struct leat_merge *merges[3] = {leat_merge_new(schema), leat_merge_new(schema),
                                        leat_merge_new(schema)};
        struct leat_flush_rows *groups;
        size_t group_count, seen = 0, present = 0;

        for (size_t i = 0; i < EVENTS; i++) {
            events[i].device = (int64_t)leat_random_below(&random, DEVICES);
            events[i].value = (int64_t)leat_random_below(&random, 1999) - 999;
            if (events[i].value == 0)
                events[i].value = 1; /* "-0.25" would need its own case */
            events[i].time_us = (int64_t)leat_random_below(&random, 20);
            events[i].has_time = leat_random_below(&random, 5) > 0;
            emit(merges[leat_random_below(&random, 3)], &events[i]);
        }
        recompute(events, sums);
        groups = leat_merge_groups(merges, 3, &arena, &group_count);
        for (size_t d = 0; d < DEVICES; d++)
            present += sums[d].count > 0;
        for (size_t g = 0; g < group_count; g++) {
            for (size_t i = 0; i < groups[g].count; i++, seen++) {
                const struct leat_value *row = &groups[g].values[i * 8];

                if (i > 0)
                    ck_assert_int_gt(row[0].as.integer, row[-8].as.integer);
                compare(row, &sums[row[0].as.integer]);
            }
        }
        ck_assert_uint_eq(seen, present);
        for (size_t m = 0; m < 3; m++)
            leat_merge_free(merges[m]);
        leat_arena_reset(&arena);
    }
}
END_TEST

static void
apply(struct leat_merge *merge, enum leat_operation operation, int64_t a, int64_t b)
{
    struct leat_value row[3] = {leat_text(leat_slice_from("k")),
                                a < 0 ? leat_absent() : leat_int64(a),
                                b < 0 ? leat_absent() : leat_int64(b)};

    leat_merge_apply(merge, SETTINGS, operation, row);
}

static const struct {
    enum leat_operation x, y, result;
    int64_t xa, xb, ya, yb, a, b; /* -1: absent */
} algebra[] = {
    {LEAT_OP_MERGE, LEAT_OP_MERGE, LEAT_OP_MERGE, 1, 2, -1, 3, 1, 3},
    {LEAT_OP_REPLACE, LEAT_OP_MERGE, LEAT_OP_REPLACE, 1, -1, -1, 3, 1, 3},
    {LEAT_OP_DELETE, LEAT_OP_MERGE, LEAT_OP_REPLACE, -1, -1, 4, -1, 4, -1},
    {LEAT_OP_MERGE, LEAT_OP_REPLACE, LEAT_OP_REPLACE, 1, 2, 5, -1, 5, -1},
    {LEAT_OP_REPLACE, LEAT_OP_REPLACE, LEAT_OP_REPLACE, 1, 2, -1, 6, -1, 6},
    {LEAT_OP_DELETE, LEAT_OP_REPLACE, LEAT_OP_REPLACE, -1, -1, 7, 8, 7, 8},
    {LEAT_OP_MERGE, LEAT_OP_DELETE, LEAT_OP_DELETE, 1, 2, -1, -1, -1, -1},
    {LEAT_OP_REPLACE, LEAT_OP_DELETE, LEAT_OP_DELETE, 1, 2, -1, -1, -1, -1},
    {LEAT_OP_DELETE, LEAT_OP_DELETE, LEAT_OP_DELETE, -1, -1, -1, -1, -1, -1},
};

static void
expect_value(const struct leat_value *value, int64_t wanted)
{
    ck_assert_uint_eq(value->type, wanted < 0 ? LEAT_ABSENT : LEAT_INT64);
    if (wanted >= 0)
        ck_assert_int_eq(value->as.integer, wanted);
}

START_TEST(test_the_algebra_is_closed)
{
    struct leat_merge *merge = leat_merge_new(schema);
    struct leat_flush_rows *groups;
    size_t group_count;

    apply(merge, algebra[_i].x, algebra[_i].xa, algebra[_i].xb);
    apply(merge, algebra[_i].y, algebra[_i].ya, algebra[_i].yb);
    groups = leat_merge_groups(&merge, 1, &arena, &group_count);
    ck_assert_uint_eq(group_count, 1);
    ck_assert_uint_eq(groups[0].count, 1);
    ck_assert_int_eq(groups[0].operation, algebra[_i].result);
    expect_value(&groups[0].values[1], algebra[_i].a);
    expect_value(&groups[0].values[2], algebra[_i].b);
    leat_merge_free(merge);
}
END_TEST

START_TEST(test_rows_without_a_key_only_append)
{
    struct leat_merge *merge = leat_merge_new(schema);
    struct leat_value line = leat_text(leat_slice_from("same"));
    struct leat_flush_rows *groups;
    size_t group_count;

    for (int i = 0; i < 300; i++)
        leat_merge_apply(merge, LINES, LEAT_OP_MERGE, &line);
    groups = leat_merge_groups(&merge, 1, &arena, &group_count);
    ck_assert_uint_eq(group_count, 1);
    ck_assert_uint_eq(groups[0].count, 300);
    ck_assert_int_ne(leat_merge_check(schema, LINES, LEAT_OP_REPLACE, &line, 1, NULL), 0);
    leat_merge_free(merge);
}
END_TEST

START_TEST(test_what_a_table_does_not_take_is_named)
{
    struct leat_value row[3] = {leat_null(), leat_int64(1), leat_int64(2)};
    struct leat_error err;

    ck_assert_int_ne(leat_merge_check(schema, SETTINGS, LEAT_OP_MERGE, row, 3, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "\"name\""));
    row[0] = leat_text(leat_slice_from("k"));
    ck_assert_int_ne(leat_merge_check(schema, SETTINGS, LEAT_OP_MERGE, row, 2, &err), 0);
    row[1] = leat_float64(1);
    ck_assert_int_ne(leat_merge_check(schema, SETTINGS, LEAT_OP_MERGE, row, 3, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "\"a\""));
    ck_assert_int_eq(leat_merge_check(schema, SETTINGS, LEAT_OP_DELETE, row, 1, &err), 0);
    ck_assert_int_ne(leat_merge_check(schema, 9, LEAT_OP_MERGE, row, 3, &err), 0);
}
END_TEST

/* 1.5 and 1.50 are one key in the target: two rows of them in one statement would fail there. */
START_TEST(test_equal_decimals_are_one_key)
{
    static const struct leat_column decimal_columns[] = {
        {"k", LEAT_DECIMAL, LEAT_KEY}, {"n", LEAT_INT64, LEAT_SUM}, LEAT_END};
    static const struct leat_table decimal_tables[] = {{"t", decimal_columns}, LEAT_END};
    static const char *const texts[] = {"1.5", "1.50", "15e-1", "+1.500"};
    struct leat_merge_schema *own = leat_merge_schema_new(decimal_tables);
    struct leat_merge *merge = leat_merge_new(own);

    for (size_t i = 0; i < LEAT_COUNT_OF(texts); i++) {
        struct leat_value row[2] = {leat_decimal(leat_slice_from(texts[i])), leat_int64(1)};

        leat_merge_apply(merge, 0, LEAT_OP_MERGE, row);
    }
    ck_assert_uint_eq(leat_merge_rows(merge), 1);
    leat_merge_free(merge);
    leat_merge_schema_free(own);
}
END_TEST

/* A number of ten bytes may have 130,000 digits: neither sums nor keys nor comparisons write them out. */
START_TEST(test_long_numbers_stay_as_short_as_they_came)
{
    static const struct leat_column long_columns[] = {{"k", LEAT_DECIMAL, LEAT_KEY},
                                                      {"total", LEAT_DECIMAL, LEAT_SUM},
                                                      {"least", LEAT_DECIMAL, LEAT_MIN},
                                                      LEAT_END};
    static const struct leat_table long_tables[] = {{"t", long_columns}, LEAT_END};
    struct leat_merge_schema *own = leat_merge_schema_new(long_tables);
    struct leat_merge *merge = leat_merge_new(own);

    for (int i = 0; i < 10000; i++) {
        struct leat_value number = leat_decimal(leat_slice_from(i == 0 ? "1e130000" : "1"));
        struct leat_value row[3] = {leat_decimal(leat_slice_from("1e130000")), number, number};

        leat_merge_apply(merge, 0, LEAT_OP_MERGE, row);
    }
    ck_assert_uint_eq(leat_merge_rows(merge), 2);
    for (int i = 0; i < 2000; i++) {
        char text[32];
        struct leat_value number, row[3];

        snprintf(text, sizeof text, "-%de129000", i + 2);
        number = leat_decimal(leat_slice_from(text));
        row[0] = row[1] = row[2] = number;
        leat_merge_apply(merge, 0, LEAT_OP_MERGE, row);
    }
    ck_assert_uint_lt(leat_merge_bytes(merge), (size_t)8 << 20);
    leat_merge_free(merge);
    leat_merge_schema_free(own);
}
END_TEST

START_TEST(test_a_sum_beyond_64_bits_never_wraps)
{
    struct leat_merge *merge = leat_merge_new(schema);
    struct event event = {.device = 1};
    struct leat_flush_rows *groups;
    size_t group_count;
    static const struct leat_column sum_columns[] = {
        {"k", LEAT_INT64, LEAT_KEY}, {"n", LEAT_INT64, LEAT_SUM}, LEAT_END};
    static const struct leat_table sum_tables[] = {{"t", sum_columns}, LEAT_END};
    struct leat_merge_schema *own = leat_merge_schema_new(sum_tables);
    struct leat_merge *sums = leat_merge_new(own);
    struct leat_value row[2] = {leat_int64(1), leat_int64(INT64_MAX)};

    emit(merge, &event);
    leat_merge_apply(sums, 0, LEAT_OP_MERGE, row);
    leat_merge_apply(sums, 0, LEAT_OP_MERGE, row);
    /* Two rows, one behind the other: the target adds, and says that it cannot. */
    groups = leat_merge_groups(&sums, 1, &arena, &group_count);
    ck_assert_uint_eq(group_count, 2);
    ck_assert_int_eq(groups[0].values[1].as.integer, INT64_MAX);
    ck_assert_int_eq(groups[1].values[1].as.integer, INT64_MAX);
    leat_merge_free(merge);
    leat_merge_free(sums);
    leat_merge_schema_free(own);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("merge");
    TCase *tests = tcase_create("merge");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_any_cut_equals_one_pass, 0, 20);
    tcase_add_loop_test(tests, test_the_algebra_is_closed, 0, (int)LEAT_COUNT_OF(algebra));
    tcase_add_test(tests, test_rows_without_a_key_only_append);
    tcase_add_test(tests, test_what_a_table_does_not_take_is_named);
    tcase_add_test(tests, test_equal_decimals_are_one_key);
    tcase_add_test(tests, test_a_sum_beyond_64_bits_never_wraps);
    tcase_add_test(tests, test_long_numbers_stay_as_short_as_they_came);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
