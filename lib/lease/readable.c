/*
 * Which streams this worker can read. It says so of none before it has read a record of it (leat.workers.runs), so it is given no
 * shard that it cannot read; and what it holds and cannot read any more goes to others, if there are any who can: who lacks a
 * stream keeps its leases only while everybody does.
 *
 * Stories. (1) Its credentials are wrong, missing, or run out; its network has no way to the service: others read on, it tries
 * again, later and later. (2) The service is down for all: everybody waits, and nothing is moved: that others can read is known
 * only when one of them has listed the stream since. (3) One stream of many is refused: the others are read. (4) It is tried, reads
 * well, and is refused again a little later: each time it is tried later. (5) Many streams: the first are tried, in a second, the
 * rest is believed when one of them could be read; what is wrong shows when they are.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/inside.h"
#include "lease/rows_inside.h"
#include "postgres/array.h"

#define TRY_US (1 * LEAT_SECOND_US)
#define LOOK_US (1 * LEAT_SECOND_US)
#define GIVE_BACK_US (10 * LEAT_SECOND_US)
#define FIRST_US (500 * LEAT_MS_US)
#define LONGEST_US (60 * LEAT_SECOND_US)
#define SOONEST_US (100 * LEAT_MS_US)
/* Of a stream that has no leases yet; and if it is not there either, the service has answered. */
#define FIRST_SHARD "shardId-000000000000"
#define CALM_US (600 * LEAT_SECOND_US)

static void
say(struct leat_lease_manager *manager, const struct leat_source *source,
    const struct leat_error *why)
{
    const struct leat_lease_events *events = &manager->options.events;

    if (events->cannot_read != NULL)
        events->cannot_read(events->context, source->facts.name, why);
}

/* Doubled each time, also when it could be read for a little in between. */
static int64_t
next_try_us(const struct leat_stream *stream, int64_t now_us)
{
    unsigned times =
        stream->failures > 0 && now_us - stream->failed_at_us < CALM_US ? stream->failures : 0;
    int64_t wait_us = times < 8 ? FIRST_US << times : LONGEST_US;

    return now_us + (wait_us < LONGEST_US ? wait_us : LONGEST_US);
}

static bool
is_due(const struct leat_stream *stream, int64_t now_us)
{
    return stream->is_suspect || (!stream->is_readable && stream->try_at_us <= now_us);
}

void
leat_manager_cannot_read(struct leat_lease_manager *manager, const struct leat_stream *stream,
                         const struct leat_error *why)
{
    struct leat_read_trouble trouble = {
        .try_at_us = next_try_us(stream, leat_clock_monotonic_us())};

    leat_streams_set_readable(manager->options.streams, stream->source->facts.stream_id, &trouble);
    if (trouble.is_told)
        say(manager, stream->source, why);
}

static void
can_read(struct leat_lease_manager *manager, const struct leat_stream *stream)
{
    bool was_told = stream->is_told;

    leat_streams_set_readable(manager->options.streams, stream->source->facts.stream_id, NULL);
    if (was_told)
        say(manager, stream->source, NULL);
}

/* ---- trying: the sync thread --------------------------------------------------------------------- */

static bool
try_one(struct leat_lease_manager *manager, const struct leat_stream *stream,
        struct leat_slice shard)
{
    struct leat_error err = {0};
    int status = stream->source->ops->try_read(stream->source, shard, &err);

    if (status == 0)
        can_read(manager, stream);
    else if (status != LEAT_E_CANCELLED)
        leat_manager_cannot_read(manager, stream, &err);
    return status == 0;
}

/* A shard of each stream that has leases: stream_id -> slice of it, in the arena. */
static int
find_shards(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
            struct leat_arena *arena, struct leat_map *ret_shards, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, &manager->rows);
    status = leat_pg_execute(connection,
                             "SELECT DISTINCT ON (stream_id) stream_id, shard FROM leat.leases "
                             "WHERE application = $1 AND state = 'active' ORDER BY stream_id, "
                             "lease_owner IS NULL, shard DESC",
                             &parameters, &result, err);
    if (status != 0)
        return status;
    for (int row = 0; row < PQntuples(result); row++) {
        struct leat_slice *shard = leat_arena_alloc_zero(arena, 1, sizeof *shard);

        *shard = leat_rows_text(arena, result, row, 1);
        leat_map_put(ret_shards, leat_rows_text(arena, result, row, 0), shard);
    }
    PQclear(result);
    return 0;
}

static void
try_all(struct leat_lease_manager *manager, struct leat_stream_set *set,
        const struct leat_map *shards)
{
    int64_t begun_us = leat_clock_monotonic_us();
    bool has_read = false;

    /* Those that failed before come last: they may take all the time that there is. */
    for (size_t n = 0; n < 2 * set->count && !manager->is_stopping; n++) {
        struct leat_stream *stream = &set->items[n % set->count];
        int64_t now_us = leat_clock_monotonic_us();
        const struct leat_slice *shard =
            leat_map_get(shards, leat_slice_from(stream->source->facts.stream_id));

        if (!is_due(stream, now_us) || (stream->failures > 0) != (n >= set->count))
            continue;
        if (now_us - begun_us < TRY_US)
            has_read =
                try_one(manager, stream, shard != NULL ? *shard : leat_slice_from(FIRST_SHARD)) ||
                has_read;
        else if (has_read && stream->failures == 0)
            can_read(manager, stream);
        else
            leat_sync_want(manager); /* the next round goes on */
    }
}

int
leat_manager_try_streams(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                         struct leat_error *err)
{
    int64_t now_us = leat_clock_monotonic_us();
    struct leat_stream_set set;
    struct leat_arena arena;
    struct leat_map shards;
    bool has_due = false;
    int status = 0;

    leat_streams_snapshot(manager->options.streams, &set);
    for (size_t i = 0; i < set.count; i++)
        has_due = has_due || is_due(&set.items[i], now_us);
    leat_arena_init(&arena);
    leat_map_init(&shards);
    if (has_due)
        status = find_shards(manager, connection, &arena, &shards, err);
    if (has_due && status == 0)
        try_all(manager, &set, &shards);
    leat_map_release(&shards, NULL);
    leat_arena_release(&arena);
    leat_stream_set_release(&set);
    return status;
}

int64_t
leat_manager_try_at_us(struct leat_lease_manager *manager)
{
    int64_t at_us = INT64_MAX, soonest_us = leat_clock_monotonic_us() + SOONEST_US;
    struct leat_stream_set set;

    leat_streams_snapshot(manager->options.streams, &set);
    for (size_t i = 0; i < set.count; i++) {
        if (!set.items[i].is_readable && set.items[i].try_at_us < at_us)
            at_us = set.items[i].try_at_us;
    }
    leat_stream_set_release(&set);
    return at_us < soonest_us ? soonest_us : at_us;
}

/* ---- what is held: the manager thread -------------------------------------------------------------- */

/* Of a stream: the shards that are held, and how reading goes. */
struct holding {
    struct leat_stream *stream;
    int64_t
        since_us; /* the first of them that could not be read; 0: all can, INT64_MAX: nobody knows */
    int64_t answered_us;
    bool is_denied;
};

static void
look_at(struct leat_lease_manager *manager, struct holding *holding)
{
    const struct leat_lease_events *events = &manager->options.events;
    struct leat_map_entry *entry;
    size_t position = 0;

    while ((entry = leat_map_next(&manager->held, &position)) != NULL) {
        const struct leat_held_lease *held = entry->value;
        struct leat_lease_key key = {leat_slice_from(held->stream_id),
                                     leat_slice_from(held->shard)};
        struct leat_reading reading = {0};

        if (strcmp(held->stream_id, holding->stream->source->facts.stream_id) != 0)
            continue;
        events->reading(events->context, key, &reading);
        if (reading.failing_since_us != 0 &&
            (holding->since_us == 0 || reading.failing_since_us < holding->since_us))
            holding->since_us = reading.failing_since_us;
        holding->is_denied = holding->is_denied || reading.is_denied;
        if (reading.answered_us > holding->answered_us)
            holding->answered_us = reading.answered_us;
    }
}

/* Somebody else has listed it since this worker cannot read it: it is not the service. */
static int
others_can(struct leat_lease_manager *manager, const struct holding *holding, bool *ret_can,
           struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    size_t rows = 0;
    int status;

    leat_rows_begin(&parameters, &manager->rows);
    leat_pg_add_text(&parameters, holding->stream->source->facts.stream_id);
    leat_pg_add_int8(&parameters, leat_clock_monotonic_us() - holding->since_us);
    status = leat_rows_run(manager->connection,
                           "SELECT 1 FROM leat.streams WHERE application = $1 AND stream_id = $2 "
                           "AND synced_at > clock_timestamp() - $3 * interval '1 us'",
                           &parameters, &rows, err);
    *ret_can = rows > 0;
    return status;
}

static int
judge_stream(struct leat_lease_manager *manager, const struct holding *holding, int64_t now_us,
             struct leat_error *err)
{
    const struct leat_stream *stream = holding->stream;
    bool is_reading = holding->answered_us > holding->since_us, can = holding->is_denied;
    int status = 0;

    if (!stream->is_readable && is_reading && holding->since_us == 0 &&
        holding->answered_us > stream->failed_at_us) {
        can_read(manager, stream);
        leat_sync_want(manager);
        return 0;
    }
    if (!stream->is_readable || stream->is_suspect || holding->since_us == 0 || is_reading ||
        now_us - holding->since_us < GIVE_BACK_US)
        return 0;
    if (!can)
        status = others_can(manager, holding, &can, err);
    if (status != 0 || !can)
        return status;
    leat_streams_suspect(manager->options.streams, stream->source->facts.stream_id);
    leat_sync_want(manager);
    return 0;
}

int
leat_manager_look_at_reading(struct leat_lease_manager *manager, int64_t now_us,
                             struct leat_error *err)
{
    struct leat_stream_set set;
    int status = 0;

    if (manager->options.events.reading == NULL || now_us < manager->reading_at_us + LOOK_US)
        return 0;
    manager->reading_at_us = now_us;
    leat_streams_snapshot(manager->options.streams, &set);
    for (size_t i = 0; i < set.count && status == 0; i++) {
        struct holding holding = {.stream = &set.items[i]};

        if (set.items[i].is_fixed || set.items[i].source->ops->try_read == NULL)
            continue;
        look_at(manager, &holding);
        status = judge_stream(manager, &holding, now_us, err);
    }
    leat_stream_set_release(&set);
    return status;
}

/* ---- any thread ------------------------------------------------------------------------------------- */

bool
leat_lease_manager_can_read(struct leat_lease_manager *manager)
{
    struct leat_streams_counts counts;

    leat_streams_counts(manager->options.streams, &counts);
    return counts.readable > 0 || (counts.read == 0 && manager->has_synced);
}
