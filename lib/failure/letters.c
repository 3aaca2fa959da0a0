/*
 * Letters: first the archive, here, then the dead-letter stream (letters_stream.c), then the answer. A put that fails is tried
 * again with backoff for as long as it takes: nothing is dropped, and `is_blocked` says who is in the way.
 *
 * Each place has a stage: what waits for it, fair by shard, and a window of what may be under way, which halves with a failure and
 * grows with a success; so an archive that is down is asked by few letters at a time, and one that throttles by as many as it takes.
 * A shard that has nothing under way asks past the archive's window (letters_lanes.c): what narrowed it may be another's alone.
 * A letter that fails waits by itself: the next one asks meanwhile.
 *
 * Stories. (1) Killed between the puts and the commit: the record is done again and its letters are put again under the same
 * name; a letter without a ledger row never happened. (2) Cancelled while it is under way: nobody waits; the thread that has it
 * frees it when the put ends. Only a done that is being called is waited for. (3) A place refuses a letter for good, because of
 * what is in it: it goes to the other place alone, and its text says so. An archive that refuses everything looks the same to one
 * letter: so another must have been stored since.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/memory.h"
#include "base/point.h"
#include "base/units.h"
#include "failure/letters_inside.h"
#include "stream/memory.h"

#define RETRY_BASE_US (200 * LEAT_MS_US)
#define RETRY_CAP_US (10 * LEAT_SECOND_US)
#define THROTTLE_CAP_US LEAT_SECOND_US
#define BLOCKED_AFTER_US LEAT_SECOND_US
#define THROTTLED_AFTER_US (3 * LEAT_SECOND_US)
#define MOST_BYTES_UNDER_WAY ((size_t)16 << 20)
#define TEXT_BYTES 1000

/* ---- stages -------------------------------------------------------------------------------------- */

void
leat_letters_stage_succeeded(struct leat_letters_stage *stage, int64_t now_us)
{
    stage->failures = 0;
    stage->open_at_us = 0;
    stage->stored_us = now_us;
    if (stage->window < stage->most)
        stage->window++;
}

/* Many that fail together are one failure. */
void
leat_letters_stage_failed(struct leat_letters_stage *stage, struct leat_random *random,
                          int64_t now_us)
{
    stage->window = stage->window > 1 ? stage->window / 2 : 1;
    if (now_us < stage->open_at_us)
        return;
    stage->open_at_us = now_us +
                        leat_backoff_us(random, RETRY_BASE_US, RETRY_CAP_US, stage->failures++);
}

/* ---- a ticket's life ----------------------------------------------------------------------------- */

static void
free_ticket(struct leat_letter_ticket *ticket)
{
    struct leat_memory *memory = ticket->letters->options.memory;

    if (memory != NULL)
        leat_memory_discharge(memory, ticket->letter.processor_index, LEAT_MEMORY_LETTERS,
                              ticket->charged_bytes);
    leat_mutex_lock(&ticket->letters->lock);
    leat_letters_lane_leave(ticket->letters, ticket);
    leat_mutex_unlock(&ticket->letters->lock);
    leat_buf_release(&ticket->envelope);
    leat_buf_release(&ticket->reference);
    leat_buf_release(&ticket->name);
    leat_buf_release(&ticket->url);
    leat_arena_release(&ticket->arena);
    free(ticket);
}

void
leat_ticket_begin(struct leat_letters *letters, struct leat_letter_ticket *ticket)
{
    ticket->is_under_way = true;
    ticket->item.previous = NULL;
    ticket->item.next = letters->under_way != NULL ? &letters->under_way->item : NULL;
    if (ticket->item.next != NULL)
        ticket->item.next->previous = &ticket->item;
    letters->under_way = ticket;
}

void
leat_ticket_end(struct leat_letters *letters, struct leat_letter_ticket *ticket)
{
    ticket->is_under_way = false;
    if (ticket->item.previous != NULL)
        ticket->item.previous->next = ticket->item.next;
    else
        letters->under_way = (struct leat_letter_ticket *)ticket->item.next;
    if (ticket->item.next != NULL)
        ticket->item.next->previous = ticket->item.previous;
    ticket->item.next = ticket->item.previous = NULL;
}

static void
stop_blocking(struct leat_letters *letters, struct leat_letter_ticket *ticket)
    LEAT_REQUIRES(letters->lock)
{
    if (!ticket->is_blocking)
        return;
    ticket->is_blocking = false;
    letters->blocking--;
    letters->counts.is_blocked = letters->blocking > 0;
}

/* Soon, by itself. A silence is none of these: it was waited for, and has lasted long enough already. */
static bool
may_pass(int code)
{
    return code == LEAT_E_THROTTLED || code == LEAT_E_UNAVAILABLE || code == LEAT_E_FORMAT ||
           code == LEAT_E_CANCELLED;
}

void
leat_ticket_failed(struct leat_letters *letters, struct leat_letter_ticket *ticket,
                   const struct leat_error *err)
{
    bool is_throttled = err->code == LEAT_E_THROTTLED;
    int64_t now_us = leat_clock_monotonic_us(), wait_us;

    wait_us = leat_backoff_us(&letters->random, RETRY_BASE_US,
                              is_throttled ? THROTTLE_CAP_US : RETRY_CAP_US, ticket->failures);
    ticket->failures++;
    if (ticket->failing_us == 0)
        ticket->failing_us = now_us;
    letters->counts.failures++;
    if (!may_pass(err->code) ||
        now_us - ticket->failing_us >= (is_throttled ? THROTTLED_AFTER_US : BLOCKED_AFTER_US)) {
        letters->blocking += !ticket->is_blocking;
        ticket->is_blocking = letters->counts.is_blocked = true;
        snprintf(letters->counts.blocked_by, sizeof letters->counts.blocked_by, "%.250s",
                 err->text);
    }
    leat_fair_queue_put(ticket->is_at_stream
                            ? ticket->company > 0 ? &letters->suspects : &letters->stream.queue
                            : &letters->archive.queue,
                        &ticket->item, now_us + wait_us);
}

void
leat_ticket_succeeded(struct leat_letters *letters, struct leat_letter_ticket *ticket)
{
    ticket->failures = 0;
    ticket->failing_us = 0;
    stop_blocking(letters, ticket);
}

bool
leat_ticket_is_dropped(struct leat_letters *letters, struct leat_letter_ticket *ticket)
{
    if (!ticket->is_cancelled)
        return false;
    stop_blocking(letters, ticket);
    letters->counts.waiting--;
    ticket->item.next = letters->dropped;
    letters->dropped = &ticket->item;
    return true;
}

void
leat_letters_free_dropped(struct leat_letters *letters)
{
    struct leat_fair_item *next;

    leat_mutex_lock(&letters->lock);
    next = letters->dropped;
    letters->dropped = NULL;
    leat_mutex_unlock(&letters->lock);
    while (next != NULL) {
        struct leat_fair_item *item = next;

        next = item->next;
        free_ticket((struct leat_letter_ticket *)item);
    }
}

void
leat_letters_say_trouble(struct leat_letters *letters)
{
    struct leat_error err = {0};

    leat_mutex_lock(&letters->lock);
    if (letters->is_saying || letters->options.trouble == NULL) {
        leat_mutex_unlock(&letters->lock);
        return;
    }
    letters->is_saying = true;
    while (letters->is_trouble_said != letters->counts.is_blocked) {
        bool is_blocked = letters->counts.is_blocked;

        letters->is_trouble_said = is_blocked;
        leat_error_set(&err, LEAT_E_UNAVAILABLE, "%s", letters->counts.blocked_by);
        leat_mutex_unlock(&letters->lock);
        letters->options.trouble(letters->options.context, is_blocked ? &err : NULL);
        leat_mutex_lock(&letters->lock);
    }
    letters->is_saying = false;
    leat_mutex_unlock(&letters->lock);
}

void
leat_ticket_refused(struct leat_letter_ticket *ticket, const struct leat_error *err)
{
    struct leat_letters *letters = ticket->letters;
    struct leat_error told = *err;

    snprintf(ticket->refusal, sizeof ticket->refusal, "%.290s", err->text);
    if (ticket->is_refusal_told)
        return;
    ticket->is_refusal_told = true;
    leat_mutex_lock(&letters->lock);
    letters->counts.refused++;
    leat_mutex_unlock(&letters->lock);
    leat_error_prefix(&told, "letter %.16s of shard \"%.*s\" is %s", ticket->id,
                      (int)(ticket->letter.shard.size < 100 ? ticket->letter.shard.size : 100),
                      (const char *)ticket->letter.shard.data,
                      ticket->is_at_stream ? "in the archive alone"
                                           : "in the dead-letter stream alone");
    if (letters->options.refused != NULL)
        letters->options.refused(letters->options.context, &told);
}

/* ---- the answer ---------------------------------------------------------------------------------- */

/* What the ledger says: the reason's text, and where the letter is not, if it is not everywhere. */
static struct leat_slice
ledger_text(struct leat_letter_ticket *ticket, struct leat_buf *text)
{
    if (ticket->refusal[0] == '\0')
        return ticket->letter.text;
    leat_buf_add_slice(text, ticket->letter.text);
    leat_buf_printf(text, "%s(%s: ", text->size > 0 ? " " : "",
                    ticket->archive_form == LEAT_LETTER_ELSEWHERE
                        ? "in the dead-letter stream alone, the archive refused it"
                        : "in the archive alone, the dead-letter stream refused it");
    leat_json_escape(text, leat_slice_from(ticket->refusal));
    leat_buf_add_byte(text, ')');
    return leat_buf_slice(text);
}

void
leat_ticket_tell(struct leat_letter_ticket *ticket)
{
    struct leat_letters *letters = ticket->letters;
    const struct leat_letter *letter = &ticket->letter;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_failure failure = {
        .dead_letter_id = leat_slice_from(ticket->id),
        .sequence = letter->sequence,
        .sub_sequence = letter->sub_sequence,
        .partition_key = letter->partition_key,
        .arrival_us = letter->arrival_us,
        .data_bytes = (int64_t)letter->data.size,
        .attempts = letter->attempts,
        .reason = letter->reason,
        .text = ledger_text(ticket, &text),
        .sqlstate = letter->sqlstate,
        .archive_url = leat_buf_slice(&ticket->url),
        .dead_letter_position = leat_slice_from(ticket->position),
    };

    LEAT_POINT("letter.sent");
    leat_mutex_lock(&letters->lock);
    leat_ticket_end(letters, ticket);
    leat_ticket_succeeded(letters, ticket);
    if (leat_ticket_is_dropped(letters, ticket)) {
        leat_mutex_unlock(&letters->lock);
        return;
    }
    letters->counts.waiting--;
    ticket->is_telling = true;
    leat_mutex_unlock(&letters->lock);
    ticket->done(ticket->context, &failure);
    leat_mutex_lock(&letters->lock);
    ticket->is_telling = false; /* from here on its canceller may free it */
    leat_condition_broadcast(&letters->told);
    leat_mutex_unlock(&letters->lock);
}

/* ---- the archive's stage ------------------------------------------------------------------------- */

static void
on_archived(struct leat_letter_ticket *ticket, struct leat_slice url)
{
    struct leat_letters *letters = ticket->letters;
    bool is_done = letters->options.dead_letters == NULL;

    LEAT_POINT("letter.archived");
    leat_buf_add_slice(&ticket->url, url);
    leat_mutex_lock(&letters->lock);
    letters->counts.archived++;
    leat_letters_stage_succeeded(&letters->archive, leat_clock_monotonic_us());
    leat_letters_lane_succeeded(ticket->lane);
    leat_ticket_succeeded(letters, ticket);
    if (!is_done) {
        leat_ticket_end(letters, ticket);
        if (!leat_ticket_is_dropped(letters, ticket))
            leat_letters_to_stream(letters, ticket);
    }
    leat_mutex_unlock(&letters->lock);
    if (is_done)
        leat_ticket_tell(ticket);
}

enum refusal { PASSES, SHORTER, ELSEWHERE };

/*
 * What a failure means for this letter. Refused for good: its shortest name is tried; then it may go to the dead-letter stream
 * alone, if the archive has taken another one since: else it may be the archive that takes nothing.
 */
static enum refusal
judge(struct leat_letters *letters, struct leat_letter_ticket *ticket, int status,
      const struct leat_error *err) LEAT_REQUIRES(letters->lock)
{
    if (!letters->options.archive->ops->is_refusal_ok ||
        (status != LEAT_E_INVALID && status != LEAT_E_LIMIT) || err->http_status < 400 ||
        err->http_status >= 500) {
        leat_letters_lane_failed(ticket->lane, &letters->random, leat_clock_monotonic_us());
        leat_letters_stage_failed(&letters->archive, &letters->random, leat_clock_monotonic_us());
        return PASSES;
    }
    if (ticket->archive_form == LEAT_LETTER_WHOLE) {
        ticket->archive_form = LEAT_LETTER_PLAIN;
        ticket->refused_us = leat_clock_monotonic_us();
        return SHORTER;
    }
    return letters->options.dead_letters != NULL && leat_ticket_fits_stream(ticket) &&
                   letters->archive.stored_us > ticket->refused_us
               ? ELSEWHERE
               : PASSES;
}

/* It is ours until the refusal is said. */
static void
go_elsewhere(struct leat_letter_ticket *ticket, const struct leat_error *err)
{
    struct leat_letters *letters = ticket->letters;

    leat_ticket_refused(ticket, err);
    leat_mutex_lock(&letters->lock);
    leat_ticket_end(letters, ticket);
    ticket->archive_form = LEAT_LETTER_ELSEWHERE; /* and it goes on blocking until it is stored */
    if (!leat_ticket_is_dropped(letters, ticket))
        leat_letters_to_stream(letters, ticket);
    leat_mutex_unlock(&letters->lock);
}

static void
on_failed(struct leat_letter_ticket *ticket, int status, const struct leat_error *err)
{
    struct leat_letters *letters = ticket->letters;
    enum refusal refusal;

    leat_mutex_lock(&letters->lock);
    refusal = judge(letters, ticket, status, err);
    if (refusal == ELSEWHERE) {
        leat_mutex_unlock(&letters->lock);
        go_elsewhere(ticket, err);
        return;
    }
    leat_ticket_end(letters, ticket);
    if (leat_ticket_is_dropped(letters, ticket)) {
        leat_mutex_unlock(&letters->lock);
        return;
    }
    if (refusal == SHORTER)
        leat_fair_queue_put(&letters->archive.queue, &ticket->item, 0);
    else
        leat_ticket_failed(letters, ticket, err);
    leat_mutex_unlock(&letters->lock);
}

static void
on_put_done(void *context, int status, struct leat_slice url, const struct leat_error *err)
{
    struct leat_letter_ticket *ticket = context;
    struct leat_letters *letters = ticket->letters;

    leat_mutex_lock(&letters->lock);
    letters->archive.under_way--;
    letters->archive.bytes_under_way -= ticket->envelope.size;
    letters->past_window -= ticket->is_past_window;
    ticket->is_past_window = false;
    ticket->lane->under_way--;
    leat_mutex_unlock(&letters->lock);
    if (status == 0)
        on_archived(ticket, url);
    else
        on_failed(ticket, status, err);
}

/* The next one, if the window has room for it; NULL: none now. */
static struct leat_letter_ticket *
next_within_window(struct leat_letters *letters, int64_t now_us) LEAT_REQUIRES(letters->lock)
{
    struct leat_letters_stage *stage = &letters->archive;
    struct leat_letter_ticket *ticket;

    if (stage->under_way >= stage->window || (stage->window == 1 && now_us < stage->open_at_us))
        return NULL;
    ticket = (struct leat_letter_ticket *)leat_fair_queue_first(&stage->queue, now_us);
    if (ticket == NULL || (stage->under_way > 0 &&
                           stage->bytes_under_way + ticket->envelope.size > MOST_BYTES_UNDER_WAY))
        return NULL;
    leat_fair_queue_take(&stage->queue, now_us);
    return ticket;
}

/* NULL: none, and *ret_next_us is when to look again though nothing happened. */
static struct leat_letter_ticket *
next_for_archive(struct leat_letters *letters, int64_t now_us, int64_t *ret_next_us)
    LEAT_REQUIRES(letters->lock)
{
    struct leat_letters_stage *stage = &letters->archive;
    struct leat_letter_ticket *ticket = next_within_window(letters, now_us);

    if (ticket == NULL) {
        ticket = leat_letters_past_window(letters, now_us, ret_next_us);
        if (ticket == NULL) {
            if (stage->window == 1 && stage->under_way == 0 && stage->open_at_us > now_us &&
                stage->open_at_us < *ret_next_us)
                *ret_next_us = stage->open_at_us;
            return NULL;
        }
        leat_fair_queue_remove(&stage->queue, &ticket->item);
        ticket->is_past_window = true;
        letters->past_window++;
    }
    leat_ticket_begin(letters, ticket);
    ticket->lane->under_way++;
    stage->under_way++;
    stage->bytes_under_way += ticket->envelope.size;
    return ticket;
}

static void
start_put(struct leat_letter_ticket *ticket)
{
    struct leat_archive *archive = ticket->letters->options.archive;
    struct leat_archive_put put = {NULL, leat_buf_slice(&ticket->envelope), on_put_done, ticket};
    LEAT_AUTO_BUF day = LEAT_BUF_INIT;

    leat_buf_clear(&ticket->name);
    if (ticket->archive_form == LEAT_LETTER_WHOLE) {
        /* By the record's day, not today's: the same name however often it fails. */
        leat_format_time(&day, ticket->letter.arrival_us > 0 ? ticket->letter.arrival_us : 0);
        day.size = 10;
        leat_archive_name(ticket->letter.application, ticket->letter.stream, leat_buf_text(&day),
                          ticket->id, &ticket->name);
    } else {
        leat_buf_printf(&ticket->name, "letters/%s.json", ticket->id);
    }
    put.name = leat_buf_text(&ticket->name);
    archive->ops->start(archive, &put);
}

static void
archive_main(void *context)
{
    struct leat_letters *letters = context;
    struct leat_archive *archive = letters->options.archive;

    for (;;) {
        int64_t now_us = leat_clock_monotonic_us(), until_us;
        struct leat_letter_ticket *ticket;

        leat_mutex_lock(&letters->lock);
        if (letters->is_stopping) {
            leat_mutex_unlock(&letters->lock);
            break;
        }
        while ((ticket = next_for_archive(letters, now_us, &until_us)) != NULL) {
            leat_mutex_unlock(&letters->lock);
            start_put(ticket);
            leat_mutex_lock(&letters->lock);
        }
        leat_mutex_unlock(&letters->lock);
        archive->ops->run(archive, until_us);
        leat_letters_free_dropped(letters);
        leat_letters_say_trouble(letters);
    }
    archive->ops->abandon(archive);
}

/* ---- made and freed ------------------------------------------------------------------------------ */

struct leat_letters *
leat_letters_new(const struct leat_letters_options *options, struct leat_error *err)
{
    struct leat_letters *letters = LEAT_NEW(struct leat_letters);
    int status;

    leat_is_unshared();
    letters->options = *options;
    leat_mutex_init(&letters->lock);
    leat_condition_init(&letters->told);
    leat_condition_init(&letters->stream_wakes);
    leat_map_init(&letters->lanes);
    leat_fair_queue_init(&letters->archive.queue);
    leat_fair_queue_init(&letters->stream.queue);
    leat_fair_queue_init(&letters->suspects);
    letters->archive.window = letters->archive.most = options->archive->ops->parallel;
    if (options->dead_letters != NULL)
        letters->stream.window = letters->stream.most =
            (unsigned)options->dead_letters->ops->most_letters;
    leat_random_seed(&letters->random, (uint64_t)leat_random_identity());
    status = leat_thread_start(&letters->archive_thread, "letters", archive_main, letters, err);
    if (status == 0 && options->dead_letters != NULL)
        status = leat_thread_start(&letters->stream_thread, "dead letters",
                                   leat_letters_stream_main, letters, err);
    if (status == 0)
        return letters;
    leat_letters_free(letters);
    return NULL;
}

void
leat_letters_free(struct leat_letters *letters)
{
    if (letters == NULL)
        return;
    leat_mutex_lock(&letters->lock);
    letters->is_stopping = true;
    leat_condition_broadcast(&letters->stream_wakes);
    leat_mutex_unlock(&letters->lock);
    letters->options.archive->ops->wake(letters->options.archive);
    if (letters->options.dead_letters != NULL)
        letters->options.dead_letters->ops->interrupt(letters->options.dead_letters);
    leat_thread_join(&letters->archive_thread);
    leat_thread_join(&letters->stream_thread);
    /* Cancelled while they were under way: nobody else frees them. */
    leat_mutex_lock(&letters->lock);
    while (letters->under_way != NULL) {
        struct leat_letter_ticket *ticket = letters->under_way;

        leat_ticket_end(letters, ticket);
        LEAT_ASSERT(leat_ticket_is_dropped(letters, ticket));
    }
    leat_mutex_unlock(&letters->lock);
    leat_letters_free_dropped(letters);
    leat_is_unshared();
    leat_map_release(&letters->lanes, NULL);
    leat_fair_queue_release(&letters->archive.queue);
    leat_fair_queue_release(&letters->stream.queue);
    leat_fair_queue_release(&letters->suspects);
    leat_condition_release(&letters->told);
    leat_condition_release(&letters->stream_wakes);
    leat_mutex_release(&letters->lock);
    free(letters);
}

/* ---- submit and cancel --------------------------------------------------------------------------- */

static struct leat_letter
copy_letter(const struct leat_letter *letter, struct leat_arena *arena)
{
    struct leat_letter copy = *letter;
    struct leat_slice *const slices[] = {
        &copy.application,       &copy.processor, &copy.tenant,   &copy.stream,
        &copy.stream_id,         &copy.shard,     &copy.sequence, &copy.partition_key,
        &copy.explicit_hash_key, &copy.reason,    &copy.text,     &copy.sqlstate,
    };

    if (copy.text.size > TEXT_BYTES)
        copy.text.size = TEXT_BYTES;
    for (size_t i = 0; i < LEAT_COUNT_OF(slices); i++)
        *slices[i] = leat_arena_copy(arena, *slices[i]);
    return copy;
}

/* The reason is a plugin's or a server's text: it must be storable wherever it goes. */
static void
make_text_safe(struct leat_letter *letter, struct leat_arena *arena)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    if (leat_utf8_is_valid(letter->text) &&
        memchr(letter->text.data, '\0', letter->text.size) == NULL)
        return;
    leat_json_escape(&text, letter->text);
    letter->text = leat_arena_copy(arena, leat_buf_slice(&text));
}

static bool
is_reason(struct leat_slice word)
{
    for (const char *const *reason = leat_letter_reasons; *reason != NULL; reason++) {
        if (leat_slice_is(word, *reason))
            return true;
    }
    return false;
}

/* Shards take turns, those of each processor. */
static struct leat_slice
lane_name(const struct leat_letter *letter, struct leat_arena *arena)
{
    LEAT_AUTO_BUF name = LEAT_BUF_INIT;

    leat_buf_add_slice(&name, letter->processor);
    leat_buf_add_byte(&name, '\0');
    leat_buf_add_slice(&name, letter->stream_id);
    leat_buf_add_byte(&name, '\0');
    leat_buf_add_slice(&name, letter->shard);
    return leat_arena_copy(arena, leat_buf_slice(&name));
}

static struct leat_letter_ticket *
new_ticket(struct leat_letters *letters, const struct leat_letter *letter)
{
    struct leat_letter_ticket *ticket = LEAT_NEW(struct leat_letter_ticket);

    leat_arena_init(&ticket->arena);
    leat_buf_init(&ticket->envelope, SIZE_MAX);
    leat_buf_init(&ticket->reference, SIZE_MAX);
    leat_buf_init(&ticket->name, SIZE_MAX);
    leat_buf_init(&ticket->url, SIZE_MAX);
    ticket->letters = letters;
    ticket->letter = copy_letter(letter, &ticket->arena);
    make_text_safe(&ticket->letter, &ticket->arena);
    ticket->item.lane_name = lane_name(letter, &ticket->arena);
    leat_dead_letter_id(letter, ticket->id);
    leat_letter_envelope_as(&ticket->letter, ticket->id, leat_slice_make(NULL, 0),
                            leat_clock_wall_us(), &ticket->envelope);
    ticket->letter.data.data = NULL; /* the caller's */
    ticket->charged_bytes = ticket->envelope.capacity + ticket->letter.partition_key.size + 1024;
    if (letters->options.memory != NULL)
        leat_memory_charge(letters->options.memory, letter->processor_index, LEAT_MEMORY_LETTERS,
                           ticket->charged_bytes);
    return ticket;
}

struct leat_letter_ticket *
leat_letters_submit(struct leat_letters *letters, const struct leat_letter *letter,
                    leat_letter_done_fn done, void *context)
{
    struct leat_letter_ticket *ticket;

    LEAT_ASSERT(is_reason(letter->reason));
    ticket = new_ticket(letters, letter);
    ticket->done = done;
    ticket->context = context;
    leat_mutex_lock(&letters->lock);
    leat_letters_lane_join(letters, ticket);
    leat_fair_queue_put(&letters->archive.queue, &ticket->item, 0);
    letters->counts.waiting++;
    leat_mutex_unlock(&letters->lock);
    letters->options.archive->ops->wake(letters->options.archive);
    return ticket;
}

static struct leat_fair_queue *
queue_of(struct leat_letters *letters, struct leat_letter_ticket *ticket)
    LEAT_REQUIRES(letters->lock)
{
    if (!ticket->is_at_stream)
        return &letters->archive.queue;
    return ticket->company > 0 ? &letters->suspects : &letters->stream.queue;
}

void
leat_letter_cancel(struct leat_letter_ticket *ticket)
{
    struct leat_letters *letters = ticket->letters;

    leat_mutex_lock(&letters->lock);
    ticket->is_cancelled = true;
    while (ticket->is_telling)
        leat_condition_wait(&letters->told, &letters->lock);
    if (ticket->is_under_way) {
        leat_mutex_unlock(&letters->lock);
        return;
    }
    if (ticket->item.is_queued) {
        leat_fair_queue_remove(queue_of(letters, ticket), &ticket->item);
        letters->counts.waiting--;
    }
    stop_blocking(letters, ticket);
    leat_mutex_unlock(&letters->lock);
    free_ticket(ticket);
}

void
leat_letters_counts(struct leat_letters *letters, struct leat_letters_counts *ret_counts)
{
    leat_mutex_lock(&letters->lock);
    *ret_counts = letters->counts;
    leat_mutex_unlock(&letters->lock);
}
