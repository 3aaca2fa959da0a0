/* Base64, hex, URI escapes, UTF-8 and JSON escapes. Pure. */
#include "base/encoding.h"

#include "base/memory.h"

static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
leat_base64_encode(struct leat_buf *out, struct leat_slice bytes)
{
    size_t i;

    if (!leat_buf_reserve(out, (bytes.size + 2) / 3 * 4))
        return;
    for (i = 0; i + 2 < bytes.size; i += 3) {
        unsigned word = (unsigned)bytes.data[i] << 16 | (unsigned)bytes.data[i + 1] << 8 |
                        bytes.data[i + 2];
        char quad[4] = {base64_letters[word >> 18], base64_letters[word >> 12 & 63],
                        base64_letters[word >> 6 & 63], base64_letters[word & 63]};

        leat_buf_add(out, quad, 4);
    }
    if (i < bytes.size) {
        bool has_two = i + 1 < bytes.size;
        unsigned word = (unsigned)bytes.data[i] << 16 |
                        (has_two ? (unsigned)bytes.data[i + 1] << 8 : 0);
        char quad[4] = {base64_letters[word >> 18], base64_letters[word >> 12 & 63],
                        has_two ? base64_letters[word >> 6 & 63] : '=', '='};

        leat_buf_add(out, quad, 4);
    }
}

/* The six bits of a letter; 64: no letter. */
static unsigned
base64_bits(unsigned char letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26u;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52u;
    return letter == '+' ? 62 : letter == '/' ? 63 : 64;
}

/* Made at compile time by the loader's initialiser: one look-up a letter on the hot path. */
static unsigned char base64_table[256];

__attribute__((constructor)) static void
base64_fill(void)
{
    for (unsigned letter = 0; letter < 256; letter++)
        base64_table[letter] = (unsigned char)base64_bits((unsigned char)letter);
}

size_t
leat_base64_decode_to(unsigned char *out, struct leat_slice text)
{
    size_t padding = 0, made = 0, whole;
    unsigned bad = 0;

    if (text.size % 4 != 0)
        return SIZE_MAX;
    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
        padding++;
    whole = text.size / 4 - (padding > 0);
    for (size_t i = 0; i < whole; i++) {
        unsigned a = base64_table[text.data[4 * i]], b = base64_table[text.data[4 * i + 1]];
        unsigned c = base64_table[text.data[4 * i + 2]], d = base64_table[text.data[4 * i + 3]];
        unsigned word = a << 18 | b << 12 | c << 6 | d;

        bad |= a | b | c | d;
        out[made++] = (unsigned char)(word >> 16);
        out[made++] = (unsigned char)(word >> 8);
        out[made++] = (unsigned char)word;
    }
    if (padding > 0) {
        const unsigned char *last = text.data + 4 * whole;
        unsigned a = base64_table[last[0]], b = base64_table[last[1]];
        unsigned c = padding == 1 ? base64_table[last[2]] : 0;

        bad |= a | b | c;
        out[made++] = (unsigned char)(a << 2 | b >> 4);
        if (padding == 1)
            out[made++] = (unsigned char)((b & 15) << 4 | c >> 2);
    }
    return bad & 64 ? SIZE_MAX : made;
}

bool
leat_base64_decode(struct leat_buf *out, struct leat_slice text)
{
    size_t made;

    if (!leat_buf_reserve(out, text.size / 4 * 3))
        return false;
    made = leat_base64_decode_to(out->data + out->size, text);
    if (made == SIZE_MAX)
        return false;
    out->size += made;
    return true;
}

void
leat_hex_encode(struct leat_buf *out, struct leat_slice bytes)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes.size; i++) {
        char pair[2] = {digits[bytes.data[i] >> 4], digits[bytes.data[i] & 15]};

        leat_buf_add(out, pair, 2);
    }
}

static int
hex_digit(unsigned char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    if (letter >= 'a' && letter <= 'f')
        return letter - 'a' + 10;
    return letter >= 'A' && letter <= 'F' ? letter - 'A' + 10 : -1;
}

bool
leat_hex_decode(struct leat_buf *out, struct leat_slice text)
{
    if (text.size % 2 != 0)
        return false;
    for (size_t i = 0; i < text.size; i += 2) {
        int high = hex_digit(text.data[i]), low = hex_digit(text.data[i + 1]);

        if (high < 0 || low < 0 || !leat_buf_add_byte(out, (unsigned char)(high << 4 | low)))
            return false;
    }
    return true;
}

static bool
is_unreserved(unsigned char letter)
{
    return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') ||
           (letter >= '0' && letter <= '9') || letter == '-' || letter == '.' || letter == '_' ||
           letter == '~';
}

void
leat_uri_escape(struct leat_buf *out, struct leat_slice text, bool keep_slash)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char letter = text.data[i];

        if (is_unreserved(letter) || (keep_slash && letter == '/'))
            leat_buf_add_byte(out, letter);
        else
            leat_buf_printf(out, "%%%02X", letter);
    }
}

bool
leat_uri_unescape(struct leat_buf *out, struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') {
            leat_buf_add_byte(out, text.data[i]);
            continue;
        }
        if (i + 2 >= text.size || hex_digit(text.data[i + 1]) < 0 ||
            hex_digit(text.data[i + 2]) < 0)
            return false;
        leat_buf_add_byte(
            out, (unsigned char)(hex_digit(text.data[i + 1]) << 4 | hex_digit(text.data[i + 2])));
        i += 2;
    }
    return true;
}

/* The length of the UTF-8 sequence at the front: 1 … 4, or 0 when there is none (RFC 3629). */
static size_t
utf8_sequence(const unsigned char *bytes, size_t size)
{
    unsigned char first = bytes[0];
    size_t length = first < 0x80   ? 1
                    : first < 0xC2 ? 0
                    : first < 0xE0 ? 2
                    : first < 0xF0 ? 3
                    : first < 0xF5 ? 4
                                   : 0;

    if (length == 0 || length > size)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    }
    if ((first == 0xE0 && bytes[1] < 0xA0) || (first == 0xED && bytes[1] > 0x9F) ||
        (first == 0xF0 && bytes[1] < 0x90) || (first == 0xF4 && bytes[1] > 0x8F))
        return 0;
    return length;
}

bool
leat_utf8_is_valid(struct leat_slice text)
{
    for (size_t i = 0; i < text.size;) {
        size_t length = utf8_sequence(text.data + i, text.size - i);

        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

static void
escape_ascii(struct leat_buf *out, unsigned char letter)
{
    static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";

    for (size_t i = 0; short_forms[i] != '\0'; i += 2) {
        if (letter == (unsigned char)short_forms[i]) {
            leat_buf_add_byte(out, '\\');
            leat_buf_add_byte(out, (unsigned char)short_forms[i + 1]);
            return;
        }
    }
    if (letter < 0x20 || letter == 0x7F)
        leat_buf_printf(out, "\\u%04x", letter);
    else
        leat_buf_add_byte(out, letter);
}

void
leat_json_escape(struct leat_buf *out, struct leat_slice text)
{
    for (size_t i = 0; i < text.size;) {
        size_t length = utf8_sequence(text.data + i, text.size - i);

        if (length == 1)
            escape_ascii(out, text.data[i]);
        else if (length == 0)
            leat_buf_add_text(out, "\xEF\xBF\xBD");
        else
            leat_buf_add(out, text.data + i, length);
        i += length > 0 ? length : 1;
    }
}
