/* See parts.h. Each function makes one kind of part; what exists is ended by leat_parts_close whatever is missing. */
#include "worker/parts.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/labels.h"
#include "base/memory.h"
#include "plugin/loader.h"
#include "stream/file_source.h"
#include "stream/kinesis_catalog.h"
#include "stream/spec.h"
#include "worker/credentials_log.h"
#include "worker/target_name.h"

#define LETTER_ATTEMPTS 2
#define LETTER_BUDGET_US (3 * LEAT_SECOND_US)
#define ROWS_SHARE 5 /* of the budget, what merged rows may hold: a fifth */
/* What is held beside reads and rows: batches under way, libcurl's and libpq's buffers. */
/* And what records that are being taken apart may hold before they take from the reads. */
#define EXPANSION_SHARE 8
#define OTHER_BYTES ((size_t)4 << 20)

/* A processor with everything that belongs to it. */
struct leat_part_processor {
    struct leat_setup_processor setup;
    struct leat_plugin_host *host;
    struct leat_buf url;
    struct leat_target_identity identity;
    struct leat_position start;
    const struct leat_config_processor *config;
    const struct leat_config *all;
};

/* ---- streams --------------------------------------------------------------------------------- */

static bool
takes_source(void *context, const struct leat_source *source)
{
    const struct leat_config_processor *config =
        ((const struct leat_part_processor *)context)->config;

    return config->stream_count == 0 ||
           leat_stream_spec_first(config->streams, config->stream_count, source->facts.name,
                                  source->facts.arn) < config->stream_count;
}

static struct leat_position
position_of(const struct leat_start *start)
{
    struct leat_position position = {.kind = LEAT_POSITION_TRIM_HORIZON, .sub_sequence = -1};

    if (start->kind == LEAT_START_LATEST)
        position.kind = LEAT_POSITION_LATEST;
    if (start->kind == LEAT_START_TIME) {
        position.kind = LEAT_POSITION_AT_TIMESTAMP;
        position.timestamp_us = start->time_us;
    }
    return position;
}

/* Files are opened here and now; all other streams are looked up, and come and go while the worker runs. */
static int
open_files(struct leat_parts *parts, struct leat_error *err)
{
    const struct leat_config *config = parts->config;
    int status = 0;

    for (size_t i = 0; status == 0 && i < config->stream_count; i++) {
        const struct leat_config_stream *stream = &config->streams[i];
        struct leat_position start = position_of(&stream->start);
        struct leat_source *source;

        if (stream->file == NULL)
            continue;
        status = leat_file_source_open(stream->name, stream->file, stream->follow, &source, err);
        if (status == 0)
            leat_streams_add(parts->streams, source, &start);
    }
    return status;
}

static int
open_streams(struct leat_parts *parts, struct leat_error *err)
{
    const struct leat_config *config = parts->config;
    struct leat_streams_options options = {
        .never = config->dead_letter_stream,
        .stops_recreated = strcmp(config->lease_on_recreated, "stop") == 0,
        .interval_us = config->lease_sync_interval_us,
    };

    parts->stream_specs = LEAT_NEW_ARRAY(struct leat_stream_spec, config->stream_count);
    for (size_t i = 0; i < config->stream_count; i++) {
        if (config->streams[i].file == NULL)
            parts->stream_specs[options.spec_count++] = (struct leat_stream_spec){
                config->streams[i].name, position_of(&config->streams[i].start)};
    }
    options.specs = parts->stream_specs;
    if (options.spec_count > 0) {
        parts->catalog =
            leat_kinesis_catalog_new(&parts->aws, LEAT_KINESIS_AUTO, parts->regions, err);
        if (parts->catalog == NULL)
            return err->code;
    }
    options.catalog = parts->catalog;
    parts->streams = leat_streams_new(&options);
    return open_files(parts, err);
}

/* ---- where failed records go ------------------------------------------------------------------ */

static int
open_letters(struct leat_parts *parts, const struct leat_parts_events *events,
             struct leat_error *err)
{
    const struct leat_config *config = parts->config;
    struct leat_letters_options options = {.worker_id = config->worker_id,
                                           .memory = parts->memory,
                                           .trouble = events->letters_trouble,
                                           .refused = events->letter_refused,
                                           .context = events->context};
    int status;

    parts->letters_aws = parts->aws;
    parts->letters_aws.retry.maximum_attempts = LETTER_ATTEMPTS;
    parts->letters_aws.retry.budget_us = LETTER_BUDGET_US;
    status = leat_archive_open(config->archive_url, &parts->letters_aws, &parts->archive, err);

    if (status == 0 && config->dead_letter_stream != NULL)
        status = leat_dead_letter_kinesis_open(config->dead_letter_stream, &parts->letters_aws,
                                               &parts->dead_letters, err);
    if (status != 0)
        return status;
    options.archive = parts->archive;
    options.dead_letters = parts->dead_letters;
    parts->letters = leat_letters_new(&options, err);
    return parts->letters == NULL ? err->code : 0;
}

/* ---- URLs as they are now --------------------------------------------------------------------- */

static int
hand_over(int status, const struct leat_buf *url, char *out, size_t room, struct leat_error *err)
{
    if (status == 0 && url->size >= room)
        status = leat_error_set(err, LEAT_E_LIMIT, "a URL is longer than %zu bytes", room - 1);
    if (status == 0)
        snprintf(out, room, "%.*s", (int)url->size, (const char *)url->data);
    return status;
}

static int
current_database_url(void *context, char *out, size_t room, struct leat_error *err)
{
    const struct leat_parts *parts = context;
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    int status = leat_setup_database_url(parts->config, &url, err);

    return hand_over(status, &url, out, room, err);
}

static int
current_target_url(void *context, char *out, size_t room, struct leat_error *err)
{
    const struct leat_part_processor *processor = context;
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    int status = leat_setup_target_url(processor->all, processor->config, &url, err);

    return hand_over(status, &url, out, room, err);
}

/* ---- processors ------------------------------------------------------------------------------- */

static int
open_processor(struct leat_parts *parts, size_t index, struct leat_error *err)
{
    const struct leat_config *config = parts->config;
    struct leat_part_processor *processor = &parts->processors[index];
    int status;

    processor->config = &config->processors[index];
    processor->all = config;
    processor->start = position_of(&processor->config->start);
    if (leat_setup_processor_init(&processor->setup, config, index, leat_setup_report, NULL) != 0)
        return leat_error_set(err, LEAT_E_INVALID, "processor \"%s\" cannot be set up: see above",
                              processor->config->name);
    status = leat_setup_target_url(config, processor->config, &processor->url, err);
    if (status != 0)
        return status;
    processor->host = leat_plugin_host_new("processor", processor->config->name);
    leat_is_unshared();
    leat_target_name(processor->setup.target, leat_buf_text(&processor->url),
                     &processor->identity.name);
    return 0;
}

static enum leat_outside
outside_of(const char *word)
{
    return strcmp(word, "drop_aggregate") == 0 ? LEAT_OUTSIDE_DROP_AGGREGATE
           : strcmp(word, "keep_all") == 0     ? LEAT_OUTSIDE_KEEP_ALL
                                               : LEAT_OUTSIDE_KEEP_IN_RANGE;
}

static struct leat_pipeline_processor
pipeline_processor(struct leat_part_processor *processor)
{
    const struct leat_config_processor *config = processor->config;
    const struct leat_config_failure *failure = &config->failure;

    return (struct leat_pipeline_processor){
        .name = config->name,
        .plugin = processor->setup.plugin,
        .host = leat_plugin_host_table(processor->host),
        .options = &processor->setup.options,
        .target = processor->setup.target,
        .target_options = &processor->setup.target_options,
        .target_url = leat_buf_text(&processor->url),
        .current_url = current_target_url,
        .url_context = processor,
        .check_id = leat_target_identity_check,
        .id_context = &processor->identity,
        .batch_records = (size_t)config->batch_records,
        .batch_bytes = (size_t)config->batch_bytes,
        .batch_deadline_us = config->batch_deadline_us,
        .failure = {.retries = failure->retries,
                    .backoff_base_us = failure->backoff_base_us,
                    .backoff_cap_us = failure->backoff_cap_us,
                    .max_age_us = failure->max_age_us,
                    .bisect = failure->bisect,
                    .is_stop = failure->then == LEAT_THEN_STOP,
                    .breaker_percent = failure->breaker_percent},
        .expand_limit_bytes = (size_t)config->expand_limit_bytes,
        .expand_ratio = (unsigned)config->expand_ratio,
        .expand_elements = (size_t)config->expand_elements,
        .expand_outside = outside_of(config->expand_outside),
        .linger_us = config->target.linger_us,
        .flush_rows = config->target.rows,
        .flush_bytes = (size_t)config->target.bytes,
        .committers = (unsigned)config->target.committers,
        .takes_source = takes_source,
        .takes_context = processor,
    };
}

static int
open_pipeline(struct leat_parts *parts, const struct leat_parts_events *events,
              struct leat_error *err)
{
    const struct leat_config *config = parts->config;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct leat_pipeline_processor *processors = parts->pipeline_processors =
        LEAT_NEW_ARRAY(struct leat_pipeline_processor, config->processor_count);
    struct leat_pipeline_options options = {
        .application = config->application,
        .memory = parts->memory,
        .rows_budget = (size_t)config->memory_budget_bytes / ROWS_SHARE,
        .fetcher = parts->fetcher,
        .letters = parts->letters,
        .stream_labels = parts->stream_labels,
        .is_lost_a_stop = strcmp(parts->config->reading_on_lost, "stop") == 0,
        .lease_database_url = leat_buf_text(&parts->database_url),
        .lease_url = current_database_url,
        .lease_url_context = parts,
        .leases_name = leat_buf_text(&parts->leases_name),
        .worker_threads = (unsigned)(config->thread_workers > 0 ? config->thread_workers
                                     : cores > 0                ? cores
                                                                : 1),
        .notice = events->notice,
        .notice_context = events->context,
        .processors = processors,
        .processor_count = config->processor_count,
        .stuck = {config->watchdog_stuck_after_us, config->watchdog_act_after_us},
    };

    for (size_t i = 0; i < config->processor_count; i++)
        processors[i] = pipeline_processor(&parts->processors[i]);
    parts->pipeline = leat_pipeline_new(&options, err);
    return parts->pipeline == NULL ? err->code : 0;
}

/* ---- leases ----------------------------------------------------------------------------------- */

static int
make_leases(struct leat_parts *parts, const struct leat_parts_events *events,
            struct leat_error *err)
{
    const struct leat_config *config = parts->config;
    struct leat_lease_processor *processors = parts->lease_processors =
        LEAT_NEW_ARRAY(struct leat_lease_processor, config->processor_count);
    struct leat_lease_options options = {
        .database_url = leat_buf_text(&parts->database_url),
        .current_url = current_database_url,
        .url_context = parts,
        .application = config->application,
        .worker_id = config->worker_id,
        .heartbeat_us = config->lease_heartbeat_us,
        .expiry_us = config->lease_expiry_us,
        .drain_us = config->lease_drain_us,
        .force_after_us = config->lease_force_after_us,
        .lease_grace_us = config->lease_keep_ended_us,
        .max_leases = (uint32_t)config->lease_max_leases,
        .weight = config->lease_weight,
        .use_notify = config->lease_notify,
        .use_session_lock = config->lease_session_lock,
        .streams = parts->streams,
        .processors = processors,
        .processor_count = config->processor_count,
        .events = leat_pipeline_lease_events(parts->pipeline),
    };

    for (size_t i = 0; i < config->processor_count; i++) {
        struct leat_part_processor *processor = &parts->processors[i];

        processors[i] = (struct leat_lease_processor){
            .name = processor->config->name,
            .current_target = leat_target_identity_current,
            .registered = leat_target_identity_registered,
            .target_context = &processor->identity,
            .start = processor->config->start.kind == LEAT_START_UNSET ? NULL : &processor->start,
            .stream_specs = processor->config->streams,
            .stream_count = processor->config->stream_count,
        };
    }
    options.events.trouble = events->trouble;
    options.events.pooled = events->pooled;
    options.events.stream = events->stream;
    options.events.unserved = events->unserved;
    options.events.cannot_read = events->cannot_read;
    options.events.log_taken = events->log_taken;
    options.events.log_lost = events->log_lost;
    options.events.log = events->log;
    parts->leases = leat_lease_manager_new(&options, err);
    if (parts->leases == NULL)
        return err->code;
    return leat_pipeline_start(parts->pipeline, parts->leases, err);
}

/* ---- all of it -------------------------------------------------------------------------------- */

/* The budget as configured: for reads, for the one spare read, for rows, for records that expand, for the rest. */
static struct leat_memory *
make_memory(const struct leat_config *config)
{
    size_t budget = (size_t)config->memory_budget_bytes, rows = budget / ROWS_SHARE;
    size_t expanded = budget / EXPANSION_SHARE;
    struct leat_memory *memory =
        leat_memory_new(budget - rows - expanded - LEAT_MEMORY_SPARE_BYTES - OTHER_BYTES,
                        (unsigned)config->processor_count);

    leat_memory_set_rows_share(memory, rows);
    leat_memory_set_expansion_share(memory, expanded);
    return memory;
}

static int
open_fetcher(struct leat_parts *parts, struct leat_error *err)
{
    const struct leat_config *config = parts->config;
    struct leat_fetcher_options options = {
        .calls_per_second = config->reading_calls_per_second,
        .bytes_per_second = config->reading_bytes_per_second,
        .idle_us = config->reading_target_latency_us,
    };

    parts->memory = make_memory(config);
    parts->regions = leat_region_pool_new((size_t)config->memory_budget_bytes / 2);
    parts->stream_labels = leat_labels_new((size_t)config->http_metrics_streams);
    options.memory = parts->memory;
    options.stream_labels = parts->stream_labels;
    parts->fetcher = leat_fetcher_new(&options, err);
    return parts->fetcher == NULL ? err->code : 0;
}

static int
open_processors(struct leat_parts *parts, struct leat_error *err)
{
    int status = 0;

    parts->processors = LEAT_NEW_ARRAY(struct leat_part_processor, parts->config->processor_count);
    for (size_t i = 0; i < parts->config->processor_count; i++) {
        leat_buf_init(&parts->processors[i].url, SIZE_MAX);
        leat_target_identity_init(&parts->processors[i].identity,
                                  parts->config->processors[i].name);
    }
    for (size_t i = 0; status == 0 && i < parts->config->processor_count; i++)
        status = open_processor(parts, i, err);
    return status;
}

int
leat_parts_open(struct leat_parts *parts, const struct leat_config *config,
                const struct leat_parts_events *events, struct leat_error *err)
{
    int status;

    *parts = (struct leat_parts){.config = config};
    leat_buf_init(&parts->database_url, SIZE_MAX);
    leat_buf_init(&parts->leases_name, SIZE_MAX);
    leat_setup_aws_init(&parts->aws, config);
    leat_setup_aws_credentials(&parts->aws, leat_credentials_log);
    status = leat_setup_database_url(config, &parts->database_url, err);
    if (status == 0)
        leat_target_name_place(leat_buf_text(&parts->database_url), &parts->leases_name);
    if (status == 0)
        status = open_processors(parts, err);
    if (status == 0)
        status = open_fetcher(parts, err);
    if (status == 0)
        status = open_streams(parts, err);
    if (status == 0)
        status = open_letters(parts, events, err);
    if (status == 0)
        status = open_pipeline(parts, events, err);
    if (status == 0)
        status = make_leases(parts, events, err);
    if (status != 0)
        leat_parts_close(parts);
    return status;
}

void
leat_parts_close(struct leat_parts *parts)
{
    leat_pipeline_free(parts->pipeline);
    leat_lease_manager_free(parts->leases);
    leat_letters_free(parts->letters);
    leat_dead_letter_stream_close(parts->dead_letters);
    leat_archive_close(parts->archive);
    leat_fetcher_free(parts->fetcher);
    leat_streams_free(parts->streams);
    if (parts->catalog != NULL)
        parts->catalog->ops->close(parts->catalog);
    for (size_t i = 0; parts->processors != NULL && i < parts->config->processor_count; i++) {
        struct leat_part_processor *processor = &parts->processors[i];

        leat_setup_processor_release(&processor->setup);
        leat_plugin_host_free(processor->host);
        leat_buf_release(&processor->url);
        leat_target_identity_release(&processor->identity);
    }
    free(parts->processors);
    free(parts->pipeline_processors);
    free(parts->stream_specs);
    free(parts->lease_processors);
    leat_region_pool_free(parts->regions);
    leat_memory_free(parts->memory);
    leat_labels_free(parts->stream_labels);
    leat_setup_aws_release(&parts->aws);
    leat_buf_release(&parts->database_url);
    leat_buf_release(&parts->leases_name);
}

struct leat_plugin_host *
leat_parts_host(const struct leat_parts *parts, size_t processor)
{
    return parts->processors[processor].host;
}
