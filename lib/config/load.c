/* A load: read, overlay, bind, check, then tell all that is wrong at once. A configuration with a problem is none. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "config/inside.h"

#define URL_BYTES 65536

extern char **environ;

static int
read_file(const char *file, size_t maximum_bytes, struct leat_buf *out, struct leat_error *err)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    char bytes[16384];
    ssize_t got = -1;

    leat_buf_init(out, maximum_bytes);
    while (fd >= 0 && !out->is_truncated && (got = read(fd, bytes, sizeof bytes)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        leat_buf_add(out, bytes, (size_t)got);
    }
    if (fd < 0 || got < 0)
        leat_error_set(err, LEAT_E_NOT_FOUND, "could not read \"%s\": %s", file, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (fd < 0 || got < 0)
        return LEAT_E_NOT_FOUND;
    if (out->is_truncated)
        return leat_error_set(err, LEAT_E_LIMIT, "\"%s\" is too large: at most %zu bytes", file,
                              maximum_bytes);
    return 0;
}

static void
make_config(const struct leat_config_sources *sources, struct leat_config_inside *inside,
            struct leat_problems *problems)
{
    struct leat_config *config = &inside->config;
    struct leat_tree_input input = {sources->text, sources->variable, sources->variable_context};

    inside->root = leat_tree_parse(&input, &config->arena, problems);
    if (inside->root == NULL)
        return;
    leat_config_spell_out(inside->root, &config->arena);
    leat_config_overlay(inside->root, sources, problems);
    leat_config_settle(inside->root, problems);
    leat_config_bind(inside->root, config, problems);
    leat_config_check(inside->root, config, problems);
}

int
leat_config_make(const struct leat_config_sources *sources, leat_config_report_fn report,
                 void *context, struct leat_config **ret_config)
{
    struct leat_config_inside *inside = LEAT_NEW(struct leat_config_inside);
    struct leat_problems *problems = LEAT_NEW(struct leat_problems);
    bool is_bad;

    leat_arena_init(&inside->config.arena);
    inside->config.file = leat_arena_strdup(&inside->config.arena, sources->file);
    problems->arena = &inside->config.arena;
    problems->file = sources->file;
    make_config(sources, inside, problems);
    leat_problems_tell(problems, report, context);
    is_bad = problems->count > 0;
    free(problems);
    if (is_bad) {
        leat_config_free(&inside->config);
        return LEAT_E_INVALID;
    }
    *ret_config = &inside->config;
    return 0;
}

int
leat_config_parse(const char *name, struct leat_slice text, leat_config_report_fn report,
                  void *context, struct leat_config **ret_config)
{
    struct leat_config_sources sources = {.file = name, .text = text};

    return leat_config_make(&sources, report, context, ret_config);
}

static const char *
environment_variable(void *context, const char *name)
{
    return getenv(name);
}

int
leat_config_load(const char *file, const struct leat_config_override *overrides,
                 size_t override_count, leat_config_report_fn report, void *context,
                 struct leat_config **ret_config)
{
    struct leat_config_sources sources = {.file = file,
                                          .variable = environment_variable,
                                          .environment = (const char *const *)environ,
                                          .overrides = overrides,
                                          .override_count = override_count};
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_error err;

    if (read_file(file, LEAT_TREE_BYTES, &text, &err) != 0) {
        report(context, err.text);
        return LEAT_E_INVALID;
    }
    sources.text = leat_buf_slice(&text);
    return leat_config_make(&sources, report, context, ret_config);
}

void
leat_config_free(struct leat_config *config)
{
    if (config == NULL)
        return;
    leat_arena_release(&config->arena);
    free(config);
}

int
leat_config_url(const char *url, const char *url_file, struct leat_buf *ret_url,
                struct leat_error *err)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    size_t size;
    int status;

    if (url_file == NULL) {
        leat_buf_add_text(ret_url, url != NULL ? url : "");
        return 0;
    }
    status = read_file(url_file, URL_BYTES, &text, err);
    if (status != 0)
        return leat_error_prefix(err, "url_file");
    size = strcspn(leat_buf_text(&text), "\n");
    while (size > 0 && strchr(" \t\r", text.data[size - 1]) != NULL)
        size--;
    if (size == 0)
        return leat_error_set(err, LEAT_E_INVALID, "url_file \"%s\": its first line is empty",
                              url_file);
    leat_buf_add(ret_url, text.data, size);
    return 0;
}
