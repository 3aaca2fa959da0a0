/*
 * Shard sync: at start, and each minute by whoever gets to it: lists each stream's shards, lets this worker's processors meet
 * the streams that are new to them, and makes the leases that are missing. It may take long, so it has a thread and, for as
 * long as it works, a connection of its own.
 *
 * The order matters. Leases are read before shards are listed: a lease that is not listed then is of a shard that has left the
 * stream, not of one that came in between. Shards are listed before the time is asked for: what is closed in the list holds
 * nothing behind a LATEST.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "lease/inside.h"

#define ANSWER_US (40 * LEAT_SECOND_US)
#define SYNC_US (60 * LEAT_SECOND_US)
#define RETRY_BASE_US (200 * LEAT_MS_US)
#define RETRY_CAP_US (10 * LEAT_SECOND_US)

/* One stream, while it is synced. */
struct syncing {
    struct leat_lease_manager *manager;
    struct leat_pg_connection *connection;
    const struct leat_lease_stream *stream;
    const char *stream_id;
    struct leat_lease_rows leases; /* of the application, as they were before the listing */
    struct leat_shard_list shards;
    struct leat_beginnings known; /* of the stream */
    struct leat_beginnings met;   /* by this worker's processors, now */
};

static const struct leat_position *
start_of(const struct syncing *s, const struct leat_lease_processor *processor)
{
    return processor->start != NULL ? processor->start : &s->stream->start;
}

static bool
is_unknown(const struct syncing *s, const struct leat_lease_processor *processor)
{
    return leat_manager_takes(processor, s->stream->source) &&
           leat_beginnings_find(&s->known, leat_slice_from(processor->name),
                                leat_slice_from(s->stream_id)) == NULL;
}

/* LATEST becomes a time by the service's clock, once, and for all processors that come now. */
static int
resolve(const struct syncing *s, struct leat_position *position, int64_t *now_us,
        struct leat_error *err)
{
    struct leat_source *source = s->stream->source;
    int status = 0;

    if (position->kind != LEAT_POSITION_LATEST)
        return 0;
    if (*now_us == 0)
        status = source->ops->now(source, now_us, err);
    position->kind = LEAT_POSITION_AT_TIMESTAMP;
    position->timestamp_us = *now_us;
    return status;
}

static enum leat_sync_position
position_of(const struct leat_position *start)
{
    return start->kind == LEAT_POSITION_LATEST         ? LEAT_SYNC_LATEST
           : start->kind == LEAT_POSITION_AT_TIMESTAMP ? LEAT_SYNC_AT_TIMESTAMP
                                                       : LEAT_SYNC_TRIM_HORIZON;
}

/* Shards that have left the stream and that everybody else has ended are nothing that a new processor could wait for. */
static void
pass_gone(const struct syncing *s, struct leat_beginning *beginning)
{
    struct leat_map listed;

    leat_map_init(&listed);
    for (size_t i = 0; i < s->shards.count; i++)
        leat_map_put(&listed, s->shards.shards[i].shard, &s->shards.shards[i]);
    for (size_t i = 0; i < s->leases.count; i++) {
        const struct leat_lease *lease = &s->leases.leases[i];

        if (lease->state == LEAT_LEASE_ENDED && leat_slice_is(lease->key.stream_id, s->stream_id) &&
            leat_map_get(&listed, lease->key.shard) == NULL)
            leat_beginning_set(beginning, lease->key.shard, LEAT_SHARD_PASSED);
    }
    leat_map_release(&listed, NULL);
}

static int
meet(struct syncing *s, const struct leat_lease_processor *processor, int64_t *now_us,
     struct leat_error *err)
{
    struct leat_position position = *start_of(s, processor);
    enum leat_shard_role *roles = LEAT_NEW_ARRAY(enum leat_shard_role, s->shards.count);
    struct leat_beginning *beginning;
    LEAT_AUTO_BUF start = LEAT_BUF_INIT;
    int status = resolve(s, &position, now_us, err);

    if (status == 0) {
        leat_position_format(&position, &start);
        beginning = leat_beginnings_add(&s->met, leat_slice_from(processor->name),
                                        leat_slice_from(s->stream_id), leat_buf_slice(&start));
        leat_shard_roles(&s->shards, position_of(start_of(s, processor)), roles);
        for (size_t i = 0; i < s->shards.count; i++)
            leat_beginning_set(beginning, s->shards.shards[i].shard, roles[i]);
        pass_gone(s, beginning);
    }
    free(roles);
    return status;
}

/* Before the transaction: asking for the time may take long. */
static int
meet_all(struct syncing *s, struct leat_error *err)
{
    const struct leat_lease_options *options = &s->manager->options;
    int64_t now_us = 0;
    int status = 0;

    for (size_t i = 0; i < options->processor_count && status == 0; i++) {
        if (is_unknown(s, &options->processors[i]))
            status = meet(s, &options->processors[i], &now_us, err);
    }
    return status;
}

static void
mark_leases(const struct syncing *s, struct leat_shard_mark *marks)
{
    struct leat_map names;

    leat_map_init(&names);
    for (size_t i = 0; i < s->leases.count; i++) {
        if (leat_slice_is(s->leases.leases[i].key.stream_id, s->stream_id))
            leat_map_put(&names, s->leases.leases[i].key.shard, &s->leases.leases[i]);
    }
    for (size_t i = 0; i < s->shards.count; i++) {
        const struct leat_lease *lease = leat_map_get(&names, s->shards.shards[i].shard);

        marks[i].has_lease = lease != NULL;
        marks[i].has_ended = lease != NULL && lease->state == LEAT_LEASE_ENDED;
    }
    leat_map_release(&names, NULL);
}

/* By a processor of this worker; what only others need is made by those who know them. */
static void
mark_needed(const struct syncing *s, struct leat_shard_mark *marks)
{
    const struct leat_lease_options *options = &s->manager->options;

    for (size_t p = 0; p < options->processor_count; p++) {
        const struct leat_lease_processor *processor = &options->processors[p];
        const struct leat_beginning *beginning = leat_beginnings_find(
            &s->known, leat_slice_from(processor->name), leat_slice_from(s->stream_id));

        if (beginning == NULL || !leat_manager_takes(processor, s->stream->source))
            continue;
        for (size_t i = 0; i < s->shards.count; i++)
            marks[i].is_needed = marks[i].is_needed ||
                                 leat_beginning_role(beginning, s->shards.shards[i].shard) !=
                                     LEAT_SHARD_PASSED;
    }
}

static int
create_missing(const struct syncing *s, size_t *changed, struct leat_error *err)
{
    struct leat_shard_mark *marks = LEAT_NEW_ARRAY(struct leat_shard_mark, s->shards.count);
    struct leat_shard_facts *facts = LEAT_NEW_ARRAY(struct leat_shard_facts, s->shards.count);
    size_t *missing = LEAT_NEW_ARRAY(size_t, s->shards.count);
    size_t count;
    int status;

    mark_leases(s, marks);
    mark_needed(s, marks);
    count = leat_shard_missing(&s->shards, marks, missing);
    for (size_t i = 0; i < count; i++)
        facts[i] = s->shards.shards[missing[i]];
    status = leat_rows_create(s->connection, &s->manager->rows, leat_slice_from(s->stream_id),
                              facts, count, changed, err);
    free(marks);
    free(facts);
    free(missing);
    return status;
}

static int
store(struct syncing *s, struct leat_error *err)
{
    const struct leat_rows_context *rows = &s->manager->rows;
    size_t changed = 0;
    int status = leat_rows_sync_begin(s->connection, rows, s->stream_id, err);

    for (size_t i = 0; i < s->met.count && status == 0; i++)
        status = leat_rows_meet(s->connection, rows, &s->met.items[i], &changed, err);
    /* Another worker may have been first: what counts is what is there. */
    leat_beginnings_release(&s->known);
    if (status == 0)
        status = leat_rows_beginnings(s->connection, rows, s->stream_id, &s->known, err);
    if (status == 0)
        status = create_missing(s, &changed, err);
    if (status == 0)
        status = leat_rows_settle(s->connection, rows, s->stream_id, &s->shards, &changed, err);
    status = leat_rows_sync_end(s->connection, rows, status, changed, err);
    if (status == 0 && s->met.count > 0)
        LEAT_POINT("lease.met");
    return status;
}

static int
sync_stream(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
            const struct leat_lease_stream *stream, struct leat_error *err)
{
    struct leat_source *source = stream->source;
    struct syncing s = {manager, connection, stream, source->facts.stream_id};
    int status = leat_rows_stream(connection, &manager->rows, &source->facts, err);

    leat_lease_rows_init(&s.leases);
    leat_shard_list_init(&s.shards);
    leat_beginnings_init(&s.known);
    leat_beginnings_init(&s.met);
    if (status == 0)
        status = leat_rows_beginnings(connection, &manager->rows, s.stream_id, &s.known, err);
    if (status == 0)
        status = leat_rows_leases(connection, &manager->rows, 0, &s.leases, err);
    if (status == 0)
        status = source->ops->list_shards(source, &s.shards, err);
    if (status == 0)
        status = meet_all(&s, err);
    if (status == 0)
        status = store(&s, err);
    leat_lease_rows_release(&s.leases);
    leat_shard_list_release(&s.shards);
    leat_beginnings_release(&s.known);
    leat_beginnings_release(&s.met);
    return status != 0 ? leat_error_prefix(err, "stream \"%s\"", source->facts.name) : 0;
}

static int
sync_all(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_pg_options options = leat_manager_pg_options(
        manager, "leat sync", LEAT_LEASE_SETTINGS " -c statement_timeout=30s");
    struct leat_pg_connection *connection;
    int status;

    options.answer_timeout_us = ANSWER_US;
    status = leat_pg_connect(&options, &connection, err);

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
    while (!manager->is_stopping && !manager->is_sync_wanted &&
           leat_clock_monotonic_us() < until_us)
        leat_condition_wait_until(&manager->stopping, &manager->lock, until_us);
    manager->is_sync_wanted = false;
    leat_mutex_unlock(&manager->lock);
}

void
leat_manager_sync_soon(struct leat_lease_manager *manager)
{
    leat_mutex_lock(&manager->lock);
    manager->is_sync_wanted = true;
    leat_condition_broadcast(&manager->stopping);
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
