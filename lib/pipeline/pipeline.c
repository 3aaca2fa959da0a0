/*
 * The pipeline as a whole: processors and the registry of consumers by lease. The lease manager's events come in here; each
 * becomes a message to the consumers of that lease.
 *
 * Threads: the registry's lock is held for look-ups and posts, never for a call into a plugin, a target or the manager.
 */
#include "pipeline/pipeline.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "pipeline/audit.h"
#include "pipeline/meeting.h"
#include "pipeline/registry.h"
#include "pipeline/scratch.h"
#include "plugin/loader.h"

#define LEAVE_US (15 * LEAT_SECOND_US)

struct leat_scratch_pool *
leat_pipeline_scratch(struct leat_pipeline *pipeline)
{
    return pipeline->scratch;
}

struct leat_scheduler *
leat_pipeline_scheduler(struct leat_pipeline *pipeline)
{
    return pipeline->scheduler;
}

const struct leat_pipeline_options *
leat_pipeline_options(struct leat_pipeline *pipeline)
{
    return &pipeline->options;
}

#define FLUSHES_IN_ROWS 4 /* per processor: copies of a flush are on their way to the target, too */

size_t
leat_flush_bytes(const struct leat_runtime *runtime)
{
    const struct leat_pipeline_options *options = &runtime->pipeline->options;
    size_t most = options->rows_budget / options->processor_count / FLUSHES_IN_ROWS;

    return runtime->config.flush_bytes < most ? runtime->config.flush_bytes : most;
}

struct leat_lease_manager *
leat_pipeline_leases(struct leat_pipeline *pipeline)
{
    return pipeline->leases;
}

static void
lease_key(struct leat_lease_key key, struct leat_buf *out)
{
    leat_buf_add_slice(out, key.stream_id);
    leat_buf_add_byte(out, '\n');
    leat_buf_add_slice(out, key.shard);
}

static struct leat_leased *
find_leased(struct leat_pipeline *pipeline, struct leat_lease_key key) LEAT_REQUIRES(pipeline->lock)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    lease_key(key, &text);
    return leat_map_get(&pipeline->leased, leat_buf_slice(&text));
}

static void
free_leased(void *value)
{
    struct leat_leased *leased = value;

    free(leased->stream_id);
    free(leased->shard);
    free(leased->consumers);
    free(leased);
}

static void
remove_leased(struct leat_pipeline *pipeline, struct leat_lease_key key)
    LEAT_REQUIRES(pipeline->lock)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_leased *leased;

    lease_key(key, &text);
    leased = leat_map_remove(&pipeline->leased, leat_buf_slice(&text));
    if (leased != NULL)
        free_leased(leased);
}

/* ---- the lease manager's events -------------------------------------------------------------- */

/* NULL: it does not read that stream, or needs nothing of that shard. */
static const struct leat_shard_start *
start_of(const struct leat_runtime *runtime, const struct leat_owned_lease *lease)
{
    if (runtime->config.takes_source != NULL &&
        !runtime->config.takes_source(runtime->config.takes_context, lease->source))
        return NULL;
    for (size_t i = 0; i < lease->start_count; i++) {
        if (strcmp(lease->starts[i].processor, runtime->config.name) == 0)
            return &lease->starts[i];
    }
    return NULL;
}

/* One of the same processor and shard that has yet to leave: the plugin must never be called twice at once for a shard. */
static const struct leat_consumer *
find_predecessor(const struct leat_pipeline *pipeline, const struct leat_consumer *consumer)
    LEAT_REQUIRES(pipeline->lock)
{
    for (size_t i = 0; i < pipeline->consumer_count; i++) {
        const struct leat_consumer *other = pipeline->consumers[i];

        if (other != consumer && other->is_let_go && other->runtime == consumer->runtime &&
            strcmp(other->shard_id, consumer->shard_id) == 0 &&
            strcmp(other->stream_id, consumer->stream_id) == 0)
            return other;
    }
    return NULL;
}

/* Takes its shard, or waits for the one before it to leave. */
static void
take_or_wait(struct leat_pipeline *pipeline, struct leat_consumer *consumer)
    LEAT_REQUIRES(pipeline->lock)
{
    consumer->predecessor = find_predecessor(pipeline, consumer);
    if (consumer->predecessor == NULL && consumer->runtime->state == LEAT_PROCESSOR_ACTIVE)
        leat_committer_take(consumer->committer, consumer);
}

static void
start_consumer(struct leat_pipeline *pipeline, struct leat_leased *leased,
               struct leat_runtime *runtime, const struct leat_owned_lease *lease)
    LEAT_REQUIRES(pipeline->lock)
{
    const struct leat_shard_start *start = start_of(runtime, lease);
    struct leat_consumer *consumer;

    if (start == NULL)
        return;
    consumer = leat_consumer_new(runtime, lease, start, pipeline->incarnation);
    LEAT_GROW(leased->consumers, leased->count, leased->capacity);
    leased->consumers[leased->count++] = consumer;
    LEAT_GROW(pipeline->consumers, pipeline->consumer_count, pipeline->consumer_capacity);
    pipeline->consumers[pipeline->consumer_count++] = consumer;
    take_or_wait(pipeline, consumer);
}

static void
on_acquired(void *context, const struct leat_owned_lease *lease)
{
    struct leat_pipeline *pipeline = context;
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    struct leat_leased *leased;

    lease_key(lease->key, &key);
    leat_mutex_lock(&pipeline->lock);
    leased = leat_map_get(&pipeline->leased, leat_buf_slice(&key));
    if (leased != NULL) {
        leased->is_draining = false;
        for (size_t i = 0; i < leased->count; i++) {
            struct leat_message *message = leat_message_new(LEAT_MESSAGE_ACQUIRED, 0);

            leased->consumers[i]->drain_at_us = INT64_MAX;
            message->is_waiting = leased->consumers[i]->predecessor != NULL;
            message->lease_counter = lease->lease_counter;
            message->incarnation = pipeline->incarnation;
            leat_consumer_post(leased->consumers[i], message);
        }
        leat_mutex_unlock(&pipeline->lock);
        return;
    }
    leased = LEAT_NEW(struct leat_leased);
    leased->stream_id = leat_slice_strdup(lease->key.stream_id);
    leased->shard = leat_slice_strdup(lease->key.shard);
    leat_map_put(&pipeline->leased, leat_buf_slice(&key), leased);
    for (size_t i = 0; i < pipeline->options.processor_count; i++)
        start_consumer(pipeline, leased, &pipeline->runtimes[i], lease);
    leat_mutex_unlock(&pipeline->lock);
}

static void
tell(struct leat_pipeline *pipeline, struct leat_leased *leased, enum leat_message_kind kind,
     int64_t deadline_us) LEAT_REQUIRES(pipeline->lock)
{
    for (size_t i = 0; i < leased->count; i++) {
        struct leat_message *message = leat_message_new(kind, 0);

        message->deadline_us = deadline_us;
        message->is_waiting = leased->consumers[i]->predecessor != NULL;
        leat_consumer_post(leased->consumers[i], message);
    }
}

/* Calls under way see it at once, the mail is read when they return. */
static void
set_drain_at(struct leat_leased *leased, int64_t at_us)
{
    for (size_t i = 0; i < leased->count; i++)
        leased->consumers[i]->drain_at_us = at_us;
}

static void
on_drain(void *context, struct leat_lease_key key, int64_t call_deadline_us, int64_t deadline_us)
{
    struct leat_pipeline *pipeline = context;
    struct leat_leased *leased;
    bool is_unknown;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    is_unknown = leased == NULL || leased->count == 0;
    if (!is_unknown && !leased->is_draining) {
        leased->is_draining = true;
        leased->draining = leased->count;
        set_drain_at(leased, call_deadline_us);
        tell(pipeline, leased, LEAT_MESSAGE_DRAIN, deadline_us);
    }
    leat_mutex_unlock(&pipeline->lock);
    if (is_unknown)
        leat_lease_let_go(pipeline->leases, key);
}

/* Without a deadline, and calls may run on: nothing of it can be read again. */
static void
on_finish(void *context, struct leat_lease_key key)
{
    struct leat_pipeline *pipeline = context;
    struct leat_leased *leased;
    bool is_unknown;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    is_unknown = leased == NULL || leased->count == 0;
    if (!is_unknown && !leased->is_draining) {
        leased->is_draining = true;
        leased->draining = leased->count;
        tell(pipeline, leased, LEAT_MESSAGE_FINISH, 0);
    }
    leat_mutex_unlock(&pipeline->lock);
    if (is_unknown)
        leat_lease_let_go(pipeline->leases, key);
}

static void
on_resume(void *context, struct leat_lease_key key)
{
    struct leat_pipeline *pipeline = context;
    struct leat_leased *leased;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    if (leased != NULL && leased->is_draining) {
        leased->is_draining = false;
        set_drain_at(leased, INT64_MAX);
        tell(pipeline, leased, LEAT_MESSAGE_RESUME, 0);
    }
    leat_mutex_unlock(&pipeline->lock);
}

static void
on_lost(void *context, struct leat_lease_key key, enum leat_lease_loss loss)
{
    struct leat_pipeline *pipeline = context;
    struct leat_leased *leased;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    for (size_t i = 0; leased != NULL && i < leased->count; i++)
        leased->consumers[i]->is_let_go = true;
    if (leased != NULL)
        tell(pipeline, leased, LEAT_MESSAGE_LOST, 0);
    remove_leased(pipeline, key);
    leat_mutex_unlock(&pipeline->lock);
}

static bool
is_calling(void *context, struct leat_lease_key key)
{
    struct leat_pipeline *pipeline = context;
    const struct leat_leased *leased;
    bool is_calling = false;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    for (size_t i = 0; leased != NULL && i < leased->count; i++)
        is_calling = is_calling || leased->consumers[i]->calling_since_us != 0;
    leat_mutex_unlock(&pipeline->lock);
    return is_calling;
}

static void
on_incarnation(void *context, int64_t incarnation)
{
    struct leat_pipeline *pipeline = context;

    pipeline->incarnation = incarnation;
}

static void
on_report(void *context, struct leat_buf *out)
{
    leat_pipeline_report(context, out);
}

/* Set and told under one lock: who is started meanwhile has either the state or the message. */
static void
on_processor(void *context, const char *name, enum leat_processor_state state)
{
    struct leat_pipeline *pipeline = context;
    struct leat_runtime *runtime = pipeline->runtimes;

    while (strcmp(runtime->config.name, name) != 0)
        runtime++;
    leat_mutex_lock(&pipeline->lock);
    runtime->state = (int)state;
    for (size_t i = 0; i < pipeline->consumer_count; i++) {
        struct leat_message *message;

        if (pipeline->consumers[i]->runtime != runtime)
            continue;
        message = leat_message_new(LEAT_MESSAGE_STATE, 0);
        message->is_waiting = pipeline->consumers[i]->predecessor != NULL;
        leat_consumer_post(pipeline->consumers[i], message);
    }
    leat_mutex_unlock(&pipeline->lock);
    leat_pipeline_say_state(runtime);
}

/* With what a call that runs has taken so far: one that takes minutes is no idle shard. */
static int64_t
busy_us(void *context, struct leat_lease_key key)
{
    struct leat_pipeline *pipeline = context;
    int64_t now_us = leat_clock_monotonic_us(), sum_us = 0;
    const struct leat_leased *leased;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    for (size_t i = 0; leased != NULL && i < leased->count; i++) {
        int64_t since_us = leased->consumers[i]->calling_since_us;

        sum_us += leased->consumers[i]->busy_us;
        sum_us += since_us != 0 && since_us < now_us ? now_us - since_us : 0;
    }
    leat_mutex_unlock(&pipeline->lock);
    return sum_us;
}

static void
reading(void *context, struct leat_lease_key key, struct leat_reading *ret_reading)
{
    struct leat_pipeline *pipeline = context;
    const struct leat_leased *leased;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    for (size_t i = 0; leased != NULL && i < leased->count; i++) {
        const struct leat_consumer *consumer = leased->consumers[i];
        int64_t since_us = consumer->unread_since_us, read_us = consumer->read_us;

        if (since_us != 0 &&
            (ret_reading->failing_since_us == 0 || since_us < ret_reading->failing_since_us))
            ret_reading->failing_since_us = since_us;
        ret_reading->is_denied = ret_reading->is_denied ||
                                 (since_us != 0 && consumer->is_unread_denied);
        if (read_us > ret_reading->answered_us)
            ret_reading->answered_us = read_us;
    }
    leat_mutex_unlock(&pipeline->lock);
}

static void
on_ended(void *context, const char *processor, struct leat_slice stream_id,
         const struct leat_slice *shards, size_t count)
{
    struct leat_pipeline *pipeline = context;

    for (size_t i = 0; i < pipeline->options.processor_count; i++) {
        struct leat_runtime *runtime = &pipeline->runtimes[i];

        if (strcmp(runtime->config.name, processor) == 0 && runtime->state == LEAT_PROCESSOR_ACTIVE)
            leat_committer_tell_ended(&runtime->committers[0], stream_id, shards, count, false);
    }
}

static void
on_ended_open(void *context, const char *processor, struct leat_slice stream_id,
              const struct leat_slice *shards, size_t count)
{
    struct leat_pipeline *pipeline = context;

    for (size_t i = 0; i < pipeline->options.processor_count; i++) {
        struct leat_runtime *runtime = &pipeline->runtimes[i];

        if (strcmp(runtime->config.name, processor) == 0 && runtime->state == LEAT_PROCESSOR_ACTIVE)
            leat_committer_tell_ended(&runtime->committers[0], stream_id, shards, count, true);
    }
}

static void
on_closed(void *context, struct leat_lease_key key)
{
    struct leat_pipeline *pipeline = context;
    struct leat_leased *leased;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    if (leased != NULL)
        tell(pipeline, leased, LEAT_MESSAGE_CLOSED, 0);
    leat_mutex_unlock(&pipeline->lock);
}

static void
on_known(void *context, const char *processor, const struct leat_known_shards *known)
{
    struct leat_pipeline *pipeline = context;

    for (size_t i = 0; i < pipeline->options.processor_count; i++) {
        struct leat_runtime *runtime = &pipeline->runtimes[i];

        if (strcmp(runtime->config.name, processor) == 0 && runtime->state == LEAT_PROCESSOR_ACTIVE)
            leat_committer_tell_known(&runtime->committers[0], known);
    }
}

static int
progress(void *context, const struct leat_progress_question *question,
         struct leat_known_progress *ret_known, struct leat_error *err)
{
    struct leat_pipeline *pipeline = context;
    struct leat_runtime *runtime = pipeline->runtimes;

    while (strcmp(runtime->config.name, question->processor) != 0)
        runtime++;
    return leat_committer_progress(&runtime->committers[0], question, ret_known, err);
}

struct leat_lease_events
leat_pipeline_lease_events(struct leat_pipeline *pipeline)
{
    return (struct leat_lease_events){.context = pipeline,
                                      .acquired = on_acquired,
                                      .drain = on_drain,
                                      .finish = on_finish,
                                      .is_calling = is_calling,
                                      .resume = on_resume,
                                      .lost = on_lost,
                                      .busy_us = busy_us,
                                      .reading = reading,
                                      .report = on_report,
                                      .incarnation = on_incarnation,
                                      .processor = on_processor,
                                      .ended = on_ended,
                                      .ended_open = on_ended_open,
                                      .closed = on_closed,
                                      .known = on_known,
                                      .progress = progress};
}

/* ---- what consumers say ---------------------------------------------------------------------- */

void
leat_pipeline_let_go(struct leat_pipeline *pipeline, struct leat_consumer *consumer)
{
    struct leat_lease_key key = leat_consumer_key(consumer);
    struct leat_leased *leased;
    bool is_last = false;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    if (leased != NULL && leased->is_draining && leased->draining > 0)
        is_last = --leased->draining == 0;
    leat_mutex_unlock(&pipeline->lock);
    if (is_last)
        leat_lease_let_go(pipeline->leases, key);
}

void
leat_pipeline_children_done(struct leat_pipeline *pipeline, struct leat_lease_key key)
{
    struct leat_leased *leased;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    for (size_t i = 0; leased != NULL && i < leased->count; i++)
        leat_consumer_post(
            leased->consumers[i],
            leat_message_new(LEAT_MESSAGE_CHILDREN, leased->consumers[i]->generation));
    leat_mutex_unlock(&pipeline->lock);
}

void
leat_pipeline_stream_is_there(struct leat_pipeline *pipeline, struct leat_lease_key key)
{
    struct leat_leased *leased;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    if (leased != NULL)
        tell(pipeline, leased, LEAT_MESSAGE_STREAM_IS_THERE, 0);
    leat_mutex_unlock(&pipeline->lock);
}

void
leat_pipeline_shard_gone(struct leat_pipeline *pipeline, struct leat_lease_key key, bool is_gone)
{
    struct leat_leased *leased;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    for (size_t i = 0; leased != NULL && i < leased->count; i++) {
        struct leat_message *message =
            leat_message_new(LEAT_MESSAGE_GONE, leased->consumers[i]->generation);

        message->is_end = is_gone;
        leat_consumer_post(leased->consumers[i], message);
    }
    leat_mutex_unlock(&pipeline->lock);
}

void
leat_pipeline_shard_fate(struct leat_pipeline *pipeline, struct leat_lease_key key,
                         enum leat_shard_fate fate, struct leat_slice ending)
{
    struct leat_leased *leased;

    leat_mutex_lock(&pipeline->lock);
    leased = find_leased(pipeline, key);
    for (size_t i = 0; leased != NULL && i < leased->count; i++) {
        struct leat_message *message =
            leat_message_new(LEAT_MESSAGE_FATE, leased->consumers[i]->generation);

        message->fate = fate;
        message->ending = leat_arena_copy(&message->arena, ending);
        leat_consumer_post(leased->consumers[i], message);
    }
    leat_mutex_unlock(&pipeline->lock);
}

void
leat_pipeline_gone(struct leat_pipeline *pipeline, struct leat_consumer *consumer)
{
    leat_mutex_lock(&pipeline->lock);
    for (size_t i = 0; i < pipeline->consumer_count; i++) {
        if (pipeline->consumers[i] == consumer)
            pipeline->consumers[i--] = pipeline->consumers[--pipeline->consumer_count];
    }
    for (size_t i = 0; i < pipeline->consumer_count; i++) {
        if (pipeline->consumers[i]->predecessor == consumer && !pipeline->consumers[i]->is_let_go)
            take_or_wait(pipeline, pipeline->consumers[i]);
    }
    leat_condition_broadcast(&pipeline->gone);
    leat_mutex_unlock(&pipeline->lock);
    leat_consumer_free(consumer);
}

void
leat_pipeline_wake_stalled(struct leat_pipeline *pipeline)
{
    leat_mutex_lock(&pipeline->lock);
    for (size_t i = 0; i < pipeline->consumer_count; i++) {
        if (pipeline->consumers[i]->is_stalled)
            leat_scheduler_wake(pipeline->scheduler, &pipeline->consumers[i]->actor);
    }
    leat_mutex_unlock(&pipeline->lock);
}

void
leat_pipeline_stop_processor(struct leat_consumer *consumer, const struct leat_error *why)
{
    struct leat_runtime *runtime = consumer->runtime;
    struct leat_pipeline *pipeline = runtime->pipeline;

    if (atomic_exchange(&runtime->is_stopped, true))
        return;
    leat_pipeline_notice(consumer, LEAT_LOG_ERROR,
                         "the processor stopped on all shards of this worker: mend what is wrong, "
                         "then start the worker again",
                         why);
    leat_mutex_lock(&pipeline->lock);
    if (!pipeline->has_stopped) {
        pipeline->has_stopped = true;
        pipeline->why_stopped = *why;
        leat_error_prefix(&pipeline->why_stopped, "processor \"%s\" stopped", runtime->config.name);
    }
    leat_mutex_unlock(&pipeline->lock);
}

bool
leat_pipeline_stopped(struct leat_pipeline *pipeline, struct leat_error *ret_why)
{
    bool has_stopped;

    leat_mutex_lock(&pipeline->lock);
    has_stopped = pipeline->has_stopped;
    if (has_stopped)
        *ret_why = pipeline->why_stopped;
    leat_mutex_unlock(&pipeline->lock);
    return has_stopped;
}

/* ---- begin and end --------------------------------------------------------------------------- */

/* Of a processor that writes nothing. */
static const struct leat_table no_tables[] = {LEAT_END};

static int
open_runtime(struct leat_pipeline *pipeline, unsigned index, struct leat_error *err)
{
    struct leat_runtime *runtime = &pipeline->runtimes[index];
    const struct leat_pipeline_processor *config = &pipeline->options.processors[index];
    struct leat_target_context context = {
        .size = sizeof context,
        .application = leat_slice_from(pipeline->options.application),
        .processor = leat_slice_from(config->name),
        .url = leat_slice_from(config->target_url),
        .current_url = config->current_url,
        .url_context = config->url_context,
        .check_id = config->check_id,
        .id_context = config->id_context,
        .leases_name = leat_slice_from(pipeline->options.leases_name),
    };
    int status = 0;

    runtime->pipeline = pipeline;
    runtime->config = *config;
    runtime->index = index;
    runtime->evidence = leat_evidence_new();
    leat_mutex_init(&runtime->breaker_lock);
    leat_tallies_init(runtime);
    if (config->plugin->open != NULL)
        status = config->plugin->open(config->host, config->options, &runtime->instance, err);
    if (status != 0)
        return leat_error_prefix(err, "processor \"%s\"", config->name);
    runtime->is_open = true;
    runtime->tables = config->plugin->describe != NULL ? config->plugin->describe(runtime->instance)
                                                       : config->plugin->tables;
    if (runtime->tables == NULL)
        runtime->tables = no_tables;
    if (leat_plugin_check_tables(runtime->tables, err) != 0)
        return leat_error_prefix(err, "processor \"%s\"", config->name);
    runtime->schema = leat_merge_schema_new(runtime->tables);
    if (config->target->open(config->host, &context, config->target_options, &runtime->target,
                             err) != 0)
        return leat_error_prefix(err, "target of processor \"%s\"", config->name);
    return leat_committers_start(runtime, err);
}

struct leat_pipeline *
leat_pipeline_new(const struct leat_pipeline_options *options, struct leat_error *err)
{
    struct leat_pipeline *pipeline = LEAT_NEW(struct leat_pipeline);

    leat_is_unshared();
    pipeline->options = *options;
    leat_mutex_init(&pipeline->lock);
    leat_condition_init(&pipeline->gone);
    leat_condition_init(&pipeline->watchdog_wakes);
    leat_map_init(&pipeline->leased);
    pipeline->runtimes = LEAT_NEW_ARRAY(struct leat_runtime, options->processor_count);
    pipeline->scratch = leat_scratch_pool_new();
    pipeline->scheduler = leat_scheduler_new(options->worker_threads, err);
    for (unsigned i = 0; pipeline->scheduler != NULL && i < options->processor_count; i++) {
        if (open_runtime(pipeline, i, err) != 0) {
            leat_pipeline_free(pipeline);
            return NULL;
        }
    }
    if (pipeline->scheduler == NULL) {
        leat_pipeline_free(pipeline);
        return NULL;
    }
    return pipeline;
}

int
leat_pipeline_start(struct leat_pipeline *pipeline, struct leat_lease_manager *leases,
                    struct leat_error *err)
{
    pipeline->leases = leases;
    return leat_watchdog_start(pipeline, err);
}

/* Everything leaves as if it were lost; whatever is not committed is done again by whoever comes next. */
static bool
lose_all(struct leat_pipeline *pipeline, int64_t deadline_us)
{
    bool are_gone;

    leat_mutex_lock(&pipeline->lock);
    for (size_t i = 0; i < pipeline->consumer_count; i++) {
        pipeline->consumers[i]->is_let_go = true;
        leat_consumer_post(pipeline->consumers[i], leat_message_new(LEAT_MESSAGE_LOST, 0));
    }
    while (pipeline->consumer_count > 0 && leat_clock_monotonic_us() < deadline_us)
        leat_condition_wait_until(&pipeline->gone, &pipeline->lock, deadline_us);
    are_gone = pipeline->consumer_count == 0;
    leat_map_release(&pipeline->leased, free_leased);
    leat_mutex_unlock(&pipeline->lock);
    return are_gone;
}

bool
leat_pipeline_end(struct leat_pipeline *pipeline, int64_t deadline_us)
{
    return lose_all(pipeline, deadline_us);
}

static void
close_runtime(struct leat_runtime *runtime)
{
    if (runtime->pipeline == NULL)
        return;
    leat_committers_stop(runtime);
    if (runtime->target != NULL)
        runtime->config.target->close(runtime->target);
    if (runtime->is_open && runtime->config.plugin->close != NULL)
        runtime->config.plugin->close(runtime->instance);
    leat_merge_schema_free(runtime->schema);
    leat_evidence_free(runtime->evidence);
    leat_mutex_release(&runtime->breaker_lock);
    leat_tallies_release(runtime);
}

void
leat_pipeline_free(struct leat_pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    if (pipeline->scheduler != NULL)
        lose_all(pipeline, leat_clock_monotonic_us() + LEAVE_US);
    /* It gives leaving consumers the threads that calls hold. */
    leat_watchdog_stop(pipeline);
    leat_scheduler_free(pipeline->scheduler);
    leat_is_unshared();
    for (size_t i = 0; i < pipeline->options.processor_count; i++)
        close_runtime(&pipeline->runtimes[i]);
    leat_scratch_pool_free(pipeline->scratch);
    free(pipeline->runtimes);
    free(pipeline->consumers);
    leat_condition_release(&pipeline->gone);
    leat_condition_release(&pipeline->watchdog_wakes);
    leat_mutex_release(&pipeline->lock);
    free(pipeline);
}
