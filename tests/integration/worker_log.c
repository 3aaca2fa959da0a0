/* A worker whose log stands still, whose log's reader is gone, and that was started without descriptors 0 to 2: the work goes on. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

#define RECORDS 200

static struct test_fleet fleet;
static struct test_worker worker;

static int64_t
soon(void)
{
    return leat_clock_monotonic_us() + PATIENCE_US;
}

static void
setup(void)
{
    static char name[32];
    struct test_fleet_options options = {.shards = 2, .database = name};

    snprintf(name, sizeof name, "worker_log_%d", (int)getpid());
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet,
                         "processors:\n  - { name: print, plugin: print, start: trim_horizon, "
                         "target: { plugin: postgres } }\n");
}

static void
teardown(void)
{
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    test_fleet_end(&fleet);
}

static void
put(int from)
{
    for (int i = from; i < from + RECORDS; i++) {
        char key[16];

        snprintf(key, sizeof key, "key-%d", i);
        test_fleet_put(&fleet, leat_slice_from(key), leat_slice_from("data"));
    }
}

/* A worker at level debug whose standard error is fd; -1: 0, 1 and 2 are closed. */
static void
spawn(int fd)
{
    LEAT_AUTO_BUF program = LEAT_BUF_INIT;
    const char *build = getenv("LEAT_BUILD");

    leat_buf_printf(&program, "%s/leat", build != NULL ? build : "build/test");
    worker = (struct test_worker){.id = "w1"};
    worker.pid = fork();
    if (worker.pid != 0)
        return;
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fd >= 0) {
        dup2(fd, STDERR_FILENO);
    } else {
        for (int i = 0; i <= 2; i++)
            close(i);
    }
    execl(leat_buf_text(&program), "leat", "worker", "-c", fleet.config, "--set", "worker_id=w1",
          "--set", "log.level=debug", (char *)NULL);
    _exit(127);
}

static void
ck_works(int64_t rows)
{
    if (test_fleet_wait_for(&fleet, "SELECT count(*) FROM records", rows, soon()))
        return;
    test_fleet_dump(&fleet);
    ck_abort_msg("not all %lld records were written", (long long)rows);
}

/* SIGTERM ends it in order, and does not wait for the log. */
static void
ck_ends(void)
{
    int64_t begun_us = leat_clock_monotonic_us();
    int status;

    test_worker_kill(&worker, SIGTERM);
    status = test_worker_wait(&worker, NULL);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, 20 * LEAT_SECOND_US);
}

START_TEST(a_log_that_stands_still_stops_nothing)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    char piece[4096];
    int ends[2];
    ssize_t size;

    memset(piece, '.', sizeof piece);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    while (write(ends[1], piece, 64) > 0)
        ;
    ck_assert_int_eq(fcntl(ends[1], F_SETFL, 0), 0);
    spawn(ends[1]);
    put(0);
    ck_works(RECORDS);
    ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    /* The reader comes back: what was queued meanwhile follows. */
    for (int64_t until_us = soon(); strstr(leat_buf_text(&text), "worker started") == NULL;) {
        struct pollfd wait = {.fd = ends[0], .events = POLLIN};

        ck_assert_int_lt(leat_clock_monotonic_us(), until_us);
        if (poll(&wait, 1, 100) > 0 && (size = read(ends[0], piece, sizeof piece)) > 0)
            leat_buf_add(&text, piece, (size_t)size);
    }
    ck_assert_int_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], piece, 64) > 0)
        ;
    ck_assert_int_eq(fcntl(ends[1], F_SETFL, 0), 0);
    put(RECORDS);
    ck_works(2 * RECORDS);
    ck_ends();
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_log_whose_reader_is_gone_stops_nothing)
{
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    spawn(ends[1]);
    close(ends[1]);
    close(ends[0]);
    put(0);
    ck_works(RECORDS);
    ck_ends();
}
END_TEST

START_TEST(a_worker_without_standard_descriptors_writes_into_no_socket)
{
    spawn(-1);
    put(0);
    ck_works(RECORDS);
    for (int fd = 0; fd <= 2; fd++) {
        char path[64], target[256];
        ssize_t size;

        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)worker.pid, fd);
        size = readlink(path, target, sizeof target - 1);
        target[size > 0 ? size : 0] = '\0';
        ck_assert_str_eq(target, "/dev/null");
    }
    ck_ends();
}
END_TEST

/* What is wrong is still said when somebody listens, and waited for by nobody when the log is full. */
START_TEST(the_reason_for_not_starting)
{
    char text[4096] = "";
    int ends[2], status;

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    test_fleet_reconfigure(&fleet, "processors:\n  - { name: print, plugin: print, target: { "
                                   "plugin: postgres }, colour: red }\n");
    spawn(ends[1]);
    status = test_worker_wait(&worker, NULL);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    ck_assert_int_gt(read(ends[0], text, sizeof text - 1), 0);
    ck_assert_ptr_nonnull(strstr(text, "colour"));
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], text, 64) > 0)
        ;
    fcntl(ends[1], F_SETFL, 0);
    spawn(ends[1]);
    status = test_worker_wait(&worker, NULL);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("worker_log");
    TCase *tcase = tcase_create("worker_log");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tcase, 180);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_log_that_stands_still_stops_nothing);
    tcase_add_test(tcase, a_log_whose_reader_is_gone_stops_nothing);
    tcase_add_test(tcase, a_worker_without_standard_descriptors_writes_into_no_socket);
    tcase_add_test(tcase, the_reason_for_not_starting);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
