/*
 * Reads one shard of a Kinesis stream: iterator, GetRecords, chunk. Fetch thread only.
 *
 * A stored position is proved first: its own record is asked for again (look_for_gap).
 * The position moves only with an answer that was parsed, so an iterator that expired is asked for again behind the last
 * record that was handed over. What an answer repeats of the records before it is dropped here: the consumer counts on each
 * record coming once between two takes. How many records are asked for follows the answers: it doubles while they come full, and
 * shrinks when one does not fit what could be reserved, down to a single record, which always fits the spare slot.
 */
#include <stdlib.h>
#include <string.h>

#include "aws/http.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "stream/kinesis_inside.h"

#define FIRST_LIMIT 1000u
/*
 * What an answer should be: longer ones leave the cache before they are parsed and hold more of the budget, shorter ones cost
 * more calls. Only where the service's pace is what holds us, longer ones are worth their memory (fetch.c).
 */
#define GOOD_ANSWER_BYTES ((size_t)2 << 20)
#define BACKOFF_BASE_US (100 * LEAT_MS_US)
#define BACKOFF_CAP_US (5 * LEAT_SECOND_US)
#define BLOCKED_US (5 * LEAT_SECOND_US)

/* The parsed array is handed over as it is. */
_Static_assert(sizeof(struct leat_raw_record) == sizeof(struct leat_kinesis_record), "one shape");
_Static_assert(offsetof(struct leat_raw_record, arrival_us) ==
                   offsetof(struct leat_kinesis_record, arrival_us),
               "one shape");

struct leat_reader {
    struct kinesis_source *source;
    struct leat_event_loop *loop;
    char *shard;
    struct leat_position position;
    char *iterator; /* NULL: ask for one */
    struct leat_kinesis_call *call;
    struct leat_loop_timer *timer; /* of the end that needs no call */
    struct leat_region region;
    struct leat_kinesis_region answer;
    struct leat_kinesis_records records; /* its array is lent by the clients while it is filled */
    unsigned limit, failures;
    unsigned asked_limit; /* of the call under way: what the reservation holds of it */
    size_t payload_bytes; /* of the last answer, with what it repeated */
    size_t record_bytes;  /* of the last answer, on the wire; 0: not known */
    bool is_unproved; /* nobody has seen yet whether the record at the position is there still */
    bool is_after_gap;
    size_t reservation_bytes;
    struct leat_random random;
    leat_read_done_fn done;
    void *context;
};

struct kinesis_chunk {
    struct leat_chunk chunk;
    struct leat_region_pool *regions;
    struct leat_region region;
};

static void
tell(struct leat_reader *reader, const struct leat_read_result *result)
{
    reader->done(reader->context, result);
}

static void
give_region_back(struct leat_reader *reader)
{
    leat_region_trim(&reader->region, reader->answer.size);
    leat_region_give_back(reader->source->regions, reader->region);
    reader->region = (struct leat_region){0};
    reader->answer = (struct leat_kinesis_region){0};
}

static void
forget_iterator(struct leat_reader *reader)
{
    free(reader->iterator);
    reader->iterator = NULL;
}

/* ---- refusals ------------------------------------------------------------------------------ */

static int64_t
backoff_us(struct leat_reader *reader, const struct leat_kinesis_answer *answer)
{
    int64_t wait_us =
        leat_backoff_us(&reader->random, BACKOFF_BASE_US, BACKOFF_CAP_US, reader->failures++);

    return wait_us > answer->retry_after_us ? wait_us : answer->retry_after_us;
}

/* An answer that did not fit: a larger reservation where that helps, else fewer records. */
static void
shrink(struct leat_reader *reader, const struct leat_kinesis_answer *answer,
       struct leat_read_result *result)
{
    size_t needed = answer->needed_bytes, fits = reader->reservation_bytes;
    bool can_grow = fits < LEAT_MEMORY_SPARE_BYTES;

    result->outcome = LEAT_READ_TOO_LARGE;
    if (can_grow && needed > 0 && needed <= LEAT_MEMORY_SPARE_BYTES) {
        result->needed_bytes = needed;
        return;
    }
    if (reader->limit == 1 && (!can_grow || needed > LEAT_MEMORY_SPARE_BYTES)) {
        result->outcome = LEAT_READ_BLOCKED;
        result->retry_at_us = leat_clock_monotonic_us() + BLOCKED_US;
        leat_error_set(&result->err, LEAT_E_LIMIT,
                       "cannot read stream \"%s\": the answer for a single record is larger than "
                       "%zu bytes",
                       reader->source->stream, LEAT_MEMORY_SPARE_BYTES);
        return;
    }
    result->needed_bytes = can_grow && needed == 0 ? fits * 2 : LEAT_MEMORY_SPARE_BYTES;
    reader->limit = reader->asked_limit > 1 ? reader->asked_limit / 2 : 1;
}

/* Of GetRecords: an iterator that the server does not know any more. Of GetShardIterator: the stored position is not of this
   stream, which was deleted and made again; or it is a time that the service's clock has not reached. */
static enum leat_read_outcome
meaning_of_invalid(const struct leat_reader *reader)
{
    return reader->iterator == NULL && reader->position.kind == LEAT_POSITION_SEQUENCE
               ? LEAT_READ_INVALID
               : LEAT_READ_AGAIN;
}

/* Of GetRecords alone; what refuses for the sake of keys (KMS) has nothing to do with the shard. */
static bool
is_over_pace(const struct leat_reader *reader, const struct leat_kinesis_answer *answer)
{
    return answer->fault.kind == LEAT_FAULT_THROTTLED && reader->iterator != NULL &&
           strncmp(answer->fault.type, "KMS", 3) != 0;
}

static void
tell_refusal(struct leat_reader *reader, const struct leat_kinesis_answer *answer)
{
    struct leat_read_result result = {.outcome = LEAT_READ_AGAIN, .err = answer->err};
    int64_t now_us = leat_clock_monotonic_us();

    if (answer->is_overrun) {
        shrink(reader, answer, &result);
        tell(reader, &result);
        return;
    }
    switch (answer->result) {
    case LEAT_E_EXPIRED:
        forget_iterator(reader);
        result.retry_at_us = now_us;
        break;
    case LEAT_E_NOT_FOUND:
        forget_iterator(reader);
        result.outcome = LEAT_READ_GONE;
        break;
    case LEAT_E_INVALID:
        result.outcome = meaning_of_invalid(reader);
        result.retry_at_us = now_us + backoff_us(reader, answer);
        forget_iterator(reader);
        break;
    case LEAT_E_DENIED:
        result.outcome = LEAT_READ_BLOCKED;
        result.retry_at_us = now_us + BLOCKED_US;
        break;
    default:
        result.is_over_pace = is_over_pace(reader, answer);
        result.retry_at_us =
            now_us + (result.is_over_pace ? answer->retry_after_us : backoff_us(reader, answer));
    }
    tell(reader, &result);
}

/* ---- answers ------------------------------------------------------------------------------- */

static void
chunk_release(struct leat_chunk *chunk)
{
    struct kinesis_chunk *owner = chunk->owner;

    leat_region_give_back(owner->regions, owner->region);
    free(chunk->records);
    free(chunk->children);
    free(owner);
}

static void
copy_children(const struct leat_kinesis_records *records, struct leat_chunk *chunk)
{
    if (records->child_count == 0)
        return;
    chunk->children = LEAT_NEW_ARRAY(struct leat_shard_facts, records->child_count);
    chunk->child_count = records->child_count;
    for (size_t i = 0; i < records->child_count; i++) {
        const struct leat_kinesis_child *child = &records->children[i];
        struct leat_shard_facts *facts = &chunk->children[i];

        *facts = (struct leat_shard_facts){.shard = child->shard,
                                           .starting_hash_key = child->starting_hash_key,
                                           .ending_hash_key = child->ending_hash_key,
                                           .starting_sequence = leat_slice_from("")};
        for (size_t parent = 0;
             parent < child->parent_count && facts->parent_count < LEAT_SHARD_PARENTS; parent++)
            facts->parents[facts->parent_count++] = child->parents[parent];
    }
}

/* With names that nobody can store, or of the shard itself, they are none: the list is asked. */
static bool
has_children(const struct leat_reader *reader)
{
    const struct leat_kinesis_records *records = &reader->records;

    for (size_t i = 0; i < records->child_count; i++) {
        const struct leat_kinesis_child *child = &records->children[i];

        if (!leat_shard_name_is_fine(child->shard) || leat_slice_is(child->shard, reader->shard))
            return false;
        for (size_t p = 0; p < child->parent_count; p++) {
            if (!leat_shard_name_is_fine(child->parents[p]) ||
                leat_slice_equals(child->parents[p], child->shard))
                return false;
        }
    }
    return records->child_count > 0;
}

/*
 * A real end tells the children. Without them it is one bad answer, or a server that never tells them: nobody knows until the
 * shards are listed, so the next iterator is asked for by position.
 */
static bool
is_bare_end(const struct leat_reader *reader)
{
    return reader->records.is_end && !has_children(reader) &&
           reader->position.kind != LEAT_POSITION_SHARD_END;
}

static struct leat_chunk *
chunk_new(struct leat_reader *reader)
{
    struct kinesis_chunk *owner = LEAT_NEW(struct kinesis_chunk);
    struct leat_kinesis_records *records = &reader->records;
    struct leat_chunk *chunk = &owner->chunk;
    size_t bytes = records->count * sizeof *records->records;

    leat_region_trim(&reader->region, reader->answer.size);
    owner->regions = reader->source->regions;
    owner->region = reader->region;
    reader->region = (struct leat_region){0};
    reader->answer = (struct leat_kinesis_region){0};
    chunk->owner = owner;
    chunk->release = chunk_release;
    chunk->reference_count = 1;
    chunk->count = records->count;
    if (bytes > 0) {
        chunk->records = leat_alloc(bytes);
        memcpy(chunk->records, records->records, bytes);
    }
    chunk->payload_bytes = reader->payload_bytes;
    chunk->behind_ms = records->behind_ms;
    chunk->is_shard_end = records->is_end && !is_bare_end(reader);
    chunk->is_end_doubted = is_bare_end(reader);
    chunk->is_after_gap = reader->is_after_gap;
    reader->is_after_gap = false;
    if (has_children(reader))
        copy_children(records, chunk);
    chunk->held_bytes = owner->region.touched_bytes + bytes;
    chunk->arrived_at_us = leat_clock_monotonic_us();
    return chunk;
}

/*
 * Records at or before the position stand at the head of an answer whose iterator went back (a service that repeats itself):
 * told twice they would be committed twice. One comparison where all is well. Returns how many went.
 */
static size_t
drop_repeated(struct leat_reader *reader)
{
    struct leat_kinesis_records *records = &reader->records;
    /* Inside an aggregate the record itself is wanted again. */
    int last_known = reader->position.sub_sequence >= 0 ? -1 : 0;
    struct leat_slice known = leat_slice_from(reader->position.sequence);
    size_t repeated = 0;

    if (reader->position.kind != LEAT_POSITION_SEQUENCE)
        return 0;
    while (repeated < records->count &&
           leat_sequence_order(records->records[repeated].sequence, known) <= last_known)
        repeated++;
    if (repeated > 0) {
        records->count -= repeated;
        memmove(records->records, records->records + repeated,
                records->count * sizeof *records->records);
    }
    return repeated;
}

/* Twice as many while they come full. */
static void
adapt_limit(struct leat_reader *reader, size_t count)
{
    if (count > 0)
        reader->record_bytes = reader->answer.size / count + 1;
    if (count >= reader->asked_limit && reader->asked_limit >= reader->limit)
        reader->limit *= 2;
    if (reader->limit > LEAT_KINESIS_GET_RECORDS)
        reader->limit = LEAT_KINESIS_GET_RECORDS;
}

/* So many as make a good answer, or with a large reservation fill it, once the length of records is known. */
static unsigned
limit_within(const struct leat_reader *reader)
{
    size_t wanted = reader->reservation_bytes > LEAT_FEED_USUAL_BYTES
                        ? reader->reservation_bytes / 4 * 3
                        : GOOD_ANSWER_BYTES;
    size_t limit = reader->limit;

    if (reader->record_bytes > 0 && reader->record_bytes * limit > wanted)
        limit = wanted / reader->record_bytes;
    return limit < 1 ? 1 : (unsigned)limit;
}

/*
 * The service does not say when the record of a stored position has left the stream: it begins at what is there. So the first
 * read is asked for *at* that record, not behind it: when another one comes, or the tip, it is gone. True: this read told.
 */
static bool
look_for_gap(struct leat_reader *reader)
{
    const struct leat_kinesis_records *records = &reader->records;

    if (!reader->is_unproved ||
        (records->count == 0 && records->behind_ms != 0 && !records->is_end))
        return false;
    reader->is_unproved = false;
    reader->is_after_gap = records->count == 0 ||
                           leat_sequence_order(records->records[0].sequence,
                                               leat_slice_from(reader->position.sequence)) > 0;
    return true;
}

static void
count_payload(struct leat_reader *reader)
{
    const struct leat_kinesis_records *records = &reader->records;

    reader->payload_bytes = 0;
    for (size_t i = 0; i < records->count; i++)
        reader->payload_bytes += records->records[i].data.size +
                                 records->records[i].partition_key.size;
}

/* Behind the last record; the next iterator where there is one. */
static void
move_on(struct leat_reader *reader)
{
    const struct leat_kinesis_records *records = &reader->records;
    size_t answered = records->count;
    bool is_proof = look_for_gap(reader);
    size_t repeated = drop_repeated(reader);

    forget_iterator(reader);
    /* An iterator that led to nothing new is not followed: the next one is asked for by position. */
    if (!records->is_end && (repeated == 0 || records->count > 0 || is_proof))
        reader->iterator = leat_slice_strdup(records->next_iterator);
    if (records->count > 0) {
        struct leat_slice last = records->records[records->count - 1].sequence;

        reader->position =
            (struct leat_position){.kind = LEAT_POSITION_SEQUENCE, .sub_sequence = -1};
        memcpy(reader->position.sequence, last.data, last.size);
    }
    if (records->is_end && !is_bare_end(reader))
        reader->position = (struct leat_position){.kind = LEAT_POSITION_SHARD_END};
    adapt_limit(reader, answered);
}

/* One array for all shards: a parsed answer is copied before the next one is parsed. */
static void
swap_scratch(struct leat_reader *reader)
{
    struct leat_kinesis_records *scratch = leat_kinesis_clients_scratch(reader->source->clients);
    struct leat_kinesis_record *records = scratch->records;
    size_t capacity = scratch->capacity;

    scratch->records = reader->records.records;
    scratch->capacity = reader->records.capacity;
    reader->records.records = records;
    reader->records.capacity = capacity;
}

/* With the array of its records, which is memory, too: 24 bytes of answer can be a record. */
static bool
fits(const struct leat_reader *reader, struct leat_kinesis_answer *ret_overrun)
{
    size_t bytes = reader->answer.size + reader->records.count * sizeof *reader->records.records;

    *ret_overrun = (struct leat_kinesis_answer){.is_overrun = true, .needed_bytes = bytes};
    return bytes <= reader->reservation_bytes;
}

static void
read_answered(void *context, const struct leat_kinesis_answer *answer)
{
    struct leat_reader *reader = context;
    struct leat_read_result result = {.outcome = LEAT_READ_OK};
    struct leat_kinesis_answer overrun;

    reader->call = NULL;
    if (answer->result != 0) {
        give_region_back(reader);
        tell_refusal(reader, answer);
        return;
    }
    swap_scratch(reader);
    if (leat_kinesis_records_parse(reader->answer.data, reader->answer.size, answer->encoding,
                                   &reader->records, &result.err) != 0) {
        swap_scratch(reader);
        give_region_back(reader);
        result.outcome = LEAT_READ_AGAIN;
        result.retry_at_us = leat_clock_monotonic_us();
        /* JSON at once where CBOR was at fault; otherwise something between garbles answers. */
        if (answer->encoding != LEAT_WIRE_CBOR ||
            !leat_kinesis_distrust_cbor(reader->source->reading))
            result.retry_at_us += backoff_us(reader, answer);
        tell(reader, &result);
        return;
    }
    if (!fits(reader, &overrun)) {
        swap_scratch(reader);
        give_region_back(reader);
        tell_refusal(reader, &overrun);
        return;
    }
    reader->failures = 0;
    count_payload(reader);
    move_on(reader);
    result.chunk = chunk_new(reader);
    swap_scratch(reader);
    tell(reader, &result);
}

static void
read_records(struct leat_reader *reader)
{
    struct leat_kinesis_read read = {.stream = reader->source->stream,
                                     .iterator = reader->iterator,
                                     .limit = reader->asked_limit = limit_within(reader),
                                     .region = &reader->answer};

    reader->region = leat_region_take(reader->source->regions, reader->reservation_bytes);
    /* Not more than was reserved, be the region larger. */
    reader->answer = (struct leat_kinesis_region){.data = reader->region.data,
                                                  .capacity = reader->reservation_bytes};
    reader->call = leat_kinesis_get_records_start(reader->source->reading, reader->loop, &read,
                                                  read_answered, reader);
}

/* ---- iterators ----------------------------------------------------------------------------- */

static void
iterator_answered(void *context, const struct leat_kinesis_answer *answer)
{
    struct leat_reader *reader = context;

    reader->call = NULL;
    if (answer->result != 0) {
        tell_refusal(reader, answer);
        return;
    }
    reader->iterator = leat_strdup(answer->iterator);
    read_records(reader);
}

static void
ask_for_iterator(struct leat_reader *reader)
{
    const struct leat_position *position = &reader->position;
    struct leat_kinesis_iterator_request request = {.stream = reader->source->stream,
                                                    .shard = leat_slice_from(reader->shard)};

    switch (position->kind) {
    case LEAT_POSITION_SEQUENCE:
        /* Inside an aggregate the record comes again: what is done of it is dropped by the consumer. */
        request.type = position->sub_sequence >= 0 || reader->is_unproved
                           ? LEAT_ITERATOR_AT_SEQUENCE
                           : LEAT_ITERATOR_AFTER_SEQUENCE;
        request.sequence = leat_slice_from(position->sequence);
        break;
    case LEAT_POSITION_AT_TIMESTAMP:
        request.type = LEAT_ITERATOR_AT_TIMESTAMP;
        request.timestamp_us = position->timestamp_us;
        break;
    case LEAT_POSITION_LATEST:
        request.type = LEAT_ITERATOR_LATEST;
        break;
    default:
        request.type = LEAT_ITERATOR_TRIM_HORIZON;
    }
    reader->call = leat_kinesis_get_shard_iterator_start(reader->source->reading, reader->loop,
                                                         &request, iterator_answered, reader);
}

/* ---- the interface ------------------------------------------------------------------------- */

static void
tell_end(void *context)
{
    struct leat_reader *reader = context;
    struct leat_read_result result = {.outcome = LEAT_READ_OK};

    reader->timer = NULL;
    reader->records.count = reader->records.child_count = 0;
    reader->records.is_end = true;
    reader->records.behind_ms = 0;
    reader->payload_bytes = 0;
    result.chunk = chunk_new(reader);
    tell(reader, &result);
}

void
leat_kinesis_reader_read(struct leat_reader *reader, size_t reservation_bytes,
                         leat_read_done_fn done, void *context)
{
    LEAT_ASSERT(reader->call == NULL && reader->timer == NULL);
    reader->done = done;
    reader->context = context;
    reader->reservation_bytes = reservation_bytes;
    if (reader->position.kind == LEAT_POSITION_SHARD_END)
        reader->timer = leat_event_loop_timer(reader->loop, 0, tell_end, reader);
    else if (reader->iterator != NULL)
        read_records(reader);
    else
        ask_for_iterator(reader);
}

void
leat_kinesis_reader_reposition(struct leat_reader *reader, const struct leat_position *position)
{
    LEAT_ASSERT(reader->call == NULL && reader->timer == NULL);
    forget_iterator(reader);
    reader->position = *position;
    reader->is_unproved = position->kind == LEAT_POSITION_SEQUENCE;
    reader->is_after_gap = false;
    reader->failures = 0;
}

struct leat_reader *
leat_kinesis_reader_open(struct leat_source *source, struct leat_event_loop *loop,
                         struct leat_slice shard, const struct leat_position *position)
{
    struct leat_reader *reader = LEAT_NEW(struct leat_reader);

    reader->source = (struct kinesis_source *)source;
    reader->loop = loop;
    reader->shard = leat_slice_strdup(shard);
    reader->position = *position;
    reader->is_unproved = position->kind == LEAT_POSITION_SEQUENCE;
    reader->limit = FIRST_LIMIT;
    leat_random_seed(&reader->random, (uint64_t)leat_random_identity());
    return reader;
}

void
leat_kinesis_reader_close(struct leat_reader *reader)
{
    leat_kinesis_cancel(reader->call);
    leat_loop_timer_cancel(reader->loop, reader->timer);
    give_region_back(reader);
    forget_iterator(reader);
    leat_kinesis_records_release(&reader->records);
    free(reader->shard);
    free(reader);
}
