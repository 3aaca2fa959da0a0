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

/* scheme://host[:port][/path] into the endpoint's parts. */
static int
parse_url(const char *url, struct leat_endpoint *endpoint, struct leat_error *err)
{
    bool is_tls = strncasecmp(url, "https://", 8) == 0;
    const char *host = url + (is_tls ? 8 : 7);
    const char *default_port = is_tls ? ":443" : ":80";
    size_t host_size, port_size = strlen(default_port), path_size;
    const char *path;

    if (!is_tls && strncasecmp(url, "http://", 7) != 0)
        return leat_error_set(err, LEAT_E_INVALID,
                              "endpoint \"%.200s\" is no URL: write http://host:port or "
                              "https://host",
                              url);
    for (const char *c = url; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || (unsigned char)*c > '~' || strchr("@?#\\\"<>", *c) != NULL)
            return leat_error_set(err, LEAT_E_INVALID,
                                  "endpoint has a user, a query, a fragment or a character that "
                                  "does not belong: write http://host:port or https://host");
    }
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
                                      inputs->environment_all};
    struct leat_endpoint endpoint = {0};
    const char *chosen = NULL;
    char standard[256];
    int result;

    if (inputs->region == NULL || !is_region(inputs->region))
        return leat_error_set(err, LEAT_E_INVALID, "region \"%.64s\" is no region's name",
                              inputs->region != NULL ? inputs->region : "");
    for (size_t i = 0; i < LEAT_COUNT_OF(candidates) && chosen == NULL; i++) {
        if (candidates[i] != NULL && candidates[i][0] != '\0')
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
leat_region_resolve(const char *configured, bool is_custom, char ret_region[64],
                    struct leat_error *err)
{
    const char *const candidates[] = {configured, getenv("AWS_REGION"),
                                      getenv("AWS_DEFAULT_REGION")};
    LEAT_AUTO_FREE char *of_profile = NULL;
    const char *chosen = NULL;
    int result;

    for (size_t i = 0; i < LEAT_COUNT_OF(candidates) && chosen == NULL; i++) {
        if (candidates[i] != NULL && candidates[i][0] != '\0')
            chosen = candidates[i];
    }
    if (chosen == NULL) {
        result = leat_profile_get(NULL, "region", &of_profile, err);
        if (result < 0 && result != LEAT_E_NOT_FOUND)
            return result;
        chosen = result == 0 ? of_profile : is_custom ? "us-east-1" : NULL;
    }
    if (chosen == NULL)
        return leat_error_set(err, LEAT_E_INVALID,
                              "no AWS region: set aws.region, AWS_REGION or the profile's region");
    if (!is_region(chosen))
        return leat_error_set(err, LEAT_E_INVALID, "region \"%.64s\" is no region's name", chosen);
    leat_error_clear(err);
    snprintf(ret_region, 64, "%s", chosen);
    return 0;
}

int
leat_endpoint_resolve(enum leat_service service, const char *region, const char *configured,
                      struct leat_endpoint *ret_endpoint, struct leat_error *err)
{
    char resolved[64];
    struct leat_endpoint_inputs inputs = {
        .region = resolved,
        .configured = configured,
        .environment_service =
            getenv(service == LEAT_SERVICE_S3 ? "AWS_ENDPOINT_URL_S3" : "AWS_ENDPOINT_URL_KINESIS"),
        .environment_all = getenv("AWS_ENDPOINT_URL"),
    };
    bool is_custom =
        (configured != NULL && configured[0] != '\0') ||
        (inputs.environment_service != NULL && inputs.environment_service[0] != '\0') ||
        (inputs.environment_all != NULL && inputs.environment_all[0] != '\0');
    int result = leat_region_resolve(region, is_custom, resolved, err);

    if (result < 0)
        return result;
    return leat_endpoint_make(service, &inputs, ret_endpoint, err);
}
