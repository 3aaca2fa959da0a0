/*
 * The role of an EC2 instance, by version 2 of its metadata service (IMDSv2): a token, the role's name, its credentials. Version 1,
 * which any request that a server can be made to send would reach, is not spoken.
 *
 * Where the answers to a token's request are lost, the hop limit is the usual reason: it is one by default, and a container is a
 * second hop. Nothing answers then, so the wait is short, and the error says what to look at.
 */
#include <stdlib.h>
#include <strings.h>

#include "aws/credentials_fetch.h"
#include "aws/credentials_file.h"
#include "aws/credentials_json.h"
#include "aws/credentials_inside.h"
#include "aws/setting.h"
#include "base/clock.h"
#include "base/memory.h"

#define ENDPOINT_V4 "http://169.254.169.254"
#define ENDPOINT_V6 "http://[fd00:ec2::254]"
#define TOKEN_PATH "/latest/api/token"
#define TOKEN_SECONDS "21600"
#define MAXIMUM_ANSWER_BYTES ((size_t)16 << 10)
#define CONNECT_TIMEOUT_US (2 * LEAT_SECOND_US)
#define TIMEOUT_US (3 * LEAT_SECOND_US)
#define ATTEMPTS 2
#define ROUNDS 4

struct instance {
    struct leat_credentials_provider base;
    const struct leat_credentials_context *context;
};

/* One search: the token is of one use, since credentials are asked for every few hours. */
struct asking {
    const struct leat_credentials_context *context;
    const char *base;           /* scheme://host[:port] */
    bool is_brief;              /* one try: somebody waits */
    bool is_renewed;            /* the token was refused once, and is another one now */
    struct leat_buf token_line; /* "X-aws-ec2-metadata-token: …" */
};

int
leat_credentials_instance_url(const char *endpoint, const char *mode, struct leat_buf *url,
                              struct leat_error *err)
{
    size_t size;

    if (endpoint == NULL) {
        if (mode != NULL && strcasecmp(mode, "IPv4") != 0 && strcasecmp(mode, "IPv6") != 0)
            return leat_error_set(
                err, LEAT_E_INVALID,
                "\"%.40s\" is no mode of the metadata service's endpoint: IPv4 or "
                "IPv6",
                mode);
        leat_buf_add_text(url, mode != NULL && strcasecmp(mode, "IPv6") == 0 ? ENDPOINT_V6
                                                                             : ENDPOINT_V4);
        return 0;
    }
    if ((strncasecmp(endpoint, "http://", 7) != 0 && strncasecmp(endpoint, "https://", 8) != 0) ||
        strpbrk(endpoint, " \t\r\n@\"<>") != NULL)
        return leat_error_set(
            err, LEAT_E_INVALID,
            "the metadata service's endpoint (AWS_EC2_METADATA_SERVICE_ENDPOINT, or "
            "the profile's) is no URL: write http://host");
    leat_buf_add_text(url, endpoint);
    size = url->size;
    while (size > 0 && url->data[size - 1] == '/')
        size--;
    url->size = size;
    return 0;
}

/* What another try may change. */
static bool
is_passing(int result, const struct leat_credentials_answer *answer)
{
    return result == LEAT_E_UNAVAILABLE || result == LEAT_E_TIMEOUT ||
           (result == 0 && (answer->status == 429 || answer->status >= 500 ||
                            (answer->status == 200 && answer->body.size == 0)));
}

/* 0: an answer of any status. more than five: method, path and the one header that differ. */
static int
fetch(const struct asking *asking, const char *method, const char *path, const char *header,
      struct leat_credentials_answer *answer, struct leat_error *err)
{
    const char *headers[] = {header, "Content-Type:"};
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    struct leat_credentials_request request = {.method = method,
                                               .headers = headers,
                                               .header_count = LEAT_COUNT_OF(headers),
                                               .connect_timeout_us = CONNECT_TIMEOUT_US,
                                               .timeout_us = TIMEOUT_US,
                                               .maximum_bytes = MAXIMUM_ANSWER_BYTES,
                                               .is_direct = true};
    int result = LEAT_E_UNAVAILABLE;

    leat_buf_printf(&url, "%s%s", asking->base, path);
    request.url = leat_buf_text(&url);
    for (unsigned attempt = 0; attempt < (asking->is_brief ? 1 : ATTEMPTS); attempt++) {
        leat_credentials_answer_release(answer);
        leat_credentials_pause(asking->context, attempt);
        result = leat_credentials_fetch(asking->context, &request, answer, err);
        if (!is_passing(result, answer))
            break;
    }
    return result;
}

/* The text of an answer that is one line: a token, a role's name. */
static struct leat_slice
line_of(const struct leat_credentials_answer *answer)
{
    struct leat_slice text = leat_buf_slice(&answer->body);
    const unsigned char *end = text.size > 0 ? memchr(text.data, '\n', text.size) : NULL;

    if (end != NULL)
        text.size = (size_t)(end - text.data);
    while (text.size > 0 && text.data[text.size - 1] <= ' ')
        text.size--;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return leat_slice_make("", 0);
    }
    return text;
}

static int
refuse_token(int result, int status, struct leat_error *err)
{
    switch (result) {
    case 0:
        return leat_error_set(err,
                              status == 403 || status == 404   ? LEAT_E_NOT_FOUND
                              : status == 429 || status >= 500 ? LEAT_E_UNAVAILABLE
                                                               : LEAT_E_DENIED,
                              "the instance's metadata service gives no token: status %d%s", status,
                              status == 403 ? ": it is switched off" : "");
    case LEAT_E_TIMEOUT:
        return leat_error_set(err, LEAT_E_NOT_FOUND,
                              "the metadata service is silent: its hop limit is 1 (in a pod or a "
                              "container: set HttpPutResponseHopLimit to 2), or this is no EC2 "
                              "instance");
    case LEAT_E_UNAVAILABLE:
        return leat_error_set(err, LEAT_E_NOT_FOUND,
                              "there is no metadata service of an EC2 instance");
    default:
        return leat_error_prefix(err, "the instance's metadata service");
    }
}

static int
fetch_token(struct asking *asking, struct leat_error *err)
{
    struct leat_credentials_answer answer = {0};
    int result = fetch(asking, "PUT", TOKEN_PATH,
                       "X-aws-ec2-metadata-token-ttl-seconds: " TOKEN_SECONDS, &answer, err);

    if (result < 0 || answer.status != 200) {
        result = refuse_token(result, answer.status, err);
    } else if (line_of(&answer).size == 0) {
        result = leat_error_set(err, LEAT_E_FORMAT,
                                "the instance's metadata service gives a token that is none");
    } else {
        leat_buf_clear(&asking->token_line);
        leat_buf_add_text(&asking->token_line, "X-aws-ec2-metadata-token: ");
        leat_buf_add_slice(&asking->token_line, line_of(&answer));
    }
    leat_credentials_answer_release(&answer);
    return result;
}

/* A token that is not taken (the service may have begun anew) is replaced once. LEAT_E_NOT_FOUND: 404. */
static int
fetch_path(struct asking *asking, const char *path, struct leat_credentials_answer *answer,
           struct leat_error *err)
{
    int result = fetch(asking, "GET", path, leat_buf_text(&asking->token_line), answer, err);

    if (result == 0 && answer->status == 401 && !asking->is_renewed) {
        asking->is_renewed = true;
        result = fetch_token(asking, err);
        if (result < 0)
            return result;
        result = fetch(asking, "GET", path, leat_buf_text(&asking->token_line), answer, err);
    }
    if (result < 0)
        return leat_error_prefix(err, "the instance's metadata service");
    if (answer->status == 200)
        return 0;
    return leat_error_set(err,
                          answer->status == 404                            ? LEAT_E_NOT_FOUND
                          : answer->status == 429 || answer->status >= 500 ? LEAT_E_UNAVAILABLE
                                                                           : LEAT_E_DENIED,
                          "the instance's metadata service answers with status %d for the role",
                          answer->status);
}

/* What those who stand in for the service say of what they do not know. */
static bool
is_unknown(int status)
{
    return status >= 300 && status != 401 && status != 403;
}

/* The newer place also knows credentials that others handed to the instance; where it is not known, the older one is asked. */
static int
fetch_role(struct asking *asking, struct leat_buf *ret_path, struct leat_error *err)
{
    static const char *const places[] = {"/latest/meta-data/iam/security-credentials-extended/",
                                         "/latest/meta-data/iam/security-credentials/"};
    int result = LEAT_E_NOT_FOUND;

    for (size_t i = 0; i < LEAT_COUNT_OF(places) && result == LEAT_E_NOT_FOUND; i++) {
        struct leat_credentials_answer answer = {0};

        result = fetch_path(asking, places[i], &answer, err);
        if (result == 0 && line_of(&answer).size > 0) {
            leat_buf_add_text(ret_path, places[i]);
            leat_buf_add_slice(ret_path, line_of(&answer));
        } else if (result == 0 || (i == 0 && is_unknown(answer.status))) {
            result = LEAT_E_NOT_FOUND;
        }
        leat_credentials_answer_release(&answer);
    }
    if (result == LEAT_E_NOT_FOUND)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "the EC2 instance has no role");
    return result;
}

static int
read_credentials(struct asking *asking, const char *path, struct leat_credentials *ret_credentials,
                 struct leat_error *err)
{
    struct leat_credentials_answer answer = {0};
    int result = fetch_path(asking, path, &answer, err);

    if (result == 0) {
        result = leat_credentials_json_parse(leat_buf_slice(&answer.body),
                                             LEAT_CREDENTIALS_OF_INSTANCE, ret_credentials, err);
        if (result < 0)
            leat_error_prefix(err, "the instance's metadata service");
    }
    if (result == 0)
        ret_credentials->expires_us =
            leat_credentials_expiry_us(ret_credentials->expires_us, answer.date_us);
    leat_credentials_answer_release(&answer);
    return result;
}

static int
fetch_credentials(struct asking *asking, struct leat_credentials *ret_credentials,
                  struct leat_error *err)
{
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    int result = LEAT_E_NOT_FOUND;

    /* A role may be taken away, and another one given, while it is asked for. */
    for (unsigned round = 0; round < ROUNDS && result == LEAT_E_NOT_FOUND; round++) {
        leat_buf_clear(&path);
        result = fetch_role(asking, &path, err);
        if (result < 0)
            return result;
        /* A document that is none may be half of one, written while it was read. */
        result = LEAT_E_FORMAT;
        for (unsigned attempt = 0; attempt < ATTEMPTS && result == LEAT_E_FORMAT; attempt++) {
            leat_credentials_pause(asking->context, attempt);
            result = read_credentials(asking, leat_buf_text(&path), ret_credentials, err);
        }
    }
    if (result == 0)
        snprintf(ret_credentials->source, sizeof ret_credentials->source,
                 "instance role \"%.200s\"", strrchr(leat_buf_text(&path), '/') + 1);
    return result;
}

/* Fills the base and the token of `asking`, which the caller wipes in any case. */
static int
begin(const struct leat_credentials_context *context, struct asking *asking, struct leat_buf *base,
      struct leat_error *err)
{
    LEAT_AUTO_FREE char *disabled = leat_variable("AWS_EC2_METADATA_DISABLED");
    struct leat_setting endpoint = {0}, mode = {0};
    int result;

    if (disabled != NULL && strcasecmp(disabled, "true") == 0)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "AWS_EC2_METADATA_DISABLED is true");
    result = leat_setting_get("AWS_EC2_METADATA_SERVICE_ENDPOINT", context->profile,
                              "ec2_metadata_service_endpoint", &endpoint, err);
    if (result == 0)
        result = leat_setting_get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", context->profile,
                                  "ec2_metadata_service_endpoint_mode", &mode, err);
    if (result == 0)
        result = leat_credentials_instance_url(endpoint.text, mode.text, base, err);
    leat_setting_release(&endpoint);
    leat_setting_release(&mode);
    if (result < 0)
        return result;
    asking->context = context;
    asking->base = leat_buf_text(base);
    leat_buf_init(&asking->token_line, MAXIMUM_ANSWER_BYTES + 64);
    leat_buf_reserve(&asking->token_line, MAXIMUM_ANSWER_BYTES + 64);
    return fetch_token(asking, err);
}

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    LEAT_AUTO_BUF base = LEAT_BUF_INIT;
    struct asking asking = {0};
    int result = begin(((struct instance *)provider)->context, &asking, &base, err);

    if (result == 0)
        result = fetch_credentials(&asking, ret_credentials, err);
    leat_credentials_wipe(&asking.token_line);
    return result;
}

int
leat_credentials_instance_region(const char *profile, char ret_region[64])
{
    const struct leat_credentials_context context = {.profile = profile};
    struct leat_credentials_answer answer = {0};
    LEAT_AUTO_BUF base = LEAT_BUF_INIT;
    struct asking asking = {.is_brief = true};
    int result = begin(&context, &asking, &base, NULL);

    if (result == 0)
        result = fetch_path(&asking, "/latest/meta-data/placement/region", &answer, NULL);
    if (result == 0 && (line_of(&answer).size == 0 || line_of(&answer).size >= 64))
        result = LEAT_E_FORMAT;
    if (result == 0)
        snprintf(ret_region, 64, "%.*s", (int)line_of(&answer).size,
                 (const char *)line_of(&answer).data);
    leat_credentials_answer_release(&answer);
    leat_credentials_wipe(&asking.token_line);
    return result;
}

static void
provider_free(struct leat_credentials_provider *provider)
{
    free(provider);
}

static const struct leat_credentials_provider_ops instance_ops = {"instance", "of the instance",
                                                                  get, provider_free};

struct leat_credentials_provider *
leat_credentials_instance_new(const struct leat_credentials_context *context)
{
    struct instance *instance = LEAT_NEW(struct instance);

    instance->base.ops = &instance_ops;
    instance->context = context;
    return &instance->base;
}
