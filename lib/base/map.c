/* Open addressing with linear probing, at most three quarters full; a removed entry keeps its place. */
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"

#define FREE 0
#define REMOVED 1

static uint64_t seeds[4];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void
make_seed(void)
{
    leat_random_bytes(seeds, sizeof seeds);
}

static uint64_t
mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t
load(const unsigned char *bytes, size_t size)
{
    uint64_t word = 0;

    memcpy(&word, bytes, size);
    return word;
}

/*
 * Both factors of every product hold a secret: with a known one, keys could be made that turn it into zero,
 * and so all fall on one place.
 */
uint64_t
leat_hash(struct leat_slice bytes)
{
    const unsigned char *next = bytes.data;
    size_t left = bytes.size;
    uint64_t hash;

    pthread_once(&seed_once, make_seed);
    hash = seeds[0] ^ (bytes.size * UINT64_C(0xA0761D6478BD642F));
    for (; left > 16; left -= 16, next += 16)
        hash = mix(load(next, 8) ^ seeds[1], load(next + 8, 8) ^ hash);
    hash = mix(load(next, left < 8 ? left : 8) ^ seeds[2],
               (left > 8 ? load(next + 8, left - 8) : 0) ^ hash ^ seeds[3]);
    return mix(hash, UINT64_C(0x1D8E4E27C47D124F));
}

static uint64_t
key_hash(struct leat_slice key)
{
    uint64_t hash = leat_hash(key);

    return hash <= REMOVED ? hash + 2 : hash;
}

void
leat_map_init(struct leat_map *map)
{
    *map = (struct leat_map){0};
}

static void
free_key(struct leat_map_entry *entry)
{
    free((void *)entry->key.data);
}

void
leat_map_release(struct leat_map *map, void (*free_value)(void *))
{
    for (size_t i = 0; i < map->capacity; i++) {
        struct leat_map_entry *entry = &map->entries[i];

        if (entry->hash <= REMOVED)
            continue;
        free_key(entry);
        if (free_value != NULL)
            free_value(entry->value);
    }
    free(map->entries);
    leat_map_init(map);
}

static struct leat_map_entry *
find(const struct leat_map *map, struct leat_slice key, uint64_t hash)
{
    if (map->capacity == 0)
        return NULL;
    for (size_t i = hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
        struct leat_map_entry *entry = &map->entries[i];

        if (entry->hash == FREE)
            return NULL;
        if (entry->hash == hash && leat_slice_equals(entry->key, key))
            return entry;
    }
}

static struct leat_map_entry *
free_place(const struct leat_map *map, uint64_t hash)
{
    size_t i = hash & (map->capacity - 1);

    while (map->entries[i].hash != FREE)
        i = (i + 1) & (map->capacity - 1);
    return &map->entries[i];
}

static void
rehash(struct leat_map *map)
{
    struct leat_map old = *map;

    map->capacity = 8;
    while (map->capacity < old.count * 2 + 2)
        map->capacity *= 2;
    map->entries = leat_alloc_zero(map->capacity, sizeof *map->entries);
    map->filled = old.count;
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.entries[i].hash > REMOVED)
            *free_place(map, old.entries[i].hash) = old.entries[i];
    }
    free(old.entries);
}

void *
leat_map_get(const struct leat_map *map, struct leat_slice key)
{
    struct leat_map_entry *entry = find(map, key, key_hash(key));

    return entry != NULL ? entry->value : NULL;
}

void *
leat_map_put(struct leat_map *map, struct leat_slice key, void *value)
{
    uint64_t hash = key_hash(key);
    struct leat_map_entry *entry = find(map, key, hash);

    if (entry != NULL) {
        void *before = entry->value;

        entry->value = value;
        return before;
    }
    if ((map->filled + 1) * 4 > map->capacity * 3)
        rehash(map);
    entry = free_place(map, hash);
    *entry = (struct leat_map_entry){.key = leat_slice_copy(key), .value = value, .hash = hash};
    map->count++;
    map->filled++;
    return NULL;
}

void *
leat_map_remove(struct leat_map *map, struct leat_slice key)
{
    struct leat_map_entry *entry = find(map, key, key_hash(key));
    void *value;

    if (entry == NULL)
        return NULL;
    value = entry->value;
    free_key(entry);
    *entry = (struct leat_map_entry){.hash = REMOVED};
    map->count--;
    return value;
}

struct leat_map_entry *
leat_map_next(const struct leat_map *map, size_t *position)
{
    while (*position < map->capacity) {
        struct leat_map_entry *entry = &map->entries[(*position)++];

        if (entry->hash > REMOVED)
            return entry;
    }
    return NULL;
}
