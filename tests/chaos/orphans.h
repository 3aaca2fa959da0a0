/*
 * How long leases are without a living owner while somebody could take them: sampled ten times a second, past the proxy.
 *
 * An owner lives when its process runs and is not stopped; that is our knowledge of processes, not the workers table's. A lease's
 * time counts from when it lost its owner, or from when a worker could first have taken it, whichever came later: one that has
 * been registered, running and able to reach the lease database without a break since then.
 */
#ifndef LEAT_TESTS_CHAOS_ORPHANS_H
#define LEAT_TESTS_CHAOS_ORPHANS_H

#include "base/thread.h"
#include "chaos/workers.h"

#define CHAOS_ORPHAN_LEASES 1024

struct chaos_orphan_lease {
    char shard[24];
    int64_t since_us; /* without an owner; 0: it has one */
    bool is_seen;     /* in the last sample */
};

struct chaos_orphans {
    struct chaos_world *world;
    struct chaos_workers *workers;
    struct leat_thread thread;
    _Atomic bool is_stopping;
    /* The thread's until it was joined. */
    struct chaos_orphan_lease leases[CHAOS_ORPHAN_LEASES];
    size_t lease_count;
    struct {
        pid_t pid;
        int64_t incarnation, since_us;
        bool is_seen;
    } able[CHAOS_SLOTS];
    int64_t samples, longest_us;
    char longest_what[160];
};

void chaos_orphans_start(struct chaos_orphans *orphans);
void chaos_orphans_stop(struct chaos_orphans *orphans);

/* Pure: for how long this lease has been an orphan that somebody could have taken; 0: it is none. */
int64_t chaos_orphan_for(int64_t now_us, int64_t orphan_since_us, int64_t able_since_us,
                         int64_t database_since_us);

#endif
