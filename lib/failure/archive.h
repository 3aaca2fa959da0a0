/*
 * Where failed data is kept: S3 or a folder. The interface and its two kinds. A put is idempotent by its name.
 * Used by the letters thread alone.
 */
#ifndef LEAT_FAILURE_ARCHIVE_H
#define LEAT_FAILURE_ARCHIVE_H

#include "aws/client.h"

struct leat_archive;

struct leat_archive_ops {
    const char *kind;
    /* name: application/stream/date/id.json. *ret_url: what finds it again. UNAVAILABLE, DENIED, NOT_FOUND: tried again. */
    int (*put)(struct leat_archive *archive, const char *name, struct leat_slice body,
               struct leat_buf *ret_url, struct leat_error *err);
    void (*close)(struct leat_archive *archive);
};

struct leat_archive {
    const struct leat_archive_ops *ops;
};

/* url: file:///folder or s3://bucket/prefix; it may end with {application}/{stream}/, which is what names begin with. */
int leat_archive_open(const char *url, const struct leat_aws *aws,
                      struct leat_archive **ret_archive, struct leat_error *err);
int leat_archive_put(struct leat_archive *archive, const char *name, struct leat_slice body,
                     struct leat_buf *ret_url, struct leat_error *err);
void leat_archive_close(struct leat_archive *archive); /* NULL is fine */

#endif
