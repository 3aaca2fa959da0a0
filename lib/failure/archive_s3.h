/* archive.h: a bucket and a prefix in S3. */
#ifndef LEAT_FAILURE_ARCHIVE_S3_H
#define LEAT_FAILURE_ARCHIVE_S3_H

#include "failure/archive.h"

/* address: bucket/prefix */
int leat_archive_s3_open(const char *address, const struct leat_aws *aws,
                         struct leat_archive **ret_archive, struct leat_error *err);

#endif
