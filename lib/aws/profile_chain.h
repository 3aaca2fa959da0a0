/*
 * What a profile leads to: credentials of its own, a token, a program, a place to ask, and the roles that are assumed from there, one
 * after the other. Pure but for the loader that is given. The rules are those of AWS's SDKs; where these differ it is said at the rule.
 */
#ifndef LEAT_AWS_PROFILE_CHAIN_H
#define LEAT_AWS_PROFILE_CHAIN_H

#include "aws/credentials.h"
#include "aws/sts.h"

#define LEAT_PROFILE_CHAIN_ROLES 8

enum leat_profile_key {
    LEAT_PROFILE_ACCESS_KEY_ID,
    LEAT_PROFILE_SECRET_ACCESS_KEY,
    LEAT_PROFILE_SESSION_TOKEN,
    LEAT_PROFILE_SECURITY_TOKEN, /* its old name */
    LEAT_PROFILE_ROLE_ARN,
    LEAT_PROFILE_SOURCE_PROFILE,
    LEAT_PROFILE_CREDENTIAL_SOURCE,
    LEAT_PROFILE_EXTERNAL_ID,
    LEAT_PROFILE_ROLE_SESSION_NAME,
    LEAT_PROFILE_DURATION_SECONDS,
    LEAT_PROFILE_MFA_SERIAL,
    LEAT_PROFILE_WEB_IDENTITY_TOKEN_FILE,
    LEAT_PROFILE_CREDENTIAL_PROCESS,
    LEAT_PROFILE_SSO_SESSION,
    LEAT_PROFILE_SSO_ACCOUNT_ID,
    LEAT_PROFILE_SSO_START_URL,
    LEAT_PROFILE_LOGIN_SESSION,
    LEAT_PROFILE_KEYS
};

/* The settings of one profile that matter here; NULL: not set, or blank. Owned; the keys of both files are never mixed. */
struct leat_profile_settings {
    char *values[LEAT_PROFILE_KEYS];
};
void leat_profile_settings_release(struct leat_profile_settings *settings); /* wipes */
/* LEAT_E_NOT_FOUND: neither file has this profile. The struct is zero before, and released by the caller in any case. */
typedef int (*leat_profile_load_fn)(void *context, const char *name,
                                    struct leat_profile_settings *settings, struct leat_error *err);
/* From ~/.aws/config and ~/.aws/credentials; context is not used. */
int leat_profile_load(void *context, const char *name, struct leat_profile_settings *settings,
                      struct leat_error *err);

enum leat_profile_base {
    LEAT_PROFILE_BASE_KEYS,
    LEAT_PROFILE_BASE_WEB_IDENTITY,
    LEAT_PROFILE_BASE_PROCESS,
    LEAT_PROFILE_BASE_ENVIRONMENT,
    LEAT_PROFILE_BASE_INSTANCE,
    LEAT_PROFILE_BASE_CONTAINER
};
struct leat_profile_chain {
    enum leat_profile_base base;
    struct leat_profile_settings base_settings; /* of the last profile: keys, token file, program */
    char *base_name;
    /* In the order in which they were found: the last one is assumed first. */
    struct leat_profile_settings roles[LEAT_PROFILE_CHAIN_ROLES];
    size_t role_count;
};

/*
 * LEAT_E_NOT_FOUND: there is no such profile, or it says nothing about credentials; LEAT_E_INVALID: it contradicts itself, and the error
 * says how. The chain is zero before, and released by the caller in any case.
 */
int leat_profile_chain_resolve(leat_profile_load_fn load, void *context, const char *name,
                               struct leat_profile_chain *chain, struct leat_error *err);
void leat_profile_chain_release(struct leat_profile_chain *chain);

#endif
