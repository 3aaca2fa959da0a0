/* The jsonl target as it is shipped: every type on a line of its own, and what the disk and other processes do to it. */
#include "base/arena.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/thread.h"
#include "support/processor.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h> /* last: it defines a macro `fail` */

static struct leat_error err;
static struct leat_arena arena;
static const struct leat_target *jsonl;
static char directory[64], path[128];

static const struct leat_column columns[] = {
    {"k", LEAT_INT64, LEAT_KEY}, {"v", LEAT_TEXT, LEAT_SET}, LEAT_END};
static const struct leat_table tables[] = {{"rows", columns}, LEAT_END};

static void
setup(void)
{
    snprintf(directory, sizeof directory, "/tmp/leat-jsonl-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/out.jsonl", directory);
    leat_arena_init(&arena);
    jsonl = test_load_target("jsonl");
}

static void
teardown(void)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_arena_release(&arena);
    leat_buf_printf(&command, "rm -rf %s", directory);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
}

static int
open_target(const char *given_path, const char *fsync, void **ret_target)
{
    struct leat_target_context context = {.size = sizeof context,
                                          .application = leat_slice_from("app"),
                                          .processor = leat_slice_from("roll/up"),
                                          .url = leat_slice_from("")};
    const char *pairs[] = {"path", given_path, "fsync", fsync, NULL};
    struct leat_options options;
    int status = test_options(jsonl->options, &arena, pairs, &options, &err);

    return status == 0 ? jsonl->open(NULL, &context, &options, ret_target, &err) : status;
}

struct opened {
    void *target, *committer;
};

static struct opened
open_committer(const char *given_path)
{
    struct opened opened;

    ck_assert_msg(open_target(given_path, "true", &opened.target) == 0, "%s", err.text);
    ck_assert_int_eq(jsonl->committer_open(opened.target, tables, 0, &opened.committer, &err), 0);
    return opened;
}

static void
close_committer(struct opened opened)
{
    jsonl->committer_close(opened.committer);
    jsonl->close(opened.target);
}

/* One flush of two shards; the result of the second, after a look that both are the same. */
static struct leat_commit_result
commit_rows(void *committer, const struct leat_flush_rows *rows, size_t groups)
{
    struct leat_flush_shard shards[2] = {{.lease_counter = 1}, {.lease_counter = 2}};
    struct leat_flush flush = {.size = sizeof flush,
                               .shard_count = 2,
                               .shards = shards,
                               .group_count = groups,
                               .groups = rows};
    struct leat_commit_result results[2];

    memset(results, 0x5a, sizeof results);
    ck_assert_int_eq(jsonl->commit(committer, &flush, results, &err), 0);
    ck_assert_int_eq(results[0].outcome, results[1].outcome);
    ck_assert_str_eq(results[0].text, results[1].text);
    return results[1];
}

static struct leat_commit_result
commit_one(void *committer, int64_t key, const char *text)
{
    struct leat_value values[2] = {leat_int64(key), leat_text(leat_slice_from(text))};
    struct leat_flush_rows rows = {.table = tables, .count = 1, .width = 2, .values = values};

    return commit_rows(committer, &rows, 1);
}

static const char *
content(const char *file)
{
    static char bytes[1 << 16];
    FILE *in = fopen(file, "r");
    size_t size;

    ck_assert_msg(in != NULL, "there is no %s", file);
    size = fread(bytes, 1, sizeof bytes - 1, in);
    bytes[size] = '\0';
    fclose(in);
    return bytes;
}

static void
write_file(const char *file, const char *text)
{
    FILE *out = fopen(file, "w");

    fputs(text, out);
    fclose(out);
}

#define LINE(key, text)                                                                            \
    "{\"table\":\"rows\",\"operation\":\"merge\",\"row\":{\"k\":" key ",\"v\":\"" text "\"}}\n"

START_TEST(test_rows_become_lines)
{
    struct opened opened = open_committer(path);
    struct leat_value values[6] = {leat_int64(1), leat_text(leat_slice_from("a\n\"")),
                                   leat_int64(2), leat_text(leat_slice_from("b")),
                                   leat_int64(3), leat_absent()};
    struct leat_flush_rows groups[] = {
        {.table = tables,
         .operation = LEAT_OP_DELETE,
         .count = 1,
         .width = 2,
         .values = values + 4},
        {.table = tables, .operation = LEAT_OP_REPLACE, .count = 1, .width = 2, .values = values},
        {.table = tables, .operation = LEAT_OP_MERGE, .count = 1, .width = 2, .values = values + 2},
    };

    ck_assert_int_eq(commit_rows(opened.committer, groups, 3).outcome, LEAT_COMMITTED);
    ck_assert_str_eq(
        content(path),
        "{\"table\":\"rows\",\"operation\":\"delete\",\"row\":{\"k\":3}}\n"
        "{\"table\":\"rows\",\"operation\":\"replace\",\"row\":{\"k\":1,\"v\":\"a\\n\\\"\"}}\n"
        "{\"table\":\"rows\",\"operation\":\"merge\",\"row\":{\"k\":2,\"v\":\"b\"}}\n");
    close_committer(opened);
}
END_TEST

static const struct {
    struct leat_value value;
    const char *json;
} cells[] = {
    {{LEAT_NULL}, "null"},
    {{LEAT_BOOL, .as.integer = 1}, "true"},
    {{LEAT_INT64, .as.integer = INT64_MIN}, "-9223372036854775808"},
    {{LEAT_FLOAT64, .as.real = 0.1}, "0.1"},
    {{LEAT_FLOAT64, .as.real = NAN}, "\"NaN\""},
    {{LEAT_FLOAT64, .as.real = -INFINITY}, "\"-Infinity\""},
    {{LEAT_TIMESTAMP, .as.integer = 1640995260250000}, "\"2022-01-01T00:01:00.250000Z\""},
#define BYTES(type, text)                                                                          \
    {                                                                                              \
        type, .as.bytes = {(const unsigned char *)(text), sizeof(text) - 1 }                       \
    }
    {BYTES(LEAT_BYTES, "\0\xff"), "\"AP8=\""},
    {BYTES(LEAT_TEXT, "h\xc3\xa9\x01"), "\"h\xc3\xa9\\u0001\""},
    {BYTES(LEAT_JSON, "{\"a\":\r\n[1]}"), "{\"a\":  [1]}"},
    {BYTES(LEAT_JSON, "{\"a\":"), "\"{\\\"a\\\":\""},
    {BYTES(LEAT_DECIMAL, "76.10"), "76.10"},
    {BYTES(LEAT_DECIMAL, "-0.0"), "-0.0"},
    {BYTES(LEAT_DECIMAL, "123456789012345678901234567890.000000000000000000001"),
     "123456789012345678901234567890.000000000000000000001"},
    {BYTES(LEAT_DECIMAL, "+.5"), "0.5"},
    {BYTES(LEAT_DECIMAL, "-007."), "-7"},
    {BYTES(LEAT_DECIMAL, "00"), "0"},
    {BYTES(LEAT_DECIMAL, "5.e3"), "5e3"},
    {BYTES(LEAT_DECIMAL, "00.10E+05"), "0.10E+05"},
};

START_TEST(test_each_type_is_json)
{
    static const struct leat_column one[] = {{"x", LEAT_TEXT, LEAT_SET}, LEAT_END};
    static const struct leat_table table[] = {{"t", one}, LEAT_END};
    struct leat_flush_rows rows = {
        .table = table, .count = 1, .width = 1, .values = &cells[_i].value};
    struct opened opened = open_committer(path);
    struct json_object *root;
    LEAT_AUTO_BUF wanted = LEAT_BUF_INIT;

    ck_assert_int_eq(commit_rows(opened.committer, &rows, 1).outcome, LEAT_COMMITTED);
    leat_buf_printf(&wanted, "{\"table\":\"t\",\"operation\":\"merge\",\"row\":{\"x\":%s}}\n",
                    cells[_i].json);
    ck_assert_str_eq(content(path), leat_buf_text(&wanted));
    ck_assert_msg(leat_json_parse(leat_buf_slice(&wanted), &root, &err) == 0, "%s", err.text);
    json_object_put(root);
    close_committer(opened);
}
END_TEST

START_TEST(test_a_cut_line_is_closed)
{
    struct opened opened;

    write_file(path, LINE("1", "a") "{\"table\":\"ro");
    opened = open_committer(path);
    ck_assert_int_eq(commit_one(opened.committer, 2, "b").outcome, LEAT_COMMITTED);
    ck_assert_str_eq(content(path), LINE("1", "a") "{\"table\":\"ro\n" LINE("2", "b"));
    /* Also while the file is open: another worker has died. */
    write_file(path, "{");
    ck_assert_int_eq(commit_one(opened.committer, 3, "c").outcome, LEAT_COMMITTED);
    ck_assert_str_eq(content(path), "{\n" LINE("3", "c"));
    close_committer(opened);
}
END_TEST

START_TEST(test_a_full_device_waits)
{
    struct opened opened = open_committer("/dev/full");
    struct leat_commit_result result = commit_one(opened.committer, 1, "a");

    ck_assert_int_eq(result.outcome, LEAT_COMMIT_TRANSIENT);
    ck_assert_str_eq(result.text, "could not write to \"/dev/full\": No space left on device");
    close_committer(opened);
}
END_TEST

/* The file cannot grow beyond the middle of the append: nothing of it stays, and it works again when it can. */
START_TEST(test_half_an_append_is_taken_back)
{
    struct rlimit limit = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
    struct opened opened = open_committer(path);
    char *text = leat_alloc(1500);

    memset(text, 'x', 1499);
    text[1499] = '\0';
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(commit_one(opened.committer, 1, "a").outcome, LEAT_COMMITTED);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(commit_one(opened.committer, 2, text).outcome, LEAT_COMMIT_CONFIGURATION);
    ck_assert_str_eq(content(path), LINE("1", "a"));
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(commit_one(opened.committer, 3, "b").outcome, LEAT_COMMITTED);
    ck_assert_str_eq(content(path), LINE("1", "a") LINE("3", "b"));
    free(text);
    close_committer(opened);
}
END_TEST

START_TEST(test_another_process_has_its_turn)
{
    struct opened opened = open_committer(path);
    struct leat_commit_result result;
    int fd;

    ck_assert_int_eq(commit_one(opened.committer, 1, "a").outcome, LEAT_COMMITTED);
    fd = open(path, O_RDONLY);
    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0); /* let go after each append */
    result = commit_one(opened.committer, 2, "b");
    ck_assert_int_eq(result.outcome, LEAT_COMMIT_TRANSIENT);
    ck_assert_ptr_nonnull(strstr(result.text, "another process is writing"));
    close(fd);
    ck_assert_int_eq(commit_one(opened.committer, 2, "b").outcome, LEAT_COMMITTED);
    ck_assert_str_eq(content(path), LINE("1", "a") LINE("2", "b"));
    close_committer(opened);
}
END_TEST

START_TEST(test_a_file_that_is_moved_away_is_made_anew)
{
    struct opened opened = open_committer(path);
    char moved[200];

    snprintf(moved, sizeof moved, "%s.1", path);
    ck_assert_int_eq(commit_one(opened.committer, 1, "a").outcome, LEAT_COMMITTED);
    ck_assert_int_eq(rename(path, moved), 0);
    ck_assert_int_eq(commit_one(opened.committer, 2, "b").outcome, LEAT_COMMITTED);
    ck_assert_str_eq(content(moved), LINE("1", "a"));
    ck_assert_str_eq(content(path), LINE("2", "b"));
    close_committer(opened);
}
END_TEST

static void
note(void *context, const char *text)
{
    snprintf(context, 300, "%s", text);
}

START_TEST(test_a_missing_folder_is_named)
{
    LEAT_AUTO_BUF wanted = LEAT_BUF_INIT;
    struct leat_commit_result result;
    struct opened opened;
    char missing[100], told[300] = "";

    snprintf(missing, sizeof missing, "%s/none/out", directory);
    opened = open_committer(missing);
    ck_assert_int_eq(jsonl->describe(opened.target, tables, note, told, &err), 0);
    leat_buf_printf(&wanted, "cannot make \"%s\": folder \"%s/none/\": No such file or directory",
                    missing, directory);
    ck_assert_str_eq(told, leat_buf_text(&wanted));
    result = commit_one(opened.committer, 1, "a");
    ck_assert_int_eq(result.outcome, LEAT_COMMIT_CONFIGURATION);
    leat_buf_clear(&wanted);
    leat_buf_printf(&wanted,
                    "cannot open \"%s\": No such file or directory: its folder does not exist",
                    missing);
    ck_assert_str_eq(result.text, leat_buf_text(&wanted));
    close_committer(opened);
    opened = open_committer(directory);
    ck_assert_int_eq(commit_one(opened.committer, 1, "a").outcome, LEAT_COMMIT_CONFIGURATION);
    close_committer(opened);
}
END_TEST

START_TEST(test_what_is_no_file_is_refused)
{
    struct leat_commit_result result;
    struct opened opened;

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    opened = open_committer(path);
    result = commit_one(opened.committer, 1, "a");
    ck_assert_int_eq(result.outcome, LEAT_COMMIT_CONFIGURATION);
    ck_assert_ptr_nonnull(strstr(result.text, "it is no file"));
    close_committer(opened);
}
END_TEST

START_TEST(test_names_in_the_path)
{
    struct opened opened;
    char template[200], told[300] = "";

    snprintf(template, sizeof template, "%s/{application}-{processor}.jsonl", directory);
    opened = open_committer(template);
    ck_assert_int_eq(jsonl->describe(opened.target, tables, note, told, &err), 0);
    ck_assert_str_eq(told, "");
    ck_assert_int_eq(commit_one(opened.committer, 1, "a").outcome, LEAT_COMMITTED);
    snprintf(template, sizeof template, "%s/app-roll_up.jsonl", directory);
    ck_assert_str_eq(content(template), LINE("1", "a"));
    close_committer(opened);
}
END_TEST

START_TEST(test_bad_options_are_named)
{
    static const struct {
        const char *path, *fsync, *says;
    } bad[] = {{"", "true", "\"path\" is empty"},
               {"x{shard}", "true", "processor and application alone"},
               {"x}", "true", "braces"},
               {"x", "perhaps", "fsync"}};
    struct leat_options options;
    void *target;

    for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++) {
        ck_assert_int_eq(open_target(bad[i].path, bad[i].fsync, &target), LEAT_E_INVALID);
        ck_assert_msg(strstr(err.text, bad[i].says) != NULL, "%s", err.text);
    }
    ck_assert_int_eq(test_options(jsonl->options, &arena, NULL, &options, &err), LEAT_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "\"path\" is missing"));
}
END_TEST

/* ---- several committers, one file: whole lines, each once ---------------------------------------- */

#define WRITERS 4
#define COMMITS 50
#define ROWS 30

static void
write_much(void *committer)
{
    static const char filler[] = "0123456789012345678901234567890123456789012345678901234567890123";

    for (int i = 0; i < COMMITS; i++) {
        struct leat_value values[ROWS * 2];
        struct leat_flush_rows rows = {
            .table = tables, .count = ROWS, .width = 2, .values = values};

        for (int r = 0; r < ROWS; r++) {
            values[2 * r] = leat_int64(r);
            values[2 * r + 1] = leat_text(leat_slice_from(filler));
        }
        ck_assert_int_eq(commit_rows(committer, &rows, 1).outcome, LEAT_COMMITTED);
    }
}

START_TEST(test_committers_take_turns)
{
    struct leat_thread threads[WRITERS];
    void *target, *committers[WRITERS];
    int lines = 0;
    char line[300];
    FILE *in;

    ck_assert_int_eq(open_target(path, "false", &target), 0);
    for (unsigned i = 0; i < WRITERS; i++) {
        ck_assert_int_eq(jsonl->committer_open(target, tables, i, &committers[i], &err), 0);
        ck_assert_int_eq(leat_thread_start(&threads[i], "writer", write_much, committers[i], &err),
                         0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        leat_thread_join(&threads[i]);
        jsonl->committer_close(committers[i]);
    }
    jsonl->close(target);
    in = fopen(path, "r");
    for (; fgets(line, sizeof line, in) != NULL; lines++) {
        LEAT_AUTO_BUF key = LEAT_BUF_INIT;

        leat_buf_printf(&key, "{\"k\":%d,", lines % ROWS); /* an append is not mixed with another */
        ck_assert_msg(strstr(line, leat_buf_text(&key)) != NULL, "line %d: %s", lines, line);
        ck_assert_str_eq(line + strlen(line) - 4, "\"}}\n");
    }
    fclose(in);
    ck_assert_int_eq(lines, WRITERS * COMMITS * ROWS);
}
END_TEST

/* More than is written in one piece. */
START_TEST(test_a_large_flush)
{
    struct opened opened = open_committer(path);
    char *text = leat_alloc(100001);
    struct leat_value values[60];
    struct leat_flush_rows rows = {.table = tables, .count = 30, .width = 2, .values = values};
    struct stat facts;

    memset(text, 'x', 100000);
    text[100000] = '\0';
    for (int i = 0; i < 30; i++) {
        values[2 * i] = leat_int64(7);
        values[2 * i + 1] = leat_text(leat_slice_from(text));
    }
    ck_assert_int_eq(commit_rows(opened.committer, &rows, 1).outcome, LEAT_COMMITTED);
    ck_assert_int_eq(stat(path, &facts), 0);
    ck_assert_int_eq(facts.st_size, 30 * (100000 + (int)strlen(LINE("7", ""))));
    free(text);
    close_committer(opened);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("jsonl");
    TCase *tests = tcase_create("jsonl");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_rows_become_lines);
    tcase_add_loop_test(tests, test_each_type_is_json, 0, (int)LEAT_COUNT_OF(cells));
    tcase_add_test(tests, test_a_cut_line_is_closed);
    tcase_add_test(tests, test_a_full_device_waits);
    tcase_add_test(tests, test_half_an_append_is_taken_back);
    tcase_add_test(tests, test_another_process_has_its_turn);
    tcase_add_test(tests, test_a_file_that_is_moved_away_is_made_anew);
    tcase_add_test(tests, test_a_missing_folder_is_named);
    tcase_add_test(tests, test_what_is_no_file_is_refused);
    tcase_add_test(tests, test_names_in_the_path);
    tcase_add_test(tests, test_bad_options_are_named);
    tcase_add_test(tests, test_committers_take_turns);
    tcase_add_test(tests, test_a_large_flush);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
