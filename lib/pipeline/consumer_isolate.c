/*
 * What the answer to a commit means for its shard, and the search for the record that the target refuses.
 *
 *   refused, and it is known whose fault that is ──▶ isolating: small commits, until the guilty record stands alone ──▶ diverted
 *   refused, and nobody can tell ──▶ peeking: one large commit that is refused, too, but may show it (evidence.h) ──▶ isolating, or
 *                                    blocked until it does
 *
 * Both end when all is committed that there was; a shard that falls silent must not stay in either.
 */
#include "base/clock.h"
#include "base/point.h"
#include "pipeline/runtime.h"

#define LEAST_PEEK_US (1 * LEAT_SECOND_US)
#define MOST_PEEK_US (60 * LEAT_SECOND_US)
#define MOST_PEEK_RECORDS 16384

/* ---- a look at what comes behind a refused record ------------------------------------------------- */

bool
leat_consumer_has_gathered(struct leat_consumer *consumer)
{
    bool is_last = consumer->epoch_count == 0 &&
                   (consumer->chunk_count == 0 || consumer->attempts > 0 || consumer->outages > 0);
    struct leat_pending *filling;
    bool has_gathered, is_now = false;

    leat_mutex_lock(&consumer->flight_lock);
    filling = consumer->filling;
    has_gathered = consumer->is_flying || consumer->refused_generation == consumer->generation;
    if (!has_gathered && filling->has_end && filling->is_gathering) {
        is_now = is_last || filling->records >= consumer->peek ||
                 leat_pending_bytes(filling) >= leat_flush_bytes(consumer->runtime);
        filling->is_gathering = !is_now;
        has_gathered = is_now;
    } else if (filling->has_end) {
        has_gathered = true;
    }
    leat_mutex_unlock(&consumer->flight_lock);
    if (is_now)
        leat_consumer_hurry(consumer);
    return has_gathered;
}

/* Later and later, and with more and more: a table that is missing is not found by looking at more rows. */
int64_t
leat_consumer_peek_again(struct leat_consumer *consumer)
{
    int64_t now_us = leat_clock_monotonic_us();

    if (!leat_consumer_has_gathered(consumer))
        return -1;
    if (consumer->peek_wait_us == 0) {
        consumer->peek_wait_us = LEAST_PEEK_US;
        consumer->peek_at_us = now_us + consumer->peek_wait_us;
    }
    if (consumer->chunk_count == 0) /* the next one wakes us */
        return INT64_MAX;
    if (now_us < consumer->peek_at_us)
        return consumer->peek_at_us;
    consumer->peek_wait_us = consumer->peek_wait_us * 2 < MOST_PEEK_US ? consumer->peek_wait_us * 2
                                                                       : MOST_PEEK_US;
    consumer->peek_at_us = now_us + consumer->peek_wait_us;
    consumer->peek = consumer->peek * 4 < MOST_PEEK_RECORDS ? consumer->peek * 4
                                                            : MOST_PEEK_RECORDS;
    leat_consumer_rewind(consumer);
    return INT64_MAX;
}

/* ---- a commit's answer ---------------------------------------------------------------------------- */

/*
 * A refused row: a smaller and smaller commit is tried until it stands alone, then it is diverted. Rows of no record are kept
 * out of those commits (no ticks), and then committed by themselves: refused again, they are the guilty ones.
 */
static void
on_refused(struct leat_consumer *consumer, const struct leat_message *message)
{
    if (message->records == 0 && consumer->held != NULL && !consumer->is_draining) {
        leat_consumer_divert_held(consumer, &message->result);
        return;
    }
    if (message->records == 0 && !message->has_loose_rows) {
        struct leat_error err;

        leat_error_set(&err, LEAT_E_INTERNAL, "the target refuses a commit without rows: %s",
                       message->result.text);
        leat_consumer_block(consumer, &err);
        return;
    }
    consumer->refusal = message->result;
    consumer->refusal_attempts = message->attempts;
    consumer->peek = 0;
    if (message->has_loose_rows)
        consumer->is_loose_alone = true;
    if (message->records > 0) {
        consumer->diverts_next = message->records == 1 && !message->has_loose_rows;
        consumer->isolation = message->records > 8 ? message->records / 8 : 1;
        consumer->suspects = message->records;
    }
    leat_consumer_rewind(consumer);
}

/*
 * Refused, and nobody can say yet whether the table is at fault or the rows (evidence.h): the same once more, with what comes behind
 * it in one commit, whatever the configuration says of commits. Where rows of that kind are taken, the guilty record is looked for.
 */
static void
on_doubtful(struct leat_consumer *consumer, const struct leat_message *message)
{
    consumer->peek = LEAT_PEEK_RECORDS;
    consumer->isolation = consumer->suspects = 0;
    leat_consumer_rewind(consumer);
}

/* Rows of no record went in by themselves: whatever was refused before was not of their kind. */
static void
on_held_committed(struct leat_consumer *consumer)
{
    leat_consumer_drop_held(consumer);
    consumer->is_loose_alone = false;
    if (consumer->state == LEAT_CONSUMER_ENDING)
        leat_consumer_ask_children(consumer);
}

/* In even steps up to the guilty one, and past it in growing ones. */
static void
isolate_less(struct leat_consumer *consumer, uint64_t committed)
{
    consumer->suspects = consumer->suspects > committed ? consumer->suspects - committed : 0;
    if (consumer->isolation == 0 || consumer->suspects > 0)
        return;
    consumer->isolation = consumer->isolation * 8 < consumer->runtime->config.batch_records
                              ? consumer->isolation * 8
                              : 0;
}

/*
 * Nothing more comes for now, and all that there was is committed: a shard that falls silent is looked at no longer, else it would
 * wait in small commits, and without ticks, for records that do not come.
 */
bool
leat_consumer_is_done_isolating(struct leat_consumer *consumer)
{
    if (consumer->isolation == 0 || consumer->diverts_next || consumer->chunk_count > 0 ||
        consumer->epoch_count > 0 || (consumer->suspects > 0 && !consumer->is_at_tip) ||
        !leat_consumer_is_flushed(consumer))
        return false;
    consumer->isolation = consumer->suspects = 0;
    if (consumer->state == LEAT_CONSUMER_ISOLATING)
        leat_consumer_set_state(consumer, LEAT_CONSUMER_RUNNING);
    return true;
}

void
leat_consumer_flushed(struct leat_consumer *consumer, const struct leat_message *message)
{
    switch (message->result.outcome) {
    case LEAT_COMMITTED:
        consumer->commit_count++;
        leat_consumer_settle(consumer);
        leat_consumer_lag_committed(consumer, message->as_of_us);
        consumer->peek = 0;
        consumer->peek_wait_us = 0;
        leat_consumer_see_progress(consumer, NULL);
        if (consumer->held != NULL && message->has_loose_rows)
            on_held_committed(consumer);
        leat_consumer_target_is_well(consumer);
        isolate_less(consumer, message->records);
        if (message->is_end) {
            LEAT_POINT("shard.end.committed");
            leat_consumer_set_state(consumer, LEAT_CONSUMER_ENDED);
            leat_lease_processor_ended(leat_pipeline_leases(consumer->runtime->pipeline),
                                       leat_consumer_key(consumer), consumer->lease_counter,
                                       consumer->runtime->config.name);
        } else if (consumer->state == LEAT_CONSUMER_ISOLATING && consumer->isolation == 0) {
            leat_consumer_set_state(consumer, LEAT_CONSUMER_RUNNING);
        }
        break;
    case LEAT_COMMIT_DATA:
        on_refused(consumer, message);
        break;
    case LEAT_COMMIT_REFUSED:
        on_doubtful(consumer, message);
        break;
    case LEAT_COMMIT_ANEW:
        leat_consumer_rewind(consumer);
        break;
    default:
        leat_lease_check(leat_pipeline_leases(consumer->runtime->pipeline),
                         leat_consumer_key(consumer));
        leat_consumer_rewind(consumer);
    }
}
