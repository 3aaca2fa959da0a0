/*
 * A command that shows rows must not be able to change any: all happens in a read-only transaction that is never committed
 * (settings of the session would be lost, or left to others, behind a pooler).
 */
#include "worker/database_options.h"

#include <stdlib.h>

#include "postgres/migrate.h"
#include "worker/command.h"

static int
query(struct leat_pg_connection *connection, const char *role, const char *sql,
      const struct leat_pg_parameters *parameters, PGresult **ret_result, struct leat_error *err)
{
    int status = leat_schema_check(connection, role, err);

    if (status == 0)
        status =
            leat_pg_script(connection, "BEGIN READ ONLY; SET LOCAL statement_timeout = '30s'", err);
    return status < 0 ? status : leat_pg_execute(connection, sql, parameters, ret_result, err);
}

int
leat_database_query(const struct leat_database_options *options, const char *role, const char *sql,
                    const struct leat_pg_parameters *parameters, PGresult **ret_result)
{
    char name[64];
    struct leat_pg_options wanted = {
        .url = options->url != NULL ? options->url : getenv("LEAT_DATABASE__URL"),
        .application_name = name,
    };
    struct leat_pg_connection *connection;
    struct leat_error err;
    int status;

    if (wanted.url == NULL || *wanted.url == '\0') {
        fprintf(stderr, "leat %s: no database given: --database URL, or LEAT_DATABASE__URL\n",
                options->command);
        return LEAT_EXIT_USAGE;
    }
    snprintf(name, sizeof name, "leat %s", options->command);
    status = leat_pg_connect(&wanted, &connection, &err);
    if (status < 0)
        return leat_command_failed(options->command, &err);
    status = query(connection, role, sql, parameters, ret_result, &err);
    leat_pg_close(connection);
    return status < 0 ? leat_command_failed(options->command, &err) : LEAT_EXIT_OK;
}

int
leat_database_show(const struct leat_database_options *options,
                   const struct leat_sheet_column *columns, size_t column_count, PGresult *result)
{
    struct leat_sheet sheet;
    struct leat_error err;
    int status;

    leat_sheet_init(&sheet, options->output, columns, column_count, stdout);
    leat_sheet_result(&sheet, result);
    PQclear(result);
    status = leat_sheet_finish(&sheet, &err);
    return status < 0 ? leat_command_failed(options->command, &err) : LEAT_EXIT_OK;
}
