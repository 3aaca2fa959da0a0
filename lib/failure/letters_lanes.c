/*
 * Shards before the archive. One whose place is closed or hangs narrows the window, or fills it; another that has nothing under way
 * asks past it, with one letter at a time and a backoff of its own. So few may do that at a time that an archive which is away as
 * a whole hardly feels it.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "failure/letters_inside.h"

#define LANE_BASE_US (200 * LEAT_MS_US)
#define LANE_CAP_US (10 * LEAT_SECOND_US)
#define MOST_PAST_WINDOW 16

void
leat_letters_lane_join(struct leat_letters *letters, struct leat_letter_ticket *ticket)
{
    struct leat_letters_lane *lane = leat_map_get(&letters->lanes, ticket->item.lane_name);

    if (lane == NULL) {
        lane = LEAT_NEW(struct leat_letters_lane);
        leat_map_put(&letters->lanes, ticket->item.lane_name, lane);
    }
    lane->references++;
    ticket->lane = lane;
}

void
leat_letters_lane_leave(struct leat_letters *letters, struct leat_letter_ticket *ticket)
{
    if (--ticket->lane->references > 0)
        return;
    leat_map_remove(&letters->lanes, ticket->item.lane_name);
    free(ticket->lane);
}

void
leat_letters_lane_succeeded(struct leat_letters_lane *lane)
{
    lane->failures = 0;
    lane->open_at_us = 0;
}

void
leat_letters_lane_failed(struct leat_letters_lane *lane, struct leat_random *random, int64_t now_us)
{
    if (now_us >= lane->open_at_us)
        lane->open_at_us = now_us +
                           leat_backoff_us(random, LANE_BASE_US, LANE_CAP_US, lane->failures++);
}

struct look {
    int64_t now_us, next_us;
};

static bool
may_ask(struct leat_fair_item *item, void *context)
{
    const struct leat_letters_lane *lane = ((struct leat_letter_ticket *)item)->lane;
    struct look *look = context;

    if (lane->under_way > 0)
        return false;
    if (lane->open_at_us <= look->now_us)
        return true;
    if (lane->open_at_us < look->next_us)
        look->next_us = lane->open_at_us;
    return false;
}

struct leat_letter_ticket *
leat_letters_past_window(struct leat_letters *letters, int64_t now_us, int64_t *ret_next_us)
{
    struct look look = {.now_us = now_us, .next_us = INT64_MAX};
    struct leat_fair_queue *queue = &letters->archive.queue;
    struct leat_fair_item *item = NULL;

    if (letters->past_window < MOST_PAST_WINDOW)
        item = leat_fair_queue_find(queue, now_us, may_ask, &look);
    if (queue->delayed != NULL && queue->delayed->at_us < look.next_us)
        look.next_us = queue->delayed->at_us;
    *ret_next_us = look.next_us;
    return (struct leat_letter_ticket *)item;
}
