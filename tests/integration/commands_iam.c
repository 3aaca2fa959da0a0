/*
 * `leat iam policy`: which streams and letters a policy names, and that it allows what the program does and nothing besides: a
 * worker, `leat put` and an operator's commands run against our own servers, which say what they were asked for.
 */
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/kinesis.h"
#include "local/s3.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/program.h"

#include <check.h>

static struct program_run run;
static struct leat_error err;
static char folder[] = "/tmp/leat-iam-XXXXXX";

#define LEAT(...) leat(NULL, (const char *const[]){__VA_ARGS__, NULL})
#define LEAT_WITH(input, ...) leat(input, (const char *const[]){__VA_ARGS__, NULL})

static void
leat(const char *input, const char *const *arguments)
{
    program_run_release(&run);
    program_run(&run, input, arguments);
}

/* ---- what a policy says ----------------------------------------------------------------------- */

static void
add_texts(struct leat_buf *text, struct json_object *list)
{
    for (size_t i = 0; i < json_object_array_length(list); i++)
        leat_buf_printf(text, " %s", json_object_get_string(json_object_array_get_idx(list, i)));
}

/* "Sid: actions on resources", a line for each statement. */
static void
read_policy(struct leat_buf *text)
{
    struct json_object *root, *statements;
    struct leat_slice version, effect, sid;

    ck_assert_int_eq(leat_json_parse(leat_buf_slice(&run.out), &root, &err), 0);
    ck_assert(leat_json_get_text(root, "Version", &version));
    ck_assert(leat_slice_is(version, "2012-10-17"));
    statements = leat_json_get(root, "Statement");
    for (size_t i = 0; i < json_object_array_length(statements); i++) {
        struct json_object *statement = json_object_array_get_idx(statements, i);

        ck_assert(leat_json_get_text(statement, "Effect", &effect));
        ck_assert(leat_slice_is(effect, "Allow"));
        ck_assert(leat_json_get_text(statement, "Sid", &sid));
        leat_buf_printf(text, "%.*s:", (int)sid.size, (const char *)sid.data);
        add_texts(text, leat_json_get(statement, "Action"));
        leat_buf_add_text(text, " on");
        add_texts(text, leat_json_get(statement, "Resource"));
        leat_buf_add_byte(text, '\n');
    }
    json_object_put(root);
}

#define READING                                                                                    \
    "ReadStreams: kinesis:DescribeStreamSummary kinesis:ListShards kinesis:GetShardIterator "      \
    "kinesis:GetRecords on "
#define CHANGING                                                                                   \
    "ChangeStreams: kinesis:CreateStream kinesis:DeleteStream kinesis:SplitShard "                 \
    "kinesis:MergeShards on "
#define FINDING "FindStreams: kinesis:ListStreams on *\n"

static const struct told {
    const char *yaml; /* behind application, database and processors */
    const char *arguments[6];
    const char *says; /* as read_policy; NULL: there is none */
} told[] = {
    {"aws: { region: eu-west-1 }\nstreams: [a]\narchive: { url: 's3://b/p/' }\n",
     {NULL},
     READING "arn:aws:kinesis:eu-west-1:*:stream/a\n"
             "StoreLetters: s3:PutObject on arn:aws:s3:::b/p/app/*\n"},
    {"aws: { region: eu-west-1 }\nstreams: [a, 'b*']\narchive: { url: 'file:///x' }\n"
     "dead_letters: { stream: dlq }\n",
     {"--account", "123456789012"},
     FINDING READING "arn:aws:kinesis:eu-west-1:123456789012:stream/a "
                     "arn:aws:kinesis:eu-west-1:123456789012:stream/b*\n"
                     "PutDeadLetters: kinesis:PutRecords on "
                     "arn:aws:kinesis:eu-west-1:123456789012:stream/dlq\n"},
    {"aws: { region: us-gov-west-1 }\nstreams: [a]\n"
     "archive: { url: 's3://b/p/{application}/{stream}/' }\n",
     {"--for", "worker"},
     READING "arn:aws-us-gov:kinesis:us-gov-west-1:*:stream/a\n"
             "StoreLetters: s3:PutObject on arn:aws-us-gov:s3:::b/p/app/*\n"},
    {"aws: { region: cn-north-1 }\n"
     "streams: ['arn:aws-cn:kinesis:cn-north-1:123456789012:stream/far', {name: f, file: /x}]\n"
     "archive: { url: 's3://b' }\n",
     {"--account", "210987654321"},
     READING "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/far\n"
             "StoreLetters: s3:PutObject on arn:aws-cn:s3:::b/app/*\n"},
    {"aws: { region: eu-west-1 }\nstreams: [a]\narchive: { url: 's3://b/p*$?' }\n",
     {"--set", "application=an/app"},
     READING "arn:aws:kinesis:eu-west-1:*:stream/a\n"
             "StoreLetters: s3:PutObject on arn:aws:s3:::b/p${*}${$}${?}/an!2Fapp/*\n"},
    {"aws: { region: eu-west-1 }\nstreams: [a, 'b*']\narchive: { url: 's3://b/p/' }\n",
     {"--for", "put"},
     "PutRecords: kinesis:ListShards kinesis:PutRecords on arn:aws:kinesis:eu-west-1:*:stream/a "
     "arn:aws:kinesis:eu-west-1:*:stream/b*\n"},
    {"aws: { region: eu-west-1 }\nstreams: [a]\narchive: { url: 's3://b/p/' }\n"
     "dead_letters: { stream: dlq }\n",
     {"--for", "operator"},
     FINDING READING
     "arn:aws:kinesis:eu-west-1:*:stream/a arn:aws:kinesis:eu-west-1:*:stream/dlq\n" CHANGING
     "arn:aws:kinesis:eu-west-1:*:stream/a arn:aws:kinesis:eu-west-1:*:stream/dlq\n"
     "FetchLetters: s3:GetObject on arn:aws:s3:::b/p/app/*\n"
     "LookAtArchive: s3:ListBucket on arn:aws:s3:::b\n"},
    {"aws: { region: eu-west-1 }\nstreams: [{name: f, file: /x}]\narchive: { url: 'file:///x' }\n",
     {NULL},
     NULL},
    {"aws: { region: eu-west-1 }\nstreams: [{name: f, file: /x}]\narchive: { url: 's3://b/p' }\n",
     {"--for", "put"},
     NULL},
};

static void
write_config(const char *path, const char *yaml)
{
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    fprintf(file,
            "application: app\ndatabase: postgresql://leat@db/leat\n"
            "processors: [{ name: p, plugin: rollup, target: { plugin: postgres } }]\n%s",
            yaml);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(test_what_is_named)
{
    const struct told *case_ = &told[_i];
    const char *arguments[12] = {"iam", "policy", "-c"};
    LEAT_AUTO_BUF says = LEAT_BUF_INIT;
    LEAT_AUTO_BUF first = LEAT_BUF_INIT;
    char path[80];

    snprintf(path, sizeof path, "%s/%d.yaml", folder, _i);
    write_config(path, case_->yaml);
    arguments[3] = path;
    for (size_t i = 0; case_->arguments[i] != NULL; i++)
        arguments[4 + i] = case_->arguments[i];
    leat(NULL, arguments);
    unlink(path);
    if (case_->says == NULL) {
        ck_assert_int_eq(run.code, 1);
        ck_assert_uint_eq(run.out.size, 0);
        ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "no policy is needed"));
        return;
    }
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_str_eq(leat_buf_text(&run.err), "");
    read_policy(&says);
    ck_assert_str_eq(leat_buf_text(&says), case_->says);
    /* the same bytes again */
    leat_buf_add_slice(&first, leat_buf_slice(&run.out));
    write_config(path, case_->yaml);
    leat(NULL, arguments);
    unlink(path);
    ck_assert_str_eq(leat_buf_text(&run.out), leat_buf_text(&first));
}
END_TEST

START_TEST(test_wrong_usage)
{
    static const struct {
        const char *arguments[6];
        const char *says;
    } cases[] = {
        {{"iam"}, "say policy"},
        {{"iam", "role"}, "say policy"},
        {{"iam", "policy", "more"}, "say policy"},
        {{"iam", "policy", "--for", "nobody"}, "worker, put or operator"},
        {{"iam", "policy", "--account", "12345678901x"}, "12 digits"},
        {{"iam", "policy"}, "-c FILE"},
    };
    char path[80];

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        leat(NULL, cases[i].arguments);
        ck_assert_int_eq(run.code, 2);
        ck_assert_msg(strstr(leat_buf_text(&run.err), cases[i].says) != NULL, "%s",
                      leat_buf_text(&run.err));
    }
    LEAT("iam", "--help");
    ck_assert_int_eq(run.code, 0);
    snprintf(path, sizeof path, "%s/region.yaml", folder);
    write_config(path, "streams: [a]\narchive: { url: 'file:///x' }\n");
    LEAT("iam", "policy", "-c", path);
    ck_assert_int_eq(run.code, 2);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "no AWS region"));
    unlink(path);
}
END_TEST

/* ---- what the program does -------------------------------------------------------------------- */

static struct test_fleet fleet;
static struct test_worker worker;
static struct leat_local_s3 *store;

static const struct {
    const char *call, *action;
} calls[] = {
    /* Kinesis: actions are named as the calls */
    {"ListStreams", NULL},
    {"DescribeStreamSummary", NULL},
    {"DescribeStream", NULL},
    {"ListShards", NULL},
    {"GetShardIterator", NULL},
    {"GetRecords", NULL},
    {"PutRecord", NULL},
    {"PutRecords", NULL},
    {"CreateStream", NULL},
    {"DeleteStream", NULL},
    {"SplitShard", NULL},
    {"MergeShards", NULL},
    /* S3: they are not */
    {"PutObject", "s3:PutObject"},
    {"GetObject", "s3:GetObject"},
    {"HeadObject", "s3:GetObject"},
    {"DeleteObject", "s3:DeleteObject"},
    {"ListObjectsV2", "s3:ListBucket"},
    {"CreateBucket", "s3:CreateBucket"},
    {"HeadBucket", "s3:ListBucket"},
    {"DeleteBucket", "s3:DeleteBucket"},
    {"ListBuckets", "s3:ListAllMyBuckets"},
};
static uint64_t before[LEAT_COUNT_OF(calls)];

static uint64_t
count_calls(size_t place)
{
    return calls[place].action == NULL ? leat_local_kinesis_calls(fleet.kinesis, calls[place].call)
                                       : leat_local_s3_calls(store, calls[place].call);
}

static void
begin_watching(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(calls); i++)
        before[i] = count_calls(i);
}

/* No call is of an action that the table lacks. */
static void
expect_known_calls(void)
{
    struct leat_local_kinesis_counts kinesis;
    struct leat_local_s3_counts s3;
    uint64_t known = 0;

    for (size_t i = 0; i < LEAT_COUNT_OF(calls); i++)
        known += count_calls(i);
    leat_local_kinesis_counts(fleet.kinesis, &kinesis);
    leat_local_s3_counts(store, &s3);
    ck_assert_uint_eq(known, kinesis.calls + s3.calls);
}

static bool
holds(struct json_object *policy, const char *action)
{
    struct json_object *statements = leat_json_get(policy, "Statement");

    for (size_t i = 0; i < json_object_array_length(statements); i++) {
        struct json_object *actions =
            leat_json_get(json_object_array_get_idx(statements, i), "Action");

        for (size_t j = 0; j < json_object_array_length(actions); j++) {
            if (strcmp(json_object_get_string(json_object_array_get_idx(actions, j)), action) == 0)
                return true;
        }
    }
    return false;
}

/* Allowed is what was called since begin_watching, and nothing else. */
static void
expect_allowed(const char *role)
{
    struct json_object *policy;

    LEAT("iam", "policy", "-c", fleet.config, "--for", role);
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_int_eq(leat_json_parse(leat_buf_slice(&run.out), &policy, &err), 0);
    for (size_t i = 0; i < LEAT_COUNT_OF(calls); i++) {
        bool was_called = false, is_allowed;
        char action[64];

        snprintf(action, sizeof action, "%s%s", calls[i].action == NULL ? "kinesis:" : "",
                 calls[i].action == NULL ? calls[i].call : calls[i].action);
        for (size_t j = 0; j < LEAT_COUNT_OF(calls); j++) {
            bool is_same = i == j || (calls[i].action != NULL && calls[j].action != NULL &&
                                      strcmp(calls[i].action, calls[j].action) == 0);

            was_called = was_called || (is_same && count_calls(j) > before[j]);
        }
        is_allowed = holds(policy, action);
        ck_assert_msg(!was_called || is_allowed, "%s: %s was called and is not allowed", role,
                      action);
        ck_assert_msg(was_called || !is_allowed, "%s: %s is allowed and was not called", role,
                      action);
    }
    json_object_put(policy);
    expect_known_calls();
}

static void
run_well(const char *input, const char *const *arguments)
{
    leat(input, arguments);
    ck_assert_msg(run.code == 0, "%s %s: %s", arguments[0], arguments[1], leat_buf_text(&run.err));
}
#define PROCESSORS "processors: [{ name: rollup, plugin: rollup, target: { plugin: postgres } }]\n"
#define WELL(...) run_well(NULL, (const char *const[]){__VA_ARGS__, NULL})

/* A start, a record that is good and one that is diverted, as this condition says. */
static void
work(const char *condition)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    uint64_t listed = leat_local_kinesis_calls(fleet.kinesis, "ListShards");

    test_fleet_put(&fleet, leat_slice_from("k"),
                   leat_slice_from("{\"device_id\": 1, \"time\": \"2022-01-01 00:00:01\", "
                                   "\"measurement\": \"temperature\", \"value\": 1}"));
    test_fleet_put(&fleet, leat_slice_from("k"), leat_slice_from("no record of rollup's"));
    worker = test_fleet_spawn(&fleet, "w", NULL);
    leat_buf_printf(&sql, "SELECT count(*) FROM leat.failures WHERE %s", condition);
    ck_assert(test_fleet_wait_for(&fleet, leat_buf_text(&sql), 1, deadline_us));
    /* Shards are listed beside the reading: leases that are there already are read at once. */
    while (leat_local_kinesis_calls(fleet.kinesis, "ListShards") == listed) {
        ck_assert_int_lt(leat_clock_monotonic_us(), deadline_us);
        usleep(1000);
    }
    test_worker_kill(&worker, SIGTERM);
    ck_assert_int_eq(test_worker_wait(&worker, NULL), 0);
}

/* Every command that asks AWS for something. */
static void
operate(void)
{
    char *id = test_fleet_shell(
        &fleet, "$LEAT failures ls -c $DIR/leat.yaml -o json | "
                "grep s3: | sed -n '1s/.*\"dead_letter_id\":\"\\([^\"]*\\)\".*/\\1/p'");

    id[strcspn(id, "\n")] = '\0';
    WELL("validate", "-c", fleet.config, "--connect");
    WELL("streams", "create", "more-2", "--shards", "1", "-c", fleet.config);
    WELL("streams", "split", "more-2", "0", "-c", fleet.config);
    WELL("streams", "merge", "more-2", "1", "2", "-c", fleet.config);
    WELL("streams", "ls", "-c", fleet.config);
    WELL("streams", "show", "more-2", "-c", fleet.config);
    WELL("streams", "delete", "more-2", "--yes", "-c", fleet.config);
    WELL("tail", "dlq", "--until-end", "-c", fleet.config);
    WELL("checkpoint", "set", "--processor", "rollup", "--all", "--to", "latest", "--yes", "-c",
         fleet.config);
    WELL("failures", "show", id, "--data", "-c", fleet.config);
    ck_assert_str_eq(leat_buf_text(&run.out), "no record of rollup's");
    free(id);
}

START_TEST(test_what_is_called_is_allowed)
{
    struct test_fleet_options options = {.shards = 1};
    struct leat_local_s3_options wanted = {0};
    char name[40];

    /* Not a server of its own: its log's reader would hold a stream that program_run flushes. */
    snprintf(name, sizeof name, "iam_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    store = leat_local_s3_new(&wanted, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    ck_assert_int_eq(leat_local_s3_create_bucket(store, "letters", &err), 0);
    ck_assert_int_eq(leat_local_kinesis_create_stream(fleet.kinesis, "more-1", 1, &err), 0);
    ck_assert_int_eq(leat_local_kinesis_create_stream(fleet.kinesis, "dlq", 1, &err), 0);
    test_fleet_configure(&fleet, PROCESSORS);
    begin_watching();
    work("archive_url LIKE 'file:%'");
    expect_allowed("worker");
    /* and with all that there is: a pattern, an archive in a bucket, dead letters */
    setenv("LEAT_ARCHIVE__URL", "s3://letters/kept/", 1);
    setenv("LEAT_AWS__ENDPOINTS__S3", leat_local_s3_endpoint(store), 1);
    fleet.streams = "events, 'more-*'";
    test_fleet_reconfigure(&fleet, PROCESSORS "dead_letters: { stream: dlq }\n");
    begin_watching();
    work("archive_url LIKE 's3:%' AND dead_letter_position IS NOT NULL");
    expect_allowed("worker");
    begin_watching();
    run_well("{\"a\":1}\n", (const char *const[]){"put", "events", "-c", fleet.config, NULL});
    run_well("{\"a\":1}\n{\"a\":2}\n", (const char *const[]){"put", "events", "--aggregate", "kpl",
                                                             "-c", fleet.config, NULL});
    expect_allowed("put");
    begin_watching();
    operate();
    expect_allowed("operator");
    leat_local_s3_free(store);
    test_fleet_end(&fleet);
}
END_TEST

static void
clear_environment(void)
{
    static const char *const names[] = {
        "AWS_REGION",       "AWS_DEFAULT_REGION",  "AWS_PROFILE",       "LEAT_CONFIG",
        "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "LEAT_ARCHIVE__URL", "AWS_ENDPOINT_URL_KINESIS"};

    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++)
        unsetenv(names[i]);
    setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
}

static void
teardown(void)
{
    program_run_release(&run);
}

int
main(void)
{
    Suite *suite = suite_create("commands_iam");
    TCase *tests = tcase_create("what is named"), *doing = tcase_create("what is called");
    SRunner *runner;
    int failed;

    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    tcase_add_checked_fixture(tests, clear_environment, teardown);
    tcase_add_loop_test(tests, test_what_is_named, 0, (int)LEAT_COUNT_OF(told));
    tcase_add_test(tests, test_wrong_usage);
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(doing, clear_environment, teardown);
    tcase_set_timeout(doing, 120);
    tcase_add_test(doing, test_what_is_called_is_allowed);
    suite_add_tcase(suite, doing);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    rmdir(folder);
    return failed > 0;
}
