/*
 * Where a processor is in a shard: the checkpoint of its progress row. Pure.
 *
 * As text: TRIM_HORIZON | AT_TIMESTAMP:<µs> | a sequence number | SHARD_END (docs/protocol.md §4). Sequence numbers are
 * decimal strings of up to 128 digits: compared by length, then bytes, never as integers.
 */
#ifndef LEAT_STREAM_POSITION_H
#define LEAT_STREAM_POSITION_H

#include "base/buf.h"

#define LEAT_SEQUENCE_BYTES 128

enum leat_position_kind {
    LEAT_POSITION_TRIM_HORIZON = 0,
    LEAT_POSITION_AT_TIMESTAMP = 1,
    LEAT_POSITION_SEQUENCE = 2, /* everything up to and including (sequence, sub) is done */
    LEAT_POSITION_SHARD_END = 3,
    LEAT_POSITION_LATEST =
        4 /* only in configuration and for `leat tail`: resolved once, never stored */
};

struct leat_position {
    enum leat_position_kind kind;
    int64_t timestamp_us;                   /* LEAT_POSITION_AT_TIMESTAMP */
    char sequence[LEAT_SEQUENCE_BYTES + 1]; /* LEAT_POSITION_SEQUENCE */
    int64_t sub_sequence; /* the last done inside the aggregate; -1: the whole record is done */
};

int leat_position_parse(struct leat_slice checkpoint, int64_t sub_sequence,
                        struct leat_position *ret_position, struct leat_error *err);
void leat_position_format(const struct leat_position *position, struct leat_buf *out);
/* By length, then bytes (leading zeros do not occur). */
int leat_sequence_order(struct leat_slice a, struct leat_slice b);

#endif
