/*
 * What the watchdog may know of a consumer from outside of it. The worker thread leaves marks behind each run; what changes during
 * a run (the call, the state, the target's trouble) are atomics of their own. So facts may be a run old, never torn.
 */
#include "pipeline/runtime.h"

static bool
has_rows(struct leat_consumer *consumer)
{
    bool has_rows;

    leat_mutex_lock(&consumer->flight_lock);
    has_rows = consumer->filling->has_end || consumer->is_flying;
    leat_mutex_unlock(&consumer->flight_lock);
    return has_rows;
}

void
leat_consumer_mark(struct leat_consumer *consumer)
{
    consumer->marks = (consumer->chunk_count > 0 ? LEAT_MARK_CHUNKS : 0) |
                      (consumer->epoch_count > 0 ? LEAT_MARK_LETTERS : 0) |
                      (consumer->is_stream_away ? LEAT_MARK_STREAM_AWAY : 0) |
                      (consumer->is_draining ? LEAT_MARK_DRAINING : 0) |
                      (consumer->is_counting ? LEAT_MARK_COUNTING : 0);
    leat_consumer_lag_rest(consumer, consumer->chunk_count == 0 && consumer->epoch_count == 0 &&
                                         !has_rows(consumer));
}

/* chunk NULL: a commit. */
void
leat_consumer_see_progress(struct leat_consumer *consumer, const struct leat_chunk *chunk)
{
    if (chunk == NULL) {
        consumer->least_behind_ms = INT64_MAX;
        consumer->most_stored_letters = 0;
        consumer->progress_count++;
    } else if (chunk->behind_ms >= 0 && chunk->behind_ms < consumer->least_behind_ms) {
        consumer->least_behind_ms = chunk->behind_ms;
        consumer->progress_count++;
    }
}

/* Only what goes beyond the letters of the last take: a shard that is rewound stores the same ones again. */
void
leat_consumer_see_letter(struct leat_consumer *consumer)
{
    if (++consumer->stored_letters <= consumer->most_stored_letters)
        return;
    consumer->most_stored_letters = consumer->stored_letters;
    consumer->progress_count++;
}

struct leat_stuck_facts
leat_consumer_facts(struct leat_consumer *consumer, bool are_letters_blocked)
{
    enum leat_consumer_state state = (enum leat_consumer_state)consumer->state;
    unsigned marks = consumer->marks;
    struct leat_stuck_facts facts = {
        .progress = consumer->progress_count,
        .call_since_us = consumer->calling_since_us,
        .call_due_us = consumer->cancel_at_us,
        .answered_us = consumer->answered_us,
        .behind_ms = consumer->behind_ms,
        .is_at_rest = consumer->is_paused || consumer->is_let_go ||
                      (marks & LEAT_MARK_DRAINING) != 0 || state == LEAT_CONSUMER_DRAINING ||
                      state == LEAT_CONSUMER_ENDED || state == LEAT_CONSUMER_LOST,
        .is_blocked = state == LEAT_CONSUMER_BLOCKED || consumer->runtime->is_stopped ||
                      consumer->target_trouble == LEAT_TARGET_REFUSES,
        .is_outage = state == LEAT_CONSUMER_UNAVAILABLE ||
                     consumer->target_trouble == LEAT_TARGET_AWAY ||
                     (marks & LEAT_MARK_STREAM_AWAY) != 0 ||
                     ((marks & LEAT_MARK_LETTERS) != 0 && are_letters_blocked),
        .is_waiting_parents = state == LEAT_CONSUMER_WAITING_PARENTS,
        .is_taking = state == LEAT_CONSUMER_TAKING || (marks & LEAT_MARK_COUNTING) != 0,
        .is_ending = state == LEAT_CONSUMER_ENDING,
        .is_behind_a_call = consumer->predecessor != NULL,
        .is_retrying = state == LEAT_CONSUMER_RETRYING,
        .has_chunks = (marks & LEAT_MARK_CHUNKS) != 0,
        .has_letters = (marks & LEAT_MARK_LETTERS) != 0,
        .is_short_of_memory = consumer->is_stalled,
    };

    facts.has_rows = has_rows(consumer);
    return facts;
}
