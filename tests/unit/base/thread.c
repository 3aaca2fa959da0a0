/* Threads, conditions and wakers. */
#include "tests/unit/base/suite.h"

#include <poll.h>
#include <signal.h>

#include "base/clock.h"
#include "base/thread.h"

struct shared {
    struct leat_mutex mutex;
    struct leat_condition changed;
    int count LEAT_FIELD_GUARDED_BY(mutex);
    char name[16];
    bool is_blocked;
};

static void
count_up(void *context)
{
    struct shared *shared = context;

    for (int i = 0; i < 10000; i++) {
        leat_mutex_lock(&shared->mutex);
        shared->count++;
        leat_condition_signal(&shared->changed);
        leat_mutex_unlock(&shared->mutex);
    }
}

static void
look_around(void *context)
{
    struct shared *shared = context;
    sigset_t blocked;

    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    shared->is_blocked = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGUSR1);
    pthread_getname_np(pthread_self(), shared->name, sizeof shared->name);
}

static void
advance(void *context)
{
    (void)context;
    leat_clock_advance(10 * LEAT_SECOND_US);
}

static void
shared_init(struct shared *shared)
{
    *shared = (struct shared){0};
    leat_mutex_init(&shared->mutex);
    leat_condition_init(&shared->changed);
}

START_TEST(counts_are_not_lost)
{
    struct leat_thread threads[4] = {0};
    struct shared shared;
    int count;

    shared_init(&shared);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(leat_thread_start(&threads[i], "counter", count_up, &shared, NULL), 0);
    leat_mutex_lock(&shared.mutex);
    while (shared.count < 40000)
        leat_condition_wait(&shared.changed, &shared.mutex);
    count = shared.count;
    leat_mutex_unlock(&shared.mutex);
    ck_assert_int_eq(count, 40000);
    for (int i = 0; i < 4; i++)
        leat_thread_join(&threads[i]);
    leat_thread_join(&threads[0]); /* nothing */
    leat_condition_release(&shared.changed);
    leat_mutex_release(&shared.mutex);
}
END_TEST

START_TEST(signals_blocked_and_named)
{
    struct leat_thread thread = {0};
    struct shared shared;

    shared_init(&shared);
    ck_assert_int_eq(
        leat_thread_start(&thread, "a-name-that-is-too-long", look_around, &shared, NULL), 0);
    leat_thread_join(&thread);
    ck_assert(shared.is_blocked);
    ck_assert_str_eq(shared.name, "a-name-that-is-");
}
END_TEST

START_TEST(deadline_passes)
{
    struct shared shared;
    int64_t began_us = leat_clock_monotonic_us();

    shared_init(&shared);
    leat_mutex_lock(&shared.mutex);
    while (leat_condition_wait_until(&shared.changed, &shared.mutex, began_us + 20 * LEAT_MS_US))
        ;
    ck_assert(!leat_condition_wait_until(&shared.changed, &shared.mutex, -1));
    leat_mutex_unlock(&shared.mutex);
    ck_assert_int_ge(leat_clock_monotonic_us() - began_us, 20 * LEAT_MS_US);
}
END_TEST

START_TEST(fake_deadline_passes_when_moved)
{
    struct leat_thread thread = {0};
    struct shared shared;

    shared_init(&shared);
    leat_clock_fake(0, 0);
    leat_mutex_lock(&shared.mutex);
    ck_assert(leat_condition_wait_until(&shared.changed, &shared.mutex, 9 * LEAT_SECOND_US));
    ck_assert_int_eq(leat_thread_start(&thread, "mover", advance, NULL, NULL), 0);
    while (leat_condition_wait_until(&shared.changed, &shared.mutex, 9 * LEAT_SECOND_US))
        ;
    leat_mutex_unlock(&shared.mutex);
    leat_thread_join(&thread);
    ck_assert_int_eq(leat_clock_monotonic_us(), 10 * LEAT_SECOND_US);
}
END_TEST

START_TEST(waker_wakes_poll)
{
    struct leat_waker waker;
    struct pollfd wait;

    ck_assert_int_eq(leat_waker_init(&waker, NULL), 0);
    wait = (struct pollfd){.fd = waker.fd, .events = POLLIN};
    ck_assert_int_eq(poll(&wait, 1, 0), 0);
    leat_waker_wake(&waker);
    leat_waker_wake(&waker);
    ck_assert_int_eq(poll(&wait, 1, 0), 1);
    leat_waker_drain(&waker);
    leat_waker_drain(&waker); /* does not block */
    ck_assert_int_eq(poll(&wait, 1, 0), 0);
    leat_waker_release(&waker);
}
END_TEST

SUITE_MAIN("thread", counts_are_not_lost, signals_blocked_and_named, deadline_passes,
           fake_deadline_passes_when_moved, waker_wakes_poll)
