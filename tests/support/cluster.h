/*
 * Private Postgres clusters of the tests: several at a time, with standbys, backups, crashes and promotions. Each on a Unix socket
 * in a directory of its own, as user postgres when we are root, a child of this process that ends with it, however that ends.
 * What goes wrong ends the program with a line that says so.
 *
 * Failover with loss: start a primary, copy it into a standby and start that; later stop the standby, let the primary commit some
 * more, crash it, start the standby and promote it.
 */
#ifndef LEAT_TESTS_CLUSTER_H
#define LEAT_TESTS_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct test_cluster {
    char directory[96]; /* its socket and log; the cluster is in data/ */
    pid_t pid;          /* 0: does not run */
};

/* A new, empty cluster, not started. parent: a directory; settings: more lines of postgresql.conf, "" for none. */
void test_cluster_make(struct test_cluster *cluster, const char *parent, const char *name,
                       const char *settings);
/* A copy of a running one: a standby that follows it, or a backup to be started as a primary of its own. */
void test_cluster_copy(struct test_cluster *cluster, const char *parent, const char *name,
                       const struct test_cluster *from, bool is_standby);
/* Its data again as `backup` has it (a stopped cluster's); both are stopped. */
void test_cluster_restore(struct test_cluster *cluster, const struct test_cluster *backup);
/* Waits until it answers. */
void test_cluster_start(struct test_cluster *cluster);
/* SIGINT: fast; SIGQUIT: immediate, as a crash; SIGKILL: of every process. Waits until all have gone. */
void test_cluster_stop(struct test_cluster *cluster, int signal_number);
/* A stopped one, from its next start on: as an old primary that came back as a standby. */
void test_cluster_read_only(const struct test_cluster *cluster);
/* A standby becomes a primary; waits until it is one. */
void test_cluster_promote(struct test_cluster *cluster);
/* "host=DIR user=postgres dbname=NAME" */
void test_cluster_url(const struct test_cluster *cluster, const char *database, char *out,
                      size_t room);
/* For test_proxy_start. */
void test_cluster_socket(const struct test_cluster *cluster, char *out, size_t room);
/* SQL in the database "postgres" or another one, outside of a transaction. */
void test_cluster_sql(const struct test_cluster *cluster, const char *database, const char *sql);
/* Stops it, removes everything. A struct of zeroes is fine. */
void test_cluster_end(struct test_cluster *cluster);

#endif
