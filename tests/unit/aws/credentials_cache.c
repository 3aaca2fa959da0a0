/*
 * Credentials that are kept fresh: when they are asked for, by how many at a time, what serves meanwhile. The provider behind the cache
 * is the test's: it says what the test tells it to, and counts.
 */
#include "aws/credentials_cache.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "support/patience.h"

#include <check.h>

struct fake {
    struct leat_credentials_provider base;
    atomic_int asked, under_way, most_under_way;
    atomic_int number; /* of the credentials that it gives */
    atomic_bool fails, hangs;
    atomic_int code;         /* of a failure; 0: LEAT_E_UNAVAILABLE */
    _Atomic int64_t life_us; /* 0: no end */
};

static struct fake *fake;
static struct leat_credentials_provider *cache;
static atomic_int events[4];
static struct leat_error err;

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *error)
{
    struct fake *here = (struct fake *)provider;
    int under_way = atomic_fetch_add(&here->under_way, 1) + 1;
    int64_t life_us = atomic_load(&here->life_us);
    char key[32];

    if (under_way > atomic_load(&here->most_under_way))
        atomic_store(&here->most_under_way, under_way);
    atomic_fetch_add(&here->asked, 1);
    while (atomic_load(&here->hangs))
        usleep(1000);
    atomic_fetch_sub(&here->under_way, 1);
    if (atomic_load(&here->fails))
        return leat_error_set(
            error, atomic_load(&here->code) != 0 ? atomic_load(&here->code) : LEAT_E_UNAVAILABLE,
            "nobody is there");
    snprintf(key, sizeof key, "K%d", atomic_load(&here->number));
    leat_credentials_set(ret_credentials, leat_slice_from(key), leat_slice_from("s"),
                         leat_slice_from("t"));
    ret_credentials->expires_us = life_us == 0 ? 0 : leat_clock_wall_us() + life_us;
    snprintf(ret_credentials->source, sizeof ret_credentials->source, "fake");
    return 0;
}

static void
fake_free(struct leat_credentials_provider *provider)
{
    atomic_store(&((struct fake *)provider)->hangs, false);
    free(provider);
}

static const struct leat_credentials_provider_ops fake_ops = {"fake", "of the fake", get,
                                                              fake_free};

static void
on_event(void *context, const struct leat_credentials_event *event)
{
    atomic_fetch_add(&events[event->kind], 1);
}

static void
setup(void)
{
    const struct leat_credentials_cache_options options = {.on_event = on_event};

    fake = LEAT_NEW(struct fake);
    fake->base.ops = &fake_ops;
    cache = leat_credentials_cache_new(&fake->base, &options);
}

static void
teardown(void)
{
    atomic_store(&fake->hangs, false);
    leat_credentials_provider_free(cache);
}

static int
hold(struct leat_credentials_held *held)
{
    int64_t by_us = leat_clock_monotonic_us() + PATIENCE_US;
    int result;

    while ((result = leat_credentials_hold(cache, held, &err)) == LEAT_E_TIMEOUT &&
           leat_clock_monotonic_us() < by_us)
        usleep(500);
    return result;
}

static void
ck_becomes(atomic_int *number, int at_least)
{
    int64_t by_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (atomic_load(number) < at_least && leat_clock_monotonic_us() < by_us)
        usleep(500);
    ck_assert_int_ge(atomic_load(number), at_least);
}

static void
ck_key(struct leat_credentials_held *held, const char *key)
{
    int64_t by_us = leat_clock_monotonic_us() + PATIENCE_US;

    do {
        ck_assert_int_eq(hold(held), 0);
    } while (strcmp(held->credentials.access_key_id, key) != 0 &&
             leat_clock_monotonic_us() < by_us && usleep(500) == 0);
    ck_assert_str_eq(held->credentials.access_key_id, key);
}

/* ---- when ---------------------------------------------------------------------------------- */

static const struct {
    int64_t life_s, from_s, to_s;
} lives[] = {{3600, 3240, 3300}, {43200, 42840, 42900}, {900, 540, 600},
             {600, 240, 360},    {60, 24, 36},          {1, 0, 1}};

START_TEST(times)
{
    struct leat_random random;

    leat_random_seed(&random, 7);
    ck_assert(leat_credentials_refresh_in_us(0, &random) == INT64_MAX);
    for (int round = 0; round < 1000; round++) {
        int64_t in_us = leat_credentials_refresh_in_us(lives[_i].life_s * LEAT_SECOND_US, &random);

        ck_assert_int_ge(in_us, lives[_i].from_s * LEAT_SECOND_US);
        ck_assert_int_le(in_us, lives[_i].to_s * LEAT_SECOND_US);
        ck_assert_int_lt(in_us, lives[_i].life_s * LEAT_SECOND_US);
    }
}
END_TEST

START_TEST(ones_without_an_end_are_asked_for_once)
{
    struct leat_credentials_held held = {0};

    ck_assert_int_eq(hold(&held), 0);
    ck_assert_str_eq(held.credentials.access_key_id, "K0");
    usleep(50000);
    ck_assert_int_eq(hold(&held), 0);
    ck_assert_int_eq(atomic_load(&fake->asked), 1);
    ck_becomes(&events[LEAT_CREDENTIALS_FOUND], 1);
    leat_credentials_release(&held.credentials);
}
END_TEST

/* Whoever holds the old ones signs with them until the new ones are there; nobody waits, and nothing dead is ever held. */
START_TEST(short_lives_are_refreshed_before_they_end)
{
    struct leat_credentials_held held = {0};
    int64_t until_us = leat_clock_monotonic_us() + 2 * LEAT_SECOND_US;
    uint64_t changes = 0, generation = 0;

    atomic_store(&fake->life_us, 1200 * LEAT_MS_US);
    ck_assert_int_eq(hold(&held), 0);
    while (leat_clock_monotonic_us() < until_us || changes < 3) {
        atomic_fetch_add(&fake->number, 1);
        ck_assert_msg(hold(&held) == 0, "%s", err.text);
        changes += held.generation != generation;
        generation = held.generation;
        usleep(500);
    }
    ck_assert_int_eq(atomic_load(&fake->most_under_way), 1);
    ck_assert_int_eq(atomic_load(&events[LEAT_CREDENTIALS_FOUND]), 1);
    leat_credentials_release(&held.credentials);
}
END_TEST

/* ---- failures ------------------------------------------------------------------------------ */

START_TEST(old_ones_serve_until_they_end)
{
    struct leat_credentials_held held = {0};

    atomic_store(&fake->life_us, 2 * LEAT_SECOND_US);
    ck_assert_int_eq(hold(&held), 0);
    atomic_store(&fake->fails, true);
    ck_becomes(&events[LEAT_CREDENTIALS_FAILED], 1);
    ck_assert_int_eq(leat_credentials_hold(cache, &held, &err), 0);
    ck_assert_str_eq(held.credentials.access_key_id, "K0");
    /* … and no longer; the reason is told. */
    for (int64_t by_us = leat_clock_monotonic_us() + PATIENCE_US;
         leat_credentials_hold(cache, &held, &err) != LEAT_E_UNAVAILABLE; usleep(1000))
        ck_assert_int_lt(leat_clock_monotonic_us(), by_us);
    ck_assert_msg(strstr(err.text, "have expired") != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, "nobody is there") != NULL, "%s", err.text);
    atomic_store(&fake->number, 1);
    atomic_store(&fake->fails, false);
    for (int64_t by_us = leat_clock_monotonic_us() + PATIENCE_US;
         leat_credentials_hold(cache, &held, &err) != 0; usleep(1000))
        ck_assert_int_lt(leat_clock_monotonic_us(), by_us);
    ck_assert_str_eq(held.credentials.access_key_id, "K1");
    ck_becomes(&events[LEAT_CREDENTIALS_RECOVERED], 1);
    leat_credentials_release(&held.credentials);
}
END_TEST

START_TEST(without_any_the_reason_is_told_at_once)
{
    struct leat_credentials_held held = {0};

    atomic_store(&fake->fails, true);
    ck_assert_int_eq(hold(&held), LEAT_E_UNAVAILABLE);
    ck_assert_msg(strstr(err.text, "nobody is there") != NULL, "%s", err.text);
    atomic_store(&fake->fails, false);
    for (int64_t by_us = leat_clock_monotonic_us() + PATIENCE_US;
         leat_credentials_hold(cache, &held, &err) != 0; usleep(1000))
        ck_assert_int_lt(leat_clock_monotonic_us(), by_us);
    leat_credentials_release(&held.credentials);
}
END_TEST

/* A provider that runs out of time is no "come again": neither a caller that waits nor one that looks is kept. */
START_TEST(a_time_out_is_an_answer)
{
    struct leat_credentials_held held = {0};
    struct leat_credentials credentials = {0};

    atomic_store(&fake->code, LEAT_E_TIMEOUT);
    atomic_store(&fake->fails, true);
    ck_assert_int_eq(hold(&held), LEAT_E_UNAVAILABLE);
    ck_assert_int_eq(leat_credentials_provider_get(cache, &credentials, &err), LEAT_E_UNAVAILABLE);
}
END_TEST

/* Whoever had credentials and gets no others has an outage, unless somebody refuses them: shards are kept. */
START_TEST(what_passes_is_an_outage)
{
    static const struct {
        int code, wanted;
    } codes[] = {{LEAT_E_NOT_FOUND, LEAT_E_UNAVAILABLE}, {LEAT_E_SYSTEM, LEAT_E_UNAVAILABLE},
                 {LEAT_E_FORMAT, LEAT_E_UNAVAILABLE},    {LEAT_E_TIMEOUT, LEAT_E_UNAVAILABLE},
                 {LEAT_E_DENIED, LEAT_E_DENIED},         {LEAT_E_INVALID, LEAT_E_INVALID}};
    struct leat_credentials_held held = {0};

    atomic_store(&fake->life_us, LEAT_SECOND_US);
    ck_assert_int_eq(hold(&held), 0);
    atomic_store(&fake->code, codes[_i].code);
    atomic_store(&fake->fails, true);
    for (int64_t by_us = leat_clock_monotonic_us() + PATIENCE_US;
         leat_credentials_hold(cache, &held, &err) != codes[_i].wanted; usleep(1000))
        ck_assert_int_lt(leat_clock_monotonic_us(), by_us);
    leat_credentials_release(&held.credentials);
}
END_TEST

/* They have ended already when they come: the service has the last word, and the provider is not asked all the time. */
START_TEST(dead_ones_serve)
{
    struct leat_credentials_held held = {0};

    atomic_store(&fake->life_us, -3600 * LEAT_SECOND_US);
    ck_assert_int_eq(hold(&held), 0);
    usleep(300000);
    ck_assert_int_eq(hold(&held), 0);
    ck_assert_int_eq(atomic_load(&fake->asked), 1);
    leat_credentials_release(&held.credentials);
}
END_TEST

/* ---- refusals ------------------------------------------------------------------------------ */

START_TEST(a_refusal_brings_others)
{
    struct leat_credentials_held held = {0}, other = {0};
    uint64_t ticket;

    ck_assert_int_eq(hold(&held), 0);
    ck_assert_int_eq(hold(&other), 0);
    atomic_store(&fake->number, 1);
    ticket = leat_credentials_refuse(cache, &held);
    for (int64_t by_us = leat_clock_monotonic_us() + PATIENCE_US;
         !leat_credentials_is_answered(cache, ticket); usleep(500))
        ck_assert_int_lt(leat_clock_monotonic_us(), by_us);
    ck_key(&held, "K1");
    /* Who comes late has not seen the new ones: nothing is asked for. */
    ticket = leat_credentials_refuse(cache, &other);
    ck_assert(leat_credentials_is_answered(cache, ticket));
    ck_key(&other, "K1");
    ck_assert_int_eq(atomic_load(&fake->asked), 2);
    leat_credentials_release(&held.credentials);
    leat_credentials_release(&other.credentials);
}
END_TEST

/* A service that refuses whatever comes is no reason to ask the provider all the time. */
START_TEST(refusals_without_end_are_spaced)
{
    struct leat_credentials_held held = {0};
    int64_t begun_us = leat_clock_monotonic_us();
    int asked;

    ck_assert_int_eq(hold(&held), 0);
    while (leat_clock_monotonic_us() < begun_us + 2 * LEAT_SECOND_US) {
        atomic_fetch_add(&fake->number, 1);
        (void)leat_credentials_refuse(cache, &held);
        (void)leat_credentials_hold(cache, &held, &err);
        usleep(1000);
    }
    /* At once, after 0.5 to 1 s, after 1 to 2 s more. */
    asked = atomic_load(&fake->asked);
    ck_assert_msg(asked <= 4 + (int)((leat_clock_monotonic_us() - begun_us) / LEAT_SECOND_US),
                  "%d questions", asked);
    leat_credentials_release(&held.credentials);
}
END_TEST

static atomic_bool is_over;

static void
ask_and_refuse(void *context)
{
    struct leat_credentials_held held = {0};
    struct leat_error local;

    while (!atomic_load(&is_over)) {
        if (leat_credentials_hold(cache, &held, &local) == 0 && held.generation % 7 == 0)
            (void)leat_credentials_refuse(cache, &held);
        usleep(100);
    }
    leat_credentials_release(&held.credentials);
}

START_TEST(many_ask_one_at_a_time)
{
    struct leat_thread threads[8] = {0};
    int64_t by_us;

    atomic_store(&fake->life_us, 50 * LEAT_MS_US);
    for (size_t i = 0; i < LEAT_COUNT_OF(threads); i++)
        ck_assert_int_eq(leat_thread_start(&threads[i], "asker", ask_and_refuse, NULL, &err), 0);
    /* Half a second; longer, where one thread runs at a time (valgrind) and the cache's own has not had its turn. */
    by_us = leat_clock_monotonic_us() + PATIENCE_US;
    for (int i = 0; i < 500 || (atomic_load(&fake->asked) < 2 && leat_clock_monotonic_us() < by_us);
         i++) {
        atomic_fetch_add(&fake->number, 1);
        usleep(1000);
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < LEAT_COUNT_OF(threads); i++)
        leat_thread_join(&threads[i]);
    ck_assert_int_eq(atomic_load(&fake->most_under_way), 1);
    ck_assert_int_gt(atomic_load(&fake->asked), 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("credentials_cache");
    TCase *tests = tcase_create("credentials_cache");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, times, 0, (int)LEAT_COUNT_OF(lives));
    tcase_add_test(tests, ones_without_an_end_are_asked_for_once);
    tcase_add_test(tests, short_lives_are_refreshed_before_they_end);
    tcase_add_test(tests, old_ones_serve_until_they_end);
    tcase_add_test(tests, without_any_the_reason_is_told_at_once);
    tcase_add_test(tests, a_time_out_is_an_answer);
    tcase_add_loop_test(tests, what_passes_is_an_outage, 0, 6);
    tcase_add_test(tests, dead_ones_serve);
    tcase_add_test(tests, a_refusal_brings_others);
    tcase_add_test(tests, refusals_without_end_are_spaced);
    tcase_add_test(tests, many_ask_one_at_a_time);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
