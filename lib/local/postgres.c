/*
 * The server is a direct child with PR_SET_PDEATHSIG, so that it ends even when we are killed. Its log comes through a pipe: a
 * thread copies it to a file and sees the line that says "ready".
 */
#include "local/postgres.h"

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
#include "base/thread.h"

#define LONGEST_DIRECTORY 90
#define START_US (30 * LEAT_SECOND_US)

struct leat_local_postgres {
    char *directory, *bin, *conninfo;
    uid_t uid; /* to run as; 0: as we are */
    gid_t gid;
    pid_t pid;
    int log_fd; /* read end of the server's stderr */
    struct leat_thread logger;
    struct leat_mutex lock;
    struct leat_condition condition;
    bool is_ready LEAT_FIELD_GUARDED_BY(lock), is_gone LEAT_FIELD_GUARDED_BY(lock);
    char last_line[400] LEAT_FIELD_GUARDED_BY(lock);
};

static const char settings[] = "listen_addresses = ''\n"
                               "fsync = off\n"
                               "synchronous_commit = off\n"
                               "full_page_writes = off\n"
                               "wal_level = minimal\n"
                               "max_wal_senders = 0\n"
                               "max_wal_size = 2GB\n"
                               "shared_buffers = 128MB\n"
                               "max_connections = 200\n"
                               "autovacuum_naptime = 5s\n"
                               "jit = off\n"
                               "lc_messages = 'C'\n";

/* The directory of the newest version's programs. */
static char *
find_bin(void)
{
    const char *given = getenv("LEAT_POSTGRES_BIN");
    glob_t found;
    char *bin = NULL;
    long newest = -1;

    if (given != NULL && *given != '\0')
        return leat_strdup(given);
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0)
        return NULL;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        long version = strtol(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"), NULL, 10);

        if (version <= newest)
            continue;
        newest = version;
        free(bin);
        bin = leat_strdup(found.gl_pathv[i]);
    }
    globfree(&found);
    return bin;
}

/* In the child: nothing here allocates or locks. Returns only on failure. */
static void
become(const struct leat_local_postgres *postgres, const char *const *arguments, int output_fd)
{
    sigset_t none;
    int null_fd = open("/dev/null", O_RDONLY);

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); /* a Ctrl-C is for us; we end it in order */
    if (postgres->uid != 0 &&
        (setgroups(0, NULL) != 0 || setgid(postgres->gid) != 0 || setuid(postgres->uid) != 0))
        return;
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (chdir(postgres->directory) != 0)
        return;
    dup2(null_fd, STDIN_FILENO);
    dup2(output_fd, STDOUT_FILENO);
    dup2(output_fd, STDERR_FILENO);
    execv(arguments[0], (char *const *)arguments);
}

static pid_t
spawn(const struct leat_local_postgres *postgres, const char *const *arguments, int output_fd)
{
    pid_t pid = fork();

    if (pid == 0) {
        become(postgres, arguments, output_fd);
        _exit(127);
    }
    return pid;
}

/* In a directory that as root is another user's: no link of his is followed. */
static FILE *
open_to_append(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    FILE *out = fd >= 0 ? fdopen(fd, "a") : NULL;

    if (fd >= 0 && out == NULL)
        close(fd);
    return out;
}

/* ---- initdb ----------------------------------------------------------------------------------- */

static int
run_initdb(struct leat_local_postgres *postgres, const char *data, struct leat_error *err)
{
    LEAT_AUTO_BUF program = LEAT_BUF_INIT;
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    int fd, status = 0;
    pid_t pid;

    leat_buf_printf(&program, "%s/initdb", postgres->bin);
    leat_buf_printf(&log, "%s/initdb.log", postgres->directory);
    const char *const arguments[] = {leat_buf_text(&program),
                                     "-D",
                                     data,
                                     "-U",
                                     "postgres",
                                     "-A",
                                     "trust",
                                     "-E",
                                     "UTF8",
                                     "--locale=C",
                                     "--no-sync",
                                     "--no-instructions",
                                     NULL};
    fd = open(leat_buf_text(&log), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not write \"%s\": %s", leat_buf_text(&log),
                              strerror(errno));
    pid = spawn(postgres, arguments, fd);
    close(fd);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not make a database: see \"%s\"",
                              leat_buf_text(&log));
    return 0;
}

static int
append_settings(const struct leat_local_postgres *postgres, const char *data,
                struct leat_error *err)
{
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    FILE *out;

    leat_buf_printf(&path, "%s/postgresql.conf", data);
    out = open_to_append(leat_buf_text(&path));
    if (out == NULL)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not write \"%s\": %s",
                              leat_buf_text(&path), strerror(errno));
    fprintf(out, "%sunix_socket_directories = '%s'\n", settings, postgres->directory);
    fclose(out);
    return 0;
}

static int
make_cluster(struct leat_local_postgres *postgres, const char *data, struct leat_error *err)
{
    LEAT_AUTO_BUF version = LEAT_BUF_INIT;
    struct stat facts;

    leat_buf_printf(&version, "%s/PG_VERSION", data);
    if (stat(leat_buf_text(&version), &facts) == 0)
        return 0;
    if (run_initdb(postgres, data, err) != 0)
        return err->code;
    return append_settings(postgres, data, err);
}

/* ---- the server ------------------------------------------------------------------------------- */

static void
see_line(struct leat_local_postgres *postgres, const char *line)
{
    leat_mutex_lock(&postgres->lock);
    snprintf(postgres->last_line, sizeof postgres->last_line, "%.399s", line);
    if (strstr(line, "database system is ready to accept connections") != NULL) {
        postgres->is_ready = true;
        leat_condition_broadcast(&postgres->condition);
    }
    leat_mutex_unlock(&postgres->lock);
}

/* The logger: until the server has closed its end. */
static void
copy_log(void *context)
{
    struct leat_local_postgres *postgres = context;
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    FILE *in = fdopen(postgres->log_fd, "r"), *out;
    char line[1000];

    leat_buf_printf(&path, "%s/postgres.log", postgres->directory);
    out = open_to_append(leat_buf_text(&path));
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        see_line(postgres, line);
        if (out != NULL) {
            fprintf(out, "%s\n", line);
            fflush(out);
        }
    }
    if (out != NULL)
        fclose(out);
    if (in != NULL)
        fclose(in);
    leat_mutex_lock(&postgres->lock);
    postgres->is_gone = true;
    leat_condition_broadcast(&postgres->condition);
    leat_mutex_unlock(&postgres->lock);
}

static int
wait_until_ready(struct leat_local_postgres *postgres, struct leat_error *err)
{
    int64_t deadline_us = leat_clock_monotonic_us() + START_US;
    bool is_ready;

    leat_mutex_lock(&postgres->lock);
    while (!postgres->is_ready && !postgres->is_gone &&
           leat_condition_wait_until(&postgres->condition, &postgres->lock, deadline_us))
        ;
    is_ready = postgres->is_ready;
    if (!is_ready)
        leat_error_set(err, LEAT_E_SYSTEM, "could not start postgres: %s; see \"%s/postgres.log\"",
                       postgres->last_line[0] != '\0' ? postgres->last_line : "it said nothing",
                       postgres->directory);
    leat_mutex_unlock(&postgres->lock);
    return is_ready ? 0 : LEAT_E_SYSTEM;
}

static int
run_server(struct leat_local_postgres *postgres, const char *data, struct leat_error *err)
{
    LEAT_AUTO_BUF program = LEAT_BUF_INIT;
    int ends[2];

    leat_buf_printf(&program, "%s/postgres", postgres->bin);
    /* Whoever may connect is its superuser (trust): so only its owner and root may. Said here, for clusters from before, too. */
    const char *const arguments[] = {leat_buf_text(&program),        "-D", data, "-c",
                                     "unix_socket_permissions=0700", NULL};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not make a pipe: %s", strerror(errno));
    postgres->pid = spawn(postgres, arguments, ends[1]);
    close(ends[1]);
    postgres->log_fd = ends[0];
    if (postgres->pid < 0) {
        close(ends[0]);
        return leat_error_set(err, LEAT_E_SYSTEM, "could not start postgres: %s", strerror(errno));
    }
    if (leat_thread_start(&postgres->logger, "postgres-log", copy_log, postgres, err) != 0)
        return err->code;
    return wait_until_ready(postgres, err);
}

/* ---- begin and end ---------------------------------------------------------------------------- */

/* Nobody else looks into it, whatever its mode was. */
static int
close_directory(const struct leat_local_postgres *postgres, struct leat_error *err)
{
    if (chmod(postgres->directory, 0700) != 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not close \"%s\" to others: %s",
                              postgres->directory, strerror(errno));
    return 0;
}

/* As root it must be somebody else: postgres, who then owns the directory. */
static int
choose_user(struct leat_local_postgres *postgres, struct leat_error *err)
{
    const struct passwd *user;

    if (geteuid() != 0)
        return 0;
    user = getpwnam("postgres");
    if (user == NULL)
        return leat_error_set(err, LEAT_E_NOT_FOUND,
                              "there is no user \"postgres\" to run the database as (root may "
                              "not): install Debian's postgresql package");
    postgres->uid = user->pw_uid;
    postgres->gid = user->pw_gid;
    if (chown(postgres->directory, user->pw_uid, user->pw_gid) != 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not give \"%s\" to user postgres: %s",
                              postgres->directory, strerror(errno));
    return 0;
}

int
leat_local_postgres_start(const char *directory, struct leat_local_postgres **ret_postgres,
                          struct leat_error *err)
{
    struct leat_local_postgres *postgres;
    LEAT_AUTO_BUF conninfo = LEAT_BUF_INIT;
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;
    char *bin;
    int status;

    if (strlen(directory) > LONGEST_DIRECTORY)
        return leat_error_set(err, LEAT_E_LIMIT,
                              "\"%s\" is too long for a socket's path: at most %d bytes", directory,
                              LONGEST_DIRECTORY);
    bin = find_bin();
    if (bin == NULL)
        return leat_error_set(err, LEAT_E_NOT_FOUND,
                              "could not find a Postgres server under /usr/lib/postgresql: "
                              "install Debian's postgresql package, or set LEAT_POSTGRES_BIN");
    postgres = LEAT_NEW(struct leat_local_postgres);
    leat_is_unshared();
    postgres->bin = bin;
    postgres->directory = leat_strdup(directory);
    leat_buf_printf(&conninfo, "host=%s user=postgres", directory);
    postgres->conninfo = leat_buf_take(&conninfo);
    leat_mutex_init(&postgres->lock);
    leat_condition_init(&postgres->condition);
    leat_buf_printf(&data, "%s/data", directory);
    status = choose_user(postgres, err);
    if (status == 0)
        status = close_directory(postgres, err);
    if (status == 0)
        status = make_cluster(postgres, leat_buf_text(&data), err);
    if (status == 0)
        status = run_server(postgres, leat_buf_text(&data), err);
    if (status != 0) {
        leat_local_postgres_stop(postgres);
        return status;
    }
    *ret_postgres = postgres;
    return 0;
}

const char *
leat_local_postgres_conninfo(const struct leat_local_postgres *postgres)
{
    return postgres->conninfo;
}

pid_t
leat_local_postgres_pid(const struct leat_local_postgres *postgres)
{
    return postgres->pid;
}

void
leat_local_postgres_stop(struct leat_local_postgres *postgres)
{
    int status;

    if (postgres == NULL)
        return;
    if (postgres->pid > 0) {
        kill(postgres->pid, SIGINT); /* fast: connections are cut, what was committed is kept */
        while (waitpid(postgres->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    leat_thread_join(&postgres->logger);
    leat_condition_release(&postgres->condition);
    leat_mutex_release(&postgres->lock);
    free(postgres->directory);
    free(postgres->bin);
    free(postgres->conninfo);
    free(postgres);
}
