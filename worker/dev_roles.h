/*
 * `leat dev --with-roles`: who gives out temporary credentials, and the files that a worker finds them by: tokens, which are
 * replaced at half of their life, profiles, and an environment to be sourced for each kind of provider.
 */
#ifndef LEAT_WORKER_DEV_ROLES_H
#define LEAT_WORKER_DEV_ROLES_H

#include "worker/dev.h"

#define LEAT_DEV_LIFETIME_US (3600 * LEAT_SECOND_US)
#define LEAT_DEV_MINIMUM_LIFETIME_US (2 * LEAT_SECOND_US)
#define LEAT_DEV_MAXIMUM_LIFETIME_US (12 * 3600 * LEAT_SECOND_US)

/* Before Kinesis and S3, which ask it about keys. */
int leat_dev_roles_start(struct leat_dev *dev, struct leat_error *err);
/* All files; after `env`, which they source. */
int leat_dev_roles_write(struct leat_dev *dev, struct leat_error *err);
/* New tokens and a new answer of the credential process; the old ones are good as long as they live. */
int leat_dev_roles_rotate(struct leat_dev *dev, struct leat_error *err);
/* How to use them, on standard output. */
void leat_dev_roles_say(const struct leat_dev *dev);

#endif
