/* A folder as the archive: a file is written beside its place, synced, then renamed: it is whole or not there. */
#include "failure/archive_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/point.h"

struct folder {
    struct leat_archive archive;
    char *path;
};

/* All folders above the last '/'. */
static int
make_folders(char *path, struct leat_error *err)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        int status;

        *slash = '\0';
        status = mkdir(path, 0755);
        if (status != 0 && errno != EEXIST)
            leat_error_set(err, LEAT_E_UNAVAILABLE,
                           "could not create archive folder \"%s\": %s: check archive.url", path,
                           strerror(errno));
        else
            status = 0;
        *slash = '/';
        if (status != 0)
            return LEAT_E_UNAVAILABLE;
    }
    return 0;
}

static int
write_all(int fd, struct leat_slice body)
{
    size_t done = 0;

    while (done < body.size) {
        ssize_t written = write(fd, body.data + done, body.size - done);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return -1;
        done += (size_t)written;
    }
    return fsync(fd);
}

static int
write_file(const char *path, struct leat_slice body, struct leat_error *err)
{
    LEAT_AUTO_BUF beside = LEAT_BUF_INIT;
    int fd, status;

    leat_buf_printf(&beside, "%s.part-%d", path, (int)getpid());
    fd = open(leat_buf_text(&beside), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    status = fd < 0 ? -1 : write_all(fd, body);
    LEAT_POINT("archive.written");
    if (status == 0)
        status = rename(leat_buf_text(&beside), path);
    if (status != 0)
        leat_error_set(err, LEAT_E_UNAVAILABLE,
                       "could not write archive file \"%s\": %s: check archive.url and its disk",
                       path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (status != 0)
        unlink(leat_buf_text(&beside));
    return status != 0 ? LEAT_E_UNAVAILABLE : 0;
}

static int
put(struct leat_archive *archive, const char *name, struct leat_slice body,
    struct leat_buf *ret_url, struct leat_error *err)
{
    struct folder *folder = (struct folder *)archive;
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    LEAT_AUTO_FREE char *text = NULL;
    int status;

    leat_buf_printf(&path, "%s/%s", folder->path, name);
    text = leat_strdup(leat_buf_text(&path));
    status = make_folders(text, err);
    if (status == 0)
        status = write_file(text, body, err);
    if (status == 0)
        leat_buf_printf(ret_url, "file://%s", text);
    return status;
}

static void
folder_close(struct leat_archive *archive)
{
    struct folder *folder = (struct folder *)archive;

    free(folder->path);
    free(folder);
}

static const struct leat_archive_ops folder_ops = {"folder", put, folder_close};

int
leat_archive_folder_open(const char *path, struct leat_archive **ret_archive,
                         struct leat_error *err)
{
    LEAT_AUTO_FREE char *below = NULL;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct folder *folder;
    int status;

    if (path[0] != '/')
        return leat_error_set(err, LEAT_E_INVALID,
                              "archive folder \"%s\" is not an absolute path: write file:///…",
                              path);
    leat_buf_printf(&text, "%s/", path);
    below = leat_strdup(leat_buf_text(&text));
    status = make_folders(below, err);
    if (status != 0)
        return status;
    if (access(path, W_OK) != 0)
        return leat_error_set(err, LEAT_E_DENIED, "archive folder \"%s\" cannot be written: %s",
                              path, strerror(errno));
    folder = LEAT_NEW(struct folder);
    folder->archive.ops = &folder_ops;
    folder->path = leat_strdup(path);
    *ret_archive = &folder->archive;
    return 0;
}
