/* Shard lists, and hash keys of 128 bits: decimal in the API, MD5 of the partition key where none is given. Pure. */
#include "stream/shard.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/map.h"
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

/* ---- what a service tells ------------------------------------------------------------------------- */

#define NAME_BYTES 128 /* of the API */

bool
leat_shard_name_is_fine(struct leat_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] <= ' ' || name.data[i] > '~')
            return false;
    }
    return name.size > 0 && name.size <= NAME_BYTES;
}

static bool
is_number(struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.size <= NAME_BYTES;
}

/* true: it was none, and is empty now. */
static bool
forget_odd_number(struct leat_slice *text)
{
    if (is_number(*text))
        return false;
    *text = leat_slice_from("");
    return true;
}

/* Cut short, with dots for what cannot be shown. */
static void
show(struct leat_slice name, char *out, size_t room)
{
    size_t size = 0;

    while (size < name.size && size + 4 < room) {
        out[size] = name.data[size] > ' ' && name.data[size] <= '~' ? (char)name.data[size] : '.';
        size++;
    }
    snprintf(out + size, room - size, "%s", size < name.size ? "..." : "");
}

void
leat_shard_list_add_told(struct leat_shard_list *list, const struct leat_shard_facts *facts)
{
    struct leat_shard_facts told = *facts;
    bool is_odd;

    if (!leat_shard_name_is_fine(facts->shard)) {
        if (list->left_out_count++ == 0)
            show(facts->shard, list->first_left_out, sizeof list->first_left_out);
        return;
    }
    told.parent_count = 0;
    for (size_t i = 0; i < facts->parent_count; i++) {
        if (leat_shard_name_is_fine(facts->parents[i]))
            told.parents[told.parent_count++] = facts->parents[i];
    }
    is_odd = forget_odd_number(&told.starting_hash_key);
    is_odd = forget_odd_number(&told.ending_hash_key) || is_odd;
    is_odd = forget_odd_number(&told.starting_sequence) || is_odd;
    is_odd = forget_odd_number(&told.ending_sequence) || is_odd;
    if (is_odd && list->misnumbered_count++ == 0)
        show(facts->shard, list->first_misnumbered, sizeof list->first_misnumbered);
    leat_shard_list_add(list, &told);
}

/* ---- cycles ----------------------------------------------------------------------------------------- */

/* Parents by index; SIZE_MAX: none, or not listed. */
struct lineage {
    size_t count;
    size_t (*parents)[LEAT_SHARD_PARENTS];
    bool *is_gone;   /* taken away: it is on no cycle */
    size_t *degrees; /* links that are left, to parents or to children */
    size_t *queue;
    size_t *children, *first_child; /* by parent: first_child[i] … first_child[i + 1] */
};

static void
lineage_init(struct lineage *lineage, const struct leat_shard_list *list)
{
    struct leat_map index;

    lineage->count = list->count;
    lineage->parents = leat_alloc_zero(list->count + 1, sizeof *lineage->parents);
    lineage->is_gone = LEAT_NEW_ARRAY(bool, list->count + 1);
    lineage->degrees = LEAT_NEW_ARRAY(size_t, list->count + 1);
    lineage->queue = LEAT_NEW_ARRAY(size_t, list->count + 1);
    lineage->children = LEAT_NEW_ARRAY(size_t, LEAT_SHARD_PARENTS * list->count + 1);
    lineage->first_child = LEAT_NEW_ARRAY(size_t, list->count + 2);
    leat_map_init(&index);
    for (size_t i = 0; i < list->count; i++)
        leat_map_put(&index, list->shards[i].shard, (void *)(uintptr_t)(i + 1));
    for (size_t i = 0; i < list->count; i++) {
        for (size_t p = 0; p < LEAT_SHARD_PARENTS; p++) {
            lineage->parents[i][p] =
                p < list->shards[i].parent_count
                    ? (size_t)(uintptr_t)leat_map_get(&index, list->shards[i].parents[p]) - 1
                    : SIZE_MAX;
            if (lineage->parents[i][p] != SIZE_MAX)
                lineage->first_child[lineage->parents[i][p] + 1]++;
        }
    }
    leat_map_release(&index, NULL);
    for (size_t i = 0; i < list->count; i++)
        lineage->first_child[i + 1] += lineage->first_child[i];
    for (size_t i = 0; i < list->count; i++) {
        for (size_t p = 0; p < LEAT_SHARD_PARENTS; p++) {
            size_t parent = lineage->parents[i][p];

            if (parent != SIZE_MAX)
                lineage->children[lineage->first_child[parent] + lineage->degrees[parent]++] = i;
        }
    }
}

static void
lineage_release(struct lineage *lineage)
{
    free(lineage->parents);
    free(lineage->is_gone);
    free(lineage->degrees);
    free(lineage->queue);
    free(lineage->children);
    free(lineage->first_child);
}

static void
drop_link(struct lineage *lineage, size_t i, size_t *queued)
{
    if (!lineage->is_gone[i] && --lineage->degrees[i] == 0) {
        lineage->is_gone[i] = true;
        lineage->queue[(*queued)++] = i;
    }
}

/* Takes away all without parents, then those that are left without any, and so on; or the same by children. */
static void
peel(struct lineage *lineage, bool by_parents)
{
    size_t queued = 0;

    for (size_t i = 0; i < lineage->count; i++) {
        lineage->degrees[i] = 0;
        for (size_t p = 0; by_parents && p < LEAT_SHARD_PARENTS; p++)
            lineage->degrees[i] += lineage->parents[i][p] != SIZE_MAX &&
                                   !lineage->is_gone[lineage->parents[i][p]];
        for (size_t c = lineage->first_child[i]; !by_parents && c < lineage->first_child[i + 1];
             c++)
            lineage->degrees[i] += !lineage->is_gone[lineage->children[c]];
    }
    for (size_t i = 0; i < lineage->count; i++) {
        if (!lineage->is_gone[i] && lineage->degrees[i] == 0) {
            lineage->is_gone[i] = true;
            lineage->queue[queued++] = i;
        }
    }
    for (size_t at = 0; at < queued; at++) {
        size_t i = lineage->queue[at];

        for (size_t c = lineage->first_child[i]; by_parents && c < lineage->first_child[i + 1]; c++)
            drop_link(lineage, lineage->children[c], &queued);
        for (size_t p = 0; !by_parents && p < LEAT_SHARD_PARENTS; p++) {
            if (lineage->parents[i][p] != SIZE_MAX)
                drop_link(lineage, lineage->parents[i][p], &queued);
        }
    }
}

void
leat_shard_list_cut_cycles(struct leat_shard_list *list)
{
    struct lineage lineage = {0};

    lineage_init(&lineage, list);
    peel(&lineage, true);
    peel(&lineage, false);
    for (size_t i = 0; i < list->count; i++) {
        struct leat_shard_facts *shard = &list->shards[i];
        size_t kept = 0;

        if (lineage.is_gone[i])
            continue;
        if (list->cyclic_count++ == 0)
            show(shard->shard, list->first_cyclic, sizeof list->first_cyclic);
        for (size_t p = 0; p < shard->parent_count; p++) {
            size_t parent = lineage.parents[i][p];

            if (parent == SIZE_MAX || lineage.is_gone[parent])
                shard->parents[kept++] = shard->parents[p];
        }
        shard->parent_count = kept;
    }
    lineage_release(&lineage);
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
