/* The first provider that has credentials. One that has half of them, or a file that does not parse, ends the search: going
 * on would sign with an identity that nobody meant. */
#include <stdlib.h>

#include "aws/credentials.h"
#include "base/memory.h"

struct chain {
    struct leat_credentials_provider base;
    size_t count;
    struct leat_credentials_provider *providers[];
};

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    struct chain *chain = (struct chain *)provider;
    char tried[240] = "";
    size_t used = 0;

    for (size_t i = 0; i < chain->count; i++) {
        struct leat_error local;
        int result;
        int written;

        leat_error_clear(&local);
        result = leat_credentials_provider_get(chain->providers[i], ret_credentials, &local);
        if (result == 0)
            return 0;
        if (result != LEAT_E_NOT_FOUND) {
            if (err != NULL)
                *err = local;
            return result;
        }
        written = snprintf(tried + used, sizeof tried - used, "%s%s (%.100s)", i > 0 ? ", " : "",
                           chain->providers[i]->ops->name, local.text);
        if (written > 0)
            used = used + (size_t)written < sizeof tried ? used + (size_t)written
                                                         : sizeof tried - 1;
    }
    return leat_error_set(err, LEAT_E_NOT_FOUND,
                          "no AWS credentials found; tried %s: set AWS_ACCESS_KEY_ID and "
                          "AWS_SECRET_ACCESS_KEY or a profile",
                          tried);
}

static void
chain_free(struct leat_credentials_provider *provider)
{
    struct chain *chain = (struct chain *)provider;

    for (size_t i = 0; i < chain->count; i++)
        leat_credentials_provider_free(chain->providers[i]);
    free(chain);
}

static const struct leat_credentials_provider_ops chain_ops = {"chain", "of the chain", get,
                                                               chain_free};

struct leat_credentials_provider *
leat_credentials_chain_new(struct leat_credentials_provider *const *providers, size_t count)
{
    struct chain *chain =
        leat_alloc_zero(1, sizeof *chain + count * sizeof(struct leat_credentials_provider *));

    chain->base.ops = &chain_ops;
    chain->count = count;
    for (size_t i = 0; i < count; i++)
        chain->providers[i] = providers[i];
    return &chain->base;
}

struct leat_credentials_provider *
leat_credentials_default_new(void)
{
    struct leat_credentials_provider *providers[] = {leat_credentials_environment_new(),
                                                     leat_credentials_profile_new(NULL)};

    return leat_credentials_chain_new(providers, LEAT_COUNT_OF(providers));
}
