/* Numbers with units: known ones, exactness there and back, refusals, and the nearest word. */
#include "tests/unit/base/suite.h"

#include "base/units.h"

struct known {
    const char *text;
    int64_t number;
};

START_TEST(durations)
{
    static const struct known good[] = {
        {"0", 0},          {"30s", 30000000},    {"200ms", 200000},    {"1h30m", 5400000000},
        {"1.5s", 1500000}, {"2d", 172800000000}, {"1m0.5s", 60500000}, {"7us", 7},
        {"0.001ms", 1}};
    static const char *const bad[] = {"",     "5",   "s",     "1s1m", "1s1s", "-1s",
                                      "1.s",  ".5s", "0.5us", "1 s",  "1S",   "99999999999d",
                                      "1e3s", "1.5", "1h30"};
    struct leat_error err = {0};
    int64_t us = -7;

    for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++)
        ck_assert_msg(leat_parse_duration(TEXT(bad[i]), &us, &err) == LEAT_E_INVALID && us == -7,
                      "%s", bad[i]);
    for (size_t i = 0; i < LEAT_COUNT_OF(good); i++) {
        ck_assert_int_eq(leat_parse_duration(TEXT(good[i].text), &us, &err), 0);
        ck_assert_int_eq(us, good[i].number);
    }
}
END_TEST

START_TEST(sizes)
{
    static const struct known good[] = {
        {"0", 0}, {"512B", 512}, {"64MiB", 64 << 20}, {"1.5GiB", INT64_C(3) << 29}, {"2KB", 2000}};
    static const char *const bad[] = {"",     "5",   "0.1KiB", "1KiB1B",
                                      "1kib", "-1B", "1TiB",   "9999999999999GiB"};
    struct leat_error err = {0};
    int64_t bytes = -7;

    for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++)
        ck_assert_msg(leat_parse_size(TEXT(bad[i]), &bytes, &err) == LEAT_E_INVALID && bytes == -7,
                      "%s", bad[i]);
    for (size_t i = 0; i < LEAT_COUNT_OF(good); i++) {
        ck_assert_int_eq(leat_parse_size(TEXT(good[i].text), &bytes, &err), 0);
        ck_assert_int_eq(bytes, good[i].number);
    }
}
END_TEST

START_TEST(formats)
{
    static const struct known shown[] = {{"200ms", 200000},   {"1.5s", 1500000},  {"2m", 120000000},
                                         {"3h", 10800000000}, {"1.5m", 90000000}, {"61s", 61000000},
                                         {"0s", 0},           {"-2s", -2000000}};
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;

    for (size_t i = 0; i < LEAT_COUNT_OF(shown); i++) {
        leat_buf_clear(&out);
        leat_format_duration(&out, shown[i].number);
        ck_assert_str_eq(leat_buf_text(&out), shown[i].text);
    }
    leat_buf_clear(&out);
    leat_format_duration(&out, INT64_MIN); /* does not overflow */
    leat_buf_clear(&out);
    leat_format_size(&out, 64 << 20);
    ck_assert_str_eq(leat_buf_text(&out), "64MiB");
}
END_TEST

START_TEST(there_and_back)
{
    static const int64_t steps[] = {1,        1000,       500000, 1000000, 30000000,
                                    60000000, 3600000000, 256,    1 << 18, 1 << 28};
    struct leat_random random = suite_random();

    for (int i = 0; i < CASES; i++) {
        LEAT_AUTO_BUF duration = LEAT_BUF_INIT;
        LEAT_AUTO_BUF size = LEAT_BUF_INIT;
        int64_t number = steps[leat_random_below(&random, LEAT_COUNT_OF(steps))] *
                         (int64_t)leat_random_below(&random, i % 2 == 0 ? 50 : 1000000);
        int64_t back = -1;

        leat_format_duration(&duration, number);
        ck_assert_int_eq(leat_parse_duration(leat_buf_slice(&duration), &back, NULL), 0);
        ck_assert_int_eq(back, number);
        leat_format_size(&size, number);
        ck_assert_int_eq(leat_parse_size(leat_buf_slice(&size), &back, NULL), 0);
        ck_assert_int_eq(back, number);
    }
}
END_TEST

START_TEST(integers_and_booleans)
{
    struct leat_error err = {0};
    int64_t number = 0;
    bool is_true = false;

    ck_assert_int_eq(leat_parse_integer(TEXT("-9223372036854775808"), &number, &err), 0);
    ck_assert_int_eq(number, INT64_MIN);
    ck_assert_int_eq(leat_parse_integer(TEXT("+12"), &number, &err), 0);
    ck_assert_int_eq(number, 12);
    ck_assert_int_eq(leat_parse_integer(TEXT("9223372036854775808"), &number, &err),
                     LEAT_E_INVALID);
    ck_assert_int_eq(leat_parse_integer(TEXT("-"), &number, &err), LEAT_E_INVALID);
    ck_assert_int_eq(leat_parse_integer(TEXT("1x"), &number, &err), LEAT_E_INVALID);
    ck_assert(strstr(err.text, "\"1x\"") != NULL);
    ck_assert_int_eq(leat_parse_boolean(TEXT("true"), &is_true, &err), 0);
    ck_assert(is_true);
    ck_assert_int_eq(leat_parse_boolean(TEXT("off"), &is_true, &err), 0);
    ck_assert(!is_true);
    ck_assert_int_eq(leat_parse_boolean(TEXT("tru"), &is_true, &err), LEAT_E_INVALID);
}
END_TEST

START_TEST(nearest_word)
{
    static const char *const words[] = {"stream", "shards", "target", "linger", "id", NULL};

    ck_assert_str_eq(leat_did_you_mean("steram", words), "stream");
    ck_assert_str_eq(leat_did_you_mean("targets", words), "target");
    ck_assert_str_eq(leat_did_you_mean("linge", words), "linger");
    ck_assert_ptr_null(leat_did_you_mean("processor", words));
    ck_assert_ptr_null(leat_did_you_mean("xy", words));
}
END_TEST

SUITE_MAIN("units", durations, sizes, formats, there_and_back, integers_and_booleans, nearest_word)
