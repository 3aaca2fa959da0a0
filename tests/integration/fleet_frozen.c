/*
 * A worker that is frozen, idle or in the middle of a commit, a take or a heartbeat; that is cut off from the database; whose
 * machine is suspended; whose wall clock jumps. Its shards run elsewhere, also where it holds locks; when it is back it writes
 * nothing that it had, says why in one line, and works as a new incarnation. With a target without transactions it stops by
 * itself when its validity ends, and goes on when it is renewed.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"
#include "support/proxy.h"
#include "support/slow.h"
#include "support/steady.h"

#include <check.h>

#define SHARDS 4
#define LEASE_US (1500 * LEAT_MS_US)
#define HOUR_US (3600 * LEAT_SECOND_US)
#define JSONL                                                                                      \
    "processors:\n"                                                                                \
    "  - { name: print, plugin: print, target: { plugin: jsonl, options: { path: "                 \
    "\"%s/out.jsonl\" } } }\n"

static const char *const bare_arguments[] = {
    "--set", "leases.heartbeat=300ms", "--set", "leases.expiry=1500ms",
    "--set", "leases.notify=false",    "--set", "leases.session_lock=false",
    NULL};
static const char *const arguments[] = {"--set", "leases.heartbeat=300ms", "--set",
                                        "leases.expiry=1500ms", NULL};
static const char *const long_arguments[] = {"--set", "leases.heartbeat=300ms", "--set",
                                             "leases.expiry=4s", NULL};

static struct test_fleet fleet;
static struct test_proxy *proxy;
static struct test_worker workers[2];
static struct test_steady steady;
static char direct_url[sizeof fleet.url];

/* As in preload/clock.c. */
static struct {
    _Atomic int64_t wall_us, monotonic_us;
} * clocks;

/* ---- questions ---------------------------------------------------------------------------------- */

static int64_t
soon(void)
{
    return leat_clock_monotonic_us() + PATIENCE_US;
}

static void
show_logs(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        LEAT_AUTO_BUF log = LEAT_BUF_INIT;

        if (workers[i].pid > 0)
            test_worker_log(&workers[i], &log);
        fprintf(stderr, "--- %s\n%s", workers[i].id, leat_buf_text(&log));
    }
}

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, soon()))
        return;
    test_fleet_dump(&fleet);
    show_logs();
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

static void
ck_holds(const char *id, int count)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(&sql,
                    "SELECT (count(*) = %d)::int FROM leat.leases l JOIN leat.workers w ON "
                    "w.incarnation = l.lease_owner WHERE w.state = 'alive' AND w.worker_id = '%s'",
                    count, id);
    ck_reaches(leat_buf_text(&sql), 1);
}

static int64_t
incarnation_of(const char *id)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(&sql, "SELECT incarnation FROM leat.workers WHERE worker_id = '%s'", id);
    return test_fleet_number(&fleet, leat_buf_text(&sql));
}

static void
ck_says(const char *text)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;

    if (test_worker_says(&workers[0], text, soon()))
        return;
    test_worker_log(&workers[0], &log);
    ck_abort_msg("no \"%s\" in: %s", text, leat_buf_text(&log));
}

static size_t
count_said(const char *text)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    size_t count = 0;

    test_worker_log(&workers[0], &log);
    for (const char *at = leat_buf_text(&log); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* w1 was called dead: it says so once, and works again, as another. */
static void
ck_comes_back(int64_t incarnation)
{
    ck_says("was declared dead: its last heartbeat was ");
    ck_holds("w1", SHARDS / 2);
    ck_assert(incarnation_of("w1") != incarnation);
    ck_steady_flows(&steady);
    ck_assert_uint_eq(count_said("was declared dead: its last heartbeat"), 1);
}

/* ---- begin and end ------------------------------------------------------------------------------ */

static void
socket_of_server(char *ret_path, size_t size)
{
    const char *begin = strstr(fleet.url, "host=") + 5;

    snprintf(ret_path, size, "%.*s/.s.PGSQL.5432", (int)strcspn(begin, " "), begin);
}

static void
begin_fleet(void)
{
    struct test_fleet_options options = {.shards = SHARDS};
    char name[40], socket[128];

    snprintf(name, sizeof name, "frozen_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    snprintf(direct_url, sizeof direct_url, "%s", fleet.url);
    socket_of_server(socket, sizeof socket);
    proxy = test_proxy_start(socket);
}

/* For the workers that begin from now on. All know the database by the same name; where that leads to is their environment's. */
static void
through_proxy(bool is_through, const char *rest)
{
    const char *host = strstr(direct_url, "host=") + 5;
    char socket[128], port[16];

    snprintf(socket, sizeof socket, "%.*s", (int)strcspn(host, " "), host);
    snprintf(port, sizeof port, "%u", test_proxy_port(proxy));
    setenv("PGHOST", is_through ? "127.0.0.1" : socket, 1);
    setenv("PGPORT", is_through ? port : "5432", 1);
    snprintf(fleet.url, sizeof fleet.url, "user=postgres %.60s", strstr(direct_url, "dbname="));
    test_fleet_reconfigure(&fleet, rest);
}

static void
begin_steady(void)
{
    begin_fleet();
    test_fleet_configure(&fleet, TEST_STEADY_PROCESSORS);
    steady.fleet = &fleet;
    test_steady_prepare(&steady);
    test_steady_start(&steady);
}

static void
begin_two(void)
{
    workers[0] = test_fleet_spawn(&fleet, "w1", arguments);
    ck_reaches("SELECT count(*) FROM leat.workers WHERE worker_id = 'w1'", 1);
    through_proxy(false, TEST_STEADY_PROCESSORS);
    workers[1] = test_fleet_spawn(&fleet, "w2", arguments);
    ck_holds("w1", SHARDS / 2);
    ck_holds("w2", SHARDS / 2);
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
    test_fleet_end(&fleet);
}

/* ---- stopped ------------------------------------------------------------------------------------ */

static const struct {
    const char *point; /* NULL: idle, and all threads at once, wherever they are */
    bool is_bare;
} stops[] = {
    {NULL, false},
    {NULL, true},
    {"flight.before=stop@20", false},
    {"commit.before=stop@20", false},
    {"commit.before=stop@21", true},
    {"commit.sent=stop@20", false},
    {"commit.sent=stop@21", true},
    {"commit.after=stop@20", false},
    {"flight.after=stop@20", true},
    {"take.before=stop@1", false},
    {"take.raised=stop@1",
     false}, /* the first INSERT of a row: nobody can see it, all wait for it */
    {"take.raised=stop@2", true},
    {"take.after=stop@1", false},
    {"lease.heartbeat=stop@8", true},
    {"process.after=stop@20", false},
};

START_TEST(a_worker_that_is_stopped_anywhere)
{
    int64_t incarnation, begun_us;

    begin_steady();
    if (stops[_i].point != NULL)
        setenv("LEAT_POINTS", stops[_i].point, 1);
    workers[0] = test_fleet_spawn(&fleet, "w1", stops[_i].is_bare ? bare_arguments : arguments);
    unsetenv("LEAT_POINTS");
    ck_reaches("SELECT count(*) FROM leat.workers WHERE worker_id = 'w1'", 1);
    incarnation = incarnation_of("w1");
    workers[1] = test_fleet_spawn(&fleet, "w2", stops[_i].is_bare ? bare_arguments : arguments);
    if (stops[_i].point == NULL) {
        ck_holds("w1", SHARDS / 2);
        ck_steady_flows(&steady);
        test_worker_kill(&workers[0], SIGSTOP);
        usleep(3 * LEASE_US);
    }
    ck_assert(test_worker_is_stopped(&workers[0], soon()));
    begun_us = leat_clock_monotonic_us();
    ck_holds("w2", SHARDS);
    ck_steady_flows(&steady);
    if (getenv("LEAT_TEST_SHOW") != NULL)
        fprintf(stderr, "%s: all flows after %.1f s\n",
                stops[_i].point != NULL ? stops[_i].point : "idle",
                (double)(leat_clock_monotonic_us() - begun_us) / 1e6);
    test_worker_kill(&workers[0], SIGCONT);
    ck_comes_back(incarnation);
    ck_steady_all_right(&steady);
}
END_TEST

/* ---- cut off -------------------------------------------------------------------------------------- */

START_TEST(a_worker_that_is_cut_off)
{
    int64_t incarnation;

    begin_steady();
    through_proxy(true, TEST_STEADY_PROCESSORS);
    begin_two();
    incarnation = incarnation_of("w1");
    if (_i == 0) {
        test_proxy_set_mode(proxy, TEST_PROXY_STALL);
    } else {
        test_proxy_set_mode(proxy, TEST_PROXY_REFUSE);
        test_proxy_cut(proxy);
    }
    ck_holds("w2", SHARDS);
    ck_steady_flows(&steady);
    test_proxy_set_mode(proxy, TEST_PROXY_PASS);
    ck_comes_back(incarnation);
    ck_steady_all_right(&steady);
}
END_TEST

/* ---- clocks --------------------------------------------------------------------------------------- */

/* The next worker's clocks are ours to set. */
static void
begin_clocks(void)
{
    static char path[100], library[300];
    const char *build = getenv("LEAT_BUILD");
    int fd;

    snprintf(path, sizeof path, "%s/clock", fleet.directory);
    fd = open(path, O_RDWR | O_CREAT, 0644);
    ck_assert(fd >= 0 && ftruncate(fd, sizeof *clocks) == 0);
    clocks = mmap(NULL, sizeof *clocks, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert(clocks != MAP_FAILED);
    close(fd);
    snprintf(library, sizeof library, "%s/preload/clock.so", build != NULL ? build : "build/test");
    ck_assert_msg(access(library, R_OK) == 0, "%s is not there: `make tests`", library);
    setenv("LD_PRELOAD", library, 1);
    setenv("LEAT_TEST_CLOCK", path, 1);
}

static void
end_clocks(void)
{
    unsetenv("LD_PRELOAD");
    unsetenv("LEAT_TEST_CLOCK");
}

static void
begin_two_with_clocks(void)
{
    begin_steady();
    begin_clocks();
    workers[0] = test_fleet_spawn(&fleet, "w1", arguments);
    end_clocks();
    workers[1] = test_fleet_spawn(&fleet, "w2", arguments);
    ck_holds("w1", SHARDS / 2);
    ck_holds("w2", SHARDS / 2);
    ck_steady_flows(&steady);
}

START_TEST(a_wall_clock_that_jumps_is_nothing)
{
    static const int64_t jumps_us[] = {5 * HOUR_US, -5 * HOUR_US, 26 * HOUR_US, -60 * HOUR_US, 0};
    int64_t first, second;

    begin_two_with_clocks();
    first = incarnation_of("w1");
    second = incarnation_of("w2");
    for (size_t i = 0; i < LEAT_COUNT_OF(jumps_us); i++) {
        clocks->wall_us = jumps_us[i];
        usleep(LEASE_US);
        ck_steady_flows(&steady);
    }
    ck_assert_int_eq(incarnation_of("w1"), first);
    ck_assert_int_eq(incarnation_of("w2"), second);
    ck_holds("w1", SHARDS / 2);
    ck_steady_all_right(&steady);
}
END_TEST

/* Stopped, and its monotonic clock knows nothing of it. */
static void
suspend(int64_t duration_us)
{
    int64_t begun_us = leat_clock_monotonic_us();

    test_worker_kill(&workers[0], SIGSTOP);
    usleep((useconds_t)duration_us);
    clocks->monotonic_us -= leat_clock_monotonic_us() - begun_us;
}

START_TEST(a_worker_whose_machine_is_suspended)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    int64_t incarnation;

    begin_two_with_clocks();
    incarnation = incarnation_of("w1");
    suspend(3 * LEASE_US);
    ck_holds("w2", SHARDS);
    ck_steady_flows(&steady);
    test_worker_kill(&workers[0], SIGCONT);
    ck_comes_back(incarnation);
    /* It knows how long it slept. */
    test_worker_log(&workers[0], &log);
    ck_assert(strtod(strstr(leat_buf_text(&log), "last heartbeat was ") + 19, NULL) > 4);
    ck_steady_all_right(&steady);
}
END_TEST

/* ---- a target without transactions ---------------------------------------------------------------- */

static int64_t records;

static void
put_some(int count)
{
    for (int i = 0; i < count; i++) {
        char key[32], data[64];
        int size = snprintf(data, sizeof data, "{\"n\": %lld}", (long long)records);

        snprintf(key, sizeof key, "key-%lld", (long long)records);
        test_fleet_put(&fleet, leat_slice_from(key), leat_slice_make(data, (size_t)size));
        records++;
    }
}

static int64_t
lines(void)
{
    char *text = test_fleet_shell(&fleet, "cat $DIR/out.jsonl 2>/dev/null | wc -l");
    int64_t count = strtoll(text, NULL, 10);

    free(text);
    return count;
}

/* Each record has a line; `is_once`: one. */
static void
ck_lines(bool is_once)
{
    int64_t deadline_us = soon(), found = 0;
    char *text;

    do {
        text = test_fleet_shell(&fleet, "touch $DIR/out.jsonl; grep -o '\\\\\"n\\\\\": [0-9]*' "
                                        "$DIR/out.jsonl | sort -u | wc -l");
        found = strtoll(text, NULL, 10);
        free(text);
        usleep(20000);
    } while (found < records && leat_clock_monotonic_us() < deadline_us);
    ck_assert_int_eq(found, records);
    if (is_once)
        ck_assert_int_eq(lines(), records);
}

static void
begin_jsonl(bool is_through, const char *const *how)
{
    LEAT_AUTO_BUF rest = LEAT_BUF_INIT;

    begin_fleet();
    leat_buf_printf(&rest, JSONL, fleet.directory);
    test_fleet_configure(&fleet, leat_buf_text(&rest));
    through_proxy(is_through, leat_buf_text(&rest));
    begin_clocks();
    workers[0] = test_fleet_spawn(&fleet, "w1", how);
    end_clocks();
    ck_holds("w1", SHARDS);
    put_some(50);
    ck_lines(true);
    ck_reaches("SELECT (count(*) = 4 AND min(commit_seq) > 1)::int FROM leat.progress", 1);
}

static void
cut(void)
{
    test_proxy_set_mode(proxy, TEST_PROXY_REFUSE);
    test_proxy_cut(proxy);
}

/* Not a line while its validity is over; all of them when it is renewed. Nobody else is there: it is the same worker. */
static void
ck_writes_nothing_until_renewed(void)
{
    int64_t before = lines(), incarnation = incarnation_of("w1");

    put_some(50);
    ck_says("could not be renewed: not writing to a target without transactions");
    usleep(LEASE_US);
    ck_assert_int_eq(lines(), before);
    test_proxy_set_mode(proxy, TEST_PROXY_PASS);
    ck_lines(true);
    ck_assert_int_eq(incarnation_of("w1"), incarnation);
}

START_TEST(validity_ends_when_the_leases_are_away)
{
    begin_jsonl(true, arguments);
    cut();
    /* From then on nothing has been renewed, and what was lasts less than a lease time. */
    ck_says("could not renew worker");
    usleep(LEASE_US);
    ck_writes_nothing_until_renewed();
}
END_TEST

/* Its monotonic clock says that the last renewal was a moment ago. */
START_TEST(validity_ends_while_the_machine_is_suspended)
{
    begin_jsonl(true, long_arguments);
    cut();
    suspend(4 * LEAT_SECOND_US);
    test_worker_kill(&workers[0], SIGCONT);
    ck_writes_nothing_until_renewed();
}
END_TEST

/* Others wrote what was its: of that it writes nothing when it is back. */
START_TEST(frozen_before_a_target_without_transactions)
{
    int64_t incarnation;

    begin_jsonl(false, arguments);
    workers[1] = test_fleet_spawn(&fleet, "w2", arguments);
    ck_holds("w2", SHARDS / 2);
    incarnation = incarnation_of("w1");
    test_worker_kill(&workers[0], SIGSTOP);
    put_some(50);
    ck_holds("w2", SHARDS);
    ck_lines(true);
    put_some(50);
    test_worker_kill(&workers[0], SIGCONT);
    put_some(50);
    ck_says("was declared dead: its last heartbeat was ");
    ck_holds("w1", SHARDS / 2);
    ck_assert(incarnation_of("w1") != incarnation);
    put_some(50);
    ck_lines(false);
}
END_TEST

static bool
is_sanitized(void)
{
    const char *build = getenv("LEAT_BUILD");

    return build != NULL &&
           (strstr(build, "test-address") != NULL || strstr(build, "test-thread") != NULL);
}

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_frozen");
    TCase *tests = tcase_create("frozen");
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 150);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_loop_test(tests, a_worker_that_is_stopped_anywhere, 0,
                        test_cases((int)LEAT_COUNT_OF(stops), 4));
    tcase_add_loop_test(tests, a_worker_that_is_cut_off, 0, 2);
    if (is_sanitized()) {
        printf("5 skipped: a sanitizer wants to be the first library that is loaded\n");
        fflush(stdout);
    } else {
        tcase_add_test(tests, a_wall_clock_that_jumps_is_nothing);
        tcase_add_test(tests, a_worker_whose_machine_is_suspended);
        tcase_add_test(tests, validity_ends_when_the_leases_are_away);
        tcase_add_test(tests, validity_ends_while_the_machine_is_suspended);
        tcase_add_test(tests, frozen_before_a_target_without_transactions);
    }
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
