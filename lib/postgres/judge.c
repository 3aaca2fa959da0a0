/* What a locked progress row says of a flush: whether it was committed, or still may be. Pure. */
#include "postgres/committer_inside.h"

static const struct leat_flush_shard *
find_shard(const struct leat_flush *flush, const PGresult *result, int row, size_t *ret_index)
{
    for (size_t i = 0; i < flush->shard_count; i++) {
        const struct leat_progress_key *key = &flush->shards[i].key;

        if (leat_slice_is(key->stream_id, PQgetvalue(result, row, 0)) &&
            leat_slice_is(key->shard, PQgetvalue(result, row, 1))) {
            *ret_index = i;
            return &flush->shards[i];
        }
    }
    return NULL;
}

static enum leat_commit_outcome
judge(const struct leat_flush *flush, const struct leat_flush_shard *shard, const PGresult *result,
      int row)
{
    int64_t commit_seq = leat_pg_int8(PQgetvalue(result, row, 4));

    if (leat_pg_int8(PQgetvalue(result, row, 2)) != shard->lease_counter ||
        leat_pg_int8(PQgetvalue(result, row, 3)) != flush->incarnation)
        return LEAT_COMMIT_FENCED;
    if (commit_seq == shard->commit_seq)
        return LEAT_COMMIT_AGAIN;
    if (commit_seq == shard->commit_seq + 1 &&
        leat_slice_is(shard->checkpoint, PQgetvalue(result, row, 5)) &&
        leat_pg_int8(PQgetvalue(result, row, 6)) == shard->sub_sequence)
        return LEAT_COMMITTED;
    return LEAT_COMMIT_FENCED;
}

void
leat_pg_judge(const struct leat_flush *flush, const PGresult *result, int row,
              struct leat_commit_result *results)
{
    size_t index;
    const struct leat_flush_shard *shard = find_shard(flush, result, row, &index);

    if (shard != NULL)
        results[index].outcome = judge(flush, shard, result, row);
}
