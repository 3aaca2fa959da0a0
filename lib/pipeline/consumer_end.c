/*
 * Ends of shards that are told badly. A real one comes without a next iterator and with the children. Two others are asked about: the
 * list of the stream says whether a shard is closed, and a closed one never opens again.
 *
 * (1) Neither iterator nor children: the end of a closed shard at servers that tell no children, or one bad answer. It counts when the
 * list says that the shard is closed; else it is said, and reading goes on behind the last record, as the reader does meanwhile anyway.
 * (2) A closed shard that is read on and on (its children wait): over when what was read has reached its ending sequence number;
 * or, where no record stands at it, when for a while all answers that were asked for since it was known to be closed were empty and
 * nothing was behind them. Nothing is written to a closed shard, so what is not there then does not come. Until then it is said.
 */
#include <string.h>

#include "base/clock.h"
#include "pipeline/runtime.h"

#define ASK_AGAIN_US (10 * LEAT_SECOND_US)
#define SAY_US (2 * LEAT_SECOND_US)
#define ENDLESS_US (15 * LEAT_SECOND_US)
#define ENDLESS_ANSWERS 5

static void
answer(void *context, struct leat_lease_key key, enum leat_shard_fate fate,
       struct leat_slice ending)
{
    leat_pipeline_shard_fate(context, key, fate, ending);
}

static void
ask(struct leat_consumer *consumer)
{
    int64_t now_us = leat_clock_monotonic_us();

    if (consumer->is_end_asked && now_us < consumer->fate_asked_us + ASK_AGAIN_US)
        return;
    consumer->is_end_asked = true;
    consumer->fate_asked_us = now_us;
    leat_lease_gone(leat_pipeline_leases(consumer->runtime->pipeline), leat_consumer_key(consumer),
                    answer, consumer->runtime->pipeline);
}

/* What was read of it is processed first. */
static void
end(struct leat_consumer *consumer)
{
    consumer->is_at_end = true;
    if (consumer->feed != NULL)
        leat_feed_pause(consumer->feed, true);
}

/* ---- a shard without an end ----------------------------------------------------------------------- */

static bool
has_reached_ending(const struct leat_consumer *consumer)
{
    return consumer->ending[0] != '\0' && consumer->chunk_count == 0 &&
           consumer->position.kind == LEAT_POSITION_SEQUENCE &&
           leat_sequence_order(leat_slice_from(consumer->position.sequence),
                               leat_slice_from(consumer->ending)) >= 0;
}

static void
say_endless(struct leat_consumer *consumer)
{
    struct leat_error why;

    if (consumer->is_endless_told)
        return;
    consumer->is_endless_told = true;
    leat_error_set(&why, LEAT_E_CONFLICT,
                   "it is closed%s%s, and answers go on without an end: its children wait until "
                   "nothing can be left in it",
                   consumer->ending[0] != '\0' ? " at " : "", consumer->ending);
    leat_pipeline_notice(consumer, LEAT_LOG_WARNING, "a closed shard is not ended by its stream",
                         &why);
}

/* An empty answer with nothing behind it, of a shard that was known to be closed when it was asked for. */
static void
see_endless(struct leat_consumer *consumer, const struct leat_chunk *chunk)
{
    int64_t now_us = leat_clock_monotonic_us();

    if (consumer->endless_answers++ == 0)
        consumer->endless_since_us = now_us;
    if (!has_reached_ending(consumer)) {
        if (now_us - consumer->endless_since_us >= SAY_US)
            say_endless(consumer);
        if (now_us - consumer->endless_since_us < ENDLESS_US ||
            consumer->endless_answers < ENDLESS_ANSWERS || consumer->chunk_count > 0)
            return;
    }
    leat_pipeline_notice(consumer, LEAT_LOG_WARNING,
                         "a closed shard is read to its end, which its stream does not tell: it "
                         "ends, and its children begin",
                         NULL);
    end(consumer);
}

/* ---- both ------------------------------------------------------------------------------------------ */

void
leat_consumer_see_end(struct leat_consumer *consumer, const struct leat_chunk *chunk)
{
    bool is_empty_tip = chunk->count == 0 && chunk->behind_ms <= 0;

    if (chunk->is_shard_end || consumer->is_at_end || consumer->is_draining ||
        consumer->is_finishing || consumer->is_paused)
        return;
    consumer->is_end_doubted = chunk->is_end_doubted;
    if (!is_empty_tip)
        consumer->endless_answers = 0;
    if (consumer->is_closed) {
        if (chunk->is_end_doubted)
            end(consumer);
        else if (is_empty_tip && chunk->asked_at_us > consumer->closed_us)
            see_endless(consumer, chunk);
    } else if (chunk->is_end_doubted || (is_empty_tip && consumer->has_children)) {
        ask(consumer);
    }
}

void
leat_consumer_on_fate(struct leat_consumer *consumer, enum leat_shard_fate fate,
                      struct leat_slice ending)
{
    struct leat_error why;

    if (!consumer->is_end_asked || consumer->is_closed)
        return;
    consumer->is_end_asked = false;
    if (fate != LEAT_SHARD_IS_OPEN) {
        consumer->is_closed = true;
        consumer->closed_us = leat_clock_monotonic_us();
        if (ending.size < sizeof consumer->ending)
            memcpy(consumer->ending, ending.data, ending.size);
        /* Nothing came behind that answer, so it was the end. */
        if (consumer->is_end_doubted && !consumer->is_draining && !consumer->is_paused &&
            !consumer->is_finishing)
            end(consumer);
        return;
    }
    if (!consumer->is_end_doubted && consumer->has_children)
        return; /* the list of before was another one */
    leat_error_set(&why, LEAT_E_CONFLICT,
                   "an answer told no next iterator and no children, as at the end of a shard, and "
                   "the list of shards tells no ending sequence number: it is read on");
    leat_pipeline_notice(consumer, LEAT_LOG_WARNING, "an open shard was said to have ended", &why);
}
