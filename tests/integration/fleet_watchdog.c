/*
 * Shards that stand still, with real workers: a plugin that does not come back from its calls costs its own shards alone, even
 * when it holds every worker thread; what is stuck is named in the log, the metrics and the worker's row, rewound, given away, and
 * not thrown to and fro; outages and pauses are not called stuck; SIGTERM waits for nobody longer than drain_timeout.
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

#define SHARDS 4

static struct test_fleet fleet;
static struct test_worker workers[2];
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
ck_says(int index, const char *text)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;

    if (test_worker_says(&workers[index], text, soon()))
        return;
    test_worker_log(&workers[index], &log);
    ck_abort_msg("%s does not say \"%s\", but: %s", workers[index].id, text, leat_buf_text(&log));
}

static int
count_said(int index, const char *text)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    int count = 0;

    test_worker_log(&workers[index], &log);
    for (const char *at = leat_buf_text(&log); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* So often at least: rows and metrics may be there before the log is. */
static void
ck_said(int index, const char *text, int times)
{
    int64_t deadline_us = soon();

    while (count_said(index, text) < times && leat_clock_monotonic_us() < deadline_us)
        usleep(10000);
    ck_assert_int_ge(count_said(index, text), times);
}

/* hang: devices. */
static void
begin(const char *hang, const char *rest)
{
    struct test_fleet_options options = {.shards = SHARDS};
    LEAT_AUTO_BUF yaml = LEAT_BUF_INIT;
    char name[40];

    records_put = 0;
    snprintf(name, sizeof name, "watchdog_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    leat_buf_printf(&yaml,
                    "leases: { heartbeat: 300ms, expiry: 3s, force_after: 2s }\n"
                    "threads: { workers: 2 }\n%s"
                    "processors:\n"
                    "  - { name: flaky, plugin: %s/badplugins/flaky.so, options: { hang: [%s], "
                    "hang_while: %s/hang, unavailable: %s/away }, batch: { records: 10, deadline: "
                    "500ms }, failure: { retries: 1000, backoff: 1ms..20ms }, target: { plugin: "
                    "postgres } }\n",
                    rest, getenv("LEAT_BUILD"), hang, fleet.directory, fleet.directory);
    test_fleet_configure(&fleet, leat_buf_text(&yaml));
}

static void
teardown(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    test_fleet_end(&fleet);
}

static void
start_worker(int index, const char *const *arguments)
{
    static const char *const ids[] = {"w1", "w2"};

    workers[index] = test_fleet_spawn(&fleet, ids[index], arguments);
}

static void
shell(const char *command)
{
    free(test_fleet_shell(&fleet, command));
}

/* To a shard of the first generation. */
static void
put(int shard, int64_t device)
{
    static const char *const hash_keys[SHARDS] = {"0", "85070591730234615865843651857942052864",
                                                  "170141183460469231731687303715884105728",
                                                  "255211775190703847597530955573826158592"};
    struct leat_error err;
    char data[64];
    int size =
        snprintf(data, sizeof data, "%lld %lld", (long long)device, (long long)records_put++);

    ck_assert_int_eq(leat_local_kinesis_put(fleet.kinesis, TEST_FLEET_STREAM, leat_slice_from("k"),
                                            leat_slice_from(hash_keys[shard]),
                                            leat_slice_make(data, (size_t)size), NULL, &err),
                     0);
}

static void
put_some(void)
{
    for (int i = 0; i < 200; i++)
        put(i % SHARDS, i / SHARDS);
}

static void
ck_all_right(void)
{
    ck_reaches("SELECT count(*) FROM flaky", records_put);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM flaky WHERE times <> 1"), 0);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.failures"), 0);
}

static double
metric(int index, const char *name)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;
    const char *port;
    double value;
    char *text;

    ck_says(index, "\"http_port\":");
    test_worker_log(&workers[index], &log);
    port = strstr(leat_buf_text(&log), "\"http_port\":") + strlen("\"http_port\":");
    leat_buf_printf(&command, "curl -s http://127.0.0.1:%ld/metrics | grep '^%s ' | cut -d' ' -f2",
                    strtol(port, NULL, 10), name);
    text = test_fleet_shell(&fleet, leat_buf_text(&command));
    value = strtod(text, NULL);
    free(text);
    return value;
}

static void
ck_metric(int index, const char *name, double wanted)
{
    int64_t deadline_us = soon();
    double value;

    while ((value = metric(index, name)) != wanted && leat_clock_monotonic_us() < deadline_us)
        usleep(50000);
    ck_assert_msg(value == wanted, "%s is %g, not %g", name, value, wanted);
}

#define STUCK                                                                                      \
    "SELECT coalesce(sum(jsonb_array_length(stuck)), 0)::int8 FROM leat.workers WHERE state = "    \
    "'alive'"
#define OF_SHARD(shard) "SELECT count(*) FROM flaky WHERE device = " #shard

/* Two of two worker threads, then three shards of four: the others flow, heartbeats go on, and nothing of it counts. */
START_TEST(a_hanging_plugin_costs_its_shards_alone)
{
    int64_t flowing;

    begin("100, 101, 102", "watchdog: { stuck_after: 2s, act_after: 0s }\n");
    shell("touch $DIR/hang");
    start_worker(0, NULL);
    put_some();
    ck_reaches("SELECT count(*) FROM flaky", records_put);
    put(0, 100);
    put(1, 101);
    ck_metric(0, "leat_calls_overdue", 2);
    ck_metric(0, "leat_threads_added", 2);
    ck_says(0, "past its deadline");
    ck_reaches(STUCK, 2);
    put_some();
    ck_reaches("SELECT count(*) FROM flaky", 300); /* of two shards all */
    put(2, 102);
    ck_metric(0, "leat_calls_overdue", 3);
    ck_metric(0, "leat_shards_stuck", 3);
    flowing = test_fleet_number(&fleet, "SELECT count(*) FROM flaky");
    put_some();
    ck_reaches("SELECT count(*) FROM flaky", flowing + 50);
    ck_says(0, "a shard is stuck");
    ck_says(0, "in a call of process for");
    ck_reaches("SELECT count(*) FROM leat.workers WHERE state = 'alive' AND stuck @> "
               "'[{\"processor\": \"flaky\", \"shard\": \"shardId-000000000002\", \"why\": \"in a "
               "call of process\"}]'",
               1);
    ck_reaches(STUCK, 3);
    ck_said(0, "a shard is stuck", 3);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.workers"), 1);
    ck_assert_int_eq(count_said(0, "declared dead"), 0);
    shell("rm $DIR/hang");
    ck_all_right();
    ck_metric(0, "leat_calls_overdue", 0);
    ck_metric(0, "leat_threads_added", 0);
    ck_reaches("SELECT count(*) FROM leat.workers WHERE stuck IS NULL", 1);
    ck_said(0, "a shard is not stuck any more", count_said(0, "a shard is stuck"));
    ck_assert_int_eq(count_said(0, "a shard is not stuck any more"),
                     count_said(0, "a shard is stuck"));
    put_some();
    ck_all_right();
}
END_TEST

/* It hangs at one worker alone: the other one gets the lease; the call comes back after that, and does not count. */
START_TEST(a_stuck_lease_is_given_away)
{
    char files[2][160];
    int owner;

    begin("100", "watchdog: { stuck_after: 1500ms, act_after: 2s }\n");
    for (int i = 0; i < 2; i++) {
        snprintf(files[i], sizeof files[i], "processors.flaky.options.hang_while=%s/hang%d",
                 fleet.directory, i);
        start_worker(i, (const char *[]){"--set", files[i], NULL});
    }
    /* Nothing moves any more: whose the shard is now it is when the record comes. */
    ck_reaches("SELECT count(*) FROM (SELECT FROM leat.leases WHERE next_owner IS NULL GROUP BY "
               "lease_owner HAVING count(lease_owner) = 2) h",
               2);
    put_some();
    ck_reaches("SELECT count(*) FROM flaky", records_put);
    owner = (int)test_fleet_number(&fleet,
                                   "SELECT (w.worker_id = 'w2')::int FROM leat.leases l JOIN "
                                   "leat.workers w ON w.incarnation = l.lease_owner WHERE shard = "
                                   "'shardId-000000000000'");
    shell(owner == 0 ? "touch $DIR/hang0" : "touch $DIR/hang1");
    put(0, 100);
    put_some();
    ck_says(owner, "in a call of process for");
    ck_says(owner, "lease is given away");
    ck_reaches("SELECT count(*) FROM flaky", records_put);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE given_up = 1", 1);
    ck_metric(owner, "leat_calls_overdue", 1);
    shell("rm $DIR/hang*");
    put_some();
    ck_all_right();
    ck_metric(owner, "leat_calls_overdue", 0);
    ck_reaches("SELECT count(*) FROM leat.workers WHERE stuck IS NULL", 2);
    put_some();
    ck_all_right();
}
END_TEST

/* It hangs wherever it goes: named all the time, but moved ever more rarely. */
START_TEST(a_lease_is_not_thrown_to_and_fro)
{
    int64_t until_us;

    begin("100", "watchdog: { stuck_after: 1s, act_after: 1s }\n");
    shell("touch $DIR/hang");
    start_worker(0, NULL);
    start_worker(1, NULL);
    put_some();
    ck_reaches("SELECT count(*) FROM flaky", records_put);
    put(0, 100);
    ck_reaches("SELECT given_up FROM leat.leases WHERE shard = 'shardId-000000000000'", 2);
    until_us = leat_clock_monotonic_us() + 8 * LEAT_SECOND_US;
    while (leat_clock_monotonic_us() < until_us) {
        /* Others are not moved for it: they flow. */
        put(1, 1);
        usleep(20000);
    }
    ck_assert_int_le(
        test_fleet_number(&fleet,
                          "SELECT given_up FROM leat.leases WHERE shard = 'shardId-000000000000'"),
        7);
    ck_reaches("SELECT count(*) FROM flaky", records_put - 1);
    shell("rm $DIR/hang");
    put_some();
    ck_all_right();
}
END_TEST

/* Nobody is told that a shard is stuck for what is told as something else. */
START_TEST(waiting_is_not_stuck)
{
    begin("100", "watchdog: { stuck_after: 1500ms, act_after: 1500ms }\n");
    shell("touch $DIR/away");
    start_worker(0, NULL);
    start_worker(1, NULL);
    put_some();
    ck_says(0, "what the processor needs is not available");
    ck_says(1, "what the processor needs is not available");
    sleep(3);
    shell("rm $DIR/away");
    ck_all_right();
    test_fleet_sql(&fleet, "ALTER TABLE flaky RENAME TO gone");
    put_some();
    sleep(3);
    test_fleet_sql(&fleet, "ALTER TABLE gone RENAME TO flaky");
    ck_all_right();
    test_fleet_sql(&fleet,
                   "BEGIN; UPDATE leat.processors SET state = 'paused'; UPDATE leat.applications "
                   "SET assignment_version = assignment_version + 1; COMMIT");
    ck_says(0, "the processor is paused");
    put_some();
    sleep(3);
    test_fleet_sql(&fleet,
                   "BEGIN; UPDATE leat.processors SET state = 'active'; UPDATE leat.applications "
                   "SET assignment_version = assignment_version + 1; COMMIT");
    ck_all_right();
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(count_said(i, "given away"), 0);
        ck_assert_int_eq(count_said(i, "rewound"), 0);
    }
}
END_TEST

/* The stream does not answer for one shard: named, rewound, and it goes on when it answers. */
START_TEST(silence_is_named_and_rewound)
{
    struct leat_local_fault silence = {.kind = LEAT_LOCAL_FAULT_DELAY,
                                       .action = "GetRecords",
                                       .shard = "shardId-000000000003",
                                       .delay_us = 8 * LEAT_SECOND_US,
                                       .times = 1};

    begin("100", "watchdog: { stuck_after: 2s, act_after: 3s }\n");
    start_worker(0, NULL);
    put_some();
    ck_reaches("SELECT count(*) FROM flaky", records_put);
    leat_local_kinesis_fault(fleet.kinesis, &silence);
    put_some();
    ck_says(0, "reading for");
    ck_reaches("SELECT count(*) FROM leat.workers WHERE stuck @> '[{\"shard\": "
               "\"shardId-000000000003\", \"why\": \"reading\"}]'",
               1);
    ck_says(0, "a stuck shard is rewound");
    ck_all_right();
    ck_reaches("SELECT count(*) FROM leat.workers WHERE stuck IS NULL", 1);
}
END_TEST

/* A commit that takes its time, and nobody says why: named, rewound meanwhile, and all is written once. */
START_TEST(a_hanging_commit_is_named_and_rewound)
{
    begin("100", "watchdog: { stuck_after: 2s, act_after: 2s }\n");
    setenv("LEAT_POINTS", "commit.before=pause:7s@1", 1);
    start_worker(0, NULL);
    unsetenv("LEAT_POINTS");
    put_some();
    ck_says(0, "waiting for the target for");
    ck_reaches("SELECT count(*) FROM leat.workers WHERE stuck @> '[{\"why\": \"waiting for the "
               "target\"}]'",
               1);
    ck_says(0, "a stuck shard is rewound");
    ck_all_right();
    ck_reaches("SELECT count(*) FROM leat.workers WHERE stuck IS NULL", 1);
    put_some();
    ck_all_right();
}
END_TEST

/* Every thread in a call that does not come back: leases go at once, the process ends when its time is up. */
START_TEST(sigterm_waits_for_nobody)
{
    int64_t begun_us;
    int status;

    begin("100, 101, 102",
          "watchdog: { stuck_after: 2s, act_after: 0s }\nshutdown: { drain_timeout: 3s }\n");
    shell("touch $DIR/hang");
    start_worker(0, NULL);
    put_some();
    ck_reaches("SELECT count(*) FROM flaky", records_put);
    put(0, 100);
    put(1, 101);
    put(2, 102);
    ck_metric(0, "leat_calls_overdue", 3);
    begun_us = leat_clock_monotonic_us();
    test_worker_kill(&workers[0], SIGTERM);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NULL", SHARDS);
    status = test_worker_wait(&workers[0], NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, PATIENCE_US);
    ck_says(0, "did not come back: the process ends without it");
    shell("rm $DIR/hang");
    start_worker(0, NULL);
    put_some();
    ck_all_right();
}
END_TEST

/* A target that does not come back from commit: its committer is named, its shards wait; another processor of the same shards goes
   on, also when leases come and go meanwhile; and SIGTERM ends in time. */
START_TEST(a_hanging_target_holds_its_committer_alone)
{
    LEAT_AUTO_BUF more = LEAT_BUF_INIT;
    int64_t begun_us;
    int status;

    begin("100", "watchdog: { stuck_after: 2s, act_after: 0s }\n"
                 "shutdown: { drain_timeout: 3s }\n");
    leat_buf_printf(&more,
                    "leases: { heartbeat: 300ms, expiry: 3s, force_after: 2s }\n"
                    "threads: { workers: 2 }\n"
                    "watchdog: { stuck_after: 2s, act_after: 0s }\n"
                    "shutdown: { drain_timeout: 3s }\n"
                    "processors:\n"
                    "  - { name: flaky, plugin: %s/badplugins/flaky.so, target: { plugin: postgres "
                    "} }\n"
                    "  - { name: other, plugin: %s/badplugins/flaky.so, target: { plugin: "
                    "%s/badplugins/hanging.so, options: { hang_while: %s/hang } } }\n",
                    getenv("LEAT_BUILD"), getenv("LEAT_BUILD"), getenv("LEAT_BUILD"),
                    fleet.directory);
    test_fleet_reconfigure(&fleet, leat_buf_text(&more));
    shell("touch $DIR/hang");
    start_worker(0, NULL);
    put_some();
    ck_says(0, "a committer is stuck");
    ck_says(0, "is in commit of target \\\"hanging\\\"");
    ck_reaches("SELECT count(*) FROM flaky", records_put);
    /* Two of four shards go to another worker: who leaves waits for the committer, and holds no thread. */
    start_worker(1, NULL);
    ck_reaches("SELECT count(DISTINCT lease_owner) FROM leat.leases", 2);
    put_some();
    ck_reaches("SELECT count(*) FROM flaky", records_put);
    begun_us = leat_clock_monotonic_us();
    test_worker_kill(&workers[0], SIGTERM);
    status = test_worker_wait(&workers[0], NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, PATIENCE_US);
    put_some();
    ck_reaches("SELECT count(*) FROM flaky", records_put);
    shell("rm $DIR/hang");
    ck_says(1, "a committer is not stuck any more");
    ck_reaches("SELECT count(*) FROM leat.progress o JOIN leat.progress f USING (shard) WHERE "
               "o.processor = 'other' AND f.processor = 'flaky' AND o.checkpoint = f.checkpoint",
               SHARDS);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_hanging_plugin_costs_its_shards_alone,
        a_stuck_lease_is_given_away,
        a_lease_is_not_thrown_to_and_fro,
        waiting_is_not_stuck,
        silence_is_named_and_rewound,
        a_hanging_commit_is_named_and_rewound,
        sigterm_waits_for_nobody,
        a_hanging_target_holds_its_committer_alone,
    };
    SRunner *runner;
    Suite *suite = suite_create("fleet_watchdog");
    TCase *watchdog = tcase_create("watchdog");
    int failed;

    test_postgres_url();
    tcase_set_timeout(watchdog, 240);
    tcase_add_checked_fixture(watchdog, NULL, teardown);
    for (size_t i = 0; i < LEAT_COUNT_OF(tests); i++)
        tcase_add_test(watchdog, tests[i]);
    suite_add_tcase(suite, watchdog);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
