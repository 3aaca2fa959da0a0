/*
 * What stands around the workers: two private Postgres servers (leases, target), each behind a proxy of its own and each able to
 * fail alone, and the stream server in this process.
 *
 * Threads: main's, and one per database that restarts it: a server ends with the thread that started it.
 */
#ifndef LEAT_TESTS_CHAOS_WORLD_H
#define LEAT_TESTS_CHAOS_WORLD_H

#include <stdatomic.h>

#include "base/thread.h"
#include "chaos/schedule.h"
#include "local/postgres.h"
#include "support/fleet.h"
#include "support/pooler.h"
#include "support/proxy.h"

#define CHAOS_LETTERS "letters" /* the dead-letter stream */

struct chaos_database {
    char directory[80];
    char url[160]; /* past the proxy */
    struct leat_local_postgres *postgres;
    struct test_proxy *proxy;
    struct test_pooler pooler; /* CHAOS_POOLER: between the workers and the proxy */
    int64_t until_us;          /* of the fault that it has now; 0: none. main's */
    /* Since when its workers can reach it; 0: they cannot. For the sampler. */
    _Atomic int64_t well_since_us;
    /* The keeper: what it is asked for. */
    struct leat_thread keeper;
    struct leat_mutex lock;
    struct leat_condition condition;
    bool is_ending LEAT_FIELD_GUARDED_BY(lock), is_down LEAT_FIELD_GUARDED_BY(lock);
    int signal LEAT_FIELD_GUARDED_BY(lock); /* 0: nothing to do */
    int64_t back_at_us LEAT_FIELD_GUARDED_BY(lock);
};

struct chaos_world {
    struct test_fleet fleet;
    struct chaos_database databases[CHAOS_DATABASES];
    int64_t expiry_us;
    int64_t stream_until_us; /* 0: the stream server behaves */
    /* The open shards, in the order of their hash ranges; numbers as in their names. */
    unsigned open[64], open_count, shards_made;
};

void chaos_world_start(struct chaos_world *world, unsigned shards, size_t stream_bytes);
void chaos_world_end(struct chaos_world *world);
/* Where workers reach it. */
void chaos_worker_url(const struct chaos_database *database, char *url, size_t size);
/* A connection past the proxy; NULL: the server is away. */
struct leat_pg_connection *chaos_connect(const struct chaos_database *database);

/* Does it, if it makes sense now (a database has one fault at a time, a stream its share of shards); says what in `what`. */
bool chaos_world_fault(struct chaos_world *world, const struct chaos_fault *fault, char *what,
                       size_t size);
/* Ends what is over. INT64_MAX: everything, and waits for the servers. */
void chaos_world_settle(struct chaos_world *world, int64_t now_us);

#endif
