/* S3 as the archive: one object a letter; retries and credentials are the client's. */
#include "failure/archive_s3.h"

#include <stdlib.h>

#include "aws/s3.h"
#include "base/memory.h"

struct bucket {
    struct leat_archive archive;
    struct leat_s3 *s3;
    char *name, *prefix;
};

static int
put(struct leat_archive *archive, const char *name, struct leat_slice body,
    struct leat_buf *ret_url, struct leat_error *err)
{
    struct bucket *bucket = (struct bucket *)archive;
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    int status;

    leat_buf_printf(&key, "%s%s", bucket->prefix, name);
    status = leat_s3_put_object(bucket->s3, bucket->name, leat_buf_slice(&key), body,
                                "application/json", err);
    if (status == 0)
        leat_buf_printf(ret_url, "s3://%s/%s", bucket->name, leat_buf_text(&key));
    return status;
}

static void
bucket_close(struct leat_archive *archive)
{
    struct bucket *bucket = (struct bucket *)archive;

    leat_s3_free(bucket->s3);
    free(bucket->name);
    free(bucket->prefix);
    free(bucket);
}

static const struct leat_archive_ops bucket_ops = {"s3", put, bucket_close};

int
leat_archive_s3_open(const char *address, const struct leat_aws *aws,
                     struct leat_archive **ret_archive, struct leat_error *err)
{
    size_t name_size = strcspn(address, "/");
    const char *prefix = address[name_size] == '/' ? address + name_size + 1 : "";
    LEAT_AUTO_BUF ended = LEAT_BUF_INIT;
    struct bucket *bucket;
    struct leat_s3 *s3;

    if (name_size == 0)
        return leat_error_set(err, LEAT_E_INVALID, "archive url \"s3://%s\" names no bucket",
                              address);
    s3 = leat_s3_new(aws, err);
    if (s3 == NULL)
        return err->code;
    bucket = LEAT_NEW(struct bucket);
    bucket->archive.ops = &bucket_ops;
    bucket->s3 = s3;
    bucket->name = leat_slice_strdup(leat_slice_make(address, name_size));
    leat_buf_add_text(&ended, prefix);
    if (ended.size > 0 && ended.data[ended.size - 1] != '/')
        leat_buf_add_byte(&ended, '/');
    bucket->prefix = leat_buf_take(&ended);
    *ret_archive = &bucket->archive;
    return 0;
}
