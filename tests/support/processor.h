/* A built processor, loaded as the worker loads it, with an `out` that keeps what it emits and fails. */
#ifndef TESTS_SUPPORT_PROCESSOR_H
#define TESTS_SUPPORT_PROCESSOR_H

#include <leat/processor.h>
#include <leat/target.h>

#include "base/arena.h"
#include "pipeline/merge.h"

struct test_row {
    const struct leat_record *record;
    size_t table;
    enum leat_operation operation;
    const struct leat_value *values; /* the arena's */
    size_t count;
};

struct test_processor {
    struct leat_out out; /* first: the services find the rest by it */
    const struct leat_processor *plugin;
    void *instance;
    const struct leat_table *tables;
    struct leat_merge_schema *schema;
    struct leat_merge *merge; /* of all rows since the beginning */
    struct leat_arena arena;
    struct test_row *rows; /* of the last call, as are the reasons */
    size_t row_count, row_capacity;
    const char **reasons; /* by record; NULL: not failed */
    const struct leat_record *const *records;
    size_t record_count;
};

/* LEAT_BUILD/plugins/NAME.so, or a path; aborts the test where there is none. */
const struct leat_processor *test_load_processor(const char *name);
const struct leat_target *test_load_target(const char *name);

/* name, value, name, value, …, NULL; a value with commas is a list where the option is one. Lives as long as the arena. */
int test_options(const struct leat_option *declared, struct leat_arena *arena,
                 const char *const *pairs, struct leat_options *ret_options,
                 struct leat_error *err);

/* 0, or what open said. Checks the tables as the host does. */
int test_processor_open(struct test_processor *processor, const char *name,
                        const char *const *pairs, struct leat_error *err);
void test_processor_close(struct test_processor *processor);
enum leat_verdict test_processor_call(struct test_processor *processor,
                                      const struct leat_record *records, size_t count);
/* One record with this payload; returns why it failed, or NULL. */
const char *test_processor_event(struct test_processor *processor, struct leat_slice data);

#endif
