/* The parts of `leat checkpoint`: what is to be moved (checkpoint.c), what the stream says to it (checkpoint_source.c), and the
   moving (checkpoint_set.c). One thread. */
#ifndef LEAT_WORKER_CHECKPOINT_H
#define LEAT_WORKER_CHECKPOINT_H

#include "stream/rewind.h"
#include "worker/operator.h"

/* One shard of the processor. Texts live in the arena. */
struct leat_checkpoint_item {
    const char *stream_id, *stream, *shard;
    const char *initial; /* where it would begin, had nothing been committed */
    const char *from;    /* its checkpoint; NULL: no progress yet */
    int64_t from_sub;
    struct leat_position at; /* the same, or the initial one */
    struct leat_position to;
    enum leat_rewind_direction direction;
    const char *note;   /* what must be known of it; NULL: nothing */
    bool is_left_alone; /* has left the stream; note says so */
};

struct leat_checkpoint {
    struct leat_operator *task;
    const struct leat_config_processor *processor;
    struct leat_pg_connection *target; /* where the progress is */
    struct leat_arena arena;
    struct leat_checkpoint_item *items; /* by stream and shard, in bytes' order */
    size_t count;
    struct leat_position to;
};

/* Asks each stream what it has and what time it is; sets each item's `to`, notes, and who is left alone. An exit code; says what
   is wrong. */
int leat_checkpoint_ask_streams(struct leat_checkpoint *checkpoint);
/* Reads where each item is: from, at. An exit code. */
int leat_checkpoint_read(struct leat_checkpoint *checkpoint);
/* Moves them all: the target first, in one transaction, then the lease database. An exit code; prints what it did. */
int leat_checkpoint_move(struct leat_checkpoint *checkpoint);
/* old -> new, one row each. */
int leat_checkpoint_print(const struct leat_checkpoint *checkpoint);

#endif
