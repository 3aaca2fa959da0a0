/* The dead-letter stream: an interface, Kinesis its first kind. Used by the letters thread alone. */
#ifndef LEAT_FAILURE_DEAD_LETTER_STREAM_H
#define LEAT_FAILURE_DEAD_LETTER_STREAM_H

#include "aws/client.h"

struct leat_dead_letter_stream;
struct leat_dead_letter_ops {
    /* *ret_position: shard:sequence. */
    int (*put)(struct leat_dead_letter_stream *stream, struct leat_slice partition_key,
               struct leat_slice envelope, struct leat_buf *ret_position, struct leat_error *err);
    void (*close)(struct leat_dead_letter_stream *stream);
};
struct leat_dead_letter_stream {
    const struct leat_dead_letter_ops *ops;
};

int leat_dead_letter_kinesis_open(const char *stream, const struct leat_aws *aws,
                                  struct leat_dead_letter_stream **ret_stream,
                                  struct leat_error *err);
void leat_dead_letter_stream_close(struct leat_dead_letter_stream *stream); /* NULL is fine */

#endif
