/* The JSON writer, read back by json-c; and what the bounded reader refuses. */
#include "tests/unit/base/suite.h"

#include <json-c/json.h>
#include <math.h>

#include "base/json.h"

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

SUITE_MAIN("json", writes_every_kind, reals_read_back_the_same, reads_members, refuses)
