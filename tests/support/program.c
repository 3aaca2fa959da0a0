/* fork, exec, three pipes and one poll loop: neither side waits for the other. */
#include "support/program.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"

#define ARGUMENTS 40

static void
start(int in, int out, int err, const char *const *arguments)
{
    const char *build = getenv("LEAT_BUILD");
    char path[512];
    char *vector[ARGUMENTS + 2] = {path};

    snprintf(path, sizeof path, "%s/leat", build != NULL ? build : "build/test");
    for (size_t i = 0; i < ARGUMENTS && arguments[i] != NULL; i++)
        vector[i + 1] = (char *)arguments[i];
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    closefrom(3);
    execv(path, vector);
    fprintf(stderr, "could not run %s\n", path);
    _exit(127);
}

static void
make_pipe(int ends[2])
{
    LEAT_ASSERT(pipe2(ends, O_CLOEXEC) == 0);
}

/* false: the other side is done with it. */
static bool
drain(int fd, struct leat_buf *buf)
{
    ssize_t got;

    leat_buf_reserve(buf, 65536);
    got = read(fd, buf->data + buf->size, 65536);
    if (got > 0)
        buf->size += (size_t)got;
    return got > 0;
}

static void
talk(int in, int out, int err, struct leat_slice input, struct program_run *run)
{
    struct pollfd polled[3] = {{in, POLLOUT, 0}, {out, POLLIN, 0}, {err, POLLIN, 0}};

    while (polled[1].fd >= 0 || polled[2].fd >= 0) {
        if (polled[0].fd >= 0 && input.size == 0) {
            close(polled[0].fd);
            polled[0].fd = -1;
        }
        LEAT_ASSERT(poll(polled, 3, -1) > 0);
        if (polled[0].fd >= 0 && polled[0].revents != 0) {
            ssize_t put = write(polled[0].fd, input.data, input.size > 4096 ? 4096 : input.size);

            if (put <= 0)
                input.size = 0;
            else
                input = leat_slice_make(input.data + put, input.size - (size_t)put);
        }
        for (int i = 1; i < 3; i++) {
            if (polled[i].fd >= 0 && polled[i].revents != 0 &&
                !drain(polled[i].fd, i == 1 ? &run->out : &run->err)) {
                close(polled[i].fd);
                polled[i].fd = -1;
            }
        }
    }
    if (polled[0].fd >= 0)
        close(polled[0].fd);
}

void
program_run(struct program_run *run, const char *input, const char *const *arguments)
{
    int in[2], out[2], err[2], status;
    pid_t pid;

    leat_buf_init(&run->out, SIZE_MAX);
    leat_buf_init(&run->err, SIZE_MAX);
    make_pipe(in);
    make_pipe(out);
    make_pipe(err);
    fflush(NULL);
    pid = fork();
    LEAT_ASSERT(pid >= 0);
    if (pid == 0)
        start(in[0], out[1], err[1], arguments);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    talk(in[1], out[0], err[0], leat_slice_from(input), run);
    LEAT_ASSERT(waitpid(pid, &status, 0) == pid);
    run->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    leat_buf_text(&run->out);
    leat_buf_text(&run->err);
}

void
program_run_release(struct program_run *run)
{
    leat_buf_release(&run->out);
    leat_buf_release(&run->err);
}

size_t
program_run_lines(const struct program_run *run)
{
    size_t lines = 0;

    for (size_t i = 0; i < run->out.size; i++)
        lines += run->out.data[i] == '\n';
    return lines;
}

struct json_object *
program_run_json(struct program_run *run, size_t line)
{
    const char *text = leat_buf_text(&run->out);
    struct json_object *root;
    struct leat_error err;

    for (; line > 0 && text != NULL; line--) {
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    if (text == NULL || leat_json_parse(leat_slice_make(text, strcspn(text, "\n")), &root, &err)) {
        fprintf(stderr, "no JSON in that line of:\n%s%s\n", leat_buf_text(&run->out),
                leat_buf_text(&run->err));
        abort();
    }
    return root;
}
