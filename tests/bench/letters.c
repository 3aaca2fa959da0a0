/*
 * Bad records in heaps: 30,000 of one shard, dead-letter stream and S3 with 45 ms a call each, and another shard with a good
 * record, and then a bad one, again and again. All letters are in the ledger within 30 s; the other shard's records are
 * committed within 2 s all the while, its letters in the ledger, too; nothing is rewound. Arguments: how many bad records (30000).
 * JSON line.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "local/s3.h"
#include "support/fleet.h"

#define LETTERS "letters"
#define DELAY_US (45 * LEAT_MS_US)
#define BAR_US (30 * LEAT_SECOND_US)
#define GOOD_BAR_US (2 * LEAT_SECOND_US)
#define PATIENCE_US (300 * LEAT_SECOND_US)
/* Keys of the two halves of the hash range. */
#define LOW "0"
#define HIGH "340282366920938463463374607431768211455"

static struct test_fleet fleet;
static struct leat_local_s3 *s3;

static void
die(const struct leat_error *err)
{
    fprintf(stderr, "letters: %s\n", err->text);
    exit(1);
}

static void
start_s3(void)
{
    struct leat_local_s3_options options = {.threads = 2};
    struct leat_local_s3_fault fault = {LEAT_LOCAL_S3_DELAY, .delay_us = DELAY_US};
    struct leat_error err;

    s3 = leat_local_s3_new(&options, &err);
    if (s3 == NULL || leat_local_s3_create_bucket(s3, "failed", &err) != 0)
        die(&err);
    leat_local_s3_fault(s3, &fault);
}

static void
start_fleet(void)
{
    struct test_fleet_options options = {.shards = 2};
    struct leat_local_fault fault = {LEAT_LOCAL_FAULT_DELAY, .action = "PutRecords",
                                     .delay_us = DELAY_US};
    LEAT_AUTO_BUF yaml = LEAT_BUF_INIT;
    struct leat_error err;

    test_fleet_start(&fleet, &options);
    if (leat_local_kinesis_create_stream(fleet.kinesis, LETTERS, 4, &err) != 0)
        die(&err);
    leat_local_kinesis_fault(fleet.kinesis, &fault);
    leat_buf_printf(&yaml,
                    "dead_letters: { stream: " LETTERS " }\n"
                    "watchdog: { stuck_after: 5s, act_after: 10s }\n"
                    "processors: [{ name: rollup, plugin: rollup, failure: { breaker: 0%% }, "
                    "target: { plugin: postgres } }]\n");
    test_fleet_configure(&fleet, leat_buf_text(&yaml));
}

static void
put(const char *hash_key, const char *data)
{
    struct leat_error err;

    if (leat_local_kinesis_put(fleet.kinesis, TEST_FLEET_STREAM, leat_slice_from("key"),
                               leat_slice_from(hash_key), leat_slice_from(data), NULL, &err) != 0)
        die(&err);
}

/* A good record of the other shard, and a bad one: how long until both are in the database. */
static int64_t
time_others(int64_t round, int64_t *ret_letter_us)
{
    int64_t began_us = leat_clock_monotonic_us(), good_us;
    char sql[200], data[200];

    snprintf(data, sizeof data,
             "{\"device_id\": %lld, \"measurement\": \"m\", \"time\": "
             "\"2026-01-01T00:00:00Z\", \"value\": 1}",
             (long long)round);
    put(HIGH, data);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM rollup WHERE device_id = %lld",
             (long long)round);
    test_fleet_wait_for(&fleet, sql, 1, began_us + PATIENCE_US);
    good_us = leat_clock_monotonic_us() - began_us;
    began_us = leat_clock_monotonic_us();
    put(HIGH, "bad");
    snprintf(sql, sizeof sql, "SELECT count(*) FROM leat.failures WHERE shard LIKE '%%1'");
    test_fleet_wait_for(&fleet, sql, round + 1, began_us + PATIENCE_US);
    *ret_letter_us = leat_clock_monotonic_us() - began_us;
    return good_us;
}

static int64_t
count_in_log(const struct test_worker *worker, const char *text)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    int64_t count = 0;

    test_worker_log(worker, &log);
    for (const char *at = leat_buf_text(&log); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

int
main(int count, char **arguments)
{
    int64_t bad = count > 1 ? strtoll(arguments[1], NULL, 10) : 30000, began_us, took_us;
    int64_t good_us = 0, letter_us = 0, rounds = 0, rewound;
    char endpoint[100], sql[100];
    const char *settings[] = {"--set", "archive.url=s3://failed", "--set", endpoint, NULL};
    struct test_worker worker;
    bool is_ok;

    start_s3();
    start_fleet();
    snprintf(endpoint, sizeof endpoint, "aws.endpoints.s3=%s", leat_local_s3_endpoint(s3));
    worker = test_fleet_spawn(&fleet, "w1", settings);
    for (int64_t i = 0; i < bad; i++)
        put(LOW, "this is no JSON");
    snprintf(sql, sizeof sql, "SELECT count(*) FROM leat.failures WHERE shard LIKE '%%0'");
    began_us = leat_clock_monotonic_us();
    do {
        int64_t one_us, two_us;

        one_us = time_others(rounds++, &two_us);
        good_us = one_us > good_us ? one_us : good_us;
        letter_us = two_us > letter_us ? two_us : letter_us;
        took_us = leat_clock_monotonic_us() - began_us;
    } while (test_fleet_number(&fleet, sql) < bad && took_us < PATIENCE_US);
    rewound = count_in_log(&worker, "is rewound") + count_in_log(&worker, "is stuck");
    test_worker_kill(&worker, SIGTERM);
    test_worker_wait(&worker, NULL);
    is_ok = took_us <= BAR_US && good_us <= GOOD_BAR_US && letter_us <= GOOD_BAR_US &&
            rewound == 0 && test_fleet_number(&fleet, sql) == bad;
    printf("{\"bench\": \"letters\", \"bad\": %lld, \"delay_ms\": 45, \"all_in_ledger_s\": %.2f, "
           "\"bar_s\": 30, \"others_record_s\": %.2f, \"others_letter_s\": %.2f, \"others_bar_s\": "
           "2, \"rounds\": %lld, \"rewound\": %lld, \"ok\": %s}\n",
           (long long)bad, (double)took_us / 1e6, (double)good_us / 1e6, (double)letter_us / 1e6,
           (long long)rounds, (long long)rewound, is_ok ? "true" : "false");
    test_fleet_end(&fleet);
    leat_local_s3_free(s3);
    return is_ok ? 0 : 1;
}
