/*
 * Who cannot read a stream is not given its shards, with real workers: one with wrong credentials, one without a way to the
 * service, one whose credentials stop working while it holds shards. Others have them all, and it says what is wrong. And streams that nobody can
 * read: a worker that starts beside one reads the others.
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

#define WORKERS 3
#define CONFIGURATION                                                                              \
    "leases: { heartbeat: 300ms, expiry: 1500ms, sync_interval: 1s }\n"                            \
    "processors:\n  - { name: rollup, plugin: rollup, target: { plugin: postgres } }\n"
#define HELD_BY(id)                                                                                \
    "SELECT count(*) FROM leat.leases l JOIN leat.workers w ON w.incarnation = l.lease_owner "     \
    "WHERE l.state = 'active' AND w.worker_id = '" id "'"
#define CANNOT "this worker cannot read a stream"

static struct test_fleet fleet;
static struct test_worker workers[WORKERS];

static void
show(void)
{
    for (int i = 0; i < WORKERS; i++) {
        LEAT_AUTO_BUF log = LEAT_BUF_INIT;

        test_worker_log(&workers[i], &log);
        fprintf(stderr, "---- %s\n%s\n", workers[i].id, leat_buf_text(&log));
    }
    test_fleet_dump(&fleet);
}

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    show();
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

static void
ck_says(int index, const char *text)
{
    if (test_worker_says(&workers[index], text, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    show();
    ck_abort_msg("%s does not say: %s", workers[index].id, text);
}

static void
start_worker(int index)
{
    static const char *const ids[WORKERS] = {"w1", "w2", "w3"};

    workers[index] = test_fleet_spawn(&fleet, ids[index], NULL);
}

/* The status line of /readyz, of a worker that has started. */
static bool
is_ready(int index)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;
    char *answer;
    bool is;

    ck_says(index, "worker started");
    leat_buf_printf(&command,
                    "bash -c 'port=$(grep -o \"http_port.:[^,]*\" $DIR/%s.log | tail -n 1 | tr -dc "
                    "0-9); exec 3<>/dev/tcp/127.0.0.1/$port; printf \"GET /readyz HTTP/1.0\\r\\n"
                    "\\r\\n\" >&3; head -n 1 <&3'",
                    workers[index].id);
    answer = test_fleet_shell(&fleet, leat_buf_text(&command));
    is = strstr(answer, " 200 ") != NULL;
    free(answer);
    return is;
}

static void
ck_becomes_ready(int index)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (!is_ready(index) && leat_clock_monotonic_us() < deadline_us)
        usleep(20000);
    ck_assert(is_ready(index));
}

static void
setup(void)
{
    struct test_fleet_options options = {.shards = 4};
    char name[40];

    snprintf(name, sizeof name, "readers_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, CONFIGURATION);
    memset(workers, 0, sizeof workers);
}

static void
teardown(void)
{
    for (int i = 0; i < WORKERS; i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    test_fleet_end(&fleet);
}

/* Also new streams and shards are found meanwhile: it claims nothing that it cannot do. */
START_TEST(who_cannot_read_takes_nothing)
{
    char *endpoint = leat_strdup(getenv("AWS_ENDPOINT_URL_KINESIS"));
    struct leat_error err;

    start_worker(0);
    ck_reaches(HELD_BY("w1"), 4);
    ck_becomes_ready(0);
    setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
    start_worker(1);
    setenv("AWS_SECRET_ACCESS_KEY", "leat", 1);
    setenv("AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:9", 1);
    start_worker(2);
    setenv("AWS_ENDPOINT_URL_KINESIS", endpoint, 1);
    free(endpoint);
    ck_says(1, CANNOT);
    ck_says(2, CANNOT);
    ck_assert(!is_ready(1));
    ck_assert(!is_ready(2));
    for (int shard = 0; shard < 2; shard++) {
        char name[32];

        snprintf(name, sizeof name, "shardId-%012d", shard);
        ck_assert_int_eq(leat_local_kinesis_split(fleet.kinesis, TEST_FLEET_STREAM, name, &err), 0);
    }
    ck_reaches("SELECT count(*) FROM leat.leases WHERE state = 'ended'", 2);
    ck_reaches(HELD_BY("w1"), 6);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.lease_moves WHERE "
                                               "to_worker IN ('w2', 'w3')"),
                     0);
}
END_TEST

/* The service takes one pair of keys at a time: who has the other one gives everything to who has this one, and back. */
START_TEST(who_cannot_read_any_more_gives_it_back)
{
    start_worker(0);
    ck_reaches(HELD_BY("w1"), 4);
    leat_local_kinesis_set_credentials(fleet.kinesis, "other", "other", NULL);
    setenv("AWS_ACCESS_KEY_ID", "other", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "other", 1);
    start_worker(1);
    ck_reaches(HELD_BY("w2"), 4);
    ck_says(0, CANNOT);
    ck_becomes_ready(1);
    leat_local_kinesis_set_credentials(fleet.kinesis, "leat", "leat", NULL);
    ck_reaches(HELD_BY("w1"), 4);
    ck_says(0, "can read a stream again");
    ck_says(1, CANNOT);
}
END_TEST

/* Nobody can: everybody keeps what he has, and goes on with it. */
START_TEST(what_nobody_can_read_stays_where_it_is)
{
    struct leat_local_fault fault = {.kind = LEAT_LOCAL_FAULT_ERROR};
    int64_t moves;

    start_worker(0);
    start_worker(1);
    ck_reaches(HELD_BY("w1"), 2);
    ck_reaches(HELD_BY("w2"), 2);
    ck_becomes_ready(0);
    ck_becomes_ready(1);
    moves = test_fleet_number(&fleet, "SELECT count(*) FROM leat.lease_moves");
    leat_local_kinesis_fault(fleet.kinesis, &fault);
    ck_says(0, "the stream cannot be read");
    sleep(14);
    leat_local_kinesis_clear_faults(fleet.kinesis);
    ck_says(0, "the stream can be read again");
    ck_says(1, "the stream can be read again");
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.lease_moves"), moves);
}
END_TEST

/* ---- a start beside streams that are bad --------------------------------------------------------- */

static const struct bad_stream {
    const char *what, *streams;
    struct leat_local_fault fault;
    const char *says[2]; /* by name, in one line; within seconds */
} bad_streams[] = {
    {"missing",
     "events, other",
     {.kind = LEAT_LOCAL_FAULT_REFUSE,
      .action = "DescribeStreamSummary",
      .stream = "other",
      .type = "ResourceNotFoundException"},
     {"there is no such stream: it is waited for", "\"stream\":\"other\""}},
    {"refused",
     "other, events",
     {.kind = LEAT_LOCAL_FAULT_REFUSE,
      .action = "DescribeStreamSummary",
      .stream = "other",
      .type = "AccessDeniedException"},
     {"a stream cannot be looked up", "\"stream\":\"other\""}},
    {"garbage",
     "other, events",
     {.kind = LEAT_LOCAL_FAULT_ERROR,
      .action = "DescribeStreamSummary",
      .stream = "other",
      .status = 200},
     {"a stream cannot be looked up", "\"stream\":\"other\""}},
    {"silent",
     "other, events",
     {.kind = LEAT_LOCAL_FAULT_DELAY,
      .action = "DescribeStreamSummary",
      .stream = "other",
      .delay_us = 3600 * LEAT_SECOND_US},
     {"a stream cannot be looked up", "\"stream\":\"other\""}},
    {"a list that is garbage",
     "events, \"oth*\"",
     {.kind = LEAT_LOCAL_FAULT_ERROR, .action = "ListStreams", .status = 200},
     {"could not list streams", ""}},
    {"a list that is refused",
     "events, \"oth*\"",
     {.kind = LEAT_LOCAL_FAULT_REFUSE, .action = "ListStreams", .type = "AccessDeniedException"},
     {"could not list streams", "AccessDenied"}},
    {"shards that are refused",
     "other, events",
     {.kind = LEAT_LOCAL_FAULT_REFUSE,
      .action = "ListShards",
      .stream = "other",
      .type = "AccessDeniedException"},
     {"could not look for new streams and shards", "other"}},
};

static bool
says_in_one_line(int index, const char *const *texts)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    bool is_found = false;

    ck_says(index, texts[0]);
    test_worker_log(&workers[index], &log);
    for (const char *at = leat_buf_text(&log); !is_found && *at != '\0';
         at += strcspn(at, "\n"), at += *at == '\n') {
        LEAT_AUTO_FREE char *line = leat_slice_strdup(leat_slice_make(at, strcspn(at, "\n")));

        is_found = strstr(line, texts[0]) != NULL && strstr(line, texts[1]) != NULL;
    }
    return is_found;
}

/* The good one is read, the bad one is named, and read when it is good. */
START_TEST(a_bad_stream_holds_up_no_good_one)
{
    const struct bad_stream *bad = &bad_streams[_i];
    struct leat_error err;

    ck_assert_int_eq(leat_local_kinesis_create_stream(fleet.kinesis, "other", 2, &err), 0);
    leat_local_kinesis_fault(fleet.kinesis, &bad->fault);
    fleet.streams = bad->streams;
    test_fleet_reconfigure(&fleet, CONFIGURATION);
    start_worker(0);
    ck_reaches(HELD_BY("w1"), 4);
    ck_becomes_ready(0);
    ck_assert_msg(says_in_one_line(0, bad->says), "%s", bad->what);
    ck_assert_int_eq(test_fleet_number(&fleet, HELD_BY("w1")), 4);
    leat_local_kinesis_clear_faults(fleet.kinesis);
    ck_reaches(HELD_BY("w1"), 6);
    fleet.streams = NULL;
}
END_TEST

/* Nothing else is there to read: it is tried again, since garbage and silence may end. */
START_TEST(a_start_among_garbage_goes_on_when_it_ends)
{
    struct leat_local_fault fault = {.kind = LEAT_LOCAL_FAULT_ERROR, .status = 200};

    fault.action = _i == 0 ? "ListStreams" : "DescribeStreamSummary";
    leat_local_kinesis_fault(fleet.kinesis, &fault);
    fleet.streams = _i == 0 ? "\"ev*\"" : "events";
    test_fleet_reconfigure(&fleet, CONFIGURATION);
    start_worker(0);
    ck_says(0, "could not start, trying again");
    leat_local_kinesis_clear_faults(fleet.kinesis);
    ck_reaches(HELD_BY("w1"), 4);
    fleet.streams = NULL;
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fleet_readers");
    TCase *tests = tcase_create("fleet_readers");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, who_cannot_read_takes_nothing);
    tcase_add_test(tests, who_cannot_read_any_more_gives_it_back);
    tcase_add_test(tests, what_nobody_can_read_stays_where_it_is);
    tcase_add_loop_test(tests, a_bad_stream_holds_up_no_good_one, 0, LEAT_COUNT_OF(bad_streams));
    tcase_add_loop_test(tests, a_start_among_garbage_goes_on_when_it_ends, 0, 2);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
