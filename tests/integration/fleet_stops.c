/*
 * What may not hold up an end: servers that take a connection and say nothing, lists that go on for ever, while a worker starts,
 * while it works and in commands. And what may not keep a probe from /livez: connections that send or read slowly.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "local/http.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

#define PROMPT_US test_patience_us(8 * LEAT_SECOND_US) /* what waited took 20 s and more */
#define ROLLUP "processors: [{ name: rollup, plugin: rollup, target: { plugin: postgres } }]\n"

static struct test_fleet fleet;
static struct test_worker worker;
static struct leat_local_http *endless;

/* ---- the other sides ------------------------------------------------------------------------- */

struct silent {
    int fd;
    char url[40];
};

/* Connections are made by the kernel; nobody ever reads them. */
static struct silent
silent_new(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct silent silent = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    ck_assert_int_eq(bind(silent.fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(silent.fd, 128), 0);
    getsockname(silent.fd, (struct sockaddr *)&address, &size);
    snprintf(silent.url, sizeof silent.url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    return silent;
}

/* Somebody has connected. */
static void
silent_wait(const struct silent *silent)
{
    struct pollfd polled = {.fd = silent->fd, .events = POLLIN};

    ck_assert_int_eq(poll(&polled, 1, (int)(PATIENCE_US / 1000)), 1);
}

static _Atomic unsigned pages;

static void
answer_page(void *context, const struct leat_local_request *request,
            struct leat_local_answer *answer)
{
    leat_local_http_header(answer, "Content-Type", "application/x-amz-json-1.1");
    leat_buf_printf(&answer->body, "{\"HasMoreStreams\":true,\"StreamNames\":[\"s%u\"]}", pages++);
}

/* ListStreams without an end. */
static void
endless_new(char url[40])
{
    struct leat_error err;

    pages = 0;
    endless = leat_local_http_start(&(struct leat_local_http_options){.handle = answer_page}, &err);
    ck_assert_msg(endless != NULL, "%s", err.text);
    snprintf(url, 40, "http://127.0.0.1:%u", leat_local_http_port(endless));
}

static void
endless_wait(void)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (pages < 3) {
        ck_assert_int_lt(leat_clock_monotonic_us(), deadline_us);
        poll(NULL, 0, 5);
    }
}

/* ---- workers --------------------------------------------------------------------------------- */

static void
begin(const char *endpoint, const char *rest)
{
    struct test_fleet_options options = {.shards = 2, .endpoint = endpoint};
    char name[40];

    snprintf(name, sizeof name, "stops_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, rest);
}

static void
teardown(void)
{
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    leat_local_http_stop(endless);
    endless = NULL;
    if (fleet.directory[0] != '\0')
        test_fleet_end(&fleet);
    fleet.directory[0] = '\0';
}

static void
ck_ends_promptly(int signal_number, int code)
{
    int64_t begun_us = leat_clock_monotonic_us();
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    int status;

    test_worker_kill(&worker, signal_number);
    status = test_worker_wait(&worker, NULL);
    test_worker_log(&worker, &log);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code, "status %x: %s",
                  (unsigned)status, leat_buf_text(&log));
    ck_assert_msg(leat_clock_monotonic_us() - begun_us < PROMPT_US, "after %.1f s: %s",
                  (double)(leat_clock_monotonic_us() - begun_us) / 1e6, leat_buf_text(&log));
}

START_TEST(a_start_that_waits_for_kinesis_ends_at_a_signal)
{
    struct silent silent = silent_new();

    begin(silent.url, ROLLUP);
    worker = test_fleet_spawn(&fleet, "w", NULL);
    silent_wait(&silent);
    ck_ends_promptly(SIGTERM, 0);
    close(silent.fd);
}
END_TEST

START_TEST(a_start_that_lists_without_end_ends_at_a_signal)
{
    char url[40];

    endless_new(url);
    fleet.streams = NULL;
    begin(url, ROLLUP);
    fleet.streams = "\"nothing-*\"";
    test_fleet_reconfigure(&fleet, ROLLUP);
    worker = test_fleet_spawn(&fleet, "w", NULL);
    endless_wait();
    ck_ends_promptly(SIGINT, 0);
}
END_TEST

START_TEST(a_start_that_waits_for_its_database_ends_at_a_signal)
{
    struct silent silent = silent_new();
    char url[100];
    const char *arguments[] = {"--set", url, NULL};

    begin(NULL, ROLLUP);
    snprintf(url, sizeof url, "database.url_file=%s/silent", fleet.directory);
    {
        LEAT_AUTO_BUF path = LEAT_BUF_INIT;
        FILE *out;

        leat_buf_printf(&path, "%s/silent", fleet.directory);
        out = fopen(leat_buf_text(&path), "w");
        ck_assert_ptr_nonnull(out);
        fprintf(out, "postgresql://leat@%s/x", silent.url + strlen("http://"));
        fclose(out);
    }
    worker = test_fleet_spawn(&fleet, "w", arguments);
    silent_wait(&silent);
    ck_ends_promptly(SIGTERM, 0);
    close(silent.fd);
}
END_TEST

/* The letters of bad records: neither archive nor dead-letter stream answers. */
START_TEST(letters_that_nobody_takes_do_not_hold_up_an_end)
{
    struct silent silent = silent_new();
    char endpoint[80];
    const char *arguments[] = {"--set", "archive.url=s3://bucket/letters", "--set", endpoint,
                               "--set", "shutdown.drain_timeout=1s",       NULL};

    snprintf(endpoint, sizeof endpoint, "aws.endpoints.s3=%s", silent.url);
    begin(NULL, ROLLUP);
    for (int i = 0; i < 5; i++)
        test_fleet_put(&fleet, leat_slice_from("k"), leat_slice_from("no JSON"));
    worker = test_fleet_spawn(&fleet, "w", arguments);
    silent_wait(&silent);
    ck_ends_promptly(SIGTERM, 0);
    close(silent.fd);
}
END_TEST

/* ---- commands -------------------------------------------------------------------------------- */

static const struct command {
    const char *arguments[8];
    bool is_configured;
} commands[] = {
    {.arguments = {"put", "s", "-q"}},
    {.arguments = {"tail", "s"}},
    {.arguments = {"tail", "s", "--from", "trim_horizon"}},
    {.arguments = {"streams", "ls"}},
    {.arguments = {"streams", "create", "s"}},
    {.arguments = {"validate", "--connect", "-c", "$CONFIG"}, .is_configured = true},
};

static pid_t
run_command(const struct command *command, const char *url)
{
    const char *argv[12] = {getenv("LEAT")};
    int count = 1, pipes[2];
    pid_t pid;

    while (command->arguments[count - 1] != NULL) {
        argv[count] = strcmp(command->arguments[count - 1], "$CONFIG") == 0
                          ? fleet.config
                          : command->arguments[count - 1];
        count++;
    }
    if (!command->is_configured) {
        argv[count++] = "--endpoint";
        argv[count++] = url;
    }
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    ck_assert_int_eq(write(pipes[1], "{}\n", 3), 3);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(pipes[0], STDIN_FILENO);
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    close(pipes[0]);
    close(pipes[1]);
    return pid;
}

/* Of a server that says nothing, and of one that never ends. */
START_TEST(a_command_ends_at_a_signal)
{
    const struct command *command = &commands[_i];

    bool is_list = strcmp(command->arguments[1], "ls") == 0;

    for (int way = 0; way < (is_list ? 4 : 2); way++) {
        struct silent silent = silent_new();
        char url[40];
        int64_t begun_us;
        int status;
        pid_t pid;

        if (way < 2)
            snprintf(url, sizeof url, "%s", silent.url);
        else
            endless_new(url);
        if (fleet.directory[0] == '\0')
            begin(url, ROLLUP);
        setenv("AWS_ENDPOINT_URL_KINESIS", url, 1);
        pid = run_command(command, url);
        if (way < 2)
            silent_wait(&silent);
        else
            endless_wait();
        begun_us = leat_clock_monotonic_us();
        kill(pid, way % 2 == 0 ? SIGTERM : SIGINT);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(leat_clock_monotonic_us() - begun_us < PROMPT_US, "%s: after %.1f s",
                      command->arguments[0], (double)(leat_clock_monotonic_us() - begun_us) / 1e6);
        leat_local_http_stop(endless);
        endless = NULL;
        close(silent.fd);
    }
}
END_TEST

/* ---- the metrics port ------------------------------------------------------------------------ */

#define SLOW 300 /* connections */

static uint16_t
http_port(void)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    const char *found;

    ck_assert(test_worker_says(&worker, "\"http_port\"", leat_clock_monotonic_us() + PATIENCE_US));
    test_worker_log(&worker, &log);
    found = strstr(leat_buf_text(&log), "\"http_port\":");
    ck_assert_ptr_nonnull(found);
    found += strlen("\"http_port\":");
    return (uint16_t)strtol(found + (*found == '"'), NULL, 10);
}

static int
connect_to(uint16_t port, int receive_bytes)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (receive_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    ck_assert_msg(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "%s",
                  strerror(errno));
    return fd;
}

/* true: 200 within the time. */
static bool
is_alive(uint16_t port, int64_t within_us)
{
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    int fd = connect_to(port, 0);
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    char answer[64] = "";
    bool is_good = write(fd, request, sizeof request - 1) == sizeof request - 1 &&
                   poll(&polled, 1, (int)(within_us / 1000)) == 1 &&
                   read(fd, answer, sizeof answer - 1) > 12 && strncmp(answer + 9, "200", 3) == 0;

    close(fd);
    return is_good;
}

/* Nothing at all; half a head; a head without its body; an answer that is not read; a connection that stays. */
static const char *const habits[] = {
    "",
    "GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc",
    ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
     "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
    "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
};

START_TEST(slow_connections_keep_no_probe_out)
{
    int64_t within_us =
        test_patience_us(5 * LEAT_SECOND_US); /* the bar of a second is an idle machine's */
    int fds[SLOW];
    uint16_t port;

    begin(NULL, ROLLUP);
    worker = test_fleet_spawn(&fleet, "w", NULL);
    port = http_port();
    ck_assert(is_alive(port, within_us));
    for (int i = 0; i < SLOW; i++) {
        const char *habit = habits[i % (int)LEAT_COUNT_OF(habits)];

        fds[i] = connect_to(port, 1024);
        if (write(fds[i], habit, strlen(habit)) < 0)
            ck_assert_int_eq(errno, EPIPE);
        if (i == 31 || i == 63 || i == 127)
            ck_assert_msg(is_alive(port, within_us), "with %d connections", i + 1);
    }
    for (int round = 0; round < 3; round++) {
        ck_assert(is_alive(port, within_us));
        /* A byte now and then is no reason to be kept. */
        for (int i = 0; i < SLOW; i++)
            (void)!send(fds[i], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    for (int i = 0; i < SLOW; i++)
        close(fds[i]);
    ck_assert(is_alive(port, within_us));
    ck_ends_promptly(SIGTERM, 0);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_stops");
    TCase *tests = tcase_create("stops");
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, a_start_that_waits_for_kinesis_ends_at_a_signal);
    tcase_add_test(tests, a_start_that_lists_without_end_ends_at_a_signal);
    tcase_add_test(tests, a_start_that_waits_for_its_database_ends_at_a_signal);
    tcase_add_test(tests, letters_that_nobody_takes_do_not_hold_up_an_end);
    tcase_add_loop_test(tests, a_command_ends_at_a_signal, 0, (int)LEAT_COUNT_OF(commands));
    tcase_add_test(tests, slow_connections_keep_no_probe_out);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
