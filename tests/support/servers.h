/*
 * Kinesis and S3 servers that are not ours, to be compared with: npm's of tests/servers (tools/deps --test installs them) and
 * Debian's Swift. Each runs in a folder of its own on free ports of loopback, and ends with this process. Main thread only.
 */
#ifndef LEAT_TESTS_SERVERS_H
#define LEAT_TESTS_SERVERS_H

#include <stdbool.h>
#include <sys/types.h>

enum foreign_kind {
    FOREIGN_KINESIS_LOCAL = 0,
    FOREIGN_KINESALITE = 1,
    FOREIGN_S3RVER = 2,
    FOREIGN_SWIFT = 3,
    FOREIGN_KINDS = 4
};

struct foreign_server {
    enum foreign_kind kind;
    pid_t pid; /* 0: not started */
    unsigned port;
    char directory[64];
    char endpoint[64];
    bool is_installed; /* so it has to run */
    char reason[200];  /* why it is not there; "": it is */
};

/* Starts it and does not wait. false: it is not installed here, or LEAT_TEST_SLOW leaves it out; `reason` says what is missing. */
bool foreign_server_start(struct foreign_server *server, enum foreign_kind kind);
/* Waits until it answers; false (with `reason`, its log on stderr): it did not, which is a failure. Nothing without a start. */
bool foreign_server_wait(struct foreign_server *server);
void foreign_server_stop(struct foreign_server *server);

struct SRunner;
struct interop {
    unsigned skipped,
        broken; /* scenarios of servers that are not installed; servers that do not run */
    char why[600];
};
/* Puts a server into the count, if it does not answer: so many scenarios are not run. */
void interop_miss(struct interop *interop, const struct foreign_server *server, unsigned scenarios);
/* Runs the suites; closes with the failures, `N passed, N failed, N skipped` and why. Frees the runner; the exit code. */
int interop_run(const struct interop *interop, struct SRunner *runner);

#endif
