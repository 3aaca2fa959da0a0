/*
 * Busy time, from the pipeline into this worker's row: the manager thread measures, the heartbeat carries what is news with its
 * next renewal, at most every ten seconds. An idle worker's renewals say nothing more than that it lives.
 *
 * Stories. (1) A renewal fails: nobody knows whether it came in, so the same array goes with the next one. (2) A process of the
 * same worker id was here before: its array is the best that is known of these shards until the first round of the new one,
 * which is published whatever it says.
 */
#include "base/clock.h"
#include "lease/inside.h"

#define MEASURE_US (5 * LEAT_SECOND_US)
#define PUBLISH_US (10 * LEAT_SECOND_US)

void
leat_manager_measure(struct leat_lease_manager *manager, int64_t now_us)
{
    const struct leat_lease_events *events = &manager->options.events;
    struct leat_map_entry *entry;
    size_t position = 0;

    if (events->busy_us == NULL || now_us < manager->measure.at_us + MEASURE_US)
        return;
    while ((entry = leat_map_next(&manager->held, &position)) != NULL) {
        const struct leat_held_lease *held = entry->value;
        struct leat_lease_key key = {leat_slice_from(held->stream_id),
                                     leat_slice_from(held->shard)};

        leat_measure_shard(&manager->measure, key, events->busy_us(events->context, key), now_us);
    }
    if (!leat_measure_end(&manager->measure, now_us))
        return;
    leat_mutex_lock(&manager->lock);
    leat_buf_clear(&manager->loads);
    leat_buf_add_slice(&manager->loads, leat_buf_slice(&manager->measure.loads));
    manager->loads_number++;
    leat_mutex_unlock(&manager->lock);
}

bool
leat_manager_has_loads(struct leat_lease_manager *manager, struct leat_publishing *publishing,
                       int64_t now_us, struct leat_buf *out)
{
    bool is_news;

    if (publishing->number != 0 && now_us < publishing->at_us + PUBLISH_US)
        return false;
    leat_mutex_lock(&manager->lock);
    is_news = publishing->number != manager->loads_number;
    publishing->sending = manager->loads_number;
    if (is_news)
        leat_buf_add_slice(out, leat_buf_slice(&manager->loads));
    leat_mutex_unlock(&manager->lock);
    leat_buf_text(out); /* there, though it may be empty */
    return is_news;
}

void
leat_manager_loads_told(struct leat_publishing *publishing, int64_t now_us)
{
    publishing->number = publishing->sending;
    publishing->at_us = now_us;
}
