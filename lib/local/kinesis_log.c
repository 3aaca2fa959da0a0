/*
 * The records of a shard: chunks of growing size (4 KiB to 1 MiB), so that ten thousand shards with a record each stay small
 * and a full one has few. All chunks of a store are in one list by age: above the maximum the oldest go, whosever they are.
 */
#include "local/kinesis_store.h"

#include <stdlib.h>

#include "aws/cbor.h"
#include "base/memory.h"

/* Capacities; with its head a chunk has a round size. */
#define SMALLEST_CHUNK_BYTES (((size_t)4 << 10) - sizeof(struct leat_local_chunk))
#define LARGEST_CHUNK_BYTES (((size_t)1 << 20) - sizeof(struct leat_local_chunk))
#define RECORD_OVERHEAD_BYTES 256 /* keys, heads, sequence number, time; and the entry */

/* ---- limits ---------------------------------------------------------------------------------- */

static void
fill(struct leat_local_bucket *bucket, uint32_t rate, int64_t now_us)
{
    if (bucket->at_us == 0)
        bucket->level = rate;
    else if (now_us > bucket->at_us)
        bucket->level += (double)(now_us - bucket->at_us) * rate / 1e6;
    if (bucket->level > rate)
        bucket->level = rate;
    bucket->at_us = now_us;
}

bool
leat_local_bucket_has(struct leat_local_bucket *bucket, uint32_t rate, int64_t now_us,
                      double amount)
{
    if (rate == 0)
        return true;
    fill(bucket, rate, now_us);
    return bucket->level >= (amount < rate ? amount : rate);
}

void
leat_local_bucket_take(struct leat_local_bucket *bucket, uint32_t rate, double amount)
{
    if (rate != 0)
        bucket->level -= amount;
}

static int
refuse_rate(const struct leat_local_shard *shard, struct leat_local_refusal *refusal)
{
    return leat_local_refuse(
        refusal, "ProvisionedThroughputExceededException",
        "Rate exceeded for shard %s in stream %s under account " LEAT_LOCAL_ACCOUNT ".",
        shard->name, shard->stream->name);
}

int
leat_local_shard_admit(struct leat_local_store *store, struct leat_local_shard *shard,
                       const struct leat_local_record *record, int64_t now_us,
                       struct leat_local_refusal *refusal)
{
    const struct leat_local_limits *limits = &store->limits;
    double bytes = (double)(record->data.size + record->partition_key.size);

    if (!leat_local_bucket_has(&shard->write_records, limits->write_records, now_us, 1) ||
        !leat_local_bucket_has(&shard->write_bytes, limits->write_bytes, now_us, bytes))
        return refuse_rate(shard, refusal);
    leat_local_bucket_take(&shard->write_records, limits->write_records, 1);
    leat_local_bucket_take(&shard->write_bytes, limits->write_bytes, bytes);
    return 0;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

void
leat_local_chunk_unref(struct leat_local_chunk *chunk)
{
    if (atomic_fetch_sub_explicit(&chunk->references, 1, memory_order_acq_rel) == 1)
        free(chunk);
}

static struct leat_local_chunk **
chunks_of(const struct leat_local_shard *shard)
{
    return shard->chunks + shard->chunk_head;
}

/* Takes the shard's oldest chunk away. */
static void
drop_chunk(struct leat_local_store *store, struct leat_local_shard *shard)
{
    struct leat_local_chunk *chunk = chunks_of(shard)[0];
    uint64_t behind = chunk->first + chunk->count;

    if (behind > shard->first) {
        store->records_trimmed += behind - shard->first;
        shard->first = behind;
    }
    shard->chunk_head++;
    if (--shard->chunk_count == 0)
        shard->chunk_head = 0;
    *(chunk->older != NULL ? &chunk->older->newer : &store->oldest) = chunk->newer;
    *(chunk->newer != NULL ? &chunk->newer->older : &store->newest) = chunk->older;
    store->bytes -= sizeof *chunk + chunk->capacity;
    leat_local_chunk_unref(chunk);
}

static void
push_chunk(struct leat_local_shard *shard, struct leat_local_chunk *chunk)
{
    if (shard->chunk_head + shard->chunk_count == shard->chunk_capacity && shard->chunk_head > 0) {
        memmove(shard->chunks, chunks_of(shard), shard->chunk_count * sizeof *shard->chunks);
        shard->chunk_head = 0;
    }
    LEAT_GROW(shard->chunks, shard->chunk_head + shard->chunk_count, shard->chunk_capacity);
    chunks_of(shard)[shard->chunk_count++] = chunk;
}

/* A chunk in which this many bytes and one more entry fit. */
static struct leat_local_chunk *
room_for(struct leat_local_store *store, struct leat_local_shard *shard, size_t bytes)
{
    struct leat_local_chunk *last =
        shard->chunk_count > 0 ? chunks_of(shard)[shard->chunk_count - 1] : NULL;
    struct leat_local_chunk *chunk;
    size_t capacity = SMALLEST_CHUNK_BYTES;

    if (last != NULL &&
        last->capacity - last->used >= bytes + (last->count + 1) * sizeof(struct leat_local_entry))
        return last;
    if (last != NULL)
        capacity = last->capacity * 2 < LARGEST_CHUNK_BYTES ? last->capacity * 2 + sizeof *last
                                                            : LARGEST_CHUNK_BYTES;
    if (capacity < bytes + sizeof(struct leat_local_entry))
        capacity = (bytes + sizeof(struct leat_local_entry) + 7) & ~(size_t)7;
    chunk = leat_alloc(sizeof *chunk + capacity);
    *chunk = (struct leat_local_chunk){.references = 1,
                                       .first = shard->last + 1,
                                       .capacity = capacity,
                                       .shard = shard,
                                       .older = store->newest};
    *(store->newest != NULL ? &store->newest->newer : &store->oldest) = chunk;
    store->newest = chunk;
    store->bytes += sizeof *chunk + capacity;
    push_chunk(shard, chunk);
    while (store->bytes > store->maximum_bytes && store->oldest != chunk)
        drop_chunk(store, store->oldest->shard);
    return chunk;
}

uint64_t
leat_local_shard_append(struct leat_local_store *store, struct leat_local_shard *shard,
                        const struct leat_local_record *record, int64_t now_us)
{
    size_t most = record->data.size + record->partition_key.size + RECORD_OVERHEAD_BYTES;
    struct leat_local_chunk *chunk = room_for(store, shard, most);
    struct leat_local_entry *entry = leat_local_chunk_entry(chunk, chunk->count);
    char sequence[LEAT_LOCAL_SEQUENCE_BYTES];
    /* The chunk's own memory: it never grows, since the room is there. */
    struct leat_buf out = {
        .data = chunk->bytes + chunk->used, .capacity = most + 1, .maximum = most};

    if (now_us > shard->last_arrival_us)
        shard->last_arrival_us = now_us; /* never back */
    leat_local_sequence_format(shard, shard->last + 1, sequence);
    leat_cbor_put_map(&out, 4);
    leat_cbor_put_key(&out, "SequenceNumber");
    leat_cbor_put_text(&out, leat_slice_from(sequence));
    leat_cbor_put_key(&out, "ApproximateArrivalTimestamp");
    leat_cbor_put_time(&out, shard->last_arrival_us);
    leat_cbor_put_key(&out, "PartitionKey");
    leat_cbor_put_text(&out, record->partition_key);
    entry->key_offset = (uint16_t)(out.size - record->partition_key.size);
    leat_cbor_put_key(&out, "Data");
    leat_cbor_put_bytes(&out, record->data);
    LEAT_ASSERT(!out.is_truncated && out.data == chunk->bytes + chunk->used);
    entry->arrival_us = shard->last_arrival_us;
    entry->offset = (uint32_t)chunk->used;
    entry->key_size = (uint16_t)record->partition_key.size;
    entry->data_offset = (uint16_t)(out.size - record->data.size);
    entry->data_size = (uint32_t)record->data.size;
    chunk->used += out.size;
    chunk->count++;
    return ++shard->last;
}

/* ---- finding --------------------------------------------------------------------------------- */

/* The place of the chunk with this number; chunk_count: there is none. */
static size_t
find_chunk(const struct leat_local_shard *shard, uint64_t number)
{
    size_t low = 0, high = shard->chunk_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct leat_local_chunk *chunk = chunks_of(shard)[middle];

        if (chunk->first + chunk->count <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t
leat_local_shard_number_at(const struct leat_local_shard *shard, int64_t at_us)
{
    uint64_t low = shard->first, high = shard->last + 1;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct leat_local_chunk *chunk = chunks_of(shard)[find_chunk(shard, middle)];

        if (leat_local_chunk_entry(chunk, (uint32_t)(middle - chunk->first))->arrival_us < at_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- trimming -------------------------------------------------------------------------------- */

void
leat_local_shard_trim(struct leat_local_store *store, struct leat_local_shard *shard,
                      int64_t before_us)
{
    uint64_t first = before_us == INT64_MAX ? shard->last + 1
                                            : leat_local_shard_number_at(shard, before_us);

    while (shard->chunk_count > 0 &&
           chunks_of(shard)[0]->first + chunks_of(shard)[0]->count <= first)
        drop_chunk(store, shard);
    if (first > shard->first) {
        store->records_trimmed += first - shard->first;
        shard->first = first;
    }
}

void
leat_local_shard_expire(struct leat_local_store *store, struct leat_local_shard *shard,
                        int64_t now_us)
{
    int64_t horizon_us = now_us - store->retention_us;

    if (shard->created_us >= horizon_us)
        return;
    leat_local_shard_trim(store, shard, horizon_us);
    if (shard->closed_us != 0 && shard->closed_us < horizon_us && shard->first > shard->last)
        shard->is_gone = true;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void
add_run(struct leat_local_read *read, struct leat_local_chunk *chunk, uint32_t first,
        uint32_t count)
{
    const struct leat_local_entry *last = leat_local_chunk_entry(chunk, first + count - 1);

    LEAT_GROW(read->runs, read->run_count, read->run_capacity);
    read->runs[read->run_count++] = (struct leat_local_run){chunk, first, count};
    atomic_fetch_add_explicit(&chunk->references, 1, memory_order_relaxed);
    read->count += count;
    read->cbor_bytes += last->offset + last->data_offset + last->data_size -
                        leat_local_chunk_entry(chunk, first)->offset;
}

static void
gather(struct leat_local_shard *shard, uint64_t position, uint32_t limit,
       struct leat_local_read *read)
{
    for (size_t at = find_chunk(shard, position); at < shard->chunk_count && limit > 0; at++) {
        struct leat_local_chunk *chunk = chunks_of(shard)[at];
        uint32_t first = (uint32_t)(position - chunk->first), count = 0;

        while (count < limit && first + count < chunk->count) {
            const struct leat_local_entry *entry = leat_local_chunk_entry(chunk, first + count);
            uint64_t bytes = read->payload_bytes + entry->data_size + entry->key_size;

            /* One record always goes, however large. */
            if (bytes > LEAT_LOCAL_READ_BYTES && read->count + count > 0) {
                limit = count;
                break;
            }
            read->payload_bytes = bytes;
            count++;
        }
        if (count == 0)
            break;
        add_run(read, chunk, first, count);
        position += count;
        limit -= count;
    }
    read->next = position;
}

static void
tell_children(const struct leat_local_shard *shard, struct leat_local_read *read)
{
    for (uint32_t i = 0; i < shard->child_count; i++) {
        const struct leat_local_shard *child = shard->stream->shards[shard->children[i]];
        struct leat_local_child *told = &read->children[read->child_count++];

        memcpy(told->name, child->name, sizeof told->name);
        for (uint32_t j = 0; j < child->parent_count; j++)
            memcpy(told->parents[j], shard->stream->shards[child->parents[j]]->name,
                   sizeof told->parents[j]);
        told->parent_count = child->parent_count;
        told->start = child->start;
        told->end = child->end;
    }
}

static int64_t
behind_ms(const struct leat_local_shard *shard, const struct leat_local_read *read, int64_t now_us)
{
    struct leat_local_chunk *chunk;
    int64_t ms;

    if (read->next > shard->last)
        return 0;
    chunk = chunks_of(shard)[find_chunk(shard, read->next)];
    ms = (now_us -
          leat_local_chunk_entry(chunk, (uint32_t)(read->next - chunk->first))->arrival_us) /
         1000;
    return ms > 1 ? ms : 1; /* 0 says "nothing more" */
}

/*
 * "If a call to GetRecords returns 10 MB, subsequent calls made within the next 5 seconds throw": so for an answer of more than
 * a second's worth nothing is saved up; a shorter one is paid for out of what a second gives.
 */
static void
take_answer(struct leat_local_bucket *bucket, uint32_t rate, double bytes)
{
    if (bytes > rate && bucket->level > 0)
        bucket->level = 0;
    leat_local_bucket_take(bucket, rate, bytes);
}

/* more than five: see the header. */
int
leat_local_shard_read(struct leat_local_store *store, struct leat_local_shard *shard,
                      uint64_t position, uint32_t limit, int64_t now_us,
                      struct leat_local_read *ret_read, struct leat_local_refusal *refusal)
{
    const struct leat_local_limits *limits = &store->limits;

    *ret_read = (struct leat_local_read){0};
    if (!leat_local_bucket_has(&shard->reads, limits->reads, now_us, 1) ||
        !leat_local_bucket_has(&shard->read_bytes, limits->read_bytes, now_us, 1))
        return refuse_rate(shard, refusal);
    leat_local_bucket_take(&shard->reads, limits->reads, 1);
    if (position < shard->first)
        position = shard->first;
    gather(shard, position, limit < LEAT_LOCAL_READ_RECORDS ? limit : LEAT_LOCAL_READ_RECORDS,
           ret_read);
    take_answer(&shard->read_bytes, limits->read_bytes, (double)ret_read->payload_bytes);
    ret_read->is_end = shard->closed_us != 0 && ret_read->next > shard->last;
    ret_read->behind_ms = behind_ms(shard, ret_read, now_us);
    if (ret_read->is_end)
        tell_children(shard, ret_read);
    return 0;
}

void
leat_local_read_release(struct leat_local_read *read)
{
    for (size_t i = 0; i < read->run_count; i++)
        leat_local_chunk_unref(read->runs[i].chunk);
    free(read->runs);
    *read = (struct leat_local_read){0};
}
