/*
 * Statements about streams: what the fleet knows of them (leat.streams), and who looks them up and lists their shards. Both are
 * claims: taken by a condition, left behind when the work is stored, another's when the claimer is not alive or took too long.
 */
#ifndef LEAT_LEASE_ROWS_STREAMS_H
#define LEAT_LEASE_ROWS_STREAMS_H

#include "lease/rows.h"
#include "lease/stream_plan.h"

/* All of the application. *ret_rows is the caller's. */
int leat_rows_streams(struct leat_pg_connection *connection,
                      const struct leat_rows_context *context, struct leat_stream_rows *ret_rows,
                      struct leat_error *err);

struct leat_claim {
    int64_t incarnation;
    int64_t age_us;           /* what was done longer ago is due */
    const char *const *names; /* specs, or stream_ids; without doubles */
    const bool *is_forced;    /* due however fresh it is; NULL: none */
    size_t count;
    bool *is_ours; /* the answer */
};
/* Specs to be looked up. */
int leat_rows_claim_looks(struct leat_pg_connection *connection,
                          const struct leat_rows_context *context, const struct leat_claim *claim,
                          struct leat_error *err);
/* Streams whose shards are to be listed. */
int leat_rows_claim_syncs(struct leat_pg_connection *connection,
                          const struct leat_rows_context *context, const struct leat_claim *claim,
                          struct leat_error *err);
/* The stream's shards are listed, and what followed is stored. */
int leat_rows_synced(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     const char *stream_id, int64_t incarnation, struct leat_error *err);
/* What a look found, in one transaction: the version moves with it, and leases of what is gone that nobody holds end. done: the
   specs that are looked up with it. Changes of rows that somebody's transaction holds are left, and the specs stay due. */
int leat_rows_looked(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     struct leat_stream_change *changes, size_t count,
                     const struct leat_claim *done, struct leat_error *err);
/* All claims that this incarnation has are given up. */
int leat_rows_unclaim(struct leat_pg_connection *connection,
                      const struct leat_rows_context *context, int64_t incarnation,
                      struct leat_error *err);
/* Until the first of these specs and streams is older than that. */
int leat_rows_due(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                  const struct leat_claim *specs, int64_t *ret_wait_us, struct leat_error *err);
/* Was this spec looked up by a look that began less than so long ago? */
int leat_rows_has_looked(struct leat_pg_connection *connection,
                         const struct leat_rows_context *context, const char *spec, int64_t age_us,
                         bool *ret_has, struct leat_error *err);
/* Leases of streams that are gone and that no living worker holds: ended. */
int leat_rows_end_gone(struct leat_pg_connection *connection,
                       const struct leat_rows_context *context, struct leat_error *err);
/* Ours, of a stream that is gone: ended. more than five: a row's key and what it is compared with. */
int leat_rows_end_gone_lease(struct leat_pg_connection *connection,
                             const struct leat_rows_context *context, struct leat_lease_key key,
                             int64_t incarnation, size_t *ret_ended, struct leat_error *err);

#endif
