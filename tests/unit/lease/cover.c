/* The auditor: the cases of the KCL's PeriodicShardSyncManager, and a thousand trees of splits and merges. */
#include "lease/cover.h"

#include <check.h>
#include <string.h>

#include "base/random.h"
#include "support/slow.h"

#define MOST 256

static const struct leat_hash_key last_key = {UINT64_MAX, UINT64_MAX};

/* Sixteenths of all hash keys: "0-3" is the first quarter. */
static struct leat_hash_range
sixteenths(unsigned first, unsigned last)
{
    return (struct leat_hash_range){{(uint64_t)first << 60, 0},
                                    {(uint64_t)last << 60 | UINT64_MAX >> 4, UINT64_MAX}};
}

static bool
has_hole(const unsigned (*pairs)[2], size_t count, struct leat_hash_range *ret_hole)
{
    struct leat_hash_range ranges[MOST];

    for (size_t i = 0; i < count; i++)
        ranges[i] = sixteenths(pairs[i][0], pairs[i][1]);
    return leat_cover_has_hole(ranges, count, ret_hole);
}

static bool
is_same(struct leat_hash_range a, struct leat_hash_range b)
{
    return leat_hash_key_compare(a.first, b.first) == 0 &&
           leat_hash_key_compare(a.last, b.last) == 0;
}

#define HOLE(pairs, hole) has_hole(pairs, sizeof(pairs) / sizeof(pairs)[0], hole)

START_TEST(complete_in_any_order)
{
    static const unsigned sorted[][2] = {{0, 3}, {4, 7}, {8, 15}};
    static const unsigned unsorted[][2] = {{8, 15}, {0, 3}, {4, 7}};
    static const unsigned overlapping[][2] = {{0, 9}, {2, 3}, {4, 15}, {8, 15}};
    static const unsigned one[][2] = {{0, 15}};
    struct leat_hash_range hole;

    ck_assert(!HOLE(sorted, &hole));
    ck_assert(!HOLE(unsorted, &hole));
    ck_assert(!HOLE(overlapping, &hole));
    ck_assert(!HOLE(one, &hole));
}
END_TEST

START_TEST(incomplete)
{
    static const unsigned first[][2] = {{1, 15}}, middle[][2] = {{0, 3}, {8, 15}, {5, 7}},
                          last[][2] = {{0, 3}, {4, 14}}, inside[][2] = {{0, 9}, {2, 3}, {11, 15}};
    struct leat_hash_range hole;

    ck_assert(HOLE(first, &hole) && is_same(hole, sixteenths(0, 0)));
    ck_assert(HOLE(middle, &hole) && is_same(hole, sixteenths(4, 4)));
    ck_assert(HOLE(last, &hole) && is_same(hole, sixteenths(15, 15)));
    ck_assert(HOLE(inside, &hole) && is_same(hole, sixteenths(10, 10)));
    ck_assert(leat_cover_has_hole(NULL, 0, &hole) && is_same(hole, sixteenths(0, 15)));
}
END_TEST

START_TEST(a_single_key)
{
    struct leat_hash_range ranges[] = {{{0, 0}, {7, 41}}, {{7, 43}, last_key}}, hole;

    ck_assert(leat_cover_has_hole(ranges, 2, &hole));
    ck_assert(is_same(hole, (struct leat_hash_range){{7, 42}, {7, 42}}));
    ranges[0].last = (struct leat_hash_key){6, UINT64_MAX};
    ranges[1].first = (struct leat_hash_key){7, 0};
    ck_assert(!leat_cover_has_hole(ranges, 2, &hole));
}
END_TEST

/* A hole counts when the same one is seen so often in a row; one that shifts, once or twice, begins anew. */
START_TEST(confidence)
{
    struct leat_cover_memory memory = {0};
    struct leat_hash_range a = sixteenths(3, 4), b = sixteenths(3, 5);

    ck_assert(!leat_cover_confirm(&memory, &a, 3));
    ck_assert(!leat_cover_confirm(&memory, &a, 3));
    ck_assert(leat_cover_confirm(&memory, &a, 3));
    ck_assert(leat_cover_confirm(&memory, &a, 3));
    ck_assert(!leat_cover_confirm(&memory, &b, 3));
    ck_assert(!leat_cover_confirm(&memory, &a, 3));
    ck_assert(!leat_cover_confirm(&memory, &a, 3));
    ck_assert(!leat_cover_confirm(&memory, NULL, 3));
    ck_assert(!leat_cover_confirm(&memory, &a, 3));
}
END_TEST

/* ---- trees --------------------------------------------------------------------------------------- */

/* Open leases of a stream: cover[i] is one sixteenth-of-a-sixteenth; parents that are in progress overlap with their children. */
struct tree {
    unsigned first[MOST], last[MOST];
    size_t count;
};

static struct leat_hash_range
slots(unsigned first, unsigned last)
{
    return (struct leat_hash_range){{(uint64_t)first << 56, 0},
                                    {(uint64_t)last << 56 | UINT64_MAX >> 8, UINT64_MAX}};
}

static void
grow(struct tree *tree, struct leat_random *random, bool keeps_parents)
{
    size_t i = leat_random_below(random, tree->count);
    unsigned first = tree->first[i], last = tree->last[i], middle;

    if (tree->count + 2 > MOST || first == last)
        return;
    middle = first + (unsigned)leat_random_below(random, last - first);
    if (keeps_parents && leat_random_below(random, 2) == 0) {
        tree->first[tree->count] = first;
        tree->last[tree->count++] = middle;
    } else {
        tree->last[i] = middle;
    }
    tree->first[tree->count] = middle + 1;
    tree->last[tree->count++] = last;
}

static bool
audit_tree(const struct tree *tree, struct leat_hash_range *ret_hole)
{
    struct leat_hash_range ranges[MOST];

    for (size_t i = 0; i < tree->count; i++)
        ranges[i] = slots(tree->first[i], tree->last[i]);
    return leat_cover_has_hole(ranges, tree->count, ret_hole);
}

static void
shuffle(struct tree *tree, struct leat_random *random)
{
    for (size_t i = tree->count; i > 1; i--) {
        size_t j = leat_random_below(random, i);
        unsigned first = tree->first[i - 1], last = tree->last[i - 1];

        tree->first[i - 1] = tree->first[j];
        tree->last[i - 1] = tree->last[j];
        tree->first[j] = first;
        tree->last[j] = last;
    }
}

/* The first slot that nobody covers, by counting; 256: all are. */
static unsigned
first_uncovered(const struct tree *tree)
{
    bool is_covered[257] = {false};
    unsigned slot = 0;

    for (size_t i = 0; i < tree->count; i++) {
        for (unsigned s = tree->first[i]; s <= tree->last[i]; s++)
            is_covered[s] = true;
    }
    while (is_covered[slot])
        slot++;
    return slot;
}

START_TEST(a_thousand_trees)
{
    struct leat_random random;

    leat_random_seed(&random, 20261126);
    for (size_t round = 0; round < test_rounds(2000); round++) {
        struct tree tree = {.last = {255}, .count = 1};
        struct leat_hash_range hole;
        size_t victim;
        unsigned slot;

        for (int i = 0; i < 60; i++)
            grow(&tree, &random, round % 2 == 0);
        shuffle(&tree, &random);
        ck_assert(!audit_tree(&tree, &hole));
        /* One row is lost. */
        victim = leat_random_below(&random, tree.count);
        tree.count--;
        tree.first[victim] = tree.first[tree.count];
        tree.last[victim] = tree.last[tree.count];
        slot = first_uncovered(&tree);
        ck_assert_int_eq(audit_tree(&tree, &hole), slot < 256);
        if (slot < 256)
            ck_assert_uint_eq(hole.first.high >> 56, slot);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cover");
    TCase *audit = tcase_create("cover");
    SRunner *runner;
    int failed;

    tcase_add_test(audit, complete_in_any_order);
    tcase_add_test(audit, incomplete);
    tcase_add_test(audit, a_single_key);
    tcase_add_test(audit, confidence);
    tcase_add_test(audit, a_thousand_trees);
    suite_add_tcase(suite, audit);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
