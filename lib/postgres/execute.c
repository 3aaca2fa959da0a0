/*
 * Sends statements and waits for their answers, with a deadline where there is one: a server that a firewall cut off, or a
 * pooler that has lost its server, answers nothing, and a thread that waits for ever is no worker any more. Sending waits, too,
 * when the other side takes nothing more (a backend that is stopped): connections are non-blocking, and all waiting is here.
 * Behind a pooler each statement outside of a transaction brings its settings with it: one pipeline, one sync, one round trip.
 */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "postgres/connection.h"

static int64_t
deadline_us(const struct leat_pg_connection *connection)
{
    return connection->answer_timeout_us > 0
               ? leat_clock_monotonic_us() + connection->answer_timeout_us
               : INT64_MAX;
}

/* Until the socket can be read, or written where something is left to send. False: the deadline passed. */
static bool
wait_for_socket(PGconn *conn, bool has_more_to_send, int64_t until_us, bool *ret_is_bad)
{
    struct pollfd descriptor = {.fd = PQsocket(conn), .events = POLLIN};
    int64_t left_us = until_us == INT64_MAX ? 3600 * LEAT_SECOND_US
                                            : until_us - leat_clock_monotonic_us();

    if (left_us <= 0)
        return false;
    if (has_more_to_send)
        descriptor.events |= POLLOUT;
    *ret_is_bad = poll(&descriptor, 1, (int)(left_us / 1000) + 1) < 0 && errno != EINTR;
    return true;
}

/* True: an answer, or the end of the connection, can be read without waiting. */
static bool
wait_until(struct leat_pg_connection *connection, int64_t until_us)
{
    PGconn *conn = connection->conn;
    bool is_bad = false;
    int unsent;

    while ((unsent = PQflush(conn)) >= 0 && PQconsumeInput(conn) == 1 && PQisBusy(conn) == 1) {
        if (!wait_for_socket(conn, unsent > 0, until_us, &is_bad))
            return false;
        if (is_bad)
            return true;
    }
    return true;
}

/* What the other side says meanwhile is taken in: it may not read on before that. */
bool
leat_pg_flush(struct leat_pg_connection *connection, int64_t until_us)
{
    PGconn *conn = connection->conn;
    bool is_bad = false;
    int unsent;

    while ((unsent = PQflush(conn)) > 0 && !is_bad) {
        connection->is_lost = !wait_for_socket(conn, true, until_us, &is_bad);
        if (connection->is_lost || PQconsumeInput(conn) != 1)
            return false;
    }
    return unsent == 0;
}

bool
leat_pg_wait(struct leat_pg_connection *connection, int64_t until_us)
{
    if (!wait_until(connection, until_us))
        connection->is_lost = true;
    return !connection->is_lost;
}

static bool
is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    /* A script of comments alone is none, and well. */
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

static int
refused(struct leat_pg_connection *connection, const PGresult *result, struct leat_error *err)
{
    if (connection->is_lost)
        return leat_error_set(err, LEAT_E_UNAVAILABLE,
                              "postgres gave no answer within %.1f s: the connection is given up",
                              (double)connection->answer_timeout_us / 1e6);
    return leat_pg_refused(err, result, connection, "postgres refused a statement");
}

static int
enqueue(struct leat_pg_connection *connection, const char *sql, const struct leat_pg_parameters *p)
{
    return p == NULL ? PQsendQueryParams(connection->conn, sql, 0, NULL, NULL, NULL, NULL, 1)
                     : PQsendQueryParams(connection->conn, sql, p->count, p->types, p->values,
                                         p->lengths, p->formats, 1);
}

/* Everything up to the end (or the sync): the last result, or the first that is bad. NULL: the connection is gone. */
static PGresult *
collect(struct leat_pg_connection *connection)
{
    int64_t until_us = deadline_us(connection);
    PGresult *kept = NULL, *result;
    bool is_pipeline = PQpipelineStatus(connection->conn) != PQ_PIPELINE_OFF;

    for (;;) {
        if (!leat_pg_wait(connection, until_us))
            break;
        result = PQgetResult(connection->conn);
        if (result == NULL && (!is_pipeline || PQstatus(connection->conn) != CONNECTION_OK))
            break;
        if (result == NULL)
            continue; /* the end of one statement's */
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            break;
        }
        if (kept != NULL && !is_good(kept)) {
            PQclear(result); /* aborted behind it */
            continue;
        }
        PQclear(kept);
        kept = result;
    }
    return kept;
}

/* The settings and the statement are one transaction, which ends at the sync. */
static PGresult *
run_with_settings(struct leat_pg_connection *connection, const char *sql,
                  const struct leat_pg_parameters *parameters)
{
    PGconn *conn = connection->conn;
    PGresult *result = NULL;

    if (PQenterPipelineMode(conn) != 1)
        return NULL;
    if (enqueue(connection, connection->settings_sql, NULL) == 1 &&
        enqueue(connection, sql, parameters) == 1 && PQpipelineSync(conn) == 1)
        result = collect(connection);
    if (!leat_pg_is_broken(connection))
        PQexitPipelineMode(conn);
    return result;
}

int
leat_pg_execute(struct leat_pg_connection *connection, const char *sql,
                const struct leat_pg_parameters *parameters, PGresult **ret_result,
                struct leat_error *err)
{
    bool is_outside = PQtransactionStatus(connection->conn) == PQTRANS_IDLE;
    PGresult *result = NULL;

    if (is_outside && connection->settings_sql != NULL)
        result = run_with_settings(connection, sql, parameters);
    else if (enqueue(connection, sql, parameters) == 1)
        result = collect(connection);
    if (result == NULL || !is_good(result) || connection->is_lost) {
        int code = refused(connection, result, err);

        PQclear(result);
        return code;
    }
    if (ret_result != NULL)
        *ret_result = result;
    else
        PQclear(result);
    return 0;
}

int
leat_pg_send(struct leat_pg_connection *connection, const char *sql,
             const struct leat_pg_parameters *parameters, struct leat_error *err)
{
    return enqueue(connection, sql, parameters) == 1 ? 0 : refused(connection, NULL, err);
}

int
leat_pg_answer(struct leat_pg_connection *connection, int64_t until_us, PGresult **ret_result,
               struct leat_error *err)
{
    PGresult *result;
    int code;

    *ret_result = NULL;
    if (!wait_until(connection, until_us))
        return 0;
    result = collect(connection);
    if (result != NULL && is_good(result) && !connection->is_lost) {
        *ret_result = result;
        return 0;
    }
    code = refused(connection, result, err);
    PQclear(result);
    return code;
}

int
leat_pg_script(struct leat_pg_connection *connection, const char *sql, struct leat_error *err)
{
    LEAT_AUTO_BUF with_settings = LEAT_BUF_INIT;
    PGresult *result = NULL;
    int code = 0;

    if (connection->settings_sql != NULL && strncmp(sql, "BEGIN", 5) == 0) {
        size_t first = strcspn(sql, ";");

        leat_buf_printf(&with_settings, "%.*s ISOLATION LEVEL READ COMMITTED; %s%s", (int)first,
                        sql, connection->settings_sql, sql + first);
        sql = leat_buf_text(&with_settings);
    } else if (connection->settings_sql != NULL &&
               PQtransactionStatus(connection->conn) == PQTRANS_IDLE) {
        leat_buf_printf(&with_settings, "%s; %s", connection->settings_sql, sql);
        sql = leat_buf_text(&with_settings);
    }
    if (PQsendQuery(connection->conn, sql) == 1)
        result = collect(connection);
    if (result == NULL || !is_good(result) || connection->is_lost)
        code = refused(connection, result, err);
    PQclear(result);
    return code;
}
