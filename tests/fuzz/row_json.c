/* A row of any values is one line of JSON that can be read again. */
#include <stdint.h>

#include <json-c/json.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/row_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct leat_column columns[] = {
    {"key", LEAT_TEXT, LEAT_KEY}, {"text", LEAT_TEXT},
    {"json", LEAT_JSON},          {"bytes", LEAT_BYTES},
    {"real", LEAT_FLOAT64},       {"number", LEAT_INT64},
    {"time", LEAT_TIMESTAMP},     LEAT_END,
};
static const struct leat_table table = {"t", columns, "any values"};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct leat_slice all = leat_slice_make(data, size);
    struct leat_value values[7] = {leat_text(all), leat_text(all), leat_json(all), leat_bytes(all)};
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;
    struct json_object *root;
    struct leat_error err;
    int64_t number = 0;
    double real = 0;

    memcpy(&number, data, size < sizeof number ? size : sizeof number);
    memcpy(&real, data, size < sizeof real ? size : sizeof real);
    values[4] = leat_float64(real);
    values[5] = leat_int64(number);
    values[6] = leat_timestamp_us(number);
    leat_row_json(&line, &table, LEAT_OP_MERGE, values, 7);
    LEAT_ASSERT(memchr(line.data, '\n', line.size) == NULL);
    LEAT_ASSERT(line.size <= 40 * size + 1000);
    if (leat_json_parse(leat_buf_slice(&line), &root, &err) == 0)
        json_object_put(root);
    else
        LEAT_ASSERT(err.code ==
                    LEAT_E_LIMIT); /* a column's JSON may be as deep as is read at all */
    return 0;
}
