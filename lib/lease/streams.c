/*
 * See streams.h. Two threads may refresh at once (the manager, when the version moved; the sync thread, after it stored something):
 * what is to be opened is collected under the lock, opened without it, and put in under it unless the other was first.
 */
#include "lease/streams.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "stream/spec.h"

struct leat_streams {
    struct leat_streams_options options;
    struct leat_mutex lock;
    struct leat_stream *items LEAT_FIELD_GUARDED_BY(lock);
    size_t count LEAT_FIELD_GUARDED_BY(lock), capacity LEAT_FIELD_GUARDED_BY(lock);
    /* As of the last refresh. */
    struct leat_stream_row *rows LEAT_FIELD_GUARDED_BY(lock);
    size_t row_count LEAT_FIELD_GUARDED_BY(lock);
    int64_t version LEAT_FIELD_GUARDED_BY(lock);
    leat_streams_told_fn told;
    void *context;
};

#define MINUTE_US INT64_C(60000000)

struct leat_streams *
leat_streams_new(const struct leat_streams_options *options)
{
    struct leat_streams *streams = LEAT_NEW(struct leat_streams);

    leat_is_unshared();
    if (options != NULL)
        streams->options = *options;
    streams->version = -1;
    if (streams->options.interval_us <= 0)
        streams->options.interval_us = MINUTE_US;
    leat_mutex_init(&streams->lock);
    return streams;
}

void
leat_streams_free(struct leat_streams *streams)
{
    if (streams == NULL)
        return;
    leat_is_unshared();
    for (size_t i = 0; i < streams->count; i++)
        leat_source_unref(streams->items[i].source);
    free(streams->items);
    free(streams->rows);
    leat_mutex_release(&streams->lock);
    free(streams);
}

const struct leat_streams_options *
leat_streams_options(const struct leat_streams *streams)
{
    return &streams->options;
}

static void
add(struct leat_streams *streams, const struct leat_stream *stream) LEAT_REQUIRES(streams->lock)
{
    LEAT_GROW(streams->items, streams->count, streams->capacity);
    streams->items[streams->count++] = *stream;
}

void
leat_streams_add(struct leat_streams *streams, struct leat_source *source,
                 const struct leat_position *start)
{
    struct leat_stream stream = {
        .source = source, .start = *start, .is_fixed = true, .is_readable = true};

    leat_mutex_lock(&streams->lock);
    add(streams, &stream);
    leat_mutex_unlock(&streams->lock);
}

/* ---- look-ups -------------------------------------------------------------------------------- */

void
leat_streams_snapshot(struct leat_streams *streams, struct leat_stream_set *ret_set)
{
    leat_mutex_lock(&streams->lock);
    ret_set->count = streams->count;
    ret_set->items = LEAT_NEW_ARRAY(struct leat_stream, streams->count);
    for (size_t i = 0; i < streams->count; i++) {
        ret_set->items[i] = streams->items[i];
        leat_source_ref(streams->items[i].source);
    }
    leat_mutex_unlock(&streams->lock);
}

void
leat_stream_set_release(struct leat_stream_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        leat_source_unref(set->items[i].source);
    free(set->items);
    *set = (struct leat_stream_set){0};
}

static struct leat_stream *
find(struct leat_streams *streams, struct leat_slice stream_id) LEAT_REQUIRES(streams->lock)
{
    for (size_t i = 0; i < streams->count; i++) {
        if (leat_slice_is(stream_id, streams->items[i].source->facts.stream_id))
            return &streams->items[i];
    }
    return NULL;
}

struct leat_source *
leat_streams_find(struct leat_streams *streams, struct leat_slice stream_id)
{
    struct leat_source *source = NULL;
    struct leat_stream *stream;

    leat_mutex_lock(&streams->lock);
    stream = find(streams, stream_id);
    if (stream != NULL)
        source = leat_source_ref(stream->source);
    leat_mutex_unlock(&streams->lock);
    return source;
}

static enum leat_stream_state
state_before(struct leat_streams *streams, const char *stream_id, enum leat_stream_state otherwise)
    LEAT_REQUIRES(streams->lock)
{
    for (size_t i = 0; i < streams->row_count; i++) {
        if (strcmp(streams->rows[i].facts.stream_id, stream_id) == 0)
            return streams->rows[i].state;
    }
    return otherwise;
}

bool
leat_streams_is_gone(struct leat_streams *streams, struct leat_slice stream_id)
{
    LEAT_AUTO_FREE char *text = leat_slice_strdup(stream_id);
    bool is_gone;

    leat_mutex_lock(&streams->lock);
    is_gone = state_before(streams, text, LEAT_STREAM_ACTIVE) == LEAT_STREAM_GONE;
    leat_mutex_unlock(&streams->lock);
    return is_gone;
}

size_t
leat_streams_spec_of(const struct leat_streams *streams, const struct leat_source_facts *facts)
{
    const struct leat_streams_options *options = &streams->options;
    size_t i = 0;

    /* Rows of files and the like are not the catalog's, whatever they are called. */
    if (strncmp(facts->arn, "arn:", 4) != 0 ||
        (options->never != NULL &&
         leat_stream_spec_matches(options->never, facts->name, facts->arn)))
        return options->spec_count;
    while (i < options->spec_count &&
           !leat_stream_spec_matches(options->specs[i].spec, facts->name, facts->arn))
        i++;
    return i;
}

void
leat_streams_suspect(struct leat_streams *streams, const char *stream_id)
{
    struct leat_stream *stream;

    leat_mutex_lock(&streams->lock);
    stream = find(streams, leat_slice_from(stream_id));
    if (stream != NULL)
        stream->is_suspect = true;
    leat_mutex_unlock(&streams->lock);
}

bool
leat_streams_set_readable(struct leat_streams *streams, const char *stream_id,
                          struct leat_read_trouble *trouble)
{
    struct leat_stream *stream;
    bool is_news = false;

    leat_mutex_lock(&streams->lock);
    stream = find(streams, leat_slice_from(stream_id));
    if (stream != NULL) {
        is_news = stream->is_readable != (trouble == NULL);
        stream->is_readable = trouble == NULL;
        stream->is_suspect = false;
    }
    if (stream != NULL && trouble != NULL) {
        stream->failures++;
        stream->failed_at_us = leat_clock_monotonic_us();
        stream->try_at_us = trouble->try_at_us;
        trouble->is_told = !stream->is_told;
        stream->is_told = true;
    } else if (stream != NULL) {
        is_news = is_news || stream->is_told;
        stream->is_told = false;
    }
    leat_mutex_unlock(&streams->lock);
    return is_news;
}

static int
order_of(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
leat_streams_names(struct leat_streams *streams, const char *const *specs, size_t spec_count,
                   struct leat_stream_names *ret_names)
{
    leat_mutex_lock(&streams->lock);
    *ret_names = (struct leat_stream_names){.names = LEAT_NEW_ARRAY(char *, streams->count + 1)};
    for (size_t i = 0; i < streams->count; i++) {
        const struct leat_source_facts *facts = &streams->items[i].source->facts;

        if (spec_count == 0
                ? streams->items[i].is_readable
                : leat_stream_spec_first(specs, spec_count, facts->name, facts->arn) < spec_count)
            ret_names->names[ret_names->count++] = leat_strdup(facts->name);
    }
    leat_mutex_unlock(&streams->lock);
    leat_sort(ret_names->names, ret_names->count, sizeof *ret_names->names, order_of);
}

void
leat_stream_names_release(struct leat_stream_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (struct leat_stream_names){0};
}

/* ---- refresh --------------------------------------------------------------------------------- */

struct refreshing {
    struct leat_streams *streams;
    const struct leat_stream_row *rows;
    size_t count;
    int64_t version;
    bool *is_opening;           /* by row */
    bool *is_stopped_now;       /* by row */
    struct leat_stream *closed; /* their references are ours */
    size_t closed_count;
};

static bool
is_wanted(const struct refreshing *r, size_t row)
{
    return leat_streams_spec_of(r->streams, &r->rows[row].facts) < r->streams->options.spec_count;
}

static bool
is_active_row(const struct refreshing *r, const char *stream_id)
{
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->rows[i].facts.stream_id, stream_id) == 0)
            return r->rows[i].state == LEAT_STREAM_ACTIVE;
    }
    return false;
}

static void
take_out(struct leat_streams *streams, struct refreshing *r) LEAT_REQUIRES(streams->lock)
{
    for (size_t i = 0; i < streams->count; i++) {
        if (streams->items[i].is_fixed ||
            is_active_row(r, streams->items[i].source->facts.stream_id))
            continue;
        r->closed[r->closed_count++] = streams->items[i];
        streams->items[i--] = streams->items[--streams->count];
    }
}

static void
look_through(struct leat_streams *streams, struct refreshing *r) LEAT_REQUIRES(streams->lock)
{
    for (size_t i = 0; i < r->count; i++) {
        const char *stream_id = r->rows[i].facts.stream_id;
        const struct leat_stream *found;

        if (!is_wanted(r, i))
            continue;
        found = find(streams, leat_slice_from(stream_id));
        r->is_opening[i] =
            r->rows[i].state == LEAT_STREAM_ACTIVE &&
            (found == NULL || found->source->facts.retention_ms != r->rows[i].facts.retention_ms);
        r->is_stopped_now[i] = r->rows[i].state == LEAT_STREAM_STOPPED &&
                               state_before(streams, stream_id, LEAT_STREAM_ACTIVE) !=
                                   LEAT_STREAM_STOPPED;
    }
    free(streams->rows);
    streams->rows = LEAT_NEW_ARRAY(struct leat_stream_row, r->count + 1);
    if (r->count > 0)
        memcpy(streams->rows, r->rows, r->count * sizeof *r->rows);
    streams->row_count = r->count;
}

/* What is read already, with other facts: who takes a lease of it from now on has the new ones. */
static struct leat_source *
exchange(struct leat_stream *stream, struct leat_source *source)
{
    struct leat_source *old = stream->source;

    if (old->facts.retention_ms == source->facts.retention_ms)
        return source;
    stream->source = source;
    return old;
}

/* true: it is read from now on; false: it was, or the other thread knows more, or err. */
static bool
put_in(struct refreshing *r, size_t row, struct leat_error *err)
{
    struct leat_streams *streams = r->streams;
    size_t spec = leat_streams_spec_of(streams, &r->rows[row].facts);
    struct leat_stream stream = {.start = streams->options.specs[spec].start}, *found;
    struct leat_source *unused = NULL;
    bool is_first;

    if (streams->options.catalog->ops->open(streams->options.catalog, &r->rows[row].facts,
                                            &stream.source, err) != 0)
        return false;
    stream.is_readable = stream.source->ops->try_read == NULL;
    leat_mutex_lock(&streams->lock);
    found = find(streams, leat_slice_from(r->rows[row].facts.stream_id));
    is_first = streams->version == r->version && found == NULL;
    if (is_first)
        add(streams, &stream);
    else
        unused = found != NULL ? exchange(found, stream.source) : stream.source;
    leat_mutex_unlock(&streams->lock);
    leat_source_unref(unused);
    return is_first;
}

void
leat_streams_on_change(struct leat_streams *streams, leat_streams_told_fn told, void *context)
{
    streams->told = told;
    streams->context = context;
}

static void
tell(const struct refreshing *r, const struct leat_source_facts *facts,
     enum leat_stream_state state)
{
    if (r->streams->told != NULL)
        r->streams->told(r->streams->context, facts, state);
}

/* Outside the lock: those that were taken out, and those that come in. One that cannot be opened holds up none of the others. */
static int
close_and_open(struct refreshing *r, bool *ret_changed, struct leat_error *err)
{
    int first = 0;

    for (size_t i = 0; i < r->closed_count; i++) {
        *ret_changed = true;
        tell(r, &r->closed[i].source->facts, LEAT_STREAM_GONE);
        leat_source_unref(r->closed[i].source);
    }
    for (size_t i = 0; i < r->count; i++) {
        struct leat_error why = {0};

        if (r->is_stopped_now[i])
            tell(r, &r->rows[i].facts, LEAT_STREAM_STOPPED);
        if (r->is_opening[i] && put_in(r, i, &why)) {
            *ret_changed = true;
            tell(r, &r->rows[i].facts, LEAT_STREAM_ACTIVE);
        }
        if (why.code != 0 && first == 0) {
            *err = why;
            first = why.code;
        }
    }
    return first;
}

int
leat_streams_refresh(struct leat_streams *streams, const struct leat_stream_rows *rows,
                     bool *ret_changed, struct leat_error *err)
{
    struct refreshing r = {streams, rows->rows, rows->count, rows->version};
    int status;

    r.is_opening = LEAT_NEW_ARRAY(bool, rows->count + 1);
    r.is_stopped_now = LEAT_NEW_ARRAY(bool, rows->count + 1);
    *ret_changed = false;
    leat_mutex_lock(&streams->lock);
    r.closed = LEAT_NEW_ARRAY(struct leat_stream, streams->count + 1);
    if (rows->version >= streams->version) {
        streams->version = rows->version;
        take_out(streams, &r);
        look_through(streams, &r);
    }
    leat_mutex_unlock(&streams->lock);
    status = close_and_open(&r, ret_changed, err);
    free(r.is_opening);
    free(r.is_stopped_now);
    free(r.closed);
    return status;
}

static bool
has_stream(struct leat_streams *streams, const char *spec) LEAT_REQUIRES(streams->lock)
{
    for (size_t i = 0; i < streams->row_count; i++) {
        const struct leat_stream_row *row = &streams->rows[i];

        if (row->state != LEAT_STREAM_GONE &&
            leat_stream_spec_matches(spec, row->facts.name, row->facts.arn))
            return true;
    }
    return false;
}

void
leat_streams_counts(struct leat_streams *streams, struct leat_streams_counts *ret_counts)
{
    const struct leat_streams_options *options = &streams->options;
    struct leat_streams_counts counts = {0};

    leat_mutex_lock(&streams->lock);
    counts.read = streams->count;
    for (size_t i = 0; i < streams->count; i++)
        counts.readable += streams->items[i].is_readable;
    for (size_t i = 0; i < streams->row_count; i++)
        counts.stopped += streams->rows[i].state == LEAT_STREAM_STOPPED &&
                          leat_streams_spec_of(streams, &streams->rows[i].facts) <
                              options->spec_count;
    for (size_t i = 0; i < options->spec_count; i++)
        counts.waited_for += !leat_stream_spec_is_pattern(options->specs[i].spec) &&
                             !has_stream(streams, options->specs[i].spec);
    leat_mutex_unlock(&streams->lock);
    *ret_counts = counts;
}
