/* Endpoints and regions. The pure part takes the environment's values as arguments. */
#include "aws/endpoint.h"

#include <stdlib.h>
#include <strings.h>

#include "aws/profile.h"
#include "base/memory.h"

const char *
leat_service_name(enum leat_service service)
{
    return service == LEAT_SERVICE_S3 ? "s3" : "kinesis";
}

static bool
is_region(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
    size_t size = strlen(text);

    return size > 0 && size < 64 && strspn(text, allowed) == size && strncmp(text, "-", 1) != 0 &&
           strcmp(text + size - 1, "-") != 0;
}

/* What cannot be shown is not: a line end in it would be a line of the log. */
static int
refuse_region(const char *region, struct leat_error *err)
{
    for (const char *c = region; c != NULL && *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            return leat_error_set(err, LEAT_E_INVALID,
                                  "the AWS region has a line end or another character that does "
                                  "not belong: write it like eu-west-1");
    }
    return leat_error_set(err, LEAT_E_INVALID, "region \"%.64s\" is no region's name",
                          region != NULL ? region : "");
}

/* What is blank is not set. */
static bool
is_set(const char *text)
{
    return text != NULL && text[strspn(text, " \t")] != '\0';
}

/* scheme://host[:port][/path] into the endpoint's parts. */
static int
parse_url(const char *url, struct leat_endpoint *endpoint, struct leat_error *err)
{
    bool is_tls = strncasecmp(url, "https://", 8) == 0;
    const char *host = url + (is_tls ? 8 : 7);
    const char *default_port = is_tls ? ":443" : ":80";
    size_t host_size, port_size = strlen(default_port), path_size;
    const char *path;

    for (const char *c = url; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || (unsigned char)*c > '~' || strchr("@?#\\\"<>", *c) != NULL)
            return leat_error_set(err, LEAT_E_INVALID,
                                  "endpoint has a user, a query, a fragment or a character that "
                                  "does not belong: write http://host:port or https://host");
    }
    if (!is_tls && strncasecmp(url, "http://", 7) != 0)
        return leat_error_set(err, LEAT_E_INVALID,
                              "endpoint \"%.200s\" is no URL: write http://host:port or "
                              "https://host",
                              url);
    host_size = strcspn(host, "/");
    path = host + host_size;
    path_size = strlen(path);
    while (path_size > 0 && path[path_size - 1] == '/')
        path_size--;
    if (host_size == 0 || host[0] == ':')
        return leat_error_set(err, LEAT_E_INVALID, "endpoint \"%.200s\" has no host", url);
    if (host_size >= sizeof endpoint->host - 1 || path_size >= sizeof endpoint->path)
        return leat_error_set(err, LEAT_E_INVALID, "endpoint \"%.200s\" is too long", url);
    snprintf(endpoint->url, sizeof endpoint->url, "%.*s%.*s", (int)(host - url + (long)host_size),
             url, (int)path_size, path);
    snprintf(endpoint->path, sizeof endpoint->path, "%.*s", (int)path_size, path);
    if (host_size > port_size && memcmp(host + host_size - port_size, default_port, port_size) == 0)
        host_size -= port_size;
    snprintf(endpoint->host, sizeof endpoint->host, "%.*s", (int)host_size, host);
    return 0;
}

static bool
is_of_aws(const char *host)
{
    static const char *const suffixes[] = {".amazonaws.com", ".amazonaws.com.cn"};
    size_t size = strlen(host);

    for (size_t i = 0; i < LEAT_COUNT_OF(suffixes); i++) {
        size_t suffix_size = strlen(suffixes[i]);

        if (size > suffix_size && strcasecmp(host + size - suffix_size, suffixes[i]) == 0)
            return true;
    }
    return false;
}

int
leat_endpoint_make(enum leat_service service, const struct leat_endpoint_inputs *inputs,
                   struct leat_endpoint *ret_endpoint, struct leat_error *err)
{
    const char *const candidates[] = {inputs->configured, inputs->environment_service,
                                      inputs->environment_all, inputs->profile_service,
                                      inputs->profile_all};
    struct leat_endpoint endpoint = {0};
    const char *chosen = NULL;
    char standard[256];
    int result;

    if (inputs->region == NULL || !is_region(inputs->region))
        return refuse_region(inputs->region, err);
    for (size_t i = 0; i < LEAT_COUNT_OF(candidates) && chosen == NULL; i++) {
        if (is_set(candidates[i]))
            chosen = candidates[i];
    }
    if (chosen == NULL) {
        snprintf(standard, sizeof standard, "https://%s.%s.amazonaws.com%s",
                 leat_service_name(service), inputs->region,
                 strncmp(inputs->region, "cn-", 3) == 0 ? ".cn" : "");
        chosen = standard;
    }
    result = parse_url(chosen, &endpoint, err);
    if (result < 0)
        return result;
    endpoint.is_custom = !is_of_aws(endpoint.host);
    snprintf(endpoint.region, sizeof endpoint.region, "%s", inputs->region);
    *ret_endpoint = endpoint;
    return 0;
}

int
leat_region_resolve(const char *configured, const char *profile, bool is_custom,
                    char ret_region[64], struct leat_error *err)
{
    const char *const candidates[] = {configured, getenv("AWS_REGION"),
                                      getenv("AWS_DEFAULT_REGION")};
    LEAT_AUTO_FREE char *of_profile = NULL;
    const char *chosen = NULL;
    int result;

    for (size_t i = 0; i < LEAT_COUNT_OF(candidates) && chosen == NULL; i++) {
        if (is_set(candidates[i]))
            chosen = candidates[i];
    }
    if (chosen == NULL) {
        result = leat_profile_get(profile, "region", &of_profile, err);
        if (result < 0 && result != LEAT_E_NOT_FOUND)
            return result;
        chosen = result == 0 ? of_profile : is_custom ? "us-east-1" : NULL;
    }
    if (chosen == NULL)
        return leat_error_set(err, LEAT_E_INVALID,
                              "no AWS region: set aws.region, AWS_REGION or the profile's region");
    if (!is_region(chosen))
        return refuse_region(chosen, err);
    leat_error_clear(err);
    snprintf(ret_region, 64, "%s", chosen);
    return 0;
}

/* ---- what is configured outside ------------------------------------------------------------ */

/* A home that may not be read says nothing. */
static bool
says_nothing(int result)
{
    return result == LEAT_E_NOT_FOUND || result == LEAT_E_SYSTEM;
}

/* AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, else the profile's. */
static int
is_ignoring(const char *profile, bool *ret_ignoring, struct leat_error *err)
{
    static const char variable[] = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
    static const char setting[] = "ignore_configured_endpoint_urls";
    LEAT_AUTO_FREE char *of_profile = NULL;
    const char *text = getenv(variable), *what = variable;

    *ret_ignoring = false;
    if (!is_set(text)) {
        int result = leat_profile_get(profile, setting, &of_profile, err);

        if (result < 0)
            return says_nothing(result) ? 0 : result;
        text = of_profile;
        what = setting;
    }
    *ret_ignoring = strcasecmp(text, "true") == 0;
    if (!*ret_ignoring && strcasecmp(text, "false") != 0)
        return leat_error_set(err, LEAT_E_INVALID, "%s is neither true nor false", what);
    return 0;
}

struct outside {
    char *service, *all; /* of the profile */
    const char *environment_service, *environment_all;
};

/* The profile files are read only where the environment does not say it all. */
static int
look_outside(enum leat_service service, const char *profile, struct outside *outside,
             struct leat_error *err)
{
    bool is_ignored;
    int result = is_ignoring(profile, &is_ignored, err);

    if (result < 0 || is_ignored)
        return result;
    outside->environment_service =
        getenv(service == LEAT_SERVICE_S3 ? "AWS_ENDPOINT_URL_S3" : "AWS_ENDPOINT_URL_KINESIS");
    outside->environment_all = getenv("AWS_ENDPOINT_URL");
    if (is_set(outside->environment_service) || is_set(outside->environment_all))
        return 0;
    result = leat_profile_check(profile, err);
    if (result < 0)
        return says_nothing(result) ? 0 : result;
    result = leat_profile_get_service(profile, leat_service_name(service), "endpoint_url",
                                      &outside->service, err);
    if (result == LEAT_E_NOT_FOUND)
        result = leat_profile_get(profile, "endpoint_url", &outside->all, err);
    return says_nothing(result) ? 0 : result;
}

/* more than five: what the configuration says of the three. */
int
leat_endpoint_resolve(enum leat_service service, const char *region, const char *configured,
                      const char *profile, struct leat_endpoint *ret_endpoint,
                      struct leat_error *err)
{
    struct outside outside = {0};
    struct leat_endpoint_inputs inputs = {.configured = configured};
    char resolved[64] = "";
    int result = is_set(configured) ? 0 : look_outside(service, profile, &outside, err);

    if (result == 0)
        result = leat_region_resolve(region, profile,
                                     is_set(configured) || is_set(outside.environment_service) ||
                                         is_set(outside.environment_all) ||
                                         is_set(outside.service) || is_set(outside.all),
                                     resolved, err);
    if (result == 0) {
        inputs.region = resolved;
        inputs.environment_service = outside.environment_service;
        inputs.environment_all = outside.environment_all;
        inputs.profile_service = outside.service;
        inputs.profile_all = outside.all;
        result = leat_endpoint_make(service, &inputs, ret_endpoint, err);
    }
    free(outside.service);
    free(outside.all);
    return result;
}
