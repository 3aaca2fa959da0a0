/*
 * The tree into the struct, by the table: the two are walked side by side. Every property gets a value: the node's, or its
 * default through the same parser. A node whose problem was told is marked, and its place in the struct stays zero.
 */
#include "base/memory.h"
#include "config/inside.h"
#include "config/mask.h"
#include "config/value.h"

#define KEY_BYTES 200 /* of an option's name; YAML itself reads back no key above 1,024 */

struct binding {
    struct leat_arena *arena;
    struct leat_problems *problems;
};

/* One map (NULL: not written) and the struct that it goes into. */
struct level {
    const struct leat_property *properties;
    struct leat_node *node;
    struct leat_place place; /* where something that is missing is missing */
    char *base;
    const char *path; /* "processors.rollup"; "": the top */
};

static const char *const kinds[] = {"one value", "a list", "a map"};

static void bind_level(struct binding *binding, const struct level *level);

static const char *
path_of(struct binding *binding, const char *path, const char *name)
{
    return leat_arena_printf(binding->arena, "%s%s%s", path, *path != '\0' ? "." : "", name);
}

/* ---- shorthands ---------------------------------------------------------------------------- */

/* The node becomes a map that holds what it was. */
static void
wrap(struct leat_node *node, const char *key, struct leat_arena *arena)
{
    struct leat_node *child = leat_node_new(arena, LEAT_NODE_SCALAR, node->place);

    child->text = node->text;
    child->is_bad = node->is_bad;
    child->key = key;
    node->kind = LEAT_NODE_MAP;
    node->first = node->last = child;
    node->text = "";
    node->is_bad = node->is_empty = false;
}

static void
spell_out(const struct leat_property *properties, struct leat_node *map, struct leat_arena *arena)
{
    for (struct leat_node *node = map->first; node != NULL; node = node->next) {
        const struct leat_property *property = leat_property_find(properties, node->key);
        bool is_scalar = node->kind == LEAT_NODE_SCALAR;

        if (property == NULL)
            continue;
        /* "log:" with everything below it commented out. */
        if (is_scalar && node->is_empty && property->type == LEAT_PROPERTY_MAP)
            node->kind = LEAT_NODE_MAP;
        else if (is_scalar && property->type == LEAT_PROPERTY_MAP && property->shorthand != NULL)
            wrap(node, property->shorthand, arena);
        if (node->kind == LEAT_NODE_MAP && property->type == LEAT_PROPERTY_MAP)
            spell_out(property->children, node, arena);
        if (node->kind != LEAT_NODE_LIST || property->type != LEAT_PROPERTY_LIST)
            continue;
        for (struct leat_node *item = node->first; item != NULL; item = item->next) {
            if (item->kind == LEAT_NODE_SCALAR && property->shorthand != NULL)
                wrap(item, property->shorthand, arena);
            if (item->kind == LEAT_NODE_MAP)
                spell_out(property->children, item, arena);
        }
    }
}

void
leat_config_spell_out(struct leat_node *root, struct leat_arena *arena)
{
    spell_out(leat_properties, root, arena);
}

/* ---- values -------------------------------------------------------------------------------- */

/* false: told, now or before. */
static bool
has_kind(struct binding *binding, struct leat_node *node, enum leat_node_kind kind,
         const char *path)
{
    if (node->is_bad)
        return false;
    if (node->kind == kind)
        return true;
    leat_problem_add(binding->problems, node->place, "%.200s takes %s, not %s", path, kinds[kind],
                     kinds[node->kind]);
    node->is_bad = true;
    return false;
}

static void
bind_scalar(struct binding *binding, const struct leat_property *property, struct leat_node *node,
            const struct level *level)
{
    const char *path = path_of(binding, level->path, property->name);
    struct leat_error err;

    if (!has_kind(binding, node, LEAT_NODE_SCALAR, path))
        return;
    if ((property->flags & LEAT_PROPERTY_SECRET) && node->place.layer == LEAT_LAYER_SET &&
        leat_url_has_password(node->text)) {
        leat_problem_add(binding->problems, node->place,
                         "a password does not belong on a command line: use url_file, the "
                         "environment, or libpq's PGPASSFILE");
        node->is_bad = true;
        return;
    }
    if (leat_value_parse(property, leat_slice_from(node->text), binding->arena, level->base,
                         &err) != 0) {
        /* What is wrong with a value is told with the value, but for one that may be a secret. */
        leat_problem_add(binding->problems, node->place, "%.200s: %s", path,
                         property->flags & LEAT_PROPERTY_SECRET
                             ? "not a value that it takes (which is not shown: it may be a secret)"
                             : err.text);
        node->is_bad = true;
    }
}

/* Names that a plugin decides about. The file's keys hold no variables; what comes from outside is as strict. */
static bool
is_good_key(struct binding *binding, struct leat_node *node, const char *path)
{
    if (strlen(node->key) <= KEY_BYTES && strstr(node->key, "${") == NULL)
        return true;
    if (!node->is_bad)
        leat_problem_add(binding->problems, node->key_place,
                         strlen(node->key) > KEY_BYTES ? "%.200s: a key has at most %d bytes"
                                                       : "%.200s: a key cannot hold a variable",
                         path, KEY_BYTES);
    node->is_bad = true;
    return false;
}

/* Slices of the children's texts; of maps keys and values by turns. */
static const struct leat_slice *
bind_texts(struct binding *binding, struct leat_node *node, const char *path, size_t *ret_count)
{
    size_t per_child = node->kind == LEAT_NODE_MAP ? 2 : 1, count = 0;
    struct leat_slice *texts =
        leat_arena_alloc(binding->arena, (leat_node_count(node) * 2 + 1) * sizeof *texts);

    for (struct leat_node *child = node->first; child != NULL; child = child->next) {
        const char *name = child->key != NULL
                               ? child->key
                               : leat_arena_printf(binding->arena, "%zu", count / per_child);

        if (!has_kind(binding, child, LEAT_NODE_SCALAR, path_of(binding, path, name)) ||
            (child->key != NULL && !is_good_key(binding, child, path)))
            continue;
        if (per_child == 2)
            texts[count++] = leat_slice_from(child->key);
        texts[count++] = leat_slice_from(child->text);
    }
    *ret_count = count;
    return texts;
}

static void
bind_text_list(struct binding *binding, const struct leat_property *property,
               struct leat_node *node, const struct level *level)
{
    const char *path = path_of(binding, level->path, property->name);
    const struct leat_slice *slices;
    const char **texts;
    size_t count;

    /* One item needs no brackets. */
    if (node->kind == LEAT_NODE_SCALAR && !node->is_bad && !node->is_empty)
        wrap(node, NULL, binding->arena), node->kind = LEAT_NODE_LIST;
    if (node->is_empty || !has_kind(binding, node, LEAT_NODE_LIST, path))
        return;
    slices = bind_texts(binding, node, path, &count);
    texts = leat_arena_alloc_zero(binding->arena, count + 1, sizeof *texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = (const char *)slices[i].data; /* nodes' texts end with a zero */
    memcpy(level->base + property->at, &texts, sizeof texts);
    memcpy(level->base + property->second_at, &count, sizeof count);
}

static void
bind_options(struct binding *binding, const struct leat_property *property, struct leat_node *node,
             const struct level *level)
{
    const char *path = path_of(binding, level->path, property->name);
    struct leat_config_option *options;
    size_t count = 0;

    if (node->is_empty || !has_kind(binding, node, LEAT_NODE_MAP, path))
        return;
    options = leat_arena_alloc_zero(binding->arena, leat_node_count(node) + 1, sizeof *options);
    for (struct leat_node *child = node->first; child != NULL; child = child->next) {
        struct leat_config_option *option = &options[count];

        if (child->is_bad || !is_good_key(binding, child, path))
            continue;
        option->name = child->key;
        option->kind = (int)child->kind;
        option->scalar = leat_slice_from(child->text);
        option->line = child->place.line;
        option->column = child->place.column;
        option->origin = child->place.origin;
        option->items =
            bind_texts(binding, child, path_of(binding, path, child->key), &option->item_count);
        count++;
    }
    memcpy(level->base + property->at, &options, sizeof options);
    memcpy(level->base + property->second_at, &count, sizeof count);
}

static void
keep_place(char *base, size_t at, struct leat_place place)
{
    const int numbers[] = {place.line, place.column};

    if (at > 0)
        memcpy(base + at, numbers, sizeof numbers);
}

/* ---- maps and lists ------------------------------------------------------------------------ */

static const char *
item_path(struct binding *binding, const char *path, const struct leat_node *item, size_t index)
{
    const struct leat_node *name = leat_node_get(item, "name");

    if (name != NULL && name->kind == LEAT_NODE_SCALAR && *name->text != '\0')
        return path_of(binding, path, name->text);
    return leat_arena_printf(binding->arena, "%s.%zu", path, index);
}

static void
bind_list(struct binding *binding, const struct leat_property *property, struct leat_node *node,
          const struct level *level)
{
    const char *path = path_of(binding, level->path, property->name);
    size_t count, index = 0;
    char *items;

    if (node->is_empty)
        node->kind = LEAT_NODE_LIST;
    if (!has_kind(binding, node, LEAT_NODE_LIST, path))
        return;
    count = leat_node_count(node);
    items = leat_arena_alloc_zero(binding->arena, count + 1, property->item_bytes);
    if (count == 0 && (property->flags & LEAT_PROPERTY_REQUIRED))
        leat_problem_add(binding->problems, node->place, "%s is empty: %s", path, property->text);
    for (struct leat_node *item = node->first; item != NULL; item = item->next, index++) {
        struct level inner = {property->children, item, item->place,
                              items + index * property->item_bytes,
                              item_path(binding, path, item, index)};

        keep_place(inner.base, property->place_at, item->place);
        if (has_kind(binding, item, LEAT_NODE_MAP, inner.path))
            bind_level(binding, &inner);
    }
    memcpy(level->base + property->at, &items, sizeof items);
    memcpy(level->base + property->second_at, &count, sizeof count);
}

static void
bind_map(struct binding *binding, const struct leat_property *property, struct leat_node *node,
         const struct level *level)
{
    struct level inner = {property->children, node, node != NULL ? node->place : level->place,
                          level->base, path_of(binding, level->path, property->name)};

    keep_place(level->base, property->place_at, inner.place);
    if (node == NULL || has_kind(binding, node, LEAT_NODE_MAP, inner.path))
        bind_level(binding, &inner);
}

static void
bind_default(struct binding *binding, const struct leat_property *property,
             const struct level *level)
{
    struct leat_start unset = {LEAT_START_UNSET, 0};
    struct leat_error err;

    if (property->type == LEAT_PROPERTY_START)
        memcpy(level->base + property->at, &unset, sizeof unset);
    if (property->default_text != NULL &&
        leat_value_parse(property, leat_slice_from(property->default_text), binding->arena,
                         level->base, &err) != 0)
        leat_assert_failed(err.text, __FILE__, __LINE__); /* the table is wrong */
    if (property->flags & LEAT_PROPERTY_REQUIRED)
        leat_problem_add(binding->problems, level->place, "%.200s is missing: %s",
                         path_of(binding, level->path, property->name), property->text);
}

static void
bind_one(struct binding *binding, const struct leat_property *property, struct leat_node *node,
         const struct level *level)
{
    if (property->type == LEAT_PROPERTY_MAP)
        bind_map(binding, property, node, level);
    else if (node == NULL)
        bind_default(binding, property, level);
    else if (property->type == LEAT_PROPERTY_LIST)
        bind_list(binding, property, node, level);
    else if (property->type == LEAT_PROPERTY_OPTIONS)
        bind_options(binding, property, node, level);
    else if (property->type == LEAT_PROPERTY_TEXTS)
        bind_text_list(binding, property, node, level);
    else
        bind_scalar(binding, property, node, level);
}

static void
bind_level(struct binding *binding, const struct level *level)
{
    const struct leat_property *property = level->properties;

    for (; property->name != NULL; property++)
        bind_one(binding, property, leat_node_get(level->node, property->name), level);
    for (struct leat_node *node = level->node != NULL ? level->node->first : NULL; node != NULL;
         node = node->next) {
        if (leat_property_find(level->properties, node->key) == NULL)
            leat_problem_unknown(binding->problems, node->key_place, "key", node->key, level->path,
                                 leat_property_names(level->properties, binding->arena));
    }
}

void
leat_config_bind(struct leat_node *root, struct leat_config *config, struct leat_problems *problems)
{
    struct binding binding = {&config->arena, problems};
    struct level top = {leat_properties, root, root->place, (char *)config, ""};

    bind_level(&binding, &top);
}
