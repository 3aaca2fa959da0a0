/*
 * libyaml's events become a tree. What can be told without losing the thread is told and passed over (an anchor, a
 * duplicate), so that the rest is checked too; a syntax error ends it. Depth, nodes and bytes have limits: the text may
 * come from anywhere. Variables are put into values alone, once: what they hold is not looked at again.
 */
#include "config/tree.h"

#include <yaml.h>

#include "base/encoding.h"
#include "base/memory.h"

struct builder {
    yaml_parser_t parser;
    const struct leat_tree_input *input;
    struct leat_arena *arena;
    struct leat_problems *problems;
    size_t nodes, expanded_bytes;
    bool is_broken; /* told; there are no more events */
};

/* ---- nodes --------------------------------------------------------------------------------- */

struct leat_node *
leat_node_new(struct leat_arena *arena, enum leat_node_kind kind, struct leat_place place)
{
    struct leat_node *node = leat_arena_alloc_zero(arena, 1, sizeof *node);

    node->kind = kind;
    node->place = node->key_place = place;
    node->text = "";
    return node;
}

void
leat_node_append(struct leat_node *parent, struct leat_node *child)
{
    child->next = NULL;
    if (parent->last != NULL)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

struct leat_node *
leat_node_get(const struct leat_node *parent, const char *key)
{
    if (parent == NULL || parent->kind != LEAT_NODE_MAP)
        return NULL;
    for (struct leat_node *child = parent->first; child != NULL; child = child->next) {
        if (strcmp(child->key, key) == 0)
            return child;
    }
    return NULL;
}

struct leat_node *
leat_node_item(const struct leat_node *parent, size_t index)
{
    struct leat_node *child = parent != NULL ? parent->first : NULL;

    while (child != NULL && index-- > 0)
        child = child->next;
    return child;
}

size_t
leat_node_count(const struct leat_node *parent)
{
    size_t count = 0;

    for (struct leat_node *child = parent->first; child != NULL; child = child->next)
        count++;
    return count;
}

struct leat_node *
leat_node_at(const struct leat_node *parent, const char *path)
{
    struct leat_node *found = NULL;

    while (*path != '\0') {
        size_t size = strcspn(path, ".");
        LEAT_AUTO_FREE char *key = leat_slice_strdup(leat_slice_make(path, size));

        found = leat_node_get(parent, key);
        if (found == NULL)
            return NULL;
        parent = found;
        path += size + (path[size] == '.');
    }
    return found;
}

/* ---- scalars ------------------------------------------------------------------------------- */

static struct leat_place
place_of(yaml_mark_t mark)
{
    return (struct leat_place){.line = (int)mark.line + 1, .column = (int)mark.column + 1};
}

static bool
is_name_byte(char byte, bool is_first)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_' ||
           (!is_first && byte >= '0' && byte <= '9');
}

/* The value of "${NAME}" at text, whose size is returned; NULL: told. */
static const char *
variable_value(struct builder *builder, struct leat_place place, const char *text, size_t *ret_size)
{
    size_t size = 0;
    const char *value;
    char *name;

    while (is_name_byte(text[2 + size], size == 0))
        size++;
    if (size == 0 || text[2 + size] != '}') {
        leat_problem_add(builder->problems, place,
                         "\"${\" begins no variable: write ${NAME}, or $${ for the text itself");
        return NULL;
    }
    name = leat_slice_strdup(leat_slice_make(text + 2, size));
    value = builder->input->variable != NULL
                ? builder->input->variable(builder->input->variable_context, name)
                : NULL;
    if (value == NULL)
        leat_problem_add(builder->problems, place, "variable ${%.100s} is not defined", name);
    if (value != NULL && !leat_utf8_is_valid(leat_slice_from(value))) {
        leat_problem_add(builder->problems, place, "variable ${%.100s} is no UTF-8", name);
        value = NULL;
    }
    leat_cleanup_free(&name);
    *ret_size = size + 3;
    return value;
}

/* NULL: told. */
static const char *
expand(struct builder *builder, struct leat_place place, const char *text)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;

    if (strchr(text, '$') == NULL)
        return leat_arena_strdup(builder->arena, text);
    leat_buf_init(&out, LEAT_TREE_BYTES);
    while (*text != '\0') {
        size_t size = 1;

        if (text[0] == '$' && text[1] == '$') {
            leat_buf_add_byte(&out, '$');
            size = 2;
        } else if (text[0] == '$' && text[1] == '{') {
            const char *value = variable_value(builder, place, text, &size);

            if (value == NULL)
                return NULL;
            leat_buf_add_text(&out, value);
        } else {
            leat_buf_add_byte(&out, (unsigned char)*text);
        }
        text += size;
    }
    builder->expanded_bytes += out.size;
    if (out.is_truncated || builder->expanded_bytes > 4 * LEAT_TREE_BYTES) {
        leat_problem_add(builder->problems, place, "this is too large with its variables");
        return NULL;
    }
    return leat_arena_strdup(builder->arena, leat_buf_text(&out));
}

static struct leat_node *
build_scalar(struct builder *builder, const yaml_event_t *event)
{
    struct leat_node *node =
        leat_node_new(builder->arena, LEAT_NODE_SCALAR, place_of(event->start_mark));
    const char *text = (const char *)event->data.scalar.value;

    node->is_empty = event->data.scalar.length == 0 &&
                     event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (memchr(text, 0, event->data.scalar.length) != NULL) {
        leat_problem_add(builder->problems, node->place, "a text cannot hold a zero byte");
        text = NULL;
    } else {
        text = expand(builder, node->place, text);
    }
    node->is_bad = text == NULL;
    node->text = text != NULL ? text : "";
    return node;
}

/* ---- events -------------------------------------------------------------------------------- */

/* A "${" inside { } or [ ] is the one syntax error that everybody makes. */
static bool
has_bare_variable(const struct builder *builder, size_t line)
{
    const unsigned char *next = builder->input->text.data;
    const unsigned char *end = next + builder->input->text.size;
    const unsigned char *stop;

    while (line-- > 0 && next != NULL && next < end) {
        next = memchr(next, '\n', (size_t)(end - next));
        next = next != NULL ? next + 1 : NULL;
    }
    if (next == NULL || next >= end)
        return false;
    stop = memchr(next, '\n', (size_t)(end - next));
    return memmem(next, (size_t)((stop != NULL ? stop : end) - next), "${", 2) != NULL;
}

/* A tab that stands where blanks have to, which libyaml calls a character that cannot start any token. */
static bool
is_tab(const struct builder *builder, size_t line)
{
    struct leat_slice text = builder->input->text;
    const char *next = (const char *)text.data, *end = next + text.size;

    while (line-- > 0 && next != NULL && next < end) {
        next = memchr(next, '\n', (size_t)(end - next));
        next = next != NULL ? next + 1 : NULL;
    }
    while (next != NULL && next < end && *next == ' ')
        next++;
    return next != NULL && next < end && *next == '\t';
}

/* Of a byte: lines and characters from 1. */
static struct leat_place
place_at(struct leat_slice text, size_t offset)
{
    struct leat_place place = {.line = 1, .column = 1};

    for (size_t i = 0; i < offset && i < text.size; i++) {
        if (text.data[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if ((text.data[i] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

/* Where what other editors write is not read: UTF-16, another encoding. false: told. */
static bool
is_utf8(const struct leat_tree_input *input, struct leat_problems *problems)
{
    struct leat_place place = {.line = 1, .column = 1};
    struct leat_slice text = input->text;
    size_t good = 0;

    if (text.size >= 2 && ((text.data[0] == 0xff && text.data[1] == 0xfe) ||
                           (text.data[0] == 0xfe && text.data[1] == 0xff))) {
        leat_problem_add(problems, place, "this is UTF-16: save it as UTF-8");
        return false;
    }
    if (leat_utf8_is_valid(text))
        return true;
    while (good < text.size && leat_utf8_is_valid(leat_slice_make(text.data + good, 1)))
        good++;
    for (size_t size = 1; good + size <= text.size;) {
        /* The next character: of one to four bytes. */
        if (leat_utf8_is_valid(leat_slice_make(text.data + good, size))) {
            good += size;
            size = 1;
        } else if (size++ == 4) {
            break;
        }
    }
    leat_problem_add(problems, place_at(text, good),
                     "the byte 0x%02x is no UTF-8: save it as UTF-8",
                     text.data[good < text.size ? good : text.size - 1]);
    return false;
}

static void
tell_syntax(struct builder *builder)
{
    const yaml_parser_t *parser = &builder->parser;
    bool has_mark = parser->error == YAML_SCANNER_ERROR || parser->error == YAML_PARSER_ERROR;
    struct leat_place place = {.line = 1, .column = 1};

    if (has_mark)
        place = place_of(parser->problem_mark);
    else if (parser->error == YAML_READER_ERROR)
        place = place_at(builder->input->text, parser->problem_offset);
    if (has_mark && is_tab(builder, parser->problem_mark.line)) {
        leat_problem_add(builder->problems, place,
                         "a tab indents this line: YAML takes blanks alone");
        return;
    }
    leat_problem_add(builder->problems, place, "%s%s%s%s",
                     parser->problem != NULL ? parser->problem : "this is no YAML",
                     parser->context != NULL ? " " : "",
                     parser->context != NULL ? parser->context : "",
                     has_mark && has_bare_variable(builder, parser->problem_mark.line)
                         ? ": inside { } and [ ] a ${NAME} has to be quoted"
                         : "");
}

static bool
next_event(struct builder *builder, yaml_event_t *event)
{
    if (!builder->is_broken && yaml_parser_parse(&builder->parser, event))
        return true;
    if (!builder->is_broken)
        tell_syntax(builder);
    builder->is_broken = true;
    memset(event, 0, sizeof *event);
    return false;
}

static void
refuse_decoration(struct builder *builder, const yaml_event_t *event, struct leat_node *node)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    bool is_tagged = false;

    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        /* A lone "!" is a tag that libyaml only hints at. */
        is_tagged = !event->data.scalar.plain_implicit &&
                    event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor != NULL)
        leat_problem_add(builder->problems, node->place, "there are no anchors here: \"&%.100s\"",
                         (const char *)anchor);
    if (tag != NULL || is_tagged)
        leat_problem_add(builder->problems, node->place, "there are no tags here: \"%.100s\"",
                         tag != NULL ? (const char *)tag : "!");
    if (anchor != NULL || tag != NULL || is_tagged)
        node->is_bad = true;
}

static struct leat_node *build(struct builder *builder, const yaml_event_t *event, int depth);

static void
build_list(struct builder *builder, struct leat_node *list, int depth)
{
    yaml_event_t event;
    bool goes_on = true;

    while (goes_on && next_event(builder, &event)) {
        goes_on = event.type != YAML_SEQUENCE_END_EVENT;
        if (goes_on)
            leat_node_append(list, build(builder, &event, depth + 1));
        yaml_event_delete(&event);
    }
}

/* Variables are for values alone. NULL: told. */
static const char *
key_of(struct builder *builder, const struct leat_node *map, const yaml_event_t *event)
{
    struct leat_node *node =
        leat_node_new(builder->arena, LEAT_NODE_SCALAR, place_of(event->start_mark));
    const char *key = (const char *)event->data.scalar.value;
    const struct leat_node *first;

    refuse_decoration(builder, event, node);
    if (memchr(key, 0, event->data.scalar.length) != NULL) {
        leat_problem_add(builder->problems, node->place, "a key cannot hold a zero byte");
        return NULL;
    }
    if (strstr(key, "${") != NULL) {
        leat_problem_add(builder->problems, node->place, "a key cannot hold a variable");
        return NULL;
    }
    first = leat_node_get(map, key);
    if (first != NULL) {
        leat_problem_add(builder->problems, node->place,
                         "key \"%.100s\" is there twice: first in line %d", key,
                         first->key_place.line);
        return NULL;
    }
    return leat_arena_strdup(builder->arena, key);
}

static void
build_map(struct builder *builder, struct leat_node *map, int depth)
{
    yaml_event_t event;

    while (next_event(builder, &event)) {
        struct leat_place place = place_of(event.start_mark);
        struct leat_node *value;
        const char *key = NULL;

        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return;
        }
        if (event.type == YAML_SCALAR_EVENT) {
            key = key_of(builder, map, &event);
        } else {
            if (event.type != YAML_ALIAS_EVENT)
                leat_problem_add(builder->problems, place, "a key is one word");
            build(builder, &event, depth + 1);
        }
        yaml_event_delete(&event);
        if (!next_event(builder, &event))
            return;
        value = build(builder, &event, depth + 1);
        yaml_event_delete(&event);
        if (key != NULL) {
            value->key = key;
            value->key_place = place;
            leat_node_append(map, value);
        }
    }
}

/* Never NULL; after a break the node is whatever there was. */
static struct leat_node *
build(struct builder *builder, const yaml_event_t *event, int depth)
{
    struct leat_place place = place_of(event->start_mark);
    struct leat_node *node;

    if (depth > LEAT_TREE_DEPTH || ++builder->nodes > LEAT_TREE_NODES) {
        if (!builder->is_broken)
            leat_problem_add(builder->problems, place,
                             depth > LEAT_TREE_DEPTH ? "this is too deep: at most %d levels"
                                                     : "this is too large: at most %d values",
                             depth > LEAT_TREE_DEPTH ? LEAT_TREE_DEPTH : LEAT_TREE_NODES);
        builder->is_broken = true;
        return leat_node_new(builder->arena, LEAT_NODE_SCALAR, place);
    }
    if (event->type == YAML_SCALAR_EVENT) {
        node = build_scalar(builder, event);
        refuse_decoration(builder, event, node);
        return node;
    }
    node = leat_node_new(builder->arena,
                         event->type == YAML_SEQUENCE_START_EVENT  ? LEAT_NODE_LIST
                         : event->type == YAML_MAPPING_START_EVENT ? LEAT_NODE_MAP
                                                                   : LEAT_NODE_SCALAR,
                         place);
    refuse_decoration(builder, event, node);
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        build_list(builder, node, depth);
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        build_map(builder, node, depth);
    } else {
        leat_problem_add(builder->problems, place, "there are no aliases here: \"*%.100s\"",
                         (const char *)event->data.alias.anchor);
        node->is_bad = true;
    }
    return node;
}

static struct leat_node *
build_document(struct builder *builder)
{
    struct leat_node *root = NULL;
    yaml_event_t event;
    bool goes_on = true;
    int documents = 0;

    while (goes_on && next_event(builder, &event)) {
        goes_on = event.type != YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && ++documents > 1) {
            leat_problem_add(builder->problems, place_of(event.start_mark),
                             "there is a second document here: a configuration is one");
            goes_on = false;
        } else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_STREAM_END_EVENT &&
                   event.type != YAML_DOCUMENT_START_EVENT &&
                   event.type != YAML_DOCUMENT_END_EVENT) {
            root = build(builder, &event, 0);
        }
        yaml_event_delete(&event);
    }
    return root;
}

struct leat_node *
leat_tree_parse(const struct leat_tree_input *input, struct leat_arena *arena,
                struct leat_problems *problems)
{
    struct leat_tree_input bare = *input;
    struct builder builder = {.input = &bare, .arena = arena, .problems = problems};
    struct leat_place top = {.line = 1, .column = 1};
    struct leat_node *root;

    if (input->text.size > LEAT_TREE_BYTES) {
        leat_problem_add(problems, top, "this is too large: at most %zu bytes", LEAT_TREE_BYTES);
        return NULL;
    }
    /* A byte order mark says what is known, and would count as a column. */
    if (bare.text.size >= 3 && memcmp(bare.text.data, "\xef\xbb\xbf", 3) == 0)
        bare.text = leat_slice_make(bare.text.data + 3, bare.text.size - 3);
    if (!is_utf8(&bare, problems))
        return NULL;
    if (!yaml_parser_initialize(&builder.parser))
        leat_out_of_memory(sizeof builder.parser);
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder.parser, bare.text.data, bare.text.size);
    root = build_document(&builder);
    yaml_parser_delete(&builder.parser);
    if (builder.is_broken)
        return NULL;
    if (root == NULL || (root->kind == LEAT_NODE_SCALAR && root->is_empty))
        return leat_node_new(arena, LEAT_NODE_MAP, top);
    if (root->kind != LEAT_NODE_MAP) {
        if (!root->is_bad)
            leat_problem_add(problems, root->place,
                             "a configuration is a map: application: …, database: …");
        return NULL;
    }
    return root;
}
