/* Real envelopes against schemas/envelope.schema.json, and the reasons against schema and page: they cannot drift. */
#include <json-c/json.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/memory.h"
#include "failure/letters.h"

#include <check.h>

static struct json_object *schema;

/* ---- the checker: what the schema uses, and nothing passes that it does not know ------------------------ */

static bool is_valid(struct json_object *rule, struct json_object *value, struct leat_buf *why);

static bool
refuse(struct leat_buf *why, const char *what, const char *name)
{
    leat_buf_printf(why, "%s %s; ", what, name);
    return false;
}

static bool
is_of_type(const char *type, struct json_object *value)
{
    static const struct {
        const char *name;
        enum json_type type;
    } types[] = {{"object", json_type_object},
                 {"string", json_type_string},
                 {"integer", json_type_int},
                 {"boolean", json_type_boolean}};

    for (size_t i = 0; i < LEAT_COUNT_OF(types); i++) {
        if (strcmp(types[i].name, type) == 0)
            return json_object_is_type(value, types[i].type);
    }
    ck_abort_msg("the checker knows no type %s", type);
}

static bool
is_in(struct json_object *list, struct json_object *value)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        if (json_object_equal(json_object_array_get_idx(list, i), value))
            return true;
    }
    return false;
}

static bool
matches(const char *pattern, struct json_object *value)
{
    regex_t regex;
    bool is_match;

    ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    is_match = regexec(&regex, json_object_get_string(value), 0, NULL, 0) == 0;
    regfree(&regex);
    return is_match;
}

static bool
has_required(struct json_object *list, struct json_object *value, struct leat_buf *why)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(list, i));

        if (!json_object_object_get_ex(value, name, NULL))
            return refuse(why, "lacks", name);
    }
    return true;
}

/* additionalProperties is false wherever there are properties. */
static bool
are_members_valid(struct json_object *members, struct json_object *value, struct leat_buf *why)
{
    json_object_object_foreach(value, name, member)
    {
        struct json_object *rule = leat_json_get(members, name);

        if (rule == NULL)
            return refuse(why, "has an unknown", name);
        if (!is_valid(rule, member, why))
            return refuse(why, "wrong is", name);
    }
    return true;
}

static size_t
count_valid(struct json_object *rules, struct json_object *value, struct leat_buf *why)
{
    size_t count = 0;

    for (size_t i = 0; i < json_object_array_length(rules); i++)
        count += is_valid(json_object_array_get_idx(rules, i), value, why);
    return count;
}

static bool
obeys(const char *word, struct json_object *rule, struct json_object *value, struct leat_buf *why)
{
    LEAT_AUTO_BUF ignored = LEAT_BUF_INIT;

    if (strcmp(word, "type") == 0)
        return is_of_type(json_object_get_string(rule), value);
    if (strcmp(word, "enum") == 0)
        return is_in(rule, value);
    if (strcmp(word, "pattern") == 0)
        return matches(json_object_get_string(rule), value);
    if (strcmp(word, "required") == 0)
        return has_required(rule, value, why);
    if (strcmp(word, "properties") == 0)
        return are_members_valid(rule, value, why);
    if (strcmp(word, "oneOf") == 0)
        return count_valid(rule, value, &ignored) == 1;
    if (strcmp(word, "allOf") == 0)
        return count_valid(rule, value, why) == json_object_array_length(rule);
    if (strcmp(word, "additionalProperties") == 0)
        return !json_object_get_boolean(rule);
    if (strcmp(word, "$schema") == 0 || strcmp(word, "title") == 0 ||
        strcmp(word, "description") == 0)
        return true;
    ck_abort_msg("the checker does not know \"%s\"", word);
}

static bool
is_valid(struct json_object *rule, struct json_object *value, struct leat_buf *why)
{
    json_object_object_foreach(rule, word, inner)
    {
        if (!obeys(word, inner, value, why))
            return refuse(why, "does not obey", word);
    }
    return true;
}

/* ---- letters ------------------------------------------------------------------------------------------ */

static struct leat_letter
good_letter(void)
{
    return (struct leat_letter){
        .application = leat_slice_from("weather"),
        .processor = leat_slice_from("rollup"),
        .tenant = leat_slice_from(""),
        .stream = leat_slice_from("events"),
        .stream_id = leat_slice_from("arn:aws:kinesis:eu-west-1:1:stream/events@1700000000"),
        .shard = leat_slice_from("shardId-000000000000"),
        .sequence = leat_slice_from("49590338271490256608559692538361571095921575989136588898"),
        .partition_key = leat_slice_from("device-7"),
        .explicit_hash_key = leat_slice_from(""),
        .arrival_us = 1700000000123456,
        .data = leat_slice_from("{\"temperature\":\"warm\"}"),
        .reason = leat_slice_from("failed"),
        .text = leat_slice_from("not a number"),
        .sqlstate = leat_slice_from(""),
        .attempts = 1,
    };
}

static struct json_object *
envelope_of(const struct leat_letter *letter, const char *archive_url)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct json_object *envelope;
    struct leat_error err;

    leat_letter_envelope(letter, leat_slice_from(archive_url), 1700000001000000, &text);
    ck_assert_msg(leat_json_parse(leat_buf_slice(&text), &envelope, &err) == 0, "%s: %s", err.text,
                  leat_buf_text(&text));
    return envelope;
}

/* Returns the envelope, which is as the schema says. */
static struct json_object *
checked(const struct leat_letter *letter, const char *archive_url)
{
    struct json_object *envelope = envelope_of(letter, archive_url);
    LEAT_AUTO_BUF why = LEAT_BUF_INIT;

    ck_assert_msg(is_valid(schema, envelope, &why), "%s in %s", leat_buf_text(&why),
                  json_object_to_json_string(envelope));
    return envelope;
}

static bool
has(struct json_object *envelope, const char *name)
{
    return json_object_object_get_ex(envelope, name, NULL);
}

START_TEST(test_a_text)
{
    struct leat_letter letter = good_letter();
    struct json_object *envelope = checked(&letter, NULL);

    ck_assert_str_eq(json_object_get_string(leat_json_get(envelope, "data")),
                     "{\"temperature\":\"warm\"}");
    ck_assert_str_eq(json_object_get_string(leat_json_get(envelope, "arrival_time")),
                     "2023-11-14T22:13:20.123456Z");
    ck_assert(!has(envelope, "is_row") && !has(envelope, "tenant") && !has(envelope, "sqlstate"));
    json_object_put(envelope);
}
END_TEST

START_TEST(test_bytes)
{
    struct leat_letter letter = good_letter();
    struct json_object *envelope;

    letter.data = leat_slice_make("\xff\xfe", 2);
    letter.partition_key = leat_slice_make("a\0b", 3);
    letter.arrival_us = 0;
    envelope = checked(&letter, NULL);
    ck_assert_str_eq(json_object_get_string(leat_json_get(envelope, "data_base64")), "//4=");
    ck_assert_str_eq(json_object_get_string(leat_json_get(envelope, "partition_key_base64")),
                     "YQBi");
    ck_assert(!has(envelope, "arrival_time") && !has(envelope, "data"));
    json_object_put(envelope);
}
END_TEST

START_TEST(test_everything_that_is_optional)
{
    struct leat_letter letter = good_letter();

    letter.tenant = leat_slice_from("acme");
    letter.explicit_hash_key = leat_slice_from("170141183460469231731687303715884105728");
    letter.sqlstate = leat_slice_from("23514");
    letter.reason = leat_slice_from("rejected");
    json_object_put(checked(&letter, NULL));
}
END_TEST

START_TEST(test_a_row)
{
    struct leat_letter letter = good_letter();
    struct json_object *envelope;

    letter.is_row = true;
    letter.reason = leat_slice_from("rejected_row");
    letter.sequence = leat_slice_from("TRIM_HORIZON");
    letter.sub_sequence = -1;
    letter.partition_key = leat_slice_from("");
    letter.arrival_us = 0;
    envelope = checked(&letter, NULL);
    ck_assert(json_object_get_boolean(leat_json_get(envelope, "is_row")));
    json_object_put(envelope);
}
END_TEST

START_TEST(test_by_reference)
{
    struct leat_letter letter = good_letter();
    struct json_object *envelope = checked(&letter, "s3://bucket/weather/events/x.json");

    ck_assert(!has(envelope, "data") && !has(envelope, "data_base64"));
    ck_assert_int_eq(json_object_get_int64(leat_json_get(envelope, "data_bytes")),
                     (int64_t)letter.data.size);
    json_object_put(envelope);
}
END_TEST

START_TEST(test_every_reason_is_in_the_schema)
{
    struct json_object *rule = leat_json_get(leat_json_get(schema, "properties"), "reason");
    size_t count = 0;

    for (; leat_letter_reasons[count] != NULL; count++) {
        struct leat_letter letter = good_letter();

        letter.reason = leat_slice_from(leat_letter_reasons[count]);
        json_object_put(checked(&letter, NULL));
    }
    ck_assert_uint_eq(count, json_object_array_length(leat_json_get(rule, "enum")));
}
END_TEST

/* The checker can say no: each of these is one change away from a good envelope. */
static const struct {
    const char *name, *value;
} damages[] = {
    {"sequence", "7"},         {"leat_letter", "2"},        {"reason", "\"because\""},
    {"surprise", "true"},      {"dead_letter_id", "\"x\""}, {"archive_url", "\"s3://b/x\""},
    {"data_base64", "\"eA\""}, {"partition_key", NULL},     {"data", NULL},
    {"is_row", "false"},
};

START_TEST(test_a_damaged_one_is_refused)
{
    struct leat_letter letter = good_letter();
    struct json_object *envelope = envelope_of(&letter, NULL);
    LEAT_AUTO_BUF why = LEAT_BUF_INIT;

    json_object_object_del(envelope, damages[_i].name);
    if (damages[_i].value != NULL)
        json_object_object_add(envelope, damages[_i].name, json_tokener_parse(damages[_i].value));
    ck_assert_msg(!is_valid(schema, envelope, &why), "%s was not missed", damages[_i].name);
    json_object_put(envelope);
}
END_TEST

/* ---- names and the page ----------------------------------------------------------------------------- */

START_TEST(test_rows_of_one_position_have_names_of_their_own)
{
    struct leat_letter letter = good_letter();
    char record[65], row[65], other[65], again[65];

    leat_dead_letter_id(&letter, record);
    letter.is_row = true;
    leat_dead_letter_id(&letter, row);
    leat_dead_letter_id(&letter, again);
    letter.data = leat_slice_from("{}");
    leat_dead_letter_id(&letter, other);
    ck_assert_str_ne(record, row);
    ck_assert_str_ne(row, other);
    ck_assert_str_eq(row, again);
    letter.is_row = false; /* a record's name does not depend on what is in it */
    leat_dead_letter_id(&letter, other);
    ck_assert_str_eq(record, other);
}
END_TEST

static void
read_file(const char *path, struct leat_buf *out)
{
    char bytes[4096];
    FILE *in = fopen(path, "re");
    size_t got;

    ck_assert_msg(in != NULL, "%s is not there: run from the top of the tree", path);
    while ((got = fread(bytes, 1, sizeof bytes, in)) > 0)
        leat_buf_add(out, bytes, got);
    fclose(in);
}

START_TEST(test_the_page_explains_every_reason)
{
    LEAT_AUTO_BUF page = LEAT_BUF_INIT;

    read_file("docs/failures.md", &page);
    for (size_t i = 0; leat_letter_reasons[i] != NULL; i++) {
        char row[64];

        snprintf(row, sizeof row, "\n| `%s` |", leat_letter_reasons[i]);
        ck_assert_msg(strstr(leat_buf_text(&page), row) != NULL, "docs/failures.md lacks %s",
                      leat_letter_reasons[i]);
    }
}
END_TEST

static void
setup(void)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_error err;

    read_file("schemas/envelope.schema.json", &text);
    ck_assert_msg(leat_json_parse(leat_buf_slice(&text), &schema, &err) == 0, "%s", err.text);
}

static void
teardown(void)
{
    json_object_put(schema);
}

int
main(void)
{
    Suite *suite = suite_create("envelope");
    TCase *tests = tcase_create("envelope");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_text);
    tcase_add_test(tests, test_bytes);
    tcase_add_test(tests, test_everything_that_is_optional);
    tcase_add_test(tests, test_a_row);
    tcase_add_test(tests, test_by_reference);
    tcase_add_test(tests, test_every_reason_is_in_the_schema);
    tcase_add_loop_test(tests, test_a_damaged_one_is_refused, 0, (int)LEAT_COUNT_OF(damages));
    tcase_add_test(tests, test_rows_of_one_position_have_names_of_their_own);
    tcase_add_test(tests, test_the_page_explains_every_reason);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
