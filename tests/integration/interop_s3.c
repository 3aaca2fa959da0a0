/*
 * One table of scenarios, by lib/aws's client and by bare signed requests, against our own S3 and against two that others
 * wrote. Swift alone verifies signatures as S3 does, so it is the judge of ours (lib/aws/sign.c). Where they differ the
 * service's documentation decides:
 *
 *   quirk                                                   of      the service, and ours
 *   neither secret nor body hash are looked at              s3rver  SignatureDoesNotMatch, XAmzContentSHA256Mismatch
 *   keys are paths of files: . .. // and a / at the end go  s3rver  keys are bytes
 *   a list with a control character in a key: 500           swift   listed, as URL-encoded text
 *   an unknown key id: SignatureDoesNotMatch                swift   InvalidAccessKeyId
 *   a request without a signature: 400                      swift   AccessDenied, 403
 *   a body that is not of its hash: BadDigest (older ones)  swift   XAmzContentSHA256Mismatch
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aws/s3.h"
#include "aws/sign.h"
#include "base/clock.h"
#include "base/memory.h"
#include "local/s3.h"
#include "support/servers.h"

enum quirk {
    CHECKS_NO_SIGNATURE = 1,
    KEYS_ARE_PATHS = 2,
    LISTS_NO_CONTROLS = 4,
    OWN_NAMES = 8,
};

struct peer {
    const char *name, *key_id, *secret;
    unsigned quirks;
    const char *endpoint; /* NULL: it is not there */
    bool is_ours;
};

static struct peer peers[] = {
    {"local", "AKIDINTEROP", "a/secret+of=interop", 0, NULL, true},
    {"s3rver", "S3RVER", "S3RVER", CHECKS_NO_SIGNATURE | KEYS_ARE_PATHS, NULL},
    {"swift", "test:tester", "testing", LISTS_NO_CONTROLS | OWN_NAMES, NULL},
};
#define PEERS LEAT_COUNT_OF(peers)

static const struct peer *peer;
static struct leat_aws aws;
static struct leat_s3 *s3;
static char bucket[40];
static struct leat_error err;

#define OK(call) ck_assert_msg((call) == 0, "%s: %s", peer->name, err.text)
#define REFUSED(call, code)                                                                        \
    do {                                                                                           \
        int refused_with = (call);                                                                 \
        ck_assert_msg(refused_with == (code), "%s: %d instead of %d: %s", peer->name,              \
                      refused_with, (int)(code), err.text);                                        \
    } while (0)

static bool
has(unsigned quirk)
{
    return (peer->quirks & quirk) != 0;
}

static void
connect_as(const char *key_id, const char *secret)
{
    leat_s3_free(s3);
    leat_credentials_provider_free(aws.credentials);
    aws = (struct leat_aws){
        .region = "us-east-1",
        .credentials = leat_credentials_static_new(key_id, secret, NULL),
        .retry = {.maximum_attempts = 3, .base_us = LEAT_MS_US, .cap_us = 10 * LEAT_MS_US}};
    aws.endpoints[LEAT_SERVICE_S3] = peer->endpoint;
    s3 = leat_s3_new(&aws, &err);
    ck_assert_msg(s3 != NULL, "%s", err.text);
}

static struct leat_local_s3 *local;

/* Ours runs in the test's own process: its threads would not survive the fork. */
static void
start_local(struct peer *of)
{
    local = leat_local_s3_new(&(struct leat_local_s3_options){.access_key_id = of->key_id,
                                                              .secret_access_key = of->secret},
                              &err);
    ck_assert_msg(local != NULL, "%s", err.text);
    of->endpoint = leat_local_s3_endpoint(local);
}

/* A client to the peer, and a bucket of its own. */
static void
begin(int place, const char *name)
{
    peer = &peers[place];
    if (peer->is_ours)
        start_local(&peers[place]);
    connect_as(peer->key_id, peer->secret);
    snprintf(bucket, sizeof bucket, "interop-%s", name);
    OK(leat_s3_create_bucket(s3, bucket, &err));
}

static void
end(void)
{
    leat_s3_free(s3);
    leat_credentials_provider_free(aws.credentials);
    leat_local_s3_free(local);
}

static int
put(const char *key, const char *body)
{
    return leat_s3_put_object(s3, bucket, leat_slice_from(key), leat_slice_from(body),
                              "application/json", &err);
}

static void
check_body(const char *key, const char *wanted)
{
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;

    OK(leat_s3_get_object(s3, bucket, leat_slice_from(key), &body, &err));
    ck_assert_str_eq(leat_buf_text(&body), wanted);
}

/* ---- buckets and objects ------------------------------------------------------------------------ */

START_TEST(buckets_are_there_or_not)
{
    int result;

    begin(_i, "buckets");
    OK(leat_s3_head_bucket(s3, bucket, &err));
    REFUSED(leat_s3_head_bucket(s3, "interop-nobody", &err), LEAT_E_NOT_FOUND);
    result = leat_s3_create_bucket(s3, bucket, &err);
    REFUSED(result, LEAT_E_CONFLICT);
    end();
}
END_TEST

START_TEST(objects_are_what_was_put)
{
    LEAT_AUTO_BUF large = LEAT_BUF_INIT;
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;

    begin(_i, "objects");
    OK(put("a", "one"));
    check_body("a", "one");
    OK(put("a", "another"));
    check_body("a", "another");
    OK(put("empty", ""));
    check_body("empty", "");
    for (unsigned i = 0; i < 3 << 20; i++)
        leat_buf_add_byte(&large, (unsigned char)(i * i >> 7));
    OK(leat_s3_put_object(s3, bucket, leat_slice_from("large"), leat_buf_slice(&large), NULL,
                          &err));
    OK(leat_s3_get_object(s3, bucket, leat_slice_from("large"), &body, &err));
    ck_assert(leat_slice_equals(leat_buf_slice(&body), leat_buf_slice(&large)));
    REFUSED(leat_s3_get_object(s3, bucket, leat_slice_from("b"), &body, &err), LEAT_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "NoSuchKey"));
    REFUSED(leat_s3_get_object(s3, "interop-nobody", leat_slice_from("a"), &body, &err),
            LEAT_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "NoSuchBucket"));
    REFUSED(leat_s3_put_object(s3, "interop-nobody", leat_slice_from("a"), leat_slice_from("x"),
                               NULL, &err),
            LEAT_E_NOT_FOUND);
    end();
}
END_TEST

/* Of each class of keys some server has its own mind. */
static const struct odd_key {
    const char *key;
    unsigned quirk; /* not asked of a server that has it */
} odd_keys[] = {
    {" ", 0},
    {"a b", 0},
    {"h\xc3\xa9/\xf0\x9f\x98\x80", 0},
    {"x=1&y=2", 0},
    {"10:30:00", 0},
    {"c++", 0},
    {"50%", 0},
    {"%41", 0},
    {"..", KEYS_ARE_PATHS},
    {"../up", KEYS_ARE_PATHS},
    {"a/../b", KEYS_ARE_PATHS},
    {"a/./b", KEYS_ARE_PATHS},
    {"//two", KEYS_ARE_PATHS},
    {"end/", KEYS_ARE_PATHS},
    {"a//b", KEYS_ARE_PATHS},
    {"?query#fragment", 0},
    {"<&>\"'", 0},
    {"~-._", 0},
    {"!*'();@,$[]{}|\\^`", 0},
    {"tab\tnew\nline\r\x01\x7f", LISTS_NO_CONTROLS},
    {"app/stream=a:b/date=2022-01-01/\xc3\xbc ber+.json", 0},
};

struct seen {
    size_t count;
    bool is_there[LEAT_COUNT_OF(odd_keys)];
};

static int
see_key(void *context, const struct leat_s3_object *object)
{
    struct seen *seen = context;

    seen->count++;
    for (size_t i = 0; i < LEAT_COUNT_OF(odd_keys); i++) {
        if (leat_slice_is(object->key, odd_keys[i].key)) {
            ck_assert_uint_eq(object->size, strlen(odd_keys[i].key));
            ck_assert(!seen->is_there[i]);
            seen->is_there[i] = true;
            return 0;
        }
    }
    ck_abort_msg("%s: nobody put \"%.*s\"", peer->name, (int)object->key.size,
                 (const char *)object->key.data);
    return -1;
}

START_TEST(odd_keys_stay_what_they_are)
{
    struct seen seen = {0};
    size_t count = 0;

    begin(_i, "keys");
    for (size_t i = 0; i < LEAT_COUNT_OF(odd_keys); i++) {
        if (!has(odd_keys[i].quirk)) {
            OK(put(odd_keys[i].key, odd_keys[i].key));
            count++;
        }
    }
    ck_assert_uint_ge(count, 12);
    for (size_t i = 0; i < LEAT_COUNT_OF(odd_keys); i++) {
        if (!has(odd_keys[i].quirk))
            check_body(odd_keys[i].key, odd_keys[i].key);
    }
    OK(leat_s3_list_objects(s3, bucket, leat_slice_from(""), see_key, &seen, &err));
    ck_assert_uint_eq(seen.count, count);
    for (size_t i = 0; i < LEAT_COUNT_OF(odd_keys); i++) {
        struct seen alone = {0};

        if (has(odd_keys[i].quirk))
            continue;
        OK(leat_s3_list_objects(s3, bucket, leat_slice_from(odd_keys[i].key), see_key, &alone,
                                &err));
        ck_assert_msg(alone.is_there[i], "%s: \"%s\" is not listed", peer->name, odd_keys[i].key);
    }
    end();
}
END_TEST

struct order {
    size_t count;
    char last[32];
    int64_t modified_us;
};

static int
see_order(void *context, const struct leat_s3_object *object)
{
    struct order *order = context;
    char key[32];

    snprintf(key, sizeof key, "%.*s", (int)object->key.size, (const char *)object->key.data);
    ck_assert_str_gt(key, order->last);
    snprintf(order->last, sizeof order->last, "%s", key);
    order->modified_us = object->modified_us;
    order->count++;
    return 0;
}

/* ---- lists -------------------------------------------------------------------------------------- */

/* A bare signed request; the status and the answer's body. What is wrong with it is the test's. */
struct bare {
    const char *method, *path, *query;
    const char *body, *hash; /* hash NULL: the body's */
    const char *secret;      /* NULL: the peer's */
    int64_t skew_us;
    bool is_unsigned, is_without_hash;
};

static int
exchange(const struct leat_buf *request, struct leat_buf *answer)
{
    unsigned port = (unsigned)strtoul(strrchr(peer->endpoint, ':') + 1, NULL, 10);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char bytes[4096];
    ssize_t got;

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ck_assert_int_eq(send(fd, request->data, request->size, MSG_NOSIGNAL), (ssize_t)request->size);
    while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0)
        leat_buf_add(answer, bytes, (size_t)got);
    close(fd);
    ck_assert_msg(answer->size > 12, "%s: no answer", peer->name);
    return (int)strtol(leat_buf_text(answer) + 9, NULL, 10);
}

static int
send_bare(const struct bare *bare, struct leat_buf *answer)
{
    LEAT_AUTO_BUF authorization = LEAT_BUF_INIT;
    LEAT_AUTO_BUF request = LEAT_BUF_INIT;
    struct leat_slice body = leat_slice_from(bare->body);
    struct leat_credentials credentials = {0};
    char hash[LEAT_SHA256_HEX_BYTES], date[17];
    struct leat_sign_header headers[] = {
        {leat_slice_from("host"), leat_slice_from(strstr(peer->endpoint, "127."))},
        {leat_slice_from("x-amz-content-sha256"), leat_slice_from("")}};
    struct leat_sign_request sign = {.method = leat_slice_from(bare->method),
                                     .path = leat_slice_from(bare->path),
                                     .query = leat_slice_from(bare->query),
                                     .headers = headers,
                                     .header_count = bare->is_without_hash ? 1 : 2};
    struct leat_sign_scope scope = {leat_slice_from("us-east-1"), leat_slice_from("s3"),
                                    leat_clock_wall_us() + bare->skew_us};

    leat_sha256_hex(body, hash);
    headers[1].value = leat_slice_from(bare->hash != NULL ? bare->hash : hash);
    sign.payload_hash = headers[1].value;
    credentials.access_key_id = (char *)(uintptr_t)peer->key_id;
    credentials.secret_access_key =
        (char *)(uintptr_t)(bare->secret != NULL ? bare->secret : peer->secret);
    leat_sign_request(&sign, &credentials, &scope, date, &authorization);
    leat_buf_printf(&request,
                    "%s %s%s%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
                    "Content-Length: %zu\r\n",
                    bare->method, bare->path, bare->query[0] != '\0' ? "?" : "", bare->query,
                    strstr(peer->endpoint, "127."), body.size);
    if (!bare->is_without_hash)
        leat_buf_printf(&request, "x-amz-content-sha256: %s\r\n",
                        (const char *)headers[1].value.data);
    if (!bare->is_unsigned)
        leat_buf_printf(&request, "x-amz-date: %s\r\nAuthorization: %s\r\n", date,
                        leat_buf_text(&authorization));
    leat_buf_printf(&request, "\r\n%s", bare->body);
    return exchange(&request, answer);
}

static void
expect(struct bare bare, int status, const char *code)
{
    LEAT_AUTO_BUF answer = LEAT_BUF_INIT;
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    int got;

    leat_buf_printf(&path, "/%s/bare", bucket);
    bare.method = bare.method != NULL ? bare.method : "PUT";
    bare.path = leat_buf_text(&path);
    bare.query = "";
    bare.body = bare.body != NULL ? bare.body : "body";
    got = send_bare(&bare, &answer);
    /* Swift had a name of its own for it, and took the service's later: both are right. */
    if (has(OWN_NAMES) && strcmp(code, "XAmzContentSHA256Mismatch") == 0 &&
        strstr(leat_buf_text(&answer), "BadDigest") != NULL)
        code = "BadDigest";
    ck_assert_msg(got == status && strstr(leat_buf_text(&answer), code) != NULL,
                  "%s: %d instead of %d %s: %s", peer->name, got, status, code,
                  leat_buf_text(&answer));
}

START_TEST(lists_come_in_order_by_pages)
{
    LEAT_AUTO_BUF answer = LEAT_BUF_INIT;
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    struct order order = {0};
    struct bare page = {"GET", "",   "list-type=2&max-keys=4&prefix=page%2F", "", NULL, NULL, 0,
                        false, false};

    begin(_i, "lists");
    for (int i = 0; i < 10; i++) {
        char key[32];

        snprintf(key, sizeof key, "page/%02d", i * 7 % 10);
        OK(put(key, "x"));
    }
    OK(put("pagf", "not of it"));
    OK(leat_s3_list_objects(s3, bucket, leat_slice_from("page/"), see_order, &order, &err));
    ck_assert_uint_eq(order.count, 10);
    ck_assert_int_lt(llabs(order.modified_us - leat_clock_wall_us()), 60 * LEAT_SECOND_US);
    /* Our client asks for pages of a thousand: that smaller ones mean the same, by hand. */
    leat_buf_printf(&path, "/%s", bucket);
    page.path = leat_buf_text(&path);
    ck_assert_int_eq(send_bare(&page, &answer), 200);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&answer), "<IsTruncated>true</IsTruncated>"));
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&answer), "<NextContinuationToken>"));
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&answer), "<KeyCount>4</KeyCount>"));
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&answer), "<Key>page/03</Key>"));
    ck_assert_ptr_null(strstr(leat_buf_text(&answer), "<Key>page/04</Key>"));
    REFUSED(
        leat_s3_list_objects(s3, "interop-nobody", leat_slice_from(""), see_order, &order, &err),
        LEAT_E_NOT_FOUND);
    end();
}
END_TEST

/* ---- who may ------------------------------------------------------------------------------------ */

START_TEST(signatures_decide)
{
    begin(_i, "signed");
    OK(put("a", "one"));
    expect((struct bare){0}, 200, "");
    if (!has(CHECKS_NO_SIGNATURE)) {
        connect_as(peer->key_id, "wrong");
        REFUSED(put("a", "two"), LEAT_E_DENIED);
        ck_assert_ptr_nonnull(strstr(err.text, "SignatureDoesNotMatch"));
        expect((struct bare){.secret = "wrong"}, 403, "SignatureDoesNotMatch");
    }
    expect((struct bare){.is_unsigned = true},
           has(CHECKS_NO_SIGNATURE) ? 200
           : has(OWN_NAMES)         ? 400
                                    : 403,
           "");
    connect_as("NOBODY", peer->secret);
    REFUSED(put("a", "two"), LEAT_E_DENIED);
    ck_assert_ptr_nonnull(
        strstr(err.text, has(OWN_NAMES) ? "SignatureDoesNotMatch" : "InvalidAccessKeyId"));
    connect_as(peer->key_id, peer->secret);
    check_body("a", "one");
    end();
}
END_TEST

START_TEST(bodies_are_what_was_signed)
{
    static const char other[] = "0000000000000000000000000000000000000000000000000000000000000000";

    begin(_i, "bodies");
    if (!has(CHECKS_NO_SIGNATURE))
        expect((struct bare){.hash = other}, 400, "XAmzContentSHA256Mismatch");
    expect((struct bare){.hash = "UNSIGNED-PAYLOAD"}, 200, "");
    expect((struct bare){.is_without_hash = true}, 400, "");
    expect((struct bare){.method = "GET", .body = ""}, 200, "body");
    end();
}
END_TEST

START_TEST(clocks_that_differ_are_refused_and_corrected)
{
    begin(_i, "clocks");
    expect((struct bare){.skew_us = 20 * 60 * LEAT_SECOND_US}, 403, "RequestTimeTooSkewed");
    expect((struct bare){.skew_us = -20 * 60 * LEAT_SECOND_US}, 403, "RequestTimeTooSkewed");
    expect((struct bare){.skew_us = 2 * 60 * LEAT_SECOND_US}, 200, "");
    end();
}
END_TEST

/* ---- the servers ------------------------------------------------------------------------------ */

static struct foreign_server foreign[2];

static void
stop_servers(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(foreign); i++)
        foreign_server_stop(&foreign[i]);
}

static void
start_servers(void)
{
    foreign_server_start(&foreign[0], FOREIGN_S3RVER);
    foreign_server_start(&foreign[1], FOREIGN_SWIFT);
    for (size_t i = 0; i < LEAT_COUNT_OF(foreign); i++) {
        if (foreign_server_wait(&foreign[i]))
            peers[1 + i].endpoint = foreign[i].endpoint;
    }
}

int
main(void)
{
    const TTest *const scenarios[] = {buckets_are_there_or_not,
                                      objects_are_what_was_put,
                                      odd_keys_stay_what_they_are,
                                      lists_come_in_order_by_pages,
                                      signatures_decide,
                                      bodies_are_what_was_signed,
                                      clocks_that_differ_are_refused_and_corrected};
    struct interop interop = {0};
    SRunner *runner = srunner_create(NULL);
    int code;

    start_servers();
    for (size_t i = 0; i < PEERS; i++) {
        Suite *suite = suite_create(peers[i].name);
        TCase *tests = tcase_create(peers[i].name);

        for (size_t j = 0;
             j < LEAT_COUNT_OF(scenarios) && (peers[i].endpoint != NULL || peers[i].is_ours); j++)
            tcase_add_loop_test(tests, scenarios[j], (int)i, (int)i + 1);
        suite_add_tcase(suite, tests);
        srunner_add_suite(runner, suite);
    }
    for (size_t i = 0; i < LEAT_COUNT_OF(foreign); i++)
        interop_miss(&interop, &foreign[i], (unsigned)LEAT_COUNT_OF(scenarios));
    code = interop_run(&interop, runner);
    stop_servers();
    return code;
}
