#include "support/processor.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/memory.h"
#include "plugin/loader.h"
#include "plugin/options.h"

#include <check.h> /* last: it defines a macro `fail` */

static const char *
plugin_file(const char *name, struct leat_buf *file)
{
    const char *build = getenv("LEAT_BUILD");

    if (strchr(name, '/') != NULL)
        leat_buf_add_text(file, name);
    else
        leat_buf_printf(file, "%s/plugins/%s.so", build != NULL ? build : "build/test", name);
    return leat_buf_text(file);
}

const struct leat_processor *
test_load_processor(const char *name)
{
    LEAT_AUTO_BUF file = LEAT_BUF_INIT;
    const struct leat_processor *processor;
    struct leat_error err;

    ck_assert_msg(
        leat_plugin_load_processor(NULL, plugin_file(name, &file), NULL, &processor, &err) == 0,
        "%s", err.text);
    if (strchr(name, '/') == NULL)
        ck_assert_str_eq(processor->name, name);
    return processor;
}

const struct leat_target *
test_load_target(const char *name)
{
    LEAT_AUTO_BUF file = LEAT_BUF_INIT;
    const struct leat_target *target;
    struct leat_error err;

    ck_assert_msg(leat_plugin_load_target(NULL, plugin_file(name, &file), NULL, &target, &err) == 0,
                  "%s", err.text);
    ck_assert_str_eq(target->name, name);
    return target;
}

static void
keep_problem(void *context, int line, int column, const char *text)
{
    leat_error_set(context, LEAT_E_INVALID, "%s", text);
}

static enum leat_option_type
type_of(const struct leat_option *declared, const char *name)
{
    for (; declared != NULL && declared->name != NULL; declared++) {
        if (strcmp(declared->name, name) == 0)
            return declared->type;
    }
    return LEAT_OPTION_TEXT;
}

static void
set_list(struct leat_raw_option *raw, const char *text, struct leat_arena *arena)
{
    struct leat_slice *items = leat_arena_alloc(arena, (strlen(text) + 1) * sizeof *items);

    raw->kind = LEAT_RAW_LIST;
    raw->items = items;
    while (*text != '\0') {
        size_t length = strcspn(text, ",");

        items[raw->item_count++] = leat_slice_make(text, length);
        text += length + (text[length] == ',');
    }
}

int
test_options(const struct leat_option *declared, struct leat_arena *arena, const char *const *pairs,
             struct leat_options *ret_options, struct leat_error *err)
{
    struct leat_raw_option raw[16] = {0};
    size_t count = 0;

    for (; pairs != NULL && pairs[2 * count] != NULL; count++) {
        const char *name = pairs[2 * count], *value = pairs[2 * count + 1];

        ck_assert_uint_lt(count, LEAT_COUNT_OF(raw));
        raw[count].name = name;
        raw[count].scalar = leat_slice_from(value);
        if (type_of(declared, name) == LEAT_OPTION_LIST)
            set_list(&raw[count], value, arena);
    }
    return leat_options_resolve(declared, raw, count, arena, keep_problem, err, ret_options);
}

/* ---- the host's side of a call ----------------------------------------------------------------- */

static int
emit(struct leat_out *out, const struct leat_record *record, size_t table,
     enum leat_operation operation, const struct leat_value *values, size_t count)
{
    struct test_processor *processor = (struct test_processor *)out;
    struct leat_value *copy = leat_arena_alloc(&processor->arena, count * sizeof *copy);
    struct leat_error err;

    ck_assert_msg(leat_merge_check(processor->schema, table, operation, values, count, &err) == 0,
                  "%s", err.text);
    for (size_t i = 0; i < count; i++) {
        copy[i] = values[i];
        if (values[i].type == LEAT_TEXT || values[i].type == LEAT_BYTES ||
            values[i].type == LEAT_JSON || values[i].type == LEAT_DECIMAL)
            copy[i].as.bytes.data =
                leat_arena_copy(&processor->arena, leat_value_slice(&values[i])).data;
    }
    LEAT_GROW(processor->rows, processor->row_count, processor->row_capacity);
    processor->rows[processor->row_count++] =
        (struct test_row){record, table, operation, copy, count};
    leat_merge_apply(processor->merge, table, operation, copy);
    return 0;
}

static void
keep_reason(struct leat_out *out, const struct leat_record *record, const char *reason)
{
    struct test_processor *processor = (struct test_processor *)out;

    for (size_t i = 0; i < processor->record_count; i++) {
        if (processor->records[i] == record) {
            processor->reasons[i] = leat_arena_strdup(&processor->arena, reason);
            return;
        }
    }
    ck_abort_msg("a record was failed that is none: %s", reason);
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

static const struct leat_out_services services = {sizeof services, emit, keep_reason, save_state,
                                                  is_cancelled};

int
test_processor_open(struct test_processor *processor, const char *name, const char *const *pairs,
                    struct leat_error *err)
{
    struct leat_options options;
    int status;

    *processor = (struct test_processor){.out = {&services}, .plugin = test_load_processor(name)};
    leat_arena_init(&processor->arena);
    status = test_options(processor->plugin->options, &processor->arena, pairs, &options, err);
    if (status == 0 && processor->plugin->open != NULL)
        status = processor->plugin->open(NULL, &options, &processor->instance, err);
    if (status != 0) {
        leat_arena_release(&processor->arena);
        return status;
    }
    processor->tables = processor->plugin->describe != NULL
                            ? processor->plugin->describe(processor->instance)
                            : processor->plugin->tables;
    ck_assert_msg(leat_plugin_check_tables(processor->tables, err) == 0, "%s", err->text);
    processor->schema = leat_merge_schema_new(processor->tables);
    processor->merge = leat_merge_new(processor->schema);
    return 0;
}

void
test_processor_close(struct test_processor *processor)
{
    if (processor->plugin->close != NULL)
        processor->plugin->close(processor->instance);
    leat_merge_free(processor->merge);
    leat_merge_schema_free(processor->schema);
    leat_arena_release(&processor->arena);
    free(processor->rows);
    free(processor->reasons);
    free((void *)processor->records);
}

enum leat_verdict
test_processor_call(struct test_processor *processor, const struct leat_record *records,
                    size_t count)
{
    static const struct leat_shard shard = {
        .size = sizeof shard,
        .stream = {(const unsigned char *)"observations", 12},
        .stream_id = {(const unsigned char *)"file:x", 6},
        .shard = {(const unsigned char *)"shardId-000000000000", 20},
        .lanes = 1};
    struct leat_batch batch = {.size = sizeof batch, .count = count, .shard = &shard};
    const struct leat_record **pointers = leat_alloc(count * sizeof *pointers);
    struct leat_error err = {0};

    for (size_t i = 0; i < count; i++)
        pointers[i] = &records[i];
    free((void *)processor->records);
    free(processor->reasons);
    processor->records = batch.records = pointers;
    processor->record_count = count;
    processor->reasons = leat_alloc_zero(count, sizeof *processor->reasons);
    processor->row_count = 0;
    return processor->plugin->process(processor->instance, &batch, &processor->out, &err);
}

const char *
test_processor_event(struct test_processor *processor, struct leat_slice data)
{
    /* The processor remembers the record until the next call. */
    static struct leat_record record;

    record = (struct leat_record){.size = sizeof record,
                                  .data = data,
                                  .partition_key = leat_slice_from("key"),
                                  .explicit_hash_key = leat_slice_from(""),
                                  .sequence_number = leat_slice_from("49590338271490256608"),
                                  .arrival_us = 1641000000000000};
    ck_assert_int_eq(test_processor_call(processor, &record, 1), LEAT_DONE);
    ck_assert_uint_le(processor->row_count, 1);
    ck_assert((processor->reasons[0] != NULL) == (processor->row_count == 0));
    return processor->reasons[0];
}
