/*
 * A million records through two workers, one of them killed at random again and again: the table equals a sequential
 * recomputation. Prints one JSON line; exits non-zero when a single number is wrong. Also what `make kill-loop` runs.
 *
 *   exactly_once [records] [kills] [seed]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "support/fleet.h"

#define SHARDS 8
#define DEVICES 500
#define MINUTES 20
#define POISON_EACH 10007
#define CELLS ((size_t)DEVICES * MINUTES)

struct cell {
    int64_t count, sum, minimum, maximum, last_second, last_value;
};

static struct cell *cells; /* by device and minute; values in tenths */
static int64_t poison;

/* Greater time wins, of equal ones the greater value: what the columns say. */
static void
add_event(int device, int minute, int second, int64_t tenths)
{
    struct cell *cell = &cells[(size_t)device * MINUTES + (size_t)minute];

    if (cell->count == 0 || tenths < cell->minimum)
        cell->minimum = tenths;
    if (cell->count == 0 || tenths > cell->maximum)
        cell->maximum = tenths;
    if (cell->count == 0 || second > cell->last_second ||
        (second == cell->last_second && tenths > cell->last_value)) {
        cell->last_second = second;
        cell->last_value = tenths;
    }
    cell->count++;
    cell->sum += tenths;
}

static void
put_records(struct test_fleet *fleet, int64_t records, struct leat_random *random)
{
    char data[160], key[32];

    for (int64_t i = 0; i < records; i++) {
        int device = (int)leat_random_below(random, DEVICES);
        int minute = (int)leat_random_below(random, MINUTES);
        int second = (int)leat_random_below(random, 60);
        int64_t tenths = (int64_t)leat_random_below(random, 20000) - 10000;
        int size;

        snprintf(key, sizeof key, "device-%d", device);
        if (i % POISON_EACH == 17) {
            size = snprintf(data, sizeof data, "poison %lld", (long long)i);
            poison++;
        } else {
            size = snprintf(data, sizeof data,
                            "{\"device_id\": %d, \"time\": \"2022-01-01 00:%02d:%02d\", "
                            "\"measurement\": \"temperature\", \"value\": %s%lld.%lld}",
                            device, minute, second, tenths < 0 ? "-" : "",
                            (long long)llabs(tenths) / 10, (long long)llabs(tenths) % 10);
            add_event(device, minute, second, tenths);
        }
        test_fleet_put(fleet, leat_slice_from(key), leat_slice_make(data, (size_t)size));
    }
}

#define COMMITTED                                                                                  \
    "SELECT coalesce((SELECT sum(count) FROM rollup), 0) + (SELECT count(*) FROM leat.failures)"

/* ---- kills ------------------------------------------------------------------------------------ */

struct kills {
    int wanted, done;
    int64_t records;
};

/* One at random each time so much more is committed; a new one with a new name takes its place. */
static void
kill_at_random(struct test_fleet *fleet, struct test_worker workers[2], struct kills *kills,
               struct leat_random *random)
{
    int64_t deadline_us = leat_clock_monotonic_us() + 600 * LEAT_SECOND_US;

    while (kills->done < kills->wanted) {
        int64_t at = kills->records * (kills->done + 1) / (kills->wanted + 2) +
                     (int64_t)leat_random_below(random, (uint64_t)kills->records / 100 + 1);
        size_t victim = leat_random_below(random, 2);
        char id[32];

        if (!test_fleet_wait_for(fleet, COMMITTED, at, deadline_us)) {
            fprintf(stderr, "no progress: %lld of %lld committed\n",
                    (long long)test_fleet_number(fleet, COMMITTED), (long long)at);
            exit(1);
        }
        test_worker_kill(&workers[victim], SIGKILL);
        test_worker_wait(&workers[victim], NULL);
        kills->done++;
        snprintf(id, sizeof id, "w%d", kills->done + 2);
        workers[victim] = test_fleet_spawn(fleet, id, NULL);
    }
}

/* ---- the oracle ------------------------------------------------------------------------------- */

static int64_t
tenths_of(const char *text)
{
    const char *point = strchr(text, '.');
    int64_t whole = strtoll(text, NULL, 10), tenth = point != NULL ? point[1] - '0' : 0;

    return whole * 10 + (*text == '-' ? -tenth : tenth);
}

/* How many rows are not as they should be; rows that are not there count, too. */
static int64_t
count_wrong(struct test_fleet *fleet, int64_t *ret_rows)
{
    PGresult *result = PQexec(
        fleet->connection->conn,
        "SELECT device_id, extract(epoch FROM window_start - '2022-01-01 00:00:00+00')::bigint / "
        "60, count, sum, min, max, last, extract(second FROM last_time)::bigint FROM rollup");
    int64_t wrong = 0, expected = 0;

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s\n", PQerrorMessage(fleet->connection->conn));
        exit(1);
    }
    for (size_t i = 0; i < CELLS; i++)
        expected += cells[i].count > 0;
    *ret_rows = PQntuples(result);
    for (int i = 0; i < PQntuples(result); i++) {
        long device = strtol(PQgetvalue(result, i, 0), NULL, 10);
        long minute = strtol(PQgetvalue(result, i, 1), NULL, 10);
        const struct cell *cell = &cells[(size_t)device * MINUTES + (size_t)minute];

        wrong += strtoll(PQgetvalue(result, i, 2), NULL, 10) != cell->count ||
                 tenths_of(PQgetvalue(result, i, 3)) != cell->sum ||
                 tenths_of(PQgetvalue(result, i, 4)) != cell->minimum ||
                 tenths_of(PQgetvalue(result, i, 5)) != cell->maximum ||
                 tenths_of(PQgetvalue(result, i, 6)) != cell->last_value ||
                 strtoll(PQgetvalue(result, i, 7), NULL, 10) != cell->last_second;
    }
    PQclear(result);
    return wrong + llabs(expected - *ret_rows);
}

static bool
report(struct test_fleet *fleet, const struct kills *kills, int64_t elapsed_us, uint64_t seed)
{
    int64_t rows, wrong = count_wrong(fleet, &rows);
    int64_t committed = test_fleet_number(fleet, COMMITTED);
    int64_t diverted = test_fleet_number(fleet, "SELECT count(*) FROM leat.failures");
    int64_t counter = test_fleet_number(fleet, "SELECT max(lease_counter) FROM leat.progress");
    bool is_good = wrong == 0 && committed == kills->records && diverted == poison &&
                   kills->done == kills->wanted;

    printf("{\"bench\": \"exactly_once\", \"records\": %lld, \"committed\": %lld, \"kills\": %d, "
           "\"rows\": %lld, \"wrong_rows\": %lld, \"poison\": %lld, \"diverted\": %lld, "
           "\"greatest_lease_counter\": %lld, \"seconds\": %.1f, \"seed\": %llu, \"ok\": %s}\n",
           (long long)kills->records, (long long)committed, kills->done, (long long)rows,
           (long long)wrong, (long long)poison, (long long)diverted, (long long)counter,
           (double)elapsed_us / 1e6, (unsigned long long)seed, is_good ? "true" : "false");
    return is_good;
}

int
main(int argc, char **argv)
{
    struct test_fleet_options options = {.shards = SHARDS, .stream_bytes = (size_t)4 << 30};
    struct kills kills = {.records = argc > 1 ? strtoll(argv[1], NULL, 10) : 1000000,
                          .wanted = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 20};
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)leat_random_identity();
    struct test_worker workers[2];
    struct leat_random random;
    struct test_fleet fleet;
    int64_t started_us;
    bool is_good;

    cells = LEAT_NEW_ARRAY(struct cell, CELLS);
    leat_random_seed(&random, seed);
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, "processors: [{ name: rollup, plugin: rollup, batch: { records: "
                                 "2000 }, target: { plugin: postgres } }]\n");
    put_records(&fleet, kills.records, &random);
    /* At AWS's pace: else all is committed before the first worker is killed. */
    leat_local_kinesis_set_limits(fleet.kinesis, &leat_local_limits_aws);
    started_us = leat_clock_monotonic_us();
    workers[0] = test_fleet_spawn(&fleet, "w1", NULL);
    workers[1] = test_fleet_spawn(&fleet, "w2", NULL);
    kill_at_random(&fleet, workers, &kills, &random);
    is_good = test_fleet_wait_for(&fleet, COMMITTED, kills.records,
                                  leat_clock_monotonic_us() + 300 * LEAT_SECOND_US);
    started_us = leat_clock_monotonic_us() - started_us;
    for (int i = 0; i < 2; i++) {
        test_worker_kill(&workers[i], SIGTERM);
        test_worker_wait(&workers[i], NULL);
    }
    is_good = report(&fleet, &kills, started_us, seed) && is_good;
    test_fleet_end(&fleet);
    free(cells);
    return is_good ? 0 : 1;
}
