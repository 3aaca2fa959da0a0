/* Where a configured processor's progress is, and what it says: for commands that look at it or put it elsewhere. */
#ifndef LEAT_WORKER_PROGRESS_H
#define LEAT_WORKER_PROGRESS_H

#include "config/config.h"
#include "postgres/connection.h"
#include "worker/operator.h"

/* The database: the target's, or the lease database's where the target has no transactions. INVALID: another plugin's. */
int leat_progress_url(const struct leat_config *config,
                      const struct leat_config_processor *processor, struct leat_buf *ret_url,
                      struct leat_error *err);
/* Connects and checks that the target's tables are there and known. */
int leat_progress_connect(const char *url, const char *command,
                          struct leat_pg_connection **ret_connection, struct leat_error *err);
/* Is it the target that the processor is registered with? 0, or an error that names both (CONFLICT), or a database did not answer. */
int leat_progress_check_target(struct leat_operator *task,
                               const struct leat_config_processor *processor,
                               struct leat_pg_connection *target, const char *url,
                               struct leat_error *err);

#endif
