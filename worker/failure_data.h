/* The data of a diverted record, from where its letter lies. */
#ifndef LEAT_WORKER_FAILURE_DATA_H
#define LEAT_WORKER_FAILURE_DATA_H

#include <leat/error.h>

#include "base/buf.h"

struct leat_config;

/*
 * archive_url: as the ledger has it, file:///… or s3://bucket/key. The record's data is appended to `data`, byte for byte. config
 * says how S3 is reached; NULL: the environment alone does. LEAT_E_FORMAT: what lies there is no letter.
 */
int leat_failure_data(const struct leat_config *config, const char *archive_url,
                      struct leat_buf *data, struct leat_error *err);

#endif
