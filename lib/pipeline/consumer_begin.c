/*
 * What comes between a take and the first call of the processor: the take is counted in the progress row, by the committer, and
 * shard_begin or shard_reset tell the processor its saved state. Both wait until there is something to call for, so that a shard
 * which is only moved costs nothing, is not counted, and cannot crash anybody.
 *
 *   taken ──something to do──▶ counting ──counted──▶ begun ──▶ process, tick, shard_end
 *     ▲                           │ fenced: a rewind, as behind a commit
 *     └────────── rewind ─────────┘ (the same lease: counted already)
 *
 * A record that ends the process is met by one worker after the other. Each finds the count of those before it, and says so from the
 * third on, before the call: it is there to read when the process is not.
 *
 * Stories. (1) The lease goes, or the processor is paused, while its take waits to be counted: it is taken out of the queue again.
 * (2) The lease goes while the statement is under way: this take is counted though no call follows, until the next commit. (3) A rewind
 * comes meanwhile: the answer is of an older generation, and the same number is written once more. (4) Ticks of a silent shard emit
 * nothing: behind the first of them an empty commit says that its take went well; else moves of such shards would add up.
 */
#include "base/clock.h"
#include "base/log_writer.h"
#include "pipeline/runtime.h"

#define TAKES_TOLD 3
/* For that line to be written before the call, which may be the process's last. */
#define LOG_PATIENCE_US (100 * LEAT_MS_US)

static bool
is_counted(const struct leat_consumer *consumer)
{
    return (consumer->counted_owner == consumer->incarnation &&
            consumer->counted_counter == consumer->lease_counter) ||
           !leat_committer_counts(consumer->committer);
}

void
leat_consumer_on_counted(struct leat_consumer *consumer, const struct leat_message *message)
{
    struct leat_error why;

    consumer->is_counting = false;
    if (consumer->is_draining || consumer->is_paused)
        return;
    consumer->counted_counter = message->lease_counter;
    consumer->counted_owner = message->incarnation;
    consumer->settled_owner = 0; /* what was committed before it counts for nothing */
    if (consumer->peek == 0)
        leat_consumer_target_is_well(consumer);
    if (message->takes < TAKES_TOLD)
        return;
    leat_error_set(&why, LEAT_E_INTERNAL,
                   "with this one %lld takes in a row were followed by a call of the processor and "
                   "by no commit: maybe a record behind the checkpoint ends the worker; the last "
                   "lines of the log of whoever had it say what",
                   (long long)message->takes);
    leat_pipeline_notice(consumer, LEAT_LOG_WARNING,
                         "a shard is taken again and again without a commit", &why);
    leat_log_writer_drain(LOG_PATIENCE_US);
}

void
leat_consumer_count_nothing(struct leat_consumer *consumer)
{
    if (consumer->is_counting)
        leat_committer_count_not(consumer->committer, consumer);
    consumer->is_counting = false;
}

/* The plugin's state begins, or begins again, with what the progress row says. */
static int
begin_state(struct leat_consumer *consumer, struct leat_error *err)
{
    const struct leat_processor *plugin = consumer->runtime->config.plugin;
    struct leat_slice saved_state = leat_buf_slice(&consumer->saved_state);
    int status = 0;

    if (consumer->is_begun && plugin->shard_reset != NULL) {
        leat_consumer_call_begin(consumer, "shard_reset");
        status = plugin->shard_reset(consumer->plugin_state, saved_state, err);
        leat_consumer_call_end(consumer);
        return status;
    }
    if (consumer->is_begun)
        leat_consumer_end_state(consumer, LEAT_LEASE_LOST);
    consumer->plugin_state = consumer->runtime->instance;
    if (plugin->shard_begin != NULL) {
        leat_consumer_call_begin(consumer, "shard_begin");
        status = plugin->shard_begin(consumer->runtime->instance, &consumer->shard, saved_state,
                                     &consumer->plugin_state, err);
        leat_consumer_call_end(consumer);
    }
    consumer->is_begun = status == 0;
    return status;
}

bool
leat_consumer_may_call(struct leat_consumer *consumer)
{
    struct leat_error err = {0};

    if (!is_counted(consumer)) {
        if (!consumer->is_counting)
            leat_committer_count(consumer->committer, consumer);
        consumer->is_counting = true;
        return false;
    }
    if (!consumer->needs_begin)
        return true;
    if (begin_state(consumer, &err) != 0) {
        leat_consumer_block(consumer, &err);
        return false;
    }
    consumer->needs_begin = false;
    return !consumer->is_let_go;
}

bool
leat_consumer_is_unsettled(struct leat_consumer *consumer)
{
    return leat_committer_counts(consumer->committer) && consumer->epoch_count == 0 &&
           (consumer->settled_owner != consumer->incarnation ||
            consumer->settled_counter != consumer->lease_counter) &&
           leat_consumer_is_flushed(consumer);
}

void
leat_consumer_settle(struct leat_consumer *consumer)
{
    consumer->settled_counter = consumer->lease_counter;
    consumer->settled_owner = consumer->incarnation;
}
