/*
 * Log lines: JSON lines, or text on a terminal, to standard error. Repeated ones (same level, same message,
 * same scope) are limited: the first five of a minute are written, then one with a count ("repeated") when
 * the minute is over. Values are cut at 2,000 bytes, all of a line at 8,000; at most 24 fields.
 * The library logs above debug nothing; the worker logs each failure once.
 */
#ifndef LEAT_BASE_LOG_H
#define LEAT_BASE_LOG_H

#include <leat/host.h>

enum leat_log_format { LEAT_LOG_AUTO, LEAT_LOG_JSON, LEAT_LOG_TEXT };

void leat_log_setup(enum leat_log_level level, enum leat_log_format format, int fd);
bool leat_log_level_parse(struct leat_slice text, enum leat_log_level *ret_level);

/* Fields that every line of this thread carries until cleared: stream, shard, processor. NULL clears. */
void leat_log_scope(const char *processor, struct leat_slice stream, struct leat_slice shard);
void leat_log_scope_clear(void);

/*
 * Fields are "key", value pairs of texts, NULL-ended:
 *   leat_log_event(LEAT_LOG_WARNING, "could not renew worker", "worker", id, "error", err.text, NULL);
 * A '#' before a key says that its value is a whole number, written as one in JSON: "#rows", "12".
 * The message is the constant part: what is limited together.
 */
void leat_log_event(enum leat_log_level level, const char *message, ...) __attribute__((sentinel));
/* One line to the same place as it is, unlimited: what a command says before it ends. */
void leat_log_say(const char *text);
bool leat_log_is_text(void); /* async-signal-safe */
bool leat_log_is_enabled(enum leat_log_level level);
/*
 * Writes the counts that are held back and whose minute is over at now_us (monotonic): by the worker each
 * second. INT64_MAX: all of them, at exit.
 */
void leat_log_flush_repeats(int64_t now_us);

#endif
