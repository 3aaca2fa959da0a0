/* A target that does not come back from commit while a file exists. It keeps nothing: only progress counts. */
#include <leat/target.h>
#include <unistd.h>

static const struct leat_option options[] = {
    {"hang_while", LEAT_OPTION_TEXT, 0, "", NULL, 0, 0, "the file"},
    LEAT_END,
};

static int
hanging_open(const struct leat_host *host, const struct leat_target_context *context,
             const struct leat_options *given, void **ret_target, struct leat_error *err)
{
    (void)host, (void)context, (void)err;
    *ret_target = (void *)given;
    return 0;
}

static void
hanging_close(void *target)
{
    (void)target;
}

static int
committer_open(void *target, const struct leat_table *tables, unsigned index, void **ret_committer,
               struct leat_error *err)
{
    (void)tables, (void)index, (void)err;
    *ret_committer = target;
    return 0;
}

static void
committer_close(void *committer)
{
    (void)committer;
}

static int
hanging_commit(void *committer, const struct leat_flush *flush, struct leat_commit_result *results,
               struct leat_error *err)
{
    const char *file = (const char *)leat_option_get(committer, "hang_while")->text.data;

    (void)err;
    while (*file != '\0' && access(file, F_OK) == 0)
        usleep(10000);
    for (size_t i = 0; i < flush->shard_count; i++)
        results[i].outcome = LEAT_COMMITTED;
    return 0;
}

LEAT_TARGET(.name = "hanging", .version = "1", .summary = "hangs", .options = options,
            .is_transactional = false, .open = hanging_open, .close = hanging_close,
            .committer_open = committer_open, .committer_close = committer_close,
            .commit = hanging_commit);
