/* As many blocking clients as threads ask at once: two or three. The lock is never held over a call to the service. */
#include "stream/kinesis_clients.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

#define RETRY_BUDGET_US (5 * LEAT_SECOND_US)
/* Of a call that is waited for: an answer is a page of a list, and a server that gives none in this time is said to people. */
#define ANSWER_US (8 * LEAT_SECOND_US)

struct blocking {
    struct leat_kinesis *kinesis;
    bool is_taken;
};

struct leat_kinesis_clients {
    struct leat_aws aws;    /* as given, but for the patience */
    struct leat_aws asking; /* the same, of blocking calls */
    enum leat_kinesis_encoding encoding;
    struct leat_kinesis *reading;
    struct leat_kinesis_records scratch; /* the fetch thread's */
    struct leat_mutex lock;
    struct blocking *blocking LEAT_FIELD_GUARDED_BY(lock);
    size_t count LEAT_FIELD_GUARDED_BY(lock), capacity LEAT_FIELD_GUARDED_BY(lock);
    bool is_interrupted LEAT_FIELD_GUARDED_BY(lock);
};

struct leat_kinesis_clients *
leat_kinesis_clients_new(const struct leat_aws *aws, enum leat_kinesis_encoding encoding,
                         struct leat_error *err)
{
    struct leat_kinesis_clients *clients = LEAT_NEW(struct leat_kinesis_clients);

    clients->aws = *aws;
    /* Who asks tries again itself, and says what is wrong: within seconds, not after half a minute. */
    if (clients->aws.retry.budget_us == 0)
        clients->aws.retry.budget_us = RETRY_BUDGET_US;
    clients->asking = clients->aws;
    if (clients->asking.timeout_us == 0)
        clients->asking.timeout_us = ANSWER_US;
    clients->encoding = encoding;
    leat_mutex_init(&clients->lock);
    clients->reading = leat_kinesis_new(&clients->aws, encoding, err);
    if (clients->reading != NULL)
        return clients;
    leat_kinesis_clients_free(clients);
    return NULL;
}

void
leat_kinesis_clients_free(struct leat_kinesis_clients *clients)
{
    if (clients == NULL)
        return;
    leat_is_unshared();
    for (size_t i = 0; i < clients->count; i++) {
        LEAT_ASSERT(!clients->blocking[i].is_taken);
        leat_kinesis_free(clients->blocking[i].kinesis);
    }
    free(clients->blocking);
    leat_kinesis_free(clients->reading);
    leat_kinesis_records_release(&clients->scratch);
    leat_mutex_release(&clients->lock);
    free(clients);
}

void
leat_kinesis_clients_interrupt(struct leat_kinesis_clients *clients)
{
    leat_mutex_lock(&clients->lock);
    clients->is_interrupted = true;
    for (size_t i = 0; i < clients->count; i++)
        leat_kinesis_interrupt(clients->blocking[i].kinesis);
    leat_mutex_unlock(&clients->lock);
}

struct leat_kinesis *
leat_kinesis_clients_reading(struct leat_kinesis_clients *clients)
{
    return clients->reading;
}

struct leat_kinesis_records *
leat_kinesis_clients_scratch(struct leat_kinesis_clients *clients)
{
    return &clients->scratch;
}

static struct leat_kinesis *
take_idle(struct leat_kinesis_clients *clients) LEAT_REQUIRES(clients->lock)
{
    for (size_t i = 0; i < clients->count; i++) {
        if (clients->blocking[i].is_taken)
            continue;
        clients->blocking[i].is_taken = true;
        return clients->blocking[i].kinesis;
    }
    return NULL;
}

struct leat_kinesis *
leat_kinesis_clients_take(struct leat_kinesis_clients *clients, struct leat_error *err)
{
    struct leat_kinesis *kinesis;

    leat_mutex_lock(&clients->lock);
    kinesis = take_idle(clients);
    leat_mutex_unlock(&clients->lock);
    if (kinesis != NULL)
        return kinesis;
    kinesis = leat_kinesis_new(&clients->asking, clients->encoding, err);
    if (kinesis == NULL)
        return NULL;
    leat_mutex_lock(&clients->lock);
    LEAT_GROW(clients->blocking, clients->count, clients->capacity);
    clients->blocking[clients->count++] = (struct blocking){kinesis, true};
    if (clients->is_interrupted)
        leat_kinesis_interrupt(kinesis);
    leat_mutex_unlock(&clients->lock);
    return kinesis;
}

void
leat_kinesis_clients_give_back(struct leat_kinesis_clients *clients, struct leat_kinesis *kinesis)
{
    leat_mutex_lock(&clients->lock);
    for (size_t i = 0; i < clients->count; i++) {
        if (clients->blocking[i].kinesis == kinesis)
            clients->blocking[i].is_taken = false;
    }
    leat_mutex_unlock(&clients->lock);
}
