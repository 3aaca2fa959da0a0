/* What others may see of the pipeline: consumers, processors, counts, and notices for the log. Any thread. */
#include "base/clock.h"
#include "base/labels.h"
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

/* Why it stands still, as far as the state does not say it. */
static const char *
reason_of(const struct leat_consumer *consumer, enum leat_consumer_state state,
          bool are_letters_blocked)
{
    if (state == LEAT_CONSUMER_BLOCKED)
        return consumer->target_trouble == LEAT_TARGET_REFUSES
                   ? "the target refuses it: see the log"
                   : "see the log";
    if (state == LEAT_CONSUMER_RETRYING)
        return "the processor wants it again: see the log";
    if (state != LEAT_CONSUMER_UNAVAILABLE)
        return "";
    if (consumer->target_trouble == LEAT_TARGET_AWAY)
        return "the target is away";
    if (waits_for_letters(consumer, are_letters_blocked))
        return "archive or dead-letter stream: see the log";
    return (consumer->marks & LEAT_MARK_STREAM_AWAY) != 0 ? "the stream cannot be read"
                                                          : "what the processor needs: see the log";
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
        .retention_ms = consumer->source->facts.retention_ms,
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
            .flushes = counters->flushes,
            .rows_written = counters->rows_written,
            .progress_removed = counters->progress_removed,
            .processing = &counters->processing,
            .committing = &counters->committing,
        };

        each(context, &view);
    }
}

static struct leat_stream_view
stream_view(const struct leat_runtime *runtime, size_t label, const struct leat_tally *tally)
{
    return (struct leat_stream_view){
        .processor = runtime->config.name,
        .stream = leat_labels_name(runtime->pipeline->options.stream_labels, label),
        .records = tally->records,
        .stream_records = tally->stream_records,
        .bytes = tally->bytes,
        .epochs = tally->epochs,
        .committed = tally->committed,
        .rows_emitted = tally->rows_emitted,
        .diverted = tally->diverted,
        .retries = tally->retries,
        .fenced = tally->fenced,
        .rewinds = tally->rewinds,
        .ticks = tally->ticks,
        .lost_shards = tally->lost_shards,
        .expired_checkpoints = tally->expired_checkpoints,
        .outside_hash_range = tally->outside_hash_range,
        .end_to_end = &tally->end_to_end,
    };
}

void
leat_pipeline_each_stream(struct leat_pipeline *pipeline,
                          void (*each)(void *context, const struct leat_stream_view *view),
                          void *context)
{
    for (size_t i = 0; i < pipeline->options.processor_count; i++) {
        const struct leat_runtime *runtime = &pipeline->runtimes[i];

        for (size_t label = 0; label < leat_labels_size(pipeline->options.stream_labels); label++) {
            const struct leat_tally *tally = runtime->tallies[label];
            struct leat_stream_view view;

            if (tally == NULL)
                continue;
            view = stream_view(runtime, label, tally);
            each(context, &view);
        }
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

static void
add_stream(void *context, const struct leat_stream_view *view)
{
    struct leat_pipeline_counts *sum = context;

    sum->records += view->records;
    sum->bytes += view->bytes;
    sum->epochs += view->epochs;
    sum->rows_emitted += view->rows_emitted;
    sum->fenced += view->fenced;
    sum->diverted += view->diverted;
    sum->retries += view->retries;
    sum->rewinds += view->rewinds;
    sum->ticks += view->ticks;
}

void
leat_pipeline_counts(struct leat_pipeline *pipeline, struct leat_pipeline_counts *ret_counts)
{
    struct leat_pipeline_counts sum = {0};

    for (size_t i = 0; i < pipeline->options.processor_count; i++) {
        sum.rows_written += pipeline->runtimes[i].counters.rows_written;
        sum.flushes += pipeline->runtimes[i].counters.flushes;
    }
    leat_pipeline_each_stream(pipeline, add_stream, &sum);
    sum.stuck = pipeline->stuck;
    sum.calls_overdue = pipeline->calls_overdue;
    sum.threads_added = pipeline->threads_added;
    sum.watchdog_rewinds = pipeline->watchdog_rewinds;
    sum.given_away = pipeline->given_away;
    leat_pipeline_each_consumer(pipeline, count_consumer, &sum);
    *ret_counts = sum;
}
