/* Progress of targets without transactions: the same SQL, in the lease database, with no rows (docs/protocol.md §4). */
#include "base/memory.h"
#include "pipeline/flight.h"
#include "postgres/committer.h"

static int
take(void *committer, struct leat_take *takes, size_t count, struct leat_error *err)
{
    return leat_pg_take(committer, takes, count, err);
}

static int
count_takes(void *committer, struct leat_take_count *counts, size_t count, struct leat_error *err)
{
    return leat_pg_count_takes(committer, counts, count, err);
}

static int
progress_read(void *committer, const struct leat_progress_key *keys, size_t count,
              struct leat_progress *ret_progress, struct leat_error *err)
{
    return leat_pg_progress_read(committer, keys, count, ret_progress, err);
}

static int
progress_forget(void *committer, const struct leat_progress_forget *forget, size_t *ret_removed,
                struct leat_error *err)
{
    return leat_pg_progress_forget(committer, forget, ret_removed, err);
}

static int
progress_list(void *committer, const struct leat_progress_key *of, leat_shard_fn each,
              void *context, struct leat_error *err)
{
    return leat_pg_progress_list(committer, of, each, context, err);
}

static int
progress_reopen(void *committer, struct leat_progress_reopen *reopen, struct leat_error *err)
{
    return leat_pg_progress_reopen(committer, reopen, err);
}

static int
resolve(void *committer, const struct leat_flush *flush, struct leat_commit_result *results,
        struct leat_error *err)
{
    return leat_pg_resolve(committer, flush, results, err);
}

static int
commit(void *committer, const struct leat_flush *flush, struct leat_commit_result *results,
       struct leat_error *err)
{
    return leat_pg_commit(committer, flush, results, err);
}

static void
committer_close(void *committer)
{
    leat_pg_committer_free(committer);
}

static const struct leat_target store_ops = {
    .size = sizeof store_ops,
    .name = "progress in the lease database",
    .is_transactional = true,
    .committer_close = committer_close,
    .take = take,
    .progress_read = progress_read,
    .resolve = resolve,
    .commit = commit,
    .progress_forget = progress_forget,
    .progress_list = progress_list,
    .progress_reopen = progress_reopen,
    .count_takes = count_takes,
};

int
leat_progress_store_open(const struct leat_pipeline_options *options,
                         const struct leat_pipeline_processor *processor,
                         struct leat_store *ret_store, struct leat_error *err)
{
    struct leat_pg_committer_options committer = {
        .connection = {.url = options->lease_database_url,
                       .application_name = "leat committer",
                       .current_url = options->lease_url,
                       .url_context = options->lease_url_context},
        .application = options->application,
        .check_id = processor->check_id,
        .id_context = processor->id_context,
    };

    if (options->lease_database_url == NULL)
        return leat_error_set(err, LEAT_E_INVALID,
                              "a target without transactions needs the application's database");
    *ret_store = (struct leat_store){leat_pg_committer_new(&committer), &store_ops};
    return 0;
}
