/*
 * The letters thread: first the archive, then the dead-letter stream, then the answer. A put that fails is tried again with
 * backoff for as long as it takes: nothing is dropped, and `is_blocked` says who is in the way.
 *
 * Stories. (1) Killed between the puts and the commit: the record is done again and its letters are put again under the same
 * name; a letter without a ledger row never happened. (2) Cancelled while it is being put: the put ends, the canceller
 * waits for that. A ticket is freed by its canceller alone, so that it may be cancelled at any time, also after done.
 */
#include "failure/letters.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/memory.h"
#include "base/point.h"
#include "base/random.h"
#include "base/thread.h"
#include "base/units.h"
#include "failure/archive.h"
#include "failure/dead_letter_stream.h"

#define RETRY_BASE_US (200 * LEAT_MS_US)
#define RETRY_CAP_US (10 * LEAT_SECOND_US)
#define LARGEST_ENVELOPE ((size_t)760 << 10) /* above, the letter refers to the archive */
#define TEXT_BYTES 1000

struct leat_letter_ticket {
    struct leat_letter_ticket *next;
    struct leat_letters *letters;
    struct leat_arena arena;
    struct leat_letter letter;
    leat_letter_done_fn done;
    void *context;
    bool is_cancelled, is_busy;
};

struct leat_letters {
    struct leat_letters_options options;
    struct leat_thread thread;
    struct leat_mutex lock;
    struct leat_condition condition, idle;
    struct leat_letter_ticket *first LEAT_FIELD_GUARDED_BY(lock),
        **last LEAT_FIELD_GUARDED_BY(lock);
    bool is_stopping LEAT_FIELD_GUARDED_BY(lock);
    struct leat_letters_counts counts LEAT_FIELD_GUARDED_BY(lock);
    struct leat_random random;
};

static void
free_ticket(struct leat_letter_ticket *ticket)
{
    leat_arena_release(&ticket->arena);
    free(ticket);
}

/* application/stream/2026-01-31/id.json; slashes in names become dashes. */
static void
object_name(const struct leat_letter *letter, int64_t now_us, struct leat_buf *out)
{
    struct leat_slice parts[] = {letter->application, letter->stream};
    LEAT_AUTO_BUF time = LEAT_BUF_INIT;
    char id[65];

    for (size_t p = 0; p < LEAT_COUNT_OF(parts); p++) {
        for (size_t i = 0; i < parts[p].size; i++)
            leat_buf_add_byte(out, parts[p].data[i] == '/' ? '-' : parts[p].data[i]);
        leat_buf_add_byte(out, '/');
    }
    leat_format_time(&time, now_us);
    leat_dead_letter_id(letter, id);
    leat_buf_printf(out, "%.10s/%s.json", leat_buf_text(&time), id);
}

static int
put_archive(struct leat_letters *letters, const struct leat_letter *letter,
            struct leat_buf *ret_url, struct leat_error *err)
{
    /* By the record's day, not today's: the same name however often it fails. */
    int64_t day_us = letter->arrival_us > 0 ? letter->arrival_us : 0;
    LEAT_AUTO_BUF name = LEAT_BUF_INIT;
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;

    object_name(letter, day_us, &name);
    leat_letter_envelope(letter, leat_slice_make(NULL, 0), leat_clock_wall_us(), &body);
    return leat_archive_put(letters->options.archive, leat_buf_text(&name), leat_buf_slice(&body),
                            ret_url, err);
}

static int
put_stream(struct leat_letters *letters, const struct leat_letter *letter,
           struct leat_slice archive_url, struct leat_buf *ret_position, struct leat_error *err)
{
    struct leat_dead_letter_stream *stream = letters->options.dead_letters;
    LEAT_AUTO_BUF body = LEAT_BUF_INIT;

    if (stream == NULL)
        return 0;
    leat_letter_envelope(letter, leat_slice_make(NULL, 0), leat_clock_wall_us(), &body);
    if (body.size > LARGEST_ENVELOPE) {
        leat_buf_clear(&body);
        leat_letter_envelope(letter, archive_url, leat_clock_wall_us(), &body);
    }
    return stream->ops->put(stream, letter->partition_key, leat_buf_slice(&body), ret_position,
                            err);
}

/* Waits before the next try; false: stopping, or the letter was cancelled. */
static bool
wait_for_retry(struct leat_letters *letters, struct leat_letter_ticket *ticket,
               const struct leat_error *err, unsigned attempt)
{
    int64_t until_us = leat_clock_monotonic_us() +
                       leat_backoff_us(&letters->random, RETRY_BASE_US, RETRY_CAP_US, attempt);
    bool goes_on, is_news;

    leat_mutex_lock(&letters->lock);
    letters->counts.failures++;
    is_news = !letters->counts.is_blocked;
    letters->counts.is_blocked = true;
    snprintf(letters->counts.blocked_by, sizeof letters->counts.blocked_by, "%.250s", err->text);
    leat_mutex_unlock(&letters->lock);
    if (is_news && letters->options.trouble != NULL)
        letters->options.trouble(letters->options.context, err);
    leat_mutex_lock(&letters->lock);
    while (!letters->is_stopping && !ticket->is_cancelled && leat_clock_monotonic_us() < until_us)
        leat_condition_wait_until(&letters->condition, &letters->lock, until_us);
    goes_on = !letters->is_stopping && !ticket->is_cancelled;
    leat_mutex_unlock(&letters->lock);
    return goes_on;
}

static struct leat_failure
ledger_row(const struct leat_letter *letter, struct leat_slice url, struct leat_slice position,
           const char *id)
{
    return (struct leat_failure){
        .dead_letter_id = leat_slice_from(id),
        .sequence = letter->sequence,
        .sub_sequence = letter->sub_sequence,
        .partition_key = letter->partition_key,
        .arrival_us = letter->arrival_us,
        .data_bytes = (int64_t)letter->data.size,
        .attempts = letter->attempts,
        .reason = letter->reason,
        .text = letter->text,
        .sqlstate = letter->sqlstate,
        .archive_url = url,
        .dead_letter_position = position,
    };
}

static void
unblock(struct leat_letters *letters)
{
    bool was_blocked;

    leat_mutex_lock(&letters->lock);
    was_blocked = letters->counts.is_blocked;
    letters->counts.is_blocked = false;
    letters->counts.archived++;
    letters->counts.dead_lettered += letters->options.dead_letters != NULL;
    leat_mutex_unlock(&letters->lock);
    if (was_blocked && letters->options.trouble != NULL)
        letters->options.trouble(letters->options.context, NULL);
}

static bool
is_cancelled(struct leat_letter_ticket *ticket)
{
    bool is_cancelled;

    leat_mutex_lock(&ticket->letters->lock);
    is_cancelled = ticket->is_cancelled;
    leat_mutex_unlock(&ticket->letters->lock);
    return is_cancelled;
}

/* One letter, until it is safe, or it is given up (cancelled, or we stop). */
static void
deliver(struct leat_letters *letters, struct leat_letter_ticket *ticket)
{
    const struct leat_letter *letter = &ticket->letter;
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    LEAT_AUTO_BUF position = LEAT_BUF_INIT;
    struct leat_failure failure;
    struct leat_error err = {0};
    char id[65];

    for (unsigned attempt = 0;; attempt++) {
        int status = url.size > 0 ? 0 : put_archive(letters, letter, &url, &err);

        LEAT_POINT("letter.archived");
        if (status == 0)
            status = put_stream(letters, letter, leat_buf_slice(&url), &position, &err);
        if (status == 0)
            break;
        if (!wait_for_retry(letters, ticket, &err, attempt))
            return;
    }
    LEAT_POINT("letter.sent");
    unblock(letters);
    leat_dead_letter_id(letter, id);
    failure = ledger_row(letter, leat_buf_slice(&url), leat_buf_slice(&position), id);
    if (!is_cancelled(ticket))
        ticket->done(ticket->context, &failure);
}

static struct leat_letter_ticket *
next_ticket(struct leat_letters *letters)
{
    struct leat_letter_ticket *ticket;

    leat_mutex_lock(&letters->lock);
    while (letters->first == NULL && !letters->is_stopping)
        leat_condition_wait(&letters->condition, &letters->lock);
    ticket = letters->is_stopping ? NULL : letters->first;
    if (ticket != NULL) {
        letters->first = ticket->next;
        if (letters->first == NULL)
            letters->last = &letters->first;
        ticket->is_busy = true;
    }
    leat_mutex_unlock(&letters->lock);
    return ticket;
}

static void
letters_main(void *context)
{
    struct leat_letters *letters = context;
    struct leat_letter_ticket *ticket;

    while ((ticket = next_ticket(letters)) != NULL) {
        deliver(letters, ticket);
        leat_mutex_lock(&letters->lock);
        ticket->is_busy = false;
        letters->counts.waiting--;
        leat_condition_broadcast(&letters->idle);
        leat_mutex_unlock(&letters->lock);
    }
}

struct leat_letters *
leat_letters_new(const struct leat_letters_options *options, struct leat_error *err)
{
    struct leat_letters *letters = LEAT_NEW(struct leat_letters);

    leat_is_unshared();
    letters->options = *options;
    leat_mutex_init(&letters->lock);
    leat_condition_init(&letters->condition);
    leat_condition_init(&letters->idle);
    letters->last = &letters->first;
    leat_random_seed(&letters->random, (uint64_t)leat_random_identity());
    if (leat_thread_start(&letters->thread, "letters", letters_main, letters, err) != 0) {
        leat_letters_free(letters);
        return NULL;
    }
    return letters;
}

void
leat_letters_free(struct leat_letters *letters)
{
    if (letters == NULL)
        return;
    leat_mutex_lock(&letters->lock);
    letters->is_stopping = true;
    leat_condition_broadcast(&letters->condition);
    leat_mutex_unlock(&letters->lock);
    leat_thread_join(&letters->thread);
    leat_is_unshared();
    leat_condition_release(&letters->condition);
    leat_condition_release(&letters->idle);
    leat_mutex_release(&letters->lock);
    free(letters);
}

static struct leat_letter
copy_letter(const struct leat_letter *letter, struct leat_arena *arena)
{
    struct leat_letter copy = *letter;
    struct leat_slice *const slices[] = {
        &copy.application,       &copy.processor, &copy.tenant,   &copy.stream,
        &copy.stream_id,         &copy.shard,     &copy.sequence, &copy.partition_key,
        &copy.explicit_hash_key, &copy.data,      &copy.reason,   &copy.text,
        &copy.sqlstate,
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

struct leat_letter_ticket *
leat_letters_submit(struct leat_letters *letters, const struct leat_letter *letter,
                    leat_letter_done_fn done, void *context)
{
    struct leat_letter_ticket *ticket = LEAT_NEW(struct leat_letter_ticket);

    LEAT_ASSERT(is_reason(letter->reason));
    leat_arena_init(&ticket->arena);
    ticket->letters = letters;
    ticket->letter = copy_letter(letter, &ticket->arena);
    make_text_safe(&ticket->letter, &ticket->arena);
    ticket->done = done;
    ticket->context = context;
    leat_mutex_lock(&letters->lock);
    *letters->last = ticket;
    letters->last = &ticket->next;
    letters->counts.waiting++;
    leat_condition_broadcast(&letters->condition);
    leat_mutex_unlock(&letters->lock);
    return ticket;
}

static void
unlink_ticket(struct leat_letters *letters, struct leat_letter_ticket *ticket)
    LEAT_REQUIRES(letters->lock)
{
    for (struct leat_letter_ticket **link = &letters->first; *link != NULL; link = &(*link)->next) {
        if (*link != ticket)
            continue;
        *link = ticket->next;
        if (*link == NULL)
            letters->last = link;
        letters->counts.waiting--;
        return;
    }
}

void
leat_letter_cancel(struct leat_letter_ticket *ticket)
{
    struct leat_letters *letters = ticket->letters;

    leat_mutex_lock(&letters->lock);
    ticket->is_cancelled = true;
    leat_condition_broadcast(&letters->condition);
    while (ticket->is_busy)
        leat_condition_wait(&letters->idle, &letters->lock);
    unlink_ticket(letters, ticket);
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
