/*
 * The configuration's inside: what config.h hands out is the first part of it; the rest says where each value came from.
 * The steps of a load: tree.c reads the file, overlay.c puts environment and --set on top, bind.c fills the struct by the
 * table, check.c looks at what no single property can know.
 */
#ifndef LEAT_CONFIG_INSIDE_H
#define LEAT_CONFIG_INSIDE_H

#include "config/config.h"
#include "config/problem.h"
#include "config/properties.h"
#include "config/tree.h"

struct leat_config_inside {
    struct leat_config config; /* first */
    struct leat_node *root;    /* in the config's arena, with shorthands written out */
};

/* Where values come from; everything borrowed. */
struct leat_config_sources {
    const char *file; /* for messages */
    struct leat_slice text;
    leat_variable_fn variable;
    void *variable_context;
    const char *const *environment; /* "NAME=value", NULL-ended; NULL: none */
    const struct leat_config_override *overrides;
    size_t override_count;
};

int leat_config_make(const struct leat_config_sources *sources, leat_config_report_fn report,
                     void *context, struct leat_config **ret_config);

/* Scalars that stand for a map become that map. */
void leat_config_spell_out(struct leat_node *root, struct leat_arena *arena);
/* Environment, then --set, onto the tree; needs shorthands spelt out. */
void leat_config_overlay(struct leat_node *root, const struct leat_config_sources *sources,
                         struct leat_problems *problems);
/* Of url and url_file the one from the later layer stays; both in one layer are a problem. */
void leat_config_settle(struct leat_node *root, struct leat_problems *problems);
/* The tree into the struct, by the table. */
void leat_config_bind(struct leat_node *root, struct leat_config *config,
                      struct leat_problems *problems);
/* What properties have to do with one another; nothing that hangs on a value whose problem was told. */
void leat_config_check(struct leat_node *root, struct leat_config *config,
                       struct leat_problems *problems);

#endif
