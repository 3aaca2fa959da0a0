/* A file as a stream: lines, their offsets, resuming anywhere, growing, cut and replaced files. */
#include "stream/file_source.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/http.h"
#include "base/clock.h"
#include "base/memory.h"
#include "support/patience.h"

static struct leat_event_loop *loop;
static struct leat_error err;
static char path[64];
static struct leat_read_result got;
static bool is_done;

static void
write_file(const char *mode, const char *text, size_t size)
{
    FILE *file = fopen(path, mode);

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, size, file), size);
    fclose(file);
}

static void
setup(void)
{
    int fd;

    snprintf(path, sizeof path, "/tmp/leat-file-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    loop = leat_event_loop_new(NULL, &err);
    ck_assert_ptr_nonnull(loop);
}

static void
teardown(void)
{
    leat_event_loop_free(loop);
    unlink(path);
}

static struct leat_source *
open_source(bool follow)
{
    struct leat_source *source;

    ck_assert_msg(leat_file_source_open("f", path, follow, &source, &err) == 0, "%s", err.text);
    return source;
}

static struct leat_reader *
open_at(struct leat_source *source, const char *checkpoint, int64_t sub_sequence)
{
    struct leat_position position;

    ck_assert_int_eq(
        leat_position_parse(leat_slice_from(checkpoint), sub_sequence, &position, &err), 0);
    return source->ops->reader_open(source, loop, leat_slice_from(LEAT_FILE_SHARD), &position);
}

static void
done(void *context, const struct leat_read_result *result)
{
    got = *result;
    is_done = true;
}

static struct leat_chunk *
read_some(struct leat_source *source, struct leat_reader *reader, size_t bytes)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    is_done = false;
    source->ops->read(reader, bytes, done, NULL);
    ck_assert(!is_done);
    while (!is_done && leat_clock_monotonic_us() < deadline_us)
        leat_event_loop_run_once(loop, deadline_us);
    ck_assert(is_done);
    return got.chunk;
}

static void
expect(const struct leat_chunk *chunk, size_t i, const char *sequence, const char *data)
{
    ck_assert_uint_gt(chunk->count, i);
    ck_assert(leat_slice_is(chunk->records[i].sequence, sequence));
    ck_assert(leat_slice_is(chunk->records[i].data, data));
}

START_TEST(test_lines_are_records)
{
    struct leat_source *source;
    struct leat_reader *reader;
    struct leat_chunk *chunk;

    write_file("w", "one\r\n\ntwo\nlast", 14);
    source = open_source(false);
    reader = open_at(source, "TRIM_HORIZON", -1);
    chunk = read_some(source, reader, 1 << 20);
    ck_assert_uint_eq(chunk->count, 3);
    expect(chunk, 0, "0", "one");
    expect(chunk, 1, "6", "two");
    expect(chunk, 2, "10", "last");
    ck_assert(chunk->is_shard_end);
    leat_chunk_unref(chunk);
    source->ops->reader_close(reader);
    source->ops->close(source);
}
END_TEST

static const struct {
    const char *checkpoint;
    int64_t sub_sequence;
    size_t count;
    const char *first;
} resumes[] = {
    {"TRIM_HORIZON", -1, 3, "a"}, {"0", -1, 2, "b"},          {"0", 4, 3, "a"}, {"2", -1, 1, "c"},
    {"4", -1, 0, NULL},           {"SHARD_END", -1, 0, NULL},
};

START_TEST(test_it_resumes_behind_a_checkpoint)
{
    struct leat_source *source;
    struct leat_reader *reader;
    struct leat_chunk *chunk;

    write_file("w", "a\nb\nc\n", 6);
    source = open_source(false);
    reader = open_at(source, resumes[_i].checkpoint, resumes[_i].sub_sequence);
    chunk = read_some(source, reader, 1 << 20);
    ck_assert_uint_eq(chunk->count, resumes[_i].count);
    if (resumes[_i].first != NULL)
        ck_assert(leat_slice_is(chunk->records[0].data, resumes[_i].first));
    ck_assert(chunk->is_shard_end);
    leat_chunk_unref(chunk);
    source->ops->reader_close(reader);
    source->ops->close(source);
}
END_TEST

/* Whatever the reservation, the same records come, in pieces of whole lines. */
START_TEST(test_small_reservations_give_the_same_records)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_source *source;
    struct leat_reader *reader;
    size_t next = 0, bytes = (size_t)_i;
    bool is_end = false;

    for (int i = 0; i < 500; i++)
        leat_buf_printf(&text, "%d%s\n", i, i % 7 == 0 ? "-a longer line" : "");
    write_file("w", leat_buf_text(&text), text.size);
    source = open_source(false);
    reader = open_at(source, "TRIM_HORIZON", -1);
    for (int reads = 0; !is_end && reads < 5000; reads++) {
        struct leat_chunk *chunk = read_some(source, reader, bytes);

        if (got.outcome == LEAT_READ_TOO_LARGE) {
            ck_assert_uint_gt(got.needed_bytes, bytes);
            bytes = got.needed_bytes;
            continue;
        }
        ck_assert_int_eq(got.outcome, LEAT_READ_OK);
        for (size_t i = 0; i < chunk->count; i++)
            ck_assert_int_eq(strtoll((const char *)chunk->records[i].data.data, NULL, 10),
                             (long long)next++);
        is_end = chunk->is_shard_end;
        leat_chunk_unref(chunk);
    }
    ck_assert_uint_eq(next, 500);
    source->ops->reader_close(reader);
    source->ops->close(source);
}
END_TEST

START_TEST(test_a_growing_file_is_followed)
{
    struct leat_source *source;
    struct leat_reader *reader;
    struct leat_chunk *chunk;

    write_file("w", "a\nhal", 5);
    source = open_source(true);
    reader = open_at(source, "TRIM_HORIZON", -1);
    chunk = read_some(source, reader, 1 << 20);
    ck_assert_uint_eq(chunk->count, 1);
    ck_assert(!chunk->is_shard_end);
    leat_chunk_unref(chunk);
    chunk = read_some(source, reader, 1 << 20);
    ck_assert_uint_eq(chunk->count, 0);
    leat_chunk_unref(chunk);
    write_file("a", "f\nb\n", 4);
    chunk = read_some(source, reader, 1 << 20);
    ck_assert_uint_eq(chunk->count, 2);
    expect(chunk, 0, "2", "half");
    leat_chunk_unref(chunk);
    source->ops->reader_close(reader);
    source->ops->close(source);
}
END_TEST

START_TEST(test_a_file_that_was_cut_is_invalid)
{
    struct leat_source *source;
    struct leat_reader *reader;

    write_file("w", "a\nb\n", 4);
    source = open_source(true);
    reader = open_at(source, "2", -1);
    leat_chunk_unref(read_some(source, reader, 1 << 20));
    write_file("w", "x\n", 2);
    read_some(source, reader, 1 << 20);
    ck_assert_int_eq(got.outcome, LEAT_READ_INVALID);
    ck_assert_ptr_nonnull(strstr(got.err.text, "cut"));
    source->ops->reader_close(reader);
    source->ops->close(source);
}
END_TEST

START_TEST(test_what_is_no_file_is_named)
{
    struct leat_source *source;

    ck_assert_int_eq(leat_file_source_open("f", "/nonexistent/x", false, &source, &err),
                     LEAT_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/x"));
    ck_assert_int_eq(leat_file_source_open("f", "/tmp", false, &source, &err), LEAT_E_INVALID);
}
END_TEST

START_TEST(test_a_line_that_is_too_long_blocks_by_name)
{
    size_t size = LEAT_FILE_LINE_BYTES + 100;
    char *text = leat_alloc(size);
    struct leat_source *source;
    struct leat_reader *reader;
    size_t bytes = 1 << 20;

    memset(text, 'x', size);
    write_file("w", text, size);
    free(text);
    source = open_source(false);
    reader = open_at(source, "TRIM_HORIZON", -1);
    do {
        read_some(source, reader, bytes);
        bytes = got.needed_bytes;
    } while (got.outcome == LEAT_READ_TOO_LARGE);
    ck_assert_int_eq(got.outcome, LEAT_READ_BLOCKED);
    ck_assert_ptr_nonnull(strstr(got.err.text, "10 MiB at byte 0"));
    source->ops->reader_close(reader);
    source->ops->close(source);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("file_source");
    TCase *tests = tcase_create("file_source");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_lines_are_records);
    tcase_add_loop_test(tests, test_it_resumes_behind_a_checkpoint, 0, (int)LEAT_COUNT_OF(resumes));
    tcase_add_loop_test(tests, test_small_reservations_give_the_same_records, 1, 40);
    tcase_add_test(tests, test_a_growing_file_is_followed);
    tcase_add_test(tests, test_a_file_that_was_cut_is_invalid);
    tcase_add_test(tests, test_what_is_no_file_is_named);
    tcase_add_test(tests, test_a_line_that_is_too_long_blocks_by_name);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
