/* `leat config`: what this configuration comes to and where each value is from; the schema and the reference of all there is. */
#include <getopt.h>
#include <stdio.h>

#include "base/memory.h"
#include "worker/setup.h"

struct config_arguments {
    struct leat_setup_arguments setup;
    const char *action;
    bool with_origin, is_json;
};

static void
help(void)
{
    fputs("leat config: the configuration as leat understands it\n\n"
          "  leat config show -c leat.yaml\n"
          "  leat config show -c leat.yaml --origin --set memory.budget=512MiB\n"
          "  leat config show -c leat.yaml -o json | jq 'select(.origin != \"default\")'\n"
          "  leat config schema >config.schema.json\n"
          "  leat config reference\n\n"
          "show prints every value, secrets masked; schema a JSON Schema for editors; reference a "
          "table of\n"
          "every property in Markdown.\n\n"
          "  --origin           show: where each value comes from\n"
          "  -o yaml|json       show: a configuration that reads back (default), or for each "
          "property an\n"
          "                     object a line: property, value, origin\n" LEAT_SETUP_HELP,
          stdout);
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse(int argc, char **argv, struct config_arguments *arguments)
{
    static const struct option options[] = {
        LEAT_SETUP_LONG,
        {"origin", no_argument, NULL, 'O'},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;

    while ((letter = getopt_long(argc, argv, LEAT_SETUP_LETTERS "o:h", options, NULL)) != -1) {
        if (letter == 'O') {
            arguments->with_origin = true;
        } else if (letter == 'o' && strcmp(optarg, "json") == 0) {
            arguments->is_json = true;
        } else if (letter == 'o' && strcmp(optarg, "yaml") != 0) {
            fprintf(stderr, "leat config: there is no output \"%s\": yaml or json\n", optarg);
            return LEAT_EXIT_USAGE;
        } else if (letter != 'o' && !leat_setup_argument(&arguments->setup, letter, optarg))
            return letter == 'h' ? -1 : LEAT_EXIT_USAGE;
    }
    if (optind + 1 != argc) {
        fputs("leat config: say one of show, schema, reference; see leat config --help\n", stderr);
        return LEAT_EXIT_USAGE;
    }
    arguments->action = argv[optind];
    return 0;
}

static void
discard(void *context, const char *line)
{
}

static bool
is_secret(const struct leat_option *declared, const char *name)
{
    for (; declared != NULL && declared->name != NULL; declared++) {
        if (strcmp(declared->name, name) == 0)
            return (declared->flags & LEAT_OPTION_SECRET) != 0;
    }
    return true; /* nobody knows it */
}

static void
hide_secrets(struct leat_config *config, const struct leat_config_option *options, size_t count,
             const struct leat_option *declared)
{
    for (size_t i = 0; i < count; i++) {
        if (is_secret(declared, options[i].name))
            leat_config_hide(config, &options[i]);
    }
}

/* Which of its options are secrets only a plugin knows; of one that cannot be asked, all are. */
static void
hide_options(struct leat_config *config, size_t index)
{
    const struct leat_config_processor *processor = &config->processors[index];
    struct leat_setup_processor setup;

    if (processor->option_count == 0 && processor->target.option_count == 0)
        return;
    leat_setup_processor_init(&setup, config, index, discard, NULL);
    if ((setup.plugin == NULL && processor->option_count > 0) ||
        (setup.target == NULL && processor->target.option_count > 0))
        fprintf(stderr,
                "leat config: processor \"%s\": a plugin could not be loaded (see leat validate): "
                "its options are masked\n",
                processor->name);
    hide_secrets(config, processor->options, processor->option_count,
                 setup.plugin != NULL ? setup.plugin->options : NULL);
    hide_secrets(config, processor->target.options, processor->target.option_count,
                 setup.target != NULL ? setup.target->options : NULL);
    leat_setup_processor_release(&setup);
}

static int
show(const struct config_arguments *arguments, struct leat_buf *out)
{
    struct leat_config *config;
    int code = leat_setup_load(&arguments->setup, "config", &config);

    if (code != LEAT_EXIT_OK)
        return code;
    for (size_t i = 0; i < config->processor_count; i++)
        hide_options(config, i);
    if (arguments->is_json)
        leat_config_show_json(config, out);
    else
        leat_config_show(config, arguments->with_origin, out);
    leat_config_free(config);
    return LEAT_EXIT_OK;
}

static int
act(const struct config_arguments *arguments)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    int code = LEAT_EXIT_OK;

    if (strcmp(arguments->action, "show") == 0) {
        code = show(arguments, &out);
    } else if (strcmp(arguments->action, "schema") == 0) {
        leat_config_schema(&out);
    } else if (strcmp(arguments->action, "reference") == 0) {
        leat_config_reference(&out);
    } else {
        fprintf(stderr, "leat config: there is no action \"%s\": show, schema or reference\n",
                arguments->action);
        return LEAT_EXIT_USAGE;
    }
    if (fwrite(leat_buf_text(&out), 1, out.size, stdout) != out.size || fflush(stdout) != 0) {
        perror("leat config: standard output");
        return LEAT_EXIT_FAILED;
    }
    return code;
}

int
leat_command_config(int argc, char **argv)
{
    struct config_arguments arguments = {0};
    int status = parse(argc, argv, &arguments);

    if (status == -1)
        help();
    else if (status == 0)
        status = act(&arguments);
    leat_setup_arguments_release(&arguments.setup);
    return status == -1 ? LEAT_EXIT_OK : status;
}
