/*
 * What bad input gets: a named error on one line that says what, why and what to do; nothing lost, no crash, no endless log. Here
 * what is wrong when a worker starts, and records that are not what they seem; fleet_outages.c has what breaks later.
 */
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"
#include "support/slow.h"

#include <check.h>

#define GOES_ON (-1) /* it tries again, and ends well when it is told to */

static struct test_fleet fleet;
static struct test_worker worker;

static int64_t
soon(void)
{
    return leat_clock_monotonic_us() + PATIENCE_US;
}

static void
begin(const char *processors)
{
    struct test_fleet_options options = {.shards = 2};
    char name[40];

    snprintf(name, sizeof name, "bad_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, processors);
}

static void
teardown(void)
{
    test_worker_kill(&worker, SIGKILL);
    test_worker_wait(&worker, NULL);
    test_fleet_end(&fleet);
}

#define ROLLUP "processors: [{ name: rollup, plugin: rollup, target: { plugin: postgres } }]\n"

/* ---- at start --------------------------------------------------------------------------------- */

static const struct start {
    const char *what;
    const char *set[3]; /* --set */
    const char *variable, *value;
    const char *sql;
    int code;
    const char *says[4]; /* what, why, what to do: all on one line */
} starts[] = {
    {.what = "a plugin that is nowhere",
     .set = {"processors.rollup.plugin=rolup"},
     .code = 2,
     .says = {"leat.yaml:7:14: processor \"rollup\"", "could not find plugin \"rolup\"",
              "check its name, or set plugins.path"}},
    {.what = "a plugin that does not load",
     .set = {"processors.rollup.plugin=$LEAT_BUILD/badplugins/no_symbol.so"},
     .code = 2,
     .says = {"leat.yaml:7:14: processor \"rollup\"", "no_symbol.so", "no symbol leat_processor_v1",
              "end it with LEAT_PROCESSOR"}},
    {.what = "a stream that does not exist",
     .set = {"streams.0.name=evens"},
     .code = 1,
     .says = {"stream \"evens\"", "not found: check name, region and endpoint"}},
    {.what = "wrong credentials",
     .variable = "AWS_SECRET_ACCESS_KEY",
     .value = "wrong",
     .code = 1,
     .says = {"stream \"events\"", "InvalidSignatureException", "check the credentials"}},
    {.what = "no credentials",
     .variable = "AWS_ACCESS_KEY_ID",
     .value = NULL,
     .code = 1,
     .says = {"AWS_ACCESS_KEY_ID is not set: set both or none"}},
    {.what = "a Postgres that is not there",
     .variable = "LEAT_DATABASE__URL",
     .value = "postgresql://leat@127.0.0.1:1/leat",
     .code = GOES_ON,
     .says = {"could not connect to postgres at 127.0.0.1:1/leat", "Connection refused",
              "check its url"}},
    {.what = "a database that is not there",
     .variable = "LEAT_DATABASE__URL",
     .value = "$HOST dbname=nowhere",
     .code = GOES_ON,
     .says = {"could not connect to postgres", "\\\"nowhere\\\" does not exist", "check its url"}},
    {.what = "a Kinesis that is not there",
     .set = {"aws.endpoints.kinesis=http://127.0.0.1:1"},
     .code = GOES_ON,
     .says = {"stream \\\"events\\\"", "could not connect to 127.0.0.1:1", "check the region"}},
    {.what = "a Kinesis that is not found",
     .set = {"aws.endpoints.kinesis=http://kinesis.invalid"},
     .code = GOES_ON,
     .says = {"stream \\\"events\\\"", "Could not resolve host: kinesis.invalid",
              "check the region, the endpoint"}},
    {.what = "an archive that cannot be",
     .set = {"archive.url=file:///proc/leat"},
     .code = GOES_ON,
     .says = {"\\\"/proc/leat\\\"", "No such file", "check archive.url"}},
    {.what = "no schema",
     .sql = "DROP SCHEMA leat CASCADE",
     .code = 1,
     .says = {"the lease schema has version 0", "leat db migrate"}},
    {.what = "an old schema",
     .sql = "UPDATE leat.schema_versions SET version = 0 WHERE role = 'lease'",
     .code = 1,
     .says = {"the lease schema has version 0", "leat db migrate"}},
    {.what = "a schema that is too new",
     .sql = "UPDATE leat.schema_versions SET min_worker_version = 999",
     .code = 1,
     .says = {"wants workers that know version 999", "use a newer leat"}},
};

/* The first line with this text; NULL: none. */
static char *
line_with(const char *log, const char *text)
{
    const char *found = strstr(log, text), *begin_of = found;

    if (found == NULL)
        return NULL;
    while (begin_of > log && begin_of[-1] != '\n')
        begin_of--;
    return leat_slice_strdup(leat_slice_make(begin_of, strcspn(begin_of, "\n")));
}

static size_t
count_lines(const char *log, const char *text)
{
    size_t count = 0;

    for (const char *line = log; *line != '\0';
         line += strcspn(line, "\n") + (strchr(line, '\n') != NULL)) {
        const char *found = strstr(line, text);

        count += found != NULL && found < line + strcspn(line, "\n");
    }
    return count;
}

static void
spawn(const struct start *start)
{
    const char *arguments[8] = {NULL};
    LEAT_AUTO_BUF plugin = LEAT_BUF_INIT;
    LEAT_AUTO_BUF value = LEAT_BUF_INIT;
    size_t count = 0;

    for (size_t i = 0; i < LEAT_COUNT_OF(start->set) && start->set[i] != NULL; i++) {
        const char *build = strstr(start->set[i], "$LEAT_BUILD");

        arguments[count++] = "--set";
        arguments[count++] = start->set[i];
        if (build == NULL)
            continue;
        leat_buf_printf(&plugin, "%.*s%s%s", (int)(build - start->set[i]), start->set[i],
                        getenv("LEAT_BUILD"), build + strlen("$LEAT_BUILD"));
        arguments[count - 1] = leat_buf_text(&plugin);
    }
    if (start->value != NULL && strncmp(start->value, "$HOST", 5) == 0) {
        leat_buf_printf(&value, "%.*s%s", (int)strcspn(fleet.url, " "), fleet.url,
                        start->value + 5);
        leat_buf_printf(&value, " user=postgres");
        setenv(start->variable, leat_buf_text(&value), 1);
    } else if (start->value != NULL) {
        setenv(start->variable, start->value, 1);
    } else if (start->variable != NULL) {
        unsetenv(start->variable);
    }
    worker = test_fleet_spawn(&fleet, "w1", arguments);
}

START_TEST(a_start_that_fails_says_why)
{
    const struct start *start = &starts[_i];
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    LEAT_AUTO_FREE char *line = NULL;
    int status;

    begin(ROLLUP);
    if (start->sql != NULL)
        test_fleet_sql(&fleet, start->sql);
    spawn(start);
    if (start->code == GOES_ON) {
        ck_assert(test_worker_says(&worker, "could not start, trying again", soon()));
        usleep(2 * LEAT_SECOND_US);
        test_worker_kill(&worker, SIGTERM);
    }
    status = test_worker_wait(&worker, NULL);
    test_worker_log(&worker, &log);
    if (getenv("LEAT_TEST_SHOW") != NULL)
        fprintf(stderr, "--- %s: %d\n%s", start->what, WEXITSTATUS(status), leat_buf_text(&log));
    ck_assert_msg(WIFEXITED(status), "%s: status %d", start->what, status);
    ck_assert_msg(WEXITSTATUS(status) == (start->code == GOES_ON ? 0 : start->code),
                  "%s: exit code %d: %s", start->what, WEXITSTATUS(status), leat_buf_text(&log));
    line = line_with(leat_buf_text(&log), start->says[0]);
    for (size_t i = 0; i < LEAT_COUNT_OF(start->says) && start->says[i] != NULL; i++)
        ck_assert_msg(line != NULL && strstr(line, start->says[i]) != NULL, "%s: no \"%s\" in: %s",
                      start->what, start->says[i], leat_buf_text(&log));
    ck_assert_msg(count_lines(leat_buf_text(&log), "") < 12, "%s: %s", start->what,
                  leat_buf_text(&log));
}
END_TEST

/* ---- records ----------------------------------------------------------------------------------- */

static int64_t records_put;

static void
put(struct leat_slice data)
{
    test_fleet_put(&fleet, leat_slice_from("key"), data);
    records_put++;
}

static void
put_good(int count)
{
    for (int i = 0; i < count; i++)
        put(leat_slice_from("{\"device_id\": 1, \"time\": \"2022-01-01 00:00:01\", "
                            "\"measurement\": \"temperature\", \"value\": 1}"));
}

/* A record of the KPL, with its magic and MD5 around what stands for its protobuf. */
static void
seal_kpl(struct leat_slice body, struct leat_buf *out)
{
    unsigned char digest[16];

    leat_buf_add(out, "\xF3\x89\x9A\xC2", 4);
    leat_buf_add_slice(out, body);
    ck_assert_int_eq(EVP_Digest(body.data, body.size, digest, NULL, EVP_md5(), NULL), 1);
    leat_buf_add(out, digest, sizeof digest);
}

/* One key in the table; two records, the second of which names key number 9. */
#define KPL_BODY "\x0A\x03key\x1A\x06\x08\x00\x1A\x02{}\x1A\x06\x08\x09\x1A\x02{}"

static void
put_kpl(bool is_cut, bool is_md5_wrong)
{
    LEAT_AUTO_BUF aggregate = LEAT_BUF_INIT;

    seal_kpl(leat_slice_make(KPL_BODY, sizeof KPL_BODY - 1), &aggregate);
    if (is_md5_wrong)
        aggregate.data[aggregate.size - 1] ^= 1;
    put(leat_slice_make(aggregate.data, is_cut ? aggregate.size - 7 : aggregate.size));
}

static void
add_gzip(struct leat_slice text, struct leat_buf *out)
{
    z_stream stream = {.next_in = (unsigned char *)text.data, .avail_in = (unsigned)text.size};

    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    leat_buf_reserve(out, text.size + 1000);
    stream.next_out = out->data;
    stream.avail_out = (unsigned)(text.size + 1000);
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out->size = (size_t)(stream.next_out - out->data);
    deflateEnd(&stream);
}

/* So many bytes of one letter. */
static void
fill(struct leat_buf *out, char letter, size_t bytes)
{
    leat_buf_reserve(out, bytes);
    memset(out->data + out->size, letter, bytes);
    out->size += bytes;
}

static void
put_bomb(void)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    LEAT_AUTO_BUF bomb = LEAT_BUF_INIT;

    leat_buf_add_byte(&text, '[');
    fill(&text, ' ', (size_t)100 << 20);
    add_gzip(leat_buf_slice(&text), &bomb);
    put(leat_buf_slice(&bomb));
}

static void
put_array_that_breaks_off(void)
{
    LEAT_AUTO_BUF array = LEAT_BUF_INIT;

    add_gzip(
        leat_slice_from("[{\"device_id\": 1, \"time\": \"2022-01-01 00:00:01\", \"measurement\": "
                        "\"temperature\", \"value\": 1}, {\"device_id\": 1, \"ti"),
        &array);
    put(leat_buf_slice(&array));
}

static void
put_large(bool is_json)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    if (is_json)
        leat_buf_add_text(&text, "{\"device_id\": 1, \"time\": \"2022-01-01 00:00:01\", "
                                 "\"measurement\": \"temperature\", \"value\": 1, \"pad\": \"");
    fill(&text, 'x', ((size_t)10 << 20) - 200);
    if (is_json)
        leat_buf_add_text(&text, "\"}");
    put(leat_buf_slice(&text));
}

static int64_t
count_archived(void)
{
    char *text = test_fleet_shell(&fleet, "find $DIR/archive -name '*.json' | wc -l");
    int64_t count = strtoll(text, NULL, 10);

    free(text);
    return count;
}

static void
ck_failures(const char *reason, int64_t wanted)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    int64_t count;

    leat_buf_printf(&sql, "SELECT count(*) FROM leat.failures WHERE reason = '%s'", reason);
    count = test_fleet_number(&fleet, leat_buf_text(&sql));
    ck_assert_msg(count == wanted, "%s: %lld, not %lld", reason, (long long)count,
                  (long long)wanted);
}

START_TEST(bad_records_are_diverted_by_name)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    int64_t good = 0, bad = 0;

    begin(ROLLUP);
    put_good(10), good += 10;
    put(leat_slice_from("no JSON at all")), bad++;
    put(leat_slice_make("\0\xFF\xFE{}", 5)), bad++;
    put(leat_slice_from("")), bad++;
    put_good(10), good += 10;
    put_kpl(true, false), bad++;     /* cut: a plain record, and no JSON */
    put_kpl(false, true), bad++;     /* the same */
    put_kpl(false, false), bad += 2; /* {} has no members; the other's key is nowhere */
    put_bomb(), bad++;
    put_array_that_breaks_off(), good++, bad++;
    put_good(10), good += 10;
    put_large(true), good++;
    put_large(false), bad++;
    put_good(10), good += 10;
    for (int i = 0; i < 300; i++)
        put(leat_slice_from("more of that")), bad++;
    put_good(1), good++;
    worker = test_fleet_spawn(&fleet, "w1", NULL);
    ck_assert_msg(test_fleet_wait_for(&fleet, "SELECT count(*) FROM leat.failures", bad, soon()),
                  "%lld, not %lld",
                  (long long)test_fleet_number(&fleet, "SELECT count(*) FROM leat.failures"),
                  (long long)bad);
    ck_assert(test_fleet_wait_for(&fleet, "SELECT coalesce(sum(count), 0)::int8 FROM rollup", good,
                                  soon()));
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT sum(count)::int8 FROM rollup"), good);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.failures"), bad);
    ck_assert_int_eq(count_archived(), bad);
    ck_failures("bad_aggregate_index", 1);
    ck_failures("expansion_limit", 1);
    ck_failures("bad_json_array", 1);
    ck_failures("failed", bad - 3);
    ck_assert_int_eq(test_fleet_number(&fleet,
                                       "SELECT count(*) FROM leat.failures WHERE times <> 1 "
                                       "OR length(reason_text) < 10 OR attempts <> 1"),
                     0);
    test_worker_kill(&worker, SIGTERM);
    ck_assert_int_eq(test_worker_wait(&worker, NULL), 0);
    test_worker_log(&worker, &log);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&log), "leat failures ls"));
    ck_assert_msg(count_lines(leat_buf_text(&log), "") < 25, "%s", leat_buf_text(&log));
}
END_TEST

/* ---- many in one --------------------------------------------------------------------------------- */

/* [a,a,…b,b,…] as one compressed record. */
static void
put_array(const char *first, int first_count, const char *second, int second_count)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    LEAT_AUTO_BUF array = LEAT_BUF_INIT;

    for (int i = 0; i < first_count + second_count; i++)
        leat_buf_printf(&text, "%c%s", i == 0 ? '[' : ',', i < first_count ? first : second);
    leat_buf_add_byte(&text, ']');
    add_gzip(leat_buf_slice(&text), &array);
    put(leat_buf_slice(&array));
}

#define GOOD "{\"device_id\":1,\"time\":\"2022-01-01 00:00:01\",\"measurement\":\"t\",\"value\":1}"

static void
ck_reaches(const char *sql, int64_t wanted)
{
    ck_assert_msg(test_fleet_wait_for(&fleet, sql, wanted, soon()), "%s: %lld, not %lld", sql,
                  (long long)test_fleet_number(&fleet, sql), (long long)wanted);
    ck_assert_int_eq(test_fleet_number(&fleet, sql), wanted);
}

static const char *const batches[] = {"10000", "700", "1"};

/* A hundred bytes that expand to 32,701 elements: one letter, and the processor goes on. So it does with most of an array. */
START_TEST(a_record_of_many_failures_is_one_letter)
{
    LEAT_AUTO_BUF yaml = LEAT_BUF_INIT;
    const bool is_single = strcmp(batches[_i], "1") == 0;
    int64_t good = 0, whole = 0, single = 0;

    leat_buf_printf(
        &yaml,
        "processors: [{ name: rollup, plugin: rollup, batch: { records: %s }, target: { "
        "plugin: postgres } }]\n",
        batches[_i]);
    begin(leat_buf_text(&yaml));
    put_good(10), good += 10;
    put_array("0", 32701, "", 0), whole++;
    put_good(10), good += 10;
    put_array(GOOD, 9, "0", 20), whole++;
    put_array(GOOD, 20, "0", 9), good += 20, single += 9; /* most are good */
    put_array("0", 9, "", 0), single += 9;                /* few */
    if (is_single) /* one at a time: those before the tenth failure, or the half, stand alone */
        single += 10 + 10, good += 9;
    put_good(10), good += 10;
    worker = test_fleet_spawn(&fleet, "w1", NULL);
    ck_reaches("SELECT coalesce(sum(count), 0)::int8 FROM rollup", good);
    ck_reaches("SELECT count(*) FROM leat.failures WHERE reason = 'most_elements'", whole);
    ck_reaches("SELECT count(*) FROM leat.failures WHERE reason = 'failed'", single);
    ck_reaches("SELECT count(*) FROM leat.failures", whole + single);
    ck_assert(!test_worker_says(&worker, "stopped", leat_clock_monotonic_us()));
    /* Byte for byte: what lies there expands again. */
    free(test_fleet_shell(&fleet,
                          "grep -l most_elements -r $DIR/archive | head -1 | xargs cat | "
                          "grep -o '\"data_base64\":\"[^\"]*' | cut -d'\"' -f4 | base64 -d | "
                          "gzip -t"));
    test_worker_kill(&worker, SIGTERM);
    ck_assert_int_eq(test_worker_wait(&worker, NULL), 0);
}
END_TEST

START_TEST(more_elements_than_may_be_are_one_letter)
{
    begin("processors: [{ name: rollup, plugin: rollup, expand: { elements: 100 }, target: { "
          "plugin: postgres } }]\n");
    put_array(GOOD, 100, "", 0);
    put_array(GOOD, 101, "", 0);
    worker = test_fleet_spawn(&fleet, "w1", NULL);
    ck_reaches("SELECT coalesce(sum(count), 0)::int8 FROM rollup", 100);
    ck_reaches("SELECT count(*) FROM leat.failures WHERE reason = 'expansion_limit'", 1);
    test_worker_kill(&worker, SIGTERM);
    ck_assert_int_eq(test_worker_wait(&worker, NULL), 0);
}
END_TEST

/* ---- an aggregate across a split ------------------------------------------------------------------ */

static void
add_kpl_field(struct leat_buf *out, unsigned char number, struct leat_slice bytes)
{
    leat_buf_add_byte(out, (unsigned char)(number << 3 | 2));
    for (size_t size = bytes.size; size > 0 || bytes.size == 0; size >>= 7) {
        leat_buf_add_byte(out, (unsigned char)((size & 0x7F) | (size >= 0x80 ? 0x80 : 0)));
        if (size < 0x80)
            break;
    }
    leat_buf_add_slice(out, bytes);
}

/* One user record of each of the two shards (explicit hash keys 0 and 2^128 - 1), under one partition key, in the first shard. */
static void
put_across(const char *partition_key, struct leat_slice data)
{
    LEAT_AUTO_BUF message = LEAT_BUF_INIT;
    LEAT_AUTO_BUF aggregate = LEAT_BUF_INIT;
    struct leat_error err;

    add_kpl_field(&message, 1, leat_slice_from(partition_key));
    add_kpl_field(&message, 2, leat_slice_from("0"));
    add_kpl_field(&message, 2, leat_slice_from("340282366920938463463374607431768211455"));
    for (unsigned char hash = 0; hash < 2; hash++) {
        LEAT_AUTO_BUF record = LEAT_BUF_INIT;

        leat_buf_add(&record, (unsigned char[]){1 << 3, 0, 2 << 3, hash}, 4);
        add_kpl_field(&record, 3, data);
        add_kpl_field(&message, 3, leat_buf_slice(&record));
    }
    seal_kpl(leat_buf_slice(&message), &aggregate);
    ck_assert_int_eq(leat_local_kinesis_put(fleet.kinesis, TEST_FLEET_STREAM,
                                            leat_slice_from("container"), leat_slice_from("0"),
                                            leat_buf_slice(&aggregate), NULL, &err),
                     0);
}

static const struct {
    const char *word;
    int64_t good, letters;
} outsides[] = {{"keep_in_range", 1, 1}, {"drop_aggregate", 0, 0}, {"keep_all", 2, 0}};

START_TEST(an_aggregate_across_a_split_as_configured)
{
    LEAT_AUTO_BUF yaml = LEAT_BUF_INIT;

    leat_buf_printf(&yaml,
                    "processors: [{ name: rollup, plugin: rollup, expand: { outside_hash_range: %s "
                    "}, target: { plugin: postgres } }]\n",
                    outsides[_i].word);
    begin(leat_buf_text(&yaml));
    put_across("key", leat_slice_from(GOOD));
    put_good(1);
    worker = test_fleet_spawn(&fleet, "w1", NULL);
    ck_reaches("SELECT coalesce(sum(count), 0)::int8 FROM rollup", outsides[_i].good + 1);
    ck_reaches("SELECT count(*) FROM leat.failures WHERE reason = 'outside_hash_range'",
               outsides[_i].letters);
    test_worker_kill(&worker, SIGTERM);
    ck_assert_int_eq(test_worker_wait(&worker, NULL), 0);
}
END_TEST

/* ---- keys that no dead-letter stream takes -------------------------------------------------------- */

#define FIFTY "01234567890123456789012345678901234567890123456789"

/* A key of 300 letters, one that is no text, and an ordinary letter behind them: each lies in the dead-letter stream. */
START_TEST(a_letter_with_a_key_that_is_none_arrives)
{
    struct leat_error err;

    begin("dead_letters: { stream: letters }\n" ROLLUP);
    ck_assert_int_eq(leat_local_kinesis_create_stream(fleet.kinesis, "letters", 1, &err), 0);
    put_across(FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY, leat_slice_from("bad"));
    put_across("\xff\xfe\n", leat_slice_from("bad"));
    put(leat_slice_from("bad"));
    worker = test_fleet_spawn(&fleet, "w1", NULL);
    ck_reaches("SELECT count(*) FROM leat.failures WHERE dead_letter_position IS NOT NULL", 5);
    ck_reaches("SELECT count(*) FROM leat.failures WHERE length(partition_key) = 300", 2);
    test_worker_kill(&worker, SIGTERM);
    ck_assert_int_eq(test_worker_wait(&worker, NULL), 0);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_bad_input");
    TCase *tests = tcase_create("bad_input");
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_loop_test(tests, a_start_that_fails_says_why, 0,
                        test_cases((int)LEAT_COUNT_OF(starts), 3));
    tcase_add_test(tests, bad_records_are_diverted_by_name);
    tcase_add_loop_test(tests, a_record_of_many_failures_is_one_letter, 0,
                        (int)LEAT_COUNT_OF(batches));
    tcase_add_test(tests, more_elements_than_may_be_are_one_letter);
    tcase_add_loop_test(tests, an_aggregate_across_a_split_as_configured, 0,
                        (int)LEAT_COUNT_OF(outsides));
    tcase_add_test(tests, a_letter_with_a_key_that_is_none_arrives);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
