/* The YAML that is taken and the YAML that is not: places, limits, variables, all that has no business here. */
#include "suite.h"

static const struct {
    const char *lines, *says;
} refused[] = {
    {"log: &a { level: info }\n", "6:6: there are no anchors here: \"&a\""},
    {"log: { level: *a }\n", "6:15: there are no aliases here: \"*a\""},
    {"log: { level: !!str info }\n", "6:15: there are no tags here: \"tag:yaml.org,2002:str\""},
    {"log: { level: ! info }\n", "6:15: there are no tags here: \"!\""},
    {"log: !x {}\n", "6:6: there are no tags here: \"!x\""},
    {"log: { level: info, level: debug }\n", "6:21: key \"level\" is there twice: first in line 6"},
    {"application: again\n", "6:1: key \"application\" is there twice: first in line 1"},
    {"? [a, b]\n: c\n", "6:3: a key is one word"},
    {"${NAME}: x\n", "6:1: a key cannot hold a variable"},
    {"worker_id: \"a\\0b\"\n", "6:12: a text cannot hold a zero byte"},
    {"\"a\\0b\": c\n", "6:1: a key cannot hold a zero byte"},
    {"worker_id: ${NOPE}\n", "6:12: variable ${NOPE} is not defined"},
    {"worker_id: ${}\n", "6:12: \"${\" begins no variable: write ${NAME}, or $${ for the text"},
    {"worker_id: ${NAME\n", "6:12: \"${\" begins no variable"},
    {"worker_id: ${NAME:-x}\n", "6:12: \"${\" begins no variable"},
    {"worker_id: ${1}\n", "6:12: \"${\" begins no variable"},
    {"--- \nx: y\n", "6:1: there is a second document here"},
    {"log: { level: [ }\n", "6:17: did not find expected node content while parsing a flow node"},
    {"aws: { region: ${NAME} }\n", "inside { } and [ ] a ${NAME} has to be quoted"},
    {"log:\n\tlevel: info\n", "7:1: a tab indents this line: YAML takes blanks alone"},
    {"log:\n  \tlevel: info\n", "7:3: a tab indents this line"},
    {"<<: { level: info }\n", "6:1: there is no key \"<<\""},
};

START_TEST(test_what_is_not_taken)
{
    const char *text = suite_add(refused[_i].lines);

    ck_assert_msg(strstr(text, refused[_i].says) != NULL, "\"%s\" does not say \"%s\"", text,
                  refused[_i].says);
    /* One mistake, one line. */
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

START_TEST(test_no_map_at_the_top)
{
    ck_assert_str_eq(suite_parse("- a\n"),
                     "c.yaml:1:1: a configuration is a map: application: …, database: …\n");
    ck_assert_str_eq(suite_parse("text"),
                     "c.yaml:1:1: a configuration is a map: application: …, database: …\n");
    ck_assert_str_eq(suite_parse("*a"), "c.yaml:1:1: there are no aliases here: \"*a\"\n");
}
END_TEST

START_TEST(test_bytes_that_are_no_text)
{
    ck_assert_str_eq(suite_parse("a: \xff\xfe"),
                     "c.yaml:1:4: the byte 0xff is no UTF-8: save it as UTF-8\n");
    ck_assert_str_eq(suite_parse("\xff\xfe"
                                 "a"),
                     "c.yaml:1:1: this is UTF-16: save it as UTF-8\n");
    ck_assert_str_eq(suite_parse("x: \xc3\xa4\nb: caf\xe9\nc: d"),
                     "c.yaml:2:7: the byte 0xe9 is no UTF-8: save it as UTF-8\n");
    ck_assert_str_eq(suite_parse("x: \xc3"),
                     "c.yaml:1:4: the byte 0xc3 is no UTF-8: save it as UTF-8\n");
    ck_assert_ptr_nonnull(strstr(suite_parse("x: y\na: \x01"), "c.yaml:2:4: control characters"));
    /* A byte order mark is no character of the first key. */
    ck_assert_ptr_nonnull(
        strstr(suite_parse("\xef\xbb\xbf*a"), "c.yaml:1:1: there are no aliases"));
}
END_TEST

START_TEST(test_a_bad_value_is_told_once_and_the_rest_all_the_same)
{
    ck_assert_str_eq(
        suite_add("memory: { budget: &x 1 }\nthreads: { workers: *x }\n"
                  "log: { level: inof }\n"),
        "c.yaml:6:19: there are no anchors here: \"&x\"\n"
        "c.yaml:7:21: there are no aliases here: \"*x\"\n"
        "c.yaml:8:15: log.level: there is no choice \"inof\", did you mean \"info\"?\n");
}
END_TEST

START_TEST(test_variables)
{
    ck_assert_str_eq(suite_add("worker_id: a ${NAME} b\nplugins: { path: '$${NAME} $$ $x $' }\n"
                               "aws: { region: \"${DOLLAR}\" }\n"),
                     "");
    ck_assert_str_eq(config->worker_id, "a from a variable b");
    ck_assert_str_eq(config->plugin_path, "${NAME} $ $x $");
    ck_assert_str_eq(config->aws_region, "${NAME}"); /* not looked at again */
}
END_TEST

static const char *
large_value(void *context, const char *name)
{
    return context;
}

START_TEST(test_variables_have_a_limit)
{
    struct leat_config_sources sources = {.file = "c.yaml", .variable = large_value};
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    LEAT_AUTO_FREE char *value = leat_alloc(100001);

    memset(value, 'x', 100000);
    value[100000] = '\0';
    sources.variable_context = value;
    leat_buf_add_text(&text, SMALLEST "worker_id: \"");
    for (int i = 0; i < 20; i++)
        leat_buf_add_text(&text, "${A}");
    leat_buf_add_text(&text, "\"\n");
    sources.text = leat_buf_slice(&text);
    ck_assert_int_eq(leat_config_make(&sources, suite_tell, NULL, &config), LEAT_E_INVALID);
    ck_assert_str_eq(leat_buf_text(&told), "c.yaml:6:12: this is too large with its variables\n");
}
END_TEST

START_TEST(test_without_variables_none_is_defined)
{
    ck_assert_int_eq(leat_config_parse("x", leat_slice_from(SMALLEST "worker_id: ${HOME}\n"),
                                       suite_tell, NULL, &config),
                     LEAT_E_INVALID);
    ck_assert_str_eq(leat_buf_text(&told), "x:6:12: variable ${HOME} is not defined\n");
}
END_TEST

/* `before`, then `what` so many times. */
static const char *
parse_many(const char *before, const char *what, int times)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_add_text(&text, before);
    while (times-- > 0)
        leat_buf_add_text(&text, what);
    return suite_parse(leat_buf_text(&text));
}

START_TEST(test_limits)
{
    ck_assert_str_eq(parse_many("a: ", "[", 1000),
                     "c.yaml:1:20: this is too deep: at most 16 levels\n");
    ck_assert_ptr_nonnull(strstr(parse_many("", "? ", 1000), "c.yaml:1:35: this is too deep"));
    ck_assert_str_eq(parse_many("a:\n", "- b\n", 20000),
                     "c.yaml:10000:3: this is too large: at most 10000 values\n");
    ck_assert_str_eq(parse_many("a: b\n", "# a long comment\n", 70000),
                     "c.yaml:1:1: this is too large: at most 1048576 bytes\n");
}
END_TEST

START_TEST(test_very_many_problems_are_counted)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    const char *last;

    leat_buf_add_text(&text, SMALLEST);
    for (int i = 0; i < 150; i++)
        leat_buf_printf(&text, "wrong_%d: x\n", i);
    last = strrchr(suite_parse(leat_buf_text(&text)), ':');
    ck_assert_str_eq(last, ": and 50 more\n");
}
END_TEST

START_TEST(test_columns_are_characters)
{
    ck_assert_str_eq(suite_add("worker_id: ü\nlog: { format: \"ü\", level: x }\n"),
                     "c.yaml:7:16: log.format: there is no choice \"ü\": it is one of auto, json, "
                     "text\n"
                     "c.yaml:7:28: log.level: there is no choice \"x\": it is one of error, "
                     "warning, info, debug\n");
}
END_TEST

START_TEST(test_a_problem_is_one_line)
{
    ck_assert_str_eq(suite_add("log: { level: \"a\\nb\\x1b[1m\" }\n"),
                     "c.yaml:6:15: log.level: there is no choice \"a?b?[1m\": it is one of error, "
                     "warning, info, debug\n");
}
END_TEST

START_TEST(test_nodes_by_path)
{
    static struct leat_problems problems;
    struct leat_arena arena;
    struct leat_tree_input input = {.text = leat_slice_from("a: { b: { c: d } }\nl: [x, y]\n")};
    struct leat_node *root;

    leat_arena_init(&arena);
    problems = (struct leat_problems){.arena = &arena, .file = "x"};
    root = leat_tree_parse(&input, &arena, &problems);
    ck_assert_uint_eq(problems.count, 0);
    ck_assert_str_eq(leat_node_at(root, "a.b.c")->text, "d");
    ck_assert_int_eq(leat_node_at(root, "a.b.c")->place.column, 14);
    ck_assert_int_eq(leat_node_at(root, "a.b.c")->key_place.column, 11);
    ck_assert_ptr_null(leat_node_at(root, "a.x.c"));
    ck_assert_ptr_null(leat_node_at(root, "l.x"));
    ck_assert_uint_eq(leat_node_count(leat_node_get(root, "l")), 2);
    ck_assert_str_eq(leat_node_item(leat_node_get(root, "l"), 1)->text, "y");
    ck_assert_ptr_null(leat_node_item(leat_node_get(root, "l"), 2));
    ck_assert_ptr_null(leat_node_get(NULL, "a"));
    leat_arena_release(&arena);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {test_no_map_at_the_top,
                                  test_bytes_that_are_no_text,
                                  test_a_bad_value_is_told_once_and_the_rest_all_the_same,
                                  test_variables,
                                  test_variables_have_a_limit,
                                  test_without_variables_none_is_defined,
                                  test_limits,
                                  test_very_many_problems_are_counted,
                                  test_columns_are_characters,
                                  test_a_problem_is_one_line,
                                  test_nodes_by_path};

    return suite_run_loop("config/tree", tests, LEAT_COUNT_OF(tests), test_what_is_not_taken,
                          LEAT_COUNT_OF(refused));
}
