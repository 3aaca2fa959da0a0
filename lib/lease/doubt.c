/*
 * Doubts: a reader was told that a stream, or its shard, is not there, or that its position is of another one. It asks here, and its
 * stream is looked up at once, for the whole fleet: what a look finds that began after the doubt settles it.
 *
 * Stories. (1) All shards of a deleted stream are refused at once, on all workers: their doubts are taken together, one look serves
 * all of them. (2) The stream is gone or another one: its leases are given up by whoever holds them, nobody waits for an answer.
 * (3) The service cannot be asked: the doubt stays; its reader has stopped reading, and says nothing until it is known what it is.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/inside.h"

void
leat_lease_doubt(struct leat_lease_manager *manager, struct leat_lease_key key,
                 void (*done)(void *context, struct leat_lease_key key), void *context)
{
    struct leat_doubt *doubt = LEAT_NEW(struct leat_doubt);

    doubt->stream_id = leat_slice_strdup(key.stream_id);
    doubt->shard = leat_slice_strdup(key.shard);
    doubt->since_us = leat_clock_monotonic_us();
    doubt->done = done;
    doubt->context = context;
    leat_mutex_lock(&manager->lock);
    doubt->next = manager->doubts;
    manager->doubts = doubt;
    leat_mutex_unlock(&manager->lock);
    leat_sync_want(manager);
}

static void
free_doubt(struct leat_doubt *doubt)
{
    free(doubt->stream_id);
    free(doubt->shard);
    free(doubt);
}

static void
free_list(struct leat_doubt *doubt)
{
    while (doubt != NULL) {
        struct leat_doubt *next = doubt->next;

        free_doubt(doubt);
        doubt = next;
    }
}

void
leat_doubts_free(struct leat_lease_manager *manager)
{
    leat_is_unshared();
    free_list(manager->doubts);
    free_list(manager->doubted);
    manager->doubts = manager->doubted = NULL;
}

void
leat_doubts_take(struct leat_lease_manager *manager)
{
    struct leat_doubt **end = &manager->doubted;

    while (*end != NULL)
        end = &(*end)->next;
    leat_mutex_lock(&manager->lock);
    *end = manager->doubts;
    manager->doubts = NULL;
    leat_mutex_unlock(&manager->lock);
}

/* The spec of a doubted stream; spec_count: nobody looks it up. *ret_is_read: it is read here, as it was. */
static size_t
spec_of(struct leat_lease_manager *manager, const struct leat_doubt *doubt, bool *ret_is_read)
{
    struct leat_streams *streams = manager->options.streams;
    struct leat_source *source = leat_streams_find(streams, leat_slice_from(doubt->stream_id));
    size_t spec = leat_streams_options(streams)->spec_count;

    *ret_is_read = source != NULL;
    if (source != NULL)
        spec = leat_streams_spec_of(streams, &source->facts);
    leat_source_unref(source);
    return spec;
}

void
leat_doubts_force(struct leat_lease_manager *manager, bool *is_forced)
{
    size_t count = leat_streams_options(manager->options.streams)->spec_count;

    for (const struct leat_doubt *doubt = manager->doubted; doubt != NULL; doubt = doubt->next) {
        bool is_read;
        size_t spec = spec_of(manager, doubt, &is_read);

        if (spec < count)
            is_forced[spec] = true;
    }
}

/* By the look of another worker, or by ours. */
static int
is_settled(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
           const struct leat_doubt *doubt, bool *ret_is_settled, struct leat_error *err)
{
    const struct leat_streams_options *options = leat_streams_options(manager->options.streams);
    bool is_read;
    size_t spec = spec_of(manager, doubt, &is_read);

    *ret_is_settled = true;
    if (!is_read)
        return 0; /* gone: whoever holds a lease of it gives it up */
    if (spec < options->spec_count) {
        int status = leat_rows_has_looked(connection, &manager->rows, options->specs[spec].spec,
                                          leat_clock_monotonic_us() - doubt->since_us,
                                          ret_is_settled, err);
        if (status != 0 || !*ret_is_settled)
            return status;
    }
    if (doubt->done != NULL) {
        struct leat_lease_key key = {leat_slice_from(doubt->stream_id),
                                     leat_slice_from(doubt->shard)};

        doubt->done(doubt->context, key);
    }
    return 0;
}

int
leat_doubts_settle(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                   struct leat_error *err)
{
    struct leat_doubt **link = &manager->doubted;

    while (*link != NULL) {
        struct leat_doubt *doubt = *link;
        bool settled = false;
        int status = is_settled(manager, connection, doubt, &settled, err);

        if (status != 0)
            return status;
        if (!settled) {
            link = &doubt->next;
            continue;
        }
        *link = doubt->next;
        free_doubt(doubt);
    }
    return 0;
}
