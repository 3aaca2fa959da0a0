/*
 * Who dies and who does not, with real workers: whatever happens to the database or to all connections kills nobody, since nobody
 * judges who was not himself well for a lease time; and workers that are killed, also several at once, are replaced. Each test
 * runs twice: with NOTIFY and session locks, and without. The steady put proves that nothing is lost, doubled or out of order.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "local/postgres.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"
#include "support/proxy.h"
#include "support/steady.h"

#include <check.h>

#define SHARDS 6
#define WORKERS 3
#define MOST_WORKERS 5
#define LEASE_US (1500 * LEAT_MS_US)

static const char *const bare_arguments[] = {
    "--set", "leases.heartbeat=300ms", "--set", "leases.expiry=1500ms",
    "--set", "leases.notify=false",    "--set", "leases.session_lock=false",
    NULL};
static const char *const arguments[] = {"--set", "leases.heartbeat=300ms", "--set",
                                        "leases.expiry=1500ms", NULL};
static const char *const ids[MOST_WORKERS] = {"w1", "w2", "w3", "w4", "w5"};

static struct test_fleet fleet;
static struct test_proxy *proxy;
static struct leat_local_postgres *second; /* the server that took over */
static struct test_worker workers[MOST_WORKERS];
static struct test_steady steady;
static char direct_url[sizeof fleet.url];

/* ---- questions ---------------------------------------------------------------------------------- */

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

/* So many workers share all active leases, and nobody has more than one more than another. */
static void
ck_balanced(int alive)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(
        &sql,
        "SELECT (count(*) = %d AND max(held) - min(held) <= 1 AND sum(held) = %d)::int "
        "FROM (SELECT w.worker_id, count(l.shard) AS held FROM leat.workers w LEFT JOIN "
        "leat.leases l ON l.lease_owner = w.incarnation AND l.next_owner IS NULL "
        "WHERE w.state = 'alive' GROUP BY 1) h",
        alive, SHARDS);
    ck_reaches(leat_buf_text(&sql), 1);
}

/* All incarnations, in one number. */
static int64_t
incarnations(void)
{
    return test_fleet_number(&fleet, "SELECT bit_xor(incarnation) FROM leat.workers");
}

/* ---- begin and end ------------------------------------------------------------------------------ */

static void
begin(int mode, int count)
{
    struct test_fleet_options options = {.shards = SHARDS};
    char socket[128];

    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, TEST_STEADY_PROCESSORS);
    snprintf(direct_url, sizeof direct_url, "%s", fleet.url);
    snprintf(socket, sizeof socket, "%s/.s.PGSQL.5432", fleet.directory);
    proxy = test_proxy_start(socket);
    snprintf(fleet.url, sizeof fleet.url, "host=127.0.0.1 port=%u user=postgres dbname=leat",
             test_proxy_port(proxy));
    test_fleet_reconfigure(&fleet, TEST_STEADY_PROCESSORS);
    snprintf(fleet.url, sizeof fleet.url, "%s", direct_url);
    steady.fleet = &fleet;
    test_steady_prepare(&steady);
    test_steady_start(&steady);
    for (int i = 0; i < count; i++)
        workers[i] = test_fleet_spawn(&fleet, ids[i], mode == 1 ? bare_arguments : arguments);
    ck_balanced(count);
    ck_steady_flows(&steady);
}

static void
teardown(void)
{
    test_steady_stop(&steady);
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    test_proxy_stop(proxy);
    leat_local_postgres_stop(second);
    test_fleet_end(&fleet);
}

/* ---- what must kill nobody ------------------------------------------------------------------------ */

static void
restart(int64_t away_us)
{
    test_fleet_stop_postgres(&fleet);
    usleep((useconds_t)away_us);
    test_fleet_start_postgres(&fleet);
}

static void
restart_at_once(void)
{
    restart(0);
}

static void
restart_after_the_leases(void)
{
    restart(2 * LEASE_US);
}

static void
reconnect(void)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = fleet.url, .application_name = "oracle"};
    int64_t deadline_us = soon();
    struct leat_error err;

    leat_pg_close(fleet.connection);
    fleet.connection = NULL;
    while (leat_pg_connect(&options, &fleet.connection, &err) != 0) {
        ck_assert_msg(leat_clock_monotonic_us() < deadline_us, "%s", err.text);
        usleep(20000);
    }
}

/* kill -9 of one backend: the server ends all others, and recovers. */
static void
crash_a_backend(void)
{
    pid_t pid = (pid_t)test_fleet_number(
        &fleet, "SELECT pid FROM pg_stat_activity WHERE application_name = 'leat manager' LIMIT 1");
    int64_t deadline_us = soon();

    ck_assert_int_gt(pid, 1);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    /* Ours ends with all others: from then on nobody is let in before it has recovered. */
    while (PQstatus(fleet.connection->conn) == CONNECTION_OK) {
        ck_assert_int_lt(leat_clock_monotonic_us(), deadline_us);
        PQclear(PQexec(fleet.connection->conn, "SELECT 1"));
        usleep(2000);
    }
    reconnect();
}

static void
cut_thrice(void)
{
    for (int i = 0; i < 3; i++) {
        test_proxy_cut(proxy);
        usleep(300000);
    }
}

static void
refuse_for_long(void)
{
    test_proxy_set_mode(proxy, TEST_PROXY_REFUSE);
    test_proxy_cut(proxy);
    usleep(3 * LEASE_US);
    test_proxy_set_mode(proxy, TEST_PROXY_PASS);
}

static void
stall(int64_t duration_us)
{
    test_proxy_set_mode(proxy, TEST_PROXY_STALL);
    usleep((useconds_t)duration_us);
    test_proxy_set_mode(proxy, TEST_PROXY_PASS);
}

static void
stall_for_a_moment(void)
{
    stall(LEASE_US * 2 / 3);
}

static void
stall_for_long(void)
{
    stall(3 * LEASE_US);
}

/* Everything is applied, nobody hears of it. */
static void
swallow_answers(void)
{
    test_proxy_set_mode(proxy, TEST_PROXY_SWALLOW);
    usleep(LEASE_US);
    test_proxy_set_mode(proxy, TEST_PROXY_PASS);
}

/* Another server with the same rows takes over, as when a synchronous standby is promoted. */
static void
another_server_takes_over(void)
{
    char directory[80], socket[128];
    struct leat_error err;

    test_fleet_stop_postgres(&fleet);
    free(test_fleet_shell(&fleet, "mkdir $DIR/b && chmod 755 $DIR/b && cp -a $DIR/data $DIR/b/ && "
                                  "sed -i \"s|^unix_socket_directories.*|unix_socket_directories = "
                                  "'$DIR/b'|\" $DIR/b/data/postgresql.conf"));
    snprintf(directory, sizeof directory, "%s/b", fleet.directory);
    snprintf(socket, sizeof socket, "%s/.s.PGSQL.5432", directory);
    ck_assert_msg(leat_local_postgres_start(directory, &second, &err) == 0, "%s", err.text);
    test_proxy_retarget(proxy, socket);
    snprintf(fleet.url, sizeof fleet.url, "host=%s user=postgres dbname=leat", directory);
    reconnect();
}

static const struct {
    const char *name;
    void (*strike)(void);
} outages[] = {
    {"cut_thrice", cut_thrice},
    {"stall_for_a_moment", stall_for_a_moment},
    {"swallow_answers", swallow_answers},
    {"restart_at_once", restart_at_once},
    {"crash_a_backend", crash_a_backend},
    {"stall_for_long", stall_for_long},
    {"refuse_for_long", refuse_for_long},
    {"restart_after_the_leases", restart_after_the_leases},
    {"another_server_takes_over", another_server_takes_over},
};

START_TEST(nothing_of_the_database_kills_a_worker)
{
    int64_t before;

    begin(_i, WORKERS);
    before = incarnations();
    for (size_t i = 0; i < LEAT_COUNT_OF(outages); i++) {
        int64_t begun_us = leat_clock_monotonic_us();

        outages[i].strike();
        ck_steady_flows(&steady);
        /* Whoever could be called dead now would be: all are well for a lease time. */
        usleep(2 * LEASE_US);
        if (incarnations() != before)
            test_fleet_dump(&fleet);
        ck_assert_msg(incarnations() == before, "somebody was declared dead by %s",
                      outages[i].name);
        ck_assert_int_eq(
            test_fleet_number(&fleet, "SELECT count(*) FROM leat.workers WHERE state = 'alive'"),
            WORKERS);
        if (getenv("LEAT_TEST_SHOW") != NULL)
            fprintf(stderr, "%s: %.1f s\n", outages[i].name,
                    (double)(leat_clock_monotonic_us() - begun_us) / 1e6);
    }
    ck_steady_all_right(&steady);
}
END_TEST

/* ---- who is dead is found ------------------------------------------------------------------------- */

static void
kill_some(int first, int count)
{
    for (int i = first; i < first + count; i++)
        test_worker_kill(&workers[i], SIGKILL);
    for (int i = first; i < first + count; i++)
        test_worker_wait(&workers[i], NULL);
}

START_TEST(two_of_three_die_at_once)
{
    begin(_i, WORKERS);
    kill_some(0, 2);
    ck_balanced(1);
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

/* More than a judge watches. */
START_TEST(all_but_one_die_at_once)
{
    begin(_i, MOST_WORKERS);
    kill_some(1, MOST_WORKERS - 1);
    ck_balanced(1);
    ck_steady_flows(&steady);
    ck_assert_int_eq(
        test_fleet_number(&fleet, "SELECT count(*) FROM leat.workers WHERE state = 'dead'"),
        MOST_WORKERS - 1);
    ck_steady_all_right(&steady);
}
END_TEST

/* The session lock of a worker that lives is never free for others, also after its connections were cut: a new key first. */
START_TEST(a_session_lock_stands_for_its_session)
{
    begin(0, WORKERS);
    for (int i = 0; i < 5; i++) {
        test_proxy_cut(proxy);
        ck_steady_flows(&steady);
        ck_reaches("SELECT (count(*) = 3 AND bool_and(EXISTS (SELECT FROM pg_locks l WHERE "
                   "l.locktype = 'advisory' AND l.mode = 'ExclusiveLock' AND l.objsubid = 1 AND "
                   "(l.classid::int8 << 32) + l.objid::int8 = w.session_key)))::int FROM "
                   "leat.workers w WHERE w.state = 'alive'",
                   1);
    }
    ck_steady_all_right(&steady);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_deaths");
    TCase *tests = tcase_create("deaths");
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 280);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_loop_test(tests, nothing_of_the_database_kills_a_worker, 0, 2);
    tcase_add_loop_test(tests, two_of_three_die_at_once, 0, 2);
    tcase_add_loop_test(tests, all_but_one_die_at_once, 0, 2);
    tcase_add_test(tests, a_session_lock_stands_for_its_session);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
