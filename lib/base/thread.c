/* Threads, locks and wakers over pthreads. A failing lock call is a programming error and asserts. */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/memory.h"
#include "base/units.h"

/* How soon a waiter sees that a test has moved the clock; until then it seems woken for nothing. */
#define FAKE_LOOK_US (2 * LEAT_MS_US)

void
leat_mutex_init(struct leat_mutex *mutex)
{
    LEAT_ASSERT(pthread_mutex_init(&mutex->mutex, NULL) == 0);
}

void
leat_mutex_release(struct leat_mutex *mutex)
{
    LEAT_ASSERT(pthread_mutex_destroy(&mutex->mutex) == 0);
}

void
leat_mutex_lock(struct leat_mutex *mutex) LEAT_NO_THREAD_SAFETY
{
    LEAT_ASSERT(pthread_mutex_lock(&mutex->mutex) == 0);
}

void
leat_mutex_unlock(struct leat_mutex *mutex) LEAT_NO_THREAD_SAFETY
{
    LEAT_ASSERT(pthread_mutex_unlock(&mutex->mutex) == 0);
}

void
leat_condition_init(struct leat_condition *condition)
{
    pthread_condattr_t attributes;

    LEAT_ASSERT(pthread_condattr_init(&attributes) == 0);
    LEAT_ASSERT(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    LEAT_ASSERT(pthread_cond_init(&condition->condition, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
}

void
leat_condition_release(struct leat_condition *condition)
{
    LEAT_ASSERT(pthread_cond_destroy(&condition->condition) == 0);
}

void
leat_condition_signal(struct leat_condition *condition)
{
    pthread_cond_signal(&condition->condition);
}

void
leat_condition_broadcast(struct leat_condition *condition)
{
    pthread_cond_broadcast(&condition->condition);
}

void
leat_condition_wait(struct leat_condition *condition, struct leat_mutex *mutex)
{
    LEAT_ASSERT(pthread_cond_wait(&condition->condition, &mutex->mutex) == 0);
}

bool
leat_condition_wait_until(struct leat_condition *condition, struct leat_mutex *mutex,
                          int64_t deadline_us)
{
    struct timespec deadline;
    int64_t until_us = deadline_us;
    int status;

    if (leat_clock_is_fake()) {
        if (leat_clock_monotonic_us() >= deadline_us)
            return false;
        until_us = leat_clock_real_monotonic_us() + FAKE_LOOK_US;
    }
    if (until_us < 0)
        until_us = 0;
    deadline = (struct timespec){.tv_sec = until_us / LEAT_SECOND_US,
                                 .tv_nsec = until_us % LEAT_SECOND_US * 1000};
    status = pthread_cond_timedwait(&condition->condition, &mutex->mutex, &deadline);
    LEAT_ASSERT(status == 0 || status == ETIMEDOUT);
    return status == 0 || leat_clock_monotonic_us() < deadline_us;
}

static void *
thread_main(void *context)
{
    struct leat_thread *thread = context;

    void *stack = leat_crash_stack_begin();

    pthread_setname_np(pthread_self(), thread->name);
    thread->run(thread->context);
    leat_crash_stack_end(stack);
    return NULL;
}

int
leat_thread_start(struct leat_thread *thread, const char *name, leat_thread_fn run, void *context,
                  struct leat_error *err)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
    sigset_t all, before;
    int status;

    snprintf(thread->name, sizeof thread->name, "%s", name);
    thread->run = run;
    thread->context = context;
    sigfillset(&all);
    /* A fault whose signal is blocked ends the process without a word. */
    for (size_t i = 0; i < LEAT_COUNT_OF(faults); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    status = pthread_create(&thread->thread, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    thread->is_started = status == 0;
    if (status != 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not start thread \"%s\": %s", name,
                              strerror(status));
    return 0;
}

void
leat_thread_join(struct leat_thread *thread)
{
    if (!thread->is_started)
        return;
    LEAT_ASSERT(pthread_join(thread->thread, NULL) == 0);
    thread->is_started = false;
}

int
leat_waker_init(struct leat_waker *waker, struct leat_error *err)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (fd < 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not create an eventfd: %s",
                              strerror(errno));
    waker->fd = fd;
    return 0;
}

void
leat_waker_release(struct leat_waker *waker)
{
    close(waker->fd);
    waker->fd = -1;
}

void
leat_waker_wake(struct leat_waker *waker)
{
    uint64_t one = 1;
    ssize_t written = write(waker->fd, &one, sizeof one);

    (void)written; /* EAGAIN: it is awake already */
}

void
leat_waker_drain(struct leat_waker *waker)
{
    uint64_t count;
    ssize_t taken = read(waker->fd, &count, sizeof count);

    (void)taken;
}
