/* The archive's url, and a folder as archive: idempotent by name, never a half-written letter. */
#include "failure/archive.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct leat_error err;

static void
setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/leat-archive-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
teardown(void)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_buf_printf(&command, "rm -rf %s", folder);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
}

static void
check_content(const char *name, const char *expected)
{
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    char text[100] = "";
    FILE *in;

    leat_buf_printf(&path, "%s/%s", folder, name);
    in = fopen(leat_buf_text(&path), "r");
    ck_assert_msg(in != NULL, "%s is not there", leat_buf_text(&path));
    ck_assert_uint_eq(fread(text, 1, sizeof text - 1, in), strlen(expected));
    fclose(in);
    ck_assert_str_eq(text, expected);
}

static const char *const endings[] = {"", "/", "/{application}/{stream}/",
                                      "/{application}/{stream}"};

START_TEST(test_a_folder_keeps_a_letter)
{
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    LEAT_AUTO_BUF found = LEAT_BUF_INIT;
    struct leat_archive *archive;

    leat_buf_printf(&url, "file://%s%s", folder, endings[_i]);
    ck_assert_msg(leat_archive_open(leat_buf_text(&url), NULL, &archive, &err) == 0, "%s",
                  err.text);
    for (int i = 0; i < 2; i++) {
        leat_buf_clear(&found);
        ck_assert_msg(leat_archive_put(archive, "app/orders/2026-01-31/ab.json",
                                       leat_slice_from("{\"a\":1}"), &found, &err) == 0,
                      "%s", err.text);
    }
    leat_archive_close(archive);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&found), "app/orders/2026-01-31/ab.json"));
    check_content("app/orders/2026-01-31/ab.json", "{\"a\":1}");
}
END_TEST

static const char *const wrong[] = {"file:///tmp/{stream}/x", "s3://bucket/{worker}/", "ftp://x/y",
                                    "/var/lib/leat", "s3:///prefix"};

START_TEST(test_a_wrong_url_is_named)
{
    struct leat_archive *archive;
    struct leat_aws aws = {.region = "eu-west-1"};

    ck_assert_int_eq(leat_archive_open(wrong[_i], &aws, &archive, &err), LEAT_E_INVALID);
    ck_assert_msg(strstr(err.text, wrong[_i]) != NULL, "%s", err.text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("archive");
    TCase *tests = tcase_create("archive");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_a_folder_keeps_a_letter, 0, 4);
    tcase_add_loop_test(tests, test_a_wrong_url_is_named, 0, 5);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
