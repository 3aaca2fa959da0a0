/*
 * Real workers behind a real PgBouncer in transaction mode: leases and target, all of it. No session is ours there: no session
 * locks, no LISTEN, no settings at connect. It is said once; death is seen by expiry alone; each record is still counted once,
 * in order, whatever is killed or frozen; and the commands work, too.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/pooler.h"
#include "support/postgres.h"
#include "support/steady.h"

#include <check.h>

#define SHARDS 4
#define LEASE_US (1500 * LEAT_MS_US)
#define SAYS_POOLED "a pooler stands before the lease database"

static const char *const arguments[] = {"--set", "leases.heartbeat=300ms", "--set",
                                        "leases.expiry=1500ms", NULL};

static struct test_fleet fleet;
static struct test_pooler pooler;
static struct test_worker workers[2];
static struct test_steady steady;
static char direct_url[sizeof fleet.url];

static int64_t
soon(void)
{
    return leat_clock_monotonic_us() + PATIENCE_US;
}

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, soon()))
        return;
    test_fleet_dump(&fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

#define HELD_BY(id)                                                                                \
    "SELECT count(*) FROM leat.leases l JOIN leat.workers w ON w.incarnation = l.lease_owner "     \
    "WHERE w.state = 'alive' AND w.worker_id = '" id "'"

static int64_t
incarnation_of(const char *id)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(&sql, "SELECT incarnation FROM leat.workers WHERE worker_id = '%s'", id);
    return test_fleet_number(&fleet, leat_buf_text(&sql));
}

static size_t
count_said(const struct test_worker *worker, const char *text)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    size_t count = 0;

    test_worker_log(worker, &log);
    for (const char *at = leat_buf_text(&log); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* ---- begin and end ------------------------------------------------------------------------------ */

static void
socket_directory(char *ret_directory, size_t size)
{
    const char *begin = strstr(fleet.url, "host=") + 5;

    snprintf(ret_directory, size, "%.*s", (int)strcspn(begin, " "), begin);
}

static void
begin_pooler(unsigned pool_size, const char *more)
{
    struct test_fleet_options options = {.shards = SHARDS};
    char name[40], directory[108], server[140];

    snprintf(name, sizeof name, "pooler_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    socket_directory(directory, sizeof directory);
    snprintf(direct_url, sizeof direct_url, "%s", fleet.url);
    snprintf(server, sizeof server, "host=%s port=5432", directory);
    test_pooler_start(&pooler, server, pool_size, more);
    snprintf(fleet.url, sizeof fleet.url, "host=127.0.0.1 port=%u user=postgres dbname=%s",
             pooler.port, name);
}

static void
begin(void)
{
    begin_pooler(20, "");
    test_fleet_configure(&fleet, TEST_STEADY_PROCESSORS); /* `leat db migrate` behind it, too */
    steady.fleet = &fleet;
    test_steady_prepare(&steady);
    test_steady_start(&steady);
}

static void
begin_with_two(const char *points)
{
    begin();
    if (points != NULL)
        setenv("LEAT_POINTS", points, 1);
    workers[0] = test_fleet_spawn(&fleet, "w1", arguments);
    unsetenv("LEAT_POINTS");
    workers[1] = test_fleet_spawn(&fleet, "w2", arguments);
}

static void
teardown(void)
{
    test_steady_stop(&steady);
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    test_fleet_end(&fleet);
    test_pooler_end(&pooler);
}

static void
ck_by_expiry_alone(void)
{
    ck_assert_int_eq(test_fleet_number(
                         &fleet, "SELECT count(*) FROM leat.workers WHERE session_key IS NOT NULL"),
                     0);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.workers WHERE state = "
                                               "'dead' AND died_at < expires_at"),
                     0);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM pg_locks WHERE locktype = "
                                               "'advisory' AND database = (SELECT oid FROM "
                                               "pg_database WHERE datname = current_database())"),
                     0);
}

/* ---- what a pooler is told ------------------------------------------------------------------------ */

static struct leat_pg_connection *
connect_with(const char *settings)
{
    struct leat_pg_options options = {.search_path = "public",
                                      .url = fleet.url,
                                      .application_name = "settings",
                                      .settings = settings};
    struct leat_pg_connection *connection;
    struct leat_error err;

    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    return connection;
}

static void
ck_cancelled(struct leat_pg_connection *connection, const char *sql)
{
    struct leat_error err = {0};

    ck_assert_int_ne(leat_pg_execute(connection, sql, NULL, NULL, &err), 0);
    ck_assert_str_eq(err.sqlstate, "57014");
}

static void
ck_read_committed(struct leat_pg_connection *connection)
{
    struct leat_error err;
    PGresult *result;

    ck_assert_msg(leat_pg_execute(connection, "SELECT current_setting('transaction_isolation')",
                                  NULL, &result, &err) == 0,
                  "%s", err.text);
    ck_assert_str_eq(PQgetvalue(result, 0, 0), "read committed");
    PQclear(result);
}

/* One backend for all: what one client sets for a transaction is in force there, and gone for the next client. */
START_TEST(settings_are_given_in_each_transaction)
{
    struct leat_pg_connection *strict, *plain;
    struct leat_error err;

    /* It refuses our settings at connect, or was told to drop them. */
    begin_pooler(1, _i == 0 ? "" : "ignore_startup_parameters = options\n");
    test_fleet_sql(&fleet, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET "
                           "default_transaction_isolation = serializable', current_database()); "
                           "END $$");
    strict = connect_with("-c statement_timeout=200ms -c lock_timeout=100ms");
    plain = connect_with(NULL);
    ck_assert(strict->is_pooled && plain->is_pooled);
    for (int round = 0; round < 3; round++) {
        ck_cancelled(strict, "SELECT pg_sleep(20)");
        ck_assert_int_eq(leat_pg_execute(plain, "SELECT pg_sleep(0.5)", NULL, NULL, &err), 0);
        ck_assert_int_eq(leat_pg_script(strict, "BEGIN READ ONLY", &err), 0);
        ck_read_committed(strict);
        ck_cancelled(strict, "SELECT pg_sleep(20)");
        ck_assert_int_eq(leat_pg_script(strict, "ROLLBACK", &err), 0);
        ck_assert_int_eq(leat_pg_script(plain, "SELECT pg_sleep(0.3)", &err), 0);
    }
    /* A statement that fails leaves nothing behind. */
    ck_assert_int_ne(leat_pg_execute(strict, "SELECT 1 / 0", NULL, NULL, &err), 0);
    ck_assert_int_eq(leat_pg_execute(strict, "SELECT 1", NULL, NULL, &err), 0);
    leat_pg_close(strict);
    leat_pg_close(plain);
}
END_TEST

START_TEST(a_direct_connection_is_not_called_pooled)
{
    struct leat_pg_options options = {.search_path = "public",
                                      .settings = "-c statement_timeout=200ms"};
    struct leat_pg_connection *connection;
    struct leat_error err;
    char name[40], url[200];

    snprintf(name, sizeof name, "direct_%d", (int)getpid());
    test_postgres_database(name, url, sizeof url);
    options.url = url;
    ck_assert_int_eq(leat_pg_connect(&options, &connection, &err), 0);
    ck_assert_int_eq(leat_pg_script(connection,
                                    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET "
                                    "default_transaction_isolation = serializable', "
                                    "current_database()); END $$",
                                    &err),
                     0);
    leat_pg_close(connection);
    ck_assert_int_eq(leat_pg_connect(&options, &connection, &err), 0);
    ck_read_committed(connection);
    ck_assert(!connection->is_pooled && connection->settings_sql == NULL);
    ck_cancelled(connection, "SELECT pg_sleep(20)");
    leat_pg_close(connection);
}
END_TEST

/* ---- workers ---------------------------------------------------------------------------------------- */

START_TEST(it_is_said_once_and_works)
{
    int64_t first, second;

    begin_with_two(NULL);
    ck_reaches(HELD_BY("w1"), SHARDS / 2);
    ck_reaches(HELD_BY("w2"), SHARDS / 2);
    ck_steady_flows(&steady);
    ck_by_expiry_alone();
    first = incarnation_of("w1");
    second = incarnation_of("w2");
    /* The pooler itself goes, and comes: nobody dies of it, and nobody says it again. */
    test_pooler_kill(&pooler);
    usleep(LEASE_US);
    test_pooler_again(&pooler);
    ck_steady_flows(&steady);
    ck_assert_int_eq(incarnation_of("w1"), first);
    ck_assert_int_eq(incarnation_of("w2"), second);
    for (int i = 0; i < 2; i++)
        ck_assert_uint_eq(count_said(&workers[i], SAYS_POOLED), 1);
    ck_by_expiry_alone();
    ck_steady_all_right(&steady);
}
END_TEST

START_TEST(a_killed_worker_expires)
{
    begin_with_two(NULL);
    ck_reaches(HELD_BY("w1"), SHARDS / 2);
    ck_steady_flows(&steady);
    test_worker_kill(&workers[0], SIGKILL);
    test_worker_wait(&workers[0], NULL);
    ck_reaches(HELD_BY("w2"), SHARDS);
    ck_by_expiry_alone();
    ck_steady_flows(&steady);
    workers[0] = test_fleet_spawn(&fleet, "w1", arguments);
    ck_reaches(HELD_BY("w1"), SHARDS / 2);
    ck_steady_all_right(&steady);
}
END_TEST

/* Stopped idle, and in the middle of a commit or a take: whose backend it was is known by the name that the pooler hands on. */
static const char *const stops[] = {NULL, "commit.before=stop@20", "commit.sent=stop@20",
                                    "take.raised=stop@1"};

START_TEST(a_frozen_worker_is_fenced)
{
    int64_t incarnation;

    begin_with_two(stops[_i]);
    if (stops[_i] == NULL) {
        ck_reaches(HELD_BY("w1"), SHARDS / 2);
        ck_steady_flows(&steady);
        test_worker_kill(&workers[0], SIGSTOP);
    }
    ck_reaches("SELECT count(*) FROM leat.workers WHERE worker_id = 'w1'", 1);
    incarnation = incarnation_of("w1");
    ck_assert(test_worker_is_stopped(&workers[0], soon()));
    ck_reaches(HELD_BY("w2"), SHARDS);
    ck_steady_flows(&steady);
    test_worker_kill(&workers[0], SIGCONT);
    ck_assert(test_worker_says(&workers[0], "was declared dead", soon()));
    ck_reaches(HELD_BY("w1"), SHARDS / 2);
    ck_assert(incarnation_of("w1") != incarnation);
    ck_by_expiry_alone();
    ck_steady_all_right(&steady);
}
END_TEST

/* ---- there and back ----------------------------------------------------------------------------------- */

static void
end_worker(struct test_worker *worker)
{
    int status;

    test_worker_kill(worker, SIGTERM);
    status = test_worker_wait(worker, NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

/* A pooler that is put before a running application, worker by worker, and taken away: it is the same target. */
START_TEST(a_pooler_comes_and_goes)
{
    char pooled_url[sizeof fleet.url];

    begin();
    snprintf(pooled_url, sizeof pooled_url, "%s", fleet.url);
    snprintf(fleet.url, sizeof fleet.url, "%s", direct_url);
    test_fleet_reconfigure(&fleet, TEST_STEADY_PROCESSORS);
    workers[0] = test_fleet_spawn(&fleet, "w1", arguments);
    ck_reaches(HELD_BY("w1"), SHARDS);
    ck_steady_flows(&steady);
    ck_assert_uint_eq(count_said(&workers[0], SAYS_POOLED), 0);
    snprintf(fleet.url, sizeof fleet.url, "%s", pooled_url);
    test_fleet_reconfigure(&fleet, TEST_STEADY_PROCESSORS);
    workers[1] = test_fleet_spawn(&fleet, "w2", arguments);
    ck_reaches(HELD_BY("w2"), SHARDS / 2);
    ck_steady_flows(&steady);
    end_worker(&workers[0]);
    workers[0] = test_fleet_spawn(&fleet, "w1", arguments);
    ck_reaches(HELD_BY("w1"), SHARDS / 2);
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

/* What has the same tables is not the same target. */
START_TEST(another_target_is_refused)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;
    LEAT_AUTO_BUF rest = LEAT_BUF_INIT;
    char other[160], name[40];
    int status;

    begin();
    workers[0] = test_fleet_spawn(&fleet, "w1", arguments);
    ck_reaches(HELD_BY("w1"), SHARDS);
    end_worker(&workers[0]);
    snprintf(name, sizeof name, "other_%d", (int)getpid());
    test_postgres_database(name, other, sizeof other);
    leat_buf_printf(&command, "$LEAT db migrate --role target --database '%s'", other);
    free(test_fleet_shell(&fleet, leat_buf_text(&command)));
    leat_buf_printf(&rest,
                    "processors: [{ name: rollup, plugin: rollup, target: { plugin: postgres, url: "
                    "\"%s\" } }]\n",
                    other);
    test_fleet_reconfigure(&fleet, leat_buf_text(&rest));
    workers[0] = test_fleet_spawn(&fleet, "w1", arguments);
    status = test_worker_wait(&workers[0], NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %d", status);
    ck_assert(
        test_worker_says(&workers[0], "processor \"rollup\" has committed to another target", 0));
}
END_TEST

/* ---- commands --------------------------------------------------------------------------------------- */

static const char *const commands[] = {
    "db migrate",
    "db status",
    "validate --connect",
    "leases",
    "leases history",
    "leases release --worker w1",
    "workers",
    "workers drain w1",
    "workers drain w1 --undo",
    "shards",
    "processors",
    "processors pause print",
    "processors resume print",
    "checkpoint show --processor rollup",
    "checkpoint set --processor rollup --all --to trim-horizon --dry-run",
    "failures ls",
};

START_TEST(commands_work)
{
    begin();
    workers[0] = test_fleet_spawn(&fleet, "w1", arguments);
    workers[1] = test_fleet_spawn(&fleet, "w2", arguments);
    ck_reaches(HELD_BY("w1"), SHARDS / 2);
    for (size_t i = 0; i < LEAT_COUNT_OF(commands); i++) {
        LEAT_AUTO_BUF command = LEAT_BUF_INIT;

        leat_buf_printf(&command, "$LEAT %s -c $DIR/leat.yaml 2>&1", commands[i]);
        free(test_fleet_shell(&fleet, leat_buf_text(&command)));
    }
    ck_steady_all_right(&steady);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_pooler");
    TCase *tests = tcase_create("pooler");
    int failed;

    if (!test_pooler_is_there()) {
        printf("1 skipped: there is no pgbouncer here\n");
        return 77;
    }
    test_postgres_url();
    tcase_set_timeout(tests, 150);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_loop_test(tests, settings_are_given_in_each_transaction, 0, 2);
    tcase_add_test(tests, a_direct_connection_is_not_called_pooled);
    tcase_add_test(tests, it_is_said_once_and_works);
    tcase_add_test(tests, a_killed_worker_expires);
    tcase_add_loop_test(tests, a_frozen_worker_is_fenced, 0, (int)LEAT_COUNT_OF(stops));
    tcase_add_test(tests, a_pooler_comes_and_goes);
    tcase_add_test(tests, another_target_is_refused);
    tcase_add_test(tests, commands_work);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
