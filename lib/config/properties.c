/* The table, and how to look something up in it. A property that is added here is parsed, shown, described and documented. */
#include "config/properties.h"

#include "base/memory.h"

#define MS INT64_C(1000)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)

static const char *const addressings[] = {"auto", "path", "virtual", NULL};
static const char *const reading_modes[] = {"auto", "polling", NULL};
static const char *const reading_modes_later[] = {"efo",     "enhanced", "enhanced_fan_out",
                                                  "fan_out", "fanout",   NULL};
static const char *const on_recreated_words[] = {"start_over", "stop", NULL};
static const char *const on_lost_words[] = {"continue", "stop", NULL};
static const char *const outside_words[] = {"keep_in_range", "drop_aggregate", "keep_all", NULL};
static const char *const thens[] = {"divert", "stop", NULL};
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const formats[] = {"auto", "json", "text", NULL};

#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }

#define AT(field) .at = offsetof(struct leat_config_stream, field)
static const struct leat_property stream[] = {
    {.name = "name",
     .flags = LEAT_PROPERTY_REQUIRED,
     AT(name),
     .minimum = 1,
     .maximum = 2048,
     .text =
         "the stream's name or ARN, or a pattern of one (`*` any text, `?` one letter); the first "
         "that matches a stream counts; of a file: what you call it"},
    {.name = "start",
     .type = LEAT_PROPERTY_START,
     AT(start),
     .default_text = "trim_horizon",
     .text = "where a processor begins that was never here: `trim_horizon`, `latest`, or a time"},
    {.name = "file",
     AT(file),
     .minimum = 0,
     .maximum = 4095,
     .text = "a file of lines as a stream of one shard: no Kinesis is asked"},
    {.name = "follow",
     .type = LEAT_PROPERTY_BOOLEAN,
     AT(follow),
     .default_text = "false",
     .text = "read the file on as it grows; else its end is the shard's end"},
    END,
};
#undef AT

#define AT(field) .at = offsetof(struct leat_config_processor, field)
#define SECOND_AT(field) .second_at = offsetof(struct leat_config_processor, field)
static const struct leat_property batch[] = {
    {.name = "records",
     .type = LEAT_PROPERTY_INTEGER,
     AT(batch_records),
     .default_text = "10000",
     .minimum = 1,
     .maximum = 1000000,
     .text = "at most so many records in one call of the processor"},
    {.name = "bytes",
     .type = LEAT_PROPERTY_SIZE,
     AT(batch_bytes),
     .default_text = "4MiB",
     .minimum = 1,
     .maximum = GIB,
     .text = "at most so much data in one call; a single record may be larger"},
    {.name = "deadline",
     .type = LEAT_PROPERTY_DURATION,
     AT(batch_deadline_us),
     .default_text = "60s",
     .minimum = 100 * MS,
     .maximum = DAY,
     .text = "a call that takes longer does not count"},
    END,
};

static const struct leat_property failure[] = {
    {.name = "retries",
     .type = LEAT_PROPERTY_INTEGER,
     AT(failure.retries),
     .default_text = "10",
     .minimum = 0,
     .maximum = 1000000,
     .text = "so often a batch is tried again, before it is bisected or given up"},
    {.name = "backoff",
     .type = LEAT_PROPERTY_SPAN,
     AT(failure.backoff_base_us),
     SECOND_AT(failure.backoff_cap_us),
     .default_text = "100ms..30s",
     .minimum = MS,
     .maximum = HOUR,
     .text = "the first wait before a retry, and the longest"},
    {.name = "max_age",
     .type = LEAT_PROPERTY_DURATION,
     AT(failure.max_age_us),
     .default_text = "0",
     .minimum = 0,
     .maximum = 366 * DAY,
     .text = "a batch is not tried longer than this; 0: no limit"},
    {.name = "bisect",
     .type = LEAT_PROPERTY_BOOLEAN,
     AT(failure.bisect),
     .default_text = "true",
     .text = "halve a failing batch until the bad record stands alone"},
    {.name = "then",
     .type = LEAT_PROPERTY_CHOICE,
     AT(failure.then),
     .default_text = "divert",
     .choices = thens,
     .text = "what happens to a record that is given up: to archive and dead letters, or the "
             "processor stops"},
    {.name = "breaker",
     .type = LEAT_PROPERTY_PERCENT,
     AT(failure.breaker_percent),
     .default_text = "50%",
     .minimum = 0,
     .maximum = 100,
     .text = "the processor stops when it would divert more of at least 1,000 records in a minute; "
             "0: never"},
    END,
};

static const struct leat_property expand[] = {
    {.name = "limit",
     .type = LEAT_PROPERTY_SIZE,
     AT(expand_limit_bytes),
     .default_text = "64MiB",
     .minimum = MIB,
     .maximum = 4 * GIB,
     .text = "a compressed or aggregated record that grows larger is diverted; never more than an "
             "eighth of memory.budget and 24MiB"},
    {.name = "ratio",
     .type = LEAT_PROPERTY_INTEGER,
     AT(expand_ratio),
     .default_text = "200",
     .minimum = 1,
     .maximum = 100000,
     .text = "so is one that grows by more than this factor"},
    {.name = "elements",
     .type = LEAT_PROPERTY_INTEGER,
     AT(expand_elements),
     .default_text = "100000",
     .minimum = 1,
     .maximum = 100000000,
     .text = "and one of more user records than this"},
    {.name = "outside_hash_range",
     .type = LEAT_PROPERTY_WORD,
     AT(expand_outside),
     .default_text = "keep_in_range",
     .choices = outside_words,
     .text = "of an aggregate that lies across a split: what is in the shard's range, none of it "
             "(the KCL), or all"},
    END,
};

static const struct leat_property flush[] = {
    {.name = "linger",
     .type = LEAT_PROPERTY_DURATION,
     .flags = LEAT_PROPERTY_AUTO,
     AT(target.linger_us),
     .default_text = "auto",
     .minimum = 0,
     .maximum = MINUTE,
     .text = "a flush waits so long for more rows; auto: 20ms to 1s, by the target's speed"},
    {.name = "rows",
     .type = LEAT_PROPERTY_INTEGER,
     .flags = LEAT_PROPERTY_AUTO,
     AT(target.rows),
     .default_text = "auto",
     .minimum = 1,
     .maximum = 10000000,
     .text = "at most so many rows in one commit; auto: what the target takes in about 100ms"},
    {.name = "bytes",
     .type = LEAT_PROPERTY_SIZE,
     AT(target.bytes),
     .default_text = "32MiB",
     .minimum = 64 * KIB,
     .maximum = GIB,
     .text = "at most so many bytes of rows in one commit"},
    {.name = "committers",
     .type = LEAT_PROPERTY_INTEGER,
     AT(target.committers),
     .default_text = "1",
     .minimum = 1,
     .maximum = 64,
     .text = "threads that write, each with a connection of its own"},
    END,
};

static const struct leat_property target[] = {
    {.name = "plugin",
     .flags = LEAT_PROPERTY_REQUIRED,
     AT(target.plugin),
     .minimum = 1,
     .maximum = 4095,
     .text = "the target: a name in the plugin path, or a file"},
    {.name = "sha256",
     AT(target.sha256),
     .minimum = 64,
     .maximum = 64,
     .text = "hex; the plugin's file must have it"},
    {.name = "url",
     .flags = LEAT_PROPERTY_SECRET,
     AT(target.url),
     .minimum = 0,
     .maximum = 65536,
     .text = "where the rows go; neither this nor `url_file`: the database of the leases"},
    {.name = "url_file",
     AT(target.url_file),
     .minimum = 0,
     .maximum = 4095,
     .text = "a file whose first line is the URL"},
    {.name = "options",
     .type = LEAT_PROPERTY_OPTIONS,
     AT(target.options),
     SECOND_AT(target.option_count),
     .text = "the target's own: see `leat plugin info NAME`"},
    {.name = "flush",
     .type = LEAT_PROPERTY_MAP,
     .children = flush,
     .text = "when a commit is made"},
    END,
};

static const struct leat_property processor[] = {
    {.name = "name",
     .flags = LEAT_PROPERTY_REQUIRED,
     AT(name),
     .minimum = 1,
     .maximum = 128,
     .text = "registered in the lease database: a renamed processor is a new one"},
    {.name = "plugin",
     .flags = LEAT_PROPERTY_REQUIRED,
     AT(plugin),
     .minimum = 1,
     .maximum = 4095,
     .text = "a name in the plugin path, or a file"},
    {.name = "sha256",
     AT(sha256),
     .minimum = 64,
     .maximum = 64,
     .text = "hex; the plugin's file must have it"},
    {.name = "options",
     .type = LEAT_PROPERTY_OPTIONS,
     AT(options),
     SECOND_AT(option_count),
     .text = "the plugin's own: see `leat plugin info NAME`"},
    {.name = "streams",
     .type = LEAT_PROPERTY_TEXTS,
     AT(streams),
     SECOND_AT(stream_count),
     .text = "names, ARNs or patterns of streams; none: all of them"},
    {.name = "start",
     .type = LEAT_PROPERTY_START,
     AT(start),
     .text = "in place of the streams' own `start`"},
    {.name = "batch",
     .type = LEAT_PROPERTY_MAP,
     .children = batch,
     .text = "what one call is given"},
    {.name = "lanes",
     .type = LEAT_PROPERTY_INTEGER,
     AT(lanes),
     .default_text = "1",
     .minimum = 1,
     .maximum = 256,
     .text = "parallel parts of a shard, by partition key; only 1 is there yet"},
    {.name = "failure",
     .type = LEAT_PROPERTY_MAP,
     .children = failure,
     .text = "what happens when records fail"},
    {.name = "expand",
     .type = LEAT_PROPERTY_MAP,
     .children = expand,
     .text = "limits of compressed and aggregated records"},
    {.name = "target",
     .type = LEAT_PROPERTY_MAP,
     .flags = LEAT_PROPERTY_REQUIRED,
     .children = target,
     .place_at = offsetof(struct leat_config_processor, target.line),
     .text = "where rows go"},
    END,
};
#undef AT
#undef SECOND_AT

#define AT(field) .at = offsetof(struct leat_config, field)
#define SECOND_AT(field) .second_at = offsetof(struct leat_config, field)
static const struct leat_property database[] = {
    {.name = "url",
     .flags = LEAT_PROPERTY_SECRET,
     AT(database_url),
     .minimum = 0,
     .maximum = 65536,
     .text = "URI or conninfo; passwords rather by libpq's own means (PGPASSFILE, service files)"},
    {.name = "url_file",
     AT(database_url_file),
     .minimum = 0,
     .maximum = 4095,
     .text = "a file whose first line is the URL"},
    END,
};

static const struct leat_property endpoints[] = {
    {.name = "kinesis",
     AT(aws_endpoint_kinesis),
     .default_text = "",
     .minimum = 0,
     .maximum = 500,
     .text =
         "a URL in place of AWS's own; not set: AWS_ENDPOINT_URL_KINESIS, AWS_ENDPOINT_URL, the "
         "profile's"},
    {.name = "s3",
     AT(aws_endpoint_s3),
     .default_text = "",
     .minimum = 0,
     .maximum = 500,
     .text = "a URL in place of AWS's own; not set: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the "
             "profile's"},
    {.name = "sts",
     AT(aws_endpoint_sts),
     .default_text = "",
     .minimum = 0,
     .maximum = 500,
     .text = "a URL in place of AWS's own; not set: AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL, the "
             "profile's"},
    END,
};

static const struct leat_property aws[] = {
    {.name = "region",
     AT(aws_region),
     .minimum = 0,
     .maximum = 63,
     .text = "not set: AWS_REGION, AWS_DEFAULT_REGION, then the profile's"},
    {.name = "profile",
     AT(aws_profile),
     .minimum = 0,
     .maximum = 200,
     .text = "credentials of this profile alone, and its region and endpoints; not set: the "
             "environment, then AWS_PROFILE or "
             "`default`"},
    {.name = "endpoints",
     .type = LEAT_PROPERTY_MAP,
     .children = endpoints,
     .text = "other servers than AWS's"},
    {.name = "s3_addressing",
     .type = LEAT_PROPERTY_WORD,
     AT(aws_s3_addressing),
     .default_text = "auto",
     .choices = addressings,
     .text = "where a bucket's name goes: into the path, into the host's name; auto: as "
             "addressing_style of the profile's s3 says, else the path of another server than "
             "AWS's and the name of AWS's own"},
    END,
};

static const struct leat_property reading[] = {
    {.name = "mode",
     .type = LEAT_PROPERTY_WORD,
     AT(reading_mode),
     .default_text = "auto",
     .choices = reading_modes,
     .later = reading_modes_later,
     .text = "how streams are read; both mean polling today"},
    {.name = "max_calls_per_shard",
     .type = LEAT_PROPERTY_RATE,
     AT(reading_calls_per_second),
     .default_text = "0/s",
     .minimum = 0,
     .maximum = 1000,
     .text = "GetRecords calls, at most; 0: as many as the service gives, which is found out; AWS "
             "gives 5/s to all readers of a shard together"},
    {.name = "max_bytes_per_shard",
     .type = LEAT_PROPERTY_BYTE_RATE,
     AT(reading_bytes_per_second),
     .default_text = "0B/s",
     .minimum = 0,
     .maximum = 64 * GIB,
     .text = "data and partition keys that are read of a shard, at most; 0: as much as the service "
             "gives, which is found out; AWS gives 2MB/s to all readers of a shard together"},
    {.name = "target_latency",
     .type = LEAT_PROPERTY_DURATION,
     AT(reading_target_latency_us),
     .default_text = "200ms",
     .minimum = MS,
     .maximum = MINUTE,
     .text = "a shard without news is asked again after this"},
    {.name = "on_lost",
     .type = LEAT_PROPERTY_WORD,
     AT(reading_on_lost),
     .default_text = "continue",
     .choices = on_lost_words,
     .text = "records left the stream (retention) before they were read: go on behind them, with a "
             "letter that says so, or stop that shard"},
    END,
};

static const struct leat_property leases[] = {
    {.name = "heartbeat",
     .type = LEAT_PROPERTY_DURATION,
     AT(lease_heartbeat_us),
     .default_text = "1s",
     .minimum = 50 * MS,
     .maximum = 5 * MINUTE,
     .text = "how often a worker renews its row"},
    {.name = "expiry",
     .type = LEAT_PROPERTY_DURATION,
     AT(lease_expiry_us),
     .default_text = "5s",
     .minimum = 150 * MS,
     .maximum = HOUR,
     .text = "a worker that did not renew for so long is dead; at least three heartbeats"},
    {.name = "drain",
     .type = LEAT_PROPERTY_DURATION,
     AT(lease_drain_us),
     .default_text = "200ms",
     .minimum = 0,
     .maximum = HOUR,
     .text = "a running call may go on so long when a shard is handed over"},
    {.name = "force_after",
     .type = LEAT_PROPERTY_DURATION,
     AT(lease_force_after_us),
     .default_text = "5s",
     .minimum = 100 * MS,
     .maximum = HOUR,
     .text = "a handover that takes longer is forced: the old owner is fenced"},
    {.name = "keep_ended",
     .type = LEAT_PROPERTY_DURATION,
     AT(lease_keep_ended_us),
     .default_text = "1h",
     .minimum = 0,
     .maximum = 366 * DAY,
     .text = "the lease of a shard that was read to its end stays so long after the shard left its "
             "stream"},
    {.name = "max_leases",
     .type = LEAT_PROPERTY_INTEGER,
     AT(lease_max_leases),
     .default_text = "0",
     .minimum = 0,
     .maximum = 1000000,
     .text = "at most so many shards on this worker; 0: no limit"},
    {.name = "weight",
     .type = LEAT_PROPERTY_REAL,
     AT(lease_weight),
     .default_text = "1",
     .minimum = 0,
     .maximum = 1000,
     .text = "this worker's share, as against the others'; above 0"},
    {.name = "on_recreated",
     .type = LEAT_PROPERTY_WORD,
     AT(lease_on_recreated),
     .default_text = "start_over",
     .choices = on_recreated_words,
     .text = "a stream that was deleted and made again is a new one: read from its start, or left "
             "alone until this says start_over"},
    {.name = "sync_interval",
     .type = LEAT_PROPERTY_DURATION,
     AT(lease_sync_interval_us),
     .default_text = "1m",
     .minimum = 100 * MS,
     .maximum = HOUR,
     .text = "streams and shards are looked for this often, by one worker for all"},
    {.name = "notify",
     .type = LEAT_PROPERTY_BOOLEAN,
     AT(lease_notify),
     .default_text = "true",
     .text = "use LISTEN and NOTIFY; everything works without, a little later"},
    {.name = "session_lock",
     .type = LEAT_PROPERTY_BOOLEAN,
     AT(lease_session_lock),
     .default_text = "true",
     .text = "use a session lock to see a worker's death at once; else it expires"},
    END,
};

static const struct leat_property memory[] = {
    {.name = "budget",
     .type = LEAT_PROPERTY_SIZE,
     AT(memory_budget_bytes),
     .default_text = "256MiB",
     .minimum = 32 * MIB,
     .maximum = INT64_MAX,
     .text = "what records and rows of this process may take"},
    END,
};

static const struct leat_property threads[] = {
    {.name = "workers",
     .type = LEAT_PROPERTY_INTEGER,
     AT(thread_workers),
     .default_text = "0",
     .minimum = 0,
     .maximum = 1024,
     .text = "threads that run processors; 0: one per core"},
    END,
};

static const struct leat_property plugins[] = {
    {.name = "path",
     AT(plugin_path),
     .minimum = 0,
     .maximum = 65536,
     .text = "folders of plugins, separated by colons; not set: LEAT_PLUGIN_PATH, beside the "
             "program, where it was installed"},
    END,
};

static const struct leat_property archive[] = {
    {.name = "url",
     .flags = LEAT_PROPERTY_REQUIRED,
     AT(archive_url),
     .minimum = 1,
     .maximum = 4096,
     .text = "`s3://bucket/prefix` or `file:///folder`; it may end with "
             "`{application}/{stream}/`, as the names of what is kept begin"},
    END,
};

static const struct leat_property dead_letters[] = {
    {.name = "stream",
     AT(dead_letter_stream),
     .minimum = 0,
     .maximum = 2048,
     .text = "a Kinesis stream; never one that is read"},
    END,
};

static const struct leat_property http[] = {
    {.name = "listen",
     AT(http_listen),
     .default_text = "127.0.0.1:9464",
     .minimum = 0,
     .maximum = 300,
     .text = "host:port of metrics and health; `off`: none"},
    {.name = "metrics_streams",
     .type = LEAT_PROPERTY_INTEGER,
     AT(http_metrics_streams),
     .default_text = "100",
     .minimum = 0,
     .maximum = 10000,
     .text = "so many streams have metrics by their name, the first that come; the others have "
             "`stream=\"(other)\"` together"},
    {.name = "metrics_shards",
     .type = LEAT_PROPERTY_INTEGER,
     AT(http_metrics_shards),
     .default_text = "1000",
     .minimum = 0,
     .maximum = 100000,
     .text = "so many shards, counted for each of their processors, have metrics of their own, the "
             "worst first; 0: none"},
    END,
};

static const struct leat_property log_lines[] = {
    {.name = "level",
     .type = LEAT_PROPERTY_CHOICE,
     AT(log_level),
     .default_text = "info",
     .choices = levels,
     .text = "what is written to standard error"},
    {.name = "format",
     .type = LEAT_PROPERTY_WORD,
     AT(log_format),
     .default_text = "auto",
     .choices = formats,
     .text = "auto: text on a terminal, else JSON lines"},
    END,
};

static const struct leat_property shutdown_properties[] = {
    {.name = "drain_timeout",
     .type = LEAT_PROPERTY_DURATION,
     AT(shutdown_drain_timeout_us),
     .default_text = "20s",
     .minimum = 0,
     .maximum = DAY,
     .text = "at SIGTERM shards are handed over for at most so long; below Kubernetes' grace"},
    END,
};

static const struct leat_property watchdog_properties[] = {
    {.name = "stuck_after",
     .type = LEAT_PROPERTY_DURATION,
     AT(watchdog_stuck_after_us),
     .default_text = "60s",
     .minimum = 1000 * MS,
     .maximum = DAY,
     .text =
         "a shard that makes no progress for so long, though there is something to do, is named"},
    {.name = "act_after",
     .type = LEAT_PROPERTY_DURATION,
     AT(watchdog_act_after_us),
     .default_text = "5m",
     .minimum = 0,
     .maximum = DAY,
     .text = "then it is rewound; if that does not help, another worker gets it. 0: never"},
    END,
};

const struct leat_property leat_properties[] = {
    {.name = "config_version",
     .type = LEAT_PROPERTY_INTEGER,
     AT(config_version),
     .default_text = "1",
     .minimum = 1,
     .maximum = 1,
     .text = "of the words in this file; this leat knows 1"},
    {.name = "application",
     .flags = LEAT_PROPERTY_REQUIRED,
     AT(application),
     .minimum = 1,
     .maximum = 128,
     .text = "workers with the same name share the leases"},
    {.name = "worker_id",
     AT(worker_id),
     .default_text = "auto",
     .minimum = 1,
     .maximum = 200,
     .text =
         "auto: host-pid-random; a stable one (a StatefulSet's) resumes its own leases at once"},
    {.name = "database",
     .type = LEAT_PROPERTY_MAP,
     .flags = LEAT_PROPERTY_REQUIRED,
     .children = database,
     .shorthand = "url",
     .text = "the leases; the target too, unless it names its own"},
    {.name = "aws",
     .type = LEAT_PROPERTY_MAP,
     .children = aws,
     .text = "where AWS is, and who asks"},
    {.name = "streams",
     .type = LEAT_PROPERTY_LIST,
     .flags = LEAT_PROPERTY_REQUIRED,
     AT(streams),
     SECOND_AT(stream_count),
     .children = stream,
     .item_bytes = sizeof(struct leat_config_stream),
     .place_at = offsetof(struct leat_config_stream, line),
     .shorthand = "name",
     .text = "what is read"},
    {.name = "reading",
     .type = LEAT_PROPERTY_MAP,
     .children = reading,
     .text = "how streams are read"},
    {.name = "leases",
     .type = LEAT_PROPERTY_MAP,
     .children = leases,
     .text = "how workers share the shards"},
    {.name = "memory", .type = LEAT_PROPERTY_MAP, .children = memory, .text = "of the process"},
    {.name = "threads", .type = LEAT_PROPERTY_MAP, .children = threads, .text = "of the process"},
    {.name = "plugins",
     .type = LEAT_PROPERTY_MAP,
     .children = plugins,
     .text = "where plugins are"},
    {.name = "processors",
     .type = LEAT_PROPERTY_LIST,
     .flags = LEAT_PROPERTY_REQUIRED,
     AT(processors),
     SECOND_AT(processor_count),
     .children = processor,
     .item_bytes = sizeof(struct leat_config_processor),
     .place_at = offsetof(struct leat_config_processor, line),
     .text = "your code: each with its own progress, target, failure policy and start"},
    {.name = "archive",
     .type = LEAT_PROPERTY_MAP,
     .flags = LEAT_PROPERTY_REQUIRED,
     .children = archive,
     .text = "where failed data is kept"},
    {.name = "dead_letters",
     .type = LEAT_PROPERTY_MAP,
     .children = dead_letters,
     .text = "where failed records are announced, in addition"},
    {.name = "http", .type = LEAT_PROPERTY_MAP, .children = http, .text = "metrics and health"},
    {.name = "log", .type = LEAT_PROPERTY_MAP, .children = log_lines, .text = "log lines"},
    {.name = "shutdown",
     .type = LEAT_PROPERTY_MAP,
     .children = shutdown_properties,
     .text = "the end of a worker"},
    {.name = "watchdog",
     .type = LEAT_PROPERTY_MAP,
     .children = watchdog_properties,
     .text = "shards that stand still"},
    END,
};

const struct leat_property *
leat_property_find(const struct leat_property *properties, const char *name)
{
    for (; properties->name != NULL; properties++) {
        if (strcmp(properties->name, name) == 0)
            return properties;
    }
    return NULL;
}

const char *const *
leat_property_names(const struct leat_property *properties, struct leat_arena *arena)
{
    const char **names;
    size_t count = 0;

    while (properties[count].name != NULL)
        count++;
    names = leat_arena_alloc_zero(arena, count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = properties[i].name;
    return names;
}

const char *
leat_property_type_name(const struct leat_property *property)
{
    static const char *const names[] = {
        [LEAT_PROPERTY_TEXT] = "text",         [LEAT_PROPERTY_WORD] = "choice",
        [LEAT_PROPERTY_CHOICE] = "choice",     [LEAT_PROPERTY_BOOLEAN] = "boolean",
        [LEAT_PROPERTY_INTEGER] = "integer",   [LEAT_PROPERTY_REAL] = "number",
        [LEAT_PROPERTY_DURATION] = "duration", [LEAT_PROPERTY_SIZE] = "size",
        [LEAT_PROPERTY_PERCENT] = "percent",   [LEAT_PROPERTY_RATE] = "rate",
        [LEAT_PROPERTY_BYTE_RATE] = "rate",    [LEAT_PROPERTY_SPAN] = "two durations",
        [LEAT_PROPERTY_START] = "start",       [LEAT_PROPERTY_TEXTS] = "list of texts",
        [LEAT_PROPERTY_OPTIONS] = "options",   [LEAT_PROPERTY_MAP] = "map",
        [LEAT_PROPERTY_LIST] = "list",
    };

    return names[property->type];
}
