/* Numbers keep their digits; whatever a value holds, what comes out is one line of JSON. */
#include "base/row_json.h"

#include <math.h>

#include "base/json.h"
#include "base/json_measure.h"
#include "base/units.h"

static const char *const operations[] = {
    [LEAT_OP_MERGE] = "merge", [LEAT_OP_REPLACE] = "replace", [LEAT_OP_DELETE] = "delete"};

/* JSON has no word for these. */
static void
add_real(struct leat_json *json, const char *name, double real)
{
    if (isnan(real))
        leat_json_text(json, name, "NaN");
    else if (isinf(real))
        leat_json_text(json, name, real > 0 ? "Infinity" : "-Infinity");
    else
        leat_json_real(json, name, real);
}

/* JSON wants a digit before the point and behind it, and neither a plus nor zeros in front: +.5 and 007. are decimals, too. */
static void
add_decimal(struct leat_json *json, const char *name, struct leat_slice text)
{
    LEAT_AUTO_BUF number = LEAT_BUF_INIT;
    size_t i = 0, whole;

    if (i < text.size && (text.data[i] == '-' || text.data[i] == '+')) {
        if (text.data[i++] == '-')
            leat_buf_add_byte(&number, '-');
    }
    while (i + 1 < text.size && text.data[i] == '0' && text.data[i + 1] >= '0' &&
           text.data[i + 1] <= '9')
        i++;
    whole = i;
    while (i < text.size && text.data[i] >= '0' && text.data[i] <= '9')
        i++;
    leat_buf_add(&number, i > whole ? (const char *)text.data + whole : "0",
                 i > whole ? i - whole : 1);
    if (i < text.size && text.data[i] == '.') {
        i++;
        if (i < text.size && text.data[i] >= '0' && text.data[i] <= '9')
            leat_buf_add_byte(&number, '.');
    }
    leat_buf_add(&number, text.data + i, text.size - i);
    leat_json_raw(json, name, leat_buf_slice(&number));
}

/* On one line: newlines can only stand between the tokens. What is no JSON after all becomes a text. */
static void
add_json(struct leat_json *json, const char *name, struct leat_slice text)
{
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;
    struct leat_json_measure measure;

    if (leat_json_measure(text, &measure) != 0) {
        leat_json_slice(json, name, text);
        return;
    }
    leat_buf_add_slice(&line, text);
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] == '\n' || line.data[i] == '\r')
            line.data[i] = ' ';
    }
    leat_json_raw(json, name, leat_buf_slice(&line));
}

static void
add_value(struct leat_json *json, const char *name, const struct leat_value *value)
{
    LEAT_AUTO_BUF time = LEAT_BUF_INIT;

    switch (value->type) {
    case LEAT_ABSENT:
        break;
    case LEAT_BOOL:
        leat_json_bool(json, name, value->as.integer != 0);
        break;
    case LEAT_INT64:
        leat_json_integer(json, name, value->as.integer);
        break;
    case LEAT_FLOAT64:
        add_real(json, name, value->as.real);
        break;
    case LEAT_DECIMAL:
        add_decimal(json, name, leat_value_slice(value));
        break;
    case LEAT_TEXT:
        leat_json_slice(json, name, leat_value_slice(value));
        break;
    case LEAT_BYTES:
        leat_json_base64(json, name, leat_value_slice(value));
        break;
    case LEAT_TIMESTAMP:
        leat_format_time(&time, value->as.integer);
        leat_json_text(json, name, leat_buf_text(&time));
        break;
    case LEAT_JSON:
        add_json(json, name, leat_value_slice(value));
        break;
    default:
        leat_json_null(json, name);
    }
}

void
leat_row_json(struct leat_buf *out, const struct leat_table *table, enum leat_operation operation,
              const struct leat_value *values, size_t count)
{
    bool is_keys_only = count < leat_table_width(table);
    struct leat_json json;

    leat_json_begin(&json, out);
    leat_json_object(&json, NULL);
    leat_json_text(&json, "table", table->name);
    leat_json_text(&json, "operation", operations[operation]);
    leat_json_object(&json, "row");
    for (const struct leat_column *column = table->columns; column->name != NULL; column++) {
        if (!is_keys_only || column->rule == LEAT_KEY)
            add_value(&json, column->name, values++);
    }
    leat_json_object_end(&json);
    leat_json_object_end(&json);
}
