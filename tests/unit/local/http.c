/* The little HTTP server: what a handler sees, answers of all kinds, and each damage as a client on a bare socket feels it. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/memory.h"
#include "local/http.h"
#include "support/patience.h"

static struct leat_local_http *http;
static struct leat_local_http_fault fault;
static struct leat_buf seen; /* the last request, as text */
static size_t answer_bytes;
static atomic_int released;

static void
count_release(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

static void
handle(void *context, const struct leat_local_request *request, struct leat_local_answer *answer)
{
    static unsigned char shared[] = "shared";
    struct leat_slice value = leat_slice_from("-");

    leat_buf_clear(&seen);
    leat_local_http_find(request, "X-Some", &value);
    leat_buf_printf(&seen, "%.*s|%.*s|%.*s|%.*s|%.*s", (int)request->method.size,
                    (const char *)request->method.data, (int)request->path.size,
                    (const char *)request->path.data, (int)request->query.size,
                    (const char *)request->query.data, (int)value.size, (const char *)value.data,
                    (int)request->body_size, (const char *)request->body);
    answer->fault = fault;
    if (leat_slice_is(request->path, "/late"))
        answer->fault = (struct leat_local_http_fault){.delay_us = 60 * LEAT_SECOND_US};
    if (leat_slice_is(request->path, "/quick"))
        answer->fault = (struct leat_local_http_fault){0};
    if (leat_slice_is(request->path, "/shared")) {
        answer->shared = leat_slice_make(shared, 6);
        answer->release = count_release;
        answer->release_context = &released;
        return;
    }
    if (leat_slice_is(request->path, "/empty")) {
        answer->status = 503;
        return;
    }
    leat_local_http_header(answer, "X-Number", "%d", 7);
    for (size_t i = 0; i < answer_bytes; i++)
        leat_buf_add_byte(&answer->body, (unsigned char)('a' + i % 26));
}

static int64_t
fixed_now(void *context)
{
    return INT64_C(1440938160) * 1000000; /* Sun, 30 Aug 2015 12:36:00 */
}

static void
setup(void)
{
    struct leat_local_http_options options = {
        .handle = handle, .now_us = fixed_now, .maximum_body_bytes = 100000};
    struct leat_error err;

    leat_buf_init(&seen, SIZE_MAX);
    fault = (struct leat_local_http_fault){.cut_bytes = SIZE_MAX};
    answer_bytes = 10;
    atomic_store(&released, 0);
    http = leat_local_http_start(&options, &err);
    ck_assert_msg(http != NULL, "%s", err.text);
}

static void
teardown(void)
{
    leat_local_http_stop(http);
    leat_buf_release(&seen);
}

static int
dial(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(leat_local_http_port(http)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void
say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads until this many bytes of body, the end or an error came; returns recv's last result with errno. */
static ssize_t
hear(int fd, struct leat_buf *out, size_t body_bytes)
{
    for (;;) {
        char piece[4096];
        const char *text = leat_buf_text(out), *body = strstr(text, "\r\n\r\n");
        struct pollfd wait = {fd, POLLIN, 0};
        ssize_t size;

        if (body != NULL && strlen(body + 4) >= body_bytes)
            return 1;
        ck_assert_int_eq(poll(&wait, 1, 5000), 1);
        size = recv(fd, piece, sizeof piece, 0);
        if (size <= 0)
            return size;
        leat_buf_add(out, piece, (size_t)size);
    }
}

START_TEST(a_request_is_seen_whole_and_answered)
{
    LEAT_AUTO_BUF heard = LEAT_BUF_INIT;
    int fd = dial();

    say(fd,
        "PUT /a%2Fb/%20?x=%31&y HTTP/1.1\r\nHost: localhost\r\nx-some:  v w \r\nContent-Length: "
        "5\r\n\r\n12");
    say(fd, "345");
    ck_assert_int_eq(hear(fd, &heard, 10), 1);
    ck_assert_str_eq(leat_buf_text(&seen), "PUT|/a%2Fb/%20|x=%31&y|v w|12345");
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&heard), "HTTP/1.1 200 OK\r\n"));
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&heard), "X-Number: 7\r\n"));
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&heard), "Date: Sun, 30 Aug 2015 12:36:00 GMT\r\n"));
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&heard), "\r\n\r\nabcdefghij"));
    /* Again on the same connection. */
    leat_buf_clear(&heard);
    say(fd, "GET /shared HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert_int_eq(hear(fd, &heard, 6), 1);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&heard), "\r\n\r\nshared"));
    leat_buf_clear(&heard);
    say(fd, "GET /empty HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert_int_eq(hear(fd, &heard, 0), 1);
    ck_assert_int_eq(atomic_load(&released), 1);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&heard), "HTTP/1.1 503 "));
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&heard), "Content-Length: 0\r\n"));
    ck_assert_uint_eq(leat_local_http_connections(http), 1);
    close(fd);
}
END_TEST

START_TEST(a_body_above_the_limit_is_not_handed_on)
{
    LEAT_AUTO_BUF heard = LEAT_BUF_INIT;
    LEAT_AUTO_FREE char *body = leat_alloc(200001);
    int fd = dial();

    memset(body, 'x', 200000);
    body[200000] = '\0';
    say(fd, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n");
    say(fd, body);
    ck_assert_int_eq(hear(fd, &heard, 0), 1);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&heard), "HTTP/1.1 413 "));
    ck_assert_uint_eq(seen.size, 0);
    close(fd);
}
END_TEST

START_TEST(a_cut_answer_promises_more_than_it_sends)
{
    LEAT_AUTO_BUF heard = LEAT_BUF_INIT;
    int fd = dial();

    fault.damage = LEAT_LOCAL_DAMAGE_CUT;
    say(fd, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert_int_eq(hear(fd, &heard, 10), 0);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&heard), "Content-Length: 10\r\n"));
    ck_assert_str_eq(strstr(leat_buf_text(&heard), "\r\n\r\n"), "\r\n\r\nabcde");
    close(fd);
}
END_TEST

START_TEST(a_reset_comes_instead_of_an_answer)
{
    LEAT_AUTO_BUF heard = LEAT_BUF_INIT;
    int fd = dial();

    fault.damage = LEAT_LOCAL_DAMAGE_RESET;
    say(fd, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert_int_eq(hear(fd, &heard, 1), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    ck_assert_uint_eq(heard.size, 0);
    close(fd);
}
END_TEST

START_TEST(a_stale_connection_dies_at_the_next_request)
{
    LEAT_AUTO_BUF heard = LEAT_BUF_INIT;
    int fd = dial();
    struct pollfd wait = {fd, POLLIN, 0};

    fault.damage = LEAT_LOCAL_DAMAGE_STALE;
    say(fd, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert_int_eq(hear(fd, &heard, 10), 1);
    ck_assert_int_eq(poll(&wait, 1, 50), 0); /* looks alive */
    leat_buf_clear(&seen);
    leat_buf_clear(&heard);
    say(fd, "GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert_int_eq(hear(fd, &heard, 1), -1);
    ck_assert_uint_eq(seen.size, 0);
    close(fd);
}
END_TEST

START_TEST(slow_bytes_and_delays_hold_up_nobody_else)
{
    LEAT_AUTO_BUF slow = LEAT_BUF_INIT, quick = LEAT_BUF_INIT;
    int64_t began_us = leat_clock_monotonic_us();
    int first = dial(), second = dial(), third = dial();

    fault.damage = LEAT_LOCAL_DAMAGE_SLOW;
    fault.step_bytes = 2;
    fault.step_us = 200000; /* 10 bytes: four waits */
    say(first, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert_int_eq(hear(first, &slow, 2), 1);
    say(second, "GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert_int_eq(poll(&(struct pollfd){second, POLLIN, 0}, 1, 20), 0);
    say(third, "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert_int_eq(hear(third, &quick, 10), 1);
    ck_assert_ptr_null(strstr(leat_buf_text(&slow), "abcdefghij")); /* the slow one goes on */
    ck_assert_int_eq(recv(first, &(char[10]){0}, 10, MSG_PEEK | MSG_DONTWAIT) < 8, 1);
    ck_assert_int_eq(hear(first, &slow, 10), 1);
    ck_assert_int_ge(leat_clock_monotonic_us() - began_us, 700000);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&slow), "\r\n\r\nabcdefghij"));
    close(first);
    close(second);
    close(third);
}
END_TEST

START_TEST(a_server_stops_in_the_middle_of_waits)
{
    int first = dial(), second = dial();
    int64_t began_us = leat_clock_monotonic_us();

    fault.delay_us = 2 * PATIENCE_US;
    say(first, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    say(second, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert_int_eq(poll(&(struct pollfd){first, POLLIN, 0}, 1, 50), 0);
    leat_local_http_stop(http);
    http = NULL;
    ck_assert_int_lt(leat_clock_monotonic_us() - began_us, PATIENCE_US);
    close(first);
    close(second);
}
END_TEST

static const struct {
    const char *headers;
    bool is_let_in;
} visitors[] = {
    {"Host: 127.0.0.1:4567\r\n", true},
    {"Host: LOCALHOST\r\n", true},
    {"Host: [::1]:1\r\n", true},
    {"Host: 127.0.0.1\r\nOrigin: http://localhost:3000\r\n", true},
    {"Host: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\n", true},
    {"Host: evil.example:4567\r\n", false},
    {"Host: localhost.evil.example\r\n", false},
    {"Host: 127.0.0.1.evil.example\r\n", false},
    {"Host: 127.0.0.1\r\nOrigin: https://evil.example\r\n", false},
    {"Host: 127.0.0.1\r\nOrigin: http://localhost.evil.example\r\n", false},
    {"Host: 127.0.0.1\r\nOrigin: null\r\n", false},
    {"Host: 127.0.0.1\r\nORIGIN: file://\r\n", false},
    {"Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n", false},
};

/* A browser's page on this machine is not a program of it. */
START_TEST(pages_of_others_are_refused)
{
    char request[300], answer[300] = "";
    int fd = dial();

    snprintf(request, sizeof request, "POST /shared HTTP/1.1\r\n%sContent-Length: 0\r\n\r\n",
             visitors[_i].headers);
    say(fd, request);
    ck_assert_int_gt(read(fd, answer, sizeof answer - 1), 0);
    ck_assert_msg((strstr(answer, "HTTP/1.1 403 ") == NULL) == visitors[_i].is_let_in, "%s%s",
                  request, answer);
    close(fd);
}
END_TEST

START_TEST(a_taken_port_is_an_error)
{
    struct leat_local_http_options options = {.handle = handle, .port = leat_local_http_port(http)};
    struct leat_error err;

    ck_assert_ptr_null(leat_local_http_start(&options, &err));
    ck_assert_int_eq(err.code, LEAT_E_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, "in use"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("local/http");
    TCase *tests = tcase_create("http");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_request_is_seen_whole_and_answered);
    tcase_add_test(tests, a_body_above_the_limit_is_not_handed_on);
    tcase_add_test(tests, a_cut_answer_promises_more_than_it_sends);
    tcase_add_test(tests, a_reset_comes_instead_of_an_answer);
    tcase_add_test(tests, a_stale_connection_dies_at_the_next_request);
    tcase_add_test(tests, slow_bytes_and_delays_hold_up_nobody_else);
    tcase_add_test(tests, a_server_stops_in_the_middle_of_waits);
    tcase_add_test(tests, a_taken_port_is_an_error);
    tcase_add_loop_test(tests, pages_of_others_are_refused, 0, (int)LEAT_COUNT_OF(visitors));
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
