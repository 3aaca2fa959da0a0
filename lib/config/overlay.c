/*
 * Environment and --set, put onto the tree before it is bound: so they are parsed, checked and shown like the file's values.
 * LEAT_PROCESSORS__ROLLUP__BATCH__RECORDS and --set processors.rollup.batch.records name the same: an item of a list goes by
 * its name or its index. Names are compared as environment variables can write them: without case, and what is no letter or
 * digit is an underscore. An index that is one past the end makes a new item.
 */
#include <ctype.h>
#include <stdlib.h>

#include "base/encoding.h"
#include "base/memory.h"
#include "base/units.h"
#include "config/inside.h"

struct overlay {
    struct leat_arena *arena;
    struct leat_problems *problems;
    struct leat_place place;
    const char *separator; /* "__" or "." */
    const char *value;
};

static void set_in_map(struct overlay *overlay, const struct leat_property *properties,
                       struct leat_node *map, const char *path, const char *rest);

static bool
is_environment(const struct overlay *overlay)
{
    return overlay->place.layer == LEAT_LAYER_ENVIRONMENT;
}

/* The part of rest before the separator; *ret_rest: behind it, NULL: it was the last. */
static const char *
take_part(const struct overlay *overlay, const char *rest, const char **ret_rest)
{
    const char *end = strstr(rest, overlay->separator);
    struct leat_slice part =
        leat_slice_make(rest, end != NULL ? (size_t)(end - rest) : strlen(rest));

    *ret_rest = end != NULL ? end + strlen(overlay->separator) : NULL;
    return (const char *)leat_arena_copy(overlay->arena, part).data;
}

static char
plain(char byte)
{
    return isalnum((unsigned char)byte) ? (char)tolower((unsigned char)byte) : '_';
}

/* Does rest begin with this name? Its size in rest, or 0. A name may hold the separator itself. */
static size_t
begins_with_name(const struct overlay *overlay, const char *rest, const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < size; i++) {
        if (is_environment(overlay) ? plain(rest[i]) != plain(name[i]) : rest[i] != name[i])
            return 0;
        if (rest[i] == '\0')
            return 0;
    }
    if (rest[size] != '\0' &&
        strncmp(rest + size, overlay->separator, strlen(overlay->separator)) != 0)
        return 0;
    return size;
}

/* ---- the end of a path --------------------------------------------------------------------- */

static void
make_scalar(struct overlay *overlay, struct leat_node *node)
{
    node->kind = LEAT_NODE_SCALAR;
    node->place = node->key_place = overlay->place;
    node->text = leat_arena_strdup(overlay->arena, overlay->value);
    node->first = node->last = NULL;
    node->is_bad = node->is_empty = false;
}

static struct leat_node *
get_or_add(struct overlay *overlay, struct leat_node *map, const char *key,
           enum leat_node_kind kind)
{
    struct leat_node *node = leat_node_get(map, key);

    if (node != NULL)
        return node;
    node = leat_node_new(overlay->arena, kind, overlay->place);
    node->key = leat_arena_strdup(overlay->arena, key);
    leat_node_append(map, node);
    return node;
}

static void
refuse_inside(struct overlay *overlay, const char *path)
{
    leat_problem_add(overlay->problems, overlay->place, "%.200s has nothing inside", path);
}

/* ---- lists --------------------------------------------------------------------------------- */

static const char *
name_of(const struct leat_node *item)
{
    const struct leat_node *name = leat_node_get(item, "name");

    return name != NULL && name->kind == LEAT_NODE_SCALAR ? name->text : "";
}

static void
refuse_item(struct overlay *overlay, const struct leat_node *list, const char *path,
            const char *word)
{
    const char **names =
        leat_arena_alloc_zero(overlay->arena, leat_node_count(list) + 1, sizeof *names);
    size_t count = 0;

    for (const struct leat_node *item = list->first; item != NULL; item = item->next) {
        if (*name_of(item) != '\0')
            names[count++] = name_of(item);
    }
    leat_problem_unknown(overlay->problems, overlay->place, "item", word, path, names);
}

/* By name (the longest that fits) or index; NULL: told. *ret_rest as of take_part. */
static struct leat_node *
find_item(struct overlay *overlay, struct leat_node *list, const char *path, const char *rest,
          const char **ret_rest)
{
    struct leat_node *found = NULL;
    size_t size = 0, index;
    const char *word;
    char *end;

    for (struct leat_node *item = list->first; item != NULL; item = item->next) {
        size_t fits = begins_with_name(overlay, rest, name_of(item));

        if (fits > size) {
            size = fits;
            found = item;
        }
    }
    if (found != NULL) {
        *ret_rest = rest[size] != '\0' ? rest + size + strlen(overlay->separator) : NULL;
        return found;
    }
    word = take_part(overlay, rest, ret_rest);
    index = strtoul(word, &end, 10);
    if (!isdigit((unsigned char)*word) || *end != '\0' || index > leat_node_count(list)) {
        refuse_item(overlay, list, path, word);
        return NULL;
    }
    if (index == leat_node_count(list))
        leat_node_append(list, leat_node_new(overlay->arena, LEAT_NODE_MAP, overlay->place));
    return leat_node_item(list, index);
}

static void
set_in_list(struct overlay *overlay, const struct leat_property *property, struct leat_node *list,
            const char *path, const char *rest)
{
    const char *behind;
    struct leat_node *item;

    if (list->kind != LEAT_NODE_LIST) {
        if (!list->is_empty)
            return; /* the file's own mistake is told where it is */
        list->kind = LEAT_NODE_LIST;
    }
    item = find_item(overlay, list, path, rest, &behind);
    if (item == NULL)
        return;
    if (property->type == LEAT_PROPERTY_TEXTS) {
        if (behind != NULL)
            refuse_inside(overlay, path);
        make_scalar(overlay, item);
        item->is_bad = behind != NULL;
        return;
    }
    if (behind == NULL && property->shorthand != NULL) {
        make_scalar(overlay, get_or_add(overlay, item, property->shorthand, LEAT_NODE_SCALAR));
    } else if (behind == NULL) {
        make_scalar(overlay, item); /* the binding says what it takes */
    } else if (item->kind == LEAT_NODE_MAP) {
        const char *name = *name_of(item) != '\0' ? name_of(item)
                                                  : take_part(overlay, rest, &(const char *){NULL});

        set_in_map(overlay, property->children, item,
                   leat_arena_printf(overlay->arena, "%s.%s", path, name), behind);
    }
}

/* ---- a plugin's options: any name, and one level below it ---------------------------------- */

static void
set_option(struct overlay *overlay, struct leat_node *options, const char *path, const char *rest)
{
    const char *behind, *name = take_part(overlay, rest, &behind);
    struct leat_node *node;

    if (options->kind != LEAT_NODE_MAP) {
        if (!options->is_empty)
            return;
        options->kind = LEAT_NODE_MAP;
    }
    node = get_or_add(overlay, options, name, behind != NULL ? LEAT_NODE_MAP : LEAT_NODE_SCALAR);
    if (behind == NULL)
        make_scalar(overlay, node);
    else if (node->kind == LEAT_NODE_MAP)
        make_scalar(overlay, get_or_add(overlay, node, behind, LEAT_NODE_SCALAR));
    else if (node->kind == LEAT_NODE_LIST)
        set_in_list(overlay, &(const struct leat_property){.type = LEAT_PROPERTY_TEXTS}, node,
                    leat_arena_printf(overlay->arena, "%s.%s", path, name), behind);
    else
        refuse_inside(overlay, leat_arena_printf(overlay->arena, "%s.%s", path, name));
}

/* ---- maps ---------------------------------------------------------------------------------- */

static void
set_below(struct overlay *overlay, const struct leat_property *property, struct leat_node *map,
          const char *path, const char *rest)
{
    bool is_list = property->type == LEAT_PROPERTY_LIST || property->type == LEAT_PROPERTY_TEXTS;
    struct leat_node *node =
        get_or_add(overlay, map, property->name, is_list ? LEAT_NODE_LIST : LEAT_NODE_MAP);

    if (is_list)
        set_in_list(overlay, property, node, path, rest);
    else if (property->type == LEAT_PROPERTY_OPTIONS)
        set_option(overlay, node, path, rest);
    else if (node->kind == LEAT_NODE_MAP)
        set_in_map(overlay, property->children, node, path, rest);
}

static void
set_in_map(struct overlay *overlay, const struct leat_property *properties, struct leat_node *map,
           const char *path, const char *rest)
{
    const char *behind, *key = take_part(overlay, rest, &behind);
    const struct leat_property *property = leat_property_find(properties, key);
    bool is_group;

    if (property == NULL) {
        leat_problem_unknown(overlay->problems, overlay->place, "key", key, path,
                             leat_property_names(properties, overlay->arena));
        return;
    }
    path = leat_arena_printf(overlay->arena, "%s%s%s", path, *path != '\0' ? "." : "", key);
    is_group = property->type >= LEAT_PROPERTY_TEXTS;
    if (behind != NULL && is_group)
        set_below(overlay, property, map, path, behind);
    else if (behind != NULL)
        refuse_inside(overlay, path);
    else if (property->type == LEAT_PROPERTY_MAP && property->shorthand != NULL)
        set_below(overlay, property, map, path, property->shorthand);
    else
        make_scalar(overlay, get_or_add(overlay, map, key, LEAT_NODE_SCALAR));
}

/* What is shown has to read back. */
static void
set_at_top(struct overlay *overlay, struct leat_node *root, const char *path)
{
    if (leat_utf8_is_valid(leat_slice_from(path)) &&
        leat_utf8_is_valid(leat_slice_from(overlay->value)))
        set_in_map(overlay, leat_properties, root, "", path);
    else
        leat_problem_add(overlay->problems, overlay->place, "this is no UTF-8");
}

/* ---- where they come from ------------------------------------------------------------------ */

static int
compare_texts(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* LEAT_A__B is ours; LEAT_A only where it is a property of the top: there are other uses of the prefix. */
static void
set_variable(struct overlay *overlay, struct leat_node *root, const char *variable)
{
    size_t size = strcspn(variable, "=");
    char *path =
        (char *)(uintptr_t)leat_arena_copy(overlay->arena, leat_slice_make(variable + 5, size - 5))
            .data;

    overlay->place.origin =
        leat_arena_printf(overlay->arena, "environment %.*s", (int)size, variable);
    for (char *byte = path; *byte != '\0'; byte++)
        *byte = (char)tolower((unsigned char)*byte);
    if (strstr(path, "__") == NULL && leat_property_find(leat_properties, path) == NULL)
        return;
    overlay->value = variable + size + 1;
    set_at_top(overlay, root, path);
}

static void
set_environment(struct overlay *overlay, struct leat_node *root, const char *const *environment)
{
    LEAT_AUTO_FREE const char **ours = NULL;
    size_t count = 0, capacity = 0;

    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, "LEAT_", 5) != 0 || strchr(*environment, '=') == NULL)
            continue;
        LEAT_GROW(ours, count, capacity);
        ours[count++] = *environment;
    }
    /* In an order of their own: LEAT_DATABASE comes before LEAT_DATABASE__URL. */
    leat_sort(ours, count, sizeof *ours, compare_texts);
    overlay->place.layer = LEAT_LAYER_ENVIRONMENT;
    overlay->separator = "__";
    for (size_t i = 0; i < count; i++)
        set_variable(overlay, root, ours[i]);
}

static void
set_assignment(struct overlay *overlay, struct leat_node *root, const char *assignment)
{
    size_t size = strcspn(assignment, "=");
    const char *path;

    overlay->place.origin = leat_arena_printf(overlay->arena, "--set %.*s", (int)size, assignment);
    if (assignment[size] == '\0' || size == 0) {
        leat_problem_add(overlay->problems, overlay->place,
                         "write it like --set memory.budget=512MiB");
        return;
    }
    path = (const char *)leat_arena_copy(overlay->arena, leat_slice_make(assignment, size)).data;
    overlay->value = assignment + size + 1;
    set_at_top(overlay, root, path);
}

void
leat_config_overlay(struct leat_node *root, const struct leat_config_sources *sources,
                    struct leat_problems *problems)
{
    struct overlay overlay = {.arena = problems->arena, .problems = problems};

    if (sources->environment != NULL)
        set_environment(&overlay, root, sources->environment);
    overlay.place.layer = LEAT_LAYER_SET;
    overlay.separator = ".";
    for (size_t i = 0; i < sources->override_count; i++)
        set_assignment(&overlay, root, sources->overrides[i].assignment);
}
