/* What an operator may say of a checkpoint, and which way it goes. */
#include "base/clock.h"
#include "stream/rewind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

#include <check.h>

static struct leat_error err;

#define NOW_US (INT64_C(1750000000) * LEAT_SECOND_US)

START_TEST(test_words_are_understood)
{
    struct leat_position position;

    ck_assert_int_eq(leat_rewind_parse("trim-horizon", NOW_US, &position, &err), 0);
    ck_assert_int_eq(position.kind, LEAT_POSITION_TRIM_HORIZON);
    ck_assert_int_eq(leat_rewind_parse("latest", NOW_US, &position, &err), 0);
    ck_assert_int_eq(position.kind, LEAT_POSITION_LATEST);
    ck_assert_int_eq(leat_rewind_parse("time=1970-01-01T00:00:02.5Z", NOW_US, &position, &err), 0);
    ck_assert_int_eq(position.kind, LEAT_POSITION_AT_TIMESTAMP);
    ck_assert_int_eq(position.timestamp_us, 2500000);
    ck_assert_int_eq(leat_rewind_parse("time=-2h", NOW_US, &position, &err), 0);
    ck_assert_int_eq(position.timestamp_us, NOW_US - 7200 * LEAT_SECOND_US);
    ck_assert_int_eq(leat_rewind_parse("time=1m30s ago", NOW_US, &position, &err), 0);
    ck_assert_int_eq(position.timestamp_us, NOW_US - 90 * LEAT_SECOND_US);
    ck_assert_int_eq(leat_rewind_parse("seq=49000", NOW_US, &position, &err), 0);
    ck_assert_int_eq(position.kind, LEAT_POSITION_SEQUENCE);
    ck_assert_str_eq(position.sequence, "49000");
    ck_assert_int_eq(position.sub_sequence, -1);
}
END_TEST

START_TEST(test_nonsense_is_refused_by_name)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "it may be"},
        {"lastest", "did you mean \"latest\""},
        {"trim_horizon", "did you mean \"trim-horizon\""},
        {"time=", "is no time"},
        {"time=yesterday", "is no time"},
        {"seq=", "sequence number"},
        {"seq=49x", "sequence number"},
        {"seq=-1", "sequence number"},
        {"seq=049", "sequence number"},
        {"SHARD_END", "it may be"},
    };
    struct leat_position position = {.timestamp_us = 7};

    for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++) {
        ck_assert_int_eq(leat_rewind_parse(bad[i].text, NOW_US, &position, &err), LEAT_E_INVALID);
        ck_assert_msg(strstr(err.text, bad[i].says) != NULL, "%s: %s", bad[i].text, err.text);
        ck_assert_int_eq(position.timestamp_us, 7);
    }
}
END_TEST

/* A place in a shard as one number: TRIM_HORIZON, then the records, then SHARD_END. */
static struct leat_position
place(struct leat_random *random, int64_t *ret_at)
{
    struct leat_position position = {.kind = LEAT_POSITION_SEQUENCE, .sub_sequence = -1};
    uint64_t kind = leat_random_next(random) % 8, number = 1 + leat_random_next(random) % 2000;

    *ret_at = 2 * (int64_t)number;
    if (kind == 0) {
        *ret_at = 0;
        position.kind = LEAT_POSITION_TRIM_HORIZON;
    } else if (kind == 1) {
        *ret_at = INT64_MAX;
        position.kind = LEAT_POSITION_SHARD_END;
    } else {
        snprintf(position.sequence, sizeof position.sequence, "%llu", (unsigned long long)number);
        if (kind == 2) { /* inside of the aggregate: not all of it is done */
            position.sub_sequence = 3;
            *ret_at -= 1;
        }
    }
    return position;
}

START_TEST(test_directions_follow_the_order_of_a_shard)
{
    struct leat_random random;

    leat_random_seed(&random, 20261126);
    for (int i = 0; i < 20000; i++) {
        int64_t from_at, to_at;
        struct leat_position from = place(&random, &from_at), to = place(&random, &to_at);
        enum leat_rewind_direction wanted;

        if (to.kind == LEAT_POSITION_SHARD_END || to.sub_sequence >= 0)
            continue; /* nobody can say that */
        wanted = from_at < to_at   ? LEAT_REWIND_FORWARD
                 : from_at > to_at ? LEAT_REWIND_BACK
                                   : LEAT_REWIND_SAME;
        ck_assert_msg(leat_rewind_direction(&from, &to, false) == wanted, "%s/%lld -> %s: %d",
                      from.sequence, (long long)from.sub_sequence, to.sequence, wanted);
    }
}
END_TEST

START_TEST(test_times)
{
    struct leat_position early = {.kind = LEAT_POSITION_AT_TIMESTAMP, .timestamp_us = 5};
    struct leat_position late = {.kind = LEAT_POSITION_AT_TIMESTAMP, .timestamp_us = 6};
    struct leat_position sequence = {
        .kind = LEAT_POSITION_SEQUENCE, .sequence = "49", .sub_sequence = -1};
    struct leat_position end = {.kind = LEAT_POSITION_SHARD_END};

    ck_assert_int_eq(leat_rewind_direction(&early, &late, false), LEAT_REWIND_FORWARD);
    ck_assert_int_eq(leat_rewind_direction(&late, &early, false), LEAT_REWIND_BACK);
    ck_assert_int_eq(leat_rewind_direction(&late, &late, false), LEAT_REWIND_SAME);
    ck_assert_int_eq(leat_rewind_direction(&sequence, &late, false), LEAT_REWIND_EITHER);
    ck_assert_int_eq(leat_rewind_direction(&sequence, &late, true), LEAT_REWIND_FORWARD);
    ck_assert_int_eq(leat_rewind_direction(&end, &late, true), LEAT_REWIND_BACK);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream/rewind");
    TCase *tests = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, test_words_are_understood);
    tcase_add_test(tests, test_nonsense_is_refused_by_name);
    tcase_add_test(tests, test_directions_follow_the_order_of_a_shard);
    tcase_add_test(tests, test_times);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
