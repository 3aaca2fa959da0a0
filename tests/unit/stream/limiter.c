/*
 * The pace of a shard against a simulated service that keeps AWS's rule, another one, or none, alone and among others.
 * All is in simulated time: the same on every machine.
 */
#include "stream/limiter.h"

#include <check.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

#define BEGIN_US (1000 * LEAT_SECOND_US)
#define WAY_US 2000 /* to the service; as long back */
#define MB 1e6
#define CONSUMERS 6

/* ---- the service ----------------------------------------------------------------------------- */

struct shard {
    double calls, bytes; /* a second; 0: no limit */
    double call_level, byte_level;
    int64_t at_us;
};

static bool
serve(struct shard *shard, int64_t now_us, double wanted, double *ret_bytes)
{
    double since = (double)(now_us - shard->at_us) / 1e6;

    if (shard->at_us == 0)
        since = 1;
    shard->at_us = now_us;
    shard->call_level += since * shard->calls;
    shard->byte_level += since * shard->bytes;
    if (shard->call_level > shard->calls)
        shard->call_level = shard->calls;
    if (shard->byte_level > shard->bytes)
        shard->byte_level = shard->bytes;
    if (shard->calls > 0 && shard->call_level < 1)
        return false;
    if (shard->bytes > 0 && shard->byte_level < 1)
        return false;
    shard->call_level -= 1;
    if (wanted > shard->bytes && shard->byte_level > 0)
        shard->byte_level = 0;
    shard->byte_level -= wanted;
    *ret_bytes = wanted;
    return true;
}

/* ---- consumers ------------------------------------------------------------------------------- */

struct consumer {
    struct leat_limiter limiter;
    double answer_bytes, all_bytes; /* usually; where the limiter says that all may be asked for */
    double enough_bytes;            /* 0: never */
    int64_t idle_us;                /* > 0: at the tip, answers of nearly nothing */
    int64_t fixed_us;               /* > 0: no limiter: asks so often, whatever it is told */
    int64_t next_us, from_us, done_us;
    int64_t longest_us, served_us; /* without an answer */
    double bytes;
    unsigned answers, refusals;
};

static void
step(struct consumer *consumer, struct shard *shard, int64_t now_us)
{
    struct leat_limiter *limiter = &consumer->limiter;
    double wanted = consumer->answer_bytes, bytes = 0;
    struct leat_limiter_charge charge = {0};
    bool is_served;

    if (consumer->fixed_us == 0) {
        if (consumer->all_bytes > 0 && leat_limiter_wants_all(limiter, now_us))
            wanted = consumer->all_bytes;
        charge = leat_limiter_called(limiter, now_us);
    }
    if (consumer->enough_bytes > 0 && wanted > consumer->enough_bytes - consumer->bytes)
        wanted = consumer->enough_bytes - consumer->bytes;
    is_served = serve(shard, now_us + WAY_US, wanted, &bytes);
    if (is_served) {
        if (consumer->served_us > 0 && now_us - consumer->served_us > consumer->longest_us)
            consumer->longest_us = now_us - consumer->served_us;
        consumer->served_us = now_us;
        consumer->answers++;
        consumer->bytes += bytes;
    } else {
        consumer->refusals++;
    }
    if (consumer->enough_bytes > 0 && consumer->bytes >= consumer->enough_bytes)
        consumer->done_us = now_us + 2 * WAY_US;
    if (consumer->fixed_us > 0) {
        consumer->next_us = now_us + consumer->fixed_us;
        return;
    }
    if (is_served)
        leat_limiter_answered(limiter, now_us, &charge, (size_t)bytes);
    else
        leat_limiter_refused(limiter, now_us, &charge, now_us + 2 * WAY_US);
    now_us += 2 * WAY_US + (is_served ? consumer->idle_us : 0);
    consumer->next_us = leat_limiter_next_us(limiter, now_us);
    if (consumer->next_us > now_us)
        leat_limiter_held(limiter);
}

static void
run(struct shard *shard, struct consumer *consumers, size_t count, double seconds)
{
    int64_t end_us = BEGIN_US + (int64_t)(seconds * 1e6), now_us = BEGIN_US;

    for (size_t i = 0; i < count; i++) {
        consumers[i].next_us = BEGIN_US + consumers[i].from_us;
        leat_limiter_init(&consumers[i].limiter, false, i + 1);
    }
    while (now_us < end_us) {
        struct consumer *first = NULL;

        for (size_t i = 0; i < count; i++) {
            if (consumers[i].done_us == 0 &&
                (first == NULL || consumers[i].next_us < first->next_us))
                first = &consumers[i];
        }
        if (first == NULL)
            break;
        now_us = first->next_us;
        if (now_us < end_us)
            step(first, shard, now_us);
    }
}

static double
seconds_of(const struct consumer *consumer)
{
    ck_assert_int_gt(consumer->done_us, 0);
    return (double)(consumer->done_us - BEGIN_US) / 1e6;
}

/* ---- alone ----------------------------------------------------------------------------------- */

/* How long it takes whoever asks at the first moment that the rule allows, for as much as it gives. */
static double
allowed_seconds(struct shard rule, double bytes, double answer)
{
    int64_t now_us = BEGIN_US;
    double got = 0, given;

    while (true) {
        if (serve(&rule, now_us, answer < bytes - got ? answer : bytes - got, &given)) {
            got += given;
            if (got >= bytes)
                return (double)(now_us - BEGIN_US) / 1e6;
        }
        now_us += 1000;
    }
}

static const struct shard aws = {.calls = 5, .bytes = 2e6};

START_TEST(what_the_rule_allows_is_used)
{
    static const struct {
        double answer, all, total;
    } cases[] = {
        {1.4 * MB, 2.08 * MB, 21 * MB}, {2.1 * MB, 2.1 * MB, 21 * MB}, {2 * MB, 10 * MB, 105 * MB},
        {0.5 * MB, 0.5 * MB, 30 * MB},  {0.3 * MB, 0.3 * MB, 20 * MB}, {1 * MB, 10 * MB, 400 * MB},
        {2.5 * MB, 10 * MB, 1000 * MB},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        struct shard shard = aws;
        struct consumer consumer = {.answer_bytes = cases[i].answer,
                                    .all_bytes = cases[i].all,
                                    .enough_bytes = cases[i].total};
        double allowed = allowed_seconds(aws, cases[i].total, cases[i].all), took;

        run(&shard, &consumer, 1, 3000);
        took = seconds_of(&consumer);
        ck_assert_msg(took <= 1.05 * allowed, "case %zu: %.2f s of %.2f, %u refusals", i, took,
                      allowed, consumer.refusals);
        ck_assert_msg(consumer.refusals <= 6 + took / 20, "case %zu: %u refusals in %.0f s", i,
                      consumer.refusals, took);
    }
}
END_TEST

START_TEST(other_limits_are_found)
{
    static const struct shard rules[] = {
        {.calls = 5, .bytes = 2 << 20}, {.calls = 10, .bytes = 4e6}, {.calls = 50, .bytes = 20e6},
        {.calls = 5, .bytes = 1e6},     {.calls = 0, .bytes = 1e6},  {.calls = 1, .bytes = 0},
        {.calls = 2, .bytes = 0.5e6},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(rules); i++) {
        struct shard shard = rules[i];
        struct consumer consumer = {.answer_bytes = 1 * MB};
        double allowed;

        run(&shard, &consumer, 1, 300);
        allowed = rules[i].bytes > 0 ? rules[i].bytes : rules[i].calls * MB;
        if (rules[i].calls > 0 && allowed > rules[i].calls * MB)
            allowed = rules[i].calls * MB;
        ck_assert_msg(consumer.bytes >= 0.85 * 300 * allowed, "rule %zu: %.2f of what it allows", i,
                      consumer.bytes / 300 / allowed);
        ck_assert_msg(consumer.refusals <= 2 * consumer.answers + 20,
                      "rule %zu: %u refusals for %u answers", i, consumer.refusals,
                      consumer.answers);
    }
}
END_TEST

START_TEST(where_there_is_no_limit_none_is_kept)
{
    struct shard shard = {0}, once = {0};
    struct consumer consumer = {.answer_bytes = 2 * MB, .enough_bytes = 2000 * MB};
    struct consumer scared = {.answer_bytes = 2 * MB};
    struct leat_limiter_charge charge;

    run(&shard, &consumer, 1, 100);
    ck_assert_double_le(seconds_of(&consumer), 1000 * 2 * WAY_US / 1e6 + 0.1);
    /* A refusal that has no reason is forgotten in some seconds. */
    run(&once, &scared, 1, 1);
    charge = leat_limiter_called(&scared.limiter, BEGIN_US + LEAT_SECOND_US);
    leat_limiter_refused(&scared.limiter, BEGIN_US + LEAT_SECOND_US, &charge,
                         BEGIN_US + LEAT_SECOND_US);
    ck_assert_int_le(leat_limiter_next_us(&scared.limiter, BEGIN_US + LEAT_SECOND_US),
                     BEGIN_US + 3 * LEAT_SECOND_US);
    for (int64_t now_us = scared.next_us = BEGIN_US + LEAT_SECOND_US;
         now_us < BEGIN_US + 12 * LEAT_SECOND_US; now_us = scared.next_us)
        step(&scared, &once, now_us);
    ck_assert_double_eq(scared.limiter.share, 0);
}
END_TEST

/* A service that gives nothing at all is asked ever less often, and at once when it gives again. */
START_TEST(a_shard_that_gives_nothing_is_hardly_asked)
{
    struct shard never = {.calls = 1e-9}, again = {0};
    struct consumer consumer = {.answer_bytes = 1 * MB};
    unsigned before;

    never.at_us = BEGIN_US;
    run(&never, &consumer, 1, 3600);
    ck_assert_uint_eq(consumer.answers, 0);
    ck_assert_msg(consumer.refusals <= 1300, "%u refusals in an hour", consumer.refusals);
    before = consumer.refusals;
    run(&never, &consumer, 1, 10);
    ck_assert_msg(consumer.refusals - before <= 60, "%u refusals in ten seconds",
                  consumer.refusals - before);
    for (int i = 0; i < 20; i++)
        step(&consumer, &again, consumer.next_us);
    ck_assert_uint_eq(consumer.answers, 20);
}
END_TEST

START_TEST(an_answer_of_ten_megabytes_shuts_for_five_seconds)
{
    struct leat_limiter limiter;
    struct leat_limiter_charge charge;
    int64_t next_us;

    leat_limiter_init(&limiter, true, 1);
    ck_assert(leat_limiter_wants_all(&limiter, BEGIN_US));
    charge = leat_limiter_called(&limiter, BEGIN_US);
    leat_limiter_answered(&limiter, BEGIN_US, &charge, 10000000);
    next_us = leat_limiter_next_us(&limiter, BEGIN_US);
    ck_assert_int_ge(next_us, BEGIN_US + 5 * LEAT_SECOND_US);
    ck_assert_int_le(next_us, BEGIN_US + 5 * LEAT_SECOND_US * 103 / 100);
}
END_TEST

/* ---- with others ----------------------------------------------------------------------------- */

START_TEST(half_of_a_shard_is_left_and_all_of_it_is_used)
{
    struct shard shard = aws;
    struct consumer consumers[2] = {{.answer_bytes = 1.4 * MB, .all_bytes = 2.1 * MB},
                                    {.answer_bytes = 1 * MB, .fixed_us = LEAT_SECOND_US}};

    /* The other one takes 1 MB each second, whatever it is told. */
    run(&shard, consumers, 2, 120);
    ck_assert_msg(consumers[0].bytes >= 0.9 * 60 * 2 * MB, "%.2f MB/s, %u refusals",
                  consumers[0].bytes / 120 / MB, consumers[0].refusals);
    ck_assert_msg(consumers[1].bytes >= 0.6 * 60 * 2 * MB, "the other: %.2f MB/s, %u refusals",
                  consumers[1].bytes / 120 / MB, consumers[1].refusals);
    ck_assert_uint_le(consumers[0].refusals, 2 * 120);
}
END_TEST

START_TEST(equals_come_to_equal_shares)
{
    for (size_t count = 2; count <= CONSUMERS; count++) {
        struct shard shard = aws;
        struct consumer consumers[CONSUMERS] = {0};
        double total = 0;
        unsigned refusals = 0;

        for (size_t i = 0; i < count; i++) {
            consumers[i].answer_bytes = 1.4 * MB;
            consumers[i].all_bytes = 10 * MB;
            consumers[i].from_us = (int64_t)i * 10 * LEAT_SECOND_US; /* one after the other */
        }
        run(&shard, consumers, count, 600);
        for (size_t i = 0; i < count; i++) {
            total += consumers[i].bytes;
            refusals += consumers[i].refusals;
        }
        for (size_t i = 0; i < count; i++)
            ck_assert_msg(consumers[i].bytes > 0.6 * total / (double)count &&
                              consumers[i].bytes < 1.5 * total / (double)count,
                          "%zu consumers: number %zu has %.2f of its share", count, i,
                          consumers[i].bytes / total * (double)count);
        ck_assert_msg(total >= 0.93 * 600 * 2 * MB, "%zu consumers: %.2f used", count,
                      total / 600 / 2 / MB);
        ck_assert_msg(refusals <= 600 * count, "%zu consumers: %u refusals", count, refusals);
    }
}
END_TEST

/* Five calls a second, whoever makes them: everybody has news within twice what an equal part of the calls gives. */
START_TEST(at_the_tip_the_calls_are_shared)
{
    for (size_t count = 1; count <= CONSUMERS; count++) {
        struct shard shard = aws;
        struct consumer consumers[CONSUMERS] = {0};

        for (size_t i = 0; i < count; i++) {
            consumers[i].answer_bytes = 1000;
            consumers[i].idle_us = 200 * LEAT_MS_US;
            consumers[i].from_us = (int64_t)i * LEAT_SECOND_US;
        }
        run(&shard, consumers, count, 300);
        for (size_t i = 0; i < count; i++) {
            ck_assert_msg(consumers[i].answers >= 0.6 * 300 * 5 / (double)count,
                          "%zu consumers: number %zu had %u answers", count, i,
                          consumers[i].answers);
            ck_assert_msg(consumers[i].refusals <= 300 * 2, "%zu consumers: %u refusals", count,
                          consumers[i].refusals);
            ck_assert_msg(consumers[i].longest_us <= 20 * LEAT_SECOND_US,
                          "%zu consumers: %.1f s without an answer", count,
                          (double)consumers[i].longest_us / 1e6);
        }
    }
}
END_TEST

START_TEST(a_share_that_is_free_again_is_taken)
{
    struct shard shard = aws;
    struct consumer consumers[2] = {
        {.answer_bytes = 1 * MB, .enough_bytes = 100 * MB},
        {.answer_bytes = 1 * MB, .fixed_us = LEAT_SECOND_US / 2, .enough_bytes = 20 * MB}};

    run(&shard, consumers, 2, 300);
    ck_assert_double_gt(seconds_of(&consumers[1]), 0);
    /* 120 MB in all are 60 s. */
    ck_assert_msg(seconds_of(&consumers[0]) <= 75, "%.1f s", seconds_of(&consumers[0]));
}
END_TEST

/* ---- what is configured ------------------------------------------------------------------------ */

START_TEST(a_ceiling_is_kept_without_refusals)
{
    static const double ceilings[][2] = {{0.5, 0}, {5, 0}, {0, 2e6}, {0, 1e5}, {20, 30e6}};

    for (size_t i = 0; i < LEAT_COUNT_OF(ceilings); i++) {
        struct shard shard = {0};
        struct consumer consumer = {.answer_bytes = 1 * MB};
        int64_t now_us = BEGIN_US;

        leat_limiter_init(&consumer.limiter, false, 1);
        consumer.limiter.calls_ceiling = ceilings[i][0];
        consumer.limiter.bytes_ceiling = ceilings[i][1];
        while (now_us < BEGIN_US + 20 * LEAT_SECOND_US) {
            step(&consumer, &shard, now_us);
            now_us = consumer.next_us;
        }
        if (ceilings[i][0] > 0) {
            ck_assert_double_le(consumer.answers, 20 * ceilings[i][0] + ceilings[i][0]);
            ck_assert_double_ge(consumer.answers, 20 * ceilings[i][0] - 1);
        }
        if (ceilings[i][1] > 0)
            ck_assert_double_le(consumer.bytes, 20 * ceilings[i][1] + 2 * MB);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("limiter");
    TCase *tests = tcase_create("limiter");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_the_rule_allows_is_used);
    tcase_add_test(tests, other_limits_are_found);
    tcase_add_test(tests, where_there_is_no_limit_none_is_kept);
    tcase_add_test(tests, a_shard_that_gives_nothing_is_hardly_asked);
    tcase_add_test(tests, an_answer_of_ten_megabytes_shuts_for_five_seconds);
    tcase_add_test(tests, half_of_a_shard_is_left_and_all_of_it_is_used);
    tcase_add_test(tests, equals_come_to_equal_shares);
    tcase_add_test(tests, at_the_tip_the_calls_are_shared);
    tcase_add_test(tests, a_share_that_is_free_again_is_taken);
    tcase_add_test(tests, a_ceiling_is_kept_without_refusals);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
