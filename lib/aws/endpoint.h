/*
 * Where a service is and which region is signed for. Pure but for the environment and the profile files that
 * leat_region_resolve and leat_endpoint_resolve read.
 * Endpoint: configuration > AWS_ENDPOINT_URL_KINESIS / _S3 > AWS_ENDPOINT_URL > the [services] section that the profile names >
 * the profile's `endpoint_url` > https://kinesis.REGION.amazonaws.com. AWS_IGNORE_CONFIGURED_ENDPOINT_URLS (or the profile's
 * `ignore_configured_endpoint_urls`) leaves the first and the last.
 * Region: configuration > AWS_REGION > AWS_DEFAULT_REGION > the profile's `region`.
 */
#ifndef LEAT_AWS_ENDPOINT_H
#define LEAT_AWS_ENDPOINT_H

#include <leat/error.h>
#include <leat/slice.h>

enum leat_service { LEAT_SERVICE_KINESIS = 0, LEAT_SERVICE_S3 = 1, LEAT_SERVICES = 2 };
const char *leat_service_name(enum leat_service service); /* "kinesis", "s3": also what is signed */

struct leat_endpoint {
    char url[512];  /* scheme://host[:port][/path], no slash at the end */
    char host[300]; /* the Host header: host[:port] unless the port is the scheme's */
    char path[200]; /* of the url; "" or "/x": put before every path */
    char region[64];
    bool is_custom; /* not AWS's own: S3 by path, CBOR not taken for granted */
};

struct leat_endpoint_inputs {
    const char *region;                                /* resolved */
    const char *configured;                            /* NULL or "": none */
    const char *environment_service, *environment_all; /* the two variables' values; NULL: none */
    const char *profile_service, *profile_all;         /* of the profile files; NULL: none */
};
/* Pure. Refuses what is no http(s) URL, one with a user, query or fragment. */
int leat_endpoint_make(enum leat_service service, const struct leat_endpoint_inputs *inputs,
                       struct leat_endpoint *ret_endpoint, struct leat_error *err);
/* With the environment and the profile files. region, configured, profile: NULL or "": not configured. */
int leat_endpoint_resolve(enum leat_service service, const char *region, const char *configured,
                          const char *profile, struct leat_endpoint *ret_endpoint,
                          struct leat_error *err);
/* ret_region: at least 64 bytes. No region anywhere is an error, but with a custom endpoint it is "us-east-1". */
int leat_region_resolve(const char *configured, const char *profile, bool is_custom,
                        char ret_region[64], struct leat_error *err);

#endif
