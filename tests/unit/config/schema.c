/* schemas/config.schema.json is what the table says; every property is in it. */
#include "suite.h"

#include <json-c/json.h>

#include "base/json.h"
#include "files.h"

START_TEST(test_the_file_is_as_the_table_says)
{
    LEAT_AUTO_BUF schema = LEAT_BUF_INIT;
    LEAT_AUTO_FREE char *file = read_text("schemas/config.schema.json");

    leat_config_schema(&schema);
    ck_assert_msg(strcmp(file, leat_buf_text(&schema)) == 0,
                  "schemas/config.schema.json is old: leat config schema "
                  ">schemas/config.schema.json");
}
END_TEST

static void
check_level(const struct leat_property *properties, struct json_object *schema)
{
    struct json_object *members = leat_json_get(schema, "properties");
    struct json_object *more;

    ck_assert_ptr_nonnull(members);
    ck_assert(json_object_object_get_ex(schema, "additionalProperties", &more));
    ck_assert(!json_object_get_boolean(more));
    for (; properties->name != NULL; properties++) {
        struct json_object *inner = leat_json_get(members, properties->name);

        ck_assert_msg(inner != NULL, "%s", properties->name);
        ck_assert_str_eq(json_object_get_string(leat_json_get(inner, "description")),
                         properties->text);
        if (properties->type == LEAT_PROPERTY_LIST)
            inner = leat_json_get(inner, "items");
        if (properties->shorthand != NULL)
            inner = json_object_array_get_idx(leat_json_get(inner, "anyOf"), 1);
        if (properties->children != NULL)
            check_level(properties->children, inner);
    }
}

START_TEST(test_every_property_is_there)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct json_object *schema;
    struct leat_error err;

    leat_config_schema(&text);
    ck_assert_int_eq(leat_json_parse(leat_buf_slice(&text), &schema, &err), 0);
    check_level(leat_properties, schema);
    ck_assert_uint_eq(json_object_array_length(leat_json_get(schema, "required")), 5);
    json_object_put(schema);
}
END_TEST

SUITE_MAIN("config/schema", test_the_file_is_as_the_table_says, test_every_property_is_there)
