/*
 * Letters: failed records on their way to the archive and to the dead-letter stream. A letter must be acknowledged by
 * the archive (and, where configured, the DLQ) before the epoch it belongs to may be flushed; the ledger row is then
 * written in the commit itself (docs/protocol.md §7).
 *
 * Many are under way at a time, in no order, and shards take turns. An archive or a DLQ that is away, or configured wrongly,
 * blocks (letters wait, `is_blocked` says so); it never drops. What the DLQ will never take goes to the archive alone, and the
 * letter's text in the ledger says so.
 *
 * Threads: two of its own do all I/O, one for the archive, one for the DLQ. submit and cancel from any thread, neither waits for
 * I/O; done is called on one of the two and must not block.
 */
#ifndef LEAT_FAILURE_LETTERS_H
#define LEAT_FAILURE_LETTERS_H

#include <leat/record.h>
#include <leat/target.h>

#include "base/arena.h"
#include "base/buf.h"

struct leat_letters;
struct leat_memory;             /* stream/memory.h */
struct leat_archive;            /* archive.h: S3 or a folder */
struct leat_dead_letter_stream; /* dead_letter_stream.h: Kinesis first */

/* What failed: copied by submit. */
struct leat_letter {
    struct leat_slice application, processor, tenant, stream, stream_id, shard;
    struct leat_slice sequence;
    int64_t sub_sequence;
    struct leat_slice partition_key, explicit_hash_key;
    int64_t arrival_us;
    struct leat_slice data;
    struct leat_slice reason; /* one word, of leat_letter_reasons */
    struct leat_slice text;
    struct leat_slice sqlstate;
    int32_t attempts;
    unsigned processor_index; /* whose share of the memory budget it is charged to */
    bool
        is_row; /* a row letter: data is the row as JSON, of no record; sequence is the position it was made at */
};

/* Every reason there is, NULL-ended: docs/failures.md says what each means. Any other is a programming error. */
extern const char *const leat_letter_reasons[];

/* The ledger row that results; lives in `arena` given to submit. */
typedef void (*leat_letter_done_fn)(void *context, const struct leat_failure *failure);

struct leat_letters_options {
    struct leat_archive *archive;                 /* mandatory */
    struct leat_dead_letter_stream *dead_letters; /* NULL: none */
    struct leat_memory *memory;                   /* NULL: letters are charged to nobody */
    const char *worker_id;
    /* Told once when letters cannot be put, and once (err NULL) when they can again; may be NULL. Any thread, but one at a time. */
    void (*trouble)(void *context, const struct leat_error *err);
    /* Told of each letter that one of the two places will never take; may be NULL. Any thread. */
    void (*refused)(void *context, const struct leat_error *err);
    void *context;
};

struct leat_letters *leat_letters_new(const struct leat_letters_options *options,
                                      struct leat_error *err);
void leat_letters_free(
    struct leat_letters *letters); /* waits for nothing: what waits is forgotten (and redone) */

/* A ticket to cancel by, at any time, in the end always (it frees it): after cancel returned done is not called. All
   tickets are cancelled before the letters are freed. */
struct leat_letter_ticket;
struct leat_letter_ticket *leat_letters_submit(struct leat_letters *letters,
                                               const struct leat_letter *letter,
                                               leat_letter_done_fn done, void *context);
void leat_letter_cancel(struct leat_letter_ticket *ticket);

/* hex SHA-256 over the length-prefixed (application, processor, tenant, stream_id, shard, sequence, sub-sequence); of a
   row letter also the row: many may be made at one position. Pure. */
void leat_dead_letter_id(const struct leat_letter *letter, char ret_hex[65]);
/* The envelope as JSON (schemas/envelope.schema.json). Pure. */
void leat_letter_envelope(const struct leat_letter *letter, struct leat_slice archive_url,
                          int64_t now_us, struct leat_buf *out);

struct leat_letters_counts {
    uint64_t archived, dead_lettered, waiting, failures;
    uint64_t refused; /* for good, by one of the two places */
    bool is_blocked;
    char blocked_by[256];
};
void leat_letters_counts(struct leat_letters *letters, struct leat_letters_counts *ret_counts);

#endif
