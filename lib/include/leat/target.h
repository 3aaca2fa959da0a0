/*
 * A target: where rows go. `targets/postgres` is the model, `targets/jsonl` the smallest.
 *
 * A transactional target keeps the progress rows itself and commits rows, ledger, fence and progress
 * in one transaction (exactly once). A target without transactions only writes rows: leat keeps its
 * progress in the lease database, under the same rules, after the rows were written (at least once).
 *
 * Threads: open, describe and close on any one thread at a time; a committer belongs to one thread.
 * What a call returns in slices is the committer's, until the next call on that committer.
 */
#ifndef LEAT_TARGET_H
#define LEAT_TARGET_H

#include "host.h"
#include "option.h"
#include "table.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LEAT_TARGET_ABI_MAJOR 1
#define LEAT_TARGET_ABI_MINOR 0

#define LEAT_URL_BYTES 8192
/* A URL as it is now, with its zero; it may hold a secret. 0, or an error that says why not. Any thread. */
typedef int (*leat_url_fn)(void *context, char *out, size_t room, struct leat_error *err);
/* Is this the target that the processor is registered with? 0, or an error that names both: then nothing may be written. Any thread. */
typedef int (*leat_check_id_fn)(void *context, struct leat_slice id, struct leat_error *err);

struct leat_target_context {
    size_t size;
    struct leat_slice application;
    struct leat_slice processor;
    struct leat_slice url; /* the target's own, or the application's database; may hold a secret */
    /* To be asked for at each connect instead of url: its file is written anew when a password or a host changes. NULL: url. */
    leat_url_fn current_url;
    void *url_context;
    /* To be asked at each connect, with an id that the target has itself, wherever it is reached (at most 63 bytes): an address may
       lead to another database than yesterday. NULL: nobody knows. */
    leat_check_id_fn check_id;
    void *id_context;
    /* Where the application's leases are, without secrets: for texts. */
    struct leat_slice leases_name;
};

struct leat_progress_key {
    struct leat_slice application, processor, tenant, stream_id, shard;
};

/* A row of leat.progress. */
struct leat_progress {
    bool exists;
    bool has_saved_state;
    int64_t lease_counter, lease_owner, commit_seq;
    /* Takes in a row that a call of the processor followed, and no commit: see count_takes. A target without that
       operation may count as it likes. */
    int32_t takes;
    struct leat_slice
        checkpoint;       /* TRIM_HORIZON | AT_TIMESTAMP:<µs> | sequence number | SHARD_END */
    int64_t sub_sequence; /* the last done inside the aggregate at checkpoint; -1: all of it */
    struct leat_slice saved_state;
    struct leat_slice probe_sequence; /* empty: not probing */
    int64_t probe_sub;
};

enum leat_take_outcome {
    LEAT_TAKEN = 0,
    LEAT_TAKE_AHEAD = 1,   /* progress has a counter >= ours: progress.lease_counter says which */
    LEAT_TAKE_WAITING = 2, /* a needed parent is not at SHARD_END in this target */
    LEAT_TAKE_LOCKED = 3,  /* somebody's transaction holds the row still: take again */
    LEAT_TAKE_FAILED = 4   /* see the error of the call */
};

/*
 * One wanted shard: the first part in, the second out; but for progress.commit_seq, which is in, too: the greatest number that this
 * worker has seen of the row, 0: none. A target that failed over may have lost commits, so that the row's number is less. A
 * commit of this worker whose answer never came may still run there, on the condition of a number up to that one: what the take
 * leaves has to be greater than both. It is the row's + 2, or where the row has less than was seen, what was seen + LEAT_TAKE_LEAP.
 */
#define LEAT_TAKE_LEAP 1000000
struct leat_take {
    struct leat_progress_key key;
    int64_t lease_counter;
    int64_t
        incarnation; /* of this worker: what ownership is by; 63 random bits; the same in all of a call */
    struct leat_slice initial;        /* the checkpoint of a row that is not there yet */
    const struct leat_slice *parents; /* shards that must be at SHARD_END for this processor */
    size_t parent_count;

    enum leat_take_outcome outcome;
    struct leat_progress progress;
};

enum leat_take_count_outcome {
    LEAT_TAKE_COUNTED = 0,
    LEAT_TAKE_COUNT_FENCED = 1, /* the row is not as the take left it, or is not there */
    LEAT_TAKE_COUNT_LOCKED = 2, /* somebody's transaction holds the row: count again */
    LEAT_TAKE_COUNT_FAILED = 3  /* see the error of the call */
};

/* One take that is to be counted. Frozen: arrays of it are indexed. */
struct leat_take_count {
    struct leat_progress_key key;
    int64_t lease_counter, incarnation, commit_seq; /* as the take left them */
    int32_t takes; /* what the row is to say: a count that is made twice counts once */
    enum leat_take_count_outcome outcome;
};

/* A diverted record in the ledger (leat.failures). */
struct leat_failure {
    struct leat_slice dead_letter_id; /* hex SHA-256, see docs/protocol.md §7 */
    struct leat_slice sequence;
    int64_t sub_sequence;
    struct leat_slice partition_key; /* bytes of the stream: stored as bytea */
    int64_t arrival_us;
    int64_t data_bytes;
    int32_t attempts;
    struct leat_slice reason;   /* one word: failed | rejected | exhausted | crashed | … */
    struct leat_slice text;     /* escaped, at most 1,000 bytes */
    struct leat_slice sqlstate; /* empty: none */
    struct leat_slice archive_url;
    struct leat_slice dead_letter_position; /* shard:sequence in the DLQ; empty: none */
};

enum leat_state_change {
    LEAT_STATE_KEEP = 0,
    LEAT_STATE_SET = 1 /* to saved_state; empty clears */
};

/* One shard's part of a flush. */
struct leat_flush_shard {
    struct leat_progress_key key;
    int64_t lease_counter;
    int64_t commit_seq; /* as it is before this commit; the commit makes it + 1 */
    struct leat_slice checkpoint;
    int64_t sub_sequence;
    enum leat_state_change state_change;
    struct leat_slice saved_state;
    const struct leat_failure *failures;
    size_t failure_count;
};

/*
 * Rows of one table and one operation, each key once, sorted by key. All rows of a group have
 * LEAT_ABSENT in the same columns; a deletion has values in the key columns alone.
 */
struct leat_flush_rows {
    const struct leat_table *table;
    size_t table_index; /* in the processor's tables */
    enum leat_operation operation;
    size_t count;
    size_t width;                    /* columns of the table */
    const struct leat_value *values; /* count × width, row by row */
};

/* Where a shard was before its checkpoint became SHARD_END. Frozen: arrays of it are indexed. */
struct leat_flush_end {
    struct leat_slice checkpoint; /* empty: this shard's checkpoint is not SHARD_END */
    int64_t sub_sequence;
};

/* A prefix of complete epochs of one processor, to be committed whole or not at all. */
struct leat_flush {
    size_t size;
    int64_t incarnation;
    size_t shard_count;
    const struct leat_flush_shard *shards; /* in key order, each key once */
    size_t group_count;
    const struct leat_flush_rows *groups; /* applied in this order */
    /*
     * By group: its keys, and those of the groups before, may be equal in the target though they differ here, and the rows are in
     * the order in which they came, or in any: written one by one they give what is right. false: a target that finds two
     * keys of one group equal has to refuse the flush. NULL: all false.
     */
    const bool *is_divisible;
    /* By shard: to be kept beside SHARD_END, for progress_reopen. NULL: no shard of this flush ends. */
    const struct leat_flush_end *ends;
};

/*
 * How a column of the target keeps values: rows of one key are merged before they are written, and what is equal in the target
 * must be equal then. Frozen: arrays of it are indexed.
 */
enum leat_form_kind {
    LEAT_FORM_SAME = 0, /* as the column's type says */
    LEAT_FORM_NUMERIC =
        1, /* rounded to `scale` places, half away from zero; `digits`: all of them; 0: any */
    LEAT_FORM_INTEGER = 2,   /* of `digits` bytes: 2, 4 or 8; a decimal is rounded to it */
    LEAT_FORM_FLOAT32 = 3,   /* of single precision */
    LEAT_FORM_TIMESTAMP = 4, /* rounded to `scale` places of a second */
    LEAT_FORM_VARCHAR =
        5,              /* `digits` characters at most, but blanks at the end, which are cut off */
    LEAT_FORM_CHAR = 6, /* the same (0: any number), and blanks at the end count for nothing */
    LEAT_FORM_UUID = 7  /* a text in any spelling that Postgres takes for a uuid */
};
enum leat_form_flag {
    LEAT_FORM_NOT_NULL = 1, /* a null is refused */
    LEAT_FORM_DEFAULT =
        2, /* a new row's absent value is something that counts for the column's rule */
    LEAT_FORM_NEEDED = 4 /* a new row's absent value is refused */
};
struct leat_form {
    uint32_t kind;  /* enum leat_form_kind; one that leat does not know: LEAT_FORM_SAME */
    uint32_t flags; /* enum leat_form_flag */
    int32_t digits, scale;
};
struct leat_table_forms {
    size_t size;
    bool is_known;             /* false: nothing is known of this table */
    bool may_equal;            /* keys that differ by their forms may yet be one in the target */
    struct leat_form *columns; /* of the table, in its order; the caller's, all zero before */
};

enum leat_commit_outcome {
    LEAT_COMMITTED = 0,
    LEAT_COMMIT_FENCED = 1, /* this shard's progress is not as this flush says */
    LEAT_COMMIT_AGAIN = 2,  /* nothing wrong with this one: send again without the others */
    LEAT_COMMIT_DATA = 3,   /* the rows are refused, surely for what they hold: 22, 23, 44, P0001 */
    LEAT_COMMIT_TRANSIENT = 4,     /* wait, uncounted */
    LEAT_COMMIT_CONFIGURATION = 5, /* not the rows' fault: wait, visibly */
    LEAT_COMMIT_UNKNOWN = 6,       /* the answer to COMMIT was lost: resolve */
    /* The rows are refused, for what they hold or for what the table is: nobody can tell by the refusal alone. The host looks
       for rows of the same kind that are taken (try_rows): then it is data; else it waits, visibly. */
    LEAT_COMMIT_REFUSED = 7,
    /* Nothing was written, and nothing is wrong with the rows: the target keeps values otherwise than its forms said when they
       were merged. The host makes the flush anew, from the next take on, when it asks for the forms again. */
    LEAT_COMMIT_ANEW = 8
};

struct leat_commit_result {
    enum leat_commit_outcome outcome;
    char sqlstate[8];
    char text[LEAT_ERROR_TEXT_BYTES];
};

/* Rows that are only tried. */
struct leat_trial {
    size_t size;
    const struct leat_flush_rows
        *known; /* first: rows of which the target is thought to take each */
    size_t known_count;
    const struct leat_flush_rows *groups; /* behind them: those in question */
    size_t group_count;
};

enum leat_trial_outcome {
    LEAT_TRIAL_TAKEN = 0, /* all of them would have been written */
    LEAT_TRIAL_KNOWN_REFUSED = 1,
    LEAT_TRIAL_REFUSED = 2 /* the known ones are taken, the others are not */
};

/*
 * Which progress rows go: those of this processor and stream that say SHARD_END, but for shards that are known, and for parents
 * of which a child has no row yet (pairs of a parent and a child).
 */
struct leat_progress_forget {
    size_t size;
    struct leat_slice application, processor, tenant, stream_id;
    const struct leat_slice *known;
    size_t known_count;
    const struct leat_slice *parents, *children;
    size_t pair_count;
    size_t most; /* in one call */
};

/*
 * A shard is open, and progress says that it has ended: back to the position that was kept beside SHARD_END, if progress is still as
 * it was read.
 */
enum leat_reopen_outcome {
    LEAT_REOPENED = 0,
    LEAT_REOPEN_MOVED = 1,  /* progress is not as it was read: nothing was done */
    LEAT_REOPEN_UNKNOWN = 2 /* no position was kept: nothing was done */
};
struct leat_progress_reopen {
    size_t size;
    struct leat_progress_key key;
    int64_t lease_counter, commit_seq; /* as they were read; the statement makes commit_seq + 1 */
    /* Out: */
    enum leat_reopen_outcome outcome;
    struct leat_slice checkpoint; /* where it is read on */
    int64_t sub_sequence;
};

typedef void (*leat_mismatch_fn)(void *context, const char *text);
typedef void (*leat_write_fn)(void *context, const char *text, size_t size);
typedef void (*leat_shard_fn)(void *context, struct leat_slice shard);

struct leat_target {
    size_t size;
    uint32_t abi_major, abi_minor;
    const char *name, *version, *summary;
    const struct leat_option *options;
    bool is_transactional;

    /* Opens no connection that the first committer does not need: cheap and offline. */
    int (*open)(const struct leat_host *host, const struct leat_target_context *context,
                const struct leat_options *options, void **ret_target, struct leat_error *err);
    void (*close)(void *target);

    /* Compares with what is there; one call of report for each difference. Connects. May be NULL. */
    int (*describe)(void *target, const struct leat_table *tables, leat_mismatch_fn report,
                    void *context, struct leat_error *err);
    /* Writes the statements that make the tables. May be NULL. */
    int (*ddl)(void *target, const struct leat_table *tables, leat_write_fn write, void *context,
               struct leat_error *err);

    /* index: 0 … committers - 1. tables live as long as the target. */
    int (*committer_open)(void *target, const struct leat_table *tables, unsigned index,
                          void **ret_committer, struct leat_error *err);
    void (*committer_close)(void *committer);

    /* The next three are NULL where is_transactional is false. */
    int (*take)(void *committer, struct leat_take *takes, size_t count, struct leat_error *err);
    /* Plain read, for children that wait for their parents. */
    int (*progress_read)(void *committer, const struct leat_progress_key *keys, size_t count,
                         struct leat_progress *ret_progress, struct leat_error *err);
    /* After LEAT_COMMIT_UNKNOWN: committed, as before (LEAT_COMMIT_AGAIN), or LEAT_COMMIT_FENCED. */
    int (*resolve)(void *committer, const struct leat_flush *flush,
                   struct leat_commit_result *results, struct leat_error *err);
    /* One result per shard of the flush. 0 when results are filled in, whatever they say. */
    int (*commit)(void *committer, const struct leat_flush *flush,
                  struct leat_commit_result *results, struct leat_error *err);
    /* Crash probing: writes the position about to be tried, conditioned like a commit. */
    int (*probe)(void *committer, const struct leat_flush_shard *shard, int64_t incarnation,
                 struct leat_slice sequence, int64_t sub_sequence, struct leat_error *err);
    /* Removes rows of shards that have left their stream. May be NULL; targets older than it do not have it (size). */
    int (*progress_forget)(void *committer, const struct leat_progress_forget *forget,
                           size_t *ret_removed, struct leat_error *err);
    /* Writes these rows as a commit would, with all that is checked at its end, and takes them back; 0 when *ret_outcome says
       what came of it. NULL, or an older target: LEAT_COMMIT_REFUSED is then LEAT_COMMIT_CONFIGURATION. */
    int (*try_rows)(void *committer, const struct leat_trial *trial,
                    enum leat_trial_outcome *ret_outcome, struct leat_error *err);
    /* Shards of this processor and stream that have a progress row, whatever it says (of.shard is not looked at); one call of
       each for every one. Whoever has progress does not meet the stream for the first time. May be NULL, and is not there in
       targets older than it (size): then leat asks by the shards that are listed. */
    int (*progress_list)(void *committer, const struct leat_progress_key *of, leat_shard_fn each,
                         void *context, struct leat_error *err);
    /* How table number `table` keeps values, as last seen. Called after takes, when rows are merged by it, and before commits:
       rows that were merged by what it said before are made anew (see LEAT_COMMIT_ANEW). No I/O. May be NULL. */
    void (*forms)(void *committer, size_t table, struct leat_table_forms *ret_forms);
    /* Writes the statements that let `user` write these tables (`leat db grants`). Connects nowhere. May be NULL, and is not
       there in targets older than it (size): there is nothing to grant then. */
    int (*grants)(void *target, const struct leat_table *tables, struct leat_slice user,
                  leat_write_fn write, void *context, struct leat_error *err);
    /* Puts progress of a shard that is open back from SHARD_END. May be NULL, and is not there in targets older than it (size):
       then a person has to say from where. */
    int (*progress_reopen)(void *committer, struct leat_progress_reopen *reopen,
                           struct leat_error *err);
    /* Called before the first call of the processor behind a take, not for takes of shards that stay idle; many at once. Writes
       `takes` where counter, incarnation and commit_seq are equal, and nothing else: commit_seq stays. take leaves the number,
       commit sets it to 0. So the number says how many takes in a row ended without a commit though the processor was called.
       May be NULL, and is not there in targets older than it (size): then no call waits, and nothing is told of such takes. */
    int (*count_takes)(void *committer, struct leat_take_count *counts, size_t count,
                       struct leat_error *err);
};

typedef const struct leat_target *(*leat_target_v1_fn)(void);
#define LEAT_TARGET_SYMBOL "leat_target_v1"

#ifndef LEAT_EXPORT
#if defined(__GNUC__)
#define LEAT_EXPORT __attribute__((visibility("default")))
#else
#define LEAT_EXPORT
#endif
#endif

#define LEAT_TARGET(...)                                                                           \
    LEAT_EXPORT const struct leat_target *leat_target_v1(void);                                    \
    LEAT_EXPORT const struct leat_target *leat_target_v1(void)                                     \
    {                                                                                              \
        static const struct leat_target leat_target_descriptor = {                                 \
            .size = sizeof(struct leat_target),                                                    \
            .abi_major = LEAT_TARGET_ABI_MAJOR,                                                    \
            .abi_minor = LEAT_TARGET_ABI_MINOR,                                                    \
            __VA_ARGS__};                                                                          \
        return &leat_target_descriptor;                                                            \
    }                                                                                              \
    struct leat_target

#ifdef __cplusplus
}
#endif
#endif
