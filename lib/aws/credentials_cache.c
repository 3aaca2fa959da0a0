/*
 * One mutex, held for copies alone; the provider is asked without it. Generations count what differs, questions count what was asked.
 *
 * Stories. (1) Two clients are told at the same time that the credentials have expired: both name the same generation, one question is
 * asked. (2) A late client is told of credentials that were replaced meanwhile: it holds an older generation, and nothing is asked.
 * (3) Credentials come that have expired already (an instance whose service stands still gives such ones): they serve all the same,
 * the service has the last word, and the provider is asked again after a wait that grows.
 */
#include "aws/credentials_cache.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

#define EARLY_US (300 * LEAT_SECOND_US)
#define JITTER_US (60 * LEAT_SECOND_US)
#define FIRST_WAIT_US LEAT_SECOND_US
#define LONGEST_WAIT_US (30 * LEAT_SECOND_US)
#define YOUNG_US (60 * LEAT_SECOND_US)
/* Ones that come dead: others are waited for as after so many failures, then twice, three times … as long. */
#define DEAD_WAIT 6
#define DEAD_WAITS 10
#define SHORTEST_US (100 * LEAT_MS_US)
#define LOOK_AGAIN_US (60 * LEAT_SECOND_US)
#define NEVER_US INT64_MAX

struct cache {
    struct leat_credentials_provider base;
    struct leat_credentials_provider *provider;
    struct leat_credentials_cache_options options;
    struct leat_thread thread;
    struct leat_mutex lock;
    struct leat_condition changed;
    bool is_ending LEAT_FIELD_GUARDED_BY(lock);
    bool is_started LEAT_FIELD_GUARDED_BY(lock);
    struct leat_credentials credentials LEAT_FIELD_GUARDED_BY(lock);
    uint64_t generation LEAT_FIELD_GUARDED_BY(lock); /* 0: no credentials yet */
    int64_t dead_at_us LEAT_FIELD_GUARDED_BY(lock);  /* monotonic; NEVER_US: no end */
    int64_t ask_at_us LEAT_FIELD_GUARDED_BY(lock);   /* monotonic */
    uint64_t asked LEAT_FIELD_GUARDED_BY(lock);      /* questions begun */
    uint64_t answered LEAT_FIELD_GUARDED_BY(lock);   /* questions over */
    int64_t answered_at_us LEAT_FIELD_GUARDED_BY(lock);
    unsigned in_vain LEAT_FIELD_GUARDED_BY(lock);      /* questions in a row that failed */
    int64_t dead_in_a_row LEAT_FIELD_GUARDED_BY(lock); /* that had ended when they came */
    unsigned refusals LEAT_FIELD_GUARDED_BY(lock);     /* of young credentials, in a row */
    struct leat_random random LEAT_FIELD_GUARDED_BY(lock);
    bool has_failed LEAT_FIELD_GUARDED_BY(lock);       /* the last question */
    struct leat_error err LEAT_FIELD_GUARDED_BY(lock); /* of that */
    uint64_t refreshes LEAT_FIELD_GUARDED_BY(lock);
    uint64_t failures LEAT_FIELD_GUARDED_BY(lock);
};

/* ---- when ---------------------------------------------------------------------------------- */

int64_t
leat_credentials_refresh_in_us(int64_t life_us, struct leat_random *random)
{
    int64_t early_us, half_us;

    if (life_us == 0)
        return NEVER_US;
    early_us = life_us - EARLY_US - (int64_t)leat_random_below(random, JITTER_US);
    half_us = life_us / 10 * 4 + (int64_t)leat_random_below(random, (uint64_t)(life_us / 5) + 1);
    return early_us > half_us ? early_us : half_us;
}

/* After so many times in vain: between a half and the whole of 1 s, 2 s, 4 s, … */
static int64_t
wait_us(struct cache *cache, unsigned times) LEAT_REQUIRES(cache->lock)
{
    int64_t whole_us = FIRST_WAIT_US;

    for (unsigned i = 1; i < times && whole_us < LONGEST_WAIT_US; i++)
        whole_us *= 2;
    if (whole_us > LONGEST_WAIT_US)
        whole_us = LONGEST_WAIT_US;
    return whole_us / 2 + (int64_t)leat_random_below(&cache->random, (uint64_t)(whole_us / 2));
}

/* ---- the thread ---------------------------------------------------------------------------- */

static void
say(struct cache *cache, const struct leat_credentials_event *event)
{
    if (cache->options.on_event != NULL)
        cache->options.on_event(cache->options.context, event);
}

/* The credentials' end, and when to ask for others. */
static void
set_times(struct cache *cache, bool is_other) LEAT_REQUIRES(cache->lock)
{
    int64_t now_us = leat_clock_monotonic_us(), expires_us = cache->credentials.expires_us;
    int64_t life_us = expires_us - leat_clock_wall_us();

    cache->dead_at_us = cache->ask_at_us = NEVER_US;
    cache->in_vain = 0;
    cache->dead_in_a_row = expires_us != 0 && life_us <= 0 ? cache->dead_in_a_row + 1 : 0;
    if (expires_us == 0)
        return;
    if (cache->dead_in_a_row > 0) {
        int64_t times = cache->dead_in_a_row < DEAD_WAITS ? cache->dead_in_a_row : DEAD_WAITS;

        cache->ask_at_us = now_us + times * wait_us(cache, DEAD_WAIT);
        return;
    }
    cache->dead_at_us = now_us + life_us;
    cache->ask_at_us = now_us + leat_credentials_refresh_in_us(life_us, &cache->random);
    /* A source that keeps what it gave until its end is not asked ever faster. */
    if (!is_other && cache->ask_at_us < now_us + FIRST_WAIT_US)
        cache->ask_at_us = now_us + FIRST_WAIT_US;
    else if (cache->ask_at_us < now_us + SHORTEST_US)
        cache->ask_at_us = now_us + SHORTEST_US;
}

static void
take_found(struct cache *cache, struct leat_credentials *fresh,
           struct leat_credentials_event *event) LEAT_REQUIRES(cache->lock)
{
    bool is_first = cache->generation == 0;
    bool is_other = is_first || !leat_credentials_equal(&cache->credentials, fresh);

    event->kind = is_first || strcmp(cache->credentials.source, fresh->source) != 0
                      ? LEAT_CREDENTIALS_FOUND
                  : cache->has_failed ? LEAT_CREDENTIALS_RECOVERED
                                      : LEAT_CREDENTIALS_REFRESHED;
    cache->generation += is_other;
    leat_credentials_release(&cache->credentials);
    cache->credentials = *fresh;
    cache->has_failed = false;
    cache->refreshes++;
    set_times(cache, is_other);
}

static void
take_failure(struct cache *cache, int result, const struct leat_error *err,
             struct leat_credentials_event *event) LEAT_REQUIRES(cache->lock)
{
    event->kind = LEAT_CREDENTIALS_FAILED;
    cache->err = *err;
    cache->err.code = result;
    cache->has_failed = true;
    cache->failures++;
    cache->in_vain += cache->in_vain < 16;
    cache->ask_at_us = leat_clock_monotonic_us() + wait_us(cache, cache->in_vain);
}

static void
ask(struct cache *cache)
{
    struct leat_credentials fresh = {0};
    struct leat_credentials_event event = {0};
    char source[LEAT_CREDENTIALS_SOURCE_BYTES];
    struct leat_error err = {0};
    int result = leat_credentials_provider_get(cache->provider, &fresh, &err);
    bool is_ending;

    leat_mutex_lock(&cache->lock);
    if (result == 0)
        take_found(cache, &fresh, &event);
    else
        take_failure(cache, result, &err, &event);
    cache->answered = cache->asked;
    cache->answered_at_us = leat_clock_monotonic_us();
    is_ending = cache->is_ending;
    event.expires_us = cache->credentials.expires_us;
    memcpy(source, cache->credentials.source, sizeof source);
    event.source = source;
    event.err = result < 0 ? &err : NULL;
    leat_condition_broadcast(&cache->changed);
    leat_mutex_unlock(&cache->lock);
    if (!is_ending)
        say(cache, &event);
}

static void
run(void *context)
{
    struct cache *cache = context;

    leat_mutex_lock(&cache->lock);
    while (!cache->is_ending) {
        int64_t now_us = leat_clock_monotonic_us();

        if (cache->ask_at_us > now_us) {
            int64_t until_us = cache->ask_at_us - now_us < LOOK_AGAIN_US ? cache->ask_at_us
                                                                         : now_us + LOOK_AGAIN_US;

            leat_condition_wait_until(&cache->changed, &cache->lock, until_us);
            continue;
        }
        cache->asked++;
        leat_mutex_unlock(&cache->lock);
        ask(cache);
        leat_mutex_lock(&cache->lock);
    }
    leat_mutex_unlock(&cache->lock);
}

static int
start(struct cache *cache, struct leat_error *err) LEAT_REQUIRES(cache->lock)
{
    int result;

    if (cache->is_started)
        return 0;
    result = leat_thread_start(&cache->thread, "leat-keys", run, cache, err);
    cache->is_started = result == 0;
    return result;
}

/* ---- the questions ------------------------------------------------------------------------- */

/*
 * A time-out of the provider is no "come again". Where there were credentials before, only a refusal or a fault of what is configured
 * says that this worker may not read; everything else is an outage, in which it keeps its shards.
 */
static int
code_of_failure(const struct cache *cache) LEAT_REQUIRES(cache->lock)
{
    int code = cache->err.code;

    if (code == LEAT_E_TIMEOUT ||
        (cache->generation > 0 && code != LEAT_E_DENIED && code != LEAT_E_INVALID))
        return LEAT_E_UNAVAILABLE;
    return code;
}

static int
no_credentials(const struct cache *cache, struct leat_error *err) LEAT_REQUIRES(cache->lock)
{
    int code = code_of_failure(cache);

    if (cache->generation > 0)
        return leat_error_set(err, code,
                              "the AWS credentials have expired, and there are no others: %s",
                              cache->err.text);
    return leat_error_set(err, code, "%s", cache->err.text);
}

/* Are there any that serve? A question is under way or due: LEAT_E_TIMEOUT. */
static int
look(struct cache *cache, struct leat_error *err) LEAT_REQUIRES(cache->lock)
{
    int64_t now_us = leat_clock_monotonic_us();
    int result = start(cache, err);

    if (result < 0)
        return result;
    if (cache->generation > 0 && cache->dead_at_us > now_us)
        return 0;
    if (cache->asked > cache->answered || cache->ask_at_us <= now_us || !cache->has_failed)
        return leat_error_set(err, LEAT_E_TIMEOUT, "the AWS credentials are being asked for");
    return no_credentials(cache, err);
}

static int
get(struct leat_credentials_provider *provider, struct leat_credentials *ret_credentials,
    struct leat_error *err)
{
    struct cache *cache = (struct cache *)provider;
    int result;

    leat_mutex_lock(&cache->lock);
    while ((result = look(cache, err)) == LEAT_E_TIMEOUT && !cache->is_ending)
        leat_condition_wait_until(&cache->changed, &cache->lock,
                                  leat_clock_monotonic_us() + LEAT_SECOND_US);
    if (result == 0)
        leat_credentials_copy(ret_credentials, &cache->credentials);
    leat_mutex_unlock(&cache->lock);
    return result;
}

static void
cache_free(struct leat_credentials_provider *provider)
{
    struct cache *cache = (struct cache *)provider;

    leat_mutex_lock(&cache->lock);
    cache->is_ending = true;
    leat_condition_broadcast(&cache->changed);
    leat_mutex_unlock(&cache->lock);
    leat_credentials_interrupt(cache->provider);
    leat_thread_join(&cache->thread);
    leat_credentials_provider_free(cache->provider);
    leat_is_unshared();
    leat_credentials_release(&cache->credentials);
    leat_condition_release(&cache->changed);
    leat_mutex_release(&cache->lock);
    free(cache);
}

static const struct leat_credentials_provider_ops cache_ops = {"cache", "in use", get, cache_free};

struct leat_credentials_provider *
leat_credentials_cache_new(struct leat_credentials_provider *provider,
                           const struct leat_credentials_cache_options *options)
{
    struct cache *cache = LEAT_NEW(struct cache);

    cache->base.ops = &cache_ops;
    cache->provider = provider;
    cache->options = *options;
    leat_is_unshared();
    leat_random_seed(&cache->random, (uint64_t)leat_random_identity());
    leat_mutex_init(&cache->lock);
    leat_condition_init(&cache->changed);
    return &cache->base;
}

static struct cache *
cache_of(struct leat_credentials_provider *provider)
{
    return provider->ops == &cache_ops ? (struct cache *)provider : NULL;
}

bool
leat_credentials_cache_status(struct leat_credentials_provider *provider,
                              struct leat_credentials_cache_status *ret_status)
{
    struct cache *cache = cache_of(provider);

    if (cache == NULL)
        return false;
    leat_mutex_lock(&cache->lock);
    ret_status->has_credentials = cache->generation > 0;
    memcpy(ret_status->source, cache->credentials.source, sizeof ret_status->source);
    ret_status->expires_us = cache->credentials.expires_us;
    ret_status->refreshes = cache->refreshes;
    ret_status->failures = cache->failures;
    leat_mutex_unlock(&cache->lock);
    return true;
}

/* ---- whoever signs ------------------------------------------------------------------------- */

/* Of a provider that is no cache. */
static int
hold_once(struct leat_credentials_provider *provider, struct leat_credentials_held *held,
          struct leat_error *err)
{
    int result;

    if (held->generation > 0)
        return 0;
    result = leat_credentials_provider_get(provider, &held->credentials, err);
    held->generation = result == 0;
    return result;
}

int
leat_credentials_hold(struct leat_credentials_provider *provider,
                      struct leat_credentials_held *held, struct leat_error *err)
{
    struct cache *cache = cache_of(provider);
    int result;

    if (cache == NULL)
        return hold_once(provider, held, err);
    leat_mutex_lock(&cache->lock);
    result = look(cache, err);
    if (result == 0 && held->generation != cache->generation) {
        leat_credentials_release(&held->credentials);
        leat_credentials_copy(&held->credentials, &cache->credentials);
        held->generation = cache->generation;
    }
    leat_mutex_unlock(&cache->lock);
    return result;
}

static void
ask_once_more(struct leat_credentials_provider *provider, struct leat_credentials_held *held)
{
    struct leat_credentials fresh = {0};

    if (leat_credentials_provider_get(provider, &fresh, NULL) < 0)
        return;
    if (!leat_credentials_equal(&fresh, &held->credentials))
        held->generation++;
    leat_credentials_release(&held->credentials);
    held->credentials = fresh;
}

/* Young ones that are refused, and again, are replaced ever more slowly. */
static uint64_t
ask_soon(struct cache *cache) LEAT_REQUIRES(cache->lock)
{
    int64_t now_us = leat_clock_monotonic_us(), at_us = now_us;

    if (now_us - cache->answered_at_us > YOUNG_US)
        cache->refusals = 0;
    if (cache->refusals > 0)
        at_us = cache->answered_at_us + wait_us(cache, cache->refusals);
    if (at_us < cache->ask_at_us) {
        cache->refusals += cache->refusals < 16;
        cache->ask_at_us = at_us;
        leat_condition_broadcast(&cache->changed);
    }
    return cache->asked + 1;
}

uint64_t
leat_credentials_refuse(struct leat_credentials_provider *provider,
                        struct leat_credentials_held *held)
{
    struct cache *cache = cache_of(provider);
    uint64_t ticket;

    if (cache == NULL) {
        ask_once_more(provider, held);
        return 0;
    }
    leat_mutex_lock(&cache->lock);
    if (cache->generation != held->generation)
        ticket = cache->answered; /* others are there already */
    else if (cache->asked > cache->answered)
        ticket = cache->asked;
    else
        ticket = ask_soon(cache);
    leat_mutex_unlock(&cache->lock);
    return ticket;
}

bool
leat_credentials_is_answered(struct leat_credentials_provider *provider, uint64_t ticket)
{
    struct cache *cache = cache_of(provider);
    bool is_answered;

    if (cache == NULL)
        return true;
    leat_mutex_lock(&cache->lock);
    is_answered = cache->answered >= ticket;
    leat_mutex_unlock(&cache->lock);
    return is_answered;
}
