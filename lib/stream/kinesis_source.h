/*
 * A Kinesis stream as a source, by polling (GetRecords).
 *
 * One client reads for all shards on the fetch thread's loop; blocking ones list shards and tell the time (kinesis_clients.h).
 * Iterators, their renewal and the classes of refusals are here; pacing is fetch.c's. A worker opens its streams from a
 * catalog (kinesis_catalog.h), which shares the clients.
 */
#ifndef LEAT_STREAM_KINESIS_SOURCE_H
#define LEAT_STREAM_KINESIS_SOURCE_H

#include "aws/client.h"
#include "aws/kinesis.h"
#include "stream/region_pool.h"
#include "stream/source.h"

struct leat_kinesis_source_options {
    const char *stream; /* a name, or an ARN */
    const struct leat_aws *aws;
    enum leat_kinesis_encoding encoding;
    struct leat_region_pool *regions;
};

/* With clients of its own. Connects: the stream must exist. Everything in the options is borrowed for the source's life. */
int leat_kinesis_source_open(const struct leat_kinesis_source_options *options,
                             struct leat_source **ret_source, struct leat_error *err);
/* Another thread may end the blocking calls: they return CANCELLED from now on. */
void leat_kinesis_source_interrupt(struct leat_source *source);

#endif
