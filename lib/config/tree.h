/*
 * A YAML document as a bounded tree: maps, lists and scalars, each with its place. Scalars stay text: what a text means is
 * the property's affair (value.h). No anchors, aliases or tags; a duplicate key is a problem, too.
 * Everything lives in the arena that was given.
 */
#ifndef LEAT_CONFIG_TREE_H
#define LEAT_CONFIG_TREE_H

#include "base/arena.h"
#include "config/problem.h"

#define LEAT_TREE_DEPTH 16
#define LEAT_TREE_NODES 10000
#define LEAT_TREE_BYTES                                                                            \
    ((size_t)1 << 20) /* of the text; of it with its variables, four times that */

enum leat_node_kind { LEAT_NODE_SCALAR = 0, LEAT_NODE_LIST = 1, LEAT_NODE_MAP = 2 };

struct leat_node {
    enum leat_node_kind kind;
    struct leat_place place;
    struct leat_place key_place; /* in a map: where its key is; else as place */
    const char *key;             /* in a map; NULL else */
    const char *text;            /* of a scalar: without zero bytes inside */
    bool is_empty;               /* a scalar of which nothing is written, not even quotes */
    bool is_bad;                 /* its problem was told: not to be told again */
    struct leat_node *first, *last, *next; /* children, in order; sibling */
};

/* The value of ${NAME}; NULL: undefined. */
typedef const char *(*leat_variable_fn)(void *context, const char *name);

struct leat_tree_input {
    struct leat_slice text;
    leat_variable_fn variable; /* NULL: none is defined */
    void *variable_context;
};

/* The root, always a map, or NULL when nothing can be made of the text; what is wrong goes to problems. */
struct leat_node *leat_tree_parse(const struct leat_tree_input *input, struct leat_arena *arena,
                                  struct leat_problems *problems);

struct leat_node *leat_node_new(struct leat_arena *arena, enum leat_node_kind kind,
                                struct leat_place place);
void leat_node_append(struct leat_node *parent, struct leat_node *child);
/* NULL: none (or parent is NULL, or no map). */
struct leat_node *leat_node_get(const struct leat_node *parent, const char *key);
struct leat_node *leat_node_item(const struct leat_node *parent, size_t index);
size_t leat_node_count(const struct leat_node *parent);
/* "leases.expiry": through maps alone. */
struct leat_node *leat_node_at(const struct leat_node *parent, const char *path);

#endif
