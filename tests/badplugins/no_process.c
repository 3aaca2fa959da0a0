/* Refused by name: it has no process function. */
#include <leat/processor.h>

LEAT_PROCESSOR(.name = "no_process", .version = "1");
