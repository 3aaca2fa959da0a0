/*
 * The parts of a running worker, made from its configuration in the order in which they need each other, and ended in the
 * reverse one. This is the only place that picks kinds: sources, archive, dead-letter stream.
 */
#ifndef LEAT_WORKER_PARTS_H
#define LEAT_WORKER_PARTS_H

#include "config/config.h"
#include "failure/archive.h"
#include "failure/dead_letter_stream.h"
#include "pipeline/pipeline.h"
#include "stream/region_pool.h"
#include "worker/host.h"
#include "worker/setup.h"

struct leat_parts {
    const struct leat_config *config;
    struct leat_aws aws;
    struct leat_aws letters_aws; /* the same, but it gives up sooner: the letters try again */
    struct leat_memory *memory;
    struct leat_labels *stream_labels; /* of the metrics */
    struct leat_region_pool *regions;
    struct leat_fetcher *fetcher;
    struct leat_catalog *catalog;          /* NULL: files alone */
    struct leat_stream_spec *stream_specs; /* kept for the registry's life */
    struct leat_streams *streams;
    struct leat_archive *archive;
    struct leat_dead_letter_stream *dead_letters;
    struct leat_letters *letters;
    struct leat_part_processor *processors;
    struct leat_pipeline_processor *pipeline_processors; /* kept for the pipeline's life */
    struct leat_lease_processor *lease_processors;       /* and these for the manager's */
    struct leat_pipeline *pipeline;
    struct leat_lease_manager *leases;
    struct leat_buf database_url, leases_name;
};

/* The notice and the lease manager's trouble go here; see pipeline.h and manager.h. */
struct leat_parts_events {
    void (*notice)(void *context, enum leat_log_level level, const char *what,
                   const struct leat_consumer_view *view, const struct leat_error *err);
    void (*trouble)(void *context, const struct leat_error *err);
    void (*pooled)(void *context);
    void (*stream)(void *context, enum leat_log_level level, const char *what, const char *stream,
                   const char *detail);
    void (*unserved)(void *context, const struct leat_error *which);
    void (*cannot_read)(void *context, const char *stream, const struct leat_error *why);
    void (*letters_trouble)(void *context, const struct leat_error *err); /* see letters.h */
    void (*letter_refused)(void *context, const struct leat_error *err);
    /* See leat_lease_events. */
    void (*log_taken)(void *log, struct leat_lease_key key);
    void (*log_lost)(void *log, struct leat_lease_key key, enum leat_lease_loss loss);
    void *log;
    void *context;
};

/* Everything but the lease manager's start: nothing is registered or read yet.  On failure the parts that are there are ended. */
int leat_parts_open(struct leat_parts *parts, const struct leat_config *config,
                    const struct leat_parts_events *events, struct leat_error *err);
void leat_parts_close(struct leat_parts *parts);
/* What the plugins of the processor at this place of the configuration count. */
struct leat_plugin_host *leat_parts_host(const struct leat_parts *parts, size_t processor);

#endif
