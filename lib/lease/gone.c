/*
 * "This shard is not there any more", says a read. Is that retention's doing, or was the stream deleted? Whoever asks waits for a
 * listing that began after the question, of the very stream that the lease is of: one listing answers a thousand questions.
 *
 * Stories. (1) A fleet comes back after more than the retention: all its shards ask at once. (2) The stream was deleted and made
 * again meanwhile: its list does not say anything about the old one's shards, and nobody is answered from it. (3) The shard
 * stands in the list all the same (a server that contradicts itself): it is read again, at most once a second.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"
#include "lease/inside.h"

struct leat_gone_question {
    struct leat_gone_question *next;
    char *stream_id, *shard;
    int64_t asked_us;
    leat_fate_fn answer;
    void *context;
};

static void
free_question(struct leat_gone_question *question)
{
    free(question->stream_id);
    free(question->shard);
    free(question);
}

void
leat_lease_gone(struct leat_lease_manager *manager, struct leat_lease_key key, leat_fate_fn answer,
                void *context)
{
    struct leat_gone_question *question = LEAT_NEW(struct leat_gone_question);

    question->stream_id = leat_slice_strdup(key.stream_id);
    question->shard = leat_slice_strdup(key.shard);
    question->asked_us = leat_clock_monotonic_us();
    question->answer = answer;
    question->context = context;
    leat_mutex_lock(&manager->lock);
    question->next = manager->gone;
    manager->gone = question;
    leat_mutex_unlock(&manager->lock);
    leat_manager_sync_soon(manager);
}

/* Takes those that this listing can answer out of the list. */
static struct leat_gone_question *
take_questions(struct leat_lease_manager *manager, const char *stream_id, int64_t listed_us)
{
    struct leat_gone_question *taken = NULL, **link;

    leat_mutex_lock(&manager->lock);
    link = &manager->gone;
    while (*link != NULL) {
        struct leat_gone_question *question = *link;

        if (question->asked_us > listed_us || strcmp(question->stream_id, stream_id) != 0) {
            link = &question->next;
            continue;
        }
        *link = question->next;
        question->next = taken;
        taken = question;
    }
    leat_mutex_unlock(&manager->lock);
    return taken;
}

static bool
is_asked(struct leat_lease_manager *manager, const char *stream_id)
{
    bool is_asked = false;

    leat_mutex_lock(&manager->lock);
    for (struct leat_gone_question *question = manager->gone; question != NULL && !is_asked;
         question = question->next)
        is_asked = strcmp(question->stream_id, stream_id) == 0;
    leat_mutex_unlock(&manager->lock);
    return is_asked;
}

/* facts: NULL: it is not listed. */
static void
tell(const struct leat_gone_question *question, struct leat_lease_key key,
     const struct leat_shard_facts *facts)
{
    enum leat_shard_fate fate = facts == NULL      ? LEAT_SHARD_IS_GONE
                                : facts->is_closed ? LEAT_SHARD_IS_CLOSED
                                                   : LEAT_SHARD_IS_OPEN;

    question->answer(question->context, key, fate,
                     facts != NULL ? facts->ending_sequence : leat_slice_from(""));
}

int
leat_gone_answer(struct leat_lease_manager *manager, struct leat_source *source,
                 const struct leat_shard_list *shards, int64_t listed_us, struct leat_error *err)
{
    struct leat_source_facts facts;
    struct leat_gone_question *question;
    struct leat_map listed;
    int status;

    if (!is_asked(manager, source->facts.stream_id))
        return 0;
    status = source->ops->describe(source, &facts, err);
    if (status == 0 && strcmp(facts.stream_id, source->facts.stream_id) != 0)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "it was deleted and made again");
    if (status != 0)
        return status;
    leat_map_init(&listed);
    for (size_t i = 0; i < shards->count; i++)
        leat_map_put(&listed, shards->shards[i].shard, &shards->shards[i]);
    question = take_questions(manager, source->facts.stream_id, listed_us);
    while (question != NULL) {
        struct leat_gone_question *next = question->next;
        struct leat_lease_key key = {leat_slice_from(question->stream_id),
                                     leat_slice_from(question->shard)};

        tell(question, key, leat_map_get(&listed, key.shard));
        free_question(question);
        question = next;
    }
    leat_map_release(&listed, NULL);
    return 0;
}

void
leat_gone_free(struct leat_lease_manager *manager)
{
    leat_is_unshared();
    while (manager->gone != NULL) {
        struct leat_gone_question *next = manager->gone->next;

        free_question(manager->gone);
        manager->gone = next;
    }
}
