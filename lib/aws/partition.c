/*
 * Which part of AWS a region is in. Regions are told by the pattern of their names, so that one that opens tomorrow is known
 * today: us-gov-west-1 is PREFIX "us-gov", a word, a number.
 */
#include "aws/partition.h"

#include <ctype.h>
#include <strings.h>

#include "base/memory.h"

static const struct leat_partition partitions[] = {
    {"aws", {"us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx"}, "amazonaws.com", "api.aws"},
    {"aws-cn", {"cn"}, "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"aws-us-gov", {"us-gov"}, "amazonaws.com", "api.aws"},
    {"aws-iso", {"us-iso"}, "c2s.ic.gov", "api.aws.ic.gov"},
    {"aws-iso-b", {"us-isob"}, "sc2s.sgov.gov", "api.aws.scloud"},
    {"aws-iso-e", {"eu-isoe"}, "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"aws-iso-f", {"us-isof"}, "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"aws-eusc", {"eusc-de"}, "amazonaws.eu", "api.amazonwebservices.eu"},
};

/* The size of what is before "-WORD-NUMBER"; 0: the name is not made so. */
static size_t
prefix_size(const char *region)
{
    size_t size = strlen(region), end = size, word;

    while (end > 0 && isdigit((unsigned char)region[end - 1]))
        end--;
    if (end == size || end == 0 || region[end - 1] != '-')
        return 0;
    word = --end;
    while (end > 0 && (isalnum((unsigned char)region[end - 1]) || region[end - 1] == '_'))
        end--;
    return end == word || end == 0 || region[end - 1] != '-' ? 0 : end - 1;
}

/* "aws-cn-global": what has no region is in one all the same. */
static bool
is_global(const struct leat_partition *partition, const char *region)
{
    size_t size = strlen(partition->name);

    return strncmp(region, partition->name, size) == 0 && strcmp(region + size, "-global") == 0;
}

const struct leat_partition *
leat_partition_of(const char *region)
{
    struct leat_slice prefix = leat_slice_make(region, prefix_size(region));

    for (size_t i = 0; i < LEAT_COUNT_OF(partitions); i++) {
        if (is_global(&partitions[i], region))
            return &partitions[i];
        for (size_t j = 0; prefix.size > 0 && partitions[i].prefixes[j] != NULL; j++) {
            if (leat_slice_is(prefix, partitions[i].prefixes[j]))
                return &partitions[i];
        }
    }
    return &partitions[0];
}

static bool
ends_with(const char *host, size_t size, const char *suffix)
{
    size_t suffix_size = strlen(suffix);

    return size > suffix_size && host[size - suffix_size - 1] == '.' &&
           strncasecmp(host + size - suffix_size, suffix, suffix_size) == 0;
}

bool
leat_partition_has_host(const char *host)
{
    size_t size = strcspn(host, ":");

    for (size_t i = 0; i < LEAT_COUNT_OF(partitions); i++) {
        if (ends_with(host, size, partitions[i].suffix) ||
            ends_with(host, size, partitions[i].dual_stack_suffix))
            return true;
    }
    return false;
}
