/*
 * What the pipeline asks: posted from any thread, served by the manager thread behind everything that others depend on.
 *
 * Stories. (1) One request cannot be served (somebody's transaction holds the row that it is about, or it is refused): it waits
 * with a back-off of its own, those of the same shard's end with it, and all others are served. (2) Many fail at once, each after
 * a while: serving ends after a quarter of a second, and goes on when the round has been made again. (3) The database is away:
 * what it does not have to be asked for is heard all the same.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "lease/inside.h"

#define MOST_AT_ONCE 1000
#define SERVE_US (250 * LEAT_MS_US)
#define RETRY_BASE_US (100 * LEAT_MS_US)
#define RETRY_CAP_US (5 * LEAT_SECOND_US)
#define TELL_AFTER 5

void
leat_request_free(struct leat_request *request)
{
    leat_source_unref(request->source);
    leat_arena_release(&request->arena);
    leat_shard_list_release(&request->children);
    free(request);
}

static void
free_list(struct leat_request *request)
{
    while (request != NULL) {
        struct leat_request *next = request->next;

        leat_request_free(request);
        request = next;
    }
}

void
leat_requests_free(struct leat_lease_manager *manager)
{
    leat_is_unshared();
    free_list(manager->requests);
    free_list(manager->waiting);
    free_list(manager->listing);
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

void
leat_request_post(struct leat_lease_manager *manager, struct leat_request *request)
{
    leat_mutex_lock(&manager->lock);
    request->next = NULL;
    *manager->requests_end = request;
    manager->requests_end = &request->next;
    manager->is_woken = true;
    leat_condition_signal(&manager->condition);
    leat_mutex_unlock(&manager->lock);
}

void
leat_lease_let_go(struct leat_lease_manager *manager, struct leat_lease_key key)
{
    leat_request_post(manager, request_new(LEAT_REQUEST_LET_GO, key));
}

void
leat_lease_raise(struct leat_lease_manager *manager, struct leat_lease_key key,
                 int64_t progress_counter)
{
    struct leat_request *request = request_new(LEAT_REQUEST_RAISE, key);

    request->progress_counter = progress_counter;
    leat_request_post(manager, request);
}

static bool
is_checked(struct leat_lease_manager *manager)
{
    bool is_waiting = false;

    leat_mutex_lock(&manager->lock);
    for (const struct leat_request *request = manager->requests; request != NULL;
         request = request->next)
        is_waiting = is_waiting || request->kind == LEAT_REQUEST_CHECK;
    leat_mutex_unlock(&manager->lock);
    return is_waiting;
}

/* While the database is away many may be fenced: one that waits is enough. */
void
leat_lease_check(struct leat_lease_manager *manager, struct leat_lease_key key)
{
    if (is_checked(manager))
        return;
    leat_request_post(manager, request_new(LEAT_REQUEST_CHECK, key));
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
    leat_request_post(manager, request);
}

void
leat_lease_processor_ended(struct leat_lease_manager *manager, struct leat_lease_key key,
                           int64_t lease_counter, const char *processor)
{
    struct leat_request *request = request_new(LEAT_REQUEST_PROCESSOR_ENDED, key);

    request->lease_counter = lease_counter;
    request->processor = leat_arena_copy(&request->arena, leat_slice_from(processor));
    leat_request_post(manager, request);
}

void
leat_lease_reopen(struct leat_lease_manager *manager, const struct leat_reopening *reopening)
{
    struct leat_request *request;
    bool is_waiting;

    leat_mutex_lock(&manager->lock);
    is_waiting = manager->reopenings > 0;
    manager->reopenings += !is_waiting;
    leat_mutex_unlock(&manager->lock);
    if (is_waiting)
        return; /* the lease database is away: they are asked for again */
    request = request_new(LEAT_REQUEST_REOPEN,
                          (struct leat_lease_key){reopening->stream_id, leat_slice_from("")});
    request->processor = leat_arena_copy(&request->arena, reopening->processor);
    request->shards = leat_arena_alloc(&request->arena, reopening->count * sizeof *request->shards);
    request->shard_count = reopening->count;
    for (size_t i = 0; i < reopening->count; i++)
        request->shards[i] = leat_arena_copy(&request->arena, reopening->shards[i]);
    leat_request_post(manager, request);
}

void
leat_lease_give_away(struct leat_lease_manager *manager, struct leat_lease_key key, int64_t keep_us)
{
    struct leat_request *request = request_new(LEAT_REQUEST_GIVE_AWAY, key);

    request->progress_counter = keep_us;
    leat_request_post(manager, request);
}

/* ---- served ---------------------------------------------------------------------------------- */

/* Marked, and let go of with the others of this round: see drain.c. */
static void
let_go(struct leat_lease_manager *manager, const struct leat_request *request)
{
    struct leat_held_lease *held = leat_manager_find(manager, request->key);

    if (held != NULL && held->is_draining)
        held->has_let_go = true;
}

/* true: done, without the database. */
static bool
is_heard(struct leat_lease_manager *manager, const struct leat_request *request)
{
    if (request->kind == LEAT_REQUEST_LET_GO)
        let_go(manager, request);
    else if (request->kind == LEAT_REQUEST_CHECK)
        manager->read_version = -1; /* once, in this round, for all that ask */
    else
        return false;
    return true;
}

void
leat_manager_hear(struct leat_lease_manager *manager)
{
    struct leat_request *request;

    leat_mutex_lock(&manager->lock);
    request = manager->requests;
    manager->requests = NULL;
    manager->requests_end = &manager->requests;
    leat_mutex_unlock(&manager->lock);
    while (request != NULL) {
        struct leat_request *next = request->next;

        if (is_heard(manager, request)) {
            leat_request_free(request);
        } else {
            request->next = NULL;
            *manager->waiting_end = request;
            manager->waiting_end = &request->next;
        }
        request = next;
    }
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
    /* And told with its new counter: in the next round, once for all that ask. */
    manager->read_version = -1;
    leat_manager_wake(manager);
    return 0;
}

static int
reopen(struct leat_lease_manager *manager, const struct leat_request *request,
       struct leat_error *err)
{
    struct leat_reopening reopening = {.stream_id = request->key.stream_id,
                                       .processor = request->processor,
                                       .shards = request->shards,
                                       .count = request->shard_count};
    int status = leat_rows_reopen(manager->connection, &manager->rows, &reopening, err);

    if (status == 0) {
        leat_mutex_lock(&manager->lock);
        manager->reopenings--;
        leat_mutex_unlock(&manager->lock);
    }
    return status;
}

static int
serve_one(struct leat_lease_manager *manager, struct leat_request *request, struct leat_error *err)
{
    switch (request->kind) {
    case LEAT_REQUEST_RAISE:
        return raise_counter(manager, request, err);
    case LEAT_REQUEST_REOPEN:
        return reopen(manager, request, err);
    case LEAT_REQUEST_GIVE_AWAY:
        return leat_rows_give_away(manager->connection, &manager->rows, request->key,
                                   manager->incarnation, request->progress_counter, err);
    case LEAT_REQUEST_LET_GO:
    case LEAT_REQUEST_CHECK:
    case LEAT_REQUEST_CHILDREN:
    case LEAT_REQUEST_PROCESSOR_ENDED:
        break; /* is_heard, leat_manager_serve_ends */
    }
    return 0;
}

/* ---- which, and when ------------------------------------------------------------------------------ */

/* What is served together: one request, or the shards' ends of one stream. */
struct serving {
    struct leat_request *requests[MOST_AT_ONCE];
    bool is_served[MOST_AT_ONCE];
    size_t count;
};

static bool
belongs(const struct serving *serving, const struct leat_request *request, int64_t now_us)
{
    if (request->retry_at_us > now_us)
        return false;
    if (serving->count == 0)
        return true;
    return serving->count < MOST_AT_ONCE && leat_request_is_of_an_end(serving->requests[0]) &&
           leat_request_is_of_an_end(request) &&
           leat_slice_equals(serving->requests[0]->key.stream_id, request->key.stream_id);
}

static void
take_out(struct leat_lease_manager *manager, struct leat_request **link)
{
    struct leat_request *request = *link;

    *link = request->next;
    if (request->next == NULL)
        manager->waiting_end = link;
    request->next = NULL;
}

/* The first that is due, with those that go with it: taken out. */
static void
take_next(struct leat_lease_manager *manager, struct serving *serving, int64_t now_us)
{
    struct leat_request **link = &manager->waiting;

    serving->count = 0;
    while (*link != NULL) {
        struct leat_request *request = *link;

        if (!belongs(serving, request, now_us)) {
            link = &request->next;
            continue;
        }
        take_out(manager, link);
        /* One that has to be listed first is the sync thread's, and comes back. */
        if (!leat_request_is_of_an_end(request) || leat_request_is_known(manager, request)) {
            serving->is_served[serving->count] = false;
            serving->requests[serving->count++] = request;
        }
        if (serving->count == 1 && !leat_request_is_of_an_end(serving->requests[0]))
            return;
    }
}

static void
put_back(struct leat_lease_manager *manager, struct leat_request *request)
{
    request->retry_at_us =
        leat_clock_monotonic_us() +
        leat_backoff_us(&manager->random, RETRY_BASE_US, RETRY_CAP_US, request->failures++) +
        RETRY_BASE_US / 2;
    *manager->waiting_end = request;
    manager->waiting_end = &request->next;
}

/* Some fail again and again: told once, and once that it is over. */
static void
tell_failing(struct leat_lease_manager *manager, const struct leat_error *why)
{
    bool is_failing = false;

    for (const struct leat_request *request = manager->waiting; request != NULL;
         request = request->next)
        is_failing = is_failing || request->failures >= TELL_AFTER;
    if (is_failing && why->code != 0 && !leat_manager_is_cut_off(manager))
        leat_manager_trouble(manager, &manager->is_request_told, why);
    else if (!is_failing)
        leat_manager_trouble(manager, &manager->is_request_told, NULL);
}

/* Those that are not served are put back, all of them when the connection broke. */
static int
serve_some(struct leat_lease_manager *manager, struct serving *serving, struct leat_error *err)
{
    struct leat_request *first = serving->requests[0];
    bool are_ends = leat_request_is_of_an_end(first); /* asked while it is there */
    int status = are_ends ? leat_manager_serve_ends(manager, serving->requests, serving->count,
                                                    serving->is_served, err)
                          : serve_one(manager, first, err);

    if (status != 0 && !leat_pg_is_broken(manager->connection))
        leat_pg_script(manager->connection, "ROLLBACK", NULL);
    if (status != 0)
        leat_error_prefix(err, "shard \"%.*s\" of \"%.*s\"", (int)first->key.shard.size,
                          (const char *)first->key.shard.data, (int)first->key.stream_id.size,
                          (const char *)first->key.stream_id.data);
    for (size_t i = 0; i < serving->count; i++) {
        if (serving->is_served[i] || (status == 0 && !are_ends))
            leat_request_free(serving->requests[i]);
        else
            put_back(manager, serving->requests[i]);
    }
    return status;
}

int
leat_manager_serve(struct leat_lease_manager *manager, struct leat_error *err)
{
    int64_t until_us = leat_clock_monotonic_us() + SERVE_US, now_us;
    struct serving serving;
    struct leat_error why = {0};

    while ((now_us = leat_clock_monotonic_us()) < until_us) {
        take_next(manager, &serving, now_us);
        if (serving.count == 0)
            break;
        serve_some(manager, &serving, &why);
        if (leat_pg_is_broken(manager->connection)) {
            *err = why;
            return why.code;
        }
    }
    if (now_us >= until_us)
        leat_manager_wake(manager); /* there may be more */
    tell_failing(manager, &why);
    return 0;
}
