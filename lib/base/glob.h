/* Patterns of names: `*` is any text, also none, `?` one byte; everything else is itself. Pure. */
#ifndef LEAT_BASE_GLOB_H
#define LEAT_BASE_GLOB_H

#include <stdbool.h>

bool leat_is_glob(const char *text); /* has * or ? */
/* Linear in text for each star: no pattern makes it slow. */
bool leat_glob_matches(const char *pattern, const char *text);

#endif
