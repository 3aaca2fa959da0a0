/*
 * The configuration for programs: an object a line, for each property its path, its value as it would be written (numbers and
 * booleans as JSON's own, null where nothing is set) and where the value is from. Secrets are masked as in the YAML.
 */
#include "base/json.h"
#include "base/memory.h"
#include "config/inside.h"
#include "config/mask.h"
#include "config/value.h"

struct showing {
    const struct leat_config_inside *inside;
    struct leat_buf *out;
    struct leat_buf path;
};

static void show_level(struct showing *showing, const struct leat_property *properties,
                       const struct leat_node *node, const char *base);

static void
add_masked(struct leat_json *json, const char *key, struct leat_slice text)
{
    LEAT_AUTO_FREE char *copy = leat_slice_strdup(text);
    LEAT_AUTO_BUF masked = LEAT_BUF_INIT;

    leat_url_mask(copy, &masked);
    leat_json_slice(json, key, leat_buf_slice(&masked));
}

static void
add_value(struct leat_json *json, const struct leat_property *property, struct leat_buf *text)
{
    LEAT_AUTO_BUF masked = LEAT_BUF_INIT;

    if ((property->flags & LEAT_PROPERTY_SECRET) == 0) {
        add_masked(json, "value", leat_buf_slice(text));
        return;
    }
    leat_secret_mask(leat_buf_text(text), &masked);
    leat_json_slice(json, "value", leat_buf_slice(&masked));
}

/* ".name" behind the path; returns how long the path was. */
static size_t
enter(struct showing *showing, const char *name)
{
    size_t size = showing->path.size;

    leat_buf_printf(&showing->path, "%s%s", size > 0 ? "." : "", name);
    return size;
}

static void
begin_line(struct showing *showing, struct leat_json *json)
{
    leat_json_begin(json, showing->out);
    leat_json_object(json, NULL);
    leat_json_text(json, "property", leat_buf_text(&showing->path));
}

static void
end_line(struct showing *showing, struct leat_json *json, const struct leat_node *node)
{
    LEAT_AUTO_BUF place = LEAT_BUF_INIT;

    if (node == NULL)
        leat_buf_add_text(&place, "default");
    else if (node->place.layer == LEAT_LAYER_SET)
        leat_buf_add_text(&place, "--set");
    else if (node->place.origin != NULL)
        leat_buf_add_text(&place, node->place.origin);
    else
        leat_buf_printf(&place, "%s:%d", showing->inside->config.file, node->place.line);
    leat_json_text(json, "origin", leat_buf_text(&place));
    leat_json_object_end(json);
    leat_buf_add_byte(showing->out, '\n');
}

static bool
is_json_number(const struct leat_property *property)
{
    return property->type == LEAT_PROPERTY_BOOLEAN || property->type == LEAT_PROPERTY_INTEGER ||
           property->type == LEAT_PROPERTY_REAL;
}

static void
show_scalar(struct showing *showing, const struct leat_property *property,
            const struct leat_node *node, const char *base)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_json json;

    begin_line(showing, &json);
    if (!leat_value_format(property, base, &text))
        leat_json_null(&json, "value");
    else if (is_json_number(property) && !leat_slice_is(leat_buf_slice(&text), "auto"))
        leat_json_raw(&json, "value", leat_buf_slice(&text));
    else
        add_value(&json, property, &text);
    end_line(showing, &json, node);
}

static void
show_texts(struct showing *showing, const struct leat_property *property,
           const struct leat_node *node, const char *base)
{
    const char *const *texts;
    struct leat_json json;
    size_t count;

    memcpy(&texts, base + property->at, sizeof texts);
    memcpy(&count, base + property->second_at, sizeof count);
    begin_line(showing, &json);
    leat_json_array(&json, "value");
    for (size_t i = 0; i < count; i++)
        add_masked(&json, NULL, leat_slice_from(texts[i]));
    leat_json_array_end(&json);
    end_line(showing, &json, node);
}

/* ---- a plugin's own options ------------------------------------------------------------------- */

static void
add_items(struct leat_json *json, const struct leat_config_option *option)
{
    bool is_map = option->kind == LEAT_NODE_MAP;

    if (is_map)
        leat_json_object(json, "value");
    else
        leat_json_array(json, "value");
    for (size_t i = 0; i < option->item_count; i += is_map ? 2 : 1) {
        LEAT_AUTO_FREE char *key = is_map ? leat_slice_strdup(option->items[i]) : NULL;

        if (is_map && leat_name_is_secret(option->items[i]))
            leat_json_text(json, key, "***");
        else
            add_masked(json, key, option->items[is_map ? i + 1 : i]);
    }
    if (is_map)
        leat_json_object_end(json);
    else
        leat_json_array_end(json);
}

static void
show_options(struct showing *showing, const struct leat_property *property,
             const struct leat_node *node, const char *base)
{
    const struct leat_config_option *options;
    size_t count;

    memcpy(&options, base + property->at, sizeof options);
    memcpy(&count, base + property->second_at, sizeof count);
    for (size_t i = 0; i < count; i++) {
        size_t size = enter(showing, options[i].name);
        struct leat_json json;

        begin_line(showing, &json);
        if (options[i].is_hidden || leat_name_is_secret(leat_slice_from(options[i].name)))
            leat_json_text(&json, "value", "***");
        else if (options[i].kind == LEAT_NODE_SCALAR)
            add_masked(&json, "value", options[i].scalar);
        else
            add_items(&json, &options[i]);
        end_line(showing, &json, leat_node_get(node, options[i].name));
        showing->path.size = size;
    }
}

/* ---- the walk ------------------------------------------------------------------------------ */

static void
show_list(struct showing *showing, const struct leat_property *property,
          const struct leat_node *node, const char *base)
{
    const char *items;
    size_t count;

    memcpy(&items, base + property->at, sizeof items);
    memcpy(&count, base + property->second_at, sizeof count);
    for (size_t i = 0; i < count; i++) {
        char number[24];
        size_t size;

        snprintf(number, sizeof number, "%zu", i);
        size = enter(showing, number);
        show_level(showing, property->children, leat_node_item(node, i),
                   items + i * property->item_bytes);
        showing->path.size = size;
    }
}

static void
show_level(struct showing *showing, const struct leat_property *properties,
           const struct leat_node *node, const char *base)
{
    for (; properties->name != NULL; properties++) {
        const struct leat_node *child = leat_node_get(node, properties->name);
        size_t size = enter(showing, properties->name);

        switch (properties->type) {
        case LEAT_PROPERTY_MAP:
            show_level(showing, properties->children, child, base);
            break;
        case LEAT_PROPERTY_LIST:
            show_list(showing, properties, child, base);
            break;
        case LEAT_PROPERTY_TEXTS:
            show_texts(showing, properties, child, base);
            break;
        case LEAT_PROPERTY_OPTIONS:
            show_options(showing, properties, child, base);
            break;
        default:
            show_scalar(showing, properties, child, base);
        }
        showing->path.size = size;
    }
}

void
leat_config_show_json(const struct leat_config *config, struct leat_buf *out)
{
    struct showing showing = {.inside = (const struct leat_config_inside *)config, .out = out};

    leat_buf_init(&showing.path, SIZE_MAX);
    show_level(&showing, leat_properties, showing.inside->root, (const char *)config);
    leat_buf_release(&showing.path);
}
