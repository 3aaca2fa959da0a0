/* Credentials from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. What is blank is not set. */
#include <stdlib.h>

#include "aws/credentials.h"
#include "base/memory.h"

/* Without blanks at its ends; empty: not set. */
static struct leat_slice
variable(const char *name)
{
    struct leat_slice text = leat_slice_from(getenv(name));

    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    struct leat_slice key = variable("AWS_ACCESS_KEY_ID");
    struct leat_slice secret = variable("AWS_SECRET_ACCESS_KEY");
    struct leat_slice token = variable("AWS_SESSION_TOKEN");
    bool has_key = key.size > 0, has_secret = secret.size > 0;

    if (!has_key && !has_secret)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "AWS_ACCESS_KEY_ID is not set");
    if (!has_key || !has_secret)
        return leat_error_set(err, LEAT_E_INVALID,
                              "half of the credentials is missing in the environment: %s is not "
                              "set: set both or none",
                              has_key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    if (token.size == 0)
        token = variable("AWS_SECURITY_TOKEN"); /* its old name */
    leat_credentials_set(ret_credentials, key, secret, token);
    return 0;
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
