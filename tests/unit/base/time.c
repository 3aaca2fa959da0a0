/* Times: known ones, refusals, and thousands against the C library's timegm. */
#include "tests/unit/base/suite.h"

#include <time.h>

#include "base/units.h"

#define SECOND_US INT64_C(1000000)

static void
expect(const char *text, const char *format, const char *shown)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    int64_t us = -7;
    bool is_time = format != NULL ? leat_parse_time_as(TEXT(text), format, &us)
                                  : leat_parse_time(TEXT(text), &us);

    ck_assert_msg(is_time == (shown != NULL), "%s", text);
    if (!is_time) {
        ck_assert_int_eq(us, -7);
        return;
    }
    leat_format_time(&out, us);
    ck_assert_str_eq(leat_buf_text(&out), shown);
}

START_TEST(iso_and_relatives)
{
    expect("2022-01-01T00:01:00Z", NULL, "2022-01-01T00:01:00Z");
    expect("2022-01-01 00:01:00.25+02:00", NULL, "2021-12-31T22:01:00.250000Z");
    expect("2022-01-01", NULL, "2022-01-01T00:00:00Z");
    expect("2022-01-01 00:01", NULL, "2022-01-01T00:01:00Z");
    expect("2022-01-01T00:01:00,1234567-0530", NULL, "2022-01-01T05:31:00.123456Z");
    expect("2022-01-01t00:01:00 +02", NULL, "2021-12-31T22:01:00Z");
    expect("20220101T000100Z", NULL, "2022-01-01T00:01:00Z");
    expect("2016-12-31T23:59:60Z", NULL, "2017-01-01T00:00:00Z");
    expect("2000-02-29", NULL, "2000-02-29T00:00:00Z");
    expect("1969-12-31T23:59:59.5Z", NULL, "1969-12-31T23:59:59.500000Z");
    expect("0001-01-01", NULL, "0001-01-01T00:00:00Z");
    expect("9999-12-31T23:59:59.999999Z", NULL, "9999-12-31T23:59:59.999999Z");
}
END_TEST

START_TEST(no_times)
{
    static const char *const bad[] = {"",
                                      "2022",
                                      "2022-13-01",
                                      "2022-00-01",
                                      "2022-02-29",
                                      "1900-02-29",
                                      "2022-1-1",
                                      "0000-01-01",
                                      "2022-01-01T",
                                      "2022-01-01T24:00:00Z",
                                      "2022-01-01T00:60:00Z",
                                      "2022-01-01T00:00:61Z",
                                      "2022-01-01T00:00:00.Z",
                                      "2022-01-01T00:00:00+2",
                                      "2022-01-01T00:00:00Zx",
                                      "2022-01-01T00:00:00+24:00",
                                      "0001-01-01T00:00:00+01:00",
                                      "9999-12-31T23:59:60Z",
                                      "2022-01-01x",
                                      " 2022-01-01"};

    for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++)
        expect(bad[i], NULL, NULL);
}
END_TEST

START_TEST(by_format)
{
    expect("01/Jan/2022:00:01:00 +0200", "%d/%b/%Y:%T %z", "2021-12-31T22:01:00Z");
    expect("1640995260.25", "%s.%f", "2022-01-01T00:01:00.250000Z");
    expect("-1.5", "%s.%f", "1969-12-31T23:59:58.500000Z");
    expect("22 366", "%y %j", NULL);
    expect("2020-366", "%Y-%j", "2020-12-31T00:00:00Z");
    expect("September  7 99", "%b %e %y", "1999-09-07T00:00:00Z");
    expect("100% 20220101", "100%% %Y%m%d", "2022-01-01T00:00:00Z");
    expect("2022-01-01T00:01:00+02:00]", "%FT%T%z]", "2021-12-31T22:01:00Z");
    expect("2022-01-01", "%Y-%m-%q", NULL);
    expect("2022-01-01", "%Y-%m-%", NULL);
    expect("2022-01-01 ", "%F", NULL);
}
END_TEST

START_TEST(as_the_c_library)
{
    struct leat_random random = suite_random();

    for (int i = 0; i < CASES; i++) {
        LEAT_AUTO_BUF out = LEAT_BUF_INIT;
        int64_t us = (int64_t)leat_random_below(&random, UINT64_C(315537897600000000)) -
                     INT64_C(62135596800000000);
        int64_t back = 0;
        struct tm tm = {0};
        time_t seconds = us / SECOND_US - (us % SECOND_US < 0);
        char text[40];

        leat_format_time(&out, us);
        ck_assert(leat_parse_time(leat_buf_slice(&out), &back));
        ck_assert_int_eq(back, us);
        gmtime_r(&seconds, &tm);
        snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        ck_assert(strncmp(leat_buf_text(&out), text, 19) == 0);
        ck_assert_int_eq(leat_time_from_civil(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday),
                         (timegm(&tm) - tm.tm_hour * 3600 - tm.tm_min * 60 - tm.tm_sec) / 86400);
    }
}
END_TEST

SUITE_MAIN("time", iso_and_relatives, no_times, by_format, as_the_c_library)
