/* Fleets in memory for tests of the assignment: leases and workers, and what the database does with a plan. */
#ifndef LEAT_TESTS_LEASES_H
#define LEAT_TESTS_LEASES_H

#include "base/random.h"
#include "lease/assign.h"

struct fleet {
    struct leat_lease *leases;
    struct leat_worker *workers;
    size_t lease_count, worker_count;
    struct leat_balance balance;
    int64_t waited_us;              /* enough, unless a test says otherwise */
    struct leat_assign_output last; /* of the last pass */
    size_t assigns, handoffs;       /* of the last pass */
    struct leat_move *moves;
    struct leat_arena arena;
};

/* Alive workers "w0" …, incarnations from 1, weight 1; leases "shard-0" … of nobody. */
void fleet_init(struct fleet *fleet, size_t lease_count, size_t worker_count);
void fleet_release(struct fleet *fleet);
/* One pass; handoffs, those from before too, are done at once. Checks that nothing goes to who is not alive or full. Returns
   how many moves there were. */
size_t fleet_pass(struct fleet *fleet);
/* One pass as fleet_pass, but nothing is moved. */
size_t fleet_plan(struct fleet *fleet);
size_t fleet_held(const struct fleet *fleet, size_t worker);
int64_t fleet_busy_us(const struct fleet *fleet, size_t worker);
/* Handoffs that any plan needs so that nobody holds two more than another: what the fullest have too much of, and all that those
   hold who must not. Those under way count where they go. */
size_t fleet_needed(const struct fleet *fleet);
/* The most that somebody alive holds more than another, counted so. */
size_t fleet_spread(const struct fleet *fleet);
/* Deals the leases out among the first so many workers. */
void fleet_deal(struct fleet *fleet, size_t worker_count);

#endif
