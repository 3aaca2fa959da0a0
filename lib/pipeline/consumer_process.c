/*
 * One batch: cut it from the chunk, call the processor, and do what its verdict says (docs/architecture.md §7).
 *
 * The cursor moves only when a batch is done; a batch that is tried again is cut again from the same place, maybe smaller.
 * So bisection is nothing but a smaller limit: a batch that fails twice is halved until the poison stands alone; what
 * succeeds doubles the limit again.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/memory.h"
#include "base/point.h"
#include "pipeline/runtime.h"
#include "pipeline/scratch.h"

#define UNAVAILABLE_BASE_US (100 * LEAT_MS_US)
#define UNAVAILABLE_CAP_US (10 * LEAT_SECOND_US)
/* In a row: a processor that fails once or twice is no news. */
#define TOLD_ATTEMPTS 3
#define NO_ROOM_US (5 * LEAT_MS_US)

/* What a batch was cut to. */
struct cut {
    size_t count;             /* good records, in consumer->records */
    size_t bad;               /* in consumer->bad */
    size_t bytes;             /* data of the stream records they came from */
    uint64_t outside;         /* user records outside the shard's hash range */
    struct leat_cursor after; /* where the next one begins */
    struct leat_position end;
    bool has_end;
    bool lacks_room; /* the next record expands to more than the budget has now */
};

static size_t
batch_limit(const struct leat_consumer *consumer)
{
    size_t limit = consumer->runtime->config.batch_records;

    if (consumer->batch_limit > 0 && consumer->batch_limit < limit)
        limit = consumer->batch_limit;
    if (consumer->isolation > 0 && consumer->isolation < limit)
        limit = (size_t)consumer->isolation;
    if (consumer->peek > 0 && consumer->peek < limit)
        limit = (size_t)consumer->peek;
    return limit;
}

/* Is this user record behind what is done already? */
static bool
is_new(struct leat_consumer *consumer, const struct leat_record *record)
{
    struct leat_slice done;
    int order;

    if (!consumer->is_filtering)
        return true;
    done = leat_slice_from(consumer->position.sequence);
    order = leat_sequence_order(record->sequence_number, done);
    if (order > 0) {
        consumer->is_filtering = false;
        return true;
    }
    return order == 0 && consumer->position.sub_sequence >= 0 &&
           (int64_t)record->sub_sequence_number > consumer->position.sub_sequence;
}

static void
add_record(struct leat_consumer *consumer, struct cut *cut, const struct leat_user_record *user)
{
    cut->outside += user->is_outside;
    if (user->status != LEAT_USER_RECORD_GOOD) {
        LEAT_GROW(consumer->bad, cut->bad, consumer->bad_capacity);
        consumer->bad[cut->bad++] = *user;
        return;
    }
    if (cut->count >= consumer->record_capacity) {
        consumer->record_capacity = consumer->record_capacity < 64 ? 64
                                                                   : consumer->record_capacity * 2;
        consumer->records =
            leat_realloc(consumer->records, consumer->record_capacity, sizeof *consumer->records);
        consumer->record_pointers = leat_realloc(consumer->record_pointers,
                                                 consumer->record_capacity,
                                                 sizeof *consumer->record_pointers);
    }
    consumer->records[cut->count] = user->record;
    consumer->records[cut->count++].attempt = consumer->attempts;
}

static void
set_end(struct cut *cut, struct leat_slice sequence, int64_t sub_sequence)
{
    cut->end.kind = LEAT_POSITION_SEQUENCE;
    memcpy(cut->end.sequence, sequence.data, sequence.size);
    cut->end.sequence[sequence.size] = '\0';
    cut->end.sub_sequence = sub_sequence;
    cut->has_end = true;
}

static void
add_to_part(struct leat_part *part, const struct leat_user_record *user)
{
    if (user->status == LEAT_USER_RECORD_GOOD)
        part->count++;
    else if (user->status == LEAT_USER_RECORD_OUTSIDE_HASH_RANGE)
        part->outside++;
    else
        part->bad++;
    if (part->first_sub < 0)
        part->first_sub = (int64_t)user->record.sub_sequence_number;
}

/* The whole stream record in place of this user record and all behind it. */
static struct leat_user_record
whole_record(const struct leat_raw_record *raw, uint64_t sub_sequence)
{
    return (struct leat_user_record){
        .raw = raw,
        .status = LEAT_USER_RECORD_GIVEN_UP,
        .record = {.size = sizeof(struct leat_record),
                   .data = raw->data,
                   .partition_key = raw->partition_key,
                   .sequence_number = raw->sequence,
                   .sub_sequence_number = sub_sequence,
                   .arrival_us = raw->arrival_us},
    };
}

/* One that fits into a batch is not cut: what becomes of it does not depend on where a batch happens to end. */
static bool
needs_batch_of_its_own(const struct leat_consumer *consumer, const struct cut *cut, size_t limit)
{
    size_t elements = leat_deaggregator_elements(consumer->deaggregator);

    return cut->count + cut->bad > 0 && cut->after.next_sub == 0 && elements > 1 &&
           cut->count + cut->bad + elements > limit;
}

/* The user records of one stream record; false: the batch is full before its end. */
static bool
cut_elements(struct leat_consumer *consumer, struct cut *cut, struct leat_part *part, size_t limit)
{
    const struct leat_given_up *given_up = leat_consumer_given_up(consumer, part->raw->sequence);
    struct leat_user_record user;
    int64_t last_sub = -1;

    while (leat_deaggregator_next(consumer->deaggregator, &user)) {
        int64_t sub = (int64_t)user.record.sub_sequence_number;

        if (sub < cut->after.next_sub || !is_new(consumer, &user.record))
            continue;
        if (cut->count + cut->bad >= limit) {
            if (last_sub >= 0)
                set_end(cut, part->raw->sequence, last_sub);
            cut->after.next_sub = sub;
            return false;
        }
        if (given_up != NULL && sub >= given_up->from_sub) {
            user = whole_record(part->raw, user.record.sub_sequence_number);
            leat_deaggregator_skip(consumer->deaggregator);
        }
        add_record(consumer, cut, &user);
        add_to_part(part, &user);
        last_sub = sub;
    }
    set_end(cut, part->raw->sequence, -1);
    cut->after = (struct leat_cursor){cut->after.raw + 1, 0};
    part->is_ended = true;
    return true;
}

/* false: the batch is full before its end, or there is no room for what it expands to. */
static bool
cut_record(struct leat_consumer *consumer, struct cut *cut, const struct leat_raw_record *raw,
           size_t limit)
{
    uint64_t dropped = leat_deaggregator_counts(consumer->deaggregator).outside_hash_range;
    struct leat_part part = {.raw = raw, .first = cut->count, .first_sub = -1};
    bool is_whole;

    cut->lacks_room = !leat_deaggregator_begin(consumer->deaggregator, raw);
    if (cut->lacks_room || needs_batch_of_its_own(consumer, cut, limit))
        return false;
    /* Counted before any is handed out: all of it is dropped. */
    cut->outside += leat_deaggregator_counts(consumer->deaggregator).outside_hash_range - dropped;
    is_whole = cut_elements(consumer, cut, &part, limit);
    if (part.first_sub >= 0) {
        LEAT_GROW(consumer->parts, consumer->part_count, consumer->part_capacity);
        consumer->parts[consumer->part_count++] = part;
    }
    return is_whole;
}

/* Sequence numbers are remote bytes: one that is longer than any can be ends the shard's reading, visibly. */
static bool
is_sequence_sane(const struct leat_raw_record *raw)
{
    return raw->sequence.size > 0 && raw->sequence.size <= LEAT_SEQUENCE_BYTES;
}

static struct cut
cut_batch(struct leat_consumer *consumer)
{
    const struct leat_chunk *chunk = consumer->chunks[0];
    struct cut cut = {.after = consumer->cursor, .end = consumer->position};
    size_t limit = batch_limit(consumer);

    leat_deaggregator_reset_but_open(consumer->deaggregator);
    consumer->part_count = 0;
    while (cut.after.raw < chunk->count) {
        const struct leat_raw_record *raw = &chunk->records[cut.after.raw];

        if (cut.count + cut.bad >= limit || cut.bytes >= consumer->runtime->config.batch_bytes ||
            !is_sequence_sane(raw))
            break;
        cut.bytes += raw->data.size;
        if (!cut_record(consumer, &cut, raw, limit))
            break;
    }
    for (size_t i = 0; i < cut.count; i++)
        consumer->record_pointers[i] = &consumer->records[i];
    return cut;
}

/* ---- the call -------------------------------------------------------------------------------- */

static enum leat_verdict
call(struct leat_consumer *consumer, const struct cut *cut, struct leat_error *err)
{
    const struct leat_pipeline_processor *config = &consumer->runtime->config;
    struct leat_batch batch = {sizeof batch, cut->count, consumer->record_pointers,
                               &consumer->shard, consumer->behind_ms};
    enum leat_verdict verdict = LEAT_DONE;

    leat_emission_begin(&consumer->emission, consumer->records, cut->count);
    leat_consumer_call_begin(consumer, "process");
    if (cut->count > 0)
        leat_crash_call_records(consumer->records[0].sequence_number, cut->count);
    LEAT_POINT("process.before");
    if (cut->count > 0)
        verdict =
            config->plugin->process(consumer->plugin_state, &batch, &consumer->emission.out, err);
    LEAT_POINT("process.after");
    if (!leat_consumer_call_end(consumer))
        verdict = leat_consumer_call_late(consumer, verdict, err);
    leat_emission_end(&consumer->emission);
    return verdict;
}

bool
leat_consumer_reset_state(struct leat_consumer *consumer)
{
    const struct leat_processor *plugin = consumer->runtime->config.plugin;
    struct leat_error err = {0};
    int status;

    if (plugin->shard_reset == NULL)
        return true;
    leat_consumer_call_begin(consumer, "shard_reset");
    status =
        plugin->shard_reset(consumer->plugin_state, leat_buf_slice(&consumer->saved_state), &err);
    leat_consumer_call_end(consumer);
    if (status == 0)
        return true;
    leat_consumer_block(consumer, &err);
    return false;
}

static int64_t
retry_later(struct leat_consumer *consumer)
{
    return leat_consumer_reset_state(consumer) ? consumer->retry_at_us : INT64_MAX;
}

/* The batch's records are alone the poison: they go to the archive and the dead letters. */
static void
divert(struct leat_consumer *consumer, const struct cut *cut, const char *reason, const char *text)
{
    leat_emission_begin(&consumer->emission, consumer->records, cut->count);
    for (size_t i = 0; i < cut->count; i++)
        consumer->emission.out.services->fail(&consumer->emission.out, &consumer->records[i], text);
    leat_emission_end(&consumer->emission);
    consumer->divert_reason = reason;
}

static void
finish_batch(struct leat_consumer *consumer, const struct cut *cut)
{
    struct leat_chunk *chunk = consumer->chunks[0];
    struct leat_tally *tally = consumer->tally;

    leat_consumer_see_records(consumer, cut->count);
    consumer->bad_count = cut->bad;
    consumer->record_count += cut->count + cut->bad;
    tally->records += cut->count + cut->bad;
    tally->outside_hash_range += cut->outside;
    consumer->byte_count += cut->bytes;
    tally->epochs++;
    consumer->attempts = consumer->outages = 0;
    consumer->first_failed_us = consumer->retry_at_us = 0;
    if (consumer->batch_limit > 0)
        consumer->batch_limit = consumer->batch_limit * 2 < consumer->runtime->config.batch_records
                                    ? consumer->batch_limit * 2
                                    : 0;
    leat_consumer_see_parts(consumer);
    consumer->batch_arrival_us =
        consumer->cursor.raw < chunk->count ? chunk->records[consumer->cursor.raw].arrival_us : 0;
    if (cut->has_end) {
        leat_consumer_close_epoch(consumer, &cut->end, cut->count + cut->bad);
        consumer->position = cut->end;
    }
    consumer->divert_reason = NULL;
    leat_consumer_forget_parts(consumer, cut->after.next_sub);
    consumer->cursor = cut->after;
    if (cut->after.raw < chunk->count)
        return;
    consumer->is_at_end = consumer->is_at_end || chunk->is_shard_end;
    leat_consumer_lag_processed(consumer, chunk);
    leat_deaggregator_reset(consumer->deaggregator);
    for (size_t i = 1; i < consumer->chunk_count; i++)
        consumer->chunks[i - 1] = consumer->chunks[i];
    consumer->chunk_count--;
    consumer->cursor = (struct leat_cursor){0};
    /* At the end of the shard the chunk's children are still needed. */
    if (chunk->is_shard_end)
        consumer->last_chunk = chunk;
    else
        leat_chunk_unref(chunk);
    leat_feed_queued(consumer->feed, (unsigned)consumer->chunk_count);
}

static int64_t
stop(struct leat_consumer *consumer, const struct leat_error *why)
{
    consumer->blocked = *why;
    leat_consumer_set_state(consumer, LEAT_CONSUMER_BLOCKED);
    leat_pipeline_stop_processor(consumer, why);
    return INT64_MAX;
}

/* Counted: backs off, is halved, and when it stands alone and its count or age is used up, diverted. */
static int64_t
on_retry(struct leat_consumer *consumer, const struct cut *cut, const struct leat_error *err,
         bool is_final)
{
    const struct leat_failure_policy *policy = &consumer->runtime->config.failure;
    int64_t now_us = leat_clock_monotonic_us();
    bool is_exhausted;

    if (consumer->first_failed_us == 0)
        consumer->first_failed_us = now_us;
    consumer->attempts++;
    consumer->tally->retries++;
    is_exhausted =
        is_final || consumer->attempts > policy->retries ||
        (policy->max_age_us > 0 && now_us - consumer->first_failed_us > policy->max_age_us);
    if (is_exhausted && policy->is_stop)
        return stop(consumer, err);
    if (cut->count > 1 && policy->bisect && (consumer->attempts >= 2 || is_exhausted)) {
        consumer->batch_limit = cut->count / 2;
        consumer->attempts = 0;
    } else if (is_exhausted) {
        /* What the call did to the state in memory does not count. */
        if (!leat_consumer_reset_state(consumer))
            return INT64_MAX;
        divert(consumer, cut, is_final ? "bad_row" : "exhausted",
               err->text[0] != '\0' ? err->text : "no reason given");
        leat_consumer_go_on(consumer);
        finish_batch(consumer, cut);
        return 0;
    }
    leat_consumer_set_state(consumer, LEAT_CONSUMER_RETRYING);
    if (consumer->attempts == TOLD_ATTEMPTS)
        leat_pipeline_notice(consumer, LEAT_LOG_WARNING,
                             "a batch fails again and again: it is tried until failure.retries or "
                             "failure.max_age is used up",
                             err);
    consumer->retry_at_us =
        is_final ? now_us
                 : now_us + leat_backoff_us(&consumer->random, policy->backoff_base_us,
                                            policy->backoff_cap_us, consumer->attempts);
    return retry_later(consumer);
}

static int64_t
on_unavailable(struct leat_consumer *consumer, const struct leat_error *err)
{
    if (!consumer->is_outage_told)
        leat_pipeline_notice(consumer, LEAT_LOG_WARNING,
                             "what the processor needs is not available: waiting", err);
    consumer->is_outage_told = true;
    leat_consumer_set_state(consumer, LEAT_CONSUMER_UNAVAILABLE);
    consumer->retry_at_us = leat_clock_monotonic_us() +
                            leat_backoff_us(&consumer->random, UNAVAILABLE_BASE_US,
                                            UNAVAILABLE_CAP_US, consumer->outages++);
    return retry_later(consumer);
}

void
leat_consumer_stop(struct leat_consumer *consumer, enum leat_verdict verdict,
                   struct leat_error *err)
{
    if (verdict != LEAT_STOP)
        leat_error_set(err, LEAT_E_INVALID, "the processor returned %d, which is no verdict",
                       (int)verdict);
    else if (err->text[0] == '\0')
        leat_error_set(err, LEAT_E_INVALID, "the processor said stop and gave no reason");
    stop(consumer, err);
}

static int64_t
act_on(struct leat_consumer *consumer, const struct cut *cut, enum leat_verdict verdict,
       struct leat_error *err)
{
    const struct leat_error *fault = leat_emission_fault(&consumer->emission);

    /* No record's fault: nothing is diverted, somebody has to look. */
    if (fault != NULL && (verdict == LEAT_DONE || verdict == LEAT_RETRY)) {
        leat_consumer_block(consumer, fault);
        return INT64_MAX;
    }
    if (consumer->emission.is_refused && verdict == LEAT_DONE)
        return on_retry(consumer, cut, &consumer->emission.refusal, true);
    switch (verdict) {
    case LEAT_DONE:
        if (leat_consumer_gives_up(consumer))
            return leat_consumer_reset_state(consumer) ? 0 : INT64_MAX;
        leat_consumer_go_on(consumer);
        if (consumer->is_outage_told)
            leat_pipeline_notice(consumer, LEAT_LOG_INFO,
                                 "what the processor needs is available again", NULL);
        consumer->is_outage_told = false;
        finish_batch(consumer, cut);
        return 0;
    case LEAT_RETRY:
        return on_retry(consumer, cut, err, false);
    case LEAT_UNAVAILABLE:
        return on_unavailable(consumer, err);
    default:
        leat_consumer_stop(consumer, verdict, err);
        return INT64_MAX;
    }
}

/* The record that the target refuses: not shown to the processor again. */
static int64_t
divert_refused(struct leat_consumer *consumer, const struct cut *cut)
{
    struct leat_error why;

    if (consumer->runtime->config.failure.is_stop) {
        leat_error_set(&why, LEAT_E_INVALID, "the target refuses a record's rows: %s",
                       consumer->refusal.text);
        return stop(consumer, &why);
    }
    divert(consumer, cut, "rejected", consumer->refusal.text);
    consumer->diverts_next = false;
    finish_batch(consumer, cut);
    return 0;
}

static int64_t
end_of_shard(struct leat_consumer *consumer)
{
    if (consumer->epoch_count > 0 || consumer->state == LEAT_CONSUMER_ENDING)
        return INT64_MAX;
    consumer->peek = 0;
    if (consumer->is_loose_alone && !leat_consumer_is_flushed(consumer)) {
        leat_consumer_hurry(consumer);
        return INT64_MAX;
    }
    if (consumer->is_gone) {
        leat_consumer_tell_gone(consumer);
        return 0;
    }
    leat_consumer_set_state(consumer, LEAT_CONSUMER_ENDING);
    leat_consumer_end_state(consumer, LEAT_SHARD_ENDED);
    if (consumer->held == NULL)
        leat_consumer_ask_children(consumer);
    return INT64_MAX;
}

static int64_t
process_batch(struct leat_consumer *consumer)
{
    struct leat_error err = {0};
    enum leat_verdict verdict;
    struct cut cut;

    cut = cut_batch(consumer);
    if (cut.lacks_room && cut.count == 0 && cut.bad == 0)
        return leat_clock_monotonic_us() + NO_ROOM_US;
    if (cut.count == 0 && cut.bad == 0 && cut.after.raw == consumer->cursor.raw &&
        consumer->cursor.raw < consumer->chunks[0]->count) {
        leat_error_set(&err, LEAT_E_FORMAT, "a record has a sequence number of %zu bytes",
                       consumer->chunks[0]->records[consumer->cursor.raw].sequence.size);
        leat_consumer_block(consumer, &err);
        return INT64_MAX;
    }
    if (consumer->diverts_next && cut.count > 0)
        return divert_refused(consumer, &cut);
    verdict = call(consumer, &cut, &err);
    /* The lease went while it ran: whoever has it now does this batch again. The mail says so. */
    return consumer->is_let_go ? 0 : act_on(consumer, &cut, verdict, &err);
}

/* What is expanded stays only for a consumer that goes on at once; and it steps back when somebody else waits for the room. */
static int64_t
keep_open(struct leat_consumer *consumer, int64_t next_us)
{
    struct leat_memory *memory = leat_pipeline_options(consumer->runtime->pipeline)->memory;
    bool goes_on = next_us == 0 && leat_consumer_has_room(consumer);
    bool is_wanted = goes_on && leat_memory_is_expansion_wanted(memory);

    if (!goes_on || is_wanted)
        leat_deaggregator_reset(consumer->deaggregator);
    return is_wanted ? leat_clock_monotonic_us() + 2 * NO_ROOM_US : next_us;
}

int64_t
leat_consumer_process(struct leat_consumer *consumer)
{
    struct leat_scratch_pool *scratch = leat_pipeline_scratch(consumer->runtime->pipeline);
    int64_t next_us;

    if (consumer->peek > 0 && leat_consumer_has_gathered(consumer))
        return INT64_MAX; /* the target's answer wakes us */
    if (consumer->is_at_end && consumer->chunk_count == 0)
        return leat_consumer_may_call(consumer) ? end_of_shard(consumer) : INT64_MAX;
    if (leat_consumer_is_done_isolating(consumer))
        return 0;
    if (consumer->chunk_count == 0 || !leat_consumer_has_room(consumer))
        return INT64_MAX;
    if (consumer->retry_at_us > leat_clock_monotonic_us())
        return consumer->retry_at_us;
    if (!leat_consumer_may_call(consumer))
        return INT64_MAX;
    leat_scratch_lend(scratch, consumer);
    next_us = process_batch(consumer);
    leat_scratch_take_back(scratch, consumer);
    return leat_deaggregator_is_open(consumer->deaggregator) ? keep_open(consumer, next_us)
                                                             : next_us;
}

void
leat_consumer_end_state(struct leat_consumer *consumer, enum leat_shard_end why)
{
    const struct leat_processor *plugin = consumer->runtime->config.plugin;
    struct leat_error err = {0};
    bool may_write = why != LEAT_LEASE_LOST;
    enum leat_verdict verdict = LEAT_DONE;
    const struct leat_error *fault;

    if (!consumer->is_begun)
        return;
    consumer->is_begun = false;
    leat_emission_begin(&consumer->emission, NULL, 0);
    leat_consumer_call_begin(consumer, "shard_end");
    if (plugin->shard_end != NULL)
        verdict = plugin->shard_end(consumer->plugin_state, why,
                                    may_write ? &consumer->emission.out : NULL, &err);
    leat_consumer_call_end(consumer);
    leat_emission_end(&consumer->emission);
    fault = leat_emission_fault(&consumer->emission);
    if (fault == NULL && consumer->emission.is_refused)
        fault = &consumer->emission.refusal;
    if (verdict != LEAT_DONE || fault != NULL)
        leat_pipeline_notice(consumer, LEAT_LOG_ERROR, "the processor could not end a shard",
                             fault != NULL ? fault : &err);
    else if (may_write && (consumer->emission.row_count > 0 || consumer->emission.has_state))
        leat_consumer_close_epoch(consumer, &consumer->position, 0);
}
