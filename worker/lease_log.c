/*
 * A shard that was taken and let go between two looks is in both lines. The same lease is acquired again when its counter was
 * raised: that is no news, so the log remembers what is held.
 */
#include "worker/lease_log.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/thread.h"

#define SHARDS_SHOWN 12

enum move { TAKEN, LET_GO, LOST, MOVES };

static const char *const move_texts[MOVES] = {
    [TAKEN] = "shards taken",
    [LET_GO] = "shards let go",
    [LOST] = "shards lost: this worker was declared dead",
};

/* Of one stream and move, since the last look. */
struct group {
    size_t count;
    struct leat_buf shards; /* the first ones, for people */
};

struct leat_lease_log {
    struct leat_mutex lock;
    /* stream_id, newline, shard -> this */
    struct leat_map held LEAT_FIELD_GUARDED_BY(lock);
    /* stream_id -> group */
    struct leat_map groups[MOVES] LEAT_FIELD_GUARDED_BY(lock);
};

static void
free_group(void *value)
{
    struct group *group = value;

    leat_buf_release(&group->shards);
    free(group);
}

static void
add_key(struct leat_lease_key key, struct leat_buf *out)
{
    leat_buf_add_slice(out, key.stream_id);
    leat_buf_add_byte(out, '\n');
    leat_buf_add_slice(out, key.shard);
}

static void
add_move(struct leat_lease_log *log, enum move move, struct leat_lease_key key)
    LEAT_REQUIRES(log->lock)
{
    struct group *group = leat_map_get(&log->groups[move], key.stream_id);

    if (group == NULL) {
        group = LEAT_NEW(struct group);
        leat_buf_init(&group->shards, SIZE_MAX);
        leat_map_put(&log->groups[move], key.stream_id, group);
    }
    if (group->count < SHARDS_SHOWN) {
        leat_buf_add_text(&group->shards, group->count > 0 ? ", " : "");
        leat_buf_add_slice(&group->shards, key.shard);
    }
    group->count++;
}

struct leat_lease_log *
leat_lease_log_new(void)
{
    struct leat_lease_log *log = LEAT_NEW(struct leat_lease_log);

    leat_mutex_init(&log->lock);
    leat_map_init(&log->held);
    for (int move = 0; move < MOVES; move++)
        leat_map_init(&log->groups[move]);
    return log;
}

void
leat_lease_log_taken(struct leat_lease_log *log, struct leat_lease_key lease)
{
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;

    add_key(lease, &key);
    leat_mutex_lock(&log->lock);
    if (leat_map_put(&log->held, leat_buf_slice(&key), log) == NULL)
        add_move(log, TAKEN, lease);
    leat_mutex_unlock(&log->lock);
}

void
leat_lease_log_lost(struct leat_lease_log *log, struct leat_lease_key lease,
                    enum leat_lease_loss loss)
{
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;

    add_key(lease, &key);
    leat_mutex_lock(&log->lock);
    if (leat_map_remove(&log->held, leat_buf_slice(&key)) != NULL)
        add_move(log, loss == LEAT_LOSS_WORKER ? LOST : LET_GO, lease);
    leat_mutex_unlock(&log->lock);
}

/* ---- saying ---------------------------------------------------------------------------------- */

static void
say(enum move move, struct leat_slice stream_id, struct group *group, size_t held)
{
    LEAT_AUTO_FREE char *stream = leat_slice_strdup(stream_id);
    LEAT_AUTO_BUF count = LEAT_BUF_INIT;
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;

    if (group->count > SHARDS_SHOWN)
        leat_buf_printf(&group->shards, " and %zu more", group->count - SHARDS_SHOWN);
    leat_buf_printf(&count, "%zu", group->count);
    leat_buf_printf(&all, "%zu", held);
    leat_log_event(move == LOST ? LEAT_LOG_WARNING : LEAT_LOG_INFO, move_texts[move], "stream_id",
                   stream, "#count", leat_buf_text(&count), "shards", leat_buf_text(&group->shards),
                   "#held", leat_buf_text(&all), NULL);
}

/* Taken out under the lock, said without it. */
static void
flush(struct leat_lease_log *log, enum move move)
{
    struct leat_map groups, empty;
    const struct leat_map_entry *entry;
    size_t held;

    leat_map_init(&empty);
    leat_mutex_lock(&log->lock);
    groups = log->groups[move];
    log->groups[move] = empty;
    held = log->held.count;
    leat_mutex_unlock(&log->lock);
    for (size_t i = 0; (entry = leat_map_next(&groups, &i)) != NULL;)
        say(move, entry->key, entry->value, held);
    leat_map_release(&groups, free_group);
}

void
leat_lease_log_flush(struct leat_lease_log *log)
{
    for (int move = 0; move < MOVES; move++)
        flush(log, (enum move)move);
}

void
leat_lease_log_free(struct leat_lease_log *log)
{
    if (log == NULL)
        return;
    leat_map_release(&log->held, NULL);
    for (int move = 0; move < MOVES; move++)
        leat_map_release(&log->groups[move], free_group);
    leat_mutex_release(&log->lock);
    free(log);
}
