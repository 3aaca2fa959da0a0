/*
 * Shard iterators and page tokens: opaque to clients, checked when they come back. A token is good at the server that gave it
 * out alone. Pure.
 */
#ifndef LEAT_LOCAL_KINESIS_TOKEN_H
#define LEAT_LOCAL_KINESIS_TOKEN_H

#include "base/buf.h"

enum leat_local_token_kind { LEAT_LOCAL_TOKEN_ITERATOR = 1, LEAT_LOCAL_TOKEN_PAGE = 2 };

struct leat_local_token {
    enum leat_local_token_kind kind;
    uint64_t server; /* whose */
    uint64_t stream; /* its id */
    uint32_t shard;  /* ITERATOR: where; PAGE: the index of the next one */
    uint64_t number; /* ITERATOR: read next */
    uint32_t filter; /* PAGE: enum leat_local_shard_filter, and of when */
    int64_t filter_us;
    uint32_t page_shards;
    int64_t issued_us;
};

void leat_local_token_format(const struct leat_local_token *token, struct leat_buf *out);
/* false: not one of this kind and server. */
bool leat_local_token_parse(struct leat_slice text, enum leat_local_token_kind kind,
                            uint64_t server, struct leat_local_token *ret_token);

#endif
