/*
 * The configuration as plain structs, filled from one property table (properties.c): parser, --help, JSON Schema and
 * the reference page are made from it. Precedence: --set a.b=c > environment LEAT_A__B > file > default.
 * All errors at once, `file:line:col: text`, with a "did you mean". Everything lives in the config's arena.
 */
#ifndef LEAT_CONFIG_CONFIG_H
#define LEAT_CONFIG_CONFIG_H

#include <leat/host.h>

#include "base/arena.h"
#include "base/buf.h"

/* An option of a plugin as written; layout as plugin/options.h's struct leat_raw_option (worker/ converts). */
struct leat_config_option {
    const char *name;
    int kind; /* 0 scalar, 1 list, 2 map */
    struct leat_slice scalar;
    const struct leat_slice *items;
    size_t item_count;
    int line, column;   /* of the value; 0: not from the file */
    const char *origin; /* "environment LEAT_…" or "--set …"; NULL: from the file */
    bool is_hidden;     /* see leat_config_hide */
};

enum leat_start_kind {
    LEAT_START_TRIM_HORIZON = 0,
    LEAT_START_LATEST = 1,
    LEAT_START_TIME = 2,
    LEAT_START_UNSET = 3
};
struct leat_start {
    enum leat_start_kind kind;
    int64_t time_us;
};

struct leat_config_stream {
    const char *name; /* or ARN, or pattern */
    struct leat_start start;
    const char *file; /* not NULL: a file source */
    bool follow;
    int line, column;
};

enum leat_failure_then { LEAT_THEN_DIVERT = 0, LEAT_THEN_STOP = 1 };
struct leat_config_failure {
    int64_t retries;
    int64_t backoff_base_us, backoff_cap_us;
    int64_t max_age_us; /* 0: no limit */
    bool bisect;
    enum leat_failure_then then;
    int64_t breaker_percent; /* 0: off */
};

struct leat_config_target {
    const char *plugin, *sha256;
    const char *url, *url_file; /* both NULL: the application's database */
    const struct leat_config_option *options;
    size_t option_count;
    int64_t linger_us; /* -1: auto */
    int64_t rows;      /* -1: auto */
    int64_t bytes;
    int64_t committers;
    int line, column;
};

struct leat_config_processor {
    const char *name, *plugin, *sha256;
    const struct leat_config_option *options;
    size_t option_count;
    const char *const *streams; /* names as in streams; count 0: all */
    size_t stream_count;
    struct leat_start start; /* LEAT_START_UNSET: the stream's */
    int64_t batch_records, batch_bytes, batch_deadline_us;
    int64_t lanes;
    struct leat_config_failure failure;
    int64_t expand_limit_bytes, expand_ratio, expand_elements;
    const char *expand_outside; /* keep_in_range, drop_aggregate, keep_all */
    struct leat_config_target target;
    int line, column;
};

struct leat_config {
    struct leat_arena arena;
    const char *file;
    int64_t config_version;
    const char *application, *worker_id;
    const char *database_url, *database_url_file; /* one of the two */
    const char *aws_region, *aws_endpoint_kinesis, *aws_endpoint_s3, *aws_endpoint_sts,
        *aws_profile, *aws_s3_addressing;
    const struct leat_config_stream *streams;
    size_t stream_count;
    const char *reading_mode;
    double reading_calls_per_second; /* max_calls_per_shard; 0: none */
    double reading_bytes_per_second; /* max_bytes_per_shard; 0: none */
    int64_t reading_target_latency_us;
    const char *reading_on_lost; /* continue, stop */
    int64_t lease_heartbeat_us, lease_expiry_us, lease_drain_us, lease_force_after_us;
    int64_t lease_keep_ended_us;
    int64_t lease_max_leases;
    double lease_weight;
    int64_t lease_sync_interval_us;        /* leases.sync_interval */
    bool lease_notify, lease_session_lock; /* leases.notify, leases.session_lock: true */
    const char *lease_on_recreated;
    int64_t memory_budget_bytes;
    int64_t thread_workers; /* 0: one per core */
    const struct leat_config_processor *processors;
    size_t processor_count;
    const char *archive_url;
    const char *dead_letter_stream; /* NULL: none */
    const char *http_listen;        /* host:port; "" or off: none */
    int64_t http_metrics_streams, http_metrics_shards;
    enum leat_log_level log_level;
    const char *log_format; /* auto | json | text */
    int64_t shutdown_drain_timeout_us;
    int64_t watchdog_stuck_after_us, watchdog_act_after_us; /* act: 0: never */
    const char *plugin_path;                                /* plugins.path; NULL: default */
};

struct leat_config_override {
    const char *assignment; /* "a.b=c" from --set */
};

typedef void (*leat_config_report_fn)(void *context, const char *line); /* "file:1:2: text" */

/* Reads the file, environment (environ) and overrides. Every problem is one call of report; LEAT_E_INVALID after any. more than five: the three sources of values, and where errors go. */
int leat_config_load(const char *file, const struct leat_config_override *overrides,
                     size_t override_count, leat_config_report_fn report, void *context,
                     struct leat_config **ret_config);
/* The same from memory (tests, fuzzing): name stands for the file in messages; no environment. */
int leat_config_parse(const char *name, struct leat_slice text, leat_config_report_fn report,
                      void *context, struct leat_config **ret_config);
void leat_config_free(struct leat_config *config);

/*
 * `leat config show [--origin]`: every value as YAML, with where it came from; secrets masked. What is not set is a comment;
 * the rest reads back as the same configuration (but for what was masked).
 */
void leat_config_show(const struct leat_config *config, bool with_origin, struct leat_buf *out);
/* For programs: {"property": path, "value": …, "origin": …}, a line each; secrets masked. Items of lists by their number. */
void leat_config_show_json(const struct leat_config *config, struct leat_buf *out);
/* From now on show masks this option of the configuration's: which of its options are secrets, only a plugin knows. */
void leat_config_hide(struct leat_config *config, const struct leat_config_option *option);
/* schemas/config.schema.json, from the table. */
void leat_config_schema(struct leat_buf *out);
/* docs/configuration.md's table, from the table. */
void leat_config_reference(struct leat_buf *out);

/* The URL itself: inline, or the first line of the file (read again at each call). err names the file. */
int leat_config_url(const char *url, const char *url_file, struct leat_buf *ret_url,
                    struct leat_error *err);

#endif
