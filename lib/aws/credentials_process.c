/* The command has a process group of its own, so that all of it can be ended. Any thread; nothing here touches signal handlers. */
#include "aws/credentials_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws/credentials_file.h"
#include "aws/credentials_json.h"
#include "base/clock.h"

#define MAXIMUM_BYTES ((size_t)64 << 10)
#define LOOK_AGAIN_MS 20

extern char **environ;

struct process {
    const struct leat_credentials_context *context;
    pid_t pid;  /* 0: it has ended */
    int output; /* its standard output, read end */
    int64_t deadline_us;
    struct leat_buf text;
    int status; /* once it has ended (pid 0) */
};

static int
spawn(struct process *process, const char *command, int write_end, struct leat_error *err)
{
    char shell[] = "sh", option[] = "-c";
    char *const arguments[] = {shell, option, (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int error;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, write_end, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    error = posix_spawn(&process->pid, "/bin/sh", &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error == 0 ? 0
                      : leat_error_set(err, LEAT_E_SYSTEM, "could not start its shell: %s",
                                       strerror(error));
}

static int
look_at_time(const struct process *process, struct leat_error *err)
{
    if (leat_credentials_is_stopped(process->context))
        return leat_error_set(err, LEAT_E_CANCELLED, "cancelled");
    if (leat_clock_monotonic_us() >= process->deadline_us)
        return leat_error_set(err, LEAT_E_TIMEOUT, "it has not ended in time");
    return 0;
}

static bool
has_ended(struct process *process)
{
    pid_t ended = process->pid > 0 ? waitpid(process->pid, &process->status, WNOHANG) : 0;

    /* Where whoever started leat ignores SIGCHLD, nobody can tell how it ended: what it printed says it. */
    if (ended == process->pid || (ended < 0 && errno == ECHILD))
        process->pid = 0;
    return process->pid == 0;
}

static int
take_piece(struct process *process, const unsigned char *piece, size_t size, struct leat_error *err)
{
    if (process->text.size + size > MAXIMUM_BYTES)
        return leat_error_set(err, LEAT_E_LIMIT, "it prints more than %zu bytes", MAXIMUM_BYTES);
    leat_buf_add(&process->text, piece, size);
    return 0;
}

/* Until it has ended and what it printed is read: what it left running may keep its output open. */
static int
read_output(struct process *process, struct leat_error *err)
{
    bool is_closed = false, is_over = false;
    int result = 0;

    while (result == 0) {
        struct pollfd watched = {.fd = process->output, .events = POLLIN};
        unsigned char piece[4096];
        ssize_t size = is_closed ? -1 : read(process->output, piece, sizeof piece);

        if (size > 0) {
            result = take_piece(process, piece, (size_t)size, err);
            explicit_bzero(piece, sizeof piece);
            continue;
        }
        is_closed = is_closed || size == 0;
        if (is_over)
            return 0;
        is_over = has_ended(process);
        if (is_over)
            continue;
        result = look_at_time(process, err);
        if (result == 0)
            poll(&watched, is_closed ? 0 : 1, LOOK_AGAIN_MS);
    }
    return result;
}

static int
judge(const struct process *process, struct leat_credentials *ret_credentials,
      struct leat_error *err)
{
    int status = process->status;

    if (WIFSIGNALED(status))
        return leat_error_set(err, LEAT_E_DENIED, "it was ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return leat_error_set(err, LEAT_E_DENIED,
                              "it ended with exit code %d: run it by hand to see what it says",
                              WEXITSTATUS(status));
    return leat_credentials_json_parse(leat_buf_slice(&process->text), LEAT_CREDENTIALS_OF_PROCESS,
                                       ret_credentials, err);
}

static int
run(struct process *process, struct leat_credentials *ret_credentials, struct leat_error *err)
{
    int result = read_output(process, err);

    if (result == 0)
        result = judge(process, ret_credentials, err);
    if (process->pid > 0) {
        kill(-process->pid, SIGKILL);
        while (waitpid(process->pid, &process->status, 0) < 0 && errno == EINTR)
            ;
    }
    return result;
}

int
leat_credentials_process_run(const struct leat_credentials_context *context, const char *command,
                             int64_t timeout_us, struct leat_credentials *ret_credentials,
                             struct leat_error *err)
{
    struct process process = {.context = context};
    int ends[2], result;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not make a pipe: %s", strerror(errno));
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    process.output = ends[0];
    process.deadline_us = leat_clock_monotonic_us() +
                          (timeout_us > 0 ? timeout_us : LEAT_CREDENTIALS_PROCESS_TIMEOUT_US);
    leat_buf_init(&process.text, MAXIMUM_BYTES);
    leat_buf_reserve(&process.text, MAXIMUM_BYTES);
    result = spawn(&process, command, ends[1], err);
    close(ends[1]);
    if (result == 0)
        result = run(&process, ret_credentials, err);
    close(ends[0]);
    leat_credentials_wipe(&process.text);
    return result;
}
