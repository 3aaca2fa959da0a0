/* See progress.h. */
#include "worker/progress.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "plugin/loader.h"
#include "postgres/migrate.h"
#include "worker/setup.h"
#include "worker/target_name.h"

int
leat_progress_url(const struct leat_config *config, const struct leat_config_processor *processor,
                  struct leat_buf *ret_url, struct leat_error *err)
{
    struct leat_plugin_path path = {config->plugin_path};
    const struct leat_target *target;

    if (leat_plugin_load_target(&path, processor->target.plugin, processor->target.sha256, &target,
                                err) != 0)
        return leat_error_prefix(err, "target of processor \"%s\"", processor->name);
    if (!target->is_transactional)
        return leat_setup_database_url(config, ret_url, err);
    if (strcmp(target->name, "postgres") != 0)
        return leat_error_set(err, LEAT_E_INVALID,
                              "processor \"%s\": its target \"%s\" keeps progress where only the "
                              "plugin can read it",
                              processor->name, target->name);
    return leat_setup_target_url(config, processor, ret_url, err);
}

int
leat_progress_connect(const char *url, const char *command,
                      struct leat_pg_connection **ret_connection, struct leat_error *err)
{
    char name[64];
    struct leat_pg_options options = {
        .url = url, .application_name = name, .connect_timeout_us = 10 * LEAT_SECOND_US};
    struct leat_pg_connection *connection;
    int status;

    snprintf(name, sizeof name, "leat %s", command);
    status = leat_pg_connect(&options, &connection, err);
    if (status != 0)
        return status;
    status = leat_schema_check(connection, "target", err);
    if (status != 0)
        leat_pg_close(connection);
    else
        *ret_connection = connection;
    return status;
}

int
leat_progress_check_target(struct leat_operator *task,
                           const struct leat_config_processor *processor,
                           struct leat_pg_connection *target, const char *url,
                           struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    LEAT_AUTO_BUF found = LEAT_BUF_INIT;
    PGresult *result;
    int status = leat_operator_connect(task, err);

    if (status == 0)
        status = leat_target_name_by(target, processor->target.plugin, url, &found, err);
    if (status != 0)
        return status;
    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, task->database.application);
    leat_pg_add_text(&parameters, processor->name);
    status = leat_pg_execute(task->connection,
                             "SELECT target_id FROM leat.processors WHERE application = $1 AND "
                             "processor = $2",
                             &parameters, &result, err);
    if (status != 0)
        return status;
    if (PQntuples(result) == 1 &&
        !leat_target_name_is_same(PQgetvalue(result, 0, 0), leat_buf_text(&found)))
        status = leat_error_set(err, LEAT_E_CONFLICT,
                                "processor \"%s\" has committed to %s, and the configuration's "
                                "target is %s: mend its url, or say `leat processors retarget %s` "
                                "if that one was rebuilt",
                                processor->name, PQgetvalue(result, 0, 0), leat_buf_text(&found),
                                processor->name);
    PQclear(result);
    return status;
}
