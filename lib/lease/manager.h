/*
 * The lease manager: registers this worker, keeps its heartbeat, judges neighbours, runs the pass, syncs shards, and
 * tells the pipeline which leases it owns. The interface between lib/lease and lib/pipeline; worker/ joins the two.
 *
 * Threads: its own two (heartbeat; manager). Events are called on the manager thread and must not block; the functions
 * below may be called from any thread, also from inside an event: they post to the manager thread.
 */
#ifndef LEAT_LEASE_MANAGER_H
#define LEAT_LEASE_MANAGER_H

#include <leat/target.h>

#include "base/log.h"
#include "base/map.h"
#include "lease/lease.h"
#include "lease/streams.h"

struct leat_lease_manager;

/* Where a processor begins in a shard that it needs: as it was stored when it first met the stream. */
struct leat_shard_start {
    const char *processor;
    struct leat_slice start;          /* the checkpoint of a progress row that is not there yet */
    const struct leat_slice *parents; /* those that it needs, too, and that have a lease */
    size_t parent_count;
};

/* An owned lease, as handed to the pipeline. Slices live for the call. */
struct leat_owned_lease {
    struct leat_lease_key key;
    int64_t lease_counter;
    const struct leat_shard_start *starts; /* of this worker's processors that need the shard */
    size_t start_count;
    struct leat_slice starting_hash_key, ending_hash_key;
    struct leat_source *source;
};

enum leat_lease_loss {
    LEAT_LOSS_FENCED = 0, /* somebody else owns it (forced, judged dead, operator) */
    LEAT_LOSS_WORKER = 1, /* this incarnation was declared dead: all leases are gone */
    LEAT_LOSS_GONE = 2    /* the row or the stream is gone */
};

/* leat.processors.state: the operator's word. */
enum leat_processor_state {
    LEAT_PROCESSOR_ACTIVE = 0,
    LEAT_PROCESSOR_PAUSED = 1, /* reads nothing, keeps its place: shards' ends wait for it */
    LEAT_PROCESSOR_RETIRED = 2 /* nobody waits for it any more */
};

struct leat_known_shards {
    struct leat_slice stream_id;
    const struct leat_slice *shards;
    size_t count;
    const struct leat_slice *parents, *children; /* pairs */
    size_t pair_count;
};

/* Has this processor progress in the stream, in its target? */
struct leat_progress_question {
    const char *processor;
    struct leat_slice stream_id;
    const struct leat_shard_list *listed;
    int64_t until_us; /* monotonic: how long the answer may be waited for */
};
/* Shards that have a progress row, listed or not. */
struct leat_known_progress {
    struct leat_map shards; /* shard -> not NULL */
};

/* Monotonic; 0: never. */
struct leat_reading {
    int64_t failing_since_us; /* it is refused, or the service is away; 0: it is not */
    int64_t answered_us;      /* the last answer */
    bool is_denied;           /* credentials, rights */
};

struct leat_lease_events {
    void *context;
    /* Ours now (or its counter was raised: called again with the new counter). */
    void (*acquired)(void *context, const struct leat_owned_lease *lease);
    /* A handoff or a shutdown: what has not begun is thrown away, a call that runs may go on until call_deadline_us, complete
       epochs may be flushed until deadline_us (both monotonic µs), then leat_lease_let_go. */
    void (*drain)(void *context, struct leat_lease_key key, int64_t call_deadline_us,
                  int64_t deadline_us);
    /* Is a processor in a call for this lease? Then it is let go at call_deadline_us without waiting; the call will not count. */
    bool (*is_calling)(void *context, struct leat_lease_key key);
    /* The stream is gone: nothing more is read, what is in memory is the last of it. It is processed and flushed, however long
       that takes, then leat_lease_let_go. */
    void (*finish)(void *context, struct leat_lease_key key);
    /* Ours, and the list of its stream names children of it: it is closed, and they wait for its end. May be NULL. */
    void (*closed)(void *context, struct leat_lease_key key);
    /* The handoff was taken back: go on. */
    void (*resume)(void *context, struct leat_lease_key key);
    /* Not ours any more: stop at once; nothing can be committed. */
    void (*lost)(void *context, struct leat_lease_key key, enum leat_lease_loss loss);
    /* A new incarnation (at start, and after this worker was declared dead): used by every take and commit from now. */
    void (*incarnation)(void *context, int64_t incarnation);
    /* Something lasts that keeps leases from working, or this worker was declared dead (NULL: it is over); from any of
       its threads, each of which tells its own. May be NULL. */
    void (*trouble)(void *context, const struct leat_error *err);
    /* Once: a pooler stands before the lease database, so no session is ours: deaths are seen by expiry alone, and what
       moved is learnt with the next heartbeat. May be NULL. */
    void (*pooled)(void *context);
    /* What happens to streams, each once; from any of its threads. detail may be "". May be NULL. */
    void (*stream)(void *context, enum leat_log_level level, const char *what, const char *stream,
                   const char *detail);
    /* The state of one of this worker's processors is another one; before any lease is acquired under it. May be NULL. */
    void (*processor)(void *context, const char *name, enum leat_processor_state state);
    /* This worker cannot read a stream, and gives its shards to who can (NULL: it can again). From any of its threads. May be
       NULL. */
    void (*cannot_read)(void *context, const char *stream, const struct leat_error *why);
    /* Leases held here have active processors that this worker does not run: they wait (NULL: none do). May be NULL. */
    void (*unserved)(void *context, const struct leat_error *which);
    /* All time in processor calls for this lease since it is ours, µs, over all processors. NULL: nobody measures. */
    int64_t (*busy_us)(void *context, struct leat_lease_key key);
    /* How reading goes of this lease's shard, over all processors. NULL: nobody knows. */
    void (*reading)(void *context, struct leat_lease_key key, struct leat_reading *ret_reading);
    /* Leases of shards that this processor needs, that are still listed, and that had ended before now: progress that is read
       from now on says SHARD_END, or was lost. On the sync thread. May be NULL. */
    void (*ended)(void *context, const char *processor, struct leat_slice stream_id,
                  const struct leat_slice *shards, size_t count);
    /* The same, of shards that two lists in a row say are open: progress of none of them should be at its end. May be NULL. */
    void (*ended_open)(void *context, const char *processor, struct leat_slice stream_id,
                       const struct leat_slice *shards, size_t count);
    /* All shards of a stream that are listed or have a lease, and who waits for a parent that is neither: whatever progress
       there is of other shards, nobody reads it any more. On the sync thread. May be NULL. */
    void (*known)(void *context, const char *processor, const struct leat_known_shards *known);
    /* The moments of acquired and lost again, for who keeps a log of them: with a context of its own. May be NULL. */
    void (*log_taken)(void *log, struct leat_lease_key key);
    void (*log_lost)(void *log, struct leat_lease_key key, enum leat_lease_loss loss);
    void *log;
    /* What the target knows of a processor that this database has not seen with the stream: with progress there it is no first
       meeting. 0, or why nobody knows now. On the sync thread, which waits. NULL: nobody is asked, each meeting is the first. */
    int (*progress)(void *context, const struct leat_progress_question *question,
                    struct leat_known_progress *ret_known, struct leat_error *err);
    /* Somebody looks: appends what is known of each shard, as JSON (schemas/lease/0006-operator.sql). May be NULL. */
    void (*report)(void *context, struct leat_buf *out);
};

/* A processor of the configuration, as registered in leat.processors. */
struct leat_lease_processor {
    const char *name;
    const char *target_id; /* text that names the target (plugin and uuid or url without secrets) */
    const struct leat_position *start; /* NULL: the stream's. Used once: see leat_stream_spec */
    /* The target's name as it is known now; and what is registered, each time that it is read. Any thread. NULL: target_id. */
    void (*current_target)(void *context, struct leat_buf *out);
    void (*registered)(void *context, const char *target_id);
    void *target_context;
    const char *const *stream_specs; /* names, ARNs, patterns (stream/spec.h); count 0: all */
    size_t stream_count;
};

struct leat_lease_options {
    const char *database_url;
    leat_url_fn current_url; /* the same as it is now, asked for at each connect; NULL: as above */
    void *url_context;
    const char *application;
    const char *worker_id;  /* "auto" or NULL: host-pid-random */
    int64_t heartbeat_us;   /* 1 s */
    int64_t expiry_us;      /* 5 s */
    int64_t drain_us;       /* 200 ms */
    int64_t force_after_us; /* 5 s */
    int64_t lease_grace_us; /* 1 h: an ended lease stays so long after its shard left the stream */
    uint32_t max_leases;
    double weight;
    bool use_notify; /* LISTEN/NOTIFY; everything works without */
    bool use_session_lock;
    struct leat_streams *streams; /* borrowed: worker/ made it, and frees it after the manager */
    const struct leat_lease_processor *processors;
    size_t processor_count;
    struct leat_lease_events events;
};

/* Copies the options; registers nothing yet. */
struct leat_lease_manager *leat_lease_manager_new(const struct leat_lease_options *options,
                                                  struct leat_error *err);
/* Connects, checks the schema's version, registers (waits at most one expiry for a worker id in use), starts the
   threads. Named errors: unreachable database, old or too new schema, worker id in use. */
int leat_lease_manager_start(struct leat_lease_manager *manager, struct leat_error *err);
/* SIGTERM: drains everything (events.drain), waits for let_go of all or the deadline, releases all leases in one
   update, deregisters. Blocks. */
void leat_lease_manager_stop(struct leat_lease_manager *manager, int64_t deadline_us);
void leat_lease_manager_free(struct leat_lease_manager *manager);

int64_t leat_lease_manager_incarnation(const struct leat_lease_manager *manager);
/* Local validity (CLOCK_BOOTTIME): may a target without transactions be written now? */
bool leat_lease_manager_is_valid(const struct leat_lease_manager *manager);

/* The pipeline has flushed and stopped this shard. */
void leat_lease_let_go(struct leat_lease_manager *manager, struct leat_lease_key key);
/* A take found progress with a counter >= ours (docs/protocol.md §3): raised past it, then events.acquired again, or lost. */
void leat_lease_raise(struct leat_lease_manager *manager, struct leat_lease_key key,
                      int64_t progress_counter);
/* Progress disagrees with the lease (fenced): read the lease again now. */
void leat_lease_check(struct leat_lease_manager *manager, struct leat_lease_key key);
/*
 * A shard's end, step 1: upsert leases of the children (told by the source; none: ListShards). done is called on the
 * manager thread when they are committed; only then may SHARD_END be committed (step 2, the pipeline's). more than five: the answer comes later, by done and context. */
void leat_lease_children(struct leat_lease_manager *manager, struct leat_lease_key key,
                         const struct leat_shard_facts *children, size_t child_count,
                         void (*done)(void *context, struct leat_lease_key key), void *context);
/* Step 3: this processor committed SHARD_END, or found it, under this counter; the lease ends when all registered processors
   have. Counts for nothing if the lease has another counter by then: who raised it takes again, and finds what is there. */
void leat_lease_processor_ended(struct leat_lease_manager *manager, struct leat_lease_key key,
                                int64_t lease_counter, const char *processor);
/* There is reason to doubt that what has ended is at SHARD_END in every target: events.ended tells what has, soon. */
void leat_lease_audit(struct leat_lease_manager *manager);
/* Leases that had ended when events.ended told them, and that this processor finds below SHARD_END since: a target went back.
   Dropped while an earlier one waits: whoever finds them asks again. */
struct leat_reopening {
    struct leat_slice stream_id, processor;
    const struct leat_slice *shards;
    size_t count;
};
void leat_lease_reopen(struct leat_lease_manager *manager, const struct leat_reopening *reopening);

/* Reading says that the stream, or this shard of it, is not there: the stream is looked up now. If it is the one that it was, done
   is called (the sync thread; NULL: nobody waits); if not, its leases are given up anyway. */
void leat_lease_doubt(struct leat_lease_manager *manager, struct leat_lease_key key,
                      void (*done)(void *context, struct leat_lease_key key), void *context);
/* The watchdog: which shards stand still (as leat.workers.stuck; NULL: none), said in this worker's row. */
void leat_lease_say_stuck(struct leat_lease_manager *manager, const char *json);
/* A shard stands still here: to another worker, if there is one and the lease was not given away too often of late. keep_us:
   what an owner must have it for, doubled each time. */
void leat_lease_give_away(struct leat_lease_manager *manager, struct leat_lease_key key,
                          int64_t keep_us);

/* What the list of its stream says of a shard. ending: of a closed one, where it is told. */
enum leat_shard_fate { LEAT_SHARD_IS_OPEN = 0, LEAT_SHARD_IS_CLOSED = 1, LEAT_SHARD_IS_GONE = 2 };
typedef void (*leat_fate_fn)(void *context, struct leat_lease_key key, enum leat_shard_fate fate,
                             struct leat_slice ending);
/* A read said that the shard is not there any more, or has ended: is that so? answer is called on the sync thread, when the
   service has listed the shards of this very stream; it is silent while that cannot be told. */
void leat_lease_gone(struct leat_lease_manager *manager, struct leat_lease_key key,
                     leat_fate_fn answer, void *context);

/* Has this worker read one of its streams (or has none yet, and knows so)? Before that it is given no leases. */
bool leat_lease_manager_can_read(struct leat_lease_manager *manager);
/* True when every lease of every configured stream is ended (worker --until-ended), as of the last refresh. */
bool leat_lease_manager_all_ended(struct leat_lease_manager *manager);

struct leat_lease_counts {
    uint64_t owned, total, unowned, workers_alive;
    uint64_t
        unserved; /* of the owned: active processors of theirs wait, which this worker does not run */
    uint64_t acquired, lost, handoffs, passes, deaths_judged, heartbeats, heartbeat_failures;
    uint64_t holes; /* parts of streams that no lease covered, seen from here */
    uint64_t leases_removed, workers_removed;
    int64_t last_heartbeat_us; /* monotonic */
};
void leat_lease_manager_counts(struct leat_lease_manager *manager,
                               struct leat_lease_counts *ret_counts);

#endif
