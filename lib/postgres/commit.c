/*
 * Commit: fence, rows, ledger and progress in one transaction, one pipeline, one sync (docs/protocol.md §4).
 *
 * Stories it survives. (1) Killed or frozen with the COMMIT in its socket: the server judges, the fence names the commit
 * number. (2) The connection breaks before the answer: nobody guesses; leat_pg_resolve locks the row, and so waits for
 * the old backend. (3) A statement fails: the server ends the pipeline at the sync, the transaction is rolled back.
 * (4) The user's tables have deferred constraints: they are checked behind all rows, since a child may come before its
 * parent, and before ledger and progress, so that what is refused there is the rows' fault. (5) A trigger of the user's raises
 * LT001, or a state that passes by itself: only the fence fences, and what a trigger raises waits for nothing. (6) A table is
 * altered, or another one takes its name: rows that were merged by what it was are not written; a guard behind them finds it.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "postgres/committer_inside.h"
#include "postgres/sqlstate.h"

#define UNSENT_BYTES ((size_t)256 << 10)
/* A commit as a whole, whatever its statements may take one by one. */
#define COMMIT_US (60 * LEAT_SECOND_US)

#define CHECK_CONSTRAINTS "SET CONSTRAINTS ALL IMMEDIATE"

static const char fence_sql[] = "SELECT leat.fence($1, $2, $3, $4, $5, $6, $7, $8)";

static const char progress_sql[] =
    "UPDATE leat.progress p SET checkpoint = k.checkpoint, sub_sequence = k.sub, "
    "saved_state = CASE WHEN k.state IS NULL THEN p.saved_state WHEN length(k.state) = 0 THEN NULL "
    "ELSE k.state END, "
    "commit_seq = p.commit_seq + 1, takes = 0, probe_sequence = NULL, probe_sub = NULL, "
    "end_checkpoint = k.end_checkpoint, end_sub_sequence = k.end_sub "
    "FROM unnest($4::text[], $5::text[], $6::text[], $7::int8[], $8::bytea[], $9::text[], "
    "$10::int8[]) AS k (stream_id, shard, checkpoint, sub, state, end_checkpoint, end_sub) "
    "WHERE p.application = $1 AND p.processor = $2 AND p.tenant = $3 AND p.stream_id = k.stream_id "
    "AND p.shard = k.shard";

static const char ledger_sql[] =
    "INSERT INTO leat.failures AS f (dead_letter_id, application, processor, tenant, stream_id, "
    "shard, sequence, "
    "sub_sequence, partition_key, arrival_at, data_bytes, attempts, reason, reason_text, sqlstate, "
    "archive_url, "
    "dead_letter_position) SELECT r.id, $1, $2, $3, r.stream_id, r.shard, r.sequence, r.sub, "
    "r.partition_key, r.arrival, "
    "r.bytes, r.attempts::int, r.reason, r.reason_text, nullif(r.sqlstate, ''), r.url, "
    "nullif(r.position, '') "
    "FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::int8[], $9::bytea[], "
    "$10::timestamptz[], $11::int8[], "
    "$12::int8[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[]) AS r (id, "
    "stream_id, shard, sequence, sub, "
    "partition_key, arrival, bytes, attempts, reason, reason_text, sqlstate, url, position) "
    "ON CONFLICT (dead_letter_id) DO UPDATE SET state = 'open', last_at = clock_timestamp(), times "
    "= f.times + 1";

static const char resolve_sql[] =
    "SELECT p.stream_id, p.shard, p.lease_counter, p.lease_owner, p.commit_seq, p.checkpoint, "
    "p.sub_sequence "
    "FROM leat.progress p JOIN unnest($4::text[], $5::text[]) AS k (stream_id, shard) "
    "ON p.application = $1 AND p.processor = $2 AND p.tenant = $3 AND p.stream_id = k.stream_id "
    "AND p.shard = k.shard "
    "ORDER BY p.application, p.processor, p.tenant, p.stream_id, p.shard FOR UPDATE OF p";

struct sender {
    struct leat_pg_committer *committer;
    const struct leat_flush *flush;
    struct leat_buf arrays[256];
    struct leat_pg_parameters parameters;
    size_t sent, user_from, user_to; /* statements [user_from, user_to) write the user's tables */
    size_t fence_at;                 /* the fence's; SIZE_MAX: none */
    size_t guard_from, guard_to;     /* statements that compare tables with what is known of them */
    size_t unsent_bytes;             /* at most: libpq keeps what the socket does not take */
    int64_t until_us;                /* the end of all waiting */
    bool is_raised;         /* what failed was raised by a function, with a state of its choice */
    bool is_missing_inside; /* what failed is a function that does not find what it names */
    size_t *group_ends;     /* by group: the first statement behind its own */
    bool is_divided;        /* the flush is to be sent again, in smaller statements */
    bool is_anew;           /* the flush is to be made anew: rows that may not be merged were */
    bool is_altered;        /* a table is not what its facts say any more */
    size_t trial_rows;      /* of what is only tried, in one statement */
};

static void
sender_init(struct sender *sender, struct leat_pg_committer *committer,
            const struct leat_flush *flush)
{
    sender->committer = committer;
    sender->flush = flush;
    sender->group_ends = LEAT_NEW_ARRAY(size_t, flush != NULL ? flush->group_count + 1 : 1);
    sender->is_divided = sender->is_anew = sender->is_altered = false;
    sender->guard_from = sender->guard_to = 0;
    sender->trial_rows = LEAT_PG_STATEMENT_ROWS;
    sender->sent = sender->user_from = sender->user_to = 0;
    sender->fence_at = SIZE_MAX;
    sender->is_missing_inside = sender->is_raised = false;
    sender->unsent_bytes = 0;
    sender->until_us = leat_clock_monotonic_us() + COMMIT_US;
    for (size_t i = 0; i < LEAT_COUNT_OF(sender->arrays); i++)
        leat_buf_init(&sender->arrays[i], INT32_MAX);
}

static void
sender_release(struct sender *sender)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(sender->arrays); i++)
        leat_buf_release(&sender->arrays[i]);
    leat_cleanup_free(&sender->group_ends);
}

static int64_t
soon(const struct sender *sender)
{
    int64_t soon_us = leat_clock_monotonic_us() + sender->committer->connection->answer_timeout_us;

    return soon_us < sender->until_us ? soon_us : sender->until_us;
}

static int
send(struct sender *sender, const char *sql, bool has_parameters, struct leat_error *err)
{
    struct leat_pg_connection *connection = sender->committer->connection;
    const struct leat_pg_parameters *p = &sender->parameters;

    sender->sent++;
    if (PQsendQueryParams(connection->conn, sql, has_parameters ? p->count : 0,
                          has_parameters ? p->types : NULL, has_parameters ? p->values : NULL,
                          has_parameters ? p->lengths : NULL, has_parameters ? p->formats : NULL,
                          1) != 1)
        return leat_pg_error(err, NULL, connection->conn, "could not send a commit");
    for (int i = 0; has_parameters && i < p->count; i++)
        sender->unsent_bytes += (size_t)p->lengths[i];
    if (sender->unsent_bytes < UNSENT_BYTES)
        return 0;
    sender->unsent_bytes = 0;
    if (leat_pg_flush(connection, soon(sender)))
        return 0;
    if (connection->is_lost)
        return leat_error_set(err, LEAT_E_UNAVAILABLE,
                              "postgres takes no more of a commit for %.1f s: the connection is "
                              "given up",
                              (double)connection->answer_timeout_us / 1e6);
    return leat_pg_error(err, NULL, connection->conn, "could not send a commit");
}

/* $1 application, $2 processor, $3 tenant, $4 streams, $5 shards. */
static void
bind_shards(struct sender *sender)
{
    const struct leat_flush *flush = sender->flush;
    const struct leat_progress_key *key = &flush->shards[0].key;

    leat_pg_parameters_init(&sender->parameters);
    leat_pg_add_slice(&sender->parameters, key->application);
    leat_pg_add_slice(&sender->parameters, key->processor);
    leat_pg_add_slice(&sender->parameters, key->tenant);
    leat_pg_array_begin(&sender->arrays[0], LEAT_PG_TEXT, flush->shard_count);
    leat_pg_array_begin(&sender->arrays[1], LEAT_PG_TEXT, flush->shard_count);
    for (size_t i = 0; i < flush->shard_count; i++) {
        leat_pg_array_bytes(&sender->arrays[0], flush->shards[i].key.stream_id);
        leat_pg_array_bytes(&sender->arrays[1], flush->shards[i].key.shard);
    }
    leat_pg_add_array(&sender->parameters, LEAT_PG_TEXT_ARRAY, &sender->arrays[0]);
    leat_pg_add_array(&sender->parameters, LEAT_PG_TEXT_ARRAY, &sender->arrays[1]);
}

static int
send_fence(struct sender *sender, struct leat_error *err)
{
    const struct leat_flush *flush = sender->flush;

    bind_shards(sender);
    leat_pg_array_begin(&sender->arrays[2], LEAT_PG_INT8, flush->shard_count);
    leat_pg_array_begin(&sender->arrays[3], LEAT_PG_INT8, flush->shard_count);
    for (size_t i = 0; i < flush->shard_count; i++) {
        leat_pg_array_int8(&sender->arrays[2], flush->shards[i].lease_counter);
        leat_pg_array_int8(&sender->arrays[3], flush->shards[i].commit_seq);
    }
    leat_pg_add_array(&sender->parameters, LEAT_PG_INT8_ARRAY, &sender->arrays[2]);
    leat_pg_add_array(&sender->parameters, LEAT_PG_INT8_ARRAY, &sender->arrays[3]);
    leat_pg_add_int8(&sender->parameters, flush->incarnation);
    return send(sender, fence_sql, true, err);
}

/* NULL: it does not end, or nobody says where it was. */
static const struct leat_flush_end *
end_of(const struct leat_flush *flush, size_t shard)
{
    if (flush->size < offsetof(struct leat_flush, ends) + sizeof flush->ends ||
        flush->ends == NULL || flush->ends[shard].checkpoint.size == 0)
        return NULL;
    return &flush->ends[shard];
}

static void
add_end(struct sender *sender, const struct leat_flush_end *end)
{
    if (end == NULL) {
        leat_pg_array_null(&sender->arrays[5]);
        leat_pg_array_null(&sender->arrays[6]);
        return;
    }
    leat_pg_array_bytes(&sender->arrays[5], end->checkpoint);
    leat_pg_array_int8(&sender->arrays[6], end->sub_sequence);
}

static int
send_progress(struct sender *sender, struct leat_error *err)
{
    const struct leat_flush *flush = sender->flush;

    bind_shards(sender);
    leat_pg_array_begin(&sender->arrays[2], LEAT_PG_TEXT, flush->shard_count);
    leat_pg_array_begin(&sender->arrays[3], LEAT_PG_INT8, flush->shard_count);
    leat_pg_array_begin(&sender->arrays[4], LEAT_PG_BYTEA, flush->shard_count);
    leat_pg_array_begin(&sender->arrays[5], LEAT_PG_TEXT, flush->shard_count);
    leat_pg_array_begin(&sender->arrays[6], LEAT_PG_INT8, flush->shard_count);
    for (size_t i = 0; i < flush->shard_count; i++) {
        leat_pg_array_bytes(&sender->arrays[2], flush->shards[i].checkpoint);
        leat_pg_array_int8(&sender->arrays[3], flush->shards[i].sub_sequence);
        if (flush->shards[i].state_change == LEAT_STATE_KEEP)
            leat_pg_array_null(&sender->arrays[4]);
        else
            leat_pg_array_bytes(&sender->arrays[4], flush->shards[i].saved_state);
        add_end(sender, end_of(flush, i));
    }
    leat_pg_add_array(&sender->parameters, LEAT_PG_TEXT_ARRAY, &sender->arrays[2]);
    leat_pg_add_array(&sender->parameters, LEAT_PG_INT8_ARRAY, &sender->arrays[3]);
    leat_pg_add_array(&sender->parameters, LEAT_PG_BYTEA_ARRAY, &sender->arrays[4]);
    leat_pg_add_array(&sender->parameters, LEAT_PG_TEXT_ARRAY, &sender->arrays[5]);
    leat_pg_add_array(&sender->parameters, LEAT_PG_INT8_ARRAY, &sender->arrays[6]);
    return send(sender, progress_sql, true, err);
}

static void
add_failure(struct leat_buf *arrays, const struct leat_flush_shard *shard,
            const struct leat_failure *failure)
{
    leat_pg_array_bytes(&arrays[0], failure->dead_letter_id);
    leat_pg_array_bytes(&arrays[1], shard->key.stream_id);
    leat_pg_array_bytes(&arrays[2], shard->key.shard);
    leat_pg_array_bytes(&arrays[3], failure->sequence);
    leat_pg_array_int8(&arrays[4], failure->sub_sequence);
    leat_pg_array_bytes(&arrays[5], failure->partition_key);
    if (failure->arrival_us > 0)
        leat_pg_array_timestamp(&arrays[6], failure->arrival_us);
    else
        leat_pg_array_null(&arrays[6]);
    leat_pg_array_int8(&arrays[7], failure->data_bytes);
    leat_pg_array_int8(&arrays[8], failure->attempts);
    leat_pg_array_bytes(&arrays[9], failure->reason);
    leat_pg_array_bytes(&arrays[10], failure->text);
    leat_pg_array_bytes(&arrays[11], failure->sqlstate);
    leat_pg_array_bytes(&arrays[12], failure->archive_url);
    leat_pg_array_bytes(&arrays[13], failure->dead_letter_position);
}

static int
send_ledger(struct sender *sender, struct leat_error *err)
{
    static const enum leat_pg_oid elements[14] = {
        LEAT_PG_TEXT,  LEAT_PG_TEXT,        LEAT_PG_TEXT, LEAT_PG_TEXT, LEAT_PG_INT8,
        LEAT_PG_BYTEA, LEAT_PG_TIMESTAMPTZ, LEAT_PG_INT8, LEAT_PG_INT8, LEAT_PG_TEXT,
        LEAT_PG_TEXT,  LEAT_PG_TEXT,        LEAT_PG_TEXT, LEAT_PG_TEXT,
    };
    const struct leat_flush *flush = sender->flush;
    const struct leat_progress_key *key = &flush->shards[0].key;
    size_t count = 0;

    for (size_t i = 0; i < flush->shard_count; i++)
        count += flush->shards[i].failure_count;
    if (count == 0)
        return 0;
    for (size_t c = 0; c < LEAT_COUNT_OF(elements); c++)
        leat_pg_array_begin(&sender->arrays[c], elements[c], count);
    for (size_t i = 0; i < flush->shard_count; i++) {
        for (size_t f = 0; f < flush->shards[i].failure_count; f++)
            add_failure(sender->arrays, &flush->shards[i], &flush->shards[i].failures[f]);
    }
    leat_pg_parameters_init(&sender->parameters);
    leat_pg_add_slice(&sender->parameters, key->application);
    leat_pg_add_slice(&sender->parameters, key->processor);
    leat_pg_add_slice(&sender->parameters, key->tenant);
    for (size_t c = 0; c < LEAT_COUNT_OF(elements); c++)
        leat_pg_add_array(&sender->parameters, leat_pg_array_of(elements[c]), &sender->arrays[c]);
    return send(sender, ledger_sql, true, err);
}

static bool
is_divisible(const struct leat_flush *flush, size_t group)
{
    return flush->size >= offsetof(struct leat_flush, is_divisible) + sizeof flush->is_divisible &&
           flush->is_divisible != NULL && flush->is_divisible[group];
}

/* Rows in a statement, at most. */
static size_t
rows_at_once(const struct sender *sender, size_t group)
{
    if (sender->flush == NULL)
        return sender->trial_rows;
    return is_divisible(sender->flush, group) ? sender->committer->statement_rows
                                              : LEAT_PG_STATEMENT_ROWS;
}

static int
send_rows(struct sender *sender, const struct leat_flush_rows *rows, size_t limit,
          struct leat_error *err)
{
    struct leat_pg_committer *committer = sender->committer;
    bool keys_only = rows->operation == LEAT_OP_DELETE;
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    size_t count;

    leat_pg_rows_sql(committer->options.names,
                     leat_pg_facts_of(committer->facts, rows->table_index), rows, &sql);
    for (size_t first = 0; first < rows->count; first += count) {
        int status;

        count = leat_pg_rows_for_statement(rows, first, leat_pg_rows_are_bare(rows) ? 1 : limit);
        status = leat_pg_bind_rows(rows, first, count, keys_only, sender->arrays,
                                   &sender->parameters, err);
        if (status == 0)
            status = send(sender, leat_buf_text(&sql), true, err);
        if (status != 0)
            return status;
    }
    return 0;
}

/* All rows, then what the user's tables check at the end of a transaction. */
static int
send_groups(struct sender *sender, const struct leat_flush_rows *groups, size_t count,
            struct leat_error *err)
{
    int status = 0;

    for (size_t g = 0; status == 0 && g < count; g++) {
        status = send_rows(sender, &groups[g], rows_at_once(sender, g), err);
        if (sender->flush != NULL)
            sender->group_ends[g] = sender->sent;
    }
    if (status == 0 && count > 0)
        status = send(sender, CHECK_CONSTRAINTS, false, err);
    return status;
}

/* Refused (division by zero) when the table is not what its facts say. Behind its rows: their lock keeps it as it is. */
static int
send_guard(struct sender *sender, const struct leat_flush_rows *rows, struct leat_error *err)
{
    struct leat_pg_committer *committer = sender->committer;
    const struct leat_pg_table_facts *facts = &committer->facts->tables[rows->table_index];
    LEAT_AUTO_BUF name = LEAT_BUF_INIT;
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_pg_table_name(committer->options.names, rows->table->name, &name);
    leat_buf_printf(&sql, "SELECT 1 / ($2 = %s)::int", facts->print_sql);
    leat_pg_parameters_init(&sender->parameters);
    leat_pg_add_text(&sender->parameters, leat_buf_text(&name));
    leat_pg_add_text(&sender->parameters, facts->print);
    return send(sender, leat_buf_text(&sql), true, err);
}

static int
send_guards(struct sender *sender, struct leat_error *err)
{
    const struct leat_flush *flush = sender->flush;
    int status = 0;

    sender->guard_from = sender->sent;
    for (size_t g = 0; status == 0 && sender->committer->facts != NULL && g < flush->group_count;
         g++) {
        bool is_first = true;

        for (size_t before = 0; before < g; before++)
            is_first &= flush->groups[before].table_index != flush->groups[g].table_index;
        if (is_first)
            status = send_guard(sender, &flush->groups[g], err);
    }
    sender->guard_to = sender->sent;
    return status;
}

static int
send_all(struct sender *sender, struct leat_error *err)
{
    const char *settings = sender->committer->connection->settings_sql;
    int status = send(sender, "BEGIN ISOLATION LEVEL READ COMMITTED", false, err);

    if (status == 0 && settings != NULL)
        status = send(sender, settings, false, err);
    sender->fence_at = sender->sent;
    if (status == 0)
        status = send_fence(sender, err);
    sender->user_from = sender->sent;
    if (status == 0)
        status = send_groups(sender, sender->flush->groups, sender->flush->group_count, err);
    sender->user_to = sender->sent;
    if (status == 0)
        status = send_guards(sender, err);
    if (status == 0)
        status = send_ledger(sender, err);
    if (status == 0)
        status = send_progress(sender, err);
    return status;
}

/* NULL: it did not come in time, or the connection broke. */
static PGresult *
next_answer(struct sender *sender)
{
    struct leat_pg_connection *connection = sender->committer->connection;

    return leat_pg_wait(connection, soon(sender)) ? PQgetResult(connection->conn) : NULL;
}

/* Reads every answer up to the sync. The first failure counts; *ret_failed is its statement, SIZE_MAX: none. */
static int
read_answers(struct sender *sender, size_t *ret_failed, struct leat_error *err)
{
    struct leat_pg_connection *connection = sender->committer->connection;
    PGconn *conn = connection->conn;
    int status = 0;

    *ret_failed = SIZE_MAX;
    for (size_t statement = 0;; statement++) {
        PGresult *result = next_answer(sender);
        ExecStatusType answer = PQresultStatus(result);

        if (result == NULL)
            return status != 0 ? status
                               : leat_pg_error(err, NULL, conn, "the answer to a commit was lost");
        if (answer == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            return status;
        }
        if (answer == PGRES_FATAL_ERROR && *ret_failed == SIZE_MAX) {
            status = leat_pg_refused(err, result, connection, "postgres refused a commit");
            *ret_failed = statement;
            sender->is_missing_inside = leat_pg_is_missing_inside(result);
            sender->is_raised = leat_pg_is_raised(result);
        }
        PQclear(result);
        while ((result = PQgetResult(conn)) != NULL)
            PQclear(result);
        if (leat_pg_is_broken(connection))
            return status != 0 ? status
                               : leat_pg_error(err, NULL, conn, "the answer to a commit was lost");
    }
}

static void
set_all(const struct leat_flush *flush, struct leat_commit_result *results,
        enum leat_commit_outcome outcome, const struct leat_error *err)
{
    for (size_t i = 0; i < flush->shard_count; i++) {
        results[i] = (struct leat_commit_result){.outcome = outcome};
        if (err == NULL)
            continue;
        memcpy(results[i].sqlstate, err->sqlstate, sizeof results[i].sqlstate);
        snprintf(results[i].text, sizeof results[i].text, "%s", err->text);
    }
}

int
leat_pg_resolve(struct leat_pg_committer *committer, const struct leat_flush *flush,
                struct leat_commit_result *results, struct leat_error *err)
{
    struct sender *sender;
    PGresult *result;
    int status = leat_pg_committer_ready(committer, err);

    if (status != 0)
        return status;
    sender = LEAT_NEW(struct sender);
    sender_init(sender, committer, flush);
    bind_shards(sender);
    status = leat_pg_execute(committer->connection, resolve_sql, &sender->parameters, &result, err);
    if (status == 0) {
        set_all(flush, results, LEAT_COMMIT_FENCED, NULL);
        for (int row = 0; row < PQntuples(result); row++)
            leat_pg_judge(flush, result, row, results);
        PQclear(result);
    }
    sender_release(sender);
    leat_cleanup_free(&sender);
    return status;
}

/*
 * docs/protocol.md §4. An error in leat's own tables is never a record's fault. One in the user's is, where its class can
 * mean nothing else; all others may be the table's or the row's: the host looks for a row that is taken
 * (LEAT_COMMIT_REFUSED).
 */
static enum leat_commit_outcome
outcome_of(const struct sender *sender, size_t failed, const struct leat_error *err)
{
    bool is_users = failed == SIZE_MAX || (failed >= sender->user_from && failed < sender->user_to);

    switch (leat_sqlstate_classify(err->sqlstate)) {
    case LEAT_SQLSTATE_TRANSIENT:
        if (failed == SIZE_MAX || !is_users || !sender->is_raised)
            return LEAT_COMMIT_TRANSIENT;
        break;
    case LEAT_SQLSTATE_DATA:
        return is_users ? LEAT_COMMIT_DATA : LEAT_COMMIT_CONFIGURATION;
    case LEAT_SQLSTATE_FENCED:
        if (failed == sender->fence_at)
            return LEAT_COMMIT_FENCED;
        break;
    case LEAT_SQLSTATE_CONFIGURATION:
        break;
    }
    /* A trigger that finds no table of its own is broken for all rows that come so far, not for what one of them holds. */
    return is_users && !sender->is_missing_inside ? LEAT_COMMIT_REFUSED : LEAT_COMMIT_CONFIGURATION;
}

/*
 * Two rows of one statement met in one row of the table: their keys differ here and are equal there. Where the flush is made for
 * that it is sent again with one row a statement. Else its shards make it anew: from the next take on the pipeline knows that
 * this table's keys may be equal, and keeps their rows in order.
 */
static void
divide(struct sender *sender, size_t failed, const struct leat_error *err)
{
    struct leat_pg_committer *committer = sender->committer;
    const struct leat_flush *flush = sender->flush;
    size_t g = 0;

    if (strcmp(err->sqlstate, LEAT_SQLSTATE_CARDINALITY) != 0 || failed < sender->user_from ||
        failed >= sender->user_to || sender->is_raised)
        return;
    while (g < flush->group_count && sender->group_ends[g] <= failed)
        g++;
    if (g == flush->group_count)
        return; /* what is checked behind the rows */
    if (is_divisible(flush, g)) {
        sender->is_divided = committer->statement_rows > 1; /* else it is said of one row */
        return;
    }
    sender->is_anew = flush->groups[g].count > 1;
    committer->equals[flush->groups[g].table_index] |= sender->is_anew;
}

static int
failed_commit(struct sender *sender, size_t failed, struct leat_commit_result *results,
              struct leat_error *err)
{
    struct leat_pg_committer *committer = sender->committer;
    enum leat_commit_outcome outcome = outcome_of(sender, failed, err);

    divide(sender, failed, err);
    sender->is_altered = failed >= sender->guard_from && failed < sender->guard_to &&
                         strcmp(err->sqlstate, "22012") == 0;
    if (sender->is_anew || sender->is_altered)
        outcome = LEAT_COMMIT_ANEW;
    if (strncmp(err->sqlstate, "42", 2) == 0)
        committer->are_facts_old = true;
    if (leat_pg_is_broken(committer->connection)) {
        /* Whatever came before the end: a backend that is terminated may say so after its commit. */
        set_all(sender->flush, results, LEAT_COMMIT_UNKNOWN, err);
        return 0;
    }
    leat_pg_script(committer->connection, "ROLLBACK", NULL);
    set_all(sender->flush, results, outcome, err);
    if (outcome != LEAT_COMMIT_FENCED)
        return 0;
    return leat_pg_resolve(committer, sender->flush, results, err);
}

static int
run_commit(struct sender *sender, struct leat_commit_result *results, struct leat_error *err)
{
    PGconn *conn = sender->committer->connection->conn;
    size_t failed = SIZE_MAX;
    int status, sent;

    if (PQenterPipelineMode(conn) != 1)
        return leat_pg_error(err, NULL, conn, "could not begin a commit");
    sent = send_all(sender, err);
    /* What could not even be bound is rolled back: the rest of the pipeline is a ROLLBACK. */
    LEAT_POINT("commit.before");
    if (leat_pg_is_broken(sender->committer->connection)) {
        /* The COMMIT was never said; but whose fault that is may be asked, as behind it. */
        set_all(sender->flush, results, LEAT_COMMIT_UNKNOWN, err);
        return 0;
    }
    status = send(sender, sent == 0 ? "COMMIT" : "ROLLBACK", false, sent == 0 ? err : NULL);
    PQpipelineSync(conn);
    LEAT_POINT("commit.sent");
    if (status == 0)
        status = read_answers(sender, &failed, sent == 0 ? err : NULL);
    if (!leat_pg_is_broken(sender->committer->connection))
        PQexitPipelineMode(conn);
    LEAT_POINT("commit.after");
    if (sent != 0) {
        set_all(sender->flush, results, outcome_of(sender, SIZE_MAX, err), err);
        return 0;
    }
    if (status != 0)
        return failed_commit(sender, failed, results, err);
    set_all(sender->flush, results, LEAT_COMMITTED, NULL);
    return 0;
}

/*
 * Ready, with the facts that the rows were merged by. Facts that were asked for before and are others now, by a reconnect or since
 * a table was altered, want the flush made anew.
 */
static bool
is_ready(struct leat_pg_committer *committer, const struct leat_flush *flush,
         struct leat_commit_result *results, struct leat_error *err)
{
    const char *refusal;

    if (leat_pg_committer_ready(committer, err) != 0) {
        set_all(flush, results, LEAT_COMMIT_TRANSIENT, err);
        return false;
    }
    if (committer->told_version != 0 && committer->told_version != committer->facts_version &&
        flush->group_count > 0) {
        leat_error_set(err, LEAT_E_UNAVAILABLE, "a table was altered since its rows were merged");
        set_all(flush, results, LEAT_COMMIT_ANEW, err);
        return false;
    }
    refusal = leat_pg_facts_refusal(committer->facts, flush);
    if (refusal == NULL)
        return true;
    leat_error_set(err, LEAT_E_INVALID, "%s", refusal);
    set_all(flush, results, LEAT_COMMIT_CONFIGURATION, err);
    committer->are_facts_old = true; /* until it is mended */
    return false;
}

/*
 * After a run that did not write: is the same flush to be sent once more? After an alteration the facts are read again: where they
 * say what they said, the same flush is right.
 */
static bool
wants_another_run(struct sender *sender, bool *has_looked, struct leat_commit_result *results,
                  struct leat_error *err)
{
    struct leat_pg_committer *committer = sender->committer;

    if (sender->is_divided) {
        committer->statement_rows = 1;
        return true;
    }
    if (!sender->is_altered)
        return false;
    if (*has_looked) {
        leat_error_set(err, LEAT_E_UNAVAILABLE,
                       "a table is altered each time that rows are written to it");
        set_all(sender->flush, results, LEAT_COMMIT_TRANSIENT, err);
        return false;
    }
    *has_looked = true;
    committer->are_facts_old = true;
    return is_ready(committer, sender->flush, results, err);
}

/* The next flush may hold no keys that meet. */
static void
write_more_at_once(struct leat_pg_committer *committer)
{
    committer->statement_rows = committer->statement_rows * 2 < LEAT_PG_STATEMENT_ROWS
                                    ? committer->statement_rows * 2
                                    : LEAT_PG_STATEMENT_ROWS;
}

int
leat_pg_commit(struct leat_pg_committer *committer, const struct leat_flush *flush,
               struct leat_commit_result *results, struct leat_error *err)
{
    struct sender *sender;
    bool has_looked = false, was_divided = false, goes_on = true;
    int status = 0;

    if (!is_ready(committer, flush, results, err))
        return 0;
    sender = LEAT_NEW(struct sender);
    while (goes_on) {
        sender_init(sender, committer, flush);
        status = run_commit(sender, results, err);
        was_divided |= sender->is_divided;
        goes_on = status == 0 && wants_another_run(sender, &has_looked, results, err);
        sender_release(sender);
    }
    if (!was_divided)
        write_more_at_once(committer);
    leat_cleanup_free(&sender);
    return status;
}

/* ---- rows that are only tried -------------------------------------------------------------------- */

static int
send_trial(struct sender *sender, const struct leat_trial *trial, struct leat_error *err)
{
    const char *settings = sender->committer->connection->settings_sql;
    int status = send(sender, "BEGIN ISOLATION LEVEL READ COMMITTED", false, err);

    if (status == 0 && settings != NULL)
        status = send(sender, settings, false, err);
    if (status == 0)
        status = send_groups(sender, trial->known, trial->known_count, err);
    if (status == 0)
        status = send(sender, "SET CONSTRAINTS ALL DEFERRED", false, err);
    sender->user_from = sender->sent;
    if (status == 0)
        status = send_groups(sender, trial->groups, trial->group_count, err);
    sender->user_to = sender->sent;
    if (status == 0)
        status = send(sender, "ROLLBACK", false, err);
    PQpipelineSync(sender->committer->connection->conn);
    return status;
}

static int
run_trial(struct sender *sender, const struct leat_trial *trial,
          enum leat_trial_outcome *ret_outcome, struct leat_error *err)
{
    struct leat_pg_connection *connection = sender->committer->connection;
    struct leat_error why = {0};
    size_t failed = SIZE_MAX;
    int status, sent;

    if (PQenterPipelineMode(connection->conn) != 1)
        return leat_pg_error(err, NULL, connection->conn, "could not try rows");
    sent = send_trial(sender, trial, err);
    if (leat_pg_is_broken(connection))
        return sent != 0 ? sent : leat_pg_error(err, NULL, connection->conn, "could not try rows");
    status = read_answers(sender, &failed, &why);
    if (!leat_pg_is_broken(connection)) {
        PQexitPipelineMode(connection->conn);
        /* What failed has left the transaction open. */
        if (PQtransactionStatus(connection->conn) != PQTRANS_IDLE)
            leat_pg_script(connection, "ROLLBACK", NULL);
    }
    if (sent != 0)
        return sent;
    if (status != 0 &&
        (failed == SIZE_MAX || leat_pg_is_broken(connection) ||
         (leat_sqlstate_classify(why.sqlstate) == LEAT_SQLSTATE_TRANSIENT && !sender->is_raised &&
          strcmp(why.sqlstate, LEAT_SQLSTATE_CANCELLED) != 0))) {
        if (err != NULL)
            *err = why;
        return status;
    }
    sender->is_divided = status != 0 && sender->trial_rows > 1 &&
                         strcmp(why.sqlstate, LEAT_SQLSTATE_CARDINALITY) == 0;
    *ret_outcome = status == 0                  ? LEAT_TRIAL_TAKEN
                   : failed < sender->user_from ? LEAT_TRIAL_KNOWN_REFUSED
                                                : LEAT_TRIAL_REFUSED;
    return 0;
}

int
leat_pg_try_rows(struct leat_pg_committer *committer, const struct leat_trial *trial,
                 enum leat_trial_outcome *ret_outcome, struct leat_error *err)
{
    struct sender *sender;
    int status = leat_pg_committer_ready(committer, err);

    if (status != 0)
        return status;
    sender = LEAT_NEW(struct sender);
    sender_init(sender, committer, NULL);
    status = run_trial(sender, trial, ret_outcome, err);
    if (status == 0 && sender->is_divided) {
        /* As a commit does: keys that meet are no reason to refuse one of them. */
        sender_release(sender);
        sender_init(sender, committer, NULL);
        sender->trial_rows = 1;
        status = run_trial(sender, trial, ret_outcome, err);
    }
    sender_release(sender);
    leat_cleanup_free(&sender);
    return status;
}
