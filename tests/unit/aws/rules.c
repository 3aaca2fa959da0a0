/* The small pure parts: endpoints, faults, retries, the wire's two encodings, XML. */
#include <check.h>
#include <json-c/json.h>
#include <stdlib.h>

#include "aws/endpoint.h"
#include "aws/fault.h"
#include "aws/refusal.h"
#include "aws/retry.h"
#include "aws/wire.h"
#include "aws/xml.h"
#include "base/memory.h"

static struct leat_error err;

/* ---- endpoints ----------------------------------------------------------------------------- */

START_TEST(endpoints)
{
    static const struct {
        enum leat_service service;
        struct leat_endpoint_inputs inputs;
        const char *url, *host, *path;
        bool is_custom;
    } cases[] = {
        {LEAT_SERVICE_KINESIS,
         {.region = "eu-west-1"},
         "https://kinesis.eu-west-1.amazonaws.com",
         "kinesis.eu-west-1.amazonaws.com",
         "",
         false},
        {LEAT_SERVICE_S3,
         {.region = "cn-north-1"},
         "https://s3.cn-north-1.amazonaws.com.cn",
         "s3.cn-north-1.amazonaws.com.cn",
         "",
         false},
        {LEAT_SERVICE_STS,
         {.region = "us-east-1"},
         "https://sts.us-east-1.amazonaws.com",
         "sts.us-east-1.amazonaws.com",
         "",
         false},
        {LEAT_SERVICE_S3,
         {.region = "r", .environment_all = "http://all:1"},
         "http://all:1",
         "all:1",
         "",
         true},
        {LEAT_SERVICE_S3,
         {.region = "r", .environment_all = "http://all:1", .environment_service = "http://s3:80/"},
         "http://s3:80",
         "s3",
         "",
         true},
        {LEAT_SERVICE_S3,
         {.region = "r", .environment_service = "http://x", .configured = "https://h:443/base/"},
         "https://h:443/base",
         "h",
         "/base",
         true},
        {LEAT_SERVICE_KINESIS,
         {.region = "r", .configured = "http://[::1]:4567"},
         "http://[::1]:4567",
         "[::1]:4567",
         "",
         true},
        {LEAT_SERVICE_KINESIS,
         {.region = "r", .configured = "https://vpce-1.kinesis.eu-west-1.vpce.amazonaws.com"},
         "https://vpce-1.kinesis.eu-west-1.vpce.amazonaws.com",
         "vpce-1.kinesis.eu-west-1.vpce.amazonaws.com",
         "",
         false},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        struct leat_endpoint endpoint;

        ck_assert_int_eq(leat_endpoint_make(cases[i].service, &cases[i].inputs, &endpoint, &err),
                         0);
        ck_assert_str_eq(endpoint.url, cases[i].url);
        ck_assert_str_eq(endpoint.host, cases[i].host);
        ck_assert_str_eq(endpoint.path, cases[i].path);
        ck_assert_int_eq(endpoint.is_custom, cases[i].is_custom);
    }
}
END_TEST

START_TEST(bad_endpoints)
{
    static const char *const urls[] = {"localhost:4567",
                                       "ftp://x",
                                       "http://",
                                       "http://:80",
                                       "http://user:secret@h",
                                       "http://h?x",
                                       "http://h/a b",
                                       "http://h\n",
                                       "http://h#x",
                                       "x\r\nx-evil: 1",
                                       "http://h\r\nx-evil: 1",
                                       "http://h\x01"};
    static const char *const regions[] = {"",    "eu west",        "eu-west-1/", "-x",
                                          "a.b", "r\r\nx-evil: 1", "r\x7f",      "r\xc3\xa9"};
    struct leat_endpoint endpoint;

    for (size_t i = 0; i < LEAT_COUNT_OF(urls); i++) {
        struct leat_endpoint_inputs inputs = {.region = "r", .configured = urls[i]};

        ck_assert_msg(leat_endpoint_make(LEAT_SERVICE_S3, &inputs, &endpoint, &err) ==
                          LEAT_E_INVALID,
                      "%s", urls[i]);
        ck_assert_ptr_null(strstr(err.text, "secret"));
        ck_assert_ptr_null(strpbrk(err.text, "\r\n\x01"));
    }
    for (size_t i = 0; i < LEAT_COUNT_OF(regions); i++) {
        struct leat_endpoint_inputs inputs = {.region = regions[i]};

        ck_assert_int_eq(leat_endpoint_make(LEAT_SERVICE_S3, &inputs, &endpoint, &err),
                         LEAT_E_INVALID);
        ck_assert_ptr_null(strpbrk(err.text, "\r\n\x7f"));
    }
}
END_TEST

START_TEST(regions)
{
    struct leat_endpoint endpoint;
    char region[64];

    setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    unsetenv("AWS_ENDPOINT_URL");
    unsetenv("AWS_ENDPOINT_URL_KINESIS");
    ck_assert_int_eq(leat_region_resolve("", NULL, false, region, &err), LEAT_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "AWS_REGION"));
    ck_assert_int_eq(leat_region_resolve(NULL, NULL, true, region, &err), 0);
    ck_assert_str_eq(region, "us-east-1");
    setenv("AWS_DEFAULT_REGION", "eu-west-2", 1);
    ck_assert_int_eq(leat_region_resolve(NULL, NULL, false, region, &err), 0);
    ck_assert_str_eq(region, "eu-west-2");
    setenv("AWS_REGION", "eu-west-3", 1);
    ck_assert_int_eq(leat_region_resolve(NULL, NULL, false, region, &err), 0);
    ck_assert_str_eq(region, "eu-west-3");
    ck_assert_int_eq(leat_region_resolve("us-west-1", NULL, false, region, &err), 0);
    ck_assert_str_eq(region, "us-west-1");
    setenv("AWS_ENDPOINT_URL_KINESIS", "http://k:1", 1);
    setenv("AWS_ENDPOINT_URL", "http://all:1", 1);
    ck_assert_int_eq(leat_endpoint_resolve(LEAT_SERVICE_KINESIS, NULL, NULL, NULL, &endpoint, &err),
                     0);
    ck_assert_str_eq(endpoint.url, "http://k:1");
    ck_assert_int_eq(leat_endpoint_resolve(LEAT_SERVICE_S3, NULL, NULL, NULL, &endpoint, &err), 0);
    ck_assert_str_eq(endpoint.url, "http://all:1");
}
END_TEST

/* ---- faults -------------------------------------------------------------------------------- */

START_TEST(faults)
{
    static const struct {
        int status;
        const char *type;
        enum leat_fault_kind kind;
        int code;
    } cases[] = {
        {400, "ProvisionedThroughputExceededException", LEAT_FAULT_THROTTLED, LEAT_E_THROTTLED},
        {400, "com.amazonaws.kinesis.v20131202#LimitExceededException", LEAT_FAULT_THROTTLED,
         LEAT_E_THROTTLED},
        {400, "KMSThrottlingException:http://x", LEAT_FAULT_THROTTLED, LEAT_E_THROTTLED},
        {503, "SlowDown", LEAT_FAULT_THROTTLED, LEAT_E_THROTTLED},
        {429, "", LEAT_FAULT_THROTTLED, LEAT_E_THROTTLED},
        {400, "ResourceNotFoundException", LEAT_FAULT_NOT_FOUND, LEAT_E_NOT_FOUND},
        {400, "ExpiredIteratorException", LEAT_FAULT_EXPIRED_ITERATOR, LEAT_E_EXPIRED},
        {400, "ExpiredNextTokenException", LEAT_FAULT_EXPIRED_PAGE, LEAT_E_EXPIRED},
        {400, "InvalidArgumentException", LEAT_FAULT_INVALID, LEAT_E_INVALID},
        {400, "ValidationException", LEAT_FAULT_INVALID, LEAT_E_INVALID},
        {400, "ResourceInUseException", LEAT_FAULT_CONFLICT, LEAT_E_CONFLICT},
        {400, "AccessDeniedException", LEAT_FAULT_DENIED, LEAT_E_DENIED},
        {400, "UnrecognizedClientException", LEAT_FAULT_DENIED, LEAT_E_DENIED},
        {400, "ExpiredTokenException", LEAT_FAULT_EXPIRED_TOKEN, LEAT_E_DENIED},
        {400, "KMSAccessDeniedException", LEAT_FAULT_DENIED, LEAT_E_DENIED},
        {403, "RequestTimeTooSkewed", LEAT_FAULT_SKEWED, LEAT_E_DENIED},
        {500, "InternalFailure", LEAT_FAULT_SERVER, LEAT_E_UNAVAILABLE},
        {502, "", LEAT_FAULT_SERVER, LEAT_E_UNAVAILABLE},
        {400, "IDPCommunicationError", LEAT_FAULT_SERVER, LEAT_E_UNAVAILABLE},
        {400, "InvalidIdentityToken", LEAT_FAULT_INVALID, LEAT_E_INVALID},
        {404, "", LEAT_FAULT_NOT_FOUND, LEAT_E_NOT_FOUND},
        {400, "SomethingNew", LEAT_FAULT_INVALID, LEAT_E_INVALID},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        struct leat_fault_subject subject = {"kinesis", "GetRecords", "stream",
                                             leat_slice_from("s")};
        struct leat_fault fault;

        leat_fault_classify(cases[i].status, leat_slice_from(cases[i].type), &fault);
        ck_assert_msg(fault.kind == cases[i].kind, "%s", cases[i].type);
        ck_assert_int_eq(leat_fault_error(&fault, &subject, leat_slice_from(""), &err),
                         cases[i].code);
        ck_assert_int_eq(err.is_throttled, cases[i].code == LEAT_E_THROTTLED);
        ck_assert_int_eq(err.http_status, cases[i].status);
    }
}
END_TEST

START_TEST(refusals)
{
    static const struct {
        const char *content_type, *body, *type, *message;
    } cases[] = {
        {"application/x-amz-json-1.1", "{\"__type\":\"A\",\"message\":\"b\"}", "A", "b"},
        {"", "{\"code\":\"A\",\"Message\":\"b\"}", "A", "b"},
        {LEAT_WIRE_CBOR_TYPE, "\xa2\x66__type\x61\x41\x67message\x61\x62", "A", "b"},
        {"", "<?xml version=\"1.0\"?><Error><Code>A</Code><Message>b&lt;</Message></Error>", "A",
         "b<"},
        {"", "<Error><Code>A</Code><Mess", "A", ""},
        {"text/html", "<!DOCTYPE html><html>", "", ""},
        {"", "", "", ""},
        {"application/x-amz-json-1.1", "[1]", "", ""},
        {LEAT_WIRE_CBOR_TYPE, "\xff", "", ""},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        LEAT_AUTO_BUF body = LEAT_BUF_INIT;
        struct leat_refusal refusal;

        leat_buf_add_text(&body, cases[i].body);
        leat_refusal_parse(&body, leat_slice_from(cases[i].content_type), &refusal);
        ck_assert_str_eq(refusal.type, cases[i].type);
        ck_assert_str_eq(refusal.message, cases[i].message);
    }
}
END_TEST

/* ---- retries ------------------------------------------------------------------------------- */

START_TEST(retries)
{
    struct leat_retry_policy policy = {.maximum_attempts = 3,
                                       .budget_us = 1000000,
                                       .base_us = 1000,
                                       .cap_us = 4000,
                                       .throttle_base_us = 10000,
                                       .throttle_cap_us = 20000};
    struct leat_fault server_fault = {.kind = LEAT_FAULT_SERVER};
    struct leat_fault throttle = {.kind = LEAT_FAULT_THROTTLED};
    struct leat_fault denied = {.kind = LEAT_FAULT_DENIED};
    struct leat_fault expired = {.kind = LEAT_FAULT_EXPIRED_TOKEN};
    struct leat_fault skewed = {.kind = LEAT_FAULT_SKEWED};
    struct leat_random random;
    struct leat_retry_state state;
    struct leat_retry_verdict verdict;

    leat_random_seed(&random, 1);
    for (int round = 0; round < 1000; round++) {
        leat_retry_begin(&state, 0);
        verdict = leat_retry_decide(&policy, &state, &server_fault, 0, 0, &random);
        ck_assert_int_eq(verdict.action, LEAT_RETRY_WAIT);
        ck_assert(verdict.wait_us >= 0 && verdict.wait_us <= 1000);
        for (int i = 0; i < 20; i++) { /* throttles use no attempts up */
            verdict = leat_retry_decide(&policy, &state, &throttle, 0, 0, &random);
            ck_assert_int_eq(verdict.action, LEAT_RETRY_WAIT);
            ck_assert(verdict.wait_us <= 20000);
        }
        verdict = leat_retry_decide(&policy, &state, &server_fault, 0, 0, &random);
        ck_assert_int_eq(verdict.action, LEAT_RETRY_WAIT);
        ck_assert(verdict.wait_us <= 2000);
        verdict = leat_retry_decide(&policy, &state, &server_fault, 0, 0, &random);
        ck_assert_int_eq(verdict.action, LEAT_RETRY_GIVE_UP);
    }
    leat_retry_begin(&state, 0);
    verdict = leat_retry_decide(&policy, &state, &throttle, 2000000, 0, &random);
    ck_assert_int_eq(verdict.action, LEAT_RETRY_GIVE_UP); /* the budget */
    leat_retry_begin(&state, 0);
    verdict = leat_retry_decide(&policy, &state, &throttle, 0, 500000, &random);
    ck_assert_int_eq(verdict.wait_us, 500000); /* as asked */
    ck_assert_int_eq(leat_retry_decide(&policy, &state, &denied, 0, 0, &random).action,
                     LEAT_RETRY_GIVE_UP);
    ck_assert_int_eq(leat_retry_decide(&policy, &state, &expired, 0, 0, &random).action,
                     LEAT_RETRY_REFRESH);
    ck_assert_int_eq(leat_retry_decide(&policy, &state, &expired, 0, 0, &random).action,
                     LEAT_RETRY_GIVE_UP);
    ck_assert_int_eq(leat_retry_decide(&policy, &state, &skewed, 0, 0, &random).action,
                     LEAT_RETRY_CORRECT_CLOCK);
    ck_assert_int_eq(leat_retry_decide(&policy, &state, &skewed, 0, 0, &random).action,
                     LEAT_RETRY_GIVE_UP);
}
END_TEST

START_TEST(attempts)
{
    static const struct {
        const char *attempts, *mode;
        int expected; /* -1: refused */
    } cases[] = {{NULL, NULL, 0},         {"7", NULL, 7},      {"7", "standard", 7},
                 {NULL, "Standard", 3},   {NULL, "legacy", 5}, {NULL, "adaptive", 3},
                 {"0", NULL, -1},         {"1001", NULL, -1},  {"many", "standard", -1},
                 {"7", "exponential", -1}};

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        struct leat_setting maximum = {(char *)cases[i].attempts, "AWS_MAX_ATTEMPTS"};
        struct leat_setting mode = {(char *)cases[i].mode, "AWS_RETRY_MODE"};
        unsigned count = 99;
        int result = leat_retry_attempts(&maximum, &mode, &count, &err);

        if (cases[i].expected < 0) {
            ck_assert_int_eq(result, LEAT_E_INVALID);
            ck_assert_ptr_nonnull(strstr(err.text, "AWS_"));
            continue;
        }
        ck_assert_int_eq(result, 0);
        ck_assert_uint_eq(count, (unsigned)cases[i].expected);
    }
}
END_TEST

/* ---- the wire ------------------------------------------------------------------------------ */

START_TEST(wire_both_ways)
{
    for (int encoding = LEAT_WIRE_CBOR; encoding <= LEAT_WIRE_JSON; encoding++) {
        LEAT_AUTO_BUF buf = LEAT_BUF_INIT;
        struct leat_wire wire;
        struct json_object *root;
        struct leat_slice text;
        int64_t number = 0, us = 0;
        bool flag = false, has_tag = false;

        leat_wire_begin(&wire, (enum leat_wire_encoding)encoding, &buf);
        leat_wire_object(&wire, NULL, 6);
        leat_wire_text(&wire, "text", leat_slice_from("a\"\xc3\xa9"));
        leat_wire_bytes(&wire, "bytes", leat_slice_make("\0\1", 2));
        leat_wire_integer(&wire, "number", -5);
        leat_wire_bool(&wire, "flag", true);
        leat_wire_time(&wire, "time", INT64_C(1795381536911000));
        leat_wire_array(&wire, "array", 2);
        leat_wire_integer(&wire, NULL, 1);
        leat_wire_object(&wire, NULL, 0);
        leat_wire_object_end(&wire);
        leat_wire_array_end(&wire);
        leat_wire_object_end(&wire);
        ck_assert_int_eq(leat_wire_parse(buf.data, buf.size, (enum leat_wire_encoding)encoding,
                                         &root, &has_tag, &err),
                         0);
        ck_assert(leat_json_get_text(root, "text", &text) && leat_slice_is(text, "a\"\xc3\xa9"));
        ck_assert(leat_json_get_text(root, "bytes", &text) && leat_slice_is(text, "AAE="));
        ck_assert(leat_json_get_integer(root, "number", &number) && number == -5);
        ck_assert(leat_json_get_bool(root, "flag", &flag) && flag);
        ck_assert(leat_wire_get_time(root, "time", &us));
        ck_assert_int_eq(us, INT64_C(1795381536911000));
        ck_assert_uint_eq(json_object_array_length(leat_json_get(root, "array")), 2);
        ck_assert_int_eq(has_tag, encoding == LEAT_WIRE_CBOR);
        json_object_put(root);
        ck_assert_int_eq(leat_wire_parse(buf.data, buf.size - 1, (enum leat_wire_encoding)encoding,
                                         &root, NULL, &err),
                         LEAT_E_FORMAT);
    }
}
END_TEST

START_TEST(wire_types)
{
    enum leat_wire_encoding encoding;

    ck_assert(leat_wire_encoding_of(leat_slice_from("Application/X-Amz-Cbor-1.1; x=y"), &encoding));
    ck_assert_int_eq(encoding, LEAT_WIRE_CBOR);
    ck_assert(leat_wire_encoding_of(leat_slice_from("application/json ;charset=utf-8"), &encoding));
    ck_assert_int_eq(encoding, LEAT_WIRE_JSON);
    ck_assert(!leat_wire_encoding_of(leat_slice_from("text/html"), &encoding));
    ck_assert(!leat_wire_encoding_of(leat_slice_from(""), &encoding));
}
END_TEST

/* ---- XML ----------------------------------------------------------------------------------- */

static char seen[256];

static void
xml_begin(void *context, struct leat_slice name, unsigned depth)
{
    size_t used = strlen(seen);

    snprintf(seen + used, sizeof seen - used, "(%u%.*s ", depth, (int)name.size,
             (const char *)name.data);
}

static void
xml_end(void *context, struct leat_slice name, unsigned depth, struct leat_slice text)
{
    size_t used = strlen(seen);

    snprintf(seen + used, sizeof seen - used, "%.*s)", (int)text.size, (const char *)text.data);
}

static int
parse_xml(const char *text)
{
    static const struct leat_xml_events events = {xml_begin, xml_end};

    seen[0] = '\0';
    return leat_xml_parse(leat_slice_from(text), &events, NULL, NULL);
}

START_TEST(xml)
{
    ck_assert_int_eq(parse_xml("<?xml version='1.0'?>\n<!-- <x> -->\n<ns:a b=\"1>2\" c='/'>\n"
                               "  <b>x &amp;&#65;&#x20AC;</b> <c/><d></d>\n</ns:a>\n"),
                     0);
    ck_assert_str_eq(seen, "(0a (1b x &A\xe2\x82\xac)(1c )(1d ))");
}
END_TEST

START_TEST(bad_xml)
{
    static const char *const cases[] = {
        "<a>",
        "<a></b>",
        "</a>",
        "<a",
        "<a b=\"></a>",
        "<a>&x;</a>",
        "<a>&#;</a>",
        "<a>&#x110000;</a>",
        "<a>&#xD800;</a>",
        "<a>&amp</a>",
        "<!DOCTYPE a><a/>",
        "<a><![CDATA[x]]></a>",
        "<>",
        "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++)
        ck_assert_msg(parse_xml(cases[i]) == LEAT_E_FORMAT, "%s", cases[i]);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("aws rules");
    TCase *tests = tcase_create("aws rules");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, endpoints);
    tcase_add_test(tests, bad_endpoints);
    tcase_add_test(tests, regions);
    tcase_add_test(tests, faults);
    tcase_add_test(tests, refusals);
    tcase_add_test(tests, retries);
    tcase_add_test(tests, attempts);
    tcase_add_test(tests, wire_both_ways);
    tcase_add_test(tests, wire_types);
    tcase_add_test(tests, xml);
    tcase_add_test(tests, bad_xml);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
