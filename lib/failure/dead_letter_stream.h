/* The dead-letter stream: an interface, Kinesis its first kind. Used by the dead-letter thread alone, but for interrupt. */
#ifndef LEAT_FAILURE_DEAD_LETTER_STREAM_H
#define LEAT_FAILURE_DEAD_LETTER_STREAM_H

#include "aws/client.h"

struct leat_dead_letter {
    struct leat_slice partition_key, body;
    /* filled: */
    struct leat_error err; /* code 0: stored */
    bool is_refused;       /* what it holds is not taken, and never will be */
    char position[264];    /* shard:sequence, when stored */
};

struct leat_dead_letter_stream;
struct leat_dead_letter_ops {
    size_t most_letters, most_bytes; /* of one put: bodies and keys */
    /* One call, one attempt. 0: each letter has its own err. Else none is known to be stored, and *ret_is_refused says that it is
       for what one of them holds. */
    int (*put)(struct leat_dead_letter_stream *stream, struct leat_dead_letter *letters,
               size_t count, bool *ret_is_refused, struct leat_error *err);
    void (*interrupt)(struct leat_dead_letter_stream *stream); /* any thread: puts end at once */
    void (*close)(struct leat_dead_letter_stream *stream);
};
struct leat_dead_letter_stream {
    const struct leat_dead_letter_ops *ops;
};

int leat_dead_letter_kinesis_open(const char *stream, const struct leat_aws *aws,
                                  struct leat_dead_letter_stream **ret_stream,
                                  struct leat_error *err);
void leat_dead_letter_stream_close(struct leat_dead_letter_stream *stream); /* NULL is fine */

/* The key under which a letter is put: the record's own where the service takes it; else "-" for none, or the hex SHA-256 of it,
   so that letters of one key stay in one shard. room keeps what is made. Pure. */
struct leat_slice leat_dead_letter_key(struct leat_slice partition_key, char room[65]);

#endif
