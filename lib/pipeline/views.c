/* What others may see of the pipeline: consumers, processors, counts, and notices for the log. Any thread. */
#include "base/clock.h"
#include "pipeline/registry.h"

static bool
waits_for_letters(const struct leat_consumer *consumer, bool are_letters_blocked)
{
    return are_letters_blocked && (consumer->marks & LEAT_MARK_LETTERS) != 0;
}

static bool
are_letters_blocked(const struct leat_pipeline *pipeline)
{
    struct leat_letters_counts letters = {0};

    if (pipeline->options.letters != NULL)
        leat_letters_counts(pipeline->options.letters, &letters);
    return letters.is_blocked;
}

/* Its own, but for what the processor as a whole, its target or the archive keep it from. */
static enum leat_consumer_state
state_of(const struct leat_consumer *consumer, bool are_letters_blocked)
{
    enum leat_consumer_state state = (enum leat_consumer_state)consumer->state;

    if (state == LEAT_CONSUMER_ENDED || state == LEAT_CONSUMER_LOST ||
        state == LEAT_CONSUMER_DRAINING)
        return state;
    if (consumer->is_paused && state != LEAT_CONSUMER_ENDING)
        return consumer->runtime->state == LEAT_PROCESSOR_RETIRED ? LEAT_CONSUMER_RETIRED
                                                                  : LEAT_CONSUMER_PAUSED;
    if (consumer->runtime->is_stopped || consumer->target_trouble == LEAT_TARGET_REFUSES)
        return LEAT_CONSUMER_BLOCKED;
    if (consumer->target_trouble == LEAT_TARGET_AWAY ||
        waits_for_letters(consumer, are_letters_blocked))
        return LEAT_CONSUMER_UNAVAILABLE;
    return state;
}

/* Why it stands still, as far as that is no matter of this shard alone. */
static const char *
reason_of(const struct leat_consumer *consumer, enum leat_consumer_state state,
          bool are_letters_blocked)
{
    if (state == LEAT_CONSUMER_BLOCKED)
        return consumer->target_trouble == LEAT_TARGET_REFUSES
                   ? "the target refuses it: see the log"
                   : "see the log";
    if (state != LEAT_CONSUMER_UNAVAILABLE)
        return "";
    if (consumer->target_trouble == LEAT_TARGET_AWAY)
        return "the target is away";
    if (waits_for_letters(consumer, are_letters_blocked))
        return "archive or dead-letter stream: see the log";
    return (consumer->marks & LEAT_MARK_STREAM_AWAY) != 0 ? "the stream cannot be read" : "";
}

static struct leat_consumer_view
view_of(struct leat_consumer *consumer, bool are_letters_blocked)
{
    enum leat_consumer_state state = state_of(consumer, are_letters_blocked);
    int64_t now_us = leat_clock_monotonic_us();
    int64_t since_us = consumer->standing_since_us;
    /* Not as a subscript: gcc 12 reads an _Atomic one by a plain load. */
    int stuck_for = consumer->stuck_for;

    return (struct leat_consumer_view){
        .processor = consumer->runtime->config.name,
        .stream = consumer->shard.stream,
        .stream_id = consumer->shard.stream_id,
        .shard = consumer->shard.shard,
        .state = leat_consumer_state_names[state],
        .reason = reason_of(consumer, state, are_letters_blocked),
        .behind_ms = state == LEAT_CONSUMER_ENDED ? 0 : leat_consumer_lag_ms(consumer, now_us),
        .records = consumer->record_count,
        .bytes = consumer->byte_count,
        .commits = consumer->commit_count,
        .stuck = leat_waits_for_text[stuck_for],
        .standing_us = since_us > 0 ? now_us - since_us : 0,
    };
}

void
leat_pipeline_notice(struct leat_consumer *consumer, enum leat_log_level level, const char *what,
                     const struct leat_error *err)
{
    const struct leat_pipeline_options *options = &consumer->runtime->pipeline->options;
    struct leat_consumer_view view = view_of(consumer, false);

    if (options->notice != NULL)
        options->notice(options->notice_context, level, what, &view, err);
}

/* Of the processor, not of a shard of it. */
void
leat_pipeline_say_state(const struct leat_runtime *runtime)
{
    static const char *const what[] = {
        [LEAT_PROCESSOR_ACTIVE] = "the processor is active again",
        [LEAT_PROCESSOR_PAUSED] = "the processor is paused: it reads nothing and keeps its place, "
                                  "until `leat processors resume`",
        [LEAT_PROCESSOR_RETIRED] = "the processor is retired: nobody waits for it any more; take "
                                   "it out of the configuration",
    };
    int state = runtime->state; /* see view_of */

    leat_pipeline_say(runtime, LEAT_LOG_INFO, what[state], NULL);
}

void
leat_pipeline_say(const struct leat_runtime *runtime, enum leat_log_level level, const char *what,
                  const struct leat_error *err)
{
    const struct leat_pipeline_options *options = &runtime->pipeline->options;
    struct leat_slice none = leat_slice_from("");
    struct leat_consumer_view view = {.processor = runtime->config.name,
                                      .stream = none,
                                      .stream_id = none,
                                      .shard = none,
                                      .state = "",
                                      .reason = "",
                                      .stuck = ""};

    if (options->notice != NULL)
        options->notice(options->notice_context, level, what, &view, err);
}

void
leat_pipeline_each_processor(struct leat_pipeline *pipeline,
                             void (*each)(void *context, const struct leat_processor_view *view),
                             void *context)
{
    for (size_t i = 0; i < pipeline->options.processor_count; i++) {
        const struct leat_counters *counters = &pipeline->runtimes[i].counters;
        struct leat_processor_view view = {
            .processor = pipeline->runtimes[i].config.name,
            .state = (enum leat_processor_state)pipeline->runtimes[i].state,
            .records = counters->records,
            .bytes = counters->bytes,
            .rows_emitted = counters->rows_emitted,
            .rows_written = counters->rows_written,
            .diverted = counters->diverted,
            .retries = counters->retries,
            .flushes = counters->flushes,
            .processing = &counters->processing,
            .committing = &counters->committing,
            .end_to_end = &counters->end_to_end,
        };

        each(context, &view);
    }
}

void
leat_pipeline_each_consumer(struct leat_pipeline *pipeline,
                            void (*each)(void *context, const struct leat_consumer_view *view),
                            void *context)
{
    bool is_blocked = are_letters_blocked(pipeline);

    leat_mutex_lock(&pipeline->lock);
    for (size_t i = 0; i < pipeline->consumer_count; i++) {
        struct leat_consumer_view view = view_of(pipeline->consumers[i], is_blocked);

        each(context, &view);
    }
    leat_mutex_unlock(&pipeline->lock);
}

static void
count_consumer(void *context, const struct leat_consumer_view *view)
{
    struct leat_pipeline_counts *counts = context;

    counts->consumers++;
    counts->blocked += strcmp(view->state, "blocked") == 0;
    counts->unavailable += strcmp(view->state, "unavailable") == 0;
    counts->settled += strcmp(view->state, "ended") == 0 || strcmp(view->state, "paused") == 0 ||
                       strcmp(view->state, "retired") == 0 ||
                       strcmp(view->state, "waiting_parents") == 0 ||
                       strcmp(view->state, "lost") == 0;
}

void
leat_pipeline_counts(struct leat_pipeline *pipeline, struct leat_pipeline_counts *ret_counts)
{
    struct leat_pipeline_counts sum = {0};

    for (size_t i = 0; i < pipeline->options.processor_count; i++) {
        const struct leat_counters *counters = &pipeline->runtimes[i].counters;

        sum.records += counters->records;
        sum.bytes += counters->bytes;
        sum.epochs += counters->epochs;
        sum.flushes += counters->flushes;
        sum.rows_emitted += counters->rows_emitted;
        sum.rows_written += counters->rows_written;
        sum.diverted += counters->diverted;
        sum.retries += counters->retries;
        sum.fenced += counters->fenced;
        sum.rewinds += counters->rewinds;
        sum.ticks += counters->ticks;
        sum.lost_shards += counters->lost_shards;
        sum.progress_removed += counters->progress_removed;
        sum.expired_checkpoints += counters->expired_checkpoints;
        sum.outside_hash_range += counters->outside_hash_range;
        sum.commit_us += counters->commit_us;
        sum.process_us += counters->process_us;
    }
    sum.stuck = pipeline->stuck;
    sum.calls_overdue = pipeline->calls_overdue;
    sum.threads_added = pipeline->threads_added;
    sum.watchdog_rewinds = pipeline->watchdog_rewinds;
    sum.given_away = pipeline->given_away;
    leat_pipeline_each_consumer(pipeline, count_consumer, &sum);
    *ret_counts = sum;
}
