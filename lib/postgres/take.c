/*
 * Take: raise the fence and learn where to start (docs/protocol.md §3), many shards in one statement.
 *
 * Stories it survives. (1) The old owner's commit is under way: its row is locked and skipped; the shard is taken alone,
 * and after 300 ms the backend that holds it is terminated by a control connection. (2) Two workers take a row that is not
 * there yet: the second INSERT waits for the first and then compares counters. (3) A parent is put back below SHARD_END
 * (a restored target): parents are read in the take's own transaction. (4) The first of (2) is frozen before its COMMIT: no row
 * can be seen that it holds; the control connection asks whom our INSERT waits for, while it waits. (5) A take whose connection was
 * lost is run late, behind the next one and beside a commit whose answer is lost, too: it moves the commit number by two and a
 * commit by one, so that resolve never takes the one for the other, also where the checkpoint is the same (rows of a tick). (6) The
 * target failed over and lost commits, and a commit that was sent to the new primary hangs there: the number that it waits for
 * would come again, with the same counter and owner, and it would write its checkpoint over what was lost. So the number never
 * comes again: the take leaves a greater one than this worker has ever seen.
 */
#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/point.h"
#include "postgres/committer_inside.h"

#define PROGRESS_COLUMNS                                                                           \
    "lease_counter, lease_owner, checkpoint, sub_sequence, commit_seq, saved_state, takes, "       \
    "probe_sequence, probe_sub"

#define WANTED                                                                                     \
    "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], "            \
    "$6::int8[], $7::text[], $9::int8[]) AS w (application, processor, tenant, stream_id, shard, " \
    "counter, initial, fresh)"

#define KEY_JOIN                                                                                   \
    "p.application = w.application AND p.processor = w.processor AND p.tenant = w.tenant "         \
    "AND p.stream_id = w.stream_id AND p.shard = w.shard"

#define TEXT_OF(number) #number
#define TEXT_OF_VALUE(number) TEXT_OF(number)
#define LEAP TEXT_OF_VALUE(LEAT_TAKE_LEAP)

/* $9: 1, or past all that this worker has seen of the row: (6). */
#define RAISE_FENCE                                                                                \
    "INSERT INTO leat.progress (application, processor, tenant, stream_id, shard, lease_counter, " \
    "lease_owner, checkpoint, commit_seq, takes) "                                                 \
    "SELECT w.application, w.processor, w.tenant, w.stream_id, w.shard, w.counter, $8, "           \
    "w.initial, w.fresh, 0 "

#define RAISE_FENCE_END                                                                            \
    " ORDER BY w.application, w.processor, w.tenant, w.stream_id, w.shard "                        \
    "ON CONFLICT (application, processor, tenant, stream_id, shard) DO UPDATE "                    \
    "SET lease_counter = excluded.lease_counter, lease_owner = excluded.lease_owner, "             \
    "commit_seq = CASE WHEN progress.commit_seq < excluded.commit_seq - " LEAP                     \
    " THEN excluded.commit_seq ELSE progress.commit_seq + 2 END "                                  \
    "WHERE progress.lease_counter < excluded.lease_counter "                                       \
    "OR (progress.lease_counter = excluded.lease_counter AND progress.lease_owner = "              \
    "excluded.lease_owner) "                                                                       \
    "RETURNING application, processor, tenant, stream_id, shard, " PROGRESS_COLUMNS

/* Rows that somebody's transaction holds are left out; a row that is not there yet is inserted. */
static const char take_many_sql[] =
    "WITH wanted AS (" WANTED "), free AS MATERIALIZED ("
    "SELECT p.application, p.processor, p.tenant, p.stream_id, p.shard FROM leat.progress p JOIN "
    "wanted w ON " KEY_JOIN " ORDER BY p.application, p.processor, p.tenant, p.stream_id, p.shard "
    "FOR UPDATE OF p SKIP LOCKED) " RAISE_FENCE
    "FROM wanted w WHERE EXISTS (SELECT FROM free p WHERE " KEY_JOIN ") "
    "OR NOT EXISTS (SELECT FROM leat.progress p WHERE " KEY_JOIN ")" RAISE_FENCE_END;

static const char take_one_sql[] = "WITH wanted AS (" WANTED ") " RAISE_FENCE
                                   "FROM wanted w" RAISE_FENCE_END;

static const char read_sql[] =
    "SELECT w.application, w.processor, w.tenant, w.stream_id, w.shard, " PROGRESS_COLUMNS
    " FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) "
    "AS w (application, processor, tenant, stream_id, shard) JOIN leat.progress p ON " KEY_JOIN;

#define FREE_AFTER_US (300 * LEAT_MS_US)
/* For as long as a healthy commit needs. */
#define BEGIN_PATIENTLY "BEGIN; SET LOCAL lock_timeout = '300ms'"

/* Results come in any order: they are found by their key. */
struct key_index {
    struct leat_map places; /* key -> its index + 1 */
    struct leat_buf text;
};

static struct leat_slice
index_text(struct key_index *index, const struct leat_slice parts[5])
{
    leat_buf_clear(&index->text);
    for (int i = 0; i < 5; i++) {
        leat_buf_printf(&index->text, "%zu:", parts[i].size);
        leat_buf_add_slice(&index->text, parts[i]);
    }
    return leat_buf_slice(&index->text);
}

static void
index_init(struct key_index *index)
{
    leat_map_init(&index->places);
    leat_buf_init(&index->text, INT32_MAX);
}

static void
index_release(struct key_index *index)
{
    leat_map_release(&index->places, NULL);
    leat_buf_release(&index->text);
}

static void
index_add(struct key_index *index, const struct leat_progress_key *key, size_t place)
{
    const struct leat_slice parts[5] = {key->application, key->processor, key->tenant,
                                        key->stream_id, key->shard};

    leat_map_put(&index->places, index_text(index, parts), (void *)(uintptr_t)(place + 1));
}

/* The key is what a row begins with. SIZE_MAX: none of ours. */
static size_t
index_find(struct key_index *index, const PGresult *result, int row)
{
    struct leat_slice parts[5];

    for (int i = 0; i < 5; i++)
        parts[i] = leat_slice_make(PQgetvalue(result, row, i), (size_t)PQgetlength(result, row, i));
    return (size_t)(uintptr_t)leat_map_get(&index->places, index_text(index, parts)) - 1;
}

static struct leat_progress
progress_from(struct leat_arena *arena, const PGresult *result, int row)
{
    struct leat_progress progress = {
        .exists = true,
        .lease_counter = leat_pg_int8(PQgetvalue(result, row, 5)),
        .lease_owner = leat_pg_int8(PQgetvalue(result, row, 6)),
        .checkpoint = leat_pg_copy(arena, result, row, 7),
        .sub_sequence = leat_pg_int8(PQgetvalue(result, row, 8)),
        .commit_seq = leat_pg_int8(PQgetvalue(result, row, 9)),
        .has_saved_state = !PQgetisnull(result, row, 10),
        .saved_state = leat_pg_copy(arena, result, row, 10),
        .takes = leat_pg_int4(PQgetvalue(result, row, 11)),
        .probe_sequence = leat_pg_copy(arena, result, row, 12),
    };

    if (!PQgetisnull(result, row, 13))
        progress.probe_sub = leat_pg_int8(PQgetvalue(result, row, 13));
    return progress;
}

static void
match(struct leat_pg_committer *committer, struct leat_take *takes, size_t count,
      const PGresult *result)
{
    struct key_index index;

    index_init(&index);
    for (size_t i = 0; i < count; i++) {
        if (takes[i].outcome != LEAT_TAKE_WAITING)
            index_add(&index, &takes[i].key, i);
    }
    for (int row = 0; row < PQntuples(result); row++) {
        size_t i = index_find(&index, result, row);

        if (i == SIZE_MAX)
            continue;
        takes[i].outcome = LEAT_TAKEN;
        takes[i].progress = progress_from(&committer->arena, result, row);
    }
    index_release(&index);
}

struct take_parameters {
    struct leat_pg_keys keys;
    struct leat_buf counters, initials, fresh;
    struct leat_pg_parameters parameters;
};

static void
take_parameters_init(struct take_parameters *bound)
{
    leat_pg_keys_init(&bound->keys);
    leat_buf_init(&bound->counters, INT32_MAX);
    leat_buf_init(&bound->initials, INT32_MAX);
    leat_buf_init(&bound->fresh, INT32_MAX);
}

static void
take_parameters_release(struct take_parameters *bound)
{
    leat_pg_keys_release(&bound->keys);
    leat_buf_release(&bound->counters);
    leat_buf_release(&bound->initials);
    leat_buf_release(&bound->fresh);
}

static void
bind_takes(struct take_parameters *bound, const struct leat_take *takes, size_t count,
           int64_t incarnation)
{
    size_t wanted = 0;

    for (size_t i = 0; i < count; i++)
        wanted += takes[i].outcome != LEAT_TAKE_WAITING;
    leat_pg_keys_begin(&bound->keys, wanted);
    leat_pg_array_begin(&bound->counters, LEAT_PG_INT8, wanted);
    leat_pg_array_begin(&bound->initials, LEAT_PG_TEXT, wanted);
    leat_pg_array_begin(&bound->fresh, LEAT_PG_INT8, wanted);
    for (size_t i = 0; i < count; i++) {
        if (takes[i].outcome == LEAT_TAKE_WAITING)
            continue;
        leat_pg_keys_add(&bound->keys, &takes[i].key);
        leat_pg_array_int8(&bound->counters, takes[i].lease_counter);
        leat_pg_array_bytes(&bound->initials, takes[i].initial);
        leat_pg_array_int8(&bound->fresh, takes[i].progress.commit_seq > 0
                                              ? takes[i].progress.commit_seq + LEAT_TAKE_LEAP
                                              : 1);
    }
    leat_pg_parameters_init(&bound->parameters);
    leat_pg_keys_bind(&bound->keys, &bound->parameters);
    leat_pg_add_array(&bound->parameters, LEAT_PG_INT8_ARRAY, &bound->counters);
    leat_pg_add_array(&bound->parameters, LEAT_PG_TEXT_ARRAY, &bound->initials);
    leat_pg_add_int8(&bound->parameters, incarnation);
    leat_pg_add_array(&bound->parameters, LEAT_PG_INT8_ARRAY, &bound->fresh);
}

static int
run_take(struct leat_pg_committer *committer, const char *sql, struct leat_take *takes,
         size_t count, struct leat_error *err)
{
    struct take_parameters bound;
    PGresult *result;
    int status;

    take_parameters_init(&bound);
    bind_takes(&bound, takes, count, takes[0].incarnation);
    status = leat_pg_execute(committer->connection, sql, &bound.parameters, &result, err);
    if (status == 0) {
        match(committer, takes, count, result);
        PQclear(result);
    }
    take_parameters_release(&bound);
    return status;
}

static int
read_rows(struct leat_pg_committer *committer, const struct leat_progress_key *keys, size_t count,
          struct leat_progress *ret_progress, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    struct leat_pg_keys bound;
    struct key_index index;
    PGresult *result;
    int status;

    index_init(&index);
    leat_pg_keys_init(&bound);
    leat_pg_keys_begin(&bound, count);
    for (size_t i = 0; i < count; i++) {
        index_add(&index, &keys[i], i);
        leat_pg_keys_add(&bound, &keys[i]);
        ret_progress[i] = (struct leat_progress){0};
    }
    leat_pg_parameters_init(&parameters);
    leat_pg_keys_bind(&bound, &parameters);
    status = leat_pg_execute(committer->connection, read_sql, &parameters, &result, err);
    for (int row = 0; status == 0 && row < PQntuples(result); row++) {
        size_t i = index_find(&index, result, row);

        if (i != SIZE_MAX)
            ret_progress[i] = progress_from(&committer->arena, result, row);
    }
    if (status == 0)
        PQclear(result);
    index_release(&index);
    leat_pg_keys_release(&bound);
    return status;
}

/* What was not taken is ahead of us, or locked by somebody. */
static int
classify_rest(struct leat_pg_committer *committer, struct leat_take *take, struct leat_error *err)
{
    struct leat_progress progress;
    int status = read_rows(committer, &take->key, 1, &progress, err);

    if (status != 0)
        return status;
    take->outcome = LEAT_TAKE_LOCKED; /* taken again, with the number that was seen */
    if (progress.exists && progress.lease_counter >= take->lease_counter) {
        take->outcome = LEAT_TAKE_AHEAD;
        take->progress = progress;
    }
    return 0;
}

/* Which backend serves this transaction: behind a pooler it is another one each time. */
static int
backend_pid(struct leat_pg_committer *committer, int *ret_pid, struct leat_error *err)
{
    PGresult *result;
    int status =
        leat_pg_execute(committer->connection, "SELECT pg_backend_pid()", NULL, &result, err);

    if (status != 0)
        return status;
    *ret_pid = leat_pg_int4(PQgetvalue(result, 0, 0));
    PQclear(result);
    return 0;
}

/* Waits on the server, and each 300 ms frees the way. lock_timeout ends it. */
static int
wait_and_free(struct leat_pg_committer *committer, struct leat_take *take, int pid,
              struct leat_error *err)
{
    struct leat_error why;
    PGresult *result = NULL;
    int64_t until_us = leat_clock_monotonic_us() + committer->options.connection.answer_timeout_us;
    int status = 0;

    while (status == 0 && result == NULL && !committer->connection->is_lost) {
        status = leat_pg_answer(committer->connection, leat_clock_monotonic_us() + FREE_AFTER_US,
                                &result, err);
        if (status == 0 && result == NULL)
            leat_pg_free_row(committer, &take->key, pid, &why); /* or it ends by itself */
        committer->connection->is_lost = result == NULL && leat_clock_monotonic_us() > until_us;
    }
    if (status == 0 && result == NULL)
        status = leat_error_set(err, LEAT_E_UNAVAILABLE, "postgres gave no answer to a take");
    if (status != 0)
        return status;
    match(committer, take, 1, result);
    PQclear(result);
    return 0;
}

static int
take_waiting(struct leat_pg_committer *committer, struct leat_take *take, struct leat_error *err)
{
    struct take_parameters bound;
    int pid = 0, status = leat_pg_script(committer->connection, "BEGIN", err);

    if (status == 0)
        status = backend_pid(committer, &pid, err);
    if (status == 0)
        status = leat_pg_take_check_parents(committer, take, 1, err);
    if (status != 0 || take->outcome == LEAT_TAKE_WAITING)
        return status;
    take_parameters_init(&bound);
    bind_takes(&bound, take, 1, take->incarnation);
    status = leat_pg_send(committer->connection, take_one_sql, &bound.parameters, err);
    if (status == 0)
        status = wait_and_free(committer, take, pid, err);
    take_parameters_release(&bound);
    return status;
}

/* Alone, so that nobody else waits. */
static int
take_alone(struct leat_pg_committer *committer, struct leat_take *take, struct leat_error *err)
{
    struct leat_error why = {0};
    int status = take_waiting(committer, take, &why);

    if (status == 0)
        status = leat_pg_script(committer->connection, "COMMIT", &why);
    if (status != 0 && !leat_pg_is_broken(committer->connection))
        leat_pg_script(committer->connection, "ROLLBACK", NULL);
    if (status != 0 && strcmp(why.sqlstate, "55P03") == 0) {
        take->outcome = LEAT_TAKE_LOCKED; /* tried again in a moment; the others go on */
        return 0;
    }
    if (status != 0 && err != NULL)
        *err = why;
    if (status == 0 && take->outcome == LEAT_TAKE_FAILED)
        status = classify_rest(committer, take, err);
    return status;
}

/* All of them at once. Somebody's first INSERT of one of them, which is not committed, would make all wait: then none is taken
   here, each is taken alone. */
static int
take_together(struct leat_pg_committer *committer, struct leat_take *takes, size_t count,
              struct leat_error *err)
{
    struct leat_error why = {0};
    int status = leat_pg_script(committer->connection, BEGIN_PATIENTLY, &why);

    if (status == 0)
        status = leat_pg_take_check_parents(committer, takes, count, &why);
    if (status == 0)
        status = run_take(committer, take_many_sql, takes, count, &why);
    if (status == 0) {
        LEAT_POINT("take.raised");
        status = leat_pg_script(committer->connection, "COMMIT", &why);
    }
    if (status == 0)
        return 0;
    if (!leat_pg_is_broken(committer->connection))
        leat_pg_script(committer->connection, "ROLLBACK", NULL);
    if (strcmp(why.sqlstate, "55P03") == 0)
        return 0;
    if (err != NULL)
        *err = why;
    return status;
}

int
leat_pg_take(struct leat_pg_committer *committer, struct leat_take *takes, size_t count,
             struct leat_error *err)
{
    int status = leat_pg_committer_look(committer, err);

    leat_arena_reset(&committer->arena);
    LEAT_POINT("take.before");
    if (status == 0)
        status = take_together(committer, takes, count, err);
    for (size_t i = 0; status == 0 && i < count; i++) {
        if (takes[i].outcome != LEAT_TAKE_FAILED)
            continue;
        status = classify_rest(committer, &takes[i], err);
        if (status == 0 && takes[i].outcome == LEAT_TAKE_LOCKED)
            status = take_alone(committer, &takes[i], err);
    }
    /* Needed rarely, and a worker's connections are few. */
    leat_pg_close(committer->control);
    committer->control = NULL;
    if (status == 0)
        leat_pg_rivals_look(committer, takes, count);
    LEAT_POINT("take.after");
    return status;
}

int
leat_pg_progress_read(struct leat_pg_committer *committer, const struct leat_progress_key *keys,
                      size_t count, struct leat_progress *ret_progress, struct leat_error *err)
{
    int status = leat_pg_committer_ready(committer, err);

    leat_arena_reset(&committer->arena);
    return status != 0 ? status : read_rows(committer, keys, count, ret_progress, err);
}
