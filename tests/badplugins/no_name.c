/* Refused by name: no_name. */
#include "common.h"

LEAT_EXPORT const struct leat_processor *leat_processor_v1(void);
const struct leat_processor *
leat_processor_v1(void)
{
    static const struct leat_processor descriptor = {.abi_major = LEAT_ABI_MAJOR,
                                                     .abi_minor = 0,
                                                     .size = sizeof(struct leat_processor),
                                                     .process = process};

    return &descriptor;
}
