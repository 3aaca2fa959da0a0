/* Refused by name: short_struct. */
#include "common.h"

LEAT_EXPORT const struct leat_processor *leat_processor_v1(void);
const struct leat_processor *
leat_processor_v1(void)
{
    static const struct leat_processor descriptor = {.abi_major = LEAT_ABI_MAJOR,
                                                     .abi_minor = 0,
                                                     .size = 48,
                                                     .name = "short_struct",
                                                     .process = process};

    return &descriptor;
}
