/* What a service tells is kept whole or is an error that names it: nothing is cut, and no list is short without a word. */
#include <check.h>
#include <stdlib.h>

#include "aws/kinesis_internal.h"
#include "aws/s3.h"
#include "base/memory.h"
#include "tests/support/canned_http.h"

#define JSON_HEAD "Content-Type: application/x-amz-json-1.1\r\n"

static struct canned_http *server;
static struct leat_aws aws;
static struct leat_kinesis *kinesis;
static struct leat_error err;

static void
setup(void)
{
    server = canned_http_new();
    memset(&aws, 0, sizeof aws);
    aws.region = "eu-west-1";
    aws.endpoints[LEAT_SERVICE_KINESIS] = canned_http_url(server);
    aws.endpoints[LEAT_SERVICE_S3] = canned_http_url(server);
    aws.credentials = leat_credentials_static_new("AKID", "not-to-be-shown", NULL);
    aws.retry.maximum_attempts = 1;
    kinesis = leat_kinesis_new(&aws, LEAT_KINESIS_JSON, &err);
    ck_assert_msg(kinesis != NULL, "%s", err.text);
}

static void
teardown(void)
{
    leat_kinesis_free(kinesis);
    leat_credentials_provider_free(aws.credentials);
    canned_http_free(server);
}

/* `$` in the body stands for `size` letters. */
static void
answer(const char *head, const char *body, size_t size)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    for (; *body != '\0'; body++) {
        for (size_t i = 0; *body == '$' && i < size; i++)
            leat_buf_add_byte(&text, (unsigned char)('0' + i % 10));
        if (*body != '$')
            leat_buf_add_byte(&text, (unsigned char)*body);
    }
    canned_http_answer(server, 200, head, leat_buf_slice(&text));
}

static int
count_shard(void *context, const struct leat_kinesis_shard *shard)
{
    ++*(unsigned *)context;
    return 0;
}

static int
count_stream(void *context, const struct leat_kinesis_summary *summary)
{
    ++*(unsigned *)context;
    return 0;
}

static int
count_object(void *context, const struct leat_s3_object *object)
{
    ++*(unsigned *)context;
    return 0;
}

START_TEST(a_long_token_leads_to_the_next_page)
{
    static const size_t sizes[] = {100, 4095, 4096, 5000, 1 << 20};

    for (size_t i = 0; i < LEAT_COUNT_OF(sizes); i++) {
        unsigned count = 0;
        struct leat_slice body;

        answer(JSON_HEAD, "{\"Shards\":[{\"ShardId\":\"a\"}],\"NextToken\":\"$\"}", sizes[i]);
        answer(JSON_HEAD, "{\"Shards\":[{\"ShardId\":\"b\"},{\"ShardId\":\"c\"}]}", 0);
        ck_assert_msg(leat_kinesis_list_shards(kinesis, "s", count_shard, &count, &err) == 0, "%s",
                      err.text);
        ck_assert_uint_eq(count, 3);
        body = canned_http_body(server, 2 * i + 1);
        ck_assert_uint_gt(body.size, sizes[i]);
    }
}
END_TEST

/* Of ListShards, one page: what is wrong, and what is said. */
START_TEST(shards_that_cannot_be_are_named)
{
    static const struct {
        const char *body;
        size_t size;
        const char *text;
    } cases[] = {
        {"{\"Shards\":[],\"NextToken\":\"$\"}", (1 << 20) + 1, "a token of 1048577 bytes"},
        {"{\"Shards\":[{\"ShardId\":\"$\"}]}", 129, "a ShardId of 129 bytes"},
        {"{\"Shards\":[{\"ShardId\":\"a\",\"ParentShardId\":\"$\"}]}", 200,
         "a ParentShardId of 200"},
        {"{\"Shards\":[{\"ShardId\":\"a\",\"AdjacentParentShardId\":\"$\"}]}", 200,
         "an AdjacentParentShardId of 200"},
        {"{\"Shards\":[{\"ShardId\":\"a\",\"HashKeyRange\":{\"StartingHashKey\":\"$\"}}]}", 40,
         "a StartingHashKey of 40"},
        {"{\"Shards\":[{\"ShardId\":\"a\",\"SequenceNumberRange\":{\"EndingSequenceNumber\":\"$\"}}"
         "]"
         "}",
         129, "an EndingSequenceNumber of 129"},
        {"{\"Shards\":{}}", 0, "lacks Shards"},
        {"[]", 0, "an answer that is no object"},
        {"{\"Shards\":[", 0, "ends in the middle"},
        {"{\"Shards\":[]}x", 0, "does not parse"},
        {"{\"Shards\":[\"$\"]}", 5 << 20, "larger than asked"},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        unsigned count = 0;

        answer(JSON_HEAD, cases[i].body, cases[i].size);
        ck_assert_int_lt(leat_kinesis_list_shards(kinesis, "s", count_shard, &count, &err), 0);
        ck_assert_msg(strstr(err.text, cases[i].text) != NULL, "%s: %s", cases[i].text, err.text);
        ck_assert_msg(strstr(err.text, "ListShards of stream \"s\"") != NULL, "%s", err.text);
    }
}
END_TEST

START_TEST(a_list_in_a_circle_is_named)
{
    unsigned count = 0;

    for (int i = 0; i < 8; i++)
        answer(JSON_HEAD,
               i % 2 == 0 ? "{\"Shards\":[],\"NextToken\":\"one\"}"
                          : "{\"Shards\":[],\"NextToken\":\"two\"}",
               0);
    ck_assert_int_eq(leat_kinesis_list_shards(kinesis, "s", count_shard, &count, &err),
                     LEAT_E_FORMAT);
    ck_assert_msg(strstr(err.text, "does not end") != NULL, "%s", err.text);
}
END_TEST

START_TEST(a_tree_that_is_too_large_is_never_made)
{
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;
    unsigned count = 0;

    leat_buf_add_text(&body, "{\"Shards\":[");
    for (int i = 0; i < 1000000; i++)
        leat_buf_add_text(&body, "[],");
    leat_buf_add_text(&body, "[]]}");
    canned_http_answer(server, 200, JSON_HEAD, leat_buf_slice(&body));
    ck_assert_int_eq(leat_kinesis_list_shards(kinesis, "s", count_shard, &count, &err),
                     LEAT_E_LIMIT);
    ck_assert_msg(strstr(err.text, "values would take") != NULL, "%s", err.text);
}
END_TEST

START_TEST(streams_that_cannot_be_are_named)
{
    static const struct {
        const char *body;
        size_t size;
        const char *text;
    } cases[] = {
        {"{\"StreamNames\":[\"$\"],\"HasMoreStreams\":false}", 129, "a stream's name of 129 bytes"},
        {"{\"StreamNames\":[\"a\\u0000b\"],\"HasMoreStreams\":false}", 0,
         "a stream's name that is"},
        {"{\"StreamNames\":[],\"HasMoreStreams\":true}", 0,
         "there are more streams, and names none"},
        {"{\"HasMoreStreams\":false}", 0, "lacks StreamNames"},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        unsigned count = 0;

        answer(JSON_HEAD, cases[i].body, cases[i].size);
        ck_assert_int_lt(leat_kinesis_list_summaries(kinesis, count_stream, &count, &err), 0);
        ck_assert_msg(strstr(err.text, cases[i].text) != NULL, "%s: %s", cases[i].text, err.text);
    }
}
END_TEST

START_TEST(names_that_come_again_end_the_list)
{
    unsigned count = 0;

    for (int i = 0; i < 3; i++)
        answer(JSON_HEAD, "{\"StreamNames\":[\"a\",\"b\"],\"HasMoreStreams\":true}", 0);
    ck_assert_int_eq(leat_kinesis_list_summaries(kinesis, count_stream, &count, &err),
                     LEAT_E_FORMAT);
    ck_assert_msg(strstr(err.text, "ListStreams: the list does not end") != NULL, "%s", err.text);
}
END_TEST

START_TEST(a_description_that_cannot_be_is_named)
{
    static const struct {
        const char *body;
        size_t size;
        const char *text;
    } cases[] = {
        {"{\"StreamDescriptionSummary\":{\"StreamARN\":\"$\",\"StreamCreationTimestamp\":1}}", 471,
         "a StreamARN of 471 bytes"},
        {"{\"StreamDescriptionSummary\":{\"StreamARN\":\"a\\u0000b\",\"StreamCreationTimestamp\":1}"
         "}",
         0, "lacks StreamARN"},
        {"{\"StreamDescriptionSummary\":{\"StreamARN\":\"a\"}}", 0, "StreamCreationTimestamp"},
        {"{\"StreamDescriptionSummary\":[]}", 0, "lacks StreamARN"},
    };
    struct leat_kinesis_summary summary;

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        answer(JSON_HEAD, cases[i].body, cases[i].size);
        ck_assert_int_lt(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err), 0);
        ck_assert_msg(strstr(err.text, cases[i].text) != NULL, "%s: %s", cases[i].text, err.text);
    }
    answer(JSON_HEAD,
           "{\"StreamDescriptionSummary\":{\"StreamARN\":\"$\",\"StreamCreationTimestamp\":1,"
           "\"RetentionPeriodHours\":99999999999,\"OpenShardCount\":-3}}",
           470);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err), 0);
    ck_assert_uint_eq(strlen(summary.arn), 470);
    ck_assert_int_eq(summary.retention_hours, INT32_MAX);
    ck_assert_int_eq(summary.open_shards, 0);
}
END_TEST

START_TEST(iterators_and_sequence_numbers_are_whole_or_refused)
{
    struct leat_kinesis_iterator_request request = {.stream = "s", .shard = leat_slice_from("a")};
    char iterator[LEAT_KINESIS_ITERATOR_BYTES];
    struct leat_kinesis_put put = {.data = leat_slice_from("d"),
                                   .partition_key = leat_slice_from("k")};

    answer(JSON_HEAD, "{\"ShardIterator\":\"$\"}", LEAT_KINESIS_ITERATOR_BYTES - 1);
    ck_assert_int_eq(leat_kinesis_get_shard_iterator(kinesis, &request, iterator, &err), 0);
    ck_assert_uint_eq(strlen(iterator), LEAT_KINESIS_ITERATOR_BYTES - 1);
    answer(JSON_HEAD, "{\"ShardIterator\":\"$\"}", LEAT_KINESIS_ITERATOR_BYTES);
    ck_assert_int_eq(leat_kinesis_get_shard_iterator(kinesis, &request, iterator, &err),
                     LEAT_E_FORMAT);
    answer(JSON_HEAD, "{\"ShardIterator\":\"a\\u0000b\"}", 0);
    ck_assert_int_eq(leat_kinesis_get_shard_iterator(kinesis, &request, iterator, &err),
                     LEAT_E_FORMAT);
    answer(JSON_HEAD, "{\"Records\":[{\"SequenceNumber\":\"$\",\"ShardId\":\"s\"}]}", 129);
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "s", &put, 1, &err), LEAT_E_FORMAT);
    answer(JSON_HEAD, "{\"Records\":[{\"SequenceNumber\":\"$\",\"ShardId\":\"s\"}]}", 128);
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "s", &put, 1, &err), 0);
    ck_assert_uint_eq(strlen(put.sequence), 128);
}
END_TEST

START_TEST(a_long_namespace_hides_no_type)
{
    unsigned count = 0;
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;

    leat_buf_add_text(&body, "{\"__type\":\"");
    for (int i = 0; i < 300; i++)
        leat_buf_add_byte(&body, 'n');
    leat_buf_add_text(&body, "#ResourceNotFoundException\"}");
    canned_http_answer(server, 400, JSON_HEAD, leat_buf_slice(&body));
    ck_assert_int_eq(leat_kinesis_list_shards(kinesis, "s", count_shard, &count, &err),
                     LEAT_E_NOT_FOUND);
}
END_TEST

START_TEST(objects_are_listed_whole_or_not)
{
    static const struct {
        const char *body;
        size_t size;
        const char *text;
    } cases[] = {
        {"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", 0,
         "without a NextContinuationToken"},
        {"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>$"
         "</NextContinuationToken></ListBucketResult>",
         9000, "a token of 9000 bytes"},
        {"<ListBucketResult><Contents><Key>$</Key></Contents></ListBucketResult>", 70000,
         "a text of more than 65536 bytes"},
        {"<a/>", 0, "is no list"},
        {"<ListBucketResult>", 0, "not well-formed"},
    };
    struct leat_s3 *s3 = leat_s3_new(&aws, &err);
    struct leat_slice prefix = leat_slice_from("p/");
    unsigned count = 0;

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        answer("", cases[i].body, cases[i].size);
        ck_assert_int_lt(leat_s3_list_objects(s3, "bucket", prefix, count_object, &count, &err), 0);
        ck_assert_msg(strstr(err.text, cases[i].text) != NULL, "%s: %s", cases[i].text, err.text);
    }
    for (int i = 0; i < 2; i++)
        answer("",
               "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t"
               "</NextContinuationToken></ListBucketResult>",
               0);
    ck_assert_int_lt(leat_s3_list_objects(s3, "bucket", prefix, count_object, &count, &err), 0);
    ck_assert_msg(strstr(err.text, "does not end") != NULL, "%s", err.text);
    leat_s3_free(s3);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_long_token_leads_to_the_next_page,   shards_that_cannot_be_are_named,
        a_list_in_a_circle_is_named,           a_tree_that_is_too_large_is_never_made,
        streams_that_cannot_be_are_named,      names_that_come_again_end_the_list,
        a_description_that_cannot_be_is_named, iterators_and_sequence_numbers_are_whole_or_refused,
        a_long_namespace_hides_no_type,        objects_are_listed_whole_or_not};
    Suite *suite = suite_create("answers");
    TCase *tcase = tcase_create("answers");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    for (size_t i = 0; i < LEAT_COUNT_OF(tests); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
