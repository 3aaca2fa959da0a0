/* The Kinesis and S3 clients against written answers: fallbacks, partial failures, refresh, clock, over-runs, errors. */
#include <check.h>
#include <stdlib.h>

#include "aws/cbor.h"
#include "aws/kinesis_internal.h"
#include "aws/s3.h"
#include "aws/sign.h"
#include "base/clock.h"
#include "base/memory.h"
#include "support/patience.h"
#include "tests/support/canned_http.h"

#define JSON_HEAD "Content-Type: application/x-amz-json-1.1\r\n"
#define CBOR_HEAD "Content-Type: application/x-amz-cbor-1.1\r\n"

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
    aws.credentials = leat_credentials_static_new("AKID", "not-to-be-shown", "token");
    aws.retry.base_us = aws.retry.cap_us = 1000;
    aws.retry.throttle_base_us = aws.retry.throttle_cap_us = 1000;
    kinesis = leat_kinesis_new(&aws, LEAT_KINESIS_AUTO, &err);
    ck_assert_msg(kinesis != NULL, "%s", err.text);
}

static void
teardown(void)
{
    leat_kinesis_free(kinesis);
    leat_credentials_provider_free(aws.credentials);
    canned_http_free(server);
}

static void
answer_json(int status, const char *body)
{
    canned_http_answer(server, status, JSON_HEAD, leat_slice_from(body));
}

static bool
was_asked(size_t place, const char *text)
{
    const char *request = canned_http_request(server, place);
    struct leat_slice body = canned_http_body(server, place);

    return strcasestr(request, text) != NULL ||
           memmem(body.data, body.size, text, strlen(text)) != NULL;
}

/* What a server's side would say to the request's signature. */
static enum leat_sign_verdict
judge(size_t place, const struct leat_credentials *credentials, const char *service, int64_t now_us)
{
    LEAT_AUTO_FREE char *text = leat_strdup(canned_http_request(server, place));
    struct leat_sign_header headers[20];
    struct leat_sign_request request = {.headers = headers, .query = leat_slice_from("")};
    struct leat_sign_check check = {credentials, leat_slice_from("eu-west-1"),
                                    leat_slice_from(service), now_us, INT64_C(5000000)};
    char hash[LEAT_SHA256_HEX_BYTES];
    char *rest = NULL;
    char *line = strtok_r(text, "\r\n", &rest);
    char *space = strchr(line, ' '), *end = strrchr(line, ' '), *mark;

    request.method = leat_slice_make(line, (size_t)(space - line));
    request.path = leat_slice_make(space + 1, (size_t)(end - space - 1));
    mark = memchr(space, '?', (size_t)(end - space));
    if (mark != NULL) {
        request.path.size = (size_t)(mark - space - 1);
        request.query = leat_slice_make(mark + 1, (size_t)(end - mark - 1));
    }
    while ((line = strtok_r(NULL, "\r\n", &rest)) != NULL && strchr(line, ':') != NULL &&
           *line != '{' && request.header_count < 20) {
        char *colon = strchr(line, ':');

        headers[request.header_count].name = leat_slice_make(line, (size_t)(colon - line));
        headers[request.header_count++].value = leat_slice_from(colon + 2);
    }
    leat_sha256_hex(canned_http_body(server, place), hash);
    check.body_hash = leat_slice_from(hash);
    return leat_sign_verify(&request, &check);
}

static struct leat_credentials known = {(char *)"AKID", (char *)"not-to-be-shown", (char *)"token"};

/* ---- actions ------------------------------------------------------------------------------- */

static const char summary_json[] =
    "{\"StreamDescriptionSummary\":{\"StreamName\":\"s\",\"StreamARN\":\"arn:x\","
    "\"StreamStatus\":\"ACTIVE\",\"StreamCreationTimestamp\":1.7953815369E9,"
    "\"RetentionPeriodHours\":24,\"OpenShardCount\":4,\"KeyId\":null}}";

START_TEST(summary_and_signature)
{
    struct leat_kinesis_summary summary;

    answer_json(200, summary_json);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err), 0);
    ck_assert_str_eq(summary.arn, "arn:x");
    ck_assert_str_eq(summary.status, "ACTIVE");
    ck_assert_int_eq(summary.open_shards, 4);
    ck_assert_int_eq(summary.retention_hours, 24);
    ck_assert_int_eq(summary.created_us, INT64_C(1795381536900000));
    ck_assert(was_asked(0, "x-amz-target: Kinesis_20131202.DescribeStreamSummary"));
    ck_assert(was_asked(0, LEAT_WIRE_CBOR_TYPE));
    ck_assert_int_eq(judge(0, &known, "kinesis", leat_clock_wall_us()), LEAT_SIGN_OK);
}
END_TEST

START_TEST(falls_back_to_json_for_good)
{
    struct leat_kinesis_summary summary;

    canned_http_answer(server, 200, CBOR_HEAD, leat_slice_from("\xbf\x61")); /* cut */
    answer_json(200, summary_json);
    answer_json(200, summary_json);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err), 0);
    ck_assert_int_eq(leat_kinesis_wire(kinesis), LEAT_WIRE_JSON);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err), 0);
    ck_assert(was_asked(1, LEAT_WIRE_JSON_TYPE));
    ck_assert(was_asked(2, LEAT_WIRE_JSON_TYPE));
}
END_TEST

START_TEST(falls_back_when_refused)
{
    struct leat_kinesis_summary summary;

    answer_json(400, "{\"__type\":\"SerializationException\"}");
    answer_json(200, summary_json);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err), 0);
    ck_assert(was_asked(1, LEAT_WIRE_JSON_TYPE));
}
END_TEST

struct listed {
    char text[256];
};

static int
add_shard(void *context, const struct leat_kinesis_shard *shard)
{
    struct listed *listed = context;
    size_t used = strlen(listed->text);

    snprintf(listed->text + used, sizeof listed->text - used, "%.*s<%.*s,%.*s ",
             (int)shard->shard.size, (const char *)shard->shard.data, (int)shard->parent.size,
             (const char *)shard->parent.data, (int)shard->ending_sequence.size,
             (const char *)shard->ending_sequence.data);
    return 0;
}

START_TEST(lists_all_pages)
{
    struct listed listed = {""};

    answer_json(200, "{\"Shards\":[{\"ShardId\":\"a\",\"ParentShardId\":null,"
                     "\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"1\","
                     "\"EndingSequenceNumber\":\"9\"}}],\"NextToken\":\"t1\"}");
    answer_json(200,
                "{\"Shards\":[{\"ShardId\":\"b\",\"ParentShardId\":\"a\"}],\"NextToken\":null}");
    ck_assert_int_eq(leat_kinesis_list_shards(kinesis, "s", add_shard, &listed, &err), 0);
    ck_assert_str_eq(listed.text, "a<,9 b<a, ");
    ck_assert(was_asked(1, "t1"));
    ck_assert(!was_asked(1, "StreamName"));
}
END_TEST

START_TEST(errors_are_named)
{
    struct leat_kinesis_summary summary;
    static const struct {
        int status;
        const char *body;
        int code;
        const char *text;
    } cases[] = {
        {400,
         "{\"__type\":\"com.amazonaws#ResourceNotFoundException\",\"message\":\"Stream s is "
         "not there.\\nsecond line\"}",
         LEAT_E_NOT_FOUND,
         "kinesis DescribeStreamSummary of stream \"s\": ResourceNotFoundException: Stream s is "
         "not there: check name, region and endpoint"},
        {400, "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}", LEAT_E_DENIED,
         "AccessDeniedException: no: check"},
        {400, "{\"__type\":\"ResourceInUseException\"}", LEAT_E_CONFLICT, "ResourceInUse"},
        {400, "{\"__type\":\"InvalidArgumentException\"}", LEAT_E_INVALID, "InvalidArgument"},
    };

    kinesis->encoding = LEAT_KINESIS_JSON;
    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        answer_json(cases[i].status, cases[i].body);
        ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err),
                         cases[i].code);
        ck_assert_int_eq(err.http_status, cases[i].status);
        ck_assert_msg(strstr(err.text, cases[i].text) != NULL, "%s", err.text);
        ck_assert_ptr_null(strstr(err.text, "second line"));
    }
}
END_TEST

START_TEST(faults_and_throttles_are_retried)
{
    struct leat_kinesis_summary summary;

    kinesis->encoding = LEAT_KINESIS_JSON;
    answer_json(500, "{\"__type\":\"InternalFailure\"}");
    answer_json(400, "{\"__type\":\"LimitExceededException\"}");
    canned_http_add(server, leat_slice_from(""), CANNED_CLOSE);
    answer_json(503, "");
    answer_json(200, summary_json);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err), 0);
    ck_assert_uint_ge(canned_http_count(server), 5);
    aws.retry.maximum_attempts = 2;
    answer_json(500, "");
    answer_json(500, "");
    answer_json(200, summary_json);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err),
                     LEAT_E_UNAVAILABLE);
}
END_TEST

/* A policy of the caller's own goes before them. */
START_TEST(attempts_of_the_environment)
{
    struct leat_kinesis_summary summary;
    struct leat_kinesis *other;

    setenv("AWS_MAX_ATTEMPTS", "1", 1);
    other = leat_kinesis_new(&aws, LEAT_KINESIS_JSON, &err);
    ck_assert_ptr_nonnull(other);
    answer_json(500, "");
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(other, "s", &summary, &err),
                     LEAT_E_UNAVAILABLE);
    ck_assert_uint_eq(canned_http_count(server), 1);
    aws.retry.maximum_attempts = 2;
    answer_json(500, "");
    answer_json(200, summary_json);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(other, "s", &summary, &err), 0);
    leat_kinesis_free(other);
    setenv("AWS_MAX_ATTEMPTS", "many", 1);
    ck_assert_ptr_null(leat_kinesis_new(&aws, LEAT_KINESIS_JSON, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "AWS_MAX_ATTEMPTS"));
    setenv("AWS_MAX_ATTEMPTS", " ", 1);
    setenv("AWS_RETRY_MODE", "eager", 1);
    ck_assert_ptr_null(leat_kinesis_new(&aws, LEAT_KINESIS_JSON, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "AWS_RETRY_MODE"));
}
END_TEST

/* ---- credentials and clock ----------------------------------------------------------------- */

struct rotating {
    struct leat_credentials_provider base;
    int calls;
    bool is_stuck;
};

static int
rotating_get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
             struct leat_error *ret_err)
{
    struct rotating *rotating = (struct rotating *)provider;

    rotating->calls++;
    leat_credentials_set(
        ret_credentials,
        leat_slice_from(rotating->calls == 1 || rotating->is_stuck ? "OLD" : "NEW"),
        leat_slice_from("secret"), leat_slice_from("token"));
    return 0;
}

START_TEST(expired_token_is_refreshed_once)
{
    static const struct leat_credentials_provider_ops ops = {"rotating", "that rotate",
                                                             rotating_get, NULL};
    struct rotating rotating = {.base = {&ops}};
    struct leat_aws other = aws;
    struct leat_kinesis_summary summary;
    struct leat_kinesis *client;

    other.credentials = &rotating.base;
    client = leat_kinesis_new(&other, LEAT_KINESIS_JSON, &err);
    answer_json(400, "{\"__type\":\"ExpiredTokenException\"}");
    answer_json(200, summary_json);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(client, "s", &summary, &err), 0);
    ck_assert(was_asked(0, "Credential=OLD/"));
    ck_assert(was_asked(1, "Credential=NEW/"));
    /* The same ones again: not asked twice. */
    rotating.is_stuck = true;
    leat_kinesis_free(client);
    client = leat_kinesis_new(&other, LEAT_KINESIS_JSON, &err);
    answer_json(400, "{\"__type\":\"ExpiredTokenException\"}");
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(client, "s", &summary, &err),
                     LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "renew"));
    ck_assert_uint_eq(canned_http_count(server), 3);
    leat_kinesis_free(client);
}
END_TEST

START_TEST(clock_is_corrected_once)
{
    struct leat_kinesis_summary summary;
    int64_t date_us = INT64_C(784111777) * 1000000;

    kinesis->encoding = LEAT_KINESIS_JSON;
    canned_http_answer(server, 400, JSON_HEAD "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                       leat_slice_from("{\"__type\":\"InvalidSignatureException\",\"message\":"
                                       "\"Signature expired\"}"));
    answer_json(200, summary_json);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err), 0);
    ck_assert_int_eq(judge(1, &known, "kinesis", date_us), LEAT_SIGN_OK);
    ck_assert(llabs(leat_kinesis_now_us(kinesis) - date_us) < 30 * LEAT_SECOND_US);
    /* A wrong secret with a good clock is no skew. */
    canned_http_answer(server, 400, JSON_HEAD "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                       leat_slice_from("{\"__type\":\"InvalidSignatureException\"}"));
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err),
                     LEAT_E_DENIED);
    ck_assert_uint_eq(canned_http_count(server), 3);
    ck_assert_ptr_null(strstr(err.text, "not-to-be-shown"));
}
END_TEST

static const char *const clock_refusals[] = {
    "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature not yet current\"}",
    "{\"__type\":\"RequestExpired\"}",
    "{\"__type\":\"RequestTimeTooSkewed\"}",
    "{\"__type\":\"RequestInTheFuture\"}",
    "{\"__type\":\"SignatureDoesNotMatch\"}",
};

/* What is refused again with the time that the answer told is not believed: the next call is signed with our own. */
START_TEST(a_date_that_is_nonsense_spoils_one_call)
{
    struct leat_kinesis_summary summary;

    kinesis->encoding = LEAT_KINESIS_JSON;
    for (int i = 0; i < 2; i++)
        canned_http_answer(server, 403, JSON_HEAD "Date: Tue, 06 Oct 2099 08:49:37 GMT\r\n",
                           leat_slice_from(clock_refusals[_i]));
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err),
                     LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, _i == 1 ? "RequestExpired" : ""));
    ck_assert_uint_eq(canned_http_count(server), 2);
    answer_json(200, summary_json);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err), 0);
    ck_assert_int_eq(judge(2, &known, "kinesis", leat_clock_wall_us()), LEAT_SIGN_OK);
    /* The right one still corrects, and stays. */
    canned_http_answer(server, 403, JSON_HEAD "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                       leat_slice_from(clock_refusals[_i]));
    answer_json(200, summary_json);
    answer_json(200, summary_json);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err), 0);
    for (size_t place = 4; place < 6; place++)
        ck_assert_int_eq(judge(place, &known, "kinesis", INT64_C(784111777) * 1000000),
                         LEAT_SIGN_OK);
}
END_TEST

/* ---- put ----------------------------------------------------------------------------------- */

START_TEST(put_sends_failed_records_again)
{
    struct leat_kinesis_put records[3];

    memset(records, 0, sizeof records);
    for (size_t i = 0; i < 3; i++) {
        static const char *const keys[] = {"first", "second", "third"};

        records[i].data = leat_slice_from(keys[i]);
        records[i].partition_key = leat_slice_from(keys[i]);
        records[i].explicit_hash_key = leat_slice_from(i == 2 ? "77" : "");
    }
    answer_json(200,
                "{\"FailedRecordCount\":2,\"Records\":[{\"SequenceNumber\":\"1\",\"ShardId\":\"a\","
                "\"ErrorCode\":null},{\"ErrorCode\":\"ProvisionedThroughputExceededException\"},"
                "{\"ErrorCode\":\"InternalFailure\"}]}");
    answer_json(200, "{\"Records\":[{\"ErrorCode\":\"InternalFailure\"},"
                     "{\"SequenceNumber\":\"3\",\"ShardId\":\"b\"}]}");
    answer_json(200, "{\"Records\":[{\"SequenceNumber\":\"4\",\"ShardId\":\"a\"}]}");
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "s", records, 3, &err), 0);
    ck_assert_str_eq(records[0].sequence, "1");
    ck_assert_str_eq(records[1].sequence, "4");
    ck_assert_str_eq(records[1].error_type, "");
    ck_assert_str_eq(records[2].sequence, "3");
    ck_assert_uint_eq(records[0].attempts, 1);
    ck_assert_uint_eq(records[1].attempts, 3);
    ck_assert(was_asked(0, "\"ExplicitHashKey\":\"77\""));
    ck_assert(was_asked(0, LEAT_WIRE_JSON_TYPE)); /* an unproved server gets no CBOR puts */
    ck_assert(!was_asked(1, "\"first\""));
    ck_assert(was_asked(1, "\"second\"") && was_asked(1, "\"third\""));
    ck_assert(was_asked(2, "\"second\"") && !was_asked(2, "\"third\""));
}
END_TEST

static void
answer_put(size_t count)
{
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;

    leat_buf_add_text(&body, "{\"Records\":[");
    for (size_t i = 0; i < count; i++)
        leat_buf_printf(&body, "%s{\"SequenceNumber\":\"%zu\",\"ShardId\":\"a\"}", i > 0 ? "," : "",
                        i + 1);
    leat_buf_add_text(&body, "]}");
    answer_json(200, leat_buf_text(&body));
}

START_TEST(put_splits_by_count_and_bytes)
{
    struct leat_kinesis_put *records = LEAT_NEW_ARRAY(struct leat_kinesis_put, 501);
    char *large = leat_alloc_zero(1, 1 << 20);

    for (size_t i = 0; i < 501; i++)
        records[i].data = records[i].partition_key = leat_slice_from("k");
    answer_put(500);
    answer_put(1);
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "s", records, 501, &err), 0);
    ck_assert_uint_eq(canned_http_count(server), 2);
    ck_assert_str_eq(records[499].sequence, "500");
    ck_assert_str_eq(records[500].sequence, "1");
    for (size_t i = 0; i < 6; i++)
        records[i].data = leat_slice_make(large, 1 << 20);
    answer_put(4);
    answer_put(2);
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "s", records, 6, &err), 0);
    ck_assert_uint_eq(canned_http_count(server), 4);
    free(records);
    free(large);
}
END_TEST

START_TEST(put_tells_what_became_of_each)
{
    struct leat_kinesis_put records[2];

    memset(records, 0, sizeof records);
    records[0].data = records[1].data = leat_slice_from("x");
    records[0].partition_key = records[1].partition_key = leat_slice_from("k");
    answer_json(200, "{\"Records\":[{\"SequenceNumber\":\"1\",\"ShardId\":\"a\"},"
                     "{\"ErrorCode\":\"KMSDisabledException\"}]}");
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "s", records, 2, &err), LEAT_E_DENIED);
    ck_assert_int_eq(records[0].result, 0);
    ck_assert_int_eq(records[1].result, LEAT_E_DENIED);
    ck_assert_str_eq(records[1].error_type, "KMSDisabledException");
    answer_json(400, "{\"__type\":\"ResourceNotFoundException\"}");
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "s", records, 2, &err), LEAT_E_NOT_FOUND);
    ck_assert_int_eq(records[0].result, LEAT_E_NOT_FOUND);
    aws.retry.maximum_attempts = 1;
    canned_http_add(server, leat_slice_from("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
                    CANNED_CLOSE);
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "s", records, 2, &err), LEAT_E_UNKNOWN);
    ck_assert_int_eq(records[1].result, LEAT_E_UNKNOWN);
}
END_TEST

/* ---- reading ------------------------------------------------------------------------------- */

struct told {
    bool is_done;
    int result;
    char iterator[64];
    bool is_overrun;
    size_t needed_bytes;
    enum leat_wire_encoding encoding;
    struct leat_error err;
};

static void
on_done(void *context, const struct leat_kinesis_answer *answer)
{
    struct told *told = context;

    told->is_done = true;
    told->result = answer->result;
    told->is_overrun = answer->is_overrun;
    told->needed_bytes = answer->needed_bytes;
    told->encoding = answer->encoding;
    told->err = answer->err;
    if (answer->iterator != NULL)
        snprintf(told->iterator, sizeof told->iterator, "%s", answer->iterator);
}

static void
finish(struct leat_event_loop *loop, struct told *told)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (!told->is_done && leat_clock_monotonic_us() < deadline_us)
        leat_event_loop_run_once(loop, deadline_us);
    ck_assert(told->is_done);
}

START_TEST(started_reads)
{
    static const char records_json[] =
        "{\"Records\":[{\"Data\":\"aGVsbG8=\",\"PartitionKey\":\"k\",\"SequenceNumber\":\"5\"}],"
        "\"NextShardIterator\":\"next\",\"MillisBehindLatest\":0}";
    struct leat_event_loop *loop = leat_event_loop_new(NULL, &err);
    struct leat_kinesis_iterator_request wanted = {
        .stream = "s",
        .shard = leat_slice_from("shard-0"),
        .type = LEAT_ITERATOR_AFTER_SEQUENCE,
        .sequence = leat_slice_from("4"),
    };
    unsigned char memory[400];
    struct leat_kinesis_region region = {.data = memory, .capacity = sizeof memory};
    struct leat_kinesis_read read = {"s", "it", 100, &region};
    struct leat_kinesis_records records = {0};
    struct told told = {0};

    answer_json(200, "{\"ShardIterator\":\"it\"}");
    leat_kinesis_get_shard_iterator_start(kinesis, loop, &wanted, on_done, &told);
    finish(loop, &told);
    ck_assert_int_eq(told.result, 0);
    ck_assert_str_eq(told.iterator, "it");
    ck_assert(was_asked(0, "AFTER_SEQUENCE_NUMBER"));

    answer_json(200, records_json);
    told = (struct told){0};
    leat_kinesis_get_records_start(kinesis, loop, &read, on_done, &told);
    finish(loop, &told);
    ck_assert_int_eq(told.result, 0);
    ck_assert_int_eq(told.encoding, LEAT_WIRE_JSON); /* as it was answered */
    ck_assert_int_eq(leat_kinesis_records_parse(memory, region.size, told.encoding, &records, &err),
                     0);
    ck_assert_uint_eq(records.count, 1);
    ck_assert(leat_slice_is(records.records[0].data, "hello"));

    region.capacity = 20; /* too small: known from the head */
    answer_json(200, records_json);
    told = (struct told){0};
    leat_kinesis_get_records_start(kinesis, loop, &read, on_done, &told);
    finish(loop, &told);
    ck_assert_int_eq(told.result, LEAT_E_LIMIT);
    ck_assert(told.is_overrun);
    ck_assert_uint_eq(told.needed_bytes, strlen(records_json));

    canned_http_add(server, /* and from the bytes, where the head does not tell */
                    leat_slice_from("HTTP/1.1 200 OK\r\n\r\n{\"Records\":[],\"x\":\"xxxxxxxxxxxx"),
                    CANNED_CLOSE);
    told = (struct told){0};
    leat_kinesis_get_records_start(kinesis, loop, &read, on_done, &told);
    finish(loop, &told);
    ck_assert(told.is_overrun);
    ck_assert_uint_eq(told.needed_bytes, 0);
    ck_assert_uint_le(region.size, region.capacity);

    answer_json(400, "{\"__type\":\"ExpiredIteratorException\"}");
    told = (struct told){0};
    leat_kinesis_get_records_start(kinesis, loop, &read, on_done, &told);
    finish(loop, &told);
    ck_assert_int_eq(told.result, LEAT_E_EXPIRED);

    canned_http_add(server, leat_slice_from(""), CANNED_SILENT);
    told = (struct told){0};
    leat_kinesis_cancel(leat_kinesis_get_records_start(kinesis, loop, &read, on_done, &told));
    leat_kinesis_get_records_start(kinesis, loop, &read, on_done, &told); /* left to free */
    leat_kinesis_free(kinesis);
    ck_assert(!told.is_done);
    leat_event_loop_free(loop);
    leat_kinesis_records_release(&records);
    kinesis = NULL;
}
END_TEST

START_TEST(blocking_read_distrusts_bad_cbor)
{
    unsigned char memory[400];
    struct leat_kinesis_region region = {.data = memory, .capacity = sizeof memory};
    struct leat_kinesis_records records = {0};

    canned_http_answer(server, 200, CBOR_HEAD, leat_slice_from("\xa1\x67Records\x81"));
    answer_json(200, "{\"Records\":[]}");
    ck_assert_int_eq(leat_kinesis_get_records(kinesis, "s", "it", 0, &region, &records, &err), 0);
    ck_assert(records.is_end);
    ck_assert(was_asked(1, LEAT_WIRE_JSON_TYPE));
    leat_kinesis_records_release(&records);
}
END_TEST

/* ---- S3 ------------------------------------------------------------------------------------ */

static int
add_object(void *context, const struct leat_s3_object *object)
{
    struct listed *listed = context;
    size_t used = strlen(listed->text);

    snprintf(listed->text + used, sizeof listed->text - used, "%.*s=%llu ", (int)object->key.size,
             (const char *)object->key.data, (unsigned long long)object->size);
    return 0;
}

START_TEST(s3_calls)
{
    struct leat_s3 *s3 = leat_s3_new(&aws, &err);
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;
    struct listed listed = {""};

    canned_http_answer(server, 200, "ETag: \"x\"\r\n", leat_slice_from(""));
    ck_assert_int_eq(leat_s3_put_object(s3, "bucket", leat_slice_from("a/b c+d=\xc3\xa9"),
                                        leat_slice_from("{body}"), NULL, &err),
                     0);
    ck_assert(was_asked(0, "PUT /bucket/a/b%20c%2Bd%3D%C3%A9 HTTP/1.1"));
    ck_assert_int_eq(judge(0, &known, "s3", leat_clock_wall_us()), LEAT_SIGN_OK);
    canned_http_answer(server, 200, "", leat_slice_from("{body}"));
    ck_assert_int_eq(leat_s3_get_object(s3, "bucket", leat_slice_from("k"), &body, &err), 0);
    ck_assert_str_eq(leat_buf_text(&body), "{body}");
    canned_http_answer(
        server, 200, "",
        leat_slice_from("<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\"><Name>bucket</Name>"
                        "<IsTruncated>true</IsTruncated><NextContinuationToken>t/+=</"
                        "NextContinuationToken><Contents><Key>a&amp;b</Key><Size>12</Size>"
                        "<LastModified>2022-01-01T00:00:00.000Z</LastModified>"
                        "<Owner><ID>x</ID></Owner></Contents></ListBucketResult>"));
    canned_http_answer(server, 200, "",
                       leat_slice_from("<ListBucketResult><Contents><Key>z</Key><Size>1</Size>"
                                       "</Contents><IsTruncated>false</IsTruncated>"
                                       "</ListBucketResult>"));
    ck_assert_int_eq(
        leat_s3_list_objects(s3, "bucket", leat_slice_from("p/"), add_object, &listed, &err), 0);
    ck_assert_str_eq(listed.text, "a&b=12 z=1 ");
    ck_assert(was_asked(2, "GET /bucket?list-type=2&prefix=p%2F "));
    ck_assert(was_asked(3, "continuation-token=t%2F%2B%3D&list-type=2&prefix=p%2F"));
    ck_assert_int_eq(judge(3, &known, "s3", leat_clock_wall_us()), LEAT_SIGN_OK);
    canned_http_answer(server, 404, "",
                       leat_slice_from("<Error><Code>NoSuchBucket</Code><Message>The bucket does "
                                       "not exist</Message></Error>"));
    ck_assert_int_eq(
        leat_s3_put_object(s3, "bucket", leat_slice_from("k"), leat_slice_from("x"), NULL, &err),
        LEAT_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "s3 PutObject of bucket \"bucket\": NoSuchBucket"));
    canned_http_answer(server, 503, "", leat_slice_from("<Error><Code>SlowDown</Code></Error>"));
    canned_http_answer(server, 200, "", leat_slice_from(""));
    ck_assert_int_eq(leat_s3_head_bucket(s3, "bucket", &err), 0);
    leat_buf_clear(&body);
    body.maximum = 3;
    canned_http_answer(server, 200, "", leat_slice_from("{body}"));
    ck_assert_int_eq(leat_s3_get_object(s3, "bucket", leat_slice_from("k"), &body, &err),
                     LEAT_E_LIMIT);
    ck_assert_int_eq(leat_s3_head_bucket(s3, "a/../b", &err), LEAT_E_INVALID);
    leat_s3_free(s3);
}
END_TEST

START_TEST(interrupted)
{
    struct leat_kinesis_summary summary;

    leat_kinesis_interrupt(kinesis);
    canned_http_add(server, leat_slice_from(""), CANNED_SILENT);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "s", &summary, &err),
                     LEAT_E_CANCELLED);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("kinesis");
    TCase *tests = tcase_create("kinesis");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, summary_and_signature);
    tcase_add_test(tests, falls_back_to_json_for_good);
    tcase_add_test(tests, falls_back_when_refused);
    tcase_add_test(tests, lists_all_pages);
    tcase_add_test(tests, errors_are_named);
    tcase_add_test(tests, faults_and_throttles_are_retried);
    tcase_add_test(tests, attempts_of_the_environment);
    tcase_add_test(tests, expired_token_is_refreshed_once);
    tcase_add_test(tests, clock_is_corrected_once);
    tcase_add_loop_test(tests, a_date_that_is_nonsense_spoils_one_call, 0,
                        (int)LEAT_COUNT_OF(clock_refusals));
    tcase_add_test(tests, put_sends_failed_records_again);
    tcase_add_test(tests, put_splits_by_count_and_bytes);
    tcase_add_test(tests, put_tells_what_became_of_each);
    tcase_add_test(tests, started_reads);
    tcase_add_test(tests, blocking_read_distrusts_bad_cbor);
    tcase_add_test(tests, s3_calls);
    tcase_add_test(tests, interrupted);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
