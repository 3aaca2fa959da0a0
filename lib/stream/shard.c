/* Shard lists, and hash keys of 128 bits: decimal in the API, MD5 of the partition key where none is given. Pure. */
#include "stream/shard.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/memory.h"

void
leat_shard_list_init(struct leat_shard_list *list)
{
    *list = (struct leat_shard_list){0};
    leat_arena_init(&list->arena);
}

void
leat_shard_list_release(struct leat_shard_list *list)
{
    free(list->shards);
    leat_arena_release(&list->arena);
    leat_shard_list_init(list);
}

void
leat_shard_list_add(struct leat_shard_list *list, const struct leat_shard_facts *facts)
{
    struct leat_shard_facts *copy;

    LEAT_ASSERT(facts->parent_count <= LEAT_SHARD_PARENTS);
    LEAT_GROW(list->shards, list->count, list->capacity);
    copy = &list->shards[list->count++];
    *copy = *facts;
    copy->shard = leat_arena_copy(&list->arena, facts->shard);
    for (size_t i = 0; i < facts->parent_count; i++)
        copy->parents[i] = leat_arena_copy(&list->arena, facts->parents[i]);
    copy->starting_hash_key = leat_arena_copy(&list->arena, facts->starting_hash_key);
    copy->ending_hash_key = leat_arena_copy(&list->arena, facts->ending_hash_key);
    copy->starting_sequence = leat_arena_copy(&list->arena, facts->starting_sequence);
    copy->ending_sequence = leat_arena_copy(&list->arena, facts->ending_sequence);
}

const struct leat_shard_facts *
leat_shard_list_find(const struct leat_shard_list *list, struct leat_slice shard)
{
    for (size_t i = 0; i < list->count; i++) {
        if (leat_slice_equals(list->shards[i].shard, shard))
            return &list->shards[i];
    }
    return NULL;
}

bool
leat_hash_key_parse(struct leat_slice decimal, struct leat_hash_key *ret_key)
{
    unsigned __int128 key = 0;

    if (decimal.size == 0 || decimal.size > 39)
        return false;
    for (size_t i = 0; i < decimal.size; i++) {
        unsigned char digit = decimal.data[i];

        if (digit < '0' || digit > '9' ||
            __builtin_mul_overflow(key, (unsigned __int128)10, &key) ||
            __builtin_add_overflow(key, (unsigned __int128)(digit - '0'), &key))
            return false;
    }
    *ret_key = (struct leat_hash_key){(uint64_t)(key >> 64), (uint64_t)key};
    return true;
}

static uint64_t
big_endian(const unsigned char *bytes)
{
    uint64_t word = 0;

    for (int i = 0; i < 8; i++)
        word = word << 8 | bytes[i];
    return word;
}

void
leat_hash_key_of(struct leat_slice partition_key, struct leat_hash_key *ret_key)
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    LEAT_ASSERT(EVP_Digest(partition_key.data, partition_key.size, digest, NULL, EVP_md5(), NULL) ==
                1);
    *ret_key = (struct leat_hash_key){big_endian(digest), big_endian(digest + 8)};
}

int
leat_hash_key_compare(struct leat_hash_key a, struct leat_hash_key b)
{
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return a.low < b.low ? -1 : a.low > b.low;
}

void
leat_hash_key_format(struct leat_hash_key key, struct leat_buf *out)
{
    unsigned __int128 rest = (unsigned __int128)key.high << 64 | key.low;
    char text[40];
    size_t next = sizeof text;

    do {
        text[--next] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest > 0);
    leat_buf_add(out, text + next, sizeof text - next);
}
