/* A shell for initdb and pg_basebackup, a child of our own for the server: test code, where short beats clever. */
#include "support/cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/memory.h"
#include "postgres/connection.h"
#include "support/patience.h"

#define LOOK_US 20000

static const char settings_of_all[] = "listen_addresses=''\nfsync=off\nfull_page_writes=off\n"
                                      "wal_level=replica\nmax_wal_senders=6\nhot_standby=on\n"
                                      "shared_buffers=16MB\nmax_connections=100\njit=off\n"
                                      "autovacuum_naptime=5s\nlc_messages='C'\n";

_Noreturn static void
give_up(const struct test_cluster *cluster, const char *what)
{
    fprintf(stderr, "%s: %s: see %s/log and %s/setup.log\n", cluster->directory, what,
            cluster->directory, cluster->directory);
    exit(1);
}

static const char *
bin(void)
{
    static char path[200];
    const char *given = getenv("LEAT_POSTGRES_BIN");
    long newest = -1;
    glob_t found;

    if (given != NULL && *given != '\0')
        return given;
    if (path[0] != '\0' || glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0)
        return path;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        long version = strtol(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"), NULL, 10);

        if (version > newest)
            snprintf(path, sizeof path, "%s", found.gl_pathv[i]);
        newest = version > newest ? version : newest;
    }
    globfree(&found);
    return path;
}

/* $D is the cluster's directory; `as` runs a command as somebody who may run Postgres. */
static void
run(const struct test_cluster *cluster, const char *command)
{
    LEAT_AUTO_BUF script = LEAT_BUF_INIT;

    leat_buf_printf(
        &script,
        "D=%s; cd $D; as() { if [ $(id -u) = 0 ]; then setpriv --reuid=postgres --regid=postgres "
        "--clear-groups env HOME=$D PATH=%s:$PATH \"$@\"; else PATH=%s:$PATH \"$@\"; fi; }; "
        "{ %s; } >>$D/setup.log 2>&1",
        cluster->directory, bin(), bin(), command);
    if (system(leat_buf_text(&script)) != 0)
        give_up(cluster, command);
}

static void
make_directory(struct test_cluster *cluster, const char *parent, const char *name)
{
    *cluster = (struct test_cluster){0};
    snprintf(cluster->directory, sizeof cluster->directory, "%.60s/%.20s", parent, name);
    if (mkdir(cluster->directory, 0755) != 0)
        give_up(cluster, strerror(errno));
    run(cluster, "[ $(id -u) != 0 ] || chown postgres $D");
}

/* The last line of a name counts. */
static void
configure(const struct test_cluster *cluster, const char *settings)
{
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    FILE *out;

    leat_buf_printf(&path, "%s/data/postgresql.conf", cluster->directory);
    out = fopen(leat_buf_text(&path), "a");
    if (out == NULL)
        give_up(cluster, strerror(errno));
    fprintf(out, "%sunix_socket_directories='%s'\n", settings, cluster->directory);
    fclose(out);
}

void
test_cluster_make(struct test_cluster *cluster, const char *parent, const char *name,
                  const char *settings)
{
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;

    make_directory(cluster, parent, name);
    run(cluster, "as initdb -D $D/data -U postgres -A trust -E UTF8 --locale=C --no-sync "
                 "--no-instructions");
    leat_buf_printf(&all, "%s%s", settings_of_all, settings);
    configure(cluster, leat_buf_text(&all));
}

void
test_cluster_copy(struct test_cluster *cluster, const char *parent, const char *name,
                  const struct test_cluster *from, bool is_standby)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    make_directory(cluster, parent, name);
    leat_buf_printf(&command,
                    "as pg_basebackup -D $D/data -d 'host=%s user=postgres' -X stream -c fast "
                    "--no-sync%s",
                    from->directory, is_standby ? " -R" : "");
    run(cluster, leat_buf_text(&command));
    configure(cluster, "");
}

void
test_cluster_restore(struct test_cluster *cluster, const struct test_cluster *backup)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_buf_printf(&command, "rm -rf $D/data && as cp -a %s/data $D/data", backup->directory);
    run(cluster, leat_buf_text(&command));
    configure(cluster, "");
}

/* ---- the server ------------------------------------------------------------------------------- */

/* In the child: nothing here allocates or locks. Returns only on failure. */
static void
become(const struct test_cluster *cluster, const char *program, const char *data, int log_fd)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    setpgid(0, 0);
    if (user != NULL &&
        (setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
        return;
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (chdir(cluster->directory) != 0)
        return;
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    execl(program, program, "-D", data, (char *)NULL);
}

static void
wait_until_it_answers(const struct test_cluster *cluster)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    char url[160];

    test_cluster_url(cluster, "postgres", url, sizeof url);
    while (PQping(url) != PQPING_OK) {
        if (leat_clock_monotonic_us() >= deadline_us || waitpid(cluster->pid, NULL, WNOHANG) != 0)
            give_up(cluster, "it does not answer");
        usleep(LOOK_US);
    }
}

void
test_cluster_start(struct test_cluster *cluster)
{
    LEAT_AUTO_BUF program = LEAT_BUF_INIT;
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    int fd;

    leat_buf_printf(&program, "%s/postgres", bin());
    leat_buf_printf(&data, "%s/data", cluster->directory);
    leat_buf_printf(&log, "%s/log", cluster->directory);
    fd = open(leat_buf_text(&log), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    cluster->pid = fork();
    if (cluster->pid == 0) {
        become(cluster, leat_buf_text(&program), leat_buf_text(&data), fd);
        _exit(127);
    }
    close(fd);
    if (cluster->pid < 0)
        give_up(cluster, strerror(errno));
    wait_until_it_answers(cluster);
}

/* Each process of a server has a process group of its own: they are found as its children. */
static void
kill_children(pid_t parent)
{
    char path[64];
    FILE *in;
    int pid;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    in = fopen(path, "r");
    while (in != NULL && fscanf(in, "%d", &pid) == 1)
        kill(pid, SIGKILL);
    if (in != NULL)
        fclose(in);
}

void
test_cluster_stop(struct test_cluster *cluster, int signal_number)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    if (cluster->pid <= 0)
        return;
    if (signal_number == SIGKILL) {
        kill(cluster->pid, SIGSTOP); /* it would start them again */
        kill_children(cluster->pid);
    }
    kill(cluster->pid, signal_number);
    while (waitpid(cluster->pid, NULL, WNOHANG) == 0 && leat_clock_monotonic_us() < deadline_us)
        usleep(LOOK_US);
    if (leat_clock_monotonic_us() >= deadline_us)
        give_up(cluster, "it does not end");
    cluster->pid = 0;
    if (signal_number == SIGKILL)
        run(cluster, "rm -f $D/data/postmaster.pid $D/.s.PGSQL.*");
}

void
test_cluster_read_only(const struct test_cluster *cluster)
{
    run(cluster, "as touch $D/data/standby.signal");
}

void
test_cluster_promote(struct test_cluster *cluster)
{
    run(cluster, "as pg_ctl -D $D/data -w -t 60 promote");
}

/* ---- questions -------------------------------------------------------------------------------- */

void
test_cluster_url(const struct test_cluster *cluster, const char *database, char *out, size_t room)
{
    snprintf(out, room, "host=%s user=postgres dbname=%s", cluster->directory, database);
}

void
test_cluster_socket(const struct test_cluster *cluster, char *out, size_t room)
{
    snprintf(out, room, "%s/.s.PGSQL.5432", cluster->directory);
}

void
test_cluster_sql(const struct test_cluster *cluster, const char *database, const char *sql)
{
    struct leat_pg_options options = {.search_path = "public", .application_name = "test"};
    struct leat_pg_connection *connection;
    struct leat_error err;
    char url[160];

    test_cluster_url(cluster, database, url, sizeof url);
    options.url = url;
    if (leat_pg_connect(&options, &connection, &err) != 0 ||
        leat_pg_script(connection, sql, &err) != 0) {
        fprintf(stderr, "%s: %s\n", sql, err.text);
        exit(1);
    }
    leat_pg_close(connection);
}

void
test_cluster_end(struct test_cluster *cluster)
{
    if (cluster->directory[0] == '\0')
        return;
    test_cluster_stop(cluster, SIGQUIT);
    run(cluster, "cd /");
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_buf_printf(&command, "rm -rf %s", cluster->directory);
    if (getenv("LEAT_TEST_KEEP") == NULL && system(leat_buf_text(&command)) != 0)
        fprintf(stderr, "could not remove %s\n", cluster->directory);
    *cluster = (struct test_cluster){0};
}
