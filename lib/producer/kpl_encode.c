/*
 * AggregatedRecord { repeated string partition_key_table = 1; repeated string explicit_hash_key_table = 2;
 * repeated Record records = 3 }: each of the three grows in a buf of its own, as finished fields, and seal puts them one after
 * the other. So the size is known before a record is added, and nothing has to be taken back.
 */
#include "producer/kpl_encode.h"

#include <openssl/evp.h>

#include "base/memory.h"
#include "stream/deaggregate.h"

#define MD5_BYTES 16
#define BYTES_FIELD(number) ((unsigned char)((number) << 3 | 2))
#define VARINT_FIELD(number) ((unsigned char)((number) << 3))

static const unsigned char magic[4] = {0xF3, 0x89, 0x9A, 0xC2};

static size_t
varint_size(uint64_t value)
{
    size_t size = 1;

    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

static void
add_varint(struct leat_buf *buf, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        leat_buf_add_byte(buf, (unsigned char)(value | 0x80));
    leat_buf_add_byte(buf, (unsigned char)value);
}

/* A length-delimited field with a number below 16. */
static size_t
field_size(size_t content_bytes)
{
    return 1 + varint_size(content_bytes) + content_bytes;
}

static void
add_field(struct leat_buf *buf, unsigned number, struct leat_slice content)
{
    leat_buf_add_byte(buf, BYTES_FIELD(number));
    add_varint(buf, content.size);
    leat_buf_add_slice(buf, content);
}

static void
table_init(struct leat_kpl_table *table)
{
    leat_map_init(&table->places);
    leat_buf_init(&table->fields, SIZE_MAX);
}

static void
table_release(struct leat_kpl_table *table)
{
    leat_map_release(&table->places, NULL);
    leat_buf_release(&table->fields);
}

/* Where the key is, or would be put; *ret_bytes: what the table grows by. */
static uint64_t
table_place(const struct leat_kpl_table *table, struct leat_slice key, size_t *ret_bytes)
{
    uintptr_t place = (uintptr_t)leat_map_get(&table->places, key);

    *ret_bytes = place != 0 ? 0 : field_size(key.size);
    return place != 0 ? place - 1 : table->places.count;
}

static void
table_add(struct leat_kpl_table *table, unsigned number, struct leat_slice key, uint64_t place)
{
    if (place < table->places.count)
        return;
    leat_map_put(&table->places, key, (void *)(uintptr_t)(place + 1));
    add_field(&table->fields, number, key);
}

void
leat_kpl_encoder_init(struct leat_kpl_encoder *encoder, size_t maximum_bytes)
{
    *encoder = (struct leat_kpl_encoder){.maximum_bytes = maximum_bytes};
    table_init(&encoder->partition_keys);
    table_init(&encoder->explicit_hash_keys);
    leat_buf_init(&encoder->records, SIZE_MAX);
}

void
leat_kpl_encoder_release(struct leat_kpl_encoder *encoder)
{
    table_release(&encoder->partition_keys);
    table_release(&encoder->explicit_hash_keys);
    leat_buf_release(&encoder->records);
}

size_t
leat_kpl_encoder_size(const struct leat_kpl_encoder *encoder)
{
    return LEAT_KPL_FRAME_BYTES + encoder->partition_keys.fields.size +
           encoder->explicit_hash_keys.fields.size + encoder->records.size;
}

bool
leat_kpl_encoder_add(struct leat_kpl_encoder *encoder, struct leat_slice partition_key,
                     struct leat_slice explicit_hash_key, struct leat_slice data)
{
    bool has_hash_key = explicit_hash_key.size > 0;
    size_t key_bytes, hash_key_bytes = 0, content_bytes;
    uint64_t key_place = table_place(&encoder->partition_keys, partition_key, &key_bytes);
    uint64_t hash_key_place = 0;

    if (has_hash_key)
        hash_key_place =
            table_place(&encoder->explicit_hash_keys, explicit_hash_key, &hash_key_bytes);
    content_bytes = 1 + varint_size(key_place) + field_size(data.size) +
                    (has_hash_key ? 1 + varint_size(hash_key_place) : 0);
    if (encoder->count == LEAT_EXPAND_ELEMENTS ||
        leat_kpl_encoder_size(encoder) + key_bytes + hash_key_bytes + field_size(content_bytes) >
            encoder->maximum_bytes)
        return false;
    table_add(&encoder->partition_keys, 1, partition_key, key_place);
    if (has_hash_key)
        table_add(&encoder->explicit_hash_keys, 2, explicit_hash_key, hash_key_place);
    leat_buf_add_byte(&encoder->records, BYTES_FIELD(3));
    add_varint(&encoder->records, content_bytes);
    leat_buf_add_byte(&encoder->records, VARINT_FIELD(1));
    add_varint(&encoder->records, key_place);
    if (has_hash_key) {
        leat_buf_add_byte(&encoder->records, VARINT_FIELD(2));
        add_varint(&encoder->records, hash_key_place);
    }
    add_field(&encoder->records, 3, data);
    encoder->count++;
    return true;
}

static void
table_clear(struct leat_kpl_table *table)
{
    leat_map_release(&table->places, NULL);
    leat_map_init(&table->places);
    leat_buf_clear(&table->fields);
}

void
leat_kpl_encoder_seal(struct leat_kpl_encoder *encoder, struct leat_buf *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t start;

    LEAT_ASSERT(encoder->count > 0);
    leat_buf_reserve(out, leat_kpl_encoder_size(encoder));
    leat_buf_add(out, magic, sizeof magic);
    start = out->size;
    leat_buf_add_slice(out, leat_buf_slice(&encoder->partition_keys.fields));
    leat_buf_add_slice(out, leat_buf_slice(&encoder->explicit_hash_keys.fields));
    leat_buf_add_slice(out, leat_buf_slice(&encoder->records));
    LEAT_ASSERT(EVP_Digest(out->data + start, out->size - start, digest, NULL, EVP_md5(), NULL) ==
                1);
    leat_buf_add(out, digest, MD5_BYTES);
    table_clear(&encoder->partition_keys);
    table_clear(&encoder->explicit_hash_keys);
    leat_buf_clear(&encoder->records);
    encoder->count = 0;
}
