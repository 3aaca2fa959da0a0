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

enum { KEY, SECRET, TOKEN, VALUES };
struct found {
    char *values[VALUES];
};

static void
setting(void *context, struct leat_slice key, struct leat_slice value)
{
    static const char *const names[VALUES] = {
        [KEY] = "aws_access_key_id",
        [SECRET] = "aws_secret_access_key",
        [TOKEN] = "aws_session_token",
    };
    struct found *found = context;

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
get_from(enum leat_profile_file kind, const char *profile, struct leat_credentials *ret_credentials,
         struct leat_error *err)
{
    struct found found = {0};
    int result = leat_profile_read(kind, LEAT_SECTION_PROFILE, profile, setting, &found, err);

    if (result == 0 && found.values[KEY] != NULL && found.values[SECRET] != NULL)
        leat_credentials_set(ret_credentials, leat_slice_from(found.values[KEY]),
                             leat_slice_from(found.values[SECRET]),
                             leat_slice_from(found.values[TOKEN]));
    else if (result == 0 && found.values[KEY] == NULL && found.values[SECRET] == NULL)
        result = leat_error_set(err, LEAT_E_NOT_FOUND, "profile \"%s\" has no keys", profile);
    else if (result == 0)
        result = leat_error_set(err, LEAT_E_INVALID, "profile \"%s\" lacks %s", profile,
                                found.values[KEY] == NULL ? "aws_access_key_id"
                                                          : "aws_secret_access_key");
    found_release(&found);
    return result;
}

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    const char *profile = leat_profile_name(((struct profile_provider *)provider)->profile);
    int result = get_from(LEAT_PROFILE_CREDENTIALS, profile, ret_credentials, err);

    if (result == LEAT_E_NOT_FOUND) {
        struct leat_error first = {0};

        if (err != NULL)
            first = *err;
        result = get_from(LEAT_PROFILE_CONFIG, profile, ret_credentials, err);
        /* Where neither has it, the credentials file is the one to talk about. */
        if (result == LEAT_E_NOT_FOUND && err != NULL)
            *err = first;
    }
    if (result == 0)
        leat_error_clear(err);
    return result;
}

static void
provider_free(struct leat_credentials_provider *provider)
{
    free(((struct profile_provider *)provider)->profile);
    free(provider);
}

static const struct leat_credentials_provider_ops profile_ops = {"profile", get, provider_free};

struct leat_credentials_provider *
leat_credentials_profile_new(const char *profile)
{
    struct profile_provider *provider = LEAT_NEW(struct profile_provider);

    provider->base.ops = &profile_ops;
    provider->profile = profile != NULL ? leat_strdup(profile) : NULL;
    return &provider->base;
}
