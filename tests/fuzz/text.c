/* Numbers, units, times, decimals and JSON as people and servers write them: parsing ends, and what was read is what is shown. */
#include <json-c/json.h>
#include <stdint.h>

#include "base/decimal.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
parse_decimal(struct leat_slice text)
{
    struct leat_decimal decimal, again;
    LEAT_AUTO_BUF shown = LEAT_BUF_INIT;

    if (leat_decimal_parse(text, &decimal) != LEAT_DECIMAL_OK)
        return;
    leat_decimal_format(&shown, decimal);
    LEAT_ASSERT(leat_decimal_parse(leat_buf_slice(&shown), &again) == LEAT_DECIMAL_OK);
    LEAT_ASSERT(leat_decimal_compare(decimal, again) == 0);
}

static void
parse_time(struct leat_slice text)
{
    LEAT_AUTO_BUF shown = LEAT_BUF_INIT;
    int64_t us, again;

    leat_parse_time_as(text, "%d/%b/%Y:%T %z", &us);
    if (!leat_parse_time(text, &us) || us < INT64_C(-62135596800000000) ||
        us >= INT64_C(253402300800000000))
        return;
    leat_format_time(&shown, us);
    LEAT_ASSERT(leat_parse_time(leat_buf_slice(&shown), &again) && again == us);
}

static void
parse_json(struct leat_slice text)
{
    struct json_object *root;
    struct leat_error err;

    if (leat_json_parse(text, &root, &err) == 0)
        json_object_put(root);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct leat_slice text = leat_slice_make(data, size);
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    int64_t number;
    bool is_true;

    leat_parse_integer(text, &number, NULL);
    leat_parse_duration(text, &number, NULL);
    leat_parse_size(text, &number, NULL);
    leat_parse_boolean(text, &is_true, NULL);
    parse_decimal(text);
    parse_time(text);
    parse_json(text);
    leat_base64_decode(&out, text);
    leat_hex_decode(&out, text);
    leat_uri_unescape(&out, text);
    leat_json_escape(&out, text);
    return 0;
}
