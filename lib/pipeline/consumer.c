/*
 * The shard consumer: an actor per (processor, shard). This file is its life (docs/protocol.md §6); consumer_process.c makes
 * batches and calls the processor, consumer_epoch.c completes epochs.
 *
 *   taking ──▶ running ⇄ retrying / unavailable / isolating ──▶ ending ──▶ ended
 *     ▲  (waiting for parents: in the committer's list)    └──▶ draining ──▶ let go
 *     └── rewind: fenced, unknown, refused row                └──▶ lost, from anywhere
 *
 * While it is running a timer of the actor calls the processor's tick (consumer_tick.c).
 *
 * One recovery path: rewind. It drops everything that is not committed, takes the shard again and begins where the
 * progress row says. A generation counts the takes: what belongs to an older one is thrown away wherever it turns up.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "pipeline/committer.h"

const char *const leat_consumer_state_names[] = {
    "waiting_parents", "taking", "running", "retrying", "unavailable", "isolating", "ending",
    "draining",        "ended",  "blocked", "lost",     "paused",      "retired",
};

struct leat_message *
leat_message_new(enum leat_message_kind kind, uint64_t generation)
{
    struct leat_message *message = LEAT_NEW(struct leat_message);

    message->kind = kind;
    message->generation = generation;
    leat_arena_init(&message->arena);
    return message;
}

void
leat_message_free(struct leat_message *message)
{
    leat_chunk_unref(message->chunk);
    leat_arena_release(&message->arena);
    free(message);
}

void
leat_consumer_post(struct leat_consumer *consumer, struct leat_message *message)
{
    leat_mutex_lock(&consumer->mailbox_lock);
    *consumer->mailbox_end = message;
    consumer->mailbox_end = &message->next;
    leat_mutex_unlock(&consumer->mailbox_lock);
    leat_scheduler_wake(leat_pipeline_scheduler(consumer->runtime->pipeline), &consumer->actor);
}

static struct leat_message *
next_message(struct leat_consumer *consumer)
{
    struct leat_message *message;

    leat_mutex_lock(&consumer->mailbox_lock);
    message = consumer->mailbox;
    if (message != NULL) {
        consumer->mailbox = message->next;
        if (consumer->mailbox == NULL)
            consumer->mailbox_end = &consumer->mailbox;
    }
    leat_mutex_unlock(&consumer->mailbox_lock);
    return message;
}

void
leat_consumer_set_state(struct leat_consumer *consumer, enum leat_consumer_state state)
{
    consumer->state = (int)state;
}

struct leat_lease_key
leat_consumer_key(const struct leat_consumer *consumer)
{
    return (struct leat_lease_key){leat_slice_from(consumer->stream_id),
                                   leat_slice_from(consumer->shard_id)};
}

void
leat_consumer_block(struct leat_consumer *consumer, const struct leat_error *why)
{
    consumer->blocked = *why;
    leat_consumer_set_state(consumer, LEAT_CONSUMER_BLOCKED);
    leat_pipeline_notice(consumer, LEAT_LOG_ERROR, "a shard is blocked", why);
}

void
leat_consumer_go_on(struct leat_consumer *consumer)
{
    leat_consumer_set_state(consumer, consumer->isolation > 0 ? LEAT_CONSUMER_ISOLATING
                                                              : LEAT_CONSUMER_RUNNING);
}

void
leat_consumer_target_is_well(struct leat_consumer *consumer)
{
    int trouble = atomic_exchange(&consumer->target_trouble, LEAT_TARGET_WELL);
    int told = atomic_exchange(&consumer->committer->told, LEAT_TARGET_WELL);

    if (told != LEAT_TARGET_WELL || trouble == LEAT_TARGET_REFUSES)
        leat_pipeline_notice(consumer, LEAT_LOG_INFO, "the target can be written again", NULL);
}

/* ---- the feed -------------------------------------------------------------------------------- */

static void
deliver(void *context, uint64_t generation, struct leat_chunk *chunk)
{
    struct leat_message *message = leat_message_new(LEAT_MESSAGE_CHUNK, generation);

    message->chunk = chunk;
    leat_consumer_post(context, message);
}

static void
trouble(void *context, uint64_t generation, const struct leat_read_result *result)
{
    struct leat_message *message = leat_message_new(LEAT_MESSAGE_TROUBLE, generation);

    message->trouble = *result;
    message->trouble.chunk = NULL;
    leat_consumer_post(context, message);
}

static void
drop_chunks(struct leat_consumer *consumer)
{
    for (size_t i = 0; i < consumer->chunk_count; i++)
        leat_chunk_unref(consumer->chunks[i]);
    consumer->chunk_count = 0;
    leat_consumer_lag_forget(consumer);
    consumer->cursor = (struct leat_cursor){0};
    leat_deaggregator_reset(consumer->deaggregator);
}

static void
close_feed(struct leat_consumer *consumer)
{
    if (consumer->feed != NULL)
        leat_feed_close(consumer->feed);
    consumer->feed = NULL;
    drop_chunks(consumer);
}

static void
open_feed(struct leat_consumer *consumer)
{
    struct leat_feed_events events = {deliver, trouble, consumer};

    if (consumer->feed != NULL) {
        leat_feed_reposition(consumer->feed, &consumer->position, consumer->generation);
        leat_feed_pause(consumer->feed, false);
        return;
    }
    consumer->feed = leat_feed_open(leat_pipeline_options(consumer->runtime->pipeline)->fetcher,
                                    consumer->source, leat_slice_from(consumer->shard_id),
                                    consumer->runtime->index, &consumer->position,
                                    consumer->generation, &events);
}

/* ---- take and rewind ------------------------------------------------------------------------- */

/* Everything that is not committed is forgotten; what flies becomes stale by the generation. */
static void
forget_work(struct leat_consumer *consumer)
{
    if (consumer->feed != NULL)
        leat_feed_pause(consumer->feed, true);
    drop_chunks(consumer);
    leat_consumer_drop_epochs(consumer);
    leat_mutex_lock(&consumer->flight_lock);
    leat_consumer_discharge(consumer, consumer->filling);
    leat_pending_clear(consumer->filling);
    consumer->is_urgent = false;
    leat_mutex_unlock(&consumer->flight_lock);
    leat_consumer_drop_held(consumer);
    consumer->attempts = consumer->outages = 0;
    consumer->retry_at_us = consumer->first_failed_us = 0;
    consumer->batch_limit = 0;
    consumer->stored_letters = 0;
    leat_consumer_forget_parts(consumer, 0);
    consumer->are_children_asked = false;
    consumer->is_at_end = consumer->is_gone_asked = consumer->is_gone = false;
    consumer->is_at_tip = false;
    consumer->is_end_asked = consumer->is_end_doubted = false;
    consumer->endless_answers = 0;
    leat_consumer_count_nothing(consumer);
}

void
leat_consumer_rewind(struct leat_consumer *consumer)
{
    consumer->generation++;
    consumer->tally->rewinds++;
    forget_work(consumer);
    leat_consumer_set_state(consumer, LEAT_CONSUMER_TAKING);
    consumer->rest_at_us = 0;
    if (!consumer->is_paused) {
        leat_committer_take(consumer->committer, consumer);
        return;
    }
    close_feed(consumer);
    leat_consumer_end_state(consumer, LEAT_LEASE_LOST);
}

int64_t
leat_consumer_seen_seq(struct leat_consumer *consumer)
{
    int64_t seen;

    leat_mutex_lock(&consumer->flight_lock);
    seen = consumer->commit_seq;
    leat_mutex_unlock(&consumer->flight_lock);
    return seen;
}

/* Takes whose answers were lost have moved the number a little further. */
#define LEAP_SLACK 1000

/* Each take and each commit moves the commit number: one that does not, or that had to leap, is of another time. */
static bool
has_gone_back(int64_t seen, int64_t found)
{
    int64_t past_leap = found - seen - LEAT_TAKE_LEAP;

    return found <= seen || (seen > 0 && past_leap >= 0 && past_leap < LEAP_SLACK);
}

static void
hold(struct leat_consumer *consumer, const struct leat_progress *progress)
{
    bool went_back;

    leat_mutex_lock(&consumer->flight_lock);
    went_back = has_gone_back(consumer->commit_seq, progress->commit_seq);
    /* The same lease, taken again, is still the same take. */
    if (went_back || consumer->held_counter != consumer->lease_counter ||
        consumer->held_owner != consumer->incarnation)
        consumer->found_takes = progress->takes;
    consumer->commit_seq = progress->commit_seq;
    consumer->held_generation = consumer->generation;
    consumer->held_counter = consumer->lease_counter;
    consumer->held_owner = consumer->incarnation;
    leat_mutex_unlock(&consumer->flight_lock);
    if (!went_back)
        return;
    consumer->committed_as_of_us = 0;
    leat_pipeline_notice(consumer, LEAT_LOG_WARNING,
                         "progress in the target went back (a failover, a crash, a restored "
                         "backup): what was lost is written again",
                         NULL);
    leat_lease_audit(leat_pipeline_leases(consumer->runtime->pipeline));
}

static void
begin_running(struct leat_consumer *consumer, const struct leat_progress *progress)
{
    struct leat_error err = {0};

    if (leat_position_parse(progress->checkpoint, progress->sub_sequence, &consumer->position,
                            &err) != 0) {
        leat_consumer_block(consumer, &err);
        return;
    }
    hold(consumer, progress);
    if (consumer->position.kind == LEAT_POSITION_SHARD_END) {
        leat_consumer_set_state(consumer, LEAT_CONSUMER_ENDED);
        leat_lease_processor_ended(leat_pipeline_leases(consumer->runtime->pipeline),
                                   leat_consumer_key(consumer), consumer->lease_counter,
                                   consumer->runtime->config.name);
        return;
    }
    leat_buf_clear(&consumer->saved_state);
    leat_buf_add_slice(&consumer->saved_state, progress->saved_state);
    consumer->needs_begin = true;
    leat_consumer_begin_ticks(consumer);
    consumer->is_filtering = consumer->position.kind == LEAT_POSITION_SEQUENCE;
    consumer->is_stream_away = consumer->is_stream_lost = consumer->is_doubting = false;
    leat_consumer_go_on(consumer);
    if (!consumer->is_finishing)
        open_feed(consumer);
}

static void
on_taken(struct leat_consumer *consumer, const struct leat_message *message)
{
    if (consumer->is_draining || consumer->is_paused)
        return; /* it will be let go, or rests */
    if (message->outcome == LEAT_TAKEN) {
        /* A shard that was blocked stays so while it looks whether the target takes other rows. */
        if (consumer->peek == 0)
            leat_consumer_target_is_well(consumer);
        /* One too many: it has moved the commit number under what was made since the last one. */
        if (consumer->state != LEAT_CONSUMER_TAKING &&
            consumer->state != LEAT_CONSUMER_WAITING_PARENTS) {
            leat_consumer_rewind(consumer);
            return;
        }
        begin_running(consumer, &message->progress);
        return;
    }
    /* Progress is ahead of our lease: the lease's counter must pass it, or the lease is another's. */
    leat_lease_raise(leat_pipeline_leases(consumer->runtime->pipeline), leat_consumer_key(consumer),
                     message->progress.lease_counter);
}

/* ---- messages -------------------------------------------------------------------------------- */

static void
on_chunk(struct leat_consumer *consumer, struct leat_message *message)
{
    /* The feed keeps two, and is told of each that is gone: one dropped here would be a gap. */
    LEAT_ASSERT(consumer->chunk_count < LEAT_COUNT_OF(consumer->chunks));
    consumer->answered_us = leat_clock_monotonic_us();
    consumer->read_us = consumer->answered_us;
    consumer->unread_since_us = 0;
    leat_consumer_see_progress(consumer, message->chunk);
    leat_consumer_lag_answered(consumer, message->chunk);
    consumer->behind_ms = message->chunk->behind_ms;
    consumer->is_at_tip = message->chunk->count == 0 && message->chunk->behind_ms == 0;
    if (message->chunk->is_after_gap)
        leat_consumer_see_gap(consumer, message->chunk);
    leat_consumer_see_answer(consumer, message->chunk);
    leat_consumer_see_end(consumer, message->chunk);
    if ((message->chunk->count == 0 && !message->chunk->is_shard_end) || consumer->is_paused)
        return;
    consumer->chunks[consumer->chunk_count++] = message->chunk;
    message->chunk = NULL;
}

/* For the leases: a worker that cannot read what it holds gives it back. */
static void
note_reading(struct leat_consumer *consumer, const struct leat_read_result *result)
{
    bool is_denied = result->outcome == LEAT_READ_BLOCKED && result->err.code == LEAT_E_DENIED;

    if (!is_denied && result->outcome != LEAT_READ_AGAIN) {
        consumer->unread_since_us = 0;
        return;
    }
    if (consumer->unread_since_us == 0)
        consumer->unread_since_us = leat_clock_monotonic_us();
    consumer->is_unread_denied = is_denied;
}

/* A shard that stands still for a reason of its own is not moved by its stream. */
static void
on_trouble(struct leat_consumer *consumer, const struct leat_read_result *result)
{
    bool is_well = result->outcome == LEAT_READ_OK, is_away = result->outcome == LEAT_READ_AGAIN;

    note_reading(consumer, result);
    if (is_well && consumer->is_stream_away &&
        (consumer->state == LEAT_CONSUMER_UNAVAILABLE || consumer->state == LEAT_CONSUMER_BLOCKED))
        leat_consumer_go_on(consumer);
    if (is_well) {
        consumer->is_stream_away = false;
        leat_pipeline_notice(consumer, LEAT_LOG_INFO, "the stream can be read again", NULL);
        return;
    }
    if (result->outcome == LEAT_READ_GONE || result->outcome == LEAT_READ_INVALID) {
        leat_consumer_doubt(consumer, result);
        return;
    }
    if (is_away)
        leat_pipeline_notice(consumer, LEAT_LOG_WARNING, "the stream cannot be read: waiting",
                             &result->err);
    if (!consumer->is_stream_away && (consumer->state == LEAT_CONSUMER_BLOCKED ||
                                      (is_away && consumer->state != LEAT_CONSUMER_RUNNING &&
                                       consumer->state != LEAT_CONSUMER_ISOLATING)))
        return;
    consumer->is_stream_away = is_away || result->outcome == LEAT_READ_BLOCKED;
    if (is_away)
        leat_consumer_set_state(consumer, LEAT_CONSUMER_UNAVAILABLE);
    else
        leat_consumer_block(consumer, &result->err);
}

void
leat_consumer_stop_reading(struct leat_consumer *consumer)
{
    if (consumer->feed != NULL)
        leat_feed_pause(consumer->feed, true);
    drop_chunks(consumer);
    leat_consumer_count_nothing(consumer);
    /* needs_begin: what its state in memory holds is not what is committed. */
    if (consumer->is_begun && !consumer->needs_begin && consumer->state != LEAT_CONSUMER_TAKING &&
        consumer->state != LEAT_CONSUMER_ENDED && consumer->attempts == 0)
        leat_consumer_end_state(consumer, LEAT_SHUTDOWN);
}

static void
on_drain(struct leat_consumer *consumer, int64_t deadline_us)
{
    if (consumer->is_draining)
        return;
    consumer->is_draining = true;
    consumer->drain_deadline_us = deadline_us;
    leat_consumer_stop_reading(consumer);
    leat_consumer_set_state(consumer, LEAT_CONSUMER_DRAINING);
    leat_consumer_hurry(consumer);
}

static void
on_resume(struct leat_consumer *consumer, const struct leat_message *message)
{
    /* One that has let go while another processor of the shard had not begins again, too. */
    if (!consumer->is_draining)
        return;
    consumer->is_draining = consumer->has_let_go = false;
    if (message->is_waiting)
        leat_consumer_set_state(consumer, LEAT_CONSUMER_TAKING);
    else
        leat_consumer_rewind(consumer);
}

static void
on_lost(struct leat_consumer *consumer)
{
    consumer->generation++;
    forget_work(consumer);
    leat_consumer_set_state(consumer, LEAT_CONSUMER_LOST);
}

static void
on_acquired(struct leat_consumer *consumer, const struct leat_message *message)
{
    consumer->lease_counter = message->lease_counter;
    consumer->incarnation = message->incarnation;
    consumer->is_finishing = false;
    consumer->is_draining = consumer->has_let_go =
        false; /* a handoff under way is asked for again */
    if (consumer->state != LEAT_CONSUMER_LOST && !message->is_waiting)
        leat_consumer_rewind(consumer);
}

/* The watchdog's: it stands still, for a reason that a rewind may help. */
static void
on_rewind(struct leat_consumer *consumer)
{
    if (!consumer->is_draining && consumer->state != LEAT_CONSUMER_ENDED &&
        consumer->state != LEAT_CONSUMER_BLOCKED && consumer->state != LEAT_CONSUMER_LOST)
        leat_consumer_rewind(consumer);
}

static void
handle(struct leat_consumer *consumer, struct leat_message *message)
{
    switch (message->kind) {
    case LEAT_MESSAGE_CHUNK:
        on_chunk(consumer, message);
        break;
    case LEAT_MESSAGE_TROUBLE:
        on_trouble(consumer, &message->trouble);
        break;
    case LEAT_MESSAGE_LETTER:
        leat_consumer_letter(consumer, message);
        break;
    case LEAT_MESSAGE_TAKEN:
        on_taken(consumer, message);
        break;
    case LEAT_MESSAGE_COUNTED:
        leat_consumer_on_counted(consumer, message);
        break;
    case LEAT_MESSAGE_FLUSHED:
        leat_consumer_flushed(consumer, message);
        break;
    case LEAT_MESSAGE_CHILDREN:
        leat_consumer_commit_end(consumer);
        break;
    case LEAT_MESSAGE_GONE:
        leat_consumer_on_gone(consumer, message->is_end);
        break;
    case LEAT_MESSAGE_CLOSED:
        consumer->has_children = true;
        break;
    case LEAT_MESSAGE_FATE:
        leat_consumer_on_fate(consumer, message->fate, message->ending);
        break;
    case LEAT_MESSAGE_ACQUIRED:
        on_acquired(consumer, message);
        break;
    case LEAT_MESSAGE_DRAIN:
        on_drain(consumer, message->deadline_us);
        break;
    case LEAT_MESSAGE_RESUME:
        on_resume(consumer, message);
        break;
    case LEAT_MESSAGE_LOST:
        on_lost(consumer);
        break;
    case LEAT_MESSAGE_REWIND:
        on_rewind(consumer);
        break;
    case LEAT_MESSAGE_STATE:
        leat_consumer_follow(consumer, message->is_waiting);
        break;
    case LEAT_MESSAGE_FINISH:
        leat_consumer_begin_finish(consumer);
        break;
    case LEAT_MESSAGE_STREAM_IS_THERE:
        leat_consumer_doubt_was_wrong(consumer);
        break;
    }
}

static bool
is_for_any_generation(enum leat_message_kind kind)
{
    return kind == LEAT_MESSAGE_ACQUIRED || kind == LEAT_MESSAGE_DRAIN ||
           kind == LEAT_MESSAGE_RESUME || kind == LEAT_MESSAGE_LOST || kind == LEAT_MESSAGE_STATE ||
           kind == LEAT_MESSAGE_FINISH || kind == LEAT_MESSAGE_STREAM_IS_THERE;
}

static void
read_mail(struct leat_consumer *consumer)
{
    struct leat_message *message;

    while ((message = next_message(consumer)) != NULL) {
        /* One that is lost only waits for its committer to forget it. */
        if (consumer->state == LEAT_CONSUMER_LOST) {
            leat_message_free(message);
            continue;
        }
        if (is_for_any_generation(message->kind) || message->generation == consumer->generation)
            handle(consumer, message);
        leat_message_free(message);
    }
}

/* ---- one run --------------------------------------------------------------------------------- */

static int64_t
drain_step(struct leat_consumer *consumer)
{
    bool is_late = leat_clock_monotonic_us() >= consumer->drain_deadline_us;

    if (consumer->has_let_go)
        return INT64_MAX;
    if (!is_late && (consumer->epoch_count > 0 || !leat_consumer_is_flushed(consumer))) {
        leat_consumer_hurry(consumer);
        return consumer->drain_deadline_us;
    }
    consumer->has_let_go = true;
    leat_pipeline_let_go(consumer->runtime->pipeline, consumer);
    return INT64_MAX;
}

static int64_t
work(struct leat_consumer *consumer)
{
    int64_t tick_us, next_us;

    if (consumer->runtime->is_stopped)
        return INT64_MAX;
    if (consumer->target_trouble == LEAT_TARGET_REFUSES) {
        next_us = consumer->peek > 0 ? leat_consumer_peek_again(consumer) : INT64_MAX;
        if (next_us >= 0)
            return next_us;
    }
    if (leat_consumer_tick(consumer, &tick_us))
        return tick_us;
    next_us = leat_consumer_process(consumer);
    return next_us < tick_us ? next_us : tick_us;
}

/* Lost: nobody may know it any more before it is freed. */
static int64_t
leave(struct leat_consumer *consumer)
{
    close_feed(consumer);
    leat_consumer_drop_epochs(consumer);
    /* A target's commit that does not come back holds its committer, and nobody who waits for it. */
    if (!leat_committer_forget(consumer->committer, consumer))
        return INT64_MAX;
    if (consumer->is_begun)
        leat_consumer_end_state(consumer, LEAT_LEASE_LOST);
    leat_pipeline_gone(consumer->runtime->pipeline, consumer);
    return -1;
}

/* Of a stream that is gone: what the processor keeps, from before the take, too, is written by nobody later. */
static bool
waits_to_finish(struct leat_consumer *consumer)
{
    bool is_running = consumer->state == LEAT_CONSUMER_RUNNING ||
                      consumer->state == LEAT_CONSUMER_RETRYING ||
                      consumer->state == LEAT_CONSUMER_UNAVAILABLE ||
                      consumer->state == LEAT_CONSUMER_ISOLATING;

    return is_running && !consumer->runtime->is_stopped && consumer->needs_begin &&
           consumer->runtime->config.plugin->shard_end != NULL &&
           !leat_consumer_may_call(consumer) && consumer->state != LEAT_CONSUMER_BLOCKED;
}

static int64_t
step(struct leat_consumer *consumer)
{
    int64_t next_us = INT64_MAX;

    read_mail(consumer);
    if (consumer->state == LEAT_CONSUMER_LOST)
        return leave(consumer);
    if (consumer->is_draining)
        return drain_step(consumer);
    if (leat_consumer_is_resting(consumer) && !consumer->is_finishing)
        return leat_consumer_rest(consumer);
    switch ((enum leat_consumer_state)consumer->state) {
    case LEAT_CONSUMER_RUNNING:
    case LEAT_CONSUMER_RETRYING:
    case LEAT_CONSUMER_UNAVAILABLE:
    case LEAT_CONSUMER_ISOLATING:
        next_us = work(consumer);
        break;
    default:
        break;
    }
    if (!leat_consumer_has_finished(consumer) || waits_to_finish(consumer))
        return next_us;
    on_drain(consumer, INT64_MAX);
    return drain_step(consumer);
}

static int64_t
run(struct leat_actor *actor)
{
    struct leat_consumer *consumer = (struct leat_consumer *)actor;
    int64_t next_us = step(consumer);

    if (next_us < 0) /* it is gone */
        return next_us;
    /* Who waits, for whatever, keeps nothing expanded: others wait for that room. */
    if (next_us > 0)
        leat_deaggregator_reset(consumer->deaggregator);
    leat_consumer_mark(consumer);
    return next_us;
}

/* ---- made and freed -------------------------------------------------------------------------- */

static bool
is_cancelled(void *context)
{
    struct leat_consumer *consumer = context;
    int64_t now_us = leat_clock_monotonic_us();

    return consumer->is_let_go || now_us >= consumer->cancel_at_us ||
           now_us >= consumer->drain_at_us;
}

static void
make_deaggregator(struct leat_consumer *consumer, const struct leat_owned_lease *lease)
{
    struct leat_expand_limits limits = {
        consumer->runtime->config.expand_limit_bytes, consumer->runtime->config.expand_ratio,
        consumer->runtime->config.expand_elements, consumer->runtime->config.expand_outside};
    struct leat_hash_key start, end;
    bool has_range = leat_hash_key_parse(lease->starting_hash_key, &start) &&
                     leat_hash_key_parse(lease->ending_hash_key, &end);

    consumer->deaggregator =
        leat_deaggregator_new(&limits, has_range ? &start : NULL, has_range ? &end : NULL);
    leat_deaggregator_charge_to(consumer->deaggregator,
                                leat_pipeline_options(consumer->runtime->pipeline)->memory);
}

struct leat_consumer *
leat_consumer_new(struct leat_runtime *runtime, const struct leat_owned_lease *lease,
                  const struct leat_shard_start *start, int64_t incarnation)
{
    struct leat_consumer *consumer = LEAT_NEW(struct leat_consumer);

    leat_is_unshared();
    consumer->actor.run = run;
    consumer->runtime = runtime;
    consumer->stream = leat_strdup(lease->source->facts.name);
    consumer->tally = leat_tally_of(runtime, consumer->stream);
    consumer->stream_id = leat_slice_strdup(lease->key.stream_id);
    consumer->shard_id = leat_slice_strdup(lease->key.shard);
    consumer->start = leat_slice_strdup(start->start);
    consumer->source = leat_source_ref(lease->source);
    consumer->parents = LEAT_NEW_ARRAY(struct leat_slice, start->parent_count);
    for (size_t i = 0; i < start->parent_count; i++)
        consumer->parents[consumer->parent_count++] = leat_slice_copy(start->parents[i]);
    consumer->shard = (struct leat_shard){sizeof consumer->shard,
                                          leat_slice_from(consumer->stream),
                                          leat_slice_from(consumer->stream_id),
                                          leat_slice_from(consumer->shard_id),
                                          0,
                                          1};
    consumer->committer = leat_committer_for(runtime, lease->key.shard);
    consumer->is_paused = runtime->state != LEAT_PROCESSOR_ACTIVE;
    leat_mutex_init(&consumer->mailbox_lock);
    leat_mutex_init(&consumer->flight_lock);
    consumer->mailbox_end = &consumer->mailbox;
    consumer->filling = leat_pending_new(runtime->schema);
    consumer->epochs_end = &consumer->epochs;
    consumer->refused_generation = UINT64_MAX;
    consumer->cancel_at_us = consumer->drain_at_us = INT64_MAX;
    consumer->behind_ms = -1;
    consumer->least_behind_ms = INT64_MAX;
    consumer->answered_us = leat_clock_monotonic_us();
    consumer->tick_at_us = INT64_MAX;
    leat_buf_init(&consumer->saved_state, SIZE_MAX);
    leat_random_seed(&consumer->random, (uint64_t)leat_random_identity());
    leat_emission_init(&consumer->emission, runtime->schema);
    consumer->emission.is_cancelled = is_cancelled;
    consumer->emission.context = consumer;
    make_deaggregator(consumer, lease);
    leat_consumer_set_state(consumer, LEAT_CONSUMER_TAKING);
    consumer->lease_counter = lease->lease_counter;
    consumer->incarnation = incarnation;
    return consumer;
}

void
leat_consumer_free(struct leat_consumer *consumer)
{
    struct leat_message *message;

    close_feed(consumer);
    leat_consumer_drop_epochs(consumer);
    while ((message = next_message(consumer)) != NULL)
        leat_message_free(message);
    leat_is_unshared();
    leat_consumer_discharge(consumer, consumer->filling);
    leat_pending_free(consumer->filling);
    leat_pending_free(consumer->spare);
    leat_consumer_drop_held(consumer);
    leat_emission_release(&consumer->emission);
    leat_deaggregator_free(consumer->deaggregator);
    leat_buf_release(&consumer->saved_state);
    for (size_t i = 0; i < consumer->parent_count; i++)
        free((void *)consumer->parents[i].data);
    leat_source_unref(consumer->source);
    free(consumer->parents);
    free(consumer->records);
    free(consumer->record_pointers);
    free(consumer->bad);
    free(consumer->parts);
    free(consumer->given_up);
    free(consumer->stream);
    free(consumer->stream_id);
    free(consumer->shard_id);
    free(consumer->start);
    leat_mutex_release(&consumer->mailbox_lock);
    leat_mutex_release(&consumer->flight_lock);
    free(consumer);
}
