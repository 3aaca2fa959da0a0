/* Last words: a worker whose plugin crashes says which, and where in the stream; the signal stays what it was. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/units.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

static struct test_fleet fleet;
static struct test_worker worker;

static const struct {
    const char *kind, *name;
    int number;
} faults[] = {
    {"segv", "SIGSEGV", SIGSEGV}, {"abort", "SIGABRT", SIGABRT}, {"overflow", "SIGSEGV", SIGSEGV},
    {"divide", "SIGFPE", SIGFPE}, {"sent", "SIGBUS", SIGBUS},
};

static void
start(const char *kind)
{
    static char name[32];
    struct test_fleet_options options = {.shards = 1, .database = name};
    const char *build = getenv("LEAT_BUILD");
    LEAT_AUTO_BUF rest = LEAT_BUF_INIT;

    snprintf(name, sizeof name, "fleet_crashes_%d", (int)getpid());
    test_fleet_start(&fleet, &options);
    leat_buf_printf(&rest,
                    "processors:\n  - { name: breaks, plugin: %s/badplugins/flaky.so, start: "
                    "trim_horizon, options: { fault: [7], fault_kind: %s }, target: { plugin: "
                    "postgres } }\n",
                    build != NULL ? build : "build/test", kind);
    test_fleet_configure(&fleet, leat_buf_text(&rest));
}

static void
teardown(void)
{
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    test_fleet_end(&fleet);
}

static struct leat_slice
field(struct json_object *line, const char *key)
{
    struct leat_slice text = {0};

    leat_json_get_text(line, key, &text);
    return text;
}

/* The line of the crash, as JSON. What others say at this moment may come behind it: they are not stopped. */
static struct json_object *
last_words(struct leat_buf *log)
{
    struct json_object *line = NULL;
    struct leat_error err = {0};
    const char *begin, *found;

    test_worker_log(&worker, log);
    begin = leat_buf_text(log);
    found = strstr(begin, "\"the process crashes");
    ck_assert_msg(found != NULL, "%s", begin);
    ck_assert_ptr_nonnull(strchr(found, '\n'));
    while (found > begin && found[-1] != '\n')
        found--;
    ck_assert_msg(leat_json_parse(leat_slice_make(found, strcspn(found, "\n")), &line, &err) == 0,
                  "%s: %s", err.text, begin);
    return line;
}

START_TEST(a_crash_says_where)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    struct json_object *line;
    struct leat_slice first, answered;
    int64_t records = 0;
    int status;

    start(faults[_i].kind);
    for (int i = 1; i <= 9; i++) {
        char data[16];

        snprintf(data, sizeof data, "%d %d", i, i);
        test_fleet_put(&fleet, leat_slice_from("key"), leat_slice_from(data));
    }
    worker = test_fleet_spawn(&fleet, "w1", NULL);
    status = test_worker_wait(&worker, NULL);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == faults[_i].number, "%x", status);
    line = last_words(&log);
    ck_assert(leat_slice_is(field(line, "message"), "the process crashes in a plugin"));
    ck_assert(leat_slice_is(field(line, "level"), "error"));
    ck_assert(leat_slice_is(field(line, "signal"), faults[_i].name));
    ck_assert(leat_slice_is(field(line, "plugin"), "flaky"));
    ck_assert(leat_slice_is(field(line, "kind"), "processor"));
    ck_assert(leat_slice_is(field(line, "call"), "process"));
    ck_assert(leat_slice_is(field(line, "processor"), "breaks"));
    ck_assert(leat_slice_is(field(line, "stream"), TEST_FLEET_STREAM));
    ck_assert(leat_slice_is(field(line, "shard"), "shardId-000000000000"));
    ck_assert_uint_eq(field(line, "time").size, strlen("2022-01-01T00:01:00Z"));
    first = field(line, "first_sequence_number");
    answered = field(line, "last_answered");
    ck_assert(leat_json_get_integer(line, "records", &records) && records == 9);
    /* Six records were answered for; sequence numbers are of one length, and end in the record's number. */
    ck_assert_uint_eq(first.size, 56);
    ck_assert_uint_eq(answered.size, 56);
    ck_assert_int_lt(memcmp(first.data, answered.data, 56), 0);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM flaky"), 0);
    json_object_put(line);
    /* It is the same again: nothing was lost, nothing was passed. */
    worker = test_fleet_spawn(&fleet, "w2", NULL);
    status = test_worker_wait(&worker, NULL);
    ck_assert(WIFSIGNALED(status));
}
END_TEST

/* A signal from outside, while nothing is called. */
START_TEST(without_a_call)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    struct json_object *line;
    int status;

    start("segv");
    worker = test_fleet_spawn(&fleet, "w1", NULL);
    ck_assert(test_worker_says(&worker, "worker started", leat_clock_monotonic_us() + PATIENCE_US));
    test_worker_kill(&worker, SIGABRT);
    status = test_worker_wait(&worker, NULL);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    line = last_words(&log);
    ck_assert(leat_slice_is(field(line, "message"), "the process crashes"));
    ck_assert(leat_slice_is(field(line, "signal"), "SIGABRT"));
    ck_assert_uint_eq(field(line, "plugin").size, 0);
    json_object_put(line);
}
END_TEST

int
main(void)
{
    Suite *suite;
    TCase *tcase;
    SRunner *runner;
    int failed;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    puts("6 skipped: a sanitizer has handlers of its own");
    return 77;
#endif
    suite = suite_create("fleet_crashes");
    tcase = tcase_create("crashes");
    test_postgres_url();
    tcase_set_timeout(tcase, 180);
    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_loop_test(tcase, a_crash_says_where, 0, (int)LEAT_COUNT_OF(faults));
    tcase_add_test(tcase, without_a_call);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
