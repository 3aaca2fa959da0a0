/*
 * Where a service is and which region is signed for. Pure but for the environment and the profile files that
 * leat_region_resolve and leat_endpoint_resolve read.
 * Endpoint: configuration > AWS_ENDPOINT_URL_KINESIS / _S3 / _STS > AWS_ENDPOINT_URL > the [services] section that the profile
 * names > the profile's `endpoint_url` > https://SERVICE.REGION.SUFFIX, where the suffix is that of the region's partition; STS
 * has no global one here, unless the region is aws-global: AWS_STS_REGIONAL_ENDPOINTS says nothing.
 * AWS_IGNORE_CONFIGURED_ENDPOINT_URLS (or the profile's `ignore_configured_endpoint_urls`) leaves the first and the last.
 * AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT (or the profile's `use_fips_endpoint`, `use_dualstack_endpoint`) choose
 * among AWS's own endpoints; with one that is given they contradict it: an error, as in AWS's own rules.
 * Region: configuration > AWS_REGION > AWS_DEFAULT_REGION > the profile's `region`.
 */
#ifndef LEAT_AWS_ENDPOINT_H
#define LEAT_AWS_ENDPOINT_H

#include <leat/error.h>
#include <leat/slice.h>

enum leat_service {
    LEAT_SERVICE_KINESIS = 0,
    LEAT_SERVICE_S3 = 1,
    LEAT_SERVICE_STS = 2,
    LEAT_SERVICES = 3
};
/* "kinesis", "s3", "sts": also what is signed, and the section's name in the profile's services */
const char *leat_service_name(enum leat_service service);

struct leat_endpoint {
    char url[512];  /* scheme://host[:port][/path], no slash at the end */
    char host[300]; /* the Host header: host[:port] unless the port is the scheme's */
    char path[200]; /* of the url; "" or "/x": put before every path */
    char region[64];
    bool is_custom;     /* not AWS's own: CBOR not taken for granted */
    bool is_by_path;    /* S3: buckets are in the path, never in the host */
    const char *origin; /* static: the setting that said so, "" when it is AWS's own by region */
};

struct leat_endpoint_inputs {
    const char *region;                                /* resolved */
    const char *configured;                            /* NULL or "": none */
    const char *environment_service, *environment_all; /* the two variables' values; NULL: none */
    const char *profile_service, *profile_all;         /* of the profile files; NULL: none */
    const char
        *addressing; /* S3: "path", "virtual", "auto"; NULL: auto, by path where it is custom */
    bool is_fips, is_dual_stack;
};
/* Pure. Refuses what is no http(s) URL, one with a user, query or fragment; an error names the setting. */
int leat_endpoint_make(enum leat_service service, const struct leat_endpoint_inputs *inputs,
                       struct leat_endpoint *ret_endpoint, struct leat_error *err);
/* With the environment and the profile files. region, configured, profile: NULL or "": not configured. */
int leat_endpoint_resolve(enum leat_service service, const char *region, const char *configured,
                          const char *profile, struct leat_endpoint *ret_endpoint,
                          struct leat_error *err);
/* ret_region: at least 64 bytes. No region anywhere is an error, but with a custom endpoint it is "us-east-1". */
int leat_region_resolve(const char *configured, const char *profile, bool is_custom,
                        char ret_region[64], struct leat_error *err);

/* Pure. "path" or "virtual" in place of what was made; NULL, "" and "auto" leave it. */
void leat_endpoint_address(struct leat_endpoint *endpoint, const char *addressing);
/* Pure. May this bucket be a part of the host's name: BUCKET.HOST? Else it is the first part of the path. */
bool leat_endpoint_takes_bucket(const struct leat_endpoint *endpoint, const char *bucket);

#endif
