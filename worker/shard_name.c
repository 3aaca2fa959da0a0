/* The service numbers shards with twelve digits; nobody types those. */
#include "worker/shard_name.h"

#include <stdio.h>
#include <string.h>

#define DIGITS 12

const char *
leat_shard_name(const char *text, char ret_name[LEAT_SHARD_NAME_BYTES])
{
    size_t length = strlen(text);

    if (length > 0 && length <= DIGITS && strspn(text, "0123456789") == length)
        snprintf(ret_name, LEAT_SHARD_NAME_BYTES, "shardId-%.*s%s", (int)(DIGITS - length),
                 "000000000000", text);
    else
        snprintf(ret_name, LEAT_SHARD_NAME_BYTES, "%s", text);
    return ret_name;
}
