/* A letter's name and its envelope (docs/protocol.md §7; schemas/envelope.schema.json). Pure. */
#include <openssl/evp.h>

#include "base/encoding.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/units.h"
#include "failure/letters_inside.h"

const char *const leat_letter_reasons[] = {
    "failed",
    "exhausted",
    "bad_row",
    "rejected",
    "rejected_row",
    "outside_hash_range",
    "bad_aggregate_index",
    "bad_json_array",
    "expansion_limit",
    "most_elements",
    "lost",
    NULL,
};

static void
add_part(struct leat_buf *out, struct leat_slice part)
{
    leat_buf_add_be64(out, part.size);
    leat_buf_add_slice(out, part);
}

void
leat_dead_letter_id(const struct leat_letter *letter, char ret_hex[65])
{
    LEAT_AUTO_BUF bytes = LEAT_BUF_INIT;
    LEAT_AUTO_BUF hex = LEAT_BUF_INIT;
    unsigned char digest[EVP_MAX_MD_SIZE];
    char sub[24];

    snprintf(sub, sizeof sub, "%lld", (long long)letter->sub_sequence);
    add_part(&bytes, letter->application);
    add_part(&bytes, letter->processor);
    add_part(&bytes, letter->tenant);
    add_part(&bytes, letter->stream_id);
    add_part(&bytes, letter->shard);
    add_part(&bytes, letter->sequence);
    add_part(&bytes, leat_slice_from(sub));
    if (letter->is_row)
        add_part(&bytes, letter->data);
    LEAT_ASSERT(EVP_Digest(bytes.data, bytes.size, digest, NULL, EVP_sha256(), NULL) == 1);
    leat_hex_encode(&hex, leat_slice_make(digest, 32));
    memcpy(ret_hex, leat_buf_text(&hex), 65);
}

static void
add_time(struct leat_json *json, const char *key, int64_t us)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    if (us <= 0)
        return;
    leat_format_time(&text, us);
    leat_json_text(json, key, leat_buf_text(&text));
}

/* UTF-8 that a person can read: no zero bytes, and few others that JSON writes with six letters. */
static bool
is_text(struct leat_slice bytes)
{
    size_t controls = 0;

    if (!leat_utf8_is_valid(bytes))
        return false;
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] == '\0')
            return false;
        controls += bytes.data[i] < 0x20 && bytes.data[i] != '\n' && bytes.data[i] != '\t' &&
                    bytes.data[i] != '\r';
    }
    return controls <= bytes.size / 16;
}

/* Bytes of the stream: as text where they are some; always exact. */
static void
add_bytes(struct leat_json *json, const char *text_key, const char *base64_key,
          struct leat_slice bytes)
{
    if (is_text(bytes))
        leat_json_slice(json, text_key, bytes);
    else
        leat_json_base64(json, base64_key, bytes);
}

/* Beside its data a letter holds little: a key of half a mebibyte (an aggregate may have one) is data, too. */
static bool
has_room_for_key(const struct leat_letter *letter, struct leat_slice archive_url)
{
    return archive_url.size == 0 || letter->partition_key.size <= LEAT_REFERENCE_KEY_BYTES;
}

void
leat_letter_envelope(const struct leat_letter *letter, struct leat_slice archive_url,
                     int64_t now_us, struct leat_buf *out)
{
    char id[65];

    leat_dead_letter_id(letter, id);
    leat_letter_envelope_as(letter, id, archive_url, now_us, out);
}

void
leat_letter_envelope_as(const struct leat_letter *letter, const char *id,
                        struct leat_slice archive_url, int64_t now_us, struct leat_buf *out)
{
    struct leat_json json;

    leat_json_begin(&json, out);
    leat_json_object(&json, NULL);
    leat_json_integer(&json, "leat_letter", 1);
    leat_json_text(&json, "dead_letter_id", id);
    leat_json_slice(&json, "application", letter->application);
    leat_json_slice(&json, "processor", letter->processor);
    if (letter->tenant.size > 0)
        leat_json_slice(&json, "tenant", letter->tenant);
    leat_json_slice(&json, "stream", letter->stream);
    leat_json_slice(&json, "stream_id", letter->stream_id);
    leat_json_slice(&json, "shard", letter->shard);
    leat_json_slice(&json, "sequence", letter->sequence);
    leat_json_integer(&json, "sub_sequence", letter->sub_sequence);
    if (has_room_for_key(letter, archive_url))
        add_bytes(&json, "partition_key", "partition_key_base64", letter->partition_key);
    else
        leat_json_integer(&json, "partition_key_bytes", (int64_t)letter->partition_key.size);
    if (letter->explicit_hash_key.size > 0 && has_room_for_key(letter, archive_url))
        add_bytes(&json, "explicit_hash_key", "explicit_hash_key_base64",
                  letter->explicit_hash_key);
    add_time(&json, "arrival_time", letter->arrival_us);
    add_time(&json, "failed_at", now_us);
    leat_json_integer(&json, "attempts", letter->attempts);
    leat_json_integer(&json, "hops", 1);
    leat_json_slice(&json, "reason", letter->reason);
    leat_json_slice(&json, "text", letter->text);
    if (letter->sqlstate.size > 0)
        leat_json_slice(&json, "sqlstate", letter->sqlstate);
    if (letter->is_row)
        leat_json_bool(&json, "is_row", true);
    leat_json_integer(&json, "data_bytes", (int64_t)letter->data.size);
    if (archive_url.size > 0)
        leat_json_slice(&json, "archive_url", archive_url);
    else
        add_bytes(&json, "data", "data_base64", letter->data);
    leat_json_object_end(&json);
}
