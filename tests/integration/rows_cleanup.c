/* What goes of the lease tables and what must not, over rows that SQL made: dead workers, deleted streams. */
#include <unistd.h>

#include "base/clock.h"
#include "lease/rows_cleanup.h"
#include "postgres/array.h"
#include "postgres/migrate.h"
#include "support/postgres.h"

#include <check.h>

#define GRACE_US (60 * LEAT_SECOND_US)

static struct leat_pg_connection *connection;
static const struct leat_rows_context context = {.application = "weather", .worker_id = "w1"};

static void
sql(const char *text)
{
    struct leat_error err;

    ck_assert_msg(leat_pg_script(connection, text, &err) == 0, "%s", err.text);
}

static int64_t
number(const char *text)
{
    struct leat_error err;
    PGresult *result;
    int64_t found;

    ck_assert_msg(leat_pg_execute(connection, text, NULL, &result, &err) == 0, "%s", err.text);
    found = leat_pg_int8(PQgetvalue(result, 0, 0));
    PQclear(result);
    return found;
}

static void
setup(void)
{
    struct leat_pg_options options = {.search_path = "public", .application_name = "test"};
    struct leat_error err;
    char name[40], url[200];
    int applied;

    snprintf(name, sizeof name, "cleanup_%d", (int)getpid());
    test_postgres_database(name, url, sizeof url);
    options.url = url;
    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_schema_migrate(connection, "lease", &applied, &err) == 0, "%s", err.text);
    sql("INSERT INTO leat.applications (application) VALUES ('weather'), ('winter')");
}

static void
teardown(void)
{
    leat_pg_close(connection);
}

/* ---- deleted streams ------------------------------------------------------------------------------ */

/* A stream of two shards with a start each, as a sync leaves it. */
static void
make_stream(const char *application, const char *stream_id, const char *gone_at,
            const char *lease_state)
{
    char text[1500];

    snprintf(text, sizeof text,
             "INSERT INTO leat.streams (application, stream_id, name, arn, state, gone_at) VALUES "
             "('%s', '%s', 'n', 'a', %s, %s);"
             "INSERT INTO leat.starts (application, processor, stream_id, start) VALUES ('%s', "
             "'rollup', "
             "'%s', 'TRIM_HORIZON');"
             "INSERT INTO leat.start_shards VALUES ('%s', 'rollup', '%s', 'shard-0', false);"
             "INSERT INTO leat.leases (application, stream_id, shard, state) VALUES "
             "('%s', '%s', 'shard-0', 'ended'), ('%s', '%s', 'shard-1', '%s')",
             application, stream_id, strcmp(gone_at, "NULL") == 0 ? "'active'" : "'gone'", gone_at,
             application, stream_id, application, stream_id, application, stream_id, application,
             stream_id, lease_state);
    sql(text);
}

#define LONG_AGO "clock_timestamp() - interval '61 s'"
#define JUST_NOW "clock_timestamp() - interval '30 s'"
#define EVERYWHERE(stream)                                                                         \
    "SELECT (SELECT count(*) FROM leat.streams WHERE stream_id = '" stream                         \
    "') + (SELECT count(*) FROM leat.starts WHERE stream_id = '" stream                            \
    "') + (SELECT count(*) FROM leat.start_shards WHERE stream_id = '" stream                      \
    "') + (SELECT count(*) FROM leat.leases WHERE stream_id = '" stream "')"

static size_t
purge(void)
{
    struct leat_error err;
    size_t leases = 77;

    ck_assert_msg(leat_rows_purge_streams(connection, &context, GRACE_US, &leases, &err) == 0, "%s",
                  err.text);
    return leases;
}

START_TEST(a_deleted_stream_goes_whole_after_its_grace)
{
    make_stream("weather", "gone@1", LONG_AGO, "ended");
    make_stream("weather", "gone@2", LONG_AGO, "ended");
    make_stream("weather", "young@1", JUST_NOW, "ended");
    make_stream("weather", "busy@1", LONG_AGO, "active");
    make_stream("weather", "there@1", "NULL", "ended");
    make_stream("winter", "gone@1", LONG_AGO, "ended");
    /* One a call, so that no transaction is long. */
    ck_assert_uint_eq(purge(), 2);
    ck_assert_int_eq(number(EVERYWHERE("gone@2")), 5);
    ck_assert_uint_eq(purge(), 2);
    ck_assert_uint_eq(purge(), 0);
    ck_assert_int_eq(number(EVERYWHERE("gone@1")), 5); /* the other application's */
    ck_assert_int_eq(number(EVERYWHERE("gone@2")), 0);
    ck_assert_int_eq(number(EVERYWHERE("young@1")), 5);
    ck_assert_int_eq(number(EVERYWHERE("busy@1")), 5); /* its last records are being written */
    ck_assert_int_eq(number(EVERYWHERE("there@1")), 5);
}
END_TEST

/* A sync that looks at the stream has its row locked: it may be about to say that it is there after all. */
START_TEST(a_stream_that_somebody_works_on_stays)
{
    struct leat_pg_options options = {.search_path = "public", .application_name = "test"};
    struct leat_pg_connection *sync;
    struct leat_error err;
    char name[40], url[200];

    make_stream("weather", "gone@1", LONG_AGO, "ended");
    snprintf(name, sizeof name, "cleanup_%d", (int)getpid());
    snprintf(url, sizeof url, "host=%s user=%s dbname=%s", PQhost(connection->conn),
             PQuser(connection->conn), name);
    options.url = url;
    ck_assert_msg(leat_pg_connect(&options, &sync, &err) == 0, "%s", err.text);
    ck_assert_int_eq(
        leat_pg_script(sync,
                       "BEGIN; UPDATE leat.streams SET state = 'active', gone_at = NULL "
                       "WHERE stream_id = 'gone@1'",
                       &err),
        0);
    ck_assert_uint_eq(purge(), 0);
    ck_assert_int_eq(leat_pg_script(sync, "COMMIT", &err), 0);
    ck_assert_uint_eq(purge(), 0);
    ck_assert_int_eq(number(EVERYWHERE("gone@1")), 5);
    leat_pg_close(sync);
}
END_TEST

/* ---- dead workers ---------------------------------------------------------------------------------- */

START_TEST(workers_go_an_hour_after_they_died)
{
    struct leat_error err;
    size_t removed = 77;

    sql("INSERT INTO leat.workers (application, worker_id, incarnation, state, heartbeat_at, "
        "expires_at, "
        "died_at) VALUES "
        "('weather', 'old', 1, 'dead', now() - interval '3 h', now() - interval '3 h', now() - "
        "interval '61 m'),"
        "('weather', 'never told', 2, 'dead', now() - interval '3 h', now() - interval '2 h', "
        "NULL),"
        "('weather', 'young', 3, 'dead', now() - interval '3 h', now() - interval '3 h', now() - "
        "interval '59 m'),"
        "('weather', 'owner', 4, 'dead', now() - interval '3 h', now() - interval '3 h', now() - "
        "interval '2 h'),"
        "('weather', 'next', 5, 'dead', now() - interval '3 h', now() - interval '3 h', now() - "
        "interval '2 h'),"
        "('weather', 'silent', 6, 'alive', now() - interval '3 h', now() - interval '3 h', NULL),"
        "('winter', 'other', 7, 'dead', now() - interval '3 h', now() - interval '3 h', now() - "
        "interval '2 h')");
    sql("INSERT INTO leat.leases (application, stream_id, shard, lease_owner, next_owner) VALUES "
        "('weather', 's@1', 'shard-0', 4, 5)");
    ck_assert_int_eq(leat_rows_purge_workers(connection, &context, &removed, &err), 0);
    ck_assert_uint_eq(removed, 2);
    ck_assert_int_eq(
        number("SELECT count(*) FROM leat.workers WHERE worker_id IN ('old', 'never told')"), 0);
    ck_assert_int_eq(number("SELECT count(*) FROM leat.workers"), 5);
    /* Once its lease is another's nothing holds it. */
    sql("UPDATE leat.leases SET lease_owner = 6, next_owner = NULL");
    ck_assert_int_eq(leat_rows_purge_workers(connection, &context, &removed, &err), 0);
    ck_assert_uint_eq(removed, 2);
    ck_assert_int_eq(number("SELECT count(*) FROM leat.workers WHERE application = 'weather'"), 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rows_cleanup");
    TCase *rows = tcase_create("rows");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(rows, 60);
    tcase_add_checked_fixture(rows, setup, teardown);
    tcase_add_test(rows, a_deleted_stream_goes_whole_after_its_grace);
    tcase_add_test(rows, a_stream_that_somebody_works_on_stays);
    tcase_add_test(rows, workers_go_an_hour_after_they_died);
    suite_add_tcase(suite, rows);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
