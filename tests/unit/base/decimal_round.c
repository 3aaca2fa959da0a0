/* Rounding as numeric(digits, scale) does it: 128 bits and texts agree, and with what Postgres said. */
#include "base/decimal_round.h"

#include "base/memory.h"
#include "base/random.h"

#include <check.h>

static const struct {
    const char *text;
    int32_t scale;
    const char *rounded; /* SELECT text::numeric(…, scale) */
} cases[] = {
    {"0", 2, "0"},
    {"1.005", 2, "1.01"},
    {"-1.005", 2, "-1.01"},
    {"1.004", 2, "1.00"},
    {"0.5", 0, "1"},
    {"-0.5", 0, "-1"},
    {"0.49999", 0, "0"},
    {"-0.004", 2, "0.00"},
    {"149", -2, "100"},
    {"150", -2, "200"},
    {"-150", -2, "-200"},
    {"49", -2, "0"},
    {"50", -2, "100"},
    {"5", -3, "0"},
    {"99.995", 2, "100.00"},
    {"1e3", 2, "1000"},
    {"12345e-3", 1, "12.3"},
    {"1.5", 5, "1.5"},
    {"1e-50", 2, "0.00"},
    {"9.5", -60, "0"},
    {"1234567890123456789012345678901234567890.12345", 3,
     "1234567890123456789012345678901234567890.123"},
    {"9999999999999999999999999999999999999999.95", 1,
     "10000000000000000000000000000000000000000.0"},
};

START_TEST(test_as_postgres_rounds)
{
    struct leat_slice text = leat_slice_from(cases[_i].text);
    struct leat_decimal decimal;
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;

    leat_decimal_text_round(&out, text, cases[_i].scale);
    ck_assert_int_eq(
        leat_decimal_text_compare(leat_buf_slice(&out), leat_slice_from(cases[_i].rounded)), 0);
    if (leat_decimal_parse(text, &decimal) != LEAT_DECIMAL_OK)
        return;
    ck_assert(leat_decimal_round(&decimal, cases[_i].scale));
    leat_buf_clear(&out);
    leat_decimal_format(&out, decimal);
    ck_assert_str_eq(leat_buf_text(&out), cases[_i].rounded);
}
END_TEST

/* Of random decimals: the text's way and the number's agree on value and digits. */
START_TEST(test_both_ways_agree)
{
    struct leat_random random;

    leat_random_seed(&random, 3);
    for (int i = 0; i < 20000; i++) {
        struct leat_decimal decimal = {.digits = (__int128)(int64_t)leat_random_next(&random),
                                       .scale = (int32_t)leat_random_below(&random, 39)};
        int32_t scale = (int32_t)leat_random_below(&random, 45) - 22;
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;
        LEAT_AUTO_BUF rounded = LEAT_BUF_INIT;
        LEAT_AUTO_BUF by_number = LEAT_BUF_INIT;
        int64_t whole, fraction;

        leat_decimal_format(&text, decimal);
        leat_decimal_text_digits(leat_buf_slice(&text), &whole, &fraction);
        ck_assert_int_eq(whole, leat_decimal_whole_digits(decimal));
        ck_assert_int_eq(fraction, decimal.scale);
        leat_decimal_text_round(&rounded, leat_buf_slice(&text), scale);
        if (!leat_decimal_round(&decimal, scale))
            continue;
        leat_decimal_format(&by_number, decimal);
        ck_assert_int_eq(
            leat_decimal_text_compare(leat_buf_slice(&rounded), leat_buf_slice(&by_number)), 0);
    }
}
END_TEST

static const struct {
    const char *text;
    int64_t whole, fraction;
} sizes[] = {{"123.4", 3, 1},
             {"0.5", 0, 1},
             {"0.05", -1, 2},
             {"1e130000", 130001, 0},
             {"1e-16000", -15999, 16000},
             {"00012.50", 2, 2},
             {"12e-1", 1, 1},
             {"0.0012e2", 0, 2},
             {"-.5", 0, 1},
             {"+7.", 1, 0},
             {"0.00", INT64_MIN / 2, 2}};

START_TEST(test_sizes_of_texts)
{
    int64_t whole, fraction;

    leat_decimal_text_digits(leat_slice_from(sizes[_i].text), &whole, &fraction);
    ck_assert_int_eq(whole, sizes[_i].whole);
    ck_assert_int_eq(fraction, sizes[_i].fraction);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("decimal_round");
    TCase *tests = tcase_create("decimal_round");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, test_as_postgres_rounds, 0, (int)LEAT_COUNT_OF(cases));
    tcase_add_test(tests, test_both_ways_agree);
    tcase_add_loop_test(tests, test_sizes_of_texts, 0, (int)LEAT_COUNT_OF(sizes));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
