/*
 * What an operator does to leases, workers and processors: statements with the protocol's conditions (docs/protocol.md §2),
 * one transaction each, so that they are right beside any pass. 0 rows: the world moved; the caller says so. One connection,
 * one thread.
 */
#ifndef LEAT_LEASE_ROWS_OPERATOR_H
#define LEAT_LEASE_ROWS_OPERATOR_H

#include "lease/rows.h"

/* NULL: any. */
struct leat_operator_filter {
    const char *worker_id;
    const char *stream; /* name or id */
    const char *shard;
};

struct leat_operator_lease {
    const char *stream_id, *stream, *shard, *owner_id;
    int64_t lease_counter, lease_owner;
    int64_t next_owner; /* the plan's; 0: nobody can take it */
    bool is_under_way;  /* a handoff; left alone but by force */
};

struct leat_operator_worker {
    const char *worker_id;
    int64_t incarnation;
    uint64_t held, limit; /* limit 0: none */
    const char **lacks;   /* stream ids that its configuration does not have */
    size_t lack_count;
};

struct leat_operator_leases {
    struct leat_arena arena;            /* of all that is below */
    struct leat_operator_lease *leases; /* owned ones */
    size_t count;
    struct leat_operator_worker *workers; /* alive */
    size_t worker_count;
};

void leat_operator_leases_init(struct leat_operator_leases *leases);
void leat_operator_leases_release(struct leat_operator_leases *leases);
/* Pure: each lease that is not under way gets another owner to wish for, the one with the fewest leases. */
void leat_operator_plan(struct leat_operator_leases *leases);
/* Those with an owner, as planned. */
int leat_rows_operator_leases(struct leat_pg_connection *connection,
                              const struct leat_rows_context *context,
                              const struct leat_operator_filter *filter,
                              struct leat_operator_leases *leases, struct leat_error *err);
/* By wish: handoffs begin. By force: they lose their owners, counter + 1, and keep the wish. more than five: the plan, and what
   came of it. */
int leat_rows_operator_release(struct leat_pg_connection *connection,
                               const struct leat_rows_context *context,
                               const struct leat_operator_leases *leases, bool is_fence,
                               size_t *ret_moved, struct leat_error *err);

/* The worker hands over what others can take, and gets nothing; undo: as before. *ret_moved: 0 or 1. more than five: a row's key and what it is to be. */
int leat_rows_drain(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                    const char *worker_id, bool is_undo, size_t *ret_moved, struct leat_error *err);

/* active | paused | retired, from the state that was seen. more than five: a row's key and what it is compared with. */
int leat_rows_set_processor(struct leat_pg_connection *connection,
                            const struct leat_rows_context *context, const char *processor,
                            const char *seen, const char *state, size_t *ret_moved,
                            struct leat_error *err);

/* Another target is the processor's, from the one that was seen (from and to). more than five: a row's key and what it is compared with. */
int leat_rows_set_target(struct leat_pg_connection *connection,
                         const struct leat_rows_context *context, const char *processor,
                         const char *const from_to[2], size_t *ret_moved, struct leat_error *err);

/*
 * A processor's progress in these shards was put elsewhere: leases that had ended become active again, it counts as one that has
 * not ended them, and with is_first, who owns one of them or of their descendants takes again: the counter grows without a new
 * owner, so that an idle shard notices, too, and children wait for their parents anew. Right however often it is sent.
 */
struct leat_rewound {
    const char *processor, *stream_id;
    const char *const *shards;
    size_t shard_count;
    bool is_first;
    size_t reopened, raised; /* out: leases */
};
int leat_rows_rewound(struct leat_pg_connection *connection,
                      const struct leat_rows_context *context, struct leat_rewound *rewound,
                      struct leat_error *err);

#endif
