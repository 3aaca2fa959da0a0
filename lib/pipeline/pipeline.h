/*
 * The pipeline: the life of a record, from a lease to a commit. worker/worker.c wires it to the lease manager, the
 * fetcher, the plugins, the letters and the targets, and nothing else does.
 *
 * Threads: `worker_threads` of its own run ready consumers; each target has `committers` committer threads. The lease_*
 * functions are the lease manager's events: they post and never block.
 */
#ifndef LEAT_PIPELINE_PIPELINE_H
#define LEAT_PIPELINE_PIPELINE_H

#include <leat/processor.h>
#include <leat/target.h>

#include "base/histogram.h"
#include "failure/letters.h"
#include "lease/manager.h"
#include "pipeline/stuck.h"
#include "stream/deaggregate.h"
#include "stream/fetch.h"

struct leat_labels;
struct leat_pipeline;

struct leat_failure_policy {
    int64_t retries;
    int64_t backoff_base_us, backoff_cap_us;
    int64_t max_age_us;
    bool bisect;
    bool is_stop; /* then: stop */
    int64_t breaker_percent;
};

/* A configured processor with everything loaded. Pointers live as long as the pipeline. */
struct leat_pipeline_processor {
    const char *name;
    const struct leat_processor *plugin;
    const struct leat_host *host; /* given to the plugin and its target */
    const struct leat_options *options;
    const struct leat_target *target;
    const struct leat_options *target_options;
    const char *target_url;
    leat_url_fn current_url; /* the same as it is now; NULL: as above */
    void *url_context;
    leat_check_id_fn check_id; /* leat_target_context's; NULL: any target will do */
    void *id_context;
    size_t batch_records, batch_bytes;
    int64_t batch_deadline_us;
    struct leat_failure_policy failure;
    size_t expand_limit_bytes;
    unsigned expand_ratio;
    size_t expand_elements;
    enum leat_outside expand_outside;
    int64_t linger_us;  /* -1: auto */
    int64_t flush_rows; /* -1: auto */
    size_t flush_bytes;
    unsigned committers;
    /* Which streams it reads; NULL: all. */
    bool (*takes_source)(void *context, const struct leat_source *source);
    void *takes_context;
};

/* One line per consumer, for /metrics and `leat workers`. */
struct leat_consumer_view {
    const char *processor;
    struct leat_slice stream, stream_id, shard;
    const char *state;    /* waiting_parents, taking, running, … (docs/protocol.md §6) */
    const char *reason;   /* of blocked; "" else */
    int64_t behind_ms;    /* -1: not known */
    int64_t retention_ms; /* of the stream when its shard was taken; 0: not known, or for ever */
    uint64_t records, bytes, commits;
    const char *stuck;   /* what it waits for; "": it is not stuck */
    int64_t standing_us; /* without progress, though there is something to do; 0: it is not */
};
struct leat_pipeline_options {
    const char *application;
    struct leat_memory *memory;
    size_t rows_budget; /* of it: what merged rows may hold; a quarter */
    struct leat_fetcher *fetcher;
    struct leat_letters *letters;
    struct leat_lease_manager *leases; /* set by leat_pipeline_start */
    const char *lease_database_url;    /* progress of targets without transactions */
    leat_url_fn lease_url;             /* the same as it is now; NULL: as above */
    void *lease_url_context;
    const char *leases_name;           /* leat_target_context's */
    struct leat_labels *stream_labels; /* streams that are counted by name; NULL: none is */
    unsigned worker_threads;
    bool is_lost_a_stop; /* reading.on_lost: a shard that lost records stops */
    /* Something that an operator must see: once per change of state, from any thread, must not block. NULL: nobody. */
    void (*notice)(void *context, enum leat_log_level level, const char *what,
                   const struct leat_consumer_view *view, const struct leat_error *err);
    void *notice_context;
    const struct leat_pipeline_processor *processors;
    size_t processor_count;
    struct leat_stuck_settings stuck; /* of the watchdog; stuck_after 0: there is none */
};

struct leat_pipeline *leat_pipeline_new(
    const struct leat_pipeline_options *options,
    struct leat_error *err); /* opens plugins and targets; NULL: err */
int leat_pipeline_start(struct leat_pipeline *pipeline, struct leat_lease_manager *leases,
                        struct leat_error *err);
/*
 * All consumers leave, at most until then (monotonic µs); called before free. false: some are in calls that do not come back, or
 * wait for a commit that does not: nothing of the pipeline can be freed, the process has to end as it is, which is safe.
 */
bool leat_pipeline_end(struct leat_pipeline *pipeline, int64_t deadline_us);
/* Stops threads; whatever is not committed is dropped (it will be done again). */
void leat_pipeline_free(struct leat_pipeline *pipeline);
/* The lease manager's events. */
struct leat_lease_events leat_pipeline_lease_events(struct leat_pipeline *pipeline);

void leat_pipeline_each_consumer(struct leat_pipeline *pipeline,
                                 void (*each)(void *context, const struct leat_consumer_view *view),
                                 void *context);
/* Of all of them, as leat.reports wants it (schemas/lease/0006-operator.sql): appended. */
void leat_pipeline_report(struct leat_pipeline *pipeline, struct leat_buf *out);
struct leat_processor_view {
    const char *processor;
    enum leat_processor_state state; /* the operator's word */
    uint64_t flushes, rows_written, progress_removed;
    const struct leat_histogram *processing, *committing; /* live as long as the pipeline */
};
void leat_pipeline_each_processor(struct leat_pipeline *pipeline,
                                  void (*each)(void *context,
                                               const struct leat_processor_view *view),
                                  void *context);
/* What a processor did with a stream since the process began. */
struct leat_stream_view {
    const char *processor, *stream; /* stream: one of stream_labels */
    uint64_t records, stream_records, bytes, epochs, committed, rows_emitted, diverted, retries;
    uint64_t fenced, rewinds, ticks, lost_shards, expired_checkpoints;
    uint64_t outside_hash_range;             /* user records, whatever was made of them */
    const struct leat_histogram *end_to_end; /* lives as long as the pipeline */
};
/* In the order of processors, and the same order each time. */
void leat_pipeline_each_stream(struct leat_pipeline *pipeline,
                               void (*each)(void *context, const struct leat_stream_view *view),
                               void *context);
/* Of all processors and streams. */
struct leat_pipeline_counts {
    uint64_t records, bytes, epochs, rows_emitted, rows_written, flushes, fenced, diverted, retries;
    uint64_t rewinds, ticks;
    /* Of the consumers: blocked; kept from work by what is away; with nothing to do (ended, paused, waiting for parents). */
    uint64_t consumers, blocked, unavailable, settled;
    uint64_t stuck, calls_overdue, threads_added, watchdog_rewinds, given_away;
};
void leat_pipeline_counts(struct leat_pipeline *pipeline, struct leat_pipeline_counts *ret_counts);
/* A processor stopped (verdict, breaker, then: stop): its name and why; false: none. */
bool leat_pipeline_stopped(struct leat_pipeline *pipeline, struct leat_error *ret_why);

#endif
