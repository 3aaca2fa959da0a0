/* validate, config, plugin and db as processes: what they say and their exit codes, with real servers behind --connect. */
#include <json-c/json.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"
#include "local/kinesis.h"
#include "local/s3.h"
#include "postgres/connection.h"
#include "support/postgres.h"
#include "support/program.h"

#include <check.h>

static char folder[] = "/tmp/leat-commands-XXXXXX";
static char file[80], url[200], other_url[200], plugin[600];
static struct program_run run;
static struct leat_error err;

#define LEAT(...) leat((const char *const[]){__VA_ARGS__, NULL})

static void
leat(const char *const *arguments)
{
    program_run_release(&run);
    program_run(&run, NULL, arguments);
}

static const char *
out(void)
{
    return leat_buf_text(&run.out);
}

/* Without the place of the file, which is another at each run. */
static const char *
said(void)
{
    static struct leat_buf text;
    const char *next = leat_buf_text(&run.err);

    leat_buf_release(&text);
    leat_buf_init(&text, SIZE_MAX);
    while (*next != '\0') {
        if (strncmp(next, file, strlen(file)) == 0) {
            leat_buf_add_text(&text, "FILE");
            next += strlen(file);
        } else {
            leat_buf_add_byte(&text, (unsigned char)*next++);
        }
    }
    return leat_buf_text(&text);
}

static void write_file(const char *format, ...) LEAT_PRINTF(1, 2);

static void
write_file(const char *format, ...)
{
    FILE *stream = fopen(file, "w");
    va_list arguments;

    ck_assert_ptr_nonnull(stream);
    va_start(arguments, format);
    vfprintf(stream, format, arguments);
    va_end(arguments);
    fclose(stream);
}

/* A good one: leases in one database, rows in another. */
static void
write_good(void)
{
    write_file(
        "application: weather\n"
        "database: '%s'\n"
        "streams: [{ name: events, file: %s }]\n"
        "processors:\n"
        "- name: rollup\n"
        "  plugin: rollup\n"
        "  options: { keys: 'device:int64', window: 1m }\n"
        "  target: { plugin: postgres, url: '%s', options: { tables: { rollup: minutes } } }\n"
        "archive: { url: 'file://%s/archive' }\n",
        url, file, other_url, folder);
}

static void
sql(const char *database, const char *text)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = database, .application_name = "test"};
    struct leat_pg_connection *connection;

    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_pg_script(connection, text, &err) == 0, "%s", err.text);
    leat_pg_close(connection);
}

static void
setup(void)
{
    static int databases;
    char name[40];

    snprintf(name, sizeof name, "lease_%d_%d", (int)getpid(), ++databases);
    test_postgres_database(name, url, sizeof url);
    snprintf(name, sizeof name, "rows_%d_%d", (int)getpid(), databases);
    test_postgres_database(name, other_url, sizeof other_url);
    write_good();
}

static void
teardown(void)
{
    program_run_release(&run);
}

/* ---- validate ------------------------------------------------------------------------------ */

START_TEST(a_good_one_is_ok)
{
    LEAT("validate", "-c", file);
    ck_assert_str_eq(said(), "");
    ck_assert_str_eq(out(), "ok\n");
    ck_assert_int_eq(run.code, 0);
}
END_TEST

START_TEST(mistakes_of_the_file_are_told)
{
    write_file("aplication: x\n");
    LEAT("validate", "-c", file, "--set", "log.level=inof");
    ck_assert_int_eq(run.code, 2);
    ck_assert_ptr_nonnull(strstr(said(), "FILE:1:1: there is no key \"aplication\", did you mean"));
    ck_assert_ptr_nonnull(strstr(said(), "\n--set log.level: log.level: there is no choice"));
    ck_assert_str_eq(out(), "");
}
END_TEST

START_TEST(mistakes_of_options_have_their_place)
{
    setenv("LEAT_PROCESSORS__ROLLUP__OPTIONS__WINDOW", "soon", 1);
    write_file("application: weather\n"
               "database: x\n"
               "streams: [s]\n"
               "processors:\n"
               "- name: rollup\n"
               "  plugin: rollup\n"
               "  options: { kyes: a }\n"
               "  target: { plugin: postgres, options: { schema: [a] } }\n"
               "- name: nope\n"
               "  plugin: nowhere\n"
               "  target: { plugin: rollup }\n"
               "- name: secretive\n"
               "  plugin: %s\n"
               "  target: { plugin: postgres }\n"
               "- name: opens\n"
               "  plugin: rollup\n"
               "  options: { keys: a:b }\n"
               "  target: { plugin: postgres }\n"
               "archive: { url: 's3://b' }\n",
               plugin);
    LEAT("validate", "-c", file, "--set", "processors.rollup.options.value=v", "--set",
         "processors.rollup.options.tabel=t", "--set", "processors.secretive.options.credential=c");
    unsetenv("LEAT_PROCESSORS__ROLLUP__OPTIONS__WINDOW");
    ck_assert_int_eq(run.code, 2);
    ck_assert_ptr_nonnull(strstr(said(), "environment LEAT_PROCESSORS__ROLLUP__OPTIONS__WINDOW: "
                                         "processor \"rollup\": option \"window\": \"soon\""));
    ck_assert_ptr_nonnull(strstr(
        said(),
        "FILE:7:20: processor \"rollup\": there is no option \"kyes\", did you mean \"keys\"?"));
    ck_assert_ptr_nonnull(strstr(said(), "--set processors.rollup.options.tabel: processor "
                                         "\"rollup\": there is no option \"tabel\""));
    ck_assert_ptr_nonnull(strstr(said(), "FILE:8:50: target of processor \"rollup\": option "
                                         "\"schema\" takes one value, not a list"));
    ck_assert_ptr_nonnull(
        strstr(said(), "FILE:9:3: processor \"nope\": could not find plugin \"nowhere\""));
    ck_assert_ptr_nonnull(strstr(said(), "FILE:11:11: target of processor \"nope\": plugin"));
    ck_assert_ptr_nonnull(
        strstr(said(), "FILE:12:3: processor \"secretive\": option \"needed\" is missing: a time"));
    ck_assert_ptr_nonnull(strstr(said(), "--set processors.secretive.options.credential: processor "
                                         "\"secretive\": a secret does not belong"));
    ck_assert_ptr_nonnull(strstr(
        said(), "FILE:15:3: processor \"opens\" could not be opened: option \"keys\": \"a:b\""));
}
END_TEST

/* A worker judges what validate judges as validate does: a script that starts one need not tell two numbers apart. */
START_TEST(a_worker_refuses_what_validate_refuses)
{
    static const char *const processors[] = {
        "plugin: nowhere, target: { plugin: postgres }",
        "plugin: 'null', options: { x: y }, target: { plugin: postgres }",
        "plugin: rollup, options: { keys: 'a:b' }, target: { plugin: postgres }",
        "plugin: 'null', target: { plugin: nowhere }",
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(processors); i++) {
        write_file("application: weather\ndatabase: '%s'\nstreams: [{ name: e, file: %s }]\n"
                   "processors: [{ name: p, %s }]\narchive: { url: 'file://%s/archive' }\n",
                   url, file, processors[i], folder);
        LEAT("validate", "-c", file);
        ck_assert_int_eq(run.code, 2);
        LEAT("worker", "-c", file);
        ck_assert_msg(run.code == 2, "%s: %d: %s", processors[i], run.code, said());
    }
}
END_TEST

START_TEST(databases_are_asked)
{
    LEAT("validate", "-c", file, "--connect");
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(said(), "lease database: the lease schema has version 0"));
    ck_assert_ptr_nonnull(
        strstr(said(), "\ntarget of processor \"rollup\": the target schema has version 0"));
    ck_assert_ptr_nonnull(strstr(
        said(), "\ntarget of processor \"rollup\": table \"public\".\"minutes\" is missing"));
    LEAT("db", "migrate", "-c", file);
    ck_assert_msg(run.code == 0, "%s", said());
    LEAT("db", "ddl", "-c", file);
    ck_assert_msg(run.code == 0, "%s", said());
    sql(other_url, out());
    LEAT("validate", "-c", file, "--connect");
    ck_assert_str_eq(said(), "");
    ck_assert_str_eq(out(), "ok\n");
    ck_assert_int_eq(run.code, 0);
    sql(other_url, "ALTER TABLE minutes ALTER count TYPE text, DROP COLUMN last");
    LEAT("validate", "-c", file, "--connect");
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(said(), "column \"count\" is text, the processor writes bigint"));
    ck_assert_ptr_nonnull(strstr(said(), "has no column \"last\": ALTER TABLE"));
}
END_TEST

START_TEST(a_target_without_transactions_wants_progress_in_the_lease_database)
{
    write_file("application: weather\ndatabase: '%s'\nstreams: [{ name: e, file: %s }]\n"
               "processors: [{ name: p, plugin: rollup, target: { plugin: jsonl, options: { path: "
               "%s/rows } } }]\narchive: { url: 'file://%s' }\n",
               url, file, folder, folder);
    LEAT("db", "migrate", "-c", file, "--role", "lease");
    ck_assert_msg(run.code == 0, "%s", said());
    LEAT("validate", "-c", file, "--connect");
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(said(), "lease database: the target schema has version 0"));
    LEAT("db", "migrate", "-c", file);
    LEAT("validate", "-c", file, "--connect");
    ck_assert_msg(run.code == 0, "%s", said());
}
END_TEST

START_TEST(what_is_not_there_is_told)
{
    write_file("application: weather\ndatabase: { url_file: %s/no-url }\n"
               "streams: [{ name: e, file: %s/no-file }]\n"
               "processors: [{ name: p, plugin: rollup, target: { plugin: jsonl, options: { path: "
               "%s/rows } } }]\narchive: { url: "
               "'file://%s/archive/{application}/{stream}/' }\n",
               folder, folder, folder, file);
    LEAT("validate", "-c", file);
    ck_assert_int_eq(run.code, 0);
    LEAT("validate", "-c", file, "--connect");
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(said(), "lease database: url_file: could not read"));
    ck_assert_ptr_nonnull(strstr(said(), "stream \"e\": file "));
    ck_assert_ptr_nonnull(
        strstr(said(), "archive: folder \"FILE/archive/\" cannot be written: Not a directory"));
}
END_TEST

START_TEST(streams_and_bucket_are_asked)
{
    struct leat_local_kinesis_options kinesis_options = {0};
    struct leat_local_s3_options s3_options = {0};
    struct leat_local_kinesis *kinesis = leat_local_kinesis_new(&kinesis_options, &err);
    struct leat_local_s3 *s3 = leat_local_s3_new(&s3_options, &err);
    char kinesis_set[120], s3_set[120];

    ck_assert_msg(kinesis != NULL && s3 != NULL, "%s", err.text);
    ck_assert_int_eq(leat_local_kinesis_create_stream(kinesis, "there", 1, &err), 0);
    ck_assert_int_eq(leat_local_s3_create_bucket(s3, "bucket", &err), 0);
    setenv("AWS_ACCESS_KEY_ID", "id", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "key", 1);
    snprintf(kinesis_set, sizeof kinesis_set, "aws.endpoints.kinesis=%s",
             leat_local_kinesis_endpoint(kinesis));
    snprintf(s3_set, sizeof s3_set, "aws.endpoints.s3=%s", leat_local_s3_endpoint(s3));
    write_file("application: weather\ndatabase: '%s'\n"
               "streams: [there, 'arn:aws:kinesis:us-east-1:1:stream/gone']\n"
               "processors: [{ name: p, plugin: rollup, target: { plugin: jsonl, options: { path: "
               "%s/rows } } }]\narchive: { url: 's3://nobucket/x' }\n"
               "dead_letters: { stream: there-dlq }\n",
               url, folder);
    LEAT("db", "migrate", "-c", file);
    LEAT("validate", "-c", file, "--connect", "--set", kinesis_set, "--set", s3_set);
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(said(), "archive: "));
    ck_assert_ptr_nonnull(strstr(said(), "nobucket"));
    ck_assert_ptr_nonnull(strstr(said(), "stream \"arn:aws:kinesis:us-east-1:1:stream/gone\": "));
    ck_assert_ptr_nonnull(strstr(said(), "dead-letter stream \"there-dlq\": "));
    ck_assert_ptr_null(strstr(said(), "stream \"there\""));
    LEAT("validate", "-c", file, "--connect", "--set", kinesis_set, "--set", s3_set, "--set",
         "streams.1=there-too", "--set", "dead_letters.stream=", "--set",
         "archive.url=s3://bucket");
    ck_assert_int_eq(run.code, 1);
    ck_assert_int_eq(leat_local_kinesis_create_stream(kinesis, "there-too", 1, &err), 0);
    LEAT("validate", "-c", file, "--connect", "--set", kinesis_set, "--set", s3_set, "--set",
         "streams.1=there-too", "--set", "dead_letters.stream=", "--set",
         "archive.url=s3://bucket");
    ck_assert_msg(run.code == 0, "%s", said());
    LEAT("validate", "-c", file, "--connect", "--set", kinesis_set, "--set", s3_set, "--set",
         "streams.1=th*-*", "--set", "dead_letters.stream=", "--set", "archive.url=s3://bucket");
    ck_assert_msg(run.code == 0, "%s", said());
    ck_assert_str_eq(leat_buf_text(&run.out), "stream \"th*-*\" matches now: there-too\nok\n");
    LEAT("validate", "-c", file, "--connect", "--set", kinesis_set, "--set", s3_set, "--set",
         "streams.1=th*-*", "--set", "dead_letters.stream=there-too", "--set",
         "archive.url=s3://bucket");
    ck_assert_str_eq(leat_buf_text(&run.out), "stream \"th*-*\" matches now: no stream\nok\n");
    LEAT("validate", "-c", file, "--connect", "--set", kinesis_set, "--set", s3_set, "--set",
         "streams.1=arn:aws:kinesis:eu-west-1:000000000000:stream/there-too", "--set",
         "dead_letters.stream=", "--set", "archive.url=s3://bucket");
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(said(), "check region and account"));
    leat_local_s3_free(s3);
    leat_local_kinesis_free(kinesis);
}
END_TEST

/* ---- config -------------------------------------------------------------------------------- */

START_TEST(values_are_shown_and_secrets_are_not)
{
    write_file(
        "application: weather\n"
        "database: postgresql://leat:hidden@db/leat\n"
        "streams: [s]\n"
        "processors:\n"
        "- { name: a, plugin: '%s', options: { credential: hidden, needed: 1ms },\n"
        "    target: { plugin: postgres, options: { schema: shown } } }\n"
        "- { name: b, plugin: nowhere, options: { any: hidden }, target: { plugin: nowhere } "
        "}\n"
        "archive: { url: 's3://b' }\n",
        plugin);
    setenv("LEAT_LOG__LEVEL", "debug", 1);
    LEAT("config", "show", "--origin", "-c", file, "--set", "memory.budget=64MiB");
    unsetenv("LEAT_LOG__LEVEL");
    ck_assert_int_eq(run.code, 0);
    ck_assert_ptr_null(strstr(out(), "hidden"));
    ck_assert_ptr_nonnull(strstr(out(), "postgresql://leat:***@db/leat"));
    ck_assert_ptr_nonnull(strstr(out(), "      credential: \"***\""));
    ck_assert_ptr_nonnull(strstr(out(), "      needed: \"1ms\""));
    ck_assert_ptr_nonnull(strstr(out(), "      any: \"***\""));
    ck_assert_ptr_nonnull(strstr(out(), "        schema: shown"));
    ck_assert_ptr_nonnull(strstr(out(), "  budget: 64MiB  # --set\n"));
    ck_assert_ptr_nonnull(strstr(out(), "  level: debug  # environment LEAT_LOG__LEVEL\n"));
    ck_assert_ptr_nonnull(strstr(said(), "processor \"b\": a plugin could not be loaded"));
    ck_assert_ptr_null(strstr(said(), "hidden"));
    LEAT("config", "show", "-o", "json", "-c", file, "--set", "memory.budget=64MiB");
    ck_assert_int_eq(run.code, 0);
    ck_assert_ptr_null(strstr(out(), "hidden"));
    ck_assert_ptr_nonnull(strstr(
        out(), "{\"property\":\"memory.budget\",\"value\":\"64MiB\",\"origin\":\"--set\"}\n"));
    ck_assert_ptr_nonnull(
        strstr(out(), "{\"property\":\"processors.0.target.options.schema\",\"value\":\"shown\","));
    ck_assert_ptr_nonnull(
        strstr(out(), "{\"property\":\"leases.notify\",\"value\":true,\"origin\":\"default\"}\n"));
    for (size_t line = 0; line < program_run_lines(&run); line++)
        json_object_put(program_run_json(&run, line));
    LEAT("config", "show", "-o", "xml", "-c", file);
    ck_assert_int_eq(run.code, 2);
}
END_TEST

static void
ck_hidden(const char *const *arguments)
{
    static const char *const pieces[] = {"hunter2", "xyzzy", "2secret"};

    leat(arguments);
    for (size_t i = 0; i < LEAT_COUNT_OF(pieces); i++)
        ck_assert_msg(strstr(out(), pieces[i]) == NULL && strstr(said(), pieces[i]) == NULL,
                      "leat %s: %s%s", arguments[0], out(), said());
}

#define CK_HIDDEN(...) ck_hidden((const char *const[]){__VA_ARGS__, NULL})

/* What libpq reads otherwise than its author thought, or cannot read at all: its own texts quote what is in front of it. */
START_TEST(passwords_of_odd_urls_are_not_shown)
{
    static const char *const urls[] = {
        "postgresql://leat:hunter2'x@127.0.0.1:1/leat",
        "postgresql://leat:hunter2%zz@127.0.0.1:1/leat",
        "postgresql://leat:hunter2/xyzzy@127.0.0.1:1/leat",
        "postgresql://leat:1/hunter2@127.0.0.1:1/leat",
        "postgresql://leat:xyzzy@hunter2@127.0.0.1:1/leat",
        "postgresql://leat@127.0.0.1:1/leat?pasword=hunter2",
        "host=127.0.0.1 password=my hunter2secret",
        "host=127.0.0.1 port=1 password='hunter2",
        "host=127.0.0.1 port=hunter2",
        "leat:hunter2@127.0.0.1/leat",
        "postgresql:leat:hunter2@127.0.0.1:1/leat",
        "user=leat;password=hunter2;host=127.0.0.1",
        "host=127.0.0.1,password=hunter2 port=1",
        "host=leat:hunter2@127.0.0.1 port=1",
    };
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    LEAT_AUTO_BUF set = LEAT_BUF_INIT;

    leat_buf_printf(&path, "%s/url", folder);
    leat_buf_printf(&set, "database.url=%s", urls[_i]);
    CK_HIDDEN("worker", "-c", file, "--set", leat_buf_text(&set));
    ck_assert_int_eq(run.code, 2);
    CK_HIDDEN("db", "status", "--database", urls[_i]);
    ck_assert_int_eq(run.code, 2);
    CK_HIDDEN("shards", "--database", urls[_i]);
    ck_assert_int_eq(run.code, 2);
    write_file("application: weather\ndatabase: { url_file: %s }\n"
               "streams: [{ name: e, file: %s }]\n"
               "processors: [{ name: p, plugin: 'null', target: { plugin: postgres } }]\n"
               "archive: { url: 'file://%s/archive' }\n",
               leat_buf_text(&path), file, folder);
    for (int way = 0; way < 2; way++) {
        if (way == 0) {
            FILE *stream = fopen(leat_buf_text(&path), "w");

            fprintf(stream, "%s\n", urls[_i]);
            fclose(stream);
        } else {
            unlink(leat_buf_text(&path));
            setenv("LEAT_DATABASE__URL", urls[_i], 1);
        }
        CK_HIDDEN("config", "show", "--origin", "-c", file);
        CK_HIDDEN("validate", "--connect", "-c", file);
        ck_assert_int_ne(run.code, 0);
        CK_HIDDEN("db", "status", "-c", file);
        ck_assert_int_ne(run.code, 0);
        CK_HIDDEN("leases", "-c", file);
        ck_assert_int_ne(run.code, 0);
    }
    unsetenv("LEAT_DATABASE__URL");
}
END_TEST

START_TEST(schema_and_reference_are_printed)
{
    struct json_object *schema;

    LEAT("config", "schema");
    ck_assert_int_eq(run.code, 0);
    ck_assert_int_eq(leat_json_parse(leat_buf_slice(&run.out), &schema, &err), 0);
    json_object_put(schema);
    LEAT("config", "reference");
    ck_assert_int_eq(run.code, 0);
    ck_assert_ptr_nonnull(strstr(out(), "| `application` | text | required |"));
}
END_TEST

/* ---- plugin -------------------------------------------------------------------------------- */

START_TEST(the_page_of_metrics_is_what_the_program_prints)
{
    FILE *page = fopen("docs/metrics.md", "r");
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    char piece[4096];
    size_t got;

    ck_assert_ptr_nonnull(page);
    while ((got = fread(piece, 1, sizeof piece, page)) > 0)
        leat_buf_add(&text, piece, got);
    fclose(page);
    LEAT("metrics");
    ck_assert_int_eq(run.code, 0);
    ck_assert_msg(
        strcmp(out(), leat_buf_text(&text)) == 0,
        "docs/metrics.md is not what `leat metrics` prints: leat metrics >docs/metrics.md");
    LEAT("metrics", "x");
    ck_assert_int_eq(run.code, 2);
}
END_TEST

START_TEST(a_plugin_says_what_it_is)
{
    struct json_object *info, *option;
    struct leat_slice text = leat_slice_from("");

    LEAT("plugin", "info", plugin, "-o", "json");
    ck_assert_msg(run.code == 0, "%s", said());
    info = program_run_json(&run, 0);
    ck_assert(leat_json_get_text(info, "kind", &text) && leat_slice_is(text, "processor"));
    ck_assert(leat_json_get_text(info, "name", &text) && leat_slice_is(text, "secretive"));
    option = json_object_array_get_idx(leat_json_get(info, "options"), 1);
    ck_assert(leat_json_get_text(option, "type", &text) && leat_slice_is(text, "duration"));
    ck_assert(json_object_get_boolean(leat_json_get(option, "required")));
    json_object_put(info);
    LEAT("plugin", "info", "postgres");
    ck_assert_int_eq(run.code, 0);
    ck_assert_ptr_nonnull(strstr(out(), "target postgres "));
    ck_assert_ptr_nonnull(strstr(out(), "transactional: exactly once"));
    ck_assert_ptr_nonnull(strstr(out(), "\nschema  text  public"));
    LEAT("plugin", "info", "print");
    ck_assert_ptr_nonnull(strstr(out(), "\ntable "));
    ck_assert_ptr_nonnull(strstr(out(), "COLUMN"));
    LEAT("plugin", "info", "nowhere");
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(said(), "could not find plugin \"nowhere\""));
}
END_TEST

/* ---- db ------------------------------------------------------------------------------------ */

START_TEST(every_database_is_migrated_once)
{
    LEAT("db", "migrate", "-c", file);
    ck_assert_msg(run.code == 0, "%s", said());
    ck_assert_ptr_nonnull(strstr(out(), "lease: "));
    ck_assert_ptr_nonnull(strstr(out(), "target: "));
    sql(url, "SELECT 1 FROM leat.leases, leat.progress");
    sql(other_url, "SELECT 1 FROM leat.progress");
    sql(other_url, "DO $$ BEGIN ASSERT to_regclass('leat.leases') IS NULL; END $$");
    LEAT("db", "status", "-c", file);
    ck_assert_int_eq(run.code, 0);
    ck_assert_ptr_null(strstr(out(), "run `leat db migrate`"));
    LEAT("db", "migrate", "-c", file);
    ck_assert_ptr_nonnull(strstr(out(), "lease: 0 migrations applied"));
    /* One database for both is gone to once. */
    LEAT("db", "status", "-c", file, "--set", "processors.rollup.target.url=");
    ck_assert_uint_eq(program_run_lines(&run), 3);
    LEAT("db", "status", "-c", file, "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 3); /* lease and target here, target there */
    ck_assert_ptr_nonnull(strstr(out(), "\"role\":\"lease\",\"version\":"));
    ck_assert_ptr_nonnull(strstr(out(), "\"state\":\"ok\"}"));
    /* The configuration may come from the environment, too: then its targets are meant as well. */
    setenv("LEAT_CONFIG", file, 1);
    LEAT("db", "status", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 3);
    LEAT("db", "migrate");
    ck_assert_int_eq(run.code, 0);
    ck_assert_ptr_nonnull(strstr(out(), "target: 0 migrations applied"));
    unsetenv("LEAT_CONFIG");
    LEAT("db", "status");
    ck_assert_int_eq(run.code, 2);
}
END_TEST

START_TEST(one_that_is_down_does_not_keep_the_other_from_it)
{
    LEAT("db", "migrate", "-c", file, "--set", "database.url=host=127.0.0.1 port=1");
    ck_assert_int_eq(run.code, 3);
    ck_assert_ptr_nonnull(strstr(said(), "could not connect"));
    sql(other_url, "SELECT 1 FROM leat.progress");
}
END_TEST

START_TEST(ddl_is_of_one_or_all)
{
    LEAT("db", "ddl", "-c", file, "--processor", "rollup");
    ck_assert_int_eq(run.code, 0);
    ck_assert_ptr_nonnull(strstr(out(), "CREATE TABLE \"public\".\"minutes\""));
    ck_assert_ptr_nonnull(strstr(out(), "\"device\" bigint"));
    LEAT("db", "ddl", "-c", file, "--processor", "rolup");
    ck_assert_int_eq(run.code, 2);
    ck_assert_str_eq(said(),
                     "leat db: there is no processor \"rolup\", did you mean \"rollup\"?\n");
}
END_TEST

/* What is printed is enough for a role that has nothing. */
START_TEST(grants_are_enough_to_write)
{
    LEAT("db", "ddl", "-c", file);
    sql(other_url, out());
    LEAT("db", "migrate", "-c", file);
    ck_assert_int_eq(run.code, 0);
    LEAT("db", "grants", "-c", file, "--user", "writ\"er", "--role", "target");
    ck_assert_msg(run.code == 0, "%s", said());
    ck_assert_ptr_nonnull(strstr(out(), "GRANT SELECT, INSERT, UPDATE, DELETE ON "
                                        "\"public\".\"minutes\" TO \"writ\"\"er\";"));
    sql(other_url, "DROP ROLE IF EXISTS \"writ\"\"er\"; CREATE ROLE \"writ\"\"er\"");
    sql(other_url, out());
    sql(other_url,
        "SET ROLE \"writ\"\"er\"; DELETE FROM public.minutes; UPDATE public.minutes SET device "
        "= device; SELECT 1 FROM leat.progress; SELECT 1 / "
        "has_table_privilege('public.minutes', 'INSERT')::int");
    sql(other_url, "DROP OWNED BY \"writ\"\"er\"; DROP ROLE \"writ\"\"er\"");
    LEAT("db", "grants", "--user", "x");
    ck_assert_int_eq(run.code, 0);
    ck_assert_ptr_null(strstr(out(), "minutes"));
}
END_TEST

/* A letter that the encoding lacks would stop the ledger for ever. */
START_TEST(another_encoding_is_refused)
{
    char latin[200];
    LEAT_AUTO_BUF set = LEAT_BUF_INIT;
    const char *name = strstr(url, "dbname=") + strlen("dbname=");

    sql(url, "DROP DATABASE IF EXISTS latin");
    sql(url, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    snprintf(latin, sizeof latin, "%.*slatin", (int)(name - url), url);
    LEAT("db", "migrate", "--database", latin);
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(said(), "its encoding is LATIN1, leat needs UTF8"));
    leat_buf_printf(&set, "database.url=%s", latin);
    LEAT("validate", "--connect", "-c", file, "--set", leat_buf_text(&set));
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(said(), "lease database: cannot use postgres"));
    sql(url, "DROP DATABASE latin");
}
END_TEST

/* A disk that is full makes half a file of it: that is no success, whichever command it was. */
START_TEST(what_cannot_be_printed_is_not_done)
{
    static const char *const commands[] = {"db ddl",        "db grants --user x", "config show",
                                           "config schema", "plugin info rollup", "metrics",
                                           "version",       "--version",          "--help",
                                           "put --help",    "worker --help"};
    const char *build = getenv("LEAT_BUILD");

    write_good();
    setenv("LEAT_CONFIG", file, 1);
    for (size_t i = 0; i < LEAT_COUNT_OF(commands); i++) {
        LEAT_AUTO_BUF line = LEAT_BUF_INIT;

        leat_buf_printf(&line, "%s/leat %s >/dev/full 2>/dev/null",
                        build != NULL ? build : "build/test", commands[i]);
        ck_assert_msg(WEXITSTATUS(system(leat_buf_text(&line))) == 1, "%s", commands[i]);
        leat_buf_clear(&line);
        leat_buf_printf(&line, "%s/leat %s >&- 2>/dev/null", build != NULL ? build : "build/test",
                        commands[i]);
        ck_assert_msg(WEXITSTATUS(system(leat_buf_text(&line))) == 1, "%s", commands[i]);
    }
    unsetenv("LEAT_CONFIG");
}
END_TEST

START_TEST(usage)
{
    static const char *const commands[] = {"validate", "config", "plugin", "db"};

    for (size_t i = 0; i < LEAT_COUNT_OF(commands); i++) {
        LEAT(commands[i], "--help");
        ck_assert_int_eq(run.code, 0);
        ck_assert_uint_gt(run.out.size, 200);
        LEAT(commands[i], "what", "is", "this");
        ck_assert_int_eq(run.code, 2);
    }
    unsetenv("LEAT_CONFIG");
    LEAT("validate");
    ck_assert_int_eq(run.code, 2);
    ck_assert_str_eq(said(), "leat validate: no configuration given: -c FILE, or LEAT_CONFIG\n");
    setenv("LEAT_CONFIG", file, 1);
    LEAT("validate");
    ck_assert_int_eq(run.code, 0);
    LEAT("db", "status", "-c", file, "--database", "x");
    ck_assert_int_eq(run.code, 2);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_good_one_is_ok,
        mistakes_of_the_file_are_told,
        mistakes_of_options_have_their_place,
        a_worker_refuses_what_validate_refuses,
        databases_are_asked,
        a_target_without_transactions_wants_progress_in_the_lease_database,
        what_is_not_there_is_told,
        streams_and_bucket_are_asked,
        values_are_shown_and_secrets_are_not,
        schema_and_reference_are_printed,
        the_page_of_metrics_is_what_the_program_prints,
        a_plugin_says_what_it_is,
        every_database_is_migrated_once,
        one_that_is_down_does_not_keep_the_other_from_it,
        ddl_is_of_one_or_all,
        grants_are_enough_to_write,
        another_encoding_is_refused,
        what_cannot_be_printed_is_not_done,
        usage,
    };
    const char *build = getenv("LEAT_BUILD");
    Suite *suite = suite_create("integration/commands_config");
    TCase *all = tcase_create("all");
    SRunner *runner;
    int failed;

    test_postgres_url(); /* before the tests are forked */
    unsetenv("LEAT_DATABASE__URL");
    LEAT_ASSERT(mkdtemp(folder) != NULL);
    snprintf(file, sizeof file, "%s/leat.yaml", folder);
    snprintf(plugin, sizeof plugin, "%s/badplugins/secretive.so",
             build != NULL ? build : "build/test");
    tcase_set_timeout(all, 60);
    tcase_add_checked_fixture(all, setup, teardown);
    for (size_t i = 0; i < LEAT_COUNT_OF(tests); i++)
        tcase_add_test(all, tests[i]);
    tcase_add_loop_test(all, passwords_of_odd_urls_are_not_shown, 0, 14);
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    unlink(file);
    rmdir(folder);
    return failed != 0;
}
