/*
 * A processor that does on demand what processors should not: options name the devices whose records it chokes on. A record is
 * "<device> <number>"; each gets a row, which counts how often it was written. It aborts when it is called twice at once for a shard.
 */
#include <leat/processor.h>
#include <signal.h>
#include <stdint.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct leat_option options[] = {
    {"retry", LEAT_OPTION_LIST, 0, NULL, NULL, 0, 0, "the whole call is answered with LEAT_RETRY"},
    {"fail", LEAT_OPTION_LIST, 0, NULL, NULL, 0, 0, "the record fails by name"},
    {"stop", LEAT_OPTION_LIST, 0, NULL, NULL, 0, 0, "LEAT_STOP"},
    {"crash", LEAT_OPTION_LIST, 0, NULL, NULL, 0, 0, "the process is killed"},
    {"crash_in_begin", LEAT_OPTION_BOOLEAN, 0, "false", NULL, 0, 0,
     "the process is killed by shard_begin"},
    {"fault", LEAT_OPTION_LIST, 0, NULL, NULL, 0, 0, "a fatal signal, as fault_kind says"},
    {"fault_kind", LEAT_OPTION_TEXT, 0, "segv", NULL, 0, 0, "segv, abort, overflow, divide, sent"},
    {"hang", LEAT_OPTION_LIST, 0, NULL, NULL, 0, 0,
     "the call waits while the file hang_while exists"},
    {"hang_while", LEAT_OPTION_TEXT, 0, "", NULL, 0, 0, "the file"},
    {"unavailable", LEAT_OPTION_TEXT, 0, "", NULL, 0, 0, "LEAT_UNAVAILABLE while this file exists"},
    LEAT_END,
};

/* Several processors may be made of it: each has shards of its own. */
static const struct leat_options *opened[4];

static unsigned
first_number(const struct leat_options *given)
{
    unsigned i = 0;

    while (i < 3 && opened[i] != given)
        i++;
    return i * 64;
}

static const struct leat_column columns[] = {
    {"number", LEAT_INT64, LEAT_KEY},
    {"device", LEAT_INT64},
    {"times", LEAT_INT64, LEAT_SUM},
    LEAT_END,
};
static const struct leat_table tables[] = {{"flaky", columns, "each record"}, LEAT_END};

static int
flaky_open(const struct leat_host *host, const struct leat_options *given, void **ret_instance,
           struct leat_error *err)
{
    unsigned i = 0;

    (void)host, (void)err;
    while (i < 3 && opened[i] != NULL)
        i++;
    opened[i] = given;
    *ret_instance = (void *)given;
    return 0;
}

static int
is_listed(const struct leat_options *given, const char *option, struct leat_slice device)
{
    const struct leat_option_value *value = leat_option_get(given, option);

    for (size_t i = 0; i < value->list_count; i++) {
        if (leat_slice_equals(value->list[i], device))
            return 1;
    }
    return 0;
}

/* Until the file is gone; the host says at the deadline that the call will not count, which it does not care about. */
static void
hang(const struct leat_options *given)
{
    const char *file = (const char *)leat_option_get(given, "hang_while")->text.data;

    while (*file != '\0' && access(file, F_OK) == 0)
        usleep(10000);
}

/* The stack ends before the numbers do. */
static int
overflow(volatile const char *above, unsigned depth)
{
    volatile char large[4096];

    large[0] = above[0];
    return depth == 0 ? 0 : overflow(large, depth - 1) + large[1];
}

static void
fault(const char *kind)
{
    volatile int nothing = 0;

    if (kind[0] == 'a')
        abort();
    if (kind[0] == 'o')
        overflow("", ~0u);
    if (kind[0] == 'd')
        nothing = 1000 / nothing;
    if (kind[0] == 's' && kind[2] == 'n')
        raise(SIGBUS);
    *(volatile int *)(intptr_t)(16 + nothing) = 1;
}

static enum leat_verdict
process_all(void *state, const struct leat_batch *batch, struct leat_out *out,
            struct leat_error *err)
{
    const struct leat_options *given = state;
    const char *file = (const char *)leat_option_get(given, "unavailable")->text.data;

    if (*file != '\0' && access(file, F_OK) == 0) {
        leat_error_set(err, LEAT_E_UNAVAILABLE, "the model server does not answer");
        return LEAT_UNAVAILABLE;
    }
    for (size_t i = 0; i < batch->count; i++) {
        const struct leat_record *record = batch->records[i];
        const char *text = (const char *)record->data.data;
        size_t size = 0;
        struct leat_slice device;
        char number[24];

        while (size < record->data.size && text[size] != ' ')
            size++;
        device = leat_slice_make(text, size);
        snprintf(number, sizeof number, "%.*s", (int)(record->data.size - size), text + size);
        if (is_listed(given, "hang", device))
            hang(given);
        if (is_listed(given, "crash", device))
            raise(SIGKILL);
        if (is_listed(given, "fault", device))
            fault((const char *)leat_option_get(given, "fault_kind")->text.data);
        if (is_listed(given, "stop", device)) {
            leat_error_set(err, LEAT_E_INVALID, "the licence has expired");
            return LEAT_STOP;
        }
        if (is_listed(given, "retry", device)) {
            leat_error_set(err, LEAT_E_FORMAT, "it chokes on device %.*s", (int)size, text);
            return LEAT_RETRY;
        }
        if (is_listed(given, "fail", device))
            leat_fail(out, record, "device %.*s is unknown", (int)size, text);
        else
            leat_emit(out, record, 0, leat_int64(strtoll(number, NULL, 10)),
                      leat_int64(strtoll(text, NULL, 10)), leat_int64(1));
    }
    return LEAT_DONE;
}

/* A shard as it is run here. Shards are numbered from 0. */
struct running {
    const struct leat_options *given;
    unsigned number;
};

static _Atomic int calls[256], begun[256];

static void
enter(unsigned number, const char *call)
{
    if (atomic_fetch_add(&calls[number], 1) == 0)
        return;
    fprintf(stderr, "two calls at once for one shard: the second is %s\n", call);
    abort();
}

static int
shard_begin(void *instance, const struct leat_shard *shard, struct leat_slice saved_state,
            void **ret_state, struct leat_error *err)
{
    struct running *running = malloc(sizeof *running);
    size_t digits = shard->shard.size < 4 ? shard->shard.size : 4;
    char number[8] = "";

    (void)saved_state, (void)err;
    if (leat_option_get(instance, "crash_in_begin")->integer != 0)
        raise(SIGKILL);
    memcpy(number, shard->shard.data + shard->shard.size - digits, digits);
    *running = (struct running){instance,
                                first_number(instance) + (unsigned)strtoul(number, NULL, 10) % 64};
    enter(running->number, "shard_begin");
    if (atomic_fetch_add(&begun[running->number], 1) != 0) {
        fputs("a shard begins twice\n", stderr);
        abort();
    }
    atomic_fetch_sub(&calls[running->number], 1);
    *ret_state = running;
    return 0;
}

static int
shard_reset(void *state, struct leat_slice saved_state, struct leat_error *err)
{
    struct running *running = state;

    (void)saved_state, (void)err;
    enter(running->number, "shard_reset");
    atomic_fetch_sub(&calls[running->number], 1);
    return 0;
}

static enum leat_verdict
shard_end(void *state, enum leat_shard_end why, struct leat_out *out, struct leat_error *err)
{
    struct running *running = state;

    (void)why, (void)out, (void)err;
    enter(running->number, "shard_end");
    atomic_fetch_sub(&begun[running->number], 1);
    atomic_fetch_sub(&calls[running->number], 1);
    free(running);
    return LEAT_DONE;
}

static enum leat_verdict
process(void *state, const struct leat_batch *batch, struct leat_out *out, struct leat_error *err)
{
    struct running *running = state;
    enum leat_verdict verdict;

    enter(running->number, "process");
    verdict = process_all((void *)running->given, batch, out, err);
    atomic_fetch_sub(&calls[running->number], 1);
    return verdict;
}

LEAT_PROCESSOR(.name = "flaky", .version = "1", .summary = "chokes on demand", .options = options,
               .tables = tables, .open = flaky_open, .shard_begin = shard_begin,
               .shard_reset = shard_reset, .shard_end = shard_end, .process = process);
