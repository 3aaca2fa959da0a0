/*
 * What the host does for a plugin: a table of functions, size first, handed to open(). A plugin
 * links with -Wl,-z,defs and needs no symbol of the worker's. Every function may be called from any
 * thread of the plugin's; a log line names plugin, stream and shard by itself when it is written
 * inside a call.
 */
#ifndef LEAT_HOST_H
#define LEAT_HOST_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "error.h"
#include "slice.h"

#ifdef __cplusplus
extern "C" {
#endif

enum leat_log_level {
    LEAT_LOG_ERROR = 0,
    LEAT_LOG_WARNING = 1,
    LEAT_LOG_INFO = 2,
    LEAT_LOG_DEBUG = 3
};

struct leat_host {
    size_t size;
    void *context; /* the host's own */
    void (*log)(const struct leat_host *host, enum leat_log_level level, const char *text);
    /* Adds to the counter leat_plugin_<name>_total, labelled with the plugin's configured name. */
    void (*counter_add)(const struct leat_host *host, const char *name, double amount);
    void (*gauge_set)(const struct leat_host *host, const char *name, double value);
    /* The order of two sequence numbers of one shard: negative, 0, positive. */
    int (*sequence_compare)(const struct leat_host *host, struct leat_slice a, struct leat_slice b);
    int64_t (*now_us)(const struct leat_host *host); /* wall clock, µs since 1970 UTC */
};

static inline void leat_log(const struct leat_host *host, enum leat_log_level level,
                            const char *format, ...) LEAT_PRINTF(3, 4);

/* One line; cut at 1,000 bytes. Repeated ones are rate-limited with a count. */
static inline void
leat_log(const struct leat_host *host, enum leat_log_level level, const char *format, ...)
{
    char text[1000];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    host->log(host, level, text);
}

static inline int
leat_sequence_compare(const struct leat_host *host, struct leat_slice a, struct leat_slice b)
{
    return host->sequence_compare(host, a, b);
}

#ifdef __cplusplus
}
#endif
#endif
