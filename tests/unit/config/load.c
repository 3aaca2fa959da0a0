/* Files: the configuration's own, and those with a URL in them. */
#include "suite.h"

#include <sys/stat.h>
#include <unistd.h>

static char file[] = "/tmp/leat-config-XXXXXX";
static struct leat_error err;

static void
write_file(const char *text)
{
    FILE *stream = fopen(file, "w");

    ck_assert_ptr_nonnull(stream);
    ck_assert_int_ge(fputs(text, stream), 0);
    fclose(stream);
}

START_TEST(test_with_environment_and_sets)
{
    struct leat_config_override overrides[] = {{"log.level=debug"}};

    write_file(SMALLEST "worker_id: ${LEAT_UNIT_VARIABLE}\n");
    setenv("LEAT_UNIT_VARIABLE", "w", 1);
    setenv("LEAT_MEMORY__BUDGET", "64MiB", 1);
    ck_assert_int_eq(leat_config_load(file, overrides, 1, suite_tell, NULL, &config), 0);
    ck_assert_str_eq(config->worker_id, "w");
    ck_assert_int_eq(config->memory_budget_bytes, 64 << 20);
    ck_assert_int_eq(config->log_level, LEAT_LOG_DEBUG);
    ck_assert_str_eq(config->file, file);
    unsetenv("LEAT_MEMORY__BUDGET");
}
END_TEST

START_TEST(test_without_the_environment)
{
    setenv("LEAT_MEMORY__BUDGET", "64MiB", 1);
    ck_assert_int_eq(leat_config_parse("x", leat_slice_from(SMALLEST), suite_tell, NULL, &config),
                     0);
    ck_assert_int_eq(config->memory_budget_bytes, 256 << 20);
    unsetenv("LEAT_MEMORY__BUDGET");
}
END_TEST

START_TEST(test_files_that_cannot_be_read)
{
    ck_assert_int_eq(leat_config_load("/nowhere/x.yaml", NULL, 0, suite_tell, NULL, &config),
                     LEAT_E_INVALID);
    ck_assert_int_eq(leat_config_load("/", NULL, 0, suite_tell, NULL, &config), LEAT_E_INVALID);
    ck_assert_int_eq(leat_config_load("/dev/zero", NULL, 0, suite_tell, NULL, &config),
                     LEAT_E_INVALID);
    suite_expect(leat_buf_text(&told),
                 "could not read \"/nowhere/x.yaml\": No such file or directory\n"
                 "could not read \"/\": Is a directory\n"
                 "\"/dev/zero\" is too large: at most 1048576 bytes\n");
    ck_assert_ptr_null(config);
    leat_config_free(NULL);
}
END_TEST

static const char *
url_of(const char *url, const char *url_file)
{
    leat_buf_clear(&told);
    return leat_config_url(url, url_file, &told, &err) == 0 ? leat_buf_text(&told) : err.text;
}

START_TEST(test_urls)
{
    ck_assert_str_eq(url_of("postgresql://x", NULL), "postgresql://x");
    write_file("postgresql://u:p@h/d \r\nsecond line\n");
    ck_assert_str_eq(url_of(NULL, file), "postgresql://u:p@h/d");
    write_file("rotated");
    ck_assert_str_eq(url_of(NULL, file), "rotated");
    write_file("\nx\n");
    ck_assert_ptr_nonnull(strstr(url_of(NULL, file), "its first line is empty"));
    ck_assert_str_eq(url_of(NULL, "/nowhere/url"),
                     "url_file: could not read \"/nowhere/url\": No such file or directory");
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {test_with_environment_and_sets, test_without_the_environment,
                                  test_files_that_cannot_be_read, test_urls};
    int status;

    close(mkstemp(file));
    status = suite_run_loop("config/load", tests, LEAT_COUNT_OF(tests), NULL, 0);
    unlink(file);
    return status;
}
