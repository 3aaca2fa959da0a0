/* The lines of an answer's head, as libcurl hands them over: any bytes, cut anywhere. What is kept ends with a zero. */
#include <stdint.h>

/* on_header is nobody else's: the file is a part of this one. */
#include "lib/aws/http.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const char *kept)
{
    LEAT_ASSERT(memchr(kept, 0, LEAT_HTTP_HEADER_BYTES) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct leat_http_call call = {.loop = NULL};

    forget_answer(&call);
    while (size > 0) {
        const uint8_t *feed = memchr(data, '\n', size);
        size_t length = feed != NULL ? (size_t)(feed + 1 - data) : size;
        char *line = leat_alloc(length);
        size_t taken;

        /* A copy of exactly its size: a byte too far is found. */
        memcpy(line, data, length);
        taken = on_header(line, 1, length, &call);
        free(line);
        if (taken != length)
            break;
        data += length;
        size -= length;
    }
    check(call.content_type);
    check(call.request_id);
    check(call.error_type);
    check(call.etag);
    LEAT_ASSERT(call.content_length >= -1 && call.retry_after_us >= 0 && call.date_us >= 0);
    LEAT_ASSERT(call.retry_after_us <= MAXIMUM_RETRY_AFTER_S * LEAT_SECOND_US);
    return 0;
}
