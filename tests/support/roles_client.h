/*
 * A roles server with a Kinesis and an S3 that take its keys, and a client on bare sockets that signs, waits and tells what came.
 * Main thread only; one of each at a time. A check that fails is a failure of the test.
 */
#ifndef LEAT_TESTS_ROLES_CLIENT_H
#define LEAT_TESTS_ROLES_CLIENT_H

#include "base/buf.h"
#include "local/kinesis.h"
#include "local/roles.h"
#include "local/s3.h"

#define ID "AKIDLOCAL"
#define SECRET "secret/of+local"
#define ROLE "arn:aws:iam::123456789012:role/path/reader"
#define GUARDED "arn:aws:iam::123456789012:role/guarded"
#define SHORT "arn:aws:iam::123456789012:role/short"
#define TOKEN "header.claims.signature"
#define FORM "application/x-www-form-urlencoded; charset=utf-8"
#define ASSUME "Action=AssumeRole&Version=2011-06-15&RoleSessionName=worker-1&RoleArn="
#define WEB                                                                                        \
    "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=worker-1&RoleArn=" ROLE   \
    "&WebIdentityToken="
#define WHO "Action=GetCallerIdentity&Version=2011-06-15"
#define LIST "/latest/meta-data/iam/security-credentials/"
#define TTL "x-aws-ec2-metadata-token-ttl-seconds: "

extern const struct leat_local_role roles[3];
extern struct leat_local_roles *roles_server;
extern struct leat_local_kinesis *roles_kinesis;
extern struct leat_local_s3 *roles_s3;
extern struct leat_credentials roles_ours; /* the configured pair */

void roles_start(const struct leat_local_roles_options *options);
void roles_stop(void);
void roles_setup(void); /* all three roles, TOKEN, and "raw token" for the container */
void roles_teardown(void);

struct wish {
    const char *method, *path, *body;
    const char *headers[4];            /* "name: value" */
    const struct leat_credentials *by; /* signed with; NULL: not */
    const char *service, *region;      /* sts, us-east-1 */
    uint16_t port;                     /* 0: the roles' */
    int64_t skew_us;
};
struct reply {
    int status;           /* 0: the connection ended before a head came */
    size_t told;          /* Content-Length */
    struct leat_buf head; /* with the empty line */
    struct leat_buf body;
};
void roles_reply_release(struct reply *reply);
#define AUTO_REPLY __attribute__((cleanup(roles_reply_release))) struct reply

int roles_send(const struct wish *wish);         /* the socket; all is sent */
void roles_receive(int fd, struct reply *reply); /* until the connection ends; closes it */
void roles_ask(const struct wish *wish, struct reply *reply);
bool roles_has_header(struct reply *reply, const char *line);
void roles_check_says(struct reply *reply, int status, const char *says);
struct wish roles_sts(const char *form, const struct leat_credentials *by);
/* A metadata token of this many seconds (a header), as a header. */
void roles_get_metadata_token(const char *ttl, char *ret_header, size_t size);

struct given {
    struct leat_credentials credentials;
    char expiration[64], arn[256], role[256];
};
/* The text of an element, which is there once. */
void roles_get_element(struct reply *reply, const char *name, char *ret_text, size_t size);
void roles_get_xml(struct reply *reply, struct given *ret_given);
void roles_get_json(struct reply *reply, struct given *ret_given);
void roles_ask_kinesis(const struct leat_credentials *by, struct reply *reply);
void roles_ask_s3(const struct leat_credentials *by, struct reply *reply);
/* What Kinesis, S3 and STS say to these credentials. */
struct expectation {
    int status;
    const char *says;
};
void roles_check_everywhere(const struct leat_credentials *by, struct expectation of_kinesis,
                            struct expectation of_s3, struct expectation of_sts);
void roles_check_good(const struct leat_credentials *by, const char *arn);

#endif
