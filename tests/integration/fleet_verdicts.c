/*
 * What a processor's verdicts and a target's refusals lead to, with a real worker: the poison is found and diverted alone, each
 * other record is written once; archive, dead-letter stream and ledger have each diverted one once; an outage counts nothing.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

#define LETTERS "letters"
#define FAILURES "SELECT count(*) FROM leat.failures"
#define ROWS "SELECT count(*) FROM flaky"

static struct test_fleet fleet;
static struct test_worker worker;
static int64_t records_put;

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
ck_is(const char *sql, int64_t wanted)
{
    int64_t number = test_fleet_number(&fleet, sql);

    ck_assert_msg(number == wanted, "%lld, not %lld: %s", (long long)number, (long long)wanted,
                  sql);
}

/* flaky with these options and this failure policy, both in YAML's flow style. */
static void
begin(const char *flaky_options, const char *failure)
{
    struct test_fleet_options options = {.shards = 2};
    LEAT_AUTO_BUF yaml = LEAT_BUF_INIT;
    struct leat_error err;
    char name[40];

    snprintf(name, sizeof name, "verdicts_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    ck_assert_int_eq(leat_local_kinesis_create_stream(fleet.kinesis, LETTERS, 1, &err), 0);
    leat_buf_printf(&yaml,
                    "dead_letters: { stream: " LETTERS " }\n"
                    "processors:\n"
                    "  - { name: flaky, plugin: %s/badplugins/flaky.so, options: { %s }, batch: { "
                    "records: 100 }, failure: { backoff: 1ms..20ms, %s }, target: { plugin: "
                    "postgres } }\n"
                    "  - { name: print, plugin: print, target: { plugin: postgres } }\n",
                    getenv("LEAT_BUILD"), flaky_options, failure);
    test_fleet_configure(&fleet, leat_buf_text(&yaml));
}

static void
teardown(void)
{
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    test_fleet_end(&fleet);
}

/* Devices 0 … 999, one after the other; each has a key of its own. */
static void
put(int64_t count)
{
    char data[64], key[32];

    for (int64_t i = 0; i < count; i++, records_put++) {
        int size = snprintf(data, sizeof data, "%lld %lld", (long long)(records_put % 1000),
                            (long long)records_put);

        snprintf(key, sizeof key, "device-%lld", (long long)(records_put % 1000));
        test_fleet_put(&fleet, leat_slice_from(key), leat_slice_make(data, (size_t)size));
    }
}

static int64_t
count_archived(void)
{
    char *text = test_fleet_shell(&fleet, "find $DIR/archive -name '*.json' 2>/dev/null | wc -l");
    int64_t count = strtoll(text, NULL, 10);

    free(text);
    return count;
}

static uint64_t
count_letters(void)
{
    struct leat_local_kinesis_counts counts;

    leat_local_kinesis_counts(fleet.kinesis, &counts);
    return counts.records_in - (uint64_t)records_put;
}

/* So many were diverted, once each, to all three places; every other record has been written once. */
static void
ck_diverted(int64_t diverted, const char *reason)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    ck_reaches(FAILURES, diverted);
    ck_reaches(ROWS, records_put - diverted);
    ck_reaches("SELECT count(*) FROM records", records_put);
    ck_is(FAILURES, diverted);
    ck_is(ROWS, records_put - diverted);
    ck_is("SELECT count(*) FROM flaky WHERE times <> 1", 0);
    leat_buf_printf(&sql,
                    "SELECT count(*) FROM leat.failures WHERE reason <> '%s' OR times <> 1 OR "
                    "dead_letter_position IS NULL",
                    reason);
    ck_is(leat_buf_text(&sql), 0);
    ck_assert_int_eq(count_archived(), diverted);
    ck_assert_int_eq((int64_t)count_letters(), diverted);
}

static void
start_worker(void)
{
    worker = test_fleet_spawn(&fleet, "w1", NULL);
}

static void
end_worker(void)
{
    test_worker_kill(&worker, SIGTERM);
    ck_assert_int_eq(test_worker_wait(&worker, NULL), 0);
}

/* ---- the processor ------------------------------------------------------------------------------- */

START_TEST(bisection_finds_the_poison)
{
    begin("retry: [13, 14, 700]", "retries: 2");
    put(2000);
    start_worker();
    ck_diverted(6, "exhausted");
    ck_is("SELECT count(*) FROM leat.failures WHERE reason_text LIKE 'it chokes on device %'", 6);
    end_worker();
}
END_TEST

START_TEST(a_record_fails_by_name)
{
    begin("fail: [13, 999]", "retries: 0");
    put(2000);
    start_worker();
    ck_diverted(4, "failed");
    end_worker();
}
END_TEST

START_TEST(what_is_unavailable_counts_nothing)
{
    begin("unavailable: /dev/null", "retries: 0"); /* one that exists */
    put(500);
    start_worker();
    ck_assert(test_worker_says(&worker, "what the processor needs is not available", soon()));
    ck_assert(test_worker_says(&worker, "the model server does not answer", soon()));
    ck_reaches("SELECT count(*) FROM records", records_put);
    usleep(2 * LEAT_SECOND_US);
    ck_is(ROWS, 0);
    ck_is(FAILURES, 0);
    end_worker();
}
END_TEST

START_TEST(it_goes_on_when_what_it_needs_is_back)
{
    LEAT_AUTO_BUF file = LEAT_BUF_INIT;
    LEAT_AUTO_BUF options = LEAT_BUF_INIT;

    leat_buf_printf(&file, "/tmp/leat-unavailable-%d", (int)getpid());
    leat_buf_printf(&options, "unavailable: %s", leat_buf_text(&file));
    begin(leat_buf_text(&options), "retries: 0");
    put(500);
    fclose(fopen(leat_buf_text(&file), "w"));
    start_worker();
    ck_assert(test_worker_says(&worker, "what the processor needs is not available", soon()));
    unlink(leat_buf_text(&file));
    ck_diverted(0, "");
    ck_assert(test_worker_says(&worker, "what the processor needs is available again", soon()));
    end_worker();
}
END_TEST

/* So many lines of what the command prints have the text, before the deadline. */
static void
ck_shows(const char *command, const char *text, const char *wanted)
{
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;
    int64_t deadline_us = soon();
    bool is_so;

    leat_buf_printf(&line, "$LEAT %s -c $DIR/leat.yaml -o json | grep -c '%s' || true", command,
                    text);
    do {
        LEAT_AUTO_FREE char *count = test_fleet_shell(&fleet, leat_buf_text(&line));

        is_so = strtol(count, NULL, 10) == strtol(wanted, NULL, 10);
    } while (!is_so && leat_clock_monotonic_us() < deadline_us);
    ck_assert_msg(is_so, "not %s times \"%s\" in `leat %s`", wanted, text, command);
}

/* Nobody diverts it and nothing stops: what stands still says so, and why, wherever somebody looks. */
START_TEST(what_is_tried_for_ever_is_visible)
{
    begin("retry: [13]", "retries: 1000000");
    put(1000);
    start_worker();
    ck_assert(test_worker_says(&worker, "a batch fails again and again", soon()));
    ck_assert(test_worker_says(&worker, "it chokes on device 13", soon()));
    ck_shows("shards --processor flaky --state retrying", "the processor wants it again", "1");
    ck_shows("processors --processor flaky", "\"retrying\": *1", "1");
    ck_is(FAILURES, 0);
    end_worker();
}
END_TEST

START_TEST(what_a_processor_waits_for_is_visible)
{
    begin("unavailable: /dev/null", "retries: 0");
    put(500);
    start_worker();
    ck_shows("shards --processor flaky --state unavailable", "what the processor needs", "2");
    ck_shows("processors --processor flaky", "\"unavailable\": *2", "1");
    ck_shows("processors --processor print", "\"unavailable\": *0", "1");
    end_worker();
}
END_TEST

/* Nothing is diverted and nothing behind the poison is written; the other processor is not touched. */
START_TEST(then_stop_stops)
{
    begin("retry: [13]", "retries: 1, then: stop");
    put(1000);
    start_worker();
    ck_assert(test_worker_says(&worker, "the processor stopped", soon()));
    ck_assert(test_worker_says(&worker, "it chokes on device 13", soon()));
    ck_reaches("SELECT count(*) FROM records", records_put);
    ck_is(FAILURES, 0);
    ck_is("SELECT count(*) FROM flaky WHERE device = 13", 0);
    ck_assert_int_eq(count_archived(), 0);
    end_worker();
    /* Mended, it goes on where it stood. */
    worker = test_fleet_spawn(
        &fleet, "w2", (const char *[]){"--set", "processors.flaky.options.retry=none", NULL});
    ck_diverted(0, "");
    end_worker();
}
END_TEST

START_TEST(a_processor_may_say_stop)
{
    begin("stop: [500]", "retries: 1");
    put(1000);
    start_worker();
    ck_assert(test_worker_says(&worker, "the processor stopped", soon()));
    ck_assert(test_worker_says(&worker, "the licence has expired", soon()));
    ck_reaches("SELECT count(*) FROM records", records_put);
    ck_is(FAILURES, 0);
    ck_is("SELECT count(*) FROM flaky WHERE device = 500", 0);
    end_worker();
}
END_TEST

START_TEST(the_breaker_stops_a_processor_that_diverts_most)
{
    LEAT_AUTO_BUF devices = LEAT_BUF_INIT;

    leat_buf_add_text(&devices, "fail: [0");
    for (int i = 1; i < 1000; i++) {
        if (i % 4 != 0)
            leat_buf_printf(&devices, ", %d", i);
    }
    leat_buf_add_text(&devices, "]");
    begin(leat_buf_text(&devices), "retries: 0, breaker: 50%");
    put(5000);
    start_worker();
    ck_assert(test_worker_says(&worker, "the processor stopped", soon()));
    ck_assert(test_worker_says(&worker, "more than 50 % of the records of this minute", soon()));
    ck_reaches("SELECT count(*) FROM records", records_put);
    ck_assert_int_lt(test_fleet_number(&fleet, FAILURES), 2000);
    end_worker();
}
END_TEST

/* Each take is counted until a commit; nothing is lost by it, and nothing written twice, when the plugin is mended. */
START_TEST(a_processor_that_crashes_is_taken_again_and_counted)
{
    begin("crash: [13]", "retries: 1");
    put(500);
    for (int i = 0; i < 3; i++) {
        char id[16];

        snprintf(id, sizeof id, "w%d", i);
        worker = test_fleet_spawn(&fleet, id, NULL);
        ck_assert(WIFSIGNALED(test_worker_wait(&worker, NULL)));
    }
    ck_is("SELECT (max(takes) >= 3)::int FROM leat.progress WHERE processor = 'flaky'", 1);
    ck_is("SELECT count(*) FROM flaky WHERE device = 13", 0);
    worker = test_fleet_spawn(
        &fleet, "w9", (const char *[]){"--set", "processors.flaky.options.crash=none", NULL});
    ck_diverted(0, "");
    end_worker();
}
END_TEST

/* ---- the target ----------------------------------------------------------------------------------- */

/* Others of the same shard are on their way while one is refused: none may get past it. */
START_TEST(a_refused_row_takes_nothing_with_it)
{
    begin("", "retries: 2");
    test_fleet_sql(&fleet, "ALTER TABLE flaky ADD CHECK (device NOT IN (13, 14, 700))");
    put(3000);
    start_worker();
    ck_diverted(9, "rejected");
    ck_is("SELECT count(*) FROM leat.failures WHERE sqlstate = '23514'", 9);
    end_worker();
}
END_TEST

/* The target is slow: by the time of its answer the next epochs of the shard are due, too. */
START_TEST(nothing_overtakes_a_refused_row)
{
    begin("", "retries: 2");
    test_fleet_sql(&fleet, "ALTER TABLE flaky ADD CHECK (number NOT IN (2013, 4014))");
    put(8000);
    setenv("LEAT_POINTS", "flight.after=pause:50ms,process.after=pause:15ms", 1);
    worker = test_fleet_spawn(
        &fleet, "w1", (const char *[]){"--set", "processors.flaky.target.flush.linger=1ms", NULL});
    ck_diverted(2, "rejected");
    end_worker();
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_verdicts");
    TCase *tests = tcase_create("verdicts");
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, bisection_finds_the_poison);
    tcase_add_test(tests, a_record_fails_by_name);
    tcase_add_test(tests, what_is_unavailable_counts_nothing);
    tcase_add_test(tests, it_goes_on_when_what_it_needs_is_back);
    tcase_add_test(tests, what_is_tried_for_ever_is_visible);
    tcase_add_test(tests, what_a_processor_waits_for_is_visible);
    tcase_add_test(tests, then_stop_stops);
    tcase_add_test(tests, a_processor_may_say_stop);
    tcase_add_test(tests, the_breaker_stops_a_processor_that_diverts_most);
    tcase_add_test(tests, a_processor_that_crashes_is_taken_again_and_counted);
    tcase_add_test(tests, a_refused_row_takes_nothing_with_it);
    tcase_add_test(tests, nothing_overtakes_a_refused_row);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
