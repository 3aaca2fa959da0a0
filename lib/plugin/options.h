/*
 * Options of plugins: from raw (name, value, position) as the configuration holds them to typed values by the plugin's
 * declared table. All errors at once, through report. Pure.
 */
#ifndef LEAT_PLUGIN_OPTIONS_H
#define LEAT_PLUGIN_OPTIONS_H

#include <leat/option.h>

#include "base/arena.h"

/* One option as given: a scalar, a list, or a map (keys and values by turns). */
enum leat_raw_kind { LEAT_RAW_SCALAR = 0, LEAT_RAW_LIST = 1, LEAT_RAW_MAP = 2 };
struct leat_raw_option {
    const char *name;
    enum leat_raw_kind kind;
    struct leat_slice scalar;
    const struct leat_slice *items;
    size_t item_count;
    int line, column; /* of the value, from 1; 0: not from a file */
};

typedef void (*leat_option_report_fn)(void *context, int line, int column, const char *text);

/* 0, or LEAT_E_INVALID after every problem was reported. Values live in the arena. more than five: two tables in, errors by callback. */
int leat_options_resolve(const struct leat_option *declared, const struct leat_raw_option *given,
                         size_t given_count, struct leat_arena *arena, leat_option_report_fn report,
                         void *context, struct leat_options *ret_options);

#endif
