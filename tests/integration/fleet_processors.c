/*
 * Registered processors with real workers of several configurations side by side, under a steady put and reshards: a processor that
 * comes later misses no shard's end, and one whom some do not know goes on at those who do; an operator's word (paused, active,
 * retired: plain SQL here) is followed by all workers. Exactly once and in order for each processor.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/patience.h"
#include "support/postgres.h"
#include "support/steady.h"

#include <check.h>

#define LEASES "leases: { heartbeat: 300ms, expiry: 1500ms, force_after: 1s }\n"
/* Read from the stream's begin, whenever it comes. */
#define LATE                                                                                       \
    "  - { name: late, plugin: print, target: { plugin: postgres, options: { tables: { records: "  \
    "saw_late } } } }\n"
#define ENDED "SELECT count(*) FROM leat.leases WHERE state = 'ended'"
#define OWNED_BY(id)                                                                               \
    "SELECT (count(*) = count(*) FILTER (WHERE w.worker_id = '" id "'))::int FROM leat.leases l "  \
    "LEFT JOIN leat.workers w ON w.incarnation = l.lease_owner WHERE l.state = 'active'"

static struct test_fleet fleet;
static struct test_steady steady;
static struct test_worker workers[3];

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
ck_says(int index, const char *text)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;

    if (test_worker_says(&workers[index], text, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    test_fleet_dump(&fleet);
    test_worker_log(&workers[index], &log);
    ck_abort_msg("%s does not say \"%s\", but: %s", workers[index].id, text, leat_buf_text(&log));
}

static void
ck_is(const char *sql, int64_t wanted)
{
    int64_t number = test_fleet_number(&fleet, sql);

    if (number != wanted)
        test_fleet_dump(&fleet);
    ck_assert_msg(number == wanted, "%lld, not %lld: %s", (long long)number, (long long)wanted,
                  sql);
}

static void
begin(void)
{
    struct test_fleet_options options = {.shards = 4};
    char name[40];

    snprintf(name, sizeof name, "processors_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, LEASES TEST_STEADY_PROCESSORS LATE);
    steady = (struct test_steady){.fleet = &fleet, .pause_us = 4000};
    test_steady_prepare(&steady);
    test_fleet_sql(&fleet, "ALTER TABLE saw_late ADD COLUMN committed bigserial");
    test_fleet_reconfigure(&fleet, LEASES TEST_STEADY_PROCESSORS);
}

static void
teardown(void)
{
    test_steady_stop(&steady);
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    test_fleet_end(&fleet);
}

static void
start_worker(int index)
{
    static const char *const ids[] = {"w1", "w2", "w3"};

    workers[index] = test_fleet_spawn(&fleet, ids[index], NULL);
}

static void
end_worker(int index)
{
    int status;

    test_worker_kill(&workers[index], SIGTERM);
    status = test_worker_wait(&workers[index], NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

static void
split(int shard)
{
    struct leat_error err;
    char name[32];

    snprintf(name, sizeof name, "shardId-%012d", shard);
    ck_assert_msg(leat_local_kinesis_split(fleet.kinesis, TEST_FLEET_STREAM, name, &err) == 0, "%s",
                  err.text);
}

static void
set_state(const char *processor, const char *state)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(&sql,
                    "BEGIN; UPDATE leat.processors SET state = '%s' WHERE processor = '%s'; UPDATE "
                    "leat.applications SET assignment_version = assignment_version + 1; COMMIT",
                    state, processor);
    test_fleet_sql(&fleet, leat_buf_text(&sql));
}

static void
begin_to_put(void)
{
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL", 4);
    test_steady_start(&steady);
    ck_steady_flows(&steady);
}

/* From some time on the stream is not read any more. */
static void
ck_reads_nothing(void)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    uint64_t calls;

    do {
        calls = leat_local_kinesis_calls(fleet.kinesis, "GetRecords");
        sleep(2);
    } while (leat_local_kinesis_calls(fleet.kinesis, "GetRecords") != calls &&
             leat_clock_monotonic_us() < deadline_us);
    ck_assert_uint_eq(leat_local_kinesis_calls(fleet.kinesis, "GetRecords"), calls);
}

/* What was on its way is committed. */
static void
wait_until_it_stands(void)
{
    static const char commits[] =
        "SELECT sum(commit_seq)::int8 FROM leat.progress WHERE processor = 'print'";
    int64_t before;

    do {
        before = test_fleet_number(&fleet, commits);
        usleep((useconds_t)test_patience_us(LEAT_SECOND_US));
    } while (test_fleet_number(&fleet, commits) != before);
}

/* All that was put, each once, no key out of order. The put has stopped. */
static void
ck_late_saw_all(void)
{
    ck_reaches("SELECT count(*) FROM saw_late", steady.records);
    ck_is("SELECT count(*) FROM saw_late", steady.records);
    ck_is("SELECT count(DISTINCT data::json->>'n') FROM saw_late", steady.records);
    ck_is("SELECT count(*) FROM (SELECT n, lag(n) OVER (PARTITION BY partition_key ORDER BY "
          "committed) AS before FROM (SELECT partition_key, committed, (data::json->>'n')::int8 AS "
          "n FROM saw_late) r) o WHERE n < before",
          0);
}

/* No shard has ended without one of them. */
static void
ck_ended_by_all(const char *processors)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(&sql,
                    "SELECT count(*) FROM leat.leases WHERE state = 'ended' AND NOT ended_by @> "
                    "ARRAY[%s]",
                    processors);
    ck_is(leat_buf_text(&sql), 0);
}

/* Everybody of the first configuration, then one of the second comes: it is given all leases, since the others lack `late`; then
   the first go. Shards are split before, meanwhile and after. */
START_TEST(a_new_processor_misses_nothing)
{
    begin();
    start_worker(0);
    begin_to_put();
    split(0);
    ck_reaches(ENDED, 1);
    start_worker(1);
    ck_reaches("SELECT count(*) FROM leat.workers WHERE state = 'alive'", 2);
    test_fleet_reconfigure(&fleet, LEASES TEST_STEADY_PROCESSORS LATE);
    start_worker(2);
    split(1);
    /* What had ended is open again for it, where the others have nothing more to commit: it ends before flows are looked at. */
    ck_reaches("SELECT count(*) FROM leat.starts WHERE processor = 'late'", 1);
    ck_reaches(OWNED_BY("w3"), 1);
    ck_reaches(ENDED, 2);
    split(2);
    ck_reaches(ENDED, 3);
    ck_reaches(OWNED_BY("w3"), 1); /* the children have leases, but a moment later an owner */
    ck_steady_flows(&steady);
    end_worker(0);
    end_worker(1);
    ck_steady_all_right(&steady);
    ck_late_saw_all();
    ck_ended_by_all("'late', 'print', 'rollup'");
}
END_TEST

/* Who knows it dies: it waits, visibly, the others go on, also behind ends of shards; then somebody who knows it comes. */
START_TEST(an_unknown_processor_waits)
{
    begin();
    test_fleet_reconfigure(&fleet, LEASES TEST_STEADY_PROCESSORS LATE);
    start_worker(0);
    begin_to_put();
    ck_reaches("SELECT count(DISTINCT shard) FROM leat.progress WHERE processor = 'late' AND "
               "checkpoint ~ '^[0-9]'",
               4);
    test_fleet_reconfigure(&fleet, LEASES TEST_STEADY_PROCESSORS);
    start_worker(1);
    test_worker_kill(&workers[0], SIGKILL);
    test_worker_wait(&workers[0], NULL);
    ck_reaches(OWNED_BY("w2"), 1);
    split(0);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE state = 'active' AND ended_by @> "
               "ARRAY['print', 'rollup']",
               1);
    ck_says(1, "no worker runs it");
    ck_reaches("SELECT count(*) FROM leat.progress WHERE processor = 'print' AND shard IN "
               "('shardId-000000000004', 'shardId-000000000005') AND checkpoint ~ '^[0-9]'",
               2);
    ck_is("SELECT count(*) FROM leat.lacking WHERE processor = 'late'", 1);
    ck_is(ENDED, 0);
    test_fleet_reconfigure(&fleet, LEASES TEST_STEADY_PROCESSORS LATE);
    start_worker(2);
    ck_reaches(OWNED_BY("w3"), 1);
    ck_says(1, "all processors of the shards held here");
    ck_reaches(ENDED, 1);
    ck_steady_all_right(&steady);
    ck_late_saw_all();
    ck_ended_by_all("'late', 'print', 'rollup'");
}
END_TEST

/* Paused in the middle of it: the others go on, behind the end of a shard, too; it begins again where it was. */
START_TEST(a_paused_processor_keeps_its_place)
{
    begin();
    start_worker(0);
    start_worker(1);
    begin_to_put();
    set_state("print", "paused");
    ck_says(0, "the processor is paused");
    ck_says(1, "the processor is paused");
    wait_until_it_stands();
    test_fleet_sql(&fleet, "CREATE TABLE stood AS SELECT * FROM leat.progress WHERE processor = "
                           "'print'; CREATE TABLE saw AS SELECT count(*) AS n FROM records");
    split(0);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE ended_by = ARRAY['rollup']", 1);
    ck_reaches("SELECT count(*) FROM leat.progress WHERE processor = 'rollup' AND shard IN "
               "('shardId-000000000004', 'shardId-000000000005') AND checkpoint ~ '^[0-9]'",
               2);
    /* Leases move meanwhile, too. */
    end_worker(0);
    ck_reaches(OWNED_BY("w2"), 1);
    ck_is(ENDED, 0);
    ck_is("SELECT count(*) FROM leat.progress p JOIN stood USING (processor, shard, checkpoint, "
          "sub_sequence, commit_seq, lease_counter)",
          4);
    ck_is("SELECT (SELECT count(*) FROM records) - n FROM saw", 0);
    set_state("rollup", "paused");
    ck_says(1, "\"rollup\"");
    ck_reads_nothing();
    set_state("print", "active");
    set_state("rollup", "active");
    ck_reaches(ENDED, 1);
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
    ck_ended_by_all("'print', 'rollup'");
}
END_TEST

/* Its table is away: what cannot be flushed is thrown away in time, and done again. */
START_TEST(a_pause_waits_for_no_target)
{
    begin();
    start_worker(0);
    begin_to_put();
    test_fleet_sql(&fleet, "ALTER TABLE records RENAME TO away; ALTER TABLE rollup RENAME TO gone");
    ck_says(0, "\"print\"");
    set_state("print", "paused");
    set_state("rollup", "paused");
    ck_says(0, "the processor is paused");
    ck_reads_nothing();
    split(0);
    test_fleet_sql(&fleet, "ALTER TABLE away RENAME TO records; ALTER TABLE gone RENAME TO rollup");
    sleep(2);
    set_state("print", "active");
    set_state("rollup", "active");
    ck_reaches(ENDED, 1);
    ck_steady_all_right(&steady);
    ck_ended_by_all("'print', 'rollup'");
}
END_TEST

/* Paused and active again, over and over, while leases move and shards are split. */
START_TEST(pauses_come_and_go)
{
    begin();
    start_worker(0);
    start_worker(1);
    begin_to_put();
    for (int round = 0; round < 30; round++) {
        set_state("print", "paused");
        usleep((useconds_t)(round * 9000));
        if (round % 8 == 3)
            split(round / 8);
        if (round == 12)
            end_worker(0);
        if (round == 16)
            start_worker(0);
        set_state("print", "active");
        usleep((useconds_t)((round * 7 % 30) * 9000));
    }
    ck_reaches(ENDED, 4);
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
    ck_ended_by_all("'print', 'rollup'");
}
END_TEST

/* Nobody waits for it any more: an end that waited for it alone comes; who still has it configured is refused at his next start. */
START_TEST(a_retired_processor_holds_up_nobody)
{
    int status;

    begin();
    start_worker(0);
    begin_to_put();
    set_state("print", "paused");
    ck_says(0, "the processor is paused");
    split(0);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE ended_by = ARRAY['rollup']", 1);
    ck_is(ENDED, 0);
    set_state("print", "retired");
    ck_reaches(ENDED, 1);
    split(1);
    ck_reaches(ENDED, 2);
    ck_is("SELECT (count(*) > 0)::int FROM leat.progress WHERE processor = 'print'", 1);
    start_worker(1);
    status = test_worker_wait(&workers[1], NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %d", status);
    ck_says(1, "processor \"print\" is retired");
    test_fleet_reconfigure(&fleet, LEASES
                           "processors:\n  - { name: rollup, plugin: rollup, target: { plugin: "
                           "postgres } }\n");
    start_worker(1);
    ck_reaches("SELECT count(DISTINCT lease_owner) FROM leat.leases WHERE state = 'active'", 2);
    test_steady_stop(&steady);
    ck_reaches("SELECT coalesce(sum(count), 0)::int8 FROM rollup", steady.records);
    ck_is("SELECT sum(count)::int8 FROM rollup", steady.records);
}
END_TEST

#define ON(streams)                                                                                \
    LEASES "processors:\n"                                                                         \
           "  - { name: rollup, plugin: rollup, streams: " streams                                 \
           ", target: { plugin: postgres } "                                                       \
           "}\n"                                                                                   \
           "  - { name: print, plugin: print, target: { plugin: postgres } }\n"
#define STREAMS_ARE(list)                                                                          \
    "SELECT count(*) FROM leat.processors WHERE processor = 'rollup' AND streams = " list

/* Lists of streams of two configurations: their union while both live, whoever starts again; then the one that is left. */
START_TEST(streams_are_those_of_who_lives)
{
    struct leat_error err;

    begin();
    ck_assert_int_eq(leat_local_kinesis_create_stream(fleet.kinesis, "more", 2, &err), 0);
    fleet.streams = "events, more";
    test_fleet_reconfigure(&fleet, ON("[events]"));
    start_worker(0);
    ck_reaches(STREAMS_ARE("'{events}'"), 1);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL", 6);
    test_fleet_reconfigure(&fleet, ON("[events, more]"));
    start_worker(1);
    ck_reaches(STREAMS_ARE("'{events,more}'"), 1);
    /* The new one alone knows that rollup reads `more`. */
    ck_reaches("SELECT count(*) FROM leat.leases l JOIN leat.streams s USING (stream_id) JOIN "
               "leat.workers w ON w.incarnation = l.lease_owner WHERE s.name = 'more' AND "
               "w.worker_id = 'w2'",
               2);
    ck_reaches("SELECT count(*) FROM leat.progress p JOIN leat.streams s USING (stream_id) WHERE "
               "s.name = 'more' AND p.processor = 'rollup'",
               2);
    for (int round = 0; round < 2; round++) {
        end_worker(0);
        test_fleet_reconfigure(&fleet, ON("[events]"));
        start_worker(0);
        ck_reaches("SELECT count(*) FROM leat.workers WHERE state = 'alive'", 2);
        ck_is(STREAMS_ARE("'{events,more}'"), 1);
    }
    end_worker(1);
    ck_reaches(STREAMS_ARE("'{events}'"), 1);
}
END_TEST

/* A stream that an old worker does not read at all is not given to it. */
START_TEST(a_stream_goes_to_who_reads_it)
{
    struct leat_error err;

    begin();
    start_worker(0);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL", 4);
    ck_assert_int_eq(leat_local_kinesis_create_stream(fleet.kinesis, "more", 2, &err), 0);
    fleet.streams = "events, more";
    test_fleet_reconfigure(&fleet, LEASES TEST_STEADY_PROCESSORS);
    start_worker(1);
    ck_reaches("SELECT count(*) FROM leat.progress p JOIN leat.streams s USING (stream_id) WHERE "
               "s.name = 'more'",
               4);
    end_worker(1);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NULL AND stream_id LIKE "
               "'%more%'",
               2);
    sleep(2);
    ck_is("SELECT count(*) FROM leat.leases WHERE lease_owner IS NULL AND stream_id LIKE '%more%'",
          2);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL", 4);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {a_new_processor_misses_nothing,
                                  an_unknown_processor_waits,
                                  a_paused_processor_keeps_its_place,
                                  a_pause_waits_for_no_target,
                                  pauses_come_and_go,
                                  a_retired_processor_holds_up_nobody,
                                  streams_are_those_of_who_lives,
                                  a_stream_goes_to_who_reads_it};
    SRunner *runner;
    Suite *suite = suite_create("fleet_processors");
    TCase *processors = tcase_create("processors");
    int failed;

    test_postgres_url();
    tcase_set_timeout(processors, 240);
    tcase_add_checked_fixture(processors, NULL, teardown);
    for (size_t i = 0; i < LEAT_COUNT_OF(tests); i++)
        tcase_add_test(processors, tests[i]);
    suite_add_tcase(suite, processors);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
