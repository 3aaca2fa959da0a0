/*
 * The record processor: the one thing that a user of leat writes. Only `process` is required.
 *
 * Order and threads: never two calls at once for one (shard, lane); many shards at once, so an
 * instance is shared between threads and a state is not. No exception, panic or longjmp may cross
 * this border; no fork, setlocale or signal masks inside.
 *
 * What one call of process emits, fails and saves counts only when it returns LEAT_DONE, and only
 * together: the rows, the failures, the state and the checkpoint are committed in one transaction.
 */
#ifndef LEAT_PROCESSOR_H
#define LEAT_PROCESSOR_H

#include "host.h"
#include "option.h"
#include "record.h"
#include "table.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LEAT_ABI_MAJOR 1
#define LEAT_ABI_MINOR 0

enum leat_verdict {
    LEAT_DONE = 0,
    LEAT_RETRY = 1,       /* try the batch again: counted, backs off, then bisected and diverted */
    LEAT_UNAVAILABLE = 2, /* what this processor needs is down: never counted, backs off */
    LEAT_STOP = 3,        /* this processor stops here, loudly */
    LEAT_PENDING = 4      /* reserved; means LEAT_STOP today, like any unknown value */
};

enum leat_shard_end {
    LEAT_SHARD_ENDED = 0, /* every record is done: the last chance to write */
    LEAT_SHUTDOWN = 1,    /* handed over or stopping; what is written now is committed */
    LEAT_LEASE_LOST = 2   /* nothing can be written any more: out is NULL */
};

#define LEAT_WATERMARK_NONE INT64_MIN

struct leat_out;

/* The host's side of a call. Used through the inline functions below. */
struct leat_out_services {
    size_t size;
    /* 0, or negative: the row was refused and the call will not count (err says why). */
    int (*emit)(struct leat_out *out, const struct leat_record *record, size_t table,
                enum leat_operation operation, const struct leat_value *values, size_t count);
    void (*fail)(struct leat_out *out, const struct leat_record *record, const char *reason);
    int (*save_state)(struct leat_out *out, struct leat_slice bytes);
    bool (*is_cancelled)(struct leat_out *out);
};

/* Lives for one call, on one thread. Emitting from another thread is refused. */
struct leat_out {
    const struct leat_out_services *services;
};

struct leat_processor {
    size_t size;
    uint32_t abi_major, abi_minor;
    const char *name, *version, *summary;
    const struct leat_option *options; /* LEAT_END-ended; NULL: none */
    const struct leat_table *tables;   /* LEAT_END-ended; NULL: see describe */
    int64_t tick_interval_us;          /* 0: tick is not called; at least 10 ms */

    /* Once per configured processor and worker process. NULL: instance is NULL. */
    int (*open)(const struct leat_host *host, const struct leat_options *options,
                void **ret_instance, struct leat_error *err);
    void (*close)(void *instance);
    /* Tables made from the options; lives as long as the instance. NULL: `tables`. */
    const struct leat_table *(*describe)(void *instance);

    /* Taken, parents ended, position known, and another call follows: records, a tick or the shard's end. A shard that stays
       idle does not begin. NULL: the state is the instance. */
    int (*shard_begin)(void *instance, const struct leat_shard *shard,
                       struct leat_slice saved_state, void **ret_state, struct leat_error *err);
    enum leat_verdict (*process)(void *state, const struct leat_batch *batch, struct leat_out *out,
                                 struct leat_error *err);
    /* Before any retry or rewind: forget what was learnt since saved_state. */
    int (*shard_reset)(void *state, struct leat_slice saved_state, struct leat_error *err);
    /*
     * Every tick_interval_us while the shard runs, also without records; never while a batch is tried again, looked through for
     * a refused row, or handed over. For a state, never at once with another call. What it emits, fails and saves is
     * committed like a batch of no records. LEAT_RETRY and LEAT_UNAVAILABLE call it again later, neither is counted.
     * There is no record to fail; a row that the target refuses becomes a row letter, with all rows of the call.
     *
     * now_us: the wall clock. watermark_us: the greatest arrival time of the records processed since shard_begin or
     * shard_reset; LEAT_WATERMARK_NONE before the first one that has a time (a file's lines have none). While the stream has
     * nothing new, also two seconds before the time at which it last said so: that far the clocks of worker and stream
     * may differ, and a record take to become readable. It never falls between a begin or reset and the next, and it is no promise:
     * arrival times are approximate, so a record behind it may still come. Columns that merge take such a one.
     */
    enum leat_verdict (*tick)(void *state, int64_t now_us, int64_t watermark_us,
                              struct leat_out *out, struct leat_error *err);
    /* Exactly once per shard_begin; frees the state. out is NULL when nothing can be written. */
    enum leat_verdict (*shard_end)(void *state, enum leat_shard_end why, struct leat_out *out,
                                   struct leat_error *err);
};

typedef const struct leat_processor *(*leat_processor_v1_fn)(void);
#define LEAT_PROCESSOR_SYMBOL "leat_processor_v1"

#if defined(__GNUC__)
#define LEAT_EXPORT __attribute__((visibility("default")))
#else
#define LEAT_EXPORT
#endif

/* Exports the descriptor: LEAT_PROCESSOR(.name = "x", .version = "1", .process = process); */
#define LEAT_PROCESSOR(...)                                                                        \
    LEAT_EXPORT const struct leat_processor *leat_processor_v1(void);                              \
    LEAT_EXPORT const struct leat_processor *leat_processor_v1(void)                               \
    {                                                                                              \
        static const struct leat_processor leat_processor_descriptor = {                           \
            .size = sizeof(struct leat_processor),                                                 \
            .abi_major = LEAT_ABI_MAJOR,                                                           \
            .abi_minor = LEAT_ABI_MINOR,                                                           \
            __VA_ARGS__};                                                                          \
        return &leat_processor_descriptor;                                                         \
    }                                                                                              \
    struct leat_processor

/* more than five: what leat_emit spells out. */
static inline int
leat_emit_values(struct leat_out *out, const struct leat_record *record, size_t table,
                 enum leat_operation operation, const struct leat_value *values, size_t count)
{
    return out->services->emit(out, record, table, operation, values, count);
}

#ifndef __cplusplus
#define LEAT_EMIT_(out, record, table, operation, ...)                                             \
    leat_emit_values((out), (record), (table), (operation), (struct leat_value[]){__VA_ARGS__},    \
                     sizeof((struct leat_value[]){__VA_ARGS__}) / sizeof(struct leat_value))
/* One value per column of table number `table`, in the table's order. Copied. */
#define leat_emit(out, record, table, ...)                                                         \
    LEAT_EMIT_(out, record, table, LEAT_OP_MERGE, __VA_ARGS__)
#define leat_emit_replace(out, record, table, ...)                                                 \
    LEAT_EMIT_(out, record, table, LEAT_OP_REPLACE, __VA_ARGS__)
/* The values of the key columns alone, in the table's order. */
#define leat_emit_delete(out, record, table, ...)                                                  \
    LEAT_EMIT_(out, record, table, LEAT_OP_DELETE, __VA_ARGS__)
#endif

static inline void leat_fail(struct leat_out *out, const struct leat_record *record,
                             const char *format, ...) LEAT_PRINTF(3, 4);

/* This record alone goes to the archive and the dead letters; drops what it emitted. */
static inline void
leat_fail(struct leat_out *out, const struct leat_record *record, const char *format, ...)
{
    char reason[400];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    out->services->fail(out, record, reason);
}

/* Stored with the checkpoint and handed back at shard_begin. Copied. At most 1 MiB. */
static inline int
leat_save_state(struct leat_out *out, struct leat_slice bytes)
{
    return out->services->save_state(out, bytes);
}

/* True when the work of this call will not count any more: a long call may return. */
static inline bool
leat_is_cancelled(struct leat_out *out)
{
    return out->services->is_cancelled(out);
}

#ifdef __cplusplus
}
#endif
#endif
