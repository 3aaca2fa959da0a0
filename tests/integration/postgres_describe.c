/* The Postgres target as loaded: what it says of tables that are missing, lack a column, have another type or no key. */
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/memory.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "postgres/migrate.h"
#include "support/postgres.h"

#include <check.h> /* last: it defines a macro `fail` */

static const struct leat_column columns[] = {{"device", LEAT_INT64, LEAT_KEY},
                                             {"hour", LEAT_TIMESTAMP, LEAT_KEY},
                                             {"total", LEAT_DECIMAL, LEAT_SUM},
                                             {"name", LEAT_TEXT, LEAT_SET},
                                             LEAT_END};
static const struct leat_table tables[] = {{"hours", columns}, LEAT_END};

static struct leat_error err;
static struct leat_arena arena;
static struct leat_buf told;
static char url[200];
static const struct leat_target *plugin;
static void *target;

static void
tell_option(void *context, int line, int column, const char *text)
{
    ck_abort_msg("%s", text);
}

static void
tell(void *context, const char *text)
{
    leat_buf_printf(&told, "%s\n", text);
}

static void
run(const char *sql)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = url, .application_name = "test"};
    struct leat_pg_connection *connection;
    int applied;

    ck_assert_int_eq(leat_pg_connect(&options, &connection, &err), 0);
    ck_assert_int_eq(leat_schema_migrate(connection, "target", &applied, &err), 0);
    ck_assert_msg(leat_pg_script(connection, sql, &err) == 0, "%s", err.text);
    leat_pg_close(connection);
}

static struct leat_slice pairs[2];
static struct leat_raw_option given_tables = {
    .name = "tables", .kind = LEAT_RAW_MAP, .items = pairs, .item_count = 2};

static void
setup(void)
{
    LEAT_AUTO_BUF file = LEAT_BUF_INIT;
    struct leat_target_context context = {.size = sizeof context,
                                          .application = leat_slice_from("a"),
                                          .processor = leat_slice_from("p")};
    struct leat_options options;
    char name[40];

    pairs[0] = leat_slice_from("hours");
    pairs[1] = leat_slice_from("weather \"hours\"");
    leat_arena_init(&arena);
    leat_buf_init(&told, SIZE_MAX);
    snprintf(name, sizeof name, "describe_%d", (int)getpid());
    test_postgres_database(name, url, sizeof url);
    context.url = leat_slice_from(url);
    leat_buf_printf(&file, "%s/plugins/postgres.so",
                    getenv("LEAT_BUILD") != NULL ? getenv("LEAT_BUILD") : "build/test");
    ck_assert_msg(leat_plugin_load_target(NULL, leat_buf_text(&file), NULL, &plugin, &err) == 0,
                  "%s", err.text);
    ck_assert_int_eq(leat_options_resolve(plugin->options, &given_tables, 1, &arena, tell_option,
                                          NULL, &options),
                     0);
    ck_assert_int_eq(plugin->open(NULL, &context, &options, &target, &err), 0);
}

static void
teardown(void)
{
    plugin->close(target);
    leat_arena_release(&arena);
    leat_buf_release(&told);
}

static const char *
describe(void)
{
    leat_buf_clear(&told);
    ck_assert_msg(plugin->describe(target, tables, tell, NULL, &err) == 0, "%s", err.text);
    return leat_buf_text(&told);
}

static void
write_ddl(void *context, const char *text, size_t size)
{
    leat_buf_add(context, text, size);
}

START_TEST(test_its_own_ddl_is_what_it_wants)
{
    LEAT_AUTO_BUF ddl = LEAT_BUF_INIT;

    run("SELECT 1");
    ck_assert_ptr_nonnull(strstr(describe(), "\"weather \"\"hours\"\"\" is missing"));
    ck_assert_int_eq(plugin->ddl(target, tables, write_ddl, &ddl, &err), 0);
    run(leat_buf_text(&ddl));
    ck_assert_str_eq(describe(), "");
}
END_TEST

START_TEST(test_each_difference_is_named)
{
    const char *text;

    run("CREATE TABLE \"weather \"\"hours\"\"\" (device bigint, hour timestamp, total real, must "
        "int NOT NULL)");
    text = describe();
    ck_assert_msg(strstr(text, "column \"hour\" is timestamp without time zone") != NULL, "%s",
                  text);
    ck_assert_ptr_nonnull(strstr(text, "column \"total\" is real"));
    ck_assert_ptr_nonnull(strstr(text, "has no column \"name\": ALTER TABLE"));
    ck_assert_ptr_nonnull(strstr(text, "column \"must\" is NOT NULL"));
    ck_assert_ptr_nonnull(strstr(text, "no unique index on its key"));
}
END_TEST

/* A domain is what it is made of, and of a domain, too; one that takes no null and has no default is named. */
START_TEST(test_domains_are_what_they_are_made_of)
{
    const char *text;

    run("CREATE DOMAIN id AS bigint CHECK (value > 0); CREATE DOMAIN device_id AS id NOT NULL;"
        "CREATE DOMAIN money2 AS numeric(10, 2); CREATE DOMAIN needed AS int NOT NULL;"
        "CREATE DOMAIN given AS needed DEFAULT 1;"
        "CREATE TABLE \"weather \"\"hours\"\"\" (device device_id, hour timestamptz, total money2, "
        "name text, one given, PRIMARY KEY (device, hour))");
    ck_assert_str_eq(describe(), "");
    run("ALTER TABLE \"weather \"\"hours\"\"\" ADD must needed, DROP total, ADD total device_id");
    text = describe();
    ck_assert_msg(strstr(text, "column \"must\" is NOT NULL") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "column \"total\" is public.device_id (a domain over bigint), the "
                               "processor writes numeric") != NULL,
                  "%s", text);
}
END_TEST

/* Tables that have the right columns and refuse every row all the same. */
static const struct {
    const char *sql, *says;
} refusing[] = {
    {"CREATE TABLE hours (device bigint, hour timestamptz, total numeric, twice numeric, name text "
     "GENERATED ALWAYS AS (device::text) STORED, PRIMARY KEY (device, hour))",
     "column \"name\" is generated"},
    {"CREATE TABLE hours (device bigint GENERATED ALWAYS AS IDENTITY, hour timestamptz, total "
     "numeric, name text, PRIMARY KEY (device, hour))",
     "column \"device\" is GENERATED ALWAYS AS IDENTITY"},
    {"CREATE TABLE hours (device bigint, hour timestamptz, total numeric, name text, PRIMARY KEY "
     "(device, hour) DEFERRABLE)",
     "is DEFERRABLE"},
    {"CREATE TABLE hours (device bigint, hour timestamptz, total numeric, name text, PRIMARY KEY "
     "(device, hour)); CREATE RULE r AS ON INSERT TO hours DO ALSO NOTHING",
     "has a rule for INSERT or UPDATE"},
    {"CREATE UNLOGGED TABLE hours (device bigint, hour timestamptz, total numeric, name text, "
     "PRIMARY KEY (device, hour))",
     "is UNLOGGED"},
    {"CREATE TABLE other (device bigint, hour timestamptz, total numeric, name text, PRIMARY KEY "
     "(device, hour)); CREATE VIEW hours AS SELECT * FROM other",
     "is no table but a view"},
};

START_TEST(test_what_refuses_every_row_is_named)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    const char *text;

    leat_buf_printf(&sql, "%s; ALTER %s hours RENAME TO \"weather \"\"hours\"\"\"",
                    refusing[_i].sql, strstr(refusing[_i].sql, "VIEW") != NULL ? "VIEW" : "TABLE");
    run(leat_buf_text(&sql));
    text = describe();
    ck_assert_msg(strstr(text, refusing[_i].says) != NULL, "%s", text);
}
END_TEST

/* As a role that was granted `grants`, on a table that has all it needs. */
static const char *
describe_as_role(const char *grants)
{
    LEAT_AUTO_BUF ddl = LEAT_BUF_INIT;
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    LEAT_AUTO_BUF as_role = LEAT_BUF_INIT;
    struct leat_target_context context = {.size = sizeof context,
                                          .application = leat_slice_from("a"),
                                          .processor = leat_slice_from("p")};
    struct leat_options options;
    const char *user = strstr(url, "user=postgres");
    const char *text;

    ck_assert_ptr_nonnull(user);
    plugin->ddl(target, tables, write_ddl, &ddl, &err);
    leat_buf_printf(&sql,
                    "%s DROP ROLE IF EXISTS describer; CREATE ROLE describer LOGIN; GRANT USAGE ON "
                    "SCHEMA leat TO describer; GRANT SELECT ON ALL TABLES IN SCHEMA leat TO "
                    "describer; %s",
                    leat_buf_text(&ddl), grants);
    run(leat_buf_text(&sql));
    plugin->close(target);
    leat_buf_printf(&as_role, "%.*suser=describer%s", (int)(user - url), url,
                    user + strlen("user=postgres"));
    context.url = leat_buf_slice(&as_role);
    ck_assert_int_eq(leat_options_resolve(plugin->options, &given_tables, 1, &arena, tell_option,
                                          NULL, &options),
                     0);
    ck_assert_int_eq(plugin->open(NULL, &context, &options, &target, &err), 0);
    text = describe();
    run("DROP OWNED BY describer; DROP ROLE describer");
    return text;
}

START_TEST(test_rights_that_are_missing_are_named)
{
    const char *text =
        describe_as_role("GRANT SELECT, UPDATE ON \"weather \"\"hours\"\"\" TO describer");

    ck_assert_msg(strstr(text, "the right to INSERT into table") != NULL, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "the right to DELETE from table"));
    ck_assert_ptr_null(strstr(text, "the right to UPDATE"));
}
END_TEST

START_TEST(test_rights_that_are_there_are_enough)
{
    ck_assert_str_eq(describe_as_role("GRANT SELECT, INSERT, UPDATE, DELETE ON \"weather "
                                      "\"\"hours\"\"\" TO describer"),
                     "");
}
END_TEST

START_TEST(test_an_old_schema_is_named)
{
    ck_assert_ptr_nonnull(strstr(describe(), "run `leat db migrate`"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("postgres_describe");
    TCase *tests = tcase_create("describe");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_its_own_ddl_is_what_it_wants);
    tcase_add_test(tests, test_each_difference_is_named);
    tcase_add_test(tests, test_domains_are_what_they_are_made_of);
    tcase_add_loop_test(tests, test_what_refuses_every_row_is_named, 0,
                        (int)LEAT_COUNT_OF(refusing));
    tcase_add_test(tests, test_rights_that_are_missing_are_named);
    tcase_add_test(tests, test_rights_that_are_there_are_enough);
    tcase_add_test(tests, test_an_old_schema_is_named);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
