/*
 * What AWS has to allow to whom: a policy of IAM, of a configuration. Pure: nobody is asked, and the same configuration gives the
 * same bytes. Each table of iam_policy.c names the actions that the code calls; tests/integration/commands_iam.c holds the two
 * against each other.
 */
#ifndef LEAT_WORKER_IAM_POLICY_H
#define LEAT_WORKER_IAM_POLICY_H

#include "base/buf.h"
#include "config/config.h"

enum leat_iam_role {
    LEAT_IAM_WORKER = 0, /* leat worker */
    LEAT_IAM_PUT = 1,    /* leat put, into the configuration's streams */
    LEAT_IAM_OPERATOR =
        2 /* the other commands: streams, tail, checkpoint, failures, validate --connect */
};

struct leat_iam_place {
    const char *region;  /* resolved: names of streams are of it, and so is the partition */
    const char *account; /* NULL: any */
};

/* JSON, indented, a line end at its end. false: this role asks AWS for nothing, so there is no policy to have. */
bool leat_iam_policy(const struct leat_config *config, enum leat_iam_role role,
                     const struct leat_iam_place *place, struct leat_buf *out);

#endif
