/* The inside of the pipeline as a whole, shared by pipeline.c, views.c and watchdog.c: the registry of leases and consumers. */
#ifndef LEAT_PIPELINE_REGISTRY_H
#define LEAT_PIPELINE_REGISTRY_H

#include "base/map.h"
#include "pipeline/runtime.h"

/* A lease that this worker owns, with one consumer for each processor of its stream. */
struct leat_leased {
    char *stream_id, *shard;
    struct leat_consumer **consumers;
    size_t count, capacity;
    size_t draining; /* that have not let go yet, in a handoff */
    bool is_draining;
};

struct leat_pipeline {
    struct leat_pipeline_options options;
    struct leat_runtime *runtimes;
    struct leat_scheduler *scheduler;
    struct leat_scratch_pool *scratch;
    struct leat_lease_manager *leases;
    _Atomic int64_t incarnation;
    struct leat_mutex lock;
    struct leat_condition gone;
    struct leat_map leased LEAT_FIELD_GUARDED_BY(lock);
    struct leat_consumer **consumers
        LEAT_FIELD_GUARDED_BY(lock); /* all, with those that are about to leave */
    size_t consumer_count LEAT_FIELD_GUARDED_BY(lock), consumer_capacity
        LEAT_FIELD_GUARDED_BY(lock);
    bool has_stopped LEAT_FIELD_GUARDED_BY(lock);
    struct leat_thread watchdog;
    struct leat_condition watchdog_wakes;
    bool is_watchdog_stopping LEAT_FIELD_GUARDED_BY(lock);
    _Atomic uint64_t stuck, calls_overdue, threads_added, watchdog_rewinds, given_away;
    struct leat_error why_stopped LEAT_FIELD_GUARDED_BY(lock);
};

/* watchdog.c */
int leat_watchdog_start(struct leat_pipeline *pipeline, struct leat_error *err);
void leat_watchdog_stop(struct leat_pipeline *pipeline);

#endif
