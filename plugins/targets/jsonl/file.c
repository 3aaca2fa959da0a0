/*
 * Appending to a file that others may append to, cut or move away:
 *
 * 1. Two workers of one machine write to the same path. Each append holds a lock on the file (flock: it is the open file's,
 *    so it counts between threads, too, and ends with the process). Nobody waits for it: a stopped process would stop all.
 * 2. The disk is full in the middle of an append. The file is cut back to where it was, and the rows come again.
 * 3. A process dies in the middle of an append: a cut line stays. Whoever appends next closes it by a newline, so that it
 *    spoils itself alone; its rows come again, since their progress was not committed.
 * 4. Somebody moves the file away (rotation): the next append finds another file, or none, at the path and opens it anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jsonl.h"

/* What may be well again without anybody's doing, or after a look at the disk; all else needs another configuration. */
static int
failed(const struct leat_jsonl_file *file, const char *what, int error, struct leat_error *err)
{
    bool is_transient = error == ENOSPC || error == EDQUOT || error == EIO || error == EINTR ||
                        error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE ||
                        error == ESTALE || error == ETIMEDOUT || error == ENOLCK;
    const char *hint = error == ENOENT ? ": its folder does not exist" : "";

    return leat_error_set(err, is_transient ? LEAT_E_UNAVAILABLE : LEAT_E_INVALID,
                          "%s %s \"%s\": %s%s", is_transient ? "could not" : "cannot", what,
                          file->path, strerror(error), hint);
}

void
leat_jsonl_close(struct leat_jsonl_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

/* A new file is on the disk when its folder is. What cannot be synced so (some network file systems) goes without. */
static void
sync_folder(const char *path)
{
    LEAT_AUTO_BUF folder = LEAT_BUF_INIT;
    const char *slash = strrchr(path, '/');
    int fd;

    if (slash == NULL)
        leat_buf_add_text(&folder, ".");
    else
        leat_buf_add(&folder, path, (size_t)(slash - path) + 1);
    fd = open(leat_buf_text(&folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static int
open_file(struct leat_jsonl_file *file, struct leat_error *err)
{
    struct stat facts;

    /* O_NONBLOCK: to open a pipe that nobody reads would take for ever. */
    file->fd = open(file->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0644);
    if (file->fd < 0)
        return failed(file, "open", errno, err);
    if (fstat(file->fd, &facts) != 0)
        return failed(file, "open", errno, err);
    if (S_ISREG(facts.st_mode) && facts.st_size == 0 && file->is_durable)
        sync_folder(file->path);
    if (S_ISREG(facts.st_mode) || S_ISCHR(facts.st_mode))
        return 0;
    leat_jsonl_close(file);
    return leat_error_set(err, LEAT_E_INVALID, "cannot write to \"%s\": it is no file", file->path);
}

static bool
is_still_there(const struct leat_jsonl_file *file)
{
    struct stat opened, named;

    return file->fd >= 0 && fstat(file->fd, &opened) == 0 && stat(file->path, &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* Everything, or not 0; interrupted and short writes go on. */
static int
write_all(const struct leat_jsonl_file *file, struct leat_slice bytes, struct leat_error *err)
{
    while (bytes.size > 0) {
        ssize_t written = write(file->fd, bytes.data, bytes.size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return failed(file, "write to", errno, err);
        bytes = leat_slice_make(bytes.data + written, bytes.size - (size_t)written);
    }
    return 0;
}

/* Ends the append; after an error as if it had not begun. */
static int
give_up(struct leat_jsonl_file *file, int status)
{
    /* Where even this fails, the closing newline of the next append keeps the lines apart. */
    if (file->before >= 0 && ftruncate(file->fd, file->before) != 0)
        status = status != 0 ? status : LEAT_E_SYSTEM;
    leat_jsonl_close(file); /* and with it the lock */
    return status;
}

static int
close_cut_line(struct leat_jsonl_file *file, struct leat_error *err)
{
    unsigned char last;

    if (file->before <= 0 || pread(file->fd, &last, 1, file->before - 1) != 1 || last == '\n')
        return 0;
    return write_all(file, leat_slice_make("\n", 1), err);
}

int
leat_jsonl_begin(struct leat_jsonl_file *file, struct leat_error *err)
{
    struct stat facts;
    int status = 0;

    file->before = -1;
    if (!is_still_there(file)) {
        leat_jsonl_close(file);
        status = open_file(file, err);
    }
    if (status != 0)
        return status;
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK
                   ? leat_error_set(err, LEAT_E_UNAVAILABLE,
                                    "could not write to \"%s\": another process is writing",
                                    file->path)
                   : failed(file, "lock", errno, err);
    if (fstat(file->fd, &facts) != 0)
        return give_up(file, failed(file, "read the size of", errno, err));
    file->before = S_ISREG(facts.st_mode) ? facts.st_size : -1;
    status = close_cut_line(file, err);
    return status == 0 ? 0 : give_up(file, status);
}

int
leat_jsonl_write(struct leat_jsonl_file *file, struct leat_slice bytes, struct leat_error *err)
{
    int status = write_all(file, bytes, err);

    return status == 0 ? 0 : give_up(file, status);
}

int
leat_jsonl_end(struct leat_jsonl_file *file, struct leat_error *err)
{
    /* After a failed fsync nobody knows what the disk has: written again, through a file opened anew. */
    if (file->is_durable && file->before >= 0 && fsync(file->fd) != 0)
        return give_up(file, failed(file, "write to", errno, err));
    flock(file->fd, LOCK_UN);
    return 0;
}
