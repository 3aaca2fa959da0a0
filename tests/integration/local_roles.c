/*
 * The local STS, instance metadata and container endpoint on bare sockets: what each gives, to whom it refuses it and how, and that
 * what was issued is good at the local Kinesis and S3 until it expires.
 */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"
#include "support/patience.h"
#include "support/roles_client.h"

static struct leat_error err;

static void
assume(const char *form, const struct leat_credentials *by, struct given *ret_given)
{
    struct wish wish = roles_sts(form, by);
    AUTO_REPLY reply;

    roles_ask(&wish, &reply);
    roles_check_says(&reply, 200, "<Credentials>");
    roles_get_xml(&reply, ret_given);
}

/* Seconds from now to an Expiration, which is to be a whole second in UTC. */
static void
check_expiration(const char *text, int64_t seconds)
{
    int64_t at_us, left_us;

    ck_assert_uint_eq(strlen(text), 20);
    ck_assert_msg(leat_parse_time(leat_slice_from(text), &at_us), "%s", text);
    left_us = at_us - leat_local_roles_now_us(roles_server);
    ck_assert_msg(left_us <= seconds * LEAT_SECOND_US &&
                      left_us > (seconds - 1) * LEAT_SECOND_US - PATIENCE_US,
                  "%s", text);
}

/* ---- STS ----------------------------------------------------------------------------------------- */

START_TEST(an_assumed_role_is_good_everywhere)
{
    struct given given;

    assume(ASSUME ROLE, &roles_ours, &given);
    ck_assert_str_eq(given.arn, "arn:aws:sts::123456789012:assumed-role/reader/worker-1");
    check_expiration(given.expiration, 3600);
    roles_check_good(&given.credentials, given.arn);
    leat_credentials_release(&given.credentials);
    roles_check_good(&roles_ours, "arn:aws:iam::123456789012:user/leat");
}
END_TEST

START_TEST(a_role_may_assume_another)
{
    struct given first, second;

    assume(ASSUME ROLE, &roles_ours, &first);
    assume(ASSUME GUARDED "&ExternalId=who%3Aknows%2Fit", &first.credentials, &second);
    ck_assert_str_eq(second.arn, "arn:aws:sts::123456789012:assumed-role/guarded/worker-1");
    roles_check_good(&second.credentials, second.arn);
    leat_credentials_release(&first.credentials);
    leat_credentials_release(&second.credentials);
}
END_TEST

START_TEST(a_web_identity_needs_no_signature)
{
    struct given given;

    assume(WEB TOKEN, NULL, &given);
    ck_assert_str_eq(given.arn, "arn:aws:sts::123456789012:assumed-role/reader/worker-1");
    roles_check_good(&given.credentials, given.arn);
    leat_credentials_release(&given.credentials);
}
END_TEST

enum who { OURS, NOBODY, STRANGER, WRONG_SECRET, WITH_TOKEN };
static const struct {
    const char *form;
    int status;
    const char *says;
    enum who who;
    const char *region, *service, *type;
    int64_t skew_us;
} refusals[] = {
    {ASSUME ROLE, 403, "<Code>MissingAuthenticationToken</Code>", NOBODY},
    {ASSUME ROLE, 403, "<Code>InvalidClientTokenId</Code>", STRANGER},
    {ASSUME ROLE, 403, "<Code>SignatureDoesNotMatch</Code>", WRONG_SECRET},
    {ASSUME ROLE, 403, "<Code>InvalidClientTokenId</Code>", WITH_TOKEN},
    {ASSUME ROLE, 403, "<Code>SignatureDoesNotMatch</Code>", .region = "eu-west-1"},
    {ASSUME ROLE, 403, "<Code>SignatureDoesNotMatch</Code>", .service = "kinesis"},
    {ASSUME ROLE, 403, "Signature expired", .skew_us = -16 * 60 * LEAT_SECOND_US},
    {WHO, 403, "<Code>MissingAuthenticationToken</Code>", NOBODY},
    {ASSUME "arn:aws:iam::123456789012:role/another", 403,
     "User: arn:aws:iam::123456789012:user/leat is not authorized to perform: sts:AssumeRole on "
     "resource: arn:aws:iam::123456789012:role/another</Message>"},
    {ASSUME GUARDED, 403, "<Code>AccessDenied</Code>"},
    {ASSUME GUARDED "&ExternalId=who", 403, "<Code>AccessDenied</Code>"},
    {ASSUME GUARDED "&ExternalId=a+b", 400, "at 'externalId'"},
    {ASSUME, 400, "roleArn"},
    {ASSUME "not-a-role-but-long-enough", 400, "<Code>ValidationError</Code>"},
    {"Action=AssumeRole&Version=2011-06-15&RoleArn=" ROLE, 400, "roleSessionName"},
    {"Action=AssumeRole&Version=2011-06-15&RoleSessionName=a&RoleArn=" ROLE, 400,
     "greater than or equal to 2"},
    {"Action=AssumeRole&Version=2011-06-15&RoleSessionName=a+b&RoleArn=" ROLE, 400,
     "regular expression"},
    {"Action=AssumeRole&Version=2011-06-15&RoleArn=" ROLE
     "&RoleSessionName=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     400, "less than or equal to 64"},
    {ASSUME ROLE "&DurationSeconds=899", 400, "equal to 900"},
    {ASSUME ROLE "&DurationSeconds=43201", 400, "equal to 43200"},
    {ASSUME ROLE "&DurationSeconds=1h", 400, "<Code>MalformedInput</Code>"},
    {ASSUME SHORT "&DurationSeconds=3601", 400, "MaxSessionDuration"},
    {WEB "another.claims.signature", 400, "<Code>InvalidIdentityToken</Code>", NOBODY},
    {WEB, 400, "webIdentityToken", NOBODY},
    {WEB TOKEN "%0A", 400, "<Code>InvalidIdentityToken</Code>", NOBODY},
    {"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=ab&"
     "WebIdentityToken=" TOKEN "&RoleArn=arn:aws:iam::123456789012:role/another",
     403, "Not authorized to perform sts:AssumeRoleWithWebIdentity", NOBODY},
    {"Action=AssumeRole&Version=2011-06-14&RoleSessionName=ab&RoleArn=" ROLE, 400,
     "Could not find operation AssumeRole for version 2011-06-14"},
    {"Action=GetSessionToken&Version=2011-06-15", 400, "<Code>InvalidAction</Code>"},
    {"", 400, "<Code>MissingAction</Code>"},
    {"Action=%zz", 400, "<Code>MissingAction</Code>"},
    {WHO, 400, "<Code>MissingAction</Code>", .type = "content-type: application/json"},
};

START_TEST(sts_refuses_in_its_own_words)
{
    struct leat_credentials stranger = {0}, forger = {0}, bearer = {0};
    const struct leat_credentials *callers[] = {&roles_ours, NULL, &stranger, &forger, &bearer};
    struct wish wish = roles_sts(refusals[_i].form, callers[refusals[_i].who]);
    char id[64];
    AUTO_REPLY reply;
    struct leat_local_roles_counts counts;

    leat_credentials_set(&stranger, leat_slice_from("AKIDOTHER"), leat_slice_from(SECRET),
                         leat_slice_from(""));
    leat_credentials_set(&forger, leat_slice_from(ID), leat_slice_from("guess"),
                         leat_slice_from(""));
    leat_credentials_set(&bearer, leat_slice_from(ID), leat_slice_from(SECRET),
                         leat_slice_from("token"));
    wish.region = refusals[_i].region;
    wish.service = refusals[_i].service;
    wish.skew_us = refusals[_i].skew_us;
    if (refusals[_i].type != NULL)
        wish.headers[0] = refusals[_i].type;
    roles_ask(&wish, &reply);
    roles_check_says(&reply, refusals[_i].status, refusals[_i].says);
    roles_check_says(&reply, refusals[_i].status,
                     "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">");
    roles_check_says(&reply, refusals[_i].status, "<Type>Sender</Type>");
    roles_get_element(&reply, "RequestId", id, sizeof id);
    ck_assert_uint_eq(strlen(id), 36);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&reply.head), id));
    ck_assert(roles_has_header(&reply, "Content-Type: text/xml"));
    leat_local_roles_counts(roles_server, &counts);
    ck_assert_uint_eq(counts.refused, 1);
    ck_assert_uint_eq(counts.issued, 0);
    leat_credentials_release(&stranger);
    leat_credentials_release(&forger);
    leat_credentials_release(&bearer);
}
END_TEST

START_TEST(what_is_issued_lives_as_long_as_is_asked_for)
{
    struct given given, chained;
    struct wish wish;
    AUTO_REPLY reply;

    assume(ASSUME ROLE "&DurationSeconds=900", &roles_ours, &given);
    check_expiration(given.expiration, 900);
    leat_credentials_release(&given.credentials);
    assume(ASSUME ROLE "&DurationSeconds=43200", &roles_ours, &given);
    check_expiration(given.expiration, 43200);
    assume(ASSUME ROLE "&DurationSeconds=3600", &given.credentials, &chained);
    wish = roles_sts(ASSUME ROLE "&DurationSeconds=3601", &given.credentials);
    roles_ask(&wish, &reply);
    roles_check_says(&reply, 400, "role chaining");
    leat_credentials_release(&chained.credentials);
    leat_credentials_release(&given.credentials);
}
END_TEST

START_TEST(a_lifetime_bounds_what_is_asked_for)
{
    struct leat_local_roles_options options = {.access_key_id = ID,
                                               .secret_access_key = SECRET,
                                               .web_identity_token = TOKEN,
                                               .roles = roles,
                                               .role_count = 1,
                                               .lifetime_us = 60 * LEAT_SECOND_US};
    struct given given;

    roles_stop();
    roles_start(&options);
    assume(WEB TOKEN "&DurationSeconds=3600", NULL, &given);
    check_expiration(given.expiration, 60);
    roles_check_good(&given.credentials, given.arn);
    leat_local_kinesis_shift_clock(roles_kinesis, 61 * LEAT_SECOND_US);
    leat_local_s3_shift_clock(roles_s3, 61 * LEAT_SECOND_US);
    leat_local_roles_shift_clock(roles_server, 61 * LEAT_SECOND_US);
    roles_check_everywhere(&given.credentials, (struct expectation){400, "ExpiredTokenException"},
                           (struct expectation){400, "<Code>ExpiredToken</Code>"},
                           (struct expectation){403, "<Code>ExpiredToken</Code>"});
    leat_credentials_release(&given.credentials);
}
END_TEST

START_TEST(expired_and_forged_keys_are_told_apart)
{
    struct leat_credentials issued, forged = {0};
    int64_t expires_us;

    leat_local_roles_issue(roles_server, "by-hand", &issued, &expires_us);
    roles_check_good(&issued, "arn:aws:sts::123456789012:assumed-role/reader/by-hand");
    leat_credentials_set(&forged, leat_slice_from(issued.access_key_id),
                         leat_slice_from(issued.secret_access_key), leat_slice_from("another"));
    roles_check_everywhere(&forged, (struct expectation){400, "UnrecognizedClientException"},
                           (struct expectation){400, "<Code>InvalidToken</Code>"},
                           (struct expectation){403, "<Code>InvalidClientTokenId</Code>"});
    leat_credentials_release(&forged);
    leat_credentials_set(&forged, leat_slice_from(issued.access_key_id), leat_slice_from("guess"),
                         leat_slice_from(issued.session_token));
    roles_check_everywhere(&forged, (struct expectation){400, "InvalidSignatureException"},
                           (struct expectation){403, "<Code>SignatureDoesNotMatch</Code>"},
                           (struct expectation){403, "<Code>SignatureDoesNotMatch</Code>"});
    leat_local_roles_expire_all(roles_server);
    roles_check_everywhere(&issued, (struct expectation){400, "ExpiredTokenException"},
                           (struct expectation){400, "<Code>ExpiredToken</Code>"},
                           (struct expectation){403, "<Code>ExpiredToken</Code>"});
    /* Who has expired is told to him alone who knows the secret. */
    roles_check_everywhere(&forged, (struct expectation){400, "InvalidSignatureException"},
                           (struct expectation){403, "<Code>SignatureDoesNotMatch</Code>"},
                           (struct expectation){403, "<Code>SignatureDoesNotMatch</Code>"});
    roles_check_good(&roles_ours, "arn:aws:iam::123456789012:user/leat");
    leat_credentials_release(&forged);
    leat_credentials_release(&issued);
}
END_TEST

START_TEST(with_an_issuer_and_no_pair_only_issued_keys_are_good)
{
    struct leat_local_kinesis_options kinesis_options = {
        .issuer = leat_local_roles_issuer(roles_server)};
    struct leat_local_s3_options s3_options = {.issuer = leat_local_roles_issuer(roles_server)};
    struct leat_credentials issued;
    int64_t expires_us;
    AUTO_REPLY ours_kinesis, ours_s3;

    leat_local_kinesis_free(roles_kinesis);
    leat_local_s3_free(roles_s3);
    roles_kinesis = leat_local_kinesis_new(&kinesis_options, &err);
    roles_s3 = leat_local_s3_new(&s3_options, &err);
    leat_local_roles_issue(roles_server, "by-hand", &issued, &expires_us);
    roles_check_good(&issued, "arn:aws:sts::123456789012:assumed-role/reader/by-hand");
    roles_ask_kinesis(&roles_ours, &ours_kinesis);
    roles_check_says(&ours_kinesis, 400, "UnrecognizedClientException");
    roles_ask_s3(&roles_ours, &ours_s3);
    roles_check_says(&ours_s3, 403, "InvalidAccessKeyId");
    leat_credentials_release(&issued);
}
END_TEST

/* ---- tokens that change -------------------------------------------------------------------------- */

static void
check_web_token(const char *token, int status, const char *says)
{
    LEAT_AUTO_BUF form = LEAT_BUF_INIT;
    struct wish wish;
    AUTO_REPLY reply;

    leat_buf_printf(&form, WEB "%s", token);
    wish = roles_sts(leat_buf_text(&form), NULL);
    roles_ask(&wish, &reply);
    roles_check_says(&reply, status, says);
}

START_TEST(an_old_web_token_is_told_from_a_wrong_one)
{
    LEAT_AUTO_BUF first = LEAT_BUF_INIT;
    LEAT_AUTO_BUF second = LEAT_BUF_INIT;

    leat_local_roles_set_token(roles_server, LEAT_LOCAL_TOKEN_WEB_IDENTITY, "the.new.one");
    check_web_token("the.new.one", 200, "<Credentials>");
    check_web_token(TOKEN, 400, "<Code>ExpiredTokenException</Code>");
    check_web_token("never.seen", 400, "<Code>InvalidIdentityToken</Code>");
    leat_local_roles_issue_token(roles_server, LEAT_LOCAL_TOKEN_WEB_IDENTITY, 60 * LEAT_SECOND_US,
                                 &first);
    leat_local_roles_shift_clock(roles_server, 30 * LEAT_SECOND_US);
    leat_local_roles_issue_token(roles_server, LEAT_LOCAL_TOKEN_WEB_IDENTITY, 60 * LEAT_SECOND_US,
                                 &second);
    check_web_token(leat_buf_text(&first), 200, "<Credentials>");
    check_web_token(leat_buf_text(&second), 200, "<Credentials>");
    leat_local_roles_shift_clock(roles_server, 31 * LEAT_SECOND_US);
    check_web_token(leat_buf_text(&first), 400, "<Code>ExpiredTokenException</Code>");
    check_web_token(leat_buf_text(&second), 200, "<Credentials>");
}
END_TEST

static void
write_token(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");

    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    ck_assert_int_eq(fclose(out), 0);
}

START_TEST(token_files_are_read_at_each_request)
{
    char directory[] = "/tmp/leat-roles-XXXXXX", path[64], next[64];
    struct leat_local_roles_options options = {.roles = roles, .role_count = 1};
    struct wish container = {.method = "GET", .path = LEAT_LOCAL_CONTAINER_PATH};
    AUTO_REPLY refused, given, old;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/token", directory);
    snprintf(next, sizeof next, "%s/next", directory);
    options.web_identity_token_file = path;
    options.container_token_file = path;
    roles_stop();
    roles_start(&options);
    check_web_token("first.token", 400, "<Code>InvalidIdentityToken</Code>"); /* no file yet */
    roles_ask(&container, &refused);
    roles_check_says(&refused, 401, "MissingAuthenticationToken");
    write_token(path, "first.token\n");
    check_web_token("first.token", 200, "<Credentials>");
    container.headers[0] = "Authorization: first.token";
    roles_ask(&container, &given);
    roles_check_says(&given, 200, "AccessKeyId");
    write_token(next, "second.token");
    ck_assert_int_eq(rename(next, path), 0);
    check_web_token("first.token", 400, "<Code>ExpiredTokenException</Code>");
    check_web_token("second.token", 200, "<Credentials>");
    roles_ask(&container, &old);
    roles_check_says(&old, 400, "ExpiredTokenException");
    unlink(path);
    check_web_token("second.token", 200, "<Credentials>"); /* a file that is away changes nothing */
    rmdir(directory);
}
END_TEST

/* ---- the instance -------------------------------------------------------------------------------- */

static void
get_metadata(const char *path, const char *token, struct reply *reply)
{
    struct wish wish = {.method = "GET", .path = path, .headers = {token}};

    roles_ask(&wish, reply);
}

START_TEST(an_instance_gives_its_role_and_its_region)
{
    char token[160];
    AUTO_REPLY list, bare, credentials, region, zone, another, nothing;
    struct given given;

    roles_get_metadata_token(TTL "21600", token, sizeof token);
    get_metadata(LIST, token, &list);
    ck_assert_int_eq(list.status, 200);
    ck_assert_str_eq(leat_buf_text(&list.body), "reader");
    get_metadata("/latest/meta-data/iam/security-credentials", token, &bare);
    ck_assert_str_eq(leat_buf_text(&bare.body), "reader");
    get_metadata(LIST "reader", token, &credentials);
    roles_check_says(&credentials, 200, "\"Code\":\"Success\"");
    roles_check_says(&credentials, 200, "\"Type\":\"AWS-HMAC\"");
    roles_check_says(&credentials, 200, "\"LastUpdated\":\"");
    roles_get_json(&credentials, &given);
    check_expiration(given.expiration, 3600);
    roles_check_good(&given.credentials,
                     "arn:aws:sts::123456789012:assumed-role/reader/i-0123456789abcdef0");
    get_metadata("/latest/meta-data/placement/region", token, &region);
    ck_assert_str_eq(leat_buf_text(&region.body), "us-east-1");
    get_metadata("/latest/meta-data/placement/availability-zone", token, &zone);
    ck_assert_str_eq(leat_buf_text(&zone.body), "us-east-1a");
    get_metadata(LIST "writer", token, &another);
    roles_check_says(&another, 404, "404 - Not Found");
    get_metadata("/latest/meta-data/nothing", token, &nothing);
    roles_check_says(&nothing, 404, "404 - Not Found");
    leat_credentials_release(&given.credentials);
}
END_TEST

static const struct {
    struct wish wish;
    int status;
} no_tokens[] = {
    {{.method = "PUT", .path = "/latest/api/token"}, 400},
    {{.method = "PUT", .path = "/latest/api/token", .headers = {TTL "0"}}, 400},
    {{.method = "PUT", .path = "/latest/api/token", .headers = {TTL "21601"}}, 400},
    {{.method = "PUT", .path = "/latest/api/token", .headers = {TTL "x"}}, 400},
    {{.method = "PUT",
      .path = "/latest/api/token",
      .headers = {TTL "60", "X-Forwarded-For: 10.0.0.1"}},
     403},
    {{.method = "GET", .path = "/latest/api/token", .headers = {TTL "60"}}, 405},
    {{.method = "POST", .path = "/latest/api/token", .headers = {TTL "60"}}, 405},
    {{.method = "GET", .path = LIST}, 401}, /* version 1 */
    {{.method = "GET", .path = LIST "reader"}, 401},
    {{.method = "GET", .path = "/latest/meta-data/placement/region"}, 401},
    {{.method = "GET", .path = LIST, .headers = {"x-aws-ec2-metadata-token: "}}, 401},
    {{.method = "GET", .path = LIST, .headers = {"x-aws-ec2-metadata-token: guess"}}, 401},
    {{.method = "PUT", .path = LIST}, 405},
};

START_TEST(an_instance_answers_nobody_without_a_token)
{
    AUTO_REPLY reply;

    roles_ask(&no_tokens[_i].wish, &reply);
    ck_assert_msg(reply.status == no_tokens[_i].status, "%d: %s", reply.status,
                  leat_buf_text(&reply.body));
}
END_TEST

START_TEST(a_metadata_token_expires)
{
    char token[160];
    AUTO_REPLY before, after;

    roles_get_metadata_token(TTL "60", token, sizeof token);
    leat_local_roles_shift_clock(roles_server, 50 * LEAT_SECOND_US);
    get_metadata(LIST, token, &before);
    ck_assert_int_eq(before.status, 200);
    leat_local_roles_shift_clock(roles_server, 10 * LEAT_SECOND_US);
    get_metadata(LIST, token, &after);
    ck_assert_int_eq(after.status, 401);
}
END_TEST

/* ---- the container ------------------------------------------------------------------------------- */

START_TEST(a_container_gets_credentials_for_its_raw_token)
{
    struct wish wish = {.method = "GET",
                        .path = LEAT_LOCAL_CONTAINER_PATH,
                        .headers = {"Authorization: raw token"}};
    AUTO_REPLY reply;
    struct given given;

    roles_ask(&wish, &reply);
    roles_check_says(&reply, 200, "\"AccountId\":\"123456789012\"");
    roles_check_says(&reply, 200, "\"RoleArn\":\"" ROLE "\"");
    ck_assert(roles_has_header(&reply, "Content-Type: application/json"));
    roles_get_json(&reply, &given);
    check_expiration(given.expiration, 3600);
    roles_check_good(&given.credentials,
                     "arn:aws:sts::123456789012:assumed-role/reader/leat-container");
    leat_credentials_release(&given.credentials);
}
END_TEST

static const struct {
    struct wish wish;
    int status;
    const char *says;
} no_containers[] = {
    {{.method = "GET", .path = LEAT_LOCAL_CONTAINER_PATH}, 401, "MissingAuthenticationToken"},
    {{.method = "GET", .path = LEAT_LOCAL_CONTAINER_PATH, .headers = {"Authorization: "}},
     401,
     "MissingAuthenticationToken"},
    {{.method = "GET",
      .path = LEAT_LOCAL_CONTAINER_PATH,
      .headers = {"Authorization: Bearer raw token"}},
     401,
     "InvalidTokenException"},
    {{.method = "GET", .path = LEAT_LOCAL_CONTAINER_PATH, .headers = {"Authorization: old token"}},
     400,
     "ExpiredTokenException"},
    {{.method = "POST", .path = LEAT_LOCAL_CONTAINER_PATH, .headers = {"Authorization: raw token"}},
     405,
     "MethodNotAllowed"},
    {{.method = "GET", .path = "/v2/credentials", .headers = {"Authorization: raw token"}},
     404,
     "NotFound"},
    {{.method = "GET", .path = "/"}, 404, "NotFound"},
};

START_TEST(a_container_is_refused_in_json)
{
    AUTO_REPLY reply;

    leat_local_roles_set_token(roles_server, LEAT_LOCAL_TOKEN_CONTAINER, "old token");
    leat_local_roles_set_token(roles_server, LEAT_LOCAL_TOKEN_CONTAINER, "raw token");
    roles_ask(&no_containers[_i].wish, &reply);
    roles_check_says(&reply, no_containers[_i].status, no_containers[_i].says);
    roles_check_says(&reply, no_containers[_i].status, "{\"code\":\"");
    ck_assert(roles_has_header(&reply, "Content-Type: application/json"));
}
END_TEST

START_TEST(a_container_without_a_token_is_open_at_its_path)
{
    struct leat_local_roles_options options = {.container_path = "/v2/credentials/some-id"};
    struct wish wish = {.method = "GET", .path = "/v2/credentials/some-id"};
    AUTO_REPLY reply;

    roles_stop();
    roles_start(&options);
    roles_ask(&wish, &reply);
    roles_check_says(&reply, 200, "\"RoleArn\":\"" LEAT_LOCAL_ROLE_ARN "\"");
}
END_TEST

START_TEST(what_is_no_role_is_refused_at_the_start)
{
    struct leat_local_role wrong = {.arn = "arn:aws:iam::123456789012:user/x"};
    struct leat_local_roles_options options = {.roles = &wrong, .role_count = 1};

    ck_assert_ptr_null(leat_local_roles_new(&options, &err));
    ck_assert_int_eq(err.code, LEAT_E_INVALID);
    options = (struct leat_local_roles_options){.instance_role = "x"};
    ck_assert_ptr_null(leat_local_roles_new(&options, &err));
    options = (struct leat_local_roles_options){.port = leat_local_roles_port(roles_server)};
    ck_assert_ptr_null(leat_local_roles_new(&options, &err));
    ck_assert_msg(strstr(err.text, "in use") != NULL, "%s", err.text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("local_roles");
    TCase *tests = tcase_create("local_roles");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, roles_setup, roles_teardown);
    tcase_add_test(tests, an_assumed_role_is_good_everywhere);
    tcase_add_test(tests, a_role_may_assume_another);
    tcase_add_test(tests, a_web_identity_needs_no_signature);
    tcase_add_loop_test(tests, sts_refuses_in_its_own_words, 0, (int)LEAT_COUNT_OF(refusals));
    tcase_add_test(tests, what_is_issued_lives_as_long_as_is_asked_for);
    tcase_add_test(tests, a_lifetime_bounds_what_is_asked_for);
    tcase_add_test(tests, expired_and_forged_keys_are_told_apart);
    tcase_add_test(tests, with_an_issuer_and_no_pair_only_issued_keys_are_good);
    tcase_add_test(tests, an_old_web_token_is_told_from_a_wrong_one);
    tcase_add_test(tests, token_files_are_read_at_each_request);
    tcase_add_test(tests, an_instance_gives_its_role_and_its_region);
    tcase_add_loop_test(tests, an_instance_answers_nobody_without_a_token, 0,
                        (int)LEAT_COUNT_OF(no_tokens));
    tcase_add_test(tests, a_metadata_token_expires);
    tcase_add_test(tests, a_container_gets_credentials_for_its_raw_token);
    tcase_add_loop_test(tests, a_container_is_refused_in_json, 0,
                        (int)LEAT_COUNT_OF(no_containers));
    tcase_add_test(tests, a_container_without_a_token_is_open_at_its_path);
    tcase_add_test(tests, what_is_no_role_is_refused_at_the_start);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
