/*
 * Leases of streams that are gone. What was read of such a stream is the last copy there is, so nothing is thrown away: the
 * consumers process and flush what they have, without a deadline, then the lease ends; its progress stays as it is.
 *
 * Stories. (1) The owner dies meanwhile: the lease has no living owner, and whoever looks streams up ends it. (2) It is handed to
 * somebody who never read the stream: he ends it as soon as he sees it. (3) The stream was not gone after all (an answer that
 * was wrong): the UPDATE asks the stream's row, changes nothing, and the lease is let go of for anybody to take.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/inside.h"

static struct leat_lease_key
key_of(const struct leat_held_lease *held)
{
    return (struct leat_lease_key){leat_slice_from(held->stream_id), leat_slice_from(held->shard)};
}

bool
leat_manager_finish_if_gone(struct leat_lease_manager *manager, struct leat_held_lease *held)
{
    if (held->is_finishing)
        return true;
    /* One that drains already lets go by itself. */
    if (held->is_draining ||
        !leat_streams_is_gone(manager->options.streams, leat_slice_from(held->stream_id)))
        return false;
    held->is_finishing = held->is_draining = true;
    held->deadline_us = held->call_deadline_us = INT64_MAX;
    manager->options.events.finish(manager->options.events.context, key_of(held));
    return true;
}

/* NULL: none. Losing changes the map: so one at a time. */
static struct leat_held_lease *
next_finished(struct leat_lease_manager *manager, size_t *position)
{
    struct leat_map_entry *entry;

    while ((entry = leat_map_next(&manager->held, position)) != NULL) {
        struct leat_held_lease *held = entry->value;

        if (held->is_finishing && held->has_let_go)
            return held;
    }
    return NULL;
}

int
leat_manager_end_finished(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_held_lease *held;
    size_t position = 0;

    while ((held = next_finished(manager, &position)) != NULL) {
        struct leat_lease_key key = key_of(held);
        size_t ended = 0;
        int status = leat_rows_end_gone_lease(manager->connection, &manager->rows, key,
                                              manager->incarnation, &ended, err);

        if (status != 0)
            return status;
        if (ended > 0) {
            leat_manager_lose(manager, key, LEAT_LOSS_GONE);
            manager->counted_at_us = 0;
        }
    }
    return 0;
}

int
leat_manager_end_strays(struct leat_lease_manager *manager, struct leat_error *err)
{
    int status = 0;

    for (size_t i = 0; i < manager->leases.count && status == 0; i++) {
        struct leat_lease_key key = manager->leases.leases[i].key;
        size_t ended = 0;

        if (leat_manager_find(manager, key) == NULL &&
            leat_streams_is_gone(manager->options.streams, key.stream_id))
            status = leat_rows_end_gone_lease(manager->connection, &manager->rows, key,
                                              manager->incarnation, &ended, err);
    }
    return status;
}
