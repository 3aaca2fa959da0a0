/*
 * What became of numbered records: for each key the runs of numbers in the order in which they were committed, against what
 * was put. Pure: it knows no database.
 */
#ifndef LEAT_TESTS_CHAOS_TALLY_H
#define LEAT_TESTS_CHAOS_TALLY_H

#include <stddef.h>
#include <stdint.h>

struct chaos_tally_key {
    int64_t put;     /* numbers 1 … put were put */
    int64_t highest; /* committed so far */
    unsigned char *seen;
};

struct chaos_tally {
    struct chaos_tally_key *keys;
    size_t key_count;
    int64_t committed;    /* numbers, each as often as it was committed */
    int64_t doubled;      /* committed once more */
    int64_t out_of_order; /* committed for the first time, behind a greater one */
    int64_t unknown;      /* committed, and never put */
    int64_t lost;         /* by chaos_tally_end: put, and never committed */
    char example[160];    /* of the first thing that was wrong; "" */
};

/* put: how many each key has; copied. */
void chaos_tally_init(struct chaos_tally *tally, const int64_t *put, size_t key_count);
void chaos_tally_release(struct chaos_tally *tally);
/* In the order of commits. */
void chaos_tally_run(struct chaos_tally *tally, int64_t key, int64_t first, int64_t last);
void chaos_tally_end(struct chaos_tally *tally);

#endif
