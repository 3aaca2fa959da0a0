/* What the roles server remembers and which names it takes. */
#include <check.h>
#include <stdio.h>

#include "base/memory.h"
#include "local/roles_store.h"

static struct leat_local_issued_list issued;
static struct leat_local_badge_list badges;

static void
teardown(void)
{
    leat_local_issued_release(&issued);
    leat_local_badges_release(&badges);
}

static const struct leat_local_issued *
make(int64_t expires_us)
{
    return leat_local_issued_make(&issued, "arn:aws:sts::1:assumed-role/r/s", "AROA:s", expires_us);
}

START_TEST(issued_credentials_look_like_those_of_sts)
{
    const struct leat_local_issued *one = make(5);

    ck_assert_int_eq(strncmp(one->credentials.access_key_id, "ASIA", 4), 0);
    ck_assert_uint_eq(strlen(one->credentials.access_key_id), 20);
    ck_assert_uint_eq(strspn(one->credentials.access_key_id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
                      20);
    ck_assert_uint_eq(strlen(one->credentials.secret_access_key), 40);
    ck_assert_uint_gt(strlen(one->credentials.session_token), 300);
    ck_assert_int_eq(one->expires_us, 5);
    ck_assert_str_eq(one->arn, "arn:aws:sts::1:assumed-role/r/s");
}
END_TEST

START_TEST(no_two_are_the_same)
{
    LEAT_AUTO_FREE char *id = NULL, *secret = NULL, *token = NULL;
    const struct leat_local_issued *one = make(5), *two;

    id = leat_strdup(one->credentials.access_key_id);
    secret = leat_strdup(one->credentials.secret_access_key);
    token = leat_strdup(one->credentials.session_token);
    two = make(5);
    ck_assert_str_ne(two->credentials.access_key_id, id);
    ck_assert_str_ne(two->credentials.secret_access_key, secret);
    ck_assert_str_ne(two->credentials.session_token, token);
    ck_assert_ptr_eq(leat_local_issued_find(&issued, leat_slice_from(id)), &issued.items[0]);
    ck_assert_ptr_null(leat_local_issued_find(&issued, leat_slice_from("ASIA")));
    ck_assert_ptr_null(leat_local_issued_find(&issued, leat_slice_from("")));
}
END_TEST

START_TEST(the_oldest_are_forgotten_and_no_others)
{
    char first[32], second[32], last[32];

    snprintf(first, sizeof first, "%s", make(1)->credentials.access_key_id);
    snprintf(second, sizeof second, "%s", make(2)->credentials.access_key_id);
    for (int i = 0; i < LEAT_LOCAL_ISSUED - 1; i++)
        snprintf(last, sizeof last, "%s", make(3)->credentials.access_key_id);
    ck_assert_uint_eq(issued.count, LEAT_LOCAL_ISSUED);
    ck_assert_ptr_null(leat_local_issued_find(&issued, leat_slice_from(first)));
    ck_assert_int_eq(leat_local_issued_find(&issued, leat_slice_from(second))->expires_us, 2);
    ck_assert_int_eq(leat_local_issued_find(&issued, leat_slice_from(last))->expires_us, 3);
}
END_TEST

START_TEST(all_expire_at_once_but_none_lives_longer_for_it)
{
    make(10);
    make(100);
    leat_local_issued_expire(&issued, 50);
    ck_assert_int_eq(issued.items[0].expires_us, 10);
    ck_assert_int_eq(issued.items[1].expires_us, 50);
}
END_TEST

static enum leat_local_badge_state
judge(const char *text, int64_t now_us)
{
    return leat_local_badges_judge(&badges, leat_slice_from(text), now_us);
}

START_TEST(a_token_is_good_until_it_expires)
{
    ck_assert_int_eq(judge("", 0), LEAT_LOCAL_BADGE_UNKNOWN);
    leat_local_badges_add(&badges, leat_slice_from("one"), 100);
    leat_local_badges_add(&badges, leat_slice_from("two"), 200);
    ck_assert_int_eq(judge("one", 99), LEAT_LOCAL_BADGE_GOOD);
    ck_assert_int_eq(judge("one", 100), LEAT_LOCAL_BADGE_EXPIRED);
    ck_assert_int_eq(judge("two", 100), LEAT_LOCAL_BADGE_GOOD);
    ck_assert_int_eq(judge("one\n", 99), LEAT_LOCAL_BADGE_UNKNOWN);
    ck_assert_int_eq(judge("on", 99), LEAT_LOCAL_BADGE_UNKNOWN);
    leat_local_badges_add(&badges, leat_slice_from("one"), 300);
    ck_assert_int_eq(judge("one", 299), LEAT_LOCAL_BADGE_GOOD);
    ck_assert_uint_eq(badges.count, 2);
}
END_TEST

START_TEST(a_replaced_token_is_known_as_an_old_one)
{
    leat_local_badges_replace(&badges, leat_slice_from("one"), 10);
    ck_assert_int_eq(judge("one", 10), LEAT_LOCAL_BADGE_GOOD);
    leat_local_badges_replace(&badges, leat_slice_from("one"), 11); /* read again: the same */
    ck_assert_int_eq(judge("one", 11), LEAT_LOCAL_BADGE_GOOD);
    leat_local_badges_replace(&badges, leat_slice_from("two"), 20);
    ck_assert_int_eq(judge("one", 20), LEAT_LOCAL_BADGE_EXPIRED);
    ck_assert_int_eq(judge("two", INT64_MAX - 1), LEAT_LOCAL_BADGE_GOOD);
    leat_local_badges_replace(&badges, leat_slice_from("one"), 30); /* and back */
    ck_assert_int_eq(judge("one", 30), LEAT_LOCAL_BADGE_GOOD);
    ck_assert_int_eq(judge("two", 30), LEAT_LOCAL_BADGE_EXPIRED);
}
END_TEST

START_TEST(more_tokens_than_places_drop_the_oldest)
{
    char text[16];

    for (int i = 0; i <= LEAT_LOCAL_BADGES; i++) {
        snprintf(text, sizeof text, "token %d", i);
        leat_local_badges_add(&badges, leat_slice_from(text), 100);
    }
    ck_assert_uint_eq(badges.count, LEAT_LOCAL_BADGES);
    ck_assert_int_eq(judge("token 0", 1), LEAT_LOCAL_BADGE_UNKNOWN);
    ck_assert_int_eq(judge("token 1", 1), LEAT_LOCAL_BADGE_GOOD);
    ck_assert_int_eq(judge(text, 1), LEAT_LOCAL_BADGE_GOOD);
}
END_TEST

static const struct {
    const char *arn, *partition, *account, *name; /* name NULL: no role */
} roles[] = {
    {"arn:aws:iam::123456789012:role/leat-dev", "aws", "123456789012", "leat-dev"},
    {"arn:aws-cn:iam::123456789012:role/a/b/c_d+=,.@-", "aws-cn", "123456789012", "c_d+=,.@-"},
    {"arn:aws-us-gov:iam::123456789012:role//x", "aws-us-gov", "123456789012", "x"},
    {"arn:aws:iam::123456789012:role/", "", "", NULL},
    {"arn:aws:iam::123456789012:role/a/", "", "", NULL},
    {"arn:aws:iam::123456789012:role/a b", "", "", NULL},
    {"arn:aws:iam::123456789012:user/somebody", "", "", NULL},
    {"arn:aws:iam::12345678901:role/one-less", "", "", NULL},
    {"arn:aws:iam::12345678901x:role/no-number", "", "", NULL},
    {"arn:aws:iam:eu-west-1:123456789012:role/x", "", "", NULL},
    {"arn:aws:sts::123456789012:assumed-role/x/y", "", "", NULL},
    {"arn::iam::123456789012:role/no-partition", "", "", NULL},
    {"arn:aws:iam::1:role/x", "", "", NULL},
    {"leat-dev-with-enough-letters-in-it", "", "", NULL},
    {"", "", "", NULL},
};

START_TEST(roles_are_parsed)
{
    struct leat_local_role_name name;
    bool is_role = leat_local_role_parse(leat_slice_from(roles[_i].arn), &name);

    ck_assert_msg(is_role == (roles[_i].name != NULL), "%s", roles[_i].arn);
    if (!is_role)
        return;
    ck_assert(leat_slice_is(name.partition, roles[_i].partition));
    ck_assert(leat_slice_is(name.account, roles[_i].account));
    ck_assert(leat_slice_is(name.name, roles[_i].name));
}
END_TEST

START_TEST(names_keep_to_their_pattern)
{
    char long_name[66];

    memset(long_name, 'a', sizeof long_name);
    ck_assert(leat_local_is_session_name(leat_slice_make(long_name, 64)));
    ck_assert(!leat_local_is_session_name(leat_slice_make(long_name, 65)));
    ck_assert(leat_local_is_session_name(leat_slice_from("a_+=,.@-Z9")));
    ck_assert(!leat_local_is_session_name(leat_slice_from("a")));
    ck_assert(!leat_local_is_session_name(leat_slice_from("a b")));
    ck_assert(!leat_local_is_session_name(leat_slice_from("a/b")));
    ck_assert(!leat_local_is_session_name(leat_slice_from("a\xc3\xa9")));
    ck_assert(!leat_local_is_session_name(leat_slice_make("a\0b", 3)));
    ck_assert(leat_local_is_external_id(leat_slice_from("a:/b")));
    ck_assert(!leat_local_is_external_id(leat_slice_from("a b")));
}
END_TEST

START_TEST(random_text_has_its_length)
{
    for (size_t letters = 0; letters < 1000; letters += 7) {
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;

        leat_local_random_text(&text, letters);
        ck_assert_uint_eq(text.size, letters);
        ck_assert_uint_eq(strlen(leat_buf_text(&text)), letters);
        ck_assert_ptr_null(strchr(leat_buf_text(&text), '='));
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("local/roles_store");
    TCase *tests = tcase_create("roles_store");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, issued_credentials_look_like_those_of_sts);
    tcase_add_test(tests, no_two_are_the_same);
    tcase_add_test(tests, the_oldest_are_forgotten_and_no_others);
    tcase_add_test(tests, all_expire_at_once_but_none_lives_longer_for_it);
    tcase_add_test(tests, a_token_is_good_until_it_expires);
    tcase_add_test(tests, a_replaced_token_is_known_as_an_old_one);
    tcase_add_test(tests, more_tokens_than_places_drop_the_oldest);
    tcase_add_loop_test(tests, roles_are_parsed, 0, (int)LEAT_COUNT_OF(roles));
    tcase_add_test(tests, names_keep_to_their_pattern);
    tcase_add_test(tests, random_text_has_its_length);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
