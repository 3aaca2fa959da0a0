/* Scalars by type: what is taken, what is not, and that what is written reads back as the same. */
#include "suite.h"

#include "config/value.h"

struct values {
    int64_t numbers[2];
    double real;
    struct leat_start start;
    const char *text;
    int choice;
    bool flag;
};

static const char *const words[] = {"fast", "safe", NULL};
static const char *const later[] = {"wild", NULL};

#define AT(field) .at = offsetof(struct values, field)
static const struct leat_property duration = {
    .type = LEAT_PROPERTY_DURATION, AT(numbers), .minimum = 1000, .maximum = 3600000000};
static const struct leat_property automatic = {.type = LEAT_PROPERTY_INTEGER,
                                               .flags = LEAT_PROPERTY_AUTO,
                                               AT(numbers),
                                               .minimum = 1,
                                               .maximum = 9};
static const struct leat_property size = {
    .type = LEAT_PROPERTY_SIZE, AT(numbers), .minimum = 1024, .maximum = INT64_MAX};
static const struct leat_property percent = {
    .type = LEAT_PROPERTY_PERCENT, AT(numbers), .minimum = 0, .maximum = 100};
static const struct leat_property real = {
    .type = LEAT_PROPERTY_REAL, AT(real), .minimum = 0, .maximum = 10};
static const struct leat_property rate = {
    .type = LEAT_PROPERTY_RATE, AT(real), .minimum = 0, .maximum = 10};
static const struct leat_property byte_rate = {.type = LEAT_PROPERTY_BYTE_RATE, AT(real)};
static const struct leat_property span = {.type = LEAT_PROPERTY_SPAN,
                                          AT(numbers[0]),
                                          .second_at = offsetof(struct values, numbers[1]),
                                          .minimum = 1,
                                          .maximum = 60000000};
static const struct leat_property start = {.type = LEAT_PROPERTY_START, AT(start)};
static const struct leat_property text = {.type = LEAT_PROPERTY_TEXT, AT(text), .maximum = 5};
static const struct leat_property choice = {
    .type = LEAT_PROPERTY_CHOICE, AT(choice), .choices = words, .later = later};
static const struct leat_property word = {.type = LEAT_PROPERTY_WORD, AT(text), .choices = words};
static const struct leat_property boolean = {.type = LEAT_PROPERTY_BOOLEAN, AT(flag)};

static struct leat_arena arena;
static struct values values;
static struct leat_error err;

static int
parse(const struct leat_property *property, const char *given)
{
    leat_arena_reset(&arena);
    return leat_value_parse(property, leat_slice_from(given), &arena, &values, &err);
}

static const struct {
    const struct leat_property *property;
    const char *given, *shown; /* NULL: as given */
} good[] = {
    {&duration, "200ms", NULL},
    {&duration, "1h", NULL},
    {&duration, "60s", "1m"},
    {&duration, "1m30s", "1.5m"},
    {&automatic, "auto", NULL},
    {&automatic, "9", NULL},
    {&automatic, "+1", "1"},
    {&size, "1KiB", NULL},
    {&size, "100GiB", NULL},
    {&percent, "50%", NULL},
    {&percent, "0", "0%"},
    {&real, "0.5", NULL},
    {&real, "10", NULL},
    {&real, "0.00001", "0.000010"},
    {&real, "0.1234567891", NULL},
    {&rate, "5/s", NULL},
    {&rate, "2.5/s", NULL},
    {&rate, "0", "0/s"},
    {&byte_rate, "2MiB/s", NULL},
    {&byte_rate, "0", "0B/s"},
    {&span, "100ms..30s", NULL},
    {&span, "1s..1s", NULL},
    {&start, "trim_horizon", NULL},
    {&start, "LATEST", "latest"},
    {&start, "2026-01-31", "2026-01-31T00:00:00Z"},
    {&start, "2026-01-31 12:00:00.25+02:00", "2026-01-31T10:00:00.250000Z"},
    {&text, "no", NULL},
    {&text, "0777", NULL},
    {&text, "12345", NULL},
    {&choice, "safe", NULL},
    {&word, "fast", NULL},
    {&boolean, "true", NULL},
    {&boolean, "No", "false"},
    {&boolean, "on", "true"},
};

START_TEST(test_what_is_taken)
{
    const char *shown = good[_i].shown != NULL ? good[_i].shown : good[_i].given;
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    LEAT_AUTO_BUF again = LEAT_BUF_INIT;

    ck_assert_msg(parse(good[_i].property, good[_i].given) == 0, "%s: %s", good[_i].given,
                  err.text);
    ck_assert(leat_value_format(good[_i].property, &values, &out));
    ck_assert_str_eq(leat_buf_text(&out), shown);
    ck_assert_msg(parse(good[_i].property, shown) == 0, "%s: %s", shown, err.text);
    ck_assert(leat_value_format(good[_i].property, &values, &again));
    ck_assert_str_eq(leat_buf_text(&again), shown);
}
END_TEST

static const struct {
    const struct leat_property *property;
    const char *given, *says;
} bad[] = {
    {&duration, "200", "is no duration"},
    {&duration, "", "is no duration"},
    {&duration, "2h", "\"2h\" is out of range: 1ms to 1h"},
    {&duration, "0", "\"0\" is out of range: 1ms to 1h"},
    {&duration, "auto", "is no duration"},
    {&automatic, "0", "\"0\" is out of range: 1 to 9"},
    {&automatic, "-1", "\"-1\" is out of range: 1 to 9"},
    {&automatic, "0x1", "is no whole number"},
    {&automatic, "1.0", "is no whole number"},
    {&automatic, "Auto", "is no whole number"},
    {&size, "1B", "\"1B\" is out of range: at least 1KiB"},
    {&size, "1024", "is no size"},
    {&percent, "50", "\"50\" is no percentage: write it like 50%"},
    {&percent, "%", "is no percentage"},
    {&percent, "101%", "\"101%\" is out of range: 0% to 100%"},
    {&percent, "-1%", "is out of range"},
    {&real, "inf", "is no number"},
    {&real, "nan", "is no number"},
    {&real, "0x1p3", "is no number"},
    {&real, "1e1", "is no number"},
    {&real, "1.2.3", "is no number"},
    {&real, "", "is no number"},
    {&real, "11", "\"11\" is out of range: 0 to 10"},
    {&rate, "5", "\"5\" is no rate: write it like 5/s"},
    {&rate, "/s", "is no rate"},
    {&rate, "5/m", "is no rate"},
    {&rate, "11/s", "\"11/s\" is out of range: 0/s to 10/s"},
    {&byte_rate, "5/s", "is no rate: write it like 2MiB/s"},
    {&byte_rate, "5MiB", "is no rate: write it like 2MiB/s"},
    {&span, "1s", "is no pair: write it like 100ms..30s"},
    {&span, "1s..", "is no duration"},
    {&span, "..1s", "is no duration"},
    {&span, "2s..1s", "\"2s..1s\" ends before it begins"},
    {&span, "1s..2m", "\"1s..2m\" is out of range: 1us to 1m"},
    {&start, "", "is no start"},
    {&start, "trim", "is no start"},
    {&start, "2026-02-30", "is no start"},
    {&text, "123456", "its 6 bytes are out of range: at most 5 bytes"},
    {&choice, "saef", "there is no choice \"saef\", did you mean \"safe\"?"},
    {&choice, "xxxxxxxx", "there is no choice \"xxxxxxxx\": it is one of fast, safe"},
    {&choice, "wild", "\"wild\" is not there yet: this leat knows fast, safe"},
    {&boolean, "1", "is neither true nor false"},
};

START_TEST(test_what_is_not_taken_changes_nothing)
{
    struct values before;

    memset(&values, 0x5a, sizeof values);
    before = values;
    ck_assert_int_eq(parse(bad[_i].property, bad[_i].given), LEAT_E_INVALID);
    ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "\"%s\" does not say \"%s\"", err.text,
                  bad[_i].says);
    ck_assert_mem_eq(&values, &before, sizeof values);
}
END_TEST

START_TEST(test_not_set)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;

    ck_assert_int_eq(parse(&text, ""), 0);
    ck_assert_ptr_null(values.text);
    ck_assert(!leat_value_format(&text, &values, &out));
    values.start.kind = LEAT_START_UNSET;
    ck_assert(!leat_value_format(&start, &values, &out));
    ck_assert_uint_eq(out.size, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("config/value");
    TCase *tests = tcase_create("value");
    SRunner *runner;
    int failed;

    leat_arena_init(&arena);
    tcase_add_loop_test(tests, test_what_is_taken, 0, (int)LEAT_COUNT_OF(good));
    tcase_add_loop_test(tests, test_what_is_not_taken_changes_nothing, 0, (int)LEAT_COUNT_OF(bad));
    tcase_add_test(tests, test_not_set);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    leat_arena_release(&arena);
    return failed > 0;
}
