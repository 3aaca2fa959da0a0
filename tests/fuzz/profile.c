/* Profile files of unknown make. */
#include <stdint.h>

#include "aws/profile.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bounds {
    const uint8_t *begin, *end;
};

static void
setting(void *context, struct leat_slice key, struct leat_slice value)
{
    const struct bounds *bounds = context;

    LEAT_ASSERT(key.data >= bounds->begin && key.data + key.size <= bounds->end);
    LEAT_ASSERT(value.size == 0 ||
                (value.data >= bounds->begin && value.data + value.size <= bounds->end));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bounds bounds = {data, data + size};
    struct leat_error err;

    leat_profile_parse(leat_slice_make(data, size), LEAT_PROFILE_CREDENTIALS,
                       leat_slice_from("default"), setting, &bounds, &err);
    leat_profile_parse(leat_slice_make(data, size), LEAT_PROFILE_CONFIG, leat_slice_from("a"),
                       setting, &bounds, &err);
    return 0;
}
