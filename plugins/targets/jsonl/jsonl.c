/*
 * The jsonl target, the smallest: each row becomes a line of JSON at the end of a file. It has no transactions, so leat keeps
 * its progress in the lease database, after the rows were written: at least once. What is a row twice is there twice, as
 * a line; whoever reads the file merges the lines of a key by the rules of its table.
 *
 * Threads: each committer is its thread's. Committers of one target take turns (`turn`), other targets and processes are kept
 * apart by a lock on the file (file.c).
 */
#include "jsonl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/thread.h"

#define CHUNK_BYTES ((size_t)1 << 20)

struct target {
    char *path;
    bool is_durable;
    struct leat_mutex turn;
};

struct committer {
    struct target *target;
    struct leat_jsonl_file file;
    struct leat_buf lines;
};

static const struct leat_option options[] = {
    {"path", LEAT_OPTION_TEXT, LEAT_OPTION_REQUIRED, NULL, NULL, 0, 0,
     "the file; {processor} and {application} stand for their names"},
    {"fsync", LEAT_OPTION_BOOLEAN, 0, "true", NULL, 0, 0,
     "rows are on the disk before they count as written"},
    LEAT_END,
};

/* A name never becomes a folder. */
static void
add_name(struct leat_buf *path, struct leat_slice name)
{
    for (size_t i = 0; i < name.size; i++)
        leat_buf_add_byte(path, name.data[i] == '/' ? '_' : name.data[i]);
}

static int
make_path(const char *template, const struct leat_target_context *context, struct leat_buf *path,
          struct leat_error *err)
{
    static const char processor[] = "{processor}", application[] = "{application}";

    if (*template == '\0')
        return leat_error_set(err, LEAT_E_INVALID, "option \"path\" is empty");
    while (*template != '\0') {
        if (strncmp(template, processor, strlen(processor)) == 0) {
            add_name(path, context->processor);
            template += strlen(processor);
        } else if (strncmp(template, application, strlen(application)) == 0) {
            add_name(path, context->application);
            template += strlen(application);
        } else if (*template == '{' || *template == '}') {
            return leat_error_set(
                err, LEAT_E_INVALID,
                "option \"path\": braces stand around processor and application alone");
        } else {
            leat_buf_add_byte(path, (unsigned char)*template ++);
        }
    }
    return 0;
}

static int
target_open(const struct leat_host *host, const struct leat_target_context *context,
            const struct leat_options *given, void **ret_target, struct leat_error *err)
{
    LEAT_AUTO_FREE char *template = leat_slice_strdup(leat_option_get(given, "path")->text);
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    struct target *target;
    int status = make_path(template, context, &path, err);

    if (status != 0)
        return status;
    target = LEAT_NEW(struct target);
    leat_buf_add_text(&path, "");
    target->path = leat_buf_take(&path);
    target->is_durable = leat_option_get(given, "fsync")->integer != 0;
    leat_mutex_init(&target->turn);
    *ret_target = target;
    return 0;
}

static void
target_close(void *state)
{
    struct target *target = state;

    if (target == NULL)
        return;
    leat_mutex_release(&target->turn);
    free(target->path);
    free(target);
}

/* Is there a file that can be written, or a folder where one can be made? Makes none. */
static int
target_describe(void *state, const struct leat_table *tables, leat_mismatch_fn report,
                void *context, struct leat_error *err)
{
    struct target *target = state;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    LEAT_AUTO_BUF folder = LEAT_BUF_INIT;
    const char *slash = strrchr(target->path, '/');

    if (slash == NULL)
        leat_buf_add_text(&folder, ".");
    else
        leat_buf_add(&folder, target->path, (size_t)(slash - target->path) + 1);
    if (access(target->path, F_OK) == 0) {
        if (access(target->path, R_OK | W_OK) == 0)
            return 0;
        leat_buf_printf(&text, "cannot write to \"%s\": %s", target->path, strerror(errno));
    } else if (access(leat_buf_text(&folder), W_OK | X_OK) != 0) {
        leat_buf_printf(&text, "cannot make \"%s\": folder \"%s\": %s", target->path,
                        leat_buf_text(&folder), strerror(errno));
    } else {
        return 0;
    }
    report(context, leat_buf_text(&text));
    return 0;
}

static int
committer_open(void *state, const struct leat_table *tables, unsigned index, void **ret_committer,
               struct leat_error *err)
{
    struct target *target = state;
    struct committer *committer = LEAT_NEW(struct committer);

    committer->target = target;
    committer->file =
        (struct leat_jsonl_file){.path = target->path, .is_durable = target->is_durable, .fd = -1};
    leat_buf_init(&committer->lines, SIZE_MAX);
    *ret_committer = committer;
    return 0;
}

static void
committer_close(void *state)
{
    struct committer *committer = state;

    if (committer == NULL)
        return;
    leat_jsonl_close(&committer->file);
    leat_buf_release(&committer->lines);
    free(committer);
}

static int
write_lines(struct committer *committer, struct leat_error *err)
{
    int status = leat_jsonl_write(&committer->file, leat_buf_slice(&committer->lines), err);

    leat_buf_clear(&committer->lines);
    return status;
}

static int
write_flush(struct committer *committer, const struct leat_flush *flush, struct leat_error *err)
{
    int status = leat_jsonl_begin(&committer->file, err);

    leat_buf_clear(&committer->lines);
    for (size_t g = 0; g < flush->group_count; g++) {
        const struct leat_flush_rows *rows = &flush->groups[g];

        for (size_t i = 0; i < rows->count && status == 0; i++) {
            leat_jsonl_line(&committer->lines, rows, i);
            if (committer->lines.size >= CHUNK_BYTES)
                status = write_lines(committer, err);
        }
    }
    if (status == 0 && committer->lines.size > 0)
        status = write_lines(committer, err);
    return status == 0 ? leat_jsonl_end(&committer->file, err) : status;
}

static int
commit(void *state, const struct leat_flush *flush, struct leat_commit_result *results,
       struct leat_error *err)
{
    struct committer *committer = state;
    struct leat_commit_result result = {.outcome = LEAT_COMMITTED};
    struct leat_error why;
    int status;

    /* Held over I/O, against the rule: that the others wait until this one has written is what it is for. */
    leat_mutex_lock(&committer->target->turn);
    status = write_flush(committer, flush, &why);
    leat_mutex_unlock(&committer->target->turn);
    if (status != 0) {
        result.outcome = why.code == LEAT_E_INVALID ? LEAT_COMMIT_CONFIGURATION
                                                    : LEAT_COMMIT_TRANSIENT;
        snprintf(result.text, sizeof result.text, "%s", why.text);
    }
    for (size_t i = 0; i < flush->shard_count; i++)
        results[i] = result;
    return 0;
}

LEAT_TARGET(.name = "jsonl", .version = LEAT_VERSION,
            .summary = "rows as lines of JSON at the end of a file: at least once",
            .options = options, .is_transactional = false, .open = target_open,
            .close = target_close, .describe = target_describe, .committer_open = committer_open,
            .committer_close = committer_close, .commit = commit);
