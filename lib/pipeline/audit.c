/*
 * Progress is the only checkpoint there is, and it may go back under a running worker: a failover that lost the last commits, a
 * crash with asynchronous commits, a backup that was restored. Whoever commits is fenced and begins again where progress says.
 * This file finds those who commit nothing.
 *
 * Stories it survives. (1) A shard is silent, and its last commits are lost: nothing is fenced, the rows stay missing. So each
 * committer compares, by one plain SELECT every 15 s and as soon as the target answers again, what its consumers hold with their
 * rows; who differs is rewound as if it had been fenced. (2) A parent's SHARD_END is lost, its lease has ended, its children
 * wait: they ask, more and more seldom, and the lease manager tells which leases have ended (lease/audit.c); those below
 * SHARD_END here are opened again, all generations at once. (3) Everything has ended, nobody waits: the same is asked for after
 * each outage and every ten minutes. (4) A child runs on while its parent went back: that cannot be. A backup is one moment: its
 * row is there only if its parent's said SHARD_END when it was first taken. Else its row is gone, it is fenced or found here, and
 * its take finds the parent and waits. (5) The row of a parent that is ending right now: its lease had not ended when leases were
 * read, so it is not asked about. (6) The other way round: progress says SHARD_END, and the shard is open (lease/open.c). It is put
 * back to where it was, and then its lease is opened. Its children may run already: what they have committed stays, those that have
 * not begun wait again.
 */
#include "pipeline/audit.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "pipeline/registry.h"

#define LOOK_US (15 * LEAT_SECOND_US)
#define AGAIN_US (1 * LEAT_SECOND_US)
#define DOUBT_US (30 * LEAT_SECOND_US)
#define ASK_FIRST_US (1 * LEAT_SECOND_US)
#define ASK_MOST_US (60 * LEAT_SECOND_US)
#define KEYS_AT_ONCE 256 /* answers are matched with questions one by one */

struct leat_audit {
    struct leat_audit *next;
    struct leat_arena arena;
    struct leat_slice stream_id;
    struct leat_slice *shards;
    size_t count;
    bool is_open;
};

/* What one consumer holds, and so expects to find. */
struct held {
    struct leat_consumer *consumer;
    uint64_t generation;
    int64_t lease_counter, lease_owner, commit_seq;
};

static struct leat_progress_key
key_of(const struct leat_committer *committer, struct leat_slice stream_id, struct leat_slice shard)
{
    return (struct leat_progress_key){
        .application =
            leat_slice_from(leat_pipeline_options(committer->runtime->pipeline)->application),
        .processor = leat_slice_from(committer->runtime->config.name),
        .tenant = leat_slice_from(""),
        .stream_id = stream_id,
        .shard = shard,
    };
}

static int
read_progress(struct leat_committer *committer, const struct leat_progress_key *keys, size_t count,
              struct leat_progress *ret_progress)
{
    struct leat_error err;

    return committer->store.ops->progress_read(committer->store.committer, keys, count,
                                               ret_progress, &err);
}

static void
ask(struct leat_committer *committer)
{
    struct leat_lease_manager *leases = leat_pipeline_leases(committer->runtime->pipeline);

    if (leases != NULL)
        leat_lease_audit(leases);
}

/* ---- those that have ended ------------------------------------------------------------------- */

void
leat_committer_tell_ended(struct leat_committer *committer, struct leat_slice stream_id,
                          const struct leat_slice *shards, size_t count, bool is_open)
{
    struct leat_audit *audit = LEAT_NEW(struct leat_audit);

    leat_arena_init(&audit->arena);
    audit->stream_id = leat_arena_copy(&audit->arena, stream_id);
    audit->shards = leat_arena_alloc(&audit->arena, count * sizeof *audit->shards);
    audit->count = count;
    audit->is_open = is_open;
    for (size_t i = 0; i < count; i++)
        audit->shards[i] = leat_arena_copy(&audit->arena, shards[i]);
    leat_mutex_lock(&committer->lock);
    audit->next = committer->audits;
    committer->audits = audit;
    committer->is_woken = true;
    leat_condition_signal(&committer->condition);
    leat_mutex_unlock(&committer->lock);
}

static void
free_audit(struct leat_audit *audit)
{
    leat_arena_release(&audit->arena);
    free(audit);
}

/* The row says SHARD_END, and its last position is not known: an older leat wrote it. From where to go on nobody but a person can say:
   from the begin all would be done twice, from now on what lies between would be lost. */
static void
say_unknown(struct leat_committer *committer, const struct leat_audit *audit,
            struct leat_slice shard)
{
    const char *processor = committer->runtime->config.name;
    struct leat_error why;

    leat_error_set(&why, LEAT_E_CONFLICT,
                   "shard \"%.*s\" of %.*s is open, and progress of processor \"%s\" says that it "
                   "has ended: nobody reads it; say from where: leat checkpoint set --processor %s "
                   "--shard %.*s --to time=TIME",
                   (int)shard.size, (const char *)shard.data, (int)audit->stream_id.size,
                   (const char *)audit->stream_id.data, processor, processor, (int)shard.size,
                   (const char *)shard.data);
    leat_pipeline_say(committer->runtime, LEAT_LOG_ERROR,
                      "an open shard is at its end in the target", &why);
}

static void
say_reopened(struct leat_committer *committer, const struct leat_audit *audit,
             const struct leat_progress_reopen *reopen)
{
    const struct leat_progress_key *key = &reopen->key;
    struct leat_error why;

    leat_error_set(
        &why, LEAT_E_CONFLICT,
        "shard \"%.*s\" of %.*s is read on behind %.*s: progress of processor \"%s\" said "
        "that it had ended, and the list of shards tells twice that it is open; records "
        "of its children that are processed already stay so",
        (int)key->shard.size, (const char *)key->shard.data, (int)audit->stream_id.size,
        (const char *)audit->stream_id.data, (int)reopen->checkpoint.size,
        (const char *)reopen->checkpoint.data, committer->runtime->config.name);
    leat_pipeline_say(committer->runtime, LEAT_LOG_WARNING,
                      "an open shard was at its end in the target: it is put back", &why);
}

/* Below its end from now on? *ret_is_lost is untouched where somebody else was at it. 0, or the target did not answer. */
static int
put_back(struct leat_committer *committer, const struct leat_audit *audit,
         const struct leat_progress_key *key, const struct leat_progress *seen, bool *ret_is_lost)
{
    const struct leat_target *ops = committer->store.ops;
    struct leat_progress_reopen reopen = {.size = sizeof reopen,
                                          .key = *key,
                                          .lease_counter = seen->lease_counter,
                                          .commit_seq = seen->commit_seq,
                                          .outcome = LEAT_REOPEN_UNKNOWN};
    struct leat_error err;

    if (ops->size >= offsetof(struct leat_target, progress_reopen) + sizeof ops->progress_reopen &&
        ops->progress_reopen != NULL) {
        int status;

        LEAT_POINT("audit.reopen");
        leat_committer_call_begin(committer, "progress_reopen");
        status = ops->progress_reopen(committer->store.committer, &reopen, &err);
        leat_committer_call_end(committer);
        if (status != 0)
            return status;
    }
    if (reopen.outcome == LEAT_REOPEN_UNKNOWN)
        say_unknown(committer, audit, key->shard);
    if (reopen.outcome == LEAT_REOPENED) {
        say_reopened(committer, audit, &reopen);
        LEAT_POINT("audit.reopened");
        *ret_is_lost = true;
    }
    return 0;
}

static void
open_leases(struct leat_committer *committer, const struct leat_audit *audit,
            const struct leat_slice *shards, size_t count)
{
    if (count > 0)
        leat_lease_reopen(
            leat_pipeline_leases(committer->runtime->pipeline),
            &(struct leat_reopening){.stream_id = audit->stream_id,
                                     .processor = leat_slice_from(committer->runtime->config.name),
                                     .shards = shards,
                                     .count = count});
}

/* 0, or the target did not answer. Progress first, then the lease: who dies in between leaves an ended lease whose progress is below
   its end, which the next look opens. */
static int
compare_ended(struct leat_committer *committer, const struct leat_audit *audit, size_t first)
{
    struct leat_progress_key keys[KEYS_AT_ONCE] = {0};
    struct leat_progress progress[KEYS_AT_ONCE];
    struct leat_slice lost[KEYS_AT_ONCE];
    bool is_lost[KEYS_AT_ONCE];
    size_t count = audit->count - first < KEYS_AT_ONCE ? audit->count - first : KEYS_AT_ONCE;
    size_t lost_count = 0;
    int status = 0;

    for (size_t i = 0; i < count; i++)
        keys[i] = key_of(committer, audit->stream_id, audit->shards[first + i]);
    if (read_progress(committer, keys, count, progress) != 0)
        return -1;
    /* All of them before the next call: texts of the answer are the committer's. */
    for (size_t i = 0; i < count; i++)
        is_lost[i] = !progress[i].exists || !leat_slice_is(progress[i].checkpoint, "SHARD_END");
    for (size_t i = 0; i < count && status == 0; i++) {
        if (!is_lost[i] && audit->is_open)
            status = put_back(committer, audit, &keys[i], &progress[i], &is_lost[i]);
        if (is_lost[i])
            lost[lost_count++] = audit->shards[first + i];
    }
    open_leases(committer, audit, lost, lost_count);
    return status;
}

static struct leat_audit *
next_audit(struct leat_committer *committer)
{
    struct leat_audit *audit;

    leat_mutex_lock(&committer->lock);
    audit = committer->audits;
    if (audit != NULL)
        committer->audits = audit->next;
    leat_mutex_unlock(&committer->lock);
    return audit;
}

/* What cannot be compared now is asked for again when the target is well: leases are read first, each time. */
static void
compare_all_ended(struct leat_committer *committer)
{
    struct leat_audit *audit;

    while ((audit = next_audit(committer)) != NULL) {
        for (size_t first = 0; first < audit->count; first += KEYS_AT_ONCE) {
            if (compare_ended(committer, audit, first) == 0)
                continue;
            leat_committer_doubt(committer);
            break;
        }
        free_audit(audit);
    }
}

void
leat_committer_audit_release(struct leat_committer *committer)
{
    struct leat_audit *audit;

    while ((audit = next_audit(committer)) != NULL)
        free_audit(audit);
}

/* ---- those that run --------------------------------------------------------------------------- */

/* Has it taken its shard, and does nothing of it fly? Then only this committer's thread could move its row. */
static bool
is_held(struct leat_consumer *consumer, struct held *held)
{
    enum leat_consumer_state state = (enum leat_consumer_state)consumer->state;
    bool is_flying;

    if (state == LEAT_CONSUMER_WAITING_PARENTS || state == LEAT_CONSUMER_TAKING ||
        state == LEAT_CONSUMER_DRAINING || state == LEAT_CONSUMER_BLOCKED ||
        state == LEAT_CONSUMER_LOST || consumer->is_paused || consumer->is_let_go)
        return false;
    leat_mutex_lock(&consumer->flight_lock);
    is_flying = consumer->is_flying || consumer->held_generation != consumer->generation;
    *held = (struct held){consumer, consumer->held_generation, consumer->held_counter,
                          consumer->held_owner, consumer->commit_seq};
    leat_mutex_unlock(&consumer->flight_lock);
    return !is_flying;
}

/* A consumer that is not lost stays until this thread forgets it, which it does not do meanwhile. */
static struct held *
collect(struct leat_committer *committer, size_t *ret_count)
{
    struct leat_pipeline *pipeline = committer->runtime->pipeline;
    struct held *held;
    size_t count = 0;

    leat_mutex_lock(&pipeline->lock);
    held = LEAT_NEW_ARRAY(struct held, pipeline->consumer_count);
    for (size_t i = 0; i < pipeline->consumer_count; i++) {
        if (pipeline->consumers[i]->committer == committer &&
            is_held(pipeline->consumers[i], &held[count]))
            count++;
    }
    leat_mutex_unlock(&pipeline->lock);
    *ret_count = count;
    return held;
}

static void
say_fenced(const struct held *held)
{
    struct leat_message *message = leat_message_new(LEAT_MESSAGE_FLUSHED, held->generation);

    message->result.outcome = LEAT_COMMIT_FENCED;
    leat_consumer_post(held->consumer, message);
}

static int
compare_held(struct leat_committer *committer, const struct held *held, size_t count)
{
    struct leat_progress_key keys[KEYS_AT_ONCE] = {0};
    struct leat_progress progress[KEYS_AT_ONCE];

    for (size_t i = 0; i < count; i++)
        keys[i] = key_of(committer, leat_slice_from(held[i].consumer->stream_id),
                         leat_slice_from(held[i].consumer->shard_id));
    if (read_progress(committer, keys, count, progress) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!progress[i].exists || progress[i].lease_counter != held[i].lease_counter ||
            progress[i].lease_owner != held[i].lease_owner ||
            progress[i].commit_seq != held[i].commit_seq)
            say_fenced(&held[i]);
    }
    return 0;
}

/* Also with nobody to compare: an answer says that the target is there. */
static int
compare_all_held(struct leat_committer *committer)
{
    size_t count, first = 0, step;
    struct held *held = collect(committer, &count);
    int status = 0;

    do {
        step = count - first < KEYS_AT_ONCE ? count - first : KEYS_AT_ONCE;
        status = compare_held(committer, held + first, step);
        first += step;
    } while (status == 0 && first < count);
    free(held);
    return status;
}

/* ---- when -------------------------------------------------------------------------------------- */

void
leat_committer_audit_init(struct leat_committer *committer)
{
    committer->look_at_us = leat_clock_monotonic_us() + LOOK_US;
    committer->ask_at_us = INT64_MAX;
}

void
leat_committer_doubt(struct leat_committer *committer)
{
    int64_t soon_us = leat_clock_monotonic_us() + AGAIN_US;

    committer->is_doubtful = true;
    if (committer->look_at_us > soon_us)
        committer->look_at_us = soon_us;
}

void
leat_committer_child_waits(struct leat_committer *committer)
{
    committer->ask_wait_us = ASK_FIRST_US;
    committer->ask_at_us = leat_clock_monotonic_us() + ASK_FIRST_US;
}

static void
look(struct leat_committer *committer, int64_t now_us)
{
    if (compare_all_held(committer) != 0) {
        committer->is_doubtful = true;
        committer->look_at_us = now_us + AGAIN_US +
                                (int64_t)leat_random_below(&committer->random, AGAIN_US);
        return;
    }
    committer->look_at_us = now_us + LOOK_US;
    /* A target that refuses a commit now and then is no reason to list shards each time. */
    if (!committer->is_doubtful || now_us < committer->doubt_asked_us + DOUBT_US)
        return;
    committer->is_doubtful = false;
    committer->doubt_asked_us = now_us;
    ask(committer);
}

static void
ask_for_children(struct leat_committer *committer, int64_t now_us)
{
    bool is_waiting;

    leat_mutex_lock(&committer->lock);
    is_waiting = committer->waiting.count > 0;
    leat_mutex_unlock(&committer->lock);
    if (is_waiting)
        ask(committer);
    committer->ask_wait_us = committer->ask_wait_us * 2 < ASK_MOST_US ? committer->ask_wait_us * 2
                                                                      : ASK_MOST_US;
    committer->ask_at_us = is_waiting ? now_us + committer->ask_wait_us : INT64_MAX;
}

int64_t
leat_committer_audit(struct leat_committer *committer, int64_t now_us)
{
    if (committer->store.ops->progress_read == NULL)
        return INT64_MAX;
    if (now_us >= committer->look_at_us)
        look(committer, now_us);
    if (now_us >= committer->ask_at_us)
        ask_for_children(committer, now_us);
    compare_all_ended(committer);
    return committer->look_at_us < committer->ask_at_us ? committer->look_at_us
                                                        : committer->ask_at_us;
}
