/* Base64, hex, URI escapes, UTF-8: what decodes encodes to the same, and nothing crashes. */
#include <stdint.h>

#include "base/encoding.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was decoded, encoded and decoded again, is the same bytes. */
static void
check_base64(struct leat_slice text)
{
    LEAT_AUTO_BUF bytes = LEAT_BUF_INIT;
    LEAT_AUTO_BUF again = LEAT_BUF_INIT;
    LEAT_AUTO_BUF copy = LEAT_BUF_INIT;
    LEAT_AUTO_BUF back = LEAT_BUF_INIT;
    size_t decoded;

    leat_base64_encode(&again, text);
    LEAT_ASSERT(leat_base64_decode(&back, leat_buf_slice(&again)));
    LEAT_ASSERT(leat_slice_equals(leat_buf_slice(&back), text));
    if (text.size == 0)
        return;
    leat_buf_add_slice(&copy, text);
    decoded = leat_base64_decode_to(copy.data, leat_buf_slice(&copy));
    LEAT_ASSERT(leat_base64_decode(&bytes, text) == (decoded != SIZE_MAX));
    if (decoded != SIZE_MAX)
        LEAT_ASSERT(leat_slice_equals(leat_slice_make(copy.data, decoded), leat_buf_slice(&bytes)));
}

static void
check_hex_and_uri(struct leat_slice text)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    LEAT_AUTO_BUF back = LEAT_BUF_INIT;

    leat_hex_encode(&out, text);
    LEAT_ASSERT(leat_hex_decode(&back, leat_buf_slice(&out)));
    LEAT_ASSERT(leat_slice_equals(leat_buf_slice(&back), text));
    leat_buf_clear(&out);
    leat_buf_clear(&back);
    leat_hex_decode(&out, text);
    leat_buf_clear(&out);
    leat_uri_escape(&out, text, text.size % 2 == 0);
    LEAT_ASSERT(leat_uri_unescape(&back, leat_buf_slice(&out)));
    LEAT_ASSERT(leat_slice_equals(leat_buf_slice(&back), text));
    leat_buf_clear(&back);
    leat_uri_unescape(&back, text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    struct leat_slice text = leat_slice_make(data, size);

    check_base64(text);
    check_hex_and_uri(text);
    leat_utf8_is_valid(text);
    leat_json_escape(&out, text);
    LEAT_ASSERT(leat_utf8_is_valid(leat_buf_slice(&out)));
    return 0;
}
