/* Where a value was given, and everything that is wrong with a configuration: collected, sorted, then told at once. */
#ifndef LEAT_CONFIG_PROBLEM_H
#define LEAT_CONFIG_PROBLEM_H

#include "base/arena.h"
#include "config/config.h"

#define LEAT_PROBLEMS 100 /* told; then a count */

/* The later one wins. */
enum leat_layer { LEAT_LAYER_FILE = 0, LEAT_LAYER_ENVIRONMENT = 1, LEAT_LAYER_SET = 2 };

struct leat_place {
    enum leat_layer layer;
    const char *origin; /* "environment LEAT_A__B", "--set a.b"; NULL in a file */
    int line, column;   /* in a file, from 1; columns in characters */
};

struct leat_problem {
    struct leat_place place;
    size_t order;
    const char *text;
};

struct leat_problems {
    struct leat_arena *arena;
    const char *file;
    struct leat_problem items[LEAT_PROBLEMS];
    size_t count; /* may be more than LEAT_PROBLEMS */
};

void leat_problem_add(struct leat_problems *problems, struct leat_place place, const char *format,
                      ...) LEAT_PRINTF(3, 4);
/* "there is no key "x" in leases, did you mean "y"?"; words NULL-ended, where "": at the top. more than five: all that the sentence is made of. */
void leat_problem_unknown(struct leat_problems *problems, struct leat_place place, const char *what,
                          const char *word, const char *where, const char *const *words);
/* All of them, by file position, then environment, then --set. */
void leat_problems_tell(struct leat_problems *problems, leat_config_report_fn report,
                        void *context);

#endif
