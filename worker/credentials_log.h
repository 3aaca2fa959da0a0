/* What becomes of a worker's AWS credentials, as log lines: where they come from (once), failures to get others. Never a key. */
#ifndef LEAT_WORKER_CREDENTIALS_LOG_H
#define LEAT_WORKER_CREDENTIALS_LOG_H

#include "aws/credentials_cache.h"

void leat_credentials_log(void *context, const struct leat_credentials_event *event);

#endif
