/*
 * Catching up: from the first GetRecords to the last committed record of 400,000 records of 200 bytes on 4 shards, of a Kinesis
 * with the service's limits (as `leat dev --limits`), of one that another reader shares, and of one without limits. The
 * processor does nothing. Nothing is configured about limits. JSON lines.
 *
 * What the rule allows is computed by the rule itself: whoever asks for 10,000 records at the first moment that it permits.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws/kinesis.h"
#include "base/clock.h"
#include "base/memory.h"
#include "support/fleet.h"

#define SHARDS 4
#define RECORDS 400000
#define DATA_BYTES 200
#define KEY_BYTES 10 /* "key-000000" */
#define BAR_PART 1.05
#define BAR_FREE_S 1.5
#define POLL_US 5000

static const char *const names[] = {"limits", "shared", "free"};

static char last[SHARDS][LEAT_LOCAL_SEQUENCE_BYTES]; /* of each shard */

static void
fill(struct leat_local_kinesis *server)
{
    char data[DATA_BYTES], key[KEY_BYTES + 1], hash[44];
    struct leat_error err;

    memset(data, 'x', sizeof data);
    for (int i = 0; i < RECORDS; i++) {
        /* Evenly: each shard has a quarter. */
        static const char *const hashes[SHARDS] = {"0", "85070591730234615865843651857942052864",
                                                   "170141183460469231731687303715884105728",
                                                   "255211775190703847597530955573826158592"};

        snprintf(key, sizeof key, "key-%06d", i);
        snprintf(hash, sizeof hash, "%s", hashes[i % SHARDS]);
        leat_local_kinesis_put(server, TEST_FLEET_STREAM, leat_slice_from(key),
                               leat_slice_from(hash), leat_slice_make(data, sizeof data),
                               last[i % SHARDS], &err);
    }
}

/* ---- what is allowed ------------------------------------------------------------------------- */

/* Seconds for a shard's records at so many bytes a second, 10,000 records at once. */
static double
allowed_seconds(double rate)
{
    double bytes = (double)RECORDS / SHARDS * (DATA_BYTES + KEY_BYTES);
    double answer = 10000.0 * (DATA_BYTES + KEY_BYTES), level = rate, seconds = 0;

    for (double got = 0; got < bytes; got += answer) {
        if (level <= 0) {
            seconds += -level / rate;
            level = 0;
        }
        if (answer > rate && level > 0)
            level = 0;
        level -= answer;
    }
    return seconds;
}

/* ---- the other reader ------------------------------------------------------------------------ */

/* A megabyte of each shard each second, whatever it is told: half of what there is. */
static void
read_half(const char *endpoint)
{
    struct leat_aws aws = {.region = "us-east-1"};
    struct leat_kinesis *kinesis;
    struct leat_kinesis_records records = {0};
    struct leat_kinesis_region region = {.capacity = (size_t)4 << 20};
    char iterators[SHARDS][LEAT_KINESIS_ITERATOR_BYTES], shard[32];
    struct leat_error err;
    int64_t next_us = leat_clock_monotonic_us();

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    aws.endpoints[LEAT_SERVICE_KINESIS] = endpoint;
    aws.retry.maximum_attempts = 1;
    aws.retry.budget_us = 1;
    aws.credentials = leat_credentials_environment_new();
    region.data = leat_alloc(region.capacity);
    kinesis = leat_kinesis_new(&aws, LEAT_KINESIS_CBOR, &err);
    for (int i = 0; i < SHARDS; i++) {
        snprintf(shard, sizeof shard, "shardId-%012d", i);
        if (kinesis == NULL ||
            leat_kinesis_get_shard_iterator(
                kinesis,
                &(struct leat_kinesis_iterator_request){.stream = TEST_FLEET_STREAM,
                                                        .shard = leat_slice_from(shard),
                                                        .type = LEAT_ITERATOR_TRIM_HORIZON},
                iterators[i], &err) != 0) {
            fprintf(stderr, "the other reader: %s\n", err.text);
            _exit(1);
        }
    }
    for (;;) {
        for (int i = 0; i < SHARDS; i++) {
            if (leat_kinesis_get_records(kinesis, TEST_FLEET_STREAM, iterators[i],
                                         1000000 / (DATA_BYTES + KEY_BYTES), &region, &records,
                                         &err) == 0 &&
                records.count > 0)
                snprintf(iterators[i], sizeof iterators[i], "%.*s", (int)records.next_iterator.size,
                         (const char *)records.next_iterator.data);
        }
        next_us += LEAT_SECOND_US;
        if (next_us > leat_clock_monotonic_us())
            usleep((useconds_t)(next_us - leat_clock_monotonic_us()));
    }
}

/* ---- the measurement ------------------------------------------------------------------------- */

static bool
is_caught_up(struct test_fleet *fleet)
{
    char sql[600];

    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM leat.progress WHERE checkpoint IN ('%s', '%s', '%s', '%s')",
             last[0], last[1], last[2], last[3]);
    return test_fleet_number(fleet, sql) == SHARDS;
}

static bool
measure(int round)
{
    bool is_free = round == 2, is_shared = round == 1;
    struct test_fleet_options options = {.shards = SHARDS};
    struct test_fleet fleet;
    struct test_worker worker;
    struct leat_local_kinesis_counts counts;
    int64_t begun_us = 0, deadline_us;
    double seconds, bar;
    bool is_good;
    pid_t other = 0;

    test_fleet_start(&fleet, &options);
    fill(fleet.kinesis);
    if (!is_free)
        leat_local_kinesis_set_limits(fleet.kinesis, &leat_local_limits_aws);
    test_fleet_configure(&fleet, "processors: [{ name: \"null\", plugin: \"null\", target: { "
                                 "plugin: postgres } }]\n");
    if (is_shared && (other = fork()) == 0)
        read_half(leat_local_kinesis_endpoint(fleet.kinesis));
    worker = test_fleet_spawn(&fleet, "catching-up", NULL);
    deadline_us = leat_clock_monotonic_us() + 120 * LEAT_SECOND_US;
    while (leat_clock_monotonic_us() < deadline_us) {
        if (begun_us == 0 && leat_local_kinesis_calls(fleet.kinesis, "GetRecords") >= SHARDS)
            begun_us = leat_clock_monotonic_us();
        if (begun_us != 0 && is_caught_up(&fleet))
            break;
        usleep(POLL_US);
    }
    seconds = (double)(leat_clock_monotonic_us() - begun_us) / 1e6;
    leat_local_kinesis_counts(fleet.kinesis, &counts);
    if (other > 0) {
        kill(other, SIGKILL);
        waitpid(other, NULL, 0);
    }
    test_worker_kill(&worker, SIGTERM);
    test_worker_wait(&worker, NULL);
    bar = is_free ? BAR_FREE_S : BAR_PART * allowed_seconds(is_shared ? 1e6 : 2e6);
    is_good = seconds <= bar;
    printf("{\"bench\": \"catching_up\", \"kinesis\": \"%s\", \"records\": %d, \"shards\": %d, "
           "\"seconds\": %.2f, \"allowed_s\": %.2f, \"bar_s\": %.2f, \"calls\": %llu, "
           "\"refusals\": %llu, \"ok\": %s}\n",
           names[round], RECORDS, SHARDS, seconds,
           is_free ? 0 : allowed_seconds(is_shared ? 1e6 : 2e6), bar,
           (unsigned long long)leat_local_kinesis_calls(fleet.kinesis, "GetRecords"),
           (unsigned long long)counts.throttled, is_good ? "true" : "false");
    test_fleet_end(&fleet);
    return is_good;
}

int
main(int argc, char **argv)
{
    bool is_good = true;

    for (int round = 0; round < (int)LEAT_COUNT_OF(names); round++) {
        if (argc == 1 || strcmp(argv[1], names[round]) == 0)
            is_good &= measure(round);
    }
    return is_good ? 0 : 1;
}
