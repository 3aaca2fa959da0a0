/*
 * The fetch thread. Each feed is a small machine on the loop: it reads when its consumer wants more, its shard's limiter
 * allows a call and the budget grants a reservation; otherwise it waits for exactly one of a timer, room or its consumer.
 *
 * Threads: feeds, readers and limiters belong to the fetch thread; other threads post to it. Close waits for the thread,
 * so that nothing is delivered after it: the caller holds no lock that `deliver` takes.
 */
#include "stream/fetch.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "aws/http.h"
#include "base/clock.h"
#include "base/labels.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread.h"
#include "stream/limiter.h"

#define WANTED_CHUNKS 2
#define FIRST_RESERVATION ((size_t)1 << 20)
#define LARGEST_PAYLOAD ((size_t)10 << 20)
#define LASTING_US (2 * LEAT_SECOND_US)
/* A shard that others read, too, gives nothing for some seconds without being out of order. */
#define LASTING_PACE_US (30 * LEAT_SECOND_US)
#define ROUND_US (1 * LEAT_SECOND_US)

struct shard_limiter {
    struct leat_limiter limiter;
    unsigned feeds;
};

/* Of a stream; kept when its feeds are closed, since counters never go back. */
struct counts {
    _Atomic uint64_t reads, throttles, errors, records, bytes;
};

struct leat_feed {
    struct leat_fetcher *fetcher;
    struct counts *counts;                          /* of its stream; the fetcher's */
    struct leat_feed *next;                         /* of the fetcher's list */
    struct leat_feed *next_waiting, **waiting_link; /* for room; link NULL: it does not wait */
    struct leat_source *source;
    struct leat_reader *reader;
    char *shard;
    unsigned processor;
    struct leat_feed_events events;
    struct shard_limiter *limiter;
    struct leat_loop_timer *timer;
    struct leat_position position; /* where to begin, until the reader is open */
    uint64_t generation;
    _Atomic unsigned queued;
    _Atomic unsigned is_paused; /* a word of its own: gcc loads neighbouring bools as one */
    bool is_reading, is_stopped;
    struct leat_reservation reservation;
    struct leat_limiter_charge charge;
    size_t last_bytes, needed_bytes;
    int64_t asked_at_us, behind_ms;       /* behind: as of the last answer; -1: not known */
    int64_t next_at_us, failing_since_us; /* 0: not failing */
    bool is_told;                         /* of the lasting outage */
};

struct leat_fetcher {
    struct leat_fetcher_options options;
    struct leat_event_loop *loop;
    struct leat_thread thread;
    _Atomic bool is_stopping;
    struct leat_feed *feeds;
    struct leat_feed *waiting, **waiting_end; /* for room, in the order of their refusals */
    struct leat_map limiters;
    struct counts *_Atomic *counts; /* leat_labels_size of them; NULL: nothing was read of it */
};

static void try_read(struct leat_feed *feed);

static void
stop_waiting(struct leat_feed *feed)
{
    if (feed->waiting_link == NULL)
        return;
    *feed->waiting_link = feed->next_waiting;
    if (feed->next_waiting != NULL)
        feed->next_waiting->waiting_link = feed->waiting_link;
    else
        feed->fetcher->waiting_end = feed->waiting_link;
    feed->next_waiting = NULL;
    feed->waiting_link = NULL;
}

/* Behind all others, unless it stands there already. */
static void
wait_for_room(struct leat_feed *feed)
{
    struct leat_fetcher *fetcher = feed->fetcher;

    if (feed->waiting_link != NULL)
        return;
    feed->waiting_link = fetcher->waiting_end;
    *fetcher->waiting_end = feed;
    fetcher->waiting_end = &feed->next_waiting;
}

static void
timer_fired(void *context)
{
    struct leat_feed *feed = context;

    feed->timer = NULL;
    try_read(feed);
}

static void
wait_until(struct leat_feed *feed, int64_t at_us)
{
    if (feed->timer == NULL)
        feed->timer = leat_event_loop_timer(feed->fetcher->loop, at_us, timer_fired, feed);
}

static size_t
reservation_for(const struct leat_feed *feed)
{
    size_t bytes = feed->last_bytes * 2;

    if (bytes < FIRST_RESERVATION)
        bytes = FIRST_RESERVATION;
    if (bytes > LEAT_FEED_USUAL_BYTES)
        bytes = LEAT_FEED_USUAL_BYTES;
    if (bytes < feed->needed_bytes)
        bytes = feed->needed_bytes;
    return bytes < LEAT_MEMORY_SPARE_BYTES ? bytes : LEAT_MEMORY_SPARE_BYTES;
}

static void
tell_trouble(struct leat_feed *feed, const struct leat_read_result *result)
{
    feed->events.trouble(feed->events.context, feed->generation, result);
}

/* An answer: the outage, if there was one, is over. */
static void
answered(struct leat_feed *feed)
{
    struct leat_read_result well = {.outcome = LEAT_READ_OK};

    feed->failing_since_us = 0;
    if (feed->is_told)
        tell_trouble(feed, &well);
    feed->is_told = false;
}

static void
deliver(struct leat_feed *feed, const struct leat_read_result *result)
{
    struct leat_chunk *chunk = result->chunk;
    int64_t now_us = leat_clock_monotonic_us();
    size_t bytes = chunk->held_bytes < feed->reservation.bytes ? chunk->held_bytes
                                                               : feed->reservation.bytes;
    bool is_at_tip =
        chunk->count == 0 ||
        (chunk->behind_ms >= 0 && chunk->behind_ms * LEAT_MS_US < feed->fetcher->options.idle_us);

    answered(feed);
    feed->needed_bytes = 0;
    feed->last_bytes = bytes;
    feed->behind_ms = chunk->behind_ms;
    leat_limiter_answered(&feed->limiter->limiter, feed->asked_at_us, &feed->charge,
                          chunk->payload_bytes);
    leat_memory_settle(feed->fetcher->options.memory, &feed->reservation, bytes);
    chunk->asked_at_us = feed->asked_at_us;
    chunk->memory = feed->fetcher->options.memory;
    chunk->reservation = feed->reservation;
    feed->counts->records += chunk->count;
    feed->counts->bytes += bytes;
    feed->next_at_us = is_at_tip ? now_us + feed->fetcher->options.idle_us : 0;
    feed->is_stopped = chunk->is_shard_end;
    if (chunk->count > 0 || chunk->is_shard_end)
        feed->queued++;
    feed->events.deliver(feed->events.context, feed->generation, chunk);
}

static void
failed(struct leat_feed *feed, const struct leat_read_result *result)
{
    int64_t now_us = leat_clock_monotonic_us();
    int64_t lasting_us = result->is_over_pace ? LASTING_PACE_US : LASTING_US;

    feed->counts->errors++;
    feed->counts->throttles += result->err.is_throttled;
    feed->next_at_us = result->retry_at_us;
    if (result->is_over_pace)
        leat_limiter_refused(&feed->limiter->limiter, feed->asked_at_us, &feed->charge, now_us);
    else
        leat_limiter_failed(&feed->limiter->limiter, &feed->charge);
    if (result->outcome == LEAT_READ_GONE || result->outcome == LEAT_READ_INVALID)
        feed->is_stopped = true;
    if (result->outcome != LEAT_READ_AGAIN) {
        if (!feed->is_told)
            tell_trouble(feed, result);
        feed->is_told = !feed->is_stopped;
        return;
    }
    /* Since it was asked: a silence is as long as it was, not as its end. */
    if (feed->failing_since_us == 0)
        feed->failing_since_us = feed->asked_at_us;
    /* Long already, or long from now on (the service says when to come again). */
    if (!feed->is_told && (now_us - feed->failing_since_us >= lasting_us ||
                           result->retry_at_us - now_us >= lasting_us)) {
        feed->is_told = true;
        tell_trouble(feed, result);
    }
}

/* The service has counted it all the same. */
static void
too_large(struct leat_feed *feed, size_t needed_bytes)
{
    size_t counted = needed_bytes < LARGEST_PAYLOAD ? needed_bytes : LARGEST_PAYLOAD;

    feed->needed_bytes = needed_bytes;
    leat_limiter_answered(&feed->limiter->limiter, feed->asked_at_us, &feed->charge, counted);
}

static void
read_done(void *context, const struct leat_read_result *result)
{
    struct leat_feed *feed = context;

    feed->is_reading = false;
    feed->counts->reads++;
    if (result->outcome == LEAT_READ_OK) {
        deliver(feed, result);
    } else {
        leat_memory_give_back(feed->fetcher->options.memory, &feed->reservation);
        if (result->outcome == LEAT_READ_TOO_LARGE)
            too_large(feed, result->needed_bytes);
        else
            failed(feed, result);
    }
    try_read(feed);
}

/*
 * Where the pace is what holds us, as much as the service gives at once, as long as the budget has plenty of room: the last
 * answer of a catch-up is not waited for. Otherwise answers of a good size (kinesis_reader.c).
 */
static bool
reserve(struct leat_feed *feed, int64_t now_us)
{
    struct leat_memory *memory = feed->fetcher->options.memory;

    if (feed->source->ops->has_limits && feed->behind_ms != 0 && feed->needed_bytes == 0 &&
        leat_limiter_wants_all(&feed->limiter->limiter, now_us) &&
        leat_memory_reserve_plenty(memory, feed->processor, LEAT_MEMORY_SPARE_BYTES,
                                   &feed->reservation))
        return true;
    return leat_memory_reserve(memory, feed->processor, reservation_for(feed), &feed->reservation);
}

/* Begins a read if it may; otherwise the feed waits for exactly one thing. */
static void
ask(struct leat_feed *feed)
{
    int64_t now_us = leat_clock_monotonic_us();
    int64_t next_us = leat_limiter_next_us(&feed->limiter->limiter, now_us);
    bool is_wanted = feed->reader != NULL && !feed->is_reading && !feed->is_stopped &&
                     !feed->is_paused && feed->queued < WANTED_CHUNKS;

    if (is_wanted && next_us > now_us && feed->next_at_us <= now_us)
        leat_limiter_held(&feed->limiter->limiter);
    if (next_us < feed->next_at_us)
        next_us = feed->next_at_us;
    if (!is_wanted || next_us > now_us) {
        stop_waiting(feed);
        if (is_wanted)
            wait_until(feed, next_us);
        return;
    }
    if (!reserve(feed, now_us)) {
        wait_for_room(feed);
        return;
    }
    stop_waiting(feed);
    feed->is_reading = true;
    feed->asked_at_us = now_us;
    feed->charge = leat_limiter_called(&feed->limiter->limiter, now_us);
    feed->source->ops->read(feed->reader, feed->reservation.bytes, read_done, feed);
}

/* Not before the one that has waited longest for room. */
static void
try_read(struct leat_feed *feed)
{
    struct leat_feed *first = feed->fetcher->waiting;

    if (first != NULL && first != feed)
        ask(first);
    ask(feed);
}

/* Bytes came back: who waited longest is asked first, and keeps its place while it is refused. */
static void
room_came(void *context)
{
    struct leat_fetcher *fetcher = context;
    struct leat_feed *feed = fetcher->waiting, *next;

    for (; feed != NULL; feed = next) {
        next = feed->next_waiting;
        ask(feed);
    }
}

static void
post_room(void *context)
{
    struct leat_fetcher *fetcher = context;

    leat_event_loop_post(fetcher->loop, room_came, fetcher);
}

static void
fetch_main(void *context)
{
    struct leat_fetcher *fetcher = context;

    while (!fetcher->is_stopping)
        leat_event_loop_run_once(fetcher->loop, leat_clock_monotonic_us() + ROUND_US);
}

struct leat_fetcher *
leat_fetcher_new(const struct leat_fetcher_options *options, struct leat_error *err)
{
    struct leat_fetcher *fetcher = LEAT_NEW(struct leat_fetcher);

    fetcher->options = *options;
    if (fetcher->options.idle_us <= 0)
        fetcher->options.idle_us = 200 * LEAT_MS_US;
    fetcher->waiting_end = &fetcher->waiting;
    leat_map_init(&fetcher->limiters);
    fetcher->counts =
        LEAT_NEW_ARRAY(struct counts * _Atomic, leat_labels_size(options->stream_labels));
    fetcher->loop = leat_event_loop_new(NULL, err);
    if (fetcher->loop == NULL) {
        free(fetcher->counts);
        free(fetcher);
        return NULL;
    }
    leat_memory_on_room(options->memory, post_room, fetcher);
    if (leat_thread_start(&fetcher->thread, "fetch", fetch_main, fetcher, err) != 0) {
        leat_fetcher_free(fetcher);
        return NULL;
    }
    return fetcher;
}

void
leat_fetcher_free(struct leat_fetcher *fetcher)
{
    if (fetcher == NULL)
        return;
    fetcher->is_stopping = true;
    leat_event_loop_wake(fetcher->loop);
    leat_thread_join(&fetcher->thread);
    LEAT_ASSERT(fetcher->feeds == NULL);
    leat_memory_on_room(fetcher->options.memory, NULL, NULL);
    leat_event_loop_free(fetcher->loop);
    leat_map_release(&fetcher->limiters, free);
    for (size_t i = 0; i < leat_labels_size(fetcher->options.stream_labels); i++)
        free(fetcher->counts[i]);
    free(fetcher->counts);
    free(fetcher);
}

struct leat_event_loop *
leat_fetcher_loop(struct leat_fetcher *fetcher)
{
    return fetcher->loop;
}

static void
limiter_key(const struct leat_feed *feed, struct leat_buf *out)
{
    leat_buf_printf(out, "%p %s", (void *)feed->source, feed->shard);
}

static struct shard_limiter *
limiter_take(struct leat_feed *feed)
{
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    struct shard_limiter *limiter;

    limiter_key(feed, &key);
    limiter = leat_map_get(&feed->fetcher->limiters, leat_buf_slice(&key));
    if (limiter == NULL) {
        limiter = LEAT_NEW(struct shard_limiter);
        leat_limiter_init(&limiter->limiter, feed->source->is_aws,
                          (uint64_t)leat_random_identity());
        if (feed->source->ops->has_limits) {
            limiter->limiter.calls_ceiling = feed->fetcher->options.calls_per_second;
            limiter->limiter.bytes_ceiling = feed->fetcher->options.bytes_per_second;
        }
        leat_map_put(&feed->fetcher->limiters, leat_buf_slice(&key), limiter);
    }
    limiter->feeds++;
    return limiter;
}

static void
limiter_release(struct leat_feed *feed)
{
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;

    limiter_key(feed, &key);
    if (--feed->limiter->feeds == 0)
        free(leat_map_remove(&feed->fetcher->limiters, leat_buf_slice(&key)));
}

static void
do_open(void *context)
{
    struct leat_feed *feed = context;

    feed->next = feed->fetcher->feeds;
    feed->fetcher->feeds = feed;
    feed->limiter = limiter_take(feed);
    feed->reader = feed->source->ops->reader_open(feed->source, feed->fetcher->loop,
                                                  leat_slice_from(feed->shard), &feed->position);
    try_read(feed);
}

static struct counts *
counts_of(struct leat_fetcher *fetcher, const char *stream)
{
    size_t index = leat_labels_index(fetcher->options.stream_labels, leat_slice_from(stream));
    struct counts *counts = fetcher->counts[index], *made;

    if (counts != NULL)
        return counts;
    made = LEAT_NEW(struct counts);
    if (atomic_compare_exchange_strong(&fetcher->counts[index], &counts, made))
        return made;
    free(made);
    return counts;
}

struct leat_feed *
leat_feed_open(struct leat_fetcher *fetcher, struct leat_source *source, struct leat_slice shard,
               unsigned processor, const struct leat_position *position, uint64_t generation,
               const struct leat_feed_events *events)
{
    struct leat_feed *feed = LEAT_NEW(struct leat_feed);

    feed->fetcher = fetcher;
    feed->counts = counts_of(fetcher, source->facts.name);
    feed->source = source;
    feed->shard = leat_slice_strdup(shard);
    feed->processor = processor;
    feed->position = *position;
    feed->generation = generation;
    feed->behind_ms = -1;
    feed->events = *events;
    leat_event_loop_post(fetcher->loop, do_open, feed);
    return feed;
}

/* What another thread waits for: the fetch thread has done it. */
struct closing {
    struct leat_feed *feed;
    struct leat_mutex lock;
    struct leat_condition condition;
    bool is_done;
};

/* Ends the reader, and with it a read under way; a reservation goes back. */
static void
end_reader(struct leat_feed *feed)
{
    leat_loop_timer_cancel(feed->fetcher->loop, feed->timer);
    feed->timer = NULL;
    feed->source->ops->reader_close(feed->reader);
    feed->reader = NULL;
    if (feed->is_reading)
        leat_memory_give_back(feed->fetcher->options.memory, &feed->reservation);
    feed->is_reading = false;
    stop_waiting(feed);
}

static void
do_close(void *context)
{
    struct closing *closing = context;
    struct leat_feed *feed = closing->feed, **link = &feed->fetcher->feeds;

    while (*link != feed)
        link = &(*link)->next;
    *link = feed->next;
    end_reader(feed);
    limiter_release(feed);
    leat_mutex_lock(&closing->lock);
    closing->is_done = true;
    leat_condition_signal(&closing->condition);
    leat_mutex_unlock(&closing->lock);
}

void
leat_feed_close(struct leat_feed *feed)
{
    struct closing closing = {.feed = feed};

    leat_mutex_init(&closing.lock);
    leat_condition_init(&closing.condition);
    leat_event_loop_post(feed->fetcher->loop, do_close, &closing);
    leat_mutex_lock(&closing.lock);
    while (!closing.is_done)
        leat_condition_wait(&closing.condition, &closing.lock);
    leat_mutex_unlock(&closing.lock);
    leat_condition_release(&closing.condition);
    leat_mutex_release(&closing.lock);
    free(feed->shard);
    free(feed);
}

struct repositioning {
    struct leat_feed *feed;
    struct leat_position position;
    uint64_t generation;
};

static void
do_reposition(void *context)
{
    struct repositioning *to = context;
    struct leat_feed *feed = to->feed;

    end_reader(feed);
    feed->generation = to->generation;
    feed->is_stopped = feed->is_told = false;
    feed->next_at_us = feed->failing_since_us = 0;
    feed->queued = 0;
    feed->behind_ms = -1;
    feed->reader = feed->source->ops->reader_open(feed->source, feed->fetcher->loop,
                                                  leat_slice_from(feed->shard), &to->position);
    free(to);
    try_read(feed);
}

void
leat_feed_reposition(struct leat_feed *feed, const struct leat_position *position,
                     uint64_t generation)
{
    struct repositioning *to = LEAT_NEW(struct repositioning);

    *to = (struct repositioning){feed, *position, generation};
    leat_event_loop_post(feed->fetcher->loop, do_reposition, to);
}

static void
do_try(void *context)
{
    try_read(context);
}

void
leat_feed_queued(struct leat_feed *feed, unsigned chunks)
{
    unsigned before = atomic_exchange(&feed->queued, chunks);

    if (before >= WANTED_CHUNKS && chunks < WANTED_CHUNKS)
        leat_event_loop_post(feed->fetcher->loop, do_try, feed);
}

void
leat_feed_pause(struct leat_feed *feed, bool is_paused)
{
    if (atomic_exchange(&feed->is_paused, is_paused) && !is_paused)
        leat_event_loop_post(feed->fetcher->loop, do_try, feed);
}

void
leat_fetcher_each_stream(struct leat_fetcher *fetcher,
                         void (*each)(void *context, const char *stream,
                                      const struct leat_fetcher_counts *counts),
                         void *context)
{
    for (size_t i = 0; i < leat_labels_size(fetcher->options.stream_labels); i++) {
        const struct counts *counts = fetcher->counts[i];
        struct leat_fetcher_counts view;

        if (counts == NULL)
            continue;
        view = (struct leat_fetcher_counts){counts->reads, counts->throttles, counts->errors,
                                            counts->records, counts->bytes};
        each(context, leat_labels_name(fetcher->options.stream_labels, i), &view);
    }
}

static void
add_counts(void *context, const char *stream, const struct leat_fetcher_counts *counts)
{
    struct leat_fetcher_counts *sum = context;

    sum->reads += counts->reads;
    sum->throttles += counts->throttles;
    sum->errors += counts->errors;
    sum->records += counts->records;
    sum->bytes += counts->bytes;
}

struct leat_fetcher_counts
leat_fetcher_counts(struct leat_fetcher *fetcher)
{
    struct leat_fetcher_counts sum = {0};

    leat_fetcher_each_stream(fetcher, add_counts, &sum);
    return sum;
}
