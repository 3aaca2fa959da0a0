/*
 * The queue of log lines and the thread that writes them.
 *
 * A descriptor cannot be written to "only if that does not block": poll() before write() is a race as soon as another
 * process has the same pipe, O_NONBLOCK would be set for all who share it, and a file on a hung server blocks whatever
 * its flags. So one thread may block, and nobody waits for it.
 *
 * Threads: any thread queues; `log` writes. The lock guards the queue, never a write.
 */
#include "base/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

#define QUEUE_BYTES ((size_t)256 << 10)
#define UNIMPORTANT_BYTES (QUEUE_BYTES / 4 * 3)
#define WRITABLE_MS 1000
#define LAST_LOOK_MS 5
#define LAST_LOOKS 40

static _Atomic int log_fd = STDERR_FILENO;
static _Atomic(leat_log_loss_fn) tell_loss;
static _Atomic int64_t all_lost;

static struct leat_mutex lock = {PTHREAD_MUTEX_INITIALIZER};
static struct leat_condition moved;
static unsigned char *queue LEAT_GUARDED_BY(lock); /* a ring */
static size_t queue_begin LEAT_GUARDED_BY(lock), queue_size LEAT_GUARDED_BY(lock);
static int64_t dropped LEAT_GUARDED_BY(lock); /* and not told yet */

static struct leat_thread writer;
static _Atomic bool is_running, is_ending;
static _Atomic pid_t writer_id;
static _Atomic uint64_t queued_bytes, finished_bytes; /* since the start */
static int wake_fd = -1;

/* The writer's own: what could not be written since the last line that could. */
static int64_t unwritten_lines;
static int unwritten_reason;
static bool is_torn; /* the last line ended in its middle */

void
leat_log_writer_setup(int fd, leat_log_loss_fn tell)
{
    log_fd = fd;
    tell_loss = tell;
}

/* ---- writing ----------------------------------------------------------------------------------- */

/* All of it, however long that takes; 0 or an errno. ret_written: how much went out. */
static int
write_all(struct leat_slice text, size_t *ret_written)
{
    int fd = log_fd;

    *ret_written = 0;
    while (*ret_written < text.size) {
        ssize_t written = write(fd, text.data + *ret_written, text.size - *ret_written);

        if (written > 0) {
            *ret_written += (size_t)written;
        } else if (written < 0 && errno == EAGAIN) {
            /* Somebody who shares it made it so. */
            struct pollfd wait = {.fd = fd, .events = POLLOUT};

            if (poll(&wait, 1, WRITABLE_MS) <= 0 && (!is_running || is_ending))
                return EAGAIN;
        } else if (written == 0 || errno != EINTR) {
            return written == 0 ? EIO : errno;
        }
    }
    return 0;
}

/* The count of lost lines as a line of its own, as soon as there is one that can be written. */
static bool
write_loss(void)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    size_t written;

    if (unwritten_lines == 0)
        return true;
    if (is_torn)
        leat_buf_add_byte(&text, '\n');
    if (tell_loss != NULL)
        tell_loss(&text, unwritten_lines, strerror(unwritten_reason));
    if (write_all(leat_buf_slice(&text), &written) != 0) {
        is_torn = is_torn || written > 0;
        return false;
    }
    is_torn = false;
    unwritten_lines = 0;
    return true;
}

static void
write_line(struct leat_slice line)
{
    size_t written = 0;
    int reason = unwritten_reason;

    if (write_loss()) {
        reason = write_all(line, &written);
        if (reason == 0)
            return;
        is_torn = written > 0;
    }
    unwritten_reason = reason;
    unwritten_lines++;
    atomic_fetch_add(&all_lost, 1);
}

/* ---- the queue --------------------------------------------------------------------------------- */

static void
append(struct leat_slice text) LEAT_REQUIRES(lock)
{
    size_t end = (queue_begin + queue_size) % QUEUE_BYTES;
    size_t first = QUEUE_BYTES - end < text.size ? QUEUE_BYTES - end : text.size;

    memcpy(queue + end, text.data, first);
    memcpy(queue, text.data + first, text.size - first);
    queue_size += text.size;
    queued_bytes += text.size;
}

/* Takes the oldest line out; false: there is none. */
static bool
take_line(struct leat_buf *out)
{
    size_t size = 0;

    leat_buf_clear(out);
    leat_mutex_lock(&lock);
    if (queue_size == 0 && dropped > 0 && tell_loss != NULL) {
        tell_loss(out, dropped, NULL);
        dropped = 0;
        queued_bytes += out->size;
    }
    while (size < queue_size && queue[(queue_begin + size) % QUEUE_BYTES] != '\n')
        size++;
    if (size < queue_size)
        size++;
    for (size_t rest = size, piece; rest > 0; rest -= piece) {
        piece = QUEUE_BYTES - queue_begin < rest ? QUEUE_BYTES - queue_begin : rest;
        leat_buf_add(out, queue + queue_begin, piece);
        queue_begin = (queue_begin + piece) % QUEUE_BYTES;
    }
    queue_size -= size;
    leat_mutex_unlock(&lock);
    return out->size > 0;
}

static void
run_writer(void *context)
{
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;
    struct pollfd wait = {.fd = wake_fd, .events = POLLIN};
    uint64_t count;

    writer_id = (pid_t)syscall(SYS_gettid);
    for (;;) {
        while (take_line(&line)) {
            write_line(leat_buf_slice(&line));
            leat_mutex_lock(&lock);
            finished_bytes += line.size;
            leat_condition_broadcast(&moved);
            leat_mutex_unlock(&lock);
        }
        if (is_ending)
            break;
        poll(&wait, 1, -1);
        (void)!read(wake_fd, &count, sizeof count);
    }
}

static void
wake(void)
{
    uint64_t one = 1;

    (void)!write(wake_fd, &one, sizeof one);
}

int
leat_log_writer_start(struct leat_error *err)
{
    int status;

    LEAT_ASSERT(!is_running);
    leat_condition_init(&moved);
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not make an eventfd: %s", strerror(errno));
    leat_mutex_lock(&lock);
    queue = leat_alloc(QUEUE_BYTES);
    queue_begin = queue_size = 0;
    leat_mutex_unlock(&lock);
    is_ending = false;
    status = leat_thread_start(&writer, "log", run_writer, NULL, err);
    is_running = status == 0;
    return status;
}

void
leat_log_writer_line(struct leat_slice line, bool is_important)
{
    LEAT_AUTO_BUF loss = LEAT_BUF_INIT;
    size_t room;
    bool is_queued;

    if (!is_running) {
        size_t written;

        if (write_all(line, &written) != 0)
            atomic_fetch_add(&all_lost, 1);
        return;
    }
    leat_mutex_lock(&lock);
    room = is_important ? QUEUE_BYTES : UNIMPORTANT_BYTES;
    if (dropped > 0 && tell_loss != NULL)
        tell_loss(&loss, dropped, NULL);
    is_queued = queue_size + loss.size + line.size <= room;
    if (is_queued) {
        append(leat_buf_slice(&loss));
        append(line);
        dropped = 0;
    } else {
        dropped++;
        atomic_fetch_add(&all_lost, 1);
    }
    leat_mutex_unlock(&lock);
    if (is_queued)
        wake();
}

int64_t
leat_log_writer_lost(void)
{
    return all_lost;
}

/* ---- the end ----------------------------------------------------------------------------------- */

bool
leat_log_writer_drain(int64_t patience_us)
{
    int64_t now_us = leat_clock_monotonic_us();
    int64_t give_up_us = now_us + 4 * patience_us, stuck_us = now_us + patience_us;
    uint64_t finished;
    bool is_drained;

    if (!is_running)
        return true;
    wake();
    leat_mutex_lock(&lock);
    finished = finished_bytes;
    while (
        finished_bytes < queued_bytes &&
        leat_condition_wait_until(&moved, &lock, stuck_us < give_up_us ? stuck_us : give_up_us)) {
        if (finished_bytes != finished)
            stuck_us = leat_clock_monotonic_us() + patience_us;
        finished = finished_bytes;
    }
    is_drained = finished_bytes >= queued_bytes;
    leat_mutex_unlock(&lock);
    return is_drained;
}

void
leat_log_writer_end(int64_t patience_us)
{
    if (!is_running || !leat_log_writer_drain(patience_us))
        return;
    is_ending = true;
    wake();
    leat_thread_join(&writer);
    is_running = false;
    close(wake_fd);
    leat_condition_release(&moved);
    leat_mutex_lock(&lock);
    free(queue);
    queue = NULL;
    leat_mutex_unlock(&lock);
}

/* A descriptor of our own on the same pipe or terminal, which alone is made not to block; -1: there can be none. */
static int
open_own(int fd)
{
    static const char folder[] = "/proc/self/fd/";
    char path[sizeof folder + 12], digits[12];
    size_t count = 0, size = sizeof folder - 1;

    memcpy(path, folder, size);
    do {
        digits[count++] = (char)('0' + fd % 10);
        fd /= 10;
    } while (fd > 0);
    while (count > 0)
        path[size++] = digits[--count];
    path[size] = '\0';
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void
write_last(const char *text, size_t size)
{
    int fd = log_fd, own;
    struct stat facts;

    if (fstat(fd, &facts) != 0)
        return;
    if (S_ISSOCK(facts.st_mode)) {
        (void)!send(fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        return;
    }
    own = S_ISFIFO(facts.st_mode) || S_ISCHR(facts.st_mode) ? open_own(fd) : -1;
    if (own < 0) {
        struct pollfd wait = {.fd = fd, .events = POLLOUT};

        if (poll(&wait, 1, LAST_LOOK_MS) <= 0)
            return;
    }
    (void)!write(own >= 0 ? own : fd, text, size);
    if (own >= 0)
        close(own);
}

void
leat_log_last_words(const char *text, size_t size)
{
    int before = errno;

    if (is_running && writer_id != (pid_t)syscall(SYS_gettid)) {
        wake();
        for (int i = 0; i < LAST_LOOKS && finished_bytes < queued_bytes; i++)
            poll(NULL, 0, LAST_LOOK_MS);
    }
    write_last(text, size);
    errno = before;
}
