/* Credentials as a value, and the two lines that every provider shares. Secrets are wiped before they are freed. */
#include "aws/credentials.h"

#include <stdlib.h>

#include <openssl/crypto.h>

#include "base/memory.h"

static void
wipe(char **text)
{
    if (*text == NULL)
        return;
    OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

void
leat_credentials_set(struct leat_credentials *credentials, struct leat_slice access_key_id,
                     struct leat_slice secret_access_key, struct leat_slice session_token)
{
    credentials->access_key_id = leat_slice_strdup(access_key_id);
    credentials->secret_access_key = leat_slice_strdup(secret_access_key);
    credentials->session_token = session_token.size > 0 ? leat_slice_strdup(session_token) : NULL;
    credentials->expires_us = 0;
    credentials->source[0] = '\0';
}

void
leat_credentials_copy(struct leat_credentials *credentials, const struct leat_credentials *from)
{
    leat_credentials_set(credentials, leat_slice_from(from->access_key_id),
                         leat_slice_from(from->secret_access_key),
                         leat_slice_from(from->session_token));
    credentials->expires_us = from->expires_us;
    memcpy(credentials->source, from->source, sizeof credentials->source);
}

bool
leat_credentials_equal(const struct leat_credentials *a, const struct leat_credentials *b)
{
    return leat_slice_equals(leat_slice_from(a->access_key_id),
                             leat_slice_from(b->access_key_id)) &&
           leat_slice_equals(leat_slice_from(a->secret_access_key),
                             leat_slice_from(b->secret_access_key)) &&
           leat_slice_equals(leat_slice_from(a->session_token), leat_slice_from(b->session_token));
}

void
leat_credentials_release(struct leat_credentials *credentials)
{
    wipe(&credentials->access_key_id);
    wipe(&credentials->secret_access_key);
    wipe(&credentials->session_token);
    credentials->expires_us = 0;
    credentials->source[0] = '\0';
}

bool
leat_credentials_is_stopped(const struct leat_credentials_context *context)
{
    return atomic_load(&context->is_interrupted) ||
           (context->is_stopped != NULL && context->is_stopped());
}

bool
leat_credentials_is_clean(struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    }
    return true;
}

static bool
is_clean(const char *text)
{
    return leat_credentials_is_clean(leat_slice_from(text));
}

int
leat_credentials_provider_get(struct leat_credentials_provider *provider,
                              struct leat_credentials *ret_credentials, struct leat_error *err)
{
    struct leat_credentials found = {0};
    const char *dirty;
    int result = provider->ops->get(provider, &found, err);

    if (result < 0)
        return result;
    dirty = !is_clean(found.access_key_id)       ? "access key id"
            : !is_clean(found.secret_access_key) ? "secret access key"
            : !is_clean(found.session_token)     ? "session token"
                                                 : NULL;
    if (dirty != NULL) {
        leat_credentials_release(&found);
        return leat_error_set(err, LEAT_E_INVALID,
                              "cannot use the AWS credentials %s: a line end, a blank or "
                              "another character that does not belong is in the %s: set it again",
                              provider->ops->whose, dirty);
    }
    *ret_credentials = found;
    return 0;
}

void
leat_credentials_provider_free(struct leat_credentials_provider *provider)
{
    if (provider != NULL)
        provider->ops->free(provider);
}
