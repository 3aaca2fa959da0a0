/*
 * Streams and the lineage of their shards. A reshard closes its parents and opens the children at one moment: when it is due.
 *
 * A sequence number is "49", the shard's epoch (16 digits), the record's number (20), the shard's index (10) and "00000002".
 * Epochs only grow, also across streams: a child's numbers are above its parents', and a stream that was made again shares
 * none with its former self.
 */
#include "local/kinesis_store.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"

int
leat_local_refuse(struct leat_local_refusal *refusal, const char *type, const char *format, ...)
{
    va_list arguments;

    refusal->status = 400;
    refusal->type = type;
    va_start(arguments, format);
    vsnprintf(refusal->message, sizeof refusal->message, format, arguments);
    va_end(arguments);
    return LEAT_E_INVALID;
}

const char *
leat_local_state_text(enum leat_local_state state)
{
    static const char *const texts[] = {"CREATING", "ACTIVE", "UPDATING", "DELETING"};

    return texts[state];
}

/* ---- sequence numbers ------------------------------------------------------------------------ */

static char *
put_digits(char *out, uint64_t number, unsigned digits)
{
    for (unsigned i = digits; i > 0; i--, number /= 10)
        out[i - 1] = (char)('0' + number % 10);
    return out + digits;
}

void
leat_local_sequence_format(const struct leat_local_shard *shard, uint64_t number,
                           char ret_text[LEAT_LOCAL_SEQUENCE_BYTES])
{
    char *next = ret_text;

    memcpy(next, "49", 2);
    next = put_digits(next + 2, shard->epoch, 16);
    next = put_digits(next, number, 20);
    next = put_digits(next, shard->index, 10);
    memcpy(next, "00000002", 9);
}

bool
leat_local_sequence_parse(const struct leat_local_shard *shard, struct leat_slice text,
                          uint64_t *ret_number)
{
    char again[LEAT_LOCAL_SEQUENCE_BYTES];
    uint64_t number = 0;

    if (text.size != LEAT_LOCAL_SEQUENCE_BYTES - 1)
        return false;
    for (size_t i = 18; i < 38; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    leat_local_sequence_format(shard, number, again);
    if (memcmp(again, text.data, text.size) != 0)
        return false;
    *ret_number = number;
    return true;
}

/* ---- shards ---------------------------------------------------------------------------------- */

static struct leat_local_shard *
add_shard(struct leat_local_store *store, struct leat_local_stream *stream,
          struct leat_hash_key start, struct leat_hash_key end, int64_t now_us)
{
    struct leat_local_shard *shard = LEAT_NEW(struct leat_local_shard);
    uint64_t now_ms = now_us > 0 ? (uint64_t)now_us / 1000 : 0;

    store->last_epoch = now_ms > store->last_epoch ? now_ms : store->last_epoch + 1;
    shard->stream = stream;
    shard->index = (uint32_t)stream->shard_count;
    shard->epoch = store->last_epoch;
    shard->start = start;
    shard->end = end;
    shard->created_us = shard->last_arrival_us = now_us;
    shard->first = 1;
    snprintf(shard->name, sizeof shard->name, "shardId-%012" PRIu32, shard->index);
    LEAT_GROW(stream->shards, stream->shard_count, stream->shard_capacity);
    stream->shards[stream->shard_count++] = shard;
    return shard;
}

static void
free_shard(struct leat_local_store *store, struct leat_local_shard *shard)
{
    leat_local_shard_trim(store, shard, INT64_MAX);
    free(shard->chunks);
    free(shard);
}

static int
order_by_range(const void *a, const void *b)
{
    return leat_hash_key_compare((*(struct leat_local_shard *const *)a)->start,
                                 (*(struct leat_local_shard *const *)b)->start);
}

static void
list_open(struct leat_local_stream *stream)
{
    stream->open_count = 0;
    for (size_t i = 0; i < stream->shard_count; i++) {
        if (stream->shards[i]->closed_us != 0)
            continue;
        LEAT_GROW(stream->open, stream->open_count, stream->open_capacity);
        stream->open[stream->open_count++] = stream->shards[i];
    }
    leat_sort(stream->open, stream->open_count, sizeof *stream->open, order_by_range);
}

struct leat_local_shard *
leat_local_stream_shard(struct leat_local_stream *stream, struct leat_slice name,
                        struct leat_local_refusal *refusal)
{
    static const char prefix[] = "shardId-";
    size_t index = 0, at = sizeof prefix - 1;
    bool is_name = name.size == at + 12 && memcmp(name.data, prefix, at) == 0;

    for (; is_name && at < name.size; at++) {
        is_name = name.data[at] >= '0' && name.data[at] <= '9';
        index = index * 10 + (name.data[at] - '0');
    }
    if (is_name && index < stream->shard_count && !stream->shards[index]->is_gone)
        return stream->shards[index];
    leat_local_refuse(
        refusal, "ResourceNotFoundException",
        "Could not find shard %.*s in stream %s under account " LEAT_LOCAL_ACCOUNT ".",
        (int)(name.size < 128 ? name.size : 128), (const char *)name.data, stream->name);
    return NULL;
}

struct leat_local_shard *
leat_local_stream_route(struct leat_local_stream *stream, struct leat_hash_key key)
{
    size_t low = 0, high = stream->open_count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (leat_hash_key_compare(stream->open[middle]->start, key) <= 0)
            low = middle;
        else
            high = middle;
    }
    return stream->open[low];
}

/* ---- streams --------------------------------------------------------------------------------- */

void
leat_local_store_init(struct leat_local_store *store)
{
    *store = (struct leat_local_store){
        .retention_us = 24 * 3600 * LEAT_SECOND_US,
        .maximum_bytes = (size_t)1 << 30,
        .record_bytes = (size_t)1 << 20,
    };
    leat_map_init(&store->by_name);
}

static void
remove_stream(struct leat_local_store *store, struct leat_local_stream *stream)
{
    for (size_t i = 0; i < store->stream_count; i++) {
        if (store->streams[i] == stream) {
            store->streams[i] = store->streams[--store->stream_count];
            break;
        }
    }
    leat_map_remove(&store->by_name, leat_slice_from(stream->name));
    for (size_t i = 0; i < stream->shard_count; i++)
        free_shard(store, stream->shards[i]);
    free(stream->shards);
    free(stream->open);
    free(stream);
}

void
leat_local_store_release(struct leat_local_store *store)
{
    while (store->stream_count > 0)
        remove_stream(store, store->streams[0]);
    free(store->streams);
    leat_map_release(&store->by_name, NULL);
}

static bool
is_stream_name(struct leat_slice name)
{
    if (name.size == 0 || name.size > 128)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.' || c == '-'))
            return false;
    }
    return true;
}

/* The hash range in equal parts: 2^128 * i / count. */
static struct leat_hash_key
cut_at(uint32_t place, uint32_t count)
{
    unsigned __int128 width = ~(unsigned __int128)0 / count;
    unsigned __int128 rest = ~(unsigned __int128)0 % count + 1;
    unsigned __int128 cut = width * place + rest * place / count;

    return (struct leat_hash_key){(uint64_t)(cut >> 64), (uint64_t)cut};
}

static struct leat_hash_key
before(struct leat_hash_key key)
{
    return (struct leat_hash_key){key.high - (key.low == 0), key.low - 1};
}

int
leat_local_store_create(struct leat_local_store *store, struct leat_slice name, uint32_t shards,
                        int64_t now_us, int64_t change_us, struct leat_local_refusal *refusal)
{
    struct leat_local_stream *stream;

    if (!is_stream_name(name))
        return leat_local_refuse(refusal, "ValidationException",
                                 "1 validation error detected: Value at 'streamName' failed to "
                                 "satisfy constraint: Member must satisfy regular expression "
                                 "pattern: [a-zA-Z0-9_.-]+");
    if (shards == 0 || shards > LEAT_LOCAL_MAXIMUM_SHARDS)
        return leat_local_refuse(refusal,
                                 shards == 0 ? "ValidationException" : "LimitExceededException",
                                 "ShardCount must be between 1 and %u.", LEAT_LOCAL_MAXIMUM_SHARDS);
    if (leat_map_get(&store->by_name, name) != NULL)
        return leat_local_refuse(refusal, "ResourceInUseException",
                                 "Stream %.*s under account " LEAT_LOCAL_ACCOUNT " already exists.",
                                 (int)name.size, (const char *)name.data);
    stream = LEAT_NEW(struct leat_local_stream);
    memcpy(stream->name, name.data, name.size);
    stream->id = ++store->last_id;
    stream->created_us = now_us;
    stream->state = change_us > 0 ? LEAT_LOCAL_CREATING : LEAT_LOCAL_ACTIVE;
    stream->due_us = now_us + change_us;
    for (uint32_t i = 0; i < shards; i++)
        add_shard(store, stream, cut_at(i, shards),
                  i + 1 < shards ? before(cut_at(i + 1, shards))
                                 : (struct leat_hash_key){UINT64_MAX, UINT64_MAX},
                  now_us);
    list_open(stream);
    LEAT_GROW(store->streams, store->stream_count, store->stream_capacity);
    store->streams[store->stream_count++] = stream;
    leat_map_put(&store->by_name, name, stream);
    return 0;
}

struct leat_local_stream *
leat_local_store_find(struct leat_local_store *store, struct leat_slice name,
                      struct leat_local_refusal *refusal)
{
    struct leat_local_stream *stream = leat_map_get(&store->by_name, name);

    if (stream == NULL)
        leat_local_refuse(refusal, "ResourceNotFoundException",
                          "Stream %.*s under account " LEAT_LOCAL_ACCOUNT " not found.",
                          (int)(name.size < 128 ? name.size : 128), (const char *)name.data);
    return stream;
}

struct leat_local_stream *
leat_local_store_by_id(struct leat_local_store *store, uint64_t id)
{
    for (size_t i = 0; i < store->stream_count; i++) {
        if (store->streams[i]->id == id)
            return store->streams[i];
    }
    return NULL;
}

static int
check_active(const struct leat_local_stream *stream, struct leat_local_refusal *refusal)
{
    if (stream->state == LEAT_LOCAL_ACTIVE)
        return 0;
    return leat_local_refuse(refusal, "ResourceInUseException",
                             "Stream %s under account " LEAT_LOCAL_ACCOUNT
                             " not ACTIVE, instead in state %s",
                             stream->name, leat_local_state_text(stream->state));
}

int
leat_local_store_delete(struct leat_local_store *store, struct leat_slice name, int64_t now_us,
                        struct leat_local_refusal *refusal)
{
    struct leat_local_stream *stream = leat_local_store_find(store, name, refusal);

    if (stream == NULL || check_active(stream, refusal) < 0)
        return LEAT_E_INVALID;
    stream->state = LEAT_LOCAL_DELETING;
    stream->due_us = now_us + store->change_us;
    leat_local_store_settle(store, now_us);
    return 0;
}

/* ---- reshards -------------------------------------------------------------------------------- */

static void
close_parent(struct leat_local_shard *parent, struct leat_local_shard *child, int64_t now_us)
{
    parent->closed_us = now_us;
    parent->children[parent->child_count++] = child->index;
    child->parents[child->parent_count++] = parent->index;
}

static void
apply_change(struct leat_local_store *store, struct leat_local_stream *stream, int64_t now_us)
{
    const struct leat_local_change *change = &stream->change;
    struct leat_local_shard *parent = stream->shards[change->shards[0]];

    if (change->shard_count == 2) {
        struct leat_local_shard *other = stream->shards[change->shards[1]], *child;
        bool is_lower = leat_hash_key_compare(parent->start, other->start) < 0;

        child = add_shard(store, stream, is_lower ? parent->start : other->start,
                          is_lower ? other->end : parent->end, now_us);
        close_parent(parent, child, now_us);
        close_parent(other, child, now_us);
    } else {
        close_parent(parent, add_shard(store, stream, parent->start, before(change->at), now_us),
                     now_us);
        close_parent(parent, add_shard(store, stream, change->at, parent->end, now_us), now_us);
    }
    list_open(stream);
}

void
leat_local_store_settle(struct leat_local_store *store, int64_t now_us)
{
    for (size_t i = 0; i < store->stream_count;) {
        struct leat_local_stream *stream = store->streams[i];

        if (stream->state == LEAT_LOCAL_ACTIVE || now_us < stream->due_us) {
            i++;
            continue;
        }
        if (stream->state == LEAT_LOCAL_DELETING) {
            remove_stream(store, stream);
            continue;
        }
        if (stream->state == LEAT_LOCAL_UPDATING)
            apply_change(store, stream, stream->due_us);
        stream->state = LEAT_LOCAL_ACTIVE;
        i++;
    }
}

static int
begin_change(struct leat_local_store *store, struct leat_local_stream *stream,
             const struct leat_local_change *change, int64_t now_us)
{
    stream->change = *change;
    stream->state = LEAT_LOCAL_UPDATING;
    stream->due_us = now_us + store->change_us;
    leat_local_store_settle(store, now_us);
    return 0;
}

static int
check_open(const struct leat_local_stream *stream, const struct leat_local_shard *shard,
           struct leat_local_refusal *refusal)
{
    if (shard->closed_us == 0)
        return 0;
    return leat_local_refuse(refusal, "InvalidArgumentException",
                             "Shard %s in stream %s under account " LEAT_LOCAL_ACCOUNT
                             " was merged or split already.",
                             shard->name, stream->name);
}

/* more than five: what is split, where, and when. */
int
leat_local_store_split(struct leat_local_store *store, struct leat_local_stream *stream,
                       struct leat_local_shard *shard, const struct leat_hash_key *at,
                       int64_t now_us, struct leat_local_refusal *refusal)
{
    struct leat_local_change change = {{shard->index}, 1, {0, 0}};
    unsigned __int128 start = (unsigned __int128)shard->start.high << 64 | shard->start.low;
    unsigned __int128 end = (unsigned __int128)shard->end.high << 64 | shard->end.low;
    unsigned __int128 key = start + (end - start) / 2 + 1; /* in the middle */

    if (at != NULL)
        key = (unsigned __int128)at->high << 64 | at->low;
    change.at = (struct leat_hash_key){(uint64_t)(key >> 64), (uint64_t)key};
    if (check_active(stream, refusal) < 0 || check_open(stream, shard, refusal) < 0)
        return LEAT_E_INVALID;
    /* As the service has it: more than one above the start, and below the end. */
    if (key <= start || key - start <= 1 || key >= end)
        return leat_local_refuse(refusal, "InvalidArgumentException",
                                 "NewStartingHashKey used in SplitShard() on shard %s in stream "
                                 "%s under account " LEAT_LOCAL_ACCOUNT
                                 " is not both greater than one plus the shard's StartingHashKey "
                                 "and less than its EndingHashKey.",
                                 shard->name, stream->name);
    return begin_change(store, stream, &change, now_us);
}

static bool
is_before(const struct leat_local_shard *a, const struct leat_local_shard *b)
{
    return leat_hash_key_compare(a->start, b->start) < 0 &&
           leat_hash_key_compare(a->end, before(b->start)) == 0;
}

/* more than five: as split. */
int
leat_local_store_merge(struct leat_local_store *store, struct leat_local_stream *stream,
                       struct leat_local_shard *shard, struct leat_local_shard *adjacent,
                       int64_t now_us, struct leat_local_refusal *refusal)
{
    struct leat_local_change change = {{shard->index, adjacent->index}, 2, {0, 0}};

    if (check_active(stream, refusal) < 0 || check_open(stream, shard, refusal) < 0 ||
        check_open(stream, adjacent, refusal) < 0)
        return LEAT_E_INVALID;
    if (!is_before(shard, adjacent) && !is_before(adjacent, shard))
        return leat_local_refuse(refusal, "InvalidArgumentException",
                                 "Shards %s and %s in stream %s under account " LEAT_LOCAL_ACCOUNT
                                 " are not an adjacent pair of shards eligible for merging",
                                 shard->name, adjacent->name, stream->name);
    return begin_change(store, stream, &change, now_us);
}
