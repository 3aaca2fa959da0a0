/* The table itself: every line of it is whole. */
#include "suite.h"

#include "config/value.h"

static void
check_line(const struct leat_property *property, void *base, size_t base_bytes,
           struct leat_arena *arena)
{
    struct leat_error err;
    bool is_group = property->type >= LEAT_PROPERTY_TEXTS;

    ck_assert_msg(property->text != NULL && *property->text != '\0', "%s has no text",
                  property->name);
    ck_assert_msg(strchr(property->text, '\n') == NULL, "%s: a text is one line", property->name);
    ck_assert_msg(property->at < base_bytes && property->second_at < base_bytes, "%s",
                  property->name);
    ck_assert_msg((property->children != NULL) ==
                      (property->type == LEAT_PROPERTY_MAP || property->type == LEAT_PROPERTY_LIST),
                  "%s", property->name);
    ck_assert_msg((property->choices != NULL) == (property->type == LEAT_PROPERTY_WORD ||
                                                  property->type == LEAT_PROPERTY_CHOICE),
                  "%s", property->name);
    /* What is neither required nor has a default can be not set: texts, starts and groups. */
    ck_assert_msg(is_group || property->default_text != NULL ||
                      property->type == LEAT_PROPERTY_TEXT || property->type == LEAT_PROPERTY_START,
                  "%s has no default", property->name);
    ck_assert_msg(!(property->flags & LEAT_PROPERTY_REQUIRED) || property->default_text == NULL,
                  "%s is required and has a default", property->name);
    if (property->default_text != NULL)
        ck_assert_msg(leat_value_parse(property, leat_slice_from(property->default_text), arena,
                                       base, &err) == 0,
                      "%s: its default: %s", property->name, err.text);
    if (property->shorthand != NULL)
        ck_assert_ptr_nonnull(leat_property_find(property->children, property->shorthand));
}

static size_t
check_level(const struct leat_property *properties, void *base, size_t base_bytes,
            struct leat_arena *arena)
{
    size_t count = 0;

    for (; properties->name != NULL; properties++, count++) {
        check_line(properties, base, base_bytes, arena);
        for (const char *byte = properties->name; *byte != '\0'; byte++)
            ck_assert_msg((*byte >= 'a' && *byte <= 'z') || (*byte >= '0' && *byte <= '9') ||
                              *byte == '_',
                          "%s cannot be written as a variable", properties->name);
        ck_assert_msg(strstr(properties->name, "__") == NULL, "%s", properties->name);
        for (const struct leat_property *other = properties + 1; other->name != NULL; other++)
            ck_assert_str_ne(other->name, properties->name);
        if (properties->type == LEAT_PROPERTY_MAP) {
            count += check_level(properties->children, base, base_bytes, arena);
        } else if (properties->type == LEAT_PROPERTY_LIST) {
            LEAT_AUTO_FREE void *item = leat_alloc_zero(1, properties->item_bytes);

            count += check_level(properties->children, item, properties->item_bytes, arena);
        }
    }
    return count;
}

START_TEST(test_every_line_is_whole)
{
    LEAT_AUTO_FREE struct leat_config *base = LEAT_NEW(struct leat_config);
    struct leat_arena arena;

    leat_arena_init(&arena);
    ck_assert_uint_gt(check_level(leat_properties, base, sizeof *base, &arena), 70);
    leat_arena_release(&arena);
}
END_TEST

START_TEST(test_looking_up)
{
    struct leat_arena arena;
    const char *const *names;

    leat_arena_init(&arena);
    names = leat_property_names(leat_properties, &arena);
    ck_assert_str_eq(names[1], "application");
    ck_assert_str_eq(leat_property_find(leat_properties, "streams")->children[0].name, "name");
    ck_assert_ptr_null(leat_property_find(leat_properties, "stream"));
    ck_assert_str_eq(leat_property_type_name(leat_property_find(leat_properties, "streams")),
                     "list");
    leat_arena_release(&arena);
}
END_TEST

SUITE_MAIN("config/properties", test_every_line_is_whole, test_looking_up)
