/*
 * When a shard stands still though there is something to do, what it waits for, and what is done about it. Pure: facts and the
 * time are arguments, memory is the caller's.
 *
 * Progress is a commit, or an answer that brings the shard nearer to its stream's tip than ever since the last commit: all else
 * (a take, a chunk, a call that returns) happens over and over to a shard that never gets anywhere.
 */
#ifndef LEAT_PIPELINE_STUCK_H
#define LEAT_PIPELINE_STUCK_H

#include <stdbool.h>
#include <stdint.h>

enum leat_waits_for {
    LEAT_WAITS_FOR_NOTHING = 0, /* nothing to do */
    /* Stuck when it lasts: nobody says that anything is wrong. */
    LEAT_WAITS_FOR_CALL,    /* the plugin */
    LEAT_WAITS_FOR_TARGET,  /* a commit */
    LEAT_WAITS_FOR_LETTERS, /* archive and dead-letter stream */
    LEAT_WAITS_FOR_TAKE,
    LEAT_WAITS_FOR_STREAM, /* answers */
    LEAT_WAITS_FOR_LEASES, /* the lease database: children of a shard that is at its end */
    LEAT_WAITS_FOR_THREAD,
    /* Somebody says what is wrong, or it is nobody's fault: never stuck. */
    LEAT_WAITS_FOR_PARENTS,
    LEAT_WAITS_FOR_MEMORY, /* rows of other shards are to be written first */
    LEAT_WAITS_FOR_RETRY,  /* backs off: counted, and diverted in the end */
    LEAT_WAITS_FOR_OUTAGE, /* of target, stream, archive, or what the processor needs: told by them */
    LEAT_WAITS_FOR_OPERATOR /* blocked, stopped, paused, retired */
};
extern const char *const leat_waits_for_text[];

struct leat_stuck_facts {
    uint64_t progress;     /* another number: it made some */
    int64_t call_since_us; /* in a call into the plugin since; 0: it is not */
    int64_t call_due_us;   /* by when that is to be back */
    int64_t answered_us;   /* the stream's last answer */
    int64_t behind_ms;     /* as of then; -1: not known */
    bool is_at_rest;       /* paused, draining, ended, lost */
    bool is_blocked;       /* until somebody does something */
    bool is_outage;
    bool is_waiting_parents, is_taking, is_ending;
    bool is_behind_a_call; /* of the same shard, of an earlier lease: takes when that is back */
    bool is_retrying;
    bool has_chunks, has_rows, has_letters;
    bool is_short_of_memory;
};

struct leat_stuck_settings {
    int64_t stuck_after_us; /* named */
    int64_t act_after_us;   /* 0: never */
};

enum leat_stuck_act {
    LEAT_STUCK_NOTHING = 0,
    LEAT_STUCK_NAME, /* stuck from now */
    LEAT_STUCK_OVER, /* no longer */
    LEAT_STUCK_REWIND,
    LEAT_STUCK_GIVE_AWAY
};

/* Zeroed at first. */
struct leat_stuck {
    uint64_t progress;
    int64_t since_us; /* it stands still; 0: it does not */
    enum leat_waits_for waits_for;
    bool is_named;
    unsigned acts;    /* so far */
    int64_t acted_us; /* the last one */
};

bool leat_is_stuck(enum leat_waits_for waits_for); /* when it lasts */
/* One look. */
enum leat_stuck_act leat_stuck_look(struct leat_stuck *stuck, const struct leat_stuck_facts *facts,
                                    const struct leat_stuck_settings *settings, int64_t now_us);

#endif
