/*
 * `leat validate`: all that is wrong with a configuration, before a worker is started with it. First what can be known here:
 * the file, the plugins, their options and tables; with --connect also what the other sides say. Nothing is changed there.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/kinesis.h"
#include "aws/s3.h"
#include "base/memory.h"
#include "plugin/loader.h"
#include "postgres/migrate.h"
#include "stream/spec.h"
#include "worker/matches.h"
#include "worker/setup.h"
#include "worker/target_name.h"
#include "worker/table.h"

struct validating {
    const struct leat_config *config;
    struct leat_setup_processor *processors;
    size_t problems; /* of the configuration */
    size_t failures; /* of the other sides */
};

static void
help(void)
{
    fputs("leat validate: everything that is wrong with a configuration, one line each\n\n"
          "  leat validate -c leat.yaml\n"
          "  leat validate -c leat.yaml --set memory.budget=512MiB --connect\n\n"
          "  --connect          also ask the lease database, the targets, the archive and the "
          "streams\n" LEAT_SETUP_HELP "\nExit codes: 0 ok, 1 one of the other sides is not as "
          "it has to be, 2 the configuration is wrong\n",
          stdout);
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse(int argc, char **argv, struct leat_setup_arguments *arguments, bool *ret_connects)
{
    static const struct option options[] = {
        LEAT_SETUP_LONG,
        {"connect", no_argument, NULL, 'C'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;

    while ((letter = getopt_long(argc, argv, LEAT_SETUP_LETTERS "h", options, NULL)) != -1) {
        if (letter == 'C')
            *ret_connects = true;
        else if (!leat_setup_argument(arguments, letter, optarg))
            return letter == 'h' ? -1 : LEAT_EXIT_USAGE;
    }
    if (optind != argc) {
        fprintf(stderr, "leat validate: what is \"%s\"? It takes options alone\n", argv[optind]);
        return LEAT_EXIT_USAGE;
    }
    return 0;
}

/* ---- what can be known here ---------------------------------------------------------------- */

static void
tell_problem(void *context, const char *line)
{
    ((struct validating *)context)->problems++;
    leat_setup_report(NULL, line);
}

static void
check_processor(struct validating *validating, size_t index)
{
    struct leat_setup_processor *setup = &validating->processors[index];
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;
    struct leat_error err;
    void *instance;

    if (leat_setup_processor_init(setup, validating->config, index, tell_problem, validating) !=
        0) {
        /* Half of it is of no use to what comes. */
        setup->plugin = NULL;
        return;
    }
    if (leat_setup_tables(setup, &leat_setup_host, &instance, &err) != NULL) {
        leat_setup_tables_release(setup, instance);
        return;
    }
    setup->plugin = NULL;
    leat_buf_printf(&line, "%s:%d:%d: %s", validating->config->file, setup->config->line,
                    setup->config->column, err.text);
    tell_problem(validating, leat_buf_text(&line));
}

/* ---- what the other sides say -------------------------------------------------------------- */

static void fail_check(struct validating *validating, const char *format, ...) LEAT_PRINTF(2, 3);

static void
fail_check(struct validating *validating, const char *format, ...)
{
    va_list arguments;

    validating->failures++;
    va_start(arguments, format);
    leat_vprint(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/* Progress of targets without transactions is kept in the lease database. */
static bool
wants_progress(const struct validating *validating)
{
    for (size_t i = 0; i < validating->config->processor_count; i++) {
        const struct leat_target *target = validating->processors[i].target;

        if (target != NULL && !target->is_transactional)
            return true;
    }
    return false;
}

/* Against what has been committed to so far: a worker would refuse another target by name. */
static void
check_registration(struct validating *validating, const struct leat_setup_processor *setup,
                   const char *registered)
{
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    LEAT_AUTO_BUF found = LEAT_BUF_INIT;
    struct leat_error err;

    if (setup->target->is_transactional
            ? leat_setup_target_url(validating->config, setup->config, &url, &err) != 0
            : leat_setup_database_url(validating->config, &url, &err) != 0)
        return; /* told with the target */
    leat_target_name(setup->target, leat_buf_text(&url), &found);
    if (!leat_target_name_is_same(registered, leat_buf_text(&found)))
        fail_check(validating,
                   "target of processor \"%s\": this is %s, and the processor has committed to %s: "
                   "mend its url, or say `leat processors retarget %s` if that one was rebuilt",
                   setup->config->name, leat_buf_text(&found), registered, setup->config->name);
}

static void
check_registrations(struct validating *validating, struct leat_pg_connection *connection)
{
    struct leat_pg_parameters parameters;
    struct leat_error err;
    PGresult *result;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, validating->config->application);
    if (leat_pg_execute(connection,
                        "SELECT processor::text, target_id FROM leat.processors WHERE application "
                        "= $1",
                        &parameters, &result, &err) != 0) {
        fail_check(validating, "lease database: %s", err.text);
        return;
    }
    for (size_t i = 0; i < validating->config->processor_count; i++) {
        const struct leat_setup_processor *setup = &validating->processors[i];

        for (int row = 0; setup->plugin != NULL && row < PQntuples(result); row++) {
            if (strcmp(PQgetvalue(result, row, 0), setup->config->name) == 0)
                check_registration(validating, setup, PQgetvalue(result, row, 1));
        }
    }
    PQclear(result);
}

static void
check_database(struct validating *validating)
{
    struct leat_pg_options options = {.application_name = "leat validate", .is_for_writing = true};
    struct leat_pg_connection *connection;
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    struct leat_error err;

    if (leat_setup_database_url(validating->config, &url, &err) != 0) {
        fail_check(validating, "lease database: %s", err.text);
        return;
    }
    options.url = leat_buf_text(&url);
    if (leat_pg_connect(&options, &connection, &err) != 0) {
        fail_check(validating, "lease database: %s", err.text);
        return;
    }
    if (leat_schema_check(connection, "lease", &err) != 0)
        fail_check(validating, "lease database: %s", err.text);
    else
        check_registrations(validating, connection);
    if (wants_progress(validating) && leat_schema_check(connection, "target", &err) != 0)
        fail_check(validating, "lease database: %s", err.text);
    leat_pg_close(connection);
}

struct describing {
    struct validating *validating;
    const char *processor;
};

static void
tell_mismatch(void *context, const char *text)
{
    const struct describing *describing = context;

    fail_check(describing->validating, "target of processor \"%s\": %s", describing->processor,
               text);
}

static void
describe_target(struct validating *validating, struct leat_setup_processor *setup,
                const struct leat_table *tables)
{
    struct describing describing = {validating, setup->config->name};
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    struct leat_error err;
    void *target;

    if (leat_setup_target_url(validating->config, setup->config, &url, &err) != 0 ||
        leat_setup_target_open(setup, validating->config, leat_buf_text(&url), &target, &err) !=
            0) {
        tell_mismatch(&describing, err.text);
        return;
    }
    if (setup->target->describe != NULL &&
        setup->target->describe(target, tables, tell_mismatch, &describing, &err) != 0)
        tell_mismatch(&describing, err.text);
    setup->target->close(target);
}

static void
check_target(struct validating *validating, struct leat_setup_processor *setup)
{
    const struct leat_table *tables;
    struct leat_error err;
    void *instance;

    if (setup->plugin == NULL)
        return; /* told */
    tables = leat_setup_tables(setup, &leat_setup_host, &instance, &err);
    if (tables == NULL) {
        fail_check(validating, "%s", err.text);
        return;
    }
    describe_target(validating, setup, tables);
    leat_setup_tables_release(setup, instance);
}

/* A worker makes the folder: so it, or the nearest above it that is there, has to be one that can be written. */
static void
check_folder(struct validating *validating, const char *path)
{
    LEAT_AUTO_FREE char *folder = leat_strdup(path);
    size_t size = strlen(folder);

    while (size > 1 && access(folder, F_OK) != 0 && errno == ENOENT) {
        while (size > 1 && folder[size - 1] != '/')
            size--;
        while (size > 1 && folder[size - 1] == '/')
            size--;
        folder[size] = '\0';
    }
    if (access(folder, W_OK | X_OK) != 0)
        fail_check(validating, "archive: folder \"%s\" cannot be written: %s", folder,
                   strerror(errno));
}

static void
check_archive(struct validating *validating, const struct leat_aws *aws)
{
    const char *url = validating->config->archive_url;
    bool is_folder = strncmp(url, "file://", 7) == 0;
    const char *begin = url + (is_folder ? 7 : 5);
    LEAT_AUTO_FREE char *place =
        leat_slice_strdup(leat_slice_make(begin, strcspn(begin, is_folder ? "{" : "/")));
    struct leat_error err;
    struct leat_s3 *s3;

    if (is_folder) {
        check_folder(validating, place);
        return;
    }
    s3 = leat_s3_new(aws, &err);
    if (s3 == NULL || leat_s3_head_bucket(s3, place, &err) != 0)
        fail_check(validating, "archive: %s", err.text);
    leat_s3_free(s3);
}

static void
check_stream(struct validating *validating, struct leat_kinesis *kinesis, const char *what,
             const char *name)
{
    struct leat_kinesis_summary summary;
    struct leat_error err;

    if (leat_kinesis_describe_stream_summary(kinesis, leat_stream_spec_name(name), &summary,
                                             &err) != 0)
        fail_check(validating, "%s \"%s\": %s", what, name, err.text);
    else if (!leat_stream_spec_matches(name, leat_stream_spec_name(name), summary.arn))
        fail_check(validating, "%s \"%s\" has the ARN %s here: check region and account", what,
                   name, summary.arn);
    else if (strcmp(summary.status, "DELETING") == 0)
        fail_check(validating, "%s \"%s\" is being deleted", what, name);
}

/* A pattern without a stream is no mistake: they may come while the worker runs. */
static void
show_matches(struct validating *validating, struct leat_kinesis *kinesis)
{
    LEAT_AUTO_BUF matches = LEAT_BUF_INIT;
    struct leat_error err;

    if (leat_matches(kinesis, validating->config, &matches, &err) != 0)
        fail_check(validating, "streams: %s", err.text);
    else
        leat_print(stdout, "%s", leat_buf_text(&matches));
}

static void
check_streams(struct validating *validating, const struct leat_aws *aws)
{
    const struct leat_config *config = validating->config;
    struct leat_kinesis *kinesis = NULL;
    bool is_asked = config->dead_letter_stream != NULL;
    struct leat_error err;

    for (size_t i = 0; i < config->stream_count; i++) {
        const struct leat_config_stream *stream = &config->streams[i];

        is_asked = is_asked || stream->file == NULL;
        if (stream->file != NULL && access(stream->file, R_OK) != 0)
            fail_check(validating, "stream \"%s\": file \"%s\" cannot be read: %s", stream->name,
                       stream->file, strerror(errno));
    }
    if (!is_asked)
        return;
    kinesis = leat_kinesis_new(aws, LEAT_KINESIS_AUTO, &err);
    if (kinesis == NULL) {
        fail_check(validating, "streams: %s", err.text);
        return;
    }
    if (leat_has_patterns(config))
        show_matches(validating, kinesis);
    for (size_t i = 0; i < config->stream_count; i++) {
        if (config->streams[i].file == NULL &&
            !leat_stream_spec_is_pattern(config->streams[i].name))
            check_stream(validating, kinesis, "stream", config->streams[i].name);
    }
    if (config->dead_letter_stream != NULL)
        check_stream(validating, kinesis, "dead-letter stream", config->dead_letter_stream);
    leat_kinesis_free(kinesis);
}

static void
check_other_sides(struct validating *validating)
{
    struct leat_aws aws;

    leat_setup_aws_init(&aws, validating->config);
    /* Somebody waits for the answer. */
    aws.timeout_us = 10 * INT64_C(1000000);
    aws.retry.maximum_attempts = 2;
    aws.retry.budget_us = 10 * INT64_C(1000000);
    check_database(validating);
    for (size_t i = 0; i < validating->config->processor_count; i++)
        check_target(validating, &validating->processors[i]);
    check_archive(validating, &aws);
    check_streams(validating, &aws);
    leat_setup_aws_release(&aws);
}

static int
validate(const struct leat_setup_arguments *arguments, bool connects)
{
    struct validating validating = {0};
    struct leat_config *config;
    int code = leat_setup_load(arguments, "validate", &config);

    if (code != LEAT_EXIT_OK)
        return code;
    validating.config = config;
    validating.processors = LEAT_NEW_ARRAY(struct leat_setup_processor, config->processor_count);
    for (size_t i = 0; i < config->processor_count; i++)
        check_processor(&validating, i);
    if (connects)
        check_other_sides(&validating);
    for (size_t i = 0; i < config->processor_count; i++)
        leat_setup_processor_release(&validating.processors[i]);
    free(validating.processors);
    leat_config_free(config);
    if (validating.problems > 0)
        return LEAT_EXIT_USAGE;
    if (validating.failures > 0)
        return LEAT_EXIT_FAILED;
    puts("ok");
    return LEAT_EXIT_OK;
}

int
leat_command_validate(int argc, char **argv)
{
    struct leat_setup_arguments arguments = {0};
    bool connects = false;
    int status = parse(argc, argv, &arguments, &connects);

    if (status == -1)
        help();
    else if (status == 0)
        status = validate(&arguments, connects);
    leat_setup_arguments_release(&arguments);
    return status == -1 ? LEAT_EXIT_OK : status;
}
