/*
 * The inside of the lease manager.
 *
 * Threads: *heartbeat* owns the session connection (session lock, renewals, LISTEN); *manager* owns the second one (judging, the
 * pass, reading leases, what the pipeline asks); *sync* owns a third one for as long as it lists shards, which may take long.
 * They share this struct under one lock, which is never held over a statement, an event or a source's call.
 */
#ifndef LEAT_LEASE_INSIDE_H
#define LEAT_LEASE_INSIDE_H

#include <stdatomic.h>

#include "base/map.h"
#include "base/random.h"
#include "base/thread.h"
#include "lease/cover.h"
#include "lease/measure.h"
#include "lease/rows_streams.h"
#include "lease/watch.h"

/* To a statement: statement_timeout, and some time for the network. */
#define LEAT_LEASE_ANSWER_US (8 * LEAT_SECOND_US)
/* A worker that is frozen inside a transaction holds up the others for no longer than this: its locks go with its session. */
#define LEAT_LEASE_SETTINGS "-c statement_timeout=5s -c idle_in_transaction_session_timeout=2s"

enum leat_request_kind {
    LEAT_REQUEST_LET_GO,
    LEAT_REQUEST_RAISE,
    LEAT_REQUEST_CHECK,
    LEAT_REQUEST_CHILDREN,
    LEAT_REQUEST_PROCESSOR_ENDED,
    LEAT_REQUEST_REOPEN,
    LEAT_REQUEST_GIVE_AWAY,
};

struct leat_request {
    struct leat_request *next;
    enum leat_request_kind kind;
    int64_t retry_at_us; /* it failed: not before then */
    unsigned failures;
    struct leat_source *source; /* of CHILDREN that are to be listed; a reference */
    struct leat_arena arena;    /* of the slices */
    struct leat_lease_key key;
    int64_t lease_counter;    /* of PROCESSOR_ENDED */
    int64_t progress_counter; /* of GIVE_AWAY: how long an owner must keep it, µs */
    struct leat_shard_list children;
    struct leat_slice processor;
    struct leat_slice *shards; /* REOPEN */
    size_t shard_count;
    void (*done)(void *context, struct leat_lease_key key);
    void *context;
};

/* A lease that is ours, as the pipeline knows it. The manager thread's. */
struct leat_held_lease {
    char *stream_id, *shard;
    int64_t lease_counter;
    bool is_draining, has_let_go, is_seen;
    bool is_finishing;   /* its stream is gone: draining without a deadline */
    bool is_closed_told; /* the list names children of it */
    bool is_partial;     /* begun without a processor that has yet to meet the stream */
    int64_t call_deadline_us, deadline_us; /* while it is draining */
    struct leat_source *source;
};

/* The parts of the manager thread's round that talk to the database. Each has its own trouble: what fails is tried again after a
   while, and holds up none of the others. */
enum leat_round_step {
    LEAT_STEP_JUDGE,
    LEAT_STEP_NOTIFY,
    LEAT_STEP_PASS,
    LEAT_STEP_READ,
    LEAT_STEP_FINISHED,
    LEAT_STEP_DRAINED,
    LEAT_STEP_READING,
    LEAT_STEP_COUNT,
    LEAT_STEP_STUCK,
    LEAT_STEP_TELL,
    LEAT_STEP_LEAVE,
};
#define LEAT_STEPS (LEAT_STEP_LEAVE + 1)

struct leat_step_trouble {
    int64_t retry_at_us;
    unsigned failures;
};

/* Somebody's reading says that a stream is not what it was. */
struct leat_doubt {
    struct leat_doubt *next;
    char *stream_id, *shard;
    int64_t since_us;
    void (*done)(void *context, struct leat_lease_key key);
    void *context;
};

/* What this worker's row says of its loads. The heartbeat thread's. */
struct leat_publishing {
    uint64_t number, sending; /* of leat_lease_manager.loads; 0: nothing was told yet */
    int64_t at_us;
};

/* What the auditor saw of a stream. */
struct leat_covered_stream {
    struct leat_cover_memory memory;
    bool is_told;
};

/* Who has this worker's id: his last renewal, and since when there is no other, by our own clock. */
struct leat_namesake {
    int64_t heartbeat_us, since_us;
};

struct leat_lease_manager {
    struct leat_lease_options options;
    char *database_url, *application, *worker_id;
    struct leat_rows_context rows;
    struct leat_notify notify;
    char host[128];

    struct leat_thread heartbeat_thread, manager_thread, sync_thread;
    struct leat_mutex lock;
    struct leat_condition condition; /* somebody asked for something, or it is time to stop */
    struct leat_condition drained, stopping;
    struct leat_request *requests LEAT_FIELD_GUARDED_BY(lock),
        **requests_end LEAT_FIELD_GUARDED_BY(lock);
    struct leat_request *listing LEAT_FIELD_GUARDED_BY(lock); /* for the sync thread: ends.c */
    unsigned reopenings LEAT_FIELD_GUARDED_BY(lock);          /* requests of that kind that wait */
    struct leat_doubt *doubts
        LEAT_FIELD_GUARDED_BY(lock); /* that the sync thread has yet to take */
    bool is_woken LEAT_FIELD_GUARDED_BY(lock), has_died LEAT_FIELD_GUARDED_BY(lock);
    bool is_draining LEAT_FIELD_GUARDED_BY(lock), is_drained LEAT_FIELD_GUARDED_BY(lock);
    bool is_sync_wanted LEAT_FIELD_GUARDED_BY(lock), is_sync_forced LEAT_FIELD_GUARDED_BY(lock);
    struct leat_gone_question *gone LEAT_FIELD_GUARDED_BY(lock);
    bool is_audit_wanted LEAT_FIELD_GUARDED_BY(lock);
    int64_t drain_deadline_us LEAT_FIELD_GUARDED_BY(lock);
    int64_t next_drain_us;        /* the manager thread's: when a drain has used up its time */
    bool has_said_leaving;        /* the manager thread's: the worker's row says so */
    int64_t leave_alone_until_us; /* the manager thread's: until then all leases go in one update */
    struct leat_health health LEAT_FIELD_GUARDED_BY(lock);
    struct leat_lease_counts counts LEAT_FIELD_GUARDED_BY(lock);
    struct leat_buf loads LEAT_FIELD_GUARDED_BY(lock); /* to be published */
    uint64_t loads_number LEAT_FIELD_GUARDED_BY(lock); /* one more for each that is another one */
    char *stuck LEAT_FIELD_GUARDED_BY(lock);           /* JSON; NULL: nothing is */
    bool is_stuck_said LEAT_FIELD_GUARDED_BY(lock);
    _Atomic bool is_stopping, is_leaving;
    _Atomic int64_t incarnation, version, valid_until_us; /* valid: CLOCK_BOOTTIME */
    _Atomic int64_t beat_failed_us;                       /* the last one that did; 0: none */
    _Atomic int64_t report_wanted_us;                     /* as the last renewal told */
    _Atomic bool all_ended, has_synced;
    struct leat_waker heartbeat_waker;
    struct leat_pg_connection *session; /* made by start, then the heartbeat thread's */
    int64_t session_key;
    struct leat_namesake namesake; /* of who registers: start, then the heartbeat thread */
    bool has_said_pooled; /* of who connects the session: start, then the heartbeat thread */

    /* The sync thread's. */
    struct leat_doubt *doubted;
    struct leat_buf said;  /* runs, in this round */
    bool *is_missing_told; /* by spec */
    bool has_looked;       /* once: then what is missing is waited for */

    int64_t audit_at_us; /* the sync thread's */
    struct leat_map
        latest; /* the same: processor, stream -> when it came, if its target was away */
    struct leat_map
        ended_open; /* the same: stream, shard -> seen as ended and open: once, or again */
    struct leat_listing *listings; /* the same: lists of shards under way, newest first */
    struct leat_map lists_failed;  /* the same: stream -> its last list failed */
    struct leat_map odd_told;      /* the same: stream -> what was said of its list */
    struct leat_map
        refused_told;   /* the same: name -> why it could not be looked up, as it was said */
    bool is_clock_told; /* the same: that the service's clock is not believed */
    /* By options.processors: its target does not answer, so nobody waits for it to meet a stream. Set by the sync thread. */
    _Atomic bool *is_unasked;

    /* The manager thread's. */
    struct leat_pg_connection *connection;
    struct leat_request *waiting, **waiting_end; /* taken of `requests`, to be served */
    bool is_request_told;                        /* that some of them fail */
    struct leat_step_trouble steps[LEAT_STEPS];
    struct leat_map held;
    struct leat_processor_rows processors;     /* all of the application, as last read */
    enum leat_processor_state *states;         /* of options.processors, as the pipeline was told */
    int64_t unserved_since_us, unserved_at_us; /* looked for */
    bool is_unserved_told;
    struct leat_worker_rows workers, neighbours;
    struct leat_watch watch;
    struct leat_lease_rows leases;
    struct leat_measure measure;
    int64_t
        waiting_since_us; /* plans say without a break that they would move something; 0: they do not */
    struct leat_beginnings beginnings; /* of all streams; read while one is missing */
    int64_t reported_us, trim_at_us;
    int64_t read_version, read_at_us, pass_version, pass_at_us, pass_read_at_us, judge_at_us,
        counted_at_us, counted_version;
    bool has_counted_synced;
    struct leat_random random;
    unsigned failures;
    bool is_told;            /* that its rounds fail */
    struct leat_map covered; /* stream_id -> struct leat_covered_stream */
    int64_t cover_at_us;
    int64_t retry_at_us;
    int64_t reading_at_us;
};

/* heartbeat.c */
int leat_heartbeat_register(struct leat_lease_manager *manager,
                            struct leat_pg_connection *connection, int64_t session_key,
                            struct leat_error *err);
int leat_heartbeat_connect(struct leat_lease_manager *manager,
                           struct leat_pg_connection **ret_connection, int64_t *ret_session_key,
                           struct leat_error *err);
void leat_heartbeat_main(void *manager);
void leat_manager_wake(struct leat_lease_manager *manager);
/* manager.c: of every connection to the lease database. */
struct leat_pg_options leat_manager_pg_options(const struct leat_lease_manager *manager,
                                               const char *name, const char *settings);
/* The heartbeat cannot reach the database, or could not a moment ago, and says so itself: others need not. Any thread. */
bool leat_manager_is_cut_off(const struct leat_lease_manager *manager);
/* Told once when it begins and once (err NULL) when it is over; is_told is the calling thread's. */
void leat_manager_trouble(struct leat_lease_manager *manager, bool *is_told,
                          const struct leat_error *err);

/* judge.c: the manager thread. 0, or the connection failed. */
int leat_manager_judge(struct leat_lease_manager *manager, int64_t now_us, struct leat_error *err);
/* pass.c: the same. */
int leat_manager_pass(struct leat_lease_manager *manager, int64_t now_us, struct leat_error *err);

/* publish.c: busy time. The manager thread: */
void leat_manager_measure(struct leat_lease_manager *manager, int64_t now_us);
/* The heartbeat thread: true: this is to go with the next renewal; when that is answered, it was told. */
bool leat_manager_has_loads(struct leat_lease_manager *manager, struct leat_publishing *publishing,
                            int64_t now_us, struct leat_buf *out);
void leat_manager_loads_told(struct leat_publishing *publishing, int64_t now_us);

/* told.c: the manager thread: the answer to somebody who looks, and a bounded history. */
int leat_manager_tell(struct leat_lease_manager *manager, struct leat_error *err);
int leat_manager_trim(struct leat_lease_manager *manager, int64_t now_us, struct leat_error *err);

/* held.c: the manager thread: what we own against what the rows say. */
int leat_manager_read(struct leat_lease_manager *manager, struct leat_error *err);
void leat_manager_lose_all(struct leat_lease_manager *manager, enum leat_lease_loss loss);
/* Does this processor read that stream? Any thread. */
bool leat_manager_takes(const struct leat_lease_processor *processor,
                        const struct leat_source *source);
struct leat_held_lease *leat_manager_find(struct leat_lease_manager *manager,
                                          struct leat_lease_key key);
void leat_manager_lose(struct leat_lease_manager *manager, struct leat_lease_key key,
                       enum leat_lease_loss loss);
void leat_manager_free_held(struct leat_lease_manager *manager);

/* drain.c: the manager thread: handoffs and shutdown. */
void leat_manager_begin_drain(struct leat_lease_manager *manager, struct leat_held_lease *held,
                              int64_t deadline_us);
/* What has used up its time counts as let go. Returns when to look again; INT64_MAX: nothing drains. */
int64_t leat_manager_end_drains(struct leat_lease_manager *manager, int64_t now_us);
/* Lets go, in one update, of all that the pipeline has let go; while leaving only when there are others that still drain. */
int leat_manager_release_drained(struct leat_lease_manager *manager, struct leat_error *err);
/* SIGTERM was asked for: begins it, and says when all is drained. Asks the database nothing. */
void leat_manager_leave(struct leat_lease_manager *manager);
/* In this worker's row, once. */
int leat_manager_say_leaving(struct leat_lease_manager *manager, struct leat_error *err);

/* finish.c: the manager thread: leases of streams that are gone. true: this one is of such a stream, and on its way. */
bool leat_manager_finish_if_gone(struct leat_lease_manager *manager, struct leat_held_lease *held);
/* Those that the pipeline has let go of: ended. */
int leat_manager_end_finished(struct leat_lease_manager *manager, struct leat_error *err);
/* Ours by the rows just read, but never begun here: ended. */
int leat_manager_end_strays(struct leat_lease_manager *manager, struct leat_error *err);

/* processors.c: the registered processors. */
/* What this worker runs, as leat.workers.runs. Any thread. */
void leat_manager_runs(const struct leat_lease_manager *manager, struct leat_buf *out);
/* Of the configuration, with the streams that they read now. One that is refused (CONFLICT, INVALID) holds up no other. */
int leat_manager_register(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                          struct leat_error *err);
/* The same and what this worker runs, where it is not what is stored: before leases of new streams are made. */
int leat_manager_publish(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                         struct leat_error *err);
/* The operator's word on each, told to the pipeline where it is another one; before leases are read. */
int leat_manager_read_processors(struct leat_lease_manager *manager, struct leat_error *err);
/* Leases held here whose stream has active processors that this worker does not run. */
void leat_manager_look_for_unserved(struct leat_lease_manager *manager, int64_t now_us);
/* Part of a pass: streams that nobody gives a processor any more, leases that nobody needs any more. */
int leat_manager_settle_processors(struct leat_lease_manager *manager, struct leat_error *err);

/* stuck.c: the manager thread, but for forget_said. */
int leat_manager_say_stuck(struct leat_lease_manager *manager, struct leat_error *err);
/* A new row of this worker: what stands still is to be said again. */
void leat_manager_forget_said(struct leat_lease_manager *manager);

/* requests.c */
/* Takes what was posted. What asks nothing of the database is served: so what the pipeline has let go is known also while that is
   away, and a worker ends when it is told to. */
void leat_manager_hear(struct leat_lease_manager *manager);
/* Those that are due, for a quarter of a second at most. A failure is the request's own. 0, or the connection failed. */
int leat_manager_serve(struct leat_lease_manager *manager, struct leat_error *err);
void leat_request_post(struct leat_lease_manager *manager, struct leat_request *request);
void leat_request_free(struct leat_request *request);
void leat_requests_free(struct leat_lease_manager *manager);

/* ends.c: so many requests, all of them of shards' ends of one stream. false: it has to be listed first, and went there. */
bool leat_request_is_of_an_end(const struct leat_request *request);
bool leat_request_is_known(struct leat_lease_manager *manager, struct leat_request *request);
/* *ret_is_served of each: the others are asked again. */
int leat_manager_serve_ends(struct leat_lease_manager *manager, struct leat_request **requests,
                            size_t count, bool *ret_is_served, struct leat_error *err);
/* The sync thread: lists children for those that ask. A stream that cannot be listed keeps its own waiting. */
int leat_ends_list(struct leat_lease_manager *manager, struct leat_error *err);

/* gone.c: the sync thread. What was asked before the shards were listed is answered. */
int leat_gone_answer(struct leat_lease_manager *manager, struct leat_source *source,
                     const struct leat_shard_list *shards, int64_t listed_us,
                     struct leat_error *err);
void leat_gone_free(struct leat_lease_manager *manager);

/* audit.c: the sync thread: tells the pipeline what has ended, when that is due. */
int leat_manager_audit(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                       struct leat_error *err);

/* cleanup.c: with the pass; with the sync of a stream; with each round of the sync thread */
int leat_manager_watch_cover(struct leat_lease_manager *manager, int64_t now_us,
                             struct leat_error *err);
int leat_manager_clean_up(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                          const char *stream_id, const struct leat_shard_list *shards,
                          struct leat_error *err);
int leat_manager_purge(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                       struct leat_error *err);

/* meet.c: a stream, just listed, and who has met it. The sync thread. */
struct leat_meeting_stream {
    struct leat_lease_manager *manager;
    struct leat_pg_connection *connection;
    const struct leat_stream *stream;
    const struct leat_lease_rows *leases; /* of the application, as they were before the listing */
    const struct leat_shard_list *shards;
    const struct leat_beginnings *known;
};
/* Those of this worker's processors that it is new to, but for one whose target cannot be asked now: it is said, and left to the
   next round. Before the transaction: it may take long. */
int leat_meet_all(const struct leat_meeting_stream *meeting, struct leat_beginnings *ret_met,
                  struct leat_error *err);

/* odd.c: says what a list tells that nobody can work with: once, and again when it is another. The sync thread. */
void leat_manager_say_odd(struct leat_lease_manager *manager, const struct leat_source *source,
                          const struct leat_shard_list *shards);
/* open.c: shards that have ended here, and that this list says are open. The sync thread, behind the sync of the stream. */
int leat_manager_look_for_open(struct leat_lease_manager *manager, struct leat_source *source,
                               const struct leat_lease_rows *leases,
                               const struct leat_shard_list *shards,
                               const struct leat_beginnings *known, struct leat_error *err);
/* readable.c: the sync thread: tries streams that this worker has not read yet, or cannot. */
int leat_manager_try_streams(struct leat_lease_manager *manager,
                             struct leat_pg_connection *connection, struct leat_error *err);
void leat_manager_cannot_read(struct leat_lease_manager *manager, const struct leat_stream *stream,
                              const struct leat_error *why);
/* When the next one is to be tried; INT64_MAX: none. */
int64_t leat_manager_try_at_us(struct leat_lease_manager *manager);
/* The manager thread: streams of which it holds shards, each second. */
int leat_manager_look_at_reading(struct leat_lease_manager *manager, int64_t now_us,
                                 struct leat_error *err);

/* sync.c */
void leat_sync_main(void *manager);
/* Something is missing that a sync makes: not in a minute, but now, though shards were listed a moment ago. Any thread. */
void leat_manager_sync_soon(struct leat_lease_manager *manager);
/* Any thread: a round now, for what is due. */
void leat_sync_want(struct leat_lease_manager *manager);

/* discover.c: streams of the configuration: what there is, what came, what went. */
void leat_manager_tell_streams(struct leat_lease_manager *manager);
/* Follows leat.streams. The manager and the sync thread. */
int leat_manager_follow_streams(struct leat_lease_manager *manager,
                                struct leat_pg_connection *connection, struct leat_error *err);
/* Looks up what is due and nobody else is at, and follows. The sync thread. */
int leat_discover(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                  struct leat_error *err);
/* The same before it starts, where nothing can be read yet: what is wrong ends the start. */
int leat_discover_at_start(struct leat_lease_manager *manager,
                           struct leat_pg_connection *connection, struct leat_error *err);
/* doubt.c: the sync thread: what readers doubt, before a look (which specs have to be looked up) and after it. */
void leat_doubts_take(struct leat_lease_manager *manager);
void leat_doubts_force(struct leat_lease_manager *manager, bool *is_forced);
int leat_doubts_settle(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                       struct leat_error *err);
void leat_doubts_free(struct leat_lease_manager *manager);

#endif
