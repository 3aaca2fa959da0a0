/* Not bad: with an option that is a secret, and one that has to be there. */
#include "common.h"

static const struct leat_option options[] = {
    {"credential", LEAT_OPTION_TEXT, LEAT_OPTION_SECRET, NULL, NULL, 0, 0, "a secret"},
    {"needed", LEAT_OPTION_DURATION, LEAT_OPTION_REQUIRED, NULL, NULL, 1, 1000000, "a time"},
    LEAT_END,
};

LEAT_PROCESSOR(.name = "secretive", .version = "1", .summary = "keeps a secret", .options = options,
               .process = process);
