/*
 * Busy time with real workers: measured, published with the heartbeat, and evened out. Idle ones publish nothing. A call that
 * hangs is the busiest there is, and needs no clock: its shard is busy all the time.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/memory.h"
#include "lease/loads.h"
#include "stream/shard.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

#define SHARDS 4
#define HANGING 666

static struct test_fleet fleet;
static struct test_worker workers[2];
static char hang_while[80];

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    test_fleet_dump(&fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

static void
setup(void)
{
    struct test_fleet_options options = {.shards = SHARDS};
    LEAT_AUTO_BUF yaml = LEAT_BUF_INIT;
    char name[40];

    snprintf(name, sizeof name, "loads_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    snprintf(hang_while, sizeof hang_while, "%s/hang", fleet.directory);
    close(open(hang_while, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    leat_buf_printf(&yaml,
                    "leases: { heartbeat: 300ms, expiry: 3s }\nthreads: { workers: 4 }\n"
                    "processors:\n"
                    "  - { name: flaky, plugin: %s/badplugins/flaky.so, options: { hang: [%d], "
                    "hang_while: %s }, batch: { deadline: 300s }, target: { plugin: postgres } }\n",
                    getenv("LEAT_BUILD"), HANGING, hang_while);
    test_fleet_configure(&fleet, leat_buf_text(&yaml));
    workers[0] = test_fleet_spawn(&fleet, "w1", NULL);
    workers[1] = test_fleet_spawn(&fleet, "w2", NULL);
    ck_reaches("SELECT count(*) FROM leat.workers w WHERE state = 'alive' AND 2 = (SELECT count(*) "
               "FROM leat.leases l WHERE l.lease_owner = w.incarnation AND l.next_owner IS NULL)",
               2);
}

static void
teardown(void)
{
    unlink(hang_while);
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    test_fleet_end(&fleet);
}

/* A record that hangs, on the shard of that number: the four share the hash keys evenly. */
static void
hang_shard(int64_t shard)
{
    static int64_t number;

    for (int i = 0; i < 1000; i++) {
        struct leat_hash_key hash;
        char key[16], data[48];
        int size = snprintf(data, sizeof data, "%d %lld", HANGING, (long long)number);

        snprintf(key, sizeof key, "key-%d", i);
        leat_hash_key_of(leat_slice_from(key), &hash);
        if ((int64_t)(hash.high >> 62) != shard)
            continue;
        test_fleet_put(&fleet, leat_slice_from(key), leat_slice_make(data, (size_t)size));
        number++;
        return;
    }
    ck_abort_msg("no key for shard %lld", (long long)shard);
}

/* The n-th shard of this worker. */
static int64_t
shard_of(const char *worker, int n)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(&sql,
                    "SELECT right(shard, 12)::int8 FROM leat.leases l JOIN leat.workers w ON "
                    "w.incarnation = l.lease_owner WHERE w.worker_id = '%s' ORDER BY 1 OFFSET %d "
                    "LIMIT 1",
                    worker, n);
    return test_fleet_number(&fleet, leat_buf_text(&sql));
}

/* What the published array of this worker says of that shard. */
static int64_t
published_us(const char *worker, int64_t shard)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    struct leat_lease_key key;
    struct leat_load *loads;
    struct leat_slice bytes;
    struct leat_pg_parameters parameters;
    PGresult *result;
    int64_t busy_us = 0;
    size_t count;

    leat_buf_printf(&sql,
                    "SELECT l.stream_id, l.shard, coalesce(w.loads, '') FROM leat.leases l, "
                    "leat.workers w WHERE w.worker_id = '%s' AND right(shard, 12)::int8 = %lld",
                    worker, (long long)shard);
    leat_pg_parameters_init(&parameters);
    ck_assert_int_eq(
        leat_pg_execute(fleet.connection, leat_buf_text(&sql), &parameters, &result, NULL), 0);
    ck_assert_int_eq(PQntuples(result), 1);
    key = (struct leat_lease_key){leat_slice_from(PQgetvalue(result, 0, 0)),
                                  leat_slice_from(PQgetvalue(result, 0, 1))};
    bytes = leat_slice_make(PQgetvalue(result, 0, 2), (size_t)PQgetlength(result, 0, 2));
    count = leat_loads_count(bytes);
    ck_assert_uint_le(count, SHARDS);
    loads = LEAT_NEW_ARRAY(struct leat_load, count + 1);
    leat_loads_decode(bytes, loads);
    for (size_t i = 0; i < count; i++) {
        if (loads[i].hash == leat_load_hash(key))
            busy_us = leat_load_busy_us(loads[i].step);
    }
    free(loads);
    PQclear(result);
    return busy_us;
}

/* Smoothed, so not at once; never more than all of the time. */
static void
ck_becomes_busy(int64_t shard)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    for (;;) {
        int64_t first_us = published_us("w1", shard), second_us = published_us("w2", shard);

        ck_assert_int_lt(first_us, 1100000);
        ck_assert_int_lt(second_us, 1100000);
        if (first_us > 600000 || second_us > 600000)
            return;
        ck_assert_int_lt(leat_clock_monotonic_us(), deadline_us);
        test_fleet_wait_for(&fleet, "SELECT 0", 1, leat_clock_monotonic_us() + LEAT_SECOND_US);
    }
}

/* Both busy shards are at one worker: one of them goes, for load's sake, though each has two leases. */
START_TEST(test_busy_shards_part)
{
    int64_t first = shard_of("w1", 0), second = shard_of("w1", 1);
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    /* The first rounds of both are over: they said that nothing is busy. */
    ck_reaches("SELECT count(*) FROM leat.workers WHERE clock_timestamp() - started_at > interval "
               "'12 s'",
               2);
    ck_assert_int_eq(
        test_fleet_number(&fleet, "SELECT count(*) FROM leat.workers WHERE loads IS NOT NULL"), 0);
    hang_shard(first);
    hang_shard(second);
    leat_buf_printf(&sql,
                    "SELECT count(DISTINCT lease_owner) FROM leat.leases WHERE lease_owner IS NOT "
                    "NULL AND next_owner IS NULL AND right(shard, 12)::int8 IN (%lld, %lld)",
                    (long long)first, (long long)second);
    ck_reaches(leat_buf_text(&sql), 2);
    ck_becomes_busy(first);
    ck_becomes_busy(second);
    ck_reaches("SELECT rebalances FROM leat.applications WHERE rebalanced_at IS NOT NULL", 1);
    /* His array says so, too, once he has measured it. */
    ck_reaches("SELECT count(*) FROM leat.workers WHERE loads IS NOT NULL", 2);
    ck_assert_int_eq(test_fleet_number(&fleet, leat_buf_text(&sql)), 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fleet_loads");
    TCase *tests = tcase_create("fleet_loads");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 400);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_busy_shards_part);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
