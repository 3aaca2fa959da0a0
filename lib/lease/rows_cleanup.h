/* Statements of the auditor and of cleanup: reading and removing, bounded. One connection, one thread. */
#ifndef LEAT_LEASE_ROWS_CLEANUP_H
#define LEAT_LEASE_ROWS_CLEANUP_H

#include "lease/garbage.h"
#include "lease/rows.h"

/* Hash ranges of active leases of the application, by stream; those without one are left out. */
struct leat_range_row {
    struct leat_slice stream_id, first, last;
};
struct leat_range_rows {
    struct leat_arena arena;
    struct leat_range_row *rows;
    size_t count;
};
int leat_rows_ranges(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     struct leat_range_rows *ret_rows, struct leat_error *err);

struct leat_aged_rows {
    struct leat_arena arena;
    struct leat_aged_lease *leases;
    size_t count;
};
/* Notes which ended leases' shards are not listed (and which are, again); then reads all of the stream. */
int leat_rows_age(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                  const char *stream_id, const struct leat_shard_list *listed,
                  struct leat_aged_rows *ret_rows, struct leat_error *err);
/* With their start rows; those that are ended and gone for so long still. more than five: a statement, what goes in and what comes out. */
int leat_rows_remove(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     const char *stream_id, const struct leat_slice *shards, size_t count,
                     int64_t grace_us, size_t *ret_removed, struct leat_error *err);
/* Workers that died more than an hour ago, at most so many. */
int leat_rows_purge_workers(struct leat_pg_connection *connection,
                            const struct leat_rows_context *context, size_t *ret_removed,
                            struct leat_error *err);
/* Leases, starts and the row of streams that somebody found deleted so long ago: the whole of one stream a call. */
int leat_rows_purge_streams(struct leat_pg_connection *connection,
                            const struct leat_rows_context *context, int64_t grace_us,
                            size_t *ret_leases, struct leat_error *err);

#endif
