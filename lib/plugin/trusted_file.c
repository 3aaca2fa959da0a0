/*
 * One walk from the root, component by component, each opened relative to the one before it and never followed by the
 * kernel: links are read here. So what was looked at cannot be exchanged behind our back.
 */
#include "plugin/trusted_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/memory.h"

#define MAXIMUM_LINKS 40
#define MAXIMUM_GROUPS 256

struct walk {
    const char *file; /* as it was asked for: for messages */
    char program[PATH_MAX];
    struct leat_buf path; /* of the folder, without links; "" is the root */
    char *rest;           /* what is still to be walked; owned */
    int folder;           /* O_PATH */
    unsigned links;
    int found; /* the file; -1: not yet */
};

static int
refuse_os(const struct walk *walk, struct leat_error *err)
{
    return leat_error_set(err, LEAT_E_NOT_FOUND, "could not open plugin \"%s\": %s", walk->file,
                          strerror(errno));
}

static bool
is_ours(uid_t owner)
{
    return owner == 0 || owner == geteuid();
}

static bool
is_own_group(gid_t group)
{
    gid_t groups[MAXIMUM_GROUPS];
    int count = getgroups(MAXIMUM_GROUPS, groups);

    for (int i = 0; i < count; i++) {
        if (groups[i] == group)
            return true;
    }
    return group == getegid();
}

/* Whether no other user is in it: by its list, and as somebody's first group. One without a name must be our own. */
static bool
is_private_group(gid_t group)
{
    const struct group *facts = getgrgid(group);
    const struct passwd *user;
    bool is_private = true;

    if (group == 0)
        return true;
    if (facts == NULL)
        return is_own_group(group);
    for (char **member = facts->gr_mem; *member != NULL && is_private; member++) {
        user = getpwnam(*member);
        is_private = user != NULL && is_ours(user->pw_uid);
    }
    setpwent();
    while (is_private && (user = getpwent()) != NULL)
        is_private = user->pw_gid != group || is_ours(user->pw_uid);
    endpwent();
    return is_private;
}

/* With an access list the group's bits are its mask: users it names may write. */
static bool
has_access_list(int fd)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return getxattr(path, "system.posix_acl_access", NULL, 0) > 0;
}

static bool
may_others_write(const struct stat *facts, int fd)
{
    if ((facts->st_mode & S_ISVTX) != 0)
        return false;
    if ((facts->st_mode & S_IWOTH) != 0)
        return true;
    return (facts->st_mode & S_IWGRP) != 0 &&
           (has_access_list(fd) || !is_private_group(facts->st_gid));
}

static bool
is_above_program(const struct walk *walk)
{
    return (walk->path.size == 0 ||
            strncmp(walk->program, (const char *)walk->path.data, walk->path.size) == 0) &&
           walk->program[walk->path.size] == '/';
}

static int
check_folder(struct walk *walk, const struct stat *facts, struct leat_error *err)
{
    const char *path = leat_buf_text(&walk->path);

    if (is_above_program(walk))
        return 0;
    if (!is_ours(facts->st_uid))
        return leat_error_set(err, LEAT_E_DENIED,
                              "plugin \"%s\": its folder \"%s\" belongs to user %u, neither to "
                              "root nor to the one who runs leat: put it elsewhere, or chown it",
                              walk->file, path, (unsigned)facts->st_uid);
    if (may_others_write(facts, walk->folder))
        return leat_error_set(err, LEAT_E_DENIED,
                              "plugin \"%s\": its folder \"%s\" may be written by others: chmod "
                              "go-w it",
                              walk->file, path);
    return 0;
}

static int
check_file(const struct walk *walk, const struct stat *facts, struct leat_error *err)
{
    if (!S_ISREG(facts->st_mode))
        return leat_error_set(err, LEAT_E_INVALID, "plugin \"%s\" is not a regular file",
                              walk->file);
    if (!is_ours(facts->st_uid))
        return leat_error_set(err, LEAT_E_DENIED,
                              "plugin \"%s\" belongs to user %u, neither to root nor to the one "
                              "who runs leat: chown it",
                              walk->file, (unsigned)facts->st_uid);
    if ((facts->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return leat_error_set(err, LEAT_E_DENIED,
                              "plugin \"%s\" may be written by others: chmod go-w it", walk->file);
    return 0;
}

/* Takes fd as the folder that the walk stands in; the path says which already. */
static int
enter(struct walk *walk, int fd, const struct stat *facts, struct leat_error *err)
{
    if (walk->folder >= 0)
        close(walk->folder);
    walk->folder = fd;
    return check_folder(walk, facts, err);
}

static int
enter_root(struct walk *walk, struct leat_error *err)
{
    struct stat facts;
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    leat_buf_clear(&walk->path);
    if (fd < 0 || fstat(fd, &facts) != 0)
        return refuse_os(walk, err);
    return enter(walk, fd, &facts, err);
}

/* The link's text takes its place in what is to be walked. */
static int
follow(struct walk *walk, int link, const struct stat *facts, struct leat_error *err)
{
    char target[PATH_MAX];
    LEAT_AUTO_BUF rest = LEAT_BUF_INIT;
    ssize_t size = readlinkat(link, "", target, sizeof target - 1);

    if (size < 0)
        return refuse_os(walk, err);
    target[size] = '\0';
    if (!is_ours(facts->st_uid))
        return leat_error_set(
            err, LEAT_E_DENIED,
            "plugin \"%s\": a link to \"%s\" on the way to it belongs to user %u, "
            "neither to root nor to the one who runs leat",
            walk->file, target, (unsigned)facts->st_uid);
    if (++walk->links > MAXIMUM_LINKS) {
        errno = ELOOP;
        return refuse_os(walk, err);
    }
    leat_buf_printf(&rest, "%s/%s", target, walk->rest);
    free(walk->rest);
    walk->rest = leat_buf_take(&rest);
    return target[0] == '/' ? enter_root(walk, err) : 0;
}

/* The last component: opened once more for reading, and that descriptor is looked at. */
static int
open_file(struct walk *walk, const char *name, struct leat_error *err)
{
    int fd = openat(walk->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat facts;
    int status;

    if (fd < 0 || fstat(fd, &facts) != 0) {
        status = refuse_os(walk, err);
        if (fd >= 0)
            close(fd);
        return status;
    }
    status = check_file(walk, &facts, err);
    if (status == 0)
        walk->found = fd;
    else
        close(fd);
    return status;
}

/* One component that is there; fd is an O_PATH of it and is taken. */
static int
step_into(struct walk *walk, const char *name, int fd, struct leat_error *err)
{
    struct stat facts;
    int status;

    if (fstat(fd, &facts) != 0) {
        status = refuse_os(walk, err);
    } else if (S_ISDIR(facts.st_mode)) {
        if (strcmp(name, "..") != 0)
            leat_buf_printf(&walk->path, "/%s", name);
        else
            while (walk->path.size > 0 && walk->path.data[--walk->path.size] != '/')
                ;
        return enter(walk, fd, &facts, err);
    } else if (S_ISLNK(facts.st_mode)) {
        status = follow(walk, fd, &facts, err);
    } else if (walk->rest[strspn(walk->rest, "/")] != '\0') {
        errno = ENOTDIR;
        status = refuse_os(walk, err);
    } else if (!S_ISREG(facts.st_mode)) {
        status = check_file(walk, &facts, err);
    } else {
        status = open_file(walk, name, err);
    }
    close(fd);
    return status;
}

static int
step(struct walk *walk, struct leat_error *err)
{
    size_t length = strcspn(walk->rest, "/");
    LEAT_AUTO_FREE char *name = leat_slice_strdup(leat_slice_make(walk->rest, length));
    int fd;

    memmove(walk->rest, walk->rest + length, strlen(walk->rest + length) + 1);
    fd = openat(walk->folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? step_into(walk, name, fd, err) : refuse_os(walk, err);
}

/* The whole path to walk, from the root. */
static int
begin(struct walk *walk, struct leat_error *err)
{
    LEAT_AUTO_BUF rest = LEAT_BUF_INIT;
    char here[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", walk->program, sizeof walk->program - 1);

    walk->program[size > 0 ? size : 0] = '\0';
    if (walk->file[0] != '/') {
        if (getcwd(here, sizeof here) == NULL)
            return refuse_os(walk, err);
        leat_buf_printf(&rest, "%s/", here);
    }
    leat_buf_add_text(&rest, walk->file);
    walk->rest = leat_buf_take(&rest);
    return enter_root(walk, err);
}

int
leat_trusted_file_open(const char *file, int *ret_fd, struct leat_error *err)
{
    struct walk walk = {.file = file, .folder = -1, .found = -1};
    int status;

    leat_buf_init(&walk.path, SIZE_MAX);
    status = begin(&walk, err);
    while (status == 0 && walk.found < 0) {
        memmove(walk.rest, walk.rest + strspn(walk.rest, "/"),
                strlen(walk.rest + strspn(walk.rest, "/")) + 1);
        if (*walk.rest == '\0')
            status =
                leat_error_set(err, LEAT_E_INVALID, "plugin \"%s\" is not a regular file", file);
        else
            status = step(&walk, err);
    }
    if (walk.folder >= 0)
        close(walk.folder);
    leat_buf_release(&walk.path);
    free(walk.rest);
    if (status == 0)
        *ret_fd = walk.found;
    return status;
}
