/* Credentials from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. */
#include <stdlib.h>

#include "aws/credentials.h"
#include "base/memory.h"

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    const char *key = getenv("AWS_ACCESS_KEY_ID");
    const char *secret = getenv("AWS_SECRET_ACCESS_KEY");
    bool has_key = key != NULL && *key != '\0', has_secret = secret != NULL && *secret != '\0';

    if (!has_key && !has_secret)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "AWS_ACCESS_KEY_ID is not set");
    if (!has_key || !has_secret)
        return leat_error_set(err, LEAT_E_INVALID,
                              "half of the credentials is missing in the environment: %s is not "
                              "set: set both or none",
                              has_key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    leat_credentials_set(ret_credentials, leat_slice_from(key), leat_slice_from(secret),
                         leat_slice_from(getenv("AWS_SESSION_TOKEN")));
    return 0;
}

static void
provider_free(struct leat_credentials_provider *provider)
{
    free(provider);
}

static const struct leat_credentials_provider_ops environment_ops = {"environment", get,
                                                                     provider_free};

struct leat_credentials_provider *
leat_credentials_environment_new(void)
{
    struct leat_credentials_provider *provider = LEAT_NEW(struct leat_credentials_provider);

    provider->ops = &environment_ops;
    return provider;
}
