/*
 * Options of a plugin: a declared table from which the configuration is checked (types, ranges,
 * "did you mean"), `leat plugin info` prints and the values are handed to open().
 */
#ifndef LEAT_OPTION_H
#define LEAT_OPTION_H

#include <stdint.h>

#include "slice.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef LEAT_END /* ends an array of columns, tables or options */
#define LEAT_END                                                                                   \
    {                                                                                              \
        0                                                                                          \
    }
#endif

enum leat_option_type {
    LEAT_OPTION_TEXT = 1,
    LEAT_OPTION_INTEGER = 2,
    LEAT_OPTION_BOOLEAN = 3,  /* true | false */
    LEAT_OPTION_DURATION = 4, /* "1m", "200ms", "0": µs in `integer`; minimum and maximum in µs */
    LEAT_OPTION_SIZE = 5,     /* "64MiB", "512KiB", "100B": bytes in `integer` */
    LEAT_OPTION_CHOICE = 6,   /* one of `choices`; its index in `integer`, its word in `text` */
    LEAT_OPTION_LIST = 7,     /* of texts */
    LEAT_OPTION_MAP = 8       /* of text to text: keys and values by turns in `list` */
};

enum leat_option_flag {
    LEAT_OPTION_SECRET = 1, /* masked wherever it is shown */
    LEAT_OPTION_REQUIRED = 2
};

/* An array of these ends with LEAT_END. Frozen: indexed. */
struct leat_option {
    const char *name;
    enum leat_option_type type;
    uint32_t flags;
    const char *default_text;   /* as the user would write it (a list with commas); NULL: none */
    const char *const *choices; /* NULL-ended; LEAT_OPTION_CHOICE only */
    int64_t minimum, maximum;   /* both 0: no range */
    const char *text;           /* one line */
};

struct leat_option_value {
    const char *name;
    enum leat_option_type type;
    uint32_t is_given; /* 0: this is the default */
    int64_t integer;
    struct leat_slice text; /* zero-terminated behind its end, for convenience */
    const struct leat_slice *list;
    size_t list_count; /* LEAT_OPTION_MAP: twice the number of pairs */
};

/* In the order of the declared table; lives as long as the instance. */
struct leat_options {
    size_t size;
    size_t count;
    const struct leat_option_value *values;
};

/* The value of a declared option; NULL only for a name that was never declared. */
static inline const struct leat_option_value *
leat_option_get(const struct leat_options *options, const char *name)
{
    size_t i;

    for (i = 0; i < options->count; i++) {
        if (strcmp(options->values[i].name, name) == 0)
            return &options->values[i];
    }
    return NULL;
}

#ifdef __cplusplus
}
#endif
#endif
