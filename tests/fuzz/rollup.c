/*
 * An event for the rollup, as its record's payload. The first byte picks how its time is written. What is taken has to be rows
 * that the host takes and merges, and JSON for another reader, too; what is not, is failed with a reason.
 */
#include <json-c/json.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/encoding.h"
#include "base/json.h"
#include "base/memory.h"
#include "pipeline/merge.h"
#include "plugin/options.h"
#include "plugins/processors/rollup/rollup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern const struct leat_processor *leat_processor_v1(void);

static const char *const formats[] = {"iso8601", "epoch_s", "epoch_ms", "%d/%m/%Y %H:%M:%S.%f%z"};

struct host {
    struct leat_out out; /* first: the services find the rest by it */
    const struct leat_merge_schema *schema;
    struct leat_merge *merge;
    unsigned rows, failures;
};

static int
emit(struct leat_out *out, const struct leat_record *record, size_t table,
     enum leat_operation operation, const struct leat_value *values, size_t count)
{
    struct host *host = (struct host *)out;
    struct leat_error err;

    LEAT_ASSERT(leat_merge_check(host->schema, table, operation, values, count, &err) == 0);
    /* Twice: the second one is merged with the first. */
    leat_merge_apply(host->merge, table, operation, values);
    leat_merge_apply(host->merge, table, operation, values);
    host->rows++;
    return 0;
}

static void
keep_failure(struct leat_out *out, const struct leat_record *record, const char *reason)
{
    LEAT_ASSERT(reason[0] != '\0');
    ((struct host *)out)->failures++;
}

static int
save_state(struct leat_out *out, struct leat_slice bytes)
{
    return 0;
}

static bool
is_cancelled(struct leat_out *out)
{
    return false;
}

static void
on_problem(void *context, int line, int column, const char *text)
{
    abort();
}

static struct leat_rollup *
make_rollup(const char *format)
{
    static const struct leat_slice keys[] = {{(const unsigned char *)"id:int64", 8},
                                             {(const unsigned char *)"on:bool", 7},
                                             {(const unsigned char *)"at:timestamp", 12},
                                             {(const unsigned char *)"d:decimal", 9},
                                             {(const unsigned char *)"t", 1}};
    const struct leat_raw_option raw[] = {
        {.name = "keys", .kind = LEAT_RAW_LIST, .items = keys, .item_count = LEAT_COUNT_OF(keys)},
        {.name = "measurement", .scalar = leat_slice_from("m")},
        {.name = "time", .scalar = leat_slice_from("at")},
        {.name = "value", .scalar = leat_slice_from("v")},
        {.name = "time_format", .scalar = leat_slice_from(format)}};
    struct leat_rollup *rollup;
    struct leat_options options;
    struct leat_arena arena;
    struct leat_error err;

    leat_arena_init(&arena);
    if (leat_options_resolve(leat_rollup_options, raw, LEAT_COUNT_OF(raw), &arena, on_problem, NULL,
                             &options) != 0 ||
        leat_rollup_new(&options, &rollup, &err) != 0)
        abort();
    leat_arena_release(&arena);
    return rollup;
}

/* What the scanner takes as a whole is JSON for json-c, where its text is UTF-8. */
static void
check_scan(struct leat_slice payload)
{
    const struct leat_slice names[] = {leat_slice_from("id"), leat_slice_from("t")};
    struct leat_rollup_value values[LEAT_COUNT_OF(names)];
    struct json_object *root = NULL;
    struct leat_error err;
    size_t offset = SIZE_MAX;
    bool is_good = leat_rollup_scan(payload, names, LEAT_COUNT_OF(names), values, &offset) == NULL;

    LEAT_ASSERT(offset <= payload.size);
    for (size_t i = 0; is_good && i < LEAT_COUNT_OF(names); i++)
        LEAT_ASSERT(values[i].kind == LEAT_ROLLUP_MISSING ||
                    (values[i].raw.data >= payload.data &&
                     values[i].raw.data + values[i].raw.size <= payload.data + payload.size));
    if (is_good && leat_utf8_is_valid(payload)) {
        LEAT_ASSERT(leat_json_parse(payload, &root, &err) == 0);
        json_object_put(root);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct leat_out_services services = {sizeof services, emit, keep_failure,
                                                      save_state, is_cancelled};
    static struct leat_rollup *rollups[LEAT_COUNT_OF(formats)];
    static struct leat_merge_schema *schema;
    struct leat_record record = {.size = sizeof record};
    const struct leat_record *records[] = {&record};
    struct leat_batch batch = {.size = sizeof batch, .records = records, .count = 1};
    struct host host = {.out = {&services}};
    struct leat_error err;
    size_t pick;

    if (size == 0)
        return 0;
    if (schema == NULL) {
        for (size_t i = 0; i < LEAT_COUNT_OF(formats); i++)
            rollups[i] = make_rollup(formats[i]);
        schema = leat_merge_schema_new(rollups[0]->tables);
    }
    pick = data[0] % LEAT_COUNT_OF(formats);
    record.data = leat_slice_copy(leat_slice_make(data + 1, size - 1));
    host.schema = schema;
    host.merge = leat_merge_new(schema);
    check_scan(record.data);
    LEAT_ASSERT(leat_processor_v1()->process(rollups[pick], &batch, &host.out, &err) == LEAT_DONE);
    LEAT_ASSERT(host.rows + host.failures == 1);
    leat_merge_free(host.merge);
    free((void *)(uintptr_t)record.data.data);
    return 0;
}
