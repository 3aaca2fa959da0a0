/* What profiles lead to: the rules of AWS's SDKs, each by a case, from tables in place of files. */
#include "aws/profile_chain.h"

#include <stdlib.h>

#include "base/memory.h"

#include <check.h>

struct entry {
    const char *profile, *key, *value;
};

static const char *const names[LEAT_PROFILE_KEYS] = {
    "id",      "secret",      "token",       "old_token", "role", "source",
    "from",    "external",    "session",     "duration",  "mfa",  "file",
    "process", "sso_session", "sso_account", "sso_url",   "login"};

static int
load(void *context, const char *name, struct leat_profile_settings *settings,
     struct leat_error *err)
{
    bool is_found = false;

    for (const struct entry *entry = context; entry->profile != NULL; entry++) {
        if (strcmp(entry->profile, name) != 0)
            continue;
        is_found = true;
        for (size_t i = 0; i < LEAT_PROFILE_KEYS && entry->key != NULL; i++) {
            if (strcmp(names[i], entry->key) == 0)
                settings->values[i] = leat_strdup(entry->value);
        }
    }
    return is_found ? 0 : leat_error_set(err, LEAT_E_NOT_FOUND, "no profile \"%s\"", name);
}

#define KEYS(profile, n)                                                                           \
    {profile, "id", "id" n},                                                                       \
    {                                                                                              \
        profile, "secret", "secret" n                                                              \
    }

static const struct {
    const char *title;
    struct entry entries[12];
    const char *
        wanted; /* the base, then the roles in the order of their assuming; or "! part of the error" */
} cases[] = {
    {"keys of its own", {KEYS("A", "1")}, "keys A id1"},
    {"a role behind keys",
     {{"A", "role", "RA"}, {"A", "source", "B"}, KEYS("B", "1")},
     "keys B id1, RA"},
    {"the first one's role goes before its keys",
     {KEYS("A", "1"), {"A", "role", "RA"}, {"A", "source", "B"}, KEYS("B", "2")},
     "keys B id2, RA"},
    {"its own source",
     {KEYS("A", "1"), {"A", "role", "RA"}, {"A", "source", "A"}},
     "keys A id1, RA"},
    {"its own source without keys", {{"A", "role", "RA"}, {"A", "source", "A"}}, "! has no keys"},
    {"its own source with a program",
     {{"A", "role", "RA"}, {"A", "source", "A"}, {"A", "process", "prog"}},
     "process A prog, RA"},
    {"a role beside a program",
     {{"A", "role", "RA"}, {"A", "process", "prog"}},
     "process A prog, RA"},
    {"a role beside a program, as a source",
     {{"A", "role", "RA"}, {"A", "source", "B"}, {"B", "role", "RB"}, {"B", "process", "prog"}},
     "process B prog, RB, RA"},
    {"a role beside a program and a place",
     {{"A", "role", "RA"}, {"A", "process", "prog"}, {"A", "from", "Environment"}},
     "environment, RA"},
    {"a role beside a program and keys",
     {{"A", "role", "RA"}, {"A", "process", "prog"}, KEYS("A", "1")},
     "! neither source_profile"},
    {"two roles",
     {{"A", "role", "RA"},
      {"A", "source", "B"},
      {"B", "role", "RB"},
      {"B", "source", "C"},
      KEYS("C", "3")},
     "keys C id3, RB, RA"},
    {"a source's keys go before its role",
     {{"A", "role", "RA"},
      {"A", "source", "B"},
      KEYS("B", "2"),
      {"B", "role", "RB"},
      {"B", "source", "C"},
      KEYS("C", "3")},
     "keys B id2, RA"},
    {"a circle",
     {{"A", "role", "RA"}, {"A", "source", "B"}, {"B", "role", "RB"}, {"B", "source", "A"}},
     "! circle"},
    {"a circle that has keys",
     {KEYS("A", "1"),
      {"A", "role", "RA"},
      {"A", "source", "B"},
      {"B", "role", "RB"},
      {"B", "source", "A"}},
     "! circle"},
    {"a place", {{"A", "role", "RA"}, {"A", "from", "Ec2InstanceMetadata"}}, "instance, RA"},
    {"the environment", {{"A", "role", "RA"}, {"A", "from", "Environment"}}, "environment, RA"},
    {"the container", {{"A", "role", "RA"}, {"A", "from", "EcsContainer"}}, "container, RA"},
    {"a place in another case",
     {{"A", "role", "RA"}, {"A", "from", "ecscontaineR"}},
     "container, RA"},
    {"no such place", {{"A", "role", "RA"}, {"A", "from", "Nowhere"}}, "! Nowhere"},
    {"a time",
     {{"A", "role", "RA"}, {"A", "from", "Environment"}, {"A", "duration", "900"}},
     "environment, RA"},
    {"no time",
     {{"A", "role", "RA"}, {"A", "from", "Environment"}, {"A", "duration", "1h"}},
     "! duration_seconds of profile \"A\""},
    {"no time of a token file",
     {{"A", "role", "RA"}, {"A", "file", "/t"}, {"A", "duration", "garbage value"}},
     "! duration_seconds of profile \"A\""},
    {"no time of a source's",
     {{"A", "role", "RA"},
      {"A", "source", "B"},
      {"B", "role", "RB"},
      {"B", "duration", "-1"},
      {"B", "from", "Environment"}},
     "! duration_seconds of profile \"B\""},
    {"a place and a source",
     {{"A", "role", "RA"}, {"A", "from", "Environment"}, {"A", "source", "B"}, KEYS("B", "1")},
     "! both"},
    {"a role without a source", {{"A", "role", "RA"}}, "! neither source_profile"},
    {"no such source", {{"A", "role", "RA"}, {"A", "source", "B"}}, "! there is no profile \"B\""},
    {"a source without anything",
     {{"A", "role", "RA"}, {"A", "source", "B"}, {"B", NULL, NULL}},
     "! profile \"B\" has no credentials"},
    {"half",
     {{"A", "role", "RA"}, {"A", "source", "B"}, {"B", "id", "x"}},
     "! lacks aws_secret_access_key"},
    {"the other half",
     {{"A", "role", "RA"}, {"A", "source", "B"}, {"B", "secret", "x"}},
     "! lacks aws_access_key_id"},
    {"only a region", {{"A", NULL, NULL}}, "? has no credentials"},
    {"nothing", {{"X", NULL, NULL}}, "? no profile"},
    {"a token file", {{"A", "role", "RA"}, {"A", "file", "/t"}}, "file A /t RA"},
    {"a token file as a source",
     {{"A", "role", "RA"}, {"A", "source", "B"}, {"B", "role", "RB"}, {"B", "file", "/t"}},
     "file B /t RB, RA"},
    {"a token file goes before a source",
     {{"A", "role", "RA"}, {"A", "source", "B"}, {"A", "file", "/t"}, KEYS("B", "1")},
     "file A /t RA"},
    {"a token file without a role", {{"A", "file", "/t"}}, "! no role_arn"},
    {"a program", {{"A", "process", "prog"}}, "process A prog"},
    {"a program as a source",
     {{"A", "role", "RA"}, {"A", "source", "B"}, {"B", "process", "prog"}},
     "process B prog, RA"},
    {"keys go before a program", {{"A", "process", "prog"}, KEYS("A", "1")}, "keys A id1"},
    {"SSO", {{"A", "sso_session", "s"}}, "! SSO"},
    {"SSO of the older form", {{"A", "sso_account", "1"}, {"A", "sso_url", "u"}}, "! SSO"},
    {"SSO as a source",
     {{"A", "role", "RA"}, {"A", "source", "B"}, {"B", "sso_session", "s"}},
     "! SSO"},
    {"a login", {{"A", "login", "l"}}, "! SSO"},
    {"a code",
     {{"A", "role", "RA"}, {"A", "source", "B"}, {"A", "mfa", "m"}, KEYS("B", "1")},
     "! mfa_serial"},
};

static void
show(const struct leat_profile_chain *chain, char shown[512])
{
    const char *const *values = (const char *const *)chain->base_settings.values;
    size_t used = 0;

    switch (chain->base) {
    case LEAT_PROFILE_BASE_KEYS:
        used = (size_t)snprintf(shown, 512, "keys %s %s", chain->base_name,
                                values[LEAT_PROFILE_ACCESS_KEY_ID]);
        break;
    case LEAT_PROFILE_BASE_WEB_IDENTITY:
        used = (size_t)snprintf(shown, 512, "file %s %s %s", chain->base_name,
                                values[LEAT_PROFILE_WEB_IDENTITY_TOKEN_FILE],
                                values[LEAT_PROFILE_ROLE_ARN]);
        break;
    case LEAT_PROFILE_BASE_PROCESS:
        used = (size_t)snprintf(shown, 512, "process %s %s", chain->base_name,
                                values[LEAT_PROFILE_CREDENTIAL_PROCESS]);
        break;
    case LEAT_PROFILE_BASE_ENVIRONMENT:
        used = (size_t)snprintf(shown, 512, "environment");
        break;
    case LEAT_PROFILE_BASE_INSTANCE:
        used = (size_t)snprintf(shown, 512, "instance");
        break;
    case LEAT_PROFILE_BASE_CONTAINER:
        used = (size_t)snprintf(shown, 512, "container");
        break;
    }
    for (size_t i = chain->role_count; i-- > 0;)
        used += (size_t)snprintf(shown + used, 512 - used, ", %s",
                                 chain->roles[i].values[LEAT_PROFILE_ROLE_ARN]);
}

START_TEST(rules)
{
    struct leat_profile_chain chain = {0};
    struct leat_error err = {0};
    const char *wanted = cases[_i].wanted;
    int result =
        leat_profile_chain_resolve(load, (void *)(uintptr_t)cases[_i].entries, "A", &chain, &err);
    char shown[512] = "";

    if (wanted[0] == '!' || wanted[0] == '?') {
        ck_assert_msg(result == (wanted[0] == '!' ? LEAT_E_INVALID : LEAT_E_NOT_FOUND), "%s: %d %s",
                      cases[_i].title, result, err.text);
        ck_assert_msg(strstr(err.text, wanted + 2) != NULL, "%s: %s", cases[_i].title, err.text);
    } else {
        ck_assert_msg(result == 0, "%s: %s", cases[_i].title, err.text);
        show(&chain, shown);
        ck_assert_msg(strcmp(shown, wanted) == 0, "%s: %s, not %s", cases[_i].title, shown, wanted);
    }
    leat_profile_chain_release(&chain);
}
END_TEST

START_TEST(too_many_roles)
{
    struct entry entries[2 * 12 + 3];
    char profiles[13][4];
    size_t count = 0;
    struct leat_profile_chain chain = {0};
    struct leat_error err = {0};

    for (int i = 0; i < 13; i++)
        snprintf(profiles[i], sizeof profiles[i], "%c", i == 0 ? 'A' : 'a' + i);
    for (int i = 0; i < 12; i++) {
        entries[count++] = (struct entry){profiles[i], "role", "R"};
        entries[count++] = (struct entry){profiles[i], "source", profiles[i + 1]};
    }
    entries[count++] = (struct entry){profiles[12], "id", "x"};
    entries[count++] = (struct entry){profiles[12], "secret", "y"};
    entries[count] = (struct entry){0};
    ck_assert_int_eq(leat_profile_chain_resolve(load, entries, "A", &chain, &err), LEAT_E_INVALID);
    ck_assert_msg(strstr(err.text, "more than 8 roles") != NULL, "%s", err.text);
    leat_profile_chain_release(&chain);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("profile_chain");
    TCase *tests = tcase_create("profile_chain");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, rules, 0, (int)LEAT_COUNT_OF(cases));
    tcase_add_test(tests, too_many_roles);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
