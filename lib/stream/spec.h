/*
 * What a configuration says of streams: a name, an ARN, or a pattern of one of the two. Pure. Patterns never reach the lease
 * database: a worker says there which streams it reads, by name.
 */
#ifndef LEAT_STREAM_SPEC_H
#define LEAT_STREAM_SPEC_H

#include <stdbool.h>
#include <stddef.h>

bool leat_stream_spec_is_pattern(const char *spec);
/* The name that a spec without a pattern stands for: what is behind ":stream/" of an ARN. */
const char *leat_stream_spec_name(const char *spec);
bool leat_stream_spec_matches(const char *spec, const char *name, const char *arn);
/* The first that matches; count: none does. */
size_t leat_stream_spec_first(const char *const *specs, size_t count, const char *name,
                              const char *arn);

#endif
