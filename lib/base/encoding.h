/* Base64, hex, URI escapes, UTF-8 checks, JSON string escapes. Pure. */
#ifndef LEAT_BASE_ENCODING_H
#define LEAT_BASE_ENCODING_H

#include "base/buf.h"

void leat_base64_encode(struct leat_buf *out, struct leat_slice bytes);
/* Standard alphabet with padding. Out of place; returns false on a character that does not belong. */
bool leat_base64_decode(struct leat_buf *out, struct leat_slice text);
/* Decodes to `out` (room for 3 * size / 4 bytes; may be the text's own memory); SIZE_MAX: malformed. */
size_t leat_base64_decode_to(unsigned char *out, struct leat_slice text);
void leat_hex_encode(struct leat_buf *out, struct leat_slice bytes); /* lower case */
bool leat_hex_decode(struct leat_buf *out, struct leat_slice text);
/* RFC 3986 as AWS signs it: all but A-Za-z0-9-._~ (and '/' when keep_slash) as %XX upper case. */
void leat_uri_escape(struct leat_buf *out, struct leat_slice text, bool keep_slash);
bool leat_uri_unescape(struct leat_buf *out, struct leat_slice text);
bool leat_utf8_is_valid(struct leat_slice text); /* zero bytes are valid here */
/* The text inside a JSON string, without the quotes; bytes that are no UTF-8 become U+FFFD. */
/*
 * The bytes of the character that begins the text, which is not empty; 0: none that a terminal may be given: broken UTF-8, or
 * one that moves the cursor or the order of letters (U+0000-1F, U+007F-9F, line and paragraph separators, bidirectional
 * controls). leat_json_escape writes those as \uXXXX.
 */
size_t leat_utf8_shown(struct leat_slice text);
void leat_json_escape(struct leat_buf *out, struct leat_slice text);

#endif
