/*
 * A bounded walk over protobuf's wire format: varints of at most 10 bytes, lengths inside the message, unknown fields
 * skipped, groups refused. The whole is checked before the first record is handed out: an aggregate is taken apart or not.
 */
#include "stream/kpl.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/memory.h"

#define MD5_BYTES 16

static const unsigned char magic[4] = {0xF3, 0x89, 0x9A, 0xC2};

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct field {
    uint64_t number, integer;
    enum wire wire;
    struct leat_slice bytes;
};

static bool
read_varint(struct leat_slice message, size_t *position, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70 && *position < message.size; shift += 7) {
        unsigned char byte = message.data[(*position)++];

        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7F) << (shift < 64 ? shift : 63);
        if ((byte & 0x80) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool
read_bytes(struct leat_slice message, size_t *position, uint64_t size, struct leat_slice *ret_bytes)
{
    if (size > message.size - *position)
        return false;
    *ret_bytes = leat_slice_make(message.data + *position, (size_t)size);
    *position += (size_t)size;
    return true;
}

static bool
read_field(struct leat_slice message, size_t *position, struct field *field)
{
    uint64_t key, size;

    if (!read_varint(message, position, &key))
        return false;
    field->number = key >> 3;
    field->wire = (enum wire)(key & 7);
    if (field->number == 0)
        return false;
    switch (field->wire) {
    case VARINT:
        return read_varint(message, position, &field->integer);
    case FIXED64:
        return read_bytes(message, position, 8, &field->bytes);
    case FIXED32:
        return read_bytes(message, position, 4, &field->bytes);
    case BYTES:
        return read_varint(message, position, &size) &&
               read_bytes(message, position, size, &field->bytes);
    }
    return false;
}

/* Record { required partition_key_index = 1; optional explicit_hash_key_index = 2; required data = 3 } */
static bool
read_record(struct leat_slice message, struct leat_kpl_record *record)
{
    bool has_key = false, has_data = false;
    size_t position = 0;

    *record = (struct leat_kpl_record){0};
    while (position < message.size) {
        struct field field;

        if (!read_field(message, &position, &field))
            return false;
        if (field.number == 1 && field.wire == VARINT) {
            record->partition_key_index = field.integer;
            has_key = true;
        } else if (field.number == 2 && field.wire == VARINT) {
            record->explicit_hash_key_index = field.integer;
            record->has_explicit_hash_key = true;
        } else if (field.number == 3 && field.wire == BYTES) {
            record->data = field.bytes;
            has_data = true;
        }
    }
    return has_key && has_data;
}

static bool
md5_is_right(struct leat_slice message, const unsigned char *wanted)
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    LEAT_ASSERT(EVP_Digest(message.data, message.size, digest, NULL, EVP_md5(), NULL) == 1);
    return memcmp(digest, wanted, MD5_BYTES) == 0;
}

static void
want(struct leat_kpl_keys *table, uint64_t index)
{
    if (index >= table->wanted && index < SIZE_MAX)
        table->wanted = (size_t)index + 1;
}

/* Looks at every field once: counts the keys, and notes which of them any record names. */
static enum leat_kpl_outcome
check_message(struct leat_kpl *kpl)
{
    size_t position = 0;

    while (position < kpl->message.size) {
        struct leat_kpl_record record;
        struct field field;

        if (!read_field(kpl->message, &position, &field))
            return LEAT_KPL_BAD_MD5;
        if (field.wire != BYTES || field.number > 3)
            continue;
        if (field.number == 1) {
            kpl->partition_keys.count++;
        } else if (field.number == 2) {
            kpl->explicit_hash_keys.count++;
        } else {
            if (!read_record(field.bytes, &record))
                return LEAT_KPL_BAD_MD5;
            kpl->record_count++;
            want(&kpl->partition_keys, record.partition_key_index);
            if (record.has_explicit_hash_key)
                want(&kpl->explicit_hash_keys, record.explicit_hash_key_index);
        }
    }
    return LEAT_KPL_AGGREGATE;
}

enum leat_kpl_outcome
leat_kpl_open(struct leat_kpl *kpl, struct leat_slice data)
{
    if (data.size <= sizeof magic + MD5_BYTES || memcmp(data.data, magic, sizeof magic) != 0 ||
        data.size > UINT32_MAX)
        return LEAT_KPL_PLAIN;
    kpl->message = leat_slice_make(data.data + sizeof magic, data.size - sizeof magic - MD5_BYTES);
    kpl->position = kpl->record_count = 0;
    kpl->partition_keys.count = kpl->partition_keys.wanted = 0;
    kpl->explicit_hash_keys.count = kpl->explicit_hash_keys.wanted = 0;
    if (!md5_is_right(kpl->message, data.data + data.size - MD5_BYTES))
        return LEAT_KPL_BAD_MD5;
    return check_message(kpl);
}

/* ---- tables of keys -------------------------------------------------------------------------- */

static size_t
table_size(const struct leat_kpl_keys *table)
{
    return table->wanted < table->count ? table->wanted : table->count;
}

size_t
leat_kpl_table_bytes(const struct leat_kpl *kpl)
{
    return (table_size(&kpl->partition_keys) + table_size(&kpl->explicit_hash_keys)) *
           sizeof(uint32_t);
}

static void
make_room(struct leat_kpl_keys *table)
{
    if (table_size(table) > table->capacity) {
        free(table->places);
        table->capacity = table_size(table);
        table->places = LEAT_NEW_ARRAY(uint32_t, table->capacity);
    }
}

void
leat_kpl_fill_tables(struct leat_kpl *kpl)
{
    size_t position = 0, partition_keys = 0, explicit_hash_keys = 0;

    make_room(&kpl->partition_keys);
    make_room(&kpl->explicit_hash_keys);
    while (position < kpl->message.size) {
        uint32_t place = (uint32_t)position;
        struct field field;

        LEAT_ASSERT(read_field(kpl->message, &position, &field)); /* checked by open */
        if (field.wire != BYTES)
            continue;
        if (field.number == 1 && partition_keys < table_size(&kpl->partition_keys))
            kpl->partition_keys.places[partition_keys++] = place;
        else if (field.number == 2 && explicit_hash_keys < table_size(&kpl->explicit_hash_keys))
            kpl->explicit_hash_keys.places[explicit_hash_keys++] = place;
    }
}

bool
leat_kpl_key(const struct leat_kpl *kpl, const struct leat_kpl_keys *table, uint64_t index,
             struct leat_slice *ret_key)
{
    struct field field;
    size_t position;

    if (index >= table_size(table))
        return false;
    position = table->places[index];
    LEAT_ASSERT(read_field(kpl->message, &position, &field));
    *ret_key = field.bytes;
    return true;
}

bool
leat_kpl_next(struct leat_kpl *kpl, struct leat_kpl_record *ret_record)
{
    while (kpl->position < kpl->message.size) {
        struct field field;

        LEAT_ASSERT(read_field(kpl->message, &kpl->position, &field)); /* checked by open */
        if (field.number == 3 && field.wire == BYTES)
            return read_record(field.bytes, ret_record);
    }
    return false;
}

void
leat_kpl_release(struct leat_kpl *kpl)
{
    free(kpl->partition_keys.places);
    free(kpl->explicit_hash_keys.places);
    *kpl = (struct leat_kpl){0};
}
