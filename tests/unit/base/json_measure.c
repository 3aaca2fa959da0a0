/* What a text costs is known before a tree is made of it, and it is never less than what json-c takes. */
#include <json-c/json.h>
#include <malloc.h>

#include "base/json.h"
#include "base/json_measure.h"
#include "unit/base/suite.h"

START_TEST(judges_as_the_rfc_does)
{
    static const char *const good[] = {"1",
                                       "-0",
                                       "0.5e+10",
                                       " [ ] ",
                                       "{}",
                                       "{\"\":[1,{\"a\":null}]}",
                                       "\"\\u0000\\ud800\\n\"",
                                       "[true,false,null]",
                                       "\"\xC3\xA9\""};
    static const char *const bad[] = {
        "",       " ",          "01",          "1.",    ".5",  "+1",   "[1,]",
        "[,1]",   "{\"a\"}",    "{\"a\":}",    "{a:1}", "[1}", "tru",  "\"a",
        "\"\t\"", "\"\\x\"",    "\"\\u12g4\"", "NaN",   "1 2", "[1]]", "\"\xC3\"",
        "'a'",    "{\"a\":1,}", "[1]//",       "\xFF",  "-",   "1e",   "1e+"};
    struct leat_json_measure measure;

    for (size_t i = 0; i < LEAT_COUNT_OF(good); i++)
        ck_assert_msg(leat_json_measure(TEXT(good[i]), &measure) == 0, "%s at %zu", good[i],
                      measure.bad_at);
    for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++)
        ck_assert_msg(leat_json_measure(TEXT(bad[i]), &measure) == LEAT_E_FORMAT, "%s", bad[i]);
    ck_assert_int_eq(leat_json_measure(leat_slice_make("[1\0]", 4), &measure), LEAT_E_FORMAT);
}
END_TEST

static void
nest(struct leat_buf *text, unsigned depth)
{
    leat_buf_clear(text);
    for (unsigned i = 0; i < depth; i++)
        leat_buf_add_text(text, i % 2 == 0 ? "[" : "{\"a\":");
    leat_buf_add_text(text, "1");
    for (unsigned i = depth; i-- > 0;)
        leat_buf_add_text(text, i % 2 == 0 ? "]" : "}");
}

START_TEST(depth_has_an_end)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_json_measure measure;
    struct json_object *root = NULL;
    struct leat_error err;

    nest(&text, LEAT_JSON_DEPTH);
    ck_assert_int_eq(leat_json_measure(leat_buf_slice(&text), &measure), 0);
    ck_assert_msg(leat_json_parse(leat_buf_slice(&text), &root, &err) == 0, "%s", err.text);
    json_object_put(root);
    nest(&text, LEAT_JSON_DEPTH + 1);
    ck_assert_int_eq(leat_json_measure(leat_buf_slice(&text), &measure), LEAT_E_LIMIT);
}
END_TEST

/* A random value, mostly small. */
static void
add_value(struct leat_buf *text, struct leat_random *random, unsigned depth)
{
    uint64_t kind = leat_random_below(random, depth > 0 ? 7 : 5);
    uint64_t count = leat_random_below(random, leat_random_below(random, 20) == 0 ? 200 : 4);

    if (kind < 5) {
        static const char *const scalars[] = {"null", "true", "-12.5e3", "123456789", NULL};

        if (scalars[kind] != NULL) {
            leat_buf_add_text(text, scalars[kind]);
            return;
        }
        leat_buf_add_byte(text, '"');
        for (uint64_t i = 0; i < count * 3; i++)
            leat_buf_add_text(text, "x\\n");
        leat_buf_add_byte(text, '"');
        return;
    }
    leat_buf_add_byte(text, kind == 5 ? '[' : '{');
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0)
            leat_buf_add_byte(text, ',');
        if (kind == 6)
            leat_buf_printf(text, "\"key%d\":", (int)i);
        add_value(text, random, depth - 1);
    }
    leat_buf_add_byte(text, kind == 5 ? ']' : '}');
}

static void
check_estimate(struct leat_slice text)
{
    struct leat_json_measure measure;
    struct json_object *root = NULL;
    struct leat_error err;
    size_t before, after;

    ck_assert_int_eq(leat_json_measure(text, &measure), 0);
    before = mallinfo2().uordblks + mallinfo2().hblkhd;
    ck_assert_int_eq(leat_json_parse(text, &root, &err), 0);
    after = mallinfo2().uordblks + mallinfo2().hblkhd;
    /* What one tokener left in malloc's lists is noise of a page or so. */
    ck_assert_msg(after <= before || after - before <= measure.tree_bytes + 4096,
                  "%zu bytes, %zu foreseen: %.200s", after - before, measure.tree_bytes, text.data);
    json_object_put(root);
}

START_TEST(a_tree_takes_no_more_than_foreseen)
{
    struct leat_random random = suite_random();
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    for (int i = 0; i < 300; i++) {
        leat_buf_clear(&text);
        add_value(&text, &random, 6);
        leat_buf_text(&text);
        check_estimate(leat_buf_slice(&text));
    }
    for (int kind = 0; kind < 3; kind++) {
        leat_buf_clear(&text);
        leat_buf_add_byte(&text, '[');
        for (int i = 0; i < 20000; i++)
            leat_buf_add_text(&text, kind == 0 ? "[]," : kind == 1 ? "{}," : "{\"a\":[1]},");
        leat_buf_add_text(&text, "1]");
        leat_buf_text(&text);
        check_estimate(leat_buf_slice(&text));
    }
}
END_TEST

START_TEST(what_would_take_too_much_is_refused_before)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct json_object *root = NULL;
    struct leat_error err;

    leat_buf_add_byte(&text, '[');
    for (int i = 0; i < 5000000; i++)
        leat_buf_add_text(&text, "[],");
    leat_buf_add_text(&text, "1]");
    ck_assert_int_eq(leat_json_parse_within(leat_buf_slice(&text), 12 << 20, &root, &err),
                     LEAT_E_LIMIT);
    ck_assert_ptr_null(root);
    ck_assert_msg(strstr(err.text, "values would take") != NULL, "%s", err.text);
}
END_TEST

SUITE_MAIN("json_measure", judges_as_the_rfc_does, depth_has_an_end,
           a_tree_takes_no_more_than_foreseen, what_would_take_too_much_is_refused_before)
