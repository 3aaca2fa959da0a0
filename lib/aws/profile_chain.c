/*
 * From profile to profile by source_profile. The rules:
 * - A profile that is a source and has keys of its own gives them: its role is for those who name it. The first profile's role goes
 *   before its keys; one that names itself as the source gives its keys, or what its program says, to its own role.
 * - A token file goes before a source: whoever has a token does not need keys.
 * - Keys go before a program (Go, JavaScript and Python do it so; Java and Rust the other way round).
 * - What cannot be done here (SSO, a device that asks for a code) is an error that says what can.
 */
#include "aws/profile_chain.h"

#include <stdlib.h>
#include <strings.h>

#include <openssl/crypto.h>

#include "aws/profile_file.h"
#include "base/memory.h"

static const char *const key_names[LEAT_PROFILE_KEYS] = {
    [LEAT_PROFILE_ACCESS_KEY_ID] = "aws_access_key_id",
    [LEAT_PROFILE_SECRET_ACCESS_KEY] = "aws_secret_access_key",
    [LEAT_PROFILE_SESSION_TOKEN] = "aws_session_token",
    [LEAT_PROFILE_SECURITY_TOKEN] = "aws_security_token",
    [LEAT_PROFILE_ROLE_ARN] = "role_arn",
    [LEAT_PROFILE_SOURCE_PROFILE] = "source_profile",
    [LEAT_PROFILE_CREDENTIAL_SOURCE] = "credential_source",
    [LEAT_PROFILE_EXTERNAL_ID] = "external_id",
    [LEAT_PROFILE_ROLE_SESSION_NAME] = "role_session_name",
    [LEAT_PROFILE_DURATION_SECONDS] = "duration_seconds",
    [LEAT_PROFILE_MFA_SERIAL] = "mfa_serial",
    [LEAT_PROFILE_WEB_IDENTITY_TOKEN_FILE] = "web_identity_token_file",
    [LEAT_PROFILE_CREDENTIAL_PROCESS] = "credential_process",
    [LEAT_PROFILE_SSO_SESSION] = "sso_session",
    [LEAT_PROFILE_SSO_ACCOUNT_ID] = "sso_account_id",
    [LEAT_PROFILE_SSO_START_URL] = "sso_start_url",
    [LEAT_PROFILE_LOGIN_SESSION] = "login_session",
};

/* ---- settings ------------------------------------------------------------------------------ */

static void
wipe(char **text)
{
    if (*text == NULL)
        return;
    OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

void
leat_profile_settings_release(struct leat_profile_settings *settings)
{
    for (size_t i = 0; i < LEAT_PROFILE_KEYS; i++)
        wipe(&settings->values[i]);
}

static void
take_setting(void *context, struct leat_slice key, struct leat_slice value)
{
    struct leat_profile_settings *settings = context;

    for (size_t i = 0; i < LEAT_PROFILE_KEYS; i++) {
        if (!leat_profile_key_is(key, key_names[i]))
            continue;
        wipe(&settings->values[i]);
        settings->values[i] = value.size > 0 ? leat_slice_strdup(value) : NULL;
    }
}

static bool
has_key(const struct leat_profile_settings *settings)
{
    return settings->values[LEAT_PROFILE_ACCESS_KEY_ID] != NULL ||
           settings->values[LEAT_PROFILE_SECRET_ACCESS_KEY] != NULL;
}

/* What `settings` lacks is taken from `other`; keys and token only together. */
static void
add_missing(struct leat_profile_settings *settings, struct leat_profile_settings *other)
{
    bool has_keys = has_key(settings);

    for (size_t i = 0; i < LEAT_PROFILE_KEYS; i++) {
        if ((i <= LEAT_PROFILE_SECURITY_TOKEN && has_keys) || settings->values[i] != NULL)
            continue;
        settings->values[i] = other->values[i];
        other->values[i] = NULL;
    }
}

/* A home that may not be read, in which nobody said that a profile is, says nothing: a container has other credentials. */
static int
where_nobody_pointed(const char *name, int result)
{
    bool is_pointed_at = leat_profile_is_named(NULL) || strcmp(name, "default") != 0 ||
                         getenv("AWS_CONFIG_FILE") != NULL ||
                         getenv("AWS_SHARED_CREDENTIALS_FILE") != NULL;

    return result == LEAT_E_SYSTEM && !is_pointed_at ? LEAT_E_NOT_FOUND : result;
}

int
leat_profile_load(void *context, const char *name, struct leat_profile_settings *settings,
                  struct leat_error *err)
{
    struct leat_profile_settings of_config = {0};
    struct leat_error local = {0};
    int of_credentials = leat_profile_read(LEAT_PROFILE_CREDENTIALS, LEAT_SECTION_PROFILE, name,
                                           take_setting, settings, err);
    int result;

    of_credentials = where_nobody_pointed(name, of_credentials);
    if (of_credentials < 0 && of_credentials != LEAT_E_NOT_FOUND)
        return of_credentials;
    result = leat_profile_read(LEAT_PROFILE_CONFIG, LEAT_SECTION_PROFILE, name, take_setting,
                               &of_config, &local);
    result = where_nobody_pointed(name, result);
    add_missing(settings, &of_config);
    leat_profile_settings_release(&of_config);
    /* Where neither has it, the credentials file is the one to talk about. */
    if (result == LEAT_E_NOT_FOUND)
        return of_credentials;
    if (result < 0 && err != NULL)
        *err = local;
    return result;
}

/* ---- the walk ------------------------------------------------------------------------------ */

struct walk {
    struct leat_profile_chain *chain;
    const char *first;
    char *seen[LEAT_PROFILE_CHAIN_ROLES + 1];
    size_t seen_count;
};

static const char *
value(const struct leat_profile_settings *settings, enum leat_profile_key key)
{
    return settings->values[key];
}

static bool
has_seen(const struct walk *walk, const char *name)
{
    for (size_t i = 0; i < walk->seen_count; i++) {
        if (strcmp(walk->seen[i], name) == 0)
            return true;
    }
    return false;
}

static void
end_with(struct walk *walk, enum leat_profile_base base, const char *name,
         struct leat_profile_settings *settings)
{
    walk->chain->base = base;
    walk->chain->base_name = leat_strdup(name);
    walk->chain->base_settings = *settings;
    *settings = (struct leat_profile_settings){0};
}

/* STS says how many seconds are too few or too many for a role. */
static int
check_duration(const char *name, const struct leat_profile_settings *settings,
               struct leat_error *err)
{
    const char *duration = value(settings, LEAT_PROFILE_DURATION_SECONDS);

    if (duration == NULL || duration[strspn(duration, "0123456789")] == '\0')
        return 0;
    return leat_error_set(err, LEAT_E_INVALID,
                          "duration_seconds of profile \"%s\" is no number of seconds", name);
}

static int
take_keys(struct walk *walk, const char *name, struct leat_profile_settings *settings,
          struct leat_error *err)
{
    const char *key = value(settings, LEAT_PROFILE_ACCESS_KEY_ID),
               *secret = value(settings, LEAT_PROFILE_SECRET_ACCESS_KEY);

    if (key == NULL || secret == NULL)
        return leat_error_set(err, LEAT_E_INVALID, "profile \"%s\" lacks %s", name,
                              key == NULL ? "aws_access_key_id" : "aws_secret_access_key");
    end_with(walk, LEAT_PROFILE_BASE_KEYS, name, settings);
    return 0;
}

/* Where the search ends: what a profile has without a role. */
static int
take_base(struct walk *walk, const char *name, struct leat_profile_settings *settings,
          struct leat_error *err)
{
    if (value(settings, LEAT_PROFILE_WEB_IDENTITY_TOKEN_FILE) != NULL) {
        if (value(settings, LEAT_PROFILE_ROLE_ARN) == NULL)
            return leat_error_set(err, LEAT_E_INVALID,
                                  "profile \"%s\" has a web_identity_token_file, but no role_arn",
                                  name);
        if (check_duration(name, settings, err) < 0)
            return LEAT_E_INVALID;
        end_with(walk, LEAT_PROFILE_BASE_WEB_IDENTITY, name, settings);
        return 0;
    }
    if (has_key(settings))
        return take_keys(walk, name, settings, err);
    if (value(settings, LEAT_PROFILE_CREDENTIAL_PROCESS) != NULL) {
        end_with(walk, LEAT_PROFILE_BASE_PROCESS, name, settings);
        return 0;
    }
    if (value(settings, LEAT_PROFILE_SSO_SESSION) != NULL ||
        value(settings, LEAT_PROFILE_SSO_ACCOUNT_ID) != NULL ||
        value(settings, LEAT_PROFILE_SSO_START_URL) != NULL ||
        value(settings, LEAT_PROFILE_LOGIN_SESSION) != NULL)
        return leat_error_set(err, LEAT_E_INVALID,
                              "profile \"%s\" signs in by a browser (SSO), which leat does not do: "
                              "use a profile with "
                              "credential_process = aws configure export-credentials --profile %s",
                              name, name);
    return leat_error_set(err, walk->seen_count == 1 ? LEAT_E_NOT_FOUND : LEAT_E_INVALID,
                          "profile \"%s\" has no credentials", name);
}

static int
take_credential_source(struct walk *walk, const char *name, struct leat_error *err)
{
    static const struct {
        const char *text;
        enum leat_profile_base base;
    } sources[] = {{"Ec2InstanceMetadata", LEAT_PROFILE_BASE_INSTANCE},
                   {"Environment", LEAT_PROFILE_BASE_ENVIRONMENT},
                   {"EcsContainer", LEAT_PROFILE_BASE_CONTAINER}};
    struct leat_profile_settings none = {0};
    const struct leat_profile_settings *role = &walk->chain->roles[walk->chain->role_count - 1];
    const char *wanted = value(role, LEAT_PROFILE_CREDENTIAL_SOURCE);

    for (size_t i = 0; i < LEAT_COUNT_OF(sources); i++) {
        if (strcasecmp(sources[i].text, wanted) == 0) {
            end_with(walk, sources[i].base, name, &none);
            return 0;
        }
    }
    return leat_error_set(err, LEAT_E_INVALID,
                          "profile \"%s\" has the credential_source \"%.60s\": there are "
                          "Ec2InstanceMetadata, Environment and EcsContainer",
                          name, wanted);
}

/* A program beside a role is meant to be used for it (Go; elsewhere one has to write it). */
static bool
is_its_own_source(const struct leat_profile_settings *settings)
{
    return value(settings, LEAT_PROFILE_SOURCE_PROFILE) == NULL && !has_key(settings) &&
           value(settings, LEAT_PROFILE_CREDENTIAL_PROCESS) != NULL;
}

/* The profile's role joins the chain. *ret_next: where to go on; NULL: the chain has its base. Owned by the role. */
static int
take_role(struct walk *walk, const char *name, struct leat_profile_settings *settings,
          const char **ret_next, struct leat_error *err)
{
    struct leat_profile_settings *role = &walk->chain->roles[walk->chain->role_count];
    bool has_source = value(settings, LEAT_PROFILE_CREDENTIAL_SOURCE) != NULL;
    const char *source;

    *ret_next = NULL;
    if (!has_source && is_its_own_source(settings))
        settings->values[LEAT_PROFILE_SOURCE_PROFILE] = leat_strdup(name);
    source = value(settings, LEAT_PROFILE_SOURCE_PROFILE);
    if (value(settings, LEAT_PROFILE_MFA_SERIAL) != NULL)
        return leat_error_set(err, LEAT_E_INVALID,
                              "profile \"%s\" asks for a code (mfa_serial): nobody is there to "
                              "give it",
                              name);
    if (source != NULL && has_source)
        return leat_error_set(err, LEAT_E_INVALID,
                              "profile \"%s\" has both source_profile and credential_source: which "
                              "is meant?",
                              name);
    if (source == NULL && !has_source)
        return leat_error_set(err, LEAT_E_INVALID,
                              "profile \"%s\" has a role_arn, but neither source_profile nor "
                              "credential_source nor web_identity_token_file",
                              name);
    if (check_duration(name, settings, err) < 0)
        return LEAT_E_INVALID;
    if (walk->chain->role_count == LEAT_PROFILE_CHAIN_ROLES)
        return leat_error_set(err, LEAT_E_INVALID,
                              "profile \"%s\" leads through more than %d roles", walk->first,
                              LEAT_PROFILE_CHAIN_ROLES);
    *role = *settings;
    *settings = (struct leat_profile_settings){0};
    walk->chain->role_count++;
    if (has_source)
        return take_credential_source(walk, name, err);
    *ret_next = source;
    return 0;
}

static int load_next(struct walk *walk, leat_profile_load_fn load, void *context, const char *name,
                     struct leat_profile_settings *settings, struct leat_error *err);

/* One profile; *ret_next as above. */
static int
visit(struct walk *walk, const char *name, struct leat_profile_settings *settings,
      const char **ret_next, struct leat_error *err)
{
    bool is_first = walk->seen_count == 1;
    bool is_own_source = !is_first && strcmp(walk->seen[walk->seen_count - 2], name) == 0;

    *ret_next = NULL;
    if (!is_first && has_key(settings))
        return take_keys(walk, name, settings, err);
    if (value(settings, LEAT_PROFILE_ROLE_ARN) == NULL || is_own_source ||
        value(settings, LEAT_PROFILE_WEB_IDENTITY_TOKEN_FILE) != NULL)
        return take_base(walk, name, settings, err);
    return take_role(walk, name, settings, ret_next, err);
}

/* A profile that is its own source gives its keys, or its program's; any other circle is none. */
static int
load_next(struct walk *walk, leat_profile_load_fn load, void *context, const char *name,
          struct leat_profile_settings *settings, struct leat_error *err)
{
    bool is_own_source = walk->seen_count > 0 &&
                         strcmp(walk->seen[walk->seen_count - 1], name) == 0;
    int result;

    if (has_seen(walk, name) && !is_own_source)
        return leat_error_set(err, LEAT_E_INVALID,
                              "profile \"%s\" leads in a circle: \"%s\" comes again", walk->first,
                              name);
    result = load(context, name, settings, err);
    if (result == LEAT_E_NOT_FOUND && walk->seen_count > 0)
        return leat_error_set(err, LEAT_E_INVALID,
                              "there is no profile \"%.100s\", which \"%.100s\" names as its "
                              "source_profile",
                              name, walk->seen[walk->seen_count - 1]);
    if (result == 0 && is_own_source && !has_key(settings) &&
        value(settings, LEAT_PROFILE_CREDENTIAL_PROCESS) == NULL)
        return leat_error_set(err, LEAT_E_INVALID,
                              "profile \"%s\" is its own source_profile, but has no keys", name);
    if (result == 0)
        walk->seen[walk->seen_count++] = leat_strdup(name);
    return result;
}

int
leat_profile_chain_resolve(leat_profile_load_fn load, void *context, const char *name,
                           struct leat_profile_chain *chain, struct leat_error *err)
{
    struct walk walk = {.chain = chain, .first = name};
    const char *next = name;
    int result = 0;

    while (next != NULL && result == 0) {
        struct leat_profile_settings settings = {0};
        const char *here = next;

        result = load_next(&walk, load, context, here, &settings, err);
        if (result == 0)
            result = visit(&walk, here, &settings, &next, err);
        leat_profile_settings_release(&settings);
    }
    for (size_t i = 0; i < walk.seen_count; i++)
        free(walk.seen[i]);
    return result;
}

void
leat_profile_chain_release(struct leat_profile_chain *chain)
{
    leat_profile_settings_release(&chain->base_settings);
    for (size_t i = 0; i < chain->role_count; i++)
        leat_profile_settings_release(&chain->roles[i]);
    free(chain->base_name);
    *chain = (struct leat_profile_chain){0};
}
