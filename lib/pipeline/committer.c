/*
 * A committer: a thread with its own connection to the target. It takes shards and flushes what their consumers have
 * complete: at once when somebody is in a hurry, else when `linger` has passed.
 *
 * Stories. (1) A commit that is unknown is resolved before anything else of its shards is sent. (2) One that must wait (the
 * target is down, a row is locked, a table is missing) is parked with its rows and sent again as it is; the others go on.
 * (3) A flight whose consumer has rewound meanwhile is dropped: the take moved the commit number, it could not get in.
 * (4) A flush is refused while the shard's next one is ready: that must not fly, since a refusal leaves the commit number as it
 * was and the fence would let it pass. Nothing of a generation flies after one of its flushes did not get in.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "pipeline/audit.h"
#include "pipeline/flight.h"
#include "pipeline/meeting.h"

#define LIGHT_LINGER_US (1 * LEAT_SECOND_US)
#define LEAST_LINGER_US (20 * LEAT_MS_US)
#define MOST_LINGER_US (1 * LEAT_SECOND_US)
#define PARENTS_US (1 * LEAT_SECOND_US)

/* ---- queues: any thread ---------------------------------------------------------------------- */

void
leat_committer_wake(struct leat_committer *committer)
{
    committer->is_woken = true;
    leat_condition_signal(&committer->condition);
}

static struct leat_consumer_list *
list_of(struct leat_committer *committer, enum leat_queue queue) LEAT_REQUIRES(committer->lock)
{
    return queue == LEAT_QUEUE_TAKES     ? &committer->takes
           : queue == LEAT_QUEUE_DIRTY   ? &committer->dirty
           : queue == LEAT_QUEUE_WAITING ? &committer->waiting
           : queue == LEAT_QUEUE_COUNTS  ? &committer->counts
                                         : &committer->forgets;
}

void
leat_consumer_list_append(struct leat_consumer_list *list, struct leat_consumer *consumer)
{
    LEAT_GROW(list->items, list->count, list->capacity);
    list->items[list->count++] = consumer;
}

void
leat_committer_queue(struct leat_committer *committer, struct leat_consumer *consumer,
                     enum leat_queue queue)
{
    if (consumer->queues & queue)
        return;
    consumer->queues |= queue;
    leat_consumer_list_append(list_of(committer, queue), consumer);
}

void
leat_committer_unqueue(struct leat_committer *committer, struct leat_consumer *consumer,
                       enum leat_queue queue)
{
    struct leat_consumer_list *list = list_of(committer, queue);

    if (!(consumer->queues & queue))
        return;
    consumer->queues &= ~(unsigned)queue;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] == consumer)
            list->items[i--] = list->items[--list->count];
    }
}

void
leat_committer_take(struct leat_committer *committer, struct leat_consumer *consumer)
{
    leat_mutex_lock(&committer->lock);
    leat_committer_queue(committer, consumer, LEAT_QUEUE_TAKES);
    leat_committer_wake(committer);
    leat_mutex_unlock(&committer->lock);
}

void
leat_committer_dirty(struct leat_committer *committer, struct leat_consumer *consumer)
{
    leat_mutex_lock(&committer->lock);
    if (!consumer->is_dirty) {
        consumer->is_dirty = true;
        leat_committer_queue(committer, consumer, LEAT_QUEUE_DIRTY);
    }
    leat_committer_wake(committer);
    leat_mutex_unlock(&committer->lock);
}

bool
leat_committer_forget(struct leat_committer *committer, struct leat_consumer *consumer)
{
    bool is_forgotten;

    leat_mutex_lock(&committer->lock);
    if (!consumer->is_leaving) {
        consumer->is_leaving = true;
        leat_committer_queue(committer, consumer, LEAT_QUEUE_FORGETS);
        leat_committer_wake(committer);
    }
    is_forgotten = !(consumer->queues & LEAT_QUEUE_FORGETS) || committer->is_ended;
    leat_mutex_unlock(&committer->lock);
    return is_forgotten;
}

void
leat_committer_call_begin(struct leat_committer *committer, const char *call)
{
    committer->call = call;
    committer->calling_since_us = leat_clock_monotonic_us();
}

void
leat_committer_call_end(struct leat_committer *committer)
{
    committer->calling_since_us = 0;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static int64_t
linger_us(const struct leat_committer *committer)
{
    int64_t linger_us = committer->runtime->config.linger_us;

    if (linger_us >= 0)
        return linger_us;
    /* Progress costs at most 5 % of the time: twenty times what the cheapest commit takes. */
    linger_us = committer->cheapest_us * 20;
    return linger_us < LEAST_LINGER_US  ? LEAST_LINGER_US
           : linger_us > MOST_LINGER_US ? MOST_LINGER_US
                                        : linger_us;
}

static bool
is_liftable(const struct leat_consumer *consumer) LEAT_REQUIRES(consumer->flight_lock)
{
    return !consumer->is_flying && consumer->filling->has_end &&
           (!consumer->filling->is_gathering || consumer->is_urgent) &&
           consumer->filling->generation != consumer->refused_generation;
}

/* When this consumer's pending is due; INT64_MAX: nothing to flush, or it flies. */
static int64_t
due_us(struct leat_committer *committer, struct leat_consumer *consumer)
{
    int64_t at_us = INT64_MAX;

    leat_mutex_lock(&consumer->flight_lock);
    if (is_liftable(consumer)) {
        if (consumer->is_urgent)
            at_us = 0;
        else
            at_us = consumer->filling->since_us + (leat_pending_is_light(consumer->filling)
                                                       ? LIGHT_LINGER_US
                                                       : linger_us(committer));
    }
    leat_mutex_unlock(&consumer->flight_lock);
    return at_us;
}

/* Takes the pending out of the consumer; NULL: there is none. */
static struct leat_pending *
lift(struct leat_consumer *consumer)
{
    struct leat_pending *pending = NULL;

    leat_mutex_lock(&consumer->flight_lock);
    if (is_liftable(consumer)) {
        pending = consumer->filling;
        consumer->filling = consumer->spare != NULL ? consumer->spare
                                                    : leat_pending_new(consumer->runtime->schema);
        consumer->spare = NULL;
        consumer->is_flying = true;
        consumer->is_urgent = false;
        pending->commit_seq = consumer->commit_seq;
    }
    leat_mutex_unlock(&consumer->flight_lock);
    if (pending == NULL)
        return NULL;
    /* It may wait for room: what is empty now fills while this one flies, not after. */
    leat_scheduler_wake(leat_pipeline_scheduler(consumer->runtime->pipeline), &consumer->actor);
    leat_buf_clear(&pending->checkpoint);
    leat_position_format(&pending->end, &pending->checkpoint);
    leat_buf_clear(&pending->last_checkpoint);
    if (pending->end.kind == LEAT_POSITION_SHARD_END)
        leat_position_format(&pending->last, &pending->last_checkpoint);
    return pending;
}

/* Everything that is dirty goes along once one is due, as far as a flush may be large. */
static struct leat_flight *
make_flight(struct leat_committer *committer, struct leat_consumer_list *dirty)
{
    struct leat_flight *flight = leat_flight_new(committer->runtime);
    size_t bytes = 0, most = leat_flush_bytes(committer->runtime);

    for (size_t i = 0; i < dirty->count && bytes < most; i++) {
        struct leat_pending *pending = lift(dirty->items[i]);

        if (pending == NULL)
            continue;
        bytes += leat_pending_bytes(pending);
        leat_flight_add(flight, dirty->items[i], pending);
    }
    if (flight->count > 0)
        return flight;
    leat_flight_free(flight);
    return NULL;
}

static void
park(struct leat_committer *committer, struct leat_flight *flight)
{
    flight->next = committer->parked;
    committer->parked = flight;
}

static void
fly(struct leat_committer *committer, struct leat_flight *flight)
{
    struct leat_flight_result result;

    while (flight != NULL) {
        leat_committer_call_begin(committer, "commit");
        result = leat_flight_fly(flight, &committer->store, committer->rows, &committer->random);
        leat_committer_call_end(committer);
        if (result.commit_us > 0 &&
            (committer->cheapest_us == 0 || result.commit_us < committer->cheapest_us))
            committer->cheapest_us = result.commit_us;
        if (result.ended_a_shard)
            committer->parents_at_us = 0;
        if (result.is_parked) {
            leat_committer_doubt(committer);
            park(committer, flight);
            return;
        }
        leat_flight_free(flight);
        flight = result.rest;
        /* Several: the others wait for their turn as if they were parked, due at once. */
        while (flight != NULL && flight->next != NULL) {
            struct leat_flight *other = flight->next;

            flight->next = other->next;
            park(committer, other);
        }
    }
}

/* Parked flights that are due, one by one. Returns when the next one is. */
static int64_t
fly_parked(struct leat_committer *committer, int64_t now_us)
{
    struct leat_flight *parked = committer->parked;
    int64_t next_us = INT64_MAX;

    committer->parked = NULL;
    while (parked != NULL) {
        struct leat_flight *flight = parked;

        parked = parked->next;
        flight->next = NULL;
        if (flight->retry_at_us <= now_us)
            fly(committer, flight);
        else
            park(committer, flight);
    }
    for (struct leat_flight *flight = committer->parked; flight != NULL; flight = flight->next) {
        if (flight->retry_at_us < next_us)
            next_us = flight->retry_at_us;
    }
    return next_us;
}

static void
drop_parked(struct leat_committer *committer, const struct leat_consumer *consumer)
{
    struct leat_flight **link = &committer->parked;

    while (*link != NULL) {
        struct leat_flight *flight = *link;

        leat_flight_drop(flight, consumer);
        if (flight->count > 0) {
            link = &flight->next;
            continue;
        }
        *link = flight->next;
        leat_flight_free(flight);
    }
}

static void
forget_all(struct leat_committer *committer)
{
    leat_mutex_lock(&committer->lock);
    while (committer->forgets.count > 0) {
        struct leat_consumer *consumer = committer->forgets.items[0];

        leat_committer_unqueue(committer, consumer, LEAT_QUEUE_TAKES);
        leat_committer_unqueue(committer, consumer, LEAT_QUEUE_DIRTY);
        leat_committer_unqueue(committer, consumer, LEAT_QUEUE_WAITING);
        leat_committer_unqueue(committer, consumer, LEAT_QUEUE_COUNTS);
        leat_mutex_unlock(&committer->lock);
        drop_parked(committer, consumer);
        leat_mutex_lock(&committer->lock);
        leat_committer_unqueue(committer, consumer, LEAT_QUEUE_FORGETS);
        /* Under the lock: the next one who sees that it is forgotten frees it. */
        leat_scheduler_wake(leat_pipeline_scheduler(consumer->runtime->pipeline), &consumer->actor);
    }
    leat_mutex_unlock(&committer->lock);
}

struct leat_consumer_list
leat_committer_steal(struct leat_committer *committer, enum leat_queue queue)
{
    struct leat_consumer_list stolen, *list;

    leat_mutex_lock(&committer->lock);
    list = list_of(committer, queue);
    stolen = *list;
    *list = (struct leat_consumer_list){0};
    for (size_t i = 0; i < stolen.count; i++)
        stolen.items[i]->queues &= ~(unsigned)queue;
    leat_mutex_unlock(&committer->lock);
    return stolen;
}

static int64_t
next_take_us(struct leat_committer *committer)
{
    int64_t next_us;

    leat_mutex_lock(&committer->lock);
    next_us = committer->takes.count > 0     ? committer->take_at_us
              : committer->waiting.count > 0 ? committer->parents_at_us
                                             : INT64_MAX;
    leat_mutex_unlock(&committer->lock);
    return next_us;
}

static int64_t
take_all(struct leat_committer *committer, int64_t now_us)
{
    struct leat_consumer_list takes;

    if (now_us < committer->take_at_us)
        return next_take_us(committer);
    if (now_us >= committer->parents_at_us) {
        struct leat_consumer_list waiting = leat_committer_steal(committer, LEAT_QUEUE_WAITING);

        leat_mutex_lock(&committer->lock);
        for (size_t i = 0; i < waiting.count; i++)
            leat_committer_queue(committer, waiting.items[i], LEAT_QUEUE_TAKES);
        leat_mutex_unlock(&committer->lock);
        free(waiting.items);
        committer->parents_at_us = now_us + PARENTS_US;
    }
    takes = leat_committer_steal(committer, LEAT_QUEUE_TAKES);
    leat_committer_call_begin(committer, "take");
    if (takes.count > 0)
        leat_committer_run_takes(committer, &takes);
    leat_committer_call_end(committer);
    free(takes.items);
    return next_take_us(committer);
}

/* Back into the list when there is still something to flush. A consumer that adds while this looks is not lost: it finds
   is_dirty false and adds itself. */
static void
keep_dirty(struct leat_committer *committer, struct leat_consumer *consumer)
{
    consumer->is_dirty = false;
    if (due_us(committer, consumer) == INT64_MAX)
        return;
    leat_mutex_lock(&committer->lock);
    if (!consumer->is_dirty) {
        consumer->is_dirty = true;
        leat_committer_queue(committer, consumer, LEAT_QUEUE_DIRTY);
    }
    leat_mutex_unlock(&committer->lock);
}

/* Flushes when somebody is due; what has nothing to flush leaves the list. */
static int64_t
flush_all(struct leat_committer *committer, int64_t now_us)
{
    struct leat_consumer_list dirty = leat_committer_steal(committer, LEAT_QUEUE_DIRTY);
    struct leat_flight *flight = NULL;
    int64_t next_us = INT64_MAX;

    for (size_t i = 0; i < dirty.count; i++) {
        int64_t at_us = due_us(committer, dirty.items[i]);

        if (at_us < next_us)
            next_us = at_us;
    }
    if (next_us <= now_us)
        flight = make_flight(committer, &dirty);
    for (size_t i = 0; i < dirty.count; i++) {
        keep_dirty(committer, dirty.items[i]);
    }
    free(dirty.items);
    if (flight == NULL)
        return next_us;
    fly(committer, flight);
    return 0;
}

static void
wait_for_work(struct leat_committer *committer, int64_t until_us)
{
    leat_mutex_lock(&committer->lock);
    if (!committer->is_stopping && committer->forgets.count == 0 && !committer->is_woken) {
        if (until_us == INT64_MAX)
            leat_condition_wait(&committer->condition, &committer->lock);
        else
            leat_condition_wait_until(&committer->condition, &committer->lock, until_us);
    }
    committer->is_woken = false;
    leat_mutex_unlock(&committer->lock);
}

static bool
is_stopping(struct leat_committer *committer)
{
    bool is_stopping;

    leat_mutex_lock(&committer->lock);
    is_stopping = committer->is_stopping;
    leat_mutex_unlock(&committer->lock);
    return is_stopping;
}

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void
leat_committer_main(void *context)
{
    struct leat_committer *committer = context;

    while (!is_stopping(committer)) {
        int64_t now_us = leat_clock_monotonic_us(), next_us;

        forget_all(committer);
        leat_committer_call_begin(committer, "progress_list");
        leat_committer_answer_meetings(committer);
        leat_committer_call_end(committer);
        next_us = take_all(committer, now_us);
        next_us = least(next_us, leat_committer_run_counts(committer, now_us));
        next_us = least(next_us, fly_parked(committer, now_us));
        next_us = least(next_us, flush_all(committer, now_us));
        leat_committer_call_begin(committer, "progress_read");
        next_us = least(next_us, leat_committer_audit(committer, now_us));
        leat_committer_call_begin(committer, "progress_forget");
        leat_committer_clean_up(committer);
        leat_committer_call_end(committer);
        if (next_us > now_us)
            wait_for_work(committer, next_us);
    }
    leat_mutex_lock(&committer->lock);
    committer->is_ended = true;
    leat_mutex_unlock(&committer->lock);
}
