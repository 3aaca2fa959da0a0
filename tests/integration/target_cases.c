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
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h> /* last: it defines a macro `fail` */

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
    {
        .name = "a trigger that raises what passes elsewhere",
        .tables = "t(k:text:key,n:int64:sum)",
        .sql =
            "CREATE TABLE t (k text PRIMARY KEY, n bigint); "
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF new.n = 7 THEN RAISE EXCEPTION USING ERRCODE = new.k; END IF; RETURN new; END $$;"
            "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        .lines = "0|m|a|1\n0|m|40001|7\n0|m|b|1\n0|m|25006|7\n0|m|08006|7\n0|m|c|1\n0|m|55P03|7\n"
                 "0|m|LT001|7\n0|m|53100|7\n0|m|a|1\n",
        .query = "TABLE t",
        .rows = "a|2\nb|1\nc|1",
        .letters = "rejected 08006 1\nrejected 25006 1\nrejected 40001 1\nrejected 53100 1\n"
                   "rejected 55P03 1\nrejected LT001 1",
    },
    {
        .name = "a row that ends whoever writes it",
        .tables = "t(k:text:key,n:int64:sum)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, n bigint); "
               "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.n = 7 THEN "
               "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60); END IF; "
               "RETURN new; END $$;"
               "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        .lines = "0|m|a|1\n0|m|b|7\n0|m|c|1\n0|m|a|1\n",
        .query = "TABLE t",
        .rows = "a|2\nc|1",
        .letters = "rejected  1",
    },
    /* ---- what one column keeps --------------------------------------------------------------- */
    {
        .name = "a value that is refused, and overwritten behind it",
        .tables = "t(k:text:key,n:int64:sum,v:text:set)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, n bigint, v varchar(3))",
        .lines = "0|m|a|1|one\n0|m|a|1|four\n0|m|a|1|two\n0|r|b|7|seven\n0|d|b\n0|r|b|8|six\n",
        .query = "TABLE t",
        .rows = "a|2|two\nb|8|six",
        .letters = "rejected 22001 2",
    },
    {
        .name = "a null where none may be, and what comes behind it",
        .tables = "t(k:text:key,n:int64:sum,v:text:set)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, n bigint, v text NOT NULL)",
        .lines = "0|m|a|1|\\N\n0|m|a|1|x\n0|m|b|1|\\A\n0|m|b|1|y\n0|r|c|5|\\A\n0|r|c|6|z\n",
        .query = "TABLE t",
        .rows = "a|1|x\nb|1|y\nc|6|z",
        .letters = "rejected 23502 3",
    },
    {
        .name = "bytes that are no text",
        .tables = "t(k:text:key,v:text:max)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, v text)",
        .lines = "0|m|a|b\n0|m|a|a\xff\n0|m|a|c\n",
        .query = "TABLE t",
        .rows = "a|c",
        .letters = "rejected 22021 1",
    },
    {
        .name = "sums at the edge of their type",
        .tables = "t(k:text:key,n:int64:sum,s:decimal:sum,f:float64:sum!)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, n bigint, s numeric(4,2), f double precision)",
        .lines = "0|m|a|9223372036854775807|0|0\n0|m|a|1|0|0\n0|m|a|-1|0|0\n"
                 "0|m|b|0|60.00|0\n0|m|b|0|50.00|0\n0|m|b|0|-20.00|0\n0|m|b|0|100|0\n"
                 "0|m|c|0|0|1e308\n0|m|c|0|0|1e308\n",
        .query = "TABLE t",
        .rows = "a|9223372036854775806|0.00|0\nb|0|40.00|0\nc|0|0.00|1e+308",
        .letters = "rejected 22003 4",
    },
    {
        .name = "sums of decimals that are rounded one by one",
        .tables = "t(k:text:key,s:decimal:sum,m:decimal:max,n:int64:sum,i:decimal:sum)",
        .sql =
            "CREATE TABLE t (k text PRIMARY KEY, s numeric(10,2), m numeric(5,1), n numeric(6,-2), "
            "i bigint)",
        .lines = "0|m|x|0.004|1.25|149|0.5\n0|m|x|0.004|-1.25|150|-0.5\n0|m|x|0.005|1.24|-50|1.49\n"
                 "0|m|x|-0.005|1.2|-49|\\N\n",
        .query = "TABLE t",
        .rows = "x|0.00|1.3|200|1",
    },
    {
        .name = "long decimals that are rounded",
        .tables = "t(k:decimal:key,s:decimal:sum)",
        .sql = "CREATE TABLE t (k numeric(60,3) PRIMARY KEY, s numeric(80,4))",
        .lines = "0|m|1234567890123456789012345678901234567890.12345|"
                 "9999999999999999999999999999999999999999.99995\n"
                 "0|m|1234567890123456789012345678901234567890.1233|0.00004\n"
                 "0|m|1e45|-1e-50\n0|m|1000000000000000000000000000000000000000000000|-0.00005\n",
        .query = "TABLE t",
        .rows = "1000000000000000000000000000000000000000000000.000|-0.0001\n"
                "1234567890123456789012345678901234567890.123|"
                "10000000000000000000000000000000000000000.0000",
    },
    {
        .name = "the last one by a time that is rounded",
        .tables = "t(k:text:key,o:timestamp:max,v:text:last=o)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, o timestamptz(0), v text)",
        .lines = "0|m|x|1000400000|b\n0|m|x|1000000000|a\n0|m|y|-500001|b\n0|m|y|-1000000|c\n",
        .query = "SELECT k, extract(epoch FROM o)::bigint, v FROM t",
        .rows = "x|1000|b\ny|-1|c",
    },
    {
        .name = "floats of single precision, and noughts with a sign",
        .tables = "t(k:text:key,o:float64:max,v:text:last=o,m:float64:min)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, o real, v text, m double precision)",
        .lines = "0|m|x|1.00000001|b|0\n0|m|x|1.00000002|a|-0\n0|m|y|nan|b|1\n0|m|y|inf|c|nan\n",
        .query = "TABLE t",
        .rows = "x|1|b|0\ny|NaN|b|1",
    },
    {
        .name = "texts in a collation of people",
        .tables = "t(k:text:key,hi:text:max,lo:text:min,v:text:last=o,o:text:max)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, hi text, lo text, v text, o text)",
        .lines = "0|m|x|a|a|one|a-2\n0|m|x|B|B|two|B-1\n0|m|x|_|_|three|_\n",
        .query = "TABLE t",
        .rows = "x|a|B|one|a-2",
        .database = "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' "
                    "LOCALE 'C.UTF-8'",
    },
    {
        .name = "texts of other types: greatest, least, first, last",
        .tables =
            "t(k:text:key,c:text:max,v:text:min,i:text:max,o:text:min,f:text:first=o,u:text:max)",
        .sql = "CREATE EXTENSION citext; CREATE TABLE t (k text PRIMARY KEY, c char(4), "
               "v varchar(4), i citext, o char(3), f citext, u uuid)",
        .lines = "0|m|x|ab|b   |a|b  |one|D25F41F4-7379-DEAD-BEEF-A98811111111\n"
                 "0|m|x|ab |b|B|b|two|e25f41f47379deadbeefa98811111111\n"
                 "0|m|x|Ab     |c|A|a|three|{025f41f4-7379-dead-beef-a98811111111}\n",
        .query = "SELECT k, c::text, v, i, o::text, f, u FROM t",
        .rows = "x|ab|b|a|a|three|e25f41f4-7379-dead-beef-a98811111111",
    },
    /* ---- defaults, and values that are not given ------------------------------------------------ */
    {
        .name = "a default that counts",
        .tables = "t(k:text:key,n:int64:sum,m:int64:max,z:int64:sum,v:text:set)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, n bigint DEFAULT 100, m bigint DEFAULT 7, "
               "z bigint NOT NULL DEFAULT 0, v text DEFAULT 'd')",
        .lines = "0|m|a|\\A|\\A|\\A|\\A\n0|m|a|5|3|1|\\A\n0|m|b|5|3|1|x\n0|m|b|\\A|9|1|\\A\n"
                 "0|d|a\n0|m|c|\\A|1|1|x\n0|d|c\n0|m|c|\\A|\\A|\\A|\\A\n0|m|c|1|8|2|\\A\n"
                 "0|r|d|\\A|\\A|\\A|\\A\n0|m|d|1|1|1|\\A\n",
        .query = "TABLE t",
        .rows = "b|5|9|2|x\nc|101|8|2|d\nd|101|7|1|d",
    },
    {
        .name = "first and last: values and orders that are not given",
        .tables = "t(k:text:key,a:int64:min,f:text:first=a,o:int64:max,v:text:last=o)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, a bigint, f text, o bigint, v text)",
        .lines = "0|m|x|4|y|4|y\n0|m|x|\\N|x|\\N|x\n0|m|x|3|\\A|5|\\A\n"
                 "0|m|y|\\N|x|\\A|x\n0|m|y|3|b|3|b\n0|m|y|3|\\N|3|\\N\n"
                 "0|m|z|5|\\A|5|\\A\n0|m|z|6|c|4|c\n0|m|z|5|d|5|d\n0|m|z|5|a|5|a\n"
                 "0|m|w|4|a|4|a\n0|m|w|3|\\A|5|\\A\n0|m|w|3|0|5|0\n"
                 "0|r|v|5|x|\\N|x\n0|m|v|6|y|1|y\n0|m|v|\\N|\\N|9|\\A\n",
        .query = "TABLE t",
        .rows = "v|5|x|9|y\nw|3|a|5|a\nx|3|y|5|y\ny|3|b|3|b\nz|5|d|5|d",
    },
    {
        .name =
            "a replace gives what is not given its default, and keeps what the table makes itself",
        .tables = "t(k:text:key,n:int64:sum,v:text:set)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, n bigint DEFAULT 3, v text, more text DEFAULT "
               "'m', "
               "id bigint GENERATED ALWAYS AS IDENTITY, twice bigint GENERATED ALWAYS AS (n * 2) "
               "STORED); "
               "INSERT INTO t (k, n, v, more) VALUES ('a', 1, 'old', 'changed')",
        .lines = "0|m|a|1|\\A\n0|r|a|\\A|\\N\n0|r|b|5|x\n0|m|b|1|\\A\n0|d|c\n0|r|c|\\A|\\A\n",
        .query = "SELECT k, n, v, more, twice FROM t",
        .rows = "a|3|\\N|m|6\nb|6|x|m|12\nc|3|\\N|m|6",
    },
    {
        .name = "a table of keys alone, and one without any",
        .tables = "k(a:int64:key,b:text:key);l(v:text:set,n:int64:set)",
        .sql = "CREATE TABLE k (a bigint, b text, PRIMARY KEY (b, a)); CREATE TABLE l (v text, n "
               "bigint "
               "DEFAULT 5)",
        .lines = "0|m|1|x ++ 0|m|1|x ++ 1|m|a|1\n0|r|1|x\n0|d|1|x\n0|m|2|y\n0|r|2|y ++ 1|m|a|\\A\n",
        .query = "SELECT a::text, b FROM k UNION ALL SELECT v, n::text FROM l",
        .rows = "2|y\na|1\na|5",
    },
    /* ---- keys that are equal in the target --------------------------------------------------------- */
    {
        .name = "keys: uuid",
        .tables = "t(k:text:key,n:int64:sum)",
        .sql = "CREATE TABLE t (k uuid PRIMARY KEY, n bigint)",
        .lines =
            "0|m|d25f41f4-7379-dead-beef-a98811111111|1\n"
            "0|m|D25F41F4-7379-DEAD-BEEF-A98811111111|2\n0|m|no uuid|4\n"
            "0|m|{d25f41f47379-deadbeefa9881111-1111}|8\n0|r|11111111111111111111111111111111|9\n"
            "0|d|11111111-1111-1111-1111-111111111111\n",
        .query = "TABLE t",
        .rows = "d25f41f4-7379-dead-beef-a98811111111|11",
        .letters = "rejected 22P02 1",
    },
    {
        .name = "keys: citext",
        .tables = "t(k:text:key,n:int64:sum)",
        .sql = "CREATE EXTENSION citext; CREATE TABLE t (k citext PRIMARY KEY, n bigint)",
        .lines = "0|m|Alpha|1\n0|m|alpha|2\n0|m|beta|4\n0|m|ALPHA|8\n",
        .query = "SELECT lower(k::text), n FROM t",
        .rows = "alpha|11\nbeta|4",
    },
    {
        .name = "keys: citext, in order",
        .tables = "t(k:text:key,v:text:set,n:int64:sum)",
        .sql = "CREATE EXTENSION citext; CREATE TABLE t (k citext PRIMARY KEY, v text, n bigint)",
        .lines = "0|m|Alpha|one|1\n0|m|alpha|two|1\n0|m|Alpha|\\A|1\n0|m|Beta|b|1\n0|d|BETA\n0|m|"
                 "beta|c|1\n"
                 "0|r|gamma|x|5\n0|m|GAMMA|\\A|1\n0|d|Gamma\n0|m|Delta|a|1\n0|m|delta|b|1\n0|m|"
                 "Delta|c|1\n",
        .query = "SELECT lower(k::text), v, n FROM t",
        .rows = "alpha|two|3\nbeta|c|1\ndelta|c|3",
    },
    {
        .name = "keys: a collation that folds",
        .tables = "t(k:text:key,v:text:set)",
        .sql = "CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', "
               "deterministic = false); "
               "CREATE TABLE t (k text COLLATE folding PRIMARY KEY, v text)",
        .lines = "0|m|a|1\n0|m|A|2\n0|m|a|3\n0|d|b\n0|m|B|4\n0|m|b|5\n0|m|c|6\n0|d|C\n",
        .query = "SELECT lower(k), v FROM t",
        .rows = "a|3\nb|5",
    },
    {
        .name = "keys: a trigger that folds",
        .tables = "t(k:text:key,v:text:set,n:int64:sum)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, v text, n bigint); "
               "CREATE FUNCTION fold() RETURNS trigger LANGUAGE plpgsql AS "
               "'BEGIN new.k := lower(new.k); RETURN new; END'; "
               "CREATE TRIGGER fold BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fold()",
        .lines = "0|m|a|1|1\n0|m|A|2|1\n0|m|a|3|1\n0|r|B|4|1\n0|m|b|5|1\n",
        .query = "TABLE t",
        .rows = "a|3|3\nb|5|2",
    },
    {
        .name = "keys: blanks at the end",
        .tables = "c(k:text:key,n:int64:sum);v(k:text:key,n:int64:sum)",
        .sql = "CREATE TABLE c (k char(4) PRIMARY KEY, n bigint); "
               "CREATE TABLE v (k varchar(4) PRIMARY KEY, n bigint)",
        .lines = "0|m|a|1\n0|m|a  |2\n0|m|a      |4\n0|m|b |1\n0|d|b\n"
                 "1|m|ab|1\n1|m|ab  |2\n1|m|ab      |4\n1|m|ab  c|8\n",
        .query = "SELECT 'c', k::text, n FROM c UNION ALL SELECT 'v', k || '.', n FROM v",
        .rows = "c|a|7\nv|ab  .|6\nv|ab.|1",
        .letters = "rejected 22001 1",
    },
    {
        .name = "keys: decimals and times that are rounded",
        .tables = "d(k:decimal:key,n:int64:sum);t(k:timestamp:key,n:int64:sum);i(k:int64:key,n:"
                  "int64:sum)",
        .sql = "CREATE TABLE d (k numeric(10,2) PRIMARY KEY, n bigint); "
               "CREATE TABLE t (k timestamptz(3) PRIMARY KEY, n bigint); "
               "CREATE TABLE i (k numeric(4) PRIMARY KEY, n bigint)",
        .lines = "0|m|1.001|1\n0|m|1.002|2\n0|m|1.005|4\n0|d|1.006\n0|m|99999999.995|1\n"
                 "1|m|1499|1\n1|m|1500|2\n1|m|2499|4\n2|m|9999|1\n2|m|10000|1\n",
        .query = "SELECT 'd', k::text, n FROM d UNION ALL SELECT 't', extract(epoch FROM k)::text, "
                 "n FROM t "
                 "UNION ALL SELECT 'i', k::text, n FROM i",
        .rows = "d|1.00|3\ni|9999|1\nt|0.001000|3\nt|0.002000|4",
        .letters = "rejected 22003 2",
    },
    {
        .name = "keys: a domain",
        .tables = "t(k:text:key,d:decimal:max)",
        .sql = "CREATE DOMAIN code AS char(3); CREATE DOMAIN money2 AS numeric(6,2) DEFAULT 5; "
               "CREATE TABLE t (k code PRIMARY KEY, d money2)",
        .lines = "0|m|a|\\A\n0|m|a  |1.005\n0|m|b|1.004\n0|m|b |1.0049\n",
        .query = "SELECT k::text, d FROM t",
        .rows = "a|5.00\nb|1.00",
    },
    {
        .name = "a second unique constraint that only rows behind each other meet",
        .tables = "t(k:text:key,v:text:set)",
        .sql = "CREATE TABLE t (k text PRIMARY KEY, v text UNIQUE)",
        .lines = "0|r|a|1\n0|r|b|2\n0|r|a|3\n0|r|c|1\n0|r|b|1\n",
        .query = "TABLE t",
        .rows = "a|3\nb|2\nc|1",
        .letters = "rejected 23505 1",
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
              /* What a backend says at its end may be lost with the connection. */
              "SELECT reason || ' ' || coalesce(nullif(sqlstate, '57P01'), '') || ' ' || count(*) "
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
