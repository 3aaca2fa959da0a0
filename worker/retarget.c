/*
 * `leat processors retarget`: a worker refuses a target whose id is not the registered one, since its address may have been mixed up
 * with another's. When the target was rebuilt on purpose somebody has to say so: the configuration's target becomes the registered one.
 * Workers that are still connected to the old one refuse to write there from then on.
 */
#include "worker/retarget.h"

#include <string.h>

#include "lease/rows_operator.h"
#include "plugin/loader.h"
#include "worker/progress.h"
#include "worker/setup.h"
#include "worker/target_name.h"

struct retargeting {
    struct leat_operator *task;
    const struct leat_config_processor *processor;
    struct leat_buf from, to;
};

/* An exit code. */
static int
find_processor(struct retargeting *r)
{
    struct leat_operator *task = r->task;
    const struct leat_config *config = task->database.config;

    if (config == NULL)
        return leat_operator_says(task, LEAT_EXIT_USAGE,
                                  "say -c FILE: the configuration says which target it is now");
    for (size_t i = 0; i < config->processor_count; i++) {
        if (strcmp(config->processors[i].name, task->operand) == 0)
            r->processor = &config->processors[i];
    }
    return r->processor != NULL
               ? LEAT_EXIT_OK
               : leat_operator_says(task, LEAT_EXIT_USAGE,
                                    "the configuration has no processor \"%s\"", task->operand);
}

static int
find_registered(struct retargeting *r)
{
    struct leat_operator *task = r->task;
    struct leat_error err;
    PGresult *rows;
    int code = LEAT_EXIT_OK;

    task->database.processor = task->operand;
    if (leat_operator_read(task,
                           "SELECT target_id FROM leat.processors WHERE application = $1 AND "
                           "processor = $5",
                           &rows, &err) != 0)
        return leat_command_failed(task->command->name, &err);
    if (PQntuples(rows) == 1)
        leat_buf_add_text(&r->from, PQgetvalue(rows, 0, 0));
    else
        code = leat_operator_says(task, LEAT_EXIT_FAILED,
                                  "processor \"%s\" is not registered in application \"%s\": it "
                                  "has never run, and takes whatever target it has then",
                                  task->operand, task->database.application);
    PQclear(rows);
    return code;
}

/* It has to answer: without its id nobody could tell it from the next one. */
static int
ask_target(struct retargeting *r)
{
    struct leat_operator *task = r->task;
    const struct leat_config *config = task->database.config;
    struct leat_plugin_path path = {config->plugin_path};
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    const struct leat_target *plugin;
    struct leat_error err;
    int status = leat_plugin_load_target(&path, r->processor->target.plugin,
                                         r->processor->target.sha256, &plugin, &err);

    if (status == 0)
        status = plugin->is_transactional ? leat_setup_target_url(config, r->processor, &url, &err)
                                          : leat_setup_database_url(config, &url, &err);
    if (status == 0 && (!plugin->is_transactional || strcmp(plugin->name, "postgres") == 0)) {
        struct leat_pg_connection *connection = NULL;

        status = leat_progress_connect(leat_buf_text(&url), task->command->name, &connection, &err);
        if (status == 0)
            status =
                leat_target_name_by(connection, plugin->name, leat_buf_text(&url), &r->to, &err);
        leat_pg_close(connection);
    } else if (status == 0) {
        leat_target_name(plugin, leat_buf_text(&url), &r->to);
    }
    return status == 0 ? LEAT_EXIT_OK : leat_command_failed(task->command->name, &err);
}

static int
retarget(struct retargeting *r)
{
    struct leat_operator *task = r->task;
    struct leat_error err;
    size_t moved = 0;

    if (leat_operator_connect(task, &err) != 0 ||
        leat_rows_set_target(task->connection, &task->rows, task->operand,
                             (const char *[]){leat_buf_text(&r->from), leat_buf_text(&r->to)},
                             &moved, &err) != 0)
        return leat_command_failed(task->command->name, &err);
    return moved == 1 ? leat_operator_says(task, LEAT_EXIT_OK,
                                           "the target of processor \"%s\" is %s from now on",
                                           task->operand, leat_buf_text(&r->to))
                      : leat_operator_says(task, LEAT_EXIT_FAILED,
                                           "the target of processor \"%s\" is not %s any more: the "
                                           "world moved, look again with leat processors -o json",
                                           task->operand, leat_buf_text(&r->from));
}

static int
run(struct retargeting *r)
{
    struct leat_operator *task = r->task;
    int code = find_processor(r);

    if (code == LEAT_EXIT_OK)
        code = leat_operator_application(task);
    if (code == LEAT_EXIT_OK)
        code = find_registered(r);
    if (code == LEAT_EXIT_OK)
        code = ask_target(r);
    if (code != LEAT_EXIT_OK)
        return code;
    if (strcmp(leat_buf_text(&r->from), leat_buf_text(&r->to)) == 0)
        return leat_operator_says(task, LEAT_EXIT_OK,
                                  "processor \"%s\" is registered with this target already: %s",
                                  task->operand, leat_buf_text(&r->to));
    leat_operator_says(task, 0, "processor \"%s\": %s -> %s", task->operand,
                       leat_buf_text(&r->from), leat_buf_text(&r->to));
    leat_operator_says(task, 0,
                       "where that target has no progress of it, the processor reads again from "
                       "where it began: all that the stream still has");
    if (task->is_dry_run)
        return leat_operator_says(task, LEAT_EXIT_OK, "dry run: nothing was changed");
    code = leat_operator_confirm(task, "Is the target another one from now on?");
    return code == LEAT_EXIT_OK ? retarget(r) : code;
}

int
leat_processors_retarget(struct leat_operator *task)
{
    struct retargeting r = {.task = task};
    int code;

    leat_buf_init(&r.from, SIZE_MAX);
    leat_buf_init(&r.to, SIZE_MAX);
    code = run(&r);
    leat_buf_release(&r.from);
    leat_buf_release(&r.to);
    return code;
}
