/* What the two threads of letters share: tickets, and the stage that each of them works at. Nobody else includes this. */
#ifndef LEAT_FAILURE_LETTERS_INSIDE_H
#define LEAT_FAILURE_LETTERS_INSIDE_H

#include "base/random.h"
#include "base/thread.h"
#include "failure/archive.h"
#include "failure/dead_letter_stream.h"
#include "failure/fair_queue.h"
#include "failure/letters.h"

#define LEAT_REFERENCE_KEY_BYTES ((size_t)2 << 10)

/* In which form a place is asked to take it: each refusal for good leads to the next. */
enum leat_letter_form {
    LEAT_LETTER_WHOLE = 0,
    LEAT_LETTER_PLAIN =
        1, /* archive: by the shortest name. DLQ: by reference, under a key made of its id */
    LEAT_LETTER_ELSEWHERE = 2 /* only in the other place */
};

/*
 * A shard's letters at the archive. Some places of an archive may be closed, or hang, while others are well (a policy for a prefix,
 * a partition), so a shard that has none under way may always ask with one, and waits by itself when that fails.
 */
struct leat_letters_lane {
    size_t references, under_way;
    unsigned failures; /* in a row, one a pause */
    int64_t open_at_us;
};

struct leat_letter_ticket {
    struct leat_fair_item item; /* first: in a stage's queue, or in the list of those under way */
    struct leat_letters *letters;
    struct leat_letters_lane *lane;
    struct leat_arena arena;
    struct leat_letter letter; /* its data is in the envelope alone: only its size is left */
    char id[65];
    struct leat_buf envelope, reference; /* whole; without data, made when it is needed */
    struct leat_buf name, url;
    char position[264];
    leat_letter_done_fn done;
    void *context;
    size_t charged_bytes;
    enum leat_letter_form archive_form, stream_form;
    bool is_refusal_told;
    char refusal[300];   /* what the place that will never take it said */
    size_t company;      /* it may be put with so many others in one call; 0: any number */
    unsigned failures;   /* in a row, of the stage it is at */
    int64_t failing_us;  /* since when; monotonic */
    int64_t refused_us;  /* the archive's first refusal for good */
    bool is_at_stream;   /* else it is at the archive */
    bool is_under_way;   /* a thread has it */
    bool is_past_window; /* its lane asks by itself */
    bool is_telling;     /* done is being called */
    bool is_cancelled, is_blocking;
};

/* Before a place: what waits, and how much may be under way. It narrows with each failure and opens with each success. */
struct leat_letters_stage {
    struct leat_fair_queue queue;
    unsigned under_way, window, most;
    size_t bytes_under_way;
    unsigned failures; /* in a row, one a pause */
    int64_t open_at_us;
    int64_t stored_us; /* the last success */
};

struct leat_letters {
    struct leat_letters_options options;
    struct leat_thread archive_thread, stream_thread;
    struct leat_mutex lock;
    struct leat_condition told, stream_wakes; /* a done returned; the stream's stage has work */
    struct leat_letters_stage archive LEAT_FIELD_GUARDED_BY(lock);
    struct leat_letters_stage stream LEAT_FIELD_GUARDED_BY(lock);
    struct leat_fair_queue suspects LEAT_FIELD_GUARDED_BY(lock); /* of a call that was refused */
    struct leat_map lanes LEAT_FIELD_GUARDED_BY(lock);           /* by name: of all tickets */
    size_t past_window LEAT_FIELD_GUARDED_BY(lock);
    bool are_suspects_next LEAT_FIELD_GUARDED_BY(lock);
    struct leat_letter_ticket *under_way LEAT_FIELD_GUARDED_BY(lock);
    struct leat_fair_item *dropped LEAT_FIELD_GUARDED_BY(lock); /* to be freed */
    struct leat_random random LEAT_FIELD_GUARDED_BY(lock);
    bool is_stopping LEAT_FIELD_GUARDED_BY(lock);
    struct leat_letters_counts counts LEAT_FIELD_GUARDED_BY(lock);
    size_t blocking LEAT_FIELD_GUARDED_BY(lock); /* tickets that say why */
    bool is_saying LEAT_FIELD_GUARDED_BY(lock), is_trouble_said LEAT_FIELD_GUARDED_BY(lock);
};

/* letters.c */
void leat_letters_stage_succeeded(struct leat_letters_stage *stage, int64_t now_us);
void leat_letters_stage_failed(struct leat_letters_stage *stage, struct leat_random *random,
                               int64_t now_us);
/* A thread has it now, or has it no longer. */
void leat_ticket_begin(struct leat_letters *letters, struct leat_letter_ticket *ticket)
    LEAT_REQUIRES(letters->lock);
void leat_ticket_end(struct leat_letters *letters, struct leat_letter_ticket *ticket)
    LEAT_REQUIRES(letters->lock);
/* A failure that may pass: it waits, and when it has for too long says so. */
void leat_ticket_failed(struct leat_letters *letters, struct leat_letter_ticket *ticket,
                        const struct leat_error *err) LEAT_REQUIRES(letters->lock);
void leat_ticket_succeeded(struct leat_letters *letters, struct leat_letter_ticket *ticket)
    LEAT_REQUIRES(letters->lock);
/* Ended, and was cancelled meanwhile: it is nobody's any more, and freed by the next leat_letters_free_dropped. */
bool leat_ticket_is_dropped(struct leat_letters *letters, struct leat_letter_ticket *ticket)
    LEAT_REQUIRES(letters->lock);
void leat_letters_free_dropped(struct leat_letters *letters); /* without the lock */
/* Says whether letters are blocked, when that is another than before. Without any lock. */
void leat_letters_say_trouble(struct leat_letters *letters);
void leat_ticket_refused(struct leat_letter_ticket *ticket, const struct leat_error *err);
/* It is where it has to be: its owner is told. Without the lock; the ticket is under way. */
void leat_ticket_tell(struct leat_letter_ticket *ticket);

/* letters_lanes.c */
void leat_letters_lane_join(struct leat_letters *letters, struct leat_letter_ticket *ticket)
    LEAT_REQUIRES(letters->lock);
void leat_letters_lane_leave(struct leat_letters *letters, struct leat_letter_ticket *ticket)
    LEAT_REQUIRES(letters->lock);
void leat_letters_lane_succeeded(struct leat_letters_lane *lane);
void leat_letters_lane_failed(struct leat_letters_lane *lane, struct leat_random *random,
                              int64_t now_us);
/*
 * The next letter of a shard that has none at the archive, though the window is full or closed; NULL: none, and *ret_next_us is when
 * the first of these shards may ask again (INT64_MAX: that is an event).
 */
struct leat_letter_ticket *leat_letters_past_window(struct leat_letters *letters, int64_t now_us,
                                                    int64_t *ret_next_us)
    LEAT_REQUIRES(letters->lock);

/* letters_stream.c */
void leat_letters_stream_main(void *context);
/* Its turn at the dead-letter stream. */
void leat_letters_to_stream(struct leat_letters *letters, struct leat_letter_ticket *ticket)
    LEAT_REQUIRES(letters->lock);
bool leat_ticket_fits_stream(const struct leat_letter_ticket *ticket); /* whole, by its size */

/* envelope.c: as leat_letter_envelope, of a letter whose id is known. */
void leat_letter_envelope_as(const struct leat_letter *letter, const char *id,
                             struct leat_slice archive_url, int64_t now_us, struct leat_buf *out);

#endif
