/*
 * One libpq connection, non-blocking. It belongs to one thread; nothing here is shared. Reconnecting is the caller's.
 * Error texts name host, port and database, never a password.
 *
 * Behind a pooler (PgBouncer in transaction mode) no session is ours: settings are given anew inside each transaction, single
 * statements included, in the same round trip. Nothing else changes for callers, but that session locks, LISTEN, temporary
 * tables and prepared statements must not be relied on.
 *
 * Names without a schema are looked up in pg_catalog alone, on every connection, whatever a role or a database says: else whoever
 * may create functions and operators in `public` makes one that fits a call of ours better than the system's, and it runs with
 * our rights. So what is not the system's is written with its schema.
 */
#ifndef LEAT_POSTGRES_CONNECTION_H
#define LEAT_POSTGRES_CONNECTION_H

#include <libpq-fe.h>

#include <leat/target.h>

#include "base/buf.h"

#define LEAT_PG_PARAMETERS 320
/* The oldest server that is taken; older ones are refused at each connect, by every command and worker. */
#define LEAT_PG_OLDEST 14
/* pg_temp is named, and last: else it would come first. */
#define LEAT_PG_SEARCH_PATH "pg_catalog,pg_temp"

struct leat_pg_options {
    const char *url; /* URI or conninfo; passwords by libpq's own means, too */
    const char *application_name;
    const char *settings;       /* "-c statement_timeout=10000 …"; NULL: none */
    const char *search_path;    /* NULL: LEAT_PG_SEARCH_PATH, as for everything but tests */
    int64_t connect_timeout_us; /* 0: 5 s; for each host of the URL */
    int64_t user_timeout_ms;    /* tcp_user_timeout; 0: none */
    int64_t answer_timeout_us;  /* to each statement; then the connection is broken. 0: for ever */
    bool is_for_writing;        /* a standby, or a server made read-only, is refused */
    leat_url_fn current_url;    /* asked for at each connect instead of url; NULL: url */
    void *url_context;
};

struct leat_pg_connection {
    PGconn *conn;
    bool is_read_committed; /* by the defaults of the role and the database */
    bool is_pooled;    /* PQbackendPID differs from pg_backend_pid(): a pooler stands between */
    int backend_pid;   /* of the server; behind a pooler: of whichever backend answered first */
    bool is_lost;      /* an answer did not come in time */
    bool is_read_only; /* it refused to write (25006): another server may be the primary by now */
    int64_t answer_timeout_us;
    char *settings_sql; /* behind a pooler: what each transaction begins with; else NULL */
};

/* Waits at most connect_timeout_us for each host. *ret is set only on success. */
int leat_pg_connect(const struct leat_pg_options *options,
                    struct leat_pg_connection **ret_connection, struct leat_error *err);
void leat_pg_close(struct leat_pg_connection *connection); /* NULL is fine */
/* "host:port/database", as it was reached. */
void leat_pg_place(const struct leat_pg_connection *connection, struct leat_buf *out);
/* Also true when the server turned out to be read-only: connecting again may find the right one. */
bool leat_pg_is_broken(const struct leat_pg_connection *connection);

/* Parameters of one statement. Binary ones are borrowed until it was sent. */
struct leat_pg_parameters {
    int count;
    Oid types[LEAT_PG_PARAMETERS];
    const char *values[LEAT_PG_PARAMETERS];
    int lengths[LEAT_PG_PARAMETERS];
    int formats[LEAT_PG_PARAMETERS];
    char numbers[LEAT_PG_PARAMETERS][8];
};
void leat_pg_parameters_init(struct leat_pg_parameters *parameters);
void leat_pg_add_text(struct leat_pg_parameters *parameters, const char *text); /* NULL: null */
void leat_pg_add_null(struct leat_pg_parameters *parameters, Oid type);
void leat_pg_add_int8(struct leat_pg_parameters *parameters, int64_t number);
void leat_pg_add_array(struct leat_pg_parameters *parameters, Oid array_type,
                       const struct leat_buf *array);
/* Text of a slice: the bytes need a zero behind their end. */
void leat_pg_add_slice(struct leat_pg_parameters *parameters, struct leat_slice text);

/* One statement, binary result; *ret_result is the caller's (PQclear), NULL allowed. */
int leat_pg_execute(struct leat_pg_connection *connection, const char *sql,
                    const struct leat_pg_parameters *parameters, PGresult **ret_result,
                    struct leat_error *err);
/* In pieces: sent, and asked for an answer until the deadline (monotonic µs; INT64_MAX: for ever). *ret_result NULL: there is
   none yet. For a transaction that is open already. */
int leat_pg_send(struct leat_pg_connection *connection, const char *sql,
                 const struct leat_pg_parameters *parameters, struct leat_error *err);
int leat_pg_answer(struct leat_pg_connection *connection, int64_t deadline_us,
                   PGresult **ret_result, struct leat_error *err);
/* Waits until libpq has something to tell, or the deadline. False: it passed, and the connection is broken. */
bool leat_pg_wait(struct leat_pg_connection *connection, int64_t deadline_us);
/* Sends what is waiting to be sent. False: the deadline passed, and the connection is broken, or it was. */
bool leat_pg_flush(struct leat_pg_connection *connection, int64_t deadline_us);
/* Several statements in one text, without parameters. One that opens a transaction begins with BEGIN. */
int leat_pg_script(struct leat_pg_connection *connection, const char *sql, struct leat_error *err);

/* Fills err from a failed result (sqlstate, one line, primary message) with what was tried in front. */
int leat_pg_error(struct leat_error *err, const PGresult *result, const PGconn *conn,
                  const char *what);
/* The user's own code raised it, whatever its SQLSTATE means elsewhere. */
bool leat_pg_is_raised(const PGresult *result);
/* A name is not found inside a function, a trigger's for example: it may be there for a session with another search_path. */
bool leat_pg_is_missing_inside(const PGresult *result);
/* The same, and remembers that the server is read-only where that is what it says. */
int leat_pg_refused(struct leat_error *err, const PGresult *result,
                    struct leat_pg_connection *connection, const char *what);

#endif
