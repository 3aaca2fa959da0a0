/*
 * A TCP proxy of the tests between workers and a Postgres: on a free port of loopback, to a server's Unix socket. On demand it cuts
 * what is open, refuses what is new, stalls (connections stay, nothing passes, as when a cable is pulled), or swallows answers
 * (what was sent arrives, what comes back does not, then the connection is cut: "the server applied it, nobody heard").
 *
 * Threads: one of its own; the functions may be called from any thread.
 */
#ifndef LEAT_TESTS_PROXY_H
#define LEAT_TESTS_PROXY_H

#include <stdint.h>

struct test_proxy;

enum test_proxy_mode {
    TEST_PROXY_PASS = 0,
    TEST_PROXY_REFUSE = 1, /* new connections are closed at once; open ones stay: see cut */
    TEST_PROXY_STALL =
        2, /* nothing passes in either direction; new ones are accepted and stall, too */
    TEST_PROXY_SWALLOW =
        3 /* requests pass, answers do not, and the first one cuts its connection */
};

/* socket_path: "…/.s.PGSQL.5432". Aborts the program when it cannot listen. */
struct test_proxy *test_proxy_start(const char *socket_path);
void test_proxy_stop(struct test_proxy *proxy); /* NULL is fine */
uint16_t test_proxy_port(const struct test_proxy *proxy);
/* From the next byte on. */
void test_proxy_set_mode(struct test_proxy *proxy, enum test_proxy_mode mode);
/* Closes (with a reset) all that is open now. */
void test_proxy_cut(struct test_proxy *proxy);
/* Where new connections go from now on: for failovers. */
void test_proxy_retarget(struct test_proxy *proxy, const char *socket_path);
/* Connections that are open now. */
unsigned test_proxy_connections(struct test_proxy *proxy);

#endif
