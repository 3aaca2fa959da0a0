/*
 * Log lines. One write(2) a line; what repeats is held back: the first five of a minute are written, the rest is counted
 * and told in one line. The lock guards the table of repeats alone, never a write.
 */
#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/thread.h"
#include "base/units.h"

#define FIRST_LINES 5
#define WINDOW_US (60 * LEAT_SECOND_US)
#define MAXIMUM_REPEATS 1000
#define MAXIMUM_LINE ((size_t)16 << 10)

static const char *const level_names[] = {"error", "warning", "info", "debug"};

struct repeat {
    enum leat_log_level level;
    char *message;
    int64_t window_us;
    unsigned written, held;
};

static struct {
    _Atomic int level, fd;
    _Atomic bool is_text;
} log_state = {.level = LEAT_LOG_INFO, .fd = 2};

static pthread_once_t repeats_once = PTHREAD_ONCE_INIT;
static struct leat_mutex repeats_lock;
static struct leat_map repeats LEAT_GUARDED_BY(repeats_lock);

struct scope {
    char processor[64], stream[129], shard[64];
};
static _Thread_local struct scope scope;

static void
log_init(void) LEAT_NO_THREAD_SAFETY
{
    leat_mutex_init(&repeats_lock);
    leat_map_init(&repeats);
}

void
leat_log_setup(enum leat_log_level level, enum leat_log_format format, int fd)
{
    log_state.level = (int)level;
    log_state.fd = fd;
    log_state.is_text = format == LEAT_LOG_TEXT || (format == LEAT_LOG_AUTO && isatty(fd));
}

bool
leat_log_level_parse(struct leat_slice text, enum leat_log_level *ret_level)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(level_names); i++) {
        if (leat_slice_is(text, level_names[i])) {
            *ret_level = (enum leat_log_level)i;
            return true;
        }
    }
    return false;
}

bool
leat_log_is_enabled(enum leat_log_level level)
{
    return (int)level <= log_state.level;
}

static void
copy_text(char *into, size_t room, struct leat_slice text)
{
    snprintf(into, room, "%.*s", (int)(text.size < room ? text.size : room),
             (const char *)text.data);
}

void
leat_log_scope(const char *processor, struct leat_slice stream, struct leat_slice shard)
{
    copy_text(scope.processor, sizeof scope.processor, leat_slice_from(processor));
    copy_text(scope.stream, sizeof scope.stream, stream);
    copy_text(scope.shard, sizeof scope.shard, shard);
}

void
leat_log_scope_clear(void)
{
    scope = (struct scope){0};
}

static void
add_field(struct leat_buf *line, struct leat_json *json, const char *key, const char *value)
{
    if (value == NULL || *value == '\0')
        return;
    if (!log_state.is_text) {
        leat_json_text(json, key, value);
        return;
    }
    leat_buf_printf(line, " %s=", key);
    if (strpbrk(value, " \"\n\t=") == NULL) {
        leat_buf_add_text(line, value);
        return;
    }
    leat_buf_add_byte(line, '"');
    leat_json_escape(line, leat_slice_from(value));
    leat_buf_add_byte(line, '"');
}

static void
begin_line(struct leat_buf *line, struct leat_json *json, enum leat_log_level level,
           const char *message)
{
    LEAT_AUTO_BUF time = LEAT_BUF_INIT;

    leat_format_time(&time, leat_clock_wall_us());
    leat_json_begin(json, line);
    if (log_state.is_text) {
        leat_buf_printf(line, "%s %-7s %s", leat_buf_text(&time), level_names[level], message);
        return;
    }
    leat_json_object(json, NULL);
    leat_json_text(json, "time", leat_buf_text(&time));
    leat_json_text(json, "level", level_names[level]);
    leat_json_text(json, "message", message);
}

static void
end_line(struct leat_buf *line, struct leat_json *json)
{
    ssize_t written;

    if (!log_state.is_text)
        leat_json_object_end(json);
    leat_buf_add_byte(line, '\n');
    written = write(log_state.fd, line->data, line->size);
    (void)written; /* there is nowhere to tell it */
}

static void
write_repeated(enum leat_log_level level, const char *message, unsigned held)
{
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;
    struct leat_json json;
    char count[16];

    snprintf(count, sizeof count, "%u", held);
    begin_line(&line, &json, level, message);
    add_field(&line, &json, "repeated", count);
    end_line(&line, &json);
}

static void
free_repeat(void *value)
{
    struct repeat *repeat = value;

    free(repeat->message);
    free(repeat);
}

/* A new minute for this message; returns what the old one held back. */
static unsigned
renew(struct repeat *repeat, int64_t now_us)
{
    unsigned held = repeat->held;

    repeat->window_us = now_us;
    repeat->written = repeat->held = 0;
    return held;
}

/* May this line be written? *ret_held: how many were held back in the window that just ended. */
static bool
is_admitted(enum leat_log_level level, const char *message, unsigned *ret_held)
{
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    int64_t now_us = leat_clock_monotonic_us();
    struct repeat *repeat;
    bool admitted;

    leat_buf_printf(&key, "%d %s|%s|%s|%s", (int)level, message, scope.processor, scope.stream,
                    scope.shard);
    *ret_held = 0;
    leat_mutex_lock(&repeats_lock);
    repeat = leat_map_get(&repeats, leat_buf_slice(&key));
    if (repeat == NULL) {
        if (repeats.count >= MAXIMUM_REPEATS)
            leat_map_release(&repeats, free_repeat);
        repeat = LEAT_NEW(struct repeat);
        repeat->level = level;
        repeat->message = leat_strdup(message);
        repeat->window_us = now_us;
        leat_map_put(&repeats, leat_buf_slice(&key), repeat);
    }
    if (now_us - repeat->window_us >= WINDOW_US)
        *ret_held = renew(repeat, now_us);
    admitted = repeat->written < FIRST_LINES;
    if (admitted)
        repeat->written++;
    else
        repeat->held++;
    leat_mutex_unlock(&repeats_lock);
    return admitted;
}

void
leat_log_event(enum leat_log_level level, const char *message, ...)
{
    struct leat_buf line;
    struct leat_json json;
    va_list fields;
    const char *key;
    unsigned held;

    if (!leat_log_is_enabled(level))
        return;
    pthread_once(&repeats_once, log_init);
    if (!is_admitted(level, message, &held))
        return;
    if (held > 0)
        write_repeated(level, message, held);
    leat_buf_init(&line, MAXIMUM_LINE);
    begin_line(&line, &json, level, message);
    add_field(&line, &json, "processor", scope.processor);
    add_field(&line, &json, "stream", scope.stream);
    add_field(&line, &json, "shard", scope.shard);
    va_start(fields, message);
    while ((key = va_arg(fields, const char *)) != NULL)
        add_field(&line, &json, key, va_arg(fields, const char *));
    va_end(fields);
    end_line(&line, &json);
    leat_buf_release(&line);
}

void
leat_log_flush_repeats(int64_t now_us)
{
    for (;;) {
        struct leat_map_entry *entry;
        size_t position = 0;
        unsigned held = 0;
        enum leat_log_level level = LEAT_LOG_INFO;
        LEAT_AUTO_FREE char *message = NULL;

        pthread_once(&repeats_once, log_init);
        leat_mutex_lock(&repeats_lock);
        while (held == 0 && (entry = leat_map_next(&repeats, &position)) != NULL) {
            struct repeat *repeat = entry->value;

            if (repeat->held == 0 || now_us - repeat->window_us < WINDOW_US)
                continue;
            held = renew(repeat, now_us);
            level = repeat->level;
            message = leat_strdup(repeat->message);
        }
        leat_mutex_unlock(&repeats_lock);
        if (held == 0)
            return;
        write_repeated(level, message, held);
    }
}
