/*
 * What reading costs: bytes per CPU-second of `leat worker` (GetRecords in CBOR, decode, a processor that does nothing, the
 * limiter off) against a bare libcurl loop that throws the same answers away. Our own Kinesis runs in another process, on
 * the other core. Both read the same shards from the beginning, by turns. JSON line.
 *
 *   reading [megabytes] [rounds]
 */
#include <curl/curl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws/cbor.h"
#include "base/clock.h"
#include "base/memory.h"
#include "support/fleet.h"

#define SHARDS 4
#define DATA_BYTES 1000
#define MAXIMUM_ROUNDS 9
#define BAR 0.6

static void
pin(int cpu)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET((unsigned)cpu, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
}

/* ---- the server, a process of its own ----------------------------------------------------------- */

static void
serve(int64_t records, int told)
{
    struct leat_local_kinesis_options options = {.maximum_bytes = (size_t)8 << 30};
    struct leat_local_kinesis *server;
    char data[DATA_BYTES], key[32], endpoint[64] = "";
    struct leat_error err;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(1);
    server = leat_local_kinesis_new(&options, &err);
    if (server == NULL ||
        leat_local_kinesis_create_stream(server, TEST_FLEET_STREAM, SHARDS, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        _exit(1);
    }
    memset(data, 'x', sizeof data);
    for (int64_t i = 0; i < records; i++) {
        snprintf(key, sizeof key, "key-%lld", (long long)i);
        leat_local_kinesis_put(server, TEST_FLEET_STREAM, leat_slice_from(key), leat_slice_from(""),
                               leat_slice_make(data, sizeof data), NULL, &err);
    }
    snprintf(endpoint, sizeof endpoint, "%s", leat_local_kinesis_endpoint(server));
    if (write(told, endpoint, sizeof endpoint) != sizeof endpoint)
        _exit(1);
    pause();
}

/* ---- the bare loop ------------------------------------------------------------------------------ */

static size_t
collect(char *bytes, size_t size, size_t count, void *context)
{
    leat_buf_add(context, bytes, size * count);
    return size * count;
}

static void
call(CURL *curl, const char *action, const struct leat_buf *body, struct leat_buf *answer)
{
    char target[80];
    struct curl_slist *headers = NULL;

    snprintf(target, sizeof target, "X-Amz-Target: Kinesis_20131202.%s", action);
    headers = curl_slist_append(headers, target);
    headers = curl_slist_append(headers, "Content-Type: application/x-amz-cbor-1.1");
    headers = curl_slist_append(headers, "Expect:");
    leat_buf_clear(answer);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body->size);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (curl_easy_perform(curl) != CURLE_OK) {
        fprintf(stderr, "the bare loop could not call %s\n", action);
        exit(1);
    }
    curl_slist_free_all(headers);
}

/* The text behind a key, found from the end: iterators come last. */
static bool
find_iterator(const struct leat_buf *answer, const char *key, struct leat_buf *ret_iterator)
{
    size_t size = strlen(key);

    for (size_t at = answer->size - size; at > 0; at--) {
        struct leat_cbor cbor;
        struct leat_cbor_item item;

        if (memcmp(answer->data + at, key, size) != 0)
            continue;
        leat_cbor_begin(&cbor, answer->data + at + size, answer->size - at - size);
        if (!leat_cbor_next(&cbor, &item) || item.type != LEAT_CBOR_TEXT)
            return false;
        leat_buf_clear(ret_iterator);
        return leat_buf_add_slice(ret_iterator, item.string);
    }
    return false;
}

static size_t
read_shard(CURL *curl, int shard, int64_t records, struct leat_buf *answer)
{
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;
    LEAT_AUTO_BUF iterator = LEAT_BUF_INIT;
    size_t bytes = 0, last = SIZE_MAX;
    char name[32];

    snprintf(name, sizeof name, "shardId-%012d", shard);
    leat_cbor_put_map(&body, 3);
    leat_cbor_put_key(&body, "StreamName");
    leat_cbor_put_text(&body, leat_slice_from(TEST_FLEET_STREAM));
    leat_cbor_put_key(&body, "ShardId");
    leat_cbor_put_text(&body, leat_slice_from(name));
    leat_cbor_put_key(&body, "ShardIteratorType");
    leat_cbor_put_text(&body, leat_slice_from("TRIM_HORIZON"));
    call(curl, "GetShardIterator", &body, answer);
    if (!find_iterator(answer, "ShardIterator", &iterator)) {
        fprintf(stderr, "no iterator of %s in %s\n", name, leat_buf_text(answer));
        exit(1);
    }
    while (last > DATA_BYTES / 2) {
        leat_buf_clear(&body);
        leat_cbor_put_map(&body, 2);
        leat_cbor_put_key(&body, "Limit");
        leat_cbor_put_integer(&body, 10000);
        leat_cbor_put_key(&body, "ShardIterator");
        leat_cbor_put_text(&body, leat_buf_slice(&iterator));
        call(curl, "GetRecords", &body, answer);
        last = answer->size;
        bytes += last > DATA_BYTES / 2 ? last : 0;
        if (!find_iterator(answer, "NextShardIterator", &iterator)) {
            fprintf(stderr, "no next iterator of %s in %s\n", name, leat_buf_text(answer));
            exit(1);
        }
    }
    return bytes;
}

static double
cpu_seconds(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

/* CPU-seconds of a child that reads everything; *ret_bytes of answers. */
static double
run_bare(const char *endpoint, int64_t records, size_t *ret_bytes)
{
    int told[2], status;
    struct rusage usage;
    pid_t pid;

    if (pipe(told) != 0)
        exit(1);
    pid = fork();
    if (pid == 0) {
        LEAT_AUTO_BUF answer = LEAT_BUF_INIT;
        CURL *curl = curl_easy_init();
        size_t bytes = 0;

        pin(0);
        curl_easy_setopt(curl, CURLOPT_URL, endpoint);
        curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 131072L);
        for (int shard = 0; shard < SHARDS; shard++)
            bytes += read_shard(curl, shard, records, &answer);
        _exit(write(told[1], &bytes, sizeof bytes) == sizeof bytes ? 0 : 1);
    }
    if (read(told[0], ret_bytes, sizeof *ret_bytes) != sizeof *ret_bytes)
        exit(1);
    wait4(pid, &status, 0, &usage);
    close(told[0]);
    close(told[1]);
    return cpu_seconds(&usage);
}

/* ---- the worker --------------------------------------------------------------------------------- */

/* Records that a worker says it has given to its processor, by its /metrics. */
static int64_t
records_seen(const struct test_worker *worker)
{
    LEAT_AUTO_BUF metrics = LEAT_BUF_INIT;
    char line[1000], url[80];
    const char *found = NULL;
    CURL *curl;
    int64_t port = 0, records = 0;
    FILE *in = fopen(worker->log, "r");

    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        const char *text = strstr(line, "\"http_port\":");

        if (text != NULL)
            port = strtoll(text + strlen("\"http_port\":"), NULL, 10);
    }
    if (in != NULL)
        fclose(in);
    if (port == 0)
        return 0;
    snprintf(url, sizeof url, "http://127.0.0.1:%lld/metrics", (long long)port);
    curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &metrics);
    if (curl_easy_perform(curl) == CURLE_OK)
        found = strstr(leat_buf_text(&metrics), "\nleat_records_total{");
    /* One processor, one stream. */
    if (found != NULL)
        records = strtoll(strchr(found, '}') + 1, NULL, 10);
    curl_easy_cleanup(curl);
    return records;
}

static double
run_leat(struct test_fleet *fleet, int round, int64_t records)
{
    char application[64];
    const char *arguments[] = {"--set", application, NULL};
    struct test_worker worker;
    struct rusage usage;
    int64_t deadline_us = leat_clock_monotonic_us() + 120 * LEAT_SECOND_US;

    /* A new application each time: it begins at the beginning. */
    snprintf(application, sizeof application, "application=reading%d", round);
    worker = test_fleet_spawn(fleet, application + strlen("application="), arguments);
    while (records_seen(&worker) < records) {
        if (leat_clock_monotonic_us() > deadline_us) {
            fprintf(stderr, "leat does not read everything, see %s\n", worker.log);
            exit(1);
        }
        usleep(100000);
    }
    test_worker_kill(&worker, SIGTERM);
    test_worker_wait(&worker, &usage);
    return cpu_seconds(&usage);
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

int
main(int argc, char **argv)
{
    int64_t records = (argc > 1 ? strtoll(argv[1], NULL, 10) : 1000) * 1000;
    int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;
    double bare[MAXIMUM_ROUNDS], leat[MAXIMUM_ROUNDS], ratio;
    struct test_fleet_options options = {0};
    struct test_fleet fleet;
    char endpoint[64];
    int told[2];
    size_t bytes = 0;
    pid_t server;

    if (rounds < 1 || rounds > MAXIMUM_ROUNDS || pipe(told) != 0)
        return 2;
    server = fork();
    if (server == 0)
        serve(records, told[1]);
    if (read(told[0], endpoint, sizeof endpoint) != sizeof endpoint)
        return 1;
    options.endpoint = endpoint;
    test_fleet_start(&fleet, &options);
    fleet.worker_cpu = 0;
    test_fleet_configure(&fleet, "processors: [{ name: \"null\", plugin: \"null\", target: { "
                                 "plugin: postgres } }]\nreading: { max_bytes_per_shard: 0, "
                                 "max_calls_per_shard: 0 }\n");
    for (int i = 0; i < rounds; i++) {
        bare[i] = run_bare(endpoint, records, &bytes);
        leat[i] = run_leat(&fleet, i, records);
    }
    qsort(bare, (size_t)rounds, sizeof *bare, compare);
    qsort(leat, (size_t)rounds, sizeof *leat, compare);
    ratio = bare[rounds / 2] / leat[rounds / 2];
    printf("{\"bench\": \"reading\", \"records\": %lld, \"answer_bytes\": %zu, \"rounds\": %d, "
           "\"leat_mb_per_cpu_second\": %.0f, \"bare_mb_per_cpu_second\": %.0f, \"ratio\": %.2f, "
           "\"bar\": %.2f, \"ok\": %s}\n",
           (long long)records, bytes, rounds, (double)bytes / 1e6 / leat[rounds / 2],
           (double)bytes / 1e6 / bare[rounds / 2], ratio, BAR, ratio >= BAR ? "true" : "false");
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    test_fleet_end(&fleet);
    return ratio >= BAR ? 0 : 1;
}
