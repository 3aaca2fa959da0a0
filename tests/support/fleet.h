/*
 * Real workers against a private Postgres and our own Kinesis (in this process): for chaos, benchmarks and tests of the whole.
 * What goes wrong ends the program with a line that says so; everything ends with this process, however that ends.
 */
#ifndef LEAT_TESTS_FLEET_H
#define LEAT_TESTS_FLEET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <leat/slice.h>

#include "base/buf.h"
#include "local/kinesis.h"
#include "postgres/connection.h"

#define TEST_FLEET_STREAM "events"

struct test_fleet {
    char directory[64]; /* its own, under /tmp; removed at the end */
    char config[96], url[240];
    struct leat_local_postgres *postgres;  /* NULL: options.database, options.url */
    struct leat_local_kinesis *kinesis;    /* NULL: options.endpoint is somebody else's */
    struct leat_pg_connection *connection; /* of this thread */
    const char *streams; /* the YAML of the configuration's list; NULL: [events] */
    int worker_cpu;      /* workers run there alone; -1: anywhere */
};

struct test_fleet_options {
    unsigned shards;
    size_t stream_bytes;  /* what the stream may keep; 0: 1 GiB */
    const char *endpoint; /* a Kinesis that runs already; NULL: one is started */
    const char *
        database; /* a new one of support/postgres.h's server; NULL: a server of its own; "": none */
    const char *url; /* somebody else's database, as it is; NULL: as above */
    const struct leat_local_issuer
        *issuer; /* of keys that are good at the Kinesis that is started */
};

struct test_worker {
    char id[32], log[96];
    pid_t pid;
    int64_t spawned_at_us; /* monotonic */
};

void test_fleet_start(struct test_fleet *fleet, const struct test_fleet_options *options);
/* Writes the configuration: application, database, endpoints, stream and archive are given; `rest` is the YAML of processors
   and what else is wanted. Migrates the database and makes the processors' tables. */
void test_fleet_configure(struct test_fleet *fleet, const char *rest);
/* The configuration alone, again: the next worker's. */
void test_fleet_reconfigure(struct test_fleet *fleet, const char *rest);
/* Before its struct goes; at an exit() before that by itself. */
void test_fleet_end(struct test_fleet *fleet);

/* `leat worker -c … --set worker_id=ID` and more arguments (NULL-ended; NULL: none). */
struct test_worker test_fleet_spawn(struct test_fleet *fleet, const char *id,
                                    const char *const *arguments);
/* The same, and how many µs later it read for the first time; ten seconds: it did not. */
int64_t test_fleet_spawn_and_read(struct test_fleet *fleet, const char *id,
                                  struct test_worker *ret_worker);
void test_worker_kill(const struct test_worker *worker, int signal_number);
/* Waits for its end; the exit status as of waitpid. ret_usage may be NULL. */
int test_worker_wait(struct test_worker *worker, struct rusage *ret_usage);
/* True when the log has this text by the deadline (monotonic µs). */
bool test_worker_says(const struct test_worker *worker, const char *text, int64_t deadline_us);
/* True when it is stopped (SIGSTOP, or a point's) by the deadline. */
bool test_worker_is_stopped(const struct test_worker *worker, int64_t deadline_us);
/* All that it wrote so far: appended. */
void test_worker_log(const struct test_worker *worker, struct leat_buf *out);
int64_t test_worker_rss_bytes(const struct test_worker *worker);

void test_fleet_sql(struct test_fleet *fleet, const char *sql);
/*
 * From now on the table `committed` (processor, stream_id, shard, lease_owner) says who has committed to each shard last. Needs
 * leat's tables: after test_fleet_configure().
 */
void test_fleet_note_commits(struct test_fleet *fleet);
/* In SQL: was the shard of this row of leat.progress committed by who took it last? */
#define TEST_FLEET_IS_COMMITTED(p)                                                                 \
    "EXISTS (SELECT FROM public.committed c WHERE (c.processor, c.stream_id, c.shard, "            \
    "c.lease_owner) = (" p ".processor, " p ".stream_id, " p ".shard, " p ".lease_owner))"
/* A server of its own alone: ends it, and starts it again with what it had. */
void test_fleet_stop_postgres(struct test_fleet *fleet);
void test_fleet_start_postgres(struct test_fleet *fleet);
int64_t test_fleet_number(struct test_fleet *fleet, const char *sql);
/* Asks each 2 ms until the number is at least that; false: the deadline passed. */
bool test_fleet_wait_for(struct test_fleet *fleet, const char *sql, int64_t wanted,
                         int64_t deadline_us);
/* True when so many records, of all streams since its start, have left our Kinesis by the deadline. */
bool test_fleet_wait_for_reads(struct test_fleet *fleet, uint64_t records, int64_t deadline_us);
/* Leases, workers and progress to standard error: what a test that failed shows. */
void test_fleet_dump(struct test_fleet *fleet);
void test_fleet_put(struct test_fleet *fleet, struct leat_slice partition_key,
                    struct leat_slice data);
/* One record of each of the keys key-0 … : "PHASE 0" …, so that what was put when is told from its data. */
void test_fleet_put_phase(struct test_fleet *fleet, char phase, int keys);
void test_fleet_split(struct test_fleet *fleet, const char *shard);
/* Runs a command line in a shell with $LEAT and $DIR set; its standard output is the caller's (free). */
char *test_fleet_shell(struct test_fleet *fleet, const char *command);

#endif
