/*
 * The text is kept and compressed at the end: a compressor for each open key would take 256 KiB. So the limit is kept by the
 * text, by what it takes where nothing can be compressed.
 *
 * Readers refuse what expands more than 200-fold (beyond 64 KiB): the same record a thousand times does. Such a text is
 * compressed by Huffman codes alone, which take a bit per byte at least: never more than 8-fold.
 */
#include "producer/gzip_json.h"

#include <zlib.h>

#include "base/json_measure.h"
#include "base/memory.h"
#include "stream/deaggregate.h"
#include "stream/json_array.h"

#define GZIP_WINDOW (15 + 16) /* zlib's word for "with gzip's head" */
#define LEVEL 6
#define DENSEST 100 /* half of what readers allow */
#define ALWAYS_ALLOWED_BYTES ((size_t)60 << 10)

static bool
is_space(unsigned char letter)
{
    return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n';
}

static struct leat_slice
trim(struct leat_slice text)
{
    while (text.size > 0 && is_space(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_space(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Two judges: the reader's scanner must find one element, and any other reader's parser must like it. */
bool
leat_gzip_json_is_element(struct leat_slice data, struct leat_slice *ret_value)
{
    struct leat_slice value = trim(data), element;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_json_measure measure;
    struct leat_json_array array;

    if (leat_json_measure(value, &measure) != 0)
        return false;
    leat_buf_add_byte(&text, '[');
    leat_buf_add_slice(&text, value);
    leat_buf_add_byte(&text, ']');
    if (!leat_json_array_open(&array, leat_buf_slice(&text)) ||
        leat_json_array_next(&array, &element) != LEAT_JSON_ARRAY_ELEMENT ||
        !leat_slice_equals(element, value) ||
        leat_json_array_next(&array, &element) != LEAT_JSON_ARRAY_END)
        return false;
    *ret_value = value;
    return true;
}

void
leat_gzip_json_init(struct leat_gzip_json *array, size_t maximum_bytes)
{
    *array = (struct leat_gzip_json){.maximum_bytes = maximum_bytes};
    leat_buf_init(&array->text, SIZE_MAX);
}

void
leat_gzip_json_release(struct leat_gzip_json *array)
{
    leat_buf_release(&array->text);
}

/* Stored blocks: 5 bytes for at most 16 K symbols; gzip's head and tail 18. */
static size_t
worst_case(size_t text_bytes)
{
    return text_bytes + text_bytes / 1024 + 64;
}

bool
leat_gzip_json_add(struct leat_gzip_json *array, struct leat_slice element)
{
    size_t wanted = array->text.size + 1 + element.size + 1; /* a comma or bracket, the last ']' */

    if (array->count == LEAT_EXPAND_ELEMENTS || wanted < element.size ||
        worst_case(wanted) > array->maximum_bytes)
        return false;
    leat_buf_add_byte(&array->text, array->count == 0 ? '[' : ',');
    leat_buf_add_slice(&array->text, element);
    array->count++;
    return true;
}

static void
compress_text(struct leat_slice text, int strategy, struct leat_buf *out)
{
    z_stream stream = {.next_in = (unsigned char *)text.data, .avail_in = (unsigned)text.size};
    size_t room;

    LEAT_ASSERT(text.size < UINT32_MAX / 2);
    LEAT_ASSERT(deflateInit2(&stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, strategy) == Z_OK);
    room = deflateBound(&stream, text.size);
    leat_buf_reserve(out, room);
    stream.next_out = out->data + out->size;
    stream.avail_out = (unsigned)room;
    LEAT_ASSERT(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out->size += room - stream.avail_out;
    deflateEnd(&stream);
}

void
leat_gzip_json_seal(struct leat_gzip_json *array, struct leat_buf *out)
{
    size_t start = out->size;
    struct leat_slice text;

    LEAT_ASSERT(array->count > 0);
    leat_buf_add_byte(&array->text, ']');
    text = leat_buf_slice(&array->text);
    compress_text(text, Z_DEFAULT_STRATEGY, out);
    if (text.size > ALWAYS_ALLOWED_BYTES && text.size / DENSEST >= out->size - start) {
        out->size = start;
        compress_text(text, Z_HUFFMAN_ONLY, out);
    }
    leat_buf_clear(&array->text);
    array->count = 0;
}
