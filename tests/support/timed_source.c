/* Answers are made when they are asked for and told by a timer of the loop. */
#include "support/timed_source.h"

#include <stdio.h>
#include <stdlib.h>

#include "aws/http.h"
#include "base/clock.h"
#include "base/memory.h"

#define FIRST_NUMBER 1000000
#define TEXT_BYTES 24

struct timed_source {
    struct leat_source source;
    struct test_timed_options options;
};

struct leat_reader {
    struct timed_source *source;
    struct leat_event_loop *loop;
    struct leat_loop_timer *timer;
    int64_t next; /* index of the next record */
    bool is_done; /* SHARD_END was the position */
    leat_read_done_fn done;
    void *context;
};

struct timed_chunk {
    struct leat_chunk chunk;
    char *texts;
};

static void
chunk_release(struct leat_chunk *chunk)
{
    struct timed_chunk *owner = chunk->owner;

    free(chunk->records);
    free(owner->texts);
    free(owner);
}

static void
add_record(struct timed_chunk *owner, const struct test_timed_options *options, int64_t index)
{
    struct leat_chunk *chunk = &owner->chunk;
    char *number = owner->texts + chunk->count * 2 * TEXT_BYTES, *data = number + TEXT_BYTES;

    snprintf(number, TEXT_BYTES, "%lld", (long long)(FIRST_NUMBER + index));
    snprintf(data, TEXT_BYTES, "%lld", (long long)index);
    chunk->records[chunk->count++] = (struct leat_raw_record){
        .data = leat_slice_from(data),
        .partition_key = leat_slice_from(data),
        .sequence = leat_slice_from(number),
        .arrival_us = options->first_us + index * options->step_us,
    };
}

static struct leat_chunk *
next_chunk(struct leat_reader *reader)
{
    const struct test_timed_options *options = &reader->source->options;
    struct timed_chunk *owner = LEAT_NEW(struct timed_chunk);
    struct leat_chunk *chunk = &owner->chunk;

    chunk->owner = owner;
    chunk->release = chunk_release;
    chunk->reference_count = 1;
    chunk->records = LEAT_NEW_ARRAY(struct leat_raw_record, options->chunk_records);
    owner->texts = leat_alloc(options->chunk_records * 2 * TEXT_BYTES);
    while (!reader->is_done && chunk->count < options->chunk_records &&
           reader->next < options->count)
        add_record(owner, options, reader->next++);
    chunk->behind_ms = reader->next < options->count ? 1000 : 0;
    chunk->is_shard_end = reader->is_done || (options->ends && reader->next == options->count);
    chunk->held_bytes = options->chunk_records * (2 * TEXT_BYTES + sizeof *chunk->records);
    chunk->arrived_at_us = leat_clock_monotonic_us();
    return chunk;
}

static void
tell(void *context)
{
    struct leat_reader *reader = context;
    struct leat_read_result result = {.outcome = LEAT_READ_OK};

    reader->timer = NULL;
    result.chunk = next_chunk(reader);
    reader->done(reader->context, &result);
}

static void
reader_read(struct leat_reader *reader, size_t reservation_bytes, leat_read_done_fn done,
            void *context)
{
    reader->done = done;
    reader->context = context;
    reader->timer = leat_event_loop_timer(
        reader->loop, leat_clock_monotonic_us() + reader->source->options.pause_us, tell, reader);
}

static void
reader_reposition(struct leat_reader *reader, const struct leat_position *position)
{
    reader->next = 0;
    reader->is_done = position->kind == LEAT_POSITION_SHARD_END;
    if (position->kind == LEAT_POSITION_SEQUENCE)
        reader->next = strtoll(position->sequence, NULL, 10) - FIRST_NUMBER + 1;
}

static struct leat_reader *
reader_open(struct leat_source *source, struct leat_event_loop *loop, struct leat_slice shard,
            const struct leat_position *position)
{
    struct leat_reader *reader = LEAT_NEW(struct leat_reader);

    reader->source = (struct timed_source *)source;
    reader->loop = loop;
    reader_reposition(reader, position);
    return reader;
}

static void
reader_close(struct leat_reader *reader)
{
    leat_loop_timer_cancel(reader->loop, reader->timer);
    free(reader);
}

static int
describe(struct leat_source *source, struct leat_source_facts *ret_facts, struct leat_error *err)
{
    *ret_facts = source->facts;
    return 0;
}

static int
list_shards(struct leat_source *source, struct leat_shard_list *list, struct leat_error *err)
{
    struct leat_shard_facts facts = {.shard = leat_slice_from(TEST_TIMED_SHARD)};

    leat_shard_list_add(list, &facts);
    return 0;
}

static int
now(struct leat_source *source, int64_t *ret_us, struct leat_error *err)
{
    *ret_us = leat_clock_wall_us();
    return 0;
}

static void
source_close(struct leat_source *source)
{
    free(source);
}

struct leat_source *
test_timed_source(const struct test_timed_options *options)
{
    static const struct leat_source_ops ops = {
        .kind = "timed",
        .describe = describe,
        .list_shards = list_shards,
        .now = now,
        .reader_open = reader_open,
        .read = reader_read,
        .reposition = reader_reposition,
        .reader_close = reader_close,
        .close = source_close,
    };
    struct timed_source *source = LEAT_NEW(struct timed_source);

    source->source.ops = &ops;
    source->options = *options;
    snprintf(source->source.facts.name, sizeof source->source.facts.name, "timed");
    snprintf(source->source.facts.arn, sizeof source->source.facts.arn, "test:timed");
    snprintf(source->source.facts.stream_id, sizeof source->source.facts.stream_id, "test:timed@1");
    return &source->source;
}
