/* What is shown is what was understood: it reads back as the same, says where it came from, and keeps secrets. */
#include "suite.h"

static const char text[] =
    "application: no\n"
    "worker_id: '$${x} $$$$ \"quoted\" ü'\n"
    "database: postgresql://leat:secret@db/leat\n"
    "streams:\n"
    "- { name: observations, start: 2026-01-31T12:00:00Z }\n"
    "- { name: b, file: /b, follow: true }\n"
    "reading: { max_calls_per_shard: 2.5/s, max_bytes_per_shard: 0 }\n"
    "processors:\n"
    "- name: rollup\n"
    "  plugin: rollup\n"
    "  options: { window: 90s, api_token: abc, keys: [a, 'b c'], names: { x: y, password: z, "
    "'$$a': '$$$$a' } }\n"
    "  streams: [b, observations]\n"
    "  failure: { backoff: 1s..1h, then: stop, breaker: 0 }\n"
    "  target: { plugin: postgres, options: { schema: s }, flush: { linger: 20ms } }\n"
    "- { name: two, plugin: ./p.so, start: latest, streams: [observations], target: { plugin: t, "
    "url: 'password=x' } }\n"
    "archive: { url: 's3://b/{application}/{stream}/' }\n"
    "log: { level: debug }\n";

static struct leat_buf shown;

static const char *
show(bool with_origin)
{
    leat_buf_release(&shown);
    leat_buf_init(&shown, SIZE_MAX);
    leat_config_show(config, with_origin, &shown);
    return leat_buf_text(&shown);
}

static bool
has_line(const char *line)
{
    LEAT_AUTO_BUF whole = LEAT_BUF_INIT;

    leat_buf_printf(&whole, "\n%s\n", line);
    if (strstr(leat_buf_text(&shown), leat_buf_text(&whole)) != NULL)
        return true;
    fprintf(stderr, "there is no line \"%s\" in:\n%s", line, leat_buf_text(&shown));
    return false;
}

START_TEST(test_it_reads_back_as_the_same)
{
    LEAT_AUTO_FREE char *first = NULL;

    suite_expect(suite_parse(text), "");
    first = leat_strdup(show(false));
    suite_expect(suite_parse(first), "");
    ck_assert_str_eq(config->application, "no");
    ck_assert_str_eq(config->worker_id, "${x} $$ \"quoted\" ü");
    ck_assert_int_eq(config->streams[0].start.time_us, 1769860800000000);
    ck_assert_uint_eq(config->processors[0].option_count, 4);
    ck_assert_str_eq(config->processors[0].streams[1], "observations");
    ck_assert_int_eq(config->processors[0].target.linger_us, 20000);
    ck_assert_int_eq(config->processors[1].start.kind, LEAT_START_LATEST);
    suite_expect(show(false), first);
    /* The comments change nothing. */
    suite_expect(suite_parse(show(true)), "");
    suite_expect(show(false), first);
    leat_buf_release(&shown);
}
END_TEST

START_TEST(test_texts_that_a_reader_of_yaml_would_not_take)
{
    LEAT_AUTO_FREE char *worker_id = NULL;

    suite_expect(
        suite_add(
            "worker_id: \"\\t\\r\\n\\x01\\x7f\\x85\\u2028\\ufeff\\ufffe\\U0001F600\\\\\\\"\"\n"),
        "");
    worker_id = leat_strdup(config->worker_id);
    show(false);
    ck_assert(
        has_line("worker_id: \"\\x09\\x0D\\x0A\\x01\\x7F\\x85\\u2028\\uFEFF\\uFFFE😀\\\\\\\"\""));
    suite_expect(suite_parse(leat_buf_text(&shown)), "");
    ck_assert_str_eq(config->worker_id, worker_id);
    leat_buf_release(&shown);
}
END_TEST

START_TEST(test_where_it_came_from)
{
    static const char *const environment[] = {"LEAT_LEASES__EXPIRY=7s", "LEAT_DATABASE=x",
                                              "LEAT_PROCESSORS__ROLLUP__OPTIONS__WINDOW=2m", NULL};
    static const char *const sets[] = {"memory.budget=64MiB", "processors.rollup.streams=b", NULL};

    suite_expect(suite_make(text, environment, sets), "");
    show(true);
    ck_assert(has_line("application: \"no\"  # c.yaml:1"));
    ck_assert_int_eq(strncmp(leat_buf_text(&shown), "config_version: 1  # default\n", 29), 0);
    ck_assert(has_line("  expiry: 7s  # environment LEAT_LEASES__EXPIRY"));
    ck_assert(has_line("  url: x  # environment LEAT_DATABASE"));
    ck_assert(has_line("  # url_file: not set"));
    ck_assert(has_line("  budget: 64MiB  # --set"));
    ck_assert(has_line("  - name: observations  # c.yaml:5"));
    ck_assert(has_line("    start: trim_horizon  # default"));
    ck_assert(has_line("    start: 2026-01-31T12:00:00Z  # c.yaml:5"));
    ck_assert(has_line("    streams: [b]  # --set"));
    ck_assert(has_line("    # start: not set"));
    ck_assert(
        has_line("      window: \"2m\"  # environment LEAT_PROCESSORS__ROLLUP__OPTIONS__WINDOW"));
    ck_assert(has_line("      keys: [a, \"b c\"]  # c.yaml:11"));
    ck_assert(has_line("      backoff: 1s..1h  # c.yaml:13"));
    ck_assert(has_line("      retries: 10  # default"));
    ck_assert(has_line("        linger: 20ms  # c.yaml:14"));
    ck_assert(has_line("        rows: auto  # default"));
    leat_buf_release(&shown);
}
END_TEST

START_TEST(test_secrets_are_masked)
{
    suite_expect(suite_parse(text), "");
    leat_config_hide(config, &config->processors[0].target.options[0]);
    show(false);
    ck_assert(has_line("  url: \"postgresql://leat:***@db/leat\""));
    ck_assert(has_line("      url: \"password=***\""));
    ck_assert(has_line("      api_token: \"***\""));
    ck_assert(has_line("      names: {x: \"y\", password: \"***\", \"$$a\": \"$$$a\"}"));
    ck_assert(has_line("        schema: \"***\""));
    ck_assert_ptr_null(strstr(leat_buf_text(&shown), "secret"));
    ck_assert_ptr_null(strstr(leat_buf_text(&shown), "abc"));
    leat_buf_release(&shown);
}
END_TEST

SUITE_MAIN("config/show", test_it_reads_back_as_the_same,
           test_texts_that_a_reader_of_yaml_would_not_take, test_where_it_came_from,
           test_secrets_are_masked)
