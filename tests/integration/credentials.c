/*
 * Each provider of credentials against local servers that do right, and against ones that do everything else: slow, silent, huge,
 * elsewhere, of another kind. Whatever comes, the wait has an end, the error says what is wrong, and no secret is in it.
 */
#include <stdlib.h>
#include <unistd.h>

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "base/clock.h"
#include "base/memory.h"
#include "local/roles.h"
#include "support/canned_http.h"
#include "support/patience.h"

#include <check.h>

#define KEY_ID "AKIDLEATTESTS"
#define SECRET "hidden/secret"
#define TOKEN "hidden.token.words"

static struct leat_local_roles *server;
static struct leat_credentials_context surroundings;
static struct leat_credentials credentials;
static struct leat_error err;
static char folder[] = "/tmp/leat-credentials-XXXXXX";
static char token_file[64], config_file[64];

static void
write_file(const char *path, const char *text)
{
    char fresh[80];
    FILE *file;

    snprintf(fresh, sizeof fresh, "%s.new", path);
    file = fopen(fresh, "we");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(rename(fresh, path), 0);
}

static void
setup(void)
{
    static const struct leat_local_role roles[] = {
        {.arn = LEAT_LOCAL_ROLE_ARN},
        {.arn = "arn:aws:iam::123456789012:role/second", .external_id = "partner"}};
    const struct leat_local_roles_options options = {.access_key_id = KEY_ID,
                                                     .secret_access_key = SECRET,
                                                     .roles = roles,
                                                     .role_count = LEAT_COUNT_OF(roles),
                                                     .web_identity_token = TOKEN,
                                                     .container_token = TOKEN};

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(token_file, sizeof token_file, "%s/token", folder);
    snprintf(config_file, sizeof config_file, "%s/config", folder);
    server = leat_local_roles_new(&options, &err);
    ck_assert_msg(server != NULL, "%s", err.text);
    for (const char *const *name =
             (const char *const[]){"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE",
                                   "AWS_EC2_METADATA_DISABLED", "AWS_ROLE_ARN", NULL};
         *name != NULL; name++)
        unsetenv(*name);
    setenv("AWS_REGION", "us-east-1", 1);
    setenv("AWS_CONFIG_FILE", config_file, 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    surroundings =
        (struct leat_credentials_context){.endpoint_sts = leat_local_roles_endpoint(server)};
}

static void
teardown(void)
{
    char command[96];

    leat_credentials_release(&credentials);
    leat_local_roles_free(server);
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* ---- the sources --------------------------------------------------------------------------- */

static void
use_web_identity(void)
{
    write_file(token_file, TOKEN "\n");
    setenv("AWS_ROLE_ARN", LEAT_LOCAL_ROLE_ARN, 1);
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token_file, 1);
}

static void
use_container(void)
{
    char url[128];

    write_file(token_file, TOKEN);
    snprintf(url, sizeof url, "%s" LEAT_LOCAL_CONTAINER_PATH, leat_local_roles_endpoint(server));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_file, 1);
}

static void
use_instance(void)
{
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", leat_local_roles_endpoint(server), 1);
}

static void
use_profile(void)
{
    write_file(config_file, "[default]\nrole_arn = " LEAT_LOCAL_ROLE_ARN "\nsource_profile = keys\n"
                            "[profile keys]\naws_access_key_id = " KEY_ID
                            "\naws_secret_access_key = " SECRET "\n");
}

static const struct {
    const char *name, *action;
    void (*use)(void);
    struct leat_credentials_provider *(*make)(const struct leat_credentials_context *);
} sources[] = {
    {"web identity", "AssumeRoleWithWebIdentity", use_web_identity,
     leat_credentials_web_identity_new},
    {"container", "Container", use_container, leat_credentials_container_new},
    {"instance", "MetadataCredentials", use_instance, leat_credentials_instance_new},
    {"profile", "AssumeRole", use_profile, leat_credentials_profile_new},
};
enum { WEB_IDENTITY, CONTAINER, INSTANCE, PROFILE, SOURCES };

static int
get_of(int source)
{
    struct leat_credentials_provider *provider = sources[source].make(&surroundings);
    int result;

    leat_credentials_release(&credentials);
    leat_error_clear(&err);
    result = leat_credentials_provider_get(provider, &credentials, &err);
    leat_credentials_provider_free(provider);
    ck_assert_ptr_null(strstr(err.text, "hidden"));
    return result;
}

/* By itself, and as the link of the whole chain that has some. */
START_TEST(what_is_right)
{
    struct leat_credentials_provider *chain = leat_credentials_default_new(&surroundings);

    sources[_i].use();
    ck_assert_msg(get_of(_i) == 0, "%s: %s", sources[_i].name, err.text);
    ck_assert_int_eq(strncmp(credentials.access_key_id, "ASIA", 4), 0);
    ck_assert_ptr_nonnull(credentials.session_token);
    ck_assert_int_gt(credentials.expires_us, leat_clock_wall_us() + 3500 * LEAT_SECOND_US);
    ck_assert_int_lt(credentials.expires_us, leat_clock_wall_us() + 3700 * LEAT_SECOND_US);
    leat_credentials_release(&credentials);
    ck_assert_msg(leat_credentials_provider_get(chain, &credentials, &err) == 0, "%s", err.text);
    ck_assert_msg(strstr(credentials.source, _i == CONTAINER ? "container" : "leat-dev") != NULL,
                  "%s", credentials.source);
    leat_credentials_provider_free(chain);
}
END_TEST

/* ---- faults -------------------------------------------------------------------------------- */

#define ANY 1 /* an error, whichever fits */

static const struct {
    const char *title;
    struct leat_local_roles_fault fault;
    int wanted[SOURCES];
} faults[] = {
    {"one refusal that passes", {.kind = LEAT_LOCAL_ROLES_ERROR, .status = 503, .times = 1}, {0}},
    {"one that asks for less", {.kind = LEAT_LOCAL_ROLES_THROTTLE, .times = 1}, {0}},
    {"one connection that is reset", {.kind = LEAT_LOCAL_ROLES_RESET, .times = 1}, {0}},
    {"a few bytes at a time", {.kind = LEAT_LOCAL_ROLES_SLOW, .bytes = 100}, {0}},
    {"another type",
     {.kind = LEAT_LOCAL_ROLES_TYPE},
     {0}}, /* nobody's SDK looks at it, and some endpoints name a wrong one */
    {"ended already", {.kind = LEAT_LOCAL_ROLES_EXPIRED}, {0}},
    {"half", {.kind = LEAT_LOCAL_ROLES_CUT}, {ANY, ANY, ANY, ANY}},
    {"half a document",
     {.kind = LEAT_LOCAL_ROLES_SHORT},
     {LEAT_E_FORMAT, LEAT_E_FORMAT, LEAT_E_FORMAT, LEAT_E_FORMAT}},
    {"elsewhere", {.kind = LEAT_LOCAL_ROLES_REDIRECT}, {ANY, ANY, ANY, ANY}},
    {"somebody's page",
     {.kind = LEAT_LOCAL_ROLES_PAGE},
     {LEAT_E_FORMAT, LEAT_E_FORMAT, LEAT_E_FORMAT, LEAT_E_FORMAT}},
    {"nothing",
     {.kind = LEAT_LOCAL_ROLES_BODY, .text = ""},
     {LEAT_E_FORMAT, LEAT_E_FORMAT, LEAT_E_FORMAT, LEAT_E_FORMAT}},
    {"ten megabytes", {.kind = LEAT_LOCAL_ROLES_HUGE}, {ANY, LEAT_E_LIMIT, LEAT_E_LIMIT, ANY}},
    {"a document without an end",
     {.kind = LEAT_LOCAL_ROLES_LACKING, .code = "Expiration"},
     {LEAT_E_FORMAT, LEAT_E_FORMAT, LEAT_E_FORMAT, LEAT_E_FORMAT}},
    {"a document without a secret",
     {.kind = LEAT_LOCAL_ROLES_LACKING, .code = "SecretAccessKey"},
     {LEAT_E_FORMAT, LEAT_E_FORMAT, LEAT_E_FORMAT, LEAT_E_FORMAT}},
    {"a refusal that stays",
     {.kind = LEAT_LOCAL_ROLES_REFUSE, .status = 403},
     {ANY, ANY, ANY, ANY}},
};

START_TEST(what_is_wrong)
{
    size_t which = (size_t)_i / SOURCES;
    int source = _i % SOURCES, wanted = faults[which].wanted[source], result;
    struct leat_local_roles_fault fault = faults[which].fault;
    int64_t begun_us = leat_clock_monotonic_us();

    fault.action = sources[source].action;
    sources[source].use();
    leat_local_roles_fault(server, &fault);
    result = get_of(source);
    ck_assert_msg(wanted == ANY ? result < 0 && result != LEAT_E_NOT_FOUND : result == wanted,
                  "%s, %s: %d %s", sources[source].name, faults[which].title, result, err.text);
    ck_assert_msg(result == 0 || err.text[0] != '\0', "%s", faults[which].title);
    ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, PATIENCE_US);
}
END_TEST

static bool
is_a_while_over(void)
{
    static int64_t begun_us;

    if (begun_us == 0)
        begun_us = leat_clock_monotonic_us();
    return leat_clock_monotonic_us() - begun_us > 300 * LEAT_MS_US;
}

/* A server that is silent ends with the process that waits for it. */
START_TEST(a_stop_ends_the_wait)
{
    const struct leat_local_roles_fault fault = {.kind = LEAT_LOCAL_ROLES_HANG};
    int64_t begun_us = leat_clock_monotonic_us();

    sources[_i].use();
    leat_local_roles_fault(server, &fault);
    surroundings.is_stopped = is_a_while_over;
    ck_assert_int_eq(get_of(_i), LEAT_E_CANCELLED);
    ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, PATIENCE_US / 10);
}
END_TEST

/* ---- of each its own ------------------------------------------------------------------------ */

START_TEST(a_rotated_token_is_read_again)
{
    use_web_identity();
    ck_assert_int_eq(get_of(WEB_IDENTITY), 0);
    leat_local_roles_set_token(server, LEAT_LOCAL_TOKEN_WEB_IDENTITY, "hidden.other");
    ck_assert_int_lt(get_of(WEB_IDENTITY), 0);
    write_file(token_file, "hidden.other");
    ck_assert_msg(get_of(WEB_IDENTITY) == 0, "%s", err.text);
}
END_TEST

/* A role of a profile is named by the profile alone, one of the environment by the environment. */
START_TEST(a_session_is_named_where_its_role_is)
{
    char text[200];
    uint64_t calls;

    use_web_identity();
    setenv("AWS_ROLE_SESSION_NAME", "of-the-environment", 1);
    ck_assert_msg(get_of(WEB_IDENTITY) == 0, "%s", err.text);
    snprintf(text, sizeof text,
             "[default]\nrole_arn = " LEAT_LOCAL_ROLE_ARN "\nweb_identity_token_file = %s\n",
             token_file);
    write_file(config_file, text);
    ck_assert_msg(get_of(PROFILE) == 0, "%s", err.text);
    ck_assert_uint_eq(leat_local_roles_calls(server, "AssumeRoleWithWebIdentity"), 2);
    leat_local_roles_session(server, "of-the-environment", &calls, NULL);
    ck_assert_uint_eq(calls, 1);
}
END_TEST

/* As it is: it may be two words; with a line end it is none, as for AWS's SDKs. */
START_TEST(a_container_token_of_two_words)
{
    use_container();
    leat_local_roles_set_token(server, LEAT_LOCAL_TOKEN_CONTAINER, "Basic hidden.words");
    write_file(token_file, "Basic hidden.words");
    ck_assert_msg(get_of(CONTAINER) == 0, "%s", err.text);
    write_file(token_file, "Basic hidden.words\n");
    ck_assert_int_eq(get_of(CONTAINER), LEAT_E_INVALID);
    ck_assert_msg(strstr(err.text, "line end") != NULL, "%s", err.text);
    unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic hidden.words", 1);
    ck_assert_msg(get_of(CONTAINER) == 0, "%s", err.text);
    for (const char *const *bad =
             (const char *const[]){"Basic hidden.words\n", "hidden\r\nX-Other: 1", NULL};
         *bad != NULL; bad++) {
        setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", *bad, 1);
        ck_assert_int_eq(get_of(CONTAINER), LEAT_E_INVALID);
        ck_assert_msg(strstr(err.text, "line end") != NULL, "%s", err.text);
    }
    ck_assert_uint_eq(leat_local_roles_calls(server, "Container"), 2);
}
END_TEST

/* ---- answers one after the other ------------------------------------------------------------- */

#define DOCUMENT                                                                                   \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"hidden\",\"Token\":"     \
    "\"T\","                                                                                       \
    "\"Expiration\":\"2036-01-01T00:00:00Z\"}"
#define LIST "/security-credentials/"
#define NEWER "/security-credentials-extended/"

static const struct script {
    const char *title;
    int source, result;
    struct {
        int status;
        const char *body, *asked; /* a part of the request's first line, or of a header */
    } answers[10];
} scripts[] = {
    {"a token that is not taken",
     INSTANCE,
     0,
     {{200, "one", "PUT "},
      {401, "", "token: one"},
      {200, "two", "PUT "},
      {200, "role", "token: two"},
      {200, DOCUMENT, "token: two"}}},
    {"a token that is not taken any more",
     INSTANCE,
     0,
     {{200, "one", "PUT "},
      {200, "role", "token: one"},
      {401, "", "token: one"},
      {200, "two", "PUT "},
      {200, DOCUMENT, "token: two"}}},
    {"no token is taken",
     INSTANCE,
     LEAT_E_DENIED,
     {{200, "one", "PUT "}, {401, "", NEWER}, {200, "two", "PUT "}, {401, "", NEWER}}},
    {"a newer place that may not be asked",
     INSTANCE,
     LEAT_E_DENIED,
     {{200, "one", "PUT "}, {403, "", NEWER}}},
    {"another role meanwhile",
     INSTANCE,
     0,
     {{200, "one", "PUT "},
      {200, "first", NEWER},
      {404, "", NEWER "first"},
      {200, "second", NEWER},
      {200, DOCUMENT, NEWER "second"}}},
    {"a role without credentials",
     INSTANCE,
     LEAT_E_NOT_FOUND,
     {{200, "one", "PUT "},
      {200, "role", NEWER},
      {404, "", NEWER "role"},
      {200, "role", NEWER},
      {404, "", NEWER "role"},
      {200, "role", NEWER},
      {404, "", NEWER "role"},
      {200, "role", NEWER},
      {404, "", NEWER "role"}}},
    {"a newer place that nobody knows",
     INSTANCE,
     0,
     {{200, "one", "PUT "}, {404, "", NEWER}, {200, "role\n", LIST}, {200, DOCUMENT, LIST "role"}}},
    {"one that is refused",
     INSTANCE,
     0,
     {{200, "one", "PUT "}, {400, "", NEWER}, {200, "role", LIST}, {200, DOCUMENT, LIST "role"}}},
    {"one that fails",
     INSTANCE,
     0,
     {{200, "one", "PUT "},
      {500, "", NEWER},
      {500, "", NEWER},
      {200, "role", LIST},
      {200, DOCUMENT, LIST "role"}}},
    {"nothing, once each",
     INSTANCE,
     0,
     {{200, "", "PUT "},
      {200, "one", "PUT "},
      {404, "", NEWER},
      {200, "", LIST},
      {200, "role", LIST},
      {200, "", LIST "role"},
      {200, DOCUMENT, LIST "role"}}},
    {"half a document, once",
     INSTANCE,
     0,
     {{200, "one", "PUT "},
      {200, "role", NEWER},
      {200, "{\"AccessKeyId\":", NEWER "role"},
      {200, DOCUMENT, NEWER "role"}}},
    {"a container's page, once", CONTAINER, 0, {{200, "<html>", "GET "}, {200, DOCUMENT, "GET "}}},
    {"a container's nothing, once", CONTAINER, 0, {{200, "", "GET "}, {200, DOCUMENT, "GET "}}},
    {"a container's page",
     CONTAINER,
     LEAT_E_FORMAT,
     {{200, "<html>", "GET "}, {200, "<html>", "GET "}, {200, "<html>", "GET "}}},
    {"a container's refusal", CONTAINER, LEAT_E_DENIED, {{400, "{\"code\":\"x\"}", "GET "}}},
};

START_TEST(answers_in_order)
{
    const struct script *script = &scripts[_i];
    struct canned_http *canned = canned_http_new();
    size_t count = 0;
    int result;

    for (; count < LEAT_COUNT_OF(script->answers) && script->answers[count].status != 0; count++)
        canned_http_answer(canned, script->answers[count].status, "",
                           leat_slice_from(script->answers[count].body));
    setenv(script->source == INSTANCE ? "AWS_EC2_METADATA_SERVICE_ENDPOINT"
                                      : "AWS_CONTAINER_CREDENTIALS_FULL_URI",
           canned_http_url(canned), 1);
    result = get_of(script->source);
    ck_assert_msg(result == script->result, "%s: %d %s", script->title, result, err.text);
    ck_assert_msg(canned_http_count(canned) == count, "%s: %zu requests", script->title,
                  canned_http_count(canned));
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(strstr(canned_http_request(canned, i), script->answers[i].asked) != NULL,
                      "%s: %s", script->title, canned_http_request(canned, i));
    if (result == 0)
        ck_assert_str_eq(credentials.session_token, "T");
    canned_http_free(canned);
}
END_TEST

/* Three requests in one millisecond would be one to a service that asks for patience. */
START_TEST(attempts_leave_time)
{
    struct canned_http *canned = canned_http_new();
    int64_t begun_us = leat_clock_monotonic_us();

    canned_http_answer(canned, 429, "", leat_slice_from(""));
    canned_http_answer(canned, 503, "", leat_slice_from(""));
    canned_http_answer(canned, 200, "", leat_slice_from(DOCUMENT));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", canned_http_url(canned), 1);
    ck_assert_msg(get_of(CONTAINER) == 0, "%s", err.text);
    ck_assert_int_ge(leat_clock_monotonic_us() - begun_us, 450 * LEAT_MS_US);
    canned_http_free(canned);
}
END_TEST

static const struct {
    const char *text; /* NULL: no file */
    const char *part; /* of the error */
} tokens[] = {
    {NULL, "could not open"}, {"", "is empty"}, {"\n", "is empty"}, {"two\nlines", "line end"}};

START_TEST(a_token_file_that_is_none)
{
    for (int source = WEB_IDENTITY; source <= CONTAINER; source++) {
        sources[source].use();
        unlink(token_file);
        if (tokens[_i].text != NULL)
            write_file(token_file, tokens[_i].text);
        ck_assert_int_lt(get_of(source), 0);
        ck_assert_msg(strstr(err.text, tokens[_i].part) != NULL, "%s", err.text);
        ck_assert_msg(strstr(err.text, token_file) != NULL, "%s", err.text);
    }
    ck_assert_uint_eq(leat_local_roles_calls(server, "AssumeRoleWithWebIdentity"), 0);
    ck_assert_uint_eq(leat_local_roles_calls(server, "Container"), 0);
}
END_TEST

/* By http only what is near; a name counts by its address. */
START_TEST(a_container_endpoint_that_is_far)
{
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/credentials", 1);
    ck_assert_int_eq(get_of(CONTAINER), LEAT_E_DENIED);
    ck_assert_msg(strstr(err.text, "not allowed") != NULL, "%s", err.text);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "/credentials", 1);
    ck_assert_int_eq(get_of(CONTAINER), LEAT_E_INVALID);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://user@127.0.0.1/credentials", 1);
    ck_assert_int_eq(get_of(CONTAINER), LEAT_E_INVALID);
}
END_TEST

START_TEST(an_instance_without_a_role)
{
    const struct leat_local_roles_fault none = {.kind = LEAT_LOCAL_ROLES_NO_ROLE};
    const struct leat_local_roles_fault hangs = {.kind = LEAT_LOCAL_ROLES_HANG,
                                                 .action = "MetadataToken"};
    const struct leat_local_roles_fault code = {.kind = LEAT_LOCAL_ROLES_CODE};
    struct leat_credentials_provider *chain = leat_credentials_default_new(&surroundings);

    use_instance();
    leat_local_roles_fault(server, &none);
    ck_assert_int_eq(get_of(INSTANCE), LEAT_E_NOT_FOUND);
    ck_assert_msg(strstr(err.text, "no role") != NULL, "%s", err.text);
    leat_local_roles_clear_faults(server);
    leat_local_roles_fault(server, &code);
    ck_assert_int_eq(get_of(INSTANCE), LEAT_E_DENIED);
    ck_assert_msg(strstr(err.text, "AssumeRoleUnauthorizedAccess") != NULL, "%s", err.text);
    leat_local_roles_clear_faults(server);
    leat_local_roles_fault(server, &hangs);
    ck_assert_int_eq(get_of(INSTANCE), LEAT_E_NOT_FOUND);
    ck_assert_msg(strstr(err.text, "hop limit") != NULL, "%s", err.text);
    /* Also where a worker would read it. */
    ck_assert_int_eq(leat_credentials_provider_get(chain, &credentials, &err), LEAT_E_NOT_FOUND);
    ck_assert_msg(strstr(err.text, "hop limit") != NULL, "%s", err.text);
    leat_credentials_provider_free(chain);
}
END_TEST

/* Where nobody says a region, the instance does. */
START_TEST(the_instance_says_the_region)
{
    char region[64];

    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    use_instance();
    ck_assert_msg(leat_region_resolve(NULL, NULL, false, region, &err) == 0, "%s", err.text);
    ck_assert_str_eq(region, "us-east-1");
    ck_assert_int_eq(leat_region_resolve(NULL, NULL, false, region, &err), 0);
    ck_assert_uint_eq(leat_local_roles_calls(server, "MetadataPlace"), 1);
}
END_TEST

START_TEST(roles_one_after_the_other)
{
    write_file(config_file,
               "[default]\nrole_arn = arn:aws:iam::123456789012:role/second\n"
               "source_profile = first\nexternal_id = partner\nrole_session_name = two\n"
               "[profile first]\nrole_arn = " LEAT_LOCAL_ROLE_ARN "\nsource_profile = keys\n"
               "role_session_name = one\n"
               "[profile keys]\naws_access_key_id = " KEY_ID "\naws_secret_access_key = " SECRET
               "\n");
    ck_assert_msg(get_of(PROFILE) == 0, "%s", err.text);
    ck_assert_uint_eq(leat_local_roles_calls(server, "AssumeRole"), 2);
    ck_assert_msg(strstr(credentials.source, "role/second") != NULL, "%s", credentials.source);
}
END_TEST

START_TEST(a_role_from_a_place)
{
    char text[400];

    use_instance();
    use_container();
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text,
                 "[default]\nrole_arn = " LEAT_LOCAL_ROLE_ARN "\ncredential_source = %s\n",
                 i == 0 ? "Ec2InstanceMetadata" : "EcsContainer");
        write_file(config_file, text);
        ck_assert_msg(get_of(PROFILE) == 0, "%s", err.text);
    }
    ck_assert_uint_eq(leat_local_roles_calls(server, "MetadataCredentials"), 1);
    ck_assert_uint_eq(leat_local_roles_calls(server, "Container"), 1);
    /* A place that is named and has none is a fault. */
    write_file(config_file,
               "[default]\nrole_arn = " LEAT_LOCAL_ROLE_ARN "\ncredential_source = Environment\n");
    ck_assert_int_eq(get_of(PROFILE), LEAT_E_DENIED);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("credentials");
    TCase *tests = tcase_create("credentials");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, what_is_right, 0, SOURCES);
    tcase_add_loop_test(tests, what_is_wrong, 0, (int)LEAT_COUNT_OF(faults) * SOURCES);
    tcase_add_loop_test(tests, a_stop_ends_the_wait, 0, SOURCES);
    tcase_add_test(tests, a_rotated_token_is_read_again);
    tcase_add_test(tests, a_session_is_named_where_its_role_is);
    tcase_add_test(tests, a_container_token_of_two_words);
    tcase_add_loop_test(tests, answers_in_order, 0, (int)LEAT_COUNT_OF(scripts));
    tcase_add_test(tests, attempts_leave_time);
    tcase_add_loop_test(tests, a_token_file_that_is_none, 0, (int)LEAT_COUNT_OF(tokens));
    tcase_add_test(tests, a_container_endpoint_that_is_far);
    tcase_add_test(tests, an_instance_without_a_role);
    tcase_add_test(tests, the_instance_says_the_region);
    tcase_add_test(tests, roles_one_after_the_other);
    tcase_add_test(tests, a_role_from_a_place);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
