/* Refused by name: newer_minor. */
#include "common.h"

LEAT_EXPORT const struct leat_processor *leat_processor_v1(void);
const struct leat_processor *
leat_processor_v1(void)
{
    static const struct leat_processor descriptor = {.abi_major = LEAT_ABI_MAJOR,
                                                     .abi_minor = LEAT_ABI_MINOR + 1,
                                                     .size = sizeof(struct leat_processor),
                                                     .name = "newer_minor",
                                                     .process = process};

    return &descriptor;
}
