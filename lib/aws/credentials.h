/*
 * Credentials and where they come from. A provider is a small table of functions; one file each
 * (credentials_environment.c, credentials_profile.c, credentials_static.c, credentials_chain.c).
 *
 * `get` reads afresh at every call (a file that was rotated is seen), so a client keeps what it got and asks again only
 * when the service says ExpiredToken. Secrets are wiped on release, never logged and never part of an error text.
 * Threads: a provider is read-only after it was made; `get` may be called from any thread.
 */
#ifndef LEAT_AWS_CREDENTIALS_H
#define LEAT_AWS_CREDENTIALS_H

#include <leat/error.h>
#include <leat/slice.h>

struct leat_credentials {
    char *access_key_id; /* zero-terminated, owned */
    char *secret_access_key;
    char *session_token; /* NULL: none */
};

/* Copies; session_token empty: none. The struct must be zero or released before. */
void leat_credentials_set(struct leat_credentials *credentials, struct leat_slice access_key_id,
                          struct leat_slice secret_access_key, struct leat_slice session_token);
void leat_credentials_copy(struct leat_credentials *credentials,
                           const struct leat_credentials *from);
bool leat_credentials_equal(const struct leat_credentials *a, const struct leat_credentials *b);
/* Wipes and frees; usable again afterwards. */
void leat_credentials_release(struct leat_credentials *credentials);

struct leat_credentials_provider;
struct leat_credentials_provider_ops {
    const char *name;  /* "environment", "profile", "static", "chain": for messages */
    const char *whose; /* the same behind "the AWS credentials": "of the environment" */
    /* LEAT_E_NOT_FOUND: this provider has none (a chain goes on); anything else is an error to show.
       ret_credentials belongs to the caller and is untouched on failure. May block on files, never on a lock. */
    int (*get)(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
               struct leat_error *err);
    void (*free)(struct leat_credentials_provider *provider);
};
struct leat_credentials_provider {
    const struct leat_credentials_provider_ops *ops;
};

int leat_credentials_provider_get(struct leat_credentials_provider *provider,
                                  struct leat_credentials *ret_credentials, struct leat_error *err);
void leat_credentials_provider_free(struct leat_credentials_provider *provider); /* NULL is fine */

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. */
struct leat_credentials_provider *leat_credentials_environment_new(void);
/* AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials), then AWS_CONFIG_FILE (~/.aws/config); profile NULL: AWS_PROFILE,
   else "default". */
struct leat_credentials_provider *leat_credentials_profile_new(const char *profile);
struct leat_credentials_provider *leat_credentials_static_new(const char *access_key_id,
                                                              const char *secret_access_key,
                                                              const char *session_token);
/* The first that has some. Owns the providers; the array is copied. */
struct leat_credentials_provider *leat_credentials_chain_new(
    struct leat_credentials_provider *const *providers, size_t count);
/* Environment, then profile files: what `leat` uses. */
struct leat_credentials_provider *leat_credentials_default_new(void);

#endif
