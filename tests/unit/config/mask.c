/* Passwords do not get through, and nothing else is lost. */
#include "suite.h"

#include "config/mask.h"

static const struct {
    const char *url, *masked; /* NULL: nothing to mask */
} cases[] = {
    {"postgresql://user:secret@host/db", "postgresql://user:***@host/db"},
    {"postgresql://user@host/db", NULL},
    {"postgresql://host:5432/db", NULL},
    {"postgresql://user:@host/db", NULL},
    {"postgresql://:secret@host/db", "postgresql://:***@host/db"},
    {"postgresql://user:a@b@host/db?x=c@d", "***"}, /* for libpq the host is b@host */
    {"https://user:a@b@host/db?x=c@d", "https://user:***@host/db?x=c@d"},
    {"https://user:a'b\"c@host/db", "https://user:***@host/db"},
    {"postgresql://user:a'b@host/db", "postgresql://user:***@host/db"},
    {"postgresql://user:a%zz@host/db", "***"},
    {"host=h password=my secret", "***"},
    {"host=h options='-c x.password=a'", "host=h options='-c x.password=***"},
    {"postgresql://user:a/b@host/db", "***"}, /* … a port "a" */
    {"postgresql://u:p@h1:1,h2:2/db", "postgresql://u:***@h1:1,h2:2/db"},
    {"postgresql://u@h/db?password=secret&sslmode=require",
     "postgresql://u@h/db?password=***&sslmode=require"},
    {"postgresql://u:p@h/db?sslpassword=q", "postgresql://u:***@h/db?sslpassword=***"},
    {"host=h password=secret dbname=d", "host=h password=*** dbname=d"},
    {"host=h password = 'se\\'cret x' dbname=d", "host=h password = *** dbname=d"},
    {"host=h password='open", "***"},
    {"PASSWORD=a\\ b user=u", "PASSWORD=*** user=u"},
    {"host=h passfile=/x password=", NULL},
    {"host=h user=u", NULL},
    {"https://x/y?access_token=abc&b=c", "https://x/y?access_token=***&b=c"},
    {"https://x/y?X-Amz-Security-Token=abc#d", "https://x/y?X-Amz-Security-Token=***#d"},
    {"user:secret@host/db", "***"}, /* a scheme that was forgotten */
    {"//user:secret@host/db", "***"},
    {"postgresql:user:secret@host/db", "***"},
    {"postgresql//user:secret@host/db", "***"},
    {"host=h user=u;password=secret", "***"}, /* for libpq a user "u;password=secret" */
    {"host=h,password=secret", "***"},
    {"host=u:secret@h", "***"},
    {"host=@abstract,h2 user=u", NULL},
    {"Server=h;Pwd=secret", "Server=h;Pwd=***"},
    {"user@host", NULL},
    {"a:b", NULL},
    {"file:///var/lib/leat", NULL},
    {"", NULL},
};

START_TEST(test_a_case)
{
    const char *masked = cases[_i].masked != NULL ? cases[_i].masked : cases[_i].url;
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;

    leat_url_mask(cases[_i].url, &out);
    ck_assert_str_eq(leat_buf_text(&out), masked);
    ck_assert_int_eq(leat_url_has_password(cases[_i].url), cases[_i].masked != NULL);
}
END_TEST

/* What has to be a URL and is none: nobody knows which of it is the password. */
START_TEST(test_what_is_no_url_is_not_shown)
{
    static const struct {
        const char *text, *shown;
    } whole[] = {
        {"host: h, password: secret", "***"},
        {"{\"password\": \"secret\"}", "***"},
        {"psql -h h -U u:secret", "***"},
        {"h password", "***"},
        {"out/rows-1.jsonl", "out/rows-1.jsonl"},
        {"file:///data/out put", "file:///data/out put"},
        {"host=h dbname=d", "host=h dbname=d"},
        {"postgresql://u:secret@h/d", "postgresql://u:***@h/d"},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(whole); i++) {
        LEAT_AUTO_BUF out = LEAT_BUF_INIT;

        leat_secret_mask(whole[i].text, &out);
        ck_assert_str_eq(leat_buf_text(&out), whole[i].shown);
    }
}
END_TEST

START_TEST(test_names)
{
    ck_assert(leat_name_is_secret(leat_slice_from("password")));
    ck_assert(leat_name_is_secret(leat_slice_from("api_TOKEN")));
    ck_assert(leat_name_is_secret(leat_slice_from("client_secret_file")));
    ck_assert(!leat_name_is_secret(leat_slice_from("keys")));
    ck_assert(!leat_name_is_secret(leat_slice_from("")));
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {test_names, test_what_is_no_url_is_not_shown};

    return suite_run_loop("config/mask", tests, LEAT_COUNT_OF(tests), test_a_case,
                          LEAT_COUNT_OF(cases));
}
