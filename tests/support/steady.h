/*
 * A steady put and its oracle: numbered records of many devices onto the fleet's stream, and what must have come of them, whatever
 * happened to workers, databases and shards meanwhile. The processors are shipped ones: `rollup` (counts and sums by device) and
 * `print` (one row a record, with a column that numbers the commits: the order). Failures are Check's.
 */
#ifndef LEAT_TESTS_STEADY_H
#define LEAT_TESTS_STEADY_H

#include "base/thread.h"
#include "support/fleet.h"

#define TEST_STEADY_DEVICES 60
/* For test_fleet_configure; then test_steady_prepare. */
#define TEST_STEADY_PROCESSORS                                                                     \
    "processors:\n"                                                                                \
    "  - { name: rollup, plugin: rollup, target: { plugin: postgres } }\n"                         \
    "  - { name: print, plugin: print, target: { plugin: postgres } }\n"

struct test_steady {
    struct test_fleet *fleet;
    struct leat_pg_connection *target; /* where the tables are; NULL: the fleet's own */
    int64_t pause_us;                  /* between two records; 0: 2 ms */
    struct leat_thread thread;
    _Atomic bool is_stopping;
    _Atomic int64_t records;
    int64_t count[TEST_STEADY_DEVICES], sum[TEST_STEADY_DEVICES];
};

/* Once, when the tables are there: the column that numbers commits. */
void test_steady_prepare(struct test_steady *steady);
/* Begins to put, on a thread of its own. fleet (and target) are set by the caller. */
void test_steady_start(struct test_steady *steady);
void test_steady_stop(struct test_steady *steady); /* more than once is fine */
/* Stops, waits at most 30 s for the last record, then: nothing lost, nothing twice, nothing diverted, no key out of order. */
void ck_steady_all_right(struct test_steady *steady);
/* Each active lease gets a commit of each processor from now on, within 30 s. Lease tables and progress in one database. */
void ck_steady_flows(struct test_steady *steady);

#endif
