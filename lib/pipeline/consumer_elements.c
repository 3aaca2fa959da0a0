/*
 * A stream record that expands to many user records of which most fail is one letter: the whole record, byte for byte, in place of
 * thousands. None of it is processed then (or none from some element on), so nothing is doubled when it is sent back: the call
 * that showed it is made again without it, with the state of before.
 *
 * A record that fits into a batch is always in one call (consumer_process.c), so the decision does not depend on how the stream was
 * cut. Of a longer one each batch decides from its own first element on, and so does a record whose elements come one by one.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "pipeline/runtime.h"

#define FEW 10 /* so many letters are no heap */

const struct leat_given_up *
leat_consumer_given_up(const struct leat_consumer *consumer, struct leat_slice sequence)
{
    for (size_t i = 0; i < consumer->given_up_count; i++) {
        if (leat_slice_is(sequence, consumer->given_up[i].sequence))
            return &consumer->given_up[i];
    }
    return NULL;
}

static void
name_part(struct leat_given_up *given_up, struct leat_slice sequence)
{
    size_t size = sequence.size < LEAT_SEQUENCE_BYTES ? sequence.size : LEAT_SEQUENCE_BYTES;

    memcpy(given_up->sequence, sequence.data, size);
    given_up->sequence[size] = '\0';
}

static size_t
count_failed(const struct leat_consumer *consumer, const struct leat_part *part)
{
    size_t failed = part->bad;

    for (size_t i = part->first; i < part->first + part->count; i++)
        failed += consumer->emission.is_failed[i];
    return failed;
}

static bool
is_heap(uint64_t failed, uint64_t seen)
{
    return failed >= FEW && failed * 2 > seen;
}

/* The first reason that the processor gave for one of them. */
static const char *
first_reason(const struct leat_consumer *consumer, const struct leat_part *part)
{
    const struct leat_emission *emission = &consumer->emission;
    const struct leat_emitted_failure *first = NULL;

    for (size_t i = 0; i < emission->failure_count; i++) {
        const struct leat_emitted_failure *failure = &emission->failures[i];

        if (failure->record >= part->first && failure->record < part->first + part->count &&
            (first == NULL || failure->record < first->record))
            first = failure;
    }
    return first != NULL ? first->reason : "an index inside the aggregate points nowhere";
}

bool
leat_consumer_gives_up(struct leat_consumer *consumer)
{
    size_t before = consumer->given_up_count;

    for (size_t i = 0; i < consumer->part_count; i++) {
        const struct leat_part *part = &consumer->parts[i];
        struct leat_given_up *given_up;
        size_t seen = part->count + part->bad, failed;

        if (seen < FEW)
            continue;
        failed = count_failed(consumer, part);
        if (!is_heap(failed, seen))
            continue;
        LEAT_GROW(consumer->given_up, consumer->given_up_count, consumer->given_up_capacity);
        given_up = &consumer->given_up[consumer->given_up_count++];
        *given_up = (struct leat_given_up){.from_sub = part->first_sub};
        name_part(given_up, part->raw->sequence);
        snprintf(
            given_up->text, sizeof given_up->text,
            "%zu of %zu user records from number %lld on failed, none of them is processed; the "
            "first: %.250s",
            failed, seen, (long long)part->first_sub, first_reason(consumer, part));
    }
    return consumer->given_up_count > before;
}

/* The record that the batch ends inside of: what failed of it so far. */
static void
see_open_part(struct leat_consumer *consumer, const struct leat_part *part)
{
    struct leat_given_up *open = &consumer->open_part;

    if (!leat_slice_is(part->raw->sequence, open->sequence)) {
        consumer->open_part_seen = consumer->open_part_failed = 0;
        name_part(open, part->raw->sequence);
    }
    if (consumer->open_part_failed == 0)
        snprintf(open->text, sizeof open->text, "%.250s", first_reason(consumer, part));
    consumer->open_part_seen += part->count + part->bad;
    consumer->open_part_failed += count_failed(consumer, part);
}

void
leat_consumer_see_parts(struct leat_consumer *consumer)
{
    const struct leat_part *last = NULL;

    for (size_t i = 0; i < consumer->part_count; i++) {
        const struct leat_part *part = &consumer->parts[i];
        size_t bad = count_failed(consumer, part) + part->outside;

        last = part;
        consumer->ended_records += part->is_ended;
        consumer->tally->stream_records += part->is_ended;
        consumer->tally->bytes += part->is_ended ? part->raw->data.size : 0;
        consumer->ended_diverted += part->is_ended &&
                                    bad * 2 > part->count + part->bad + part->outside;
    }
    if (last != NULL && !last->is_ended)
        see_open_part(consumer, last);
    else
        consumer->open_part.sequence[0] = '\0';
}

void
leat_consumer_forget_parts(struct leat_consumer *consumer, int64_t next_sub)
{
    const struct leat_given_up *open = &consumer->open_part;
    struct leat_given_up *given_up;

    consumer->part_count = 0;
    consumer->given_up_count = 0;
    if (next_sub == 0 || open->sequence[0] == '\0')
        consumer->open_part.sequence[0] = '\0';
    else if (is_heap(consumer->open_part_failed, consumer->open_part_seen)) {
        LEAT_GROW(consumer->given_up, consumer->given_up_count, consumer->given_up_capacity);
        given_up = &consumer->given_up[consumer->given_up_count++];
        *given_up = *open;
        given_up->from_sub = next_sub;
        snprintf(given_up->text, sizeof given_up->text,
                 "%llu of %llu user records before number %lld failed, none from there on is "
                 "processed; the first: %.250s",
                 (unsigned long long)consumer->open_part_failed,
                 (unsigned long long)consumer->open_part_seen, (long long)next_sub, open->text);
    }
}
