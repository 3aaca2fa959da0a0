/* See operator.h. Nothing is decided here: what a command shows or changes is in its own file. */
#include "worker/operator.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"
#include "postgres/migrate.h"

#define DEFAULT_WATCH_US (2 * LEAT_SECOND_US)
#define SHORTEST_WATCH_US (200 * LEAT_MS_US)
#define MAXIMUM_LIMIT 1000000
#define OLDEST_SHOWN_US (10 * LEAT_SECOND_US)

int
leat_operator_says(const struct leat_operator *task, int code, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "leat %s: ", task->command->name);
    va_start(arguments, format);
    leat_vprint(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return code;
}

/* ---- options --------------------------------------------------------------------------------- */

static const struct option known_options[] = {
    LEAT_DATABASE_LONG_OPTIONS,
    {"stream", required_argument, NULL, 'S'},
    {"shard", required_argument, NULL, 'X'},
    {"worker", required_argument, NULL, 'W'},
    {"processor", required_argument, NULL, 'p'},
    {"state", required_argument, NULL, 't'},
    {"watch", optional_argument, NULL, 'w'},
    {"since", required_argument, NULL, 'i'},
    {"limit", required_argument, NULL, 'l'},
    {"fence", no_argument, NULL, 'f'},
    {"undo", no_argument, NULL, 'u'},
    {"force", no_argument, NULL, 'F'},
    {"dry-run", no_argument, NULL, 'n'},
    {"all", no_argument, NULL, 'a'},
    {"to", required_argument, NULL, 'T'},
    {"yes", no_argument, NULL, 'y'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const struct {
    int letter;
    unsigned option;
    const char *name;
} option_names[] = {
    {'S', LEAT_TAKES_STREAM, "--stream"}, {'X', LEAT_TAKES_SHARD, "--shard"},
    {'W', LEAT_TAKES_WORKER, "--worker"}, {'p', LEAT_TAKES_PROCESSOR, "--processor"},
    {'t', LEAT_TAKES_STATE, "--state"},   {'w', LEAT_TAKES_WATCH, "--watch"},
    {'i', LEAT_TAKES_SINCE, "--since"},   {'l', LEAT_TAKES_LIMIT, "--limit"},
    {'f', LEAT_TAKES_FENCE, "--fence"},   {'u', LEAT_TAKES_UNDO, "--undo"},
    {'F', LEAT_TAKES_FORCE, "--force"},   {'n', LEAT_TAKES_DRY_RUN, "--dry-run"},
    {'a', LEAT_TAKES_ALL, "--all"},       {'T', LEAT_TAKES_TO, "--to"},
    {'y', LEAT_TAKES_YES, "--yes"},
};

/* "5" is seconds; units may be said. */
static int
parse_watch(struct leat_operator *task, const char *text)
{
    struct leat_error err;
    int64_t seconds;

    task->watch_us = DEFAULT_WATCH_US;
    if (text == NULL)
        return 0;
    if (leat_parse_integer(leat_slice_from(text), &seconds, &err) == 0 && seconds > 0 &&
        seconds <= 86400)
        task->watch_us = seconds * LEAT_SECOND_US;
    else if (leat_parse_duration(leat_slice_from(text), &task->watch_us, &err) != 0 ||
             task->watch_us < SHORTEST_WATCH_US)
        return leat_operator_says(task, LEAT_EXIT_USAGE,
                                  "--watch wants seconds or a time from 200ms, as --watch=5, not "
                                  "\"%s\"",
                                  text);
    return 0;
}

static int
parse_since(struct leat_operator *task, const char *text)
{
    struct leat_error err;

    if (leat_parse_duration(leat_slice_from(text), &task->since_us, &err) == 0 &&
        task->since_us > 0)
        return 0;
    return leat_operator_says(task, LEAT_EXIT_USAGE,
                              "--since wants a time back from now, as 1h or 30m, not \"%s\"", text);
}

static int
parse_limit(struct leat_operator *task, const char *text)
{
    struct leat_error err;

    if (leat_parse_integer(leat_slice_from(text), &task->limit, &err) == 0 && task->limit > 0 &&
        task->limit <= MAXIMUM_LIMIT)
        return 0;
    return leat_operator_says(task, LEAT_EXIT_USAGE,
                              "--limit wants a number from 1 to %d, not \"%s\"", MAXIMUM_LIMIT,
                              text);
}

static int
check_state(const struct leat_operator *task, const char *state)
{
    const char *const *states = task->command->states;
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;
    const char *nearest;

    for (size_t i = 0; states != NULL && states[i] != NULL; i++) {
        if (strcmp(states[i], state) == 0)
            return 0;
        leat_buf_printf(&all, "%s%s", i > 0 ? ", " : "", states[i]);
    }
    nearest = states != NULL ? leat_did_you_mean(state, states) : NULL;
    return leat_operator_says(
        task, LEAT_EXIT_USAGE, "there is no state \"%s\"%s%s%s; there are: %s", state,
        nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
        nearest != NULL ? "\"?" : "", leat_buf_text(&all));
}

/* An option without a check of its own: 0. */
static int
take_option(struct leat_operator *task, int letter, const char *argument)
{
    switch (letter) {
    case 'S':
        task->stream = argument;
        return 0;
    case 'X':
        task->shard = leat_shard_name(argument, task->shard_name);
        return 0;
    case 'W':
        task->worker = argument;
        return 0;
    case 'p':
        task->database.processor = argument;
        return 0;
    case 't':
        task->state = argument;
        return check_state(task, argument);
    case 'w':
        return parse_watch(task, argument);
    case 'i':
        return parse_since(task, argument);
    case 'l':
        return parse_limit(task, argument);
    case 'T':
        task->to = argument;
        return 0;
    default:
        task->is_fence = task->is_fence || letter == 'f';
        task->is_undo = task->is_undo || letter == 'u';
        task->is_forced = task->is_forced || letter == 'F';
        task->is_dry_run = task->is_dry_run || letter == 'n';
        task->is_all = task->is_all || letter == 'a';
        task->is_sure = task->is_sure || letter == 'y';
        return 0;
    }
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse_options(struct leat_operator *task, int argc, char **argv)
{
    int letter, status;

    while ((letter = getopt_long(argc, argv, LEAT_DATABASE_LETTERS "h", known_options, NULL)) !=
           -1) {
        bool is_ours = false;

        if (letter == 'h')
            return -1;
        for (size_t i = 0; i < LEAT_COUNT_OF(option_names); i++) {
            if (option_names[i].letter == letter) {
                task->given |= option_names[i].option;
                is_ours = true;
            }
        }
        status = is_ours ? take_option(task, letter, optarg)
                         : leat_database_options_take(&task->database, letter, optarg);
        if (status != 0)
            return LEAT_EXIT_USAGE; /* getopt has told what it does not know */
    }
    return 0;
}

/* ---- actions --------------------------------------------------------------------------------- */

static int
unknown_action(const struct leat_operator *task, const char *name)
{
    const struct leat_operator_command *command = task->command;
    const char *names[8] = {0}, *nearest;
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;

    LEAT_ASSERT(command->action_count < LEAT_COUNT_OF(names));
    for (size_t i = 0; i < command->action_count; i++) {
        names[i] = command->actions[i].name;
        leat_buf_printf(&all, "%s%s",
                        i == 0                          ? ""
                        : i + 1 < command->action_count ? ", "
                                                        : " or ",
                        names[i]);
    }
    if (name == NULL)
        return leat_operator_says(task, LEAT_EXIT_USAGE, "say %s; see leat %s --help",
                                  leat_buf_text(&all), command->name);
    nearest = leat_did_you_mean(name, names);
    return leat_operator_says(
        task, LEAT_EXIT_USAGE, "what is \"%s\"?%s%s%s It may be %s; see leat %s --help", name,
        nearest != NULL ? " Did you mean \"" : "", nearest != NULL ? nearest : "",
        nearest != NULL ? "\"?" : "", leat_buf_text(&all), command->name);
}

static int
find_action(struct leat_operator *task, int argc, char **argv)
{
    const struct leat_operator_command *command = task->command;
    const char *name = argc > 0 ? argv[0] : command->needs_action ? NULL : command->actions[0].name;

    for (size_t i = 0; i < command->action_count && name != NULL; i++) {
        if (strcmp(command->actions[i].name, name) == 0)
            task->action = &command->actions[i];
    }
    if (task->action == NULL)
        return unknown_action(task, name);
    if ((argc > 0 ? argc - 1 : 0) != task->action->operands)
        return leat_operator_says(task, LEAT_EXIT_USAGE, "usage: leat %s", task->action->usage);
    task->operand = task->action->operands > 0 ? argv[1] : NULL;
    for (size_t i = 0; i < LEAT_COUNT_OF(option_names); i++) {
        if ((task->given & option_names[i].option & ~task->action->takes) != 0)
            return leat_operator_says(
                task, LEAT_EXIT_USAGE, "leat %s %s takes no %s; usage: leat %s", command->name,
                task->action->name, option_names[i].name, task->action->usage);
    }
    return LEAT_EXIT_OK;
}

int
leat_operator_run(int argc, char **argv, const struct leat_operator_command *command)
{
    struct leat_operator task = {.command = command, .out = stdout, .application = LEAT_BUF_INIT};
    int status;

    task.database.command = command->name;
    leat_notify_init(&task.notify, true);
    status = parse_options(&task, argc, argv);
    if (status == -1) {
        command->help();
        status = LEAT_EXIT_OK;
    } else if (status == LEAT_EXIT_OK) {
        status = find_action(&task, argc - optind, argv + optind);
        if (status == LEAT_EXIT_OK)
            status = leat_database_resolve(&task.database, LEAT_DATABASE_LEASE);
        if (status == LEAT_EXIT_OK)
            status = task.action->run(&task);
    }
    leat_pg_close(task.connection);
    leat_buf_release(&task.application);
    leat_notify_release(&task.notify);
    leat_database_options_release(&task.database);
    return status;
}

/* ---- applications ---------------------------------------------------------------------------- */

void
leat_operator_names(const PGresult *names, struct leat_buf *out)
{
    for (int i = 0; i < PQntuples(names); i++) {
        leat_buf_add_text(out, i > 0 ? ", " : "");
        leat_printable(out, leat_slice_from(PQgetvalue(names, i, 0)));
    }
    if (PQntuples(names) == 0)
        leat_buf_add_text(out, "none");
}

void
leat_operator_near(const PGresult *names, const char *word, struct leat_buf *out)
{
    LEAT_AUTO_FREE const char **words =
        leat_alloc_zero((size_t)PQntuples(names) + 1, sizeof *words);
    const char *nearest;

    for (int i = 0; i < PQntuples(names); i++)
        words[i] = PQgetvalue(names, i, 0);
    nearest = leat_did_you_mean(word, words);
    if (nearest != NULL)
        leat_buf_printf(out, ", did you mean \"%s\"?", nearest);
}

static const char applications_sql[] =
    "SELECT application::text FROM leat.applications UNION SELECT application::text FROM "
    "leat.workers UNION SELECT application::text FROM leat.leases ORDER BY 1";

/* --application names one that is there, if there are any. */
static int
check_application(struct leat_operator *task, struct leat_error *err)
{
    const char *wanted = task->database.application;
    LEAT_AUTO_BUF near = LEAT_BUF_INIT;
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;
    PGresult *names;
    bool is_there = false;
    int status;

    if (wanted == NULL)
        return 0;
    status = leat_pg_execute(task->connection, applications_sql, NULL, &names, err);
    if (status != 0)
        return status;
    for (int i = 0; i < PQntuples(names); i++)
        is_there = is_there || strcmp(PQgetvalue(names, i, 0), wanted) == 0;
    if (!is_there && PQntuples(names) > 0) {
        leat_operator_near(names, wanted, &near);
        leat_operator_names(names, &all);
        status = leat_error_set(err, LEAT_E_NOT_FOUND,
                                "there is no application \"%s\" in this database%s; there are: %s",
                                wanted, leat_buf_text(&near), leat_buf_text(&all));
    }
    PQclear(names);
    return status;
}

int
leat_operator_connect(struct leat_operator *task, struct leat_error *err)
{
    char name[64];
    struct leat_pg_options options = {.url = leat_buf_text(&task->database.resolved),
                                      .application_name = name,
                                      .connect_timeout_us = 10 * LEAT_SECOND_US};
    int status;

    if (task->connection != NULL && !leat_pg_is_broken(task->connection))
        return 0;
    leat_pg_close(task->connection);
    task->connection = NULL;
    snprintf(name, sizeof name, "leat %s", task->command->name);
    status = leat_pg_connect(&options, &task->connection, err);
    if (status == 0)
        status = leat_schema_check(task->connection, "lease", err);
    return status != 0 ? status : check_application(task, err);
}

int
leat_operator_application(struct leat_operator *task)
{
    struct leat_error err;
    PGresult *names;
    int code = LEAT_EXIT_OK;

    if (leat_operator_connect(task, &err) != 0)
        return leat_command_failed(task->command->name, &err);
    if (task->database.application == NULL) {
        LEAT_AUTO_BUF all = LEAT_BUF_INIT;

        if (leat_pg_execute(task->connection, applications_sql, NULL, &names, &err) != 0)
            return leat_command_failed(task->command->name, &err);
        leat_operator_names(names, &all);
        if (PQntuples(names) == 1) {
            /* It lives as long as the options. */
            leat_buf_add_text(&task->application, PQgetvalue(names, 0, 0));
            task->database.application = leat_buf_text(&task->application);
        } else {
            code = leat_operator_says(task, LEAT_EXIT_USAGE,
                                      "which application? Say --application NAME; there are: %s",
                                      leat_buf_text(&all));
        }
        PQclear(names);
    }
    task->rows = (struct leat_rows_context){
        .application = task->database.application, .worker_id = "", .notify = &task->notify};
    return code;
}

int
leat_operator_confirm(struct leat_operator *task, const char *question)
{
    char line[16] = "";

    if (task->is_sure)
        return LEAT_EXIT_OK;
    if (isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0)
        return leat_operator_says(task, LEAT_EXIT_USAGE, "%s Say --yes (nobody can be asked here)",
                                  question);
    fprintf(stderr, "%s Type yes: ", question);
    if (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "yes\n") == 0)
        return LEAT_EXIT_OK;
    return leat_operator_says(task, LEAT_EXIT_FAILED, "nothing was changed");
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What workers told is JSON, of which the planner knows no sizes: joined by hash whatever it believes, and never compiled. */
#define BEGIN_READING                                                                              \
    "BEGIN READ ONLY; SET LOCAL statement_timeout = '30s'; SET LOCAL enable_nestloop = off; "      \
    "SET LOCAL enable_mergejoin = off; SET LOCAL work_mem = '64MB'; SET LOCAL jit = off"

/* A lag without its age beside it must be of now. */
static int64_t
oldest_shown_us(const struct leat_operator *task)
{
    if (task->database.output != LEAT_OUTPUT_TABLE)
        return INT64_C(100) * 365 * 86400 * LEAT_SECOND_US;
    return OLDEST_SHOWN_US + 2 * task->watch_us;
}

int
leat_operator_read(struct leat_operator *task, const char *sql, PGresult **ret_result,
                   struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    int status = leat_operator_connect(task, err);

    if (status == 0)
        status = leat_pg_script(task->connection, BEGIN_READING, err);
    if (status != 0)
        return status;
    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, task->database.application);
    leat_pg_add_text(&parameters, task->stream);
    leat_pg_add_text(&parameters, task->shard);
    leat_pg_add_text(&parameters, task->worker);
    leat_pg_add_text(&parameters, task->database.processor);
    leat_pg_add_text(&parameters, task->state);
    leat_pg_add_int8(&parameters, task->since_us);
    leat_pg_add_int8(&parameters, task->limit);
    leat_pg_add_int8(&parameters, oldest_shown_us(task));
    status = leat_pg_execute(task->connection, sql, &parameters, ret_result, err);
    if (!leat_pg_is_broken(task->connection))
        leat_pg_script(task->connection, "ROLLBACK", NULL);
    return status;
}

int
leat_operator_sheet(struct leat_operator *task, const char *sql,
                    const struct leat_sheet_column *columns, size_t column_count,
                    struct leat_error *err)
{
    struct leat_sheet sheet;
    PGresult *result;
    int status = leat_operator_read(task, sql, &result, err);

    if (status != 0)
        return status;
    leat_sheet_init(&sheet, task->database.output, columns, column_count, task->out);
    leat_sheet_result(&sheet, result);
    PQclear(result);
    return leat_sheet_finish(&sheet, err);
}
