/*
 * Which takes must wait for parents: one statement for all of them, inside the take's own transaction.
 *
 * A parent without a row has not begun, and is waited for: but not by a child that has a row of its own. That one was made by a
 * take, so the parents had ended then, and a row that is not there any more was removed after its shard had left the stream
 * (progress_cleanup.c). A parent below SHARD_END is waited for in any case: a restored target, or an operator who set it back.
 */
#include "base/memory.h"
#include "postgres/committer_inside.h"

static const char waiting_sql[] =
    "SELECT DISTINCT w.n FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], "
    "$6::text[], $7::int8[]) AS w (application, processor, tenant, stream_id, shard, child, n) "
    "LEFT JOIN leat.progress p ON p.application = w.application AND p.processor = w.processor AND "
    "p.tenant = w.tenant AND p.stream_id = w.stream_id AND p.shard = w.shard "
    "WHERE CASE WHEN p.shard IS NULL THEN NOT EXISTS (SELECT FROM leat.progress c WHERE "
    "c.application = w.application AND c.processor = w.processor AND c.tenant = w.tenant AND "
    "c.stream_id = w.stream_id AND c.shard = w.child) ELSE p.checkpoint <> 'SHARD_END' END";

struct bound_parents {
    struct leat_pg_keys keys;
    struct leat_buf children, numbers;
    struct leat_pg_parameters parameters;
};

static void
bind(struct bound_parents *bound, const struct leat_take *takes, size_t count, size_t parent_count)
{
    leat_pg_keys_init(&bound->keys);
    leat_buf_init(&bound->children, INT32_MAX);
    leat_buf_init(&bound->numbers, INT32_MAX);
    leat_pg_keys_begin(&bound->keys, parent_count);
    leat_pg_array_begin(&bound->children, LEAT_PG_TEXT, parent_count);
    leat_pg_array_begin(&bound->numbers, LEAT_PG_INT8, parent_count);
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < takes[i].parent_count; p++) {
            struct leat_progress_key key = takes[i].key;

            key.shard = takes[i].parents[p];
            leat_pg_keys_add(&bound->keys, &key);
            leat_pg_array_bytes(&bound->children, takes[i].key.shard);
            leat_pg_array_int8(&bound->numbers, (int64_t)i);
        }
    }
    leat_pg_parameters_init(&bound->parameters);
    leat_pg_keys_bind(&bound->keys, &bound->parameters);
    leat_pg_add_array(&bound->parameters, LEAT_PG_TEXT_ARRAY, &bound->children);
    leat_pg_add_array(&bound->parameters, LEAT_PG_INT8_ARRAY, &bound->numbers);
}

int
leat_pg_take_check_parents(struct leat_pg_committer *committer, struct leat_take *takes,
                           size_t count, struct leat_error *err)
{
    struct bound_parents bound;
    size_t parent_count = 0;
    PGresult *result;
    int status;

    for (size_t i = 0; i < count; i++) {
        takes[i].outcome = LEAT_TAKE_FAILED;
        takes[i].progress =
            (struct leat_progress){.commit_seq = takes[i].progress.commit_seq}; /* what was seen */
        parent_count += takes[i].parent_count;
    }
    if (parent_count == 0)
        return 0;
    bind(&bound, takes, count, parent_count);
    status = leat_pg_execute(committer->connection, waiting_sql, &bound.parameters, &result, err);
    for (int row = 0; status == 0 && row < PQntuples(result); row++)
        takes[leat_pg_int8(PQgetvalue(result, row, 0))].outcome = LEAT_TAKE_WAITING;
    if (status == 0)
        PQclear(result);
    leat_pg_keys_release(&bound.keys);
    leat_buf_release(&bound.children);
    leat_buf_release(&bound.numbers);
    return status;
}
