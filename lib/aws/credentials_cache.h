/*
 * Credentials that are kept fresh: one thread asks the provider behind it before what it gave expires, never two at a time, and the
 * old ones serve while they live. Nobody who signs a request ever waits for it on a lock.
 *
 * When: five minutes before the end, less up to one minute by chance, but not before half of their life is over (0.4 to 0.6 of it):
 * credentials that live a minute are asked for every half minute. After a failure: 1 s, 2 s, … 30 s, by chance a half of it. When the
 * service says that they have expired: at once; ones that came within the last minute as after a failure.
 *
 * Threads: every function from any.
 */
#ifndef LEAT_AWS_CREDENTIALS_CACHE_H
#define LEAT_AWS_CREDENTIALS_CACHE_H

#include "aws/credentials.h"
#include "base/random.h"

enum leat_credentials_event_kind {
    LEAT_CREDENTIALS_FOUND = 0,     /* the first ones, or ones of another source: said once */
    LEAT_CREDENTIALS_REFRESHED = 1, /* new ones of the same source */
    LEAT_CREDENTIALS_FAILED = 2,    /* no new ones; those that there are serve until they expire */
    LEAT_CREDENTIALS_RECOVERED = 3  /* new ones after a failure */
};
struct leat_credentials_event {
    enum leat_credentials_event_kind kind;
    const char *source;           /* of those that serve; "": there are none */
    int64_t expires_us;           /* of those; 0: never, or nobody says */
    const struct leat_error *err; /* of a failure */
};

/* By the cache's thread, with no lock held. */
typedef void (*leat_credentials_event_fn)(void *context,
                                          const struct leat_credentials_event *event);
struct leat_credentials_cache_options {
    leat_credentials_event_fn on_event; /* NULL: nobody wants to know */
    void *context;
};

/* Owns the provider. The thread starts with the first question. */
struct leat_credentials_provider *leat_credentials_cache_new(
    struct leat_credentials_provider *provider,
    const struct leat_credentials_cache_options *options);

struct leat_credentials_cache_status {
    bool has_credentials;
    char source[LEAT_CREDENTIALS_SOURCE_BYTES];
    int64_t expires_us; /* 0: never, or nobody says */
    uint64_t refreshes, failures;
};
/* false: the provider is no cache. */
bool leat_credentials_cache_status(struct leat_credentials_provider *provider,
                                   struct leat_credentials_cache_status *ret_status);

/* ---- for whoever signs --------------------------------------------------------------------- */

/* What a client holds. Zero to begin with; released with leat_credentials_release(&held.credentials). */
struct leat_credentials_held {
    struct leat_credentials credentials;
    uint64_t generation; /* 0: none yet */
};
/*
 * Brings `held` up to date. LEAT_E_TIMEOUT: they are being asked for: come again shortly; any other error: there are none, and why.
 * Of a provider that is no cache: asked once, which may block.
 */
int leat_credentials_hold(struct leat_credentials_provider *provider,
                          struct leat_credentials_held *held, struct leat_error *err);
/* The service says that what is held has expired: others are asked for. The ticket is for the question below. */
uint64_t leat_credentials_refuse(struct leat_credentials_provider *provider,
                                 struct leat_credentials_held *held);
/* Has the question been answered? Whether there are others now, leat_credentials_hold and the generation say. */
bool leat_credentials_is_answered(struct leat_credentials_provider *provider, uint64_t ticket);

/* When to ask again, in µs from now, for credentials that live so long yet (0: they never end: INT64_MAX). Pure. */
int64_t leat_credentials_refresh_in_us(int64_t life_us, struct leat_random *random);

#endif
