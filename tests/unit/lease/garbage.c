/* What may go, against what anybody could still wait for: single rules, and random lineages in which the rules are counted out. */
#include "lease/garbage.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "support/slow.h"

#define GRACE 100
#define MOST 200

struct world {
    struct leat_aged_lease leases[MOST];
    size_t count;
    struct leat_shard_list listed;
    char names[MOST][24];
};

static void
add_lease(struct world *world, const char *shard, const char *parent, bool is_ended, int64_t gone)
{
    struct leat_aged_lease *lease = &world->leases[world->count++];

    *lease = (struct leat_aged_lease){
        .shard = leat_slice_from(shard), .is_ended = is_ended, .has_begun = true, .gone_us = gone};
    if (parent != NULL)
        lease->parents[lease->parent_count++] = leat_slice_from(parent);
}

static void
list(struct world *world, const char *shard, const char *parent)
{
    struct leat_shard_facts facts = {.shard = leat_slice_from(shard)};

    if (parent != NULL)
        facts.parents[facts.parent_count++] = leat_slice_from(parent);
    leat_shard_list_add(&world->listed, &facts);
}

static size_t
run(struct world *world)
{
    size_t garbage[MOST];
    size_t count = leat_garbage(world->leases, world->count, &world->listed, GRACE, MOST, garbage);

    leat_shard_list_release(&world->listed);
    return count;
}

/* One ended parent a, long gone, with its child b; then one thing is otherwise. */
START_TEST(rules)
{
    struct world world = {0};

    leat_shard_list_init(&world.listed);
    add_lease(&world, "a", NULL, true, GRACE);
    add_lease(&world, "b", "a", false, -1);
    list(&world, "b", "a");
    switch (_i) {
    case 0: /* nothing is: it goes */
        break;
    case 1: /* it was not ended: a processor came that reads it again */
        world.leases[0].is_ended = false;
        break;
    case 2: /* its grace is not over */
        world.leases[0].gone_us = GRACE - 1;
        break;
    case 3: /* not known to be gone */
        world.leases[0].gone_us = -1;
        break;
    case 4: /* it is listed all the same */
        list(&world, "a", NULL);
        break;
    case 5: /* its child was never begun */
        world.leases[1].has_begun = false;
        break;
    case 6: /* its child has no lease yet */
        world.count = 1;
        break;
    default:
        break;
    }
    ck_assert_uint_eq(run(&world), _i == 0 ? 1 : 0);
}
END_TEST

/* A merge waits for both; a child that ended counts as begun; no more than asked for. */
START_TEST(more_rules)
{
    struct world world = {0};
    size_t garbage[1];

    leat_shard_list_init(&world.listed);
    add_lease(&world, "a", NULL, true, GRACE);
    add_lease(&world, "b", NULL, true, GRACE);
    add_lease(&world, "c", "a", false, -1);
    world.leases[2].parents[world.leases[2].parent_count++] = leat_slice_from("b");
    world.leases[2].has_begun = false;
    ck_assert_uint_eq(
        leat_garbage(world.leases, world.count, &world.listed, GRACE, MOST, (size_t[MOST]){0}), 0);
    world.leases[2].is_ended = true;
    ck_assert_uint_eq(
        leat_garbage(world.leases, world.count, &world.listed, GRACE, MOST, (size_t[MOST]){0}), 2);
    ck_assert_uint_eq(leat_garbage(world.leases, world.count, &world.listed, GRACE, 1, garbage), 1);
    leat_shard_list_release(&world.listed);
}
END_TEST

/* Is there somebody who waits for that shard, or might? By looking at everybody. */
static bool
is_waited_for(const struct world *world, struct leat_slice shard)
{
    for (size_t i = 0; i < world->count; i++) {
        const struct leat_aged_lease *lease = &world->leases[i];

        for (size_t p = 0; p < lease->parent_count; p++) {
            if (leat_slice_equals(lease->parents[p], shard) && !lease->is_ended &&
                !lease->has_begun)
                return true;
        }
    }
    for (size_t i = 0; i < world->listed.count; i++) {
        const struct leat_shard_facts *facts = &world->listed.shards[i];
        bool has_lease = false;

        for (size_t l = 0; l < world->count; l++)
            has_lease = has_lease || leat_slice_equals(world->leases[l].shard, facts->shard);
        for (size_t p = 0; p < facts->parent_count && !has_lease; p++) {
            if (leat_slice_equals(facts->parents[p], shard))
                return true;
        }
    }
    return false;
}

static void
make_world(struct world *world, struct leat_random *random)
{
    size_t shards = 2 + leat_random_below(random, 30);

    *world = (struct world){0};
    leat_shard_list_init(&world->listed);
    for (size_t i = 0; i < shards; i++) {
        const char *parent = i > 1 ? world->names[leat_random_below(random, i)] : NULL;

        snprintf(world->names[i], sizeof world->names[i], "s%zu", i);
        if (leat_random_below(random, 4) > 0) {
            add_lease(world, world->names[i], parent, leat_random_below(random, 3) > 0,
                      (int64_t)leat_random_below(random, 3 * GRACE) - GRACE);
            world->leases[world->count - 1].has_begun = leat_random_below(random, 4) > 0;
        }
        if (leat_random_below(random, 3) == 0)
            list(world, world->names[i], parent);
    }
}

START_TEST(nothing_that_is_waited_for)
{
    struct leat_random random;

    leat_random_seed(&random, 4);
    for (size_t round = 0; round < test_rounds(5000); round++) {
        struct world world;
        size_t garbage[MOST], count, at = 0;

        make_world(&world, &random);
        count = leat_garbage(world.leases, world.count, &world.listed, GRACE, MOST, garbage);
        for (size_t i = 0; i < world.count; i++) {
            const struct leat_aged_lease *lease = &world.leases[i];
            bool goes = lease->is_ended && lease->gone_us >= GRACE &&
                        leat_shard_list_find(&world.listed, lease->shard) == NULL &&
                        !is_waited_for(&world, lease->shard);

            ck_assert_msg((at < count && garbage[at] == i) == goes, "round %zu, lease %zu", round,
                          i);
            at += goes;
        }
        ck_assert_uint_eq(at, count);
        leat_shard_list_release(&world.listed);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("garbage");
    TCase *garbage = tcase_create("garbage");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(garbage, rules, 0, 7);
    tcase_add_test(garbage, more_rules);
    tcase_add_test(garbage, nothing_that_is_waited_for);
    suite_add_tcase(suite, garbage);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
