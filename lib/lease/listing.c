/*
 * See listing.h. A call has a deadline of its own, so a thread that hangs comes back; there are few at once, since an answer takes
 * memory. Sources that ask no service are listed on the spot.
 */
#include "lease/listing.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/inside.h"

#define LISTINGS_MOST 4

struct leat_leases_before *
leat_leases_before_new(void)
{
    struct leat_leases_before *before = LEAT_NEW(struct leat_leases_before);

    leat_lease_rows_init(&before->rows);
    before->users = 1;
    return before;
}

void
leat_leases_before_unref(struct leat_leases_before *before)
{
    if (--before->users > 0)
        return;
    leat_lease_rows_release(&before->rows);
    free(before);
}

static void
list(void *context)
{
    struct leat_listing *listing = context;
    struct leat_lease_manager *manager = listing->manager;

    listing->status =
        listing->source->ops->list_shards(listing->source, &listing->shards, &listing->err);
    /* What an endless list was told in is free, but stays with this thread's heap: the next list would have another. */
    if (listing->status < 0)
        malloc_trim(0);
    leat_mutex_lock(&manager->lock);
    listing->is_done = true;
    manager->is_sync_wanted = true;
    leat_condition_broadcast(&manager->stopping);
    leat_mutex_unlock(&manager->lock);
}

bool
leat_listing_has_failed(const struct leat_lease_manager *manager, const char *stream_id)
{
    return leat_map_get(&manager->lists_failed, leat_slice_from(stream_id)) != NULL;
}

bool
leat_listing_begin(struct leat_lease_manager *manager, struct leat_source *source,
                   struct leat_leases_before *before)
{
    struct leat_listing *listing;
    size_t count = 0;

    for (listing = manager->listings; listing != NULL; listing = listing->next)
        count++;
    if (count + leat_listing_has_failed(manager, source->facts.stream_id) >= LISTINGS_MOST)
        return false;
    listing = LEAT_NEW(struct leat_listing);
    listing->manager = manager;
    listing->source = leat_source_ref(source);
    listing->before = before;
    before->users++;
    listing->listed_us = leat_clock_monotonic_us();
    leat_shard_list_init(&listing->shards);
    listing->next = manager->listings;
    manager->listings = listing;
    if (!source->ops->has_limits ||
        leat_thread_start(&listing->thread, "listing", list, listing, NULL) != 0)
        list(listing);
    return true;
}

struct leat_listing *
leat_listing_find(struct leat_lease_manager *manager, const char *stream_id)
{
    struct leat_listing *listing = manager->listings;

    while (listing != NULL && strcmp(listing->source->facts.stream_id, stream_id) != 0)
        listing = listing->next;
    return listing;
}

static struct leat_listing **
find_done(struct leat_lease_manager *manager) LEAT_REQUIRES(manager->lock)
{
    struct leat_listing **link = &manager->listings;

    while (*link != NULL && !(*link)->is_done)
        link = &(*link)->next;
    return link;
}

struct leat_listing *
leat_listing_take(struct leat_lease_manager *manager, int64_t until_us)
{
    struct leat_listing **link, *listing;

    if (manager->listings == NULL)
        return NULL;
    leat_mutex_lock(&manager->lock);
    while (*(link = find_done(manager)) == NULL && !manager->is_stopping &&
           leat_clock_monotonic_us() < until_us)
        leat_condition_wait_until(&manager->stopping, &manager->lock, until_us);
    listing = *link;
    if (listing != NULL)
        *link = listing->next;
    leat_mutex_unlock(&manager->lock);
    if (listing == NULL)
        return NULL;
    leat_thread_join(&listing->thread);
    if (listing->status != 0)
        leat_map_put(&manager->lists_failed, leat_slice_from(listing->source->facts.stream_id),
                     manager);
    else
        leat_map_remove(&manager->lists_failed, leat_slice_from(listing->source->facts.stream_id));
    return listing;
}

void
leat_listing_free(struct leat_listing *listing)
{
    leat_shard_list_release(&listing->shards);
    leat_source_unref(listing->source);
    leat_leases_before_unref(listing->before);
    free(listing);
}

void
leat_listings_end(struct leat_lease_manager *manager)
{
    while (manager->listings != NULL) {
        struct leat_listing *listing = manager->listings;

        manager->listings = listing->next;
        leat_thread_join(&listing->thread);
        leat_listing_free(listing);
    }
}
