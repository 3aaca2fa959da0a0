/* The table as a table: one line for each property, under its whole name. */
#include "base/memory.h"
#include "config/value.h"

static void
add_cell(struct leat_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            leat_buf_add_byte(out, '\\');
        leat_buf_add_byte(out, (unsigned char)*text);
    }
}

/* Choices, or the range. */
static void
add_values(const struct leat_property *property, struct leat_buf *out)
{
    LEAT_AUTO_BUF range = LEAT_BUF_INIT;

    for (size_t i = 0; property->choices != NULL && property->choices[i] != NULL; i++)
        leat_buf_printf(out, "%s`%s`", i > 0 ? ", " : "", property->choices[i]);
    if (property->type == LEAT_PROPERTY_TEXT)
        return;
    leat_value_format_range(property, &range);
    if (property->flags & LEAT_PROPERTY_AUTO)
        leat_buf_add_text(out, "`auto`, ");
    add_cell(out, leat_buf_text(&range));
}

static void
add_row(const struct leat_property *property, const char *path, struct leat_buf *out)
{
    leat_buf_printf(out, "| `%s` | %s | ", path, leat_property_type_name(property));
    if (property->flags & LEAT_PROPERTY_REQUIRED)
        leat_buf_add_text(out, "required");
    else if (property->default_text != NULL && *property->default_text != '\0')
        leat_buf_printf(out, "`%s`", property->default_text);
    leat_buf_add_text(out, " | ");
    add_values(property, out);
    leat_buf_add_text(out, " | ");
    add_cell(out, property->text);
    if (property->shorthand != NULL)
        leat_buf_printf(out, "; %s alone stands for `{ %s: … }`",
                        property->type == LEAT_PROPERTY_LIST ? "an item's text" : "a text",
                        property->shorthand);
    leat_buf_add_text(out, " |\n");
}

static void
add_level(const struct leat_property *properties, const char *above, struct leat_buf *out)
{
    for (; properties->name != NULL; properties++) {
        LEAT_AUTO_BUF path = LEAT_BUF_INIT;

        leat_buf_printf(&path, "%s%s%s", above, *above != '\0' ? "." : "", properties->name);
        if (properties->type == LEAT_PROPERTY_LIST)
            leat_buf_add_text(&path, "[]");
        add_row(properties, leat_buf_text(&path), out);
        if (properties->children != NULL)
            add_level(properties->children, leat_buf_text(&path), out);
    }
}

void
leat_config_reference(struct leat_buf *out)
{
    leat_buf_add_text(out, "| property | type | default | values | |\n|---|---|---|---|---|\n");
    add_level(leat_properties, "", out);
}
