/*
 * The lease database's statements (docs/protocol.md §1, 2): each carries its own condition and is right whoever sends it. One
 * connection, one thread. 0 rows mean that the world moved: the caller reads again.
 */
#ifndef LEAT_LEASE_ROWS_H
#define LEAT_LEASE_ROWS_H

#include "lease/assign.h"
#include "lease/beginning.h"
#include "lease/manager.h"
#include "lease/notify.h"
#include "lease/streams.h"
#include "lease/watch.h"
#include "postgres/connection.h"

struct leat_rows_context {
    const char *application, *worker_id;
    int64_t expiry_us;
    struct leat_notify *notify; /* NULL: none is sent */
};

/* Of a heartbeat on the session that is known already. */
#define LEAT_ROWS_SAME_SESSION INT64_C(-1)

/* ---- workers --------------------------------------------------------------------------------- */
struct leat_registration {
    int64_t incarnation, session_key; /* 0: none (behind a pooler) */
    const char *host, *build;
    int pid;
    double weight;
    uint32_t max_leases;
    const char *runs; /* JSON, as leat.workers.runs */
    /* In: of who has the id, a renewal that was the only one for a whole lease by our own clock; 0: none. Out, with CONFLICT: the
       last one there is. An opaque number. */
    int64_t heartbeat_us;
    bool
        is_return; /* of a process that was declared dead: what an operator said of it still counts */
};
/* CONFLICT: the id is alive elsewhere; err says where. */
int leat_rows_register(struct leat_pg_connection *connection,
                       const struct leat_rows_context *context,
                       struct leat_registration *registration, struct leat_error *err);
/* What a renewal tells. */
struct leat_heartbeat_answer {
    bool is_dead;             /* this incarnation was declared dead; then nothing else is told */
    bool is_drained;          /* an operator wants it to hold no leases */
    int64_t version;          /* assignment_version */
    int64_t report_wanted_us; /* when somebody asked last, an opaque number; 0: nobody did */
};
/* loads: NULL: as they are; empty: all are idle. session_key: LEAT_ROWS_SAME_SESSION: as it is; 0: none. more than five: a row's key and what it is compared with. */
int leat_rows_heartbeat(struct leat_pg_connection *connection,
                        const struct leat_rows_context *context, int64_t incarnation,
                        int64_t session_key, const struct leat_buf *loads,
                        struct leat_heartbeat_answer *ret_answer, struct leat_error *err);
/* What this worker knows of its shards (JSON), unless it is not this incarnation any more. */
int leat_rows_report(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     int64_t incarnation, struct leat_slice report, struct leat_error *err);

/* A NOTIFY that was held back, when there is room for it again. */
int leat_rows_notify_owed(struct leat_pg_connection *connection,
                          const struct leat_rows_context *context, struct leat_error *err);

struct leat_worker_row {
    struct leat_worker worker;
    int64_t heartbeat_us; /* as an opaque number: seen twice or not */
    int64_t session_key;
    int64_t lease_us; /* how long a renewal holds */
    bool is_expired;
};
struct leat_worker_rows {
    struct leat_arena arena;
    struct leat_worker_row *rows;
    size_t count;
    int64_t version; /* of the assignments, read with them; 0: nobody asked */
};
void leat_worker_rows_init(struct leat_worker_rows *rows);
void leat_worker_rows_release(struct leat_worker_rows *rows);
/* Alive and leaving ones, by incarnation. */
int leat_rows_workers(struct leat_pg_connection *connection,
                      const struct leat_rows_context *context, struct leat_worker_rows *rows,
                      struct leat_error *err);
/* Those of these ids, by primary key: fewer when some are gone; and the version, for the price of one more row. */
int leat_rows_neighbours(struct leat_pg_connection *connection,
                         const struct leat_rows_context *context, const struct leat_slice *ids,
                         size_t count, struct leat_worker_rows *rows, struct leat_error *err);
/* Declares it dead if its heartbeat is still the one that was seen and it is expired, here or there, or its session lock is free. */
int leat_rows_judge(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                    const struct leat_sighting *silent, bool *ret_died, struct leat_error *err);

/* The database's clock: µs since 1970 UTC. */
int leat_rows_now(struct leat_pg_connection *connection, int64_t *ret_us, struct leat_error *err);

/* ---- leases ---------------------------------------------------------------------------------- */
struct leat_lease_rows {
    struct leat_arena arena;
    struct leat_lease *leases;
    size_t count;
};
void leat_lease_rows_init(struct leat_lease_rows *rows);
void leat_lease_rows_release(struct leat_lease_rows *rows);
/* owner 0: all of the application. */
int leat_rows_leases(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     int64_t owner, struct leat_lease_rows *rows, struct leat_error *err);
/* *ret_version only when the pass is ours. */
int leat_rows_claim_pass(struct leat_pg_connection *connection,
                         const struct leat_rows_context *context, int64_t incarnation,
                         bool *ret_is_ours, int64_t *ret_version, struct leat_error *err);
/* All moves of a pass in one transaction; *ret_moved: how many still held. Did all, its balance is stored with them: else
   the next pass takes what changed for new. more than five: a plan and what its indices mean. */
int leat_rows_move(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                   const struct leat_lease_rows *leases, const struct leat_worker_rows *workers,
                   const struct leat_assign_output *plan, size_t *ret_moved,
                   struct leat_error *err);
/* Handoffs that are older than force_after. */
int leat_rows_force(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                    int64_t force_after_us, size_t *ret_moved, struct leat_error *err);
struct leat_letting_go {
    const struct leat_lease_key *keys;
    size_t count;
    int64_t incarnation; /* as whom */
};
/* The owner lets go, of many in one update: to next_owner if he lives, else to nobody. ret_is_busy, of each: somebody's transaction
   holds its row, so it is ours still; the others are not. */
int leat_rows_let_go(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     const struct leat_letting_go *leases, bool *ret_is_busy,
                     struct leat_error *err);
/* SIGTERM: all of this worker's leases in one update, and the worker itself. */
int leat_rows_release_all(struct leat_pg_connection *connection,
                          const struct leat_rows_context *context, int64_t incarnation,
                          struct leat_error *err);
int leat_rows_set_leaving(struct leat_pg_connection *connection,
                          const struct leat_rows_context *context, int64_t incarnation,
                          struct leat_error *err);
/* progress + 1, while it is still ours; *ret_counter 0: it is not. more than five: a row's key and what it is compared with. */
int leat_rows_raise(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                    struct leat_lease_key key, int64_t incarnation, int64_t progress_counter,
                    int64_t *ret_counter, struct leat_error *err);
/* Those of them that have ended (audit.c). */
int leat_rows_reopen(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     const struct leat_reopening *reopening, struct leat_error *err);
/* The oldest moves beyond what is kept, at most a step of them; *ret_more: there may be others. */
int leat_rows_trim_moves(struct leat_pg_connection *connection,
                         const struct leat_rows_context *context, bool *ret_more,
                         struct leat_error *err);

/* ---- what a pass reads (rows_plan.c) ------------------------------------------------------------ */

/* Active leases of the application, by key, without parents and hash ranges. */
int leat_rows_leases_to_plan(struct leat_pg_connection *connection,
                             const struct leat_rows_context *context, struct leat_lease_rows *rows,
                             struct leat_error *err);
/* Sets busy_us of the leases, build and age_us of the workers. */
int leat_rows_loads(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                    struct leat_worker_rows *workers, struct leat_lease_rows *leases,
                    struct leat_error *err);
int leat_rows_balance(struct leat_pg_connection *connection,
                      const struct leat_rows_context *context, struct leat_balance *ret_balance,
                      struct leat_error *err);
/* Part of the transaction that moves. */
int leat_rows_keep_balance(struct leat_pg_connection *connection,
                           const struct leat_rows_context *context,
                           const struct leat_assign_output *plan, struct leat_error *err);

/* ---- a shard's end (rows_end.c): many at a time ------------------------------------------------ */

struct leat_rows_parent {
    struct leat_lease_key key;
    const struct leat_shard_facts *children;
    size_t child_count;
};
/* Inserts children that are not there and whose parents are all there; the children's names into the parents' rows.
   *ret_left: children that have no lease still. */
int leat_rows_children(struct leat_pg_connection *connection,
                       const struct leat_rows_context *context,
                       const struct leat_rows_parent *parents, size_t count, size_t *ret_left,
                       struct leat_error *err);

struct leat_rows_end {
    struct leat_lease_key key;
    struct leat_slice processor;
    int64_t
        lease_counter; /* under which SHARD_END was committed or read: another one now, and it is no end */
    bool is_ended; /* out: all registered processors that need the shard have */
    bool is_busy;  /* out: somebody's transaction holds its row: it is to be asked again */
};
int leat_rows_processors_ended(struct leat_pg_connection *connection,
                               const struct leat_rows_context *context, struct leat_rows_end *ends,
                               size_t count, struct leat_error *err);

/* ---- application, processors, streams -------------------------------------------------------- */
int leat_rows_application(struct leat_pg_connection *connection,
                          const struct leat_rows_context *context, struct leat_error *err);
/* The stream's row, if it is not there yet. */
int leat_rows_stream(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     const struct leat_source_facts *facts, struct leat_error *err);
/* Counts of leases of the application: all, ended, without an owner. */
int leat_rows_count(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                    uint64_t *ret_all, uint64_t *ret_ended, uint64_t *ret_unowned,
                    struct leat_error *err);

/* ---- registered processors (rows_processors.c) -------------------------------------------------- */

/* Refused by name: retired (INVALID), or committed to another target (CONFLICT). ret_registered: its target by now. Its streams (names; not asked where it reads all) are added to those
   that are there. */
/* more than five: a statement, what goes in and what comes out. */
int leat_rows_processor(struct leat_pg_connection *connection,
                        const struct leat_rows_context *context,
                        const struct leat_lease_processor *processor,
                        const struct leat_stream_names *names, struct leat_buf *ret_registered,
                        struct leat_error *err);

struct leat_processor_row {
    const char *name;
    const char *target_id;
    enum leat_processor_state state;
    const struct leat_slice *streams; /* names */
    size_t stream_count;
    bool is_of_all; /* all streams */
};
struct leat_processor_rows {
    struct leat_arena arena;
    struct leat_processor_row *rows;
    size_t count;
};
void leat_processor_rows_init(struct leat_processor_rows *rows);
void leat_processor_rows_release(struct leat_processor_rows *rows);
/* All of the application. */
int leat_rows_processors(struct leat_pg_connection *connection,
                         const struct leat_rows_context *context, struct leat_processor_rows *rows,
                         struct leat_error *err);
/* What this worker runs is another thing now: moves the version. */
int leat_rows_runs(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                   int64_t incarnation, const char *runs, struct leat_error *err);
/* For a plan: sets the leases' stream and the workers' lacks; these live as long as the workers' rows. */
int leat_rows_lacking(struct leat_pg_connection *connection,
                      const struct leat_rows_context *context, struct leat_lease_rows *leases,
                      struct leat_worker_rows *workers, struct leat_error *err);
/* Streams of a processor that no living worker gives it any more are taken from it. */
int leat_rows_forget_streams(struct leat_pg_connection *connection,
                             const struct leat_rows_context *context, struct leat_error *err);
/* The owner gives a lease away, if there is another who may have it and it is not too soon: keep_us is how long an owner must
   have had it, once it was given away. more than five: a row's key and what it is compared with. */
int leat_rows_give_away(struct leat_pg_connection *connection,
                        const struct leat_rows_context *context, struct leat_lease_key key,
                        int64_t incarnation, int64_t keep_us, struct leat_error *err);
/* Leases that wait for nobody any more: whom they waited for was retired, or does not read that stream any more. */
int leat_rows_end_unneeded(struct leat_pg_connection *connection,
                           const struct leat_rows_context *context, struct leat_error *err);

/* ---- where processors begin (rows_start.c) ----------------------------------------------------- */

/* Who has met what, without the shards: keys "processor\nstream_id" are put into the map. */
int leat_rows_met(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                  struct leat_map *ret_met, struct leat_error *err);
/* Adds what is known of a stream; NULL: of all streams. */
int leat_rows_beginnings(struct leat_pg_connection *connection,
                         const struct leat_rows_context *context, const char *stream_id,
                         struct leat_beginnings *beginnings, struct leat_error *err);
/*
 * One transaction: begin, any of the next three, end (commits if status is 0, else rolls back and hands status on). Between
 * them nobody else meets the stream, and no lease of it ends: "all who need it" is the same set for everybody.
 */
int leat_rows_sync_begin(struct leat_pg_connection *connection,
                         const struct leat_rows_context *context, const char *stream_id,
                         struct leat_error *err);
/* A processor meets the stream, unless it is known there already: then nothing changes. */
int leat_rows_meet(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                   const struct leat_beginning *beginning, size_t *changed, struct leat_error *err);
/* Inserts what is not there. more than five: a statement, what goes in and what comes out. */
int leat_rows_create(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     struct leat_slice stream_id, const struct leat_shard_facts *shards,
                     size_t count, size_t *changed, struct leat_error *err);
/* Leases of listed shards that a processor still needs become active again; those that nobody needs any more end. */
/* Names the children of shards whose leases are active and name none: pairs of a parent and a child. more than five: as above. */
int leat_rows_name_children(struct leat_pg_connection *connection,
                            const struct leat_rows_context *context, const char *stream_id,
                            const struct leat_slice *pairs, size_t pair_count, size_t *changed,
                            struct leat_error *err);
int leat_rows_settle(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     const char *stream_id, const struct leat_shard_list *shards, size_t *changed,
                     struct leat_error *err);
int leat_rows_sync_end(struct leat_pg_connection *connection,
                       const struct leat_rows_context *context, int status, size_t changed,
                       struct leat_error *err);

#endif
