/* Which operations on one key become one row, and which stay a chain: as lines of rows, and as the groups that come of them. */
#include "pipeline/merge_compose.h"

#include "base/memory.h"
#include "support/lines.h"

#include <check.h>

static struct leat_form columns[8];
static bool may_equal;

static void
tell(void *committer, size_t table, struct leat_table_forms *ret_forms)
{
    ret_forms->is_known = true;
    ret_forms->may_equal = may_equal;
    memcpy(ret_forms->columns, columns, 5 * sizeof *columns);
}

/* Letters for the groups in order: m, r, d; as many as the group has rows. */
static void
groups_of(const char *lines, struct leat_buf *out)
{
    struct leat_arena arena;
    const struct leat_table *tables;
    struct leat_merge_schema *schema;
    struct leat_slice rest = leat_slice_from(lines);
    struct leat_flush_rows *groups;
    struct test_lines_row row;
    struct leat_merge *merge;
    size_t count;
    bool is_bad = false;

    leat_arena_init(&arena);
    tables =
        test_lines_tables("t(k:text:key,n:int64:sum,o:int64:max,v:text:last=o,s:text:set)", &arena);
    schema = leat_merge_schema_new(tables);
    leat_merge_schema_tell(schema, tell, NULL);
    merge = leat_merge_new(schema);
    while (test_lines_row(tables, &rest, &arena, &row, &is_bad))
        leat_merge_apply(merge, 0, row.operation, row.values);
    ck_assert(!is_bad);
    groups = leat_merge_groups(&merge, 1, &arena, &count);
    for (size_t g = 0; g < count; g++) {
        leat_buf_add_text(out, g > 0 ? " " : "");
        for (size_t i = 0; i < groups[g].count; i++)
            leat_buf_add_byte(out, (unsigned char)"mrd"[groups[g].operation]);
    }
    leat_merge_free(merge);
    leat_merge_schema_free(schema);
    leat_arena_release(&arena);
}

static const struct {
    const char *lines, *groups;
    struct leat_form n, v, s;
    bool may_equal;
} cases[] = {
    {"0|m|a|1|4|x|y ++ 0|m|a|1|5|z|\\A", "m"},
    {"0|m|a|1|4|x|y ++ 0|d|a ++ 0|m|a|1|3|\\A|\\A", "r"},
    /* An order without a value, greater than that of the value before it; and a tie with it. */
    {"0|m|a|1|4|x|y ++ 0|m|a|1|5|\\A|y", "m m"},
    {"0|m|a|1|4|x|y ++ 0|m|a|1|4|\\A|y ++ 0|m|a|1|\\N|z|y", "m"},
    {"0|m|a|1|5|\\A|y ++ 0|m|a|1|5|x|y", "m m"},
    {"0|m|a|1|5|\\A|y ++ 0|m|a|1|6|x|y ++ 0|m|a|1|4|z|y", "m"},
    {"0|r|a|1|4|x|y ++ 0|m|a|1|5|\\A|y ++ 0|m|a|1|5|z|y", "r"},
    /* A default that counts. */
    {"0|m|a|\\A|1|x|y ++ 0|m|a|1|1|x|y ++ 0|m|a|1|1|x|y", "m m", .n = {.flags = LEAT_FORM_DEFAULT}},
    {"0|m|a|1|1|x|y ++ 0|m|a|\\A|1|x|y", "m", .n = {.flags = LEAT_FORM_DEFAULT}},
    /* What the target refuses by itself. */
    {"0|m|a|1|1|x|y ++ 0|m|a|1|1|x|long ++ 0|m|a|1|1|x|z", "m m m",
     .s = {.kind = LEAT_FORM_VARCHAR, .digits = 3}},
    {"0|m|a|1|1|x|\\N ++ 0|d|a", "m d", .s = {.flags = LEAT_FORM_NOT_NULL}},
    {"0|m|a|1|1|x|\\A ++ 0|r|a|1|1|x|y", "m r", .s = {.flags = LEAT_FORM_NEEDED}},
    {"0|m|a|9223372036854775807|1|x|y ++ 0|m|a|1|1|x|y ++ 0|m|a|-1|1|x|y", "m m m"},
    /* Keys that may be equal: in order, and each stretch of one operation, one shape and different keys. */
    {"0|m|a|1|1|x|y ++ 0|m|A|1|1|x|y ++ 0|m|a|1|1|x|y ++ 0|m|b|1|1|x|\\A ++ 0|d|c", "mm m m d",
     .may_equal = true},
};

START_TEST(test_a_chain)
{
    LEAT_AUTO_BUF groups = LEAT_BUF_INIT;

    columns[1] = cases[_i].n;
    columns[3] = cases[_i].v;
    columns[4] = cases[_i].s;
    may_equal = cases[_i].may_equal;
    groups_of(cases[_i].lines, &groups);
    ck_assert_str_eq(leat_buf_text(&groups), cases[_i].groups);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("merge_compose");
    TCase *tests = tcase_create("merge_compose");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, test_a_chain, 0, (int)LEAT_COUNT_OF(cases));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
