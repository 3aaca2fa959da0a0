/*
 * Credentials from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. What is blank is not set. AWS_ACCESS_KEY and
 * AWS_SECRET_KEY (Go, Java) and, beside AWS_ACCESS_KEY_ID, SECRET_ACCESS_KEY (Rust) stand in for one of the two.
 */
#include <stdlib.h>

#include <openssl/crypto.h>

#include "aws/credentials.h"
#include "aws/credentials_inside.h"
#include "base/memory.h"
#include "base/units.h"

char *
leat_variable(const char *name)
{
    struct leat_slice text = leat_slice_from(getenv(name));

    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text.size > 0 ? leat_slice_strdup(text) : NULL;
}

static void
wipe(char *text)
{
    if (text != NULL)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

static int
read_expiration(int64_t *ret_us, struct leat_error *err)
{
    static const char name[] = "AWS_CREDENTIAL_EXPIRATION";
    LEAT_AUTO_FREE char *text = leat_variable(name);

    *ret_us = 0;
    if (text != NULL && !leat_parse_time(leat_slice_from(text), ret_us))
        return leat_error_set(err, LEAT_E_INVALID,
                              "%s is no time: write it like 2026-11-30T12:00:00Z", name);
    return 0;
}

static int
make(const char *key, const char *secret, struct leat_credentials *ret_credentials,
     struct leat_error *err)
{
    char *token;
    int64_t expires_us;

    if (key == NULL && secret == NULL)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "AWS_ACCESS_KEY_ID is not set");
    if (key == NULL || secret == NULL)
        return leat_error_set(err, LEAT_E_INVALID,
                              "half of the credentials is missing in the environment: %s is not "
                              "set: set both or none",
                              secret == NULL ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    if (read_expiration(&expires_us, err) < 0)
        return LEAT_E_INVALID;
    token = leat_variable("AWS_SESSION_TOKEN");
    if (token == NULL)
        token = leat_variable("AWS_SECURITY_TOKEN"); /* its old name */
    leat_credentials_set(ret_credentials, leat_slice_from(key), leat_slice_from(secret),
                         leat_slice_from(token));
    ret_credentials->expires_us = expires_us;
    wipe(token);
    return 0;
}

/* Fills what is missing from the other names, where that makes a whole: what has one of them for another purpose is half of nothing. */
static void
take_other_names(char **key, char **secret)
{
    bool has_key = *key != NULL;
    char *other_key = has_key ? NULL : leat_variable("AWS_ACCESS_KEY");
    char *other_secret = *secret != NULL ? NULL : leat_variable("AWS_SECRET_KEY");

    if (*secret == NULL && other_secret == NULL && has_key)
        other_secret = leat_variable("SECRET_ACCESS_KEY");
    if ((has_key || other_key != NULL) && (*secret != NULL || other_secret != NULL)) {
        if (!has_key)
            *key = other_key;
        if (*secret == NULL)
            *secret = other_secret;
        return;
    }
    wipe(other_key);
    wipe(other_secret);
}

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    char *key = leat_variable("AWS_ACCESS_KEY_ID");
    char *secret = leat_variable("AWS_SECRET_ACCESS_KEY");
    int result;

    take_other_names(&key, &secret);
    result = make(key, secret, ret_credentials, err);
    wipe(key);
    wipe(secret);
    return result;
}

static void
provider_free(struct leat_credentials_provider *provider)
{
    free(provider);
}

static const struct leat_credentials_provider_ops environment_ops = {
    "environment", "of the environment", get, provider_free};

struct leat_credentials_provider *
leat_credentials_environment_new(void)
{
    struct leat_credentials_provider *provider = LEAT_NEW(struct leat_credentials_provider);

    provider->ops = &environment_ops;
    return provider;
}
