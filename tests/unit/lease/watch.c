/*
 * The ring of watchers with a fake clock: fleets of 2 to 40 workers that die one by one, by half, or all but one, freeze, or
 * lose the database together. Nobody who lives is called dead; whoever died is found in a bounded time; in between nobody
 * reads more than his three.
 */
#include "lease/watch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "support/slow.h"

#define SECOND INT64_C(1000000)
#define MS INT64_C(1000)
#define WORKERS 40
#define STEP (20 * MS)
#define LOOK (250 * MS)

static const struct leat_judge rules = {.heartbeat_us = SECOND, .expiry_us = 5 * SECOND};

static size_t
find_silent(const struct leat_watch *watch, const struct leat_health *health, int64_t own,
            int64_t now_us, struct leat_sighting *ret_silent)
{
    struct leat_judge judge = rules;

    judge.own = own;
    judge.health = *health;
    return leat_watch_silent(watch, &judge, now_us, ret_silent);
}

/* ---- health ---------------------------------------------------------------------------------- */

START_TEST(nobody_judges_before_a_lease_time_of_health)
{
    struct leat_health health = {0};

    ck_assert(!leat_health_may_judge(&health, rules.expiry_us, 100 * SECOND));
    for (int64_t now = SECOND; now <= 6 * SECOND; now += SECOND) {
        leat_health_answered(&health, rules.expiry_us, now);
        ck_assert(leat_health_may_judge(&health, rules.expiry_us, now) == (now >= 6 * SECOND));
    }
    leat_health_broke(&health);
    ck_assert(!leat_health_may_judge(&health, rules.expiry_us, 6 * SECOND));
    leat_health_answered(&health, rules.expiry_us, 7 * SECOND);
    ck_assert(!leat_health_may_judge(&health, rules.expiry_us, 8 * SECOND));
}
END_TEST

/* Frozen, or asleep: the clock jumps, no renewal was answered meanwhile. */
START_TEST(who_was_frozen_himself_does_not_judge)
{
    struct leat_health health = {0};
    int64_t now = 0;

    while (now < 10 * SECOND)
        leat_health_answered(&health, rules.expiry_us, now += SECOND);
    ck_assert(leat_health_may_judge(&health, rules.expiry_us, now + 2 * SECOND));
    ck_assert(!leat_health_may_judge(&health, rules.expiry_us, now + 3 * SECOND));
    leat_health_answered(&health, rules.expiry_us, now += 3 * SECOND);
    ck_assert(!leat_health_may_judge(&health, rules.expiry_us, now));
}
END_TEST

/* ---- the ring -------------------------------------------------------------------------------- */

static struct leat_sighting
sighting(int64_t incarnation, int64_t heartbeat_us)
{
    static char ids[WORKERS][8];

    snprintf(ids[incarnation % WORKERS], sizeof ids[0], "w%d", (int)(incarnation % WORKERS));
    return (struct leat_sighting){.worker_id = leat_slice_from(ids[incarnation % WORKERS]),
                                  .incarnation = incarnation,
                                  .heartbeat_us = heartbeat_us,
                                  .can_be_dead = true};
}

static void
know(struct leat_watch *watch, int count, int64_t now_us)
{
    struct leat_sighting living[WORKERS];

    for (int i = 0; i < count; i++)
        living[i] = sighting(i + 1, 1);
    leat_watch_ring(watch, living, (size_t)count, 1, now_us);
}

static void
ck_next(struct leat_watch *watch, int64_t own, const char *wanted)
{
    struct leat_slice ids[LEAT_WATCH_NEIGHBOURS];
    size_t count = leat_watch_next(watch, own, ids);
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    for (size_t i = 0; i < count; i++)
        leat_buf_printf(&text, "%s%.*s", i > 0 ? " " : "", (int)ids[i].size,
                        (const char *)ids[i].data);
    ck_assert_str_eq(leat_buf_text(&text), wanted);
}

START_TEST(the_next_living_one_moves_up)
{
    struct leat_watch watch;
    struct leat_sighting seen[2] = {sighting(6, 1), sighting(2, 1)};

    leat_watch_init(&watch);
    know(&watch, 1, 0);
    ck_next(&watch, 1, "");
    know(&watch, 3, 0);
    ck_next(&watch, 2, "w3 w1");
    know(&watch, 6, 0);
    ck_next(&watch, 5, "w6 w1 w2");
    leat_watch_see(&watch, 5, seen, 2, 1); /* w1 is gone */
    ck_next(&watch, 5, "w6 w2 w3");
    leat_watch_died(&watch, 6);
    ck_next(&watch, 5, "w2 w3 w4");
    leat_watch_died(&watch, 2);
    leat_watch_died(&watch, 4);
    ck_next(&watch, 5, "w3");
    ck_assert(leat_watch_is_due(&watch, 1, 1));
    know(&watch, 6, 1);
    ck_assert(!leat_watch_is_due(&watch, 1, 1));
    ck_assert(!leat_watch_is_due(&watch, -1, 1));
    ck_assert(leat_watch_is_due(&watch, 2, 1));
    ck_assert(leat_watch_is_due(&watch, 1, 1 + LEAT_WATCH_RING_US));
    ck_next(&watch, 9, "");
    ck_assert(leat_watch_is_due(&watch, 1, 1)); /* without us it is not the ring */
    leat_watch_release(&watch);
}
END_TEST

START_TEST(a_heartbeat_must_be_the_same_for_long_enough)
{
    struct leat_health health = {.since_us = SECOND};
    struct leat_sighting silent[LEAT_WATCH_NEIGHBOURS], other = sighting(2, 1);
    struct leat_watch watch;
    int64_t now = 20 * SECOND;

    leat_watch_init(&watch);
    know(&watch, 2, now);
    health.answered_us = now;
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + SECOND, silent), 0);
    leat_watch_see(&watch, 1, &other, 1, now + SECOND);
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + 1200 * MS, silent), 1);
    ck_assert_int_eq(silent[0].incarnation, 2);
    other.heartbeat_us = 2;
    leat_watch_see(&watch, 1, &other, 1, now + 1200 * MS);
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + 1200 * MS, silent), 0);
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + 2400 * MS, silent), 1);
    /* What was seen before we were well again is no witness. */
    health = (struct leat_health){now - 4 * SECOND, now + 2400 * MS};
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + 2400 * MS, silent), 1);
    health.since_us = now + 2000 * MS;
    health.answered_us = now + 7 * SECOND;
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + 7 * SECOND, silent), 1);
    health.since_us = now + 2001 * MS;
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + 7 * SECOND, silent), 0);
    /* Neither expired nor with a lock that could be free, says the database, whose clock may have been put back: not asked about
       before a whole lease has passed here, his own, as far as that is like ours. */
    health.since_us = SECOND;
    other.can_be_dead = false;
    leat_watch_see(&watch, 1, &other, 1, now + 3 * SECOND);
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + 6199 * MS, silent), 0);
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + 6200 * MS, silent), 1);
    ck_assert(silent[0].has_expired_here);
    other.lease_us = 7 * SECOND;
    leat_watch_see(&watch, 1, &other, 1, now + 3 * SECOND);
    health.answered_us = now + 8 * SECOND;
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + 8199 * MS, silent), 0);
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + 8200 * MS, silent), 1);
    other.lease_us = 3600 * SECOND;
    leat_watch_see(&watch, 1, &other, 1, now + 3 * SECOND);
    health.answered_us = now + 22 * SECOND;
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + 21 * SECOND, silent), 0);
    ck_assert_uint_eq(find_silent(&watch, &health, 1, now + 22 * SECOND, silent), 1);
    leat_watch_release(&watch);
}
END_TEST

/* The moment that is foretold is the first one at which it may be judged. */
START_TEST(a_silence_is_long_enough_when_it_was_foretold)
{
    struct leat_judge judge = {
        .own = 1,
        .heartbeat_us = SECOND,
        .expiry_us = 5 * SECOND,
        .health = {.since_us = SECOND, .answered_us = 21 * SECOND},
    };
    struct leat_sighting silent[LEAT_WATCH_NEIGHBOURS], other = sighting(2, 1);
    struct leat_watch watch;
    int64_t now = 20 * SECOND, at;

    leat_watch_init(&watch);
    know(&watch, 3, now);
    at = leat_watch_silent_at(&watch, &judge, now);
    ck_assert_int_eq(at, now + 1200 * MS);
    ck_assert_uint_eq(leat_watch_silent(&watch, &judge, at - 1, silent), 0);
    ck_assert_uint_eq(leat_watch_silent(&watch, &judge, at, silent), 2);
    ck_assert_int_eq(leat_watch_silent_at(&watch, &judge, at), INT64_MAX); /* it is over */
    other.heartbeat_us = 2;
    leat_watch_see(&watch, 1, &other, 1, now + SECOND); /* w3 is gone, w2 was heard */
    ck_assert_int_eq(leat_watch_silent_at(&watch, &judge, now + SECOND), now + 2200 * MS);
    other.can_be_dead = false;
    leat_watch_see(&watch, 1, &other, 1, now + SECOND);
    ck_assert_int_eq(leat_watch_silent_at(&watch, &judge, now + SECOND), now + 6 * SECOND);
    other.can_be_dead = true;
    leat_watch_see(&watch, 1, &other, 1, now + SECOND);
    judge.health.since_us = now; /* well for a lease time, first of all */
    ck_assert_int_eq(leat_watch_silent_at(&watch, &judge, now + SECOND), now + 5 * SECOND);
    judge.health.since_us = 0; /* not well himself: nothing to look for */
    ck_assert_int_eq(leat_watch_silent_at(&watch, &judge, now + SECOND), INT64_MAX);
    leat_watch_release(&watch);
}
END_TEST

/* ---- fleets ---------------------------------------------------------------------------------- */

/* A worker as it is, its row, and what it thinks of the others. */
struct worker {
    bool is_running, is_frozen; /* frozen: its session lives, nothing else */
    bool is_dead;               /* the row's state */
    int64_t died_at_us, found_at_us, heartbeat_us, expires_us;
    int64_t beats_at_us, looks_at_us;
    struct leat_health health;
    struct leat_watch watch;
    unsigned rings, looks;
};

struct fleet {
    struct worker workers[WORKERS];
    int count;
    int64_t now_us, version;
    bool has_locks, is_database_away;
    struct leat_random random;
};

static void
fleet_init(struct fleet *fleet, uint64_t seed)
{
    *fleet = (struct fleet){.version = 1, .now_us = 1000 * SECOND};
    leat_random_seed(&fleet->random, seed);
    fleet->count = 2 + (int)leat_random_below(&fleet->random, WORKERS - 1);
    fleet->has_locks = leat_random_below(&fleet->random, 2) == 0;
    for (int i = 0; i < fleet->count; i++) {
        struct worker *worker = &fleet->workers[i];

        worker->is_running = true;
        worker->heartbeat_us = fleet->now_us;
        worker->expires_us = fleet->now_us + rules.expiry_us;
        worker->beats_at_us = fleet->now_us + (int64_t)leat_random_below(&fleet->random, SECOND);
        worker->looks_at_us = fleet->now_us + (int64_t)leat_random_below(&fleet->random, LOOK);
        leat_watch_init(&worker->watch);
    }
}

static void
fleet_release(struct fleet *fleet)
{
    for (int i = 0; i < fleet->count; i++)
        leat_watch_release(&fleet->workers[i].watch);
}

static void
beat(struct fleet *fleet, struct worker *worker)
{
    worker->beats_at_us = fleet->now_us + rules.heartbeat_us +
                          (int64_t)leat_random_below(&fleet->random, 20 * MS);
    if (fleet->is_database_away) {
        leat_health_broke(&worker->health);
        worker->beats_at_us = fleet->now_us + 100 * MS +
                              (int64_t)leat_random_below(&fleet->random, 2 * SECOND);
        return;
    }
    if (worker->is_dead) { /* the simulation does not bring it back: it stays away */
        worker->is_running = false;
        return;
    }
    worker->heartbeat_us = fleet->now_us;
    worker->expires_us = fleet->now_us + rules.expiry_us;
    leat_health_answered(&worker->health, rules.expiry_us, fleet->now_us);
}

static struct leat_sighting
row(const struct fleet *fleet, int index)
{
    const struct worker *worker = &fleet->workers[index];
    struct leat_sighting seen = sighting(index + 1, worker->heartbeat_us);

    seen.can_be_dead = fleet->has_locks || worker->expires_us < fleet->now_us;
    return seen;
}

static void
read_ring(struct fleet *fleet, struct worker *worker)
{
    struct leat_sighting living[WORKERS];
    size_t count = 0;

    for (int i = 0; i < fleet->count; i++) {
        if (!fleet->workers[i].is_dead)
            living[count++] = row(fleet, i);
    }
    leat_watch_ring(&worker->watch, living, count, fleet->version, fleet->now_us);
    worker->rings++;
}

static void
read_next(struct fleet *fleet, struct worker *worker, int64_t own)
{
    struct leat_slice ids[LEAT_WATCH_NEIGHBOURS];
    struct leat_sighting seen[LEAT_WATCH_NEIGHBOURS];
    size_t wanted = leat_watch_next(&worker->watch, own, ids), count = 0;

    ck_assert_uint_le(wanted, LEAT_WATCH_NEIGHBOURS);
    for (size_t n = 0; n < wanted; n++) {
        int index = (int)strtol((const char *)ids[n].data + 1, NULL, 10) - 1;

        index = index < 0 ? WORKERS - 1 : index;
        ck_assert_int_ne(index + 1, own);
        if (!fleet->workers[index].is_dead)
            seen[count++] = row(fleet, index);
    }
    leat_watch_see(&worker->watch, own, seen, count, fleet->now_us);
}

/* The statement of docs/protocol.md §1. */
static bool
judge(struct fleet *fleet, const struct leat_sighting *silent)
{
    struct worker *worker = &fleet->workers[silent->incarnation - 1];
    bool is_lock_free = fleet->has_locks && !worker->is_running;

    if (worker->is_dead || worker->heartbeat_us != silent->heartbeat_us ||
        !(worker->expires_us < fleet->now_us || is_lock_free))
        return false;
    ck_assert_msg(!worker->is_running || worker->is_frozen, "worker %lld lives",
                  (long long)silent->incarnation);
    worker->is_dead = true;
    worker->found_at_us = fleet->now_us;
    fleet->version++;
    return true;
}

static void
look(struct fleet *fleet, struct worker *worker)
{
    int64_t own = worker - fleet->workers + 1;
    struct leat_sighting silent[LEAT_WATCH_NEIGHBOURS];
    size_t deaths;

    worker->looks_at_us = fleet->now_us + LOOK;
    if (fleet->is_database_away)
        return;
    worker->looks++;
    if (leat_watch_is_due(&worker->watch, fleet->version, fleet->now_us))
        read_ring(fleet, worker);
    else
        read_next(fleet, worker, own);
    do {
        size_t count = find_silent(&worker->watch, &worker->health, own, fleet->now_us, silent);

        deaths = 0;
        for (size_t i = 0; i < count; i++) {
            if (!judge(fleet, &silent[i]))
                continue;
            leat_watch_died(&worker->watch, silent[i].incarnation);
            deaths++;
        }
        if (deaths > 0)
            read_ring(fleet, worker);
    } while (deaths > 0);
}

static void
pass_time(struct fleet *fleet, int64_t duration_us)
{
    for (int64_t until_us = fleet->now_us + duration_us; fleet->now_us < until_us;
         fleet->now_us += STEP) {
        for (int i = 0; i < fleet->count; i++) {
            struct worker *worker = &fleet->workers[i];

            if (worker->is_running && !worker->is_frozen && fleet->now_us >= worker->beats_at_us)
                beat(fleet, worker);
            if (worker->is_running && !worker->is_frozen && fleet->now_us >= worker->looks_at_us)
                look(fleet, worker);
        }
    }
}

static int
running(const struct fleet *fleet)
{
    int count = 0;

    for (int i = 0; i < fleet->count; i++)
        count += fleet->workers[i].is_running && !fleet->workers[i].is_frozen;
    return count;
}

static int
killed(struct fleet *fleet, int wanted)
{
    int count = 0;

    while (count < wanted && running(fleet) > 1) {
        struct worker *worker =
            &fleet->workers[leat_random_below(&fleet->random, (uint64_t)fleet->count)];

        if (!worker->is_running || worker->is_frozen)
            continue;
        worker->is_running = false;
        worker->died_at_us = fleet->now_us;
        count++;
    }
    return count;
}

static void
ck_found(const struct fleet *fleet, int64_t within_us)
{
    for (int i = 0; i < fleet->count; i++) {
        const struct worker *worker = &fleet->workers[i];

        if (worker->is_running && !worker->is_frozen)
            ck_assert(!worker->is_dead);
        if (worker->is_running || worker->died_at_us == 0)
            continue;
        ck_assert_msg(worker->is_dead, "worker %d of %d was not found", i + 1, fleet->count);
        ck_assert_int_le(worker->found_at_us - worker->died_at_us, within_us);
    }
}

/* One silence for the first, one more for all others; without locks the row's expiry before that. */
static int64_t
bound(const struct fleet *fleet)
{
    int64_t silence_us = rules.heartbeat_us * 12 / 10 + 2 * LOOK;

    return 2 * silence_us + (fleet->has_locks ? 0 : rules.expiry_us);
}

START_TEST(the_dead_are_found_and_the_living_left_alone)
{
    for (int c = 0; c < 12; c++) {
        struct fleet fleet;
        int most;

        fleet_init(&fleet, (uint64_t)_i * 1000 + (uint64_t)c);
        pass_time(&fleet, 10 * SECOND + (int64_t)leat_random_below(&fleet.random, 2 * SECOND));
        ck_assert_int_eq(running(&fleet), fleet.count);
        most = c % 4 == 0 ? 1 : c % 4 == 1 ? 2 : c % 4 == 2 ? fleet.count / 2 : fleet.count - 1;
        killed(&fleet, most);
        pass_time(&fleet, bound(&fleet) + SECOND);
        ck_found(&fleet, bound(&fleet));
        killed(&fleet, 1);
        pass_time(&fleet, bound(&fleet) + SECOND);
        ck_found(&fleet, bound(&fleet));
        fleet_release(&fleet);
    }
}
END_TEST

/* The database away for a moment or for minutes: everybody's row expires, or nobody's; then all come back in any order. */
START_TEST(an_outage_kills_nobody)
{
    for (int c = 0; c < 12; c++) {
        struct fleet fleet;

        fleet_init(&fleet, (uint64_t)_i * 1000 + (uint64_t)c + 500);
        for (int round = 0; round < 3; round++) {
            pass_time(&fleet, (int64_t)leat_random_below(&fleet.random, 12 * SECOND));
            fleet.is_database_away = true;
            pass_time(&fleet, (int64_t)leat_random_below(&fleet.random, 30 * SECOND));
            fleet.is_database_away = false;
        }
        pass_time(&fleet, 12 * SECOND);
        ck_assert_int_eq(running(&fleet), fleet.count);
        ck_assert_int_eq(fleet.version, 1);
        killed(&fleet, fleet.count - 1);
        pass_time(&fleet, bound(&fleet) + SECOND);
        ck_found(&fleet, bound(&fleet));
        fleet_release(&fleet);
    }
}
END_TEST

/* All stop at once, as on a host that is suspended while the database is elsewhere, and go on at once, in any order. */
START_TEST(who_slept_together_wakes_together)
{
    for (int c = 0; c < 12; c++) {
        struct fleet fleet;

        fleet_init(&fleet, (uint64_t)_i * 1000 + (uint64_t)c + 700);
        pass_time(&fleet, 10 * SECOND);
        fleet.now_us += 3 * SECOND + (int64_t)leat_random_below(&fleet.random, 3600 * SECOND);
        for (int i = 0; i < fleet.count; i++) {
            struct worker *worker = &fleet.workers[i];

            worker->looks_at_us = fleet.now_us +
                                  (int64_t)leat_random_below(&fleet.random, 200 * MS);
            worker->beats_at_us = fleet.now_us +
                                  (int64_t)leat_random_below(&fleet.random, 2 * SECOND);
        }
        pass_time(&fleet, 12 * SECOND);
        ck_assert_int_eq(running(&fleet), fleet.count);
        ck_assert_int_eq(fleet.version, 1);
        fleet_release(&fleet);
    }
}
END_TEST

/* One that is frozen is called dead when its row has expired, not before, though its session lives. */
START_TEST(the_frozen_are_found_by_their_expiry)
{
    for (int c = 0; c < 12; c++) {
        struct fleet fleet;
        struct worker *frozen;

        fleet_init(&fleet, (uint64_t)_i * 1000 + (uint64_t)c + 900);
        pass_time(&fleet, 10 * SECOND);
        frozen = &fleet.workers[leat_random_below(&fleet.random, (uint64_t)fleet.count)];
        frozen->is_frozen = true;
        pass_time(&fleet, 4 * SECOND - 100 * MS);
        ck_assert(!frozen->is_dead);
        pass_time(&fleet, 4 * SECOND);
        ck_assert(frozen->is_dead);
        ck_found(&fleet, INT64_MAX);
        fleet_release(&fleet);
    }
}
END_TEST

/* In peace the ring is read each ten seconds, everything else is three rows. */
START_TEST(peace_costs_three_rows)
{
    struct fleet fleet;

    fleet_init(&fleet, (uint64_t)_i);
    pass_time(&fleet, 60 * SECOND);
    for (int i = 0; i < fleet.count; i++) {
        ck_assert_uint_ge(fleet.workers[i].looks, 225);
        ck_assert_uint_le(fleet.workers[i].rings, 7);
    }
    fleet_release(&fleet);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tests = tcase_create("watch");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, nobody_judges_before_a_lease_time_of_health);
    tcase_add_test(tests, who_was_frozen_himself_does_not_judge);
    tcase_add_test(tests, the_next_living_one_moves_up);
    tcase_add_test(tests, a_silence_is_long_enough_when_it_was_foretold);
    tcase_add_test(tests, a_heartbeat_must_be_the_same_for_long_enough);
    tcase_add_loop_test(tests, the_dead_are_found_and_the_living_left_alone, 0, test_cases(30, 3));
    tcase_add_loop_test(tests, an_outage_kills_nobody, 0, test_cases(20, 2));
    tcase_add_loop_test(tests, who_slept_together_wakes_together, 0, test_cases(20, 2));
    tcase_add_loop_test(tests, the_frozen_are_found_by_their_expiry, 0, test_cases(20, 2));
    tcase_add_loop_test(tests, peace_costs_three_rows, 0, test_cases(20, 2));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
