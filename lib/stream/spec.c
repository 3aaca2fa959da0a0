/* See spec.h. A name cannot begin with "arn:", since it has no colons. */
#include "stream/spec.h"

#include <string.h>

#include "base/glob.h"

bool
leat_stream_spec_is_pattern(const char *spec)
{
    return leat_is_glob(spec);
}

const char *
leat_stream_spec_name(const char *spec)
{
    const char *behind = strncmp(spec, "arn:", 4) == 0 ? strstr(spec, ":stream/") : NULL;

    return behind != NULL ? behind + strlen(":stream/") : spec;
}

bool
leat_stream_spec_matches(const char *spec, const char *name, const char *arn)
{
    return leat_glob_matches(spec, strncmp(spec, "arn:", 4) == 0 ? arn : name);
}

size_t
leat_stream_spec_first(const char *const *specs, size_t count, const char *name, const char *arn)
{
    size_t i = 0;

    while (i < count && !leat_stream_spec_matches(specs[i], name, arn))
        i++;
    return i;
}
