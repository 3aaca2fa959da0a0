/* Checkpoints and hash keys as a database or a service writes them: what is read is written again as it was. */
#include <stdint.h>

#include "base/memory.h"
#include "stream/position.h"
#include "stream/shard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct leat_slice text = leat_slice_make(data, size);
    struct leat_position position, again;
    struct leat_hash_key key, key_again;
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    struct leat_error err;

    for (int64_t sub = -2; sub < 2; sub++) {
        if (leat_position_parse(text, sub, &position, &err) != 0)
            continue;
        leat_buf_clear(&out);
        leat_position_format(&position, &out);
        LEAT_ASSERT(
            leat_position_parse(leat_buf_slice(&out), position.sub_sequence, &again, &err) == 0);
        LEAT_ASSERT(again.kind == position.kind && strcmp(again.sequence, position.sequence) == 0 &&
                    again.timestamp_us == position.timestamp_us);
    }
    if (leat_hash_key_parse(text, &key)) {
        leat_buf_clear(&out);
        leat_hash_key_format(key, &out);
        LEAT_ASSERT(leat_hash_key_parse(leat_buf_slice(&out), &key_again));
        LEAT_ASSERT(leat_hash_key_compare(key, key_again) == 0 && out.size <= size);
    }
    leat_hash_key_of(text, &key);
    return 0;
}
