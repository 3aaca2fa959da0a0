/* Log lines, read back from a pipe: their form, their limits, their repeats. */
#include "tests/unit/base/suite.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"

static int pipe_fds[2];

static void
setup(enum leat_log_format format)
{
    ck_assert_int_eq(pipe2(pipe_fds, O_NONBLOCK), 0);
    fcntl(pipe_fds[1], F_SETPIPE_SZ, 1 << 20);
    leat_log_setup(LEAT_LOG_INFO, format, pipe_fds[1]);
    leat_clock_fake(0, INT64_C(1640995260000000));
}

/* What was written since the last look. */
static char *
written(void)
{
    static char text[1 << 20];
    ssize_t size = read(pipe_fds[0], text, sizeof text - 1);

    text[size > 0 ? size : 0] = '\0';
    return text;
}

static int
count_lines(const char *text)
{
    int lines = 0;

    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

START_TEST(a_line_of_json)
{
    setup(LEAT_LOG_JSON);
    leat_log_scope("rollup", TEXT("orders"), TEXT("shardId-7"));
    leat_log_event(LEAT_LOG_WARNING, "could not renew", "error", "a \"b\"\n", "shard", "mine",
                   "none", (char *)NULL, NULL);
    leat_log_scope_clear();
    leat_log_event(LEAT_LOG_DEBUG, "not shown", NULL);
    ck_assert_str_eq(
        written(),
        "{\"time\":\"2022-01-01T00:01:00Z\",\"level\":\"warning\",\"message\":\"could not renew\","
        "\"error\":\"a "
        "\\\"b\\\"\\n\",\"shard\":\"mine\",\"none\":\"\",\"processor\":\"rollup\",\"stream\":"
        "\"orders\"}\n");
}
END_TEST

/* Programs add numbers up; what is none, or would be another one, stays a text. */
START_TEST(numbers_are_numbers)
{
    setup(LEAT_LOG_JSON);
    leat_log_event(LEAT_LOG_INFO, "n", "#rows", "18446744073709551", "#zero", "0", "#port", "off",
                   "#octal", "007", "#none", "", "#below", "-1", "id", "12", NULL);
    ck_assert_ptr_nonnull(strstr(written(),
                                 "\"rows\":18446744073709551,\"zero\":0,\"port\":\"off\",\"octal\":"
                                 "\"007\",\"none\":\"\",\"below\":\"-1\",\"id\":\"12\"}\n"));
    setup(LEAT_LOG_TEXT);
    leat_log_event(LEAT_LOG_INFO, "n", "#rows", "12", NULL);
    ck_assert_ptr_nonnull(strstr(written(), " n rows=12\n"));
}
END_TEST

START_TEST(a_line_of_text)
{
    setup(LEAT_LOG_TEXT);
    leat_log_event(LEAT_LOG_INFO, "started", "worker", "w1", "why", "x\x1B[2J y", NULL);
    ck_assert_str_eq(written(),
                     "2022-01-01T00:01:00Z info    started worker=w1 why=\"x\\u001b[2J y\"\n");
}
END_TEST

/* A plugin's text and a server's reason: neither moves a terminal's cursor, nor makes two lines of one. */
START_TEST(controls_stay_inside)
{
    setup(LEAT_LOG_TEXT);
    leat_log_event(LEAT_LOG_INFO,
                   "a\x1B[2J\xC2\x9B"
                   "1m\x7F\nb\xE2\x80\xAE",
                   "why", "\xC2\x9B\xE2\x80\xAE\xC3\xA4", NULL);
    ck_assert_str_eq(written(), "2022-01-01T00:01:00Z info    a [2J  1m  b    "
                                "why=\"\\u009b\\u202e\xC3\xA4\"\n");
    leat_log_say("leat x: \x1B]0;t\x07\xC2\x85 no\n  hint");
    ck_assert_str_eq(written(), "leat x: ?]0;t??? no\n  hint\n");
}
END_TEST

START_TEST(repeats_are_held_back)
{
    char *text;

    setup(LEAT_LOG_JSON);
    for (int i = 0; i < 100; i++)
        leat_log_event(LEAT_LOG_ERROR, "down", "error", "refused", NULL);
    leat_log_event(LEAT_LOG_WARNING, "down", NULL); /* another level, another line */
    ck_assert_int_eq(count_lines(written()), 6);
    leat_log_flush_repeats(leat_clock_monotonic_us());
    ck_assert_int_eq(count_lines(written()), 0); /* the minute is not over */
    leat_clock_advance(60 * LEAT_SECOND_US);
    leat_log_flush_repeats(leat_clock_monotonic_us());
    text = written();
    ck_assert_int_eq(count_lines(text), 1);
    ck_assert(strstr(text, "\"error\":\"refused\",\"repeated\":95}") != NULL);
    for (int i = 0; i < 7; i++)
        leat_log_event(LEAT_LOG_ERROR, "down", NULL);
    ck_assert_int_eq(count_lines(written()), 5);
    leat_clock_advance(61 * LEAT_SECOND_US);
    leat_log_event(LEAT_LOG_ERROR, "down", NULL); /* tells of the old minute first */
    text = written();
    ck_assert_int_eq(count_lines(text), 2);
    ck_assert(strstr(text, "\"repeated\":2}\n") != NULL);
    for (int i = 0; i < 6; i++)
        leat_log_event(LEAT_LOG_ERROR, "down", NULL);
    written();
    leat_log_flush_repeats(INT64_MAX); /* at exit */
    ck_assert(strstr(written(), "\"repeated\":2}\n") != NULL);
}
END_TEST

START_TEST(scopes_are_told_apart_up_to_a_limit)
{
    char shard[32];
    int lines;

    setup(LEAT_LOG_JSON);
    for (int i = 0; i < 5000; i++) {
        snprintf(shard, sizeof shard, "shard-%d", i);
        leat_log_scope("p", TEXT("s"), TEXT(shard));
        leat_log_event(LEAT_LOG_ERROR, "down", NULL);
    }
    lines = count_lines(written());
    ck_assert(lines >= 1024 && lines <= 1024 + 10);
    leat_log_flush_repeats(INT64_MAX);
    ck_assert_int_eq(count_lines(written()), 1);
}
END_TEST

START_TEST(long_values_are_cut)
{
    char *value = leat_alloc(100001);
    struct json_object *root;
    struct leat_slice text = {0};
    char *line;

    memset(value, 'x', 100000);
    value[100000] = '\0';
    setup(LEAT_LOG_JSON);
    leat_log_event(LEAT_LOG_ERROR, "large", "a", value, "b", value, NULL);
    line = written();
    ck_assert_int_eq(count_lines(line), 1);
    ck_assert_int_eq(leat_json_parse(TEXT(line), &root, NULL), 0);
    ck_assert(leat_json_get_text(root, "a", &text) && text.size == 2000);
    json_object_put(root);
    free(value);
}
END_TEST

static void
chatter(void *context)
{
    for (int i = 0; i < 300; i++) {
        char message[32];

        snprintf(message, sizeof message, "message %d", i % 50);
        leat_log_event(LEAT_LOG_INFO, message, "who", context, NULL);
    }
}

START_TEST(threads_do_not_mix)
{
    struct leat_thread threads[3] = {0};
    char who[] = "somebody";
    char *text, *line;

    setup(LEAT_LOG_JSON);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(leat_thread_start(&threads[i], "chatter", chatter, who, NULL), 0);
    for (int i = 0; i < 3; i++)
        leat_thread_join(&threads[i]);
    text = written();
    ck_assert_int_eq(count_lines(text), 250);
    while ((line = strsep(&text, "\n")) != NULL && *line != '\0') {
        struct json_object *root;

        ck_assert_int_eq(leat_json_parse(TEXT(line), &root, NULL), 0);
        json_object_put(root);
    }
}
END_TEST

START_TEST(levels)
{
    enum leat_log_level level = LEAT_LOG_ERROR;

    ck_assert(leat_log_level_parse(TEXT("debug"), &level) && level == LEAT_LOG_DEBUG);
    ck_assert(!leat_log_level_parse(TEXT("loud"), &level) && level == LEAT_LOG_DEBUG);
}
END_TEST

SUITE_MAIN("log", a_line_of_json, numbers_are_numbers, a_line_of_text, controls_stay_inside,
           repeats_are_held_back, scopes_are_told_apart_up_to_a_limit, long_values_are_cut,
           threads_do_not_mix, levels)
