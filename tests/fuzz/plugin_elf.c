/* The headers of a plugin's file: whatever they say, nothing outside of the bytes is looked at. */
#include "plugin/private_copy.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct leat_error err;

    (void)leat_elf_check(leat_slice_make(data, size), "fuzz", &err);
    return 0;
}
