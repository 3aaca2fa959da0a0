/* What the pipeline asks: posted from any thread, served in order by the manager thread. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/point.h"
#include "lease/inside.h"

void
leat_request_free(struct leat_request *request)
{
    leat_arena_release(&request->arena);
    leat_shard_list_release(&request->children);
    free(request);
}

static struct leat_request *
request_new(enum leat_request_kind kind, struct leat_lease_key key)
{
    struct leat_request *request = LEAT_NEW(struct leat_request);

    request->kind = kind;
    leat_arena_init(&request->arena);
    leat_shard_list_init(&request->children);
    request->key.stream_id = leat_arena_copy(&request->arena, key.stream_id);
    request->key.shard = leat_arena_copy(&request->arena, key.shard);
    return request;
}

static void
post(struct leat_lease_manager *manager, struct leat_request *request)
{
    leat_mutex_lock(&manager->lock);
    *manager->requests_end = request;
    manager->requests_end = &request->next;
    manager->is_woken = true;
    leat_condition_signal(&manager->condition);
    leat_mutex_unlock(&manager->lock);
}

void
leat_lease_let_go(struct leat_lease_manager *manager, struct leat_lease_key key)
{
    post(manager, request_new(LEAT_REQUEST_LET_GO, key));
}

void
leat_lease_raise(struct leat_lease_manager *manager, struct leat_lease_key key,
                 int64_t progress_counter)
{
    struct leat_request *request = request_new(LEAT_REQUEST_RAISE, key);

    request->progress_counter = progress_counter;
    post(manager, request);
}

void
leat_lease_check(struct leat_lease_manager *manager, struct leat_lease_key key)
{
    post(manager, request_new(LEAT_REQUEST_CHECK, key));
}

void
leat_lease_children(struct leat_lease_manager *manager, struct leat_lease_key key,
                    const struct leat_shard_facts *children, size_t child_count,
                    void (*done)(void *context, struct leat_lease_key key), void *context)
{
    struct leat_request *request = request_new(LEAT_REQUEST_CHILDREN, key);

    for (size_t i = 0; i < child_count; i++)
        leat_shard_list_add(&request->children, &children[i]);
    request->done = done;
    request->context = context;
    post(manager, request);
}

void
leat_lease_processor_ended(struct leat_lease_manager *manager, struct leat_lease_key key,
                           const char *processor)
{
    struct leat_request *request = request_new(LEAT_REQUEST_PROCESSOR_ENDED, key);

    request->processor = leat_arena_copy(&request->arena, leat_slice_from(processor));
    post(manager, request);
}

void
leat_lease_reopen(struct leat_lease_manager *manager, struct leat_lease_key key)
{
    post(manager, request_new(LEAT_REQUEST_REOPEN, key));
}

/* ---- served ---------------------------------------------------------------------------------- */

/* Marked, and let go of with the others of this round: see drain.c. */
static int
let_go(struct leat_lease_manager *manager, const struct leat_request *request)
{
    struct leat_held_lease *held = leat_manager_find(manager, request->key);

    if (held != NULL && held->is_draining)
        held->has_let_go = true;
    return 0;
}

static int
raise_counter(struct leat_lease_manager *manager, const struct leat_request *request,
              struct leat_error *err)
{
    int64_t counter = 0;
    int status = leat_rows_raise(manager->connection, &manager->rows, request->key,
                                 manager->incarnation, request->progress_counter, &counter, err);

    if (status != 0)
        return status;
    if (counter == 0)
        leat_manager_lose(manager, request->key, LEAT_LOSS_FENCED);
    return leat_manager_read(manager, err);
}

/* A source that does not tell them: what ListShards says are its children. */
static int
list_children(struct leat_lease_manager *manager, struct leat_request *request,
              struct leat_error *err)
{
    struct leat_held_lease *held = leat_manager_find(manager, request->key);
    struct leat_shard_list all;
    int status;

    if (held == NULL || request->children.count > 0)
        return 0;
    leat_shard_list_init(&all);
    status = held->source->ops->list_shards(held->source, &all, err);
    for (size_t i = 0; status == 0 && i < all.count; i++) {
        for (size_t p = 0; p < all.shards[i].parent_count; p++) {
            if (leat_slice_equals(all.shards[i].parents[p], request->key.shard))
                leat_shard_list_add(&request->children, &all.shards[i]);
        }
    }
    leat_shard_list_release(&all);
    return status;
}

static int
make_children(struct leat_lease_manager *manager, struct leat_request *request,
              struct leat_error *err)
{
    int status = list_children(manager, request, err);

    if (status == 0)
        status = leat_rows_children(manager->connection, &manager->rows, request->key,
                                    request->children.shards, request->children.count, err);
    if (status != 0)
        return status;
    LEAT_POINT("lease.children.after");
    manager->pass_at_us = 0;
    request->done(request->context, request->key);
    return 0;
}

static int
processor_ended(struct leat_lease_manager *manager, const struct leat_request *request,
                struct leat_error *err)
{
    bool is_ended = false;
    int status = leat_rows_processor_ended(manager->connection, &manager->rows, request->key,
                                           (const char *)request->processor.data, &is_ended, err);

    if (status == 0 && is_ended) {
        leat_manager_lose(manager, request->key, LEAT_LOSS_GONE);
        manager->counted_at_us = 0;
    }
    return status;
}

static int
serve(struct leat_lease_manager *manager, struct leat_request *request, struct leat_error *err)
{
    switch (request->kind) {
    case LEAT_REQUEST_LET_GO:
        return let_go(manager, request);
    case LEAT_REQUEST_RAISE:
        return raise_counter(manager, request, err);
    case LEAT_REQUEST_CHECK:
        return leat_manager_read(manager, err);
    case LEAT_REQUEST_CHILDREN:
        return make_children(manager, request, err);
    case LEAT_REQUEST_PROCESSOR_ENDED:
        return processor_ended(manager, request, err);
    case LEAT_REQUEST_REOPEN:
        return leat_rows_reopen(manager->connection, &manager->rows, request->key, err);
    }
    return 0;
}

static struct leat_request *
first_request(struct leat_lease_manager *manager)
{
    struct leat_request *request;

    leat_mutex_lock(&manager->lock);
    request = manager->requests;
    leat_mutex_unlock(&manager->lock);
    return request;
}

static void
drop_first(struct leat_lease_manager *manager)
{
    leat_mutex_lock(&manager->lock);
    manager->requests = manager->requests->next;
    if (manager->requests == NULL)
        manager->requests_end = &manager->requests;
    leat_mutex_unlock(&manager->lock);
}

/* In order; one that fails stays the first, and is served when the database is back. */
int
leat_manager_serve(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_request *request;

    while ((request = first_request(manager)) != NULL) {
        int status = serve(manager, request, err);

        if (status != 0)
            return status;
        drop_first(manager);
        leat_request_free(request);
    }
    return 0;
}
