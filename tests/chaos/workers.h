/*
 * The workers of a storm, in slots: who lives, who is frozen, who is to come back and when, and with which test point. A worker that
 * ends in a way that nobody asked for (an abort, a fault of memory, an exit code) is remembered: that is a defect.
 *
 * Threads: main's. The sampler asks who lives (chaos_workers_look).
 */
#ifndef LEAT_TESTS_CHAOS_WORKERS_H
#define LEAT_TESTS_CHAOS_WORKERS_H

#include "base/thread.h"
#include "chaos/schedule.h"
#include "chaos/world.h"

#define CHAOS_SLOTS 16

/* Made by tools/list-points from the sources: the names of all test points of the library. */
extern const char *const chaos_points[];
extern const size_t chaos_point_count;
#define CHAOS_POINTS 128

struct chaos_worker {
    struct test_worker process; /* pid 0: none */
    struct chaos_start start;
    unsigned generation;
    bool is_frozen, is_ending; /* SIGSTOP, also by its own point; SIGTERM was sent */
    int64_t thaws_at_us, starts_at_us, leaves_at_us, told_to_end_at_us; /* 0: not */
};

struct chaos_workers {
    struct chaos_world *world;
    uint64_t seed;
    unsigned wanted; /* slots that are filled again; those behind are guests */
    bool is_quiet;   /* no more test points */
    struct leat_mutex lock;
    struct chaos_worker slots[CHAOS_SLOTS] LEAT_FIELD_GUARDED_BY(lock); /* written by main alone */
    unsigned starts, ends_unasked;
    unsigned armed[CHAOS_POINTS];
    char trouble[200]; /* the first end that is a defect; "" */
};

void chaos_workers_start(struct chaos_workers *workers, struct chaos_world *world, unsigned wanted,
                         uint64_t seed);
/* Sees who has ended or stopped, starts and thaws whose time has come. */
void chaos_workers_settle(struct chaos_workers *workers, int64_t now_us);
bool chaos_workers_fault(struct chaos_workers *workers, const struct chaos_fault *fault, char *what,
                         size_t size);
/* The storm is over: all thawed, all slots filled, from now on without test points. */
void chaos_workers_calm(struct chaos_workers *workers);
/* SIGTERM to all; false: one did not end in time, or not well. */
bool chaos_workers_end(struct chaos_workers *workers, int64_t within_us);

struct chaos_living {
    pid_t pid;
    bool
        is_able; /* nothing keeps it from working: not frozen, not ending, no point that may pause it */
};
/* All that are not frozen. Any thread. Returns how many. */
size_t chaos_workers_look(struct chaos_workers *workers, struct chaos_living living[CHAOS_SLOTS]);

/* How often each test point has fired so far, as the workers told. */
void chaos_workers_fired(const struct chaos_workers *workers, unsigned fired[CHAOS_POINTS]);

#endif
