/* A hash map from bytes to a pointer. Keys are copied. Not for threads. Iteration in no order. */
#ifndef LEAT_BASE_MAP_H
#define LEAT_BASE_MAP_H

#include <stdint.h>

#include <leat/slice.h>

struct leat_map_entry {
    struct leat_slice key; /* the map's copy */
    void *value;
    uint64_t hash; /* 0: free; 1: removed */
};

struct leat_map {
    struct leat_map_entry *entries;
    size_t capacity, count, filled;
};

void leat_map_init(struct leat_map *map);
/* free_value may be NULL. */
void leat_map_release(struct leat_map *map, void (*free_value)(void *));
void *leat_map_get(const struct leat_map *map, struct leat_slice key); /* NULL: none */
void *leat_map_put(struct leat_map *map, struct leat_slice key,
                   void *value); /* returns the old one */
void *leat_map_remove(struct leat_map *map, struct leat_slice key);
/* for (size_t i = 0; (entry = leat_map_next(map, &i)) != NULL;) ; removing the current one is allowed */
struct leat_map_entry *leat_map_next(const struct leat_map *map, size_t *position);
uint64_t leat_hash(struct leat_slice bytes); /* 64 bits, seeded once per process (flooding) */

#endif
