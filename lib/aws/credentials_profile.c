/* Credentials from the profile files: the credentials file first, then the config file. Read again at every get. */
#include <stdlib.h>

#include <openssl/crypto.h>

#include "aws/credentials.h"
#include "aws/profile_file.h"
#include "base/memory.h"

struct profile_provider {
    struct leat_credentials_provider base;
    char *profile; /* NULL: AWS_PROFILE, else default */
};

enum { KEY, SECRET, TOKEN, OLD_TOKEN, VALUES };
struct found {
    char *values[VALUES];
    const char *way; /* other than by keys, by which the profile says that it gets them; static */
    bool has_role;
};

/* What the AWS tools would do with a profile, and leat cannot. A role goes before keys: they are those of somebody else. */
static const char *const ways[] = {
    "role_arn",      "credential_process", "sso_session",
    "sso_start_url", "login_session",      "web_identity_token_file",
};

static void
setting(void *context, struct leat_slice key, struct leat_slice value)
{
    static const char *const names[VALUES] = {
        [KEY] = "aws_access_key_id",
        [SECRET] = "aws_secret_access_key",
        [TOKEN] = "aws_session_token",
        [OLD_TOKEN] = "aws_security_token",
    };
    struct found *found = context;

    for (size_t i = 0; i < LEAT_COUNT_OF(ways) && value.size > 0 && found->way == NULL; i++) {
        if (leat_profile_key_is(key, ways[i]))
            found->way = ways[i];
    }
    found->has_role = found->has_role || (value.size > 0 && leat_profile_key_is(key, ways[0]));
    for (size_t i = 0; i < VALUES; i++) {
        if (!leat_profile_key_is(key, names[i]))
            continue;
        if (found->values[i] != NULL)
            OPENSSL_cleanse(found->values[i], strlen(found->values[i]));
        free(found->values[i]);
        found->values[i] = value.size > 0 ? leat_slice_strdup(value) : NULL;
    }
}

static void
found_release(struct found *found)
{
    for (size_t i = 0; i < VALUES; i++) {
        if (found->values[i] != NULL)
            OPENSSL_cleanse(found->values[i], strlen(found->values[i]));
        free(found->values[i]);
        found->values[i] = NULL;
    }
}

static int
refuse_way(const char *profile, const char *way, struct leat_error *err)
{
    return leat_error_set(err, LEAT_E_INVALID,
                          "profile \"%s\" gets its credentials by %s, which leat cannot: `aws "
                          "configure export-credentials --profile %s --format env` prints keys to "
                          "set",
                          profile, way, profile);
}

static int
use(const struct found *found, const char *profile, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    const char *token = found->values[TOKEN] != NULL ? found->values[TOKEN]
                                                     : found->values[OLD_TOKEN];

    if (found->values[KEY] == NULL && found->values[SECRET] == NULL)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "profile \"%s\" has no keys", profile);
    if (found->values[KEY] == NULL || found->values[SECRET] == NULL)
        return leat_error_set(err, LEAT_E_INVALID, "profile \"%s\" lacks %s", profile,
                              found->values[KEY] == NULL ? "aws_access_key_id"
                                                         : "aws_secret_access_key");
    leat_credentials_set(ret_credentials, leat_slice_from(found->values[KEY]),
                         leat_slice_from(found->values[SECRET]), leat_slice_from(token));
    return 0;
}

/* The credentials file's keys, else the config file's. Which way the profile goes both may say. */
static int
choose(const struct found *secrets, const struct found *config, const char *profile,
       struct leat_credentials *ret_credentials, struct leat_error *err)
{
    const char *way = config->way != NULL ? config->way : secrets->way;
    int result;

    if (secrets->has_role || config->has_role)
        return refuse_way(profile, ways[0], err);
    result = use(secrets, profile, ret_credentials, err);
    if (result == LEAT_E_NOT_FOUND)
        result = use(config, profile, ret_credentials, err);
    return result == LEAT_E_NOT_FOUND && way != NULL ? refuse_way(profile, way, err) : result;
}

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    const char *profile = leat_profile_name(((struct profile_provider *)provider)->profile);
    struct found secrets = {0}, config = {0};
    struct leat_error first = {0}, second = {0};
    int of_secrets = leat_profile_read(LEAT_PROFILE_CREDENTIALS, LEAT_SECTION_PROFILE, profile,
                                       setting, &secrets, &first);
    int of_config = leat_profile_read(LEAT_PROFILE_CONFIG, LEAT_SECTION_PROFILE, profile, setting,
                                      &config, &second);
    bool has_keys = secrets.values[KEY] != NULL || secrets.values[SECRET] != NULL;
    int result;

    if (of_secrets < 0 && of_secrets != LEAT_E_NOT_FOUND)
        result = of_secrets;
    else if (of_config < 0 && of_config != LEAT_E_NOT_FOUND && !has_keys)
        result = of_config;
    else
        result = choose(&secrets, &config, profile, ret_credentials, err);
    if (result == 0)
        leat_error_clear(err);
    else if (err != NULL && result == of_secrets)
        /* Where neither has it, the credentials file is the one to talk about. */
        *err = first;
    else if (err != NULL && result == of_config && result != LEAT_E_NOT_FOUND)
        *err = second;
    found_release(&secrets);
    found_release(&config);
    return result;
}

static void
provider_free(struct leat_credentials_provider *provider)
{
    free(((struct profile_provider *)provider)->profile);
    free(provider);
}

static const struct leat_credentials_provider_ops profile_ops = {"profile", "of the profile", get,
                                                                 provider_free};

struct leat_credentials_provider *
leat_credentials_profile_new(const char *profile)
{
    struct profile_provider *provider = LEAT_NEW(struct profile_provider);

    provider->base.ops = &profile_ops;
    provider->profile = profile != NULL ? leat_strdup(profile) : NULL;
    return &provider->base;
}
