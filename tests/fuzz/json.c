/*
 * JSON from outside: parsing never crashes, and what was read can be written and read again as the
 * same thing..
 */
#include <json-c/json.h>
#include <stdint.h>

#include "base/encoding.h"
#include "base/json.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
get_all(struct json_object *object, const char *key)
{
    struct leat_slice text;
    int64_t number;
    double real;
    bool is_true;

    if (leat_json_get_text(object, key, &text)) {
        LEAT_AUTO_BUF out = LEAT_BUF_INIT;
        struct json_object *again = NULL;
        struct leat_error err;
        struct leat_slice same;
        struct leat_json json;

        leat_json_begin(&json, &out);
        leat_json_object(&json, NULL);
        leat_json_slice(&json, "x", text);
        leat_json_object_end(&json);
        LEAT_ASSERT(leat_json_parse(leat_buf_slice(&out), &again, &err) == 0);
        LEAT_ASSERT(leat_json_get_text(again, "x", &same));
        /* Bytes that are no UTF-8 become U+FFFD: only the rest comes back as it was. */
        LEAT_ASSERT(leat_slice_equals(same, text) || !leat_utf8_is_valid(text));
        json_object_put(again);
    }
    leat_json_get_integer(object, key, &number);
    leat_json_get_real(object, key, &real);
    leat_json_get_bool(object, key, &is_true);
    leat_json_get(object, key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_object *root = NULL;
    struct leat_error err = {0};

    if (leat_json_parse(leat_slice_make(data, size), &root, &err) != 0) {
        LEAT_ASSERT(root == NULL && err.text[0] != '\0');
        return 0;
    }
    if (json_object_is_type(root, json_type_object)) {
        json_object_object_foreach(root, key, value)
        {
            (void)value;
            get_all(root, key);
        }
        get_all(root, "a");
    }
    json_object_put(root);
    return 0;
}
