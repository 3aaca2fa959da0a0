/*
 * Worker threads run ready actors, one thread at a time each. An actor stands in the ready queue at most once; one that is
 * woken while it runs is run again. Ten thousand waiting actors hold no thread.
 */
#ifndef LEAT_PIPELINE_SCHEDULER_H
#define LEAT_PIPELINE_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

enum leat_actor_state {
    LEAT_ACTOR_IDLE = 0,
    LEAT_ACTOR_READY,
    LEAT_ACTOR_RUNNING,
    LEAT_ACTOR_AGAIN
};

/* Embedded in what it runs. run returns when it wants to be run next: 0 at once, INT64_MAX when woken, else monotonic µs. */
struct leat_actor {
    enum leat_actor_state state;
    struct leat_actor *next; /* of the ready queue */
    int64_t due_us;
    uint32_t place; /* in the timers, + 1; 0: none */
    int64_t (*run)(struct leat_actor *actor);
};

struct leat_scheduler;
struct leat_scheduler *leat_scheduler_new(unsigned threads, struct leat_error *err);
/* Ends the threads; actors that are ready are not run any more. */
void leat_scheduler_free(struct leat_scheduler *scheduler);
void leat_scheduler_wake(struct leat_scheduler *scheduler,
                         struct leat_actor *actor); /* any thread */

#endif
