/* Signing against AWS's published signature-v4 test suite, and verifying what was signed. */
#include <check.h>
#include <stdlib.h>

#include "aws/sign.h"
#include "base/memory.h"

#define NOW_US (INT64_C(1440938160) * 1000000) /* 2015-08-30T12:36:00Z */
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct leat_credentials credentials = {
    .access_key_id = (char *)"AKIDEXAMPLE",
    .secret_access_key = (char *)"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};

struct vector {
    const char *name, *method, *path, *query;
    const char *headers[5][2]; /* beside host */
    const char *payload_hash;
    const char *token;
    const char *signature;
};

/* Folded header lines (obsolete) are given as the values that they are. Names are the suite's; signatures its expected ones. */
static const struct vector vectors[] = {
    {"get-vanilla",
     "GET",
     "/",
     "",
     {{0}},
     EMPTY,
     NULL,
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-header-key-duplicate",
     "GET",
     "/",
     "",
     {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}},
     EMPTY,
     NULL,
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-multiline",
     "GET",
     "/",
     "",
     {{"My-Header1", "value1"}, {"My-Header1", "  value2"}, {"My-Header1", "     value3"}},
     EMPTY,
     NULL,
     "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790"},
    {"get-header-value-trim",
     "GET",
     "/",
     "",
     {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
     EMPTY,
     NULL,
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"get-relative-relative-normalized",
     "GET",
     "/example1/example2/../..",
     "",
     {{0}},
     EMPTY,
     NULL,
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash-pointless-dot-normalized",
     "GET",
     "/./example",
     "",
     {{0}},
     EMPTY,
     NULL,
     "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
    {"get-slashes-normalized",
     "GET",
     "//example//",
     "",
     {{0}},
     EMPTY,
     NULL,
     "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
    {"get-space-normalized",
     "GET",
     "/example space/",
     "",
     {{0}},
     EMPTY,
     NULL,
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-utf8",
     "GET",
     "/\xe1\x88\xb4",
     "",
     {{0}},
     EMPTY,
     NULL,
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-vanilla-query-order-encoded",
     "GET",
     "/",
     "Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
     {{0}},
     EMPTY,
     NULL,
     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/",
     "Param2=value2&Param1=value1",
     {{0}},
     EMPTY,
     NULL,
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-unreserved",
     "GET",
     "/",
     "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789"
     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     {{0}},
     EMPTY,
     NULL,
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query",
     "GET",
     "/",
     "\xe1\x88\xb4=bar",
     {{0}},
     EMPTY,
     NULL,
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-vanilla-with-session-token",
     "GET",
     "/",
     "",
     {{0}},
     EMPTY,
     "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
     "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
    {"post-vanilla-query",
     "POST",
     "/",
     "Param1=value1",
     {{0}},
     EMPTY,
     NULL,
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-x-www-form-urlencoded",
     "POST",
     "/",
     "",
     {{"Content-Type", "application/x-www-form-urlencoded"},
      {"Content-Length", "13"},
      {"x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"}},
     "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
     NULL,
     "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"},
};

static size_t
headers_of(const struct vector *vector, struct leat_sign_header headers[8])
{
    size_t count = 0;

    headers[count].name = leat_slice_from("Host");
    headers[count++].value = leat_slice_from("example.amazonaws.com");
    for (size_t i = 0; i < 5 && vector->headers[i][0] != NULL; i++) {
        headers[count].name = leat_slice_from(vector->headers[i][0]);
        headers[count++].value = leat_slice_from(vector->headers[i][1]);
    }
    return count;
}

START_TEST(suite_of_aws)
{
    const struct vector *vector = &vectors[_i];
    struct leat_sign_header headers[8];
    struct leat_credentials with_token = credentials;
    struct leat_sign_scope scope = {leat_slice_from("us-east-1"), leat_slice_from("service"),
                                    NOW_US};
    struct leat_sign_request request = {
        .method = leat_slice_from(vector->method),
        .path = leat_slice_from(vector->path),
        .query = leat_slice_from(vector->query),
        .headers = headers,
        .header_count = headers_of(vector, headers),
        .payload_hash = leat_slice_from(vector->payload_hash),
    };
    LEAT_AUTO_BUF authorization = LEAT_BUF_INIT;
    char date[17];
    const char *found;

    with_token.session_token = (char *)vector->token;
    leat_sign_request(&request, &with_token, &scope, date, &authorization);
    ck_assert_str_eq(date, "20150830T123600Z");
    found = strstr(leat_buf_text(&authorization), "Signature=");
    ck_assert_ptr_nonnull(found);
    ck_assert_msg(strcmp(found + 10, vector->signature) == 0, "%s: %s", vector->name, found);
}
END_TEST

START_TEST(authorization_of_the_suite)
{
    static const char expected[] =
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    struct leat_sign_header headers[8];
    struct leat_sign_scope scope = {leat_slice_from("us-east-1"), leat_slice_from("service"),
                                    NOW_US};
    struct leat_sign_request request = {
        leat_slice_from("GET"),           leat_slice_from("/"),  leat_slice_from(""), headers,
        headers_of(&vectors[0], headers), leat_slice_from(EMPTY)};
    LEAT_AUTO_BUF authorization = LEAT_BUF_INIT;
    char date[17];

    leat_sign_request(&request, &credentials, &scope, date, &authorization);
    ck_assert_str_eq(leat_buf_text(&authorization), expected);
}
END_TEST

/* S3: the path is escaped once; others: twice. */
START_TEST(paths)
{
    struct leat_sign_request request = {.method = leat_slice_from("GET"),
                                        .path = leat_slice_from("/b/a%20b%2Bc/../x~%7E"),
                                        .query = leat_slice_from("uploads&b=2&a=%2f"),
                                        .payload_hash = leat_slice_from("H")};
    LEAT_AUTO_BUF s3 = LEAT_BUF_INIT;
    LEAT_AUTO_BUF other = LEAT_BUF_INIT;

    leat_sign_canonical(&request, true, &s3);
    ck_assert_str_eq(leat_buf_text(&s3), "GET\n/b/a%20b%2Bc/../x~~\na=%2F&b=2&uploads=\n\n\nH");
    leat_sign_canonical(&request, false, &other);
    ck_assert_str_eq(leat_buf_text(&other), "GET\n/b/x~%257E\na=%2F&b=2&uploads=\n\n\nH");
}
END_TEST

/* A query of a lone "=" has one pair, and nothing in it. */
START_TEST(odd_queries)
{
    static const char *const cases[][2] = {
        {"=", "="}, {"&&", ""}, {"a", "a="}, {"=b&a=%zz", "=b&a=%25zz"}, {"a=b=c", "a=b%3Dc"}};

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        struct leat_sign_request request = {.method = leat_slice_from("GET"),
                                            .path = leat_slice_from(""),
                                            .query = leat_slice_from(cases[i][0]),
                                            .payload_hash = leat_slice_from("H")};
        LEAT_AUTO_BUF canonical = LEAT_BUF_INIT;
        char expected[64];

        leat_sign_canonical(&request, true, &canonical);
        snprintf(expected, sizeof expected, "GET\n/\n%s\n\n\nH", cases[i][1]);
        ck_assert_str_eq(leat_buf_text(&canonical), expected);
    }
}
END_TEST

/* ---- verify -------------------------------------------------------------------------------- */

struct received {
    struct leat_sign_header headers[8];
    struct leat_sign_request request;
    struct leat_buf authorization;
    char date[17], hash[LEAT_SHA256_HEX_BYTES];
    struct leat_sign_check check;
};

static struct leat_credentials known = {
    .access_key_id = (char *)"AKID", .secret_access_key = (char *)"secret", .session_token = NULL};

/* A request signed as the client does, as the server sees it. */
static void
receive(struct received *received, const char *service)
{
    struct leat_sign_scope scope = {leat_slice_from("eu-west-1"), leat_slice_from(service), NOW_US};
    size_t count = 0;

    memset(received, 0, sizeof *received);
    leat_buf_init(&received->authorization, SIZE_MAX);
    leat_sha256_hex(leat_slice_from("the body"), received->hash);
    received->headers[count++] =
        (struct leat_sign_header){leat_slice_from("Host"), leat_slice_from("localhost:4567")};
    received->headers[count++] = (struct leat_sign_header){
        leat_slice_from("X-Amz-Target"), leat_slice_from("Kinesis_20131202.ListShards")};
    if (strcmp(service, "s3") == 0)
        received->headers[count++] = (struct leat_sign_header){
            leat_slice_from("x-amz-content-sha256"), leat_slice_from(received->hash)};
    received->request = (struct leat_sign_request){leat_slice_from("POST"),
                                                   leat_slice_from("/a%20b"),
                                                   leat_slice_from("b=1&a"),
                                                   received->headers,
                                                   count,
                                                   leat_slice_from(received->hash)};
    leat_sign_request(&received->request, &known, &scope, received->date, &received->authorization);
    received->headers[count++] =
        (struct leat_sign_header){leat_slice_from("X-Amz-Date"), leat_slice_from(received->date)};
    if (known.session_token != NULL)
        received->headers[count++] = (struct leat_sign_header){
            leat_slice_from("X-Amz-Security-Token"), leat_slice_from(known.session_token)};
    received->headers[count++] = (struct leat_sign_header){
        leat_slice_from("authorization"), leat_buf_slice(&received->authorization)};
    received->headers[count++] =
        (struct leat_sign_header){leat_slice_from("User-Agent"), leat_slice_from("not signed")};
    received->request.header_count = count;
    received->check = (struct leat_sign_check){
        .credentials = &known,
        .region = leat_slice_from("eu-west-1"),
        .service = leat_slice_from(service),
        .now_us = NOW_US + 1000000,
        .maximum_skew_us = INT64_C(300000000),
        .body_hash = leat_slice_from(received->hash),
    };
}

static enum leat_sign_verdict
verdict(const struct received *received)
{
    return leat_sign_verify(&received->request, &received->check);
}

START_TEST(verify_accepts)
{
    static const char *const services[] = {"kinesis", "s3"};

    for (size_t i = 0; i < LEAT_COUNT_OF(services); i++) {
        for (int with_token = 0; with_token < 2; with_token++) {
            struct received received;
            struct leat_slice key;

            known.session_token = with_token ? (char *)"token+/=" : NULL;
            receive(&received, services[i]);
            ck_assert_int_eq(verdict(&received), LEAT_SIGN_OK);
            ck_assert(leat_sign_access_key(&received.request, &key));
            ck_assert(leat_slice_is(key, "AKID"));
            leat_buf_release(&received.authorization);
        }
    }
    known.session_token = NULL;
}
END_TEST

START_TEST(verify_refuses)
{
    struct received received;
    struct leat_credentials other = known;
    char altered[LEAT_SHA256_HEX_BYTES];

    receive(&received, "s3");
    received.request.path = leat_slice_from("/a%20c");
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_MISMATCH);
    received.request.path = leat_slice_from("/a%20b");
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_OK);
    received.request.query = leat_slice_from("a&b=1"); /* another order is the same query */
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_OK);
    received.request.query = leat_slice_from("a&b=2");
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_MISMATCH);
    received.request.query = leat_slice_from("b=1&a");

    received.headers[1].value = leat_slice_from("Kinesis_20131202.DeleteStream");
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_MISMATCH);
    received.headers[1].value = leat_slice_from("Kinesis_20131202.ListShards");

    other.secret_access_key = (char *)"another";
    received.check.credentials = &other;
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_MISMATCH);
    other.access_key_id = (char *)"AKIE";
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_UNKNOWN_KEY);
    other = known;
    other.session_token = (char *)"wanted";
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_BAD_TOKEN);
    received.check.credentials = &known;

    leat_sha256_hex(leat_slice_from("another body"), altered);
    received.check.body_hash = leat_slice_from(altered);
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_WRONG_BODY);
    received.check.body_hash = leat_slice_from(received.hash);

    received.check.now_us = NOW_US + INT64_C(301000000);
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_SKEWED);
    received.check.now_us = NOW_US - INT64_C(301000000);
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_SKEWED);
    received.check.now_us = NOW_US;

    received.check.region = leat_slice_from("us-east-1");
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_WRONG_SCOPE);
    received.check.region = leat_slice_from("");
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_OK);
    received.check.service = leat_slice_from("kinesis");
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_WRONG_SCOPE);
    leat_buf_release(&received.authorization);
}
END_TEST

START_TEST(verify_kinesis_body)
{
    struct received received;
    char altered[LEAT_SHA256_HEX_BYTES];

    receive(&received, "kinesis"); /* no x-amz-content-sha256: the body itself is what is signed */
    leat_sha256_hex(leat_slice_from("another body"), altered);
    received.check.body_hash = leat_slice_from(altered);
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_MISMATCH);
    leat_buf_release(&received.authorization);
}
END_TEST

START_TEST(verify_malformed)
{
    static const char *const values[] = {
        "",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ",
        "Basic abc",
        "AWS4-HMAC-SHA256 Credential=AKID/20150830/eu-west-1/s3/aws4_request, SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=AKID/2015/eu-west-1/s3/aws4_request, SignedHeaders=host, "
        "Signature=00",
        "AWS4-HMAC-SHA256 Credential=/20150830/eu-west-1/s3/aws4_request, SignedHeaders=host, "
        "Signature=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "AWS4-HMAC-SHA256 Credential=AKID/20150830/eu-west-1/s3/aws4_request, "
        "SignedHeaders=x-amz-date, "
        "Signature=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    };
    struct received received;
    size_t place;

    receive(&received, "s3");
    place = received.request.header_count - 2;
    ck_assert(leat_slice_is(received.headers[place].name, "authorization"));
    for (size_t i = 0; i < LEAT_COUNT_OF(values); i++) {
        received.headers[place].value = leat_slice_from(values[i]);
        ck_assert_msg(verdict(&received) == LEAT_SIGN_MALFORMED, "%s", values[i]);
    }
    received.headers[place].name = leat_slice_from("x-other");
    ck_assert_int_eq(verdict(&received), LEAT_SIGN_MISSING);
    leat_buf_release(&received.authorization);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sign");
    TCase *tests = tcase_create("sign");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, suite_of_aws, 0, (int)LEAT_COUNT_OF(vectors));
    tcase_add_test(tests, authorization_of_the_suite);
    tcase_add_test(tests, paths);
    tcase_add_test(tests, odd_queries);
    tcase_add_test(tests, verify_accepts);
    tcase_add_test(tests, verify_refuses);
    tcase_add_test(tests, verify_kinesis_body);
    tcase_add_test(tests, verify_malformed);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
