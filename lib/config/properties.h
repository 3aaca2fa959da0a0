/*
 * THE table: every property of the configuration with its type, default, range and text. Parser, `leat config show`,
 * JSON Schema and reference page are made from it; what has no line here does not exist.
 */
#ifndef LEAT_CONFIG_PROPERTIES_H
#define LEAT_CONFIG_PROPERTIES_H

#include <stddef.h>

#include "config/config.h"

/* And what it is in the struct. */
enum leat_property_type {
    LEAT_PROPERTY_TEXT = 0,       /* const char *; range: of its bytes */
    LEAT_PROPERTY_WORD = 1,       /* one of `choices`, as const char * */
    LEAT_PROPERTY_CHOICE = 2,     /* one of `choices`, as an enum */
    LEAT_PROPERTY_BOOLEAN = 3,    /* bool */
    LEAT_PROPERTY_INTEGER = 4,    /* int64_t */
    LEAT_PROPERTY_REAL = 5,       /* double */
    LEAT_PROPERTY_DURATION = 6,   /* int64_t, µs */
    LEAT_PROPERTY_SIZE = 7,       /* int64_t, bytes */
    LEAT_PROPERTY_PERCENT = 8,    /* int64_t; "50%" */
    LEAT_PROPERTY_RATE = 9,       /* double, per second; "5/s" */
    LEAT_PROPERTY_BYTE_RATE = 10, /* double, bytes per second; "2MiB/s" */
    LEAT_PROPERTY_SPAN = 11,      /* two int64_t, µs: "100ms..30s" */
    LEAT_PROPERTY_START = 12,     /* struct leat_start */
    LEAT_PROPERTY_TEXTS = 13,     /* const char *const *, and its count */
    LEAT_PROPERTY_OPTIONS =
        14,                 /* const struct leat_config_option *, and its count: a plugin's own */
    LEAT_PROPERTY_MAP = 15, /* `children`, in the same struct */
    LEAT_PROPERTY_LIST = 16 /* an array of structs of `children`, and its count */
};

enum leat_property_flag {
    LEAT_PROPERTY_REQUIRED = 1,
    LEAT_PROPERTY_SECRET = 2, /* may hold a password: masked, and none by --set */
    LEAT_PROPERTY_AUTO = 4    /* "auto" is allowed: -1 */
};

struct leat_property {
    const char *name;
    enum leat_property_type type;
    unsigned flags;
    size_t at;        /* in the struct of its level */
    size_t second_at; /* counts; the end of a span */
    size_t
        place_at; /* `int line, column`: of a MAP in its struct, of a LIST in its items; 0: none */
    const char *default_text;             /* as it would be written; NULL: nothing, or see `text` */
    const char *const *choices;           /* NULL-ended */
    const char *const *later;             /* words that a later leat will know, or NULL */
    int64_t minimum, maximum;             /* both 0: no range; INT64_MAX: no end */
    const struct leat_property *children; /* ends with name NULL */
    size_t item_bytes;                    /* LIST */
    const char *shorthand;                /* MAP, items of a LIST: a scalar stands for this child */
    const char *text;                     /* one line */
};

extern const struct leat_property leat_properties[]; /* of struct leat_config */

const struct leat_property *leat_property_find(const struct leat_property *properties,
                                               const char *name); /* NULL: none */
/* Their names, NULL-ended, in the arena. */
const char *const *leat_property_names(const struct leat_property *properties,
                                       struct leat_arena *arena);
/* "map", "duration": what people read. */
const char *leat_property_type_name(const struct leat_property *property);

#endif
