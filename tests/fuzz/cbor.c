/* Foreign CBOR: walking ends, within the bytes; a tree of it is bounded; a server's request reads the same way. */
#include <json-c/json.h>
#include <stdint.h>
#include <stdlib.h>

#include "aws/cbor.h"
#include "aws/wire.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *bytes = leat_alloc(size + 1);
    struct leat_cbor cbor;
    struct leat_cbor_item item;
    struct json_object *root = NULL;
    int64_t us;

    memcpy(bytes, data, size);
    leat_cbor_begin(&cbor, bytes, size);
    while (leat_cbor_next(&cbor, &item)) {
        if (item.type == LEAT_CBOR_BYTES || item.type == LEAT_CBOR_TEXT)
            LEAT_ASSERT(item.string.data >= bytes &&
                        item.string.data + item.string.size <= bytes + size);
        leat_cbor_time(&item, &us);
    }
    LEAT_ASSERT(cbor.next <= cbor.end);
    memcpy(bytes, data, size);
    leat_cbor_begin(&cbor, bytes, size);
    if (leat_cbor_skip(&cbor))
        LEAT_ASSERT(!cbor.is_bad && cbor.next > bytes);
    memcpy(bytes, data, size);
    if (leat_wire_parse(bytes, size, LEAT_WIRE_CBOR, &root, NULL, NULL) == 0)
        json_object_put(root);
    free(bytes);
    return 0;
}
