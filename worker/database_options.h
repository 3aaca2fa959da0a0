/* --database and -o, for the commands that show rows of leat's own tables. */
#ifndef LEAT_WORKER_DATABASE_OPTIONS_H
#define LEAT_WORKER_DATABASE_OPTIONS_H

#include "postgres/connection.h"
#include "worker/table.h"

struct leat_database_options {
    const char *command; /* for messages */
    const char *url;     /* NULL: $LEAT_DATABASE__URL */
    enum leat_output output;
};
#define LEAT_DATABASE_HELP                                                                         \
    "  --database URL   URI or conninfo; default: $LEAT_DATABASE__URL. Passwords by libpq's own\n" \
    "                   means (PGPASSFILE, service files), not on a command line\n"

/*
 * Connects, checks that the role's schema ("lease", "target") is one that this program knows, runs the one statement, gives its
 * rows. Returns an exit code; *ret_result (PQclear) only with LEAT_EXIT_OK. Says what went wrong itself.
 */
int leat_database_query(const struct leat_database_options *options, const char *role,
                        const char *sql, const struct leat_pg_parameters *parameters,
                        PGresult **ret_result);
/* The result as a sheet on standard output. Clears it. Returns an exit code. */
int leat_database_show(const struct leat_database_options *options,
                       const struct leat_sheet_column *columns, size_t column_count,
                       PGresult *result);

#endif
