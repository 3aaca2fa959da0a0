/*
 * /metrics of real workers: what is printed is what docs/metrics.md says and the other way round; each count stands at the
 * processor and stream that it is of, and adds up to what was put; nothing that counts goes back when a shard, a stream or a
 * processor goes; the page stays small with many streams, and whole while the worker ends.
 */
#include <curl/curl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "producer/gzip_json.h"
#include "support/exposition.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

#define OTHER "other"
#define LEASES "leases: { heartbeat: 300ms, expiry: 1500ms, sync_interval: 1s }\n"
#define COUNTING(name, streams)                                                                    \
    "  - { name: " name ", plugin: %s/badplugins/counting.so, streams: " streams                   \
    ", target: { plugin: postgres } }\n"
#define PRINT                                                                                      \
    "  - { name: print, plugin: print, streams: [" OTHER "], target: { plugin: postgres } }\n"

static struct test_fleet fleet;
static struct test_worker workers[2];
static struct test_page page;

/* ---- streams ----------------------------------------------------------------------------------- */

static void
create(const char *stream, unsigned shards)
{
    struct leat_error err;

    ck_assert_msg(leat_local_kinesis_create_stream(fleet.kinesis, stream, shards, &err) == 0, "%s",
                  err.text);
}

static void
put(const char *stream, const char *data, int count)
{
    struct leat_error err;
    char key[24];

    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        ck_assert_msg(leat_local_kinesis_put(fleet.kinesis, stream, leat_slice_from(key),
                                             leat_slice_from(""), leat_slice_from(data), NULL,
                                             &err) == 0,
                      "%s", err.text);
    }
}

/* One record of the stream, three of the user's. */
static void
put_array(const char *stream)
{
    struct leat_gzip_json array;
    LEAT_AUTO_BUF sealed = LEAT_BUF_INIT;
    struct leat_error err;

    leat_gzip_json_init(&array, 10000);
    for (int i = 0; i < 3; i++)
        ck_assert(leat_gzip_json_add(&array, leat_slice_from("{\"good\": 1}")));
    leat_gzip_json_seal(&array, &sealed);
    leat_gzip_json_release(&array);
    ck_assert_int_eq(leat_local_kinesis_put(fleet.kinesis, stream, leat_slice_from("key"),
                                            leat_slice_from(""), leat_buf_slice(&sealed), NULL,
                                            &err),
                     0);
}

/* ---- a worker's page ------------------------------------------------------------------------------- */

static int64_t
soon(void)
{
    return leat_clock_monotonic_us() + PATIENCE_US;
}

static void
address(int worker, char *ret_url, size_t size)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    const char *port;

    ck_assert(test_worker_says(&workers[worker], "\"http_port\":", soon()));
    test_worker_log(&workers[worker], &log);
    port = strstr(leat_buf_text(&log), "\"http_port\":") + strlen("\"http_port\":");
    snprintf(ret_url, size, "http://127.0.0.1:%ld", strtol(port, NULL, 10));
}

static char *
ask(int worker, const char *options, const char *path)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;
    char url[64];

    address(worker, url, sizeof url);
    leat_buf_printf(&command, "curl -s %s %s%s", options, url, path);
    return test_fleet_shell(&fleet, leat_buf_text(&command));
}

static void
scrape(int worker, struct test_page *ret_page)
{
    LEAT_AUTO_FREE char *text = ask(worker, "", "/metrics");

    test_page_release(ret_page);
    test_page_parse(ret_page, text);
}

static void
show(int worker)
{
    LEAT_AUTO_FREE char *text = ask(worker, "", "/metrics | grep -v '^#' | grep -v _bucket");
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;

    test_worker_log(&workers[worker], &log);
    fprintf(stderr, "%s\n%s\n", text, leat_buf_text(&log));
}

static double
sum(const char *name, const char *const *labels)
{
    return test_page_sum(&page, name, labels);
}

static void
ck_becomes(int worker, const char *name, const char *const *labels, double wanted)
{
    int64_t deadline_us = soon();

    do
        scrape(worker, &page);
    while (sum(name, labels) != wanted && leat_clock_monotonic_us() < deadline_us);
    if (sum(name, labels) != wanted)
        show(worker);
    ck_assert_msg(sum(name, labels) == wanted, "%s{%s%s} is %g, not %g", name,
                  labels[0] != NULL ? labels[0] : "",
                  labels[0] != NULL && labels[1] != NULL ? labels[1] : "", sum(name, labels),
                  wanted);
}

/* A page that has so many samples of it. */
static void
ck_has(int worker, const char *name, size_t wanted)
{
    int64_t deadline_us = soon();

    do
        scrape(worker, &page);
    while (test_page_samples(&page, name, TEST_ALL) != wanted &&
           leat_clock_monotonic_us() < deadline_us);
    if (test_page_samples(&page, name, TEST_ALL) != wanted)
        show(worker);
    ck_assert_uint_eq(test_page_samples(&page, name, TEST_ALL), wanted);
}

static void
ck_is(const char *name, const char *processor, const char *stream, double wanted)
{
    char labels[2][80];
    double value;

    snprintf(labels[0], sizeof labels[0], "processor=\"%s\"", processor);
    snprintf(labels[1], sizeof labels[1], "stream=\"%s\"", stream);
    value = sum(name, TEST_LABELS(labels[0], labels[1]));
    if (value != wanted)
        show(0);
    ck_assert_msg(value == wanted, "%s{%s,%s} is %g, not %g", name, labels[0], labels[1], value,
                  wanted);
}

/* ---- a test's life ----------------------------------------------------------------------------------- */

static void
configure(const char *processors)
{
    LEAT_AUTO_BUF yaml = LEAT_BUF_INIT;
    const char *build = getenv("LEAT_BUILD");

    leat_buf_add_text(&yaml, LEASES "processors:\n");
    for (const char *at = processors, *next; *at != '\0'; at = next) {
        next = strstr(at, "%s");
        leat_buf_add(&yaml, at, next != NULL ? (size_t)(next - at) : strlen(at));
        if (next != NULL)
            leat_buf_add_text(&yaml, build != NULL ? build : "build/test");
        next = next != NULL ? next + 2 : at + strlen(at);
    }
    test_fleet_configure(&fleet, leat_buf_text(&yaml));
}

static void
setup(void)
{
    struct test_fleet_options options = {.shards = 2};
    char name[40];

    snprintf(name, sizeof name, "metrics_%d", (int)getpid());
    options.database = name;
    memset(workers, 0, sizeof workers);
    test_fleet_start(&fleet, &options);
}

static void
teardown(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    test_page_release(&page);
    test_fleet_end(&fleet);
}

static void
start_worker(int index, const char *const *arguments)
{
    workers[index] = test_fleet_spawn(&fleet, index == 0 ? "w1" : "w2", arguments);
}

static void
end_worker(int index)
{
    int status;

    test_worker_kill(&workers[index], SIGTERM);
    status = test_worker_wait(&workers[index], NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

/* Two counting processors and one that writes rows; each record of "other" is read by two of the three. */
static void
begin(void)
{
    create(OTHER, 1);
    fleet.streams = TEST_FLEET_STREAM ", " OTHER;
    configure(COUNTING("a", "[]") COUNTING("b", "[" TEST_FLEET_STREAM "]") PRINT);
    put(TEST_FLEET_STREAM, "good", 37);
    put(TEST_FLEET_STREAM, "bad", 3);
    put(OTHER, "good", 24);
    put_array(OTHER);
    start_worker(0, NULL);
    ck_becomes(0, "leat_records_committed_total", TEST_ALL, 2 * 40 + 2 * 27);
    /* A page is written line by line: what went before the last commit is on one that began after it. And a shard that is read to
       the tip says so when it has heard of its commit. */
    ck_has(0, "leat_lag_seconds", 6);
}

/* ---- the numbers ------------------------------------------------------------------------------------- */

START_TEST(each_count_stands_where_it_belongs)
{
    begin();
    for (int i = 0; i < 2; i++) {
        const char *processor = i == 0 ? "a" : "b";

        ck_is("leat_records_total", processor, TEST_FLEET_STREAM, 40);
        ck_is("leat_stream_records_total", processor, TEST_FLEET_STREAM, 40);
        ck_is("leat_bytes_total", processor, TEST_FLEET_STREAM, 37 * 4 + 3 * 3);
        ck_is("leat_records_committed_total", processor, TEST_FLEET_STREAM, 40);
        ck_is("leat_diverted_total", processor, TEST_FLEET_STREAM, 3);
    }
    ck_is("leat_records_total", "a", OTHER, 27);
    ck_is("leat_stream_records_total", "a", OTHER, 25);
    ck_is("leat_diverted_total", "a", OTHER, 0);
    ck_is("leat_records_total", "print", OTHER, 27);
    ck_is("leat_rows_emitted_total", "print", OTHER, 27);
    ck_assert_double_eq(sum("leat_rows_written_total", TEST_LABELS("processor=\"print\"")), 27);
    ck_assert_double_eq(sum("leat_letters_archived_total", TEST_ALL), 6);
    /* What it does not read is not there, not 0. */
    ck_assert_uint_eq(test_page_samples(&page, "leat_records_total", TEST_ALL), 4);
    ck_assert_uint_eq(test_page_samples(&page, "leat_end_to_end_seconds_count", TEST_ALL), 4);
    ck_assert_double_ge(sum("leat_end_to_end_seconds_count", TEST_LABELS("stream=\"" OTHER "\"")),
                        2);
    ck_assert_double_eq(sum("leat_commit_seconds_count", TEST_ALL),
                        sum("leat_flushes_total", TEST_ALL));
    /* Each of the two that read it reads it. */
    ck_assert_double_eq(
        sum("leat_read_records_total", TEST_LABELS("stream=\"" TEST_FLEET_STREAM "\"")), 80);
    ck_assert_double_eq(sum("leat_read_records_total", TEST_LABELS("stream=\"" OTHER "\"")), 50);
    ck_assert_double_eq(sum("leat_consumers", TEST_ALL), 6);
    ck_assert_double_eq(sum("leat_shard_states", TEST_LABELS("state=\"running\"")), 6);
    ck_assert_uint_eq(test_page_samples(&page, "leat_progress_age_seconds", TEST_ALL), 6);
    ck_assert_uint_eq(test_page_samples(&page, "leat_stream_lag_seconds", TEST_ALL), 4);
    ck_assert_double_gt(sum("leat_retention_headroom_seconds", TEST_ALL), 4 * 86000.0);
    ck_assert_double_le(sum("leat_retention_headroom_seconds", TEST_ALL), 4 * 86400.0);
    end_worker(0);
}
END_TEST

START_TEST(what_plugins_count_is_on_the_page)
{
    begin();
    ck_assert_double_eq(sum("leat_plugin_seen_total", TEST_LABELS("processor=\"a\"")), 67);
    ck_assert_double_eq(sum("leat_plugin_seen_total", TEST_LABELS("processor=\"b\"")), 40);
    ck_assert_str_eq(test_page_family(&page, "leat_plugin_seen_total")->type, "counter");
    ck_assert_str_eq(test_page_family(&page, "leat_plugin_calls_total")->type, "counter");
    ck_assert_str_eq(test_page_family(&page, "leat_plugin_endless")->type, "gauge");
    ck_assert_uint_eq(test_page_samples(&page, "leat_plugin_not_a_number", TEST_ALL), 2);
    /* A counter of this name and a gauge: one of them, for each of the two processors. */
    ck_assert_str_eq(test_page_family(&page, "leat_plugin_both_total")->type, "untyped");
    ck_assert_uint_eq(test_page_samples(&page, "leat_plugin_both_total", TEST_ALL), 2);
    ck_assert_ptr_null(test_page_family(&page, "leat_plugin_no"));
    end_worker(0);
}
END_TEST

/* ---- the page and the table ------------------------------------------------------------------------------ */

/* A line of the table: | `name` | type | labels | … */
struct told {
    char name[80], type[20], labels[80];
};

static void
trim(char *text)
{
    size_t from = strspn(text, " "), size = strlen(text);

    while (size > from && text[size - 1] == ' ')
        size--;
    memmove(text, text + from, size - from);
    text[size - from] = '\0';
}

static struct told *
read_table(size_t *ret_count)
{
    LEAT_AUTO_FREE char *text = test_fleet_shell(&fleet, "$LEAT metrics");
    struct told *told = NULL;
    size_t count = 0, capacity = 0;
    char *rest = text, *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        struct told item = {0};

        if (sscanf(line, "| `%79[^`]` | %19[a-z] |%79[a-z, ]|", item.name, item.type,
                   item.labels) != 3)
            continue;
        trim(item.labels);
        LEAT_GROW(told, count, capacity);
        told[count++] = item;
    }
    *ret_count = count;
    return told;
}

/* The labels' names as the table has them: "processor, stream". */
static void
names_of(const struct test_sample *sample, char *ret_names, size_t size)
{
    const char *at = sample->labels;
    size_t used = 0;

    ret_names[0] = '\0';
    while (*at != '\0') {
        int length = (int)strcspn(at, "=");

        if (strncmp(at, "le=", 3) != 0)
            used += (size_t)snprintf(ret_names + used, size - used, "%s%.*s", used > 0 ? ", " : "",
                                     length, at);
        at = strchr(at, '"') + 1;
        for (; *at != '"'; at++)
            at += *at == '\\';
        at += at[1] == ',' ? 2 : 1;
    }
}

static void
ck_told(const struct test_family *family, const struct told *told, size_t count)
{
    char names[80];

    for (size_t i = 0; i < count; i++) {
        if (strcmp(told[i].name, family->name) != 0)
            continue;
        ck_assert_msg(strcmp(told[i].type, family->type) == 0, "%s is a %s", family->name,
                      family->type);
        ck_assert_msg(family->count > 0, "%s has no sample", family->name);
        for (size_t n = 0; n < family->count; n++) {
            names_of(&family->samples[n], names, sizeof names);
            ck_assert_msg(strcmp(names, told[i].labels) == 0, "%s has labels %s, not %s",
                          family->name, names, told[i].labels);
        }
        return;
    }
    ck_assert_msg(strncmp(family->name, "leat_plugin_", 12) == 0, "%s is in no table",
                  family->name);
}

START_TEST(the_page_is_what_the_table_says)
{
    struct told *told;
    size_t count;

    begin();
    told = read_table(&count);
    ck_assert_uint_gt(count, 50);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(test_page_family(&page, told[i].name) != NULL, "%s is told and not printed",
                      told[i].name);
    for (size_t i = 0; i < page.count; i++)
        ck_told(&page.families[i], told, count);
    free(told);
    end_worker(0);
}
END_TEST

START_TEST(scrapers_are_told_the_format)
{
    LEAT_AUTO_FREE char *head = NULL, *refused = NULL;

    begin();
    head = ask(0, "-I", "/metrics");
    ck_assert_msg(strncmp(head, "HTTP/1.1 200", 12) == 0, "%s", head);
    ck_assert_msg(
        strcasestr(head, "\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n") != NULL,
        "%s", head);
    ck_assert_ptr_nonnull(strcasestr(head, "\nContent-Length: "));
    refused = ask(0, "-o /dev/null -w '%{http_code}' -X DELETE", "/metrics");
    ck_assert_str_eq(refused, "405");
    end_worker(0);
}
END_TEST

/* ---- nothing goes back ------------------------------------------------------------------------------------- */

START_TEST(what_goes_away_stays_counted)
{
    struct test_page before = {0};
    struct leat_error err;

    begin();
    scrape(0, &before);
    /* A second worker takes shards, and dies. */
    start_worker(1, NULL);
    ck_becomes(0, "leat_leases_owned", TEST_ALL, 2);
    scrape(0, &page);
    test_page_ck_grew(&before, &page);
    free(test_fleet_shell(&fleet, "$LEAT processors pause b -c $DIR/leat.yaml"));
    ck_becomes(0, "leat_processor_paused", TEST_LABELS("processor=\"b\""), 1);
    test_worker_kill(&workers[1], SIGKILL);
    ck_assert_int_eq(leat_local_kinesis_delete_stream(fleet.kinesis, OTHER, &err), 0);
    ck_becomes(0, "leat_streams", TEST_ALL, 1);
    ck_becomes(0, "leat_shard_states", TEST_LABELS("stream=\"" OTHER "\""), 0);
    ck_becomes(0, "leat_shard_states", TEST_LABELS("stream=\"" TEST_FLEET_STREAM "\""), 4);
    ck_becomes(0, "leat_shard_states", TEST_LABELS("state=\"paused\""), 2);
    test_page_ck_grew(&before, &page);
    /* What is now is of what is there. */
    ck_assert_uint_eq(
        test_page_samples(&page, "leat_lag_seconds", TEST_LABELS("stream=\"" OTHER "\"")), 0);
    ck_assert_uint_eq(
        test_page_samples(&page, "leat_shard_states", TEST_LABELS("stream=\"" OTHER "\"")), 0);
    ck_is("leat_records_total", "b", TEST_FLEET_STREAM, 40);
    ck_assert_uint_eq(test_page_samples(&page, "leat_records_total", TEST_ALL), 4);
    end_worker(0);
    test_page_release(&before);
}
END_TEST

/* ---- many streams ------------------------------------------------------------------------------------------- */

#define MANY 9

START_TEST(many_streams_do_not_make_a_long_page)
{
    char name[24];

    for (int i = 1; i < MANY; i++) {
        snprintf(name, sizeof name, "stream-%d", i);
        create(name, 1);
        put(name, "good", i);
    }
    put(TEST_FLEET_STREAM, "good", 10);
    fleet.streams = "\"*\"";
    configure(COUNTING("a", "[]") COUNTING("b", "[]"));
    start_worker(0, (const char *[]){"--set", "http.metrics_streams=3", "--set",
                                     "http.metrics_shards=5", NULL});
    ck_becomes(0, "leat_records_committed_total", TEST_ALL, 2 * (10 + (MANY - 1) * MANY / 2));
    ck_becomes(0, "leat_consumers", TEST_ALL, 2 * (MANY + 1));
    ck_has(0, "leat_stream_lag_seconds", 2 * (3 + 1));
    ck_has(0, "leat_lag_seconds", 5);
    ck_assert_uint_eq(test_page_samples(&page, "leat_records_total", TEST_ALL), 2 * (3 + 1));
    ck_assert_uint_eq(
        test_page_samples(&page, "leat_records_total", TEST_LABELS("stream=\"(other)\"")), 2);
    ck_assert_uint_eq(test_page_samples(&page, "leat_reads_total", TEST_ALL), 3 + 1);
    ck_assert_uint_eq(test_page_samples(&page, "leat_stream_lag_seconds", TEST_ALL), 2 * (3 + 1));
    ck_assert_double_eq(sum("leat_shard_states", TEST_ALL), 2 * (MANY + 1));
    ck_assert_uint_eq(test_page_samples(&page, "leat_progress_age_seconds", TEST_ALL), 5);
    end_worker(0);
    start_worker(1, (const char *[]){"--set", "http.metrics_streams=0", "--set",
                                     "http.metrics_shards=0", NULL});
    ck_becomes(1, "leat_consumers", TEST_ALL, 2 * (MANY + 1));
    ck_assert_uint_eq(test_page_samples(&page, "leat_records_total", TEST_ALL), 2);
    ck_assert_uint_eq(test_page_samples(&page, "leat_lag_seconds", TEST_ALL), 0);
    end_worker(1);
}
END_TEST

/* ---- while it ends ------------------------------------------------------------------------------------------- */

static struct {
    struct leat_thread thread;
    char url[80];
    _Atomic bool is_stopping;
    _Atomic int answers;
    struct leat_buf last; /* the last whole answer */
} scraper;

static size_t
collect(char *data, size_t size, size_t count, void *context)
{
    leat_buf_add(context, data, size * count);
    return size * count;
}

static void
scrape_on(void *context)
{
    CURL *curl = curl_easy_init();
    LEAT_AUTO_BUF answer = LEAT_BUF_INIT;

    curl_easy_setopt(curl, CURLOPT_URL, scraper.url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(PATIENCE_US / 1000));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    while (!scraper.is_stopping) {
        leat_buf_clear(&answer);
        if (curl_easy_perform(curl) != CURLE_OK)
            continue;
        scraper.answers++;
        leat_buf_clear(&scraper.last);
        leat_buf_add_slice(&scraper.last, leat_buf_slice(&answer));
    }
    curl_easy_cleanup(curl);
}

START_TEST(a_page_is_whole_while_the_worker_ends)
{
    char url[64];
    struct leat_error err;

    begin();
    address(0, url, sizeof url);
    memset(&scraper, 0, sizeof scraper);
    leat_buf_init(&scraper.last, SIZE_MAX);
    snprintf(scraper.url, sizeof scraper.url, "%s/metrics", url);
    ck_assert_int_eq(leat_thread_start(&scraper.thread, "scrape", scrape_on, NULL, &err), 0);
    put(TEST_FLEET_STREAM, "good", 200);
    while (scraper.answers < 5)
        sched_yield();
    end_worker(0);
    scraper.is_stopping = true;
    leat_thread_join(&scraper.thread);
    test_page_release(&page);
    test_page_parse(&page, leat_buf_text(&scraper.last));
    leat_buf_release(&scraper.last);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fleet_metrics");
    TCase *tests = tcase_create("metrics");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, each_count_stands_where_it_belongs);
    tcase_add_test(tests, what_plugins_count_is_on_the_page);
    tcase_add_test(tests, the_page_is_what_the_table_says);
    tcase_add_test(tests, scrapers_are_told_the_format);
    tcase_add_test(tests, what_goes_away_stays_counted);
    tcase_add_test(tests, many_streams_do_not_make_a_long_page);
    tcase_add_test(tests, a_page_is_whole_while_the_worker_ends);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
