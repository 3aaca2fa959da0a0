/*
 * A ready queue and a heap of times under one lock; the lock is never held while an actor runs.
 *
 * A thread that is stuck in an actor cannot be taken out of it. Another one is started instead; which of them is too many when the
 * stuck one comes back does not matter, so whoever next looks for work ends.
 */
#include "pipeline/scheduler.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

struct worker;

struct leat_scheduler {
    struct leat_mutex lock;
    struct leat_condition condition;
    struct leat_actor *first LEAT_FIELD_GUARDED_BY(lock), **last LEAT_FIELD_GUARDED_BY(lock);
    struct leat_actor **timers LEAT_FIELD_GUARDED_BY(lock); /* a heap by due_us */
    uint32_t timer_count LEAT_FIELD_GUARDED_BY(lock), timer_capacity LEAT_FIELD_GUARDED_BY(lock);
    bool is_stopping LEAT_FIELD_GUARDED_BY(lock);
    unsigned wanted LEAT_FIELD_GUARDED_BY(lock), working LEAT_FIELD_GUARDED_BY(lock); /* threads */
    struct worker *
        workers; /* LEAT_SCHEDULER_TIMES × thread_count; started and joined by one thread at a time */
    unsigned thread_count;
};

struct worker {
    struct leat_scheduler *scheduler;
    struct leat_thread thread;
    bool is_over LEAT_FIELD_GUARDED_BY(scheduler->lock); /* may be joined, and used again */
};

static void
place(struct leat_scheduler *scheduler, uint32_t i, struct leat_actor *actor)
    LEAT_REQUIRES(scheduler->lock)
{
    scheduler->timers[i] = actor;
    actor->place = i + 1;
}

static void
sift(struct leat_scheduler *scheduler, uint32_t i) LEAT_REQUIRES(scheduler->lock)
{
    struct leat_actor *actor = scheduler->timers[i];

    while (i > 0 && scheduler->timers[(i - 1) / 2]->due_us > actor->due_us) {
        place(scheduler, i, scheduler->timers[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child + 1 < scheduler->timer_count &&
            scheduler->timers[child + 1]->due_us < scheduler->timers[child]->due_us)
            child++;
        if (child >= scheduler->timer_count || scheduler->timers[child]->due_us >= actor->due_us)
            break;
        place(scheduler, i, scheduler->timers[child]);
        i = child;
    }
    place(scheduler, i, actor);
}

static void
timer_add(struct leat_scheduler *scheduler, struct leat_actor *actor, int64_t due_us)
    LEAT_REQUIRES(scheduler->lock)
{
    LEAT_GROW(scheduler->timers, scheduler->timer_count, scheduler->timer_capacity);
    actor->due_us = due_us;
    scheduler->timers[scheduler->timer_count] = actor;
    sift(scheduler, scheduler->timer_count++);
}

static void
timer_remove(struct leat_scheduler *scheduler, struct leat_actor *actor)
    LEAT_REQUIRES(scheduler->lock)
{
    uint32_t i = actor->place - 1;
    struct leat_actor *moved = scheduler->timers[--scheduler->timer_count];

    actor->place = 0;
    if (moved == actor)
        return;
    scheduler->timers[i] = moved;
    sift(scheduler, i);
}

static void
enqueue(struct leat_scheduler *scheduler, struct leat_actor *actor) LEAT_REQUIRES(scheduler->lock)
{
    if (actor->place != 0)
        timer_remove(scheduler, actor);
    actor->state = LEAT_ACTOR_READY;
    actor->next = NULL;
    *scheduler->last = actor;
    scheduler->last = &actor->next;
    leat_condition_signal(&scheduler->condition);
}

void
leat_scheduler_wake(struct leat_scheduler *scheduler, struct leat_actor *actor)
{
    leat_mutex_lock(&scheduler->lock);
    if (actor->state == LEAT_ACTOR_IDLE)
        enqueue(scheduler, actor);
    else if (actor->state == LEAT_ACTOR_RUNNING)
        actor->state = LEAT_ACTOR_AGAIN;
    leat_mutex_unlock(&scheduler->lock);
}

/* The next ready actor; NULL: stopping, or there are too many threads. */
static struct leat_actor *
dequeue(struct leat_scheduler *scheduler) LEAT_REQUIRES(scheduler->lock)
{
    while (!scheduler->is_stopping && scheduler->working <= scheduler->wanted) {
        struct leat_actor *actor;

        while (scheduler->timer_count > 0 &&
               scheduler->timers[0]->due_us <= leat_clock_monotonic_us())
            enqueue(scheduler, scheduler->timers[0]);
        actor = scheduler->first;
        if (actor != NULL) {
            scheduler->first = actor->next;
            if (scheduler->first == NULL)
                scheduler->last = &scheduler->first;
            actor->state = LEAT_ACTOR_RUNNING;
            return actor;
        }
        if (scheduler->timer_count > 0)
            leat_condition_wait_until(&scheduler->condition, &scheduler->lock,
                                      scheduler->timers[0]->due_us);
        else
            leat_condition_wait(&scheduler->condition, &scheduler->lock);
    }
    return NULL;
}

static void
worker_main(void *context)
{
    struct worker *worker = context;
    struct leat_scheduler *scheduler = worker->scheduler;
    struct leat_actor *actor;

    leat_mutex_lock(&scheduler->lock);
    while ((actor = dequeue(scheduler)) != NULL) {
        int64_t next_us;

        leat_mutex_unlock(&scheduler->lock);
        next_us = actor->run(actor);
        leat_mutex_lock(&scheduler->lock);
        if (next_us < 0) /* it is gone */
            continue;
        if (actor->state == LEAT_ACTOR_AGAIN || next_us == 0) {
            enqueue(scheduler, actor);
            continue;
        }
        actor->state = LEAT_ACTOR_IDLE;
        if (next_us != INT64_MAX)
            timer_add(scheduler, actor, next_us);
    }
    scheduler->working--;
    worker->is_over = true;
    /* It may have been woken for work that others are to do now. */
    leat_condition_signal(&scheduler->condition);
    leat_mutex_unlock(&scheduler->lock);
}

/* One more thread, in a place that is free. false: there is none, or the system gives none. */
static bool
start_one(struct leat_scheduler *scheduler, struct leat_error *err)
{
    for (unsigned i = 0; i < scheduler->thread_count * LEAT_SCHEDULER_TIMES; i++) {
        struct worker *worker = &scheduler->workers[i];
        bool is_over;

        leat_mutex_lock(&scheduler->lock);
        is_over = worker->is_over;
        leat_mutex_unlock(&scheduler->lock);
        if (worker->thread.is_started && !is_over)
            continue;
        leat_thread_join(&worker->thread);
        leat_mutex_lock(&scheduler->lock);
        worker->is_over = false;
        scheduler->working++;
        leat_mutex_unlock(&scheduler->lock);
        if (leat_thread_start(&worker->thread, "worker", worker_main, worker, err) == 0)
            return true;
        leat_mutex_lock(&scheduler->lock);
        scheduler->working--;
        leat_mutex_unlock(&scheduler->lock);
        return false;
    }
    return false;
}

unsigned
leat_scheduler_replace(struct leat_scheduler *scheduler, unsigned stuck)
{
    unsigned most = scheduler->thread_count * (LEAT_SCHEDULER_TIMES - 1), working;
    struct leat_error err;

    leat_mutex_lock(&scheduler->lock);
    scheduler->wanted = scheduler->thread_count + (stuck < most ? stuck : most);
    working = scheduler->working;
    if (working > scheduler->wanted)
        leat_condition_broadcast(&scheduler->condition);
    for (; working < scheduler->wanted; working++) {
        bool has_started;

        leat_mutex_unlock(&scheduler->lock);
        has_started = start_one(scheduler, &err);
        leat_mutex_lock(&scheduler->lock);
        if (!has_started)
            break;
    }
    working = scheduler->working;
    leat_mutex_unlock(&scheduler->lock);
    return working > scheduler->thread_count ? working - scheduler->thread_count : 0;
}

static void
stop_threads(struct leat_scheduler *scheduler)
{
    leat_mutex_lock(&scheduler->lock);
    scheduler->is_stopping = true;
    leat_condition_broadcast(&scheduler->condition);
    leat_mutex_unlock(&scheduler->lock);
    for (unsigned i = 0; i < scheduler->thread_count * LEAT_SCHEDULER_TIMES; i++)
        leat_thread_join(&scheduler->workers[i].thread);
}

struct leat_scheduler *
leat_scheduler_new(unsigned threads, struct leat_error *err)
{
    struct leat_scheduler *scheduler = LEAT_NEW(struct leat_scheduler);

    leat_is_unshared();
    leat_mutex_init(&scheduler->lock);
    leat_condition_init(&scheduler->condition);
    scheduler->last = &scheduler->first;
    scheduler->workers = LEAT_NEW_ARRAY(struct worker, (size_t)threads * LEAT_SCHEDULER_TIMES);
    scheduler->thread_count = scheduler->wanted = threads;
    for (unsigned i = 0; i < threads * LEAT_SCHEDULER_TIMES; i++)
        scheduler->workers[i].scheduler = scheduler;
    for (unsigned i = 0; i < threads; i++) {
        if (!start_one(scheduler, err)) {
            leat_scheduler_free(scheduler);
            return NULL;
        }
    }
    return scheduler;
}

void
leat_scheduler_free(struct leat_scheduler *scheduler)
{
    if (scheduler == NULL)
        return;
    stop_threads(scheduler);
    leat_is_unshared();
    leat_condition_release(&scheduler->condition);
    leat_mutex_release(&scheduler->lock);
    free(scheduler->timers);
    free(scheduler->workers);
    free(scheduler);
}
