/* Sums decimals as they come: a record is "KEY NUMBER". For numbers that cost more than they look. */
#include <leat/processor.h>
#include <stdlib.h>

static const struct leat_column columns[] = {
    {"number", LEAT_INT64, LEAT_KEY},
    {"value", LEAT_DECIMAL, LEAT_SUM},
    LEAT_END,
};
static const struct leat_table tables[] = {{"sums", columns, "a number for each key"}, LEAT_END};

static enum leat_verdict
process(void *state, const struct leat_batch *batch, struct leat_out *out, struct leat_error *err)
{
    (void)state, (void)err;
    for (size_t i = 0; i < batch->count; i++) {
        const struct leat_record *record = batch->records[i];
        const unsigned char *space = memchr(record->data.data, ' ', record->data.size);
        size_t key = space != NULL ? (size_t)(space + 1 - record->data.data) : 0;

        leat_emit(out, record, 0, leat_int64(strtoll((const char *)record->data.data, NULL, 10)),
                  leat_decimal(leat_slice_make(record->data.data + key, record->data.size - key)));
    }
    return LEAT_DONE;
}

LEAT_PROCESSOR(.name = "decimals", .tables = tables, .process = process);
