/*
 * Many streams, with real workers: by name, by ARN and by pattern; picked up, dropped, made again and waited for while workers run;
 * looked up once for the fleet. The oracle: each stream has a device of its own in the records, `rollup` counts them (so a record
 * that came twice shows), and each processor has its table.
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

#define WORKERS 5
/* What a look or a sync may be behind; the claim of a look that died is another's when its worker is dead. */
#define LEASES "leases: { heartbeat: 300ms, expiry: 1500ms, sync_interval: 1s }\n"
/* And nobody is taken for dead on a slow machine, which would make a second look right. */
#define SLOW_LEASES "leases: { heartbeat: 300ms, expiry: 10s, sync_interval: 1h }\n"
#define COUNT(name, streams)                                                                       \
    "  - { name: " name ", plugin: rollup, streams: " streams                                      \
    ", target: { plugin: postgres, options: { tables: { rollup: " name " } } } }\n"
#define ALL "processors:\n" COUNT("everything", "[]")

static struct test_fleet fleet;
static struct test_worker workers[WORKERS];

/* ---- streams ---------------------------------------------------------------------------------- */

static void
create(const char *stream, unsigned shards)
{
    struct leat_error err;

    ck_assert_msg(leat_local_kinesis_create_stream(fleet.kinesis, stream, shards, &err) == 0, "%s",
                  err.text);
}

static void delete (const char *stream)
{
    struct leat_error err;

    ck_assert_msg(leat_local_kinesis_delete_stream(fleet.kinesis, stream, &err) == 0, "%s",
                  err.text);
}

/* A stream is told from its predecessor by whole seconds. */
static void
make_again(const char *stream, unsigned shards)
{
    delete (stream);
    leat_local_kinesis_shift_clock(fleet.kinesis, 2 * LEAT_SECOND_US);
    create(stream, shards);
}

static void
put(const char *stream, int device, int count)
{
    for (int i = 0; i < count; i++) {
        struct leat_error err;
        char key[24], data[160];
        int size;

        snprintf(key, sizeof key, "key-%d", i);
        size = snprintf(data, sizeof data,
                        "{\"device_id\": %d, \"time\": \"2022-01-01 00:00:%02d\", \"measurement\": "
                        "\"temperature\", \"value\": 1, \"n\": %d}",
                        device, i % 60, i);
        ck_assert_msg(leat_local_kinesis_put(fleet.kinesis, stream, leat_slice_from(key),
                                             leat_slice_from(""),
                                             leat_slice_make(data, (size_t)size), NULL, &err) == 0,
                      "%s", err.text);
    }
}

/* ---- questions -------------------------------------------------------------------------------- */

static int64_t
soon(void)
{
    return leat_clock_monotonic_us() + PATIENCE_US;
}

static void
show(void)
{
    for (int i = 0; i < WORKERS; i++) {
        LEAT_AUTO_BUF log = LEAT_BUF_INIT;

        if (workers[i].log[0] == '\0')
            continue;
        test_worker_log(&workers[i], &log);
        fprintf(stderr, "---- %s\n%s\n", workers[i].id, leat_buf_text(&log));
    }
    test_fleet_dump(&fleet);
}

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, soon()))
        return;
    show();
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

static void
count_sql(const char *processor, int device, struct leat_buf *out)
{
    leat_buf_printf(out, "SELECT coalesce(sum(count), 0)::int8 FROM %s WHERE device_id = %d",
                    processor, device);
}

/* That many, and not one more. */
static void
ck_count(const char *processor, int device, int64_t wanted)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    count_sql(processor, device, &sql);
    ck_reaches(leat_buf_text(&sql), wanted);
    ck_assert_int_eq(test_fleet_number(&fleet, leat_buf_text(&sql)), wanted);
}

static void
ck_says(int worker, const char *text)
{
    if (test_worker_says(&workers[worker], text, soon()))
        return;
    show();
    ck_abort_msg("%s does not say: %s", workers[worker].id, text);
}

static size_t
count_lines(int worker)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    size_t lines = 0;

    test_worker_log(&workers[worker], &log);
    for (size_t i = 0; i < log.size; i++)
        lines += log.data[i] == '\n';
    return lines;
}

/* What begins as this line does, to the end of its message, from there on. */
static size_t
count_like(const char *line, const char *from)
{
    const char *message = strstr(line, "\"message\":"), *end;
    size_t count = 0;

    if (message == NULL)
        return 0;
    end = strchr(message + strlen("\"message\":\""), '"');
    while (end != NULL && (from = memmem(from, strlen(from), message, (size_t)(end - message)))) {
        count++;
        from += end - message;
    }
    return count;
}

/*
 * A loop says the same again and again. How many lines there are altogether tells nothing of it: what a worker has to tell of
 * leases, letters and streams may come now as well as a moment ago.
 */
static void
ck_says_nothing_again(int worker, size_t known_lines)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    const char *line;

    test_worker_log(&workers[worker], &log);
    line = leat_buf_text(&log);
    for (; known_lines > 0 && line != NULL && *line != '\0'; known_lines--) {
        const char *newline = strchr(line, '\n');

        line = newline != NULL ? newline + 1 : NULL;
    }
    for (; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL)
        ck_assert_msg(count_like(line, line) < 3, "it says again and again: %s", line);
}

static uint64_t
calls(const char *action)
{
    return leat_local_kinesis_calls(fleet.kinesis, action);
}

/* ---- a test's life ------------------------------------------------------------------------------ */

static void
start_worker(int index)
{
    static const char *const ids[WORKERS] = {"w1", "w2", "w3", "w4", "w5"};

    workers[index] = test_fleet_spawn(&fleet, ids[index], NULL);
}

static void
stop_worker(int index)
{
    int status;

    test_worker_kill(&workers[index], SIGTERM);
    status = test_worker_wait(&workers[index], NULL);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        show();
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: %d", workers[index].id,
                  status);
}

static void
setup(void)
{
    struct test_fleet_options options = {.shards = 2};
    char name[40];

    snprintf(name, sizeof name, "streams_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
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

/* ---- names, ARNs, patterns, a file ---------------------------------------------------------------- */

#define ARN "arn:aws:kinesis:us-east-1:000000000000:stream/"

static void
write_file(int device, int count)
{
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    FILE *out;

    leat_buf_printf(&path, "%s/replay", fleet.directory);
    out = fopen(leat_buf_text(&path), "w");
    ck_assert_ptr_nonnull(out);
    for (int i = 0; i < count; i++)
        fprintf(out,
                "{\"device_id\": %d, \"time\": \"2022-01-01 00:00:00\", \"measurement\": "
                "\"temperature\", \"value\": 1}\n",
                device);
    fclose(out);
}

START_TEST(test_each_processor_reads_what_its_list_matches)
{
    char streams[400];

    create("beta", 2);
    create("orders-eu", 2);
    create("orders-us", 1);
    create("dead-orders", 1);
    create("orders-dead", 1);
    create("other", 1);
    write_file(7, 30);
    snprintf(streams, sizeof streams,
             "events, \"" ARN "beta\", \"orders-*\", \"*-orders\", "
             "{ name: replay, file: %s/replay }",
             fleet.directory);
    fleet.streams = streams;
    test_fleet_configure(&fleet, LEASES "dead_letters: { stream: orders-dead }\n"
                                        "processors:\n" COUNT("everything", "[]")
                                            COUNT("orders", "[\"orders-*\"]")
                                                COUNT("named", "[events, replay]")
                                                    COUNT("two", "[\"" ARN "beta\", \"*-us\"]"));
    put(TEST_FLEET_STREAM, 1, 40);
    put("beta", 2, 41);
    put("orders-eu", 3, 42);
    put("orders-us", 4, 43);
    put("dead-orders", 5, 44);
    put("orders-dead", 6, 45);
    put("other", 8, 46);
    start_worker(0);
    start_worker(1);
    for (int device = 1; device <= 5; device++)
        ck_count("everything", device, 39 + device);
    ck_count("everything", 7, 30);
    ck_count("orders", 3, 42);
    ck_count("orders", 4, 43);
    ck_count("named", 1, 40);
    ck_count("named", 7, 30);
    ck_count("two", 2, 41);
    ck_count("two", 4, 43);
    /* Nobody read what he is not given; the dead-letter stream is nobody's, whatever matches it. */
    ck_count("everything", 6, 0);
    ck_count("everything", 8, 0);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(DISTINCT device_id) FROM orders"), 2);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(DISTINCT device_id) FROM named"), 2);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(DISTINCT device_id) FROM two"), 2);
    stop_worker(0);
    stop_worker(1);
}
END_TEST

/* The name stands before the pattern, and has another start. */
START_TEST(test_the_first_entry_that_matches_gives_the_start)
{
    create("orders-old", 1);
    create("orders-new", 1);
    put("orders-old", 1, 20);
    put("orders-new", 2, 20);
    fleet.streams = "{ name: orders-old, start: trim_horizon }, "
                    "{ name: \"orders-*\", start: 2100-01-01T00:00:00Z }";
    test_fleet_configure(&fleet, LEASES ALL);
    start_worker(0);
    ck_count("everything", 1, 20);
    ck_reaches("SELECT count(*) FROM leat.starts WHERE start = 'AT_TIMESTAMP:4102444800000000' AND "
               "stream_id LIKE '%/orders-new@%'",
               1);
    ck_reaches("SELECT count(*) FROM leat.starts WHERE start = 'TRIM_HORIZON' AND stream_id LIKE "
               "'%/orders-old@%'",
               1);
    ck_count("everything", 2, 0);
    stop_worker(0);
}
END_TEST

/* ---- while workers run --------------------------------------------------------------------------- */

START_TEST(test_a_new_stream_is_picked_up_by_all_workers)
{
    fleet.streams = "events, \"orders-*\"";
    test_fleet_configure(&fleet, LEASES "processors:\n" COUNT("everything", "[]")
                                     COUNT("orders", "[\"orders-*\"]"));
    start_worker(0);
    start_worker(1);
    put(TEST_FLEET_STREAM, 1, 20);
    ck_count("everything", 1, 20);
    create("orders-one", 4);
    put("orders-one", 2, 100);
    ck_count("everything", 2, 100);
    ck_count("orders", 2, 100);
    put("orders-one", 2, 100);
    ck_count("everything", 2, 200);
    ck_count("orders", 2, 200);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE stream_id LIKE '%/orders-one@%' AND state = "
               "'active' AND lease_owner IS NOT NULL",
               4);
    /* Both opened it: leases go to whoever reads the stream. */
    ck_reaches("SELECT (count(*) = 2)::int FROM leat.workers WHERE runs -> 'streams' ? "
               "'orders-one'",
               1);
    ck_reaches("SELECT (count(DISTINCT lease_owner) = 2)::int FROM leat.leases WHERE state = "
               "'active' AND next_owner IS NULL",
               1);
    stop_worker(0);
    stop_worker(1);
}
END_TEST

START_TEST(test_a_name_without_a_stream_is_waited_for)
{
    fleet.streams = "events, later";
    test_fleet_configure(&fleet, LEASES ALL);
    start_worker(0);
    put(TEST_FLEET_STREAM, 1, 20);
    ck_count("everything", 1, 20);
    ck_says(0, "there is no such stream: it is waited for");
    create("later", 1);
    put("later", 2, 20);
    ck_count("everything", 2, 20);
    stop_worker(0);
}
END_TEST

/* The target does not take rows while the stream goes: what was read by then is the last copy. */
START_TEST(test_a_stream_that_goes_ends_after_what_was_read_of_it)
{
    struct leat_local_kinesis_counts counts;
    struct leat_error err;
    size_t lines[2];
    uint64_t described;

    create("orders-one", 2);
    fleet.streams = "events, \"orders-*\"";
    test_fleet_configure(&fleet, LEASES ALL);
    start_worker(0);
    start_worker(1);
    put("orders-one", 1, 20);
    ck_count("everything", 1, 20);
    /* Nothing moves any more: what is read is read once. */
    ck_reaches("SELECT count(*) FROM (SELECT FROM leat.leases WHERE next_owner IS NULL GROUP BY "
               "lease_owner HAVING count(lease_owner) = 2) h",
               2);
    test_fleet_sql(&fleet, "BEGIN; LOCK TABLE everything IN SHARE MODE");
    leat_local_kinesis_counts(fleet.kinesis, &counts);
    put("orders-one", 1, 60);
    ck_assert(test_fleet_wait_for_reads(&fleet, counts.records_out + 60, soon()));
    delete ("orders-one");
    ck_assert_msg(leat_pg_script(fleet.connection, "COMMIT", &err) == 0, "%s", err.text);
    ck_reaches("SELECT count(*) FROM leat.streams WHERE state = 'gone'", 1);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE stream_id LIKE '%/orders-one@%' AND state = "
               "'ended' AND lease_owner IS NULL",
               2);
    ck_count("everything", 1, 80);
    /* Others go on; nothing loops: few lines and no more questions than one look a second asks. */
    put(TEST_FLEET_STREAM, 2, 20);
    ck_count("everything", 2, 20);
    lines[0] = count_lines(0);
    lines[1] = count_lines(1);
    described = calls("DescribeStreamSummary");
    usleep(3000000);
    ck_says_nothing_again(0, lines[0]);
    ck_says_nothing_again(1, lines[1]);
    ck_assert_uint_lt(lines[0] + lines[1], 60);
    ck_assert_uint_lt(calls("DescribeStreamSummary"), described + 20);
    stop_worker(0);
    stop_worker(1);
}
END_TEST

/* An answer that was wrong: the very same stream is there again, and is read on from where it was. */
START_TEST(test_a_stream_that_was_only_said_to_be_gone)
{
    const struct leat_local_fault lie = {.kind = LEAT_LOCAL_FAULT_REFUSE,
                                         .action = "DescribeStreamSummary",
                                         .stream = "orders",
                                         .type = "ResourceNotFoundException",
                                         .times = 1};

    create("orders", 2);
    fleet.streams = "events, orders";
    test_fleet_configure(&fleet, LEASES ALL);
    start_worker(0);
    start_worker(1);
    put("orders", 1, 50);
    ck_count("everything", 1, 50);
    leat_local_kinesis_fault(fleet.kinesis, &lie);
    ck_reaches("SELECT count(*) FROM leat.lease_moves WHERE why = 'stream gone'", 2);
    put("orders", 1, 50);
    ck_count("everything", 1, 100);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE stream_id LIKE '%/orders@%' AND state = "
               "'active' AND lease_owner IS NOT NULL",
               2);
    stop_worker(0);
    stop_worker(1);
}
END_TEST

/* A rolling deploy: one worker knows the pattern, the other does not. */
START_TEST(test_leases_go_to_those_who_read_the_stream)
{
    create("orders-one", 3);
    test_fleet_configure(&fleet, LEASES ALL);
    start_worker(0);
    put(TEST_FLEET_STREAM, 1, 20);
    ck_count("everything", 1, 20);
    fleet.streams = "events, \"orders-*\"";
    test_fleet_reconfigure(&fleet, LEASES ALL);
    put("orders-one", 2, 50);
    start_worker(1);
    ck_count("everything", 2, 50);
    create("orders-two", 3);
    put("orders-two", 3, 50);
    ck_count("everything", 3, 50);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.leases l JOIN "
                                               "leat.workers w ON w.incarnation = l.lease_owner "
                                               "WHERE l.stream_id LIKE '%/orders-%' AND "
                                               "w.worker_id = 'w1'"),
                     0);
    put(TEST_FLEET_STREAM, 1, 20);
    ck_count("everything", 1, 40);
    stop_worker(1);
    stop_worker(0);
}
END_TEST

/* ---- made again ----------------------------------------------------------------------------------- */

/* Seen by the next look, or long before it by those who read. */
START_TEST(test_a_stream_made_again_is_another_one)
{
    create("orders", 2);
    fleet.streams = "events, orders";
    test_fleet_configure(&fleet, _i == 0 ? LEASES ALL : SLOW_LEASES ALL);
    start_worker(0);
    start_worker(1);
    put("orders", 1, 50);
    ck_count("everything", 1, 50);
    make_again("orders", 3);
    put("orders", 1, 70);
    ck_count("everything", 1, 120);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE stream_id LIKE '%/orders@%' AND state = "
               "'ended'",
               2);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE stream_id LIKE '%/orders@%' AND state = "
               "'active' AND lease_owner IS NOT NULL",
               3);
    /* The old one's progress stays as it was. */
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(DISTINCT stream_id) FROM "
                                               "leat.progress WHERE stream_id LIKE '%/orders@%'"),
                     2);
    stop_worker(0);
    stop_worker(1);
    {
        LEAT_AUTO_BUF log = LEAT_BUF_INIT;

        test_worker_log(&workers[0], &log);
        test_worker_log(&workers[1], &log);
        ck_assert_ptr_nonnull(strstr(leat_buf_text(&log), "was deleted and made again"));
        ck_assert_ptr_null(strstr(leat_buf_text(&log), "a shard is blocked"));
    }
    put("orders", 1, 5);
    start_worker(2);
    ck_count("everything", 1, 125);
    stop_worker(2);
}
END_TEST

START_TEST(test_a_stream_made_again_stands_still_if_wanted)
{
    create("orders", 1);
    fleet.streams = "events, orders";
    test_fleet_configure(&fleet, "leases: { heartbeat: 300ms, expiry: 1500ms, sync_interval: 1s, "
                                 "on_recreated: stop }\n" ALL);
    start_worker(0);
    put("orders", 1, 50);
    ck_count("everything", 1, 50);
    make_again("orders", 1);
    put("orders", 1, 70);
    ck_says(0, "a stream stands still");
    put(TEST_FLEET_STREAM, 2, 20);
    ck_count("everything", 2, 20);
    stop_worker(0);
    /* Also for one that comes later. */
    start_worker(1);
    ck_says(1, "a stream stands still");
    put(TEST_FLEET_STREAM, 2, 20);
    ck_count("everything", 2, 40);
    ck_count("everything", 1, 50);
    stop_worker(1);
    test_fleet_reconfigure(&fleet, LEASES ALL);
    start_worker(2);
    ck_count("everything", 1, 120);
    stop_worker(2);
}
END_TEST

/* ---- once for the fleet ---------------------------------------------------------------------------- */

START_TEST(test_facts_and_shards_are_asked_for_once)
{
    char name[16];

    fleet.streams = "s0, s1, s2, s3, s4, s5, s6, s7, s8, { name: s9, start: latest }";
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "s%d", i);
        create(name, 2);
    }
    test_fleet_configure(&fleet, SLOW_LEASES ALL);
    for (int i = 0; i < WORKERS; i++)
        start_worker(i);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL", 20);
    ck_reaches("SELECT count(DISTINCT lease_owner) FROM leat.leases WHERE lease_owner IS NOT NULL",
               WORKERS);
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof name, "s%d", i);
        put(name, i + 1, 10);
        ck_count("everything", i + 1, 10);
    }
    ck_assert_uint_ge(calls("DescribeStreamSummary"), 10);
    ck_assert_uint_le(calls("DescribeStreamSummary"), 12);
    ck_assert_uint_eq(calls("ListStreams"), 0);
    ck_assert_uint_ge(calls("ListShards"), 11); /* and the service's time for one */
    ck_assert_uint_le(calls("ListShards"), 14);
    /* One that comes later asks nothing. */
    stop_worker(0);
    start_worker(0);
    ck_reaches("SELECT count(DISTINCT lease_owner) FROM leat.leases WHERE lease_owner IS NOT NULL",
               WORKERS);
    ck_assert_uint_le(calls("DescribeStreamSummary"), 12);
    for (int i = 0; i < WORKERS; i++)
        stop_worker(i);
}
END_TEST

/* One of which nobody may know anything: the others are read, and the log says so once. */
START_TEST(test_a_stream_that_is_refused_holds_up_nobody)
{
    const struct leat_local_fault refused = {.kind = LEAT_LOCAL_FAULT_REFUSE,
                                             .action = "DescribeStreamSummary",
                                             .stream = "secret",
                                             .type = "AccessDeniedException"};
    size_t lines;

    create("secret", 1);
    create("later", 1);
    fleet.streams = "events, later";
    test_fleet_configure(&fleet, LEASES ALL);
    start_worker(0);
    put(TEST_FLEET_STREAM, 1, 20);
    ck_count("everything", 1, 20);
    leat_local_kinesis_fault(fleet.kinesis, &refused);
    fleet.streams = "events, later, secret, missing";
    test_fleet_reconfigure(&fleet, LEASES ALL);
    start_worker(1);
    ck_says(1, "AccessDenied");
    create("missing", 1);
    put("missing", 3, 20);
    put("secret", 2, 20);
    ck_count("everything", 3, 20);
    lines = count_lines(1);
    usleep(3000000);
    ck_says_nothing_again(1, lines);
    ck_count("everything", 2, 0);
    leat_local_kinesis_clear_faults(fleet.kinesis);
    ck_count("everything", 2, 20);
    stop_worker(0);
    stop_worker(1);
}
END_TEST

/* Names alone: each is described once, a few at a time, and the first are read before the last are known. */
START_TEST(test_many_names_are_looked_up_in_steps)
{
    LEAT_AUTO_BUF streams = LEAT_BUF_INIT;
    char name[16];

    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "n-%02d", i);
        create(name, 1);
        leat_buf_printf(&streams, "%s%s", i > 0 ? ", " : "", name);
        put(name, i < 10 ? 1 : 2, 1);
    }
    fleet.streams = leat_buf_text(&streams);
    test_fleet_configure(&fleet, SLOW_LEASES ALL);
    start_worker(0);
    start_worker(1);
    ck_count("everything", 1, 10);
    ck_count("everything", 2, 50);
    ck_assert_uint_ge(calls("DescribeStreamSummary"), 60);
    ck_assert_uint_le(calls("DescribeStreamSummary"), 63);
    ck_assert_uint_le(calls("ListShards"), 63);
    stop_worker(0);
    stop_worker(1);
}
END_TEST

/* Whoever looks dies before he stores what he found: it is somebody else's. */
START_TEST(test_a_look_that_dies_is_taken_over)
{
    fleet.streams = "events, \"orders-*\"";
    test_fleet_configure(&fleet, LEASES ALL);
    create("orders-one", 1);
    setenv("LEAT_POINTS", "streams.looked=crash", 1);
    start_worker(0);
    unsetenv("LEAT_POINTS");
    ck_assert(WIFSIGNALED(test_worker_wait(&workers[0], NULL)));
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.streams"), 0);
    start_worker(1);
    put("orders-one", 1, 20);
    ck_count("everything", 1, 20);
    stop_worker(1);
}
END_TEST

/* ---- many -------------------------------------------------------------------------------------------- */

static int64_t
threads_of(const struct test_worker *worker)
{
    char path[64], line[256];
    long threads = 0;
    FILE *in;

    snprintf(path, sizeof path, "/proc/%d/status", (int)worker->pid);
    in = fopen(path, "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "Threads:", 8) == 0)
            threads = strtol(line + 8, NULL, 10);
    }
    if (in != NULL)
        fclose(in);
    return threads;
}

START_TEST(test_two_hundred_streams_hold_no_thread)
{
    int64_t few, deadline_us;

    fleet.streams = "events, \"many-*\"";
    test_fleet_configure(&fleet, LEASES ALL);
    start_worker(0);
    put(TEST_FLEET_STREAM, 1, 20);
    ck_count("everything", 1, 20);
    ck_says(0, "worker started");
    few = threads_of(&workers[0]);
    for (int i = 0; i < 200; i++) {
        char name[16];

        snprintf(name, sizeof name, "many-%03d", i);
        create(name, 1);
        put(name, 2, 1);
    }
    ck_count("everything", 2, 200);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL", 202);
    /* Those that look names up and list shards come and go. */
    for (deadline_us = soon(); threads_of(&workers[0]) > few;) {
        ck_assert_int_lt(leat_clock_monotonic_us(), deadline_us);
        usleep(2000);
    }
    /* A listing tells facts for all of them: only their retention is asked for, ten at a time. */
    ck_assert_uint_lt(calls("DescribeStreamSummary"), 200);
    stop_worker(0);
}
END_TEST

/* Streams that come, workers that are killed, two at once, too, and go: each record once. */
START_TEST(test_many_streams_under_fire)
{
    int streams = 6, put_to[12] = {0};
    char name[16];

    for (int i = 0; i < streams; i++) {
        snprintf(name, sizeof name, "f-%d", i);
        create(name, 2);
    }
    fleet.streams = "events, \"f-*\"";
    test_fleet_configure(&fleet, LEASES ALL);
    for (int i = 0; i < 3; i++)
        start_worker(i);
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < streams; i++) {
            snprintf(name, sizeof name, "f-%d", i);
            put(name, 10 + i, 3);
            put_to[i] += 3;
        }
        if (round == 6 || round == 20)
            test_worker_kill(&workers[round == 6 ? 0 : 1], SIGKILL);
        if (round == 20)
            test_worker_kill(&workers[2], SIGKILL);
        if (round == 10)
            start_worker(3);
        if (round == 24)
            start_worker(4);
        for (int i = 0; i < 2 && round % 13 == 12; i++) {
            snprintf(name, sizeof name, "f-%d", streams++);
            create(name, 2);
        }
        usleep(100000);
    }
    stop_worker(3);
    for (int i = 0; i < streams; i++)
        ck_count("everything", 10 + i, put_to[i]);
    stop_worker(4);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fleet_streams");
    TCase *tests = tcase_create("streams");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, test_each_processor_reads_what_its_list_matches);
    tcase_add_test(tests, test_the_first_entry_that_matches_gives_the_start);
    tcase_add_test(tests, test_a_new_stream_is_picked_up_by_all_workers);
    tcase_add_test(tests, test_a_name_without_a_stream_is_waited_for);
    tcase_add_test(tests, test_a_stream_that_goes_ends_after_what_was_read_of_it);
    tcase_add_test(tests, test_a_stream_that_was_only_said_to_be_gone);
    tcase_add_test(tests, test_leases_go_to_those_who_read_the_stream);
    tcase_add_loop_test(tests, test_a_stream_made_again_is_another_one, 0, 2);
    tcase_add_test(tests, test_a_stream_made_again_stands_still_if_wanted);
    tcase_add_test(tests, test_facts_and_shards_are_asked_for_once);
    tcase_add_test(tests, test_a_stream_that_is_refused_holds_up_nobody);
    tcase_add_test(tests, test_many_names_are_looked_up_in_steps);
    tcase_add_test(tests, test_a_look_that_dies_is_taken_over);
    tcase_add_test(tests, test_many_streams_under_fire);
    tcase_add_test(tests, test_two_hundred_streams_hold_no_thread);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
