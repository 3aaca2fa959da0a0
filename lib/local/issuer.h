/*
 * Access keys that somebody issued for a while (roles.h): how the servers of this folder ask about a key that is not the one
 * they were given.
 */
#ifndef LEAT_LOCAL_ISSUER_H
#define LEAT_LOCAL_ISSUER_H

#include "aws/sign.h"

struct leat_local_issuer {
    /* The credentials of this key id, for the caller to release, and whether they have expired at now_us. false: nobody's. Any
       thread, under no lock; does not wait. NULL: there is no issuer. */
    bool (*find)(void *context, struct leat_slice access_key_id, int64_t now_us,
                 struct leat_credentials *ret_credentials, bool *ret_is_expired);
    void *context;
};

/* Those that the request's Authorization header names. false: none, or there is no issuer. */
bool leat_local_issuer_find(const struct leat_local_issuer *issuer,
                            const struct leat_sign_request *request, int64_t now_us,
                            struct leat_credentials *ret_credentials, bool *ret_is_expired);

#endif
