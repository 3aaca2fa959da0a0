/* The JSON writer, read back by json-c; and what the bounded reader refuses. */
#include "tests/unit/base/suite.h"

#include <json-c/json.h>
#include <math.h>

#include "base/json.h"
#include "base/json_measure.h"

START_TEST(writes_every_kind)
{
    LEAT_AUTO_BUF buf = LEAT_BUF_INIT;
    struct leat_json json;

    leat_json_begin(&json, &buf);
    leat_json_object(&json, NULL);
    leat_json_text(&json, "t\"", "x\n");
    leat_json_text(&json, "none", NULL);
    leat_json_array(&json, "a");
    leat_json_integer(&json, NULL, INT64_MIN);
    leat_json_real(&json, NULL, 0.1);
    leat_json_real(&json, NULL, NAN);
    leat_json_object(&json, NULL);
    leat_json_object_end(&json);
    leat_json_array(&json, NULL);
    leat_json_array_end(&json);
    leat_json_array_end(&json);
    leat_json_bool(&json, "b", true);
    leat_json_base64(&json, "d", TEXT("foob"));
    leat_json_raw(&json, "r", TEXT("[1]"));
    leat_json_object_end(&json);
    ck_assert_str_eq(
        leat_buf_text(&buf),
        "{\"t\\\"\":\"x\\n\",\"none\":null,\"a\":[-9223372036854775808,0.1,null,{},[]],"
        "\"b\":true,\"d\":\"Zm9vYg==\",\"r\":[1]}");
}
END_TEST

START_TEST(reals_read_back_the_same)
{
    struct leat_random random = suite_random();

    for (int i = 0; i < CASES; i++) {
        LEAT_AUTO_BUF buf = LEAT_BUF_INIT;
        uint64_t bits = leat_random_next(&random);
        struct leat_json json;
        double number;

        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number))
            continue;
        leat_json_begin(&json, &buf);
        leat_json_real(&json, NULL, number);
        ck_assert(strtod(leat_buf_text(&buf), NULL) == number);
    }
}
END_TEST

START_TEST(reads_members)
{
    struct leat_slice text = {0};
    struct json_object *root;
    int64_t number = 7;
    double real = 0;
    bool is_true = false;

    ck_assert_int_eq(leat_json_parse(TEXT(" {\"t\":\"a\\u0000b\",\"i\":-5,\"r\":1.5,\"w\":1.79E9,"
                                          "\"b\":true,\"n\":null,\"big\":18446744073709551615} \n"),
                                     &root, NULL),
                     0);
    ck_assert(leat_json_get_text(root, "t", &text) &&
              leat_slice_equals(text, leat_slice_make("a\0b", 3)));
    ck_assert(!leat_json_get_integer(root, "big", &number));
    ck_assert(!leat_json_get_integer(root, "r", &number));
    ck_assert(!leat_json_get_integer(root, "t", &number));
    ck_assert(!leat_json_get_integer(root, "n", &number) && number == 7);
    ck_assert(leat_json_get_integer(root, "i", &number) && number == -5);
    ck_assert(leat_json_get_integer(root, "w", &number) && number == 1790000000);
    ck_assert(leat_json_get_real(root, "r", &real) && real == 1.5);
    ck_assert(leat_json_get_bool(root, "b", &is_true) && is_true);
    ck_assert_ptr_null(leat_json_get(root, "n"));
    ck_assert_ptr_null(leat_json_get(root, "absent"));
    ck_assert_ptr_null(leat_json_get(NULL, "absent"));
    json_object_put(root);
}
END_TEST

START_TEST(refuses)
{
    static const char *const bad[] = {"",    " ",   "{",        "[1,]",  "{\"a\":1}x", "1 2",
                                      "nul", "'a'", "\"\xFF\"", "{a:1}", "[1]//c",     "\"a"};
    LEAT_AUTO_BUF deep = LEAT_BUF_INIT;
    struct json_object *root = NULL;
    struct leat_error err = {0};

    for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++) {
        ck_assert_msg(leat_json_parse(TEXT(bad[i]), &root, &err) == LEAT_E_FORMAT, "%s", bad[i]);
        ck_assert_ptr_null(root);
    }
    ck_assert_int_eq(leat_json_parse(leat_slice_make("[1\0]", 4), &root, &err), LEAT_E_FORMAT);
    for (int i = 0; i < 100; i++)
        leat_buf_add_byte(&deep, '[');
    ck_assert_int_eq(leat_json_parse(leat_buf_slice(&deep), &root, &err), LEAT_E_LIMIT);
    ck_assert_int_eq(leat_json_parse(TEXT("12"), &root, &err), 0); /* a bare number is a value */
    ck_assert_int_eq(json_object_get_int(root), 12);
    json_object_put(root);
}
END_TEST

/* What nobody sees on a screen is told by its name. */
START_TEST(what_cannot_be_seen_is_named)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"\xef\xbb\xbf{}", "byte order mark"},
        {"{\"a\":\"b\tc\"}", "a tab at byte 7: in a string it is written \\t"},
        {"\"a\nb\"", "a control character at byte 2"},
        {"{\"a\":NaN}", "no JSON at byte 5"},
        {"{\"a\":\"\xfc\"}", "it is not UTF-8"},
    };
    struct json_object *root = NULL;
    struct leat_error err = {0};

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        ck_assert_int_eq(leat_json_parse(TEXT(cases[i].text), &root, &err), LEAT_E_FORMAT);
        ck_assert_msg(strstr(err.text, cases[i].says) != NULL, "%s", err.text);
    }
}
END_TEST

/* What a value is read as, whatever json-c's version. */
START_TEST(values_are_the_same_with_every_json_c)
{
    static const struct {
        const char *text, *value;
        size_t size; /* of value; 0: strlen */
    } cases[] = {
        {"\"\xC3\xA4\"", "\xC3\xA4"},
        {"\"a\xE2\x82\xAC\xF0\x9F\x98\x80z\"", "a\xE2\x82\xAC\xF0\x9F\x98\x80z"},
        {"\"\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF\"",
         "\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF"},
        {"\"\x7F\xC2\x85\"", "\x7F\xC2\x85"},
        {"\"\\u00e4\\uD83D\\uDE00\"", "\xC3\xA4\xF0\x9F\x98\x80"},
        {"\"\\uD83D\"", "\xEF\xBF\xBD"}, /* half of a pair */
        {"\"\\uDE00x\"", "\xEF\xBF\xBDx"},
        {"\"\\u0000\"", "\0", 1},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\"", ""},
        {"\"'\"", "'"},
        {"\"//\"", "//"},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        LEAT_AUTO_BUF document = LEAT_BUF_INIT;
        struct json_object *root = NULL;
        struct leat_slice text = {0};
        struct leat_error err = {0};
        size_t size = cases[i].size > 0 ? cases[i].size : strlen(cases[i].value);

        leat_buf_printf(&document, "{\"k\":0,\"k\":%s}", cases[i].text); /* the last counts */
        ck_assert_msg(leat_json_parse(leat_buf_slice(&document), &root, &err) == 0, "%s: %s",
                      cases[i].text, err.text);
        ck_assert(leat_json_get_text(root, "k", &text));
        ck_assert_msg(leat_slice_equals(text, leat_slice_make(cases[i].value, size)), "%s",
                      cases[i].text);
        json_object_put(root);
        /* As a key, too. */
        leat_buf_clear(&document);
        leat_buf_printf(&document, "{%s:1}", cases[i].text);
        ck_assert_int_eq(leat_json_parse(leat_buf_slice(&document), &root, &err), 0);
        ck_assert_int_eq(json_object_object_length(root), 1);
        json_object_put(root);
    }
}
END_TEST

/* What other readers, and other versions of json-c, let pass or refuse. */
static const char *const strictly_good[] = {
    "0",
    "-0",
    "-0.0e-0",
    "1E+2",
    "123456789012345678901234567890",
    "1e999",
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    "{\"\":{}}",
    "null",
    "true",
    "false",
    "\t[1 , 2]\r\n",
    "[\"\xEF\xBB\xBF\"]",
};
static const char *const strictly_bad[] = {
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "[NaN]",
    "TRUE",
    "True",
    "Null",
    "01",
    "-01",
    "+1",
    ".5",
    "5.",
    "1.e1",
    "1e",
    "1e+",
    "-",
    "0x10",
    "1_000",
    "[1 2]",
    "[,1]",
    "[1,,2]",
    "[1,]",
    "{\"a\":1,}",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\" 1}",
    "{'a':1}",
    "{\"a\":'b'}",
    "{1:2}",
    "/*c*/1",
    "1/*c*/",
    "#c\n1",
    "1//",
    "\"\x01\"",
    "\"\n\"",
    "\"\t\"",
    "\"\\x41\"",
    "\"\\u12\"",
    "\"\\u12G4\"",
    "\"\\'\"",
    "\"\xC3\"",
    "\"\xC0\x80\"",
    "\"\xED\xA0\x80\"",
    "\"\xF4\x90\x80\x80\"",
    "\"\x80\"",
    "{\"\xFF\":1}",
    "\xEF\xBB\xBF{}",
    "\xC2\xA0[]",
    "\f[]",
    "\v[]",
    "[1}",
    "{\"a\":1]",
    "]",
    "}",
    ",",
    ":",
    "{}{}",
    "[]x",
    "\"a\"\"b\"",
    "[\"a",
    "[1",
    "{\"a\":",
    "tru",
    "truex",
    "\\u0022a\"",
    "[1]\\n",
};
START_TEST(strictness_is_our_own)
{
    struct json_object *root = NULL;
    struct leat_error err = {0};

    for (size_t i = 0; i < LEAT_COUNT_OF(strictly_good); i++) {
        ck_assert_msg(leat_json_parse(TEXT(strictly_good[i]), &root, &err) == 0, "%s: %s",
                      strictly_good[i], err.text);
        json_object_put(root);
        root = NULL;
    }
    for (size_t i = 0; i < LEAT_COUNT_OF(strictly_bad); i++) {
        ck_assert_msg(leat_json_parse(TEXT(strictly_bad[i]), &root, &err) == LEAT_E_FORMAT, "%s",
                      strictly_bad[i]);
        ck_assert_ptr_null(root);
    }
}
END_TEST

/* Nothing that passes is refused by json-c, of bytes that are JSON but for a few. */
START_TEST(whatever_passes_is_read)
{
    static const char letters[] = "{}[]\",:\\u0019eE+-.truefalsn \n\xC3\xA4\x80'/*N";
    struct leat_random random = suite_random();
    int passed = 0;

    for (int i = 0; i < 40 * CASES; i++) {
        char text[13];
        size_t size = 1 + leat_random_below(&random, 12);
        struct json_object *root = NULL;
        struct leat_json_measure measure;
        struct leat_error err = {0};

        for (size_t j = 0; j < size; j++)
            text[j] = letters[leat_random_below(&random, sizeof letters - 1)];
        if (leat_json_measure(leat_slice_make(text, size), &measure) != 0)
            continue;
        passed++;
        ck_assert_msg(leat_json_parse(leat_slice_make(text, size), &root, &err) == 0, "%.*s: %s",
                      (int)size, text, err.text);
        json_object_put(root);
    }
    ck_assert_int_gt(passed, 100);
}
END_TEST

SUITE_MAIN("json", writes_every_kind, reals_read_back_the_same, reads_members, refuses,
           what_cannot_be_seen_is_named, values_are_the_same_with_every_json_c,
           strictness_is_our_own, whatever_passes_is_read)
