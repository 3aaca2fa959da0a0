/*
 * /metrics, /livez and /readyz over HTTP. /livez says that the process answers and its main thread goes round; it touches
 * neither database nor AWS. /readyz says that the worker is registered (with or without a lease) and not stopping.
 */
#ifndef LEAT_WORKER_HEALTH_H
#define LEAT_WORKER_HEALTH_H

#include "base/buf.h"

struct leat_health;

struct leat_health_options {
    const char *listen; /* host:port; port 0: any free one */
    void (*metrics)(void *context, struct leat_buf *out);
    bool (*is_alive)(void *context);
    bool (*is_ready)(void *context, const char **ret_why_not);
    void *context;
};

/* Threads: the callbacks are called on a thread of the server's. */
int leat_health_start(const struct leat_health_options *options, struct leat_health **ret_health,
                      struct leat_error *err);
unsigned leat_health_port(const struct leat_health *health);
void leat_health_stop(struct leat_health *health); /* NULL is fine */

#endif
