/*
 * What happens in a storm, from one seed: the faults one after another with the time between them, and what each start of a
 * worker brings along. Pure: the same seed gives the same schedule, whatever processes make of it.
 */
#ifndef LEAT_TESTS_CHAOS_SCHEDULE_H
#define LEAT_TESTS_CHAOS_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"

enum chaos_kind {
    CHAOS_KILL,      /* SIGKILL of one worker */
    CHAOS_KILL_TWO,  /* … of two at once */
    CHAOS_KILL_ALL,  /* … of all */
    CHAOS_FREEZE,    /* SIGSTOP, and SIGCONT before its lease time is over */
    CHAOS_ICE,       /* … after it */
    CHAOS_TERMINATE, /* SIGTERM */
    CHAOS_START,     /* one more worker, for a while */
    CHAOS_CUT,       /* every connection to a database is reset */
    CHAOS_STALL,     /* … and nothing passes, as when a cable is pulled */
    CHAOS_REFUSE,    /* … and new ones are refused */
    CHAOS_SWALLOW,   /* what is sent arrives, what comes back does not */
    CHAOS_RESTART,   /* Postgres ends at once in order, and is back after a while */
    CHAOS_IMMEDIATE, /* … without order */
    CHAOS_BACKEND,   /* SIGKILL of a backend: the server recovers from a crash */
    CHAOS_STREAM,    /* the stream server misbehaves */
    CHAOS_SPLIT,
    CHAOS_MERGE,
    CHAOS_KINDS
};
extern const char *const chaos_kind_names[CHAOS_KINDS];

enum chaos_database_role { CHAOS_LEASES, CHAOS_TARGET, CHAOS_DATABASES };

struct chaos_fault {
    unsigned number; /* from 1 */
    int64_t gap_us;  /* after the one before */
    enum chaos_kind kind;
    unsigned pick, other; /* whom it hits: modulo what there is */
    enum chaos_database_role database;
    int64_t lasts_us;
};

struct chaos_schedule {
    struct leat_random random;
    unsigned number;
    int64_t gap_us, expiry_us;
};
/* gap_us: between two faults on average; expiry_us: a worker's lease time. */
void chaos_schedule_init(struct chaos_schedule *schedule, uint64_t seed, int64_t gap_us,
                         int64_t expiry_us);
void chaos_schedule_next(struct chaos_schedule *schedule, struct chaos_fault *ret_fault);

enum chaos_deed { CHAOS_DEED_NONE, CHAOS_DEED_CRASH, CHAOS_DEED_STOP, CHAOS_DEED_PAUSE };

/* The nth worker of a slot: how long the slot stays empty before it, its name, and the test point that it is started with. */
struct chaos_start {
    int64_t after_us;
    bool has_old_id; /* the slot's; else one of its own */
    enum chaos_deed deed;
    size_t point;      /* index; unless NONE */
    unsigned nth;      /* the how many-th passing */
    int64_t frozen_us; /* PAUSE, or STOP until SIGCONT */
};
/* more than five: a seed, whose start, and what there is to choose from. */
void chaos_start_plan(uint64_t seed, unsigned slot, unsigned generation, size_t points,
                      int64_t expiry_us, struct chaos_start *ret_start);

#endif
