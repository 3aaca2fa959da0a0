/*
 * A first meeting that is none: the lease database is rebuilt, or was restored from before the processor came, while its target
 * has the progress. As in fleet_starts.c each phase puts one record per key, and what a processor saw is a word. Leases and
 * targets have a database each.
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
#include "support/proxy.h"

#include <check.h>

#define KEYS 40
/* The service's clock is told in whole seconds (Date): what LATEST is resolved to may be that much too early. */
#define DATE_US (1100 * LEAT_MS_US)

static struct test_fleet fleet;
static struct leat_pg_connection *target;
static struct test_proxy *proxy; /* before the target of "away" */
static char target_url[240], leases_url[240], target_name[40];
static struct test_worker worker;

static int64_t
soon(void)
{
    return leat_clock_monotonic_us() + PATIENCE_US;
}

/* Of the target. */
static int64_t
number(const char *sql)
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
put_phase(char phase)
{
    test_fleet_put_phase(&fleet, phase, KEYS);
}

static void
split(const char *shard)
{
    test_fleet_split(&fleet, shard);
}

static void
start_worker(void)
{
    worker = test_fleet_spawn(&fleet, "w1", NULL);
}

static void
end_worker(void)
{
    int status;

    test_worker_kill(&worker, SIGTERM);
    status = test_worker_wait(&worker, NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

/* All records of these phases, each once, and none of another; they are waited for, and a moment more. */
static void
ck_saw(const char *processor, const char *phases)
{
    int64_t wanted = (int64_t)strlen(phases) * KEYS, deadline_us = soon();
    LEAT_AUTO_BUF count = LEAT_BUF_INIT;
    LEAT_AUTO_BUF words = LEAT_BUF_INIT;
    PGresult *result;

    leat_buf_printf(&count, "SELECT count(*) FROM saw_%s", processor);
    while (number(leat_buf_text(&count)) < wanted && leat_clock_monotonic_us() < deadline_us)
        usleep(5000);
    usleep(300000);
    leat_buf_printf(&words,
                    "SELECT coalesce(string_agg(phase || CASE WHEN n = %d THEN '' ELSE "
                    "'(' || n || ')' END, '' ORDER BY phase), '') FROM (SELECT left(data, 1) AS "
                    "phase, count(*) AS n FROM saw_%s GROUP BY 1) p",
                    KEYS, processor);
    result = PQexec(target->conn, leat_buf_text(&words));
    if (strcmp(PQgetvalue(result, 0, 0), phases) != 0) {
        LEAT_AUTO_BUF log = LEAT_BUF_INIT;

        test_worker_log(&worker, &log);
        fprintf(stderr, "%s", leat_buf_text(&log));
        test_fleet_dump(&fleet);
    }
    ck_assert_str_eq(PQgetvalue(result, 0, 0), phases);
    PQclear(result);
}

static void
configure(const char *start)
{
    LEAT_AUTO_BUF rest = LEAT_BUF_INIT;

    leat_buf_printf(&rest,
                    "leases: { heartbeat: 300ms, expiry: 1500ms }\nprocessors:\n"
                    "  - { name: one, plugin: print, start: \"%s\", target: { plugin: postgres, "
                    "url: \"%s\", options: { tables: { records: saw_one } } } }\n",
                    start, target_url);
    test_fleet_reconfigure(&fleet, leat_buf_text(&rest));
}

static void
migrate(void)
{
    free(test_fleet_shell(&fleet, "$LEAT db migrate -c $DIR/leat.yaml"));
}

/* As an operator does who lost it. */
static void
rebuild_leases(void)
{
    test_fleet_sql(&fleet, "DROP SCHEMA leat CASCADE");
    migrate();
}

static void
begin(unsigned shards, const char *start)
{
    struct leat_pg_options connect = {.search_path = "public", .application_name = "test"};
    struct test_fleet_options options = {.shards = shards};
    struct leat_error err;
    char name[40], *ddl;

    snprintf(name, sizeof name, "meet_%d", (int)getpid());
    snprintf(target_name, sizeof target_name, "met_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_postgres_database(target_name, target_url, sizeof target_url);
    snprintf(leases_url, sizeof leases_url, "%s", fleet.url);
    connect.url = target_url;
    ck_assert_msg(leat_pg_connect(&connect, &target, &err) == 0, "%s", err.text);
    configure(start);
    migrate();
    ddl = test_fleet_shell(&fleet, "$LEAT db ddl -c $DIR/leat.yaml");
    ck_assert_msg(leat_pg_script(target, ddl, &err) == 0, "%s", err.text);
    ck_assert_int_eq(
        leat_pg_script(target, "CREATE TABLE saw_away (LIKE saw_one INCLUDING ALL)", &err), 0);
    free(ddl);
}

static void
teardown(void)
{
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    leat_pg_close(target);
    target = NULL;
    test_proxy_stop(proxy);
    proxy = NULL;
    test_fleet_end(&fleet);
}

/* ---- meetings that are none ---------------------------------------------------------------------- */

static const struct {
    const char *at_first, *later; /* the configured start; later NULL: the same */
} starts[] = {{"latest", NULL}, {"trim_horizon", NULL}, {"latest", "2099-01-01T00:00:00Z"}};

/* Unread records lie in a shard that was split while nobody looked, in its children and in one that is open. */
START_TEST(nothing_unread_is_skipped)
{
    begin(2, starts[_i].at_first);
    start_worker();
    ck_assert(test_fleet_wait_for(&fleet, "SELECT count(*) FROM leat.starts", 1, soon()));
    usleep(DATE_US);
    put_phase('A');
    ck_saw("one", "A");
    end_worker();
    put_phase('B');
    split("shardId-000000000000");
    put_phase('C');
    split("shardId-000000000002");
    put_phase('D');
    usleep(DATE_US);
    rebuild_leases();
    if (starts[_i].later != NULL)
        configure(starts[_i].later);
    start_worker();
    ck_saw("one", "ABCD");
    put_phase('E');
    ck_saw("one", "ABCDE");
    ck_assert_int_eq(number("SELECT count(*) FROM leat.progress WHERE checkpoint = 'SHARD_END'"),
                     2);
}
END_TEST

/* Restored from before the processor came, with another processor's knowledge of the stream in it. */
START_TEST(restored_from_before_the_meeting)
{
    begin(1, "latest");
    start_worker();
    ck_assert(test_fleet_wait_for(&fleet, "SELECT count(*) FROM leat.starts", 1, soon()));
    usleep(DATE_US);
    put_phase('A');
    ck_saw("one", "A");
    end_worker();
    put_phase('B');
    usleep(DATE_US);
    test_fleet_sql(&fleet, "DELETE FROM leat.starts");
    test_fleet_sql(&fleet, "DELETE FROM leat.start_shards");
    start_worker();
    ck_saw("one", "AB");
    ck_assert(test_worker_says(&worker, "the target has progress in a stream", soon()));
}
END_TEST

/* What lay before the first start is not read now: its child's progress proves that it was passed. */
START_TEST(what_was_passed_stays_passed)
{
    begin(1, "latest");
    put_phase('A');
    split("shardId-000000000000");
    usleep(DATE_US);
    start_worker();
    ck_assert(test_fleet_wait_for(&fleet, "SELECT count(*) FROM leat.starts", 1, soon()));
    put_phase('B');
    ck_saw("one", "B");
    end_worker();
    put_phase('C');
    split("shardId-000000000001");
    put_phase('D');
    rebuild_leases();
    start_worker();
    ck_saw("one", "BCD");
    ck_assert_int_eq(
        number("SELECT count(*) FROM leat.progress WHERE shard = 'shardId-000000000000'"), 0);
}
END_TEST

/* All shards that have progress have left the stream since. */
START_TEST(all_that_it_knew_is_gone)
{
    struct leat_error err;

    begin(1, "latest");
    start_worker();
    ck_assert(test_fleet_wait_for(&fleet, "SELECT count(*) FROM leat.starts", 1, soon()));
    usleep(DATE_US);
    put_phase('A');
    ck_saw("one", "A");
    end_worker();
    split("shardId-000000000000");
    put_phase('B');
    ck_assert_int_eq(leat_local_kinesis_trim(fleet.kinesis, TEST_FLEET_STREAM,
                                             "shardId-000000000000", INT64_MAX, &err),
                     0);
    usleep(DATE_US);
    rebuild_leases();
    start_worker();
    ck_saw("one", "AB");
}
END_TEST

/* ---- a target that cannot be asked ------------------------------------------------------------------ */

static void
configure_two(void)
{
    LEAT_AUTO_BUF rest = LEAT_BUF_INIT;

    leat_buf_printf(
        &rest,
        "leases: { heartbeat: 300ms, expiry: 1500ms }\nprocessors:\n"
        "  - { name: one, plugin: print, start: latest, target: { plugin: postgres, url: \"%s\", "
        "options: { tables: { records: saw_one } } } }\n"
        "  - { name: away, plugin: print, start: latest, target: { plugin: postgres, url: "
        "\"host=127.0.0.1 port=%u user=postgres dbname=%s\", options: { tables: { records: "
        "saw_away } } } }\n",
        target_url, test_proxy_port(proxy), target_name);
    test_fleet_reconfigure(&fleet, leat_buf_text(&rest));
}

static const enum test_proxy_mode modes[] = {TEST_PROXY_REFUSE, TEST_PROXY_STALL};

/* The other processor goes on; the one whose target comes back begins where it came, not where its target did. */
START_TEST(a_target_that_is_away_holds_up_nobody)
{
    char path[300], directory[200];

    begin(2, "latest");
    ck_assert_int_eq(sscanf(strstr(target_url, "host="), "host=%199[^& ]", directory), 1);
    snprintf(path, sizeof path, "%s/.s.PGSQL.5432", directory);
    proxy = test_proxy_start(path);
    test_proxy_set_mode(proxy, modes[_i]);
    configure_two();
    put_phase('A');
    usleep(DATE_US);
    start_worker();
    ck_assert(test_fleet_wait_for(
        &fleet, "SELECT count(*) FROM leat.starts WHERE processor = 'one'", 1, soon()));
    ck_assert(test_worker_says(&worker, "a processor has yet to begin", soon()));
    put_phase('B');
    ck_saw("one", "B");
    split("shardId-000000000000");
    put_phase('C');
    ck_saw("one", "BC");
    ck_assert_int_eq(
        test_fleet_number(&fleet, "SELECT count(*) FROM leat.starts WHERE processor = 'away'"), 0);
    usleep(DATE_US);
    test_proxy_set_mode(proxy, TEST_PROXY_PASS);
    test_proxy_cut(proxy);
    ck_saw("away", "BC");
    put_phase('D');
    ck_saw("one", "BCD");
    ck_saw("away", "BCD");
}
END_TEST

/* ---- clocks ------------------------------------------------------------------------------------------ */

/* A header of years ahead, or behind. */
static const int64_t years[] = {73, -40};

START_TEST(a_clock_that_is_years_off)
{
    struct leat_local_fault date = {.kind = LEAT_LOCAL_FAULT_DATE,
                                    .action = "ListShards",
                                    .delay_us = years[_i] * 365 * 24 * 3600 * LEAT_SECOND_US};

    begin(1, "latest");
    put_phase('A');
    usleep(DATE_US);
    leat_local_kinesis_fault(fleet.kinesis, &date);
    start_worker();
    ck_assert(test_fleet_wait_for(&fleet, "SELECT count(*) FROM leat.starts", 1, soon()));
    ck_assert(test_worker_says(&worker, "the service's clock is not believed", soon()));
    put_phase('B');
    ck_saw("one", "B");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fleet_meetings");
    TCase *tests = tcase_create("meetings");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_loop_test(tests, nothing_unread_is_skipped, 0, (int)LEAT_COUNT_OF(starts));
    tcase_add_test(tests, restored_from_before_the_meeting);
    tcase_add_test(tests, what_was_passed_stays_passed);
    tcase_add_test(tests, all_that_it_knew_is_gone);
    tcase_add_loop_test(tests, a_target_that_is_away_holds_up_nobody, 0, (int)LEAT_COUNT_OF(modes));
    tcase_add_loop_test(tests, a_clock_that_is_years_off, 0, (int)LEAT_COUNT_OF(years));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
