/* The plugin of docs/write-a-plugin.md: the page shows the files as they are, its compile line works, its rows are right. */
#include "base/buf.h"
#include "base/memory.h"
#include "support/processor.h"

#include <stdlib.h>
#include <unistd.h>

#include <check.h> /* last: it defines a macro `fail` */

static void
read_file(const char *path, struct leat_buf *out)
{
    char piece[4096];
    FILE *in = fopen(path, "r");
    size_t size;

    ck_assert_msg(in != NULL, "there is no %s", path);
    while ((size = fread(piece, 1, sizeof piece, in)) > 0)
        leat_buf_add(out, piece, size);
    fclose(in);
}

START_TEST(test_the_page_shows_the_files)
{
    static const char *const files[] = {"examples/first-plugin/hits.c",
                                        "examples/first-plugin/leat.yaml"};

    for (size_t i = 0; i < LEAT_COUNT_OF(files); i++) {
        LEAT_AUTO_BUF page = LEAT_BUF_INIT;
        LEAT_AUTO_BUF file = LEAT_BUF_INIT;

        read_file("docs/write-a-plugin.md", &page);
        read_file(files[i], &file);
        ck_assert_msg(strstr(leat_buf_text(&page), leat_buf_text(&file)) != NULL,
                      "docs/write-a-plugin.md does not show %s as it is", files[i]);
    }
}
END_TEST

static void
compile(const char *object)
{
    LEAT_AUTO_BUF page = LEAT_BUF_INIT;
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;
    const char *line, *flags;

    read_file("docs/write-a-plugin.md", &page);
    line = strstr(leat_buf_text(&page), "\ncc ");
    ck_assert_ptr_nonnull(line);
    flags = strstr(line, " $(pkg-config");
    ck_assert_ptr_nonnull(flags);
    leat_buf_add(&command, line + 1, (size_t)(flags - line - 1));
    leat_buf_printf(&command, " -Werror -Ilib/include -o %s examples/first-plugin/hits.c", object);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
}

START_TEST(test_it_compiles_and_counts)
{
    static const char *const wanted[] = {"/about.html 1 0 2048 2048", "/index.html 3 0 10241 5121",
                                         "/missing.html 1 1 312 312"};
    char directory[] = "/tmp/leat-first-XXXXXX", object[64];
    struct leat_record records[8] = {0};
    struct test_processor hits;
    struct leat_flush_rows *groups;
    struct leat_error err;
    size_t count = 0, group_count;
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(object, sizeof object, "%s/hits.so", directory);
    compile(object);
    ck_assert_msg(test_processor_open(&hits, object, NULL, &err) == 0, "%s", err.text);
    read_file("examples/first-plugin/visits.log", &log);
    for (const char *line = leat_buf_text(&log); *line != '\0'; line = strchr(line, '\n') + 1)
        records[count++].data = leat_slice_make(line, strcspn(line, "\n"));
    ck_assert_uint_eq(count, 6);
    ck_assert_int_eq(test_processor_call(&hits, records, count), LEAT_DONE);
    for (size_t i = 0; i < count; i++)
        ck_assert((hits.reasons[i] != NULL) == (i == 3));
    groups = leat_merge_groups(&hits.merge, 1, &hits.arena, &group_count);
    ck_assert_uint_eq(group_count, 1);
    ck_assert_uint_eq(groups[0].count, LEAT_COUNT_OF(wanted));
    for (size_t i = 0; i < groups[0].count; i++) {
        const struct leat_value *row = groups[0].values + i * groups[0].width;
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;

        leat_buf_add_slice(&text, leat_value_slice(&row[0]));
        leat_buf_printf(&text, " %lld %lld ", (long long)row[1].as.integer,
                        (long long)row[2].as.integer);
        leat_buf_add_slice(&text, leat_value_slice(&row[3]));
        leat_buf_add_byte(&text, ' ');
        leat_buf_add_slice(&text, leat_value_slice(&row[4]));
        ck_assert_str_eq(leat_buf_text(&text), wanted[i]);
    }
    test_processor_close(&hits);
    unlink(object);
    rmdir(directory);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("first_plugin");
    TCase *tests = tcase_create("first_plugin");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, test_the_page_shows_the_files);
    tcase_add_test(tests, test_it_compiles_and_counts);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
