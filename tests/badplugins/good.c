/* The control: what the others get wrong, right. */
#include "common.h"

LEAT_PROCESSOR(.name = "good", .version = "1", .summary = "does nothing", .process = process);
