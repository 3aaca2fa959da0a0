/* What the tests of the configuration share: a text is made into a configuration, and what was told is kept. */
#ifndef TESTS_UNIT_CONFIG_SUITE_H
#define TESTS_UNIT_CONFIG_SUITE_H

#include <check.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/memory.h"
#include "config/inside.h"

#define SMALLEST                                                                                   \
    "application: weather\n"                                                                       \
    "database: postgresql://leat@db/leat\n"                                                        \
    "streams: [observations]\n"                                                                    \
    "processors: [{ name: rollup, plugin: rollup, target: { plugin: postgres } }]\n"               \
    "archive: { url: \"file:///var/lib/leat/archive\" }\n"

static struct leat_config *config;
static struct leat_buf told;

static inline void
suite_setup(void)
{
    leat_buf_init(&told, SIZE_MAX);
}

static inline void
suite_teardown(void)
{
    leat_config_free(config);
    config = NULL;
    leat_buf_release(&told);
}

static inline void
suite_tell(void *context, const char *line)
{
    leat_buf_printf(&told, "%s\n", line);
}

static inline const char *
suite_variable(void *context, const char *name)
{
    if (strcmp(name, "NAME") == 0)
        return "from a variable";
    return strcmp(name, "DOLLAR") == 0 ? "${NAME}" : NULL;
}

/* environment and sets are NULL-ended. What was told, "" when all is well. */
static inline const char *
suite_make(const char *text, const char *const *environment, const char *const *sets)
{
    struct leat_config_override overrides[16];
    struct leat_config_sources sources = {.file = "c.yaml",
                                          .text = leat_slice_from(text),
                                          .variable = suite_variable,
                                          .environment = environment,
                                          .overrides = overrides};
    int status;

    leat_config_free(config);
    config = NULL;
    leat_buf_clear(&told);
    while (sets != NULL && *sets != NULL)
        overrides[sources.override_count++].assignment = *sets++;
    status = leat_config_make(&sources, suite_tell, NULL, &config);
    ck_assert_int_eq(status, told.size > 0 ? LEAT_E_INVALID : 0);
    ck_assert((config != NULL) == (status == 0));
    return leat_buf_text(&told);
}

static inline const char *
suite_parse(const char *text)
{
    return suite_make(text, NULL, NULL);
}

/* Texts of many lines: the first line that differs is told (Check's messages have a limit). */
static inline void
suite_expect(const char *actual, const char *expected)
{
    size_t same = 0;

    while (actual[same] != '\0' && actual[same] == expected[same])
        same++;
    if (actual[same] == expected[same])
        return;
    while (same > 0 && actual[same - 1] != '\n')
        same--;
    ck_abort_msg("\"%.*s\" is not \"%.*s\"", (int)strcspn(actual + same, "\n"), actual + same,
                 (int)strcspn(expected + same, "\n"), expected + same);
}

/* The smallest configuration with more lines behind it. */
static inline const char *
suite_add(const char *lines)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_add_text(&text, SMALLEST);
    leat_buf_add_text(&text, lines);
    return suite_parse(leat_buf_text(&text));
}

/* `loop` (NULL: none) is run once for each of its cases. */
static inline int
suite_run_loop(const char *name, const TTest *const *tests, size_t count, const TTest *loop,
               size_t cases)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, suite_setup, suite_teardown);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    if (loop != NULL)
        tcase_add_loop_test(tcase, loop, 0, (int)cases);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#define SUITE_MAIN(name, ...)                                                                      \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
                                                                                                   \
        return suite_run_loop(name, tests, LEAT_COUNT_OF(tests), NULL, 0);                         \
    }

#endif
