/* What a target is called in leat.processors, so that a processor is never run against another one by mistake. */
#ifndef LEAT_WORKER_TARGET_NAME_H
#define LEAT_WORKER_TARGET_NAME_H

#include <leat/target.h>

#include "base/buf.h"

/*
 * Appends plugin, host, port and database, without secrets; and, behind a '#', the id that the target has itself (leat.target), when
 * it can be asked now: by that it is known under another address, too. Waits at most two seconds for one that is away.
 */
void leat_target_name(const struct leat_target *plugin, const char *url, struct leat_buf *out);

#endif
