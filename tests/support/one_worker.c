/* Wires the parts as worker/ does, as short as a test wants it. */
#include "support/one_worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "failure/archive.h"
#include "plugin/options.h"
#include "stream/file_source.h"
#include "support/processor.h"

#include <check.h> /* last: it defines a macro `fail` */

static void
tell_option(void *context, int line, int column, const char *text)
{
    ck_abort_msg("%s", text);
}

static void
notice(void *context, enum leat_log_level level, const char *what,
       const struct leat_consumer_view *view, const struct leat_error *why)
{
    if (getenv("LEAT_TEST_VERBOSE") != NULL)
        fprintf(stderr, "%s: %s\n", what, why != NULL ? why->text : "");
}

static void
open_parts(struct test_one_worker *worker, const struct test_one_worker_options *options)
{
    struct leat_fetcher_options fetch = {.idle_us = 20 * LEAT_MS_US};
    struct leat_letters_options letters = {.worker_id = "one"};
    LEAT_AUTO_BUF archive = LEAT_BUF_INIT;
    struct leat_error err;

    worker->memory = leat_memory_new(64 << 20, 1);
    fetch.memory = worker->memory;
    worker->fetcher = leat_fetcher_new(&fetch, &err);
    ck_assert_msg(leat_file_source_open("lines", options->file, false, &worker->source, &err) == 0,
                  "%s", err.text);
    leat_buf_printf(&archive, "file://%s/archive", options->directory);
    ck_assert_msg(leat_archive_open(leat_buf_text(&archive), NULL, &worker->archive, &err) == 0,
                  "%s", err.text);
    letters.archive = worker->archive;
    worker->letters = leat_letters_new(&letters, &err);
    leat_arena_init(&worker->arena);
}

static void
open_pipeline(struct test_one_worker *worker, const struct test_one_worker_options *options)
{
    struct leat_pipeline_options pipeline = {
        .application = "test",
        .memory = worker->memory,
        .rows_budget = 16 << 20,
        .fetcher = worker->fetcher,
        .letters = worker->letters,
        .lease_database_url = options->url,
        .worker_threads = 2,
        .processors = &worker->configured,
        .processor_count = 1,
        .notice = notice,
    };
    struct leat_error err;

    worker->configured = (struct leat_pipeline_processor){
        .name = options->processor->name,
        .plugin = options->processor,
        .target = test_load_target("postgres"),
        .target_options = &worker->options,
        .target_url = options->url,
        .batch_records = options->batch_records,
        .batch_bytes = 4 << 20,
        .batch_deadline_us = 30 * LEAT_SECOND_US,
        .failure = {.retries = 3, .backoff_base_us = 1000, .backoff_cap_us = 10000, .bisect = true},
        .linger_us = 0,
        .flush_rows = options->flush_rows,
        .flush_bytes = 32 << 20,
        .committers = 1,
    };
    ck_assert_int_eq(leat_options_resolve(worker->configured.target->options, NULL, 0,
                                          &worker->arena, tell_option, NULL, &worker->options),
                     0);
    worker->pipeline = leat_pipeline_new(&pipeline, &err);
    ck_assert_msg(worker->pipeline != NULL, "%s", err.text);
}

void
test_one_worker_start(struct test_one_worker *worker, const struct test_one_worker_options *options)
{
    static struct leat_lease_processor registered = {.target_id = "here"};
    static const struct leat_position start = {.kind = LEAT_POSITION_TRIM_HORIZON,
                                               .sub_sequence = -1};
    struct leat_lease_options leases = {
        .database_url = options->url,
        .application = "test",
        .worker_id = "one",
        .heartbeat_us = 200 * LEAT_MS_US,
        .expiry_us = 5 * LEAT_SECOND_US,
        .drain_us = 200 * LEAT_MS_US,
        .force_after_us = 5 * LEAT_SECOND_US,
        .weight = 1,
        .use_notify = true,
        .use_session_lock = true,
        .processors = &registered,
        .processor_count = 1,
    };
    struct leat_error err;

    *worker = (struct test_one_worker){0};
    open_parts(worker, options);
    open_pipeline(worker, options);
    registered.name = options->processor->name;
    worker->streams = leat_streams_new(NULL);
    leat_streams_add(worker->streams, worker->source, &start);
    leases.streams = worker->streams;
    leases.events = leat_pipeline_lease_events(worker->pipeline);
    worker->leases = leat_lease_manager_new(&leases, &err);
    ck_assert_int_eq(leat_pipeline_start(worker->pipeline, worker->leases, &err), 0);
    ck_assert_msg(leat_lease_manager_start(worker->leases, &err) == 0, "%s", err.text);
}

bool
test_one_worker_wait(struct test_one_worker *worker, int64_t deadline_us)
{
    struct leat_mutex lock;
    struct leat_condition never;

    leat_mutex_init(&lock);
    leat_condition_init(&never);
    leat_mutex_lock(&lock);
    while (!leat_lease_manager_all_ended(worker->leases) && leat_clock_monotonic_us() < deadline_us)
        leat_condition_wait_until(&never, &lock, leat_clock_monotonic_us() + 10 * LEAT_MS_US);
    leat_mutex_unlock(&lock);
    return leat_lease_manager_all_ended(worker->leases);
}

void
test_one_worker_stop(struct test_one_worker *worker)
{
    leat_lease_manager_stop(worker->leases, leat_clock_monotonic_us() + 5 * LEAT_SECOND_US);
    leat_pipeline_free(worker->pipeline);
    leat_lease_manager_free(worker->leases);
    leat_letters_free(worker->letters);
    leat_archive_close(worker->archive);
    leat_fetcher_free(worker->fetcher);
    leat_streams_free(worker->streams);
    leat_memory_free(worker->memory);
    leat_arena_release(&worker->arena);
}
