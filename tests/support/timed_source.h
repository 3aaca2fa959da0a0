/* A stream of one shard in this process: so many records at known times, then silence, or the shard's end. */
#ifndef LEAT_TESTS_TIMED_SOURCE_H
#define LEAT_TESTS_TIMED_SOURCE_H

#include "stream/source.h"

#define TEST_TIMED_SHARD "shardId-000000000000"

struct test_timed_options {
    int64_t count;
    int64_t first_us, step_us; /* arrival of record i: first + i * step */
    size_t chunk_records;
    int64_t pause_us; /* before each answer */
    bool ends;        /* the shard is closed behind the last record */
};

/* The data of record i is i as text; its sequence number is 1000000 + i. Close by ops->close. */
struct leat_source *test_timed_source(const struct test_timed_options *options);

#endif
