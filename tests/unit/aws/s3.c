/* A put counts as stored when a 200 with an ETag says so, and by nothing else: blocking and started alike. */
#include "aws/s3.h"

#include <check.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tests/support/canned_http.h"

static struct canned_http *server;
static struct leat_aws aws;
static struct leat_s3 *s3;
static struct leat_error err;

static const struct {
    int status;
    const char *headers;
    int result;
} answers[] = {
    {200, "ETag: \"0cc175b9c0f1b6a831c399e269772661\"\r\n", 0},
    {200, "", LEAT_E_UNAVAILABLE},
    {200, "ETag:\r\n", LEAT_E_UNAVAILABLE},
    {201, "ETag: \"a\"\r\n", LEAT_E_UNAVAILABLE},
    {202, "ETag: \"a\"\r\n", LEAT_E_UNAVAILABLE},
    {204, "", LEAT_E_UNAVAILABLE},
    {206, "ETag: \"a\"\r\n", LEAT_E_UNAVAILABLE},
};

START_TEST(test_a_blocking_put)
{
    canned_http_answer(server, answers[_i].status, answers[_i].headers, leat_slice_from(""));
    ck_assert_int_eq(
        leat_s3_put_object(s3, "bucket", leat_slice_from("k"), leat_slice_from("a"), NULL, &err),
        answers[_i].result);
    if (answers[_i].result != 0)
        ck_assert_msg(strstr(err.text, "is stored") != NULL, "%s", err.text);
    ck_assert_uint_eq(canned_http_count(server), 1);
}
END_TEST

/* A HEAD's answer has no body: the header alone says where the bucket is. */
START_TEST(test_a_bucket_elsewhere_says_where)
{
    canned_http_answer(server, 301, "x-amz-bucket-region: ap-south-1\r\n", leat_slice_from(""));
    ck_assert_int_ne(leat_s3_head_bucket(s3, "bucket", &err), 0);
    ck_assert_msg(strstr(err.text, "the bucket is in region \"ap-south-1\"") != NULL, "%s",
                  err.text);
    ck_assert_ptr_nonnull(strstr(err.text, "set aws.region"));
    canned_http_answer(server, 403, "x-amz-bucket-region: us-east-1\r\n", leat_slice_from(""));
    ck_assert_int_ne(leat_s3_head_bucket(s3, "bucket", &err), 0);
    ck_assert_ptr_null(strstr(err.text, "the bucket is in"));
}
END_TEST

struct told {
    bool is_done;
    int status;
};

static void
on_done(void *context, int status, const struct leat_error *why)
{
    struct told *told = context;

    told->is_done = true;
    told->status = status;
    err = *why;
}

static int
run_put(const char *bucket, struct leat_slice key)
{
    struct leat_event_loop *loop = leat_event_loop_new(NULL, &err);
    struct told told = {0};
    struct leat_s3_put put = {.bucket = bucket,
                              .key = key,
                              .body = leat_slice_from("a"),
                              .done = on_done,
                              .context = &told};

    (void)leat_s3_put_start(s3, loop, &put);
    ck_assert(!told.is_done); /* never inside start */
    while (!told.is_done)
        leat_event_loop_run_once(loop, INT64_MAX);
    leat_event_loop_free(loop);
    return told.status;
}

START_TEST(test_a_started_put)
{
    canned_http_answer(server, answers[_i].status, answers[_i].headers, leat_slice_from(""));
    ck_assert_int_eq(run_put("bucket", leat_slice_from("k")), answers[_i].result);
    if (answers[_i].result != 0)
        ck_assert_msg(strstr(err.text, "is stored") != NULL, "%s", err.text);
}
END_TEST

/* It goes out long after its start: what it is made of is still there. */
START_TEST(test_a_put_waits_for_credentials)
{
    static const struct leat_credentials_cache_options options = {0};
    struct leat_credentials_provider *given = aws.credentials;

    aws.credentials = leat_credentials_cache_new(given, &options);
    canned_http_answer(server, 200, "ETag: \"e\"\r\n", leat_slice_from(""));
    ck_assert_msg(run_put("bucket", leat_slice_from("k")) == 0, "%s", err.text);
    ck_assert_ptr_nonnull(
        strstr(canned_http_request(server, 0), "content-type: application/octet-stream\r\n"));
}
END_TEST

START_TEST(test_what_cannot_be_sent_is_told_later)
{
    ck_assert_int_eq(run_put("no bucket", leat_slice_from("k")), LEAT_E_INVALID);
    ck_assert_int_eq(run_put("bucket", leat_slice_make("a\0b", 3)), LEAT_E_INVALID);
}
END_TEST

START_TEST(test_a_cancelled_put_tells_nothing)
{
    struct leat_event_loop *loop = leat_event_loop_new(NULL, &err);
    struct told told = {0};
    struct leat_s3_put put = {.bucket = "bucket",
                              .key = leat_slice_from("k"),
                              .body = leat_slice_from("a"),
                              .done = on_done,
                              .context = &told};

    leat_s3_cancel(leat_s3_put_start(s3, loop, &put));
    put.bucket = "no bucket";
    leat_s3_cancel(leat_s3_put_start(s3, loop, &put));
    leat_s3_cancel(NULL);
    leat_event_loop_run_once(loop, 0);
    leat_event_loop_free(loop);
    ck_assert(!told.is_done);
}
END_TEST

/* Asked for, a bucket is in the host's name of a server that is not AWS's, too. */
START_TEST(test_a_bucket_in_the_name)
{
    char url[64];
    struct leat_s3 *other;

    snprintf(url, sizeof url, "http://localhost%s", strrchr(canned_http_url(server), ':'));
    aws.endpoints[LEAT_SERVICE_S3] = url;
    aws.s3_addressing = "virtual";
    other = leat_s3_new(&aws, &err);
    ck_assert_ptr_nonnull(other);
    canned_http_answer(server, 200, "ETag: \"e\"\r\n", leat_slice_from(""));
    ck_assert_int_eq(leat_s3_put_object(other, "bucket", leat_slice_from("key"),
                                        leat_slice_from("body"), NULL, &err),
                     0);
    ck_assert_ptr_nonnull(strstr(canned_http_request(server, 0), "PUT /key HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strcasestr(canned_http_request(server, 0), "host: bucket.localhost:"));
    leat_s3_free(other);
}
END_TEST

static void
setup(void)
{
    server = canned_http_new();
    aws = (struct leat_aws){.region = "us-east-1"};
    aws.endpoints[LEAT_SERVICE_S3] = canned_http_url(server);
    aws.credentials = leat_credentials_static_new("id", "secret", NULL);
    aws.retry.maximum_attempts = 1;
    s3 = leat_s3_new(&aws, &err);
    ck_assert_ptr_nonnull(s3);
}

static void
teardown(void)
{
    leat_s3_free(s3);
    leat_credentials_provider_free(aws.credentials);
    canned_http_free(server);
}

int
main(void)
{
    Suite *suite = suite_create("s3");
    TCase *tests = tcase_create("s3");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_a_blocking_put, 0, (int)LEAT_COUNT_OF(answers));
    tcase_add_loop_test(tests, test_a_started_put, 0, (int)LEAT_COUNT_OF(answers));
    tcase_add_test(tests, test_a_put_waits_for_credentials);
    tcase_add_test(tests, test_a_bucket_in_the_name);
    tcase_add_test(tests, test_a_bucket_elsewhere_says_where);
    tcase_add_test(tests, test_what_cannot_be_sent_is_told_later);
    tcase_add_test(tests, test_a_cancelled_put_tells_nothing);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
