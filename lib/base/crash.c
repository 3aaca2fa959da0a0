/*
 * Nothing here allocates, locks or calls what is not async-signal-safe once a signal is there: the line is put together in a
 * buffer that exists from the start, from copies that the thread made before its call.
 *
 * A handler returns after it has put the default action back: a fault happens again at the same instruction and is the
 * kernel's then, with the registers as they were. What was sent (abort, kill) is sent once more.
 */
#include "base/crash.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_writer.h"
#include "base/memory.h"
#include "base/units.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

#define SEQUENCE_BYTES 140
#define STACK_BYTES ((size_t)64 << 10)
#define OTHERS_MS 1000 /* how long a second thread that crashes lets the first one speak */

static _Thread_local struct {
    const char *kind, *call; /* literals; call NULL: nothing is called */
    char plugin[64], processor[128], stream[256], shard[128], first[SEQUENCE_BYTES];
    size_t count;
    struct leat_slice reached;
} current;

/* ---- what is called ------------------------------------------------------------------------------ */

static void
copy(char *out, size_t room, struct leat_slice text)
{
    size_t size = text.size < room ? text.size : room - 1;

    if (size > 0)
        memcpy(out, text.data, size);
    out[size] = '\0';
}

void
leat_crash_call_begin(const struct leat_crash_call *call)
{
    copy(current.plugin, sizeof current.plugin,
         leat_slice_from(call->plugin != NULL ? call->plugin : ""));
    copy(current.processor, sizeof current.processor, leat_slice_from(call->processor));
    copy(current.stream, sizeof current.stream, call->stream);
    copy(current.shard, sizeof current.shard, call->shard);
    current.first[0] = '\0';
    current.count = 0;
    current.reached = (struct leat_slice){0};
    current.kind = call->kind;
    atomic_signal_fence(memory_order_release);
    current.call = call->call;
}

void
leat_crash_call_records(struct leat_slice first_sequence_number, size_t count)
{
    copy(current.first, sizeof current.first, first_sequence_number);
    current.count = count;
}

void
leat_crash_call_reached(struct leat_slice sequence_number)
{
    current.reached.size = 0;
    atomic_signal_fence(memory_order_release);
    current.reached.data = sequence_number.data;
    atomic_signal_fence(memory_order_release);
    current.reached.size = sequence_number.size;
}

void
leat_crash_call_end(void)
{
    current.call = NULL;
    current.reached.size = 0;
}

/* ---- stacks --------------------------------------------------------------------------------------- */

#ifdef HAS_SANITIZER
void *
leat_crash_stack_begin(void)
{
    return NULL;
}

void
leat_crash_stack_end(void *stack)
{
}

void
leat_crash_install(void)
{
}
#else
static const struct {
    int number;
    const char *name;
} fatal_signals[] = {
    {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
    {SIGILL, "SIGILL"},   {SIGABRT, "SIGABRT"}, {SIGSYS, "SIGSYS"},
};

static _Atomic pid_t speaker; /* the thread that crashed first */

void *
leat_crash_stack_begin(void)
{
    long wanted = sysconf(_SC_SIGSTKSZ);
    size_t size = wanted > (long)STACK_BYTES ? (size_t)wanted : STACK_BYTES;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = memory, .ss_size = size};

    if (memory == MAP_FAILED)
        return NULL;
    if (sigaltstack(&stack, NULL) != 0) {
        munmap(memory, size);
        return NULL;
    }
    return memory;
}

void
leat_crash_stack_end(void *memory)
{
    stack_t none = {.ss_flags = SS_DISABLE}, before;

    if (memory != NULL && sigaltstack(&none, &before) == 0)
        munmap(memory, before.ss_size);
}

/* ---- the line ------------------------------------------------------------------------------------- */

struct last_line {
    char text[2400];
    size_t size;
    bool is_text;
};

static void
add(struct last_line *line, const char *text)
{
    for (; *text != '\0' && line->size < sizeof line->text; text++)
        line->text[line->size++] = *text;
}

static void
add_number(struct last_line *line, uint64_t number, unsigned base, int least_digits)
{
    char digits[24];
    int count = 0;

    do {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0 || count < least_digits);
    while (count > 0 && line->size < sizeof line->text)
        line->text[line->size++] = digits[--count];
}

/* Remote names: what is not plain ASCII becomes a question mark, and nothing needs an escape. */
static void
add_plain(struct last_line *line, const char *text, size_t size)
{
    for (size_t i = 0; i < size && line->size < sizeof line->text; i++) {
        unsigned char letter = (unsigned char)text[i];
        bool is_plain = letter > ' ' && letter < 0x7F && letter != '"' && letter != '\\';

        line->text[line->size++] = is_plain ? (char)letter : letter == ' ' ? ' ' : '?';
    }
}

static void
add_key(struct last_line *line, const char *key)
{
    add(line, line->is_text ? " " : ",\"");
    add(line, key);
    add(line, line->is_text ? "=\"" : "\":\"");
}

static void
add_field(struct last_line *line, const char *key, const char *value, size_t size)
{
    if (size == 0)
        return;
    add_key(line, key);
    add_plain(line, value, size);
    add(line, "\"");
}

/* RFC 3339 from the clock: gmtime() may take a lock. */
static void
add_time(struct last_line *line)
{
    struct timespec now;
    int64_t days, era, day_of_era, year_of_era, day_of_year, month;

    clock_gettime(CLOCK_REALTIME, &now);
    days = now.tv_sec / 86400 + 719468;
    era = days / 146097;
    day_of_era = days % 146097;
    year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    month = (5 * day_of_year + 2) / 153;
    add_number(line, (uint64_t)(year_of_era + era * 400 + (month >= 10)), 10, 4);
    add(line, "-");
    add_number(line, (uint64_t)(month < 10 ? month + 3 : month - 9), 10, 2);
    add(line, "-");
    add_number(line, (uint64_t)(day_of_year - (153 * month + 2) / 5 + 1), 10, 2);
    add(line, "T");
    add_number(line, (uint64_t)(now.tv_sec / 3600 % 24), 10, 2);
    add(line, ":");
    add_number(line, (uint64_t)(now.tv_sec / 60 % 60), 10, 2);
    add(line, ":");
    add_number(line, (uint64_t)(now.tv_sec % 60), 10, 2);
    add(line, "Z");
}

static void
add_call(struct last_line *line)
{
    if (current.call == NULL)
        return;
    add_field(line, "plugin", current.plugin, strlen(current.plugin));
    add_field(line, "kind", current.kind, strlen(current.kind));
    add_field(line, "call", current.call, strlen(current.call));
    add_field(line, "processor", current.processor, strlen(current.processor));
    add_field(line, "stream", current.stream, strlen(current.stream));
    add_field(line, "shard", current.shard, strlen(current.shard));
    add_field(line, "first_sequence_number", current.first, strlen(current.first));
    if (current.count > 0) {
        add(line, line->is_text ? " records=" : ",\"records\":");
        add_number(line, current.count, 10, 1);
    }
    if (current.reached.size > 0)
        add_field(line, "last_answered", (const char *)current.reached.data, current.reached.size);
}

static void
say(int number, const siginfo_t *info)
{
    static struct last_line line; /* one thread speaks */
    const char *name = "?";

    for (size_t i = 0; i < LEAT_COUNT_OF(fatal_signals); i++) {
        if (fatal_signals[i].number == number)
            name = fatal_signals[i].name;
    }
    line.is_text = leat_log_is_text();
    if (!line.is_text)
        add(&line, "{\"time\":\"");
    add_time(&line);
    add(&line, line.is_text ? " error   " : "\",\"level\":\"error\",\"message\":\"");
    add(&line, current.call != NULL ? "the process crashes in a plugin" : "the process crashes");
    add(&line, line.is_text ? "" : "\"");
    add_field(&line, "signal", name, strlen(name));
    if (info->si_code > 0 && number != SIGABRT) {
        add_key(&line, "address");
        add(&line, "0x");
        add_number(&line, (uintptr_t)info->si_addr, 16, 1);
        add(&line, "\"");
    }
    add_call(&line);
    add(&line, line.is_text ? "\n" : "}\n");
    leat_log_last_words(line.text, line.size);
}

static void
on_fatal(int number, siginfo_t *info, void *context)
{
    pid_t self = (pid_t)syscall(SYS_gettid), nobody = 0;
    int before = errno;

    if (atomic_compare_exchange_strong(&speaker, &nobody, self))
        say(number, info);
    else if (nobody != self)
        poll(NULL, 0, OTHERS_MS);
    signal(number, SIG_DFL);
    if (info->si_code <= 0) /* sent: comes once more when we have returned */
        syscall(SYS_tgkill, getpid(), self, number);
    errno = before;
}

void
leat_crash_install(void)
{
    static bool is_installed;

    if (is_installed)
        return;
    is_installed = true;
    (void)leat_crash_stack_begin(); /* of the main thread, for the life of the process */
    for (size_t i = 0; i < LEAT_COUNT_OF(fatal_signals); i++) {
        struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        struct sigaction before;

        sigemptyset(&action.sa_mask);
        if (sigaction(fatal_signals[i].number, NULL, &before) == 0 &&
            (before.sa_flags & SA_SIGINFO) == 0 && before.sa_handler == SIG_DFL)
            sigaction(fatal_signals[i].number, &action, NULL);
    }
}
#endif
