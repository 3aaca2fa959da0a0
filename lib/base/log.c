/*
 * Log lines. A line is put together in the caller's own memory and handed to base/log_writer.h, outside of the lock:
 * lines of several threads never mix, and where a writer was started a reader that stands still holds up nobody.
 *
 * Repeats are counted per (level, message, scope): the first five of a minute are written, the rest is held
 * back and told as one line with `repeated` when the minute is over. The table of counts is bounded: past
 * 1,024 entries new lines are counted without their scope, past 2,048 by their level alone, so that nothing
 * a plugin or a remote side says can make the log endless.
 *
 * Threads: any. The lock guards the table of counts; settings are atomics; the scope is the thread's own.
 */
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/log_writer.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/thread.h"
#include "base/units.h"

#define WRITTEN_PER_MINUTE 5
#define MINUTE_US (60 * LEAT_SECOND_US)
#define SCOPED_ENTRIES 1024
#define MAXIMUM_ENTRIES 2048
#define MAXIMUM_FIELDS 24
#define FIELD_BYTES 2000
#define FIELDS_BYTES 8000
#define NUMBER_BYTES 20

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static _Atomic int log_level = LEAT_LOG_INFO;
static _Atomic bool log_is_text;

struct scope {
    bool is_set;
    char processor[129], stream[513], shard[129]; /* names of 128 letters, a stream's id: whole */
};
static _Thread_local struct scope scope;

struct field {
    const char *key;
    struct leat_slice value;
    bool is_number;
};

struct line {
    enum leat_log_level level;
    const char *message;
    struct field fields[MAXIMUM_FIELDS];
    size_t count;
};

/* The lines of one kind in the current minute. */
struct repeats {
    int64_t minute_began_us;
    int64_t written, held;
    enum leat_log_level level;
    char *last; /* the last line that was held back, without its end */
};

static struct leat_mutex lock = {PTHREAD_MUTEX_INITIALIZER};
static struct leat_map table LEAT_GUARDED_BY(lock);

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
leat_log_is_text(void)
{
    return log_is_text;
}

bool
leat_log_is_enabled(enum leat_log_level level)
{
    return (int)level <= log_level;
}

static void
set_text(char *out, size_t room, struct leat_slice text)
{
    size_t size = text.size < room ? text.size : room - 1;

    memcpy(out, text.data, size);
    out[size] = '\0';
}

void
leat_log_scope(const char *processor, struct leat_slice stream, struct leat_slice shard)
{
    if (processor == NULL) {
        leat_log_scope_clear();
        return;
    }
    scope.is_set = true;
    set_text(scope.processor, sizeof scope.processor, leat_slice_from(processor));
    set_text(scope.stream, sizeof scope.stream, stream);
    set_text(scope.shard, sizeof scope.shard, shard);
}

void
leat_log_scope_clear(void)
{
    scope = (struct scope){0};
}

/* A key's '#' says that the value is a number; what has no digits alone stays a text all the same. */
static void
add_field(struct line *line, const char *key, struct leat_slice value)
{
    bool is_number = key[0] == '#' && value.size > 0 && value.size < NUMBER_BYTES;

    for (size_t i = 0; i < value.size && is_number; i++)
        is_number = value.data[i] >= '0' && value.data[i] <= '9';
    is_number = is_number && (value.size == 1 || value.data[0] != '0'); /* JSON knows no 007 */
    if (line->count < MAXIMUM_FIELDS)
        line->fields[line->count++] = (struct field){key + (key[0] == '#'), value, is_number};
}

/* A field of the scope, unless the caller gave one of that name. */
static void
add_scope_field(struct line *line, const char *key, const char *value)
{
    if (value[0] == '\0')
        return;
    for (size_t i = 0; i < line->count; i++) {
        if (strcmp(line->fields[i].key, key) == 0)
            return;
    }
    add_field(line, key, leat_slice_from(value));
}

/* Long values are cut: a line has a limit whatever it tells of. */
static void
cut_fields(struct line *line)
{
    size_t left = FIELDS_BYTES;

    for (size_t i = 0; i < line->count; i++) {
        struct leat_slice *value = &line->fields[i].value;

        if (value->size > FIELD_BYTES)
            value->size = FIELD_BYTES;
        if (value->size > left && line->fields[i].is_number)
            continue; /* a part of a number is another number */
        if (value->size > left)
            value->size = left;
        left -= value->size;
    }
}

static void
write_json(struct leat_buf *out, const struct line *line)
{
    LEAT_AUTO_BUF time = LEAT_BUF_INIT;
    struct leat_json json;

    leat_format_time(&time, leat_clock_wall_us());
    leat_json_begin(&json, out);
    leat_json_object(&json, NULL);
    leat_json_slice(&json, "time", leat_buf_slice(&time));
    leat_json_text(&json, "level", level_names[line->level]);
    leat_json_text(&json, "message", line->message);
    for (size_t i = 0; i < line->count; i++) {
        const struct field *field = &line->fields[i];

        if (field->is_number && field->value.size > 0)
            leat_json_raw(&json, field->key, field->value);
        else
            leat_json_slice(&json, field->key, field->value);
    }
}

/* Quoted and escaped unless it is plain letters: nothing that is logged may move a terminal's cursor. */
static void
write_text_value(struct leat_buf *out, struct leat_slice value)
{
    struct leat_json json;
    bool is_plain = value.size > 0;

    for (size_t i = 0; i < value.size && is_plain; i++)
        is_plain = value.data[i] > ' ' && value.data[i] < 0x7F && value.data[i] != '"' &&
                   value.data[i] != '\\';
    if (is_plain) {
        leat_buf_add_slice(out, value);
        return;
    }
    leat_json_begin(&json, out);
    leat_json_slice(&json, NULL, value);
}

/* What a terminal may be given; instead of the rest. */
static void
add_shown(struct leat_buf *out, struct leat_slice text, unsigned char instead)
{
    while (text.size > 0) {
        size_t size = leat_utf8_shown(text);

        if (size > 0)
            leat_buf_add(out, text.data, size);
        else
            leat_buf_add_byte(out, *text.data == '\n' || *text.data == '\t' ? *text.data : instead);
        size += size == 0;
        text.data += size;
        text.size -= size;
    }
}

static void
write_text(struct leat_buf *out, const struct line *line)
{
    LEAT_AUTO_BUF message = LEAT_BUF_INIT;
    int64_t now_us = leat_clock_wall_us();

    leat_format_time(out, now_us - now_us % LEAT_SECOND_US);
    leat_buf_printf(out, " %-7s ", level_names[line->level]);
    add_shown(&message, leat_slice_from(line->message), ' ');
    for (size_t i = 0; i < message.size; i++) /* one line stays one line */
        message.data[i] = message.data[i] < ' ' ? ' ' : message.data[i];
    leat_buf_add_slice(out, leat_buf_slice(&message));
    for (size_t i = 0; i < line->count; i++) {
        leat_buf_printf(out, " %s=", line->fields[i].key);
        write_text_value(out, line->fields[i].value);
    }
}

/* The end of a line: the count when there is one, the bracket, the newline. */
static void
end_line(struct leat_buf *out, bool is_text, int64_t repeated)
{
    if (repeated > 0 && is_text)
        leat_buf_printf(out, " repeated=%lld", (long long)repeated);
    else if (repeated > 0)
        leat_buf_printf(out, ",\"repeated\":%lld", (long long)repeated);
    leat_buf_add_text(out, is_text ? "\n" : "}\n");
}

/* Lines that nobody will see, told in one. Never held back: it would hide itself. */
static void
tell_loss(struct leat_buf *out, int64_t lines, const char *reason)
{
    char count[24];
    struct line line = {
        .level = LEAT_LOG_WARNING,
        .message = reason != NULL ? "log lines were lost: the log could not be written"
                                  : "log lines were dropped: nobody read the log",
    };

    snprintf(count, sizeof count, "%lld", (long long)lines);
    add_field(&line, "#lines", leat_slice_from(count));
    if (reason != NULL)
        add_field(&line, "error", leat_slice_from(reason));
    if (log_is_text)
        write_text(out, &line);
    else
        write_json(out, &line);
    end_line(out, log_is_text, 0);
}

void
leat_log_setup(enum leat_log_level level, enum leat_log_format format, int fd)
{
    log_level = level;
    leat_log_writer_setup(fd, tell_loss);
    log_is_text = format == LEAT_LOG_TEXT || (format == LEAT_LOG_AUTO && isatty(fd) == 1);
}

static void
make_key(struct leat_buf *key, const struct line *line) LEAT_REQUIRES(lock)
{
    leat_buf_add_byte(key, (unsigned char)('0' + line->level));
    if (table.count >= MAXIMUM_ENTRIES)
        return;
    leat_buf_add_text(key, line->message);
    if (table.count >= SCOPED_ENTRIES || !scope.is_set)
        return;
    leat_buf_add(key, scope.processor, strlen(scope.processor) + 1);
    leat_buf_add(key, scope.stream, strlen(scope.stream) + 1);
    leat_buf_add_text(key, scope.shard);
}

/* Takes what is held back of one kind, as a finished line, into out; a new minute begins. */
static void
take_held(struct repeats *repeats, struct leat_buf *out, int64_t now_us) LEAT_REQUIRES(lock)
{
    if (repeats->held > 0) {
        leat_buf_add_text(out, repeats->last);
        end_line(out, repeats->last[0] != '{', repeats->held);
    }
    free(repeats->last);
    repeats->last = NULL;
    repeats->held = repeats->written = 0;
    repeats->minute_began_us = now_us;
}

static struct repeats *
find_repeats(struct leat_slice key, enum leat_log_level level, int64_t now_us) LEAT_REQUIRES(lock)
{
    struct repeats *repeats = leat_map_get(&table, key);

    if (repeats == NULL) {
        repeats = LEAT_NEW(struct repeats);
        repeats->minute_began_us = now_us;
        repeats->level = level;
        leat_map_put(&table, key, repeats);
    }
    return repeats;
}

/*
 * Whether this line is to be written now; else it is counted and kept. `out` gets the line that tells of
 * an earlier minute's repeats, when there were some.
 */
static bool
admit(const struct line *line, struct leat_slice text, struct leat_buf *out)
{
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    int64_t now_us = leat_clock_monotonic_us();
    struct repeats *repeats;
    bool is_written;

    leat_mutex_lock(&lock);
    make_key(&key, line);
    repeats = find_repeats(leat_buf_slice(&key), line->level, now_us);
    if (now_us - repeats->minute_began_us >= MINUTE_US)
        take_held(repeats, out, now_us);
    is_written = repeats->written < WRITTEN_PER_MINUTE;
    if (is_written) {
        repeats->written++;
    } else {
        repeats->held++;
        free(repeats->last);
        repeats->last = leat_slice_strdup(text);
    }
    leat_mutex_unlock(&lock);
    return is_written;
}

/* Each line by itself: one write(2) each, so that they stay whole beside those of others. */
static void
write_lines(struct leat_slice rest, enum leat_log_level level)
{
    while (rest.size > 0) {
        const unsigned char *newline = memchr(rest.data, '\n', rest.size);
        size_t size = newline != NULL ? (size_t)(newline - rest.data) + 1 : rest.size;

        leat_log_writer_line(leat_slice_make(rest.data, size), level <= LEAT_LOG_WARNING);
        rest = leat_slice_make(rest.data + size, rest.size - size);
    }
}

void
leat_log_event(enum leat_log_level level, const char *message, ...)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    struct line line = {.level = level, .message = message};
    bool is_text = log_is_text, is_written;
    const char *key;
    va_list arguments;

    if (!leat_log_is_enabled(level))
        return;
    va_start(arguments, message);
    while ((key = va_arg(arguments, const char *)) != NULL)
        add_field(&line, key, leat_slice_from(va_arg(arguments, const char *)));
    va_end(arguments);
    if (scope.is_set) {
        add_scope_field(&line, "processor", scope.processor);
        add_scope_field(&line, "stream", scope.stream);
        add_scope_field(&line, "shard", scope.shard);
    }
    cut_fields(&line);
    if (is_text)
        write_text(&text, &line);
    else
        write_json(&text, &line);
    is_written = admit(&line, leat_buf_slice(&text), &out);
    write_lines(leat_buf_slice(&out), level);
    if (is_written) {
        end_line(&text, is_text, 0);
        write_lines(leat_buf_slice(&text), level);
    }
}

void
leat_log_say(const char *text)
{
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;

    add_shown(&line, leat_slice_from(text), '?');
    leat_buf_add_byte(&line, '\n');
    write_lines(leat_buf_slice(&line), LEAT_LOG_ERROR);
}

void
leat_log_flush_repeats(int64_t now_us)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    struct leat_map_entry *entry;

    leat_mutex_lock(&lock);
    for (size_t i = 0; (entry = leat_map_next(&table, &i)) != NULL;) {
        struct repeats *repeats = entry->value;

        if (now_us - repeats->minute_began_us < MINUTE_US)
            continue;
        take_held(repeats, &out, now_us);
        free(repeats);
        leat_map_remove(&table, entry->key);
    }
    leat_mutex_unlock(&lock);
    write_lines(leat_buf_slice(&out), LEAT_LOG_WARNING);
}
