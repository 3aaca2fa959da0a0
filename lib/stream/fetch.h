/*
 * The fetch thread: one event loop that reads for all consumers (docs/architecture.md §5.1, 5.2).
 *
 * Each consumer has a *feed*. The loop reads for a feed while its queue is shorter than it wants, a reservation is
 * granted and the shard's pace (limiter.h: per stream shard, shared by this process's feeds of it) allows it; it hands
 * chunks over through `deliver`. Backoff, iterators and retries are the source's; pacing is here.
 *
 * Threads: feed_open/close/reposition/wanted from any thread (they post to the loop); deliver and fail are called on the
 * fetch thread and must not block. After leat_feed_close returned nothing is delivered any more.
 */
#ifndef LEAT_STREAM_FETCH_H
#define LEAT_STREAM_FETCH_H

#include "stream/memory.h"
#include "stream/source.h"

struct leat_fetcher;
struct leat_labels;
struct leat_feed;

struct leat_fetcher_options {
    struct leat_memory *memory;
    double calls_per_second; /* per shard, at most; 0: what the service gives */
    double bytes_per_second; /* per shard, at most; 0: what the service gives */
    int64_t idle_us;         /* the wait before the next read at the tip; default 200 ms */
    struct leat_labels *stream_labels; /* streams that are counted by name; NULL: none is */
};

struct leat_feed_events {
    /* generation: as given to open or the last reposition; older ones are dropped by the receiver. */
    void (*deliver)(void *context, uint64_t generation, struct leat_chunk *chunk);
    /* Gone, invalid, blocked, or an outage that lasts (is_lasting: told once at its begin, once at its end with
       outcome LEAT_READ_OK). */
    void (*trouble)(void *context, uint64_t generation, const struct leat_read_result *result);
    void *context;
};

struct leat_fetcher *leat_fetcher_new(const struct leat_fetcher_options *options,
                                      struct leat_error *err); /* starts its thread; NULL: err */
void leat_fetcher_free(struct leat_fetcher *fetcher);          /* all feeds closed before */
struct leat_event_loop *leat_fetcher_loop(struct leat_fetcher *fetcher);

/* more than five: all that names a feed and its beginning. */
struct leat_feed *leat_feed_open(struct leat_fetcher *fetcher, struct leat_source *source,
                                 struct leat_slice shard, unsigned processor,
                                 const struct leat_position *position, uint64_t generation,
                                 const struct leat_feed_events *events);
void leat_feed_close(struct leat_feed *feed);
void leat_feed_reposition(struct leat_feed *feed, const struct leat_position *position,
                          uint64_t generation);
/* How many chunks the consumer has not begun; the feed reads while this is below 2. */
void leat_feed_queued(struct leat_feed *feed, unsigned chunks);
void leat_feed_pause(struct leat_feed *feed, bool is_paused);

/* For metrics and benchmarks. */
struct leat_fetcher_counts {
    uint64_t reads, throttles, errors, records, bytes;
};
/* Of all streams. */
struct leat_fetcher_counts leat_fetcher_counts(struct leat_fetcher *fetcher);
/* By stream, one of stream_labels, since the fetcher began; the same order each time. Any thread. */
void leat_fetcher_each_stream(struct leat_fetcher *fetcher,
                              void (*each)(void *context, const char *stream,
                                           const struct leat_fetcher_counts *counts),
                              void *context);

#endif
