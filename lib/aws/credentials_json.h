/*
 * Credentials as JSON: what a container's endpoint, an instance's metadata service and a `credential_process` answer. Pure; fuzzed.
 */
#ifndef LEAT_AWS_CREDENTIALS_JSON_H
#define LEAT_AWS_CREDENTIALS_JSON_H

#include "aws/credentials.h"

enum leat_credentials_document {
    /* AccessKeyId, SecretAccessKey, Token, Expiration; without a Token, Expiration may be missing, too */
    LEAT_CREDENTIALS_OF_CONTAINER,
    /* all four, and Code: "Success" where all is well */
    LEAT_CREDENTIALS_OF_INSTANCE,
    /* Version: 1; SessionToken in place of Token; it and Expiration may be missing */
    LEAT_CREDENTIALS_OF_PROCESS
};

/*
 * Keys are found in upper and lower case. ret_credentials is untouched on failure; its expires_us is what the document says.
 * LEAT_E_FORMAT: no such document; LEAT_E_DENIED: it says that there are none (its code is shown, nothing else of it). A key that is
 * missing, null or empty is named.
 */
int leat_credentials_json_parse(struct leat_slice text, enum leat_credentials_document document,
                                struct leat_credentials *ret_credentials, struct leat_error *err);

#endif
