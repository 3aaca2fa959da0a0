/*
 * A shard is open, and its progress says that it has ended: back to the position that the end's commit kept beside SHARD_END. One
 * statement, conditioned on the row as it was read: a commit or a take in between has moved commit_seq, and then nothing is done.
 * Whatever an owner of before has yet to send is fenced by the new commit_seq.
 */
#include "base/memory.h"
#include "postgres/committer_inside.h"

/* What is selected is the row as it was before: a row, and no new checkpoint, says why not. */
static const char reopen_sql[] =
    "WITH back AS (UPDATE leat.progress p SET checkpoint = p.end_checkpoint, sub_sequence = "
    "coalesce(p.end_sub_sequence, -1), end_checkpoint = NULL, end_sub_sequence = NULL, "
    "commit_seq = p.commit_seq + 1, takes = 0, probe_sequence = NULL, probe_sub = NULL "
    "WHERE p.application = $1 AND p.processor = $2 AND p.tenant = $3 AND p.stream_id = $4 AND "
    "p.shard = $5 AND p.lease_counter = $6 AND p.commit_seq = $7 AND p.checkpoint = 'SHARD_END' "
    "AND p.end_checkpoint IS NOT NULL RETURNING p.checkpoint, p.sub_sequence) "
    "SELECT b.checkpoint, b.sub_sequence, p.checkpoint = 'SHARD_END' AND p.end_checkpoint IS NULL "
    "FROM leat.progress p LEFT JOIN back b ON true WHERE p.application = $1 AND p.processor = $2 "
    "AND p.tenant = $3 AND p.stream_id = $4 AND p.shard = $5";

int
leat_pg_progress_reopen(struct leat_pg_committer *committer, struct leat_progress_reopen *reopen,
                        struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status = leat_pg_committer_ready(committer, err);

    if (status != 0)
        return status;
    leat_pg_parameters_init(&parameters);
    leat_pg_add_slice(&parameters, reopen->key.application);
    leat_pg_add_slice(&parameters, reopen->key.processor);
    leat_pg_add_slice(&parameters, reopen->key.tenant);
    leat_pg_add_slice(&parameters, reopen->key.stream_id);
    leat_pg_add_slice(&parameters, reopen->key.shard);
    leat_pg_add_int8(&parameters, reopen->lease_counter);
    leat_pg_add_int8(&parameters, reopen->commit_seq);
    status = leat_pg_execute(committer->connection, reopen_sql, &parameters, &result, err);
    if (status != 0)
        return status;
    reopen->outcome = LEAT_REOPEN_MOVED;
    if (PQntuples(result) == 1 && !PQgetisnull(result, 0, 0)) {
        reopen->outcome = LEAT_REOPENED;
        reopen->checkpoint = leat_pg_copy(&committer->arena, result, 0, 0);
        reopen->sub_sequence = leat_pg_int8(PQgetvalue(result, 0, 1));
    } else if (PQntuples(result) == 1 && PQgetvalue(result, 0, 2)[0] != 0) {
        reopen->outcome = LEAT_REOPEN_UNKNOWN;
    }
    PQclear(result);
    return 0;
}
