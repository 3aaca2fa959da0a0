/* Credentials that were given: tests, `leat dev`. */
#include <stdlib.h>

#include "aws/credentials.h"
#include "base/memory.h"

struct static_provider {
    struct leat_credentials_provider base;
    struct leat_credentials credentials;
};

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    leat_credentials_copy(ret_credentials, &((struct static_provider *)provider)->credentials);
    return 0;
}

static void
provider_free(struct leat_credentials_provider *provider)
{
    leat_credentials_release(&((struct static_provider *)provider)->credentials);
    free(provider);
}

static const struct leat_credentials_provider_ops static_ops = {"static", "that were given", get,
                                                                provider_free};

struct leat_credentials_provider *
leat_credentials_static_new(const char *access_key_id, const char *secret_access_key,
                            const char *session_token)
{
    struct static_provider *provider = LEAT_NEW(struct static_provider);

    provider->base.ops = &static_ops;
    leat_credentials_set(&provider->credentials, leat_slice_from(access_key_id),
                         leat_slice_from(secret_access_key), leat_slice_from(session_token));
    return &provider->base;
}
