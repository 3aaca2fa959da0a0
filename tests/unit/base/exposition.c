/* Whatever a label or a number is made of, the page stays one that a strict scraper takes. */
#include "tests/unit/base/suite.h"

#include <math.h>
#include <string.h>

#include "base/exposition.h"
#include "base/histogram.h"
#include "support/exposition.h"

static const struct {
    const char *value, *shown;
} labels[] = {
    {"orders", "orders"},
    {"", ""},
    {"a\"b", "a\\\"b"},
    {"a\\b", "a\\\\b"},
    {"a\nb", "a\\nb"},
    {"a b", "a b"}, /* not the same as the line above */
    {"a\\nb", "a\\\\nb"},
    {"\"}\nleat_records_total 7\n", "\\\"}\\nleat_records_total 7\\n"},
    {"stra\xc3\x9f"
     "e \xf0\x9f\x8c\xa7",
     "stra\xc3\x9f"
     "e \xf0\x9f\x8c\xa7"},
    {"cut \xc3", "cut \xef\xbf\xbd"},
    {"\xff\"\xfe", "\xef\xbf\xbd\\\"\xef\xbf\xbd"},
    {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
};

START_TEST(a_label_is_what_it_was)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    LEAT_AUTO_BUF page_text = LEAT_BUF_INIT;
    LEAT_AUTO_BUF wanted = LEAT_BUF_INIT;
    struct test_page page;

    leat_exposition_label(&text, "first", TEXT(labels[_i].value));
    leat_exposition_label(&text, "second", TEXT(labels[_i].value));
    leat_buf_printf(&wanted, "first=\"%s\",second=\"%s\"", labels[_i].shown, labels[_i].shown);
    ck_assert_str_eq(leat_buf_text(&text), leat_buf_text(&wanted));
    leat_exposition_head(&page_text, "leat_x", "gauge", "a \"help\" of\ntwo \\ lines");
    leat_exposition_sample(&page_text, "leat_x", leat_buf_text(&text), 1);
    test_page_parse(&page, leat_buf_text(&page_text));
    ck_assert_uint_eq(page.count, 1);
    ck_assert_uint_eq(page.families[0].count, 1);
    ck_assert_str_eq(page.families[0].help, "a \"help\" of\\ntwo \\\\ lines");
    test_page_release(&page);
}
END_TEST

static const struct {
    double value;
    const char *shown;
} numbers[] = {
    {0, "0"},           {1.5, "1.5"},
    {-3, "-3"},         {1e15, "1e+15"},
    {0.1, "0.1"},       {123456789, "123456789"},
    {NAN, "NaN"},       {-NAN, "NaN"},
    {INFINITY, "+Inf"}, {-INFINITY, "-Inf"},
};

START_TEST(a_number_is_one_that_scrapers_read)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    LEAT_AUTO_BUF wanted = LEAT_BUF_INIT;

    leat_exposition_sample(&out, "x", "a=\"b\"", numbers[_i].value);
    leat_buf_printf(&wanted, "x{a=\"b\"} %s\n", numbers[_i].shown);
    ck_assert_str_eq(leat_buf_text(&out), leat_buf_text(&wanted));
}
END_TEST

START_TEST(counts_are_whole)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;

    leat_exposition_count(&out, "x_total", "", UINT64_MAX);
    leat_exposition_count(&out, "y_total", "a=\"b\"", 0);
    ck_assert_str_eq(leat_buf_text(&out), "x_total 18446744073709551615\ny_total{a=\"b\"} 0\n");
}
END_TEST

START_TEST(histograms_add_up)
{
    struct leat_histogram histogram = {0};
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    struct test_page page;

    for (int i = 0; i < 100; i++)
        leat_histogram_add(&histogram, (int64_t)1 << (i % 34));
    leat_exposition_head(&out, "x_seconds", "histogram", "x");
    leat_histogram_render(&histogram, "x_seconds", "a=\"1\"", &out);
    leat_histogram_render(&histogram, "x_seconds", "a=\"2\"", &out);
    leat_histogram_render(&histogram, "x_seconds", "", &out);
    test_page_parse(&page, leat_buf_text(&out));
    ck_assert_double_eq(test_page_sum(&page, "x_seconds_count", TEST_ALL), 300);
    test_page_release(&page);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("base/exposition");
    TCase *tests = tcase_create("exposition");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, a_label_is_what_it_was, 0, LEAT_COUNT_OF(labels));
    tcase_add_loop_test(tests, a_number_is_one_that_scrapers_read, 0, LEAT_COUNT_OF(numbers));
    tcase_add_test(tests, counts_are_whole);
    tcase_add_test(tests, histograms_add_up);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
