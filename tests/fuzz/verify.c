/* A request's signature as a server reads it: the input is the Authorization value, a line feed, a path and a query. */
#include <stdint.h>

#include "aws/sign.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct leat_credentials known = {(char *)"AKID", (char *)"secret", NULL};
    const uint8_t *feed = memchr(data, '\n', size);
    const uint8_t *mark;
    struct leat_slice value = leat_slice_make(data, feed != NULL ? (size_t)(feed - data) : size);
    LEAT_AUTO_BUF canonical = LEAT_BUF_INIT;
    struct leat_slice path = leat_slice_from("/"), query = leat_slice_from("");
    struct leat_sign_header headers[] = {
        {leat_slice_from("authorization"), value},
        {leat_slice_from("host"), leat_slice_from("h")},
        {leat_slice_from("x-amz-date"), leat_slice_from("20150830T123600Z")},
        {leat_slice_from("x-amz-content-sha256"), leat_slice_from("UNSIGNED-PAYLOAD")},
    };
    struct leat_sign_check check = {&known, leat_slice_from(""), leat_slice_from("s3"),
                                    INT64_C(1440938160000000), 1};
    struct leat_sign_request request = {.method = leat_slice_from("GET"),
                                        .headers = headers,
                                        .header_count = LEAT_COUNT_OF(headers)};

    if (feed != NULL) {
        path = leat_slice_make(feed + 1, size - (size_t)(feed + 1 - data));
        mark = memchr(path.data, '?', path.size);
        if (mark != NULL) {
            query = leat_slice_make(mark + 1, path.size - (size_t)(mark + 1 - path.data));
            path.size = (size_t)(mark - path.data);
        }
    }
    request.path = path;
    request.query = query;
    leat_sign_verify(&request, &check);
    leat_sign_canonical(&request, false, &canonical);
    return 0;
}
