/*
 * The two calls of STS that give credentials for a role. Blocking, with the retries of every AWS client; regional endpoints only.
 */
#ifndef LEAT_AWS_STS_H
#define LEAT_AWS_STS_H

#include "aws/credentials.h"
#include "base/buf.h"

struct leat_sts_role {
    const char *arn;
    const char *session_name; /* NULL: "leat-" and the host's name */
    const char *external_id;  /* NULL: none */
    const char *duration;     /* in seconds, as it is written; NULL: STS's default, an hour */
};

/* Signed with `source`. ret_credentials is untouched on failure. */
int leat_sts_assume_role(const struct leat_credentials_context *context,
                         const struct leat_credentials *source, const struct leat_sts_role *role,
                         struct leat_credentials *ret_credentials, struct leat_error *err);
/* Not signed: the token in token_file, read now, says who asks. */
int leat_sts_assume_role_with_web_identity(const struct leat_credentials_context *context,
                                           const char *token_file, const struct leat_sts_role *role,
                                           struct leat_credentials *ret_credentials,
                                           struct leat_error *err);

/* Whose credentials are these? GetCallerIdentity: the ARN of a user or of a role's session. */
struct leat_aws;
int leat_sts_who(const struct leat_aws *aws, struct leat_buf *ret_arn, struct leat_error *err);

/* The credentials in an answer of either call. Pure; fuzzed. LEAT_E_FORMAT names what is missing. */
int leat_sts_parse(struct leat_slice document, struct leat_credentials *ret_credentials,
                   struct leat_error *err);

#endif
