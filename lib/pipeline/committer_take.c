/*
 * Takes, many in one call. Children whose parents are not ended stay in the committer's waiting list: a row, not a thread.
 * Also the begin and the end of the committers of a processor.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/point.h"
#include "pipeline/audit.h"
#include "pipeline/flight.h"
#include "pipeline/meeting.h"

#define AGAIN_BASE_US (100 * LEAT_MS_US)
#define AGAIN_CAP_US (5 * LEAT_SECOND_US)
#define REFUSALS_US                                                                                \
    (10 * LEAT_SECOND_US) /* between two lines of them: many shards may wait for the same table */

static struct leat_progress
copy_progress(const struct leat_progress *progress, struct leat_arena *arena)
{
    struct leat_progress copy = *progress;

    copy.checkpoint = leat_arena_copy(arena, progress->checkpoint);
    copy.saved_state = leat_arena_copy(arena, progress->saved_state);
    copy.probe_sequence = leat_arena_copy(arena, progress->probe_sequence);
    return copy;
}

static void
answer(struct leat_consumer *consumer, const struct leat_take *take, uint64_t generation)
{
    struct leat_message *message = leat_message_new(LEAT_MESSAGE_TAKEN, generation);

    message->outcome = take->outcome;
    message->progress = copy_progress(&take->progress, &message->arena);
    leat_consumer_post(consumer, message);
}

static void
queue(struct leat_committer *committer, struct leat_consumer *consumer, enum leat_queue queue)
{
    leat_mutex_lock(&committer->lock);
    leat_committer_queue(committer, consumer, queue);
    leat_mutex_unlock(&committer->lock);
}

static struct leat_take
wanted(const struct leat_committer *committer, struct leat_consumer *consumer)
{
    const struct leat_pipeline_options *options =
        leat_pipeline_options(committer->runtime->pipeline);

    return (struct leat_take){
        .key = {.application = leat_slice_from(options->application),
                .processor = leat_slice_from(committer->runtime->config.name),
                .tenant = leat_slice_from(""),
                .stream_id = leat_slice_from(consumer->stream_id),
                .shard = leat_slice_from(consumer->shard_id)},
        .lease_counter = consumer->lease_counter,
        .incarnation = consumer->incarnation,
        .initial = leat_slice_from(consumer->start),
        .parents = consumer->parents,
        .parent_count = consumer->parent_count,
        .progress = {.commit_seq = leat_consumer_seen_seq(consumer)},
    };
}

/* An outage is of all shards, until one of them is written again; a refusal of some rows alone, while others are written. */
bool
leat_committer_tells(struct leat_committer *committer, enum leat_target_trouble trouble)
{
    int64_t now_us = leat_clock_monotonic_us();

    if (trouble == LEAT_TARGET_AWAY)
        return atomic_exchange(&committer->told, LEAT_TARGET_AWAY) != LEAT_TARGET_AWAY;
    if (now_us < committer->refusal_told_us + REFUSALS_US)
        return false;
    committer->refusal_told_us = now_us;
    return true;
}

/* The call failed: all of them again, later; who waits longer than a moment says so. */
static void
all_again(struct leat_committer *committer, const struct leat_consumer_list *takes,
          const struct leat_error *err)
{
    bool is_lasting = committer->take_failures >= 2 || !err->is_retryable;

    for (size_t i = 0; i < takes->count; i++) {
        queue(committer, takes->items[i], LEAT_QUEUE_TAKES);
        if (!is_lasting)
            continue;
        takes->items[i]->target_trouble = LEAT_TARGET_AWAY;
        if (leat_committer_tells(committer, LEAT_TARGET_AWAY))
            leat_pipeline_notice(takes->items[i], LEAT_LOG_WARNING,
                                 "could not take a shard: trying again", err);
    }
    committer->take_at_us = leat_clock_monotonic_us() + leat_backoff_us(&committer->random,
                                                                        AGAIN_BASE_US, AGAIN_CAP_US,
                                                                        committer->take_failures++);
}

/* generation: the consumer's when it was asked for. It may have rewound since: then another take follows, and moves the commit
   number once more; with the answer of this one it would run, and what it made would be committed under the next one's number. */
static void
sort_out(struct leat_committer *committer, struct leat_consumer *consumer,
         const struct leat_take *take, uint64_t generation)
{
    int taking = LEAT_CONSUMER_TAKING;

    switch (take->outcome) {
    case LEAT_TAKE_WAITING:
        /* From this one alone: the worker thread may have written `lost` this moment, and must find it. */
        if (atomic_compare_exchange_strong(&consumer->state, &taking,
                                           LEAT_CONSUMER_WAITING_PARENTS))
            leat_committer_child_waits(committer);
        queue(committer, consumer, LEAT_QUEUE_WAITING);
        break;
    case LEAT_TAKE_LOCKED:
    case LEAT_TAKE_FAILED:
        queue(committer, consumer, LEAT_QUEUE_TAKES);
        committer->take_at_us = leat_clock_monotonic_us() + AGAIN_BASE_US;
        break;
    case LEAT_TAKEN:
    case LEAT_TAKE_AHEAD:
        answer(consumer, take, generation);
        break;
    }
}

/* Before anything is merged: what a shard emits comes after its take. */
static void
tell_forms(struct leat_committer *committer)
{
    const struct leat_target *target = committer->runtime->config.target;

    if (target->size >= offsetof(struct leat_target, forms) + sizeof target->forms &&
        target->forms != NULL)
        leat_merge_schema_tell(committer->runtime->schema, target->forms, committer->rows);
}

void
leat_committer_run_takes(struct leat_committer *committer,
                         const struct leat_consumer_list *consumers)
{
    struct leat_take *takes = LEAT_NEW_ARRAY(struct leat_take, consumers->count);
    uint64_t *generations = LEAT_NEW_ARRAY(uint64_t, consumers->count);
    struct leat_error err = {0};

    /* One incarnation a call: those of another one wait for the next round. */
    size_t count = 0;
    struct leat_consumer_list these = {0};

    for (size_t i = 0; i < consumers->count; i++) {
        if (consumers->items[i]->is_paused)
            continue; /* it asks again when it is active */
        if (count > 0 && consumers->items[i]->incarnation != takes[0].incarnation) {
            queue(committer, consumers->items[i], LEAT_QUEUE_TAKES);
            continue;
        }
        generations[count] = consumers->items[i]->generation; /* before the counter is read */
        takes[count++] = wanted(committer, consumers->items[i]);
        leat_consumer_list_append(&these, consumers->items[i]);
    }
    if (count == 0) {
        committer->take_failures = 0;
    } else if (committer->store.ops->take(committer->store.committer, takes, count, &err) != 0) {
        leat_committer_doubt(committer);
        all_again(committer, &these, &err);
    } else {
        committer->take_failures = 0;
        tell_forms(committer);
        for (size_t i = 0; i < count; i++)
            sort_out(committer, these.items[i], &takes[i], generations[i]);
        LEAT_POINT("take.answered");
    }
    free(these.items);
    free(generations);
    free(takes);
}

/* ---- begin and end --------------------------------------------------------------------------- */

static void
release(struct leat_committer *committer)
{
    struct leat_runtime *runtime = committer->runtime;

    while (committer->parked != NULL) {
        struct leat_flight *flight = committer->parked;

        committer->parked = flight->next;
        leat_flight_free(flight);
    }
    if (committer->store.committer != NULL)
        committer->store.ops->committer_close(committer->store.committer);
    if (committer->rows != NULL && committer->rows != committer->store.committer)
        runtime->config.target->committer_close(committer->rows);
    leat_is_unshared();
    leat_committer_audit_release(committer);
    leat_committer_known_release(committer);
    leat_committer_meetings_release(committer);
    free(committer->takes.items);
    free(committer->dirty.items);
    free(committer->waiting.items);
    free(committer->forgets.items);
    free(committer->counts.items);
    leat_condition_release(&committer->condition);
    leat_condition_release(&committer->answered);
    leat_mutex_release(&committer->lock);
}

static int
open_committer(struct leat_committer *committer, struct leat_runtime *runtime, unsigned index,
               struct leat_error *err)
{
    int status;

    committer->runtime = runtime;
    leat_committer_audit_init(committer);
    committer->refusal_told_us = -REFUSALS_US;
    leat_mutex_init(&committer->lock);
    leat_condition_init(&committer->condition);
    leat_condition_init(&committer->answered);
    leat_random_seed(&committer->random, (uint64_t)leat_random_identity());
    status = runtime->config.target->committer_open(runtime->target, runtime->tables, index,
                                                    &committer->rows, err);
    if (status != 0)
        return status;
    if (runtime->config.target->is_transactional)
        committer->store = (struct leat_store){committer->rows, runtime->config.target};
    else
        status = leat_progress_store_open(leat_pipeline_options(runtime->pipeline),
                                          &runtime->config, &committer->store, err);
    return status;
}

int
leat_committers_start(struct leat_runtime *runtime, struct leat_error *err)
{
    int status = 0;

    runtime->committers = LEAT_NEW_ARRAY(struct leat_committer, runtime->config.committers);
    for (unsigned i = 0; i < runtime->config.committers && status == 0; i++) {
        status = open_committer(&runtime->committers[i], runtime, i, err);
        if (status == 0)
            status = leat_thread_start(&runtime->committers[i].thread, "committer",
                                       leat_committer_main, &runtime->committers[i], err);
    }
    return status;
}

void
leat_committers_stop(struct leat_runtime *runtime)
{
    for (unsigned i = 0; runtime->committers != NULL && i < runtime->config.committers; i++) {
        struct leat_committer *committer = &runtime->committers[i];

        if (committer->runtime == NULL)
            continue;
        leat_mutex_lock(&committer->lock);
        committer->is_stopping = true;
        leat_condition_broadcast(&committer->condition);
        leat_mutex_unlock(&committer->lock);
        leat_thread_join(&committer->thread);
        release(committer);
    }
    free(runtime->committers);
    runtime->committers = NULL;
}

struct leat_committer *
leat_committer_for(struct leat_runtime *runtime, struct leat_slice shard)
{
    return &runtime->committers[leat_hash(shard) % runtime->config.committers];
}
