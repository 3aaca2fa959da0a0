/*
 * What waits, fair by lane: each lane is first in, first out, and the lanes take turns, so that one with thirty thousand items
 * delays another's only one by a single turn. An item may wait until a time. Pure but for memory: time is an argument. Not for
 * threads: whoever owns the queue guards it.
 */
#ifndef LEAT_FAILURE_FAIR_QUEUE_H
#define LEAT_FAILURE_FAIR_QUEUE_H

#include <stdbool.h>

#include "base/map.h"

struct leat_fair_lane;

/* Inside of what waits. The caller sets lane_name, which lives as long as the item. */
struct leat_fair_item {
    struct leat_slice lane_name;
    struct leat_fair_item *next, *previous;
    struct leat_fair_lane *lane; /* NULL: in no lane */
    int64_t at_us;
    bool is_queued;
};

struct leat_fair_queue {
    struct leat_map lanes;                         /* by name: those that have an item */
    struct leat_fair_lane *turn;                   /* a ring; NULL: no item is ready */
    struct leat_fair_item *delayed, *delayed_last; /* by time */
    size_t count;
};

void leat_fair_queue_init(struct leat_fair_queue *queue);
void leat_fair_queue_release(struct leat_fair_queue *queue); /* it has to be empty */
/* Behind the others of its lane, once at_us has come (0: now). */
void leat_fair_queue_put(struct leat_fair_queue *queue, struct leat_fair_item *item, int64_t at_us);
/* Out of turn; it must be in this queue. */
void leat_fair_queue_remove(struct leat_fair_queue *queue, struct leat_fair_item *item);
/* Whose turn it is, left where it is; NULL: nothing is ready. */
struct leat_fair_item *leat_fair_queue_first(struct leat_fair_queue *queue, int64_t now_us);
struct leat_fair_item *leat_fair_queue_take(struct leat_fair_queue *queue, int64_t now_us);
/* The first that may be taken, of each lane's first, in their order; left where it is. NULL: none. */
struct leat_fair_item *leat_fair_queue_find(struct leat_fair_queue *queue, int64_t now_us,
                                            bool (*may_be)(struct leat_fair_item *item,
                                                           void *context),
                                            void *context);
/* When there will be something to take: now_us when there is; INT64_MAX: never. */
int64_t leat_fair_queue_next_us(const struct leat_fair_queue *queue, int64_t now_us);

#endif
