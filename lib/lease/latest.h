/*
 * What time it is, for LATEST: by the service's clock, unless two others agree that it is wrong. Records are stamped by the service,
 * so its time is the right one; but it comes in a header that anything on the way can write, and a start in 2099 would
 * skip everything for ever. Pure.
 */
#ifndef LEAT_LEASE_LATEST_H
#define LEAT_LEASE_LATEST_H

#include <stdint.h>

#include <leat/error.h>

#include "base/buf.h"

/* µs since 1970 UTC. */
struct leat_clocks {
    int64_t service_us, database_us, own_us;
};

/*
 * The service's time when it is within five minutes of the database's, or of our own. Else, when those two agree, the earlier of
 * them: rather a second too early than a record lost. No two agree: an error that names all three.
 */
int leat_clocks_latest(const struct leat_clocks *clocks, int64_t *ret_us, struct leat_error *err);
void leat_clocks_describe(const struct leat_clocks *clocks, struct leat_buf *out);

#endif
