/*
 * The ring and the verdict. Stories.
 * (1) The database restarts, or all connections are cut: everybody's heartbeats stop, nobody may judge for a lease time.
 * (2) A judge was frozen, or his machine slept, while the others' rows grew old or theirs slept with it: his last renewal is
 * too long ago, and when it is answered again his health, and with it every sighting, begins anew.
 * (3) All but one die at once: the three next are found first; the full reading that follows a death has already seen the
 * heartbeats of all others, so these are found one silence later, however many they are.
 * (4) A neighbour came back as another incarnation: its row names that one; the old one is no ring member any more.
 * (5) The database's clock is put back an hour: what expires by it lives for an hour more. A lease that has passed here without a
 * renewal has expired, too.
 */
#include "lease/watch.h"

#include "base/memory.h"

#define LEASES_MOST 4

/* ---- health ---------------------------------------------------------------------------------- */

void
leat_health_answered(struct leat_health *health, int64_t expiry_us, int64_t now_us)
{
    if (health->since_us == 0 || now_us - health->answered_us > expiry_us / 2)
        health->since_us = now_us;
    health->answered_us = now_us;
}

void
leat_health_broke(struct leat_health *health)
{
    health->since_us = 0;
}

bool
leat_health_may_judge(const struct leat_health *health, int64_t expiry_us, int64_t now_us)
{
    return health->since_us != 0 && now_us - health->since_us >= expiry_us &&
           now_us - health->answered_us <= expiry_us / 2;
}

/* ---- the ring -------------------------------------------------------------------------------- */

void
leat_watch_init(struct leat_watch *watch)
{
    *watch = (struct leat_watch){0};
    leat_arena_init(&watch->arena);
}

void
leat_watch_release(struct leat_watch *watch)
{
    leat_arena_release(&watch->arena);
}

bool
leat_watch_is_due(const struct leat_watch *watch, int64_t version, int64_t now_us)
{
    return !watch->is_known || now_us >= watch->read_at_us + LEAT_WATCH_RING_US ||
           (version > 0 && version != watch->version);
}

static struct leat_watched *
find(const struct leat_watch *watch, int64_t incarnation)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->ring[i].last.incarnation == incarnation)
            return &watch->ring[i];
    }
    return NULL;
}

static int64_t
first_seen_us(const struct leat_watch *watch, const struct leat_sighting *now_seen, int64_t now_us)
{
    const struct leat_watched *before = find(watch, now_seen->incarnation);

    return before != NULL && before->last.heartbeat_us == now_seen->heartbeat_us
               ? before->seen_at_us
               : now_us;
}

void
leat_watch_ring(struct leat_watch *watch, const struct leat_sighting *living, size_t count,
                int64_t version, int64_t now_us)
{
    struct leat_arena arena;
    struct leat_watched *ring;

    leat_arena_init(&arena);
    ring = leat_arena_alloc_zero(&arena, count + 1, sizeof *ring);
    for (size_t i = 0; i < count; i++) {
        ring[i].last = living[i];
        ring[i].last.worker_id = leat_arena_copy(&arena, living[i].worker_id);
        ring[i].seen_at_us = first_seen_us(watch, &living[i], now_us);
    }
    leat_arena_release(&watch->arena);
    watch->arena = arena;
    watch->ring = ring;
    watch->count = count;
    if (version > 0)
        watch->version = version;
    watch->read_at_us = now_us;
    watch->is_known = true;
}

/* Index of the nth behind our own; false: there is none. */
static bool
neighbour(const struct leat_watch *watch, int64_t own, size_t nth, size_t *ret_index)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->ring[i].last.incarnation != own)
            continue;
        *ret_index = (i + nth) % watch->count;
        return nth < watch->count;
    }
    return false;
}

size_t
leat_watch_next(struct leat_watch *watch, int64_t own, struct leat_slice *ret_ids)
{
    size_t count = 0, index;

    if (find(watch, own) == NULL)
        watch->is_known = false;
    while (count < LEAT_WATCH_NEIGHBOURS && neighbour(watch, own, count + 1, &index))
        ret_ids[count++] = watch->ring[index].last.worker_id;
    return count;
}

static void
leave(struct leat_watch *watch, int64_t incarnation)
{
    struct leat_watched *gone = find(watch, incarnation);

    if (gone == NULL)
        return;
    watch->count--;
    memmove(gone, gone + 1, (size_t)(watch->ring + watch->count - gone) * sizeof *gone);
}

static const struct leat_sighting *
sighting_of(const struct leat_sighting *seen, size_t count, int64_t incarnation)
{
    for (size_t i = 0; i < count; i++) {
        if (seen[i].incarnation == incarnation)
            return &seen[i];
    }
    return NULL;
}

void
leat_watch_see(struct leat_watch *watch, int64_t own, const struct leat_sighting *seen,
               size_t count, int64_t now_us)
{
    int64_t gone[LEAT_WATCH_NEIGHBOURS];
    size_t gone_count = 0, index;

    for (size_t n = 1; n <= LEAT_WATCH_NEIGHBOURS && neighbour(watch, own, n, &index); n++) {
        struct leat_watched *watched = &watch->ring[index];
        const struct leat_sighting *now_seen = sighting_of(seen, count, watched->last.incarnation);

        if (now_seen == NULL) {
            gone[gone_count++] = watched->last.incarnation;
            continue;
        }
        watched->seen_at_us = first_seen_us(watch, now_seen, now_us);
        watched->last.heartbeat_us = now_seen->heartbeat_us;
        watched->last.can_be_dead = now_seen->can_be_dead;
        watched->last.lease_us = now_seen->lease_us;
    }
    for (size_t i = 0; i < gone_count; i++)
        leave(watch, gone[i]);
}

static int64_t
silent_from_us(const struct leat_watched *watched, const struct leat_judge *judge)
{
    return watched->seen_at_us > judge->health.since_us ? watched->seen_at_us
                                                        : judge->health.since_us;
}

/* When his lease has, or had, passed by our own clock. Workers of one application are configured alike: what is far from ours is no
   lease, but a time that somebody wrote there. */
static int64_t
expired_at_us(const struct leat_watched *watched, const struct leat_judge *judge)
{
    int64_t lease_us = watched->last.lease_us, most_us = LEASES_MOST * judge->expiry_us;

    if (lease_us < judge->expiry_us)
        lease_us = judge->expiry_us;
    return silent_from_us(watched, judge) + (lease_us < most_us ? lease_us : most_us);
}

/* When this silence will be, or was, long enough. */
static int64_t
silent_at_us(const struct leat_watched *watched, const struct leat_judge *judge)
{
    return watched->last.can_be_dead
               ? silent_from_us(watched, judge) + judge->heartbeat_us * 12 / 10
               : expired_at_us(watched, judge);
}

size_t
leat_watch_silent(const struct leat_watch *watch, const struct leat_judge *judge, int64_t now_us,
                  struct leat_sighting *ret_silent)
{
    size_t count = 0, index;

    if (!leat_health_may_judge(&judge->health, judge->expiry_us, now_us))
        return 0;
    for (size_t n = 1; n <= LEAT_WATCH_NEIGHBOURS && neighbour(watch, judge->own, n, &index); n++) {
        const struct leat_watched *watched = &watch->ring[index];

        if (now_us < silent_at_us(watched, judge))
            continue;
        ret_silent[count] = watched->last;
        ret_silent[count++].has_expired_here = now_us >= expired_at_us(watched, judge);
    }
    return count;
}

int64_t
leat_watch_silent_at(const struct leat_watch *watch, const struct leat_judge *judge, int64_t now_us)
{
    int64_t soonest_us = INT64_MAX;
    size_t index;

    if (judge->health.since_us == 0)
        return soonest_us;
    for (size_t n = 1; n <= LEAT_WATCH_NEIGHBOURS && neighbour(watch, judge->own, n, &index); n++) {
        const struct leat_watched *watched = &watch->ring[index];
        int64_t at_us = silent_at_us(watched, judge);

        if (at_us < judge->health.since_us + judge->expiry_us)
            at_us = judge->health.since_us + judge->expiry_us; /* may judge only then */
        if (at_us > now_us && at_us < soonest_us)
            soonest_us = at_us;
    }
    return soonest_us;
}

void
leat_watch_died(struct leat_watch *watch, int64_t incarnation)
{
    leave(watch, incarnation);
    watch->is_known = false;
}
