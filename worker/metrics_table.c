/*
 * THE table of metrics: what is rendered and the page docs/metrics.md come from it. A metric that has no line here does not exist.
 */
#include "worker/metrics_table.h"

#include <string.h>

#include "base/memory.h"

const struct leat_metric leat_metrics_table[] = {
    {"leat_consumers", "gauge", "", "", "(processor, shard) pairs at work here", ""},
    {"leat_consumers_blocked", "gauge", "", "", "of them blocked: the log says why",
     "above 0 for 5 minutes"},
    {"leat_consumers_unavailable", "gauge", "", "",
     "of them kept from work: stream, target, archive or dead-letter stream are away",
     "above 0 for 5 minutes"},
    {"leat_shards_stuck", "gauge", "", "", "of them without progress for watchdog.stuck_after",
     "above 0 for 5 minutes"},
    {"leat_calls_overdue", "gauge", "", "", "calls into plugins that are past batch.deadline",
     "above 0 for 5 minutes: a plugin does not come back"},
    {"leat_threads_added", "gauge", "", "", "worker threads that work in place of those", ""},
    {"leat_watchdog_rewinds_total", "counter", "", "", "stuck shards rewound", ""},
    {"leat_watchdog_given_away_total", "counter", "", "",
     "leases of stuck shards offered to other workers", ""},
    {"leat_leases_owned", "gauge", "", "", "leases of this worker", ""},
    {"leat_leases", "gauge", "", "", "leases of the application", ""},
    {"leat_leases_unowned", "gauge", "", "", "of them without an owner", "above 0 for a minute"},
    {"leat_leases_unserved", "gauge", "", "",
     "of the owned: an active processor of theirs is not run here, and waits",
     "above 0 for 10 minutes: no worker runs that processor"},
    {"leat_workers_alive", "gauge", "", "", "workers of the application",
     "below what is deployed for a minute"},
    {"leat_leases_acquired_total", "counter", "", "", "leases taken", ""},
    {"leat_leases_lost_total", "counter", "", "", "leases lost", ""},
    {"leat_lease_handoffs_total", "counter", "", "", "leases handed over", ""},
    {"leat_lease_passes_total", "counter", "", "", "assignment passes made here", ""},
    {"leat_deaths_judged_total", "counter", "", "", "workers declared dead from here",
     "a rise without a deploy: workers die or freeze"},
    {"leat_stream_holes_total", "counter", "", "",
     "parts of streams that no lease covered, seen here", "any rise"},
    {"leat_leases_removed_total", "counter", "", "",
     "leases of shards that had left their streams, removed here", ""},
    {"leat_workers_removed_total", "counter", "", "", "rows of dead workers, removed here", ""},
    {"leat_heartbeats_total", "counter", "", "", "renewals of this worker's row",
     "no rise for `leases.expiry`"},
    {"leat_heartbeat_failures_total", "counter", "", "", "of them failed", "a steady rise"},
    {"leat_heartbeat_age_seconds", "gauge", "", "seconds",
     "since the last one that was acknowledged", "above `leases.expiry`"},
    {"leat_streams", "gauge", "", "", "streams that this worker reads", ""},
    {"leat_streams_stopped", "gauge", "", "",
     "streams that were made again and stand still (leases.on_recreated: stop)", "above 0"},
    {"leat_streams_waited_for", "gauge", "", "", "configured names that there is no stream for",
     "above 0 for 10 minutes: a name, region or endpoint is wrong"},
    {"leat_letters_archived_total", "counter", "", "", "letters in the archive", ""},
    {"leat_letters_dead_lettered_total", "counter", "", "", "letters in the dead-letter stream",
     ""},
    {"leat_letters_refused_total", "counter", "", "",
     "letters that archive or dead-letter stream will never take: the other has them", "any rise"},
    {"leat_letters_waiting", "gauge", "", "", "letters on their way", ""},
    {"leat_letters_blocked", "gauge", "", "",
     "1 while archive or dead-letter stream cannot be reached",
     "1 for a minute: shards with failed records wait"},
    {"leat_credentials_expiry_timestamp_seconds", "gauge", "", "seconds",
     "since 1970 UTC, when the AWS credentials in use end; +Inf: never, 0: there are none",
     "less than two minutes from now (by `time()`): they are not refreshed"},
    {"leat_credentials_refreshes_total", "counter", "", "",
     "AWS credentials got, the first ones too", ""},
    {"leat_credentials_refresh_failures_total", "counter", "", "", "questions for them that failed",
     "a steady rise"},
    {"leat_build_info", "gauge", "version", "", "which leat this is", ""},
    {"process_resident_memory_bytes", "gauge", "", "bytes", "memory of the process that is in RAM",
     "above `memory.budget` + 32 MiB + 64 kB a shard"},
    {"process_cpu_seconds_total", "counter", "", "seconds", "CPU time of the process", ""},
    {"process_start_time_seconds", "gauge", "", "seconds", "since 1970 UTC",
     "changes without a deploy: the worker crashes or is killed"},
    {"process_open_fds", "gauge", "", "", "files and connections that are open", ""},
    {"process_max_fds", "gauge", "", "", "how many may be",
     "process_open_fds above nine tenths of it"},
    {"leat_memory_bytes", "gauge", "use", "bytes", "what the budget holds, by use", ""},
    {"leat_memory_budget_bytes", "gauge", "", "bytes", "the budget", ""},
    {"leat_lag_seconds_max", "gauge", "", "seconds",
     "how far what is committed of the worst shard here is behind its tip",
     "above what your users notice"},
    {"leat_stream_lag_seconds", "gauge", "processor, stream", "seconds",
     "the same of the worst shard of this stream", "above what your users notice"},
    {"leat_retention_headroom_seconds", "gauge", "processor, stream", "seconds",
     "the stream's retention (as it was when the shard was taken) less that lag, of the shard that "
     "has least: then records are lost",
     "below half of the stream's retention"},
    {"leat_lag_seconds", "gauge", "processor, stream, shard", "seconds",
     "the lag of a shard, at most `http.metrics_shards` of them, the worst first", ""},
    {"leat_progress_age_seconds", "gauge", "processor, stream, shard", "seconds",
     "since a shard's last progress, while there is something to do; of the same shards",
     "above `watchdog.act_after`"},
    {"leat_shard_states", "gauge", "processor, stream, state", "",
     "shards of this worker in this state of `leat shards`; those that are stuck are in "
     "`leat_shards_stuck`, too",
     "`blocked` or `unavailable` above 0 for 5 minutes"},
    {"leat_records_total", "counter", "processor, stream", "",
     "user records given to the processor, and those that it was spared: after KPL aggregates and "
     "JSON arrays are taken apart, and again after a rewind",
     ""},
    {"leat_stream_records_total", "counter", "processor, stream", "",
     "the stream's own records that they were in", ""},
    {"leat_bytes_total", "counter", "processor, stream", "bytes", "bytes of these, without keys",
     ""},
    {"leat_records_committed_total", "counter", "processor, stream", "",
     "user records that are done: committed with their rows, or put away. Never twice", ""},
    {"leat_diverted_total", "counter", "processor, stream", "",
     "letters to archive and dead-letter stream: records, and rows of no record",
     "a rise: `leat failures count` says what and why"},
    {"leat_retries_total", "counter", "processor, stream", "", "batches tried again",
     "a steady rise: a processor says LEAT_RETRY, or a target refuses"},
    {"leat_rows_emitted_total", "counter", "processor, stream", "", "rows before the merge", ""},
    {"leat_epochs_total", "counter", "processor, stream", "",
     "batches, and ticks with rows, that were completed", ""},
    {"leat_ticks_total", "counter", "processor, stream", "", "calls of tick", ""},
    {"leat_fenced_total", "counter", "processor, stream", "", "commits refused by the fence",
     "a steady rise: two owners of a shard, or two lease databases on one target"},
    {"leat_rewinds_total", "counter", "processor, stream", "",
     "times a shard went back to its checkpoint", ""},
    {"leat_shards_lost_total", "counter", "processor, stream", "",
     "shards that left their stream before they were read to their end",
     "any rise: data is lost; more workers, or a longer retention"},
    {"leat_checkpoints_expired_total", "counter", "processor, stream", "",
     "shards whose checkpoint's record had left the stream", "any rise"},
    {"leat_outside_hash_range_total", "counter", "processor, stream", "",
     "user records of aggregates outside their shard's hash range (expand.outside_hash_range)", ""},
    {"leat_end_to_end_seconds", "histogram", "processor, stream", "seconds",
     "from the arrival of the first record of a flush to its commit: one a shard and flush, so its "
     "slowest record",
     "its 99th percentile above what your users notice"},
    {"leat_flushes_total", "counter", "processor", "", "transactions committed", ""},
    {"leat_rows_written_total", "counter", "processor", "", "rows after the merge", ""},
    {"leat_progress_removed_total", "counter", "processor", "",
     "progress rows of shards that had left their streams, removed here", ""},
    {"leat_process_seconds", "histogram", "processor", "seconds",
     "calls into the plugin: batches, ticks, states", ""},
    {"leat_commit_seconds", "histogram", "processor", "seconds",
     "transactions into its target that were committed, from BEGIN to the answer", ""},
    {"leat_processor_paused", "gauge", "processor", "", "1 while an operator has paused it", ""},
    {"leat_reads_total", "counter", "stream", "", "reads of the stream", ""},
    {"leat_read_throttles_total", "counter", "stream", "", "of them throttled",
     "a steady rise: other consumers share the stream"},
    {"leat_read_errors_total", "counter", "stream", "", "of them failed, or throttled",
     "a steady rise"},
    {"leat_read_records_total", "counter", "stream", "",
     "stream records read: once for each processor, and again after a rewind", ""},
    {"leat_read_bytes_total", "counter", "stream", "bytes", "memory that their answers took", ""},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

const struct leat_metric *
leat_metric_find(const char *name)
{
    const struct leat_metric *metric = leat_metrics_table;

    while (metric->name != NULL && strcmp(metric->name, name) != 0)
        metric++;
    LEAT_ASSERT(metric->name != NULL);
    return metric;
}

void
leat_metrics_page(struct leat_buf *out)
{
    leat_buf_add_text(out, "# Metrics\n\n"
                           "What a worker says at `http.listen`/metrics, in Prometheus' text "
                           "format. This page is printed by `leat metrics`; a test "
                           "compares the two.\n\n"
                           "Counters begin at 0 with the process and never go back, whatever "
                           "becomes of shards, streams and processors: `rate()` and `increase()` "
                           "are right, and `sum()` without labels gives the worker's total. "
                           "Streams beyond `http.metrics_streams` are counted together as "
                           "`stream=\"(other)\"`. A plugin's own metrics are "
                           "`leat_plugin_<name>` (counters: `leat_plugin_<name>_total`) with the "
                           "label `processor`; its target's are the processor's. Histograms have "
                           "buckets from 1 ms to 10 minutes.\n\n"
                           "| name | type | labels | unit | what it is | alert on |\n"
                           "|---|---|---|---|---|---|\n");
    for (const struct leat_metric *metric = leat_metrics_table; metric->name != NULL; metric++)
        leat_buf_printf(out, "| `%s` | %s | %s | %s | %s | %s |\n", metric->name, metric->type,
                        metric->labels, metric->unit, metric->text, metric->alert);
}
