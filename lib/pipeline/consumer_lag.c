/*
 * How far a shard is behind: counted from what is *committed*, not from what was read. A target or an archive that is away stops
 * commits while reads go on until their memory is used up, and then says "at the tip" for ever.
 *
 * An answer is "as of" a time: when it came, less how far it was behind. All records that were put before that time are in it or
 * before it. The shard is as far as the last answer of which everything is committed; where nothing is open, as the last answer.
 *
 * Threads: the worker thread that runs the consumer, but for leat_consumer_lag_ms, which any thread may ask.
 */
#include "base/clock.h"
#include "pipeline/runtime.h"

/* Longer than between two answers of a shard that is read. */
#define SILENT_US (3 * LEAT_SECOND_US)

/* 0: the source does not say. */
static int64_t
as_of_us(const struct leat_chunk *chunk)
{
    int64_t arrived_us = chunk->arrived_at_us > 0 ? chunk->arrived_at_us
                                                  : leat_clock_monotonic_us();

    if (chunk->behind_ms < 0 || chunk->behind_ms > INT64_MAX / 4000)
        return 0;
    return arrived_us - chunk->behind_ms * 1000;
}

/* Nothing is committed yet: as far as the first record that is not. */
static int64_t
before_first_us(const struct leat_chunk *chunk)
{
    int64_t first_us = chunk->count > 0 ? chunk->records[0].arrival_us : 0;
    int64_t age_us = leat_clock_wall_us() - first_us;
    int64_t at_us = as_of_us(chunk);

    if (first_us <= 0 || age_us < 0 || at_us == 0)
        return at_us;
    return leat_clock_monotonic_us() - age_us < at_us ? leat_clock_monotonic_us() - age_us : at_us;
}

void
leat_consumer_lag_answered(struct leat_consumer *consumer, const struct leat_chunk *chunk)
{
    consumer->read_as_of_us = as_of_us(chunk);
    if (consumer->committed_as_of_us == 0)
        consumer->committed_as_of_us = before_first_us(chunk);
}

void
leat_consumer_lag_processed(struct leat_consumer *consumer, const struct leat_chunk *chunk)
{
    consumer->processed_as_of_us = as_of_us(chunk);
}

void
leat_consumer_lag_committed(struct leat_consumer *consumer, int64_t at_us)
{
    if (at_us > consumer->committed_as_of_us)
        consumer->committed_as_of_us = at_us;
}

void
leat_consumer_lag_forget(struct leat_consumer *consumer)
{
    consumer->is_idle = false;
    consumer->read_as_of_us = consumer->processed_as_of_us = 0;
}

void
leat_consumer_lag_rest(struct leat_consumer *consumer, bool is_clear)
{
    bool is_idle = is_clear && consumer->read_as_of_us != 0 &&
                   consumer->state == LEAT_CONSUMER_RUNNING;

    if (is_idle)
        consumer->committed_as_of_us = (int64_t)consumer->read_as_of_us;
    consumer->is_idle = is_idle;
}

int64_t
leat_consumer_lag_ms(const struct leat_consumer *consumer, int64_t now_us)
{
    int64_t at_us = consumer->committed_as_of_us;
    int64_t behind_ms = consumer->behind_ms;

    /* Between two answers nothing is known to have come. */
    if (consumer->is_idle && behind_ms >= 0 && now_us - consumer->answered_us < SILENT_US)
        return behind_ms;
    if (at_us == 0)
        return -1;
    return now_us > at_us ? (now_us - at_us) / 1000 : 0;
}
