/*
 * Finding, checking and opening plugins. A file that others may write could be changed between the check and dlopen by
 * those others: so it is refused. Nothing is ever unloaded: a thread of the plugin's may still be running in it.
 */
#include "plugin/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encoding.h"
#include "base/memory.h"

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

/* Beside the program: build/…/plugins next to build/…/leat. */
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
    leat_buf_printf(out, "%.*s/plugins", slash != NULL ? (int)(slash - program) : 0, program);
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

static int
check_file(const char *file, struct leat_error *err)
{
    struct stat facts;

    if (stat(file, &facts) != 0)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "could not open plugin \"%s\": %s", file,
                              strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return leat_error_set(err, LEAT_E_INVALID, "plugin \"%s\" is not a regular file", file);
    if (facts.st_uid != 0 && facts.st_uid != geteuid())
        return leat_error_set(err, LEAT_E_DENIED,
                              "plugin \"%s\" belongs to user %u, neither to root nor to the one "
                              "who runs leat: chown it",
                              file, (unsigned)facts.st_uid);
    if ((facts.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return leat_error_set(err, LEAT_E_DENIED,
                              "plugin \"%s\" may be written by others: chmod go-w it", file);
    return 0;
}

static int
hash_file(const char *file, struct leat_buf *ret_hex, struct leat_error *err)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char digest[EVP_MAX_MD_SIZE], bytes[16384];
    FILE *stream = fopen(file, "re");
    size_t got;
    int status = 0;

    if (stream == NULL)
        status = leat_error_set(err, LEAT_E_SYSTEM, "could not read plugin \"%s\": %s", file,
                                strerror(errno));
    LEAT_ASSERT(context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    while (status == 0 && (got = fread(bytes, 1, sizeof bytes, stream)) > 0)
        EVP_DigestUpdate(context, bytes, got);
    EVP_DigestFinal_ex(context, digest, NULL);
    EVP_MD_CTX_free(context);
    if (stream != NULL)
        fclose(stream);
    if (status == 0)
        leat_hex_encode(ret_hex, leat_slice_make(digest, 32));
    return status;
}

static int
check_hash(const char *file, const char *sha256, struct leat_error *err)
{
    LEAT_AUTO_BUF hex = LEAT_BUF_INIT;
    int status;

    if (sha256 == NULL)
        return 0;
    status = hash_file(file, &hex, err);
    if (status == 0 && strcasecmp(leat_buf_text(&hex), sha256) != 0)
        return leat_error_set(err, LEAT_E_DENIED,
                              "plugin \"%s\" has SHA-256 %s, not the one that is configured", file,
                              leat_buf_text(&hex));
    return status;
}

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
open_descriptor(const char *file, const struct kind *kind, const struct descriptor **ret_descriptor,
                struct leat_error *err)
{
    const struct descriptor *(*get)(void);
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    void *symbol;
    int status;

    if (handle == NULL)
        return leat_error_set(err, LEAT_E_INVALID, "could not load plugin \"%s\": %s", file,
                              dlerror());
    symbol = dlsym(handle, kind->symbol);
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
    LEAT_AUTO_FREE char *file = NULL;
    int status = leat_plugin_find(path, name_or_file, &found, err);

    if (status != 0)
        return status;
    /* dlopen looks a name without '/' up in the library path: never meant here. */
    file = strchr(leat_buf_text(&found), '/') != NULL ? leat_strdup(leat_buf_text(&found)) : NULL;
    if (file == NULL) {
        LEAT_AUTO_BUF here = LEAT_BUF_INIT;

        leat_buf_printf(&here, "./%s", leat_buf_text(&found));
        file = leat_buf_take(&here);
    }
    status = check_file(file, err);
    if (status == 0)
        status = check_hash(file, sha256, err);
    return status == 0 ? open_descriptor(file, kind, ret_descriptor, err) : status;
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
