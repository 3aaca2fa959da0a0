/*
 * Shard sync: at start, and each minute by whoever claims it, a stream at a time and once for the fleet: lists the stream's shards,
 * lets this worker's processors meet it if it is new to them, and makes the leases that are missing. Before that, streams
 * themselves are looked up (discover.c). It may take long, so it has a thread and, for as long as it works, a connection of its own.
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
#include "lease/listing.h"

#define ANSWER_US (40 * LEAT_SECOND_US)
#define SOON_US (1 * LEAT_SECOND_US)
#define APART_US (100 * LEAT_MS_US)
#define LIST_WAIT_US (300 * LEAT_MS_US) /* for lists, from one to the next */
#define RETRY_BASE_US (200 * LEAT_MS_US)
#define RETRY_CAP_US (10 * LEAT_SECOND_US)

/* One stream, while it is synced. */
struct syncing {
    struct leat_lease_manager *manager;
    struct leat_pg_connection *connection;
    const struct leat_stream *stream;
    const char *stream_id;
    const struct leat_lease_rows *leases; /* of the application, as they were before the listing */
    const struct leat_shard_list *shards;
    struct leat_beginnings known; /* of the stream */
    struct leat_beginnings met;   /* by this worker's processors, now */
};

static void
mark_leases(const struct syncing *s, struct leat_shard_mark *marks)
{
    struct leat_map names;

    leat_map_init(&names);
    for (size_t i = 0; i < s->leases->count; i++) {
        if (leat_slice_is(s->leases->leases[i].key.stream_id, s->stream_id))
            leat_map_put(&names, s->leases->leases[i].key.shard, &s->leases->leases[i]);
    }
    for (size_t i = 0; i < s->shards->count; i++) {
        const struct leat_lease *lease = leat_map_get(&names, s->shards->shards[i].shard);

        marks[i].has_lease = lease != NULL;
        marks[i].has_ended = lease != NULL && lease->state == LEAT_LEASE_ENDED;
    }
    leat_map_release(&names, NULL);
}

/* By any processor that has met the stream, also one that this worker does not know: it syncs for all. */
static void
mark_needed(const struct syncing *s, struct leat_shard_mark *marks)
{
    for (size_t p = 0; p < s->known.count; p++) {
        const struct leat_beginning *beginning = &s->known.items[p];

        for (size_t i = 0; i < s->shards->count; i++)
            marks[i].is_needed = marks[i].is_needed ||
                                 leat_beginning_role(beginning, s->shards->shards[i].shard) !=
                                     LEAT_SHARD_PASSED;
    }
}

/* Indices of the list; free(). */
static size_t *
find_missing(const struct syncing *s, size_t *ret_count)
{
    struct leat_shard_mark *marks = LEAT_NEW_ARRAY(struct leat_shard_mark, s->shards->count);
    size_t *missing = LEAT_NEW_ARRAY(size_t, s->shards->count);

    mark_leases(s, marks);
    mark_needed(s, marks);
    *ret_count = leat_shard_missing(s->shards, marks, missing);
    free(marks);
    return missing;
}

static int
create_missing(const struct syncing *s, size_t *changed, struct leat_error *err)
{
    struct leat_shard_facts *facts = LEAT_NEW_ARRAY(struct leat_shard_facts, s->shards->count);
    size_t count, *missing = find_missing(s, &count);
    int status;

    for (size_t i = 0; i < count; i++)
        facts[i] = s->shards->shards[missing[i]];
    status = leat_rows_create(s->connection, &s->manager->rows, leat_slice_from(s->stream_id),
                              facts, count, changed, err);
    free(facts);
    free(missing);
    return status;
}

/* Closed shards whose leases are active: their owners may not know it, where a service gives their readers no end. */
static int
name_children(const struct syncing *s, size_t *changed, struct leat_error *err)
{
    struct leat_slice *pairs =
        LEAT_NEW_ARRAY(struct leat_slice, 2 * LEAT_SHARD_PARENTS * s->shards->count + 1);
    struct leat_map closed;
    size_t count = 0;
    int status = 0;

    leat_map_init(&closed);
    for (size_t i = 0; i < s->leases->count; i++) {
        const struct leat_lease *lease = &s->leases->leases[i];

        if (lease->state == LEAT_LEASE_ACTIVE && !lease->has_children &&
            leat_slice_is(lease->key.stream_id, s->stream_id))
            leat_map_put(&closed, lease->key.shard, &closed);
    }
    for (size_t i = 0; i < s->shards->count; i++) {
        if (!s->shards->shards[i].is_closed)
            leat_map_remove(&closed, s->shards->shards[i].shard);
    }
    for (size_t i = 0; closed.count > 0 && i < s->shards->count; i++) {
        const struct leat_shard_facts *shard = &s->shards->shards[i];

        for (size_t p = 0; p < shard->parent_count; p++) {
            if (leat_map_get(&closed, shard->parents[p]) == NULL)
                continue;
            pairs[2 * count] = shard->parents[p];
            pairs[2 * count++ + 1] = shard->shard;
        }
    }
    if (count > 0)
        status = leat_rows_name_children(s->connection, &s->manager->rows, s->stream_id, pairs,
                                         count, changed, err);
    leat_map_release(&closed, NULL);
    free(pairs);
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
        status = leat_rows_settle(s->connection, rows, s->stream_id, s->shards, &changed, err);
    if (status == 0)
        status = name_children(s, &changed, err);
    status = leat_rows_sync_end(s->connection, rows, status, changed, err);
    if (status == 0 && s->met.count > 0)
        LEAT_POINT("lease.met");
    return status;
}

/* Leases that are missing in a stream that is known may be those of another one of its name: so it is asked before they are made. */
static int
check_identity(const struct syncing *s, struct leat_error *err)
{
    struct leat_source *source = s->stream->source;
    struct leat_source_facts facts;
    size_t count;
    int status;

    if (s->known.count == 0)
        return 0; /* it was looked up a moment ago */
    free(find_missing(s, &count));
    if (count == 0)
        return 0;
    status = source->ops->describe(source, &facts, err);
    if (status == 0 && strcmp(facts.stream_id, s->stream_id) != 0)
        status = leat_error_set(err, LEAT_E_NOT_FOUND, "it was deleted and made again");
    return status;
}

/* What is done with a list that has come. */
static int
sync_stream(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
            const struct leat_stream *stream, const struct leat_listing *listing,
            struct leat_error *err)
{
    struct leat_source *source = stream->source;
    const struct leat_lease_rows *leases = &listing->before->rows;
    struct syncing s = {.manager = manager,
                        .connection = connection,
                        .stream = stream,
                        .stream_id = source->facts.stream_id,
                        .leases = leases,
                        .shards = &listing->shards};
    int status = listing->status;

    leat_beginnings_init(&s.known);
    leat_beginnings_init(&s.met);
    if (status != 0 && err != NULL)
        *err = listing->err;
    if (status != 0 && status != LEAT_E_CANCELLED && !stream->is_readable)
        leat_manager_cannot_read(manager, stream, &listing->err);
    if (status == 0)
        status = leat_rows_beginnings(connection, &manager->rows, s.stream_id, &s.known, err);
    if (status == 0)
        leat_manager_say_odd(manager, source, s.shards);
    if (status == 0)
        status = leat_gone_answer(manager, source, s.shards, listing->listed_us, err);
    if (status == 0)
        status = check_identity(&s, err);
    if (status == 0)
        status = leat_meet_all(
            &(struct leat_meeting_stream){manager, connection, stream, leases, s.shards, &s.known},
            &s.met, err);
    if (status == 0)
        status = store(&s, err);
    if (status == 0)
        status = leat_manager_look_for_open(manager, source, leases, s.shards, &s.known, err);
    if (status == 0)
        status = leat_manager_clean_up(manager, connection, s.stream_id, s.shards, err);
    if (status == 0)
        status =
            leat_rows_synced(connection, &manager->rows, s.stream_id, manager->incarnation, err);
    leat_beginnings_release(&s.known);
    leat_beginnings_release(&s.met);
    return status != 0 ? leat_error_prefix(err, "stream \"%s\"", source->facts.name) : 0;
}

/* ---- all streams ----------------------------------------------------------------------------- */

struct round {
    struct leat_lease_manager *manager;
    struct leat_pg_connection *connection;
    struct leat_stream_set set;
    const char **ids;
    bool *is_unmet, *is_ours, is_forced;
    struct leat_error first; /* of a single stream: the others go on */
};

static bool
has_met(const struct leat_map *met, const char *processor, const char *stream_id)
{
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;

    leat_buf_printf(&key, "%s\n%s", processor, stream_id);
    return leat_map_get(met, leat_buf_slice(&key)) != NULL;
}

/* Streams that a processor of this worker has yet to meet; and whether there are any. */
static int
find_unmet(struct round *r, bool *ret_has_unmet, struct leat_error *err)
{
    const struct leat_lease_options *options = &r->manager->options;
    struct leat_map met;
    int status;

    leat_map_init(&met);
    *ret_has_unmet = false;
    status = leat_rows_met(r->connection, &r->manager->rows, &met, err);
    for (size_t i = 0; i < r->set.count && status == 0; i++) {
        r->is_unmet[i] = false;
        for (size_t p = 0; p < options->processor_count; p++) {
            const struct leat_lease_processor *processor = &options->processors[p];

            if (leat_manager_takes(processor, r->set.items[i].source) &&
                !has_met(&met, processor->name, r->ids[i]))
                r->is_unmet[i] = *ret_has_unmet = true;
        }
    }
    leat_map_release(&met, NULL);
    return status;
}

/* A stream that is not there is looked up; one that cannot be listed does not hold up the others; one that is not read any more is
   left. */
static int
sync_one(struct round *r, const struct leat_listing *listing, struct leat_error *err)
{
    const char *stream_id = listing->source->facts.stream_id;
    struct leat_lease_key key = {leat_slice_from(stream_id), leat_slice_from("")};
    size_t index = 0;
    int status;

    while (index < r->set.count && strcmp(r->ids[index], stream_id) != 0)
        index++;
    if (index == r->set.count)
        return 0;
    status = sync_stream(r->manager, r->connection, &r->set.items[index], listing, err);
    if (listing->is_stale)
        leat_manager_sync_soon(r->manager);
    if (status == 0 || leat_pg_is_broken(r->connection) || status == LEAT_E_CANCELLED)
        return status;
    if (status == LEAT_E_NOT_FOUND && !r->set.items[index].is_fixed)
        leat_lease_doubt(r->manager, key, NULL, NULL);
    else if (r->first.code == 0)
        r->first = *err;
    return leat_pg_script(r->connection, "ROLLBACK", NULL) != 0 ? status : 0;
}

/* Lists that have come: all of them, and while they come. What takes longer is taken by a later round. */
static int
take_lists(struct round *r, int64_t wait_us, struct leat_error *err)
{
    struct leat_listing *listing;
    int status = 0;

    while (status == 0 && !r->manager->is_stopping &&
           (listing = leat_listing_take(r->manager, leat_clock_monotonic_us() + wait_us)) != NULL) {
        status = sync_one(r, listing, err);
        leat_listing_free(listing);
    }
    return status;
}

/* Those that are ours: side by side, and a few at once. Where all places are taken by lists that do not come, the rest waits for
   the next round. */
static int
list_ours(struct round *r, struct leat_leases_before *before, struct leat_error *err)
{
    bool *is_last = LEAT_NEW_ARRAY(bool, r->set.count + 1); /* by stream: begun last */
    int status = 0;

    for (size_t n = 0; n < 2 * r->set.count && status == 0 && !r->manager->is_stopping; n++) {
        size_t i = n % r->set.count;

        if (n < r->set.count)
            is_last[i] = leat_listing_has_failed(r->manager, r->ids[i]);
        if (!r->is_ours[i] || is_last[i] != (n >= r->set.count))
            continue;
        if (leat_listing_begin(r->manager, r->set.items[i].source, before))
            continue;
        status = take_lists(r, LIST_WAIT_US, err);
        if (status == 0 && !leat_listing_begin(r->manager, r->set.items[i].source, before)) {
            leat_sync_want(r->manager);
            break;
        }
    }
    free(is_last);
    return status != 0 ? status : take_lists(r, LIST_WAIT_US, err);
}

/* What this worker cannot read it does not claim either, until it tries again: others list it. */
static bool
is_others(const struct leat_stream *stream)
{
    return !stream->is_readable && stream->failures > 0 &&
           stream->try_at_us > leat_clock_monotonic_us();
}

static int
claim_and_sync(struct round *r, int64_t age_us, struct leat_error *err)
{
    const char **names = LEAT_NEW_ARRAY(const char *, r->set.count + 1);
    struct leat_claim claim = {
        r->manager->incarnation, age_us, names, r->is_unmet, r->set.count, r->is_ours};
    struct leat_leases_before *before = leat_leases_before_new();
    size_t ours = 0;
    int status = take_lists(r, 0, err);

    for (size_t i = 0; i < r->set.count; i++) {
        struct leat_listing *listing = leat_listing_find(r->manager, r->ids[i]);

        names[i] = listing != NULL || is_others(&r->set.items[i]) ? "" : r->ids[i];
        if (listing != NULL)
            listing->is_stale = listing->is_stale || r->is_forced;
    }
    for (size_t i = 0; i < r->set.count && status == 0; i++) {
        if (r->set.items[i].is_fixed)
            status = leat_rows_stream(r->connection, &r->manager->rows,
                                      &r->set.items[i].source->facts, err);
    }
    if (status == 0)
        status = leat_rows_claim_syncs(r->connection, &r->manager->rows, &claim, err);
    for (size_t i = 0; i < r->set.count; i++)
        ours += r->is_ours[i];
    /* Once for all streams, before any of them is listed. */
    if (status == 0 && ours > 0)
        status = leat_rows_leases(r->connection, &r->manager->rows, 0, &before->rows, err);
    if (status == 0 && ours > 0)
        status = list_ours(r, before, err);
    leat_leases_before_unref(before);
    free(names);
    return status;
}

/* Until the next stream or spec is due. */
static int
find_due(struct round *r, int64_t *ret_wait_us, struct leat_error *err)
{
    const struct leat_streams_options *options = leat_streams_options(r->manager->options.streams);
    size_t count = options->spec_count + r->set.count;
    const char **names = LEAT_NEW_ARRAY(const char *, count + 1);
    struct leat_claim due = {
        .incarnation = 0, .age_us = options->interval_us / 8 * 7, .names = names, .count = count};
    int status;

    for (size_t i = 0; i < count; i++)
        names[i] = i < options->spec_count ? options->specs[i].spec
                                           : r->ids[i - options->spec_count];
    status = leat_rows_due(r->connection, &r->manager->rows, &due, ret_wait_us, err);
    free(names);
    return status;
}

/* A shard's end left something to a sync: whatever was listed before does not count. */
static bool
force_if_asked(struct round *r)
{
    bool is_forced;

    leat_mutex_lock(&r->manager->lock);
    is_forced = r->manager->is_sync_forced;
    r->manager->is_sync_forced = false;
    leat_mutex_unlock(&r->manager->lock);
    for (size_t i = 0; i < r->set.count && is_forced; i++)
        r->is_unmet[i] = true;
    return is_forced;
}

static int
sync_streams(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
             int64_t *ret_wait_us, struct leat_error *err)
{
    int64_t interval_us = leat_streams_options(manager->options.streams)->interval_us;
    struct round r = {manager, connection};
    bool has_unmet = false, is_left = false;
    int status;

    leat_streams_snapshot(manager->options.streams, &r.set);
    r.ids = LEAT_NEW_ARRAY(const char *, r.set.count + 1);
    r.is_unmet = LEAT_NEW_ARRAY(bool, r.set.count + 1);
    r.is_ours = LEAT_NEW_ARRAY(bool, r.set.count + 1);
    for (size_t i = 0; i < r.set.count; i++)
        r.ids[i] = r.set.items[i].source->facts.stream_id;
    status = find_unmet(&r, &has_unmet, err);
    r.is_forced = force_if_asked(&r);
    if (status == 0)
        status = claim_and_sync(&r, interval_us / 8 * 7, err);
    for (size_t i = 0; i < r.set.count && r.is_forced; i++)
        is_left = is_left || status != 0 ||
                  (!r.is_ours[i] && !is_others(&r.set.items[i]) &&
                   leat_listing_find(manager, r.ids[i]) == NULL);
    if (is_left)
        leat_manager_sync_soon(manager); /* whoever is at it may have listed before */
    if (status == 0 && has_unmet)
        status = find_unmet(&r, &has_unmet, err);
    if (status == 0)
        status = find_due(&r, ret_wait_us, err);
    if (status == 0 && r.first.code != 0) {
        *err = r.first;
        status = err->code;
    }
    /* Somebody else lets them meet it: his turn ends soon, or becomes ours. */
    if (status == 0 && has_unmet && *ret_wait_us > SOON_US)
        *ret_wait_us = SOON_US;
    if (status == 0 && !has_unmet)
        manager->has_synced = true;
    leat_stream_set_release(&r.set);
    free(r.ids);
    free(r.is_unmet);
    free(r.is_ours);
    return status;
}

enum job {
    JOB_FOLLOW,
    JOB_TRY,
    JOB_PUBLISH,
    JOB_LIST_FOR_ENDS,
    JOB_LOOK,
    JOB_DOUBTS,
    JOB_SYNC,
    JOB_PURGE,
    JOB_AUDIT,
};

static int
do_job(struct leat_lease_manager *manager, struct leat_pg_connection *connection, enum job job,
       int64_t *ret_wait_us, struct leat_error *err)
{
    switch (job) {
    case JOB_FOLLOW:
        return leat_manager_follow_streams(manager, connection, err);
    case JOB_TRY:
        return leat_manager_try_streams(manager, connection, err);
    case JOB_PUBLISH:
        return leat_manager_publish(manager, connection, err);
    case JOB_LIST_FOR_ENDS:
        return leat_ends_list(manager, err);
    case JOB_LOOK:
        return leat_discover(manager, connection, err);
    case JOB_DOUBTS:
        return leat_doubts_settle(manager, connection, err);
    case JOB_SYNC:
        return sync_streams(manager, connection, ret_wait_us, err);
    case JOB_PURGE:
        return leat_manager_purge(manager, connection, err);
    case JOB_AUDIT:
        return leat_manager_audit(manager, connection, err);
    }
    return 0;
}

/* What others found is said before the service is asked anything, since that may take long. Whatever fails, the others are done;
   what is told is the first. */
static int
run_round(struct leat_lease_manager *manager, int64_t *ret_wait_us, struct leat_error *err)
{
    static const enum job jobs[] = {JOB_FOLLOW, JOB_TRY,    JOB_PUBLISH, JOB_LIST_FOR_ENDS,
                                    JOB_LOOK,   JOB_DOUBTS, JOB_TRY,     JOB_PUBLISH,
                                    JOB_SYNC,   JOB_PURGE,  JOB_AUDIT};
    struct leat_pg_options options = leat_manager_pg_options(
        manager, "leat sync", LEAT_LEASE_SETTINGS " -c statement_timeout=30s -c lock_timeout=1s");
    struct leat_pg_connection *connection;
    int first = 0, status;

    options.answer_timeout_us = ANSWER_US;
    status = leat_pg_connect(&options, &connection, err);
    if (status != 0)
        return status;
    leat_doubts_take(manager);
    leat_buf_clear(&manager->said); /* the first one of a round is compared with what is stored */
    for (size_t i = 0; i < LEAT_COUNT_OF(jobs) && !manager->is_stopping; i++) {
        struct leat_error why = {0};

        status = do_job(manager, connection, jobs[i], ret_wait_us, &why);
        if (status == 0)
            continue;
        if (first == 0) {
            first = status;
            *err = why;
        }
        if (leat_pg_is_broken(connection))
            break;
        leat_pg_script(connection, "ROLLBACK", NULL);
    }
    /* What it could not do others may: they do not wait for it. */
    if (first != 0 && !leat_pg_is_broken(connection))
        leat_rows_unclaim(connection, &manager->rows, manager->incarnation, NULL);
    leat_pg_close(connection);
    return first;
}

/* ---- the thread ------------------------------------------------------------------------------ */

void
leat_sync_want(struct leat_lease_manager *manager)
{
    leat_mutex_lock(&manager->lock);
    manager->is_sync_wanted = true;
    leat_condition_broadcast(&manager->stopping);
    leat_mutex_unlock(&manager->lock);
}

void
leat_manager_sync_soon(struct leat_lease_manager *manager)
{
    leat_mutex_lock(&manager->lock);
    manager->is_sync_wanted = manager->is_sync_forced = true;
    leat_condition_broadcast(&manager->stopping);
    leat_mutex_unlock(&manager->lock);
}

static bool
is_forced(struct leat_lease_manager *manager)
{
    bool is_forced;

    leat_mutex_lock(&manager->lock);
    is_forced = manager->is_sync_forced;
    leat_mutex_unlock(&manager->lock);
    return is_forced;
}

/* Not before earliest_us, however much it is wanted. */
static void
wait_for_turn(struct leat_lease_manager *manager, int64_t earliest_us, int64_t until_us)
{
    leat_mutex_lock(&manager->lock);
    for (;;) {
        int64_t at_us = manager->is_sync_wanted && earliest_us < until_us ? earliest_us : until_us;

        if (manager->is_stopping || leat_clock_monotonic_us() >= at_us)
            break;
        leat_condition_wait_until(&manager->stopping, &manager->lock, at_us);
    }
    manager->is_sync_wanted = false;
    leat_mutex_unlock(&manager->lock);
}

/* Spread over an eighth of the interval: who comes first does it, the others find it done. */
static int64_t
next_wait_us(const struct leat_lease_manager *manager, struct leat_random *random, int64_t due_us)
{
    int64_t eighth_us = leat_streams_options(manager->options.streams)->interval_us / 8;

    return due_us + 1 + (int64_t)leat_random_below(random, (uint64_t)eighth_us + 1);
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
        int64_t began_us = leat_clock_monotonic_us(), wait_us = 0, earliest_us, until_us, try_us;

        if (run_round(manager, &wait_us, &err) == 0) {
            failures = 0;
            leat_manager_trouble(manager, &is_told, NULL);
            leat_manager_wake(manager);
            wait_us = next_wait_us(manager, &random, wait_us);
            earliest_us = began_us +
                          (manager->doubted != NULL || is_forced(manager) ? SOON_US : APART_US);
            if (manager->doubted != NULL && wait_us > SOON_US)
                wait_us = SOON_US;
        } else {
            leat_error_prefix(&err, "could not look for new streams and shards");
            if (!leat_manager_is_cut_off(manager))
                leat_manager_trouble(manager, &is_told, &err);
            wait_us = leat_backoff_us(&random, RETRY_BASE_US, RETRY_CAP_US, failures++);
            /* What failed waits; what somebody wants, of another stream maybe, does not wait for it. */
            earliest_us = began_us + SOON_US;
            leat_manager_wake(manager);
        }
        until_us = leat_clock_monotonic_us() + wait_us;
        try_us = leat_manager_try_at_us(manager);
        wait_for_turn(manager, earliest_us, try_us < until_us ? try_us : until_us);
    }
    leat_listings_end(manager);
}
