/* Proxies and the user agent: what goes through a proxy and what never does, and what of a proxy is said. */
#include <check.h>
#include <stdlib.h>

#include "aws/http.h"
#include "base/clock.h"
#include "base/memory.h"
#include "tests/support/canned_http.h"
#include "tests/support/patience.h"

static const char *const variables[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",  "HTTP_PROXY",  "no_proxy",    "NO_PROXY"};

static void
clear_environment(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(variables); i++)
        unsetenv(variables[i]);
    unsetenv("AWS_SDK_UA_APP_ID");
}

START_TEST(direct)
{
    static const char *const here[] = {"http://127.0.0.1:4566/",
                                       "http://127.255.0.1",
                                       "https://LOCALHOST:1/x",
                                       "http://bucket.localhost:9000/x",
                                       "http://[::1]:80",
                                       "http://[::ffff:127.0.0.1]",
                                       "http://169.254.169.254/latest",
                                       "http://169.254.170.2/v2/x",
                                       "http://169.254.170.23/v1/credentials",
                                       "http://[fd00:ec2::23]/v1/credentials",
                                       "http://[fd00:ec2::254]/latest",
                                       "http://[fe80::1%eth0]/"};
    static const char *const elsewhere[] = {"https://kinesis.eu-west-1.amazonaws.com",
                                            "http://localhost.example.com",
                                            "http://localhosts",
                                            "http://127.example.com",
                                            "http://169.254.example.com",
                                            "http://168.254.1.1",
                                            "http://10.0.0.1:9000",
                                            "http://[fd00:ec3::1]",
                                            "http://[2001:db8::1]",
                                            "http://127.0.0.1@example.com/",
                                            "http://[x]",
                                            ""};

    for (size_t i = 0; i < LEAT_COUNT_OF(here); i++)
        ck_assert_msg(leat_http_is_direct(here[i]), "%s", here[i]);
    for (size_t i = 0; i < LEAT_COUNT_OF(elsewhere); i++)
        ck_assert_msg(!leat_http_is_direct(elsewhere[i]), "%s", elsewhere[i]);
}
END_TEST

START_TEST(which_proxy)
{
    static const char aws[] = "https://kinesis.eu-west-1.amazonaws.com";

    ck_assert_str_eq(leat_http_proxy(aws), "");
    setenv("HTTP_PROXY", "http://cgi:1", 1);
    ck_assert_str_eq(leat_http_proxy("http://store.example"), "");
    setenv("ALL_PROXY", "http://all:1", 1);
    ck_assert_str_eq(leat_http_proxy(aws), "http://all:1");
    ck_assert_str_eq(leat_http_proxy("http://store.example"), "http://all:1");
    setenv("HTTPS_PROXY", "http://secure:1", 1);
    setenv("https_proxy", " ", 1);
    ck_assert_str_eq(leat_http_proxy(aws), "http://secure:1");
    ck_assert_str_eq(leat_http_proxy("http://store.example"), "http://all:1");
    ck_assert_str_eq(leat_http_proxy("http://169.254.170.23/v1/credentials"), "");
    ck_assert_str_eq(leat_http_proxy("https://localhost:1"), "");
}
END_TEST

/* ---- by the wire ---------------------------------------------------------------------------- */

struct told {
    bool is_done;
    int result;
    char text[LEAT_ERROR_TEXT_BYTES];
};

static void
on_done(void *context, const struct leat_http_answer *answer)
{
    struct told *told = context;

    told->is_done = true;
    told->result = answer->result;
    snprintf(told->text, sizeof told->text, "%s", answer->err.text);
}

static void
get(const char *url, struct told *told)
{
    struct leat_event_loop *loop = leat_event_loop_new(NULL, NULL);
    struct leat_http_request request = {
        .method = "GET", .url = url, .done = on_done, .context = told};
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    *told = (struct told){0};
    ck_assert_ptr_nonnull(loop);
    leat_http_start(loop, &request);
    while (!told->is_done && leat_clock_monotonic_us() < deadline_us)
        leat_event_loop_run_once(loop, deadline_us);
    ck_assert(told->is_done);
    leat_event_loop_free(loop);
}

START_TEST(through_a_proxy)
{
    struct canned_http *proxy = canned_http_new();
    struct canned_http *store = canned_http_new();
    struct told told;

    setenv("HTTPS_PROXY", canned_http_url(proxy), 1);
    setenv("http_proxy", canned_http_url(proxy), 1);
    canned_http_answer(proxy, 407, "", leat_slice_from(""));
    get("https://kinesis.eu-west-1.amazonaws.com", &told);
    ck_assert_int_lt(told.result, 0);
    ck_assert_msg(strstr(told.text, "407") != NULL, "%s", told.text);
    ck_assert_ptr_nonnull(strstr(canned_http_request(proxy, 0),
                                 "CONNECT kinesis.eu-west-1.amazonaws.com:443 HTTP/1.1\r\n"));
    canned_http_answer(proxy, 200, "", leat_slice_from(""));
    get("http://store.invalid/x", &told);
    ck_assert_int_eq(told.result, 0);
    ck_assert_ptr_nonnull(
        strstr(canned_http_request(proxy, 1), "GET http://store.invalid/x HTTP/1.1\r\n"));
    /* not to this machine, and not what NO_PROXY names */
    canned_http_answer(store, 200, "", leat_slice_from(""));
    get(canned_http_url(store), &told);
    ck_assert_int_eq(told.result, 0);
    setenv("NO_PROXY", "other.invalid,store.invalid", 1);
    get("http://store.invalid/x", &told);
    ck_assert_int_eq(told.result, LEAT_E_UNAVAILABLE);
    ck_assert_uint_eq(canned_http_count(proxy), 2);
    canned_http_free(store);
    canned_http_free(proxy);
}
END_TEST

START_TEST(a_proxys_password_is_not_told)
{
    static const char *const proxies[] = {"http://user:hunter2@bad host:1",
                                          "gopher://user:hunter2@127.0.0.1:1",
                                          "http://user:hunter2@proxy.invalid:1",
                                          "http://user:hunter2@127.0.0.1:99999", "user:hunter2@"};
    struct told told;

    for (size_t i = 0; i < LEAT_COUNT_OF(proxies); i++) {
        setenv("https_proxy", proxies[i], 1);
        get("https://kinesis.eu-west-1.amazonaws.com", &told);
        ck_assert_int_lt(told.result, 0);
        ck_assert_msg(strstr(told.text, "hunter2") == NULL, "%s", told.text);
        ck_assert_msg(strcasestr(told.text, "proxy") != NULL, "%s", told.text);
    }
}
END_TEST

START_TEST(user_agent)
{
    static const struct {
        const char *application, *agent;
    } cases[] = {
        {NULL, "leat/" LEAT_VERSION},
        {" ", "leat/" LEAT_VERSION},
        {"my-app.1", "leat/" LEAT_VERSION " app/my-app.1"},
        {"my app/1\r\nx: y", "leat/" LEAT_VERSION " app/my-app-1--x--y"},
        {"a12345678901234567890123456789012345678901234567890",
         "leat/" LEAT_VERSION " app/a1234567890123456789012345678901234567890123456789"},
    };
    struct canned_http *server = canned_http_new();
    struct told told;

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        LEAT_AUTO_BUF agent = LEAT_BUF_INIT;

        leat_http_user_agent(cases[i].application, &agent);
        ck_assert_str_eq(leat_buf_text(&agent), cases[i].agent);
    }
    setenv("AWS_SDK_UA_APP_ID", "my-app", 1);
    canned_http_answer(server, 200, "", leat_slice_from(""));
    get(canned_http_url(server), &told);
    ck_assert_ptr_nonnull(strcasestr(canned_http_request(server, 0),
                                     "user-agent: leat/" LEAT_VERSION " app/my-app\r\n"));
    canned_http_free(server);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("http environment");
    TCase *tests = tcase_create("http environment");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, clear_environment, NULL);
    tcase_add_test(tests, direct);
    tcase_add_test(tests, which_proxy);
    tcase_add_test(tests, through_a_proxy);
    tcase_add_test(tests, a_proxys_password_is_not_told);
    tcase_add_test(tests, user_agent);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
