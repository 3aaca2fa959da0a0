/*
 * Numbered migrations, one set per database role, each counted in leat.schema_versions; safe when both roles are one
 * database. min_worker_version lets old workers go on with a newer schema while a deploy rolls.
 */
#ifndef LEAT_POSTGRES_MIGRATE_H
#define LEAT_POSTGRES_MIGRATE_H

#include "postgres/connection.h"

struct leat_schema_status {
    int version;            /* in the database; 0: nothing there */
    int wanted;             /* embedded in this program */
    int min_worker_version; /* programs that embed less than this must not run; 0: any */
};

int leat_schema_status(struct leat_pg_connection *connection, const char *role,
                       struct leat_schema_status *ret_status, struct leat_error *err);
/* Under an advisory lock, each migration in its own transaction. Refuses a schema newer than this program. */
int leat_schema_migrate(struct leat_pg_connection *connection, const char *role, int *ret_applied,
                        struct leat_error *err);
/* At a worker's start: 0, or an error that names the command to run. */
int leat_schema_check(struct leat_pg_connection *connection, const char *role,
                      struct leat_error *err);
/* GRANT statements for a role that runs workers. */
void leat_schema_grants(const char *role, const char *database_user, struct leat_buf *out);

#endif
