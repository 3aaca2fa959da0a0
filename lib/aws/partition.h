/*
 * Partitions of AWS: the parts of it that share nothing, each with its regions and the ends of its hosts' names. Pure.
 */
#ifndef LEAT_AWS_PARTITION_H
#define LEAT_AWS_PARTITION_H

#include <leat/slice.h>

struct leat_partition {
    const char *name;              /* "aws", "aws-cn" …: as in ARNs */
    const char *prefixes[10];      /* of its regions' names: PREFIX-WORD-NUMBER */
    const char *suffix;            /* "amazonaws.com": behind SERVICE.REGION. */
    const char *dual_stack_suffix; /* "api.aws"; S3 has `suffix` there, too */
};

/* By the region's name; what no partition knows is of "aws". Never NULL. */
const struct leat_partition *leat_partition_of(const char *region);
/* Is it a host of AWS itself? By the ends of its name; with or without a port. */
bool leat_partition_has_host(const char *host);

#endif
