/* What kinesis_source.c and kinesis_reader.c share; nobody else includes this. */
#ifndef LEAT_STREAM_KINESIS_INSIDE_H
#define LEAT_STREAM_KINESIS_INSIDE_H

#include "stream/kinesis_source.h"

struct kinesis_source {
    struct leat_source source; /* first */
    char *stream;
    struct leat_region_pool *regions;
    struct leat_kinesis *blocking; /* the lease manager's thread */
    struct leat_kinesis *reading;  /* the fetch thread */
};

struct leat_reader *leat_kinesis_reader_open(struct leat_source *source,
                                             struct leat_event_loop *loop, struct leat_slice shard,
                                             const struct leat_position *position);
void leat_kinesis_reader_read(struct leat_reader *reader, size_t reservation_bytes,
                              leat_read_done_fn done, void *context);
void leat_kinesis_reader_reposition(struct leat_reader *reader,
                                    const struct leat_position *position);
void leat_kinesis_reader_close(struct leat_reader *reader);

#endif
