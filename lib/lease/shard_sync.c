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

static void
make_index(struct leat_map *index, const struct leat_shard_list *shards)
{
    leat_map_init(index);
    for (size_t i = 0; i < shards->count; i++)
        leat_map_put(index, shards->shards[i].shard, (void *)(uintptr_t)(i + 1));
}

static size_t
look_up(const struct leat_map *index, struct leat_slice shard)
{
    return (size_t)(uintptr_t)leat_map_get(index, shard) - 1; /* SIZE_MAX: not listed */
}

static size_t
index_of(const struct syncing *s, struct leat_slice shard)
{
    return look_up(&s->index, shard);
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

    make_index(&s.index, shards);
    s.marks = LEAT_NEW_ARRAY(enum mark, shards->count);
    s.is_descendant = LEAT_NEW_ARRAY(bool, shards->count);
    s.should_create = LEAT_NEW_ARRAY(bool, shards->count);
    s.created = LEAT_NEW_ARRAY(unsigned char, shards->count);
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

/* ---- roles ------------------------------------------------------------------------------------- */

static bool
has_listed_parent(const struct leat_map *index, const struct leat_shard_facts *shard)
{
    for (size_t p = 0; p < shard->parent_count; p++) {
        if (look_up(index, shard->parents[p]) != SIZE_MAX)
            return true;
    }
    return false;
}

/* Descendants of start shards are later ones. Lists name parents first, so one round and one more is the rule. */
static void
spread(const struct leat_shard_list *shards, const struct leat_map *index,
       enum leat_shard_role *roles)
{
    bool has_changed = true;

    while (has_changed) {
        has_changed = false;
        for (size_t i = 0; i < shards->count; i++) {
            const struct leat_shard_facts *shard = &shards->shards[i];

            for (size_t p = 0; p < shard->parent_count && roles[i] == LEAT_SHARD_PASSED; p++) {
                size_t parent = look_up(index, shard->parents[p]);

                if (parent == SIZE_MAX || roles[parent] == LEAT_SHARD_PASSED)
                    continue;
                roles[i] = LEAT_SHARD_LATER;
                has_changed = true;
            }
        }
    }
}

void
leat_shard_roles(const struct leat_shard_list *shards, enum leat_sync_position position,
                 enum leat_shard_role *ret_roles)
{
    struct leat_new_lease *starts = LEAT_NEW_ARRAY(struct leat_new_lease, shards->count);
    bool *none = LEAT_NEW_ARRAY(bool, shards->count);
    size_t count = leat_shard_sync(shards, none, position, starts);
    struct leat_map index;

    make_index(&index, shards);
    for (size_t i = 0; i < shards->count; i++) {
        bool is_root = !has_listed_parent(&index, &shards->shards[i]);

        /* A closed shard whose children the list does not show yet is no ancestor of an open one: the KCL leaves it out. */
        ret_roles[i] = position == LEAT_SYNC_AT_TIMESTAMP ||
                               (position == LEAT_SYNC_TRIM_HORIZON && is_root)
                           ? LEAT_SHARD_START
                           : LEAT_SHARD_PASSED;
    }
    for (size_t i = 0; i < count; i++)
        ret_roles[starts[i].shard] = LEAT_SHARD_START;
    spread(shards, &index, ret_roles);
    leat_map_release(&index, NULL);
    free(starts);
    free(none);
}

/* Everything above a shard that is marked, parents of parents too. */
static void
spread_up(const struct leat_shard_list *shards, const struct leat_map *index, const bool *is_marked,
          bool *above)
{
    size_t *stack = LEAT_NEW_ARRAY(size_t, shards->count + 1);
    size_t depth = 0;

    for (size_t i = 0; i < shards->count; i++) {
        if (is_marked[i])
            stack[depth++] = i;
        while (depth > 0) {
            const struct leat_shard_facts *shard = &shards->shards[stack[--depth]];

            for (size_t p = 0; p < shard->parent_count; p++) {
                size_t parent = look_up(index, shard->parents[p]);

                if (parent == SIZE_MAX || above[parent])
                    continue;
                above[parent] = true;
                stack[depth++] = parent; /* once each: there is room */
            }
        }
    }
    free(stack);
}

void
leat_shard_roles_again(const struct leat_shard_list *shards, const bool *has_progress,
                       enum leat_shard_role *ret_roles)
{
    bool *above = LEAT_NEW_ARRAY(bool, shards->count);
    struct leat_map index;

    make_index(&index, shards);
    spread_up(shards, &index, has_progress, above);
    for (size_t i = 0; i < shards->count; i++)
        ret_roles[i] = above[i] && !has_progress[i]                    ? LEAT_SHARD_PASSED
                       : has_listed_parent(&index, &shards->shards[i]) ? LEAT_SHARD_LATER
                                                                       : LEAT_SHARD_START;
    leat_map_release(&index, NULL);
    free(above);
}

/* ---- leases that are missing --------------------------------------------------------------------- */

/* With a parent that has no lease yet it would not know whom to wait for. */
static bool
is_left_to_a_parent(const struct leat_map *index, const struct leat_shard_facts *shard,
                    const struct leat_shard_mark *marks)
{
    bool has_needed = false, has_ended = false;

    for (size_t p = 0; p < shard->parent_count; p++) {
        size_t parent = look_up(index, shard->parents[p]);

        if (parent == SIZE_MAX)
            continue;
        if (marks[parent].is_needed && !marks[parent].has_lease)
            return true;
        has_ended = has_ended || marks[parent].has_ended;
        has_needed = has_needed || marks[parent].is_needed;
    }
    return has_needed && !has_ended;
}

size_t
leat_shard_missing(const struct leat_shard_list *shards, const struct leat_shard_mark *marks,
                   size_t *ret_missing)
{
    bool *above = LEAT_NEW_ARRAY(bool, shards->count);
    bool *has_lease = LEAT_NEW_ARRAY(bool, shards->count);
    struct leat_map index;
    size_t count = 0;

    make_index(&index, shards);
    for (size_t i = 0; i < shards->count; i++)
        has_lease[i] = marks[i].has_lease;
    spread_up(shards, &index, has_lease, above);
    for (size_t i = 0; i < shards->count; i++) {
        if (!marks[i].has_lease && marks[i].is_needed &&
            (above[i] || !is_left_to_a_parent(&index, &shards->shards[i], marks)))
            ret_missing[count++] = i;
    }
    leat_map_release(&index, NULL);
    free(has_lease);
    free(above);
    return count;
}
