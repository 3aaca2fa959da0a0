/*
 * From stream records to the service.
 *
 * 1. An aggregate is made for the shard that held its records' hash keys when the shards were listed last. A split or merge
 *    moves the place: the service says which shard the aggregate went to. Records whose hash keys lie outside of that
 *    shard are dropped by the KCL and diverted by leat as `outside_hash_range`, counting on the producer: they are sent
 *    again, one by one, so that the service itself finds their shards.
 * 2. The listing may not know that shard yet. Then nobody can say which records it holds but those with the aggregate's own
 *    hash key; all others are sent again. Some may be there twice; none is lost.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "producer/inside.h"
#include "stream/kpl.h"

static int
list_shard(void *context, const struct leat_kinesis_shard *shard)
{
    struct leat_shard_list *list = context;
    struct leat_shard_facts facts = {
        .shard = shard->shard,
        .starting_hash_key = shard->starting_hash_key,
        .ending_hash_key = shard->ending_hash_key,
        .starting_sequence = shard->starting_sequence,
        .is_closed = shard->ending_sequence.size > 0,
    };

    /* A listing that began again may tell a shard twice. */
    if (leat_shard_list_find(list, shard->shard) == NULL)
        leat_shard_list_add(list, &facts);
    return 0;
}

int
leat_producer_map_refresh(struct leat_producer *producer, struct leat_error *err)
{
    struct leat_shard_list list;
    struct leat_shard_map map;
    int status;

    producer->map_at_us = leat_clock_monotonic_us();
    producer->has_uncovered = false;
    leat_shard_list_init(&list);
    leat_shard_map_init(&map);
    status = leat_kinesis_list_shards(producer->kinesis, producer->stream, list_shard, &list, err);
    if (status == 0) {
        leat_shard_map_take(&map, &list);
        if (!leat_shard_map_equal(&producer->map, &map)) {
            leat_producer_seal_all(producer);
            free(producer->by_shard);
            producer->by_shard = LEAT_NEW_ARRAY(struct leat_producer_group *, map.open_count + 1);
            leat_shard_map_release(&producer->map);
            producer->map = map;
            leat_shard_map_init(&map);
        }
    }
    leat_shard_map_release(&map);
    leat_shard_list_release(&list);
    return status;
}

/* Sends again what readers of the shard would drop; returns how many. */
static size_t
send_strays(struct leat_producer *producer, const struct leat_kinesis_put *put)
{
    struct leat_shard_range range = {.shard = leat_slice_from(put->shard)};
    struct leat_kpl_record record;
    struct leat_kpl kpl = {0};
    size_t strays = 0;

    if (!leat_shard_map_range(&producer->map, range.shard, &range)) {
        LEAT_ASSERT(leat_hash_key_parse(put->explicit_hash_key, &range.start));
        range.end = range.start;
    }
    LEAT_ASSERT(leat_kpl_open(&kpl, put->data) == LEAT_KPL_AGGREGATE); /* our own */
    leat_kpl_fill_tables(&kpl);
    while (leat_kpl_next(&kpl, &record)) {
        struct leat_user_put user = {.explicit_hash_key = leat_slice_from(""), .data = record.data};

        LEAT_ASSERT(leat_kpl_key(&kpl, &kpl.partition_keys, record.partition_key_index,
                                 &user.partition_key));
        LEAT_ASSERT(!record.has_explicit_hash_key ||
                    leat_kpl_key(&kpl, &kpl.explicit_hash_keys, record.explicit_hash_key_index,
                                 &user.explicit_hash_key));
        if (!leat_shard_range_has(&range, leat_user_put_hash(&user))) {
            leat_producer_place_alone(producer, &user);
            strays++;
        }
    }
    leat_kpl_release(&kpl);
    return strays;
}

static bool
is_moved(const struct leat_kinesis_put *put, const struct leat_producer_sent *sent)
{
    return put->result == 0 && sent->shard.size > 0 && !leat_slice_is(sent->shard, put->shard);
}

static void
tally(struct leat_producer *producer, const struct leat_kinesis_put *put, size_t user_records)
{
    if (put->attempts > 1)
        producer->counts.retries += put->attempts - 1;
    if (put->result != 0) {
        producer->counts.failed += user_records;
        return;
    }
    producer->counts.user_records += user_records;
    producer->counts.stream_records++;
    producer->counts.bytes += put->data.size + put->partition_key.size;
}

int
leat_producer_send(struct leat_producer *producer, struct leat_error *err)
{
    LEAT_AUTO_FREE struct leat_kinesis_put *puts = producer->puts;
    LEAT_AUTO_FREE struct leat_producer_sent *sent = producer->sent;
    size_t count = producer->count;
    bool has_listed = false;
    int status;

    if (count == 0)
        return 0;
    /* Strays become new puts while these are looked at. */
    producer->puts = NULL;
    producer->sent = NULL;
    producer->count = producer->puts_capacity = producer->sent_capacity = 0;
    producer->ready_bytes = 0;
    status = leat_kinesis_put_records(producer->kinesis, producer->stream, puts, count, err);
    for (size_t i = 0; i < count; i++) {
        size_t strays = 0;

        if (is_moved(&puts[i], &sent[i])) {
            /* A listing that fails leaves the old one, which rule 2 is made for. */
            if (!has_listed)
                (void)leat_producer_map_refresh(producer, NULL);
            has_listed = true;
            strays = send_strays(producer, &puts[i]);
            producer->counts.moved += strays;
        }
        tally(producer, &puts[i], sent[i].user_records - strays);
    }
    return status;
}
