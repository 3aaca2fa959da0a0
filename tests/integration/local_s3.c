/*
 * The local S3 as leat's own client sees it, and on bare sockets what no proper client sends: wrong signatures, bodies, clocks,
 * lists. Then the archive of failed records on top of it.
 */
#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aws/s3.h"
#include "aws/sign.h"
#include "aws/xml.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/memory.h"
#include "base/units.h"
#include "failure/archive.h"
#include "local/s3.h"
#include "support/patience.h"

#define ID "AKIDLOCAL"
#define SECRET "secret/of+local"

static struct leat_local_s3 *server;
static struct leat_aws aws;
static struct leat_s3 *s3;
static struct leat_error err;

static void
start(const struct leat_local_s3_options *options)
{
    server = leat_local_s3_new(options, &err);
    ck_assert_msg(server != NULL, "%s", err.text);
    aws = (struct leat_aws){
        .region = "eu-west-1",
        .credentials = leat_credentials_static_new(ID, SECRET, options->session_token),
        .timeout_us = PATIENCE_US / 2,
        .retry = {.maximum_attempts = 3,
                  .budget_us = PATIENCE_US / 2,
                  .base_us = LEAT_MS_US,
                  .cap_us = 5 * LEAT_MS_US,
                  .throttle_base_us = LEAT_MS_US,
                  .throttle_cap_us = 5 * LEAT_MS_US}};
    aws.endpoints[LEAT_SERVICE_S3] = leat_local_s3_endpoint(server);
    s3 = leat_s3_new(&aws, &err);
    ck_assert_msg(s3 != NULL, "%s", err.text);
}

static void
stop(void)
{
    leat_s3_free(s3);
    leat_credentials_provider_free(aws.credentials);
    leat_local_s3_free(server);
}

static void
setup(void)
{
    struct leat_local_s3_options options = {
        .region = "eu-west-1", .access_key_id = ID, .secret_access_key = SECRET};

    start(&options);
    ck_assert_int_eq(leat_local_s3_create_bucket(server, "box", &err), 0);
}

static void
restart(const struct leat_local_s3_options *options)
{
    stop();
    start(options);
    ck_assert_int_eq(leat_local_s3_create_bucket(server, "box", &err), 0);
}

static int
put(const char *key, const char *body)
{
    return leat_s3_put_object(s3, "box", leat_slice_from(key), leat_slice_from(body), NULL, &err);
}

static void
check_body(const char *key, const char *wanted)
{
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;

    ck_assert_msg(leat_s3_get_object(s3, "box", leat_slice_from(key), &body, &err) == 0, "%s",
                  err.text);
    ck_assert_str_eq(leat_buf_text(&body), wanted);
}

static struct leat_local_s3_counts
counts(void)
{
    struct leat_local_s3_counts now;

    leat_local_s3_counts(server, &now);
    return now;
}

/* ---- the client ---------------------------------------------------------------------------------- */

START_TEST(test_buckets)
{
    ck_assert_int_eq(leat_s3_head_bucket(s3, "box", &err), 0);
    ck_assert_int_eq(leat_s3_head_bucket(s3, "nobox", &err), LEAT_E_NOT_FOUND);
    ck_assert_msg(leat_s3_create_bucket(s3, "nobox", &err) == 0, "%s", err.text);
    ck_assert_int_eq(leat_s3_head_bucket(s3, "nobox", &err), 0);
    ck_assert_int_eq(leat_s3_create_bucket(s3, "nobox", &err), LEAT_E_CONFLICT);
    ck_assert_int_eq(leat_s3_create_bucket(s3, "Upper", &err), LEAT_E_INVALID);
    ck_assert_msg(strstr(err.text, "InvalidBucketName") != NULL, "%s", err.text);
}
END_TEST

START_TEST(test_objects)
{
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;
    LEAT_AUTO_BUF large = LEAT_BUF_INIT;
    LEAT_AUTO_BUF stored = LEAT_BUF_INIT;

    ck_assert_msg(put("a", "one") == 0, "%s", err.text);
    check_body("a", "one");
    ck_assert_int_eq(put("a", "another"), 0);
    check_body("a", "another");
    ck_assert_int_eq(put("empty", ""), 0);
    check_body("empty", "");
    ck_assert_int_eq(leat_s3_get_object(s3, "box", leat_slice_from("b"), &body, &err),
                     LEAT_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "NoSuchKey"));
    ck_assert_int_eq(leat_s3_get_object(s3, "nobox", leat_slice_from("a"), &body, &err),
                     LEAT_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "NoSuchBucket"));
    for (unsigned i = 0; i < 3 << 20; i++)
        leat_buf_add_byte(&large, (unsigned char)(i * i >> 7));
    ck_assert_int_eq(leat_s3_put_object(s3, "box", leat_slice_from("large"), leat_buf_slice(&large),
                                        "text/plain", &err),
                     0);
    ck_assert_int_eq(leat_s3_get_object(s3, "box", leat_slice_from("large"), &body, &err), 0);
    ck_assert(leat_slice_equals(leat_buf_slice(&body), leat_buf_slice(&large)));
    ck_assert_int_eq(leat_local_s3_get(server, "box", leat_slice_from("large"), &stored, &err), 0);
    ck_assert(leat_slice_equals(leat_buf_slice(&stored), leat_buf_slice(&large)));
    ck_assert_uint_eq(counts().objects, 3);
    ck_assert_uint_eq(counts().stored_bytes, 1 + 7 + 5 + 5 + large.size);
    ck_assert_uint_eq(leat_local_s3_calls(server, "PutObject"), 4);
}
END_TEST

static const char *const odd_keys[] = {
    " ",
    "a b",
    "h\xc3\xa9/\xf0\x9f\x98\x80",
    "x=1&y=2",
    "10:30:00",
    "c++",
    "50%",
    "%41",
    "..",
    "../up",
    "a/../b",
    "a/./b",
    "//two",
    "end/",
    "a//b",
    "?query#fragment",
    "<&>\"'",
    "~-._",
    "!*'();@,$[]{}|\\^`",
    "tab\tnew\nline\r\x01\x7f",
    "app/stream=a:b/date=2022-01-01/\xc3\xbc ber+.json",
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
        if (leat_slice_is(object->key, odd_keys[i])) {
            ck_assert(!seen->is_there[i]);
            ck_assert_uint_eq(object->size, strlen(odd_keys[i]));
            seen->is_there[i] = true;
            return 0;
        }
    }
    ck_abort_msg("nobody put %.*s", (int)object->key.size, (const char *)object->key.data);
    return -1;
}

/* Each is what it is: stored, found and listed under its own name, and no two are one. */
START_TEST(test_odd_keys)
{
    struct seen seen = {0};

    for (size_t i = 0; i < LEAT_COUNT_OF(odd_keys); i++)
        ck_assert_msg(put(odd_keys[i], odd_keys[i]) == 0, "%s: %s", odd_keys[i], err.text);
    ck_assert_uint_eq(counts().objects, LEAT_COUNT_OF(odd_keys));
    for (size_t i = 0; i < LEAT_COUNT_OF(odd_keys); i++) {
        LEAT_AUTO_BUF stored = LEAT_BUF_INIT;

        check_body(odd_keys[i], odd_keys[i]);
        ck_assert_int_eq(
            leat_local_s3_get(server, "box", leat_slice_from(odd_keys[i]), &stored, &err), 0);
    }
    ck_assert_msg(leat_s3_list_objects(s3, "box", leat_slice_from(""), see_key, &seen, &err) == 0,
                  "%s", err.text);
    ck_assert_uint_eq(seen.count, LEAT_COUNT_OF(odd_keys));
    for (size_t i = 0; i < LEAT_COUNT_OF(odd_keys); i++) {
        struct seen alone = {0};

        ck_assert_int_eq(
            leat_s3_list_objects(s3, "box", leat_slice_from(odd_keys[i]), see_key, &alone, &err),
            0);
        ck_assert_msg(alone.is_there[i], "%s is not listed", odd_keys[i]);
    }
    ck_assert_int_eq(put("\xff", "x"), LEAT_E_INVALID); /* no UTF-8: S3 refuses it, too */
    ck_assert_ptr_nonnull(strstr(err.text, "InvalidURI"));
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

static int
see_ten(void *context, const struct leat_s3_object *object)
{
    return ++*(int *)context == 10 ? 7 : 0;
}

START_TEST(test_lists_over_pages)
{
    struct order order = {0};
    int seen = 0;

    for (int i = 0; i < 1100; i++) {
        char key[32];

        snprintf(key, sizeof key, "page/%04d", i * 7 % 1100);
        ck_assert_int_eq(
            leat_local_s3_put(server, "box", leat_slice_from(key), leat_slice_from("x"), &err), 0);
    }
    ck_assert_int_eq(leat_local_s3_put(server, "box", leat_slice_from("pagf"),
                                       leat_slice_from("not of it"), &err),
                     0);
    ck_assert_msg(
        leat_s3_list_objects(s3, "box", leat_slice_from("page/"), see_order, &order, &err) == 0,
        "%s", err.text);
    ck_assert_uint_eq(order.count, 1100);
    ck_assert_uint_eq(leat_local_s3_calls(server, "ListObjectsV2"), 2);
    ck_assert_int_lt(llabs(order.modified_us - leat_clock_wall_us()), 60 * LEAT_SECOND_US);
    ck_assert_int_eq(
        leat_s3_list_objects(s3, "box", leat_slice_from("page/"), see_ten, &seen, &err), 7);
    ck_assert_int_eq(leat_s3_list_objects(s3, "nobox", leat_slice_from(""), see_ten, &seen, &err),
                     LEAT_E_NOT_FOUND);
}
END_TEST

START_TEST(test_limits)
{
    struct leat_local_s3_options options = {.maximum_bytes = 100, .object_bytes = 60};
    char key[1030];

    restart(&options);
    ck_assert_int_eq(put("a", "0123456789012345678901234567890123456789012345678"), 0); /* 50 */
    ck_assert_int_eq(put("b", "0123456789012345678901234567890123456789012345678"), 0); /* 100 */
    ck_assert_int_eq(put("c", ""), LEAT_E_UNAVAILABLE);
    ck_assert_int_eq(counts().objects, 2);
    ck_assert_int_eq(put("b", "0123456789"), 0);
    ck_assert_int_eq(put("c", ""), 0);
    ck_assert_int_eq(put("b", "0123456789012345678901234567890123456789012345678901234567890"),
                     LEAT_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "EntityTooLarge"));
    memset(key, 'k', sizeof key);
    key[1024] = '\0';
    ck_assert_int_eq(
        leat_local_s3_put(server, "box", leat_slice_from(key), leat_slice_from(""), &err), 0);
    check_body(key, "");
}
END_TEST

START_TEST(test_who_may)
{
    struct leat_credentials_provider *good = aws.credentials;

    ck_assert_int_eq(put("a", "one"), 0);
    leat_s3_free(s3);
    aws.credentials = leat_credentials_static_new(ID, "wrong", NULL);
    s3 = leat_s3_new(&aws, &err);
    ck_assert_int_eq(put("a", "two"), LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "SignatureDoesNotMatch"));
    leat_s3_free(s3);
    leat_credentials_provider_free(aws.credentials);
    aws.credentials = leat_credentials_static_new("OTHER", SECRET, NULL);
    s3 = leat_s3_new(&aws, &err);
    ck_assert_int_eq(put("a", "two"), LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "InvalidAccessKeyId"));
    leat_s3_free(s3);
    leat_credentials_provider_free(aws.credentials);
    aws.credentials = good;
    s3 = leat_s3_new(&aws, &err);
    check_body("a", "one");
    ck_assert_uint_eq(counts().unsigned_calls, 2);
    leat_local_s3_set_credentials(server, ID, SECRET, "token");
    ck_assert_int_eq(put("a", "two"), LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "InvalidToken"));
}
END_TEST

/* A token that was good is refused as expired: the client reads its credentials again, once. */
START_TEST(test_an_expired_token)
{
    struct leat_local_s3_options options = {.region = "eu-west-1",
                                            .access_key_id = ID,
                                            .secret_access_key = SECRET,
                                            .session_token = "first"};

    restart(&options);
    ck_assert_msg(put("a", "one") == 0, "%s", err.text);
    leat_local_s3_set_credentials(server, "NEXT", SECRET, "second");
    ck_assert_int_ne(put("a", "two"), 0);
    ck_assert_msg(strstr(err.text, "ExpiredToken") != NULL, "%s", err.text);
}
END_TEST

/* An hour apart: refused, corrected by the server's Date, done. */
START_TEST(test_the_clock_is_corrected)
{
    leat_local_s3_shift_clock(server, 3600 * LEAT_SECOND_US);
    ck_assert_msg(put("a", "one") == 0, "%s", err.text);
    ck_assert_uint_eq(counts().unsigned_calls, 1);
    ck_assert_uint_eq(leat_local_s3_calls(server, "PutObject"), 2);
}
END_TEST

/* ---- faults ------------------------------------------------------------------------------------------ */

static const struct {
    struct leat_local_s3_fault fault;
    uint64_t calls; /* in the end */
    int64_t takes_us;
} put_faults[] = {
    {{LEAT_LOCAL_S3_SLOW_DOWN, .times = 2}, 3, 0},
    {{LEAT_LOCAL_S3_REFUSE, .times = 2}, 3, 0},
    {{LEAT_LOCAL_S3_REFUSE, .times = 1, .status = 503, .code = "ServiceUnavailable"}, 2, 0},
    {{LEAT_LOCAL_S3_ERROR, .times = 1}, 2, 0},
    {{LEAT_LOCAL_S3_DELAY, .times = 1, .delay_us = 200 * LEAT_MS_US}, 1, 200 * LEAT_MS_US},
    {{LEAT_LOCAL_S3_RESET, .times = 2}, 3, 0},
    {{LEAT_LOCAL_S3_LOST, .times = 1}, 2, 0},
    {{LEAT_LOCAL_S3_REFUSE, .action = "GetObject"}, 1, 0},
    {{LEAT_LOCAL_S3_REFUSE, .bucket = "other"}, 1, 0},
    {{LEAT_LOCAL_S3_REFUSE, .skip = 1}, 1, 0},
};

START_TEST(test_a_put_survives)
{
    int64_t begun_us = leat_clock_monotonic_us();

    leat_local_s3_fault(server, &put_faults[_i].fault);
    ck_assert_msg(put("a", "one") == 0, "%s", err.text);
    ck_assert_int_ge(leat_clock_monotonic_us() - begun_us, put_faults[_i].takes_us);
    ck_assert_uint_eq(leat_local_s3_calls(server, "PutObject"), put_faults[_i].calls);
    ck_assert_uint_eq(counts().faults, put_faults[_i].fault.times);
    leat_local_s3_clear_faults(server);
    check_body("a", "one");
    ck_assert_uint_eq(counts().objects, 1);
}
END_TEST

static const struct leat_local_s3_fault get_faults[] = {
    {LEAT_LOCAL_S3_CUT, .times = 1, .bytes = 3},
    {LEAT_LOCAL_S3_CUT, .times = 2},
    {LEAT_LOCAL_S3_SLOW, .times = 1, .bytes = 2, .delay_us = 5 * LEAT_MS_US},
    {LEAT_LOCAL_S3_STALE, .times = 1},
    {LEAT_LOCAL_S3_RESET, .times = 1},
    {LEAT_LOCAL_S3_SLOW_DOWN, .every = 2, .times = 3},
};

START_TEST(test_a_get_survives)
{
    ck_assert_int_eq(put("a", "0123456789"), 0);
    leat_local_s3_fault(server, &get_faults[_i]);
    for (int i = 0; i < 4; i++)
        check_body("a", "0123456789");
    ck_assert_uint_eq(counts().faults, get_faults[_i].times);
}
END_TEST

START_TEST(test_what_does_not_end_is_told)
{
    struct leat_local_s3_fault fault = {LEAT_LOCAL_S3_REFUSE, .status = 403,
                                        .code = "AccessDenied"};

    leat_local_s3_fault(server, &fault);
    ck_assert_int_eq(put("a", "one"), LEAT_E_DENIED);
    ck_assert_uint_eq(leat_local_s3_calls(server, "PutObject"), 1);
    leat_local_s3_clear_faults(server);
    fault = (struct leat_local_s3_fault){LEAT_LOCAL_S3_ERROR, .status = 500};
    leat_local_s3_fault(server, &fault);
    ck_assert_int_eq(put("a", "one"), LEAT_E_UNAVAILABLE);
    ck_assert_uint_eq(leat_local_s3_calls(server, "PutObject"), 4);
    ck_assert_uint_eq(counts().objects, 0);
}
END_TEST

/* ---- bare requests ------------------------------------------------------------------------------------- */

struct bare {
    const char *method, *target, *body;
    const char *header;       /* one more line, signed; NULL: none */
    const char *hash;         /* x-amz-content-sha256; NULL: the body's; "": none */
    const char *region;       /* of the signature; NULL: eu-west-1 */
    const char *changed_body; /* sent in place of the signed one */
    int64_t skew_us;
    bool is_unsigned;
};

static void
add_header(struct leat_sign_header *headers, size_t *count, const char *name, const char *value)
{
    headers[(*count)++] = (struct leat_sign_header){leat_slice_from(name), leat_slice_from(value)};
}

static void
write_request(const struct bare *bare, struct leat_buf *out)
{
    struct leat_credentials credentials = {0};
    const char *mark = strchr(bare->target, '?');
    const char *body = bare->body != NULL ? bare->body : "";
    const char *sent = bare->changed_body != NULL ? bare->changed_body : body;
    struct leat_sign_header headers[4];
    struct leat_sign_request request = {
        .method = leat_slice_from(bare->method),
        .path = leat_slice_make(bare->target, strcspn(bare->target, "?")),
        .query = leat_slice_from(mark != NULL ? mark + 1 : ""),
        .headers = headers};
    struct leat_sign_scope scope = {
        leat_slice_from(bare->region != NULL ? bare->region : "eu-west-1"), leat_slice_from("s3"),
        leat_local_s3_now_us(server) + bare->skew_us};
    LEAT_AUTO_BUF authorization = LEAT_BUF_INIT;
    char date[17], hash[LEAT_SHA256_HEX_BYTES], host[32], name[64] = "";

    snprintf(host, sizeof host, "127.0.0.1:%u", leat_local_s3_port(server));
    leat_sha256_hex(leat_slice_from(body), hash);
    if (bare->hash != NULL)
        snprintf(hash, sizeof hash, "%s", bare->hash);
    add_header(headers, &request.header_count, "host", host);
    if (hash[0] != '\0')
        add_header(headers, &request.header_count, "x-amz-content-sha256", hash);
    if (bare->header != NULL) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(bare->header, ":"), bare->header);
        add_header(headers, &request.header_count, name, strchr(bare->header, ':') + 2);
    }
    request.payload_hash = leat_slice_from(hash);
    leat_credentials_set(&credentials, leat_slice_from(ID), leat_slice_from(SECRET),
                         leat_slice_from(""));
    leat_sign_request(&request, &credentials, &scope, date, &authorization);
    leat_credentials_release(&credentials);
    leat_buf_printf(out, "%s %s HTTP/1.1\r\nconnection: close\r\ncontent-length: %zu\r\n",
                    bare->method, bare->target, strlen(sent));
    for (size_t i = 0; i < request.header_count; i++)
        leat_buf_printf(out, "%s: %s\r\n", (const char *)headers[i].name.data,
                        (const char *)headers[i].value.data);
    if (!bare->is_unsigned)
        leat_buf_printf(out, "x-amz-date: %s\r\nauthorization: %s\r\n", date,
                        leat_buf_text(&authorization));
    leat_buf_printf(out, "\r\n%s", sent);
}

/* The whole answer, head and body; NUL-terminated text of the buf. */
static const char *
ask(const struct bare *bare, struct leat_buf *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(leat_local_s3_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    LEAT_AUTO_BUF request = LEAT_BUF_INIT;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ssize_t size;
    char piece[4096];

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    write_request(bare, &request);
    ck_assert_int_eq(send(fd, request.data, request.size, MSG_NOSIGNAL), (ssize_t)request.size);
    leat_buf_clear(answer);
    do {
        struct pollfd wait = {fd, POLLIN, 0};

        ck_assert_int_eq(poll(&wait, 1, 5000), 1);
        size = recv(fd, piece, sizeof piece, 0);
        ck_assert_int_ge(size, 0);
        leat_buf_add(answer, piece, (size_t)size);
    } while (size > 0);
    close(fd);
    return leat_buf_text(answer);
}

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct {
    struct bare bare;
    int status;
    const char *says;
} answers[] = {
    {{"PUT", "/box/b", "body"}, 200, "ETag: \"841a2d689ad86bd1611447453c22c6fc\""},
    {{"PUT", "/box/b", "body", .hash = "UNSIGNED-PAYLOAD"}, 200, "ETag"},
    {{"PUT", "/box/b", "body", .is_unsigned = true}, 403, "<Code>AccessDenied</Code>"},
    {{"PUT", "/box/b", "body", .changed_body = "boby"},
     400,
     "<Code>XAmzContentSHA256Mismatch</Code>"},
    {{"PUT", "/box/b", "body", .hash = EMPTY_HASH}, 400, "<Code>XAmzContentSHA256Mismatch</Code>"},
    {{"PUT", "/box/b", "body", .hash = ""}, 400, "x-amz-content-sha256</Message>"},
    {{"PUT", "/box/b", "body", .region = "us-east-1"},
     400,
     "<Code>AuthorizationHeaderMalformed</Code>"},
    {{"PUT", "/box/b", "body", .skew_us = 16 * 60 * LEAT_SECOND_US},
     403,
     "<Code>RequestTimeTooSkewed</Code>"},
    {{"PUT", "/box/b", "body", .skew_us = -14 * 60 * LEAT_SECOND_US}, 200, "ETag"},
    {{"PUT", "/box/b", "body", .header = "content-md5: hBotaJrYa9FhFEdFPCLG/A=="}, 200, "ETag"},
    {{"PUT", "/box/b", "body", .header = "content-md5: AAAAAAAAAAAAAAAAAAAAAA=="},
     400,
     "<Code>BadDigest</Code>"},
    {{"PUT", "/box/b", "body", .header = "content-md5: x"}, 400, "<Code>InvalidDigest</Code>"},
    {{"PUT", "/box/b", "body", .header = "if-none-match: *"}, 200, "ETag"},
    {{"PUT", "/box/a", "body", .header = "if-none-match: *"},
     412,
     "<Code>PreconditionFailed</Code>"},
    {{"PUT", "/box/b", "", .header = "x-amz-copy-source: /box/a"},
     501,
     "<Code>NotImplemented</Code>"},
    {{"PUT", "/nobox/b", "body"}, 404, "<Code>NoSuchBucket</Code>"},
    {{"PUT", "/box/%zz", "body"}, 400, "<Code>InvalidURI</Code>"},
    {{"PUT", "/box/a%00b", "body"}, 400, "<Code>InvalidURI</Code>"},
    {{"PUT", "/box?acl", ""}, 501, "<Code>NotImplemented</Code>"},
    {{"POST", "/box?delete", ""}, 501, "<Code>NotImplemented</Code>"},
    {{"GET", "/box/a?uploadId=1", ""}, 501, "<Code>NotImplemented</Code>"},
    {{"GET", "/box/a?x-id=GetObject", ""}, 200, "\r\n\r\none"},
    {{"GET", "/box/none%20%26", ""}, 404, "<Resource>/box/none%20%26</Resource>"},
    {{"HEAD", "/box/a", ""}, 200, "Content-Length: 3"},
    {{"HEAD", "/box/a", ""}, 200, "\r\n\r\n"},
    {{"HEAD", "/box/none", ""}, 404, "\r\n\r\n"},
    {{"DELETE", "/box/a", ""}, 204, ""},
    {{"DELETE", "/box/none", ""}, 204, ""},
    {{"DELETE", "/box", ""}, 409, "<Code>BucketNotEmpty</Code>"},
    {{"DELETE", "/empty", ""}, 204, ""},
    {{"PUT", "/in_valid", ""}, 400, "<Code>InvalidBucketName</Code>"},
    {{"PUT", "/new", ""}, 200, "Location: /new"},
    {{"GET", "/", ""}, 200, "<Bucket><Name>box</Name>"},
    {{"GET", "/box", ""}, 501, "<Code>NotImplemented</Code>"}, /* the first kind of lists */
    {{"GET", "/box?list-type=2&max-keys=x", ""}, 400, "<Code>InvalidArgument</Code>"},
    {{"GET", "/box?list-type=2&max-keys=-1", ""}, 400, "<Code>InvalidArgument</Code>"},
    {{"GET", "/box?continuation-token=xyz&list-type=2", ""}, 400, "<Code>InvalidArgument</Code>"},
    {{"GET", "/box?encoding-type=xml&list-type=2", ""}, 400, "<Code>InvalidArgument</Code>"},
    {{"GET", "/box?list-type=2&max-keys=0", ""},
     200,
     "<KeyCount>0</KeyCount><MaxKeys>0</MaxKeys><IsTruncated>false</IsTruncated>"},
};

START_TEST(test_answers)
{
    LEAT_AUTO_BUF answer = LEAT_BUF_INIT;
    char status[32];
    const char *text;

    ck_assert_int_eq(leat_local_s3_create_bucket(server, "empty", &err), 0);
    ck_assert_int_eq(put("a", "one"), 0);
    text = ask(&answers[_i].bare, &answer);
    snprintf(status, sizeof status, "HTTP/1.1 %d ", answers[_i].status);
    ck_assert_msg(strncmp(text, status, strlen(status)) == 0, "%s %s: %s", answers[_i].bare.method,
                  answers[_i].bare.target, text);
    ck_assert_msg(strstr(text, answers[_i].says) != NULL, "%s %s: %s", answers[_i].bare.method,
                  answers[_i].bare.target, text);
    if (strcmp(answers[_i].bare.method, "HEAD") == 0)
        ck_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    if (answers[_i].status >= 400)
        ck_assert_uint_eq(counts().refused, 1);
}
END_TEST

START_TEST(test_headers_come_back)
{
    struct bare bare = {"PUT", "/box/m", "body", .header = "x-amz-meta-some: thing"};
    LEAT_AUTO_BUF answer = LEAT_BUF_INIT;
    const char *text;

    ask(&bare, &answer);
    bare = (struct bare){"HEAD", "/box/m", ""};
    ck_assert_ptr_nonnull(strstr(ask(&bare, &answer), "x-amz-meta-some: thing\r\n"));
    bare.header = "content-type: text/x-leat";
    bare.method = "PUT";
    ask(&bare, &answer);
    bare = (struct bare){"GET", "/box/m", ""};
    ck_assert_ptr_nonnull(strstr(ask(&bare, &answer), "text/x-leat\r\n"));
    ck_assert_ptr_null(strstr(leat_buf_text(&answer), "x-amz-meta-some"));
    text = strstr(leat_buf_text(&answer), "Last-Modified: ");
    ck_assert_ptr_nonnull(text);
    ck_assert_int_lt(
        llabs(leat_http_date_parse(leat_slice_make(text + 15, 29)) - leat_local_s3_now_us(server)),
        60 * LEAT_SECOND_US);
}
END_TEST

/* ---- lists with delimiters, page by page ------------------------------------------------------------- */

struct page {
    struct leat_buf names; /* of keys and prefixes, each with a comma */
    struct leat_buf token;
};

static void
page_begin(void *context, struct leat_slice name, unsigned depth)
{
}

static void
page_end(void *context, struct leat_slice name, unsigned depth, struct leat_slice text)
{
    struct page *page = context;

    if (depth == 2 && (leat_slice_is(name, "Key") || leat_slice_is(name, "Prefix"))) {
        leat_buf_add_slice(&page->names, text);
        leat_buf_add_byte(&page->names, ',');
    }
    if (depth == 1 && leat_slice_is(name, "NextContinuationToken"))
        leat_buf_add_slice(&page->token, text);
}

static const struct {
    const char *query, *names;
} lists[] = {
    {"prefix=", "a,a%2F,a%2F1,a%2Fb%2F1,a%2Fb%2F2,b%2F1,b%2F2,c,c%2B%20%C3%A9,"},
    {"delimiter=%2F&prefix=", "a,a%2F,b%2F,c,c%2B%20%C3%A9,"},
    {"delimiter=%2F&prefix=a%2F", "a%2F,a%2F1,a%2Fb%2F,"},
    {"delimiter=%2F&prefix=a", "a,a%2F,"},
    {"delimiter=b%2F&prefix=", "a,a%2F,a%2F1,a%2Fb%2F,b%2F,c,c%2B%20%C3%A9,"},
    {"prefix=&start-after=a%2Fb%2F1", "a%2Fb%2F2,b%2F1,b%2F2,c,c%2B%20%C3%A9,"},
    {"prefix=&start-after=a%2Fb", "a%2Fb%2F1,a%2Fb%2F2,b%2F1,b%2F2,c,c%2B%20%C3%A9,"},
    {"prefix=b%2F&start-after=a", "b%2F1,b%2F2,"},
    {"prefix=zzz", ""},
};

/* In pages of one, two, three and all: the same list. The keys are escaped on demand. */
START_TEST(test_lists_are_the_same_in_any_pages)
{
    static const char *const keys[] = {"c",     "a/",          "b/2", "a/b/1", "a",
                                       "a/b/2", "c+ \xc3\xa9", "b/1", "a/1"};
    static const struct leat_xml_events events = {page_begin, page_end};

    for (size_t i = 0; i < LEAT_COUNT_OF(keys); i++)
        ck_assert_int_eq(put(keys[i], ""), 0);
    for (int size = 1; size <= 10; size += size < 3 ? 1 : 7) {
        LEAT_AUTO_BUF all = LEAT_BUF_INIT;
        LEAT_AUTO_BUF token = LEAT_BUF_INIT;
        int pages = 0;

        do {
            LEAT_AUTO_BUF target = LEAT_BUF_INIT;
            LEAT_AUTO_BUF answer = LEAT_BUF_INIT;
            struct page page = {.names = LEAT_BUF_INIT, .token = LEAT_BUF_INIT};
            const char *body;
            struct bare bare = {"GET", NULL, ""};

            leat_buf_printf(&target, "/box?%s&list-type=2&encoding-type=url&max-keys=%d%s%s",
                            lists[_i].query, size, token.size > 0 ? "&continuation-token=" : "",
                            leat_buf_text(&token));
            bare.target = leat_buf_text(&target);
            body = strstr(ask(&bare, &answer), "\r\n\r\n");
            ck_assert_ptr_nonnull(body);
            ck_assert_msg(leat_xml_parse(leat_slice_from(body + 4), &events, &page, &err) == 0,
                          "%s: %s", err.text, body);
            leat_buf_add_slice(&all, leat_buf_slice(&page.names));
            leat_buf_clear(&token);
            leat_buf_add_slice(&token, leat_buf_slice(&page.token));
            leat_buf_release(&page.names);
            leat_buf_release(&page.token);
            ck_assert_int_lt(pages++, 20);
        } while (token.size > 0);
        for (size_t i = 0; i + 3 <= all.size; i++) {
            /* '/' stays as it is in escaped keys; the wanted lists are written with %2F to be read easily. */
            ck_assert(memcmp(all.data + i, "%2F", 3) != 0);
        }
        LEAT_AUTO_BUF wanted = LEAT_BUF_INIT;
        for (const char *c = lists[_i].names; *c != '\0'; c++) {
            if (strncmp(c, "%2F", 3) == 0) {
                leat_buf_add_byte(&wanted, '/');
                c += 2;
            } else {
                leat_buf_add_byte(&wanted, (unsigned char)*c);
            }
        }
        ck_assert_str_eq(leat_buf_text(&all), leat_buf_text(&wanted));
        if (size == 10)
            ck_assert_int_eq(pages, 1);
    }
}
END_TEST

/* ---- the archive --------------------------------------------------------------------------------------- */

START_TEST(test_the_archive)
{
    static const char name[] = "app/stream=a:b/2022-01-01/0a+1b.json";
    struct leat_local_s3_fault fault = {LEAT_LOCAL_S3_SLOW_DOWN, .times = 2};
    struct leat_archive *archive;
    LEAT_AUTO_BUF place = LEAT_BUF_INIT;
    LEAT_AUTO_BUF stored = LEAT_BUF_INIT;

    ck_assert_msg(leat_archive_open("s3://box/leat", &aws, &archive, &err) == 0, "%s", err.text);
    leat_local_s3_fault(server, &fault);
    for (int i = 0; i < 2; i++) /* one attempt each: trying again is the letters' */
        ck_assert_int_eq(leat_archive_put(archive, name, leat_slice_from("{}"), &place, &err),
                         LEAT_E_THROTTLED);
    for (int i = 0; i < 2; i++) { /* the same letter twice is one object */
        leat_buf_clear(&place);
        ck_assert_msg(leat_archive_put(archive, name, leat_slice_from("{\"a\":1}"), &place, &err) ==
                          0,
                      "%s", err.text);
        ck_assert_str_eq(leat_buf_text(&place),
                         "s3://box/leat/app/stream=a:b/2022-01-01/0a+1b.json");
    }
    ck_assert_uint_eq(counts().objects, 1);
    ck_assert_int_eq(leat_local_s3_get(server, "box",
                                       leat_slice_from("leat/app/stream=a:b/2022-01-01/0a+1b.json"),
                                       &stored, &err),
                     0);
    ck_assert_str_eq(leat_buf_text(&stored), "{\"a\":1}");
    leat_archive_close(archive);
    ck_assert_int_eq(leat_archive_open("s3://nobox/", &aws, &archive, &err), 0);
    leat_buf_clear(&place);
    ck_assert_int_eq(leat_archive_put(archive, name, leat_slice_from("{}"), &place, &err),
                     LEAT_E_NOT_FOUND);
    ck_assert_msg(strstr(err.text, "NoSuchBucket") != NULL, "%s", err.text);
    leat_archive_close(archive);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("local_s3");
    TCase *tests = tcase_create("local_s3");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, stop);
    tcase_add_test(tests, test_buckets);
    tcase_add_test(tests, test_objects);
    tcase_add_test(tests, test_odd_keys);
    tcase_add_test(tests, test_lists_over_pages);
    tcase_add_test(tests, test_limits);
    tcase_add_test(tests, test_who_may);
    tcase_add_test(tests, test_an_expired_token);
    tcase_add_test(tests, test_the_clock_is_corrected);
    tcase_add_loop_test(tests, test_a_put_survives, 0, (int)LEAT_COUNT_OF(put_faults));
    tcase_add_loop_test(tests, test_a_get_survives, 0, (int)LEAT_COUNT_OF(get_faults));
    tcase_add_test(tests, test_what_does_not_end_is_told);
    tcase_add_loop_test(tests, test_answers, 0, (int)LEAT_COUNT_OF(answers));
    tcase_add_test(tests, test_headers_come_back);
    tcase_add_loop_test(tests, test_lists_are_the_same_in_any_pages, 0, (int)LEAT_COUNT_OF(lists));
    tcase_add_test(tests, test_the_archive);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
