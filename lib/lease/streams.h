/*
 * The streams that this worker reads: a registry. *Fixed* ones (a file) are there from the start and asked of nobody; the others
 * follow rows of leat.streams (who looks them up, and how: discover.c) that a spec of the configuration matches.
 *
 * Ownership: the registry has a reference of each source, and gives it up when its stream is gone; held leases and consumers have
 * theirs, so a source is closed when the last of its consumers has left. Only refresh opens sources.
 *
 * Threads: any. One lock, held over look-ups alone.
 */
#ifndef LEAT_LEASE_STREAMS_H
#define LEAT_LEASE_STREAMS_H

#include "lease/stream_plan.h"
#include "stream/catalog.h"
#include "stream/position.h"

/* A stream of the configuration: a name, an ARN, or a pattern. */
struct leat_stream_spec {
    const char *spec;
    /* Of processors that never were here: LATEST is resolved to a time, and stored, when a processor first meets the stream;
       what is stored counts ever after. */
    struct leat_position start;
};

struct leat_streams_options {
    struct leat_catalog *catalog;         /* NULL: fixed streams alone. Borrowed */
    const struct leat_stream_spec *specs; /* the first that matches counts. Borrowed for its life */
    size_t spec_count;
    const char
        *never; /* a name or ARN that is not read, whatever matches it; NULL: none. Borrowed */
    bool stops_recreated; /* leases.on_recreated: stop */
    int64_t interval_us;  /* how often streams and shards are looked for; 0: a minute */
};

struct leat_streams;
/* options NULL: fixed streams alone. */
struct leat_streams *leat_streams_new(const struct leat_streams_options *options);
void leat_streams_free(struct leat_streams *streams);
const struct leat_streams_options *leat_streams_options(const struct leat_streams *streams);
/* Takes the source. Before anybody else uses the registry. */
void leat_streams_add(struct leat_streams *streams, struct leat_source *source,
                      const struct leat_position *start);

/* A stream as of now; with a reference to its source. */
struct leat_stream {
    struct leat_source *source;
    struct leat_position start;
    bool is_fixed;
    /* This worker can read it, as far as is known: it did, or (fixed) nobody has to ask. readable.c. */
    bool is_readable;
    int64_t try_at_us; /* it cannot: when to try next (monotonic) */
    int64_t failed_at_us;
    unsigned failures;
    bool is_told;    /* that it cannot */
    bool is_suspect; /* its shards cannot be read here: to be tried */
};
struct leat_stream_set {
    struct leat_stream *items;
    size_t count;
};
void leat_streams_snapshot(struct leat_streams *streams, struct leat_stream_set *ret_set);
void leat_stream_set_release(struct leat_stream_set *set);
/* With a reference; NULL: it is not read here (now). */
struct leat_source *leat_streams_find(struct leat_streams *streams, struct leat_slice stream_id);
/* Was a stream of that id deleted, as of the last refresh? */
bool leat_streams_is_gone(struct leat_streams *streams, struct leat_slice stream_id);

/* The spec that a stream of the catalog is read by; spec_count: it is not read here. */
size_t leat_streams_spec_of(const struct leat_streams *streams,
                            const struct leat_source_facts *facts);

/* It was read, or tried: NULL: it can be; else why not, and when to try next. true: that is news. */
struct leat_read_trouble {
    int64_t try_at_us;
    bool is_told; /* out: people are to be told */
};
bool leat_streams_set_readable(struct leat_streams *streams, const char *stream_id,
                               struct leat_read_trouble *trouble);
/* To be tried soon, though it could be read. */
void leat_streams_suspect(struct leat_streams *streams, const char *stream_id);

/* The names of the streams read here that one of these specs matches; specs count 0: of all that this worker can read. */
struct leat_stream_names {
    char **names;
    size_t count;
};
void leat_streams_names(struct leat_streams *streams, const char *const *specs, size_t spec_count,
                        struct leat_stream_names *ret_names);
void leat_stream_names_release(struct leat_stream_names *names);

/* Each stream that is read from now on, not any more, or is stopped and was not so before. Before the first refresh. */
typedef void (*leat_streams_told_fn)(void *context, const struct leat_source_facts *facts,
                                     enum leat_stream_state state);
void leat_streams_on_change(struct leat_streams *streams, leat_streams_told_fn told, void *context);
/*
 * Follows the rows: opens what is active and wanted, gives up what is not any more. Rows that are older than those of the last
 * refresh change nothing. *ret_changed: something is read that was not, or the other way round. Any thread, several at once.
 */
int leat_streams_refresh(struct leat_streams *streams, const struct leat_stream_rows *rows,
                         bool *ret_changed, struct leat_error *err);

struct leat_streams_counts {
    size_t read, readable;      /* readable: of read, those that this worker can read */
    size_t stopped, waited_for; /* waited_for: names and ARNs that no stream was found for */
};
void leat_streams_counts(struct leat_streams *streams, struct leat_streams_counts *ret_counts);

#endif
