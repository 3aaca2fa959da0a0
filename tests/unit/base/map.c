/* The map against an array that is looked through: thousands of puts, removes and gets. */
#include "tests/unit/base/suite.h"

#include "base/map.h"
#include "support/slow.h"

#define KEYS 300

START_TEST(same_as_an_array)
{
    struct leat_random random = suite_random();
    static int values[KEYS], others[KEYS];
    void *expected[KEYS] = {0};
    struct leat_map map;
    size_t count = 0;

    leat_map_init(&map);
    for (size_t i = 0; i < test_rounds(20 * CASES); i++) {
        size_t key = leat_random_below(&random, KEYS);
        /* keys of 0 … 40 bytes, zero bytes among them */
        unsigned char bytes[40] = {0};
        size_t size = key % 41;
        struct leat_slice slice = leat_slice_make(bytes, size);
        void *value = leat_random_below(&random, 2) == 0 ? &values[key] : &others[key];
        uint64_t action = leat_random_below(&random, 3);

        if (size > 1)
            memcpy(bytes + size - 2, &(uint16_t){(uint16_t)key}, 2);
        else
            key = size; /* too short to tell apart */
        if (action == 0) {
            ck_assert_ptr_eq(leat_map_put(&map, slice, value), expected[key]);
            count += expected[key] == NULL;
            expected[key] = value;
        } else if (action == 1) {
            ck_assert_ptr_eq(leat_map_remove(&map, slice), expected[key]);
            count -= expected[key] != NULL;
            expected[key] = NULL;
        } else {
            ck_assert_ptr_eq(leat_map_get(&map, slice), expected[key]);
        }
        ck_assert_uint_eq(map.count, count);
        ck_assert_uint_le(map.capacity, 2048); /* removed places do not pile up */
    }
    leat_map_release(&map, NULL);
}
END_TEST

START_TEST(removed_while_walking)
{
    struct leat_map_entry *entry;
    struct leat_map map;
    size_t seen = 0, left = 0;
    char key[16];

    leat_map_init(&map);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key %d", i);
        leat_map_put(&map, leat_slice_from(key), leat_strdup(key));
    }
    for (size_t i = 0; (entry = leat_map_next(&map, &i)) != NULL; seen++) {
        ck_assert(leat_slice_is(entry->key, entry->value));
        if (seen % 2 == 0)
            free(leat_map_remove(&map, entry->key));
    }
    ck_assert_uint_eq(seen, 1000);
    for (size_t i = 0; leat_map_next(&map, &i) != NULL;)
        left++;
    ck_assert_uint_eq(left, 500);
    leat_map_release(&map, free);
    ck_assert_uint_eq(map.count, 0);
}
END_TEST

START_TEST(hash_spreads)
{
    unsigned char zeroes[64] = {0};
    unsigned buckets[64] = {0};

    for (size_t i = 1; i < sizeof zeroes; i++)
        ck_assert_uint_ne(leat_hash(leat_slice_make(zeroes, i)),
                          leat_hash(leat_slice_make(zeroes, i - 1)));
    for (uint64_t i = 0; i < 64000; i++)
        buckets[leat_hash(leat_slice_make(&i, sizeof i)) % 64]++;
    for (int i = 0; i < 64; i++)
        ck_assert(buckets[i] > 800 && buckets[i] < 1200);
}
END_TEST

SUITE_MAIN("map", same_as_an_array, removed_while_walking, hash_spreads)
