/* One table of totals, then what has labels. Names end as Prometheus wants them: _total for counters, units spelt out. */
#include "worker/metrics.h"

#include "base/clock.h"
#include "base/memory.h"

struct sample {
    const char *name, *type, *text;
    double value;
};

static void
add_samples(struct leat_buf *out, const struct sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        leat_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", samples[i].name,
                        samples[i].text, samples[i].name, samples[i].type, samples[i].name,
                        samples[i].value);
}

static void
add_pipeline(struct leat_parts *parts, struct leat_buf *out)
{
    struct leat_pipeline_counts counts;

    leat_pipeline_counts(parts->pipeline, &counts);
    const struct sample samples[] = {
        {"leat_records_total", "counter", "records given to processors", (double)counts.records},
        {"leat_bytes_total", "counter", "bytes of their data", (double)counts.bytes},
        {"leat_epochs_total", "counter", "batches that were completed", (double)counts.epochs},
        {"leat_flushes_total", "counter", "transactions committed", (double)counts.flushes},
        {"leat_rows_emitted_total", "counter", "rows before the merge",
         (double)counts.rows_emitted},
        {"leat_rows_written_total", "counter", "rows after the merge", (double)counts.rows_written},
        {"leat_diverted_total", "counter", "records sent to archive and dead letters",
         (double)counts.diverted},
        {"leat_retries_total", "counter", "batches tried again", (double)counts.retries},
        {"leat_fenced_total", "counter", "commits refused by the fence", (double)counts.fenced},
        {"leat_ticks_total", "counter", "calls of tick", (double)counts.ticks},
        {"leat_shards_lost_total", "counter",
         "shards that left their stream before they were read to their end",
         (double)counts.lost_shards},
        {"leat_progress_removed_total", "counter",
         "progress rows of shards that had left their streams, removed here",
         (double)counts.progress_removed},
        {"leat_checkpoints_expired_total", "counter",
         "shards whose checkpoint's record had left the stream",
         (double)counts.expired_checkpoints},
        {"leat_outside_hash_range_total", "counter",
         "user records of aggregates outside their shard's hash range (expand.outside_hash_range)",
         (double)counts.outside_hash_range},
        {"leat_rewinds_total", "counter", "times a shard went back to its checkpoint",
         (double)counts.rewinds},
        {"leat_commit_seconds_total", "counter", "time in commits", (double)counts.commit_us / 1e6},
        {"leat_process_seconds_total", "counter", "time in processors",
         (double)counts.process_us / 1e6},
        {"leat_consumers", "gauge", "(processor, shard) pairs at work here",
         (double)counts.consumers},
        {"leat_consumers_blocked", "gauge", "of them blocked: the log says why",
         (double)counts.blocked},
        {"leat_consumers_unavailable", "gauge",
         "of them kept from work: stream, target, archive or dead-letter stream are away",
         (double)counts.unavailable},
        {"leat_shards_stuck", "gauge", "of them without progress for watchdog.stuck_after",
         (double)counts.stuck},
        {"leat_calls_overdue", "gauge", "calls into plugins that are past batch.deadline",
         (double)counts.calls_overdue},
        {"leat_threads_added", "gauge", "worker threads that work in place of those",
         (double)counts.threads_added},
        {"leat_watchdog_rewinds_total", "counter", "stuck shards rewound",
         (double)counts.watchdog_rewinds},
        {"leat_watchdog_given_away_total", "counter",
         "leases of stuck shards offered to other workers", (double)counts.given_away},
    };
    add_samples(out, samples, LEAT_COUNT_OF(samples));
}

static void
add_leases(struct leat_parts *parts, struct leat_buf *out)
{
    struct leat_lease_counts counts;

    leat_lease_manager_counts(parts->leases, &counts);
    const struct sample samples[] = {
        {"leat_leases_owned", "gauge", "leases of this worker", (double)counts.owned},
        {"leat_leases", "gauge", "leases of the application", (double)counts.total},
        {"leat_leases_unowned", "gauge", "of them without an owner", (double)counts.unowned},
        {"leat_leases_unserved", "gauge",
         "of the owned: an active processor of theirs is not run here, and waits",
         (double)counts.unserved},
        {"leat_workers_alive", "gauge", "workers of the application", (double)counts.workers_alive},
        {"leat_leases_acquired_total", "counter", "leases taken", (double)counts.acquired},
        {"leat_leases_lost_total", "counter", "leases lost", (double)counts.lost},
        {"leat_lease_handoffs_total", "counter", "leases handed over", (double)counts.handoffs},
        {"leat_lease_passes_total", "counter", "assignment passes made here",
         (double)counts.passes},
        {"leat_deaths_judged_total", "counter", "workers declared dead from here",
         (double)counts.deaths_judged},
        {"leat_stream_holes_total", "counter", "parts of streams that no lease covered, seen here",
         (double)counts.holes},
        {"leat_leases_removed_total", "counter",
         "leases of shards that had left their streams, removed here",
         (double)counts.leases_removed},
        {"leat_workers_removed_total", "counter", "rows of dead workers, removed here",
         (double)counts.workers_removed},
        {"leat_heartbeats_total", "counter", "renewals of this worker's row",
         (double)counts.heartbeats},
        {"leat_heartbeat_failures_total", "counter", "of them failed",
         (double)counts.heartbeat_failures},
        {"leat_heartbeat_age_seconds", "gauge", "since the last one that was acknowledged",
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
        {"leat_streams", "gauge", "streams that this worker reads", (double)counts.read},
        {"leat_streams_stopped", "gauge",
         "streams that were made again and stand still (leases.on_recreated: stop)",
         (double)counts.stopped},
        {"leat_streams_waited_for", "gauge", "configured names that there is no stream for",
         (double)counts.waited_for},
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
        {"leat_reads_total", "counter", "reads of the streams", (double)reading.reads},
        {"leat_read_throttles_total", "counter", "of them throttled", (double)reading.throttles},
        {"leat_read_errors_total", "counter", "of them failed", (double)reading.errors},
        {"leat_read_records_total", "counter", "stream records read", (double)reading.records},
        {"leat_read_bytes_total", "counter", "bytes of their answers", (double)reading.bytes},
        {"leat_letters_archived_total", "counter", "letters in the archive",
         (double)letters.archived},
        {"leat_letters_dead_lettered_total", "counter", "letters in the dead-letter stream",
         (double)letters.dead_lettered},
        {"leat_letters_refused_total", "counter",
         "letters that archive or dead-letter stream will never take: the other has them",
         (double)letters.refused},
        {"leat_letters_waiting", "gauge", "letters on their way", (double)letters.waiting},
        {"leat_letters_blocked", "gauge", "1 while archive or dead-letter stream cannot be reached",
         letters.is_blocked ? 1 : 0},
    };
    add_samples(out, samples, LEAT_COUNT_OF(samples));
}

static void
add_memory(struct leat_parts *parts, struct leat_buf *out)
{
    static const char *const uses[LEAT_MEMORY_USES] = {"chunks", "expanded", "rows", "letters"};

    leat_buf_add_text(out, "# HELP leat_memory_bytes what the budget holds, by use\n"
                           "# TYPE leat_memory_bytes gauge\n");
    for (int use = 0; use < LEAT_MEMORY_USES; use++)
        leat_buf_printf(out, "leat_memory_bytes{use=\"%s\"} %zu\n", uses[use],
                        leat_memory_used(parts->memory, (enum leat_memory_use)use));
    leat_buf_printf(out,
                    "# HELP leat_memory_budget_bytes the budget\n"
                    "# TYPE leat_memory_budget_bytes gauge\nleat_memory_budget_bytes %lld\n",
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

    leat_buf_add_text(out, "# HELP leat_lag_seconds how far what is committed of a shard is "
                           "behind its tip\n# TYPE leat_lag_seconds gauge\n");
    leat_pipeline_each_consumer(parts->pipeline, add_consumer, &lag);
    leat_buf_printf(out,
                    "# HELP leat_lag_seconds_max the worst of them\n"
                    "# TYPE leat_lag_seconds_max gauge\nleat_lag_seconds_max %.3f\n",
                    lag.worst_seconds);
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
    leat_buf_add_text(out, "# HELP leat_progress_age_seconds since a shard's last progress, while "
                           "there is something to do\n# TYPE leat_progress_age_seconds gauge\n");
    leat_pipeline_each_consumer(parts->pipeline, add_standing, out);
}

static void
add_processor(void *context, const struct leat_processor_view *view)
{
    struct leat_buf *out = context;

    leat_buf_add_text(out, "leat_processor_paused{");
    add_label(out, "processor", leat_slice_from(view->processor));
    leat_buf_printf(out, "} %d\n", view->state == LEAT_PROCESSOR_PAUSED);
}

static void
add_processors(struct leat_parts *parts, struct leat_buf *out)
{
    leat_buf_add_text(out, "# HELP leat_processor_paused 1 while an operator has paused it\n"
                           "# TYPE leat_processor_paused gauge\n");
    leat_pipeline_each_processor(parts->pipeline, add_processor, out);
}

void
leat_metrics_render(struct leat_parts *parts, struct leat_buf *out)
{
    leat_buf_printf(out,
                    "# HELP leat_build_info which leat this is\n# TYPE leat_build_info gauge\n"
                    "leat_build_info{version=\"%s\"} 1\n",
                    LEAT_VERSION);
    add_pipeline(parts, out);
    add_leases(parts, out);
    add_streams(parts, out);
    add_reading(parts, out);
    add_memory(parts, out);
    add_lag(parts, out);
    add_standing_all(parts, out);
    add_processors(parts, out);
    leat_parts_plugin_metrics(parts, out);
}
