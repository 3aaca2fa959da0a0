/* Which streams the patterns of a configuration match now, for people. */
#ifndef LEAT_WORKER_MATCHES_H
#define LEAT_WORKER_MATCHES_H

#include "aws/kinesis.h"
#include "config/config.h"

bool leat_has_patterns(const struct leat_config *config);
/* A line for each pattern: the streams that it brings, without those that an entry before it brings and without the dead-letter
   stream. Appended. */
int leat_matches(struct leat_kinesis *kinesis, const struct leat_config *config,
                 struct leat_buf *out, struct leat_error *err);

#endif
