/*
 * Ticks: the processor's tick is called when its interval has passed, by the actor's own timer, as a call of its own between two
 * batches; what it emits is an epoch without records behind the last batch.
 *
 * Only a consumer that runs ticks: one that tries a batch again, looks for a refused row, drains or is blocked does not,
 * so that what is done again is done without it. A tick that must be committed by itself (consumer.c, on_refused) waits until
 * all before it is committed, and nothing is processed until it is known whether the target takes it.
 *
 * The watermark begins with the state: after a rewind the records are processed again, and so they raise it again.
 */
#include "base/clock.h"
#include "base/point.h"
#include "base/random.h"
#include "base/units.h"
#include "pipeline/runtime.h"
#include "pipeline/scratch.h"

#define LEAST_INTERVAL_US (10 * LEAT_MS_US)
#define UNAVAILABLE_BASE_US (100 * LEAT_MS_US)
#define UNAVAILABLE_CAP_US (10 * LEAT_SECOND_US)
/* How far clocks may differ, and how long a record takes until it can be read. */
#define WATERMARK_SLACK_US (2 * LEAT_SECOND_US)

static bool
has_ticks(const struct leat_consumer *consumer)
{
    const struct leat_processor *plugin = consumer->runtime->config.plugin;

    return plugin->tick != NULL && plugin->tick_interval_us > 0;
}

static int64_t
interval_us(const struct leat_consumer *consumer)
{
    int64_t interval_us = consumer->runtime->config.plugin->tick_interval_us;

    return interval_us > LEAST_INTERVAL_US ? interval_us : LEAST_INTERVAL_US;
}

void
leat_consumer_begin_ticks(struct leat_consumer *consumer)
{
    consumer->watermark_us = consumer->tip_us = LEAT_WATERMARK_NONE;
    consumer->tick_failures = 0;
    consumer->tick_at_us = has_ticks(consumer) ? leat_clock_monotonic_us() + interval_us(consumer)
                                               : INT64_MAX;
}

/* ---- the watermark --------------------------------------------------------------------------- */

/* All that had arrived before the answer was asked for is in this answer or in one before it. */
void
leat_consumer_see_answer(struct leat_consumer *consumer, const struct leat_chunk *chunk)
{
    int64_t ago_us = leat_clock_monotonic_us() - chunk->asked_at_us;

    if (has_ticks(consumer) && chunk->behind_ms == 0)
        consumer->tip_us = leat_clock_wall_us() - ago_us - WATERMARK_SLACK_US;
}

void
leat_consumer_see_records(struct leat_consumer *consumer, size_t count)
{
    if (!has_ticks(consumer))
        return;
    for (size_t i = 0; i < count; i++) {
        int64_t arrival_us = consumer->records[i].arrival_us;

        if (arrival_us > 0 && arrival_us > consumer->watermark_us)
            consumer->watermark_us = arrival_us;
    }
}

/* ---- the call -------------------------------------------------------------------------------- */

static enum leat_verdict
call(struct leat_consumer *consumer, struct leat_error *err)
{
    const struct leat_pipeline_processor *config = &consumer->runtime->config;
    enum leat_verdict verdict;

    leat_emission_begin(&consumer->emission, NULL, 0);
    leat_consumer_call_begin(consumer, "tick");
    LEAT_POINT("tick.before");
    verdict = config->plugin->tick(consumer->plugin_state, leat_clock_wall_us(),
                                   consumer->watermark_us, &consumer->emission.out, err);
    LEAT_POINT("tick.after");
    if (!leat_consumer_call_end(consumer))
        verdict = leat_consumer_call_late(consumer, verdict, err);
    leat_emission_end(&consumer->emission);
    consumer->tally->ticks++;
    return verdict;
}

static void
on_done(struct leat_consumer *consumer)
{
    const struct leat_emission *emission = &consumer->emission;

    consumer->tick_failures = 0;
    consumer->tick_at_us = leat_clock_monotonic_us() + interval_us(consumer);
    /* Nothing to commit: a silent shard costs no transaction, but for one behind its take, which is over then. */
    if (emission->row_count == 0 && !emission->has_state && !leat_consumer_is_unsettled(consumer))
        return;
    consumer->tally->epochs++;
    leat_consumer_close_epoch(consumer, &consumer->position, 0);
}

/* What it emitted is dropped; batches go on meanwhile. */
static void
on_later(struct leat_consumer *consumer, enum leat_verdict verdict, struct leat_error *err)
{
    const struct leat_failure_policy *policy = &consumer->runtime->config.failure;
    bool is_unavailable = verdict == LEAT_UNAVAILABLE;

    if (err->text[0] == '\0')
        leat_error_set(err, LEAT_E_UNAVAILABLE, "no reason given");
    if (consumer->tick_failures == 0)
        leat_pipeline_notice(consumer, LEAT_LOG_WARNING,
                             is_unavailable ? "what a tick needs is not available: waiting"
                                            : "a tick is tried again",
                             err);
    consumer->tick_at_us =
        leat_clock_monotonic_us() +
        leat_backoff_us(&consumer->random,
                        is_unavailable ? UNAVAILABLE_BASE_US : policy->backoff_base_us,
                        is_unavailable ? UNAVAILABLE_CAP_US : policy->backoff_cap_us,
                        consumer->tick_failures++);
    leat_consumer_reset_state(consumer);
}

static void
act_on(struct leat_consumer *consumer, enum leat_verdict verdict, struct leat_error *err)
{
    if (verdict == LEAT_RETRY || verdict == LEAT_UNAVAILABLE) {
        on_later(consumer, verdict, err);
    } else if (verdict != LEAT_DONE) {
        leat_consumer_stop(consumer, verdict, err);
    } else if (consumer->emission.is_refused || leat_emission_fault(&consumer->emission) != NULL) {
        const struct leat_error *fault = leat_emission_fault(&consumer->emission);

        /* No record to divert, and the same again would fail: somebody has to look. */
        *err = fault != NULL ? *fault : consumer->emission.refusal;
        leat_error_prefix(err, "tick");
        leat_consumer_block(consumer, err);
    } else {
        on_done(consumer);
    }
}

static bool
may_tick(const struct leat_consumer *consumer)
{
    return consumer->state == LEAT_CONSUMER_RUNNING &&
           consumer->target_trouble == LEAT_TARGET_WELL && consumer->attempts == 0 &&
           consumer->outages == 0 && consumer->isolation == 0 && consumer->peek == 0 &&
           !(consumer->is_at_end && consumer->chunk_count == 0);
}

/* Is all before it committed, where it has to be? */
static bool
is_its_turn(struct leat_consumer *consumer)
{
    if (!leat_consumer_has_room(consumer))
        return false;
    if (!consumer->is_loose_alone ||
        (consumer->epoch_count == 0 && leat_consumer_is_flushed(consumer)))
        return true;
    leat_consumer_hurry(consumer);
    return false;
}

bool
leat_consumer_tick(struct leat_consumer *consumer, int64_t *ret_next_us)
{
    struct leat_scratch_pool *scratch = leat_pipeline_scratch(consumer->runtime->pipeline);
    struct leat_error err = {0};
    enum leat_verdict verdict;

    *ret_next_us = INT64_MAX;
    if (consumer->tick_at_us == INT64_MAX || !may_tick(consumer))
        return false;
    if (consumer->tick_at_us > leat_clock_monotonic_us()) {
        *ret_next_us = consumer->tick_at_us;
        return false;
    }
    if (!is_its_turn(consumer)) /* a commit or a letter wakes us */
        return true;
    if (!leat_consumer_may_call(consumer))
        return true;
    if (consumer->chunk_count == 0 && consumer->tip_us > consumer->watermark_us)
        consumer->watermark_us = consumer->tip_us;
    leat_scratch_lend(scratch, consumer);
    verdict = call(consumer, &err);
    if (!consumer->is_let_go)
        act_on(consumer, verdict, &err);
    leat_scratch_take_back(scratch, consumer);
    *ret_next_us = 0;
    return true;
}
