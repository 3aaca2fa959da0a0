/*
 * Progress rows of shards that have left their stream: at SHARD_END, and nobody's parent that could still be waited for. One
 * statement that names all of that, so a row that moved meanwhile stays; rows that somebody holds are left for the next time.
 *
 * The list may be old: the committer was frozen, or hung in a commit. A shard that was made since, and has ended, is in no such list;
 * without its row it would be read again from its begin. Names of shards grow, and what left a stream is older than what it has: so a
 * shard behind the last one of the list stays.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "postgres/committer_inside.h"

static const char forget_sql[] =
    "DELETE FROM leat.progress p WHERE p.application = $1 AND p.processor = $2 AND p.tenant = $3 "
    "AND p.stream_id = $4 AND p.checkpoint = 'SHARD_END' AND p.shard IN (SELECT q.shard FROM "
    "leat.progress q WHERE q.application = $1 AND q.processor = $2 AND q.tenant = $3 AND "
    "q.stream_id = $4 AND q.checkpoint = 'SHARD_END' AND NOT EXISTS (SELECT FROM "
    "unnest($5::text[]) AS k (shard) WHERE k.shard = q.shard) AND q.shard COLLATE \"C\" < (SELECT "
    "max(k.shard COLLATE \"C\") FROM unnest($5::text[]) AS k (shard)) AND NOT EXISTS (SELECT FROM "
    "unnest($6::text[], $7::text[]) AS w (parent, child) WHERE w.parent = q.shard AND NOT EXISTS "
    "(SELECT FROM leat.progress c WHERE c.application = $1 AND c.processor = $2 AND c.tenant = $3 "
    "AND c.stream_id = $4 AND c.shard = w.child)) ORDER BY q.shard LIMIT $8 FOR UPDATE SKIP "
    "LOCKED)";

static void
bind(struct leat_buf *array, const struct leat_slice *shards, size_t count)
{
    leat_buf_init(array, INT32_MAX);
    leat_pg_array_begin(array, LEAT_PG_TEXT, count);
    for (size_t i = 0; i < count; i++)
        leat_pg_array_bytes(array, shards[i]);
}

int
leat_pg_progress_forget(struct leat_pg_committer *committer,
                        const struct leat_progress_forget *forget, size_t *ret_removed,
                        struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    struct leat_buf arrays[3];
    PGresult *result;
    int status = leat_pg_committer_ready(committer, err);

    if (status != 0)
        return status;
    bind(&arrays[0], forget->known, forget->known_count);
    bind(&arrays[1], forget->parents, forget->pair_count);
    bind(&arrays[2], forget->children, forget->pair_count);
    leat_pg_parameters_init(&parameters);
    leat_pg_add_slice(&parameters, forget->application);
    leat_pg_add_slice(&parameters, forget->processor);
    leat_pg_add_slice(&parameters, forget->tenant);
    leat_pg_add_slice(&parameters, forget->stream_id);
    for (size_t i = 0; i < LEAT_COUNT_OF(arrays); i++)
        leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &arrays[i]);
    leat_pg_add_int8(&parameters, (int64_t)forget->most);
    status = leat_pg_execute(committer->connection, forget_sql, &parameters, &result, err);
    if (status == 0) {
        *ret_removed = (size_t)strtoull(PQcmdTuples(result), NULL, 10);
        PQclear(result);
    }
    for (size_t i = 0; i < LEAT_COUNT_OF(arrays); i++)
        leat_buf_release(&arrays[i]);
    return status;
}
