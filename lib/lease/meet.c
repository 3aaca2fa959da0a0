/*
 * A processor meets a stream: where it begins is decided once, here, and stored by the sync (rows_start.c).
 *
 * Stories it survives. (1) The lease database is new, or was restored from before the first meeting: the target has progress, so
 * this is no first meeting. Nothing is skipped: what has a row goes on from there, and what has none begins at TRIM_HORIZON, but
 * for shards that lay before the first start, which their children's rows prove (shard_sync.h). (2) The target cannot be asked: the
 * processor waits for it, the others do not; LATEST stays what it was when the processor came. (3) The service's clock is wrong
 * by years: LATEST would lie before everything, or behind all that ever comes. It is held against two others (latest.h).
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/inside.h"
#include "lease/latest.h"

#define PATIENCE_US (1 * LEAT_SECOND_US) /* for one target's answer */

/* One round of a stream. */
struct meeting {
    const struct leat_meeting_stream *of;
    const char *stream_id;
    int64_t now_us; /* LATEST, for all that come now; 0: nobody asked for it yet */
};

static const struct leat_position *
start_of(const struct meeting *m, const struct leat_lease_processor *processor)
{
    return processor->start != NULL ? processor->start : &m->of->stream->start;
}

static bool
is_unknown(const struct meeting *m, const struct leat_lease_processor *processor)
{
    return leat_manager_takes(processor, m->of->stream->source) &&
           leat_beginnings_find(m->of->known, leat_slice_from(processor->name),
                                leat_slice_from(m->stream_id)) == NULL;
}

/* ---- LATEST -------------------------------------------------------------------------------------- */

/* Once when a clock is found to be wrong, and once when it is right again. */
static void
say_clock(const struct meeting *m, const struct leat_clocks *clocks, bool is_believed)
{
    struct leat_lease_manager *manager = m->of->manager;
    const struct leat_lease_events *events = &manager->options.events;
    LEAT_AUTO_BUF detail = LEAT_BUF_INIT;

    if (manager->is_clock_told == !is_believed || events->stream == NULL)
        return;
    manager->is_clock_told = !is_believed;
    leat_clocks_describe(clocks, &detail);
    events->stream(events->context, is_believed ? LEAT_LOG_INFO : LEAT_LOG_WARNING,
                   is_believed ? "the service's clock is believed again"
                               : "the service's clock is not believed: the other two agree",
                   m->of->stream->source->facts.name, leat_buf_text(&detail));
}

/* By the service's clock, since records are stamped by it; held against the database's and our own. */
static int
ask_for_time(struct meeting *m, struct leat_error *err)
{
    struct leat_source *source = m->of->stream->source;
    struct leat_clocks clocks = {0};
    int status = m->now_us != 0 ? 0 : source->ops->now(source, &clocks.service_us, err);

    if (m->now_us != 0 || status != 0)
        return status;
    status = leat_rows_now(m->of->connection, &clocks.database_us, err);
    clocks.own_us = leat_clock_wall_us();
    if (status == 0)
        status = leat_clocks_latest(&clocks, &m->now_us, err);
    if (status == 0)
        say_clock(m, &clocks, m->now_us == clocks.service_us);
    return status;
}

static void
latest_key(const struct meeting *m, const struct leat_lease_processor *processor,
           struct leat_buf *out)
{
    leat_buf_printf(out, "%s\n%s", processor->name, m->stream_id);
}

/* Its target is away: if this is the first meeting, it is now, not when the target comes back. */
static int
remember_latest(struct meeting *m, const struct leat_lease_processor *processor,
                struct leat_error *err)
{
    struct leat_map *latest = &m->of->manager->latest;
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    int64_t *time_us;
    int status;

    latest_key(m, processor, &key);
    if (start_of(m, processor)->kind != LEAT_POSITION_LATEST ||
        leat_map_get(latest, leat_buf_slice(&key)) != NULL)
        return 0;
    status = ask_for_time(m, err);
    if (status != 0)
        return status;
    time_us = LEAT_NEW(int64_t);
    *time_us = m->now_us;
    leat_map_put(latest, leat_buf_slice(&key), time_us);
    return 0;
}

/* True: it came at that time, before its target answered; the list of that time is gone. */
static bool
take_latest(struct meeting *m, const struct leat_lease_processor *processor,
            struct leat_position *start)
{
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    int64_t *time_us;

    latest_key(m, processor, &key);
    time_us = leat_map_remove(&m->of->manager->latest, leat_buf_slice(&key));
    if (time_us == NULL || start->kind != LEAT_POSITION_LATEST) {
        free(time_us);
        return false;
    }
    start->kind = LEAT_POSITION_AT_TIMESTAMP;
    start->timestamp_us = *time_us;
    free(time_us);
    return true;
}

/* ---- roles --------------------------------------------------------------------------------------- */

static enum leat_sync_position
position_of(const struct leat_position *start)
{
    return start->kind == LEAT_POSITION_LATEST         ? LEAT_SYNC_LATEST
           : start->kind == LEAT_POSITION_AT_TIMESTAMP ? LEAT_SYNC_AT_TIMESTAMP
                                                       : LEAT_SYNC_TRIM_HORIZON;
}

/* Shards that have left the stream and that everybody else has ended are nothing that a new processor could wait for. */
static void
pass_gone(const struct meeting *m, struct leat_beginning *beginning)
{
    const struct leat_lease_rows *leases = m->of->leases;
    struct leat_map listed;

    leat_map_init(&listed);
    for (size_t i = 0; i < m->of->shards->count; i++)
        leat_map_put(&listed, m->of->shards->shards[i].shard, &listed);
    for (size_t i = 0; i < leases->count; i++) {
        const struct leat_lease *lease = &leases->leases[i];

        if (lease->state == LEAT_LEASE_ENDED && leat_slice_is(lease->key.stream_id, m->stream_id) &&
            leat_map_get(&listed, lease->key.shard) == NULL)
            leat_beginning_set(beginning, lease->key.shard, LEAT_SHARD_PASSED);
    }
    leat_map_release(&listed, NULL);
}

static void
add_beginning(const struct meeting *m, const struct leat_lease_processor *processor,
              const struct leat_position *start, const enum leat_shard_role *roles,
              struct leat_beginnings *met)
{
    struct leat_beginning *beginning;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_position_format(start, &text);
    beginning = leat_beginnings_add(met, leat_slice_from(processor->name),
                                    leat_slice_from(m->stream_id), leat_buf_slice(&text));
    for (size_t i = 0; i < m->of->shards->count; i++)
        leat_beginning_set(beginning, m->of->shards->shards[i].shard, roles[i]);
    pass_gone(m, beginning);
}

static int
meet_first(struct meeting *m, const struct leat_lease_processor *processor,
           struct leat_beginnings *met, struct leat_error *err)
{
    enum leat_shard_role *roles;
    struct leat_position start = *start_of(m, processor);
    enum leat_sync_position position;
    int status = 0;

    take_latest(m, processor, &start);
    position = position_of(&start);
    if (position == LEAT_SYNC_LATEST) {
        status = ask_for_time(m, err);
        start.kind = LEAT_POSITION_AT_TIMESTAMP;
        start.timestamp_us = m->now_us;
    }
    if (status != 0)
        return status;
    roles = LEAT_NEW_ARRAY(enum leat_shard_role, m->of->shards->count);
    leat_shard_roles(m->of->shards, position, roles);
    add_beginning(m, processor, &start, roles, met);
    free(roles);
    return 0;
}

/* Whatever the configuration says of the start: that was for the first time. */
static void
meet_again(struct meeting *m, const struct leat_lease_processor *processor,
           const struct leat_known_progress *progress, struct leat_beginnings *met)
{
    const struct leat_shard_list *shards = m->of->shards;
    const struct leat_lease_events *events = &m->of->manager->options.events;
    struct leat_position start = {.kind = LEAT_POSITION_TRIM_HORIZON, .sub_sequence = -1};
    enum leat_shard_role *roles = LEAT_NEW_ARRAY(enum leat_shard_role, shards->count);
    bool *has_progress = LEAT_NEW_ARRAY(bool, shards->count);
    LEAT_AUTO_BUF detail = LEAT_BUF_INIT;

    for (size_t i = 0; i < shards->count; i++)
        has_progress[i] = leat_map_get(&progress->shards, shards->shards[i].shard) != NULL;
    leat_shard_roles_again(shards, has_progress, roles);
    take_latest(m, processor, &start);
    add_beginning(m, processor, &start, roles, met);
    free(has_progress);
    free(roles);
    leat_buf_printf(&detail, "processor \"%s\" goes on in %zu shards", processor->name,
                    progress->shards.count);
    if (events->stream != NULL)
        events->stream(events->context, LEAT_LOG_WARNING,
                       "the target has progress in a stream that this lease database has not seen "
                       "the processor in: it goes on from there, and its start is not asked",
                       m->of->stream->source->facts.name, leat_buf_text(&detail));
}

/* ---- all of them --------------------------------------------------------------------------------- */

/* Once when it begins, and once (err NULL) when it is over. */
static void
say_asked(const struct meeting *m, size_t index, const struct leat_error *err)
{
    const struct leat_lease_options *options = &m->of->manager->options;
    LEAT_AUTO_BUF detail = LEAT_BUF_INIT;

    if (options->events.stream == NULL)
        return;
    leat_buf_printf(&detail, "processor \"%s\"%s%s", options->processors[index].name,
                    err != NULL ? ": " : "", err != NULL ? err->text : "");
    options->events.stream(options->events.context, err != NULL ? LEAT_LOG_WARNING : LEAT_LOG_INFO,
                           err != NULL ? "a processor has yet to begin: its target could not be "
                                         "asked whether it has progress in the stream"
                                       : "the target of a processor answers",
                           m->of->stream->source->facts.name, leat_buf_text(&detail));
}

/* True: it answered. */
static bool
ask_target(const struct meeting *m, size_t index, struct leat_known_progress *progress)
{
    struct leat_lease_manager *manager = m->of->manager;
    struct leat_progress_question question = {
        .processor = manager->options.processors[index].name,
        .stream_id = leat_slice_from(m->stream_id),
        .listed = m->of->shards,
        /* One that did not answer a moment ago holds nobody up. */
        .until_us = leat_clock_monotonic_us() + (manager->is_unasked[index] ? 0 : PATIENCE_US),
    };
    struct leat_error why = {0};
    int status = 0;

    if (manager->options.events.progress != NULL)
        status = manager->options.events.progress(manager->options.events.context, &question,
                                                  progress, &why);
    if (manager->is_unasked[index] != (status != 0))
        say_asked(m, index, status != 0 ? &why : NULL);
    manager->is_unasked[index] = status != 0;
    return status == 0;
}

static int
meet(struct meeting *m, size_t index, struct leat_beginnings *met, struct leat_error *err)
{
    const struct leat_lease_processor *processor = &m->of->manager->options.processors[index];
    struct leat_known_progress progress;
    int status = 0;

    leat_map_init(&progress.shards);
    if (!ask_target(m, index, &progress))
        status = remember_latest(m, processor, err);
    else if (progress.shards.count > 0)
        meet_again(m, processor, &progress, met);
    else
        status = meet_first(m, processor, met, err);
    leat_map_release(&progress.shards, NULL);
    return status;
}

int
leat_meet_all(const struct leat_meeting_stream *meeting, struct leat_beginnings *ret_met,
              struct leat_error *err)
{
    const struct leat_lease_options *options = &meeting->manager->options;
    struct meeting m = {.of = meeting, .stream_id = meeting->stream->source->facts.stream_id};
    int status = 0;

    for (size_t i = 0; i < options->processor_count && status == 0; i++) {
        if (is_unknown(&m, &options->processors[i]))
            status = meet(&m, i, ret_met, err);
    }
    return status;
}
