/* Profile files, providers and the chain. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/profile.h"
#include "base/memory.h"

static struct leat_error err;
#define KEYS "aws_access_key_id = k\naws_secret_access_key = s\n"
static char directory[64], credentials_path[96], config_path[96];

static void
write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void
setup(void)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"};

    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++)
        unsetenv(names[i]);
    snprintf(directory, sizeof directory, "/tmp/leat-credentials-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(credentials_path, sizeof credentials_path, "%s/credentials", directory);
    snprintf(config_path, sizeof config_path, "%s/config", directory);
    setenv("AWS_SHARED_CREDENTIALS_FILE", credentials_path, 1);
    setenv("AWS_CONFIG_FILE", config_path, 1);
}

static void
teardown(void)
{
    unlink(credentials_path);
    unlink(config_path);
    rmdir(directory);
}

/* ---- syntax -------------------------------------------------------------------------------- */

static char collected[512];

static void
collect(void *context, struct leat_slice key, struct leat_slice value)
{
    size_t used = strlen(collected);

    snprintf(collected + used, sizeof collected - used, "%.*s=%.*s;", (int)key.size,
             (const char *)key.data, (int)value.size, (const char *)value.data);
}

static int
parse(enum leat_profile_file kind, const char *profile, const char *text)
{
    collected[0] = '\0';
    return leat_profile_parse(leat_slice_from(text), kind, LEAT_SECTION_PROFILE,
                              leat_slice_from(profile), collect, NULL, &err);
}

START_TEST(syntax)
{
    static const char text[] = "# comment\n\n[default]\r\na = 1\r\nb=2 # trailing\n"
                               "c = x#y;z\nd =\n  nested = 9\n[ other ]\na=3\n; no\n[default]\n"
                               "e = has = equals ; c";

    ck_assert_int_eq(parse(LEAT_PROFILE_CREDENTIALS, "default", text), 0);
    ck_assert_str_eq(collected, "a=1;b=2;c=x#y;z;d.nested=9;d=;e=has = equals;");
    ck_assert_int_eq(parse(LEAT_PROFILE_CREDENTIALS, "other", text), 0);
    ck_assert_str_eq(collected, "a=3;");
    ck_assert_int_eq(parse(LEAT_PROFILE_CREDENTIALS, "none", text), LEAT_E_NOT_FOUND);
}
END_TEST

START_TEST(config_sections)
{
    static const char text[] =
        "[default]\na=1\n[profile x]\na=2\n[x]\na=3\n[profile \"y z\"]\na=4\n"
        "[sso-session x]\na=5\n";

    ck_assert_int_eq(parse(LEAT_PROFILE_CONFIG, "default", text), 0);
    ck_assert_str_eq(collected, "a=1;");
    ck_assert_int_eq(parse(LEAT_PROFILE_CONFIG, "x", text), 0);
    ck_assert_str_eq(collected, "a=2;");
    ck_assert_int_eq(parse(LEAT_PROFILE_CONFIG, "y z", text), 0);
    ck_assert_str_eq(collected, "a=4;");
}
END_TEST

/* What the AWS SDKs read out of a config file, each of a profile "foo" or the default one. NULL: an error. */
static const struct vector {
    const char *text, *profile, *settings;
} vectors[] = {
    {"[profile foo]", "foo", ""},
    {"[profile \tfoo \t]\nn = v", "foo", "n=v;"},
    {"[   profile foo    ]\nn = v\n[profile bar]", "foo", "n=v;"},
    {"[profile\tfoo]\nn = v", "foo", "n=v;"},
    {"[profilefoo]\nn = v\n[profile bar]\n", "bar", ""},
    {"[profile foo", "foo", NULL},
    {"n = v", "foo", NULL},
    {"[profile foo]\r\nn = v", "foo", "n=v;"},
    {"\xef\xbb\xbf[profile foo]\nn = v", "foo", "n=v;"},
    {"[profile foo]\nn = val=ue", "foo", "n=val=ue;"},
    {"[profile foo]\nn = \xf0\x9f\x98\x82", "foo", "n=\xf0\x9f\x98\x82;"},
    {"[profile foo]\nn \t=  \tv \t", "foo", "n=v;"},
    {"[profile foo]\nn =", "foo", "n=;"},
    {"[profile foo]\n= v", "foo", NULL},
    {"[profile foo]\nkey : v", "foo", NULL},
    {"\t \n[profile foo]\n\t\n \nn = v\n\t \n[profile bar]\n \t", "foo", "n=v;"},
    {"# C\n[profile foo] # C\nn = v # C with # sign", "foo", "n=v;"},
    {"; C\n[profile foo] ; C\nn = v ; C with ; sign", "foo", "n=v;"},
    {";\n[profile foo];\nn = v ;\n", "foo", "n=v;"},
    {"[profile foo]; A\nn = v\n[profile bar]# A", "foo", "n=v;"},
    {"[profile foo]\nn = v; A\nn2 = v# A", "foo", "n=v; A;n2=v# A;"},
    {"[profile foo]\nn = v\n -c", "foo", "n=v\n-c;"},
    {"[profile foo]\nn = v\n -c\n \t -d \t ", "foo", "n=v\n-c\n-d;"},
    {"[profile foo]\nn = v\n -c # C", "foo", "n=v\n-c # C;"},
    {" -c", "foo", NULL},
    {"[profile foo]\n -c", "foo", NULL},
    {"[profile foo]\nn = v\n[profile foo]\n -c", "foo", NULL},
    {"[profile foo]\nn = v\n[profile foo]\nn2 = v2", "foo", "n=v;n2=v2;"},
    {"[profile default]\nn = v\n[default]\nn2 = v2", "default", "n=v;"},
    {"[default]\nn2 = v2\n[profile default]\nn = v", "default", "n=v;"},
    {"[profile default]\nn = v\n[default]\nn2 = v2\n[profile default]\nn3 = v3", "default",
     "n=v;n3=v3;"},
    {"[profile \"default\"]\nn = v\n[default]\nn2 = v2", "default", "n=v;"},
    {"[profile foo]\nin valid = v\nn = w", "foo", "n=w;"},
    {"[profile foo]\nA-_9 = v", "foo", "A-_9=v;"},
    {"[profile a-z:A/Z_0%9.foo@bar+]\na/.%@:+ = v", "a-z:A/Z_0%9.foo@bar+", "a/.%@:+=v;"},
    {"[profile 'in valid']\nn = v\n[profile \"\"]\nn = w", "in valid", "n=v;"},
    {"[profile foo]\ns3 =\n n = v", "foo", "s3.n=v;s3=;"},
    {"[profile foo]\ns3 =\n invalid", "foo", NULL},
    {"[profile foo]\ns3 =\n n =", "foo", "s3.n=;s3=;"},
    {"[profile foo]\ns3 =\n = v", "foo", NULL},
    {"[profile foo]\ns3 =\n in valid = v\n valid = v", "foo", "s3.valid=v;s3=;"},
    {"[profile foo]\ns3 =\n n = v\n\t \n # C\n n2 = v2", "foo", "s3.n=v;s3.n2=v2;s3=;"},
    {"[default]\nn = v1\n v2 = 12 \n v3\nn2 = v2\nn3 =\n n3_0 = 1", "default",
     "n=v1\nv2 = 12\nv3;n2=v2;n3.n3_0=1;n3=;"},
    {"[sso-session foo]\nn = v\n[profile foo]\nn2 = v2\n[services foo]\ns3 =\n n = x", "foo",
     "n2=v2;"},
    {"[default]\nn = v\n[foobar default]\na =\n\tb = c", "default", "n=v;"},
};

START_TEST(config_files_as_the_sdks_read_them)
{
    const struct vector *vector = &vectors[_i];
    int result = parse(LEAT_PROFILE_CONFIG, vector->profile, vector->text);

    if (vector->settings == NULL) {
        ck_assert_msg(result == LEAT_E_FORMAT, "%s", vector->text);
        return;
    }
    ck_assert_msg(result == 0, "%s: %s", vector->text, err.text);
    ck_assert_str_eq(collected, vector->settings);
}
END_TEST

START_TEST(what_is_no_profile_is_passed_over)
{
    static const struct {
        enum leat_profile_file kind;
        const char *text, *profile;
    } cases[] = {
        {LEAT_PROFILE_CONFIG, "", "foo"},
        {LEAT_PROFILE_CONFIG, "[foo]\nn = v", "foo"},
        {LEAT_PROFILE_CONFIG, "[PROFILE foo]\nn = v", "foo"},
        {LEAT_PROFILE_CONFIG, "[profile FOO]\nn = v", "foo"},
        {LEAT_PROFILE_CONFIG, "[services foo]\nn = v", "foo"},
        {LEAT_PROFILE_CONFIG, "[profile foo]\nn = v", "default"},
        {LEAT_PROFILE_CREDENTIALS, "[profile foo]\nn = v", "foo"},
        {LEAT_PROFILE_CREDENTIALS, "[profile default]\nn = v", "default"},
        {LEAT_PROFILE_CONFIG, "[profile in valid]\nn = v", "in valid"},
        {LEAT_PROFILE_CONFIG, "[profile foo!bar]\nn = v", "foo!bar"},
        {LEAT_PROFILE_CONFIG, "[profile \"foo]\nn = v", "\"foo"},
        {LEAT_PROFILE_CONFIG, "[profile \"a\" \"b\"]\nn = v", "a\" \"b"},
        {LEAT_PROFILE_CONFIG, "[profile \"a']\nn = v", "a"},
        {LEAT_PROFILE_CREDENTIALS, "[in valid 2]\nn = v", "in valid 2"},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        ck_assert_msg(parse(cases[i].kind, cases[i].profile, cases[i].text) == LEAT_E_NOT_FOUND,
                      "%s", cases[i].text);
        ck_assert_str_eq(collected, "");
    }
}
END_TEST

/* Somebody whose profile another tool finds is told where the difference is. */
START_TEST(a_name_that_is_none_is_told)
{
    write_file(credentials_path, "[my profile]\n" KEYS);
    ck_assert_int_eq(leat_profile_check("my profile", &err), LEAT_E_INVALID);
    ck_assert_msg(strstr(err.text, "stands in quotes") != NULL, "%s", err.text);
    ck_assert_int_eq(leat_profile_check("other", &err), LEAT_E_INVALID);
    ck_assert_msg(strstr(err.text, "quotes") == NULL, "%s", err.text);
    write_file(config_path, "[profile \"my profile\"]\n" KEYS);
    ck_assert_int_eq(leat_profile_check("my profile", &err), 0);
}
END_TEST

START_TEST(bad_syntax_names_the_line)
{
    static const char *const cases[] = {"[default]\na=1\n[broken\n", "[default]\n\nsecret words\n",
                                        "\n\na = 1\n", "[default]\n\n= 1\n"};

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        ck_assert_int_eq(parse(LEAT_PROFILE_CREDENTIALS, "default", cases[i]), LEAT_E_FORMAT);
        ck_assert_ptr_nonnull(strstr(err.text, "line 3"));
        ck_assert_ptr_null(strstr(err.text, "secret"));
    }
}
END_TEST

/* ---- providers ----------------------------------------------------------------------------- */

static struct leat_credentials_context surroundings;

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *credentials)
{
    return leat_credentials_provider_get(provider, credentials, &err);
}

START_TEST(environment)
{
    struct leat_credentials_provider *provider = leat_credentials_environment_new();
    struct leat_credentials credentials = {0};

    ck_assert_int_eq(get(provider, &credentials), LEAT_E_NOT_FOUND);
    setenv("AWS_ACCESS_KEY_ID", "key", 1);
    ck_assert_int_eq(get(provider, &credentials), LEAT_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "AWS_SECRET_ACCESS_KEY"));
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.secret_access_key, "secret");
    ck_assert_ptr_null(credentials.session_token);
    leat_credentials_release(&credentials);
    ck_assert_ptr_null(credentials.secret_access_key);
    setenv("AWS_SESSION_TOKEN", "token", 1);
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.session_token, "token");
    leat_credentials_release(&credentials);
    leat_credentials_provider_free(provider);
}
END_TEST

/* What one SDK or another takes for a key counts where there is the other one, and is nothing alone. */
static const struct {
    const char *variables[7], *secret; /* NULL: none */
    int result;
} other_names[] = {
    {{"AWS_ACCESS_KEY_ID", "k", "AWS_SECRET_KEY", "s"}, "s", 0},
    {{"AWS_ACCESS_KEY_ID", "k", "SECRET_ACCESS_KEY", "s"}, "s", 0},
    {{"AWS_ACCESS_KEY_ID", "k", "AWS_SECRET_ACCESS_KEY", " ", "SECRET_ACCESS_KEY", "s"}, "s", 0},
    {{"AWS_ACCESS_KEY_ID", "k", "AWS_SECRET_ACCESS_KEY", "own", "AWS_SECRET_KEY", "s"}, "own", 0},
    {{"AWS_ACCESS_KEY", "k", "AWS_SECRET_ACCESS_KEY", "s"}, "s", 0},
    {{"AWS_ACCESS_KEY", "k", "AWS_SECRET_KEY", "s"}, "s", 0},
    {{"AWS_ACCESS_KEY", "k", "SECRET_ACCESS_KEY", "s"}, NULL, LEAT_E_NOT_FOUND},
    {{"AWS_ACCESS_KEY", "k"}, NULL, LEAT_E_NOT_FOUND},
    {{"AWS_SECRET_KEY", "s"}, NULL, LEAT_E_NOT_FOUND},
    {{"SECRET_ACCESS_KEY", "s"}, NULL, LEAT_E_NOT_FOUND},
    {{"AWS_ACCESS_KEY_ID", "k", "AWS_SECRET_KEY", "\t"}, NULL, LEAT_E_INVALID},
};

START_TEST(other_names_of_the_environment)
{
    struct leat_credentials_provider *provider = leat_credentials_environment_new();
    struct leat_credentials credentials = {0};

    for (size_t j = 0; other_names[_i].variables[j] != NULL; j += 2)
        setenv(other_names[_i].variables[j], other_names[_i].variables[j + 1], 1);
    ck_assert_int_eq(get(provider, &credentials), other_names[_i].result);
    if (other_names[_i].secret != NULL) {
        ck_assert_str_eq(credentials.access_key_id, "k");
        ck_assert_str_eq(credentials.secret_access_key, other_names[_i].secret);
    }
    leat_credentials_release(&credentials);
    leat_credentials_provider_free(provider);
}
END_TEST

START_TEST(the_older_name_of_the_profile)
{
    struct leat_credentials_provider *provider = leat_credentials_profile_new(&surroundings);
    struct leat_credentials credentials = {0};

    write_file(credentials_path, "[a]\naws_access_key_id = ka\naws_secret_access_key = s\n"
                                 "[b]\naws_access_key_id = kb\naws_secret_access_key = s\n");
    setenv("AWS_DEFAULT_PROFILE", "a", 1);
    ck_assert_msg(get(provider, &credentials) == 0, "%s", err.text);
    ck_assert_str_eq(credentials.access_key_id, "ka");
    leat_credentials_release(&credentials);
    setenv("AWS_PROFILE", "b", 1);
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.access_key_id, "kb");
    leat_credentials_release(&credentials);
    setenv("AWS_PROFILE", " ", 1);
    setenv("AWS_DEFAULT_PROFILE", "lost", 1);
    ck_assert_int_eq(get(provider, &credentials), LEAT_E_INVALID);
    leat_credentials_provider_free(provider);
}
END_TEST

START_TEST(profiles)
{
    struct leat_credentials_provider *provider = leat_credentials_profile_new(&surroundings);
    struct leat_credentials credentials = {0};

    ck_assert_int_eq(get(provider, &credentials), LEAT_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, credentials_path));
    write_file(credentials_path, "[default]\naws_access_key_id = k1\naws_secret_access_key = s1\n"
                                 "[half]\naws_access_key_id = k\n");
    write_file(config_path, "[default]\nregion = eu-north-1\n[profile other]\n"
                            "aws_access_key_id = k2\naws_secret_access_key = s2\n"
                            "aws_session_token = t2\n");
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.access_key_id, "k1");
    leat_credentials_release(&credentials);
    setenv("AWS_PROFILE", "other", 1);
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.access_key_id, "k2");
    ck_assert_str_eq(credentials.session_token, "t2");
    leat_credentials_release(&credentials);
    setenv("AWS_PROFILE", "half", 1);
    ck_assert_int_eq(get(provider, &credentials), LEAT_E_INVALID);
    unsetenv("AWS_PROFILE");
    write_file(credentials_path, "[default]\naws_access_key_id = k3\naws_secret_access_key = s3\n");
    ck_assert_int_eq(get(provider, &credentials), 0); /* read afresh */
    ck_assert_str_eq(credentials.access_key_id, "k3");
    leat_credentials_release(&credentials);
    leat_credentials_provider_free(provider);
}
END_TEST

/* What the two files say together; what is behind a role is in profile_chain.c. */
static const struct way {
    const char *config, *credentials, *key, *says; /* key NULL: refused, and says */
} profile_ways[] = {
    {"", "[p]\nrole_arn = arn:r\n" KEYS, NULL, "neither source_profile"},
    {"[profile p]\ncredential_process = /bin/false\n", "", NULL, "exit code 1"},
    {"[profile p]\ncredential_process = /bin/false\n", "[p]\n" KEYS, "k", NULL},
    {"[profile p]\nsso_session = s\nregion = r\n", "", NULL, "SSO"},
    {"[profile p]\nsso_start_url = s\n", "[default]\n" KEYS, NULL, "SSO"},
    {"[profile p]\nrole_arn =\n", "[p]\n" KEYS, "k", NULL},
    {"[profile p]\naws_session_token = other\n", "[p]\n" KEYS, "k", NULL},
    {"[profile p]\naws_secret_access_key = other\n", "[p]\naws_access_key_id = k\n", NULL, "lacks"},
    {"[profile p]\nregion = r\n", "", NULL, "no credentials"},
    {"[profile p]\nbroken\n", "[p]\n" KEYS, NULL, "line 2"},
    {"[profile p]\nbroken\n", "", NULL, "line 2"},
    {"[profile 'p']\n" KEYS, "", "k", NULL},
    {"", "[p]\n" KEYS "aws_security_token = t\n", "k", NULL},
};

START_TEST(ways_to_credentials)
{
    const struct way *way = &profile_ways[_i];
    struct leat_credentials_context named = {.profile = "p"};
    struct leat_credentials_provider *provider = leat_credentials_profile_new(&named);
    struct leat_credentials credentials = {0};
    int result;

    write_file(config_path, way->config);
    write_file(credentials_path, way->credentials);
    result = get(provider, &credentials);
    ck_assert_msg((result == 0) == (way->key != NULL), "%s", err.text);
    if (way->key != NULL)
        ck_assert_str_eq(credentials.access_key_id, way->key);
    else
        ck_assert_msg(strstr(err.text, way->says) != NULL, "%s", err.text);
    if (strstr(way->credentials, "token") != NULL)
        ck_assert_str_eq(credentials.session_token, "t");
    else
        ck_assert_ptr_null(credentials.session_token);
    leat_credentials_release(&credentials);
    leat_credentials_provider_free(provider);
}
END_TEST

/* Blank is not set; what would be a header of its own is refused by name, and never shown. */
START_TEST(blank_and_dirty_keys)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN"};
    static const char *const shown[] = {"access key id", "secret access key", "session token"};
    static const char *const dirt[] = {"hidden\r\nX-Evil: 1",
                                       "hidden\n",
                                       "hid\tden",
                                       "hid\x7f"
                                       "den",
                                       "hid\xc3\xa9"
                                       "den",
                                       "hid den"};
    struct leat_credentials_provider *provider = leat_credentials_environment_new();
    struct leat_credentials credentials = {0};

    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++)
        setenv(names[i], " \t", 1);
    ck_assert_int_eq(get(provider, &credentials), LEAT_E_NOT_FOUND);
    setenv("AWS_ACCESS_KEY_ID", " key ", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret\t", 1);
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.access_key_id, "key");
    ck_assert_str_eq(credentials.secret_access_key, "secret");
    ck_assert_ptr_null(credentials.session_token);
    leat_credentials_release(&credentials);
    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++) {
        for (size_t j = 0; j < LEAT_COUNT_OF(dirt); j++) {
            for (size_t k = 0; k < LEAT_COUNT_OF(names); k++)
                setenv(names[k], k == i ? dirt[j] : "clean", 1);
            ck_assert_int_eq(get(provider, &credentials), LEAT_E_INVALID);
            ck_assert_ptr_null(credentials.access_key_id);
            ck_assert_ptr_nonnull(strstr(err.text, shown[i]));
            ck_assert_ptr_null(strstr(err.text, "hid"));
            ck_assert_ptr_null(strpbrk(err.text, "\r\n"));
        }
    }
    leat_credentials_provider_free(provider);
    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++)
        unsetenv(names[i]);
    write_file(credentials_path, "[default]\naws_access_key_id = k1\n"
                                 "AWS_SECRET_ACCESS_KEY = s1\naws_session_token = hidden\n more\n");
    provider = leat_credentials_profile_new(&surroundings);
    ck_assert_int_eq(get(provider, &credentials), LEAT_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "session token"));
    ck_assert_ptr_null(strstr(err.text, "hidden"));
    leat_credentials_provider_free(provider);
}
END_TEST

/* ---- endpoints ------------------------------------------------------------------------------- */

static const char endpoints_config[] =
    "[default]\nregion = eu-west-1\nendpoint_url = http://all.profile:1\nservices = local\n"
    "[profile all]\nENDPOINT_URL = http://all.profile:2\nregion = eu-west-2\n"
    "[profile one]\nservices = local\n"
    "[profile none]\nregion = eu-west-3\n"
    "[profile ignoring]\nregion = eu-west-4\nendpoint_url = http://all.profile:3\n"
    "ignore_configured_endpoint_urls = True\n"
    "[profile lost]\nservices = nowhere\n"
    "[profile blank]\nregion = eu-west-5\nendpoint_url =\n"
    "[services local]\nKinesis =\n  # where it is\n  endpoint_url = http://kinesis.services:1\n"
    "dynamodb =\n  endpoint_url = http://dynamodb.services:1\n";

static const struct place {
    const char *profile; /* asked for; NULL: AWS_PROFILE's */
    const char *variables[7];
    const char *configured;
    enum leat_service service;
    const char *url; /* NULL: refused, and says: */
    const char *says;
} places[] = {
    {.url = "http://kinesis.services:1"},
    {.service = LEAT_SERVICE_S3, .url = "http://all.profile:1"},
    {.profile = "all", .url = "http://all.profile:2"},
    {.profile = "one", .url = "http://kinesis.services:1"},
    {.profile = "one",
     .variables = {"AWS_REGION", "r"},
     .service = LEAT_SERVICE_S3,
     .url = "https://s3.r.amazonaws.com"},
    {.profile = "none", .url = "https://kinesis.eu-west-3.amazonaws.com"},
    {.profile = "blank", .url = "https://kinesis.eu-west-5.amazonaws.com"},
    {.profile = "ignoring", .url = "https://kinesis.eu-west-4.amazonaws.com"},
    {.profile = "ignoring",
     .variables = {"AWS_ENDPOINT_URL", "http://all.environment:1"},
     .url = "https://kinesis.eu-west-4.amazonaws.com"},
    {.profile = "ignoring", .configured = "http://configured:1", .url = "http://configured:1"},
    {.profile = "ignoring",
     .variables = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false"},
     .url = "http://all.profile:3"},
    {.variables = {"AWS_PROFILE", "all"}, .url = "http://all.profile:2"},
    {.variables = {"AWS_PROFILE", "all"}, .profile = "one", .url = "http://kinesis.services:1"},
    {.variables = {"AWS_ENDPOINT_URL", "http://all.environment:1"},
     .url = "http://all.environment:1"},
    {.variables = {"AWS_ENDPOINT_URL", "http://all.environment:1", "AWS_ENDPOINT_URL_KINESIS",
                   "http://kinesis.environment:1"},
     .url = "http://kinesis.environment:1"},
    {.variables = {"AWS_ENDPOINT_URL_S3", "http://s3.environment:1"},
     .url = "http://kinesis.services:1"},
    {.variables = {"AWS_PROFILE", " ", "AWS_REGION", "\t", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
                   ""},
     .url = "http://kinesis.services:1"},
    {.variables = {"AWS_ENDPOINT_URL", " ", "AWS_ENDPOINT_URL_KINESIS", ""},
     .url = "http://kinesis.services:1"},
    {.variables = {"AWS_ENDPOINT_URL", "http://all.environment:1"},
     .configured = "http://configured:1",
     .url = "http://configured:1"},
    {.variables = {"AWS_ENDPOINT_URL_KINESIS", "http://kinesis.environment:1",
                   "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE"},
     .url = "https://kinesis.eu-west-1.amazonaws.com"},
    {.variables = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "maybe"},
     .says = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is neither true nor false"},
    {.profile = "missing", .says = "no AWS profile \"missing\""},
    {.variables = {"AWS_PROFILE", "missing"}, .says = "no AWS profile \"missing\""},
    {.profile = "lost", .says = "no section [services nowhere]"},
};

START_TEST(where_a_service_is)
{
    static const char *const variables[] = {"AWS_PROFILE",
                                            "AWS_REGION",
                                            "AWS_DEFAULT_REGION",
                                            "AWS_ENDPOINT_URL",
                                            "AWS_ENDPOINT_URL_KINESIS",
                                            "AWS_ENDPOINT_URL_S3",
                                            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"};
    const struct place *place = &places[_i];
    struct leat_endpoint endpoint;
    int result;

    write_file(config_path, endpoints_config);
    for (size_t i = 0; i < LEAT_COUNT_OF(variables); i++)
        unsetenv(variables[i]);
    for (size_t i = 0; place->variables[i] != NULL; i += 2)
        setenv(place->variables[i], place->variables[i + 1], 1);
    result = leat_endpoint_resolve(place->service, NULL, place->configured, place->profile,
                                   &endpoint, &err);
    if (place->url == NULL) {
        ck_assert_int_eq(result, LEAT_E_INVALID);
        ck_assert_msg(strstr(err.text, place->says) != NULL, "%s", err.text);
        return;
    }
    ck_assert_msg(result == 0, "%s", err.text);
    ck_assert_str_eq(endpoint.url, place->url);
}
END_TEST

/* The credentials file has the last word; a home directory is looked up where HOME is not told. */
START_TEST(two_files_are_one_profile)
{
    char *value = NULL;

    write_file(config_path, "[profile p]\nregion = eu-west-1\nendpoint_url = http://a\n");
    write_file(credentials_path, "[p]\nregion = eu-west-2\n");
    ck_assert_int_eq(leat_profile_get("p", "region", &value, &err), 0);
    ck_assert_str_eq(value, "eu-west-2");
    free(value);
    ck_assert_int_eq(leat_profile_get("p", "Endpoint_URL", &value, &err), 0);
    ck_assert_str_eq(value, "http://a");
    free(value);
}
END_TEST

START_TEST(settings)
{
    char *value = NULL;

    ck_assert_int_eq(leat_profile_get(NULL, "region", &value, &err), LEAT_E_NOT_FOUND);
    write_file(config_path, "[default]\nregion = eu-north-1\n[profile p]\nregion=x\n");
    ck_assert_int_eq(leat_profile_get(NULL, "region", &value, &err), 0);
    ck_assert_str_eq(value, "eu-north-1");
    free(value);
    ck_assert_int_eq(leat_profile_get("p", "region", &value, &err), 0);
    ck_assert_str_eq(value, "x");
    free(value);
}
END_TEST

START_TEST(chain)
{
    struct leat_credentials_provider *provider = leat_credentials_default_new(&surroundings);
    struct leat_credentials credentials = {0};

    ck_assert_int_eq(get(provider, &credentials), LEAT_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "environment"));
    ck_assert_ptr_nonnull(strstr(err.text, "profile"));
    write_file(credentials_path, "[default]\naws_access_key_id = k1\naws_secret_access_key = s1\n");
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.access_key_id, "k1");
    leat_credentials_release(&credentials);
    setenv("AWS_ACCESS_KEY_ID", "key", 1);
    ck_assert_int_eq(get(provider, &credentials), LEAT_E_INVALID); /* half: no going on */
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    ck_assert_int_eq(get(provider, &credentials), 0);
    ck_assert_str_eq(credentials.access_key_id, "key");
    leat_credentials_release(&credentials);
    leat_credentials_provider_free(provider);
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
    tcase_add_test(tests, syntax);
    tcase_add_test(tests, config_sections);
    tcase_add_loop_test(tests, ways_to_credentials, 0, (int)LEAT_COUNT_OF(profile_ways));
    tcase_add_loop_test(tests, config_files_as_the_sdks_read_them, 0, (int)LEAT_COUNT_OF(vectors));
    tcase_add_test(tests, what_is_no_profile_is_passed_over);
    tcase_add_test(tests, blank_and_dirty_keys);
    tcase_add_loop_test(tests, where_a_service_is, 0, (int)LEAT_COUNT_OF(places));
    tcase_add_test(tests, two_files_are_one_profile);
    tcase_add_test(tests, a_name_that_is_none_is_told);
    tcase_add_test(tests, bad_syntax_names_the_line);
    tcase_add_test(tests, environment);
    tcase_add_loop_test(tests, other_names_of_the_environment, 0, (int)LEAT_COUNT_OF(other_names));
    tcase_add_test(tests, the_older_name_of_the_profile);
    tcase_add_test(tests, profiles);
    tcase_add_test(tests, settings);
    tcase_add_test(tests, chain);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
