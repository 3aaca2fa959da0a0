/* Checkpoints as text, and the order of sequence numbers. Pure. */
#include "stream/position.h"

#include "base/units.h"

static bool
is_sequence(struct leat_slice text)
{
    if (text.size == 0 || text.size > LEAT_SEQUENCE_BYTES)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return true;
}

static bool
parse_timestamp(struct leat_slice text, struct leat_position *position)
{
    static const char prefix[] = "AT_TIMESTAMP:";
    size_t length = sizeof prefix - 1;

    if (text.size <= length || memcmp(text.data, prefix, length) != 0)
        return false;
    position->kind = LEAT_POSITION_AT_TIMESTAMP;
    return leat_parse_integer(leat_slice_make(text.data + length, text.size - length),
                              &position->timestamp_us, NULL) == 0;
}

int
leat_position_parse(struct leat_slice checkpoint, int64_t sub_sequence,
                    struct leat_position *ret_position, struct leat_error *err)
{
    struct leat_position position = {.sub_sequence = -1};

    if (leat_slice_is(checkpoint, "TRIM_HORIZON")) {
        position.kind = LEAT_POSITION_TRIM_HORIZON;
    } else if (leat_slice_is(checkpoint, "SHARD_END")) {
        position.kind = LEAT_POSITION_SHARD_END;
    } else if (is_sequence(checkpoint) && sub_sequence >= -1) {
        position.kind = LEAT_POSITION_SEQUENCE;
        memcpy(position.sequence, checkpoint.data, checkpoint.size);
        position.sub_sequence = sub_sequence;
    } else if (!parse_timestamp(checkpoint, &position)) {
        return leat_error_set(err, LEAT_E_FORMAT, "\"%.*s\" is no checkpoint",
                              (int)(checkpoint.size < 140 ? checkpoint.size : 140),
                              (const char *)checkpoint.data);
    }
    *ret_position = position;
    return 0;
}

void
leat_position_format(const struct leat_position *position, struct leat_buf *out)
{
    switch (position->kind) {
    case LEAT_POSITION_TRIM_HORIZON:
        leat_buf_add_text(out, "TRIM_HORIZON");
        break;
    case LEAT_POSITION_AT_TIMESTAMP:
        leat_buf_printf(out, "AT_TIMESTAMP:%lld", (long long)position->timestamp_us);
        break;
    case LEAT_POSITION_SEQUENCE:
        leat_buf_add_text(out, position->sequence);
        break;
    case LEAT_POSITION_SHARD_END:
        leat_buf_add_text(out, "SHARD_END");
        break;
    case LEAT_POSITION_LATEST:
        leat_buf_add_text(out, "LATEST");
        break;
    }
}

int
leat_sequence_order(struct leat_slice a, struct leat_slice b)
{
    if (a.size != b.size)
        return a.size < b.size ? -1 : 1;
    return leat_slice_compare(a, b);
}
