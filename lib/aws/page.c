/*
 * Brent's way to find a circle: one earlier token is kept and compared with each new one; it is replaced after 1, 2, 4, 8 …
 * pages. A circle of any length is found within three times its length, with one token's memory.
 */
#include "aws/page.h"

#include <inttypes.h>

void
leat_pages_begin(struct leat_pages *pages, const struct leat_page_limits *limits, int64_t now_us)
{
    *pages = (struct leat_pages){.limits = *limits, .began_us = now_us};
    leat_buf_init(&pages->token, limits->token_bytes + 1);
    leat_buf_init(&pages->earlier, limits->token_bytes + 1);
}

void
leat_pages_release(struct leat_pages *pages)
{
    leat_buf_release(&pages->token);
    leat_buf_release(&pages->earlier);
}

void
leat_pages_again(struct leat_pages *pages)
{
    leat_buf_clear(&pages->token);
    leat_buf_clear(&pages->earlier);
}

int
leat_pages_next(struct leat_pages *pages, struct leat_slice token, int64_t now_us,
                struct leat_error *err)
{
    pages->count++;
    if (token.size > pages->limits.token_bytes)
        return leat_error_set(err, LEAT_E_LIMIT,
                              "page %" PRIu64 " ends with a token of %zu bytes: at most %zu are "
                              "allowed",
                              pages->count, token.size, pages->limits.token_bytes);
    if (pages->earlier.size > 0 && leat_slice_equals(token, leat_buf_slice(&pages->earlier)))
        return leat_error_set(err, LEAT_E_FORMAT,
                              "the list does not end: page %" PRIu64 " ends with the token that "
                              "page %" PRIu64 " ended with",
                              pages->count, pages->earlier_at);
    if (pages->count >= pages->limits.pages ||
        (pages->limits.duration_us > 0 && now_us - pages->began_us > pages->limits.duration_us))
        return leat_error_set(err, LEAT_E_LIMIT,
                              "the list does not end: %" PRIu64 " pages in %" PRId64
                              " seconds, and there are more",
                              pages->count, (now_us - pages->began_us) / 1000000);
    if (pages->count >= pages->keep_until || pages->earlier.size == 0) {
        pages->keep_until = pages->count * 2;
        pages->earlier_at = pages->count;
        leat_buf_clear(&pages->earlier);
        leat_buf_add_slice(&pages->earlier, token);
    }
    leat_buf_clear(&pages->token);
    leat_buf_add_slice(&pages->token, token);
    return 0;
}
