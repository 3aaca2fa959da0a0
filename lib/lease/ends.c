/*
 * The steps of a shard's end that are the lease manager's (architecture §4.4): leases of the children, and the lease that ends
 * with its last processor. Those that wait are served together. The manager thread's.
 *
 * Stories. (1) It dies after any step: whoever has the parent next asks again, and finds done what is done. (2) The database is
 * away: the requests stay, nobody commits SHARD_END meanwhile. (3) A source does not tell children: one listing serves all
 * that ask. (4) A merge whose other parent has no lease: a sync is asked for at once, not in a minute.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "base/point.h"
#include "lease/inside.h"

bool
leat_request_is_of_an_end(const struct leat_request *request)
{
    return request->kind == LEAT_REQUEST_CHILDREN || request->kind == LEAT_REQUEST_PROCESSOR_ENDED;
}

/* What stands behind the last of them is not ours to look at: others link theirs there. */
static struct leat_request *
next_of(const struct leat_request *request, bool has_next)
{
    return has_next ? request->next : NULL;
}

static void
find_children(struct leat_request *request, const struct leat_shard_list *all)
{
    for (size_t i = 0; i < all->count; i++) {
        for (size_t p = 0; p < all->shards[i].parent_count; p++) {
            if (leat_slice_equals(all->shards[i].parents[p], request->key.shard))
                leat_shard_list_add(&request->children, &all->shards[i]);
        }
    }
}

/* Of those whose source did not tell them: what ListShards says are their children. */
static int
list_children(struct leat_lease_manager *manager, struct leat_request *first, size_t count,
              struct leat_error *err)
{
    struct leat_source *listed = NULL;
    struct leat_shard_list all;
    int status = 0;

    leat_shard_list_init(&all);
    for (struct leat_request *request = first; count > 0 && status == 0;
         request = next_of(request, --count > 0)) {
        struct leat_held_lease *held = leat_manager_find(manager, request->key);

        if (request->kind != LEAT_REQUEST_CHILDREN || held == NULL || request->children.count > 0)
            continue;
        if (listed != held->source) {
            leat_shard_list_release(&all);
            listed = held->source;
            status = listed->ops->list_shards(listed, &all, err);
        }
        if (status == 0)
            find_children(request, &all);
    }
    leat_shard_list_release(&all);
    return status;
}

static int
make_children(struct leat_lease_manager *manager, struct leat_request *first, size_t count,
              struct leat_error *err)
{
    struct leat_rows_parent *parents = LEAT_NEW_ARRAY(struct leat_rows_parent, count);
    struct leat_request *request = first;
    size_t parent_count = 0, left = 0;
    int status;

    for (size_t i = 0; i < count; request = next_of(request, ++i < count)) {
        if (request->kind == LEAT_REQUEST_CHILDREN)
            parents[parent_count++] = (struct leat_rows_parent){
                request->key, request->children.shards, request->children.count};
    }
    LEAT_POINT("lease.children.before");
    status =
        leat_rows_children(manager->connection, &manager->rows, parents, parent_count, &left, err);
    free(parents);
    if (status != 0)
        return status;
    LEAT_POINT("lease.children.after");
    manager->pass_at_us = 0;
    if (left > 0)
        leat_manager_sync_soon(manager);
    request = first;
    for (size_t i = 0; i < count; request = next_of(request, ++i < count)) {
        if (request->kind == LEAT_REQUEST_CHILDREN)
            request->done(request->context, request->key);
    }
    return 0;
}

static int
end_leases(struct leat_lease_manager *manager, struct leat_request *first, size_t count,
           struct leat_error *err)
{
    struct leat_rows_end *ends = LEAT_NEW_ARRAY(struct leat_rows_end, count);
    struct leat_request *request = first;
    size_t end_count = 0;
    int status;

    for (size_t i = 0; i < count; request = next_of(request, ++i < count)) {
        if (request->kind == LEAT_REQUEST_PROCESSOR_ENDED)
            ends[end_count++] = (struct leat_rows_end){.key = request->key,
                                                       .processor = request->processor,
                                                       .lease_counter = request->lease_counter};
    }
    LEAT_POINT("lease.ended.before");
    status = leat_rows_processors_ended(manager->connection, &manager->rows, ends, end_count, err);
    if (status == 0)
        LEAT_POINT("lease.ended.after");
    for (size_t i = 0; status == 0 && i < end_count; i++) {
        if (ends[i].is_ended)
            leat_manager_lose(manager, ends[i].key, LEAT_LOSS_GONE);
    }
    if (status == 0)
        manager->counted_at_us = 0;
    free(ends);
    return status;
}

int
leat_manager_serve_ends(struct leat_lease_manager *manager, struct leat_request *first,
                        size_t count, struct leat_error *err)
{
    bool has_children = false, has_ends = false;
    struct leat_request *request = first;
    int status = 0;

    for (size_t i = 0; i < count; request = next_of(request, ++i < count)) {
        has_children = has_children || request->kind == LEAT_REQUEST_CHILDREN;
        has_ends = has_ends || request->kind == LEAT_REQUEST_PROCESSOR_ENDED;
    }
    if (has_ends)
        status = end_leases(manager, first, count, err);
    if (status == 0 && has_children)
        status = list_children(manager, first, count, err);
    return status == 0 && has_children ? make_children(manager, first, count, err) : status;
}
