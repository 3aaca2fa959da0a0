/* What properties have to do with one another, and what this leat cannot do yet. */
#include "suite.h"

/* One file, so that lines and columns are seen: lines 1 to 9 are good. */
static const char good[] = "application: a\n"
                           "database: x\n"
                           "archive: { url: 's3://b/{application}/{stream}' }\n"
                           "streams:\n"
                           "- { name: one }\n"
                           "- { name: two }\n"
                           "processors:\n"
                           "- { name: p, plugin: p, target: { plugin: t } }\n"
                           "- { name: q, plugin: p, streams: [two], target: { plugin: t } }\n";

static const struct {
    const char *replaced, *by, *says;
} mistakes[] = {
    {"name: two", "name: one",
     "6:11: stream \"one\" is there twice: first in line 5\n"
     "c.yaml:9:35: there is no stream \"two\" in streams\n"},
    {"name: one", "name: \"orders-*\", follow: true",
     "5:31: streams.orders-*.follow is for a file"},
    {"name: one", "name: \"or[d]ers-*\"", "5:11: stream \"or[d]ers-*\" is no name"},
    {"[two]", "[\"x-*\"]", "9:35: there is no stream \"x-*\" in streams"},
    {"name: one", "name: a b", "5:11: stream \"a b\" is no name of a Kinesis stream"},
    {"name: one", "name: one, follow: true", "5:24: streams.one.follow is for a file alone\n"},
    {"name: one", "name: one, file: /x, start: latest",
     "5:33: streams.one.start: a file knows no times: trim_horizon alone\n"},
    {"name: one", "name: one, file: /x, start: 2024-01-01T00:00:00Z",
     "5:33: streams.one.start: a file knows no times: trim_horizon alone\n"},
    {"- { name: two }\nprocessors:\n- { name: p",
     "- { name: two, file: /x }\nprocessors:\n- { name: p, start: latest",
     "8:21: processors.p.start: it reads \"two\", a file, which knows no times: trim_horizon "
     "alone\n"},
    {"name: one", "name: arn:aws:kinesis:eu-west-1:1:stream/two",
     "6:11: stream \"two\" is there twice: first in line 5\n"},
    {"name: one", "name: arn:aws:s3:::x", "5:11: stream \"arn:aws:s3:::x\" is no name"},
    {"name: q", "name: p", "9:11: processor \"p\" is there twice: first in line 8\n"},
    {"name: q", "name: a/b", "9:11: processor \"a/b\" is no name"},
    {"[two]", "[tow]", "9:35: there is no stream \"tow\" in streams, did you mean \"two\"?\n"},
    {"[two]", "[two, one, two]", "9:45: stream \"two\" is there twice\n"},
    {"[two]", "[two], lanes: 4",
     "9:48: processors.q.lanes: 4 lanes are not there yet: this leat knows 1\n"},
    {"[two]", "[two], sha256: g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
     "9:49: sha256 is no SHA-256: 64 hex digits\n"},
    {"[two], target: { plugin: t", "[two], target: { plugin: t, url: a, url_file: b",
     "9:80: target: url and url_file exclude each other\n"},
    {"database: x", "database: { url: a, url_file: b }",
     "2:31: database: url and url_file exclude each other\n"},
    {"database: x", "database: { url: '' }", "2:11: database is missing: a URL, or url_file\n"},
    {"s3://b/{application}/{stream}", "http://x",
     "3:17: archive.url \"http://x\" is neither s3://bucket/prefix nor file:///folder\n"},
    {"s3://b/{application}/{stream}", "file://x",
     "3:17: archive.url \"file://x\" is no absolute path: write file:///folder\n"},
    {"s3://b/{application}/{stream}", "s3:///x", "3:17: archive.url \"s3:///x\" names no bucket\n"},
    {"s3://b/{application}/{stream}", "s3://b/{stream}",
     "3:17: archive.url \"s3://b/{stream}\": of names in braces it may only end with "
     "{application}/{stream}/\n"},
    {"database: x", "database: x\ndead_letters: { stream: one }",
     "3:25: dead_letters.stream: \"one\" is read in line 6: dead letters would come back as "
     "records\n"},
    {"database: x", "database: x\ndead_letters: { stream: arn:aws:kinesis:eu:1:stream/one }",
     "is read in line 6"},
    {"database: x", "database: x\ndead_letters: { stream: \"a*\" }",
     "3:25: dead_letters.stream: \"a*\" is no name of a Kinesis stream\n"},
    {"database: x", "database: x\nleases: { heartbeat: 2s }",
     "3:22: leases.expiry: it has to be at least three heartbeats, 6s\n"},
    {"database: x", "database: x\nleases: { expiry: 2999ms }",
     "3:19: leases.expiry: it has to be at least three heartbeats, 3s\n"},
    {"database: x", "database: x\nleases: { weight: 0 }",
     "3:19: leases.weight: it has to be above 0\n"},
    {"database: x", "database: x\nreading: { mode: fan_out }",
     "3:18: reading.mode: \"fan_out\" is not there yet: this leat knows auto, polling\n"},
    {"database: x", "database: x\naws: { endpoints: { sts: x } }",
     "3:26: aws.endpoints.sts: \"x\" is neither http://… nor https://…\n"},
    {"database: x", "database: x\naws: { s3_addressing: sideways }",
     "3:23: aws.s3_addressing: there is no choice \"sideways\": it is one of auto, path, "
     "virtual\n"},
    {"database: x", "database: x\naws: { endpoints: { s3: x } }",
     "3:25: aws.endpoints.s3: \"x\" is neither http://… nor https://…\n"},
    {"database: x", "database: x\nhttp: { listen: 9464 }",
     "3:17: http.listen: \"9464\" is no host:port, and not off\n"},
    {"database: x", "database: x\nhttp: { listen: 'a:65536' }", "is no host:port"},
    {"database: x", "database: x\nhttp: { listen: '::1:1' }", "is no host:port"},
};

static const char *
parse_with(const char *replaced, const char *by)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    const char *at = strstr(good, replaced);

    ck_assert_ptr_nonnull(at);
    leat_buf_add(&text, good, (size_t)(at - good));
    leat_buf_add_text(&text, by);
    leat_buf_add_text(&text, at + strlen(replaced));
    return suite_parse(leat_buf_text(&text));
}

static int
count_lines(const char *text)
{
    int lines = 0;

    while ((text = strchr(text, '\n')) != NULL) {
        text++;
        lines++;
    }
    return lines;
}

START_TEST(test_a_mistake_is_named)
{
    const char *text = parse_with(mistakes[_i].replaced, mistakes[_i].by);
    int lines = count_lines(mistakes[_i].says);

    ck_assert_msg(strstr(text, mistakes[_i].says) != NULL, "\"%s\" does not say \"%s\"", text,
                  mistakes[_i].says);
    ck_assert_msg(count_lines(text) == (lines > 0 ? lines : 1), "%s", text); /* nothing else */
}
END_TEST

START_TEST(test_what_is_good)
{
    ck_assert_str_eq(suite_parse(good), "");
    ck_assert_str_eq(parse_with("name: one", "name: \"any thing*\", file: x, follow: true"), "");
    ck_assert_str_eq(parse_with("name: one", "name: arn:aws:kinesis:eu-west-1:1:stream/one"), "");
    ck_assert_str_eq(
        parse_with("s3://b/{application}/{stream}", "file:///x/{application}/{stream}/"), "");
    ck_assert_str_eq(parse_with("s3://b/{application}/{stream}", "s3://b"), "");
    ck_assert_str_eq(parse_with("database: x", "database: x\nhttp: { listen: off }"), "");
    ck_assert_str_eq(parse_with("database: x", "database: x\nhttp: { listen: '' }"), "");
    ck_assert_str_eq(parse_with("database: x", "database: x\nhttp: { listen: 'a:0' }"), "");
    ck_assert_str_eq(
        parse_with("database: x", "database: x\nleases: { heartbeat: 1s, expiry: 3s }"), "");
    ck_assert_str_eq(parse_with("database: x", "database: x\ndead_letters: { stream: one-dlq }"),
                     "");
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {test_what_is_good};

    return suite_run_loop("config/check", tests, LEAT_COUNT_OF(tests), test_a_mistake_is_named,
                          LEAT_COUNT_OF(mistakes));
}
