/*
 * The table as a JSON Schema (draft 2020-12), for editors. It takes what YAML makes of a value before leat sees it (an
 * unquoted `no` is a boolean there), and a ${VARIABLE} everywhere.
 */
#include <json-c/json.h>

#include "base/json.h"
#include "base/memory.h"
#include "config/properties.h"

#define DURATION "([0-9]+(\\.[0-9]+)?(d|h|m|s|ms|us))+"
#define SIZE "[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB|KB|MB|GB)"

static void add_level(struct leat_json *json, const struct leat_property *properties);

static void
add_reference(struct leat_json *json, const char *name)
{
    leat_json_object(json, NULL);
    leat_json_text(json, "$ref", name);
    leat_json_object_end(json);
}

static void
add_pattern(struct leat_json *json, const char *pattern)
{
    LEAT_AUTO_BUF whole = LEAT_BUF_INIT;

    leat_buf_printf(&whole, "^(%s)$", pattern);
    leat_json_object(json, NULL);
    leat_json_text(json, "type", "string");
    leat_json_text(json, "pattern", leat_buf_text(&whole));
    leat_json_object_end(json);
}

static void
add_number(struct leat_json *json, const struct leat_property *property)
{
    leat_json_object(json, NULL);
    leat_json_text(json, "type", property->type == LEAT_PROPERTY_INTEGER ? "integer" : "number");
    leat_json_integer(json, "minimum", property->minimum);
    if (property->maximum != INT64_MAX)
        leat_json_integer(json, "maximum", property->maximum);
    leat_json_object_end(json);
}

/* 0 needs no unit. */
static void
add_zero(struct leat_json *json)
{
    leat_json_object(json, NULL);
    leat_json_integer(json, "const", 0);
    leat_json_object_end(json);
}

static void
add_words(struct leat_json *json, const char *const *words)
{
    leat_json_object(json, NULL);
    leat_json_array(json, "enum");
    for (; *words != NULL; words++)
        leat_json_text(json, NULL, *words);
    leat_json_array_end(json);
    leat_json_object_end(json);
}

/* What a value may be, as the branches of an anyOf. */
static void
add_branches(struct leat_json *json, const struct leat_property *property)
{
    static const char *const autos[] = {"auto", NULL};
    static const char *const booleans[] = {"true", "false", "yes", "no", "on", "off", NULL};
    static const char *const patterns[] = {
        [LEAT_PROPERTY_DURATION] = DURATION,   [LEAT_PROPERTY_SIZE] = SIZE,
        [LEAT_PROPERTY_PERCENT] = "[0-9]+%",   [LEAT_PROPERTY_RATE] = "[0-9]+(\\.[0-9]+)?/s",
        [LEAT_PROPERTY_BYTE_RATE] = SIZE "/s", [LEAT_PROPERTY_SPAN] = DURATION "\\.\\." DURATION,
    };

    switch (property->type) {
    case LEAT_PROPERTY_WORD:
    case LEAT_PROPERTY_CHOICE:
        add_words(json, property->choices);
        break;
    case LEAT_PROPERTY_BOOLEAN:
        leat_json_object(json, NULL);
        leat_json_text(json, "type", "boolean");
        leat_json_object_end(json);
        add_words(json, booleans);
        break;
    case LEAT_PROPERTY_INTEGER:
    case LEAT_PROPERTY_REAL:
        add_number(json, property);
        break;
    default:
        add_pattern(json, patterns[property->type]);
        if (property->type != LEAT_PROPERTY_SPAN && property->minimum == 0)
            add_zero(json);
    }
    if (property->flags & LEAT_PROPERTY_AUTO)
        add_words(json, autos);
    add_reference(json, "#/$defs/variable");
}

static void
add_default(struct leat_json *json, const struct leat_property *property)
{
    if (property->default_text == NULL)
        return;
    if ((property->type == LEAT_PROPERTY_INTEGER || property->type == LEAT_PROPERTY_REAL ||
         property->type == LEAT_PROPERTY_BOOLEAN) &&
        strcmp(property->default_text, "auto") != 0)
        leat_json_raw(json, "default", leat_slice_from(property->default_text));
    else
        leat_json_text(json, "default", property->default_text);
}

static void
add_text_list(struct leat_json *json)
{
    leat_json_array(json, "anyOf");
    leat_json_object(json, NULL);
    leat_json_text(json, "type", "array");
    leat_json_object(json, "items");
    leat_json_text(json, "$ref", "#/$defs/text");
    leat_json_object_end(json);
    leat_json_object_end(json);
    add_reference(json, "#/$defs/text");
    leat_json_array_end(json);
}

/* A map, or the scalar that stands for it. */
static void
add_map(struct leat_json *json, const struct leat_property *property)
{
    if (property->shorthand != NULL) {
        leat_json_array(json, "anyOf");
        add_reference(json, "#/$defs/text");
        leat_json_object(json, NULL);
        add_level(json, property->children);
        leat_json_object_end(json);
        leat_json_array_end(json);
    } else {
        add_level(json, property->children);
    }
}

static void
add_property(struct leat_json *json, const struct leat_property *property)
{
    leat_json_object(json, property->name);
    leat_json_text(json, "description", property->text);
    add_default(json, property);
    switch (property->type) {
    case LEAT_PROPERTY_TEXT:
    case LEAT_PROPERTY_START:
        leat_json_text(json, "$ref", "#/$defs/text");
        if (property->flags & LEAT_PROPERTY_REQUIRED)
            leat_json_integer(json, "minLength", 1);
        break;
    case LEAT_PROPERTY_TEXTS:
        add_text_list(json);
        break;
    case LEAT_PROPERTY_OPTIONS:
        leat_json_text(json, "$ref", "#/$defs/options");
        break;
    case LEAT_PROPERTY_MAP:
        add_map(json, property);
        break;
    case LEAT_PROPERTY_LIST:
        leat_json_text(json, "type", "array");
        if (property->flags & LEAT_PROPERTY_REQUIRED)
            leat_json_integer(json, "minItems", 1);
        leat_json_object(json, "items");
        add_map(json, property);
        leat_json_object_end(json);
        break;
    default:
        leat_json_array(json, "anyOf");
        add_branches(json, property);
        leat_json_array_end(json);
    }
    leat_json_object_end(json);
}

/* The members of a schema of a map: `log:` with nothing below it is null to YAML. */
static void
add_level(struct leat_json *json, const struct leat_property *properties)
{
    const struct leat_property *property;
    bool has_required = false;

    for (property = properties; property->name != NULL; property++)
        has_required = has_required || (property->flags & LEAT_PROPERTY_REQUIRED);
    if (has_required) {
        leat_json_text(json, "type", "object");
    } else {
        leat_json_array(json, "type");
        leat_json_text(json, NULL, "object");
        leat_json_text(json, NULL, "null");
        leat_json_array_end(json);
    }
    leat_json_object(json, "properties");
    for (property = properties; property->name != NULL; property++)
        add_property(json, property);
    leat_json_object_end(json);
    if (has_required)
        leat_json_array(json, "required");
    for (property = properties; property->name != NULL; property++) {
        if (property->flags & LEAT_PROPERTY_REQUIRED)
            leat_json_text(json, NULL, property->name);
    }
    if (has_required)
        leat_json_array_end(json);
    leat_json_bool(json, "additionalProperties", false);
}

static void
add_definitions(struct leat_json *json)
{
    static const char definitions[] =
        "{\"variable\":{\"type\":\"string\",\"pattern\":\"\\\\$\\\\{[A-Za-z_][A-Za-z0-9_]*\\\\}\"},"
        "\"text\":{\"type\":[\"string\",\"number\",\"boolean\"]},"
        "\"options\":{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"anyOf\":["
        "{\"$ref\":\"#/$defs/text\"},"
        "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/text\"}},"
        "{\"type\":\"object\",\"additionalProperties\":{\"$ref\":\"#/$defs/text\"}}]}}}";

    leat_json_raw(json, "$defs", leat_slice_from(definitions));
}

/* For people too: on many lines. */
static void
add_pretty(const struct leat_buf *text, struct leat_buf *out)
{
    struct json_object *root;
    struct leat_error err;

    if (leat_json_parse(leat_buf_slice(text), &root, &err) != 0)
        leat_assert_failed(err.text, __FILE__, __LINE__);
    leat_buf_add_text(out, json_object_to_json_string_ext(
                               root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                         JSON_C_TO_STRING_NOSLASHESCAPE));
    leat_buf_add_byte(out, '\n');
    json_object_put(root);
}

void
leat_config_schema(struct leat_buf *out)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_json json;

    leat_json_begin(&json, &text);
    leat_json_object(&json, NULL);
    leat_json_text(&json, "$schema", "https://json-schema.org/draft/2020-12/schema");
    leat_json_text(&json, "title", "leat configuration");
    leat_json_text(
        &json, "description",
        "Made from the property table (lib/config/properties.c) by `leat config schema`");
    add_level(&json, leat_properties);
    add_definitions(&json);
    leat_json_object_end(&json);
    add_pretty(&text, out);
}
