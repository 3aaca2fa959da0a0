/*
 * A fleet with its leases in one private cluster and its target in another, each behind a proxy: for outages, failovers and
 * restored backups. The test itself asks the servers directly, whatever the proxies do. Failures are Check's; one at a time.
 */
#ifndef LEAT_TESTS_TWO_DATABASES_H
#define LEAT_TESTS_TWO_DATABASES_H

#include "support/cluster.h"
#include "support/fleet.h"
#include "support/proxy.h"
#include "support/steady.h"

#define TEST_TWO_WORKERS 4
#define TEST_TWO_EXPIRY_US (1500 * 1000) /* leases.expiry of its workers */

struct test_two {
    char parent[64];
    struct test_cluster lease, target;             /* who is the primary now */
    struct test_cluster lease_other, target_other; /* standbys, backups, old primaries */
    struct test_proxy *lease_proxy, *target_proxy;
    char lease_url[240], target_url[240]; /* as the workers know them */
    char lease_file[80], target_file[80]; /* TEST_TWO_FILES: where they read them */
    char stream_file[80], streams[160];   /* file_lines */
    struct test_fleet fleet;              /* its connection: the lease database, directly */
    struct leat_pg_connection *target_connection;
    struct test_steady steady;
    struct test_worker workers[TEST_TWO_WORKERS];
    unsigned worker_count;
};

/* How workers find the servers. */
enum test_two_reach {
    TEST_TWO_PROXIES = 0,
    TEST_TWO_HOSTS = 1, /* by URLs that name the primary and the other one */
    TEST_TWO_FILES = 2  /* by files with the URL of the primary: test_two_write_files */
};

struct test_two_options {
    unsigned shards, workers;
    const char *target_settings; /* more of postgresql.conf; NULL: none */
    bool has_role; /* workers are "worker", who owns leat's tables and is no superuser */
    bool has_standbys;
    enum test_two_reach reach;
    unsigned
        file_lines; /* the stream is a file of so many records, with an end, instead; 0: it is not */
};

/* Everything: servers, stream, workers, the steady put. */
void test_two_start(struct test_two *two, const struct test_two_options *options);
void test_two_spawn(struct test_two *two);
void test_two_end(struct test_two *two);
/* The files name who is the primary now. */
void test_two_write_files(struct test_two *two);
/* The test's own connections, again: to whoever is the primary. */
void test_two_look(struct test_two *two);

int64_t test_two_target_number(struct test_two *two, const char *sql);
/* Waits (a minute) until that many more records than now are in the target. */
void ck_two_flows(struct test_two *two, int64_t more);
/* Waits (a minute) until the target says at least that. */
void ck_two_target_reaches(struct test_two *two, const char *sql, int64_t wanted);
void ck_two_lease_reaches(struct test_two *two, const char *sql, int64_t wanted);
/* Any worker, or all of them, said so by now, or does within a minute. */
void ck_two_says(struct test_two *two, const char *text);
void ck_two_all_say(struct test_two *two, const char *text);
/* How often that stands in all their logs. */
unsigned test_two_count_said(struct test_two *two, const char *text);
/* Waits until all that was put is there, once and in order, nothing diverted; then SIGTERM ends each worker well. */
void ck_two_all_right(struct test_two *two);

/* Stops following, lets the primary commit for that long what will be lost, crashes it, promotes the standby. The proxy leads
   there from then on. */
void test_two_fail_over(struct test_two *two, bool is_lease, int64_t lost_us);

#endif
