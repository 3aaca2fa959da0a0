/*
 * Which shards this worker took and let go, for its log: a line a stream and look, however many shards moved.
 *
 * Threads: taken and lost on the lease manager's, flush on the main thread.
 */
#ifndef LEAT_WORKER_LEASE_LOG_H
#define LEAT_WORKER_LEASE_LOG_H

#include "lease/manager.h"

struct leat_lease_log;

struct leat_lease_log *leat_lease_log_new(void);
/* Of a lease that is held already nothing is said: its counter was raised. */
void leat_lease_log_taken(struct leat_lease_log *log, struct leat_lease_key lease);
void leat_lease_log_lost(struct leat_lease_log *log, struct leat_lease_key lease,
                         enum leat_lease_loss loss);
/* Says what has happened since the last time. */
void leat_lease_log_flush(struct leat_lease_log *log);
void leat_lease_log_free(struct leat_lease_log *log); /* NULL is fine */

#endif
