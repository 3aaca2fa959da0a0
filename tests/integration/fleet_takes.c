/*
 * Takes that a call followed and no commit are counted, with real workers: not the moves of a shard that stays idle. From the third
 * on the log says so, before the call.
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

#define TOLD "a shard is taken again and again without a commit"
#define IDLE_ROUNDS 5
/* Each of them has taken its shards, as its lease is now. */
#define ALL_TAKEN                                                                                  \
    "SELECT count(*) FROM leat.progress p JOIN leat.leases l USING (stream_id, shard) JOIN "       \
    "leat.workers w ON w.incarnation = l.lease_owner AND w.state = 'alive' WHERE p.lease_owner = " \
    "l.lease_owner AND p.lease_counter = l.lease_counter"

static struct test_fleet fleet;
static struct test_worker workers[2];

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
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        LEAT_AUTO_BUF log = LEAT_BUF_INIT;

        if (workers[i].pid > 0)
            test_worker_log(&workers[i], &log);
        fprintf(stderr, "--- %s\n%s", workers[i].id, leat_buf_text(&log));
    }
    test_fleet_dump(&fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

static void
ck_is(const char *sql, int64_t wanted)
{
    int64_t is = test_fleet_number(&fleet, sql);

    if (is != wanted)
        test_fleet_dump(&fleet);
    ck_assert_msg(is == wanted, "%lld, not %lld: %s", (long long)is, (long long)wanted, sql);
}

static bool
has_said(const struct test_worker *worker, const char *text)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;

    test_worker_log(worker, &log);
    return strstr(leat_buf_text(&log), text) != NULL;
}

/* points: NULL, or what LEAT_POINTS says for this one worker. */
static void
spawn(int i, const char *id, const char *points, const char *const *arguments)
{
    if (points != NULL)
        setenv("LEAT_POINTS", points, 1);
    workers[i] = test_fleet_spawn(&fleet, id, arguments);
    unsetenv("LEAT_POINTS");
}

static void
end(int i, int signal_number)
{
    test_worker_kill(&workers[i], signal_number);
    test_worker_wait(&workers[i], NULL);
    workers[i].pid = 0;
}

/* '@' in the processors' YAML is where the tests' plugins are. */
static void
begin(unsigned shards, const char *processors)
{
    struct test_fleet_options options = {.shards = shards};
    const char *build = getenv("LEAT_BUILD") != NULL ? getenv("LEAT_BUILD") : "build/test";
    LEAT_AUTO_BUF yaml = LEAT_BUF_INIT;
    static char name[40];

    snprintf(name, sizeof name, "takes_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    leat_buf_add_text(&yaml, "leases: { heartbeat: 200ms, expiry: 1s }\nprocessors:\n");
    for (; *processors != '\0'; processors++) {
        if (*processors == '@')
            leat_buf_printf(&yaml, "%s/badplugins", build);
        else
            leat_buf_add_byte(&yaml, (uint8_t)*processors);
    }
    test_fleet_configure(&fleet, leat_buf_text(&yaml));
}

static void
put(const char *data)
{
    test_fleet_put(&fleet, leat_slice_from("key"), leat_slice_from(data));
}

static void
teardown(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        if (workers[i].pid == 0)
            continue;
        test_worker_kill(&workers[i], SIGCONT);
        end((int)i, SIGKILL);
    }
    test_fleet_end(&fleet);
}

/* One without a state, one that begins and ends a state, one that ticks, one whose progress is in the lease database: moved in
   peace and by force. */
START_TEST(moves_of_an_idle_shard_are_not_counted)
{
    char sql[160];

    begin(2, "  - { name: print, plugin: print, target: { plugin: postgres } }\n"
             "  - { name: flaky, plugin: @/flaky.so, target: { plugin: postgres } }\n"
             "  - { name: ticking, plugin: @/ticking.so, target: { plugin: postgres } }\n"
             "  - { name: file, plugin: \"null\", target: { plugin: jsonl, options: { path: "
             "/dev/null } } }\n");
    for (int round = 0; round < IDLE_ROUNDS; round++) {
        spawn(0, round % 2 == 0 ? "w1" : "w2", NULL, NULL);
        ck_reaches(ALL_TAKEN, 8);
        /* The ticks' takes are settled, each by a commit of nothing: a take moves the number by two (the first one by one). */
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM leat.progress WHERE processor = 'ticking' AND commit_seq >= "
                 "%d AND takes = 0",
                 3 * round + 2);
        ck_reaches(sql, 2);
        ck_assert(test_worker_says(&workers[0], "worker started", soon()));
        end(0, round < 3 ? SIGTERM : SIGKILL);
        ck_assert(!has_said(&workers[0], TOLD));
        ck_is("SELECT max(takes) FROM leat.progress WHERE processor <> 'ticking'", 0);
    }
    for (int i = 0; i < 20; i++) {
        char key[16];

        snprintf(key, sizeof key, "key-%d", i);
        test_fleet_put(&fleet, leat_slice_from(key), leat_slice_from("1 1"));
    }
    spawn(0, "w1", NULL, NULL);
    ck_reaches("SELECT count(*) FROM leat.progress WHERE takes = 0 AND checkpoint ~ '^[0-9]+$'", 8);
    end(0, SIGTERM);
    ck_assert(!has_said(&workers[0], TOLD));
    ck_is("SELECT max(takes) FROM leat.progress", 0);
}
END_TEST

/* A silent shard's ticks: one commit behind each take, and none after it. */
START_TEST(ticks_that_write_nothing_settle_a_take_once)
{
    int64_t commits;

    begin(1, "  - { name: ticking, plugin: @/ticking.so, target: { plugin: postgres } }\n");
    for (int round = 0; round < IDLE_ROUNDS; round++) {
        spawn(0, "w1", NULL, NULL);
        ck_reaches(ALL_TAKEN, 1);
        ck_assert(test_worker_says(&workers[0], "worker started", soon()));
        /* A take is two, a commit one. */
        ck_reaches("SELECT commit_seq FROM leat.progress", 3 * round + 2);
        ck_is("SELECT takes FROM leat.progress", 0);
        commits = test_fleet_number(&fleet, "SELECT commit_seq FROM leat.progress");
        ck_reaches("SELECT (clock_timestamp() > heartbeat_at)::int FROM leat.workers WHERE state = "
                   "'alive'",
                   1);
        ck_is("SELECT commit_seq FROM leat.progress", commits);
        end(0, round % 2 == 0 ? SIGTERM : SIGKILL);
        ck_assert(!has_said(&workers[0], TOLD));
    }
    ck_is("SELECT takes FROM leat.progress", 0);
}
END_TEST

/* The other processor of the same shard has committed, each time: its count is its own. */
START_TEST(who_ends_the_worker_is_counted_and_told_from_the_third_on)
{
    LEAT_AUTO_BUF yaml = LEAT_BUF_INIT;
    char command[200], told[100];

    leat_buf_printf(&yaml,
                    "  - { name: breaks, plugin: @/flaky.so, options: { hang: [7], crash: [7], "
                    "hang_while: /tmp/takes_%d }, target: { plugin: postgres } }\n"
                    "  - { name: print, plugin: print, target: { plugin: postgres } }\n",
                    (int)getpid());
    begin(1, leat_buf_text(&yaml));
    put("7 1");
    for (int round = 1; round <= 4; round++) {
        char sql[200];

        snprintf(command, sizeof command, "touch /tmp/takes_%d", (int)getpid());
        free(test_fleet_shell(&fleet, command));
        spawn(0, "w1", NULL, NULL);
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM leat.progress p JOIN leat.workers w ON w.incarnation = "
                 "p.lease_owner AND w.state = 'alive' WHERE processor = 'breaks' AND takes = %d",
                 round);
        ck_reaches(sql, 1);
        ck_reaches("SELECT count(*) FROM leat.progress WHERE processor = 'print' AND takes = 0 AND "
                   "checkpoint ~ '^[0-9]+$'",
                   1);
        if (round >= 3) {
            snprintf(told, sizeof told, "with this one %d takes in a row were followed by a call",
                     round);
            ck_assert(test_worker_says(&workers[0], TOLD, soon()));
            ck_assert(test_worker_says(&workers[0], told, soon()));
            ck_assert(test_worker_says(&workers[0], "\"processor\":\"breaks\"", soon()));
            ck_assert(
                test_worker_says(&workers[0], "\"stream\":\"" TEST_FLEET_STREAM "\"", soon()));
            ck_assert(test_worker_says(&workers[0], "\"shard\":\"shardId-000000000000\"", soon()));
        }
        snprintf(command, sizeof command, "rm /tmp/takes_%d", (int)getpid());
        free(test_fleet_shell(&fleet, command));
        ck_assert(WIFSIGNALED(test_worker_wait(&workers[0], NULL)));
        ck_assert_int_eq(has_said(&workers[0], TOLD), round >= 3);
        workers[0].pid = 0;
    }
    ck_is("SELECT takes FROM leat.progress WHERE processor = 'print'", 0);
    /* Mended: a commit, and it is over. */
    spawn(0, "w1", NULL, (const char *[]){"--set", "processors.breaks.options.crash=none", NULL});
    ck_reaches("SELECT count(*) FROM leat.progress WHERE takes = 0 AND checkpoint ~ '^[0-9]+$'", 2);
    ck_is("SELECT count(*) FROM flaky WHERE times = 1", 1);
}
END_TEST

/* Also shard_begin is a call, and is not made for a shard that is idle. */
START_TEST(a_crash_in_shard_begin_is_counted)
{
    begin(1, "  - { name: breaks, plugin: @/flaky.so, options: { crash_in_begin: true }, "
             "target: { plugin: postgres } }\n");
    spawn(0, "w1", NULL, NULL);
    ck_reaches(ALL_TAKEN, 1);
    end(0, SIGTERM);
    ck_is("SELECT takes FROM leat.progress", 0);
    put("1 1");
    for (int round = 1; round <= 3; round++) {
        spawn(0, "w1", NULL, NULL);
        ck_assert(WIFSIGNALED(test_worker_wait(&workers[0], NULL)));
        workers[0].pid = 0;
        ck_is("SELECT takes FROM leat.progress", round);
    }
    ck_assert(has_said(&workers[0], TOLD));
}
END_TEST

/* Killed before its take is counted, and between that and the call; frozen there while another one goes on. */
START_TEST(killed_or_frozen_between_count_and_call)
{
    begin(1, "  - { name: flaky, plugin: @/flaky.so, target: { plugin: postgres } }\n");
    put("1 1");
    spawn(0, "w1", "count.before=crash@1", NULL);
    ck_assert(WIFSIGNALED(test_worker_wait(&workers[0], NULL)));
    ck_is("SELECT takes FROM leat.progress", 0);
    spawn(0, "w1", "count.after=crash@1", NULL);
    ck_assert(WIFSIGNALED(test_worker_wait(&workers[0], NULL)));
    ck_is("SELECT takes FROM leat.progress", 1);
    spawn(0, "w1", "process.before=crash@1", NULL);
    ck_assert(WIFSIGNALED(test_worker_wait(&workers[0], NULL)));
    ck_is("SELECT takes FROM leat.progress", 2);
    spawn(0, "w1", "count.after=stop@1", NULL);
    ck_assert(test_worker_is_stopped(&workers[0], soon()));
    ck_is("SELECT takes FROM leat.progress", 3);
    spawn(1, "w2", NULL, NULL);
    ck_reaches("SELECT count(*) FROM flaky WHERE times = 1", 1);
    ck_assert(test_worker_says(&workers[1], "with this one 4 takes in a row", soon()));
    ck_reaches("SELECT count(*) FROM leat.progress WHERE takes = 0", 1);
    /* What it counted was its own take: nothing of it is left, and nothing of it is written. */
    test_worker_kill(&workers[0], SIGCONT);
    ck_reaches("SELECT count(*) FROM leat.workers WHERE state = 'alive'", 2);
    put("2 2");
    ck_reaches("SELECT count(*) FROM flaky WHERE times = 1", 2);
    ck_reaches("SELECT count(*) FROM leat.progress WHERE takes = 0", 1);
    ck_is("SELECT count(*) FROM flaky WHERE times <> 1", 0);
}
END_TEST

/* Frozen before it counts: the other one has the shard when it goes on, and what it then sends is fenced. */
START_TEST(a_count_of_a_shard_that_is_anothers_is_fenced)
{
    begin(1, "  - { name: flaky, plugin: @/flaky.so, target: { plugin: postgres } }\n");
    put("1 1");
    spawn(0, "w1", "count.before=stop@1", NULL);
    ck_assert(test_worker_is_stopped(&workers[0], soon()));
    spawn(1, "w2", "process.before=stop@1", NULL);
    ck_assert(test_worker_is_stopped(&workers[1], soon()));
    ck_is("SELECT takes FROM leat.progress", 1);
    /* The second one rests in its call; the first takes the shard back, and counts once. */
    test_worker_kill(&workers[0], SIGCONT);
    ck_reaches("SELECT count(*) FROM flaky WHERE times = 1", 1);
    test_worker_kill(&workers[1], SIGCONT);
    put("2 2");
    ck_reaches("SELECT count(*) FROM flaky WHERE times = 1", 2);
    ck_reaches("SELECT count(*) FROM leat.progress WHERE takes = 0", 1);
    ck_assert(!has_said(&workers[0], TOLD));
    ck_assert(!has_said(&workers[1], TOLD));
    ck_is("SELECT count(*) FROM flaky WHERE times <> 1", 0);
}
END_TEST

/* Somebody holds the progress row of one shard: its first call waits, visibly, the other shard's does not, and a stop neither. */
START_TEST(a_locked_row_holds_up_its_own_shard)
{
    struct leat_pg_connection *other = fleet.connection;
    struct leat_pg_options options = {.application_name = "somebody"};
    struct leat_error err;
    int64_t begun_us;

    begin(2, "  - { name: flaky, plugin: @/flaky.so, target: { plugin: postgres } }\n");
    spawn(0, "w1", NULL, NULL);
    ck_reaches(ALL_TAKEN, 2);
    options.url = fleet.url;
    ck_assert_int_eq(leat_pg_connect(&options, &other, &err), 0);
    ck_assert_int_eq(leat_pg_script(other,
                                    "BEGIN; SELECT 1 FROM leat.progress WHERE shard = "
                                    "'shardId-000000000000' FOR UPDATE",
                                    &err),
                     0);
    for (int i = 0; i < 20; i++) {
        char key[16], data[32];

        snprintf(key, sizeof key, "key-%d", i);
        snprintf(data, sizeof data, "%d %d", i, i);
        test_fleet_put(&fleet, leat_slice_from(key), leat_slice_from(data));
    }
    ck_reaches("SELECT count(*) FROM leat.progress WHERE checkpoint ~ '^[0-9]+$'", 1);
    ck_assert(test_worker_says(&workers[0], "a shard's progress row is locked", soon()));
    ck_is("SELECT count(*) FROM leat.progress WHERE checkpoint ~ '^[0-9]+$' AND shard = "
          "'shardId-000000000000'",
          0);
    /* A stop waits for nobody's psql. */
    begun_us = leat_clock_monotonic_us();
    end(0, SIGTERM);
    ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, 20 * LEAT_SECOND_US);
    ck_is("SELECT max(takes) FROM leat.progress", 0);
    ck_assert_int_eq(leat_pg_script(other, "COMMIT", &err), 0);
    leat_pg_close(other);
    spawn(0, "w1", NULL, NULL);
    ck_reaches("SELECT count(*) FROM flaky", 20);
    ck_is("SELECT count(*) FROM flaky WHERE times <> 1", 0);
    ck_assert(!has_said(&workers[0], TOLD));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fleet_takes");
    TCase *tests = tcase_create("fleet_takes");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, moves_of_an_idle_shard_are_not_counted);
    tcase_add_test(tests, ticks_that_write_nothing_settle_a_take_once);
    tcase_add_test(tests, who_ends_the_worker_is_counted_and_told_from_the_third_on);
    tcase_add_test(tests, a_crash_in_shard_begin_is_counted);
    tcase_add_test(tests, killed_or_frozen_between_count_and_call);
    tcase_add_test(tests, a_count_of_a_shard_that_is_anothers_is_fenced);
    tcase_add_test(tests, a_locked_row_holds_up_its_own_shard);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
