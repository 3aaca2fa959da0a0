/* What the files of the Kinesis source and catalog share; nobody else includes this. */
#ifndef LEAT_STREAM_KINESIS_INSIDE_H
#define LEAT_STREAM_KINESIS_INSIDE_H

#include "stream/kinesis_clients.h"
#include "stream/kinesis_source.h"

struct kinesis_source {
    struct leat_source source; /* first */
    char *stream;
    struct leat_region_pool *regions;
    struct leat_kinesis_clients *clients;
    struct leat_kinesis *reading; /* of clients: the fetch thread's */
    bool owns_clients;
};

/* stream_id stays "" where the summary lacks what it is made of. */
void leat_kinesis_facts_of(const struct leat_kinesis_summary *summary,
                           struct leat_source_facts *ret_facts);
/* With facts that somebody asked for; clients and regions are borrowed. */
struct leat_source *leat_kinesis_source_new(const struct leat_source_facts *facts,
                                            struct leat_kinesis_clients *clients,
                                            struct leat_region_pool *regions);

struct leat_reader *leat_kinesis_reader_open(struct leat_source *source,
                                             struct leat_event_loop *loop, struct leat_slice shard,
                                             const struct leat_position *position);
void leat_kinesis_reader_read(struct leat_reader *reader, size_t reservation_bytes,
                              leat_read_done_fn done, void *context);
void leat_kinesis_reader_reposition(struct leat_reader *reader,
                                    const struct leat_position *position);
void leat_kinesis_reader_close(struct leat_reader *reader);

#endif
