/* From argv to a configuration, and from that to loaded plugins. What is wrong is told with its place, all of it at once. */
#include "worker/setup.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "stream/position.h"
#include "worker/wait.h"

/* ---- the command line ---------------------------------------------------------------------- */

bool
leat_setup_argument(struct leat_setup_arguments *arguments, int letter, const char *value)
{
    if (letter == 'c') {
        arguments->file = value;
        return true;
    }
    if (letter != 's')
        return false;
    LEAT_GROW(arguments->overrides, arguments->override_count, arguments->override_capacity);
    arguments->overrides[arguments->override_count++].assignment = value;
    return true;
}

void
leat_setup_arguments_release(struct leat_setup_arguments *arguments)
{
    free(arguments->overrides);
    *arguments = (struct leat_setup_arguments){0};
}

void
leat_setup_report(void *context, const char *line)
{
    leat_log_say(line);
}

int
leat_setup_load(const struct leat_setup_arguments *arguments, const char *command,
                struct leat_config **ret_config)
{
    const char *file = arguments->file != NULL ? arguments->file : getenv("LEAT_CONFIG");

    if (file == NULL || *file == '\0') {
        LEAT_AUTO_BUF line = LEAT_BUF_INIT;

        leat_buf_printf(&line, "leat %s: no configuration given: -c FILE, or LEAT_CONFIG", command);
        leat_log_say(leat_buf_text(&line));
        return LEAT_EXIT_USAGE;
    }
    return leat_config_load(file, arguments->overrides, arguments->override_count,
                            leat_setup_report, NULL, ret_config) == 0
               ? LEAT_EXIT_OK
               : LEAT_EXIT_USAGE;
}

/* ---- options ------------------------------------------------------------------------------- */

/* One plugin's options on their way from what is configured to what is declared. */
struct resolving {
    const struct leat_config *config;
    const struct leat_config_option *given;
    size_t given_count;
    const char *what; /* "processor "rollup"", "target of processor "rollup"" */
    int line, column; /* of the processor or target: where something is missing */
    leat_config_report_fn report;
    void *context;
};

static void
tell(const struct resolving *resolving, const char *place, const char *text)
{
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;

    leat_buf_printf(&line, "%s: %s: %s", place, resolving->what, text);
    resolving->report(resolving->context, leat_buf_text(&line));
}

static void
tell_at(const struct resolving *resolving, int line, int column, const char *text)
{
    LEAT_AUTO_BUF place = LEAT_BUF_INIT;

    leat_buf_add_text(&place, resolving->config->file);
    if (line > 0)
        leat_buf_printf(&place, ":%d:%d", line, column);
    tell(resolving, leat_buf_text(&place), text);
}

/* A negative line is the place of an option that is not from the file: see to_raw. */
static void
tell_option(void *context, int line, int column, const char *text)
{
    const struct resolving *resolving = context;

    if (line < 0)
        tell(resolving, resolving->given[-line - 1].origin, text);
    else if (line > 0)
        tell_at(resolving, line, column, text);
    else
        tell_at(resolving, resolving->line, resolving->column, text);
}

/* Environment and --set have no line: the option's number stands in for it, as -1, -2, … */
static struct leat_raw_option *
to_raw(const struct leat_config_option *given, size_t count, struct leat_arena *arena)
{
    static const enum leat_raw_kind kinds[] = {LEAT_RAW_SCALAR, LEAT_RAW_LIST, LEAT_RAW_MAP};
    struct leat_raw_option *raw = leat_arena_alloc_zero(arena, count + 1, sizeof *raw);

    for (size_t i = 0; i < count; i++) {
        raw[i].name = given[i].name;
        raw[i].kind = kinds[given[i].kind];
        raw[i].scalar = given[i].scalar;
        raw[i].items = given[i].items;
        raw[i].item_count = given[i].item_count;
        raw[i].line = given[i].origin != NULL ? -(int)i - 1 : given[i].line;
        raw[i].column = given[i].column;
    }
    return raw;
}

static const struct leat_option *
find_declared(const struct leat_option *declared, const char *name)
{
    for (; declared != NULL && declared->name != NULL; declared++) {
        if (strcmp(declared->name, name) == 0)
            return declared;
    }
    return NULL;
}

/* A command line is seen by everybody on the machine. */
static int
refuse_secrets_by_flag(const struct resolving *resolving, const struct leat_option *declared)
{
    int status = 0;

    for (size_t i = 0; i < resolving->given_count; i++) {
        const struct leat_config_option *given = &resolving->given[i];
        const struct leat_option *option = find_declared(declared, given->name);

        if (option == NULL || !(option->flags & LEAT_OPTION_SECRET) || given->origin == NULL ||
            strncmp(given->origin, "--set", 5) != 0)
            continue;
        tell(resolving, given->origin,
             "a secret does not belong on a command line: use the environment or the file");
        status = LEAT_E_INVALID;
    }
    return status;
}

static int
resolve(struct resolving *resolving, const struct leat_option *declared, struct leat_arena *arena,
        struct leat_options *ret_options)
{
    struct leat_raw_option *raw = to_raw(resolving->given, resolving->given_count, arena);
    int status = refuse_secrets_by_flag(resolving, declared);
    int resolved = leat_options_resolve(declared, raw, resolving->given_count, arena, tell_option,
                                        resolving, ret_options);

    return status != 0 ? status : resolved;
}

/* ---- plugins ------------------------------------------------------------------------------- */

static int
init_processor(struct leat_setup_processor *setup, struct resolving *resolving,
               const struct leat_plugin_path *path)
{
    const struct leat_config_processor *config = setup->config;
    struct leat_error err;

    resolving->given = config->options;
    resolving->given_count = config->option_count;
    resolving->line = config->line;
    resolving->column = config->column;
    if (leat_plugin_load_processor(path, config->plugin, config->sha256, &setup->plugin, &err) !=
        0) {
        tell_option(resolving, 0, 0, err.text);
        return LEAT_E_INVALID;
    }
    return resolve(resolving, setup->plugin->options, &setup->arena, &setup->options);
}

static int
init_target(struct leat_setup_processor *setup, struct resolving *resolving,
            const struct leat_plugin_path *path)
{
    const struct leat_config_target *config = &setup->config->target;
    struct leat_error err;

    resolving->given = config->options;
    resolving->given_count = config->option_count;
    resolving->line = config->line;
    resolving->column = config->column;
    if (leat_plugin_load_target(path, config->plugin, config->sha256, &setup->target, &err) != 0) {
        tell_option(resolving, 0, 0, err.text);
        return LEAT_E_INVALID;
    }
    return resolve(resolving, setup->target->options, &setup->arena, &setup->target_options);
}

int
leat_setup_processor_init(struct leat_setup_processor *setup, const struct leat_config *config,
                          size_t index, leat_config_report_fn report, void *context)
{
    struct leat_plugin_path path = {config->plugin_path};
    struct resolving resolving = {.config = config, .report = report, .context = context};
    int status, target_status;

    *setup = (struct leat_setup_processor){.config = &config->processors[index]};
    leat_arena_init(&setup->arena);
    resolving.what = leat_arena_printf(&setup->arena, "processor \"%s\"", setup->config->name);
    status = init_processor(setup, &resolving, &path);
    resolving.what =
        leat_arena_printf(&setup->arena, "target of processor \"%s\"", setup->config->name);
    target_status = init_target(setup, &resolving, &path);
    return status != 0 ? status : target_status;
}

void
leat_setup_processor_release(struct leat_setup_processor *setup)
{
    leat_arena_release(&setup->arena);
    *setup = (struct leat_setup_processor){0};
}

static const struct leat_table no_tables[] = {LEAT_END};

const struct leat_table *
leat_setup_tables(const struct leat_setup_processor *setup, const struct leat_host *host,
                  void **ret_instance, struct leat_error *err)
{
    const struct leat_processor *plugin = setup->plugin;
    const struct leat_table *tables = plugin->tables;
    void *instance = NULL;

    if (plugin->describe != NULL) {
        if (plugin->open != NULL && plugin->open(host, &setup->options, &instance, err) != 0) {
            leat_error_prefix(err, "processor \"%s\" could not be opened", setup->config->name);
            return NULL;
        }
        tables = plugin->describe(instance);
    }
    if (tables == NULL)
        tables = no_tables;
    if (leat_plugin_check_tables(tables, err) != 0) {
        leat_error_prefix(err, "processor \"%s\"", setup->config->name);
        leat_setup_tables_release(setup, instance);
        return NULL;
    }
    *ret_instance = instance;
    return tables;
}

void
leat_setup_tables_release(const struct leat_setup_processor *setup, void *instance)
{
    if (instance != NULL && setup->plugin->close != NULL)
        setup->plugin->close(instance);
}

int
leat_setup_target_open(const struct leat_setup_processor *setup, const struct leat_config *config,
                       const char *url, void **ret_target, struct leat_error *err)
{
    struct leat_target_context context = {
        .size = sizeof context,
        .application = leat_slice_from(config->application),
        .processor = leat_slice_from(setup->config->name),
        .url = leat_slice_from(url),
    };

    return setup->target->open(&leat_setup_host, &context, &setup->target_options, ret_target, err);
}

/* ---- a host for plugins that are not run --------------------------------------------------- */

static void
host_log(const struct leat_host *host, enum leat_log_level level, const char *text)
{
    if (level <= LEAT_LOG_WARNING)
        fprintf(stderr, "plugin: %s\n", text);
}

static void
host_number(const struct leat_host *host, const char *name, double value)
{
}

static int
host_compare(const struct leat_host *host, struct leat_slice a, struct leat_slice b)
{
    return leat_sequence_order(a, b);
}

static int64_t
host_now(const struct leat_host *host)
{
    return leat_clock_wall_us();
}

const struct leat_host leat_setup_host = {.size = sizeof(struct leat_host),
                                          .log = host_log,
                                          .counter_add = host_number,
                                          .gauge_set = host_number,
                                          .sequence_compare = host_compare,
                                          .now_us = host_now};

/* ---- the other sides ----------------------------------------------------------------------- */

int
leat_setup_database_url(const struct leat_config *config, struct leat_buf *ret_url,
                        struct leat_error *err)
{
    return leat_config_url(config->database_url, config->database_url_file, ret_url, err);
}

int
leat_setup_target_url(const struct leat_config *config,
                      const struct leat_config_processor *processor, struct leat_buf *ret_url,
                      struct leat_error *err)
{
    const struct leat_config_target *target = &processor->target;

    if (target->url == NULL && target->url_file == NULL)
        return leat_setup_database_url(config, ret_url, err);
    return leat_config_url(target->url, target->url_file, ret_url, err);
}

static void
ignore(void *context, const char *line)
{
}

bool
leat_setup_is_right(const struct leat_config *config)
{
    bool is_right = true;

    for (size_t i = 0; i < config->processor_count && is_right; i++) {
        struct leat_setup_processor setup;
        struct leat_error err;
        void *instance;

        is_right = leat_setup_processor_init(&setup, config, i, ignore, NULL) == 0 &&
                   leat_setup_tables(&setup, &leat_setup_host, &instance, &err) != NULL;
        if (is_right)
            leat_setup_tables_release(&setup, instance);
        leat_setup_processor_release(&setup);
    }
    return is_right;
}

void
leat_setup_aws_credentials(struct leat_aws *aws, leat_credentials_event_fn on_event)
{
    const struct leat_credentials_context context = {
        .profile = aws->profile,
        .region = aws->region,
        .endpoint_sts = aws->endpoints[LEAT_SERVICE_STS],
        .ca_bundle = aws->ca_bundle,
        .is_stopped = aws->is_stopped};
    const struct leat_credentials_cache_options options = {.on_event = on_event};

    leat_credentials_provider_free(aws->credentials);
    aws->credentials = leat_credentials_cache_new(leat_credentials_default_new(&context), &options);
}

void
leat_setup_aws_init(struct leat_aws *aws, const struct leat_config *config)
{
    *aws = (struct leat_aws){.region = config->aws_region,
                             .profile = config->aws_profile,
                             .is_stopped = leat_is_stopped};
    aws->endpoints[LEAT_SERVICE_KINESIS] = config->aws_endpoint_kinesis;
    aws->endpoints[LEAT_SERVICE_S3] = config->aws_endpoint_s3;
    aws->endpoints[LEAT_SERVICE_STS] = config->aws_endpoint_sts;
    aws->s3_addressing = config->aws_s3_addressing;
    leat_setup_aws_credentials(aws, NULL);
}

void
leat_setup_aws_release(struct leat_aws *aws)
{
    leat_credentials_provider_free(aws->credentials);
    *aws = (struct leat_aws){0};
}
