/*
 * Memory under a target that stalls: 64 shards, each with 20 MiB of 1 MiB records, so answers of 10 MiB, and a table that is
 * locked. The peak of resident memory stays below budget + 32 MB; then the lock goes, and all arrives. JSON line.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "stream/shard.h"
#include "support/fleet.h"

#define SHARDS 64
#define RECORDS_PER_SHARD 20
#define DATA_BYTES ((size_t)1000 << 10)
#define BUDGET_BYTES ((int64_t)256 << 20)
#define STALL_US (20 * LEAT_SECOND_US)

static int64_t
peak_bytes(const struct test_worker *worker)
{
    char path[64], line[256];
    long long kib = 0;
    FILE *in;

    snprintf(path, sizeof path, "/proc/%d/status", (int)worker->pid);
    in = fopen(path, "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoll(line + 6, NULL, 10);
    }
    if (in != NULL)
        fclose(in);
    return kib * 1024;
}

/* Each shard gets the same number, by explicit hash keys spread over the range. */
static void
put_all(struct test_fleet *fleet)
{
    char *data = leat_alloc(DATA_BYTES);
    struct leat_error err;

    memset(data, 'x', DATA_BYTES);
    for (int shard = 0; shard < SHARDS; shard++) {
        unsigned __int128 hash = ((unsigned __int128)shard << 122) + 1;
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;

        leat_hash_key_format((struct leat_hash_key){(uint64_t)(hash >> 64), (uint64_t)hash}, &text);
        for (int i = 0; i < RECORDS_PER_SHARD; i++) {
            if (leat_local_kinesis_put(fleet->kinesis, TEST_FLEET_STREAM, leat_slice_from("key"),
                                       leat_buf_slice(&text), leat_slice_make(data, DATA_BYTES),
                                       NULL, &err) != 0) {
                fprintf(stderr, "%s\n", err.text);
                exit(1);
            }
        }
    }
    free(data);
}

int
main(void)
{
    struct test_fleet_options options = {.shards = SHARDS, .stream_bytes = (size_t)4 << 30};
    struct test_worker worker;
    struct test_fleet fleet;
    struct leat_error err;
    int64_t peak, bar = BUDGET_BYTES + 32 * 1000 * 1000, rows;
    bool is_done;

    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, "processors: [{ name: print, plugin: print, target: { plugin: "
                                 "postgres } }]\nreading: { max_bytes_per_shard: 0, "
                                 "max_calls_per_shard: 0 }\n");
    put_all(&fleet);
    leat_pg_script(fleet.connection, "BEGIN; LOCK TABLE records IN ACCESS EXCLUSIVE MODE", &err);
    worker = test_fleet_spawn(&fleet, "w1", NULL);
    usleep(STALL_US);
    peak = peak_bytes(&worker);
    leat_pg_script(fleet.connection, "COMMIT", &err);
    is_done = test_fleet_wait_for(&fleet, "SELECT count(*) FROM records",
                                  SHARDS * RECORDS_PER_SHARD,
                                  leat_clock_monotonic_us() + 300 * LEAT_SECOND_US);
    rows = test_fleet_number(&fleet, "SELECT count(*) FROM records");
    int64_t later = peak_bytes(&worker);
    test_worker_kill(&worker, SIGTERM);
    test_worker_wait(&worker, NULL);
    is_done = is_done && peak > 0 && later <= bar;
    printf("{\"bench\": \"memory_stalled\", \"shards\": %d, \"peak_mb\": %.1f, "
           "\"peak_after_mb\": %.1f, \"bar_mb\": %.1f, \"rows\": %lld, \"ok\": %s}\n",
           SHARDS, (double)peak / 1e6, (double)later / 1e6, (double)bar / 1e6, (long long)rows,
           is_done ? "true" : "false");
    test_fleet_end(&fleet);
    return is_done ? 0 : 1;
}
