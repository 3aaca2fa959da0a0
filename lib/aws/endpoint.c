/* Endpoints and regions. The pure part takes the environment's values as arguments. */
#include "aws/endpoint.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>

#include "aws/credentials_inside.h"
#include "aws/partition.h"
#include "aws/profile.h"
#include "aws/setting.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

#define ASK_INSTANCE_US (60 * LEAT_SECOND_US)

static const struct {
    const char *name, *variable, *property;
} services[LEAT_SERVICES] = {
    [LEAT_SERVICE_KINESIS] = {"kinesis", "AWS_ENDPOINT_URL_KINESIS",
                              "aws.endpoints.kinesis or --endpoint"},
    [LEAT_SERVICE_S3] = {"s3", "AWS_ENDPOINT_URL_S3", "aws.endpoints.s3"},
    [LEAT_SERVICE_STS] = {"sts", "AWS_ENDPOINT_URL_STS", "aws.endpoints.sts"},
};

const char *
leat_service_name(enum leat_service service)
{
    return services[service].name;
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

/* ---- AWS's own ----------------------------------------------------------------------------- */

/*
 * As AWS's rules have it. S3 keeps the partition's suffix for dual stack and says it in the host's name, and China has no FIPS of
 * it; GovCloud's plain endpoints of the others are FIPS ones.
 */
static int
standard_url(enum leat_service service, const struct leat_endpoint_inputs *inputs,
             char ret_url[256], struct leat_error *err)
{
    const char *name = services[service].name, *region = inputs->region;
    const struct leat_partition *partition = leat_partition_of(region);
    bool is_fips = inputs->is_fips, is_s3 = service == LEAT_SERVICE_S3;
    const char *suffix = inputs->is_dual_stack && !is_s3 ? partition->dual_stack_suffix
                                                         : partition->suffix;

    if (is_s3 && is_fips && strcmp(partition->name, "aws-cn") == 0)
        return leat_error_set(
            err, LEAT_E_INVALID,
            "there is no FIPS endpoint of S3 in region \"%.64s\": "
            "AWS_USE_FIPS_ENDPOINT or the profile's use_fips_endpoint asks for one",
            region);
    if (!is_s3 && !inputs->is_dual_stack && strcmp(partition->name, "aws-us-gov") == 0)
        is_fips = false;
    snprintf(ret_url, 256, "https://%s%s%s.%s.%s", name, is_fips ? "-fips" : "",
             is_s3 && inputs->is_dual_stack ? ".dualstack" : "", region, suffix);
    return 0;
}

/* What is nowhere in particular is served and signed for in us-east-1. */
static bool
is_global(enum leat_service service, const struct leat_endpoint_inputs *inputs)
{
    return service != LEAT_SERVICE_KINESIS && strcmp(inputs->region, "aws-global") == 0;
}

static int
own_url(enum leat_service service, const struct leat_endpoint_inputs *inputs, char ret_url[256],
        struct leat_error *err)
{
    struct leat_endpoint_inputs regional = *inputs;

    if (!is_global(service, inputs))
        return standard_url(service, inputs, ret_url, err);
    if (inputs->is_fips || inputs->is_dual_stack) {
        regional.region = "us-east-1";
        return standard_url(service, &regional, ret_url, err);
    }
    snprintf(ret_url, 256, "https://%s.amazonaws.com", services[service].name);
    return 0;
}

/* ---- which one ----------------------------------------------------------------------------- */

struct candidate {
    const char *url, *origin;
};

/* NULL url: AWS's own. */
static struct candidate
choose(enum leat_service service, const struct leat_endpoint_inputs *inputs)
{
    const struct candidate candidates[] = {
        {inputs->configured, services[service].property},
        {inputs->environment_service, services[service].variable},
        {inputs->environment_all, "AWS_ENDPOINT_URL"},
        {inputs->profile_service, "endpoint_url of the profile's services"},
        {inputs->profile_all, "endpoint_url of the profile"},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(candidates); i++) {
        if (leat_setting_is_set(candidates[i].url))
            return candidates[i];
    }
    return (struct candidate){NULL, ""};
}

static int
refuse_flags(const struct leat_endpoint_inputs *inputs, const char *origin, struct leat_error *err)
{
    return leat_error_set(
        err, LEAT_E_INVALID,
        "%s gives an endpoint, and %s asks for another of AWS's own: %s and a custom endpoint are "
        "not supported together: take one of them back",
        origin,
        inputs->is_fips ? "AWS_USE_FIPS_ENDPOINT (or the profile's use_fips_endpoint)"
                        : "AWS_USE_DUALSTACK_ENDPOINT (or the profile's use_dualstack_endpoint)",
        inputs->is_fips ? "FIPS" : "dual stack");
}

static int
choose_addressing(const struct leat_endpoint_inputs *inputs, struct leat_endpoint *endpoint,
                  struct leat_error *err)
{
    const char *style = leat_setting_is_set(inputs->addressing) ? inputs->addressing : "auto";
    bool is_auto = strcasecmp(style, "auto") == 0;

    endpoint->is_by_path = is_auto ? endpoint->is_custom : strcasecmp(style, "path") == 0;
    if (!is_auto && !endpoint->is_by_path && strcasecmp(style, "virtual") != 0)
        return leat_error_set(
            err, LEAT_E_INVALID,
            "addressing_style of the profile's s3 is none of auto, path, virtual");
    return 0;
}

int
leat_endpoint_make(enum leat_service service, const struct leat_endpoint_inputs *inputs,
                   struct leat_endpoint *ret_endpoint, struct leat_error *err)
{
    struct candidate chosen = choose(service, inputs);
    struct leat_endpoint endpoint = {.origin = chosen.origin};
    char own[256];
    int result;

    if (inputs->region == NULL || !is_region(inputs->region))
        return refuse_region(inputs->region, err);
    if (chosen.url != NULL && (inputs->is_fips || inputs->is_dual_stack))
        return refuse_flags(inputs, chosen.origin, err);
    if (chosen.url == NULL) {
        result = own_url(service, inputs, own, err);
        if (result < 0)
            return result;
        chosen.url = own;
    }
    result = parse_url(chosen.url, &endpoint, err);
    if (result < 0)
        return chosen.url == own ? result : leat_error_prefix(err, "%s", chosen.origin);
    endpoint.is_custom = chosen.url != own && !leat_partition_has_host(endpoint.host);
    result = choose_addressing(inputs, &endpoint, err);
    if (result < 0)
        return result;
    snprintf(endpoint.region, sizeof endpoint.region, "%s",
             is_global(service, inputs) ? "us-east-1" : inputs->region);
    *ret_endpoint = endpoint;
    return 0;
}

/* ---- buckets ------------------------------------------------------------------------------- */

static bool
is_address(const char *text)
{
    char host[300];
    unsigned char address[16];
    size_t size = strcspn(text, ":");

    snprintf(host, sizeof host, "%.*s", (int)size, text);
    return text[0] == '[' || inet_pton(AF_INET, host, address) == 1;
}

void
leat_endpoint_address(struct leat_endpoint *endpoint, const char *addressing)
{
    if (addressing != NULL && strcmp(addressing, "path") == 0)
        endpoint->is_by_path = true;
    else if (addressing != NULL && strcmp(addressing, "virtual") == 0)
        endpoint->is_by_path = false;
}

bool
leat_endpoint_takes_bucket(const struct leat_endpoint *endpoint, const char *bucket)
{
    bool takes_dots = strncasecmp(endpoint->url, "http://", 7) == 0; /* no certificate has them */
    size_t size = strlen(bucket), label = 0;

    if (endpoint->is_by_path || size < 3 || is_address(endpoint->host) || is_address(bucket))
        return false;
    for (const char *c = bucket; *c != '\0'; c++) {
        bool is_letter = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9');

        if (*c == '.' && (!takes_dots || label == 0 || c[-1] == '-'))
            return false;
        if (!is_letter && *c != '.' && (*c != '-' || label == 0))
            return false;
        label = *c == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
    }
    return label > 0 && bucket[size - 1] != '-';
}

/* ---- regions ------------------------------------------------------------------------------- */

static struct leat_mutex lock = {PTHREAD_MUTEX_INITIALIZER};
static char known[64] LEAT_GUARDED_BY(lock); /* the instance's region; "": not known */
static int64_t asked_at_us LEAT_GUARDED_BY(lock);

/* Nobody on this machine says a region: the instance may, when it is one. Asked once a minute at most, since it may be long in saying
   nothing. */
static bool
ask_instance(const char *profile, char ret_region[64])
{
    int64_t now_us = leat_clock_monotonic_us();
    bool is_due;

    leat_mutex_lock(&lock);
    is_due = known[0] == '\0' && (asked_at_us == 0 || now_us - asked_at_us > ASK_INSTANCE_US);
    if (is_due)
        asked_at_us = now_us;
    memcpy(ret_region, known, sizeof known);
    leat_mutex_unlock(&lock);
    if (!is_due)
        return ret_region[0] != '\0';
    if (leat_credentials_instance_region(profile, ret_region) < 0)
        return false;
    leat_mutex_lock(&lock);
    memcpy(known, ret_region, sizeof known);
    leat_mutex_unlock(&lock);
    return true;
}

int
leat_region_resolve(const char *configured, const char *profile, bool is_custom,
                    char ret_region[64], struct leat_error *err)
{
    const char *const candidates[] = {configured, getenv("AWS_REGION"),
                                      getenv("AWS_DEFAULT_REGION")};
    LEAT_AUTO_FREE char *of_profile = NULL;
    const char *chosen = NULL;
    char of_instance[64];
    int result;

    for (size_t i = 0; i < LEAT_COUNT_OF(candidates) && chosen == NULL; i++) {
        if (leat_setting_is_set(candidates[i]))
            chosen = candidates[i];
    }
    if (chosen == NULL) {
        result = leat_profile_get(profile, "region", &of_profile, err);
        if (result < 0 && result != LEAT_E_NOT_FOUND)
            return result;
        chosen = result == 0 ? of_profile : is_custom ? "us-east-1" : NULL;
    }
    if (chosen == NULL && ask_instance(profile, of_instance))
        chosen = of_instance;
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

static int
get_bool(const char *variable, const char *profile, const char *key, bool *value,
         struct leat_error *err)
{
    struct leat_setting setting;
    int result = leat_setting_get(variable, profile, key, &setting, err);

    if (result < 0)
        return result;
    result = leat_setting_bool(&setting, value, err);
    leat_setting_release(&setting);
    return result;
}

struct outside {
    char *service, *all; /* of the profile; owned */
    struct leat_setting addressing;
};

/* The profile files are searched for endpoints only where the environment has none. */
static int
look_outside(enum leat_service service, const char *profile, struct outside *outside,
             struct leat_endpoint_inputs *inputs, struct leat_error *err)
{
    bool is_ignored = false;
    int result = get_bool("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", profile,
                          "ignore_configured_endpoint_urls", &is_ignored, err);

    if (result < 0 || is_ignored)
        return result;
    inputs->environment_service = getenv(services[service].variable);
    inputs->environment_all = getenv("AWS_ENDPOINT_URL");
    if (choose(service, inputs).url != NULL)
        return 0;
    result = leat_profile_check(profile, err);
    if (result < 0)
        return says_nothing(result) ? 0 : result;
    result = leat_profile_get_service(profile, leat_service_name(service), "endpoint_url",
                                      &outside->service, err);
    if (result == LEAT_E_NOT_FOUND)
        result = leat_profile_get(profile, "endpoint_url", &outside->all, err);
    inputs->profile_service = outside->service;
    inputs->profile_all = outside->all;
    return says_nothing(result) ? 0 : result;
}

static int
look_up_inputs(enum leat_service service, const char *profile, struct outside *outside,
               struct leat_endpoint_inputs *inputs, struct leat_error *err)
{
    int result = 0;

    if (!leat_setting_is_set(inputs->configured))
        result = look_outside(service, profile, outside, inputs, err);
    if (result == 0)
        result =
            get_bool("AWS_USE_FIPS_ENDPOINT", profile, "use_fips_endpoint", &inputs->is_fips, err);
    if (result == 0)
        result = get_bool("AWS_USE_DUALSTACK_ENDPOINT", profile, "use_dualstack_endpoint",
                          &inputs->is_dual_stack, err);
    if (result == 0 && service == LEAT_SERVICE_S3)
        result = leat_setting_get(NULL, profile, "s3.addressing_style", &outside->addressing, err);
    inputs->addressing = outside->addressing.text;
    return result;
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
    int result = look_up_inputs(service, profile, &outside, &inputs, err);

    if (result == 0)
        result = leat_region_resolve(region, profile, choose(service, &inputs).url != NULL,
                                     resolved, err);
    if (result == 0) {
        inputs.region = resolved;
        result = leat_endpoint_make(service, &inputs, ret_endpoint, err);
    }
    free(outside.service);
    free(outside.all);
    leat_setting_release(&outside.addressing);
    return result;
}
