/* Refused by name: returns NULL. */
#include <leat/processor.h>

LEAT_EXPORT const struct leat_processor *leat_processor_v1(void);
const struct leat_processor *
leat_processor_v1(void)
{
    return NULL;
}
