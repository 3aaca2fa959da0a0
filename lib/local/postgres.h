/*
 * A private Postgres for `leat dev`, demo and benchmarks: made with initdb in a directory of its own, on a Unix socket there,
 * as user postgres when we are root, a child of this process that ends with it, however that ends. Fast, not durable.
 *
 * Blocking calls, one thread at a time. Debian's binaries: /usr/lib/postgresql/<the newest>/bin, or $LEAT_POSTGRES_BIN.
 */
#ifndef LEAT_LOCAL_POSTGRES_H
#define LEAT_LOCAL_POSTGRES_H

#include <sys/types.h>

#include <leat/error.h>

struct leat_local_postgres;

/* directory: exists, ours, at most 90 bytes long (a socket's path is bounded). It is closed to others (0700), as is the socket:
   whoever may connect is a superuser. What is there from before is used again. */
int leat_local_postgres_start(const char *directory, struct leat_local_postgres **ret_postgres,
                              struct leat_error *err);
/* A conninfo without a dbname: "host=… user=postgres". */
const char *leat_local_postgres_conninfo(const struct leat_local_postgres *postgres);
pid_t leat_local_postgres_pid(const struct leat_local_postgres *postgres);
/* Ends it (connections are cut), waits for that; the directory stays. NULL is fine. */
void leat_local_postgres_stop(struct leat_local_postgres *postgres);

#endif
