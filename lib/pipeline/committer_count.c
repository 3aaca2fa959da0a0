/*
 * Counts takes for whose shards there is something to do, many in one call: all that have asked since the last one. What cannot be
 * counted now waits alone, and is tried again: a row that somebody holds, or all of them while the target is away.
 */
#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "pipeline/audit.h"
#include "pipeline/committer.h"

#define AGAIN_BASE_US (50 * LEAT_MS_US)
#define AGAIN_CAP_US (5 * LEAT_SECOND_US)
#define LOCKED_CAP_US (1 * LEAT_SECOND_US)
#define LOCKED_TOLD 4

/* What was asked for: the answer is of that generation. */
struct asked {
    struct leat_consumer *consumer;
    uint64_t generation;
};

bool
leat_committer_counts(const struct leat_committer *committer)
{
    const struct leat_target *ops = committer->store.ops;

    return ops->size >= offsetof(struct leat_target, count_takes) + sizeof ops->count_takes &&
           ops->count_takes != NULL;
}

void
leat_committer_count(struct leat_committer *committer, struct leat_consumer *consumer)
{
    leat_mutex_lock(&committer->lock);
    leat_committer_queue(committer, consumer, LEAT_QUEUE_COUNTS);
    leat_committer_wake(committer);
    leat_mutex_unlock(&committer->lock);
}

void
leat_committer_count_not(struct leat_committer *committer, struct leat_consumer *consumer)
{
    leat_mutex_lock(&committer->lock);
    leat_committer_unqueue(committer, consumer, LEAT_QUEUE_COUNTS);
    leat_mutex_unlock(&committer->lock);
}

/* Not if it has rewound since: then it asks by itself, behind its take. */
static void
again(struct leat_committer *committer, const struct asked *asked)
{
    if (asked->consumer->generation != asked->generation)
        return;
    leat_mutex_lock(&committer->lock);
    leat_committer_queue(committer, asked->consumer, LEAT_QUEUE_COUNTS);
    leat_mutex_unlock(&committer->lock);
}

/* false: it has rewound since it asked; it asks again behind its take. */
static bool
wanted(const struct leat_committer *committer, struct leat_consumer *consumer,
       struct leat_take_count *count, struct asked *asked)
{
    const struct leat_pipeline_options *options =
        leat_pipeline_options(committer->runtime->pipeline);
    bool is_held;

    leat_mutex_lock(&consumer->flight_lock);
    *asked = (struct asked){consumer, consumer->held_generation};
    is_held = consumer->held_generation == consumer->generation;
    *count = (struct leat_take_count){
        .key = {.application = leat_slice_from(options->application),
                .processor = leat_slice_from(committer->runtime->config.name),
                .tenant = leat_slice_from(""),
                .stream_id = leat_slice_from(consumer->stream_id),
                .shard = leat_slice_from(consumer->shard_id)},
        .lease_counter = consumer->held_counter,
        .incarnation = consumer->held_owner,
        .commit_seq = consumer->commit_seq,
        .takes = consumer->found_takes < INT32_MAX ? consumer->found_takes + 1 : INT32_MAX,
    };
    leat_mutex_unlock(&consumer->flight_lock);
    return is_held && !consumer->is_paused && !consumer->is_let_go;
}

/* The call failed: all of them again, later; who waits longer than a moment says so. */
static void
all_again(struct leat_committer *committer, const struct asked *asked, size_t count,
          const struct leat_error *err)
{
    bool is_lasting = committer->count_failures >= 2 || !err->is_retryable;

    for (size_t i = 0; i < count; i++) {
        again(committer, &asked[i]);
        if (!is_lasting)
            continue;
        asked[i].consumer->target_trouble = LEAT_TARGET_AWAY;
        if (leat_committer_tells(committer, LEAT_TARGET_AWAY))
            leat_pipeline_notice(
                asked[i].consumer, LEAT_LOG_WARNING,
                "could not count a take, and calls no processor before it is: trying again", err);
    }
    committer->count_at_us = leat_clock_monotonic_us() +
                             leat_backoff_us(&committer->random, AGAIN_BASE_US, AGAIN_CAP_US,
                                             committer->count_failures++);
}

/* Somebody's transaction holds the row: this shard waits, visibly, and no other. */
static void
on_locked(struct leat_committer *committer, const struct asked *asked)
{
    struct leat_consumer *consumer = asked->consumer;
    struct leat_error why;

    consumer->count_at_us = leat_clock_monotonic_us() +
                            leat_backoff_us(&committer->random, AGAIN_BASE_US, LOCKED_CAP_US,
                                            consumer->locked_counts++);
    again(committer, asked);
    if (consumer->locked_counts < LOCKED_TOLD)
        return;
    consumer->target_trouble = LEAT_TARGET_AWAY;
    if (consumer->locked_counts > LOCKED_TOLD)
        return;
    leat_error_set(&why, LEAT_E_UNAVAILABLE, "a transaction of somebody else holds it");
    leat_pipeline_notice(consumer, LEAT_LOG_WARNING,
                         "a shard's progress row is locked, and no processor is called before its "
                         "take is counted there: trying again",
                         &why);
}

static void
answer(struct leat_committer *committer, const struct asked *asked,
       const struct leat_take_count *count)
{
    struct leat_message *message;

    if (count->outcome == LEAT_TAKE_COUNTED) {
        message = leat_message_new(LEAT_MESSAGE_COUNTED, asked->generation);
        message->lease_counter = count->lease_counter;
        message->incarnation = count->incarnation;
        message->takes = count->takes;
    } else if (count->outcome == LEAT_TAKE_COUNT_FENCED) {
        asked->consumer->tally->fenced++;
        message = leat_message_new(LEAT_MESSAGE_FLUSHED, asked->generation);
        message->result.outcome = LEAT_COMMIT_FENCED;
    } else {
        on_locked(committer, asked);
        return;
    }
    asked->consumer->locked_counts = 0;
    asked->consumer->count_at_us = 0;
    leat_consumer_post(asked->consumer, message);
}

static void
run(struct leat_committer *committer, const struct leat_consumer_list *consumers)
{
    struct leat_take_count *counts = LEAT_NEW_ARRAY(struct leat_take_count, consumers->count);
    struct asked *asked = LEAT_NEW_ARRAY(struct asked, consumers->count);
    struct leat_error err = {0};
    size_t count = 0;
    int status = 0;

    for (size_t i = 0; i < consumers->count; i++)
        count += wanted(committer, consumers->items[i], &counts[count], &asked[count]);
    if (count > 0)
        status = committer->store.ops->count_takes(committer->store.committer, counts, count, &err);
    if (status != 0) {
        leat_committer_doubt(committer);
        all_again(committer, asked, count, &err);
    } else {
        committer->count_failures = 0;
        for (size_t i = 0; i < count; i++)
            answer(committer, &asked[i], &counts[i]);
        LEAT_POINT("count.answered");
    }
    free(asked);
    free(counts);
}

/* Those that are due; the others go back. */
static void
keep_due(struct leat_committer *committer, struct leat_consumer_list *counts, int64_t now_us)
{
    size_t due = 0;

    leat_mutex_lock(&committer->lock);
    for (size_t i = 0; i < counts->count; i++) {
        if (counts->items[i]->count_at_us > now_us)
            leat_committer_queue(committer, counts->items[i], LEAT_QUEUE_COUNTS);
        else
            counts->items[due++] = counts->items[i];
    }
    leat_mutex_unlock(&committer->lock);
    counts->count = due;
}

static int64_t
next_us(struct leat_committer *committer)
{
    int64_t next_us = INT64_MAX;

    leat_mutex_lock(&committer->lock);
    for (size_t i = 0; i < committer->counts.count; i++) {
        if (committer->counts.items[i]->count_at_us < next_us)
            next_us = committer->counts.items[i]->count_at_us;
    }
    leat_mutex_unlock(&committer->lock);
    return next_us == INT64_MAX || next_us > committer->count_at_us ? next_us
                                                                    : committer->count_at_us;
}

int64_t
leat_committer_run_counts(struct leat_committer *committer, int64_t now_us)
{
    struct leat_consumer_list counts;

    if (now_us < committer->count_at_us)
        return next_us(committer);
    counts = leat_committer_steal(committer, LEAT_QUEUE_COUNTS);
    keep_due(committer, &counts, now_us);
    leat_committer_call_begin(committer, "count_takes");
    if (counts.count > 0)
        run(committer, &counts);
    leat_committer_call_end(committer);
    free(counts.items);
    return next_us(committer);
}
