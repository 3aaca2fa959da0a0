/*
 * A shard whose stream is not there (any more). What the reader was told is only a doubt: the lease manager looks the stream up,
 * for all of them at once, while what is in memory is processed as ever.
 *
 * Either the stream is the one that it was: then this shard alone is gone (consumer_lost.c), or its position is wrong, and it blocks visibly. Or the
 * stream is gone: what is in memory is the last copy, so it is processed and flushed, without a deadline, before the lease goes.
 * A rewind in that time finds nothing to read again: what the target refuses then is in the log, not in the archive.
 */
#include "pipeline/runtime.h"

static void
stream_is_there(void *context, struct leat_lease_key key)
{
    leat_pipeline_stream_is_there(context, key);
}

void
leat_consumer_doubt(struct leat_consumer *consumer, const struct leat_read_result *result)
{
    struct leat_pipeline *pipeline = consumer->runtime->pipeline;

    if (consumer->is_doubting)
        return;
    consumer->is_doubting = true;
    consumer->doubt = result->err;
    consumer->is_shard_doubted = result->outcome == LEAT_READ_GONE &&
                                 consumer->source->ops->has_limits;
    leat_lease_doubt(leat_pipeline_leases(pipeline), leat_consumer_key(consumer), stream_is_there,
                     pipeline);
}

void
leat_consumer_doubt_was_wrong(struct leat_consumer *consumer)
{
    if (!consumer->is_doubting || consumer->is_finishing)
        return;
    consumer->is_doubting = false;
    if (consumer->is_draining || consumer->state == LEAT_CONSUMER_BLOCKED ||
        consumer->state == LEAT_CONSUMER_ENDED || consumer->state == LEAT_CONSUMER_TAKING)
        return;
    if (consumer->is_shard_doubted) {
        leat_consumer_ask_gone(consumer, &consumer->doubt);
        return;
    }
    consumer->is_stream_lost = true;
    leat_consumer_block(consumer, &consumer->doubt);
}

void
leat_consumer_begin_finish(struct leat_consumer *consumer)
{
    if (consumer->is_draining || consumer->state == LEAT_CONSUMER_LOST)
        return;
    consumer->is_finishing = true;
    if (consumer->feed != NULL)
        leat_feed_pause(consumer->feed, true);
    /* Blocked or waiting because of the stream alone: there is nothing more to wait for. */
    if ((consumer->state == LEAT_CONSUMER_BLOCKED && consumer->is_stream_lost) ||
        consumer->is_stream_away)
        leat_consumer_go_on(consumer);
}

bool
leat_consumer_has_finished(const struct leat_consumer *consumer)
{
    return consumer->is_finishing && !consumer->is_draining && consumer->chunk_count == 0;
}
