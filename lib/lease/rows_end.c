/*
 * Statements that make leases of shards and end them: shard sync, and the steps of a shard's end (docs/architecture.md §4.4).
 * Many shards at a time: a thousand that are read to their ends cost as many round trips as one.
 *
 * Stories it survives. (1) Both parents of a merge end at once, on two workers: each inserts the child if the other parent has a
 * lease, and who comes second finds it there. (2) The last known processor ends a shard while a new one meets the stream: see
 * rows_start.c; the stream's row is locked for as long as it is judged who has yet to end it. (3) A step is done again after a
 * crash: what is there stays as it is, and nobody is woken for it. (4) An operator puts progress back (leat checkpoint set) behind a
 * SHARD_END that is committed and not yet told: he has raised the lease's counter since, and an end told under the old one is none.
 */
#include "base/map.h"
#include "base/memory.h"
#include "lease/rows_inside.h"
#include "postgres/array.h"

#define COLUMNS (4 + LEAT_SHARD_PARENTS)
#define ENDS 4

/* Shards as arrays: stream, shard, first and last hash key, parents as $2 … $7. */
struct bound_shards {
    struct leat_buf columns[COLUMNS];
    size_t count;
};

static void
begin_shards(struct bound_shards *bound, size_t count)
{
    bound->count = count;
    for (size_t c = 0; c < COLUMNS; c++) {
        leat_buf_init(&bound->columns[c], SIZE_MAX);
        leat_pg_array_begin(&bound->columns[c], LEAT_PG_TEXT, count);
    }
}

static void
add_shard(struct bound_shards *bound, struct leat_slice stream_id,
          const struct leat_shard_facts *shard)
{
    leat_pg_array_bytes(&bound->columns[0], stream_id);
    leat_pg_array_bytes(&bound->columns[1], shard->shard);
    leat_pg_array_bytes(&bound->columns[2], shard->starting_hash_key);
    leat_pg_array_bytes(&bound->columns[3], shard->ending_hash_key);
    for (size_t n = 0; n < LEAT_SHARD_PARENTS; n++) {
        if (n < shard->parent_count)
            leat_pg_array_bytes(&bound->columns[4 + n], shard->parents[n]);
        else
            leat_pg_array_null(&bound->columns[4 + n]);
    }
}

static void
bind_shards(const struct bound_shards *bound, const struct leat_rows_context *context,
            struct leat_pg_parameters *parameters)
{
    leat_rows_begin(parameters, context);
    for (size_t c = 0; c < COLUMNS; c++)
        leat_pg_add_array(parameters, LEAT_PG_TEXT_ARRAY, &bound->columns[c]);
}

static void
release_shards(struct bound_shards *bound)
{
    for (size_t c = 0; c < COLUMNS; c++)
        leat_buf_release(&bound->columns[c]);
}

#define SHARDS                                                                                     \
    "unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) "              \
    "AS u (stream_id, shard, first, last, parent, adjacent) "
#define INSERT_LEASES                                                                              \
    "INSERT INTO leat.leases (application, stream_id, shard, parents, starting_hash_key, "         \
    "ending_hash_key) SELECT $1, u.stream_id, u.shard, "                                           \
    "array_remove(ARRAY[u.parent, u.adjacent], NULL), u.first, u.last FROM " SHARDS
#define INSERT_LEASES_END "ORDER BY u.stream_id, u.shard ON CONFLICT DO NOTHING RETURNING 1"

int
leat_rows_create(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 struct leat_slice stream_id, const struct leat_shard_facts *shards, size_t count,
                 size_t *changed, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    struct bound_shards bound;
    size_t made = 0;
    int status;

    if (count == 0)
        return 0;
    begin_shards(&bound, count);
    for (size_t i = 0; i < count; i++)
        add_shard(&bound, stream_id, &shards[i]);
    bind_shards(&bound, context, &parameters);
    status = leat_rows_run(connection, INSERT_LEASES INSERT_LEASES_END, &parameters, &made, err);
    *changed += made;
    release_shards(&bound);
    return status;
}

/* ---- a shard's end, step 1: leases of its children ------------------------------------------------ */

/* A merge whose other parent has no lease yet is left to that one's end, or to the next sync if it never gets one: who has a
   lease waits for those of its parents that have. */
static const char children_sql[] = INSERT_LEASES
    "WHERE NOT EXISTS (SELECT FROM unnest(ARRAY[u.parent, u.adjacent]) AS q (shard) WHERE q.shard "
    "IS NOT NULL AND NOT EXISTS (SELECT FROM leat.leases l WHERE l.application = $1 AND "
    "l.stream_id = u.stream_id AND l.shard = q.shard)) " INSERT_LEASES_END;

static const char left_sql[] =
    "SELECT FROM " SHARDS "WHERE NOT EXISTS (SELECT FROM leat.leases l WHERE l.application = $1 "
    "AND l.stream_id = u.stream_id AND l.shard = u.shard)";

static int
insert_children(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                const struct bound_shards *bound, size_t *ret_made, size_t *ret_left,
                struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    int status;

    bind_shards(bound, context, &parameters);
    status = leat_rows_run(connection, children_sql, &parameters, ret_made, err);
    if (status == 0 && *ret_made < bound->count)
        status = leat_rows_run(connection, left_sql, &parameters, ret_left, err);
    return status;
}

/* The children's names into the parents' rows: once, though each processor of a shard asks. */
static int
name_children(struct leat_pg_connection *connection, const struct leat_rows_context *context,
              const struct leat_rows_parent *parents, size_t count, size_t child_count,
              struct leat_error *err)
{
    static const char sql[] =
        "WITH named AS (SELECT u.stream_id, u.shard, array_agg(DISTINCT u.child) AS children "
        "FROM unnest($2::text[], $3::text[], $4::text[]) AS u (stream_id, shard, child) GROUP BY "
        "1, 2), locked AS MATERIALIZED (SELECT l.stream_id, l.shard, n.children FROM leat.leases "
        "l JOIN named n USING (stream_id, shard) WHERE l.application = $1 AND l.children <> "
        "n.children ORDER BY l.stream_id, l.shard FOR UPDATE OF l SKIP LOCKED) "
        "UPDATE leat.leases l SET children = k.children FROM locked k WHERE l.application = $1 "
        "AND l.stream_id = k.stream_id AND l.shard = k.shard";
    struct leat_pg_parameters parameters;
    struct leat_buf columns[3];
    int status;

    for (size_t c = 0; c < LEAT_COUNT_OF(columns); c++) {
        leat_buf_init(&columns[c], SIZE_MAX);
        leat_pg_array_begin(&columns[c], LEAT_PG_TEXT, child_count);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < parents[i].child_count; c++) {
            leat_pg_array_bytes(&columns[0], parents[i].key.stream_id);
            leat_pg_array_bytes(&columns[1], parents[i].key.shard);
            leat_pg_array_bytes(&columns[2], parents[i].children[c].shard);
        }
    }
    leat_rows_begin(&parameters, context);
    for (size_t c = 0; c < LEAT_COUNT_OF(columns); c++)
        leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &columns[c]);
    status = leat_rows_run(connection, sql, &parameters, NULL, err);
    for (size_t c = 0; c < LEAT_COUNT_OF(columns); c++)
        leat_buf_release(&columns[c]);
    return status;
}

int
leat_rows_children(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                   const struct leat_rows_parent *parents, size_t count, size_t *ret_left,
                   struct leat_error *err)
{
    struct bound_shards bound;
    size_t child_count = 0, made = 0;
    int status;

    *ret_left = 0;
    for (size_t i = 0; i < count; i++)
        child_count += parents[i].child_count;
    if (child_count == 0)
        return 0;
    begin_shards(&bound, child_count);
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < parents[i].child_count; c++)
            add_shard(&bound, parents[i].key.stream_id, &parents[i].children[c]);
    }
    status = leat_pg_script(connection, "BEGIN", err);
    if (status == 0)
        status = insert_children(connection, context, &bound, &made, ret_left, err);
    if (status == 0)
        status = name_children(connection, context, parents, count, child_count, err);
    release_shards(&bound);
    return leat_rows_finish(connection, context, status, made > 0, err);
}

/* ---- a shard's end, step 3: the lease ends with the last processor --------------------------------- */

/* Ends as arrays: stream, shard, processor, lease counter as $2 … $5. */
static void
bind_ends(struct leat_buf *columns, const struct leat_rows_end *ends, size_t count)
{
    for (size_t c = 0; c < ENDS; c++) {
        leat_buf_init(&columns[c], SIZE_MAX);
        leat_pg_array_begin(&columns[c], c < 3 ? LEAT_PG_TEXT : LEAT_PG_INT8, count);
    }
    for (size_t i = 0; i < count; i++) {
        leat_pg_array_bytes(&columns[0], ends[i].key.stream_id);
        leat_pg_array_bytes(&columns[1], ends[i].key.shard);
        leat_pg_array_bytes(&columns[2], ends[i].processor);
        leat_pg_array_int8(&columns[3], ends[i].lease_counter);
    }
}

/* All registered processors that need the shard, also those that this worker does not know. */
static const char ended_sql[] =
    "WITH ends AS (SELECT u.stream_id, u.shard, u.counter, array_agg(DISTINCT u.processor) AS "
    "processors FROM unnest($2::text[], $3::text[], $4::text[], $5::int8[]) AS u (stream_id, "
    "shard, processor, counter) GROUP BY 1, 2, 3), locked AS MATERIALIZED (SELECT l.application, "
    "l.stream_id, l.shard, l.lease_counter, t.counter, ARRAY(SELECT DISTINCT q.processor FROM "
    "unnest(l.ended_by || t.processors) AS q (processor)) AS all_of FROM leat.leases l JOIN ends t "
    "USING (stream_id, shard) WHERE l.application = $1 AND l.state = 'active' ORDER BY "
    "l.stream_id, l.shard FOR UPDATE OF l SKIP LOCKED), "
    "busy AS (SELECT l.stream_id, l.shard FROM leat.leases l JOIN ends t USING (stream_id, shard) "
    "WHERE l.application = $1 AND l.state = 'active' AND NOT EXISTS (SELECT FROM locked k WHERE "
    "k.stream_id = l.stream_id AND k.shard = l.shard)), "
    "judged AS (SELECT l.*, NOT EXISTS (SELECT FROM leat.processors p WHERE " LEAT_IS_OF_STREAM
    " AND p.processor <> ALL (l.all_of) AND NOT " LEAT_HAS_PASSED ") AS is_all FROM locked l "
    "WHERE l.lease_counter = l.counter), "
    "moved AS (UPDATE leat.leases l SET ended_by = e.all_of, "
    "state = CASE WHEN e.is_all THEN 'ended' ELSE l.state END, "
    "lease_owner = CASE WHEN e.is_all THEN NULL ELSE l.lease_owner END, "
    "next_owner = CASE WHEN e.is_all THEN NULL ELSE l.next_owner END, "
    "lease_counter = l.lease_counter + CASE WHEN e.is_all THEN 1 ELSE 0 END FROM judged e "
    "WHERE l.application = e.application AND l.stream_id = e.stream_id AND l.shard = e.shard AND "
    "l.state = 'active' RETURNING " LEAT_MOVED_ROW "), " LEAT_TELL(
        "'ended'", "state = 'ended'") "SELECT stream_id, shard, CASE WHEN state = 'ended' THEN "
                                      "'e' ELSE 'a' END FROM moved UNION ALL SELECT "
                                      "stream_id, shard, 'a' FROM locked WHERE "
                                      "lease_counter <> counter UNION ALL SELECT "
                                      "stream_id, shard, 'b' FROM busy";

/* Who has yet to end a shard is judged behind these locks, on a snapshot of its own: see leat_rows_sync_begin. */
static int
lock_streams(struct leat_pg_connection *connection, const struct leat_rows_context *context,
             const struct leat_buf *streams, struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, streams);
    return leat_rows_run(connection,
                         "SELECT 1 FROM leat.streams WHERE application = $1 AND stream_id = ANY "
                         "($2::text[]) ORDER BY stream_id FOR SHARE NOWAIT",
                         &parameters, NULL, err);
}

static struct leat_slice
cell(const PGresult *result, int row, int column)
{
    return leat_slice_make(PQgetvalue(result, row, column),
                           (size_t)PQgetlength(result, row, column));
}

static void
end_key(struct leat_slice stream_id, struct leat_slice shard, struct leat_buf *out)
{
    leat_buf_clear(out);
    leat_buf_add_slice(out, stream_id);
    leat_buf_add_byte(out, '\n');
    leat_buf_add_slice(out, shard);
}

/* Active still ('a', or 'b': somebody else holds the row) are those that the answer says so of; all others had ended before, or
   their row is gone. Returns whether one ended now. */
static bool
read_ends(const PGresult *result, struct leat_rows_end *ends, size_t count)
{
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    struct leat_map active; /* -> its letter */
    bool has_ended = false;

    leat_map_init(&active);
    for (int row = 0; row < PQntuples(result); row++) {
        char *letter = PQgetvalue(result, row, 2);

        has_ended = has_ended || *letter == 'e';
        end_key(cell(result, row, 0), cell(result, row, 1), &key);
        if (*letter != 'e')
            leat_map_put(&active, leat_buf_slice(&key), letter);
    }
    for (size_t i = 0; i < count; i++) {
        const char *letter;

        end_key(ends[i].key.stream_id, ends[i].key.shard, &key);
        letter = leat_map_get(&active, leat_buf_slice(&key));
        ends[i].is_ended = letter == NULL;
        ends[i].is_busy = letter != NULL && *letter == 'b';
    }
    leat_map_release(&active, NULL);
    return has_ended;
}

int
leat_rows_processors_ended(struct leat_pg_connection *connection,
                           const struct leat_rows_context *context, struct leat_rows_end *ends,
                           size_t count, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    struct leat_buf columns[ENDS];
    PGresult *result;
    bool has_ended = false;
    int status = leat_pg_script(connection, "BEGIN", err);

    bind_ends(columns, ends, count);
    if (status == 0)
        status = lock_streams(connection, context, &columns[0], err);
    leat_rows_begin(&parameters, context);
    for (size_t c = 0; c < LEAT_COUNT_OF(columns); c++)
        leat_pg_add_array(&parameters, c < 3 ? LEAT_PG_TEXT_ARRAY : LEAT_PG_INT8_ARRAY,
                          &columns[c]);
    if (status == 0)
        status = leat_pg_execute(connection, ended_sql, &parameters, &result, err);
    if (status == 0) {
        has_ended = read_ends(result, ends, count);
        PQclear(result);
    }
    for (size_t c = 0; c < LEAT_COUNT_OF(columns); c++)
        leat_buf_release(&columns[c]);
    return leat_rows_finish(connection, context, status, has_ended, err);
}
