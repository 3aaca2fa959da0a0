/* The three documents, whole, with holes, and as nobody should send them; nothing of a secret is in an error. */
#include "aws/credentials_json.h"

#include <stdlib.h>

#include "base/memory.h"

#include <check.h>

#define GOOD "\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"hidden\""
#define ENDS "\"Expiration\":\"2026-11-30T12:00:00Z\""
#define END_US (INT64_C(1796040000) * 1000000)

static const struct {
    enum leat_credentials_document document;
    const char *text;
    int result;
    const char *part; /* of the error, or the token */
} cases[] = {
    {LEAT_CREDENTIALS_OF_CONTAINER, "{" GOOD ",\"Token\":\"T\"," ENDS "}", 0, "T"},
    {LEAT_CREDENTIALS_OF_CONTAINER, "{" GOOD "," ENDS "}", 0, NULL},
    {LEAT_CREDENTIALS_OF_CONTAINER, "{" GOOD ",\"Token\":\"\"," ENDS "}", 0, NULL},
    {LEAT_CREDENTIALS_OF_CONTAINER, "{" GOOD "}", 0, NULL},
    {LEAT_CREDENTIALS_OF_CONTAINER, "{" GOOD ",\"Token\":[]," ENDS "}", LEAT_E_FORMAT, "no Token"},
    {LEAT_CREDENTIALS_OF_INSTANCE, "{" GOOD "," ENDS "}", LEAT_E_FORMAT, "no Token"},
    {LEAT_CREDENTIALS_OF_INSTANCE, "{" GOOD ",\"Token\":\"\"," ENDS "}", LEAT_E_FORMAT, "no Token"},
    {LEAT_CREDENTIALS_OF_INSTANCE, "{" GOOD ",\"Token\":\"T\"}", LEAT_E_FORMAT, "Expiration"},
    {LEAT_CREDENTIALS_OF_INSTANCE, "{" GOOD ",\"Token\":7," ENDS "}", LEAT_E_FORMAT, "no Token"},
    {LEAT_CREDENTIALS_OF_PROCESS, "{\"Version\":1," GOOD ",\"SessionToken\":7}", LEAT_E_FORMAT,
     "no SessionToken"},
    {LEAT_CREDENTIALS_OF_PROCESS, "{\"Version\":1," GOOD ",\"Expiration\":1764500000}",
     LEAT_E_FORMAT, "is no time"},
    {LEAT_CREDENTIALS_OF_CONTAINER, "{" GOOD ",\"Token\":\"T\"}", LEAT_E_FORMAT, "Expiration"},
    {LEAT_CREDENTIALS_OF_CONTAINER, "{" GOOD ",\"Expiration\":\"soon\"}", LEAT_E_FORMAT,
     "is no time"},
    {LEAT_CREDENTIALS_OF_CONTAINER, "{\"AccessKeyId\":\"AKID\"," ENDS "}", LEAT_E_FORMAT,
     "SecretAccessKey"},
    {LEAT_CREDENTIALS_OF_CONTAINER,
     "{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"hidden\"," ENDS "}", LEAT_E_FORMAT,
     "AccessKeyId"},
    {LEAT_CREDENTIALS_OF_CONTAINER,
     "{\"AccessKeyId\":null,\"SecretAccessKey\":\"hidden\"," ENDS "}", LEAT_E_FORMAT,
     "AccessKeyId"},
    {LEAT_CREDENTIALS_OF_CONTAINER, "{\"AccessKeyId\":7,\"SecretAccessKey\":\"hidden\"," ENDS "}",
     LEAT_E_FORMAT, "AccessKeyId"},
    {LEAT_CREDENTIALS_OF_CONTAINER,
     "{\"AccessKeyId\":\"\\u0000\",\"SecretAccessKey\":\"hidden\",\"Token\":\"T\"," ENDS "}",
     LEAT_E_FORMAT, "does not belong"},
    {LEAT_CREDENTIALS_OF_CONTAINER, "{" GOOD ",\"Token\":\"a\\r\\nb: c\"," ENDS "}", LEAT_E_FORMAT,
     "does not belong"},
    {LEAT_CREDENTIALS_OF_CONTAINER, "", LEAT_E_FORMAT, "no JSON"},
    {LEAT_CREDENTIALS_OF_CONTAINER, "[]", LEAT_E_FORMAT, "no object"},
    {LEAT_CREDENTIALS_OF_CONTAINER, "<html>hidden</html>", LEAT_E_FORMAT, "no JSON"},
    {LEAT_CREDENTIALS_OF_CONTAINER, "{" GOOD "," ENDS, LEAT_E_FORMAT, "no JSON"},
    {LEAT_CREDENTIALS_OF_INSTANCE, "{\"Code\":\"Success\"," GOOD ",\"Token\":\"T\"," ENDS "}", 0,
     "T"},
    {LEAT_CREDENTIALS_OF_INSTANCE,
     "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"hidden\"}", LEAT_E_DENIED,
     "AssumeRoleUnauthorizedAccess"},
    {LEAT_CREDENTIALS_OF_INSTANCE, "{\"Code\":\"hidden \\u001b[2J words\"}", LEAT_E_DENIED,
     "\"?\""},
    {LEAT_CREDENTIALS_OF_INSTANCE, "{\"code\":\"Failed\",\"message\":\"hidden\"}", LEAT_E_DENIED,
     "Failed"},
    {LEAT_CREDENTIALS_OF_INSTANCE,
     "{\"code\":\"Success\",\"ACCESSKEYID\":\"AKID\",\"secretaccesskey\":\"hidden\",\"token\":"
     "\"T\","
     "\"expiration\":\"2026-11-30 12:00:00.25+00:00\"}",
     0, "T"},
    {LEAT_CREDENTIALS_OF_CONTAINER, "{\"Token\":\"T\",\"token\":\"other\"," GOOD "," ENDS "}", 0,
     "T"},
    {LEAT_CREDENTIALS_OF_CONTAINER, "{\"Token\":null,\"token\":\"T\"," GOOD "," ENDS "}", 0, "T"},
    {LEAT_CREDENTIALS_OF_PROCESS, "{\"version\":1," GOOD ",\"sessiontoken\":\"S\"}", 0, "S"},
    {LEAT_CREDENTIALS_OF_PROCESS,
     "{\"Version\":1," GOOD ",\"SessionToken\":\"\",\"Expiration\":\"\"}", 0, NULL},
    {LEAT_CREDENTIALS_OF_PROCESS,
     "{\"Version\":1," GOOD ",\"SessionToken\":null,\"Expiration\":null}", 0, NULL},
    {LEAT_CREDENTIALS_OF_PROCESS, "{\"Version\":1," GOOD ",\"SessionToken\":\"S\"}", 0, "S"},
    {LEAT_CREDENTIALS_OF_PROCESS, "{\"Version\":1," GOOD ",\"SessionToken\":\"S\"," ENDS "}", 0,
     "S"},
    {LEAT_CREDENTIALS_OF_PROCESS, "{\"Version\":1," GOOD "}", 0, NULL},
    {LEAT_CREDENTIALS_OF_PROCESS, "{\"Version\":2," GOOD "}", LEAT_E_FORMAT, "Version 2"},
    {LEAT_CREDENTIALS_OF_PROCESS, "{" GOOD "}", LEAT_E_FORMAT, "no Version"},
    {LEAT_CREDENTIALS_OF_PROCESS, "{\"Version\":\"1\"," GOOD "}", LEAT_E_FORMAT, "no Version"},
};

START_TEST(documents)
{
    struct leat_credentials credentials = {0};
    struct leat_error err = {0};
    int result = leat_credentials_json_parse(leat_slice_from(cases[_i].text), cases[_i].document,
                                             &credentials, &err);

    ck_assert_msg(result == cases[_i].result, "case %d: %d %s", _i, result, err.text);
    ck_assert_ptr_null(strstr(err.text, "hidden"));
    if (result == 0) {
        ck_assert_str_eq(credentials.access_key_id, "AKID");
        ck_assert_str_eq(credentials.secret_access_key, "hidden");
        ck_assert_int_eq(credentials.expires_us / 1000000,
                         strstr(cases[_i].text, "2026-") != NULL ? END_US / 1000000 : 0);
        if (cases[_i].part == NULL)
            ck_assert_ptr_null(credentials.session_token);
        else
            ck_assert_str_eq(credentials.session_token, cases[_i].part);
    } else {
        ck_assert_ptr_null(credentials.access_key_id);
        ck_assert_msg(strstr(err.text, cases[_i].part) != NULL, "case %d: %s", _i, err.text);
    }
    leat_credentials_release(&credentials);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("credentials_json");
    TCase *tests = tcase_create("credentials_json");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, documents, 0, (int)LEAT_COUNT_OF(cases));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
