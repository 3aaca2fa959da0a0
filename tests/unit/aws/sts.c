/* What STS answers, whole, with holes, and as nobody should send it; nothing of a secret is in an error. */
#include "aws/sts.h"

#include "base/memory.h"

#include <check.h>

#define ANSWER(credentials)                                                                        \
    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>"   \
    "<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser>"                \
    "<Credentials>" credentials "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
#define KEYS                                                                                       \
    "<AccessKeyId>AKID</AccessKeyId><SecretAccessKey>hidden</SecretAccessKey>"                     \
    "<SessionToken>T</SessionToken>"
#define END_US (INT64_C(1796040000) * 1000000)

static const struct {
    const char *text, *part; /* of the error; NULL: they are good */
} cases[] = {
    {ANSWER(KEYS "<Expiration>2026-11-30T12:00:00Z</Expiration>"), NULL},
    {ANSWER("<Expiration>2026-11-30T13:00:00.5+01:00</Expiration>" KEYS), NULL},
    {ANSWER("<Expiration>2026-11-30 12:00:00.123+00:00</Expiration>" KEYS), NULL},
    {ANSWER(KEYS), "no Expiration"},
    {ANSWER(KEYS "<Expiration></Expiration>"), "no Expiration"},
    {ANSWER(KEYS "<Expiration>soon, hidden</Expiration>"), "is no time"},
    {ANSWER(KEYS "<Expiration>2026-11-30T12:00:00Z\n2026</Expiration>"), "is no time"},
    {ANSWER("<AccessKeyId>AKID</AccessKeyId><SessionToken>T</SessionToken>"), "no SecretAccessKey"},
    {ANSWER("<AccessKeyId>A KID</AccessKeyId><SecretAccessKey>hidden</SecretAccessKey>"
            "<SessionToken>T</SessionToken><Expiration>2026-11-30T12:00:00Z</Expiration>"),
     "does not belong"},
    {ANSWER("<AccessKeyId>AKID</AccessKeyId><SecretAccessKey>hidden</SecretAccessKey>"
            "<SessionToken>T&#10;X: 1</SessionToken><Expiration>2026-11-30T12:00:00Z</Expiration>"),
     "does not belong"},
    {"<AssumeRoleResponse>" KEYS "</AssumeRoleResponse>", "no AccessKeyId"},
    {"{\"AccessKeyId\":\"hidden\"}", "no AccessKeyId"},
    {"", "no AccessKeyId"},
    {"<AssumeRoleResponse>" KEYS, "no XML"},
};

START_TEST(documents)
{
    struct leat_credentials credentials = {0};
    struct leat_error err = {0};
    int result = leat_sts_parse(leat_slice_from(cases[_i].text), &credentials, &err);

    ck_assert_msg((result == 0) == (cases[_i].part == NULL), "case %d: %s", _i, err.text);
    ck_assert_ptr_null(strstr(err.text, "hidden"));
    if (result == 0) {
        ck_assert_str_eq(credentials.access_key_id, "AKID");
        ck_assert_str_eq(credentials.secret_access_key, "hidden");
        ck_assert_str_eq(credentials.session_token, "T");
        ck_assert_int_eq(credentials.expires_us / 1000000, END_US / 1000000);
    } else {
        ck_assert_int_eq(result, LEAT_E_FORMAT);
        ck_assert_ptr_null(credentials.access_key_id);
        ck_assert_msg(strstr(err.text, cases[_i].part) != NULL, "case %d: %s", _i, err.text);
    }
    leat_credentials_release(&credentials);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sts");
    TCase *tests = tcase_create("sts");
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
