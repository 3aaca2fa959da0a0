/* The first provider that has credentials. One that has half of them, or a file that does not parse, ends the search: going
 * on would sign with an identity that nobody meant. */
#include <stdlib.h>

#include "aws/credentials.h"
#include "base/memory.h"

#define MAXIMUM_LINKS 8

struct chain {
    struct leat_credentials_provider base;
    struct leat_credentials_context context; /* of the default chain, whose links borrow it */
    char *texts[4];                          /* its strings */
    size_t count;
    struct leat_credentials_provider *providers[MAXIMUM_LINKS];
};

/* What was passed over, and why: "environment (…), profile (…)". */
struct tried {
    char text[400];
    size_t used;
};

static void
add_tried(struct tried *tried, const char *name, const struct leat_error *err)
{
    size_t room = sizeof tried->text - tried->used;
    int written = snprintf(tried->text + tried->used, room, "%s%s (%.70s%s)",
                           tried->used > 0 ? ", " : "", name, err->text,
                           strlen(err->text) > 70 ? "…" : "");

    if (written > 0)
        tried->used += (size_t)written < room ? (size_t)written : room - 1;
}

/* The provider's name goes before what it says of itself. */
static void
name_source(const char *name, struct leat_credentials *credentials)
{
    if (credentials->source[0] == '\0')
        snprintf(credentials->source, sizeof credentials->source, "%s", name);
}

/* link NULL: nobody wants to know. */
static int
search(struct chain *chain, struct leat_credentials *ret_credentials, leat_credentials_link_fn link,
       void *context, struct leat_error *err)
{
    struct tried tried = {0};

    for (size_t i = 0; i < chain->count; i++) {
        struct leat_credentials_provider *provider = chain->providers[i];
        struct leat_error local = {0};
        int result = leat_credentials_provider_get(provider, ret_credentials, &local);

        if (result == 0)
            name_source(provider->ops->name, ret_credentials);
        if (link != NULL)
            link(context, provider->ops->name, result, result == 0 ? ret_credentials : NULL,
                 &local);
        if (result != LEAT_E_NOT_FOUND) {
            if (result < 0 && err != NULL)
                *err = local;
            return result;
        }
        add_tried(&tried, provider->ops->name, &local);
    }
    return leat_error_set(err, LEAT_E_NOT_FOUND,
                          "no AWS credentials found; tried %s: \"leat doctor\" says more",
                          tried.text);
}

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    return search((struct chain *)provider, ret_credentials, NULL, NULL, err);
}

static void
chain_free(struct leat_credentials_provider *provider)
{
    struct chain *chain = (struct chain *)provider;

    for (size_t i = 0; i < chain->count; i++)
        leat_credentials_provider_free(chain->providers[i]);
    for (size_t i = 0; i < LEAT_COUNT_OF(chain->texts); i++)
        free(chain->texts[i]);
    free(chain);
}

static const struct leat_credentials_provider_ops chain_ops = {"chain", "of the chain", get,
                                                               chain_free};

struct leat_credentials_provider *
leat_credentials_chain_new(struct leat_credentials_provider *const *providers, size_t count)
{
    struct chain *chain = LEAT_NEW(struct chain);

    LEAT_ASSERT(count <= MAXIMUM_LINKS);
    chain->base.ops = &chain_ops;
    chain->count = count;
    for (size_t i = 0; i < count; i++)
        chain->providers[i] = providers[i];
    return &chain->base;
}

int
leat_credentials_explain(struct leat_credentials_provider *provider, leat_credentials_link_fn link,
                         void *context, struct leat_error *err)
{
    struct chain alone = {.count = 1, .providers = {provider}};
    struct chain *chain = provider->ops == &chain_ops ? (struct chain *)provider : &alone;
    struct leat_credentials credentials = {0};
    int result = search(chain, &credentials, link, context, err);

    leat_credentials_release(&credentials);
    return result;
}

static const char *
keep(char **kept, const char *text)
{
    *kept = text != NULL && *text != '\0' ? leat_strdup(text) : NULL;
    return *kept;
}

static void
copy_context(struct chain *chain, const struct leat_credentials_context *context)
{
    struct leat_credentials_context *own = &chain->context;

    own->profile = keep(&chain->texts[0], context->profile);
    own->region = keep(&chain->texts[1], context->region);
    own->endpoint_sts = keep(&chain->texts[2], context->endpoint_sts);
    own->ca_bundle = keep(&chain->texts[3], context->ca_bundle);
    own->is_stopped = context->is_stopped;
}

struct leat_credentials_provider *
leat_credentials_default_new(const struct leat_credentials_context *context)
{
    struct leat_credentials_provider *provider = leat_credentials_chain_new(NULL, 0);
    struct chain *chain = (struct chain *)provider;
    const struct leat_credentials_context *own = &chain->context;
    size_t count = 0;

    copy_context(chain, context);
    if (own->profile == NULL) {
        chain->providers[count++] = leat_credentials_environment_new();
        chain->providers[count++] = leat_credentials_web_identity_new(own);
    }
    chain->providers[count++] = leat_credentials_profile_new(own);
    if (own->profile == NULL) {
        chain->providers[count++] = leat_credentials_container_new(own);
        chain->providers[count++] = leat_credentials_instance_new(own);
    }
    chain->count = count;
    return provider;
}

void
leat_credentials_interrupt(struct leat_credentials_provider *provider)
{
    if (provider->ops == &chain_ops)
        atomic_store(&((struct chain *)provider)->context.is_interrupted, true);
}
