/* Base64, hex, URI escapes, UTF-8 and JSON escapes. Pure. */
#include "base/encoding.h"

#include <endian.h>

static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void
base64_write(unsigned char *quad, unsigned word)
{
    quad[0] = (unsigned char)base64_letters[word >> 18];
    quad[1] = (unsigned char)base64_letters[word >> 12 & 63];
    quad[2] = (unsigned char)base64_letters[word >> 6 & 63];
    quad[3] = (unsigned char)base64_letters[word & 63];
}

void
leat_base64_encode(struct leat_buf *out, struct leat_slice bytes)
{
    const unsigned char *from = bytes.data;
    size_t left = bytes.size;
    unsigned char *quad;

    if (left > SIZE_MAX / 4 || !leat_buf_reserve(out, (left + 2) / 3 * 4))
        return;
    quad = out->data + out->size;
    for (; left > 2; left -= 3, from += 3, quad += 4)
        base64_write(quad, (unsigned)from[0] << 16 | (unsigned)from[1] << 8 | from[2]);
    if (left > 0) {
        base64_write(quad, (unsigned)from[0] << 16 | (left > 1 ? (unsigned)from[1] << 8 : 0));
        if (left == 1)
            quad[2] = '=';
        quad[3] = '=';
    }
    out->size += (bytes.size + 2) / 3 * 4;
}

/* The six bits of a letter; 64: no letter. */
// clang-format off
static const unsigned char base64_table[256] = {
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 64, 64, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64,
    64, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 64,
    64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
};
// clang-format on

static unsigned
base64_quad(const unsigned char *text, unsigned *bad)
{
    unsigned a = base64_table[text[0]], b = base64_table[text[1]];
    unsigned c = base64_table[text[2]], d = base64_table[text[3]];

    *bad |= a | b | c | d;
    return a << 18 | b << 12 | c << 6 | d;
}

/*
 * Eight letters become six bytes by one store of eight: the two too many are written over by the next, and
 * never reach letters that are still to be read (6i + 8 <= 8i + 8) when out is the text's own memory.
 */
static size_t
base64_long_run(unsigned char *out, const unsigned char *text, size_t quads, unsigned *bad)
{
    size_t done = 0;

    for (; done + 4 <= quads; done += 2) {
        uint64_t high = base64_quad(text + 4 * done, bad);
        uint64_t low = base64_quad(text + 4 * done + 4, bad);
        uint64_t word = htobe64(high << 40 | low << 16);

        memcpy(out + 3 * done, &word, sizeof word);
    }
    return done;
}

size_t
leat_base64_decode_to(unsigned char *out, struct leat_slice text)
{
    size_t padding = 0, made, whole, done;
    unsigned bad = 0;

    if (text.size % 4 != 0)
        return SIZE_MAX;
    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
        padding++;
    whole = text.size / 4 - (padding > 0);
    done = base64_long_run(out, text.data, whole, &bad);
    for (made = 3 * done; done < whole; done++) {
        unsigned word = base64_quad(text.data + 4 * done, &bad);

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
    size_t room = text.size / 4 * 3, made;

    for (size_t i = 1; i <= 2 && i <= text.size && text.data[text.size - i] == '='; i++)
        room -= room > 0;
    if (!leat_buf_reserve(out, room))
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

    if (bytes.size > SIZE_MAX / 4 || !leat_buf_reserve(out, bytes.size * 2))
        return;
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
        size_t length;
        uint64_t word;

        if (text.size - i >= sizeof word) {
            memcpy(&word, text.data + i, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof word;
                continue;
            }
        }
        length = utf8_sequence(text.data + i, text.size - i);
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

/* Bytes at the front that stand for themselves: most texts are one such run. */
static size_t
plain_run(const unsigned char *bytes, size_t size)
{
    size_t i = 0;

    while (i < size && bytes[i] >= 0x20 && bytes[i] < 0x7F && bytes[i] != '"' && bytes[i] != '\\')
        i++;
    return i;
}

/* Of a whole sequence of 2 or 3 bytes. */
static unsigned
code_point(const unsigned char *bytes, size_t length)
{
    return length == 2 ? (bytes[0] & 0x1Fu) << 6 | (bytes[1] & 0x3Fu)
                       : (bytes[0] & 0x0Fu) << 12 | (bytes[1] & 0x3Fu) << 6 | (bytes[2] & 0x3Fu);
}

/* What moves a terminal's cursor, or makes a line read otherwise than it is. */
static bool
is_control(const unsigned char *bytes, size_t length)
{
    unsigned code;

    if (length == 1)
        return bytes[0] < 0x20 || bytes[0] == 0x7F;
    if (length == 4)
        return false;
    code = code_point(bytes, length);
    return code < 0xA0 || code == 0x61C || code == 0x200E || code == 0x200F ||
           (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

size_t
leat_utf8_shown(struct leat_slice text)
{
    size_t length = utf8_sequence(text.data, text.size);

    return length > 0 && !is_control(text.data, length) ? length : 0;
}

void
leat_json_escape(struct leat_buf *out, struct leat_slice text)
{
    for (size_t i = 0; i < text.size;) {
        size_t length = plain_run(text.data + i, text.size - i);

        if (length > 0) {
            leat_buf_add(out, text.data + i, length);
            i += length;
            continue;
        }
        length = utf8_sequence(text.data + i, text.size - i);
        if (length == 1)
            escape_ascii(out, text.data[i]);
        else if (length == 0)
            leat_buf_add_text(out, "\xEF\xBF\xBD");
        else if (is_control(text.data + i, length))
            leat_buf_printf(out, "\\u%04x", code_point(text.data + i, length));
        else
            leat_buf_add(out, text.data + i, length);
        i += length > 0 ? length : 1;
    }
}
