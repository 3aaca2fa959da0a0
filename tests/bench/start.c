/*
 * A worker's start: from exec to the first GetRecords when its leases are free, and what it holds in memory when it has nothing
 * to do. JSON lines.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/fleet.h"

#define ROUNDS 7
#define BAR_MS 150
#define RSS_BAR (24 * 1000 * 1000)

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

int
main(void)
{
    struct test_fleet_options options = {.shards = 4};
    int64_t times[ROUNDS], rss = 0;
    struct test_fleet fleet;
    bool is_good;

    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, "processors: [{ name: rollup, plugin: rollup, target: { plugin: "
                                 "postgres } }]\n");
    for (int i = 0; i < ROUNDS; i++) {
        char id[16];
        struct test_worker worker;

        snprintf(id, sizeof id, "w%d", i);
        times[i] = test_fleet_spawn_and_read(&fleet, id, &worker);
        if (i == ROUNDS - 1)
            usleep(3000000);
        if (i == ROUNDS - 1)
            rss = test_worker_rss_bytes(&worker);
        test_worker_kill(&worker, SIGTERM);
        test_worker_wait(&worker, NULL);
    }
    qsort(times, ROUNDS, sizeof *times, compare);
    is_good = times[ROUNDS / 2] <= BAR_MS * 1000 && rss > 0 && rss <= RSS_BAR;
    printf("{\"bench\": \"start\", \"rounds\": %d, \"first_read_median_ms\": %.0f, "
           "\"first_read_worst_ms\": %.0f, \"bar_ms\": %d, \"ok\": %s}\n",
           ROUNDS, (double)times[ROUNDS / 2] / 1e3, (double)times[ROUNDS - 1] / 1e3, BAR_MS,
           times[ROUNDS / 2] <= BAR_MS * 1000 ? "true" : "false");
    printf("{\"bench\": \"memory_at_start\", \"rss_mb\": %.1f, \"bar_mb\": 24, \"ok\": %s}\n",
           (double)rss / 1e6, rss <= RSS_BAR ? "true" : "false");
    test_fleet_end(&fleet);
    return is_good ? 0 : 1;
}
