/*
 * Where processors begin, with real workers: each processor has a table of its own (print), and each phase of a test puts one
 * record per key, so what a processor saw is a word: "CD" are the records of phases C and D, all of them, each once, and the
 * records of a key in the order in which they were put.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

#define KEYS 40
/* The service's clock is told in whole seconds (Date): what LATEST is resolved to may be that much too early. */
#define DATE_US (1100 * LEAT_MS_US)

static struct test_fleet fleet;
static struct test_worker workers[2];

struct begins {
    const char *name, *start;
};

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

/* ---- the stream --------------------------------------------------------------------------------- */

static void
put_phase(char phase)
{
    test_fleet_put_phase(&fleet, phase, KEYS);
}

static void
split(const char *shard)
{
    test_fleet_split(&fleet, shard);
}

static void
merge(const char *shard, const char *adjacent)
{
    struct leat_error err;

    ck_assert_msg(
        leat_local_kinesis_merge(fleet.kinesis, TEST_FLEET_STREAM, shard, adjacent, &err) == 0,
        "%s", err.text);
}

/* As the configuration takes it; what was put lies before its ms, what will be put behind it. */
static const char *
time_now(void)
{
    static char text[64];
    int64_t now_us = leat_local_kinesis_now_us(fleet.kinesis) + 2 * LEAT_MS_US;
    LEAT_AUTO_BUF seconds = LEAT_BUF_INIT;

    leat_format_time(&seconds, now_us);
    snprintf(text, sizeof text, "%.19s.%03dZ", leat_buf_text(&seconds),
             (int)(now_us % LEAT_SECOND_US / LEAT_MS_US));
    usleep(5000);
    return text;
}

/* ---- processors ----------------------------------------------------------------------------------- */

/* Each with its table: saw_NAME. */
static void
add_processors(const struct begins *processors, size_t count, struct leat_buf *out)
{
    leat_buf_add_text(out, "leases: { heartbeat: 300ms, expiry: 1500ms }\nprocessors:\n");
    for (size_t i = 0; i < count; i++)
        leat_buf_printf(out,
                        "  - { name: %s, plugin: print, start: \"%s\", target: { plugin: postgres, "
                        "options: { tables: { records: saw_%s } } } }\n",
                        processors[i].name, processors[i].start, processors[i].name);
}

static void
configure(const struct begins *processors, size_t count)
{
    LEAT_AUTO_BUF rest = LEAT_BUF_INIT;

    add_processors(processors, count, &rest);
    test_fleet_reconfigure(&fleet, leat_buf_text(&rest));
}

static void
make_tables(void)
{
    static const struct begins all[] = {{"all", "trim_horizon"},
                                        {"late", "trim_horizon"},
                                        {"timed", "trim_horizon"},
                                        {"replay", "trim_horizon"}};
    LEAT_AUTO_BUF rest = LEAT_BUF_INIT;

    add_processors(all, LEAT_COUNT_OF(all), &rest);
    test_fleet_configure(&fleet, leat_buf_text(&rest));
    for (size_t i = 0; i < LEAT_COUNT_OF(all); i++) {
        LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

        leat_buf_printf(&sql, "ALTER TABLE saw_%s ADD COLUMN committed bigserial", all[i].name);
        test_fleet_sql(&fleet, leat_buf_text(&sql));
    }
}

#define CONFIGURE(...)                                                                             \
    do {                                                                                           \
        const struct begins these[] = {__VA_ARGS__};                                               \
        configure(these, LEAT_COUNT_OF(these));                                                    \
    } while (0)

/* "A 40 B 40": how often each record of each phase was seen, as far as that is the same for all of them. */
static char *
seen_by(const char *processor)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    PGresult *result;
    char *text;

    leat_buf_printf(&sql,
                    "SELECT coalesce(string_agg(format('%%s %%s', phase, n), ' ' ORDER BY phase), "
                    "'') FROM (SELECT left(data, 1) AS phase, count(*) AS n FROM saw_%s GROUP BY "
                    "1) p",
                    processor);
    result = PQexec(fleet.connection->conn, leat_buf_text(&sql));
    ck_assert_int_eq(PQresultStatus(result), PGRES_TUPLES_OK);
    text = leat_strdup(PQgetvalue(result, 0, 0));
    PQclear(result);
    return text;
}

/* All records of these phases, each once, none of another, and no key out of order. They are waited for. */
static void
ck_saw(const char *processor, const char *phases)
{
    LEAT_AUTO_BUF wanted = LEAT_BUF_INIT;
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    char *seen;

    for (const char *phase = phases; *phase != '\0'; phase++)
        leat_buf_printf(&wanted, "%s%c %d", phase > phases ? " " : "", *phase, KEYS);
    leat_buf_printf(&sql, "SELECT count(*) FROM saw_%s", processor);
    if (!test_fleet_wait_for(&fleet, leat_buf_text(&sql), (int64_t)strlen(phases) * KEYS, soon()))
        test_fleet_dump(&fleet);
    seen = seen_by(processor);
    ck_assert_msg(strcmp(seen, leat_buf_text(&wanted)) == 0, "%s saw %s, not %s", processor, seen,
                  leat_buf_text(&wanted));
    free(seen);
    leat_buf_clear(&sql);
    leat_buf_printf(&sql,
                    "SELECT count(*) FROM (SELECT data, lag(data) OVER (PARTITION BY partition_key "
                    "ORDER BY committed) AS before FROM saw_%s) o WHERE left(data, 1) <= "
                    "left(before, 1)",
                    processor);
    ck_assert_int_eq(test_fleet_number(&fleet, leat_buf_text(&sql)), 0);
}

#define MET "SELECT count(*) FROM leat.starts"
#define ENDED "SELECT count(*) FROM leat.leases WHERE state = 'ended'"

/* ---- workers --------------------------------------------------------------------------------------- */

static void
start_worker(int index)
{
    static const char *const ids[] = {"w1", "w2"};

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
begin(unsigned shards)
{
    struct test_fleet_options options = {.shards = shards};
    char name[40];

    snprintf(name, sizeof name, "starts_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    make_tables();
}

static void
teardown(void)
{
    unsetenv("LEAT_POINTS");
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    test_fleet_end(&fleet);
}

/* ---- the first time --------------------------------------------------------------------------------- */

/* Two workers meet the stream at once; it was split before, and is split again behind all starts. */
START_TEST(each_processor_has_its_start)
{
    const char *time;

    begin(2);
    put_phase('A');
    split("shardId-000000000000"); /* -> 2, 3 */
    put_phase('B');
    time = time_now();
    put_phase('C');
    usleep(DATE_US);
    CONFIGURE({"all", "trim_horizon"}, {"late", "latest"}, {"timed", time});
    start_worker(0);
    start_worker(1);
    ck_reaches(MET, 3);
    put_phase('D');
    ck_saw("all", "ABCD");
    split("shardId-000000000001"); /* -> 4, 5 */
    merge("shardId-000000000002", "shardId-000000000003");
    put_phase('E');
    ck_saw("all", "ABCDE");
    ck_saw("timed", "CDE");
    ck_saw("late", "DE");
    ck_reaches(ENDED, 4);
    ck_assert_int_eq(test_fleet_number(&fleet, MET), 3);
    /* What lies before its start is neither read nor waited for. */
    ck_assert_int_eq(
        test_fleet_number(&fleet, "SELECT count(*) FROM leat.progress WHERE processor = 'late' AND "
                                  "shard = 'shardId-000000000000'"),
        0);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.leases"), 7);
}
END_TEST

static const char *const deaths[] = {"lease.met=crash@1", "lease.acquired=crash@1",
                                     "commit.before=crash@1"};

/* LATEST is what it was when the first worker came, though that one never committed anything. */
START_TEST(latest_outlives_its_worker)
{
    begin(2);
    put_phase('A');
    usleep(DATE_US);
    CONFIGURE({"late", "latest"});
    setenv("LEAT_POINTS", deaths[_i], 1);
    start_worker(0);
    ck_reaches(MET, 1);
    put_phase('B'); /* for the third: something to commit */
    ck_assert(WIFSIGNALED(test_worker_wait(&workers[0], NULL)));
    unsetenv("LEAT_POINTS");
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM saw_late"), 0);
    split("shardId-000000000001");
    put_phase('C');
    usleep(DATE_US);
    start_worker(1);
    ck_saw("late", "BC");
}
END_TEST

START_TEST(another_start_changes_nothing)
{
    char time[64];

    begin(1);
    put_phase('A');
    snprintf(time, sizeof time, "%s", time_now());
    usleep(DATE_US);
    CONFIGURE({"all", "trim_horizon"}, {"late", "latest"}, {"timed", time});
    start_worker(0);
    ck_reaches(MET, 3);
    put_phase('B');
    ck_saw("all", "AB");
    ck_saw("timed", "B");
    end_worker(0);
    test_fleet_sql(&fleet, "CREATE TABLE known AS SELECT * FROM leat.starts");
    put_phase('C');
    snprintf(time, sizeof time, "%s", time_now());
    usleep(DATE_US);
    CONFIGURE({"all", "latest"}, {"late", "trim_horizon"}, {"timed", time});
    start_worker(0);
    put_phase('D');
    ck_saw("all", "ABCD");
    ck_saw("late", "BCD");
    ck_saw("timed", "BCD");
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM (SELECT * FROM leat.starts "
                                               "INTERSECT SELECT * FROM known) same"),
                     3);
}
END_TEST

/* ---- processors that come later ----------------------------------------------------------------------- */

/* An application that has read everything, over three generations of shards: 0 -> 2, 3; 1 and 3 -> 4. */
static void
live_on(const char *processor, const char *start)
{
    begin(2);
    CONFIGURE({processor, start});
    start_worker(0);
    ck_reaches(MET, 1);
    put_phase('A');
    split("shardId-000000000000");
    put_phase('B');
    ck_reaches(ENDED, 1);
    merge("shardId-000000000003", "shardId-000000000001");
    ck_reaches(ENDED, 3);
    put_phase('C');
    ck_saw(processor, "ABC");
    end_worker(0);
}

START_TEST(latest_comes_later)
{
    live_on("all", "trim_horizon");
    test_fleet_sql(&fleet, "CREATE TABLE known AS SELECT shard, state, lease_counter FROM "
                           "leat.leases WHERE state = 'ended'");
    usleep(DATE_US);
    CONFIGURE({"all", "trim_horizon"}, {"late", "latest"});
    start_worker(0);
    ck_reaches(MET, 2);
    put_phase('D');
    split("shardId-000000000004");
    put_phase('E');
    ck_saw("late", "DE");
    ck_saw("all", "ABCDE");
    ck_reaches(ENDED, 4);
    /* Nothing was opened again for it. */
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM known JOIN leat.leases USING "
                                               "(shard, state, lease_counter)"),
                     3);
}
END_TEST

START_TEST(the_whole_stream_later)
{
    char time[64];

    live_on("all", "trim_horizon");
    put_phase('D');
    snprintf(time, sizeof time, "%s", time_now());
    put_phase('E');
    CONFIGURE({"all", "trim_horizon"}, {"replay", "trim_horizon"}, {"timed", time});
    start_worker(0);
    start_worker(1);
    ck_saw("replay", "ABCDE");
    ck_saw("timed", "E");
    ck_saw("all", "ABCDE");
    ck_reaches(ENDED, 3);
    split("shardId-000000000002");
    put_phase('F');
    ck_saw("replay", "ABCDEF");
    ck_saw("timed", "EF");
    ck_saw("all", "ABCDEF");
    ck_reaches(ENDED, 4);
}
END_TEST

/* The first processor never needed the closed shards, so they have no leases: the second one's are made, all that lie above
   the open ones, and it waits for them. */
START_TEST(leases_are_made_above_leases)
{
    begin(2);
    put_phase('A');
    split("shardId-000000000000");
    put_phase('B');
    merge("shardId-000000000003", "shardId-000000000001");
    put_phase('C');
    usleep(DATE_US);
    CONFIGURE({"late", "latest"});
    start_worker(0);
    ck_reaches(MET, 1);
    put_phase('D');
    ck_saw("late", "D");
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.leases"), 2);
    end_worker(0);
    CONFIGURE({"late", "latest"}, {"replay", "trim_horizon"});
    start_worker(0);
    ck_saw("replay", "ABCD");
    ck_reaches(ENDED, 3);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.leases"), 5);
    put_phase('E');
    ck_saw("replay", "ABCDE");
    ck_saw("late", "DE");
}
END_TEST

/* One parent is read to its end while the other's own parent is not: it has no lease yet, and is waited for all the same. */
START_TEST(a_merged_shard_waits_for_both)
{
    struct leat_local_fault slow = {.kind = LEAT_LOCAL_FAULT_DELAY,
                                    .action = "GetRecords",
                                    .shard = "shardId-000000000000",
                                    .delay_us = 1500 * LEAT_MS_US};

    begin(2);
    put_phase('A');
    split("shardId-000000000000"); /* -> 2, 3 */
    put_phase('B');
    merge("shardId-000000000003", "shardId-000000000001"); /* -> 4 */
    put_phase('C');
    leat_local_kinesis_fault(fleet.kinesis, &slow);
    CONFIGURE({"all", "trim_horizon"});
    start_worker(0);
    ck_saw("all", "ABC");
    ck_reaches(ENDED, 3);
}
END_TEST

/* A parent that has left the stream is not waited for. */
START_TEST(what_is_gone_is_not_needed)
{
    struct leat_error err;

    begin(1);
    CONFIGURE({"all", "trim_horizon"});
    start_worker(0);
    put_phase('A');
    split("shardId-000000000000");
    put_phase('B');
    ck_saw("all", "AB");
    ck_reaches(ENDED, 1);
    end_worker(0);
    ck_assert_int_eq(leat_local_kinesis_trim(fleet.kinesis, TEST_FLEET_STREAM,
                                             "shardId-000000000000", INT64_MAX, &err),
                     0);
    CONFIGURE({"all", "trim_horizon"}, {"replay", "trim_horizon"});
    start_worker(0);
    put_phase('C');
    ck_saw("replay", "BC");
    ck_saw("all", "ABC");
    ck_assert_int_eq(test_fleet_number(&fleet, ENDED), 1);
}
END_TEST

/* A file that is done is not done for a processor that comes later: --until-ended waits for it. */
START_TEST(a_file_is_read_again)
{
    static const char *const until_ended[] = {"--until-ended", NULL};
    static const char lines[] = "for i in $(seq 0 39); do echo \"A $i\"; done > $DIR/lines";
    char stream[128];

    begin(1);
    free(test_fleet_shell(&fleet, lines));
    snprintf(stream, sizeof stream, "{ name: lines, file: %s/lines }", fleet.directory);
    fleet.streams = stream;
    CONFIGURE({"all", "trim_horizon"});
    for (int round = 0; round < 2; round++) {
        int status;

        workers[0] = test_fleet_spawn(&fleet, "w1", until_ended);
        status = test_worker_wait(&workers[0], NULL);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
        ck_saw("all", "A");
        if (round == 0)
            CONFIGURE({"all", "trim_horizon"}, {"replay", "trim_horizon"});
    }
    ck_saw("replay", "A");
    ck_assert_int_eq(test_fleet_number(&fleet, ENDED), 1);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        each_processor_has_its_start,  another_start_changes_nothing, latest_comes_later,
        the_whole_stream_later,        leases_are_made_above_leases,  what_is_gone_is_not_needed,
        a_merged_shard_waits_for_both, a_file_is_read_again};
    SRunner *runner;
    Suite *suite = suite_create("fleet_starts");
    TCase *starts = tcase_create("starts");
    int failed;

    test_postgres_url();
    tcase_set_timeout(starts, 120);
    tcase_add_checked_fixture(starts, NULL, teardown);
    for (size_t i = 0; i < LEAT_COUNT_OF(tests); i++)
        tcase_add_test(starts, tests[i]);
    tcase_add_loop_test(starts, latest_outlives_its_worker, 0, (int)LEAT_COUNT_OF(deaths));
    suite_add_tcase(suite, starts);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
