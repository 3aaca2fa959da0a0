/*
 * Puts numbered records of many keys onto the stream, at a steady pace, and remembers what it put: what the oracle compares with.
 * A small share is poison, which no processor can read.
 */
#ifndef LEAT_TESTS_CHAOS_PRODUCER_H
#define LEAT_TESTS_CHAOS_PRODUCER_H

#include "base/thread.h"
#include "chaos/world.h"

#define CHAOS_KEYS 200
#define CHAOS_POISON_EACH 2003

struct chaos_producer {
    struct chaos_world *world;
    int64_t wanted;       /* records in all, poison among them */
    _Atomic int64_t rate; /* a second; 0: as fast as it goes */
    uint64_t seed;
    struct leat_thread thread;
    _Atomic bool is_stopping; /* before all are put: the storm failed */
    _Atomic int64_t records;  /* put so far, poison among them */
    /* The thread's until it was joined. */
    int64_t put[CHAOS_KEYS];                   /* numbers of each key: 1 … put */
    char (*poison)[LEAT_LOCAL_SEQUENCE_BYTES]; /* sequence numbers */
    size_t poison_count, poison_capacity;
};

void chaos_producer_start(struct chaos_producer *producer);
/* Joins it; all are put then, unless it was told to stop. */
void chaos_producer_wait(struct chaos_producer *producer);
void chaos_producer_release(struct chaos_producer *producer);

#endif
