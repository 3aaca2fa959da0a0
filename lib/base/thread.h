/*
 * Threads, mutexes and conditions, with clang's capability annotations (-Wthread-safety is an error
 * in CI). Conditions wait on CLOCK_MONOTONIC. Nothing here sleeps in a loop.
 */
#ifndef LEAT_BASE_THREAD_H
#define LEAT_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

/*
 * Variables of a file: LEAT_GUARDED_BY(lock). Fields: LEAT_FIELD_GUARDED_BY(lock), since in C clang (before 20) cannot
 * name a field's neighbour: such a field asks for `leat_any_lock`, which every lock brings along. Proven is that it is
 * touched under a lock and that every lock is let go; that it is the right one is proven where functions say
 * LEAT_REQUIRES(queue->lock). Where a struct is made or freed, and nobody else sees it: leat_is_unshared() first.
 */
#if defined(__clang__)
#define LEAT_ANNOTATE(x) __attribute__((x))
#else
#define LEAT_ANNOTATE(x)
#endif
#define LEAT_CAPABILITY(x) LEAT_ANNOTATE(capability(x))
#define LEAT_GUARDED_BY(x) LEAT_ANNOTATE(guarded_by(x))
#define LEAT_FIELD_GUARDED_BY(x) LEAT_ANNOTATE(guarded_by(leat_any_lock))
#define LEAT_PT_GUARDED_BY(x) LEAT_ANNOTATE(pt_guarded_by(x))
#define LEAT_REQUIRES(...) LEAT_ANNOTATE(requires_capability(__VA_ARGS__, leat_any_lock))
#define LEAT_EXCLUDES(...) LEAT_ANNOTATE(locks_excluded(__VA_ARGS__))
#define LEAT_ACQUIRE(...)                                                                          \
    LEAT_ANNOTATE(acquire_capability(__VA_ARGS__)) LEAT_ANNOTATE(assert_capability(leat_any_lock))
#define LEAT_RELEASE(...)                                                                          \
    LEAT_ANNOTATE(release_capability(__VA_ARGS__)) LEAT_ANNOTATE(requires_capability(leat_any_lock))
#define LEAT_TRY_ACQUIRE(...) LEAT_ANNOTATE(try_acquire_capability(__VA_ARGS__))
#define LEAT_NO_THREAD_SAFETY LEAT_ANNOTATE(no_thread_safety_analysis)

struct LEAT_CAPABILITY("mutex") leat_mutex {
    pthread_mutex_t mutex;
};
extern struct leat_mutex leat_any_lock; /* a word for the analysis: it exists nowhere */

static inline void leat_is_unshared(void) LEAT_ANNOTATE(assert_capability(leat_any_lock));
static inline void
leat_is_unshared(void)
{
}

void leat_mutex_init(struct leat_mutex *mutex);
void leat_mutex_release(struct leat_mutex *mutex);
void leat_mutex_lock(struct leat_mutex *mutex) LEAT_ACQUIRE(*mutex);
void leat_mutex_unlock(struct leat_mutex *mutex) LEAT_RELEASE(*mutex);

struct leat_condition {
    pthread_cond_t condition;
};

void leat_condition_init(struct leat_condition *condition);
void leat_condition_release(struct leat_condition *condition);
void leat_condition_signal(struct leat_condition *condition);
void leat_condition_broadcast(struct leat_condition *condition);
void leat_condition_wait(struct leat_condition *condition, struct leat_mutex *mutex)
    LEAT_REQUIRES(*mutex);
/*
 * Until signalled or leat_clock_monotonic_us() >= deadline_us; false: the deadline has passed. As with
 * any condition true may also mean nothing (with a fake clock it does every 2 ms): look again.
 */
bool leat_condition_wait_until(struct leat_condition *condition, struct leat_mutex *mutex,
                               int64_t deadline_us) LEAT_REQUIRES(*mutex);

typedef void (*leat_thread_fn)(void *context);
struct leat_thread {
    pthread_t thread;
    bool is_started;
    char name[16];
    leat_thread_fn run;
    void *context;
};

/* All signals are blocked in the new thread (one thread of the program reads them). name: <= 15 bytes. */
int leat_thread_start(struct leat_thread *thread, const char *name, leat_thread_fn run,
                      void *context, struct leat_error *err);
void leat_thread_join(struct leat_thread *thread); /* nothing when not started */

/* A thread that waits in poll() is woken through this: an eventfd. */
struct leat_waker {
    int fd;
};
int leat_waker_init(struct leat_waker *waker, struct leat_error *err);
void leat_waker_release(struct leat_waker *waker);
void leat_waker_wake(struct leat_waker *waker); /* any thread */
void leat_waker_drain(struct leat_waker *waker);

#endif
