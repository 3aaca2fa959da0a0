/*
 * The control connection of a take: it ends the backend that stands in the way. Only leat's own, known by their
 * application_name, which a pooler hands on to the backend that serves a transaction. What a backend had not committed did not
 * happen: its worker finds a broken connection, resolves, and is fenced by the take.
 *
 * Who is ended: the one that locked the row; or, for a first INSERT, which shows no row yet, the one that our take waits for,
 * unless that one waits itself (for the same stopped transaction, in front of us in the queue): it did nothing wrong.
 */
#include "postgres/committer_inside.h"

static const char free_sql[] =
    "SELECT pg_terminate_backend(a.pid) FROM leat.progress p JOIN pg_stat_activity a ON "
    "a.backend_xid = p.xmax "
    "WHERE p.application = $1 AND p.processor = $2 AND p.tenant = $3 AND p.stream_id = $4 AND "
    "p.shard = $5 "
    "AND starts_with(a.application_name, $6) AND a.pid <> pg_backend_pid() AND a.pid <> $7 "
    "UNION ALL SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a "
    "WHERE a.pid = ANY (pg_blocking_pids($7::int)) AND starts_with(a.application_name, $6) "
    "AND a.wait_event_type IS DISTINCT FROM 'Lock'";

static int
control(struct leat_pg_committer *committer, struct leat_error *err)
{
    struct leat_pg_options options = committer->options.connection;

    if (!leat_pg_is_broken(committer->control))
        return 0;
    leat_pg_close(committer->control);
    committer->control = NULL;
    options.application_name = "leat control";
    return leat_pg_connect(&options, &committer->control, err);
}

int
leat_pg_free_row(struct leat_pg_committer *committer, const struct leat_progress_key *key, int pid,
                 struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    int status = control(committer, err);

    if (status != 0)
        return status;
    leat_pg_parameters_init(&parameters);
    leat_pg_add_slice(&parameters, key->application);
    leat_pg_add_slice(&parameters, key->processor);
    leat_pg_add_slice(&parameters, key->tenant);
    leat_pg_add_slice(&parameters, key->stream_id);
    leat_pg_add_slice(&parameters, key->shard);
    leat_pg_add_text(&parameters, committer->options.connection.application_name);
    leat_pg_add_int8(&parameters, pid);
    return leat_pg_execute(committer->control, free_sql, &parameters, NULL, err);
}
