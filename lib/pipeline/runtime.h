/*
 * The pipeline's inside: processors as they run, consumers and committers, and what passes between them.
 *
 * Who owns what: a consumer's fields belong to the worker thread that runs it (one at a time), but for the mailbox (its
 * lock) and the pendings with the fence (flight_lock, shared with the committer). A committer's fields belong to its thread,
 * but for its queues (its lock). Order of locks: the pipeline.s registry first, then a committer.s, a consumer.s flight_lock, the
 * budget.s, a mailbox, the scheduler.s last.
 */
#ifndef LEAT_PIPELINE_RUNTIME_H
#define LEAT_PIPELINE_RUNTIME_H

#include <stdatomic.h>

#include "base/histogram.h"
#include "base/random.h"
#include "base/thread.h"
#include "pipeline/evidence.h"
#include "pipeline/pending.h"
#include "pipeline/pipeline.h"
#include "pipeline/scheduler.h"
#include "pipeline/stuck.h"
#include "stream/deaggregate.h"

struct leat_committer;
struct leat_consumer;

#define LEAT_PEEK_RECORDS 64

/* Where progress is kept: in the target, or in the lease database for targets without transactions. */
struct leat_store {
    void *committer;
    const struct leat_target *ops; /* take, count_takes, progress_read, commit, resolve */
};

/* tallies.c: what a processor did with one stream. They live as long as the pipeline, whatever becomes of stream, shard and
   consumer: a counter never goes back. */
struct leat_tally {
    _Atomic uint64_t records, stream_records, bytes, epochs, committed, rows_emitted, diverted,
        retries, fenced, rewinds, ticks, lost_shards, expired_checkpoints, outside_hash_range;
    /* From the arrival of a flush's first record to its commit, one a shard and flush. */
    struct leat_histogram end_to_end;
};

/* What is not of one stream: a transaction has rows of several. */
struct leat_counters {
    _Atomic uint64_t flushes, rows_written, progress_removed;
    struct leat_histogram processing, committing; /* calls into the plugin; transactions */
};

struct leat_runtime {
    struct leat_pipeline *pipeline;
    struct leat_pipeline_processor config;
    unsigned index;
    void *instance;
    bool is_open; /* the plugin's open was called */
    const struct leat_table *tables;
    struct leat_merge_schema *schema;
    void *target;
    struct leat_committer *committers;
    struct leat_evidence *evidence;
    struct leat_counters counters;
    struct leat_tally *_Atomic *tallies; /* leat_labels_size of them; NULL: no shard of it came */
    _Atomic bool is_stopped;
    _Atomic int state; /* enum leat_processor_state: the operator's word */
    /* The breaker's minute. */
    struct leat_mutex breaker_lock;
    int64_t minute_us LEAT_FIELD_GUARDED_BY(breaker_lock);
    uint64_t minute_records LEAT_FIELD_GUARDED_BY(breaker_lock), minute_diverted
        LEAT_FIELD_GUARDED_BY(breaker_lock);
};

enum leat_message_kind {
    LEAT_MESSAGE_CHUNK,
    LEAT_MESSAGE_TROUBLE,
    LEAT_MESSAGE_LETTER,
    LEAT_MESSAGE_TAKEN,
    LEAT_MESSAGE_COUNTED, /* its take is: the processor may be called */
    LEAT_MESSAGE_FLUSHED,
    LEAT_MESSAGE_ACQUIRED,
    LEAT_MESSAGE_DRAIN,
    LEAT_MESSAGE_RESUME,
    LEAT_MESSAGE_LOST,
    LEAT_MESSAGE_CHILDREN,
    LEAT_MESSAGE_GONE,
    LEAT_MESSAGE_REWIND, /* the watchdog's */
    LEAT_MESSAGE_STATE,  /* the operator's word on the processor is another one */
    LEAT_MESSAGE_FINISH,
    LEAT_MESSAGE_STREAM_IS_THERE,
    LEAT_MESSAGE_CLOSED, /* the list of the stream names children of it */
    LEAT_MESSAGE_FATE,   /* what the list says of it, since it was asked */
};

struct leat_epoch;

struct leat_message {
    struct leat_message *next;
    enum leat_message_kind kind;
    uint64_t generation;
    struct leat_chunk *chunk;         /* CHUNK */
    struct leat_read_result trouble;  /* TROUBLE; its chunk is NULL */
    struct leat_epoch *epoch;         /* LETTER */
    size_t letter;                    /* LETTER: its index in the epoch */
    struct leat_arena arena;          /* LETTER, TAKEN: of the slices below */
    struct leat_failure failure;      /* LETTER */
    enum leat_take_outcome outcome;   /* TAKEN */
    struct leat_progress progress;    /* TAKEN */
    int64_t takes;                    /* COUNTED: what the row says now */
    struct leat_commit_result result; /* FLUSHED */
    uint64_t records;                 /* FLUSHED: how many records that flush held */
    int32_t attempts;    /* FLUSHED: so often it was sent, while a record stood alone */
    bool has_loose_rows; /* FLUSHED: and rows of no record */
    bool is_end;         /* FLUSHED: SHARD_END was committed */
    int64_t as_of_us;    /* FLUSHED: see consumer_lag.c */
    int64_t lease_counter, incarnation; /* ACQUIRED */
    int64_t deadline_us;                /* DRAIN */
    enum leat_shard_fate fate;          /* FATE */
    struct leat_slice ending;           /* FATE: the ending sequence number, or empty */
    bool is_waiting; /* ACQUIRED, RESUME, STATE: for its predecessor, whose leaving makes it take */
};

struct leat_message *leat_message_new(enum leat_message_kind kind, uint64_t generation);
void leat_message_free(struct leat_message *message);

enum leat_consumer_state {
    LEAT_CONSUMER_WAITING_PARENTS,
    LEAT_CONSUMER_TAKING,
    LEAT_CONSUMER_RUNNING,
    LEAT_CONSUMER_RETRYING,
    LEAT_CONSUMER_UNAVAILABLE,
    LEAT_CONSUMER_ISOLATING,
    LEAT_CONSUMER_ENDING, /* all is done but the children's leases and the commit of SHARD_END */
    LEAT_CONSUMER_DRAINING,
    LEAT_CONSUMER_ENDED,
    LEAT_CONSUMER_BLOCKED,
    LEAT_CONSUMER_LOST,
    LEAT_CONSUMER_PAUSED, /* these two are only shown: see is_paused */
    LEAT_CONSUMER_RETIRED,
};
extern const char *const leat_consumer_state_names[];

/* What the committer says of a consumer's target; the consumer's state is its own. */
enum leat_target_trouble {
    LEAT_TARGET_WELL,
    LEAT_TARGET_AWAY,   /* down: wait */
    LEAT_TARGET_REFUSES /* a table is missing, a right: wait, and process nothing more */
};

struct leat_epoch_letter {
    struct leat_epoch *epoch;
    size_t index;
};

/* An epoch whose letters are not all acknowledged. */
struct leat_epoch {
    struct leat_epoch *next;
    struct leat_consumer *consumer;
    uint64_t generation;
    struct leat_epoch_letter *letters;
    struct leat_emission emission; /* moved in; records are forgotten */
    struct leat_position end;
    uint64_t records;
    struct leat_letter_ticket **tickets;
    size_t ticket_count, waiting;
    struct leat_arena arena;
    struct leat_failure *failures;
    size_t failure_count, failure_capacity;
};

/* The user records of one stream record in a batch. */
struct leat_part {
    const struct leat_raw_record *raw;
    size_t first, count; /* in the consumer's records */
    size_t bad, outside; /* in its bad ones: outside the hash range, and others */
    int64_t first_sub;
    bool is_ended; /* with the last one of the stream record */
};

/* A stream record most of whose user records fail: it is one letter, from this one on. */
struct leat_given_up {
    char sequence[LEAT_SEQUENCE_BYTES + 1];
    int64_t from_sub;
    char text[400];
};

/* Where the next batch begins inside the chunk. */
struct leat_cursor {
    size_t raw;       /* index of the stream record */
    int64_t next_sub; /* the first user record of it that is not done */
};

struct leat_consumer {
    struct leat_actor actor; /* first */
    struct leat_runtime *runtime;
    struct leat_tally *tally; /* of the processor and stream; the runtime's */
    struct leat_committer *committer;
    struct leat_shard shard;
    char *stream, *stream_id, *shard_id;
    struct leat_slice *parents;
    size_t parent_count;
    char *start;
    struct leat_source *source;
    struct leat_deaggregator *deaggregator;
    struct leat_random random;

    struct leat_mutex mailbox_lock;
    struct leat_message *mailbox LEAT_FIELD_GUARDED_BY(mailbox_lock),
        **mailbox_end LEAT_FIELD_GUARDED_BY(mailbox_lock);

    struct leat_mutex flight_lock;
    struct leat_pending *filling LEAT_FIELD_GUARDED_BY(flight_lock),
        *spare LEAT_FIELD_GUARDED_BY(flight_lock);
    bool is_flying LEAT_FIELD_GUARDED_BY(flight_lock), is_urgent LEAT_FIELD_GUARDED_BY(flight_lock);
    int64_t commit_seq LEAT_FIELD_GUARDED_BY(flight_lock);
    /* As it was taken: what the row says as long as nobody else takes it and the target does not go back. */
    uint64_t held_generation LEAT_FIELD_GUARDED_BY(flight_lock);
    int64_t held_counter LEAT_FIELD_GUARDED_BY(flight_lock), held_owner
        LEAT_FIELD_GUARDED_BY(flight_lock);
    /* What the row said of takes when this lease was first taken, since a commit 0: this take is counted as the next. */
    int32_t found_takes LEAT_FIELD_GUARDED_BY(flight_lock);
    uint64_t refused_generation LEAT_FIELD_GUARDED_BY(flight_lock); /* nothing more of it flies */
    _Atomic bool is_stalled; /* waits for the rows of others to be written */
    _Atomic bool is_dirty;   /* stands in the committer's list */
    unsigned queues;         /* of the committer, guarded by its lock: enum leat_queue */
    bool is_leaving;         /* the same: it has asked to be forgotten */
    _Atomic uint64_t generation;
    _Atomic int state; /* the worker thread's; the committer turns taking into waiting_parents */
    _Atomic int target_trouble; /* written by the committer, until a take or a commit succeeds */
    _Atomic bool is_paused; /* written by the worker thread alone: the processor is not active */
    _Atomic int64_t cancel_at_us; /* what is_cancelled compares with */
    _Atomic int64_t
        drain_at_us; /* a handoff: a call that runs longer does not count. INT64_MAX: none */
    _Atomic int64_t unread_since_us;  /* the stream is refused, or away; 0: it is not */
    _Atomic bool is_unread_denied;    /* credentials, rights */
    _Atomic int64_t read_us;          /* the last answer */
    _Atomic int64_t busy_us;          /* in calls that have ended */
    _Atomic uint64_t progress_count;  /* commits, and answers that bring it nearer to the tip */
    _Atomic unsigned marks;           /* enum leat_consumer_mark: as it was left by the last run */
    const char *_Atomic call;         /* which one it is or was */
    _Atomic int64_t calling_since_us; /* monotonic: the plugin is in a call; 0: it is not */
    _Atomic bool is_let_go;           /* the lease is gone: nothing more of it counts */
    const struct leat_consumer
        *predecessor; /* of the same shard, still in a call; the registry's lock guards it */

    /* The watchdog's; others may look at the atomics. */
    struct leat_stuck stuck;
    int64_t stuck_wall_ms; /* since when it is named */
    bool is_replaced;      /* another thread works in place of the one that is in its call */
    _Atomic int stuck_for; /* enum leat_waits_for: while it is named; 0: it is not */
    _Atomic int64_t
        standing_since_us; /* without progress, though there is something to do; 0: it is not */

    /* The worker thread's. */
    int64_t lease_counter, incarnation;
    int64_t least_behind_ms;      /* of the answers since the last commit */
    uint64_t stored_letters;      /* since the take */
    uint64_t most_stored_letters; /* by any take since the last commit */
    /* consumer_begin.c: for which lease the take was counted (0: none), and asked to be; whether that lease has committed. */
    int64_t counted_counter, counted_owner, settled_counter, settled_owner;
    bool is_counting;
    bool is_begun;    /* shard_begin was called */
    bool needs_begin; /* what saved_state says is still to be told to the processor */
    void *plugin_state;
    struct leat_buf saved_state;
    bool has_saved_state;
    struct leat_position position;      /* behind the last complete or open epoch */
    struct leat_position last_position; /* before SHARD_END was */
    bool is_filtering;                  /* records at or before position may still come */
    struct leat_feed *feed;
    struct leat_chunk *chunks[8], *last_chunk; /* the last one tells the children */
    size_t chunk_count;
    struct leat_cursor cursor;
    struct leat_record *records;
    const struct leat_record **record_pointers;
    struct leat_user_record *bad; /* diverted before the processor saw them */
    size_t record_capacity, bad_count, bad_capacity;
    struct leat_part *parts; /* of the batch, in order */
    size_t part_count, part_capacity;
    struct leat_given_up *given_up;
    size_t given_up_count, given_up_capacity;
    struct leat_given_up open_part; /* of the record that the last batch ended inside of */
    uint64_t open_part_seen, open_part_failed;
    uint64_t ended_records,
        ended_diverted;        /* stream records that end with the batch; for the breaker */
    const char *divert_reason; /* of the whole batch; NULL: what the processor said */
    struct leat_emission emission;
    struct leat_epoch *epochs, **epochs_end;
    size_t epoch_count;
    unsigned attempts, outages;
    bool is_outage_told; /* that what the processor needs is not available */
    bool is_stream_away; /* the state is the stream's doing */
    /* The stream may be gone (is_doubting; why), was not but the shard is (is_stream_lost), or is: what is in memory is the last. */
    bool is_doubting, is_stream_lost, is_finishing;
    struct leat_error doubt;
    int64_t first_failed_us, retry_at_us;
    size_t batch_limit; /* bisection: 0: as configured */
    uint64_t isolation; /* records per commit while a refused row is looked for; 0: not isolating */
    uint64_t suspects;  /* records from the checkpoint on of which one at least is refused */
    bool is_at_tip;    /* the last answer since it was taken was empty, and nothing was behind it */
    bool diverts_next; /* the record at position is refused by the target */
    struct leat_commit_result refusal;
    int32_t refusal_attempts;
    uint64_t
        peek; /* records of the next commit, which is to show whose fault a refusal is; 0: as configured */
    int64_t peek_wait_us, peek_at_us; /* until it is tried with records that came meanwhile */
    unsigned retries_in_vain;         /* the committer's: refusals of lone records that stayed */
    /* The committer's: its row was locked when its take was to be counted, so often, and is tried again then. */
    unsigned locked_counts;
    int64_t count_at_us;
    /* Ticks, and rows of no record. */
    int64_t tick_at_us; /* monotonic; INT64_MAX: there is none */
    unsigned tick_failures;
    int64_t watermark_us, tip_us; /* wall clock; LEAT_WATERMARK_NONE */
    bool
        is_loose_alone; /* a refused flush had rows of no record: such are committed by themselves */
    struct leat_emission *held; /* and kept until it is known whether the target takes them */
    bool is_at_end;
    bool are_children_asked;     /* in this generation: the answer ends the shard */
    bool is_shard_doubted;       /* not its position */
    bool is_gone_asked, is_gone; /* the shard has left its stream: asked, and so it is */
    /* consumer_end.c: is it closed? As the list said; and since when the stream gives no end all the same. */
    bool is_end_asked, is_end_doubted, is_closed, has_children;
    int64_t closed_us, fate_asked_us, endless_since_us;
    unsigned endless_answers;
    bool is_endless_told;
    char ending[LEAT_SEQUENCE_BYTES + 1]; /* "": not told */
    bool is_draining, has_let_go;
    int64_t drain_deadline_us;
    int64_t rest_at_us; /* paused: what is not flushed by then is thrown away; 0: it rests */
    struct leat_error blocked;
    _Atomic int64_t answered_us; /* when the stream said so; monotonic */
    _Atomic int64_t behind_ms;
    /* consumer_lag.c, monotonic; 0: not known. Of the last answer; of the last one of which everything was processed; of the last
       one of which everything is committed. */
    _Atomic int64_t read_as_of_us, committed_as_of_us;
    int64_t processed_as_of_us;
    int64_t batch_arrival_us; /* of the first record of the batch under way; wall clock */
    /* Nothing that was read is still to be processed or committed. */
    _Atomic bool is_idle;
    _Atomic uint64_t record_count, byte_count, commit_count;
};

/* Any thread. */
void leat_consumer_post(struct leat_consumer *consumer, struct leat_message *message);

/* consumer_lag.c */
void leat_consumer_lag_answered(struct leat_consumer *consumer, const struct leat_chunk *chunk);
void leat_consumer_lag_processed(struct leat_consumer *consumer, const struct leat_chunk *chunk);
void leat_consumer_lag_committed(struct leat_consumer *consumer, int64_t at_us);
/* What was read and not committed is dropped: it comes again. */
void leat_consumer_lag_forget(struct leat_consumer *consumer);
/* The end of a run; is_clear: nothing that was read is still to be processed or committed. */
void leat_consumer_lag_rest(struct leat_consumer *consumer, bool is_clear);
/* Any thread. -1: not known. */
int64_t leat_consumer_lag_ms(const struct leat_consumer *consumer, int64_t now_us);

/* consumer.c; everything below: the worker thread that runs it. */
struct leat_consumer *leat_consumer_new(struct leat_runtime *runtime,
                                        const struct leat_owned_lease *lease,
                                        const struct leat_shard_start *start, int64_t incarnation);
void leat_consumer_free(struct leat_consumer *consumer);
void leat_consumer_set_state(struct leat_consumer *consumer, enum leat_consumer_state state);
void leat_consumer_block(struct leat_consumer *consumer, const struct leat_error *why);
/* The target took something: whatever was wrong with it is over. */
void leat_consumer_target_is_well(struct leat_consumer *consumer);
/* Running, or isolating while a refused row is looked for. */
void leat_consumer_go_on(struct leat_consumer *consumer);
/* A take with the same counter: the one recovery path. */
void leat_consumer_rewind(struct leat_consumer *consumer);
struct leat_lease_key leat_consumer_key(const struct leat_consumer *consumer);
/* The greatest commit number that was seen of its progress; 0: none. A committer thread. */
int64_t leat_consumer_seen_seq(struct leat_consumer *consumer);

/* Nothing new: the feed pauses, what has not begun is thrown away, the processor may write what it keeps. */
void leat_consumer_stop_reading(struct leat_consumer *consumer);

/* consumer_call.c: around each call into the plugin. end: it is back in time. late: what then counts instead of its verdict. */
void leat_consumer_call_begin(struct leat_consumer *consumer, const char *what);
bool leat_consumer_call_end(struct leat_consumer *consumer);
enum leat_verdict leat_consumer_call_late(struct leat_consumer *consumer, enum leat_verdict verdict,
                                          struct leat_error *err);

/* consumer_begin.c: before each call but shard_end. false: not yet, whoever makes it so wakes the consumer; or it is blocked. */
bool leat_consumer_may_call(struct leat_consumer *consumer);
void leat_consumer_on_counted(struct leat_consumer *consumer, const struct leat_message *message);
/* The take does not come to a call: it is not to be counted. */
void leat_consumer_count_nothing(struct leat_consumer *consumer);
/* A call went well and left nothing to commit: should there be a commit all the same, so that this take is over? */
bool leat_consumer_is_unsettled(struct leat_consumer *consumer);
void leat_consumer_settle(struct leat_consumer *consumer);

/* consumer_facts.c */
enum leat_consumer_mark {
    LEAT_MARK_CHUNKS = 1,
    LEAT_MARK_LETTERS = 2,
    LEAT_MARK_STREAM_AWAY = 4,
    LEAT_MARK_DRAINING = 8,
    LEAT_MARK_COUNTING = 16,
};
/* Behind each run: what others may know of it. */
void leat_consumer_mark(struct leat_consumer *consumer);
void leat_consumer_see_progress(struct leat_consumer *consumer, const struct leat_chunk *chunk);
void leat_consumer_see_letter(struct leat_consumer *consumer); /* one is stored */
/* Any thread, under the registry's lock. */
struct leat_stuck_facts leat_consumer_facts(struct leat_consumer *consumer,
                                            bool are_letters_blocked);

/* consumer_pause.c: paused or retired, and active again. is_waiting: for its predecessor to leave. */
void leat_consumer_follow(struct leat_consumer *consumer, bool is_waiting);
bool leat_consumer_is_resting(const struct leat_consumer *consumer); /* or is about to */
int64_t leat_consumer_rest(struct leat_consumer *consumer);
/* consumer_finish.c: a stream that is not there: asks, and hears that it is, or that it is gone. */
void leat_consumer_doubt(struct leat_consumer *consumer, const struct leat_read_result *result);
void leat_consumer_doubt_was_wrong(struct leat_consumer *consumer);
void leat_consumer_begin_finish(struct leat_consumer *consumer);
/* All that was read of a stream that is gone is processed: it may drain. */
bool leat_consumer_has_finished(const struct leat_consumer *consumer);

/* consumer_process.c: one batch. Returns when to be run again. */
int64_t leat_consumer_process(struct leat_consumer *consumer);
/* shard_reset to what was saved with the last call that is done. false: it could not, and the shard is blocked. */
bool leat_consumer_reset_state(struct leat_consumer *consumer);
/* A verdict that stops the processor, or none at all. */
void leat_consumer_stop(struct leat_consumer *consumer, enum leat_verdict verdict,
                        struct leat_error *err);
/* Calls the plugin's shard_end. */
void leat_consumer_end_state(struct leat_consumer *consumer, enum leat_shard_end why);
/* consumer_elements.c: stream records most of whose user records fail. */
/* NULL, or from where on this record is given up. */
const struct leat_given_up *leat_consumer_given_up(const struct leat_consumer *consumer,
                                                   struct leat_slice sequence);
/* After a call: are there records to give up? Then it is made again, without them. */
bool leat_consumer_gives_up(struct leat_consumer *consumer);
/* The batch counts. next_sub: where in its last record the next one begins. */
void leat_consumer_see_parts(struct leat_consumer *consumer);
void leat_consumer_forget_parts(struct leat_consumer *consumer, int64_t next_sub);
/* consumer_tick.c: the state begins: no watermark, and a whole interval until the first tick. */
void leat_consumer_begin_ticks(struct leat_consumer *consumer);
/* Calls tick when it is due. true: that was this run's turn, or a tick waits for its turn and nothing may go before it;
   *ret_next_us: when to be run again. */
bool leat_consumer_tick(struct leat_consumer *consumer, int64_t *ret_next_us);
/* What raises the watermark: an answer, and records that are processed. */
void leat_consumer_see_answer(struct leat_consumer *consumer, const struct leat_chunk *chunk);
void leat_consumer_see_records(struct leat_consumer *consumer, size_t count);
/* consumer_lost.c: records that left the stream before they were read. */
void leat_consumer_ask_gone(struct leat_consumer *consumer, const struct leat_error *why);
void leat_consumer_on_gone(struct leat_consumer *consumer, bool is_gone);
void leat_consumer_see_gap(struct leat_consumer *consumer, const struct leat_chunk *chunk);
/* At the end of a shard that is gone: true once it is told, and its letter is on its way. */
void leat_consumer_tell_gone(struct leat_consumer *consumer);
/* consumer_end.c: ends that are told badly, or not at all. */
void leat_consumer_see_end(struct leat_consumer *consumer, const struct leat_chunk *chunk);
void leat_consumer_on_fate(struct leat_consumer *consumer, enum leat_shard_fate fate,
                           struct leat_slice ending);
/* consumer_isolate.c: a commit's answer. */
void leat_consumer_flushed(struct leat_consumer *consumer, const struct leat_message *message);
/* True: it was looking for a refused row, and there is nothing more to look at. */
bool leat_consumer_is_done_isolating(struct leat_consumer *consumer);
/* While it peeks: true when what was gathered is on its way, and nothing more goes with it. */
bool leat_consumer_has_gathered(struct leat_consumer *consumer);
/* The target refuses what was gathered: rewinds when more has come since. Returns when to be run again; -1: it still gathers. */
int64_t leat_consumer_peek_again(struct leat_consumer *consumer);
/* consumer_epoch.c */
/* An epoch of no record, whose only letter says what was lost behind the position. data: JSON. */
void leat_consumer_write_off(struct leat_consumer *consumer, const char *text,
                             struct leat_slice data);
void leat_consumer_close_epoch(struct leat_consumer *consumer, const struct leat_position *end,
                               uint64_t records);
/* The target refuses the rows that are held: each becomes a letter, what else the call said is kept. */
void leat_consumer_divert_held(struct leat_consumer *consumer,
                               const struct leat_commit_result *refusal);
void leat_consumer_drop_held(struct leat_consumer *consumer);
void leat_consumer_letter(struct leat_consumer *consumer, struct leat_message *message);
void leat_consumer_drop_epochs(struct leat_consumer *consumer);
void leat_consumer_commit_end(struct leat_consumer *consumer);
bool leat_consumer_has_room(struct leat_consumer *consumer);
bool leat_consumer_is_flushed(struct leat_consumer *consumer);
void leat_consumer_hurry(struct leat_consumer *consumer);
/* Gives the budget back what these rows held, before they are cleared. */
void leat_consumer_discharge(struct leat_consumer *consumer, struct leat_pending *pending);
void leat_consumer_ask_children(struct leat_consumer *consumer);
void leat_epoch_free(struct leat_epoch *epoch);

/* committer.c */
int leat_committers_start(struct leat_runtime *runtime, struct leat_error *err);
void leat_committers_stop(struct leat_runtime *runtime);
struct leat_committer *leat_committer_for(struct leat_runtime *runtime, struct leat_slice shard);
void leat_committer_take(struct leat_committer *committer, struct leat_consumer *consumer);
void leat_committer_dirty(struct leat_committer *committer, struct leat_consumer *consumer);
/* committer_count.c. Counts its take, and wakes it with COUNTED; a target that does not count: see counts. */
void leat_committer_count(struct leat_committer *committer, struct leat_consumer *consumer);
void leat_committer_count_not(struct leat_committer *committer, struct leat_consumer *consumer);
bool leat_committer_counts(const struct leat_committer *committer);
/* True: the committer does not know this consumer any more. Else it will, and wakes it then. */
bool leat_committer_forget(struct leat_committer *committer, struct leat_consumer *consumer);

/* tallies.c */
void leat_tallies_init(struct leat_runtime *runtime);
void leat_tallies_release(struct leat_runtime *runtime);
/* Any thread. */
struct leat_tally *leat_tally_of(struct leat_runtime *runtime, const char *stream);

/* pipeline.c */
/* What one transaction may hold: as configured, but never more than a part of what rows may hold at all. */
size_t leat_flush_bytes(const struct leat_runtime *runtime);
void leat_pipeline_gone(struct leat_pipeline *pipeline, struct leat_consumer *consumer);
/* Step 1 of a shard's end is done: every consumer of it hears. The lease manager's thread. */
void leat_pipeline_children_done(struct leat_pipeline *pipeline, struct leat_lease_key key);
/* A doubt was wrong: every consumer of that lease hears. Any thread. */
void leat_pipeline_stream_is_there(struct leat_pipeline *pipeline, struct leat_lease_key key);
/* The lease manager's answer: has this shard left its stream? Its sync thread. */
void leat_pipeline_shard_gone(struct leat_pipeline *pipeline, struct leat_lease_key key,
                              bool is_gone);
/* The same thread's answer to a doubt whether it has ended. */
void leat_pipeline_shard_fate(struct leat_pipeline *pipeline, struct leat_lease_key key,
                              enum leat_shard_fate fate, struct leat_slice ending);
/* Rows were written: who waits for room looks again. */
void leat_pipeline_wake_stalled(struct leat_pipeline *pipeline);
void leat_pipeline_let_go(struct leat_pipeline *pipeline, struct leat_consumer *consumer);
/* Loudly, once; every other shard of it stops, too. */
void leat_pipeline_stop_processor(struct leat_consumer *consumer, const struct leat_error *why);
void leat_pipeline_notice(struct leat_consumer *consumer, enum leat_log_level level,
                          const char *what, const struct leat_error *err);
/* The operator's word on it is another one. */
void leat_pipeline_say_state(const struct leat_runtime *runtime);
void leat_pipeline_say(const struct leat_runtime *runtime, enum leat_log_level level,
                       const char *what, const struct leat_error *err);
struct leat_scratch_pool *leat_pipeline_scratch(struct leat_pipeline *pipeline);
struct leat_scheduler *leat_pipeline_scheduler(struct leat_pipeline *pipeline);
const struct leat_pipeline_options *leat_pipeline_options(struct leat_pipeline *pipeline);
struct leat_lease_manager *leat_pipeline_leases(struct leat_pipeline *pipeline);

#endif
