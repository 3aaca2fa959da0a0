/* The streams of an account and region as a catalog; its sources share its clients. */
#ifndef LEAT_STREAM_KINESIS_CATALOG_H
#define LEAT_STREAM_KINESIS_CATALOG_H

#include "stream/catalog.h"
#include "stream/kinesis_clients.h"
#include "stream/region_pool.h"

/* Connects to nobody. aws and regions are borrowed for its life. NULL: err. */
struct leat_catalog *leat_kinesis_catalog_new(const struct leat_aws *aws,
                                              enum leat_kinesis_encoding encoding,
                                              struct leat_region_pool *regions,
                                              struct leat_error *err);

#endif
