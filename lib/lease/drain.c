/*
 * Handing over: a lease that another worker is to have, and all of them at SIGTERM (docs/architecture.md §4.3). The manager
 * thread's.
 *
 * A handoff has a bound. What has not begun is thrown away at once; a call that runs gets `drain`, and is not waited for after that:
 * the lease goes, and what the call says when it returns does not count. Complete epochs may be flushed until the deadline.
 *
 * Stories. (1) A processor hangs in a call: its shard alone is let go without it; the others are not held up, at SIGTERM neither.
 * (2) Many leases move at once: one UPDATE lets go of all that are done, so the application's row is locked once, not per lease.
 * (3) The database is away meanwhile: marks stay, and are sent when it is back; if somebody forced the handoff meanwhile the
 * UPDATE's condition finds another owner and changes nothing.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "lease/inside.h"

static struct leat_lease_key
key_of(const struct leat_held_lease *held)
{
    return (struct leat_lease_key){leat_slice_from(held->stream_id), leat_slice_from(held->shard)};
}

void
leat_manager_begin_drain(struct leat_lease_manager *manager, struct leat_held_lease *held,
                         int64_t deadline_us)
{
    int64_t call_deadline_us = leat_clock_monotonic_us() + manager->options.drain_us;

    held->is_draining = true;
    held->deadline_us = deadline_us;
    held->call_deadline_us = call_deadline_us < deadline_us ? call_deadline_us : deadline_us;
    leat_mutex_lock(&manager->lock);
    manager->counts.handoffs++;
    leat_mutex_unlock(&manager->lock);
    manager->options.events.drain(manager->options.events.context, key_of(held),
                                  held->call_deadline_us, deadline_us);
}

static bool
has_used_up_its_time(struct leat_lease_manager *manager, const struct leat_held_lease *held,
                     int64_t now_us)
{
    if (now_us >= held->deadline_us)
        return true;
    return now_us >= held->call_deadline_us && manager->options.events.is_calling != NULL &&
           manager->options.events.is_calling(manager->options.events.context, key_of(held));
}

int64_t
leat_manager_end_drains(struct leat_lease_manager *manager, int64_t now_us)
{
    struct leat_map_entry *entry;
    size_t position = 0;
    int64_t next_us = INT64_MAX;

    while ((entry = leat_map_next(&manager->held, &position)) != NULL) {
        struct leat_held_lease *held = entry->value;
        int64_t at_us = now_us < held->call_deadline_us ? held->call_deadline_us
                                                        : held->deadline_us;

        if (!held->is_draining || held->has_let_go)
            continue;
        held->has_let_go = has_used_up_its_time(manager, held, now_us);
        if (!held->has_let_go && at_us < next_us)
            next_us = at_us;
    }
    return next_us;
}

/* What of the held ones has let go, and whether anything else is left. */
static size_t
collect_drained(struct leat_lease_manager *manager, struct leat_lease_key *keys,
                bool *ret_has_others)
{
    struct leat_map_entry *entry;
    size_t position = 0, count = 0;

    *ret_has_others = false;
    while ((entry = leat_map_next(&manager->held, &position)) != NULL) {
        const struct leat_held_lease *held = entry->value;

        if (held->has_let_go)
            keys[count++] = key_of(held);
        else
            *ret_has_others = true;
    }
    return count;
}

int
leat_manager_release_drained(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_lease_key *keys = LEAT_NEW_ARRAY(struct leat_lease_key, manager->held.count);
    bool has_others;
    size_t count = collect_drained(manager, keys, &has_others);
    bool *is_busy;
    int status = 0;

    /* Leaving, all go in one update with the worker itself; but those that are done do not wait for a call that hangs. */
    if (count == 0 || (manager->is_leaving && (!has_others || leat_clock_monotonic_us() <
                                                                  manager->leave_alone_until_us))) {
        free(keys);
        return 0;
    }
    LEAT_POINT("lease.release.before");
    is_busy = LEAT_NEW_ARRAY(bool, count);
    status = leat_rows_let_go(manager->connection, &manager->rows,
                              &(struct leat_letting_go){.keys = keys,
                                                        .count = count,
                                                        .incarnation = manager->incarnation},
                              is_busy, err);
    /* Each key is its held lease's own text, and goes with it. Rows that somebody holds are asked for in the next round. */
    for (size_t i = 0; status == 0 && i < count; i++) {
        if (!is_busy[i])
            leat_manager_lose(manager, keys[i], LEAT_LOSS_FENCED);
    }
    free(is_busy);
    free(keys);
    return status;
}

/* ---- SIGTERM ----------------------------------------------------------------------------------- */

static bool
is_leaving_asked(struct leat_lease_manager *manager, int64_t *ret_deadline_us)
{
    bool is_draining;

    leat_mutex_lock(&manager->lock);
    is_draining = manager->is_draining;
    *ret_deadline_us = manager->drain_deadline_us;
    leat_mutex_unlock(&manager->lock);
    return is_draining;
}

/* Others stop handing us leases, and plan without us. The drains have begun by then: it may be slow. */
int
leat_manager_say_leaving(struct leat_lease_manager *manager, struct leat_error *err)
{
    int64_t deadline_us;
    int status;

    if (manager->has_said_leaving || !is_leaving_asked(manager, &deadline_us))
        return 0;
    status = leat_rows_set_leaving(manager->connection, &manager->rows, manager->incarnation, err);
    manager->has_said_leaving = status == 0;
    return status;
}

void
leat_manager_leave(struct leat_lease_manager *manager)
{
    int64_t deadline_us;
    struct leat_map_entry *entry;
    size_t position = 0;
    bool is_drained = true;

    if (!is_leaving_asked(manager, &deadline_us))
        return;
    if (manager->leave_alone_until_us == 0)
        manager->leave_alone_until_us = leat_clock_monotonic_us() + manager->options.drain_us;
    while ((entry = leat_map_next(&manager->held, &position)) != NULL) {
        struct leat_held_lease *held = entry->value;

        if (!held->is_draining)
            leat_manager_begin_drain(manager, held, deadline_us);
        else if (held->deadline_us > deadline_us)
            held->deadline_us = deadline_us; /* one that was to finish without haste */
        is_drained = is_drained && held->has_let_go;
    }
    if (!is_drained)
        return;
    leat_mutex_lock(&manager->lock);
    manager->is_drained = true;
    leat_condition_broadcast(&manager->drained);
    leat_mutex_unlock(&manager->lock);
}
