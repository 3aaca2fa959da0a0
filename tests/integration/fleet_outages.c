/*
 * What breaks while a worker runs: the database, the stream, the archive, the dead-letter stream, a table. Each outage is told
 * by name, once when it begins and once when it is over; nothing is lost or written twice, no outage uses up a record's retry
 * (the ledger stays empty but for the poison), and the worker goes on by itself.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "local/s3.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"
#include "support/slow.h"

#include <check.h>

#define OUTAGE_US (2 * LEAT_SECOND_US) /* longer than leases live */
#define MORE_US LEAT_SECOND_US         /* of an outage that was told, so lasts already */
#define FAILURES "SELECT count(*) FROM leat.failures"
#define COUNTED "SELECT coalesce(sum(count), 0)::int8 FROM rollup"
#define PROCESSORS                                                                                 \
    "processors: [{ name: rollup, plugin: rollup, failure: { retries: 0 }, target: { plugin: "     \
    "postgres } }]\n"

static struct test_fleet fleet;
static struct test_worker worker;
static struct leat_local_s3 *s3;

/* ---- the steady put ------------------------------------------------------------------------------ */

static struct {
    struct leat_thread thread;
    _Atomic bool is_stopping;
    _Atomic int64_t records;
} putter;

static void
put_steadily(void *context)
{
    char data[160], key[32];

    while (!putter.is_stopping) {
        int device = (int)(putter.records % 20);
        int size;

        snprintf(key, sizeof key, "device-%d", device);
        size = snprintf(data, sizeof data,
                        "{\"device_id\": %d, \"time\": \"2022-01-01 00:00:01\", \"measurement\": "
                        "\"temperature\", \"value\": 1}",
                        device);
        test_fleet_put(&fleet, leat_slice_from(key), leat_slice_make(data, (size_t)size));
        putter.records++;
        usleep(3000);
    }
}

/* ---- begin, end, questions ------------------------------------------------------------------------- */

static int64_t
soon(void)
{
    return leat_clock_monotonic_us() + PATIENCE_US;
}

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, soon()))
        return;
    test_fleet_dump(&fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

static void
ck_says(const char *text)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;

    if (test_worker_says(&worker, text, soon()))
        return;
    test_worker_log(&worker, &log);
    ck_abort_msg("no \"%s\" in: %s", text, leat_buf_text(&log));
}

static void
start_worker(void)
{
    worker = test_fleet_spawn(
        &fleet, "w1",
        (const char *[]){"--set", "leases.heartbeat=300ms", "--set", "leases.expiry=1500ms", NULL});
}

static void
configure(bool has_own_postgres, const char *rest)
{
    struct test_fleet_options options = {.shards = 2};
    struct leat_error err;
    char name[40];

    snprintf(name, sizeof name, "outages_%d", (int)getpid());
    options.database = has_own_postgres ? NULL : name;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, rest);
    ck_assert_int_eq(leat_thread_start(&putter.thread, "put", put_steadily, NULL, &err), 0);
}

static void
begin(bool has_own_postgres, const char *rest)
{
    configure(has_own_postgres, rest);
    start_worker();
    ck_reaches(COUNTED, 100);
}

/* What a page of the worker's says; the caller's. */
static char *
ask(const char *command)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;
    const char *port;

    ck_says("\"http_port\":");
    test_worker_log(&worker, &log);
    port = strstr(leat_buf_text(&log), "\"http_port\":") + strlen("\"http_port\":");
    leat_buf_printf(&line, "URL=http://127.0.0.1:%ld; %s", strtol(port, NULL, 10), command);
    return test_fleet_shell(&fleet, leat_buf_text(&line));
}

static void
ck_metric_between(const char *name, double least, double most)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;
    int64_t deadline_us = soon();
    double value;

    leat_buf_printf(&command, "curl -s $URL/metrics | grep '^%s ' | cut -d' ' -f2", name);
    do {
        LEAT_AUTO_FREE char *text = ask(leat_buf_text(&command));

        value = strtod(text, NULL);
    } while ((value < least || value > most) && leat_clock_monotonic_us() < deadline_us);
    ck_assert_msg(value >= least && value <= most, "%s is %g", name, value);
}

static void
ck_ready(const char *wanted)
{
    int64_t deadline_us = soon();
    bool is_so;

    do {
        LEAT_AUTO_FREE char *text = ask("curl -s -o /dev/null -w '%{http_code}' $URL/readyz");

        is_so = strncmp(text, wanted, 3) == 0;
    } while (!is_so && leat_clock_monotonic_us() < deadline_us);
    ck_assert_msg(is_so, "/readyz does not answer %s", wanted);
}

static size_t
count_lines(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

/* Everything that was put is there once; so many failed; the log is one that somebody can read. */
static void
ck_all_right(int64_t failures)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;

    putter.is_stopping = true;
    leat_thread_join(&putter.thread);
    ck_reaches(COUNTED, putter.records);
    ck_reaches(FAILURES, failures);
    ck_assert_int_eq(test_fleet_number(&fleet, COUNTED), putter.records);
    ck_assert_int_eq(test_fleet_number(&fleet, FAILURES), failures);
    test_worker_kill(&worker, SIGTERM);
    ck_assert_int_eq(test_worker_wait(&worker, NULL), 0);
    test_worker_log(&worker, &log);
    if (getenv("LEAT_TEST_SHOW") != NULL)
        fprintf(stderr, "---\n%s", leat_buf_text(&log));
    ck_assert_msg(count_lines(leat_buf_text(&log)) < 30, "%s", leat_buf_text(&log));
}

static void
teardown(void)
{
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    test_fleet_end(&fleet);
    leat_local_s3_free(s3);
}

/* ---- the database ------------------------------------------------------------------------------------ */

START_TEST(the_database_goes_and_comes)
{
    begin(true, PROCESSORS);
    test_fleet_stop_postgres(&fleet);
    ck_says("could not renew worker \\\"w1\\\": could not connect to postgres");
    ck_says("the target is not available: waiting");
    /* Reads go on, and say "at the tip": the lag is of what is committed. */
    ck_metric_between("leat_lag_seconds_max", 2, 1e6);
    ck_metric_between("leat_consumers_unavailable", 2, 2);
    ck_ready("503");
    test_fleet_start_postgres(&fleet);
    ck_says("leases can be worked on again");
    ck_says("the target can be written again");
    ck_metric_between("leat_lag_seconds_max", 0, 1.5);
    ck_metric_between("leat_consumers_unavailable", 0, 0);
    ck_ready("200");
    ck_all_right(0);
}
END_TEST

/* ---- the stream ---------------------------------------------------------------------------------------- */

static const struct {
    struct leat_local_fault fault;
    const char *says, *why; /* NULL: too short or too harmless to be told */
} stream_faults[] = {
    {{.kind = LEAT_LOCAL_FAULT_RESET}, "the stream cannot be read: waiting", "lost the connection"},
    {{.kind = LEAT_LOCAL_FAULT_ERROR, .status = 500}, "the stream cannot be read: waiting", "500"},
    {{.kind = LEAT_LOCAL_FAULT_THROTTLE},
     "the stream cannot be read: waiting",
     "ProvisionedThroughputExceeded"},
    {{.kind = LEAT_LOCAL_FAULT_REFUSE, .type = "AccessDeniedException"},
     "a shard is blocked",
     "check the credentials"},
    {{.kind = LEAT_LOCAL_FAULT_CUT}, "the stream cannot be read: waiting", "lost the connection"},
    {{.kind = LEAT_LOCAL_FAULT_REPEAT, .every = 3}, NULL, NULL},
    {{.kind = LEAT_LOCAL_FAULT_EXPIRED_ITERATOR, .every = 2}, NULL, NULL},
};

START_TEST(the_stream_fails_and_recovers)
{
    struct leat_local_fault fault = stream_faults[_i].fault;

    fault.action = "GetRecords";
    begin(false, PROCESSORS);
    leat_local_kinesis_fault(fleet.kinesis, &fault);
    if (stream_faults[_i].says != NULL) {
        ck_says(stream_faults[_i].says);
        ck_says(stream_faults[_i].why);
    }
    usleep(stream_faults[_i].says != NULL ? MORE_US : OUTAGE_US);
    leat_local_kinesis_clear_faults(fleet.kinesis);
    if (stream_faults[_i].says != NULL)
        ck_says("the stream can be read again");
    ck_all_right(0);
}
END_TEST

/* ---- archive and dead letters ----------------------------------------------------------------------------- */

static void
put_poison(void)
{
    test_fleet_put(&fleet, leat_slice_from("poison"), leat_slice_from("no JSON"));
}

static void
begin_with_s3(const char *bucket)
{
    struct leat_local_s3_options options = {.access_key_id = "leat", .secret_access_key = "leat"};
    struct leat_error err;

    s3 = leat_local_s3_new(&options, &err);
    ck_assert_ptr_nonnull(s3);
    if (bucket != NULL)
        ck_assert_int_eq(leat_local_s3_create_bucket(s3, bucket, &err), 0);
    setenv("AWS_ENDPOINT_URL_S3", leat_local_s3_endpoint(s3), 1);
    setenv("LEAT_ARCHIVE__URL", "s3://bucket/{application}/{stream}/", 1);
    begin(false, PROCESSORS);
}

static uint64_t
count_objects(void)
{
    struct leat_local_s3_counts counts;

    leat_local_s3_counts(s3, &counts);
    return counts.objects;
}

#define BLOCKED "failed records cannot be put away: their shards wait, nothing is dropped"

static const struct {
    struct leat_local_s3_fault fault;
    const char *why;
} archive_faults[] = {
    {{.kind = LEAT_LOCAL_S3_ERROR}, "500"},
    {{.kind = LEAT_LOCAL_S3_SLOW_DOWN}, "SlowDown"},
    {{.kind = LEAT_LOCAL_S3_RESET}, "lost the connection"},
    {{.kind = LEAT_LOCAL_S3_REFUSE, .status = 403, .code = "AccessDenied"}, "AccessDenied"},
};

START_TEST(the_archive_fails_and_recovers)
{
    begin_with_s3("bucket");
    leat_local_s3_fault(s3, &archive_faults[_i].fault);
    put_poison();
    ck_says(BLOCKED);
    ck_says(archive_faults[_i].why);
    ck_assert_int_eq(test_fleet_number(&fleet, FAILURES), 0);
    leat_local_s3_clear_faults(s3);
    ck_says("failed records can be put away again");
    ck_all_right(1);
    ck_assert_int_eq((int64_t)count_objects(), 1);
}
END_TEST

START_TEST(a_bucket_that_is_missing_is_waited_for)
{
    struct leat_error err;

    begin_with_s3(NULL);
    put_poison();
    ck_says(BLOCKED);
    ck_says("NoSuchBucket");
    ck_assert_int_eq(leat_local_s3_create_bucket(s3, "bucket", &err), 0);
    ck_says("failed records can be put away again");
    ck_all_right(1);
}
END_TEST

START_TEST(a_dead_letter_stream_that_is_missing_is_waited_for)
{
    struct leat_error err;

    begin(false, PROCESSORS "dead_letters: { stream: letters }\n");
    put_poison();
    ck_says(BLOCKED);
    ck_says("stream \\\"letters\\\"");
    /* The shard that waits says so; the other one goes on. */
    ck_metric_between("leat_lag_seconds_max", 1, 1e6);
    ck_metric_between("leat_consumers_unavailable", 1, 1);
    ck_ready("200");
    ck_assert_int_eq(test_fleet_number(&fleet, FAILURES), 0);
    ck_assert_int_eq(leat_local_kinesis_create_stream(fleet.kinesis, "letters", 1, &err), 0);
    ck_says("failed records can be put away again");
    ck_all_right(1);
}
END_TEST

/* ---- the table ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *harm, *mend, *why;
} tables[] = {
    {"ALTER TABLE rollup RENAME TO gone", "ALTER TABLE gone RENAME TO rollup",
     "relation \\\"public.rollup\\\" does not exist"},
    {"ALTER TABLE rollup RENAME COLUMN max TO gone", "ALTER TABLE rollup RENAME COLUMN gone TO max",
     "column \\\"max\\\" of relation \\\"rollup\\\" does not exist"},
};

#define REFUSES                                                                                    \
    "the target refuses to be written: what writes such rows waits; `leat validate --connect` "    \
    "tells what to mend"

START_TEST(a_table_that_is_wrong_at_start)
{
    configure(false, PROCESSORS);
    test_fleet_sql(&fleet, tables[_i].harm);
    start_worker();
    ck_says(REFUSES);
    ck_says(tables[_i].why);
    test_fleet_sql(&fleet, tables[_i].mend);
    ck_says("the target can be written again");
    ck_all_right(0);
}
END_TEST

START_TEST(a_table_that_becomes_wrong)
{
    begin(false, PROCESSORS);
    test_fleet_sql(&fleet, tables[_i].harm);
    ck_says(REFUSES);
    ck_says(tables[_i].why);
    usleep(MORE_US);
    test_fleet_sql(&fleet, tables[_i].mend);
    ck_says("the target can be written again");
    ck_all_right(0);
}
END_TEST

START_TEST(a_locked_table_is_waited_for)
{
    begin(false, PROCESSORS);
    test_fleet_sql(&fleet, "BEGIN; LOCK TABLE rollup");
    ck_says("the target is not available: waiting");
    ck_says("lock timeout");
    test_fleet_sql(&fleet, "COMMIT");
    ck_says("the target can be written again");
    ck_all_right(0);
}
END_TEST

/* SHARD_END is ready while an earlier commit of the shard waits: it has to follow that one, and nothing else would remind of it. */
START_TEST(a_shard_ends_while_its_commit_waits)
{
    struct leat_error err;

    begin(false, PROCESSORS);
    test_fleet_sql(&fleet, "BEGIN; LOCK TABLE rollup");
    ck_says("the target is not available: waiting");
    ck_assert_int_eq(
        leat_local_kinesis_split(fleet.kinesis, TEST_FLEET_STREAM, "shardId-000000000000", &err),
        0);
    ck_assert_int_eq(
        leat_local_kinesis_split(fleet.kinesis, TEST_FLEET_STREAM, "shardId-000000000001", &err),
        0);
    ck_reaches("SELECT count(*) FROM leat.leases", 6);
    usleep(MORE_US);
    test_fleet_sql(&fleet, "COMMIT");
    ck_reaches("SELECT count(*) FROM leat.leases WHERE state = 'ended'", 2);
    ck_all_right(0);
}
END_TEST

START_TEST(a_target_that_was_never_migrated)
{
    char told[128];
    int version;

    configure(false, PROCESSORS);
    version = (int)test_fleet_number(
        &fleet, "SELECT version FROM leat.schema_versions WHERE role = 'target'");
    test_fleet_sql(&fleet, "UPDATE leat.schema_versions SET version = 0 WHERE role = 'target'");
    start_worker();
    ck_says("a processor has yet to begin");
    snprintf(told, sizeof told,
             "the target schema has version 0, this program needs %d: run `leat db migrate`",
             version);
    ck_says(told);
    snprintf(told, sizeof told,
             "UPDATE leat.schema_versions SET version = %d WHERE role = 'target'", version);
    test_fleet_sql(&fleet, told);
    ck_says("the target of a processor answers");
    ck_all_right(0);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_outages");
    TCase *tests = tcase_create("outages");
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, the_database_goes_and_comes);
    tcase_add_loop_test(tests, the_stream_fails_and_recovers, 0,
                        test_cases((int)LEAT_COUNT_OF(stream_faults), 1));
    tcase_add_loop_test(tests, the_archive_fails_and_recovers, 0,
                        test_cases((int)LEAT_COUNT_OF(archive_faults), 1));
    tcase_add_test(tests, a_bucket_that_is_missing_is_waited_for);
    tcase_add_test(tests, a_dead_letter_stream_that_is_missing_is_waited_for);
    tcase_add_loop_test(tests, a_table_that_is_wrong_at_start, 0, (int)LEAT_COUNT_OF(tables));
    tcase_add_loop_test(tests, a_table_that_becomes_wrong, 0,
                        test_cases((int)LEAT_COUNT_OF(tables), 1));
    tcase_add_test(tests, a_locked_table_is_waited_for);
    tcase_add_test(tests, a_shard_ends_while_its_commit_waits);
    tcase_add_test(tests, a_target_that_was_never_migrated);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
