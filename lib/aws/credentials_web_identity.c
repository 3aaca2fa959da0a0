/* A role for a service account of Kubernetes (IRSA): the token lies in a file that kubelet rotates, so it is read at each refresh. */
#include <stdlib.h>

#include "aws/credentials.h"
#include "aws/credentials_inside.h"
#include "aws/sts.h"
#include "base/memory.h"

struct web_identity {
    struct leat_credentials_provider base;
    const struct leat_credentials_context *context;
};

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    const struct leat_credentials_context *context = ((struct web_identity *)provider)->context;
    LEAT_AUTO_FREE char *token_file = leat_variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    LEAT_AUTO_FREE char *arn = leat_variable("AWS_ROLE_ARN");
    LEAT_AUTO_FREE char *session_name = leat_variable("AWS_ROLE_SESSION_NAME");
    struct leat_sts_role role = {.arn = arn, .session_name = session_name};

    /* AWS_ROLE_ARN alone is set by people for other purposes, too. */
    if (token_file == NULL)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
    if (arn == NULL)
        return leat_error_set(err, LEAT_E_INVALID,
                              "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
    return leat_sts_assume_role_with_web_identity(context, token_file, &role, ret_credentials, err);
}

static void
provider_free(struct leat_credentials_provider *provider)
{
    free(provider);
}

static const struct leat_credentials_provider_ops web_identity_ops = {
    "web identity", "of the web identity", get, provider_free};

struct leat_credentials_provider *
leat_credentials_web_identity_new(const struct leat_credentials_context *context)
{
    struct web_identity *web_identity = LEAT_NEW(struct web_identity);

    web_identity->base.ops = &web_identity_ops;
    web_identity->context = context;
    return &web_identity->base;
}
