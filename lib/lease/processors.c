/*
 * Registered processors, as this worker sees them: what it runs, said to the others; the operator's word on each (active, paused,
 * retired), read when the version moved and told to the pipeline; and whom it keeps waiting, since another configuration has
 * processors that it does not know. The manager thread's, but for leat_manager_runs.
 *
 * Stories. (1) A processor is paused while this worker takes leases: states are read before leases, by one thread, so a lease
 * that is acquired finds the state of its version or a newer one. (2) A worker registers under a new incarnation: what it runs is
 * part of that statement, so nobody sees it alive and does not know what it runs.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/point.h"
#include "lease/inside.h"
#include "postgres/sqlstate.h"

#define LOOK_US (1 * LEAT_SECOND_US)

/* ---- what it runs -------------------------------------------------------------------------------- */

/* As they are called now: patterns are this worker's own business. */
static void
add_streams(const struct leat_lease_manager *manager, const char *key, const char *const *specs,
            size_t count, struct leat_json *json)
{
    struct leat_stream_names names;

    leat_streams_names(manager->options.streams, specs, count, &names);
    leat_json_object(json, key);
    /* Sorted: one that was made again may be there twice for a moment. */
    for (size_t i = 0; i < names.count; i++) {
        if (i == 0 || strcmp(names.names[i], names.names[i - 1]) != 0)
            leat_json_bool(json, names.names[i], true);
    }
    leat_json_object_end(json);
    leat_stream_names_release(&names);
}

void
leat_manager_runs(const struct leat_lease_manager *manager, struct leat_buf *out)
{
    const struct leat_lease_options *options = &manager->options;
    struct leat_json json;

    leat_json_begin(&json, out);
    leat_json_object(&json, NULL);
    add_streams(manager, "streams", NULL, 0, &json);
    leat_json_object(&json, "processors");
    for (size_t p = 0; p < options->processor_count; p++) {
        const struct leat_lease_processor *processor = &options->processors[p];

        if (processor->stream_count == 0) {
            leat_json_null(&json, processor->name);
            continue;
        }
        add_streams(manager, processor->name, processor->stream_specs, processor->stream_count,
                    &json);
    }
    leat_json_object_end(&json);
    leat_json_object_end(&json);
}

static void
tell_registered(const struct leat_lease_processor *processor, const char *target_id)
{
    if (processor->registered != NULL)
        processor->registered(processor->target_context, target_id);
}

/* Its target has the name that it has now: the id may have become known since the start. */
static int
register_one(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
             const struct leat_lease_processor *processor, struct leat_error *err)
{
    struct leat_lease_processor now = *processor;
    LEAT_AUTO_BUF target_id = LEAT_BUF_INIT;
    LEAT_AUTO_BUF registered = LEAT_BUF_INIT;
    struct leat_stream_names names;
    int status;

    if (processor->current_target != NULL) {
        processor->current_target(processor->target_context, &target_id);
        now.target_id = leat_buf_text(&target_id);
    }
    leat_streams_names(manager->options.streams, processor->stream_specs, processor->stream_count,
                       &names);
    status = leat_rows_processor(connection, &manager->rows, &now, &names, &registered, err);
    leat_stream_names_release(&names);
    if (registered.size > 0)
        tell_registered(processor, leat_buf_text(&registered));
    return status;
}

/* One whose row somebody's transaction holds is there already: what is new to it is said with the next round of the sync. One that
   is refused holds up none of the others. */
int
leat_manager_register(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                      struct leat_error *err)
{
    int first = 0;

    for (size_t i = 0; i < manager->options.processor_count; i++) {
        struct leat_error why = {0};
        int status = register_one(manager, connection, &manager->options.processors[i], &why);

        if (first == 0 && status != 0 && strcmp(why.sqlstate, LEAT_SQLSTATE_LOCKED) != 0) {
            *err = why;
            first = status;
        }
        if (leat_pg_is_broken(connection))
            break;
    }
    return first;
}

/* Compared with what is stored, not with what was said last: a registration, or a database that lost its last commits, may have
   put something else there meanwhile. Who is refused by now (retired) was told so, and rests. */
int
leat_manager_publish(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                     struct leat_error *err)
{
    LEAT_AUTO_BUF runs = LEAT_BUF_INIT;
    struct leat_error why = {0};
    int status;

    leat_manager_runs(manager, &runs);
    if (leat_slice_equals(leat_buf_slice(&runs), leat_buf_slice(&manager->said)))
        return 0;
    LEAT_POINT("lease.publish");
    /* In this order: a pass takes from a processor what no living worker says that it runs. */
    status =
        leat_rows_runs(connection, &manager->rows, manager->incarnation, leat_buf_text(&runs), err);
    if (status == 0 && leat_manager_register(manager, connection, &why) != 0 &&
        (why.sqlstate[0] != '\0' || leat_pg_is_broken(connection))) {
        *err = why;
        status = why.code;
    }
    leat_buf_clear(&manager->said);
    if (status == 0)
        leat_buf_add_slice(&manager->said, leat_buf_slice(&runs));
    return status;
}

/* ---- the operator's word ------------------------------------------------------------------------- */

static const struct leat_processor_row *
find_row(const struct leat_lease_manager *manager, const char *name)
{
    for (size_t i = 0; i < manager->processors.count; i++) {
        if (strcmp(manager->processors.rows[i].name, name) == 0)
            return &manager->processors.rows[i];
    }
    return NULL;
}

static void
tell_states(struct leat_lease_manager *manager)
{
    const struct leat_lease_options *options = &manager->options;

    for (size_t i = 0; i < options->processor_count; i++) {
        const struct leat_processor_row *row = find_row(manager, options->processors[i].name);
        /* A row that somebody removed is nobody's word: as it was. */
        enum leat_processor_state state = row != NULL ? row->state : manager->states[i];

        if (row != NULL)
            tell_registered(&options->processors[i], row->target_id);
        if (state == manager->states[i])
            continue;
        manager->states[i] = state;
        if (options->events.processor != NULL)
            options->events.processor(options->events.context, options->processors[i].name, state);
    }
}

int
leat_manager_read_processors(struct leat_lease_manager *manager, struct leat_error *err)
{
    int status =
        leat_rows_processors(manager->connection, &manager->rows, &manager->processors, err);

    if (status == 0)
        tell_states(manager);
    return status;
}

/* ---- whom it keeps waiting ----------------------------------------------------------------------- */

static bool
is_run_here(const struct leat_lease_manager *manager, const char *name,
            const struct leat_source *source)
{
    for (size_t i = 0; i < manager->options.processor_count; i++) {
        if (strcmp(manager->options.processors[i].name, name) == 0)
            return leat_manager_takes(&manager->options.processors[i], source);
    }
    return false;
}

static bool
reads(const struct leat_processor_row *row, const struct leat_source *source)
{
    for (size_t i = 0; i < row->stream_count; i++) {
        if (leat_slice_is(row->streams[i], source->facts.name))
            return true;
    }
    return row->is_of_all;
}

/* NULL: none. */
static const char *
first_unserved(const struct leat_lease_manager *manager, const struct leat_source *source)
{
    for (size_t i = 0; i < manager->processors.count; i++) {
        const struct leat_processor_row *row = &manager->processors.rows[i];

        if (row->state == LEAT_PROCESSOR_ACTIVE && reads(row, source) &&
            !is_run_here(manager, row->name, source))
            return row->name;
    }
    return NULL;
}

static void
tell_unserved(struct leat_lease_manager *manager, uint64_t count, const char *name)
{
    const struct leat_lease_events *events = &manager->options.events;
    struct leat_error which;

    if (events->unserved == NULL || manager->is_unserved_told == (count > 0))
        return;
    manager->is_unserved_told = count > 0;
    if (count > 0)
        leat_error_set(&which, LEAT_E_CONFLICT,
                       "processor \"%s\" is active, this worker does not run it, and nobody who "
                       "does has room for the lease: its shards wait here; start a worker that "
                       "runs it, or `leat processors pause` or `retire` it",
                       name);
    events->unserved(events->context, count > 0 ? &which : NULL);
}

/* Leases by the thousand, streams by the dozen: each stream is asked about once. */
static uint64_t
count_unserved(const struct leat_lease_manager *manager, const char **ret_name)
{
    static const char none[] = "";
    struct leat_map_entry *entry;
    struct leat_map by_stream;
    uint64_t count = 0;
    size_t position = 0;

    leat_map_init(&by_stream);
    while ((entry = leat_map_next(&manager->held, &position)) != NULL) {
        const struct leat_held_lease *held = entry->value;
        struct leat_slice stream_id = leat_slice_from(held->stream_id);
        const char *unserved = leat_map_get(&by_stream, stream_id);

        if (unserved == NULL) {
            unserved = first_unserved(manager, held->source);
            leat_map_put(&by_stream, stream_id, (void *)(unserved != NULL ? unserved : none));
        }
        if (unserved == NULL || unserved[0] == '\0' || held->is_draining)
            continue;
        count++;
        *ret_name = unserved;
    }
    leat_map_release(&by_stream, NULL);
    return count;
}

/* Told only when it has lasted: while leases are handed to those who know all, it is nobody's business. */
void
leat_manager_look_for_unserved(struct leat_lease_manager *manager, int64_t now_us)
{
    const char *name = NULL;
    uint64_t count;

    if (now_us < manager->unserved_at_us + LOOK_US)
        return;
    manager->unserved_at_us = now_us;
    count = count_unserved(manager, &name);
    leat_mutex_lock(&manager->lock);
    manager->counts.unserved = count;
    leat_mutex_unlock(&manager->lock);
    if (count == 0)
        manager->unserved_since_us = 0;
    else if (manager->unserved_since_us == 0)
        manager->unserved_since_us = now_us;
    if (count == 0 || now_us - manager->unserved_since_us > 2 * manager->options.force_after_us)
        tell_unserved(manager, count, name);
}

/* ---- the pass's part ------------------------------------------------------------------------------ */

int
leat_manager_settle_processors(struct leat_lease_manager *manager, struct leat_error *err)
{
    int status = leat_rows_forget_streams(manager->connection, &manager->rows, err);

    if (status == 0)
        status = leat_rows_end_unneeded(manager->connection, &manager->rows, err);
    return status;
}
