/*
 * The rollup as it is shipped: odd events one by one, and thousands of generated ones against a sequential recomputation in
 * whole thousandths.
 */
#include "base/decimal.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/units.h"
#include "support/processor.h"
#include "support/slow.h"

#include <inttypes.h>
#include <stdlib.h>

#include <check.h> /* last: it defines a macro `fail` */

static struct leat_error err;
static struct test_processor rollup;

static void
setup(void)
{
    ck_assert_msg(test_processor_open(&rollup, "rollup", NULL, &err) == 0, "%s", err.text);
}

static void
reopen(const char *const *pairs)
{
    test_processor_close(&rollup);
    ck_assert_msg(test_processor_open(&rollup, "rollup", pairs, &err) == 0, "%s", err.text);
}

static void
teardown(void)
{
    test_processor_close(&rollup);
}

/* The payload in memory of its own size, so that a read past its end is seen. */
static const char *
event(const char *text)
{
    struct leat_slice copy = leat_slice_copy(leat_slice_from(text));
    const char *reason = test_processor_event(&rollup, copy);

    free((void *)copy.data);
    return reason;
}

static void
accept_event(const char *text)
{
    const char *reason = event(text);

    ck_assert_msg(reason == NULL, "%s: %s", text, reason);
}

static const struct leat_value *
value(const char *column)
{
    const struct leat_column *columns = rollup.tables[0].columns;

    for (size_t i = 0; columns[i].name != NULL; i++) {
        if (strcmp(columns[i].name, column) == 0)
            return &rollup.rows[0].values[i];
    }
    ck_abort_msg("no column %s", column);
    return NULL;
}

static const char *
text(const char *column)
{
    static char copy[3000];

    snprintf(copy, sizeof copy, "%.*s", (int)value(column)->as.bytes.size,
             (const char *)value(column)->as.bytes.data);
    return copy;
}

static const char *
moment(const char *column)
{
    static char copy[40];
    LEAT_AUTO_BUF time = LEAT_BUF_INIT;

    leat_format_time(&time, value(column)->as.integer);
    snprintf(copy, sizeof copy, "%s", leat_buf_text(&time));
    return copy;
}

#define EVENT(value)                                                                               \
    "{\"device_id\": 1, \"time\": \"2022-01-01 00:01:00\", \"measurement\": \"temperature\", "     \
    "\"value\": " value "}"

START_TEST(test_an_event_becomes_a_row)
{
    static const char *const names[] = {"device_id", "measurement", "window_start", "count", "sum",
                                        "min",       "max",         "last_time",    "last"};

    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++)
        ck_assert_str_eq(rollup.tables[0].columns[i].name, names[i]);
    ck_assert_str_eq(rollup.tables[0].name, "rollup");
    accept_event(EVENT("76.1"));
    ck_assert_int_eq(value("device_id")->as.integer, 1);
    ck_assert_str_eq(text("measurement"), "temperature");
    ck_assert_str_eq(moment("window_start"), "2022-01-01T00:01:00Z");
    ck_assert_int_eq(value("count")->as.integer, 1);
    ck_assert_str_eq(text("sum"), "76.1");
    ck_assert_str_eq(text("last"), "76.1");
    ck_assert_str_eq(moment("last_time"), "2022-01-01T00:01:00Z");
}
END_TEST

/* The digits of the number as they are written: no double in between. */
static const char *const numbers[] = {
    "76.10",  "-0",      "-0.0",        "0e5",
    "1E-3",   "7.61E+1", "1e38",        "123456789012345678901234567890.123456789012345678901",
    "1e1000", "1e-1000", "5.0000000001"};

START_TEST(test_numbers_keep_their_digits)
{
    LEAT_AUTO_BUF json = LEAT_BUF_INIT;

    leat_buf_printf(&json,
                    "{\"value\":%s,\"device_id\":1,\"time\":\"2022-01-01\",\"measurement\":\"m\"}",
                    numbers[_i]);
    if (strcmp(numbers[_i], "1e1000") == 0) {
        ck_assert_str_eq(event(leat_buf_text(&json)), "field \"value\" is a number out of range");
        return;
    }
    accept_event(leat_buf_text(&json));
    ck_assert_str_eq(text("sum"), numbers[_i]);
    ck_assert_str_eq(text("min"), numbers[_i]);
    ck_assert_str_eq(text("max"), numbers[_i]);
    ck_assert_str_eq(text("last"), numbers[_i]);
}
END_TEST

static const struct {
    const char *json, *says;
} refusals[] = {
    {"", "not a JSON object: it is empty, at byte 0"},
    {"  \n", "not a JSON object: it is empty, at byte 3"},
    {"[]", "not a JSON object: it does not begin with a brace, at byte 0"},
    {"{", "not a JSON object: no member's name stands here, at byte 1"},
    {"{}", "no field \"device_id\""},
    {"{\"a\"", "not a JSON object: no colon stands here, at byte 4"},
    {"{\"a\":", "not a JSON object: it ends before its end, at byte 5"},
    {"{\"a\":1", "not a JSON object: neither a comma nor an end stands here, at byte 6"},
    {"{\"a\":1,}", "not a JSON object: no member's name stands here, at byte 7"},
    {"{\"a\":01}", "not a JSON object: neither a comma nor an end stands here, at byte 6"},
    {"{\"a\":1.}", "not a JSON object: a number has no digit behind its point, at byte 7"},
    {"{\"a\":.5}", "not a JSON object: no value stands here, at byte 5"},
    {"{\"a\":1e}", "not a JSON object: a number has no digit in its exponent, at byte 7"},
    {"{\"a\":+1}", "not a JSON object: no value stands here, at byte 5"},
    {"{\"a\":-}", "not a JSON object: no value stands here, at byte 6"},
    {"{\"a\":NaN}", "not a JSON object: no value stands here, at byte 5"},
    {"{\"a\":nul}", "not a JSON object: no value stands here, at byte 5"},
    {"{\"a\":tru", "not a JSON object: no value stands here, at byte 5"},
    {"{\"a\":\"x", "not a JSON object: it ends inside a text, at byte 7"},
    {"{\"a\":\"\\", "not a JSON object: it ends inside a text, at byte 7"},
    {"{\"a\":\"\\u12", "not a JSON object: it ends inside a text, at byte 7"},
    {"{\"a\":\"\\u12g4\"}", "not a JSON object: there is no such escape, at byte 7"},
    {"{\"a\":\"\\x\"}", "not a JSON object: there is no such escape, at byte 7"},
    {"{\"a\":\"\t\"}", "not a JSON object: a control character stands inside a text, at byte 7"},
    {"{\"a\":{\"b\":[1,2,{}]}} x",
     "not a JSON object: something stands behind its end, at byte 21"},
    {"{\"a\":{\"b\" 1}}", "not a JSON object: no colon stands here, at byte 10"},
    {"{\"a\":[1 2]}", "not a JSON object: neither a comma nor an end stands here, at byte 8"},
    {EVENT("null"), "field \"value\" is null"},
    {EVENT("[1]"), "field \"value\" is an object or an array"},
    {EVENT("true"), "field \"value\" is not a number"},
    {EVENT("\"secret\""), "field \"value\" is not a number"},
    {EVENT("\"\""), "field \"value\" is not a number"},
    {EVENT("\"1 \""), "field \"value\" is not a number"},
    {EVENT("1e99999999999999999999"), "field \"value\" is a number out of range"},
    {EVENT("1e-1001"), "field \"value\" is a number out of range"},
    {"{\"device_id\":1.5}", "field \"device_id\" is not a whole number"},
    {"{\"device_id\":9223372036854775808}", "field \"device_id\" is a number out of range"},
    {"{\"device_id\":1e30}", "field \"device_id\" is a number out of range"},
    {"{\"device_id\":\"x\"}", "field \"device_id\" is not a number"},
    {"{\"device_id\":1,\"measurement\":\"\\ud800\"}",
     "field \"measurement\" holds half a surrogate pair"},
    {"{\"device_id\":1,\"measurement\":\"\\udc00\\ud800\"}",
     "field \"measurement\" holds half a surrogate pair"},
    {"{\"device_id\":1,\"measurement\":\"\\ud800\\u0041\"}",
     "field \"measurement\" holds half a surrogate pair"},
    {"{\"device_id\":1,\"measurement\":\"a\\u0000\"}",
     "field \"measurement\" holds a zero character"},
    {"{\"device_id\":1,\"measurement\":\"\xff\"}", "field \"measurement\" is not UTF-8"},
    {"{\"device_id\":1,\"measurement\":\"m\",\"value\":1}", "no field \"time\""},
    {"{\"device_id\":1,\"measurement\":\"m\",\"value\":1,\"time\":\"yesterday\"}",
     "field \"time\" is not a time: ISO 8601 is wanted"},
    {"{\"device_id\":1,\"measurement\":\"m\",\"value\":1,\"time\":1640995260}",
     "field \"time\" is not a time: a number needs time_format epoch_s or epoch_ms"},
    {"{\"device_id\":1,\"measurement\":\"m\",\"value\":1,\"time\":\"2022-02-30\"}",
     "field \"time\" is not a time: ISO 8601 is wanted"},
};

START_TEST(test_what_is_wrong_is_said)
{
    const char *reason = event(refusals[_i].json);

    ck_assert_msg(reason != NULL, "%s was taken", refusals[_i].json);
    ck_assert_str_eq(reason, refusals[_i].says);
}
END_TEST

/* Every beginning of an event is refused by name, and none is read past its end. */
START_TEST(test_a_cut_event_is_refused)
{
    static const char whole[] = "{\"\\u0076alue\":-1.5e+2,\"x\":[true,false,null,{\"y\":\"\\n\"}],"
                                "\"device_id\":7,\"time\":\"2022-01-01T00:00:00Z\","
                                "\"measurement\":\"\\ud83d\\ude00\"}";

    for (size_t size = 0; size < sizeof whole - 1; size++) {
        struct leat_slice cut = leat_slice_copy(leat_slice_make(whole, size));

        ck_assert_ptr_nonnull(test_processor_event(&rollup, cut));
        free((void *)cut.data);
    }
    accept_event(whole);
    ck_assert_str_eq(text("sum"), "-1.5e+2");
    ck_assert_str_eq(text("measurement"), "\xf0\x9f\x98\x80");
}
END_TEST

START_TEST(test_nesting_has_an_end)
{
    LEAT_AUTO_BUF json = LEAT_BUF_INIT;

    leat_buf_add_text(&json, "{\"a\":");
    for (int i = 0; i < 100000; i++)
        leat_buf_add_byte(&json, '[');
    ck_assert_str_eq(event(leat_buf_text(&json)),
                     "not a JSON object: it is nested too deeply, at byte 69");
}
END_TEST

START_TEST(test_odd_spellings_are_taken)
{
    accept_event(" {\r\n\t\"device\\u005fid\" : \"7\" , \"device_id2\":8, \"t\\u0069me\":\n"
                 "\"2022\\u002d01-01T00:01:59.999999+01:00\", \"measurement\":\"a\\\"b\\\\\\/"
                 "\\u00e9\\t\",\"value\":\"-0.50\"} ");
    ck_assert_int_eq(value("device_id")->as.integer, 7);
    ck_assert_str_eq(text("measurement"), "a\"b\\/\xc3\xa9\t");
    ck_assert_str_eq(moment("window_start"), "2021-12-31T23:01:00Z");
    ck_assert_str_eq(moment("last_time"), "2021-12-31T23:01:59.999999Z");
    ck_assert_str_eq(text("last"), "-0.50");
}
END_TEST

START_TEST(test_the_last_of_two_members_counts)
{
    accept_event("{\"value\":1,\"device_id\":1,\"device_id\":700e-2,\"time\":\"2022-01-01\","
                 "\"measurement\":3,\"value\":2.0}");
    ck_assert_int_eq(value("device_id")->as.integer, 7);
    ck_assert_str_eq(text("measurement"), "3");
    ck_assert_str_eq(text("sum"), "2.0");
}
END_TEST

START_TEST(test_windows_floor_downwards)
{
    reopen((const char *const[]){"window", "1h30m", "measurement", "", "keys", "", NULL});
    accept_event("{\"time\":\"1969-12-31T23:59:59.999999Z\",\"value\":1}");
    ck_assert_str_eq(moment("window_start"), "1969-12-31T22:30:00Z");
    accept_event("{\"time\":\"1969-12-31T22:30:00Z\",\"value\":1}");
    ck_assert_str_eq(moment("window_start"), "1969-12-31T22:30:00Z");
    accept_event("{\"time\":\"1969-12-31T22:29:59Z\",\"value\":1}");
    ck_assert_str_eq(moment("window_start"), "1969-12-31T21:00:00Z");
    accept_event("{\"time\":\"1970-01-01\",\"value\":1}");
    ck_assert_str_eq(moment("window_start"), "1970-01-01T00:00:00Z");
    accept_event("{\"time\":\"9999-12-31T23:59:59Z\",\"value\":1}");
    ck_assert_uint_eq(rollup.rows[0].count, 7);
    reopen((const char *const[]){"window", "366d", "measurement", "", "keys", "", NULL});
    ck_assert_str_eq(event("{\"time\":\"0001-01-01\",\"value\":1}"),
                     "its window begins before the year 1");
}
END_TEST

START_TEST(test_epochs)
{
    reopen((const char *const[]){"time_format", "epoch_s", "measurement", "", "keys", "", NULL});
    accept_event("{\"time\":1640995261.0000019,\"value\":1}");
    ck_assert_str_eq(moment("last_time"), "2022-01-01T00:01:01.000001Z");
    ck_assert_str_eq(moment("window_start"), "2022-01-01T00:01:00Z");
    accept_event("{\"time\":-0.0000001,\"value\":1}");
    ck_assert_int_eq(value("last_time")->as.integer, -1);
    accept_event("{\"time\":\"1.64099526e9\",\"value\":1}");
    ck_assert_str_eq(moment("last_time"), "2022-01-01T00:01:00Z");
    ck_assert_str_eq(event("{\"time\":1e12,\"value\":1}"),
                     "field \"time\" is not a time: out of range");
    ck_assert_str_eq(event("{\"time\":1e37,\"value\":1}"),
                     "field \"time\" is not a time: out of range");
    ck_assert_str_eq(event("{\"time\":\"2022\\u002d01-01\",\"value\":1}"),
                     "field \"time\" is not a number");
    reopen((const char *const[]){"time_format", "epoch_ms", "measurement", "", "keys", "", NULL});
    accept_event("{\"time\":1640995261001.5,\"value\":1}");
    ck_assert_str_eq(moment("last_time"), "2022-01-01T00:01:01.001500Z");
}
END_TEST

START_TEST(test_a_format_and_keys_of_all_types)
{
    reopen((const char *const[]){"time_format", "%d/%m/%Y %H:%M", "time", "at", "value", "v",
                                 "measurement", "what", "table", "all", "keys",
                                 "name,n:int64,d:decimal,at:timestamp,b:bool,a:b:text", NULL});
    ck_assert_str_eq(rollup.tables[0].name, "all");
    ck_assert_str_eq(rollup.tables[0].columns[5].name, "a:b");
    ck_assert_int_eq(rollup.tables[0].columns[2].type, LEAT_DECIMAL);
    accept_event("{\"name\":false,\"n\":-5,\"d\":1.50,\"at\":\"02/01/2022 03:04\",\"b\":true,"
                 "\"a:b\":1.0,\"what\":\"w\",\"v\":3}");
    ck_assert_str_eq(text("name"), "false");
    ck_assert_int_eq(value("n")->as.integer, -5);
    ck_assert_str_eq(text("d"), "1.50");
    ck_assert_str_eq(moment("at"), "2022-01-02T03:04:00Z");
    ck_assert_int_eq(value("b")->as.integer, 1);
    ck_assert_str_eq(text("a:b"), "1.0");
    ck_assert_str_eq(text("what"), "w");
    ck_assert_str_eq(
        event("{\"name\":1,\"n\":-5,\"d\":1.50,\"at\":\"2022-01-02\",\"b\":true,\"a:b\":1}"),
        "field \"at\" is not a time: \"%d/%m/%Y %H:%M\" is wanted");
    ck_assert_str_eq(
        event("{\"name\":1,\"n\":-5,\"d\":1,\"at\":\"02/01/2022 03:04\",\"b\":1,\"a:b\":1}"),
        "field \"b\" is neither true nor false");
}
END_TEST

/* What an index cannot hold would stop the whole processor. */
START_TEST(test_a_key_has_an_end)
{
    LEAT_AUTO_BUF json = LEAT_BUF_INIT;

    for (int bytes = 1990; bytes <= 1994; bytes += 2) {
        leat_buf_clear(&json);
        leat_buf_printf(&json, "{\"time\":\"2022-01-01\",\"value\":1,\"device_id\":1,");
        leat_buf_printf(&json, "\"measurement\":\"%0*d\"}", bytes, 7);
        if (bytes <= 1992)
            accept_event(leat_buf_text(&json));
        else
            ck_assert_str_eq(event(leat_buf_text(&json)),
                             "a key of 2002 bytes: at most 2000 are possible");
    }
    leat_buf_clear(&json);
    leat_buf_add_text(&json, "{\"device_id\":1,\"measurement\":\"\\n");
    for (int i = 0; i < 5000; i++)
        leat_buf_add_byte(&json, 'x');
    leat_buf_add_text(&json, "\"}");
    ck_assert_str_eq(event(leat_buf_text(&json)), "field \"measurement\" is too long");
}
END_TEST

static const struct {
    const char *pairs[3];
    const char *says;
} bad_options[] = {
    {{"window", "0"}, "out of range"},
    {{"window", "-1m"}, "window"},
    {{"keys", "device_id:int46"}, "did you mean \"int64\"?"},
    {{"keys", "a,a"}, "\"a\" is a key already"},
    {{"keys", "measurement"}, "\"measurement\" is a key already"},
    {{"keys", "count"}, "a column \"count\" of its own"},
    {{"keys", ":text"}, "1 to 63 bytes"},
    {{"keys", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"}, "at most 16"},
    {{"time", ""}, "option \"time\": a name has 1 to 255 bytes"},
    {{"value", ""}, "option \"value\""},
    {{"table", ""}, "option \"table\""},
    {{"time_format", "rfc3339"}, "neither iso8601"},
    {{"time_format", "%Q"}, "there is no %Q"},
    {{"time_format", "%Y%"}, "there is no % "},
    {{"windows", "1m"}, "did you mean \"window\"?"},
};

START_TEST(test_bad_options_are_named)
{
    struct test_processor other;

    ck_assert_int_ne(test_processor_open(&other, "rollup", bad_options[_i].pairs, &err), 0);
    ck_assert_msg(strstr(err.text, bad_options[_i].says) != NULL, "\"%s\" does not say \"%s\"",
                  err.text, bad_options[_i].says);
}
END_TEST

/* ---- against a sequential recomputation -------------------------------------------------------- */

#define EVENTS 20000

struct sum {
    int64_t count, minimum, maximum, last_time, last;
    int64_t total; /* thousandths, as are minimum, maximum and last */
};

struct generated {
    int64_t device, us, thousandths;
    const char *measurement; /* as text */
};

/* The same number in one of its spellings. */
static void
spell_number(struct leat_random *random, struct leat_buf *out, int64_t thousandths)
{
    const char *sign = thousandths < 0 ? "-" : "";
    uint64_t size = thousandths < 0 ? -(uint64_t)thousandths : (uint64_t)thousandths;

    switch (leat_random_below(random, 5)) {
    case 0:
        leat_buf_printf(out, "%s%" PRIu64 "e-3", sign, size);
        break;
    case 1:
        leat_buf_printf(out, "%s%" PRIu64 ".%03" PRIu64 "000", sign, size / 1000, size % 1000);
        break;
    case 2:
        leat_buf_printf(out, "%s%" PRIu64 ".%05" PRIu64 "E2", sign, size / 100000, size % 100000);
        break;
    case 3:
        leat_buf_printf(out, "\"%s%" PRIu64 ".%03" PRIu64 "\"", sign, size / 1000, size % 1000);
        break;
    default:
        leat_buf_printf(out, "%s%" PRIu64 ".%03" PRIu64, sign, size / 1000, size % 1000);
    }
}

static void
spell_time(struct leat_random *random, struct leat_buf *out, int64_t us)
{
    int64_t zone = leat_random_below(random, 2) == 0
                       ? 0
                       : (int64_t)leat_random_below(random, 1439) - 719; /* minutes */
    LEAT_AUTO_BUF local = LEAT_BUF_INIT;

    leat_format_time(&local, us + zone * 60000000);
    local.size--; /* its Z */
    if (leat_random_below(random, 2) == 0)
        local.data[10] = ' ';
    leat_buf_printf(out, "\"%s", leat_buf_text(&local));
    if (zone != 0)
        leat_buf_printf(out, "%c%02d:%02d", zone < 0 ? '-' : '+', (int)(llabs(zone) / 60),
                        (int)(llabs(zone) % 60));
    leat_buf_add_byte(out, '"');
}

static void
spell_text(struct leat_random *random, struct leat_buf *out, const char *text)
{
    leat_buf_add_byte(out, '"');
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x80 && leat_random_below(random, 4) == 0)
            leat_buf_printf(out, leat_random_below(random, 2) == 0 ? "\\u%04x" : "\\u%04X", *text);
        else
            leat_buf_add_byte(out, (unsigned char)*text);
    }
    leat_buf_add_byte(out, '"');
}

static void
spell_event(struct leat_random *random, struct leat_buf *out, const struct generated *generated)
{
    static const char *const names[] = {"device_id", "time", "measurement", "value", "other"};
    unsigned first = (unsigned)leat_random_below(random, 5);

    leat_buf_add_byte(out, '{');
    for (unsigned i = 0; i < 5; i++) {
        unsigned member = (first + i) % 5;

        leat_buf_add_text(out, i > 0 ? " , " : leat_random_below(random, 2) == 0 ? "\n" : "");
        spell_text(random, out, names[member]);
        leat_buf_add_byte(out, ':');
        switch (member) {
        case 0:
            leat_buf_printf(out, "%" PRId64, generated->device);
            break;
        case 1:
            spell_time(random, out, generated->us);
            break;
        case 2:
            spell_text(random, out, generated->measurement);
            break;
        case 3:
            spell_number(random, out, generated->thousandths);
            break;
        default:
            leat_buf_add_text(out, "[{\"value\":1,\"time\":[]},\"}\",-1e5]");
        }
    }
    leat_buf_add_byte(out, '}');
}

static void
add_expected(struct leat_map *map, const struct generated *generated)
{
    int64_t into = generated->us % 60000000;
    int64_t start = generated->us - into - (into < 0 ? 60000000 : 0);
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    struct sum *sum;

    leat_buf_printf(&key, "%" PRId64 "/%s/%" PRId64, generated->device, generated->measurement,
                    start);
    sum = leat_map_get(map, leat_buf_slice(&key));
    if (sum == NULL) {
        sum = LEAT_NEW(struct sum);
        *sum = (struct sum){
            .minimum = INT64_MAX, .maximum = INT64_MIN, .last_time = INT64_MIN, .last = INT64_MIN};
        leat_map_put(map, leat_buf_slice(&key), sum);
    }
    sum->count++;
    sum->total += generated->thousandths;
    sum->minimum = generated->thousandths < sum->minimum ? generated->thousandths : sum->minimum;
    sum->maximum = generated->thousandths > sum->maximum ? generated->thousandths : sum->maximum;
    if (generated->us > sum->last_time ||
        (generated->us == sum->last_time && generated->thousandths > sum->last)) {
        sum->last_time = generated->us;
        sum->last = generated->thousandths;
    }
}

static void
check_decimal(const struct leat_value *given, int64_t thousandths)
{
    struct leat_decimal wanted = {.digits = thousandths, .scale = 3}, got;

    ck_assert_int_eq(leat_decimal_parse(leat_value_slice(given), &got), LEAT_DECIMAL_OK);
    ck_assert_int_eq(leat_decimal_compare(wanted, got), 0);
}

static void
check_rows(const struct leat_flush_rows *rows, struct leat_map *map)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct leat_value *row = rows->values + i * rows->width;
        LEAT_AUTO_BUF key = LEAT_BUF_INIT;
        struct sum *sum;

        leat_buf_printf(&key, "%" PRId64 "/%.*s/%" PRId64, row[0].as.integer,
                        (int)row[1].as.bytes.size, (const char *)row[1].as.bytes.data,
                        row[2].as.integer);
        sum = leat_map_remove(map, leat_buf_slice(&key));
        ck_assert_msg(sum != NULL, "nobody sent %s", leat_buf_text(&key));
        ck_assert_int_eq(row[3].as.integer, sum->count);
        check_decimal(&row[4], sum->total);
        check_decimal(&row[5], sum->minimum);
        check_decimal(&row[6], sum->maximum);
        ck_assert_int_eq(row[7].as.integer, sum->last_time);
        check_decimal(&row[8], sum->last);
        free(sum);
    }
}

START_TEST(test_the_sum_of_all_is_exact)
{
    static const char *const measurements[] = {"temperature", "humidit\xc3\xa9", "",
                                               "a\"b\\c/\x01"};
    struct leat_random random;
    struct leat_map map;
    struct leat_arena arena;
    struct leat_flush_rows *groups;
    const char *seed = getenv("LEAT_SEED");
    size_t group_count, sums;

    leat_random_seed(&random, seed != NULL ? strtoull(seed, NULL, 10) : 1);
    leat_map_init(&map);
    leat_arena_init(&arena);
    for (size_t i = 0; i < test_rounds(EVENTS); i++) {
        LEAT_AUTO_BUF json = LEAT_BUF_INIT;
        LEAT_AUTO_BUF plain = LEAT_BUF_INIT;
        struct generated generated = {
            .device = (int64_t)leat_random_below(&random, 7) - 3,
            .us = ((int64_t)leat_random_below(&random, 20 * 60) - 10 * 60) * 1000000,
            .thousandths = (int64_t)leat_random_below(&random, 2000000) - 1000000,
            .measurement = measurements[leat_random_below(&random, 4)],
        };

        if (leat_random_below(&random, 3) == 0)
            generated.us += (int64_t)leat_random_below(&random, 1000000);
        if (strchr(generated.measurement, '\\') != NULL) {
            /* What has to be escaped, always is. */
            leat_json_escape(&plain, leat_slice_from(generated.measurement));
            leat_buf_printf(&json, "{\"measurement\":\"%s\",\"device_id\":%" PRId64 ",\"time\":",
                            leat_buf_text(&plain), generated.device);
            spell_time(&random, &json, generated.us);
            leat_buf_add_text(&json, ",\"value\":");
            spell_number(&random, &json, generated.thousandths);
            leat_buf_add_byte(&json, '}');
        } else {
            spell_event(&random, &json, &generated);
        }
        accept_event(leat_buf_text(&json));
        add_expected(&map, &generated);
    }
    sums = map.count;
    groups = leat_merge_groups(&rollup.merge, 1, &arena, &group_count);
    ck_assert_uint_eq(group_count, 1);
    ck_assert_uint_eq(groups[0].count, sums);
    ck_assert_uint_gt(sums, 300);
    check_rows(&groups[0], &map);
    ck_assert_uint_eq(map.count, 0);
    leat_map_release(&map, free);
    leat_arena_release(&arena);
}
END_TEST

/* Bytes changed at random: whatever comes out, it is a row or a reason. */
START_TEST(test_noise_is_refused_or_taken)
{
    static const char whole[] = EVENT("-76.1e+0");
    struct leat_random random;
    int refused = 0, rounds = (int)test_rounds(20000);

    leat_random_seed(&random, 7);
    for (int i = 0; i < rounds; i++) {
        unsigned char *copy = (unsigned char *)leat_slice_strdup(leat_slice_from(whole));

        for (int changes = 0; changes < 3; changes++)
            copy[leat_random_below(&random, sizeof whole - 1)] =
                (unsigned char)leat_random_below(&random, 256);
        refused += test_processor_event(
                       &rollup, leat_slice_make(copy, sizeof whole - 1 -
                                                          leat_random_below(&random, 3) / 2)) !=
                   NULL;
        free(copy);
    }
    ck_assert_int_gt(refused, rounds / 2);
    ck_assert_int_lt(refused, rounds);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rollup");
    TCase *tests = tcase_create("rollup");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_an_event_becomes_a_row);
    tcase_add_loop_test(tests, test_numbers_keep_their_digits, 0, (int)LEAT_COUNT_OF(numbers));
    tcase_add_loop_test(tests, test_what_is_wrong_is_said, 0, (int)LEAT_COUNT_OF(refusals));
    tcase_add_test(tests, test_a_cut_event_is_refused);
    tcase_add_test(tests, test_nesting_has_an_end);
    tcase_add_test(tests, test_odd_spellings_are_taken);
    tcase_add_test(tests, test_the_last_of_two_members_counts);
    tcase_add_test(tests, test_windows_floor_downwards);
    tcase_add_test(tests, test_epochs);
    tcase_add_test(tests, test_a_format_and_keys_of_all_types);
    tcase_add_test(tests, test_a_key_has_an_end);
    tcase_add_loop_test(tests, test_bad_options_are_named, 0, (int)LEAT_COUNT_OF(bad_options));
    tcase_add_test(tests, test_the_sum_of_all_is_exact);
    tcase_add_test(tests, test_noise_is_refused_or_taken);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
