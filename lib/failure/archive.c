/* Picks the kind by the url's scheme. */
#include "failure/archive.h"

#include "failure/archive_folder.h"
#include "failure/archive_s3.h"

/* Letters are named application/stream/day/id: the url may say so, and says nothing new then. */
static int
cut_names(const char *url, struct leat_buf *ret_base, struct leat_error *err)
{
    static const char *const endings[] = {"{application}/{stream}/", "{application}/{stream}"};
    size_t size = strcspn(url, "{");
    bool is_good = url[size] == '\0';

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        is_good = is_good || strcmp(url + size, endings[i]) == 0;
    if (!is_good)
        return leat_error_set(err, LEAT_E_INVALID,
                              "archive url \"%s\": of names in braces it may only end with "
                              "{application}/{stream}/",
                              url);
    leat_buf_add(ret_base, url, size);
    return 0;
}

int
leat_archive_open(const char *url, const struct leat_aws *aws, struct leat_archive **ret_archive,
                  struct leat_error *err)
{
    LEAT_AUTO_BUF base = LEAT_BUF_INIT;
    const char *place;

    if (cut_names(url, &base, err) != 0)
        return LEAT_E_INVALID;
    place = leat_buf_text(&base);
    if (strncmp(place, "file://", 7) == 0)
        return leat_archive_folder_open(place + 7, ret_archive, err);
    if (strncmp(place, "s3://", 5) == 0)
        return leat_archive_s3_open(place + 5, aws, ret_archive, err);
    return leat_error_set(err, LEAT_E_INVALID,
                          "archive url \"%s\" is neither file:///folder nor s3://bucket/prefix",
                          url);
}

/* ---- one put, waited for ------------------------------------------------------------------------- */

struct waited {
    bool is_done;
    int status;
    struct leat_buf *url;
    struct leat_error *err;
};

static void
on_done(void *context, int status, struct leat_slice url, const struct leat_error *err)
{
    struct waited *waited = context;

    waited->is_done = true;
    waited->status = status;
    if (status == 0)
        leat_buf_add_slice(waited->url, url);
    else if (waited->err != NULL)
        *waited->err = *err;
}

int
leat_archive_put(struct leat_archive *archive, const char *name, struct leat_slice body,
                 struct leat_buf *ret_url, struct leat_error *err)
{
    struct waited waited = {.url = ret_url, .err = err};
    struct leat_archive_put put = {name, body, on_done, &waited};

    archive->ops->start(archive, &put);
    while (!waited.is_done)
        archive->ops->run(archive, INT64_MAX); /* ends by the put's own time-out */
    return waited.status;
}

void
leat_archive_close(struct leat_archive *archive)
{
    if (archive != NULL)
        archive->ops->close(archive);
}
