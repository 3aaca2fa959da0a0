/*
 * The watchdog: looks at every consumer a few times in watchdog.stuck_after, names what stands still (log, metrics, this worker's
 * row in the lease database), and does what stuck.h says: rewinds it, gives its lease away. And it sees to it that a plugin that
 * does not come back from a call costs its shard alone: another worker thread takes the place of the one that is in the call.
 *
 * Threads: its own, which waits for nothing but time. Everything is decided under the registry's lock, from facts that consumers
 * leave outside; what is said and started comes after it.
 *
 * Stories. (1) All worker threads are in calls that do not come back: nobody reads mail any more, so nothing here needs a
 * worker thread: leases go by the manager's thread, new worker threads are started from here. (2) The call comes back after its
 * lease went: what it says does not count (consumer_process.c), then shard_end is called with LEAT_LEASE_LOST, never before.
 * (3) A consumer is gone while its line is written: what is written was copied under the lock.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "pipeline/committer.h"
#include "pipeline/registry.h"

#define LEAST_PERIOD_US (20 * LEAT_MS_US)
#define MOST_PERIOD_US (500 * LEAT_MS_US)
#define MOST_PUBLISHED 100

enum saying {
    SAY_STUCK,
    SAY_OVER,
    SAY_REWIND,
    SAY_GIVE_AWAY,
    SAY_OVERDUE,
    SAY_COMMITTER_STUCK,
    SAY_COMMITTER_OVER
};

struct line {
    enum saying saying;
    struct leat_consumer_view view; /* its slices live in the round's arena */
    struct leat_error why;
};

struct standing {
    const char *processor;
    struct leat_slice stream_id, shard;
    int64_t since_ms;
    char why[48];
};

/* One look at all of them. */
struct watching {
    struct leat_pipeline *pipeline;
    struct leat_stuck_settings settings;
    bool are_letters_blocked;
    int64_t now_us;
    struct leat_arena arena;
    struct line *lines;
    size_t line_count, line_capacity;
    struct standing *standing;
    size_t standing_count, standing_capacity;
    unsigned overdue; /* calls */
};

/* ---- one consumer: under the lock ---------------------------------------------------------------- */

static void
name_why(const struct leat_consumer *consumer, enum leat_waits_for waits_for, char *text,
         size_t size)
{
    const char *call = consumer->call;

    if (waits_for == LEAT_WAITS_FOR_CALL && call != NULL && consumer->calling_since_us != 0)
        snprintf(text, size, "in a call of %s", call);
    else if (waits_for == LEAT_WAITS_FOR_CALL)
        snprintf(text, size, "waiting for an earlier call");
    else
        snprintf(text, size, "%s", leat_waits_for_text[waits_for]);
}

static void
say(struct watching *watching, struct leat_consumer *consumer, enum saying saying, int64_t since_us)
{
    struct line *line;
    char why[48];

    name_why(consumer, saying == SAY_OVERDUE ? LEAT_WAITS_FOR_CALL : consumer->stuck.waits_for, why,
             sizeof why);
    LEAT_GROW(watching->lines, watching->line_count, watching->line_capacity);
    line = &watching->lines[watching->line_count++];
    *line = (struct line){.saying = saying};
    line->view = (struct leat_consumer_view){
        .processor = consumer->runtime->config.name,
        .stream = leat_arena_copy(&watching->arena, consumer->shard.stream),
        .stream_id = leat_arena_copy(&watching->arena, consumer->shard.stream_id),
        .shard = leat_arena_copy(&watching->arena, consumer->shard.shard),
        .state = "",
        .reason = "",
        .stuck = "",
    };
    leat_error_set(&line->why, LEAT_E_TIMEOUT, "%s for %.1f s", why,
                   (double)(watching->now_us - since_us) / 1e6);
}

static void
publish(struct watching *watching, const struct leat_consumer *consumer)
{
    struct standing *standing;

    LEAT_GROW(watching->standing, watching->standing_count, watching->standing_capacity);
    standing = &watching->standing[watching->standing_count++];
    *standing = (struct standing){
        .processor = consumer->runtime->config.name,
        .stream_id = leat_arena_copy(&watching->arena, consumer->shard.stream_id),
        .shard = leat_arena_copy(&watching->arena, consumer->shard.shard),
        .since_ms = consumer->stuck_wall_ms,
    };
    name_why(consumer, consumer->stuck.waits_for, standing->why, sizeof standing->why);
}

static void
act(struct watching *watching, struct leat_consumer *consumer, enum leat_stuck_act what,
    int64_t since_us)
{
    struct leat_pipeline *pipeline = watching->pipeline;

    if (what == LEAT_STUCK_NAME) {
        consumer->stuck_wall_ms = (leat_clock_wall_us() - (watching->now_us - since_us)) / 1000;
        say(watching, consumer, SAY_STUCK, since_us);
    } else if (what == LEAT_STUCK_OVER) {
        say(watching, consumer, SAY_OVER, since_us);
    } else if (what == LEAT_STUCK_REWIND) {
        say(watching, consumer, SAY_REWIND, since_us);
        pipeline->watchdog_rewinds++;
        leat_consumer_post(consumer, leat_message_new(LEAT_MESSAGE_REWIND, consumer->generation));
    } else if (what == LEAT_STUCK_GIVE_AWAY) {
        say(watching, consumer, SAY_GIVE_AWAY, since_us);
        pipeline->given_away++;
        leat_lease_give_away(pipeline->leases, leat_consumer_key(consumer),
                             watching->settings.act_after_us);
    }
}

/* A call that is past its deadline holds a worker thread. */
static void
look_at_call(struct watching *watching, struct leat_consumer *consumer)
{
    int64_t since_us = consumer->calling_since_us;
    bool is_overdue = since_us != 0 && watching->now_us >= consumer->cancel_at_us;

    watching->overdue += is_overdue;
    if (is_overdue && !consumer->is_replaced)
        say(watching, consumer, SAY_OVERDUE, since_us);
    consumer->is_replaced = is_overdue;
}

static void
look_at(struct watching *watching, struct leat_consumer *consumer)
{
    struct leat_stuck_facts facts = leat_consumer_facts(consumer, watching->are_letters_blocked);
    int64_t since_us = consumer->stuck.since_us;
    enum leat_stuck_act what =
        leat_stuck_look(&consumer->stuck, &facts, &watching->settings, watching->now_us);

    look_at_call(watching, consumer);
    act(watching, consumer, what, what == LEAT_STUCK_OVER ? since_us : consumer->stuck.since_us);
    consumer->standing_since_us = consumer->stuck.since_us;
    consumer->stuck_for = consumer->stuck.is_named ? (int)consumer->stuck.waits_for : 0;
    if (consumer->stuck.is_named)
        publish(watching, consumer);
}

/* ---- committers -------------------------------------------------------------------------------------- */

static size_t
count_of(const struct leat_pipeline *pipeline, const struct leat_committer *committer)
    LEAT_REQUIRES(pipeline->lock)
{
    size_t count = 0;

    for (size_t i = 0; i < pipeline->consumer_count; i++)
        count += pipeline->consumers[i]->committer == committer;
    return count;
}

/* One that is in a call into its target for too long: all its shards wait for it, and nobody else does. */
static void
look_at_committer(struct watching *watching, struct leat_committer *committer, unsigned index)
    LEAT_REQUIRES(watching->pipeline->lock)
{
    int64_t since_us = committer->calling_since_us;
    bool is_stuck = since_us != 0 &&
                    watching->now_us - since_us >= watching->settings.stuck_after_us;
    struct leat_slice none = leat_slice_from("");
    struct line *line;

    if (is_stuck == committer->is_named)
        return;
    committer->is_named = is_stuck;
    LEAT_GROW(watching->lines, watching->line_count, watching->line_capacity);
    line = &watching->lines[watching->line_count++];
    *line = (struct line){.saying = is_stuck ? SAY_COMMITTER_STUCK : SAY_COMMITTER_OVER};
    line->view = (struct leat_consumer_view){.processor = committer->runtime->config.name,
                                             .stream = none,
                                             .stream_id = none,
                                             .shard = none,
                                             .state = "",
                                             .reason = "",
                                             .stuck = ""};
    if (is_stuck)
        leat_error_set(&line->why, LEAT_E_TIMEOUT,
                       "committer %u is in %s of target \"%s\" for %.1f s: its %zu shards wait",
                       index, committer->call, committer->runtime->config.target->name,
                       (double)(watching->now_us - since_us) / 1e6,
                       count_of(watching->pipeline, committer));
    else
        leat_error_set(&line->why, LEAT_E_NONE, "committer %u", index);
}

static void
look_at_committers(struct watching *watching) LEAT_REQUIRES(watching->pipeline->lock)
{
    struct leat_pipeline *pipeline = watching->pipeline;

    for (size_t i = 0; i < pipeline->options.processor_count; i++) {
        struct leat_runtime *runtime = &pipeline->runtimes[i];

        for (unsigned c = 0; c < runtime->config.committers; c++)
            look_at_committer(watching, &runtime->committers[c], c);
    }
}

/* ---- what comes of it: without the lock ----------------------------------------------------------- */

static void
write_lines(const struct watching *watching)
{
    static const struct {
        enum leat_log_level level;
        const char *what;
    } texts[] = {
        [SAY_STUCK] = {LEAT_LOG_WARNING, "a shard is stuck"},
        [SAY_OVER] = {LEAT_LOG_INFO, "a shard is not stuck any more"},
        [SAY_REWIND] = {LEAT_LOG_WARNING, "a stuck shard is rewound"},
        [SAY_GIVE_AWAY] = {LEAT_LOG_WARNING,
                           "a stuck shard's lease is given away, if another worker may have it"},
        [SAY_OVERDUE] = {LEAT_LOG_WARNING,
                         "a call is past its deadline (batch.deadline): another thread works in "
                         "its place, and what it does will not count"},
        [SAY_COMMITTER_STUCK] = {LEAT_LOG_WARNING, "a committer is stuck"},
        [SAY_COMMITTER_OVER] = {LEAT_LOG_INFO, "a committer is not stuck any more"},
    };
    const struct leat_pipeline_options *options = &watching->pipeline->options;

    for (size_t i = 0; options->notice != NULL && i < watching->line_count; i++) {
        const struct line *line = &watching->lines[i];

        options->notice(options->notice_context, texts[line->saying].level,
                        texts[line->saying].what, &line->view, &line->why);
    }
}

static int
compare(const void *left, const void *right)
{
    const struct standing *a = left, *b = right;
    int order = strcmp(a->processor, b->processor);

    if (order == 0)
        order = leat_slice_compare(a->stream_id, b->stream_id);
    return order != 0 ? order : leat_slice_compare(a->shard, b->shard);
}

/* Into the worker's row, when it is another text than before. */
static void
tell_others(const struct watching *watching, struct leat_buf *said)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_json json;

    if (watching->standing_count > 0)
        leat_sort(watching->standing, watching->standing_count, sizeof *watching->standing,
                  compare);
    leat_json_begin(&json, &text);
    leat_json_array(&json, NULL);
    for (size_t i = 0; i < watching->standing_count && i < MOST_PUBLISHED; i++) {
        const struct standing *standing = &watching->standing[i];

        leat_json_object(&json, NULL);
        leat_json_text(&json, "processor", standing->processor);
        leat_json_slice(&json, "stream_id", standing->stream_id);
        leat_json_slice(&json, "shard", standing->shard);
        leat_json_integer(&json, "since", standing->since_ms);
        leat_json_text(&json, "why", standing->why);
        leat_json_object_end(&json);
    }
    leat_json_array_end(&json);
    if (leat_slice_equals(leat_buf_slice(&text), leat_buf_slice(said)))
        return;
    leat_buf_clear(said);
    leat_buf_add_slice(said, leat_buf_slice(&text));
    leat_lease_say_stuck(watching->pipeline->leases,
                         watching->standing_count > 0 ? leat_buf_text(said) : NULL);
}

static void
look_at_all(struct leat_pipeline *pipeline, struct leat_buf *said)
{
    struct watching watching = {
        .pipeline = pipeline,
        .settings = pipeline->options.stuck,
        .now_us = leat_clock_monotonic_us(),
    };
    struct leat_letters_counts letters = {0};

    leat_arena_init(&watching.arena);
    leat_letters_counts(pipeline->options.letters, &letters);
    watching.are_letters_blocked = letters.is_blocked;
    leat_mutex_lock(&watching.pipeline->lock);
    for (size_t i = 0; i < pipeline->consumer_count; i++)
        look_at(&watching, pipeline->consumers[i]);
    look_at_committers(&watching);
    leat_mutex_unlock(&watching.pipeline->lock);
    pipeline->stuck = watching.standing_count;
    pipeline->calls_overdue = watching.overdue;
    pipeline->threads_added = leat_scheduler_replace(pipeline->scheduler, watching.overdue);
    write_lines(&watching);
    tell_others(&watching, said);
    free(watching.lines);
    free(watching.standing);
    leat_arena_release(&watching.arena);
}

/* ---- the thread ------------------------------------------------------------------------------------ */

static int64_t
period_us(const struct leat_pipeline *pipeline)
{
    int64_t period_us = pipeline->options.stuck.stuck_after_us / 8;

    return period_us < LEAST_PERIOD_US  ? LEAST_PERIOD_US
           : period_us > MOST_PERIOD_US ? MOST_PERIOD_US
                                        : period_us;
}

static bool
wait_for_next(struct leat_pipeline *pipeline)
{
    int64_t until_us = leat_clock_monotonic_us() + period_us(pipeline);
    bool is_stopping;

    leat_mutex_lock(&pipeline->lock);
    while (!pipeline->is_watchdog_stopping && leat_clock_monotonic_us() < until_us)
        leat_condition_wait_until(&pipeline->watchdog_wakes, &pipeline->lock, until_us);
    is_stopping = pipeline->is_watchdog_stopping;
    leat_mutex_unlock(&pipeline->lock);
    return !is_stopping;
}

static void
watchdog_main(void *context)
{
    struct leat_pipeline *pipeline = context;
    LEAT_AUTO_BUF said = LEAT_BUF_INIT;

    leat_buf_add_text(&said, "[]");
    while (wait_for_next(pipeline))
        look_at_all(pipeline, &said);
}

int
leat_watchdog_start(struct leat_pipeline *pipeline, struct leat_error *err)
{
    if (pipeline->options.stuck.stuck_after_us == 0)
        return 0;
    return leat_thread_start(&pipeline->watchdog, "watchdog", watchdog_main, pipeline, err);
}

void
leat_watchdog_stop(struct leat_pipeline *pipeline)
{
    leat_mutex_lock(&pipeline->lock);
    pipeline->is_watchdog_stopping = true;
    leat_condition_broadcast(&pipeline->watchdog_wakes);
    leat_mutex_unlock(&pipeline->lock);
    leat_thread_join(&pipeline->watchdog);
}
