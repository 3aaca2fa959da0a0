/*
 * Credentials of a container: ECS tells a path on its own host, Pod Identity of EKS a whole URL. A token for it comes in a variable, or
 * in a file that is read at each call. By http only hosts may be asked that cannot be far: everybody between could read the answer.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>

#include "aws/credentials_fetch.h"
#include "aws/credentials_file.h"
#include "aws/credentials_json.h"
#include "aws/credentials_inside.h"
#include "base/clock.h"
#include "base/memory.h"

#define RELATIVE_HOST "http://169.254.170.2"
#define MAXIMUM_TOKEN_BYTES ((size_t)16 << 10)
#define MAXIMUM_ANSWER_BYTES ((size_t)10 << 10)
#define CONNECT_TIMEOUT_US (2 * LEAT_SECOND_US)
#define TIMEOUT_US (5 * LEAT_SECOND_US)
#define ATTEMPTS 3

struct container {
    struct leat_credentials_provider base;
    const struct leat_credentials_context *context;
};

static bool
is_near(const struct sockaddr *address)
{
    static const char *const v4[] = {"169.254.170.2", "169.254.170.23"};
    char text[INET6_ADDRSTRLEN];
    struct in6_addr pod_identity, v6;

    if (address->sa_family == AF_INET) {
        struct in_addr in = ((const struct sockaddr_in *)(const void *)address)->sin_addr;

        inet_ntop(AF_INET, &in, text, sizeof text);
        return (ntohl(in.s_addr) >> 24) == 127 || strcmp(text, v4[0]) == 0 ||
               strcmp(text, v4[1]) == 0;
    }
    if (address->sa_family != AF_INET6)
        return false;
    v6 = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    inet_pton(AF_INET6, "fd00:ec2::23", &pod_identity);
    return IN6_IS_ADDR_LOOPBACK(&v6) || memcmp(&v6, &pod_identity, sizeof v6) == 0;
}

/* Printable, without blanks, without a name and a password before the host. */
static bool
is_url(const char *text, const char *scheme)
{
    size_t size = strlen(scheme), host_size;

    if (strncasecmp(text, scheme, size) != 0)
        return false;
    host_size = strcspn(text + size, "/?#");
    return host_size > 0 && text[size] != ':' && memchr(text + size, '@', host_size) == NULL;
}

static bool
is_clean(const char *text)
{
    return leat_credentials_is_clean(leat_slice_from(text));
}

int
leat_credentials_container_url(const char *relative, const char *full, struct leat_buf *url,
                               bool *ret_is_near, struct leat_error *err)
{
    *ret_is_near = true;
    if (relative != NULL) {
        if (relative[0] != '/' || !is_clean(relative))
            return leat_error_set(err, LEAT_E_INVALID,
                                  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path");
        leat_buf_printf(url, "%s%s", RELATIVE_HOST, relative);
        return 0;
    }
    *ret_is_near = !is_url(full, "https://");
    if (!is_clean(full) || (*ret_is_near && !is_url(full, "http://")))
        return leat_error_set(err, LEAT_E_INVALID,
                              "AWS_CONTAINER_CREDENTIALS_FULL_URI names no host: write "
                              "http://host/path or https://host/path");
    leat_buf_add_text(url, full);
    return 0;
}

/* A token may be two words ("Basic …"); a line end would be another header. */
static bool
is_one_line(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text > '~')
            return false;
    }
    return true;
}

/* "Authorization: …" with the token as it is; nothing when there is none. */
static int
add_authorization(struct leat_buf *line, struct leat_error *err)
{
    LEAT_AUTO_FREE char *file = leat_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    LEAT_AUTO_FREE char *token = leat_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    struct leat_buf text = LEAT_BUF_INIT;
    int result = 0;

    if (file != NULL)
        result = leat_credentials_file_read(file, "container authorization token",
                                            MAXIMUM_TOKEN_BYTES, false, &text, err);
    else if (token != NULL && is_one_line(token))
        leat_buf_add_text(&text, token);
    else if (token != NULL)
        result = leat_error_set(err, LEAT_E_INVALID,
                                "AWS_CONTAINER_AUTHORIZATION_TOKEN has a line end or another "
                                "character that does not belong");
    if (result == 0 && text.size > 0) {
        leat_buf_add_text(line, "Authorization: ");
        leat_buf_add_slice(line, leat_buf_slice(&text));
    }
    leat_credentials_wipe(&text);
    return result;
}

static int
read_answer(const struct leat_credentials_answer *answer, struct leat_credentials *ret_credentials,
            struct leat_error *err)
{
    int result;

    if (answer->status != 200)
        return leat_error_set(err,
                              answer->status == 429 || answer->status >= 500 ? LEAT_E_UNAVAILABLE
                                                                             : LEAT_E_DENIED,
                              "it answers with status %d", answer->status);
    result = leat_credentials_json_parse(leat_buf_slice(&answer->body),
                                         LEAT_CREDENTIALS_OF_CONTAINER, ret_credentials, err);
    if (result == 0)
        ret_credentials->expires_us =
            leat_credentials_expiry_us(ret_credentials->expires_us, answer->date_us);
    return result;
}

/* A document that is none may be half of one, written while it was read. */
static bool
may_pass(int result)
{
    return result == LEAT_E_UNAVAILABLE || result == LEAT_E_FORMAT;
}

static int
ask(const struct leat_credentials_context *context, const struct leat_credentials_request *request,
    struct leat_credentials *ret_credentials, struct leat_error *err)
{
    int result = LEAT_E_UNAVAILABLE;

    for (unsigned attempt = 0; attempt < ATTEMPTS && may_pass(result); attempt++) {
        struct leat_credentials_answer answer = {0};

        leat_credentials_pause(context, attempt);
        result = leat_credentials_fetch(context, request, &answer, err);
        if (result == 0)
            result = read_answer(&answer, ret_credentials, err);
        leat_credentials_answer_release(&answer);
    }
    return result < 0 ? leat_error_prefix(err, "the container's endpoint for credentials") : 0;
}

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    const struct leat_credentials_context *context = ((struct container *)provider)->context;
    LEAT_AUTO_FREE char *relative = leat_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    LEAT_AUTO_FREE char *full = leat_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    struct leat_buf authorization = LEAT_BUF_INIT;
    struct leat_credentials_request request = {.method = "GET",
                                               .connect_timeout_us = CONNECT_TIMEOUT_US,
                                               .timeout_us = TIMEOUT_US,
                                               .maximum_bytes = MAXIMUM_ANSWER_BYTES};
    const char *headers[2] = {"Accept: application/json"};
    int result;

    if (relative == NULL && full == NULL)
        return leat_error_set(err, LEAT_E_NOT_FOUND,
                              "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor "
                              "AWS_CONTAINER_CREDENTIALS_FULL_URI is set");
    leat_buf_reserve(&authorization, MAXIMUM_TOKEN_BYTES + 64);
    result = leat_credentials_container_url(relative, full, &url, &request.is_direct, err);
    if (result == 0)
        result = add_authorization(&authorization, err);
    if (result == 0) {
        request.url = leat_buf_text(&url);
        request.may_connect = request.is_direct ? is_near : NULL;
        request.headers = headers;
        request.header_count = 1;
        if (authorization.size > 0)
            headers[request.header_count++] = leat_buf_text(&authorization);
        result = ask(context, &request, ret_credentials, err);
    }
    leat_credentials_wipe(&authorization);
    return result;
}

static void
provider_free(struct leat_credentials_provider *provider)
{
    free(provider);
}

static const struct leat_credentials_provider_ops container_ops = {"container", "of the container",
                                                                   get, provider_free};

struct leat_credentials_provider *
leat_credentials_container_new(const struct leat_credentials_context *context)
{
    struct container *container = LEAT_NEW(struct container);

    container->base.ops = &container_ops;
    container->context = context;
    return &container->base;
}
