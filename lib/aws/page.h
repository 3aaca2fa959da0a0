/*
 * The pages of a listing, and its end: a token of any length that the service allows, and an error by name for one that is
 * longer, comes a second time (then the list would go round for ever) or never ends. Pure: time is an argument.
 */
#ifndef LEAT_AWS_PAGE_H
#define LEAT_AWS_PAGE_H

#include "base/buf.h"

/* NextToken of ListShards may have 1,048,576 characters. */
#define LEAT_PAGE_TOKEN_BYTES ((size_t)1 << 20)

struct leat_page_limits {
    size_t token_bytes;
    uint64_t pages;
    int64_t duration_us; /* 0: none */
};

struct leat_pages {
    struct leat_page_limits limits;
    struct leat_buf token;   /* of the page to ask for; empty: the first */
    struct leat_buf earlier; /* a token that was seen: kept for longer and longer (Brent) */
    uint64_t count, earlier_at, keep_until;
    int64_t began_us;
};

void leat_pages_begin(struct leat_pages *pages, const struct leat_page_limits *limits,
                      int64_t now_us);
void leat_pages_release(struct leat_pages *pages);
/* A page came, with the token of the next one (not empty). LEAT_E_LIMIT or LEAT_E_FORMAT: err says what is wrong with it. */
int leat_pages_next(struct leat_pages *pages, struct leat_slice token, int64_t now_us,
                    struct leat_error *err);
/* The token does not hold any more: from the first page on. What was counted stays. */
void leat_pages_again(struct leat_pages *pages);

#endif
