/*
 * Tables of a target as people have them, against a processor that emits lines of rows: each case says the rows and the letters
 * that are right, and they must be the same with all records in one commit and with one record a commit.
 *
 * A case is one row of the table below; tests/support/lines.h says how tables and lines are written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "postgres/migrate.h"
#include "support/lines.h"
#include "support/one_worker.h"
#include "support/postgres.h"

#include <check.h> /* last: it defines a macro `fail` */

#define PATIENCE_US (60 * LEAT_SECOND_US)

struct target_case {
    const char *name;
    const char *tables;
    const char *sql; /* makes them */
    const char *lines;
    const char *query;    /* its rows, columns joined by '|', in any order … */
    const char *rows;     /* … are these, one a line */
    const char *letters;  /* "reason sqlstate count", sorted, one a line; NULL: none */
    const char *database; /* what CREATE DATABASE says more; NULL: nothing */
};

static const struct target_case cases[] = {
    {
        .name = "sums",
        .tables = "t(k:text:key,n:int64:sum)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, n bigint)",
        .lines = "0|m|a|1\n0|m|b|2\nno line\n0|m|a|3\n",
        .query = "TABLE t",
        .rows = "a|4\nb|2",
        .letters = "failed  1",
    },
    {
        .name = "a value that is too long",
        .tables = "t(k:text:key,v:text:set)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, v varchar(3))",
        .lines = "0|m|a|one\n0|m|b|four\n0|m|c|two\n",
        .query = "TABLE t",
        .rows = "a|one\nc|two",
        .letters = "rejected 22001 1",
    },
    {
        .name = "a row that cannot be indexed",
        .tables = "t(k:text:key,n:int64:sum)",
        .sql = "CREATE FUNCTION long() RETURNS text LANGUAGE sql AS $$ SELECT "
               "string_agg(md5(i::text), '') FROM generate_series(1, 400) AS i $$;"
               "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
               "IF new.k = 'large' THEN new.k := public.long(); END IF; RETURN new; END $$;"
               "CREATE TABLE t (k text PRIMARY KEY, n bigint);"
               "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        .lines = "0|m|good|1\n0|m|large|1\n0|m|good2|1\n",
        .query = "SELECT k, n FROM t",
        .rows = "good2|1\ngood|1",
        .letters = "rejected 54000 1",
    },
};

/* 0: everything in one commit; 1: one record a commit. */
static const struct {
    const char *name;
    size_t batch_records;
    int64_t flush_rows;
} ways[] = {{"whole", 10000, -1}, {"single", 1, 1}};

static char url[200], directory[64], file[128];

static struct leat_pg_connection *
connect_to(const char *to)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = to, .application_name = "test"};
    struct leat_pg_connection *connection;
    struct leat_error err;

    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    return connection;
}

static void
run(const char *to, const char *sql)
{
    struct leat_pg_connection *connection = connect_to(to);
    struct leat_error err;

    ck_assert_msg(leat_pg_script(connection, sql, &err) == 0, "%s: %s", sql, err.text);
    leat_pg_close(connection);
}

static void
setup(const struct target_case *this, int number)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    struct leat_pg_connection *connection;
    struct leat_error err;
    FILE *out;
    int applied;

    snprintf(url, sizeof url, "%s", test_postgres_url());
    leat_buf_printf(&sql, "CREATE DATABASE case_%d %s", number,
                    this->database != NULL ? this->database : "");
    run(url, leat_buf_text(&sql));
    *strstr(url, " dbname=") = '\0';
    snprintf(url + strlen(url), sizeof url - strlen(url), " dbname=case_%d", number);
    connection = connect_to(url);
    ck_assert_msg(leat_schema_migrate(connection, "lease", &applied, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_schema_migrate(connection, "target", &applied, &err) == 0, "%s", err.text);
    leat_pg_close(connection);
    run(url, this->sql);
    snprintf(directory, sizeof directory, "/tmp/leat-case-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/lines", directory);
    out = fopen(file, "w");
    ck_assert_ptr_nonnull(out);
    fputs(this->lines, out);
    fclose(out);
}

static void
teardown(int number)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_buf_printf(&command, "rm -rf %s", directory);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
    leat_buf_clear(&command);
    leat_buf_printf(&command, "DROP DATABASE case_%d", number);
    run(test_postgres_url(), leat_buf_text(&command));
}

static int
compare_texts(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The query's rows as text, sorted by bytes. */
static void
read_rows(struct leat_pg_connection *connection, const char *query, struct leat_buf *out)
{
    PGresult *result = PQexec(connection->conn, query);
    int count = PQntuples(result);
    char **rows = leat_alloc_zero((size_t)count + 1, sizeof *rows);

    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s", PQresultErrorMessage(result));
    for (int row = 0; row < count; row++) {
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;

        for (int c = 0; c < PQnfields(result); c++)
            leat_buf_printf(&text, "%s%s", c > 0 ? "|" : "",
                            PQgetisnull(result, row, c) ? "\\N" : PQgetvalue(result, row, c));
        rows[row] = leat_strdup(leat_buf_text(&text));
    }
    qsort(rows, (size_t)count, sizeof *rows, compare_texts);
    for (int row = 0; row < count; row++) {
        leat_buf_printf(out, "%s%s", row > 0 ? "\n" : "", rows[row]);
        free(rows[row]);
    }
    free(rows);
    PQclear(result);
}

START_TEST(test_a_case)
{
    const struct target_case *this = &cases[(size_t)_i / LEAT_COUNT_OF(ways)];
    size_t way = (size_t)_i % LEAT_COUNT_OF(ways);
    struct test_one_worker_options options = {.url = url,
                                              .file = file,
                                              .directory = directory,
                                              .batch_records = ways[way].batch_records,
                                              .flush_rows = ways[way].flush_rows};
    LEAT_AUTO_BUF rows = LEAT_BUF_INIT;
    LEAT_AUTO_BUF letters = LEAT_BUF_INIT;
    struct leat_pg_connection *connection;
    struct test_one_worker worker;
    struct leat_arena arena;
    bool is_ended;

    leat_arena_init(&arena);
    setup(this, _i);
    options.processor = test_lines_processor(test_lines_tables(this->tables, &arena));
    test_one_worker_start(&worker, &options);
    is_ended = test_one_worker_wait(&worker, leat_clock_monotonic_us() + PATIENCE_US);
    test_one_worker_stop(&worker);
    connection = connect_to(url);
    read_rows(connection, this->query, &rows);
    read_rows(connection,
              "SELECT reason || ' ' || coalesce(sqlstate, '') || ' ' || count(*) "
              "FROM leat.failures GROUP BY reason, sqlstate",
              &letters);
    leat_pg_close(connection);
    ck_assert_msg(is_ended, "%s, %s: it did not come to its end; rows so far:\n%s\nletters:\n%s",
                  this->name, ways[way].name, leat_buf_text(&rows), leat_buf_text(&letters));
    ck_assert_msg(strcmp(leat_buf_text(&rows), this->rows) == 0,
                  "%s, %s: the rows are\n%s\nand not\n%s", this->name, ways[way].name,
                  leat_buf_text(&rows), this->rows);
    ck_assert_msg(strcmp(leat_buf_text(&letters), this->letters != NULL ? this->letters : "") == 0,
                  "%s, %s: the letters are\n%s\nand not\n%s", this->name, ways[way].name,
                  leat_buf_text(&letters), this->letters != NULL ? this->letters : "");
    leat_arena_release(&arena);
    teardown(_i);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("target_cases");
    TCase *tests = tcase_create("cases");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_a_case, 0, (int)(LEAT_COUNT_OF(cases) * LEAT_COUNT_OF(ways)));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
