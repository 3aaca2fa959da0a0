/* --database, -c and -o, for the commands that show rows of leat's own tables. */
#ifndef LEAT_WORKER_DATABASE_OPTIONS_H
#define LEAT_WORKER_DATABASE_OPTIONS_H

#include <getopt.h>

#include "postgres/connection.h"
#include "worker/setup.h"
#include "worker/table.h"

enum leat_database_role { LEAT_DATABASE_LEASE = 0, LEAT_DATABASE_TARGET = 1 };

struct leat_database_options {
    const char *command; /* for messages */
    const char *url;     /* --database; NULL: not given */
    enum leat_output output;
    const char *application; /* --application; NULL: the configuration's, else all */
    const char *processor;   /* --processor: in a configuration it says which target */
    struct leat_setup_arguments setup;
    struct leat_config *config;
    struct leat_buf resolved; /* the URL */
};

enum {
    LEAT_DATABASE_URL = 0x2000,
    LEAT_DATABASE_APPLICATION,
    LEAT_DATABASE_CONFIG,
    LEAT_DATABASE_SET
};
#define LEAT_DATABASE_LETTERS "c:o:"
#define LEAT_DATABASE_LONG_OPTIONS                                                                 \
    {"database", required_argument, NULL, LEAT_DATABASE_URL},                                      \
        {"application", required_argument, NULL, LEAT_DATABASE_APPLICATION},                       \
        {"output", required_argument, NULL, 'o'},                                                  \
        {"config", required_argument, NULL, LEAT_DATABASE_CONFIG},                                 \
    {                                                                                              \
        "set", required_argument, NULL, LEAT_DATABASE_SET                                          \
    }
#define LEAT_DATABASE_HELP                                                                         \
    "  --application NAME  one application's (default: the configuration's, else all)\n"           \
    "  --database URL   URI or conninfo; default: the configuration's, else\n"                     \
    "                   $LEAT_DATABASE__URL. Passwords by libpq's own means (PGPASSFILE, "         \
    "service\n"                                                                                    \
    "                   files), not on a command line\n" LEAT_SETUP_HELP LEAT_OUTPUT_HELP

/* 0: taken; an exit code; -1: not one of these. */
int leat_database_options_take(struct leat_database_options *options, int letter,
                               const char *argument);
/* Which database, and whose rows: reads the configuration when there is need. Returns an exit code. Release in any case. */
int leat_database_resolve(struct leat_database_options *options, enum leat_database_role role);
/* True, and said: --database URL with a password, one that is empty or cannot be parsed. Command lines are seen by everybody. */
bool leat_database_argument_refused(const char *command, const char *url);
void leat_database_options_release(struct leat_database_options *options);

/*
 * Connects, checks that the role's schema is one that this program knows, runs the one statement, gives its rows. Returns an
 * exit code; *ret_result (PQclear) only with LEAT_EXIT_OK. Says what went wrong itself.
 */
int leat_database_query(struct leat_database_options *options, enum leat_database_role role,
                        const char *sql, const struct leat_pg_parameters *parameters,
                        PGresult **ret_result);
/* The result as a sheet on standard output. Clears it. Returns an exit code. */
int leat_database_show(const struct leat_database_options *options,
                       const struct leat_sheet_column *columns, size_t column_count,
                       PGresult *result);

#endif
