/*
 * What a service tells of its streams, and how one of them is opened: the lease manager looks them up here, for itself and for
 * the fleet; worker/ picks the kind.
 *
 * Threads: describe, list and open may be called from several threads at once; the first two block (network).
 */
#ifndef LEAT_STREAM_CATALOG_H
#define LEAT_STREAM_CATALOG_H

#include "stream/source.h"

struct leat_catalog;

/* A stream as a listing tells it. facts.stream_id "": the listing tells names alone, ask for the rest. Retention is never told. */
struct leat_catalog_item {
    struct leat_source_facts facts;
    bool is_ready; /* neither being made nor being deleted */
};
/* Non-zero ends the listing, and is returned. */
typedef int (*leat_catalog_each_fn)(void *context, const struct leat_catalog_item *item);

struct leat_catalog_ops {
    int (*list)(struct leat_catalog *catalog, leat_catalog_each_fn each, void *context,
                struct leat_error *err);
    /* LEAT_E_NOT_FOUND: there is none of that name. LEAT_E_CONFLICT: it is being made or deleted: ask again later. */
    int (*describe)(struct leat_catalog *catalog, const char *name,
                    struct leat_source_facts *ret_facts, struct leat_error *err);
    /* Asks nobody. The source is the caller's. */
    int (*open)(struct leat_catalog *catalog, const struct leat_source_facts *facts,
                struct leat_source **ret_source, struct leat_error *err);
    /* Any thread: what blocks ends with CANCELLED, now and later. */
    void (*interrupt)(struct leat_catalog *catalog);
    void (*close)(struct leat_catalog *catalog); /* its sources are closed */
};

struct leat_catalog {
    const struct leat_catalog_ops *ops;
};

#endif
