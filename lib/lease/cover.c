/* See cover.h. */
#include "lease/cover.h"

#include <string.h>

#include "base/memory.h"

static int
compare(const void *left, const void *right)
{
    const struct leat_hash_range *a = left, *b = right;

    return leat_hash_key_compare(a->first, b->first);
}

/* false: it is the last there is. */
static bool
step(struct leat_hash_key *key)
{
    key->low++;
    if (key->low == 0)
        key->high++;
    return key->low != 0 || key->high != 0;
}

static struct leat_hash_key
before(struct leat_hash_key key)
{
    if (key.low == 0)
        key.high--;
    key.low--;
    return key;
}

bool
leat_cover_has_hole(struct leat_hash_range *ranges, size_t count, struct leat_hash_range *ret_hole)
{
    const struct leat_hash_key last = {UINT64_MAX, UINT64_MAX};
    struct leat_hash_key next = {0, 0}; /* the first that nobody covers so far */

    leat_sort(ranges, count, sizeof *ranges, compare);
    for (size_t i = 0; i < count; i++) {
        if (leat_hash_key_compare(ranges[i].first, next) > 0) {
            *ret_hole = (struct leat_hash_range){next, before(ranges[i].first)};
            return true;
        }
        if (leat_hash_key_compare(ranges[i].last, next) < 0)
            continue;
        next = ranges[i].last;
        if (!step(&next))
            return false;
    }
    *ret_hole = (struct leat_hash_range){next, last};
    return true;
}

bool
leat_cover_confirm(struct leat_cover_memory *memory, const struct leat_hash_range *hole,
                   unsigned wanted)
{
    if (hole == NULL) {
        memory->times = 0;
        return false;
    }
    if (memory->times > 0 && leat_hash_key_compare(memory->hole.first, hole->first) == 0 &&
        leat_hash_key_compare(memory->hole.last, hole->last) == 0) {
        memory->times++;
    } else {
        memory->hole = *hole;
        memory->times = 1;
    }
    return memory->times >= wanted;
}
