/* One table of totals, then what has labels. Names end as Prometheus wants them: _total for counters, units spelt out. */
#include "worker/metrics.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"
#include "worker/metrics_table.h"

struct sample {
    const char *name;
    double value;
};

static void
add_head(struct leat_buf *out, const char *name)
{
    const struct leat_metric *metric = leat_metric_find(name);

    leat_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, metric->text, name, metric->type);
}

static void
add_samples(struct leat_buf *out, const struct sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add_head(out, samples[i].name);
        leat_buf_printf(out, "%s %.17g\n", samples[i].name, samples[i].value);
    }
}

static void
add_pipeline(struct leat_parts *parts, struct leat_buf *out)
{
    struct leat_pipeline_counts counts;

    leat_pipeline_counts(parts->pipeline, &counts);
    const struct sample samples[] = {
        {"leat_records_total", (double)counts.records},
        {"leat_bytes_total", (double)counts.bytes},
        {"leat_epochs_total", (double)counts.epochs},
        {"leat_flushes_total", (double)counts.flushes},
        {"leat_rows_emitted_total", (double)counts.rows_emitted},
        {"leat_rows_written_total", (double)counts.rows_written},
        {"leat_diverted_total", (double)counts.diverted},
        {"leat_retries_total", (double)counts.retries},
        {"leat_fenced_total", (double)counts.fenced},
        {"leat_ticks_total", (double)counts.ticks},
        {"leat_shards_lost_total", (double)counts.lost_shards},
        {"leat_progress_removed_total", (double)counts.progress_removed},
        {"leat_checkpoints_expired_total", (double)counts.expired_checkpoints},
        {"leat_outside_hash_range_total", (double)counts.outside_hash_range},
        {"leat_rewinds_total", (double)counts.rewinds},
        {"leat_commit_seconds_total", (double)counts.commit_us / 1e6},
        {"leat_process_seconds_total", (double)counts.process_us / 1e6},
        {"leat_consumers", (double)counts.consumers},
        {"leat_consumers_blocked", (double)counts.blocked},
        {"leat_consumers_unavailable", (double)counts.unavailable},
        {"leat_shards_stuck", (double)counts.stuck},
        {"leat_calls_overdue", (double)counts.calls_overdue},
        {"leat_threads_added", (double)counts.threads_added},
        {"leat_watchdog_rewinds_total", (double)counts.watchdog_rewinds},
        {"leat_watchdog_given_away_total", (double)counts.given_away},
    };
    add_samples(out, samples, LEAT_COUNT_OF(samples));
}

static void
add_leases(struct leat_parts *parts, struct leat_buf *out)
{
    struct leat_lease_counts counts;

    leat_lease_manager_counts(parts->leases, &counts);
    const struct sample samples[] = {
        {"leat_leases_owned", (double)counts.owned},
        {"leat_leases", (double)counts.total},
        {"leat_leases_unowned", (double)counts.unowned},
        {"leat_leases_unserved", (double)counts.unserved},
        {"leat_workers_alive", (double)counts.workers_alive},
        {"leat_leases_acquired_total", (double)counts.acquired},
        {"leat_leases_lost_total", (double)counts.lost},
        {"leat_lease_handoffs_total", (double)counts.handoffs},
        {"leat_lease_passes_total", (double)counts.passes},
        {"leat_deaths_judged_total", (double)counts.deaths_judged},
        {"leat_stream_holes_total", (double)counts.holes},
        {"leat_leases_removed_total", (double)counts.leases_removed},
        {"leat_workers_removed_total", (double)counts.workers_removed},
        {"leat_heartbeats_total", (double)counts.heartbeats},
        {"leat_heartbeat_failures_total", (double)counts.heartbeat_failures},
        {"leat_heartbeat_age_seconds",
         counts.last_heartbeat_us > 0
             ? (double)(leat_clock_monotonic_us() - counts.last_heartbeat_us) / 1e6
             : -1},
    };
    add_samples(out, samples, LEAT_COUNT_OF(samples));
}

static void
add_streams(struct leat_parts *parts, struct leat_buf *out)
{
    struct leat_streams_counts counts;

    leat_streams_counts(parts->streams, &counts);
    const struct sample samples[] = {
        {"leat_streams", (double)counts.read},
        {"leat_streams_stopped", (double)counts.stopped},
        {"leat_streams_waited_for", (double)counts.waited_for},
    };
    add_samples(out, samples, LEAT_COUNT_OF(samples));
}

static void
add_reading(struct leat_parts *parts, struct leat_buf *out)
{
    struct leat_fetcher_counts reading = leat_fetcher_counts(parts->fetcher);
    struct leat_letters_counts letters;

    leat_letters_counts(parts->letters, &letters);
    const struct sample samples[] = {
        {"leat_reads_total", (double)reading.reads},
        {"leat_read_throttles_total", (double)reading.throttles},
        {"leat_read_errors_total", (double)reading.errors},
        {"leat_read_records_total", (double)reading.records},
        {"leat_read_bytes_total", (double)reading.bytes},
        {"leat_letters_archived_total", (double)letters.archived},
        {"leat_letters_dead_lettered_total", (double)letters.dead_lettered},
        {"leat_letters_refused_total", (double)letters.refused},
        {"leat_letters_waiting", (double)letters.waiting},
        {"leat_letters_blocked", letters.is_blocked ? 1 : 0},
    };
    add_samples(out, samples, LEAT_COUNT_OF(samples));
}

static void
add_memory(struct leat_parts *parts, struct leat_buf *out)
{
    static const char *const uses[LEAT_MEMORY_USES] = {"chunks", "expanded", "rows", "letters"};

    add_head(out, "leat_memory_bytes");
    for (int use = 0; use < LEAT_MEMORY_USES; use++)
        leat_buf_printf(out, "leat_memory_bytes{use=\"%s\"} %zu\n", uses[use],
                        leat_memory_used(parts->memory, (enum leat_memory_use)use));
    add_head(out, "leat_memory_budget_bytes");
    leat_buf_printf(out, "leat_memory_budget_bytes %lld\n",
                    (long long)parts->config->memory_budget_bytes);
}

struct lag {
    struct leat_buf *out;
    double worst_seconds;
};

static void
add_label(struct leat_buf *out, const char *name, struct leat_slice value)
{
    leat_buf_printf(out, "%s=\"", name);
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] == '"' || value.data[i] == '\\')
            leat_buf_add_byte(out, '\\');
        leat_buf_add_byte(out, value.data[i] == '\n' ? ' ' : value.data[i]);
    }
    leat_buf_add_text(out, "\"");
}

static void
add_consumer(void *context, const struct leat_consumer_view *view)
{
    struct lag *lag = context;

    if (view->behind_ms < 0)
        return;
    leat_buf_add_text(lag->out, "leat_lag_seconds{");
    add_label(lag->out, "processor", leat_slice_from(view->processor));
    add_label(lag->out, ",stream", view->stream);
    add_label(lag->out, ",shard", view->shard);
    leat_buf_printf(lag->out, "} %.3f\n", (double)view->behind_ms / 1e3);
    if ((double)view->behind_ms / 1e3 > lag->worst_seconds)
        lag->worst_seconds = (double)view->behind_ms / 1e3;
}

static void
add_lag(struct leat_parts *parts, struct leat_buf *out)
{
    struct lag lag = {.out = out};

    add_head(out, "leat_lag_seconds");
    leat_pipeline_each_consumer(parts->pipeline, add_consumer, &lag);
    add_head(out, "leat_lag_seconds_max");
    leat_buf_printf(out, "leat_lag_seconds_max %.3f\n", lag.worst_seconds);
}

static void
add_standing(void *context, const struct leat_consumer_view *view)
{
    struct leat_buf *out = context;

    leat_buf_add_text(out, "leat_progress_age_seconds{");
    add_label(out, "processor", leat_slice_from(view->processor));
    add_label(out, ",stream", view->stream);
    add_label(out, ",shard", view->shard);
    leat_buf_printf(out, "} %.3f\n", (double)view->standing_us / 1e6);
}

/* Shards that have nothing to do, or wait for what is told elsewhere, are at 0. */
static void
add_standing_all(struct leat_parts *parts, struct leat_buf *out)
{
    add_head(out, "leat_progress_age_seconds");
    leat_pipeline_each_consumer(parts->pipeline, add_standing, out);
}

/* ---- by processor ---------------------------------------------------------------------------- */

struct processor_views {
    struct leat_processor_view *items;
    size_t count, capacity;
};

static void
collect_processor(void *context, const struct leat_processor_view *view)
{
    struct processor_views *views = context;

    LEAT_GROW(views->items, views->count, views->capacity);
    views->items[views->count++] = *view;
}

static void
add_number(struct leat_buf *out, const char *name, const struct leat_processor_view *view,
           uint64_t number)
{
    leat_buf_printf(out, "%s{", name);
    add_label(out, "processor", leat_slice_from(view->processor));
    leat_buf_printf(out, "} %llu\n", (unsigned long long)number);
}

static void
add_numbers(struct leat_buf *out, const struct processor_views *views)
{
    static const struct {
        const char *name;
        size_t at;
    } numbers[] = {
        {"leat_processor_records_total", offsetof(struct leat_processor_view, records)},
        {"leat_processor_bytes_total", offsetof(struct leat_processor_view, bytes)},
        {"leat_processor_rows_emitted_total", offsetof(struct leat_processor_view, rows_emitted)},
        {"leat_processor_rows_written_total", offsetof(struct leat_processor_view, rows_written)},
        {"leat_processor_diverted_total", offsetof(struct leat_processor_view, diverted)},
        {"leat_processor_retries_total", offsetof(struct leat_processor_view, retries)},
        {"leat_processor_commits_total", offsetof(struct leat_processor_view, flushes)},
    };

    for (size_t n = 0; n < LEAT_COUNT_OF(numbers); n++) {
        add_head(out, numbers[n].name);
        for (size_t i = 0; i < views->count; i++) {
            uint64_t number;

            memcpy(&number, (const char *)&views->items[i] + numbers[n].at, sizeof number);
            add_number(out, numbers[n].name, &views->items[i], number);
        }
    }
    add_head(out, "leat_processor_paused");
    for (size_t i = 0; i < views->count; i++)
        add_number(out, "leat_processor_paused", &views->items[i],
                   views->items[i].state == LEAT_PROCESSOR_PAUSED);
}

static void
add_histograms(struct leat_buf *out, const struct processor_views *views)
{
    static const struct {
        const char *name;
        size_t at;
    } histograms[] = {
        {"leat_process_seconds", offsetof(struct leat_processor_view, processing)},
        {"leat_commit_seconds", offsetof(struct leat_processor_view, committing)},
        {"leat_end_to_end_seconds", offsetof(struct leat_processor_view, end_to_end)},
    };

    for (size_t n = 0; n < LEAT_COUNT_OF(histograms); n++) {
        add_head(out, histograms[n].name);
        for (size_t i = 0; i < views->count; i++) {
            const struct leat_histogram *histogram;
            LEAT_AUTO_BUF labels = LEAT_BUF_INIT;

            memcpy(&histogram, (const char *)&views->items[i] + histograms[n].at, sizeof histogram);
            add_label(&labels, "processor", leat_slice_from(views->items[i].processor));
            leat_histogram_render(histogram, histograms[n].name, leat_buf_text(&labels), out);
        }
    }
}

static void
add_processors(struct leat_parts *parts, struct leat_buf *out)
{
    struct processor_views views = {0};

    leat_pipeline_each_processor(parts->pipeline, collect_processor, &views);
    add_numbers(out, &views);
    add_histograms(out, &views);
    free(views.items);
}

/* ---- states ------------------------------------------------------------------------------------ */

static void
count_state(void *context, const struct leat_consumer_view *view)
{
    struct leat_map *states = context;
    LEAT_AUTO_BUF labels = LEAT_BUF_INIT;
    uintptr_t count;

    add_label(&labels, "processor", leat_slice_from(view->processor));
    add_label(&labels, ",stream", view->stream);
    add_label(&labels, ",state", leat_slice_from(view->state));
    count = (uintptr_t)leat_map_get(states, leat_buf_slice(&labels));
    leat_map_put(states, leat_buf_slice(&labels), (void *)(count + 1));
}

static void
add_states(struct leat_parts *parts, struct leat_buf *out)
{
    const struct leat_map_entry *entry;
    struct leat_map states;

    leat_map_init(&states);
    leat_pipeline_each_consumer(parts->pipeline, count_state, &states);
    add_head(out, "leat_shard_states");
    for (size_t i = 0; (entry = leat_map_next(&states, &i)) != NULL;)
        leat_buf_printf(out, "leat_shard_states{%.*s} %llu\n", (int)entry->key.size,
                        (const char *)entry->key.data, (unsigned long long)(uintptr_t)entry->value);
    leat_map_release(&states, NULL);
}

/* The second number of /proc/self/statm, in pages. */
static void
add_resident(struct leat_buf *out)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long long pages = 0;

    if (file != NULL && fscanf(file, "%*s %lld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    add_head(out, "process_resident_memory_bytes");
    leat_buf_printf(out, "process_resident_memory_bytes %lld\n",
                    pages * (long long)sysconf(_SC_PAGESIZE));
}

void
leat_metrics_render(struct leat_parts *parts, struct leat_buf *out)
{
    add_head(out, "leat_build_info");
    leat_buf_printf(out, "leat_build_info{version=\"%s\"} 1\n", LEAT_VERSION);
    add_resident(out);
    add_pipeline(parts, out);
    add_leases(parts, out);
    add_streams(parts, out);
    add_reading(parts, out);
    add_memory(parts, out);
    add_lag(parts, out);
    add_standing_all(parts, out);
    add_states(parts, out);
    add_processors(parts, out);
    leat_parts_plugin_metrics(parts, out);
}
