/*
 * Take, commit, resolve: the SQL of progress and fence (docs/protocol.md §3, 4), shared by targets/postgres and by the
 * progress of targets without transactions (there with no rows). One thread, one connection, reopened inside when it broke.
 * What a call returns in slices lives until the next call.
 */
#ifndef LEAT_POSTGRES_COMMITTER_H
#define LEAT_POSTGRES_COMMITTER_H

#include <leat/target.h>

#include "base/arena.h"
#include "postgres/connection.h"
#include "postgres/upsert.h"

struct leat_pg_committer_options {
    struct leat_pg_options connection;
    const char *application;
    const struct leat_pg_names *names; /* where tables go; NULL: public, same names */
    const struct leat_table *tables;   /* NULL: progress alone */
    /* leat_target_context's, asked before each use of the connection. NULL: any target will do. */
    leat_check_id_fn check_id;
    void *id_context;
    /* rivals.c: another lease database that writes to this target is told; leases_name is our own. NULL: nobody listens. */
    void (*warn)(void *context, const char *text);
    void *warn_context;
    const char *leases_name;
};

struct leat_pg_committer;
/* Connects nothing yet. Options' pointers are borrowed. */
struct leat_pg_committer *leat_pg_committer_new(const struct leat_pg_committer_options *options);
void leat_pg_committer_free(struct leat_pg_committer *committer);

int leat_pg_take(struct leat_pg_committer *committer, struct leat_take *takes, size_t count,
                 struct leat_error *err);
/* count_takes.c; see leat_target.count_takes. */
int leat_pg_count_takes(struct leat_pg_committer *committer, struct leat_take_count *counts,
                        size_t count, struct leat_error *err);
int leat_pg_progress_read(struct leat_pg_committer *committer, const struct leat_progress_key *keys,
                          size_t count, struct leat_progress *ret_progress, struct leat_error *err);
/* progress_forget.c */
int leat_pg_progress_forget(struct leat_pg_committer *committer,
                            const struct leat_progress_forget *forget, size_t *ret_removed,
                            struct leat_error *err);
/* progress_list.c */
int leat_pg_progress_list(struct leat_pg_committer *committer, const struct leat_progress_key *of,
                          leat_shard_fn each, void *context, struct leat_error *err);
/* progress_reopen.c */
int leat_pg_progress_reopen(struct leat_pg_committer *committer,
                            struct leat_progress_reopen *reopen, struct leat_error *err);
int leat_pg_commit(struct leat_pg_committer *committer, const struct leat_flush *flush,
                   struct leat_commit_result *results, struct leat_error *err);
/* See try_rows in leat/target.h. */
int leat_pg_try_rows(struct leat_pg_committer *committer, const struct leat_trial *trial,
                     enum leat_trial_outcome *ret_outcome, struct leat_error *err);
/* See leat_target.forms. */
void leat_pg_forms(struct leat_pg_committer *committer, size_t table,
                   struct leat_table_forms *ret_forms);
int leat_pg_resolve(struct leat_pg_committer *committer, const struct leat_flush *flush,
                    struct leat_commit_result *results, struct leat_error *err);

#endif
