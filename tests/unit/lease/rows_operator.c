/* Who is wished for when an operator releases leases: over thousands of generated fleets. */
#include "lease/rows_operator.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

#include <check.h>

#define WORKERS 8
#define LEASES 60

static const char *const streams[] = {"s0", "s1"};
static struct leat_operator_lease leases[LEASES];
static struct leat_operator_worker workers[WORKERS];
static const char *lacks[WORKERS][2];
static uint64_t held_before[WORKERS];

static struct leat_operator_leases
generate(struct leat_random *random)
{
    struct leat_operator_leases all = {.leases = leases,
                                       .count = leat_random_next(random) % LEASES,
                                       .workers = workers,
                                       .worker_count = leat_random_next(random) % (WORKERS + 1)};

    for (size_t w = 0; w < all.worker_count; w++) {
        workers[w] =
            (struct leat_operator_worker){.worker_id = "w",
                                          .incarnation = (int64_t)w + 1,
                                          .held = held_before[w] = leat_random_next(random) % 20,
                                          .limit = leat_random_next(random) % 3 == 0 ? 10 : 0,
                                          .lacks = lacks[w]};
        for (size_t s = 0; s < 2; s++) {
            if (leat_random_next(random) % 4 == 0)
                lacks[w][workers[w].lack_count++] = streams[s];
        }
    }
    for (size_t i = 0; i < all.count; i++)
        leases[i] = (struct leat_operator_lease){
            .stream_id = streams[leat_random_next(random) % 2],
            .shard = "x",
            .lease_owner = (int64_t)(leat_random_next(random) % WORKERS) + 1,
            .next_owner = 99,
            .is_under_way = leat_random_next(random) % 5 == 0};
    return all;
}

static bool
has_stream(const struct leat_operator_worker *worker, const char *stream_id)
{
    for (size_t i = 0; i < worker->lack_count; i++) {
        if (strcmp(worker->lacks[i], stream_id) == 0)
            return false;
    }
    return true;
}

static const struct leat_operator_worker *
find(const struct leat_operator_leases *all, int64_t incarnation)
{
    for (size_t w = 0; w < all->worker_count; w++) {
        if (all->workers[w].incarnation == incarnation)
            return &all->workers[w];
    }
    return NULL;
}

/* Somebody who could have taken it in the end, too: none may be left out. */
static bool
has_taker(const struct leat_operator_leases *all, const struct leat_operator_lease *lease)
{
    for (size_t w = 0; w < all->worker_count; w++) {
        const struct leat_operator_worker *worker = &all->workers[w];

        if (worker->incarnation != lease->lease_owner && has_stream(worker, lease->stream_id) &&
            (worker->limit == 0 || worker->held < worker->limit))
            return true;
    }
    return false;
}

START_TEST(test_wishes_can_come_true)
{
    struct leat_random random;

    leat_random_seed(&random, 20261126);
    for (int round = 0; round < 5000; round++) {
        struct leat_operator_leases all = generate(&random);
        uint64_t wishes = 0, more = 0;

        leat_operator_plan(&all);
        for (size_t i = 0; i < all.count; i++) {
            const struct leat_operator_worker *next = find(&all, leases[i].next_owner);

            if (leases[i].next_owner == 0) {
                ck_assert(leases[i].is_under_way || !has_taker(&all, &leases[i]));
                continue;
            }
            wishes++;
            ck_assert(!leases[i].is_under_way);
            ck_assert_ptr_nonnull(next);
            ck_assert_int_ne(next->incarnation, leases[i].lease_owner);
            ck_assert(has_stream(next, leases[i].stream_id));
        }
        for (size_t w = 0; w < all.worker_count; w++) {
            more += workers[w].held - held_before[w];
            ck_assert(workers[w].held == held_before[w] || workers[w].limit == 0 ||
                      workers[w].held <= workers[w].limit);
        }
        ck_assert_uint_eq(more, wishes);
    }
}
END_TEST

/* Of one stream, without limits: those who get any end within one of each other. */
START_TEST(test_wishes_are_spread)
{
    for (size_t count = 0; count < LEASES; count++) {
        struct leat_operator_leases all = {
            .leases = leases, .count = count, .workers = workers, .worker_count = 4};
        uint64_t least = UINT64_MAX, most = 0;

        for (size_t w = 0; w < 4; w++)
            workers[w] = (struct leat_operator_worker){.incarnation = (int64_t)w + 1};
        for (size_t i = 0; i < count; i++)
            leases[i] =
                (struct leat_operator_lease){.stream_id = "s0", .shard = "x", .lease_owner = 100};
        leat_operator_plan(&all);
        for (size_t w = 0; w < 4; w++) {
            least = workers[w].held < least ? workers[w].held : least;
            most = workers[w].held > most ? workers[w].held : most;
        }
        ck_assert_uint_le(most - least, 1);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("lease/rows_operator");
    TCase *tests = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, test_wishes_can_come_true);
    tcase_add_test(tests, test_wishes_are_spread);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
