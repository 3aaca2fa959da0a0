/*
 * One small, unsigned, blocking request, as the endpoints that give credentials want them: no proxy for what is near, no redirect, a
 * bound for the answer, and an end at a stop. Each has a connection of its own.
 */
#ifndef LEAT_AWS_CREDENTIALS_FETCH_H
#define LEAT_AWS_CREDENTIALS_FETCH_H

#include "aws/credentials.h"
#include "base/buf.h"

struct sockaddr;
struct leat_credentials_request {
    const char *method, *url;
    const char *const *headers; /* "name: value" */
    size_t header_count;
    int64_t connect_timeout_us, timeout_us;
    size_t maximum_bytes; /* of the answer */
    bool is_direct;       /* no proxy of the environment stands between */
    /* Asked for each address that is about to be connected to; NULL: any. Any thread. */
    bool (*may_connect)(const struct sockaddr *address);
};
struct leat_credentials_answer {
    int status;
    struct leat_buf body; /* may hold secrets: wiped by release */
    int64_t date_us;      /* the server's; 0: not told */
    char content_type[128];
};

/* 0: an answer of any status came whole. LEAT_E_CANCELLED at a stop. The answer is released by the caller in any case; zero before. */
int leat_credentials_fetch(const struct leat_credentials_context *context,
                           const struct leat_credentials_request *request,
                           struct leat_credentials_answer *answer, struct leat_error *err);
void leat_credentials_answer_release(struct leat_credentials_answer *answer);

/* Before another attempt, the first again being attempt 1: a tenth of a second, four tenths, … Ends at a stop, which the next fetch
   tells. */
void leat_credentials_pause(const struct leat_credentials_context *context, unsigned attempt);

/* An end that the server gave by its clock (date_us; 0: unknown), by ours. */
int64_t leat_credentials_expiry_us(int64_t expires_us, int64_t date_us);

#endif
