/* GetRecords answers: the first byte picks the encoding; every slice lies inside the bytes. */
#include <stdint.h>
#include <stdlib.h>

#include "aws/kinesis.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_inside(const unsigned char *bytes, size_t size, struct leat_slice slice)
{
    LEAT_ASSERT(slice.size == 0 ||
                (slice.data >= bytes && slice.data + slice.size <= bytes + size));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct leat_kinesis_records records = {0};
    enum leat_wire_encoding encoding;
    unsigned char *bytes;

    if (size == 0)
        return 0;
    encoding = data[0] == '{' ? LEAT_WIRE_JSON : LEAT_WIRE_CBOR;
    bytes = malloc(size); /* exactly: an overrun is seen */
    memcpy(bytes, data, size);
    if (leat_kinesis_records_parse(bytes, size, encoding, &records, NULL) == 0) {
        for (size_t i = 0; i < records.count; i++) {
            check_inside(bytes, size, records.records[i].data);
            check_inside(bytes, size, records.records[i].partition_key);
            check_inside(bytes, size, records.records[i].sequence);
        }
        for (size_t i = 0; i < records.child_count; i++)
            check_inside(bytes, size, records.children[i].shard);
        check_inside(bytes, size, records.next_iterator);
    } else {
        LEAT_ASSERT(records.count == 0 && records.child_count == 0);
    }
    leat_kinesis_records_release(&records);
    free(bytes);
    return 0;
}
