/* Decimals: known ones, and generated ones, the short way against the long way and against itself. */
#include "tests/unit/base/suite.h"

#include "base/clock.h"
#include "base/decimal.h"
#include "support/slow.h"

static enum leat_decimal_status
status_of(const char *text)
{
    struct leat_decimal decimal;

    return leat_decimal_parse(TEXT(text), &decimal);
}

static void
expect_shown(const char *text, const char *shown)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    struct leat_decimal decimal;

    ck_assert_msg(leat_decimal_parse(TEXT(text), &decimal) == LEAT_DECIMAL_OK, "%s", text);
    leat_decimal_format(&out, decimal);
    ck_assert_str_eq(leat_buf_text(&out), shown);
}

static void
expect_sum(const char *a, const char *b, const char *sum)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;

    leat_decimal_text_add(&out, TEXT(a), TEXT(b));
    ck_assert_str_eq(leat_buf_text(&out), sum);
}

START_TEST(parses)
{
    static const char *const bad[] = {"",   "-",   ".",   "1.2.3",    "abc",
                                      "1e", "1e+", "e5",  "NaN",      "Infinity",
                                      " 1", "1 ",  "0x1", "1e150001", "1e-99999999999999999999",
                                      "--1"};

    for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++)
        ck_assert_msg(status_of(bad[i]) == LEAT_DECIMAL_MALFORMED, "%s", bad[i]);
    expect_shown("1.50", "1.50");
    expect_shown("-0.05", "-0.05");
    expect_shown("-0", "0");
    expect_shown("+007", "7");
    expect_shown(".5", "0.5");
    expect_shown("5.", "5");
    expect_shown("1.5e3", "1500");
    expect_shown("15E-3", "0.015");
    expect_shown("0e99", "0");
    expect_shown("170141183460469231731687303715884105727",
                 "170141183460469231731687303715884105727");
    expect_shown("-170141183460469231731687303715884105727",
                 "-170141183460469231731687303715884105727");
    expect_shown("1e38", "100000000000000000000000000000000000000");
    expect_shown("1e-38", "0.00000000000000000000000000000000000001");
    ck_assert_int_eq(status_of("170141183460469231731687303715884105728"), LEAT_DECIMAL_TOO_LARGE);
    ck_assert_int_eq(status_of("1e39"), LEAT_DECIMAL_TOO_LARGE);
    ck_assert_int_eq(status_of("1e-39"), LEAT_DECIMAL_TOO_LARGE);
}
END_TEST

START_TEST(texts)
{
    expect_sum("0.1", "0.2", "0.3");
    expect_sum("1.50", "-1.5", "0.00");
    expect_sum("-1", "0.25", "-0.75");
    expect_sum("99", "1", "100");
    expect_sum("-99.5", "-0.5", "-100.0");
    expect_sum("1e-3", "1e3", "1000.001");
    expect_sum("0.001e2", "0", "0.1");
    expect_sum("170141183460469231731687303715884105727", "1",
               "170141183460469231731687303715884105728");
    ck_assert_int_lt(leat_decimal_text_compare(TEXT("-1e400"), TEXT("1e-400")), 0);
    ck_assert_int_gt(leat_decimal_text_compare(TEXT("1e400"), TEXT("9.99e399")), 0);
    ck_assert_int_eq(leat_decimal_text_compare(TEXT("-0.0"), TEXT("0")), 0);
    ck_assert_int_eq(leat_decimal_text_compare(TEXT("1.50"), TEXT("15e-1")), 0);
}
END_TEST

START_TEST(texts_of_any_length)
{
    LEAT_AUTO_BUF nines = LEAT_BUF_INIT;
    LEAT_AUTO_BUF sum = LEAT_BUF_INIT;

    for (int i = 0; i < 5000; i++)
        leat_buf_add_byte(&nines, '9');
    leat_decimal_text_add(&sum, leat_buf_slice(&nines), TEXT("1"));
    ck_assert_uint_eq(sum.size, 5001);
    ck_assert_int_eq(sum.data[0], '1');
    ck_assert_uint_eq(strspn(leat_buf_text(&sum) + 1, "0"), 5000);
    ck_assert_int_gt(leat_decimal_text_compare(leat_buf_slice(&sum), leat_buf_slice(&nines)), 0);
}
END_TEST

/* A number of up to `digits` digits, often with an exponent. */
static void
generate(struct leat_random *random, struct leat_buf *out, uint64_t digits)
{
    uint64_t count = 1 + leat_random_below(random, digits),
             point = leat_random_below(random, count + 1);

    leat_buf_clear(out);
    if (leat_random_below(random, 2) == 0)
        leat_buf_add_byte(out, '-');
    for (uint64_t i = 0; i < count; i++) {
        if (i == point)
            leat_buf_add_byte(out, '.');
        leat_buf_add_byte(out, (unsigned char)('0' + (leat_random_below(random, 4) == 0
                                                          ? 0
                                                          : leat_random_below(random, 10))));
    }
    if (leat_random_below(random, 3) == 0)
        leat_buf_printf(out, "e%d", (int)leat_random_below(random, 21) - 10);
}

START_TEST(short_way_is_the_long_way)
{
    struct leat_random random = suite_random();
    int sums = 0;

    for (int i = 0; i < 4 * CASES; i++) {
        LEAT_AUTO_BUF a = LEAT_BUF_INIT;
        LEAT_AUTO_BUF b = LEAT_BUF_INIT;
        LEAT_AUTO_BUF quick = LEAT_BUF_INIT;
        LEAT_AUTO_BUF slow = LEAT_BUF_INIT;
        struct leat_decimal x, y, sum;

        generate(&random, &a, i % 2 == 0 ? 12 : 40);
        generate(&random, &b, i % 3 == 0 ? 12 : 40);
        if (leat_decimal_parse(leat_buf_slice(&a), &x) != LEAT_DECIMAL_OK ||
            leat_decimal_parse(leat_buf_slice(&b), &y) != LEAT_DECIMAL_OK)
            continue;
        ck_assert_int_eq(leat_decimal_compare(x, y),
                         leat_decimal_text_compare(leat_buf_slice(&a), leat_buf_slice(&b)));
        ck_assert_int_eq(leat_decimal_compare(x, y), -leat_decimal_compare(y, x));
        if (!leat_decimal_add(x, y, &sum))
            continue;
        sums++;
        leat_decimal_format(&quick, sum);
        leat_decimal_text_add(&slow, leat_buf_slice(&a), leat_buf_slice(&b));
        ck_assert_str_eq(leat_buf_text(&quick), leat_buf_text(&slow));
    }
    ck_assert_int_gt(sums, CASES);
}
END_TEST

START_TEST(one_text_for_one_value)
{
    static const char *const same[][2] = {{"1.50", "15e-1"}, {"-0.0", "0"},
                                          {"+007", "7"},     {"1e400", "10e399"},
                                          {".5", "0.500"},   {"-12e3", "-12000"}};
    struct leat_random random = suite_random();
    LEAT_AUTO_BUF a = LEAT_BUF_INIT;
    LEAT_AUTO_BUF b = LEAT_BUF_INIT;
    LEAT_AUTO_BUF one = LEAT_BUF_INIT;
    LEAT_AUTO_BUF other = LEAT_BUF_INIT;

    for (size_t i = 0; i < LEAT_COUNT_OF(same); i++) {
        leat_buf_clear(&one);
        leat_buf_clear(&other);
        leat_decimal_text_canonical(&one, TEXT(same[i][0]));
        leat_decimal_text_canonical(&other, TEXT(same[i][1]));
        ck_assert_str_eq(leat_buf_text(&one), leat_buf_text(&other));
    }
    for (size_t i = 0; i < test_rounds(CASES); i++) {
        generate(&random, &a, 3);
        generate(&random, &b, 3);
        leat_buf_clear(&one);
        leat_buf_clear(&other);
        leat_decimal_text_canonical(&one, leat_buf_slice(&a));
        leat_decimal_text_canonical(&other, leat_buf_slice(&b));
        ck_assert_int_eq(leat_decimal_text_compare(leat_buf_slice(&a), leat_buf_slice(&one)), 0);
        ck_assert_int_eq(leat_decimal_text_compare(leat_buf_slice(&a), leat_buf_slice(&b)) == 0,
                         leat_slice_equals(leat_buf_slice(&one), leat_buf_slice(&other)));
        ck_assert_uint_le(one.size, a.size + 8);
        leat_buf_clear(&one);
        leat_decimal_text_add(&one, leat_buf_slice(&a), leat_buf_slice(&b));
        ck_assert_uint_le(one.size,
                          leat_decimal_text_sum_bytes(leat_buf_slice(&a), leat_buf_slice(&b)));
    }
}
END_TEST

START_TEST(long_numbers_are_compared_without_being_written_out)
{
    int64_t began_us = leat_clock_monotonic_us();

    for (size_t i = 0; i < test_rounds(200000); i++) {
        ck_assert_int_gt(leat_decimal_text_compare(TEXT("1e130000"), TEXT("2e129999")), 0);
        ck_assert_int_lt(leat_decimal_text_compare(TEXT("-1e130000"), TEXT("1e-130000")), 0);
        ck_assert_int_eq(leat_decimal_text_compare(TEXT("1e130000"), TEXT("10e129999")), 0);
    }
    /* Written out they would be 150 GB of zeros. */
    ck_assert_int_lt(leat_clock_monotonic_us() - began_us, 20 * LEAT_SECOND_US);
    ck_assert_uint_eq(leat_decimal_text_sum_bytes(TEXT("1e130000"), TEXT("1.5")), 130001 + 1 + 3);
}
END_TEST

START_TEST(sums_take_apart_again)
{
    struct leat_random random = suite_random();

    for (size_t i = 0; i < test_rounds(CASES); i++) {
        LEAT_AUTO_BUF a = LEAT_BUF_INIT;
        LEAT_AUTO_BUF b = LEAT_BUF_INIT;
        LEAT_AUTO_BUF minus = LEAT_BUF_INIT;
        LEAT_AUTO_BUF sum = LEAT_BUF_INIT;
        LEAT_AUTO_BUF back = LEAT_BUF_INIT;

        generate(&random, &a, 80);
        generate(&random, &b, 80);
        leat_decimal_text_add(&sum, leat_buf_slice(&a), leat_buf_slice(&b));
        leat_buf_printf(&minus, "%s%s", b.data[0] == '-' ? "" : "-",
                        leat_buf_text(&b) + (b.data[0] == '-'));
        leat_decimal_text_add(&back, leat_buf_slice(&sum), leat_buf_slice(&minus));
        ck_assert_int_eq(leat_decimal_text_compare(leat_buf_slice(&back), leat_buf_slice(&a)), 0);
    }
}
END_TEST

START_TEST(overflow_is_told)
{
    struct leat_decimal largest, one, sum = {.digits = 7};

    leat_decimal_parse(TEXT("170141183460469231731687303715884105727"), &largest);
    leat_decimal_parse(TEXT("1"), &one);
    ck_assert(!leat_decimal_add(largest, one, &sum));
    leat_decimal_parse(TEXT("0.1"), &one);
    ck_assert(!leat_decimal_add(largest, one, &sum));
    ck_assert(sum.digits == 7);
    ck_assert_int_eq(leat_decimal_compare(largest, one), 1); /* although they cannot be aligned */
}
END_TEST

SUITE_MAIN("decimal", parses, texts, texts_of_any_length, short_way_is_the_long_way,
           one_text_for_one_value, long_numbers_are_compared_without_being_written_out,
           sums_take_apart_again, overflow_is_told)
