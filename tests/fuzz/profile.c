/* Profile files of unknown make. */
#include <stdint.h>

#include "aws/profile.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every byte that is told can be read, and is not more than there was. */
static void
setting(void *context, struct leat_slice key, struct leat_slice value)
{
    size_t size = *(const size_t *)context;
    volatile unsigned char sum = 0;

    LEAT_ASSERT(key.size > 0 && key.size <= 2 * size + 1 && value.size <= size);
    for (size_t i = 0; i < key.size; i++) {
        LEAT_ASSERT(key.data[i] > ' ');
        sum ^= key.data[i];
    }
    for (size_t i = 0; i < value.size; i++)
        sum ^= value.data[i];
    (void)sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct leat_slice text = leat_slice_make(data, size);
    struct leat_error err;

    leat_profile_parse(text, LEAT_PROFILE_CREDENTIALS, LEAT_SECTION_PROFILE,
                       leat_slice_from("default"), setting, &size, &err);
    leat_profile_parse(text, LEAT_PROFILE_CONFIG, LEAT_SECTION_PROFILE, leat_slice_from("default"),
                       setting, &size, &err);
    leat_profile_parse(text, LEAT_PROFILE_CONFIG, LEAT_SECTION_PROFILE, leat_slice_from("a"),
                       setting, &size, &err);
    leat_profile_parse(text, LEAT_PROFILE_CONFIG, LEAT_SECTION_SERVICES, leat_slice_from("a"),
                       setting, &size, &err);
    return 0;
}
