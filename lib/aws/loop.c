/*
 * The event loop: libcurl multi for the sockets, a heap of timers, a queue of posted calls.
 *
 * Invariants: callbacks run only inside run_once, and never under the mutex; a transfer is out of the multi before its
 * callback runs, so the callback may start and cancel others. Does not know what a request means (http.c).
 * Threads: all of it the owner's, but for post and wake.
 */
#include <stdlib.h>

#include "aws/http_internal.h"
#include "aws/setting.h"
#include "base/clock.h"
#include "base/memory.h"

static void
curl_begin(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        leat_out_of_memory(0);
}

struct leat_event_loop *
leat_event_loop_new(const struct leat_event_loop_options *options, struct leat_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const struct leat_event_loop_options defaults;
    struct leat_event_loop *loop = LEAT_NEW(struct leat_event_loop);
    struct leat_buf user_agent = LEAT_BUF_INIT;
    const char *ca_bundle;

    if (options == NULL)
        options = &defaults;
    pthread_once(&once, curl_begin);
    loop->magic = LEAT_EVENT_LOOP_MAGIC;
    loop->multi = curl_multi_init();
    loop->share = curl_share_init();
    if (loop->multi == NULL || loop->share == NULL) {
        /* Memory aborts elsewhere: what is left is a lack of descriptors for the wake-up pair. */
        curl_share_cleanup(loop->share);
        curl_multi_cleanup(loop->multi);
        free(loop);
        leat_error_set(err, LEAT_E_SYSTEM,
                       "could not make an event loop: no file descriptors left?");
        return NULL;
    }
    leat_mutex_init(&loop->mutex);
    curl_share_setopt(loop->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS,
                      (long)(options->idle_connections > 0 ? options->idle_connections : 256));
    curl_multi_setopt(loop->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      (long)options->connections_per_host);
    curl_multi_setopt(loop->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    loop->receive_buffer_bytes =
        options->receive_buffer_bytes > 0 ? (long)options->receive_buffer_bytes : 128L << 10;
    ca_bundle = options->ca_bundle;
    if (!leat_setting_is_set(ca_bundle))
        ca_bundle = getenv("AWS_CA_BUNDLE");
    if (leat_setting_is_set(ca_bundle))
        loop->ca_bundle = leat_strdup(ca_bundle);
    leat_http_user_agent(getenv("AWS_SDK_UA_APP_ID"), &user_agent);
    loop->user_agent = leat_buf_take(&user_agent);
    return loop;
}

/* ---- timers: a binary heap whose members know their place ----------------------------------- */

static bool
is_before(const struct leat_loop_timer *a, const struct leat_loop_timer *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void
heap_put(struct leat_event_loop *loop, struct leat_loop_timer *timer, size_t place)
{
    loop->timers[place] = timer;
    timer->place = place;
}

static void
heap_up(struct leat_event_loop *loop, struct leat_loop_timer *timer, size_t place)
{
    while (place > 0 && is_before(timer, loop->timers[(place - 1) / 2])) {
        heap_put(loop, loop->timers[(place - 1) / 2], place);
        place = (place - 1) / 2;
    }
    heap_put(loop, timer, place);
}

static void
heap_down(struct leat_event_loop *loop, struct leat_loop_timer *timer, size_t place)
{
    for (;;) {
        size_t child = 2 * place + 1;

        if (child + 1 < loop->timer_count &&
            is_before(loop->timers[child + 1], loop->timers[child]))
            child++;
        if (child >= loop->timer_count || !is_before(loop->timers[child], timer))
            break;
        heap_put(loop, loop->timers[child], place);
        place = child;
    }
    heap_put(loop, timer, place);
}

static void
heap_remove(struct leat_event_loop *loop, struct leat_loop_timer *timer)
{
    struct leat_loop_timer *last = loop->timers[--loop->timer_count];
    size_t place = timer->place;

    if (last == timer)
        return;
    if (place > 0 && is_before(last, loop->timers[(place - 1) / 2]))
        heap_up(loop, last, place);
    else
        heap_down(loop, last, place);
}

struct leat_loop_timer *
leat_event_loop_timer(struct leat_event_loop *loop, int64_t at_us, leat_loop_fn fn, void *context)
{
    struct leat_loop_timer *timer = LEAT_NEW(struct leat_loop_timer);

    timer->at_us = at_us;
    timer->order = loop->timer_order++;
    timer->fn = fn;
    timer->context = context;
    LEAT_GROW(loop->timers, loop->timer_count, loop->timer_capacity);
    heap_up(loop, timer, loop->timer_count++);
    return timer;
}

void
leat_loop_timer_cancel(struct leat_event_loop *loop, struct leat_loop_timer *timer)
{
    if (timer == NULL)
        return;
    heap_remove(loop, timer);
    LEAT_ASSERT(loop->timer_count == 0 || loop->timers[0] != timer);
    free(timer);
}

/* Those that are due now; one that a callback makes for "now" waits for the next round. */
static bool
run_timers(struct leat_event_loop *loop)
{
    int64_t now_us = leat_clock_monotonic_us();
    uint64_t order = loop->timer_order;
    bool has_run = false;

    while (loop->timer_count > 0 && loop->timers[0]->at_us <= now_us &&
           loop->timers[0]->order < order) {
        struct leat_loop_timer *timer = loop->timers[0];
        leat_loop_fn fn = timer->fn;
        void *context = timer->context;

        leat_loop_timer_cancel(loop, timer);
        fn(context);
        has_run = true;
    }
    return has_run;
}

/* ---- posted calls -------------------------------------------------------------------------- */

void
leat_event_loop_wake(struct leat_event_loop *loop)
{
    curl_multi_wakeup(loop->multi);
}

void
leat_event_loop_post(struct leat_event_loop *loop, leat_loop_fn fn, void *context)
{
    bool is_first;

    leat_mutex_lock(&loop->mutex);
    is_first = loop->post_count == 0;
    LEAT_GROW(loop->posts, loop->post_count, loop->post_capacity);
    loop->posts[loop->post_count].fn = fn;
    loop->posts[loop->post_count++].context = context;
    leat_mutex_unlock(&loop->mutex);
    if (is_first)
        leat_event_loop_wake(loop);
}

static bool
run_posts(struct leat_event_loop *loop)
{
    struct leat_loop_post *posts;
    size_t count;

    leat_mutex_lock(&loop->mutex);
    posts = loop->posts;
    count = loop->post_count;
    loop->posts = NULL;
    loop->post_count = loop->post_capacity = 0;
    leat_mutex_unlock(&loop->mutex);
    for (size_t i = 0; i < count; i++)
        posts[i].fn(posts[i].context);
    free(posts);
    return count > 0;
}

/* ---- the loop ------------------------------------------------------------------------------ */

static bool
run_transfers(struct leat_event_loop *loop)
{
    bool has_run = false;
    int running, waiting;
    CURLMsg *message;

    curl_multi_perform(loop->multi, &running);
    while ((message = curl_multi_info_read(loop->multi, &waiting)) != NULL) {
        struct leat_http_call *call = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        leat_http_finish(call, code);
        has_run = true;
    }
    return has_run;
}

static bool
run_all(struct leat_event_loop *loop)
{
    bool has_run = run_posts(loop);

    has_run |= run_timers(loop);
    has_run |= run_transfers(loop);
    return has_run;
}

void
leat_event_loop_run_once(struct leat_event_loop *loop, int64_t deadline_us)
{
    int64_t wait_us;
    int ready;

    LEAT_ASSERT(loop->magic == LEAT_EVENT_LOOP_MAGIC);
    if (run_all(loop))
        return;
    if (loop->timer_count > 0 && loop->timers[0]->at_us < deadline_us)
        deadline_us = loop->timers[0]->at_us;
    wait_us = deadline_us - leat_clock_monotonic_us();
    if (wait_us <= 0)
        return;
    if (wait_us > 3600 * LEAT_SECOND_US)
        wait_us = 3600 * LEAT_SECOND_US;
    curl_multi_poll(loop->multi, NULL, 0, (int)((wait_us + 999) / 1000), &ready);
    run_all(loop);
}

void
leat_event_loop_free(struct leat_event_loop *loop)
{
    if (loop == NULL)
        return;
    LEAT_ASSERT(loop->magic == LEAT_EVENT_LOOP_MAGIC);
    while (loop->calls != NULL)
        leat_http_cancel(loop->calls);
    run_posts(loop);
    while (loop->calls != NULL) /* a posted call may have started one */
        leat_http_cancel(loop->calls);
    while (loop->timer_count > 0)
        free(loop->timers[--loop->timer_count]);
    for (size_t i = 0; i < loop->spare_count; i++)
        curl_easy_cleanup(loop->spare[i]);
    curl_multi_cleanup(loop->multi);
    curl_share_cleanup(loop->share);
    leat_mutex_release(&loop->mutex);
    loop->magic = 0;
    free(loop->timers);
    free(loop->posts);
    free(loop->ca_bundle);
    free(loop->user_agent);
    free(loop);
}
