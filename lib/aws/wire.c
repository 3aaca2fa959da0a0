/* One writer and one small reader for both encodings. Not for records (kinesis_records.c). */
#include "aws/wire.h"

#include <json-c/json.h>
#include <math.h>
#include <strings.h>

#include "aws/cbor.h"
#include "base/encoding.h"
#include "base/memory.h"

/* What json-c takes, as in base/json_measure.c: an object with its table, an array with its list, any other value. */
#define OBJECT_BYTES 960
#define ARRAY_BYTES 176
#define VALUE_BYTES 192

void
leat_wire_begin(struct leat_wire *wire, enum leat_wire_encoding encoding, struct leat_buf *buf)
{
    wire->encoding = encoding;
    wire->buf = buf;
    leat_json_begin(&wire->json, buf);
}

static bool
cbor_key(struct leat_wire *wire, const char *key)
{
    if (wire->encoding != LEAT_WIRE_CBOR)
        return false;
    if (key != NULL)
        leat_cbor_put_key(wire->buf, key);
    return true;
}

void
leat_wire_object(struct leat_wire *wire, const char *key, size_t members)
{
    if (cbor_key(wire, key))
        leat_cbor_put_map(wire->buf, members);
    else
        leat_json_object(&wire->json, key);
}

void
leat_wire_object_end(struct leat_wire *wire)
{
    if (wire->encoding == LEAT_WIRE_JSON)
        leat_json_object_end(&wire->json);
}

void
leat_wire_array(struct leat_wire *wire, const char *key, size_t items)
{
    if (cbor_key(wire, key))
        leat_cbor_put_array(wire->buf, items);
    else
        leat_json_array(&wire->json, key);
}

void
leat_wire_array_end(struct leat_wire *wire)
{
    if (wire->encoding == LEAT_WIRE_JSON)
        leat_json_array_end(&wire->json);
}

void
leat_wire_text(struct leat_wire *wire, const char *key, struct leat_slice text)
{
    if (cbor_key(wire, key))
        leat_cbor_put_text(wire->buf, text);
    else
        leat_json_slice(&wire->json, key, text);
}

void
leat_wire_bytes(struct leat_wire *wire, const char *key, struct leat_slice bytes)
{
    if (cbor_key(wire, key))
        leat_cbor_put_bytes(wire->buf, bytes);
    else
        leat_json_base64(&wire->json, key, bytes);
}

void
leat_wire_integer(struct leat_wire *wire, const char *key, int64_t number)
{
    if (cbor_key(wire, key))
        leat_cbor_put_integer(wire->buf, number);
    else
        leat_json_integer(&wire->json, key, number);
}

void
leat_wire_bool(struct leat_wire *wire, const char *key, bool is_true)
{
    if (cbor_key(wire, key))
        leat_cbor_put_bool(wire->buf, is_true);
    else
        leat_json_bool(&wire->json, key, is_true);
}

void
leat_wire_time(struct leat_wire *wire, const char *key, int64_t us)
{
    char text[40];
    int64_t ms = us / 1000;

    if (cbor_key(wire, key)) {
        leat_cbor_put_time(wire->buf, us);
        return;
    }
    /* By hand: no double between us and the service, no exponent. */
    snprintf(text, sizeof text, "%s%lld.%03lld", ms < 0 ? "-" : "", (long long)(llabs(ms) / 1000),
             (long long)(llabs(ms) % 1000));
    leat_json_raw(&wire->json, key, leat_slice_from(text));
}

/* ---- reader -------------------------------------------------------------------------------- */

bool
leat_wire_encoding_of(struct leat_slice content_type, enum leat_wire_encoding *ret_encoding)
{
    const unsigned char *semicolon = memchr(content_type.data, ';', content_type.size);
    size_t size = semicolon != NULL ? (size_t)(semicolon - content_type.data) : content_type.size;
    static const struct {
        const char *text;
        enum leat_wire_encoding encoding;
    } types[] = {
        {LEAT_WIRE_CBOR_TYPE, LEAT_WIRE_CBOR},          {LEAT_WIRE_JSON_TYPE, LEAT_WIRE_JSON},
        {"application/cbor", LEAT_WIRE_CBOR},           {"application/json", LEAT_WIRE_JSON},
        {"application/x-amz-json-1.0", LEAT_WIRE_JSON},
    };

    while (size > 0 && content_type.data[size - 1] == ' ')
        size--;
    for (size_t i = 0; i < LEAT_COUNT_OF(types); i++) {
        if (size == strlen(types[i].text) &&
            strncasecmp((const char *)content_type.data, types[i].text, size) == 0) {
            *ret_encoding = types[i].encoding;
            return true;
        }
    }
    return false;
}

struct tree {
    struct leat_cbor cbor;
    size_t bytes; /* taken so far, as an estimate from above */
    bool is_too_large;
    bool has_time_tag;
};

static bool tree_value(struct tree *tree, unsigned depth, struct json_object **ret_value);

static bool
tree_container(struct tree *tree, const struct leat_cbor_item *item, unsigned depth,
               struct json_object **ret_value)
{
    bool is_map = item->type == LEAT_CBOR_MAP;
    struct json_object *container = is_map ? json_object_new_object() : json_object_new_array();
    uint64_t remaining = item->count;

    while (leat_cbor_more(&tree->cbor, &remaining)) {
        struct json_object *value = NULL;
        struct leat_slice key = leat_slice_from("");
        char name[129];

        if ((is_map && !leat_cbor_key(&tree->cbor, &key)) || !tree_value(tree, depth + 1, &value)) {
            json_object_put(container);
            return false;
        }
        if (!is_map) {
            json_object_array_add(container, value);
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)(key.size < 128 ? key.size : 128),
                 (const char *)key.data);
        json_object_object_add(container, name, value);
    }
    if (tree->cbor.is_bad) {
        json_object_put(container);
        return false;
    }
    *ret_value = container;
    return true;
}

static struct json_object *
tree_number(struct tree *tree, const struct leat_cbor_item *item)
{
    int64_t us;

    if (item->tag == 1 && leat_cbor_time(item, &us)) {
        tree->has_time_tag = true;
        return json_object_new_double((double)us / 1e6);
    }
    return item->type == LEAT_CBOR_INTEGER ? json_object_new_int64(item->integer)
                                           : json_object_new_double(item->real);
}

static struct json_object *
tree_bytes(struct leat_slice bytes)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_base64_encode(&text, bytes);
    return json_object_new_string_len((const char *)leat_buf_text(&text), (int)text.size);
}

/* Before it is made. false: more than a small answer's. */
static bool
tree_take(struct tree *tree, const struct leat_cbor_item *item)
{
    tree->bytes += item->type == LEAT_CBOR_MAP     ? OBJECT_BYTES
                   : item->type == LEAT_CBOR_ARRAY ? ARRAY_BYTES
                                                   : VALUE_BYTES;
    if (item->type == LEAT_CBOR_TEXT || item->type == LEAT_CBOR_BYTES)
        tree->bytes += item->string.size + item->string.size / 2;
    tree->is_too_large = tree->bytes > LEAT_WIRE_TREE_BYTES;
    return !tree->is_too_large;
}

static bool
tree_value(struct tree *tree, unsigned depth, struct json_object **ret_value)
{
    struct leat_cbor_item item;

    if (depth > LEAT_CBOR_DEPTH || !leat_cbor_next(&tree->cbor, &item) || !tree_take(tree, &item))
        return false;
    switch (item.type) {
    case LEAT_CBOR_INTEGER:
    case LEAT_CBOR_REAL:
        *ret_value = tree_number(tree, &item);
        return true;
    case LEAT_CBOR_BYTES:
    case LEAT_CBOR_TEXT:
        *ret_value =
            item.type == LEAT_CBOR_BYTES
                ? tree_bytes(item.string)
                : json_object_new_string_len((const char *)item.string.data, (int)item.string.size);
        return true;
    case LEAT_CBOR_BOOL:
        *ret_value = json_object_new_boolean(item.integer != 0);
        return true;
    case LEAT_CBOR_NULL:
        *ret_value = NULL;
        return true;
    default:
        return tree_container(tree, &item, depth, ret_value);
    }
}

int
leat_wire_parse(unsigned char *bytes, size_t size, enum leat_wire_encoding encoding,
                struct json_object **ret_root, bool *ret_has_time_tag, struct leat_error *err)
{
    struct tree tree = {0};
    struct json_object *root = NULL;

    if (size == 0) { /* the answer of an action that has nothing to say */
        *ret_root = json_object_new_object();
        return 0;
    }
    if (encoding == LEAT_WIRE_JSON)
        return leat_json_parse_within(leat_slice_make(bytes, size), LEAT_WIRE_TREE_BYTES, ret_root,
                                      err);
    leat_cbor_begin(&tree.cbor, bytes, size);
    if (!tree_value(&tree, 0, &root) || tree.cbor.is_bad || tree.cbor.next != tree.cbor.end) {
        json_object_put(root);
        if (tree.is_too_large)
            return leat_error_set(err, LEAT_E_LIMIT,
                                  "cannot read CBOR: its values would take more than %zu bytes of "
                                  "memory",
                                  LEAT_WIRE_TREE_BYTES);
        return leat_error_set(err, LEAT_E_FORMAT, "cannot read CBOR: not well-formed");
    }
    if (ret_has_time_tag != NULL)
        *ret_has_time_tag = tree.has_time_tag;
    *ret_root = root;
    return 0;
}

bool
leat_wire_get_time(struct json_object *object, const char *key, int64_t *ret_us)
{
    double seconds;

    if (!leat_json_get_real(object, key, &seconds) || !(fabs(seconds) < 9e12))
        return false;
    *ret_us = seconds > 1e11 ? (int64_t)(seconds * 1e3) : (int64_t)llround(seconds * 1e6);
    return true;
}
