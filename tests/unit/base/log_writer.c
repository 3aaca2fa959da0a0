/* The log's writer against readers that stand still, die and come back, a full disk, a pipe that others share. */
#include "tests/unit/base/suite.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_writer.h"

#define FILE_BYTES 65600 /* above what the test framework writes itself */
#define PATIENCE_US (50 * LEAT_MS_US)
#define LONG_US (20 * LEAT_SECOND_US) /* for what must come */

static char folder[] = "/tmp/leat-log-XXXXXX";

static void
tell_loss(struct leat_buf *out, int64_t lines, const char *reason)
{
    leat_buf_printf(out, "lost %lld: %s\n", (long long)lines, reason != NULL ? reason : "unread");
}

static void
start(int fd)
{
    struct leat_error err;

    signal(SIGPIPE, SIG_IGN);
    leat_log_writer_setup(fd, tell_loss);
    ck_assert_msg(leat_log_writer_start(&err) == 0, "%s", err.text);
}

static void
say(int number, bool is_important)
{
    char line[200];

    snprintf(line, sizeof line, "line %d %0100d\n", number, 0);
    leat_log_writer_line(TEXT(line), is_important);
}

/* Reads until nothing came for a moment. */
static void
read_all(int fd, struct leat_buf *out, int quiet_ms)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char piece[4096];
    ssize_t size;

    while (poll(&wait, 1, quiet_ms) > 0 && (size = read(fd, piece, sizeof piece)) > 0)
        leat_buf_add(out, piece, (size_t)size);
}

/* Every line is whole; the numbers rise; what is missing is told. Returns the lines that are there. */
static int64_t
check_lines(struct leat_buf *text, int64_t *ret_lost)
{
    char *rest = (char *)(uintptr_t)leat_buf_text(text), *line;
    int64_t count = 0;
    int last = -1;

    *ret_lost = 0;
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        long long lost;
        int number;

        if (sscanf(line, "lost %lld", &lost) == 1) {
            *ret_lost += lost;
            continue;
        }
        ck_assert_msg(sscanf(line, "line %d ", &number) == 1, "\"%s\"", line);
        ck_assert_uint_ge(strlen(line), 100 + strlen("line 0 "));
        ck_assert_int_gt(number, last);
        last = number;
        count++;
    }
    return count;
}

START_TEST(a_reader_that_stands_still_is_not_waited_for)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    int ends[2], is_nonblocking;
    int64_t there, lost;

    ck_assert_int_eq(pipe(ends), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    start(ends[1]);
    for (int i = 0; i < 20000; i++)
        say(i, false);
    say(20000, true); /* an error still has room */
    ck_assert(!leat_log_writer_drain(PATIENCE_US));
    leat_log_writer_end(PATIENCE_US);
    is_nonblocking = fcntl(ends[1], F_GETFL) & O_NONBLOCK;
    ck_assert_int_eq(is_nonblocking, 0);
    ck_assert_int_gt(leat_log_writer_lost(), 10000);
    read_all(ends[0], &text, 500);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&text), "line 20000 "));
    there = check_lines(&text, &lost);
    ck_assert_int_eq(lost, leat_log_writer_lost());
    ck_assert_int_eq(there + lost, 20001);
    /* And as if nothing had been. */
    leat_buf_clear(&text);
    say(1, false);
    ck_assert(leat_log_writer_drain(LONG_US));
    read_all(ends[0], &text, 100);
    ck_assert_int_eq(check_lines(&text, &lost), 1);
    leat_log_writer_end(LONG_US);
}
END_TEST

/* Nothing more is logged: the count comes all the same. */
START_TEST(what_was_dropped_is_told_when_the_reader_is_back)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    int ends[2];
    int64_t there, lost;

    ck_assert_int_eq(pipe(ends), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    start(ends[1]);
    for (int i = 0; i < 5000; i++)
        say(i, true);
    read_all(ends[0], &text, 500);
    there = check_lines(&text, &lost);
    ck_assert_int_gt(lost, 0);
    ck_assert_int_eq(there + lost, 5000);
    ck_assert(leat_log_writer_drain(LONG_US));
    leat_log_writer_end(LONG_US);
}
END_TEST

START_TEST(a_reader_that_died_and_another_that_comes)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    char path[64];
    int reader, fd;
    int64_t lost;

    snprintf(path, sizeof path, "%s/fifo", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    fd = open(path, O_WRONLY);
    start(fd);
    close(reader);
    for (int i = 0; i < 3; i++)
        say(i, true);
    ck_assert(leat_log_writer_drain(LONG_US));
    reader = open(path, O_RDONLY | O_NONBLOCK);
    say(3, true);
    ck_assert(leat_log_writer_drain(LONG_US));
    read_all(reader, &text, 100);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&text), "Broken pipe"));
    ck_assert_int_eq(check_lines(&text, &lost), 1);
    ck_assert_int_eq(lost, 3);
    leat_log_writer_end(LONG_US);
}
END_TEST

/* A file that may not grow stands for a full disk: the last line that fits in part is torn, and ended before the next. */
START_TEST(a_full_disk)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct rlimit limit = {.rlim_cur = FILE_BYTES, .rlim_max = RLIM_INFINITY};
    char path[64];
    int fd, reader;

    signal(SIGXFSZ, SIG_IGN);
    snprintf(path, sizeof path, "%s/file", folder);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(ftruncate(fd, FILE_BYTES - 150), 0);
    start(fd);
    for (int i = 0; i < 10; i++)
        say(i, true);
    ck_assert(leat_log_writer_drain(LONG_US));
    ck_assert_int_eq(leat_log_writer_lost(), 9);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    say(10, true);
    ck_assert(leat_log_writer_drain(LONG_US));
    reader = open(path, O_RDONLY);
    ck_assert_int_eq(lseek(reader, FILE_BYTES - 150, SEEK_SET), FILE_BYTES - 150);
    read_all(reader, &text, 0);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&text), "\nlost 9: File too large\nline 10 "));
    leat_log_writer_end(LONG_US);
}
END_TEST

START_TEST(a_descriptor_that_others_made_not_block)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    int ends[2];
    int64_t lost;

    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    start(ends[1]);
    for (int i = 0; i < 300; i++)
        say(i, true);
    read_all(ends[0], &text, 500);
    ck_assert(leat_log_writer_drain(LONG_US));
    ck_assert_int_eq(check_lines(&text, &lost), 300);
    ck_assert_int_eq(lost, 0);
    leat_log_writer_end(LONG_US);
}
END_TEST

START_TEST(last_words_come_last_and_wait_for_nobody)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    static const char words[] = "last words\n";
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    start(ends[1]);
    for (int i = 0; i < 100; i++)
        say(i, false);
    leat_log_last_words(words, strlen(words));
    read_all(ends[0], &text, 100);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&text), "line 99 "));
    ck_assert_ptr_nonnull(strstr(strstr(leat_buf_text(&text), "line 99 "), "\nlast words\n"));
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    for (int i = 0; i < 100; i++)
        say(i, false);
    leat_log_last_words(words, strlen(words)); /* comes back, or the test's time is over */
}
END_TEST

/* Before the writer there is nobody to wait for either: what cannot be written is counted. */
START_TEST(without_a_writer)
{
    leat_log_writer_setup(open("/dev/full", O_WRONLY), tell_loss);
    say(0, true);
    ck_assert_int_eq(leat_log_writer_lost(), 1);
    ck_assert(leat_log_writer_drain(PATIENCE_US));
    leat_log_writer_end(PATIENCE_US);
}
END_TEST

static void
remove_folder(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    (void)!system(command);
}

int
main(void)
{
    static const TTest *tests[8];
    size_t count = 0;

    tests[count++] = a_reader_that_stands_still_is_not_waited_for;
    tests[count++] = what_was_dropped_is_told_when_the_reader_is_back;
    tests[count++] = a_reader_that_died_and_another_that_comes;
    tests[count++] = a_full_disk;
    tests[count++] = a_descriptor_that_others_made_not_block;
    tests[count++] = last_words_come_last_and_wait_for_nobody;
    tests[count++] = without_a_writer;
    if (mkdtemp(folder) == NULL)
        return 1;
    int code = suite_run("log_writer", tests, count);
    remove_folder();
    return code;
}
