/*
 * A command that shows rows must not be able to change any: all happens in a read-only transaction that is never committed
 * (settings of the session would be lost, or left to others, behind a pooler).
 */
#include "worker/database_options.h"

#include <stdlib.h>

#include "config/mask.h"
#include "postgres/migrate.h"
#include "worker/command.h"

int
leat_database_options_take(struct leat_database_options *options, int letter, const char *argument)
{
    switch (letter) {
    case LEAT_DATABASE_URL:
        options->url = argument;
        return 0;
    case LEAT_DATABASE_APPLICATION:
        options->application = argument;
        return 0;
    case 'c':
    case LEAT_DATABASE_CONFIG:
        leat_setup_argument(&options->setup, 'c', argument);
        return 0;
    case LEAT_DATABASE_SET:
        leat_setup_argument(&options->setup, 's', argument);
        return 0;
    case 'o':
        return leat_output_parse(options->command, argument, &options->output) ? 0
                                                                               : LEAT_EXIT_USAGE;
    default:
        return -1;
    }
}

void
leat_database_options_release(struct leat_database_options *options)
{
    leat_buf_release(&options->resolved);
    leat_config_free(options->config);
    options->config = NULL;
    leat_setup_arguments_release(&options->setup);
}

bool
leat_database_argument_refused(const char *command, const char *url)
{
    if (url != NULL && *url == '\0') {
        /* "$DATABASE", which is not set: another database than was meant must not do instead. */
        fprintf(stderr, "leat %s: --database is empty\n", command);
        return true;
    }
    if (url == NULL || !leat_url_has_password(url))
        return false;
    fprintf(stderr,
            "leat %s: --database: a password does not belong on a command line: use "
            "LEAT_DATABASE__URL, url_file in a configuration, or libpq's PGPASSFILE\n",
            command);
    return true;
}

/* ---- which database ------------------------------------------------------------------------ */

static const char *
from_environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

/* The named processor's target; unnamed, the one that all of them share. */
static int
target_url(struct leat_database_options *options, struct leat_error *err)
{
    const struct leat_config *config = options->config;
    bool is_found = false;

    for (size_t i = 0; i < config->processor_count; i++) {
        const struct leat_config_processor *processor = &config->processors[i];
        LEAT_AUTO_BUF url = LEAT_BUF_INIT;
        int status;

        if (options->processor != NULL && strcmp(options->processor, processor->name) != 0)
            continue;
        status = leat_setup_target_url(config, processor, &url, err);
        if (status < 0)
            return status;
        if (is_found &&
            !leat_slice_equals(leat_buf_slice(&options->resolved), leat_buf_slice(&url)))
            return leat_error_set(err, LEAT_E_INVALID,
                                  "the processors have several targets: say --processor NAME");
        leat_buf_clear(&options->resolved);
        leat_buf_add_slice(&options->resolved, leat_buf_slice(&url));
        is_found = true;
    }
    if (!is_found)
        return leat_error_set(err, LEAT_E_INVALID, "the configuration has no processor \"%s\"",
                              options->processor != NULL ? options->processor : "");
    return 0;
}

static int
from_configuration(struct leat_database_options *options, enum leat_database_role role)
{
    struct leat_error err;
    int status = leat_setup_load(&options->setup, options->command, &options->config);

    if (status != LEAT_EXIT_OK)
        return status;
    if (options->application == NULL)
        options->application = options->config->application;
    status = role == LEAT_DATABASE_TARGET
                 ? target_url(options, &err)
                 : leat_setup_database_url(options->config, &options->resolved, &err);
    if (status == 0)
        return LEAT_EXIT_OK;
    leat_command_failed(options->command, &err);
    return LEAT_EXIT_USAGE;
}

int
leat_database_resolve(struct leat_database_options *options, enum leat_database_role role)
{
    const char *url = options->url;

    leat_buf_init(&options->resolved, SIZE_MAX);
    if (leat_database_argument_refused(options->command, url))
        return LEAT_EXIT_USAGE;
    if (url == NULL && (options->setup.file != NULL || options->setup.override_count > 0))
        return from_configuration(options, role);
    if (url == NULL)
        url = from_environment("LEAT_DATABASE__URL");
    if (url == NULL && from_environment("LEAT_CONFIG") != NULL)
        return from_configuration(options, role);
    if (url == NULL) {
        fprintf(stderr,
                "leat %s: no database given: --database URL, -c FILE, or LEAT_DATABASE__URL\n",
                options->command);
        return LEAT_EXIT_USAGE;
    }
    leat_buf_add_text(&options->resolved, url);
    return LEAT_EXIT_OK;
}

/* ---- rows ---------------------------------------------------------------------------------- */

static int
query(struct leat_pg_connection *connection, enum leat_database_role role, const char *sql,
      const struct leat_pg_parameters *parameters, PGresult **ret_result, struct leat_error *err)
{
    int status =
        leat_schema_check(connection, role == LEAT_DATABASE_LEASE ? "lease" : "target", err);

    if (status == 0)
        status =
            leat_pg_script(connection, "BEGIN READ ONLY; SET LOCAL statement_timeout = '30s'", err);
    return status < 0 ? status : leat_pg_execute(connection, sql, parameters, ret_result, err);
}

int
leat_database_query(struct leat_database_options *options, enum leat_database_role role,
                    const char *sql, const struct leat_pg_parameters *parameters,
                    PGresult **ret_result)
{
    char name[64];
    struct leat_pg_options wanted = {
        .url = leat_buf_text(&options->resolved),
        .application_name = name,
    };
    struct leat_pg_connection *connection;
    struct leat_error err;
    int status;

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
