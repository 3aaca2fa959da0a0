/* The Date header of whoever answers: the clock's correction hangs on it. What is understood is the same when it is written again. */
#include <stdint.h>

#include "aws/http.h"
#include "base/memory.h"
#include "local/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[LEAT_LOCAL_HTTP_DATE_BYTES];
    int64_t us = leat_http_date_parse(leat_slice_make(data, size));

    LEAT_ASSERT(us >= 0 && us % 1000000 == 0);
    if (us == 0)
        return 0;
    leat_local_http_date(us, text);
    LEAT_ASSERT(leat_http_date_parse(leat_slice_from(text)) == us);
    return 0;
}
