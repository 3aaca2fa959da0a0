/* Which shards of a stream a processor has progress in: asked when it seems to meet the stream for the first time. */
#include "base/memory.h"
#include "postgres/committer_inside.h"

static const char list_sql[] =
    "SELECT shard FROM leat.progress WHERE application = $1 AND processor = $2 AND tenant = $3 AND "
    "stream_id = $4 ORDER BY shard";

int
leat_pg_progress_list(struct leat_pg_committer *committer, const struct leat_progress_key *of,
                      leat_shard_fn each, void *context, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status = leat_pg_committer_ready(committer, err);

    if (status != 0)
        return status;
    leat_pg_parameters_init(&parameters);
    leat_pg_add_slice(&parameters, of->application);
    leat_pg_add_slice(&parameters, of->processor);
    leat_pg_add_slice(&parameters, of->tenant);
    leat_pg_add_slice(&parameters, of->stream_id);
    status = leat_pg_execute(committer->connection, list_sql, &parameters, &result, err);
    if (status != 0)
        return status;
    for (int row = 0; row < PQntuples(result); row++)
        each(context,
             leat_slice_make(PQgetvalue(result, row, 0), (size_t)PQgetlength(result, row, 0)));
    PQclear(result);
    return 0;
}
