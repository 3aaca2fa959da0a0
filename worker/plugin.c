/* `leat plugin info`: what a plugin says of itself. It is loaded, not run. */
#include <getopt.h>
#include <stdio.h>

#include "base/json.h"
#include "base/memory.h"
#include "plugin/loader.h"
#include "worker/command.h"
#include "worker/table.h"

struct plugin_arguments {
    const char *action, *name;
    enum leat_output output;
};

/* Of either kind. */
struct facts {
    const char *kind, *name, *version, *summary;
    uint32_t abi_major, abi_minor;
    const struct leat_option *options;
    const struct leat_table *tables; /* NULL: a target, or made from the options */
    bool is_transactional, makes_tables;
    struct leat_buf file;
};

static void
help(void)
{
    fputs("leat plugin: what a plugin is and takes\n\n"
          "  leat plugin info rollup\n"
          "  leat plugin info ./my.so -o json | jq .options\n\n"
          "A name is looked for in LEAT_PLUGIN_PATH, beside the program and where leat was "
          "installed.\n\n"
          "  -o table|json      for people, or one JSON object (default: table)\n",
          stdout);
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse(int argc, char **argv, struct plugin_arguments *arguments)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;

    while ((letter = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
        if (letter != 'o')
            return letter == 'h' ? -1 : LEAT_EXIT_USAGE;
        if (!leat_output_parse("plugin", optarg, &arguments->output))
            return LEAT_EXIT_USAGE;
    }
    if (optind + 2 != argc || strcmp(argv[optind], "info") != 0) {
        fputs("leat plugin: say info and a plugin's name or file; see leat plugin --help\n",
              stderr);
        return LEAT_EXIT_USAGE;
    }
    arguments->action = argv[optind];
    arguments->name = argv[optind + 1];
    return 0;
}

/* ---- what it says -------------------------------------------------------------------------- */

static const char *
type_name(enum leat_type type)
{
    static const char *const names[] = {
        [LEAT_NULL] = "null",       [LEAT_BOOL] = "bool",           [LEAT_INT64] = "int64",
        [LEAT_FLOAT64] = "float64", [LEAT_DECIMAL] = "decimal",     [LEAT_TEXT] = "text",
        [LEAT_BYTES] = "bytes",     [LEAT_TIMESTAMP] = "timestamp", [LEAT_JSON] = "json"};

    return (size_t)type < LEAT_COUNT_OF(names) && names[type] != NULL ? names[type] : "?";
}

static const char *
rule_name(enum leat_rule rule)
{
    static const char *const names[] = {"set", "key",   "sum",   "min",
                                        "max", "count", "first", "last"};

    return (size_t)rule < LEAT_COUNT_OF(names) ? names[rule] : "?";
}

static const char *
option_type_name(enum leat_option_type type)
{
    static const char *const names[] = {"?",    "text",   "integer", "boolean", "duration",
                                        "size", "choice", "list",    "map"};

    return (size_t)type < LEAT_COUNT_OF(names) ? names[type] : "?";
}

/* A file of one kind lacks the other's symbol: both messages matter, then. */
static int
gather(const char *name, struct facts *facts, struct leat_error *err)
{
    const struct leat_processor *processor;
    const struct leat_target *target;
    struct leat_error other;

    if (leat_plugin_find(NULL, name, &facts->file, err) != 0)
        return err->code;
    if (leat_plugin_load_processor(NULL, name, NULL, &processor, err) == 0) {
        facts->kind = "processor";
        facts->name = processor->name;
        facts->version = processor->version;
        facts->summary = processor->summary;
        facts->abi_major = processor->abi_major;
        facts->abi_minor = processor->abi_minor;
        facts->options = processor->options;
        facts->tables = processor->tables;
        facts->makes_tables = processor->describe != NULL;
        return 0;
    }
    if (leat_plugin_load_target(NULL, name, NULL, &target, &other) != 0) {
        /* A target that is not right says why; else it was to be a processor. */
        if (strstr(other.text, "no symbol") == NULL && strstr(err->text, "no symbol") != NULL)
            *err = other;
        return err->code;
    }
    facts->kind = "target";
    facts->name = target->name;
    facts->version = target->version;
    facts->summary = target->summary;
    facts->abi_major = target->abi_major;
    facts->abi_minor = target->abi_minor;
    facts->options = target->options;
    facts->is_transactional = target->is_transactional;
    return 0;
}

/* ---- for programs -------------------------------------------------------------------------- */

static void
add_options_json(struct leat_json *json, const struct leat_option *option)
{
    leat_json_array(json, "options");
    for (; option != NULL && option->name != NULL; option++) {
        leat_json_object(json, NULL);
        leat_json_text(json, "name", option->name);
        leat_json_text(json, "type", option_type_name(option->type));
        leat_json_text(json, "default", option->default_text);
        leat_json_bool(json, "required", (option->flags & LEAT_OPTION_REQUIRED) != 0);
        leat_json_bool(json, "secret", (option->flags & LEAT_OPTION_SECRET) != 0);
        if (option->minimum != 0 || option->maximum != 0) {
            leat_json_integer(json, "minimum", option->minimum);
            leat_json_integer(json, "maximum", option->maximum);
        }
        if (option->type == LEAT_OPTION_CHOICE) {
            leat_json_array(json, "choices");
            for (size_t i = 0; option->choices[i] != NULL; i++)
                leat_json_text(json, NULL, option->choices[i]);
            leat_json_array_end(json);
        }
        leat_json_text(json, "text", option->text);
        leat_json_object_end(json);
    }
    leat_json_array_end(json);
}

static void
add_columns_json(struct leat_json *json, const struct leat_column *column)
{
    leat_json_array(json, "columns");
    for (; column->name != NULL; column++) {
        leat_json_object(json, NULL);
        leat_json_text(json, "name", column->name);
        leat_json_text(json, "type", type_name(column->type));
        leat_json_text(json, "rule", rule_name(column->rule));
        leat_json_text(json, "order_by", column->order_by);
        leat_json_bool(json, "inexact", (column->flags & LEAT_INEXACT) != 0);
        leat_json_bool(json, "not_null", (column->flags & LEAT_NOT_NULL) != 0);
        leat_json_text(json, "text", column->text);
        leat_json_object_end(json);
    }
    leat_json_array_end(json);
}

static void
write_json(struct facts *facts, struct leat_buf *out)
{
    struct leat_json json;

    leat_json_begin(&json, out);
    leat_json_object(&json, NULL);
    leat_json_text(&json, "kind", facts->kind);
    leat_json_text(&json, "name", facts->name);
    leat_json_text(&json, "version", facts->version);
    leat_json_text(&json, "summary", facts->summary);
    leat_json_text(&json, "file", leat_buf_text(&facts->file));
    leat_json_object(&json, "abi");
    leat_json_integer(&json, "major", facts->abi_major);
    leat_json_integer(&json, "minor", facts->abi_minor);
    leat_json_object_end(&json);
    if (strcmp(facts->kind, "target") == 0)
        leat_json_bool(&json, "transactional", facts->is_transactional);
    else
        leat_json_bool(&json, "tables_from_options", facts->makes_tables);
    add_options_json(&json, facts->options);
    leat_json_array(&json, "tables");
    for (const struct leat_table *table = facts->tables; table != NULL && table->name != NULL;
         table++) {
        leat_json_object(&json, NULL);
        leat_json_text(&json, "name", table->name);
        leat_json_text(&json, "text", table->text);
        add_columns_json(&json, table->columns);
        leat_json_object_end(&json);
    }
    leat_json_array_end(&json);
    leat_json_object_end(&json);
    leat_buf_add_byte(out, '\n');
}

/* ---- for people ---------------------------------------------------------------------------- */

static void
print_options(const struct leat_option *option)
{
    static const struct leat_sheet_column columns[] = {
        {.name = "option"}, {.name = "type"}, {.name = "default"}, {.name = "text"}};
    struct leat_sheet sheet;

    if (option == NULL || option->name == NULL) {
        puts("\nno options");
        return;
    }
    puts("");
    leat_sheet_init(&sheet, LEAT_OUTPUT_TABLE, columns, LEAT_COUNT_OF(columns), stdout);
    for (; option->name != NULL; option++) {
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;

        leat_sheet_text(&sheet, option->name);
        leat_sheet_text(&sheet, option_type_name(option->type));
        leat_sheet_text(&sheet,
                        option->flags & LEAT_OPTION_REQUIRED ? "(required)" : option->default_text);
        leat_buf_add_text(&text, option->text != NULL ? option->text : "");
        for (size_t i = 0; option->type == LEAT_OPTION_CHOICE && option->choices[i] != NULL; i++)
            leat_buf_printf(&text, "%s%s",
                            i > 0           ? " | "
                            : text.size > 0 ? ": "
                                            : "",
                            option->choices[i]);
        if (option->flags & LEAT_OPTION_SECRET)
            leat_buf_add_text(&text, " (secret)");
        leat_sheet_text(&sheet, leat_buf_text(&text));
    }
    leat_sheet_finish(&sheet, NULL);
}

static void
print_table(const struct leat_table *table)
{
    static const struct leat_sheet_column columns[] = {
        {.name = "column"}, {.name = "type"}, {.name = "rule"}, {.name = "text"}};
    struct leat_sheet sheet;

    printf("\ntable %s%s%s\n", table->name, table->text != NULL ? ": " : "",
           table->text != NULL ? table->text : "");
    leat_sheet_init(&sheet, LEAT_OUTPUT_TABLE, columns, LEAT_COUNT_OF(columns), stdout);
    for (const struct leat_column *column = table->columns; column->name != NULL; column++) {
        LEAT_AUTO_BUF rule = LEAT_BUF_INIT;

        leat_buf_add_text(&rule, rule_name(column->rule));
        if (column->order_by != NULL)
            leat_buf_printf(&rule, " by %s", column->order_by);
        if (column->flags & LEAT_INEXACT)
            leat_buf_add_text(&rule, ", inexact");
        if (column->flags & LEAT_NOT_NULL)
            leat_buf_add_text(&rule, ", not null");
        leat_sheet_text(&sheet, column->name);
        leat_sheet_text(&sheet, type_name(column->type));
        leat_sheet_text(&sheet, leat_buf_text(&rule));
        leat_sheet_text(&sheet, column->text);
    }
    leat_sheet_finish(&sheet, NULL);
}

static void
print_facts(struct facts *facts)
{
    printf("%s %s%s%s\n", facts->kind, facts->name, facts->version != NULL ? " " : "",
           facts->version != NULL ? facts->version : "");
    if (facts->summary != NULL)
        printf("%s\n", facts->summary);
    printf("\nABI %u.%u, %s\n", (unsigned)facts->abi_major, (unsigned)facts->abi_minor,
           leat_buf_text(&facts->file));
    if (strcmp(facts->kind, "target") == 0)
        puts(facts->is_transactional ? "transactional: exactly once"
                                     : "not transactional: at least once");
    print_options(facts->options);
    for (const struct leat_table *table = facts->tables; table != NULL && table->name != NULL;
         table++)
        print_table(table);
    if (facts->makes_tables)
        puts("\nits tables are made from its options: `leat db ddl -c FILE` prints them");
}

int
leat_command_plugin(int argc, char **argv)
{
    struct plugin_arguments arguments = {0};
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    struct facts facts = {.file = LEAT_BUF_INIT};
    struct leat_error err;
    int status = parse(argc, argv, &arguments);

    if (status == -1)
        help();
    if (status != 0)
        return status == -1 ? LEAT_EXIT_OK : status;
    status = gather(arguments.name, &facts, &err);
    if (status == 0 && arguments.output == LEAT_OUTPUT_JSON) {
        write_json(&facts, &out);
        fputs(leat_buf_text(&out), stdout);
    } else if (status == 0) {
        print_facts(&facts);
    }
    leat_buf_release(&facts.file);
    return status != 0 ? leat_command_failed("plugin", &err) : LEAT_EXIT_OK;
}
