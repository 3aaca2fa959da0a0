/* Names of letters: other people's words as parts of a path. */
#include <openssl/evp.h>

#include "base/encoding.h"
#include "base/memory.h"
#include "failure/archive.h"

#define PART_BYTES 200 /* a file system takes 255, S3 1,024 for the whole */
#define KEPT_BYTES 100

static bool
is_plain(unsigned char byte, bool is_first)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-' || (byte == '.' && !is_first);
}

static void
add_part(struct leat_buf *out, struct leat_slice name)
{
    LEAT_AUTO_BUF part = LEAT_BUF_INIT;

    for (size_t i = 0; i < name.size && part.size <= PART_BYTES; i++) {
        if (is_plain(name.data[i], i == 0))
            leat_buf_add_byte(&part, name.data[i]);
        else
            leat_buf_printf(&part, "!%02X", name.data[i]);
    }
    if (name.size == 0)
        leat_buf_add_byte(&part, '!');
    if (part.size > PART_BYTES) {
        unsigned char digest[EVP_MAX_MD_SIZE];

        LEAT_ASSERT(EVP_Digest(name.data, name.size, digest, NULL, EVP_sha256(), NULL) == 1);
        part.size = KEPT_BYTES;
        leat_buf_add_text(&part, "!!");
        leat_hex_encode(&part, leat_slice_make(digest, 32));
    }
    leat_buf_add_slice(out, leat_buf_slice(&part));
    leat_buf_add_byte(out, '/');
}

void
leat_archive_name(struct leat_slice application, struct leat_slice stream, const char *day,
                  const char *id, struct leat_buf *out)
{
    add_part(out, application);
    add_part(out, stream);
    leat_buf_printf(out, "%s/%s.json", day, id);
}
