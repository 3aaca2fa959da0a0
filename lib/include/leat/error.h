/*
 * Errors: a fallible function returns 0 or a negative LEAT_E… and fills a `struct leat_error`, its
 * last argument. Fixed size, no allocation. Everything here is inline: a plugin needs no symbol of
 * the host's. Text follows Postgres' style guide: `could not open "x": permission denied`.
 * Never a secret, never a payload.
 */
#ifndef LEAT_ERROR_H
#define LEAT_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum leat_error_code {
    LEAT_E_NONE = 0,
    LEAT_E_INVALID = -1,     /* what the caller or the user gave is wrong: the same again fails */
    LEAT_E_NOT_FOUND = -2,   /* stream, shard, object, table, file … does not exist */
    LEAT_E_UNAVAILABLE = -3, /* the other side is down or unreachable: wait, uncounted */
    LEAT_E_THROTTLED = -4,   /* the other side asks for less: back off */
    LEAT_E_DENIED = -5,      /* credentials or rights */
    LEAT_E_EXPIRED = -6,     /* an iterator, a token: get a new one */
    LEAT_E_LIMIT = -7,       /* larger than a limit of ours */
    LEAT_E_FORMAT = -8,      /* bytes that do not parse */
    LEAT_E_FENCED = -9,      /* somebody else owns this now */
    LEAT_E_UNKNOWN = -10,    /* outcome unknown: the answer to a COMMIT or a put was lost */
    LEAT_E_CANCELLED = -11,  /* asked to stop */
    LEAT_E_TIMEOUT = -12,
    LEAT_E_CONFLICT = -13, /* exists already, in use, or the world moved */
    LEAT_E_SYSTEM = -14,   /* an operating-system call failed */
    LEAT_E_INTERNAL = -15  /* a broken assumption of ours that is no reason to abort */
};

#define LEAT_ERROR_TEXT_BYTES 480

struct leat_error {
    int32_t code; /* enum leat_error_code */
    bool is_retryable;
    bool is_throttled;
    int16_t http_status; /* 0: none */
    char sqlstate[8];    /* "": none */
    char text[LEAT_ERROR_TEXT_BYTES];
};

#if defined(__GNUC__)
#define LEAT_PRINTF(format_index, first_index)                                                     \
    __attribute__((format(printf, format_index, first_index)))
#else
#define LEAT_PRINTF(format_index, first_index)
#endif

static inline void
leat_error_clear(struct leat_error *err)
{
    if (err == NULL)
        return;
    err->code = 0;
    err->is_retryable = false;
    err->is_throttled = false;
    err->http_status = 0;
    err->sqlstate[0] = '\0';
    err->text[0] = '\0';
}

static inline int leat_error_set(struct leat_error *err, int code, const char *format, ...)
    LEAT_PRINTF(3, 4);

/* Sets code and text (retryable and throttled follow from the code); returns the code. */
static inline int
leat_error_set(struct leat_error *err, int code, const char *format, ...)
{
    va_list arguments;

    if (err == NULL)
        return code;
    leat_error_clear(err);
    err->code = code;
    err->is_throttled = code == LEAT_E_THROTTLED;
    err->is_retryable = code == LEAT_E_UNAVAILABLE || code == LEAT_E_THROTTLED ||
                        code == LEAT_E_TIMEOUT || code == LEAT_E_EXPIRED;
    va_start(arguments, format);
    vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    return code;
}

static inline int leat_error_prefix(struct leat_error *err, const char *format, ...)
    LEAT_PRINTF(2, 3);

/* Puts context in front of the text: "shard \"x\": " + text. Returns the error's code. */
static inline int
leat_error_prefix(struct leat_error *err, const char *format, ...)
{
    char text[LEAT_ERROR_TEXT_BYTES];
    va_list arguments;
    int length;

    if (err == NULL)
        return LEAT_E_INTERNAL;
    memcpy(text, err->text, sizeof text);
    va_start(arguments, format);
    length = vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length + 3 < sizeof err->text) {
        size_t room = sizeof err->text - (size_t)length - 3;
        size_t size = strlen(text);

        if (size > room)
            size = room;
        memcpy(err->text + length, ": ", 2);
        memcpy(err->text + length + 2, text, size);
        err->text[length + 2 + (int)size] = '\0';
    }
    return err->code;
}

#ifdef __cplusplus
}
#endif
#endif
