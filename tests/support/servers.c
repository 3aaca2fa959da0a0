/* Starts foreign servers by exec, waits on their ports, ends them by their process group. */
#include "support/servers.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/memory.h"
#include "support/slow.h"
#include "support/patience.h"

#define MODULES "tests/servers/node_modules"

static const char *const names[] = {"kinesis-local", "kinesalite", "s3rver", "swift"};

/* ---- what is there ----------------------------------------------------------------------------- */

static bool
is_runnable(const char *program)
{
    LEAT_AUTO_FREE char *path = leat_strdup(getenv("PATH") != NULL ? getenv("PATH") : "/usr/bin");
    char *rest = path, *folder;

    while ((folder = strsep(&rest, ":")) != NULL) {
        LEAT_AUTO_BUF file = LEAT_BUF_INIT;

        leat_buf_printf(&file, "%s/%s", folder, program);
        if (access(leat_buf_text(&file), X_OK) == 0)
            return true;
    }
    return false;
}

static bool
lacks(struct foreign_server *server, const char *what)
{
    snprintf(server->reason, sizeof server->reason, "%s (tools/deps --test)", what);
    return false;
}

static bool
has_node(struct foreign_server *server)
{
    char version[32] = "";
    FILE *pipe;

    if (!is_runnable("node"))
        return lacks(server, "there is no node");
    pipe = popen("node --version", "r");
    if (pipe == NULL || fgets(version, sizeof version, pipe) == NULL)
        version[0] = '\0';
    if (pipe != NULL)
        pclose(pipe);
    if (version[0] != 'v' || strtol(version + 1, NULL, 10) < 18)
        return lacks(server, "node is older than 18");
    return true;
}

static bool
is_installed(struct foreign_server *server)
{
    static const char *const swift[] = {"swift-proxy-server",
                                        "swift-account-server",
                                        "swift-object-server",
                                        "swift-container-server",
                                        "swift-ring-builder",
                                        "memcached",
                                        "setpriv"};
    LEAT_AUTO_BUF folder = LEAT_BUF_INIT;

    if (server->kind == FOREIGN_SWIFT) {
        for (size_t i = 0; i < LEAT_COUNT_OF(swift); i++) {
            if (!is_runnable(swift[i]))
                return lacks(server, "swift or memcached is not installed");
        }
        return true;
    }
    leat_buf_printf(&folder, MODULES "/%s/package.json", names[server->kind]);
    if (access(leat_buf_text(&folder), R_OK) != 0)
        return lacks(server, MODULES " is not installed");
    return has_node(server);
}

static unsigned
free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        perror("no free port");
        exit(1);
    }
    close(fd);
    return ntohs(address.sin_port);
}

/* ---- start ------------------------------------------------------------------------------------- */

/* The command, as `sh` would be given it; all paths absolute. */
static void
write_command(const struct foreign_server *server, const char *root, struct leat_buf *out)
{
    switch (server->kind) {
    case FOREIGN_KINESIS_LOCAL:
        leat_buf_printf(out,
                        "exec env KINESIS_MOCK_CERT_PATH='%s/" MODULES
                        "/kinesis-local/server.json' "
                        "KINESIS_MOCK_TLS_PORT=%u KINESIS_MOCK_PLAIN_PORT=%u SHARD_LIMIT=500 "
                        "LOG_LEVEL=ERROR CREATE_STREAM_DURATION=10ms DELETE_STREAM_DURATION=10ms "
                        "SPLIT_SHARD_DURATION=10ms MERGE_SHARDS_DURATION=10ms "
                        "node -r '%s/tests/servers/loop.js' '%s/" MODULES "/kinesis-local/main.js'",
                        root, free_port(), server->port, root, root);
        break;
    case FOREIGN_KINESALITE:
        leat_buf_printf(out,
                        "exec node -r '%s/tests/servers/loop.js' '%s/" MODULES
                        "/kinesalite/cli.js' --port %u --shardLimit 500 --createStreamMs 10 "
                        "--deleteStreamMs 10 --updateStreamMs 10",
                        root, root, server->port);
        break;
    case FOREIGN_S3RVER:
        leat_buf_printf(out,
                        "exec node --openssl-legacy-provider '%s/" MODULES
                        "/s3rver/bin/s3rver.js' -d '%s' -a 127.0.0.1 -p %u -s --no-vhost-buckets",
                        root, server->directory, server->port);
        break;
    default:
        leat_buf_printf(out, "exec bash '%s/tests/servers/swift.sh' '%s' %u %u %u %u %u", root,
                        server->directory, server->port, free_port(), free_port(), free_port(),
                        free_port());
    }
}

static void
become_server(const struct foreign_server *server, const char *command)
{
    int log;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(server->directory) != 0)
        _exit(126);
    log = open("log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        _exit(126);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

bool
foreign_server_start(struct foreign_server *server, enum foreign_kind kind)
{
    LEAT_AUTO_FREE char *root = realpath(".", NULL);
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    memset(server, 0, sizeof *server);
    server->kind = kind;
    if (test_skips_slow()) {
        snprintf(server->reason, sizeof server->reason, "LEAT_TEST_SLOW leaves it out");
        return false;
    }
    if (!is_installed(server))
        return false;
    snprintf(server->directory, sizeof server->directory, "/tmp/leat-server-XXXXXX");
    if (root == NULL || mkdtemp(server->directory) == NULL) {
        server->directory[0] = '\0';
        return lacks(server, "there is no folder to run it in");
    }
    if (kind == FOREIGN_SWIFT && setxattr(server->directory, "user.leat", "1", 1, 0) != 0) {
        snprintf(server->reason, sizeof server->reason, "the file system has no user attributes");
        foreign_server_stop(server);
        return false;
    }
    server->is_installed = true;
    server->port = free_port();
    snprintf(server->endpoint, sizeof server->endpoint, "http://127.0.0.1:%u", server->port);
    write_command(server, root, &command);
    server->pid = fork();
    if (server->pid == 0)
        become_server(server, leat_buf_text(&command));
    return true;
}

/* ---- wait and stop ------------------------------------------------------------------------------ */

/* Sends a request's head and sees any answer: a port may be open before its server is. */
static bool
answers(unsigned port, const char *request)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char answer[16] = "";
    bool is_there = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                    send(fd, request, strlen(request), MSG_NOSIGNAL) > 0 &&
                    poll(&poll_fd, 1, 2000) == 1 && recv(fd, answer, sizeof answer - 1, 0) > 9;

    close(fd);
    return is_there && strncmp(answer, "HTTP/1.1 ", 9) == 0;
}

static void
show_log(const struct foreign_server *server)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_buf_printf(&command, "tail -n 30 '%s/log' >&2", server->directory);
    if (system(leat_buf_text(&command)) != 0)
        fprintf(stderr, "there is no log\n");
}

bool
foreign_server_wait(struct foreign_server *server)
{
    const char *request = server->kind == FOREIGN_SWIFT
                              ? "GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n"
                              : "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    int status;

    while (server->pid > 0) {
        if (answers(server->port, request))
            return true;
        if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
            server->pid = 0;
            snprintf(server->reason, sizeof server->reason, "it ended at once");
        } else if (leat_clock_monotonic_us() > deadline_us) {
            snprintf(server->reason, sizeof server->reason, "it does not answer");
            break;
        } else {
            poll(NULL, 0, 20);
        }
    }
    if (server->directory[0] != '\0')
        show_log(server);
    return false;
}

void
foreign_server_stop(struct foreign_server *server)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    if (server->pid > 0) {
        /* Its group: what it started goes with it. They keep nothing that is worth a farewell. */
        kill(-server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
    }
    server->pid = 0;
    if (server->directory[0] == '\0')
        return;
    leat_buf_printf(&command, "rm -rf '%s'", server->directory);
    if (system(leat_buf_text(&command)) != 0)
        fprintf(stderr, "could not remove %s\n", server->directory);
    server->directory[0] = '\0';
}

/* ---- the count ---------------------------------------------------------------------------------- */

void
interop_miss(struct interop *interop, const struct foreign_server *server, unsigned scenarios)
{
    size_t used = strlen(interop->why);

    if (server->reason[0] == '\0')
        return;
    if (server->is_installed)
        interop->broken++;
    else
        interop->skipped += scenarios;
    snprintf(interop->why + used, sizeof interop->why - used, "%s%s: %s", used > 0 ? "; " : "",
             names[server->kind], server->reason);
}

int
interop_run(const struct interop *interop, struct SRunner *runner)
{
    TestResult **failures;
    int failed, run;

    srunner_run_all(runner, CK_SILENT);
    run = srunner_ntests_run(runner);
    failed = srunner_ntests_failed(runner);
    failures = srunner_failures(runner);
    for (int i = 0; i < failed; i++)
        printf("%s:%d: %s: %s\n", tr_lfile(failures[i]), tr_lno(failures[i]),
               tr_tcname(failures[i]), tr_msg(failures[i]));
    free(failures);
    srunner_free(runner);
    printf("%d passed, %u failed, %u skipped\n", run - failed, (unsigned)failed + interop->broken,
           interop->skipped);
    if (interop->why[0] != '\0')
        printf("%s\n", interop->why);
    return failed > 0 || interop->broken > 0 ? 1 : interop->skipped > 0 ? 77 : 0;
}

/*
 * The tests of one program share servers and their threads, and each test is a fork: LeakSanitizer takes what those threads
 * hold for lost there. Leaks of the clients are looked for in their own tests. Declared by the sanitizer alone.
 */
const char *__lsan_default_options(void);
const char *
__lsan_default_options(void)
{
    return "detect_leaks=0";
}
