/* Every way in which a plugin can be wrong, each with a message of its own that says what to do. */
#include "plugin/loader.h"

#include <check.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static struct leat_error err;
static char directory[4096];

static void
setup(void)
{
    const char *build = getenv("LEAT_BUILD");

    snprintf(directory, sizeof directory, "%s/badplugins", build != NULL ? build : "build/test");
}

static int
load(const char *name, const char *sha256)
{
    struct leat_plugin_path path = {directory};
    const struct leat_processor *processor;

    return leat_plugin_load_processor(&path, name, sha256, &processor, &err);
}

START_TEST(test_a_good_one_is_loaded)
{
    ck_assert_msg(load("good", NULL) == 0, "%s", err.text);
}
END_TEST

static const struct {
    const char *name, *says;
} refusals[] = {
    {"no_symbol", "no symbol leat_processor_v1"},
    {"wrong_major", "was built for version 2"},
    {"newer_minor", "needs version 1.1"},
    {"short_struct", "has 48 bytes"},
    {"no_name", "has no name"},
    {"no_process", "no process function"},
    {"no_descriptor", "no descriptor"},
    {"bad_table", "LEAT_INEXACT"},
    {"not_there", "could not find plugin \"not_there\""},
    {"/nonexistent/x.so", "No such file"},
    {"/", "not a regular file"},
};

START_TEST(test_a_bad_one_is_refused_by_name)
{
    ck_assert_int_ne(load(refusals[_i].name, NULL), 0);
    ck_assert_msg(strstr(err.text, refusals[_i].says) != NULL, "\"%s\" does not say \"%s\"",
                  err.text, refusals[_i].says);
}
END_TEST

static void
copy_good(char *ret_file, size_t size, mode_t mode)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    snprintf(ret_file, size, "/tmp/leat-plugin-%d.so", (int)getpid());
    leat_buf_printf(&command, "cp %s/good.so %s", directory, ret_file);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
    ck_assert_int_eq(chmod(ret_file, mode), 0);
}

START_TEST(test_one_that_others_may_write_is_refused)
{
    char file[64];

    copy_good(file, sizeof file, 0666);
    ck_assert_int_eq(load(file, NULL), LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "chmod go-w"));
    chmod(file, 0755);
    ck_assert_msg(load(file, NULL) == 0, "%s", err.text);
    unlink(file);
}
END_TEST

START_TEST(test_another_hash_is_refused)
{
    char file[64], *found;

    copy_good(file, sizeof file, 0755);
    ck_assert_int_eq(load(file, "00"), LEAT_E_DENIED);
    found = strstr(err.text, "SHA-256 ");
    ck_assert_ptr_nonnull(found);
    found = leat_slice_strdup(leat_slice_make(found + 8, 64));
    ck_assert_msg(load(file, found) == 0, "%s", err.text);
    free(found);
    unlink(file);
}
END_TEST

START_TEST(test_a_text_file_is_refused)
{
    char file[] = "/tmp/leat-text-XXXXXX";
    int fd = mkstemp(file);

    ck_assert_int_eq((int)write(fd, "#!/bin/sh\n", 10), 10);
    close(fd);
    ck_assert_int_eq(load(file, NULL), LEAT_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "could not load plugin"));
    unlink(file);
}
END_TEST

static const struct {
    struct leat_column columns[3];
    const char *says;
} bad_tables[] = {
    {{{"a", LEAT_INT64, LEAT_KEY}, {"a", LEAT_INT64, LEAT_SUM}}, "twice"},
    {{{"a", LEAT_TEXT, LEAT_SUM}}, "only numbers"},
    {{{"a", LEAT_FLOAT64, LEAT_KEY}}, "a key cannot"},
    {{{"a", LEAT_TEXT, LEAT_COUNT}}, "int64"},
    {{{"a", LEAT_JSON, LEAT_MAX}}, "no order"},
    {{{"a", LEAT_INT64, LEAT_LAST}}, "order_by"},
    {{{"a", LEAT_INT64, LEAT_LAST, .order_by = "t"}}, "names no column"},
    {{{"a", LEAT_INT64, LEAT_LAST, .order_by = "t"}, {"t", LEAT_INT64, LEAT_MIN}}, "of last a max"},
    {{{"a", LEAT_NULL, LEAT_KEY}}, "no type"},
};

START_TEST(test_a_bad_table_is_named)
{
    struct leat_table tables[2] = {{"t", bad_tables[_i].columns}, LEAT_END};

    ck_assert_int_ne(leat_plugin_check_tables(tables, &err), 0);
    ck_assert_msg(strstr(err.text, bad_tables[_i].says) != NULL, "%s", err.text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("loader");
    TCase *tests = tcase_create("loader");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, test_a_good_one_is_loaded);
    tcase_add_loop_test(tests, test_a_bad_one_is_refused_by_name, 0, (int)LEAT_COUNT_OF(refusals));
    tcase_add_test(tests, test_one_that_others_may_write_is_refused);
    tcase_add_test(tests, test_another_hash_is_refused);
    tcase_add_test(tests, test_a_text_file_is_refused);
    tcase_add_loop_test(tests, test_a_bad_table_is_named, 0, (int)LEAT_COUNT_OF(bad_tables));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
