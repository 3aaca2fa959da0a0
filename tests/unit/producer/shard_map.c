/* Hash keys find their open shard; gaps, closed shards and unreadable ranges are no shard. */
#include "producer/shard_map.h"

#include <stdlib.h>

#include <check.h>

static void
add(struct leat_shard_list *list, const char *shard, const char *start, const char *end,
    bool is_closed)
{
    struct leat_shard_facts facts = {.shard = leat_slice_from(shard),
                                     .starting_hash_key = leat_slice_from(start),
                                     .ending_hash_key = leat_slice_from(end),
                                     .is_closed = is_closed};

    leat_shard_list_add(list, &facts);
}

static const char *
find(const struct leat_shard_map *map, uint64_t high, uint64_t low)
{
    static char name[40];
    size_t place = leat_shard_map_find(map, (struct leat_hash_key){high, low});

    if (place == SIZE_MAX)
        return "none";
    snprintf(name, sizeof name, "%.*s", (int)map->open[place].shard.size,
             (const char *)map->open[place].shard.data);
    return name;
}

START_TEST(finds_open_shards)
{
    struct leat_shard_list list;
    struct leat_shard_map map;
    struct leat_shard_range range;

    leat_shard_list_init(&list);
    leat_shard_map_init(&map);
    ck_assert_str_eq(find(&map, 0, 0), "none");
    add(&list, "last", "1000", "340282366920938463463374607431768211455", false);
    add(&list, "parent", "0", "299", true);
    add(&list, "second", "100", "299", false);
    add(&list, "first", "0", "99", false);
    add(&list, "file", "", "", false);
    leat_shard_map_take(&map, &list);
    ck_assert_uint_eq(list.count, 0);
    ck_assert_uint_eq(map.open_count, 3);
    ck_assert_str_eq(find(&map, 0, 0), "first");
    ck_assert_str_eq(find(&map, 0, 99), "first");
    ck_assert_str_eq(find(&map, 0, 100), "second");
    ck_assert_str_eq(find(&map, 0, 299), "second");
    ck_assert_str_eq(find(&map, 0, 300), "none"); /* its children are not told yet */
    ck_assert_str_eq(find(&map, 0, 999), "none");
    ck_assert_str_eq(find(&map, 0, 1000), "last");
    ck_assert_str_eq(find(&map, UINT64_MAX, UINT64_MAX), "last");
    ck_assert(leat_shard_map_range(&map, leat_slice_from("parent"), &range));
    ck_assert(leat_shard_range_has(&range, (struct leat_hash_key){0, 299}));
    ck_assert(!leat_shard_range_has(&range, (struct leat_hash_key){0, 300}));
    ck_assert(!leat_shard_map_range(&map, leat_slice_from("nobody"), &range));
    ck_assert(!leat_shard_map_range(&map, leat_slice_from("file"), &range));
    leat_shard_map_release(&map);
    leat_shard_list_release(&list);
}
END_TEST

START_TEST(equal_means_the_same_open_shards)
{
    struct leat_shard_map a, b;
    struct leat_shard_list list;

    leat_shard_list_init(&list);
    leat_shard_map_init(&a);
    leat_shard_map_init(&b);
    ck_assert(leat_shard_map_equal(&a, &b));
    add(&list, "x", "0", "9", false);
    leat_shard_map_take(&a, &list);
    ck_assert(!leat_shard_map_equal(&a, &b));
    add(&list, "gone", "0", "9", true);
    add(&list, "x", "0", "9", false);
    leat_shard_map_take(&b, &list);
    ck_assert(leat_shard_map_equal(&a, &b));
    add(&list, "y", "0", "9", false);
    leat_shard_map_take(&b, &list);
    ck_assert(!leat_shard_map_equal(&a, &b));
    leat_shard_map_release(&a);
    leat_shard_map_release(&b);
    leat_shard_list_release(&list);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("producer/shard_map");
    TCase *tests = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, finds_open_shards);
    tcase_add_test(tests, equal_means_the_same_open_shards);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
