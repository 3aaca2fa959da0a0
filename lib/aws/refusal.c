/* What a service says when it refuses, in the three ways in which it says it. */
#include "aws/refusal.h"

#include <json-c/json.h>

#include "aws/wire.h"
#include "aws/xml.h"
#include "base/memory.h"

static void
keep(char *kept, size_t size, struct leat_slice text)
{
    snprintf(kept, size, "%.*s", (int)(text.size < size ? text.size : size - 1),
             (const char *)text.data);
}

/* The name behind a namespace of any length: "com.amazonaws.kinesis#Name". */
static void
keep_type(struct leat_refusal *refusal, struct leat_slice text)
{
    const unsigned char *found = text.size > 0 ? memrchr(text.data, '#', text.size) : NULL;

    if (found != NULL)
        text = leat_slice_make(found + 1, text.size - (size_t)(found + 1 - text.data));
    keep(refusal->type, sizeof refusal->type, text);
}

static void
from_tree(struct json_object *root, struct leat_refusal *refusal)
{
    static const char *const type_keys[] = {"__type", "code", "Code"};
    static const char *const message_keys[] = {"message", "Message", "errorMessage"};
    struct leat_slice text;

    if (!json_object_is_type(root, json_type_object))
        return;
    for (size_t i = 0; i < LEAT_COUNT_OF(type_keys) && refusal->type[0] == '\0'; i++) {
        if (leat_json_get_text(root, type_keys[i], &text))
            keep_type(refusal, text);
    }
    for (size_t i = 0; i < LEAT_COUNT_OF(message_keys) && refusal->message[0] == '\0'; i++) {
        if (leat_json_get_text(root, message_keys[i], &text))
            keep(refusal->message, sizeof refusal->message, text);
    }
}

static void
xml_begin(void *context, struct leat_slice name, unsigned depth)
{
}

/* <Error><Code>…</Code><Message>…</Message>…</Error> */
static void
xml_end(void *context, struct leat_slice name, unsigned depth, struct leat_slice text)
{
    struct leat_refusal *refusal = context;

    if (leat_slice_is(name, "Code") && refusal->type[0] == '\0')
        keep_type(refusal, text);
    else if (leat_slice_is(name, "Message") && refusal->message[0] == '\0')
        keep(refusal->message, sizeof refusal->message, text);
}

void
leat_refusal_parse(struct leat_buf *body, struct leat_slice content_type,
                   struct leat_refusal *ret_refusal)
{
    static const struct leat_xml_events events = {xml_begin, xml_end};
    enum leat_wire_encoding encoding;
    struct json_object *root = NULL;

    memset(ret_refusal, 0, sizeof *ret_refusal);
    if (body->size == 0)
        return;
    if (body->data[0] == '<') {
        /* What came before a cut is of use all the same. */
        (void)leat_xml_parse(leat_buf_slice(body), &events, ret_refusal, NULL);
        return;
    }
    if (!leat_wire_encoding_of(content_type, &encoding))
        encoding = body->data[0] == '{' ? LEAT_WIRE_JSON : LEAT_WIRE_CBOR;
    if (body->data[0] ==
        '{') /* no CBOR map of a refusal begins so (it would be a text of 27 bytes) */
        encoding = LEAT_WIRE_JSON;
    if (leat_wire_parse(body->data, body->size, encoding, &root, NULL, NULL) == 0) {
        from_tree(root, ret_refusal);
        json_object_put(root);
    }
}
