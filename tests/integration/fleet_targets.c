/*
 * Which target is this? Two databases are swapped behind their addresses, at a start and under a running worker; a target is
 * rebuilt on purpose; two lease databases share one target. Each database of a test is one of the shared server; a URL that can be
 * swapped is a file.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

static struct test_fleet fleet, other_fleet;
static bool has_other;
static struct leat_pg_connection *right, *wrong; /* the targets */
static char right_url[240], wrong_url[240], url_file[160];
static struct test_worker worker, other_worker;
static int put_count;

static int64_t
soon(void)
{
    return leat_clock_monotonic_us() + PATIENCE_US;
}

static int64_t
number(struct leat_pg_connection *target, const char *sql)
{
    PGresult *result = PQexec(target->conn, sql);
    int64_t found;

    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s: %s", sql,
                  PQerrorMessage(target->conn));
    found = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return found;
}

static void
ck_reaches(struct leat_pg_connection *target, const char *sql, int64_t wanted)
{
    int64_t deadline_us = soon();

    while (number(target, sql) < wanted && leat_clock_monotonic_us() < deadline_us)
        usleep(5000);
    ck_assert_int_eq(number(target, sql), wanted);
}

static void
ck_says(struct test_worker *who, const char *text)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;

    if (test_worker_says(who, text, soon()))
        return;
    test_worker_log(who, &log);
    ck_abort_msg("no \"%s\" in: %s", text, leat_buf_text(&log));
}

static void
put(int count)
{
    for (int i = 0; i < count; i++) {
        char key[16];

        snprintf(key, sizeof key, "key-%d", put_count++);
        test_fleet_put(&fleet, leat_slice_from(key), leat_slice_from(key));
    }
}

static void
write_url(const char *url)
{
    char fresh[180];
    FILE *out;

    snprintf(fresh, sizeof fresh, "%s.new", url_file);
    out = fopen(fresh, "w");
    ck_assert_ptr_nonnull(out);
    fprintf(out, "%s\n", url);
    fclose(out);
    ck_assert_int_eq(rename(fresh, url_file), 0);
}

static void
configure(void)
{
    LEAT_AUTO_BUF rest = LEAT_BUF_INIT;

    leat_buf_printf(&rest,
                    "leases: { heartbeat: 300ms, expiry: 1500ms }\nprocessors:\n"
                    "  - { name: print, plugin: print, target: { plugin: postgres, url_file: "
                    "\"%s\" } }\n",
                    url_file);
    test_fleet_reconfigure(&fleet, leat_buf_text(&rest));
}

/* A migrated database with the processor's table. */
static struct leat_pg_connection *
make_target(const char *which, char url[240])
{
    struct leat_pg_options connect = {
        .search_path = "public", .application_name = "test", .url = url};
    struct leat_pg_connection *connection;
    struct leat_error err;
    char name[40], *ddl;

    snprintf(name, sizeof name, "%s_%d", which, (int)getpid());
    test_postgres_database(name, url, 240);
    write_url(url);
    free(test_fleet_shell(&fleet, "$LEAT db migrate -c $DIR/leat.yaml"));
    ddl = test_fleet_shell(&fleet, "$LEAT db ddl -c $DIR/leat.yaml");
    ck_assert_msg(leat_pg_connect(&connect, &connection, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_pg_script(connection, ddl, &err) == 0, "%s", err.text);
    free(ddl);
    return connection;
}

static void
begin(void)
{
    struct test_fleet_options options = {.shards = 2};
    char name[40];

    snprintf(name, sizeof name, "leases_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    snprintf(url_file, sizeof url_file, "%s/target-url", fleet.directory);
    configure();
    wrong = make_target("wrong", wrong_url);
    right = make_target("right", right_url);
}

static void
start_worker(void)
{
    worker = test_fleet_spawn(&fleet, "w1", NULL);
}

static void
end_worker(void)
{
    test_worker_kill(&worker, SIGTERM);
    test_worker_wait(&worker, NULL);
}

static void
teardown(void)
{
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    if (has_other) {
        test_worker_kill(&other_worker, SIGKILL);
        test_worker_wait(&other_worker, NULL);
        test_fleet_end(&other_fleet);
    }
    leat_pg_close(right);
    leat_pg_close(wrong);
    test_fleet_end(&fleet);
}

/* What a command says, and how it ends: "TEXT exit N". */
static char *
command(const char *line)
{
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;

    leat_buf_printf(&all, "{ %s; } 2>&1; echo \"exit $?\"", line);
    return test_fleet_shell(&fleet, leat_buf_text(&all));
}

static void
ck_command(const char *line, const char *const wanted[])
{
    char *text = command(line);

    for (; *wanted != NULL; wanted++)
        ck_assert_msg(strstr(text, *wanted) != NULL, "%s: no \"%s\" in: %s", line, *wanted, text);
    free(text);
}
#define CK_COMMAND(line, ...) ck_command(line, (const char *const[]){__VA_ARGS__, NULL})

#define RECORDS "SELECT count(*) FROM records"
#define PROGRESS "SELECT count(*) FROM leat.progress"

/* ---- swapped --------------------------------------------------------------------------------------- */

/* Under the same address: nothing but the ids tells them apart. */
static void
swap_addresses(void)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    struct leat_pg_options connect = {
        .search_path = "public", .application_name = "test", .url = test_postgres_url()};
    struct leat_pg_connection *admin;
    struct leat_error err;
    int pid = (int)getpid();

    leat_pg_close(right);
    leat_pg_close(wrong);
    ck_assert_int_eq(leat_pg_connect(&connect, &admin, &err), 0);
    leat_buf_printf(&sql,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN "
                    "('right_%d', 'wrong_%d')",
                    pid, pid);
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(leat_pg_script(admin, leat_buf_text(&sql), &err), 0);
        LEAT_AUTO_BUF rename = LEAT_BUF_INIT;
        leat_buf_printf(&rename, "ALTER DATABASE right_%d RENAME TO was_right_%d", pid, pid);
        if (leat_pg_script(admin, leat_buf_text(&rename), &err) == 0)
            break;
    }
    leat_buf_clear(&sql);
    leat_buf_printf(&sql, "ALTER DATABASE wrong_%d RENAME TO right_%d", pid, pid);
    ck_assert_msg(leat_pg_script(admin, leat_buf_text(&sql), &err) == 0, "%s", err.text);
    leat_buf_clear(&sql);
    leat_buf_printf(&sql, "ALTER DATABASE was_right_%d RENAME TO wrong_%d", pid, pid);
    ck_assert_msg(leat_pg_script(admin, leat_buf_text(&sql), &err) == 0, "%s", err.text);
    leat_pg_close(admin);
    connect.url = wrong_url; /* where the right one is now */
    ck_assert_int_eq(leat_pg_connect(&connect, &right, &err), 0);
    connect.url = right_url;
    ck_assert_int_eq(leat_pg_connect(&connect, &wrong, &err), 0);
}

START_TEST(a_start_refuses_another_target)
{
    int status;

    begin();
    start_worker();
    put(40);
    ck_reaches(right, RECORDS, 40);
    end_worker();
    swap_addresses();
    put(10);
    start_worker();
    status = test_worker_wait(&worker, NULL);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) != 0);
    ck_says(&worker, "processor \"print\" has committed to another target");
    ck_assert_int_eq(number(wrong, PROGRESS), 0);
    CK_COMMAND(
        "$LEAT validate -c $DIR/leat.yaml --connect",
        "target of processor \"print\": this is postgres:", "has committed to postgres:", "exit 1");
    CK_COMMAND("$LEAT checkpoint set -c $DIR/leat.yaml --processor print --all --to trim-horizon "
               "--yes",
               "has committed to postgres:", "exit 1");
    CK_COMMAND("$LEAT checkpoint show -c $DIR/leat.yaml --processor print",
               "has committed to postgres:", "exit 1");
    ck_assert_int_eq(number(wrong, PROGRESS), 0);
    /* Back where it is: by its id, whatever the address. */
    write_url(wrong_url);
    start_worker();
    ck_reaches(right, RECORDS, 50);
    end_worker();
    CK_COMMAND("$LEAT validate -c $DIR/leat.yaml --connect", "ok");
}
END_TEST

/* Another address where nobody answers: nobody can say that it is another target, so nobody is told to give it up. */
START_TEST(one_that_does_not_answer_is_waited_for)
{
    begin();
    start_worker();
    put(40);
    ck_reaches(right, RECORDS, 40);
    end_worker();
    write_url("host=127.0.0.1 port=1 user=nobody dbname=nothing connect_timeout=1");
    put(10);
    start_worker();
    ck_says(&worker, "could not be asked which one it is");
    write_url(right_url);
    ck_reaches(right, RECORDS, 50);
    end_worker();
}
END_TEST

/* The file leads somewhere else while the worker runs (0), or the address does (1). */
START_TEST(a_running_worker_refuses_another_target)
{
    begin();
    start_worker();
    put(40);
    ck_reaches(right, RECORDS, 40);
    if (_i == 0) {
        write_url(wrong_url);
        PQclear(PQexec(right->conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                                    "datname = current_database() AND pid <> pg_backend_pid()"));
    } else {
        swap_addresses();
    }
    put(20);
    ck_says(&worker, "this is another target");
    ck_assert_int_eq(number(wrong, PROGRESS), 0);
    ck_assert_int_eq(number(wrong, RECORDS), 0);
    write_url(_i == 0 ? right_url : wrong_url);
    ck_reaches(right, RECORDS, 60);
    ck_assert_int_eq(number(wrong, RECORDS), 0);
}
END_TEST

/* The target was away at the first start: its id is registered as soon as it is known. */
START_TEST(an_id_that_comes_later_is_registered)
{
    begin();
    write_url("host=127.0.0.1 port=1 user=nobody dbname=nothing connect_timeout=1");
    start_worker();
    ck_says(&worker, "a processor has yet to begin");
    ck_assert(test_fleet_wait_for(
        &fleet, "SELECT count(*) FROM leat.processors WHERE target_id NOT LIKE '%#%'", 1, soon()));
    write_url(right_url);
    put(40);
    ck_reaches(right, RECORDS, 40);
    ck_assert(test_fleet_wait_for(
        &fleet, "SELECT count(*) FROM leat.processors WHERE target_id LIKE '%#%'", 1, soon()));
}
END_TEST

/* ---- rebuilt ---------------------------------------------------------------------------------------- */

START_TEST(an_operator_says_that_it_was_rebuilt)
{
    begin();
    start_worker();
    put(40);
    ck_reaches(right, RECORDS, 40);
    write_url(wrong_url);
    CK_COMMAND("$LEAT processors retarget other -c $DIR/leat.yaml", "no processor \"other\"",
               "exit 2");
    CK_COMMAND("$LEAT processors retarget print -c $DIR/leat.yaml --dry-run",
               "dry run: nothing was changed", "exit 0");
    CK_COMMAND("$LEAT processors retarget print -c $DIR/leat.yaml </dev/null", "Say --yes",
               "exit 2");
    CK_COMMAND("$LEAT processors retarget print -c $DIR/leat.yaml --yes", "from now on", "exit 0");
    CK_COMMAND("$LEAT processors retarget print -c $DIR/leat.yaml --yes", "already", "exit 0");
    /* The worker leaves the old one by itself, at its next commit, and begins anew in the new one. */
    put(20);
    ck_reaches(wrong, RECORDS, 60);
    ck_assert_int_eq(number(right, RECORDS), 40);
    end_worker();
    start_worker();
    put(5);
    ck_reaches(wrong, RECORDS, 65);
}
END_TEST

/* ---- two lease databases ------------------------------------------------------------------------------ */

START_TEST(two_lease_databases_on_one_target)
{
    struct test_fleet_options options = {.shards = 2};
    LEAT_AUTO_BUF rest = LEAT_BUF_INIT;
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    char name[40], there[64], here[64];
    size_t count = 0;
    int64_t until_us;

    begin();
    snprintf(here, sizeof here, "/leases_%d", (int)getpid());
    snprintf(there, sizeof there, "/rivals_%d", (int)getpid());
    snprintf(name, sizeof name, "rivals_%d", (int)getpid());
    options.database = name;
    options.endpoint = leat_local_kinesis_endpoint(fleet.kinesis);
    start_worker();
    put(40);
    ck_reaches(right, RECORDS, 40);
    test_fleet_start(&other_fleet, &options);
    has_other = true;
    leat_buf_printf(&rest,
                    "leases: { heartbeat: 300ms, expiry: 1500ms }\nprocessors:\n"
                    "  - { name: print, plugin: print, target: { plugin: postgres, url: \"%s\" } "
                    "}\n",
                    right_url);
    test_fleet_reconfigure(&other_fleet, leat_buf_text(&rest));
    free(test_fleet_shell(&other_fleet, "$LEAT db migrate -c $DIR/leat.yaml"));
    other_worker = test_fleet_spawn(&other_fleet, "w1", NULL);
    until_us = soon();
    while (count == 0 && leat_clock_monotonic_us() < until_us) {
        put(1);
        usleep(50000);
        leat_buf_clear(&log);
        test_worker_log(&worker, &log);
        test_worker_log(&other_worker, &log);
        count = strstr(leat_buf_text(&log), "two lease databases share out the same shards") !=
                NULL;
    }
    ck_assert_msg(count == 1, "%s", leat_buf_text(&log));
    ck_assert_msg(strstr(leat_buf_text(&log), here) != NULL &&
                      strstr(leat_buf_text(&log), there) != NULL,
                  "%s", leat_buf_text(&log));
    /* Exactly once all the same. */
    test_worker_kill(&other_worker, SIGKILL);
    test_worker_wait(&other_worker, NULL);
    ck_reaches(right, RECORDS, put_count);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fleet_targets");
    TCase *tests = tcase_create("targets");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, a_start_refuses_another_target);
    tcase_add_test(tests, one_that_does_not_answer_is_waited_for);
    tcase_add_loop_test(tests, a_running_worker_refuses_another_target, 0, 2);
    tcase_add_test(tests, an_id_that_comes_later_is_registered);
    tcase_add_test(tests, an_operator_says_that_it_was_rebuilt);
    tcase_add_test(tests, two_lease_databases_on_one_target);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
