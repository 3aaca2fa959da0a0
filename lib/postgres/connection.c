/*
 * Connects with a deadline, turns failures into errors that hold no secret.
 *
 * Stories it survives. (1) A failover: the URL names several hosts, or its file is written anew; each connect asks for it
 * again, waits for each host alone, and refuses a server that is read-only. (2) A connection that was opened to a primary
 * which came back as a standby: the first refusal (25006) makes it broken, so that the next connect finds the right one.
 * (3) The role, or the database, has another isolation for a default: every condition of the protocol reads what is committed
 * when its statement begins, not what was when the transaction did. (4) Another role has made functions and operators in `public`
 * that fit our calls better: search_path is ours from the first statement on; the statements before that name pg_catalog.
 */
#include "postgres/connection.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/database_url.h"
#include "base/memory.h"
#include "postgres/array.h"
#include "postgres/sqlstate.h"

#define MOST_CONNECT_S 60

bool
leat_pg_is_raised(const PGresult *result)
{
    const char *source = result != NULL ? PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION)
                                        : NULL;

    return source != NULL && strcmp(source, "exec_stmt_raise") == 0;
}

/* Not what a trigger raises as such, nor what dynamic SQL makes of a row. */
bool
leat_pg_is_missing_inside(const PGresult *result)
{
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *context = result != NULL ? PQresultErrorField(result, PG_DIAG_CONTEXT) : NULL;

    return state != NULL && context != NULL && strstr(context, "function ") != NULL &&
           strstr(context, " at EXECUTE") == NULL && !leat_pg_is_raised(result) &&
           (strcmp(state, "42P01") == 0 || strcmp(state, "42883") == 0 ||
            strcmp(state, "42704") == 0 || strcmp(state, "42703") == 0 ||
            strcmp(state, "3F000") == 0);
}

static const char *
hint_for(const PGresult *result)
{
    return leat_pg_is_missing_inside(result)
               ? ", inside a function: leat's search_path is pg_catalog alone, so it has to name "
                 "schemas, or get its own (ALTER FUNCTION … SET search_path)"
               : "";
}

/* The first line of libpq's text: further ones hold hints and positions. */
static void
first_line(char *out, size_t room, const char *text)
{
    size_t length = strcspn(text, "\n");

    snprintf(out, room, "%.*s", (int)length, text);
}

int
leat_pg_error(struct leat_error *err, const PGresult *result, const PGconn *conn, const char *what)
{
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *text = result != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *table = result != NULL ? PQresultErrorField(result, PG_DIAG_TABLE_NAME) : NULL;
    const char *column = result != NULL ? PQresultErrorField(result, PG_DIAG_COLUMN_NAME) : NULL;
    char line[300];
    int code = LEAT_E_UNAVAILABLE;

    first_line(line, sizeof line, text != NULL ? text : PQerrorMessage(conn));
    if (leat_sqlstate_classify(state) == LEAT_SQLSTATE_FENCED)
        code = LEAT_E_FENCED;
    else if (leat_sqlstate_classify(state) != LEAT_SQLSTATE_TRANSIENT)
        code = LEAT_E_INVALID;
    leat_error_set(
        err, code, "%s: %s%s%s%s%s%s%s%s", what, line, state != NULL ? " (SQLSTATE " : "",
        state != NULL ? state : "", state != NULL ? ")" : "", table != NULL ? ", table " : "",
        table != NULL ? table : "", column != NULL ? ", see its columns" : "", hint_for(result));
    if (err != NULL && state != NULL)
        snprintf(err->sqlstate, sizeof err->sqlstate, "%s", state);
    return code;
}

int
leat_pg_refused(struct leat_error *err, const PGresult *result,
                struct leat_pg_connection *connection, const char *what)
{
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

    if (state != NULL && strcmp(state, LEAT_SQLSTATE_READ_ONLY) == 0 && !leat_pg_is_raised(result))
        connection->is_read_only = true;
    return leat_pg_error(err, result, connection->conn, what);
}

/* libpq says a line for each host, and indents its hints. */
static void
all_hosts(char *out, size_t room, const char *text)
{
    size_t size = 0;

    out[0] = '\0';
    while (*text != '\0' && size < room) {
        size_t length = strcspn(text, "\n");

        if (*text != '\t')
            size += (size_t)snprintf(out + size, room - size, "%s%.*s", size > 0 ? "; " : "",
                                     (int)length, text);
        text += length + (text[length] == '\n');
    }
}

static int
connect_failed(PGconn *conn, const char *url, struct leat_error *err)
{
    const char *host = PQhost(conn), *port = PQport(conn), *database = PQdb(conn);
    char line[400];

    all_hosts(line, sizeof line, PQerrorMessage(conn));
    leat_database_url_redact(url, line);
    leat_error_set(err, LEAT_E_UNAVAILABLE,
                   "could not connect to postgres at %s:%s/%s: %s: check its url, and that it runs",
                   host != NULL ? host : "?", port != NULL ? port : "?",
                   database != NULL ? database : "?", line);
    PQfinish(conn);
    return LEAT_E_UNAVAILABLE;
}

static char *
word_of_url(const char *url, const char *keyword)
{
    PQconninfoOption *parsed = PQconninfoParse(url, NULL);
    char *word = NULL;

    for (const PQconninfoOption *option = parsed;
         word == NULL && option != NULL && option->keyword != NULL; option++) {
        if (strcmp(option->keyword, keyword) == 0 && option->val != NULL)
            word = leat_strdup(option->val);
    }
    PQconninfoFree(parsed);
    return word;
}

/* What the URL says itself comes first: ours is the last word. */
static void
add_options_of_url(const char *url, struct leat_buf *out)
{
    LEAT_AUTO_FREE char *options = word_of_url(url, "options");

    if (options != NULL)
        leat_buf_printf(out, "%s ", options);
}

/* connect_timeout=0, or one of an hour: a thread would hang in it. */
static bool
is_patient(const char *url)
{
    LEAT_AUTO_FREE char *seconds = word_of_url(url, "connect_timeout");
    long number = seconds != NULL ? strtol(seconds, NULL, 10) : 1;

    return number <= 0 || number > MOST_CONNECT_S;
}

/* A server that went without a word is noticed in seconds, not hours; what stands before the URL can be said otherwise in
   it. Blocking, so that libpq gives each host of the URL the whole time: one that is cut off must not hide the next one. */
static PGconn *
start(const struct leat_pg_options *options, const char *url, const char *settings)
{
    int64_t timeout_us = options->connect_timeout_us > 0 ? options->connect_timeout_us
                                                         : 5 * LEAT_SECOND_US;
    const char *late = is_patient(url) ? "connect_timeout" : NULL;
    char seconds[24], timeout[24];
    const char *keywords[] = {"keepalives_idle",
                              "keepalives_interval",
                              "keepalives_count",
                              "connect_timeout",
                              "tcp_user_timeout",
                              "dbname",
                              "application_name",
                              "client_encoding",
                              settings != NULL ? "options" : late,
                              settings != NULL ? late : NULL,
                              NULL};
    const char *values[] = {"5",
                            "2",
                            "3",
                            seconds,
                            timeout,
                            url,
                            options->application_name,
                            "UTF8",
                            settings != NULL ? settings : seconds,
                            seconds,
                            NULL};

    snprintf(seconds, sizeof seconds, "%lld",
             (long long)((timeout_us + LEAT_SECOND_US - 1) / LEAT_SECOND_US));
    snprintf(timeout, sizeof timeout, "%lld", (long long)options->user_timeout_ms);
    return PQconnectdbParams(keywords, values, 1);
}

/* A pooler that does not say is believed. */
static int
check_version(struct leat_pg_connection *connection, struct leat_error *err)
{
    int version = PQserverVersion(connection->conn);

    if (version == 0 || version >= LEAT_PG_OLDEST * 10000)
        return 0;
    return leat_error_set(
        err, LEAT_E_INVALID,
        "cannot use postgres at %s:%s/%s: its version is %s, leat needs %d or a newer one",
        PQhost(connection->conn), PQport(connection->conn), PQdb(connection->conn),
        PQparameterStatus(connection->conn, "server_version"), LEAT_PG_OLDEST);
}

/* Texts of records and reasons hold any character: a database that cannot store one would stop at the first that has it, in a
   migration, a row or the ledger. A pooler that does not say is believed. */
static int
check_encoding(struct leat_pg_connection *connection, struct leat_error *err)
{
    const char *encoding = PQparameterStatus(connection->conn, "server_encoding");

    if (encoding == NULL || strcmp(encoding, "UTF8") == 0)
        return 0;
    return leat_error_set(err, LEAT_E_INVALID,
                          "cannot use postgres at %s:%s/%s: its encoding is %s, leat needs UTF8: "
                          "make the database anew with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE "
                          "template0",
                          PQhost(connection->conn), PQport(connection->conn),
                          PQdb(connection->conn), encoding);
}

static int
check_server(struct leat_pg_connection *connection, const struct leat_pg_options *options,
             struct leat_error *err)
{
    PGresult *result;
    int status = check_version(connection, err);
    bool is_read_only;

    if (status == 0)
        status = check_encoding(connection, err);
    if (status == 0)
        status = leat_pg_execute(connection,
                                 "SELECT pg_catalog.pg_backend_pid(), "
                                 "pg_catalog.current_setting('transaction_read_only'), "
                                 "pg_catalog.current_setting('transaction_isolation')",
                                 NULL, &result, err);
    if (status != 0)
        return status;
    connection->backend_pid = leat_pg_int4(PQgetvalue(result, 0, 0));
    connection->is_pooled = connection->backend_pid != PQbackendPID(connection->conn);
    is_read_only = strcmp(PQgetvalue(result, 0, 1), "on") == 0;
    connection->is_read_committed = strcmp(PQgetvalue(result, 0, 2), "read committed") == 0;
    PQclear(result);
    if (!is_read_only || !options->is_for_writing)
        return 0;
    return leat_error_set(err, LEAT_E_UNAVAILABLE,
                          "could not use postgres at %s:%s/%s: it is read-only, as a standby is: "
                          "let the url lead to the primary, or name all hosts in it with "
                          "target_session_attrs=read-write",
                          PQhost(connection->conn), PQport(connection->conn),
                          PQdb(connection->conn));
}

static void
ignore_notice(void *context, const PGresult *result)
{
}

/* "-c a=b -c c=d" as statements that hold for one transaction. */
static char *
local_settings(const char *settings)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    while (settings != NULL && (settings = strstr(settings, "-c ")) != NULL) {
        size_t name, value;

        settings += 3;
        name = strcspn(settings, "=");
        value = strcspn(settings + name + 1, " ");
        leat_buf_printf(&sql, "%spg_catalog.set_config('%.*s', '%.*s', true)",
                        sql.size == 0 ? "SELECT " : ", ", (int)name, settings, (int)value,
                        settings + name + 1);
        settings += name + 1 + value;
    }
    return sql.size > 0 ? leat_buf_take(&sql) : NULL;
}

static void
add_settings(const struct leat_pg_options *options, struct leat_buf *out)
{
    leat_buf_printf(out, "-c search_path=%s",
                    options->search_path != NULL ? options->search_path : LEAT_PG_SEARCH_PATH);
    if (options->settings != NULL)
        leat_buf_printf(out, " %s", options->settings);
}

static int
open_connection(const struct leat_pg_options *options, const char *url, bool with_settings,
                PGconn **ret_conn, struct leat_error *err)
{
    LEAT_AUTO_BUF settings = LEAT_BUF_INIT;
    PGconn *conn;

    if (leat_database_url_check(url, err) != 0)
        return leat_error_prefix(err, "the database's url");
    add_options_of_url(url, &settings);
    add_settings(options, &settings);
    conn = start(options, url, with_settings ? leat_buf_text(&settings) : NULL);
    if (conn == NULL)
        leat_out_of_memory(0);
    if (PQstatus(conn) != CONNECTION_OK)
        return connect_failed(conn, url, err);
    *ret_conn = conn;
    return 0;
}

/* PgBouncer knows no `options`; what it cannot hand on to a backend it refuses. Others say it in other words. */
static int
open_with_settings(const struct leat_pg_options *options, bool *has_settings, PGconn **ret_conn,
                   struct leat_error *err)
{
    const char *url = options->url;
    char current[LEAT_URL_BYTES];
    struct leat_error why;
    int status = 0;

    if (options->current_url != NULL) {
        status = options->current_url(options->url_context, current, sizeof current, &why);
        url = current;
    }
    if (status == 0)
        status = open_connection(options, url, *has_settings, ret_conn, &why);
    if (status != 0 && *has_settings &&
        (strstr(why.text, "unsupported startup parameter") != NULL ||
         strstr(why.text, "command-line options") != NULL)) {
        *has_settings = false;
        status = open_connection(options, url, false, ret_conn, &why);
    }
    if (status != 0 && err != NULL)
        *err = why;
    return status;
}

/* A role may have a limit on how long its sessions are idle, or a transaction lasts: ours set their own. Behind a pooler the session
   is not ours to set up, and idle ones are the pooler's. */
static int
outlive_idleness(struct leat_pg_connection *connection, struct leat_error *err)
{
    int version = PQserverVersion(connection->conn);

    if (connection->is_pooled || version < 140000)
        return 0;
    return leat_pg_script(connection,
                          version < 170000
                              ? "SET idle_session_timeout = 0"
                              : "SET idle_session_timeout = 0; SET transaction_timeout = 0",
                          err);
}

int
leat_pg_connect(const struct leat_pg_options *options, struct leat_pg_connection **ret_connection,
                struct leat_error *err)
{
    struct leat_pg_connection *connection;
    LEAT_AUTO_BUF settings = LEAT_BUF_INIT;
    bool has_settings = true;
    PGconn *conn;
    int status = open_with_settings(options, &has_settings, &conn, err);

    if (status != 0)
        return status;
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    if (PQsetnonblocking(conn, 1) != 0)
        return connect_failed(conn, options->url, err);
    connection = LEAT_NEW(struct leat_pg_connection);
    connection->conn = conn;
    connection->answer_timeout_us = options->connect_timeout_us > 0 ? options->connect_timeout_us
                                                                    : 5 * LEAT_SECOND_US;
    status = check_server(connection, options, err);
    if (status != 0) {
        leat_pg_close(connection);
        return status;
    }
    connection->is_pooled = connection->is_pooled || !has_settings;
    connection->answer_timeout_us = options->answer_timeout_us;
    add_settings(options, &settings);
    if (connection->is_pooled)
        connection->settings_sql = local_settings(leat_buf_text(&settings));
    else if (!connection->is_read_committed)
        status =
            leat_pg_script(connection, "SET default_transaction_isolation = 'read committed'", err);
    if (status == 0)
        status = outlive_idleness(connection, err);
    if (status != 0) {
        leat_pg_close(connection);
        return status;
    }
    *ret_connection = connection;
    return 0;
}

void
leat_pg_close(struct leat_pg_connection *connection)
{
    if (connection == NULL)
        return;
    PQfinish(connection->conn);
    free(connection->settings_sql);
    free(connection);
}

void
leat_pg_place(const struct leat_pg_connection *connection, struct leat_buf *out)
{
    const char *host = PQhost(connection->conn), *port = PQport(connection->conn);
    const char *database = PQdb(connection->conn);

    leat_buf_printf(out, "%s:%s/%s", host != NULL ? host : "?", port != NULL ? port : "?",
                    database != NULL ? database : "?");
}

bool
leat_pg_is_broken(const struct leat_pg_connection *connection)
{
    return connection == NULL || connection->is_lost || connection->is_read_only ||
           PQstatus(connection->conn) != CONNECTION_OK;
}

void
leat_pg_parameters_init(struct leat_pg_parameters *parameters)
{
    parameters->count = 0;
}

static int
next_parameter(struct leat_pg_parameters *parameters)
{
    LEAT_ASSERT(parameters->count < LEAT_PG_PARAMETERS);
    return parameters->count++;
}

void
leat_pg_add_text(struct leat_pg_parameters *parameters, const char *text)
{
    int i = next_parameter(parameters);

    parameters->types[i] = LEAT_PG_TEXT;
    parameters->values[i] = text;
    parameters->lengths[i] = 0;
    parameters->formats[i] = 0;
}

void
leat_pg_add_null(struct leat_pg_parameters *parameters, Oid type)
{
    leat_pg_add_text(parameters, NULL);
    parameters->types[parameters->count - 1] = type;
}

void
leat_pg_add_slice(struct leat_pg_parameters *parameters, struct leat_slice text)
{
    int i = next_parameter(parameters);

    parameters->types[i] = LEAT_PG_TEXT;
    parameters->values[i] = (const char *)text.data;
    parameters->lengths[i] = (int)text.size;
    parameters->formats[i] = 1;
}

void
leat_pg_add_int8(struct leat_pg_parameters *parameters, int64_t number)
{
    int i = next_parameter(parameters);
    uint64_t wire = __builtin_bswap64((uint64_t)number);

    memcpy(parameters->numbers[i], &wire, sizeof wire);
    parameters->types[i] = LEAT_PG_INT8;
    parameters->values[i] = parameters->numbers[i];
    parameters->lengths[i] = 8;
    parameters->formats[i] = 1;
}

void
leat_pg_add_array(struct leat_pg_parameters *parameters, Oid array_type,
                  const struct leat_buf *array)
{
    int i = next_parameter(parameters);

    LEAT_ASSERT(array->size < INT32_MAX);
    parameters->types[i] = array_type;
    parameters->values[i] = (const char *)array->data;
    parameters->lengths[i] = (int)array->size;
    parameters->formats[i] = 1;
}
