/* Profile files, providers and the chain. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/credentials.h"
#include "aws/profile.h"
#include "base/memory.h"

static struct leat_error err;
static char directory[64], credentials_path[96], config_path[96];

static void
write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void
setup(void)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN", "AWS_PROFILE"};

    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++)
        unsetenv(names[i]);
    snprintf(directory, sizeof directory, "/tmp/leat-credentials-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(credentials_path, sizeof credentials_path, "%s/credentials", directory);
    snprintf(config_path, sizeof config_path, "%s/config", directory);
    setenv("AWS_SHARED_CREDENTIALS_FILE", credentials_path, 1);
    setenv("AWS_CONFIG_FILE", config_path, 1);
}

static void
teardown(void)
{
    unlink(credentials_path);
    unlink(config_path);
    rmdir(directory);
}

/* ---- syntax -------------------------------------------------------------------------------- */

static char collected[512];

static void
collect(void *context, struct leat_slice key, struct leat_slice value)
{
    size_t used = strlen(collected);

    snprintf(collected + used, sizeof collected - used, "%.*s=%.*s;", (int)key.size,
             (const char *)key.data, (int)value.size, (const char *)value.data);
}

static int
parse(enum leat_profile_file kind, const char *profile, const char *text)
{
    collected[0] = '\0';
    return leat_profile_parse(leat_slice_from(text), kind, leat_slice_from(profile), collect, NULL,
                              &err);
}

START_TEST(syntax)
{
    static const char text[] = "# comment\n\n[default]\r\na = 1\r\nb=2 # trailing\n"
                               "c = x#y;z\nd =\n  nested = 9\n[ other ]\na=3\n; no\n[default]\n"
                               "e = has = equals ; c";

    ck_assert_int_eq(parse(LEAT_PROFILE_CREDENTIALS, "default", text), 0);
    ck_assert_str_eq(collected, "a=1;b=2;c=x#y;z;d=;e=has = equals;");
    ck_assert_int_eq(parse(LEAT_PROFILE_CREDENTIALS, "other", text), 0);
    ck_assert_str_eq(collected, "a=3;");
    ck_assert_int_eq(parse(LEAT_PROFILE_CREDENTIALS, "none", text), LEAT_E_NOT_FOUND);
}
END_TEST

START_TEST(config_sections)
{
    static const char text[] =
        "[default]\na=1\n[profile x]\na=2\n[x]\na=3\n[profile \"y z\"]\na=4\n"
        "[sso-session x]\na=5\n";

    ck_assert_int_eq(parse(LEAT_PROFILE_CONFIG, "default", text), 0);
    ck_assert_str_eq(collected, "a=1;");
    ck_assert_int_eq(parse(LEAT_PROFILE_CONFIG, "x", text), 0);
    ck_assert_str_eq(collected, "a=2;");
    ck_assert_int_eq(parse(LEAT_PROFILE_CONFIG, "y z", text), 0);
    ck_assert_str_eq(collected, "a=4;");
}
END_TEST

START_TEST(bad_syntax_names_the_line)
{
    static const char *const cases[] = {"[default]\na=1\n[broken\n", "[default]\n\nsecret words\n",
                                        "\n\na = 1\n", "[default]\n\n= 1\n"};

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        ck_assert_int_eq(parse(LEAT_PROFILE_CREDENTIALS, "default", cases[i]), LEAT_E_FORMAT);
        ck_assert_ptr_nonnull(strstr(err.text, "line 3"));
        ck_assert_ptr_null(strstr(err.text, "secret"));
    }
}
END_TEST

/* ---- providers ----------------------------------------------------------------------------- */

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *credentials)
{
    return leat_credentials_provider_get(provider, credentials, &err);
}

START_TEST(environment)
{
    struct leat_credentials_provider *provider = leat_credentials_environment_new();
    struct leat_credentials credentials = {0};

    ck_assert_int_eq(get(provider, &credentials), LEAT_E_NOT_FOUND);
    setenv("AWS_ACCESS_KEY_ID", "key", 1);
    ck_assert_int_eq(get(provider, &credentials), LEAT_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "AWS_SECRET_ACCESS_KEY"));
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.secret_access_key, "secret");
    ck_assert_ptr_null(credentials.session_token);
    leat_credentials_release(&credentials);
    ck_assert_ptr_null(credentials.secret_access_key);
    setenv("AWS_SESSION_TOKEN", "token", 1);
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.session_token, "token");
    leat_credentials_release(&credentials);
    leat_credentials_provider_free(provider);
}
END_TEST

START_TEST(profiles)
{
    struct leat_credentials_provider *provider = leat_credentials_profile_new(NULL);
    struct leat_credentials credentials = {0};

    ck_assert_int_eq(get(provider, &credentials), LEAT_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, credentials_path));
    write_file(credentials_path, "[default]\naws_access_key_id = k1\naws_secret_access_key = s1\n"
                                 "[half]\naws_access_key_id = k\n");
    write_file(config_path, "[default]\nregion = eu-north-1\n[profile other]\n"
                            "aws_access_key_id = k2\naws_secret_access_key = s2\n"
                            "aws_session_token = t2\n");
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.access_key_id, "k1");
    leat_credentials_release(&credentials);
    setenv("AWS_PROFILE", "other", 1);
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.access_key_id, "k2");
    ck_assert_str_eq(credentials.session_token, "t2");
    leat_credentials_release(&credentials);
    setenv("AWS_PROFILE", "half", 1);
    ck_assert_int_eq(get(provider, &credentials), LEAT_E_INVALID);
    unsetenv("AWS_PROFILE");
    write_file(credentials_path, "[default]\naws_access_key_id = k3\naws_secret_access_key = s3\n");
    ck_assert_int_eq(get(provider, &credentials), 0); /* read afresh */
    ck_assert_str_eq(credentials.access_key_id, "k3");
    leat_credentials_release(&credentials);
    leat_credentials_provider_free(provider);
}
END_TEST

START_TEST(settings)
{
    char *value = NULL;

    ck_assert_int_eq(leat_profile_get(NULL, "region", &value, &err), LEAT_E_NOT_FOUND);
    write_file(config_path, "[default]\nregion = eu-north-1\n[profile p]\nregion=x\n");
    ck_assert_int_eq(leat_profile_get(NULL, "region", &value, &err), 0);
    ck_assert_str_eq(value, "eu-north-1");
    free(value);
    ck_assert_int_eq(leat_profile_get("p", "region", &value, &err), 0);
    ck_assert_str_eq(value, "x");
    free(value);
}
END_TEST

START_TEST(chain)
{
    struct leat_credentials_provider *provider = leat_credentials_default_new();
    struct leat_credentials credentials = {0};

    ck_assert_int_eq(get(provider, &credentials), LEAT_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "environment"));
    ck_assert_ptr_nonnull(strstr(err.text, "profile"));
    write_file(credentials_path, "[default]\naws_access_key_id = k1\naws_secret_access_key = s1\n");
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.access_key_id, "k1");
    leat_credentials_release(&credentials);
    setenv("AWS_ACCESS_KEY_ID", "key", 1);
    ck_assert_int_eq(get(provider, &credentials), LEAT_E_INVALID); /* half: no going on */
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.access_key_id, "key");
    leat_credentials_release(&credentials);
    leat_credentials_provider_free(provider);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("credentials");
    TCase *tests = tcase_create("credentials");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, syntax);
    tcase_add_test(tests, config_sections);
    tcase_add_test(tests, bad_syntax_names_the_line);
    tcase_add_test(tests, environment);
    tcase_add_test(tests, profiles);
    tcase_add_test(tests, settings);
    tcase_add_test(tests, chain);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
