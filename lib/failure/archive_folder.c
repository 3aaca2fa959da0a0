/*
 * A folder as the archive: a file is written aside, synced, renamed to its place, and its folder synced: it is whole or not there,
 * and once it is told it survives a power cut. What waits is done in groups: one sync of a folder for all of them.
 *
 * Below the root no link is followed. What is being written lies in .part/, locked; a file there whose lock is free belongs to
 * nobody alive and is removed by the next archive that is opened, or works, on this root. Where locks do not reach (some network
 * file systems) that may take a living writer's file: its rename fails, and the letter is put again.
 */
#include "failure/archive_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "base/random.h"
#include "base/thread.h"

#define GROUP 64
#define FILE_MODE 0640
#define FOLDER_MODE 0750
#define PARTS ".part"
#define CLEAN_EVERY_US (600 * LEAT_SECOND_US)

struct folder {
    struct leat_archive archive;
    char *path;
    struct leat_archive_put *puts; /* that wait */
    size_t put_count, put_capacity;
    int64_t cleaned_us; /* monotonic; 0: never */
    struct leat_mutex lock;
    struct leat_condition condition;
    bool is_woken LEAT_FIELD_GUARDED_BY(lock);
};

/* One put of a group. */
struct writing {
    const struct leat_archive_put *put;
    char part[40]; /* its name in .part/; "": there is none */
    int fd;        /* of the part; -1 */
    int place;     /* of the folder in the group's list; -1 */
    int error;     /* errno; 0: well so far */
};

struct place {
    struct leat_slice name; /* application/stream/day */
    int fd;
    int error; /* errno of its sync */
};

struct group {
    int root, parts; /* descriptors; -1 */
    struct writing writings[GROUP];
    size_t count;
    struct place places[GROUP];
    size_t place_count;
};

/* ---- folders ------------------------------------------------------------------------------------- */

/* The root and all above it: those are the operator's, and may be links. */
static int
make_root(const char *path)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    LEAT_AUTO_FREE char *copy = NULL;

    leat_buf_printf(&text, "%s/", path);
    copy = leat_strdup(leat_buf_text(&text));
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, FOLDER_MODE) != 0 && errno != EEXIST)
            return errno;
        *slash = '/';
    }
    return 0;
}

/* A folder inside of one, made where it is missing (and then synced in); -1: errno. */
static int
enter(int parent, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (mkdirat(parent, name, FOLDER_MODE) != 0 && errno != EEXIST)
        return -1;
    if (fsync(parent) != 0)
        return -1;
    return openat(parent, name, flags);
}

/* The folder of a name, below the root; -1: errno. */
static int
walk(int root, struct leat_slice name)
{
    LEAT_AUTO_FREE char *path = leat_slice_strdup(name);
    int fd = dup(root);
    char *rest = path;

    for (char *part = strsep(&rest, "/"); fd >= 0 && part != NULL; part = strsep(&rest, "/")) {
        int parent = fd, error;

        fd = enter(parent, part);
        error = errno;
        close(parent);
        errno = error;
    }
    return fd;
}

/* The folder of a put, opened once a group; -1: errno. */
static int
place_of(struct group *group, const char *name)
{
    struct leat_slice folder = leat_slice_make(name, (size_t)(strrchr(name, '/') - name));
    struct place *place = &group->places[group->place_count];

    for (size_t i = 0; i < group->place_count; i++) {
        if (leat_slice_equals(group->places[i].name, folder))
            return (int)i;
    }
    *place = (struct place){.name = folder, .fd = walk(group->root, folder)};
    return place->fd >= 0 ? (int)group->place_count++ : -1;
}

/* ---- what nobody writes any more ----------------------------------------------------------------- */

static void
remove_if_dead(int parts, const char *name)
{
    int fd = openat(parts, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(parts, name, 0);
    close(fd);
}

static void
clean(int root)
{
    int parts = openat(root, PARTS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = parts >= 0 ? fdopendir(parts) : NULL;
    const struct dirent *entry;

    if (directory == NULL) {
        if (parts >= 0)
            close(parts);
        return;
    }
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.')
            remove_if_dead(dirfd(directory), entry->d_name);
    }
    closedir(directory);
}

static void
clean_when_due(struct folder *folder, int root)
{
    int64_t now_us = leat_clock_monotonic_us();

    if (folder->cleaned_us != 0 && now_us - folder->cleaned_us < CLEAN_EVERY_US)
        return;
    folder->cleaned_us = now_us;
    clean(root);
}

/* ---- a group ------------------------------------------------------------------------------------- */

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
    /* On its way to the disk while the others are written. */
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return 0;
}

static void
write_part(struct group *group, struct writing *writing)
{
    writing->place = place_of(group, writing->put->name);
    if (writing->place < 0) {
        writing->error = errno;
        return;
    }
    snprintf(writing->part, sizeof writing->part, "%d-%016llx", (int)getpid(),
             (unsigned long long)leat_random_identity());
    writing->fd = openat(group->parts, writing->part,
                         O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (writing->fd < 0) {
        writing->error = errno;
        writing->part[0] = '\0';
        return;
    }
    (void)flock(writing->fd, LOCK_EX | LOCK_NB); /* where there are no locks: see above */
    if (write_all(writing->fd, writing->put->body) != 0)
        writing->error = errno != 0 ? errno : EIO;
}

static void
put_in_place(struct group *group, struct writing *writing)
{
    const char *name = writing->put->name;

    if (writing->error == 0 && fsync(writing->fd) != 0)
        writing->error = errno;
    LEAT_POINT("archive.written");
    if (writing->error == 0 &&
        renameat(group->parts, writing->part, group->places[writing->place].fd,
                 strrchr(name, '/') + 1) != 0)
        writing->error = errno;
    if (writing->error != 0 && writing->part[0] != '\0')
        unlinkat(group->parts, writing->part, 0);
    if (writing->fd >= 0)
        close(writing->fd);
}

static void
sync_places(struct group *group)
{
    for (size_t i = 0; i < group->place_count; i++) {
        struct place *place = &group->places[i];

        if (fsync(place->fd) != 0)
            place->error = errno;
        close(place->fd);
    }
}

static void
tell(const struct folder *folder, const struct writing *writing)
{
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    struct leat_error err = {0};
    int status = 0;

    leat_buf_printf(&path, "file://%s/%s", folder->path, writing->put->name);
    if (writing->error == ELOOP || writing->error == ENOTDIR)
        status = leat_error_set(&err, LEAT_E_DENIED,
                                "could not write archive file \"%s\": a part of its path is a link "
                                "or no folder, and is not followed: check what made it",
                                leat_buf_text(&path) + 7);
    else if (writing->error != 0)
        status = leat_error_set(&err, LEAT_E_DENIED,
                                "could not write archive file \"%s\": %s: check archive.url and "
                                "its disk",
                                leat_buf_text(&path) + 7, strerror(writing->error));
    writing->put->done(writing->put->context, status, leat_buf_slice(&path), &err);
}

static int
open_group(struct folder *folder, struct group *group)
{
    int error = make_root(folder->path);

    if (error != 0)
        return error;
    group->root = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group->root < 0)
        return errno;
    clean_when_due(folder, group->root);
    group->parts = enter(group->root, PARTS);
    return group->parts < 0 ? errno : 0;
}

static void
write_group(struct folder *folder, const struct leat_archive_put *puts, size_t count)
{
    struct group group = {.root = -1, .parts = -1, .count = count};
    int error = open_group(folder, &group);

    for (size_t i = 0; i < count; i++) {
        group.writings[i] =
            (struct writing){.put = &puts[i], .fd = -1, .place = -1, .error = error};
        if (error == 0)
            write_part(&group, &group.writings[i]);
    }
    for (size_t i = 0; error == 0 && i < count; i++)
        put_in_place(&group, &group.writings[i]);
    sync_places(&group);
    if (group.parts >= 0)
        close(group.parts);
    if (group.root >= 0)
        close(group.root);
    for (size_t i = 0; i < count; i++) {
        struct writing *writing = &group.writings[i];

        if (writing->error == 0 && group.places[writing->place].error != 0)
            writing->error = group.places[writing->place].error;
        tell(folder, writing);
    }
}

/* ---- the interface ------------------------------------------------------------------------------- */

static void
folder_start(struct leat_archive *archive, const struct leat_archive_put *put)
{
    struct folder *folder = (struct folder *)archive;

    LEAT_GROW(folder->puts, folder->put_count, folder->put_capacity);
    folder->puts[folder->put_count++] = *put;
}

static void
folder_run(struct leat_archive *archive, int64_t deadline_us)
{
    struct folder *folder = (struct folder *)archive;
    struct leat_archive_put puts[GROUP];
    size_t count = folder->put_count < GROUP ? folder->put_count : GROUP;

    if (count > 0) {
        memcpy(puts, folder->puts, count * sizeof *puts);
        folder->put_count -= count;
        memmove(folder->puts, folder->puts + count, folder->put_count * sizeof *puts);
        write_group(folder, puts, count);
        return;
    }
    leat_mutex_lock(&folder->lock);
    while (!folder->is_woken && leat_clock_monotonic_us() < deadline_us)
        leat_condition_wait_until(&folder->condition, &folder->lock, deadline_us);
    folder->is_woken = false;
    leat_mutex_unlock(&folder->lock);
}

static void
folder_wake(struct leat_archive *archive)
{
    struct folder *folder = (struct folder *)archive;

    leat_mutex_lock(&folder->lock);
    folder->is_woken = true;
    leat_condition_broadcast(&folder->condition);
    leat_mutex_unlock(&folder->lock);
}

static void
folder_abandon(struct leat_archive *archive)
{
    ((struct folder *)archive)->put_count = 0;
}

static void
folder_close(struct leat_archive *archive)
{
    struct folder *folder = (struct folder *)archive;

    leat_is_unshared();
    leat_condition_release(&folder->condition);
    leat_mutex_release(&folder->lock);
    free(folder->puts);
    free(folder->path);
    free(folder);
}

static const struct leat_archive_ops folder_ops = {
    "folder", GROUP, false, folder_start, folder_run, folder_wake, folder_abandon, folder_close,
};

int
leat_archive_folder_open(const char *path, struct leat_archive **ret_archive,
                         struct leat_error *err)
{
    LEAT_AUTO_BUF trimmed = LEAT_BUF_INIT;
    struct folder *folder;
    int error, root;

    if (path[0] != '/')
        return leat_error_set(err, LEAT_E_INVALID,
                              "archive folder \"%s\" is not an absolute path: write file:///…",
                              path);
    leat_buf_add_text(&trimmed, path);
    while (trimmed.size > 1 && trimmed.data[trimmed.size - 1] == '/')
        trimmed.size--;
    path = leat_buf_text(&trimmed);
    error = make_root(path);
    if (error != 0)
        return leat_error_set(err, LEAT_E_UNAVAILABLE,
                              "could not create archive folder \"%s\": %s: check archive.url", path,
                              strerror(error));
    if (access(path, W_OK | X_OK) != 0)
        return leat_error_set(err, LEAT_E_DENIED, "archive folder \"%s\" cannot be written: %s",
                              path, strerror(errno));
    folder = LEAT_NEW(struct folder);
    leat_is_unshared();
    leat_mutex_init(&folder->lock);
    leat_condition_init(&folder->condition);
    folder->archive.ops = &folder_ops;
    folder->path = leat_strdup(path);
    root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root >= 0) {
        clean_when_due(folder, root);
        close(root);
    }
    *ret_archive = &folder->archive;
    return 0;
}
