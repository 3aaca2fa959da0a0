/*
 * The second thread of letters: what lies in the archive goes on to the dead-letter stream, as many in one call as it takes and as
 * there are, shards in turn.
 *
 * A call in which single letters failed leaves those alone behind. A call that was refused for what is in it is tried again in
 * halves, behind everything else that waits, until the guilty letter stands alone; that one is put by reference, under a key
 * that holds nothing of the record's, and if even this is refused it stays in the archive alone.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "failure/letters_inside.h"

#define LARGEST_ENVELOPE ((size_t)760 << 10) /* above, the letter refers to the archive */
#define MOST_LETTERS 500
#define WIDENS_BY 50
#define NARROWEST 25 /* of a stream that throttles: fewer would not be fairer to it, only slower */

/* One call. */
struct call {
    struct leat_letter_ticket *tickets[MOST_LETTERS];
    struct leat_dead_letter letters[MOST_LETTERS];
    char keys[MOST_LETTERS][65];
    size_t count, bytes;
};

bool
leat_ticket_fits_stream(const struct leat_letter_ticket *ticket)
{
    return ticket->envelope.size <= LARGEST_ENVELOPE;
}

void
leat_letters_to_stream(struct leat_letters *letters, struct leat_letter_ticket *ticket)
{
    ticket->is_at_stream = true;
    leat_fair_queue_put(&letters->stream.queue, &ticket->item, 0);
    leat_condition_signal(&letters->stream_wakes);
}

/* ---- what goes into a call ----------------------------------------------------------------------- */

static bool
is_by_reference(const struct leat_letter_ticket *ticket)
{
    return ticket->archive_form != LEAT_LETTER_ELSEWHERE &&
           (ticket->stream_form != LEAT_LETTER_WHOLE || !leat_ticket_fits_stream(ticket));
}

/* About: a reference is short. */
static size_t
bytes_of(const struct leat_letter_ticket *ticket)
{
    return is_by_reference(ticket) ? (size_t)8 << 10 : ticket->envelope.size + 256;
}

static void
collect(struct leat_letters *letters, struct leat_fair_queue *queue, struct call *call)
    LEAT_REQUIRES(letters->lock)
{
    size_t most = letters->stream.window < MOST_LETTERS ? letters->stream.window : MOST_LETTERS;
    size_t most_bytes = letters->options.dead_letters->ops->most_bytes;
    int64_t now_us = leat_clock_monotonic_us();

    call->count = call->bytes = 0;
    while (call->count < most) {
        struct leat_letter_ticket *ticket =
            (struct leat_letter_ticket *)leat_fair_queue_first(queue, now_us);

        if (ticket == NULL || (ticket->company > 0 && ticket->company <= call->count) ||
            (call->count > 0 && call->bytes + bytes_of(ticket) > most_bytes))
            break;
        leat_fair_queue_take(queue, now_us);
        leat_ticket_begin(letters, ticket);
        if (ticket->company > 0 && ticket->company < most)
            most = ticket->company;
        call->bytes += bytes_of(ticket);
        call->tickets[call->count++] = ticket;
    }
}

/* Those of a refused call and the others take turns. */
static bool
collect_any(struct leat_letters *letters, struct call *call) LEAT_REQUIRES(letters->lock)
{
    struct leat_fair_queue *first = letters->are_suspects_next ? &letters->suspects
                                                               : &letters->stream.queue;
    struct leat_fair_queue *second = letters->are_suspects_next ? &letters->stream.queue
                                                                : &letters->suspects;

    letters->are_suspects_next = !letters->are_suspects_next;
    collect(letters, first, call);
    if (call->count == 0)
        collect(letters, second, call);
    return call->count > 0;
}

static int64_t
next_look_us(struct leat_letters *letters, int64_t now_us) LEAT_REQUIRES(letters->lock)
{
    int64_t next_us = leat_fair_queue_next_us(&letters->stream.queue, now_us);
    int64_t suspects_us = leat_fair_queue_next_us(&letters->suspects, now_us);

    if (suspects_us < next_us)
        next_us = suspects_us;
    return next_us < letters->stream.open_at_us ? letters->stream.open_at_us : next_us;
}

/* false: stopping. */
static bool
wait_for_call(struct leat_letters *letters, struct call *call)
{
    bool is_stopping;

    leat_mutex_lock(&letters->lock);
    for (;;) {
        int64_t now_us = leat_clock_monotonic_us(), next_us = next_look_us(letters, now_us);

        if (letters->is_stopping || (next_us <= now_us && collect_any(letters, call)))
            break;
        if (next_us == INT64_MAX)
            leat_condition_wait(&letters->stream_wakes, &letters->lock);
        else
            leat_condition_wait_until(&letters->stream_wakes, &letters->lock, next_us);
    }
    is_stopping = letters->is_stopping;
    leat_mutex_unlock(&letters->lock);
    return !is_stopping;
}

static void
fill(struct call *call)
{
    for (size_t i = 0; i < call->count; i++) {
        struct leat_letter_ticket *ticket = call->tickets[i];
        struct leat_dead_letter *letter = &call->letters[i];
        bool is_plain = ticket->stream_form != LEAT_LETTER_WHOLE;

        *letter = (struct leat_dead_letter){.body = leat_buf_slice(&ticket->envelope)};
        letter->partition_key =
            is_plain ? leat_slice_from(ticket->id)
                     : leat_dead_letter_key(ticket->letter.partition_key, call->keys[i]);
        if (!is_by_reference(ticket))
            continue;
        leat_buf_clear(&ticket->reference);
        leat_letter_envelope_as(&ticket->letter, ticket->id, leat_buf_slice(&ticket->url),
                                leat_clock_wall_us(), &ticket->reference);
        letter->body = leat_buf_slice(&ticket->reference);
    }
}

/* ---- what came of it ----------------------------------------------------------------------------- */

/* Still in the list of those under way: put back, or free. */
static void
try_later(struct leat_letters *letters, struct leat_letter_ticket *ticket,
          const struct leat_error *err) LEAT_REQUIRES(letters->lock)
{
    leat_ticket_end(letters, ticket);
    if (!leat_ticket_is_dropped(letters, ticket))
        leat_ticket_failed(letters, ticket, err);
}

static void
try_again(struct leat_letters *letters, struct leat_letter_ticket *ticket)
    LEAT_REQUIRES(letters->lock)
{
    leat_ticket_end(letters, ticket);
    if (!leat_ticket_is_dropped(letters, ticket))
        leat_fair_queue_put(&letters->suspects, &ticket->item, 0);
}

static void
on_stored(struct leat_letter_ticket *ticket, const char *position)
{
    struct leat_letters *letters = ticket->letters;

    snprintf(ticket->position, sizeof ticket->position, "%s", position);
    leat_mutex_lock(&letters->lock);
    letters->counts.dead_lettered++;
    leat_mutex_unlock(&letters->lock);
    leat_ticket_tell(ticket);
}

/* It alone was refused. */
static void
on_refused(struct leat_letter_ticket *ticket, const struct leat_error *err)
{
    struct leat_letters *letters = ticket->letters;
    bool is_given_up = ticket->stream_form != LEAT_LETTER_WHOLE;

    if (is_given_up && ticket->archive_form != LEAT_LETTER_ELSEWHERE) {
        ticket->stream_form = LEAT_LETTER_ELSEWHERE;
        leat_ticket_refused(ticket, err);
        leat_ticket_tell(ticket);
        return;
    }
    leat_mutex_lock(&letters->lock);
    ticket->company = 1;
    if (!is_given_up) {
        ticket->stream_form = LEAT_LETTER_PLAIN;
        try_again(letters, ticket);
    } else {
        /* Neither of the two takes it: it waits, visibly, and holds up its own shard alone. */
        ticket->archive_form = LEAT_LETTER_PLAIN;
        ticket->is_at_stream = false;
        ticket->refusal[0] = '\0';
        try_later(letters, ticket, err);
    }
    leat_mutex_unlock(&letters->lock);
}

/* All of the call, as one: nothing is known to be stored. */
static void
on_call_failed(struct leat_letters *letters, struct call *call, bool is_refused,
               const struct leat_error *err)
{
    if (is_refused && call->count == 1) {
        on_refused(call->tickets[0], err);
        return;
    }
    leat_mutex_lock(&letters->lock);
    if (!is_refused)
        leat_letters_stage_failed(&letters->stream, &letters->random, leat_clock_monotonic_us());
    for (size_t i = 0; i < call->count; i++) {
        if (is_refused) {
            call->tickets[i]->company = call->count / 2;
            try_again(letters, call->tickets[i]);
        } else {
            try_later(letters, call->tickets[i], err);
        }
    }
    leat_mutex_unlock(&letters->lock);
}

/* A stream that throttles is asked for what it took the last time, one that takes all for more. */
static void
fit_window(struct leat_letters *letters, const struct call *call)
{
    struct leat_letters_stage *stage = &letters->stream;
    size_t throttled = 0, taken;

    for (size_t i = 0; i < call->count; i++)
        throttled += call->letters[i].err.code == LEAT_E_THROTTLED;
    taken = call->count - throttled;
    leat_mutex_lock(&letters->lock);
    if (taken == 0) {
        leat_letters_stage_failed(stage, &letters->random, leat_clock_monotonic_us());
    } else {
        stage->failures = 0;
        stage->open_at_us = 0;
        if (throttled > 0)
            stage->window = taken > NARROWEST ? (unsigned)taken : NARROWEST;
        else if (call->count >= stage->window)
            stage->window = stage->window + WIDENS_BY < stage->most ? stage->window + WIDENS_BY
                                                                    : stage->most;
    }
    leat_mutex_unlock(&letters->lock);
}

static void
put(struct leat_letters *letters, struct call *call)
{
    struct leat_dead_letter_stream *stream = letters->options.dead_letters;
    struct leat_error err = {0};
    bool is_refused = false;

    fill(call);
    if (stream->ops->put(stream, call->letters, call->count, &is_refused, &err) != 0) {
        on_call_failed(letters, call, is_refused, &err);
        return;
    }
    fit_window(letters, call);
    for (size_t i = 0; i < call->count; i++) {
        const struct leat_dead_letter *letter = &call->letters[i];

        if (letter->err.code == 0) {
            on_stored(call->tickets[i], letter->position);
        } else if (letter->is_refused) {
            on_refused(call->tickets[i], &letter->err);
        } else {
            leat_mutex_lock(&letters->lock);
            try_later(letters, call->tickets[i], &letter->err);
            leat_mutex_unlock(&letters->lock);
        }
    }
}

void
leat_letters_stream_main(void *context)
{
    struct leat_letters *letters = context;
    struct call *call = LEAT_NEW(struct call);

    while (wait_for_call(letters, call)) {
        put(letters, call);
        leat_letters_free_dropped(letters);
        leat_letters_say_trouble(letters);
    }
    free(call);
}
