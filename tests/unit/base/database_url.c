/* What libpq takes for a password is never shown; what it would read otherwise than meant is refused without a piece of it. */
#include "tests/unit/base/suite.h"

#include <string.h>

#include "base/database_url.h"

static const struct {
    const char *url;
    bool is_good, has_password;
    const char *masked;
} cases[] = {
    {"postgresql://leat@db/leat", true, false, "postgresql://leat@db/leat"},
    {"postgres://h1:1,h2:2/db?target_session_attrs=read-write", true, false,
     "postgres://h1:1,h2:2/db?target_session_attrs=read-write"},
    {"host=/run/postgresql dbname=leat", true, false, "host=/run/postgresql dbname=leat"},
    {"service=leat", true, false, "service=leat"},
    {"postgresql://leat:hunter2@db:5432/leat", true, true, NULL},
    {"postgresql://leat:hunter2'x@127.0.0.1:1/leat", true, true, NULL},
    {"postgresql://leat:hunter2\"x y@127.0.0.1:1/leat", true, true, NULL},
    {"postgresql://leat:hunter2#:x@127.0.0.1:1/leat", true, true, NULL},
    {"postgresql://leat:hun?ter2@127.0.0.1:1/leat", false, true, "***"},
    {"postgresql://leat:hunter2%2Fxyzzy%40@127.0.0.1:1/leat", true, true, NULL},
    {"postgresql://leat:hunter2%zz@127.0.0.1:1/leat", false, true, "***"},
    {"postgresql://leat:hunter2%@127.0.0.1:1/leat", false, true, "***"},
    {"postgresql://leat:hunter2/xyzzy@127.0.0.1:1/leat", false, true, "***"},
    {"postgresql://leat:1234/hunter2@127.0.0.1:1/leat", false, true, "***"},
    {"postgresql://leat:xyzzy@hunter2@127.0.0.1:1/leat", false, true, "***"},
    {"postgresql://leat:xyzzy/hunter2@a@127.0.0.1:1/leat", false, true, "***"},
    {"postgresql://leat:hunter2/x?y@127.0.0.1/leat", false, true, "***"},
    {"postgresql://leat:12/hunter2?y@127.0.0.1/leat", false, true, "***"},
    {"POSTGRESQL://leat:hunter2@127.0.0.1/leat", false, true, "***"},
    {"postgresql://leat@db/leat?password=hunter2", true, true, NULL},
    {"postgresql://leat@db/leat?pass%77ord=hunter2", true, true, NULL},
    {"postgresql://leat@db/leat?sslpassword=hunter2", true, true, NULL},
    {"postgresql://leat@db/leat?pasword=hunter2", false, true, "***"},
    {"postgresql://db/leat?application_name=a@b", true, false,
     "postgresql://db/leat?application_name=a@b"},
    {"host=127.0.0.1 password=my hunter2secret", false, true, "***"},
    {"host=127.0.0.1 password='hunter2", false, true, "***"},
    {"host=127.0.0.1 password=hunter2 dbname=x", true, true,
     "dbname=x password=*** host=127.0.0.1"},
    {"host=127.0.0.1 password = 'hun\\'ter2 x' dbname='a b'", true, true, NULL},
    {"password=a\\ hunter2 host=db", true, true, NULL},
    {"host=db passwort=hunter2", false, true, "***"},
    {"host=db port=hunter2", false, true, "***"},
    {"dbname=postgresql://leat:hunter2@db/leat", false, true, "***"},
    {"dbname='postgresql://leat:hunter2@db/leat'", false, true, "***"},
    {"leat:hunter2@db/leat", false, true, "***"},
    {"user=leat;password=hunter2;host=db", false, true, "***"},
    {"host=db,password=hunter2", false, true, "***"},
    {"host=db user='leat pwd = hunter2'", false, true, "***"},
    {"host=leat:hunter2@db", false, true, "***"},
    {"postgresql://db/leat?user=leat;password=hunter2", false, true, "***"},
    {"host=@leat,@b", true, false, "host=@leat,@b"}, /* sockets without a file */
    {"host=db passfile=/etc/pass options='-c x.pass=y'", true, false,
     "host=db passfile=/etc/pass options='-c x.pass=y'"},
    {"localhost", false, true, "***"},
    {"", true, false, ""},
};

START_TEST(a_case)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    struct leat_error err = {0};
    bool is_good = leat_database_url_check(cases[_i].url, &err) == 0;
    const char *masked;

    ck_assert_msg(is_good == cases[_i].is_good, "%s", cases[_i].url);
    ck_assert_ptr_null(strstr(err.text, "hunter2"));
    ck_assert_int_eq(leat_database_url_has_password(cases[_i].url), cases[_i].has_password);
    leat_database_url_mask(cases[_i].url, &out);
    masked = leat_buf_text(&out);
    if (cases[_i].masked != NULL)
        ck_assert_uint_eq(strlen(masked), strlen(cases[_i].masked)); /* libpq's order of keywords */
    for (const char *secret = "hunter2\0hun\0ter2\0xyzzy\0"; *secret != '\0';
         secret += strlen(secret) + 1)
        ck_assert_msg(strstr(masked, secret) == NULL, "%s", masked);
    /* What is shown can be read, and means the same but for the password. */
    if (is_good && cases[_i].has_password) {
        ck_assert_int_eq(leat_database_url_check(masked, &err), 0);
        ck_assert_ptr_nonnull(strstr(masked, "***"));
    }
}
END_TEST

START_TEST(a_text_that_repeats_the_password)
{
    char text[] = "FATAL: hunter2 is no role, says hunter2; hunter3";

    leat_database_url_redact("postgresql://leat:hunter2@db/leat", text);
    ck_assert_str_eq(text, "FATAL: *** is no role, says ***; hunter3");
    leat_database_url_redact("postgresql://leat:s@db/leat", text); /* shorter than the mask */
    ck_assert_ptr_null(strstr(text, "says"));
    leat_database_url_redact("postgresql://leat@db/leat", text);
    leat_database_url_redact("nonsense", text);
    ck_assert_ptr_nonnull(strstr(text, "FATAL"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("base/database_url");
    TCase *tests = tcase_create("base/database_url");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tests, a_case, 0, LEAT_COUNT_OF(cases));
    tcase_add_test(tests, a_text_that_repeats_the_password);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
