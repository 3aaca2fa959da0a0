/*
 * Lists of shards that are asked for: each on a thread of its own, so that a stream whose list does not come holds up no other's.
 * The sync thread begins them and takes them when they have come, be it rounds later. Its own: all functions are the sync thread's.
 */
#ifndef LEAT_LEASE_LISTING_H
#define LEAT_LEASE_LISTING_H

#include "base/thread.h"
#include "lease/rows.h"
#include "stream/source.h"

struct leat_lease_manager;

/* Leases as they were before lists were asked for: shared by all lists of a round. */
struct leat_leases_before {
    struct leat_lease_rows rows;
    size_t users;
};
struct leat_leases_before *leat_leases_before_new(void);
void leat_leases_before_unref(struct leat_leases_before *before);

struct leat_listing {
    struct leat_listing *next;
    struct leat_lease_manager *manager;
    struct leat_source *source; /* with a reference */
    struct leat_leases_before *before;
    int64_t listed_us; /* when it began */
    struct leat_thread thread;
    bool is_stale; /* a list that begins later is wanted, too */
    bool is_done;  /* the manager's lock */
    /* When it is done: */
    struct leat_shard_list shards;
    int status;
    struct leat_error err;
};

/* false: there is no room for one more. A place is kept for streams whose last list came. */
bool leat_listing_begin(struct leat_lease_manager *manager, struct leat_source *source,
                        struct leat_leases_before *before);
/* Did its last list fail, or not come? They are begun last. */
bool leat_listing_has_failed(const struct leat_lease_manager *manager, const char *stream_id);
/* NULL: none of this stream. */
struct leat_listing *leat_listing_find(struct leat_lease_manager *manager, const char *stream_id);
/* One that is done, to be freed by the caller; NULL: none until then, or all are taken. */
struct leat_listing *leat_listing_take(struct leat_lease_manager *manager, int64_t until_us);
void leat_listing_free(struct leat_listing *listing);
/* Waits for those under way: the service's calls are interrupted by then. */
void leat_listings_end(struct leat_lease_manager *manager);

#endif
