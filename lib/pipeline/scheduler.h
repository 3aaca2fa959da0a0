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
/*
 * So many of its threads do not come back from what they run: as many others work in their place, up to
 * LEAT_SCHEDULER_TIMES in all. When they come back, as many end. Returns how many more there are now than at the start; by
 * one thread alone.
 */
#define LEAT_SCHEDULER_TIMES 4
unsigned leat_scheduler_replace(struct leat_scheduler *scheduler, unsigned stuck);
/* Ends the threads, each of which must come back; actors that are ready are not run any more. */
void leat_scheduler_free(struct leat_scheduler *scheduler);
void leat_scheduler_wake(struct leat_scheduler *scheduler,
                         struct leat_actor *actor); /* any thread */

#endif
