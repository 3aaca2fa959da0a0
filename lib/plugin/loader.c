/*
 * Finding, checking and opening plugins. A file is opened once, and only where nobody else can have put it
 * (trusted_file.h); its bytes are copied, hashed and checked (private_copy.h), and the copy is loaded. Nothing is ever
 * unloaded: a thread of the plugin's may still be running in it.
 */
#include "plugin/loader.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "plugin/private_copy.h"
#include "plugin/trusted_file.h"

#ifndef LEAT_PLUGIN_DIRECTORY
#define LEAT_PLUGIN_DIRECTORY "/usr/local/lib/leat/plugins"
#endif

/* What the two kinds of descriptors begin with. */
struct descriptor {
    size_t size;
    uint32_t abi_major, abi_minor;
    const char *name;
};

struct kind {
    const char *word, *symbol;
    uint32_t major, minor;
    size_t size; /* of the first released descriptor: a plugin's must be at least that */
};

static const struct kind processor_kind = {"processor", LEAT_PROCESSOR_SYMBOL, LEAT_ABI_MAJOR,
                                           LEAT_ABI_MINOR, sizeof(struct leat_processor)};
static const struct kind target_kind = {"target", LEAT_TARGET_SYMBOL, LEAT_TARGET_ABI_MAJOR,
                                        LEAT_TARGET_ABI_MINOR,
                                        offsetof(struct leat_target, progress_forget)};

static bool
is_file_name(const char *name)
{
    size_t size = strlen(name);

    return strchr(name, '/') != NULL || (size > 3 && strcmp(name + size - 3, ".so") == 0);
}

/*
 * Beside the program: build/…/plugins next to build/…/leat; and where `make install` puts them, whatever the prefix:
 * PREFIX/lib/leat/plugins for PREFIX/bin/leat.
 */
static void
beside_program(struct leat_buf *out)
{
    char program[4096];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash;

    if (size <= 0)
        return;
    program[size] = '\0';
    slash = strrchr(program, '/');
    if (slash == NULL)
        return;
    *slash = '\0';
    leat_buf_printf(out, "%s/plugins", program);
    slash = strrchr(program, '/');
    if (slash != NULL && strcmp(slash, "/bin") == 0)
        leat_buf_printf(out, ":%.*s/lib/leat/plugins", (int)(slash - program), program);
}

static void
search_path(const struct leat_plugin_path *path, struct leat_buf *out)
{
    const char *environment = getenv("LEAT_PLUGIN_PATH");

    if (path != NULL && path->directories != NULL)
        leat_buf_printf(out, "%s:", path->directories);
    else if (environment != NULL && *environment != '\0')
        leat_buf_printf(out, "%s:", environment);
    beside_program(out);
    leat_buf_add_text(out, ":" LEAT_PLUGIN_DIRECTORY);
}

int
leat_plugin_find(const struct leat_plugin_path *path, const char *name_or_file,
                 struct leat_buf *ret_file, struct leat_error *err)
{
    LEAT_AUTO_BUF directories = LEAT_BUF_INIT;
    LEAT_AUTO_BUF file = LEAT_BUF_INIT;
    const char *next;

    if (is_file_name(name_or_file)) {
        leat_buf_add_text(ret_file, name_or_file);
        return 0;
    }
    search_path(path, &directories);
    for (next = leat_buf_text(&directories); *next != '\0'; next += strspn(next, ":")) {
        size_t length = strcspn(next, ":");

        leat_buf_clear(&file);
        leat_buf_printf(&file, "%.*s/%s.so", (int)length, next, name_or_file);
        next += length;
        if (access(leat_buf_text(&file), F_OK) == 0) {
            leat_buf_add_slice(ret_file, leat_buf_slice(&file));
            return 0;
        }
    }
    return leat_error_set(err, LEAT_E_NOT_FOUND,
                          "could not find plugin \"%s\" in %s: check its name, or set plugins.path",
                          name_or_file, leat_buf_text(&directories));
}

/* ---- what is loaded already ---------------------------------------------------------------------- */

/* The same file with the same bytes is the same plugin; another version of it is loaded beside it. */
struct loaded {
    dev_t device;
    ino_t inode;
    char sha256[65];
    void *handle;
    char *linker_name; /* what the linker had called it: its memory */
    struct loaded *next;
};
static struct loaded *all_loaded;

static void *
find_loaded(int fd, const char *sha256)
{
    struct stat facts;

    if (fstat(fd, &facts) != 0)
        return NULL;
    for (const struct loaded *loaded = all_loaded; loaded != NULL; loaded = loaded->next) {
        if (loaded->device == facts.st_dev && loaded->inode == facts.st_ino &&
            strcmp(loaded->sha256, sha256) == 0)
            return loaded->handle;
    }
    return NULL;
}

/*
 * The linker knows the copy as /proc/self/fd/N. Debuggers, sanitizers and backtraces ask it for names: they get the file's.
 * (And a later copy must not be taken for this one: descriptors of copies stay open, so N is never used twice.)
 */
static void
remember(void *handle, const char *file, int fd, const char *sha256)
{
    struct loaded *loaded = LEAT_NEW(struct loaded);
    struct link_map *map = NULL;
    struct stat facts = {0};

    (void)fstat(fd, &facts);
    loaded->device = facts.st_dev;
    loaded->inode = facts.st_ino;
    snprintf(loaded->sha256, sizeof loaded->sha256, "%s", sha256);
    loaded->handle = handle;
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map != NULL) {
        char *absolute = realpath(file, NULL);

        loaded->linker_name = map->l_name;
        map->l_name = absolute != NULL ? absolute : leat_strdup(file);
    }
    loaded->next = all_loaded;
    all_loaded = loaded;
}

/* The linker's reason, without the name that only it uses. */
static int
refuse_load(const char *file, const char *path, int copy, struct leat_error *err)
{
    const char *why = dlerror();
    bool is_library_missing;

    if (why == NULL)
        why = "the linker does not say why";
    is_library_missing = strstr(why, "cannot open shared object file") != NULL;
    if (strncmp(why, path, strlen(path)) == 0 && strncmp(why + strlen(path), ": ", 2) == 0)
        why += strlen(path) + 2;
    return leat_error_set(
        err, LEAT_E_INVALID, "could not load plugin \"%s\": %s%s", file, why,
        is_library_missing && leat_private_copy_has_origin(copy)
            ? ": a plugin is loaded from a copy, where $ORIGIN is not its folder: link its own "
              "libraries into it, or give it a run path without $ORIGIN"
            : "");
}

static int
load_copy(const char *file, int fd, const char *sha256, void **ret_handle, struct leat_error *err)
{
    LEAT_AUTO_BUF hex = LEAT_BUF_INIT;
    char path[64];
    int copy, status = leat_private_copy_make(file, fd, &copy, &hex, err);

    if (status != 0)
        return status;
    if (sha256 != NULL && strcasecmp(leat_buf_text(&hex), sha256) != 0) {
        close(copy);
        return leat_error_set(err, LEAT_E_DENIED,
                              "plugin \"%s\" has SHA-256 %s, not the one that is configured", file,
                              leat_buf_text(&hex));
    }
    *ret_handle = find_loaded(fd, leat_buf_text(&hex));
    if (*ret_handle != NULL) {
        close(copy);
        return 0;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", copy);
    if (getenv("LEAT_PLUGIN_IN_PLACE") != NULL) /* for tools that want a file: checked as ever */
        *ret_handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    else
        *ret_handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*ret_handle == NULL) {
        status = refuse_load(file, path, copy, err);
        close(copy);
        return status;
    }
    remember(*ret_handle, file, fd, leat_buf_text(&hex));
    return 0; /* the copy's descriptor stays open */
}

/* ---- what is in it ------------------------------------------------------------------------------- */

static int
check_descriptor(const char *file, const struct kind *kind, const struct descriptor *descriptor,
                 struct leat_error *err)
{
    if (descriptor == NULL)
        return leat_error_set(err, LEAT_E_INVALID, "plugin \"%s\": %s returned no descriptor", file,
                              kind->symbol);
    if (descriptor->size < sizeof *descriptor)
        return leat_error_set(err, LEAT_E_INVALID,
                              "plugin \"%s\": its descriptor of %zu bytes is too short", file,
                              descriptor->size);
    if (descriptor->abi_major != kind->major)
        return leat_error_set(
            err, LEAT_E_INVALID,
            "plugin \"%s\" was built for version %u of the %s interface, this leat has version %u: "
            "build it against this leat's headers",
            file, descriptor->abi_major, kind->word, kind->major);
    if (descriptor->abi_minor > kind->minor)
        return leat_error_set(err, LEAT_E_INVALID,
                              "plugin \"%s\" needs version %u.%u of the %s interface, this leat "
                              "has %u.%u: use a newer leat",
                              file, descriptor->abi_major, descriptor->abi_minor, kind->word,
                              kind->major, kind->minor);
    if (descriptor->size < kind->size)
        return leat_error_set(
            err, LEAT_E_INVALID,
            "plugin \"%s\": its descriptor has %zu bytes, at least %zu are needed", file,
            descriptor->size, kind->size);
    if (descriptor->name == NULL || *descriptor->name == '\0')
        return leat_error_set(err, LEAT_E_INVALID, "plugin \"%s\" has no name", file);
    return 0;
}

static int
find_descriptor(void *handle, const char *file, const struct kind *kind,
                const struct descriptor **ret_descriptor, struct leat_error *err)
{
    const struct descriptor *(*get)(void);
    void *symbol = dlsym(handle, kind->symbol);
    int status;

    if (symbol == NULL)
        return leat_error_set(err, LEAT_E_INVALID,
                              "plugin \"%s\" is no %s: it has no symbol %s (end it with %s(…))",
                              file, kind->word, kind->symbol,
                              kind == &processor_kind ? "LEAT_PROCESSOR" : "LEAT_TARGET");
    memcpy(&get, &symbol, sizeof get);
    status = check_descriptor(file, kind, get(), err);
    if (status == 0)
        *ret_descriptor = get();
    return status;
}

static int
load(const struct leat_plugin_path *path, const char *name_or_file, const char *sha256,
     const struct kind *kind, const struct descriptor **ret_descriptor, struct leat_error *err)
{
    LEAT_AUTO_BUF found = LEAT_BUF_INIT;
    LEAT_AUTO_BUF file = LEAT_BUF_INIT;
    void *handle;
    int fd, status = leat_plugin_find(path, name_or_file, &found, err);

    if (status != 0)
        return status;
    /* dlopen looks a name without '/' up in the library path: never meant here. */
    if (strchr(leat_buf_text(&found), '/') == NULL)
        leat_buf_add_text(&file, "./");
    leat_buf_add_slice(&file, leat_buf_slice(&found));
    status = leat_trusted_file_open(leat_buf_text(&file), &fd, err);
    if (status != 0)
        return status;
    status = load_copy(leat_buf_text(&file), fd, sha256, &handle, err);
    close(fd);
    if (status != 0)
        return status;
    return find_descriptor(handle, leat_buf_text(&file), kind, ret_descriptor, err);
}

int
leat_plugin_load_processor(const struct leat_plugin_path *path, const char *name_or_file,
                           const char *sha256, const struct leat_processor **ret_processor,
                           struct leat_error *err)
{
    const struct descriptor *descriptor = NULL;
    const struct leat_processor *processor;
    int status = load(path, name_or_file, sha256, &processor_kind, &descriptor, err);

    if (status != 0)
        return status;
    LEAT_ASSERT(descriptor != NULL); /* for the analyzer */
    processor = (const struct leat_processor *)(const void *)descriptor;
    if (processor->process == NULL)
        return leat_error_set(err, LEAT_E_INVALID, "plugin \"%s\" has no process function",
                              name_or_file);
    if (processor->tables != NULL && leat_plugin_check_tables(processor->tables, err) != 0)
        return leat_error_prefix(err, "plugin \"%s\"", name_or_file);
    *ret_processor = processor;
    return 0;
}

int
leat_plugin_load_target(const struct leat_plugin_path *path, const char *name_or_file,
                        const char *sha256, const struct leat_target **ret_target,
                        struct leat_error *err)
{
    const struct descriptor *descriptor = NULL;
    const struct leat_target *target;
    int status = load(path, name_or_file, sha256, &target_kind, &descriptor, err);

    if (status != 0)
        return status;
    LEAT_ASSERT(descriptor != NULL);
    target = (const struct leat_target *)(const void *)descriptor;
    if (target->open == NULL || target->close == NULL || target->committer_open == NULL ||
        target->committer_close == NULL || target->commit == NULL)
        return leat_error_set(
            err, LEAT_E_INVALID,
            "plugin \"%s\" lacks one of open, close, committer_open, committer_close, commit",
            name_or_file);
    if (target->is_transactional &&
        (target->take == NULL || target->progress_read == NULL || target->resolve == NULL))
        return leat_error_set(
            err, LEAT_E_INVALID,
            "plugin \"%s\" says it is transactional and lacks one of take, progress_read, resolve",
            name_or_file);
    *ret_target = target;
    return 0;
}
