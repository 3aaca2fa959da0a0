/* put, tail and streams, as processes, against our own Kinesis. */
#include <json-c/json.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/units.h"
#include "local/kinesis.h"
#include "support/patience.h"
#include "support/program.h"

#include <check.h>

static struct leat_local_kinesis *server;
static struct program_run run;
static struct leat_error err;

static void
setup(void)
{
    struct leat_local_kinesis_options wanted = {.access_key_id = "AKID",
                                                .secret_access_key = "secret"};

    server = leat_local_kinesis_new(&wanted, &err);
    ck_assert_msg(server != NULL, "%s", err.text);
    ck_assert_int_eq(leat_local_kinesis_create_stream(server, "s", 2, &err), 0);
    setenv("AWS_ENDPOINT_URL", leat_local_kinesis_endpoint(server), 1);
    setenv("AWS_REGION", "us-east-1", 1);
    setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    unsetenv("AWS_SESSION_TOKEN");
    unsetenv("LEAT_CONFIG");
}

static void
teardown(void)
{
    program_run_release(&run);
    leat_local_kinesis_free(server);
}

#define LEAT(...) leat(NULL, (const char *const[]){__VA_ARGS__, NULL})
#define LEAT_WITH(input, ...) leat(input, (const char *const[]){__VA_ARGS__, NULL})

static void
leat(const char *input, const char *const *arguments)
{
    program_run_release(&run);
    program_run(&run, input, arguments);
}

static bool
said(const char *text)
{
    return strstr(leat_buf_text(&run.err), text) != NULL;
}

static bool
showed(const char *text)
{
    return strstr(leat_buf_text(&run.out), text) != NULL;
}

/* A member of a line, as text. */
static const char *
member(size_t line, const char *key)
{
    static char text[4096];
    struct json_object *root = program_run_json(&run, line), *value = leat_json_get(root, key);

    snprintf(text, sizeof text, "%s", value != NULL ? json_object_get_string(value) : "(none)");
    json_object_put(root);
    return text;
}

/* {"device": 0 … 4, "n": 0 … count - 1}, a line each */
static char *
lines(size_t count)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    for (size_t i = 0; i < count; i++)
        leat_buf_printf(&text, "{\"device\":%zu,\"n\":%zu}\n", i % 5, i);
    return leat_buf_take(&text);
}

/* What tail printed holds each of the numbers once. */
static void
expect_numbers(size_t count)
{
    LEAT_AUTO_FREE bool *seen = LEAT_NEW_ARRAY(bool, count);

    ck_assert_uint_eq(program_run_lines(&run), count);
    for (size_t i = 0; i < count; i++) {
        const char *data = member(i, "data"), *mark = strstr(data, "\"n\":");
        size_t number;

        ck_assert_msg(mark != NULL, "%s", data);
        number = strtoul(mark + 4, NULL, 10);
        ck_assert_uint_lt(number, count);
        ck_assert(!seen[number]);
        seen[number] = true;
        ck_assert_int_eq(data[10], member(i, "partition_key")[0]);
    }
}

START_TEST(put_and_tail)
{
    static const char *const aggregations[] = {"none", "kpl", "gzip-json"};
    LEAT_AUTO_FREE char *input = lines(600);

    for (size_t i = 0; i < LEAT_COUNT_OF(aggregations); i++) {
        LEAT("streams", "create", aggregations[i], "--shards", "3");
        ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
        LEAT_WITH(input, "put", aggregations[i], "--key-field", "device", "--aggregate",
                  aggregations[i]);
        ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
        ck_assert(said("600 records put as ") && said(" 0 failed"));
        ck_assert_int_eq(said("600 records put as 600 stream"), i == 0);
        ck_assert_uint_eq(run.out.size, 0);
        LEAT("tail", aggregations[i], "--until-end");
        ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
        expect_numbers(600);
        ck_assert_str_eq(member(0, "aggregated"), i == 0 ? "false" : "true");
        ck_assert_str_eq(member(0, "problem"), "(none)");
        ck_assert_int_eq(strncmp(member(0, "shard"), "shardId-00000000000", 19), 0);
        ck_assert_int_eq(member(0, "arrival_time")[10], 'T');
    }
    LEAT("tail", "kpl", "--until-end", "--raw");
    ck_assert_int_eq(run.code, 0);
    ck_assert_uint_le(program_run_lines(&run), 3);
    ck_assert_str_eq(member(0, "aggregated"), "false");
    ck_assert_int_eq(strncmp(member(0, "data_base64"), "84mawg", 6), 0); /* the magic */
}
END_TEST

START_TEST(keys)
{
    LEAT_WITH("one\n\ntwo\nthree", "put", "s", "--key", "k", "-q");
    ck_assert_int_eq(run.code, 0);
    ck_assert_uint_eq(run.err.size, 0);
    LEAT("tail", "s", "--until-end");
    ck_assert_uint_eq(program_run_lines(&run), 3); /* empty lines are none; the last needs no end */
    ck_assert_str_eq(member(0, "data"), "one");
    ck_assert_str_eq(member(2, "data"), "three");
    ck_assert_str_eq(member(2, "partition_key"), "k");
    LEAT_WITH("x\n", "put", "s", "--hash-key", "0", "-q");
    LEAT_WITH("y\n", "put", "s", "--hash-key", "340282366920938463463374607431768211455", "-q");
    LEAT("tail", "s", "--until-end", "--shard", "0");
    ck_assert(showed("\"data\":\"x\"") && !showed("\"data\":\"y\""));
    LEAT("tail", "s", "--until-end", "--shard", "shardId-000000000001");
    ck_assert(!showed("\"data\":\"x\"") && showed("\"data\":\"y\""));
    LEAT_WITH("{\"k\":\"text\"}\n{\"k\":1.5}\n{\"k\":true}\n{\"k\":null}\n{}\n[\n{\"k\":\"\"}\n",
              "put", "s", "--key-field", "k");
    ck_assert_int_eq(run.code, 1);
    ck_assert(said("3 records put") && said("4 lines refused"));
    ck_assert(said("line 4: there is no text or number \"k\""));
    ck_assert(said("line 6: cannot read JSON"));
    LEAT("tail", "s", "--until-end");
    ck_assert(showed("\"partition_key\":\"text\"") && showed("\"partition_key\":\"1.5\"") &&
              showed("\"partition_key\":\"true\""));
}
END_TEST

/* Bytes that are no text come out as they went in; a line beyond the limit is refused, not cut. */
START_TEST(bytes_and_long_lines)
{
    LEAT_AUTO_BUF input = LEAT_BUF_INIT;

    leat_buf_add_text(&input, "\xFF\xFE\n");
    leat_buf_reserve(&input, (size_t)2 << 20);
    memset(input.data + input.size, 'x', (size_t)1 << 20);
    input.size += (size_t)1 << 20;
    leat_buf_add_text(&input, "x\nsmall\n");
    LEAT_WITH(leat_buf_text(&input), "put", "s", "--raw", "--key", "k");
    ck_assert_int_eq(run.code, 1);
    ck_assert(said("line 2: it is longer than a record may be"));
    ck_assert(said("2 records put") && said("1 lines refused"));
    LEAT("tail", "s", "--until-end");
    ck_assert_uint_eq(program_run_lines(&run), 2);
    ck_assert_str_eq(member(0, "data_base64"), "//4=");
    ck_assert_str_eq(member(1, "data"), "small");
}
END_TEST

START_TEST(rate_is_kept)
{
    LEAT_AUTO_FREE char *input = lines(60);
    int64_t began_us = leat_clock_monotonic_us();

    LEAT_WITH(input, "put", "s", "--rate", "100/s");
    ck_assert_int_eq(run.code, 0);
    ck_assert_int_ge(leat_clock_monotonic_us() - began_us, 450 * LEAT_MS_US);
}
END_TEST

static void
put_local(const char *data)
{
    ck_assert_int_eq(leat_local_kinesis_put(server, "s", leat_slice_from(data), leat_slice_from(""),
                                            leat_slice_from(data), NULL, &err),
                     0);
}

/* Of any kind of reshard: parents are printed before their children. */
START_TEST(children_come_after_parents)
{
    LEAT_AUTO_FREE char *input = lines(100);
    size_t last_parent = 0, first_child = SIZE_MAX;

    LEAT_WITH(input, "put", "s", "--key-field", "device", "-q");
    LEAT("streams", "split", "s", "0");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    LEAT("streams", "split", "s", "1", "--at", "170141183460469231731687303715884105730");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    LEAT("streams", "merge", "s", "3", "4");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    for (int i = 0; i < 20; i++) {
        char key[20];

        snprintf(key, sizeof key, "child %d", i);
        put_local(key);
    }
    LEAT("tail", "s", "--from", "trim_horizon", "--until-end");
    ck_assert_uint_eq(program_run_lines(&run), 120);
    for (size_t i = 0; i < 120; i++) {
        bool is_child = strstr(member(i, "data"), "child") != NULL;
        bool is_of_2 = strcmp(member(i, "shard"), "shardId-000000000002") == 0;

        if (strcmp(member(i, "shard"), "shardId-000000000000") == 0)
            last_parent = i;
        if (is_child && is_of_2 && i < first_child)
            first_child = i;
    }
    ck_assert_uint_gt(first_child, last_parent);
    LEAT("streams", "show", "s", "-o", "json");
    ck_assert_int_eq(run.code, 0);
    ck_assert_str_eq(member(0, "open_shards"), "3");
    ck_assert(showed("\"shard\":\"shardId-000000000006\",\"state\":\"open\",\"parents\":"
                     "[\"shardId-000000000003\",\"shardId-000000000004\"]"));
    ck_assert(showed("\"shard\":\"shardId-000000000002\",\"state\":\"open\",\"parents\":["
                     "\"shardId-000000000000\"],\"starting_hash_key\":\"0\","
                     "\"ending_hash_key\":\"85070591730234615865843651857942052863\""));
}
END_TEST

START_TEST(from_and_count)
{
    char time[40];
    LEAT_AUTO_BUF middle = LEAT_BUF_INIT;

    put_local("early");
    leat_local_kinesis_shift_clock(server, 60 * LEAT_SECOND_US);
    leat_format_time(&middle, leat_local_kinesis_now_us(server) - 30 * LEAT_SECOND_US);
    snprintf(time, sizeof time, "%s", leat_buf_text(&middle));
    put_local("late 1");
    put_local("late 2");
    LEAT("tail", "s", "--from", time, "--until-end");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_uint_eq(program_run_lines(&run), 2);
    ck_assert(!showed("early"));
    LEAT("tail", "s", "--from", "TRIM_HORIZON", "-n", "2"); /* ends without --until-end */
    ck_assert_int_eq(run.code, 0);
    ck_assert_uint_eq(program_run_lines(&run), 2);
    LEAT("tail", "s", "--from", "latest", "--until-end");
    ck_assert_int_eq(run.code, 0);
    ck_assert_uint_eq(program_run_lines(&run), 0);
}
END_TEST

/* When the tip is known: iterators of all shards come before the first read. */
static void *
reshard_later(void *context)
{
    int64_t until_us = leat_clock_monotonic_us() + PATIENCE_US;
    struct leat_error local;
    char data[20];

    while (leat_local_kinesis_calls(server, "GetRecords") == 0 &&
           leat_clock_monotonic_us() < until_us)
        sched_yield();
    for (int i = 0; i < 10; i++) {
        snprintf(data, sizeof data, "parent %d", i);
        leat_local_kinesis_put(server, "s", leat_slice_from(data), leat_slice_from("0"),
                               leat_slice_from(data), NULL, &local);
    }
    leat_local_kinesis_split(server, "s", "shardId-000000000000", &local);
    for (int i = 0; i < 10; i++) {
        snprintf(data, sizeof data, "child %d", i);
        leat_local_kinesis_put(server, "s", leat_slice_from(data), leat_slice_from("0"),
                               leat_slice_from(data), NULL, &local);
    }
    return NULL;
}

/* Following from the tip: what was there is not shown, what comes is, through a split that comes meanwhile. */
START_TEST(tail_follows_through_a_split)
{
    pthread_t thread;

    put_local("old");
    ck_assert_int_eq(pthread_create(&thread, NULL, reshard_later, NULL), 0);
    LEAT("tail", "s", "-n", "20");
    pthread_join(thread, NULL);
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_uint_eq(program_run_lines(&run), 20);
    for (size_t i = 0; i < 20; i++) {
        char data[20];

        snprintf(data, sizeof data, "%s %zu", i < 10 ? "parent" : "child", i % 10);
        ck_assert_str_eq(member(i, "data"), data);
    }
}
END_TEST

/* Iterators that expire, throttles, empty answers: tail goes on where it was. */
START_TEST(tail_survives_faults)
{
    static const enum leat_local_fault_kind kinds[] = {
        LEAT_LOCAL_FAULT_EXPIRED_ITERATOR, LEAT_LOCAL_FAULT_THROTTLE, LEAT_LOCAL_FAULT_EMPTY,
        LEAT_LOCAL_FAULT_ERROR};
    LEAT_AUTO_FREE char *input = lines(200);

    LEAT_WITH(input, "put", "s", "--key-field", "device", "-q");
    for (size_t i = 0; i < LEAT_COUNT_OF(kinds); i++) {
        struct leat_local_fault fault = {.kind = kinds[i], .action = "GetRecords", .times = 2};

        leat_local_kinesis_fault(server, &fault);
        LEAT("tail", "s", "--until-end");
        ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
        expect_numbers(200);
        leat_local_kinesis_clear_faults(server);
    }
}
END_TEST

START_TEST(put_tells_what_failed)
{
    struct leat_local_fault fault = {.kind = LEAT_LOCAL_FAULT_PARTIAL,
                                     .action = "PutRecords",
                                     .share = 10,
                                     .type = "InvalidArgumentException"};
    LEAT_AUTO_FREE char *input = lines(100);

    leat_local_kinesis_fault(server, &fault);
    LEAT_WITH(input, "put", "s");
    ck_assert_int_eq(run.code, 1);
    ck_assert(said("10 of 100 records failed") && said("90 records put") && said("10 failed"));
    leat_local_kinesis_clear_faults(server);
    LEAT_WITH(input, "put", "nobody");
    ck_assert_int_eq(run.code, 1);
    ck_assert(said("nobody"));
    LEAT_WITH(input, "put", "s", "--endpoint", "http://127.0.0.1:1");
    ck_assert_int_eq(run.code, 3); /* nothing was put: the same again may work */
    ck_assert(said("100 failed"));
}
END_TEST

START_TEST(streams_are_made_and_deleted)
{
    LEAT("streams", "create", "new", "--shards", "5");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    LEAT("streams", "create", "new");
    ck_assert_int_eq(run.code, 1);
    LEAT("streams", "ls", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 2);
    ck_assert_str_eq(member(0, "name"), "new");
    ck_assert_str_eq(member(0, "status"), "ACTIVE");
    ck_assert_str_eq(member(0, "open_shards"), "5");
    ck_assert_str_eq(member(0, "retention_hours"), "24");
    LEAT("streams", "ls", "-q");
    ck_assert_str_eq(leat_buf_text(&run.out), "new\ns\n");
    LEAT("streams", "show", "new");
    ck_assert(showed("shardId-000000000004  open   -"));
    LEAT("streams", "delete", "new");
    ck_assert_int_eq(run.code, 2);
    ck_assert(said("--yes"));
    LEAT("streams", "show", "new");
    ck_assert_int_eq(run.code, 0); /* it is still there */
    LEAT("streams", "delete", "new", "--yes");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    LEAT("streams", "show", "new");
    ck_assert_int_eq(run.code, 1);
    LEAT("streams", "split", "s", "9");
    ck_assert_int_eq(run.code, 1);
    ck_assert(said("has no shard \"shardId-000000000009\""));
    LEAT("streams", "split", "s", "0", "--at", "x");
    ck_assert_int_eq(run.code, 2);
    LEAT("streams", "merge", "s", "0");
    ck_assert_int_eq(run.code, 2);
    LEAT("streams", "craete", "s");
    ck_assert_int_eq(run.code, 2);
    ck_assert(said("did you mean \"create\""));
}
END_TEST

/* The service takes its time: the command waits, and says so where it waited in vain. */
/* What a command did is said, or told as JSON; -q is silent. */
START_TEST(changes_are_said)
{
    LEAT("streams", "create", "t", "--shards", "2");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert(showed("stream \"t\": created, ACTIVE, 2 open shards\n"));
    LEAT("streams", "split", "t", "0");
    ck_assert_int_eq(run.code, 0);
    ck_assert(showed("stream \"t\": split into shardId-000000000002, shardId-000000000003\n"));
    LEAT("streams", "merge", "t", "2", "3", "-o", "json");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_str_eq(member(0, "open_shards"), "2");
    LEAT("streams", "split", "t", "1", "-q");
    ck_assert_int_eq(run.code, 0);
    ck_assert_uint_eq(run.out.size, 0);
    LEAT("streams", "delete", "t", "--yes", "-o", "json");
    ck_assert_int_eq(run.code, 0);
    ck_assert_str_eq(member(0, "status"), "DELETED");
}
END_TEST

/* A key is the number as it was written: a tree of 64 bits would make one key of many. */
START_TEST(long_numbers_are_keys)
{
    LEAT_WITH("{\"k\":123456789012345678901234567890}\n{\"k\": -123456789012345678901234567891 "
              "}\n{\"k\":1.50}\n{\"k\":true}\n{\"\\u006b\":18446744073709551616}\n",
              "put", "s", "--key-field", "k");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    LEAT("tail", "s", "--from", "-1h", "--until-end");
    ck_assert_int_eq(run.code, 0);
    ck_assert_uint_eq(program_run_lines(&run), 5);
    ck_assert(showed("\"partition_key\":\"123456789012345678901234567890\""));
    ck_assert(showed("\"partition_key\":\"-123456789012345678901234567891\""));
    ck_assert(showed("\"partition_key\":\"1.50\""));
    ck_assert(showed("\"partition_key\":\"true\""));
    ck_assert(showed("\"partition_key\":\"18446744073709551616\""));
    LEAT("tail", "s", "--from", "1 hour", "--until-end");
    ck_assert_int_eq(run.code, 2);
}
END_TEST

/* Ctrl-C before the end of the input: what was read is put, and a script learns that it was not all. */
START_TEST(put_that_is_interrupted_says_so)
{
    int input[2], status;
    pid_t pid;

    ck_assert_int_eq(pipe(input), 0);
    pid = fork();
    if (pid == 0) {
        LEAT_AUTO_BUF program = LEAT_BUF_INIT;

        leat_buf_printf(&program, "%s/leat", getenv("LEAT_BUILD"));
        dup2(input[0], STDIN_FILENO);
        close(input[0]);
        close(input[1]);
        execl(leat_buf_text(&program), "leat", "put", "s", "-q", "--linger", "10ms", NULL);
        _exit(127);
    }
    close(input[0]);
    ck_assert_int_eq(write(input[1], "one\n", 4), 4);
    do
        LEAT("tail", "s", "--until-end");
    while (program_run_lines(&run) == 0);
    kill(pid, SIGINT);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 130);
    close(input[1]);
}
END_TEST

START_TEST(changes_are_waited_for)
{
    struct leat_local_kinesis_options slow = {.change_us = 700 * LEAT_MS_US};
    struct leat_local_kinesis_options slowest = {.change_us = 3600 * LEAT_SECOND_US};
    struct leat_local_kinesis *other = leat_local_kinesis_new(&slow, &err);
    struct leat_local_kinesis *another = leat_local_kinesis_new(&slowest, &err);
    const char *endpoint = leat_local_kinesis_endpoint(other);
    int64_t began_us = leat_clock_monotonic_us();

    LEAT("streams", "create", "a", "--endpoint", endpoint);
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_int_ge(leat_clock_monotonic_us() - began_us, 700 * LEAT_MS_US);
    LEAT("streams", "create", "b", "--wait", "50ms", "--endpoint",
         leat_local_kinesis_endpoint(another));
    ck_assert_int_eq(run.code, 3);
    ck_assert(said("is not ACTIVE yet"));
    LEAT("streams", "delete", "a", "--yes", "--endpoint", endpoint);
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    leat_local_kinesis_free(other);
    leat_local_kinesis_free(another);
}
END_TEST

/* Endpoint, region and keys may come from a configuration and from a profile. */
START_TEST(where_options_come_from)
{
    char folder[] = "/tmp/leat-commands-XXXXXX", config[64], credentials[64];
    FILE *file;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(config, sizeof config, "%s/leat.yaml", folder);
    snprintf(credentials, sizeof credentials, "%s/credentials", folder);
    file = fopen(config, "w");
    fprintf(file,
            "application: a\ndatabase: postgresql:///none\nstreams: [s]\n"
            "aws: { region: us-east-1, endpoints: { kinesis: \"%s\" } }\n"
            "processors: [{ name: p, plugin: print, target: { plugin: postgres } }]\n"
            "archive: { url: \"file:///tmp/none\" }\n",
            leat_local_kinesis_endpoint(server));
    fclose(file);
    file = fopen(credentials, "w");
    fputs("[good]\naws_access_key_id = AKID\naws_secret_access_key = secret\n", file);
    fclose(file);
    unsetenv("AWS_ENDPOINT_URL");
    unsetenv("AWS_REGION");
    LEAT("streams", "ls", "-q", "-c", config);
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert(showed("s\n"));
    setenv("AWS_SHARED_CREDENTIALS_FILE", credentials, 1);
    setenv("AWS_ACCESS_KEY_ID", "wrong", 1); /* a profile that is named goes before it */
    LEAT("streams", "ls", "-q", "-c", config);
    ck_assert_int_eq(run.code, 1);
    LEAT("streams", "ls", "-q", "-c", config, "--profile", "good");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    LEAT("tail", "s", "--until-end", "--profile", "good", "--region", "us-east-1", "--endpoint",
         leat_local_kinesis_endpoint(server));
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    LEAT("tail", "s", "-c", "/nowhere/leat.yaml");
    ck_assert_int_eq(run.code, 2);
    unlink(config);
    unlink(credentials);
    rmdir(folder);
}
END_TEST

START_TEST(wrong_usage)
{
    LEAT("put");
    ck_assert_int_eq(run.code, 2);
    LEAT("put", "s", "--aggregate", "zip");
    ck_assert_int_eq(run.code, 2);
    LEAT("put", "s", "--rate", "fast");
    ck_assert_int_eq(run.code, 2);
    LEAT("put", "s", "--key", "a", "--key-field", "b");
    ck_assert_int_eq(run.code, 2);
    LEAT("put", "s", "--raw", "--key-field", "b");
    ck_assert_int_eq(run.code, 2);
    LEAT("tail", "s", "--from", "yesterday");
    ck_assert_int_eq(run.code, 2);
    LEAT("tail", "s", "-n", "0");
    ck_assert_int_eq(run.code, 2);
    LEAT("tail", "s", "--shard", "77", "--until-end");
    ck_assert_int_eq(run.code, 1);
    ck_assert(said("has no shard \"shardId-000000000077\""));
    LEAT("tail", "--help");
    ck_assert_int_eq(run.code, 0);
    ck_assert(showed("--until-end"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("integration/commands_stream");
    TCase *tests = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, put_and_tail);
    tcase_add_test(tests, keys);
    tcase_add_test(tests, bytes_and_long_lines);
    tcase_add_test(tests, rate_is_kept);
    tcase_add_test(tests, children_come_after_parents);
    tcase_add_test(tests, from_and_count);
    tcase_add_test(tests, tail_follows_through_a_split);
    tcase_add_test(tests, tail_survives_faults);
    tcase_add_test(tests, put_tells_what_failed);
    tcase_add_test(tests, streams_are_made_and_deleted);
    tcase_add_test(tests, changes_are_said);
    tcase_add_test(tests, long_numbers_are_keys);
    tcase_add_test(tests, put_that_is_interrupted_says_so);
    tcase_add_test(tests, changes_are_waited_for);
    tcase_add_test(tests, where_options_come_from);
    tcase_add_test(tests, wrong_usage);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
