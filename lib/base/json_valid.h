/* Is a text one JSON value, as strictly as Postgres' jsonb takes it? No tree is built. Pure. */
#ifndef LEAT_BASE_JSON_VALID_H
#define LEAT_BASE_JSON_VALID_H

#include <leat/slice.h>

#include <stdbool.h>

/* false: also of what is nested deeper than 1,000, and of escapes that name no character (\u0000, half a surrogate pair). */
bool leat_json_is_valid(struct leat_slice text);

#endif
