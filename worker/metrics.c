/* /metrics as a whole, and what has no labels. Names end as Prometheus wants them: _total for counters, units spelt out. */
#include "worker/metrics.h"

#include <math.h>

#include "base/clock.h"
#include "base/exposition.h"
#include "base/memory.h"
#include "worker/metrics_parts.h"
#include "worker/metrics_table.h"

struct sample {
    const char *name;
    double value;
};

void
leat_metrics_head(struct leat_buf *out, const char *name)
{
    const struct leat_metric *metric = leat_metric_find(name);

    leat_exposition_head(out, name, metric->type, metric->text);
}

void
leat_metrics_add(struct leat_buf *out, const char *name, double value)
{
    leat_metrics_head(out, name);
    leat_exposition_sample(out, name, "", value);
}

static void
add_samples(struct leat_buf *out, const struct sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        leat_metrics_add(out, samples[i].name, samples[i].value);
}

static void
add_pipeline(struct leat_parts *parts, struct leat_buf *out)
{
    struct leat_pipeline_counts counts;

    leat_pipeline_counts(parts->pipeline, &counts);
    const struct sample samples[] = {
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
add_letters(struct leat_parts *parts, struct leat_buf *out)
{
    struct leat_letters_counts letters;

    leat_letters_counts(parts->letters, &letters);
    const struct sample samples[] = {
        {"leat_letters_archived_total", (double)letters.archived},
        {"leat_letters_dead_lettered_total", (double)letters.dead_lettered},
        {"leat_letters_refused_total", (double)letters.refused},
        {"leat_letters_waiting", (double)letters.waiting},
        {"leat_letters_blocked", letters.is_blocked ? 1 : 0},
    };
    add_samples(out, samples, LEAT_COUNT_OF(samples));
}

/* A worker that reads files alone has none: 0, and no rise. */
static void
add_credentials(struct leat_parts *parts, struct leat_buf *out)
{
    struct leat_credentials_cache_status status = {0};

    if (parts->aws.credentials != NULL)
        leat_credentials_cache_status(parts->aws.credentials, &status);
    const struct sample samples[] = {
        {"leat_credentials_expiry_timestamp_seconds", !status.has_credentials ? 0
                                                      : status.expires_us > 0
                                                          ? (double)status.expires_us / 1e6
                                                          : INFINITY},
        {"leat_credentials_refreshes_total", (double)status.refreshes},
        {"leat_credentials_refresh_failures_total", (double)status.failures},
    };
    add_samples(out, samples, LEAT_COUNT_OF(samples));
}

static void
add_memory(struct leat_parts *parts, struct leat_buf *out)
{
    static const char *const uses[LEAT_MEMORY_USES] = {"use=\"chunks\"", "use=\"expanded\"",
                                                       "use=\"rows\"", "use=\"letters\""};

    leat_metrics_head(out, "leat_memory_bytes");
    for (int use = 0; use < LEAT_MEMORY_USES; use++)
        leat_exposition_count(out, "leat_memory_bytes", uses[use],
                              leat_memory_used(parts->memory, (enum leat_memory_use)use));
    leat_metrics_add(out, "leat_memory_budget_bytes", (double)parts->config->memory_budget_bytes);
}

void
leat_metrics_render(struct leat_parts *parts, struct leat_buf *out)
{
    leat_metrics_head(out, "leat_build_info");
    leat_exposition_count(out, "leat_build_info", "version=\"" LEAT_VERSION "\"", 1);
    leat_metrics_add_process(out);
    add_pipeline(parts, out);
    add_leases(parts, out);
    add_streams(parts, out);
    add_letters(parts, out);
    add_credentials(parts, out);
    add_memory(parts, out);
    leat_metrics_add_shards(parts, out);
    leat_metrics_add_streams(parts, out);
    leat_metrics_add_plugins(parts, out);
}
