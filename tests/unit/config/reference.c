/* docs/configuration.md ends with the table; and its two examples are good. */
#include "suite.h"

#include "files.h"

#define BEGIN "<!-- made by `leat config reference` -->\n"

START_TEST(test_the_page_is_as_the_table_says)
{
    LEAT_AUTO_BUF reference = LEAT_BUF_INIT;
    LEAT_AUTO_FREE char *page = read_text("docs/configuration.md");
    const char *begin = strstr(page, BEGIN);

    leat_config_reference(&reference);
    ck_assert_msg(begin != NULL && strcmp(begin + strlen(BEGIN), leat_buf_text(&reference)) == 0,
                  "docs/configuration.md is old: what follows its mark is `leat config reference`");
}
END_TEST

START_TEST(test_the_examples_are_good)
{
    LEAT_AUTO_FREE char *page = read_text("docs/configuration.md");
    const char *next = page;
    int examples = 0;

    while ((next = strstr(next, "```yaml\n")) != NULL) {
        const char *end = strstr(next + 8, "```");
        LEAT_AUTO_FREE char *text =
            leat_slice_strdup(leat_slice_make(next + 8, (size_t)(end - next - 8)));

        ck_assert_str_eq(suite_parse(text), "");
        examples++;
        next = end;
    }
    ck_assert_int_eq(examples, 2);
}
END_TEST

START_TEST(test_a_line_of_each_kind)
{
    LEAT_AUTO_BUF reference = LEAT_BUF_INIT;
    const char *text;

    leat_config_reference(&reference);
    text = leat_buf_text(&reference);
    ck_assert_ptr_nonnull(strstr(text, "\n| `leases.expiry` | duration | `5s` | 150ms to 1h | "));
    ck_assert_ptr_nonnull(strstr(text, "\n| `memory.budget` | size | `256MiB` | at least 32MiB |"));
    ck_assert_ptr_nonnull(strstr(text, "\n| `application` | text | required |  | "));
    ck_assert_ptr_nonnull(strstr(text, "\n| `log.format` | choice | `auto` | `auto`, `json`, "));
    ck_assert_ptr_nonnull(strstr(text, "| `processors[].target.flush.rows` | integer | `auto` | "
                                       "`auto`, 1 to 10000000 |"));
    ck_assert_ptr_nonnull(strstr(text, "a text alone stands for `{ url: … }` |"));
}
END_TEST

SUITE_MAIN("config/reference", test_the_page_is_as_the_table_says, test_the_examples_are_good,
           test_a_line_of_each_kind)
