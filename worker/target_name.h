/* What a target is called in leat.processors, so that a processor is never run against another one by mistake. */
#ifndef LEAT_WORKER_TARGET_NAME_H
#define LEAT_WORKER_TARGET_NAME_H

#include <leat/target.h>

#include "base/buf.h"
#include "base/thread.h"
#include "postgres/connection.h"

/*
 * Appends plugin, host, port and database, without secrets; and, behind a '#', the id that the target has itself (leat.target), when
 * it can be asked now: by that it is known under another address, too. Waits at most two seconds for one that is away. Where a
 * target has no transactions, the url is of its progress: the lease database's.
 */
void leat_target_name(const struct leat_target *plugin, const char *url, struct leat_buf *out);
/* The same by an open connection: nothing is waited for. */
int leat_target_name_by(struct leat_pg_connection *connection, const char *plugin, const char *url,
                        struct leat_buf *out, struct leat_error *err);
/* The id of a name; "": it has none. */
const char *leat_target_name_id(const char *name);
/* Both ids are known: do they say the same? Else: do the addresses? As the registration has it (lease/rows_processors.c). */
bool leat_target_name_is_same(const char *registered, const char *found);
/* Host, port and database of a URL, without secrets: "host:port/database". */
void leat_target_name_place(const char *url, struct leat_buf *out);

/* Which target a processor of this worker has, over its life: what is registered, and what its committers have found. */
struct leat_target_identity {
    struct leat_mutex lock;
    const char *processor;
    struct leat_buf name
        LEAT_FIELD_GUARDED_BY(lock); /* of the start; with the id, as soon as it is known */
    struct leat_buf registered LEAT_FIELD_GUARDED_BY(lock); /* empty: not read yet */
};

void leat_target_identity_init(struct leat_target_identity *identity, const char *processor);
void leat_target_identity_release(struct leat_target_identity *identity);
/* leat_check_id_fn */
int leat_target_identity_check(void *identity, struct leat_slice id, struct leat_error *err);
/* leat_lease_processor's. */
void leat_target_identity_current(void *identity, struct leat_buf *out);
void leat_target_identity_registered(void *identity, const char *target_id);

#endif
