/* Picks the kind by the url's scheme. */
#include "failure/archive.h"

#include "failure/archive_folder.h"
#include "failure/archive_s3.h"

int
leat_archive_open(const char *url, const struct leat_aws *aws, struct leat_archive **ret_archive,
                  struct leat_error *err)
{
    if (strncmp(url, "file://", 7) == 0)
        return leat_archive_folder_open(url + 7, ret_archive, err);
    if (strncmp(url, "s3://", 5) == 0)
        return leat_archive_s3_open(url + 5, aws, ret_archive, err);
    return leat_error_set(err, LEAT_E_INVALID,
                          "archive url \"%s\" is neither file:///folder nor s3://bucket/prefix",
                          url);
}

int
leat_archive_put(struct leat_archive *archive, const char *name, struct leat_slice body,
                 struct leat_buf *ret_url, struct leat_error *err)
{
    return archive->ops->put(archive, name, body, ret_url, err);
}

void
leat_archive_close(struct leat_archive *archive)
{
    if (archive != NULL)
        archive->ops->close(archive);
}
