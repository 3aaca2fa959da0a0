/*
 * Credentials and where they come from. A provider is a small table of functions, one file each: credentials_environment.c,
 * credentials_web_identity.c, credentials_profile.c and so on. credentials_cache.h stands before one and asks again
 * before what it gave expires.
 *
 * `get` asks afresh at every call (a file that was rotated is seen). Secrets are wiped on release, never logged and never part
 * of an error text. Threads: a provider is read-only after it was made; `get` may be called from any thread.
 */
#ifndef LEAT_AWS_CREDENTIALS_H
#define LEAT_AWS_CREDENTIALS_H

#include <stdatomic.h>

#include <leat/error.h>
#include <leat/slice.h>

#define LEAT_CREDENTIALS_SOURCE_BYTES 256

struct leat_credentials {
    char *access_key_id; /* zero-terminated, owned */
    char *secret_access_key;
    char *session_token; /* NULL: none */
    /* When the service stops taking them, µs since 1970 by this machine's clock; 0: never, or nobody says. */
    int64_t expires_us;
    /* Where they come from, for people; "": the provider's name says it all. */
    char source[LEAT_CREDENTIALS_SOURCE_BYTES];
};

/* Copies; session_token empty: none. The struct must be zero or released before. */
void leat_credentials_set(struct leat_credentials *credentials, struct leat_slice access_key_id,
                          struct leat_slice secret_access_key, struct leat_slice session_token);
void leat_credentials_copy(struct leat_credentials *credentials,
                           const struct leat_credentials *from);
/* All three become headers, or what is signed: nothing but printable letters belongs there. Pure. */
bool leat_credentials_is_clean(struct leat_slice text);
/* The keys and the token, not their end or their source. */
bool leat_credentials_equal(const struct leat_credentials *a, const struct leat_credentials *b);
/* Wipes and frees; usable again afterwards. */
void leat_credentials_release(struct leat_credentials *credentials);

/*
 * What the providers of one chain share. Strings may be NULL or "", and are borrowed: the environment outlives its providers.
 */
struct leat_credentials_context {
    const char *profile; /* asked for by name; NULL: AWS_PROFILE, else "default" */
    const char *region;  /* of STS; NULL: AWS_REGION, … the profile's */
    const char *endpoint_sts;
    const char *ca_bundle;
    bool (*is_stopped)(void);   /* every wait ends once this says so; NULL: never */
    atomic_bool is_interrupted; /* the same, for this chain alone */
};
bool leat_credentials_is_stopped(const struct leat_credentials_context *context);

struct leat_credentials_provider;
struct leat_credentials_provider_ops {
    const char *name;  /* "environment", "profile", "static", "chain": for messages */
    const char *whose; /* the same behind "the AWS credentials": "of the environment" */
    /*
     * LEAT_E_NOT_FOUND: this provider has none (a chain goes on); anything else is an error to show. ret_credentials belongs to
     * the caller and is untouched on failure. May block on files, processes and servers, each with a deadline.
     */
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

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_CREDENTIAL_EXPIRATION. */
struct leat_credentials_provider *leat_credentials_environment_new(void);
/* AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_SESSION_NAME: a role for a service account of Kubernetes (IRSA). */
struct leat_credentials_provider *leat_credentials_web_identity_new(
    const struct leat_credentials_context *context);
/* What a profile of ~/.aws/config and ~/.aws/credentials leads to (profile_chain.h). */
struct leat_credentials_provider *leat_credentials_profile_new(
    const struct leat_credentials_context *context);
/* AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI: tasks of ECS, Pod Identity of EKS. */
struct leat_credentials_provider *leat_credentials_container_new(
    const struct leat_credentials_context *context);
/* The role of an EC2 instance, by version 2 of its metadata service. */
struct leat_credentials_provider *leat_credentials_instance_new(
    const struct leat_credentials_context *context);
struct leat_credentials_provider *leat_credentials_static_new(const char *access_key_id,
                                                              const char *secret_access_key,
                                                              const char *session_token);
/* The first that has some. Owns the providers; the array is copied. */
struct leat_credentials_provider *leat_credentials_chain_new(
    struct leat_credentials_provider *const *providers, size_t count);
/* What each link of a chain said, in their order: 0 and credentials, or why it has none; links behind the first that has some, or
   fails, are not asked. Another provider is a chain of one. */
typedef void (*leat_credentials_link_fn)(void *context, const char *name, int result,
                                         const struct leat_credentials *credentials,
                                         const struct leat_error *err);
int leat_credentials_explain(struct leat_credentials_provider *provider,
                             leat_credentials_link_fn link, void *context, struct leat_error *err);
/* Environment, web identity, profile, container, instance: what `leat` uses. A profile that is asked for by name is the only link.
   Copies the context. */
struct leat_credentials_provider *leat_credentials_default_new(
    const struct leat_credentials_context *context);
/* Ends a `get` of the default chain that is under way, and all later ones, within a tenth of a second. Any thread. */
void leat_credentials_interrupt(struct leat_credentials_provider *provider);

#endif
