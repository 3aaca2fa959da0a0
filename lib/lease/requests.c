/* What the pipeline asks: posted from any thread, served in order by the manager thread. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/point.h"
#include "lease/inside.h"

#define MOST_AT_ONCE 1000

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

static bool
is_asked(struct leat_lease_manager *manager, enum leat_request_kind kind)
{
    bool is_waiting = false;

    leat_mutex_lock(&manager->lock);
    for (const struct leat_request *request = manager->requests; request != NULL;
         request = request->next)
        is_waiting = is_waiting || request->kind == kind;
    leat_mutex_unlock(&manager->lock);
    return is_waiting;
}

/* While the database is away many may be fenced: one that waits is enough. */
void
leat_lease_check(struct leat_lease_manager *manager, struct leat_lease_key key)
{
    if (is_asked(manager, LEAT_REQUEST_CHECK))
        return;
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
                           int64_t lease_counter, const char *processor)
{
    struct leat_request *request = request_new(LEAT_REQUEST_PROCESSOR_ENDED, key);

    request->lease_counter = lease_counter;
    request->processor = leat_arena_copy(&request->arena, leat_slice_from(processor));
    post(manager, request);
}

void
leat_lease_reopen(struct leat_lease_manager *manager, const struct leat_reopening *reopening)
{
    struct leat_request *request;

    if (is_asked(manager, LEAT_REQUEST_REOPEN))
        return; /* the lease database is away: they are asked for again */
    request = request_new(LEAT_REQUEST_REOPEN,
                          (struct leat_lease_key){reopening->stream_id, leat_slice_from("")});
    request->processor = leat_arena_copy(&request->arena, reopening->processor);
    request->shards = leat_arena_alloc(&request->arena, reopening->count * sizeof *request->shards);
    request->shard_count = reopening->count;
    for (size_t i = 0; i < reopening->count; i++)
        request->shards[i] = leat_arena_copy(&request->arena, reopening->shards[i]);
    post(manager, request);
}

void
leat_lease_give_away(struct leat_lease_manager *manager, struct leat_lease_key key, int64_t keep_us)
{
    struct leat_request *request = request_new(LEAT_REQUEST_GIVE_AWAY, key);

    request->progress_counter = keep_us;
    post(manager, request);
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

static int
reopen(struct leat_lease_manager *manager, const struct leat_request *request,
       struct leat_error *err)
{
    struct leat_reopening reopening = {.stream_id = request->key.stream_id,
                                       .processor = request->processor,
                                       .shards = request->shards,
                                       .count = request->shard_count};

    return leat_rows_reopen(manager->connection, &manager->rows, &reopening, err);
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
        manager->read_version = -1; /* once, in this round, for all that ask */
        break;
    case LEAT_REQUEST_CHILDREN:
    case LEAT_REQUEST_PROCESSOR_ENDED:
        break; /* leat_manager_serve_ends */
    case LEAT_REQUEST_REOPEN:
        return reopen(manager, request, err);
    case LEAT_REQUEST_GIVE_AWAY:
        return leat_rows_give_away(manager->connection, &manager->rows, request->key,
                                   manager->incarnation, request->progress_counter, err);
    }
    return 0;
}

/* Those that can be served now, as far as they are of the same sort: a shard's ends go together, all others alone. */
static struct leat_request *
first_requests(struct leat_lease_manager *manager, size_t *ret_count)
{
    struct leat_request *first;

    leat_mutex_lock(&manager->lock);
    first = manager->requests;
    *ret_count = first != NULL;
    if (first != NULL && leat_request_is_of_an_end(first)) {
        for (const struct leat_request *next = first->next;
             next != NULL && leat_request_is_of_an_end(next) && *ret_count < MOST_AT_ONCE;
             next = next->next)
            ++*ret_count;
    }
    leat_mutex_unlock(&manager->lock);
    return first;
}

static void
drop_first(struct leat_lease_manager *manager)
{
    struct leat_request *request;

    leat_mutex_lock(&manager->lock);
    request = manager->requests;
    manager->requests = request->next;
    if (manager->requests == NULL)
        manager->requests_end = &manager->requests;
    leat_mutex_unlock(&manager->lock);
    leat_request_free(request);
}

static struct leat_request *
take_let_go(struct leat_lease_manager *manager)
{
    struct leat_request *request;

    leat_mutex_lock(&manager->lock);
    for (struct leat_request **link = &manager->requests; (request = *link) != NULL;
         link = &request->next) {
        if (request->kind != LEAT_REQUEST_LET_GO)
            continue;
        *link = request->next;
        if (request->next == NULL)
            manager->requests_end = link;
        break;
    }
    leat_mutex_unlock(&manager->lock);
    return request;
}

void
leat_manager_hear_let_gos(struct leat_lease_manager *manager)
{
    struct leat_request *request;

    while ((request = take_let_go(manager)) != NULL) {
        let_go(manager, request);
        leat_request_free(request);
    }
}

/* In order; what fails stays in front, and is served when the database is back. */
int
leat_manager_serve(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_request *request;
    size_t count;

    while ((request = first_requests(manager, &count)) != NULL) {
        int status = leat_request_is_of_an_end(request)
                         ? leat_manager_serve_ends(manager, request, count, err)
                         : serve(manager, request, err);

        if (status != 0)
            return status;
        for (size_t i = 0; i < count; i++)
            drop_first(manager);
    }
    return 0;
}
