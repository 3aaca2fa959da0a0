/* One scalar by its property's type: from text into the struct, and back. Pure. */
#ifndef LEAT_CONFIG_VALUE_H
#define LEAT_CONFIG_VALUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "config/properties.h"

/* Into base + property->at; nothing is written on failure. err says what is wrong with the text, and names nothing. */
int leat_value_parse(const struct leat_property *property, struct leat_slice text,
                     struct leat_arena *arena, void *base, struct leat_error *err);
/* As it could be written: reads back as the same value. false: not set. Not for texts, options, maps, lists. */
bool leat_value_format(const struct leat_property *property, const void *base,
                       struct leat_buf *out);
/* "at least 32MiB", "1 to 64"; nothing when there is no range. */
void leat_value_format_range(const struct leat_property *property, struct leat_buf *out);

#endif
