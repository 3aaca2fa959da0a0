/*
 * Epochs: a batch and all that it produced. One whose records all went well is complete at once; one with failed records is
 * complete when every letter of it is acknowledged. Only a prefix of complete epochs reaches the pending buffer, in order.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "base/row_json.h"
#include "pipeline/runtime.h"

#define OPEN_EPOCHS 2
#define BREAKER_RECORDS 1000
#define MINUTE_US (60 * LEAT_SECOND_US)
#define AUTO_ROWS 20000 /* about 100 ms of one committer's upserts */

/* ---- room ------------------------------------------------------------------------------------ */

/* Rows may hold a quarter of the budget; somebody always moves: who has nothing waiting may go on when nobody has. */
static bool
rows_fit(const struct leat_consumer *consumer)
{
    const struct leat_pipeline_options *options =
        leat_pipeline_options(consumer->runtime->pipeline);
    size_t rows = leat_memory_rows_of(options->memory, consumer->runtime->index);

    return rows < options->rows_budget / options->processor_count;
}

bool
leat_consumer_has_room(struct leat_consumer *consumer)
{
    const struct leat_pipeline_processor *config = &consumer->runtime->config;
    size_t most_rows = config->flush_rows > 0 ? (size_t)config->flush_rows : AUTO_ROWS;
    bool has_room, has_nothing;

    if (consumer->epoch_count >= OPEN_EPOCHS || consumer->held != NULL)
        return false;
    if (consumer->peek > 0)
        return !leat_consumer_has_gathered(consumer);
    leat_mutex_lock(&consumer->flight_lock);
    has_nothing = !consumer->filling->has_end && !consumer->is_flying &&
                  consumer->refused_generation != consumer->generation;
    has_room = leat_merge_rows(consumer->filling->merge) < most_rows &&
               leat_pending_bytes(consumer->filling) < leat_flush_bytes(consumer->runtime);
    leat_mutex_unlock(&consumer->flight_lock);
    if (!has_room) {
        leat_consumer_hurry(consumer);
        return false;
    }
    /* One commit at a time while a refused row is looked for. */
    if (consumer->isolation > 0 && !has_nothing) {
        leat_consumer_hurry(consumer);
        return false;
    }
    consumer->is_stalled = true;
    if (!rows_fit(consumer)) /* whoever writes rows wakes us */
        return false;
    consumer->is_stalled = false;
    return true;
}

bool
leat_consumer_is_flushed(struct leat_consumer *consumer)
{
    bool is_flushed;

    leat_mutex_lock(&consumer->flight_lock);
    is_flushed = !consumer->is_flying && !consumer->filling->has_end &&
                 consumer->refused_generation != consumer->generation;
    leat_mutex_unlock(&consumer->flight_lock);
    return is_flushed;
}

void
leat_consumer_hurry(struct leat_consumer *consumer)
{
    bool has_work;

    leat_mutex_lock(&consumer->flight_lock);
    consumer->is_urgent = true;
    has_work = consumer->filling->has_end;
    leat_mutex_unlock(&consumer->flight_lock);
    if (has_work)
        leat_committer_dirty(consumer->committer, consumer);
}

/* ---- into the pending buffer ----------------------------------------------------------------- */

/* What the buffer holds now against what was charged for it. */
static void
charge(struct leat_consumer *consumer, struct leat_pending *pending)
{
    const struct leat_pipeline_options *options =
        leat_pipeline_options(consumer->runtime->pipeline);
    size_t bytes = leat_pending_bytes(pending);

    if (bytes <= pending->charged_bytes)
        return;
    leat_memory_charge(options->memory, consumer->runtime->index, LEAT_MEMORY_ROWS,
                       bytes - pending->charged_bytes);
    pending->charged_bytes = bytes;
}

void
leat_consumer_discharge(struct leat_consumer *consumer, struct leat_pending *pending)
{
    const struct leat_pipeline_options *options =
        leat_pipeline_options(consumer->runtime->pipeline);

    leat_memory_discharge(options->memory, consumer->runtime->index, LEAT_MEMORY_ROWS,
                          pending->charged_bytes);
    pending->charged_bytes = 0;
}

static void
stamp(struct leat_consumer *consumer, struct leat_pending *pending)
{
    pending->lease_counter = consumer->lease_counter;
    pending->incarnation = consumer->incarnation;
    pending->generation = consumer->generation;
}

static void
complete(struct leat_consumer *consumer, const struct leat_emission *emission,
         const struct leat_position *end, uint64_t records, const struct leat_epoch *epoch)
{
    struct leat_pending *pending;
    bool is_isolating = consumer->isolation > 0;

    LEAT_POINT("epoch.complete");
    leat_mutex_lock(&consumer->flight_lock);
    pending = consumer->filling;
    stamp(consumer, pending);
    leat_pending_add(pending, emission, end, records, leat_clock_monotonic_us());
    pending->last = consumer->last_position;
    pending->as_of_us = consumer->processed_as_of_us;
    if (pending->arrival_us == 0 && records > 0)
        pending->arrival_us = consumer->batch_arrival_us;
    for (size_t i = 0; epoch != NULL && i < epoch->failure_count; i++)
        leat_pending_add_failure(pending, &epoch->failures[i]);
    charge(consumer, pending);
    if (is_isolating)
        consumer->is_urgent = true;
    pending->is_gathering = pending->is_peek = consumer->peek > 0;
    leat_mutex_unlock(&consumer->flight_lock);
    consumer->tally->rows_emitted += emission->row_count;
    leat_committer_dirty(consumer->committer, consumer);
}

/* The first epochs of the list that are complete, in order. */
static void
complete_prefix(struct leat_consumer *consumer)
{
    while (consumer->epochs != NULL && consumer->epochs->waiting == 0) {
        struct leat_epoch *epoch = consumer->epochs;

        complete(consumer, &epoch->emission, &epoch->end, epoch->records, epoch);
        consumer->epochs = epoch->next;
        if (consumer->epochs == NULL)
            consumer->epochs_end = &consumer->epochs;
        consumer->epoch_count--;
        leat_epoch_free(epoch);
    }
}

void
leat_epoch_free(struct leat_epoch *epoch)
{
    for (size_t i = 0; i < epoch->ticket_count; i++) {
        if (epoch->tickets[i] != NULL)
            leat_letter_cancel(epoch->tickets[i]);
    }
    free(epoch->tickets);
    free(epoch->failures);
    free(epoch->letters);
    leat_emission_release(&epoch->emission);
    leat_arena_release(&epoch->arena);
    free(epoch);
}

void
leat_consumer_drop_epochs(struct leat_consumer *consumer)
{
    while (consumer->epochs != NULL) {
        struct leat_epoch *next = consumer->epochs->next;

        leat_epoch_free(consumer->epochs);
        consumer->epochs = next;
    }
    consumer->epochs_end = &consumer->epochs;
    consumer->epoch_count = 0;
    if (consumer->last_chunk != NULL)
        leat_chunk_unref(consumer->last_chunk);
    consumer->last_chunk = NULL;
}

/* ---- letters --------------------------------------------------------------------------------- */

/* The letters thread says that one is safe. */
static void
letter_done(void *context, const struct leat_failure *failure)
{
    struct leat_epoch_letter *letter = context;
    struct leat_consumer *consumer = letter->epoch->consumer;
    struct leat_message *message = leat_message_new(LEAT_MESSAGE_LETTER, letter->epoch->generation);

    message->epoch = letter->epoch;
    message->letter = letter->index;
    message->failure = leat_failure_copy(failure, &message->arena);
    leat_consumer_post(consumer, message);
}

void
leat_consumer_letter(struct leat_consumer *consumer, struct leat_message *message)
{
    struct leat_epoch *epoch = message->epoch;

    LEAT_GROW(epoch->failures, epoch->failure_count, epoch->failure_capacity);
    epoch->failures[epoch->failure_count++] = leat_failure_copy(&message->failure, &epoch->arena);
    leat_letter_cancel(epoch->tickets[message->letter]);
    epoch->tickets[message->letter] = NULL;
    epoch->waiting--;
    leat_consumer_see_letter(consumer);
    complete_prefix(consumer);
}

static void
submit(struct leat_consumer *consumer, struct leat_epoch *epoch, const struct leat_letter *letter)
{
    const struct leat_pipeline_options *options =
        leat_pipeline_options(consumer->runtime->pipeline);
    struct leat_epoch_letter *slot = &epoch->letters[epoch->ticket_count];

    *slot = (struct leat_epoch_letter){epoch, epoch->ticket_count};
    epoch->waiting++;
    epoch->tickets[epoch->ticket_count++] =
        leat_letters_submit(options->letters, letter, letter_done, slot);
}

/* What all letters of a shard have in common. */
static struct leat_letter
letter_of(const struct leat_consumer *consumer, const char *reason, const char *text)
{
    const struct leat_pipeline_options *options =
        leat_pipeline_options(consumer->runtime->pipeline);

    return (struct leat_letter){
        .application = leat_slice_from(options->application),
        .processor = leat_slice_from(consumer->runtime->config.name),
        .tenant = leat_slice_from(""),
        .stream = consumer->shard.stream,
        .stream_id = consumer->shard.stream_id,
        .shard = consumer->shard.shard,
        .partition_key = leat_slice_from(""),
        .explicit_hash_key = leat_slice_from(""),
        .reason = leat_slice_from(reason),
        .text = leat_slice_from(text),
        .sqlstate = leat_slice_from(""),
        .attempts = 1,
        .processor_index = consumer->runtime->index,
    };
}

static void
submit_record(struct leat_consumer *consumer, struct leat_epoch *epoch,
              const struct leat_record *record, const char *reason, const char *text)
{
    struct leat_letter letter = letter_of(consumer, reason, text);

    letter.sequence = record->sequence_number;
    letter.sub_sequence = (int64_t)record->sub_sequence_number;
    letter.partition_key = record->partition_key;
    letter.explicit_hash_key = record->explicit_hash_key;
    letter.arrival_us = record->arrival_us;
    letter.data = record->data;
    letter.attempts = (int32_t)record->attempt + 1;
    if (strcmp(reason, "rejected") == 0) {
        letter.sqlstate = leat_slice_from(consumer->refusal.sqlstate);
        letter.attempts = consumer->refusal_attempts;
    }
    submit(consumer, epoch, &letter);
}

static void
submit_row(struct leat_consumer *consumer, struct leat_epoch *epoch,
           const struct leat_emitted_row *row, const struct leat_commit_result *refusal)
{
    const struct leat_table *table = &consumer->runtime->tables[row->table];
    struct leat_letter letter = letter_of(consumer, "rejected_row", refusal->text);
    LEAT_AUTO_BUF position = LEAT_BUF_INIT;
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;

    leat_position_format(&epoch->end, &position);
    leat_row_json(&data, table, row->operation, row->values, row->value_count);
    letter.is_row = true;
    letter.sequence = leat_buf_slice(&position);
    letter.sub_sequence = epoch->end.kind == LEAT_POSITION_SEQUENCE ? epoch->end.sub_sequence : -1;
    letter.sqlstate = leat_slice_from(refusal->sqlstate);
    letter.data = leat_buf_slice(&data);
    submit(consumer, epoch, &letter);
}

static const char *
reason_of(enum leat_user_record_status status)
{
    static const char *const reasons[] = {"",
                                          "outside_hash_range",
                                          "bad_aggregate_index",
                                          "bad_json_array",
                                          "expansion_limit",
                                          "expansion_limit",
                                          "most_elements"};

    return reasons[status];
}

static const char *
text_of(const struct leat_consumer *consumer, const struct leat_user_record *user)
{
    static const char *const texts[] = {
        "",
        "its key belongs to another shard: the producer sends such records again itself",
        "an index inside the aggregate points nowhere, in this record or in one before it",
        "the rest of a compressed array does not parse",
        "it would expand beyond the limit (expand.limit, expand.ratio)",
        "it holds more user records than may be (expand.elements)",
        "",
    };
    const struct leat_given_up *given_up;

    if (user->status != LEAT_USER_RECORD_GIVEN_UP)
        return texts[user->status];
    given_up = leat_consumer_given_up(consumer, user->record.sequence_number);
    return given_up != NULL ? given_up->text : "";
}

/* The breaker: most of at least 1,000 stream records of a minute were diverted; one of many user records counts once. */
static void
count_for_breaker(struct leat_consumer *consumer, uint64_t records, uint64_t diverted)
{
    struct leat_runtime *runtime = consumer->runtime;
    int64_t now_us = leat_clock_monotonic_us(), percent = runtime->config.failure.breaker_percent;
    bool is_tripped;

    leat_mutex_lock(&runtime->breaker_lock);
    if (now_us - runtime->minute_us > MINUTE_US) {
        runtime->minute_us = now_us;
        runtime->minute_records = runtime->minute_diverted = 0;
    }
    runtime->minute_records += records;
    runtime->minute_diverted += diverted;
    is_tripped = percent > 0 && runtime->minute_records >= BREAKER_RECORDS &&
                 runtime->minute_diverted * 100 > runtime->minute_records * (uint64_t)percent;
    leat_mutex_unlock(&runtime->breaker_lock);
    if (is_tripped) {
        struct leat_error err;

        leat_error_set(&err, LEAT_E_INVALID,
                       "more than %lld %% of the records of this minute were diverted: stopped, so "
                       "that nothing more is "
                       "(see `leat failures ls`)",
                       (long long)percent);
        leat_pipeline_stop_processor(consumer, &err);
    }
}

static struct leat_epoch *
open_epoch(struct leat_consumer *consumer, const struct leat_position *end, uint64_t records,
           size_t letters)
{
    struct leat_epoch *epoch = LEAT_NEW(struct leat_epoch);

    epoch->consumer = consumer;
    epoch->generation = consumer->generation;
    epoch->end = *end;
    epoch->records = records;
    epoch->tickets = LEAT_NEW_ARRAY(struct leat_letter_ticket *, letters);
    epoch->letters = LEAT_NEW_ARRAY(struct leat_epoch_letter, letters);
    leat_arena_init(&epoch->arena);
    *consumer->epochs_end = epoch;
    consumer->epochs_end = &epoch->next;
    consumer->epoch_count++;
    return epoch;
}

/* The emission moves out; the consumer gets a fresh one. */
static struct leat_emission
move_emission(struct leat_consumer *consumer)
{
    struct leat_emission emission = consumer->emission;

    leat_emission_init(&consumer->emission, consumer->runtime->schema);
    consumer->emission.is_cancelled = emission.is_cancelled;
    consumer->emission.context = emission.context;
    return emission;
}

/* ---- what is lost, said in the ledger ------------------------------------------------------------ */

void
leat_consumer_write_off(struct leat_consumer *consumer, const char *text, struct leat_slice data)
{
    struct leat_epoch *epoch = open_epoch(consumer, &consumer->position, 0, 1);
    struct leat_letter letter = letter_of(consumer, "lost", text);
    LEAT_AUTO_BUF position = LEAT_BUF_INIT;

    leat_position_format(&epoch->end, &position);
    letter.is_row = true;
    letter.sequence = leat_buf_slice(&position);
    letter.sub_sequence = epoch->end.kind == LEAT_POSITION_SEQUENCE ? epoch->end.sub_sequence : -1;
    letter.data = data;
    leat_emission_begin(&consumer->emission, NULL, 0);
    leat_emission_end(&consumer->emission);
    epoch->emission = move_emission(consumer);
    submit(consumer, epoch, &letter);
}

/* ---- rows of no record, committed by themselves ----------------------------------------------- */

static void
hold(struct leat_consumer *consumer)
{
    consumer->held = LEAT_NEW(struct leat_emission);
    *consumer->held = move_emission(consumer);
    leat_consumer_hurry(consumer);
}

void
leat_consumer_drop_held(struct leat_consumer *consumer)
{
    if (consumer->held == NULL)
        return;
    leat_emission_release(consumer->held);
    free(consumer->held);
    consumer->held = NULL;
}

/* The transaction was rolled back and nothing came behind it: no rewind, the same call's result is committed again, its
   rows as letters. A call that was made again might say something else. */
void
leat_consumer_divert_held(struct leat_consumer *consumer, const struct leat_commit_result *refusal)
{
    struct leat_epoch *epoch;
    struct leat_error err;

    leat_mutex_lock(&consumer->flight_lock);
    consumer->refused_generation = UINT64_MAX;
    leat_mutex_unlock(&consumer->flight_lock);
    leat_error_set(&err, LEAT_E_INVALID, "%zu rows of no record: %s", consumer->held->row_count,
                   refusal->text);
    leat_pipeline_notice(consumer, LEAT_LOG_WARNING,
                         "rows are diverted to the archive: see `leat failures ls`", &err);
    epoch = open_epoch(consumer, &consumer->position, 0, consumer->held->row_count);
    epoch->emission = *consumer->held;
    free(consumer->held);
    consumer->held = NULL;
    for (size_t i = 0; i < epoch->emission.row_count; i++)
        submit_row(consumer, epoch, &epoch->emission.rows[i], refusal);
    consumer->tally->diverted += epoch->emission.row_count;
    epoch->emission.row_count = 0;
    if (consumer->state == LEAT_CONSUMER_ENDING)
        leat_consumer_ask_children(consumer);
}

/* ---- an epoch closes ------------------------------------------------------------------------- */

/* An epoch without letters: complete at once when no other is open before it. */
static void
append(struct leat_consumer *consumer, const struct leat_position *end, uint64_t records)
{
    struct leat_epoch *epoch;

    if (consumer->epoch_count == 0) {
        complete(consumer, &consumer->emission, end, records, NULL);
        return;
    }
    epoch = open_epoch(consumer, end, records, 0);
    epoch->emission = move_emission(consumer);
    complete_prefix(consumer);
}

/* Once a batch, and the log holds back what repeats: the ledger has each one. */
static void
say_diverted(struct leat_consumer *consumer, uint64_t records, size_t letters, const char *reason)
{
    const struct leat_emission *emission = &consumer->emission;
    bool is_processors = emission->failure_count > 0;
    struct leat_error err;

    leat_error_set(
        &err, LEAT_E_INVALID, "%zu of %llu records, the first: %s: %s", letters,
        (unsigned long long)records, is_processors ? reason : reason_of(consumer->bad[0].status),
        is_processors ? emission->failures[0].reason : text_of(consumer, &consumer->bad[0]));
    leat_pipeline_notice(consumer, LEAT_LOG_WARNING,
                         "records are diverted to the archive: see `leat failures ls`", &err);
}

void
leat_consumer_close_epoch(struct leat_consumer *consumer, const struct leat_position *end,
                          uint64_t records)
{
    struct leat_emission *emission = &consumer->emission;
    size_t letters = emission->failure_count + consumer->bad_count;
    const char *reason = consumer->divert_reason != NULL ? consumer->divert_reason : "failed";
    struct leat_epoch *epoch;

    /* Now, not when the epoch is complete: a later call that is done again begins behind this one. */
    if (emission->has_state) {
        leat_buf_clear(&consumer->saved_state);
        leat_buf_add_slice(&consumer->saved_state, emission->state);
    }
    if (consumer->runtime->config.failure.breaker_percent > 0 && consumer->ended_records > 0)
        count_for_breaker(consumer, consumer->ended_records, consumer->ended_diverted);
    consumer->ended_records = consumer->ended_diverted = 0;
    if (letters == 0) {
        bool is_alone = records == 0 && emission->row_count > 0 && consumer->is_loose_alone &&
                        !consumer->is_draining;

        append(consumer, end, records);
        if (is_alone)
            hold(consumer);
        return;
    }
    consumer->tally->diverted += letters;
    say_diverted(consumer, records, letters, reason);
    epoch = open_epoch(consumer, end, records, letters);
    /* Submitted while the records are there; answered through the mailbox, so never before this returns. */
    for (size_t i = 0; i < emission->failure_count; i++)
        submit_record(consumer, epoch, &emission->records[emission->failures[i].record], reason,
                      emission->failures[i].reason);
    for (size_t i = 0; i < consumer->bad_count; i++)
        submit_record(consumer, epoch, &consumer->bad[i].record, reason_of(consumer->bad[i].status),
                      text_of(consumer, &consumer->bad[i]));
    consumer->bad_count = 0;
    epoch->emission = move_emission(consumer);
    complete_prefix(consumer);
}

/* ---- the shard's end ------------------------------------------------------------------------- */

static void
children_done(void *context, struct leat_lease_key key)
{
    leat_pipeline_children_done(context, key);
}

/* Step 1: the leases of the children, by the lease manager. */
void
leat_consumer_ask_children(struct leat_consumer *consumer)
{
    const struct leat_chunk *chunk = consumer->last_chunk;

    consumer->are_children_asked = true;
    leat_lease_children(leat_pipeline_leases(consumer->runtime->pipeline),
                        leat_consumer_key(consumer), chunk != NULL ? chunk->children : NULL,
                        chunk != NULL ? chunk->child_count : 0, children_done,
                        consumer->runtime->pipeline);
}

/*
 * Step 2: SHARD_END, committed behind everything else of the shard. The answer is of the lease, not of who asked: it comes to its other
 * processors, too, and, late, to one that has rewound since and has rows at hand that are still to be written or to become letters.
 * An end in front of those would lose them.
 */
void
leat_consumer_commit_end(struct leat_consumer *consumer)
{
    if (consumer->state != LEAT_CONSUMER_ENDING || !consumer->are_children_asked)
        return;
    consumer->are_children_asked = false;
    if (consumer->position.kind != LEAT_POSITION_SHARD_END)
        consumer->last_position = consumer->position;
    consumer->position =
        (struct leat_position){.kind = LEAT_POSITION_SHARD_END, .sub_sequence = -1};
    leat_emission_begin(&consumer->emission, NULL, 0);
    leat_emission_end(&consumer->emission);
    append(consumer, &consumer->position, 0);
    leat_consumer_hurry(consumer);
}
