/*
 * Who watches whom, and when somebody may be called dead (docs/protocol.md §1, judges). Pure: no I/O, no clock, no lock; the
 * time is an argument, in µs of CLOCK_BOOTTIME: a machine that slept must not take its own sleep for somebody else's silence.
 *
 * The living incarnations in their order make a ring. Each worker watches the next three behind itself; it reads the whole ring
 * only when something moved, or after LEAT_WATCH_RING_US. Who was seen to be gone leaves the ring at once, so that the next
 * living one moves up; who was declared dead, too.
 */
#ifndef LEAT_LEASE_WATCH_H
#define LEAT_LEASE_WATCH_H

#include "base/arena.h"
#include "lease/lease.h"

#define LEAT_WATCH_NEIGHBOURS 3
#define LEAT_WATCH_RING_US INT64_C(10000000)

/* How well this worker itself is. All zero: not well. */
struct leat_health {
    int64_t
        since_us; /* session unbroken, renewals answered without a gap since then; 0: it is not */
    int64_t answered_us; /* the last renewal; kept when it goes bad */
};
/* A renewal was answered. A gap of more than half a lease time ends what was before. */
void leat_health_answered(struct leat_health *health, int64_t expiry_us, int64_t now_us);
/* The session broke, or this worker was declared dead. */
void leat_health_broke(struct leat_health *health);
/* Nobody judges who was not himself well for a whole lease time, up to now. */
bool leat_health_may_judge(const struct leat_health *health, int64_t expiry_us, int64_t now_us);

/* A worker's row, as it was read. */
struct leat_sighting {
    struct leat_slice worker_id;
    int64_t incarnation;
    int64_t heartbeat_us;  /* by the database's clock: only ever compared for sameness */
    bool can_be_dead;      /* expired, or it has a session lock, which may be free */
    int64_t lease_us;      /* how long a renewal of his holds, as he says; 0: as ours */
    bool has_expired_here; /* out: by our own clock, whatever the database's says */
};

struct leat_watched {
    struct leat_sighting last;
    int64_t seen_at_us; /* when this heartbeat was first seen */
};

struct leat_watch {
    struct leat_arena arena; /* of the ring */
    struct leat_watched *ring;
    size_t count;
    int64_t version, read_at_us;
    bool is_known; /* false: read it before anything else */
};

void leat_watch_init(struct leat_watch *watch);
void leat_watch_release(struct leat_watch *watch);
/* Must the ring be read again? version: of the assignments; below 1: not known, which is no reason. */
bool leat_watch_is_due(const struct leat_watch *watch, int64_t version, int64_t now_us);
/* All living workers, by incarnation, own one included. Heartbeats that did not change keep their age. */
void leat_watch_ring(struct leat_watch *watch, const struct leat_sighting *living, size_t count,
                     int64_t version, int64_t now_us);
/* The ids of at most LEAT_WATCH_NEIGHBOURS next ones; they live until the ring changes. Without `own` in it the ring is not
   known any more, and there are none. */
size_t leat_watch_next(struct leat_watch *watch, int64_t own, struct leat_slice *ret_ids);
/* What was read of those. Who is not among them, or is another incarnation by now, leaves the ring. */
void leat_watch_see(struct leat_watch *watch, int64_t own, const struct leat_sighting *seen,
                    size_t count, int64_t now_us);
/*
 * Which of the next ones may be declared dead: the same heartbeat for 1.2 heartbeats, counted from the begin of our own health
 * at the earliest; and, where the database does not say that it has expired (its clock may have been put back an hour), for a
 * whole lease of his. They live until the ring changes.
 */
struct leat_judge {
    int64_t own; /* incarnation */
    int64_t heartbeat_us, expiry_us;
    struct leat_health health;
};
size_t leat_watch_silent(const struct leat_watch *watch, const struct leat_judge *judge,
                         int64_t now_us, struct leat_sighting *ret_silent);
/* The next moment after now_us at which one of them may be declared dead, if nothing is heard until then; INT64_MAX: none. To look
   then, not up to one interval of looking later. */
int64_t leat_watch_silent_at(const struct leat_watch *watch, const struct leat_judge *judge,
                             int64_t now_us);
/* It was declared dead: the next living one moves up at once, and the ring is to be read again. */
void leat_watch_died(struct leat_watch *watch, int64_t incarnation);

#endif
