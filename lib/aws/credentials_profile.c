/* Credentials by a profile: its chain is walked at every get, so a file that has changed counts at the next refresh. */
#include <stdlib.h>

#include "aws/credentials.h"
#include "aws/credentials_process.h"
#include "aws/profile_chain.h"
#include "aws/profile_file.h"
#include "base/memory.h"

struct profile_provider {
    struct leat_credentials_provider base;
    const struct leat_credentials_context *context;
};

static int
get_from(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
         struct leat_error *err)
{
    int result = leat_credentials_provider_get(provider, ret_credentials, err);

    leat_credentials_provider_free(provider);
    return result;
}

static struct leat_sts_role
role_of(const struct leat_profile_settings *settings)
{
    return (struct leat_sts_role){.arn = settings->values[LEAT_PROFILE_ROLE_ARN],
                                  .session_name = settings->values[LEAT_PROFILE_ROLE_SESSION_NAME],
                                  .external_id = settings->values[LEAT_PROFILE_EXTERNAL_ID],
                                  .duration = settings->values[LEAT_PROFILE_DURATION_SECONDS]};
}

static int
get_base(const struct leat_credentials_context *context, const struct leat_profile_chain *chain,
         struct leat_credentials *ret_credentials, struct leat_error *err)
{
    const struct leat_profile_settings *settings = &chain->base_settings;
    const char *token = settings->values[LEAT_PROFILE_SESSION_TOKEN];
    struct leat_sts_role role = role_of(settings);
    int result = LEAT_E_INTERNAL;

    switch (chain->base) {
    case LEAT_PROFILE_BASE_KEYS:
        return get_from(leat_credentials_static_new(
                            settings->values[LEAT_PROFILE_ACCESS_KEY_ID],
                            settings->values[LEAT_PROFILE_SECRET_ACCESS_KEY],
                            token != NULL ? token : settings->values[LEAT_PROFILE_SECURITY_TOKEN]),
                        ret_credentials, err);
    case LEAT_PROFILE_BASE_WEB_IDENTITY:
        return leat_sts_assume_role_with_web_identity(
            context, settings->values[LEAT_PROFILE_WEB_IDENTITY_TOKEN_FILE], &role, ret_credentials,
            err);
    case LEAT_PROFILE_BASE_PROCESS:
        result = leat_credentials_process_run(
            context, settings->values[LEAT_PROFILE_CREDENTIAL_PROCESS], 0, ret_credentials, err);
        return result == 0 ? 0
                           : leat_error_prefix(err, "credential_process of profile \"%s\"",
                                               chain->base_name);
    case LEAT_PROFILE_BASE_ENVIRONMENT:
        result = get_from(leat_credentials_environment_new(), ret_credentials, err);
        break;
    case LEAT_PROFILE_BASE_INSTANCE:
        result = get_from(leat_credentials_instance_new(context), ret_credentials, err);
        break;
    case LEAT_PROFILE_BASE_CONTAINER:
        result = get_from(leat_credentials_container_new(context), ret_credentials, err);
        break;
    }
    /* A place that the profile names and that has none is a fault, not a place to pass over. */
    if (result == LEAT_E_NOT_FOUND && err != NULL)
        err->code = result = LEAT_E_DENIED;
    return result < 0
               ? leat_error_prefix(err, "credential_source of profile \"%s\"", chain->base_name)
               : 0;
}

/* The role that was found last first. */
static int
assume_roles(const struct leat_credentials_context *context, const struct leat_profile_chain *chain,
             struct leat_credentials *credentials, struct leat_error *err)
{
    for (size_t i = chain->role_count; i-- > 0;) {
        struct leat_sts_role role = role_of(&chain->roles[i]);
        struct leat_credentials assumed = {0};
        int result = leat_sts_assume_role(context, credentials, &role, &assumed, err);

        if (result < 0)
            return result;
        leat_credentials_release(credentials);
        *credentials = assumed;
    }
    return 0;
}

static void
name_source(const char *profile, struct leat_credentials *credentials)
{
    char inner[LEAT_CREDENTIALS_SOURCE_BYTES];

    memcpy(inner, credentials->source, sizeof inner);
    snprintf(credentials->source, sizeof credentials->source, "profile \"%.100s\"%s%.130s", profile,
             inner[0] != '\0' ? ": " : "", inner);
}

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    const struct leat_credentials_context *context = ((struct profile_provider *)provider)->context;
    const char *profile = leat_profile_name(context->profile);
    struct leat_profile_chain chain = {0};
    struct leat_credentials credentials = {0};
    int result = leat_profile_check(context->profile, err);

    if (result == 0)
        result = leat_profile_chain_resolve(leat_profile_load, NULL, profile, &chain, err);
    if (result == 0)
        result = get_base(context, &chain, &credentials, err);
    if (result == 0)
        result = assume_roles(context, &chain, &credentials, err);
    leat_profile_chain_release(&chain);
    if (result < 0) {
        leat_credentials_release(&credentials);
        return result;
    }
    name_source(profile, &credentials);
    *ret_credentials = credentials;
    leat_error_clear(err);
    return 0;
}

static void
provider_free(struct leat_credentials_provider *provider)
{
    free(provider);
}

static const struct leat_credentials_provider_ops profile_ops = {"profile", "of the profile", get,
                                                                 provider_free};

struct leat_credentials_provider *
leat_credentials_profile_new(const struct leat_credentials_context *context)
{
    struct profile_provider *provider = LEAT_NEW(struct profile_provider);

    provider->base.ops = &profile_ops;
    provider->context = context;
    return &provider->base;
}
