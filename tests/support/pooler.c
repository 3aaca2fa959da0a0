#include "support/pooler.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/memory.h"
#include "support/patience.h"

static const char *const places[] = {"/usr/sbin/pgbouncer", "/usr/bin/pgbouncer",
                                     "/usr/local/bin/pgbouncer"};

static const char *
program(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(places); i++) {
        if (access(places[i], X_OK) == 0)
            return places[i];
    }
    return NULL;
}

bool
test_pooler_is_there(void)
{
    return program() != NULL;
}

_Noreturn static void
give_up(const char *what)
{
    fprintf(stderr, "pooler: %s: %s\n", what, strerror(errno));
    abort();
}

static int
listen_or_connect(uint16_t port, bool is_connect, uint16_t *ret_port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status = is_connect ? connect(fd, (struct sockaddr *)&address, size)
                            : bind(fd, (struct sockaddr *)&address, size);

    if (status == 0 && ret_port != NULL && getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        *ret_port = ntohs(address.sin_port);
    close(fd);
    return status;
}

static void
write_configuration(const struct test_pooler *pooler, const char *server, unsigned pool_size,
                    const char *more)
{
    char path[96];
    FILE *out;

    snprintf(path, sizeof path, "%s/pgbouncer.ini", pooler->directory);
    out = fopen(path, "w");
    if (out == NULL)
        give_up(path);
    fprintf(out,
            "[databases]\n* = %s user=postgres\n"
            "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %u\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\nmax_client_conn = 500\n"
            "default_pool_size = %u\nlogfile = %s/pgbouncer.log\n%s",
            server, pooler->port, pool_size, pooler->directory, more);
    fclose(out);
}

/* The child: as nobody of importance, and gone when we are. */
_Noreturn static void
become(const char *directory, const struct passwd *user)
{
    char path[96];

    snprintf(path, sizeof path, "%s/pgbouncer.ini", directory);
    if (getuid() == 0 && user != NULL &&
        (setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl(program(), "pgbouncer", "-q", path, (char *)NULL);
    _exit(127);
}

void
test_pooler_again(struct test_pooler *pooler)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    const struct passwd *user = getpwnam("postgres");

    if (getuid() == 0 && user != NULL && chown(pooler->directory, user->pw_uid, user->pw_gid) != 0)
        give_up("chown");
    pooler->pid = fork();
    if (pooler->pid == 0)
        become(pooler->directory, user);
    while (listen_or_connect(pooler->port, true, NULL) != 0) {
        if (waitpid(pooler->pid, NULL, WNOHANG) != 0 || leat_clock_monotonic_us() > deadline_us)
            give_up("pgbouncer did not start");
        usleep(10000);
    }
}

void
test_pooler_start(struct test_pooler *pooler, const char *server, unsigned pool_size,
                  const char *more)
{
    *pooler = (struct test_pooler){0};
    snprintf(pooler->directory, sizeof pooler->directory, "/tmp/leat-pooler-XXXXXX");
    if (mkdtemp(pooler->directory) == NULL || chmod(pooler->directory, 0755) != 0 ||
        listen_or_connect(0, false, &pooler->port) != 0)
        give_up("could not begin");
    write_configuration(pooler, server, pool_size, more);
    test_pooler_again(pooler);
}

void
test_pooler_kill(struct test_pooler *pooler)
{
    if (pooler->pid <= 0)
        return;
    kill(pooler->pid, SIGKILL);
    waitpid(pooler->pid, NULL, 0);
    pooler->pid = 0;
}

void
test_pooler_end(struct test_pooler *pooler)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    test_pooler_kill(pooler);
    if (pooler->directory[0] == '\0')
        return;
    leat_buf_printf(&command, "rm -rf %s", pooler->directory);
    if (system(leat_buf_text(&command)) != 0)
        fprintf(stderr, "could not remove %s\n", pooler->directory);
    pooler->directory[0] = '\0';
}
