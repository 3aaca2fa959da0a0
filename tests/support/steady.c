#include "support/steady.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/patience.h"

#include <check.h>

#define PAUSE_US 2000
#define LOOK_US 2000

static void
put_steadily(void *context)
{
    struct test_steady *steady = context;
    char data[160], key[32];

    for (int64_t n = 0; !steady->is_stopping; n++) {
        int device = (int)(n % TEST_STEADY_DEVICES);
        int size;

        snprintf(key, sizeof key, "device-%d", device);
        size = snprintf(data, sizeof data,
                        "{\"device_id\": %d, \"time\": \"2022-01-01 00:00:%02d\", "
                        "\"measurement\": \"temperature\", \"value\": %d, \"n\": %lld}",
                        device, (int)(n % 53), (int)(n % 997), (long long)n);
        test_fleet_put(steady->fleet, leat_slice_from(key), leat_slice_make(data, (size_t)size));
        steady->count[device]++;
        steady->sum[device] += n % 997;
        steady->records++;
        usleep((useconds_t)(steady->pause_us > 0 ? steady->pause_us : PAUSE_US));
    }
}

static PGconn *
target(const struct test_steady *steady)
{
    return (steady->target != NULL ? steady->target : steady->fleet->connection)->conn;
}

static int64_t
number(const struct test_steady *steady, const char *sql)
{
    PGresult *result = PQexec(target(steady), sql);
    int64_t number;

    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1, "%s: %s",
                  sql, PQerrorMessage(target(steady)));
    number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return number;
}

static void
ck_reaches(const struct test_steady *steady, const char *sql, int64_t wanted)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US, found;

    while ((found = number(steady, sql)) < wanted && leat_clock_monotonic_us() < deadline_us)
        usleep(LOOK_US);
    if (found >= wanted)
        return;
    test_fleet_dump(steady->fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)found, (long long)wanted, sql);
}

void
test_steady_prepare(struct test_steady *steady)
{
    PGresult *result = PQexec(target(steady), "ALTER TABLE records ADD COLUMN committed bigserial");

    ck_assert_msg(PQresultStatus(result) == PGRES_COMMAND_OK, "%s", PQresultErrorMessage(result));
    PQclear(result);
}

void
test_steady_start(struct test_steady *steady)
{
    struct leat_error err;

    ck_assert_int_eq(leat_thread_start(&steady->thread, "put", put_steadily, steady, &err), 0);
}

void
test_steady_stop(struct test_steady *steady)
{
    steady->is_stopping = true;
    leat_thread_join(&steady->thread);
}

static void
ck_devices(const struct test_steady *steady)
{
    PGresult *result = PQexec(
        target(steady), "SELECT device_id, sum(count), sum(sum)::int8 FROM rollup GROUP BY 1");

    ck_assert_int_eq(PQresultStatus(result), PGRES_TUPLES_OK);
    for (int i = 0; i < PQntuples(result); i++) {
        long device = strtol(PQgetvalue(result, i, 0), NULL, 10);

        ck_assert_int_eq(strtoll(PQgetvalue(result, i, 1), NULL, 10), steady->count[device]);
        ck_assert_int_eq(strtoll(PQgetvalue(result, i, 2), NULL, 10), steady->sum[device]);
    }
    PQclear(result);
}

void
ck_steady_all_right(struct test_steady *steady)
{
    test_steady_stop(steady);
    ck_reaches(steady, "SELECT coalesce(sum(count), 0)::int8 FROM rollup", steady->records);
    ck_reaches(steady, "SELECT count(*) FROM records", steady->records);
    ck_assert_int_eq(number(steady, "SELECT sum(count)::int8 FROM rollup"), steady->records);
    ck_assert_int_eq(number(steady, "SELECT count(*) FROM records"), steady->records);
    ck_devices(steady);
    ck_assert_int_eq(number(steady, "SELECT count(*) FROM leat.failures"), 0);
    ck_assert_int_eq(
        number(steady, "SELECT count(*) FROM (SELECT n, lag(n) OVER (PARTITION BY partition_key "
                       "ORDER BY committed) AS before FROM (SELECT partition_key, committed, "
                       "(data::json->>'n')::int8 AS n FROM records) r) o WHERE n < before"),
        0);
}

void
ck_steady_flows(struct test_steady *steady)
{
    /* Of nothing everything is true: there must be something that flows. */
    ck_reaches(steady,
               "SELECT (count(*) > 0)::int FROM leat.leases l CROSS JOIN leat.processors r WHERE "
               "l.state = 'active'",
               1);
    test_fleet_sql(steady->fleet,
                   "DROP TABLE IF EXISTS pg_temp.before; CREATE TEMP TABLE before AS "
                   "SELECT r.processor, l.shard, p.commit_seq FROM leat.leases l CROSS JOIN "
                   "leat.processors r LEFT JOIN leat.progress p USING (processor, shard) "
                   "WHERE l.state = 'active'");
    ck_reaches(steady,
               "SELECT (count(*) FILTER (WHERE p.commit_seq > coalesce(b.commit_seq, 0) + 1) = "
               "count(*))::int FROM before b LEFT JOIN leat.progress p USING (processor, shard)",
               1);
}
