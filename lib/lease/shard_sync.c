/*
 * check(s), memoised, as the KCL does it: is s a descendant of a shard that has a lease, or will get one? On the way the
 * missing ancestors are found: with TRIM_HORIZON and AT_TIMESTAMP the eldest that are still listed, with LATEST none.
 * Depth first without recursion's danger: lineages are walked with a stack of their own.
 */
#include "lease/shard_sync.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/memory.h"

enum mark { UNSEEN = 0, OPEN, DONE };

struct syncing {
    const struct leat_shard_list *shards;
    const bool *has_lease;
    enum leat_sync_position position;
    struct leat_map index; /* shard -> its index + 1 */
    enum mark *marks;
    bool *is_descendant, *should_create;
    unsigned char *created; /* 0 no; 1 at the stream's start; 2 at TRIM_HORIZON */
};

static size_t
index_of(const struct syncing *s, struct leat_slice shard)
{
    return (size_t)(uintptr_t)leat_map_get(&s->index, shard) - 1; /* SIZE_MAX: not listed */
}

static void
visit(struct syncing *s, size_t i)
{
    const struct leat_shard_facts *shard = &s->shards->shards[i];
    bool counts[LEAT_SHARD_PARENTS] = {false};
    bool is_descendant = false;

    if (s->has_lease[i]) {
        s->is_descendant[i] = true;
        return;
    }
    for (size_t p = 0; p < shard->parent_count; p++) {
        size_t parent = index_of(s, shard->parents[p]);

        counts[p] = parent != SIZE_MAX && (s->is_descendant[parent] || s->should_create[parent]);
        is_descendant = is_descendant || counts[p];
    }
    if (is_descendant) {
        for (size_t p = 0; p < shard->parent_count; p++) {
            size_t parent = index_of(s, shard->parents[p]);

            if (parent == SIZE_MAX || s->has_lease[parent])
                continue;
            if (s->created[parent] == 0 && !s->should_create[parent] && counts[p])
                continue;
            s->created[parent] = counts[p] && s->position != LEAT_SYNC_AT_TIMESTAMP ? 2 : 1;
        }
    } else if (s->position != LEAT_SYNC_LATEST) {
        s->should_create[i] = true;
    }
    s->is_descendant[i] = is_descendant;
}

/* Parents before children, with an explicit stack; a cycle (which no service should tell) is cut where it closes. */
static void
check(struct syncing *s, size_t start, size_t *stack)
{
    size_t depth = 0;

    if (s->marks[start] == DONE)
        return;
    stack[depth++] = start;
    while (depth > 0) {
        size_t i = stack[depth - 1];
        const struct leat_shard_facts *shard = &s->shards->shards[i];
        bool has_pushed = false;

        s->marks[i] = OPEN;
        for (size_t p = 0; p < shard->parent_count && !has_pushed && !s->has_lease[i]; p++) {
            size_t parent = index_of(s, shard->parents[p]);

            if (parent != SIZE_MAX && s->marks[parent] == UNSEEN) {
                stack[depth++] = parent;
                has_pushed = true;
            }
        }
        if (has_pushed)
            continue;
        visit(s, i);
        s->marks[i] = DONE;
        depth--;
    }
}

static void
check_open_shards(struct syncing *s)
{
    size_t *stack = LEAT_NEW_ARRAY(size_t, s->shards->count + 1);

    for (size_t i = 0; i < s->shards->count; i++) {
        if (s->shards->shards[i].is_closed || s->has_lease[i])
            continue;
        check(s, i, stack);
        if (!s->is_descendant[i])
            s->created[i] = 1;
    }
    free(stack);
}

size_t
leat_shard_sync(const struct leat_shard_list *shards, const bool *has_lease,
                enum leat_sync_position position, struct leat_new_lease *ret_new)
{
    struct syncing s = {.shards = shards, .has_lease = has_lease, .position = position};
    size_t count = 0;

    leat_map_init(&s.index);
    s.marks = LEAT_NEW_ARRAY(enum mark, shards->count);
    s.is_descendant = LEAT_NEW_ARRAY(bool, shards->count);
    s.should_create = LEAT_NEW_ARRAY(bool, shards->count);
    s.created = LEAT_NEW_ARRAY(unsigned char, shards->count);
    for (size_t i = 0; i < shards->count; i++)
        leat_map_put(&s.index, shards->shards[i].shard, (void *)(uintptr_t)(i + 1));
    check_open_shards(&s);
    for (size_t i = 0; i < shards->count; i++) {
        if (s.created[i] != 0 && !has_lease[i])
            ret_new[count++] = (struct leat_new_lease){i, s.created[i] == 2};
    }
    leat_map_release(&s.index, NULL);
    free(s.marks);
    free(s.is_descendant);
    free(s.should_create);
    free(s.created);
    return count;
}
