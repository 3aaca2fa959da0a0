/*
 * From user records to stream records. A record joins the group of its shard (kpl) or key (gzip_json); a group that is full, or
 * whose time has come, is sealed into one stream record. What fits into no group goes alone, after the group that it would
 * have joined: the order of a key is kept.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "producer/inside.h"

struct leat_hash_key
leat_user_put_hash(const struct leat_user_put *user)
{
    struct leat_hash_key hash;

    if (user->explicit_hash_key.size == 0 || !leat_hash_key_parse(user->explicit_hash_key, &hash))
        leat_hash_key_of(user->partition_key, &hash);
    return hash;
}

static struct leat_slice
random_key(struct leat_producer *producer)
{
    return leat_slice_from(leat_arena_printf(
        &producer->arena, "%016llx", (unsigned long long)leat_random_next(&producer->random)));
}

/* All of it lives in the arena already. shard: what an aggregate was made for, else empty. */
static void
add_put(struct leat_producer *producer, const struct leat_user_put *put, size_t user_records,
        struct leat_slice shard)
{
    LEAT_GROW(producer->puts, producer->count, producer->puts_capacity);
    LEAT_GROW(producer->sent, producer->count, producer->sent_capacity);
    producer->puts[producer->count] = (struct leat_kinesis_put){
        .data = put->data,
        .partition_key = put->partition_key,
        .explicit_hash_key = put->explicit_hash_key,
    };
    producer->sent[producer->count++] = (struct leat_producer_sent){user_records, shard};
    producer->ready_bytes += put->data.size + put->partition_key.size;
}

static struct leat_user_put
copy_of(struct leat_producer *producer, const struct leat_user_put *user)
{
    struct leat_user_put copy = {
        .partition_key = leat_arena_copy(&producer->arena, user->partition_key),
        .explicit_hash_key = leat_arena_copy(&producer->arena, user->explicit_hash_key),
        .data = leat_arena_copy(&producer->arena, user->data),
    };

    if (copy.partition_key.size == 0)
        copy.partition_key = random_key(producer);
    return copy;
}

void
leat_producer_place_alone(struct leat_producer *producer, const struct leat_user_put *user)
{
    struct leat_user_put copy = copy_of(producer, user);

    add_put(producer, &copy, 1, leat_slice_from(""));
}

/* ---- groups -------------------------------------------------------------------------------- */

static struct leat_producer_group *
group_new(struct leat_producer *producer, const struct leat_user_put *first)
{
    struct leat_producer_group *group = LEAT_NEW(struct leat_producer_group);

    leat_kpl_encoder_init(&group->kpl, producer->options.aggregate_bytes);
    leat_gzip_json_init(&group->json, producer->options.aggregate_bytes);
    group->first.partition_key = leat_arena_copy(&producer->arena, first->partition_key);
    group->first.explicit_hash_key = leat_arena_copy(&producer->arena, first->explicit_hash_key);
    group->first.data = leat_arena_copy(&producer->arena, first->data);
    return group;
}

static void
group_free(void *pointer)
{
    struct leat_producer_group *group = pointer;

    if (group == NULL)
        return;
    leat_kpl_encoder_release(&group->kpl);
    leat_gzip_json_release(&group->json);
    free(group);
}

/*
 * GetRecords tells no explicit hash key, so the aggregate bears the first record's partition key, which says more than a
 * constant would; where it goes is decided by the first record's hash key.
 */
static void
seal_kpl(struct leat_producer *producer, struct leat_producer_group *group, struct leat_slice shard)
{
    LEAT_AUTO_BUF bytes = LEAT_BUF_INIT;
    LEAT_AUTO_BUF hash = LEAT_BUF_INIT;
    size_t count = group->kpl.count;
    struct leat_user_put put = group->first;

    if (count == 1) {
        add_put(producer, &put, 1, leat_slice_from(""));
        return;
    }
    leat_kpl_encoder_seal(&group->kpl, &bytes);
    leat_hash_key_format(leat_user_put_hash(&group->first), &hash);
    put.explicit_hash_key = leat_arena_copy(&producer->arena, leat_buf_slice(&hash));
    put.data = leat_arena_copy(&producer->arena, leat_buf_slice(&bytes));
    add_put(producer, &put, count, leat_arena_copy(&producer->arena, shard));
}

static void
seal_json(struct leat_producer *producer, struct leat_producer_group *group)
{
    LEAT_AUTO_BUF bytes = LEAT_BUF_INIT;
    size_t count = group->json.count;
    struct leat_user_put put = group->first;

    if (put.partition_key.size == 0)
        put.partition_key = random_key(producer);
    if (count > 1) {
        leat_gzip_json_seal(&group->json, &bytes);
        put.data = leat_arena_copy(&producer->arena, leat_buf_slice(&bytes));
    }
    add_put(producer, &put, count, leat_slice_from(""));
}

static void
seal_shard(struct leat_producer *producer, size_t place)
{
    struct leat_producer_group *group = producer->by_shard[place];

    if (group == NULL)
        return;
    seal_kpl(producer, group, producer->map.open[place].shard);
    group_free(group);
    producer->by_shard[place] = NULL;
}

static void
place_kpl(struct leat_producer *producer, const struct leat_user_put *user)
{
    size_t place = leat_shard_map_find(&producer->map, leat_user_put_hash(user));
    struct leat_producer_group *group;

    if (place == SIZE_MAX) {
        producer->has_uncovered = true;
        leat_producer_place_alone(producer, user);
        return;
    }
    for (int attempt = 0; attempt < 2; attempt++) {
        group = producer->by_shard[place];
        if (group == NULL)
            group = producer->by_shard[place] = group_new(producer, user);
        if (leat_kpl_encoder_add(&group->kpl, user->partition_key, user->explicit_hash_key,
                                 user->data))
            return;
        if (group->kpl.count == 0)
            break;
        seal_shard(producer, place);
    }
    /* too large for an aggregate */
    group_free(producer->by_shard[place]);
    producer->by_shard[place] = NULL;
    leat_producer_place_alone(producer, user);
}

/* A hash key has digits alone: the last zero byte is where it begins. */
static void
json_key(const struct leat_user_put *user, struct leat_buf *key)
{
    leat_buf_add_slice(key, user->partition_key);
    leat_buf_add_byte(key, 0);
    leat_buf_add_slice(key, user->explicit_hash_key);
}

static void
seal_key(struct leat_producer *producer, struct leat_slice key)
{
    struct leat_producer_group *group = leat_map_remove(&producer->by_key, key);

    if (group != NULL)
        seal_json(producer, group);
    group_free(group);
}

static void
place_json(struct leat_producer *producer, const struct leat_user_put *user)
{
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    struct leat_slice element;

    json_key(user, &key);
    if (!leat_gzip_json_is_element(user->data, &element)) {
        seal_key(producer, leat_buf_slice(&key));
        leat_producer_place_alone(producer, user);
        return;
    }
    for (int attempt = 0; attempt < 2; attempt++) {
        struct leat_producer_group *group = leat_map_get(&producer->by_key, leat_buf_slice(&key));

        if (group == NULL) {
            group = group_new(producer, user);
            leat_map_put(&producer->by_key, leat_buf_slice(&key), group);
        }
        if (leat_gzip_json_add(&group->json, element))
            return;
        if (group->json.count == 0)
            break;
        seal_key(producer, leat_buf_slice(&key));
    }
    group_free(leat_map_remove(&producer->by_key, leat_buf_slice(&key)));
    leat_producer_place_alone(producer, user);
}

void
leat_producer_place(struct leat_producer *producer, const struct leat_user_put *user)
{
    struct leat_user_put keyed = *user;

    switch (producer->options.aggregation) {
    case LEAT_AGGREGATION_NONE:
        leat_producer_place_alone(producer, user);
        break;
    case LEAT_AGGREGATION_KPL:
        if (keyed.partition_key.size == 0)
            keyed.partition_key = random_key(producer);
        place_kpl(producer, &keyed);
        break;
    case LEAT_AGGREGATION_GZIP_JSON:
        place_json(producer, user);
        break;
    }
}

void
leat_producer_seal_all(struct leat_producer *producer)
{
    struct leat_map_entry *entry;

    for (size_t i = 0; i < producer->map.open_count; i++)
        seal_shard(producer, i);
    for (size_t i = 0; (entry = leat_map_next(&producer->by_key, &i)) != NULL;) {
        seal_json(producer, entry->value);
        group_free(entry->value);
    }
    leat_map_release(&producer->by_key, NULL);
    leat_map_init(&producer->by_key);
}

void
leat_producer_groups_release(struct leat_producer *producer)
{
    for (size_t i = 0; i < producer->map.open_count; i++)
        group_free(producer->by_shard[i]);
    leat_map_release(&producer->by_key, group_free);
    leat_map_init(&producer->by_key);
}
