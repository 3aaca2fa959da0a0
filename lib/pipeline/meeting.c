/*
 * A lease database that was rebuilt, or restored from before a processor came, has never heard of the processor's meeting with a
 * stream; the target, which has its progress, has. So the target is asked before a start is made of the configuration.
 *
 * Stories it survives. (1) The target is away, or silent: whoever asks waits until a deadline, and asks again later; the question
 * stays, so a slow answer is there the next time. (2) An answer that nobody fetched grows old: after ten seconds it is asked for
 * anew. (3) A target that knows no progress_list (an older plugin) is asked by the shards that are listed.
 */
#include "pipeline/meeting.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"

#define FRESH_US (10 * LEAT_SECOND_US)

struct leat_meeting {
    struct leat_meeting *next;
    struct leat_arena arena;
    struct leat_slice stream_id;
    struct leat_slice *listed;
    size_t listed_count;
    int64_t answered_us; /* 0: not yet */
    int status;
    struct leat_error err;
    struct leat_slice *found;
    size_t found_count, found_capacity;
};

static void
free_meeting(struct leat_meeting *meeting)
{
    leat_arena_release(&meeting->arena);
    free(meeting->found);
    free(meeting);
}

/* ---- who asks ---------------------------------------------------------------------------------- */

static struct leat_meeting *
meeting_new(const struct leat_progress_question *question)
{
    struct leat_meeting *meeting = LEAT_NEW(struct leat_meeting);

    leat_arena_init(&meeting->arena);
    meeting->stream_id = leat_arena_copy(&meeting->arena, question->stream_id);
    meeting->listed_count = question->listed->count;
    meeting->listed =
        leat_arena_alloc_zero(&meeting->arena, meeting->listed_count + 1, sizeof *meeting->listed);
    for (size_t i = 0; i < meeting->listed_count; i++)
        meeting->listed[i] = leat_arena_copy(&meeting->arena, question->listed->shards[i].shard);
    return meeting;
}

/* Where the link to it stands; NULL: it is not there. */
static struct leat_meeting **
find(struct leat_committer *committer, struct leat_slice stream_id) LEAT_REQUIRES(committer->lock)
{
    struct leat_meeting **link = &committer->meetings;

    while (*link != NULL && !leat_slice_equals((*link)->stream_id, stream_id))
        link = &(*link)->next;
    return *link != NULL ? link : NULL;
}

static bool
is_answered(struct leat_committer *committer, struct leat_slice stream_id)
    LEAT_REQUIRES(committer->lock)
{
    struct leat_meeting **link = find(committer, stream_id);

    return link != NULL && (*link)->answered_us != 0;
}

/* An old answer goes; a new question comes, unless it waits already. */
static void
ask(struct leat_committer *committer, const struct leat_progress_question *question)
    LEAT_REQUIRES(committer->lock)
{
    struct leat_meeting **link = find(committer, question->stream_id), *meeting;

    if (link != NULL && (*link)->answered_us != 0 &&
        leat_clock_monotonic_us() - (*link)->answered_us > FRESH_US) {
        meeting = *link;
        *link = meeting->next;
        free_meeting(meeting);
        link = NULL;
    }
    if (link != NULL)
        return;
    meeting = meeting_new(question);
    meeting->next = committer->meetings;
    committer->meetings = meeting;
    committer->is_woken = true;
    leat_condition_signal(&committer->condition);
}

static int
hand_over(struct leat_meeting *meeting, struct leat_known_progress *ret_known,
          struct leat_error *err)
{
    int status = meeting->status;

    if (status != 0 && err != NULL)
        *err = meeting->err;
    for (size_t i = 0; status == 0 && i < meeting->found_count; i++)
        leat_map_put(&ret_known->shards, meeting->found[i], ret_known);
    free_meeting(meeting);
    return status;
}

int
leat_committer_progress(struct leat_committer *committer,
                        const struct leat_progress_question *question,
                        struct leat_known_progress *ret_known, struct leat_error *err)
{
    struct leat_meeting **link, *answered = NULL;

    leat_mutex_lock(&committer->lock);
    ask(committer, question);
    while (!is_answered(committer, question->stream_id) && !committer->is_stopping &&
           leat_clock_monotonic_us() < question->until_us)
        leat_condition_wait_until(&committer->answered, &committer->lock, question->until_us);
    link = find(committer, question->stream_id);
    if (link != NULL && (*link)->answered_us != 0) {
        answered = *link;
        *link = answered->next;
    }
    leat_mutex_unlock(&committer->lock);
    if (answered == NULL)
        return leat_error_set(err, LEAT_E_UNAVAILABLE, "the target has not answered yet");
    return hand_over(answered, ret_known, err);
}

/* ---- who answers ------------------------------------------------------------------------------- */

static void
add_found(void *context, struct leat_slice shard)
{
    struct leat_meeting *meeting = context;

    LEAT_GROW(meeting->found, meeting->found_count, meeting->found_capacity);
    meeting->found[meeting->found_count++] = leat_arena_copy(&meeting->arena, shard);
}

static bool
has_list(const struct leat_target *ops)
{
    return ops->size >= offsetof(struct leat_target, progress_list) + sizeof(ops->progress_list) &&
           ops->progress_list != NULL;
}

static int
read_listed(struct leat_committer *committer, struct leat_progress_key of,
            struct leat_meeting *meeting)
{
    size_t count = meeting->listed_count;
    struct leat_progress_key *keys = LEAT_NEW_ARRAY(struct leat_progress_key, count + 1);
    struct leat_progress *progress = LEAT_NEW_ARRAY(struct leat_progress, count + 1);
    int status;

    for (size_t i = 0; i < count; i++) {
        keys[i] = of;
        keys[i].shard = meeting->listed[i];
    }
    status = committer->store.ops->progress_read(committer->store.committer, keys, count, progress,
                                                 &meeting->err);
    for (size_t i = 0; status == 0 && i < count; i++) {
        if (progress[i].exists)
            add_found(meeting, meeting->listed[i]);
    }
    free(keys);
    free(progress);
    return status;
}

static int
look(struct leat_committer *committer, struct leat_meeting *meeting)
{
    const struct leat_target *ops = committer->store.ops;
    struct leat_progress_key of = {
        .application =
            leat_slice_from(leat_pipeline_options(committer->runtime->pipeline)->application),
        .processor = leat_slice_from(committer->runtime->config.name),
        .tenant = leat_slice_from(""),
        .stream_id = meeting->stream_id,
        .shard = leat_slice_from(""),
    };

    if (has_list(ops))
        return ops->progress_list(committer->store.committer, &of, add_found, meeting,
                                  &meeting->err);
    return ops->progress_read != NULL ? read_listed(committer, of, meeting) : 0;
}

/* Out of the list while the target is asked: whoever asks the same meanwhile finds none, and asks once more. */
static struct leat_meeting *
next_meeting(struct leat_committer *committer)
{
    struct leat_meeting **link, *meeting;

    leat_mutex_lock(&committer->lock);
    link = &committer->meetings;
    while (*link != NULL && (*link)->answered_us != 0)
        link = &(*link)->next;
    meeting = *link;
    if (meeting != NULL)
        *link = meeting->next;
    leat_mutex_unlock(&committer->lock);
    return meeting;
}

static void
put_answer(struct leat_committer *committer, struct leat_meeting *meeting)
{
    struct leat_meeting **link, *other = NULL;

    leat_mutex_lock(&committer->lock);
    link = find(committer, meeting->stream_id);
    if (link != NULL) {
        other = *link;
        *link = other->next;
    }
    meeting->answered_us = leat_clock_monotonic_us();
    meeting->next = committer->meetings;
    committer->meetings = meeting;
    leat_condition_broadcast(&committer->answered);
    leat_mutex_unlock(&committer->lock);
    if (other != NULL)
        free_meeting(other);
}

void
leat_committer_answer_meetings(struct leat_committer *committer)
{
    struct leat_meeting *meeting;

    while ((meeting = next_meeting(committer)) != NULL) {
        meeting->status = look(committer, meeting);
        put_answer(committer, meeting);
    }
}

void
leat_committer_meetings_release(struct leat_committer *committer)
{
    leat_is_unshared();
    while (committer->meetings != NULL) {
        struct leat_meeting *next = committer->meetings->next;

        free_meeting(committer->meetings);
        committer->meetings = next;
    }
}
