/* The servers and the client of the tests of roles. */
#include "support/roles_client.h"

#include <arpa/inet.h>
#include <check.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aws/sign.h"
#include "aws/xml.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "support/patience.h"

const struct leat_local_role roles[3] = {
    {.arn = ROLE},
    {.arn = GUARDED, .external_id = "who:knows/it"},
    {.arn = SHORT, .maximum_us = 3600 * LEAT_SECOND_US},
};

struct leat_local_roles *roles_server;
struct leat_local_kinesis *roles_kinesis;
struct leat_local_s3 *roles_s3;
struct leat_credentials roles_ours; /* the configured pair */
static struct leat_error err;

void
roles_start(const struct leat_local_roles_options *options)
{
    struct leat_local_kinesis_options kinesis_options = {.access_key_id = ID,
                                                         .secret_access_key = SECRET};
    struct leat_local_s3_options s3_options = {.access_key_id = ID, .secret_access_key = SECRET};

    roles_server = leat_local_roles_new(options, &err);
    ck_assert_msg(roles_server != NULL, "%s", err.text);
    kinesis_options.issuer = leat_local_roles_issuer(roles_server);
    s3_options.issuer = leat_local_roles_issuer(roles_server);
    roles_kinesis = leat_local_kinesis_new(&kinesis_options, &err);
    ck_assert_msg(roles_kinesis != NULL, "%s", err.text);
    roles_s3 = leat_local_s3_new(&s3_options, &err);
    ck_assert_msg(roles_s3 != NULL, "%s", err.text);
}

void
roles_stop(void)
{
    leat_local_kinesis_free(roles_kinesis);
    leat_local_s3_free(roles_s3);
    leat_local_roles_free(roles_server);
}

void
roles_setup(void)
{
    struct leat_local_roles_options options = {.access_key_id = ID,
                                               .secret_access_key = SECRET,
                                               .roles = roles,
                                               .role_count = LEAT_COUNT_OF(roles),
                                               .web_identity_token = TOKEN,
                                               .container_token = "raw token"};

    roles_start(&options);
    leat_credentials_set(&roles_ours, leat_slice_from(ID), leat_slice_from(SECRET),
                         leat_slice_from(""));
}

void
roles_teardown(void)
{
    roles_stop();
    leat_credentials_release(&roles_ours);
}

void
roles_reply_release(struct reply *reply)
{
    leat_buf_release(&reply->head);
    leat_buf_release(&reply->body);
}

/* Adds "name: value" lines for the signature of what is in the buf's head. */
static void
add_signature(const struct wish *wish, const char *host, struct leat_buf *out)
{
    LEAT_AUTO_BUF authorization = LEAT_BUF_INIT;
    char date[17], hash[LEAT_SHA256_HEX_BYTES], names[4][64];
    const char *service = wish->service != NULL ? wish->service : "sts";
    struct leat_sign_header headers[6] = {{leat_slice_from("host"), leat_slice_from(host)}};
    struct leat_sign_request request = {.method = leat_slice_from(wish->method),
                                        .path = leat_slice_from(wish->path),
                                        .query = leat_slice_from(""),
                                        .headers = headers,
                                        .header_count = 1};
    struct leat_sign_scope scope = {
        leat_slice_from(wish->region != NULL ? wish->region : "us-east-1"),
        leat_slice_from(service), leat_clock_wall_us() + wish->skew_us};

    leat_sha256_hex(leat_slice_from(wish->body), hash);
    request.payload_hash = leat_slice_from(hash);
    for (size_t i = 0; i < 4 && wish->headers[i] != NULL; i++) {
        snprintf(names[i], sizeof names[i], "%.*s", (int)strcspn(wish->headers[i], ":"),
                 wish->headers[i]);
        headers[request.header_count++] = (struct leat_sign_header){
            leat_slice_from(names[i]), leat_slice_from(strchr(wish->headers[i], ':') + 2)};
    }
    if (strcmp(service, "s3") == 0) {
        headers[request.header_count++] = (struct leat_sign_header){
            leat_slice_from("x-amz-content-sha256"), leat_slice_from(hash)};
        leat_buf_printf(out, "x-amz-content-sha256: %s\r\n", hash);
    }
    leat_sign_request(&request, wish->by, &scope, date, &authorization);
    leat_buf_printf(out, "x-amz-date: %s\r\nauthorization: %s\r\n", date,
                    leat_buf_text(&authorization));
    if (wish->by->session_token != NULL)
        leat_buf_printf(out, "x-amz-security-token: %s\r\n", wish->by->session_token);
}

/* Connected, and all is sent. */
int
roles_send(const struct wish *wish)
{
    uint16_t port = wish->port > 0 ? wish->port : leat_local_roles_port(roles_server);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    const char *body = wish->body != NULL ? wish->body : "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char host[32];

    snprintf(host, sizeof host, "127.0.0.1:%u", port);
    leat_buf_printf(&text, "%s %s HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n", wish->method,
                    wish->path, host);
    for (size_t i = 0; i < 4 && wish->headers[i] != NULL; i++)
        leat_buf_printf(&text, "%s\r\n", wish->headers[i]);
    if (wish->by != NULL)
        add_signature(wish, host, &text);
    leat_buf_printf(&text, "content-length: %zu\r\n\r\n%s", strlen(body), body);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(send(fd, text.data, text.size, MSG_NOSIGNAL), (ssize_t)text.size);
    return fd;
}

void
roles_receive(int fd, struct reply *reply)
{
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;
    char piece[65536];
    const char *end, *length;
    ssize_t size;

    *reply = (struct reply){.head = LEAT_BUF_INIT, .body = LEAT_BUF_INIT};
    do {
        struct pollfd wait = {fd, POLLIN, 0};

        ck_assert_int_eq(poll(&wait, 1, (int)(PATIENCE_US / LEAT_MS_US)), 1);
        size = recv(fd, piece, sizeof piece, 0);
        if (size > 0)
            leat_buf_add(&all, piece, (size_t)size);
    } while (size > 0);
    close(fd);
    end = strstr(leat_buf_text(&all), "\r\n\r\n");
    if (end == NULL)
        return;
    leat_buf_add(&reply->head, all.data, (size_t)(end + 4 - (const char *)all.data));
    leat_buf_add(&reply->body, end + 4, all.size - reply->head.size);
    ck_assert_int_eq(sscanf(leat_buf_text(&reply->head), "HTTP/1.1 %d", &reply->status), 1);
    length = strcasestr(leat_buf_text(&reply->head), "\r\ncontent-length: ");
    if (length != NULL)
        reply->told = strtoul(length + 18, NULL, 10);
}

void
roles_ask(const struct wish *wish, struct reply *reply)
{
    roles_receive(roles_send(wish), reply);
}

bool
roles_has_header(struct reply *reply, const char *line)
{
    LEAT_AUTO_BUF wanted = LEAT_BUF_INIT;

    leat_buf_printf(&wanted, "\r\n%s\r\n", line);
    return strcasestr(leat_buf_text(&reply->head), leat_buf_text(&wanted)) != NULL;
}

void
roles_check_says(struct reply *reply, int status, const char *says)
{
    ck_assert_msg(reply->status == status && strstr(leat_buf_text(&reply->body), says) != NULL,
                  "%d, wanted %d and %s: %s", reply->status, status, says,
                  leat_buf_text(&reply->body));
}

/* ---- what they give ------------------------------------------------------------------------------- */

/* The text of an element, which is there once. */
void
roles_get_element(struct reply *reply, const char *name, char *ret_text, size_t size)
{
    LEAT_AUTO_BUF open = LEAT_BUF_INIT;
    const char *begin, *end;

    leat_buf_printf(&open, "<%s>", name);
    begin = strstr(leat_buf_text(&reply->body), leat_buf_text(&open));
    ck_assert_msg(begin != NULL, "no %s in %s", name, leat_buf_text(&reply->body));
    begin += open.size;
    end = strchr(begin, '<');
    snprintf(ret_text, size, "%.*s", (int)(end - begin), begin);
}

static void
ignore(void *context, struct leat_slice name, unsigned depth)
{
}
static void
ignore_text(void *context, struct leat_slice name, unsigned depth, struct leat_slice text)
{
}

void
roles_get_xml(struct reply *reply, struct given *ret_given)
{
    static const struct leat_xml_events events = {ignore, ignore_text};
    char id[64], secret[64], token[1024];

    ck_assert_msg(leat_xml_parse(leat_buf_slice(&reply->body), &events, NULL, &err) == 0, "%s",
                  err.text);
    roles_get_element(reply, "AccessKeyId", id, sizeof id);
    roles_get_element(reply, "SecretAccessKey", secret, sizeof secret);
    roles_get_element(reply, "SessionToken", token, sizeof token);
    roles_get_element(reply, "Expiration", ret_given->expiration, sizeof ret_given->expiration);
    roles_get_element(reply, "Arn", ret_given->arn, sizeof ret_given->arn);
    ret_given->credentials = (struct leat_credentials){0};
    leat_credentials_set(&ret_given->credentials, leat_slice_from(id), leat_slice_from(secret),
                         leat_slice_from(token));
}

void
roles_get_json(struct reply *reply, struct given *ret_given)
{
    struct json_object *root;
    struct leat_slice id, secret, token, expiration;

    ck_assert_msg(leat_json_parse(leat_buf_slice(&reply->body), &root, &err) == 0, "%s", err.text);
    ck_assert(leat_json_get_text(root, "AccessKeyId", &id));
    ck_assert(leat_json_get_text(root, "SecretAccessKey", &secret));
    ck_assert(leat_json_get_text(root, "Token", &token));
    ck_assert(leat_json_get_text(root, "Expiration", &expiration));
    ret_given->credentials = (struct leat_credentials){0};
    leat_credentials_set(&ret_given->credentials, id, secret, token);
    snprintf(ret_given->expiration, sizeof ret_given->expiration, "%.*s", (int)expiration.size,
             (const char *)expiration.data);
    json_object_put(root);
}

struct wish
roles_sts(const char *form, const struct leat_credentials *by)
{
    return (struct wish){
        .method = "POST", .path = "/", .body = form, .headers = {"content-type: " FORM}, .by = by};
}

void
roles_ask_kinesis(const struct leat_credentials *by, struct reply *reply)
{
    struct wish wish = {.method = "POST",
                        .path = "/",
                        .body = "{}",
                        .headers = {"x-amz-target: Kinesis_20131202.ListStreams",
                                    "content-type: application/x-amz-json-1.1"},
                        .by = by,
                        .service = "kinesis",
                        .port = leat_local_kinesis_port(roles_kinesis)};

    roles_ask(&wish, reply);
}

void
roles_ask_s3(const struct leat_credentials *by, struct reply *reply)
{
    struct wish wish = {.method = "GET",
                        .path = "/",
                        .by = by,
                        .service = "s3",
                        .port = leat_local_s3_port(roles_s3)};

    roles_ask(&wish, reply);
}

void
roles_check_everywhere(const struct leat_credentials *by, struct expectation of_kinesis,
                       struct expectation of_s3, struct expectation of_sts)
{
    struct wish who = roles_sts(WHO, by);
    AUTO_REPLY kinesis_reply, s3_reply, sts_reply;

    roles_ask_kinesis(by, &kinesis_reply);
    roles_check_says(&kinesis_reply, of_kinesis.status, of_kinesis.says);
    roles_ask_s3(by, &s3_reply);
    roles_check_says(&s3_reply, of_s3.status, of_s3.says);
    roles_ask(&who, &sts_reply);
    roles_check_says(&sts_reply, of_sts.status, of_sts.says);
}

void
roles_check_good(const struct leat_credentials *by, const char *arn)
{
    LEAT_AUTO_BUF says = LEAT_BUF_INIT;

    leat_buf_printf(&says, "<Arn>%s</Arn>", arn);
    roles_check_everywhere(by, (struct expectation){200, "StreamNames"},
                           (struct expectation){200, "ListAllMyBucketsResult"},
                           (struct expectation){200, leat_buf_text(&says)});
}

/* A token of this many seconds, as a header. */
void
roles_get_metadata_token(const char *ttl, char *ret_header, size_t size)
{
    struct wish wish = {.method = "PUT", .path = "/latest/api/token", .headers = {ttl}};
    AUTO_REPLY reply;

    roles_ask(&wish, &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert(roles_has_header(&reply, ttl));
    ck_assert(roles_has_header(&reply, "Content-Type: text/plain"));
    snprintf(ret_header, size, "x-aws-ec2-metadata-token: %s", leat_buf_text(&reply.body));
}
