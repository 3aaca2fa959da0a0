/* From text to struct: the examples of the design, every type of property, every mistake with its place. */
#include "suite.h"

static const char full[] =
    "config_version: 1\n"
    "application: weather                 # workers with the same name share the leases\n"
    "worker_id: auto\n"
    "database: { url_file: /etc/leat/database-url }\n"
    "\n"
    "aws: { region: eu-west-1, endpoints: { kinesis: \"\", s3: \"\", sts: \"\" } }\n"
    "streams:\n"
    "  - { name: observations, start: trim_horizon }\n"
    "  - { name: orders, start: latest }\n"
    "  - { name: replay, file: /data/events.jsonl, follow: false }\n"
    "reading:  { mode: auto, max_calls_per_shard: 0, target_latency: 200ms }\n"
    "leases:   { heartbeat: 1s, expiry: 5s, drain: 200ms, force_after: 5s, max_leases: 0, "
    "weight: 1, on_recreated: start_over }\n"
    "memory:   { budget: 256MiB }\n"
    "threads:  { workers: 0 }\n"
    "\n"
    "processors:\n"
    "  - name: rollup\n"
    "    plugin: rollup\n"
    "    options: { window: 1m }\n"
    "    streams: [observations, \"orders\"]\n"
    "    start: trim_horizon\n"
    "    batch: { records: 10000, bytes: 4MiB, deadline: 60s }\n"
    "    lanes: 1\n"
    "    failure: { retries: 10, backoff: 100ms..30s, max_age: 0, bisect: true, then: divert, "
    "breaker: 50% }\n"
    "    expand: { limit: 64MiB, ratio: 200 }\n"
    "    target:\n"
    "      plugin: postgres\n"
    "      url_file: /etc/leat/target-url\n"
    "      options: { schema: public, tables: { device_minutes: weather_minutes } }\n"
    "      flush: { linger: auto, rows: auto, bytes: 32MiB, committers: 1 }\n"
    "\n"
    "archive:      { url: \"s3://my-bucket/leat/{application}/{stream}/\" }\n"
    "dead_letters: { stream: observations-dlq }\n"
    "\n"
    "http: { listen: \"127.0.0.1:9464\" }\n"
    "log:  { level: info, format: auto }\n"
    "shutdown: { drain_timeout: 20s }\n";

static void
check_defaults(void)
{
    const struct leat_config_processor *processor = &config->processors[0];

    ck_assert_int_eq(config->config_version, 1);
    ck_assert_str_eq(config->application, "weather");
    ck_assert_str_eq(config->worker_id, "auto");
    ck_assert_str_eq(config->reading_mode, "auto");
    ck_assert(config->reading_calls_per_second == 0);
    ck_assert(config->reading_bytes_per_second == 0);
    ck_assert_int_eq(config->reading_target_latency_us, 200000);
    ck_assert_int_eq(config->lease_heartbeat_us, 1000000);
    ck_assert_int_eq(config->lease_expiry_us, 5000000);
    ck_assert_int_eq(config->lease_drain_us, 200000);
    ck_assert_int_eq(config->lease_force_after_us, 5000000);
    ck_assert_int_eq(config->lease_max_leases, 0);
    ck_assert(config->lease_weight == 1);
    ck_assert(config->lease_notify && config->lease_session_lock);
    ck_assert_str_eq(config->lease_on_recreated, "start_over");
    ck_assert_int_eq(config->memory_budget_bytes, 256 << 20);
    ck_assert_int_eq(config->thread_workers, 0);
    ck_assert_str_eq(config->http_listen, "127.0.0.1:9464");
    ck_assert_int_eq(config->log_level, LEAT_LOG_INFO);
    ck_assert_str_eq(config->log_format, "auto");
    ck_assert_int_eq(config->shutdown_drain_timeout_us, 20000000);
    ck_assert_str_eq(config->aws_endpoint_kinesis, "");
    ck_assert_ptr_null(config->plugin_path);
    ck_assert_int_eq(processor->batch_records, 10000);
    ck_assert_int_eq(processor->batch_bytes, 4 << 20);
    ck_assert_int_eq(processor->batch_deadline_us, 60000000);
    ck_assert_int_eq(processor->lanes, 1);
    ck_assert_int_eq(processor->failure.retries, 10);
    ck_assert_int_eq(processor->failure.backoff_base_us, 100000);
    ck_assert_int_eq(processor->failure.backoff_cap_us, 30000000);
    ck_assert_int_eq(processor->failure.max_age_us, 0);
    ck_assert(processor->failure.bisect);
    ck_assert_int_eq(processor->failure.then, LEAT_THEN_DIVERT);
    ck_assert_int_eq(processor->failure.breaker_percent, 50);
    ck_assert_int_eq(processor->expand_limit_bytes, 64 << 20);
    ck_assert_int_eq(processor->expand_ratio, 200);
    ck_assert_int_eq(processor->target.linger_us, -1);
    ck_assert_int_eq(processor->target.rows, -1);
    ck_assert_int_eq(processor->target.bytes, 32 << 20);
    ck_assert_int_eq(processor->target.committers, 1);
    ck_assert_int_eq(config->streams[0].start.kind, LEAT_START_TRIM_HORIZON);
}

START_TEST(test_the_smallest)
{
    const struct leat_config_processor *processor;

    ck_assert_str_eq(suite_parse(SMALLEST), "");
    check_defaults();
    processor = &config->processors[0];
    ck_assert_str_eq(config->database_url, "postgresql://leat@db/leat");
    ck_assert_ptr_null(config->database_url_file);
    ck_assert_uint_eq(config->stream_count, 1);
    ck_assert_str_eq(config->streams[0].name, "observations");
    ck_assert_int_eq(config->streams[0].line, 3);
    ck_assert_int_eq(config->streams[0].column, 11);
    ck_assert_uint_eq(config->processor_count, 1);
    ck_assert_str_eq(processor->name, "rollup");
    ck_assert_str_eq(processor->target.plugin, "postgres");
    ck_assert_int_eq(processor->line, 4);
    ck_assert_int_eq(processor->target.column, 54);
    ck_assert_ptr_null(processor->target.url);
    ck_assert_uint_eq(processor->stream_count, 0);
    ck_assert_int_eq(processor->start.kind, LEAT_START_UNSET);
    ck_assert_ptr_null(config->dead_letter_stream);
}
END_TEST

START_TEST(test_the_full_one_says_the_defaults)
{
    const struct leat_config_option *option;

    ck_assert_str_eq(suite_parse(full), "");
    check_defaults();
    ck_assert_str_eq(config->database_url_file, "/etc/leat/database-url");
    ck_assert_ptr_null(config->database_url);
    ck_assert_str_eq(config->aws_region, "eu-west-1");
    ck_assert_uint_eq(config->stream_count, 3);
    ck_assert_int_eq(config->streams[1].start.kind, LEAT_START_LATEST);
    ck_assert_str_eq(config->streams[2].file, "/data/events.jsonl");
    ck_assert(!config->streams[2].follow);
    ck_assert_uint_eq(config->processors[0].stream_count, 2);
    ck_assert_str_eq(config->processors[0].streams[1], "orders");
    ck_assert_int_eq(config->processors[0].start.kind, LEAT_START_TRIM_HORIZON);
    ck_assert_str_eq(config->processors[0].target.url_file, "/etc/leat/target-url");
    ck_assert_str_eq(config->dead_letter_stream, "observations-dlq");
    ck_assert_uint_eq(config->processors[0].option_count, 1);
    option = &config->processors[0].options[0];
    ck_assert_str_eq(option->name, "window");
    ck_assert(leat_slice_is(option->scalar, "1m"));
    ck_assert_int_eq(option->line, 19);
    ck_assert_int_eq(option->column, 24);
    ck_assert_ptr_null(option->origin);
    option = &config->processors[0].target.options[1];
    ck_assert_int_eq(option->kind, 2);
    ck_assert_uint_eq(option->item_count, 2);
    ck_assert(leat_slice_is(option->items[0], "device_minutes"));
    ck_assert(leat_slice_is(option->items[1], "weather_minutes"));
}
END_TEST

START_TEST(test_every_type_of_property)
{
    ck_assert_str_eq(
        suite_parse("application: no\n"
                    "worker_id: 0777\n"
                    "database: { url: 'host=/run dbname=x' }\n"
                    "aws: { profile: ops, endpoints: { kinesis: http://127.0.0.1:4567 } }\n"
                    "streams:\n"
                    "  - a\n"
                    "  - { name: b, start: 2026-01-31T12:00:00.5Z }\n"
                    "  - { name: c, start: LATEST }\n"
                    "  - { name: \"d*\", file: d.jsonl, follow: yes }\n"
                    "reading: { mode: polling, max_calls_per_shard: 2.5/s, max_bytes_per_shard: 0 "
                    "}\n"
                    "leases: { heartbeat: 500ms, expiry: 1m30s, max_leases: 7, weight: 0.5, "
                    "notify: false, session_lock: off }\n"
                    "memory: { budget: 1GiB }\n"
                    "plugins: { path: /a:/b }\n"
                    "processors:\n"
                    "  - name: p\n"
                    "    plugin: ./p.so\n"
                    "    sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF\n"
                    "    options: { keys: [a, b], empty: [], one: '1' }\n"
                    "    streams: a\n"
                    "    start: 2026-01-31\n"
                    "    failure: { backoff: 1s..1s, max_age: 1h, then: stop, breaker: 0 }\n"
                    "    target:\n"
                    "      plugin: jsonl\n"
                    "      url: 'file:///x'\n"
                    "      flush: { linger: 20ms, rows: 500 }\n"
                    "archive: { url: 's3://b' }\n"
                    "log: { level: debug, format: json }\n"
                    "http: { listen: '[::1]:0' }\n"),
        "");
    ck_assert_str_eq(config->application, "no");
    ck_assert_str_eq(config->worker_id, "0777");
    ck_assert_str_eq(config->database_url, "host=/run dbname=x");
    ck_assert_str_eq(config->aws_profile, "ops");
    ck_assert_int_eq(config->streams[1].start.kind, LEAT_START_TIME);
    ck_assert_int_eq(config->streams[1].start.time_us, 1769860800500000);
    ck_assert_int_eq(config->streams[2].start.kind, LEAT_START_LATEST);
    ck_assert(config->streams[3].follow);
    ck_assert(config->reading_calls_per_second == 2.5);
    ck_assert(config->reading_bytes_per_second == 0);
    ck_assert_int_eq(config->lease_expiry_us, 90000000);
    ck_assert_int_eq(config->lease_max_leases, 7);
    ck_assert(config->lease_weight == 0.5);
    ck_assert(!config->lease_notify && !config->lease_session_lock);
    ck_assert_int_eq(config->memory_budget_bytes, 1 << 30);
    ck_assert_str_eq(config->plugin_path, "/a:/b");
    ck_assert_uint_eq(config->processors[0].option_count, 3);
    ck_assert_int_eq(config->processors[0].options[0].kind, 1);
    ck_assert_uint_eq(config->processors[0].options[0].item_count, 2);
    ck_assert(leat_slice_is(config->processors[0].options[0].items[1], "b"));
    ck_assert_uint_eq(config->processors[0].options[1].item_count, 0);
    ck_assert(leat_slice_is(config->processors[0].options[2].scalar, "1"));
    ck_assert_uint_eq(config->processors[0].stream_count, 1);
    ck_assert_str_eq(config->processors[0].streams[0], "a");
    ck_assert_int_eq(config->processors[0].start.kind, LEAT_START_TIME);
    ck_assert_int_eq(config->processors[0].failure.backoff_base_us, 1000000);
    ck_assert_int_eq(config->processors[0].failure.max_age_us, 3600000000);
    ck_assert_int_eq(config->processors[0].failure.then, LEAT_THEN_STOP);
    ck_assert_int_eq(config->processors[0].failure.breaker_percent, 0);
    ck_assert_int_eq(config->processors[0].target.linger_us, 20000);
    ck_assert_int_eq(config->processors[0].target.rows, 500);
    ck_assert_str_eq(config->processors[0].target.url, "file:///x");
    ck_assert_int_eq(config->log_level, LEAT_LOG_DEBUG);
    ck_assert_str_eq(config->log_format, "json");
}
END_TEST

START_TEST(test_every_mistake_at_once)
{
    suite_expect(
        suite_parse("aplication: weather\n"
                    "config_version: 2\n"
                    "database: {}\n"
                    "aws: eu-west-1\n"
                    "streams: {}\n"
                    "reading: { mode: efo, max_calls_per_shard: 5, max_bytes_per_shard: 2MB }\n"
                    "leases: { heartbaet: 1s, expiry: 5, max_leases: -1, weight: much, notify: 2, "
                    "on_recreated: never }\n"
                    "memory: { budget: 16MiB }\n"
                    "processors:\n"
                    "  - name: rollup\n"
                    "    lanes: 0\n"
                    "    start: yesterday\n"
                    "    failure: { backoff: 1s, then: diverge, breaker: 50 }\n"
                    "    batch: [1]\n"
                    "    options: { a: { b: [c] } }\n"
                    "    sha256: abc\n"
                    "    target: {}\n"
                    "  - rollup\n"
                    "log: { level: [] }\n"),
        "c.yaml:1:1: application is missing: workers with the same name share the leases\n"
        "c.yaml:1:1: archive.url is missing: `s3://bucket/prefix` or `file:///folder`; it "
        "may end with `{application}/{stream}/`, as the names of what is kept begin\n"
        "c.yaml:1:1: there is no key \"aplication\", did you mean \"application\"?\n"
        "c.yaml:2:17: config_version: \"2\" is out of range: 1\n"
        "c.yaml:3:11: database is missing: a URL, or url_file\n"
        "c.yaml:4:6: aws takes a map, not one value\n"
        "c.yaml:5:10: streams takes a list, not a map\n"
        "c.yaml:6:18: reading.mode: \"efo\" is not there yet: this leat knows auto, polling\n"
        "c.yaml:6:44: reading.max_calls_per_shard: \"5\" is no rate: write it like 5/s\n"
        "c.yaml:6:68: reading.max_bytes_per_shard: \"2MB\" is no rate: write it like 2MiB/s\n"
        "c.yaml:7:11: there is no key \"heartbaet\" in leases, did you mean \"heartbeat\"?\n"
        "c.yaml:7:34: leases.expiry: \"5\" is no duration: the units are us, ms, s, m, h and d, "
        "the larger one first\n"
        "c.yaml:7:49: leases.max_leases: \"-1\" is out of range: 0 to 1000000\n"
        "c.yaml:7:61: leases.weight: \"much\" is no number\n"
        "c.yaml:7:75: leases.notify: \"2\" is neither true nor false\n"
        "c.yaml:7:92: leases.on_recreated: there is no choice \"never\": it is one of start_over, "
        "stop\n"
        "c.yaml:8:19: memory.budget: \"16MiB\" is out of range: at least 32MiB\n"
        "c.yaml:10:5: processors.rollup.plugin is missing: a name in the plugin path, or a file\n"
        "c.yaml:11:12: processors.rollup.lanes: \"0\" is out of range: 1 to 256\n"
        "c.yaml:12:12: processors.rollup.start: \"yesterday\" is no start: write trim_horizon, "
        "latest or a time like 2026-01-31T12:00:00Z\n"
        "c.yaml:13:25: processors.rollup.failure.backoff: \"1s\" is no pair: write it like "
        "100ms..30s\n"
        "c.yaml:13:35: processors.rollup.failure.then: there is no choice \"diverge\", did you "
        "mean "
        "\"divert\"?\n"
        "c.yaml:13:53: processors.rollup.failure.breaker: \"50\" is no percentage: write it like "
        "50%\n"
        "c.yaml:14:12: processors.rollup.batch takes a map, not a list\n"
        "c.yaml:15:24: processors.rollup.options.a.b takes one value, not a list\n"
        "c.yaml:16:13: processors.rollup.sha256: its 3 bytes are out of range: 64 bytes\n"
        "c.yaml:17:13: processors.rollup.target.plugin is missing: the target: a name in the "
        "plugin path, or a file\n"
        "c.yaml:18:5: processors.1 takes a map, not one value\n"
        "c.yaml:19:15: log.level takes one value, not a list\n");
}
END_TEST

START_TEST(test_an_empty_file_lacks_the_required)
{
    static const char missing[] =
        "c.yaml:1:1: application is missing: workers with the same name share the leases\n"
        "c.yaml:1:1: streams is missing: what is read\n"
        "c.yaml:1:1: processors is missing: your code: each with its own progress, target, failure "
        "policy and start\n"
        "c.yaml:1:1: archive.url is missing: `s3://bucket/prefix` or `file:///folder`; it "
        "may end with `{application}/{stream}/`, as the names of what is kept begin\n"
        "c.yaml:1:1: database is missing: a URL, or url_file\n";

    suite_expect(suite_parse(""), missing);
    suite_expect(suite_parse("# nothing\n"), missing);
}
END_TEST

START_TEST(test_a_map_with_all_commented_out_is_empty)
{
    ck_assert_str_eq(suite_add("log:\n  # level: debug\nhttp:\n"), "");
    ck_assert_int_eq(config->log_level, LEAT_LOG_INFO);
}
END_TEST

START_TEST(test_a_list_that_must_not_be_empty)
{
    ck_assert_str_eq(suite_parse("application: a\ndatabase: x\nstreams: []\nprocessors:\n"
                                 "archive: { url: 's3://b' }\n"),
                     "c.yaml:3:10: streams is empty: what is read\n"
                     "c.yaml:4:12: processors is empty: your code: each with its own progress, "
                     "target, failure policy and start\n");
}
END_TEST

SUITE_MAIN("config/bind", test_the_smallest, test_the_full_one_says_the_defaults,
           test_every_type_of_property, test_every_mistake_at_once,
           test_an_empty_file_lacks_the_required, test_a_map_with_all_commented_out_is_empty,
           test_a_list_that_must_not_be_empty)
