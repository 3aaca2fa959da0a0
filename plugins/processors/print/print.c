/*
 * Print: each record as a row, to see what a stream carries. Payloads (and partition keys) are text where they can be, else
 * base64 in a column of their own. The key is the record's place, so a record that comes again writes the same row again.
 */
#include <leat/processor.h>

#include "base/encoding.h"

static const struct leat_column columns[] = {
    {"stream", LEAT_TEXT, LEAT_KEY, .text = "as it is configured"},
    {"shard", LEAT_TEXT, LEAT_KEY},
    {"sequence", LEAT_TEXT, LEAT_KEY},
    {"sub_sequence", LEAT_INT64, LEAT_KEY, .text = "inside an aggregated record; 0 outside"},
    {"partition_key", LEAT_TEXT, .text = "null where it is no text"},
    {"partition_key_base64", LEAT_TEXT, .text = "where it is no text"},
    {"arrival", LEAT_TIMESTAMP},
    {"data", LEAT_TEXT, .text = "null where it is no text"},
    {"data_base64", LEAT_TEXT, .text = "where it is no text"},
    LEAT_END,
};
static const struct leat_table tables[] = {{"records", columns, "each record as it came"},
                                           LEAT_END};

/* What a database takes as text. */
static bool
is_text(struct leat_slice bytes)
{
    return memchr(bytes.data, 0, bytes.size) == NULL && leat_utf8_is_valid(bytes);
}

/* One of the two is null. The base64 lives in `encoded`. */
static void
set_pair(struct leat_slice bytes, struct leat_buf *encoded, struct leat_value *ret_text,
         struct leat_value *ret_base64)
{
    if (is_text(bytes)) {
        *ret_text = leat_text(bytes);
        *ret_base64 = leat_null();
        return;
    }
    leat_buf_clear(encoded);
    leat_base64_encode(encoded, bytes);
    *ret_text = leat_null();
    *ret_base64 = leat_text(leat_buf_slice(encoded));
}

static enum leat_verdict
process(void *state, const struct leat_batch *batch, struct leat_out *out, struct leat_error *err)
{
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;

    for (size_t i = 0; i < batch->count; i++) {
        const struct leat_record *record = batch->records[i];
        struct leat_value key_text, key_base64, data_text, data_base64;

        set_pair(record->partition_key, &key, &key_text, &key_base64);
        set_pair(record->data, &data, &data_text, &data_base64);
        leat_emit(out, record, 0, leat_text(batch->shard->stream), leat_text(batch->shard->shard),
                  leat_text(record->sequence_number),
                  leat_int64((int64_t)record->sub_sequence_number), key_text, key_base64,
                  record->arrival_us != 0 ? leat_timestamp_us(record->arrival_us) : leat_null(),
                  data_text, data_base64);
    }
    return LEAT_DONE;
}

LEAT_PROCESSOR(.name = "print", .version = LEAT_VERSION,
               .summary = "each record as a row: its place, its key, its payload", .tables = tables,
               .process = process);
