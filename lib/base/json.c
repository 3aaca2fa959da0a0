/* A writer that minds commas and escapes, and a bounded way into json-c for small documents. */
#include "base/json.h"

#include <json-c/json.h>
#include <limits.h>
#include <math.h>

#include "base/encoding.h"

#define MAXIMUM_DEPTH 64

void
leat_json_begin(struct leat_json *json, struct leat_buf *buf)
{
    *json = (struct leat_json){.buf = buf};
}

static void
begin_value(struct leat_json *json, const char *key)
{
    if (json->needs_comma)
        leat_buf_add_byte(json->buf, ',');
    json->needs_comma = true;
    if (key == NULL)
        return;
    leat_buf_add_byte(json->buf, '"');
    leat_json_escape(json->buf, leat_slice_from(key));
    leat_buf_add(json->buf, "\":", 2);
}

static void
open_nested(struct leat_json *json, const char *key, unsigned char bracket)
{
    begin_value(json, key);
    leat_buf_add_byte(json->buf, bracket);
    json->needs_comma = false;
}

static void
close_nested(struct leat_json *json, unsigned char bracket)
{
    leat_buf_add_byte(json->buf, bracket);
    json->needs_comma = true;
}

void
leat_json_object(struct leat_json *json, const char *key)
{
    open_nested(json, key, '{');
}

void
leat_json_object_end(struct leat_json *json)
{
    close_nested(json, '}');
}

void
leat_json_array(struct leat_json *json, const char *key)
{
    open_nested(json, key, '[');
}

void
leat_json_array_end(struct leat_json *json)
{
    close_nested(json, ']');
}

void
leat_json_slice(struct leat_json *json, const char *key, struct leat_slice text)
{
    begin_value(json, key);
    leat_buf_add_byte(json->buf, '"');
    leat_json_escape(json->buf, text);
    leat_buf_add_byte(json->buf, '"');
}

void
leat_json_text(struct leat_json *json, const char *key, const char *text)
{
    if (text == NULL)
        leat_json_null(json, key);
    else
        leat_json_slice(json, key, leat_slice_from(text));
}

void
leat_json_base64(struct leat_json *json, const char *key, struct leat_slice bytes)
{
    begin_value(json, key);
    leat_buf_add_byte(json->buf, '"');
    leat_base64_encode(json->buf, bytes);
    leat_buf_add_byte(json->buf, '"');
}

void
leat_json_integer(struct leat_json *json, const char *key, int64_t number)
{
    begin_value(json, key);
    leat_buf_printf(json->buf, "%lld", (long long)number);
}

void
leat_json_real(struct leat_json *json, const char *key, double number)
{
    if (!isfinite(number)) {
        leat_json_null(json, key);
        return;
    }
    begin_value(json, key);
    leat_buf_printf(json->buf, "%.15g", number);
}

void
leat_json_bool(struct leat_json *json, const char *key, bool is_true)
{
    begin_value(json, key);
    leat_buf_add_text(json->buf, is_true ? "true" : "false");
}

void
leat_json_null(struct leat_json *json, const char *key)
{
    begin_value(json, key);
    leat_buf_add_text(json->buf, "null");
}

void
leat_json_raw(struct leat_json *json, const char *key, struct leat_slice raw)
{
    begin_value(json, key);
    leat_buf_add_slice(json->buf, raw);
}

static int
parse_failed(struct json_tokener *tokener, struct leat_error *err)
{
    enum json_tokener_error reason = json_tokener_get_error(tokener);
    size_t position = json_tokener_get_parse_end(tokener);

    json_tokener_free(tokener);
    return leat_error_set(err, LEAT_E_FORMAT, "not JSON at byte %zu: %s", position,
                          reason == json_tokener_continue  ? "unexpected end"
                          : reason == json_tokener_success ? "something follows the value"
                                                           : json_tokener_error_desc(reason));
}

/* json-c needs to be told of the end (a zero) before a number at the top is complete. */
int
leat_json_parse(struct leat_slice text, struct json_object **ret_root, struct leat_error *err)
{
    struct json_tokener *tokener;
    struct json_object *root;

    if (text.size > INT_MAX - 1)
        return leat_error_set(err, LEAT_E_LIMIT, "a JSON text of %zu bytes is too large",
                              text.size);
    tokener = json_tokener_new_ex(MAXIMUM_DEPTH);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    root = json_tokener_parse_ex(tokener, (const char *)text.data, (int)text.size);
    if (json_tokener_get_error(tokener) == json_tokener_continue)
        root = json_tokener_parse_ex(tokener, "", 1);
    if (json_tokener_get_error(tokener) != json_tokener_success)
        return parse_failed(tokener, err);
    if (json_tokener_get_parse_end(tokener) < text.size &&
        json_tokener_get_parse_end(tokener) > 0) {
        for (size_t i = json_tokener_get_parse_end(tokener); i < text.size; i++) {
            if (strchr(" \t\r\n", text.data[i]) == NULL || text.data[i] == '\0') {
                json_object_put(root);
                return parse_failed(tokener, err);
            }
        }
    }
    json_tokener_free(tokener);
    *ret_root = root;
    return 0;
}

struct json_object *
leat_json_get(struct json_object *object, const char *key)
{
    struct json_object *member;

    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, key, &member))
        return NULL;
    return member;
}

bool
leat_json_get_text(struct json_object *object, const char *key, struct leat_slice *ret_text)
{
    struct json_object *member = leat_json_get(object, key);

    if (!json_object_is_type(member, json_type_string))
        return false;
    *ret_text =
        leat_slice_make(json_object_get_string(member), (size_t)json_object_get_string_len(member));
    return true;
}

bool
leat_json_get_integer(struct json_object *object, const char *key, int64_t *ret_number)
{
    struct json_object *member = leat_json_get(object, key);
    double real;

    if (json_object_is_type(member, json_type_int)) {
        *ret_number = json_object_get_int64(member);
        return true;
    }
    if (!json_object_is_type(member, json_type_double))
        return false;
    real = json_object_get_double(member); /* 1.79E9 is a whole number, too */
    if (!(fabs(real) < 9.0e18) || real != floor(real))
        return false;
    *ret_number = (int64_t)real;
    return true;
}

bool
leat_json_get_real(struct json_object *object, const char *key, double *ret_number)
{
    struct json_object *member = leat_json_get(object, key);

    if (!json_object_is_type(member, json_type_double) &&
        !json_object_is_type(member, json_type_int))
        return false;
    *ret_number = json_object_get_double(member);
    return true;
}

bool
leat_json_get_bool(struct json_object *object, const char *key, bool *ret_is_true)
{
    struct json_object *member = leat_json_get(object, key);

    if (!json_object_is_type(member, json_type_boolean))
        return false;
    *ret_is_true = json_object_get_boolean(member);
    return true;
}
