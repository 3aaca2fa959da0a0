/*
 * A take is counted when a call of the processor is about to follow: until then a shard is only moved. One statement for many
 * shards, in key order, under the same conditions as a commit; it moves nothing but the count, and no commit number.
 *
 * Stories. (1) The answer is lost, and the same is sent again: the number is told, not added to, so it counts once. (2) Somebody
 * holds a row: that one is left out and comes again, the others are counted. (3) The shard was taken by another worker meanwhile,
 * or the target went back: not equal, and so fenced. (4) A crash of the server loses the count (synchronous_commit is off): it was
 * not the processor's doing.
 */
#include "base/memory.h"
#include "base/point.h"
#include "postgres/committer_inside.h"

#define KEY_JOIN                                                                                   \
    "p.application = w.application AND p.processor = w.processor AND p.tenant = w.tenant "         \
    "AND p.stream_id = w.stream_id AND p.shard = w.shard"
#define IS_OURS                                                                                    \
    "p.lease_counter = w.counter AND p.lease_owner = w.owner AND p.commit_seq = w.commit_seq"

/* What it says of each: enum leat_take_count_outcome. */
static const char count_sql[] =
    "WITH wanted AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], "
    "$5::text[], $6::int8[], $7::int8[], $8::int8[], $9::int8[]) WITH ORDINALITY AS w "
    "(application, processor, tenant, stream_id, shard, counter, owner, commit_seq, takes, "
    "place)), "
    "free AS MATERIALIZED (SELECT w.place FROM leat.progress p JOIN wanted w ON " KEY_JOIN
    " ORDER BY p.application, p.processor, p.tenant, p.stream_id, p.shard "
    "FOR UPDATE OF p SKIP LOCKED), "
    "counted AS (UPDATE leat.progress p SET takes = w.takes FROM wanted w JOIN free f ON f.place = "
    "w.place WHERE " KEY_JOIN " AND " IS_OURS " RETURNING w.place) "
    "SELECT w.place, CASE WHEN EXISTS (SELECT FROM counted c WHERE c.place = w.place) THEN 0 "
    "WHEN EXISTS (SELECT FROM free f WHERE f.place = w.place) THEN 1 "
    "WHEN EXISTS (SELECT FROM leat.progress p WHERE " KEY_JOIN ") THEN 2 ELSE 1 END FROM wanted w";

struct bound {
    struct leat_pg_keys keys;
    struct leat_buf numbers[4];
    struct leat_pg_parameters parameters;
};

static void
bind(struct bound *bound, const struct leat_take_count *counts, size_t count)
{
    leat_pg_keys_init(&bound->keys);
    leat_pg_keys_begin(&bound->keys, count);
    for (size_t n = 0; n < LEAT_COUNT_OF(bound->numbers); n++) {
        leat_buf_init(&bound->numbers[n], INT32_MAX);
        leat_pg_array_begin(&bound->numbers[n], LEAT_PG_INT8, count);
    }
    for (size_t i = 0; i < count; i++) {
        leat_pg_keys_add(&bound->keys, &counts[i].key);
        leat_pg_array_int8(&bound->numbers[0], counts[i].lease_counter);
        leat_pg_array_int8(&bound->numbers[1], counts[i].incarnation);
        leat_pg_array_int8(&bound->numbers[2], counts[i].commit_seq);
        leat_pg_array_int8(&bound->numbers[3], counts[i].takes);
    }
    leat_pg_parameters_init(&bound->parameters);
    leat_pg_keys_bind(&bound->keys, &bound->parameters);
    for (size_t n = 0; n < LEAT_COUNT_OF(bound->numbers); n++)
        leat_pg_add_array(&bound->parameters, LEAT_PG_INT8_ARRAY, &bound->numbers[n]);
}

static void
unbind(struct bound *bound)
{
    leat_pg_keys_release(&bound->keys);
    for (size_t n = 0; n < LEAT_COUNT_OF(bound->numbers); n++)
        leat_buf_release(&bound->numbers[n]);
}

int
leat_pg_count_takes(struct leat_pg_committer *committer, struct leat_take_count *counts,
                    size_t count, struct leat_error *err)
{
    struct bound bound;
    PGresult *result;
    int status = leat_pg_committer_ready(committer, err);

    if (status != 0)
        return status;
    for (size_t i = 0; i < count; i++)
        counts[i].outcome = LEAT_TAKE_COUNT_FAILED;
    bind(&bound, counts, count);
    LEAT_POINT("count.before");
    status = leat_pg_execute(committer->connection, count_sql, &bound.parameters, &result, err);
    LEAT_POINT("count.after");
    for (int row = 0; status == 0 && row < PQntuples(result); row++) {
        int64_t place = leat_pg_int8(PQgetvalue(result, row, 0));

        if (place >= 1 && (size_t)place <= count)
            counts[place - 1].outcome =
                (enum leat_take_count_outcome)leat_pg_int4(PQgetvalue(result, row, 1));
    }
    if (status == 0)
        PQclear(result);
    unbind(&bound);
    return status;
}
