/* lib/aws's client against everything that lib/local's Kinesis can do wrong, and its control requests. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aws/http.h"
#include "aws/kinesis.h"
#include "base/clock.h"
#include "base/memory.h"
#include "local/kinesis.h"
#include "support/patience.h"

#define KEY_ID "AKIDLOCAL"
#define SECRET "a/secret+of=tests"
#define SHARD_0 "shardId-000000000000"

static const enum leat_kinesis_encoding encodings[] = {LEAT_KINESIS_CBOR, LEAT_KINESIS_JSON};

static struct leat_local_kinesis *server;
static struct leat_aws aws;
static struct leat_kinesis *kinesis;
static struct leat_error err;
static struct leat_kinesis_region region;
static struct leat_kinesis_records records;
static char iterator[LEAT_KINESIS_ITERATOR_BYTES];

#define OK(call) ck_assert_msg((call) == 0, "%s", err.text)

static bool
grow(struct leat_kinesis_region *to_grow, size_t wanted_bytes)
{
    to_grow->data = leat_realloc(to_grow->data, wanted_bytes, 1);
    to_grow->capacity = wanted_bytes;
    return true;
}

static void
use(enum leat_kinesis_encoding encoding, struct leat_credentials_provider *credentials)
{
    leat_kinesis_free(kinesis);
    leat_credentials_provider_free(aws.credentials);
    aws.credentials = credentials;
    kinesis = leat_kinesis_new(&aws, encoding, &err);
    ck_assert_msg(kinesis != NULL, "%s", err.text);
}

static void
setup_with(size_t maximum_bytes)
{
    struct leat_local_kinesis_options options = {
        .access_key_id = KEY_ID, .secret_access_key = SECRET, .maximum_bytes = maximum_bytes};

    server = leat_local_kinesis_new(&options, &err);
    ck_assert_msg(server != NULL, "%s", err.text);
    memset(&aws, 0, sizeof aws);
    memset(&records, 0, sizeof records);
    region = (struct leat_kinesis_region){.grow = grow};
    aws.region = "us-east-1";
    aws.endpoints[LEAT_SERVICE_KINESIS] = leat_local_kinesis_endpoint(server);
    aws.retry.base_us = aws.retry.cap_us = 1000;
    aws.retry.throttle_base_us = aws.retry.throttle_cap_us = 20000;
    OK(leat_local_kinesis_create_stream(server, "orders", 1, &err));
    use(LEAT_KINESIS_CBOR, leat_credentials_static_new(KEY_ID, SECRET, NULL));
}

static void
setup(void)
{
    setup_with(2 << 20);
}

static void
teardown(void)
{
    leat_kinesis_free(kinesis);
    leat_credentials_provider_free(aws.credentials);
    leat_local_kinesis_free(server);
    leat_kinesis_records_release(&records);
    free(region.data);
    kinesis = NULL;
}

static void
use_encoding(int place)
{
    use(encodings[place], leat_credentials_static_new(KEY_ID, SECRET, NULL));
}

static struct leat_local_kinesis_counts
counts(void)
{
    struct leat_local_kinesis_counts all;

    leat_local_kinesis_counts(server, &all);
    return all;
}

static void
fault(enum leat_local_fault_kind kind, const char *action, unsigned times)
{
    leat_local_kinesis_fault(
        server, &(struct leat_local_fault){.kind = kind, .action = action, .times = times});
}

static void
put(const char *data)
{
    OK(leat_local_kinesis_put(server, "orders", leat_slice_from("key"), leat_slice_from(""),
                              leat_slice_from(data), NULL, &err));
}

static int
begin(void)
{
    struct leat_kinesis_iterator_request request = {.stream = "orders",
                                                    .shard = leat_slice_from(SHARD_0)};

    return leat_kinesis_get_shard_iterator(kinesis, &request, iterator, &err);
}

static int
read_next(void)
{
    int result = leat_kinesis_get_records(kinesis, "orders", iterator, 0, &region, &records, &err);

    if (result == 0)
        snprintf(iterator, sizeof iterator, "%.*s", (int)records.next_iterator.size,
                 (const char *)records.next_iterator.data);
    return result;
}

static int
describe(void)
{
    struct leat_kinesis_summary summary;

    return leat_kinesis_describe_stream_summary(kinesis, "orders", &summary, &err);
}

/* ---- who asks -------------------------------------------------------------------------------- */

START_TEST(strangers_are_sent_away)
{
    use(encodings[_i], leat_credentials_static_new(KEY_ID, "another", NULL));
    ck_assert_int_eq(describe(), LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "InvalidSignatureException"));
    ck_assert_int_eq(err.http_status, 400);
    use(encodings[_i], leat_credentials_static_new("AKIDOTHER", SECRET, NULL));
    ck_assert_int_eq(describe(), LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "UnrecognizedClientException"));
    use(encodings[_i], leat_credentials_static_new(KEY_ID, SECRET, "unwanted/token"));
    ck_assert_int_eq(describe(), LEAT_E_DENIED);
    aws.region = "eu-west-1";
    use_encoding(_i);
    ck_assert_int_eq(describe(), LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "scoped"));
    ck_assert_uint_eq(counts().unsigned_calls, 4);
    ck_assert_uint_eq(leat_local_kinesis_calls(server, "DescribeStreamSummary"), 0);
}
END_TEST

START_TEST(expired_tokens_are_renewed_once)
{
    leat_local_kinesis_set_credentials(server, KEY_ID, SECRET, "first");
    setenv("AWS_ACCESS_KEY_ID", KEY_ID, 1);
    setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
    setenv("AWS_SESSION_TOKEN", "first", 1);
    use(encodings[_i], leat_credentials_environment_new());
    OK(describe());
    leat_local_kinesis_set_credentials(server, KEY_ID, SECRET, "second");
    setenv("AWS_SESSION_TOKEN", "second", 1);
    OK(describe());
    ck_assert_uint_eq(counts().unsigned_calls, 1);
    /* Expired, and there is nothing newer. */
    leat_local_kinesis_set_credentials(server, KEY_ID, SECRET, "third");
    ck_assert_int_eq(describe(), LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "have expired"));
}
END_TEST

START_TEST(wrong_clocks_are_corrected)
{
    use_encoding(_i);
    leat_local_kinesis_shift_clock(server, 2 * 3600 * LEAT_SECOND_US);
    OK(describe());
    ck_assert_uint_eq(counts().unsigned_calls, 1);
    OK(describe());
    ck_assert_uint_eq(counts().unsigned_calls, 1); /* remembered */
    ck_assert_int_lt(llabs(leat_kinesis_now_us(kinesis) - leat_local_kinesis_now_us(server)),
                     PATIENCE_US);
    leat_local_kinesis_shift_clock(server, -4 * 3600 * LEAT_SECOND_US);
    OK(describe());
    ck_assert_uint_eq(counts().unsigned_calls, 2);
}
END_TEST

/* ---- too much -------------------------------------------------------------------------------- */

START_TEST(throttles_are_waited_out)
{
    use_encoding(_i);
    put("1");
    fault(LEAT_LOCAL_FAULT_THROTTLE, NULL, 4);
    OK(describe());
    OK(begin());
    OK(read_next());
    ck_assert_uint_eq(records.count, 1);
    ck_assert_uint_eq(counts().throttled, 4);
    ck_assert_uint_eq(counts().faults, 4);
    leat_local_kinesis_clear_faults(server);
    leat_local_kinesis_set_limits(server, &(struct leat_local_limits){.reads = 5, .lists = 5});
    for (int i = 0; i < 7; i++) {
        OK(describe());
        OK(read_next());
    }
    ck_assert_uint_gt(counts().throttled, 4);
    ck_assert_uint_gt(leat_local_kinesis_calls(server, "DescribeStreamSummary"), 12);
}
END_TEST

START_TEST(an_answer_is_paid_for_afterwards)
{
    int64_t began_us;

    use_encoding(_i);
    leat_local_kinesis_set_limits(server, &(struct leat_local_limits){.read_bytes = 1000});
    for (int i = 0; i < 13; i++)
        put("01234567890123456789012345678901234567890123456789012345678901234567890123456789012345"
            "67890123456");
    OK(begin());
    began_us = leat_clock_monotonic_us();
    OK(read_next());
    ck_assert_uint_eq(records.count, 13); /* 1,300 bytes */
    put("x");
    OK(read_next());
    ck_assert_int_ge(leat_clock_monotonic_us() - began_us, 250000);
    ck_assert_uint_eq(records.count, 1);
}
END_TEST

/* AWS: "If a call to GetRecords returns 10 MB, subsequent calls made within the next 5 seconds throw." Time is shifted. */
START_TEST(ten_megabytes_at_once_shut_a_shard_for_five_seconds)
{
    enum { RECORDS = 30, BYTES = 500000 };
    struct leat_kinesis_put puts[1] = {{.partition_key = leat_slice_from("k")}};
    LEAT_AUTO_FREE char *data = leat_alloc(BYTES);

    memset(data, 'x', BYTES);
    puts[0].data = leat_slice_make(data, BYTES);
    teardown();
    aws.credentials = NULL;
    setup_with(64 << 20);
    use_encoding(_i);
    for (int i = 0; i < RECORDS; i++)
        OK(leat_kinesis_put_records(kinesis, "orders", puts, 1, &err));
    leat_local_kinesis_set_limits(server, &leat_local_limits_aws);
    aws.retry.budget_us = 1; /* a refusal is told at once */
    OK(begin());
    OK(read_next());
    ck_assert_uint_eq(records.count, 20); /* 10,000,020 bytes: not above 10 MiB */
    /* Taking ten megabytes apart is of the same five seconds: a sanitizer needs two of them. */
    leat_local_kinesis_shift_clock(server, 100 * LEAT_MS_US);
    ck_assert_int_eq(read_next(), LEAT_E_THROTTLED);
    leat_local_kinesis_shift_clock(server, 4901 * LEAT_MS_US);
    OK(read_next());
    ck_assert_uint_eq(records.count, 10);
}
END_TEST

struct flights {
    unsigned done;
    int failed; /* 0: none */
    struct leat_error err;
};

static void
landed(void *context, const struct leat_kinesis_answer *answer)
{
    struct flights *flights = context;

    flights->done++;
    if (answer->result != 0) {
        flights->failed = answer->result;
        flights->err = answer->err;
    }
}

/* All are signed before the first refusal comes: each is corrected. */
START_TEST(a_wrong_clock_blocks_none_of_many_calls_at_once)
{
    static const int64_t shifts_s[] = {3600, -7200, 400, 10 * 365 * 86400};
    enum { FLIGHTS = 16 };
    struct leat_kinesis_iterator_request request = {
        .stream = "orders", .shard = leat_slice_from(SHARD_0), .type = LEAT_ITERATOR_TRIM_HORIZON};

    for (size_t i = 0; i < LEAT_COUNT_OF(shifts_s); i++) {
        struct leat_event_loop *loop = leat_event_loop_new(NULL, &err);
        int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
        struct flights flights = {0};

        /* Right, wrong, and right again for a client that has learnt the wrong one. */
        leat_local_kinesis_shift_clock(server, shifts_s[i] * LEAT_SECOND_US);
        if (i % 2 == 0)
            use_encoding(_i);
        for (int flight = 0; flight < FLIGHTS; flight++)
            leat_kinesis_get_shard_iterator_start(kinesis, loop, &request, landed, &flights);
        while (flights.done < FLIGHTS && leat_clock_monotonic_us() < deadline_us)
            leat_event_loop_run_once(loop, deadline_us);
        ck_assert_uint_eq(flights.done, FLIGHTS);
        ck_assert_msg(flights.failed == 0, "%s", flights.err.text);
        leat_event_loop_free(loop);
    }
    ck_assert_uint_gt(counts().unsigned_calls, 0);
}
END_TEST

static void
fill_puts(struct leat_kinesis_put *puts, size_t count)
{
    memset(puts, 0, count * sizeof *puts);
    for (size_t i = 0; i < count; i++) {
        puts[i].data = leat_slice_from("data");
        puts[i].partition_key = leat_slice_from("key");
    }
}

START_TEST(failed_records_alone_are_put_again)
{
    struct leat_kinesis_put puts[25];

    use_encoding(_i);
    fill_puts(puts, 10);
    fault(LEAT_LOCAL_FAULT_PARTIAL, "PutRecords", 2);
    OK(leat_kinesis_put_records(kinesis, "orders", puts, 10, &err));
    /* Of ten the even ones failed, of those five the first, third and fifth. */
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_eq(puts[i].attempts, i % 2 == 1 ? 1 : i % 4 == 2 ? 2 : 3);
        ck_assert_uint_eq(strlen(puts[i].sequence), 56);
    }
    ck_assert_uint_eq(leat_local_kinesis_calls(server, "PutRecords"), 3);
    ck_assert_uint_eq(counts().records_in, 10);
    ck_assert_uint_eq(counts().throttled, 8);
    leat_local_kinesis_set_limits(server, &(struct leat_local_limits){.write_records = 20});
    fill_puts(puts, 25);
    OK(leat_kinesis_put_records(kinesis, "orders", puts, 25, &err));
    ck_assert_uint_eq(counts().records_in, 35);
    ck_assert_uint_ge(counts().throttled, 13);
    /* What is no use to repeat is not repeated. */
    leat_local_kinesis_set_limits(server, &(struct leat_local_limits){0});
    leat_local_kinesis_fault(server, &(struct leat_local_fault){.kind = LEAT_LOCAL_FAULT_PARTIAL,
                                                                .type = "AccessDeniedException",
                                                                .share = 5,
                                                                .times = 1});
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "orders", puts, 10, &err), LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "2 of 10 records failed"));
    ck_assert_int_eq(puts[5].result, LEAT_E_DENIED);
    ck_assert_int_eq(puts[6].result, 0);
}
END_TEST

/* ---- damage ---------------------------------------------------------------------------------- */

struct harm {
    enum leat_local_fault_kind kind;
    int status;
    size_t bytes;
    int64_t delay_us;
};
static const struct harm harms[] = {
    {LEAT_LOCAL_FAULT_ERROR, 500, 0, 0},    {LEAT_LOCAL_FAULT_ERROR, 503, 0, 0},
    {LEAT_LOCAL_FAULT_CUT, 0, 0, 0},        {LEAT_LOCAL_FAULT_CUT, 0, 1, 0},
    {LEAT_LOCAL_FAULT_RESET, 0, 0, 0},      {LEAT_LOCAL_FAULT_LOST, 0, 0, 0},
    {LEAT_LOCAL_FAULT_STALE, 0, 0, 0},      {LEAT_LOCAL_FAULT_SLOW, 0, 100, 1000},
    {LEAT_LOCAL_FAULT_DELAY, 0, 0, 400000}, {LEAT_LOCAL_FAULT_RESET, 0, 0, 50000},
    {LEAT_LOCAL_FAULT_NULL, 0, 0, 0},       {LEAT_LOCAL_FAULT_INDEFINITE, 0, 0, 0},
};
#define HARMS ((int)LEAT_COUNT_OF(harms))

START_TEST(reads_survive_any_damage)
{
    const struct harm *harm = &harms[_i % HARMS];
    struct leat_local_fault once = {.kind = harm->kind,
                                    .status = harm->status,
                                    .bytes = harm->bytes,
                                    .delay_us = harm->delay_us,
                                    .times = 1};

    aws.timeout_us = 300000; /* the delay is longer */
    use_encoding(_i / HARMS);
    for (int i = 0; i < 50; i++)
        put("0123456789012345678901234567890123456789");
    leat_local_kinesis_fault(server, &once);
    OK(describe());
    leat_local_kinesis_fault(server, &once);
    OK(begin());
    leat_local_kinesis_fault(server, &once);
    OK(read_next());
    ck_assert_uint_eq(records.count, 50);
    for (size_t i = 0; i < 50; i++)
        ck_assert_uint_eq(records.records[i].data.size, 40);
    OK(read_next());
    ck_assert_uint_eq(records.count, 0);
    ck_assert_uint_eq(counts().faults, 3);
}
END_TEST

START_TEST(a_lost_answer_leaves_a_put_unknown)
{
    struct leat_kinesis_put one;

    use_encoding(_i);
    fill_puts(&one, 1);
    fault(LEAT_LOCAL_FAULT_LOST, "PutRecords", 1);
    OK(leat_kinesis_put_records(kinesis, "orders", &one, 1, &err));
    ck_assert_uint_eq(counts().records_in, 2); /* stored twice, as the header says */
    fault(LEAT_LOCAL_FAULT_LOST, "PutRecords", 0);
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "orders", &one, 1, &err), LEAT_E_UNKNOWN);
    ck_assert_int_eq(one.result, LEAT_E_UNKNOWN);
    leat_local_kinesis_clear_faults(server);
    fault(LEAT_LOCAL_FAULT_ERROR, "PutRecords", 0);
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "orders", &one, 1, &err),
                     LEAT_E_UNAVAILABLE);
}
END_TEST

START_TEST(a_server_that_is_gone_is_told)
{
    use_encoding(_i);
    leat_local_kinesis_free(server);
    server = NULL;
    ck_assert_int_eq(describe(), LEAT_E_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "could not connect"));
}
END_TEST

/* ---- started calls --------------------------------------------------------------------------- */

static struct leat_kinesis_answer told;
static int told_count;

static void
on_told(void *context, const struct leat_kinesis_answer *answer)
{
    told = *answer;
    told_count++;
}

/* One started read into this region; its answer is in `told`. */
static void
run_started(struct leat_event_loop *loop, struct leat_kinesis_region *into)
{
    struct leat_kinesis_read read = {.stream = "orders", .iterator = iterator, .region = into};

    told_count = 0;
    ck_assert_ptr_nonnull(leat_kinesis_get_records_start(kinesis, loop, &read, on_told, NULL));
    while (told_count == 0)
        leat_event_loop_run_once(loop, leat_clock_monotonic_us() + LEAT_SECOND_US);
    ck_assert_int_eq(told_count, 1);
}

START_TEST(started_reads_are_told_once)
{
    struct leat_event_loop *loop = leat_event_loop_new(NULL, &err);
    unsigned char small[300];
    struct leat_kinesis_region fixed = {.data = small, .capacity = sizeof small};

    use_encoding(_i);
    for (int i = 0; i < 20; i++)
        put("0123456789012345678901234567890123456789");
    OK(begin());
    run_started(loop, &fixed);
    ck_assert_int_eq(told.result, LEAT_E_LIMIT);
    ck_assert(told.is_overrun);
    ck_assert_uint_gt(told.needed_bytes, 20 * 40);
    run_started(loop, &region);
    ck_assert_int_eq(told.result, 0);
    ck_assert_int_eq(
        leat_kinesis_records_parse(region.data, region.size, told.encoding, &records, &err), 0);
    ck_assert_uint_eq(records.count, 20);
    /* One attempt: what is damaged is told, and the next one is whole again. */
    fault(LEAT_LOCAL_FAULT_CUT, "GetRecords", 1);
    run_started(loop, &region);
    ck_assert_int_eq(told.result, LEAT_E_UNAVAILABLE);
    ck_assert_int_eq(told.fault.kind, LEAT_FAULT_TRANSPORT);
    fault(LEAT_LOCAL_FAULT_THROTTLE, "GetRecords", 1);
    run_started(loop, &region);
    ck_assert_int_eq(told.result, LEAT_E_THROTTLED);
    ck_assert_int_eq(told.fault.kind, LEAT_FAULT_THROTTLED);
    ck_assert_uint_eq(region.size, 0); /* a refusal does not touch it */
    fault(LEAT_LOCAL_FAULT_STALE, "GetRecords", 1);
    run_started(loop, &region);
    ck_assert_int_eq(told.result, 0);
    run_started(loop, &region); /* the dead connection is tried again silently */
    ck_assert_int_eq(told.result, 0);
    leat_local_kinesis_shift_clock(server, 301 * LEAT_SECOND_US);
    run_started(loop, &region);
    ck_assert_int_eq(told.result, LEAT_E_EXPIRED);
    ck_assert_int_eq(told.fault.kind, LEAT_FAULT_EXPIRED_ITERATOR);
    leat_event_loop_free(loop);
}
END_TEST

/* ---- lies ------------------------------------------------------------------------------------ */

START_TEST(iterators_expire)
{
    use_encoding(_i);
    put("1");
    OK(begin());
    leat_local_kinesis_shift_clock(server, 299 * LEAT_SECOND_US);
    OK(read_next());
    leat_local_kinesis_shift_clock(server, 301 * LEAT_SECOND_US);
    ck_assert_int_eq(read_next(), LEAT_E_EXPIRED);
    OK(begin());
    fault(LEAT_LOCAL_FAULT_EXPIRED_ITERATOR, "GetRecords", 1);
    ck_assert_int_eq(read_next(), LEAT_E_EXPIRED);
    OK(read_next());
    ck_assert_uint_eq(records.count, 1);
}
END_TEST

START_TEST(empty_and_repeated_answers)
{
    use_encoding(_i);
    put("1");
    put("2");
    OK(leat_local_kinesis_split(server, "orders", SHARD_0, &err));
    OK(begin());
    fault(LEAT_LOCAL_FAULT_EMPTY, "GetRecords", 2);
    for (int i = 0; i < 2; i++) {
        OK(read_next());
        ck_assert_uint_eq(records.count, 0);
        ck_assert_int_gt(records.behind_ms, 0);
        ck_assert(!records.is_end);
    }
    fault(LEAT_LOCAL_FAULT_REPEAT, "GetRecords", 1);
    OK(read_next());
    ck_assert_uint_eq(records.count, 2);
    ck_assert(!records.is_end);
    OK(read_next());
    ck_assert_uint_eq(records.count, 2);
    ck_assert(leat_slice_is(records.records[0].data, "1"));
    ck_assert(records.is_end);
    ck_assert_uint_eq(records.child_count, 2);
}
END_TEST

START_TEST(a_server_without_cbor_is_spoken_to_in_json)
{
    fault(LEAT_LOCAL_FAULT_NO_CBOR, NULL, 0);
    put("1");
    ck_assert_int_eq(describe(), LEAT_E_INVALID);
    use(LEAT_KINESIS_AUTO, leat_credentials_static_new(KEY_ID, SECRET, NULL));
    OK(begin());
    OK(read_next());
    ck_assert_uint_eq(records.count, 1);
    ck_assert_int_eq(leat_kinesis_wire(kinesis), LEAT_WIRE_JSON);
}
END_TEST

START_TEST(the_oldest_records_go_first)
{
    LEAT_AUTO_FREE char *data = leat_alloc(10001);

    use_encoding(_i);
    memset(data, 'd', 10000);
    data[10000] = '\0';
    for (int i = 0; i < 1000; i++)
        put(data);
    ck_assert_uint_le(counts().stored_bytes, 3 << 20);
    ck_assert_uint_gt(counts().records_trimmed, 500);
    OK(begin());
    OK(read_next());
    ck_assert_uint_eq(records.count + counts().records_trimmed, 1000);
    ck_assert_uint_gt(records.count, 90);
}
END_TEST

/* Faults that name a shard, skip, and come at each second call. */
START_TEST(faults_choose_their_calls)
{
    use_encoding(_i);
    leat_local_kinesis_fault(server, &(struct leat_local_fault){.kind = LEAT_LOCAL_FAULT_REFUSE,
                                                                .type = "ResourceInUseException",
                                                                .stream = "orders",
                                                                .shard = SHARD_0,
                                                                .skip = 1,
                                                                .every = 2,
                                                                .times = 2});
    leat_local_kinesis_fault(server, &(struct leat_local_fault){.stream = "others"});
    OK(describe());
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(begin(), i == 2 || i == 4 ? LEAT_E_CONFLICT : 0);
    ck_assert_uint_eq(counts().faults, 2);
}
END_TEST

/* ---- control --------------------------------------------------------------------------------- */

/* One request on a connection of its own; the whole answer as text. */
static void
ask(const char *method, const char *path, const char *body, struct leat_buf *heard)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(leat_local_kinesis_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    LEAT_AUTO_BUF request = LEAT_BUF_INIT;
    char piece[4096];
    ssize_t size;

    leat_buf_printf(&request, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method,
                    path);
    leat_buf_printf(&request, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    leat_buf_clear(heard);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(send(fd, request.data, request.size, MSG_NOSIGNAL), (ssize_t)request.size);
    while ((size = recv(fd, piece, sizeof piece, 0)) > 0)
        leat_buf_add(heard, piece, (size_t)size);
    close(fd);
}

#define HEARD(text)                                                                                \
    ck_assert_msg(strstr(leat_buf_text(&heard), (text)) != NULL, "%s", leat_buf_text(&heard))

START_TEST(scripts_have_control_requests)
{
    LEAT_AUTO_BUF heard = LEAT_BUF_INIT;

    put("1");
    ask("POST", "/_leat/faults",
        "[{\"kind\":\"refuse\",\"type\":\"AccessDeniedException\",\"action\":"
        "\"DescribeStreamSummary\",\"times\":1},{\"kind\":\"delay\",\"delay_ms\":1}]",
        &heard);
    HEARD("HTTP/1.1 200 OK");
    ck_assert_int_eq(describe(), LEAT_E_DENIED);
    OK(describe());
    ask("GET", "/_leat/state", "", &heard);
    HEARD("\"faults\":3");
    HEARD("\"DescribeStreamSummary\":2");
    HEARD("\"kind\":\"refuse\"");
    HEARD("\"fired\":1");
    HEARD("\"name\":\"orders\",\"status\":\"ACTIVE\",\"shards\":1,\"open_shards\":1,"
          "\"records_put\":1,\"records_stored\":1");
    ask("DELETE", "/_leat/faults", "", &heard);
    ask("POST", "/_leat/split", "{\"stream\":\"orders\",\"shard\":\"" SHARD_0 "\"}", &heard);
    HEARD("200 OK");
    ask("POST", "/_leat/merge",
        "{\"stream\":\"orders\",\"shard\":\"shardId-000000000001\",\"adjacent_shard\":"
        "\"shardId-000000000002\"}",
        &heard);
    HEARD("200 OK");
    ask("POST", "/_leat/trim", "{\"stream\":\"orders\"}", &heard);
    HEARD("200 OK");
    ask("POST", "/_leat/clock", "{\"shift_ms\":60000}", &heard);
    ck_assert_int_gt(leat_local_kinesis_now_us(server), leat_clock_wall_us() + 59 * LEAT_SECOND_US);
    ask("GET", "/_leat/state", "", &heard);
    HEARD("\"faults\":[]");
    HEARD("\"shards\":4,\"open_shards\":1,\"records_put\":1,\"records_stored\":0");
    ask("POST", "/_leat/faults", "{\"kind\":\"sabotage\"}", &heard);
    HEARD("HTTP/1.1 400");
    HEARD("no kind of fault");
    ask("GET", "/_leat/nothing", "", &heard);
    HEARD("HTTP/1.1 404");
    /* Not signed at all. */
    ask("POST", "/", "{}", &heard);
    HEARD("UnsupportedMediaTypeException");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("integration/local_kinesis_faults");
    TCase *tests = tcase_create("faults");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, strangers_are_sent_away, 0, 2);
    tcase_add_loop_test(tests, expired_tokens_are_renewed_once, 0, 2);
    tcase_add_loop_test(tests, wrong_clocks_are_corrected, 0, 2);
    tcase_add_loop_test(tests, throttles_are_waited_out, 0, 2);
    tcase_add_loop_test(tests, an_answer_is_paid_for_afterwards, 0, 2);
    tcase_add_loop_test(tests, a_wrong_clock_blocks_none_of_many_calls_at_once, 0, 2);
    tcase_add_loop_test(tests, ten_megabytes_at_once_shut_a_shard_for_five_seconds, 0, 2);
    tcase_add_loop_test(tests, failed_records_alone_are_put_again, 0, 2);
    tcase_add_loop_test(tests, reads_survive_any_damage, 0, 2 * HARMS);
    tcase_add_loop_test(tests, a_lost_answer_leaves_a_put_unknown, 0, 2);
    tcase_add_loop_test(tests, a_server_that_is_gone_is_told, 0, 2);
    tcase_add_loop_test(tests, started_reads_are_told_once, 0, 2);
    tcase_add_loop_test(tests, iterators_expire, 0, 2);
    tcase_add_loop_test(tests, empty_and_repeated_answers, 0, 2);
    tcase_add_loop_test(tests, the_oldest_records_go_first, 0, 2);
    tcase_add_loop_test(tests, faults_choose_their_calls, 0, 2);
    tcase_add_test(tests, a_server_without_cbor_is_spoken_to_in_json);
    tcase_add_test(tests, scripts_have_control_requests);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
