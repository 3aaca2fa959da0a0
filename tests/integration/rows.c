/* Statements of lib/lease/rows.c over a real Postgres: what neighbours tell. */
#include <unistd.h>

#include "lease/rows.h"
#include "postgres/migrate.h"
#include "support/postgres.h"

#include <check.h>

static struct leat_pg_connection *connection;

static void
sql(const char *text)
{
    struct leat_error err;

    ck_assert_msg(leat_pg_script(connection, text, &err) == 0, "%s", err.text);
}

static void
setup(void)
{
    struct leat_pg_options options = {.search_path = "public", .application_name = "test"};
    struct leat_error err;
    char name[40], url[200];
    int applied;

    snprintf(name, sizeof name, "rows_%d", (int)getpid());
    test_postgres_database(name, url, sizeof url);
    options.url = url;
    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_schema_migrate(connection, "lease", &applied, &err) == 0, "%s", err.text);
    sql("INSERT INTO leat.applications (application, assignment_version) VALUES ('weather', 41), "
        "('winter', 7);"
        "INSERT INTO leat.workers (application, worker_id, incarnation, heartbeat_at, expires_at, "
        "session_key, state) VALUES"
        "('weather', 'w1', 1, '2026-01-01', 'infinity', 11, 'alive'),"
        "('weather', 'w2', 2, '2026-01-02', '2026-01-02', NULL, 'leaving'),"
        "('weather', 'w3', 3, '2026-01-03', 'infinity', 13, 'dead'),"
        "('winter', 'w1', 9, '2026-01-04', 'infinity', 19, 'alive')");
}

static void
teardown(void)
{
    leat_pg_close(connection);
}

/* How another worker's moves are seen where nobody is notified: the version comes with the neighbours. */
START_TEST(neighbours_bring_the_version)
{
    static const struct leat_rows_context context = {.application = "weather", .worker_id = "w0"};
    struct leat_slice ids[] = {leat_slice_from("w1"), leat_slice_from("w2"), leat_slice_from("w3")};
    struct leat_worker_rows rows;
    struct leat_error err;

    leat_worker_rows_init(&rows);
    ck_assert_int_eq(leat_rows_neighbours(connection, &context, ids, 3, &rows, &err), 0);
    ck_assert_uint_eq(rows.count, 2); /* the dead one is none */
    ck_assert_int_eq(rows.version, 41);
    for (size_t i = 0; i < rows.count; i++) {
        bool is_first = rows.rows[i].worker.incarnation == 1;

        ck_assert_int_eq(rows.rows[i].session_key, is_first ? 11 : 0);
        ck_assert_int_eq(rows.rows[i].is_expired, !is_first);
        ck_assert_int_eq(rows.rows[i].worker.state,
                         is_first ? LEAT_WORKER_ALIVE : LEAT_WORKER_LEAVING);
    }
    sql("UPDATE leat.applications SET assignment_version = assignment_version + 1");
    ck_assert_int_eq(leat_rows_neighbours(connection, &context, ids, 1, &rows, &err), 0);
    ck_assert_int_eq(rows.version, 42);
    /* Nobody is there: nothing is known, and nothing is made up. */
    ck_assert_int_eq(leat_rows_neighbours(connection, &context, &ids[2], 1, &rows, &err), 0);
    ck_assert(rows.count == 0 && rows.version == 0);
    ck_assert_int_eq(leat_rows_workers(connection, &context, &rows, &err), 0);
    ck_assert(rows.count == 2 && rows.version == 0);
    leat_worker_rows_release(&rows);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rows");
    TCase *tcase = tcase_create("rows");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, neighbours_bring_the_version);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
