/* The event loop: timers, posted calls, calls; dead connections, cut answers, aborts, time-outs. */
#include <check.h>
#include <stdlib.h>

#include "aws/http.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "support/patience.h"
#include "tests/support/canned_http.h"

static struct canned_http *server;
static struct leat_event_loop *loop;

struct told {
    bool is_done;
    int result, status;
    bool is_aborted;
    struct leat_error err;
    struct leat_buf body;
    char content_type[64];
    int64_t date_us, content_length, retry_after_us;
    size_t refuse_above; /* the sink aborts beyond this; 0: never */
    bool refuse_head;
};

static int
on_head(void *context, int status, int64_t content_length)
{
    struct told *told = context;

    told->status = status;
    told->content_length = content_length;
    return told->refuse_head ? -1 : 0;
}

static int
on_bytes(void *context, const void *bytes, size_t size)
{
    struct told *told = context;

    leat_buf_add(&told->body, bytes, size);
    return told->refuse_above > 0 && told->body.size > told->refuse_above ? -1 : 0;
}

static void
on_done(void *context, const struct leat_http_answer *answer)
{
    struct told *told = context;

    ck_assert(!told->is_done);
    told->is_done = true;
    told->result = answer->result;
    told->status = answer->status;
    told->is_aborted = answer->is_aborted;
    told->err = answer->err;
    told->date_us = answer->date_us;
    told->retry_after_us = answer->retry_after_us;
    ck_assert_uint_eq(answer->body_bytes, told->body.size);
    snprintf(told->content_type, sizeof told->content_type, "%.*s", (int)answer->content_type.size,
             (const char *)answer->content_type.data);
}

static struct leat_http_call *
start(const char *url, struct told *told, int64_t timeout_us)
{
    static const char *const headers[] = {"x-first: 1", "content-type: text/plain"};
    struct leat_http_request request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .header_count = 2,
        .body = leat_slice_from("question"),
        .timeout_us = timeout_us,
        .head = on_head,
        .sink = on_bytes,
        .done = on_done,
        .context = told,
    };

    memset(told, 0, (char *)&told->refuse_above - (char *)told);
    leat_buf_init(&told->body, SIZE_MAX);
    return leat_http_start(loop, &request);
}

static void
finish(struct told *told)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (!told->is_done && leat_clock_monotonic_us() < deadline_us)
        leat_event_loop_run_once(loop, deadline_us);
    ck_assert(told->is_done);
}

static void
setup(void)
{
    server = canned_http_new();
    loop = leat_event_loop_new(NULL, NULL);
    ck_assert_ptr_nonnull(loop);
}

static void
teardown(void)
{
    leat_event_loop_free(loop);
    canned_http_free(server);
}

START_TEST(answers)
{
    struct told told = {0};

    canned_http_answer(server, 200,
                       "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: a/b\r\n"
                       "Retry-After: 3\r\n",
                       leat_slice_from("answer"));
    start(canned_http_url(server), &told, 0);
    ck_assert(!told.is_done);
    finish(&told);
    ck_assert_int_eq(told.result, 0);
    ck_assert_int_eq(told.status, 200);
    ck_assert_str_eq(leat_buf_text(&told.body), "answer");
    ck_assert_str_eq(told.content_type, "a/b");
    ck_assert_int_eq(told.content_length, 6);
    ck_assert_int_eq(told.date_us, INT64_C(784111777) * 1000000);
    ck_assert_int_eq(told.retry_after_us, 3000000);
    ck_assert_ptr_nonnull(strstr(canned_http_request(server, 0), "x-first: 1\r\n"));
    ck_assert_ptr_null(strcasestr(canned_http_request(server, 0), "expect"));
    ck_assert(leat_slice_is(canned_http_body(server, 0), "question"));
    leat_buf_release(&told.body);
}
END_TEST

/* The server closes an idle connection as the next request arrives: nobody is told. */
START_TEST(dead_connection_is_retried_once)
{
    struct told told = {0};

    canned_http_answer(server, 200, "", leat_slice_from("1"));
    canned_http_add(server, leat_slice_from(""), CANNED_CLOSE);
    canned_http_answer(server, 200, "", leat_slice_from("2"));
    start(canned_http_url(server), &told, 0);
    finish(&told);
    leat_buf_release(&told.body);
    start(canned_http_url(server), &told, 0);
    finish(&told);
    ck_assert_int_eq(told.result, 0);
    ck_assert_str_eq(leat_buf_text(&told.body), "2");
    ck_assert_uint_eq(canned_http_count(server), 3);
    ck_assert_uint_eq(canned_http_connections(server), 2);
    leat_buf_release(&told.body);
}
END_TEST

/* A fresh connection that dies, and an answer that is cut, are errors. */
START_TEST(lost_answers)
{
    struct told told = {0};

    canned_http_add(server, leat_slice_from(""), CANNED_CLOSE);
    start(canned_http_url(server), &told, 0);
    finish(&told);
    ck_assert_int_eq(told.result, LEAT_E_UNAVAILABLE);
    ck_assert(told.err.is_retryable);
    ck_assert_uint_eq(canned_http_count(server), 1);
    canned_http_add(server, leat_slice_from("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
                    CANNED_CLOSE);
    start(canned_http_url(server), &told, 0);
    finish(&told);
    ck_assert_int_eq(told.result, LEAT_E_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(told.err.text, canned_http_url(server) + 7));
    ck_assert_uint_eq(canned_http_count(server), 2);
    leat_buf_release(&told.body);
}
END_TEST

START_TEST(aborts)
{
    struct told told = {.refuse_above = 3};

    canned_http_answer(server, 200, "", leat_slice_from("abcdef"));
    start(canned_http_url(server), &told, 0);
    finish(&told);
    ck_assert_int_eq(told.result, LEAT_E_LIMIT);
    ck_assert(told.is_aborted);
    leat_buf_release(&told.body);
    told = (struct told){.refuse_head = true};
    canned_http_answer(server, 200, "", leat_slice_from("abcdef"));
    start(canned_http_url(server), &told, 0);
    finish(&told);
    ck_assert(told.is_aborted);
    ck_assert_int_eq(told.content_length, 6);
    ck_assert_uint_eq(told.body.size, 0);
}
END_TEST

START_TEST(times_out)
{
    struct told told = {0};

    canned_http_add(server, leat_slice_from(""), CANNED_SILENT);
    start(canned_http_url(server), &told, 50 * LEAT_MS_US);
    finish(&told);
    ck_assert_int_eq(told.result, LEAT_E_TIMEOUT);
    ck_assert(told.err.is_retryable);
}
END_TEST

START_TEST(refused_connection_is_named)
{
    struct told told = {0};
    char url[64];

    snprintf(url, sizeof url, "%s", canned_http_url(server));
    canned_http_free(server);
    start(url, &told, 0);
    finish(&told);
    ck_assert_int_eq(told.result, LEAT_E_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(told.err.text, url + 7));
    ck_assert_ptr_nonnull(strstr(told.err.text, "could not connect"));
    server = canned_http_new();
}
END_TEST

START_TEST(cancelled_call_tells_nothing)
{
    struct told told = {0};
    struct leat_http_call *call;

    canned_http_add(server, leat_slice_from(""), CANNED_SILENT);
    call = start(canned_http_url(server), &told, 0);
    leat_event_loop_run_once(loop, leat_clock_monotonic_us() + 20 * LEAT_MS_US);
    leat_http_cancel(call);
    leat_event_loop_run_once(loop, leat_clock_monotonic_us() + 20 * LEAT_MS_US);
    ck_assert(!told.is_done);
    start(canned_http_url(server), &told, 0); /* left to leat_event_loop_free */
}
END_TEST

static char order[32];

static void
add_to_order(void *context)
{
    size_t used = strlen(order);

    snprintf(order + used, sizeof order - used, "%s", (const char *)context);
}

START_TEST(timers)
{
    int64_t now_us = leat_clock_monotonic_us();
    struct leat_loop_timer *never, *handles[50];

    order[0] = '\0';
    leat_event_loop_timer(loop, now_us + 20 * LEAT_MS_US, add_to_order, (void *)"c");
    never = leat_event_loop_timer(loop, now_us + 5 * LEAT_MS_US, add_to_order, (void *)"x");
    leat_event_loop_timer(loop, now_us, add_to_order, (void *)"a");
    leat_event_loop_timer(loop, now_us, add_to_order, (void *)"b");
    for (size_t i = 0; i < 50; i++)
        handles[i] = leat_event_loop_timer(loop, now_us + (int64_t)(i * 7919 % 50) * LEAT_MS_US,
                                           add_to_order, (void *)"y");
    leat_loop_timer_cancel(loop, never);
    for (size_t i = 0; i < 50; i++)
        leat_loop_timer_cancel(loop, handles[i * 31 % 50]);
    while (strlen(order) < 3 && leat_clock_monotonic_us() < now_us + PATIENCE_US)
        leat_event_loop_run_once(loop, now_us + PATIENCE_US);
    ck_assert_str_eq(order, "abc");
    ck_assert(leat_clock_monotonic_us() >= now_us + 20 * LEAT_MS_US);
}
END_TEST

static void
post_from_elsewhere(void *context)
{
    leat_event_loop_post(context, add_to_order, (void *)"p");
    leat_event_loop_post(context, add_to_order, (void *)"q");
}

START_TEST(posts_wake_the_loop)
{
    struct leat_thread thread = {0};
    int64_t now_us = leat_clock_monotonic_us();

    order[0] = '\0';
    ck_assert_int_eq(leat_thread_start(&thread, "poster", post_from_elsewhere, loop, NULL), 0);
    while (strlen(order) < 2 && leat_clock_monotonic_us() < now_us + PATIENCE_US)
        leat_event_loop_run_once(loop, now_us + PATIENCE_US);
    leat_thread_join(&thread);
    ck_assert_str_eq(order, "pq");
    ck_assert(leat_clock_monotonic_us() < now_us + PATIENCE_US);
}
END_TEST

START_TEST(dates)
{
    ck_assert_int_eq(leat_http_date_parse(leat_slice_from("Sun, 06 Nov 1994 08:49:37 GMT")),
                     INT64_C(784111777) * 1000000);
    ck_assert_int_eq(leat_http_date_parse(leat_slice_from("yesterday")), 0);
    ck_assert_int_eq(leat_http_date_parse(leat_slice_from("")), 0);
    ck_assert_int_eq(leat_http_date_parse(leat_slice_from("31 Dec 9999 23:59:59 GMT")),
                     INT64_C(253402300799) * 1000000);
    ck_assert_int_eq(leat_http_date_parse(leat_slice_from("01 Jan 10000 00:00:00 GMT")), 0);
    /* Found by the fuzzer: its µs are more than 64 bits hold. */
    ck_assert_int_eq(leat_http_date_parse(leat_slice_from("2000209Feb9")), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("http");
    TCase *tests = tcase_create("http");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, answers);
    tcase_add_test(tests, dead_connection_is_retried_once);
    tcase_add_test(tests, lost_answers);
    tcase_add_test(tests, aborts);
    tcase_add_test(tests, times_out);
    tcase_add_test(tests, refused_connection_is_named);
    tcase_add_test(tests, cancelled_call_tells_nothing);
    tcase_add_test(tests, timers);
    tcase_add_test(tests, posts_wake_the_loop);
    tcase_add_test(tests, dates);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
