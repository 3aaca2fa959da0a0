/*
 * Last words: what a thread was calling when a fatal signal came, as one log line, so that a plugin that crashes can be found.
 * Then the signal does what it would have done: the core dump is that of the fault. Not with sanitizers, which have handlers of
 * their own.
 *
 * Threads: each says what it calls; the handler runs on the thread that crashed, on a stack of its own.
 */
#ifndef LEAT_BASE_CRASH_H
#define LEAT_BASE_CRASH_H

#include <leat/error.h>
#include <leat/slice.h>

/* Once, at start: for the whole process. Signals that somebody else handles already are left to him. */
void leat_crash_install(void);

struct leat_crash_call {
    const char *kind, *plugin, *call; /* "processor", "rollup", "process" */
    const char *processor;
    struct leat_slice stream, shard;
};
/* This thread calls that from now on: copied. Until the end; calls do not nest. */
void leat_crash_call_begin(const struct leat_crash_call *call);
/* With these records. The sequence number is copied. */
void leat_crash_call_records(struct leat_slice first_sequence_number, size_t count);
/* It has answered for this record (emitted, failed): borrowed until the call's end. */
void leat_crash_call_reached(struct leat_slice sequence_number);
void leat_crash_call_end(void);

/* For the life of a thread: a stack on which it can say that its own is full. NULL where there is none. */
void *leat_crash_stack_begin(void);
void leat_crash_stack_end(void *stack);

#endif
