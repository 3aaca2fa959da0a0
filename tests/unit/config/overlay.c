/* --set over environment over file over default, and what is wrong with either. */
#include "suite.h"

static const char file[] = SMALLEST "memory: { budget: 64MiB }\n";

/* A list of texts, NULL-ended. */
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

START_TEST(test_precedence)
{
    ck_assert_str_eq(suite_make(SMALLEST, NULL, NULL), "");
    ck_assert_int_eq(config->memory_budget_bytes, 256 << 20);
    ck_assert_str_eq(suite_make(file, NULL, NULL), "");
    ck_assert_int_eq(config->memory_budget_bytes, 64 << 20);
    ck_assert_str_eq(suite_make(file, LIST("LEAT_MEMORY__BUDGET=65MiB"), NULL), "");
    ck_assert_int_eq(config->memory_budget_bytes, 65 << 20);
    ck_assert_str_eq(
        suite_make(file, LIST("LEAT_MEMORY__BUDGET=65MiB"), LIST("memory.budget=66MiB")), "");
    ck_assert_int_eq(config->memory_budget_bytes, 66 << 20);
    ck_assert_str_eq(suite_make(file, NULL, LIST("memory.budget=66MiB", "memory.budget=67MiB")),
                     "");
    ck_assert_int_eq(config->memory_budget_bytes, 67 << 20);
}
END_TEST

START_TEST(test_a_bad_value_below_a_good_one_is_not_used)
{
    ck_assert_str_eq(
        suite_make(SMALLEST "memory: { budget: 1 }\n", NULL, LIST("memory.budget=66MiB")), "");
}
END_TEST

START_TEST(test_single_words_at_the_top)
{
    ck_assert_str_eq(
        suite_make(SMALLEST,
                   LIST("LEAT_APPLICATION=other", "LEAT_WORKER_ID=w-1", "LEAT_PLUGIN_PATH=/x",
                        "LEAT_POINTS=a", "LEAT_BUILD=b", "LEAT_TEST_FILTER=c",
                        "LEAT_SERVICE_HOST=10.0.0.1", "LEATHER__X=d", "OTHER=e", "LEAT_"),
                   NULL),
        "");
    ck_assert_str_eq(config->application, "other");
    ck_assert_str_eq(config->worker_id, "w-1");
}
END_TEST

START_TEST(test_items_by_name_and_index)
{
    const struct leat_config_processor *processor;

    ck_assert_str_eq(
        suite_make(SMALLEST, LIST("LEAT_PROCESSORS__ROLLUP__BATCH__BYTES=1MiB"),
                   LIST("processors.0.batch.records=7", "processors.rollup.target.url=x",
                        "streams.observations.start=latest", "streams.1=second",
                        "processors.rollup.streams.0=second", "processors.rollup.lanes=1")),
        "");
    processor = &config->processors[0];
    ck_assert_int_eq(processor->batch_bytes, 1 << 20);
    ck_assert_int_eq(processor->batch_records, 7);
    ck_assert_str_eq(processor->target.url, "x");
    ck_assert_int_eq(config->streams[0].start.kind, LEAT_START_LATEST);
    ck_assert_uint_eq(config->stream_count, 2);
    ck_assert_str_eq(config->streams[1].name, "second");
    ck_assert_uint_eq(processor->stream_count, 1);
    ck_assert_str_eq(processor->streams[0], "second");
}
END_TEST

START_TEST(test_names_as_variables_can_write_them)
{
    static const char text[] = "application: a\ndatabase: x\nstreams: [my.Stream-1, my]\n"
                               "processors:\n"
                               "- { name: roll-up, plugin: p, target: { plugin: t } }\n"
                               "- { name: roll, plugin: p, target: { plugin: t } }\n"
                               "archive: { url: 's3://b' }\n";

    ck_assert_str_eq(
        suite_make(text,
                   LIST("LEAT_PROCESSORS__ROLL_UP__LANES=1", "LEAT_PROCESSORS__ROLL_UP__PLUGIN=up",
                        "LEAT_PROCESSORS__ROLL__PLUGIN=down",
                        "LEAT_STREAMS__MY_STREAM_1__FOLLOW=true"),
                   LIST("streams.my.Stream-1.file=f", "streams.my.file=g")),
        "");
    ck_assert_str_eq(config->processors[0].plugin, "up");
    ck_assert_str_eq(config->processors[1].plugin, "down");
    ck_assert(config->streams[0].follow);
    ck_assert_str_eq(config->streams[0].file, "f");
    ck_assert_str_eq(config->streams[1].file, "g");
}
END_TEST

START_TEST(test_options_of_plugins)
{
    static const char text[] =
        "application: a\ndatabase: x\nstreams: [s]\nprocessors:\n"
        "- { name: p, plugin: p, options: { keys: [a, b], one: 1 }, target: { plugin: t } }\n"
        "archive: { url: 's3://b' }\n";
    const struct leat_config_option *options;

    ck_assert_str_eq(suite_make(text, LIST("LEAT_PROCESSORS__P__OPTIONS__WINDOW=1m"),
                                LIST("processors.p.options.keys.1=c", "processors.p.options.one=2",
                                     "processors.p.target.options.tables.a.b=x=y")),
                     "");
    options = config->processors[0].options;
    ck_assert_uint_eq(config->processors[0].option_count, 3);
    ck_assert(leat_slice_is(options[0].items[1], "c"));
    ck_assert(leat_slice_is(options[1].scalar, "2"));
    ck_assert_str_eq(options[1].origin, "--set processors.p.options.one");
    ck_assert_int_eq(options[1].line, 0);
    ck_assert_str_eq(options[2].name, "window");
    ck_assert_str_eq(options[2].origin, "environment LEAT_PROCESSORS__P__OPTIONS__WINDOW");
    options = config->processors[0].target.options;
    ck_assert_int_eq(options[0].kind, 2);
    ck_assert(leat_slice_is(options[0].items[0], "a.b"));
    ck_assert(leat_slice_is(options[0].items[1], "x=y"));
}
END_TEST

START_TEST(test_shorthands)
{
    ck_assert_str_eq(suite_make(SMALLEST, LIST("LEAT_DATABASE=postgresql://other/x"), NULL), "");
    ck_assert_str_eq(config->database_url, "postgresql://other/x");
    ck_assert_str_eq(suite_make(SMALLEST, LIST("LEAT_DATABASE=x", "LEAT_DATABASE__URL=y"), NULL),
                     "");
    ck_assert_str_eq(config->database_url, "y");
}
END_TEST

START_TEST(test_the_later_of_url_and_url_file_stays)
{
    static const char text[] = "application: a\ndatabase: { url_file: /f }\nstreams: [s]\n"
                               "processors: [{ name: p, plugin: p, target: { plugin: t } }]\n"
                               "archive: { url: 's3://b' }\n";

    ck_assert_str_eq(suite_make(text, LIST("LEAT_DATABASE__URL=postgresql://u:p@h/d"), NULL), "");
    ck_assert_str_eq(config->database_url, "postgresql://u:p@h/d");
    ck_assert_ptr_null(config->database_url_file);
    ck_assert_str_eq(suite_make(text, LIST("LEAT_DATABASE__URL=x"), LIST("database.url_file=/g")),
                     "");
    ck_assert_ptr_null(config->database_url);
    ck_assert_str_eq(config->database_url_file, "/g");
    ck_assert_str_eq(
        suite_make(text, LIST("LEAT_DATABASE__URL=x", "LEAT_DATABASE__URL_FILE=/g"), NULL),
        "environment LEAT_DATABASE__URL_FILE: database: url and url_file exclude each other\n");
}
END_TEST

START_TEST(test_everything_can_come_from_outside)
{
    ck_assert_str_eq(suite_make("",
                                LIST("LEAT_APPLICATION=a", "LEAT_DATABASE__URL=x",
                                     "LEAT_STREAMS__0__NAME=s", "LEAT_ARCHIVE__URL=s3://b"),
                                LIST("processors.0.name=p", "processors.p.plugin=q",
                                     "processors.0.target.plugin=t")),
                     "");
    ck_assert_str_eq(config->streams[0].name, "s");
    ck_assert_str_eq(config->processors[0].plugin, "q");
}
END_TEST

START_TEST(test_values_are_not_expanded)
{
    ck_assert_str_eq(
        suite_make(SMALLEST, LIST("LEAT_WORKER_ID=${NAME}$$"), LIST("plugins.path=$$")), "");
    ck_assert_str_eq(config->worker_id, "${NAME}$$");
    ck_assert_str_eq(config->plugin_path, "$$");
}
END_TEST

START_TEST(test_mistakes)
{
    suite_expect(
        suite_make(SMALLEST,
                   LIST("LEAT_LAESES__EXPIRY=5s", "LEAT_LEASES__EXPIRYY=5s",
                        "LEAT_MEMORY__BUDGET=1", "LEAT_PROCESSORS__ROLUP__LANES=1",
                        "LEAT_LOG=debug", "LEAT_STREAMS=a", "LEAT_X__Y=1",
                        "LEAT_APPLICATION__NAME=1"),
                   LIST("memory", "=1", "memroy.budget=1", "processors.1.lanes=1",
                        "streams.observations.start.x=1", "log.level=inof",
                        "processors.rollup.streams.0.x=1")),
        "environment LEAT_APPLICATION__NAME: application has nothing inside\n"
        "environment LEAT_LAESES__EXPIRY: there is no key \"laeses\", did you mean \"leases\"?\n"
        "environment LEAT_LEASES__EXPIRYY: there is no key \"expiryy\" in leases, did you mean "
        "\"expiry\"?\n"
        "environment LEAT_PROCESSORS__ROLUP__LANES: there is no item \"rolup\" in processors, did "
        "you mean \"rollup\"?\n"
        "environment LEAT_X__Y: there is no key \"x\"\n"
        "environment LEAT_STREAMS: streams takes a list, not one value\n"
        "environment LEAT_MEMORY__BUDGET: memory.budget: \"1\" is no size: the units are B, KiB, "
        "MiB, GiB, KB, MB and GB\n"
        "environment LEAT_LOG: log takes a map, not one value\n"
        "--set memory: write it like --set memory.budget=512MiB\n"
        "--set : write it like --set memory.budget=512MiB\n"
        "--set memroy.budget: there is no key \"memroy\", did you mean \"memory\"?\n"
        "--set processors.rollup.streams.0.x: processors.rollup.streams has nothing inside\n"
        "--set processors.1.lanes: processors.1.name is missing: registered in the lease database: "
        "a renamed processor is a new one\n"
        "--set processors.1.lanes: processors.1.plugin is missing: a name in the plugin path, or a "
        "file\n"
        "--set processors.1.lanes: processors.1.target.plugin is missing: the target: a name in "
        "the plugin path, or a file\n");
}
END_TEST

START_TEST(test_keys_of_options_are_keys)
{
    LEAT_AUTO_BUF set = LEAT_BUF_INIT;

    ck_assert_str_eq(suite_make(SMALLEST, NULL,
                                LIST("processors.0.options.${A}=x", "processors.0.options.a.${A}=x",
                                     "processors.0.options.a.$$=x")),
                     "--set processors.0.options.${A}: processors.rollup.options: a key cannot "
                     "hold a variable\n"
                     "--set processors.0.options.a.${A}: processors.rollup.options.a: a key cannot "
                     "hold a variable\n");
    leat_buf_add_text(&set, "processors.0.options.");
    for (int i = 0; i < 201; i++)
        leat_buf_add_byte(&set, 'x');
    leat_buf_add_text(&set, "=1");
    ck_assert_ptr_nonnull(strstr(suite_make(SMALLEST, NULL, LIST(leat_buf_text(&set))),
                                 "processors.rollup.options: a key has at most 200 bytes\n"));
}
END_TEST

START_TEST(test_values_are_text)
{
    ck_assert_str_eq(suite_make(SMALLEST, LIST("LEAT_WORKER_ID=a\xff"), LIST("http.listen=\xc0")),
                     "environment LEAT_WORKER_ID: this is no UTF-8\n"
                     "--set http.listen: this is no UTF-8\n");
}
END_TEST

START_TEST(test_a_password_is_not_for_the_command_line)
{
    static const char refused[] =
        "--set database.url: a password does not belong on a command line: use url_file, the "
        "environment, or libpq's PGPASSFILE\n";

    ck_assert_str_eq(suite_make(SMALLEST, NULL, LIST("database.url=postgresql://u@h/d")), "");
    ck_assert_str_eq(suite_make(SMALLEST, NULL, LIST("database.url=postgresql://u:p@h/d")),
                     refused);
    ck_assert_str_eq(suite_make(SMALLEST, NULL, LIST("database.url=host=h password=p")), refused);
    ck_assert_str_eq(suite_make(SMALLEST, LIST("LEAT_DATABASE__URL=host=h password=p"), NULL), "");
}
END_TEST

SUITE_MAIN("config/overlay", test_precedence, test_a_bad_value_below_a_good_one_is_not_used,
           test_single_words_at_the_top, test_items_by_name_and_index,
           test_names_as_variables_can_write_them, test_options_of_plugins, test_shorthands,
           test_the_later_of_url_and_url_file_stays, test_everything_can_come_from_outside,
           test_values_are_not_expanded, test_keys_of_options_are_keys, test_values_are_text,
           test_mistakes, test_a_password_is_not_for_the_command_line)
