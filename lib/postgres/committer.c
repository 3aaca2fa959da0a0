/* A committer's connection and its progress keys. Settings that bound every statement are the server's, not ours. */
#include "postgres/committer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "postgres/committer_inside.h"
#include "postgres/migrate.h"

/*
 * docs/protocol.md §4: nothing that a stopped client can hold open for long. A crash of the server may lose the last commits
 * (synchronous_commit): rows, ledger and progress together, so they are made again. All of a committer's statements may be lost
 * so; what is told elsewhere because of them (an ended lease, a letter) is found and told again.
 */
#define COMMITTER_SETTINGS                                                                         \
    "-c statement_timeout=10s -c lock_timeout=1s -c idle_in_transaction_session_timeout=2s "       \
    "-c synchronous_commit=off"
/* Longer than any statement may take on the server: it is the network that does not answer. */
#define ANSWER_US (15 * LEAT_SECOND_US)
#define USER_TIMEOUT_MS 10000
/* Facts that were read so short a time ago are those of now. */
#define LOOK_US (200 * LEAT_MS_US)

struct leat_pg_committer *
leat_pg_committer_new(const struct leat_pg_committer_options *options)
{
    struct leat_pg_committer *committer = LEAT_NEW(struct leat_pg_committer);
    size_t table_count = 0;

    committer->options = *options;
    if (committer->options.connection.settings == NULL)
        committer->options.connection.settings = COMMITTER_SETTINGS;
    committer->options.connection.is_for_writing = true;
    if (committer->options.connection.answer_timeout_us == 0)
        committer->options.connection.answer_timeout_us = ANSWER_US;
    if (committer->options.connection.user_timeout_ms == 0)
        committer->options.connection.user_timeout_ms = USER_TIMEOUT_MS;
    leat_arena_init(&committer->arena);
    committer->statement_rows = LEAT_PG_STATEMENT_ROWS;
    while (options->tables != NULL && options->tables[table_count].name != NULL)
        table_count++;
    committer->equals = LEAT_NEW_ARRAY(bool, table_count + 1);
    leat_pg_rivals_init(&committer->rivals);
    return committer;
}

void
leat_pg_committer_free(struct leat_pg_committer *committer)
{
    if (committer == NULL)
        return;
    leat_pg_close(committer->connection);
    leat_pg_close(committer->control);
    leat_pg_facts_free(committer->facts);
    leat_arena_release(&committer->arena);
    free(committer->equals);
    leat_pg_rivals_release(&committer->rivals);
    free(committer);
}

static int
read_facts(struct leat_pg_committer *committer, struct leat_pg_connection *connection,
           struct leat_error *err)
{
    struct leat_pg_facts *facts;
    int status = leat_pg_facts_read(connection, committer->options.names, committer->options.tables,
                                    &facts, err);

    if (status != 0)
        return status;
    if (committer->facts == NULL ||
        !leat_pg_facts_are_same(committer->facts, facts, committer->options.tables,
                                committer->equals))
        committer->facts_version++;
    leat_pg_facts_free(committer->facts);
    committer->facts = facts;
    committer->facts_us = leat_clock_monotonic_us();
    committer->are_facts_old = false;
    return 0;
}

int
leat_pg_committer_look(struct leat_pg_committer *committer, struct leat_error *err)
{
    int status = leat_pg_committer_ready(committer, err);
    bool is_same = true;

    if (status != 0 || committer->facts == NULL ||
        leat_clock_monotonic_us() - committer->facts_us < LOOK_US)
        return status;
    for (size_t t = 0; status == 0 && is_same && t < committer->facts->table_count; t++) {
        LEAT_AUTO_BUF name = LEAT_BUF_INIT;

        leat_pg_table_name(committer->options.names, committer->options.tables[t].name, &name);
        status = leat_pg_facts_check(committer->connection, leat_buf_text(&name),
                                     &committer->facts->tables[t], &is_same, err);
    }
    if (status == 0 && !is_same)
        return read_facts(committer, committer->connection, err);
    if (status == 0)
        committer->facts_us = leat_clock_monotonic_us();
    return status;
}

void
leat_pg_forms(struct leat_pg_committer *committer, size_t table, struct leat_table_forms *ret_forms)
{
    const struct leat_pg_table_facts *facts = leat_pg_facts_of(committer->facts, table);

    committer->told_version = committer->facts_version;
    if (facts == NULL)
        return;
    ret_forms->is_known = true;
    ret_forms->may_equal = facts->may_equal || committer->equals[table];
    for (size_t c = 0; c < leat_table_width(&committer->options.tables[table]); c++)
        ret_forms->columns[c] = facts->columns[c].form;
}

static int
read_id(struct leat_pg_connection *connection, char ret_id[64], struct leat_error *err)
{
    PGresult *result;
    int status =
        leat_pg_execute(connection, "SELECT id::text FROM leat.target", NULL, &result, err);

    if (status != 0)
        return status;
    if (PQntuples(result) == 1)
        snprintf(ret_id, 64, "%s", PQgetvalue(result, 0, 0));
    else
        status = leat_error_set(err, LEAT_E_INVALID,
                                "the target has no id: leat.target holds %d rows, not one",
                                PQntuples(result));
    PQclear(result);
    return status;
}

/* In memory, so also before each use of a connection that is open: what is registered may be another one by now. */
static int
check_id(struct leat_pg_committer *committer, struct leat_pg_connection *connection, const char *id,
         struct leat_error *err)
{
    const struct leat_pg_committer_options *options = &committer->options;
    LEAT_AUTO_BUF place = LEAT_BUF_INIT;
    int status;

    if (options->check_id == NULL)
        return 0;
    status = options->check_id(options->id_context, leat_slice_from(id), err);
    if (status == 0)
        return 0;
    leat_pg_place(connection, &place);
    return leat_error_prefix(err, "postgres at %s", leat_buf_text(&place));
}

int
leat_pg_committer_ready(struct leat_pg_committer *committer, struct leat_error *err)
{
    struct leat_pg_connection *connection;
    char id[64] = "";
    int status;

    if (!leat_pg_is_broken(committer->connection)) {
        status = check_id(committer, committer->connection, committer->id, err);
        if (status != 0) {
            leat_pg_close(committer->connection);
            committer->connection = NULL;
            return status;
        }
        return committer->are_facts_old ? read_facts(committer, committer->connection, err) : 0;
    }
    leat_pg_close(committer->connection);
    committer->connection = NULL;
    status = leat_pg_connect(&committer->options.connection, &connection, err);
    if (status != 0)
        return status;
    /* A target that was never migrated, or by a newer leat, is refused by name before anything is written. */
    status = leat_schema_check(connection, "target", err);
    if (status == 0)
        status = read_id(connection, id, err);
    if (status == 0)
        status = check_id(committer, connection, id, err);
    if (status == 0 && committer->options.tables != NULL)
        status = read_facts(committer, connection, err);
    if (status != 0) {
        leat_pg_close(connection);
        return status;
    }
    snprintf(committer->id, sizeof committer->id, "%s", id);
    committer->rivals.named_us = 0;
    committer->connection = connection;
    return 0;
}

void
leat_pg_keys_init(struct leat_pg_keys *keys)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(keys->columns); i++)
        leat_buf_init(&keys->columns[i], INT32_MAX);
}

void
leat_pg_keys_release(struct leat_pg_keys *keys)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(keys->columns); i++)
        leat_buf_release(&keys->columns[i]);
}

void
leat_pg_keys_begin(struct leat_pg_keys *keys, size_t count)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(keys->columns); i++)
        leat_pg_array_begin(&keys->columns[i], LEAT_PG_TEXT, count);
}

void
leat_pg_keys_add(struct leat_pg_keys *keys, const struct leat_progress_key *key)
{
    leat_pg_array_bytes(&keys->columns[0], key->application);
    leat_pg_array_bytes(&keys->columns[1], key->processor);
    leat_pg_array_bytes(&keys->columns[2], key->tenant);
    leat_pg_array_bytes(&keys->columns[3], key->stream_id);
    leat_pg_array_bytes(&keys->columns[4], key->shard);
}

void
leat_pg_keys_bind(struct leat_pg_keys *keys, struct leat_pg_parameters *parameters)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(keys->columns); i++)
        leat_pg_add_array(parameters, LEAT_PG_TEXT_ARRAY, &keys->columns[i]);
}

struct leat_slice
leat_pg_copy(struct leat_arena *arena, const PGresult *result, int row, int column)
{
    return leat_arena_copy(arena, leat_slice_make(PQgetvalue(result, row, column),
                                                  (size_t)PQgetlength(result, row, column)));
}
