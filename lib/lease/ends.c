/*
 * The steps of a shard's end that are the lease manager's (docs/architecture.md §4.4): leases of the children, and the lease
 * that ends with its last processor. Those of a stream that wait are served together. The manager thread's; what has to be
 * listed first is the sync thread's.
 *
 * Stories. (1) It dies after any step: whoever has the parent next asks again, and finds done what is done. (2) The database is
 * away: the requests stay, nobody commits SHARD_END meanwhile. (3) A source does not tell children: one listing serves all
 * that ask, on the sync thread, and a stream that cannot be listed, or takes its time, keeps its own waiting alone. (4) A merge
 * whose other parent has no lease: a sync is asked for at once, not in a minute. (5) Somebody's transaction holds the row of a
 * lease: that one is asked again, those beside it are ended.
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

/* ---- listed first: the sync thread ----------------------------------------------------------------- */

bool
leat_request_is_known(struct leat_lease_manager *manager, struct leat_request *request)
{
    struct leat_held_lease *held = leat_manager_find(manager, request->key);

    /* Listed once it has a source; not ours any more: whoever has it next asks. */
    if (request->kind != LEAT_REQUEST_CHILDREN || request->children.count > 0 ||
        request->source != NULL || held == NULL)
        return true;
    request->source = leat_source_ref(held->source);
    leat_mutex_lock(&manager->lock);
    request->next = manager->listing;
    manager->listing = request;
    leat_mutex_unlock(&manager->lock);
    leat_sync_want(manager);
    return false;
}

static struct leat_request *
take_listing(struct leat_lease_manager *manager)
{
    struct leat_request *first;

    leat_mutex_lock(&manager->lock);
    first = manager->listing;
    manager->listing = NULL;
    leat_mutex_unlock(&manager->lock);
    return first;
}

static void
ask_again(struct leat_lease_manager *manager, struct leat_request *request)
{
    leat_mutex_lock(&manager->lock);
    request->next = manager->listing;
    manager->listing = request;
    leat_mutex_unlock(&manager->lock);
}

/* All of one stream: answered, or kept. */
static int
list_for(struct leat_lease_manager *manager, struct leat_request *first, struct leat_error *err)
{
    struct leat_source *source = leat_source_ref(first->source);
    struct leat_shard_list all;
    int status;

    leat_shard_list_init(&all);
    status = source->ops->list_shards(source, &all, err);
    while (first != NULL) {
        struct leat_request *next = first->next;

        if (status == 0) {
            find_children(first, &all);
            leat_request_post(manager, first);
        } else {
            ask_again(manager, first);
        }
        first = next;
    }
    leat_shard_list_release(&all);
    if (status != 0)
        leat_error_prefix(err, "stream \"%s\"", source->facts.name);
    leat_source_unref(source);
    return status;
}

int
leat_ends_list(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_request *left = take_listing(manager);
    int status = 0;

    while (left != NULL) {
        struct leat_source *source = left->source;
        struct leat_request *same = NULL, *others = NULL;
        struct leat_error one;

        while (left != NULL) {
            struct leat_request *request = left,
                                **list = request->source == source ? &same : &others;

            left = request->next;
            request->next = *list;
            *list = request;
        }
        left = others;
        if (list_for(manager, same, &one) != 0 && status == 0) {
            *err = one;
            status = one.code;
        }
    }
    return status;
}

/* ---- served: the manager thread ------------------------------------------------------------------- */

static int
make_children(struct leat_lease_manager *manager, struct leat_request **requests, size_t count,
              struct leat_error *err)
{
    struct leat_rows_parent *parents = LEAT_NEW_ARRAY(struct leat_rows_parent, count);
    size_t parent_count = 0, left = 0;
    int status;

    for (size_t i = 0; i < count; i++) {
        if (requests[i]->kind == LEAT_REQUEST_CHILDREN)
            parents[parent_count++] = (struct leat_rows_parent){
                requests[i]->key, requests[i]->children.shards, requests[i]->children.count};
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
    for (size_t i = 0; i < count; i++) {
        if (requests[i]->kind == LEAT_REQUEST_CHILDREN)
            requests[i]->done(requests[i]->context, requests[i]->key);
    }
    return 0;
}

static int
end_leases(struct leat_lease_manager *manager, struct leat_request **requests, size_t count,
           bool *ret_is_served, struct leat_error *err)
{
    struct leat_rows_end *ends = LEAT_NEW_ARRAY(struct leat_rows_end, count);
    size_t end_count = 0;
    int status;

    for (size_t i = 0; i < count; i++) {
        if (requests[i]->kind == LEAT_REQUEST_PROCESSOR_ENDED)
            ends[end_count++] = (struct leat_rows_end){.key = requests[i]->key,
                                                       .processor = requests[i]->processor,
                                                       .lease_counter = requests[i]->lease_counter};
    }
    LEAT_POINT("lease.ended.before");
    status = leat_rows_processors_ended(manager->connection, &manager->rows, ends, end_count, err);
    if (status == 0)
        LEAT_POINT("lease.ended.after");
    end_count = 0;
    for (size_t i = 0; status == 0 && i < count; i++) {
        if (requests[i]->kind != LEAT_REQUEST_PROCESSOR_ENDED)
            continue;
        ret_is_served[i] = !ends[end_count].is_busy;
        if (ends[end_count++].is_ended)
            leat_manager_lose(manager, requests[i]->key, LEAT_LOSS_GONE);
    }
    if (status == 0)
        manager->counted_at_us = 0;
    free(ends);
    return status;
}

int
leat_manager_serve_ends(struct leat_lease_manager *manager, struct leat_request **requests,
                        size_t count, bool *ret_is_served, struct leat_error *err)
{
    bool has_children = false, has_ends = false;
    int status = 0;

    for (size_t i = 0; i < count; i++) {
        has_children = has_children || requests[i]->kind == LEAT_REQUEST_CHILDREN;
        has_ends = has_ends || requests[i]->kind == LEAT_REQUEST_PROCESSOR_ENDED;
    }
    if (has_ends)
        status = end_leases(manager, requests, count, ret_is_served, err);
    if (status != 0 || !has_children)
        return status;
    status = make_children(manager, requests, count, err);
    for (size_t i = 0; i < count && status == 0; i++)
        ret_is_served[i] = ret_is_served[i] || requests[i]->kind == LEAT_REQUEST_CHILDREN;
    return status;
}
