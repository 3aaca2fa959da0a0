/*
 * The configuration as YAML, from the structs: what is shown is what leat goes by. The tree only says where each value came
 * from. Passwords are masked in every text, not only where one is expected.
 */
#include <strings.h>

#include "base/memory.h"
#include "config/inside.h"
#include "config/mask.h"
#include "config/value.h"

struct showing {
    const struct leat_config_inside *inside;
    struct leat_buf *out;
    bool with_origin;
    bool begins_item; /* the next line begins with "- " */
};

static void show_level(struct showing *showing, const struct leat_property *properties,
                       const struct leat_node *node, const char *base, int indent);

static void
begin_line(struct showing *showing, int indent, const char *name)
{
    if (showing->begins_item)
        leat_buf_printf(showing->out, "%*s- ", indent - 2, "");
    else
        leat_buf_printf(showing->out, "%*s", indent, "");
    showing->begins_item = false;
    leat_buf_printf(showing->out, "%s:", name);
}

static void
end_line(struct showing *showing, const struct leat_node *node)
{
    if (!showing->with_origin)
        leat_buf_add_text(showing->out, "\n");
    else if (node == NULL)
        leat_buf_add_text(showing->out, "  # default\n");
    else if (node->place.layer == LEAT_LAYER_SET)
        leat_buf_add_text(showing->out, "  # --set\n");
    else if (node->place.origin != NULL)
        leat_buf_printf(showing->out, "  # %s\n", node->place.origin);
    else
        leat_buf_printf(showing->out, "  # %s:%d\n", showing->inside->config.file,
                        node->place.line);
}

/* ---- texts --------------------------------------------------------------------------------- */

/* Texts that every reader of YAML takes as they are. */
static bool
is_plain(struct leat_slice text)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on",
                                        "off",  "null",  "y",   "n",  NULL};
    LEAT_AUTO_FREE char *copy = leat_slice_strdup(text);

    for (const char *const *word = words; *word != NULL; word++) {
        if (strcasecmp(*word, copy) == 0)
            return false;
    }
    return text.size > 0 && strchr("0123456789-.", copy[0]) == NULL &&
           strspn(copy, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") ==
               text.size;
}

/* The code point at text (valid UTF-8), and its size. */
static uint32_t
code_point(const unsigned char *text, size_t *ret_size)
{
    uint32_t code = text[0];
    size_t size = code < 0x80 ? 1 : code < 0xe0 ? 2 : code < 0xf0 ? 3 : 4;

    if (size > 1)
        code &= 0xffu >> (size + 1);
    for (size_t i = 1; i < size; i++)
        code = code << 6 | (text[i] & 0x3f);
    *ret_size = size;
    return code;
}

/* What a reader of YAML takes as it is between double quotes. */
static bool
is_printable(uint32_t code)
{
    return (code >= 0x20 && code < 0x7f && code != '"' && code != '\\') ||
           (code >= 0xa0 && code < 0xd800 && code != 0x2028 && code != 0x2029) ||
           (code >= 0xe000 && code < 0xfffe && code != 0xfeff) || code >= 0x10000;
}

static void
add_quoted(struct leat_buf *out, struct leat_slice text)
{
    size_t size;

    leat_buf_add_byte(out, '"');
    for (size_t i = 0; i < text.size; i += size) {
        uint32_t code = code_point(text.data + i, &size);

        if (is_printable(code))
            leat_buf_add(out, text.data + i, size);
        else if (code == '"' || code == '\\')
            leat_buf_printf(out, "\\%c", (int)code);
        else
            leat_buf_printf(out, code < 0x100 ? "\\x%02X" : "\\u%04X", (unsigned)code);
    }
    leat_buf_add_byte(out, '"');
}

/* Variables are for values: here a '$' is a '$'. */
static void
add_key(struct showing *showing, struct leat_slice text)
{
    if (is_plain(text))
        leat_buf_add_slice(showing->out, text);
    else
        add_quoted(showing->out, text);
}

/* So that it reads back: a '$' that would begin something is doubled. */
static void
add_masked(struct showing *showing, struct leat_slice text, bool is_secret)
{
    LEAT_AUTO_FREE char *copy = leat_slice_strdup(text);
    LEAT_AUTO_BUF masked = LEAT_BUF_INIT;
    LEAT_AUTO_BUF doubled = LEAT_BUF_INIT;

    (is_secret ? leat_secret_mask : leat_url_mask)(copy, &masked);
    for (size_t i = 0; i < masked.size; i++) {
        if (masked.data[i] == '$' && i + 1 < masked.size &&
            (masked.data[i + 1] == '$' || masked.data[i + 1] == '{'))
            leat_buf_add_byte(&doubled, '$');
        leat_buf_add_byte(&doubled, masked.data[i]);
    }
    add_key(showing, leat_buf_slice(&doubled));
}

static void
add_text(struct showing *showing, struct leat_slice text)
{
    add_masked(showing, text, false);
}

static void
show_texts(struct showing *showing, const struct leat_property *property, const char *base)
{
    const char *const *texts;
    size_t count;

    memcpy(&texts, base + property->at, sizeof texts);
    memcpy(&count, base + property->second_at, sizeof count);
    leat_buf_add_text(showing->out, " [");
    for (size_t i = 0; i < count; i++) {
        leat_buf_add_text(showing->out, i > 0 ? ", " : "");
        add_text(showing, leat_slice_from(texts[i]));
    }
    leat_buf_add_text(showing->out, "]");
}

static void
show_option(struct showing *showing, const struct leat_config_option *option)
{
    bool is_map = option->kind == LEAT_NODE_MAP;

    if (option->is_hidden || leat_name_is_secret(leat_slice_from(option->name))) {
        leat_buf_add_text(showing->out, " \"***\"");
        return;
    }
    leat_buf_add_byte(showing->out, ' ');
    if (option->kind == LEAT_NODE_SCALAR) {
        add_text(showing, option->scalar);
        return;
    }
    leat_buf_add_text(showing->out, is_map ? "{" : "[");
    for (size_t i = 0; i < option->item_count; i++) {
        bool is_value = is_map && i % 2 == 1;

        if (is_value && leat_name_is_secret(option->items[i - 1])) {
            leat_buf_add_text(showing->out, ": \"***\"");
            continue;
        }
        leat_buf_add_text(showing->out, is_value ? ": " : i > 0 ? ", " : "");
        if (is_map && !is_value)
            add_key(showing, option->items[i]);
        else
            add_text(showing, option->items[i]);
    }
    leat_buf_add_text(showing->out, is_map ? "}" : "]");
}

static void
show_options(struct showing *showing, const struct leat_property *property,
             const struct leat_node *node, const char *base, int indent)
{
    const struct leat_config_option *options;
    size_t count;

    memcpy(&options, base + property->at, sizeof options);
    memcpy(&count, base + property->second_at, sizeof count);
    begin_line(showing, indent, property->name);
    if (count == 0) {
        leat_buf_add_text(showing->out, " {}");
        end_line(showing, node);
        return;
    }
    leat_buf_add_byte(showing->out, '\n');
    for (size_t i = 0; i < count; i++) {
        leat_buf_printf(showing->out, "%*s", indent + 2, "");
        add_key(showing, leat_slice_from(options[i].name));
        leat_buf_add_byte(showing->out, ':');
        show_option(showing, &options[i]);
        end_line(showing, leat_node_get(node, options[i].name));
    }
}

/* ---- the walk ------------------------------------------------------------------------------ */

static void
show_scalar(struct showing *showing, const struct leat_property *property,
            const struct leat_node *node, const char *base, int indent)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    bool is_text = property->type == LEAT_PROPERTY_TEXT || property->type == LEAT_PROPERTY_WORD;

    if (!leat_value_format(property, base, &text)) {
        leat_buf_printf(showing->out, "%*s# %s: not set\n", indent, "", property->name);
        return;
    }
    begin_line(showing, indent, property->name);
    leat_buf_add_byte(showing->out, ' ');
    if (is_text)
        add_masked(showing, leat_buf_slice(&text), (property->flags & LEAT_PROPERTY_SECRET) != 0);
    else
        leat_buf_add_slice(showing->out, leat_buf_slice(&text));
    end_line(showing, node);
}

static void
show_list(struct showing *showing, const struct leat_property *property,
          const struct leat_node *node, const char *base, int indent)
{
    const char *items;
    size_t count;

    memcpy(&items, base + property->at, sizeof items);
    memcpy(&count, base + property->second_at, sizeof count);
    begin_line(showing, indent, property->name);
    leat_buf_add_byte(showing->out, '\n');
    for (size_t i = 0; i < count; i++) {
        showing->begins_item = true;
        show_level(showing, property->children, leat_node_item(node, i),
                   items + i * property->item_bytes, indent + 4);
    }
}

static void
show_level(struct showing *showing, const struct leat_property *properties,
           const struct leat_node *node, const char *base, int indent)
{
    for (; properties->name != NULL; properties++) {
        const struct leat_node *child = leat_node_get(node, properties->name);

        switch (properties->type) {
        case LEAT_PROPERTY_MAP:
            begin_line(showing, indent, properties->name);
            leat_buf_add_byte(showing->out, '\n');
            show_level(showing, properties->children, child, base, indent + 2);
            break;
        case LEAT_PROPERTY_LIST:
            show_list(showing, properties, child, base, indent);
            break;
        case LEAT_PROPERTY_TEXTS:
            begin_line(showing, indent, properties->name);
            show_texts(showing, properties, base);
            end_line(showing, child);
            break;
        case LEAT_PROPERTY_OPTIONS:
            show_options(showing, properties, child, base, indent);
            break;
        default:
            show_scalar(showing, properties, child, base, indent);
        }
    }
}

void
leat_config_show(const struct leat_config *config, bool with_origin, struct leat_buf *out)
{
    struct showing showing = {(const struct leat_config_inside *)config, out, with_origin, false};

    show_level(&showing, leat_properties, showing.inside->root, (const char *)config, 0);
}

void
leat_config_hide(struct leat_config *config, const struct leat_config_option *option)
{
    /* In the configuration's own arena: const only for those who read. */
    ((struct leat_config_option *)(uintptr_t)option)->is_hidden = true;
}
