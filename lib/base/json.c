/*
 * The JSON writer: one flag says whether a comma is due. And json-c behind a bound: reading is for small
 * documents (configuration, answers of services), hot paths have readers of their own.
 * Threads: none of its own; a writer and a tree belong to one thread.
 */
#include "base/json.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>

#include "base/encoding.h"
#include "base/json_measure.h"
#include "base/memory.h"

#define MAXIMUM_DOCUMENT_BYTES ((size_t)64 << 20)
#define DEFAULT_TREE_BYTES ((size_t)512 << 20)

void
leat_json_begin(struct leat_json *json, struct leat_buf *buf)
{
    *json = (struct leat_json){.buf = buf};
}

static void
add_quoted(struct leat_buf *buf, struct leat_slice text)
{
    leat_buf_add_byte(buf, '"');
    leat_json_escape(buf, text);
    leat_buf_add_byte(buf, '"');
}

/* The comma and the key of the value that follows. */
static void
begin_value(struct leat_json *json, const char *key)
{
    if (json->needs_comma)
        leat_buf_add_byte(json->buf, ',');
    json->needs_comma = true;
    if (key != NULL) {
        add_quoted(json->buf, leat_slice_from(key));
        leat_buf_add_byte(json->buf, ':');
    }
}

static void
open_group(struct leat_json *json, const char *key, unsigned char bracket)
{
    begin_value(json, key);
    leat_buf_add_byte(json->buf, bracket);
    json->needs_comma = false;
}

static void
close_group(struct leat_json *json, unsigned char bracket)
{
    leat_buf_add_byte(json->buf, bracket);
    json->needs_comma = true;
}

void
leat_json_object(struct leat_json *json, const char *key)
{
    open_group(json, key, '{');
}

void
leat_json_object_end(struct leat_json *json)
{
    close_group(json, '}');
}

void
leat_json_array(struct leat_json *json, const char *key)
{
    open_group(json, key, '[');
}

void
leat_json_array_end(struct leat_json *json)
{
    close_group(json, ']');
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
leat_json_slice(struct leat_json *json, const char *key, struct leat_slice text)
{
    begin_value(json, key);
    add_quoted(json->buf, text);
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
    leat_buf_printf(json->buf, "%" PRId64, number);
}

/* The shortest of two forms that reads back as the same number. */
void
leat_json_real(struct leat_json *json, const char *key, double number)
{
    char text[40];

    if (!isfinite(number)) {
        leat_json_null(json, key);
        return;
    }
    begin_value(json, key);
    snprintf(text, sizeof text, "%.15g", number);
    if (strtod(text, NULL) != number)
        snprintf(text, sizeof text, "%.17g", number);
    leat_buf_add_text(json->buf, text);
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

static bool
is_space(unsigned char letter)
{
    return letter == ' ' || letter == '\t' || letter == '\n' || letter == '\r';
}

/*
 * Of what leat_json_measure has found to be JSON. json-c is not asked to be strict: what its strict mode refuses changes with
 * its versions (0.18 refuses every letter beyond ASCII in a string), and nothing is left to refuse.
 */
static int
parse_measured(struct json_tokener *tokener, struct leat_slice text, struct json_object **ret_root,
               struct leat_error *err)
{
    struct json_object *root;

    root = json_tokener_parse_ex(tokener, (const char *)text.data, (int)text.size);
    if (json_tokener_get_error(tokener) == json_tokener_continue)
        root = json_tokener_parse_ex(tokener, "", 1); /* a bare number ends at a zero */
    if (json_tokener_get_error(tokener) != json_tokener_success)
        return leat_error_set(err, LEAT_E_FORMAT, "cannot read JSON: %s at byte %zu",
                              json_tokener_error_desc(json_tokener_get_error(tokener)),
                              json_tokener_get_parse_end(tokener));
    *ret_root = root;
    return 0;
}

/* What editors and other writers put there, by name: a place alone is a riddle where nothing is to be seen. */
static int
refuse_at(struct leat_slice text, size_t at, struct leat_error *err)
{
    static const char mark[] = "\xef\xbb\xbf";
    unsigned char byte = text.data[at];

    if (at == 0 && text.size >= 3 && memcmp(text.data, mark, 3) == 0)
        return leat_error_set(err, LEAT_E_FORMAT,
                              "cannot read JSON: it begins with a byte order mark (U+FEFF): save "
                              "it as UTF-8 without one");
    if (byte < ' ')
        return leat_error_set(
            err, LEAT_E_FORMAT, "cannot read JSON: %s at byte %zu: in a string it is written %s",
            byte == '\t' ? "a tab" : "a control character", at, byte == '\t' ? "\\t" : "\\u00XX");
    if (!leat_utf8_is_valid(text))
        return leat_error_set(err, LEAT_E_FORMAT, "cannot read JSON: it is not UTF-8");
    return leat_error_set(err, LEAT_E_FORMAT, "cannot read JSON: no JSON at byte %zu", at);
}

/* Before a tree is made: what it would be, and take. */
static int
measure(struct leat_slice text, size_t tree_bytes, struct leat_error *err)
{
    struct leat_json_measure found;
    int status = leat_json_measure(text, &found);

    if (status == LEAT_E_LIMIT)
        return leat_error_set(err, LEAT_E_LIMIT, "cannot read JSON: nested deeper than %d",
                              LEAT_JSON_DEPTH);
    if (status != 0 && found.bad_at == text.size)
        return leat_error_set(err, LEAT_E_FORMAT, "cannot read JSON: it ends in the middle");
    if (status != 0)
        return refuse_at(text, found.bad_at, err);
    if (found.tree_bytes > tree_bytes)
        return leat_error_set(err, LEAT_E_LIMIT,
                              "cannot read JSON: its %zu values would take %zu bytes of memory, at "
                              "most %zu are given",
                              found.values, found.tree_bytes, tree_bytes);
    return 0;
}

int
leat_json_parse_within(struct leat_slice text, size_t tree_bytes, struct json_object **ret_root,
                       struct leat_error *err)
{
    struct json_tokener *tokener;
    int status;

    if (text.size > MAXIMUM_DOCUMENT_BYTES)
        return leat_error_set(err, LEAT_E_LIMIT,
                              "cannot read JSON: %zu bytes, at most %zu are read", text.size,
                              MAXIMUM_DOCUMENT_BYTES);
    while (text.size > 0 && is_space(text.data[text.size - 1]))
        text.size--;
    if (text.size == 0)
        return leat_error_set(err, LEAT_E_FORMAT, "cannot read JSON: it is empty");
    if (memchr(text.data, 0, text.size) != NULL)
        return leat_error_set(err, LEAT_E_FORMAT, "cannot read JSON: a zero byte in it");
    status = measure(text, tree_bytes, err);
    if (status != 0)
        return status;
    tokener = json_tokener_new_ex(LEAT_JSON_DEPTH + 2);
    if (tokener == NULL)
        leat_out_of_memory(LEAT_JSON_DEPTH);
    status = parse_measured(tokener, text, ret_root, err);
    json_tokener_free(tokener);
    return status;
}

int
leat_json_parse(struct leat_slice text, struct json_object **ret_root, struct leat_error *err)
{
    return leat_json_parse_within(text, DEFAULT_TREE_BYTES, ret_root, err);
}

struct json_object *
leat_json_get(struct json_object *object, const char *key)
{
    struct json_object *member = NULL;

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

    if (json_object_is_type(member, json_type_double)) {
        real = json_object_get_double(member); /* 1.79E9 is a whole number, too */
        if (!(fabs(real) <= 9007199254740992.0) || real != floor(real))
            return false;
        *ret_number = (int64_t)real;
        return true;
    }
    if (!json_object_is_type(member, json_type_int))
        return false;
    if (json_object_get_int64(member) > 0 && json_object_get_uint64(member) > INT64_MAX)
        return false; /* json-c would hand out the nearest */
    *ret_number = json_object_get_int64(member);
    return true;
}

bool
leat_json_get_real(struct json_object *object, const char *key, double *ret_number)
{
    struct json_object *member = leat_json_get(object, key);
    double number;

    if (!json_object_is_type(member, json_type_double) &&
        !json_object_is_type(member, json_type_int))
        return false;
    number = json_object_get_double(member);
    if (!isfinite(number))
        return false;
    *ret_number = number;
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
