/*
 * Another role may create functions and operators in the schema `public`, and those that fit a call better than the system's are
 * taken wherever `public` is looked up, before or behind pg_catalog. None of them may ever run for leat: not at `leat db migrate`, in
 * commands or in workers, neither directly nor behind a pooler that drops what is said at connect.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/pooler.h"
#include "support/postgres.h"

#include <check.h>

#define RECORDS 40

static struct test_fleet fleet;
static struct test_pooler pooler;
static struct test_worker worker;

/* Each writes down who called it, then does what the system's does. Only leat's own connections count: a test's may call it. */
static const char traps[] =
    "CREATE TABLE public.loot (what text, who text);"
    "GRANT ALL ON public.loot TO public;"
    "CREATE FUNCTION public.take_down(text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
    "IF pg_catalog.current_setting('application_name') LIKE 'leat%' THEN "
    "INSERT INTO public.loot VALUES ($1, pg_catalog.current_setting('application_name')); END IF; "
    "END $$;"
    "CREATE FUNCTION public.cardinality(text[]) RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('cardinality'); RETURN pg_catalog.cardinality($1); END $$;"
    "CREATE FUNCTION public.unnest(text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('unnest'); RETURN QUERY SELECT pg_catalog.unnest($1); END $$;"
    "CREATE FUNCTION public.unnest(bigint[]) RETURNS SETOF bigint LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('unnest'); RETURN QUERY SELECT pg_catalog.unnest($1); END $$;"
    "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('clock_timestamp'); RETURN pg_catalog.clock_timestamp(); END $$;"
    "CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('now'); RETURN pg_catalog.now(); END $$;"
    "CREATE FUNCTION public.pg_backend_pid() RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('pg_backend_pid'); RETURN pg_catalog.pg_backend_pid(); END $$;"
    "CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('current_setting'); RETURN pg_catalog.current_setting($1); END $$;"
    "CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$ "
    "BEGIN PERFORM public.take_down('set_config'); RETURN pg_catalog.set_config($1, $2, $3); "
    "END $$;"
    "CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('pg_notify'); PERFORM pg_catalog.pg_notify($1, $2); END $$;"
    "CREATE FUNCTION public.pg_advisory_xact_lock(bigint) RETURNS void LANGUAGE plpgsql AS $$ "
    "BEGIN PERFORM public.take_down('pg_advisory_xact_lock'); PERFORM "
    "pg_catalog.pg_advisory_xact_lock($1); END $$;"
    "CREATE FUNCTION public.length(bytea) RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('length'); RETURN pg_catalog.length($1); END $$;"
    "CREATE FUNCTION public.to_regclass(text) RETURNS regclass LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('to_regclass'); RETURN pg_catalog.to_regclass($1); END $$;"
    "CREATE FUNCTION public.equals(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('text = text'); RETURN pg_catalog.texteq($1, $2); END $$;"
    "CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.equals);"
    "CREATE FUNCTION public.equals(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('bigint = bigint'); RETURN pg_catalog.int8eq($1, $2); END $$;"
    "CREATE OPERATOR public.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = public.equals);"
    "CREATE FUNCTION public.sum(bigint, bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('bigint + bigint'); RETURN pg_catalog.int8pl($1, $2); END $$;"
    "CREATE OPERATOR public.+ (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = public.sum);"
    "CREATE FUNCTION public.sum(bigint, int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM public.take_down('bigint + int'); RETURN pg_catalog.int84pl($1, $2); END $$;"
    "CREATE OPERATOR public.+ (LEFTARG = bigint, RIGHTARG = int, FUNCTION = public.sum);"
    "DO $$ BEGIN EXECUTE pg_catalog.format('ALTER DATABASE %I SET search_path = public, "
    "pg_catalog', pg_catalog.current_database()); END $$";

static void
put_some(void)
{
    for (int i = 0; i < RECORDS; i++) {
        char data[40];
        int size = snprintf(data, sizeof data, "%d %d", i, i);

        test_fleet_put(&fleet, leat_slice_from("k"), leat_slice_make(data, (size_t)size));
    }
}

static void
begin(int way)
{
    struct test_fleet_options options = {.shards = 2};
    LEAT_AUTO_BUF yaml = LEAT_BUF_INIT;
    char name[40], directory[108], server[140];

    snprintf(name, sizeof name, "path_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_fleet_sql(&fleet, traps);
    if (way > 0) {
        const char *host = strstr(fleet.url, "host=") + 5;

        snprintf(directory, sizeof directory, "%.*s", (int)strcspn(host, " "), host);
        snprintf(server, sizeof server, "host=%s port=5432", directory);
        test_pooler_start(&pooler, server, 4,
                          way == 1 ? "" : "ignore_startup_parameters = options\n");
        snprintf(fleet.url, sizeof fleet.url, "host=127.0.0.1 port=%u user=postgres dbname=%s",
                 pooler.port, name);
    }
    leat_buf_printf(&yaml,
                    "processors: [{ name: flaky, plugin: %s/badplugins/flaky.so, options: { fail: "
                    "[7] }, target: { plugin: postgres } }]\n",
                    getenv("LEAT_BUILD"));
    test_fleet_configure(&fleet, leat_buf_text(&yaml));
}

static void
teardown(void)
{
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    test_fleet_end(&fleet);
    test_pooler_end(&pooler);
}

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (!test_fleet_wait_for(&fleet, sql, wanted, leat_clock_monotonic_us() + PATIENCE_US))
        ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql),
                     (long long)wanted, sql);
}

static const char *const commands[] = {
    "db status",  "validate --connect", "workers",    "leases",          "shards",
    "processors", "failures ls",        "checkpoint", "workers -o json",
};

START_TEST(nobody_elses_functions_run)
{
    if (_i > 0 && !test_pooler_is_there())
        return;
    begin(_i);
    put_some();
    worker = test_fleet_spawn(&fleet, "w1", NULL);
    ck_reaches("SELECT count(*) FROM public.flaky", RECORDS - 1);
    ck_reaches("SELECT count(*) FROM leat.failures", 1);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        LEAT_AUTO_BUF command = LEAT_BUF_INIT;

        leat_buf_printf(&command, "$LEAT %s -c $DIR/leat.yaml > /dev/null 2>&1; echo done",
                        commands[i]);
        free(test_fleet_shell(&fleet, leat_buf_text(&command)));
    }
    test_worker_kill(&worker, SIGTERM);
    test_worker_wait(&worker, NULL);
    if (test_fleet_number(&fleet, "SELECT count(*) FROM public.loot") == 0)
        return;
    for (int i = 0; i < 20; i++) {
        LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
        PGresult *result;

        leat_buf_printf(&sql,
                        "SELECT what, who, count(*) FROM public.loot GROUP BY 1, 2 ORDER BY 1, 2 "
                        "OFFSET %d LIMIT 1",
                        i);
        result = PQexec(fleet.connection->conn, leat_buf_text(&sql));
        if (PQntuples(result) == 1)
            fprintf(stderr, "%s by %s\n", PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1));
        PQclear(result);
    }
    ck_abort_msg("functions of another role ran");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("search_path");
    TCase *tests = tcase_create("search_path");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_loop_test(tests, nobody_elses_functions_run, 0, 3);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
