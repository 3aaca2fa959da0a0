/* A ring of lanes, a list by time. A lane lives only while it has an item. */
#include "failure/fair_queue.h"

#include <stdlib.h>

#include "base/memory.h"

struct leat_fair_lane {
    struct leat_fair_item *first, *last;
    struct leat_fair_lane *next, *previous; /* in the ring */
};

void
leat_fair_queue_init(struct leat_fair_queue *queue)
{
    *queue = (struct leat_fair_queue){0};
    leat_map_init(&queue->lanes);
}

void
leat_fair_queue_release(struct leat_fair_queue *queue)
{
    LEAT_ASSERT(queue->count == 0);
    leat_map_release(&queue->lanes, NULL);
}

/* ---- the ring ------------------------------------------------------------------------------------ */

/* At the end of the round: just before the one whose turn it is. */
static struct leat_fair_lane *
lane_of(struct leat_fair_queue *queue, struct leat_slice name)
{
    struct leat_fair_lane *lane = leat_map_get(&queue->lanes, name);

    if (lane != NULL)
        return lane;
    lane = LEAT_NEW(struct leat_fair_lane);
    leat_map_put(&queue->lanes, name, lane);
    if (queue->turn == NULL) {
        queue->turn = lane->next = lane->previous = lane;
        return lane;
    }
    lane->next = queue->turn;
    lane->previous = queue->turn->previous;
    lane->previous->next = lane;
    lane->next->previous = lane;
    return lane;
}

static void
drop_lane(struct leat_fair_queue *queue, struct leat_fair_lane *lane, struct leat_slice name)
{
    leat_map_remove(&queue->lanes, name);
    if (lane->next == lane) {
        queue->turn = NULL;
    } else {
        lane->next->previous = lane->previous;
        lane->previous->next = lane->next;
        if (queue->turn == lane)
            queue->turn = lane->next;
    }
    free(lane);
}

static void
link_to_lane(struct leat_fair_queue *queue, struct leat_fair_item *item)
{
    struct leat_fair_lane *lane = lane_of(queue, item->lane_name);

    item->lane = lane;
    item->next = NULL;
    item->previous = lane->last;
    if (lane->last != NULL)
        lane->last->next = item;
    else
        lane->first = item;
    lane->last = item;
}

static void
unlink_from_lane(struct leat_fair_queue *queue, struct leat_fair_item *item)
{
    struct leat_fair_lane *lane = item->lane;

    if (item->previous != NULL)
        item->previous->next = item->next;
    else
        lane->first = item->next;
    if (item->next != NULL)
        item->next->previous = item->previous;
    else
        lane->last = item->previous;
    item->lane = NULL;
    if (lane->first == NULL)
        drop_lane(queue, lane, item->lane_name);
}

/* ---- those that wait for a time ------------------------------------------------------------------ */

/* From the end: the latest to fail mostly waits the longest. */
static void
link_delayed(struct leat_fair_queue *queue, struct leat_fair_item *item)
{
    struct leat_fair_item *before = queue->delayed_last;

    while (before != NULL && before->at_us > item->at_us)
        before = before->previous;
    item->previous = before;
    item->next = before != NULL ? before->next : queue->delayed;
    if (item->previous != NULL)
        item->previous->next = item;
    else
        queue->delayed = item;
    if (item->next != NULL)
        item->next->previous = item;
    else
        queue->delayed_last = item;
}

static void
unlink_delayed(struct leat_fair_queue *queue, struct leat_fair_item *item)
{
    if (item->previous != NULL)
        item->previous->next = item->next;
    else
        queue->delayed = item->next;
    if (item->next != NULL)
        item->next->previous = item->previous;
    else
        queue->delayed_last = item->previous;
}

static void
wake_delayed(struct leat_fair_queue *queue, int64_t now_us)
{
    while (queue->delayed != NULL && queue->delayed->at_us <= now_us) {
        struct leat_fair_item *item = queue->delayed;

        unlink_delayed(queue, item);
        link_to_lane(queue, item);
    }
}

/* ---- in and out ---------------------------------------------------------------------------------- */

void
leat_fair_queue_put(struct leat_fair_queue *queue, struct leat_fair_item *item, int64_t at_us)
{
    LEAT_ASSERT(!item->is_queued);
    item->is_queued = true;
    item->at_us = at_us;
    item->lane = NULL;
    queue->count++;
    if (at_us > 0)
        link_delayed(queue, item);
    else
        link_to_lane(queue, item);
}

void
leat_fair_queue_remove(struct leat_fair_queue *queue, struct leat_fair_item *item)
{
    LEAT_ASSERT(item->is_queued);
    if (item->lane != NULL)
        unlink_from_lane(queue, item);
    else
        unlink_delayed(queue, item);
    item->next = item->previous = NULL;
    item->is_queued = false;
    queue->count--;
}

struct leat_fair_item *
leat_fair_queue_first(struct leat_fair_queue *queue, int64_t now_us)
{
    wake_delayed(queue, now_us);
    return queue->turn != NULL ? queue->turn->first : NULL;
}

struct leat_fair_item *
leat_fair_queue_take(struct leat_fair_queue *queue, int64_t now_us)
{
    struct leat_fair_item *item = leat_fair_queue_first(queue, now_us);

    if (item == NULL)
        return NULL;
    queue->turn = queue->turn->next;
    leat_fair_queue_remove(queue, item);
    return item;
}

struct leat_fair_item *
leat_fair_queue_find(struct leat_fair_queue *queue, int64_t now_us,
                     bool (*may_be)(struct leat_fair_item *item, void *context), void *context)
{
    struct leat_fair_lane *lane;

    wake_delayed(queue, now_us);
    lane = queue->turn;
    if (lane == NULL)
        return NULL;
    do {
        if (may_be(lane->first, context))
            return lane->first;
        lane = lane->next;
    } while (lane != queue->turn);
    return NULL;
}

int64_t
leat_fair_queue_next_us(const struct leat_fair_queue *queue, int64_t now_us)
{
    if (queue->turn != NULL)
        return now_us;
    return queue->delayed != NULL ? queue->delayed->at_us : INT64_MAX;
}
