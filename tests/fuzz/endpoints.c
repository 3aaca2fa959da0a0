/* Endpoints, regions and what a configuration says of streams. An endpoint that is taken has all its parts, whole. */
#include <stdint.h>
#include <stdlib.h>

#include "aws/endpoint.h"
#include "base/memory.h"
#include "stream/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct leat_endpoint_inputs *inputs)
{
    struct leat_endpoint endpoint;
    struct leat_error err;

    for (int service = 0; service < LEAT_SERVICES; service++) {
        if (leat_endpoint_make((enum leat_service)service, inputs, &endpoint, &err) != 0) {
            LEAT_ASSERT(err.text[0] != '\0');
            continue;
        }
        LEAT_ASSERT(endpoint.host[0] != '\0' && strpbrk(endpoint.host, "/@ \r\n") == NULL);
        LEAT_ASSERT(strncasecmp(endpoint.url, "http", 4) == 0);
        LEAT_ASSERT(endpoint.url[strlen(endpoint.url) - 1] != '/');
        LEAT_ASSERT(strstr(endpoint.url, endpoint.host) != NULL);
    }
}

/* What is put before a host is one name of letters that hosts have. */
static void
check_bucket(const char *bucket)
{
    struct leat_endpoint_inputs inputs = {.region = "eu-west-1"};
    struct leat_endpoint endpoint;
    struct leat_error err;

    LEAT_ASSERT(leat_endpoint_make(LEAT_SERVICE_S3, &inputs, &endpoint, &err) == 0);
    if (leat_endpoint_takes_bucket(&endpoint, bucket))
        LEAT_ASSERT(strlen(bucket) <= 63 &&
                    strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(bucket));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = leat_slice_strdup(leat_slice_make(data, size));
    const char *specs[] = {text, "a*"};

    check(&(struct leat_endpoint_inputs){
        .region = "eu-west-1", .configured = text, .addressing = "virtual"});
    check(&(struct leat_endpoint_inputs){.region = text, .addressing = "auto"});
    check(&(struct leat_endpoint_inputs){
        .region = text, .addressing = "path", .is_fips = true, .is_dual_stack = true});
    check_bucket(text);
    leat_stream_spec_is_pattern(text);
    leat_stream_spec_name(text);
    leat_stream_spec_matches(text, "events", "arn:aws:kinesis:eu-west-1:1:stream/events");
    LEAT_ASSERT(leat_stream_spec_first(specs, 2, "abc", "arn:x") <= 1);
    free(text);
    return 0;
}
