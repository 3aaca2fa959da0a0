/*
 * A whole worker's inside in this program: a file as its stream, one processor, its target in Postgres, an archive beside the
 * file. For tests that ask what comes out of the other end.
 */
#ifndef TESTS_SUPPORT_ONE_WORKER_H
#define TESTS_SUPPORT_ONE_WORKER_H

#include "base/arena.h"
#include "pipeline/pipeline.h"

struct test_one_worker_options {
    const char *url;  /* leases and target */
    const char *file; /* one record a line */
    const char *directory;
    const struct leat_processor *processor;
    size_t batch_records;
    int64_t flush_rows; /* -1: auto */
};

struct test_one_worker {
    struct leat_memory *memory;
    struct leat_fetcher *fetcher;
    struct leat_source *source;
    struct leat_streams *streams;
    struct leat_archive *archive;
    struct leat_letters *letters;
    struct leat_arena arena;
    struct leat_options options;
    struct leat_pipeline_processor configured;
    struct leat_pipeline *pipeline;
    struct leat_lease_manager *leases;
};

/* Aborts the test where something cannot be opened. */
void test_one_worker_start(struct test_one_worker *worker,
                           const struct test_one_worker_options *options);
/* True: every record is done before the deadline (monotonic µs). */
bool test_one_worker_wait(struct test_one_worker *worker, int64_t deadline_us);
void test_one_worker_stop(struct test_one_worker *worker);

#endif
