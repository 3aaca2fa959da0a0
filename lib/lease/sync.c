/*
 * Shard sync: at start, and each minute by whoever gets to it: lists each stream's shards and makes the leases that are
 * missing. It may take long, so it has a thread and, for as long as it works, a connection of its own.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/inside.h"
#include "lease/shard_sync.h"

#define SYNC_US (60 * LEAT_SECOND_US)
#define RETRY_BASE_US (200 * LEAT_MS_US)
#define RETRY_CAP_US (10 * LEAT_SECOND_US)

/* LATEST becomes a time by the service's clock, once. */
static int
resolve_start(struct leat_source *source, const struct leat_position *start,
              struct leat_buf *ret_start, struct leat_error *err)
{
    struct leat_position resolved = *start;
    int status = 0;

    if (start->kind == LEAT_POSITION_LATEST) {
        resolved.kind = LEAT_POSITION_AT_TIMESTAMP;
        status = source->ops->now(source, &resolved.timestamp_us, err);
    }
    if (status == 0)
        leat_position_format(&resolved, ret_start);
    return status;
}

static enum leat_sync_position
position_of(const struct leat_position *start)
{
    return start->kind == LEAT_POSITION_LATEST         ? LEAT_SYNC_LATEST
           : start->kind == LEAT_POSITION_AT_TIMESTAMP ? LEAT_SYNC_AT_TIMESTAMP
                                                       : LEAT_SYNC_TRIM_HORIZON;
}

static void
mark_leases(const struct leat_shard_list *shards, const struct leat_lease_rows *leases,
            const char *stream_id, bool *has_lease)
{
    struct leat_map names;

    leat_map_init(&names);
    for (size_t i = 0; i < leases->count; i++) {
        if (leat_slice_is(leases->leases[i].key.stream_id, stream_id))
            leat_map_put(&names, leases->leases[i].key.shard, (void *)&leases->leases[i]);
    }
    for (size_t i = 0; i < shards->count; i++)
        has_lease[i] = leat_map_get(&names, shards->shards[i].shard) != NULL;
    leat_map_release(&names, NULL);
}

static int
create_missing(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
               const struct leat_lease_stream *stream, const struct leat_shard_list *shards,
               struct leat_slice start, struct leat_error *err)
{
    const char *stream_id = stream->source->facts.stream_id;
    struct leat_new_lease *missing = LEAT_NEW_ARRAY(struct leat_new_lease, shards->count);
    struct leat_shard_facts *facts = LEAT_NEW_ARRAY(struct leat_shard_facts, shards->count);
    struct leat_slice *starts = LEAT_NEW_ARRAY(struct leat_slice, shards->count);
    bool *has_lease = LEAT_NEW_ARRAY(bool, shards->count);
    struct leat_lease_rows leases;
    size_t count = 0;
    int status;

    leat_lease_rows_init(&leases);
    status = leat_rows_leases(connection, &manager->rows, 0, &leases, err);
    if (status == 0) {
        mark_leases(shards, &leases, stream_id, has_lease);
        count = leat_shard_sync(shards, has_lease, position_of(&stream->start), missing);
    }
    for (size_t i = 0; i < count; i++) {
        facts[i] = shards->shards[missing[i].shard];
        starts[i] = missing[i].is_trim_horizon ? leat_slice_from("TRIM_HORIZON") : start;
    }
    if (status == 0 && count > 0)
        status = leat_rows_create(connection, &manager->rows, leat_slice_from(stream_id), facts,
                                  count, starts, err);
    leat_lease_rows_release(&leases);
    free(missing);
    free(facts);
    free(starts);
    free(has_lease);
    return status;
}

static int
sync_stream(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
            const struct leat_lease_stream *stream, struct leat_error *err)
{
    struct leat_source *source = stream->source;
    LEAT_AUTO_BUF wanted = LEAT_BUF_INIT;
    LEAT_AUTO_BUF start = LEAT_BUF_INIT;
    struct leat_shard_list shards;
    int status;

    leat_shard_list_init(&shards);
    status = resolve_start(source, &stream->start, &wanted, err);
    if (status == 0)
        status = leat_rows_stream(connection, &manager->rows, &source->facts,
                                  leat_buf_text(&wanted), &start, err);
    if (status == 0)
        status = source->ops->list_shards(source, &shards, err);
    if (status == 0)
        status = create_missing(manager, connection, stream, &shards, leat_buf_slice(&start), err);
    leat_shard_list_release(&shards);
    return status != 0 ? leat_error_prefix(err, "stream \"%s\"", source->facts.name) : 0;
}

static int
sync_all(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_pg_options options = {.url = manager->database_url,
                                      .application_name = "leat sync",
                                      .settings = "-c statement_timeout=30s"};
    struct leat_pg_connection *connection;
    int status = leat_pg_connect(&options, &connection, err);

    if (status != 0)
        return status;
    for (size_t i = 0; i < manager->options.stream_count && status == 0 && !manager->is_stopping;
         i++)
        status = sync_stream(manager, connection, &manager->options.streams[i], err);
    leat_pg_close(connection);
    return status;
}

static void
wait_until(struct leat_lease_manager *manager, int64_t until_us)
{
    leat_mutex_lock(&manager->lock);
    while (!manager->is_stopping && leat_clock_monotonic_us() < until_us)
        leat_condition_wait_until(&manager->stopping, &manager->lock, until_us);
    leat_mutex_unlock(&manager->lock);
}

void
leat_sync_main(void *context)
{
    struct leat_lease_manager *manager = context;
    struct leat_random random;
    unsigned failures = 0;
    bool is_told = false;

    leat_random_seed(&random, (uint64_t)leat_random_identity());
    while (!manager->is_stopping) {
        struct leat_error err = {0};

        if (sync_all(manager, &err) == 0) {
            failures = 0;
            leat_manager_trouble(manager, &is_told, NULL);
            manager->has_synced = true;
            leat_manager_wake(manager);
            wait_until(manager, leat_clock_monotonic_us() + SYNC_US);
            continue;
        }
        leat_error_prefix(&err, "could not look for new shards");
        leat_manager_trouble(manager, &is_told, &err);
        wait_until(manager, leat_clock_monotonic_us() +
                                leat_backoff_us(&random, RETRY_BASE_US, RETRY_CAP_US, failures++));
    }
}
