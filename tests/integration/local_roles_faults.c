/* The local roles servers at fault: each fault as a client feels it, how calls are counted, and requests of scripts. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"
#include "support/patience.h"
#include "support/roles_client.h"

/* ---- faults -------------------------------------------------------------------------------------- */

static void
fault(struct leat_local_roles_fault fault)
{
    leat_local_roles_clear_faults(roles_server);
    leat_local_roles_fault(roles_server, &fault);
}

/* One call of each endpoint that gives credentials: web identity, container, instance. */
static void
ask_endpoint(int which, struct reply *reply)
{
    struct wish wishes[] = {roles_sts(WEB TOKEN, NULL),
                            {.method = "GET",
                             .path = LEAT_LOCAL_CONTAINER_PATH,
                             .headers = {"Authorization: raw token"}},
                            {.method = "GET", .path = LIST "reader"}};
    char token[160];

    if (which == 2) {
        roles_get_metadata_token(TTL "60", token, sizeof token);
        wishes[2].headers[0] = token;
    }
    roles_ask(&wishes[which], reply);
}

static const char *const endpoint_actions[] = {"AssumeRoleWithWebIdentity", "Container",
                                               "MetadataCredentials"};

static const char *const types[] = {"Content-Type: text/xml", "Content-Type: application/json",
                                    "Content-Type: text/plain"};

/* The faults that answer something else, or spoil the answer. false: it is none of them. */
static bool
check_spoiled(enum leat_local_roles_fault_kind kind, int which, struct reply *reply)
{
    const char *body = leat_buf_text(&reply->body);

    switch (kind) {
    case LEAT_LOCAL_ROLES_CUT:
        ck_assert_uint_gt(reply->told, reply->body.size);
        ck_assert_uint_gt(reply->body.size, 0);
        return true;
    case LEAT_LOCAL_ROLES_SHORT:
        ck_assert_uint_eq(reply->told, reply->body.size);
        ck_assert_ptr_null(strstr(body, "Expiration"));
        return true;
    case LEAT_LOCAL_ROLES_REDIRECT:
        ck_assert_int_eq(reply->status, 302);
        ck_assert_ptr_nonnull(strcasestr(leat_buf_text(&reply->head), "\r\nlocation: http"));
        ck_assert_uint_eq(reply->body.size, 0);
        return true;
    case LEAT_LOCAL_ROLES_TYPE:
        roles_check_says(reply, 200, "AccessKeyId");
        ck_assert(roles_has_header(reply, "Content-Type: text/html"));
        ck_assert(!roles_has_header(reply, types[which]));
        return true;
    case LEAT_LOCAL_ROLES_PAGE:
        roles_check_says(reply, 200, "<!DOCTYPE html>");
        ck_assert(roles_has_header(reply, "Content-Type: text/html"));
        return true;
    case LEAT_LOCAL_ROLES_BODY:
        ck_assert_int_eq(reply->status, 200);
        ck_assert_uint_eq(reply->body.size, 0);
        ck_assert(roles_has_header(reply, types[which]));
        return true;
    case LEAT_LOCAL_ROLES_HUGE:
        roles_check_says(reply, 200, "AccessKeyId");
        ck_assert_uint_eq(reply->body.size, 10 << 20);
        return true;
    default:
        return false;
    }
}

static void
check_told(enum leat_local_roles_fault_kind kind, int which, struct reply *reply)
{
    static const int throttled[] = {400, 429, 503};
    bool is_instance = which == 2;

    switch (kind) {
    case LEAT_LOCAL_ROLES_REFUSE:
        roles_check_says(reply, 500, is_instance ? "500 - InternalFailure" : "InternalFailure");
        break;
    case LEAT_LOCAL_ROLES_ERROR:
        ck_assert_int_eq(reply->status, 500);
        ck_assert_uint_eq(reply->body.size, 0);
        break;
    case LEAT_LOCAL_ROLES_THROTTLE:
        ck_assert_int_eq(reply->status, throttled[which]);
        break;
    case LEAT_LOCAL_ROLES_RESET:
        ck_assert_int_eq(reply->status, 0);
        break;
    case LEAT_LOCAL_ROLES_CODE:
        roles_check_says(reply, 200,
                         is_instance ? "\"Code\":\"AssumeRoleUnauthorizedAccess\"" : "AccessKeyId");
        break;
    case LEAT_LOCAL_ROLES_LACKING:
        roles_check_says(reply, 200, "AccessKeyId");
        ck_assert_ptr_null(strstr(leat_buf_text(&reply->body), "Expiration"));
        break;
    case LEAT_LOCAL_ROLES_NO_ROLE:
        ck_assert_int_eq(reply->status, is_instance ? 404 : 200);
        break;
    default: /* late, slow, stale, expired: whole all the same */
        roles_check_says(reply, 200, "Expiration");
    }
}

START_TEST(faults_hit_each_endpoint)
{
    for (int kind = 0; kind < LEAT_LOCAL_ROLES_FAULTS; kind++) {
        struct leat_local_roles_fault once = {(enum leat_local_roles_fault_kind)kind,
                                              .action = endpoint_actions[_i], .times = 1};
        AUTO_REPLY reply = {.head = LEAT_BUF_INIT, .body = LEAT_BUF_INIT};
        AUTO_REPLY after = {.head = LEAT_BUF_INIT, .body = LEAT_BUF_INIT};

        if (once.kind == LEAT_LOCAL_ROLES_HANG)
            continue; /* has its own test */
        if (once.kind == LEAT_LOCAL_ROLES_SLOW)
            once.bytes = 50;
        fault(once);
        ask_endpoint(_i, &reply);
        if (!check_spoiled(once.kind, _i, &reply))
            check_told(once.kind, _i, &reply);
        ask_endpoint(_i, &after); /* once was asked for */
        roles_check_says(&after, 200, "AccessKeyId");
    }
}
END_TEST

START_TEST(credentials_that_are_expired_when_they_come)
{
    AUTO_REPLY reply;
    struct given given;
    int64_t at_us;

    fault((struct leat_local_roles_fault){LEAT_LOCAL_ROLES_EXPIRED});
    ask_endpoint(_i, &reply);
    if (_i == 0)
        roles_get_xml(&reply, &given);
    else
        roles_get_json(&reply, &given);
    ck_assert(leat_parse_time(leat_slice_from(given.expiration), &at_us));
    ck_assert_int_lt(at_us, leat_local_roles_now_us(roles_server));
    roles_check_everywhere(&given.credentials, (struct expectation){400, "ExpiredTokenException"},
                           (struct expectation){400, "<Code>ExpiredToken</Code>"},
                           (struct expectation){403, "<Code>ExpiredToken</Code>"});
    leat_credentials_release(&given.credentials);
}
END_TEST

START_TEST(faults_say_what_they_are_told_to)
{
    AUTO_REPLY refused, short_body, body, slow, token, redirected;
    struct wish put = {.method = "PUT", .path = "/latest/api/token", .headers = {TTL "60"}};
    int64_t begin_us;

    fault((struct leat_local_roles_fault){LEAT_LOCAL_ROLES_REFUSE, .status = 400,
                                          .code = "IDPCommunicationError"});
    ask_endpoint(0, &refused);
    roles_check_says(&refused, 400, "<Code>IDPCommunicationError</Code>");
    fault((struct leat_local_roles_fault){LEAT_LOCAL_ROLES_SHORT, .bytes = 3});
    ask_endpoint(1, &short_body);
    ck_assert_uint_eq(short_body.body.size, 3);
    fault((struct leat_local_roles_fault){LEAT_LOCAL_ROLES_BODY, .status = 201, .text = "[1,"});
    ask_endpoint(1, &body);
    ck_assert_int_eq(body.status, 201);
    ck_assert_str_eq(leat_buf_text(&body.body), "[1,");
    fault((struct leat_local_roles_fault){LEAT_LOCAL_ROLES_REDIRECT, .status = 307,
                                          .text = "http://127.0.0.1:1/"});
    ask_endpoint(1, &redirected);
    ck_assert_int_eq(redirected.status, 307);
    ck_assert(roles_has_header(&redirected, "Location: http://127.0.0.1:1/"));
    fault((struct leat_local_roles_fault){LEAT_LOCAL_ROLES_SLOW, .bytes = 100,
                                          .delay_us = 20 * LEAT_MS_US});
    begin_us = leat_clock_real_monotonic_us();
    ask_endpoint(0, &slow);
    roles_check_says(&slow, 200, "</AssumeRoleWithWebIdentityResponse>");
    ck_assert_int_gt(leat_clock_real_monotonic_us() - begin_us, 100 * LEAT_MS_US);
    fault((struct leat_local_roles_fault){LEAT_LOCAL_ROLES_REFUSE, .action = "MetadataToken",
                                          .status = 403, .code = "Forbidden"});
    roles_ask(&put, &token);
    roles_check_says(&token, 403, "403 - Forbidden");
}
END_TEST

START_TEST(faults_count_calls)
{
    static const int wanted[] = {200, 500, 200, 500, 200, 200};

    leat_local_roles_fault(roles_server, &(struct leat_local_roles_fault){
                                             LEAT_LOCAL_ROLES_ERROR, .action = "Container",
                                             .skip = 1, .every = 2, .times = 2});
    for (size_t i = 0; i < LEAT_COUNT_OF(wanted); i++) {
        AUTO_REPLY of_container, of_sts;

        ask_endpoint(1, &of_container);
        ck_assert_int_eq(of_container.status, wanted[i]);
        ask_endpoint(0, &of_sts);
        ck_assert_int_eq(of_sts.status, 200);
    }
}
END_TEST

START_TEST(what_hangs_holds_up_nobody_and_ends_with_the_server)
{
    struct wish wish = roles_sts(WEB TOKEN, NULL);
    struct pollfd wait = {.events = POLLIN};
    AUTO_REPLY other;
    struct reply none;

    fault((struct leat_local_roles_fault){LEAT_LOCAL_ROLES_HANG,
                                          .action = "AssumeRoleWithWebIdentity"});
    wait.fd = roles_send(&wish);
    ask_endpoint(1, &other);
    roles_check_says(&other, 200, "AccessKeyId");
    ck_assert_int_eq(poll(&wait, 1, 300), 0);
    roles_stop();
    roles_receive(wait.fd, &none); /* at once, whatever it is */
    roles_reply_release(&none);
    leat_credentials_release(&roles_ours);
    roles_setup();
}
END_TEST

/* ---- counts -------------------------------------------------------------------------------------- */

#define AT_ONCE 5

START_TEST(calls_that_are_under_way_at_once_are_counted)
{
    struct wish wish = roles_sts(WEB TOKEN, NULL);
    struct leat_local_roles_counts counts;
    int64_t deadline_us = leat_clock_real_monotonic_us() + PATIENCE_US;
    int sockets[AT_ONCE];
    uint64_t calls, most;

    for (int i = 0; i < AT_ONCE; i++) { /* one after the other */
        AUTO_REPLY of_container, of_sts;

        ask_endpoint(1, &of_container);
        ask_endpoint(0, &of_sts);
    }
    leat_local_roles_counts(roles_server, &counts);
    ck_assert_uint_eq(counts.most_under_way, 1);
    fault((struct leat_local_roles_fault){LEAT_LOCAL_ROLES_DELAY, .delay_us = PATIENCE_US});
    for (int i = 0; i < AT_ONCE; i++)
        sockets[i] = roles_send(&wish);
    do {
        leat_local_roles_counts(roles_server, &counts);
        ck_assert_int_lt(leat_clock_real_monotonic_us(), deadline_us);
        poll(NULL, 0, 2);
    } while (counts.under_way < AT_ONCE);
    leat_local_roles_session(roles_server, "worker-1", &calls, &most);
    ck_assert_uint_eq(calls, 2 * AT_ONCE);
    ck_assert_uint_eq(most, AT_ONCE);
    leat_local_roles_session(roles_server, "worker-2", &calls, &most);
    ck_assert_uint_eq(calls + most, 0);
    ck_assert_uint_eq(leat_local_roles_most(roles_server, "AssumeRoleWithWebIdentity"), AT_ONCE);
    ck_assert_uint_eq(leat_local_roles_most(roles_server, "Container"), 1);
    ck_assert_uint_eq(leat_local_roles_calls(roles_server, "AssumeRoleWithWebIdentity"),
                      2 * AT_ONCE);
    ck_assert_uint_eq(leat_local_roles_calls(roles_server, "Container"), AT_ONCE);
    for (int i = 0; i < AT_ONCE; i++)
        close(sockets[i]);
}
END_TEST

/* Answered, cut and reset ones: none stays under way. */
START_TEST(every_call_ends)
{
    static const enum leat_local_roles_fault_kind kinds[] = {
        LEAT_LOCAL_ROLES_CUT,   LEAT_LOCAL_ROLES_RESET, LEAT_LOCAL_ROLES_SLOW,
        LEAT_LOCAL_ROLES_ERROR, LEAT_LOCAL_ROLES_STALE, LEAT_LOCAL_ROLES_DELAY};
    int64_t deadline_us = leat_clock_real_monotonic_us() + PATIENCE_US;
    struct leat_local_roles_counts counts;

    for (size_t i = 0; i < LEAT_COUNT_OF(kinds); i++) {
        AUTO_REPLY of_sts, of_container;

        fault((struct leat_local_roles_fault){kinds[i]});
        ask_endpoint(0, &of_sts);
        ask_endpoint(1, &of_container);
    }
    do {
        leat_local_roles_counts(roles_server, &counts);
        ck_assert_int_lt(leat_clock_real_monotonic_us(), deadline_us);
        poll(NULL, 0, 2);
    } while (counts.under_way > 0);
    ck_assert_uint_eq(counts.calls, 2 * LEAT_COUNT_OF(kinds));
    ck_assert_uint_eq(counts.most_under_way, 1);
}
END_TEST

START_TEST(a_redirect_that_is_followed_is_seen)
{
    struct wish elsewhere = {.method = "GET", .path = "/elsewhere"};
    AUTO_REPLY reply;

    ck_assert_uint_eq(leat_local_roles_calls(roles_server, ""), 0);
    roles_ask(&elsewhere, &reply);
    ck_assert_int_eq(reply.status, 404);
    ck_assert_uint_eq(leat_local_roles_calls(roles_server, ""), 1);
}
END_TEST

/* ---- requests of scripts ------------------------------------------------------------------------- */

START_TEST(scripts_ask_for_faults_and_read_counts)
{
    struct wish arm = {.method = "POST",
                       .path = "/_leat/faults",
                       .body = "[{\"kind\":\"refuse\",\"action\":\"Container\",\"status\":418,"
                               "\"code\":\"Teapot\"},{\"kind\":\"no_role\"}]"};
    struct wish wrong = {.method = "POST",
                         .path = "/_leat/faults",
                         .body = "[{\"kind\":\"throttle\"},{\"kind\":\"nonsense\"}]"};
    struct wish state = {.method = "GET", .path = "/_leat/state"};
    struct wish clear = {.method = "DELETE", .path = "/_leat/faults"};
    struct wish clock = {
        .method = "POST", .path = "/_leat/clock", .body = "{\"shift_ms\":7200000}"};
    struct wish expire = {.method = "POST", .path = "/_leat/expire"};
    struct wish unknown = {.method = "POST", .path = "/_leat/nothing", .body = "{}"};
    int64_t before_us = leat_local_roles_now_us(roles_server);
    AUTO_REPLY armed, hit, said, refused, cleared, well, shifted, expired, not_there;

    roles_ask(&arm, &armed);
    ck_assert_int_eq(armed.status, 200);
    ask_endpoint(1, &hit);
    roles_check_says(&hit, 418, "Teapot");
    roles_ask(&wrong, &refused);
    roles_check_says(&refused, 400, "there is no kind of fault \\\"nonsense\\\"");
    roles_ask(&state, &said);
    roles_check_says(&said, 200, "\"Container\":1");
    roles_check_says(&said, 200,
                     "{\"kind\":\"refuse\",\"action\":\"Container\",\"times\":0,\"seen\":1");
    ck_assert_ptr_null(strstr(leat_buf_text(&said.body), "throttle")); /* all or none */
    roles_ask(&clear, &cleared);
    ask_endpoint(1, &well);
    roles_check_says(&well, 200, "AccessKeyId");
    roles_ask(&clock, &shifted);
    ck_assert_int_ge(leat_local_roles_now_us(roles_server) - before_us, 7200 * LEAT_SECOND_US);
    roles_ask(&expire, &expired);
    ck_assert_int_eq(expired.status, 200);
    roles_ask(&unknown, &not_there);
    ck_assert_int_eq(not_there.status, 404);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("local_roles_faults");
    TCase *tests = tcase_create("local_roles_faults");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, roles_setup, roles_teardown);
    tcase_add_loop_test(tests, faults_hit_each_endpoint, 0, 3);
    tcase_add_loop_test(tests, credentials_that_are_expired_when_they_come, 0, 3);
    tcase_add_test(tests, faults_say_what_they_are_told_to);
    tcase_add_test(tests, faults_count_calls);
    tcase_add_test(tests, what_hangs_holds_up_nobody_and_ends_with_the_server);
    tcase_add_test(tests, calls_that_are_under_way_at_once_are_counted);
    tcase_add_test(tests, every_call_ends);
    tcase_add_test(tests, a_redirect_that_is_followed_is_seen);
    tcase_add_test(tests, scripts_ask_for_faults_and_read_counts);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
