/* Options of plugins: types, ranges, defaults, and every mistake told at once. */
#include "plugin/options.h"

#include <check.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/memory.h"

static const char *const modes[] = {"fast", "safe", NULL};
static const struct leat_option declared[] = {
    {"window", LEAT_OPTION_DURATION, 0, "1m", NULL, 1000000, 86400000000, "the window"},
    {"size", LEAT_OPTION_SIZE, 0, "64MiB", NULL, 0, 0, NULL},
    {"mode", LEAT_OPTION_CHOICE, 0, "safe", modes, 0, 0, NULL},
    {"keys", LEAT_OPTION_LIST, 0, "a, b,c", NULL, 0, 0, NULL},
    {"tables", LEAT_OPTION_MAP, 0, NULL, NULL, 0, 0, NULL},
    {"path", LEAT_OPTION_TEXT, LEAT_OPTION_REQUIRED, NULL, NULL, 0, 0, "where to"},
    {"sync", LEAT_OPTION_BOOLEAN, 0, "false", NULL, 0, 0, NULL},
    LEAT_END,
};

static struct leat_arena arena;
static struct leat_buf told;

static void
setup(void)
{
    leat_arena_init(&arena);
    leat_buf_init(&told, SIZE_MAX);
}

static void
teardown(void)
{
    leat_arena_release(&arena);
    leat_buf_release(&told);
}

static void
tell(void *context, int line, int column, const char *text)
{
    leat_buf_printf(&told, "%d:%d %s\n", line, column, text);
}

static struct leat_raw_option
scalar(const char *name, const char *text, int line)
{
    return (struct leat_raw_option){
        .name = name, .scalar = leat_slice_from(text), .line = line, .column = 3};
}

START_TEST(test_values_and_defaults)
{
    struct leat_slice pairs[2] = {leat_slice_from("x"), leat_slice_from("y")};
    struct leat_raw_option given[] = {
        scalar("path", "/p", 1),
        scalar("window", "2h", 2),
        scalar("keys", "one", 3),
        {.name = "tables", .kind = LEAT_RAW_MAP, .items = pairs, .item_count = 2}};
    struct leat_options options;

    ck_assert_int_eq(leat_options_resolve(declared, given, 4, &arena, tell, NULL, &options), 0);
    ck_assert_int_eq(leat_option_get(&options, "window")->integer, 7200000000);
    ck_assert_int_eq(leat_option_get(&options, "size")->integer, 64 << 20);
    ck_assert_int_eq(leat_option_get(&options, "mode")->integer, 1);
    ck_assert_int_eq(leat_option_get(&options, "sync")->integer, 0);
    ck_assert_uint_eq(leat_option_get(&options, "keys")->list_count, 1);
    ck_assert_uint_eq(leat_option_get(&options, "tables")->list_count, 2);
    ck_assert_uint_eq(leat_option_get(&options, "path")->is_given, 1);
    ck_assert_uint_eq(leat_option_get(&options, "size")->is_given, 0);
    ck_assert_ptr_null(leat_option_get(&options, "nothing"));
}
END_TEST

START_TEST(test_a_list_has_a_default)
{
    struct leat_raw_option given[] = {scalar("path", "/p", 1)};
    struct leat_options options;

    ck_assert_int_eq(leat_options_resolve(declared, given, 1, &arena, tell, NULL, &options), 0);
    ck_assert_uint_eq(leat_option_get(&options, "keys")->list_count, 3);
    ck_assert(leat_slice_is(leat_option_get(&options, "keys")->list[1], "b"));
}
END_TEST

START_TEST(test_every_mistake_is_told_at_once)
{
    struct leat_slice items[1] = {leat_slice_from("x")};
    struct leat_raw_option given[] = {
        scalar("window", "1ms", 1),
        scalar("size", "big", 2),
        scalar("mode", "sfae", 3),
        scalar("sync", "maybe", 4),
        scalar("wndow", "1m", 5),
        {.name = "tables", .kind = LEAT_RAW_LIST, .items = items, .item_count = 1, .line = 6}};
    struct leat_options options = {0};

    ck_assert_int_eq(leat_options_resolve(declared, given, 6, &arena, tell, NULL, &options),
                     LEAT_E_INVALID);
    ck_assert_uint_eq(options.count, 0);
    ck_assert_str_eq(leat_buf_text(&told),
                     "1:3 option \"window\": \"1ms\" is out of range (1s to 1d)\n"
                     "2:3 option \"size\": \"big\" is no size: write it like 64MiB\n"
                     "3:3 option \"mode\": there is no choice \"sfae\", did you mean \"safe\"?\n"
                     "6:0 option \"tables\" takes a map, not a list\n"
                     "0:0 option \"path\" is missing: where to\n"
                     "4:3 option \"sync\": \"maybe\" is neither true nor false\n"
                     "5:3 there is no option \"wndow\", did you mean \"window\"?\n");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("options");
    TCase *tests = tcase_create("options");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_values_and_defaults);
    tcase_add_test(tests, test_a_list_has_a_default);
    tcase_add_test(tests, test_every_mistake_is_told_at_once);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
