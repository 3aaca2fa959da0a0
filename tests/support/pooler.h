/*
 * A private PgBouncer in transaction mode on loopback, before a Postgres of the tests. As user postgres when we are root, which
 * PgBouncer refuses to be. Ends with this process, however that ends.
 */
#ifndef LEAT_TESTS_POOLER_H
#define LEAT_TESTS_POOLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct test_pooler {
    char directory[64]; /* its own, under /tmp */
    uint16_t port;
    pid_t pid;
};

/* False: there is no pgbouncer here: the test skips itself. */
bool test_pooler_is_there(void);
/* server: "host=… port=…" of what it stands before. pool_size: server connections per database. more: lines of its configuration.
   Aborts when it does not start. */
void test_pooler_start(struct test_pooler *pooler, const char *server, unsigned pool_size,
                       const char *more);
/* Ends the process (SIGKILL), as when its host goes; and starts it again on the same port. */
void test_pooler_kill(struct test_pooler *pooler);
void test_pooler_again(struct test_pooler *pooler);
void test_pooler_end(struct test_pooler *pooler); /* more than once is fine */

#endif
