/* The databases of a configuration, each once, with the roles that leat's tables have there. */
#ifndef LEAT_WORKER_DATABASES_H
#define LEAT_WORKER_DATABASES_H

#include "config/config.h"

struct leat_database {
    char *url; /* may hold a secret */
    bool
        has_lease; /* the lease database; it has the target role, too: for targets without transactions */
};

struct leat_databases {
    struct leat_database *items;
    size_t count, capacity;
};

void leat_databases_add(struct leat_databases *databases, const char *url, bool has_lease);
/* The lease database, then each other one that a postgres target writes to. Loads the target plugins. */
int leat_databases_of(const struct leat_config *config, struct leat_databases *databases,
                      struct leat_error *err);
void leat_databases_release(struct leat_databases *databases);

/* What makes every processor's tables as its target would have them. What is wrong is said on standard error. An exit code. */
int leat_databases_ddl(const struct leat_config *config, struct leat_buf *out);
/* `leat db ddl`: every processor's tables as its target would have them made, or those of one (NULL: all). An exit code. */
int leat_databases_print_ddl(const struct leat_config *config, const char *processor);
/* What lets `user` write every processor's tables. What is wrong is said on standard error. An exit code. */
int leat_databases_grants(const struct leat_config *config, const char *user, struct leat_buf *out);

#endif
