/*
 * An operator's word on a processor, as its consumers follow it: paused or retired, they flush what is complete, then hold nothing
 * and read nothing; active again, they take their shards and begin where progress says.
 *
 *   running … ──pause──▶ flushing ──all flushed, or its time is up──▶ resting ──active──▶ taking
 *
 * A shard whose end is under way (ending) goes on to it: nothing is read or processed for that. What is not flushed in time is
 * thrown away, as by a rewind, and done again later: so "paused" holds also while the target is down.
 *
 * Stories. (1) A take is under way, or the shard waits for its parents: the committer leaves out who is paused, and an answer that
 * comes all the same is not listened to. (2) A handoff comes while it rests: it has nothing to flush, and lets go. (3) The lease
 * comes back, or its counter is raised, while it rests: whatever would take the shard is a rewind, and that rests again.
 */
#include "base/clock.h"
#include "pipeline/runtime.h"

#define FLUSH_US (10 * LEAT_SECOND_US)

bool
leat_consumer_is_resting(const struct leat_consumer *consumer)
{
    return consumer->is_paused && consumer->state != LEAT_CONSUMER_ENDING &&
           consumer->state != LEAT_CONSUMER_ENDED && consumer->state != LEAT_CONSUMER_LOST;
}

static void
pause(struct leat_consumer *consumer)
{
    if (!leat_consumer_is_resting(consumer) || consumer->is_draining)
        return;
    consumer->rest_at_us = leat_clock_monotonic_us() + FLUSH_US;
    leat_consumer_stop_reading(consumer);
    leat_consumer_hurry(consumer);
}

void
leat_consumer_follow(struct leat_consumer *consumer, bool is_waiting)
{
    bool is_paused = consumer->runtime->state != LEAT_PROCESSOR_ACTIVE;

    if (consumer->is_paused == is_paused || consumer->state == LEAT_CONSUMER_LOST)
        return;
    if (!is_paused && leat_consumer_is_resting(consumer)) {
        consumer->is_paused = false;
        if (consumer->is_draining)
            return;
        if (is_waiting)
            leat_consumer_set_state(consumer, LEAT_CONSUMER_TAKING);
        else
            leat_consumer_rewind(consumer);
        return;
    }
    consumer->is_paused = is_paused;
    if (is_paused)
        pause(consumer);
}

int64_t
leat_consumer_rest(struct leat_consumer *consumer)
{
    bool is_late = leat_clock_monotonic_us() >= consumer->rest_at_us;

    if (consumer->rest_at_us == 0)
        return INT64_MAX;
    if (!is_late && (consumer->epoch_count > 0 || !leat_consumer_is_flushed(consumer))) {
        leat_consumer_hurry(consumer);
        return consumer->rest_at_us;
    }
    leat_consumer_rewind(consumer);
    return INT64_MAX;
}
